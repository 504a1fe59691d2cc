//! Digits in a row, as ITU-T Q.24 would have them tried, and what lines do to them.

use crate::dice::Dice;
use crate::keys::{KEYS, Press};
use crate::level::{RATE, peak, rms};
use std::f64::consts::TAU;
use std::ops::Range;

/// Digits of a row.
const LENGTH: usize = 16;
/// How often a digit is the same as the one before it, beside chance.
const AGAIN: f64 = 0.3;
/// Samples of a packet.
const PACKET: usize = 160;

/// How keys are pressed. Ranges are from and to.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Of the stronger tone; one for the whole row.
    pub(crate) level_dbm0: [f64; 2],
    pub(crate) twist_db: [f64; 2],
    pub(crate) on_ms: [f64; 2],
    pub(crate) off_ms: [f64; 2],
}

impl Manner {
    /// 40 ms and 40 ms, all levels and twists that a receiver must take.
    pub(crate) const GRID: Self =
        Self { level_dbm0: [-29.0, 0.0], twist_db: [-8.0, 4.0], on_ms: [40.0; 2], off_ms: [40.0; 2] };
}

/// A row of keys.
pub(crate) struct Row {
    pub(crate) pressed: Vec<u8>,
    pub(crate) sound: Vec<f64>,
    pub(crate) level_dbm0: f64,
    /// Where the keys are.
    pub(crate) places: Vec<Range<usize>>,
}

impl Row {
    pub(crate) fn new(dice: &mut Dice, manner: Manner) -> Self {
        Self::changed(dice, manner, |_, _| ())
    }

    /// A row whose presses are changed.
    pub(crate) fn changed(dice: &mut Dice, manner: Manner, change: impl Fn(&mut Dice, &mut Press)) -> Self {
        let [from, to] = manner.level_dbm0;
        let level_dbm0 = dice.between(from, to);
        let mut row = Self { pressed: Vec::new(), sound: Vec::new(), level_dbm0, places: Vec::new() };
        let mut at = PACKET + dice.pick(4 * PACKET);
        let mut last = None;
        for _ in 0..LENGTH {
            let mut press = Press::any(dice, [level_dbm0; 2], manner.twist_db, manner.on_ms);
            if let Some(last) = last.filter(|_| dice.unit() < AGAIN) {
                press.key = last;
            }
            last = Some(press.key);
            change(dice, &mut press);
            let end = at + press.samples();
            row.sound.resize(end, 0.0);
            press.add(dice, &mut row.sound, at);
            row.pressed.push(KEYS[press.key]);
            row.places.push(at..end);
            at = end + milliseconds(dice.between(manner.off_ms[0], manner.off_ms[1]));
        }
        row.sound.resize(row.sound.len() + RATE / 4, 0.0);
        row
    }

    /// White noise, so far below the stronger tone.
    pub(crate) fn noise(&mut self, dice: &mut Dice, below_db: f64) {
        let gain = rms(self.level_dbm0 - below_db);
        self.sound.iter_mut().for_each(|sample| *sample += gain * dice.normal());
    }

    /// A gap in each key, somewhere in its middle half.
    pub(crate) fn drop_out(&mut self, dice: &mut Dice, [from, to]: [f64; 2]) {
        for place in &self.places {
            let gap = milliseconds(dice.between(from, to));
            let middle = place.start + place.len() / 2;
            let start = middle - gap / 2;
            self.sound[start..start + gap].fill(0.0);
        }
    }

    /// A copy of all, quieter and later.
    pub(crate) fn echo(&mut self, delay_ms: f64, gain_db: f64) {
        let (delay, gain) = (milliseconds(delay_ms), 10_f64.powf(gain_db / 20.0));
        for at in (delay..self.sound.len()).rev() {
            self.sound[at] += gain * self.sound[at - delay];
        }
    }

    /// A dial tone (350 and 440 Hz), each so far below the stronger tone of the keys.
    pub(crate) fn dial_tone(&mut self, below_db: f64) {
        let peak = peak(self.level_dbm0 - below_db);
        for (at, sample) in self.sound.iter_mut().enumerate() {
            *sample +=
                [350.0, 440.0].map(|hertz| peak * (TAU * hertz / RATE as f64 * at as f64).sin()).iter().sum::<f64>();
        }
    }

    /// So much too loud for 16 bits: the stronger tone alone is this level over full scale.
    pub(crate) fn clip(&mut self, over_db: f64) {
        const FULL: f64 = 32_767.0;
        let gain = FULL / peak(self.level_dbm0) * 10_f64.powf(over_db / 20.0);
        self.sound.iter_mut().for_each(|sample| *sample = (*sample * gain).clamp(-FULL, FULL));
    }

    pub(crate) fn offset(&mut self, by: f64) {
        self.sound.iter_mut().for_each(|sample| *sample += by);
    }

    /// Clocks that run apart: a sample is said twice or left out, once in each key.
    pub(crate) fn slip(&mut self, dice: &mut Dice) {
        let places: Vec<usize> = self.places.iter().map(|place| place.start + dice.pick(place.len())).collect();
        for place in places.into_iter().rev() {
            if dice.unit() < 0.5 {
                self.sound.remove(place);
            } else {
                self.sound.insert(place, self.sound[place]);
            }
        }
    }
}

/// Packets that were lost are heard as silence. After one the next `apart` packets come.
pub(crate) fn lose(dice: &mut Dice, samples: &mut [i16], percent: f64, apart: usize) {
    let mut next = 0;
    for (at, packet) in samples.chunks_mut(PACKET).enumerate() {
        if at >= next && dice.between(0.0, 100.0) < percent {
            packet.fill(0);
            next = at + apart + 1;
        }
    }
}

pub(crate) fn milliseconds(ms: f64) -> usize {
    (ms * RATE as f64 / 1000.0) as usize
}
