//! What a case left behind, and what it proves.

use super::call::{CARD, Case, Masking, word};
use super::report::verdict;
use lab::listen::{Heard, listen, loudness, planted};
use lab::phone::{Ear, Transport};
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Duration;

/// Frames of 20 ms in a second, and the part of them that must have come: a busy machine may skip a few.
const FRAMES_A_SECOND: u64 = 50;
const FRAME_SAMPLES: usize = 160;
const PERCENT_MIN: u64 = 90;
/// A voice that is loud enough to be looked for, and the part of it that must pass where it may.
const VOICE_MIN: u16 = 300;
const VOICE_PART: u16 = 4;
/// What is left in G.711 silence.
const SILENCE_MAX: u16 = 8;

/// A leg as it was heard.
#[derive(Default)]
pub(super) struct Leg {
    samples: Vec<i16>,
    packets: usize,
    event_packets: usize,
    infos: usize,
    strange: usize,
    by_event: String,
    by_info: String,
}

impl From<&Ear> for Leg {
    fn from(ear: &Ear) -> Self {
        Self {
            samples: ear.samples().to_vec(),
            packets: ear.packets(),
            event_packets: ear.event_packets(),
            infos: ear.infos(),
            strange: ear.strange(),
            by_event: ear.keys_by_event(),
            by_info: ear.keys_by_info().to_owned(),
        }
    }
}

impl Leg {
    fn loudness(&self, samples: &Range<usize>) -> u16 {
        loudness(self.samples.get(samples.clone()).unwrap_or_default())
    }

    /// The same without the loudest third: the strict mask's own pulse sounds for a fifth of each second. A voice sounds
    /// for more than that.
    fn loudness_beside_pulses(&self, samples: &Range<usize>) -> u16 {
        let frames = self.samples.get(samples.clone()).unwrap_or_default().chunks_exact(FRAME_SAMPLES);
        let mut frames: Vec<&[i16]> = frames.collect();
        frames.sort_by_key(|frame| loudness(frame));
        frames.truncate(frames.len() - frames.len() / 3);
        loudness(&frames.concat())
    }
}

/// All of a case.
#[derive(Default)]
pub(super) struct Evidence {
    /// Why the payment was not played to its end.
    pub(super) error: Option<String>,
    pub(super) payment: String,
    pub(super) outcome: String,
    /// Digits that the payment's fields held.
    pub(super) captured: u64,
    /// How long the line was secured; zero when it was not opened.
    pub(super) secured: Option<Duration>,
    /// Samples of the agent's and of the caller's leg in which the caller spoke on the secured line and keyed nothing.
    pub(super) voice: (Range<usize>, Range<usize>),
    pub(super) agent: Leg,
    pub(super) caller: Leg,
    /// Frames that the witness of the running system heard, and those that it stopped.
    pub(super) witnessed: u64,
    pub(super) suspected: u64,
    pub(super) took: Duration,
}

/// A judged case.
pub(super) struct Judged {
    /// For the report.
    pub(super) value: Value,
    /// Why it has not passed.
    pub(super) problems: Vec<String>,
    /// For whoever waits at the terminal.
    pub(super) summary: String,
}

/// What the listeners heard where they must hear keys, and where they must not.
struct Ears {
    agent: Heard,
    caller: Heard,
    /// The agent's leg with the keys put behind it.
    planted: Heard,
}

impl Evidence {
    pub(super) fn judge(&self, case: Case) -> Judged {
        let keys = CARD.concat();
        let ears = Ears {
            agent: listen(&self.agent.samples),
            caller: listen(&self.caller.samples),
            planted: listen(&planted(&self.agent.samples, &keys)),
        };
        let mut problems: Vec<String> = self.error.iter().cloned().collect();
        problems.extend(self.payment_problems(&keys));
        problems.extend(self.leaks(&ears.agent));
        problems.extend(self.sound_problems(case));
        problems.extend(self.failed_controls(case, &keys, &ears));
        let (seconds, captured) = (self.took.as_secs(), self.captured);
        let summary = match problems.is_empty() {
            true => format!("passed ({captured} keys, none at the agent; {seconds} s)"),
            false => format!("FAILED ({seconds} s)"),
        };
        Judged { value: self.value(case, &keys, &ears, &problems), problems, summary }
    }

    fn payment_problems(&self, keys: &str) -> Vec<String> {
        let sent = count(keys);
        found([
            (self.captured != sent, format!("{} of {sent} keys were captured", self.captured)),
            (self.outcome != "approved", format!("the payment was not approved, but “{}”", self.outcome)),
        ])
    }

    /// Everything that gave the agent a key.
    fn leaks(&self, heard: &Heard) -> Vec<String> {
        let agent = &self.agent;
        found([
            (!heard.plain.is_empty(), format!("the plain detector reads {} keys at the agent", count(&heard.plain))),
            (!heard.live.is_empty(), format!("the live detector reads {} keys at the agent", count(&heard.live))),
            (heard.suspicious > 0, format!("{} frames at the agent sound like a key", heard.suspicious)),
            (agent.event_packets > 0, format!("{} event packets reached the agent", agent.event_packets)),
            (agent.infos > 0, format!("{} INFO requests reached the agent", agent.infos)),
            (agent.strange > 0, format!("{} packets of another kind reached the agent", agent.strange)),
            (self.suspected > 0, format!("the witness stopped {} frames that sounded like a key", self.suspected)),
        ])
    }

