//! Errors in Stripe's shape (docs.stripe.com/api/errors, docs.stripe.com/declines/codes).

use super::Response;
use serde_json::{Value, json};

/// Why something was not done.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) error: Value,
}

impl Refusal {
    /// A parameter that is wrong, or a state that does not allow it.
    pub(super) fn request(code: &str, message: &str) -> Self {
        Self::new(400, "invalid_request_error", code, message)
    }

    /// Nothing of it was done (docs.stripe.com/rate-limits).
    pub(super) fn too_many() -> Self {
        Self::new(429, "invalid_request_error", "rate_limit", "Too many requests.")
    }

    pub(super) fn missing(what: &str) -> Self {
        Self::new(404, "invalid_request_error", "resource_missing", &format!("No such {what}"))
    }

    pub(super) fn state(status: &str) -> Self {
        let message = format!("This object's status is {status}, which does not allow it.");
        Self::request("payment_intent_unexpected_state", &message)
    }

    /// The bank's response code in Stripe's words.
    pub(super) fn declined(network_code: &str) -> Self {
        let (code, decline_code) = match network_code {
            "51" => ("card_declined", "insufficient_funds"),
            "61" => ("card_declined", "withdrawal_count_limit_exceeded"),
            "41" => ("card_declined", "lost_card"),
            "43" => ("card_declined", "stolen_card"),
            "65" => ("card_declined", "authentication_required"),
            "54" => ("expired_card", "expired_card"),
            "82" => ("incorrect_cvc", "incorrect_cvc"),
            "91" => ("card_declined", "issuer_not_available"),
            "96" => ("processing_error", "processing_error"),
            "live" => ("card_declined", "test_mode_live_card"),
            _ => ("card_declined", "generic_decline"),
        };
        let mut refusal = Self::new(402, "card_error", code, "Your card was declined.");
        if let Some(members) = refusal.error.as_object_mut() {
            members.insert("decline_code".to_owned(), json!(decline_code));
            if network_code.len() == 2 {
                members.insert("network_decline_code".to_owned(), json!(network_code));
            }
        }
        refusal
    }

    pub(super) fn new(status: u16, kind: &str, code: &str, message: &str) -> Self {
        Self { status, error: json!({"type": kind, "code": code, "message": message}) }
    }

    /// With what it is about.
    pub(super) fn about(mut self, name: &str, object: Value) -> Self {
        if let Some(members) = self.error.as_object_mut() {
            members.insert(name.to_owned(), object);
        }
        self
    }

    pub(super) fn response(&self) -> Response {
        Response::new(self.status, &json!({"error": self.error}))
    }
}
