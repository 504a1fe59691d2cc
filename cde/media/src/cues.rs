//! What a caller hears who pays alone, before there are words for it: beeps that ask for a field, and silence between them.
//!
//! Sent while nobody speaks on the agent's leg. A beep is a single tone of no frequency that a key has, as on the agent's side:
//! should it come back as an echo, no detector takes it for a key.

use crate::FRAME_SAMPLES;
use crate::number::{RATE, peak, sample};
use std::f32::consts::{PI, TAU};
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(20);
/// Frames that a driver who comes late is still given; what is older is left out.
const LATE_MAX: u32 = 4;
/// 200 ms of sound and as much of nothing; a long beep is four times that. Soft at both ends, 5 ms.
const SHORT_SAMPLES: u32 = RATE / 5;
const LONG_SAMPLES: u32 = SHORT_SAMPLES * 4;
const RAMP_SAMPLES: u32 = RATE / 200;
const HERTZ: f32 = 520.0;
/// What says that no more is to be keyed: lower than the beeps, and longer than any of them.
const STOP_SAMPLES: u32 = RATE * 2;
const STOP_HERTZ: f32 = 300.0;
const DBM0: f32 = -16.0;
/// Beeps of one cue.
const BEEPS_MAX: u8 = 9;

/// One caller's.
pub(crate) struct Cues {
    /// Is the long beep still to come, and how many short ones?
    long: bool,
    short: u8,
    /// Is it the tone that ends it all?
    stop: bool,
    /// Samples since the beep that is heard began.
    position: u32,
    next_at: Instant,
}

impl Cues {
    pub(crate) fn new(now: Instant) -> Self {
        Self { long: false, short: 0, stop: false, position: 0, next_at: now }
    }

    /// From the next sample on this is heard, and nothing of the cue before.
    pub(crate) fn say(&mut self, long: bool, short: u8) {
        (self.long, self.short, self.stop, self.position) = (long, short.min(BEEPS_MAX), false, 0);
    }

    /// From the next sample on the caller hears that no more is to be keyed.
    pub(crate) fn say_stop(&mut self) {
        (self.long, self.short, self.stop, self.position) = (false, 0, true, 0);
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.next_at
    }

    /// The next 20 ms, if they are due.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<[i16; FRAME_SAMPLES]> {
        if now < self.next_at {
            return None;
        }
        if now.saturating_duration_since(self.next_at) > FRAME * LATE_MAX {
            self.next_at = now;
        }
        self.next_at += FRAME;
        let mut frame = [0; FRAME_SAMPLES];
        frame.iter_mut().for_each(|to| *to = self.next());
        Some(frame)
    }

    fn next(&mut self) -> i16 {
        let (length, hertz) = match (self.stop, self.long, self.short) {
            (true, _, _) => (STOP_SAMPLES, STOP_HERTZ),
            (false, true, _) => (LONG_SAMPLES, HERTZ),
            (false, false, 0) => return 0,
            (false, false, _) => (SHORT_SAMPLES, HERTZ),
        };
        let heard = if self.position < length { beep(self.position, length, hertz) } else { 0 };
        self.position += 1;
        if self.position == length + SHORT_SAMPLES {
            self.position = 0;
            if std::mem::take(&mut self.stop) {
                return heard;
            }
            if self.long { self.long = false } else { self.short -= 1 }
        }
        heard
    }
}

fn beep(offset: u32, length: u32, hertz: f32) -> i16 {
    let short = |samples: u32| f32::from(u16::try_from(samples).unwrap_or(u16::MAX));
    let edge = offset.min(length - 1 - offset).min(RAMP_SAMPLES);
    let envelope = 0.5 - 0.5 * (PI * short(edge) / short(RAMP_SAMPLES)).cos();
    sample(peak(DBM0) * envelope * (TAU * hertz * short(offset) / short(RATE)).sin())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "test code")]
mod tests {
    use super::*;
    use crate::g711::{self, Law};
    use crate::tone::decode;

    fn sound(long: bool, short: u8) -> Vec<i16> {
        let start = Instant::now();
        let mut cues = Cues::new(start);
        cues.say(long, short);
        (0..150).flat_map(|frame| cues.poll(start + FRAME * frame).unwrap()).collect()
    }

    /// Runs of sound in milliseconds.
    fn beeps(sound: &[i16]) -> Vec<usize> {
        let loud: Vec<bool> = sound.chunks(80).map(|ten| ten.iter().any(|one| *one != 0)).collect();
        loud.chunk_by(|one, other| one == other).filter(|run| run[0]).map(|run| run.len() * 10).collect()
    }

    #[test]
    fn so_many_beeps_as_are_said_and_a_long_one_first() {
        assert_eq!(beeps(&sound(false, 3)), [200, 200, 200]);
        assert_eq!(beeps(&sound(true, 2)), [800, 200, 200]);
        assert_eq!(beeps(&sound(false, 0)), [0; 0]);
    }

    #[test]
    fn what_ends_it_is_one_tone_longer_than_all_others_and_no_key() {
        let start = Instant::now();
        let mut cues = Cues::new(start);
        cues.say(true, 2);
        cues.say_stop();
        let sound: Vec<i16> = (0..150).flat_map(|frame| cues.poll(start + FRAME * frame).unwrap()).collect();
        assert_eq!((beeps(&sound), decode(&sound)), (vec![2000], String::new()));
    }

    #[test]
    fn no_detector_takes_an_echo_of_it_for_a_key() {
        for law in [Law::Mu, Law::A] {
            let sound = sound(true, 3);
            let heard: Vec<i16> = sound.iter().map(|one| g711::decode(law, g711::encode(law, *one)) / 4).collect();
            assert_eq!(decode(&heard), "");
            assert_eq!(decode(&heard.iter().map(|one| one * 4).collect::<Vec<_>>()), "");
        }
    }

    #[test]
    fn a_late_driver_gets_what_is_new() {
        let start = Instant::now();
        let mut cues = Cues::new(start);
        assert!(cues.poll(start).is_some() && cues.poll(start).is_none());
        let late = start + Duration::from_secs(1);
        assert!(cues.poll(late).is_some() && cues.poll(late).is_none());
        assert_eq!(cues.poll_timeout(), late + FRAME);
    }
}
