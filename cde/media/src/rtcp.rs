//! RTCP (RFC 3550 section 6): compound packets, read without trust, written at a fixed size.
//!
//! Read are sender and receiver reports, CNAME and BYE, in any order and number (RFC 5506 allows less than a compound);
//! other types are skipped. What is malformed anywhere is believed nowhere.

mod writer;

pub use writer::{COMPOUND_MAX, Compound, NAME_LENGTH, Report};

/// Packets in a compound; one with all that we read has four.
pub const PACKETS_MAX: usize = 16;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// Of source descriptions.
const CNAME: u8 = 1;
/// What may stand in the place of an RTP packet's marker and payload type (RFC 5761 section 4).
const KINDS: std::ops::RangeInclusive<u8> = 192..=223;

/// What a sender says of its stream (section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// When the report was sent: seconds and fractions, 32 bits each, of a clock of the sender's.
    pub ntp: u64,
    /// The same in the clock of its stream.
    pub timestamp: u32,
    /// Packets so far.
    pub packets: u32,
    /// Bytes of payload so far.
    pub octets: u32,
}

/// What a receiver says of a stream (section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The stream.
    pub ssrc: u32,
    /// Of what was expected since the last report, the part that was lost, in 256ths.
    pub fraction_lost: u8,
    /// All that was lost, less what came twice; 24 bits.
    pub lost: i32,
    /// The highest sequence number, and above it how often the numbers have wrapped.
    pub highest: u32,
    /// Interarrival jitter in the stream's clock.
    pub jitter: u32,
    /// The middle of the NTP time of the stream's last report; 0 if there was none.
    pub last_report: u32,
    /// Since that report came, in 65,536ths of a second.
    pub since_last_report: u32,
}

/// What a compound says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received<'a> {
    /// The last sender report, with its SSRC.
    pub sender: Option<(u32, Sender)>,
    /// The last block about the stream that was asked for.
    pub block: Option<Block>,
    /// The first CNAME.
    pub name: Option<&'a [u8]>,
    /// Somebody leaves.
    pub bye: bool,
}

/// Why bytes are not RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRtcp {
    /// Shorter than its own counts say.
    #[error("truncated")]
    Truncated,
    /// Not version 2, or of a type that none is.
    #[error("not RTCP")]
    Kind,
    /// The padding is impossible, or not that of the last packet.
    #[error("impossible padding")]
    Padding,
    /// More than [`PACKETS_MAX`].
    #[error("too many packets")]
    TooMany,
}

/// Is this, on a port for both, RTCP and not RTP? It may still be malformed.
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [flags, kind, ..] if flags >> 6 == 2 && KINDS.contains(kind))
}

/// Reads a compound, and in it what is said of the stream with the SSRC `about`.
pub fn parse(bytes: &[u8], about: u32) -> Result<Received<'_>, NotRtcp> {
    let mut received = Received::default();
    let mut rest = bytes;
    for _ in 0..PACKETS_MAX {
        let (packet, later) = first(rest)?;
        received.take(&packet, about)?;
        if later.is_empty() {
            return Ok(received);
        }
        rest = later;
    }
    Err(NotRtcp::TooMany)
}

/// The middle 32 bits of an NTP time (section 4): 65,536ths of a second.
pub(crate) fn middle(ntp: u64) -> u32 {
    let [_, _, a, b, c, d, _, _] = ntp.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// One packet of a compound.
struct Single<'a> {
    count: u8,
    kind: u8,
    body: &'a [u8],
}

fn first(bytes: &[u8]) -> Result<(Single<'_>, &[u8]), NotRtcp> {
    let ([flags, kind, high, low], rest) = bytes.split_first_chunk::<4>().ok_or(NotRtcp::Truncated)?;
    if !is_rtcp(bytes) {
        return Err(NotRtcp::Kind);
    }
    let length = usize::from(u16::from_be_bytes([*high, *low])) * 4;
    let (body, later) = rest.split_at_checked(length).ok_or(NotRtcp::Truncated)?;
    let body = match flags & 0x20 {
        0 => body,
        _ if later.is_empty() => before_padding(body)?,
        _ => return Err(NotRtcp::Padding),
    };
    Ok((Single { count: flags & 0x1f, kind: *kind, body }, later))
}

