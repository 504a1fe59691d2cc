//! What the gate sees of a sound: 23 numbers of the last 20 ms, and the same of the last 10 ms.
//!
//! | number | of each window |
//! |---|---|
//! | 0 | how much of the energy the strongest low and high tone hold, as odds |
//! | 1, 2 | what each holds of its band |
//! | 3, 4 | high over low, and its square |
//! | 5, 6 | their level, and their level over that of all |
//! | 7, 8 | whether each is faster or slower than it should be |
//! | 9, 10 | each over the second strongest of its group |
//! | 11 to 14 | each half of the window over the whole, low, high, low, high: steadiness |
//! | 15 to 18 | each over the same frequency 20 ms ago, and 40 ms ago: onset |
//! | 19 | the energy over that of 40 ms ago |
//! | 20, 21, 22 | what is below both bands, in the lower and in the higher band, over the energy |
//!
//! Levels are logarithms to the base of ten. Those of the bands (1, 2, 20 to 22) cost most and are filled in last, for
//! windows that the sieve lets through.

use crate::bins::{BLOCK, Bins, SILENCE, TONES, TURNS, Turns, energies, turned};
use crate::number::{RATE, power};
use crate::sound::{Sound, WINDOW, WINDOW_BLOCKS};
use crate::waves::turn;

/// Samples between two decisions: 10 ms.
pub const HOP: usize = 80;
/// Numbers of one window, and of both.
pub const WINDOW_FEATURES: usize = 23;
/// Numbers in all.
pub const FEATURES: usize = 2 * WINDOW_FEATURES;
/// Those that [`Heard::bands`] fills in, of each window.
pub const OF_BANDS: [usize; 5] = [1, 2, 20, 21, 22];

/// Blocks of the long and of the short window.
const LONG: usize = WINDOW_BLOCKS;
const SHORT: usize = 2;
/// Frequencies are tried this far off, too.
const OFF: f64 = 0.012;
/// Low tones, and high ones without 1633 Hz, which no key of a card has.
const LOWS: std::ops::Range<usize> = 0..4;
const HIGHS: std::ops::Range<usize> = 4..7;
/// Hops that are remembered: 40 ms.
const PAST: usize = 4;
/// Bands, in their bins (50 Hz apart from 500 Hz on in the long window, 100 Hz in the short one). There are more bins than
/// the bands have, for the processor's sake: it takes four at once.
const LONG_BINS: usize = 28;
const SHORT_BINS: usize = 16;
const LONG_BANDS: [std::ops::Range<usize>; 3] = [0..2, 2..12, 12..26];
const SHORT_BANDS: [std::ops::Range<usize>; 3] = [0..1, 1..6, 6..13];
const LOWEST_BIN_HERTZ: u16 = 500;

/// Both windows as numbers.
pub type Features = [f32; FEATURES];

/// Tones that are as much slower, and faster: how far they turn from the window's first block to each behind it.
static SLOWER: [Turns; LONG - 1] = [turned(1, -OFF), turned(2, -OFF), turned(3, -OFF)];
static FASTER: [Turns; LONG - 1] = [turned(1, OFF), turned(2, OFF), turned(3, OFF)];
/// Cosines by sample and bin, and sines.
type Waves<const HALF: usize, const BINS: usize> = [[[f32; BINS]; HALF]; 2];
/// Cosine and sine of each bin under a window of Hann's shape and power 1, from its middle on.
static LONG_WAVES: Waves<{ WINDOW / 2 }, LONG_BINS> = waves();
static SHORT_WAVES: Waves<{ HOP / 2 }, SHORT_BINS> = waves();

/// What one window holds.
struct Look {
    /// Energy of each tone at the three detunes, and the best of them.
    tried: [[f32; TONES]; 3],
    best: [f32; TONES],
    /// Energy of each tone in the first and the second half.
    halves: [[f32; TONES]; 2],
    /// The strongest tones, by place and energy.
    low_at: usize,
    high_at: usize,
    low: f32,
    high: f32,
    /// Of all, and a little, so that silence is none of nothing.
    energy: f32,
    samples: f32,
}

/// A window of the past.
#[derive(Clone, Copy)]
struct Past {
    best: [f32; TONES],
    energy: f32,
}

/// Listens hop by hop.
pub struct Ears {
    /// By window, newest hop last.
    past: [[Past; PAST]; 2],
    /// Blocks that were heard, as far as they fill a long window: what is older counts as silence.
    blocks: usize,
}

