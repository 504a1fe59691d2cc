//! Where secrets live while they must: locked pages, wiped at every end, in a process that cannot be dumped.
//!
//! # Invariants
//! - A [`Slot`] never moves, is never swapped or dumped, and is zero before it is handed out and after it is dropped.
//! - There is no growth without bound: slots come from one arena of fixed size; when it is empty, a capture is refused.
//! - Nothing here knows what a card is, and nothing here can be printed.
//!
//! # Layout
//! - [`arena`]: slots in `memfd_secret` pages, else `mlock`ed ones.
//! - [`mod@wipe`]: wiping, and the allocator that wipes what libraries free.
//! - [`process`]: no core dumps, no ptrace by others, no capability.
//! - `user`: a process of another user, with the few capabilities that it needs at its start.

pub mod arena;
pub mod process;
mod user;
pub mod wipe;

pub use arena::{Exhausted, Protection, SLOT_BYTES, Slot, protection};
pub use process::{HardenError, drop_capabilities, harden};
pub use user::{Capability, User, run_as};
pub use wipe::{WipingAllocator, wipe};
