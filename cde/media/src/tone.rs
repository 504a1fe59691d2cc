//! Names the key tones in sound, offline and rather one too many: for checks, which must not share the code that they judge.

use crate::dtmf::{HIGH, KEYPAD, LOW};
use crate::number::{RATE, power};
use std::f32::consts::TAU;

/// Samples of a window of [`decode`], and between two windows.
const WINDOW: usize = 160;
const HOP: usize = 40;
/// Windows of the same key in a row that make a key, and without it that end one.
const HITS_MIN: u32 = 3;
const MISSES_MIN: u32 = 3;
/// What counts as a key: its share of all energy, the weaker tone's part, and the level.
const SHARE: f32 = 0.6;
const WEAKER: f32 = 0.06;
const LEVEL_DBM0: f32 = -45.0;
/// Frequencies are looked for at these factors of the nominal ones.
const DETUNES: [f32; 3] = [0.986, 1.0, 1.014];

/// Reads the key tones in sound, each key once.
///
/// It is for checks in a laboratory, with test cards: the result is an ordinary string that nothing wipes.
pub fn decode(samples: &[i16]) -> String {
    let mut keys = String::new();
    let (mut current, mut candidate, mut hits, mut misses) = (None, None, 0, 0);
    for window in samples.windows(WINDOW).step_by(HOP) {
        let key = key_in(window);
        hits = if key.is_some() && key == candidate { hits + 1 } else { 1 };
        candidate = key;
        misses = if key == current { 0 } else { misses + 1 };
        if misses >= MISSES_MIN {
            current = None;
        }
        if let Some(key) = key.filter(|_| hits == HITS_MIN && current != key) {
            keys.push(key);
            current = Some(key);
            misses = 0;
        }
    }
    keys
}

/// The key whose tones fill a window.
fn key_in(window: &[i16]) -> Option<char> {
    let energy: f32 = window.iter().map(|sample| f32::from(*sample).powi(2)).sum();
    let length = f32::from(u16::try_from(WINDOW).unwrap_or(u16::MAX));
    let (row, low) = strongest(&LOW, window)?;
    let (column, high) = strongest(&HIGH, window)?;
    let pair = 2.0 * (low + high) / length;
    let heard = pair >= length * power(LEVEL_DBM0) && pair >= SHARE * energy && low.min(high) >= WEAKER * (low + high);
    KEYPAD.get(row)?.get(column).copied().filter(|_| heard)
}

/// The strongest of four frequencies, with its squared magnitude.
fn strongest(group: &[u16; 4], window: &[i16]) -> Option<(usize, f32)> {
    let magnitudes = group
        .iter()
        .map(|hertz| DETUNES.iter().map(|detune| magnitude(f32::from(*hertz) * detune, window)).fold(0.0, f32::max));
    magnitudes.enumerate().max_by(|(_, left), (_, right)| left.total_cmp(right))
}

/// The squared magnitude of one frequency (Goertzel).
fn magnitude(hertz: f32, window: &[i16]) -> f32 {
    let rate = f32::from(u16::try_from(RATE).unwrap_or(u16::MAX));
    let coefficient = 2.0 * (TAU * hertz / rate).cos();
    let (first, second) = window
        .iter()
        .fold((0.0, 0.0), |(first, second), sample| (f32::from(*sample) + coefficient * first - second, first));
    first * first + second * second - coefficient * first * second
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{Shape, tone};

    const KEYS: &[u8; 16] = b"0123456789*#ABCD";

    fn dial(keys: &[u8], shape: Shape, gap: usize) -> Vec<i16> {
        let pause = vec![0; gap];
        keys.iter().flat_map(|key| [tone(*key, shape).unwrap(), pause.clone()].concat()).collect()
    }

    fn shapes() -> impl Iterator<Item = Shape> {
        let detunes = [0.985, 1.0, 1.015].into_iter();
        detunes.flat_map(|detune| {
            [(-6.0, 0.0, 40), (-20.0, 4.0, 60), (-28.0, -8.0, 100)].map(|(level_dbm0, twist_db, duration_ms)| Shape {
                level_dbm0,
                twist_db,
                detune,
                duration_ms,
            })
        })
    }

    #[test]
    fn clean_keys_are_read_each_once() {
        for shape in shapes() {
            for gap in [320, 331, 777] {
                assert_eq!(decode(&dial(KEYS, shape, gap)).as_bytes(), KEYS, "{shape:?} {gap}");
            }
        }
        assert_eq!(decode(&dial(b"5555", Shape::default(), 320)), "5555");
    }

    #[test]
    fn silence_noise_and_single_tones_are_no_key() {
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i16::try_from(seed >> 18).unwrap() - 8192
        };
        let noise: Vec<i16> = (0..80_000).map(|_| noise()).collect();
        let sine = |hertz: f32| {
            (0..8000u16).map(move |n| crate::number::sample(8000.0 * (TAU * hertz * f32::from(n) / 8000.0).sin()))
        };
        let single: Vec<i16> = [425.0, 520.0, 941.0, 1100.0, 1209.0, 2100.0].into_iter().flat_map(sine).collect();
        for sound in [vec![0; 8000], noise, single] {
            assert_eq!(decode(&sound), "");
        }
    }
}
