//! What the agent hears of a masked line besides the caller: in the natural mask one beep for each key, on a fixed grid; in the
//! strict one a soft pulse each second, whatever is keyed, which says that the line is secured and nothing else
//! (docs/decisions/0014).
//!
//! The beep's frequency is none that a key has, nor are its harmonics (1040, 1560, 2080 Hz stay 3.5 % or more away from
//! every frequency of Q.23), and a single tone is no key to any detector. Its length and its grid say nothing of how
//! long a key was pressed, nor exactly when.

use crate::FRAME_SAMPLES;
use crate::interface::Policy;
use crate::number::{RATE, peak, sample};
use std::f32::consts::{PI, TAU};

const GRID_SAMPLES: u64 = 2000;
/// From one pulse to the next: a second, whole steps of the grid.
const PULSE_SAMPLES: u64 = 8000;
const _: () = assert!(PULSE_SAMPLES.is_multiple_of(GRID_SAMPLES));
/// Samples of a beep, 200 ms, and of its soft start and end, 5 ms.
const BEEP_SAMPLES: u16 = 1600;
const RAMP_SAMPLES: u16 = 40;
const BEEP_HERTZ: f32 = 520.0;
const BEEP_DBM0: f32 = -20.0;
const PULSE_DBM0: f32 = -30.0;
/// Beeps that may wait; more keys than that are merged.
const BEEPS_MAX: u8 = 32;

/// The beeps of one masked line.
#[derive(Default)]
pub(crate) struct Beeps {
    /// Samples since the mask began.
    position: u64,
    waiting: u8,
    /// What sounds in this step of the grid.
    sounds: Option<Sounding>,
}

#[derive(Clone, Copy)]
enum Sounding {
    Beep,
    Pulse,
}

impl Sounding {
    fn dbm0(self) -> f32 {
        match self {
            Self::Beep => BEEP_DBM0,
            Self::Pulse => PULSE_DBM0,
        }
    }
}

impl Beeps {
    /// One key has been pressed in the natural mask.
    pub(crate) fn beep(&mut self) {
        self.waiting = (self.waiting + 1).min(BEEPS_MAX);
    }

    /// Adds what is due to a frame.
    pub(crate) fn add(&mut self, frame: &mut [i16; FRAME_SAMPLES], policy: Policy) {
        for to in frame {
            let beep = self.next(policy);
            *to = to.saturating_add(beep);
        }
    }

    /// Frames have been left out; a beep that fell among them is over.
    pub(crate) fn skip(&mut self, frames: u64) {
        self.position += frames * u64::try_from(FRAME_SAMPLES).unwrap_or_default();
        self.sounds = None;
    }

    fn next(&mut self, policy: Policy) -> i16 {
        let offset = self.position % GRID_SAMPLES;
        if offset == 0 {
            self.sounds = self.due(policy);
        }
        self.position += 1;
        let offset = u16::try_from(offset).unwrap_or(BEEP_SAMPLES);
        self.sounds.filter(|_| offset < BEEP_SAMPLES).map_or(0, |sounds| beep(offset, sounds.dbm0()))
    }

    /// What sounds in the step that begins now. Keys that were pressed in the natural mask have their beep even if strict
    /// came meanwhile: it came because of the last of them.
    fn due(&mut self, policy: Policy) -> Option<Sounding> {
        let waits = self.waiting > 0;
        self.waiting -= u8::from(waits);
        let pulses = policy == Policy::Strict && self.position > 0 && self.position.is_multiple_of(PULSE_SAMPLES);
        waits.then_some(Sounding::Beep).or(pulses.then_some(Sounding::Pulse))
    }
}

/// A sample of a beep. All of one level are the same, sample by sample.
fn beep(offset: u16, dbm0: f32) -> i16 {
    let edge = offset.min(BEEP_SAMPLES - 1 - offset).min(RAMP_SAMPLES);
    let envelope = 0.5 - 0.5 * (PI * f32::from(edge) / f32::from(RAMP_SAMPLES)).cos();
    let rate = f32::from(u16::try_from(RATE).unwrap_or(u16::MAX));
    sample(peak(dbm0) * envelope * (TAU * BEEP_HERTZ * f32::from(offset) / rate).sin())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::{self, Law};
    use crate::tone::decode;
    use crate::witness::Witness;

    /// The first milliseconds of the beeps in three seconds, with keys pressed at these milliseconds in the natural mask.
    fn beeps(keys: &[u64]) -> (Vec<u64>, Vec<i16>) {
        beeps_of(Policy::Natural, keys)
    }

    fn beeps_of(policy: Policy, keys: &[u64]) -> (Vec<u64>, Vec<i16>) {
        let mut beeps = Beeps::default();
        let mut sound = Vec::new();
        for frame in 0..150 {
            keys.iter().filter(|key| **key / 20 == frame).for_each(|_| beeps.beep());
            let mut frame = [0; FRAME_SAMPLES];
            beeps.add(&mut frame, policy);
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
    fn the_strict_mask_pulses_each_second() {
        let (starts, sound) = beeps_of(Policy::Strict, &[]);
        assert_eq!(starts, [1000, 2000]);
        assert_eq!(sound[8000..9600], sound[16_000..17_600]);
        assert!((600..710).contains(&sound.iter().copied().max().unwrap()));
    }

    #[test]
    fn no_detector_takes_a_beep_for_a_key() {
        let (_, mut sound) = beeps(&[20, 40, 60, 80, 100]);
        sound.extend(beeps_of(Policy::Strict, &[]).1);
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
