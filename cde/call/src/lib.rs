//! The back-to-back user agent: caller leg, agent leg, the line between them and the payment on it.
//!
//! [`Switchboard`] is the one machine the shell drives. It owns the SIP endpoint and every call; RTP never comes
//! here: each call tells its media session what to do and is told what happened.
//!
//! # Invariants
//! - Of a conference that an agent has added us to nothing is ever said to be masked.
//! - The line is reported secured only after the media session said so, and open only after it said so.
//! - A key reaches a capture only from the media session, which gives keys only while the line is masked.
//! - There is one way in which a call ends: the capture is wiped first, then media, then the record.
//! - A command with a known id is answered again, never carried out again.
//! - A side whose trunk requires protection is never connected without it.
//! - A recorder is told nothing of a call but who speaks, and sent nothing but copies of what the sides are.
//! - Nobody outside a configured route can make this dial anything; an agent is called back at their trunk, under an
//!   extension that the configuration allows, whatever an INVITE says.
//! - Nothing of the caller's body, keys or card is printed, logged or put into an event.
//!
//! # Layout
//! - [`config`]: trunks, routes, limits. [`pins`]: agents' PINs, hashed. [`switchboard`]: dispatch, commands, timers, ports.
//! - `bounce`: what is asked for by those who send callers to pay alone. `orders`: what of that was asked for lately. `guard`: who is listened to. `locks`: who has tried too often. `transfers`: callers who are to be transferred to us.
//!   `trunks`: where each trunk is reached. `ladder`: what is kept of SIP for engineers. `call`: one call; `setup`, `dial`,
//!   `session` (hold, INFO), `handover` (transfers; `consulted`: to an agent who waits at a code), `on_demand` (a caller who was transferred to us), `bounced` (one
//!   who pays alone), `conference` (one that an agent has added us to), `line`, `recording`, `hook` (recorders that are to pause), `pay`
//!   and `end` are its chapters. `leg`: one side, with its keys.

pub mod config;
pub mod pins;
pub mod switchboard;

mod bounce;
mod call;
mod guard;
mod info;
mod ladder;
mod leg;
mod locks;
mod orders;
mod rewrite;
mod transfers;
mod trunks;
mod wall;

pub use bounce::codes::{CodeState, KeptOrder, Mark, Marks};
pub use config::{
    Bounce, Conferences, Config, Hook, Nat, OnDemand, OpenLineKeys, Recorder, Route, Srtp, Target, Trunk,
};
pub use guard::network;
pub use leg::WebTerms;
pub use rewrite::Rewrite;
pub use switchboard::{Charge, MediaOrder, MediaReport, Output, Switchboard};
