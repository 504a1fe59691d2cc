//! One press that comes twice, as an RFC 4733 event and as a SIP INFO, is one key.
//!
//! Both orders of arrival are known: phones send the INFO while the key is down, right after it, or on a path that
//! overtakes the media. So each kind is paired with the oldest unpaired one of the other kind, one to one and key by
//! key. Nothing is delayed: whichever comes first counts.

use card::Key;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far an INFO and its event can be apart.
const APART_MAX: Duration = Duration::from_secs(2);
/// How many presses of a kind may wait for the other kind; nobody presses so many in two seconds.
const UNPAIRED_MAX: usize = 32;

/// Presses of the last two seconds that came by one way only.
pub(crate) struct Pairing {
    events: Unpaired,
    infos: Unpaired,
    /// The last of `events` is the press that is going on.
    event_waits: bool,
}

impl Pairing {
    pub(crate) fn new() -> Self {
        Self { events: Unpaired::new(), infos: Unpaired::new(), event_waits: false }
    }

    /// An event has begun. True if this press has not been counted yet.
    pub(crate) fn event(&mut self, now: Instant, key: Key) -> bool {
        let fresh = !self.infos.take(now, &key);
        if fresh {
            self.events.push(now, key);
        }
        self.event_waits = fresh;
        fresh
    }

    /// The event is still going on, so that an INFO at the end of a long press belongs to it.
    pub(crate) fn event_goes_on(&mut self, now: Instant) {
        if self.event_waits
            && let Some((at, _)) = self.events.0.back_mut()
        {
            *at = now;
        }
    }

    /// An INFO has come. True if this press has not been counted yet.
    pub(crate) fn info(&mut self, now: Instant, key: Key) -> bool {
        let waiting = self.events.0.len();
        let fresh = !self.events.take(now, &key);
        // The press that is going on is the last; when it has gone, nothing of `events` may be touched for it.
        self.event_waits &= self.events.0.len() == waiting;
        if fresh {
            self.infos.push(now, key);
        }
        fresh
    }

    /// Forgets, and so wipes, what is too old to be paired.
    pub(crate) fn forget(&mut self, now: Instant) {
        self.events.forget(now);
        self.infos.forget(now);
        self.event_waits &= !self.events.0.is_empty();
    }
}

struct Unpaired(VecDeque<(Instant, Key)>);

impl Unpaired {
    fn new() -> Self {
        Self(VecDeque::with_capacity(UNPAIRED_MAX))
    }

    fn push(&mut self, now: Instant, key: Key) {
        if self.0.len() == UNPAIRED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, key));
    }

    /// Takes the oldest press of this key out, if there is one.
    fn take(&mut self, now: Instant, key: &Key) -> bool {
        self.forget(now);
        let found = self.0.iter().position(|(_, other)| same(key, other));
        found.and_then(|place| self.0.remove(place)).is_some()
    }

    fn forget(&mut self, now: Instant) {
        self.0.retain(|(at, _)| now.saturating_duration_since(*at) <= APART_MAX);
    }
}

/// The same key.
pub(crate) fn same(left: &Key, right: &Key) -> bool {
    match (left, right) {
        (Key::Digit(left), Key::Digit(right)) => left.expose(|left| right.expose(|right| left == right)),
        (Key::Star, Key::Star) | (Key::Pound, Key::Pound) | (Key::Letter, Key::Letter) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the keys of a text of presses: `e5` an event, `i5` an INFO, `.` half a second.
    fn count(text: &str) -> usize {
        let mut now = crate::keys::tests::start();
        let mut pairing = Pairing::new();
        let mut keys = 0;
        for press in text.split_whitespace() {
            now += Duration::from_millis(if press == "." { 500 } else { 1 });
            let key = || Key::from_char(press.as_bytes()[1]).unwrap();
            keys += usize::from(match press.as_bytes()[0] {
                b'e' => pairing.event(now, key()),
                b'i' => pairing.info(now, key()),
                _ => {
                    pairing.event_goes_on(now);
                    false
                }
            });
        }
        keys
    }

    #[test]
    fn both_ways_at_once_are_one_key_in_either_order() {
        assert_eq!(count("e5 i5"), 1);
        assert_eq!(count("i5 e5"), 1);
        assert_eq!(count("e5 i5 e5 i5"), 2);
        assert_eq!(count("e5 e5 i5 i5"), 2);
        assert_eq!(count("i5 i5 e5 e5"), 2);
        assert_eq!(count("e1 e2 i1 i2 e# i#"), 3);
    }

    #[test]
    fn one_way_alone_works() {
        assert_eq!(count("e5 e5 e5"), 3);
        assert_eq!(count("i5 i5 i5"), 3);
    }

    #[test]
    fn presses_far_apart_are_not_paired() {
        assert_eq!(count("i5 . . . . . e5"), 2);
    }

    #[test]
    fn an_info_at_the_end_of_a_long_press_belongs_to_it() {
        assert_eq!(count("e5 . . . . . . . i5"), 1);
    }
}
