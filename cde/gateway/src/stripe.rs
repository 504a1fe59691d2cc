//! Stripe: PaymentIntents of the API version [`API_VERSION`], flagged as telephone orders
//! (docs.stripe.com/payments/payment-intents/moto), form-encoded. The account must be allowed to send card numbers and
//! telephone orders; Stripe's support turns both on.
//!
//! | operation | requests |
//! |---|---|
//! | authorize | a PaymentMethod of the card; for a card that is kept a Customer; a PaymentIntent that is created and confirmed |
//! | store | a PaymentMethod, a Customer, a SetupIntent that is created and confirmed |
//! | charge stored | a PaymentIntent that is created and confirmed |
//! | capture, void, refund, delete stored | one |
//! | report | the balance transactions of a time, page by page |
//! | inquire | the newest PaymentIntents page by page, then Stripe's search, until one has our attempt; then that one |
//!
//! Only the last request of an operation can do anything to money, and it holds no card: an answer that gets lost before
//! it leaves nothing unknown. Stripe repeats the first answer to an `Idempotency-Key`, a 500 too, for 24 hours, and refuses
//! the key to other parameters (docs.stripe.com/api/idempotent_requests): an inquiry that finds nothing takes the key of a
//! charge for a PaymentIntent that cannot charge, after which the charge, should it still be on its way, is refused.

mod answers;
mod balance;
pub(crate) mod decline;
mod inquiry;
mod objects;

use crate::adapter::{Adapter, Brands, Caps, Currencies, Idempotency, Inquiry, Moto};
use crate::answer::Answer;
use crate::form::{CardForm, fields};
use crate::http::{Body, HttpRequest, Method, Sent};
use crate::key::{KeyError, Mode};
use crate::plan::{Plan, Planned, Step};
use crate::report::{Period, ReadPage};
use crate::request::{CaptureTime, Initiator, Keep, Operation, Request, Terms};
use crate::webhook::{GatewayEvent, Headers, WebhookError};
use crate::{signature, text};
use card::Card;
use wire::{Address, AttemptId, MerchantId, Money};
use zeroize::Zeroizing;

/// The version of Stripe's API that is spoken whatever the account's own is: the first whose charges name the network's
/// transaction id.
pub const API_VERSION: &str = "2024-12-18.acacia";

/// Where Stripe's objects keep our attempt's id.
const ATTEMPT_KEY: &str = "tonewall_attempt";
/// Where a PaymentIntent that is there to keep an attempt from being executed has that attempt's id.
const FENCE_KEY: &str = "tonewall_fence";

/// Currencies in which Stripe counts as ISO 4217 does. Of the others it counts some with other decimals (ISK, UGX, MGA),
/// or takes only whole tens (BHD, KWD); see docs.stripe.com/currencies.
const CURRENCIES: &[&str] = &[
    "AED", "AUD", "BGN", "BRL", "CAD", "CHF", "CLP", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "INR", "JPY",
    "KRW", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SAR", "SEK", "SGD", "THB", "TRY", "USD", "ZAR",
];

const CAPS: Caps = Caps {
    name: "stripe",
    moto: Moto::Flag,
    idempotency: Idempotency::Key { hours: 24 },
    inquiry: Inquiry::ByReference,
    settle_ms: 60_000,
    capture_later: true,
    partial_capture: true,
    captures_max: 1,
    void: true,
    refund: true,
    partial_refund: true,
    partial_approval: false,
    avs: true,
    cvv: true,
    tokens: true,
    mit: true,
    currencies: Currencies::Only(CURRENCIES),
    brands: Brands::Any,
    live: false,
    verified: true,
};

/// The adapter.
pub struct Stripe {
    key: Zeroizing<String>,
    webhook_secret: Option<Zeroizing<String>>,
    caps: Caps,
}

