//! What must not be lost. Records wait in the cde's journal, in order, until the office has acknowledged them.

use crate::{AttemptId, AttemptKind, CallId, CardView, Checks, Extension, LineState, MerchantId, Money, PaymentId};
use serde::{Deserialize, Serialize};

/// One row of the journal on its way to the office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the journal, from 1, without gaps. The office skips what it has seen.
    pub number: u64,
    /// When it was written, Unix milliseconds.
    pub at_unix_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub body: RecordBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum RecordBody {
    /// An attempt is about to be sent: from here on the money may have moved.
    AttemptSent {
        /// Which attempt.
        attempt: AttemptId,
        /// What it does.
        #[serde(default)]
        kind: AttemptKind,
        /// Of which payment.
        payment: PaymentId,
        /// On which call.
        call: CallId,
        /// The extension of the call: who may see the payment, whether or not the office knows it already.
        extension: Extension,
        /// Who had it sent.
        origin: Origin,
        /// For whom.
        merchant: MerchantId,
        /// How much.
        amount: Money,
        /// The card, masked; none for what follows an authorization.
        card: Option<CardView>,
    },
    /// The outcome of an attempt. A later one for the same attempt replaces `Unknown`, nothing else.
    AttemptEnded {
        /// Which attempt.
        attempt: AttemptId,
        /// Of which payment.
        payment: PaymentId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Something that the audit trail must show.
    Audit(AuditEvent),
}

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is done; of an authorization: the money is authorized.
    Approved {
        /// The bank's authorization code.
        auth_code: String,
        /// The gateway's own name for the charge.
        gateway_ref: String,
        /// How much was approved; may be less than asked.
        amount: Money,
        /// What the bank compared.
        #[serde(default, skip_serializing_if = "Checks::is_empty")]
        checks: Checks,
    },
    /// The bank or gateway said no. Nothing was taken.
    Declined {
        /// What kind of no.
        class: DeclineClass,
        /// The network's code, if the gateway passed one on.
        network_code: Option<String>,
    },
    /// Proved not executed: nothing was taken, and it may be tried again.
    Rejected,
    /// Not known yet. It is settled by asking the gateway, never by a guess.
    Unknown,
    /// Was unknown; the gateway, asked after its settle window, does not know the attempt: nothing was taken.
    Abandoned,
}

impl Outcome {
    /// Is this a last word? Only an unknown outcome is ever replaced.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

/// Kinds of decline, each with its own plain words on the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineClass {
    /// Not enough money, or over a limit (51, 61).
    InsufficientFunds,
    /// The bank gave no reason (05).
    DoNotHonor,
    /// The card has expired (54).
    ExpiredCard,
    /// The security code is wrong (82, N7).
    WrongCvv,
    /// The address does not match, by our rule.
    WrongAddress,
    /// This card cannot be used for this (57, 62, 78).
    NotAllowed,
    /// Lost, stolen or fraud (04, 41, 43, 59).
    LostOrStolen,
    /// No such card or account (14, 15, 46).
    NoSuchCard,
    /// The bank wants the cardholder online (65, 1A).
    AuthenticationRequired,
    /// The bank cannot answer (91, 96).
    BankDown,
    /// Anything else.
    Other,
}

/// Who caused something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Origin {
    /// A signed-in user; the office's own id for them, never free text.
    User {
        /// The office's id.
        id: i64,
    },
    /// The caller, by keys or by hanging up.
    Caller,
    /// The agent's phone.
    AgentPhone,
    /// Tonewall itself: a timer, a rule, a fault.
    System,
}

/// A row of the audit trail: who, what, on which call, with what result (PCI DSS 10.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Who.
    pub origin: Origin,
    /// On which call.
    pub call: CallId,
    /// The extension of the call, so that the row can be found without the call.
    pub extension: Extension,
    /// What.
    #[serde(flatten)]
    pub action: AuditAction,
}

