//! Kept cards and gateways' credentials, as the office asks for them and shows them.

use crate::client::{Answer, Client};
use crate::{Link, World, add_user, follow_ups, follow_ups::allow, money, trunks};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    Action, AttemptId, AttemptKind, CardView, CommandResult, CredentialSlot, CredentialSource, CredentialView, FromCde,
    GatewayView, Initiator, Keeper, KeptCard, NotKept, Origin, Outcome, PaymentId, PaymentOrder, Reason, RecordBody,
    Refusal, Sealed, Token,
};

const ATTEMPT: AttemptId = AttemptId(Uuid::from_u128(1));

fn token() -> Token {
    Token::from_random(&[0xA5; Token::BYTES]).unwrap()
}

fn card() -> CardView {
    serde_json::from_value(json!({"brand": "visa", "last4": "4242", "expiry": {"month": 12, "year": 2030}})).unwrap()
}

fn approved(minor: i64) -> Outcome {
    let amount = wire::Money { minor, currency: wire::Currency::GBP };
    Outcome::Approved { auth_code: "A".into(), gateway_ref: "g".into(), amount, checks: wire::Checks::default() }
}

#[tokio::test]
async fn a_kept_card_is_shown_charged_by_its_token_and_forgotten_and_one_that_is_not_kept_is_said() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let order = money::start(&desk, &mut link).await;
    let (payment, merchant) = (order.payment, order.merchant.clone());
    let path = format!("/api/v1/payments/{payment}");
    let kept = KeptCard { token: token(), merchant, card: card(), keeper: Keeper::Vault, same_as: None };
    link.record(1, RecordBody::CardKept { attempt: ATTEMPT, payment, kept }).await;
    link.record(2, RecordBody::AttemptEnded { attempt: ATTEMPT, payment, outcome: approved(4200) }).await;
    let shown = desk.until(&path, |shown| shown["state"] == "approved").await;
    assert_eq!((&shown["kept"], &shown["token"]), (&json!("kept"), &json!(token().as_str())));

    link.say(FromCde::CaughtUp).await;
    let charge = format!("/api/v1/cards/{}/charge", token());
    let body =
        json!({"amount": {"minor": 900, "currency": "GBP"}, "purpose": "recurring", "store": "token"}).to_string();
    let client = desk.with("Idempotency-Key", "c1");
    let (again, asked, text) = (client.clone(), charge.clone(), body.clone());
    let request = tokio::spawn(async move { client.post(&asked, &text).await });
    let command = link.command().await;
    let Action::ChargeStored(stored) = &command.action else { panic!("{command:?}") };
    assert_eq!((&stored.token, stored.amount.minor), (&token(), 900));
    assert_eq!((stored.credential.initiator, stored.credential.reason), (Initiator::Customer, Reason::Recurring));
    assert_eq!(stored.payment.0, command.id.0, "the request, the payment and the attempt are one");
    link.done(&command).await;
    let answer = request.await.unwrap();
    assert_eq!(answer.status, 202);
    assert_eq!(again.post(&charge, &body).await.json(), answer.json(), "said again it is the same charge");
    assert_eq!(desk.post(&charge, &body).await.problem(), (400, "idempotency_key_missing".into()));
    for lost in [r#""partial":true"#, r#""fields":["pan"]"#, r#""avs":{"postcode":"N1"}"#] {
        let body = format!(r#"{{"amount":{{"minor":900,"currency":"GBP"}},{lost}}}"#);
        let refused = desk.with("Idempotency-Key", "c2").post(&charge, &body).await;
        assert_eq!(refused.problem(), (422, "not_for_kept_card".into()), "{lost}");
    }
    let client = desk.with("Idempotency-Key", "c3");
    let strange = Token::from_random(&[3; Token::BYTES]).unwrap();
    let strange = format!("/api/v1/cards/{strange}/charge");
    assert_eq!(client.post(&strange, &body).await.problem(), (404, "not_found".into()), "of nobody's desk");
    assert_eq!(client.post("/api/v1/cards/4242424242424242/charge", &body).await.status, 404);

    let forget = format!("/api/v1/cards/{}/forget", token());
    assert_eq!(desk.post(&forget, "").await.problem(), (403, "no_right".into()));
    allow(&world, "amy", "charge,store").await;
    let (client, asked) = (desk.clone(), forget.clone());
    let request = tokio::spawn(async move { client.post(&asked, "").await });
    let command = link.command().await;
    assert!(matches!(&command.action, Action::DeleteStored { token: named, .. } if *named == token()));
    link.record(3, RecordBody::CardForgetting { merchant: order.merchant.clone(), token: token() }).await;
    link.done(&command).await;
    assert_eq!(request.await.unwrap().status, 200);
    desk.until(&path, |shown| shown["token"].is_null() && shown["kept"] == "kept").await;
    let told = |shown: &Value, what: &str| shown["audit"].as_array().unwrap().iter().any(|row| row["what"] == what);
    let shown = desk.get(&path).await.json();
    assert!(told(&shown, "card_forgetting") && !told(&shown, "card_forgotten"), "its gateway has not said so");
    link.record(4, RecordBody::CardForgotten { merchant: order.merchant.clone(), token: token(), by_hand: None }).await;
    desk.until(&path, |shown| told(shown, "card_forgotten")).await;
    link.record(5, RecordBody::CardNotKept { attempt: ATTEMPT, payment, why: NotKept::VaultFault }).await;
    desk.until(&path, |shown| shown["kept"] == "not_kept" && shown["state"] == "approved").await;
}

