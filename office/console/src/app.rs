//! What every request and the door share: the configuration, the database, the live state behind its one lock.

use crate::{config::Config, door::Door, hub::Hub, secret, secret::SecretError, store::Store, turns::Turns};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use wire::{AuditAction, AuditEvent, Record, RecordBody};

/// The most desks that watch at once.
pub(crate) const STREAMS_MAX: usize = 512;
/// The most passwords that are hashed at once: each takes 19 MiB.
const HASHES_MAX: usize = 2;
/// How long an answer waits for the live state to show what the cde has confirmed. Both come over the same socket, so
/// that this is a matter of milliseconds.
const SETTLE_WAIT: Duration = Duration::from_secs(1);

/// The shared parts.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) door: Door,
    /// Names this run of the process in event ids.
    pub(crate) instance: String,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) hashing: Semaphore,
    pub(crate) counters: Counters,
    pub(crate) turns: Turns,
    /// Told whenever a session is ended, so that its streams end too.
    pub(crate) sign_outs: watch::Sender<u64>,
    /// True once the process is to stop.
    pub(crate) stop: watch::Receiver<bool>,
    hub: Mutex<Hub>,
    newest: watch::Sender<u64>,
}

/// What `/metrics` counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) records: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) commands_done: AtomicU64,
    pub(crate) commands_refused: AtomicU64,
    pub(crate) commands_failed: AtomicU64,
    pub(crate) sign_ins: AtomicU64,
    pub(crate) sign_in_failures: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) frames_witnessed: AtomicU64,
    pub(crate) frames_suspicious: AtomicU64,
    /// The worst ratio of all frames, in thousandths.
    pub(crate) worst_permille: AtomicU64,
}

impl Counters {
    /// Counts what the witness of the card side has heard.
    pub(crate) fn witness(&self, record: &Record) {
        let RecordBody::Audit(AuditEvent { action, .. }) = &record.body else { return };
        let AuditAction::Witnessed { frames, suspicious, worst_permille } = action else { return };
        self.frames_witnessed.fetch_add(*frames, Ordering::Relaxed);
        self.frames_suspicious.fetch_add(*suspicious, Ordering::Relaxed);
        self.worst_permille.fetch_max(u64::from(*worst_permille), Ordering::Relaxed);
    }
}

impl App {
    pub(crate) fn new(
        config: Config,
        store: Store,
        door: Door,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, SecretError> {
        let instance = secret::token()?.chars().take(12).collect();
        Ok(Self {
            config,
            store,
            door,
            instance,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            hashing: Semaphore::new(HASHES_MAX),
            counters: Counters::default(),
            turns: Turns::default(),
            sign_outs: watch::Sender::new(0),
            stop,
            hub: Mutex::new(Hub::default()),
            newest: watch::Sender::new(0),
        })
    }

    /// Looks at or changes the live state; whoever watches is told of new events.
    pub(crate) fn hub<T>(&self, work: impl FnOnce(&mut Hub) -> T) -> T {
        let mut hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut hub);
        let newest = hub.newest();
        drop(hub);
        self.newest.send_if_modified(|known| std::mem::replace(known, newest) != newest);
        result
    }

    /// Tells when there is a new event.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Waits a moment until the live state shows `what`.
    pub(crate) async fn until(&self, what: impl Fn(&mut Hub) -> bool) {
        let mut newest = self.watch();
        let shown = async {
            while !self.hub(&what) {
                if newest.changed().await.is_err() {
                    return;
                }
            }
        };
        if timeout(SETTLE_WAIT, shown).await.is_err() {
            tracing::warn!("the live state does not show yet what the cde has confirmed");
        }
    }
}
