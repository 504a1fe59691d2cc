//! One connection, from its opening to its end.

use super::cutter::{Coding, Cut, Cutter};
use super::{Heard, Hub, gate::Pass};
use sip::{Peer, Transport, websocket};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at};
use zeroize::Zeroize;

/// Whoever connects says something whole within this time.
pub(super) const FIRST_MESSAGE: Duration = Duration::from_secs(30);
/// The same for a page, whose telephone may connect before there is anything to say.
pub(super) const WEB_FIRST_MESSAGE: Duration = Duration::from_secs(120);
/// After this long without a word it is closed. RFC 3261 §18 asks for 64·T1 at least; a call may be silent for long.
const IDLE: Duration = Duration::from_secs(3600);
/// So often a page's telephone is asked whether it is there, and after this long without a sign of it the connection is closed:
/// what stands between us forgets connections that are silent (RFC 7118 §6).
const WEB_PING: Duration = Duration::from_secs(25);
const WEB_IDLE: Duration = Duration::from_secs(80);
/// After this long without a message a page is closed whose telephone has not signed in, whatever signs of life there are: it holds one of
/// the few places of strangers.
const WEB_STRANGER: Duration = WEB_FIRST_MESSAGE;
/// A message that has begun ends within this time.
const MESSAGE: Duration = Duration::from_secs(10);
/// A peer takes what is written within this time.
const WRITE: Duration = Duration::from_secs(10);
/// Until a peer takes a connection; TLS has its own time after that.
const CONNECT: Duration = Duration::from_secs(5);
/// After the peer was told what is wrong.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Messages that wait to be written.
const QUEUE_MAX: usize = 512;
/// Signs of life that wait to be answered; one more is not.
const ANSWERS_MAX: usize = 4;
/// Bytes read at once.
const READ_BYTES_MAX: usize = 8 * 1024;

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// What is to be written. It closes when nobody else can write into it.
pub(super) struct Queue {
    messages: mpsc::Receiver<Vec<u8>>,
}

impl Queue {
    pub(super) fn new() -> (mpsc::Sender<Vec<u8>>, Self) {
        let (sender, messages) = mpsc::channel(QUEUE_MAX);
        (sender, Self { messages })
    }
}

enum Ended {
    /// By either side.
    Closed,
    /// What came cannot be cut; an answer may follow.
    Broken,
    /// It said so, and this is the last word.
    With(Vec<u8>),
}

/// Opens a connection to a peer and keeps it; its end, or that it never began, is reported.
pub(super) async fn open(hub: Hub, peer: Peer, pass: Pass, queue: Queue) {
    match timeout(CONNECT, TcpStream::connect(peer.address))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    {
        Ok(stream) => opened(stream, &hub, peer, &pass, queue).await,
        Err(error) => refused(&hub, peer, &error).await,
    }
    drop(pass);
}

async fn opened(stream: TcpStream, hub: &Hub, peer: Peer, pass: &Pass, queue: Queue) {
    // Without it only a little time is lost.
    let _ = stream.set_nodelay(true);
    if peer.transport != Transport::Tls {
        return converse(stream, hub, peer, pass, queue, IDLE).await;
    }
    match hub.tls().connect(stream, peer.address).await {
        Ok(stream) => converse(stream, hub, peer, pass, queue, IDLE).await,
        Err(error) => refused(hub, peer, &error).await,
    }
}

async fn refused(hub: &Hub, peer: Peer, error: &io::Error) {
    let transport = peer.transport.name();
    tracing::warn!(address = %peer.address, transport, %error, "a SIP peer cannot be connected to");
    // Nobody hears it when the process is ending.
    let _ = hub.heard.send(Heard::Closed(peer)).await;
}