impl Stripe {
    /// With a secret or restricted key of the account, and the secret of its webhook endpoint (`whsec_…`) if it has one.
    pub fn new(key: String, webhook_secret: Option<String>, mode: Mode) -> Result<Self, KeyError> {
        let key = Zeroizing::new(key);
        let of = |word: &str| ["sk", "rk"].iter().any(|kind| key.starts_with(&format!("{kind}_{word}_")));
        match (mode, of("test"), of("live")) {
            (_, false, false) => {
                Err(KeyError::NotAKey { expected: "a secret key: sk_test_… or sk_live_…, or rk_…" })
            }
            (Mode::Test, _, true) => Err(KeyError::LiveKey),
            (Mode::Live, true, _) => Err(KeyError::TestKey),
            (Mode::Test, true, _) | (Mode::Live, _, true) => Ok(Self {
                key,
                webhook_secret: webhook_secret.map(Zeroizing::new),
                caps: Caps { live: mode == Mode::Live, ..CAPS },
            }),
        }
    }

    fn request(&self, method: Method, path: String, summary: String) -> HttpRequest {
        let headers = vec![
            ("authorization", format!("Bearer {}", *self.key)),
            ("stripe-version", API_VERSION.to_owned()),
            ("accept", "application/json".to_owned()),
        ];
        HttpRequest { method, path, headers, body: Body::empty(), summary }
    }

    fn get(&self, path: String) -> HttpRequest {
        self.request(Method::Get, path, String::new())
    }

    fn post(&self, path: String, idempotency_key: String, body: Body, summary: String) -> HttpRequest {
        let mut request = self.request(Method::Post, path, summary);
        request.headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        request.headers.push(("idempotency-key", idempotency_key));
        request.body = body;
        request
    }

    /// A request whose form has no card in it: what the form says is what is told of it.
    fn send(&self, planned: Planned) -> HttpRequest {
        let Planned { path, form, idempotency_key } = planned;
        let mut body = Body::with_room(form.len());
        body.write(form.as_bytes());
        self.post(path, idempotency_key, body, form)
    }

    /// The card, as a PaymentMethod: the one request that holds it.
    fn method(&self, attempt: AttemptId, card: &Card, avs: Option<&Address>, summary: String) -> HttpRequest {
        let key = format!("{attempt}-method");
        self.post("/v1/payment_methods".to_owned(), key, method_body(card, avs), summary)
    }
}

impl Adapter for Stripe {
    fn build(&self, request: &Request<'_>) -> HttpRequest {
        match *request {
            Request::Authorize { attempt, amount, card, merchant, terms } => {
                let summary = format!("{attempt} {} {} {merchant}", amount.minor, amount.currency.code());
                self.method(attempt, card, terms.avs, summary)
            }
            Request::Store { attempt, card, merchant, terms } => {
                self.method(attempt, card, terms.avs, format!("{attempt} {merchant}"))
            }
            Request::Inquire { kind, locator, .. } => self.get(inquiry::first_path(kind, locator)),
            _ => self.send(only(request)),
        }
    }

    fn plan(&self, request: &Request<'_>) -> Plan {
        match *request {
            Request::Authorize { attempt, amount, merchant, terms, .. } => {
                let keeps = terms.keep == Keep::Token;
                let charge = charge(attempt, amount, merchant, terms, keeps.then_some("{cus_}"), "{pm_}");
                Plan::of(keeps.then(|| customer(attempt)).into_iter().chain([charge]))
            }
            Request::Store { attempt, merchant, .. } => Plan::of([customer(attempt), setup(attempt, merchant)]),
            Request::Capture { of, .. } | Request::Void { of, .. } | Request::Refund { of, .. } => {
                Plan::knowing(of.gateway_ref)
            }
            _ => Plan::default(),
        }
    }

    fn step(&self, plan: &mut Plan, operation: Operation, sent: Sent) -> Step {
        if operation.is_inquiry() {
            return match inquiry::after(plan, operation, sent) {
                inquiry::After::Done(answer) => Step::Done(answer),
                inquiry::After::Get(path) => Step::Next(self.get(path)),
                inquiry::After::Post(planned) => Step::Next(self.send(planned)),
            };
        }
        if plan.is_empty() {
            return Step::Done(answers::last(operation, sent, plan.name("pi_")));
        }
        match answers::name_of_step(sent) {
            Ok(name) => plan.learn(name),
            Err(answer) => return Step::Done(answer),
        }
        match plan.next() {
            Some(planned) => Step::Next(self.send(planned)),
            None => Step::Done(Answer::Rejected),
        }
    }

