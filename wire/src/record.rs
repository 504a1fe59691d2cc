//! What must not be lost. Records wait in the cde's journal, in order, until the office has acknowledged them.

use crate::{
    Advice, AttemptId, AttemptKind, CallId, CaptureTime, CardView, Checks, Extension, HookState, HookTrouble, KeptCard,
    LineState, MerchantId, Money, NotKept, PaymentId, Token,
};
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
    AttemptSent(AttemptSent),
    /// The outcome of an attempt. A later one for the same attempt replaces `Unknown`, nothing else.
    AttemptEnded {
        /// Which attempt.
        attempt: AttemptId,
        /// Of which payment.
        payment: PaymentId,
        /// How it ended.
        outcome: Outcome,
    },
    /// What the network advised with a decline. Written with the attempt's end, before it.
    Advised {
        /// Which attempt.
        attempt: AttemptId,
        /// Of which payment.
        payment: PaymentId,
        /// Whether it may be tried again.
        advice: Advice,
    },
    /// The card of an attempt is kept. Written with the attempt's end, before it.
    CardKept {
        /// Which attempt.
        attempt: AttemptId,
        /// Of which payment.
        payment: PaymentId,
        /// The card.
        kept: KeptCard,
    },
    /// The card of an approved attempt was to be kept and is not. Written with the attempt's end, before it.
    CardNotKept {
        /// Which attempt.
        attempt: AttemptId,
        /// Of which payment.
        payment: PaymentId,
        /// Why.
        why: NotKept,
    },
    /// A kept card cannot be charged any more. The vault has shredded it, if it had it; its gateway is asked to delete it, and
    /// has not said yet that it has.
    CardForgetting {
        /// Whose.
        merchant: MerchantId,
        /// Which.
        token: Token,
    },
    /// A kept card is forgotten, by whoever had it, and cannot be charged any more.
    CardForgotten {
        /// Whose.
        merchant: MerchantId,
        /// Which.
        token: Token,
        /// Who says so where its gateway has not; none where it is the word of whoever had the card.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_hand: Option<ByHand>,
    },
    /// Something that the audit trail must show.
    Audit(AuditEvent),
    /// An attempt, told again to an office that was restored and misses records that are not here any more: from the row of the
    /// attempt, as it stands now.
    AttemptToldAgain(Box<ToldAgain>),
    /// The office has forgotten records that it had acknowledged: it was restored from a backup, or is a new one. Those of them
    /// that are still here come before this, and so does every attempt where some are gone.
    OfficeRestored(Restored),
}

/// An attempt, and what it is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptSent {
    /// Which attempt.
    pub attempt: AttemptId,
    /// What it does.
    #[serde(default)]
    pub kind: AttemptKind,
    /// Of which payment.
    pub payment: PaymentId,
    /// On which call.
    pub call: CallId,
    /// The extension of the call: who may see the payment, whether or not the office knows it already.
    pub extension: Extension,
    /// Who had it sent.
    pub origin: Origin,
    /// For whom.
    pub merchant: MerchantId,
    /// How much.
    pub amount: Money,
    /// Of what takes money: when it is taken. None for anything else, and in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureTime>,
    /// The card, masked; none for what follows an authorization.
    pub card: Option<CardView>,
}

/// An attempt as its row tells it. Who had it sent, and each step on the way, are not in there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldAgain {
    /// Which attempt. The record has the time at which it was sent.
    pub attempt: AttemptId,
    /// What it does.
    pub kind: AttemptKind,
    /// Of which payment.
    pub payment: PaymentId,
    /// Its place among the payment's attempts as they were begun, from 1; 0 in records of earlier versions. A payment's attempts are
    /// told in this order. Clocks, which may be set back, do not tell it.
    #[serde(default)]
    pub place: u32,
    /// On which call.
    pub call: CallId,
    /// The extension of the call.
    pub extension: Extension,
    /// For whom.
    pub merchant: MerchantId,
    /// How much.
    pub amount: Money,
    /// Of an authorization: when its money is taken.
    #[serde(default)]
    pub capture: CaptureTime,
    /// The card, masked; none where there is none, or an earlier version has not noted it.
    pub card: Option<CardView>,
    /// Of a bounced call: what the contact centre calls what is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<crate::Reference>,
    /// How it stands: unknown while it is awaited. Of a decline that an earlier version has written the class is not known
    /// any more, nor of an approval the code.
    pub outcome: Outcome,
    /// Of an attempt by which a card was kept: the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptCard>,
    /// That card cannot be charged any more, and its gateway has not said yet that it is deleted.
    #[serde(default)]
    pub is_forgetting: bool,
    /// That card is forgotten.
    #[serde(default)]
    pub is_forgotten: bool,
    /// Who says so where its gateway has not; none where it is the word of whoever had the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<ByHand>,
}

