//! Keys in the caller's sound, while the line is masked.

use crate::detector::Detector;
use crate::pairing::same;
use crate::sound::{Sound, Taken};
use card::Key;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// On a leg whose keys come by another way too, a tone waits so long for the event or INFO of its press.
const WAIT: Duration = Duration::from_millis(120);
/// Tones that may wait: nobody presses so many in that time.
const WAITING_MAX: usize = 8;
/// A key whose tones held less of the sound than this may be another one.
const DOUBTFUL: f32 = 0.80;
/// Samples of lost packets that are heard as silence, so that time goes on; after a longer gap nothing is left to go on.
const GAP_SAMPLES_MAX: usize = 1_600;
const SILENCE: [i16; 160] = [0; 160];

/// A tone's key, and whether it is sure.
pub(crate) struct Toned {
    pub(crate) key: Key,
    pub(crate) doubtful: bool,
}

/// Listens to the caller.
pub(crate) struct InBand {
    pub(crate) sound: Sound,
    detector: Detector,
    waiting: VecDeque<(Instant, Toned)>,
}

impl InBand {
    pub(crate) fn new() -> Self {
        Self { sound: Sound::new(), detector: Detector::new(), waiting: VecDeque::new() }
    }

    /// Forgets what was heard: a key that began before the line was masked is none.
    pub(crate) fn start_anew(&mut self) {
        self.forget();
        self.waiting.clear();
    }

    /// Time in which nothing came.
    pub(crate) fn silence(&mut self, samples: usize) {
        if samples > GAP_SAMPLES_MAX {
            return self.forget();
        }
        let mut left = samples;
        while left > 0 {
            let now = left.min(SILENCE.len());
            self.sound.hear(SILENCE.get(..now).unwrap_or_default(), |sound| drop(self.detector.look(sound)));
            left -= now;
        }
    }

    /// Takes sound up to the end of a block, and looks at that.
    pub(crate) fn hear(&mut self, samples: &[i16]) -> (Taken, Option<Toned>) {
        let taken = self.sound.take(samples);
        let proved = if taken.whole { self.detector.look(&self.sound) } else { None };
        (taken, proved.map(|proved| Toned { doubtful: proved.held < DOUBTFUL, key: proved.key }))
    }

    fn forget(&mut self) {
        self.sound.clear();
        self.detector.clear();
    }

    /// Lets a tone wait for the event or INFO of its press.
    pub(crate) fn wait(&mut self, now: Instant, toned: Toned) {
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now + WAIT, toned));
    }

    /// The event or INFO has come: the tone that waits for it is the same press.
    pub(crate) fn paired(&mut self, key: &Key) {
        if let Some(place) = self.waiting.iter().position(|(_, toned)| same(&toned.key, key)) {
            self.waiting.remove(place);
        }
    }

    /// A tone that has waited in vain.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Toned> {
        if self.waiting.front().is_some_and(|(due, _)| *due <= now) {
            return self.waiting.pop_front().map(|(_, toned)| toned);
        }
        None
    }
}
