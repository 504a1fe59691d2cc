//! The media plane's sockets: one thread's UDP ports behind a small seam.
//!
//! Today a socket a leg on epoll, through `mio`. The seam is this narrow so that the design with one receive socket for
//! all ports can take its place. `unsafe` stands in `limit` and
//! `disconnect` only.
//!
//! # Invariants
//! - One thread owns a [`Sockets`]; only a [`Waker`] may be used from elsewhere.
//! - A packet is lent for the length of a call, never queued here.
//! - At most [`BATCH_MAX`] packets of one socket are read in a row, so that one flooded port cannot starve the others.

mod disconnect;
mod limit;

pub use limit::raise_open_files;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The largest packet that is read whole; a longer one is cut, and nothing that we relay is as long.
pub const PACKET_BYTES_MAX: usize = 2048;
/// Packets read from one socket before the others get their turn.
pub const BATCH_MAX: usize = 64;
/// Sockets that are read between two looks at the clock of whoever waits: about a quarter of a millisecond.
const SOCKETS_MAX: usize = 64;

const WAKE: Token = Token(usize::MAX);

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
    /// Those that are marked as ready, each once.
    ready: Vec<usize>,
}

#[derive(Debug)]
struct Open {
    socket: UdpSocket,
    /// It may have something to read: epoll reports an edge only once.
    ready: bool,
    peer: Option<SocketAddr>,
}

