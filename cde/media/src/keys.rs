//! RFC 4733 events to key presses.
//!
//! A press is known by the SSRC and the timestamp of its packets. Its first packet counts, whatever packet that is; all
//! others say only whether the key is still down. The marker bit is not believed, but for telling a further segment of a
//! long press (section 2.5.1.3) from a new one.

use crate::event::KeyEvent;
use crate::interface::EventClock;
use crate::number::{ahead, samples};
use crate::pairing::same;
use card::Key;
use std::time::{Duration, Instant};

/// How many presses back a late packet is still recognized.
const REMEMBERED_MAX: usize = 16;
const _: () = assert!(REMEMBERED_MAX == 16, "a bit for each");
/// A segment of a long press that has no room left to grow.
const SEGMENT_FULL: u32 = 0xffff;
/// Some senders begin the next segment with the packet that would not fit any more: up to 60 ms earlier.
const SEGMENT_ROOM_SAMPLES: u32 = 480;
/// A press whose end was lost is over after this and three packet times.
const END_MISSING: Duration = Duration::from_millis(100);
const END_MISSING_PACKETS: u32 = 3;
/// A timestamp further back than this is of a clock that was set anew, not of a late packet.
const LATE_MAX_SAMPLES: i32 = 80_000;

/// Which press a packet belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) ssrc: u32,
    pub(crate) timestamp: u32,
}

/// What a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// A key has been pressed.
    Pressed,
    /// More of the press that is going on, or of one that ended last.
    GoesOn,
    /// A late packet of an earlier press that was counted.
    Late,
    /// A late packet of a press before the last one that was never seen: a key is missing, and its place has gone by.
    Missed,
}

/// The presses of one leg. Most calls have none, and so no room for them.
pub(crate) struct Keys {
    clock: EventClock,
    presses: Option<Box<Presses>>,
}

struct Presses {
    current: Option<Press>,
    seen: Seen,
}

/// The presses of late, the newest first; of one that was missed the place is the last. By bits is kept which places hold one, and in
/// which of them the line was masked when the press was first seen: the first place has the lowest.
struct Seen {
    identities: [Identity; REMEMBERED_MAX],
    known: u16,
    masked: u16,
}

struct Press {
    key: Key,
    identity: Identity,
    last_packet: Instant,
    /// Its end has been seen.
    ended: bool,
    /// Its end was waited for in vain.
    given_up: bool,
    /// Another key has come under its name.
    contradicted: bool,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { clock: EventClock::default(), presses: None }
    }

    /// Timestamps count in this clock from now on.
    pub(crate) fn set_clock(&mut self, clock: EventClock) {
        self.clock = clock;
    }

    pub(crate) fn handle(
        &mut self,
        now: Instant,
        identity: Identity,
        marker: bool,
        event: KeyEvent,
        masked: bool,
    ) -> Sighting {
        let presses = self.presses.get_or_insert_with(|| Box::new(Presses { current: None, seen: Seen::new() }));
        presses.handle(now, identity, marker, event, masked, self.clock)
    }

    /// A key is down, as far as is known.
    pub(crate) fn is_down(&self) -> bool {
        let current = self.presses.as_ref().and_then(|presses| presses.current.as_ref());
        current.is_some_and(|press| !press.ended && !press.given_up)
    }

    /// The press was first seen while the line was masked.
    pub(crate) fn began_masked(&self, identity: Identity) -> bool {
        let presses = self.presses.as_ref();
        presses.is_some_and(|presses| presses.seen.all().any(|(seen, masked)| seen == identity && masked))
    }

    /// Gives up waiting for a lost end. True when a press has just been closed so.
    pub(crate) fn handle_timeout(&mut self, now: Instant, packet_samples: u32) -> bool {
        let current = self.presses.as_mut().and_then(|presses| presses.current.as_mut());
        let Some(press) = current.filter(|press| !press.ended && !press.given_up) else { return false };
        let silent = samples(now.saturating_duration_since(press.last_packet));
        press.given_up = silent >= END_MISSING_PACKETS * packet_samples + samples(END_MISSING);
        press.given_up
    }
}

