//! A Tonewall as it really runs, in a temporary folder, with a sandbox acquirer, phones and agents' desks.

pub mod api;
pub mod binary;
pub mod certificates;
pub mod folder;
pub mod lane;
pub mod processes;

use crate::tools::Background;
use anyhow::Context;
use folder::Folder;
use lab::desk::Desk;
use serde_json::Value;
use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub const PASSWORD: &str = "correct horse battery";
/// That of pages, which must not be found in what is written.
pub const PAGE_PASSWORD: &str = "staple-of-a-page";
/// How long the processes may take to be ready, on a machine that is busy with other tests.
pub const READY_MAX: Duration = Duration::from_secs(30);

const CDE_ELSEWHERE: &str =
    "\n[data]\nfolder = \"var/journal\"\nrecordings = \"var/recordings\"\n\n[door]\nsocket = \"run/door.sock\"\n";
const OFFICE_ELSEWHERE: &str = "database = \"var/office/office.db\"\ndoor = \"run/door.sock\"\n";

/// A line of the configuration: calls from the caller's address are sent to the agent's address.
pub struct Route {
    pub extension: String,
    pub caller: SocketAddr,
    pub agent: SocketAddr,
}

/// What differs from test to test.
pub struct Setting {
    pub binary: PathBuf,
    /// RTP ports: the first and the last. Each test has its own, so that tests may run at the same time.
    pub ports: (u16, u16),
    pub routes: Vec<Route>,
    /// After this time the gateway's answer is given up.
    pub gateway_timeout_ms: u32,
    pub one_user: bool,
    pub records: bool,
    /// Journal, recordings, door and database in other folders than the usual ones, by relative paths.
    pub elsewhere: bool,
    /// `masking` of the configuration.
    pub masking: &'static str,
    /// `transport` of all trunks.
    pub transport: &'static str,
    /// `srtp` of the callers' trunks and of the agents'.
    pub srtp: (&'static str, &'static str),
    /// `nat` of all of them.
    pub nat: &'static str,
    /// Who records all calls.
    pub recorder: Option<SocketAddr>,
    /// Further lines of `cde.toml`.
    pub more: String,
    /// Which side of all routes sits in a browser.
    pub page: Option<Page>,
    /// Further lines of `office.toml`.
    pub office: String,
    /// `[[gateway]]` and `[[merchant]]` of the configuration, where it is not the sandbox alone that charges; `{bank}` is the
    /// sandbox's URL.
    pub gateways: Option<String>,
    /// Is there a vault?
    pub vault: bool,
}

/// Who sits in a browser: an agent, who comes by ws, or a caller, who comes by wss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Agent,
    Caller,
}

impl Setting {
    /// A hundred ports, enough for 25 calls at once.
    pub fn new(slot: u16, routes: Vec<Route>) -> Self {
        let first = 10_000 + slot * 100;
        let ports = (first, first + 99);
        let (binary, gateway_timeout_ms) = (binary::normal(), 20_000);
        let (one_user, records, elsewhere, masking, transport) = (true, true, false, "natural", "udp");
        let srtp = ("off", "off");
        Self {
            binary,
            ports,
            routes,
            gateway_timeout_ms,
            one_user,
            records,
            elsewhere,
            masking,
            transport,
            srtp,
            nat: "off",
            recorder: None,
            more: String::new(),
            office: String::new(),
            page: None,
            gateways: None,
            vault: false,
        }
    }
}

/// A running Tonewall. When it is dropped, its processes are killed.
pub struct Stage {
    pub office: SocketAddr,
    pub sip: SocketAddr,
    pub bank: SocketAddr,
    /// Where pages come to.
    pub pages: SocketAddr,
    // In this order: the processes end before their folder goes.
    serve: processes::Tree,
    pub folder: Folder,
    binary: PathBuf,
    one_user: bool,
}

