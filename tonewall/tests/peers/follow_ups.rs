//! `kill -9` of either process at random points while money is captured and refunded at a bank that breaks.

use crate::reconciled::reconciled;
use crate::stage::api::Api;
use crate::stage::lane::{Lane, quick};
use crate::stage::{Setting, Stage};
use crate::tools::signal;
use anyhow::{Context, bail};
use lab::desk::text;
use lab::phone::Transport;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Where the kills fall.
const SEED: u64 = 2_026;
/// More, for a soak, may be given in `TONEWALL_MONEY_KILLS`.
const KILLS: usize = 8;
/// Captures and refunds, and so many more for each kill.
const DEEDS: usize = 40;
const DEEDS_PER_KILL: usize = 2;
const WORKERS: usize = 4;
const EXTENSION: &str = "1001";
const CARD: [&str; 3] = ["4242424242424242*", "1235", "123"];
/// A payment of this is refunded in small parts, or captured in them.
const LARGE: i64 = 50_000_000;
/// The bank's settle window, a restart and some room.
const SETTLED_MAX: Duration = Duration::from_secs(100);

/// A small generator (SplitMix64): a failing run is told by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// One capture or refund. Its amount is its name: no two have the same.
struct Deed {
    payment: String,
    verb: &'static str,
    minor: i64,
    tries: usize,
}

/// A call with an approved payment.
async fn take(stage: &Stage, lane: &mut Lane, api: &Api, capture: &str) -> anyhow::Result<String> {
    let desk = stage.desk(EXTENSION).await?;
    let call = lane.connect(stage, &desk).await?;
    let order = json!({"amount": {"minor": LARGE, "currency": "GBP"}, "capture": capture}).to_string();
    let answer = api.send(Method::POST, &format!("/api/v1/calls/{call}/payments"), Some(order)).await?;
    anyhow::ensure!(answer.status == 201, "{answer:?}");
    let payment = text(&serde_json::from_str::<Value>(&answer.text)?, "/id").to_owned();
    desk.line(&call, "secure").await?;
    for keys in CARD {
        lane.key(keys, quick(Transport::Events)).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], Duration::from_secs(5)).await?;
    desk.act(&payment, "authorize").await?;
    desk.wait_for_payment(&payment, &["approved"], Duration::from_secs(5)).await?;
    lane.caller.hang_up().await?;
    lane.agent.hang_up().await?;
    Ok(payment)
}

/// What has become of a deed, by the payment's own attempts.
async fn outcome(api: &Api, deed: &Deed, seen: usize) -> anyhow::Result<String> {
    let until = Instant::now() + SETTLED_MAX;
    loop {
        if let Ok(payment) = api.get(&format!("/api/v1/payments/{}", deed.payment)).await {
            let attempts = payment["attempts"].as_array().context("no attempts")?;
            let is_it = |attempt: &&Value| attempt["kind"] == deed.verb && attempt["amount"]["minor"] == deed.minor;
            let found = attempts.iter().filter(is_it).nth(seen);
            let word = found.and_then(|attempt| attempt.pointer("/outcome/outcome")).and_then(Value::as_str);
            if let Some(word) = word.filter(|word| *word != "unknown") {
                return Ok(word.to_owned());
            }
        }
        if Instant::now() > until {
            bail!("the {} of {} was not settled", deed.verb, deed.minor);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Asks for a deed until the answer is certain: the same key is the same deed, whoever was killed meanwhile.
async fn ask(api: &Api, deed: &Deed) -> anyhow::Result<bool> {
    let until = Instant::now() + SETTLED_MAX;
    let (path, key) =
        (format!("/api/v1/payments/{}/{}", deed.payment, deed.verb), format!("{}-{}", deed.minor, deed.tries));
    let body = json!({"amount": {"minor": deed.minor, "currency": "GBP"}}).to_string();
    while Instant::now() < until {
        match api.post_keyed(&path, &key, &body).await {
            Ok(answer) if answer.status == 202 => return Ok(true),
            Ok(answer) if answer.status == 409 && !answer.text.contains("idempotency_busy") => {
                bail!("{key} of {} was refused: {}", deed.verb, answer.text);
            }
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(150)).await,
        }
    }
    bail!("{key} was never answered")
}

async fn worker(api: &Api, deeds: &Mutex<Vec<Deed>>, done: &AtomicUsize) -> anyhow::Result<()> {
    loop {
        let next = deeds.lock().unwrap().pop();
        let Some(mut deed) = next else { return Ok(()) };
        ask(api, &deed).await?;
        match outcome(api, &deed, deed.tries).await?.as_str() {
            "approved" => {
                done.fetch_add(1, Ordering::Relaxed);
            }
            // Proved not to have happened: it may be asked for again, as another attempt.
            "rejected" | "abandoned" => {
                deed.tries += 1;
                deeds.lock().unwrap().push(deed);
            }
            other => bail!("the {} of {} ended {other}", deed.verb, deed.minor),
        }
    }
}

async fn killer(stage: &Stage, kills: usize, deeds: &Mutex<Vec<Deed>>) -> anyhow::Result<usize> {
    let mut random = Random(SEED);
    for round in 0..kills {
        tokio::time::sleep(Duration::from_millis(1_300 + random.below(900))).await;
        if deeds.lock().unwrap().is_empty() {
            return Ok(round);
        }
        // Three of four are deaths of the side that holds the money's journal.
        let side = if round % 4 == 3 { "office" } else { "cde" };
        signal("KILL", stage.pid(side).await?);
    }
    Ok(kills)
}

/// The bank's own books against the office's, and against what was asked.
async fn compare(stage: &Stage, api: &Api, payments: &[String], wanted: &BTreeMap<i64, &str>) -> anyhow::Result<()> {
    let mut at_bank: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for row in stage.operations().await?.iter().filter(|row| row["status"] == "approved") {
        at_bank.entry(row["amount"].as_i64().unwrap()).or_default().push(text(row, "/what").to_owned());
    }
    for (minor, verb) in wanted {
        let found = at_bank.remove(minor).unwrap_or_default();
        assert_eq!(found, [format!("{verb}s")], "the {verb} of {minor} at the bank");
    }
    assert!(at_bank.is_empty(), "nobody asked for {at_bank:?}");
    let ledger = stage.ledger().await?;
    for (payment, charge) in payments.iter().zip(&ledger) {
        let shown = api.get(&format!("/api/v1/payments/{payment}")).await?;
        for what in ["captured", "refunded"] {
            assert_eq!(shown[what]["minor"], charge[what], "{what} of {payment}");
        }
        let attempts = shown["attempts"].as_array().context("no attempts")?;
        let open = attempts.iter().filter(|attempt| attempt.pointer("/outcome/outcome").is_none_or(|o| o == "unknown"));
        assert_eq!(open.count(), 0, "{payment} has open attempts");
    }
    Ok(())
}

/// Eight clerks press at the same moment, each for all that is left: one of them gives it back.
async fn all_that_is_left_once(api: &Api, payment: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/payments/{payment}/refund");
    let press = |key: usize| {
        let path = path.clone();
        async move { api.post_keyed(&path, &format!("all-{key}"), "").await.map(|answer| answer.status) }
    };
    let (a, b, c, d) = tokio::join!(press(1), press(2), press(3), press(4));
    let (e, f, g, h) = tokio::join!(press(5), press(6), press(7), press(8));
    let mut statuses = [a, b, c, d, e, f, g, h].into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409, 409, 409, 409, 409, 409, 409]);
    Ok(())
}

