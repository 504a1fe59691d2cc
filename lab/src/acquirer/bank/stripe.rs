//! The same bank in the words of Stripe's API (docs.stripe.com/api), for keys that begin with `sk_test_` or `rk_test_`: as much
//! of PaymentMethods, Customers, PaymentIntents, SetupIntents, Refunds, Charges and BalanceTransactions as a telephone order takes, with
//! idempotent requests (docs.stripe.com/idempotency: the first answer again, a 500 too; 400 for other parameters, 409
//! while the first is worked on), lists that are never behind and a search that is (by `find::SEARCH_LAG`); questions that get lost, and limits of how many
//! requests a second are answered, if those were ordered.
//!
//! Charges, captures, voids and refunds are those of the book: cards, codes and amounts decide as ever, and the ledger
//! has them by the metadata `tonewall_attempt`, else by the idempotency key or the name of the PaymentIntent. A charge
//! that is not flagged as a telephone order is declined: the bank wants the cardholder online.

mod balance;
mod find;
mod form;
mod objects;
mod pace;
mod page;
mod refusal;

use super::book::{Book, Noun};
use super::{Bank, KEY_HOURS, Request, Response, fingerprint};
use crate::acquirer::fault::{Delivery, Fault};
use crate::acquirer::verdict;
use crate::acquirer::webhook::{Event, Shape};
use card::YearMonth;
use form::Form;
use objects::{View, index, name};
use pace::{Asks, Pace};
use refusal::Refusal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::Address;

/// The version of the API whose shapes these are.
pub(in crate::acquirer) const VERSION: &str = "2024-12-18.acacia";
/// For whom the book's charges are.
const MERCHANT: &str = "stripe";
/// Metadata pairs of one object (docs.stripe.com/api/metadata).
const METADATA_MAX: usize = 50;

/// A card that was sent: a published test card's.
struct Method {
    number: &'static str,
    expiry: YearMonth,
    /// Until the first charge.
    cvv: Option<String>,
    address: Option<Address>,
    customer: Option<usize>,
    /// May it be charged without its holder?
    kept: bool,
    created: i64,
}

struct Intent {
    minor: i64,
    /// In small letters.
    currency: String,
    later: bool,
    keeps: bool,
    method: Option<usize>,
    customer: Option<usize>,
    metadata: Vec<(String, String)>,
    created: i64,
    since: Instant,
    /// The newest of the book.
    charge: Option<usize>,
    canceled: bool,
}

struct Refund {
    entry: usize,
    intent: usize,
    minor: i64,
    metadata: Vec<(String, String)>,
    created: i64,
}

struct Setup {
    method: usize,
    customer: Option<usize>,
    declined: Option<String>,
    metadata: Vec<(String, String)>,
    created: i64,
}

/// What an idempotency key names.
struct Known {
    fingerprint: u64,
    since: Instant,
    busy_until: Instant,
    response: Response,
}

/// All of Stripe's objects.
#[derive(Default)]
pub(super) struct Stripe {
    methods: Vec<Method>,
    customers: Vec<Vec<(String, String)>>,
    intents: Vec<Intent>,
    refunds: Vec<Refund>,
    setups: Vec<Setup>,
    keys: BTreeMap<String, Known>,
    pace: Pace,
    requests: u64,
}

/// What was done, and what is said of it unasked.
struct Done {
    object: Value,
    event: Option<&'static str>,
}

/// One request that may be executed.
struct Order<'a> {
    now: Instant,
    unix_s: i64,
    busy_until: Instant,
    key: Option<&'a str>,
    form: Form,
}

/// Is the key one of Stripe's for tests? A live one is refused in the sandbox's own words.
pub(super) fn is_spoken(request: &Request) -> bool {
    let key = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    key.is_some_and(|key| ["sk_test_", "rk_test_"].iter().any(|kind| key.starts_with(kind)))
}

