//! An office that is restored from a backup, while the card side has gone on: everything that was paid, captured and given back since
//! is in it again, nothing is done twice, and what is gone is accepted by name.

use crate::reconciled::reconciled;
use crate::stage::api::Api;
use crate::stage::lane::{Lane, quick};
use crate::stage::{READY_MAX, Setting, Stage, email, http};
use anyhow::{Context, ensure};
use lab::desk::text;
use lab::phone::Transport;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const EXTENSION: &str = "1001";
const CARD: [&str; 3] = ["4242424242424242*", "1235", "123"];
/// Of the sandbox: declined.
const DECLINED: [&str; 3] = ["4000000000000002*", "1235", "123"];
const END_MAX: Duration = Duration::from_secs(60);
const ALL_MAX: Duration = Duration::from_secs(240);

/// A call with a payment that ends like this.
async fn take(stage: &Stage, lane: &mut Lane, order: Value, keys: [&str; 3], state: &str) -> anyhow::Result<String> {
    let api = Api::agent(stage, EXTENSION).await?;
    let desk = stage.desk(EXTENSION).await?;
    let call = lane.connect(stage, &desk).await?;
    let answer = api.send(Method::POST, &format!("/api/v1/calls/{call}/payments"), Some(order.to_string())).await?;
    ensure!(answer.status == 201, "{answer:?}");
    let payment = text(&serde_json::from_str::<Value>(&answer.text)?, "/id").to_owned();
    desk.line(&call, "secure").await?;
    for keys in keys {
        lane.key(keys, quick(Transport::Events)).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], Duration::from_secs(5)).await?;
    desk.act(&payment, "authorize").await?;
    desk.wait_for_payment(&payment, &[state], Duration::from_secs(10)).await?;
    lane.caller.hang_up().await?;
    lane.agent.hang_up().await?;
    Ok(payment)
}

fn order(minor: i64, capture: &str) -> Value {
    json!({"amount": {"minor": minor, "currency": "GBP"}, "capture": capture})
}

/// Asks for a part of a payment's money under a key; returns the answer's status and code.
async fn part(api: &Api, payment: &str, verb: &str, minor: i64) -> anyhow::Result<(u16, String)> {
    let body = json!({"amount": {"minor": minor, "currency": "GBP"}}).to_string();
    let answer =
        api.post_keyed(&format!("/api/v1/payments/{payment}/{verb}"), &format!("{verb}-{minor}"), &body).await?;
    let code = serde_json::from_str::<Value>(&answer.text)?["code"].as_str().unwrap_or_default().to_owned();
    Ok((answer.status, code))
}

