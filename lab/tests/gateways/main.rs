//! The adapters before other people's gateways: localstripe and stripe-stateful-mock, and Prism, which holds every request
//! against Adyen's published specification; and Stripe's own library before the sandbox's Stripe-shaped face. All on 127.0.0.1; `cargo xtask test` installs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::as_conversions,
    missing_docs,
    reason = "test code"
)]

mod adyen;
mod brands;
mod face;
mod servers;
mod stripe;

use card::{Card, Cvv, Digit, Expiry, Keyed, Pan, YearMonth};
use gateway::{Adapter, Answer, Following, Heard, HttpRequest, Request, STEPS_MAX, Sent, Step};
use wire::{AttemptId, Currency, MerchantId, Money};

pub(crate) const AMOUNT: Money = Money { minor: 4200, currency: Currency::GBP };

fn keyed(text: &str) -> Keyed {
    let mut keyed = Keyed::new().unwrap();
    text.bytes().for_each(|byte| assert!(keyed.push(&Digit::new(byte - b'0').unwrap())));
    keyed
}

pub(crate) fn card(pan: &str) -> Card {
    let pan = Pan::parse(&keyed(pan)).ok().unwrap();
    let code = if pan.brand() == wire::Brand::Amex { "1234" } else { "123" };
    let cvv = Cvv::parse(&keyed(code), Some(pan.brand())).ok();
    Card { pan, expiry: Expiry::parse(&keyed("1230"), YearMonth { year: 2026, month: 11 }).ok().unwrap(), cvv }
}

pub(crate) fn attempt(number: u128) -> AttemptId {
    AttemptId::from_random(number)
}

pub(crate) fn shop() -> MerchantId {
    "shop".parse().unwrap()
}

/// Sends requests to a server, as the node does.
pub(crate) struct Wire {
    client: reqwest::Client,
    url: String,
}

impl Wire {
    pub(crate) fn new(url: String) -> Self {
        // An error means that it is installed already.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(20)).build().unwrap();
        Self { client, url }
    }

    pub(crate) async fn send(&self, request: HttpRequest) -> Sent {
        let method = reqwest::Method::from_bytes(request.method.as_str().as_bytes()).unwrap();
        let mut builder = self.client.request(method, format!("{}{}", self.url, request.path));
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        match builder.body(request.body.into_bytes()).send().await {
            Err(_) => Sent::Broken,
            Ok(response) => {
                let status = response.status().as_u16();
                let body = response.bytes().await;
                body.map_or(Sent::Broken, |body| Sent::Response { status, body: body.to_vec() })
            }
        }
    }

    /// All requests of an operation.
    pub(crate) async fn run(&self, adapter: &dyn Adapter, request: &Request<'_>) -> Answer {
        let mut plan = adapter.plan(request);
        let mut sent = self.send(adapter.build(request)).await;
        for _ in 0..STEPS_MAX {
            match adapter.step(&mut plan, request.operation(), sent) {
                Step::Done(answer) => return answer,
                Step::Next(request) => sent = self.send(request).await,
            }
        }
        panic!("too many requests")
    }

    /// One inquiry.
    pub(crate) async fn ask(&self, adapter: &dyn Adapter, following: &mut Following, now_ms: i64) -> Option<Answer> {
        let mut sent = self.send(following.ask(now_ms, adapter).unwrap()).await;
        for _ in 0..STEPS_MAX {
            match following.hear(adapter, sent) {
                Heard::Known(answer) => return Some(answer),
                Heard::Nothing => return None,
                Heard::Ask(request) => sent = self.send(request).await,
            }
        }
        panic!("too many requests")
    }
}
