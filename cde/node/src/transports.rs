//! SIP's sockets: datagrams, and a task a connection. What they bring goes to the board's task in one order; what is sent
//! never waits there.
//!
//! # Invariants
//! - Connections at once are bounded, those of strangers far more tightly, and so is every queue.
//! - A connection whose peer does not read as fast as we write is closed.
//! - A TLS connection is opened to trunks alone, and verified as the trunk's configuration says.
//! - What came is wiped from the buffers that live on.

mod connection;
mod cutter;
mod found;
mod gate;
mod listener;
mod renewal;
mod tls;
mod web;

pub use tls::TlsError;
pub(crate) use tls::plain_acceptor;

use crate::NodeError;
use crate::config::Config;
use connection::Queue;
use found::Found;
use gate::{Gate, Pass};
use sip::message::Malformed;
use sip::{ConnectionId, Local, Peer, Transport};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tls::Tls;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use zeroize::Zeroize;

/// The largest UDP datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// What connections have brought and the board has not taken.
const HEARD_MAX: usize = 1024;
/// What the last messages may take to get out.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a connection's task reports.
pub(crate) enum Heard {
    /// Somebody has connected; its messages are written into this queue.
    Opened(Peer, mpsc::Sender<Vec<u8>>, Arc<Pass>),
    /// A whole message.
    Message(Peer, Vec<u8>),
    /// Something that is none; nothing follows but its end.
    Broken(Peer, Malformed),
    /// It is closed, or could not be opened.
    Closed(Peer),
}

/// What there is to read.
pub(crate) enum Next {
    /// Datagrams, at the socket with this index.
    Datagrams(usize),
    /// A connection's report.
    Heard(Heard),
}

/// What every connection's task needs.
#[derive(Clone)]
struct Hub {
    heard: mpsc::Sender<Heard>,
    gate: Arc<Gate>,
    last_id: Arc<AtomicU64>,
    tls: watch::Receiver<Arc<Tls>>,
    /// Where TLS trunks are that have names.
    found: Arc<Found>,
    /// The pages that may connect; none: all.
    origins: Arc<[String]>,
    /// Where the connections' tasks run, whoever opens them.
    tasks: Handle,
}

impl Hub {
    fn next_id(&self) -> ConnectionId {
        ConnectionId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The certificates as they are now.
    fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.tls.borrow())
    }
}

/// A connection as the board sees it.
struct Open {
    place: (Transport, SocketAddr),
    queue: mpsc::Sender<Vec<u8>>,
    /// Of one that a peer has opened.
    pass: Option<Arc<Pass>>,
    /// Something was sent over it.
    is_used: bool,
}

/// All sockets of SIP.
pub(crate) struct Transports {
    datagrams: Vec<UdpSocket>,
    buffer: Vec<u8>,
    /// The listeners, and who looks at the certificates.
    tasks: JoinSet<()>,
    locals: Vec<Local>,
    heard: mpsc::Receiver<Heard>,
    hub: Hub,
    open: BTreeMap<ConnectionId, Open>,
    by_place: BTreeMap<(Transport, SocketAddr), ConnectionId>,
}

/// Whether the certificates, keys and names of the configuration are there and fit together.
///
/// # Errors
/// The file and what is wrong with it.
pub fn check(config: &Config, folder: &Path) -> Result<(), TlsError> {
    Tls::load(config, folder, &Arc::default()).map(drop)
}

