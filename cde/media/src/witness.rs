//! The second pair of ears: hears whether a key's two tones are in what a leg was sent, as it was encoded.
//!
//! It shares nothing with the mask or the [`detector`](crate::detector), so that what one of them overlooks the other
//! does not. They correlate the sound with the frequencies of the keypad; this one predicts it. Two steady tones, and
//! nothing else, are always at the same distance from their own past:
//! `x[n] + a x[n-1] + b x[n-2] + a x[n-3] + x[n-4] = 0`, where `a` and `b` depend on the two frequencies alone. So each
//! 5 ms the last 20 ms are asked how well any `a` and `b` predict them. Speech fails that nearly always, and only where
//! it does not are the two frequencies, which `a` and `b` give away, compared with those of a keypad. Then the tones
//! are measured: what they hold of the sound, whether they are steady, and how loud each is.
//!
//! The sound is filtered to 500 to 1800 Hz first and every second sample is left out: what is below (voice, traffic)
//! and above (noise) says nothing of a key, and the two frequencies lie further apart then, where prediction is
//! less disturbed by noise.

use crate::dtmf::{HIGH, KEYPAD, LOW, Shape, tone};
use crate::number::power;
use crate::stages::{Stage, works};
use card::Key;
use std::f32::consts::TAU;
use std::ops::{Add, Mul, Sub};

/// Samples between two looks, 5 ms, and how many of them are looked at.
const HOP: usize = 40;
const HOPS: usize = 4;
/// Filtered samples: every second one.
const BAND_HOP: usize = HOP / 2;
const BAND: usize = BAND_HOP * HOPS;
const BAND_RATE: f32 = 4000.0;
/// They are made by four, for the processor's sake.
const FOUR: usize = 4;
const EIGHT: usize = 2 * FOUR;
const FOURS_HOP: usize = BAND_HOP / FOUR;
/// The filter makes samples sixteen times as loud at most, so that a sixteenth of what it makes is a sample again.
const LOUDER: f32 = 16.0;
/// Samples of half a window.
const HALF: f32 = 40.0;

/// The weakest tone that is heard.
const LEVEL_MIN_DBM0: f32 = -45.0;
/// The filter lets through so much of the power of a tone, at least.
const GAIN_MIN: f32 = 45.0;
/// What prediction may leave over; a key in the noise of a street leaves 0.045.
const LEFT_MAX: f32 = 0.06;
/// How far prediction may be off the frequency of a key, and how far the measured tone may be.
const PREDICTED_OFF_MAX: f32 = 0.06;
const OFF_MAX: f32 = 0.025;
/// The higher tone over the lower one, in dB.
const TWIST_DB: std::ops::RangeInclusive<f32> = -12.0..=8.0;
/// The second half of a window over its first half, in dB.
const SWELL_MAX_DB: f32 = 4.0;
/// What the tones must hold of the filtered sound, and of all of it (the slower half of it counts less).
const HELD_MIN: f32 = 0.86;
const HELD_OF_ALL_MIN: f32 = 0.5;
/// Enough for a key: what looks in a row hold above that, two of 0.935 or three of 0.91. In a day of voices it was never
/// more than 0.125.
const ENOUGH: f32 = 0.15;
/// Enough in one look: no voice has ever held more than 0.955.
const PURE: f32 = 0.98;

/// What was heard in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    /// A key's tones.
    pub suspicious: bool,
    /// The largest part of the sound between 500 and 1800 Hz that two tones at the frequencies of a key held over
    /// 20 ms; 0 where no such tones were.
    pub explained: f32,
}

/// Listens to one stream of 8 kHz samples.
pub struct Witness {
    /// Where what was heard was no multiple of a hop, as few senders have it.
    rest: Option<Box<Rest>>,
    /// The last samples of the hop before, and the last four of the filtered ones.
    before: [i16; EIGHT],
    last: [f32; FOUR],
    /// The window without its newest hop, which is to come.
    older: [Hop; HOPS - 1],
    /// The key of the last look, and what speaks for it.
    key: Option<Place>,
    evidence: f32,
    /// The key of the purest look at what was heard last.
    purest: Option<Place>,
}

/// Row and column of a key.
type Place = (u8, u8);

