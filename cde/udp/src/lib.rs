//! The media plane's sockets: one thread's UDP ports behind a small seam.
//!
//! A port has a socket of its own on epoll, through `mio`; or, where this process may, it is steered to the one socket of
//! its thread ([`Steering`]), which carries about twice as much. Whoever uses [`Sockets`] sees no difference but in time.
//!
//! `unsafe` stands in `limit`, `disconnect` and `steering` only.
//!
//! # Invariants
//! - One thread owns a [`Sockets`]; only a [`Waker`] may be used from elsewhere.
//! - A packet is lent for the length of a call, never queued here.
//! - At most [`BATCH_MAX`] packets of one socket are read in a row, so that one flooded port cannot starve the others.
//! - What is to be sent leaves before the thread waits again.

mod disconnect;
mod limit;
mod steering;

pub use limit::{raise_open_files, sleep_exactly};
pub use steering::{Lane, Steering};

use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use steering::Steered;

/// The largest packet that is read whole; a longer one is cut, and nothing that we relay is as long.
pub const PACKET_BYTES_MAX: usize = 2048;
/// Packets read from one socket before the others get their turn.
pub const BATCH_MAX: usize = 64;
/// Sockets that are read between two looks at the clock of whoever waits: about a quarter of a millisecond.
const SOCKETS_MAX: usize = 64;

/// How long packets of the fast path are let to gather; an eighth of the time that a caller can tell.
const REST: Duration = Duration::from_micros(50);
/// After how many at once.
const REST_PACKETS: std::ops::Range<usize> = 2..16;

const WAKE: Token = Token(usize::MAX);
const STEERED: Token = Token(usize::MAX - 1);

/// An open port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(usize);

impl Port {
    /// A small number that no other open port has; a port that is opened later may get it again.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Wakes the thread that waits in [`Sockets::wait`].
#[derive(Clone, Debug)]
pub struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Wakes it. If that fails, the thread still wakes by its own timer.
    pub fn wake(&self) {
        let _ = self.0.wake();
    }
}

/// The ports of one thread.
#[derive(Debug)]
pub struct Sockets {
    poll: Poll,
    events: Events,
    open: Vec<Option<Open>>,
    closed: Vec<usize>,
    /// Those with a socket of their own that are marked as ready, each once.
    ready: Vec<usize>,
    lane: Option<Lane>,
    /// Steered ports by their place in the range.
    places: Vec<Option<Port>>,
    /// The lane's socket may have something to read.
    lane_ready: bool,
    /// How many packets the lane gave last.
    together: usize,
}

#[derive(Debug)]
struct Open {
    way: Way,
    peer: Option<SocketAddr>,
}

/// How a port gets its packets.
#[derive(Debug)]
enum Way {
    /// By a socket of its own.
    Own {
        socket: UdpSocket,
        /// It may have something to read: epoll reports an edge only once.
        ready: bool,
    },
    /// By the lane's.
    Steered(Steered),
}

