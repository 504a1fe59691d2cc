//! `kill -9` of either process at random points while payments are taken at a bank that breaks.

use crate::stage::api::Api;
use crate::stage::lane::{Lane, quick};
use crate::stage::{READY_MAX, Setting, Stage};
use crate::tools::signal;
use anyhow::{Context, bail};
use lab::desk::{Desk, text};
use lab::phone::Transport;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Where the kills fall; another one may be given in `TONEWALL_KILL_SEED`.
const SEED: u64 = 1_977;
const PAYMENTS: i64 = 20;
const LANES: usize = 4;
const KILLS: usize = 8;
const CARD: [&str; 3] = ["4242424242424242*", "1235", "123"];
const EXTENSIONS: [&str; LANES] = ["1001", "1002", "1003", "1004"];
/// After the sandbox's settle window an attempt that the bank never saw is known not to have happened.
const SETTLED_MAX: Duration = Duration::from_secs(110);
const ALL_MAX: Duration = Duration::from_secs(220);
/// Tries for one payment; more mean that something is stuck.
const TRIES_MAX: usize = 12;

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

/// What the agents have to do, together.
struct Work<'a> {
    stage: &'a Stage,
    /// Amounts not yet paid; each is one invoice.
    open: Mutex<Vec<i64>>,
    /// Says that a card is on its way to the bank: the best moment to kill.
    sending: Notify,
}

/// How a payment stands after a try.
enum Fate {
    Paid,
    /// Nothing was taken: another call may take it.
    NotTaken,
    /// Nobody knows yet: it must not be taken again.
    Unknown(String),
}

/// One agent: takes what is open until all is paid, and settles at the end what was unknown.
async fn agent(work: &Work<'_>, mut lane: Lane) -> anyhow::Result<()> {
    let desk = work.stage.desk(&lane.extension).await?;
    let mut unknown: Vec<(i64, String)> = Vec::new();
    let mut tries: BTreeMap<i64, usize> = BTreeMap::new();
    loop {
        let next = work.open.lock().unwrap().pop();
        let Some(amount) = next else {
            let Some((amount, payment)) = unknown.pop() else { return Ok(()) };
            match fate(&desk, &payment, SETTLED_MAX).await? {
                Fate::Paid => {}
                Fate::NotTaken => work.open.lock().unwrap().push(amount),
                Fate::Unknown(payment) => bail!("payment {payment} of {amount} was not settled"),
            }
            continue;
        };
        let count = tries.entry(amount).or_default();
        *count += 1;
        if *count > TRIES_MAX {
            bail!("{amount} could not be taken in {TRIES_MAX} tries");
        }
        match take(work, &mut lane, &desk, amount).await? {
            Fate::Paid => {}
            Fate::NotTaken => work.open.lock().unwrap().push(amount),
            Fate::Unknown(payment) => unknown.push((amount, payment)),
        }
    }
}

/// One call. Whatever breaks, the fate of its payment is asked for afterwards.
async fn take(work: &Work<'_>, lane: &mut Lane, desk: &Desk, amount: i64) -> anyhow::Result<Fate> {
    Desk::ready(work.stage.office, READY_MAX).await?;
    let mut payment = None;
    let broke = call(work, lane, desk, amount, &mut payment).await.err();
    // A phone whose call is gone has nobody to tell; both are on the hook afterwards.
    lane.caller.hang_up().await?;
    lane.agent.hang_up().await?;
    let Some(payment) = payment else { return Ok(Fate::NotTaken) };
    let fate = fate(desk, &payment, Duration::from_secs(12)).await;
    fate.with_context(|| format!("payment {payment} of {amount}; the call ended with {broke:?}"))
}

async fn call(
    work: &Work<'_>,
    lane: &mut Lane,
    desk: &Desk,
    amount: i64,
    payment: &mut Option<String>,
) -> anyhow::Result<()> {
    let call = lane.connect(work.stage, desk).await?;
    let id = payment.insert(desk.start_payment(&call, amount, "GBP").await?).clone();
    desk.line(&call, "secure").await?;
    for keys in CARD {
        lane.key(keys, quick(Transport::Events)).await?;
    }
    desk.wait_for_payment(&id, &["ready"], Duration::from_secs(5)).await?;
    work.sending.notify_one();
    desk.act(&id, "authorize").await?;
    let known = ["approved", "declined", "not_sent", "unknown"];
    desk.wait_for_payment(&id, &known, Duration::from_secs(5)).await?;
    Ok(())
}

