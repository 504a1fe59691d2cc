//! Names the key tones in sound: proof, not suspicion.
//!
//! Each 5 ms the last 20 ms are looked at. Correlations, one a frequency of the keypad, tell cheaply whether two of them
//! make up most of the sound. Only then two tones are fitted to it by least squares, with their frequencies and how they
//! swell as unknowns; a fit that leaves little over, with both frequencies right and neither tone much louder than the
//! other, is a hit. Enough hits are a key. A dial tone, which may sound under the first key, is fitted beside the two and
//! counts for neither side.
//!
//! The tones' limits are those of ITU-T Q.24 with a margin: a receiver must take what is 1.5 % off its frequency and
//! refuse what is 3.5 % off, take 40 ms and refuse 23 ms.

use crate::dtmf::{HIGH, KEYPAD, LOW};
use crate::number::{RATE, power};
use card::Key;
use std::f32::consts::TAU;

/// Samples between two looks, 5 ms, and of what is looked at.
const HOP: usize = 40;
const HOPS: usize = 4;
const WINDOW: usize = HOP * HOPS;
/// The same, to reckon with.
const LENGTH: f32 = 160.0;
const HOP_LENGTH: f32 = 40.0;
/// The middle of the window lies between its two middle samples.
const MIDDLE: f32 = 79.5;
/// Frequencies that are correlated: low ones, high ones, and those of a dial tone (ITU-T E.180, North America).
const LISTENED: usize = 10;
const DIAL: [u16; 2] = [350, 440];
/// A part of the energy that is no chance.
const DIAL_MIN: f32 = 0.1;
/// A pair that holds less of the energy is not looked at further. At 1.5 % off, half of the energy is seen.
const WORTH_A_LOOK: f32 = 0.28;
/// What the two fitted tones must hold of the energy: 5 dB more than all else.
const HELD_MIN: f32 = 0.76;
/// The weakest tone.
const LEVEL_MIN_DBM0: f32 = -40.0;
/// Frequencies are fitted from the nearest of these.
const DETUNES: [f32; 3] = [0.988, 1.0, 1.012];
/// How far a frequency may be off.
const OFF_MAX: f32 = 0.0225;
/// The higher tone over the lower one, in dB.
const TWIST_DB: std::ops::RangeInclusive<f32> = -10.5..=6.5;
/// How much a tone may swell or fade, in a sample: a window with the edge of a tone in it does more.
const SWELL_MAX: f32 = 0.008;
/// A look that is so much weaker than the loudest one of the same key is its echo: a sixteenth, 12 dB.
const ECHO: f32 = 1.0 / 16.0;
/// So many looks after the key an echo may still come: a quarter of a second.
const ECHO_LOOKS_MAX: u32 = 50;
/// Hits that make a key, and looks without one that end it.
const HITS_MIN: u32 = 4;
const MISSES_MAX: u32 = 8;
/// Looks without a hit after which another key may begin.
const CHANGE_MISSES: u32 = 2;

/// A key that was proved. It cannot be printed.
pub struct Proved {
    /// The key.
    pub key: Key,
    /// How much of the energy the two tones held in the best look, 0 to 1.
    pub held: f32,
}

/// Listens to one stream of 8 kHz samples.
pub struct Detector {
    window: [f32; WINDOW],
    filled: usize,
    sums: [[Complex; LISTENED]; HOPS],
    energies: [f32; HOPS],
    coefficients: [f32; LISTENED],
    /// A turn back by one sample, by all but one of a hop, and by a hop.
    turns: [[Complex; LISTENED]; 3],
    key: Option<u8>,
    hits: u32,
    misses: u32,
    reported: bool,
    held: f32,
    last: Option<Last>,
}

/// The newest key, and how loud it was.
#[derive(Clone, Copy)]
struct Last {
    key: u8,
    loudest: f32,
    looks_ago: u32,
}

/// What a look found.
#[derive(Clone, Copy)]
struct Hit {
    key: u8,
    held: f32,
    power: f32,
}

#[derive(Clone, Copy, Default)]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    /// A turn by so many radians.
    fn turn(radians: f32) -> Self {
        Self { re: radians.cos(), im: radians.sin() }
    }

    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn square(self) -> f32 {
        self.re * self.re + self.im * self.im
    }
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

