//! Messages and how they are spoilt.

use crate::dice::Dice;
use anyhow::{Context, ensure};
use std::path::Path;

/// Where the torture messages of RFC 4475 and RFC 5118 lie.
const MESSAGES: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../cde/sip/tests/rfc4475"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../cde/sip/tests/rfc5118"),
];
/// Longer ones are cut: a datagram holds no more.
const BYTES_MAX: usize = 60_000;
/// Pieces that mean something.
const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"@",
    b"%00",
    b"%",
    b"[",
    b"]",
    b" ",
    b"\t",
    b"SIP/2.0",
    b"Content-Length: 4294967296\r\n",
    b"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n",
    b"CSeq: 99999999999 INVITE\r\n",
];

/// An endless row of spoilt messages.
pub(super) struct Mutants {
    dice: Dice,
    messages: Vec<Vec<u8>>,
    made: u64,
}

impl Mutants {
    pub(super) fn new(dice: Dice) -> anyhow::Result<Self> {
        let mut messages = ordinary();
        for folder in MESSAGES {
            let files = std::fs::read_dir(folder).with_context(|| folder.to_owned())?;
            for file in files {
                let path = file?.path();
                if path.extension().is_some_and(|ending| ending == "dat") {
                    messages.push(read(&path)?);
                }
            }
        }
        // The order of a folder is the system's.
        messages.sort();
        ensure!(messages.len() > 50, "the torture messages are missing");
        Ok(Self { dice, messages, made: 0 })
    }

    pub(super) fn next(&mut self) -> Vec<u8> {
        self.made += 1;
        let mut message = self.dice.of(&self.messages).clone();
        if self.dice.pick(4) > 0 {
            message = fresh(&message, self.made);
        }
        for _ in 0..self.dice.pick(6) {
            self.spoil(&mut message);
        }
        message.truncate(BYTES_MAX);
        message
    }

    fn spoil(&mut self, message: &mut Vec<u8>) {
        let (dice, length) = (&mut self.dice, message.len().max(1));
        let at = dice.pick(length);
        let until = (at + dice.pick(40)).min(message.len());
        match dice.pick(9) {
            0 => message.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << dice.pick(8)),
            1 => drop(message.drain(at.min(until)..until)),
            2 => insert(message, at, dice.of::<&[u8]>(&PIECES)),
            3 => message.truncate(at),
            4 => double_line(message, at),
            5 => {
                let other = dice.of(&self.messages).clone();
                let from = dice.pick(other.len());
                insert(message, at, &other[from..(from + dice.pick(400)).min(other.len())]);
            }
            6 => blow_up_number(message, at, dice),
            7 => {
                let piece = message[at.min(until)..until].to_vec();
                insert(message, at, &piece.repeat(1 + dice.pick(200)));
            }
            _ => message.iter_mut().skip(at).take(1).for_each(|byte| *byte = dice.pick(256) as u8),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn insert(message: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let rest = message.split_off(at.min(message.len()));
    message.extend_from_slice(piece);
    message.extend_from_slice(&rest);
}

/// The line at this place, twice.
fn double_line(message: &mut Vec<u8>, at: usize) {
    let start = message[..at.min(message.len())].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let length = message[start..].iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = message[start..start + length].to_vec();
    insert(message, start, &line);
}

/// The next number from this place on becomes one that fits nowhere.
fn blow_up_number(message: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    let Some(start) = message.iter().skip(at).position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let length = message[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let numbers: [&[u8]; 6] = [b"0", b"-1", b"65536", b"4294967296", b"18446744073709551616", b"1e9"];
    message.splice(start..start + length, dice.of(&numbers).iter().copied());
}

/// As another call and transaction: without this most would be repetitions.
fn fresh(message: &[u8], number: u64) -> Vec<u8> {
    let mut fresh = Vec::with_capacity(message.len() + 40);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let name: Vec<u8> = line.iter().take(12).map(u8::to_ascii_lowercase).collect();
        if name.starts_with(b"call-id:") {
            fresh.extend_from_slice(format!("Call-ID: storm-{number}\r\n").as_bytes());
        } else if name.starts_with(b"via:") {
            fresh.extend_from_slice(
                format!("Via: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK-{number}\r\n").as_bytes(),
            );
        } else {
            fresh.extend_from_slice(line);
        }
    }
    fresh
}

/// A call as it should be, in its parts.
fn ordinary() -> Vec<Vec<u8>> {
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0 8 101\r\n\
               a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp-mux\r\na=sendrecv\r\n";
    let methods = [
        ("INVITE", "application/sdp", sdp),
        ("INFO", "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
        ("UPDATE", "application/sdp", sdp),
        ("OPTIONS", "", ""),
        ("BYE", "", ""),
        ("CANCEL", "", ""),
        ("ACK", "", ""),
        ("PRACK", "", ""),
        ("REFER", "", ""),
        ("REGISTER", "", ""),
    ];
    let request = |(method, kind, body): &(&str, &str, &str)| {
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        format!(
            "{method} sip:4420@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK-o\r\nMax-Forwards: 70\r\n\
             From: \"Caller\" <sip:0123@127.0.0.1>;tag=f\r\nTo: <sip:4420@127.0.0.1>\r\nCall-ID: ordinary\r\n\
             CSeq: 1 {method}\r\nContact: <sip:0123@127.0.0.1:9>\r\nSupported: timer, 100rel\r\nSession-Expires: 1800\r\n\
             Refer-To: <sip:1002@127.0.0.1>\r\nRAck: 1 1 INVITE\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    methods.iter().map(request).collect()
}
