//! PJSIP on both sides: keys by each way that it can send them, hold, transfer, TLS with SRTP.

use crate::baresip::{CARD, WAIT_MAX, loud_ms};
use crate::decoders::{Read, decode};
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone};
use crate::tools::{Background, file_says, python};
use anyhow::Context;
use lab::desk::{Desk, text};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::{Duration, Instant};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/pjsip_phone.py");
/// RTP ports of a phone.
const PORTS: u16 = 20;
/// Keys of a card take PJSIP seconds, one by one.
const KEYED_MAX: Duration = Duration::from_secs(40);

/// A running PJSIP.
pub struct Pjsip {
    folder: PathBuf,
    orders: ChildStdin,
    obeyed: usize,
    process: Background,
}

impl Pjsip {
    pub async fn start(
        stage: &Stage,
        user: &str,
        sip: SocketAddr,
        first_rtp: u16,
        [transport, sound]: [&str; 2],
    ) -> anyhow::Result<Self> {
        let folder = stage.folder.path().join(user);
        std::fs::create_dir(&folder)?;
        let mut command = Command::new(python("python"));
        command.args([PROGRAM, user, &sip.port().to_string(), &first_rtp.to_string(), &PORTS.to_string()]);
        command.arg(&folder).args([transport, sound]);
        let log = folder.join("log");
        let (process, orders) = Background::start_told(&mut command, &log)?;
        file_says(&log, "ready\n", WAIT_MAX).await?;
        Ok(Self { folder, orders, obeyed: 0, process })
    }

