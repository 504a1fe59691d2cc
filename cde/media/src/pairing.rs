//! One press that comes twice or three times, as an RFC 4733 event, as a SIP INFO and as a tone, is one key.
//!
//! Both orders of arrival are known: phones send the INFO while the key is down, right after it, or on a path that
//! overtakes the media. So each kind is paired with the oldest unpaired one of the other kind, one to one and key by
//! key. Nothing of them is delayed: whichever comes first counts. A tone is proved a little after the key went down, and
//! may be what was left over of a key that is sent as an event: it counts where neither of the others did.

use card::Key;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far an INFO and its event can be apart.
const APART_MAX: Duration = Duration::from_secs(2);
/// How far a tone may be proved after its event was last seen, or the event come after it.
const TONE_APART_MAX: Duration = Duration::from_millis(200);
/// How many presses of a kind may wait for the other kind; nobody presses so many in two seconds.
const UNPAIRED_MAX: usize = 32;

/// What came of late. Most calls press no key, so there is room for presses only while there are any.
pub(crate) struct Pairing(Option<Box<Presses>>);

/// Presses of the last two seconds that came by one way only.
#[derive(Default)]
struct Presses {
    events: Unpaired,
    infos: Unpaired,
    /// Tones that counted.
    tones: Unpaired,
    /// The newest event and INFO, counted or not, for the tones of the same press.
    last_event: Option<(Instant, Key)>,
    last_info: Option<(Instant, Key)>,
    /// The last of `events` is the press that is going on.
    event_waits: bool,
}

impl Pairing {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// An event has begun. True if this press has not been counted yet.
    pub(crate) fn event(&mut self, now: Instant, key: Key) -> bool {
        self.presses().event(now, key)
    }

    /// A tone was proved. True if its press has come by no other way; it is to be [`counted`](Self::tone_counts) then.
    pub(crate) fn tone(&self, now: Instant, key: &Key) -> bool {
        self.0.as_ref().is_none_or(|presses| presses.tone(now, key))
    }

    /// A tone is counted as a press.
    pub(crate) fn tone_counts(&mut self, now: Instant, key: &Key) {
        if let Some(key) = copy(key) {
            self.presses().tones.push(now, key);
        }
    }

    /// The event is still going on, so that an INFO at the end of a long press belongs to it.
    pub(crate) fn event_goes_on(&mut self, now: Instant) {
        if let Some(presses) = &mut self.0 {
            presses.event_goes_on(now);
        }
    }

    /// An INFO has come. True if this press has not been counted yet.
    pub(crate) fn info(&mut self, now: Instant, key: Key) -> bool {
        self.presses().info(now, key)
    }

    /// Forgets, and so wipes, what is too old to be paired.
    pub(crate) fn forget(&mut self, now: Instant) {
        self.0.take_if(|presses| {
            presses.forget(now);
            presses.are_none()
        });
    }

    fn presses(&mut self) -> &mut Presses {
        self.0.get_or_insert_default()
    }
}

impl Presses {
    fn event(&mut self, now: Instant, key: Key) -> bool {
        let paired = self.infos.take(now, &key, APART_MAX);
        let toned = self.tones.take(now, &key, TONE_APART_MAX);
        self.last_event = copy(&key).map(|key| (now, key));
        if !paired {
            self.events.push(now, key);
        }
        self.event_waits = !paired;
        !paired && !toned
    }

    fn tone(&self, now: Instant, key: &Key) -> bool {
        let is = |last: &Option<(Instant, Key)>, apart: Duration| {
            last.as_ref().is_some_and(|(at, other)| same(key, other) && now.saturating_duration_since(*at) <= apart)
        };
        !is(&self.last_event, TONE_APART_MAX) && !is(&self.last_info, APART_MAX)
    }

    fn event_goes_on(&mut self, now: Instant) {
        if let Some((at, _)) = &mut self.last_event {
            *at = now;
        }
        if self.event_waits
            && let Some((at, _)) = self.events.0.back_mut()
        {
            *at = now;
        }
    }

