//! What the caller sends: keys, and sound that passes on an open line only.

use super::{Session, relay};
use crate::coding::Samples;
use crate::g711;
use crate::inband::Toned;
use crate::interface::{Codec, Event, Remote, Side};
use crate::keys::{Identity, Sighting};
use crate::leg::{Arrived, Lock, Media, Order};
use crate::masking_enabled;
use crate::number::{RATE, ahead, sample, samples};
use crate::quiet::QUIET;
use crate::rtp::Header;
use card::Key;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The fewest packets that a whole key has: one in each 20 ms of the shortest key, 40 ms (Q.24), and the final one three
/// times (RFC 4733 section 2.5.1.4), the first of which is the second update. So a gap of three hides none.
const KEY_PACKETS_MIN: u32 = 4;
/// Packets of a gap that belong to a key that was down before it.
const FINAL_PACKETS: u32 = 3;
/// An INFO that says more is not believed.
const INFO_DURATION_MAX: Duration = Duration::from_secs(5);
/// Further back than this a timestamp in good order is of a clock that was set anew.
const CLOCK_SET_BACK: i32 = (60 * RATE).cast_signed();

/// Samples in which the open line comes in after a mask.
const FADE_IN: u8 = 80;

/// Nothing of the caller's stream that is older than this passes: it is of a time when the line was masked.
#[derive(Clone, Copy)]
pub(super) enum Barrier {
    /// In the clock of the stream that was heard before the opening.
    At { ssrc: u32, timestamp: u32 },
    /// Nothing was heard of the stream yet, so its first seconds may be of the masked time.
    Unheard,
}

impl Barrier {
    /// At the opening: where the newest packet ended, and the time since.
    pub(super) fn new(now: Instant, lock: Lock) -> Self {
        let since = samples(now.saturating_duration_since(lock.at));
        Self::At { ssrc: lock.ssrc, timestamp: lock.end.wrapping_add(since) }
    }

    fn heard(self, header: &Header) -> Self {
        let first_seconds = samples(QUIET);
        match self {
            Self::At { .. } => self,
            Self::Unheard => Self::At { ssrc: header.ssrc, timestamp: header.timestamp.wrapping_add(first_seconds) },
        }
    }

    fn stops(self, arrived: &Arrived<'_>) -> bool {
        let Self::At { ssrc, timestamp } = self else { return true };
        if arrived.in_other_clock {
            return true;
        }
        let behind = ahead(arrived.header.timestamp, timestamp);
        let clock_set_back = behind < -CLOCK_SET_BACK && arrived.order != Order::Late;
        arrived.header.ssrc == ssrc && behind < 0 && !clock_set_back
    }
}

impl Session {
    pub(super) fn handle_caller(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        let Some(arrived) = self.caller.accept(now, source, bytes) else { return };
        let Some(from) = self.caller.remote().copied() else { return };
        self.wake(now);
        let was_down = self.keys.is_down();
        if self.keys.handle_timeout(now, self.caller.packet_samples()) {
            self.disturb(now);
        }
        let sighting = match arrived.media {
            Media::Audio(..) => None,
            Media::Event(event) => Some(self.sight(now, &arrived, event)),
        };
        self.miss(now, &arrived, sighting, was_down, from.telephone_event.is_some());
        if let (Some(Sighting::Pressed), Media::Event(event)) = (sighting, &arrived.media) {
            self.event_key(now, event.code);
        }
        self.tones_that_waited(now);
        let mut sound = self.caller.hear(&arrived);
        if let Some(sound) = sound.as_mut().filter(|_| self.may_remember_keys()) {
            sound.without_traces();
        }
        self.listen(now, &arrived, sound.as_ref());
        self.pass(now, &from, &arrived, sound.as_mut());
        self.open_if_quiet(now);
    }

    /// A key by SIP INFO.
    pub(super) fn info_key(&mut self, now: Instant, key: u8, duration_ms: Option<u32>) {
        let Some(known) = Key::from_char(key) else { return };
        self.habits.infos = true;
        let down = Duration::from_millis(u64::from(duration_ms.unwrap_or_default())).min(INFO_DURATION_MAX);
        self.disturb(now + down);
        self.inband.paired(&known);
        if self.pairing.info(now, known) && !self.tones_alone {
            self.press(now, Key::from_char(key));
        }
    }

    fn sight(&mut self, now: Instant, arrived: &Arrived<'_>, event: crate::event::KeyEvent) -> Sighting {
        self.habits.events = true;
        let identity = identity(arrived);
        let sighting = self.keys.handle(now, identity, arrived.header.marker, event, self.mask.is_some());
        if sighting == Sighting::GoesOn && self.keys.is_down() {
            self.pairing.event_goes_on(now);
        }
        self.disturb(now);
        sighting
    }