impl Bank {
    pub(super) fn stripe(&mut self, now: Instant, request: &Request) -> (Response, Delivery) {
        self.stripe.requests += 1;
        let number = self.stripe.requests;
        let (mut response, delivery) = self.stripe_answer(now, request);
        response.headers.push(("request-id", format!("req_{number:08}")));
        response.headers.push(("stripe-version", VERSION.to_owned()));
        (response, delivery)
    }

    fn stripe_answer(&mut self, now: Instant, request: &Request) -> (Response, Delivery) {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let asks = match (request.method.as_str(), parts.as_slice()) {
            ("GET", [.., "search"]) => Asks::Search,
            ("GET", _) => Asks::Read,
            ("POST", _) => Asks::Write,
            _ => return (Refusal::missing("route").response(), Delivery::Normal),
        };
        if self.stripe.pace.is_over(now, asks, self.faults.limits()) {
            return (Refusal::too_many().response(), Delivery::Normal);
        }
        if matches!(asks, Asks::Write) {
            return self.stripe_post(now, &parts, request);
        }
        if self.faults.loses_read() {
            return (Response::error(500, "internal"), Delivery::DropBeforeCommit);
        }
        let form = Form::parse(query.as_bytes()).ok_or_else(|| Refusal::request("url_invalid", "Not a query."));
        let found = form.and_then(|form| match parts.as_slice() {
            ["balance_transactions"] => self.stripe_balance(now, &form),
            parts => View { book: &self.book, now, stripe: &self.stripe }.find(parts, &form),
        });
        (found.map_or_else(|refusal| refusal.response(), |object| Response::new(200, &object)), Delivery::Normal)
    }

    fn stripe_post(&mut self, now: Instant, parts: &[&str], request: &Request) -> (Response, Delivery) {
        let key = request.header("idempotency-key").filter(|_| self.faults.idempotency());
        if let Some(response) = key.and_then(|key| self.stripe.known(now, key, fingerprint(request))) {
            return (response, Delivery::Normal);
        }
        let Some(form) = Form::parse(&request.body) else {
            return (Refusal::request("parameter_invalid", "Not a form.").response(), Delivery::Normal);
        };
        let fault = self.faults.draw();
        match fault {
            Fault::DropBefore => return (Response::error(500, "internal"), Delivery::DropBeforeCommit),
            Fault::NotExecuted => return (Refusal::too_many().response(), Delivery::Normal),
            _ => {}
        }
        let delay_ms = if fault == Fault::Delay { self.faults.delay_ms() } else { 0 };
        let busy_until = now + Duration::from_millis(delay_ms);
        let order = Order { now, unix_s: self.unix_s(now), busy_until, key: request.header("idempotency-key"), form };
        let done = self.stripe.execute(&mut self.book, parts, &order);
        let is_executed = done.as_ref().map_or_else(|refusal| refusal.status == 402, |_| true);
        if let Ok(Done { object, event: Some(about) }) = &done {
            self.say_stripe(about, object, order.unix_s, delay_ms);
        }
        if let Err(refusal) = &done
            && let Some(object) = refusal.error.get("payment_intent").filter(|_| refusal.status == 402)
        {
            self.say_stripe("payment_intent.payment_failed", object, order.unix_s, delay_ms);
        }
        let mut response = done.map_or_else(|refusal| refusal.response(), |done| Response::new(200, &done.object));
        if fault == Fault::Error500After {
            response = Refusal::new(500, "api_error", "internal", "Something went wrong on our end.").response();
        }
        if let Some(key) = key.filter(|_| is_executed) {
            let known = Known { fingerprint: fingerprint(request), since: now, busy_until, response: response.clone() };
            self.stripe.keys.insert(key.to_owned(), known);
        }
        let delivery = match fault {
            Fault::DropAfter => Delivery::DropAfterCommit,
            Fault::Truncate => Delivery::Truncate,
            Fault::Delay => Delivery::Delay(delay_ms),
            _ => Delivery::Normal,
        };
        (response, delivery)
    }

