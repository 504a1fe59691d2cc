//! The cde's end of the door: a Unix socket on which one office at a time listens and commands.
//!
//! # Invariants
//! - The peer's user id is checked before a byte is read.
//! - Records go out in the journal's order and stay there until acknowledged; live events may be lost with a connection,
//!   because the next one begins with a snapshot of everything.
//! - A peer that does not read, does not speak or speaks another version is cut off; calls go on without it.

use crate::journal::Journal;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{interval, timeout};
use wire::{CallSnapshot, Command, Event, FromCde, FromOffice, JournalId, LINE_BYTES_MAX, TrunkSnapshot};

/// Live events that a slow office may fall behind by before it is cut off.
pub(crate) const EVENTS_MAX: usize = 4096;
/// Either side says something at least this often.
const PING: Duration = Duration::from_secs(1);
/// After this long without a word the other side is taken for dead. The office of a test says nothing of its own accord, on a machine
/// that may have much else to do.
const SILENCE: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 5 });
/// What the last events and records may take to get out; the journal has the records in any case.
const LAST_WORDS: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 1 });
/// Calls in the greeting: so many of the longest fit in a line. The others follow as events.
const CALLS_IN_HELLO_MAX: usize = 100;

/// What the door asks of the switchboard.
pub(crate) enum Ask {
    /// A command of the office.
    Command(Box<Command>),
    /// An office has connected.
    Snapshot(oneshot::Sender<Snapshot>),
    /// The journal was put back to an earlier state: no code of an order is good that was given before.
    EndCodes,
}

/// Everything as it stands, and every event from exactly then on.
pub(crate) struct Snapshot {
    pub(crate) calls: Vec<CallSnapshot>,
    pub(crate) trunks: Vec<TrunkSnapshot>,
    pub(crate) events: broadcast::Receiver<Event>,
}

/// Everything a connection needs.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) journal: Journal,
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) office_uid: u32,
    pub(crate) warnings: Vec<String>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] wire::FrameError),
    #[error("{0}")]
    Journal(#[from] crate::journal::JournalError),
    #[error("the office said nothing for {} s", SILENCE.as_secs())]
    Silent,
    #[error("the office does not read fast enough")]
    Slow,
    #[error("the office closed the connection")]
    Closed,
    #[error("the office did not begin with hello")]
    NoHello,
    #[error("this process is ending")]
    Stopping,
}

