//! JsSIP in headless Chromium: an agent who sits in a browser, and a caller who pays from one.

mod sound;
mod transfers;

use crate::capture::Capture;
use crate::decoders::{Read, assert_only_nines, decode, write_wav};
use crate::stage::lane::{authorize, phone, quick};
use crate::stage::{PAGE_PASSWORD, Page, Route, Setting, Stage, free_udp};
use crate::tools::{file_says, must};
use anyhow::Context;
use lab::desk::text;
use lab::phone::{Event, Phone, Transport};
use serde_json::Value;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// Chromium takes its time to start on a machine that is busy.
const WAIT_MAX: Duration = Duration::from_secs(60);
const KEYS_MAX: Duration = Duration::from_secs(60);
const CARD: [&str; 3] = ["4242424242424242*", "1235", "123"];

/// A telephone in a page. It is ended when dropped.
pub struct Browser {
    child: Child,
    orders: ChildStdin,
    log: PathBuf,
}

impl Browser {
    /// One that has signed in.
    pub async fn start(folder: &Path, url: &str, user: &str) -> anyhow::Result<Self> {
        Self::with(folder, url, user, &[]).await
    }

    /// The same with variables of its environment.
    async fn with(folder: &Path, url: &str, user: &str, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
        let log = folder.join(format!("page-{user}.log"));
        let file = std::fs::File::create(&log)?;
        let mut command = Command::new("node");
        command.args(["e2e/phone.mjs", url, user]).current_dir(root.join("office/web"));
        command.env("TONEWALL_PHONE_PASSWORD", PAGE_PASSWORD).envs(more.iter().copied());
        let command = command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let mut child = command.spawn().context("node is installed (cargo xtask setup)")?;
        let orders = child.stdin.take().context("its input")?;
        let browser = Self { child, orders, log };
        browser.says("\"registered\"").await?;
        Ok(browser)
    }

    pub fn order(&mut self, order: &str) -> anyhow::Result<()> {
        writeln!(self.orders, "{order}")?;
        Ok(self.orders.flush()?)
    }

    pub async fn says(&self, words: &str) -> anyhow::Result<String> {
        file_says(&self.log, words, WAIT_MAX).await
    }

    /// How often it has said so.
    fn count(&self, words: &str) -> anyhow::Result<usize> {
        Ok(std::fs::read_to_string(&self.log)?.matches(words).count())
    }

    /// What the browser says of its connection now.
    pub async fn stats(&mut self) -> anyhow::Result<Value> {
        self.answer("stats", "\"stats\"").await
    }

