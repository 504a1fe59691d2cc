//! Twilio's Generic Pay Connector (twilio.com/docs/voice/twiml/pay/generic-pay-connector), outwards: what was written for
//! Twilio, SignalWire or Telnyx to charge with, and Hyperswitch, takes our payments. The whole URL stands in the cde's
//! file; every request is a `POST` to it.
//!
//! The contract has no flag for telephone orders, no inquiry, no capture, void or refund. Its `transaction_id` stands for
//! one result, but not everybody who takes these requests keeps to that, so it proves nothing here.

pub mod amount;
pub mod incoming;

use crate::adapter::{Adapter, Brands, Caps, Currencies, Idempotency, Inquiry, Moto};
use crate::answer::{Answer, Approval};
use crate::http::{ANSWER_BYTES_MAX, Body, HttpRequest, Method, Sent};
use crate::json::{Names, quoted, with_card};
use crate::key::{KeyError, Mode};
use crate::request::{Kind, Operation, Request, Terms};
use crate::text;
use card::Card;
use serde::Deserialize;
use wire::{AttemptId, Checks, DeclineClass, MerchantId};
use zeroize::Zeroizing;

const CAPS: Caps = Caps {
    name: "pay-connector",
    moto: Moto::ByRoute,
    idempotency: Idempotency::WeakKey,
    inquiry: Inquiry::None,
    settle_ms: 0,
    capture_later: false,
    partial_capture: false,
    captures_max: 0,
    void: false,
    refund: false,
    partial_refund: false,
    partial_approval: false,
    avs: true,
    cvv: false,
    tokens: false,
    mit: false,
    currencies: Currencies::Any,
    brands: Brands::Any,
    live: false,
    verified: false,
};

const NAMES: Names =
    Names { number: "cardnumber", month: "expiry_month", year: "expiry_year", year_digits: 2, cvv: "cvv" };

/// The adapter.
pub struct PayConnector {
    authorization: Option<Zeroizing<String>>,
    caps: Caps,
}

impl PayConnector {
    /// With `USER:PASSWORD` for Basic authentication (RFC 7617), or none where the connector asks for none.
    pub fn new(login: Option<String>, mode: Mode) -> Result<Self, KeyError> {
        let login = login.map(Zeroizing::new);
        if login.as_ref().is_some_and(|login| !login.contains(':')) {
            return Err(KeyError::NotAKey { expected: "USER:PASSWORD" });
        }
        let header =
            |login: Zeroizing<String>| Zeroizing::new(format!("Basic {}", crate::base64::encode(login.as_bytes())));
        Ok(Self { authorization: login.map(header), caps: Caps { live: mode == Mode::Live, ..CAPS } })
    }
}

impl Adapter for PayConnector {
    fn build(&self, request: &Request<'_>) -> HttpRequest {
        let body = match *request {
            Request::Authorize { attempt, amount, card, merchant, terms } => {
                let amount = format!(
                    "\"amount\":\"{}\",\"currency_code\":\"{}\",",
                    amount::decimal(amount),
                    amount.currency.code()
                );
                body("charge", attempt, &amount, card, merchant, terms)
            }
            Request::Store { attempt, card, merchant, terms } => {
                body("tokenize", attempt, "\"token_type\":\"reusable\",", card, merchant, terms)
            }
            _ => Body::empty(),
        };
        let Operation { attempt, amount, .. } = request.operation();
        let amount = amount.map(|amount| format!(" {} {}", amount.minor, amount.currency.code())).unwrap_or_default();
        let mut headers =
            vec![("content-type", "application/json".to_owned()), ("accept", "application/json".to_owned())];
        headers.extend(self.authorization.as_ref().map(|header| ("authorization", header.to_string())));
        HttpRequest {
            method: Method::Post,
            path: String::new(),
            headers,
            body,
            summary: format!("{}{amount} {attempt}", request.operation().kind.as_str()),
        }
    }

