//! The sandbox's Stripe-shaped face: before Stripe's own library, and before our adapter.

use crate::servers::{file, python};
use crate::{AMOUNT, Wire, attempt, card, shop};
use gateway::{Adapter, Agreement, Answer, CaptureTime, Following, Initiator, Keep, Kind, Mode};
use gateway::{Operation, Original, Period, Reason, Request, SentBetween, Stripe, Terms};
use std::net::SocketAddr;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::{Check, DeclineClass, ReportKind};

async fn open() -> Wire {
    let at = lab::acquirer::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    Wire::new(format!("http://{at}"))
}

fn adapter() -> Stripe {
    Stripe::new("sk_test_tonewall".to_owned(), None, Mode::Test).ok().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripes_own_library_charges_captures_refunds_is_declined_repeats_and_believes_a_webhook() {
    let wire = open().await;
    let mut command = Command::new(python());
    command.arg(file("official_stripe.py")).arg(&wire.url).env("NO_PROXY", "127.0.0.1");
    let ended = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let ended = ended.expect("cannot be started: run `cargo xtask test` once, which installs it");
    let (said, trouble) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && said.contains("as Stripe's own library expects"), "{said}{trouble}");
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn authorize(wire: &Wire, number: u128, pan: &str, terms: Terms<'_>) -> Answer {
    let (card, merchant) = (card(pan), shop());
    let request =
        Request::Authorize { attempt: attempt(number), amount: AMOUNT, card: &card, merchant: &merchant, terms };
    wire.run(&adapter(), &request).await
}

fn approval(answer: &Answer) -> &gateway::Approval {
    match answer {
        Answer::Approved(approval) => approval,
        other => panic!("{other:?}"),
    }
}

async fn asked(wire: &Wire, operation: Operation, locator: Option<&str>, at_ms: i64) -> Option<Answer> {
    let sent = SentBetween { first_unix_ms: now_ms() - 5_000, last_unix_ms: now_ms() };
    let mut following = Following::new(operation, shop(), locator.map(str::to_owned), sent);
    wire.ask(&adapter(), &mut following, at_ms).await
}

#[tokio::test]
async fn our_adapter_pays_takes_gives_back_keeps_and_forgets() {
    let wire = open().await;
    let address = wire::Address::new("99", "N1 1AA").unwrap();
    let later = Terms { capture: CaptureTime::Later, avs: Some(&address), ..Terms::default() };
    let reserved = authorize(&wire, 1, "378282246310005", later).await;
    let checks = approval(&reserved).checks;
    let expected = (Some(Check::NoMatch), Some(Check::Match), Some(Check::Match));
    assert_eq!((checks.address, checks.postcode, checks.cvv), expected);
    assert!(approval(&reserved).network_transaction_id.is_some() && !approval(&reserved).auth_code.is_empty());
    let (merchant, gateway_ref) = (&shop(), approval(&reserved).gateway_ref.as_str());
    let of = Original { attempt: attempt(1), gateway_ref, approved: AMOUNT, capture_ref: None };
    let capture = Request::Capture { attempt: attempt(2), amount: AMOUNT, merchant, of, last: true };
    approval(&wire.run(&adapter(), &capture).await);
    approval(&asked(&wire, capture.operation(), Some(gateway_ref), now_ms()).await.unwrap());
    let refund = Request::Refund { attempt: attempt(3), amount: AMOUNT, merchant, of };
    let refunded = wire.run(&adapter(), &refund).await;
    approval(&refunded);
    assert_eq!(asked(&wire, refund.operation(), Some(gateway_ref), now_ms()).await, Some(refunded));
    let more = Request::Refund { attempt: attempt(4), amount: AMOUNT, merchant, of };
    assert!(matches!(wire.run(&adapter(), &more).await, Answer::Declined { .. }));

    let kept = authorize(&wire, 5, "4242424242424242", Terms { keep: Keep::Token, ..Terms::default() }).await;
    let token = approval(&kept).token.clone().expect("a token");
    let agreement = Some(Agreement {
        initiator: Initiator::Merchant,
        reason: Reason::Recurring,
        first: false,
        network_transaction_id: approval(&kept).network_transaction_id.as_deref(),
    });
    let terms = Terms { agreement, ..Terms::default() };
    let charge =
        |number| Request::ChargeStored { attempt: attempt(number), amount: AMOUNT, token: &token, merchant, terms };
    approval(&wire.run(&adapter(), &charge(6)).await);
    let forget = Request::DeleteStored { attempt: attempt(7), token: &token, merchant };
    approval(&wire.run(&adapter(), &forget).await);
    let refused = wire.run(&adapter(), &charge(8)).await;
    assert!(matches!(refused, Answer::Rejected | Answer::Declined { .. }), "{refused:?}");
    let stored = card("5555555555554444");
    let terms = Terms { keep: Keep::Token, ..Terms::default() };
    let store = Request::Store { attempt: attempt(9), card: &stored, merchant, terms };
    assert!(approval(&wire.run(&adapter(), &store).await).token.is_some());
}

#[tokio::test]
async fn what_is_lost_is_found_and_what_never_was_is_abandoned_and_cannot_come_any_more() {
    let wire = open().await;
    let faults = |next: &str| {
        let (client, url) = (wire.client.clone(), format!("{}/v1/faults", wire.url));
        let body = format!(r#"{{"next":[{next}]}}"#);
        async move { assert!(client.post(url).body(body).send().await.unwrap().status().is_success()) }
    };
    let operation = |number| Operation::direct(Kind::Authorize, attempt(number), Some(AMOUNT));
    for (number, fault) in [(1, "drop_after"), (2, "error_500_after"), (3, "truncate")] {
        faults(&format!("\"none\",\"{fault}\"")).await;
        let answer = authorize(&wire, number, "4242424242424242", Terms::default()).await;
        assert!(matches!(answer, Answer::Unknown { .. }), "{fault}: {answer:?}");
        approval(&asked(&wire, operation(number), None, now_ms()).await.expect(fault));
    }
    faults("\"none\",\"drop_before\"").await;
    let answer = authorize(&wire, 4, "4242424242424242", Terms::default()).await;
    assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
    assert_eq!(asked(&wire, operation(4), None, now_ms()).await, Some(Answer::Abandoned), "its key was free");
    // It was only late.
    let late = authorize(&wire, 4, "4242424242424242", Terms::default()).await;
    assert!(matches!(late, Answer::Unknown { .. }), "its key is taken: {late:?}");
    assert_eq!(asked(&wire, operation(4), None, now_ms()).await, Some(Answer::Abandoned));
    let ledger = wire.client.get(format!("{}/v1/ledger", wire.url)).send().await.unwrap().text().await.unwrap();
    assert!(!ledger.contains(&attempt(4).to_string()) && ledger.contains(&attempt(1).to_string()), "{ledger}");
    faults("\"none\",\"not_executed\"").await;
    assert_eq!(authorize(&wire, 5, "4242424242424242", Terms::default()).await, Answer::Rejected);
    faults("\"drop_after\"").await;
    let answer = authorize(&wire, 6, "4242424242424242", Terms::default()).await;
    assert_eq!(answer, Answer::Rejected, "a card that was sent and not charged");
    let declined = authorize(&wire, 7, "4000000000009995", Terms::default()).await;
    assert!(matches!(declined, Answer::Declined { class: DeclineClass::InsufficientFunds, .. }), "{declined:?}");
    assert_eq!(asked(&wire, operation(7), None, now_ms()).await, Some(declined));
}

#[tokio::test]
async fn what_moved_on_a_day_is_read_page_by_page_and_finds_its_attempts() {
    let wire = open().await;
    let (merchant, count) = (&shop(), 30_u128);
    let mut named = Vec::new();
    for number in 1..=count {
        let answer = authorize(&wire, number, "4242424242424242", Terms::default()).await;
        named.push(approval(&answer).gateway_ref.clone());
    }
    let later = Terms { capture: CaptureTime::Later, ..Terms::default() };
    authorize(&wire, 90, "4242424242424242", later).await;
    let of = Original { attempt: attempt(1), gateway_ref: &named[0], approved: AMOUNT, capture_ref: None };
    let refund = Request::Refund { attempt: attempt(91), amount: wire::Money { minor: 1000, ..AMOUNT }, merchant, of };
    approval(&wire.run(&adapter(), &refund).await);
    let day = Period { from_unix_ms: now_ms() - 3_600_000, until_unix_ms: now_ms() + 60_000 };
    let (mut lines, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let request = adapter().report(day, after.as_deref()).unwrap();
        let page = adapter().read_report(wire.send(request).await).unwrap();
        pages += 1;
        lines.extend(page.lines);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pages, lines.len()), (2, 31), "what is only reserved has not moved");
    assert_eq!((lines[0].kind, lines[0].money.minor, lines[0].attempts[0]), (ReportKind::Refund, 1000, attempt(91)));
    assert!(lines[0].names.contains(&named[0]));
    for (line, number) in lines[1..].iter().zip((1..=count).rev()) {
        let name = &named[usize::try_from(number - 1).unwrap()];
        assert!(line.kind == ReportKind::Charge && line.money == AMOUNT && line.fee.is_some(), "{line:?}");
        assert!(line.attempts == [attempt(number)] && line.names.contains(name), "{line:?}");
    }
    let before = Period { from_unix_ms: 0, until_unix_ms: now_ms() - 3_600_000 };
    let none = wire.send(adapter().report(before, None).unwrap()).await;
    assert_eq!(adapter().read_report(none).unwrap().lines, []);
}
