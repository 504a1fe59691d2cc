//! G.722 at 64 kbit/s (ITU-T G.722, 1988), of which we hear and speak the lower half: a byte is one sample of 8 kHz.
//!
//! The codec splits its 16 kHz into two halves of 8 kHz each and codes both by themselves. Keys lie in the lower one, and so
//! do the mask, the detector and the witness: it is taken as it is, without the filters that would put the halves
//! together. What we make ourselves has an empty upper half. A packet that is only passed on keeps its own.
//!
//! Names of steps are those of the recommendation's section 6.2.

/// One direction of a stream, decoded or encoded: both ends keep the same state, so an encoder can go on where what was
/// passed on ended ([`Coder::follow`]).
#[derive(Clone, Debug)]
pub struct Coder {
    low: Band,
    high: Band,
}

impl Default for Coder {
    fn default() -> Self {
        Self { low: Band::new(32), high: Band::new(8) }
    }
}

impl Coder {
    /// A sample of the lower half, of 16 bits.
    pub fn decode(&mut self, code: u8) -> i16 {
        let code = usize::from(code);
        let fine = self.low.scaled(at(&QM6, code & 63)) + self.low.prediction;
        self.low.adapt_low((code & 63) >> 2);
        // LIMIT, then 15 bits to 16.
        narrow(fine.clamp(-16_384, 16_383) << 1)
    }

    /// The same of a code that is passed on: the upper half is kept up to date as well.
    pub fn follow(&mut self, code: u8) -> i16 {
        self.high.adapt_high(usize::from(code >> 6));
        self.decode(code)
    }

    /// A sample of 16 bits as the lower half, with nothing in the upper one.
    pub fn encode(&mut self, sample: i16) -> u8 {
        let low = self.low.quantize_low(i32::from(sample >> 1));
        self.low.adapt_low(low >> 2);
        let high = self.high.quantize_high(0);
        self.high.adapt_high(high);
        u8::try_from(high << 6 | low).unwrap_or(0)
    }
}

/// One half: a quantizer whose steps follow the sound, and a predictor of two poles and six zeros.
#[derive(Clone, Debug)]
struct Band {
    /// Logarithm of the step, and the step.
    log_step: i32,
    step: i32,
    /// What is expected next, and the part of it that the zeros give.
    prediction: i32,
    zeros: i32,
    /// Poles, and the last two reconstructed samples.
    a: [i32; 2],
    r: [i32; 2],
    /// The last two partly reconstructed ones.
    p: [i32; 2],
    /// Zeros, and the last six differences.
    b: [i32; 6],
    d: [i32; 6],
}

impl Band {
    fn new(step: i32) -> Self {
        Self { log_step: 0, step, prediction: 0, zeros: 0, a: [0; 2], r: [0; 2], p: [0; 2], b: [0; 6], d: [0; 6] }
    }

    fn scaled(&self, level: i32) -> i32 {
        (self.step * level) >> 15
    }

    /// QUANTL: 60 levels.
    fn quantize_low(&self, sample: i32) -> usize {
        let error = saturate(sample - self.prediction);
        let size = if error >= 0 { error } else { -(error + 1) };
        let level = 1 + Q6.iter().take_while(|step| size >= (**step * self.step) >> 12).count();
        // The codes of a half fall with the level; the first two of the negative ones stand apart.
        match (error >= 0, level) {
            (true, _) => 62 - level,
            (false, 1 | 2) => 64 - level,
            (false, _) => 34 - level,
        }
    }

    /// QUANTH: four levels.
    fn quantize_high(&self, sample: i32) -> usize {
        let error = saturate(sample - self.prediction);
        let size = if error >= 0 { error } else { -(error + 1) };
        let is_large = size >= (564 * self.step) >> 12;
        match (error >= 0, is_large) {
            (true, false) => 3,
            (true, true) => 2,
            (false, false) => 1,
            (false, true) => 0,
        }
    }

    /// INVQAL, LOGSCL and SCALEL, then the predictor.
    fn adapt_low(&mut self, coarse: usize) {
        let difference = self.scaled(at(&QM4, coarse));
        self.log_step = (((self.log_step * 127) >> 7) + at(&WL, coarse)).clamp(0, 18_432);
        self.scale(8);
        self.predict(difference);
    }

    /// INVQAH, LOGSCH and SCALEH, then the predictor.
    fn adapt_high(&mut self, code: usize) {
        let difference = self.scaled(at(&QM2, code));
        self.log_step = (((self.log_step * 127) >> 7) + at(&WH, code)).clamp(0, 22_528);
        self.scale(10);
        self.predict(difference);
    }

    fn scale(&mut self, shift: i32) {
        let mantissa = at(&ILB, usize::try_from((self.log_step >> 6) & 31).unwrap_or(0));
        let shift = shift - (self.log_step >> 11);
        self.step = if shift < 0 { mantissa << -shift } else { mantissa >> shift } << 2;
    }

    /// RECONS to PREDIC (block 4).
    fn predict(&mut self, difference: i32) {
        let r = saturate(self.prediction + difference);
        let p = saturate(self.zeros + difference);
        self.adapt_poles(p);
        self.adapt_zeros(difference);
        self.r = [r, self.r[0]];
        self.p = [p, self.p[0]];
        self.d.copy_within(..5, 1);
        self.d[0] = difference;
        // FILTEP, FILTEZ.
        let product = |coefficient: i32, sample: i32| (coefficient * saturate(2 * sample)) >> 15;
        let poles = saturate(product(self.a[0], self.r[0]) + product(self.a[1], self.r[1]));
        self.zeros = saturate(self.b.iter().zip(&self.d).map(|(b, d)| product(*b, *d)).sum());
        self.prediction = saturate(poles + self.zeros);
    }

