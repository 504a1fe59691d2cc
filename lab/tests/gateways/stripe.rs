//! Stripe's adapter before localstripe (PyPI, GPL, no idempotency) and stripe-stateful-mock (npm, MIT).

use crate::servers::Server;
use crate::{AMOUNT, Wire, attempt, card, shop};
use gateway::{
    Adapter, Answer, CaptureTime, Following, Keep, Kind, Mode, Operation, Original, Period, Request, Sent, SentBetween,
    Step, Stripe,
};
use gateway::{Agreement, Initiator, Reason, Terms};
use std::time::{SystemTime, UNIX_EPOCH};
use wire::{DeclineClass, ReportKind};

/// Long after everything.
const NOW_MS: i64 = 4_000_000_000_000;

/// What is asked about was sent in the minute that ends now.
fn just_now() -> SentBetween {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let last_unix_ms = i64::try_from(now).unwrap();
    SentBetween { first_unix_ms: last_unix_ms - 60_000, last_unix_ms }
}

fn adapter() -> Stripe {
    Stripe::new("sk_test_tonewall".to_owned(), None, Mode::Test).ok().unwrap()
}

async fn authorize(wire: &Wire, number: u128, pan: &str, terms: Terms<'_>) -> Answer {
    let (card, merchant) = (card(pan), shop());
    let request =
        Request::Authorize { attempt: attempt(number), amount: AMOUNT, card: &card, merchant: &merchant, terms };
    wire.run(&adapter(), &request).await
}