impl Sockets {
    /// No ports yet; those of the lane's range, if there is one, will be steered.
    pub fn new(lane: Option<Lane>) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker(Arc::new(mio::Waker::new(poll.registry(), WAKE)?));
        if let Some(lane) = &lane {
            poll.registry().register(&mut SourceFd(&lane.raw()), STEERED, Interest::READABLE)?;
        }
        let sockets = Self {
            poll,
            events: Events::with_capacity(SOCKETS_MAX),
            open: Vec::new(),
            closed: Vec::new(),
            ready: Vec::new(),
            lane,
            places: Vec::new(),
            lane_ready: false,
            together: 0,
        };
        Ok((sockets, waker))
    }

    /// Binds a port, which must be named: one that the system chose could not have its peer taken away.
    pub fn open(&mut self, address: SocketAddr) -> io::Result<Port> {
        let index = self.closed.last().copied().unwrap_or(self.open.len());
        let way = match self.lane.as_ref().and_then(|lane| lane.open(address)) {
            Some(steered) => Way::Steered(steered?),
            None => self.bind(address, index)?,
        };
        if let Way::Steered(steered) = &way {
            put(&mut self.places, steered.place(), Port(index));
        }
        self.closed.pop();
        put(&mut self.open, index, Open { way, peer: None });
        Ok(Port(index))
    }

    fn bind(&self, address: SocketAddr, index: usize) -> io::Result<Way> {
        let mut socket = UdpSocket::bind(address)?;
        self.poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
        Ok(Way::Own { socket, ready: false })
    }

    /// Gives a port back.
    pub fn close(&mut self, port: Port) {
        let Some(open) = self.open.get_mut(port.0).and_then(Option::take) else { return };
        match open.way {
            Way::Own { mut socket, .. } => {
                // Closing the descriptor deregisters it as well; there is nothing to do about a failure.
                let _ = self.poll.registry().deregister(&mut socket);
                self.ready.retain(|ready| *ready != port.0);
            }
            Way::Steered(steered) => {
                self.lane.iter().for_each(|lane| lane.close(&steered));
                self.places.get_mut(steered.place()).into_iter().for_each(|place| *place = None);
            }
        }
        self.closed.push(port.0);
    }

    /// Names the port's only peer: what others send is dropped by the system from now on, and sending looks up no route.
    /// Where it cannot be the only one, everybody may send.
    pub fn connect(&mut self, port: Port, peer: SocketAddr) {
        let Some(Some(open)) = self.open.get_mut(port.0) else { return };
        match &open.way {
            Way::Steered(steered) => self.lane.iter().for_each(|lane| lane.connect(steered, peer)),
            Way::Own { socket, .. } if open.peer != Some(peer) => {
                open.peer = socket.connect(peer).is_ok().then_some(peer);
                if open.peer.is_none() {
                    disconnect::disconnect(socket);
                }
            }
            Way::Own { .. } => {}
        }
    }

    /// Names the host that the port's only peer is at; from which of its ports it sends is not known. Where the system cannot
    /// drop what others send, everybody may send.
    pub fn confine(&mut self, port: Port, host: IpAddr) {
        self.release(port);
        if let (Some(Some(Open { way: Way::Steered(steered), .. })), Some(lane)) = (self.open.get(port.0), &self.lane) {
            lane.confine(steered, host);
        }
    }

    /// Lets everybody send to the port again.
    pub fn release(&mut self, port: Port) {
        let Some(Some(open)) = self.open.get_mut(port.0) else { return };
        match &open.way {
            Way::Steered(steered) => self.lane.iter().for_each(|lane| lane.release(steered)),
            Way::Own { socket, .. } => {
                if open.peer.take().is_some() {
                    disconnect::disconnect(socket);
                }
            }
        }
    }

    /// Sends one packet, at the latest when this thread waits. UDP promises nothing, so neither does this: a full buffer
    /// loses the packet.
    pub fn send(&mut self, port: Port, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        let Some(Some(open)) = self.open.get(port.0) else { return Ok(()) };
        match (&open.way, &mut self.lane) {
            (Way::Steered(steered), Some(lane)) => lane.send(steered, to, packet),
            (Way::Own { socket, .. }, _) if open.peer == Some(to) => match socket.send(packet) {
                // That was the ICMP answer to an earlier packet, and it is told only once.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => socket.send(packet).map(drop),
                sent => sent.map(drop),
            },
            (Way::Own { socket, .. }, _) => socket.send_to(packet, to).map(drop),
            (Way::Steered(_), None) => Ok(()),
        }
    }

    /// Waits for packets, the waker or the end of the time, and lends each packet to `take`.
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        mut take: impl FnMut(&mut Self, Port, SocketAddr, &[u8]),
    ) -> io::Result<()> {
        self.flush();
        self.rest(timeout);
        let waits = self.ready.is_empty() && !self.lane_ready;
        let timeout = if waits { timeout } else { Some(Duration::ZERO) };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.note_ready();
        self.read_lane(&mut take);
        let mut ready = std::mem::take(&mut self.ready);
        let mut buffer = [0; PACKET_BYTES_MAX];
        ready.retain(|index| {
            let has_more = self.read(*index, &mut buffer, &mut take);
            if let Some(Some(Open { way: Way::Own { ready, .. }, .. })) = self.open.get_mut(*index) {
                *ready = has_more;
            }
            has_more
        });
        self.ready = ready;
        Ok(())
    }

    /// Lets packets gather when a few at a time come: taken together they cost less, and at this rate nobody waits for them
    /// longer than for those before them. Alone, or when there are plenty, a packet is not made to wait.
    fn rest(&mut self, timeout: Option<Duration>) {
        if !self.lane_ready && REST_PACKETS.contains(&self.together) {
            std::thread::sleep(timeout.map_or(REST, |timeout| timeout.min(REST)));
            self.lane_ready = true;
        }
    }

    fn flush(&mut self) {
        self.lane.iter_mut().for_each(Lane::flush);
    }

    fn note_ready(&mut self) {
        for token in self.events.iter().map(mio::event::Event::token) {
            if token == STEERED {
                self.lane_ready = true;
            }
            if let Some(Some(Open { way: Way::Own { ready, .. }, .. })) = self.open.get_mut(token.0)
                && !std::mem::replace(ready, true)
            {
                self.ready.push(token.0);
            }
        }
    }

    /// Reads what came by the lane. Its room is away meanwhile, so that whoever gets the packets can send.
    fn read_lane(&mut self, take: &mut impl FnMut(&mut Self, Port, SocketAddr, &[u8])) {
        if !self.lane_ready {
            return;
        }
        let Some(mut incoming) = self.lane.as_mut().and_then(Lane::lend) else { return };
        self.lane_ready = incoming.read();
        self.together = incoming.len();
        for (sent_to, from, packet) in incoming.packets() {
            let place = self.lane.as_ref().and_then(|lane| lane.place(sent_to));
            if let Some(port) = place.and_then(|place| self.places.get(place)).copied().flatten() {
                take(self, port, from, packet);
            }
        }
        if let Some(lane) = &mut self.lane {
            lane.give_back(incoming);
        }
        self.flush();
    }

    /// Reads one socket; true when it may have more.
    fn read(
        &mut self,
        index: usize,
        buffer: &mut [u8; PACKET_BYTES_MAX],
        take: &mut impl FnMut(&mut Self, Port, SocketAddr, &[u8]),
    ) -> bool {
        for _ in 0..BATCH_MAX {
            let Some(Some(Open { way: Way::Own { socket, .. }, .. })) = self.open.get(index) else { return false };
            match socket.recv_from(buffer) {
                Ok((length, from)) => take(self, Port(index), from, buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error of an earlier send is reported here once; the next read goes on.
                Err(_) => {}
            }
        }
        true
    }
}

/// Puts something in a place, which may lie behind the last one.
fn put<T>(places: &mut Vec<Option<T>>, place: usize, what: T) {
    if places.len() <= place {
        places.resize_with(place + 1, || None);
    }
    if let Some(to) = places.get_mut(place) {
        *to = Some(what);
    }
}

#[cfg(test)]
mod tests;
