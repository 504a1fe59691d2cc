//! Request methods. They are case-sensitive (RFC 3261 §7.1).

use std::fmt;

/// A request method; unknown ones are kept verbatim.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// INVITE.
    Invite,
    /// ACK.
    Ack,
    /// BYE.
    Bye,
    /// CANCEL.
    Cancel,
    /// INFO (RFC 6086).
    Info,
    /// OPTIONS.
    Options,
    /// UPDATE (RFC 3311).
    Update,
    /// PRACK (RFC 3262).
    Prack,
    /// REFER (RFC 3515).
    Refer,
    /// NOTIFY (RFC 6665).
    Notify,
    /// REGISTER.
    Register,
    /// Any other token.
    Other(String),
}

/// The methods this endpoint takes, as the value of Allow.
pub(crate) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, INFO, OPTIONS, UPDATE, PRACK, REFER";

impl Method {
    /// Reads a method that is known to be a token.
    pub(crate) fn from_token(token: &str) -> Self {
        match token {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "INFO" => Self::Info,
            "OPTIONS" => Self::Options,
            "UPDATE" => Self::Update,
            "PRACK" => Self::Prack,
            "REFER" => Self::Refer,
            "NOTIFY" => Self::Notify,
            "REGISTER" => Self::Register,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The method as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(token) => token,
            known => known.kind(),
        }
    }

    /// A name that is safe to log: an unknown method is a peer's free text and reads "other".
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Info => "INFO",
            Self::Options => "OPTIONS",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Refer => "REFER",
            Self::Notify => "NOTIFY",
            Self::Register => "REGISTER",
            Self::Other(_) => "other",
        }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}
