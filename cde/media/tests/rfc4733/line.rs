//! A secured line, events packet by packet, and what must be true of the agent leg in the end.

use crate::harness::{Call, EVENTS, ms, remote};
use media::{Command, Policy, Remote, Side};

/// Bytes of G.711 from one pulse of the strict mask to the next.
const SECOND: usize = 8000;
const PULSE: usize = 1600;
const SILENCE: u8 = 0xff;

/// One packet of an event, as a test words it.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) timestamp: u32,
    pub(crate) code: u8,
    /// E, R and the volume.
    pub(crate) flags: u8,
    pub(crate) duration: u16,
    pub(crate) marker: bool,
}

pub(crate) const END: u8 = 0x80;

impl Sent {
    pub(crate) fn payload(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, self.flags, high, low]
    }
}

pub(crate) struct Line {
    pub(crate) call: Call,
    /// What the agent had got when the line was secured.
    before: usize,
}

impl Line {
    pub(crate) fn secured() -> Self {
        Self::secured_with(remote(Side::Caller))
    }

    pub(crate) fn secured_with(caller: Remote) -> Self {
        let mut call = Call::new();
        call.command(Command::Connect { side: Side::Caller, remote: caller });
        call.caller_is_silent(ms(100));
        let mut line = Self::secure(call);
        line.silence(100);
        line
    }

    pub(crate) fn secure(mut call: Call) -> Self {
        let before = call.agent.got.len();
        call.command(Command::Secure { policy: Policy::Strict });
        Self { call, before }
    }

    pub(crate) fn silence(&mut self, time: u64) {
        self.call.caller_is_silent(ms(time));
    }

    /// The packets of a key held for 100 ms: four updates and three final ones.
    pub(crate) fn key(&mut self, key: u8) -> Vec<Vec<u8>> {
        self.call.caller.key(key, ms(100))
    }

    /// Where the caller's clock stands.
    pub(crate) fn timestamp(&self) -> u32 {
        self.call.caller.timestamp
    }

    /// A packet with the next number.
    pub(crate) fn event(&mut self, sent: Sent) -> Vec<u8> {
        self.payload(EVENTS, sent.marker, sent.timestamp, &sent.payload())
    }

    pub(crate) fn payload(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        self.call.caller.packet(payload_type, marker, timestamp, payload)
    }

    pub(crate) fn give(&mut self, packets: &[Vec<u8>]) {
        packets.iter().for_each(|bytes| self.call.caller_sends(bytes));
    }

    /// Makes and sends.
    pub(crate) fn send(&mut self, events: &[Sent]) {
        for sent in events {
            let bytes = self.event(*sent);
            self.call.caller_sends(&bytes);
        }
    }

    /// A key pressed as it should be, and a pause.
    pub(crate) fn press(&mut self, keys: &str) {
        self.call.caller_keys(keys);
    }

    /// The end: the agent has heard silence and a pulse each second, and nothing of the keys. Gives them; `!` is a lost one.
    pub(crate) fn keys(mut self) -> String {
        let keys = self.call.keys();
        self.silence(1300);
        assert_eq!(self.call.keys(), keys, "nothing more comes of it");
        let until = self.call.times("Opened").first().copied().unwrap_or(u64::MAX);
        let masked: Vec<_> = self.call.agent.got[self.before..].iter().filter(|got| got.at < until).collect();
        let generated = masked.iter().all(|got| got.header.payload_type == 0 && got.payload.len() == 160);
        assert!(generated, "the mask's own sound only");
        assert!(masked.windows(2).all(|pair| pair[1].at == pair[0].at + 20), "a packet each 20 ms");
        let heard: Vec<u8> = masked.iter().flat_map(|got| got.payload.clone()).collect();
        let (first, rest) = heard.split_at(SECOND.min(heard.len()));
        assert!(first.iter().all(|code| *code == SILENCE), "the mask's own sound only");
        for second in rest.chunks(SECOND) {
            let (pulse, silence) = second.split_at(PULSE.min(second.len()));
            let sounding = pulse.iter().filter(|code| **code != SILENCE).count();
            assert!(sounding * 10 > pulse.len() * 9 || pulse.len() < 160, "a pulse each second");
            assert!(pulse[..] == rest[..pulse.len()], "all of them the same");
            assert!(silence.iter().all(|code| *code == SILENCE), "the mask's own sound only");
        }
        assert!(self.call.times("LeakSuspected").is_empty());
        keys
    }
}
