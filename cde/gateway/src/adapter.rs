//! What every gateway implements, and what it says of itself.

use crate::http::{HttpRequest, Sent};
use card::Card;
use wire::{AttemptId, MerchantId, Money, Outcome};

/// One gateway. Adapters keep nothing between calls.
pub trait Adapter: Send + Sync {
    /// The bytes for a request.
    fn build(&self, request: &Request<'_>) -> HttpRequest;

    /// What the answer to it means. Total: whatever a gateway sends has an outcome, by the outcome law.
    fn parse(&self, operation: Operation, sent: Sent) -> Outcome;

    /// What the gateway can do.
    fn caps(&self) -> &Caps;
}

/// What to ask of a gateway.
pub enum Request<'a> {
    /// Take money from a card.
    Authorize {
        /// The attempt: idempotency key and reference.
        attempt: AttemptId,
        /// How much.
        amount: Money,
        /// From which card.
        card: &'a Card,
        /// For whom.
        merchant: &'a MerchantId,
    },
    /// What became of an attempt?
    Inquire {
        /// Which.
        attempt: AttemptId,
    },
}

/// What an answer answers. It carries what the answer must agree with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Request::Authorize`].
    Authorize {
        /// Which attempt.
        attempt: AttemptId,
        /// How much was asked.
        amount: Money,
    },
    /// [`Request::Inquire`].
    Inquire {
        /// Which attempt.
        attempt: AttemptId,
        /// How much was asked.
        amount: Money,
        /// Has [`Caps::settle_ms`] gone by since the attempt was sent? Only then "no such charge" is final.
        settled: bool,
    },
}

impl Operation {
    /// Is this an answer about that attempt, of no more than what was asked, in its currency?
    pub fn agrees(self, reference: AttemptId, approved: Money) -> bool {
        let (Self::Authorize { attempt, amount } | Self::Inquire { attempt, amount, .. }) = self;
        attempt == reference && amount.currency == approved.currency && (1..=amount.minor).contains(&approved.minor)
    }
}

/// What a gateway can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The adapter's name in the cde's file.
    pub name: &'static str,
    /// How it learns that a charge is a telephone order.
    pub moto: Moto,
    /// How it keeps a repeated request from being a second charge.
    pub idempotency: Idempotency,
    /// How it can be asked what became of an attempt.
    pub inquiry: Inquiry,
    /// After this time a charge that the gateway does not know will not appear any more.
    pub settle_ms: u64,
    /// Does it move real money?
    pub live: bool,
    /// Has it been checked against software that is not ours?
    pub verified: bool,
}

/// How a gateway learns that a charge is a mail or telephone order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moto {
    /// Each authorization says so.
    Flag,
    /// By an account or route that only takes such orders; the cde's file must confirm it.
    ByRoute,
    /// It handles no cards.
    NotCard,
}

/// How a gateway keeps a repeated request from being a second charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// By a key sent with the request.
    Key,
    /// Not at all.
    None,
}

/// How a gateway can be asked what became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// By our own reference.
    ByReference,
    /// Not at all: an unknown outcome is settled by people.
    None,
}

/// Why a gateway keeps the process from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// Charges would count as e-commerce, with another liability and other rules.
    #[error(
        "gateway {name}: it cannot flag a telephone order, so its account must be one for telephone orders only; \
         confirm that with moto_confirmed = true in cde.toml"
    )]
    MotoNotConfirmed {
        /// The adapter's name.
        name: &'static str,
    },
}

/// May the process start with this gateway?
pub fn check_startup(caps: &Caps, moto_confirmed: bool) -> Result<(), StartupError> {
    match caps.moto {
        Moto::Flag | Moto::NotCard => Ok(()),
        Moto::ByRoute if moto_confirmed => Ok(()),
        Moto::ByRoute => Err(StartupError::MotoNotConfirmed { name: caps.name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Currency;

    fn caps(moto: Moto) -> Caps {
        Caps {
            name: "test",
            moto,
            idempotency: Idempotency::None,
            inquiry: Inquiry::None,
            settle_ms: 0,
            live: false,
            verified: false,
        }
    }

    #[test]
    fn a_card_gateway_without_a_telephone_flag_starts_only_when_its_route_is_confirmed() {
        assert!(check_startup(&caps(Moto::ByRoute), false).is_err());
        assert_eq!(check_startup(&caps(Moto::ByRoute), true), Ok(()));
        for moto in [Moto::Flag, Moto::NotCard] {
            assert_eq!(check_startup(&caps(moto), false), Ok(()));
        }
    }

    #[test]
    fn an_answer_must_speak_of_the_attempt_and_of_no_more_than_was_asked() {
        let pounds = |minor| Money { minor, currency: Currency::GBP };
        let (mine, other) = (AttemptId::from_random(1), AttemptId::from_random(2));
        let operation = Operation::Authorize { attempt: mine, amount: pounds(100) };
        assert!(operation.agrees(mine, pounds(100)) && operation.agrees(mine, pounds(40)));
        assert!(!operation.agrees(other, pounds(100)) && !operation.agrees(mine, pounds(101)));
        assert!(!operation.agrees(mine, pounds(0)));
        assert!(!operation.agrees(mine, Money { minor: 100, currency: Currency::EUR }));
    }
}