/// What is kept of a hop.
#[derive(Clone, Copy, Default)]
struct Hop {
    /// The filtered samples, which are looked at where they may be tones. They are kept as samples are, to the nearest sixteenth of
    /// the weakest one.
    band: [i16; BAND_HOP],
    /// For the prediction.
    sums: Sums,
    /// Of all sound.
    energy: f32,
}

/// Less than a hop.
struct Rest {
    samples: [i16; HOP],
    filled: usize,
}

impl Rest {
    const NOTHING: Self = Self { samples: [0; HOP], filled: 0 };

    /// Samples that a hop lacks which has begun.
    fn missing(&self) -> usize {
        if self.filled == 0 { 0 } else { HOP - self.filled }
    }

    /// Takes samples, no more than are missing, and gives the hop that is whole with them.
    fn take(&mut self, samples: &[i16]) -> Option<[i16; HOP]> {
        let room = self.samples.iter_mut().skip(self.filled);
        room.zip(samples).for_each(|(to, from)| *to = *from);
        self.filled = (self.filled + samples.len()) % HOP;
        (self.filled == 0 && !samples.is_empty()).then_some(self.samples)
    }
}

impl Default for Witness {
    fn default() -> Self {
        Self::new()
    }
}

impl Witness {
    /// One that has heard nothing.
    pub fn new() -> Self {
        Self {
            rest: None,
            before: [0; EIGHT],
            last: [0.0; FOUR],
            older: [Hop::default(); HOPS - 1],
            key: None,
            evidence: 0.0,
            purest: None,
        }
    }

    /// Whether a new one hears at all: it is played a key.
    pub(crate) fn can_hear() -> bool {
        tone(b'5', Shape::default()).is_some_and(|key| Self::new().push(&key).suspicious)
    }

    /// Hears samples, a frame or any number of them.
    pub fn push(&mut self, samples: &[i16]) -> Heard {
        let mut heard = Heard::default();
        self.purest = None;
        let missing = self.rest.as_ref().map_or(0, |rest| rest.missing());
        let (first, others) = samples.split_at(missing.min(samples.len()));
        if let Some(hop) = self.rest.as_mut().and_then(|rest| rest.take(first)) {
            self.hear(&hop, &mut heard);
        }
        let (hops, rest) = others.as_chunks();
        hops.iter().for_each(|hop| self.hear(hop, &mut heard));
        if !rest.is_empty() {
            self.rest.get_or_insert_with(|| Box::new(Rest::NOTHING)).take(rest);
        }
        heard.suspicious &= works(Stage::Hearing);
        heard
    }

    fn hear(&mut self, hop: &[i16; HOP], heard: &mut Heard) {
        let (band, energy) = self.filter(hop);
        let newest = Hop { band: kept(&band), sums: Sums::new(&band), energy };
        let [oldest, older, old] = &self.older;
        let tones = tones([oldest, older, old, &newest]);
        self.older = [*older, *old, newest];
        heard.suspicious |= self.count(tones.as_ref());
        if let Some(tones) = tones.filter(|tones| tones.held > heard.explained) {
            (heard.explained, self.purest) = (tones.held, Some(tones.key));
        }
    }

    /// Which key it was that explained most of what was heard last. For the agent's own sound, which is no secret.
    pub(crate) fn key(&self) -> Option<Key> {
        let (row, column) = self.purest?;
        let key = KEYPAD.get(usize::from(row))?.get(usize::from(column)).copied()?;
        Key::from_char(u8::try_from(key).ok()?)
    }

    /// True if these tones and those of the looks before are a key.
    fn count(&mut self, tones: Option<&Tones>) -> bool {
        let key = tones.map(|tones| tones.key);
        if key.is_none() || key != self.key {
            self.evidence = 0.0;
        }
        self.key = key;
        let more = tones.map_or(0.0, |tones| tones.held - HELD_MIN);
        self.evidence = if more > 0.0 { self.evidence + more } else { 0.0 };
        self.evidence >= ENOUGH || tones.is_some_and(|tones| tones.held >= PURE)
    }