fn before_padding(body: &[u8]) -> Result<&[u8], NotRtcp> {
    let count = usize::from(*body.last().ok_or(NotRtcp::Padding)?);
    let possible = count > 0 && count.is_multiple_of(4);
    let length = body.len().checked_sub(count).filter(|_| possible).ok_or(NotRtcp::Padding)?;
    body.get(..length).ok_or(NotRtcp::Padding)
}

impl<'a> Received<'a> {
    fn take(&mut self, packet: &Single<'a>, about: u32) -> Result<(), NotRtcp> {
        match packet.kind {
            SENDER_REPORT => {
                let ([ssrc, high, low, timestamp, packets, octets], blocks) = words(packet.body)?;
                let ntp = u64::from(high) << 32 | u64::from(low);
                self.sender = Some((ssrc, Sender { ntp, timestamp, packets, octets }));
                self.blocks(packet.count, blocks, about)
            }
            RECEIVER_REPORT => {
                let ([_], blocks) = words(packet.body)?;
                self.blocks(packet.count, blocks, about)
            }
            SOURCE_DESCRIPTION => self.descriptions(packet),
            GOODBYE => {
                self.bye = true;
                check_goodbye(packet)
            }
            _ => Ok(()),
        }
    }

    /// What follows the blocks is the profile's own (section 6.4.3).
    fn blocks(&mut self, count: u8, mut rest: &'a [u8], about: u32) -> Result<(), NotRtcp> {
        for _ in 0..count {
            let ([ssrc, losses, highest, jitter, last_report, since_last_report], later) = words(rest)?;
            rest = later;
            if ssrc == about {
                let [fraction_lost, ..] = losses.to_be_bytes();
                // The sign of 24 bits.
                let lost = (losses << 8).cast_signed() >> 8;
                let block = Block { ssrc, fraction_lost, lost, highest, jitter, last_report, since_last_report };
                self.block = Some(block);
            }
        }
        Ok(())
    }

    /// Chunks of an SSRC and items, each ended by zeros up to a whole word (section 6.5).
    fn descriptions(&mut self, packet: &Single<'a>) -> Result<(), NotRtcp> {
        let mut rest = packet.body;
        for _ in 0..packet.count {
            let ([_], items) = words(rest)?;
            let mut after = items;
            // Each turn takes two bytes at least.
            while let Some(Item { kind, text, later }) = item(after)? {
                if kind == CNAME {
                    self.name = self.name.or(Some(text));
                }
                after = later;
            }
            let taken = (items.len() - after.len() + 1).next_multiple_of(4);
            rest = items.get(taken..).ok_or(NotRtcp::Truncated)?;
        }
        Ok(())
    }
}

/// Of a source description.
struct Item<'a> {
    kind: u8,
    text: &'a [u8],
    later: &'a [u8],
}

/// The next item of a chunk; none at its end.
fn item(bytes: &[u8]) -> Result<Option<Item<'_>>, NotRtcp> {
    let (&kind, rest) = bytes.split_first().ok_or(NotRtcp::Truncated)?;
    if kind == 0 {
        return Ok(None);
    }
    let (length, rest) = rest.split_first().ok_or(NotRtcp::Truncated)?;
    let (text, later) = rest.split_at_checked(usize::from(*length)).ok_or(NotRtcp::Truncated)?;
    Ok(Some(Item { kind, text, later }))
}

/// SSRCs, and perhaps a reason with its length (section 6.6).
fn check_goodbye(packet: &Single<'_>) -> Result<(), NotRtcp> {
    let reason = packet.body.get(usize::from(packet.count) * 4..).ok_or(NotRtcp::Truncated)?;
    match reason.split_first() {
        Some((length, text)) if text.len() < usize::from(*length) => Err(NotRtcp::Truncated),
        _ => Ok(()),
    }
}

/// So many words from the beginning, and what follows.
fn words<const N: usize>(mut bytes: &[u8]) -> Result<([u32; N], &[u8]), NotRtcp> {
    let mut words = [0; N];
    for word in &mut words {
        let (four, rest) = bytes.split_first_chunk::<4>().ok_or(NotRtcp::Truncated)?;
        *word = u32::from_be_bytes(*four);
        bytes = rest;
    }
    Ok((words, bytes))
}

#[cfg(test)]
mod tests;
