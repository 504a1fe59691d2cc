//! The shell of the card data environment: sockets, clock, HTTP client, disk. It decides nothing.
//!
//! # Invariants
//! - The only clock is `clock`; the only randomness is `seeds`.
//! - RTP never crosses the async side; see `media_plane`.
//! - Hosts that may be called stand in `cde.toml` and nowhere else.
//! - Nothing that could hold a digit is logged: bodies, requests and keys have no way to be printed.
//!
//! # Layout
//! - [`config`]: `cde.toml`. [`journal`]: attempts and records. [`custody`]: the vault's databases and its root key. `door`: the way to the office.
//! - `board`: the task that owns the switchboard. `resolver`: where trunks with names are. `transports`: SIP's sockets. `media_plane`: the media threads. `recorder`: recordings.
//! - `credentials`: what the office gives gateways to sign in with. [`pins`]: the agents' PINs on disk.
//! - [`relay`]: media sessions without SIP, for measuring. `charge`: attempts, and settling what is unknown.
//! - `terminal`: one gateway over HTTP, with its key. `inbound`: webhooks, and charges of pay connectors.

pub mod config;
pub mod custody;
pub mod journal;
pub mod pins;
pub mod relay;

mod board;
mod charge;
mod clock;
mod credentials;
mod door;
mod inbound;
mod logins;
mod media_plane;
mod recorder;
mod resolver;
#[cfg(test)]
mod samples;
mod seeds;
mod terminal;
mod transports;

pub use config::{Config, ConfigError};
pub use credentials::{check_credentials, seal_credential};
pub use journal::JournalError;
pub use media_plane::MediaSockets;
pub use memory::{Capability, User, WipingAllocator, drop_capabilities, harden, run_as};
pub use sip::Local;
pub use terminal::{ChargerError, check_gateways};
pub use transports::{TlsError, check};

use aws_lc_rs::hmac;
use board::{Inbox, Outbox};
use call::{Switchboard, config as calls};
use charge::{Charger, LiveCalls};
use door::Door;
use media_plane::MediaPlane;
use recorder::Recorder;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use transports::Transports;

