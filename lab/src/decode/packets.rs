//! UDP datagrams out of a pcap file (the classic format of libpcap, not pcapng).

use super::DecodeError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const HEADER_BYTES: usize = 24;
const RECORD_BYTES: usize = 16;
const UDP: u8 = 17;
const UDP_HEADER_BYTES: usize = 8;
const IPV6_HEADER_BYTES: usize = 40;

/// One datagram.
pub(super) struct Datagram<'a> {
    /// Since 1970.
    pub(super) at: Duration,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) payload: &'a [u8],
}

/// How numbers are written, and what a fraction of a second counts.
#[derive(Clone, Copy, Debug)]
struct Form {
    big_endian: bool,
    nanoseconds: bool,
}

impl Form {
    fn of(magic: [u8; 4]) -> Option<Self> {
        let form = |big_endian, nanoseconds| Some(Self { big_endian, nanoseconds });
        match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => form(false, false),
            [0xa1, 0xb2, 0xc3, 0xd4] => form(true, false),
            [0x4d, 0x3c, 0xb2, 0xa1] => form(false, true),
            [0xa1, 0xb2, 0x3c, 0x4d] => form(true, true),
            _ => None,
        }
    }

    fn number(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

/// Every UDP datagram, in the order of the file. What is cut short or of another protocol is left out.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Datagram<'_>>, DecodeError> {
    let magic = bytes.first_chunk::<4>().ok_or(DecodeError::Capture)?;
    let form = Form::of(*magic).ok_or(DecodeError::Capture)?;
    // The upper bits may hold the length of a checksum.
    let link = form.number(bytes, 20).ok_or(DecodeError::Capture)? & 0xffff;
    let mut datagrams = Vec::new();
    let mut rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
    while let Some((at, frame, later)) = record(form, rest) {
        datagrams.extend(ip_of(link, frame).and_then(|packet| datagram(at, packet)));
        rest = later;
    }
    Ok(datagrams)
}

fn record(form: Form, bytes: &[u8]) -> Option<(Duration, &[u8], &[u8])> {
    let (seconds, fraction) = (form.number(bytes, 0)?, form.number(bytes, 4)?);
    let length = usize::try_from(form.number(bytes, 8)?).ok()?;
    let nanoseconds = if form.nanoseconds { fraction } else { fraction.saturating_mul(1000) };
    let (frame, later) = bytes.get(RECORD_BYTES..)?.split_at_checked(length)?;
    Some((Duration::new(u64::from(seconds), nanoseconds), frame, later))
}

/// The IP packet in a frame of this link type (tcpdump.org/linktypes.html).
fn ip_of(link: u32, frame: &[u8]) -> Option<&[u8]> {
    match link {
        0 => frame.get(4..),
        1 => ethernet(frame),
        12 | 101 | 228 | 229 => Some(frame),
        113 => frame.get(16..),
        276 => frame.get(20..),
        _ => None,
    }
}

/// Behind VLAN tags, if there are any.
fn ethernet(frame: &[u8]) -> Option<&[u8]> {
    let mut at = 12;
    while matches!(frame.get(at..at + 2)?, [0x81, 0x00] | [0x88, 0xa8]) {
        at += 4;
    }
    frame.get(at + 2..)
}

fn datagram(at: Duration, packet: &[u8]) -> Option<Datagram<'_>> {
    let (from, to, udp) = match packet.first()? >> 4 {
        4 => {
            let [_, _, _, _, _, _, fragment, offset, _, protocol, _, _, a, b, c, d, e, f, g, h] =
                *packet.first_chunk::<20>()?;
            // Of a fragmented datagram only the first part has ports; it is too short to be of use.
            let whole = fragment & 0x3f == 0 && offset == 0;
            let header = usize::from(packet.first()? & 0x0f) * 4;
            let addresses = (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), IpAddr::V4(Ipv4Addr::new(e, f, g, h)));
            (addresses.0, addresses.1, packet.get(header..).filter(|_| whole && protocol == UDP)?)
        }
        6 => {
            let address = |at: usize| {
                let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
                Some(IpAddr::V6(Ipv6Addr::from(bytes)))
            };
            let udp = packet.get(IPV6_HEADER_BYTES..).filter(|_| packet.get(6) == Some(&UDP));
            (address(8)?, address(24)?, udp?)
        }
        _ => return None,
    };
    let [a, b, c, d, e, f, _, _] = *udp.first_chunk::<UDP_HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([e, f]));
    let payload = udp.get(UDP_HEADER_BYTES..length)?;
    let (from_port, to_port) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Some(Datagram { at, from: SocketAddr::new(from, from_port), to: SocketAddr::new(to, to_port), payload })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The header of a file, in each form and of each kind of link.
    fn header() -> impl Strategy<Value = (Form, Vec<u8>)> {
        let magic =
            prop_oneof![Just([0xd4, 0xc3, 0xb2, 0xa1]), Just([0xa1, 0xb2, 0xc3, 0xd4]), Just([0xa1, 0xb2, 0x3c, 0x4d])];
        let link = prop_oneof![Just(0_u32), Just(1), Just(12), Just(101), Just(113), Just(228), Just(276)];
        (magic, link).prop_map(|(magic, link)| {
            let form = Form::of(magic).unwrap();
            let link = if form.big_endian { link.to_be_bytes() } else { link.to_le_bytes() };
            (form, [&magic[..], &[0; 16], &link].concat())
        })
    }

    /// A record whose frame looks like IP as often as not, and whose length may lie.
    fn record_of(form: Form, frame: &[u8], lie: u32) -> Vec<u8> {
        let length = u32::try_from(frame.len()).unwrap().wrapping_add(lie);
        let number = |value: u32| if form.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        [&number(7)[..], &number(u32::MAX), &number(length), &number(length), frame].concat()
    }

    proptest! {
        #[test]
        fn no_file_makes_the_reader_panic_or_read_beyond_it(
            (form, mut file) in header(),
            frames in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..80), any::<u8>(), 0_u32..3), 0..6),
            cut in 0_usize..64,
        ) {
            for (mut frame, version, lie) in frames {
                for at in [0, 4, 14, 16, 20] {
                    if let Some(first) = frame.get_mut(at) {
                        *first = if version % 3 == 0 { 0x45 } else { 0x60 | (version % 16) };
                    }
                }
                file.extend(record_of(form, &frame, lie.saturating_sub(1)));
            }
            file.truncate(file.len().saturating_sub(cut).max(HEADER_BYTES));
            let datagrams = read(&file).ok();
            prop_assert!(datagrams.is_some_and(|all| all.iter().all(|datagram| datagram.payload.len() < file.len())));
        }

        #[test]
        fn any_bytes_are_a_capture_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_datagram_comes_out_as_it_went_in(payload in prop::collection::vec(any::<u8>(), 0..60), (form, mut file) in header()) {
            file.truncate(20);
            file.extend(if form.big_endian { 101_u32.to_be_bytes() } else { 101_u32.to_le_bytes() });
            let length = u16::try_from(payload.len() + UDP_HEADER_BYTES).unwrap().to_be_bytes();
            let ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
            let frame = [&ip[..], &[0x9c, 0x40, 0x27, 0x10], &length, &[0, 0], &payload].concat();
            file.extend(record_of(form, &frame, 0));
            let all = read(&file).unwrap();
            prop_assert_eq!(all.len(), 1);
            let Some(datagram) = all.first() else { return Ok(()) };
            prop_assert_eq!((datagram.payload, datagram.from.port(), datagram.to.port()), (&payload[..], 40_000, 10_000));
        }
    }
}
