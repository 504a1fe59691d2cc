//! The sandbox acquirer: our own test bank. It takes published test cards only.
//!
//! Every operation is a `POST` with an `idempotency-key` and our `reference`: `/v1/charges` (of a card or a token; its
//! `capture` may be `later`), `/v1/captures`, `/v1/voids`, `/v1/refunds`, `/v1/tokens` and `/v1/deletions`. Each is found
//! again by `GET /v1/…/by-reference/{reference}`. All answer `{"id", "reference", "status": "approved" | "declined" |
//! "pending", "amount"?, "currency"?, "auth_code"?, "network_code"?, "network_transaction_id"?, "avs"?: {"address",
//! "postcode"}, "cvv"?, "token"?}`, with status 200 or 201, or 402 for one that was declined; or with
//! `{"error": {"code"}}`. The codes in [`NOT_EXECUTED`] prove that nothing was done.
//!
//! Its webhooks say how an operation ended, `{"id", "type": "charge.ended" | "capture.ended" | …, "object"}` with the answer
//! as object, signed in `sandbox-signature` as Stripe signs. They come late, twice and out of order.

mod body;
mod event;

use crate::adapter::{Adapter, Brands, Caps, Currencies, Idempotency, Inquiry, Moto};
use crate::answer::{Answer, Approval};
use crate::decline;
use crate::http::{ANSWER_BYTES_MAX, Body, HttpRequest, Method, Sent};
use crate::request::{Asked, Kind, Operation, Request};
use crate::webhook::{GatewayEvent, Headers, WebhookError};
use crate::{signature, text};
use serde::Deserialize;
use wire::{AttemptId, Check, Checks, Currency, DeclineClass, MerchantId, Money};
use zeroize::Zeroizing;

/// Status and error code of every answer that the sandbox documents as "not executed".
pub const NOT_EXECUTED: &[(u16, &str)] = &[
    (400, "invalid_request"),
    (400, "not_a_test_card"),
    (400, "merchant_charge_without_agreement"),
    (400, "no_such_original"),
    (400, "no_such_token"),
    (400, "over_captured"),
    (400, "over_refunded"),
    (400, "not_voidable"),
    (401, "unauthorized"),
    (401, "live_key"),
    (429, "rate_limited"),
    (503, "not_executed"),
];

const CAPS: Caps = Caps {
    name: "sandbox",
    moto: Moto::Flag,
    idempotency: Idempotency::Key { hours: 24 },
    inquiry: Inquiry::ByReference,
    settle_ms: 35_000,
    capture_later: true,
    partial_capture: true,
    captures_max: 16,
    void: true,
    refund: true,
    partial_refund: true,
    partial_approval: true,
    avs: true,
    cvv: true,
    tokens: true,
    mit: true,
    currencies: Currencies::Any,
    brands: Brands::Any,
    live: false,
    verified: false,
};

/// The adapter.
pub struct Sandbox {
    key: Zeroizing<String>,
    webhook_secret: Option<Zeroizing<String>>,
}

impl Sandbox {
    /// A key that every sandbox acquirer takes.
    pub const TEST_KEY: &'static str = "tw_test_sandbox";

    /// With the merchant account's key.
    pub fn new(key: String) -> Self {
        Self { key: Zeroizing::new(key), webhook_secret: None }
    }

    /// With the secret that its webhooks are signed with, if it sends any.
    pub fn with_webhooks(self, secret: Option<String>) -> Self {
        Self { webhook_secret: secret.map(Zeroizing::new), ..self }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("authorization", format!("Bearer {}", *self.key)), ("accept", "application/json".to_owned())]
    }

    fn post(&self, operation: Operation, merchant: &MerchantId, of: &str, body: Body) -> HttpRequest {
        let Operation { kind, attempt, amount, .. } = operation;
        let mut headers = self.headers();
        headers.push(("content-type", "application/json".to_owned()));
        headers.push(("idempotency-key", attempt.to_string()));
        let amount = amount.map(|amount| format!(" {} {}", amount.minor, amount.currency.code())).unwrap_or_default();
        HttpRequest {
            method: Method::Post,
            path: format!("/v1/{}", noun(kind)),
            headers,
            body,
            summary: format!("{attempt}{amount} {merchant}{of}"),
        }
    }

    fn inquire(&self, kind: Kind, attempt: AttemptId) -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            path: format!("/v1/{}/by-reference/{attempt}", noun(kind)),
            headers: self.headers(),
            body: Body::empty(),
            summary: String::new(),
        }
    }
}