/// Radians a sample.
fn omega(hertz: u16) -> f32 {
    TAU * f32::from(hertz) / f32::from(u16::try_from(RATE).unwrap_or(u16::MAX))
}

impl Detector {
    /// One that has heard nothing.
    pub fn new() -> Self {
        let mut omegas = [0.0; LISTENED];
        let listened = LOW.iter().chain(&HIGH).chain(&DIAL);
        omegas.iter_mut().zip(listened).for_each(|(to, hertz)| *to = omega(*hertz));
        let turns =
            [1.0, HOP_LENGTH - 1.0, HOP_LENGTH].map(|samples| omegas.map(|omega| Complex::turn(-omega * samples)));
        Self {
            window: [0.0; WINDOW],
            filled: 0,
            sums: [[Complex::default(); LISTENED]; HOPS],
            energies: [0.0; HOPS],
            coefficients: omegas.map(|omega| 2.0 * omega.cos()),
            turns,
            key: None,
            hits: 0,
            misses: 0,
            reported: false,
            held: 0.0,
            last: None,
        }
    }

    /// Forgets what was heard.
    pub fn clear(&mut self) {
        (self.window, self.filled) = ([0.0; WINDOW], 0);
        (self.sums, self.energies) = ([[Complex::default(); LISTENED]; HOPS], [0.0; HOPS]);
        self.last = None;
        self.forget();
    }

    /// Hears samples; gives each key once, when it is proved.
    pub fn push(&mut self, samples: &[i16], mut proved: impl FnMut(Proved)) {
        for sample in samples {
            let at = WINDOW - HOP + self.filled;
            if let Some(place) = self.window.get_mut(at) {
                *place = f32::from(*sample);
            }
            self.filled += 1;
            if self.filled == HOP {
                self.filled = 0;
                if let Some(key) = self.look() {
                    proved(key);
                }
                self.window.copy_within(HOP.., 0);
            }
        }
    }

    /// A hop is full.
    fn look(&mut self) -> Option<Proved> {
        self.correlate();
        let hit = self.candidate().and_then(|(low, high, dial)| self.fit(low, high, dial));
        self.last = self.last.map(|last| Last { looks_ago: last.looks_ago + 1, ..last });
        self.last = self.last.filter(|last| last.looks_ago <= ECHO_LOOKS_MAX);
        match hit.filter(|hit| !self.is_echo(hit)) {
            Some(hit) if self.key.is_none_or(|key| key == hit.key) || self.misses >= CHANGE_MISSES => self.count(hit),
            _ => self.misses += 1,
        }
        if self.misses >= MISSES_MAX {
            self.forget();
        }
        let key = self.key.filter(|_| self.hits >= HITS_MIN && !self.reported)?;
        self.reported = true;
        Some(Proved { key: Key::from_char(key)?, held: self.held })
    }

    fn count(&mut self, hit: Hit) {
        if self.key != Some(hit.key) {
            self.forget();
            self.key = Some(hit.key);
        }
        self.hits += 1;
        self.misses = 0;
        self.held = self.held.max(hit.held);
        let before = self.last.filter(|last| last.key == hit.key).map_or(0.0, |last| last.loudest);
        self.last = Some(Last { key: hit.key, loudest: hit.power.max(before), looks_ago: 0 });
    }

    fn is_echo(&self, hit: &Hit) -> bool {
        self.last.is_some_and(|last| last.key == hit.key && hit.power < last.loudest * ECHO)
    }

    fn forget(&mut self) {
        (self.key, self.hits, self.misses, self.reported, self.held) = (None, 0, 0, false, 0.0);
    }

    /// The correlations of the newest hop, and its energy.
    fn correlate(&mut self) {
        self.sums.rotate_left(1);
        self.energies.rotate_left(1);
        // Goertzel's filter: real numbers in the loop, turned into the sum of x e^-jwt afterwards.
        let (mut first, mut second) = ([0.0_f32; LISTENED], [0.0_f32; LISTENED]);
        let mut energy = 0.0;
        for sample in self.window.iter().skip(WINDOW - HOP) {
            energy += sample * sample;
            let mut next = [*sample; LISTENED];
            for ((next, coefficient), (first, second)) in
                next.iter_mut().zip(&self.coefficients).zip(first.iter().zip(&second))
            {
                *next += coefficient * first - second;
            }
            (second, first) = (first, next);
        }
        let [one, most, _] = &self.turns;
        let mut sums = [Complex::default(); LISTENED];
        for ((sum, (first, second)), (one, most)) in
            sums.iter_mut().zip(first.iter().zip(&second)).zip(one.iter().zip(most))
        {
            *sum = Complex { re: first - one.re * second, im: -one.im * second }.times(*most);
        }
        if let (Some(newest), Some(last)) = (self.sums.last_mut(), self.energies.last_mut()) {
            (*newest, *last) = (sums, energy);
        }
    }