    /// UPPOL2, UPPOL1.
    fn adapt_poles(&mut self, p: i32) {
        let [same, same_before] = self.p.map(|before| (p < 0) == (before < 0));
        let four = saturate(self.a[0] << 2);
        let turned = if same { (-four).min(32_767) } else { four };
        let second = signed(128, same_before) + (turned >> 7) + ((self.a[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        let first = saturate(signed(192, same) + ((self.a[0] * 32_640) >> 15));
        let limit = saturate(15_360 - second);
        self.a = [first.clamp(-limit, limit), second];
    }

    /// UPZERO.
    fn adapt_zeros(&mut self, difference: i32) {
        let step = if difference == 0 { 0 } else { 128 };
        for (b, d) in self.b.iter_mut().zip(&self.d) {
            *b = saturate(signed(step, (difference < 0) == (*d < 0)) + ((*b * 32_640) >> 15));
        }
    }
}

fn signed(step: i32, is_positive: bool) -> i32 {
    if is_positive { step } else { -step }
}

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

fn narrow(value: i32) -> i16 {
    i16::try_from(saturate(value)).unwrap_or(0)
}

/// Codes are cut to the length of their table before.
fn at<const N: usize>(table: &[i32; N], index: usize) -> i32 {
    table.get(index).copied().unwrap_or(0)
}

/// Decision levels of the 60-level quantizer (table 14).
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// Output levels of the 60-level quantizer by code (table 16).
#[rustfmt::skip]
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9_360, -8_576, -7_856,
    -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776, -2_400, -2_032, -1_688, -1_360, -1_040, -728,
    24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000, 5_456,
    4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432, 136, -432, -136,
];

/// Output levels of its first four bits (table 18).
const QM4: [i32; 16] =
    [0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584, 1_200, 0];

/// How the lower step follows, by the first four bits (tables 19 and 20 in one).
const WL: [i32; 16] = [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];

/// Output levels of the upper half (table 21).
const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];

/// How the upper step follows (tables 22 and 23 in one).
const WH: [i32; 4] = [798, -214, 798, -214];

/// Powers of two by 32nds (table 17).
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
    2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::sample;
    use std::f32::consts::TAU;

    struct Random(u32);

    impl Random {
        fn next(&mut self) -> u32 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            self.0
        }
    }

    /// FNV-1a.
    fn hash(bytes: impl Iterator<Item = u8>) -> u32 {
        bytes.fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
    }

    /// Silence, noise soft and loud, the extremes, saw teeth, a square, a mixture, a whisper.
    fn sounds(random: &mut Random) -> Vec<i16> {
        let sample = |i: i32, noise: i32| match i / 2_000 {
            0 => 0,
            1 => noise / 64,
            2 => noise,
            3 => [-32_768, 32_767][usize::try_from(i & 1).unwrap()],
            4 => (i % 37 - 18) * 900,
            5 => [-12_000, 12_000][usize::try_from(i / 8 % 2).unwrap()],
            6 => noise / 4 + (i % 23 - 11) * 300,
            _ => noise / 2_048,
        };
        let noise = |random: &mut Random| i32::try_from(random.next() >> 16).unwrap() - 32_768;
        (0..16_000).map(|i| narrow(sample(i, noise(random)))).collect()
    }

    /// The hashes are those of libspandsp 0.0.6 (Debian 12) in its 8 kHz mode, given the same sounds and codes.
    #[test]
    fn codes_and_samples_are_those_of_another_implementation() {
        let mut random = Random(1);
        let sounds = sounds(&mut random);
        let mut encoder = Coder::default();
        let codes: Vec<u8> = sounds.iter().map(|sample| encoder.encode(*sample)).collect();
        assert_eq!(hash(codes.iter().copied()), 0x2713_608d);
        let mut decoder = Coder::default();
        assert_eq!(hash(codes.iter().flat_map(|code| decoder.decode(*code).to_le_bytes())), 0x6bb3_cf61);
        let mut decoder = Coder::default();
        let any: Vec<u8> = (0..16_000).map(|_| random.next().to_be_bytes()[0]).collect();
        assert_eq!(hash(any.iter().flat_map(|code| decoder.decode(*code).to_le_bytes())), 0x8cc9_a889);
    }

    #[test]
    fn who_follows_what_is_passed_on_can_go_on_with_its_own() {
        let mut far = Coder::default();
        let tone = |i: u16| sample(8_000.0 * (TAU * 440.0 * f32::from(i) / 8_000.0).sin());
        let (mut sender, mut ours) = (Coder::default(), Coder::default());
        for i in 0..4_000 {
            let code = sender.encode(tone(i));
            far.decode(code);
            ours.follow(code);
        }
        // The same tone, now coded by us: what is heard at the far end goes on without a step.
        let mut worst = 0;
        for i in 4_000..8_000 {
            let heard = far.decode(ours.encode(tone(i)));
            worst = worst.max(i32::from(heard).abs_diff(i32::from(tone(i))));
        }
        assert!(worst < 400, "{worst}");
    }
}
