//! What a request's body says. One shape for all nouns; which members are wanted depends on the noun.

use card::YearMonth;
use serde::Deserialize;
use wire::{Address, Currency, MerchantId, Money};

#[derive(Deserialize)]
pub(super) struct Order<'a> {
    amount: Option<i64>,
    currency: Option<Currency>,
    pub(super) merchant: MerchantId,
    channel: Option<&'a str>,
    pub(super) reference: &'a str,
    #[serde(borrow)]
    pub(super) card: Option<OrderCard<'a>>,
    pub(super) token: Option<&'a str>,
    capture: Option<&'a str>,
    #[serde(default)]
    pub(super) partial: bool,
    #[serde(default)]
    pub(super) store: bool,
    pub(super) avs: Option<Address>,
    #[serde(borrow)]
    pub(super) agreement: Option<Agreement<'a>>,
    /// The bank's own name for a charge.
    pub(super) of: Option<&'a str>,
    #[serde(default)]
    pub(super) last: bool,
}

/// Borrowed from the request: of the card nothing else is made here.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct OrderCard<'a> {
    pub(super) number: &'a str,
    exp_month: u8,
    exp_year: u16,
    pub(super) cvv: Option<&'a str>,
}

#[derive(Deserialize)]
pub(super) struct Agreement<'a> {
    initiator: &'a str,
    pub(super) reason: &'a str,
    pub(super) network_transaction_id: Option<&'a str>,
}

impl<'a> Order<'a> {
    /// Nothing where it does not make sense by itself.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let order: Self = serde_json::from_slice(body).ok()?;
        let reference = order.reference;
        let named = (1..=super::NAME_BYTES_MAX).contains(&reference.len()) && !wire::name_pan_like(reference);
        let card_sound = order.card.is_none_or(|card| {
            (1..=12).contains(&card.exp_month) && card.cvv.is_none_or(|cvv| matches!(cvv.len(), 3 | 4))
        });
        let words = matches!(order.capture, None | Some("now" | "later"))
            && order.agreement.as_ref().is_none_or(|agreement| {
                matches!(agreement.initiator, "customer" | "merchant")
                    && matches!(agreement.reason, "recurring" | "installment" | "unscheduled")
            });
        (named && card_sound && words).then_some(order)
    }

    pub(super) fn money(&self) -> Option<Money> {
        let money = Money { minor: self.amount?, currency: self.currency? };
        money.payable().then_some(money)
    }

    pub(super) fn moto(&self) -> bool {
        self.channel == Some("moto")
    }

    /// Does the merchant start it, by one word or the other?
    pub(super) fn by_merchant(&self) -> bool {
        self.channel == Some("merchant")
            || self.agreement.as_ref().is_some_and(|agreement| agreement.initiator == "merchant")
    }

    pub(super) fn later(&self) -> bool {
        self.capture == Some("later")
    }
}

impl OrderCard<'_> {
    pub(super) fn expiry(&self) -> YearMonth {
        YearMonth { year: self.exp_year, month: self.exp_month }
    }
}
