//! baresip on both sides: a caller who keys a card by RFC 4733, and an agent's phone that answers by itself.

use crate::decoders::{Read, decode, write_wav};
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone, free_tcp};
use crate::tools::{Background, file_says};
use anyhow::Context;
use lab::desk::{Desk, text};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, sink};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

pub const WAIT_MAX: Duration = Duration::from_secs(20);
const BETWEEN_KEYS: Duration = Duration::from_millis(150);
pub const CARD: [&str; 3] = ["4242424242424242*", "1235", "123"];
/// A minute at 8 kHz.
const HUM_SAMPLES: u32 = 480_000;

/// A running baresip.
pub struct Baresip {
    folder: PathBuf,
    orders: OwnedWriteHalf,
    _process: Background,
}

impl Baresip {
    /// `account` is added to its line in the accounts, `rtp_ports` to its configuration.
    pub async fn start(
        stage: &Path,
        user: &str,
        sip: SocketAddr,
        rtp_ports: &str,
        account: &str,
    ) -> anyhow::Result<Self> {
        let transport = if is_encrypted(stage) { ";transport=tls" } else { "" };
        let line = format!("<sip:{user}@{sip}{transport}>;regint=0{account}");
        Self::with(stage, user, sip, rtp_ports, &line).await
    }

    /// The same with its whole line in the accounts.
    pub async fn with(stage: &Path, user: &str, sip: SocketAddr, rtp_ports: &str, line: &str) -> anyhow::Result<Self> {
        let folder = stage.join(user);
        std::fs::create_dir(&folder)?;
        let orders = free_tcp()?;
        std::fs::write(folder.join("config"), config(&folder, stage, sip, orders, rtp_ports))?;
        std::fs::write(folder.join("accounts"), format!("{line}\n"))?;
        // This version has no source of sound at 8 kHz but a file.
        let hum = |index: u32| ((f64::from(index) * 0.3).sin() * 600.0) as i16;
        write_wav(&folder.join("hum.wav"), &(0..HUM_SAMPLES).map(hum).collect::<Vec<_>>())?;
        let log = folder.join("log");
        let process = Background::start(Command::new("baresip").arg("-v").arg("-f").arg(&folder), &log)?;
        file_says(&log, "baresip is ready", WAIT_MAX).await?;
        let (mut answers, orders) = TcpStream::connect(orders).await.context("baresip's ctrl_tcp")?.into_split();
        // Its log tells what we want to know; the answers only have to be taken.
        tokio::spawn(async move { tokio::io::copy(&mut answers, &mut sink()).await });
        Ok(Self { folder, orders, _process: process })
    }

    /// Orders are JSON in netstrings.
    pub async fn order(&mut self, command: &str, parameters: &str) -> anyhow::Result<()> {
        let order = json!({"command": command, "params": parameters}).to_string();
        Ok(self.orders.write_all(format!("{}:{order},", order.len()).as_bytes()).await?)
    }

    /// Presses keys one after the other, as a person does.
    pub async fn key(&mut self, keys: &str) -> anyhow::Result<()> {
        for key in keys.chars() {
            self.order("sndcode", &key.to_string()).await?;
            tokio::time::sleep(BETWEEN_KEYS).await;
        }
        Ok(())
    }

    pub async fn says(&self, words: &str) -> anyhow::Result<String> {
        file_says(&self.folder.join("log"), words, WAIT_MAX).await
    }

    pub fn log(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(self.folder.join("log"))?).into_owned())
    }

    /// What it heard: a WAV file that its `sndfile` module has written.
    pub fn heard(&self) -> anyhow::Result<PathBuf> {
        let files = std::fs::read_dir(&self.folder)?.flatten().map(|entry| entry.path());
        let mut heard = files.filter(|file| file.to_string_lossy().ends_with("-dec.wav"));
        heard.next().context("baresip has recorded nothing")
    }
}

/// Whether the stage has certificates.
fn is_encrypted(stage: &Path) -> bool {
    stage.join("both.pem").exists()
}

