//! The media plane's sockets: one thread's UDP ports behind a small seam.
//!
//! Today a socket a leg on epoll, through `mio`. The seam is this narrow so that the design with one receive socket for
//! all ports can take its place. The only `unsafe` stands in `limit`.
//!
//! # Invariants
//! - One thread owns a [`Sockets`]; only a [`Waker`] may be used from elsewhere.
//! - A packet is lent for the length of a call, never queued here.
//! - At most [`BATCH_MAX`] packets of one socket are read in a row, so that one flooded port cannot starve the others.

mod limit;

pub use limit::raise_open_files;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The largest packet that is read whole; a longer one is cut, and nothing that we relay is as long.
pub const PACKET_BYTES_MAX: usize = 2048;
/// Packets read from one socket before the others get their turn.
pub const BATCH_MAX: usize = 64;

const WAKE: Token = Token(usize::MAX);

/// An open port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(usize);

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
    open: BTreeMap<usize, UdpSocket>,
    /// Sockets that may have more to read: epoll reports an edge only once.
    unfinished: BTreeSet<usize>,
    next: usize,
}

impl Sockets {
    /// No ports yet.
    pub fn new() -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker(Arc::new(mio::Waker::new(poll.registry(), WAKE)?));
        let sockets = Self {
            poll,
            events: Events::with_capacity(256),
            open: BTreeMap::new(),
            unfinished: BTreeSet::new(),
            next: 0,
        };
        Ok((sockets, waker))
    }

    /// Binds a port.
    pub fn open(&mut self, address: SocketAddr) -> io::Result<Port> {
        let mut socket = UdpSocket::bind(address)?;
        let name = self.next;
        self.poll.registry().register(&mut socket, Token(name), Interest::READABLE)?;
        self.next += 1;
        self.open.insert(name, socket);
        Ok(Port(name))
    }

    /// Gives a port back.
    pub fn close(&mut self, port: Port) {
        self.unfinished.remove(&port.0);
        if let Some(mut socket) = self.open.remove(&port.0) {
            // Closing the descriptor deregisters it as well; there is nothing to do about a failure.
            let _ = self.poll.registry().deregister(&mut socket);
        }
    }

    /// Sends one packet. UDP promises nothing, so neither does this: a full buffer loses the packet.
    pub fn send(&self, port: Port, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        match self.open.get(&port.0) {
            Some(socket) => socket.send_to(packet, to).map(drop),
            None => Ok(()),
        }
    }

    /// Waits for packets, the waker or the end of the time, and lends each packet to `take`.
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        mut take: impl FnMut(&Self, Port, SocketAddr, &[u8]),
    ) -> io::Result<()> {
        let timeout = if self.unfinished.is_empty() { timeout } else { Some(Duration::ZERO) };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.unfinished.extend(self.events.iter().map(|event| event.token().0).filter(|name| *name != WAKE.0));
        for name in std::mem::take(&mut self.unfinished) {
            if self.read(name, &mut take) {
                self.unfinished.insert(name);
            }
        }
        Ok(())
    }

    /// Reads one socket; true when it may have more.
    fn read(&self, name: usize, take: &mut impl FnMut(&Self, Port, SocketAddr, &[u8])) -> bool {
        let Some(socket) = self.open.get(&name) else { return false };
        let mut buffer = [0; PACKET_BYTES_MAX];
        for _ in 0..BATCH_MAX {
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) => take(self, Port(name), from, buffer.get(..length).unwrap_or_default()),
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
        let to = sockets.open.get(&port.0).unwrap().local_addr().unwrap();
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
        let address = sockets.open.get(&port.0).unwrap().local_addr().unwrap();
        sockets.close(port);
        sockets.open(address).unwrap();
        waker.wake();
        sockets.wait(None, |_, _, _, _| panic!("no packet was sent")).unwrap();
    }
}
