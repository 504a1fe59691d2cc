//! What is asked for: objects by their name, lists that are never behind, and a search that is.

use super::Intent;
use super::form::Form;
use super::objects::{View, index};
use super::page::Page;
use super::refusal::Refusal;
use serde_json::{Value, json};
use std::time::Duration;

/// How far the search is behind (docs.stripe.com/search#data-freshness: below a minute as a rule).
pub(super) const SEARCH_LAG: Duration = Duration::from_secs(50);
/// What a search finds at most.
const FOUND_MAX: usize = 10;

impl View<'_> {
    /// What a `GET` is answered.
    pub(super) fn find(self, parts: &[&str], form: &Form) -> Result<Value, Refusal> {
        let whole = form.expands_charge();
        let one = |prefix: &str, named: &str, count: usize, show: &dyn Fn(usize) -> Value| {
            let found = index(prefix, named).filter(|index| *index < count);
            found.map(show).ok_or_else(|| Refusal::missing(prefix))
        };
        let stripe = self.stripe;
        match parts {
            ["payment_intents"] => {
                let created = stripe.intents.iter().map(|intent| intent.created).collect::<Vec<_>>();
                self.list(("payment_intents", "pi", &["customer"]), form, &created, &|index| self.intent(index, whole))
            }
            ["payment_intents", "search"] => self.search(form, whole),
            ["payment_intents", named] => one("pi", named, stripe.intents.len(), &|index| self.intent(index, whole)),
            ["refunds"] => self.list(
                ("refunds", "re", &["payment_intent"]),
                form,
                &stripe.refunds.iter().map(|refund| refund.created).collect::<Vec<_>>(),
                &|index| self.refund(index),
            ),
            ["refunds", named] => one("re", named, stripe.refunds.len(), &|index| self.refund(index)),
            ["setup_intents"] => self.list(
                ("setup_intents", "seti", &["customer"]),
                form,
                &stripe.setups.iter().map(|setup| setup.created).collect::<Vec<_>>(),
                &|index| self.setup(index),
            ),
            ["setup_intents", named] => one("seti", named, stripe.setups.len(), &|index| self.setup(index)),
            ["payment_methods", named] => one("pm", named, stripe.methods.len(), &|index| self.method(index)),
            ["customers", named] => one("cus", named, stripe.customers.len(), &|index| self.customer(index)),
            _ => Err(Refusal::missing("route")),
        }
    }

    /// The newest first (docs.stripe.com/api/pagination): of which noun, with what their names begin, and by what else than their
    /// time they can be told apart.
    fn list(
        self,
        (noun, prefix, others): (&str, &str, &[&str]),
        form: &Form,
        created: &[i64],
        show: &dyn Fn(usize) -> Value,
    ) -> Result<Value, Refusal> {
        let page = Page::of(form, others)?;
        let end = match page.after {
            None => created.len(),
            Some(named) => index(prefix, named)
                .filter(|after| *after < created.len())
                .ok_or_else(|| Refusal::missing("object to start after"))?,
        };
        let is_of = |object: &Value, name: &str| {
            form.text(name).is_none_or(|of| object.get(name).is_some_and(|known| known == of))
        };
        // Only what is shown is written out: a busy account has thousands.
        let within = created.iter().enumerate().take(end).rev().filter(|(_, at)| page.holds(**at));
        let shown = within.map(|(index, _)| show(index));
        let (data, has_more) = page.cut(shown.filter(|object| others.iter().all(|name| is_of(object, name))));
        Ok(json!({"object": "list", "url": format!("/v1/{noun}"), "has_more": has_more, "data": data}))
    }

    /// `metadata['NAME']:'VALUE'`, of what is old enough.
    fn search(self, form: &Form, whole: bool) -> Result<Value, Refusal> {
        let asked = form.text("query").and_then(|query| query.strip_prefix("metadata['")?.strip_suffix('\''));
        let (name, value) = asked
            .and_then(|asked| asked.split_once("']:'"))
            .ok_or_else(|| Refusal::request("parameter_invalid", "This search is not understood here."))?;
        let fits = |intent: &Intent| {
            self.now.saturating_duration_since(intent.since) >= SEARCH_LAG
                && intent.metadata.iter().any(|(known, held)| known == name && held == value)
        };
        let found = self.stripe.intents.iter().enumerate().filter(|(_, intent)| fits(intent));
        let data: Vec<Value> = found.take(FOUND_MAX).map(|(index, _)| self.intent(index, whole)).collect();
        Ok(json!({"object": "search_result", "url": "/v1/payment_intents/search", "has_more": false, "data": data,
            "next_page": null}))
    }
}
