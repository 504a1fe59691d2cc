//! Starts and stops the office process.

use crate::{
    app::App,
    config::Config,
    door::{Door, connection},
    http, recorders, recurring,
    secret::SecretError,
    store::{self, StoreError, audit::Entry},
};
use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

/// How long requests may go on after the signal to stop; longer than a command waits for the cde.
const DRAIN_WAIT: Duration = Duration::from_secs(15);

/// Why the office did not start, or broke.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be had.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// Which address.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Another office has the database.
    #[error("another tonewall uses {0}: stop it first, or give this one a database of its own")]
    InUse(PathBuf),
    /// The database.
    #[error("{path}: {source}")]
    Store {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The machine.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Serving failed.
    #[error("serving HTTP failed: {0}")]
    Serve(std::io::Error),
}

/// A running office: it listens, and keeps its connection to the cde.
pub struct Server {
    /// Where it listens; the real port if the configuration said 0.
    pub addr: SocketAddr,
    app: Arc<App>,
    listener: TcpListener,
    stop: watch::Sender<bool>,
    door: JoinHandle<()>,
    stop_door: watch::Sender<bool>,
    recurring: JoinHandle<()>,
    recorders: JoinHandle<()>,
    /// Held as long as this office runs.
    _alone: std::fs::File,
}

/// Starts the office and runs it until `shutdown` is done.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), StartError> {
    Server::start(config).await?.run_until(shutdown).await
}

/// A second office would serve the same desks from the same database, and neither would see the other's calls. Commands
/// such as `user add` need no lock.
fn alone_with(database: &Path) -> Result<std::fs::File, StartError> {
    let mut file = database.as_os_str().to_owned();
    file.push(".lock");
    let file = PathBuf::from(file);
    let in_use = || StartError::InUse(database.to_owned());
    let store = |source| StartError::Store { path: file.clone(), source };
    let lock = std::fs::OpenOptions::new().create(true).append(true).open(&file);
    let lock = lock.map_err(|source| store(StoreError::File { path: file.clone(), source }))?;
    lock.try_lock().map_err(|_| in_use())?;
    Ok(lock)
}

impl Server {
    /// Opens the database, listens, and begins to connect to the cde. Requests wait until [`Server::run_until`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listen = config.listen;
        let path = config.database.clone();
        let store = store::open(&path).await;
        let store = store.map_err(|source| StartError::Store { path: path.clone(), source })?;
        let alone = alone_with(&path)?;
        let listener = TcpListener::bind(listen).await.map_err(|source| StartError::Listen { listen, source })?;
        let addr = listener.local_addr().map_err(|source| StartError::Listen { listen, source })?;
        let (door, commands) = Door::new();
        let (stop, stopping) = watch::channel(false);
        let public_url = config.public_url.as_ref().map(crate::config::PublicUrl::as_str);
        let links = store.set_links(public_url, config.recurring.link_days).await;
        links.map_err(|source| StartError::Store { path: path.clone(), source })?;
        let clock = store.clock_watch().await.map_err(|source| StartError::Store { path: path.clone(), source })?;
        let app = Arc::new(App::new(config, store, door, stopping)?);
        app.clock(|watch| *watch = clock);
        note(&app, "office_start").await;
        tokio::spawn(http::reconciliations::sweep(app.clone()));
        let (stop_door, stopping) = watch::channel(false);
        let door = tokio::spawn(connection::keep(app.clone(), commands, stopping));
        let recurring = tokio::spawn(recurring::run::keep(app.clone()));
        let recorders = tokio::spawn(recorders::keep(app.clone()));
        tracing::info!(%addr, "the office listens");
        Ok(Self { addr, app, listener, stop, door, stop_door, recurring, recorders, _alone: alone })
    }

    /// Serves until `shutdown` is done, then ends the event streams, finishes what was asked, and closes the database.
    pub async fn run_until(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), StartError> {
        let Self { app, listener, stop, door, stop_door, recurring, recorders, _alone, .. } = self;
        let service = http::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let mut stopping = app.stop.clone();
        let ending = async move {
            // An error means that the sender is gone, which is an end too.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        let mut serving = tokio::spawn(axum::serve(listener, service).with_graceful_shutdown(ending).into_future());
        let early = tokio::select! {
            ended = &mut serving => Some(ended),
            () = shutdown => None,
        };
        stop.send_replace(true);
        let ended = match early {
            Some(ended) => Some(ended),
            None => timeout(DRAIN_WAIT, &mut serving).await.ok(),
        };
        serving.abort();
        if timeout(DRAIN_WAIT, recurring).await.is_err() {
            tracing::warn!("a recurring payment is still being asked for: the next process asks what became of it");
        }
        if timeout(DRAIN_WAIT, recorders).await.is_err() {
            tracing::warn!("recorders are still being asked");
        }
        // Last, because requests that are being finished wait for answers that come through it.
        stop_door.send_replace(true);
        if door.await.is_err() {
            tracing::error!("the connection to the cde ended by a fault");
        }
        note(&app, "office_stop").await;
        app.store.close().await;
        match ended {
            Some(Ok(Err(error))) => Err(StartError::Serve(error)),
            _ => Ok(()),
        }
    }
}

async fn note(app: &App, what: &str) {
    let entry = Entry::system(crate::clock::now_ms(), what, "ok", "office");
    if let Err(error) = app.store.audit(&entry).await {
        tracing::error!(%error, "the audit trail could not be written");
    }
}
