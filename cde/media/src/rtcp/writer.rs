//! The writer of compounds: a report, the name, perhaps a goodbye.

use crate::srtp::RTCP_TRAILER_MAX;

use super::{Block, CNAME, GOODBYE, RECEIVER_REPORT, SENDER_REPORT, SOURCE_DESCRIPTION, Sender};

/// The longest that is written: a sender report with one block, the name, and a goodbye.
pub const COMPOUND_MAX: usize = 52 + 28 + 8;
/// Of every CNAME of ours.
pub const NAME_LENGTH: usize = 16;

/// What is to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who reports.
    pub ssrc: u32,
    /// Of the own stream, if there is one.
    pub sender: Option<Sender>,
    /// Of the peer's stream, if there is one.
    pub block: Option<Block>,
    /// CNAME.
    pub name: [u8; NAME_LENGTH],
    /// The last report.
    pub bye: bool,
}

/// A compound to send, of fixed size so that none is allocated.
#[derive(Clone, Debug)]
pub struct Compound {
    bytes: [u8; COMPOUND_MAX + RTCP_TRAILER_MAX],
    length: usize,
}

impl Compound {
    /// Writes a compound.
    pub fn new(report: &Report) -> Self {
        let mut compound = Self { bytes: [0; COMPOUND_MAX + RTCP_TRAILER_MAX], length: 0 };
        compound.report(report);
        compound.name(report);
        if report.bye {
            compound.head(1, GOODBYE, 1);
            compound.word(report.ssrc);
        }
        compound
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Lets SRTP have its way with the bytes; false if it could not.
    pub(crate) fn protect(&mut self, protect: impl FnOnce(&mut [u8], usize) -> Option<usize>) -> bool {
        let Some(length) = protect(&mut self.bytes, self.length) else { return false };
        self.length = length;
        true
    }

    fn report(&mut self, report: &Report) {
        let count = u8::from(report.block.is_some());
        let length = 1 + 6 * u16::from(count);
        match report.sender {
            Some(sender) => {
                self.head(count, SENDER_REPORT, length + 5);
                self.word(report.ssrc);
                let [a, b, c, d, e, f, g, h] = sender.ntp.to_be_bytes();
                self.word(u32::from_be_bytes([a, b, c, d]));
                self.word(u32::from_be_bytes([e, f, g, h]));
                [sender.timestamp, sender.packets, sender.octets].into_iter().for_each(|word| self.word(word));
            }
            None => {
                self.head(count, RECEIVER_REPORT, length);
                self.word(report.ssrc);
            }
        }
        if let Some(block) = report.block {
            let [_, a, b, c] = block.lost.to_be_bytes();
            let losses = u32::from_be_bytes([block.fraction_lost, a, b, c]);
            [block.ssrc, losses, block.highest, block.jitter, block.last_report, block.since_last_report]
                .into_iter()
                .for_each(|word| self.word(word));
        }
    }

    /// One chunk: type, length, text, and two zeros that end it on a whole word.
    fn name(&mut self, report: &Report) {
        self.head(1, SOURCE_DESCRIPTION, 6);
        self.word(report.ssrc);
        self.put(&[CNAME, 16]);
        self.put(&report.name);
        self.put(&[0, 0]);
    }

    /// The first word of a packet with so many more.
    fn head(&mut self, count: u8, kind: u8, words: u16) {
        let [high, low] = words.to_be_bytes();
        self.put(&[2 << 6 | count, kind, high, low]);
    }

    fn word(&mut self, word: u32) {
        self.put(&word.to_be_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
    }
}
