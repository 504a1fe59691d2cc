//! Presses of keys as sound.

use crate::dice::Dice;
use crate::level::{RATE, peak};
use std::f64::consts::TAU;

/// Row by row. Letters are no keys of a card; nobody tells them apart, so all four are `A`.
pub(crate) const KEYS: &[u8; 16] = b"123A456A789A*0#A";
pub(crate) const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
pub(crate) const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// One press.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Press {
    /// Its place in [`KEYS`].
    pub(crate) key: usize,
    /// Of the stronger tone.
    pub(crate) level_dbm0: f64,
    /// High over low.
    pub(crate) twist_db: f64,
    /// Factors of the two frequencies.
    pub(crate) detune: [f64; 2],
    pub(crate) ms: f64,
}

impl Press {
    /// One of the twelve keys of a telephone, of any frequency within 1.5 %, in these ranges.
    pub(crate) fn any(dice: &mut Dice, level_dbm0: [f64; 2], twist_db: [f64; 2], ms: [f64; 2]) -> Self {
        let key = dice.pick(12);
        Self {
            key: key / 3 * 4 + key % 3,
            level_dbm0: dice.between(level_dbm0[0], level_dbm0[1]),
            twist_db: dice.between(twist_db[0], twist_db[1]),
            detune: [1.0 + dice.between(-0.015, 0.015), 1.0 + dice.between(-0.015, 0.015)],
            ms: dice.between(ms[0], ms[1]),
        }
    }

    pub(crate) fn samples(&self) -> usize {
        (self.ms * RATE as f64 / 1000.0) as usize
    }

    /// The level of the weaker tone.
    pub(crate) fn weaker_dbm0(&self) -> f64 {
        self.level_dbm0 - self.twist_db.abs()
    }

    /// Adds its sound to `to` from a place on, with phases by chance; what would be beyond the end is left out.
    pub(crate) fn add(&self, dice: &mut Dice, to: &mut [f64], at: usize) {
        let peaks = [peak(self.level_dbm0 - self.twist_db.max(0.0)), peak(self.level_dbm0 + self.twist_db.min(0.0))];
        let hertz = [LOW[self.key / 4] * self.detune[0], HIGH[self.key % 4] * self.detune[1]];
        for (peak, hertz) in peaks.into_iter().zip(hertz) {
            let phase = dice.between(0.0, TAU);
            let step = TAU * hertz / RATE as f64;
            for (n, sample) in to.iter_mut().skip(at).take(self.samples()).enumerate() {
                *sample += peak * (step * n as f64 + phase).sin();
            }
        }
    }
}
