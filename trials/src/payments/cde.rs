//! The process that is killed.

use super::Shop;
use super::bank::{Bank, TIMEOUT_MS, WEBHOOK_SECRET};
use anyhow::{Context, bail, ensure};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

pub(super) const USER: &str = "agents";
pub(super) const PASSWORD: &str = "trial";
/// Every sandbox acquirer takes it.
const KEY: &str = "tw_test_sandbox";
const STRIPE_KEY: &str = "sk_test_sandbox";
const READY_MAX: Duration = Duration::from_secs(30);

pub(super) struct Cde {
    /// Where charges and webhooks come in.
    pub(super) inbound: SocketAddr,
    program: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
    is_kept: bool,
    /// How often it was killed.
    pub(super) kills: usize,
}

/// A loopback address that no other process takes ports of.
fn own_address() -> Ipv4Addr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | high, middle, low)
}

impl Cde {
    /// A folder with everything that the process needs.
    pub(super) fn prepare(program: &Path, banks: &[Bank]) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("tonewall-payments-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        // While it is dead nobody else takes a port of this address.
        let own = own_address();
        let free = || TcpListener::bind((own, 0)).and_then(|listener| listener.local_addr());
        let (sip, inbound) = (free()?, free()?);
        for (name, secret) in
            [("password", PASSWORD), ("whsec", WEBHOOK_SECRET), ("sandbox.key", KEY), ("stripe.key", STRIPE_KEY)]
        {
            std::fs::write(folder.join(name), secret)?;
        }
        let mut text = format!(
            "[sip]\nlisten = \"{sip}\"\n[media]\naddress = \"{own}\"\nfirst_port = 9800\nlast_port = 9899\nthreads = 1\n\
             [inbound]\nlisten = \"{inbound}\"\n"
        );
        for bank in banks {
            let (name, url) = (bank.shop.name(), bank.at);
            let adapter = if bank.shop == Shop::Stripe { "stripe" } else { "sandbox" };
            let late = if bank.shop == Shop::Keyless { "void" } else { "keep" };
            write!(
                text,
                "[[gateway]]\nname = \"{name}\"\nadapter = \"{adapter}\"\nurl = \"http://{url}\"\n\
                 key_file = \"{adapter}.key\"\nwebhook_key_file = \"whsec\"\ntimeout_ms_max = {TIMEOUT_MS}\n\
                 [[merchant]]\nid = \"{name}\"\ngateway = \"{name}\"\nlate_approval = \"{late}\"\n\
                 [[pay_connector]]\nname = \"{name}\"\nusername = \"{USER}\"\npassword_file = \"password\"\n\
                 merchant = \"{name}\"\n"
            )?;
        }
        std::fs::write(folder.join("cde.toml"), text)?;
        let program = program
            .canonicalize()
            .with_context(|| format!("{} is not there: cargo build -p tonewall", program.display()))?;
        Ok(Self { inbound, program, folder, child: None, is_kept: false, kills: 0 })
    }

    pub(super) fn door(&self) -> PathBuf {
        self.folder.join("cde-data/door/door.sock")
    }

    /// Starts it, unless it runs, and waits until it takes charges.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        if self.child.is_none() {
            self.spawn()?;
        }
        self.ready().await
    }

    pub(super) fn spawn(&mut self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("log"))?;
        let child = Command::new(&self.program)
            .args(["cde", "--config"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        self.child = Some(child);
        Ok(())
    }

    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + READY_MAX;
        while TcpStream::connect(self.inbound).await.is_err() {
            let ended = self.child.as_mut().context("it was not started")?.try_wait()?;
            ensure!(ended.is_none(), "it has ended by itself: {}", self.log());
            ensure!(Instant::now() < until, "it does not start: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { bail!("there is nobody to kill") };
        if let Some(status) = child.try_wait()? {
            bail!("it has ended by itself ({status}): {}", self.log());
        }
        child.kill()?;
        child.wait()?;
        self.kills += 1;
        Ok(())
    }

    /// Twice in a row, as it were.
    pub(super) fn kill_and_spawn(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.spawn()
    }

    pub(super) fn log(&self) -> String {
        std::fs::read(self.folder.join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The folder is not deleted. Says where it is.
    pub(super) fn keep(&mut self) -> String {
        self.is_kept = true;
        self.folder.display().to_string()
    }
}

impl Drop for Cde {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        if !self.is_kept {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
