//! Many packets by one call, from ports of our own choice: a raw socket, to which we give the UDP header.

use super::incoming::{ADDRESS_BYTES, set};
use crate::PACKET_BYTES_MAX;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Packets by one call.
const TOGETHER_MAX: usize = 32;
/// Of a UDP header (RFC 768).
const HEADER_BYTES: usize = 8;
/// A raw socket with a peer gets what that peer sends; this one sends nothing.
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 254);
/// The least that the system gives, for what is never read.
const UNREAD_BYTES: libc::c_int = 1;

/// The socket and what waits to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    socket: OwnedFd,
    waiting: Box<[Datagram]>,
    count: usize,
}

#[derive(Clone)]
struct Datagram {
    to: libc::sockaddr_in,
    length: usize,
    bytes: [u8; HEADER_BYTES + PACKET_BYTES_MAX],
}

impl std::fmt::Debug for Datagram {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Datagram({} bytes)", self.length)
    }
}

impl Outgoing {
    /// Bound to the address that packets leave from.
    pub(super) fn bind(address: Ipv4Addr) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: the call takes three numbers.
        let fd = unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_UDP) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the system has just made it for us, and nobody else knows it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let (own, nobody) = (destination(SocketAddrV4::new(address, 0)), destination(SocketAddrV4::new(NOBODY, 0)));
        // SAFETY: the call reads an address, which is there and of the length that is said.
        check(unsafe { libc::bind(fd, (&raw const own).cast(), ADDRESS_BYTES) })?;
        // SAFETY: as above.
        check(unsafe { libc::connect(fd, (&raw const nobody).cast(), ADDRESS_BYTES) })?;
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, UNREAD_BYTES)?;
        let empty = Datagram { to: nobody, length: 0, bytes: [0; HEADER_BYTES + PACKET_BYTES_MAX] };
        Ok(Self { socket, waiting: vec![empty; TOGETHER_MAX].into(), count: 0 })
    }

    /// Puts a packet to the others; sends them all when there are enough.
    pub(super) fn push(&mut self, from: SocketAddrV4, to: SocketAddrV4, packet: &[u8]) -> io::Result<()> {
        let Some(datagram) = self.waiting.get_mut(self.count) else { return Ok(()) };
        if packet.len() > PACKET_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        datagram.to = destination(SocketAddrV4::new(*to.ip(), 0));
        datagram.length = HEADER_BYTES + packet.len();
        write(&mut datagram.bytes, from, to, packet);
        self.count += 1;
        if self.count == TOGETHER_MAX {
            self.flush();
        }
        Ok(())
    }

    /// Sends what waits. A packet that the system does not take is lost, as one on the network would be.
    pub(crate) fn flush(&mut self) {
        let mut sent = 0;
        while sent < self.count {
            // A failure is that of the first one: it is passed over.
            sent += self.send_from(sent).unwrap_or(0).max(1);
        }
        self.count = 0;
    }

    fn send_from(&mut self, first: usize) -> Option<usize> {
        // SAFETY: these are plain numbers and addresses, for which zero is a value.
        let mut headers: [libc::mmsghdr; TOGETHER_MAX] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut buffers: [libc::iovec; TOGETHER_MAX] = unsafe { std::mem::zeroed() };
        let waiting = self.waiting.get_mut(first..self.count)?;
        let count = libc::c_uint::try_from(waiting.len()).ok()?;
        for ((header, buffer), datagram) in headers.iter_mut().zip(&mut buffers).zip(waiting) {
            *buffer = libc::iovec { iov_base: datagram.bytes.as_mut_ptr().cast(), iov_len: datagram.length };
            header.msg_hdr.msg_name = (&raw mut datagram.to).cast();
            header.msg_hdr.msg_namelen = ADDRESS_BYTES;
            header.msg_hdr.msg_iov = buffer;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each of so many headers names an address and a buffer that live to the end of the call and are of the
        // length that is said.
        let sent = unsafe { libc::sendmmsg(self.socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).ok()
    }
}

/// Header and payload (RFC 768). The checksum is over both and over the addresses; a sum of zero is sent as all ones.
fn write(bytes: &mut [u8; HEADER_BYTES + PACKET_BYTES_MAX], from: SocketAddrV4, to: SocketAddrV4, packet: &[u8]) {
    let length = u16::try_from(HEADER_BYTES + packet.len()).unwrap_or(u16::MAX);
    let protocol = u16::try_from(libc::IPPROTO_UDP).unwrap_or(0);
    let (header, payload) = bytes.split_at_mut(HEADER_BYTES);
    payload.get_mut(..packet.len()).into_iter().for_each(|payload| payload.copy_from_slice(packet));
    let words = [from.port(), to.port(), length, 0];
    let around = sum(&from.ip().octets()) + sum(&to.ip().octets()) + u64::from(protocol) + u64::from(length);
    let total = around + words.iter().copied().map(u64::from).sum::<u64>() + sum(packet);
    let checksum = match !fold(total) {
        0 => u16::MAX,
        checksum => checksum,
    };
    let words = [from.port(), to.port(), length, checksum];
    header.chunks_exact_mut(2).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_be_bytes()));
}

/// The sum of the 16-bit words, the last one filled up with a zero.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let halves = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum::<u64>();
    let mut last = [0; 4];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    halves + u64::from(u32::from_be_bytes(last))
}

/// In ones' complement arithmetic.
fn fold(mut sum: u64) -> u16 {
    while let high @ 1.. = sum >> 16 {
        sum = (sum & 0xffff) + high;
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

fn destination(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: FAMILY,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[expect(clippy::as_conversions, reason = "a constant that fits; there is no other way in a constant")]
const FAMILY: libc::sa_family_t = libc::AF_INET as libc::sa_family_t;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_makes_the_whole_add_up_to_all_ones() {
        let [from, to] =
            [SocketAddrV4::new([127, 0, 0, 1].into(), 4_000), SocketAddrV4::new([10, 200, 3, 255].into(), 65_535)];
        for length in 0..300 {
            let packet: Vec<u8> = (0..length).map(|n: u16| (n * 37 + length).to_le_bytes()[0]).collect();
            let mut bytes = [0xaa; HEADER_BYTES + PACKET_BYTES_MAX];
            write(&mut bytes, from, to, &packet);
            let datagram = &bytes[..HEADER_BYTES + packet.len()];
            let around =
                sum(&from.ip().octets()) + sum(&to.ip().octets()) + 17 + u64::try_from(datagram.len()).unwrap();
            assert_eq!(fold(around + sum(datagram)), u16::MAX);
            assert_eq!(&datagram[HEADER_BYTES..], packet);
        }
    }

    #[test]
    fn a_sum_of_zero_is_not_sent_as_no_checksum() {
        let none = SocketAddrV4::new([0, 0, 0, 0].into(), 0);
        let mut bytes = [0; HEADER_BYTES + PACKET_BYTES_MAX];
        // Protocol, twice the length, and what is left to all ones.
        let rest = u16::MAX - 17 - 2 * 10;
        write(&mut bytes, none, none, &rest.to_be_bytes());
        assert_eq!(bytes[6..8], [0xff, 0xff]);
    }
}