/// Broke: a charge that was served after the backup was taken once more when its request came again.
#[tokio::test]
async fn a_key_that_a_restore_has_forgotten_charges_no_card_twice() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let order = money::start(&desk, &mut link).await;
    not_deleted(&mut link, &order).await;
    // What the card side tells an office whose backup is older than the charge.
    let (attempt, forgotten) = (AttemptId(Uuid::from_u128(2)), PaymentId(Uuid::from_u128(2)));
    let amount = wire::Money { minor: 900, currency: wire::Currency::GBP };
    let sent = RecordBody::AttemptSent(wire::AttemptSent {
        attempt,
        kind: AttemptKind::ChargeStored,
        payment: forgotten,
        call: wire::CallId(attempt.0),
        extension: "1001".parse().unwrap(),
        origin: Origin::System,
        merchant: order.merchant.clone(),
        amount,
        card: None,
        capture: None,
    });
    link.record(3, sent).await;
    let told = wire::Restored { stored: 2, acknowledged: 3, since_unix_ms: Some(0), gone: 0, told_again: 0 };
    link.record(4, RecordBody::OfficeRestored(told)).await;
    link.say(FromCde::CaughtUp).await;
    link.acknowledged(4).await;
    let charge = format!("/api/v1/cards/{}/charge", token());
    let body = |minor: i64, besides: &[PaymentId]| {
        json!({"amount": {"minor": minor, "currency": "GBP"}, "besides": besides}).to_string()
    };
    let keyed = desk.with("Idempotency-Key", "c1");
    for besides in [&[][..], &[order.payment]] {
        let refused = keyed.post(&charge, &body(900, besides)).await;
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(refused.problem(), (409, "restored_repeat".into()));
        assert!(detail.contains(&forgotten.to_string()) && detail.contains("`besides`"), "{detail}");
    }
    // Another amount is another charge, and so is one of which somebody says so.
    for (key, minor, besides) in [("c2", 901, &[][..]), ("c1", 900, &[forgotten])] {
        let (client, path, body) = (desk.with("Idempotency-Key", key), charge.clone(), body(minor, besides));
        let request = tokio::spawn(async move { client.post(&path, &body).await });
        let command = link.command().await;
        assert!(matches!(&command.action, Action::ChargeStored(stored) if stored.amount.minor == minor));
        link.done(&command).await;
        assert_eq!(request.await.unwrap().status, 202);
    }
    // One that is served from now on has a key that is known.
    assert_eq!(keyed.post(&charge, &body(900, &[forgotten])).await.status, 202);
}

/// A card that was kept with a payment and that its gateway does not delete.
async fn not_deleted(link: &mut Link, order: &PaymentOrder) {
    let (payment, merchant) = (order.payment, order.merchant.clone());
    let kept =
        KeptCard { token: token(), merchant: merchant.clone(), card: card(), keeper: Keeper::Gateway, same_as: None };
    link.record(1, RecordBody::CardKept { attempt: ATTEMPT, payment, kept }).await;
    link.record(2, RecordBody::AttemptEnded { attempt: ATTEMPT, payment, outcome: approved(4200) }).await;
    link.acknowledged(2).await;
}

