//! The sandbox adapter: goldens of what it sends, and the outcome law over everything that may come back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use card::{Card, Cvv, Digit, Expiry, Keyed, Pan, YearMonth};
use gateway::{Adapter, HttpRequest, Method, Operation, Request, Sandbox, Sent, digest_input};
use proptest::prelude::*;
use wire::{AttemptId, Currency, DeclineClass, Money, Outcome};

const AMOUNT: Money = Money { minor: 4200, currency: Currency::GBP };
const ID: &str = "00000000-0000-4000-8000-000000000007";

fn keyed(text: &str) -> Keyed {
    let mut keyed = Keyed::new().unwrap();
    text.bytes().for_each(|byte| assert!(keyed.push(&Digit::new(byte - b'0').unwrap())));
    keyed
}

fn card(pan: &str, expiry: &str, cvv: Option<&str>) -> Card {
    let pan = Pan::parse(&keyed(pan)).ok().unwrap();
    let brand = pan.brand();
    let cvv = cvv.map(|cvv| Cvv::parse(&keyed(cvv), Some(brand)).ok().unwrap());
    Card { pan, expiry: Expiry::parse(&keyed(expiry), YearMonth { year: 2026, month: 11 }).ok().unwrap(), cvv }
}

fn attempt() -> AttemptId {
    ID.parse().unwrap()
}

fn sandbox() -> Sandbox {
    Sandbox::new(Sandbox::TEST_KEY.to_owned())
}

fn build(card: &Card, amount: Money, merchant: &str) -> HttpRequest {
    let merchant = merchant.parse().unwrap();
    sandbox().build(&Request::Authorize { attempt: attempt(), amount, card, merchant: &merchant })
}

fn parse(operation: Operation, status: u16, body: &str) -> Outcome {
    sandbox().parse(operation, Sent::Response { status, body: body.as_bytes().to_vec() })
}

const fn inquiry(attempt: AttemptId, settled: bool) -> Operation {
    Operation::Inquire { attempt, amount: AMOUNT, settled }
}

fn authorization() -> Operation {
    Operation::Authorize { attempt: attempt(), amount: AMOUNT }
}

