//! Linphone on both sides, in the clear and protected, and its transfers.

use crate::baresip::{CARD, WAIT_MAX, loud_ms};
use crate::decoders::{Read, decode, write_wav};
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone};
use crate::tools::{Background, file_says};
use anyhow::Context;
use lab::desk::{text, wait_for};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdin, Command};
use std::time::Duration;

const BETWEEN_KEYS: Duration = Duration::from_millis(300);
/// A minute at 8 kHz.
const HUM_SAMPLES: u32 = 480_000;

/// A running `linphonec`.
struct Linphone {
    folder: PathBuf,
    orders: ChildStdin,
    process: Background,
}

impl Linphone {
    /// `first_rtp` begins twenty ports; `sip_lines` are added to that part of its configuration.
    async fn start(
        stage: &Stage,
        user: &str,
        sip: SocketAddr,
        first_rtp: u16,
        sip_lines: &str,
    ) -> anyhow::Result<Self> {
        let folder = stage.folder.path().join(user);
        // It wants a place for its database.
        std::fs::create_dir_all(folder.join(".local/share/linphone"))?;
        let file = folder.join("linphonerc");
        std::fs::write(
            &file,
            format!(
                "[sip]\nsip_port={}\nsip_tcp_port=0\nsip_tls_port=0\nguess_hostname=0\ncontact=\"{user}\" <sip:{user}@{sip}>\n\
                 register_only_when_network_is_up=0\nauto_net_state_mon=0\nuse_info=0\nuse_rfc2833=1\n\
                 bind_address=127.0.0.1\nipv6_migration_done=1\nuse_ipv6=0\n{sip_lines}\n[rtp]\nbind_address=127.0.0.1\naudio_rtp_port={first_rtp}-{}\n[video]\nenabled=0\n",
                sip.port(),
                first_rtp + 19
            ),
        )?;
        let hum = |index: u32| ((f64::from(index) * 0.3).sin() * 600.0) as i16;
        let hum_file = folder.join("hum.wav");
        write_wav(&hum_file, &(0..HUM_SAMPLES).map(hum).collect::<Vec<_>>())?;
        let mut command = Command::new("linphonec");
        command
            .env("HOME", &folder)
            .args(["-a", "-d", "4", "-c"])
            .arg(&file)
            .arg("-l")
            .arg(folder.join("linphone.log"));
        let log = folder.join("log");
        let (process, orders) = Background::start_told(&mut command, &log)?;
        file_says(&log, "linphonec>", WAIT_MAX).await?;
        let mut phone = Self { folder, orders, process };
        phone.order("soundcard use files")?;
        phone.order(&format!("play {}", hum_file.display()))?;
        phone.order(&format!("record {}", phone.heard().display()))?;
        file_says(&log, "record ", WAIT_MAX).await?;
        Ok(phone)
    }

    fn order(&mut self, order: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.orders, "{order}")?)
    }

    async fn key(&mut self, keys: &str) -> anyhow::Result<()> {
        for key in keys.chars() {
            self.order(&key.to_string())?;
            tokio::time::sleep(BETWEEN_KEYS).await;
        }
        Ok(())
    }

    async fn says(&self, words: &str) -> anyhow::Result<String> {
        file_says(&self.folder.join("log"), words, WAIT_MAX).await
    }

    fn heard(&self) -> PathBuf {
        self.folder.join("heard.wav")
    }

    async fn quit(mut self) -> anyhow::Result<PathBuf> {
        self.order("quit")?;
        self.process.ended(WAIT_MAX).await?;
        Ok(self.heard())
    }
}