impl Presses {
    fn handle(
        &mut self,
        now: Instant,
        identity: Identity,
        marker: bool,
        event: KeyEvent,
        masked: bool,
        clock: EventClock,
    ) -> Sighting {
        if let Some(press) = self.current.as_mut().filter(|press| press.identity == identity) {
            press.packet(now, event.end);
            return press.agrees(event.code);
        }
        if self.remembers(identity) {
            return Sighting::Late;
        }
        let Some(key) = Key::from_event(event.code) else { return Sighting::Late };
        if self.newest().is_some_and(|newest| is_before(identity, newest, clock)) {
            self.seen.put(identity, masked, REMEMBERED_MAX - 1);
            return Sighting::Missed;
        }
        if let Some(press) = self.current.as_mut().filter(|press| !marker && press.continues_in(identity, &key, clock))
        {
            let began_masked = self.seen.newest().is_some_and(|(_, masked)| masked);
            press.identity = identity;
            press.packet(now, event.end);
            self.seen.put(identity, began_masked, 0);
            return Sighting::GoesOn;
        }
        let (ended, given_up, contradicted) = (event.end, false, false);
        self.current = Some(Press { key, identity, last_packet: now, ended, given_up, contradicted });
        self.seen.put(identity, masked, 0);
        Sighting::Pressed
    }

    fn newest(&self) -> Option<Identity> {
        self.seen.newest().map(|(identity, _)| identity)
    }

    fn remembers(&self, identity: Identity) -> bool {
        self.seen.all().any(|(seen, _)| seen == identity)
    }
}

impl Seen {
    fn new() -> Self {
        let nobody = Identity { ssrc: 0, timestamp: 0 };
        Self { identities: [nobody; REMEMBERED_MAX], known: 0, masked: 0 }
    }

    /// With whether the line was masked.
    fn all(&self) -> impl Iterator<Item = (Identity, bool)> {
        let is = |bits: u16, place: usize| bits >> place & 1 == 1;
        let known = self.identities.iter().enumerate().filter(move |(place, _)| is(self.known, *place));
        known.map(move |(place, identity)| (*identity, is(self.masked, place)))
    }

    fn newest(&self) -> Option<(Identity, bool)> {
        self.all().next().filter(|_| self.known & 1 == 1)
    }

    /// Puts an identity in its place; the one that is longest ago is forgotten.
    fn put(&mut self, identity: Identity, masked: bool, place: usize) {
        if let Some(tail) = self.identities.get_mut(place..) {
            tail.rotate_right(1);
            tail.iter_mut().take(1).for_each(|seen| *seen = identity);
            self.known = with_bit(self.known, place, true);
            self.masked = with_bit(self.masked, place, masked);
        }
    }
}

/// These bits with one more at a place, from which the others move up.
fn with_bit(bits: u16, place: usize, bit: bool) -> u16 {
    let before = (1_u16 << place) - 1;
    bits & before | (bits & !before) << 1 | u16::from(bit) << place
}

impl Press {
    fn packet(&mut self, now: Instant, end: bool) {
        self.last_packet = now;
        self.ended |= end;
        self.given_up = false;
    }

    /// Two keys cannot have the same timestamp: the second one is missing, and that is said once.
    fn agrees(&mut self, code: u8) -> Sighting {
        if self.contradicted || Key::from_event(code).is_none_or(|key| same(&self.key, &key)) {
            return Sighting::GoesOn;
        }
        self.contradicted = true;
        Sighting::Missed
    }

    /// Durations may count in 8 kHz where timestamps do not.
    fn continues_in(&self, identity: Identity, key: &Key, clock: EventClock) -> bool {
        let per_sample = u32::from(clock.per_sample());
        let grown = identity.timestamp.wrapping_sub(self.identity.timestamp);
        let room = if self.given_up { 0 } else { SEGMENT_ROOM_SAMPLES * per_sample };
        let is_full = |full: u32| (full - room..=full).contains(&grown);
        let full = is_full(SEGMENT_FULL) || is_full(SEGMENT_FULL * per_sample);
        full && !self.ended && self.identity.ssrc == identity.ssrc && same(&self.key, key)
    }
}