#[tokio::test]
async fn a_card_that_was_deleted_by_hand_is_said_so_by_two_people_and_never_shown_as_the_gateways_word() {
    let mut world = World::new().await;
    for name in ["fay", "gus"] {
        add_user(world.config(), name, "").await;
        allow(&world, name, "finance").await;
    }
    let (desk, mut link) = world.with_call().await;
    let order = money::start(&desk, &mut link).await;
    not_deleted(&mut link, &order).await;
    let (fay, gus) = (world.desk("fay").await, world.desk("gus").await);
    let (path, payment) = (format!("/api/v1/cards/{}/deleted", token()), format!("/api/v1/payments/{}", order.payment));
    let (done, bare, not) = (
        r#"{"found":"done","reason":"Shopper deleted in the Customer Area"}"#,
        r#"{"found":"done"}"#,
        r#"{"found":"not_done"}"#,
    );
    assert_eq!(desk.post(&path, done).await.problem(), (403, "no_right".into()));
    assert_eq!(fay.post(&path, done).await.problem(), (409, "not_forgetting".into()));
    assert!(fay.get(&payment).await.json()["card_deletion"].is_null(), "it can be charged");
    link.record(3, RecordBody::CardForgetting { merchant: order.merchant.clone(), token: token() }).await;
    link.record(4, follow_ups::alarm(&order, wire::MoneyAlarm::NotForgotten)).await;
    link.acknowledged(4).await;
    let card = r#"{"found":"done","reason":"4242 4242 4242 4242"}"#;
    assert_eq!(fay.post(&path, card).await.problem(), (422, "looks_like_card".into()));
    assert_eq!(fay.post(&path, bare).await.problem(), (422, "reason_missing".into()));
    assert_eq!(fay.get(&payment).await.json()["card_deletion"]["state"], "asked");
    let says = |answer: Answer| (answer.status, answer.json()["settled"].clone());
    for body in [done, not, done, done] {
        assert_eq!(says(fay.post(&path, body).await), (202, json!(false)), "one person is one, however often");
    }
    let alarm = fay.get(&payment).await.json()["alarms"][0]["id"].clone();
    fay.post(&format!("{payment}/alarms/{alarm}/seen"), "{}").await;
    let waiting = gus.get("/api/v1/finance").await.json();
    assert_eq!(waiting["payments"][0]["id"], order.payment.to_string(), "it waits for the second, alarm or not");
    let asked = async |result: CommandResult, link: &mut Link| {
        let (client, path) = (gus.clone(), path.clone());
        let request = tokio::spawn(async move { client.post(&path, bare).await });
        let command = link.command().await;
        link.answer(&command, result).await;
        (command, request.await.unwrap())
    };
    let (_, early) = asked(CommandResult::Refused { reason: Refusal::GatewayIsAsked }, &mut link).await;
    assert_eq!(early.problem(), (409, "gateway_is_asked".into()));
    let (command, answer) = asked(CommandResult::Done, &mut link).await;
    let (Action::DeletedByHand { token: of, merchant, proposed_by }, Origin::User { id }) =
        (command.action, command.origin)
    else {
        panic!("another command")
    };
    assert_eq!((says(answer), of, &merchant), ((200, json!(true)), token(), &order.merchant));
    assert_ne!(id, proposed_by, "two people");
    let said = fay.get(&payment).await.json()["card_deletion"].clone();
    assert_eq!(
        (&said["state"], &said["confirmed_by"]),
        (&json!("asked"), &Value::Null),
        "the card side has not told yet"
    );
    let by_hand = Some(wire::ByHand { said_by: proposed_by, confirmed_by: id });
    link.record(5, RecordBody::CardForgotten { merchant, token: token(), by_hand }).await;
    let shown = fay.until(&payment, |shown| shown["card_deletion"]["state"] == "by_hand").await;
    let said = &shown["card_deletion"];
    assert_eq!((&said["said_by"], &said["confirmed_by"]), (&json!("fay@example.com"), &json!("gus@example.com")));
    assert_eq!(said["reason"], "Shopper deleted in the Customer Area");
    rows_of_two(&shown);
    assert!(fay.get("/api/v1/finance").await.json()["payments"].as_array().unwrap().is_empty());
    assert_eq!(gus.post(&path, bare).await.problem(), (409, "card_gone_already".into()));
}

