//! The world of the demo and the self-test: a temporary folder, the sandbox acquirer, a carrier with a caller, an agent's
//! phone, and Tonewall itself as it really runs.

mod page;

use crate::serve::{Plan, Users, supervise};
use anyhow::Context;
use lab::desk::{Desk, text};
use lab::line::Line;
use lab::phone::{self, Event, Press};
use node::config::{Masking, Media, Steering};
pub(crate) use page::Page;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const EMAIL: &str = "priya.shah@example.com";
const PASSWORD: &str = "correct horse battery";
const EXTENSION: &str = "1001";
/// The number that the caller dials.
pub(crate) const NUMBER: &str = "02079460018";
/// How long the two processes may take to be ready.
const READY_MAX: Duration = Duration::from_secs(20);
/// How long a call may take to be answered, and one field's keys to be pressed.
pub(crate) const SETUP_MAX: Duration = Duration::from_secs(10);
const KEYS_MAX: Duration = Duration::from_secs(20);
/// Enough for the caller's voice to be on the agent's leg.
const CONVERSATION: Duration = Duration::from_millis(800);

/// What differs from world to world.
pub(crate) struct Setting {
    /// Part of the folder's name.
    pub(crate) name: &'static str,
    /// Where the desk is served; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// The `[media]` of cde.toml.
    pub(crate) media: Media,
    /// Are calls recorded?
    pub(crate) records: bool,
    /// Is there a telephone in a web page, for a person?
    pub(crate) page: bool,
}

pub(crate) struct World {
    folder: PathBuf,
    office: SocketAddr,
    bank: SocketAddr,
    pub(crate) sip: SocketAddr,
    pub(crate) caller: tokio::sync::Mutex<Line>,
    pub(crate) agent: tokio::sync::Mutex<Line>,
    /// The telephone of a person, if there is one.
    pub(crate) page: Option<Page>,
    token: String,
    stop: watch::Sender<bool>,
    supervisor: JoinHandle<anyhow::Result<()>>,
}

impl World {
    pub(crate) async fn start(setting: Setting) -> anyhow::Result<Self> {
        let bank = lab::acquirer::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("the sandbox acquirer")?;
        let sound = setting.media.address;
        let caller = phone("+447700900142", sound, None).await?;
        let agent = phone(EXTENSION, sound, Some(Duration::from_millis(400))).await?;
        let carrier_sip = caller.look(phone::Phone::sip).await?;
        let agent_sip = agent.look(phone::Phone::sip).await?;
        let sip = free_udp()?;
        let desk = TcpListener::bind(setting.listen).with_context(|| format!("the desk on {}", setting.listen))?;
        let office = desk.local_addr()?;
        let folder = temporary_folder(setting.name)?;
        let phone = if setting.page { Some(page::Phone::new().await?) } else { None };
        // Not before: the telephone would be given the same port.
        drop(desk);
        let places = Places { sip, carrier: carrier_sip, pbx: agent_sip, bank };
        let recordings = setting.records.then(|| folder.join("recordings"));
        std::fs::write(folder.join("cde.toml"), cde_toml(&places, &setting, phone.as_ref(), recordings.as_deref()))?;
        std::fs::write(folder.join("office.toml"), format!("listen = \"{office}\"\n"))?;
        let token = people(&folder).await?;
        let (stop, stopped) = watch::channel(false);
        let plan =
            Plan { folder: folder.clone(), users: Users::One, logs: Some(folder.clone()), pids: Some(folder.clone()) };
        let supervisor = tokio::spawn(async move { supervise(&plan, stopped).await });
        let mut world = Self {
            folder,
            office,
            bank,
            sip,
            caller: tokio::sync::Mutex::new(caller),
            agent: tokio::sync::Mutex::new(agent),
            page: None,
            token,
            stop,
            supervisor,
        };
        Desk::ready(office, READY_MAX)
            .await
            .with_context(|| format!("what the processes said is in {}", world.folder.display()))?;
        // Not before: a page that is open would be told that nobody is there.
        world.page = phone.map(page::Phone::serve);
        Ok(world)
    }

    /// The link that signs the browser in, once.
    pub(crate) fn link(&self) -> String {
        format!("http://{}{}", self.office, crate::office::sign_in_path(&self.token))
    }

    pub(crate) fn recordings(&self) -> PathBuf {
        self.folder.join("recordings")
    }

    /// The bank takes the next charge from nobody and says nothing.
    pub(crate) async fn lose_next_answer(&self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let order = serde_json::json!({"next": ["drop_before"]});
        client.post(format!("http://{}/v1/faults", self.bank)).json(&order).send().await?.error_for_status()?;
        Ok(())
    }

    /// The agent, without a browser.
    pub(crate) async fn desk(&self) -> anyhow::Result<Desk> {
        Desk::sign_in(self.office, EMAIL, PASSWORD).await
    }

    /// The caller calls and talks for a moment; returns the call's id.
    pub(crate) async fn connect(&self, desk: &Desk) -> anyhow::Result<String> {
        let mut caller = self.caller.lock().await;
        caller.call(NUMBER, self.sip).await?;
        caller.wait_for(Event::Established, SETUP_MAX).await.context("calling")?;
        let call = desk.wait_for_call("talking", SETUP_MAX).await?;
        tokio::time::sleep(CONVERSATION).await;
        Ok(text(&call, "/call").to_owned())
    }

