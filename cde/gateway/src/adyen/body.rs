//! Bodies of requests.

use super::{segment, token_parts};
use crate::http::Body;
use crate::json::{Names, quoted, with_card};
use crate::request::{CaptureTime, Initiator, Keep, Reason, Terms};
use card::Card;
use wire::{Address, AttemptId, Money};

const NAMES: Names = Names { number: "number", month: "expiryMonth", year: "expiryYear", year_digits: 4, cvv: "cvc" };

/// Adyen wants an address to come back to. A telephone order goes nowhere, and this name is nobody's (RFC 2606).
const RETURN_URL: &str = "https://tonewall.invalid/";

pub(super) fn charge(account: &str, attempt: AttemptId, amount: Money, card: &Card, terms: Terms<'_>) -> Body {
    let before = format!("{}\"paymentMethod\":{{\"type\":\"scheme\",", head(account, attempt, amount.minor, amount));
    // A card from elsewhere: Adyen does not know the charge that its agreement began with.
    let merchants = terms.agreement.filter(|agreement| agreement.initiator == Initiator::Merchant);
    let network = merchants.and_then(|agreement| agreement.network_transaction_id);
    let network = network.map(|id| format!(",\"networkPaymentReference\":{}", quoted(id))).unwrap_or_default();
    with_card(&before, &NAMES, card, &format!("{network}}}{}}}", tail(attempt, terms)))
}

/// The card is checked with its bank and kept: a payment of nothing.
pub(super) fn store(account: &str, attempt: AttemptId, card: &Card, terms: Terms<'_>) -> Body {
    let nothing = Money { minor: 0, currency: wire::Currency::EUR };
    let terms = Terms { keep: Keep::Token, capture: CaptureTime::Now, ..terms };
    charge(account, attempt, nothing, card, terms)
}

pub(super) fn charge_stored(account: &str, attempt: AttemptId, amount: Money, token: &str, terms: Terms<'_>) -> Body {
    let (shopper, method) = token_parts(token).unwrap_or(("-", "-"));
    let text = format!(
        "{}\"paymentMethod\":{{\"type\":\"scheme\",\"storedPaymentMethodId\":{}}},\"shopperReference\":{}{}}}",
        head(account, attempt, amount.minor, amount),
        quoted(method),
        quoted(shopper),
        tail(attempt, Terms { keep: Keep::Nothing, ..terms }),
    );
    public(&text)
}

/// A capture, a cancel (without an amount) or a refund.
pub(super) fn change(account: &str, attempt: AttemptId, amount: Option<Money>, capture: Option<&str>) -> Body {
    let amount = amount.map(|amount| format!(",\"amount\":{}", money(amount))).unwrap_or_default();
    let capture =
        capture.map(|name| format!(",\"capturePspReference\":{}", quoted(&segment(name)))).unwrap_or_default();
    public(&format!("{{\"merchantAccount\":{},\"reference\":\"{attempt}\"{amount}{capture}}}", quoted(account)))
}

fn public(text: &str) -> Body {
    let mut body = Body::with_room(text.len());
    body.write(text.as_bytes());
    body
}

fn money(amount: Money) -> String {
    format!("{{\"value\":{},\"currency\":\"{}\"}}", amount.minor, amount.currency.code())
}

fn head(account: &str, attempt: AttemptId, minor: i64, amount: Money) -> String {
    format!(
        "{{\"merchantAccount\":{},\"reference\":\"{attempt}\",\"amount\":{},\"returnUrl\":\"{RETURN_URL}\",",
        quoted(account),
        money(Money { minor, ..amount }),
    )
}

/// Everything after the card.
fn tail(attempt: AttemptId, terms: Terms<'_>) -> String {
    let initiator = terms.agreement.map(|agreement| agreement.initiator);
    let interaction = if initiator == Some(Initiator::Merchant) { "ContAuth" } else { "Moto" };
    let mut text = format!(",\"shopperInteraction\":\"{interaction}\"");
    text.push_str(match terms.capture {
        CaptureTime::Now => ",\"captureDelayHours\":0",
        CaptureTime::Later => ",\"additionalData\":{\"manualCapture\":\"true\"}",
    });
    if terms.keep == Keep::Token {
        // Nobody else charges this card: its attempt is shopper enough.
        text.push_str(&format!(",\"storePaymentMethod\":true,\"shopperReference\":\"{attempt}\""));
    }
    let reason = terms.agreement.map(|agreement| agreement.reason);
    let reason = reason.or_else(|| (terms.keep == Keep::Token).then_some(Reason::Unscheduled));
    text.push_str(match reason {
        Some(Reason::Recurring | Reason::Installment) => ",\"recurringProcessingModel\":\"Subscription\"",
        Some(Reason::Unscheduled) => ",\"recurringProcessingModel\":\"UnscheduledCardOnFile\"",
        None => "",
    });
    if let Some(address) = terms.avs {
        text.push_str(&billing(address));
    }
    text
}

/// What is not known is written as Adyen wants it written.
fn billing(address: &Address) -> String {
    let known = |text: &str| quoted(if text.is_empty() { "NA" } else { text });
    format!(
        ",\"billingAddress\":{{\"houseNumberOrName\":{},\"postalCode\":{},\"street\":\"NA\",\"city\":\"NA\",\
         \"country\":\"ZZ\"}}",
        known(address.house_number()),
        known(address.postcode()),
    )
}