/// Binds the socket, for its owner and group to read and write, in a folder that nobody else may write to. A folder
/// that we make, or that is ours in our data folder, is for its owner and group only; another is left as it is.
pub(crate) fn bind(socket: &Path, data: &Path) -> io::Result<UnixListener> {
    let folder = socket.parent().unwrap_or(Path::new("/"));
    let fresh = make(folder)?;
    let found = std::fs::metadata(folder)?;
    if found.mode() & 0o002 != 0 {
        return Err(io::Error::other(format!(
            "everybody may write in {}: give the door a folder of its own ([door] socket)",
            folder.display()
        )));
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    // The socket tells who we are: /proc says root of a process that cannot be dumped.
    let ours = std::fs::metadata(socket)?.uid() == found.uid();
    if fresh || ours && folder.canonicalize()?.starts_with(data.canonicalize()?) {
        std::fs::set_permissions(folder, Permissions::from_mode(0o750))?;
    }
    std::fs::set_permissions(socket, Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Makes a folder with all above it, which its group may pass through; false when it is there already.
fn make(folder: &Path) -> io::Result<bool> {
    if folder.exists() {
        return Ok(false);
    }
    if let Some(above) = folder.parent()
        && make(above)?
    {
        std::fs::set_permissions(above, Permissions::from_mode(0o710))?;
    }
    std::fs::create_dir(folder)?;
    Ok(true)
}

impl Door {
    /// Serves one office after the other; a new connection ends the one before it.
    pub(crate) async fn serve(self, listener: UnixListener, mut stop: watch::Receiver<bool>) {
        let mut current: Option<tokio::task::JoinHandle<()>> = None;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.changed() => break,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if !self.may_enter(&stream) {
                continue;
            }
            if let Some(before) = current.take() {
                before.abort();
            }
            let (door, stop) = (self.clone(), stop.clone());
            current = Some(tokio::spawn(async move {
                let ended = door.converse(stream, stop).await;
                tracing::info!(reason = %ended, "the office is gone from the door");
            }));
        }
        if let Some(last) = current {
            // Whoever does not read that fast is told by the next process.
            let _ = timeout(LAST_WORDS, last).await;
        }
    }

    fn may_enter(&self, stream: &UnixStream) -> bool {
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == self.office_uid => true,
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "a stranger knocked at the door and was turned away");
                false
            }
            Err(_) => false,
        }
    }

    async fn converse(&self, stream: UnixStream, stop: watch::Receiver<bool>) -> Ended {
        let (reading, writing) = stream.into_split();
        let mut lines = Lines::new(reading);
        let hello = match timeout(SILENCE, lines.next()).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(ended)) => return ended,
            Err(_) => return Ended::Silent,
        };
        let FromOffice::Hello { journal, acknowledged } = hello else { return Ended::NoHello };
        let known = match self.known(journal, acknowledged).await {
            Ok(known) => known,
            Err(ended) => return ended,
        };
        tracing::info!(acknowledged = known, "an office is at the door");
        self.journal.acknowledge(known).await;
        if let Err(error) = self.journal.office_has(known).await {
            return error.into();
        }
        let listening = self.listen(lines);
        let speaking = self.speak(Speaker { writing, seq: 0 }, known, stop);
        tokio::select! {
            ended = listening => ended,
            ended = speaking => ended,
        }
    }

    /// Up to which record the office has this journal.
    async fn known(&self, journal: Option<JournalId>, acknowledged: u64) -> Result<u64, Ended> {
        if journal != Some(self.journal.id()) {
            return Ok(0);
        }
        let newest = *self.journal.newest().borrow();
        if acknowledged <= newest {
            return Ok(acknowledged);
        }
        tracing::error!(
            acknowledged,
            newest,
            "THE JOURNAL IS OLDER THAN WHAT THE OFFICE HAS OF IT: its disk was put back to an earlier state, or the office \
             is not to be trusted. The journal takes a new id, so that the office takes every record that is here. \
             Compare the attempts since then with the gateway's own list. Codes of orders that wait for their calls are not good \
             any more: one that was used may be among them. Order those anew."
        );
        self.journal.rename().await?;
        // If we end here, the disk still refuses each of them when a call comes with it.
        self.asks.send(Ask::EndCodes).await.map_err(|_| Ended::Stopping)?;
        Ok(0)
    }

    async fn listen(&self, mut lines: Lines<impl AsyncRead + Unpin>) -> Ended {
        loop {
            let line = match timeout(SILENCE, lines.next()).await {
                Ok(Ok(line)) => line,
                Ok(Err(ended)) => return ended,
                Err(_) => return Ended::Silent,
            };
            match line {
                FromOffice::Command(command) => {
                    if self.asks.send(Ask::Command(Box::new(command))).await.is_err() {
                        return Ended::Stopping;
                    }
                }
                FromOffice::Ack { number } => self.journal.acknowledge(number).await,
                FromOffice::Ping => {}
                FromOffice::Hello { .. } => return Ended::NoHello,
            }
        }
    }

    async fn speak(
        &self,
        mut speaker: Speaker<impl tokio::io::AsyncWrite + Unpin>,
        known: u64,
        stop: watch::Receiver<bool>,
    ) -> Ended {
        match self.speak_until(&mut speaker, known, stop).await {
            Ok(never) => never,
            Err(ended) => ended,
        }
    }

    async fn speak_until(
        &self,
        speaker: &mut Speaker<impl tokio::io::AsyncWrite + Unpin>,
        known: u64,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Ended, Ended> {
        let (sender, snapshot) = oneshot::channel();
        self.asks.send(Ask::Snapshot(sender)).await.map_err(|_| Ended::Stopping)?;
        let Snapshot { calls, trunks, mut events } = snapshot.await.map_err(|_| Ended::Stopping)?;
        self.greet(speaker, calls, trunks).await?;
        let mut newest = self.journal.newest();
        let mut sent = self.send_records(speaker, known, &mut newest).await?;
        speaker.say(&FromCde::CaughtUp).await?;
        let mut ping = interval(PING);
        loop {
            tokio::select! {
                event = events.recv() => {
                    let event = event.map_err(|_| Ended::Slow)?;
                    // A record that came before the event is shown before it.
                    sent = self.send_records(speaker, sent, &mut newest).await?;
                    speaker.say(&FromCde::Event(event)).await?;
                }
                Ok(()) = newest.changed() => sent = self.send_records(speaker, sent, &mut newest).await?,
                _ = ping.tick() => speaker.say(&FromCde::Ping).await?,
                _ = stop.changed() => {
                    self.send_records(speaker, sent, &mut newest).await?;
                    while let Ok(event) = events.try_recv() {
                        speaker.say(&FromCde::Event(event)).await?;
                    }
                    return Ok(Ended::Stopping);
                }
            }
        }
    }

    /// The first line, and after it the trunks and the calls that are too many for one line. Calls with a payment come first: the office looks
    /// up what it has stored for the calls of the first line.
    async fn greet(
        &self,
        speaker: &mut Speaker<impl tokio::io::AsyncWrite + Unpin>,
        mut calls: Vec<CallSnapshot>,
        trunks: Vec<TrunkSnapshot>,
    ) -> Result<(), Ended> {
        calls.sort_by_key(|call| call.payment.is_none());
        let later = calls.split_off(calls.len().min(CALLS_IN_HELLO_MAX));
        speaker.say(&FromCde::Hello { journal: self.journal.id(), calls, warnings: self.warnings.clone() }).await?;
        let later = later.into_iter().map(|call| Event::Call { call });
        for event in later.chain(trunks.into_iter().map(|trunk| Event::Trunk { trunk })) {
            speaker.say(&FromCde::Event(event)).await?;
        }
        Ok(())
    }

    async fn send_records(
        &self,
        speaker: &mut Speaker<impl tokio::io::AsyncWrite + Unpin>,
        mut sent: u64,
        newest: &mut watch::Receiver<u64>,
    ) -> Result<u64, Ended> {
        while sent < *newest.borrow_and_update() {
            let records = self.journal.after(sent).await?;
            if records.is_empty() {
                break;
            }
            for record in records {
                sent = record.number;
                speaker.say(&FromCde::Record(record)).await?;
            }
        }
        Ok(sent)
    }
}

struct Speaker<W> {
    writing: W,
    seq: u64,
}

impl<W: tokio::io::AsyncWrite + Unpin> Speaker<W> {
    async fn say(&mut self, words: &FromCde) -> Result<(), Ended> {
        self.seq += 1;
        let line = wire::encode(self.seq, words)?;
        match timeout(SILENCE, self.writing.write_all(&line)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ended::Slow),
        }
    }
}

struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    seq: u64,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(reading: R) -> Self {
        Self { reader: BufReader::new(reading), line: Vec::new(), seq: 0 }
    }

    async fn next(&mut self) -> Result<FromOffice, Ended> {
        self.line.clear();
        let most = u64::try_from(LINE_BYTES_MAX + 1).unwrap_or(u64::MAX);
        let read = (&mut self.reader).take(most).read_until(b'\n', &mut self.line).await?;
        if read == 0 {
            return Err(Ended::Closed);
        }
        self.seq += 1;
        Ok(wire::decode(self.seq, &self.line)?)
    }
}

/// Where the socket stands unless the file says otherwise.
pub(crate) fn default_socket(data: &Path) -> PathBuf {
    data.join("door").join("door.sock")
}

#[cfg(test)]
mod tests;
