//! Routes, idempotency and the ledger.

use super::fault::{Delivery, Fault, Faults};
use super::verdict::{Evidence, judge};
use card::YearMonth;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};
use wire::{Currency, MerchantId, Money};

/// The most charges that one bank keeps; it then refuses more, and executes none.
pub const CHARGES_MAX: usize = 100_000;
/// How long an idempotency key names its charge.
pub const KEY_HOURS: u64 = 24;
/// The longest idempotency key and reference.
const NAME_BYTES_MAX: usize = 255;
const REFERENCE_PATH: &str = "/v1/charges/by-reference/";

/// A request as the core sees it. It cannot be printed: the body may hold a card.
#[derive(Clone)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// From the first slash.
    pub path: String,
    /// Names in any case.
    pub headers: Vec<(String, String)>,
    /// JSON, or nothing.
    pub body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

impl Response {
    fn new(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string().into_bytes() }
    }

    fn error(status: u16, code: &str) -> Self {
        Self::new(status, &json!({"error": {"code": code}}))
    }
}

/// One executed charge.
struct Charge {
    reference: String,
    amount: Money,
    last4: String,
    /// The response code of a decline.
    declined: Option<String>,
    at: Instant,
    /// Being worked on until then.
    busy_until: Instant,
}

/// What an idempotency key names.
struct Known {
    fingerprint: u64,
    charge: usize,
    since: Instant,
}

/// The bank.
pub struct Bank {
    today: YearMonth,
    opened: Instant,
    charges: Vec<Charge>,
    references: BTreeMap<String, usize>,
    keys: BTreeMap<String, Known>,
    faults: Faults,
}

#[derive(Deserialize)]
struct Order<'a> {
    amount: i64,
    currency: Currency,
    #[serde(rename = "merchant")]
    _merchant: MerchantId,
    channel: Option<&'a str>,
    reference: &'a str,
    #[serde(borrow)]
    card: OrderCard<'a>,
}

/// Borrowed from the request: of the card nothing else is made here.
#[derive(Deserialize)]
struct OrderCard<'a> {
    number: &'a str,
    exp_month: u8,
    exp_year: u16,
    cvv: Option<&'a str>,
}

impl Bank {
    /// An empty bank; `today` decides which cards have expired.
    pub fn new(now: Instant, today: YearMonth) -> Self {
        Self {
            today,
            opened: now,
            charges: Vec::new(),
            references: BTreeMap::new(),
            keys: BTreeMap::new(),
            faults: Faults::none(),
        }
    }

