//! A matched filter that knows where a key begins and how long it is. It lacks only which key it is.

use crate::keys::{HIGH, LOW};
use std::f64::consts::TAU;

/// How far off the tones may be.
const DETUNES: [f64; 5] = [0.986, 0.993, 1.0, 1.007, 1.014];

pub(crate) struct Attacker;

impl Attacker {
    pub(crate) fn new() -> Self {
        Self
    }

    /// The key of the telephone whose two tones hold most of the sound; none of silence.
    pub(crate) fn names(&self, sound: &[i16]) -> Option<usize> {
        let held = |hertz: f64| DETUNES.iter().map(|detune| power(sound, hertz * detune)).fold(0.0, f64::max);
        let (low, high) = (LOW.map(held), HIGH.map(held));
        let mut best = (0.0, None);
        for (row, low) in low.iter().enumerate() {
            // Without the fourth column: its letters are no keys of a card.
            for (column, high) in high.iter().take(3).enumerate() {
                // The product: both tones must be there.
                if low * high > best.0 {
                    best = (low * high, Some(row * 4 + column));
                }
            }
        }
        best.1
    }
}

fn power(sound: &[i16], hertz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    let (sine, cosine) = (TAU * hertz / 8000.0).sin_cos();
    let (mut c, mut s) = (1.0, 0.0);
    for sample in sound {
        re += f64::from(*sample) * c;
        im += f64::from(*sample) * s;
        (c, s) = (c * cosine - s * sine, s * cosine + c * sine);
    }
    re * re + im * im
}
