//! Kamailio in front, with the configuration that `docs/integrate` offers: phones register with it, calls go through it to
//! Tonewall and come back through it for the agent's phone.

use crate::baresip::Baresip;
use crate::browser::Browser;
use crate::decoders::{Read, assert_only_nines, decode};
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone, free_tcp, free_udp};
use crate::tools::{Background, file_says, must, signal};
use anyhow::Context;
use lab::desk::text;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const WAIT_MAX: Duration = Duration::from_secs(20);
const CARD: [&str; 3] = ["4242424242424242*", "1235", "123"];
const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/integrate/kamailio.cfg");

/// A running Kamailio, which is many processes.
struct Kamailio(Background);

/// Where it listens, and with whom it speaks how.
struct Ways {
    /// The transport between it and Tonewall; phones speak UDP to it.
    hop: &'static str,
    udp: SocketAddr,
    secured: SocketAddr,
    /// For browsers.
    pages: Option<SocketAddr>,
    rtpengine: Option<SocketAddr>,
}

fn define(name: &str, value: &str) -> [String; 2] {
    ["-A".to_owned(), format!("{name}={value}")]
}

impl Kamailio {
    async fn start(stage: &Stage, ways: &Ways) -> anyhow::Result<Self> {
        let (folder, Ways { hop, udp, .. }) = (stage.folder.path(), ways);
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-f", CONFIGURATION, "-Y"]).arg(folder);
        command.args(define("LISTEN", &format!("udp:{udp}")));
        command.args(define("LISTEN_TCP", &format!("tcp:{udp}")));
        command.args(define("TONEWALL", &format!("\"sip:{};transport={hop}\"", stage.sip)));
        command.args(["TONEWALL_IP", "CARRIER_IP"].into_iter().flat_map(|name| define(name, "\"127.0.0.1\"")));
        if let Some(pages) = ways.pages {
            command.args(define("LISTEN_WS", &format!("tcp:{pages}")));
        }
        if let Some(rtpengine) = ways.rtpengine {
            command.args(define("RTPENGINE", &format!("\"udp:{rtpengine}\"")));
        }
        if *hop == "tls" {
            let file = folder.join("kamailio-tls.cfg");
            std::fs::write(&file, tls(folder))?;
            command.args(define("LISTEN_TLS", &format!("tls:{}", ways.secured)));
            command.args(define("TLS_CONFIG", &format!("\"{}\"", file.display())));
        }
        let log = folder.join("kamailio.log");
        let kamailio = Self(Background::start(&mut command, &log)?);
        file_says(&log, "Listening on", WAIT_MAX).await?;
        Ok(kamailio)
    }
}