    /// Filters the newest hop: (1 - z^-4)(1 - z^-2)(1 + z^-1)^2, which is silent at 0, 2000 and 4000 Hz and loudest at
    /// 1100 Hz, and needs no multiplication but by two. Before it stand the last four of the hop before. Its energy also.
    fn filter(&mut self, hop: &[i16; HOP]) -> (Band, f32) {
        let (mut band, mut energy) = ([self.last; FOURS_HOP + 1], Lanes::default());
        let [mut last_even, mut last_odd] = apart(&self.before);
        let (eights, _) = hop.as_chunks::<EIGHT>();
        for (to, eight) in band.iter_mut().skip(1).zip(eights) {
            let [even, odd] = apart(eight);
            let [_, even_3, even_2, even_1] = last_even.until(even);
            let [odd_4, _, odd_2, _] = last_odd.until(odd);
            let twice = even + even_3 - even_2 - even_1 - odd_2;
            *to = (odd + odd_4 + twice + twice).0;
            energy = energy + (odd - even) * (odd - even);
            (last_even, last_odd) = (even, odd);
        }
        let [_, .., last] = &band;
        self.last = *last;
        if let Some(before) = eights.last() {
            self.before = *before;
        }
        (band, energy.sum())
    }
}

/// The even samples of eight, and the odd ones.
fn apart([a, b, c, d, e, f, g, h]: &[i16; EIGHT]) -> [Lanes; 2] {
    [[a, c, e, g], [b, d, f, h]].map(|four| Lanes(four.map(|sample| f32::from(*sample))))
}

/// A filtered hop, and the last four of the one before.
type Band = [[f32; FOUR]; FOURS_HOP + 1];

fn kept(band: &Band) -> [i16; BAND_HOP] {
    let mut kept = [0; BAND_HOP];
    kept.iter_mut().zip(band.as_flattened().iter().skip(FOUR)).for_each(|(to, value)| *to = nearest(value / LOUDER));
    kept
}

/// The two tones of a window, if they are those of a key.
fn tones(hops: [&Hop; HOPS]) -> Option<Tones> {
    let sums = hops.iter().fold(Sums::default(), |all, hop| all.plus(&hop.sums));
    let omegas = sums.two_tones()?;
    let (row, column) = near(omegas, PREDICTED_OFF_MAX)?;
    let nominal = [*LOW.get(usize::from(row))?, *HIGH.get(usize::from(column))?];
    let nominal = nominal.map(|hertz| f32::from(hertz) * TAU / BAND_RATE);
    let mut window = [0.0; BAND];
    let kept = hops.iter().flat_map(|hop| &hop.band);
    window.iter_mut().zip(kept).for_each(|(to, kept)| *to = f32::from(*kept) * LOUDER);
    let window = window.as_slice();
    // Noise puts the prediction off a little; what the tones do from one half of the window to the other does not.
    let once = Pair::measure(window, nominal)?;
    let pair = Pair::measure(window, once.omegas)?;
    let key = near(pair.omegas, OFF_MAX)?;
    let tones = Tones { key, held: pair.held(window)? };
    let of_all = pair.stepped() / hops.iter().map(|hop| hop.energy).sum::<f32>();
    (pair.is_plausible() && of_all >= HELD_OF_ALL_MIN).then_some(tones)
}

/// The nearest whole number to one that fits, by what an addition leaves over: none is faster, and all of a hop are made at once.
fn nearest(value: f32) -> i16 {
    /// One and a half times 2²³: its last bit is worth 1.
    const ONES: f32 = 12_582_912.0;
    let [low, high, ..] = (value + ONES).to_bits().to_le_bytes();
    i16::from_le_bytes([low, high])
}

/// Two tones of a window.
struct Tones {
    key: Place,
    held: f32,
}

/// The key whose frequencies these are.
fn near(omegas: [f32; 2], off_max: f32) -> Option<Place> {
    let [low, high] = omegas.map(|omega| omega * BAND_RATE / TAU);
    let place = |group: &[u16; 4], hertz: f32| {
        let off = |nominal: &u16| (hertz / f32::from(*nominal) - 1.0).abs();
        let (place, nominal) = (0..).zip(group).min_by(|(_, a), (_, b)| off(a).total_cmp(&off(b)))?;
        (off(nominal) <= off_max).then_some(place)
    };
    Some((place(&LOW, low)?, place(&HIGH, high)?))
}

/// Sums of products of what a prediction is made of: the outer samples of five in a row, the inner ones, the middle one.
/// In this order: outer², outer·inner, outer·middle, inner², inner·middle, middle².
#[derive(Clone, Copy, Default)]
struct Sums([f32; 6]);

