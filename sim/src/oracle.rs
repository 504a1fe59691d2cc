//! What was promised, and whether it was kept.

use std::collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher};
use std::fmt;
use std::hash::Hasher;
use std::time::{Duration, Instant};
use wire::{CallId, LineState};

/// How long it must have been quiet before a line opens.
const QUIET: Duration = Duration::from_secs(3);
/// So many digits in a row of a card number give it away; fewer could stand in an id by chance.
const WINDOW: usize = 10;
/// A session opens its line and says so; the word takes this long at most to where the screen is made.
const REPORT_MAX: Duration = Duration::from_millis(10);
/// More violations than this say nothing new.
const VIOLATIONS_MAX: usize = 20;

/// The promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// No digit on the agent's leg: no event, no INFO, no tone.
    AgentHearsNoKey,
    /// No digit on the door, in a record or in SIP to the agent.
    NothingIsWritten,
    /// Other digits at the same times cause the same lines, records, SIP and sound.
    DigitsChangeNothing,
    /// Every secured call ends released or hung up, and nothing is left of it.
    EveryCallEnds,
    /// A line opens three quiet seconds after the last key, not before.
    OpensWhenQuiet,
    /// One authorization a capture; one approval a payment.
    ChargedOnce,
    /// An order of a bounced call is approved once, however often it is asked for and whoever dies meanwhile.
    OrderPaidOnce,
    /// A caller goes back with what is on disk: approved is approved, and where nothing was taken nothing can have been.
    ResultIsTrue,
    /// Journal, office and the bank's ledger say the same.
    MoneyAgrees,
    /// An attempt is on disk before its request reaches the bank.
    JournaledFirst,
    /// The office stores every record, each once, in order.
    RecordsArrive,
    /// Every command is answered.
    CommandsAreAnswered,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// When, since the world began.
    pub at: Duration,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {:.3} s: {}", self.promise, self.at.as_secs_f64(), self.what)
    }
}

/// A call as the oracle knows it.
#[derive(Default)]
struct Watched {
    masked: bool,
    last_key: Option<Instant>,
    opened: Option<Instant>,
    /// Keys that the media session gave.
    given: u64,
    /// What the agent heard since the line was masked.
    heard: Vec<i16>,
}

/// The oracle.
pub(crate) struct Oracle {
    began: Instant,
    pub(crate) now: Instant,
    calls: BTreeMap<CallId, Watched>,
    /// Parts of card numbers that are being keyed in this world.
    secrets: BTreeSet<Vec<u8>>,
    transcript: DefaultHasher,
    /// The transcript itself, where two are to be compared.
    pub(crate) kept: Option<Vec<String>>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) secured: u64,
    pub(crate) keys: u64,
}

impl Oracle {
    pub(crate) fn new(began: Instant) -> Self {
        Self {
            began,
            now: began,
            calls: BTreeMap::new(),
            secrets: BTreeSet::new(),
            transcript: DefaultHasher::new(),
            kept: None,
            violations: Vec::new(),
            secured: 0,
            keys: 0,
        }
    }

    pub(crate) fn broken(&mut self, promise: Promise, what: impl Into<String>) {
        if self.violations.len() < VIOLATIONS_MAX {
            let at = self.now.saturating_duration_since(self.began);
            self.violations.push(Violation { promise, at, what: what.into() });
        }
    }

