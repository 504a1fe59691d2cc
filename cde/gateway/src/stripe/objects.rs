//! What Stripe's objects say, as far as we read them (docs.stripe.com/api).

use super::{ATTEMPT_KEY, FENCE_KEY};
use crate::request::Kind;
use crate::text;
use crate::webhook::{GatewayEvent, Says};
use serde::Deserialize;
use std::collections::BTreeMap;
use wire::{AttemptId, Check, Checks, Currency, Money};

/// Any object: what it is and which.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) object: String,
}

/// Metadata of ours; values of others are of no interest.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Metadata(BTreeMap<String, serde_json::Value>);

impl Metadata {
    pub(super) fn attempt(&self) -> Option<AttemptId> {
        self.named(ATTEMPT_KEY)
    }

    /// Of which attempt it keeps the idempotency key taken.
    pub(super) fn fences(&self) -> Option<AttemptId> {
        self.named(FENCE_KEY)
    }

    fn named(&self, key: &str) -> Option<AttemptId> {
        self.0.get(key)?.as_str()?.parse().ok()
    }
}

/// A PaymentIntent.
#[derive(Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) status: String,
    /// Unix seconds.
    pub(super) created: Option<i64>,
    amount: i64,
    amount_received: Option<i64>,
    amount_capturable: Option<i64>,
    currency: String,
    #[serde(default)]
    pub(super) metadata: Metadata,
    pub(super) customer: Option<String>,
    pub(super) payment_method: Option<String>,
    pub(super) setup_future_usage: Option<String>,
    pub(super) last_payment_error: Option<PaymentError>,
    latest_charge: Option<LatestCharge>,
}

impl PaymentIntent {
    /// What was taken or, before a capture, reserved.
    pub(super) fn approved(&self) -> Option<Money> {
        let told = if self.status == "requires_capture" { self.amount_capturable } else { self.amount_received };
        money(told.unwrap_or(self.amount), &self.currency)
    }

    /// What it was made for.
    pub(super) fn asked(&self) -> Option<Money> {
        money(self.amount, &self.currency)
    }

    pub(super) fn card(&self) -> Option<&ChargedCard> {
        match self.latest_charge.as_ref()? {
            LatestCharge::Whole(charge) => charge.payment_method_details.as_ref()?.card.as_ref(),
            LatestCharge::Other(_) => None,
        }
    }
}

/// The charge itself where it was expanded, else its id.
#[derive(Deserialize)]
#[serde(untagged)]
enum LatestCharge {
    Whole(Charge),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Charge {
    payment_method_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    card: Option<ChargedCard>,
}

#[derive(Deserialize)]
pub(super) struct ChargedCard {
    pub(super) authorization_code: Option<String>,
    pub(super) network_transaction_id: Option<String>,
    checks: Option<CardChecks>,
}

impl ChargedCard {
    pub(super) fn checks(&self) -> Checks {
        let Some(checks) = &self.checks else { return Checks::default() };
        let check = |word: &Option<String>| word.as_deref().and_then(check);
        Checks {
            address: check(&checks.address_line1_check),
            postcode: check(&checks.address_postal_code_check),
            cvv: check(&checks.cvc_check),
        }
    }
}

#[derive(Deserialize)]
struct CardChecks {
    address_line1_check: Option<String>,
    address_postal_code_check: Option<String>,
    cvc_check: Option<String>,
}

fn check(word: &str) -> Option<Check> {
    match word {
        "pass" => Some(Check::Match),
        "fail" => Some(Check::NoMatch),
        "unchecked" => Some(Check::NotChecked),
        "unavailable" => Some(Check::Unavailable),
        _ => None,
    }
}

/// A SetupIntent.
#[derive(Deserialize)]
pub(super) struct SetupIntent {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) metadata: Metadata,
    pub(super) customer: Option<String>,
    pub(super) payment_method: Option<String>,
    pub(super) last_setup_error: Option<PaymentError>,
}

/// A refund.
#[derive(Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) status: Option<String>,
    amount: i64,
    currency: String,
    #[serde(default)]
    pub(super) metadata: Metadata,
}

impl Refund {
    pub(super) fn amount(&self) -> Option<Money> {
        money(self.amount, &self.currency)
    }
}

/// A list, or what a search found.
#[derive(Deserialize)]
pub(super) struct List {
    pub(super) data: Vec<Listed>,
    pub(super) has_more: bool,
}

/// One of a list.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) id: String,
    /// Unix seconds.
    pub(super) created: Option<i64>,
    #[serde(default)]
    pub(super) metadata: Metadata,
}

/// `{"error": …}`.
#[derive(Deserialize)]
pub(super) struct Failed {
    pub(super) error: PaymentError,
}

/// Why something was refused.
#[derive(Deserialize)]
pub(super) struct PaymentError {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    pub(super) code: Option<String>,
    pub(super) decline_code: Option<String>,
    pub(super) network_decline_code: Option<String>,
    pub(super) advice_code: Option<String>,
    /// Mastercard's merchant advice code.
    pub(super) network_advice_code: Option<String>,
    pub(super) payment_intent: Option<Box<ErrorIntent>>,
}

/// The PaymentIntent that an error is about.
#[derive(Deserialize)]
pub(super) struct ErrorIntent {
    #[serde(default)]
    pub(super) metadata: Metadata,
}

/// Stripe writes currencies in small letters.
fn money(minor: i64, currency: &str) -> Option<Money> {
    let currency = currency.to_ascii_uppercase().parse::<Currency>().ok()?;
    Some(Money { minor, currency })
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: EventObject,
}

#[derive(Deserialize)]
struct EventObject {
    id: Option<String>,
    payment_intent: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

/// What an event says. It never says an outcome: events come late, twice and out of order, and the object itself can be
/// asked for.
pub(super) fn event(body: &[u8]) -> Option<GatewayEvent> {
    let Event { id, kind, data: EventData { object } } = serde_json::from_slice(body).ok()?;
    let (says, locator) = match kind.as_str() {
        "charge.dispute.created" => (Says::Disputed, object.payment_intent),
        kind if kind.starts_with("payment_intent.") || kind.starts_with("setup_intent.") => (Says::Changed, object.id),
        "refund.failed" => (Says::Undone { kind: Kind::Refund }, object.id),
        kind if kind.starts_with("refund.") || kind.starts_with("charge.refund") => (Says::Changed, object.id),
        _ => (Says::Other, None),
    };
    Some(GatewayEvent {
        id: text::name(&id)?,
        attempt: object.metadata.attempt(),
        locator: locator.as_deref().and_then(text::name),
        says,
    })
}
