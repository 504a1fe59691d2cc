//! One connection, from its opening to its end.

use super::{Heard, Hub, gate::Pass};
use sip::message::{Frame, Framer, PONG};
use sip::{Peer, Transport};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroize;

/// Whoever connects says something whole within this time.
pub(super) const FIRST_MESSAGE: Duration = Duration::from_secs(30);
/// After this long without a word it is closed. RFC 3261 §18 asks for 64·T1 at least; a call may be silent for long.
const IDLE: Duration = Duration::from_secs(3600);
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
/// Bytes read at once.
const READ_BYTES_MAX: usize = 8 * 1024;

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// What is to be written. It closes when nobody else can write into it.
pub(super) struct Queue {
    messages: mpsc::Receiver<Vec<u8>>,
    pongs: mpsc::WeakSender<Vec<u8>>,
}

impl Queue {
    pub(super) fn new() -> (mpsc::Sender<Vec<u8>>, Self) {
        let (sender, messages) = mpsc::channel(QUEUE_MAX);
        let pongs = sender.downgrade();
        (sender, Self { messages, pongs })
    }
}

enum Ended {
    /// By either side.
    Closed,
    /// What came cannot be cut; an answer may follow.
    Broken,
}

/// Opens a connection to a peer and keeps it; its end, or that it never began, is reported.
pub(super) async fn open(hub: Hub, peer: Peer, pass: Pass, queue: Queue) {
    match timeout(CONNECT, TcpStream::connect(peer.address))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    {
        Ok(stream) => opened(stream, &hub, peer, queue).await,
        Err(error) => refused(&hub, peer, &error).await,
    }
    drop(pass);
}

async fn opened(stream: TcpStream, hub: &Hub, peer: Peer, queue: Queue) {
    // Without it only a little time is lost.
    let _ = stream.set_nodelay(true);
    if peer.transport != Transport::Tls {
        return converse(stream, hub, peer, queue, IDLE).await;
    }
    match hub.tls().connect(stream, peer.address).await {
        Ok(stream) => converse(stream, hub, peer, queue, IDLE).await,
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
pub(super) async fn converse(stream: impl Stream, hub: &Hub, peer: Peer, mut queue: Queue, first: Duration) {
    let (reading, mut writing) = tokio::io::split(stream);
    let pongs = queue.pongs.clone();
    let ended = tokio::select! {
        ended = read(reading, hub, peer, &pongs, first) => ended,
        () = write(&mut writing, &mut queue.messages) => Ended::Closed,
    };
    if matches!(ended, Ended::Broken) {
        let _ = timeout(LAST_WORDS, write(&mut writing, &mut queue.messages)).await;
    }
    // It is over either way.
    let _ = timeout(LAST_WORDS, writing.shutdown()).await;
    let _ = hub.heard.send(Heard::Closed(peer)).await;
}

async fn read(
    mut reading: impl AsyncRead + Unpin,
    hub: &Hub,
    peer: Peer,
    pongs: &mpsc::WeakSender<Vec<u8>>,
    first: Duration,
) -> Ended {
    let (mut framer, mut buffer) = (Framer::default(), [0; READ_BYTES_MAX]);
    let mut deadline = Instant::now() + first;
    let mut has_spoken = false;
    loop {
        let Ok(Ok(length @ 1..)) = timeout_at(deadline, reading.read(&mut buffer)).await else { return Ended::Closed };
        let was_partial = framer.is_partial();
        let read = buffer.get_mut(..length).unwrap_or_default();
        framer.push(read);
        read.zeroize();
        let mut is_new = !was_partial;
        while let Some(frame) = framer.next_frame() {
            is_new = true;
            let heard = match frame {
                Frame::Message(bytes) => Heard::Message(peer, bytes),
                Frame::Broken(malformed) => Heard::Broken(peer, malformed),
                Frame::Ping => {
                    // A queue that is full, or ending, needs no sign of life.
                    pongs.upgrade().map(|queue| queue.try_send(PONG.to_vec()));
                    continue;
                }
            };
            has_spoken = true;
            let is_broken = matches!(heard, Heard::Broken(..));
            if hub.heard.send(heard).await.is_err() {
                return Ended::Closed;
            }
            if is_broken {
                return Ended::Broken;
            }
        }
        deadline = match (framer.is_partial(), has_spoken) {
            (true, _) if is_new => Instant::now() + MESSAGE,
            (false, true) => Instant::now() + IDLE,
            _ => deadline,
        };
    }
}

/// Writes what is queued until the queue closes or the peer does not take it.
async fn write(writing: &mut (impl AsyncWrite + Unpin), messages: &mut mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = messages.recv().await {
        let written = timeout(WRITE, async {
            writing.write_all(&message).await?;
            writing.flush().await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
}
