//! In-band tones of keys (ITU-T Q.23), for softphones and tests.

use crate::number::{RATE, peak, sample};
use std::f32::consts::TAU;

/// The lower frequencies, in Hz; rows of the keypad.
pub const LOW: [u16; 4] = [697, 770, 852, 941];
/// The higher frequencies, in Hz; columns of the keypad.
pub const HIGH: [u16; 4] = [1209, 1336, 1477, 1633];
/// The keypad, row by row.
pub const KEYPAD: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// How a tone is made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The level of each of the two frequencies, before the twist.
    pub level_dbm0: f32,
    /// The higher frequency's level over the lower one's; half of it is added to one and taken from the other.
    pub twist_db: f32,
    /// Both frequencies are off by this factor.
    pub detune: f32,
    /// How long.
    pub duration_ms: u16,
}

impl Default for Shape {
    fn default() -> Self {
        Self { level_dbm0: -10.0, twist_db: 0.0, detune: 1.0, duration_ms: 80 }
    }
}

/// The samples of a key (its character); none if it is no key.
pub fn tone(key: u8, shape: Shape) -> Option<Vec<i16>> {
    let (low, high) = frequencies(key)?;
    let sines = [(low, -0.5f32), (high, 0.5)].map(|(hertz, half)| {
        let step = f32::from(hertz) * shape.detune / f32::from(u16::try_from(RATE).unwrap_or(u16::MAX));
        (step, peak(shape.level_dbm0 + half * shape.twist_db))
    });
    let count = u32::from(shape.duration_ms) * (RATE / 1000);
    let mut phases = [0f32; 2];
    let mut next = || {
        let value = sines.iter().zip(&phases).map(|((_, peak), phase)| peak * (TAU * phase).sin()).sum();
        phases.iter_mut().zip(&sines).for_each(|(phase, (step, _))| *phase = (*phase + step).fract());
        sample(value)
    };
    Some((0..count).map(|_| next()).collect())
}

fn frequencies(key: u8) -> Option<(u16, u16)> {
    let key = char::from(key.to_ascii_uppercase());
    let (row, low) = KEYPAD.iter().zip(LOW).find(|(row, _)| row.contains(&key))?;
    let (_, high) = row.iter().zip(HIGH).find(|(character, _)| **character == key)?;
    Some((low, high))
}
