//! A whole payment by phone with somebody else's bank: localstripe (PyPI), which `lab/tests/gateways` knows better.

use crate::stage::lane::{Lane, authorize, capture, quick};
use crate::stage::{Setting, Stage, free_tcp, http};
use crate::tools::Background;
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
