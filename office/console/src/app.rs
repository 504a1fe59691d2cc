//! What every request and the door share: the configuration, the database, the live state behind its one lock.

use crate::{
    config::Config, door::Door, http::calendar::Looks, hub::Hub, recurring::watch::Watch, secret, secret::SecretError,
    store::OfficeStore, turns::Turns,
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
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
/// The most reports of gateways that are read at once.
const REPORTS_MAX: usize = 1;
/// How long an answer waits for the live state to show what the cde has confirmed. Both come over the same socket, so
/// that this is a matter of milliseconds.
const SETTLE_WAIT: Duration = Duration::from_secs(1);

/// The shared parts.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn OfficeStore>,
    pub(crate) door: Door,
    /// Names this run of the process in event ids.
    pub(crate) instance: String,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) hashing: Semaphore,
    pub(crate) reports: Semaphore,
    /// Days that gateways are asked for at the same time.
    pub(crate) fetches: Semaphore,
    pub(crate) counters: Counters,
    pub(crate) turns: Turns,
    /// Told whenever a session is ended, so that its streams end too.
    pub(crate) sign_outs: watch::Sender<u64>,
    /// True once the process is to stop.
    pub(crate) stop: watch::Receiver<bool>,
    hub: Mutex<Hub>,
    clock: Mutex<Watch>,
    looks: Mutex<Looks>,
    newest: watch::Sender<u64>,
    /// True from the first time on that all was stored that the card side had to tell this run of the process.
    pub(crate) all_told: watch::Sender<bool>,
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
    /// When recurring payments were last looked at, Unix milliseconds.
    pub(crate) recurring_turn_ms: AtomicI64,
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
        store: Arc<dyn OfficeStore>,
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
            reports: Semaphore::new(REPORTS_MAX),
            fetches: Semaphore::new(REPORTS_MAX),
            counters: Counters::default(),
            turns: Turns::default(),
            sign_outs: watch::Sender::new(0),
            stop,
            hub: Mutex::new(Hub::default()),
            clock: Mutex::new(Watch::default()),
            looks: Mutex::new(Looks::default()),
            newest: watch::Sender::new(0),
            all_told: watch::Sender::new(false),
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

    /// Looks at or changes what is known of the clock.
    pub(crate) fn clock<T>(&self, work: impl FnOnce(&mut Watch) -> T) -> T {
        work(&mut self.clock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts looks at customers' calendars.
    pub(crate) fn looks<T>(&self, work: impl FnOnce(&mut Looks) -> T) -> T {
        work(&mut self.looks.lock().unwrap_or_else(PoisonError::into_inner))
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
