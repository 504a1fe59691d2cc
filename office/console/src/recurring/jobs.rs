//! Agreements, payments that are due, and tries of them: what they are, and what follows from how a try ends.

use super::ChargeOrder;
use super::messages::Kind;
use crate::secret::sha256;
use jiff::civil::{Date, Time};
use recurring::{Agreement, Reason};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wire::{Brand, CardView, Extension, MerchantId, Money, NetworkId, PaymentId, Token};

/// Names an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgreementId(pub Uuid);

/// An agreement to be stored.
#[derive(Clone, Debug)]
pub struct NewAgreement {
    /// Its name.
    pub id: AgreementId,
    /// For whom.
    pub merchant: MerchantId,
    /// The card.
    pub token: Token,
    /// The card, masked.
    pub card: CardView,
    /// The customer's account, as the merchant names it.
    pub account: Option<String>,
    /// Name of the time zone, such as `Europe/London`.
    pub zone: String,
    /// The time of day there at which payments are taken.
    pub time: Time,
    /// Why the card is stored.
    pub reason: Reason,
    /// The network's id of the first payment, where the card side has none noted with the card.
    pub network_id: Option<NetworkId>,
    /// The payment that it began with.
    pub payment: Option<PaymentId>,
    /// Whose desk shows it.
    pub extension: Extension,
    /// Where the customer is told of it: an e-mail address or a telephone number.
    pub contact: Option<String>,
    /// Days before a payment on which the customer is reminded; 0: never.
    pub remind_days: u8,
    /// Who has made it.
    pub made_by: Option<String>,
    /// What was agreed on.
    pub agreement: Agreement,
}

/// Where a payment that was due stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DueState {
    /// To be taken, now or again later.
    Waiting,
    /// Asked for; the outcome is not known.
    Sent,
    /// Taken.
    Paid,
    /// Given up.
    Failed,
    /// Skipped.
    Skipped,
}

/// A payment that was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    /// Its number.
    pub number: u32,
    /// Its day.
    pub day: Date,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub state: DueState,
    /// How often it was tried.
    pub tries: u32,
    /// The payment that its tries are attempts of.
    pub payment: Option<String>,
    /// Unix milliseconds: when it is tried next, or asked after.
    pub ready_at: i64,
    /// Unix milliseconds: since when it is to be taken; of one that was declined and is tried again, that time.
    pub due_at: i64,
    /// Why it is not taken, in a stable word.
    pub trouble: Option<String>,
}

/// An agreement with what has become of its payments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is to come.
    pub agreement: Agreement,
    /// What has been.
    pub due: Vec<Due>,
}

/// A payment that this scheduler holds for a while.
pub(crate) struct Job {
    pub(crate) order: ChargeOrder,
    pub(crate) brand: Brand,
    /// Its try was never asked for before.
    pub(crate) is_fresh: bool,
    /// How often it was proved, one time after the other, that nothing was done.
    pub(crate) refused: u32,
    /// Unix milliseconds: no try is begun after this; none: at any time.
    pub(crate) late_at: Option<i64>,
    /// The day on which it was due.
    pub(crate) day: Date,
    pub(crate) agreement: AgreementId,
    pub(crate) number: i64,
    /// The lease: each has another one, and an older one writes nothing.
    pub(crate) fence: i64,
}

/// What becomes of it.
pub(crate) enum End {
    Paid,
    /// Declined: another try, under another id, and not so much later.
    Again {
        ready_at: i64,
        late_at: i64,
    },
    /// Proved not to have been done: another try, under another id.
    NotDone {
        ready_at: i64,
    },
    /// The same, and a further try would be too late.
    Missed,
    /// The same try is asked after.
    Ask {
        ready_at: i64,
    },
    Failed {
        cancel: bool,
        trouble: &'static str,
    },
}

impl Job {
    /// One that was asked for before may never have come to the card side: it begins there only while it still might.
    pub(crate) fn is_in_time(&self, now_ms: i64) -> bool {
        self.late_at.is_none_or(|late_at| late_at >= now_ms)
    }
}

/// What a try leaves of its payment when it has ended in some way.
pub(crate) struct Left {
    pub(crate) state: DueState,
    /// Unix milliseconds.
    pub(crate) ready_at: i64,
    /// Of the try, in a stable word; none: it is not known.
    pub(crate) outcome: Option<&'static str>,
    pub(crate) trouble: Option<&'static str>,
}

/// When a further try is due, and until when; and how often nothing was done.
pub(crate) struct Plan {
    /// Unix milliseconds: since when, and until when; none: as before.
    pub(crate) times: Option<(i64, i64)>,
    pub(crate) refused: u32,
}

impl End {
    /// What is left of it at this moment.
    pub(crate) fn left(&self, now_ms: i64) -> Left {
        let (state, ready_at, outcome, trouble) = match self {
            Self::Paid => (DueState::Paid, now_ms, Some("approved"), None),
            Self::Again { ready_at, .. } => (DueState::Waiting, *ready_at, Some("declined"), Some("declined")),
            Self::NotDone { ready_at } => (DueState::Waiting, *ready_at, Some("not_done"), Some("not_done")),
            Self::Missed => (DueState::Failed, now_ms, Some("not_done"), Some("not_done")),
            Self::Ask { ready_at } => (DueState::Sent, *ready_at, None, Some("unknown")),
            Self::Failed { trouble, .. } => (DueState::Failed, now_ms, Some("declined"), Some(*trouble)),
        };
        Left { state, ready_at, outcome, trouble }
    }

    /// Could it be taken by a further try? Of an agreement that was canceled meanwhile that is agreed on by nobody.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Again { .. } | Self::NotDone { .. } | Self::Missed)
    }

    /// None: nothing is planned.
    pub(crate) fn plan(&self, job: &Job) -> Option<Plan> {
        match self {
            Self::Again { ready_at, late_at } => Some(Plan { times: Some((*ready_at, *late_at)), refused: 0 }),
            Self::NotDone { .. } => Some(Plan { times: None, refused: job.refused.saturating_add(1) }),
            _ => None,
        }
    }

    /// Has the payer revoked the whole agreement?
    pub(crate) fn cancels(&self) -> bool {
        matches!(self, Self::Failed { cancel: true, .. })
    }

    /// What the customer is told of it.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Paid => Some(Kind::Receipt),
            Self::Failed { .. } => Some(Kind::Failed),
            Self::Missed => Some(Kind::Missed),
            Self::Again { .. } | Self::NotDone { .. } | Self::Ask { .. } => None,
        }
    }
}

impl AgreementId {
    /// The id of a payment that is due, from its agreement and number alone: an office whose database was restored from an older
    /// copy asks for the same payment, of which the cde lets only one attempt take money. It begins as the agreement's id does,
    /// which tells its time; the rest is a hash, in the form of a UUID of version 8 (RFC 9562, section 5.8).
    pub(crate) fn payment(self, number: i64) -> PaymentId {
        let hash = sha256(format!("tonewall due payment {} {number}", self.0).as_bytes());
        let mut bytes = self.0.into_bytes();
        bytes.iter_mut().skip(6).zip(&hash).for_each(|(byte, hashed)| *byte = *hashed);
        PaymentId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}
