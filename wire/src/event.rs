//! What the cde shows live. Each event is a whole snapshot that replaces the one before; none is ever stored.

use crate::{
    Brand, CallFigures, CallId, CommandId, CommandResult, Extension, Field, HookSnapshot, Keeping, Ladder,
    LadderSummary, Last4, Money, Outcome, PaymentId, TestSnapshot, TrunkSnapshot,
};
use serde::{Deserialize, Serialize};

/// One live event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A call is there, or something about it has changed.
    Call {
        /// All of it.
        call: CallSnapshot,
    },
    /// A call is over.
    CallEnded {
        /// Which.
        call: CallId,
        /// How.
        end: CallEnd,
    },
    /// The media thread's proof that it is masking this call right now. Sent at least once a second while the line is
    /// not open. Older than two seconds is no proof.
    Proof {
        /// Which call.
        call: CallId,
        /// When it was given, Unix milliseconds. It may have waited on its way.
        at_unix_ms: i64,
    },
    /// How the legs of a call fare; every few seconds while both are connected, and once more when it is over.
    Figures {
        /// Which call.
        call: CallId,
        /// Of its legs.
        figures: CallFigures,
    },
    /// A trunk is there, or something about it has changed.
    Trunk {
        /// All of it.
        trunk: TrunkSnapshot,
    },
    /// How a test call goes; each replaces the one before of the same test.
    Test {
        /// All of it.
        test: TestSnapshot,
    },
    /// The SIP messages of a call, as a command has asked.
    Ladder {
        /// Which command.
        command: CommandId,
        /// They.
        ladder: Ladder,
    },
    /// Calls whose SIP messages are kept, the newest first, as a command has asked.
    Ladders {
        /// Which command.
        command: CommandId,
        /// They.
        ladders: Vec<LadderSummary>,
    },
    /// How a command ended.
    CommandEnded {
        /// Which.
        id: CommandId,
        /// How.
        #[serde(flatten)]
        result: CommandResult,
    },
}

/// A call as the office sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSnapshot {
    /// Which.
    pub call: CallId,
    /// The extension that it was sent to; decides which agent may see it.
    pub extension: Extension,
    /// The caller's number or name as the network gave it, cut to printable characters; empty when withheld.
    pub caller: String,
    /// The number that was called.
    pub called: String,
    /// How it came to us.
    pub way: WayIn,
    /// The caller's keys pass through a PBX, with its recorder and its network, before they come to us: those are in scope.
    pub keys_cross_pbx: bool,
    /// When it came in, Unix milliseconds; of one that is awaited, since when.
    pub started_unix_ms: i64,
    /// Where it stands.
    pub state: CallState,
    /// Where its line stands.
    pub line: LineState,
    /// Since when the line stands there, Unix milliseconds.
    pub line_since_unix_ms: i64,
    /// How the line is masked, or, while it is open, would be.
    pub masking: Masking,
    /// The payment being taken on it, also after its outcome until the next one starts.
    pub payment: Option<Progress>,
    /// The recorders elsewhere that are to pause while the line is not open; none where no route or trunk asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookSnapshot>,
}

/// How a call came to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayIn {
    /// By a route between two trunks: all of it passes through us.
    #[default]
    Inline,
    /// An agent has transferred the caller to a code that was good once.
    Code,
    /// An agent has keyed their PIN and then transferred the caller to the same number.
    Pin,
    /// A contact centre has sent the caller to pay alone, and has them back with the result.
    Bounced,
    /// An agent has added us to a conference of their PBX: we hear what all hear, and nothing can be masked. The agent and whoever
    /// records the conference hear the keys.
    Conference,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// The caller is to be transferred to us; nobody is here yet.
    Awaited,
    /// The caller pays alone: nobody else is on the call.
    SelfService,
    /// The agent's phone is ringing.
    Ringing,
    /// Both are connected.
    Talking,
    /// One side holds the other.
    Held,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// The caller hung up.
    CallerHungUp,
    /// The agent hung up.
    AgentHungUp,
    /// The caller gave up before the agent answered.
    Abandoned,
    /// The agent's side did not take the call.
    NotAnswered,
    /// The call could not be set up or kept (a fault, a timeout, a shutdown).
    Failed,
    /// It was awaited, and nobody was transferred in time.
    NotTransferred,
    /// The conference is over, or we were taken out of it.
    ConferenceOver,
}