    fn parse(&self, operation: Operation, sent: Sent) -> Answer {
        let mut plan = Plan::default();
        match self.step(&mut plan, operation, sent) {
            Step::Done(answer) => answer,
            Step::Next(_) => Answer::UNKNOWN,
        }
    }

    fn report(&self, period: Period, after: Option<&str>) -> Option<HttpRequest> {
        Some(self.get(balance::path(period, after)))
    }

    fn read_report(&self, sent: Sent) -> Option<ReadPage> {
        balance::read(sent)
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn verify_webhook(
        &self,
        headers: &Headers<'_>,
        body: &[u8],
        now_unix_ms: i64,
    ) -> Result<Vec<GatewayEvent>, WebhookError> {
        let secret = self.webhook_secret.as_ref().ok_or(WebhookError::NoSecret)?;
        signature::verify((secret.as_bytes(), "stripe-signature"), headers, body, now_unix_ms)?;
        objects::event(body).map(|event| vec![event]).ok_or(WebhookError::Body)
    }
}

/// Names of the fields and the longest of everything else: a number of 19 digits, a date, a security code of four, house
/// number and postcode with every character escaped.
const METHOD_BYTES_MAX: usize = 512;

fn method_body(card: &Card, avs: Option<&Address>) -> Body {
    let mut form = CardForm::with_room(METHOD_BYTES_MAX);
    form.digits("type", b"card");
    card.pan.expose(|digits| form.digits("card[number]", digits));
    card.expiry.expose(|date| {
        form.number("card[exp_month]", u16::from(date.month));
        form.number("card[exp_year]", date.year);
    });
    if let Some(cvv) = &card.cvv {
        cvv.expose(|digits| form.digits("card[cvc]", digits));
    }
    if let Some(house_number) = avs.map(Address::house_number).filter(|text| !text.is_empty()) {
        form.text("billing_details[address][line1]", house_number);
    }
    if let Some(postcode) = avs.map(Address::postcode).filter(|text| !text.is_empty()) {
        form.text("billing_details[address][postal_code]", postcode);
    }
    form.done()
}

fn customer(attempt: AttemptId) -> Planned {
    let form = fields(&[("description", "Tonewall"), (&metadata(ATTEMPT_KEY), &attempt.to_string())]);
    Planned { path: "/v1/customers".to_owned(), form, idempotency_key: format!("{attempt}-customer") }
}

fn metadata(key: &str) -> String {
    format!("metadata[{key}]")
}

/// A PaymentIntent, created and confirmed: the request that moves money. The flag may only come with the confirmation.
fn charge(
    attempt: AttemptId,
    amount: Money,
    merchant: &MerchantId,
    terms: Terms<'_>,
    customer: Option<&str>,
    method: &str,
) -> Planned {
    let (minor, currency) = (amount.minor.to_string(), amount.currency.code().to_ascii_lowercase());
    let (attempt_name, merchant_name) = (metadata(ATTEMPT_KEY), metadata("tonewall_merchant"));
    let id = attempt.to_string();
    let capture = match terms.capture {
        CaptureTime::Now => "automatic",
        CaptureTime::Later => "manual",
    };
    let mut form = vec![
        ("amount", minor.as_str()),
        ("currency", &currency),
        ("payment_method_types[0]", "card"),
        ("capture_method", capture),
        ("confirm", "true"),
        ("payment_method", method),
        (&attempt_name, &id),
        (&merchant_name, merchant.as_str()),
        ("expand[0]", "latest_charge"),
    ];
    form.extend(customer.map(|customer| ("customer", customer)));
    if terms.keep == Keep::Token {
        form.push(("setup_future_usage", "off_session"));
    }
    match terms.agreement.map(|agreement| agreement.initiator) {
        Some(Initiator::Merchant) => {
            form.push(("off_session", "true"));
            // A card from elsewhere: Stripe does not know the agreement that it belongs to.
            let network = terms.agreement.and_then(|agreement| agreement.network_transaction_id);
            let network = network.filter(|_| customer.is_none());
            form.extend(network.map(|id| ("payment_method_options[card][mit_exemption][network_transaction_id]", id)));
        }
        Some(Initiator::Customer) | None => form.push(("payment_method_options[card][moto]", "true")),
    }
    Planned { path: "/v1/payment_intents".to_owned(), form: fields(&form), idempotency_key: id }
}

/// A PaymentIntent of no card that is never confirmed, under the idempotency key of a charge. Where Stripe makes it the charge has not
/// come there, and will be refused if it does; where the charge has come, this is refused.
fn fence(attempt: AttemptId, amount: Money) -> Planned {
    let form = fields(&[
        ("amount", &amount.minor.to_string()),
        ("currency", &amount.currency.code().to_ascii_lowercase()),
        ("payment_method_types[0]", "card"),
        ("description", "Tonewall: keeps a payment whose answer was lost from being taken later"),
        (&metadata(FENCE_KEY), &attempt.to_string()),
    ]);
    Planned { path: "/v1/payment_intents".to_owned(), form, idempotency_key: attempt.to_string() }
}

/// A SetupIntent, created and confirmed: the card is checked with its bank and kept.
fn setup(attempt: AttemptId, merchant: &MerchantId) -> Planned {
    let (attempt_name, merchant_name) = (metadata(ATTEMPT_KEY), metadata("tonewall_merchant"));
    let id = attempt.to_string();
    let form = fields(&[
        ("payment_method_types[0]", "card"),
        ("usage", "off_session"),
        ("confirm", "true"),
        ("customer", "{cus_}"),
        ("payment_method", "{pm_}"),
        (&attempt_name, &id),
        (&merchant_name, merchant.as_str()),
        ("payment_method_options[card][moto]", "true"),
    ]);
    Planned { path: "/v1/setup_intents".to_owned(), form, idempotency_key: id }
}

/// The one request of an operation without a card. What is not one is built so that Stripe refuses it.
fn only(request: &Request<'_>) -> Planned {
    let attempt_name = metadata(ATTEMPT_KEY);
    let planned =
        |attempt: AttemptId, path: String, form: String| Planned { path, form, idempotency_key: attempt.to_string() };
    match *request {
        Request::ChargeStored { attempt, amount, token, merchant, terms } => {
            let (customer, method) = token_parts(token).unwrap_or(("-", "-"));
            charge(attempt, amount, merchant, Terms { keep: Keep::Nothing, ..terms }, Some(customer), method)
        }
        Request::Capture { attempt, amount, of, .. } => planned(
            attempt,
            format!("/v1/payment_intents/{}/capture", segment(of.gateway_ref)),
            fields(&[("amount_to_capture", &amount.minor.to_string())]),
        ),
        Request::Void { attempt, of, .. } => {
            planned(attempt, format!("/v1/payment_intents/{}/cancel", segment(of.gateway_ref)), String::new())
        }
        Request::Refund { attempt, amount, of, .. } => planned(
            attempt,
            "/v1/refunds".to_owned(),
            fields(&[
                ("payment_intent", segment(of.gateway_ref)),
                ("amount", &amount.minor.to_string()),
                (&attempt_name, &attempt.to_string()),
            ]),
        ),
        Request::DeleteStored { attempt, token, .. } => {
            let method = token_parts(token).map_or("-", |(_, method)| method);
            planned(attempt, format!("/v1/payment_methods/{method}/detach"), String::new())
        }
        Request::Authorize { attempt, .. } | Request::Store { attempt, .. } | Request::Inquire { attempt, .. } => {
            planned(attempt, "/v1/-".to_owned(), String::new())
        }
    }
}

/// A name of Stripe's in a path; one that is none is replaced by what Stripe does not know.
fn segment(name: &str) -> &str {
    if text::name(name).is_some() { name } else { "-" }
}

/// Our token: a kept card can only be charged together with its customer.
fn token(customer: &str, method: &str) -> Option<String> {
    text::name(&format!("{customer}.{method}"))
}

fn token_parts(token: &str) -> Option<(&str, &str)> {
    let (customer, method) = token.split_once('.')?;
    let sound = text::name(token).is_some() && customer.starts_with("cus_") && method.starts_with("pm_");
    sound.then_some((customer, method))
}
