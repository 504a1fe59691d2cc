//! Names the key tones in sound: proof, not suspicion.
//!
//! Each 5 ms the last 20 ms are looked at. Correlations, one a frequency of the keypad, tell cheaply whether two of them
//! make up most of the sound. Only then two tones are fitted to it by least squares, with their frequencies and how they
//! swell as unknowns; a fit that leaves little over, with both frequencies right and neither tone much louder than the
//! other, is a hit. A key is proved by enough hits; or, since codecs, clipping and slips spoil some looks of a short key, by
//! fewer of them and by how long its tones sounded. What left little over is believed sooner than what left much, as
//! speech does. A key ends when its tones have. A dial tone, which may sound under the first key, is fitted beside the two and
//! counts for neither side.
//!
//! The tones' limits are those of ITU-T Q.24 with a margin: a receiver must take what is 1.5 % off its frequency and
//! refuse what is 3.5 % off, take 40 ms and refuse 23 ms.

mod fit;

use crate::bins::{TONES, TURNS, dialed, energies};
use crate::dtmf::{HIGH, KEYPAD, LOW};
use crate::number::{RATE, power};
use crate::sound::{Sound, WINDOW, WINDOW_BLOCKS};
use card::Key;
use fit::Fit;
use std::f32::consts::TAU;

/// Samples of what is looked at, and between two looks: a block.
const LENGTH: f32 = 160.0;
const HOP_LENGTH: f32 = 40.0;
/// The middle of the window lies between its two middle samples.
const MIDDLE: f32 = 79.5;
/// A part of the energy that is no chance.
const DIAL_MIN: f32 = 0.1;
/// A pair that holds less of the energy is not looked at further. At 1.5 % off, half of the energy is seen.
const WORTH_A_LOOK: f32 = 0.28;
/// Nor is one whose weaker tone holds less: 16 dB below the other, and half of that seen.
const WEAKER_MIN: f32 = 0.01;
/// What the two fitted tones must hold of the energy: 5 dB more than all else.
const HELD_MIN: f32 = 0.76;
/// The weakest tone.
const LEVEL_MIN_DBM0: f32 = -40.0;
/// Frequencies are fitted from the nearest of these.
const DETUNES: [f32; 3] = [0.988, 1.0, 1.012];
/// How far a frequency may be off.
const OFF_MAX: f32 = 0.0225;
/// The higher tone over the lower one, in dB.
const TWIST_DB: std::ops::RangeInclusive<f32> = -12.5..=8.0;
/// How much a tone may swell or fade, in a sample: a window with the edge of a tone in it does more.
const SWELL_MAX: f32 = 0.008;
/// A look that is so much weaker than the loudest one of the same key is its echo: a sixteenth, 12 dB.
const ECHO: f32 = 1.0 / 16.0;
/// So many looks after the key an echo may still come: a quarter of a second.
const ECHO_LOOKS_MAX: u8 = 50;
/// What codecs leave of a key may be off by more in some of its looks: these are still looks that saw it.
const NEARLY_OFF_MAX: f32 = 0.028;
const NEARLY_TWIST_DB: std::ops::RangeInclusive<f32> = -16.0..=12.0;
const NEARLY_HELD_MIN: f32 = 0.70;
const NEARLY_SWELL_MAX: f32 = 0.02;
/// A key that held so much in one look is no speech, and needs little else: so many hits.
const HELD_WELL: f32 = 0.92;
const HITS_MIN: u8 = 4;
/// Or one hit, so many looks that saw it, and so many hops in which its tones sound. Of 40 ms there are eight looks and
/// seven or eight hops, of 23 ms five and five.
const LASTED: [(u8, usize); 3] = [(5, 7), (6, 6), (7, 0)];
/// One that held less must have sounded as long as well: with a drop-out in it, so many of its 40 ms. One hit fewer is
/// enough if so many looks saw it.
const HELD_LESS: f32 = 0.84;
const LESS_HOPS_MIN: usize = 6;
const LESS_SEEN_MIN: u8 = 7;
/// And one that held less still, as keys do that are spoken over: longer, and hit more often.
const LITTLE_HOPS_MIN: usize = 8;
const LITTLE_HITS_MIN: u8 = 8;
/// So many hops are remembered, 50 ms, the newest of them by the window's sums.
const HOPS_KEPT: u8 = 10;
const HOPS_OLDER: u8 = 6;
#[expect(clippy::as_conversions, reason = "widens a byte; `From` is not const")]
const OLDER: usize = HOPS_OLDER as usize;
const _: () = assert!(OLDER + WINDOW_BLOCKS == 10, "as many as are kept");
/// In a hop a tone sounds if it has half the amplitude of the best look.
const ON: f32 = 0.25;
/// Hops in a row without the tones that end a key: a lost packet is four, the shortest pause seven.
const HOPS_OFF_MAX: u8 = 5;
/// Looks in a row that did not see it end a key as well: one that is not proved, and one that is.
const MISSES_MAX: u8 = 8;
const MISSES_OF_PROVED_MAX: u8 = 20;
/// Looks without a hit after which another key may begin.
const CHANGE_MISSES: u8 = 2;

