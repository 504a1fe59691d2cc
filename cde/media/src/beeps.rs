//! One beep for each key, on a fixed grid: what the agent hears of a press.
//!
//! The beep's frequency is none that a key has, nor are its harmonics (1040, 1560, 2080 Hz stay 3.5 % or more away from
//! every frequency of Q.23), and a single tone is no key to any detector. Its length and its grid say nothing of how
//! long a key was pressed, nor exactly when.

use crate::FRAME_SAMPLES;
use crate::number::{RATE, peak, sample};
use std::f32::consts::{PI, TAU};

const GRID_SAMPLES: u64 = 2000;
/// Samples of a beep, 200 ms, and of its soft start and end, 5 ms.
const BEEP_SAMPLES: u16 = 1600;
const RAMP_SAMPLES: u16 = 40;
const BEEP_HERTZ: f32 = 520.0;
const BEEP_DBM0: f32 = -20.0;
/// Beeps that may wait; more keys than that are merged.
const BEEPS_MAX: u32 = 32;

/// The beeps of one masked line.
#[derive(Default)]
pub(crate) struct Beeps {
    /// Samples since the mask began.
    position: u64,
    waiting: u32,
    beeping: bool,
}

impl Beeps {
    /// One key has been pressed.
    pub(crate) fn beep(&mut self) {
        self.waiting = (self.waiting + 1).min(BEEPS_MAX);
    }

    /// Adds what is due to a frame.
    pub(crate) fn add(&mut self, frame: &mut [i16; FRAME_SAMPLES]) {
        for to in frame {
            let beep = self.next();
            *to = to.saturating_add(beep);
        }
    }

    /// Frames have been left out; a beep that fell among them is over.
    pub(crate) fn skip(&mut self, frames: u64) {
        self.position += frames * u64::try_from(FRAME_SAMPLES).unwrap_or_default();
        self.beeping = false;
    }

    fn next(&mut self) -> i16 {
        let offset = self.position % GRID_SAMPLES;
        self.position += 1;
        if offset == 0 {
            self.beeping = self.waiting > 0;
            self.waiting -= u32::from(self.beeping);
        }
        let offset = u16::try_from(offset).unwrap_or(BEEP_SAMPLES);
        if self.beeping && offset < BEEP_SAMPLES { beep(offset) } else { 0 }
    }
}

/// A sample of the beep. All beeps are the same, sample by sample.
fn beep(offset: u16) -> i16 {
    let edge = offset.min(BEEP_SAMPLES - 1 - offset).min(RAMP_SAMPLES);
    let envelope = 0.5 - 0.5 * (PI * f32::from(edge) / f32::from(RAMP_SAMPLES)).cos();
    let rate = f32::from(u16::try_from(RATE).unwrap_or(u16::MAX));
    sample(peak(BEEP_DBM0) * envelope * (TAU * BEEP_HERTZ * f32::from(offset) / rate).sin())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::{self, Law};
    use crate::tone::decode;
    use crate::witness::Witness;

    /// The first milliseconds of the beeps in three seconds, with keys pressed at these milliseconds.
    fn beeps(keys: &[u64]) -> (Vec<u64>, Vec<i16>) {
        let mut beeps = Beeps::default();
        let mut sound = Vec::new();
        for frame in 0..150 {
            keys.iter().filter(|key| **key / 20 == frame).for_each(|_| beeps.beep());
            let mut frame = [0; FRAME_SAMPLES];
            beeps.add(&mut frame);
            sound.extend(frame);
        }
        let loud: Vec<usize> = sound.chunks(8).enumerate().filter(|(_, ms)| **ms != [0; 8]).map(|(n, _)| n).collect();
        let starts = loud.iter().filter(|n| !loud.contains(&n.wrapping_sub(1)) || **n == 0);
        (starts.map(|n| u64::try_from(*n).unwrap()).collect(), sound)
    }

    #[test]
    fn beeps_start_on_the_grid_whenever_the_keys_come() {
        assert_eq!(beeps(&[30]).0, [250]);
        assert_eq!(beeps(&[220]).0, [250]);
        assert_eq!(beeps(&[100, 120, 140, 1300]).0, [250, 500, 750, 1500]);
    }

    #[test]
    fn a_beep_is_two_hundred_milliseconds_whatever_the_key() {
        let (_, sound) = beeps(&[30]);
        let last = sound.iter().rposition(|sample| *sample != 0).unwrap();
        assert!((2000 + 1590..2000 + 1600).contains(&last));
    }

    #[test]
    fn no_detector_takes_a_beep_for_a_key() {
        let (_, sound) = beeps(&[20, 40, 60, 80, 100]);
        for law in [Law::Mu, Law::A] {
            let heard: Vec<i16> = sound.iter().map(|sample| g711::decode(law, g711::encode(law, *sample))).collect();
            assert_eq!(decode(&heard), "");
            assert!(!Witness::new().push(&heard).suspicious);
        }
    }

    #[test]
    fn surplus_beeps_are_merged() {
        let mut beeps = Beeps::default();
        (0..100).for_each(|_| beeps.beep());
        assert_eq!(beeps.waiting, BEEPS_MAX);
    }
}
