use crate::{Client, Link, World, call, call_path, taking};
use serde_json::json;
use uuid::Uuid;
use wire::{Action, AttemptId, Brand, CardView, Last4, Outcome, PaymentOrder, PaymentState, RecordBody, Refusal};

fn body() -> String {
    json!({"amount": {"minor": 4200, "currency": "GBP"}, "account": "INV-88120"}).to_string()
}

/// Starts a payment on call 1 and has the cde take it.
pub(crate) async fn start(desk: &Client, link: &mut Link) -> PaymentOrder {
    let desk = desk.clone();
    let request = tokio::spawn(async move { desk.post(&call_path(1, "payments"), &body()).await });
    let command = link.command().await;
    let Action::StartPayment(order) = &command.action else { panic!("another command: {command:?}") };
    link.done(&command).await;
    link.call(taking(order, PaymentState::Capturing, 0)).await;
    let answer = request.await.unwrap();
    assert_eq!((answer.status, &answer.json()["state"]), (201, &"capturing".into()));
    order.clone()
}

fn sent(order: &PaymentOrder, attempt: u128) -> RecordBody {
    RecordBody::AttemptSent(wire::AttemptSent {
        attempt: AttemptId(Uuid::from_u128(attempt)),
        kind: wire::AttemptKind::Authorize,
        payment: order.payment,
        call: call(1, "1001").call,
        extension: "1001".parse().unwrap(),
        origin: wire::Origin::System,
        merchant: order.merchant.clone(),
        amount: order.amount,
        capture: Some(order.capture),
        card: Some(CardView { brand: Brand::Visa, last4: Last4::new(*b"4242").unwrap(), expiry: None }),
    })
}

fn approved(order: &PaymentOrder, attempt: u128) -> RecordBody {
    let outcome = Outcome::Approved {
        auth_code: "A1B2C3".into(),
        gateway_ref: "g1".into(),
        amount: order.amount,
        checks: wire::Checks::default(),
    };
    ended(order, attempt, outcome)
}

fn ended(order: &PaymentOrder, attempt: u128, outcome: Outcome) -> RecordBody {
    RecordBody::AttemptEnded { attempt: AttemptId(Uuid::from_u128(attempt)), payment: order.payment, outcome }
}

#[tokio::test]
async fn a_payment_goes_from_order_to_approval() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let order = start(&desk, &mut link).await;
    let path = format!("/api/v1/payments/{}", order.payment);
    let (client, authorize) = (desk.clone(), format!("{path}/authorize"));
    let request = tokio::spawn(async move { client.post(&authorize, "").await });
    let command = link.command().await;
    link.record(1, sent(&order, 1)).await;
    link.done(&command).await;
    let answer = request.await.unwrap();
    assert_eq!((answer.status, &answer.json()["state"]), (202, &"authorizing".into()));
    link.record(2, approved(&order, 1)).await;
    link.call(taking(&order, PaymentState::Authorizing, 1)).await;
    let shown = desk.until(&path, |payment| payment["state"] == "approved").await;
    assert_eq!(shown["outcome"]["auth_code"], "A1B2C3");
    assert_eq!((&shown["attempts"][0]["number"], &shown["card"]["last4"]), (&1.into(), &"4242".into()));
    let did: Vec<_> = shown["audit"].as_array().unwrap().iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(did, ["payment", "authorize", "attempt_sent", "attempt_ended"]);
    assert_eq!(desk.get("/api/v1/payments").await.json()["payments"][0]["attempts"], 1);
}