/// The same of noise that falls towards high frequencies as that of a street does (one pole at 0.8), after the filter.
const NOISE: Sums = Sums([2.061, -0.067, -1.104, 0.896, 0.19, 1.0]);
/// Twice the cosines of 650, 1070 and 1750 Hz: one tone of a key is between the first two, the other beyond. And of 560,
/// 1070 and 1950 Hz, where noise is still in it.
const BETWEEN: [f32; 3] = [1.045, -0.219, -1.848];
const ROUGHLY: [f32; 3] = [1.275, -0.219, -1.994];
/// Steps in which the part of noise is found.
const STEPS: usize = 4;

/// Is a root of `x² + a x + b - 2` between the first two places, and the other between the last two? The roots are twice
/// the cosines of the two tones.
fn is_between([a, b]: [f32; 2], [from, middle, to]: [f32; 3]) -> bool {
    let at = |place: f32| place * (place + a) + b - 2.0;
    at(from) > 0.0 && at(middle) < 0.0 && at(to) > 0.0
}

impl Sums {
    /// Of a hop.
    fn new(band: &Band) -> Self {
        let mut sums = [Lanes::default(); 6];
        for [before, now] in band.array_windows::<2>() {
            let [last_4, last_3, middle, last_1] = Lanes(*before).until(Lanes(*now));
            let (outer, inner) = (Lanes(*now) + last_4, last_1 + last_3);
            let products =
                [outer * outer, outer * inner, outer * middle, inner * inner, inner * middle, middle * middle];
            sums.iter_mut().zip(products).for_each(|(sum, product)| *sum = *sum + product);
        }
        Self(sums.map(Lanes::sum))
    }

    fn plus(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(to, from)| *to += from);
        self
    }

    fn less_noise(mut self, part: f32) -> Self {
        self.0.iter_mut().zip(NOISE.0).for_each(|(to, noise)| *to -= part * noise);
        self
    }

    /// Radians a sample of the two tones that predict best; none if they do not predict well.
    fn two_tones(&self) -> Option<[f32; 2]> {
        let [outer, _, _, inner, _, middle] = self.0;
        if middle < HALF * 2.0 * GAIN_MIN * power(LEVEL_MIN_DBM0) {
            return None;
        }
        let (rough, left) = self.predict()?;
        if left > LEFT_MAX * (outer + inner + middle) || !is_between(rough, ROUGHLY) {
            return None;
        }
        // Least squares alone would take noise for part of the tones and put both frequencies off.
        let ([a, b], _) = self.less_noise(self.noise()).predict()?;
        if !is_between([a, b], BETWEEN) {
            return None;
        }
        let root = (a * a - 4.0 * (b - 2.0)).sqrt();
        Some([(root - a) / 4.0, (-root - a) / 4.0].map(f32::acos))
    }

    /// The best `a` and `b`, and what they leave over.
    fn predict(&self) -> Option<([f32; 2], f32)> {
        let [outer, outer_inner, outer_middle, inner, inner_middle, middle] = self.0;
        let determinant = inner * middle - inner_middle * inner_middle;
        let a = (outer_middle * inner_middle - outer_inner * middle) / determinant;
        let b = (outer_inner * inner_middle - outer_middle * inner) / determinant;
        (determinant > 0.0).then_some(([a, b], outer + a * outer_inner + b * outer_middle))
    }

    /// How much noise can be taken out until what is left is predicted without fault: the smallest root of
    /// `det(self - root NOISE)`, by Newton's way from below.
    fn noise(&self) -> f32 {
        let [.., scale] = self.0;
        let sums = Self(self.0.map(|sum| sum / scale));
        let mut root = 0.0;
        for _ in 0..STEPS {
            let [a, b, c, d, e, f] = sums.less_noise(root).0;
            let minors = [d * f - e * e, e * c - b * f, b * e - d * c, a * f - c * c, b * c - a * e, a * d - b * b];
            let [first, second, third, ..] = minors;
            let determinant = a * first + b * second + c * third;
            // Minors beside the diagonal count twice.
            let weights = [1.0, 2.0, 2.0, 1.0, 2.0, 1.0];
            let slope: f32 =
                NOISE.0.iter().zip(minors).zip(weights).map(|((noise, minor), by)| noise * minor * by).sum();
            if determinant <= 0.0 || slope <= 0.0 {
                break;
            }
            root += determinant / slope;
        }
        root * scale
    }
}

