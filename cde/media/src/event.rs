//! The telephone-event payload (RFC 4733 section 2.3), and a sender of keys for softphones and tests.

use std::time::Duration;

/// The highest event code that is a key (RFC 4733 section 3.2: 0–9, `*`, `#`, A–D).
pub const KEY_CODE_MAX: u8 = 15;
/// Bytes of a payload.
pub const LENGTH: usize = 4;
/// How often the final packet of an event is sent (RFC 4733 section 2.5.1.4).
const FINAL_PACKETS: u8 = 3;
/// Samples between two packets of an event: 20 ms.
const UPDATE_SAMPLES: u32 = 160;
/// The longest that one segment can say; then the event goes on in a new one (RFC 4733 section 2.5.1.3).
const SEGMENT_SAMPLES: u32 = 0xffff;

/// One payload. No `Debug`: the code is a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyEvent {
    /// 0 to [`KEY_CODE_MAX`].
    pub code: u8,
    /// The E bit: the key has been let go.
    pub end: bool,
    /// In -dBm0, 0 to 63.
    pub volume: u8,
    /// In ticks of its clock, since the packet's timestamp.
    pub duration: u16,
}

impl KeyEvent {
    /// Reads a payload; none if it is too short or no key. More than four bytes are ignored.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [code, flags, high, low] = *payload.first_chunk::<LENGTH>()?;
        let duration = u16::from_be_bytes([high, low]);
        (code <= KEY_CODE_MAX).then_some(Self { code, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
    }

    /// Writes the payload.
    pub fn bytes(self) -> [u8; LENGTH] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, (u8::from(self.end) << 7) | (self.volume & 0x3f), high, low]
    }
}

/// The event code of a key's character: `0`–`9`, `*`, `#`, `A`–`D`.
pub fn code(key: u8) -> Option<u8> {
    match key {
        b'0'..=b'9' => Some(key - b'0'),
        b'*' => Some(10),
        b'#' => Some(11),
        b'A'..=b'D' => Some(key - b'A' + 12),
        b'a'..=b'd' => Some(key - b'a' + 12),
        _ => None,
    }
}

/// One packet that a sender of events sends.
pub struct EventPacket {
    /// When, since the key went down.
    pub after: Duration,
    /// The marker bit.
    pub marker: bool,
    /// To be added to the timestamp at which the key went down; more than zero in a later segment.
    pub timestamp_offset: u32,
    /// The payload.
    pub payload: [u8; LENGTH],
}

/// The packets of one key press: one every 20 ms, then the last one three times.
pub struct EventSender {
    code: u8,
    volume: u8,
    total: u32,
    elapsed: u32,
    segment: u32,
    ends: u8,
    segment_full: bool,
}

impl EventSender {
    /// A press of a key (its character) for a time; none if it is no key.
    pub fn new(key: u8, duration: Duration) -> Option<Self> {
        let code = code(key)?;
        Some(Self {
            code,
            volume: 10,
            total: crate::number::samples(duration).max(1),
            elapsed: 0,
            segment: 0,
            ends: 0,
            segment_full: false,
        })
    }

    fn packet(&self, end: bool, marker: bool) -> EventPacket {
        let duration = u16::try_from(self.elapsed - self.segment).unwrap_or(u16::MAX);
        let repeats = UPDATE_SAMPLES * u32::from(self.ends.saturating_sub(1));
        EventPacket {
            after: Duration::from_micros(u64::from(self.elapsed + repeats) * 125),
            marker,
            timestamp_offset: self.segment,
            payload: KeyEvent { code: self.code, end, volume: self.volume, duration }.bytes(),
        }
    }
}

impl Iterator for EventSender {
    type Item = EventPacket;

    fn next(&mut self) -> Option<EventPacket> {
        if self.ends >= FINAL_PACKETS {
            return None;
        }
        if self.segment_full {
            self.segment = self.elapsed;
            self.segment_full = false;
        }
        let first = self.elapsed == 0;
        self.elapsed = (self.elapsed + UPDATE_SAMPLES).min(self.total).min(self.segment + SEGMENT_SAMPLES);
        self.segment_full = self.elapsed - self.segment == SEGMENT_SAMPLES && self.elapsed < self.total;
        let end = self.elapsed == self.total;
        // The very first packet of a short key is not its end, so that the start is seen at once.
        let end = end && !(first && self.total > UPDATE_SAMPLES);
        self.ends += u8::from(end);
        Some(self.packet(end, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_survives_the_round_trip() {
        let event = KeyEvent { code: 11, end: true, volume: 13, duration: 0x1234 };
        assert_eq!(event.bytes(), [11, 0x8d, 0x12, 0x34]);
        assert!(KeyEvent::parse(&event.bytes()) == Some(event));
        assert!(KeyEvent::parse(&[1, 0, 0]).is_none() && KeyEvent::parse(&[16, 0, 0, 1]).is_none());
    }

    #[test]
    fn a_key_starts_with_the_marker_grows_and_ends_three_times() {
        let packets: Vec<EventPacket> = EventSender::new(b'5', Duration::from_millis(90)).unwrap().collect();
        let durations: Vec<u16> =
            packets.iter().map(|packet| u16::from_be_bytes([packet.payload[2], packet.payload[3]])).collect();
        assert_eq!(durations, [160, 320, 480, 640, 720, 720, 720]);
        assert_eq!(packets.iter().filter(|packet| packet.payload[1] & 0x80 != 0).count(), 3);
        assert!(packets[0].marker && packets[1..].iter().all(|packet| !packet.marker));
        let after: Vec<u128> = packets.iter().map(|packet| packet.after.as_millis()).collect();
        assert_eq!(after, [20, 40, 60, 80, 90, 110, 130]);
    }

    #[test]
    fn a_very_long_key_goes_on_in_a_new_segment() {
        let packets: Vec<EventPacket> = EventSender::new(b'#', Duration::from_secs(9)).unwrap().collect();
        let second = packets.iter().find(|packet| packet.timestamp_offset > 0).unwrap();
        assert_eq!((second.timestamp_offset, second.marker), (0xffff, false));
        assert!(packets.iter().any(|packet| packet.payload[2..] == [0xff, 0xff] && packet.payload[1] & 0x80 == 0));
        assert_eq!(packets.len(), 451 + 2);
    }
}