async fn pays(name: &str, first_port: u16, srtp: &'static str, sip_lines: &str) -> anyhow::Result<()> {
    let (caller_at, agent_at) = (free_phone()?, free_phone()?);
    let route = Route { extension: "1001".to_owned(), caller: caller_at, agent: agent_at };
    let setting = Setting { ports: (first_port, first_port + 39), srtp: (srtp, srtp), ..Setting::new(0, vec![route]) };
    let stage = Stage::start(name, setting).await?;
    let mut caller = Linphone::start(&stage, "caller", caller_at, first_port + 40, sip_lines).await?;
    let mut agent = Linphone::start(&stage, "1001", agent_at, first_port + 60, sip_lines).await?;
    let desk = stage.desk("1001").await?;
    caller.order(&format!("call sip:02079460018@{}", stage.sip))?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    caller.says("Media streams established").await?;
    caller.key("9").await?;
    agent.says("Receiving tone 9").await.context("a key on the open line")?;
    agent.order("pause")?;
    desk.wait_for_call("held", WAIT_MAX).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    agent.order("resume")?;
    desk.wait_for_call("talking", WAIT_MAX).await?;

    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    for keys in CARD {
        caller.key(keys).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    caller.order("terminate")?;
    let log = agent.says("ended (").await?;
    assert_eq!(log.matches("Receiving tone").count(), 1, "the agent's phone tells of more than the open key:\n{log}");
    caller.quit().await?;
    let heard = agent.quit().await?;
    assert_eq!(decode(&heard).await?, Read { multimon: String::new(), spandsp: String::new() });
    let hum = loud_ms(&heard.with_extension("8k.raw"))?;
    anyhow::ensure!(hum > 2000, "the caller's hum was heard for {hum} ms only");
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linphone_caller_pays_a_linphone_agent_after_a_hold() -> anyhow::Result<()> {
    pays("linphone", 20_800, "off", "").await
}

/// Its keys for SRTP travel in SDP, as with baresip and PJSIP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_linphone_caller_pays_a_protected_linphone_agent_after_a_hold() -> anyhow::Result<()> {
    pays("linphone-srtp", 20_900, "required", "media_encryption=srtp\nmedia_encryption_mandatory=1\n").await
}

/// An agent with a secured call, whose caller has keyed a card number, gives it to a colleague; the rest is keyed then.
async fn transfers(name: &str, first_port: u16, is_attended: bool) -> anyhow::Result<()> {
    let (caller_at, agent_at, colleague_at) = (free_phone()?, free_phone()?, free_phone()?);
    let route = Route { extension: "1001".to_owned(), caller: caller_at, agent: agent_at };
    let more = format!(
        "\n[[trunk]]\nname = \"colleague\"\naddress = \"{colleague_at}\"\n\n\
         [[route]]\nfrom = \"pbx1001\"\nto = \"colleague\"\nprefix = \"1002\"\n"
    );
    let setting = Setting { ports: (first_port, first_port + 39), more, ..Setting::new(0, vec![route]) };
    let stage = Stage::start(name, setting).await?;
    let mut caller = Linphone::start(&stage, "caller", caller_at, first_port + 40, "").await?;
    let mut agent = Linphone::start(&stage, "1001", agent_at, first_port + 60, "").await?;
    let colleague = Linphone::start(&stage, "1002", colleague_at, first_port + 80, "").await?;
    let (desk, other_desk) = (stage.desk("1001").await?, stage.colleague("1002").await?);
    caller.order(&format!("call sip:02079460018@{}", stage.sip))?;
    let call = text(&desk.wait_for_call("talking", WAIT_MAX).await?, "/call").to_owned();
    caller.says("Media streams established").await?;
    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    caller.key(CARD[0]).await?;

    if is_attended {
        agent.order("pause")?;
        desk.wait_for_call("held", WAIT_MAX).await?;
        agent.order(&format!("call sip:1002@{}", stage.sip))?;
        colleague.says("Media streams established").await.context("the consultation")?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        agent.order("transfer 1 --to-call 2")?;
    } else {
        agent.order(&format!("transfer sip:1002@{}", stage.sip))?;
    }
    wait_for(WAIT_MAX, "the payment at the colleague's desk", async || Ok(other_desk.payment(&payment).await.ok()))
        .await?;
    agent.says("ended (").await.context("the first leg is over")?;
    for keys in &CARD[1..] {
        caller.key(keys).await?;
    }
    other_desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the rest of the card")?;
    let paid = authorize(&other_desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    other_desk.wait_for_line(&call, "open", WAIT_MAX).await?;
    caller.key("9").await?;
    let log = colleague.says("Receiving tone 9").await.context("a key after the release")?;
    assert_eq!(log.matches("Receiving tone").count(), 1, "the colleague's phone tells of more than that key:\n{log}");
    let told = std::fs::read_to_string(agent.folder.join("linphone.log"))?;
    assert!(told.contains("message/sipfrag"), "NOTIFY of the transfer");
    caller.order("terminate")?;
    colleague.says("ended (").await?;
    caller.quit().await?;
    let nothing = Read { multimon: String::new(), spandsp: String::new() };
    assert_eq!(decode(&agent.quit().await?).await?, nothing);
    colleague.quit().await?;
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linphone_agent_gives_a_secured_call_to_a_colleague() -> anyhow::Result<()> {
    transfers("linphone-blind", 21_400, false).await
}

/// The colleague is asked first, in a call of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linphone_agent_asks_a_colleague_and_then_gives_them_a_secured_call() -> anyhow::Result<()> {
    transfers("linphone-attended", 21_500, true).await
}
