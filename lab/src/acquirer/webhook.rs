//! What the bank says unasked: once, several times, late and so in another order, or never. `POST /v1/webhooks` with
//! `{"url", "secret", "shape"?: "sandbox" | "stripe"}` says where to; an endpoint of the same shape replaces the one before.
//!
//! The shell posts each notice after its delays, signed at that moment; one that is not taken is posted again.

use super::bank::stripe::VERSION;
use super::fault::Faults;
use serde::Deserialize;
use serde_json::{Value, json};

/// Notices that wait for the shell; beyond that the bank says nothing more, which its clients must bear.
pub const NOTICES_MAX: usize = 10_000;

/// In whose words.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// The sandbox's own.
    #[default]
    Sandbox,
    /// Stripe's.
    Stripe,
}

impl Shape {
    /// The header that holds the signature.
    pub fn header(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox-signature",
            Self::Stripe => "stripe-signature",
        }
    }
}

/// Where notices go. It cannot be printed: a secret is in it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Of this machine.
    pub url: String,
    /// What they are signed with.
    pub secret: String,
    /// In whose words.
    #[serde(default)]
    pub shape: Shape,
}

/// One event on its way.
#[derive(Clone)]
pub struct Notice {
    /// Where to, and how it is signed.
    pub to: Endpoint,
    /// JSON.
    pub body: Vec<u8>,
    /// When it is sent, in milliseconds from now: once, or more often.
    pub delays_ms: Vec<u64>,
}

/// Endpoints, and what waits for them.
#[derive(Default)]
pub(super) struct Webhooks {
    endpoints: Vec<Endpoint>,
    waiting: Vec<Notice>,
    events: u64,
}

impl Webhooks {
    /// From the body of `POST /v1/webhooks`. False where it makes no sense.
    pub(super) fn register(&mut self, body: &[u8]) -> bool {
        let Ok(endpoint) = serde_json::from_slice::<Endpoint>(body) else { return false };
        self.endpoints.retain(|known| known.shape != endpoint.shape);
        self.endpoints.push(endpoint);
        true
    }

    pub(super) fn wanted(&self, shape: Shape) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.shape == shape)
    }

    /// Says what has happened, `delay_ms` from now at the earliest.
    pub(super) fn say(&mut self, faults: &mut Faults, shape: Shape, event: Event<'_>, delay_ms: u64) {
        self.events += 1;
        let id = format!("evt_{:06}", self.events);
        let body = match shape {
            Shape::Sandbox => json!({"id": id, "type": event.about, "object": event.object}),
            Shape::Stripe => json!({"id": id, "object": "event", "type": event.about, "created": event.created,
                "api_version": VERSION, "livemode": false, "pending_webhooks": 1, "data": {"object": event.object}}),
        };
        let delays: Vec<u64> = faults.webhook().into_iter().map(|late| late.saturating_add(delay_ms)).collect();
        let to = self.endpoints.iter().find(|endpoint| endpoint.shape == shape);
        if let Some(to) = to.filter(|_| !delays.is_empty() && self.waiting.len() < NOTICES_MAX) {
            self.waiting.push(Notice { to: to.clone(), body: body.to_string().into_bytes(), delays_ms: delays });
        }
    }

    /// What is to be sent.
    pub(super) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.waiting)
    }
}

/// Something that has happened.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) about: &'a str,
    pub(super) object: &'a Value,
    /// Unix seconds; the sandbox's own events do not say.
    pub(super) created: i64,
}