/// A key that was proved. It cannot be printed.
pub struct Proved {
    /// The key.
    pub key: Key,
    /// How much of the energy the two tones held in the best look, 0 to 1.
    pub held: f32,
}

/// Listens to one stream of 8 kHz samples. What it counts stays where it is at the most that a byte can tell: all bounds are lower.
pub struct Detector {
    /// In a ring: the squared sums of the keypad's tones, of the hops before the window.
    older: [[f32; TONES]; OLDER],
    /// The place in the ring of the newest one.
    newest: u8,
    key: Option<u8>,
    hits: u8,
    /// Looks that found the key, clean or not.
    seen: u8,
    /// The newest hops in a row in which its tones do not sound.
    hops_off: u8,
    /// Hops since the key before it ended.
    fresh: u8,
    /// The tones of the best hit, or of the first look that saw it.
    tones: Option<Pair>,
    misses: u8,
    reported: bool,
    held: f32,
    last: Option<Last>,
}

/// The newest key, and how loud it was.
#[derive(Clone, Copy)]
struct Last {
    key: u8,
    loudest: f32,
    looks_ago: u8,
}

/// What a look found.
#[derive(Clone, Copy)]
struct Hit {
    key: u8,
    held: f32,
    tones: Pair,
    /// All is as it should be; or else nearly all, as codecs leave it.
    clean: bool,
}

/// A low and a high tone: their places in what is listened to, and their mean squares.
#[derive(Clone, Copy)]
struct Pair {
    places: [u8; 2],
    powers: [f32; 2],
}

impl Pair {
    /// Both of them, in the squared sums of a hop.
    fn sound_in(&self, squares: &[f32; TONES]) -> bool {
        let mut both = self.places.iter().zip(&self.powers);
        let square = |place: u8| squares.get(usize::from(place)).copied().unwrap_or_default();
        both.all(|(place, power)| square(*place) >= ON * power * HOP_LENGTH * HOP_LENGTH / 2.0)
    }

