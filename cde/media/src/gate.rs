//! The gate: may this sound be heard by the agent? It errs towards no.
//!
//! Two decisions in each 20 ms, every one on windows that a tone fills if it has begun where nothing has been sent yet. A
//! small net judges what [`features`] make of the sound; a hard rule judges besides it, and holds if the net is wrong.
//! What is suspicious is masked from the oldest sample that has not been sent.
//!
//! Nothing of it names a key: naming is the [`detector`](crate::detector)'s, and masking never waits for it.

pub mod features;
mod net;
mod weights;
mod weights12;

use crate::natural::Hold;
use crate::sound::Sound;
use crate::stages::{Stage, works};
use features::{Ears, HOP, Heard, Pair};
use net::{Net, Sieve};

/// Samples in a second.
const SECOND: u32 = 8000;

/// What depends on how long the sound is held.
struct Setting {
    net: &'static Net,
    sieve: &'static Sieve,
    /// Scores are log-odds. From this one on a sound is suspicious.
    suspicious: f32,
    /// In quiet windows false alarms are rare, so they are suspected more freely: by so much, from this level down, in 6 dB.
    quiet_more: f32,
    quiet_knee_dbm0: f32,
    /// What two tones must hold of the sound for the hard rule, and of which window: the one that a key fills in time.
    hard_held: f32,
    hard_window: fn(&Heard<'_>) -> Pair,
}

static OF_20_MS: Setting = Setting {
    net: &weights::NET,
    sieve: &weights::SIEVE,
    suspicious: 1.75,
    quiet_more: 3.5,
    quiet_knee_dbm0: -17.0,
    hard_held: 0.65,
    hard_window: |heard| heard.long(),
};
static OF_12_MS: Setting = Setting {
    net: &weights12::NET,
    sieve: &weights12::SIEVE,
    suspicious: 1.6,
    quiet_more: 4.0,
    quiet_knee_dbm0: -18.0,
    hard_held: 0.82,
    hard_window: |heard| heard.short(),
};

/// So much less is enough right after a suspicion, and for a while after a burst of keys.
const STICK: f32 = 3.0;
const HOT_LESS: f32 = 2.0;
const HOT: u32 = 10 * SECOND;
/// A strong suspicion hangs over drop-outs and tails.
const STRONG: f32 = 6.0;
const STRONG_HANG: u32 = SECOND / 10;
/// Two strong ones 20 ms apart: keys are being pressed.
const BURST: f32 = 10.0;
const BURST_HANG: u32 = 2 * SECOND;
/// Before the first hop, and where there is nothing to suspect.
const NO_SCORE: f32 = -20.0;
const SCORE_FLOOR: f32 = -4.0;
/// A proved key hangs so long.
const KEY_HANG: u32 = 3 * SECOND;
const QUIET_RANGE_DB: f32 = 6.0;
/// The hard rule: how unequal two tones may be, and how loud they must be.
const HARD_UNEQUAL: f32 = 25.1;
const HARD_DBM0: f32 = -46.0;
/// No voice fills 20 ms so loudly; a coder that a key has driven out of its range does, and then nothing of it looks like
/// two tones. A sine of full scale has 3.17 dBm0 (ITU-T G.711).
const TOO_LOUD_DBM0: f32 = 0.0;

/// What a hop came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// All that has not been sent must be masked.
    pub suspicious: bool,
    /// So many samples after this hop must be masked too.
    pub hang: u32,
}

/// Listens to one caller.
pub struct Gate {
    setting: &'static Setting,
    ears: Ears,
    /// Of the last hops, newest last.
    scores: [f32; 3],
    was_suspicious: bool,
    /// Samples for which a burst of keys is remembered.
    hot: u32,
    threshold: f32,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(Hold::default())
    }
}

impl Gate {
    /// One that has heard nothing.
    pub fn new(hold: Hold) -> Self {
        let setting = match hold {
            Hold::Ms20 | Hold::Ms40 => &OF_20_MS,
            Hold::Ms12 => &OF_12_MS,
        };
        let (scores, threshold) = ([NO_SCORE; 3], setting.suspicious);
        Self { setting, ears: Ears::new(), scores, was_suspicious: false, hot: 0, threshold }
    }

    /// The same with another threshold, to see what it would do.
    pub fn with_threshold(self, threshold: f32) -> Self {
        Self { threshold, ..self }
    }

    /// One for another hold, that has heard nothing but remembers a burst of keys.
    pub(crate) fn turned_to(&self, hold: Hold) -> Self {
        Self { hot: self.hot, ..Self::new(hold) }
    }

    /// Forgets what was heard; a burst of keys is remembered.
    pub fn start_anew(&mut self) {
        self.ears = Ears::new();
        (self.scores, self.was_suspicious) = ([NO_SCORE; 3], false);
    }

    /// A key is known to have been pressed, by whatever way: so many samples must be masked.
    pub fn key_is_known(&mut self) -> u32 {
        self.expect_keys();
        KEY_HANG
    }

    /// Sound is suspected more freely for a while, as after a burst of keys.
    pub fn expect_keys(&mut self) {
        self.hot = HOT;
    }

    /// Hears a hop, the newest 10 ms of a sound.
    pub fn hear(&mut self, sound: &Sound) -> Verdict {
        let heard = self.ears.hear(sound);
        self.hot = self.hot.saturating_sub(u32::try_from(HOP).unwrap_or_default());
        let hard = works(Stage::Rule) && self.setting.is_hard(&heard);
        let score = self.setting.score(&heard);
        let [_, middle, newest] = self.scores;
        self.scores = [middle, newest, score];
        let suspicious = works(Stage::Gate) && (hard || score > self.limit());
        self.was_suspicious = suspicious;
        Verdict { suspicious, hang: self.hang(suspicious, score) }
    }