    /// The strongest low and high frequency, where they hold enough; and whether there is a dial tone to leave out.
    fn candidate(&self) -> Option<(usize, usize, bool)> {
        let energy: f32 = self.energies.iter().sum();
        if energy < 2.0 * LENGTH * power(LEVEL_MIN_DBM0) {
            return None;
        }
        let held = self.held_by_each();
        let (low, rest) = held.split_at(LOW.len());
        let (high, dial) = rest.split_at(HIGH.len());
        let best = |held: &[f32]| held.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let ((low, low_held), (high, high_held)) = (best(low)?, best(high)?);
        let dialed: f32 = dial.iter().sum();
        let dial = dialed > DIAL_MIN * energy;
        let energy = if dial { energy - dialed.min(energy) } else { energy };
        (low_held + high_held >= WORTH_A_LOOK * energy).then_some((low, high, dial))
    }

    /// The energy that each frequency holds of the window.
    fn held_by_each(&self) -> [f32; LISTENED] {
        let mut held = [0.0; LISTENED];
        let [_, _, hop_turns] = &self.turns;
        for (index, (held, turn)) in held.iter_mut().zip(hop_turns).enumerate() {
            let mut at = Complex { re: 1.0, im: 0.0 };
            let mut sum = Complex::default();
            for hop in &self.sums {
                sum = sum.plus(hop.get(index).copied().unwrap_or_default().times(at));
                at = at.times(*turn);
            }
            *held = 2.0 * sum.square() / LENGTH;
        }
        held
    }

    /// Fits two tones to the window.
    fn fit(&self, low: usize, high: usize, dial: bool) -> Option<Hit> {
        let nominal = [omega(*LOW.get(low)?), omega(*HIGH.get(high)?)];
        let from = nominal.map(|omega| self.nearest(omega));
        let fit = if dial { Fit::new::<6>(&self.window, from)? } else { Fit::new::<4>(&self.window, from)? };
        let off = |index: usize| {
            let (from, nominal) = (from.get(index)?, nominal.get(index)?);
            Some((from + fit.tones.get(index)?.faster) / nominal - 1.0)
        };
        let [low_tone, high_tone] = &fit.tones;
        let twist_db = 10.0 * (high_tone.power / low_tone.power).log10();
        let right = off(0)?.abs() <= OFF_MAX && off(1)?.abs() <= OFF_MAX && TWIST_DB.contains(&twist_db);
        let loud = low_tone.power.min(high_tone.power) >= power(LEVEL_MIN_DBM0);
        let steady = low_tone.swells.abs().max(high_tone.swells.abs()) <= SWELL_MAX;
        let key = u8::try_from(KEYPAD.get(low)?.get(high).copied()?).ok()?;
        let hit = Hit { key, held: fit.held, power: low_tone.power + high_tone.power };
        (right && loud && steady && fit.held >= HELD_MIN).then_some(hit)
    }

    /// Of the frequencies around a nominal one, the one that holds most of the window.
    fn nearest(&self, omega: f32) -> f32 {
        let held = |omega: f32| {
            let step = Complex::turn(-omega);
            let mut turn = Complex { re: 1.0, im: 0.0 };
            let mut sum = Complex::default();
            for sample in &self.window {
                sum.re += sample * turn.re;
                sum.im += sample * turn.im;
                turn = turn.times(step);
            }
            sum.square()
        };
        let tried = DETUNES.map(|detune| (omega * detune, held(omega * detune)));
        tried.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(omega, |(omega, _)| omega)
    }
}

/// Two tones fitted to a window.
struct Fit {
    tones: [Tone; 2],
    /// The part of the energy that they hold.
    held: f32,
}