/// Two people with `finance`, a card that its gateway has not deleted, with its alarm, and Fay's word that she has.
async fn said_by_fay(world: &mut World) -> (Client, Client, Link, PaymentOrder) {
    for name in ["fay", "gus"] {
        add_user(world.config(), name, "").await;
        allow(world, name, "finance").await;
    }
    let (desk, mut link) = world.with_call().await;
    let order = money::start(&desk, &mut link).await;
    not_deleted(&mut link, &order).await;
    link.record(3, RecordBody::CardForgetting { merchant: order.merchant.clone(), token: token() }).await;
    link.record(4, follow_ups::alarm(&order, wire::MoneyAlarm::NotForgotten)).await;
    link.acknowledged(4).await;
    let (fay, gus) = (world.desk("fay").await, world.desk("gus").await);
    assert_eq!(fay.post(&deleted(), DONE).await.status, 202);
    (fay, gus, link, order)
}

const DONE: &str = r#"{"found":"done","reason":"Shopper deleted in the Customer Area"}"#;
const NOT_DONE: &str = r#"{"found":"not_done"}"#;

fn deleted() -> String {
    format!("/api/v1/cards/{}/deleted", token())
}

/// Broke: it was answered that the first word is taken back, and then the record came.
#[tokio::test]
async fn a_word_is_not_taken_back_once_the_card_side_is_told_and_is_when_it_was_not_taken() {
    let mut world = World::new().await;
    let (fay, gus, mut link, _) = said_by_fay(&mut world).await;
    let confirm = || {
        let client = gus.clone();
        tokio::spawn(async move { client.post(&deleted(), DONE).await })
    };
    for reason in [Refusal::GatewayIsAsked, Refusal::JournalFault] {
        let request = confirm();
        let command = link.command().await;
        for who in [&fay, &gus] {
            let refused = who.post(&deleted(), NOT_DONE).await;
            assert!(refused.json()["detail"].as_str().unwrap().contains("say this again"), "with the way out");
            assert_eq!(refused.problem(), (409, "word_on_its_way".into()));
        }
        link.answer(&command, CommandResult::Refused { reason }).await;
        assert_eq!(request.await.unwrap().status, 409);
        assert_eq!(fay.post(&deleted(), NOT_DONE).await.status, 202, "{reason:?}: the words are free again");
        assert_eq!(fay.post(&deleted(), DONE).await.status, 202);
    }
    let request = confirm();
    let command = link.command().await;
    link.done(&command).await;
    assert_eq!(request.await.unwrap().status, 200);
    assert_eq!(fay.post(&deleted(), NOT_DONE).await.problem(), (409, "word_on_its_way".into()), "its record comes");
    // Said once more while the card side is away, it was not sent: the word of before may still come.
    drop(link);
    while fay.get("/readyz").await.status == 200 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(gus.post(&deleted(), DONE).await.problem(), (503, "door_down".into()));
    assert_eq!(fay.post(&deleted(), NOT_DONE).await.problem(), (409, "word_on_its_way".into()));
}

/// Broke: a card whose record had not come yet, or never came, when two people said so stayed with its alarm as a task.
#[tokio::test]
async fn a_card_that_was_gone_before_two_people_say_so_is_gone_by_its_gateways_word_and_leaves_no_task() {
    let mut world = World::new().await;
    let (fay, gus, mut link, order) = said_by_fay(&mut world).await;
    let client = gus.clone();
    let request = tokio::spawn(async move { client.post(&deleted(), DONE).await });
    let command = link.command().await;
    // It is gone there: that is told once more, after the record that was on its way.
    for number in [5, 6] {
        let merchant = order.merchant.clone();
        link.record(number, RecordBody::CardForgotten { merchant, token: token(), by_hand: None }).await;
    }
    link.record(7, follow_ups::alarm(&order, wire::MoneyAlarm::NotForgotten)).await;
    link.done(&command).await;
    assert_eq!(request.await.unwrap().status, 200);
    let payment = format!("/api/v1/payments/{}", order.payment);
    let shown = fay.until(&payment, |shown| shown["card_deletion"]["state"] == "deleted").await;
    assert_eq!(shown["card_deletion"]["confirmed_by"], Value::Null, "it is not their word");
    let alarms = shown["alarms"].as_array().unwrap();
    assert_eq!((alarms.len(), &alarms[0]["seen_by"]), (1, &json!("gus@example.com")));
    let rows = shown["audit"].as_array().unwrap().iter();
    assert_eq!(rows.filter(|row| row["what"] == "card_forgotten").count(), 1);
    assert!(fay.get("/api/v1/finance").await.json()["payments"].as_array().unwrap().is_empty());
}