/// Why the cde process does not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A gateway.
    #[error(transparent)]
    Charger(#[from] ChargerError),
    /// Another cde has the folder.
    #[error("another tonewall uses {0}: stop it first, or give this one a folder of its own")]
    InUse(PathBuf),
    /// A certificate, a key or a name of SIP over TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificate for the sound of browsers.
    #[error(transparent)]
    Certificate(#[from] webrtc::NoCertificate),
    /// A socket, a file or a thread.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The vault.
    #[error("vault: {0}")]
    Vault(#[from] custody::CustodyError),
    /// Cards would lie in pages that may be swapped to disk.
    #[error(
        "no memory can be locked for cards: raise the limit (`ulimit -l`, LimitMEMLOCK= in the unit) to 64 KiB or more"
    )]
    NoLockedMemory,
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> NodeError {
    let what = what.into();
    move |source| NodeError::Io { what, source }
}

/// Where everything of this process lies, once the configuration's defaults are filled in.
#[derive(Clone, Debug)]
pub struct Places {
    /// The configuration's own folder: paths in it start there.
    pub folder: PathBuf,
    /// The journal's folder.
    pub data: PathBuf,
    /// The door's socket.
    pub door: PathBuf,
    /// The recordings' folder, if calls are recorded.
    pub recordings: Option<PathBuf>,
}

impl Places {
    /// From the configuration and the folder that `cde.toml` lies in; relative paths start there.
    pub fn new(config: &Config, folder: &Path) -> Self {
        let data = folder.join(config.data.folder.as_deref().unwrap_or(Path::new("cde-data")));
        let door = config.door.socket.as_ref().map_or_else(|| door::default_socket(&data), |door| folder.join(door));
        let recordings = config.data.recordings.as_ref().map(|recordings| folder.join(recordings));
        Self { folder: folder.to_owned(), data, door, recordings }
    }
}

/// Runs the cde process until `stop` turns true. `ready` is told our SIP addresses once everything is bound.
pub async fn run(
    config: Config,
    places: Places,
    sockets: MediaSockets,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(&[Local]),
) -> Result<(), NodeError> {
    if memory::protection() == memory::Protection::None {
        return Err(NodeError::NoLockedMemory);
    }
    private_folder(&places.data)?;
    let _alone = alone_in(&places.data)?;
    let journal = journal::Journal::open_keeping(&places.data.join("journal.db"), config.data.records_days).await?;
    let (ended, outcomes) = mpsc::channel(1024);
    let seeds = seeds::Seeds::new();
    let digest_key = hmac::Key::new(hmac::HMAC_SHA256, &secret(&places.data.join("digest.key"), &seeds)?);
    let (live, code_key) = (LiveCalls::default(), code_key(&digest_key));
    let vault = open_vault(&config, &places.folder).await?;
    let safe = credentials::Safe::new(&places.data, vault.cards.clone(), digest_key.clone());
    let given = given(&config, &safe).await;
    let custody = (vault.cards.clone(), safe, &given);
    let charger = Charger::new((&config, &places.folder), custody, journal.clone(), digest_key, live.clone(), ended)?;
    let recorder = Recorder::start(places.recordings.clone()).map_err(io("recordings folder"))?;
    let record = recorder.records();
    udp::raise_open_files().map_err(io("limit of open files"))?;
    let trouble = sockets.trouble.clone();
    let certificates = certificates(&config)?;
    let fingerprints = certificates.as_ref().map(webrtc::Certificates::fingerprints);
    let (media, reports) =
        MediaPlane::start(sockets, config.media.hold, &recorder, certificates).map_err(io("media threads"))?;
    let transports = Transports::bind(&config, &places.folder).await?;
    let locals = transports.locals().to_vec();
    let (asks, asked) = mpsc::channel(256);
    let (events, _) = broadcast::channel(door::EVENTS_MAX);
    let listener = door::bind(&places.door, &places.data).map_err(io(format!("door {}", places.door.display())))?;
    let own_uid = std::fs::metadata(&places.door).map_err(io("door"))?.uid();
    let door = Door {
        journal: journal.clone(),
        asks,
        office_uid: config.door.office_uid.unwrap_or(own_uid),
        warnings: warnings(&config, own_uid).into_iter().chain(trouble).chain(vault.said).collect(),
    };
    // The door has a stop of its own: while calls are drained, their agents need the desk.
    let (close_door, door_closes) = watch::channel(false);
    let serving = tokio::spawn(door.serve(listener, door_closes));
    tokio::spawn(charger.clone().tell_of_people_again());
    tokio::spawn(charger.clone().settle_left_over(journal.newest_attempt().await?));
    if let Some(inbound) = inbound::Inbound::bind(&config, &places.folder, charger.clone()).await? {
        tokio::spawn(inbound.serve());
    }
    let logins = logins::read(&config.trunk, &places.folder)?;
    let phones = phones(&config, logins::phones(&config.phone, &places.folder)?);
    let calls = calls::Config { phones, ..call_config(&config, locals.clone(), record, logins, fingerprints) };
    let board = recalling(calls, seeds.next(), &code_key, &journal).await?;
    // Kept here to the end: the last events wait in it for the door.
    let (journaled, tasks) = (journal.clone(), tokio::runtime::Handle::current());
    let outbox = Arc::new(Outbox { media, events, journal: journaled, charger, live, seeds, tasks });
    let found = resolver::start(&config).map_err(|error| io("name server")(std::io::Error::other(error)))?;
    ready(&locals);
    let pins = pins::Watch::new(&places.data);
    let inbox = Inbox { found, transports, reports, asks: asked, ended: outcomes, stop };
    board::run(board, pins, inbox, Arc::clone(&outbox)).await.map_err(io("the switchboard's thread"))?;
    journal.close().await;
    close_door.send_replace(true);
    // A panic in it would have been logged.
    let _ = serving.await;
    custody::close(vault.cards.as_deref()).await;
    Ok(())
}

/// By which marks of codes of orders are made: not by the key itself, with which digests of requests are.
fn code_key(digest_key: &hmac::Key) -> [u8; 32] {
    let mut key = [0; 32];
    let tag = hmac::sign(digest_key, b"codes of orders of bounced calls");
    key.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    key
}

/// A switchboard that knows of bounced orders that were made or sent before it was there.
async fn recalling(
    calls: calls::Config,
    seed: [u8; 32],
    code_key: &[u8; 32],
    journal: &journal::Journal,
) -> Result<Switchboard, JournalError> {
    let mut board = Switchboard::new(clock::now(), clock::unix_ms(), calls, seed);
    board.set_code_key(code_key);
    for order in journal.taken_orders().await? {
        // A clock that was set back makes none older.
        let age_ms = u64::try_from(clock::unix_ms().saturating_sub(order.sent_unix_ms)).unwrap_or(0);
        let age = Duration::from_millis(age_ms);
        board.recall_order(clock::now(), (order.merchant, order.reference, order.amount), order.payment, age);
    }
    for (kept, state) in journal.kept_orders().await? {
        let left_ms = u64::try_from(kept.until_unix_ms.saturating_sub(clock::unix_ms())).unwrap_or(0);
        board.recall_code(clock::now(), kept, state, Duration::from_millis(left_ms));
    }
    Ok(board)
}

/// What the office has given, opened.
async fn given(config: &Config, safe: &credentials::Safe) -> std::collections::BTreeMap<String, credentials::Secrets> {
    let mut given = std::collections::BTreeMap::new();
    for gateway in config.gateway.iter().filter(|gateway| gateway.key_from_office) {
        given.insert(gateway.name.clone(), safe.secrets(&gateway.name).await);
    }
    given
}

/// The vault, if there is one.
struct OpenVault {
    cards: Option<Arc<custody::Cards>>,
    said: Option<String>,
}

/// Better no start than one that finds out at the first stored card.
async fn open_vault(config: &Config, folder: &Path) -> Result<OpenVault, NodeError> {
    if config.vault.is_none() {
        return Ok(OpenVault { cards: None, said: None });
    }
    let custody = custody::Custody::of(config, folder)?;
    let (cards, said) = (custody.open().await?, custody.said());
    tracing::warn!("{said}");
    Ok(OpenVault { cards: Some(Arc::new(cards)), said: Some(said) })
}

/// What `/readyz` must say of this installation.
fn warnings(config: &Config, own_uid: u32) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.door.office_uid.is_none_or(|uid| uid == own_uid) {
        warnings
            .push("both processes run as one user: a taken-over office could read the journal and cde.toml".to_owned());
    }
    if memory::protection() == memory::Protection::Mlock {
        warnings.push("this kernel has no memfd_secret: cards lie in locked pages that root can read".to_owned());
    }
    if media::masking_disabled() {
        warnings.push("MASKING IS OFF: this is a test build".to_owned());
    }
    warnings
}

