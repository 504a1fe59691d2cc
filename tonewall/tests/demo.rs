//! The demo as a user runs it: one JSON line, nothing on the agent's leg, and other people's decoders to say so too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn tonewall() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tonewall"))
}

/// Plays one call with the keys travelling by this way; returns the one line.
fn once(keys: &str) -> Value {
    let output = tonewall().args(["demo", "--once", "--headless", "--keys", keys]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{why}");
    assert_eq!(said.lines().count(), 1, "exactly one line: {said}");
    serde_json::from_str(&said).unwrap()
}

fn is_approved_and_silent(report: &Value) {
    assert_eq!(report["outcome"], "approved");
    assert_eq!(report["agent_leg_digits"], "");
    assert_eq!(report["agent_leg_other_packets"], 0, "no event, no INFO, nothing strange");
    assert_eq!(report["card"]["brand"], "visa");
    assert_eq!(report["card"]["last4"], "4242");
    assert!(!report["auth_code"].as_str().unwrap().is_empty());
    let recording = Path::new(report["recording"].as_str().unwrap());
    assert_eq!(multimon(recording), "", "multimon-ng reads no digit in the recording");
    std::fs::remove_dir_all(recording.parent().unwrap().parent().unwrap()).unwrap();
}

/// The digits that multimon-ng reads in a WAV file, both channels mixed.
fn multimon(wav: &Path) -> String {
    let mut sox = Command::new("sox")
        .arg(wav)
        .args(["-t", "raw", "-e", "signed-integer", "-b", "16", "-r", "22050", "-c", "1", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("sox is installed (cargo xtask setup)");
    let output = Command::new("multimon-ng")
        .args(["-q", "-t", "raw", "-a", "DTMF", "-"])
        .stdin(sox.stdout.take().unwrap())
        .output()
        .expect("multimon-ng is installed (cargo xtask setup)");
    assert!(sox.wait().unwrap().success());
    String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.strip_prefix("DTMF: ")).collect()
}

#[test]
fn a_card_keyed_by_events_is_charged_and_never_heard() {
    is_approved_and_silent(&once("events"));
}

#[test]
fn a_card_keyed_by_info_is_charged_and_never_heard() {
    is_approved_and_silent(&once("info"));
}

#[test]
fn a_card_keyed_by_tones_in_the_sound_is_charged_and_never_heard() {
    is_approved_and_silent(&once("tones"));
}

#[test]
fn a_key_that_comes_by_both_ways_counts_once() {
    is_approved_and_silent(&once("both"));
}

#[test]
fn multimon_does_read_digits_where_there_are_some() {
    let wav = std::env::temp_dir().join(format!("tonewall-control-{}.wav", std::process::id()));
    let tones = "synth 0.1 sine 770 sine 1336 remix 1-2 pad 0 0.1";
    let made = Command::new("sox").args(["-n", "-r", "8000", "-b", "16"]).arg(&wav).args(tones.split(' ')).status();
    assert!(made.unwrap().success());
    assert_eq!(multimon(&wav), "5");
    std::fs::remove_file(wav).unwrap();
}

#[test]
fn an_unknown_key_in_the_configuration_is_refused_with_its_line() {
    let folder = std::env::temp_dir().join(format!("tonewall-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("cde.toml"), "[sip]\nlissten = 1\n").unwrap();
    let output = tonewall().args(["check", "--config"]).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("line 2") && said.contains("lissten"), "{said}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// What `check` says of a folder, and whether it is good.
fn check(folder: &Path) -> (bool, String) {
    let output = tonewall().args(["check", "--config"]).arg(folder).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[test]
fn a_configuration_is_usable_only_if_it_is_there_and_fits_together() {
    let folder = std::env::temp_dir().join(format!("tonewall-together-{}", std::process::id()));
    let (good, said) = check(&folder);
    assert!(!good && said.contains("there is no such folder"), "{said}");
    std::fs::create_dir_all(&folder).unwrap();
    let trunk = "[[trunk]]\nname = \"carrier\"\naddress = \"198.51.100.7\"\n";
    let gateway = "[[gateway]]\nname = \"sandbox\"\nkind = \"sandbox\"\nurl = \"http://127.0.0.1:9090\"\n";
    let merchant = "[[merchant]]\nid = \"shop\"\ngateway = \"sandbox\"\n";
    std::fs::write(folder.join("cde.toml"), format!("{trunk}{gateway}{merchant}")).unwrap();
    std::fs::write(folder.join("office.toml"), "currency = \"EUR\"\nmerchant = \"main\"\n").unwrap();
    let (good, said) = check(&folder);
    assert!(!good && said.contains("office.toml, line 2") && said.contains("it has shop"), "{said}");
    std::fs::write(folder.join("office.toml"), "merchant = \"shop\"\n").unwrap();
    let (good, said) = check(&folder);
    assert!(good && said.contains("trunk carrier speaks plain SIP") && said.contains("sound is plain RTP"), "{said}");
    assert!(said.contains("SIP is listened to at udp 127.0.0.1:5060"), "{said}");
    let tls = "[sip]\nlisten_tls = \"127.0.0.1:5061\"\ncertificate = \"sip.pem\"\nprivate_key = \"sip.key\"\n";
    std::fs::write(folder.join("cde.toml"), format!("{tls}{gateway}{merchant}")).unwrap();
    let (good, said) = check(&folder);
    assert!(!good && said.contains("[sip] certificate = ") && said.contains("sip.pem"), "{said}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_sandbox_acquirer_is_there_for_this_machine_alone() {
    let refused = tonewall().args(["lab", "acquirer", "--listen", "0.0.0.0:0"]).output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("only this machine may reach it"));
    let mut command = tonewall();
    let started = command.args(["lab", "acquirer", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = Shown(started);
    let mut line = String::new();
    BufReader::new(shown.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("published test cards only"), "{line}");
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /v1/ledger HTTP/1.1\r\nHost: bank\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("charges"), "{answer}");
}

/// A demo that waits for a browser; ended when dropped.
struct Shown(Child);

impl Drop for Shown {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its own processes; what is left after that is the kernel's.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// A demo, and what it says in its welcome.
fn shown(story: &str) -> (Shown, String) {
    let mut child = tonewall().args(["demo", "--story", story]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let shown = Shown(child);
    let mut said = String::new();
    while !said.contains("Ctrl-C") {
        said += &(lines.next().expect("the demo runs on").unwrap() + "\n");
    }
    // Read on, or the demo would stand still at a full pipe.
    std::thread::spawn(move || lines.count());
    (shown, said)
}

fn word(said: &str, is: impl Fn(&str) -> bool) -> String {
    said.split_whitespace().find(|word| is(word)).expect(said).to_owned()
}

/// An agent takes a call in Chromium by keyboard alone; axe-core looks at every state.
fn browser(story: &str, scenario: &str) {
    let (shown, said) = shown(story);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new("node")
        .arg("e2e/desk.mjs")
        .arg(scenario)
        .arg(root.join("target/screenshots").join(scenario))
        .current_dir(root.join("office/web"))
        .env("TONEWALL_DESK_URL", word(&said, |word| word.contains("token=")))
        .env("TONEWALL_NEVER_SHOWN", "4242424242424242,4242 4242 4242,5555555555554444,4000000000000002")
        .output()
        .unwrap();
    drop(shown);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

#[test]
fn an_agent_takes_a_payment_by_keyboard_alone() {
    browser("approve", "approve");
}

#[test]
fn a_card_is_kept_with_a_payment_and_without_one() {
    browser("approve", "pay-and-keep");
    browser("approve", "keep-only");
}

#[test]
fn a_declined_card_is_followed_by_another() {
    browser("decline", "decline-then-other-card");
}

#[test]
fn an_agent_cancels() {
    browser("approve", "cancel");
}

#[test]
fn while_nobody_knows_whether_money_was_taken_the_desk_takes_none() {
    browser("lost-answer", "lost-answer");
}

#[test]
fn a_caller_hangs_up_while_keying() {
    browser("hang-up", "caller-hangs-up");
}

/// A person is the caller, in Chromium, with its own microphone; nobody else rings meanwhile. The one key that is decoded in
/// what the agent heard is the one of the open line.
fn a_person_pays(way: &str) {
    let (shown, said) = shown("approve");
    let recordings = word(&said, |word| word.ends_with("/recordings"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut person = Command::new("node")
        .args(["e2e/caller.mjs", way])
        .arg(root.join("target/screenshots/caller"))
        .current_dir(root.join("office/web"))
        .env("TONEWALL_DESK_URL", word(&said, |word| word.contains("token=")))
        .env("TONEWALL_PHONE_URL", word(&said, |word| word.starts_with("http://") && word.ends_with('/')))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(person.stdout.take().unwrap()).lines().map_while(Result::ok);
    let again = lines.any(|line| line == "AGAIN");
    // The demo ends in the middle of the second call.
    drop(shown);
    let rest: Vec<String> = lines.collect();
    let output = person.wait_with_output().unwrap();
    assert!(again && output.status.success(), "{rest:?} {}", String::from_utf8_lossy(&output.stderr));
    let files = std::fs::read_dir(&recordings).unwrap().map(|entry| entry.unwrap().path());
    let read: String = files.map(|file| multimon(&file)).collect();
    // A busy browser's tone may have a gap, and be read as two.
    assert!(!read.is_empty() && read.chars().all(|key| key == '9'), "{read}");
    std::fs::remove_dir_all(Path::new(&recordings).parent().unwrap()).unwrap();
}

#[test]
fn a_person_calls_from_a_page_and_pays_by_events() {
    a_person_pays("events");
}

#[test]
fn a_person_calls_from_a_page_and_pays_by_tones() {
    a_person_pays("tones");
}
