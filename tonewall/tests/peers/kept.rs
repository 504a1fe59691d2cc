//! A card is kept in the vault, with a payment and without one: no file shows it, it is charged after a death, and forgotten.

use crate::residue::search::{self, needles};
use crate::stage::api::Api;
use crate::stage::lane::{Lane, quick};
use crate::stage::{Setting, Stage};
use crate::tools::signal;
use anyhow::Context;
use lab::desk::{Desk, text};
use lab::phone::Transport;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const EXTENSION: &str = "1001";
const PAN: &str = "4000056655665556";
const CVV: &str = "847";
const SOON: Duration = Duration::from_secs(15);

const GATEWAYS: &str = "[[gateway]]\nname = \"sandbox\"\nadapter = \"sandbox\"\nurl = \"{bank}\"\n\n\
                        [[merchant]]\nid = \"main\"\ngateway = \"sandbox\"\nkeep_cards = \"vault\"\n";

/// Orders a payment, lets the caller key what is asked, sends it; returns it as it ended.
async fn pay(lane: &Lane, desk: &Desk, api: &Api, call: &str, order: Value, keys: &[&str]) -> anyhow::Result<Value> {
    let answer = api.send(Method::POST, &format!("/api/v1/calls/{call}/payments"), Some(order.to_string())).await?;
    anyhow::ensure!(answer.status == 201, "{answer:?}");
    let payment = text(&serde_json::from_str::<Value>(&answer.text)?, "/id").to_owned();
    desk.line(call, "secure").await?;
    for keys in keys {
        lane.key(keys, quick(Transport::Events)).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], SOON).await.context("keying")?;
    desk.act(&payment, "authorize").await?;
    desk.wait_for_payment(&payment, &["approved", "declined", "not_sent", "unknown"], SOON).await
}

async fn token(api: &Api, payment: &Value) -> anyhow::Result<String> {
    let path = format!("/api/v1/payments/{}", text(payment, "/id"));
    for _ in 0..50 {
        let shown = api.get(&path).await?;
        if let Some(token) = shown["token"].as_str() {
            assert_eq!(shown["kept"], "kept");
            return Ok(token.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("no token of {path}")
}

async fn charge(api: &Api, token: &str, minor: i64) -> anyhow::Result<crate::stage::api::Answer> {
    let body = json!({"amount": {"minor": minor, "currency": "GBP"}, "purpose": "recurring"}).to_string();
    api.post_keyed(&format!("/api/v1/cards/{token}/charge"), &format!("charge-{minor}"), &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_card_is_in_no_file_and_is_charged_after_a_death_until_it_is_forgotten() -> anyhow::Result<()> {
    let mut lane = Lane::new(EXTENSION).await?;
    let routes = vec![lane.route().await?];
    let more = "\n[vault]\npassphrase_file = \"vault.pass\"\n".to_owned();
    let setting = Setting { gateways: Some(GATEWAYS.to_owned()), vault: true, more, ..Setting::new(44, routes) };
    let stage = Stage::start("kept", setting).await?;
    stage.rights(EXTENSION, "charge,store").await?;
    let (desk, api) = (stage.desk(EXTENSION).await?, Api::agent(&stage, EXTENSION).await?);

    let number = format!("{PAN}*");
    let call = lane.connect(&stage, &desk).await?;
    let order = json!({"amount": {"minor": 4200, "currency": "GBP"}, "store": "token", "purpose": "recurring"});
    let paid = pay(&lane, &desk, &api, &call, order, &[&number, "1235", CVV]).await?;
    assert_eq!(text(&paid, "/state"), "approved");
    let first = token(&api, &paid).await?;
    lane.caller.hang_up().await?;
    lane.agent.hang_up().await?;

    let call = lane.connect(&stage, &desk).await?;
    let order = json!({"amount": {"minor": 0, "currency": "GBP"}, "store": "only"});
    let kept = pay(&lane, &desk, &api, &call, order, &[&number, "1235"]).await?;
    assert_eq!((text(&kept, "/state"), text(&kept, "/card/last4")), ("approved", "5556"));
    assert_eq!(kept["captured"]["minor"], 0);
    assert_ne!(token(&api, &kept).await?, first);
    assert_eq!(stage.ledger().await?.len(), 1, "to keep a card nobody was asked");
    lane.caller.hang_up().await?;

    signal("KILL", stage.pid("cde").await?);
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.ready().await?;
    let answer = charge(&api, &first, 1700).await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    let charged = text(&serde_json::from_str::<Value>(&answer.text)?, "/id").to_owned();
    desk.wait_for_payment(&charged, &["approved"], SOON).await.context("charging the kept card")?;
    let ledger = stage.ledger().await?;
    assert_eq!(ledger.iter().map(|row| row["amount"].as_i64()).collect::<Vec<_>>(), [Some(4200), Some(1700)]);

    tokio::time::sleep(Duration::from_secs(1)).await;
    let (found, files) = search::folder(stage.folder.path(), &needles(PAN, CVV))?;
    assert_eq!(found, [""; 0], "in a file");
    for wanted in
        ["records.db", "records.db-wal", "keyring.db", "keyring.db-wal", "journal.db", "office.db", "serve.log"]
    {
        assert!(files.iter().any(|file| file.to_string_lossy().ends_with(wanted)), "no {wanted}: {files:?}");
    }
    let forgotten = api.post_keyed(&format!("/api/v1/cards/{first}/forget"), "forget", "").await?;
    assert_eq!(forgotten.status, 200, "{forgotten:?}");
    assert_eq!(charge(&api, &first, 1800).await?.problem(), (409, "unknown_token".to_owned()));
    assert_eq!(api.get(&format!("/api/v1/payments/{}", text(&paid, "/id"))).await?["kept"], "kept");
    stage.passed();
    Ok(())
}
