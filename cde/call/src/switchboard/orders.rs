//! What the switchboard and a call's media session say to each other.

use crate::leg::WebTerms;
use media::Side;
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
    /// The leg has a browser: find it and agree on keys with it, and only then is it connected. Nothing is heard or said before.
    /// Repeating it changes nothing but what is new.
    Negotiate {
        /// Which leg.
        side: Side,
        /// What was agreed on; where it is, is to be found.
        remote: media::Remote,
        /// With what.
        terms: Box<WebTerms>,
    },
    /// Say what has been counted; answered by `Counted`.
    Count,
    /// Close the session and give the ports back; answered by `Closed` if there is one.
    Close,
}

/// What a media session reports.
pub enum MediaReport {
    /// All ports are bound.
    Opened,
    /// They are not.
    OpenFailed,
    /// What has been counted up to now.
    Counted(Box<media::Stats>),
    /// The session is closed, and this is what it has counted.
    Closed(Box<media::Stats>),
    /// Something happened.
    Event(media::Event),
    /// There is no way to the browser of this leg, or no more, or it is not who it said.
    Lost {
        /// Which leg.
        side: Side,
    },
}