    fn event_key(&mut self, now: Instant, code: u8) {
        let Some(key) = Key::from_event(code) else { return };
        self.inband.paired(&key);
        if self.pairing.event(now, key) && !self.tones_alone {
            self.press(now, Key::from_event(code));
        }
    }

    /// On an open line a key is only relayed, and counted.
    fn press(&mut self, now: Instant, key: Option<Key>) {
        match (&mut self.mask, key) {
            (Some(mask), Some(key)) => {
                mask.beep();
                self.event(Event::Key(key));
            }
            (None, Some(_)) if self.open_line.key(now) => self.event(Event::KeysOnOpenLine),
            _ => {}
        }
    }

    fn disturb(&mut self, until: Instant) {
        if let Some(mask) = &mut self.mask {
            mask.disturb(until);
        }
    }

    /// Says so when packets are missing among which a whole key may have been.
    fn miss(
        &mut self,
        now: Instant,
        arrived: &Arrived<'_>,
        sighting: Option<Sighting>,
        was_down: bool,
        negotiated: bool,
    ) {
        // A caller whose keys come by INFO only has none in the media.
        let sends_events = negotiated && (self.habits.events || !self.habits.infos);
        let hidden = match arrived.order {
            Order::Late => false,
            // Of a stream that was not heard from its beginning on nobody knows what is missing.
            Order::Anew => sends_events || arrived.is_successor,
            Order::Next { lost } => sends_events && self.hides_key(u32::from(lost), arrived, sighting, was_down),
        };
        // What is missing of events that count for nothing is no loss. What was keyed between two streams is one, however it was keyed.
        let counts = !self.tones_alone || arrived.is_successor;
        if self.mask.is_some() && counts && (hidden || sighting == Some(Sighting::Missed)) {
            self.disturb(now);
            self.event(Event::KeyLost);
        }
    }

    fn hides_key(&self, lost: u32, arrived: &Arrived<'_>, sighting: Option<Sighting>, was_down: bool) -> bool {
        let of_new_key = match (sighting, &arrived.media) {
            // One key before the gap and behind it: there was none within it.
            (Some(Sighting::GoesOn | Sighting::Late), _) => return false,
            (Some(_), Media::Event(event)) => u32::from(event.duration) / self.caller.packet_samples(),
            _ => 0,
        };
        let of_old_key = if was_down { FINAL_PACKETS } else { 0 };
        lost >= KEY_PACKETS_MIN + of_new_key.saturating_sub(1) + of_old_key
    }

    /// Is there a tone, and which? While masked also: is it suspicious, and is the caller still there?
    fn listen(&mut self, now: Instant, arrived: &Arrived<'_>, sound: Option<&Samples>) {
        if self.mask.is_some() {
            self.hear_masked(now, arrived, sound);
        }
        let packet = usize::try_from(self.caller.packet_samples()).unwrap_or_default();
        match arrived.order {
            Order::Next { lost } => self.inband.silence(usize::from(lost).saturating_mul(packet)),
            // It has its place where silence was heard.
            Order::Late => return,
            Order::Anew => self.inband.start_anew(),
        }
        match sound {
            None => self.inband.silence(packet),
            Some(sound) => self.hear(now, sound.as_slice()),
        }
    }

    /// A packet of sound, in its place. Two keys cannot be proved in one.
    fn hear(&mut self, now: Instant, samples: &[i16]) {
        if self.mask.as_ref().is_some_and(|mask| mask.natural.begins()) {
            self.inband.sound.align();
        }
        let (mut rest, mut found) = (samples, None);
        while !rest.is_empty() {
            let (taken, toned) = self.inband.hear(rest);
            found = toned.or(found);
            if taken.whole {
                self.hear_block(now);
            }
            rest = rest.get(taken.samples..).unwrap_or_default();
        }
        if let Some(toned) = found {
            self.tone(now, toned);
        }
    }

    /// A key in the sound. Where the caller's keys come by another way too, that one is waited for.
    fn tone(&mut self, now: Instant, mut toned: Toned) {
        toned.doubtful |= self.mask.as_ref().is_some_and(|mask| mask.agent_tones.is_echo(now, &toned.key));
        // Proof of a key that the gate has not even suspected: it does not work.
        if !toned.doubtful && self.mask.as_mut().is_some_and(|mask| mask.lets_a_key_through()) {
            self.event(Event::LeakSuspected);
        }
        self.disturb(now);
        if !self.pairing.tone(now, &toned.key) {
            return;
        }
        if self.habits.events || self.habits.infos {
            self.inband.wait(now, toned)
        } else {
            self.tone_counts(now, toned)
        }
    }