#[tokio::test]
async fn no_outcome_is_lost_or_doubled_over_reconnects_and_restarts() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let order = start(&desk, &mut link).await;
    let path = format!("/api/v1/payments/{}", order.payment);
    link.record(1, sent(&order, 1)).await;
    link.acknowledged(1).await;
    drop(link);
    // The acknowledgment may have been lost: the cde sends the record again, and the rest.
    let mut link = world.cde.accept(vec![]).await;
    assert_eq!(link.greeting, (Some(world.cde.journal), 1));
    link.record(1, sent(&order, 1)).await;
    link.say(wire::FromCde::CaughtUp).await;
    desk.until(&path, |payment| payment["state"] == "unknown").await;
    world.stop().await;
    assert!(link.is_ended().await);
    world.start().await;
    let mut link = world.cde.accept(vec![]).await;
    assert_eq!(link.greeting.1, 1);
    link.record(2, approved(&order, 1)).await;
    link.acknowledged(2).await;
    link.record(2, approved(&order, 1)).await;
    link.acknowledged(2).await;
    let desk = world.desk("amy").await;
    let payment = desk.get(&path).await.json();
    assert_eq!((&payment["state"], payment["attempts"].as_array().unwrap().len()), (&"approved".into(), 1));
    assert_eq!(payment["audit"].as_array().unwrap().len(), 3, "the order, one sent, one ended");
    link.record(4, approved(&order, 2)).await;
    assert!(link.is_ended().await, "a gap ends the connection");
    let link = world.cde.accept(vec![]).await;
    assert_eq!(link.greeting.1, 2, "and nothing of it was stored");
}

/// Broke: an office that was restored from an older backup stopped at the gap, and nobody could let it go on.
#[tokio::test]
async fn missing_records_stop_the_office_until_somebody_who_may_has_accepted_it() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let order = start(&desk, &mut link).await;
    link.record(1, sent(&order, 1)).await;
    link.acknowledged(1).await;
    link.record(4, approved(&order, 1)).await;
    assert!(link.is_ended().await);
    let mut link = world.cde.accept(vec![]).await;
    assert!(link.is_ended().await, "it is not even listened to");
    let ready = desk.get("/readyz").await;
    let said = ready.json()["warnings"].to_string();
    assert!(ready.status == 503 && said.contains("records are missing here"), "{said}");
    assert!(said.contains("`tonewall restored`"), "with the way out: {said}");
    assert_eq!(desk.get("/api/v1/restores").await.problem(), (403, "no_right".into()));
    assert_eq!(console::missing_unaccepted(world.config()).await.unwrap().len(), 1);
    let by = async |reason| console::accept_missing(world.config(), 1, "amy@example.com", reason).await;
    assert!(matches!(by("lost with the disk").await, Err(console::AcceptError::NoRight(_))));
    crate::follow_ups::allow(&world, "amy", "charge,finance").await;
    let listed = desk.get("/api/v1/restores").await.json();
    let missing = &listed["missing"][0];
    assert_eq!((&missing["first"], &missing["last"], &missing["count"]), (&2.into(), &3.into(), &2.into()));
    assert!(missing["accepted"].is_null() && missing["after"].is_string() && missing["before"].is_string());
    let path = format!("/api/v1/restores/missing/{}/accept", missing["id"]);
    let accept = async |reason: &str| desk.post(&path, &serde_json::json!({"reason": reason}).to_string()).await;
    assert_eq!(accept("gone").await.problem(), (422, "bad_reason".into()));
    assert_eq!(accept("lost 4242424242424242 too").await.problem(), (422, "looks_like_card".into()));
    let accepted = accept("the disk is lost, told finance").await.json();
    assert_eq!((&accepted["accepted"]["who"], &accepted["count"]), (&"amy@example.com".into(), &2.into()));
    assert_eq!(world.audit("records_missing_accepted").await.len(), 1);
    let mut link = world.cde.accept(vec![]).await;
    assert_eq!(link.greeting.1, 1);
    link.record(4, approved(&order, 1)).await;
    link.acknowledged(4).await;
    assert_eq!(desk.get(&format!("/api/v1/payments/{}", order.payment)).await.json()["state"], "approved");
    desk.until_ready().await;
    assert!(console::missing_unaccepted(world.config()).await.unwrap().is_empty());
}