    fn parse(&self, operation: Operation, sent: Sent) -> Answer {
        match sent {
            Sent::NotSent if !operation.is_inquiry() => Answer::Rejected,
            Sent::NotSent | Sent::Broken => Answer::UNKNOWN,
            Sent::Response { .. } if operation.is_inquiry() => Answer::UNKNOWN,
            Sent::Response { body, .. } if body.len() > ANSWER_BYTES_MAX => Answer::UNKNOWN,
            // RFC 9110 section 15.5.2: it has not been applied.
            Sent::Response { status: 401, .. } => Answer::Rejected,
            // Twilio reads a decline of any status, SignalWire wants another than 200.
            Sent::Response { status: 200..=299 | 400..=499, body } => read(operation, &body).unwrap_or(Answer::UNKNOWN),
            Sent::Response { .. } => Answer::UNKNOWN,
        }
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }
}

fn body(method: &str, attempt: AttemptId, amount: &str, card: &Card, merchant: &MerchantId, terms: Terms<'_>) -> Body {
    let before = format!("{{\"method\":\"{method}\",\"transaction_id\":\"{attempt}\",{amount}");
    let postcode = terms.avs.map(|address| address.postcode()).filter(|text| !text.is_empty());
    let postcode = postcode.map(|text| format!(",\"postal_code\":{}", quoted(text))).unwrap_or_default();
    let after = format!("{postcode},\"parameters\":{{\"merchant\":{}}}}}", quoted(merchant.as_str()));
    with_card(&before, &NAMES, card, &after)
}

/// One of the names is there, the others are null or left out.
#[derive(Deserialize)]
struct Reply {
    charge_id: Option<Word>,
    token_id: Option<Word>,
    error_code: Option<Word>,
}

/// Connectors write codes as texts and as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Number(u64),
}

impl Word {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

fn read(operation: Operation, body: &[u8]) -> Option<Answer> {
    let Reply { charge_id, token_id, error_code } = serde_json::from_slice(body).ok()?;
    let made = match operation.kind {
        // A card that our vault has kept is sent as one that was keyed.
        Kind::Authorize | Kind::ChargeStored => charge_id,
        Kind::Store => token_id,
        _ => return None,
    };
    let error = error_code.map(Word::text).filter(|code| !code.is_empty());
    match (made.map(Word::text).filter(|name| !name.is_empty()), error) {
        (Some(name), None) => {
            let name = text::name(&name)?;
            let token = Some(name.clone()).filter(|_| operation.kind == Kind::Store);
            Some(Answer::Approved(Approval {
                auth_code: String::new(),
                gateway_ref: name,
                // The contract has no partial approval.
                amount: operation.amount,
                network_transaction_id: None,
                checks: Checks::default(),
                token,
            }))
        }
        (None, Some(code)) => refused(&code),
        _ => None,
    }
}

/// Codes of those who do as we do inwards ([`incoming`]): nothing was charged, and it may be tried again.
const NOT_EXECUTED: [&str; 3] = ["not_processed", "invalid_request", "not_supported"];
/// Words by which a connector says that it has the charge already, or is at it: Hyperswitch tells of a payment that is
/// being worked on as of a failed one.
const UNSETTLED: [&str; 5] = ["duplicate", "process", "pending", "progress", "timeout"];

/// Only a code that is known for a decline is one: connectors have codes for "timed out" and "already paid" as well.
fn refused(code: &str) -> Option<Answer> {
    let plain = code.to_ascii_lowercase();
    if NOT_EXECUTED.contains(&plain.as_str()) {
        return Some(Answer::Rejected);
    }
    if UNSETTLED.iter().any(|word| plain.contains(word)) && plain != "processing_error" {
        return None;
    }
    let class = match crate::decline::class(code) {
        // Most connectors are written for Stripe and pass its words on.
        DeclineClass::Other => crate::stripe::decline::class(&plain),
        class => class,
    };
    if class == DeclineClass::Other {
        return None;
    }
    let network_code = Some(text::clean(code)).filter(|code| !code.is_empty());
    Some(Answer::Declined { class, network_code, advice: None })
}