    /// The caller keys a card, field by field, until the payment is ready to be sent; returns the payment.
    pub(crate) async fn key_card(
        &self,
        fields: &[&str],
        press: Press,
        desk: &Desk,
        payment: &str,
    ) -> anyhow::Result<Value> {
        let caller = self.caller.lock().await;
        for keys in fields {
            caller.press(keys, press).await?;
            caller.keyed(KEYS_MAX).await?;
        }
        desk.wait_for_payment(payment, &["ready"], KEYS_MAX).await.context("keying the card")
    }

    /// Ends the call that stands, if one does: the simulated caller's, or a person's, whom the agent leaves.
    pub(crate) async fn hang_up(&self) {
        // A phone that is gone has no call.
        let _ = self.caller.lock().await.hang_up().await;
        let _ = self.agent.lock().await.hang_up().await;
    }

    /// Ends the processes; everything that was written stays.
    pub(crate) async fn stop(self) -> PathBuf {
        self.stop.send_replace(true);
        // What went wrong in ending is of no use to anybody any more.
        let _ = tokio::time::timeout(Duration::from_secs(10), self.supervisor).await;
        self.folder
    }

    /// Ends everything. Of what was written only the recordings stay.
    pub(crate) async fn end(self) {
        let folder = self.stop().await;
        let kept = folder.join("recordings");
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if entry.is_dir() && entry != kept {
                let _ = std::fs::remove_dir_all(entry);
            } else if entry.is_file() {
                let _ = std::fs::remove_file(entry);
            }
        }
    }
}

async fn phone(user: &str, sound: IpAddr, answers_after: Option<Duration>) -> anyhow::Result<Line> {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = phone::Config {
        sip: local,
        rtp: SocketAddr::from((sound, 0)),
        user: user.to_owned(),
        answers_after,
        law: phone::Law::Mu,
        speaks: true,
        believes: None,
    };
    let started = Line::start(config, lab::line::random_seed()).await;
    started.with_context(|| format!("a simulated phone with its sound at {sound}"))
}

fn temporary_folder(name: &str) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let random = u32::from_be_bytes(first(lab::line::random_seed()));
    let name = format!("tonewall-{name}-{}-{random:x}", std::process::id());
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
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn free_tcp() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Sound at 127.0.0.1 and masked as it is by default, on ports that a run has to itself.
pub(crate) fn own_media() -> Media {
    // Below the ports that the system hands out.
    let first_port = 12_000 + u16::try_from(std::process::id() % 90).unwrap_or(0) * 200;
    Media { first_port, last_port: first_port + 199, ..Media::default() }
}

/// Who is where.
struct Places {
    sip: SocketAddr,
    carrier: SocketAddr,
    pbx: SocketAddr,
    bank: SocketAddr,
}

fn cde_toml(places: &Places, setting: &Setting, phone: Option<&page::Phone>, recordings: Option<&Path>) -> String {
    let Places { sip, carrier, pbx, bank } = places;
    let (listens, trunk) = phone.map(|phone| (phone.listens(), phone.trunk())).unwrap_or_default();
    let recordings = recordings.map(|folder| format!("\n[data]\nrecordings = \"{}\"\n", folder.display()));
    format!(
        "[sip]\nlisten = \"{sip}\"\n{listens}\n{}\n\
         [[trunk]]\nname = \"carrier\"\naddress = \"{carrier}\"\n\n[[trunk]]\nname = \"pbx\"\naddress = \"{pbx}\"\n\n\
         [[route]]\nfrom = \"carrier\"\nto = \"pbx\"\nextension = \"{EXTENSION}\"\n\n\
         [[gateway]]\nname = \"sandbox\"\nadapter = \"sandbox\"\nurl = \"http://{bank}\"\n\n\
         [[merchant]]\nid = \"main\"\ngateway = \"sandbox\"\n{trunk}{}",
        media_toml(&setting.media),
        recordings.unwrap_or_default()
    )
}

/// Every key is named, so that a new one cannot be forgotten here.
fn media_toml(media: &Media) -> String {
    let Media { address, address_v6, first_port, last_port, threads, steering, masking, hold } = media;
    let v6 = address_v6.map(|address| format!("address_v6 = \"{address}\"\n")).unwrap_or_default();
    let steering = match steering {
        Steering::Auto => "auto",
        Steering::Off => "off",
    };
    let masking = match masking {
        Masking::Natural => "natural",
        Masking::Strict => "strict",
    };
    let hold_ms = hold.samples() / 8;
    format!(
        "[media]\naddress = \"{address}\"\n{v6}first_port = {first_port}\nlast_port = {last_port}\nthreads = {threads}\n\
         steering = \"{steering}\"\nmasking = \"{masking}\"\nhold_ms = {hold_ms}\n"
    )
}

/// The agent, and a link that signs them in.
async fn people(folder: &Path) -> anyhow::Result<String> {
    let config = console::Config::load(folder)?;
    let user = console::NewUser {
        email: EMAIL.to_owned(),
        name: "Priya Shah".to_owned(),
        extension: Some(EXTENSION.parse()?),
        role: console::Role::Agent,
        rights: "charge,preauthorize,refund,store".parse()?,
        password: PASSWORD.to_owned(),
    };
    console::user_add(&config, user).await?;
    Ok(console::sign_in_link(&config, EMAIL).await?)
}