#[tokio::test]
async fn records_that_come_together_are_stored_and_acknowledged_together() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let order = start(&desk, &mut link).await;
    let declined = || Outcome::Declined { class: wire::DeclineClass::Other, network_code: None };
    let tries = (1..=150).flat_map(|attempt| [sent(&order, attempt), ended(&order, attempt, declined())]);
    link.records(1, tries.chain([sent(&order, 151), approved(&order, 151)]).collect()).await;
    let acknowledgments = link.acknowledged(302).await;
    assert!((2..=30).contains(&acknowledgments), "302 records by at most 256: {acknowledgments}");
    let payment = desk.get(&format!("/api/v1/payments/{}", order.payment)).await.json();
    assert_eq!((&payment["state"], payment["audit"].as_array().unwrap().len()), (&"approved".into(), 303));
    assert!(desk.get("/metrics").await.text.contains("tonewall_office_records_total 302"));
    // In a group with records from before and with a gap, what lies between counts.
    link.records(302, vec![approved(&order, 151), sent(&order, 152)]).await;
    link.acknowledged(303).await;
    link.records(304, vec![ended(&order, 152, declined())]).await;
    link.acknowledged(304).await;
    link.records(306, vec![sent(&order, 153)]).await;
    assert!(link.is_ended().await, "a gap ends the connection");
    assert_eq!(world.cde.accept(vec![]).await.greeting.1, 304);
}

#[tokio::test]
async fn what_never_reached_a_gateway_is_cancelled_when_its_call_is_gone() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let order = start(&desk, &mut link).await;
    drop(link);
    let link = world.cde.accept(vec![]).await;
    link.say(wire::FromCde::CaughtUp).await;
    let path = format!("/api/v1/payments/{}", order.payment);
    desk.until(&path, |payment| payment["state"] == "cancelled").await;
}

#[tokio::test]
async fn a_payment_is_settled_only_when_nothing_more_can_come_of_it() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    link.say(wire::FromCde::CaughtUp).await;
    let order = start(&desk, &mut link).await;
    let path = format!("/api/v1/payments/{}", order.payment);
    let is = |state: &'static str, settled: bool| {
        move |payment: &serde_json::Value| payment["state"] == state && payment["settled"] == settled
    };
    let declined = Outcome::Declined { class: wire::DeclineClass::Other, network_code: None };
    link.record(1, sent(&order, 1)).await;
    link.record(2, ended(&order, 1, declined)).await;
    link.call(taking(&order, PaymentState::Declined, 1)).await;
    desk.until(&path, is("declined", false)).await;
    drop(link);
    // The call is gone, but what was done on it meanwhile is still on its way.
    let link = world.cde.accept(vec![]).await;
    desk.until("/api/v1/calls", |calls| calls["calls"].as_array().unwrap().is_empty()).await;
    assert_eq!(desk.get(&path).await.json()["settled"], false);
    link.record(3, sent(&order, 2)).await;
    link.say(wire::FromCde::CaughtUp).await;
    desk.until(&path, is("unknown", false)).await;
    link.record(4, approved(&order, 2)).await;
    desk.until(&path, is("approved", true)).await;
}

#[tokio::test]
async fn an_invoice_is_kept_beside_account_and_reference() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let order = json!({"amount": {"minor": 1, "currency": "GBP"}, "invoice": " 2026-0117 ", "avs": null});
    let client = desk.clone();
    let request = tokio::spawn(async move { client.post(&call_path(1, "payments"), &order.to_string()).await });
    let command = link.command().await;
    let Action::StartPayment(order) = &command.action else { panic!("another command: {command:?}") };
    link.call(taking(order, PaymentState::Capturing, 0)).await;
    link.done(&command).await;
    let started = request.await.unwrap().json();
    assert_eq!((&started["invoice"], &started["account"]), (&"2026-0117".into(), &serde_json::Value::Null));
    assert_eq!(desk.get("/api/v1/payments").await.json()["payments"][0]["invoice"], "2026-0117");
}

