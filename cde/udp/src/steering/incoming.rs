//! Many packets by one call, each with the port that it was sent to.

use crate::PACKET_BYTES_MAX;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Packets by one call.
const TOGETHER_MAX: usize = 32;
/// What may wait in the system: 50 ms of 4,000 calls, each packet counted with all that the system keeps of it.
const WAITING_BYTES: libc::c_int = 16 << 20;
/// For one address in a control message.
const CONTROL_BYTES: usize = 64;

/// The socket and the room for what it gives.
#[derive(Debug)]
pub(crate) struct Incoming {
    socket: UdpSocket,
    slots: Box<[Slot]>,
    /// How many of the slots the last call has filled.
    filled: usize,
}

#[repr(C, align(8))]
#[derive(Clone)]
struct Slot {
    control: [u8; CONTROL_BYTES],
    control_bytes: usize,
    from: libc::sockaddr_in,
    length: usize,
    packet: [u8; PACKET_BYTES_MAX],
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Slot({} bytes)", self.length)
    }
}

const NOBODY: libc::sockaddr_in =
    libc::sockaddr_in { sin_family: 0, sin_port: 0, sin_addr: libc::in_addr { s_addr: 0 }, sin_zero: [0; 8] };

impl Incoming {
    /// Bound where only this machine can reach it: strangers must come through the program.
    pub(super) fn bind() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        set(&socket, libc::SOL_IP, libc::IP_RECVORIGDSTADDR, 1)?;
        // Only who may administer the network may have more than the system's usual limit.
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, WAITING_BYTES)
            .or_else(|_| set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, WAITING_BYTES))?;
        let slot = Slot {
            control: [0; CONTROL_BYTES],
            control_bytes: 0,
            from: NOBODY,
            length: 0,
            packet: [0; PACKET_BYTES_MAX],
        };
        Ok(Self { socket, slots: vec![slot; TOGETHER_MAX].into(), filled: 0 })
    }

    /// The descriptor, to wait for packets.
    pub(crate) fn raw(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes what is there; true when there may be more.
    pub(crate) fn read(&mut self) -> bool {
        // SAFETY: these are plain numbers and addresses, for which zero is a value.
        let mut headers: [libc::mmsghdr; TOGETHER_MAX] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut buffers: [libc::iovec; TOGETHER_MAX] = unsafe { std::mem::zeroed() };
        for ((header, buffer), slot) in headers.iter_mut().zip(&mut buffers).zip(&mut self.slots) {
            *buffer = libc::iovec { iov_base: slot.packet.as_mut_ptr().cast(), iov_len: PACKET_BYTES_MAX };
            header.msg_hdr.msg_name = (&raw mut slot.from).cast();
            header.msg_hdr.msg_namelen = ADDRESS_BYTES;
            header.msg_hdr.msg_iov = buffer;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = slot.control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES;
        }
        // SAFETY: each header names an address, a buffer and room for control messages that live to the end of the call
        // and are of the length that is said.
        let count = unsafe {
            libc::recvmmsg(self.raw(), headers.as_mut_ptr(), TOGETHER, libc::MSG_DONTWAIT, std::ptr::null_mut())
        };
        self.filled = usize::try_from(count).unwrap_or(0);
        for (header, slot) in headers.iter().zip(&mut self.slots).take(self.filled) {
            slot.length = usize::try_from(header.msg_len).unwrap_or(0);
            slot.control_bytes = header.msg_hdr.msg_controllen;
        }
        self.filled == TOGETHER_MAX
    }

    /// How many packets the last [`Self::read`] took.
    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// What the last [`Self::read`] took: the port that it was sent to, who sent it, and the packet.
    pub(crate) fn packets(&self) -> impl Iterator<Item = (u16, SocketAddr, &[u8])> {
        self.slots.iter().take(self.filled).filter_map(|slot| {
            let packet = slot.packet.get(..slot.length)?;
            Some((slot.sent_to()?, address(slot.from), packet))
        })
    }
}

impl Slot {
    /// The port in the one control message that we asked for: a header (its length, `SOL_IP`, `IP_ORIGDSTADDR`; cmsg(3)),
    /// then the address.
    fn sent_to(&self) -> Option<u16> {
        let control = self.control.get(..self.control_bytes)?;
        let (header, address) = control.split_at_checked(HEADER_BYTES)?;
        let number = |at: usize| Some(i32::from_ne_bytes(header.get(at..at + 4)?.try_into().ok()?));
        if (number(8)?, number(12)?) != (libc::SOL_IP, libc::IP_ORIGDSTADDR) {
            return None;
        }
        // `struct sockaddr_in`: the family, then the port.
        Some(u16::from_be_bytes(address.get(2..4)?.try_into().ok()?))
    }
}

fn address(from: libc::sockaddr_in) -> SocketAddr {
    let ip = Ipv4Addr::from(from.sin_addr.s_addr.to_ne_bytes());
    SocketAddrV4::new(ip, u16::from_be(from.sin_port)).into()
}

/// Sets an option of a socket that is a number.
pub(super) fn set(socket: &impl AsRawFd, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the call reads one number, which is there and of the length that is said.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), NUMBER_BYTES) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Of a control message, where `size_t` has 64 bits.
const HEADER_BYTES: usize = 16;
const _: () = assert!(size_of::<libc::cmsghdr>() == HEADER_BYTES);

#[expect(clippy::as_conversions, reason = "constants that fit; there is no other way in a constant")]
mod sizes {
    pub(in super::super) const ADDRESS_BYTES: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    pub(super) const NUMBER_BYTES: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;
    pub(super) const TOGETHER: libc::c_uint = super::TOGETHER_MAX as libc::c_uint;
}
pub(super) use sizes::ADDRESS_BYTES;
use sizes::{NUMBER_BYTES, TOGETHER};
