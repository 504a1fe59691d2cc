//! Keys out of a capture of the network: RTP with G.711 and telephone-event, and SIP INFO, as the live session takes them.

use super::{DecodeError, Read, character};
use crate::decode::packets::{self, Datagram};
use media::g711::Law;
use media::{Codec, Command, Config, Event, EventClock, Output, Policy, Remote, Session, Side};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Payload types where no SDP in the capture says otherwise.
const PCMU: u8 = 0;
const PCMA: u8 = 8;
const TELEPHONE_EVENT: u8 = 101;
/// Streams of one capture that are followed.
const STREAMS_MAX: usize = 1_000;
/// After the last packet a key may still be waited for.
const AFTER: Duration = Duration::from_millis(500);

/// What an SDP says of the payload types at an address.
#[derive(Clone, Copy, Default)]
struct Types {
    pcmu: Option<u8>,
    pcma: Option<u8>,
    events: Option<u8>,
    event_clock: EventClock,
}

/// One direction between two addresses.
struct Stream {
    session: Session,
    keys: Vec<Read>,
}

/// Every key that was sent, each once. Of a call that was captured on both sides of a relay the keys are on two streams:
/// those of the stream with the most keys are given.
pub(super) fn keys(bytes: &[u8], base: Instant) -> Result<Vec<Read>, DecodeError> {
    let mut datagrams = packets::read(bytes)?;
    // Merged captures are not always in order.
    datagrams.sort_by_key(|datagram| datagram.at);
    let began = datagrams.first().map(|datagram| datagram.at).unwrap_or_default();
    let mut types = BTreeMap::new();
    let mut streams: BTreeMap<(SocketAddr, SocketAddr), Stream> = BTreeMap::new();
    for datagram in &datagrams {
        let now = base + datagram.at.saturating_sub(began);
        if let Some(text) = sip(datagram.payload) {
            describe(text, &mut types);
            if let Some(key) = info_key(text) {
                let sender = datagram.from.ip();
                for (_, stream) in streams.iter_mut().filter(|((from, _), _)| from.ip() == sender) {
                    stream.pass(now, base);
                    stream.session.handle_command(now, Command::InfoKey { key, duration_ms: None });
                    stream.drain(now, base);
                }
            }
            continue;
        }
        let place = (datagram.from, datagram.to);
        if !streams.contains_key(&place) {
            let known = types.get(&datagram.to).copied().unwrap_or_default();
            let Some(stream) = Stream::begin(now, datagram, known).filter(|_| streams.len() < STREAMS_MAX) else {
                continue;
            };
            streams.insert(place, stream);
        }
        if let Some(stream) = streams.get_mut(&place) {
            stream.pass(now, base);
            stream.session.handle_packet(now, Side::Caller, datagram.from, datagram.payload);
            stream.drain(now, base);
        }
    }
    let end = base + datagrams.last().map(|last| last.at.saturating_sub(began)).unwrap_or_default() + AFTER;
    streams.values_mut().for_each(|stream| stream.pass(end, base));
    Ok(streams.into_values().map(|stream| stream.keys).max_by_key(Vec::len).unwrap_or_default())
}

impl Stream {
    /// A stream, if its first packet is sound or an event as we know them.
    fn begin(now: Instant, first: &Datagram<'_>, types: Types) -> Option<Self> {
        let header = media::rtp::parse(first.payload).ok()?.header;
        let (pcmu, pcma) = (types.pcmu.unwrap_or(PCMU), types.pcma.unwrap_or(PCMA));
        let events = types.events.unwrap_or(TELEPHONE_EVENT);
        let (codec, payload_type) = match header.payload_type {
            kind if kind == pcma => (Codec::G711(Law::A), pcma),
            kind if kind == pcmu || kind == events => (Codec::G711(Law::Mu), pcmu),
            _ => return None,
        };
        let address = first.from;
        let (telephone_event, event_clock) = (Some(events), types.event_clock);
        let remote = Remote {
            address,
            rtcp: address,
            codec,
            payload_type,
            telephone_event,
            event_clock,
            sends: true,
            receives: false,
            learns_from: None,
        };
        let mut session = Session::new(now, Config { seed: [0; 32], record: false, hold: media::Hold::default() });
        session.handle_command(now, Command::Connect { side: Side::Caller, remote });
        // Only a masked line gives keys.
        session.handle_command(now, Command::Secure { policy: Policy::Strict });
        Some(Self { session, keys: Vec::new() })
    }

    /// Lets time pass.
    fn pass(&mut self, now: Instant, base: Instant) {
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= now) {
            self.session.handle_timeout(at);
            self.drain(at, base);
        }
    }

    fn drain(&mut self, now: Instant, base: Instant) {
        while let Some(output) = self.session.poll_output() {
            if let Output::Event(Event::Key(key)) = output {
                let at_ms = usize::try_from(now.saturating_duration_since(base).as_millis()).unwrap_or(usize::MAX);
                self.keys.push(Read { key: character(&key), at_ms });
            }
        }
    }
}

/// The text of a SIP message.
fn sip(payload: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(payload).ok()?;
    let first = text.lines().next()?;
    (first.starts_with("SIP/2.0 ") || first.ends_with(" SIP/2.0")).then_some(text)
}