#[tokio::test]
async fn a_payment_that_was_being_sent_as_its_call_ended_is_not_cancelled() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    link.say(wire::FromCde::CaughtUp).await;
    let order = start(&desk, &mut link).await;
    let path = format!("/api/v1/payments/{}", order.payment);
    link.call(taking(&order, PaymentState::Authorizing, 1)).await;
    let (call, end) = (call(1, "1001").call, wire::CallEnd::CallerHungUp);
    link.say(wire::FromCde::Event(wire::Event::CallEnded { call, end })).await;
    desk.until("/api/v1/calls", |calls| calls["calls"].as_array().unwrap().is_empty()).await;
    let shown = desk.get(&path).await.json();
    assert_eq!((&shown["state"], &shown["settled"]), (&"waiting".into(), &false.into()));
    link.record(1, sent(&order, 1)).await;
    link.record(2, approved(&order, 1)).await;
    desk.until(&path, |payment| payment["state"] == "approved" && payment["settled"] == true).await;
}

#[tokio::test]
async fn the_same_key_is_the_same_payment() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let desk = desk.with("Idempotency-Key", "first");
    let order = start(&desk, &mut link).await;
    let path = call_path(1, "payments");
    let again = desk.post(&path, &body()).await;
    assert_eq!((again.status, &again.json()["id"]), (201, &order.payment.to_string().into()));
    let other = desk.post(&path, &body().replace("4200", "4300")).await;
    assert_eq!(other.problem(), (422, "idempotency_mismatch".into()));
    assert_eq!(desk.get("/api/v1/payments").await.json()["payments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_payment_was_never_one() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let client = desk.clone();
    let request = tokio::spawn(async move { client.post(&call_path(1, "payments"), &body()).await });
    let command = link.command().await;
    link.answer(&command, wire::CommandResult::Refused { reason: Refusal::PaymentInProgress }).await;
    assert_eq!(request.await.unwrap().problem(), (409, "payment_in_progress".into()));
    assert_eq!(desk.get("/api/v1/payments").await.json()["payments"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let mut started = Vec::new();
    for _ in 0..3 {
        started.push(start(&desk, &mut link).await.payment.to_string());
    }
    let first = desk.get("/api/v1/payments?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    let second = desk.get(&format!("/api/v1/payments?limit=2&cursor={cursor}")).await.json();
    let all = first["payments"].as_array().unwrap().iter().chain(second["payments"].as_array().unwrap());
    let ids: Vec<_> = all.map(|payment| payment["id"].as_str().unwrap()).collect();
    started.reverse();
    assert_eq!(ids, started);
    assert!(second["next_cursor"].is_null());
    assert_eq!(desk.get("/api/v1/payments?limit=0").await.problem(), (400, "bad_query".into()));
}

#[tokio::test]
async fn a_payment_of_a_call_that_the_greeting_leaves_out_is_known_after_it() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let order = start(&desk, &mut link).await;
    drop(link);
    // The greeting holds some of the calls; the others follow one by one.
    let link = world.cde.accept(vec![]).await;
    link.call(taking(&order, PaymentState::Capturing, 0)).await;
    link.say(wire::FromCde::CaughtUp).await;
    let found = async {
        loop {
            let snapshot = desk.events().await.next().await.unwrap();
            if snapshot.data["payments"][0]["account"] == "INV-88120" {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), found).await.unwrap();
}

#[tokio::test]
async fn a_key_that_looks_like_a_card_number_by_chance_is_taken_and_a_card_number_is_not() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let keyed = desk.with("Idempotency-Key", "42424242-4242-4242-8000-00000000abcd");
    let request = tokio::spawn(async move { keyed.post(&call_path(1, "release"), "").await });
    let command = link.command().await;
    link.done(&command).await;
    assert_eq!(request.await.unwrap().status, 200);
    let refused = desk.with("Idempotency-Key", "4242-4242-4242-4242").post(&call_path(1, "release"), "").await;
    assert_eq!((refused.status, &refused.json()["code"]), (422, &"looks_like_card".into()));
}
