//! Who goes from door to door: sipvicious looks for extensions and guesses passwords, and learns nothing.

use crate::stage::lane::{Lane, authorize, capture, quick};
use crate::stage::{Setting, Stage, free_phone};
use crate::tools::{Said, python, run_command};
use lab::desk::text;
use lab::phone::Transport;
use std::process::Command;
use std::time::Duration;

const CARD: [&str; 3] = ["4242424242424242*", "1235", "123"];
/// Nobody's address.
const STRANGER: &str = "127.0.0.66";
const SCAN_MAX: Duration = Duration::from_secs(60);

async fn scan(stage: &Stage, tool: &str, arguments: &[&str]) -> anyhow::Result<Said> {
    let (port, from) = (stage.sip.port().to_string(), free_phone()?.port().to_string());
    let mut command = Command::new(python(tool));
    // Its sessions and guesses are kept below the home folder.
    command.env("HOME", stage.folder.path()).current_dir(stage.folder.path());
    command.args(["-b", STRANGER, "-x", STRANGER, "-p", &port, "-P", &from, "--maximumtime", "3", "-t", "0.003"]);
    command.args(arguments).arg("127.0.0.1");
    run_command(&mut command, SCAN_MAX).await
}

/// 1001 is an extension that has a desk and a phone; 1000 and 1002 are not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scanner_finds_no_extension_and_no_password_while_a_caller_pays() -> anyhow::Result<()> {
    let mut lane = Lane::new("1001").await?;
    let setting = Setting { ports: (21_000, 21_079), ..Setting::new(0, vec![lane.route().await?]) };
    let stage = Stage::start("sipvicious", setting).await?;
    let desk = stage.desk("1001").await?;
    let call = lane.connect(&stage, &desk).await?;

    for method in ["REGISTER", "OPTIONS", "INVITE"] {
        let said = scan(&stage, "sipvicious_svwar", &["-m", method, "-e", "995-1010", "--force"]).await?;
        let all = said.all();
        assert!(all.contains("found nothing"), "{method} tells which extensions there are:\n{all}");
    }
    std::fs::write(stage.folder.join("words"), "1001\npassword\nsecret\ntonewall\n")?;
    let said = scan(&stage, "sipvicious_svcrack", &["-u", "1001", "-d", "words"]).await?;
    assert!(!said.all().contains("| 1001"), "a password was found:\n{}", said.all());

    let payment = capture(&lane, &desk, &call, 4200, &CARD, quick(Transport::Events)).await?;
    assert_eq!(text(&authorize(&desk, &payment).await?, "/state"), "approved");
    assert_eq!(desk.calls().await?.len(), 1, "no scanner has placed a call");
    stage.passed();
    Ok(())
}