/// The key of an INFO.
fn info_key(text: &str) -> Option<u8> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    if !head.starts_with("INFO ") {
        return None;
    }
    let signal = body.lines().find_map(|line| line.trim().strip_prefix("Signal="));
    match signal.unwrap_or(body).trim() {
        "10" => Some(b'*'),
        "11" => Some(b'#'),
        key => key.bytes().next().filter(|_| key.len() == 1),
    }
}

/// Takes note of the payload types that an SDP asks to be sent to its address.
fn describe(text: &str, types: &mut BTreeMap<SocketAddr, Types>) {
    let value = |prefix: &str| text.lines().find_map(|line| line.trim().strip_prefix(prefix));
    let ip = value("c=IN IP4 ").or(value("c=IN IP6 ")).and_then(|ip| ip.trim().parse().ok());
    let port = value("m=audio ").and_then(|media| media.split(' ').next()?.parse().ok());
    let (Some(ip), Some(port)) = (ip, port) else { return };
    let mut found = Types::default();
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("a=rtpmap:")) {
        let Some((number, encoding)) = line.split_once(' ') else { continue };
        let number = number.parse().ok();
        match encoding.to_ascii_lowercase().as_str() {
            "pcmu/8000" | "pcmu/8000/1" => found.pcmu = number,
            "pcma/8000" | "pcma/8000/1" => found.pcma = number,
            other => {
                let clock =
                    other.strip_prefix("telephone-event/").and_then(|hertz| EventClock::new(hertz.parse().ok()?));
                // Of several the one of the sound's clock.
                if let Some(clock) = clock.filter(|clock| found.events.is_none() || *clock == EventClock::default()) {
                    (found.events, found.event_clock) = (number, clock);
                }
            }
        }
    }
    types.insert(SocketAddr::new(ip, port), found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::{Press, Transport};

    /// A classic pcap file of Ethernet frames.
    #[derive(Default)]
    struct Pcap {
        bytes: Vec<u8>,
    }

    impl Pcap {
        fn new() -> Self {
            let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0];
            bytes.extend([1, 0, 0, 0]);
            Self { bytes }
        }

        fn put(&mut self, at_ms: u32, [from, to]: [(u8, u16); 2], payload: &[u8]) {
            let length = u16::try_from(payload.len() + UDP_BYTES).unwrap();
            let mut frame = vec![0; 12];
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((length + 20).to_be_bytes());
            frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, from.0, 10, 0, 0, to.0]);
            frame.extend([from.1, to.1, length, 0].iter().flat_map(|number| number.to_be_bytes()));
            frame.extend(payload);
            let size = u32::try_from(frame.len()).unwrap();
            let micros = (at_ms % 1000) * 1000;
            self.bytes
                .extend([1_000 + at_ms / 1000, micros, size, size].iter().flat_map(|number| number.to_le_bytes()));
            self.bytes.extend(frame);
        }
    }

    const UDP_BYTES: usize = 8;
    const CALLER: (u8, u16) = (1, 40_000);
    const US: (u8, u16) = (2, 10_000);

    /// What a phone sends that presses these keys.
    fn call(pressed: &str, transport: Transport, events: u8, sdp: &str) -> String {
        let mut pcap = Pcap::new();
        if !sdp.is_empty() {
            let answer = format!("SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n{sdp}");
            pcap.put(0, [(2, 5060), (1, 5060)], answer.as_bytes());
        }
        let (packets, infos) = crate::phone::pressed(pressed, Press::new(transport), events);
        for (packet, bytes) in packets {
            pcap.put(20 * packet + 100, [CALLER, US], &bytes);
        }
        for (packet, body) in infos {
            let info = format!("INFO sip:a@10.0.0.2 SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\n{body}");
            pcap.put(20 * packet + 101, [(1, 5060), (2, 5060)], info.as_bytes());
        }
        // The other side's silence.
        pcap.put(150, [US, CALLER], &[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]);
        keys(&pcap.bytes, now()).unwrap().iter().map(|read| read.key).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn keys_are_read_by_whatever_way_they_were_sent_each_once() {
        for transport in [Transport::Events, Transport::Info, Transport::EventsAndInfo, Transport::InBand] {
            assert_eq!(call("4012*#", transport, 101, ""), "4012*#", "{transport:?}");
        }
    }

    #[test]
    fn an_sdp_in_the_capture_names_the_payload_types() {
        let sdp = "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 10000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n";
        assert_eq!(call("55", Transport::Events, 96, sdp), "55");
        assert_eq!(call("55", Transport::Events, 96, ""), "", "96 is nothing without it");
    }

    #[test]
    fn telephone_event_may_have_a_clock_of_its_own() {
        let sdp = "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 10000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/48000\r\n";
        assert_eq!(call("55", Transport::Events, 96, sdp), "55");
        let both = format!("{sdp}a=rtpmap:97 telephone-event/8000\r\n");
        assert_eq!(call("55", Transport::Events, 97, &both), "55", "the one of the sound's clock is preferred");
    }

    #[test]
    fn what_is_cut_short_is_left_out() {
        let mut pcap = Pcap::new();
        pcap.put(0, [CALLER, US], &[0x80]);
        for length in 0..pcap.bytes.len() {
            // Neither a panic nor a key.
            let keys = keys(pcap.bytes.get(..length).unwrap(), now());
            assert!(keys.is_err() || keys.is_ok_and(|keys| keys.is_empty()));
        }
    }
}
