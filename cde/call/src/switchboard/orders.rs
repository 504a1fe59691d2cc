//! What the switchboard and a call's media session say to each other.

use std::net::SocketAddr;

/// What a media session is told.
pub enum MediaOrder {
    /// Open a session on these ports and the ones above them, which are for RTCP; answered by `Opened` or `OpenFailed`.
    Open {
        /// For the caller leg.
        caller: SocketAddr,
        /// For the agent leg.
        agent: SocketAddr,
        /// Record the agent side.
        record: bool,
        /// Where a recorder's copies leave from: those of what the agent is sent, and of what the caller is.
        copies: Option<[SocketAddr; 2]>,
    },
    /// A command of the session.
    Command(media::Command),
    /// Close the session and give the ports back.
    Close,
}

/// What a media session reports.
pub enum MediaReport {
    /// All ports are bound.
    Opened,
    /// They are not.
    OpenFailed,
    /// Something happened.
    Event(media::Event),
}
