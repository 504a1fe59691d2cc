//! What may be asked of a gateway, and what an answer answers.

use card::Card;
use wire::{Address, AttemptId, MerchantId, Money};

pub use wire::{AttemptKind as Kind, CaptureTime, Initiator, Reason};

/// What to ask of a gateway. Each but [`Inquire`](Self::Inquire) is an attempt of its own: its id is the idempotency
/// key, and our reference at the gateway.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    /// Take money from a card, or reserve it.
    Authorize {
        /// Which attempt this is.
        attempt: AttemptId,
        /// How much.
        amount: Money,
        /// From which card.
        card: &'a Card,
        /// For whom.
        merchant: &'a MerchantId,
        /// How.
        terms: Terms<'a>,
    },
    /// Take money that was reserved. What is left of the reservation is given back where `last` says so.
    Capture {
        /// Which attempt this is.
        attempt: AttemptId,
        /// How much: at most what was approved.
        amount: Money,
        /// For whom.
        merchant: &'a MerchantId,
        /// Of which authorization.
        of: Original<'a>,
        /// Does no other capture follow?
        last: bool,
    },
    /// Give back a whole authorization whose money has not been settled.
    Void {
        /// Which attempt this is.
        attempt: AttemptId,
        /// For whom.
        merchant: &'a MerchantId,
        /// Of which authorization.
        of: Original<'a>,
    },
    /// Give back money that was taken.
    Refund {
        /// Which attempt this is.
        attempt: AttemptId,
        /// How much: with all refunds before at most what was captured.
        amount: Money,
        /// For whom.
        merchant: &'a MerchantId,
        /// Of which authorization.
        of: Original<'a>,
    },
    /// Let the gateway keep a card without taking money.
    Store {
        /// Which attempt this is.
        attempt: AttemptId,
        /// Which card.
        card: &'a Card,
        /// For whom.
        merchant: &'a MerchantId,
        /// House number and postcode, and the agreement that the card is kept for. `capture`, `keep` and
        /// `partial_approval` say nothing here.
        terms: Terms<'a>,
    },
    /// Take money from a card that the gateway keeps.
    ChargeStored {
        /// Which attempt this is.
        attempt: AttemptId,
        /// How much.
        amount: Money,
        /// The gateway's token, as [`Approval::token`](crate::Approval::token) gave it.
        token: &'a str,
        /// For whom.
        merchant: &'a MerchantId,
        /// How.
        terms: Terms<'a>,
    },
    /// Let the gateway forget a card.
    DeleteStored {
        /// Which attempt this is.
        attempt: AttemptId,
        /// The gateway's token.
        token: &'a str,
        /// For whom.
        merchant: &'a MerchantId,
    },
    /// What became of an attempt?
    Inquire {
        /// Of what kind it was.
        kind: Kind,
        /// Which.
        attempt: AttemptId,
        /// For whom.
        merchant: &'a MerchantId,
        /// The gateway's own name for it, if an answer gave one.
        locator: Option<&'a str>,
    },
}

/// How money is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// Now or later.
    pub capture: CaptureTime,
    /// House number and postcode, for the bank to compare.
    pub avs: Option<&'a Address>,
    /// Is the gateway to keep the card after an approval, and to answer with a token?
    pub keep: Keep,
    /// May less than the amount be approved? Only where [`Caps::partial_approval`](crate::Caps::partial_approval).
    pub partial_approval: bool,
    /// The agreement with the cardholder that the charge belongs to, where a card is or will be on file.
    pub agreement: Option<Agreement<'a>>,
}

/// What the gateway is to keep of the card after an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    #[default]
    Nothing,
    /// The card, under a token of the gateway's.
    Token,
}

/// A stored-credential agreement, as the card networks want it flagged on every charge that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement<'a> {
    /// Who starts this charge. On a call it is the customer; a schedule's later ones are the merchant's.
    pub initiator: Initiator,
    /// What the agreement is for. It never changes within one agreement.
    pub reason: Reason,
    /// Is this the charge that the agreement begins with?
    pub first: bool,
    /// The network's id of the agreement's first charge; a merchant's charge is refused without it.
    pub network_transaction_id: Option<&'a str>,
}

/// The authorization that a capture, void or refund is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original<'a> {
    /// Our attempt.
    pub attempt: AttemptId,
    /// The gateway's name for it.
    pub gateway_ref: &'a str,
    /// What was approved.
    pub approved: Money,
    /// The gateway's name for the capture whose money is refunded, where it has one.
    pub capture_ref: Option<&'a str>,
}