impl Transports {
    /// Binds everything that is configured.
    pub(crate) async fn bind(config: &Config, folder: &Path) -> Result<Self, NodeError> {
        let (sender, heard) = mpsc::channel(HEARD_MAX);
        let friends = config.trunk.iter().flat_map(|trunk| &trunk.address).map(|place| place.ip).collect();
        let found = Arc::default();
        let (renewed, tls) = watch::channel(Arc::new(Tls::load(config, folder, &found)?));
        let origins = config.sip.ws_origins.as_slice().into();
        let gate = Arc::new(Gate::new(friends));
        let (last_id, tasks) = (Arc::default(), Handle::current());
        let hub = Hub { heard: sender, gate, last_id, tls, found: Arc::clone(&found), origins, tasks };
        let mut transports = Self {
            datagrams: Vec::new(),
            buffer: vec![0; DATAGRAM_BYTES_MAX],
            tasks: JoinSet::new(),
            locals: Vec::new(),
            heard,
            hub,
            open: BTreeMap::new(),
            by_place: BTreeMap::new(),
        };
        transports.tasks.spawn(renewal::keep((config.clone(), folder.to_owned(), found), renewed, renewal::EVERY));
        for listen in config.sip.listeners() {
            let Local { transport, address } = listen;
            let what = || format!("SIP on {} {address}", transport.name().to_ascii_lowercase());
            transports.listen(transport, address).await.map_err(crate::io(what()))?;
        }
        Ok(transports)
    }

    async fn listen(&mut self, transport: Transport, address: SocketAddr) -> std::io::Result<()> {
        let address = if transport == Transport::Udp {
            let socket = UdpSocket::bind(address).await?;
            let bound = socket.local_addr()?;
            self.datagrams.push(socket);
            bound
        } else {
            let listener = TcpListener::bind(address).await?;
            let bound = listener.local_addr()?;
            self.tasks.spawn(listener::serve(listener, transport, self.hub.clone()));
            bound
        };
        self.locals.push(Local { transport, address });
        Ok(())
    }

    /// Has the runtime that this is called in wait for datagrams from here on.
    ///
    /// # Errors
    /// It cannot.
    pub(crate) fn move_here(&mut self) -> std::io::Result<()> {
        let moved =
            std::mem::take(&mut self.datagrams).into_iter().map(|socket| UdpSocket::from_std(socket.into_std()?));
        self.datagrams = moved.collect::<std::io::Result<_>>()?;
        Ok(())
    }

    /// A trunk that has a name is there from now on.
    pub(crate) fn know(&self, found: &crate::resolver::Found) {
        self.hub.gate.know(found.trunk, found.targets.iter().map(|target| target.ip).collect());
        let place =
            |target: &call::Target| SocketAddr::new(target.ip, target.port.unwrap_or(Transport::Tls.default_port()));
        self.hub.found.know(found.trunk, found.targets.iter().map(place).collect());
    }

    /// Where peers reach us.
    pub(crate) fn locals(&self) -> &[Local] {
        &self.locals
    }

    /// Waits for something to read.
    pub(crate) async fn next(&mut self) -> Next {
        tokio::select! {
            index = readable(&self.datagrams) => Next::Datagrams(index),
            // The hub keeps a sender: there is always something to wait for.
            Some(heard) = self.heard.recv() => Next::Heard(heard),
        }
    }

    /// Reads one datagram and lends it; false if there is none. What it was is wiped.
    pub(crate) fn read(&mut self, index: usize, take: impl FnOnce(Peer, &[u8])) -> bool {
        let Some(socket) = self.datagrams.get(index) else { return false };
        let Ok((length, from)) = socket.try_recv_from(&mut self.buffer) else { return false };
        let datagram = self.buffer.get_mut(..length).unwrap_or_default();
        take(Peer::udp(from), datagram);
        datagram.zeroize();
        true
    }

    /// Somebody has connected.
    pub(crate) fn opened(&mut self, peer: Peer, queue: mpsc::Sender<Vec<u8>>, pass: Option<Arc<Pass>>) {
        if let Some(id) = peer.connection {
            let place = (peer.transport, peer.address);
            self.open.insert(id, Open { place, queue, pass, is_used: false });
            self.by_place.insert(place, id);
        }
    }

    /// A phone has signed in over its connection, which is a stranger's no more.
    pub(crate) fn befriend(&self, peer: Peer) {
        let open = peer.connection.and_then(|id| self.open.get(&id));
        open.and_then(|open| open.pass.as_ref()).iter().for_each(|pass| pass.befriend());
    }