/// For the sound of browsers; none where no trunk has any. They are made anew at each start: a browser knows them by what SIP says.
fn certificates(config: &Config) -> Result<Option<webrtc::Certificates>, NodeError> {
    let has_browsers = config.trunk.iter().any(|trunk| trunk.transport.is_web());
    Ok(has_browsers.then(webrtc::Certificates::generate).transpose()?)
}

fn call_config(
    config: &Config,
    sip: Vec<Local>,
    record: bool,
    logins: Vec<Option<calls::Login>>,
    fingerprints: Option<[[u8; 32]; 2]>,
) -> calls::Config {
    let web = fingerprints.map(|[ours, other]| sip::offer_answer::Certificates { ours, other });
    let target = |place: &config::Place| calls::Target {
        ip: place.ip,
        port: place.port,
        priority: place.priority,
        weight: place.weight,
    };
    let trunk = |(trunk, login): (&config::Trunk, Option<calls::Login>)| calls::Trunk {
        name: trunk.name.clone(),
        targets: trunk.address.iter().map(target).collect(),
        transport: trunk.transport.sip(),
        tcp_when_large: trunk.tcp_when_large,
        keepalive: trunk.keepalive_s.map(|seconds| Duration::from_secs(seconds.into())),
        // A browser knows nothing else.
        srtp: web.filter(|_| trunk.transport.is_web()).map_or(trunk.srtp.sip(), call::Srtp::Web),
        login,
        domain: trunk.domain.clone(),
        on_demand: trunk.on_demand.as_ref().map(config::OnDemand::call),
        test_number: trunk.test_number.as_ref().and_then(|number| number.parse().ok()),
        nat: trunk.nat.call(),
    };
    let place = |name: &String| config.trunk.iter().position(|trunk| trunk.name == *name);
    let route = |route: &config::Route| calls::Route {
        from: route.from.clone(),
        to: route.to.clone(),
        prefix: route.prefix.clone(),
        extension: route.extension.as_ref().and_then(|extension| extension.parse().ok()),
        rewrite: calls::Rewrite { strip: route.strip, add: route.add.clone() },
        outbound: route.outbound,
        feature_code: route.feature_code.clone(),
        bounce: route.bounce.as_ref().map(config::Bounce::call),
        open_line_keys: match route.open_line_keys {
            config::OpenLineKeys::Ignore => calls::OpenLineKeys::Ignore,
            config::OpenLineKeys::Alarm => calls::OpenLineKeys::Alarm,
            config::OpenLineKeys::Secure => calls::OpenLineKeys::Secure,
        },
        recorder: route.recorder.as_ref().and_then(place).map(|trunk| recorder(route, trunk)),
        hook: config::hook::call(route.recorder_hook, route.recorder_call_id.as_ref()),
    };
    calls::Config {
        sip,
        media: config.media.address,
        media_v6: config.media.address_v6,
        ports: (config.media.first_port, config.media.last_port),
        calls_max: config.sip.calls_max,
        trunks: config.trunk.iter().zip(logins).map(trunk).collect(),
        phones: Vec::new(),
        routes: config.route.iter().map(route).collect(),
        merchants: config.merchant.iter().filter_map(|merchant| merchant.id.parse().ok()).collect(),
        code_to_keep: config.code_to_keep(),
        rules: payment::Rules::default(),
        record,
        headers_passed: config.sip.pass_headers.clone(),
        ladder_bytes_max: usize::from(config.sip.ladder_mib) << 20,
        masking: match config.media.masking {
            config::Masking::Natural => media::Policy::Natural,
            config::Masking::Strict => media::Policy::Strict,
        },
    }
}