    fn say_stripe(&mut self, about: &str, object: &Value, created: i64, delay_ms: u64) {
        if self.webhooks.wanted(Shape::Stripe) {
            let event = Event { about, object, created };
            self.webhooks.say(&mut self.faults, Shape::Stripe, event, delay_ms);
        }
    }
}

impl Stripe {
    /// The answer to a key that is known.
    fn known(&mut self, now: Instant, key: &str, fingerprint: u64) -> Option<Response> {
        let known = self.keys.get(key)?;
        if now.saturating_duration_since(known.since) >= Duration::from_hours(KEY_HOURS) {
            self.keys.remove(key);
            return None;
        }
        let error = |status, code: &str, message: &str| {
            Some(Refusal::new(status, "idempotency_error", code, message).response())
        };
        if known.fingerprint != fingerprint {
            return error(400, "idempotency_error", "This key was first used with other parameters.");
        }
        if known.busy_until > now {
            return error(409, "idempotency_key_in_use", "The first request with this key is still worked on.");
        }
        let mut response = known.response.clone();
        response.headers.push(("idempotent-replayed", "true".to_owned()));
        Some(response)
    }

    fn execute(&mut self, book: &mut Book, parts: &[&str], order: &Order<'_>) -> Result<Done, Refusal> {
        if order.form.metadata().len() > METADATA_MAX {
            return Err(Refusal::request("parameter_invalid", "Too much metadata."));
        }
        match parts {
            ["payment_methods"] => self.method(book, order),
            ["payment_methods", method, verb @ ("attach" | "detach")] => self.tie(book, order, method, verb),
            ["customers"] => {
                self.customers.push(order.form.metadata());
                let made = self.customers.len() - 1;
                Ok(Done { object: self.view(book, order.now).customer(made), event: Some("customer.created") })
            }
            ["payment_intents"] => self.intent(book, order),
            ["payment_intents", intent, "confirm"] => {
                let intent = self.intent_of(intent)?;
                self.choose(intent, order)?;
                self.confirm(book, order, intent)
            }
            ["payment_intents", intent, "capture"] => self.capture(book, order, self.intent_of(intent)?),
            ["payment_intents", intent, "cancel"] => self.cancel(book, order, self.intent_of(intent)?),
            ["setup_intents"] => self.setup(book, order),
            ["refunds"] => self.refund(book, order),
            _ => Err(Refusal::missing("route")),
        }
    }

    fn view<'a>(&'a self, book: &'a Book, now: Instant) -> View<'a> {
        View { book, now, stripe: self }
    }

    fn intent_of(&self, named: &str) -> Result<usize, Refusal> {
        let found = index("pi", named).filter(|index| *index < self.intents.len());
        found.ok_or_else(|| Refusal::missing("payment_intent"))
    }

    fn method_of(&self, named: &str) -> Result<usize, Refusal> {
        let found = index("pm", named).filter(|index| *index < self.methods.len());
        found.ok_or_else(|| Refusal::missing("PaymentMethod"))
    }

    fn customer_of(&self, form: &Form) -> Result<Option<usize>, Refusal> {
        let Some(named) = form.text("customer") else { return Ok(None) };
        let found = index("cus", named).filter(|index| *index < self.customers.len());
        found.map(Some).ok_or_else(|| Refusal::missing("customer"))
    }

