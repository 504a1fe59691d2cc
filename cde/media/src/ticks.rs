//! Timestamps of Opus, whose clock is faster than our sound, as samples of 8 kHz.

use crate::number::ahead;
use crate::opus::TICKS_PER_SAMPLE;

/// One stream's.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ticks {
    /// A timestamp of the stream, and the sample that it stands for; none before the first.
    known: Option<(u32, u32)>,
}

impl Ticks {
    /// The sample of a timestamp. Both wrap, but not at the same time: so they are counted from the last one that was seen,
    /// and what does not make a whole sample is kept.
    pub(crate) fn sample(&mut self, timestamp: u32) -> u32 {
        let per_sample = i32::from(TICKS_PER_SAMPLE);
        let (from, sample) = self.known.unwrap_or((timestamp, timestamp));
        let samples = ahead(timestamp, from).div_euclid(per_sample);
        let reached = from.wrapping_add_signed(samples.wrapping_mul(per_sample));
        let sample = sample.wrapping_add_signed(samples);
        self.known = Some((reached, sample));
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_go_on_where_the_timestamp_wraps() {
        let mut ticks = Ticks::default();
        let first = ticks.sample(u32::MAX - 5000);
        let mut timestamp = u32::MAX - 5000;
        for packet in 1..3000 {
            timestamp = timestamp.wrapping_add(960);
            assert_eq!(ticks.sample(timestamp), first.wrapping_add(160 * packet));
            // One that is late, and one that begins within a sample.
            assert_eq!(ticks.sample(timestamp.wrapping_sub(1920)), first.wrapping_add(160 * packet).wrapping_sub(320));
            assert_eq!(ticks.sample(timestamp.wrapping_add(7)), first.wrapping_add(160 * packet + 1));
        }
    }
}
