//! A seeded world around the pure cores: callers, agents, carriers, a bank that breaks, processes that die, and an
//! oracle that knows what was promised.
//!
//! The cores are the real ones: `call` with its SIP endpoint and payments, `gateway` with its way of following an unknown
//! outcome, `wire` with its framing, the phones and the bank of `lab`; and, at the level of frames, `media`. What the
//! shells do (the journal's disk, the door, the HTTP client, the office's database) is modeled here by what they
//! promise; that they keep it is tested where they are.
//!
//! # Invariants
//! - A world is decided by its [`Plan`](plan::Plan): the same seed is the same world, step by step, on any machine.
//! - Time is the world's own. Nothing here waits.
//! - Every promise of [`oracle::Promise`] can be broken on purpose ([`sabotage`]), and the oracle then says so.
//!
//! # Layout
//! - [`plan`]: what a seed decides. [`dice`]: chance. `people`: what callers and agents do.
//! - [`world`]: the events in their order; its chapters are `cde`, `charge`, `bounced`, `media`, `door`, `office` and `lanes`.
//! - `journal`: the cde's disk. [`oracle`]: the promises. [`sabotage`]: how each is broken.
//! - [`fleet`]: many worlds on all cores. [`till`]: one payment's money by itself, millions of times.

pub mod dice;
pub mod fleet;
mod journal;
pub mod oracle;
mod people;
pub mod plan;
pub mod sabotage;
pub mod till;
pub mod world;