    fn method(&mut self, book: &Book, order: &Order<'_>) -> Result<Done, Refusal> {
        let form = &order.form;
        let number = form.text("card[number]").ok_or_else(|| Refusal::request("parameter_missing", "No card."))?;
        let number = verdict::published(number).ok_or_else(|| Refusal::declined("live"))?;
        let date = form.number("card[exp_month]").zip(form.number("card[exp_year]"));
        let date = date.and_then(|(month, year)| Some((u8::try_from(month).ok()?, u16::try_from(year).ok()?)));
        let (month, year) = date.filter(|(month, _)| (1..=12).contains(month)).ok_or_else(|| {
            Refusal::new(402, "card_error", "invalid_expiry_month", "The card's expiration month is invalid.")
        })?;
        let line = form.text("billing_details[address][line1]").unwrap_or_default();
        let postcode = form.text("billing_details[address][postal_code]").unwrap_or_default();
        let address = (!line.is_empty() || !postcode.is_empty()).then(|| Address::new(line, postcode));
        let address = address.transpose().map_err(|_| Refusal::request("parameter_invalid", "The address is none."))?;
        self.methods.push(Method {
            number,
            expiry: YearMonth { year, month },
            cvv: form.text("card[cvc]").map(str::to_owned),
            address,
            customer: None,
            kept: false,
            created: order.unix_s,
        });
        Ok(Done { object: self.view(book, order.now).method(self.methods.len() - 1), event: None })
    }

    fn tie(&mut self, book: &Book, order: &Order<'_>, method: &str, verb: &str) -> Result<Done, Refusal> {
        let (method, customer) = (self.method_of(method)?, self.customer_of(&order.form)?);
        let attaches = verb == "attach";
        if let Some(tied) = self.methods.get_mut(method) {
            if attaches && customer.is_none() {
                return Err(Refusal::request("parameter_missing", "No customer."));
            }
            if !attaches && tied.customer.is_none() {
                return Err(Refusal::request("payment_method_not_attached", "It is attached to nobody."));
            }
            (tied.customer, tied.kept) = (customer.filter(|_| attaches), tied.kept && attaches);
        }
        let event = if attaches { "payment_method.attached" } else { "payment_method.detached" };
        Ok(Done { object: self.view(book, order.now).method(method), event: Some(event) })
    }

    fn intent(&mut self, book: &mut Book, order: &Order<'_>) -> Result<Done, Refusal> {
        let form = &order.form;
        let minor = form.number("amount").filter(|minor| (1..=99_999_999).contains(minor));
        let minor = minor.ok_or_else(|| Refusal::request("parameter_invalid_integer", "The amount is none."))?;
        let currency = form.text("currency").map(str::to_ascii_lowercase);
        let currency = currency.filter(|code| code.to_ascii_uppercase().parse::<wire::Currency>().is_ok());
        let currency = currency.ok_or_else(|| Refusal::request("parameter_invalid", "The currency is none."))?;
        let confirms = form.is_true("confirm");
        if confirms && form.text("payment_method").is_none() {
            return Err(Refusal::request("parameter_missing", "Nothing to confirm with."));
        }
        let customer = self.customer_of(form)?;
        if let Some(method) = form.text("payment_method") {
            self.method_of(method)?;
        }
        self.intents.push(Intent {
            minor,
            currency,
            later: form.text("capture_method") == Some("manual"),
            keeps: form.text("setup_future_usage") == Some("off_session"),
            method: None,
            customer,
            metadata: form.metadata(),
            created: order.unix_s,
            since: order.now,
            charge: None,
            canceled: false,
        });
        let made = self.intents.len() - 1;
        self.choose(made, order)?;
        if confirms {
            return self.confirm(book, order, made);
        }
        Ok(Done { object: self.shown(book, order, made), event: Some("payment_intent.created") })
    }

    /// The card of the request, if it names one.
    fn choose(&mut self, intent: usize, order: &Order<'_>) -> Result<(), Refusal> {
        let Some(named) = order.form.text("payment_method") else { return Ok(()) };
        let method = self.method_of(named)?;
        if let Some(intent) = self.intents.get_mut(intent) {
            intent.method = Some(method);
        }
        Ok(())
    }

    fn shown(&self, book: &Book, order: &Order<'_>, intent: usize) -> Value {
        self.view(book, order.now).intent(intent, order.form.expands_charge())
    }

