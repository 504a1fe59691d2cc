//! What the phone sends: voice, and keys by whatever way it is told.

use super::signal::{FRAME, Tone, Voice, frame, to_alaw, to_ulaw};
use media::g711::Law;
use media::{Codec, Remote};
use std::collections::VecDeque;

/// How keys travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RFC 4733 telephone-event.
    Events,
    /// SIP INFO.
    Info,
    /// Both for each key, as some phones do.
    EventsAndInfo,
    /// Tones in the audio.
    InBand,
}

/// How keys are pressed.
#[derive(Clone, Copy, Debug)]
pub struct Press {
    /// By which way.
    pub transport: Transport,
    /// How long each is held, in 20 ms packets.
    pub on_packets: u16,
    /// The pause after each, in packets.
    pub off_packets: u16,
    /// Level of each of the two tones, for keys in the audio.
    pub level_dbm0: f64,
}

impl Press {
    /// An unhurried finger: 120 ms, then 180 ms.
    pub fn new(transport: Transport) -> Self {
        Self { transport, on_packets: 6, off_packets: 9, level_dbm0: -9.0 }
    }
}

/// Times that an event's last packet is sent (RFC 4733 section 2.5.1.4).
const END_PACKETS: u16 = 3;
/// Volume of an event, in −dBm0.
const EVENT_VOLUME: u8 = 10;
const RTP_HEADER: usize = 12;

struct Sounding {
    key: u8,
    press: Press,
    packet: u16,
    /// RTP time at which the key began.
    began: u32,
    tone: Option<Tone>,
}

/// What it says while no key sounds.
enum Speech {
    Voice(Voice),
    /// These samples, again and again, and the place that they are at.
    Sound(Vec<i16>, usize),
}

impl Speech {
    fn next_sample(&mut self) -> f64 {
        match self {
            Self::Voice(voice) => voice.next_sample(),
            Self::Sound(samples, at) => {
                let sample = samples.get(*at).copied().unwrap_or(0);
                *at = (*at + 1) % samples.len().max(1);
                f64::from(sample)
            }
        }
    }
}

pub(super) struct Mouth {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    speech: Option<Speech>,
    queue: VecDeque<(u8, Press)>,
    sounding: Option<Sounding>,
    info: Option<(String, Vec<u8>)>,
}

impl Mouth {
    pub(super) fn new(ssrc: u32, speaks: bool) -> Self {
        let [a, b, ..] = ssrc.to_be_bytes();
        Self {
            ssrc,
            sequence: u16::from_be_bytes([a, b]) & 0x7FFF,
            timestamp: ssrc.rotate_left(7),
            speech: speaks.then(|| Speech::Voice(Voice::new())),
            queue: VecDeque::new(),
            sounding: None,
            info: None,
        }
    }

    pub(super) fn press(&mut self, keys: &str, press: Press) {
        self.queue.extend(keys.bytes().map(|key| (key, press)));
    }

    pub(super) fn is_keying(&self) -> bool {
        self.sounding.is_some() || !self.queue.is_empty()
    }

    pub(super) fn speak(&mut self, speaks: bool) {
        self.speech = speaks.then(|| Speech::Voice(Voice::new()));
    }

    pub(super) fn say(&mut self, samples: Vec<i16>) {
        self.speech = Some(Speech::Sound(samples, 0));
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.sounding = None;
        // Or the last key of one call would be the first one of the next.
        self.info = None;
    }

    /// An INFO that is due with this packet.
    pub(super) fn info_due(&mut self) -> Option<(String, Vec<u8>)> {
        self.info.take()
    }

    /// What goes out in this packet time; more than one packet only where a key ends.
    pub(super) fn packets(&mut self, remote: &Remote) -> Vec<Vec<u8>> {
        if self.sounding.is_none() {
            self.begin_key();
        }
        let packets = match &self.sounding {
            Some(sounding) => self.key_packets(remote, sounding.packet, sounding.press),
            None => vec![self.audio(remote)],
        };
        self.timestamp = self.timestamp.wrapping_add(160);
        let over = self.sounding.as_mut().is_some_and(|sounding| {
            sounding.packet += 1;
            sounding.packet >= sounding.press.on_packets + sounding.press.off_packets
        });
        if over {
            self.sounding = None;
        }
        packets
    }

