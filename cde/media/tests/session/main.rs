//! The promises of a session, seen from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

#[cfg(not(feature = "masking-off-control"))]
mod agentkeys;
#[cfg(not(feature = "masking-off-control"))]
mod agenttones;
mod alone;
#[cfg(feature = "masking-off-control")]
mod control;
mod fork;
#[cfg(not(feature = "masking-off-control"))]
mod g722;
mod garbage;
mod harness;
#[cfg(not(feature = "masking-off-control"))]
mod keys;
#[cfg(not(feature = "masking-off-control"))]
mod mask;
#[cfg(all(target_os = "linux", not(feature = "masking-off-control")))]
mod memory;
#[cfg(not(feature = "masking-off-control"))]
mod nat;
#[cfg(not(feature = "masking-off-control"))]
mod natural;
#[cfg(not(feature = "masking-off-control"))]
mod noninterference;
mod open;
#[cfg(not(feature = "masking-off-control"))]
mod opus;
#[cfg(not(feature = "masking-off-control"))]
mod reports;
#[cfg(not(feature = "masking-off-control"))]
mod srtp;
#[cfg(not(feature = "masking-off-control"))]
mod successor;
#[cfg(not(feature = "masking-off-control"))]
mod unmasking;