    /// Ends a connection after what is queued for it is sent; false if it has ended already, or if nothing was ever sent over
    /// it: then nothing can have failed, and whoever only connects and leaves costs the board no search.
    pub(crate) fn finish(&mut self, peer: Peer) -> bool {
        let Some(id) = peer.connection else { return false };
        let Some(Open { place, is_used, .. }) = self.open.remove(&id) else { return false };
        if self.by_place.get(&place) == Some(&id) {
            self.by_place.remove(&place);
        }
        is_used
    }

    /// Sends a message: over its connection, else over one to its address, which is opened if there is none. A datagram that
    /// cannot be sent now is lost, as one on the network would be; SIP sends it again.
    ///
    /// # Errors
    /// Whose connection is closed now, or cannot be opened.
    pub(crate) fn send(&mut self, to: Peer, bytes: Vec<u8>) -> Result<(), Peer> {
        if to.transport == Transport::Udp {
            self.send_datagram(to.address, &bytes);
            return Ok(());
        }
        let place = (to.transport, to.address);
        let own = to.connection.filter(|id| self.open.contains_key(id));
        let Some(id) = own.or_else(|| self.by_place.get(&place).copied()) else { return self.connect(to, bytes) };
        let peer = Peer { connection: Some(id), ..to };
        let Some(open) = self.open.get_mut(&id) else { return Err(peer) };
        open.is_used = true;
        match open.queue.try_send(bytes) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::warn!(address = %to.address, "a SIP peer does not read what is sent to it: its connection is closed");
                self.finish(peer);
                Err(peer)
            }
            // It has ended, and its report is on the way.
            Err(mpsc::error::TrySendError::Closed(bytes)) => {
                self.finish(peer);
                self.connect(to, bytes)
            }
        }
    }

    fn send_datagram(&self, to: SocketAddr, bytes: &[u8]) {
        let families = self.locals.iter().filter(|local| local.transport == Transport::Udp);
        let mut sockets = families.zip(&self.datagrams);
        let found = sockets.find(|(local, _)| local.address.is_ipv4() == to.is_ipv4());
        let sent = found.map(|(_, socket)| socket.try_send_to(bytes, to));
        if let Some(Err(error)) = sent {
            tracing::debug!(%error, "a SIP datagram was not sent");
        }
    }

    /// Opens a connection; whether that succeeds is reported, and what is sent until then waits for it.
    fn connect(&mut self, to: Peer, bytes: Vec<u8>) -> Result<(), Peer> {
        let id = self.hub.next_id();
        let peer = Peer { connection: Some(id), ..to };
        let is_possible = match to.transport {
            Transport::Tcp => true,
            Transport::Tls => self.hub.tls().knows(to.address),
            Transport::Udp | Transport::Ws | Transport::Wss => false,
        };
        let pass = if is_possible { self.hub.gate.enter(to.address.ip()) } else { None };
        let Some(pass) = pass else { return Err(peer) };
        let (sender, queue) = Queue::new();
        // An empty queue has room for the first.
        let _ = sender.try_send(bytes);
        self.hub.tasks.spawn(connection::open(self.hub.clone(), peer, pass, queue));
        self.opened(peer, sender, None);
        self.open.entry(id).and_modify(|open| open.is_used = true);
        Ok(())
    }

    /// Lets every connection send what is queued for it, and ends.
    pub(crate) async fn close(self) {
        let Self { tasks, mut heard, hub, open, .. } = self;
        drop((tasks, hub, open));
        // Whoever has not read it by then never will.
        let _ = tokio::time::timeout(LAST_WORDS, async { while heard.recv().await.is_some() {} }).await;
    }
}

/// The first socket with something to read.
async fn readable(sockets: &[UdpSocket]) -> usize {
    std::future::poll_fn(|context| {
        let ready = sockets.iter().position(|socket| socket.poll_recv_ready(context).is_ready());
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

#[cfg(test)]
mod tests;