impl Adapter for Sandbox {
    fn build(&self, request: &Request<'_>) -> HttpRequest {
        let operation = request.operation();
        match *request {
            Request::Authorize { amount, card, merchant, terms, .. } => {
                self.post(operation, merchant, "", body::charge(operation.attempt, amount, card, merchant, terms))
            }
            Request::ChargeStored { amount, token, merchant, terms, .. } => {
                let body = body::charge_stored(operation.attempt, amount, token, merchant, terms);
                self.post(operation, merchant, "", body)
            }
            Request::Store { card, merchant, terms, .. } => {
                self.post(operation, merchant, "", body::store(operation.attempt, card, merchant, terms))
            }
            Request::Capture { amount, merchant, of, last, .. } => {
                let body = body::follow_up(operation.attempt, Some(amount), merchant, &of, last.then_some(true));
                self.post(operation, merchant, &format!(" of {}", of.attempt), body)
            }
            Request::Refund { amount, merchant, of, .. } => {
                let body = body::follow_up(operation.attempt, Some(amount), merchant, &of, None);
                self.post(operation, merchant, &format!(" of {}", of.attempt), body)
            }
            Request::Void { merchant, of, .. } => {
                let body = body::follow_up(operation.attempt, None, merchant, &of, None);
                self.post(operation, merchant, &format!(" of {}", of.attempt), body)
            }
            Request::DeleteStored { token, merchant, .. } => {
                self.post(operation, merchant, "", body::delete_stored(operation.attempt, token, merchant))
            }
            Request::Inquire { kind, attempt, .. } => self.inquire(kind, attempt),
        }
    }

    fn parse(&self, operation: Operation, sent: Sent) -> Answer {
        match sent {
            // An inquiry that was not sent says nothing of the charge.
            Sent::NotSent if !operation.is_inquiry() => Answer::Rejected,
            Sent::NotSent | Sent::Broken => Answer::UNKNOWN,
            Sent::Response { body, .. } if body.len() > ANSWER_BYTES_MAX => Answer::UNKNOWN,
            Sent::Response { status: 200 | 201 | 402, body } => done(operation, &body),
            Sent::Response { status, body } => refused(operation, status, &body),
        }
    }

    fn caps(&self) -> &Caps {
        &CAPS
    }

    fn verify_webhook(
        &self,
        headers: &Headers<'_>,
        body: &[u8],
        now_unix_ms: i64,
    ) -> Result<Vec<GatewayEvent>, WebhookError> {
        let secret = self.webhook_secret.as_ref().ok_or(WebhookError::NoSecret)?;
        signature::verify((secret.as_bytes(), "sandbox-signature"), headers, body, now_unix_ms)?;
        event::read(body).map(|event| vec![event]).ok_or(WebhookError::Body)
    }
}

/// Where an operation is sent and found.
fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Authorize | Kind::ChargeStored => "charges",
        Kind::Capture => "captures",
        Kind::Void => "voids",
        Kind::Refund => "refunds",
        Kind::Store => "tokens",
        Kind::DeleteStored => "deletions",
    }
}

/// An operation as the sandbox answers it.
#[derive(Deserialize)]
struct Done {
    id: String,
    reference: AttemptId,
    status: Status,
    amount: Option<i64>,
    currency: Option<Currency>,
    auth_code: Option<String>,
    network_code: Option<String>,
    network_transaction_id: Option<String>,
    #[serde(default)]
    avs: Avs,
    cvv: Option<Check>,
    token: Option<String>,
}

#[derive(Default, Deserialize)]
struct Avs {
    address: Option<Check>,
    postcode: Option<Check>,
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

fn done(operation: Operation, body: &[u8]) -> Answer {
    let Ok(done) = serde_json::from_slice::<Done>(body) else { return Answer::UNKNOWN };
    let amount = done.amount.zip(done.currency).map(|(minor, currency)| Money { minor, currency });
    if operation.agrees(done.reference, amount) { answer(operation.kind, amount, &done) } else { Answer::UNKNOWN }
}

fn answer(kind: Kind, amount: Option<Money>, done: &Done) -> Answer {
    match done.status {
        Status::Approved => approved(kind, amount, done),
        Status::Declined => Answer::Declined {
            class: done.network_code.as_deref().map_or(DeclineClass::Other, decline::class),
            advice: done.network_code.as_deref().and_then(decline::advice),
            network_code: done.network_code.as_deref().map(text::clean),
        },
        Status::Pending => Answer::Pending { locator: text::name(&done.id) },
    }
}

fn approved(kind: Kind, amount: Option<Money>, done: &Done) -> Answer {
    let token = done.token.as_deref().and_then(text::name);
    if kind == Kind::Store && token.is_none() {
        return Answer::UNKNOWN;
    }
    Answer::Approved(Approval {
        auth_code: done.auth_code.as_deref().map(text::clean).unwrap_or_default(),
        gateway_ref: text::name(&done.id).unwrap_or_default(),
        amount: amount.filter(|_| !matches!(kind, Kind::Store | Kind::DeleteStored)),
        network_transaction_id: done.network_transaction_id.as_deref().and_then(text::name),
        checks: Checks { address: done.avs.address, postcode: done.avs.postcode, cvv: done.cvv },
        token,
    })
}

fn refused(operation: Operation, status: u16, body: &[u8]) -> Answer {
    let Ok(refused) = serde_json::from_slice::<Refused>(body) else { return Answer::UNKNOWN };
    let found = (status, refused.error.code.as_str());
    match operation.asked {
        Asked::Directly if NOT_EXECUTED.contains(&found) => Answer::Rejected,
        Asked::ByInquiry { settled: true } if found == (404, "no_such_charge") => Answer::Abandoned,
        _ => Answer::UNKNOWN,
    }
}
