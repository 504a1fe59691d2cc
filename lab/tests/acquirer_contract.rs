//! The adapter and the bank, face to face: whatever breaks, what the adapter says in the end is what the ledger shows.
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

use card::{Card, Cvv, Digit, Expiry, Keyed, Pan, YearMonth};
use gateway::{Adapter, HttpRequest, Kind, Operation, Request, Sandbox, Sent, Terms};
use lab::acquirer::{Bank, Delivery};
use std::time::{Duration, Instant};
use wire::{AttemptId, Currency, Money, Outcome};

const TODAY: YearMonth = YearMonth { year: 2026, month: 11 };
const AMOUNT: Money = Money { minor: 4200, currency: Currency::GBP };

fn keyed(text: &str) -> Keyed {
    let mut keyed = Keyed::new().unwrap();
    text.bytes().for_each(|byte| assert!(keyed.push(&Digit::new(byte - b'0').unwrap())));
    keyed
}

fn card(pan: &str) -> Card {
    let pan = Pan::parse(&keyed(pan)).ok().unwrap();
    let code = if pan.brand() == wire::Brand::Amex { "1234" } else { "123" };
    let cvv = Cvv::parse(&keyed(code), Some(pan.brand())).ok();
    Card { pan, expiry: Expiry::parse(&keyed("1230"), TODAY).ok().unwrap(), cvv }
}

fn deliver(bank: &mut Bank, now: Instant, request: HttpRequest) -> Sent {
    let request = lab::acquirer::Request {
        method: request.method.as_str().to_owned(),
        path: request.path,
        headers: request.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: request.body.into_bytes(),
    };
    match bank.handle(now, &request) {
        (response, Delivery::Normal) => Sent::Response { status: response.status, body: response.body },
        // A client that does not see the cut hands on half a body.
        (response, Delivery::Truncate) => {
            Sent::Response { status: response.status, body: response.body[..response.body.len() / 2].to_vec() }
        }
        _ => Sent::Broken,
    }
}

#[test]
fn every_published_card_gets_its_documented_outcome() {
    let now = Instant::now();
    let mut bank = Bank::new(now, TODAY);
    let adapter = Sandbox::new(Sandbox::TEST_KEY.to_owned());
    for (number, (pan, code)) in lab::acquirer::verdict::TEST_CARDS.iter().enumerate() {
        let attempt = AttemptId::from_random(number as u128);
        let request = adapter.build(&Request::Authorize {
            attempt,
            amount: AMOUNT,
            card: &card(pan),
            merchant: &"shop".parse().unwrap(),
            terms: Terms::default(),
        });
        let sent = deliver(&mut bank, now, request);
        let operation = Operation::direct(Kind::Authorize, attempt, Some(AMOUNT));
        match (code, adapter.parse(operation, sent).outcome(AMOUNT)) {
            (None, Outcome::Approved { amount, .. }) => assert_eq!(amount, AMOUNT),
            (Some(code), Outcome::Declined { class, network_code }) => {
                assert_eq!(network_code.as_deref(), Some(*code));
                assert_eq!(class, gateway::decline::class(code));
            }
            (_, outcome) => panic!("{pan}: {outcome:?}"),
        }
    }
}

#[test]
fn the_adapters_last_word_is_what_the_ledger_shows() {
    let adapter = Sandbox::new(Sandbox::TEST_KEY.to_owned());
    for seed in 0..40_u64 {
        let start = Instant::now();
        let mut now = start;
        let mut bank = Bank::new(now, TODAY);
        let order = format!(
            r#"{{"seed":{seed},"delay_ms":9000,"per_mille":{{"drop_before":150,"drop_after":150,"delay":150,"error_500_after":150,"truncate":150,"not_executed":100}}}}"#
        );
        bank.handle(
            now,
            &lab::acquirer::Request {
                method: "POST".into(),
                path: "/v1/faults".into(),
                headers: vec![],
                body: order.into(),
            },
        );
        let mut said = Vec::new();
        for number in 0..50 {
            let attempt = AttemptId::from_random(number);
            let card = card(if number % 3 == 0 { "4000000000009995" } else { "4242424242424242" });
            let request = adapter.build(&Request::Authorize {
                attempt,
                amount: AMOUNT,
                card: &card,
                merchant: &"shop".parse().unwrap(),
                terms: Terms::default(),
            });
            let sent = deliver(&mut bank, now, request);
            let operation = Operation::direct(Kind::Authorize, attempt, Some(AMOUNT));
            let mut outcome = adapter.parse(operation, sent).outcome(AMOUNT);
            let sent_at = now;
            while outcome == Outcome::Unknown {
                now += Duration::from_secs(5);
                let settled = (now - sent_at).as_millis() as u64 >= adapter.caps().settle_ms;
                let (kind, merchant) = (Kind::Authorize, &"shop".parse().unwrap());
                let inquiry = adapter.build(&Request::Inquire { kind, attempt, merchant, locator: None });
                outcome = adapter.parse(operation.inquiry(settled), deliver(&mut bank, now, inquiry)).outcome(AMOUNT);
            }
            said.push((attempt.to_string(), outcome));
        }
        let (ledger, _) = bank.handle(
            now,
            &lab::acquirer::Request { method: "GET".into(), path: "/v1/ledger".into(), headers: vec![], body: vec![] },
        );
        let ledger: serde_json::Value = serde_json::from_slice(&ledger.body).unwrap();
        for (attempt, outcome) in said {
            let rows: Vec<_> = ledger["charges"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|row| row["reference"] == attempt.as_str())
                .collect();
            let expected = match outcome {
                Outcome::Approved { .. } => Some("approved"),
                Outcome::Declined { .. } => Some("declined"),
                Outcome::Rejected | Outcome::Abandoned => None,
                Outcome::Unknown => panic!("unknown for ever"),
            };
            assert_eq!(rows.len(), usize::from(expected.is_some()), "seed {seed}");
            assert_eq!(rows.first().and_then(|row| row["status"].as_str()), expected, "seed {seed}");
        }
    }
}
