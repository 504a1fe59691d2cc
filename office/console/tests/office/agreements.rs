//! Agreements from the order of their first payment to the outbox, with a scripted card side.

use crate::{Client, Link, World, call, call_path, taking};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    Action, AttemptId, AttemptKind, AuditAction, AuditEvent, Brand, CardView, Command, DeclineClass, Initiator, Keeper,
    KeptCard, Last4, MoneyAlarm, NotKept, Origin, Outcome, PaymentOrder, PaymentState, Reason, RecordBody, Store,
    StoredCharge, Token,
};

pub(crate) const CARD: &str = "tok_mpjtb9d5mpjtb9d5mpjtb9d5";

pub(crate) fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn terms(start: jiff::civil::Date) -> Value {
    json!({"start": start.to_string(), "unit": "months", "every": 1, "count": 3, "amount": {"minor": 1500, "currency": "GBP"},
        "last_amount": {"minor": 1600, "currency": "GBP"}})
}

pub(crate) fn order_body(start: jiff::civil::Date) -> String {
    json!({"amount": {"minor": 4200, "currency": "GBP"}, "account": "INV-7",
        "repeat": {"terms": terms(start), "contact": "ada@example.com"}})
    .to_string()
}

/// An office that takes what is due today at once; Amy may keep cards, and look after the money.
async fn world() -> (World, Client, Link) {
    let mut world = World::new().await;
    // The first office's connection, which ends with it.
    drop(world.cde.accept(vec![]).await);
    world.stop().await;
    world
        .restart_with(|config| {
            config.recurring.poll_ms = 20;
            config.recurring.time = jiff::civil::time(0, 0, 0, 0);
        })
        .await;
    console::user_rights(world.config(), "amy@example.com", &"charge,store,finance".parse().unwrap()).await.unwrap();
    let (desk, link) = world.with_call().await;
    link.say(wire::FromCde::CaughtUp).await;
    (world, desk, link)
}

/// Orders a payment that is to be repeated, and has the cde take it.
pub(crate) async fn start(desk: &Client, link: &mut Link, body: String) -> PaymentOrder {
    let desk = desk.clone();
    let request = tokio::spawn(async move { desk.post(&call_path(1, "payments"), &body).await });
    let command = link.command().await;
    let Action::StartPayment(order) = &command.action else { panic!("another command: {command:?}") };
    link.done(&command).await;
    link.call(taking(order, PaymentState::Capturing, 0)).await;
    let answer = request.await.unwrap();
    assert_eq!((answer.status, &answer.json()["agreement_state"]), (201, &"offered".into()));
    order.clone()
}

fn card() -> CardView {
    CardView { brand: Brand::Visa, last4: Last4::new(*b"4242").unwrap(), expiry: None }
}

fn sent(order: &PaymentOrder) -> RecordBody {
    RecordBody::AttemptSent(attempt_sent(order))
}

fn attempt_sent(order: &PaymentOrder) -> wire::AttemptSent {
    wire::AttemptSent {
        attempt: AttemptId(Uuid::from_u128(1)),
        kind: AttemptKind::Authorize,
        payment: order.payment,
        call: call(1, "1001").call,
        extension: "1001".parse().unwrap(),
        origin: Origin::System,
        merchant: order.merchant.clone(),
        amount: order.amount,
        capture: None,
        card: Some(card()),
    }
}

fn kept(order: &PaymentOrder) -> RecordBody {
    let token: Token = CARD.parse().unwrap();
    let (merchant, keeper) = (order.merchant.clone(), Keeper::Gateway);
    let kept = KeptCard { token, merchant, card: card(), keeper, same_as: None };
    RecordBody::CardKept { attempt: AttemptId(Uuid::from_u128(1)), payment: order.payment, kept }
}

pub(crate) fn approved(amount: wire::Money) -> Outcome {
    Outcome::Approved { auth_code: "A1".into(), gateway_ref: "g1".into(), amount, checks: wire::Checks::default() }
}

fn ended(order: &PaymentOrder, outcome: Outcome) -> RecordBody {
    RecordBody::AttemptEnded { attempt: AttemptId(Uuid::from_u128(1)), payment: order.payment, outcome }
}

/// Pays the order, with the card kept.
pub(crate) async fn pay(link: &mut Link, order: &PaymentOrder) {
    link.records(1, vec![sent(order), kept(order), ended(order, approved(order.amount))]).await;
    link.acknowledged(3).await;
}

/// The next charge of a kept card that the office asks for.
pub(crate) async fn charge(link: &mut Link) -> (Command, StoredCharge) {
    let command = link.command().await;
    let Action::ChargeStored(charge) = command.action.clone() else { panic!("another command: {command:?}") };
    (command, charge)
}

