//! An agreement that begins on a call, its payments taken by the schedulers of the real processes, which are killed while they are.

use crate::stage::api::Api;
use crate::stage::lane::{Lane, quick};
use crate::stage::{Setting, Stage};
use crate::tools::signal;
use anyhow::{Context, bail, ensure};
use lab::desk::text;
use lab::phone::Transport;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const EXTENSION: &str = "1001";
const CARD: [&str; 3] = ["4242424242424242*", "1235", "123"];
/// Payments after the one of the call. Each has an amount of its own: this, and its number.
const PAYMENTS: i64 = 24;
const BASE: i64 = 7_000;
const FIRST: i64 = 4_200;
/// The sandbox's settle window, restarts and some room.
const ALL_MAX: Duration = Duration::from_secs(200);
const OFFICE: &str = "[recurring]\ntime = \"00:00\"\npoll_ms = 50\nask_again_s = 1\ntry_again_s = 1\nlease_s = 4\n";

fn day(days: i64) -> String {
    let today = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    civil(i64::try_from(today).unwrap() + days)
}

/// The civil date of a day since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> String {
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    format!("{:04}-{m:02}-{d:02}", yoe + era * 400 + i64::from(m <= 2))
}

/// A call whose payment begins an agreement; returns its path.
async fn agree(stage: &Stage, lane: &mut Lane, api: &Api) -> anyhow::Result<String> {
    let desk = stage.desk(EXTENSION).await?;
    let call = lane.connect(stage, &desk).await?;
    let amount = |minor: i64| json!({"minor": minor, "currency": "GBP"});
    let terms = json!({"start": day(2), "unit": "days", "every": 2, "count": PAYMENTS, "amount": amount(BASE)});
    let order =
        json!({"amount": amount(FIRST), "account": "INV-7", "repeat": {"terms": terms, "contact": "ada@example.com"}});
    let answer = api.send(Method::POST, &format!("/api/v1/calls/{call}/payments"), Some(order.to_string())).await?;
    ensure!(answer.status == 201, "{answer:?}");
    let payment = text(&serde_json::from_str::<Value>(&answer.text)?, "/id").to_owned();
    desk.line(&call, "secure").await?;
    for keys in CARD {
        lane.key(keys, quick(Transport::Events)).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], Duration::from_secs(5)).await?;
    desk.act(&payment, "authorize").await?;
    desk.wait_for_payment(&payment, &["approved"], Duration::from_secs(5)).await?;
    let shown = api.get(&format!("/api/v1/payments/{payment}")).await?;
    ensure!(shown["agreement_state"] == "agreed", "{shown}");
    lane.caller.hang_up().await?;
    lane.agent.hang_up().await?;
    Ok(format!("/api/v1/agreements/{}", text(&shown, "/agreement")))
}

/// Makes a payment due at once, by moving it to today.
async fn make_due(api: &Api, path: &str, number: i64) -> anyhow::Result<()> {
    let body = json!({"number": number, "due": day(0), "amount": {"minor": BASE + number, "currency": "GBP"}});
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        // The office may be dead just now; said again under its key it is one change.
        match api.post_keyed(&format!("{path}/move"), &format!("move-{number}"), &body.to_string()).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) if answer.status < 500 && answer.status != 409 => bail!("{answer:?}"),
            answer if Instant::now() > until => bail!("payment {number} could not be moved: {answer:?}"),
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

async fn all_paid(api: &Api, path: &str) -> anyhow::Result<Value> {
    let until = Instant::now() + ALL_MAX;
    let mut last = Value::Null;
    while Instant::now() < until {
        if let Ok(agreement) = api.get(path).await {
            if agreement["calendar"].as_array().is_some_and(|rows| rows.iter().all(|row| row["state"] == "paid")) {
                return Ok(agreement);
            }
            last = agreement["calendar"].clone();
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    bail!("payments are left over: {last}")
}

/// The bank's own books: the money of each payment was taken once, and by nobody but the merchant.
async fn compare(stage: &Stage) -> anyhow::Result<()> {
    let mut taken: BTreeMap<i64, usize> = BTreeMap::new();
    for row in stage.ledger().await?.iter().filter(|row| row["status"] == "approved") {
        *taken.entry(row["amount"].as_i64().context("no amount")?).or_default() += 1;
    }
    let wanted: BTreeMap<i64, usize> = (1..=PAYMENTS).map(|number| (BASE + number, 1)).chain([(FIRST, 1)]).collect();
    assert_eq!(taken, wanted);
    Ok(())
}

async fn play(stage: &Stage, mut lane: Lane) -> anyhow::Result<()> {
    stage.rights(EXTENSION, "charge,store,finance").await?;
    let api = Api::agent(stage, EXTENSION).await?;
    let path = agree(stage, &mut lane, &api).await?;
    stage
        .faults(json!({"seed": 7, "delay_ms": 900, "per_mille":
        {"drop_before": 50, "drop_after": 200, "error_500_after": 150, "delay": 400, "truncate": 100}}))
        .await?;
    let mut deaths = 0;
    for number in 1..=PAYMENTS {
        make_due(&api, &path, number).await?;
        if number % 3 == 0 {
            // With charges in its hands.
            tokio::time::sleep(Duration::from_millis(200 + u64::try_from(number)? * 40)).await;
            let side = if number % 2 == 0 { "office" } else { "cde" };
            signal("KILL", stage.pid(side).await?);
            deaths += 1;
            stage.ready().await?;
        }
    }
    let agreement = all_paid(&api, &path).await?;
    stage.ready().await?;
    compare(stage).await?;
    assert_eq!((&agreement["state"], &agreement["last4"]), (&json!("complete"), &json!("4242")));
    let messages = agreement["messages"].as_array().context("no messages")?;
    let receipts = messages.iter().filter(|message| message["kind"] == "receipt").count();
    assert_eq!(receipts, usize::try_from(PAYMENTS)?, "one receipt a payment");
    let tries: i64 = agreement["calendar"].as_array().unwrap().iter().filter_map(|row| row["tries"].as_i64()).sum();
    println!("{PAYMENTS} payments in {tries} tries over {deaths} deaths");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_of_an_agreement_are_each_taken_once_over_deaths_of_both_sides() -> anyhow::Result<()> {
    let lane = Lane::new(EXTENSION).await?;
    let routes = vec![lane.route().await?];
    let office = OFFICE.to_owned();
    let setting = Setting { gateway_timeout_ms: 2_000, records: false, office, ..Setting::new(47, routes) };
    let stage = Stage::start("recurring", setting).await?;
    let most = ALL_MAX + Duration::from_secs(100);
    let played = tokio::time::timeout(most, play(&stage, lane)).await;
    played.with_context(|| format!("not over after {} s", most.as_secs()))?.with_context(|| stage.log())?;
    stage.passed();
    Ok(())
}
