//! One payment on a call: keys become a card, the card becomes attempts, one attempt has one outcome.
//!
//! # Invariants
//! - Nothing is sent without [`Payment::authorize`], and no second attempt exists while the outcome of one is not known.
//! - A card is held only while it is captured, in flight, or kept for a stated time after a proved non-execution or a
//!   decline that another code or date may cure. Every other way out wipes it.
//! - The security code moves once, into one [`Card`](card::Card); no outcome and no timer ever moves it back.
//! - What may be shown ([`Payment::progress`]) depends on a card's brand, length, last four digits and expiry, on
//!   nothing else of it; and what keys cause is shown on a grid of [`GRID_MS`], so that nobody learns their rhythm.
//!
//! # Layout
//! - [`balance`]: what an approval allows afterwards.
//! - [`payment`]: the machine from order to last outcome. [`rules`]: its times and counts.
//! - `capture`: keys to fields (end keys, timers, tries). `authorization`: one attempt and the card that it owns.
//!   `grid`: when keys are shown. `output`: what comes out.

mod authorization;
pub mod balance;
mod capture;
mod grid;
mod output;
pub mod payment;
pub mod rules;

pub use authorization::Sending;
pub use balance::{Balance, Standing};
pub use grid::GRID_MS;
pub use output::Output;
pub use payment::Payment;
pub use rules::Rules;
