//! The sandbox adapter: goldens of what it sends, and how it reads what comes back.

use crate::{AMOUNT, ID, attempt, card, each_request, header, shop};
use gateway::{
    Adapter, Advice, Agreement, Answer, Approval, CaptureTime, HttpRequest, Initiator, Keep, Kind, Method, Operation,
    Original, Reason, Request, Sandbox, Sent, Terms, digest_input,
};
use wire::{Address, AttemptId, Check, Checks, Currency, DeclineClass, Money};

const VISA: &str = "4242424242424242";

fn sandbox() -> Sandbox {
    Sandbox::new(Sandbox::TEST_KEY.to_owned())
}

fn authorize(card: &card::Card, amount: Money, merchant: &str, terms: Terms<'_>) -> HttpRequest {
    let merchant = merchant.parse().unwrap();
    sandbox().build(&Request::Authorize { attempt: attempt(), amount, card, merchant: &merchant, terms })
}

fn parse(operation: Operation, status: u16, body: &str) -> Answer {
    sandbox().parse(operation, Sent::Response { status, body: body.as_bytes().to_vec() })
}

fn direct(kind: Kind) -> Operation {
    Operation::direct(kind, attempt(), Some(AMOUNT))
}

fn says(request: &HttpRequest) -> String {
    request.body.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn charge(status: &str, more: &str) -> String {
    format!(r#"{{"id":"ch_7","reference":"{ID}","status":"{status}","amount":4200,"currency":"GBP"{more}}}"#)
}

fn error(code: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}"}}}}"#)
}

/// For the law: is it on the sandbox's list?
pub(crate) fn documented(status: u16, body: &[u8]) -> bool {
    let code = |value: serde_json::Value| value["error"]["code"].as_str().map(str::to_owned);
    let found = serde_json::from_slice(body).ok().and_then(code);
    found.is_some_and(|found| gateway::sandbox::NOT_EXECUTED.contains(&(status, found.as_str())))
}

/// For the law: what the sandbox may say.
pub(crate) fn answers() -> Vec<(u16, String)> {
    let token = r#","token":"4242424242424242","network_transaction_id":"nt_1","auth_code":"T1""#;
    let mut all = vec![
        (201, charge("approved", r#","auth_code":"4242424242424242","avs":{"postcode":"match"},"cvv":"match""#)),
        (200, charge("approved", token)),
        (201, charge("approved", "").replace(r#","amount":4200,"currency":"GBP""#, r#","token":"tok_1""#)),
        (402, charge("declined", r#","network_code":"82""#)),
        (200, charge("pending", "")),
        (200, charge("void", "")),
    ];
    let codes = ["not_executed", "in_flight", "invalid_request", "no_such_charge", "over_refunded", "x"];
    all.extend(codes.into_iter().flat_map(|code| [(400, error(code)), (404, error(code)), (503, error(code))]));
    all
}

#[test]
fn a_charge_is_sent_as_documented_flagged_and_with_its_key() {
    let request = authorize(&card("378282246310005", "1230", Some("1234")), AMOUNT, "shop", Terms::default());
    assert_eq!((request.method, request.path.as_str()), (Method::Post, "/v1/charges"));
    assert_eq!(header(&request, "idempotency-key"), Some(ID));
    assert_eq!(header(&request, "authorization"), Some("Bearer tw_test_sandbox"));
    let golden = r#"{"amount":4200,"currency":"GBP","merchant":"shop","channel":"moto","reference":"00000000-0000-4000-8000-000000000007","card":{"number":"378282246310005","exp_month":12,"exp_year":2030,"cvv":"1234"}}"#;
    assert_eq!(says(&request), golden);
}

#[test]
fn the_terms_of_a_charge_are_sent_before_its_card() {
    let avs = Address::new("10a", "SW1A 2AA").unwrap();
    let agreement = Agreement {
        initiator: Initiator::Customer,
        reason: Reason::Recurring,
        first: true,
        network_transaction_id: None,
    };
    let terms = Terms {
        capture: CaptureTime::Later,
        avs: Some(&avs),
        keep: Keep::Token,
        partial_approval: true,
        agreement: Some(agreement),
    };
    let golden = r#"{"amount":4200,"currency":"GBP","merchant":"shop","channel":"moto","reference":"00000000-0000-4000-8000-000000000007","capture":"later","partial":true,"store":true,"avs":{"house_number":"10a","postcode":"SW1A 2AA"},"agreement":{"initiator":"customer","reason":"recurring","first":true},"card":{"number":"4242424242424242","exp_month":12,"exp_year":2030}}"#;
    assert_eq!(says(&authorize(&card(VISA, "1230", None), AMOUNT, "shop", terms)), golden);
}

#[test]
fn what_follows_a_charge_names_it_and_carries_no_card() {
    let (adapter, merchant) = (sandbox(), shop());
    let approved = Money { minor: 5000, ..AMOUNT };
    let of = Original { attempt: AttemptId::from_random(1), gateway_ref: "ch_1", approved, capture_ref: None };
    let (attempt, amount, merchant) = (attempt(), AMOUNT, &merchant);
    let built = |request: Request<'_>| {
        let request = adapter.build(&request);
        assert_eq!(header(&request, "idempotency-key"), Some(ID));
        (request.path.clone(), says(&request))
    };
    let rest = r#""reference":"00000000-0000-4000-8000-000000000007","of":"ch_1""#;
    let money = r#""amount":4200,"currency":"GBP","merchant":"shop""#;
    let (path, body) = built(Request::Capture { attempt, amount, merchant, of, last: true });
    assert_eq!((path.as_str(), body), ("/v1/captures", format!(r#"{{{money},{rest},"last":true}}"#)));
    let (path, body) = built(Request::Refund { attempt, amount, merchant, of });
    assert_eq!((path.as_str(), body), ("/v1/refunds", format!("{{{money},{rest}}}")));
    let (path, body) = built(Request::Void { attempt, merchant, of });
    assert_eq!((path.as_str(), body), ("/v1/voids", format!(r#"{{"merchant":"shop",{rest}}}"#)));
    let (path, body) = built(Request::DeleteStored { attempt, token: "tok_1", merchant });
    let golden = r#"{"merchant":"shop","reference":"00000000-0000-4000-8000-000000000007","token":"tok_1"}"#;
    assert_eq!((path.as_str(), body.as_str()), ("/v1/deletions", golden));
}

#[test]
fn a_charge_that_the_merchant_starts_is_flagged_so_and_names_the_first_one() {
    let agreement = Agreement {
        initiator: Initiator::Merchant,
        reason: Reason::Installment,
        first: false,
        network_transaction_id: Some("nt_1"),
    };
    let terms = Terms { agreement: Some(agreement), ..Terms::default() };
    let request =
        Request::ChargeStored { attempt: attempt(), amount: AMOUNT, token: "tok_1", merchant: &shop(), terms };
    let golden = r#"{"amount":4200,"currency":"GBP","merchant":"shop","channel":"merchant","reference":"00000000-0000-4000-8000-000000000007","agreement":{"initiator":"merchant","reason":"installment","first":false,"network_transaction_id":"nt_1"},"token":"tok_1"}"#;
    assert_eq!(says(&sandbox().build(&request)), golden);
}

#[test]
fn the_longest_charge_fits_and_a_missing_code_is_left_out() {
    let most = Money { minor: i64::MIN, currency: Currency::GBP };
    let request = authorize(&card("6205500000000000004", "1230", Some("123")), most, &"m".repeat(64), Terms::default());
    assert!(request.body.into_bytes().ends_with(br#""cvv":"123"}}"#), "nothing was cut off for want of room");
    let request = authorize(&card("6205500000000000004", "0127", None), most, "shop", Terms::default());
    let json: serde_json::Value = serde_json::from_str(&says(&request)).unwrap();
    assert_eq!((json["card"]["exp_month"].as_i64(), json["card"]["exp_year"].as_i64()), (Some(1), Some(2027)));
    assert_eq!((json["channel"].as_str(), json["card"].get("cvv")), (Some("moto"), None));
}

#[test]
fn the_digests_input_says_everything_but_card_and_key() {
    let digest = |card: &card::Card, amount| digest_input(&authorize(card, amount, "shop", Terms::default()));
    let one = digest(&card("378282246310005", "1230", Some("1234")), AMOUNT);
    assert_eq!(one, digest(&card(VISA, "0131", None), AMOUNT));
    assert_ne!(one, digest(&card(VISA, "0131", None), Money { minor: 4201, ..AMOUNT }));
    assert_eq!(String::from_utf8(one).unwrap(), format!("POST /v1/charges\n{ID} 4200 GBP shop"));
    each_request(&card(VISA, "1230", Some("123")), &shop(), |request| {
        let redacted = String::from_utf8(sandbox().build(&request).redacted()).unwrap();
        assert!(!redacted.contains(VISA) && !redacted.contains(Sandbox::TEST_KEY), "{redacted}");
    });
}

#[test]
fn an_inquiry_names_the_attempt_and_carries_no_body() {
    let mut paths = Vec::new();
    each_request(&card(VISA, "1230", None), &shop(), |request| {
        let built = sandbox().build(&request);
        if matches!(request, Request::Inquire { .. }) {
            assert!(built.method == Method::Get && built.body.is_empty());
            paths.push(built.path);
        }
    });
    let nouns = ["charges", "captures", "voids", "refunds", "tokens", "charges", "deletions"];
    assert_eq!(paths, nouns.map(|noun| format!("/v1/{noun}/by-reference/{ID}")));
}

fn approval(auth_code: &str, gateway_ref: &str) -> Approval {
    Approval {
        auth_code: auth_code.to_owned(),
        gateway_ref: gateway_ref.to_owned(),
        amount: Some(AMOUNT),
        network_transaction_id: None,
        checks: Checks::default(),
        token: None,
    }
}

#[test]
fn approvals_and_declines_are_read() {
    for operation in [direct(Kind::Authorize), direct(Kind::Authorize).inquiry(false)] {
        let approved = parse(operation, 201, &charge("approved", r#","auth_code":"A1B2C3""#));
        assert_eq!(approved, Answer::Approved(approval("A1B2C3", "ch_7")));
        let declined = parse(operation, 402, &charge("declined", r#","network_code":"82""#));
        let (class, advice) = (DeclineClass::WrongCvv, Some(Advice::FixData));
        assert_eq!(declined, Answer::Declined { class, network_code: Some("82".to_owned()), advice });
        assert_eq!(parse(operation, 200, &charge("pending", "")), Answer::Pending { locator: Some("ch_7".to_owned()) });
    }
}

#[test]
fn what_the_bank_compared_and_what_it_kept_are_read() {
    let more = r#","avs":{"address":"no_match","postcode":"match"},"cvv":"unavailable","token":"tok_9","network_transaction_id":"nt_3""#;
    let Answer::Approved(approval) = parse(direct(Kind::Authorize), 201, &charge("approved", more)) else {
        panic!("not approved");
    };
    let checks = Checks { address: Some(Check::NoMatch), postcode: Some(Check::Match), cvv: Some(Check::Unavailable) };
    assert_eq!(approval.checks, checks);
    assert_eq!((approval.token.as_deref(), approval.network_transaction_id.as_deref()), (Some("tok_9"), Some("nt_3")));
}

#[test]
fn a_part_is_approved_only_where_a_part_may_be() {
    let part = charge("approved", "").replace("4200", "4000");
    let Answer::Approved(approval) = parse(direct(Kind::Authorize), 201, &part) else { panic!("not approved") };
    assert_eq!(approval.amount, Some(Money { minor: 4000, ..AMOUNT }));
    for kind in [Kind::Capture, Kind::Void, Kind::Refund] {
        assert!(!parse(direct(kind), 201, &part).is_final(), "{kind:?}");
        assert!(matches!(parse(direct(kind), 201, &charge("approved", "")), Answer::Approved(_)), "{kind:?}");
    }
}

#[test]
fn a_card_is_stored_only_when_there_is_a_token_for_it() {
    let operation = Operation::direct(Kind::Store, attempt(), None);
    let answer = |token: &str| format!(r#"{{"id":"tk_1","reference":"{ID}","status":"approved"{token}}}"#);
    let Answer::Approved(approval) = parse(operation, 201, &answer(r#","token":"tok_1""#)) else {
        panic!("not stored");
    };
    assert_eq!((approval.token.as_deref(), approval.amount), (Some("tok_1"), None));
    assert!(!parse(operation, 201, &answer("")).is_final());
    assert!(!parse(operation, 201, &answer(r#","token":"4242424242424242""#)).is_final());
}

/// The bank's own test holds the other end of both texts.
#[test]
fn the_banks_own_words_are_read() {
    let approved = r#"{"amount":4200,"auth_code":"T00000","currency":"GBP","cvv":"match","id":"ch_000000","network_transaction_id":"nt000000","reference":"00000000-0000-4000-8000-000000000007","status":"approved"}"#;
    let expected = Approval {
        network_transaction_id: Some("nt000000".to_owned()),
        checks: Checks { cvv: Some(Check::Match), ..Checks::default() },
        ..approval("T00000", "ch_000000")
    };
    assert_eq!(parse(direct(Kind::Authorize), 201, approved), Answer::Approved(expected));
}

#[test]
fn an_answer_about_another_charge_settles_nothing() {
    let other = Operation::direct(Kind::Authorize, AttemptId::from_random(9), Some(AMOUNT)).inquiry(true);
    assert!(!parse(other, 200, &charge("approved", "")).is_final());
    assert!(!parse(direct(Kind::Authorize), 201, &charge("approved", "").replace("4200", "4201")).is_final());
}

#[test]
fn only_documented_refusals_prove_that_nothing_was_charged() {
    for (status, code) in gateway::sandbox::NOT_EXECUTED {
        assert_eq!(parse(direct(Kind::Refund), *status, &error(code)), Answer::Rejected, "{status} {code}");
        assert!(!parse(direct(Kind::Refund).inquiry(true), *status, &error(code)).is_final(), "{status} {code}");
    }
    for (status, code) in [
        (409, "in_flight"),
        (400, "idempotency_mismatch"),
        (500, "not_executed"),
        (503, "unavailable"),
        (404, "no_such_charge"),
        (200, "not_executed"),
    ] {
        assert!(!parse(direct(Kind::Authorize), status, &error(code)).is_final(), "{status} {code}");
    }
    assert!(!parse(direct(Kind::Authorize), 503, "<html>").is_final());
}

#[test]
fn a_charge_that_the_bank_does_not_know_is_abandoned_only_after_the_settle_window() {
    let body = error("no_such_charge");
    assert_eq!(parse(direct(Kind::Void).inquiry(false), 404, &body), Answer::UNKNOWN);
    assert_eq!(parse(direct(Kind::Void).inquiry(true), 404, &body), Answer::Abandoned);
    assert_eq!(parse(direct(Kind::Void).inquiry(true), 404, "not found"), Answer::UNKNOWN);
}

#[test]
fn a_gateway_that_echoes_a_card_number_is_not_passed_on() {
    let echo = charge("approved", r#","auth_code":"4242424242424242","token":"4242424242424242""#);
    let echo = echo.replace("ch_7", "4242-4242-4242-4242");
    assert_eq!(parse(direct(Kind::Authorize), 201, &echo), Answer::Approved(approval("", "")));
    let declined = charge("declined", r#","network_code":"4242 4242 4242 4242""#);
    let Answer::Declined { network_code, .. } = parse(direct(Kind::Authorize), 402, &declined) else {
        panic!("not declined");
    };
    assert_eq!(network_code.as_deref(), Some(""));
}
