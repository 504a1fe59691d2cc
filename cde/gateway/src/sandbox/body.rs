//! The bodies that the sandbox takes. What is secret is written straight into its last place: a serializer's buffers
//! would keep copies of the card.

use crate::http::Body;
use crate::request::{Agreement, CaptureTime, Initiator, Keep, Original, Terms};
use card::Card;
use serde::Serialize;
use wire::{Address, AttemptId, MerchantId, Money};

/// The longest text that a card becomes: its fixed words, 19 digits, a date and a code of four.
const CARD_BYTES_MAX: usize = 96;

/// Everything of a request but the card. Members that are not there are not sent.
#[derive(Default, Serialize)]
struct Public<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'static str>,
    merchant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'static str>,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avs: Option<&'a Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<AgreementText<'a>>,
    /// The charge that a capture, void or refund is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

#[derive(Serialize)]
struct AgreementText<'a> {
    initiator: &'static str,
    reason: &'static str,
    first: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_transaction_id: Option<&'a str>,
}

pub(super) fn charge(attempt: AttemptId, amount: Money, card: &Card, merchant: &MerchantId, terms: Terms<'_>) -> Body {
    with_card(&terms_of(attempt, Some(amount), merchant, terms), card)
}

pub(super) fn charge_stored(
    attempt: AttemptId,
    amount: Money,
    token: &str,
    merchant: &MerchantId,
    terms: Terms<'_>,
) -> Body {
    plain(&Public { token: Some(token), ..terms_of(attempt, Some(amount), merchant, terms) })
}

pub(super) fn store(attempt: AttemptId, card: &Card, merchant: &MerchantId, terms: Terms<'_>) -> Body {
    let terms = Terms { avs: terms.avs, agreement: terms.agreement, ..Terms::default() };
    with_card(&terms_of(attempt, None, merchant, terms), card)
}

/// A capture, void or refund.
pub(super) fn follow_up(
    attempt: AttemptId,
    amount: Option<Money>,
    merchant: &MerchantId,
    of: &Original<'_>,
    last: Option<bool>,
) -> Body {
    plain(&Public { of: Some(of.gateway_ref), last, ..public(attempt, amount, merchant) })
}

pub(super) fn delete_stored(attempt: AttemptId, token: &str, merchant: &MerchantId) -> Body {
    plain(&Public { token: Some(token), ..public(attempt, None, merchant) })
}

fn public(attempt: AttemptId, amount: Option<Money>, merchant: &MerchantId) -> Public<'_> {
    Public {
        amount: amount.map(|amount| amount.minor),
        currency: amount.map(|amount| amount.currency.code()),
        merchant: merchant.as_str(),
        reference: attempt.to_string(),
        ..Public::default()
    }
}

/// A charge that the merchant starts is no telephone order.
fn terms_of<'a>(attempt: AttemptId, amount: Option<Money>, merchant: &'a MerchantId, terms: Terms<'a>) -> Public<'a> {
    let merchants = terms.agreement.is_some_and(|agreement| agreement.initiator == Initiator::Merchant);
    Public {
        channel: Some(if merchants { "merchant" } else { "moto" }),
        capture: (terms.capture == CaptureTime::Later).then_some("later"),
        partial: terms.partial_approval.then_some(true),
        store: (terms.keep == Keep::Token).then_some(true),
        avs: terms.avs,
        agreement: terms.agreement.map(agreement),
        ..public(attempt, amount, merchant)
    }
}

fn agreement(agreement: Agreement<'_>) -> AgreementText<'_> {
    AgreementText {
        initiator: match agreement.initiator {
            Initiator::Customer => "customer",
            Initiator::Merchant => "merchant",
        },
        reason: agreement.reason.as_str(),
        first: agreement.first,
        network_transaction_id: agreement.network_transaction_id,
    }
}

fn text(public: &Public<'_>) -> String {
    // Strings, numbers and flags only: there is nothing in it that JSON cannot say.
    serde_json::to_string(public).unwrap_or_else(|_| "{}".to_owned())
}

fn plain(public: &Public<'_>) -> Body {
    let text = text(public);
    let mut body = Body::with_room(text.len());
    body.write(text.as_bytes());
    body
}

/// The card is the last member.
fn with_card(public: &Public<'_>, card: &Card) -> Body {
    let text = text(public);
    let mut body = Body::with_room(text.len() + CARD_BYTES_MAX);
    body.write(text.strip_suffix('}').unwrap_or_default().as_bytes());
    body.write(br#","card":{"number":""#);
    card.pan.expose(|digits| body.write(digits));
    body.write(br#"","exp_month":"#);
    card.expiry.expose(|date| {
        write_number(&mut body, u16::from(date.month));
        body.write(br#","exp_year":"#);
        write_number(&mut body, date.year);
    });
    if let Some(cvv) = &card.cvv {
        body.write(br#","cvv":""#);
        cvv.expose(|digits| body.write(digits));
        body.write(br#"""#);
    }
    body.write(b"}}");
    body
}

/// A number without leading zeros and without a text in between that would stay behind.
fn write_number(body: &mut Body, number: u16) {
    let places = [10_000, 1_000, 100, 10, 1];
    for place in places.into_iter().skip_while(|place| *place > number.max(1)) {
        let digit = b"0123456789".get(usize::from(number / place % 10));
        body.write(digit.map_or(b"", std::slice::from_ref));
    }
}
