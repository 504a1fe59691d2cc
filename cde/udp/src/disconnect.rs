//! The one thing of a UDP socket that no library offers: to have no peer any more.

use mio::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Lets the socket hear everybody again (connect(2): an address of the family `AF_UNSPEC`). One without a peer stays so.
pub(crate) fn disconnect(socket: &UdpSocket) {
    let nobody = libc::sockaddr { sa_family: FAMILY, sa_data: [0; 14] };
    // SAFETY: the call reads one `sockaddr`, which is there and of the length that is said; the descriptor is open.
    let _ = unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, LENGTH) };
}

#[expect(clippy::as_conversions, reason = "constants that fit; there is no other way in a constant")]
const FAMILY: libc::sa_family_t = libc::AF_UNSPEC as libc::sa_family_t;
#[expect(clippy::as_conversions, reason = "16; there is no other way in a constant")]
const LENGTH: libc::socklen_t = size_of::<libc::sockaddr>() as libc::socklen_t;