pub(crate) fn charged(command: &Command, charge: &StoredCharge, outcome: Outcome) -> [RecordBody; 2] {
    let attempt = AttemptId(command.id.0);
    let sent = RecordBody::AttemptSent(wire::AttemptSent {
        attempt,
        kind: AttemptKind::ChargeStored,
        payment: charge.payment,
        call: command.call,
        extension: charge.extension.clone(),
        origin: command.origin.clone(),
        merchant: charge.merchant.clone(),
        amount: charge.amount,
        capture: Some(charge.capture),
        card: None,
    });
    [sent, RecordBody::AttemptEnded { attempt, payment: charge.payment, outcome }]
}

pub(crate) fn states(agreement: &Value) -> Vec<String> {
    let rows = agreement["calendar"].as_array().unwrap();
    rows.iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_payment_begins_an_agreement_whose_payments_are_taken_when_they_are_due() {
    let (world, desk, mut link) = world().await;
    let order = start(&desk, &mut link, order_body(today())).await;
    assert_eq!((order.store, order.purpose), (Store::Token, Some(Reason::Installment)));
    pay(&mut link, &order).await;
    let (command, first) = charge(&mut link).await;
    assert_eq!((first.amount.minor, first.token.as_str(), first.extension.as_str()), (1500, CARD, "1001"));
    assert_eq!((first.credential.initiator, first.credential.reason), (Initiator::Merchant, Reason::Installment));
    // The card side dies with the charge in its hands: the same attempt is asked for again.
    drop(link);
    let mut link = world.cde.accept(vec![]).await;
    link.say(wire::FromCde::CaughtUp).await;
    let (again, same) = charge(&mut link).await;
    assert_eq!((again.id, &same), (command.id, &first));
    link.done(&again).await;
    link.records(4, charged(&again, &first, approved(first.amount)).into()).await;
    let payment = desk.get(&format!("/api/v1/payments/{}", order.payment)).await.json();
    assert_eq!(payment["agreement_state"], "agreed");
    let path = format!("/api/v1/agreements/{}", payment["agreement"].as_str().unwrap());
    let agreement = desk.until(&path, |agreement| states(agreement) == ["paid", "planned", "planned"]).await;
    assert_eq!((&agreement["state"], &agreement["last4"]), (&"active".into(), &"4242".into()));
    assert_eq!(agreement["calendar"][2]["amount"]["minor"], 1600);
    assert_eq!(agreement["first"]["id"], order.payment.to_string());
    let taken = agreement["calendar"][0]["payment"].as_str().unwrap().to_owned();
    let taken = desk.get(&format!("/api/v1/payments/{taken}")).await.json();
    assert_eq!(
        (&taken["state"], &taken["account"], &taken["last4"]),
        (&"approved".into(), &"INV-7".into(), &"4242".into())
    );
    check_outbox(&desk).await;
    let metrics = desk.get("/metrics").await.text;
    assert!(
        metrics.contains("tonewall_recurring_agreements 1") && metrics.contains("tonewall_recurring_due 0"),
        "{metrics}"
    );
}

/// The agreement and the receipt, each once, with no more of the card than its last four digits.
async fn check_outbox(desk: &Client) {
    let outbox = desk.get("/api/v1/outbox").await.json();
    let messages = outbox["messages"].as_array().unwrap().clone();
    let kinds: Vec<_> = messages.iter().map(|message| message["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "receipt"]);
    let text = messages[1]["text"].as_str().unwrap();
    assert!(text.contains("15.00 GBP") && text.contains("ending in 4242") && text.contains("16.00 GBP"), "{text}");
    assert_eq!(messages[0]["contact"], "ada@example.com");
    let taken = format!("/api/v1/outbox/{}/taken", messages[0]["id"]);
    assert_eq!(desk.post(&taken, "").await.status, 200);
    assert_eq!(desk.post(&taken, "").await.status, 200, "said again, nothing changes");
    let left = desk.get("/api/v1/outbox").await.json();
    assert_eq!(left["messages"].as_array().unwrap().len(), 1);
    assert_eq!(desk.post("/api/v1/outbox/999/taken", "").await.status, 404);
}

/// The card is kept without a payment, and later payments are agreed on all the same.
#[tokio::test]
async fn an_agreement_may_begin_with_a_card_that_is_only_kept() {
    let (_world, desk, mut link) = world().await;
    let mut body: Value = serde_json::from_str(&order_body(today())).unwrap();
    (body["store"], body["amount"]["minor"]) = ("only".into(), 0.into());
    let order = start(&desk, &mut link, body.to_string()).await;
    assert_eq!((order.store, order.purpose), (Store::Only, Some(Reason::Installment)));
    let sent = RecordBody::AttemptSent(wire::AttemptSent { kind: AttemptKind::Store, ..attempt_sent(&order) });
    link.records(1, vec![sent, kept(&order), ended(&order, approved(order.amount))]).await;
    link.acknowledged(3).await;
    assert_eq!(charge(&mut link).await.1.amount.minor, 1500);
}

#[tokio::test]
async fn without_an_approval_or_a_card_there_is_no_agreement() {
    let declined = || Outcome::Declined { class: DeclineClass::InsufficientFunds, network_code: None };
    for is_paid in [false, true] {
        let (_world, desk, mut link) = world().await;
        let order = start(&desk, &mut link, order_body(today())).await;
        let attempt = AttemptId(Uuid::from_u128(1));
        let not_kept = RecordBody::CardNotKept { attempt, payment: order.payment, why: NotKept::NoToken };
        let end = if is_paid { approved(order.amount) } else { declined() };
        link.records(1, vec![sent(&order), not_kept, ended(&order, end)]).await;
        link.acknowledged(3).await;
        let payment = desk.get(&format!("/api/v1/payments/{}", order.payment)).await.json();
        let shown = if is_paid { "not_agreed" } else { "offered" };
        assert_eq!(payment["agreement_state"], shown, "after a decline another card may be taken");
        let all = desk.get("/api/v1/agreements").await.json();
        assert_eq!(all["agreements"], json!([]));
        assert_eq!(desk.get("/api/v1/outbox").await.json()["messages"], json!([]));
    }
}

/// It stood, and was charged for, although somebody had looked at its first payment and given it back.
#[tokio::test]
async fn an_agreement_whose_first_payment_is_rejected_ends_also_where_that_takes_a_refund() {
    for is_looked_at in [true, false] {
        let (_world, desk, mut link) = world().await;
        let later = today().checked_add(jiff::Span::new().days(40)).unwrap();
        let order = start(&desk, &mut link, order_body(later)).await;
        pay(&mut link, &order).await;
        let action = AuditAction::Money { payment: order.payment, alarm: MoneyAlarm::Review };
        let (call, extension) = (call(1, "1001").call, "1001".parse().unwrap());
        let review = RecordBody::Audit(AuditEvent { origin: Origin::System, call, extension, action });
        let attempt = AttemptId(Uuid::from_u128(2));
        let sent = wire::AttemptSent { attempt, kind: AttemptKind::Refund, card: None, ..attempt_sent(&order) };
        let (payment, refund) = (sent.payment, RecordBody::AttemptSent(sent));
        let back = RecordBody::AttemptEnded { attempt, payment, outcome: approved(order.amount) };
        let records: Vec<_> = is_looked_at.then_some(review).into_iter().chain([refund, back]).collect();
        let last = 3 + records.len() as u64;
        link.records(4, records).await;
        link.acknowledged(last).await;
        let payment = desk.get(&format!("/api/v1/payments/{payment}")).await.json();
        assert_eq!(payment["state"], "refunded");
        let all = desk.get("/api/v1/agreements?account=INV-7").await.json();
        // A refund alone says nothing against what is still to come.
        assert_eq!(all["agreements"][0]["state"], if is_looked_at { "canceled" } else { "active" });
    }
}

/// A database that was put back has forgotten that it asked, and asks for the same payment under another name.
#[tokio::test]
async fn a_payment_that_another_attempt_has_taken_is_paid_and_is_asked_for_no_more() {
    for is_taken in [true, false] {
        let (_world, desk, mut link) = world().await;
        let order = start(&desk, &mut link, order_body(today())).await;
        pay(&mut link, &order).await;
        let (command, stored) = charge(&mut link).await;
        let forgotten = Command { id: wire::CommandId(Uuid::from_u128(77)), ..command.clone() };
        let outcome = if is_taken { approved(stored.amount) } else { Outcome::Unknown };
        link.records(4, charged(&forgotten, &stored, outcome).to_vec()).await;
        link.acknowledged(5).await;
        let pending = wire::CommandResult::Refused { reason: wire::Refusal::OutcomePending };
        link.answer(&command, pending).await;
        let path = "/api/v1/agreements?account=INV-7";
        let id = desk.get(path).await.json()["agreements"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/agreements/{id}");
        if is_taken {
            desk.until(&path, |shown| states(shown)[0] == "paid").await;
        } else {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            assert_ne!(states(&desk.get(&path).await.json())[0], "paid", "nobody knows");
        }
    }
}

#[tokio::test]
async fn an_agreement_is_changed_by_who_may_and_the_trail_tells_who() {
    let (world, desk, mut link) = world().await;
    let later = today().checked_add(jiff::Span::new().days(40)).unwrap();
    let order = start(&desk, &mut link, order_body(later)).await;
    pay(&mut link, &order).await;
    let all = desk.until("/api/v1/agreements?account=INV-7", |all| all["agreements"][0]["id"].is_string()).await;
    let path = format!("/api/v1/agreements/{}", all["agreements"][0]["id"].as_str().unwrap());
    let act = async |what: &str, body: Value| desk.post(&format!("{path}/{what}"), &body.to_string()).await;
    assert_eq!(states(&act("skip", json!({"number": 1, "make_up": true})).await.json()).len(), 4);
    assert_eq!(act("skip", json!({"number": 9})).await.problem(), (409, "no_such_payment".into()));
    let day = later.checked_add(jiff::Span::new().days(50)).unwrap();
    assert_eq!(act("move", json!({"number": 1, "due": day.to_string()})).await.problem(), (409, "out_of_order".into()));
    let moved = act("move", json!({"number": 2, "amount": {"minor": 99, "currency": "GBP"}})).await.json();
    assert_eq!(moved["calendar"][1]["amount"]["minor"], 99);
    assert_eq!(
        act("move", json!({"number": 2, "amount": {"minor": 99, "currency": "EUR"}})).await.problem().1,
        "bad_terms"
    );
    assert_eq!(act("move", json!({"number": 2})).await.problem().1, "bad_field");
    assert_eq!(act("resume", json!({"catch_up": "skip"})).await.problem().1, "not_paused");
    assert_eq!(act("pause", json!({})).await.json()["state"], "paused");
    assert_eq!(act("resume", json!({"catch_up": "skip"})).await.json()["state"], "active");
    assert_eq!(act("amend", json!({"terms": terms(today())})).await.status, 200);
    let canceled = act("cancel", json!({})).await.json();
    assert_eq!((&canceled["state"], canceled["next"].is_null()), (&"canceled".into(), true));
    assert_eq!(act("pause", json!({})).await.problem(), (409, "agreement_ended".into()));
    let trail = canceled["audit"].as_array().unwrap();
    let done: Vec<_> = trail.iter().map(|row| (row["who"].as_str().unwrap(), row["what"].as_str().unwrap())).collect();
    // The scripted card side has a clock of its own, so its row stands elsewhere.
    assert!(done.contains(&("system", "agreement_started")), "{done:?}");
    let amys: Vec<_> = done.iter().filter(|(who, _)| *who == "amy@example.com").map(|(_, what)| *what).collect();
    let all = ["skip", "move", "pause", "resume", "amend", "cancel"].map(|what| format!("agreement_{what}"));
    assert_eq!(amys, all);
    let bob = world.desk("bob").await;
    assert_eq!(bob.get(&path).await.problem().0, 404, "another's is not there");
    assert_eq!(bob.post(&format!("{path}/cancel"), "").await.problem(), (403, "no_right".into()));
    assert_eq!(bob.get("/api/v1/outbox").await.problem().1, "no_right");
    let repeat = bob.post(&call_path(1, "payments"), &order_body(later)).await;
    assert_eq!(repeat.problem().0, 404);
}

#[tokio::test]
async fn the_calendar_is_read_before_anybody_agrees() {
    let (_world, desk, _link) = world().await;
    let preview = async |body: Value| desk.post("/api/v1/agreements/preview", &body.to_string()).await;
    let start: jiff::civil::Date = "2099-01-31".parse().unwrap();
    let shown = preview(terms(start)).await.json();
    let days: Vec<_> = shown["payments"].as_array().unwrap().iter().map(|row| row["due"].clone()).collect();
    assert_eq!(days, ["2099-01-31", "2099-02-28", "2099-03-31"]);
    assert_eq!((&shown["count"], &shown["total"]["minor"]), (&3.into(), &4600.into()));
    let mut endless = terms(start);
    let members = endless.as_object_mut().unwrap();
    members.remove("count");
    members.remove("last_amount");
    let shown = preview(endless).await.json();
    assert_eq!((shown["payments"].as_array().unwrap().len(), shown["total"].is_null()), (120, true));
    assert_eq!(preview(terms("2020-01-31".parse().unwrap())).await.problem(), (422, "bad_terms".into()));
    let mut wrong = terms(start);
    wrong["every"] = 0.into();
    let answer = preview(wrong).await;
    assert_eq!(answer.json()["detail"], "The interval must be from 1 to 366.");
}
