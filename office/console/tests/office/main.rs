//! The office, driven over HTTP, with a scripted card side at the other end of the door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod agreements;
mod bounced_orders;
mod cde;
mod client;
mod desk;
mod door;
mod figures;
mod follow_ups;
mod kept;
mod ladder;
mod money;
mod problems;
mod reconciliations;
mod recorders;
mod recurring;
mod sign_in;
mod transfers;
mod trunks;

use cde::{Cde, Link};
use client::Client;
use console::{Config, NewUser, Rights, Role, Server};
use sqlx::{Connection, SqliteConnection};
use std::path::{Path, PathBuf};
use tokio::{sync::oneshot, task::JoinHandle};
use uuid::Uuid;
use wire::{CallId, CallSnapshot, CallState, LineState, PaymentState, Progress};

pub(crate) const PASSWORD: &str = "a long password";

/// A folder with an office's database and door; the office can be stopped and started again.
pub(crate) struct World {
    folder: PathBuf,
    config: Config,
    office: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    pub(crate) cde: Cde,
    pub(crate) client: Client,
}

impl World {
    /// An office with Amy on extension 1001 and Bob on 1002.
    pub(crate) async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tonewall-office-{}", Uuid::now_v7().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() }.in_folder(&folder);
        for (name, extension) in [("amy", "1001"), ("bob", "1002")] {
            add_user(&config, name, extension).await;
        }
        let cde = Cde::bind(&config.door);
        let mut world = Self { folder, config, office: None, cde, client: Client::default() };
        world.start().await;
        world
    }

    pub(crate) async fn start(&mut self) {
        let server = Server::start(self.config.clone()).await.unwrap();
        self.client.addr = Some(server.addr);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let task = tokio::spawn(async move { server.run_until(stopped).await.unwrap() });
        self.office = Some((stop, task));
    }

    pub(crate) async fn stop(&mut self) {
        let (stop, task) = self.office.take().unwrap();
        stop.send(()).unwrap();
        task.await.unwrap();
    }

    pub(crate) async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.start().await;
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// A client that is signed in.
    pub(crate) async fn desk(&self, name: &str) -> Client {
        let token = console::sign_in_link(&self.config, &format!("{name}@example.com")).await.unwrap();
        let answer = self.client.get(&format!("/api/v1/session/auto?token={token}")).await;
        assert_eq!(answer.status, 303);
        self.client.with_cookie(&answer)
    }

    /// Who did this deed, by which API key, to what: of each row of the audit trail.
    pub(crate) async fn audit(&self, what: &str) -> Vec<(String, Option<String>, String)> {
        let url = format!("sqlite://{}", self.config.database.display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let sql = "SELECT who, api_key, object FROM audit WHERE what = ? ORDER BY id";
        sqlx::query_as(sql).bind(what).fetch_all(&mut connection).await.unwrap()
    }

    /// Amy's desk, and a cde with one call of hers.
    pub(crate) async fn with_call(&mut self) -> (Client, Link) {
        let link = self.cde.accept(vec![call(1, "1001")]).await;
        let desk = self.desk("amy").await;
        desk.until_ready().await;
        (desk, link)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn add_user(config: &Config, name: &str, extension: &str) {
    let user = NewUser {
        email: format!("{name}@example.com"),
        name: name.to_owned(),
        extension: extension.parse().ok(),
        role: Role::Agent,
        rights: Rights::default(),
        password: PASSWORD.to_owned(),
    };
    console::user_add(config, user).await.unwrap();
}

pub(crate) fn call(n: u128, extension: &str) -> CallSnapshot {
    CallSnapshot {
        call: CallId(Uuid::from_u128(n)),
        extension: extension.parse().unwrap(),
        caller: "+44 20 7946 0958".into(),
        called: "100".into(),
        way: wire::WayIn::Inline,
        keys_cross_pbx: false,
        started_unix_ms: 1_000,
        state: CallState::Talking,
        line: LineState::Open,
        line_since_unix_ms: 1_000,
        masking: wire::Masking::Natural,
        payment: None,
        hook: None,
    }
}

pub(crate) fn call_path(n: u128, rest: &str) -> String {
    format!("/api/v1/calls/{}/{rest}", Uuid::from_u128(n))
}

pub(crate) fn taking(payment: &wire::PaymentOrder, state: PaymentState, attempts: u8) -> CallSnapshot {
    let progress = Progress {
        payment: payment.payment,
        amount: payment.amount,
        state,
        fields: vec![],
        brand: None,
        last4: None,
        pan_length_expected: None,
        outcome: None,
        attempts,
        kept: None,
    };
    CallSnapshot { payment: Some(progress), line: LineState::Secured, ..call(1, "1001") }
}

pub(crate) fn database(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for file in ["office.db", "office.db-wal"] {
        bytes.extend(std::fs::read(folder.join(file)).unwrap_or_default());
    }
    bytes
}

/// Binds a socket in a folder that may not be there yet.
pub(crate) fn listen(socket: impl AsRef<Path>) -> std::io::Result<tokio::net::UnixListener> {
    std::fs::create_dir_all(socket.as_ref().parent().unwrap())?;
    tokio::net::UnixListener::bind(socket)
}