impl Stage {
    /// Starts it and waits until it is ready.
    pub async fn start(name: &str, setting: Setting) -> anyhow::Result<Self> {
        crypto();
        let folder = Folder::new(name)?;
        let bank = lab::acquirer::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("the sandbox acquirer")?;
        let sip = if setting.transport == "udp" { free_udp()? } else { free_tcp()? };
        let office = free_tcp()?;
        let pages = free_tcp()?;
        if setting.transport == "tls" || setting.page == Some(Page::Caller) {
            certificates::issue(folder.path())?;
        }
        std::fs::write(folder.join("cde.toml"), cde_toml(&setting, (sip, pages), bank, &folder))?;
        let elsewhere = if setting.elsewhere { OFFICE_ELSEWHERE } else { "" };
        std::fs::write(folder.join("office.toml"), format!("listen = \"{office}\"\n{elsewhere}{}", setting.office))?;
        for route in &setting.routes {
            add_user(&setting.binary, &folder, &route.extension).await?;
        }
        if setting.vault {
            init_vault(&setting.binary, &folder).await?;
        }
        let serve = serve(&setting.binary, &folder, setting.one_user)?;
        let (binary, one_user) = (setting.binary, setting.one_user);
        let stage = Self { office, sip, bank, pages, serve, folder, binary, one_user };
        stage.ready().await?;
        Ok(stage)
    }

    /// Starts the processes again that have ended. Whether they are ready is not waited for.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.serve = serve(&self.binary, &self.folder, self.one_user)?;
        Ok(())
    }

    /// A command of the binary, on this Tonewall.
    pub async fn tool(&self, arguments: &[&str]) -> anyhow::Result<crate::tools::Said> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--config").arg(self.folder.path());
        crate::tools::run_command(&mut command, Duration::from_secs(30)).await
    }

    /// Waits until the office answers and its door is up.
    pub async fn ready(&self) -> anyhow::Result<()> {
        Desk::ready(self.office, READY_MAX).await.with_context(|| format!("the log says:\n{}", self.log()))
    }

    /// The desk of the agent at an extension.
    pub async fn desk(&self, extension: &str) -> anyhow::Result<Desk> {
        Desk::sign_in(self.office, &email(extension), PASSWORD).await
    }

    /// One more agent, who has no route of the setting; their desk.
    pub async fn colleague(&self, extension: &str) -> anyhow::Result<Desk> {
        add_user(&self.binary, &self.folder, extension).await?;
        self.desk(extension).await
    }

    /// The process id of `cde` or `office`, once it runs.
    pub async fn pid(&self, side: &str) -> anyhow::Result<u32> {
        self.serve.child(side).await
    }

    /// Asks the supervisor to stop.
    pub fn terminate(&self) {
        self.serve.terminate();
    }

    /// Waits for the supervisor's end; was it a good one?
    pub async fn ended(&mut self, most: Duration) -> anyhow::Result<bool> {
        self.serve.ended(most).await
    }

    /// What all three processes said.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("serve.log")).unwrap_or_default()).into_owned()
    }

    /// All that the bank has charged or declined.
    pub async fn ledger(&self) -> anyhow::Result<Vec<Value>> {
        let answer = http().get(format!("http://{}/v1/ledger", self.bank)).send().await?.json::<Value>().await?;
        answer["charges"].as_array().cloned().context("no ledger")
    }

    /// All that followed the bank's charges.
    pub async fn operations(&self) -> anyhow::Result<Vec<Value>> {
        let answer = http().get(format!("http://{}/v1/ledger", self.bank)).send().await?.json::<Value>().await?;
        answer["operations"].as_array().cloned().context("no ledger")
    }

    /// Sets what the agent at an extension may do with money.
    pub async fn rights(&self, extension: &str, rights: &str) -> anyhow::Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(["user", "rights", "--email", &email(extension), "--rights", rights]);
        let said = crate::tools::run_command(command.arg("--config").arg(self.folder.path()), Duration::from_secs(20));
        let said = said.await?;
        anyhow::ensure!(said.good, "tonewall user rights: {}", said.all());
        Ok(())
    }

    /// Orders faults of the bank.
    pub async fn faults(&self, order: Value) -> anyhow::Result<()> {
        let url = format!("http://{}/v1/faults", self.bank);
        http().post(url).json(&order).send().await?.error_for_status()?;
        Ok(())
    }

    /// The test has passed: what is left is of no interest.
    pub fn passed(self) {
        self.folder.forget();
    }
}

