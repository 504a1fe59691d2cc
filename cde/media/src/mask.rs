//! The sound that the agent hears instead of the caller: silence, and one beep for each key on a fixed grid.
//!
//! The beep's frequency is none that a key has, nor are its harmonics (1040, 1560, 2080 Hz stay 3.5 % or more away from
//! every frequency of Q.23), and a single tone is no key to any detector. Its length and its grid say nothing of how
//! long a key was pressed, nor exactly when.

use crate::FRAME_SAMPLES;
use crate::number::{RATE, peak, sample};
use crate::quiet::Quiet;
use crate::tone::Suspicion;
use std::f32::consts::{PI, TAU};
use std::time::{Duration, Instant};

/// Of generated packets.
const FRAME: Duration = Duration::from_millis(20);
/// A late driver gets so many frames at once; what is older than that is skipped.
pub(crate) const CATCH_UP_MAX: u32 = 5;
/// Frames between two proofs: half a second.
const PROOF_FRAMES: u32 = 25;

const GRID: Duration = Duration::from_millis(250);
const GRID_SAMPLES: u64 = 2000;
/// Samples of a beep, 200 ms, and of its soft start and end, 5 ms.
const BEEP_SAMPLES: u16 = 1600;
const RAMP_SAMPLES: u16 = 40;
const BEEP_HERTZ: f32 = 520.0;
const BEEP_DBM0: f32 = -20.0;
/// Beeps that may wait; more keys than that are merged.
const BEEPS_MAX: u32 = 32;

/// A masked line.
pub(crate) struct Mask {
    since: Instant,
    next: Instant,
    /// Samples since the mask began.
    position: u64,
    beeps_waiting: u32,
    beeping: bool,
    frames_to_proof: u32,
    /// [`crate::Event::Secured`] is owed.
    pub(crate) owes_secured: bool,
    pub(crate) releasing: bool,
    pub(crate) muted: bool,
    /// The next packet of the agent leg is the first of the mask.
    pub(crate) first: bool,
    pub(crate) quiet: Quiet,
    /// Listens to the caller, for the unmasking rule.
    pub(crate) suspicion: Suspicion,
    /// Listens to what the agent is about to be sent.
    pub(crate) witness: Suspicion,
}

/// What a frame proves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    None,
    Secured,
    HalfSecond,
}

impl Mask {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            next: now,
            position: 0,
            beeps_waiting: 0,
            beeping: false,
            frames_to_proof: PROOF_FRAMES,
            owes_secured: true,
            releasing: false,
            muted: false,
            first: true,
            quiet: Quiet::new(now),
            suspicion: Suspicion::new(),
            witness: Suspicion::new(),
        }
    }

    /// [`crate::Command::Secure`] on a line that is masked already.
    pub(crate) fn secure_again(&mut self) {
        self.owes_secured = true;
        self.releasing = false;
        self.muted = false;
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// One key has been pressed.
    pub(crate) fn beep(&mut self) {
        self.beeps_waiting = (self.beeps_waiting + 1).min(BEEPS_MAX);
    }

    /// The caller's sound is suspicious. The time is taken to the grid, so that how fast a detector lets go of one key
    /// or another does not show in when the line opens.
    pub(crate) fn suspect(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since).as_millis() / GRID.as_millis() + 1;
        self.quiet.disturb(self.since + GRID * u32::try_from(elapsed).unwrap_or(u32::MAX));
    }

    /// The next frame that is due, with its time.
    pub(crate) fn frame(&mut self, now: Instant) -> Option<(Instant, [i16; FRAME_SAMPLES])> {
        let at = Some(self.next).filter(|next| *next <= now)?;
        self.next += FRAME;
        let mut frame = [0; FRAME_SAMPLES];
        frame.iter_mut().for_each(|sample| *sample = self.sample());
        Some((at, frame))
    }

    /// Leaves out frames whose time has gone by; says how many.
    pub(crate) fn skip(&mut self, now: Instant) -> u64 {
        let Some(behind) = now.checked_duration_since(self.next) else { return 0 };
        let frames = u32::try_from(behind.as_millis() / FRAME.as_millis() + 1).unwrap_or(u32::MAX);
        self.next += FRAME * frames;
        self.position += u64::from(frames) * u64::try_from(FRAME_SAMPLES).unwrap_or_default();
        self.beeping = false;
        u64::from(frames)
    }

    /// Counts a frame that has been made, and sent if there is somebody to send it to.
    pub(crate) fn prove(&mut self) -> Proof {
        self.frames_to_proof -= 1;
        let half_second = self.frames_to_proof == 0;
        if half_second {
            self.frames_to_proof = PROOF_FRAMES;
        }
        if std::mem::take(&mut self.owes_secured) {
            Proof::Secured
        } else if half_second {
            Proof::HalfSecond
        } else {
            Proof::None
        }
    }

    fn sample(&mut self) -> i16 {
        let offset = self.position % GRID_SAMPLES;
        self.position += 1;
        if offset == 0 {
            self.beeping = self.beeps_waiting > 0;
            self.beeps_waiting -= u32::from(self.beeping);
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
    use crate::keys::tests::start;
    use crate::tone::decode;
    use crate::{Codec, g711};

    /// The first milliseconds of the beeps in two seconds, with keys pressed at these milliseconds.
    fn beeps(keys: &[u64]) -> (Vec<u64>, Vec<i16>) {
        let mut mask = Mask::new(start());
        let mut sound = Vec::new();
        for frame in 0..150 {
            keys.iter().filter(|key| **key / 20 == frame).for_each(|_| mask.beep());
            sound.extend(mask.frame(start() + Duration::from_secs(3600)).unwrap().1);
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
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let heard: Vec<i16> =
                sound.iter().map(|sample| g711::decode(codec, g711::encode(codec, *sample))).collect();
            assert_eq!(decode(&heard), "");
            assert!(!Suspicion::new().push(&heard));
        }
    }

    #[test]
    fn surplus_beeps_are_merged() {
        let mut mask = Mask::new(start());
        (0..100).for_each(|_| mask.beep());
        assert_eq!(mask.beeps_waiting, BEEPS_MAX);
    }
}