/// What an answer answers. It carries what the answer must agree with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What the attempt does.
    pub kind: Kind,
    /// Which attempt.
    pub attempt: AttemptId,
    /// How much was asked; none where no money moves ([`Kind::Store`], [`Kind::DeleteStored`]). Of a void it is what was
    /// approved.
    pub amount: Option<Money>,
    /// What the attempt itself got, or what an inquiry found.
    pub asked: Asked,
    /// When the attempt was sent, where that is known: what a gateway has from before or after it is not of the attempt.
    pub sent: Option<SentBetween>,
}

/// Between which times all of an attempt's requests were sent, Unix milliseconds by our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentBetween {
    /// No later than the first byte.
    pub first_unix_ms: i64,
    /// No earlier than the last byte.
    pub last_unix_ms: i64,
}

/// Which question an answer is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To the request itself.
    Directly,
    /// To [`Request::Inquire`].
    ByInquiry {
        /// Has [`Caps::settle_ms`](crate::Caps::settle_ms) gone by since the attempt was sent? Only then "no such charge" is final.
        settled: bool,
    },
}

impl Operation {
    /// What the answer to an attempt answers.
    pub fn direct(kind: Kind, attempt: AttemptId, amount: Option<Money>) -> Self {
        Self { kind, attempt, amount, asked: Asked::Directly, sent: None }
    }

    /// What the answer to an inquiry about it answers.
    pub fn inquiry(self, settled: bool) -> Self {
        Self { asked: Asked::ByInquiry { settled }, ..self }
    }

    /// Is it the answer to an inquiry?
    pub fn is_inquiry(self) -> bool {
        self.asked != Asked::Directly
    }

    /// Is this an answer about that attempt, and of what was asked: the whole amount, or, where that is possible, a part?
    /// `approved` is none where the gateway names no amount, which is right where no money moves.
    pub fn agrees(self, reference: AttemptId, approved: Option<Money>) -> bool {
        let amount_agrees = match (self.amount, approved) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(asked), Some(approved)) => {
                let least = if self.kind.may_be_partial() { 1 } else { asked.minor };
                asked.currency == approved.currency && (least..=asked.minor).contains(&approved.minor)
            }
        };
        self.attempt == reference && amount_agrees
    }
}

impl Request<'_> {
    /// What the answer to it will answer. Of an inquiry: the attempt, asked [`Asked::Directly`] and without an amount;
    /// whoever follows an attempt knows the whole of it ([`Following`](crate::Following)).
    pub fn operation(&self) -> Operation {
        let (kind, attempt, amount) = match *self {
            Self::Authorize { attempt, amount, .. } => (Kind::Authorize, attempt, Some(amount)),
            Self::Capture { attempt, amount, .. } => (Kind::Capture, attempt, Some(amount)),
            Self::Void { attempt, of, .. } => (Kind::Void, attempt, Some(of.approved)),
            Self::Refund { attempt, amount, .. } => (Kind::Refund, attempt, Some(amount)),
            Self::Store { attempt, .. } => (Kind::Store, attempt, None),
            Self::ChargeStored { attempt, amount, .. } => (Kind::ChargeStored, attempt, Some(amount)),
            Self::DeleteStored { attempt, .. } => (Kind::DeleteStored, attempt, None),
            Self::Inquire { kind, attempt, .. } => (kind, attempt, None),
        };
        Operation::direct(kind, attempt, amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Currency;

    const fn pounds(minor: i64) -> Money {
        Money { minor, currency: Currency::GBP }
    }

    #[test]
    fn an_answer_must_speak_of_the_attempt_and_of_no_more_than_was_asked() {
        let (mine, other) = (AttemptId::from_random(1), AttemptId::from_random(2));
        let operation = Operation::direct(Kind::Authorize, mine, Some(pounds(100)));
        assert!(operation.agrees(mine, Some(pounds(100))) && operation.agrees(mine, Some(pounds(40))));
        assert!(!operation.agrees(other, Some(pounds(100))) && !operation.agrees(mine, Some(pounds(101))));
        assert!(!operation.agrees(mine, Some(pounds(0))) && !operation.agrees(mine, None));
        assert!(!operation.agrees(mine, Some(Money { minor: 100, currency: Currency::EUR })));
    }

    #[test]
    fn only_an_authorization_may_be_done_in_part() {
        let mine = AttemptId::from_random(1);
        for kind in Kind::ALL {
            let operation = Operation::direct(kind, mine, Some(pounds(100)));
            assert!(operation.agrees(mine, Some(pounds(100))), "{kind:?}");
            assert_eq!(operation.agrees(mine, Some(pounds(99))), kind.may_be_partial(), "{kind:?}");
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
        }
        assert!(Operation::direct(Kind::Store, mine, None).agrees(mine, None));
    }
}