/// What an office has forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The newest record that it still has; 0: none.
    pub stored: u64,
    /// The newest that it had acknowledged.
    pub acknowledged: u64,
    /// When the oldest of the forgotten ones that is still here was written, Unix milliseconds; none: none is.
    pub since_unix_ms: Option<i64>,
    /// How many of the forgotten ones are here no more.
    pub gone: u64,
    /// How many attempts were told again for that.
    pub told_again: u64,
}

/// Two people who say what no gateway has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// The office's id of who has said it.
    pub said_by: i64,
    /// Of who has confirmed it.
    pub confirmed_by: i64,
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
    /// The recorders elsewhere that are to pause while the line is not open.
    Recorders {
        /// Where they stand.
        state: HookState,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<HookTrouble>,
        /// The payment that is taken meanwhile, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payment: Option<PaymentId>,
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
    /// An agent has added us to a conference: the agent, and whoever records it, can hear the keys that are pressed in it.
    ConferenceJoined,
    /// A payment is taken in a conference: the agent could hear its keys. No line was masked for it.
    HeardByAgent {
        /// Which.
        payment: PaymentId,
    },
    /// The agent has proved who they are by the keys of their phone.
    PinAccepted,
    /// A contact centre has sent the caller to pay alone.
    Bounced {
        /// Which payment it is.
        payment: PaymentId,
        /// How much.
        amount: Money,
        /// Whose money it is; none in records of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        merchant: Option<MerchantId>,
        /// What the contact centre calls it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<crate::Reference>,
    },
    /// The caller is sent back to the contact centre with this.
    BouncedBack {
        /// Which payment.
        payment: PaymentId,
        /// What the contact centre is told of it.
        result: crate::BounceResult,
        /// What the contact centre calls it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<crate::Reference>,
    },
    /// The call has ended before the caller was sent back: the contact centre was told nothing, and this is how the payment stood.
    BounceEnded {
        /// Which payment.
        payment: PaymentId,
        /// What it would have been told.
        result: crate::BounceResult,
        /// What the contact centre calls it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<crate::Reference>,
    },
    /// A call that was to be paid alone was not taken.
    BounceRefused {
        /// Why.
        why: crate::BounceRefusal,
    },
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
    /// The gateway has not deleted a card that is to be forgotten, after several tries. They go on.
    NotForgotten,
    /// A kept card was not charged, and it was stored by another credential of its gateway than the one of now: where that is another
    /// account's, no charge of such a card can succeed.
    OtherAccount,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As journals have it on disk, of before and of after `kind` and `capture` were told.
    #[test]
    fn an_attempt_that_was_sent_stands_flat_in_its_record() {
        let of = |more: &str| {
            let (id, call) = ("01a21916-df68-76ca-b0d6-c9c22c04eefa", "01a21916-df68-76ca-b0d6-c9c22c04eefb");
            let money = r#"{"minor":4200,"currency":"GBP"}"#;
            format!(
                r#"{{"record":"attempt_sent","attempt":"{id}",{more}"payment":"{id}","call":"{call}","extension":"1001","origin":{{"by":"system"}},"merchant":"main","amount":{money},"card":null}}"#
            )
        };
        let before: RecordBody = serde_json::from_str(&of("")).unwrap();
        let RecordBody::AttemptSent(sent) = &before else { panic!("{before:?}") };
        assert_eq!((sent.kind, sent.capture, sent.amount.minor), (AttemptKind::Authorize, None, 4200));
        assert_eq!(serde_json::to_string(&before).unwrap(), of(r#""kind":"authorize","#));
    }
}
