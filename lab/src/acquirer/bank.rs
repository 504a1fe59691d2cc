//! Routes, idempotency and the ledger.

mod book;
mod order;
mod statement;
pub(super) mod stripe;

use super::fault::{Delivery, Fault, Faults};
use super::webhook::{Event, Notice, Shape, Webhooks};
use book::{Book, Entry, Noun};
use card::YearMonth;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};
use stripe::Stripe;

/// The most operations that one bank keeps; it then refuses more, and executes none.
pub const CHARGES_MAX: usize = 200_000;
/// How long an idempotency key names its operation.
pub const KEY_HOURS: u64 = 24;
/// The longest idempotency key and reference.
const NAME_BYTES_MAX: usize = 255;

/// A request as the core sees it. It cannot be printed: the body may hold a card.
#[derive(Clone)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// From the first slash, with the query.
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
    /// Beside those that every answer has.
    pub headers: Vec<(&'static str, String)>,
}

impl Response {
    fn new(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string().into_bytes(), headers: Vec::new() }
    }

    fn error(status: u16, code: &str) -> Self {
        Self::new(status, &json!({"error": {"code": code}}))
    }
}

/// What an idempotency key names.
struct Known {
    fingerprint: u64,
    entry: usize,
    since: Instant,
}

/// The bank.
pub struct Bank {
    book: Book,
    keys: BTreeMap<String, Known>,
    faults: Faults,
    webhooks: Webhooks,
    stripe: Stripe,
    opened: Instant,
    opened_unix_ms: i64,
}

impl Bank {
    /// An empty bank; `today` decides which cards have expired.
    pub fn new(now: Instant, today: YearMonth) -> Self {
        Self {
            book: Book::new(now, today),
            keys: BTreeMap::new(),
            faults: Faults::none(),
            webhooks: Webhooks::default(),
            stripe: Stripe::default(),
            opened: now,
            opened_unix_ms: 0,
        }
    }

    /// With the time of day at which it was opened, Unix milliseconds: objects of Stripe's shape say when they were made.
    pub fn opened_at(self, unix_ms: i64) -> Self {
        Self { opened_unix_ms: unix_ms, ..self }
    }

    fn unix_s(&self, now: Instant) -> i64 {
        let since = now.saturating_duration_since(self.opened).as_millis();
        self.opened_unix_ms.saturating_add(i64::try_from(since).unwrap_or(i64::MAX)).div_euclid(1_000)
    }

    /// What the bank has to say since this was asked last.
    pub fn notices(&mut self) -> Vec<Notice> {
        self.webhooks.take()
    }