/// Waits until a payment is shown like this.
async fn until(api: &Api, payment: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let (end, mut last) = (Instant::now() + END_MAX, Value::Null);
    while Instant::now() < end {
        last = api.get(&format!("/api/v1/payments/{payment}")).await?;
        if wanted(&last) {
            return Ok(last);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("not as it should be: {last}")
}

/// Stops everything, puts the database aside or back, and starts again.
async fn stopped(stage: &mut Stage, work: impl FnOnce(&Stage) -> std::io::Result<()>) -> anyhow::Result<()> {
    stage.terminate();
    ensure!(stage.ended(END_MAX).await?, "not a good end:\n{}", stage.log());
    work(stage)?;
    stage.start_again()
}

fn back_up(stage: &Stage) -> std::io::Result<()> {
    std::fs::copy(stage.folder.join("office-data/office.db"), stage.folder.join("backup.db")).map(drop)
}

fn restore(stage: &Stage) -> std::io::Result<()> {
    for rest in ["office.db-wal", "office.db-shm"] {
        let _ = std::fs::remove_file(stage.folder.join("office-data").join(rest));
    }
    std::fs::copy(stage.folder.join("backup.db"), stage.folder.join("office-data/office.db")).map(drop)
}

/// What the office warns of once it does.
async fn warned(stage: &Stage, words: &str) -> anyhow::Result<(u16, String)> {
    let (end, mut last) = (Instant::now() + READY_MAX, String::new());
    while Instant::now() < end {
        if let Ok(answer) = http().get(format!("http://{}/readyz", stage.office)).send().await {
            let status = answer.status().as_u16();
            last = answer.text().await?;
            if last.contains(words) {
                return Ok((status, last));
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("it does not warn of it: {last}\n{}", stage.log())
}

/// The payments of the test, as the office shows them before and after.
struct Deeds {
    /// Before the backup: refunded in part after it.
    old: String,
    /// Before the backup: captured in part after it.
    later: String,
    /// After the backup.
    new: String,
    declined: String,
}

impl Deeds {
    async fn shown(&self, api: &Api) -> anyhow::Result<[Value; 4]> {
        let old = until(api, &self.old, |payment| payment["refunded"]["minor"] == 200).await?;
        let later = until(api, &self.later, |payment| payment["captured"]["minor"] == 1_000).await?;
        let new = until(api, &self.new, |payment| payment["state"] == "approved").await?;
        let declined = until(api, &self.declined, |payment| payment["state"] == "declined").await?;
        Ok([old, later, new, declined])
    }
}

async fn play(stage: &mut Stage, mut lane: Lane, is_gone: bool) -> anyhow::Result<()> {
    stage.rights(EXTENSION, "charge,preauthorize,refund,finance").await?;
    let old = take(stage, &mut lane, order(4_200, "now"), CARD, "approved").await?;
    let later = take(stage, &mut lane, order(50_000, "later"), CARD, "approved").await?;
    stopped(stage, back_up).await?;
    stage.ready().await?;

    let new = take(stage, &mut lane, order(4_300, "now"), CARD, "approved").await?;
    let declined = take(stage, &mut lane, order(4_400, "now"), DECLINED, "declined").await?;
    let api = Api::agent(stage, EXTENSION).await?;
    assert_eq!(part(&api, &old, "refund", 200).await?.0, 202);
    assert_eq!(part(&api, &later, "capture", 1_000).await?.0, 202);
    let deeds = Deeds { old, later, new, declined };
    let before = deeds.shown(&api).await?;
    let bank = (stage.ledger().await?, stage.operations().await?);

    stopped(stage, restore).await?;
    if is_gone {
        accept(stage, &deeds).await?;
    }
    stage.ready().await?;
    let api = Api::agent(stage, EXTENSION).await?;
    let after = deeds.shown(&api).await?;
    compare(&before, &after, is_gone);
    let restores = api.get("/api/v1/restores").await?;
    assert_eq!(restores["restores"].as_array().map(Vec::len), Some(1), "{restores}");
    assert_eq!(restores["restores"][0]["gone"].as_u64().context("no count")? > 0, is_gone, "{restores}");

    // The client has had no answer and says it again: the key is forgotten, the deed is not.
    for (payment, verb, minor) in [(&deeds.old, "refund", 200), (&deeds.later, "capture", 1_000)] {
        assert_eq!(part(&api, payment, verb, minor).await?, (409, "restored_repeat".to_owned()));
    }
    assert_eq!((stage.ledger().await?, stage.operations().await?), bank, "nothing was done again");
    // And it goes on.
    let next = take(stage, &mut lane, order(4_500, "now"), CARD, "approved").await?;
    assert_eq!(part(&api, &next, "refund", 300).await?.0, 202);
    until(&api, &next, |payment| payment["refunded"]["minor"] == 300).await?;
    // Three charges that take money at once, a capture, and two refunds.
    reconciled(stage, &api, 6).await
}

/// The office has stopped, says why, and goes on when somebody has accepted what is gone.
async fn accept(stage: &Stage, deeds: &Deeds) -> anyhow::Result<()> {
    let (status, said) = warned(stage, "records are missing here").await?;
    assert!(status == 503 && said.contains("`tonewall restored`"), "{said}");
    let api = Api::agent(stage, EXTENSION).await?;
    let unknown = api.send(Method::GET, &format!("/api/v1/payments/{}", deeds.new), None).await?;
    assert_eq!(unknown.status, 404, "nothing of it is here yet");
    let check = stage.tool(&["check"]).await?;
    assert!(
        check.stdout.contains("the office has stopped") && check.stdout.contains("NOT ACCEPTED"),
        "{}",
        check.all()
    );
    let shown = stage.tool(&["restored"]).await?;
    assert!(shown.good && shown.stderr.contains("--accept NUMBER"), "{}", shown.all());
    let email = email(EXTENSION);
    let mut words = vec!["restored", "--accept", "1", "--email", &email, "--reason"];
    words.push("why not");
    let refused = stage.tool(&words).await?;
    assert!(!refused.good && refused.stderr.contains("a reason has"), "{}", refused.all());
    words.pop();
    words.push("the disk of the office is lost");
    let accepted = stage.tool(&words).await?;
    assert!(accepted.good && accepted.stdout.contains("accepted by"), "{}", accepted.all());
    Ok(())
}

/// Money, cards and outcomes are as they were. Where every record was sent once more, so is the trail of what the card side said.
fn compare(before: &[Value; 4], after: &[Value; 4], is_gone: bool) {
    for (before, after) in before.iter().zip(after) {
        for what in ["state", "amount", "approved", "captured", "refunded", "capture", "card", "outcome"] {
            assert_eq!(before[what], after[what], "{what}: {after}");
        }
        let attempts = |payment: &Value| -> Vec<_> {
            let attempts = payment["attempts"].as_array().unwrap().iter();
            attempts.map(|it| ["id", "number", "kind", "amount", "outcome"].map(|what| it[what].clone())).collect()
        };
        assert_eq!(attempts(before), attempts(after));
        let trail = |payment: &Value| -> Vec<_> {
            let rows = payment["audit"].as_array().unwrap().iter().filter(|row| row["origin"] == "cde");
            rows.map(|row| (row["what"].clone(), row["result"].clone())).collect()
        };
        if is_gone {
            assert!(after["audit"].to_string().contains("told_again") || trail(before) == trail(after), "{after}");
        } else {
            assert_eq!(trail(before), trail(after));
        }
    }
    println!("{} payments are as they were", after.len());
}

async fn run(name: &str, slot: u16, more: &str, is_gone: bool) -> anyhow::Result<()> {
    let lane = Lane::new(EXTENSION).await?;
    let routes = vec![lane.route().await?];
    let setting = Setting { records: false, more: more.to_owned(), ..Setting::new(slot, routes) };
    let mut stage = Stage::start(name, setting).await?;
    let played = tokio::time::timeout(ALL_MAX, play(&mut stage, lane, is_gone)).await;
    played.with_context(|| format!("not over after {} s", ALL_MAX.as_secs()))?.with_context(|| stage.log())?;
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_office_of_a_young_backup_has_everything_again_by_itself() -> anyhow::Result<()> {
    run("restored", 53, "", false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_office_of_an_old_backup_stops_until_it_is_accepted_and_its_books_are_the_banks() -> anyhow::Result<()> {
    run("restored-gone", 54, "\n[data]\nrecords_days = 0\n", true).await
}