impl Default for Ears {
    fn default() -> Self {
        Self::new()
    }
}

impl Ears {
    /// They have heard nothing.
    pub fn new() -> Self {
        let past = |samples: f32| Past { best: [samples; TONES], energy: samples };
        Self { past: [[past(160.0); PAST], [past(80.0); PAST]], blocks: 0 }
    }

    /// Hears a hop: the newest two blocks.
    pub fn hear<'a>(&mut self, sound: &'a Sound) -> Heard<'a> {
        self.blocks = (self.blocks + SHORT).min(LONG);
        let mut blocks = sound.window();
        blocks.iter_mut().take(LONG - self.blocks).for_each(|block| *block = &SILENCE);
        let (long, short) = looks(blocks);
        let loud = blocks.iter().any(|block| block.energy > 0.0);
        let features = loud.then(|| self.describe(&long, &short));
        for (past, look) in self.past.iter_mut().zip([&long, &short]) {
            past.copy_within(1.., 0);
            if let Some(newest) = past.last_mut() {
                *newest = Past { best: look.best, energy: look.energy };
            }
        }
        Heard { features, long, short, sound, samples: self.blocks * BLOCK }
    }

    fn describe(&self, long: &Look, short: &Look) -> Features {
        let mut features = [0.0; FEATURES];
        let (of_long, of_short) = features.split_at_mut(WINDOW_FEATURES);
        let [past_long, past_short] = &self.past;
        long.describe(past_long, of_long);
        short.describe(past_short, of_short);
        features
    }
}

/// A hop that was heard, with what was before it.
pub struct Heard<'a> {
    /// All numbers but those of the bands; none of digital silence.
    pub features: Option<Features>,
    long: Look,
    short: Look,
    sound: &'a Sound,
    /// Of the long window, so many samples were heard.
    samples: usize,
}

impl Heard<'_> {
    /// Fills in the numbers of the bands.
    pub fn bands(&self, features: &mut Features) {
        let (long, short) = features.split_at_mut(WINDOW_FEATURES);
        let mut samples = [0; WINDOW];
        self.sound.read(self.samples, samples.split_at_mut(WINDOW - self.samples).1);
        self.long.describe_bands(band_energies(&samples, &LONG_WAVES, LONG_BANDS), long);
        if let Some(newest) = samples.last_chunk::<HOP>() {
            self.short.describe_bands(band_energies(newest, &SHORT_WAVES, SHORT_BANDS), short);
        }
    }

    /// The strongest tones of the long window.
    pub(crate) fn long(&self) -> Pair {
        self.long.pair()
    }

    /// The same of the short one.
    pub(crate) fn short(&self) -> Pair {
        self.short.pair()
    }
}

/// What the strongest low and high tone hold of a window, all of it, and its level.
pub(crate) struct Pair {
    pub(crate) low: f32,
    pub(crate) high: f32,
    pub(crate) energy: f32,
    pub(crate) dbm0: f32,
}

/// What the long window holds, and its second half, the short one.
fn looks([a, b, c, d]: [&Bins; LONG]) -> (Look, Look) {
    let first = energies([a, b], &TURNS);
    let second = energies([c, d], &TURNS);
    let long = Look::new([a, b, c, d], energies([a, b, c, d], &TURNS), [first, second]);
    let short = Look::new([c, d], second, [c.squares(), d.squares()]);
    (long, short)
}

impl Look {
    /// The window that these blocks make, with the squared sums at the tones' own frequencies: of all blocks, of each half.
    fn new<const BLOCKS: usize>(blocks: [&Bins; BLOCKS], center: [f32; TONES], halves: [[f32; TONES]; 2]) -> Self {
        let samples = if BLOCKS == LONG { 160.0 } else { 80.0 };
        let [lower, center, upper] = [energies(blocks, &SLOWER), center, energies(blocks, &FASTER)]
            .map(|squares| squares.map(|square| 2.0 * square / samples));
        let mut best = [0.0; TONES];
        for (best, ((lower, center), upper)) in best.iter_mut().zip(lower.iter().zip(&center).zip(&upper)) {
            *best = lower.max(*center).max(*upper);
        }
        let ((low_at, low), (high_at, high)) = (strongest(&best, LOWS), strongest(&best, HIGHS));
        Self {
            tried: [lower, center, upper],
            best,
            halves: halves.map(|squares| squares.map(|square| 4.0 * square / samples)),
            low_at,
            high_at,
            low,
            high,
            energy: blocks.iter().map(|block| block.energy).sum::<f32>() + 4.0 * samples,
            samples,
        }
    }

