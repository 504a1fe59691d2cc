//! Recorders that are no part of Tonewall and hear what it does not mask: whether they are asked to pause, and what came of it.
//!
//! The card side asks by what it shows of a call; the office, which alone speaks to them, answers by a command.

use crate::name_pan_like;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name of a call.
pub const CALL_NAME_LENGTH_MAX: usize = 128;

/// How much hangs on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookRule {
    /// A payment goes on without them, and that is written down.
    BestEffort,
    /// Nothing is keyed before they have said that they have paused.
    Required,
}

/// Where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookState {
    /// The line is open: they may record.
    NotAsked,
    /// They are to pause; the office's word is waited for.
    Asked,
    /// All of them have said that they have paused.
    Paused,
    /// At least one has not.
    NotPaused,
}

/// Why a recorder has not paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookTrouble {
    /// The office's file names none for this agent.
    NoRecorder,
    /// It cannot be reached.
    Unreachable,
    /// It has not answered in time.
    TimedOut,
    /// It has answered, and that it does not.
    Refused,
    /// It must be told the customer's own name of the call, and there is none.
    NoCallName,
    /// The office cannot ask it: a secret is missing, or its database does not answer.
    Misconfigured,
    /// The office has said nothing.
    OfficeSilent,
}

/// A name that somebody else has for a call: printable ASCII without spaces, 1 to 128 characters, and nothing that may be a card
/// number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallName(String);

/// Why a name was refused. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name of a call: expected 1 to {CALL_NAME_LENGTH_MAX} printable characters, and no card number")]
pub struct CallNameError;

impl CallName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CallName {
    type Error = CallNameError;
    fn try_from(text: String) -> Result<Self, CallNameError> {
        let is_name =
            (1..=CALL_NAME_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_name && !name_pan_like(&text) { Ok(Self(text)) } else { Err(CallNameError) }
    }
}

impl std::str::FromStr for CallName {
    type Err = CallNameError;
    fn from_str(text: &str) -> Result<Self, CallNameError> {
        Self::try_from(text.to_owned())
    }
}

impl From<CallName> for String {
    fn from(name: CallName) -> Self {
        name.0
    }
}

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// By which a recorder may know a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallNames {
    /// What the header that the route names said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CallName>,
    /// The Call-ID of the caller leg (RFC 3261 §8.1.1.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_leg: Option<CallName>,
    /// The Call-ID of the agent leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_leg: Option<CallName>,
}

/// The recorders of a call that has some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookSnapshot {
    /// How much hangs on them.
    pub rule: HookRule,
    /// How often they were asked in this call; an answer names it.
    pub round: u32,
    /// Where they stand.
    pub state: HookState,
    /// Are keys kept from a payment for now, although the line is masked?
    pub holds_payment: bool,
    /// Why not; only with [`HookState::NotPaused`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<HookTrouble>,
    /// By which they may know the call.
    pub names: CallNames,
}

impl HookSnapshot {
    /// Must they not record now, whatever they have said?
    pub fn wants_pause(&self) -> bool {
        self.state != HookState::NotAsked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printable_bounded_and_no_card_number() {
        for good in ["a84b4c76e66710@pc33.example.com", "CA0123456789abcdef", &"x".repeat(CALL_NAME_LENGTH_MAX)] {
            assert_eq!(good.parse::<CallName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(CALL_NAME_LENGTH_MAX + 1);
        for bad in ["", "a b", "a\r\nb", "é", &long, "4242424242424242", "id-4242424242424242"] {
            assert_eq!(bad.parse::<CallName>(), Err(CallNameError), "{bad}");
        }
        assert!(serde_json::from_str::<CallName>("\"a b\"").is_err(), "nor does one come over the door");
    }
}
