//! Approvals that a merchant's rules do not want: given back, whatever breaks meanwhile.

use crate::stage::api::Api;
use crate::stage::lane::{Lane, quick};
use crate::stage::{Setting, Stage};
use crate::tools::signal;
use anyhow::Context;
use lab::desk::{Desk, text, wait_for};
use lab::phone::Transport;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const EXTENSION: &str = "1001";
const GATEWAYS: &str = "[[gateway]]\nname = \"sandbox\"\nadapter = \"sandbox\"\nurl = \"{bank}\"\ntimeout_ms_max = 3000\n\n\
                        [[merchant]]\nid = \"main\"\ngateway = \"sandbox\"\nlate_approval = \"void\"\nchecks.cvv_no_match = \"void\"\n\
                        checks.postcode_no_match = \"review\"\n";
/// With the bank's settle window, a restart and the first pauses of whoever gives back.
const BACK_MAX: Duration = Duration::from_secs(60);

/// A call whose card is keyed; it is not sent yet.
async fn keyed(
    stage: &Stage,
    lane: &mut Lane,
    desk: &Desk,
    api: &Api,
    code: &str,
    postcode: &str,
) -> anyhow::Result<String> {
    let call = lane.connect(stage, desk).await?;
    let order = json!({"amount": {"minor": 4200, "currency": "GBP"}, "avs": {"postcode": postcode}}).to_string();
    let answer = api.send(Method::POST, &format!("/api/v1/calls/{call}/payments"), Some(order)).await?;
    anyhow::ensure!(answer.status == 201, "{answer:?}");
    let payment = text(&serde_json::from_str::<Value>(&answer.text)?, "/id").to_owned();
    desk.line(&call, "secure").await?;
    for keys in ["4242424242424242*", "1235", code] {
        lane.key(keys, quick(Transport::Events)).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], Duration::from_secs(5)).await?;
    Ok(payment)
}

async fn hang_up(lane: &mut Lane) -> anyhow::Result<()> {
    lane.caller.hang_up().await?;
    Ok(lane.agent.hang_up().await?)
}

/// Waits until the bank has given so many charges back.
async fn given_back(stage: &Stage, count: usize) -> anyhow::Result<()> {
    wait_for(BACK_MAX, &format!("{count} charges to be given back"), async || {
        let voided = stage.ledger().await?.iter().filter(|charge| charge["voided"] == true).count();
        Ok((voided == count).then_some(()))
    })
    .await
}

async fn play(stage: &Stage, lane: &mut Lane) -> anyhow::Result<()> {
    let desk = stage.desk(EXTENSION).await?;
    let api = Api::agent(stage, EXTENSION).await?;

    // The bank approves although the code is wrong: the agent is told of a decline, once the money is back, and never of
    // an approval.
    let payment = keyed(stage, lane, &desk, &api, "998", "N1 1AA").await?;
    desk.act(&payment, "authorize").await?;
    let states = ["declined", "approved"];
    let shown = desk.wait_for_payment(&payment, &states, BACK_MAX).await?;
    assert_eq!((&shown["state"], &shown["outcome"]["class"]), (&"declined".into(), &"wrong_cvv".into()));
    given_back(stage, 1).await?;
    let audit = desk.payment(&payment).await?["audit"].to_string();
    assert!(
        audit.contains("checks_failed") && !audit.contains("\"approved\",\"what\":\"attempt_ended\",\"at\""),
        "{audit}"
    );
    hang_up(lane).await?;

    // The bank answers when the caller has left; the first void is lost, and the process dies.
    let payment = keyed(stage, lane, &desk, &api, "123", "N1 1AA").await?;
    stage.faults(json!({"next": ["delay", "drop_before"], "delay_ms": 1500})).await?;
    desk.act(&payment, "authorize").await?;
    hang_up(lane).await?;
    tokio::time::sleep(Duration::from_millis(1_900)).await;
    signal("KILL", stage.pid("cde").await?);
    given_back(stage, 2).await?;
    desk.wait_for_payment(&payment, &["voided"], BACK_MAX).await?;

    // What is only to be looked at is kept, and listed for those who look.
    stage.rights(EXTENSION, "charge,finance").await?;
    let payment = keyed(stage, lane, &desk, &api, "123", "N9 9").await?;
    desk.act(&payment, "authorize").await?;
    let shown = desk.wait_for_payment(&payment, &["approved"], Duration::from_secs(10)).await?;
    assert_eq!(shown["outcome"]["checks"]["postcode"], "no_match");
    let waiting = api.get("/api/v1/finance").await?;
    assert_eq!(text(&waiting, "/payments/0/id"), payment);
    hang_up(lane).await?;
    let ledger = stage.ledger().await?;
    let voided: Vec<_> = ledger.iter().map(|charge| charge["voided"].clone()).collect();
    assert_eq!(voided, [true, true, false]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_a_rule_does_not_want_is_given_back_whatever_breaks() -> anyhow::Result<()> {
    let mut lane = Lane::new(EXTENSION).await?;
    let routes = vec![lane.route().await?];
    let setting = Setting { records: false, gateways: Some(GATEWAYS.to_owned()), ..Setting::new(41, routes) };
    let stage = Stage::start("reversals", setting).await?;
    let most = Duration::from_secs(170);
    let played = tokio::time::timeout(most, play(&stage, &mut lane)).await;
    played.with_context(|| format!("not over after {} s", most.as_secs()))??;
    stage.passed();
    Ok(())
}