/// Asks until it is known, at most so long. An office that is just being killed is asked again.
async fn fate(desk: &Desk, payment: &str, most: Duration) -> anyhow::Result<Fate> {
    let until = Instant::now() + most;
    let mut last = String::new();
    loop {
        if let Ok(found) = desk.payment(payment).await {
            last = text(&found, "/state").to_owned();
            match last.as_str() {
                "approved" => return Ok(Fate::Paid),
                "declined" | "not_sent" | "cancelled" => return Ok(Fate::NotTaken),
                _ => {}
            }
        }
        if Instant::now() > until {
            match last.as_str() {
                "unknown" | "authorizing" => return Ok(Fate::Unknown(payment.to_owned())),
                stuck => bail!("it stays {stuck:?} although the call is over"),
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Kills one side or the other, mostly while a card is on its way.
async fn killer(work: &Work<'_>, seed: u64) -> anyhow::Result<()> {
    let mut random = Random(seed);
    for round in 0..KILLS {
        // Let something happen between two deaths: what dies at once five times in a row is given up.
        tokio::time::sleep(Duration::from_millis(1_500 + random.below(1_500))).await;
        let sending = work.sending.notified();
        // Now and then at any point of a call.
        let most = if random.below(3) == 0 { 700 } else { 8_000 };
        let _ = tokio::time::timeout(Duration::from_millis(most), sending).await;
        tokio::time::sleep(Duration::from_millis(random.below(300))).await;
        // Each side is killed as often as the other.
        let side = if round % 2 == 0 { "cde" } else { "office" };
        signal("KILL", work.stage.pid(side).await?);
    }
    Ok(())
}

/// Each attempt that the office knows, with its outcome; and no payment may be without an end.
async fn attempts(api: &Api) -> anyhow::Result<BTreeMap<String, String>> {
    let mut attempts = BTreeMap::new();
    let list = api.get("/api/v1/payments?limit=200").await?;
    for payment in list["payments"].as_array().context("no payments")? {
        let state = text(payment, "/state");
        let over = ["approved", "declined", "not_sent", "cancelled"].contains(&state);
        assert!(over, "payment {} of {} stays {state}", payment["id"], payment["amount"]["minor"]);
        let detail = api.get(&format!("/api/v1/payments/{}", text(payment, "/id"))).await?;
        for attempt in detail["attempts"].as_array().context("no attempts")? {
            let outcome = attempt.pointer("/outcome/outcome").and_then(Value::as_str).unwrap_or("none");
            attempts.insert(text(attempt, "/id").to_owned(), outcome.to_owned());
        }
    }
    Ok(attempts)
}

/// The bank's own books against the office's.
async fn compare(stage: &Stage) -> anyhow::Result<()> {
    let ledger = stage.ledger().await?;
    let mut amounts: BTreeMap<i64, usize> = BTreeMap::new();
    let mut charged = BTreeSet::new();
    for charge in ledger.iter().filter(|charge| charge["status"] == "approved") {
        *amounts.entry(charge["amount"].as_i64().unwrap()).or_default() += 1;
        charged.insert(text(charge, "/reference").to_owned());
    }
    let doubles: Vec<_> = amounts.iter().filter(|(_, count)| **count > 1).collect();
    assert_eq!(doubles, [], "amounts that were charged more than once");
    assert_eq!(amounts.len(), usize::try_from(PAYMENTS).unwrap(), "amounts that were charged");
    let mut known = BTreeMap::new();
    for extension in EXTENSIONS {
        known.extend(attempts(&Api::agent(stage, extension).await?).await?);
    }
    for (attempt, outcome) in &known {
        let settled = ["approved", "declined", "rejected", "abandoned"].contains(&outcome.as_str());
        assert!(settled, "attempt {attempt} has the outcome {outcome}");
    }
    let count = |wanted: &str| known.values().filter(|outcome| *outcome == wanted).count();
    let [approved, rejected, abandoned] = ["approved", "rejected", "abandoned"].map(count);
    println!("{} attempts: {approved} approved, {rejected} rejected, {abandoned} abandoned", known.len());
    assert!(abandoned > 0, "the bank dropped requests, and yet no attempt was found not to have happened: {known:?}");
    let approved: BTreeSet<String> =
        known.into_iter().filter(|(_, outcome)| outcome == "approved").map(|(id, _)| id).collect();
    assert_eq!(approved, charged, "what the office says was approved is what the bank charged");
    Ok(())
}

async fn play(stage: &Stage, lanes: Vec<Lane>, seed: u64) -> anyhow::Result<()> {
    // Two that the bank never sees, at once: they take the whole settle window.
    let faults = json!({"seed": seed, "delay_ms": 700, "next": ["drop_before", "none", "drop_before"],
        "per_mille": {"drop_after": 150, "error_500_after": 150, "delay": 200, "truncate": 100, "not_executed": 100}});
    stage.faults(faults).await?;
    let work = Work {
        stage,
        open: Mutex::new((1..=PAYMENTS).map(|index| 1_000 + index).rev().collect()),
        sending: Notify::new(),
    };
    let mut lanes = lanes.into_iter();
    let mut next = || agent(&work, lanes.next().unwrap());
    let (one, two, three, four) = (next(), next(), next(), next());
    let (killed, one, two, three, four) = tokio::join!(killer(&work, seed), one, two, three, four);
    [killed, one, two, three, four].into_iter().collect::<anyhow::Result<()>>()?;
    stage.ready().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_points_it_charges_nobody_twice_and_loses_no_outcome() -> anyhow::Result<()> {
    let (mut lanes, mut routes) = (Vec::new(), Vec::new());
    for extension in EXTENSIONS {
        let lane = Lane::new(extension).await?;
        routes.push(lane.route().await?);
        lanes.push(lane);
    }
    let setting = Setting { gateway_timeout_ms: 3_000, records: false, ..Setting::new(6, routes) };
    let stage = Stage::start("kill", setting).await?;
    let seed = std::env::var("TONEWALL_KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    tokio::time::timeout(ALL_MAX, play(&stage, lanes, seed))
        .await
        .with_context(|| format!("not over after {} s", ALL_MAX.as_secs()))?
        .with_context(|| format!("TONEWALL_KILL_SEED={seed}"))?;
    let log = stage.log();
    assert_eq!(log.matches("starting it again").count(), KILLS, "each kill is a death and a new start");
    let in_flight = log.matches("the outcome of an attempt was not known when this process ended").count();
    println!("{in_flight} attempts were in flight when the cde was killed");
    compare(&stage).await?;
    stage.passed();
    Ok(())
}
