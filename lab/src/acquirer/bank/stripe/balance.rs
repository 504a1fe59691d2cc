//! Balance transactions: every movement of money that stands (docs.stripe.com/api/balance_transactions/list).

use super::form::Form;
use super::objects::{View, name};
use super::page::Page;
use super::refusal::Refusal;
use crate::acquirer::bank::{Bank, book::Movement};
use serde_json::{Value, json};
use std::time::Instant;

/// What is kept of a charge, in minor units and in thousandths of it.
const FEE: (i64, i64) = (20, 15);

impl Bank {
    /// The newest first.
    pub(super) fn stripe_balance(&self, now: Instant, form: &Form) -> Result<Value, Refusal> {
        let view = View { book: &self.book, now, stripe: &self.stripe };
        let whole = form.expands_source();
        let mut all: Vec<Value> =
            self.book.movements().filter_map(|movement| self.transaction(view, &movement, whole)).collect();
        all.reverse();
        let page = Page::of(form, &[])?;
        let after = page.after.map(|name| all.iter().position(|one| named(one, name)));
        let from = match after {
            None => 0,
            Some(found) => found.map(|at| at + 1).ok_or_else(|| Refusal::missing("object to start after"))?,
        };
        let created = |one: &Value| one.get("created").and_then(Value::as_i64).unwrap_or_default();
        let (data, has_more) = page.cut(all.into_iter().skip(from).filter(|one| page.holds(created(one))));
        Ok(json!({"object": "list", "url": "/v1/balance_transactions", "has_more": has_more, "data": data}))
    }

    /// None of a movement that was not asked for in Stripe's words.
    fn transaction(&self, view: View<'_>, movement: &Movement<'_>, whole: bool) -> Option<Value> {
        let entry = |id: &str| id.rsplit('_').next().and_then(|number| number.parse::<usize>().ok());
        let stripe = &self.stripe;
        let (category, source) = if movement.kind == "refund" {
            let own = entry(&movement.id)?;
            let refund = stripe.refunds.iter().position(|refund| refund.entry == own)?;
            ("refund", if whole { view.refund(refund) } else { json!(name("re", refund)) })
        } else {
            let charge = entry(movement.of.as_deref().unwrap_or(&movement.id))?;
            let intent = stripe.intents.iter().position(|intent| intent.charge == Some(charge))?;
            ("charge", if whole { view.charge(charge, intent) } else { json!(name("ch", charge)) })
        };
        let (amount, fee) = match category {
            "refund" => (-movement.money.minor, 0),
            _ => (movement.money.minor, FEE.0 + movement.money.minor * FEE.1 / 1000),
        };
        let created = self.unix_s(movement.at);
        Some(json!({
            "id": format!("txn_{}", movement.id), "object": "balance_transaction", "amount": amount, "fee": fee, "net": amount - fee,
            "currency": movement.money.currency.code().to_ascii_lowercase(), "created": created, "available_on": created,
            "type": category, "reporting_category": category, "status": "available", "source": source, "fee_details": [],
            "description": null, "exchange_rate": null,
        }))
    }
}

fn named(one: &Value, name: &str) -> bool {
    one.get("id").is_some_and(|id| id == name)
}
