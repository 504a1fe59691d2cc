//! Telephone-events (RFC 4733) as networks and phones really send them. Every case also promises that nothing but the
//! mask's own sound reaches the agent.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

#[cfg(not(feature = "masking-off-control"))]
mod clock;
#[cfg(feature = "masking-off-control")]
mod control;
#[cfg(not(feature = "masking-off-control"))]
mod fields;
#[path = "../session/harness.rs"]
#[allow(dead_code, reason = "the session's tests use all of it")]
mod harness;
#[cfg_attr(feature = "masking-off-control", allow(dead_code, reason = "the control runs a part of it"))]
mod line;
#[cfg(not(feature = "masking-off-control"))]
mod loss;
#[cfg(not(feature = "masking-off-control"))]
mod masked_time;
#[cfg(not(feature = "masking-off-control"))]
mod order;
#[cfg(not(feature = "masking-off-control"))]
mod segments;
#[cfg(not(feature = "masking-off-control"))]
mod source;
