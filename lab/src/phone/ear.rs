//! What the phone receives, kept for whoever judges it: the sound, and every other way a key could have come.

use super::signal::{FRAME, from_alaw, from_ulaw};
use media::g711::Law;
use media::{Codec, Remote, rtcp};
use sip::Body;

/// Packets that are kept; half an hour.
const PACKETS_MAX: usize = 90_000;

/// All that was heard since the call began.
#[derive(Default)]
pub struct Ear {
    samples: Vec<i16>,
    packets: usize,
    events: Vec<(u32, u8)>,
    event_packets: usize,
    infos: usize,
    info_keys: String,
    strange: usize,
    reports: usize,
    payload_sizes: std::collections::BTreeSet<usize>,
}

impl Ear {
    /// The sound, packet after packet, 8 kHz.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// Sound packets.
    pub fn packets(&self) -> usize {
        self.packets
    }

    /// Telephone-event packets. On a masked leg there must be none.
    pub fn event_packets(&self) -> usize {
        self.event_packets
    }

    /// SIP INFOs. On a masked leg there must be none.
    pub fn infos(&self) -> usize {
        self.infos
    }

    /// The keys of the events, each press once.
    pub fn keys_by_event(&self) -> String {
        self.events.iter().map(|(_, key)| char::from(*key)).collect()
    }

    /// The keys that SIP INFOs named.
    pub fn keys_by_info(&self) -> &str {
        &self.info_keys
    }

    /// Packets that are neither sound nor events nor RTCP.
    pub fn strange(&self) -> usize {
        self.strange
    }

    /// RTCP; its figures are not kept.
    pub fn reports(&self) -> usize {
        self.reports
    }

    /// Sizes of sound packets that were seen.
    pub fn payload_sizes(&self) -> impl Iterator<Item = usize> {
        self.payload_sizes.iter().copied()
    }

    /// Every digit that could be told from what was heard since a sample: by our own detector and from events.
    pub fn digits_since(&self, sample: usize) -> String {
        let mut digits = media::tone::decode(self.samples.get(sample..).unwrap_or_default());
        digits.push_str(&self.keys_by_event());
        digits
    }

    pub(super) fn info(&mut self, body: &Body) {
        self.infos += 1;
        let text = String::from_utf8_lossy(body.as_bytes());
        let signal = text.lines().find_map(|line| line.strip_prefix("Signal="));
        // A request that names no key is counted all the same.
        self.info_keys.extend(signal.and_then(|signal| signal.trim().chars().next()));
    }

    pub(super) fn hear(&mut self, remote: &Remote, packet: &[u8]) {
        if rtcp::parse(packet, 0).is_ok() {
            self.reports += 1;
            return;
        }
        let [_, kind, _, _, t0, t1, t2, t3, _, _, _, _, payload @ ..] = packet else {
            self.strange += 1;
            return;
        };
        let payload_type = kind & 0x7F;
        if payload_type == remote.payload_type && self.packets < PACKETS_MAX {
            self.sound(remote.codec, payload);
        } else if Some(payload_type) == remote.telephone_event {
            self.event(u32::from_be_bytes([*t0, *t1, *t2, *t3]), payload);
        } else {
            self.strange += 1;
        }
    }

    fn sound(&mut self, codec: Codec, payload: &[u8]) {
        let decode = match codec {
            Codec::G711(Law::Mu) => from_ulaw,
            Codec::G711(Law::A) => from_alaw,
            Codec::G722 | Codec::Opus => return,
        };
        self.packets += 1;
        self.payload_sizes.insert(payload.len());
        self.samples.reserve(FRAME);
        self.samples.extend(payload.iter().map(|code| decode(*code)));
    }

    fn event(&mut self, timestamp: u32, payload: &[u8]) {
        self.event_packets += 1;
        let key = payload.first().and_then(|code| b"0123456789*#ABCD".get(usize::from(*code)));
        if let Some(key) = key
            && !self.events.contains(&(timestamp, *key))
        {
            self.events.push((timestamp, *key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_info_is_counted_and_its_key_is_kept() {
        let mut ear = Ear::default();
        for body in ["Signal=5\r\nDuration=160\r\n", "Signal= #\n", "no key"] {
            ear.info(&Body::from(body.as_bytes().to_vec()));
        }
        assert_eq!((ear.infos(), ear.keys_by_info()), (3, "5#"));
    }

    #[test]
    fn rtcp_is_nothing_strange_unless_it_only_looks_so() {
        let mut ear = Ear::default();
        let remote = Remote::g711(([127, 0, 0, 1], 9).into(), Law::Mu);
        ear.hear(&remote, &[0x80, 201, 0, 1, 0, 0, 0, 7]);
        assert_eq!((ear.reports(), ear.strange()), (1, 0));
        ear.hear(&remote, &[0x81, 201, 0, 1, 0, 0, 0, 7]);
        ear.hear(&remote, &[0x80, 201, 0, 9, 0, 0, 0, 7, 0, 0, 0, 0]);
        assert_eq!((ear.reports(), ear.strange(), ear.packets()), (1, 2, 0));
    }
}
