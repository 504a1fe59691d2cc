//! RTP packets (RFC 3550 section 5.1): read without trust, written without header extension, CSRC or padding.

/// The longest payload that is relayed: 60 ms of G.711.
pub const PAYLOAD_MAX: usize = 480;
const HEADER_LENGTH: usize = 12;
/// Room behind the payload for what SRTP puts there: the longest tag, that of AES-GCM (RFC 7714 section 14.2).
pub(crate) const TAG_MAX: usize = 16;
pub(crate) const PACKET_MAX: usize = HEADER_LENGTH + PAYLOAD_MAX + TAG_MAX;

/// The fields of the fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 0 to 127.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// In samples.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
}

/// A packet as read. No `Debug`: the payload may be a key.
pub struct Received<'a> {
    /// The fixed header.
    pub header: Header,
    /// Without extension and padding.
    pub payload: &'a [u8],
}

/// Why bytes are not RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRtp {
    /// Shorter than its own header says.
    #[error("truncated")]
    Truncated,
    /// Not version 2.
    #[error("not RTP version 2")]
    Version,
    /// RTCP on the same port (RFC 5761 section 4).
    #[error("RTCP")]
    Rtcp,
    /// The padding is longer than the packet, or empty.
    #[error("impossible padding")]
    Padding,
}

/// Reads a packet.
pub fn parse(bytes: &[u8]) -> Result<Received<'_>, NotRtp> {
    let (header, rest) = split(bytes)?;
    let padded = bytes.first().is_some_and(|flags| flags & 0x20 != 0);
    Ok(Received { header, payload: if padded { before_padding(rest)? } else { rest } })
}

/// The header, and all that follows it with its CSRCs and its extension: that much can be read of a packet of SRTP too.
pub(crate) fn split(bytes: &[u8]) -> Result<(Header, &[u8]), NotRtp> {
    let (fixed, rest) = bytes.split_first_chunk::<HEADER_LENGTH>().ok_or(NotRtp::Truncated)?;
    let [flags, kind, q1, q0, t3, t2, t1, t0, s3, s2, s1, s0] = *fixed;
    if flags >> 6 != 2 {
        return Err(NotRtp::Version);
    }
    if (192..=223).contains(&kind) {
        return Err(NotRtp::Rtcp);
    }
    let rest = rest.get(usize::from(flags & 0x0f) * 4..).ok_or(NotRtp::Truncated)?;
    let rest = if flags & 0x10 == 0 { rest } else { after_extension(rest)? };
    let header = Header {
        payload_type: kind & 0x7f,
        marker: kind & 0x80 != 0,
        sequence: u16::from_be_bytes([q1, q0]),
        timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
        ssrc: u32::from_be_bytes([s3, s2, s1, s0]),
    };
    Ok((header, rest))
}

fn after_extension(bytes: &[u8]) -> Result<&[u8], NotRtp> {
    let ([_, _, high, low], rest) = bytes.split_first_chunk::<4>().ok_or(NotRtp::Truncated)?;
    rest.get(usize::from(u16::from_be_bytes([*high, *low])) * 4..).ok_or(NotRtp::Truncated)
}

fn before_padding(bytes: &[u8]) -> Result<&[u8], NotRtp> {
    let count = usize::from(*bytes.last().ok_or(NotRtp::Padding)?);
    let length = bytes.len().checked_sub(count).filter(|_| count > 0).ok_or(NotRtp::Padding)?;
    bytes.get(..length).ok_or(NotRtp::Padding)
}

/// A packet to send, of fixed size so that none is allocated. No `Debug`: the payload may be a key.
#[derive(Clone)]
pub struct Packet {
    bytes: [u8; PACKET_MAX],
    length: usize,
    /// What SRTP has put behind the payload.
    tag: usize,
}

