use crate::cde::Link;
use crate::client::{Answer, Client};
use crate::{World, call, database};
use serde_json::json;
use wire::{
    Action, AuditAction, AuditEvent, BouncedOrder, CallState, Command, CommandResult, OrderCode, Origin, Outcome,
    PaymentId, RecordBody, Refusal, WayIn,
};

const PATH: &str = "/api/v1/bounced-orders";
const ORDER: &str = r#"{"amount":{"minor":4200,"currency":"GBP"},"reference":"INV-77","return":"1002","valid_s":60}"#;

/// Orders; the cde's part is played here.
async fn ask(client: &Client, link: &mut Link, body: &'static str, result: CommandResult) -> (Command, Answer) {
    let client = client.clone();
    let request = tokio::spawn(async move { client.post(PATH, body).await });
    let command = link.command().await;
    link.answer(&command, result).await;
    (command, request.await.unwrap())
}

fn ordered(until_unix_ms: i64) -> CommandResult {
    in_place_of(None, until_unix_ms)
}

fn in_place_of(replaces: Option<PaymentId>, until_unix_ms: i64) -> CommandResult {
    let code = OrderCode { code: "abcdefghijklmnop".into(), number: Some("790012345678".into()) };
    CommandResult::Ordered { code, until_unix_ms, keys_cross_pbx: true, replaces }
}

fn order_of(command: &Command) -> &BouncedOrder {
    match &command.action {
        Action::OrderBounced(order) => order,
        other => panic!("{other:?}"),
    }
}

/// The customer's system: a user without a telephone, by API key.
async fn system(world: &World) -> Client {
    let user = console::NewUser {
        email: "crm@example.com".to_owned(),
        name: "CRM".to_owned(),
        extension: None,
        role: console::Role::Agent,
        rights: console::Rights::default(),
        password: crate::PASSWORD.to_owned(),
    };
    console::user_add(world.config(), user).await.unwrap();
    let key = console::api_key_add(world.config(), "crm@example.com", "crm").await.unwrap();
    world.client.with("Authorization", &format!("Bearer {key}"))
}

/// The caller has come, and is on the line.
fn bounced(payment: PaymentId, order: &BouncedOrder) -> RecordBody {
    audit(AuditAction::Bounced {
        payment,
        amount: order.amount,
        merchant: Some(order.merchant.clone()),
        reference: Some(order.reference.clone()),
    })
}

fn audit(action: AuditAction) -> RecordBody {
    let snapshot = call(1, "8100");
    RecordBody::Audit(AuditEvent { origin: Origin::System, call: snapshot.call, extension: snapshot.extension, action })
}

const FAR: i64 = 4_000_000_000_000;

#[tokio::test]
async fn an_order_gives_a_code_once_and_says_afterwards_what_became_of_it() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    let crm = system(&world).await;
    let (command, answer) = ask(&crm, &mut link, ORDER, ordered(FAR)).await;
    let order = order_of(&command).clone();
    assert_eq!((order.merchant.as_str(), order.amount.minor, order.valid_s), ("main", 4200, 60));
    assert_eq!(order.back.as_ref().unwrap().as_str(), "1002");
    let made = answer.json();
    assert_eq!(
        (answer.status, &made["code"], &made["dial"]),
        (201, &json!("abcdefghijklmnop"), &json!("790012345678"))
    );
    assert_eq!((&made["keys_cross_pbx"], &made["state"]), (&json!(true), &json!("waiting")));
    assert_eq!(made["id"], order.payment.to_string());
    let path = format!("{PATH}/{}", order.payment);
    let shown = crm.get(&path).await;
    assert!(!shown.text.contains("abcdefghijklmnop") && !shown.text.contains("12345678"), "given once");
    assert_eq!(amy.get(&path).await.problem(), (404, "not_found".into()), "it is the system's own");

    link.call(wire::CallSnapshot { way: WayIn::Bounced, state: CallState::SelfService, ..call(1, "8100") }).await;
    link.record(1, bounced(order.payment, &order)).await;
    let paying = crm.until(&path, |order| order["state"] == "paying").await;
    assert_eq!(paying["payment"]["reference"], "INV-77");
    let attempt = wire::AttemptId::from_random(9);
    let sent = RecordBody::AttemptSent(wire::AttemptSent {
        attempt,
        kind: wire::AttemptKind::Authorize,
        payment: order.payment,
        call: call(1, "8100").call,
        extension: "8100".parse().unwrap(),
        origin: Origin::Caller,
        merchant: order.merchant.clone(),
        amount: order.amount,
        capture: Some(wire::CaptureTime::Now),
        card: None,
    });
    link.record(2, sent).await;
    let (auth_code, gateway_ref) = ("A1B2C3".to_owned(), "ch_1".to_owned());
    let outcome = Outcome::Approved { auth_code, gateway_ref, amount: order.amount, checks: wire::Checks::default() };
    link.record(3, RecordBody::AttemptEnded { attempt, payment: order.payment, outcome }).await;
    let paid = crm.until(&path, |order| order["state"] == "approved").await;
    assert_eq!(paid["payment"]["outcome"]["auth_code"], "A1B2C3");
    let rows = world.audit("bounced_order").await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].0.as_str(), rows[0].1.as_deref()), ("crm@example.com", Some("crm")));
    world.stop().await;
    let kept = String::from_utf8_lossy(&database(world.config().database.parent().unwrap())).into_owned();
    assert!(!kept.contains("abcdefghijklmnop") && !kept.contains("790012345678") && kept.contains("INV-77"));
}

