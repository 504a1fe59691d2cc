//! The sandbox acquirer: our own test bank. It takes published test cards only.
//!
//! `POST /v1/charges` takes a charge, `GET /v1/charges/by-reference/{attempt}` finds one. Both answer with a charge,
//! `{"id", "reference", "status": "approved" | "declined" | "pending", "amount", "currency", "auth_code"?,
//! "network_code"?}`, with status 200 or 201, or 402 for a charge that was declined; or with
//! `{"error": {"code"}}`. The codes in [`NOT_EXECUTED`] prove that nothing was charged.

use crate::adapter::{Adapter, Caps, Idempotency, Inquiry, Moto, Operation, Request};
use crate::decline;
use crate::http::{ANSWER_BYTES_MAX, Body, HttpRequest, Method, Sent};
use card::Card;
use serde::Deserialize;
use wire::{AttemptId, Currency, MerchantId, Money, Outcome};
use zeroize::Zeroizing;

/// Status and error code of every answer that the sandbox documents as "not executed".
pub const NOT_EXECUTED: &[(u16, &str)] = &[
    (400, "invalid_request"),
    (400, "not_a_test_card"),
    (401, "unauthorized"),
    (401, "live_key"),
    (429, "rate_limited"),
    (503, "not_executed"),
];

/// The longest text of a gateway that goes on.
const TEXT_BYTES_MAX: usize = 64;

const CAPS: Caps = Caps {
    name: "sandbox",
    moto: Moto::Flag,
    idempotency: Idempotency::Key,
    inquiry: Inquiry::ByReference,
    settle_ms: 35_000,
    live: false,
    verified: false,
};

/// The adapter.
pub struct Sandbox {
    key: Zeroizing<String>,
}

impl Sandbox {
    /// A key that every sandbox acquirer takes.
    pub const TEST_KEY: &'static str = "tw_test_sandbox";

    /// With the merchant account's key.
    pub fn new(key: String) -> Self {
        Self { key: Zeroizing::new(key) }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("authorization", format!("Bearer {}", *self.key)), ("accept", "application/json".to_owned())]
    }

    fn authorize(&self, attempt: AttemptId, amount: Money, card: &Card, merchant: &MerchantId) -> HttpRequest {
        let mut headers = self.headers();
        headers.push(("content-type", "application/json".to_owned()));
        headers.push(("idempotency-key", attempt.to_string()));
        HttpRequest {
            method: Method::Post,
            path: "/v1/charges".to_owned(),
            headers,
            body: charge_body(attempt, amount, card, merchant),
            summary: format!("{attempt} {} {} {merchant}", amount.minor, amount.currency.code()),
        }
    }

    fn inquire(&self, attempt: AttemptId) -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            path: format!("/v1/charges/by-reference/{attempt}"),
            headers: self.headers(),
            body: Body::empty(),
            summary: String::new(),
        }
    }
}

impl Adapter for Sandbox {
    fn build(&self, request: &Request<'_>) -> HttpRequest {
        match *request {
            Request::Authorize { attempt, amount, card, merchant } => self.authorize(attempt, amount, card, merchant),
            Request::Inquire { attempt } => self.inquire(attempt),
        }
    }

    fn parse(&self, operation: Operation, sent: Sent) -> Outcome {
        match (sent, operation) {
            (Sent::NotSent, Operation::Authorize { .. }) => Outcome::Rejected,
            // An inquiry that was not sent says nothing of the charge.
            (Sent::NotSent, Operation::Inquire { .. }) | (Sent::Broken, _) => Outcome::Unknown,
            (Sent::Response { body, .. }, _) if body.len() > ANSWER_BYTES_MAX => Outcome::Unknown,
            (Sent::Response { status: 200 | 201 | 402, body }, _) => charge_outcome(operation, &body),
            (Sent::Response { status, body }, _) => error_outcome(operation, status, &body),
        }
    }

    fn caps(&self) -> &Caps {
        &CAPS
    }
}

/// The fixed words of a charge and the longest of everything else: a code of three letters, a number of 19 digits, a
/// date, a security code, a name of 64 characters, an id and an amount of 20 digits.
const CHARGE_BYTES_MAX: usize = 512;

/// Written straight into its last place: a serializer's buffers would keep copies of the card. No value needs an
/// escape: digits, letters and the characters of names are all that occurs.
fn charge_body(attempt: AttemptId, amount: Money, card: &Card, merchant: &MerchantId) -> Body {
    let mut body = Body::with_room(CHARGE_BYTES_MAX);
    let public = format!(
        r#"{{"amount":{},"currency":"{}","merchant":"{merchant}","channel":"moto","reference":"{attempt}","card":{{"#,
        amount.minor,
        amount.currency.code(),
    );
    body.write(public.as_bytes());
    body.write(br#""number":""#);
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

/// A charge as the sandbox answers it.
#[derive(Deserialize)]
struct Charge {
    id: String,
    reference: AttemptId,
    status: Status,
    amount: i64,
    currency: Currency,
    auth_code: Option<String>,
    network_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Approved,
    Declined,
    Pending,
}

#[derive(Deserialize)]
struct Refused {
    error: RefusedError,
}

#[derive(Deserialize)]
struct RefusedError {
    code: String,
}

fn charge_outcome(operation: Operation, body: &[u8]) -> Outcome {
    let Ok(charge) = serde_json::from_slice::<Charge>(body) else { return Outcome::Unknown };
    let amount = Money { minor: charge.amount, currency: charge.currency };
    if !operation.agrees(charge.reference, amount) {
        return Outcome::Unknown;
    }
    match charge.status {
        Status::Approved => Outcome::Approved {
            auth_code: charge.auth_code.as_deref().map(clean).unwrap_or_default(),
            gateway_ref: clean(&charge.id),
            amount,
        },
        Status::Declined => Outcome::Declined {
            class: charge.network_code.as_deref().map_or(wire::DeclineClass::Other, decline::class),
            network_code: charge.network_code.as_deref().map(clean),
        },
        Status::Pending => Outcome::Unknown,
    }
}

fn error_outcome(operation: Operation, status: u16, body: &[u8]) -> Outcome {
    let Ok(refused) = serde_json::from_slice::<Refused>(body) else { return Outcome::Unknown };
    let code = refused.error.code.as_str();
    match operation {
        Operation::Authorize { .. } if NOT_EXECUTED.contains(&(status, code)) => Outcome::Rejected,
        Operation::Inquire { settled: true, .. } if (status, code) == (404, "no_such_charge") => Outcome::Abandoned,
        _ => Outcome::Unknown,
    }
}

/// A gateway's text, cut to the characters of names; nothing that could be a card number.
fn clean(text: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let cleaned: String = text.chars().filter(allowed).take(TEXT_BYTES_MAX).collect();
    if wire::name_pan_like(&cleaned) { String::new() } else { cleaned }
}
