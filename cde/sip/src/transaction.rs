//! Client and server transactions (RFC 3261 §17 as corrected by RFC 6026).

mod client;
mod outline;
mod server;
mod template;
mod timers;

use std::time::Duration;

pub(crate) use client::{ClientId, Clients, Expiry as ClientExpiry, Purpose, Start, Verdict};
pub(crate) use outline::Outline;
pub(crate) use server::{Expiry as ServerExpiry, Key, ServerId, ServerPurpose, Servers};
pub(crate) use template::Template;
pub(crate) use timers::Timers;

/// RFC 3261's estimate of the round trip, and the base of every timer (Table 4).
pub(crate) const T1: Duration = Duration::from_millis(500);
/// The longest interval between retransmissions.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// The longest a message stays in the network.
pub(crate) const T4: Duration = Duration::from_secs(5);
/// 64·T1: timers B, D, F, H, J, L and M.
pub(crate) const TRANSACTION_MAX: Duration = Duration::from_secs(32);
/// How long an INVITE may stay provisional without a sign of life (timer C, RFC 3261 §16.6).
pub(crate) const TIMER_C: Duration = Duration::from_secs(180);
/// How often a provisional response is repeated, so that nobody's timer C fires (RFC 3261 §13.3.1.1).
pub(crate) const PROVISIONAL_REFRESH: Duration = Duration::from_secs(60);
/// How long the application may take to answer a request other than INVITE before it is answered 500 for it.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The most answers of different peers to one INVITE that are acknowledged.
pub(crate) const FORKS_MAX: usize = 8;