/// Two tones measured in a window.
struct Pair {
    /// Radians a filtered sample.
    omegas: [f32; 2],
    /// Mean squares before the filter, and how much each swells in dB.
    powers: [f32; 2],
    swells_db: [f32; 2],
}

impl Pair {
    /// Measures two tones of about these frequencies in each half of the window.
    fn measure(window: &[f32], omegas: [f32; 2]) -> Option<Self> {
        let (first, second) = window.split_at(window.len() / 2);
        let (first, second) = (Fit::new(first, omegas)?, Fit::new(second, omegas)?);
        let mut pair = Self { omegas, powers: [0.0; 2], swells_db: [0.0; 2] };
        let tones = first.tones.iter().zip(&second.tones);
        let found = pair.omegas.iter_mut().zip(pair.powers.iter_mut().zip(&mut pair.swells_db));
        for ((omega, (power, swell_db)), ([a, b], [c, d])) in found.zip(tones) {
            let (before, after) = (a * a + b * b, c * c + d * d);
            // How far the phase is ahead of where it would be.
            let ahead = (b * c - a * d).atan2(a * c + b * d) - *omega * HALF;
            *power = (before + after) / 4.0 / gain(*omega);
            *swell_db = 10.0 * (after / before).log10();
            *omega += (ahead - TAU * (ahead / TAU).round()) / HALF;
        }
        Some(pair)
    }

    /// Do two tones of a key sound so?
    fn is_plausible(&self) -> bool {
        let [low, high] = self.powers;
        TWIST_DB.contains(&(10.0 * (high / low).log10()))
            && low.min(high) >= power(LEVEL_MIN_DBM0)
            && self.swells_db.iter().all(|swell| swell.abs() <= SWELL_MAX_DB)
    }

    /// The part of a window's energy that they hold.
    fn held(&self, window: &[f32]) -> Option<f32> {
        let energy: f32 = window.iter().map(|sample| sample * sample).sum();
        Some((Fit::new(window, self.omegas)?.held / energy).min(1.0))
    }

    /// Their energy in the differences of samples, by which [`Hop::energy`] is counted.
    fn stepped(&self) -> f32 {
        let tones = self.omegas.iter().zip(&self.powers);
        tones.map(|(omega, power)| 2.0 * HALF * power * 4.0 * (omega / 4.0).sin().powi(2)).sum()
    }
}

/// What the filter makes of a tone's power.
fn gain(omega: f32) -> f32 {
    let omega = omega / 2.0;
    (16.0 * (2.0 * omega).sin() * omega.sin() * (omega / 2.0).cos().powi(2)).powi(2)
}

/// Two tones fitted by least squares.
struct Fit {
    /// Factors of cosine and sine, by the samples' middle.
    tones: [[f32; 2]; 2],
    /// The energy they hold.
    held: f32,
}

impl Fit {
    /// Around the middle, cosines and sines have nothing in common, so two unknowns are found twice.
    fn new(samples: &[f32], omegas: [f32; 2]) -> Option<Self> {
        let (left, right) = samples.split_at(samples.len() / 2);
        let (mut cosines, mut sines) = (Two::default(), Two::default());
        let mut turns = omegas.map(|omega| (omega / 2.0).sin_cos());
        let steps = omegas.map(f32::sin_cos);
        for (before, after) in left.iter().rev().zip(right) {
            let [(low_sine, low_cosine), (high_sine, high_cosine)] = turns;
            cosines.add([low_cosine, high_cosine], after + before);
            sines.add([low_sine, high_sine], after - before);
            for ((sine, cosine), (step_sine, step_cosine)) in turns.iter_mut().zip(&steps) {
                let ahead = *sine * step_cosine + *cosine * step_sine;
                *cosine = *cosine * step_cosine - *sine * step_sine;
                *sine = ahead;
            }
        }
        let ([a, c], cosines_held) = cosines.solve()?;
        let ([b, d], sines_held) = sines.solve()?;
        Some(Self { tones: [[a, b], [c, d]], held: cosines_held + sines_held })
    }
}

/// Normal equations of two unknowns, for pairs of samples at the same distance from the middle.
#[derive(Default)]
struct Two {
    matrix: [f32; 3],
    right: [f32; 2],
}