fn config(folder: &Path, stage: &Path, sip: SocketAddr, orders: SocketAddr, rtp_ports: &str) -> String {
    let folder = folder.display();
    let stage_files = format!("sip_certificate {0}/both.pem\nsip_cafile {0}/ca.pem\n", stage.display());
    let files = if is_encrypted(stage) { stage_files } else { String::new() };
    // Accounts may name what the modules before have brought.
    let modules =
        ["g711", "g722", "opus", "srtp", "account", "aufile", "aubridge", "menu", "uuid", "sndfile", "ctrl_tcp"];
    let modules: String = modules.iter().map(|name| format!("module {name}.so\n")).collect();
    format!(
        "sip_listen {sip}\nnet_interface 127.0.0.1\nrtp_ports {rtp_ports}\nmodule_path /usr/lib/baresip/modules\n\
         {modules}ctrl_tcp_listen {orders}\naudio_source aufile,{folder}/hum.wav\naudio_player aubridge,ear\n\
         audio_alert aubridge,ear\nausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
         snd_path {folder}\n{files}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_baresip_caller_pays_a_baresip_agent() -> anyhow::Result<()> {
    pays(
        "baresip",
        "udp",
        (free_phone()?, free_phone()?),
        3,
        ["10400-10449", "10450-10499"],
        ["pcmu/8000/1", "pcmu/8000/1"],
    )
    .await
}

/// Each shows its certificate and asks for the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_baresip_caller_pays_a_baresip_agent_over_tls() -> anyhow::Result<()> {
    pays(
        "baresip-tls",
        "tls",
        (free_phone()?, free_phone()?),
        30,
        ["13100-13149", "13150-13199"],
        ["pcmu/8000/1", "pcmu/8000/1"],
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_baresip_caller_pays_a_baresip_agent_in_g722() -> anyhow::Result<()> {
    pays(
        "baresip-g722",
        "udp",
        (free_phone()?, free_phone()?),
        45,
        ["14600-14649", "14650-14699"],
        ["g722/16000/1", "g722/16000/1"],
    )
    .await
}

/// Neither phone knows the other's codec.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_baresip_caller_in_g722_pays_an_agent_in_g711() -> anyhow::Result<()> {
    pays(
        "baresip-mixed",
        "udp",
        (free_phone()?, free_phone()?),
        47,
        ["14800-14849", "14850-14899"],
        ["g722/16000/1", "pcma/8000/1"],
    )
    .await
}

/// Of libopus 1.3.1 in Debian: speech modes, two channels in name, events of 48 kHz.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_baresip_caller_pays_a_baresip_agent_in_opus() -> anyhow::Result<()> {
    pays(
        "baresip-opus",
        "udp",
        (free_phone()?, free_phone()?),
        48,
        ["15000-15049", "15050-15099"],
        ["opus/48000/2", "opus/48000/2"],
    )
    .await
}

/// Neither phone knows the other's codec, nor the clock of its events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_baresip_caller_in_g711_pays_an_agent_in_opus() -> anyhow::Result<()> {
    pays(
        "baresip-opus-mixed",
        "udp",
        (free_phone()?, free_phone()?),
        49,
        ["15100-15149", "15150-15199"],
        ["pcmu/8000/1", "opus/48000/2"],
    )
    .await
}

/// Who talk already: a key on the open line reaches the agent's phone, then a card is keyed on a secured one and paid with.
pub(crate) async fn key_and_pay(desk: &Desk, caller: &mut Baresip, agent: &mut Baresip) -> anyhow::Result<()> {
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    caller.key("9").await?;
    agent.says("received event: '9'").await.context("a key on the open line")?;
    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    for keys in CARD {
        caller.key(keys).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    Ok(())
}

async fn pays(
    name: &str,
    transport: &'static str,
    (caller, agent): (SocketAddr, SocketAddr),
    slot: u16,
    sound: [&str; 2],
    codecs: [&str; 2],
) -> anyhow::Result<()> {
    // Its TLS is at the port after the others'.
    let up = u16::from(transport == "tls");
    let trunk = |at: SocketAddr| SocketAddr::new(at.ip(), at.port() + up);
    let route = Route { extension: "1001".to_owned(), caller: trunk(caller), agent: trunk(agent) };
    let stage = Stage::start(name, Setting { transport, ..Setting::new(slot, vec![route]) }).await?;
    let folder = stage.folder.path();
    let account = format!(";dtmfmode=rtpevent;audio_codecs={}", codecs[0]);
    let mut caller = Baresip::start(folder, "caller", caller, sound[0], &account).await?;
    let account = format!(";answermode=auto;audio_codecs={}", codecs[1]);
    let mut agent = Baresip::start(folder, "1001", agent, sound[1], &account).await?;
    let desk = stage.desk("1001").await?;

    caller.order("dial", &format!("sip:02079460018@{};transport={transport}", stage.sip)).await?;
    caller.says("Call established").await.context("calling")?;
    key_and_pay(&desk, &mut caller, &mut agent).await?;
    assert_eq!(stage.ledger().await?.len(), 1);

    caller.order("hangup", "").await?;
    let log = agent.says("session closed").await?;
    let events = log.lines().filter(|line| line.contains("received event")).count();
    assert!((1..=2).contains(&events), "the agent's phone tells of more than the one open key:\n{log}");
    agent.order("quit", "").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let nothing = Read { multimon: String::new(), spandsp: String::new() };
    for (phone, codec) in [&caller, &agent].into_iter().zip(codecs) {
        let log = phone.log()?.to_lowercase();
        let (codec, _) = codec.split_once('/').unwrap();
        assert!(
            log.contains(&format!("audio encoder: {codec}")) && log.contains(&format!("audio decoder: {codec}")),
            "{log}"
        );
        let heard = phone.heard()?;
        assert!(std::fs::metadata(&heard)?.len() > 60_000, "a phone heard too little to judge");
        assert_eq!(decode(&heard).await?, nothing);
        let hum = loud_ms(&heard.with_extension("8k.raw"))?;
        assert!(hum > 3000, "{codec}: the other side's hum was heard for {hum} ms only");
    }
    stage.passed();
    Ok(())
}

/// How many milliseconds of raw sound are as loud as the hum, or louder.
pub fn loud_ms(raw: &Path) -> anyhow::Result<usize> {
    let bytes = std::fs::read(raw)?;
    let samples: Vec<i16> = bytes.as_chunks().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect();
    Ok(samples.chunks(160).filter(|frame| frame.iter().any(|sample| sample.abs() > 400)).count() * 20)
}