fn serve(binary: &Path, folder: &Folder, one_user: bool) -> anyhow::Result<processes::Tree> {
    let mut command = Command::new(binary);
    command.args(["serve", "--config"]).arg(folder.path());
    if one_user {
        command.arg("--one-user");
    }
    let serve = Background::start(&mut command, &folder.join("serve.log"))?;
    Ok(processes::Tree::new(serve, folder.path()))
}

/// How the agent at an extension signs in.
pub fn email(extension: &str) -> String {
    format!("agent{extension}@example.com")
}

/// An HTTP client without a proxy.
pub fn http() -> reqwest::Client {
    crypto();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

fn crypto() {
    static ONCE: Once = Once::new();
    // An error means that it is installed already.
    ONCE.call_once(|| drop(rustls::crypto::aws_lc_rs::default_provider().install_default()));
}

/// A UDP port that was free a moment ago.
pub fn free_udp() -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}

/// A TCP port that was free a moment ago.
pub fn free_tcp() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// An address for the SIP of somebody else's program, which takes the port for UDP and TCP and the next one for TLS. Of a
/// range that the system gives to nobody; each test, a process of its own, begins elsewhere in it.
pub fn free_phone() -> anyhow::Result<SocketAddr> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = 15_000 + u16::try_from(std::process::id() % 480)? * 10;
    for _ in 0..1000 {
        let port = 15_000 + (first - 15_000 + 2 * TAKEN.fetch_add(1, Ordering::Relaxed)) % 4_800;
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (tcp, tls, udp) = (TcpListener::bind(at(port)), TcpListener::bind(at(port + 1)), UdpSocket::bind(at(port)));
        if tcp.is_ok() && tls.is_ok() && udp.is_ok() {
            return Ok(at(port));
        }
    }
    anyhow::bail!("no two ports in a row are free")
}

async fn init_vault(binary: &Path, folder: &Folder) -> anyhow::Result<()> {
    std::fs::write(folder.join("vault.pass"), "a passphrase of this test\n")?;
    let mut command = Command::new(binary);
    command.args(["vault", "init", "--config"]).arg(folder.path());
    let said = crate::tools::run_command(&mut command, Duration::from_secs(60)).await?;
    anyhow::ensure!(said.good, "tonewall vault init: {}", said.all());
    Ok(())
}

async fn add_user(binary: &Path, folder: &Folder, extension: &str) -> anyhow::Result<()> {
    let password = folder.join("password");
    std::fs::write(&password, PASSWORD)?;
    let mut command = Command::new(binary);
    command.args(["user", "add", "--name", "Priya Shah", "--extension", extension, "--email", &email(extension)]);
    command.arg("--password-file").arg(password).arg("--config").arg(folder.path());
    let said = crate::tools::run_command(&mut command, Duration::from_secs(20)).await?;
    anyhow::ensure!(said.good, "tonewall user add: {}", said.all());
    Ok(())
}

fn listen(transport: &str, sip: SocketAddr) -> String {
    match transport {
        "udp" => format!("listen = \"{sip}\"\n"),
        "tcp" => format!("listen = []\nlisten_tcp = \"{sip}\"\n"),
        _ => format!(
            "listen = []\nlisten_tls = \"{sip}\"\ncertificate = \"sip.pem\"\nprivate_key = \"sip.key\"\n\
             client_ca = \"ca.pem\"\n"
        ),
    }
}