#[tokio::test]
async fn an_order_that_nobody_came_for_says_so() {
    let mut world = World::new().await;
    let (_amy, mut link) = world.with_call().await;
    let crm = system(&world).await;
    let (over, answer) = ask(&crm, &mut link, ORDER, ordered(1_000)).await;
    assert_eq!(answer.json()["state"], "expired", "its time was over long ago");
    let (first, _) = ask(&crm, &mut link, ORDER, ordered(FAR)).await;
    let (second, _) = ask(&crm, &mut link, ORDER, in_place_of(Some(order_of(&first).payment), FAR)).await;
    let mut states = Vec::new();
    for command in [&over, &first, &second] {
        states.push(crm.get(&format!("{PATH}/{}", order_of(command).payment)).await.json()["state"].clone());
    }
    assert_eq!(states, ["expired", "replaced", "waiting"]);
    link.record(1, bounced(order_of(&second).payment, order_of(&second))).await;
    link.record(2, audit(AuditAction::PaymentCancelled { payment: order_of(&second).payment })).await;
    crm.until(&format!("{PATH}/{}", order_of(&second).payment), |order| order["state"] == "canceled").await;
}

/// What broke: whichever answer was stored last was shown as the one that counts.
#[tokio::test]
async fn of_two_orders_at_once_the_one_is_replaced_that_the_card_side_says() {
    let mut world = World::new().await;
    let (_amy, mut link) = world.with_call().await;
    let crm = system(&world).await;
    let post = || {
        let client = crm.clone();
        tokio::spawn(async move { client.post(PATH, ORDER).await })
    };
    let (one, other) = (post(), post());
    let (first, second) = (link.command().await, link.command().await);
    let before = order_of(&first).payment;
    link.answer(&second, in_place_of(Some(before), FAR)).await;
    let id = order_of(&second).payment;
    crm.until(&format!("{PATH}/{id}"), |order| order["state"] == "waiting").await;
    link.answer(&first, ordered(FAR)).await;
    assert_eq!((one.await.unwrap().status, other.await.unwrap().status), (201, 201));
    let mut states = Vec::new();
    for payment in [before, id] {
        states.push(crm.get(&format!("{PATH}/{payment}")).await.json()["state"].clone());
    }
    assert_eq!(states, ["replaced", "waiting"]);
}

#[tokio::test]
async fn what_cannot_be_ordered_is_told_in_plain_words() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    let crm = system(&world).await;
    for (reason, code) in [
        (Refusal::NotBounced, "not_bounced"),
        (Refusal::SameOrder, "same_order"),
        (Refusal::OrderedByAnother, "ordered_by_another"),
        (Refusal::TooManyOrders, "too_many_orders"),
    ] {
        let (command, answer) = ask(&crm, &mut link, ORDER, CommandResult::Refused { reason }).await;
        assert_eq!(answer.problem(), (409, code.into()));
        let path = format!("{PATH}/{}", order_of(&command).payment);
        assert_eq!(crm.get(&path).await.problem(), (404, "not_found".into()), "nothing was ordered");
    }
    for (body, code) in [
        (r#"{"amount":{"minor":0,"currency":"GBP"},"reference":"A"}"#, "bad_amount"),
        (r#"{"amount":{"minor":1,"currency":"GBP"}}"#, "bad_field"),
        (r#"{"amount":{"minor":1,"currency":"GBP"},"reference":"a b"}"#, "bad_reference"),
        (r#"{"amount":{"minor":1,"currency":"GBP"},"reference":"4242424242424242"}"#, "looks_like_card"),
        (r#"{"amount":{"minor":1,"currency":"GBP"},"reference":"A","valid_s":29}"#, "bad_valid_s"),
        (r#"{"amount":{"minor":1,"currency":"GBP"},"reference":"A","valid_s":3601}"#, "bad_valid_s"),
    ] {
        assert_eq!(crm.post(PATH, body).await.problem(), (422, code.into()), "{body}");
    }
    console::user_rights(world.config(), "amy@example.com", &"refund".parse().unwrap()).await.unwrap();
    assert_eq!(amy.post(PATH, ORDER).await.problem(), (403, "no_right".into()));
}
