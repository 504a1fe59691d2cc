//! What a telecom engineer is told by a running Tonewall: trunks, a call's figures and messages, and a test call to a phone that is not ours.

use crate::baresip::{Baresip, CARD};
use crate::stage::api::Api;
use crate::stage::lane::{Lane, authorize, capture, quick};
use crate::stage::{PASSWORD, Setting, Stage, binary, email, free_phone};
use crate::tools::run_command;
use anyhow::{Context, ensure};
use lab::desk::text;
use lab::phone::Transport;
use reqwest::Method;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const WAIT_MAX: Duration = Duration::from_secs(30);

/// Somebody with the role admin.
async fn admin(stage: &Stage) -> anyhow::Result<Api> {
    let password = stage.folder.join("admin-password");
    std::fs::write(&password, PASSWORD)?;
    let mut command = Command::new(binary::normal());
    command.args(["user", "add", "--name", "Ida", "--role", "admin", "--email", &email("admin"), "--password-file"]);
    let said = run_command(command.arg(password).arg("--config").arg(stage.folder.path()), WAIT_MAX).await?;
    ensure!(said.good, "tonewall user add: {}", said.all());
    Api::agent(stage, "admin").await
}

/// The same call from the command line, and what it says where it cannot be made.
async fn by_command_line(stage: &Stage) -> anyhow::Result<()> {
    let run = async |arguments: &[&str], key: &str| {
        let mut command = Command::new(binary::normal());
        command.args(arguments).arg("--config").arg(stage.folder.path()).env("TONEWALL_API_KEY", key);
        run_command(&mut command, Duration::from_secs(60)).await
    };
    let made = run(&["user", "key", "--email", &email("admin"), "--name", "check"], "").await?;
    let key = made.all().lines().find(|line| line.starts_with("twk_")).context("a key")?.to_owned();
    let said = run(&["check", "--call", "echo"], &key).await?;
    let words = said.all();
    ensure!(said.good && words.contains("codec PCM") && words.contains("Sound came: "), "{words}");
    ensure!(words.contains("keys may come as events") && words.contains("trunk echo: good"), "{words}");
    for (trunk, key, wanted) in [("nobody", key.as_str(), "no such trunk"), ("echo", "twk_no", "not known here")] {
        let said = run(&["check", "--call", trunk], key).await?;
        ensure!(!said.good && said.all().contains(wanted), "{}", said.all());
    }
    Ok(())
}

/// Asks until the answer is as it is to be.
async fn until(api: &Api, path: &str, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let mut last = None;
    for _ in 0..150 {
        if let Ok(seen) = api.get(path).await {
            if is_so(&seen) {
                return Ok(seen);
            }
            last = Some(seen);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    anyhow::bail!("{path} never became as it is to be: {last:?}")
}

fn trunk<'a>(trunks: &'a Value, name: &str) -> &'a Value {
    let found = trunks["trunks"].as_array().and_then(|all| all.iter().find(|trunk| trunk["name"] == name));
    found.unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_by_info_is_read_in_figures_and_messages_and_none_of_its_keys() -> anyhow::Result<()> {
    let mut lane = Lane::new("1001").await?;
    let setting = Setting { ports: (21_300, 21_339), ..Setting::new(0, vec![lane.route().await?]) };
    let stage = Stage::start("engineer-ladder", setting).await?;
    let (admin, desk) = (admin(&stage).await?, stage.desk("1001").await?);
    let call = lane.connect(&stage, &desk).await?;
    let payment = capture(&lane, &desk, &call, 4200, &CARD, quick(Transport::Info)).await?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!(text(&paid, "/state"), "approved");

    let path = format!("/api/v1/calls/{call}/figures");
    let figures = until(&admin, &path, |seen| seen["caller"]["keys_by"][0] == "info").await?;
    assert_eq!((&figures["caller"]["codec"], &figures["caller"]["srtp"]), (&"PCMU".into(), &Value::Null));
    assert!(figures["caller"]["received"].as_u64() > Some(100) && figures["agent"]["sent"].as_u64() > Some(100));
    let trunks = until(&admin, "/api/v1/trunks", |seen| trunk(seen, "pbx1001")["legs"] == 1).await?;
    assert_eq!(trunk(&trunks, "pbx1001")["state"], "up");

    let answer = admin.send(Method::GET, &format!("/api/v1/calls/{call}/ladder.txt"), None).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    let ladder = answer.text;
    let infos = ladder.lines().filter(|line| line.starts_with("INFO ")).count();
    assert_eq!(infos, CARD.concat().len(), "each key was a message:\n{ladder}");
    assert!(ladder.contains("INVITE sip:1001@") && ladder.contains("a=rtpmap:"), "{ladder}");
    for hidden in ["Signal", "4242", "Duration="] {
        assert!(!ladder.contains(hidden), "{hidden} stands in\n{ladder}");
    }
    let raw_digits = ladder.lines().filter(|line| line.len() == 1 && line.as_bytes()[0].is_ascii_digit()).count();
    assert_eq!(raw_digits, 0, "a key alone on a line:\n{ladder}");
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_call_to_a_phone_that_is_not_ours_tells_that_sound_goes_both_ways() -> anyhow::Result<()> {
    let at = free_phone()?;
    let more = format!("\n[[trunk]]\nname = \"echo\"\naddress = \"{at}\"\ntest_number = \"9196\"\nkeepalive_s = 5\n");
    let setting = Setting { ports: (21_340, 21_379), more, ..Setting::new(0, Vec::new()) };
    let stage = Stage::start("engineer-test", setting).await?;
    let admin = admin(&stage).await?;
    let phone = Baresip::start(stage.folder.path(), "9196", at, "21400-21449", ";answermode=auto").await?;
    until(&admin, "/api/v1/trunks", |seen| trunk(seen, "echo")["state"] == "up").await?;

    let path = "/api/v1/trunks/echo/test-call";
    let begun = admin.send(Method::POST, path, None).await?;
    assert_eq!(begun.status, 202, "{begun:?}");
    let test = until(&admin, path, |seen| seen["result"].is_string()).await?;
    let words: Vec<&str> = test["steps"].as_array().context("steps")?.iter().map(|step| text(step, "/text")).collect();
    assert_eq!(test["result"], "good", "{words:#?}");
    assert!(words.iter().any(|words| words.starts_with("It was answered: codec PCM")), "{words:#?}");
    assert!(words.iter().any(|words| words.starts_with("Sound came: ")), "{words:#?}");
    phone.says("session closed").await?;
    println!("{words:#?}");

    let refused = admin.send(Method::POST, "/api/v1/trunks/nobody/test-call", None).await?;
    assert_eq!(refused.problem(), (409, "unknown_trunk".to_owned()));
    by_command_line(&stage).await?;
    stage.passed();
    Ok(())
}