fn recorder(route: &config::Route, trunk: usize) -> calls::Recorder {
    calls::Recorder { trunk, is_required: route.recorder_required }
}

/// Each with its trunk; one without was refused with the configuration.
fn phones(config: &Config, credentials: Vec<Arc<sip::Credentials>>) -> Vec<calls::Phone> {
    let phone = |(phone, credentials): (&config::Phone, Arc<sip::Credentials>)| {
        let trunk = config.trunk.iter().position(|trunk| trunk.name == phone.trunk)?;
        Some(calls::Phone { name: phone.name.clone(), trunk, credentials })
    };
    config.phone.iter().zip(credentials).filter_map(phone).collect()
}

/// A folder for this user alone.
fn private_folder(folder: &Path) -> Result<(), NodeError> {
    let what = || format!("data folder {}", folder.display());
    std::fs::create_dir_all(folder).map_err(io(what()))?;
    // Its group may pass through to the door's folder, and read nothing.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o710)).map_err(io(what()))
}

/// Two of us on one journal would both ask for the same attempts, and the second would take the first one's door. The
/// system gives the lock back when the process ends, however it ends.
fn alone_in(folder: &Path) -> Result<std::fs::File, NodeError> {
    let file = folder.join("lock");
    let lock = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&file);
    let lock = lock.map_err(io(format!("lock file {}", file.display())))?;
    lock.try_lock().map_err(|_| NodeError::InUse(folder.to_owned()))?;
    Ok(lock)
}

/// A secret of 32 bytes in a file for this user alone; made when it is not there.
pub(crate) fn secret(file: &Path, seeds: &seeds::Seeds) -> Result<[u8; 32], NodeError> {
    use std::io::Write;
    let what = || format!("key file {}", file.display());
    if let Ok(bytes) = std::fs::read(file) {
        return bytes.try_into().map_err(|_| io(what())(std::io::Error::other("expected exactly 32 bytes")));
    }
    let fresh = seeds.next();
    let mut options = std::fs::OpenOptions::new();
    let mut created = options.write(true).create_new(true).mode(0o600).open(file).map_err(io(what()))?;
    created.write_all(&fresh).and_then(|()| created.sync_all()).map_err(io(what()))?;
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_one_at_a_time() {
        let folder = samples::Folder::new();
        let first = alone_in(&folder.0).unwrap();
        assert!(matches!(alone_in(&folder.0), Err(NodeError::InUse(_))));
        drop(first);
        assert!(alone_in(&folder.0).is_ok());
    }

    #[test]
    fn relative_paths_start_at_the_folder() {
        let text =
            "[data]\nfolder = \"journal\"\nrecordings = \"/srv/recordings\"\n[door]\nsocket = \"run/door.sock\"\n";
        let config = Config::parse(text, Path::new("cde.toml")).unwrap();
        let places = Places::new(&config, Path::new("/etc/t"));
        assert_eq!(places.data, Path::new("/etc/t/journal"));
        assert_eq!(places.door, Path::new("/etc/t/run/door.sock"));
        assert_eq!(places.recordings.as_deref(), Some(Path::new("/srv/recordings")));
        let places = Places::new(&Config::default(), Path::new("/etc/t"));
        assert_eq!(places.door, Path::new("/etc/t/cde-data/door/door.sock"));
        assert_eq!(places.recordings, None);
    }
}