    fn power(&self) -> f32 {
        self.powers.iter().sum()
    }
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
        Self {
            older: [[0.0; TONES]; OLDER],
            newest: 0,
            key: None,
            hits: 0,
            seen: 0,
            hops_off: 0,
            fresh: 0,
            tones: None,
            misses: 0,
            reported: false,
            held: 0.0,
            last: None,
        }
    }

    /// Forgets what was heard.
    pub fn clear(&mut self) {
        self.older = [[0.0; TONES]; OLDER];
        self.last = None;
        self.forget();
    }

    /// Looks at a sound with each block that it hears; gives each key once, when it is proved.
    pub fn look(&mut self, sound: &Sound) -> Option<Proved> {
        self.last = self.last.map(|last| Last { looks_ago: last.looks_ago + 1, ..last });
        self.last = self.last.filter(|last| last.looks_ago <= ECHO_LOOKS_MAX);
        let sounds = self.tones.is_none_or(|tones| tones.sound_in(&sound.sums().squares()));
        self.hops_off = if sounds { 0 } else { self.hops_off.saturating_add(1) };
        if self.reported && self.hops_off == 0 {
            // It goes on: nothing closer need be known of it.
            self.misses = 0;
            self.last = self.last.map(|last| Last { looks_ago: 0, ..last });
        } else {
            self.look_closer(sound);
        }
        self.end_if_gone();
        let proved = self.key.filter(|_| !self.reported && self.is_proved(sound));
        self.remember(sound);
        let key = proved?;
        self.reported = true;
        Some(Proved { key: Key::from_char(key)?, held: self.held })
    }

    /// The window's oldest hop is before the next window.
    fn remember(&mut self, sound: &Sound) {
        self.newest = (self.newest + 1) % HOPS_OLDER;
        if let Some(newest) = self.older.get_mut(usize::from(self.newest)) {
            let [oldest, ..] = sound.window();
            *newest = oldest.squares();
        }
    }

    fn look_closer(&mut self, sound: &Sound) {
        let hit = candidate(sound).and_then(|(low, high, dial)| fit(sound, low, high, dial));
        match hit.filter(|hit| !self.is_echo(hit)) {
            Some(hit) if self.may_be(&hit) => self.count(hit),
            _ => self.misses = self.misses.saturating_add(1),
        }
    }

    /// Ends the key when its tones are no more.
    fn end_if_gone(&mut self) {
        self.fresh = (self.fresh + 1).min(HOPS_KEPT);
        let misses_max = if self.reported { MISSES_OF_PROVED_MAX } else { MISSES_MAX };
        if self.key.is_some() && (self.misses >= misses_max || self.hops_off >= HOPS_OFF_MAX) {
            self.forget();
            self.fresh = 0;
        }
    }

    fn may_be(&self, hit: &Hit) -> bool {
        let changes = self.misses >= CHANGE_MISSES || (hit.clean && self.hits == 0);
        self.key.is_none_or(|key| key == hit.key) || changes
    }

    fn count(&mut self, hit: Hit) {
        if self.key != Some(hit.key) {
            self.forget();
            self.key = Some(hit.key);
        }
        self.hits = self.hits.saturating_add(u8::from(hit.clean));
        self.seen = self.seen.saturating_add(1);
        self.misses = 0;
        if hit.clean && hit.held >= self.held {
            (self.held, self.tones) = (hit.held, Some(hit.tones));
        } else if self.hits == 0 {
            self.tones = Some(hit.tones);
        }
        let before = self.last.filter(|last| last.key == hit.key).map_or(0.0, |last| last.loudest);
        self.last = Some(Last { key: hit.key, loudest: hit.tones.power().max(before), looks_ago: 0 });
    }

    fn is_echo(&self, hit: &Hit) -> bool {
        self.last.is_some_and(|last| last.key == hit.key && hit.tones.power() < last.loudest * ECHO)
    }

    fn is_proved(&self, sound: &Sound) -> bool {
        let hops = self.tones.map_or(0, |tones| self.hops_on(sound, tones));
        let lasted = LASTED.iter().any(|(seen_min, hops_min)| self.seen >= *seen_min && hops >= *hops_min);
        if self.held >= HELD_WELL {
            return self.hits >= HITS_MIN || (self.hits >= 1 && lasted);
        }
        if self.held >= HELD_LESS {
            let hit_often =
                self.hits >= HITS_MIN || (self.hits.saturating_add(1) >= HITS_MIN && self.seen >= LESS_SEEN_MIN);
            return hit_often && hops >= LESS_HOPS_MIN;
        }
        self.hits >= LITTLE_HITS_MIN && hops >= LITTLE_HOPS_MIN
    }

    /// Of the hops that are remembered and not of the key before, those in which both tones sound.
    fn hops_on(&self, sound: &Sound, tones: Pair) -> usize {
        let [fourth, third, second, first] = sound.window().map(|hop| hop.squares());
        let (since, before) = self.older.split_at(usize::from(self.newest) + 1);
        let older = since.iter().rev().chain(before.iter().rev());
        let hops = [&first, &second, &third, &fourth].into_iter().chain(older).take(self.fresh.into());
        hops.filter(|hop| tones.sound_in(hop)).count()
    }

    fn forget(&mut self) {
        (self.key, self.hits, self.misses, self.reported, self.held) = (None, 0, 0, false, 0.0);
        (self.seen, self.tones, self.hops_off) = (0, None, 0);
    }
}