/// Where a line stands. Only on `Open` and in a `Conference` do the caller's sound and keys reach the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    /// The agent hears the caller.
    Open,
    /// Asked for; not yet proved.
    Securing,
    /// Proved by the media thread: the agent leg carries only generated sound.
    Secured,
    /// Still masked; opens when every key has ended and three quiet seconds have passed.
    Releasing,
    /// Masking could not be proved: the agent leg is mute.
    Fault,
    /// We are a member of a conference. Keys are taken, and nothing is masked: the agent and whoever records the conference hear
    /// them.
    Conference,
}

/// What the agent hears of the caller while the line is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Masking {
    /// The voice, without keys.
    Natural,
    /// Nothing.
    Strict,
    /// All of it, keys among it: in a conference nothing is masked.
    None,
}

impl LineState {
    /// Is the caller kept from the agent's ear?
    pub fn masked(self) -> bool {
        !matches!(self, Self::Open | Self::Securing | Self::Conference)
    }

    /// Are the caller's keys taken for a payment? That says nothing of who else hears them.
    pub fn takes_keys(self) -> bool {
        matches!(self, Self::Secured | Self::Conference)
    }
}

/// A payment as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which.
    pub payment: PaymentId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub state: PaymentState,
    /// The fields in the order they are asked.
    pub fields: Vec<FieldProgress>,
    /// The brand, as soon as the first digits tell it.
    pub brand: Option<Brand>,
    /// The last four digits, once the card number is valid.
    pub last4: Option<Last4>,
    /// How many digits the number is expected to have, for drawing; known with the brand.
    pub pan_length_expected: Option<u8>,
    /// The outcome of the newest attempt.
    pub outcome: Option<Outcome>,
    /// How many attempts have been made at the gateway.
    pub attempts: u8,
    /// What became of the card that was to be kept; none before an approval, and where none was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Keeping>,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Ordered; waits for the line to be secured.
    Waiting,
    /// The caller is keying.
    Capturing,
    /// All fields are valid; waits for the agent.
    Ready,
    /// At the gateway.
    Authorizing,
    /// Approved.
    Approved,
    /// Declined; another card may be keyed while the line is secured.
    Declined,
    /// Proved not executed; may be sent again.
    NotSent,
    /// Outcome being confirmed: do not take the payment again.
    Unknown,
    /// Canceled, or the call ended before the gateway was asked.
    Cancelled,
    /// Approved, and given back whole before it was settled. Only the office says so.
    Voided,
    /// Approved, and all of it refunded. Only the office says so.
    Refunded,
}

impl PaymentState {
    /// Can nothing more happen to it?
    pub fn finished(self) -> bool {
        matches!(self, Self::Approved | Self::Cancelled | Self::Voided | Self::Refunded)
    }
}

/// One field as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldProgress {
    /// Which.
    pub field: Field,
    /// Where it stands.
    pub status: FieldStatus,
    /// How many digits have been keyed, on the 250 ms grid.
    pub digits: u8,
    /// Why it was refused the last time, until the next digit.
    pub reason: Option<RejectReason>,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldStatus {
    /// Not asked yet.
    Wait,
    /// Being keyed.
    Live,
    /// Valid.
    Ok,
    /// Refused or abandoned; must be asked again.
    Bad,
}

/// Why a field was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The check digit does not fit: a slip of the finger.
    CheckDigit,
    /// Not a length that this brand has.
    Length,
    /// No brand that we know begins like this.
    UnknownBrand,
    /// Not a month.
    Month,
    /// In the past.
    Expired,
    /// Too far in the future to be true.
    TooFar,
    /// No key came in time; what was keyed is kept.
    TooSlow,
    /// A key may have been lost on the way; the field is asked again.
    KeyLost,
    /// Refused too often; the agent decides what next.
    TooManyTries,
    /// The bank said that this field is wrong.
    BankRefused,
}
