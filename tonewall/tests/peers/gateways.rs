//! Gateways as the product uses them: somebody else's bank (localstripe, which `lab/tests/gateways` knows better), one that
//! stands in for another, and charges that come in from a pay connector.

use crate::stage::lane::{Lane, authorize, capture, quick};
use crate::stage::{Setting, Stage, free_tcp, http};
use crate::tools::{Background, signal};
use anyhow::{Context, ensure};
use lab::desk::text;
use lab::phone::Transport;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const READY_MAX: Duration = Duration::from_secs(30);
const KEY: &str = "sk_test_tonewall";

struct Bank {
    at: SocketAddr,
    _server: Background,
}

impl Bank {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let at = free_tcp()?;
        let mut command = Command::new(root.join("target/peers/bin/python"));
        command.arg(root.join("lab/tests/gateways/serve_localstripe.py")).arg(at.port().to_string());
        let server = Background::start(&mut command, &folder.join("localstripe.log"))
            .context("`cargo xtask test` installs it")?;
        let until = Instant::now() + READY_MAX;
        while std::net::TcpStream::connect(at).is_err() {
            ensure!(Instant::now() < until, "localstripe does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { at, _server: server })
    }

    /// What it has charged or declined, newest last.
    async fn payments(&self) -> anyhow::Result<Vec<Value>> {
        let url = format!("http://{}/v1/payment_intents?limit=100", self.at);
        let list = http().get(url).bearer_auth(KEY).send().await?.json::<Value>().await?;
        list["data"].as_array().cloned().context("no list")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_by_phone_is_charged_once_at_stripe_and_a_decline_is_told_in_plain_words() -> anyhow::Result<()> {
    let keys = crate::stage::folder::Folder::new("stripe-key")?;
    let bank = Bank::start(keys.path())?;
    std::fs::write(keys.join("stripe.key"), format!("{KEY}\n"))?;
    let gateways = format!(
        "[[gateway]]\nname = \"stripe\"\nadapter = \"stripe\"\nurl = \"http://{}\"\nkey_file = \"{}\"\n\
         [[merchant]]\nid = \"main\"\ngateway = \"stripe\"\n",
        bank.at,
        keys.join("stripe.key").display()
    );
    let mut lane = Lane::new("1001").await?;
    let routes = vec![lane.route().await?];
    let stage = Stage::start("stripe", Setting { gateways: Some(gateways), ..Setting::new(44, routes) }).await?;
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;
    // It attaches, and is declined when it is charged.
    let declined = ["4000000000000341*", "1235", "123"];
    let payment = capture(&lane, &desk, &call, 1_999, &declined, quick(Transport::Events)).await?;
    let ended = authorize(&desk, &payment).await?;
    assert_eq!(text(&ended, "/state"), "declined", "{ended}");
    assert_eq!(text(&ended, "/outcome/class"), "do_not_honor", "{ended}");
    desk.act(&payment, "cancel").await.context("leaving the declined payment")?;
    let approved = ["4242424242424242*", "1235", "123"];
    let payment = capture(&lane, &desk, &call, 4_200, &approved, quick(Transport::Events)).await?;
    let ended = authorize(&desk, &payment).await?;
    assert_eq!(text(&ended, "/state"), "approved", "{ended}");
    let payments = bank.payments().await?;
    let row = |intent: &Value| (text(intent, "/status").to_owned(), intent["amount"].as_i64());
    let mut rows: Vec<_> = payments.iter().map(row).collect();
    rows.sort();
    let expected = [("requires_payment_method".to_owned(), Some(1_999)), ("succeeded".to_owned(), Some(4_200))];
    assert_eq!(rows, expected, "each was asked once");
    let charged = payments.iter().find(|intent| intent["amount"] == 4_200).context("charged")?;
    assert_eq!(text(charged, "/metadata/tonewall_merchant"), "main");
    assert_eq!(text(charged, "/id"), text(&ended, "/outcome/gateway_ref"));
    let log = stage.log();
    assert!(!log.contains(KEY) && !log.contains("4242424242424242"), "neither key nor card is logged");
    keys.forget();
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_cannot_be_reached_is_stood_in_for_by_the_next_without_a_second_press() -> anyhow::Result<()> {
    let nobody = free_tcp()?;
    let gateways = format!(
        "[[gateway]]\nname = \"down\"\nadapter = \"sandbox\"\nurl = \"http://{nobody}\"\n\
         [[gateway]]\nname = \"up\"\nadapter = \"sandbox\"\nurl = \"{{bank}}\"\n\
         [[merchant]]\nid = \"main\"\ngateway = [{{ name = \"up\", brands = [\"amex\"] }}, \"down\", \"up\"]\n"
    );
    let mut lane = Lane::new("1001").await?;
    let routes = vec![lane.route().await?];
    let stage = Stage::start("failover", Setting { gateways: Some(gateways), ..Setting::new(45, routes) }).await?;
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;
    let card = ["4242424242424242*", "1235", "123"];
    let payment = capture(&lane, &desk, &call, 4_200, &card, quick(Transport::Events)).await?;
    let ended = authorize(&desk, &payment).await?;
    assert_eq!(text(&ended, "/state"), "approved", "{ended}");
    assert_eq!(stage.ledger().await?.len(), 1);
    let log = stage.log();
    assert!(log.contains("another gateway is asked"), "{log}");
    stage.passed();
    Ok(())
}

const CHARGE: &str = r#"{"method":"charge","transaction_id":"IPe16430-39ba-4820-bedc-7aad0762a487",
    "cardnumber":"4111111111111111","cvv":"123","amount":"10.0","currency_code":"USD","expiry_month":"08",
    "expiry_year":"35","description":"pizza","postal_code":"94111","parameters":{"k":"v"}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_of_a_pay_connector_is_made_once_also_over_the_death_of_the_process() -> anyhow::Result<()> {
    let keys = crate::stage::folder::Folder::new("connector-key")?;
    std::fs::write(keys.join("password"), "secret\n")?;
    let inbound = free_tcp()?;
    let gateways = format!(
        "[[gateway]]\nname = \"bank\"\nadapter = \"sandbox\"\nurl = \"{{bank}}\"\n\
         [[merchant]]\nid = \"main\"\ngateway = \"bank\"\n[inbound]\nlisten = \"{inbound}\"\n\
         [[pay_connector]]\nname = \"twilio\"\nusername = \"AC1\"\npassword_file = \"{}\"\nmerchant = \"main\"\n",
        keys.join("password").display()
    );
    let stage = Stage::start("connector", Setting { gateways: Some(gateways), ..Setting::new(46, Vec::new()) }).await?;
    // As Twilio sends it: without a type.
    let post = async || {
        let url = format!("http://{inbound}/pay-connector/twilio");
        let answer = http().post(url).basic_auth("AC1", Some("secret")).body(CHARGE).send().await?;
        anyhow::Ok((answer.status().as_u16(), answer.json::<Value>().await?))
    };
    let (first, again) = tokio::join!(post(), post());
    let (first, again) = (first?, again?);
    assert!(first.0 == 200 && first.1["error_code"].is_null() && first.1["charge_id"].is_string(), "{first:?}");
    assert_eq!(first, again);
    let cde = stage.pid("cde").await?;
    signal("KILL", cde);
    let until = Instant::now() + READY_MAX;
    let later = loop {
        if let Ok(answer) = post().await {
            break answer;
        }
        ensure!(Instant::now() < until, "it does not come back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(first, later, "the first result");
    let ledger = stage.ledger().await?;
    assert_eq!(ledger.len(), 1, "{ledger:?}");
    assert_eq!((ledger[0]["amount"].as_i64(), text(&ledger[0], "/currency")), (Some(1_000), "USD"));
    let log = stage.log();
    assert!(!log.contains("4111111111111111") && !log.contains("secret"), "neither card nor password is logged");
    keys.forget();
    stage.passed();
    Ok(())
}
