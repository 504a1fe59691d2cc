//! What has come of a peer's stream, as a report block says it (RFC 3550 section 6.4.1, appendix A).

use crate::rtcp::Block;
use crate::rtp::Header;

/// What 24 bits with a sign can hold.
const LOST_MAX: i32 = 0x007f_ffff;

/// One stream.
pub(crate) struct Reception {
    ssrc: u32,
    /// Sequence numbers, with how often they have wrapped above them.
    first: u32,
    highest: u32,
    received: u32,
    /// As they stood at the last report.
    expected_before: u32,
    received_before: u32,
    /// Of the newest sound, how much later it came than its timestamp says.
    transit: Option<u32>,
    /// In 16ths of a sample.
    jitter: u32,
}

impl Reception {
    /// The stream begins with this packet.
    pub(crate) fn new(header: &Header) -> Self {
        let first = u32::from(header.sequence);
        Self {
            ssrc: header.ssrc,
            first,
            highest: first.wrapping_sub(1),
            received: 0,
            expected_before: 0,
            received_before: 0,
            transit: None,
            jitter: 0,
        }
    }

    /// Another packet, so many numbers after the highest one; also one that comes late or twice, as the RFC counts them.
    pub(crate) fn count(&mut self, further: u16) {
        self.received = self.received.wrapping_add(1);
        self.highest = self.highest.wrapping_add(u32::from(further));
    }

    /// Sound has come at this time, in its samples. Events say nothing of jitter: all of a key have one timestamp.
    pub(crate) fn sound(&mut self, arrival: u32, timestamp: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            let decay = self.jitter.saturating_add(8) >> 4;
            self.jitter = self.jitter.saturating_add(difference).saturating_sub(decay);
        }
    }

    /// In samples of 8 kHz.
    pub(crate) fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// The block of a report that is sent now. None if nothing has come since the last one.
    pub(crate) fn report(&mut self) -> Option<Block> {
        let expected = self.highest.wrapping_sub(self.first).wrapping_add(1);
        let received = self.received.wrapping_sub(self.received_before);
        if received == 0 {
            return None;
        }
        let newly_expected = expected.wrapping_sub(self.expected_before);
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost = expected.wrapping_sub(self.received).cast_signed();
        Some(Block {
            ssrc: self.ssrc,
            fraction_lost: fraction(newly_expected.saturating_sub(received), newly_expected),
            lost: lost.clamp(-LOST_MAX - 1, LOST_MAX),
            highest: self.highest,
            jitter: self.jitter(),
            last_report: 0,
            since_last_report: 0,
        })
    }
}

/// In 256ths.
fn fraction(part: u32, whole: u32) -> u8 {
    let part = u64::from(part) * 256;
    u8::try_from(part.checked_div(u64::from(whole)).unwrap_or_default()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(sequence: u16) -> Reception {
        Reception::new(&Header { payload_type: 0, marker: false, sequence, timestamp: 0, ssrc: 7 })
    }

    #[test]
    fn losses_are_told_of_the_time_since_the_last_report_and_of_all_time() {
        let mut stream = stream(0xfffe);
        (0..6).for_each(|_| stream.count(1));
        let block = stream.report().unwrap();
        assert_eq!((block.fraction_lost, block.lost, block.highest), (0, 0, 0x1_0003), "the numbers have wrapped once");
        stream.count(4);
        let block = stream.report().unwrap();
        assert_eq!((block.fraction_lost, block.lost, block.highest), (192, 3, 0x1_0007), "three of four");
        (0..4).for_each(|_| stream.count(1));
        let block = stream.report().unwrap();
        assert_eq!((block.fraction_lost, block.lost), (0, 3));
        // Late ones take back what was said, and one that comes twice says less than nothing was lost.
        (0..4).for_each(|_| stream.count(0));
        let block = stream.report().unwrap();
        assert_eq!((block.fraction_lost, block.lost), (0, -1));
        assert_eq!(stream.report(), None, "nothing has come");
    }

    #[test]
    fn a_clock_that_is_even_has_no_jitter_and_an_uneven_one_has_its_own() {
        let mut stream = stream(1);
        stream.count(1);
        (0..100).for_each(|n| stream.sound(5_000 + 160 * n, 0_u32.wrapping_sub(800).wrapping_add(160 * n)));
        assert_eq!(stream.report().unwrap().jitter, 0);
        stream.count(1);
        // Every other packet is 5 ms late: each differs from the one before by 40 samples.
        (0..500).for_each(|n| stream.sound(5_000 + 160 * n + 40 * (n % 2), 160 * n));
        let jitter = stream.report().unwrap().jitter;
        assert!((38..=40).contains(&jitter), "{jitter}");
    }
}