    /// Answers a request, and says what becomes of the answer.
    pub fn handle(&mut self, now: Instant, request: &Request) -> (Response, Delivery) {
        let response = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/faults") => self.set_faults(&request.body),
            ("GET", "/v1/ledger") => self.ledger(),
            ("POST", "/v1/charges") => return self.charge(now, request),
            ("GET", path) => match (path.strip_prefix(REFERENCE_PATH), unauthorized(request)) {
                (Some(_), Some(refusal)) => refusal,
                (Some(reference), None) => self.find(now, reference),
                (None, _) => Response::error(404, "no_such_route"),
            },
            _ => Response::error(404, "no_such_route"),
        };
        (response, Delivery::Normal)
    }

    fn set_faults(&mut self, body: &[u8]) -> Response {
        match Faults::parse(body) {
            Ok(faults) => {
                self.faults = faults;
                Response::new(200, &json!({"ok": true}))
            }
            Err(error) => {
                Response::new(400, &json!({"error": {"code": "invalid_request", "detail": error.to_string()}}))
            }
        }
    }

    fn ledger(&self) -> Response {
        let charges: Vec<Value> = self.charges.iter().map(|charge| self.row(charge)).collect();
        Response::new(200, &json!({"charges": charges}))
    }

    /// `at` is in milliseconds since the bank opened.
    fn row(&self, charge: &Charge) -> Value {
        json!({
            "reference": charge.reference,
            "amount": charge.amount.minor,
            "currency": charge.amount.currency.code(),
            "last4": charge.last4,
            "status": if charge.declined.is_some() { "declined" } else { "approved" },
            "at": u64::try_from(charge.at.saturating_duration_since(self.opened).as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn find(&self, now: Instant, reference: &str) -> Response {
        let found = self.references.get(reference).and_then(|index| Some((*index, self.charges.get(*index)?)));
        match found {
            Some((index, charge)) if charge.busy_until > now => Response::new(200, &answer(index, charge, "pending")),
            Some((index, charge)) => {
                let status = if charge.declined.is_some() { "declined" } else { "approved" };
                Response::new(200, &answer(index, charge, status))
            }
            None => Response::error(404, "no_such_charge"),
        }
    }

    /// Checks in the order of what is cheapest to prove; up to `commit` nothing is executed.
    fn charge(&mut self, now: Instant, request: &Request) -> (Response, Delivery) {
        let checked = match unauthorized(request) {
            Some(refusal) => Err(refusal),
            None => idempotency_key(request).and_then(|key| self.prepare(now, key, &request.body)),
        };
        match checked {
            Err(response) => (response, Delivery::Normal),
            Ok(prepared) => self.execute(now, prepared),
        }
    }

    fn prepare(&mut self, now: Instant, key: &str, body: &[u8]) -> Result<Prepared, Response> {
        let fingerprint = fingerprint(body);
        let expired = |known: &Known| now.saturating_duration_since(known.since) >= Duration::from_hours(KEY_HOURS);
        if self.keys.get(key).is_some_and(expired) {
            self.keys.remove(key);
        }
        if let Some(known) = self.keys.get(key) {
            let busy = self.charges.get(known.charge).is_some_and(|charge| charge.busy_until > now);
            return match (known.fingerprint == fingerprint, busy) {
                (false, _) => Err(Response::error(400, "idempotency_mismatch")),
                (true, true) => Err(Response::error(409, "in_flight")),
                (true, false) => Ok(Prepared::Replay(known.charge)),
            };
        }
        let charge = self.judge(now, body)?;
        if self.charges.len() >= CHARGES_MAX {
            return Err(Response::error(503, "not_executed"));
        }
        Ok(Prepared::New { key: key.to_owned(), fingerprint, charge })
    }

    fn judge(&self, now: Instant, body: &[u8]) -> Result<Charge, Response> {
        let invalid = || Response::error(400, "invalid_request");
        let order: Order<'_> = serde_json::from_slice(body).map_err(|_| invalid())?;
        let amount = Money { minor: order.amount, currency: order.currency };
        let reference_valid =
            (1..=NAME_BYTES_MAX).contains(&order.reference.len()) && !wire::name_pan_like(order.reference);
        let cvv_valid = order.card.cvv.is_none_or(|cvv| matches!(cvv.len(), 3 | 4));
        if !amount.payable() || !reference_valid || !cvv_valid || !(1..=12).contains(&order.card.exp_month) {
            return Err(invalid());
        }
        let evidence = Evidence {
            number: order.card.number,
            expiry: YearMonth { year: order.card.exp_year, month: order.card.exp_month },
            cvv: order.card.cvv,
            amount_minor: order.amount,
            moto: order.channel == Some("moto"),
        };
        let declined = judge(&evidence, self.today).map_err(|_| Response::error(400, "not_a_test_card"))?;
        let last4 = order.card.number.get(order.card.number.len().saturating_sub(4)..).unwrap_or_default().to_owned();
        Ok(Charge { reference: order.reference.to_owned(), amount, last4, declined, at: now, busy_until: now })
    }

    fn execute(&mut self, now: Instant, prepared: Prepared) -> (Response, Delivery) {
        let fault = self.faults.draw();
        match (fault, &prepared) {
            (Fault::DropBefore, _) => return (Response::error(500, "internal"), Delivery::DropBeforeCommit),
            // A charge that stands is never said not to.
            (Fault::NotExecuted, Prepared::New { .. }) => {
                return (Response::error(503, "not_executed"), Delivery::Normal);
            }
            _ => {}
        }
        let delay_ms = if fault == Fault::Delay { self.faults.delay_ms() } else { 0 };
        let response = match prepared {
            Prepared::Replay(index) => self.outcome(index),
            Prepared::New { key, fingerprint, mut charge } => {
                charge.busy_until = now + Duration::from_millis(delay_ms);
                self.commit(now, key, fingerprint, charge)
            }
        };
        match fault {
            Fault::DropAfter => (response, Delivery::DropAfterCommit),
            Fault::Truncate => (response, Delivery::Truncate),
            Fault::Delay => (response, Delivery::Delay(delay_ms)),
            // The charge stands, and the same request again gets its true answer.
            Fault::Error500After => (Response::error(500, "internal"), Delivery::Normal),
            Fault::None | Fault::DropBefore | Fault::NotExecuted => (response, Delivery::Normal),
        }
    }

    fn commit(&mut self, now: Instant, key: String, fingerprint: u64, charge: Charge) -> Response {
        let index = self.charges.len();
        self.references.insert(charge.reference.clone(), index);
        self.keys.insert(key, Known { fingerprint, charge: index, since: now });
        self.charges.push(charge);
        self.outcome(index)
    }

    fn outcome(&self, index: usize) -> Response {
        match self.charges.get(index) {
            Some(charge) if charge.declined.is_some() => Response::new(402, &answer(index, charge, "declined")),
            Some(charge) => Response::new(201, &answer(index, charge, "approved")),
            None => Response::error(500, "internal"),
        }
    }
}

/// A charge that may be executed, or has been.
enum Prepared {
    New { key: String, fingerprint: u64, charge: Charge },
    Replay(usize),
}

fn answer(index: usize, charge: &Charge, status: &str) -> Value {
    let mut answer = json!({
        "id": format!("ch_{index:06}"),
        "reference": charge.reference,
        "status": status,
        "amount": charge.amount.minor,
        "currency": charge.amount.currency.code(),
    });
    let detail = match status {
        "approved" => Some(("auth_code", format!("T{:05}", index % 100_000))),
        "declined" => charge.declined.clone().map(|code| ("network_code", code)),
        _ => None,
    };
    if let (Some((name, value)), Some(fields)) = (detail, answer.as_object_mut()) {
        fields.insert(name.to_owned(), Value::String(value));
    }
    answer
}

/// Test keys only: a live-looking one must never have come here.
fn unauthorized(request: &Request) -> Option<Response> {
    let key = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    match key {
        Some(key) if key.starts_with("tw_test_") => None,
        Some(key) if key.contains("_live_") => Some(Response::error(401, "live_key")),
        _ => Some(Response::error(401, "unauthorized")),
    }
}

fn idempotency_key(request: &Request) -> Result<&str, Response> {
    let key = request.header("idempotency-key").filter(|key| (1..=NAME_BYTES_MAX).contains(&key.len()));
    key.ok_or_else(|| Response::error(400, "invalid_request"))
}

/// Tells one body from another. It hashes published test cards only: everything else was never committed under a key.
fn fingerprint(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    hasher.finish()
}

#[cfg(test)]
mod tests;
