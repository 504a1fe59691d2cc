//! Keys in the caller's sound, while the line is masked.

use crate::detector::Detector;
use crate::natural::Hold;
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
    /// Few callers key by tones and by another way too.
    waiting: Option<Box<Waiting>>,
}

/// Tones with when they have waited long enough.
#[derive(Default)]
struct Waiting(VecDeque<(Instant, Toned)>);

impl InBand {
    /// Of what it has heard, as much can be read back as is held.
    pub(crate) fn new(hold: Hold) -> Self {
        Self { sound: Sound::with_room(hold), detector: Detector::new(), waiting: None }
    }

    /// Sound of another kind comes from here on, of which so much is held.
    pub(crate) fn hold_for(&mut self, hold: Hold) {
        self.forget();
        self.sound = Sound::with_room(hold);
    }

    /// Forgets what was heard: a key that began before the line was masked is none.
    pub(crate) fn start_anew(&mut self) {
        self.forget();
        self.waiting = None;
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
        let Waiting(waiting) = &mut **self.waiting.get_or_insert_default();
        if waiting.len() == WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back((now + WAIT, toned));
    }

    /// The event or INFO has come: the tone that waits for it is the same press.
    pub(crate) fn paired(&mut self, key: &Key) {
        let Some(Waiting(waiting)) = self.waiting.as_deref_mut() else { return };
        if let Some(place) = waiting.iter().position(|(_, toned)| same(&toned.key, key)) {
            waiting.remove(place);
        }
    }

    /// A tone that has waited in vain.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Toned> {
        let Waiting(waiting) = self.waiting.as_deref_mut()?;
        waiting.pop_front_if(|(due, _)| *due <= now).map(|(_, toned)| toned)
    }
}