fn is_before(identity: Identity, newest: Identity, clock: EventClock) -> bool {
    let behind = -i64::from(ahead(identity.timestamp, newest.timestamp));
    identity.ssrc == newest.ssrc && behind > 0 && behind <= i64::from(LATE_MAX_SAMPLES) * i64::from(clock.per_sample())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use Sighting::{GoesOn, Late, Missed, Pressed};

    /// Some time; the tests of this crate may ask the clock once, here.
    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
    pub(crate) fn start() -> Instant {
        Instant::now()
    }

    struct Line {
        keys: Keys,
        now: Instant,
    }

    impl Line {
        fn new() -> Self {
            Self { keys: Keys::new(), now: start() }
        }

        fn packet(&mut self, timestamp: u32, code: u8, end: bool, marker: bool) -> Sighting {
            self.now += Duration::from_millis(20);
            let event = KeyEvent { code, end, volume: 0, duration: 160 };
            self.keys.handle(self.now, Identity { ssrc: 1, timestamp }, marker, event, true)
        }
    }

    #[test]
    fn the_first_packet_of_any_kind_counts_once() {
        let mut line = Line::new();
        assert_eq!(line.packet(1000, 5, false, true), Pressed);
        assert_eq!([(); 3].map(|()| line.packet(1000, 5, true, false)), [GoesOn; 3]);
        // An end alone is a key too, and its repetitions are none.
        assert_eq!(line.packet(3000, 5, true, false), Pressed);
        assert_eq!(line.packet(3000, 5, true, false), GoesOn);
        assert!(!line.keys.is_down());
    }

    #[test]
    fn the_marker_is_not_believed() {
        let mut line = Line::new();
        assert_eq!(line.packet(1000, 5, false, false), Pressed);
        assert_eq!(line.packet(1000, 5, false, true), GoesOn);
        assert_eq!(line.packet(1400, 5, false, false), Pressed);
    }

    #[test]
    fn a_late_end_of_an_older_key_is_ignored() {
        let mut line = Line::new();
        line.packet(1000, 5, false, true);
        line.packet(3000, 6, false, true);
        assert_eq!(line.packet(1000, 5, true, false), Late);
        assert!(line.keys.is_down(), "the newer key is still down");
    }

    #[test]
    fn a_key_that_comes_after_its_successor_is_missed_and_not_put_in_the_wrong_place() {
        let mut line = Line::new();
        line.packet(3000, 6, true, true);
        assert_eq!(line.packet(1000, 5, true, false), Missed);
        assert_eq!(line.packet(1000, 5, true, false), Late);
        assert_eq!(line.packet(5000, 7, true, true), Pressed);
    }

    #[test]
    fn a_full_segment_without_marker_goes_on() {
        let mut line = Line::new();
        line.packet(u32::MAX - 10, 9, false, true);
        assert_eq!(line.packet(u32::MAX.wrapping_add(0xffff - 10), 9, false, false), GoesOn);
        assert_eq!(line.packet(u32::MAX.wrapping_add(2 * 0xffff - 10), 9, false, true), Pressed);
        assert_eq!(line.packet(u32::MAX.wrapping_add(3 * 0xffff - 10), 8, false, false), Pressed);
    }

    #[test]
    fn an_ended_key_is_not_continued_by_a_segment() {
        let mut line = Line::new();
        line.packet(1000, 9, true, true);
        assert_eq!(line.packet(1000 + 0xffff, 9, false, false), Pressed);
    }

    #[test]
    fn a_missing_end_closes_the_key_after_three_packet_times_and_a_tenth() {
        let mut line = Line::new();
        line.packet(1000, 5, false, true);
        assert!(!line.keys.handle_timeout(line.now + Duration::from_millis(159), 160));
        assert!(line.keys.is_down());
        assert!(line.keys.handle_timeout(line.now + Duration::from_millis(160), 160));
        assert!(!line.keys.is_down());
        // It is down again when it turns out to go on, and still the same press.
        assert_eq!(line.packet(1000, 5, false, false), GoesOn);
        assert!(line.keys.is_down());
    }

    #[test]
    fn a_clock_set_far_back_is_a_new_beginning() {
        let mut line = Line::new();
        line.packet(1_000_000, 5, true, true);
        assert_eq!(line.packet(1000, 6, true, true), Pressed);
    }
}