    fn limit(&self) -> f32 {
        let stuck = if self.was_suspicious { self.threshold - STICK } else { self.threshold };
        let hot = if self.hot > 0 { self.threshold - HOT_LESS } else { self.threshold };
        stuck.min(hot)
    }

    fn hang(&mut self, suspicious: bool, score: f32) -> u32 {
        let hop = u32::try_from(HOP).unwrap_or_default();
        let [before, _, _] = self.scores;
        if !suspicious {
            return 0;
        }
        if score > 0.0 && score + before.max(SCORE_FLOOR) > BURST {
            self.hot = HOT;
            return BURST_HANG;
        }
        if score > STRONG { STRONG_HANG } else { hop }
    }
}

impl Setting {
    /// Two steady tones and nothing else, or more than a voice, whatever the net says.
    fn is_hard(&self, heard: &Heard<'_>) -> bool {
        heard.long().dbm0 > TOO_LOUD_DBM0 || self.is_two_tones(&(self.hard_window)(heard))
    }

    fn is_two_tones(&self, pair: &Pair) -> bool {
        pair.low + pair.high > self.hard_held * pair.energy
            && pair.low < HARD_UNEQUAL * pair.high
            && pair.high < HARD_UNEQUAL * pair.low
            && pair.dbm0 > HARD_DBM0
    }

    fn score(&self, heard: &Heard<'_>) -> f32 {
        let heard_out = |features: &_| works(Stage::Net) && self.sieve.lets_through(features);
        let Some(mut features) = heard.features.filter(heard_out) else { return NO_SCORE };
        heard.bands(&mut features);
        let quiet = ((self.quiet_knee_dbm0 - heard.long().dbm0) / QUIET_RANGE_DB).clamp(0.0, 1.0);
        let score = self.net.score(&features) + self.quiet_more * quiet;
        // What is no number must not pass for a quiet sound.
        if score.is_nan() { f32::INFINITY } else { score }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{Shape, tone};
    use std::f32::consts::TAU;

    /// Which hops are suspicious.
    fn suspected(hold: Hold, samples: &[i16]) -> Vec<bool> {
        let (mut gate, mut sound) = (Gate::new(hold), Sound::new());
        let mut suspicious = |hop: &[i16; HOP]| {
            sound.hear(hop, |_| ());
            gate.hear(&sound).suspicious
        };
        samples.as_chunks::<HOP>().0.iter().map(&mut suspicious).collect()
    }

    /// From the first decision at which as much of it has come as is held, to the last one before it ends.
    #[test]
    fn every_key_is_suspected_while_its_first_sample_is_held() {
        every_key_is_suspected(Hold::Ms20);
        every_key_is_suspected(Hold::Ms12);
    }

    fn every_key_is_suspected(hold: Hold) {
        for (key, lead) in b"0123456789*#".iter().flat_map(|key| [0, 7, 40, 79].map(|lead| (*key, lead))) {
            for detune in [0.985, 1.0, 1.015] {
                for (level_dbm0, twist_db, duration_ms) in [(-6.0, 0.0, 40), (-20.0, 4.0, 60), (-28.0, -8.0, 100)] {
                    let shape = Shape { level_dbm0, twist_db, detune, duration_ms };
                    let sound = [vec![0; 800 + lead], tone(key, shape).unwrap()].concat();
                    let (first, last) = ((800 + lead + hold.samples()).div_ceil(HOP) - 1, sound.len() / HOP);
                    let suspected = suspected(hold, &sound);
                    assert!(suspected[first..last].iter().all(|hop| *hop), "{} {lead} {shape:?}", char::from(key));
                    assert!(suspected[..10].iter().all(|hop| !hop));
                }
            }
        }
    }

    /// Noise, so that neither the net nor two tones explain it.
    #[test]
    fn what_is_louder_than_a_voice_is_suspected() {
        let noise =
            |peak: i16| (0..8000_u32).map(move |n| if n.wrapping_mul(2_654_435_761) >> 31 == 1 { peak } else { -peak });
        for hold in [Hold::Ms20, Hold::Ms12] {
            let suspected_of = |peak| suspected(hold, &noise(peak).collect::<Vec<i16>>());
            assert!(suspected_of(32_000)[2..].iter().all(|hop| *hop));
            assert!(suspected_of(8_000).iter().all(|hop| !hop));
        }
    }

    #[test]
    fn silence_noise_and_single_tones_are_not_suspected() {
        nothing_is_suspected(Hold::Ms20);
        nothing_is_suspected(Hold::Ms12);
    }

    fn nothing_is_suspected(hold: Hold) {
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i16::try_from(seed >> 18).unwrap() - 8192
        };
        let noise: Vec<i16> = (0..80_000).map(|_| noise()).collect();
        let sine = |hertz: f32| {
            (0..8000u16).map(move |n| crate::number::sample(8000.0 * (TAU * hertz * f32::from(n) / 8000.0).sin()))
        };
        for hertz in [425.0, 520.0, 941.0, 1100.0, 1209.0, 2100.0] {
            let count = suspected(hold, &sine(hertz).collect::<Vec<i16>>()).into_iter().filter(|hop| *hop).count();
            assert_eq!(count, 0, "{hertz} Hz");
        }
        for sound in [vec![0; 8000], noise] {
            assert!(suspected(hold, &sound).iter().all(|hop| !hop));
        }
    }
}
