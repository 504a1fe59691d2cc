//! Keys of the agent while the line is open: a feature code, and the digits behind it.
//!
//! From the code's first key on nothing of the agent passes to the caller, neither events nor sound, until the digits have
//! ended or none came in time: they are a secret of the agent's. A key that is pressed as sound is proved some 40 ms after it
//! began, so that much of the code's first key is heard; of the others nothing is. A first key that no code follows is lost
//! to the caller.

use crate::event::KeyEvent;
use crate::inband::InBand;
use crate::interface::EventClock;
use crate::keys::{Identity, Keys, Sighting};
use crate::leg::Order;
use crate::natural::Hold;
use crate::pairing::{Pairing, same};
use card::Key;
use std::time::{Duration, Instant};

/// From one key to the next.
const NEXT_MAX: Duration = Duration::from_secs(3);
/// What the last key may still send.
const TAIL: Duration = Duration::from_millis(200);
/// Keys behind a code.
const DIGITS_MAX: u8 = 16;

/// What a key of the agent is.
pub enum AgentKey {
    /// None of ours: it passes.
    Other,
    /// Perhaps the beginning of the code: it does not pass.
    Withheld,
    /// The code's last: digits follow.
    Code,
    /// One of those behind the code.
    Digit(Key),
    /// `#`, or one too many: no more follow.
    End,
}

/// Follows keys to a code and to what stands behind it.
pub struct CodeWatch {
    /// Empty: all keys are digits.
    code: Vec<Key>,
    matched: usize,
    digits: u8,
    until: Option<Instant>,
}

impl CodeWatch {
    /// For a code in characters; those that are no keys are left out.
    pub fn new(code: &[u8]) -> Self {
        Self { code: code.iter().copied().filter_map(Key::from_char).collect(), matched: 0, digits: 0, until: None }
    }

    /// A key was pressed.
    pub fn press(&mut self, now: Instant, key: Key) -> AgentKey {
        if self.is_complete() {
            self.digits += 1;
            self.until = Some(now + NEXT_MAX);
            if matches!(key, Key::Pound) || self.digits > DIGITS_MAX {
                self.start_anew();
                return AgentKey::End;
            }
            return AgentKey::Digit(key);
        }
        let goes_on = self.code.get(self.matched).is_some_and(|next| same(next, &key));
        let begins = self.code.first().is_some_and(|first| same(first, &key));
        self.matched = if goes_on { self.matched + 1 } else { usize::from(begins) };
        self.until = (self.matched > 0).then(|| now + NEXT_MAX);
        match self.matched {
            0 => AgentKey::Other,
            _ if self.is_complete() => AgentKey::Code,
            _ => AgentKey::Withheld,
        }
    }

    /// No more keys came: true if digits were awaited.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_late = self.until.is_some_and(|until| until <= now);
        let awaited = is_late && self.is_complete();
        if is_late {
            self.start_anew();
        }
        awaited
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// Something of a code has been pressed, and nothing of the agent's keys is for the caller.
    pub fn is_begun(&self) -> bool {
        self.matched > 0 || self.code.is_empty()
    }

    /// Forgets what was pressed.
    pub fn start_anew(&mut self) {
        (self.matched, self.digits, self.until) = (0, 0, None);
    }

    fn is_complete(&self) -> bool {
        self.matched == self.code.len()
    }
}

/// Listens to the agent of an open line.
pub(crate) struct AgentKeys {
    watch: CodeWatch,
    events: Keys,
    inband: InBand,
    pairing: Pairing,
    /// This phone sends events: its tones are the same presses.
    has_events: bool,
    /// The last key's packets are withheld until then.
    tail: Option<Instant>,
}

impl AgentKeys {
    pub(crate) fn new(code: &[u8]) -> Self {
        Self {
            watch: CodeWatch::new(code),
            events: Keys::new(),
            inband: InBand::new(Hold::default()),
            pairing: Pairing::new(),
            has_events: false,
            tail: None,
        }
    }

    /// Timestamps of events count in this clock.
    pub(crate) fn set_clock(&mut self, clock: EventClock) {
        self.events.set_clock(clock);
    }