    fn status(&self, book: &Book, now: Instant, intent: usize) -> &'static str {
        self.intents.get(intent).map_or("", |intent| self.view(book, now).status(intent))
    }

    fn confirm(&mut self, book: &mut Book, order: &Order<'_>, number: usize) -> Result<Done, Refusal> {
        let status = self.status(book, order.now, number);
        if !matches!(status, "requires_confirmation" | "requires_payment_method") {
            return Err(Refusal::state(status));
        }
        let body = self.charge_body(order, number)?;
        let mut entry = book.judge(order.now, Noun::Charge, &body).map_err(|code| Refusal::request(code, code))?;
        entry.busy_until = order.busy_until;
        let charge = book.commit(entry);
        let Some(intent) = self.intents.get_mut(number) else { return Err(Refusal::missing("payment_intent")) };
        intent.charge = Some(charge);
        let (keeps, method, customer) = (intent.keeps, intent.method, intent.customer);
        // What is told is how it ended, not that it is still being worked on.
        let object = self.view(book, order.busy_until).intent(number, order.form.expands_charge());
        if let Some(code) = book.declined(charge) {
            let refusal = Refusal::declined(code).about("charge", json!(name("ch", charge)));
            return Err(refusal.about("payment_intent", object));
        }
        if let Some(method) = method.and_then(|method| self.methods.get_mut(method)).filter(|_| keeps) {
            (method.kept, method.customer) = (true, customer);
        }
        let waits = object.get("status").is_some_and(|status| status == "requires_capture");
        let event = if waits { "payment_intent.amount_capturable_updated" } else { "payment_intent.succeeded" };
        Ok(Done { object, event: Some(event) })
    }

    /// The charge in the book's own words. The security code is used once.
    fn charge_body(&mut self, order: &Order<'_>, number: usize) -> Result<Vec<u8>, Refusal> {
        let missing = || Refusal::request("parameter_missing", "Nothing to confirm with.");
        let intent = self.intents.get(number).ok_or_else(missing)?;
        let method = intent.method.and_then(|method| self.methods.get_mut(method)).ok_or_else(missing)?;
        let off_session = order.form.is_true("off_session");
        if off_session && (method.customer.is_none() || method.customer != intent.customer) {
            return Err(Refusal::request("payment_method_unattached", "The card is not this customer's."));
        }
        let flagged = order.form.is_true("payment_method_options[card][moto]") || (off_session && method.kept);
        let attempt =
            intent.metadata.iter().find(|(name, _)| name == "tonewall_attempt").map(|(_, value)| value.as_str());
        let body = json!({
            "amount": intent.minor, "currency": intent.currency.to_ascii_uppercase(), "merchant": MERCHANT,
            "channel": if flagged { "moto" } else { "ecommerce" },
            "reference": attempt.map_or_else(|| name("pi", number), str::to_owned),
            "capture": if intent.later { "later" } else { "now" }, "avs": method.address,
            "card": {"number": method.number, "exp_month": method.expiry.month, "exp_year": method.expiry.year,
                "cvv": method.cvv.take()},
        });
        Ok(body.to_string().into_bytes())
    }

    /// What follows a charge, in the book's own words.
    fn follow(
        &self,
        book: &mut Book,
        order: &Order<'_>,
        (noun, intent, minor): (Noun, usize, i64),
    ) -> Result<usize, Refusal> {
        let intent = self.intents.get(intent).ok_or_else(|| Refusal::missing("payment_intent"))?;
        let charge = intent.charge.ok_or_else(|| Refusal::state("requires_confirmation"))?;
        let own = format!("{}-{}", name("ch", charge), book.len());
        let metadata = order.form.metadata();
        let attempt = metadata.iter().find(|(name, _)| name == "tonewall_attempt").map(|(_, value)| value.as_str());
        let body = json!({
            "amount": minor, "currency": intent.currency.to_ascii_uppercase(), "merchant": MERCHANT, "last": true,
            "of": name("ch", charge), "reference": attempt.or(order.key).unwrap_or(&own),
        });
        let judged = book.judge(order.now, noun, body.to_string().as_bytes());
        let mut entry = judged.map_err(|code| match code {
            "over_captured" => Refusal::request("amount_too_large", "More than what can be captured."),
            "over_refunded" => Refusal::request("charge_already_refunded", "More than what is left of the charge."),
            code => Refusal::request(code, code),
        })?;
        entry.busy_until = order.busy_until;
        Ok(book.commit(entry))
    }

    fn capture(&mut self, book: &mut Book, order: &Order<'_>, number: usize) -> Result<Done, Refusal> {
        let status = self.status(book, order.now, number);
        if status != "requires_capture" {
            return Err(Refusal::state(status));
        }
        let whole = self.intents.get(number).map_or(0, |intent| intent.minor);
        let minor = order.form.number("amount_to_capture").unwrap_or(whole);
        self.follow(book, order, (Noun::Capture, number, minor))?;
        let object = self.view(book, order.busy_until).intent(number, order.form.expands_charge());
        Ok(Done { object, event: Some("payment_intent.succeeded") })
    }

    fn cancel(&mut self, book: &mut Book, order: &Order<'_>, number: usize) -> Result<Done, Refusal> {
        match self.status(book, order.now, number) {
            "requires_capture" => {
                self.follow(book, order, (Noun::Void, number, 0))?;
            }
            "requires_payment_method" | "requires_confirmation" => {
                if let Some(intent) = self.intents.get_mut(number) {
                    intent.canceled = true;
                }
            }
            status => return Err(Refusal::state(status)),
        }
        Ok(Done { object: self.shown(book, order, number), event: Some("payment_intent.canceled") })
    }

    fn refund(&mut self, book: &mut Book, order: &Order<'_>) -> Result<Done, Refusal> {
        let named = order.form.text("payment_intent").unwrap_or_default();
        let number = self.intent_of(named)?;
        let left = self.intents.get(number).and_then(|intent| intent.charge).map_or(0, |charge| {
            let money = book.money(charge);
            money.captured - money.refunded
        });
        let minor = order.form.number("amount").unwrap_or(left);
        let entry = self.follow(book, order, (Noun::Refund, number, minor))?;
        let metadata = order.form.metadata();
        self.refunds.push(Refund { entry, intent: number, minor, metadata, created: order.unix_s });
        let made = self.refunds.len() - 1;
        let failed = book.is_declined(entry);
        let object = self.view(book, order.busy_until).refund(made);
        Ok(Done { object, event: Some(if failed { "refund.failed" } else { "refund.created" }) })
    }

    fn setup(&mut self, book: &Book, order: &Order<'_>) -> Result<Done, Refusal> {
        let method = self.method_of(order.form.text("payment_method").unwrap_or_default())?;
        let customer = self.customer_of(&order.form)?;
        let flagged = order.form.is_true("payment_method_options[card][moto]");
        let Some(kept) = self.methods.get_mut(method) else { return Err(Refusal::missing("PaymentMethod")) };
        let declined = if flagged { verdict::by_card(kept.number) } else { Some("65") };
        if declined.is_none() {
            (kept.kept, kept.customer) = (true, customer);
        }
        let declined = declined.map(str::to_owned);
        let metadata = order.form.metadata();
        self.setups.push(Setup { method, customer, declined: declined.clone(), metadata, created: order.unix_s });
        let object = self.view(book, order.now).setup(self.setups.len() - 1);
        match declined {
            Some(code) => Err(Refusal::declined(&code).about("setup_intent", object)),
            None => Ok(Done { object, event: Some("setup_intent.succeeded") }),
        }
    }
}

#[cfg(test)]
mod tests;