impl Two {
    fn add(&mut self, [low, high]: [f32; 2], value: f32) {
        let products = [low * low, low * high, high * high];
        self.matrix.iter_mut().zip(products).for_each(|(to, product)| *to += product);
        self.right.iter_mut().zip([low, high]).for_each(|(to, factor)| *to += factor * value);
    }

    /// The unknowns and the energy that they hold.
    fn solve(&self) -> Option<([f32; 2], f32)> {
        let ([low, both, high], [first, second]) = (self.matrix, self.right);
        let determinant = 2.0 * (low * high - both * both);
        let found = [(first * high - second * both) / determinant, (second * low - first * both) / determinant];
        (determinant > f32::EPSILON).then_some((found, found.iter().zip(self.right).map(|(a, b)| a * b).sum()))
    }
}

/// Four numbers at once.
#[derive(Clone, Copy, Default)]
struct Lanes([f32; FOUR]);

impl Lanes {
    fn of(left: Self, right: Self, by: impl Fn(f32, f32) -> f32) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (left.0, right.0);
        Self([by(a, e), by(b, f), by(c, g), by(d, h)])
    }

    /// What was four, three, two samples and one before each of `now`, which follows.
    fn until(self, now: Self) -> [Self; 4] {
        let ([_, b, c, d], [e, f, g, _]) = (self.0, now.0);
        [self, Self([b, c, d, e]), Self([c, d, e, f]), Self([d, e, f, g])]
    }

    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + b) + (c + d)
    }
}

impl Add for Lanes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::of(self, other, |a, b| a + b)
    }
}

impl Sub for Lanes {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::of(self, other, |a, b| a - b)
    }
}