impl Drop for Kamailio {
    /// Killed, it would leave its children behind.
    fn drop(&mut self) {
        signal("TERM", self.0.pid());
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Both sides show a certificate.
fn tls(folder: &Path) -> String {
    let folder = folder.display();
    let files = format!(
        "method = TLSv1.2+\nverify_certificate = yes\nrequire_certificate = yes\ncertificate = {folder}/sip.pem\n\
         private_key = {folder}/sip.key\nca_list = {folder}/ca.pem\n"
    );
    format!("[server:default]\n{files}[client:default]\n{files}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_goes_through_a_proxy_and_registrar_over_udp() -> anyhow::Result<()> {
    pays("udp", 33, ["13400-13449", "13450-13499"], None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_goes_through_a_proxy_and_registrar_over_tcp() -> anyhow::Result<()> {
    pays("tcp", 35, ["13600-13649", "13650-13699"], None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_goes_through_a_proxy_and_registrar_over_tls() -> anyhow::Result<()> {
    pays("tls", 37, ["13800-13849", "13850-13899"], None).await
}

/// Sound and keys of both legs go through rtpengine too: there is nothing between phone and Tonewall that has only signaling.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_goes_through_a_proxy_whose_sound_goes_through_rtpengine() -> anyhow::Result<()> {
    pays("udp", 42, ["14300-14349", "14350-14399"], Some((21_100, 21_199))).await
}

/// A running rtpengine between these ports.
async fn rtpengine(stage: &Stage, at: SocketAddr, ports: (u16, u16)) -> anyhow::Result<Background> {
    let mut command = Command::new("rtpengine");
    command.args(["--table=-1", "--foreground", "--log-stderr", "--no-log-timestamps", "--interface=127.0.0.1"]);
    // Neither the machine's own settings nor their ports: several of these tests run at once.
    command.args(["--config-file=none".to_owned(), format!("--listen-ng={at}")]);
    command.args([format!("--port-min={}", ports.0), format!("--port-max={}", ports.1)]);
    let log = stage.folder.join("rtpengine.log");
    let rtpengine = Background::start(&mut command, &log)?;
    file_says(&log, "Startup complete", WAIT_MAX).await?;
    Ok(rtpengine)
}

async fn pays(hop: &'static str, slot: u16, sound: [&str; 2], relay_ports: Option<(u16, u16)>) -> anyhow::Result<()> {
    let (proxy, secured) = (free_phone()?, free_phone()?);
    let trunk = if hop == "tls" { secured } else { proxy };
    // One neighbor: calls come from it and go to it.
    let route = Route { extension: "1001".to_owned(), caller: trunk, agent: trunk };
    let setting = Setting { transport: hop, ..Setting::new(slot, vec![route]) };
    let relay_at = relay_ports.map(|_| free_udp()).transpose()?;
    let name = if relay_ports.is_some() { "kamailio-rtpengine" } else { hop };
    let stage = Stage::start(&format!("kamailio-{name}"), setting).await?;
    let _rtpengine = match relay_at.zip(relay_ports) {
        Some((at, ports)) => Some(rtpengine(&stage, at, ports).await?),
        None => None,
    };
    let _kamailio =
        Kamailio::start(&stage, &Ways { hop, udp: proxy, secured, pages: None, rtpengine: relay_at }).await?;
    let folder = stage.folder.path();
    let line = |user: &str, more: &str| format!("<sip:{user}@{proxy}>;{more}");
    let caller = line("caller", &format!("regint=0;outbound=\"sip:{proxy}\";dtmfmode=rtpevent"));
    let mut caller = Baresip::with(folder, "caller", free_phone()?, sound[0], &caller).await?;
    let agent = line("1001", "regint=60;answermode=auto");
    let agent = Baresip::with(folder, "1001", free_phone()?, sound[1], &agent).await?;
    agent.says("200 OK").await.context("registering")?;
    let desk = stage.desk("1001").await?;

    caller.order("dial", &format!("sip:02079460018@{proxy}")).await?;
    caller.says("Call established").await.context("calling")?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    for keys in CARD {
        caller.key(keys).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));

    if relay_ports.is_some() {
        let log = std::fs::read_to_string(stage.folder.join("rtpengine.log"))?;
        assert!(log.matches("Replying to 'answer'").count() >= 2, "rtpengine has not got both legs:\n{log}");
    }
    // The hang-up finds its way along the route that the INVITE took.
    caller.order("hangup", "").await?;
    agent.says("session closed").await?;
    stage.passed();
    Ok(())
}

/// As it stands in the documentation, and with all that can be turned on.
#[tokio::test]
async fn the_configuration_of_the_documentation_is_what_kamailio_understands() -> anyhow::Result<()> {
    let all = [
        define("LISTEN", "udp:127.0.0.1:5060"),
        define("LISTEN_TCP", "tcp:127.0.0.1:5060"),
        define("LISTEN_WS", "tcp:127.0.0.1:8080"),
        define("WS_ORIGIN", "\"https://phone.example.com\""),
        define("RTPENGINE", "\"udp:127.0.0.1:2223\""),
    ];
    for more in [vec![], all.into_iter().flatten().collect()] {
        let mut words = vec!["-c".to_owned(), "-f".to_owned(), CONFIGURATION.to_owned()];
        words.extend(more);
        must("kamailio", &words.iter().map(String::as_str).collect::<Vec<_>>(), WAIT_MAX).await?;
    }
    Ok(())
}

/// A caller in a browser (JsSIP) comes to Kamailio by WebSocket and to rtpengine by DTLS-SRTP; from there on all is plain SIP and RTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_in_a_browser_pays_through_a_proxy_that_speaks_websocket() -> anyhow::Result<()> {
    let mut scene = Scene::start("caller", ((21_900, 21_939), (21_940, 21_999))).await?;
    let proxy = scene.proxy;
    let agent = format!("<sip:1001@{proxy}>;regint=60;answermode=auto");
    let mut agent = Baresip::with(scene.stage.folder.path(), "1001", free_phone()?, "22000-22019", &agent).await?;
    agent.says("200 OK").await.context("registering")?;
    let mut page = scene.page("customer").await?;
    let desk = scene.stage.desk("1001").await?;
    page.order("dial 02079460018")?;
    page.says("\"state\":\"connected\"").await.context("DTLS and ICE with rtpengine")?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    tokio::time::sleep(Duration::from_secs(1)).await;
    page.order("keys 9")?;
    agent.says("received event: '9'").await.context("a key on the open line")?;

    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    for keys in CARD {
        page.order(&format!("keys {keys}"))?;
        tokio::time::sleep(Duration::from_millis(u64::try_from(keys.len())? * 200 + 500)).await;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    let stats = page.stats().await?;
    assert!(stats["received"].as_u64().is_some_and(|count| count > 300), "the browser hears the agent: {stats}");

    // Our hang-up finds the browser by its connection.
    agent.order("hangup", "").await?;
    page.says("\"ended\"").await?;
    let log = agent.log()?;
    let events = log.lines().filter(|line| line.contains("received event")).count();
    assert!((1..=2).contains(&events), "the agent's phone tells of more than the one open key:\n{log}");
    agent.order("quit", "").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(decode(&agent.heard()?).await?, Read { multimon: String::new(), spandsp: String::new() });
    scene.passed(page);
    Ok(())
}

/// The agent sits in a browser that has signed in at Kamailio; it is called by the connection that it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_in_a_browser_takes_a_payment_through_a_proxy_that_speaks_websocket() -> anyhow::Result<()> {
    let mut scene = Scene::start("agent", ((22_020, 22_059), (22_060, 22_119))).await?;
    let proxy = scene.proxy;
    let caller = format!("<sip:caller@{proxy}>;regint=0;outbound=\"sip:{proxy}\";dtmfmode=rtpevent");
    let folder = scene.stage.folder.path().to_owned();
    let mut caller = Baresip::with(&folder, "caller", free_phone()?, "22120-22139", &caller).await?;
    let mut page = scene.page("1001").await?;
    let desk = scene.stage.desk("1001").await?;
    caller.order("dial", &format!("sip:02079460018@{proxy}")).await?;
    caller.says("Call established").await.context("calling")?;
    page.says("\"state\":\"connected\"").await.context("DTLS and ICE with rtpengine")?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    tokio::time::sleep(Duration::from_secs(2)).await;
    caller.key("9").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    for keys in CARD {
        caller.key(keys).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    let heard = folder.join("page.wav");
    page.heard(&heard).await?;
    page.order("hangup")?;
    caller.says("session closed").await.context("the page hangs up")?;
    assert_only_nines(&decode(&heard).await?);
    scene.passed(page);
    Ok(())
}

/// Kamailio that speaks WebSocket, with rtpengine, in front of a Tonewall.
struct Scene {
    stage: Stage,
    proxy: SocketAddr,
    pages: SocketAddr,
    _kamailio: Kamailio,
    _rtpengine: Background,
}

impl Scene {
    /// `ports` of Tonewall, and of rtpengine.
    async fn start(name: &str, (ports, relay_ports): ((u16, u16), (u16, u16))) -> anyhow::Result<Self> {
        let (proxy, secured, pages, relay) = (free_phone()?, free_phone()?, free_tcp()?, free_udp()?);
        let route = Route { extension: "1001".to_owned(), caller: proxy, agent: proxy };
        let stage =
            Stage::start(&format!("kamailio-ws-{name}"), Setting { ports, ..Setting::new(0, vec![route]) }).await?;
        let rtpengine = rtpengine(&stage, relay, relay_ports).await?;
        let ways = Ways { hop: "udp", udp: proxy, secured, pages: Some(pages), rtpengine: Some(relay) };
        let kamailio = Kamailio::start(&stage, &ways).await?;
        Ok(Self { stage, proxy, pages, _kamailio: kamailio, _rtpengine: rtpengine })
    }

    async fn page(&mut self, user: &str) -> anyhow::Result<Browser> {
        Browser::start(self.stage.folder.path(), &format!("ws://{}", self.pages), user).await
    }

    fn passed(self, page: Browser) {
        drop(page);
        self.stage.passed();
    }
}
