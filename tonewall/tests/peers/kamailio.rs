//! Kamailio in front, with the configuration that `docs/integrate` offers: phones register with it, calls go through it to
//! Tonewall and come back through it for the agent's phone.

use crate::baresip::Baresip;
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone};
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
    async fn start(stage: &Stage, hop: &str, udp: SocketAddr, secured: SocketAddr) -> anyhow::Result<Self> {
        let folder = stage.folder.path();
        let define = |name: &str, value: &str| ["-A".to_owned(), format!("{name}={value}")];
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-f", CONFIGURATION, "-Y"]).arg(folder);
        command.args(define("LISTEN", &format!("udp:{udp}")));
        command.args(define("LISTEN_TCP", &format!("tcp:{udp}")));
        command.args(define("TONEWALL", &format!("\"sip:{};transport={hop}\"", stage.sip)));
        command.args(["TONEWALL_IP", "CARRIER_IP"].into_iter().flat_map(|name| define(name, "\"127.0.0.1\"")));
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
    pays("udp", 33, ["13400-13449", "13450-13499"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_goes_through_a_proxy_and_registrar_over_tcp() -> anyhow::Result<()> {
    pays("tcp", 35, ["13600-13649", "13650-13699"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_goes_through_a_proxy_and_registrar_over_tls() -> anyhow::Result<()> {
    pays("tls", 37, ["13800-13849", "13850-13899"]).await
}

async fn pays(hop: &'static str, slot: u16, sound: [&str; 2]) -> anyhow::Result<()> {
    let (proxy, secured) = (free_phone()?, free_phone()?);
    let trunk = if hop == "tls" { secured } else { proxy };
    // One neighbor: calls come from it and go to it.
    let route = Route { extension: "1001".to_owned(), caller: trunk, agent: trunk };
    let setting = Setting { transport: hop, ..Setting::new(slot, vec![route]) };
    let stage = Stage::start(&format!("kamailio-{hop}"), setting).await?;
    let _kamailio = Kamailio::start(&stage, hop, proxy, secured).await?;
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

    // The hang-up finds its way along the route that the INVITE took.
    caller.order("hangup", "").await?;
    agent.says("session closed").await?;
    stage.passed();
    Ok(())
}