    fn begin_key(&mut self) {
        let Some((key, press)) = self.queue.pop_front() else { return };
        let tone = if press.transport == Transport::InBand { Tone::new(key, press.level_dbm0) } else { None };
        self.sounding = Some(Sounding { key, press, packet: 0, began: self.timestamp, tone });
    }

    fn key_packets(&mut self, remote: &Remote, packet: u16, press: Press) -> Vec<Vec<u8>> {
        let events = matches!(press.transport, Transport::Events | Transport::EventsAndInfo);
        let info = matches!(press.transport, Transport::Info | Transport::EventsAndInfo);
        if info && packet == press.on_packets {
            self.info =
                self.sounding.as_ref().map(|sounding| info_body(sounding.key, u32::from(press.on_packets) * 20));
        }
        match remote.telephone_event.filter(|_| events) {
            Some(payload_type) if packet < press.on_packets => vec![self.event(payload_type, packet, false)],
            // The last report of the event, three times, and the audio of this packet time.
            Some(payload_type) if packet == press.on_packets => {
                let mut packets: Vec<_> = (0..END_PACKETS).map(|_| self.event(payload_type, packet, true)).collect();
                packets.push(self.audio(remote));
                packets
            }
            _ => vec![self.audio(remote)],
        }
    }

    fn event(&mut self, payload_type: u8, packet: u16, end: bool) -> Vec<u8> {
        let Some(sounding) = &self.sounding else { return Vec::new() };
        let duration = if end { packet } else { packet + 1 }.saturating_mul(160);
        let code = b"0123456789*#ABCD".iter().position(|known| *known == sounding.key);
        let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0);
        let (began, first) = (sounding.began, packet == 0);
        let [high, low] = duration.to_be_bytes();
        let volume = EVENT_VOLUME | if end { 0x80 } else { 0 };
        self.rtp(payload_type, first, began, &[code, volume, high, low])
    }

    fn audio(&mut self, remote: &Remote) -> Vec<u8> {
        let sounding = self.sounding.as_mut().filter(|sounding| sounding.packet < sounding.press.on_packets);
        let samples = match (sounding, &mut self.speech) {
            (Some(Sounding { tone: Some(tone), .. }), _) => frame(|| tone.next_sample()),
            (None, Some(speech)) => frame(|| speech.next_sample()),
            _ => [0; FRAME],
        };
        // It speaks G.711 alone.
        let encode = if remote.codec == Codec::G711(Law::A) { to_alaw } else { to_ulaw };
        self.rtp(remote.payload_type, false, self.timestamp, &samples.map(encode))
    }

    fn rtp(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(RTP_HEADER + payload.len());
        packet.extend([0x80, payload_type | if marker { 0x80 } else { 0 }]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }
}

pub(super) fn info_body(key: u8, duration_ms: u32) -> (String, Vec<u8>) {
    let text = format!("Signal={}\r\nDuration={duration_ms}\r\n", char::from(key));
    ("application/dtmf-relay".to_owned(), text.into_bytes())
}

#[cfg(test)]
type Timed<T> = Vec<(u32, T)>;

/// What a phone sends that presses these keys: RTP packets and bodies of INFO, each with the number of its packet time.
#[cfg(test)]
pub(crate) fn pressed(keys: &str, press: Press, events: u8) -> (Timed<Vec<u8>>, Timed<String>) {
    let address = ([10, 0, 0, 2], 10_000).into();
    let remote = Remote { telephone_event: Some(events), ..Remote::g711(address, Law::Mu) };
    let mut mouth = Mouth::new(0x0102_0304, false);
    mouth.press(keys, press);
    let (mut packets, mut infos) = (Vec::new(), Vec::new());
    let (mut time, mut silent) = (0, 0);
    while silent < 20 {
        packets.extend(mouth.packets(&remote).into_iter().map(|packet| (time, packet)));
        infos.extend(mouth.info_due().map(|(_, body)| (time, String::from_utf8_lossy(&body).into_owned())));
        time += 1;
        silent = if mouth.is_keying() { 0 } else { silent + 1 };
    }
    (packets, infos)
}