    fn info(&mut self, now: Instant, key: Key) -> bool {
        let waiting = self.events.0.len();
        let paired = self.events.take(now, &key, APART_MAX);
        let toned = self.tones.take(now, &key, APART_MAX);
        // The press that is going on is the last; when it has gone, nothing of `events` may be touched for it.
        self.event_waits &= self.events.0.len() == waiting;
        self.last_info = copy(&key).map(|key| (now, key));
        if !paired {
            self.infos.push(now, key);
        }
        !paired && !toned
    }

    fn forget(&mut self, now: Instant) {
        self.events.forget(now);
        self.infos.forget(now);
        self.tones.forget(now);
        for last in [&mut self.last_event, &mut self.last_info] {
            if last.as_ref().is_some_and(|(at, _)| now.saturating_duration_since(*at) > APART_MAX) {
                *last = None;
            }
        }
        self.event_waits &= !self.events.0.is_empty();
    }

    fn are_none(&self) -> bool {
        let lists = [&self.events, &self.infos, &self.tones];
        lists.iter().all(|list| list.0.is_empty()) && self.last_event.is_none() && self.last_info.is_none()
    }
}

/// The oldest first.
#[derive(Default)]
struct Unpaired(VecDeque<(Instant, Key)>);

impl Unpaired {
    fn push(&mut self, now: Instant, key: Key) {
        if self.0.len() == UNPAIRED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, key));
    }

    /// Takes the oldest press of this key out, if there is one.
    fn take(&mut self, now: Instant, key: &Key, apart: Duration) -> bool {
        self.forget(now);
        let near = |at: &Instant| now.saturating_duration_since(*at) <= apart;
        let found = self.0.iter().position(|(at, other)| near(at) && same(key, other));
        found.and_then(|place| self.0.remove(place)).is_some()
    }

    fn forget(&mut self, now: Instant) {
        self.0.retain(|(at, _)| now.saturating_duration_since(*at) <= APART_MAX);
    }
}

/// The same key once more, for the other list in which it waits.
fn copy(key: &Key) -> Option<Key> {
    match key {
        Key::Digit(digit) => digit.expose(card::Digit::new).map(Key::Digit),
        Key::Star => Some(Key::Star),
        Key::Pound => Some(Key::Pound),
        Key::Letter => Some(Key::Letter),
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

    /// Counts the keys of a text of presses: `e5` an event, `i5` an INFO, `t5` a tone, `.` half a second (in which an event
    /// goes on), `,` a twentieth of a second.
    fn count(text: &str) -> usize {
        let mut now = crate::keys::tests::start();
        let mut pairing = Pairing::new();
        let mut keys = 0;
        for press in text.split_whitespace() {
            now += Duration::from_millis(match press {
                "." => 500,
                "," => 50,
                _ => 1,
            });
            let key = || Key::from_char(press.as_bytes()[1]).unwrap();
            keys += usize::from(match press.as_bytes()[0] {
                b'e' => pairing.event(now, key()),
                b'i' => pairing.info(now, key()),
                b't' => {
                    let fresh = pairing.tone(now, &key());
                    if fresh {
                        pairing.tone_counts(now, &key());
                    }
                    fresh
                }
                b',' => false,
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
    fn a_tone_of_the_same_press_is_no_other_key_in_any_order() {
        for text in
            ["e5 t5", "t5 e5", "i5 t5", "t5 i5", "e5 i5 t5", "t5 e5 i5", "t5 i5 e5", "i5 t5 e5", "e5 t5 i5", "i5 e5 t5"]
        {
            assert_eq!(count(text), 1, "{text}");
        }
        assert_eq!(count("e5 t5 i5 , , , e5 t5 i5"), 2);
        assert_eq!(count("t5 e5 , , , , , t5 e5"), 2);
        assert_eq!(count("e5 . . . t5"), 1, "the event goes on");
    }

    #[test]
    fn tones_alone_count_each() {
        assert_eq!(count("t5 , , t5 , , t6"), 3);
        assert_eq!(count("e4 t5"), 2, "another key");
        assert_eq!(count("e5 , , , , , , t5"), 2, "long after the event has ended");
        assert_eq!(count("t5 , , , , , , e5"), 2);
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