    /// Orders something, and waits for what it says of it.
    async fn answer(&mut self, order: &str, says: &str) -> anyhow::Result<Value> {
        let before = self.count(says)?;
        self.order(order)?;
        for _ in 0..WAIT_MAX.as_millis() / 50 {
            if self.count(says)? > before {
                let said = std::fs::read_to_string(&self.log)?;
                let line = said.lines().rev().find(|line| line.contains(says)).context("no answer")?;
                return Ok(serde_json::from_str(line)?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("no answer to {order}: {}", std::fs::read_to_string(&self.log)?)
    }

    /// All that it has heard, as a WAV file of 8 kHz.
    pub async fn heard(&mut self, wav: &Path) -> anyhow::Result<()> {
        self.answer(&format!("heard {}", wav.display()), "\"heard\"").await?;
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It closes its Chromium when there are no more orders.
        let _ = writeln!(self.orders, "quit");
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What left for a browser: the payload types of its sound, and how many packets of each. They stand in the clear in SRTP.
async fn payload_types(file: &Path, from: u16) -> anyhow::Result<Vec<(u8, usize)>> {
    let (filter, file) = (format!("udp.srcport == {from}"), file.to_string_lossy());
    let said = must("tshark", &["-r", &file, "-Y", &filter, "-T", "fields", "-e", "udp.payload"], WAIT_MAX).await?;
    let mut counts = std::collections::BTreeMap::new();
    for line in said.lines() {
        let byte = |at: usize| line.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let (Some(first), Some(second)) = (byte(0), byte(2)) else { continue };
        if (128..192).contains(&first) && !(192..=223).contains(&second) {
            *counts.entry(second & 0x7f).or_insert(0) += 1;
        }
    }
    Ok(counts.into_iter().collect())
}

fn nothing() -> Read {
    Read { multimon: String::new(), spandsp: String::new() }
}

/// The first key is pressed on the open line, where it must be heard: so the decoders would have heard the others too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_in_a_browser_takes_a_payment_and_gets_no_key_of_it() -> anyhow::Result<()> {
    let caller_rtp = free_udp()?;
    let mut caller = phone("+447700900142", caller_rtp, None).await?;
    let route = Route { extension: "1001".to_owned(), caller: caller.look(Phone::sip).await?, agent: nowhere() };
    let setting = Setting { page: Some(Page::Agent), ..Setting::new(21, vec![route]) };
    let ports = setting.ports;
    let stage = Stage::start("browser-agent", setting).await?;
    let folder = stage.folder.path();
    let mut page = Browser::start(folder, &format!("ws://{}", stage.pages), "1001").await?;
    let desk = stage.desk("1001").await?;
    let capture = Capture::of_ports(folder, "browser", ports).await?;

    caller.call("02079460018", stage.sip).await?;
    caller.wait_for(Event::Established, WAIT_MAX).await.context("calling")?;
    page.says("\"state\":\"connected\"").await.context("DTLS and ICE")?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    let press = quick(Transport::Events);
    tokio::time::sleep(Duration::from_secs(2)).await;
    caller.press("9", press).await?;
    caller.keyed(KEYS_MAX).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    for keys in CARD {
        caller.press(keys, press).await?;
        caller.keyed(KEYS_MAX).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    desk.wait_for_call("talking", WAIT_MAX).await?;

    page.order("hold")?;
    desk.wait_for_call("held", WAIT_MAX).await.context("the page holds")?;
    page.order("unhold")?;
    desk.wait_for_call("talking", WAIT_MAX).await.context("the page goes on")?;
    let before = page.stats().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stats = page.stats().await?;
    let count = |stats: &Value, of: &str| stats[of].as_u64().unwrap_or_default();
    for of in ["received", "sent"] {
        assert!(count(&stats, of) > count(&before, of) + 50, "{of} after the hold: {before} {stats}");
    }
    assert_eq!((stats["codec"].as_str(), stats["dtls"].as_str()), (Some("audio/PCMU"), Some("connected")), "{stats}");

    let heard = stage.folder.join("page.wav");
    page.heard(&heard).await?;
    caller.hang_up().await?;
    page.says("\"ended\"").await.context("the caller hangs up")?;
    assert_only_nines(&decode(&heard).await?);
    if let Some(capture) = capture {
        let file = capture.end().await?;
        let (to_caller, to_agent) = (payload_types(&file, ports.0).await?, payload_types(&file, ports.0 + 2).await?);
        let sound = |types: &[(u8, usize)]| types.iter().find(|(kind, _)| *kind == 0).map_or(0, |(_, count)| *count);
        assert!(sound(&to_agent) > 300 && sound(&to_caller) > 300, "{to_agent:?} {to_caller:?}");
        let events: usize = to_agent.iter().filter(|(kind, _)| *kind != 0).map(|(_, count)| *count).sum();
        assert!((3..=12).contains(&events), "of one key, on the open line: {to_agent:?}");
    }
    let log = stage.log();
    assert!(!log.contains("ice-pwd") && !log.contains(PAGE_PASSWORD), "a password is in the log:\n{log}");
    drop(page);
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_in_a_browser_pays_by_its_keys() -> anyhow::Result<()> {
    let agent_rtp = free_udp()?;
    let agent = phone("1001", agent_rtp, Some(Duration::from_millis(100))).await?;
    let route = Route { extension: "1001".to_owned(), caller: nowhere(), agent: agent.look(Phone::sip).await? };
    let setting = Setting { page: Some(Page::Caller), ..Setting::new(22, vec![route]) };
    let stage = Stage::start("browser-caller", setting).await?;
    let folder = stage.folder.path();
    let mut page = Browser::start(folder, &format!("wss://{}", stage.pages), "customer").await?;
    let desk = stage.desk("1001").await?;
    page.order("dial 02079460018")?;
    page.says("\"state\":\"connected\"").await.context("DTLS and ICE")?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    tokio::time::sleep(Duration::from_secs(1)).await;
    page.order("keys 9")?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let open = agent.look(|phone: &Phone| (phone.ear().keys_by_event(), phone.ear().event_packets())).await?;
    assert_eq!(open.0, "9", "on the open line");

    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    let start = agent.look(|phone: &Phone| phone.ear().samples().len()).await?;
    for (keys, field) in CARD.iter().zip(["pan", "expiry", "cvv"]) {
        page.order(&format!("keys {keys}"))?;
        let pause = Duration::from_millis(u64::try_from(keys.len())? * 200 + 500);
        tokio::time::sleep(pause).await;
        anyhow::ensure!(page.count("\"error\"")? == 0, "{field}: {}", std::fs::read_to_string(&page.log)?);
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let end = agent.look(|phone: &Phone| phone.ear().samples().len()).await?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    let stats = page.stats().await?;
    assert!(stats["received"].as_u64().is_some_and(|count| count > 300), "{stats}");
    page.order("hangup")?;
    page.says("\"ended\"").await?;

    let look = move |phone: &Phone| (phone.ear().samples()[start..end].to_vec(), phone.ear().event_packets());
    let (secured, events) = agent.look(look).await?;
    assert_eq!(events, open.1, "no event reached the agent's phone once the line was secured");
    assert!(secured.len() > 8000, "the agent's phone heard too little to judge");
    let wav = stage.folder.join("agent.wav");
    write_wav(&wav, &secured)?;
    assert_eq!(decode(&wav).await?, nothing());
    drop(page);
    stage.passed();
    Ok(())
}

/// In the place of an address that a page does not have.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}
