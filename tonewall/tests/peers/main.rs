//! The real binary among other people's software: SIPp, baresip, multimon-ng, spandsp, tshark and localstripe, all on
//! 127.0.0.1. Each test is named by the promise it keeps, and each search for a leak has a control that must find one.
//!
//! # Layout
//! - `stage`: a Tonewall in a temporary folder with a sandbox acquirer, phones and desks. `tools`: other programs.
//! - `decoders`, `capture`, `residue/search`: what looks for leaks. The rest: one file a promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod agent_leg;
mod bad_input;
mod baresip;
mod bounced;
mod browser;
mod capture;
mod conference;
mod consulted;
mod decoders;
mod engineer;
mod faults;
mod flood;
mod follow_ups;
mod gateways;
mod kamailio;
mod kept;
mod kill;
mod linphone;
mod melody;
mod on_demand;
mod pjsip;
mod reconciled;
mod recorder_hooks;
mod recurring;
mod relay;
mod residue;
mod restored;
mod reversals;
mod rtcp;
mod selftest;
mod sipp;
mod siprec;
mod sipvicious;
mod srtp;
mod stage;
mod stop;
mod strangers;
mod tools;
mod users;
