//! Kamailio in front, with the configuration that `docs/integrate` offers: phones register with it, calls go through it to
//! Tonewall and come back through it for the agent's phone.

use crate::baresip::Baresip;
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone, free_udp};
use crate::tools::{Background, file_says, signal};
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

impl Kamailio {
    /// `hop` is the transport between it and Tonewall; phones speak UDP to it.
    async fn start(
        stage: &Stage,
        hop: &str,
        udp: SocketAddr,
        secured: SocketAddr,
        rtpengine: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let folder = stage.folder.path();
        let define = |name: &str, value: &str| ["-A".to_owned(), format!("{name}={value}")];
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-f", CONFIGURATION, "-Y"]).arg(folder);
        command.args(define("LISTEN", &format!("udp:{udp}")));
        command.args(define("LISTEN_TCP", &format!("tcp:{udp}")));
        command.args(define("TONEWALL", &format!("\"sip:{};transport={hop}\"", stage.sip)));
        command.args(["TONEWALL_IP", "CARRIER_IP"].into_iter().flat_map(|name| define(name, "\"127.0.0.1\"")));
        if let Some(rtpengine) = rtpengine {
            command.args(define("RTPENGINE", &format!("\"udp:{rtpengine}\"")));
        }
        if hop == "tls" {
            let file = folder.join("kamailio-tls.cfg");
            std::fs::write(&file, tls(folder))?;
            command.args(define("LISTEN_TLS", &format!("tls:{secured}")));
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
    command.arg(format!("--listen-ng={at}"));
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
    let _kamailio = Kamailio::start(&stage, hop, proxy, secured, relay_at).await?;
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