#[derive(Clone, Copy)]
struct Tone {
    /// Mean square.
    power: f32,
    /// Radians a sample by which it is faster than it was looked for.
    faster: f32,
    /// By which part it swells a sample.
    swells: f32,
}

impl Fit {
    /// Around the window's middle (m = 0), `a cos + b sin` that turns faster by δ and swells by κ is, to first order,
    /// `a cos + b sin + m(p sin + q cos)` with p = bκ − aδ and q = aκ + bδ. Even and odd functions of m have nothing in
    /// common, so half the unknowns are found twice instead of all at once. With six of them a half, two are a dial tone's.
    fn new<const N: usize>(window: &[f32; WINDOW], omegas: [f32; 2]) -> Option<Self> {
        let (mut even, mut odd) = (Normal::<N>::new(), Normal::<N>::new());
        let [low, high] = omegas;
        let [dial_low, dial_high] = DIAL.map(omega);
        let mut turns = [low, high, dial_low, dial_high].map(|omega| Complex::turn(-omega * MIDDLE));
        let steps = [low, high, dial_low, dial_high].map(Complex::turn);
        let (mut energy, mut m) = (0.0, -MIDDLE);
        for sample in window {
            let [low, high, dial_low, dial_high] = turns;
            even.add([low.re, m * low.im, high.re, m * high.im, dial_low.re, dial_high.re], *sample);
            odd.add([low.im, m * low.re, high.im, m * high.re, dial_low.im, dial_high.im], *sample);
            energy += sample * sample;
            turns.iter_mut().zip(&steps).for_each(|(turn, step)| *turn = turn.times(*step));
            m += 1.0;
        }
        let (even, even_held) = even.solve()?;
        let (odd, odd_held) = odd.solve()?;
        let found = |of: &[f32; N], index: usize| of.get(index).copied().unwrap_or_default();
        let tone = |first: usize| {
            let (a, p) = (found(&even, first), found(&even, first + 1));
            let (b, q) = (found(&odd, first), found(&odd, first + 1));
            let square = (a * a + b * b).max(f32::MIN_POSITIVE);
            Tone { power: square / 2.0, faster: (b * q - a * p) / square, swells: (a * q + b * p) / square }
        };
        let dial = (4..N).map(|index| found(&even, index).powi(2) + found(&odd, index).powi(2)).sum::<f32>();
        let without_dial = (energy - dial * LENGTH / 2.0).max(f32::MIN_POSITIVE);
        let held = (even_held + odd_held - (energy - without_dial)) / without_dial;
        Some(Self { tones: [tone(0), tone(2)], held })
    }
}

/// Normal equations of so many unknowns.
struct Normal<const N: usize> {
    matrix: [[f32; N]; N],
    right: [f32; N],
}

impl<const N: usize> Normal<N> {
    fn new() -> Self {
        Self { matrix: [[0.0; N]; N], right: [0.0; N] }
    }

    /// An equation: the first of these factors times the unknowns are this value.
    fn add(&mut self, row: [f32; 6], value: f32) {
        for ((matrix, right), factor) in self.matrix.iter_mut().zip(&mut self.right).zip(row) {
            *right += factor * value;
            matrix.iter_mut().zip(row).for_each(|(cell, other)| *cell += factor * other);
        }
    }

    /// The unknowns, and the energy that they explain. The matrix is positive definite: no rows need to change places.
    fn solve(&self) -> Option<([f32; N], f32)> {
        let (mut rows, mut found) = (self.matrix, self.right);
        for pivot in 0..N {
            let row = rows.get(pivot).copied()?;
            let head = row.get(pivot).copied().filter(|head| *head > f32::MIN_POSITIVE)?;
            let value = found.get(pivot).copied()?;
            for (index, (other, right)) in rows.iter_mut().zip(&mut found).enumerate() {
                if index != pivot {
                    let factor = other.get(pivot).copied()? / head;
                    *right -= factor * value;
                    other.iter_mut().zip(row).for_each(|(to, from)| *to -= factor * from);
                }
            }
        }
        for (index, (found, row)) in found.iter_mut().zip(&rows).enumerate() {
            *found /= row.get(index).copied()?;
        }
        let held = found.iter().zip(self.right).map(|(found, right)| found * right).sum();
        Some((found, held))
    }
}
