//! Conversions between sample and float, duration and samples.

use std::time::Duration;

/// Samples per second of everything in this crate.
pub(crate) const RATE: u32 = 8000;
const SAMPLES_PER_MS: u32 = RATE / 1000;

/// The peak of a sine of 0 dBm0 in 16-bit samples: a full-scale µ-law sine (peak 32124) is +3.17 dBm0 (G.711, table note).
const PEAK_0_DBM0: f32 = 22_302.0;

/// The nearest sample; beyond the range, the end of the range.
#[expect(clippy::as_conversions, reason = "a float has no other way to an integer; `as` saturates")]
pub(crate) fn sample(value: f32) -> i16 {
    value.round() as i16
}

/// A part of one in thousandths.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(crate) fn permille(part: f32) -> u16 {
    (part * 1000.0).round() as u16
}

/// The peak of a sine of this level.
pub(crate) fn peak(level_dbm0: f32) -> f32 {
    PEAK_0_DBM0 * 10f32.powf(level_dbm0 / 20.0)
}

/// The mean square of a sine of this level.
pub(crate) fn power(level_dbm0: f32) -> f32 {
    peak(level_dbm0).powi(2) / 2.0
}

/// Whole samples in a duration, modulo 2^32 as RTP timestamps are.
#[expect(clippy::as_conversions, reason = "timestamps wrap on purpose")]
pub(crate) fn samples(duration: Duration) -> u32 {
    (duration.as_micros() * u128::from(SAMPLES_PER_MS) / 1000) as u32
}

/// How far `a` is ahead of `b` on a circle of 2^32.
pub(crate) fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

/// How far `a` is ahead of `b` on a circle of 2^16.
pub(crate) fn ahead16(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b).cast_signed()
}
