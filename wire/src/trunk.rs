//! How the trunks are: what a telecom engineer asks first.
//!
//! Addresses of trunks go out with this, for people to read. No command takes one.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A trunk as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkSnapshot {
    /// Its name in the cde's file.
    pub name: String,
    /// How it is called, in the words of that file.
    pub transport: String,
    /// Legs of calls that go to it or come from it.
    pub legs: u32,
    /// Its agents may take payments in conferences, in which nothing is masked.
    #[serde(default)]
    pub conferences: bool,
    /// Where it is called.
    pub places: Vec<PlaceSnapshot>,
}

/// One place of a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceSnapshot {
    /// Where calls to it go.
    pub address: SocketAddr,
    /// The lowest is called first.
    pub priority: u16,
    /// How much of the calls it gets among those of its priority.
    pub weight: u16,
    /// Is anybody there?
    pub state: PlaceState,
    /// Since when, Unix milliseconds.
    pub since_unix_ms: i64,
    /// It is asked by OPTIONS from time to time; if not, only calls and registrations tell.
    pub is_probed: bool,
    /// How often nobody answered, of calls, probes and registrations, since the cde was started.
    pub failures: u64,
    /// What came of telling it where we are; none where that is not configured.
    pub registration: Option<RegistrationSnapshot>,
}

/// Whether anybody is at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceState {
    /// Nothing was heard from there yet.
    #[default]
    Unknown,
    /// It answers.
    Up,
    /// It did not, several times in a row; it is called last.
    Down,
}

/// A registration of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationSnapshot {
    /// What came of it.
    pub state: RegistrationState,
    /// The registrar's last status (RFC 3261 §21); none while it has said nothing.
    pub status: Option<u16>,
    /// Since when it is so, Unix milliseconds.
    pub since_unix_ms: i64,
}

/// What came of a registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    /// It was asked and has not answered yet.
    #[default]
    Asked,
    /// It knows where we are.
    Registered,
    /// It said no. It is asked again later, and less and less often.
    Refused,
    /// It did not answer, or could not be reached.
    Unanswered,
}

impl RegistrationState {
    /// What a final status to a REGISTER means. 408 also stands for no answer, and 503 for no way there.
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Registered,
            408 | 503 => Self::Unanswered,
            _ => Self::Refused,
        }
    }
}

/// What to look at when a registrar has given this status.
pub fn registration_advice(status: u16) -> &'static str {
    match status {
        200..=299 => "it knows where this server is",
        401 | 407 => {
            "it does not accept the name and password: compare username and password with what the provider gave; if it \
             asks with MD5 only, set digest = \"legacy\""
        }
        403 => "it forbids this: the account may be blocked, or this server's address is not on its list",
        404 => "it does not know this username: compare it with what the provider gave",
        405 | 501 => "it takes no registrations: set register = false",
        408 => "nobody answered: check the trunk's address, port and transport, and the firewall on the way",
        423 => "it demands a longer registration than this server may ask for",
        503 => "it is overloaded, or no connection to it could be opened: check address, port and transport",
        500..=599 => "it has a fault of its own: ask the provider",
        _ => "ask the provider what this status means for a REGISTER",
    }
}

/// What to look at when a call has ended with this status.
pub fn call_advice(status: u16) -> &'static str {
    match status {
        300..=399 => "the number is elsewhere, and a test does not follow there: take one that answers itself",
        401 | 407 => {
            "it does not accept the name and password: compare username and password with what the provider gave"
        }
        403 => "it forbids this call: the account, this server's address or the number may not be allowed to call",
        404 | 604 => "it does not know this number: compare its form (with or without + and country code)",
        406 | 488 | 606 => {
            "it cannot use what is offered: compare its codecs (PCMU, PCMA, G722) and whether it wants srtp"
        }
        408 => "nobody answered: check the trunk's address, port and transport, and the firewall on the way",
        420 => "it demands an extension of SIP that this server does not have",
        480 | 486 | 600 | 603 => "whoever has the number does not take the call: choose a number that always answers",
        484 => "it wants more digits: compare the form of the number",
        503 => "it takes no calls now, or no connection to it could be opened: check address, port and transport",
        500..=599 => "it has a fault of its own: ask the provider, with the messages of this call",
        _ => "ask the provider what this status means, with the messages of this call",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_no_refusal() {
        assert_eq!(RegistrationState::of(200), RegistrationState::Registered);
        assert_eq!(RegistrationState::of(403), RegistrationState::Refused);
        assert_eq!(RegistrationState::of(408), RegistrationState::Unanswered);
        assert!(registration_advice(401).contains("password"));
    }
}