/// The strongest low and high frequency, where they hold enough; and whether there is a dial tone to leave out.
fn candidate(sound: &Sound) -> Option<(usize, usize, bool)> {
    let energy: f32 = sound.window().iter().map(|sums| sums.energy).sum();
    if energy < 2.0 * LENGTH * power(LEVEL_MIN_DBM0) {
        return None;
    }
    let of_window = |square: f32| 2.0 * square / LENGTH;
    let held = energies(sound.window(), &TURNS).map(of_window);
    let (low, high) = held.split_at(LOW.len());
    let best = |held: &[f32]| held.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let ((low, low_held), (high, high_held)) = (best(low)?, best(high)?);
    let dialed: f32 = dialed(sound.window()).map(of_window).iter().sum();
    let dial = dialed > DIAL_MIN * energy;
    let energy = if dial { energy - dialed.min(energy) } else { energy };
    let worth_it = low_held + high_held >= WORTH_A_LOOK * energy && low_held.min(high_held) >= WEAKER_MIN * energy;
    worth_it.then_some((low, high, dial))
}

/// Fits two tones to the window.
fn fit(sound: &Sound, low: usize, high: usize, dial: bool) -> Option<Hit> {
    let window = &mut [0.0; WINDOW];
    sound.read(WINDOW, window);
    let nominal = [omega(*LOW.get(low)?), omega(*HIGH.get(high)?)];
    let from = nominal.map(|omega| nearest(window, omega));
    let fit = if dial { Fit::new::<6>(window, from)? } else { Fit::new::<4>(window, from)? };
    let off = |index: usize| {
        let (from, nominal) = (from.get(index)?, nominal.get(index)?);
        Some((from + fit.tones.get(index)?.faster) / nominal - 1.0)
    };
    let [low_tone, high_tone] = &fit.tones;
    let twist_db = 10.0 * (high_tone.power / low_tone.power).log10();
    let off = off(0)?.abs().max(off(1)?.abs());
    let swells = low_tone.swells.abs().max(high_tone.swells.abs());
    let clean = off <= OFF_MAX && TWIST_DB.contains(&twist_db) && swells <= SWELL_MAX && fit.held >= HELD_MIN;
    let nearly = off <= NEARLY_OFF_MAX
        && NEARLY_TWIST_DB.contains(&twist_db)
        && swells <= NEARLY_SWELL_MAX
        && fit.held >= NEARLY_HELD_MIN;
    let loud = low_tone.power.min(high_tone.power) >= power(LEVEL_MIN_DBM0);
    let key = u8::try_from(KEYPAD.get(low)?.get(high).copied()?).ok()?;
    let places = [low, LOW.len() + high].map(|place| u8::try_from(place).unwrap_or_default());
    let tones = Pair { places, powers: [low_tone.power, high_tone.power] };
    (loud && (clean || nearly)).then_some(Hit { key, held: fit.held, tones, clean })
}

/// Of the frequencies around a nominal one, the one that holds most of the window.
fn nearest(window: &[f32; WINDOW], omega: f32) -> f32 {
    let held = |omega: f32| {
        let step = Complex::turn(-omega);
        let mut turn = Complex { re: 1.0, im: 0.0 };
        let mut sum = Complex::default();
        for sample in window {
            sum.re += sample * turn.re;
            sum.im += sample * turn.im;
            turn = turn.times(step);
        }
        sum.square()
    };
    let tried = DETUNES.map(|detune| (omega * detune, held(omega * detune)));
    tried.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(omega, |(omega, _)| omega)
}
