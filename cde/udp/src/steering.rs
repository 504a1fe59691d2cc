//! One receiving and one sending socket a thread instead of one a port: the fast path.
//!
//! The kernel asks a program of ours which socket a packet is for, so that a thread gets all its packets from one socket
//! and many by one call; and it sends them from one raw socket, with a UDP header that we write. A socket a port costs
//! more than what is done with its packet: its readiness is asked for, and its memory is no longer in any cache when the
//! next packet comes, 20 ms later.
//!
//! This needs CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW once, when it is set up, and none of them later.

mod bpf;
mod incoming;
mod outgoing;
mod program;
mod table;

use incoming::Incoming;
use outgoing::Outgoing;

use bpf::Map;
use program::Inputs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use table::Table;

/// Steers the packets of a range of ports to the sockets of the threads.
#[derive(Debug)]
pub struct Steering {
    lanes: Vec<Lane>,
}

/// The fast path of one thread.
#[derive(Debug)]
pub struct Lane {
    /// Away while what it has read is lent.
    incoming: Option<Incoming>,
    outgoing: Outgoing,
    shared: Arc<Shared>,
    thread: u32,
}

/// What the threads have in common.
#[derive(Debug)]
struct Shared {
    table: Table,
    address: Ipv4Addr,
    first_port: u16,
    /// While it is open the kernel asks our program. It vanishes with the process.
    _link: OwnedFd,
}

impl Steering {
    /// Sets it up for the ports from `first` to `last` of an address of ours.
    ///
    /// # Errors
    /// If the kernel has no such programs or this process may not load one; sockets of each port's own do as well then.
    pub fn attach(address: Ipv4Addr, first: u16, last: u16, threads: usize) -> io::Result<Self> {
        let ports = u32::from(last.saturating_sub(first)) + 1;
        let map = bpf::create_map(Map::SharedArray, table::ENTRY_BYTES, ports)?;
        let table = Table::of(&map, usize::try_from(ports).unwrap_or(0))?;
        let threads = u32::try_from(threads.max(1)).map_err(io::Error::other)?;
        let sockets = bpf::create_map(Map::Sockets, 4, threads)?;
        let mut ends = Vec::new();
        for thread in 0..threads {
            let (incoming, outgoing) = (Incoming::bind()?, Outgoing::bind(address)?);
            bpf::put_socket(&sockets, thread, incoming.as_fd())?;
            ends.push((thread, incoming, outgoing));
        }
        let address_in_memory = u32::from_ne_bytes(address.octets());
        let inputs = Inputs {
            ports_fd: fd(&map),
            sockets_fd: fd(&sockets),
            first_port: first,
            ports,
            address: address_in_memory,
        };
        let program = bpf::load(&program::assemble(&inputs))?;
        let link = bpf::attach(&program, &std::fs::File::open("/proc/self/ns/net")?)?;
        let shared = Arc::new(Shared { table, address, first_port: first, _link: link });
        let lane = |(thread, incoming, outgoing)| Lane {
            incoming: Some(incoming),
            outgoing,
            shared: Arc::clone(&shared),
            thread,
        };
        Ok(Self { lanes: ends.into_iter().map(lane).collect() })
    }

    /// The fast path of each thread.
    pub fn into_lanes(self) -> Vec<Lane> {
        self.lanes
    }
}

/// A port that is steered: its place in the table.
#[derive(Debug)]
pub(crate) struct Steered {
    place: u16,
    /// Bound to the port and never read, so that nobody else can have it.
    _held: UdpSocket,
}

impl Lane {
    /// Opens a port; none if it is not one of the range.
    pub(crate) fn open(&self, address: SocketAddr) -> Option<io::Result<Steered>> {
        let SocketAddr::V4(address) = address else { return None };
        let place = address.port().checked_sub(self.shared.first_port)?;
        if *address.ip() != self.shared.address || !self.shared.table.has(place.into()) {
            return None;
        }
        Some(UdpSocket::bind(address).and_then(|held| match self.shared.table.open(place.into(), self.thread) {
            true => Ok(Steered { place, _held: held }),
            false => Err(io::ErrorKind::AddrInUse.into()),
        }))
    }

    /// Gives it back.
    pub(crate) fn close(&self, port: &Steered) {
        self.shared.table.close(port.place.into());
    }

    /// Names its only peer. One of another family cannot be.
    pub(crate) fn connect(&self, port: &Steered, peer: SocketAddr) {
        let peer = match peer {
            SocketAddr::V4(peer) => Some(peer),
            SocketAddr::V6(_) => None,
        };
        self.shared.table.set_peer(port.place.into(), peer);
    }

    /// Names its only host.
    pub(crate) fn confine(&self, port: &Steered, host: IpAddr) {
        self.connect(port, SocketAddr::new(host, 0));
    }

    /// Takes its peer away.
    pub(crate) fn release(&self, port: &Steered) {
        self.shared.table.set_peer(port.place.into(), None);
    }

    /// Puts a packet to those that leave together.
    pub(crate) fn send(&mut self, port: &Steered, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        match to {
            SocketAddr::V4(to) => self.outgoing.push(self.address(port), to, packet),
            SocketAddr::V6(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self) {
        self.outgoing.flush();
    }

    /// Lends the receiving end, which is to be given back.
    pub(crate) fn lend(&mut self) -> Option<Incoming> {
        self.incoming.take()
    }

    pub(crate) fn give_back(&mut self, incoming: Incoming) {
        self.incoming = Some(incoming);
    }

    /// The descriptor to wait on.
    pub(crate) fn raw(&self) -> i32 {
        self.incoming.as_ref().map_or(-1, Incoming::raw)
    }

    fn address(&self, port: &Steered) -> SocketAddrV4 {
        SocketAddrV4::new(self.shared.address, self.shared.first_port.saturating_add(port.place))
    }

    /// The place of a port, if it may be one of ours.
    pub(crate) fn place(&self, port: u16) -> Option<usize> {
        port.checked_sub(self.shared.first_port).map(usize::from)
    }
}

impl Steered {
    pub(crate) fn place(&self) -> usize {
        self.place.into()
    }
}

fn fd(of: &OwnedFd) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(of)
}
