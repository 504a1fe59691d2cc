//! What a gateway's answer means.

use wire::{Checks, DeclineClass, Money, Outcome};

pub use wire::Advice;

/// What an answer means. What of it the office may learn is [`Answer::outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done: authorized, captured, voided, refunded, stored, charged or forgotten.
    Approved(Approval),
    /// The bank or gateway said no; nothing was done.
    Declined {
        /// What kind of no.
        class: DeclineClass,
        /// The network's code, if the gateway passed one on.
        network_code: Option<String>,
        /// Whether and when it may be tried again.
        advice: Option<Advice>,
    },
    /// Proved not executed: it may be built and sent again, also elsewhere.
    Rejected,
    /// The gateway has it and is not done with it. It is asked for until it is.
    Pending {
        /// The gateway's own name for it.
        locator: Option<String>,
    },
    /// The cardholder is wanted online, which on a telephone order is a misconfiguration: no money is taken, and an
    /// alarm is due.
    ActionRequired,
    /// Not known. It is settled by asking, never by a guess.
    Unknown {
        /// The gateway's own name for it, if anything gave one.
        locator: Option<String>,
    },
    /// Only to an inquiry: the gateway, asked after its settle window, does not know the attempt.
    Abandoned,
}

/// What an approval says. Every text has passed [`text::clean`](crate::text::clean).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approval {
    /// The bank's authorization code; empty where there is none.
    pub auth_code: String,
    /// The gateway's own name for what was done.
    pub gateway_ref: String,
    /// How much was approved: for an authorization it may be less than was asked. None where no money moves.
    pub amount: Option<Money>,
    /// The network's id of the charge, for the later ones of an agreement.
    pub network_transaction_id: Option<String>,
    /// What the bank compared.
    pub checks: Checks,
    /// The gateway's token, where the card was to be kept. Never a card number.
    pub token: Option<String>,
}

impl Answer {
    /// Nothing is known, and nothing that could be asked for.
    pub const UNKNOWN: Self = Self::Unknown { locator: None };

    /// Is this a last word? What is not one is asked for.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Unknown { .. } | Self::Pending { .. })
    }

    /// The gateway's own name for the attempt, as far as this answer gives it.
    pub fn locator(&self) -> Option<&str> {
        match self {
            Self::Approved(approval) => Some(approval.gateway_ref.as_str()).filter(|name| !name.is_empty()),
            Self::Pending { locator } | Self::Unknown { locator } => locator.as_deref(),
            Self::Declined { .. } | Self::Rejected | Self::ActionRequired | Self::Abandoned => None,
        }
    }

    /// What the office, the switchboard and the journal's state learn of it. `asked` is what was asked for, and what an
    /// approval that names no amount is of.
    pub fn outcome(&self, asked: Money) -> Outcome {
        match self {
            Self::Approved(approval) => Outcome::Approved {
                auth_code: approval.auth_code.clone(),
                gateway_ref: approval.gateway_ref.clone(),
                amount: approval.amount.unwrap_or(asked),
                checks: approval.checks,
            },
            Self::Declined { class, network_code, .. } => {
                Outcome::Declined { class: *class, network_code: network_code.clone() }
            }
            Self::ActionRequired => {
                Outcome::Declined { class: DeclineClass::AuthenticationRequired, network_code: None }
            }
            Self::Rejected => Outcome::Rejected,
            Self::Pending { .. } | Self::Unknown { .. } => Outcome::Unknown,
            Self::Abandoned => Outcome::Abandoned,
        }
    }
}