async fn play(stage: &Stage, mut lane: Lane, kills: usize) -> anyhow::Result<()> {
    stage.rights(EXTENSION, "charge,preauthorize,refund,finance").await?;
    let api = Api::agent(stage, EXTENSION).await?;
    let mut payments = Vec::new();
    for capture in ["now", "now", "later"] {
        payments.push(take(stage, &mut lane, &api, capture).await?);
    }
    stage
        .faults(json!({"seed": SEED, "delay_ms": 700, "next": ["drop_before", "none", "drop_before"], "per_mille":
        {"drop_before": 10, "drop_after": 150, "error_500_after": 150, "delay": 200, "truncate": 100, "not_executed": 100}}))
        .await?;
    let mut wanted = BTreeMap::new();
    let mut deeds = Vec::new();
    for index in 0..DEEDS + kills * DEEDS_PER_KILL {
        let (which, minor) = (index % 3, 1_000 + i64::try_from(index)?);
        let verb = if which == 2 { "capture" } else { "refund" };
        wanted.insert(minor, verb);
        deeds.push(Deed { payment: payments[which].clone(), verb, minor, tries: 0 });
    }
    let (deeds, done, began) = (Mutex::new(deeds), AtomicUsize::new(0), Instant::now());
    let work = || worker(&api, &deeds, &done);
    assert_eq!(WORKERS, 4);
    let (killed, a, b, c, d) = tokio::join!(killer(stage, kills, &deeds), work(), work(), work(), work());
    [a, b, c, d].into_iter().collect::<anyhow::Result<()>>()?;
    stage.ready().await?;
    println!(
        "{} captures and refunds done, {} deaths, {} s",
        done.load(Ordering::Relaxed),
        killed?,
        began.elapsed().as_secs()
    );
    stage.faults(json!({})).await?;
    compare(stage, &api, &payments, &wanted).await?;
    // The charges that take money at once, and what followed.
    reconciled(stage, &api, 2 + wanted.len()).await?;
    all_that_is_left_once(&api, &payments[0]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_points_it_captures_and_refunds_each_amount_once() -> anyhow::Result<()> {
    let kills = std::env::var("TONEWALL_MONEY_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let lane = Lane::new(EXTENSION).await?;
    let routes = vec![lane.route().await?];
    let setting = Setting { gateway_timeout_ms: 2_000, records: false, ..Setting::new(40, routes) };
    let stage = Stage::start("follow_ups", setting).await?;
    let most = Duration::from_secs(200) + Duration::from_secs(5) * u32::try_from(kills)?;
    tokio::time::timeout(most, play(&stage, lane, kills))
        .await
        .with_context(|| format!("not over after {} s", most.as_secs()))??;
    let in_flight = stage.log().matches("the outcome of an attempt was not known when this process ended").count();
    println!("{in_flight} attempts were in flight when the cde was killed");
    stage.passed();
    Ok(())
}