    /// An event's packet.
    pub(crate) fn event(
        &mut self,
        now: Instant,
        identity: Identity,
        marker: bool,
        event: KeyEvent,
    ) -> Option<AgentKey> {
        self.has_events = true;
        let sighting = self.events.handle(now, identity, marker, event, false);
        if sighting != Sighting::Pressed {
            if self.withholds(now) {
                self.tail = Some(now + TAIL);
            }
            return None;
        }
        let (key, twin) = (Key::from_event(event.code)?, Key::from_event(event.code)?);
        self.pairing.event(now, twin).then(|| self.press(now, key))
    }

    /// A packet of sound, in its order.
    pub(crate) fn sound(&mut self, now: Instant, order: Order, samples: &[i16]) -> Option<AgentKey> {
        match order {
            Order::Next { lost } => self.inband.silence(usize::from(lost).saturating_mul(samples.len())),
            Order::Late => return None,
            Order::Anew => self.inband.start_anew(),
        }
        let (mut rest, mut found) = (samples, None);
        while !rest.is_empty() {
            let (taken, toned) = self.inband.hear(rest);
            found = toned.or(found);
            rest = rest.get(taken.samples..).unwrap_or_default();
        }
        let key = found.filter(|toned| !toned.doubtful && !self.has_events)?.key;
        if !self.pairing.tone(now, &key) {
            return None;
        }
        self.pairing.tone_counts(now, &key);
        Some(self.press(now, key))
    }

    fn press(&mut self, now: Instant, key: Key) -> AgentKey {
        let pressed = self.watch.press(now, key);
        if !matches!(pressed, AgentKey::Other) {
            self.tail = Some(now + TAIL);
        }
        pressed
    }

    /// Nothing of the agent passes to the caller now.
    pub(crate) fn withholds(&self, now: Instant) -> bool {
        self.watch.is_begun() || self.tail.is_some_and(|tail| now < tail)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.watch.handle_timeout(now)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.watch.poll_timeout()
    }

    /// The line is masked: what was pressed before is of no meaning after that.
    pub(crate) fn start_anew(&mut self) {
        self.watch.start_anew();
        self.inband.start_anew();
        self.tail = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::start;

    /// What each key of a text is: `.` other, `w` withheld, `C` the code, `d` a digit, `E` the end; a blank is four seconds.
    fn follow(code: &str, keys: &str) -> String {
        let (mut watch, mut now) = (CodeWatch::new(code.as_bytes()), start());
        let mut said = String::new();
        for key in keys.bytes() {
            now += Duration::from_millis(100);
            if key == b' ' {
                now += Duration::from_secs(4);
                said.push(if watch.handle_timeout(now) { '!' } else { ' ' });
                continue;
            }
            said.push(match watch.press(now, Key::from_char(key).unwrap()) {
                AgentKey::Other => '.',
                AgentKey::Withheld => 'w',
                AgentKey::Code => 'C',
                AgentKey::Digit(_) => 'd',
                AgentKey::End => 'E',
            });
        }
        said
    }

    #[test]
    fn digits_follow_a_code_until_the_hash_or_a_pause() {
        assert_eq!(follow("*9", "12*9481516#3"), "..wCddddddE.");
        assert_eq!(follow("*9", "*9481516 3"), "wCdddddd!.");
        assert_eq!(follow("*9", "*9 3"), "wC!.");
        assert_eq!(follow("*9", "*9*9#"), "wCddE", "a star is a key like others then");
        assert_eq!(follow("*9", &format!("*9{}", "1".repeat(18))), format!("wC{}E.", "d".repeat(16)));
    }

    #[test]
    fn what_is_no_code_is_the_callers() {
        assert_eq!(follow("*9", "9*8*"), ".w.w");
        assert_eq!(follow("*9", "**9"), "wwC");
        assert_eq!(follow("*9", "* 9"), "w .");
    }

    #[test]
    fn without_a_code_all_keys_are_digits() {
        assert_eq!(follow("", "4815#1 "), "ddddEd!");
    }
}
