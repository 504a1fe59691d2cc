//! SIP for an inline back-to-back user agent over any transport: messages, transactions, dialogs and session descriptions.
//!
//! The crate is a pure core: it reads no socket and no clock. [`Endpoint`] is the one machine; give it messages and the
//! time, then drain [`Endpoint::poll_output`] and come back at [`Endpoint::poll_timeout`]. The same machine serves as a
//! plain user agent (the demo's softphones).
//!
//! # Invariants
//! - Nothing here prints a body, a user part of a URI, a password or a header value: digits travel in all of them.
//! - No input panics. A malformed request with a usable top Via is answered, never met with silence; a malformed response
//!   is dropped and counted.
//! - A dialog that is lost for good is reported once, unless the application itself ended it.
//! - Every table, queue and list has a named maximum; beyond it the answer is a stateless 503 with Retry-After.
//! - The same seed, inputs and times give the same outputs.
//!
//! # Layout
//! - [`message`]: bytes ↔ requests and responses (RFC 3261 §7, §20, §25).
//! - [`transport`]: how a peer is reached (RFC 3261 §18).
//! - `transaction`: client and server transactions (RFC 3261 §17, RFC 6026).
//! - `digest`: who we are, and who calls (RFC 7616).
//! - `dialog`: the state of one peer relationship and the requests built from it (RFC 3261 §12).
//! - [`sdp`] and [`offer_answer`]: session descriptions (RFC 8866) and what they agree on (RFC 3264).
//! - [`websocket`]: the frames of a web page's telephone (RFC 6455, RFC 7118).
//! - [`siprec`]: what a recorder is told of a call (RFC 7865, RFC 7866).
//! - [`endpoint`]: the user agent core that ties them together.

pub mod endpoint;
pub mod message;
pub mod offer_answer;
pub mod sdp;
pub mod siprec;
pub mod transport;
pub mod websocket;

mod dialog;
mod digest;
mod identifiers;
mod transaction;

pub use digest::Credentials;
pub use endpoint::{
    Config, DialogId, EndReason, Endpoint, Error, Event, IncomingInvite, Invite, Output, Refer, Registration,
    RegistrationId, RequestId, Stats,
};
pub use message::{Body, Method, NameAddr, Uri};
pub use transport::{ConnectionId, Local, Peer, Transport};