    fn pair(&self) -> Pair {
        let dbm0 = 10.0 * log10(self.energy / (self.samples * power(0.0)));
        Pair { low: self.low, high: self.high, energy: self.energy, dbm0 }
    }

    fn lg(&self, value: f32) -> f32 {
        log10(value.max(self.samples / 100.0) + self.samples)
    }

    fn describe(&self, past: &[Past; PAST], to: &mut [f32]) {
        let Some(to) = to.first_chunk_mut::<WINDOW_FEATURES>() else { return };
        let [lower, _, upper] = &self.tried;
        let at = |of: &[f32; TONES], place: usize| of.get(place).copied().unwrap_or_default();
        let held = (self.low + self.high) / self.energy;
        let [low, high, all] = [self.low, self.high, self.energy].map(|value| self.lg(value));
        let off = |place: usize| {
            let sum: f32 = self.tried.iter().map(|tried| at(tried, place)).sum();
            (at(lower, place) - at(upper, place)) / (sum + self.samples)
        };
        let half = |of: &[f32; TONES]| [self.lg(at(of, self.low_at)) - low, self.lg(at(of, self.high_at)) - high];
        let [first, second] = &self.halves;
        let [first, second] = [half(first), half(second)];
        // Two hops are 20 ms, four are 40 ms.
        let [fourth, _, twice, _] = past;
        let ago =
            |past: &Past| [low - self.lg(at(&past.best, self.low_at)), high - self.lg(at(&past.best, self.high_at))];
        let [twenty, forty] = [ago(twice), ago(fourth)];
        *to = [
            log10((held + 1e-3) / (1.02 - held.min(1.0))),
            0.0,
            0.0,
            high - low,
            (high - low).powi(2),
            self.lg(self.low + self.high),
            self.lg(self.low + self.high) - all,
            off(self.low_at),
            off(self.high_at),
            low - self.lg(second_best(&self.best, LOWS, self.low_at)),
            high - self.lg(second_best(&self.best, HIGHS, self.high_at)),
            first[0],
            first[1],
            second[0],
            second[1],
            twenty[0],
            twenty[1],
            forty[0],
            forty[1],
            all - self.lg(fourth.energy),
            0.0,
            0.0,
            0.0,
        ];
    }

    fn describe_bands(&self, bands: [f32; 3], to: &mut [f32]) {
        let [below, lower, higher] = bands.map(|energy| energy / self.samples);
        let all = self.lg(self.energy);
        let numbers = [
            log10(self.low / lower.max(1.0) + 1e-3),
            log10(self.high / higher.max(1.0) + 1e-3),
            self.lg(below) - all,
            self.lg(lower) - all,
            self.lg(higher) - all,
        ];
        for (place, number) in OF_BANDS.into_iter().zip(numbers) {
            if let Some(to) = to.get_mut(place) {
                *to = number;
            }
        }
    }
}

fn strongest(of: &[f32; TONES], group: std::ops::Range<usize>) -> (usize, f32) {
    let start = group.start;
    let group = of.get(group).unwrap_or_default();
    let mut best = (start, 0.0);
    for (place, value) in group.iter().enumerate() {
        if *value > best.1 {
            best = (start + place, *value);
        }
    }
    best
}

fn second_best(of: &[f32; TONES], group: std::ops::Range<usize>, best: usize) -> f32 {
    let others = of.iter().enumerate().skip(group.start).take(group.len()).filter(|(place, _)| *place != best);
    others.map(|(_, value)| *value).fold(0.0, f32::max)
}

/// The energies of the three bands, times the window's samples. Around the window's middle cosines are even and sines are
/// odd, so the two halves are folded onto each other first.
fn band_energies<const SAMPLES: usize, const HALF: usize, const BINS: usize>(
    samples: &[i16; SAMPLES],
    [cosines, sines]: &Waves<HALF, BINS>,
    bands: [std::ops::Range<usize>; 3],
) -> [f32; 3] {
    let (mut even, mut odd) = ([0.0; HALF], [0.0; HALF]);
    let folded = samples.iter().skip(HALF).zip(samples.iter().rev().skip(HALF));
    for ((even, odd), (late, early)) in even.iter_mut().zip(&mut odd).zip(folded) {
        let (late, early) = (f32::from(*late), f32::from(*early));
        (*even, *odd) = (late + early, late - early);
    }
    let (re, im) = (correlate(&even, cosines), correlate(&odd, sines));
    let mut squares = [0.0; BINS];
    squares.iter_mut().zip(re.iter().zip(&im)).for_each(|(square, (re, im))| *square = re * re + im * im);
    bands.map(|band| squares.get(band).unwrap_or_default().iter().sum())
}