/// The audit trail has each word of each of them.
fn rows_of_two(shown: &Value) {
    let rows = shown["audit"].as_array().unwrap().iter();
    let rows: Vec<_> = rows.map(|row| (row["who"].as_str().unwrap(), row["result"].as_str().unwrap())).collect();
    for row in [
        ("fay@example.com", "deleted: Shopper deleted in the Customer Area"),
        ("fay@example.com", "not deleted"),
        ("gus@example.com", "deleted"),
        ("gus@example.com", "deleted by hand, said by fay@example.com, confirmed by gus@example.com"),
    ] {
        assert!(rows.contains(&row), "{row:?} of {rows:?}");
    }
}

/// An alarm that nobody has looked at is closed by the two who have: with their names.
#[tokio::test]
async fn who_says_that_a_card_was_deleted_by_hand_has_looked_at_its_alarm() {
    let mut world = World::new().await;
    add_user(world.config(), "fay", "").await;
    allow(&world, "fay", "finance").await;
    let (desk, mut link) = world.with_call().await;
    let order = money::start(&desk, &mut link).await;
    not_deleted(&mut link, &order).await;
    link.record(3, RecordBody::CardForgetting { merchant: order.merchant.clone(), token: token() }).await;
    link.record(4, follow_ups::alarm(&order, wire::MoneyAlarm::NotForgotten)).await;
    // This office was restored: it has not heard of the two.
    let by_hand = Some(wire::ByHand { said_by: 71, confirmed_by: 72 });
    link.record(5, RecordBody::CardForgotten { merchant: order.merchant.clone(), token: token(), by_hand }).await;
    let fay = world.desk("fay").await;
    let payment = format!("/api/v1/payments/{}", order.payment);
    let shown = fay.until(&payment, |shown| shown["card_deletion"]["state"] == "by_hand").await;
    assert_eq!(
        (&shown["alarms"][0]["seen_by"], &shown["alarms"][0]["note"]),
        (&json!("user 72"), &json!("Deleted by hand, said by user 71."))
    );
    assert_eq!(shown["card_deletion"]["said_by"], "user 71");
}

#[tokio::test]
async fn an_admin_gives_a_credential_that_only_the_card_side_can_open_and_nobody_gets_one_back() {
    let mut world = World::new().await;
    let (agent, mut link) = world.with_call().await;
    let admin = trunks::admin(&world).await;
    let (list, give) = ("/api/v1/gateways", "/api/v1/gateways/stripe/credential");
    let sealed = "ab".repeat(60);
    let body = json!({"slot": "key", "sealed": sealed}).to_string();
    assert_eq!(agent.get(list).await.problem(), (403, "for_admins".into()));
    assert_eq!(agent.post(give, &body).await.problem(), (403, "for_admins".into()));
    let plain = json!({"slot": "key", "sealed": "sk_test_4eC39HqLyjWDarjtT1zdp7dc"}).to_string();
    let refused = admin.post(give, &plain).await;
    assert!(refused.status >= 400 && refused.status < 500 && !refused.json().to_string().contains("sk_test"));

    let (client, text) = (admin.clone(), body.clone());
    let request = tokio::spawn(async move { client.post(give, &text).await });
    let command = link.command().await;
    let expected = Sealed::try_from(sealed.clone()).unwrap();
    assert_eq!(
        command.action,
        Action::SetCredential { gateway: "stripe".into(), slot: CredentialSlot::Key, sealed: expected }
    );
    link.answer(&command, CommandResult::Refused { reason: Refusal::NotSealed }).await;
    assert_eq!(request.await.unwrap().problem(), (409, "not_sealed".into()));

    let client = admin.clone();
    let request = tokio::spawn(async move { client.get(list).await });
    let command = link.command().await;
    assert_eq!(command.action, Action::Gateways);
    let given = CredentialView {
        slot: CredentialSlot::Key,
        source: CredentialSource::Office,
        set_unix_ms: Some(0),
        set_by: Some(1),
        fingerprint: Some("0a1b".into()),
    };
    let gateways = vec![GatewayView { name: "stripe".into(), from_office: true, credentials: vec![given] }];
    link.answer(&command, CommandResult::Gateways { seal_to: Some("00".into()), gateways }).await;
    let shown = request.await.unwrap().json();
    let credential = &shown["gateways"][0]["credentials"][0];
    assert_eq!((&credential["source"], &credential["set_at"]), (&json!("office"), &json!("1970-01-01T00:00:00Z")));
    assert!(credential["set_by"].as_str().unwrap().contains('@'), "{credential}");
    let database = crate::database(world.config().database.parent().unwrap());
    assert!(!database.windows(sealed.len()).any(|window| window == sealed.as_bytes()), "not even sealed");
}