    /// Tells it what to do and waits until it has begun, or, with keys, has done it.
    pub async fn order(&mut self, order: &str) -> anyhow::Result<()> {
        writeln!(self.orders, "{order}")?;
        self.obeyed += 1;
        let until = Instant::now() + KEYED_MAX;
        while self.log()?.matches("\ndone ").count() < self.obeyed {
            anyhow::ensure!(Instant::now() < until, "PJSIP does not obey “{order}”:\n{}", self.log()?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    pub fn log(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(self.folder.join("log"))?).into_owned())
    }

    pub async fn says(&self, words: &str) -> anyhow::Result<String> {
        file_says(&self.folder.join("log"), words, WAIT_MAX).await
    }

    /// Says so for the given time.
    pub async fn says_times(&self, words: &str, times: usize) -> anyhow::Result<()> {
        let until = Instant::now() + WAIT_MAX;
        while self.log()?.matches(words).count() < times {
            anyhow::ensure!(Instant::now() < until, "“{words}” not {times} times:\n{}", self.log()?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Its end makes the file of what it heard whole.
    pub async fn quit(mut self) -> anyhow::Result<PathBuf> {
        writeln!(self.orders, "quit")?;
        self.process.ended(WAIT_MAX).await?;
        Ok(self.folder.join("heard.wav"))
    }
}

fn route(caller: SocketAddr, agent: SocketAddr) -> Route {
    Route { extension: "1001".to_owned(), caller, agent }
}

fn setting(first_port: u16, route: Route) -> Setting {
    Setting { ports: (first_port, first_port + 79), ..Setting::new(0, vec![route]) }
}

/// Secures the line, keys a card this way and takes the money.
async fn pay(desk: &Desk, call: &str, caller: &mut Pjsip, way: &str) -> anyhow::Result<()> {
    let payment = desk.start_payment(call, 4200, "GBP").await?;
    desk.line(call, "secure").await?;
    for keys in CARD {
        caller.order(&format!("{way} {keys}")).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.with_context(|| format!("keying by {way}"))?;
    let paid = authorize(desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    Ok(())
}

/// Neither decoder hears a key in what the agent's phone heard, and the other side's hum is there.
async fn agent_heard_no_key(heard: &Path) -> anyhow::Result<()> {
    assert_eq!(decode(heard).await?, Read { multimon: String::new(), spandsp: String::new() });
    let hum = loud_ms(&heard.with_extension("8k.raw"))?;
    anyhow::ensure!(hum > 2000, "the caller's hum was heard for {hum} ms only");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pjsip_caller_pays_by_rtp_events_after_a_hold() -> anyhow::Result<()> {
    let (caller_at, agent_at) = (free_phone()?, free_phone()?);
    let stage = Stage::start("pjsip-events", setting(20_000, route(caller_at, agent_at))).await?;
    let mut caller = Pjsip::start(&stage, "caller", caller_at, 20_080, ["udp", "plain"]).await?;
    let mut agent = Pjsip::start(&stage, "1001", agent_at, 20_100, ["udp", "plain"]).await?;
    let desk = stage.desk("1001").await?;
    caller.order(&format!("dial sip:02079460018@{}", stage.sip)).await?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    caller.order("rfc2833 9").await?;
    agent.says("heard 9").await.context("a key on the open line")?;
    agent.order("hold").await?;
    desk.wait_for_call("held", WAIT_MAX).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    agent.order("unhold").await?;
    desk.wait_for_call("talking", WAIT_MAX).await?;
    agent.says_times("media active", 2).await?;

    pay(&desk, &call, &mut caller, "rfc2833").await?;
    caller.order("hangup").await?;
    let log = agent.says("state DISCONNECTED").await?;
    assert_eq!(log.matches("heard ").count(), 1, "the agent's phone tells of more than the open key:\n{log}");
    caller.quit().await?;
    agent_heard_no_key(&agent.quit().await?).await?;
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pjsip_caller_pays_by_info() -> anyhow::Result<()> {
    let (caller_at, agent_at) = (free_phone()?, free_phone()?);
    let stage = Stage::start("pjsip-info", setting(20_200, route(caller_at, agent_at))).await?;
    let mut caller = Pjsip::start(&stage, "caller", caller_at, 20_280, ["udp", "plain"]).await?;
    let agent = Pjsip::start(&stage, "1001", agent_at, 20_300, ["udp", "plain"]).await?;
    let desk = stage.desk("1001").await?;
    caller.order(&format!("dial sip:02079460018@{}", stage.sip)).await?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    caller.order("info 9").await?;
    agent.says("heard 9").await.context("a key on the open line")?;
    pay(&desk, &call, &mut caller, "info").await?;
    caller.order("hangup").await?;
    let log = agent.says("state DISCONNECTED").await?;
    assert_eq!(log.matches("heard ").count(), 1, "the agent's phone tells of more than the open key:\n{log}");
    caller.quit().await?;
    agent_heard_no_key(&agent.quit().await?).await?;
    stage.passed();
    Ok(())
}

/// Everything protected: SIP in TLS with certificates on both sides, sound in SRTP, keys in the sound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pjsip_caller_pays_by_tones_through_tls_and_srtp() -> anyhow::Result<()> {
    let (caller_at, agent_at) = (free_phone()?, free_phone()?);
    let setting =
        Setting { transport: "tls", srtp: ("required", "required"), ..setting(20_400, route(caller_at, agent_at)) };
    let stage = Stage::start("pjsip-tls", setting).await?;
    let mut caller = Pjsip::start(&stage, "caller", caller_at, 20_480, ["tls", "srtp"]).await?;
    let agent = Pjsip::start(&stage, "1001", agent_at, 20_500, ["tls", "srtp"]).await?;
    let desk = stage.desk("1001").await?;
    caller.order(&format!("dial sip:02079460018@{};transport=tls", stage.sip)).await?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    pay(&desk, &call, &mut caller, "tones").await?;
    caller.order("hangup").await?;
    agent.says("state DISCONNECTED").await?;
    let own = caller.quit().await?;
    anyhow::ensure!(std::fs::metadata(own)?.len() > 60_000, "the caller's phone heard too little");
    agent_heard_no_key(&agent.quit().await?).await?;
    stage.passed();
    Ok(())
}

/// The agent has keyed nothing wrong, but another one must finish: the caller does not key the card again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pjsip_agent_transfers_a_secured_call_and_the_card_stays_keyed() -> anyhow::Result<()> {
    let (caller_at, agents) = (free_phone()?, free_phone()?);
    let stage = Stage::start("pjsip-transfer", setting(20_600, route(caller_at, agents))).await?;
    let mut caller = Pjsip::start(&stage, "caller", caller_at, 20_680, ["udp", "plain"]).await?;
    let mut agent = Pjsip::start(&stage, "1001", agents, 20_700, ["udp", "plain"]).await?;
    let desk = stage.desk("1001").await?;
    caller.order(&format!("dial sip:02079460018@{}", stage.sip)).await?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    caller.order(&format!("rfc2833 {}", CARD[0])).await?;
    // The same phone has another line; it stands for a colleague's.
    agent.order(&format!("transfer sip:1001@{}", stage.sip)).await?;
    agent.says("transfer 200").await.context("the transfer")?;
    for keys in &CARD[1..] {
        caller.order(&format!("rfc2833 {keys}")).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the rest of the card")?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    caller.order("hangup").await?;
    caller.quit().await?;
    agent.quit().await?;
    stage.passed();
    Ok(())
}
