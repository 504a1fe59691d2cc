//! Recurring payments that need people, over HTTP, with a scripted card side.

use crate::agreements::{CARD, approved, charge, charged, order_body, pay, start, states, today};
use crate::{Client, Link, World};
use console::Config;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use std::time::Duration;
use uuid::Uuid;
use wire::{AttemptId, AttemptKind, CommandResult, FromCde, RecordBody, Refusal, Restored};

fn eager(config: &mut Config) {
    config.recurring.poll_ms = 20;
    config.recurring.time = jiff::civil::time(0, 0, 0, 0);
}

/// An office that was stopped, and its database changed before it started again.
async fn after(sql: &'static str, change: impl FnOnce(&mut Config)) -> (World, Client, Link) {
    let mut world = World::new().await;
    world.stop().await;
    write(&world, sql).await;
    world
        .restart_with(|config| {
            eager(config);
            change(config);
        })
        .await;
    console::user_rights(world.config(), "amy@example.com", &"charge,store,finance".parse().unwrap()).await.unwrap();
    let (desk, link) = world.with_call().await;
    link.say(FromCde::CaughtUp).await;
    (world, desk, link)
}

async fn write(world: &World, sql: &'static str) {
    let url = format!("sqlite://{}", world.config().database.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn agreement_path(desk: &Client) -> String {
    let all = desk.until("/api/v1/agreements?account=INV-7", |all| all["agreements"][0]["id"].is_string()).await;
    format!("/api/v1/agreements/{}", all["agreements"][0]["id"].as_str().unwrap())
}

/// Broke: a clock that went ahead while the office was off had everything taken that was not due yet.
#[tokio::test]
async fn an_office_that_was_off_for_long_takes_nothing_until_somebody_says_that_its_clock_is_right() {
    let long_ago = "INSERT OR REPLACE INTO clock_seen (id, wall_ms, up_ms, boot) \
                    VALUES (1, (unixepoch() - 40 * 86400) * 1000, 5, 'another start')";
    let (world, desk, mut link) = after(long_ago, |_| {}).await;
    let order = start(&desk, &mut link, order_body(today())).await;
    pay(&mut link, &order).await;
    let path = agreement_path(&desk).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(states(&desk.get(&path).await.json()), ["planned"; 3], "nothing is handed out");
    let shown = desk.get("/api/v1/recurring").await.json();
    assert_eq!((&shown["held"]["why"], &shown["enabled"]), (&"away".into(), &true.into()));
    let ready = desk.get("/readyz").await.json();
    let warns =
        |ready: &Value| ready["warnings"].to_string().contains("recurring payments are held: this office was off");
    assert!(warns(&ready), "{ready}");
    assert!(desk.get("/metrics").await.text.contains("tonewall_recurring_held 1"));
    let bob = world.desk("bob").await;
    assert_eq!(bob.post("/api/v1/recurring/clock", "").await.problem(), (403, "no_right".into()));
    let shown = desk.post("/api/v1/recurring/clock", "").await.json();
    assert!(shown["held"].is_null(), "{shown}");
    let (command, first) = charge(&mut link).await;
    link.done(&command).await;
    link.records(4, charged(&command, &first, approved(first.amount)).into()).await;
    desk.until(&path, |agreement| states(agreement) == ["paid", "planned", "planned"]).await;
    assert!(!warns(&desk.get("/readyz").await.json()));
}

#[tokio::test]
async fn what_could_not_be_taken_waits_for_people_who_take_it_by_hand() {
    // A further try would be too late already.
    let (world, desk, mut link) = after("SELECT 1", |config| config.recurring.try_again_s = 30 * 86_400).await;
    let order = start(&desk, &mut link, order_body(today())).await;
    pay(&mut link, &order).await;
    let (command, first) = charge(&mut link).await;
    link.answer(&command, CommandResult::Refused { reason: Refusal::UnknownMerchant }).await;
    let shown = desk.until("/api/v1/recurring", |shown| !shown["missed"][0].is_null()).await;
    let missed = &shown["missed"][0];
    assert_eq!((&missed["account"], &missed["payment"]["trouble"]), (&"INV-7".into(), &"not_done".into()));
    assert!(desk.get("/metrics").await.text.contains("tonewall_recurring_missed 1"));
    let ready = desk.get("/readyz").await.json()["warnings"].to_string();
    assert!(ready.contains("1 recurring payments were not taken in their time"), "{ready}");
    let bob = world.desk("bob").await;
    assert_eq!(bob.get("/api/v1/recurring").await.json()["missed"], json!([]), "another's");
    let path = agreement_path(&desk).await;
    let take = async |number: u32| desk.post(&format!("{path}/take"), &json!({"number": number}).to_string()).await;
    assert_eq!(take(2).await.problem(), (409, "payment_not_missed".into()));
    let taken = take(1).await.json()["calendar"][0]["state"].clone();
    assert!(taken == "waiting" || taken == "sent", "a scheduler may have it in its hands already: {taken}");
    let (again, same) = charge(&mut link).await;
    assert!(again.id != command.id && same.payment == first.payment, "another try of one payment");
    link.done(&again).await;
    link.records(4, charged(&again, &same, approved(same.amount)).into()).await;
    let shown = desk.until(&path, |agreement| states(agreement)[0] == "paid").await;
    let kinds: Vec<_> = shown["messages"].as_array().unwrap().iter().map(|message| message["kind"].clone()).collect();
    assert_eq!(kinds, ["started", "missed", "receipt"]);
    let trail = shown["audit"].to_string();
    assert!(trail.contains("agreement_payment_missed") && trail.contains("agreement_take"), "{trail}");
    assert_eq!(take(1).await.problem().1, "payment_not_missed");
}

/// The office has forgotten that it was paid; the card side has not, and what it knows is believed.
#[tokio::test]
async fn an_office_restored_from_an_old_backup_takes_nothing_twice_and_learns_what_was_paid() {
    for told in [Refusal::AlreadyApproved, Refusal::OutcomePending] {
        let (mut world, desk, mut link) = after("SELECT 1", |config| {
            config.recurring.enabled = false;
            config.recurring.ask_again_s = 1;
        })
        .await;
        let order = start(&desk, &mut link, order_body(today())).await;
        pay(&mut link, &order).await;
        let path = agreement_path(&desk).await;
        drop(link);
        world.stop().await;
        let file = world.config().database.clone();
        let backup = file.with_extension("backup");
        std::fs::copy(&file, &backup).unwrap();
        let (desk, mut link) = again(&mut world).await;
        let (command, first) = charge(&mut link).await;
        link.done(&command).await;
        link.records(4, charged(&command, &first, approved(first.amount)).into()).await;
        desk.until(&path, |agreement| states(agreement)[0] == "paid").await;
        drop(link);
        world.stop().await;
        std::fs::copy(&backup, &file).unwrap();
        for rest in ["office.db-wal", "office.db-shm"] {
            let _ = std::fs::remove_file(file.with_file_name(rest));
        }
        let (desk, mut link) = again(&mut world).await;
        assert_eq!(states(&desk.get(&path).await.json())[1..], ["planned", "planned"]);
        let (asked, same) = charge(&mut link).await;
        assert_eq!((same.payment, asked.id == command.id), (first.payment, false), "its id comes from the agreement");
        link.answer(&asked, CommandResult::Refused { reason: told }).await;
        if told == Refusal::AlreadyApproved {
            let shown = desk.until(&path, |agreement| states(agreement)[0] == "paid").await;
            assert!(shown["messages"].to_string().contains("receipt"), "{shown}");
        } else {
            let (once_more, _) = charge(&mut link).await;
            assert_eq!(once_more.id, asked.id, "asked after under one id, and never tried under another");
            assert_eq!(states(&desk.get(&path).await.json())[0], "sent");
        }
    }
}

/// What was taken, and even voided, after the backup is not taken again: neither under its own id nor as another try.
#[tokio::test]
async fn an_office_that_is_told_what_it_has_forgotten_holds_until_somebody_has_looked_and_takes_nothing_again() {
    let (mut world, desk, mut link) = after("SELECT 1", |config| config.recurring.enabled = false).await;
    let order = start(&desk, &mut link, order_body(today())).await;
    pay(&mut link, &order).await;
    let path = agreement_path(&desk).await;
    world.stop().await;
    drop(link);
    let file = world.config().database.clone();
    let backup = file.with_extension("backup");
    std::fs::copy(&file, &backup).unwrap();
    let (desk, mut link) = again(&mut world).await;
    let (command, first) = charge(&mut link).await;
    link.done(&command).await;
    let mut told: Vec<RecordBody> = charged(&command, &first, approved(first.amount)).into();
    link.records(4, told.clone()).await;
    desk.until(&path, |agreement| states(agreement)[0] == "paid").await;
    world.stop().await;
    drop(link);
    std::fs::copy(&backup, &file).unwrap();
    for rest in ["office.db-wal", "office.db-shm"] {
        let _ = std::fs::remove_file(file.with_file_name(rest));
    }
    world.restart_with(|config| config.recurring.enabled = true).await;
    let (desk, mut link) = world.with_call().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(
        states(&desk.get(&path).await.json()),
        ["planned"; 3],
        "before it has caught up it says nothing of them"
    );
    // Somebody had given it back meanwhile: at the card side another try of it would be allowed.
    let void = |body| match body {
        RecordBody::AttemptSent(sent) => RecordBody::AttemptSent(wire::AttemptSent {
            attempt: AttemptId(Uuid::from_u128(77)),
            kind: AttemptKind::Void,
            capture: None,
            card: None,
            ..sent
        }),
        RecordBody::AttemptEnded { payment, outcome, .. } => {
            RecordBody::AttemptEnded { attempt: AttemptId(Uuid::from_u128(77)), payment, outcome }
        }
        other => other,
    };
    told.extend(told.clone().into_iter().map(void));
    let restored = Restored { stored: 3, acknowledged: 7, since_unix_ms: Some(0), gone: 0, told_again: 0 };
    told.push(RecordBody::OfficeRestored(restored));
    link.records(4, told).await;
    link.say(FromCde::CaughtUp).await;
    let shown = desk.until("/api/v1/recurring", |shown| shown["held"]["why"] == "restored").await;
    assert!(shown["held"]["detail"].as_str().unwrap().contains("restored from a backup"), "{shown}");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(states(&desk.get(&path).await.json()), ["planned"; 3], "nothing is handed out");
    assert!(desk.get("/readyz").await.json()["warnings"].to_string().contains("restored from a backup"));
    assert!(desk.post("/api/v1/recurring/clock", "").await.json()["held"].is_null());
    let shown = desk.until(&path, |agreement| states(agreement)[0] == "paid").await;
    assert_eq!(shown["calendar"][0]["tries"], 1, "{shown}");
    let asked = tokio::time::timeout(Duration::from_millis(400), link.command()).await;
    assert!(asked.is_err(), "the card side is asked for nothing: {asked:?}");
}

/// The same office again, with schedulers.
async fn again(world: &mut World) -> (Client, Link) {
    let (desk, link) = not_caught_up(world).await;
    link.say(FromCde::CaughtUp).await;
    (desk, link)
}

/// The same, which has not heard yet that it has every record.
async fn not_caught_up(world: &mut World) -> (Client, Link) {
    world
        .restart_with(|config| {
            eager(config);
            config.recurring.enabled = true;
        })
        .await;
    world.with_call().await
}

/// The customer sees their own calendar without signing in, and nothing but that.
#[tokio::test]
async fn a_customer_sees_their_calendar_by_a_link_that_can_be_taken_back() {
    let (world, desk, mut link) = after("SELECT 1", |config| {
        config.public_url = Some("https://pay.example.com/".to_owned().try_into().unwrap());
        config.recurring.payee = "Harbour <Energy>".to_owned();
    })
    .await;
    let order = start(&desk, &mut link, order_body(today())).await;
    pay(&mut link, &order).await;
    let (command, first) = charge(&mut link).await;
    link.done(&command).await;
    link.records(4, charged(&command, &first, approved(first.amount)).into()).await;
    let path = agreement_path(&desk).await;
    let shown = desk.until(&path, |agreement| states(agreement)[0] == "paid").await;
    let of_text = |kind: &str| {
        let messages = shown["messages"].as_array().unwrap();
        let text = messages.iter().find(|message| message["kind"] == kind).unwrap()["text"].as_str().unwrap();
        text.split("https://pay.example.com").nth(1).unwrap().to_owned()
    };
    let made = desk.post(&format!("{path}/link"), "").await;
    assert_eq!(made.status, 201);
    let by_hand = made.json()["path"].as_str().unwrap().to_owned();
    assert_eq!(made.json()["url"], format!("https://pay.example.com{by_hand}"));
    let customer = Client { addr: desk.addr, ..Client::default() };
    for calendar in [&by_hand, &of_text("started"), &of_text("receipt")] {
        let page = customer.get(calendar).await;
        assert_eq!(page.status, 200, "{}", page.text);
        for part in ["Visa card ending in <b>4242</b>", "15.00 GBP", "42.00 GBP", "16.00 GBP", "Harbour &lt;Energy&gt;"]
        {
            assert!(page.text.contains(part), "{part}: {}", page.text);
        }
        assert_eq!(page.text.matches("To come").count(), 2);
        for secret in ["INV-7", "ada@example.com", "amy@example.com", CARD, "1001", "<script", "<form"] {
            assert!(!page.text.contains(secret), "{secret}: {}", page.text);
        }
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'; style-src 'self';"));
        assert!(page.header("set-cookie").is_none());
    }
    for (sql, words) in [
        ("UPDATE payment SET refunded = 0 WHERE captured = 4200", ">Paid on the telephone<"),
        (
            "UPDATE payment SET refunded = 1000 WHERE captured = 4200",
            ">Paid on the telephone, and 10.00 GBP given back<",
        ),
        ("UPDATE payment SET refunded = 4200 WHERE captured = 4200", ">Paid on the telephone, and given back<"),
    ] {
        write(&world, sql).await;
        let page = customer.get(&by_hand).await;
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    what_is_back_is_said(&world, &desk, (&customer, &by_hand), &path).await;
    let mut wrong = by_hand.clone();
    wrong.pop();
    wrong.push(if by_hand.ends_with('b') { 'c' } else { 'b' });
    let refused = customer.get(&wrong).await;
    assert_eq!(refused.status, 404);
    let bob = world.desk("bob").await;
    assert_eq!(bob.post(&format!("{path}/link"), "").await.problem(), (403, "no_right".into()));
    assert_eq!(desk.post(&format!("{path}/link/take-back"), "").await.status, 200);
    let gone = customer.get(&by_hand).await;
    assert_eq!((gone.status, gone.text), (404, refused.text), "one answer for all that is not valid");
    assert_eq!(customer.get(&of_text("receipt")).await.status, 404, "those in texts as well");
    let fresh = desk.post(&format!("{path}/link"), "").await.json()["path"].as_str().unwrap().to_owned();
    assert_eq!(customer.get(&fresh).await.status, 200);
    let mut last = 200;
    for _ in 0..70 {
        last = customer.get(&fresh).await.status;
    }
    assert_eq!(last, 429, "so often in a minute and no more");
}

/// Of a payment that is paid, to the customer and the agent.
async fn what_is_back_is_said(world: &World, desk: &Client, (customer, by_hand): (&Client, &str), path: &str) {
    for (sql, words) in [
        ("UPDATE payment SET refunded = 500 WHERE captured = 1500", "<td class=\"ok\">Partly refunded (5.00 GBP)</td>"),
        ("UPDATE payment SET refunded = 1500, state = 'refunded' WHERE captured = 1500", ">Refunded</td>"),
        ("UPDATE payment SET refunded = 0, state = 'voided' WHERE captured = 1500", ">Refunded</td>"),
        ("UPDATE payment SET state = 'approved' WHERE captured = 1500", "<td class=\"ok\">Paid</td>"),
    ] {
        write(world, sql).await;
        let page = customer.get(by_hand).await;
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let shown = || async { desk.get(path).await.json()["calendar"].clone() };
    assert_eq!((&shown().await[0]["given_back"], &shown().await[0]["disputed"]), (&Value::Null, &false.into()));
    write(world, "UPDATE payment SET refunded = 500 WHERE captured = 1500").await;
    write(
        world,
        "INSERT INTO money_alarm (payment, alarm, at) SELECT id, 'disputed', 1 FROM payment WHERE captured = 1500",
    )
    .await;
    let page = customer.get(by_hand).await;
    assert!(page.text.contains(">Partly refunded (5.00 GBP), and disputed at your bank<"), "{}", page.text);
    let paid = shown().await[0].clone();
    assert_eq!(
        (&paid["state"], &paid["given_back"]["minor"], &paid["disputed"]),
        (&"paid".into(), &500.into(), &true.into())
    );
    assert!(shown().await[1]["given_back"].is_null(), "of one to come nothing is back");
}

/// Asked for without an answer, and then too late: it is looked for in the records, and never begun.
#[tokio::test]
async fn what_was_asked_for_and_is_late_meanwhile_is_looked_for_and_never_begun() {
    let long_ago = "UPDATE due_payment SET ready_at = 0, late_at = (unixepoch() - 7200) * 1000 WHERE state = 'sent'";
    let a_moment_ago =
        "UPDATE due_payment SET ready_at = 0, late_at = (unixepoch() - 1800) * 1000 WHERE state = 'sent'";
    for (late, is_told) in [(long_ago, false), (a_moment_ago, false), (long_ago, true)] {
        let (mut world, desk, mut link) = after("SELECT 1", |_| {}).await;
        let order = start(&desk, &mut link, order_body(today())).await;
        pay(&mut link, &order).await;
        let (command, first) = charge(&mut link).await;
        let path = agreement_path(&desk).await;
        // Nobody has its answer, and the office stops.
        world.stop().await;
        drop(link);
        write(&world, late).await;
        write(&world, "UPDATE due_attempt SET sent_at = (unixepoch() - 10800) * 1000").await;
        write(&world, "UPDATE agreement SET updated_at = (unixepoch() - 10800) * 1000").await;
        write(&world, "UPDATE due_payment SET lease_until = 0").await;
        let (desk, mut link) = not_caught_up(&mut world).await;
        if is_told {
            link.records(4, charged(&command, &first, approved(first.amount)).into()).await;
            link.acknowledged(5).await;
        }
        link.say(FromCde::CaughtUp).await;
        let asked = tokio::time::timeout(Duration::from_secs(2), link.command()).await;
        assert!(asked.is_err(), "nothing is begun: {asked:?}");
        let expected = match (is_told, late == long_ago) {
            (true, _) => "paid",
            (false, true) => "failed",
            (false, false) => "sent",
        };
        let shown = desk.until(&path, |agreement| states(agreement)[0] == expected).await;
        let missed = desk.get("/api/v1/recurring").await.json()["missed"].as_array().unwrap().len();
        assert_eq!(missed, usize::from(expected == "failed"), "{shown}");
        if expected == "failed" {
            assert_eq!(shown["calendar"][0]["trouble"], "not_done");
        }
    }
}