/// Reads and writes until either side ends it, and reports that.
pub(super) async fn converse(
    stream: impl Stream,
    hub: &Hub,
    peer: Peer,
    pass: &Pass,
    mut queue: Queue,
    first: Duration,
) {
    let coding = match peer.transport {
        Transport::Ws | Transport::Wss => Coding::Web,
        Transport::Udp | Transport::Tcp | Transport::Tls => Coding::Stream,
    };
    let (reading, writing) = tokio::io::split(stream);
    let (answers, mut answered) = mpsc::channel(ANSWERS_MAX);
    let mut writer = Writer { writing, coding };
    let ended = tokio::select! {
        ended = read(reading, hub, peer, Patience::new(coding, pass, first), &answers) => ended,
        () = writer.write(&mut queue.messages, &mut answered) => Ended::Closed,
    };
    match ended {
        Ended::Broken => {
            let _ = timeout(LAST_WORDS, writer.write(&mut queue.messages, &mut answered)).await;
        }
        Ended::With(word) => {
            let _ = timeout(LAST_WORDS, writer.put(&word)).await;
        }
        Ended::Closed => {}
    }
    // It is over either way.
    let _ = timeout(LAST_WORDS, writer.writing.shutdown()).await;
    let _ = hub.heard.send(Heard::Closed(peer)).await;
}

/// Until when the next word is waited for.
struct Patience<'a> {
    coding: Coding,
    pass: &'a Pass,
    /// Without another whole message: a stranger's signs of life count for nothing.
    until: Instant,
    has_spoken: bool,
}

impl<'a> Patience<'a> {
    fn new(coding: Coding, pass: &'a Pass, first: Duration) -> Self {
        Self { coding, pass, until: Instant::now() + first, has_spoken: false }
    }

    fn heard_message(&mut self) {
        let is_web = self.coding == Coding::Web;
        (self.has_spoken, self.until) = (true, Instant::now() + if is_web { WEB_STRANGER } else { IDLE });
    }

    /// After anything that came.
    fn until(&self) -> Instant {
        let idle = if self.coding == Coding::Web { WEB_IDLE } else { IDLE };
        if self.has_spoken && self.pass.is_known() { Instant::now() + idle } else { self.until }
    }
}

async fn read(
    mut reading: impl AsyncRead + Unpin,
    hub: &Hub,
    peer: Peer,
    mut patience: Patience<'_>,
    answers: &mpsc::Sender<Vec<u8>>,
) -> Ended {
    let (mut cutter, mut buffer) = (Cutter::new(patience.coding), [0; READ_BYTES_MAX]);
    let mut deadline = patience.until;
    loop {
        let Ok(Ok(length @ 1..)) = timeout_at(deadline, reading.read(&mut buffer)).await else { return Ended::Closed };
        let was_partial = cutter.is_partial();
        let read = buffer.get_mut(..length).unwrap_or_default();
        cutter.push(read);
        read.zeroize();
        let mut is_new = !was_partial;
        while let Some(cut) = cutter.next() {
            let heard = match cut {
                Cut::Message(bytes) => Heard::Message(peer, bytes),
                Cut::Broken(malformed) => Heard::Broken(peer, malformed),
                Cut::Asked(answer) => {
                    // A queue that is full needs no sign of life.
                    let _ = answers.try_send(answer);
                    continue;
                }
                Cut::Alive => continue,
                Cut::Ended(word) => return Ended::With(word),
            };
            // A sign of life between its pieces gives a message no more time.
            is_new = true;
            patience.heard_message();
            let is_broken = matches!(heard, Heard::Broken(..));
            if hub.heard.send(heard).await.is_err() {
                return Ended::Closed;
            }
            if is_broken {
                return Ended::Broken;
            }
        }
        deadline = match cutter.is_partial() {
            true if is_new => patience.until().min(Instant::now() + MESSAGE),
            true => deadline,
            false => patience.until(),
        };
    }
}

struct Writer<W> {
    writing: W,
    coding: Coding,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes what is queued until the queue closes or the peer does not take it.
    async fn write(&mut self, messages: &mut mpsc::Receiver<Vec<u8>>, answers: &mut mpsc::Receiver<Vec<u8>>) {
        let mut ping = interval_at(Instant::now() + WEB_PING, WEB_PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let coding = self.coding;
        loop {
            let bytes = tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => coding.write(message),
                    None => return,
                },
                Some(answer) = answers.recv() => answer,
                _ = ping.tick(), if coding == Coding::Web => websocket::ping(),
            };
            if !self.put(&bytes).await {
                return;
            }
        }
    }

    async fn put(&mut self, bytes: &[u8]) -> bool {
        let written = timeout(WRITE, async {
            self.writing.write_all(bytes).await?;
            self.writing.flush().await
        });
        matches!(written.await, Ok(Ok(())))
    }
}