fn approved(answer: &Answer) -> (&str, Option<&str>) {
    match answer {
        Answer::Approved(approval) => (approval.gateway_ref.as_str(), approval.token.as_deref()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn localstripe_charges_declines_and_is_asked() {
    let server = Server::localstripe();
    let wire = Wire::new(server.url());
    let charged = authorize(&wire, 1, "4242424242424242", Terms::default()).await;
    assert!(approved(&charged).0.starts_with("pi_"));
    let declined = authorize(&wire, 2, "4000000000000341", Terms::default()).await;
    assert!(matches!(declined, Answer::Declined { class: DeclineClass::DoNotHonor, .. }), "{declined:?}");
    let three_d = authorize(&wire, 3, "4000002500003155", Terms::default()).await;
    assert_eq!(three_d, Answer::ActionRequired);
    // It knows cards of 16 digits only, and says 400 to others before anything is charged.
    assert_eq!(authorize(&wire, 4, "378282246310005", Terms::default()).await, Answer::Rejected);
    // A charge whose answer was lost is found by our own reference, and one that was never made is not.
    let operation = |number| Operation::direct(Kind::Authorize, attempt(number), Some(AMOUNT));
    let mut lost = Following::new(operation(1), shop(), None, just_now());
    assert_eq!(wire.ask(&adapter(), &mut lost, NOW_MS).await, Some(charged));
    let mut lost = Following::new(operation(2), shop(), None, just_now());
    let found = wire.ask(&adapter(), &mut lost, NOW_MS).await;
    assert!(matches!(found, Some(Answer::Declined { class: DeclineClass::DoNotHonor, .. })), "{found:?}");
    let mut never = Following::new(operation(9), shop(), None, just_now());
    assert_eq!(wire.ask(&adapter(), &mut never, 1_000).await, None, "it may still come");
    assert_eq!(wire.ask(&adapter(), &mut never, NOW_MS).await, Some(Answer::Abandoned));
}

#[tokio::test]
async fn localstripe_takes_reserved_money_and_gives_it_back() {
    let server = Server::localstripe();
    let wire = Wire::new(server.url());
    let merchant = shop();
    let later = Terms { capture: CaptureTime::Later, ..Terms::default() };
    for (number, is_taken) in [(10, true), (20, false)] {
        let reserved = authorize(&wire, number, "4242424242424242", later).await;
        let of = Original {
            attempt: attempt(number),
            gateway_ref: approved(&reserved).0,
            approved: AMOUNT,
            capture_ref: None,
        };
        let (change, merchant) = (attempt(number + 1), &merchant);
        if !is_taken {
            let void = Request::Void { attempt: change, merchant, of };
            approved(&wire.run(&adapter(), &void).await);
            let again = Request::Void { attempt: attempt(number + 2), merchant, of };
            let refused = wire.run(&adapter(), &again).await;
            assert!(matches!(refused, Answer::Declined { .. }), "{refused:?}");
            continue;
        }
        let capture = Request::Capture { attempt: change, amount: AMOUNT, merchant, of, last: true };
        approved(&wire.run(&adapter(), &capture).await);
        let mut lost =
            Following::new(capture.operation(), merchant.clone(), Some(of.gateway_ref.to_owned()), just_now());
        approved(&wire.ask(&adapter(), &mut lost, NOW_MS).await.unwrap());
        let refund = Request::Refund { attempt: attempt(number + 2), amount: AMOUNT, merchant, of };
        let refunded = wire.run(&adapter(), &refund).await;
        assert!(approved(&refunded).0.starts_with("re_"));
        let mut lost =
            Following::new(refund.operation(), merchant.clone(), Some(of.gateway_ref.to_owned()), just_now());
        assert_eq!(wire.ask(&adapter(), &mut lost, NOW_MS).await, Some(refunded));
    }
}

/// localstripe knows `off_session` and customers, and not `setup_future_usage`: what it does not know it refuses, and
/// nothing is charged.
#[tokio::test]
async fn localstripe_charges_a_card_that_it_keeps_and_refuses_what_it_does_not_know() {
    let server = Server::localstripe();
    let wire = Wire::new(server.url());
    let kept = Terms { keep: Keep::Token, ..Terms::default() };
    assert_eq!(authorize(&wire, 30, "4242424242424242", kept).await, Answer::Rejected);
    let token = attached(&wire).await;
    let agreement = Some(Agreement {
        initiator: Initiator::Merchant,
        reason: Reason::Recurring,
        first: false,
        network_transaction_id: None,
    });
    let merchant = shop();
    let terms = Terms { agreement, ..Terms::default() };
    let charge =
        Request::ChargeStored { attempt: attempt(31), amount: AMOUNT, token: &token, merchant: &merchant, terms };
    approved(&wire.run(&adapter(), &charge).await);
    let forget = Request::DeleteStored { attempt: attempt(32), token: &token, merchant: &merchant };
    approved(&wire.run(&adapter(), &forget).await);
}

/// A card and a customer as the adapter makes them, and the one attached to the other, which Stripe does by itself.
async fn attached(wire: &Wire) -> String {
    let (card, merchant) = (card("4242424242424242"), shop());
    let terms = Terms { keep: Keep::Token, ..Terms::default() };
    let request = Request::Authorize { attempt: attempt(33), amount: AMOUNT, card: &card, merchant: &merchant, terms };
    let (mut plan, mut sent) = (adapter().plan(&request), wire.send(adapter().build(&request)).await);
    let mut names = Vec::new();
    while names.len() < 2 {
        let Sent::Response { body, .. } = &sent else { panic!("no answer") };
        names.push(serde_json::from_slice::<serde_json::Value>(body).unwrap()["id"].as_str().unwrap().to_owned());
        let Step::Next(next) = adapter().step(&mut plan, request.operation(), sent) else { panic!("ended") };
        sent = if names.len() < 2 { wire.send(next).await } else { Sent::Broken };
    }
    let url = format!("{}/v1/payment_methods/{}/attach", wire.url, names[0]);
    let attach = wire.client.post(url).bearer_auth("sk_test_tonewall").body(format!("customer={}", names[1]));
    let attach = attach.header("content-type", "application/x-www-form-urlencoded");
    assert!(attach.send().await.unwrap().status().is_success());
    format!("{}.{}", names[1], names[0])
}

/// How Stripe repeats answers, by another's implementation of it.
#[tokio::test]
async fn a_repeated_key_gets_the_first_answer_and_another_body_settles_nothing() {
    let server = Server::stateful();
    let wire = Wire::new(server.url());
    let post = async |path: &str, key: &str, form: &str| {
        let request = wire.client.post(format!("{}{path}", wire.url)).bearer_auth("sk_test_tonewall");
        let request =
            request.header("idempotency-key", key).header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(form.to_owned()).send().await.unwrap();
        Sent::Response { status: response.status().as_u16(), body: response.bytes().await.unwrap().to_vec() }
    };
    let read = |sent| adapter().parse(Operation::direct(Kind::ChargeStored, attempt(1), Some(AMOUNT)), sent);
    let id = |sent: Sent| match sent {
        Sent::Response { status: 200, body } => {
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()["id"].clone()
        }
        _ => panic!("refused"),
    };
    let first = id(post("/v1/customers", "a", "description=1").await);
    assert_eq!(id(post("/v1/customers", "a", "description=1").await), first);
    assert_eq!(read(post("/v1/customers", "a", "description=2").await), Answer::UNKNOWN);
    let charge = |source: &str| format!("amount=4200&currency=gbp&source={source}");
    for _ in 0..2 {
        assert_eq!(read(post("/v1/charges", "b", &charge("tok_500")).await), Answer::UNKNOWN, "a 500 is repeated too");
    }
    let declined = read(post("/v1/charges", "c", &charge("tok_chargeDeclinedInsufficientFunds")).await);
    assert!(matches!(declined, Answer::Declined { class: DeclineClass::InsufficientFunds, .. }), "{declined:?}");
    let declined = read(post("/v1/charges", "d", &charge("tok_chargeDeclinedIncorrectCvc")).await);
    assert!(matches!(declined, Answer::Declined { class: DeclineClass::WrongCvv, .. }), "{declined:?}");
    assert_eq!(read(post("/v1/charges", "e", &charge("tok_429")).await), Answer::Rejected);
}

/// It refuses a time (`created`) in this list, which its other lists know: here it is left out of the path.
#[tokio::test]
async fn localstripe_tells_what_moved() {
    let server = Server::localstripe();
    let wire = Wire::new(server.url());
    let charged = authorize(&wire, 1, "4242424242424242", Terms::default()).await;
    authorize(&wire, 2, "4000000000000341", Terms::default()).await;
    let (merchant, name) = (&shop(), approved(&charged).0);
    let of = Original { attempt: attempt(1), gateway_ref: name, approved: AMOUNT, capture_ref: None };
    let refund = Request::Refund { attempt: attempt(3), amount: AMOUNT, merchant, of };
    approved(&wire.run(&adapter(), &refund).await);
    let mut request = adapter().report(Period { from_unix_ms: 0, until_unix_ms: NOW_MS }, None).unwrap();
    let (head, rest) = request.path.split_once("&created[gte]=").unwrap();
    request.path = format!("{head}&{}", rest.split_once("&expand").map(|(_, rest)| format!("expand{rest}")).unwrap());
    let page = adapter().read_report(wire.send(request).await).expect("a page");
    let mut told: Vec<_> = page.lines.iter().map(|line| (line.kind, line.money)).collect();
    told.sort();
    assert_eq!(told, [(ReportKind::Charge, AMOUNT), (ReportKind::Refund, AMOUNT)], "what was declined has not moved");
    assert!(page.lines.iter().all(|line| line.names.iter().any(|of| of == name)), "{page:?}");
    assert_eq!((page.next, page.skipped), (None, 0));
}