impl Mul for Lanes {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self::of(self, other, |a, b| a * b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{Shape, tone};
    use crate::g711::{self, Law};
    use crate::number::{peak, sample};

    const KEYS: &[u8; 16] = b"0123456789*#ABCD";

    /// A small generator, so that a seed replays: from -1 to 1.
    struct Dice(u32);

    impl Dice {
        fn roll(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(i16::try_from(i32::try_from(self.0 >> 16).unwrap() - 32_768).unwrap()) / 32_768.0
        }
    }

    fn shapes() -> impl Iterator<Item = Shape> {
        let levels = [(-3.0, 0.0, 40), (-12.0, 4.0, 60), (-21.0, -8.0, 40), (-25.0, 3.0, 100)];
        [0.985, 1.0, 1.015].into_iter().flat_map(move |detune| {
            levels.map(|(level_dbm0, twist_db, duration_ms)| Shape { level_dbm0, twist_db, detune, duration_ms })
        })
    }

    fn hear(law: Law, sound: &[i16]) -> Heard {
        let mut witness = Witness::new();
        let coded: Vec<i16> = sound.iter().map(|sample| g711::decode(law, g711::encode(law, *sample))).collect();
        coded.chunks(160).map(|frame| witness.push(frame)).fold(Heard::default(), |all, heard| Heard {
            suspicious: all.suspicious | heard.suspicious,
            explained: all.explained.max(heard.explained),
        })
    }

    /// Every shape of every key, up to so many samples of it, after so much of this noise.
    fn every_key(length: usize, leads: &[usize], mut noise: impl FnMut() -> f32) -> Vec<(Shape, u8, Heard)> {
        let mut heard = Vec::new();
        for (shape, key) in shapes().flat_map(|shape| KEYS.map(|key| (shape, key))) {
            for lead in leads {
                let tone = tone(key, shape).unwrap();
                let tone = &tone[..length.min(tone.len())];
                let sound: Vec<i16> = [&vec![0; *lead], tone, &[0; 80]]
                    .concat()
                    .iter()
                    .map(|at| sample(f32::from(*at) + noise()))
                    .collect();
                let codec = if lead % 2 == 0 { Law::Mu } else { Law::A };
                heard.push((shape, key, hear(codec, &sound)));
            }
        }
        heard
    }

    #[test]
    fn every_whole_key_is_suspected() {
        for (shape, key, heard) in every_key(usize::MAX, &[320, 331, 347, 399], || 0.0) {
            assert!(heard.suspicious && heard.explained > 0.98, "{shape:?} {} {heard:?}", char::from(key));
        }
    }

    #[test]
    fn noise_of_a_street_hides_no_key() {
        let (mut dice, mut last) = (Dice(1), 0.0);
        // White noise through one pole at 0.9; a uniform number has a third of its peak's square.
        let mut street = || {
            last = 0.9 * last + (3.0 * power(-30.0) * 0.19).sqrt() * dice.roll();
            last
        };
        for (shape, key, heard) in every_key(usize::MAX, &[320, 357], &mut street) {
            assert!(heard.suspicious, "{shape:?} {} {heard:?}", char::from(key));
        }
    }

    #[test]
    fn what_leaks_of_a_key_is_suspected_from_26_ms_on() {
        for (shape, key, heard) in every_key(208, &[320, 337, 359], || 0.0) {
            assert!(heard.suspicious, "{shape:?} {} {heard:?}", char::from(key));
        }
    }

    #[test]
    fn any_number_of_samples_at_once_is_heard_alike() {
        let mut sound = vec![0; 333];
        sound.extend(tone(b'7', Shape::default()).unwrap());
        for length in [1, 7, 40, 80, 160, 161, 480] {
            let mut witness = Witness::new();
            let heard: Vec<Heard> = sound.chunks(length).map(|some| witness.push(some)).collect();
            assert_eq!(heard.iter().map(|heard| heard.explained).fold(0.0, f32::max), hear_linear(&sound), "{length}");
        }
    }

    fn hear_linear(sound: &[i16]) -> f32 {
        Witness::new().push(sound).explained
    }

    /// Sines of these frequencies together.
    fn chord(hertz: &[f32], dbm0: f32) -> Vec<i16> {
        let at = |n: u16| hertz.iter().map(|hertz| (TAU * hertz * f32::from(n) / 8000.0).sin()).sum::<f32>();
        (0..8000).map(|n| sample(peak(dbm0) * at(n))).collect()
    }

    #[test]
    fn other_signals_are_no_keys() {
        // The masked line's beep, dial, ringing and busy tones, single tones of a keypad, of a modem and of an alarm.
        let signals: [&[f32]; 16] = [
            &[520.0],
            &[350.0, 440.0],
            &[440.0, 480.0],
            &[480.0, 620.0],
            &[425.0],
            &[400.0, 450.0],
            &[697.0],
            &[941.0],
            &[1209.0],
            &[1477.0],
            &[1100.0],
            &[2100.0],
            &[950.0],
            &[1400.0],
            &[700.0, 1100.0],
            &[900.0, 1700.0],
        ];
        for (signal, codec) in signals.iter().flat_map(|signal| [(signal, Law::Mu), (signal, Law::A)]) {
            assert_eq!(hear(codec, &chord(signal, -12.0)), Heard::default(), "{signal:?}");
        }
    }

    #[test]
    fn two_tones_that_are_four_percent_off_are_no_key() {
        for (low, high) in LOW.iter().flat_map(|low| HIGH.map(|high| (f32::from(*low), f32::from(high)))) {
            for off in [[0.96, 1.0], [1.0, 0.96], [1.04, 1.0], [1.0, 1.04]] {
                let heard = hear(Law::Mu, &chord(&[low * off[0], high * off[1]], -12.0));
                assert!(!heard.suspicious, "{low} {high} {off:?}");
            }
        }
    }

    #[test]
    fn silence_noise_and_humming_are_no_keys() {
        let mut dice = Dice(2);
        let white: Vec<i16> = (0..800_000).map(|_| sample(8000.0 * dice.roll())).collect();
        assert!(!hear(Law::Mu, &white).suspicious);
        assert_eq!(hear(Law::A, &[0; 8000]), Heard::default());
        assert_eq!(hear(Law::A, &[i16::MIN; 8000]), Heard::default());
        // Voices that glide from 90 to 400 Hz, all harmonics alike.
        let mut phase = 0.0_f32;
        let hum: Vec<i16> = (0..400_000_u32)
            .map(|n| {
                phase = (phase + (90.0 + 310.0 * f32::from(u16::try_from(n % 40_000).unwrap()) / 40_000.0) / 8000.0)
                    .fract();
                sample((1..9_u8).map(|harmonic| 2000.0 * (TAU * phase * f32::from(harmonic)).sin()).sum())
            })
            .collect();
        assert!(!hear(Law::Mu, &hum).suspicious);
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Witness>() < 1024);
    }
}