/// Cosines and sines apart, so that the sums of each fit into the processor's registers.
fn correlate<const HALF: usize, const BINS: usize>(folded: &[f32; HALF], waves: &[[f32; BINS]; HALF]) -> [f32; BINS] {
    let mut sums = [0.0; BINS];
    for (sample, waves) in folded.iter().zip(waves) {
        sums.iter_mut().zip(waves).for_each(|(sum, wave)| *sum += sample * wave);
    }
    sums
}

/// The logarithm to the base of ten, within 0.0001: exponent, and a curve through the mantissa that is exact at both ends.
fn log10(value: f32) -> f32 {
    const BIAS: i32 = 127;
    let bits = value.to_bits();
    let exponent = (bits >> 23).cast_signed() - BIAS;
    let rest = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000) - 1.0;
    let curve = -0.441_022 + rest * (0.244_374 - rest * 0.083_259);
    #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "an exponent is small")]
    let exponent = exponent as f32;
    (exponent + rest + rest * (rest - 1.0) * curve) * std::f32::consts::LOG10_2
}

/// Bins lie as far apart as the window tells them apart.
#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "const: no iterators"
)]
const fn waves<const HALF: usize, const BINS: usize>() -> Waves<HALF, BINS> {
    /// The root of 8/3: the mean square of Hann's window is 3/8.
    const POWER: f64 = 1.632_993_161_855_452;
    let mut waves = [[[0.0; BINS]; HALF]; 2];
    let mut n = 0;
    while n < HALF {
        // The middle lies between two samples.
        let from_middle = n as f64 + 0.5;
        let (hann, _) = turn(from_middle / (2 * HALF) as f64);
        let hann = POWER * (0.5 + 0.5 * hann);
        let mut bin = 0;
        while bin < BINS {
            let hertz = LOWEST_BIN_HERTZ as f64 + bin as f64 * RATE as f64 / (2 * HALF) as f64;
            let (cosine, sine) = turn(hertz * from_middle / RATE as f64);
            waves[0][n][bin] = (hann * cosine) as f32;
            waves[1][n][bin] = (hann * sine) as f32;
            bin += 1;
        }
        n += 1;
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{Shape, tone};

    #[test]
    fn logarithms_are_right_to_four_digits() {
        for n in 1..20_000_u16 {
            let value = f32::from(n) * f32::from(n) * 0.001;
            assert!((log10(value) - value.log10()).abs() < 2e-4, "{value}");
        }
    }

    /// All numbers of the last hop of a key.
    fn heard(key: u8) -> Features {
        let (mut sound, mut ears) = (Sound::new(), Ears::new());
        let mut features = None;
        for hop in tone(key, Shape::default()).unwrap().chunks_exact(HOP) {
            sound.hear(hop, |_| ());
            let heard = ears.hear(&sound);
            features = heard.features;
            heard.bands(features.as_mut().unwrap());
        }
        features.unwrap()
    }

    #[test]
    fn a_steady_pair_of_tones_holds_its_window_and_is_neither_fast_nor_slow() {
        let features = heard(b'5');
        for window in [&features[..WINDOW_FEATURES], &features[WINDOW_FEATURES..]] {
            assert!(window[0] > 1.0 && window[3].abs() < 0.1, "{window:?}");
            assert!(window[7].abs() < 0.05 && window[8].abs() < 0.05, "{window:?}");
            // Each half has half of the energy.
            assert!(window[11..15].iter().all(|half| (half + 0.3).abs() < 0.05), "{window:?}");
        }
    }

    #[test]
    fn bands_hold_what_sounds_in_them() {
        let features = heard(b'1');
        // The low tone fills the lower band, the high tone the higher one, and nothing sounds below. A tone's energy is
        // reckoned twice that of its bins.
        assert!((features[1] - 0.3).abs() < 0.05 && (features[2] - 0.3).abs() < 0.05, "{features:?}");
        assert!(features[20] < -1.5 && features[21] > -0.62 && features[22] > -0.62, "{features:?}");
    }
}