    /// A caller is about to key this number.
    pub(crate) fn secret(&mut self, digits: &str) {
        let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_digit).collect();
        self.secrets.extend(digits.windows(WINDOW).map(<[u8]>::to_vec));
    }

    /// Something that anybody outside may read: it is searched, and kept for the comparison with the twin.
    pub(crate) fn written(&mut self, where_: &str, bytes: &[u8]) {
        self.transcribe(where_, bytes);
        let hit =
            bytes.windows(WINDOW).any(|window| window.iter().all(u8::is_ascii_digit) && self.secrets.contains(window));
        if hit {
            self.broken(Promise::NothingIsWritten, format!("a card number {where_}"));
        }
    }

    fn transcribe(&mut self, where_: &str, bytes: &[u8]) {
        self.transcript.write(bytes);
        if let Some(kept) = &mut self.kept {
            let at = self.now.saturating_duration_since(self.began);
            kept.push(format!("{:.3} s {where_}: {}", at.as_secs_f64(), String::from_utf8_lossy(bytes)));
        }
    }

    pub(crate) fn transcript(&self) -> u64 {
        self.transcript.finish()
    }

    /// The media session says that the line is masked from here on.
    pub(crate) fn masked(&mut self, call: CallId) {
        let watched = self.calls.entry(call).or_default();
        if !watched.masked {
            watched.masked = true;
            self.secured += 1;
        }
    }

    pub(crate) fn is_masked(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|watched| watched.masked)
    }

    /// A key, or a part of one, has come to the media session.
    pub(crate) fn key(&mut self, call: CallId, down_until: Instant) {
        let watched = self.calls.entry(call).or_default();
        watched.last_key = watched.last_key.max(Some(down_until));
        self.keys += 1;
    }

    /// The media session has given a key to the call.
    pub(crate) fn given(&mut self, call: CallId) {
        self.calls.entry(call).or_default().given += 1;
    }

    /// How many keys it has given.
    pub(crate) fn keys_given(&self, call: CallId) -> u64 {
        self.calls.get(&call).map_or(0, |watched| watched.given)
    }

    pub(crate) fn opened(&mut self, call: CallId) {
        let now = self.now;
        let watched = self.calls.entry(call).or_default();
        let quiet = watched.last_key.is_none_or(|key| now.saturating_duration_since(key) >= QUIET);
        let was_masked = std::mem::take(&mut watched.masked);
        watched.opened = Some(now);
        if was_masked && !quiet {
            self.broken(Promise::OpensWhenQuiet, format!("the line of {call} opens too soon after a key"));
        }
        self.judge_sound(call);
    }

    /// The media session of a call is gone.
    pub(crate) fn closed(&mut self, call: CallId) {
        self.judge_sound(call);
        self.calls.remove(&call);
    }

    /// A packet of sound is on its way to the agent: its payload type, what it sounds like.
    pub(crate) fn agent_packet(
        &mut self,
        call: CallId,
        bytes: &[u8],
        is_sound: bool,
        samples: impl Iterator<Item = i16>,
    ) {
        let Some(watched) = self.calls.get_mut(&call).filter(|watched| watched.masked) else { return };
        if is_sound {
            watched.heard.extend(samples);
            self.transcribe("to the agent's ear", bytes);
        } else {
            self.broken(Promise::AgentHearsNoKey, "a packet that is no sound, to the agent of a masked line");
        }
    }

    /// RTCP to the agent of a masked line: its every byte must be the same whatever is keyed.
    pub(crate) fn agent_report(&mut self, call: CallId, bytes: &[u8]) {
        if !self.calls.get(&call).is_some_and(|watched| watched.masked) {
            return;
        }
        self.transcribe("RTCP to the agent", bytes);
        if media::rtcp::parse(bytes, 0).is_err() {
            self.broken(Promise::AgentHearsNoKey, "what looks like RTCP and is none, to the agent of a masked line");
        }
    }

    fn judge_sound(&mut self, call: CallId) {
        let Some(watched) = self.calls.get_mut(&call) else { return };
        let heard = std::mem::take(&mut watched.heard);
        if !media::tone::decode(&heard).is_empty() {
            self.broken(Promise::AgentHearsNoKey, "a key can be told from what the agent heard");
        }
    }

    /// A SIP message is on its way to the agent.
    pub(crate) fn agent_sip(&mut self, masked: bool, bytes: &[u8]) {
        self.written("in SIP to the agent", bytes);
        if masked && bytes.starts_with(b"INFO ") {
            self.broken(Promise::AgentHearsNoKey, "an INFO to the agent of a masked line");
        }
    }

    /// The state of a line that the office is shown must not be better than the truth.
    pub(crate) fn shown(&mut self, call: CallId, line: LineState) {
        let just_opened =
            |watched: &Watched| watched.opened.is_some_and(|at| self.now.saturating_duration_since(at) <= REPORT_MAX);
        let better = |watched: &Watched| !watched.masked && !just_opened(watched);
        if line == LineState::Secured && self.calls.get(&call).is_some_and(better) {
            self.broken(Promise::AgentHearsNoKey, "the office is shown a secured line that is not");
        }
    }
}