    pub(super) fn tones_that_waited(&mut self, now: Instant) {
        while let Some(toned) = self.inband.due(now) {
            self.tone_counts(now, toned);
        }
    }

    fn tone_counts(&mut self, now: Instant, toned: Toned) {
        self.pairing.tone_counts(now, &toned.key);
        if !toned.doubtful {
            self.habits.tones = true;
            self.press(now, Some(toned.key));
        } else if self.mask.is_some() {
            self.event(Event::KeyLost);
        }
    }

    /// Relays on an open line.
    fn pass(&mut self, now: Instant, from: &Remote, arrived: &Arrived<'_>, mut sound: Option<&mut Samples>) {
        if self.mask.is_some() && masking_enabled() {
            return;
        }
        if arrived.is_successor {
            // The barrier knows nothing of this stream, whose first packets may be of the masked time.
            self.barrier = self.barrier.map(|_| Barrier::Unheard);
        }
        if !arrived.in_other_clock {
            self.barrier = self.barrier.map(|barrier| barrier.heard(&arrived.header));
        }
        if self.is_of_masked_time(arrived) {
            self.caller.stats.late += 1;
            self.to_agent.leave_out(&arrived.header);
            return;
        }
        let Some(to) = self.agent.receiver().copied() else { return self.to_agent.detach() };
        let in_place = sound.as_deref_mut().filter(|_| matches!(arrived.order, Order::Next { .. }));
        let faded = in_place.is_some_and(|sound| self.fade_in(sound));
        let recoded = faded || self.may_remember_keys() || !self.to_agent.coding.takes(from.codec);
        if recoded && sound.is_none() && matches!(arrived.media, Media::Audio(..)) {
            return;
        }
        let made = sound.as_deref().filter(|_| recoded);
        let Some(packet) = relay(&mut self.to_agent, now, arrived, from, &to, made, true) else { return };
        self.caller.stats.relayed += 1;
        if let (Some(sound), Order::Next { .. }) = (sound, arrived.order) {
            self.hears_open(to.codec, packet.payload(), sound);
        }
        self.send(now, Side::Agent, &to, packet);
    }

    /// A coder with a memory never quite forgets what it has coded, and its codes tell of it: if what follows is known, as
    /// the silence of a phone is that mutes its microphone, a key could be guessed and the guess proved by them, however long
    /// it was ago. So such codes are not passed on any more once the line was masked.
    fn may_remember_keys(&self) -> bool {
        self.caller.keeps_state() && (self.was_masked || self.mask.is_some()) && masking_enabled()
    }

    /// The agent hears the caller as they are; only the first moment after a mask comes in softly. True if this is it.
    fn fade_in(&mut self, sound: &mut Samples) -> bool {
        let fades = std::mem::take(&mut self.fade_in);
        if fades {
            for (since, to) in (0_u8..FADE_IN).zip(sound.as_mut_slice()) {
                let part = f32::from(since) / f32::from(FADE_IN);
                *to = sample(f32::from(*to) * part + f32::from(self.last_heard) * (1.0 - part));
            }
        }
        fades
    }

    /// What was sent: by its codes where they are samples.
    fn hears_open(&mut self, codec: Codec, codes: &[u8], sound: &mut Samples) {
        let last = match codec {
            Codec::G711(law) => codes.last().map(|code| g711::decode(law, *code)),
            Codec::G722 | Codec::Opus => sound.as_slice().last().copied(),
        };
        self.last_heard = last.unwrap_or_default();
        if let Some(recorder) = &mut self.recorder {
            if let Codec::G711(law) = codec {
                sound.as_mut_slice().iter_mut().zip(codes).for_each(|(to, code)| *to = g711::decode(law, *code));
            }
            recorder.heard.push(sound.as_slice());
        }
    }

    fn is_of_masked_time(&self, arrived: &Arrived<'_>) -> bool {
        let key_of_masked_time = matches!(arrived.media, Media::Event(_)) && self.keys.began_masked(identity(arrived));
        masking_enabled() && (key_of_masked_time || self.barrier.as_ref().is_some_and(|barrier| barrier.stops(arrived)))
    }
}

pub(super) fn identity(arrived: &Arrived<'_>) -> Identity {
    Identity { ssrc: arrived.header.ssrc, timestamp: arrived.timestamp }
}
