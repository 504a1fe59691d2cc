//! The pay connector outwards: goldens of what is sent, and what the answers mean.

use crate::{AMOUNT, ID, attempt, card, header, shop};
use gateway::pay_connector::incoming::{self, Refused};
use gateway::{Adapter, Answer, Kind, Method, Mode, Operation, PayConnector, Request, Sent, Terms};
use wire::{Address, DeclineClass, Money, Outcome};

pub(crate) fn connector() -> PayConnector {
    PayConnector::new(Some("user:pass".to_owned()), Mode::Test).ok().unwrap()
}

fn read(kind: Kind, status: u16, body: &str) -> Answer {
    let operation = Operation::direct(kind, attempt(), (kind == Kind::Authorize).then_some(AMOUNT));
    connector().parse(operation, Sent::Response { status, body: body.as_bytes().to_vec() })
}

const CHARGED: &str = r#"{"charge_id":"ch_7","error_code":null,"error_message":null,"parameters":{}}"#;

fn failed(code: &str) -> String {
    format!(r#"{{"charge_id":null,"error_code":{code},"error_message":"no"}}"#)
}

pub(crate) fn answers() -> Vec<(u16, String)> {
    let mut all = vec![
        (200, CHARGED.to_owned()),
        (200, r#"{"charge_id":"4242424242424242","error_code":null}"#.to_owned()),
        (200, r#"{"token_id":"tok_7","error_code":null}"#.to_owned()),
        (200, r#"{"charge_id":"ch_7","error_code":"51"}"#.to_owned()),
        (200, r#"{"charge_id":null,"error_code":null}"#.to_owned()),
        (401, String::new()),
        (503, CHARGED.to_owned()),
    ];
    let codes = ["\"insufficient_funds\"", "51", "\"processing\"", "\"duplicate_transaction\"", "\"not_processed\""];
    all.extend(codes.map(|code| (200, failed(code))));
    all.extend(codes.map(|code| (402, failed(code))));
    all
}

pub(crate) fn documented(status: u16, body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    status == 401 || ["not_processed", "invalid_request", "not_supported"].iter().any(|code| body.contains(code))
}

#[test]
fn a_charge_is_sent_as_the_contract_says() {
    let (card, merchant, address) =
        (card("4111111111111111", "0827", Some("123")), shop(), Address::new("1", "94111").unwrap());
    let terms = Terms { avs: Some(&address), ..Terms::default() };
    let request = Request::Authorize { attempt: attempt(), amount: AMOUNT, card: &card, merchant: &merchant, terms };
    let built = connector().build(&request);
    assert_eq!((built.method, built.path.as_str()), (Method::Post, ""));
    assert_eq!(header(&built, "authorization"), Some("Basic dXNlcjpwYXNz"));
    let golden = format!(
        r#"{{"method":"charge","transaction_id":"{ID}","amount":"42.00","currency_code":"GBP","cardnumber":"4111111111111111","expiry_month":"08","expiry_year":"27","cvv":"123","postal_code":"94111","parameters":{{"merchant":"shop"}}}}"#
    );
    assert!(built.body.expose(|bytes| bytes == golden.as_bytes()));
    assert_eq!(String::from_utf8(built.redacted()).unwrap(), format!("POST \nauthorize 4200 GBP {ID}"));
}

#[test]
fn amounts_have_the_decimals_of_their_currency() {
    let (card, merchant) = (card("4111111111111111", "0827", None), shop());
    for (code, text) in [("JPY", r#""amount":"4200","#), ("BHD", r#""amount":"4.200","#)] {
        let amount = Money { minor: 4200, currency: code.parse().unwrap() };
        let terms = Terms::default();
        let request = Request::Authorize { attempt: attempt(), amount, card: &card, merchant: &merchant, terms };
        let said = connector().build(&request).body.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        assert!(said.contains(text) && !said.contains("cvv"), "{said}");
    }
}

#[test]
fn a_card_may_be_tokenized() {
    let (card, merchant, terms) = (card("4111111111111111", "0827", None), shop(), Terms::default());
    let built = connector().build(&Request::Store { attempt: attempt(), card: &card, merchant: &merchant, terms });
    let said = built.body.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    assert!(said.starts_with(r#"{"method":"tokenize","#) && !said.contains("amount"), "{said}");
    let Answer::Approved(approval) = read(Kind::Store, 200, r#"{"token_id":"tok_7"}"#) else { panic!("not stored") };
    assert_eq!((approval.token.as_deref(), approval.amount), (Some("tok_7"), None));
}

#[test]
fn a_charge_stands_only_by_its_name_and_without_an_error() {
    let Answer::Approved(approval) = read(Kind::Authorize, 200, CHARGED) else { panic!("not approved") };
    assert_eq!((approval.gateway_ref.as_str(), approval.amount), ("ch_7", Some(AMOUNT)));
    for unclear in [
        "",
        "null",
        "{}",
        r#"{"charge_id":null}"#,
        r#"{"charge_id":"","error_code":""}"#,
        r#"{"charge_id":"ch_7","error_code":"51"}"#,
        r#"{"token_id":"tok_7"}"#,
    ] {
        assert_eq!(read(Kind::Authorize, 200, unclear), Answer::UNKNOWN, "{unclear}");
    }
    assert_eq!(read(Kind::Authorize, 500, CHARGED), Answer::UNKNOWN);
}

#[test]
fn an_error_is_a_decline_only_where_its_code_is_known_for_one() {
    let class = |status, code: &str| match read(Kind::Authorize, status, &failed(code)) {
        Answer::Declined { class, .. } => Some(class),
        _ => None,
    };
    assert_eq!([class(200, "\"insufficient_funds\""), class(402, "51")], [Some(DeclineClass::InsufficientFunds); 2]);
    assert_eq!(class(200, "\"processing_error\""), Some(DeclineClass::BankDown));
    let worked_on = ["\"processing\"", "\"payment_pending\"", "\"DUPLICATE_TRANSACTION\"", "\"gateway_timeout\""];
    let unheard_of = ["\"outcome_unknown\"", "\"already_paid\"", "\"E1017\"", "1017", "\"500\""];
    for unclear in worked_on.into_iter().chain(unheard_of) {
        assert_eq!(read(Kind::Authorize, 200, &failed(unclear)), Answer::UNKNOWN, "{unclear}");
        assert_eq!(read(Kind::Authorize, 402, &failed(unclear)), Answer::UNKNOWN, "{unclear}");
    }
    assert_eq!(read(Kind::Authorize, 401, "no"), Answer::Rejected);
    assert_eq!(read(Kind::Authorize, 404, "no such page"), Answer::UNKNOWN);
}

const CLASSES: [DeclineClass; 11] = [
    DeclineClass::InsufficientFunds,
    DeclineClass::DoNotHonor,
    DeclineClass::ExpiredCard,
    DeclineClass::WrongCvv,
    DeclineClass::WrongAddress,
    DeclineClass::NotAllowed,
    DeclineClass::LostOrStolen,
    DeclineClass::NoSuchCard,
    DeclineClass::AuthenticationRequired,
    DeclineClass::BankDown,
    DeclineClass::Other,
];

/// One of us may charge through another.
#[test]
fn what_we_answer_as_a_connector_we_read_as_it_was_meant() {
    let approved = Outcome::Approved {
        auth_code: String::new(),
        gateway_ref: "ch_7".to_owned(),
        amount: AMOUNT,
        checks: wire::Checks::default(),
    };
    for status in [200, 402] {
        let heard = |outcome: &Outcome| {
            let reply = incoming::ended(attempt(), outcome, status);
            read(Kind::Authorize, reply.status, &reply.body)
        };
        assert!(matches!(heard(&approved), Answer::Approved(_)));
        for class in CLASSES {
            let declined = Outcome::Declined { class, network_code: None };
            assert!(matches!(heard(&declined), Answer::Declined { .. }), "{class:?}");
        }
        assert_eq!([heard(&Outcome::Rejected), heard(&Outcome::Abandoned)], [Answer::Rejected, Answer::Rejected]);
        assert_eq!(heard(&Outcome::Unknown), Answer::UNKNOWN);
        for reason in [Refused::Unreadable, Refused::Field("amount"), Refused::Unsupported("tokenize")] {
            let reply = incoming::refused(reason, status);
            assert_eq!(read(Kind::Authorize, reply.status, &reply.body), Answer::Rejected, "{reason:?}");
        }
        for reason in
            [Refused::Field("cardnumber"), Refused::Field("expiry_month"), Refused::Field("cvv"), Refused::Busy]
        {
            let reply = incoming::refused(reason, status);
            let answer = read(Kind::Authorize, reply.status, &reply.body);
            assert!(matches!(answer, Answer::Declined { .. }), "{reason:?}");
        }
    }
}

#[test]
fn a_login_has_a_name_and_a_password() {
    assert!(
        PayConnector::new(Some("user".to_owned()), Mode::Test).is_err() && PayConnector::new(None, Mode::Live).is_ok()
    );
}