    /// Answers a request, and says what becomes of the answer.
    pub fn handle(&mut self, now: Instant, request: &Request) -> (Response, Delivery) {
        if stripe::is_spoken(request) {
            return self.stripe(now, request);
        }
        let response = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/faults") => self.set_faults(&request.body),
            ("POST", "/v1/webhooks") if self.webhooks.register(&request.body) => {
                Response::new(200, &json!({"ok": true}))
            }
            ("POST", "/v1/webhooks") => Response::error(400, "invalid_request"),
            ("GET", "/v1/ledger") => Response::new(200, &self.book.ledger()),
            ("POST", path) => match Noun::of(path) {
                Some((noun, None)) => return self.order(now, noun, request),
                _ => Response::error(404, "no_such_route"),
            },
            ("GET", path) => match (Noun::of(path), unauthorized(request)) {
                (Some((_, Some(_))), Some(refusal)) => refusal,
                (Some((noun, Some(reference))), None) => self.find(now, noun, reference),
                _ => Response::error(404, "no_such_route"),
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

    fn find(&self, now: Instant, noun: Noun, reference: &str) -> Response {
        match self.book.find(noun, reference) {
            Some(index) => Response::new(200, &self.book.answer(index, now)),
            None => Response::error(404, "no_such_charge"),
        }
    }

    /// Checks in the order of what is cheapest to prove; up to `commit` nothing is executed.
    fn order(&mut self, now: Instant, noun: Noun, request: &Request) -> (Response, Delivery) {
        let checked = match unauthorized(request) {
            Some(refusal) => Err(refusal),
            None => idempotency_key(request).and_then(|key| self.prepare(now, noun, key, request)),
        };
        match checked {
            Err(response) => (response, Delivery::Normal),
            Ok(prepared) => self.execute(now, noun, prepared),
        }
    }

    fn prepare(&mut self, now: Instant, noun: Noun, key: &str, request: &Request) -> Result<Prepared, Response> {
        let fingerprint = fingerprint(request);
        let expired = |known: &Known| now.saturating_duration_since(known.since) >= Duration::from_hours(KEY_HOURS);
        if self.keys.get(key).is_some_and(expired) {
            self.keys.remove(key);
        }
        if let Some(known) = self.keys.get(key).filter(|_| self.faults.idempotency()) {
            return match (known.fingerprint == fingerprint, self.book.is_busy(known.entry, now)) {
                (false, _) => Err(Response::error(400, "idempotency_mismatch")),
                (true, true) => Err(Response::error(409, "in_flight")),
                (true, false) => Ok(Prepared::Replay(known.entry)),
            };
        }
        let entry = self.book.judge(now, noun, &request.body).map_err(|code| Response::error(400, code))?;
        if self.book.len() >= CHARGES_MAX {
            return Err(Response::error(503, "not_executed"));
        }
        Ok(Prepared::New { key: key.to_owned(), fingerprint, entry: Box::new(entry) })
    }

    fn execute(&mut self, now: Instant, noun: Noun, prepared: Prepared) -> (Response, Delivery) {
        let fault = self.faults.draw();
        match (fault, &prepared) {
            (Fault::DropBefore, _) => return (Response::error(500, "internal"), Delivery::DropBeforeCommit),
            // What stands is never said not to.
            (Fault::NotExecuted, Prepared::New { .. }) => {
                return (Response::error(503, "not_executed"), Delivery::Normal);
            }
            _ => {}
        }
        let delay_ms = if fault == Fault::Delay { self.faults.delay_ms() } else { 0 };
        let entry = match prepared {
            Prepared::Replay(entry) => entry,
            Prepared::New { key, fingerprint, mut entry } => {
                entry.busy_until = now + Duration::from_millis(delay_ms);
                let entry = self.book.commit(*entry);
                self.keys.insert(key, Known { fingerprint, entry, since: now });
                if self.webhooks.wanted(Shape::Sandbox) {
                    let object = self.book.settled_answer(entry);
                    let event = Event { about: noun.ended(), object: &object, created: 0 };
                    self.webhooks.say(&mut self.faults, Shape::Sandbox, event, delay_ms);
                }
                entry
            }
        };
        let response = self.outcome(entry);
        match fault {
            Fault::DropAfter => (response, Delivery::DropAfterCommit),
            Fault::Truncate => (response, Delivery::Truncate),
            Fault::Delay => (response, Delivery::Delay(delay_ms)),
            // It stands, and the same request again gets its true answer.
            Fault::Error500After => (Response::error(500, "internal"), Delivery::Normal),
            Fault::None | Fault::DropBefore | Fault::NotExecuted => (response, Delivery::Normal),
        }
    }

    fn outcome(&self, entry: usize) -> Response {
        let status = if self.book.is_declined(entry) { 402 } else { 201 };
        Response::new(status, &self.book.settled_answer(entry))
    }
}

/// An operation that may be executed, or has been.
enum Prepared {
    New { key: String, fingerprint: u64, entry: Box<Entry> },
    Replay(usize),
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

/// Tells one request from another. It hashes published test cards only: everything else was never committed under a key.
fn fingerprint(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(request.path.as_bytes());
    hasher.write(&request.body);
    hasher.finish()
}

#[cfg(test)]
mod tests;
