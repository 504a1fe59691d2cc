//! Stripe's objects as the book has them (docs.stripe.com/api, version 2024-12-18.acacia).

use super::refusal::Refusal;
use super::{Intent, Method, Refund, Setup, Stripe};
use crate::acquirer::bank::book::Book;
use serde_json::{Value, json};
use std::time::Instant;

/// What is shown of one moment.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) book: &'a Book,
    pub(super) now: Instant,
    pub(super) stripe: &'a Stripe,
}

impl View<'_> {
    pub(super) fn method(self, index: usize) -> Value {
        let Some(Method { number, expiry, customer, created, .. }) = self.stripe.methods.get(index) else {
            return Value::Null;
        };
        json!({
            "id": name("pm", index), "object": "payment_method", "type": "card", "livemode": false, "created": created,
            "customer": customer.map(|customer| name("cus", customer)), "metadata": {},
            "card": {"brand": brand(number), "last4": last4(number), "exp_month": expiry.month, "exp_year": expiry.year},
        })
    }

    pub(super) fn customer(self, index: usize) -> Value {
        let metadata = self.stripe.customers.get(index).map(|metadata| members(metadata));
        json!({"id": name("cus", index), "object": "customer", "livemode": false, "metadata": metadata})
    }

    pub(super) fn status(self, intent: &Intent) -> &'static str {
        match (intent.charge, intent.method) {
            _ if intent.canceled => "canceled",
            (None, None) => "requires_payment_method",
            (None, Some(_)) => "requires_confirmation",
            (Some(charge), _) if self.book.is_busy(charge, self.now) => "processing",
            (Some(charge), _) if self.book.is_declined(charge) => "requires_payment_method",
            (Some(charge), _) => {
                let money = self.book.money(charge);
                match (money.voided, money.open && money.captured == 0) {
                    (true, _) => "canceled",
                    (false, true) => "requires_capture",
                    (false, false) => "succeeded",
                }
            }
        }
    }

    pub(super) fn intent(self, index: usize, whole: bool) -> Value {
        let Some(intent) = self.stripe.intents.get(index) else { return Value::Null };
        let status = self.status(intent);
        let money =
            intent.charge.filter(|charge| !self.book.is_declined(*charge)).map(|charge| self.book.money(charge));
        let captured = money.as_ref().map_or(0, |money| if money.voided { 0 } else { money.captured });
        let error =
            intent.charge.and_then(|charge| self.book.declined(charge)).map(|code| Refusal::declined(code).error);
        let charge =
            intent.charge.map(|charge| if whole { self.charge(charge, index) } else { json!(name("ch", charge)) });
        let declined = status == "requires_payment_method" && intent.charge.is_some();
        json!({
            "id": name("pi", index), "object": "payment_intent", "livemode": false, "created": intent.created,
            "amount": intent.minor, "currency": intent.currency, "status": status, "amount_received": captured,
            "amount_capturable": if status == "requires_capture" { intent.minor } else { 0 },
            "capture_method": if intent.later { "manual" } else { "automatic" },
            "client_secret": format!("{}_secret_sandbox", name("pi", index)), "payment_method_types": ["card"],
            "customer": intent.customer.map(|customer| name("cus", customer)), "latest_charge": charge,
            "payment_method": intent.method.filter(|_| !declined).map(|method| name("pm", method)),
            "metadata": members(&intent.metadata), "last_payment_error": error.filter(|_| declined),
            "setup_future_usage": intent.keeps.then_some("off_session"), "next_action": null,
        })
    }

    pub(super) fn charge(self, charge: usize, intent: usize) -> Value {
        let answer = self.book.settled_answer(charge);
        let declined = self.book.declined(charge);
        let money = self.book.money(charge);
        let method = self.stripe.intents.get(intent).and_then(|intent| self.stripe.methods.get(intent.method?));
        let check = |word: &Value| match word.as_str() {
            Some("match") => json!("pass"),
            Some("no_match") => json!("fail"),
            Some("not_checked") => json!("unchecked"),
            Some("unavailable") => json!("unavailable"),
            _ => Value::Null,
        };
        json!({
            "id": name("ch", charge), "object": "charge", "livemode": false, "amount": answer.get("amount"),
            "currency": self.stripe.intents.get(intent).map(|intent| &intent.currency),
            "status": if declined.is_some() { "failed" } else { "succeeded" }, "paid": declined.is_none(),
            "captured": declined.is_none() && money.captured > 0,
            "amount_captured": if declined.is_some() { 0 } else { money.captured },
            "amount_refunded": money.refunded, "refunded": money.refunded > 0 && money.refunded == money.captured,
            "payment_intent": name("pi", intent),
            "metadata": self.stripe.intents.get(intent).map(|intent| members(&intent.metadata)),
            "payment_method_details": {"type": "card", "card": {
                "brand": method.map(|method| brand(method.number)), "last4": method.map(|method| last4(method.number)),
                "network_transaction_id": answer.get("network_transaction_id"),
                "authorization_code": answer.get("auth_code"),
                "checks": {
                    "address_line1_check": check(answer.pointer("/avs/address").unwrap_or(&Value::Null)),
                    "address_postal_code_check": check(answer.pointer("/avs/postcode").unwrap_or(&Value::Null)),
                    "cvc_check": check(answer.get("cvv").unwrap_or(&Value::Null)),
                },
            }},
        })
    }

    pub(super) fn refund(self, index: usize) -> Value {
        let Some(Refund { entry, intent, minor, metadata, created }) = self.stripe.refunds.get(index) else {
            return Value::Null;
        };
        let (declined, busy) = (self.book.declined(*entry), self.book.is_busy(*entry, self.now));
        let status = if busy {
            "pending"
        } else if declined.is_some() {
            "failed"
        } else {
            "succeeded"
        };
        let of = self.stripe.intents.get(*intent);
        json!({
            "id": name("re", index), "object": "refund", "amount": minor, "created": created, "status": status,
            "currency": of.map(|of| &of.currency), "payment_intent": name("pi", *intent), "metadata": members(metadata),
            "charge": of.and_then(|of| of.charge).map(|charge| name("ch", charge)),
            "failure_reason": declined.map(|_| "declined"),
        })
    }

    pub(super) fn setup(self, index: usize) -> Value {
        let Some(Setup { method, customer, declined, metadata, created }) = self.stripe.setups.get(index) else {
            return Value::Null;
        };
        let error = declined.as_deref().map(|code| Refusal::declined(code).error);
        json!({
            "id": name("seti", index), "object": "setup_intent", "livemode": false, "created": created, "usage": "off_session",
            "status": if error.is_some() { "requires_payment_method" } else { "succeeded" }, "last_setup_error": error,
            "customer": customer.map(|customer| name("cus", customer)), "metadata": members(metadata),
            "payment_method": name("pm", *method),
        })
    }
}

/// Stripe's name of one.
pub(super) fn name(prefix: &str, index: usize) -> String {
    format!("{prefix}_{index:06}")
}

/// Which one a name is of.
pub(super) fn index(prefix: &str, name: &str) -> Option<usize> {
    name.strip_prefix(prefix)?.strip_prefix('_')?.parse().ok()
}

fn members(pairs: &[(String, String)]) -> Value {
    Value::Object(pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
}

fn brand(number: &str) -> &'static str {
    match wire::Brand::of(number.as_bytes()) {
        Some(wire::Brand::Visa) => "visa",
        Some(wire::Brand::Mastercard) => "mastercard",
        Some(wire::Brand::Amex) => "amex",
        _ => "unknown",
    }
}

fn last4(number: &str) -> &str {
    number.get(number.len().saturating_sub(4)..).unwrap_or_default()
}