impl Sockets {
    /// No ports yet.
    pub fn new() -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker(Arc::new(mio::Waker::new(poll.registry(), WAKE)?));
        let events = Events::with_capacity(SOCKETS_MAX);
        Ok((Self { poll, events, open: Vec::new(), closed: Vec::new(), ready: Vec::new() }, waker))
    }

    /// Binds a port, which must be named: one that the system chose could not have its peer taken away.
    pub fn open(&mut self, address: SocketAddr) -> io::Result<Port> {
        let mut socket = UdpSocket::bind(address)?;
        let index = self.closed.last().copied().unwrap_or(self.open.len());
        self.poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
        self.closed.pop();
        let open = Some(Open { socket, ready: false, peer: None });
        match self.open.get_mut(index) {
            Some(place) => *place = open,
            None => self.open.push(open),
        }
        Ok(Port(index))
    }

    /// Gives a port back.
    pub fn close(&mut self, port: Port) {
        if let Some(mut open) = self.open.get_mut(port.0).and_then(Option::take) {
            // Closing the descriptor deregisters it as well; there is nothing to do about a failure.
            let _ = self.poll.registry().deregister(&mut open.socket);
            self.ready.retain(|ready| *ready != port.0);
            self.closed.push(port.0);
        }
    }

    /// Names the port's only peer: what others send is dropped by the system from now on, and sending looks up no route.
    /// Where it cannot be the only one, everybody may send.
    pub fn connect(&mut self, port: Port, peer: SocketAddr) {
        let Some(Some(open)) = self.open.get_mut(port.0) else { return };
        if open.peer != Some(peer) {
            open.peer = open.socket.connect(peer).is_ok().then_some(peer);
            if open.peer.is_none() {
                disconnect::disconnect(&open.socket);
            }
        }
    }

    /// Sends one packet. UDP promises nothing, so neither does this: a full buffer loses the packet.
    pub fn send(&self, port: Port, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        let Some(Some(open)) = self.open.get(port.0) else { return Ok(()) };
        if open.peer != Some(to) {
            return open.socket.send_to(packet, to).map(drop);
        }
        match open.socket.send(packet) {
            // That was the ICMP answer to an earlier packet, and it is told only once.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => open.socket.send(packet).map(drop),
            sent => sent.map(drop),
        }
    }

    /// Waits for packets, the waker or the end of the time, and lends each packet to `take`.
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        mut take: impl FnMut(&Self, Port, SocketAddr, &[u8]),
    ) -> io::Result<()> {
        let timeout = if self.ready.is_empty() { timeout } else { Some(Duration::ZERO) };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for index in self.events.iter().map(|event| event.token().0) {
            if let Some(Some(open)) = self.open.get_mut(index)
                && !std::mem::replace(&mut open.ready, true)
            {
                self.ready.push(index);
            }
        }
        let mut ready = std::mem::take(&mut self.ready);
        let mut buffer = [0; PACKET_BYTES_MAX];
        ready.retain(|index| {
            let has_more = self.read(*index, &mut buffer, &mut take);
            if let Some(Some(open)) = self.open.get_mut(*index) {
                open.ready = has_more;
            }
            has_more
        });
        self.ready = ready;
        Ok(())
    }

    /// Reads one socket; true when it may have more.
    fn read(
        &self,
        index: usize,
        buffer: &mut [u8; PACKET_BYTES_MAX],
        take: &mut impl FnMut(&Self, Port, SocketAddr, &[u8]),
    ) -> bool {
        let Some(Some(open)) = self.open.get(index) else { return false };
        for _ in 0..BATCH_MAX {
            match open.socket.recv_from(buffer) {
                Ok((length, from)) => take(self, Port(index), from, buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error of an earlier send is reported here once; the next read goes on.
                Err(_) => {}
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_arrives_however_many_come_at_once() {
        let (mut sockets, _waker) = Sockets::new().unwrap();
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let port = sockets.open(address(0)).unwrap();
        let to = sockets.open[port.0].as_ref().unwrap().socket.local_addr().unwrap();
        let sender = std::net::UdpSocket::bind(address(0)).unwrap();
        for number in 0..u8::try_from(BATCH_MAX + 10).unwrap() {
            sender.send_to(&[number], to).unwrap();
        }
        let mut seen = Vec::new();
        for _ in 0..5 {
            sockets.wait(Some(Duration::from_millis(50)), |_, _, _, packet| seen.push(packet[0])).unwrap();
        }
        assert_eq!(seen, (0..u8::try_from(BATCH_MAX + 10).unwrap()).collect::<Vec<_>>());
    }

    #[test]
    fn a_closed_port_can_be_opened_again_and_a_waker_wakes() {
        let (mut sockets, waker) = Sockets::new().unwrap();
        let port = sockets.open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = sockets.open[port.0].as_ref().unwrap().socket.local_addr().unwrap();
        sockets.close(port);
        sockets.open(address).unwrap();
        waker.wake();
        sockets.wait(None, |_, _, _, _| panic!("no packet was sent")).unwrap();
    }

    fn heard(sockets: &mut Sockets) -> Vec<u8> {
        let mut heard = Vec::new();
        sockets.wait(Some(Duration::from_millis(50)), |_, _, _, packet| heard.push(packet[0])).unwrap();
        heard
    }

    #[test]
    fn a_port_hears_its_peer_alone_and_another_one_when_it_is_told_so() {
        let (mut sockets, _waker) = Sockets::new().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        // The system takes back a port that it chose itself when the socket has no peer any more.
        let to = std::net::UdpSocket::bind(any).unwrap().local_addr().unwrap();
        let port = sockets.open(to).unwrap();
        let [first, second] = [(); 2].map(|()| std::net::UdpSocket::bind(any).unwrap());
        let mut say = |peer: Option<SocketAddr>| {
            peer.into_iter().for_each(|peer| sockets.connect(port, peer));
            first.send_to(&[1], to).unwrap();
            second.send_to(&[2], to).unwrap();
            heard(&mut sockets)
        };
        assert_eq!(say(None), [1, 2]);
        assert_eq!(say(first.local_addr().ok()), [1]);
        assert_eq!(say(second.local_addr().ok()), [2]);
        // No socket of IPv4 can have such a peer. That must not leave the one before it.
        assert_eq!(say(Some(SocketAddr::from(([0; 8], 9)))), [1, 2]);
    }

    #[test]
    fn a_peer_that_was_not_there_yet_loses_no_packet_once_it_is() {
        let (mut sockets, _waker) = Sockets::new().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let port = sockets.open(any).unwrap();
        let later = std::net::UdpSocket::bind(any).unwrap().local_addr().unwrap();
        sockets.connect(port, later);
        sockets.send(port, later, &[1]).unwrap();
        let peer = std::net::UdpSocket::bind(later).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        sockets.send(port, later, &[2]).unwrap();
        let mut packet = [0];
        peer.recv(&mut packet).unwrap();
        assert_eq!(packet, [2]);
    }

    #[test]
    fn open_ports_have_different_small_numbers() {
        let (mut sockets, _waker) = Sockets::new().unwrap();
        let mut open = || sockets.open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let ports = [(); 3].map(|()| open());
        assert_eq!(ports.map(Port::index), [0, 1, 2]);
        sockets.close(ports[1]);
        sockets.close(ports[1]);
        let mut open = || sockets.open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        assert_eq!([(); 2].map(|()| open().index()), [1, 3]);
    }
}
