//! The adapters: goldens of what each sends, and the outcome law over everything that may come back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod adyen;
mod law;
mod pay_connector;
mod report;
mod sandbox;
mod stripe;

use card::{Card, Cvv, Digit, Expiry, Keyed, Pan, YearMonth};
use gateway::{HttpRequest, Original, Request, Terms};
use wire::{AttemptId, Currency, MerchantId, Money};

pub(crate) const AMOUNT: Money = Money { minor: 4200, currency: Currency::GBP };
pub(crate) const ID: &str = "00000000-0000-4000-8000-000000000007";

fn keyed(text: &str) -> Keyed {
    let mut keyed = Keyed::new().unwrap();
    text.bytes().for_each(|byte| assert!(keyed.push(&Digit::new(byte - b'0').unwrap())));
    keyed
}

pub(crate) fn card(pan: &str, expiry: &str, cvv: Option<&str>) -> Card {
    let pan = Pan::parse(&keyed(pan)).ok().unwrap();
    let brand = pan.brand();
    let cvv = cvv.map(|cvv| Cvv::parse(&keyed(cvv), Some(brand)).ok().unwrap());
    Card { pan, expiry: Expiry::parse(&keyed(expiry), YearMonth { year: 2026, month: 11 }).ok().unwrap(), cvv }
}

pub(crate) fn attempt() -> AttemptId {
    ID.parse().unwrap()
}

pub(crate) fn shop() -> MerchantId {
    "shop".parse().unwrap()
}

pub(crate) fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
}

/// One request of each kind that moves something, and the inquiry after each.
pub(crate) fn each_request(card: &Card, merchant: &MerchantId, mut visit: impl FnMut(Request<'_>)) {
    let (attempt, amount, terms, token) = (attempt(), AMOUNT, Terms::default(), "tok_1");
    let of = Original { attempt: AttemptId::from_random(1), gateway_ref: "ch_1", approved: AMOUNT, capture_ref: None };
    for request in [
        Request::Authorize { attempt, amount, card, merchant, terms },
        Request::Capture { attempt, amount, merchant, of, last: true },
        Request::Void { attempt, merchant, of },
        Request::Refund { attempt, amount, merchant, of },
        Request::Store { attempt, card, merchant, terms },
        Request::ChargeStored { attempt, amount, token, merchant, terms },
        Request::DeleteStored { attempt, token, merchant },
    ] {
        let kind = request.operation().kind;
        visit(request);
        visit(Request::Inquire { kind, attempt, merchant, locator: Some("ch_7") });
    }
}
