//! The demo's world: a temporary folder, the sandbox acquirer, a carrier with a caller, an agent's phone, and Tonewall
//! itself as it really runs.

use crate::serve::{Plan, Users, supervise};
use anyhow::Context;
use lab::desk::Desk;
use lab::line::Line;
use lab::phone::{self, Transport};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const EMAIL: &str = "priya.shah@example.com";
const PASSWORD: &str = "correct horse battery";
const EXTENSION: &str = "1001";
/// The number that the caller dials.
pub(super) const NUMBER: &str = "02079460018";
/// How long the two processes may take to be ready.
const READY_MAX: Duration = Duration::from_secs(20);

pub(super) struct World {
    folder: PathBuf,
    office: SocketAddr,
    bank: SocketAddr,
    pub(super) sip: SocketAddr,
    pub(super) transport: Transport,
    pub(super) caller: tokio::sync::Mutex<Line>,
    pub(super) agent: tokio::sync::Mutex<Line>,
    token: String,
    stop: watch::Sender<bool>,
    supervisor: JoinHandle<anyhow::Result<()>>,
}

impl World {
    pub(super) async fn start(listen: SocketAddr, transport: Transport) -> anyhow::Result<Self> {
        let folder = temporary_folder()?;
        let bank = lab::acquirer::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("the sandbox acquirer")?;
        let caller = phone("+447700900142", None).await?;
        let agent = phone(EXTENSION, Some(Duration::from_millis(400))).await?;
        let carrier_sip = caller.look(phone::Phone::sip).await?;
        let agent_sip = agent.look(phone::Phone::sip).await?;
        let sip = free_udp()?;
        let office = free_tcp(listen)?;
        std::fs::write(folder.join("cde.toml"), cde_toml(sip, carrier_sip, agent_sip, bank, &folder))?;
        std::fs::write(folder.join("office.toml"), format!("listen = \"{office}\"\n"))?;
        let token = people(&folder).await?;
        let (stop, stopped) = watch::channel(false);
        let plan =
            Plan { folder: folder.clone(), users: Users::One, logs: Some(folder.clone()), pids: Some(folder.clone()) };
        let supervisor = tokio::spawn(async move { supervise(&plan, stopped).await });
        let world = Self {
            folder,
            office,
            bank,
            sip,
            transport,
            caller: tokio::sync::Mutex::new(caller),
            agent: tokio::sync::Mutex::new(agent),
            token,
            stop,
            supervisor,
        };
        Desk::ready(office, READY_MAX)
            .await
            .with_context(|| format!("what the processes said is in {}", world.folder.display()))?;
        Ok(world)
    }

    /// The link that signs the browser in, once.
    pub(super) fn link(&self) -> String {
        format!("http://{}{}", self.office, crate::office::sign_in_path(&self.token))
    }

    pub(super) fn recordings(&self) -> PathBuf {
        self.folder.join("recordings")
    }

    /// The bank takes the next charge from nobody and says nothing.
    pub(super) async fn lose_next_answer(&self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let order = serde_json::json!({"next": ["drop_before"]});
        client.post(format!("http://{}/v1/faults", self.bank)).json(&order).send().await?.error_for_status()?;
        Ok(())
    }

    /// The agent, without a browser.
    pub(super) async fn desk(&self) -> anyhow::Result<Desk> {
        Desk::sign_in(self.office, EMAIL, PASSWORD).await
    }

    /// Ends the call that stands, if one does.
    pub(super) async fn hang_up(&self) {
        // A phone that is gone has no call.
        let _ = self.caller.lock().await.hang_up().await;
    }

    /// Ends everything. Of what was written only the recordings stay.
    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        // What went wrong in ending is of no use to anybody any more.
        let _ = tokio::time::timeout(Duration::from_secs(10), self.supervisor).await;
        let kept = self.folder.join("recordings");
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if entry.is_dir() && entry != kept {
                let _ = std::fs::remove_dir_all(entry);
            } else if entry.is_file() {
                let _ = std::fs::remove_file(entry);
            }
        }
    }
}

async fn phone(user: &str, answers_after: Option<Duration>) -> anyhow::Result<Line> {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = phone::Config {
        sip: local,
        rtp: local,
        user: user.to_owned(),
        answers_after,
        codec: phone::Codec::Pcmu,
        speaks: true,
    };
    Ok(Line::start(config, lab::line::random_seed()).await?)
}

fn temporary_folder() -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let name =
        format!("tonewall-demo-{}-{:x}", std::process::id(), u32::from_be_bytes(first(lab::line::random_seed())));
    let folder = std::env::temp_dir().join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&folder).with_context(|| folder.display().to_string())?;
    for part in ["cde-data", "office-data"] {
        std::fs::DirBuilder::new().mode(0o700).create(folder.join(part))?;
    }
    Ok(folder)
}

fn first([a, b, c, d, ..]: [u8; 32]) -> [u8; 4] {
    [a, b, c, d]
}

fn free_udp() -> std::io::Result<SocketAddr> {
    UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn free_tcp(listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).with_context(|| format!("the desk on {listen}"))?;
    Ok(listener.local_addr()?)
}

fn cde_toml(sip: SocketAddr, carrier: SocketAddr, pbx: SocketAddr, bank: SocketAddr, folder: &Path) -> String {
    // A range of its own for each demo, below the ports that the system hands out.
    let first_port = 12_000 + u16::try_from(std::process::id() % 90).unwrap_or(0) * 200;
    format!(
        "[sip]\nlisten = \"{sip}\"\n\n[media]\naddress = \"127.0.0.1\"\nfirst_port = {first_port}\nlast_port = {}\n\n\
         [[trunk]]\nname = \"carrier\"\naddress = \"{carrier}\"\n\n[[trunk]]\nname = \"pbx\"\naddress = \"{pbx}\"\n\n\
         [[route]]\nfrom = \"carrier\"\nto = \"pbx\"\nextension = \"{EXTENSION}\"\n\n\
         [[gateway]]\nname = \"sandbox\"\nkind = \"sandbox\"\nurl = \"http://{bank}\"\n\n\
         [[merchant]]\nid = \"main\"\ngateway = \"sandbox\"\n\n[data]\nrecordings = \"{}\"\n",
        first_port + 199,
        folder.join("recordings").display()
    )
}

/// The demo's agent, and a link that signs them in.
async fn people(folder: &Path) -> anyhow::Result<String> {
    let config = console::Config::load(folder)?;
    let user = console::NewUser {
        email: EMAIL.to_owned(),
        name: "Priya Shah".to_owned(),
        extension: Some(EXTENSION.parse()?),
        role: console::Role::Agent,
        password: PASSWORD.to_owned(),
    };
    console::user_add(&config, user).await?;
    Ok(console::sign_in_link(&config, EMAIL).await?)
}