impl Packet {
    /// Writes a packet; none if the payload is longer than [`PAYLOAD_MAX`].
    pub fn new(header: &Header, payload: &[u8]) -> Option<Self> {
        if payload.len() > PAYLOAD_MAX {
            return None;
        }
        let mut packet = Self { bytes: [0; PACKET_MAX], length: HEADER_LENGTH + payload.len(), tag: 0 };
        let (fixed, room) = packet.bytes.split_first_chunk_mut::<HEADER_LENGTH>()?;
        let [q1, q0] = header.sequence.to_be_bytes();
        let [t3, t2, t1, t0] = header.timestamp.to_be_bytes();
        let [s3, s2, s1, s0] = header.ssrc.to_be_bytes();
        let kind = (u8::from(header.marker) << 7) | (header.payload_type & 0x7f);
        *fixed = [2 << 6, kind, q1, q0, t3, t2, t1, t0, s3, s2, s1, s0];
        room.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(packet)
    }

    /// A copy of one that is written; nothing of it if it is too long for one.
    pub(crate) fn of(written: &[u8], tag: usize) -> Self {
        let mut packet = Self { bytes: [0; PACKET_MAX], length: 0, tag: 0 };
        if let Some(room) = packet.bytes.get_mut(..written.len()) {
            room.copy_from_slice(written);
            (packet.length, packet.tag) = (written.len(), tag);
        }
        packet
    }

    /// The length of what SRTP has put behind the payload.
    pub(crate) fn tag(&self) -> usize {
        self.tag
    }

    /// What follows the header, to the tag.
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(HEADER_LENGTH..self.length - self.tag).unwrap_or_default()
    }

    /// Lets SRTP have its way with the bytes; false if it could not.
    pub(crate) fn protect(&mut self, protect: impl FnOnce(&mut [u8], usize) -> Option<usize>) -> bool {
        let Some(length) = protect(&mut self.bytes, self.length) else { return false };
        self.tag = length - self.length;
        self.length = length;
        true
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { payload_type: 101, marker: true, sequence: 0xfffe, timestamp: 7, ssrc: 0xdead_beef };

    #[test]
    fn what_is_written_can_be_read() {
        let packet = Packet::new(&HEADER, &[1, 2, 3]).unwrap();
        let read = parse(packet.as_bytes()).ok().unwrap();
        assert_eq!((read.header, read.payload), (HEADER, [1u8, 2, 3].as_slice()));
        assert!(Packet::new(&HEADER, &[0; PAYLOAD_MAX + 1]).is_none());
    }

    #[test]
    fn csrc_extension_and_padding_are_no_payload() {
        let mut bytes = Packet::new(&HEADER, &[]).unwrap().as_bytes().to_vec();
        bytes[0] = 0xb2;
        bytes.extend([9; 8]);
        bytes.extend([0, 0, 0, 1, 9, 9, 9, 9]);
        bytes.extend([42, 0, 0, 3]);
        assert_eq!(parse(&bytes).ok().unwrap().payload, [42]);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let error = |bytes: &[u8]| parse(bytes).err();
        let mut bytes = Packet::new(&HEADER, &[0; 4]).unwrap().as_bytes().to_vec();
        assert_eq!(error(&bytes[..11]), Some(NotRtp::Truncated));
        bytes[0] = 0x8f;
        assert_eq!(error(&bytes), Some(NotRtp::Truncated));
        bytes[0] = 0x90;
        bytes[15] = 1;
        assert_eq!(error(&bytes), Some(NotRtp::Truncated));
        bytes[0] = 0xa0;
        bytes[15] = 5;
        assert_eq!(error(&bytes), Some(NotRtp::Padding));
        bytes[15] = 0;
        assert_eq!(error(&bytes), Some(NotRtp::Padding));
        bytes[0] = 0x40;
        assert_eq!(error(&bytes), Some(NotRtp::Version));
        bytes[..2].copy_from_slice(&[0x80, 200]);
        assert_eq!(error(&bytes), Some(NotRtp::Rtcp));
    }
}