fn listen_for_pages(page: Option<Page>, at: SocketAddr) -> String {
    match page {
        None => String::new(),
        Some(Page::Agent) => format!("listen_ws = \"{at}\"\n"),
        Some(Page::Caller) => {
            format!("listen_wss = \"{at}\"\ncertificate = \"sip.pem\"\nprivate_key = \"sip.key\"\n")
        }
    }
}

/// A trunk of pages with one phone.
fn page_trunk(name: &str, transport: &str, phone: &str) -> String {
    format!(
        "\n[[trunk]]\nname = \"{name}\"\ntransport = \"{transport}\"\n\n[[phone]]\nname = \"{phone}\"\ntrunk = \"{name}\"\n\
         password = \"{PAGE_PASSWORD}\"\ndigest = \"legacy\"\n"
    )
}

/// The sandbox charges for the merchant that the desk takes payments for.
pub fn sandbox(bank: SocketAddr, timeout_ms: u32) -> String {
    format!(
        "[[gateway]]\nname = \"sandbox\"\nadapter = \"sandbox\"\nurl = \"http://{bank}\"\n\
         timeout_ms_max = {timeout_ms}\n\n[[merchant]]\nid = \"main\"\ngateway = \"sandbox\"\n"
    )
}

fn cde_toml(setting: &Setting, (sip, pages): (SocketAddr, SocketAddr), bank: SocketAddr, folder: &Folder) -> String {
    let (first, last) = setting.ports;
    let mut text = format!(
        "[sip]\n{}{}\n[media]\naddress = \"127.0.0.1\"\nfirst_port = {first}\nlast_port = {last}\n\
         threads = 1\nmasking = \"{}\"\n\n",
        listen(setting.transport, sip),
        listen_for_pages(setting.page, pages),
        setting.masking,
    );
    text.push_str(
        &setting
            .gateways
            .as_ref()
            .map(|text| text.replace("{bank}", &format!("http://{bank}")))
            .unwrap_or_else(|| sandbox(bank, setting.gateway_timeout_ms)),
    );
    let trunk = match setting.transport {
        "tls" => "transport = \"tls\"\nca = \"ca.pem\"\n".to_owned(),
        transport => format!("transport = \"{transport}\"\n"),
    };
    if let Some(recorder) = setting.recorder {
        write!(text, "\n[[trunk]]\nname = \"recorder\"\naddress = \"{recorder}\"\n{trunk}").unwrap();
    }
    for Route { extension, caller, agent } in &setting.routes {
        let plain = |name: &str, address: &SocketAddr, srtp: &str| {
            let nat = setting.nat;
            format!(
                "\n[[trunk]]\nname = \"{name}\"\naddress = \"{address}\"\nsrtp = \"{srtp}\"\nnat = \"{nat}\"\n{trunk}"
            )
        };
        let (carrier, pbx) = (format!("carrier{extension}"), format!("pbx{extension}"));
        text += &match setting.page {
            Some(Page::Caller) => page_trunk(&carrier, "wss", "customer"),
            _ => plain(&carrier, caller, setting.srtp.0),
        };
        text += &match setting.page {
            Some(Page::Agent) => page_trunk(&pbx, "ws", extension),
            _ => plain(&pbx, agent, setting.srtp.1),
        };
        write!(text, "\n[[route]]\nfrom = \"{carrier}\"\nto = \"{pbx}\"\nextension = \"{extension}\"\n").unwrap();
        if setting.recorder.is_some() {
            text.push_str("recorder = \"recorder\"\nrecorder_required = true\n");
        }
    }
    text.push_str(&setting.more);
    if setting.elsewhere {
        text.push_str(CDE_ELSEWHERE);
    } else if setting.records {
        write!(text, "\n[data]\nrecordings = \"{}\"\n", folder.join("recordings").display()).unwrap();
    }
    text
}