/// What happened, as the audit trail says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum AuditAction {
    /// A call came in.
    CallStarted,
    /// The agent answered.
    CallAnswered,
    /// The call is over.
    CallEnded {
        /// How.
        end: crate::CallEnd,
    },
    /// The line changed.
    Line {
        /// To what.
        line: LineState,
    },
    /// Masking could not be proved, or a suspicious frame was seen on the agent leg.
    Alarm {
        /// What kind, in fixed words.
        kind: AlarmKind,
    },
    /// A payment was ordered.
    PaymentStarted {
        /// Which.
        payment: PaymentId,
        /// How much.
        amount: Money,
    },
    /// A payment was canceled before an outcome.
    PaymentCancelled {
        /// Which.
        payment: PaymentId,
    },
    /// Nothing of a security code is held any more.
    CodeWiped {
        /// Of which payment.
        payment: PaymentId,
        /// Since its last key, in microseconds.
        lived_us: u64,
    },
    /// What the witness has heard of this call's agent leg, as it was encoded, since the row of this kind before: one row
    /// each time a masked line is opened, and one at the end of the call.
    Witnessed {
        /// Frames of 20 ms.
        frames: u64,
        /// Those that sounded like a key; they were not sent, and the first one muted the leg.
        suspicious: u64,
        /// The largest part of 20 ms that the two tones of a key held, in thousandths, in the whole call.
        worst_permille: u16,
    },
    /// The recorder that is to have the call.
    Recording {
        /// What became of it.
        recording: RecordingState,
    },
    /// How the legs of a call have fared; when it is over.
    Figures {
        /// Of its legs.
        figures: crate::CallFigures,
    },
    /// Something about a payment's money that people must look at.
    Money {
        /// Which payment.
        payment: PaymentId,
        /// What.
        alarm: MoneyAlarm,
    },
    /// A caller may be transferred to us, once.
    TransferAwaited,
    /// The caller has been transferred to us.
    Transferred,
    /// Nobody was transferred in time, or the agent has asked anew.
    TransferExpired,
    /// The agent has proved who they are by the keys of their phone.
    PinAccepted,
    /// A transfer, or a PIN, was not taken.
    TransferRefused {
        /// Why.
        why: TransferRefusal,
    },
    /// A command was refused.
    Refused {
        /// Why.
        reason: crate::Refusal,
    },
}

/// Why a transfer or a PIN was not taken. What was dialed or keyed is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferRefusal {
    /// A code that is not, or not any more, or another trunk's.
    WrongCode,
    /// Too many wrong ones before.
    Locked,
    /// Who was to be the caller is an extension of the agents.
    InternalCaller,
    /// Not the agent's PIN.
    WrongPin,
    /// Several agents wait for a transfer to the same number, and the PBX does not say whose it is.
    Ambiguous,
}

/// Kinds of alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// The media thread gave no proof in time.
    ProofMissing,
    /// Something other than generated sound was about to reach the agent.
    LeakSuspected,
    /// The caller pressed six keys in a row while the line was open.
    KeysOnOpenLine,
    /// A call that must be recorded was not, and was ended.
    NotRecorded,
}

/// What people must look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoneyAlarm {
    /// Approved after the caller had left. It is kept.
    LateApproval,
    /// Approved after the caller had left, and given back by the merchant's rule.
    LateApprovalReversed,
    /// Approved although address or security code do not match; the merchant's rule wants somebody to look at it.
    Review,
    /// Approved although address or security code do not match, and given back by the merchant's rule.
    ChecksFailed,
    /// An approval that was to be given back could not be.
    NotReversed,
    /// The gateway cannot be asked what became of an attempt: two people must find out and say.
    NeedsPeople,
    /// The bank wanted the cardholder online, which a telephone order never does: the gateway's account is set up wrongly.
    NotMoto,
    /// The cardholder's bank takes the money back.
    Disputed,
    /// The gateway took back what it had said was done: a capture or a refund failed after all.
    Undone,
    /// The gateway says of an attempt that it ended otherwise than is written here: money may have moved, or may not have,
    /// against what was told.
    EndedOtherwise,
}

/// What became of a recorder that is to have a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// It is sent what both sides are.
    Started,
    /// It is sent nothing any more, and is called again.
    Lost,
    /// It is not called any more.
    Failed,
}
