//! G.711: both laws, exact by the recommendation's segments, and the way from one to the other.

/// The two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// µ-law.
    Mu,
    /// A-law.
    A,
}

/// Added to a µ-law magnitude so that every segment starts at a power of two.
const MU_BIAS: u16 = 0x84;
/// The largest magnitude that µ-law can say, before the bias.
const MU_CLIP: u16 = 32_635;

static MU_LINEAR: [i16; 256] = linear(Law::Mu);
static A_LINEAR: [i16; 256] = linear(Law::A);
static MU_TO_A: [u8; 256] = crossing(Law::Mu, Law::A);
static A_TO_MU: [u8; 256] = crossing(Law::A, Law::Mu);

/// The sample of a code.
pub fn decode(law: Law, code: u8) -> i16 {
    let table = match law {
        Law::Mu => &MU_LINEAR,
        Law::A => &A_LINEAR,
    };
    *at(table, code)
}

/// The code of a sample, by the recommendation's decision values.
pub const fn encode(law: Law, sample: i16) -> u8 {
    match law {
        Law::Mu => linear_to_mu(sample),
        Law::A => linear_to_a(sample),
    }
}

/// The same code in another law; unchanged in the same law.
pub fn transcode(from: Law, to: Law, code: u8) -> u8 {
    match (from, to) {
        (Law::Mu, Law::A) => *at(&MU_TO_A, code),
        (Law::A, Law::Mu) => *at(&A_TO_MU, code),
        (Law::Mu, Law::Mu) | (Law::A, Law::A) => code,
    }
}

/// [`encode`] in µ-law, of many at once: a code is how a floating-point number is kept, sign, exponent and four bits of what follows,
/// so the processor finds it without asking for the segment.
pub(crate) fn mu_law<const N: usize>(samples: &[i16; N]) -> [u8; N] {
    /// Of a magnitude in the lowest segment, with its bias: the exponent of 2⁷.
    const LOWEST: u32 = (127 + 7) << 4;
    samples.map(|sample| {
        let biased = f32::from(sample.unsigned_abs().min(MU_CLIP) + MU_BIAS);
        let [code, ..] = ((biased.to_bits() >> 19) - LOWEST).to_le_bytes();
        let sign = if sample < 0 { 0x80 } else { 0 };
        !(sign | code)
    })
}

#[expect(clippy::indexing_slicing, reason = "a byte is always within 256 entries")]
fn at<T>(table: &[T; 256], code: u8) -> &T {
    &table[usize::from(code)]
}

/// The four bits of a magnitude below its leading one.
#[expect(clippy::as_conversions, reason = "masked to four bits; const code has no `from`")]
const fn interval(magnitude: u16, shift: u32) -> u8 {
    ((magnitude >> shift) & 0x0f) as u8
}

#[expect(clippy::as_conversions, reason = "a segment is 0 to 7; const code has no `from`")]
const fn linear_to_mu(sample: i16) -> u8 {
    let magnitude = sample.unsigned_abs();
    let biased = if magnitude > MU_CLIP { MU_CLIP } else { magnitude } + MU_BIAS;
    let segment = biased.ilog2() - 7;
    let code = ((segment as u8) << 4) | interval(biased, segment + 3);
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | code)
}

#[expect(clippy::as_conversions, reason = "a segment is 0 to 7; const code has no `from`")]
const fn linear_to_a(sample: i16) -> u8 {
    // Negative magnitudes are counted from -1, so that the two halves mirror each other.
    let (magnitude, even) = if sample < 0 { (!sample, 0x55) } else { (sample, 0xd5) };
    let magnitude = magnitude.cast_unsigned();
    let segment = if magnitude < 256 { 0 } else { magnitude.ilog2() - 7 };
    let shift = if segment == 0 { 4 } else { segment + 3 };
    (((segment as u8) << 4) | interval(magnitude, shift)) ^ even
}

#[expect(clippy::as_conversions, reason = "widens a byte; const code has no `from`")]
const fn mu_to_linear(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((((code & 0x0f) as i16) << 3) + MU_BIAS.cast_signed()) << ((code & 0x70) >> 4);
    if code & 0x80 == 0 { magnitude - MU_BIAS.cast_signed() } else { MU_BIAS.cast_signed() - magnitude }
}

#[expect(clippy::as_conversions, reason = "widens a byte; const code has no `from`")]
const fn a_to_linear(code: u8) -> i16 {
    let code = code ^ 0x55;
    let interval = ((code & 0x0f) as i16) << 4;
    let magnitude = match (code & 0x70) >> 4 {
        0 => interval + 8,
        segment => (interval + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn code_to_linear(law: Law, code: u8) -> i16 {
    match law {
        Law::Mu => mu_to_linear(code),
        Law::A => a_to_linear(code),
    }
}

#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "runs at compile time, where both would fail the build"
)]
const fn linear(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = code_to_linear(law, code as u8);
        code += 1;
    }
    table
}

#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "runs at compile time, where both would fail the build"
)]
const fn crossing(from: Law, to: Law) -> [u8; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = encode(to, code_to_linear(from, code as u8));
        code += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_codes_at_once_are_those_of_each() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(mu_law(&[sample, 0]), [encode(Law::Mu, sample), 0xff], "{sample}");
        }
    }

    #[test]
    fn known_codes_of_the_recommendation() {
        assert_eq!([0xff, 0x80, 0x00, 0xf0].map(|code| decode(Law::Mu, code)), [0, 32_124, -32_124, 120]);
        assert_eq!([0xd5, 0xaa, 0x2a, 0x55].map(|code| decode(Law::A, code)), [8, 32_256, -32_256, -8]);
        assert_eq!((encode(Law::Mu, 0), encode(Law::A, 0)), (0xff, 0xd5));
    }

    #[test]
    fn every_code_survives_the_round_trip() {
        for code in 0..=255 {
            assert_eq!(encode(Law::A, decode(Law::A, code)), code);
            // µ-law has two zeros; the negative one is never written.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(encode(Law::Mu, decode(Law::Mu, code)), expected);
        }
    }

    #[test]
    fn segments_end_at_the_decision_values_of_the_recommendation() {
        let borders = |law, values: [i16; 7], unit: i16| {
            for value in values.map(|value| value * unit) {
                assert_ne!(encode(law, value) & 0x70, encode(law, value - 1) & 0x70, "{law:?} {value}");
            }
        };
        borders(Law::Mu, [31, 95, 223, 479, 991, 2015, 4063], 4);
        borders(Law::A, [32, 64, 128, 256, 512, 1024, 2048].map(|value| value / 2), 16);
    }

    #[test]
    fn no_sample_is_further_from_its_code_than_half_an_interval() {
        for law in [Law::Mu, Law::A] {
            let mut levels: Vec<i32> = (0..=255).map(|code| i32::from(decode(law, code))).collect();
            levels.sort_unstable();
            for sample in (-32_635..=32_635i16).step_by(7) {
                let level = i32::from(decode(law, encode(law, sample)));
                let steps = levels.windows(2).filter(|pair| pair.contains(&level)).map(|pair| pair[1] - pair[0]);
                assert!((level - i32::from(sample)).abs() <= steps.max().unwrap() / 2, "{law:?} {sample}");
            }
        }
    }

    #[test]
    fn the_other_law_is_as_near_as_it_can_be() {
        for code in 0..=255 {
            assert_eq!(transcode(Law::Mu, Law::Mu, code), code);
            let there = transcode(Law::Mu, Law::A, code);
            assert_eq!(there, encode(Law::A, decode(Law::Mu, code)));
        }
    }
}