fn charge(status: &str, more: &str) -> String {
    format!(r#"{{"id":"ch_7","reference":"{ID}","status":"{status}","amount":4200,"currency":"GBP"{more}}}"#)
}

#[test]
fn a_charge_is_sent_as_documented_flagged_and_with_its_key() {
    let request = build(&card("378282246310005", "1230", Some("1234")), AMOUNT, "shop");
    assert_eq!((request.method, request.path.as_str()), (Method::Post, "/v1/charges"));
    let header = |name| request.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    assert_eq!(header("idempotency-key"), Some(ID));
    assert_eq!(header("authorization"), Some("Bearer tw_test_sandbox"));
    let golden = r#"{"amount":4200,"currency":"GBP","merchant":"shop","channel":"moto","reference":"00000000-0000-4000-8000-000000000007","card":{"number":"378282246310005","exp_month":12,"exp_year":2030,"cvv":"1234"}}"#;
    assert!(request.body.expose(|bytes| bytes == golden.as_bytes()));
}

#[test]
fn the_longest_charge_fits_and_a_missing_code_is_left_out() {
    let most = Money { minor: i64::MIN, currency: Currency::GBP };
    let request = build(&card("6205500000000000004", "0127", None), most, &"m".repeat(64));
    let bytes = request.body.into_bytes();
    assert_eq!(bytes.capacity(), 512, "it never grew");
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((json["card"]["exp_month"].as_i64(), json["card"]["exp_year"].as_i64()), (Some(1), Some(2027)));
    assert_eq!((json["channel"].as_str(), json["card"].get("cvv")), (Some("moto"), None));
}

#[test]
fn the_digests_input_says_everything_but_card_and_key() {
    let digest = |card: &Card, amount| digest_input(&build(card, amount, "shop"));
    let one = digest(&card("378282246310005", "1230", Some("1234")), AMOUNT);
    assert_eq!(one, digest(&card("4242424242424242", "0131", None), AMOUNT));
    assert_ne!(one, digest(&card("4242424242424242", "0131", None), Money { minor: 4201, ..AMOUNT }));
    assert_eq!(String::from_utf8(one).unwrap(), format!("POST /v1/charges\n{ID} 4200 GBP shop"));
}

#[test]
fn an_inquiry_names_the_attempt_and_carries_no_body() {
    let request = sandbox().build(&Request::Inquire { attempt: attempt() });
    assert_eq!((request.method, request.path), (Method::Get, format!("/v1/charges/by-reference/{ID}")));
    assert!(request.body.is_empty());
}

#[test]
fn approvals_and_declines_are_read() {
    for operation in [authorization(), inquiry(attempt(), false)] {
        let approved = parse(operation, 201, &charge("approved", r#","auth_code":"A1B2C3""#));
        let expected =
            Outcome::Approved { auth_code: "A1B2C3".to_owned(), gateway_ref: "ch_7".to_owned(), amount: AMOUNT };
        assert_eq!(approved, expected);
        let declined = parse(operation, 402, &charge("declined", r#","network_code":"82""#));
        assert_eq!(declined, Outcome::Declined { class: DeclineClass::WrongCvv, network_code: Some("82".to_owned()) });
        assert_eq!(parse(operation, 200, &charge("pending", "")), Outcome::Unknown);
    }
}

/// The bank's own test holds the other end of both texts.
#[test]
fn the_banks_own_words_are_read() {
    let approved = r#"{"amount":4200,"auth_code":"T00000","currency":"GBP","id":"ch_000000","reference":"00000000-0000-4000-8000-000000000007","status":"approved"}"#;
    let expected =
        Outcome::Approved { auth_code: "T00000".to_owned(), gateway_ref: "ch_000000".to_owned(), amount: AMOUNT };
    assert_eq!(parse(authorization(), 201, approved), expected);
}

#[test]
fn an_answer_about_another_charge_settles_nothing() {
    let other = inquiry(AttemptId::from_random(9), true);
    assert_eq!(parse(other, 200, &charge("approved", "")), Outcome::Unknown);
    let more = charge("approved", "").replace("4200", "4201");
    assert_eq!(parse(authorization(), 201, &more), Outcome::Unknown);
}

#[test]
fn only_documented_refusals_prove_that_nothing_was_charged() {
    let error = |code: &str| format!(r#"{{"error":{{"code":"{code}"}}}}"#);
    for (status, code) in gateway::sandbox::NOT_EXECUTED {
        assert_eq!(parse(authorization(), *status, &error(code)), Outcome::Rejected, "{status} {code}");
        assert_eq!(parse(inquiry(attempt(), true), *status, &error(code)), Outcome::Unknown, "{status} {code}");
    }
    for (status, code) in [
        (409, "in_flight"),
        (400, "idempotency_mismatch"),
        (500, "not_executed"),
        (503, "unavailable"),
        (404, "no_such_charge"),
        (200, "not_executed"),
    ] {
        assert_eq!(parse(authorization(), status, &error(code)), Outcome::Unknown, "{status} {code}");
    }
    assert_eq!(parse(authorization(), 503, "<html>"), Outcome::Unknown);
}

#[test]
fn a_charge_that_the_bank_does_not_know_is_abandoned_only_after_the_settle_window() {
    let body = r#"{"error":{"code":"no_such_charge"}}"#;
    assert_eq!(parse(inquiry(attempt(), false), 404, body), Outcome::Unknown);
    assert_eq!(parse(inquiry(attempt(), true), 404, body), Outcome::Abandoned);
    assert_eq!(parse(inquiry(attempt(), true), 404, "not found"), Outcome::Unknown);
}

#[test]
fn a_transport_fault_is_rejected_only_before_the_first_byte() {
    assert_eq!(sandbox().parse(authorization(), Sent::NotSent), Outcome::Rejected);
    assert_eq!(sandbox().parse(authorization(), Sent::Broken), Outcome::Unknown);
    for sent in [Sent::NotSent, Sent::Broken] {
        assert_eq!(sandbox().parse(inquiry(attempt(), true), sent), Outcome::Unknown);
    }
}

#[test]
fn a_gateway_that_echoes_a_card_number_is_not_passed_on() {
    let echo = charge("approved", r#","auth_code":"4242424242424242""#).replace("ch_7", "4242-4242-4242-4242");
    let expected = Outcome::Approved { auth_code: String::new(), gateway_ref: String::new(), amount: AMOUNT };
    assert_eq!(parse(authorization(), 201, &echo), expected);
    let Outcome::Declined { network_code, .. } =
        parse(authorization(), 402, &charge("declined", r#","network_code":"4242 4242 4242 4242""#))
    else {
        panic!("not declined");
    };
    assert_eq!(network_code.as_deref(), Some(""));
}

fn documented(status: u16, body: &[u8]) -> bool {
    let code = |value: serde_json::Value| value["error"]["code"].as_str().map(str::to_owned);
    let found = serde_json::from_slice(body).ok().and_then(code);
    found.is_some_and(|found| gateway::sandbox::NOT_EXECUTED.contains(&(status, found.as_str())))
}

fn answers() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let codes = prop::sample::select(vec!["not_executed", "in_flight", "invalid_request", "no_such_charge", "x"]);
    let statuses = prop::sample::select(vec!["approved", "declined", "pending", "void"]);
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        codes.prop_map(|code| format!(r#"{{"error":{{"code":"{code}"}}}}"#).into_bytes()),
        (statuses, 0..120_usize).prop_map(|(status, cut)| {
            let whole = charge(status, "");
            whole.as_bytes()[..whole.len().min(cut)].to_vec()
        }),
    ];
    let status = prop_oneof![
        prop::sample::select(vec![200, 201, 202, 204, 301, 400, 401, 402, 404, 409, 422, 429, 500, 502, 503, 504]),
        100..600_u16
    ];
    (status, body)
}

proptest! {
    #[test]
    fn the_outcome_law((status, body) in answers(), settled in any::<bool>()) {
        let whole = serde_json::from_slice::<serde_json::Value>(&body).is_ok();
        let sent = || Sent::Response { status, body: body.clone() };
        match sandbox().parse(authorization(), sent()) {
            Outcome::Rejected => prop_assert!(documented(status, &body)),
            Outcome::Approved { .. } | Outcome::Declined { .. } => {
                prop_assert!(whole && matches!(status, 200 | 201 | 402));
            }
            Outcome::Abandoned => prop_assert!(false, "an attempt is never abandoned by its own answer"),
            Outcome::Unknown => {}
        }
        match sandbox().parse(inquiry(attempt(), settled), sent()) {
            Outcome::Rejected => prop_assert!(false, "an inquiry never proves non-execution"),
            Outcome::Abandoned => prop_assert!(settled && status == 404 && whole),
            Outcome::Approved { .. } | Outcome::Declined { .. } => prop_assert!(whole),
            Outcome::Unknown => {}
        }
    }
}
