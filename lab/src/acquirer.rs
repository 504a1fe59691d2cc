//! The sandbox acquirer: a bank that charges published test cards, keeps a ledger, and breaks on demand.
//!
//! It speaks the JSON of the adapter `gateway::sandbox`: `POST /v1/…` for charges, captures, voids, refunds, tokens and
//! deletions, `GET /v1/…/by-reference/{reference}`, and `GET /v1/ledger`, `POST /v1/faults`, `POST /v1/webhooks`.
//! To a key that begins with `sk_test_` it speaks the words of Stripe's API instead, of the same book. The core below has
//! no clock and no sockets; the feature `shell` adds a server.
//!
//! # Invariants
//! - Idempotency is true: a key names one operation for [`KEY_HOURS`]; the same request again gets the same answer, a
//!   different one is refused, and one that is still being worked on is told so.
//! - A charge is in the ledger if and only if it was executed, whatever happened to the answer.
//! - No more is captured than was approved, and no more refunded than was captured; what is voided is neither.
//! - Only published test cards are taken, and only test keys; of a card nothing but the last four digits is kept, or,
//!   under a token, which of the published ones it is.
//! - With the same seed and requests, faults fall the same way.
//!
//! # Layout
//! - `bank`: routes and idempotency; its `book`: what was executed, and what may be. [`verdict`]: which card, date, code and amount give which response code.
//!   `stripe`: the same in the words of Stripe's API.
//! - [`webhook`]: what it says unasked.
//! - [`fault`]: what breaks when. [`server`]: axum, with connections that really break.

mod bank;
pub mod fault;
#[cfg(feature = "shell")]
pub mod server;
pub mod verdict;
pub mod webhook;

pub use bank::{Bank, CHARGES_MAX, KEY_HOURS, Request, Response};
pub use fault::Delivery;
#[cfg(feature = "shell")]
pub use server::{serve, start};
pub use webhook::Notice;
