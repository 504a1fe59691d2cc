//! One attempt at the gateway and the card that it owns.

use card::{Card, Expiry, Pan};
use std::time::Instant;
use wire::{AttemptId, DeclineClass, Field, MerchantId, Money, Outcome, PaymentOrder};

/// What a gateway's request is built from. It borrows: the card stays where it is.
pub struct Sending<'a> {
    /// The card.
    pub card: &'a Card,
    /// How much.
    pub amount: Money,
    /// For whom.
    pub merchant: &'a MerchantId,
    /// How it is to be taken.
    pub order: &'a PaymentOrder,
}

/// An attempt in flight.
pub(crate) struct Authorization {
    pub(crate) attempt: AttemptId,
    /// Gone when the caller hung up before the outcome.
    pub(crate) card: Option<Card>,
    /// May anything of the card be kept after the outcome? Not once the line has left `secured`.
    pub(crate) keep: bool,
    /// When the card must go even if every attempt is proved not executed; set by the first such proof.
    pub(crate) keep_until: Option<Instant>,
}

/// What a decline leaves of a card: the refused field is asked again, the code in any case.
pub(crate) struct Remains {
    pub(crate) pan: Pan,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) refused: Field,
}

/// Splits a declined card. Only a wrong code or date leaves anything; the code itself is wiped here.
pub(crate) fn after_decline(card: Card, class: DeclineClass) -> Option<Remains> {
    let Card { pan, expiry, cvv } = card;
    let asked_cvv = cvv.is_some();
    drop(cvv);
    match class {
        DeclineClass::WrongCvv if asked_cvv => Some(Remains { pan, expiry: Some(expiry), refused: Field::Cvv }),
        DeclineClass::ExpiredCard => Some(Remains { pan, expiry: None, refused: Field::Expiry }),
        _ => None,
    }
}

/// May it replace `Unknown`?
pub(crate) fn settles(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Approved { .. } | Outcome::Declined { .. } | Outcome::Abandoned)
}