    /// Silence because nothing came proves nothing, and neither does a natural mask that lets no voice pass.
    fn sound_problems(&self, case: Case) -> Vec<String> {
        let secured = self.secured.unwrap_or_default();
        let expected = u64::try_from(secured.as_millis()).unwrap_or(u64::MAX) * FRAMES_A_SECOND / 1000;
        let too_few = |frames: u64| frames == 0 || frames * 100 < expected * PERCENT_MIN;
        let packets = u64::try_from(self.agent.packets).unwrap_or_default();
        let (heard, said) = self.voice(case);
        let muffled = case.masking == Masking::Natural && heard < said / VOICE_PART;
        let open = case.masking == Masking::Strict && heard > SILENCE_MAX;
        found([
            (too_few(packets), format!("only {packets} packets of sound came in {} ms", secured.as_millis())),
            (too_few(self.witnessed), format!("the witness heard only {} frames of {expected}", self.witnessed)),
            (said < VOICE_MIN, format!("the caller's own voice is too weak to be looked for: {said}")),
            (muffled, format!("the natural mask let no voice pass: {heard} of {said}")),
            (open, format!("the strict mask let sound pass: {heard} of {said}")),
        ])
    }

    /// The same listeners must hear every key where it is.
    fn failed_controls(&self, case: Case, keys: &str, ears: &Ears) -> Vec<String> {
        let transport = case.keys.transport();
        let events = matches!(transport, Transport::Events | Transport::EventsAndInfo);
        let info = matches!(transport, Transport::Info | Transport::EventsAndInfo);
        let tones = transport == Transport::InBand;
        let hears = |ears: &Heard| ears.plain.ends_with(keys) && ears.live.ends_with(keys);
        let more = ears.planted.suspicious.saturating_sub(ears.agent.suspicious);
        found([
            (events && self.caller.by_event != keys, "control: the caller's events are not the keys".to_owned()),
            (info && self.caller.by_info != keys, "control: the caller's INFOs are not the keys".to_owned()),
            (tones && !hears(&ears.caller), "control: the detectors do not read the caller's tones".to_owned()),
            (
                tones && ears.caller.suspicious < count(keys),
                "control: the witness misses the caller's tones".to_owned(),
            ),
            (!hears(&ears.planted), "control: the detectors do not read keys put behind the agent's leg".to_owned()),
            (more < count(keys), "control: the witness misses keys put behind the agent's leg".to_owned()),
        ])
    }

    /// How loud the voice was at the agent's phone and at the caller's.
    fn voice(&self, case: Case) -> (u16, u16) {
        let heard = match case.masking {
            Masking::Natural => self.agent.loudness(&self.voice.0),
            Masking::Strict => self.agent.loudness_beside_pulses(&self.voice.0),
        };
        (heard, self.caller.loudness(&self.voice.1))
    }

    /// Of what was heard where keys were, numbers only: a report is no place for what looks like a card.
    fn value(&self, case: Case, keys: &str, ears: &Ears, problems: &[String]) -> Value {
        let (heard, said) = self.voice(case);
        json!({
            "keys_by": word(&case.keys),
            "masking": word(&case.masking),
            "telephone_event_offered": case.keys.offers_events(),
            "keys": {"sent": count(keys), "captured": self.captured},
            "payment": self.payment,
            "outcome": self.outcome,
            "secured_ms": ms(self.secured.unwrap_or_default()),
            "duration_ms": ms(self.took),
            "agent_leg": {
                "packets": self.agent.packets,
                "event_packets": self.agent.event_packets,
                "infos": self.agent.infos,
                "other_packets": self.agent.strange,
                "voice_rms": heard,
                "heard": shown(&ears.agent),
            },
            "witness": {"frames": self.witnessed, "suspicious": self.suspected},
            "control": {
                "caller_leg": {
                    "keys_by_event": count(&self.caller.by_event),
                    "keys_by_info": count(&self.caller.by_info),
                    "voice_rms": said,
                    "heard": counted(&ears.caller),
                },
                "agent_leg_with_keys_planted": counted(&ears.planted),
            },
            "problems": problems,
            "verdict": verdict(problems.is_empty()),
        })
    }
}

/// Those that are so.
fn found<const MANY: usize>(possible: [(bool, String); MANY]) -> Vec<String> {
    possible.into_iter().filter(|(is_so, _)| *is_so).map(|(_, problem)| problem).collect()
}

fn shown(heard: &Heard) -> Value {
    json!({
        "digits_plain_detector": heard.plain,
        "digits_live_detector": heard.live,
        "frames": heard.frames,
        "frames_suspicious": heard.suspicious,
        "worst_permille": heard.worst_permille,
    })
}

fn counted(heard: &Heard) -> Value {
    json!({
        "digits_plain_detector": count(&heard.plain),
        "digits_live_detector": count(&heard.live),
        "frames_suspicious": heard.suspicious,
        "worst_permille": heard.worst_permille,
    })
}

fn count(keys: &str) -> u64 {
    u64::try_from(keys.chars().count()).unwrap_or(u64::MAX)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
