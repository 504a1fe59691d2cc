//! What is behind a caller's voice.

use crate::dice::Dice;
use crate::level::rms;
use std::f64::consts::TAU;

/// A place to call from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing but the codec's own noise.
    Quiet,
    /// Low-pass noise at -45 dBm0 and the mains' hum.
    Office,
    /// Low, swelling noise at -30 dBm0.
    Street,
}

impl Place {
    /// So many samples of it.
    pub(crate) fn sound(self, dice: &mut Dice, samples: usize) -> Vec<f64> {
        match self {
            Self::Quiet => vec![0.0; samples],
            Self::Office => office(dice, samples),
            Self::Street => street(dice, samples),
        }
    }
}

/// White noise through one pole, of this level.
pub(crate) fn low_pass(dice: &mut Dice, samples: usize, pole: f64, dbm0: f64) -> Vec<f64> {
    let gain = rms(dbm0) * (1.0 - pole * pole).sqrt();
    let mut last = 0.0;
    let mut next = || {
        last = pole * last + gain * dice.normal();
        last
    };
    (0..samples).map(|_| next()).collect()
}

fn office(dice: &mut Dice, samples: usize) -> Vec<f64> {
    let mut sound = low_pass(dice, samples, 0.7, -45.0);
    let (phase, peak) = (dice.between(0.0, TAU), rms(-55.0));
    for (n, sample) in sound.iter_mut().enumerate() {
        *sample += peak * (TAU * 100.0 * n as f64 / 8000.0 + phase).sin();
    }
    sound
}

fn street(dice: &mut Dice, samples: usize) -> Vec<f64> {
    let mut sound = low_pass(dice, samples, 0.9, -30.0);
    let (phase, period) = (dice.between(0.0, TAU), dice.between(2.0, 6.0) * 8000.0);
    for (n, sample) in sound.iter_mut().enumerate() {
        *sample *= 10_f64.powf(3.0 / 20.0 * (TAU * n as f64 / period + phase).sin());
    }
    sound
}
