//! What comes on the port of a web page's sound before there is any.

use crate::{pieces, start};
use aws_lc_rs::hmac;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;
use webrtc::{Association, Certificate, Fingerprint, Hash, Output, Role, Terms};

const PIECES_MAX: usize = 50;
const PASSWORD: &str = "no input knows this password";
/// In a piece's first byte: what follows is a whole packet and no list of attributes.
const IS_PACKET: u8 = 0x80;
const REQUEST: [u8; 2] = [0x00, 0x01];
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;
/// An answer has no more than this beside what it was asked: where the peer was seen, an error, integrity, checksum.
const ANSWER_MORE: usize = 80;

/// Made once: that is slow.
static CERTIFICATE: OnceLock<Option<Certificate>> = OnceLock::new();

fn association(input: &[u8]) -> Option<Association> {
    let certificate = CERTIFICATE.get_or_init(|| Certificate::generate().ok()).clone()?;
    let terms = Terms {
        ufrag: "ours".to_owned(),
        password: PASSWORD.to_owned(),
        peer_ufrag: "theirs".to_owned(),
        fingerprint: Fingerprint { hash: Hash::Sha256, bytes: vec![7; 32] },
        role: if input.len().is_multiple_of(2) { Role::Client } else { Role::Server },
    };
    Some(Association::new(start(), certificate, terms))
}

/// Checks and handshakes of somebody who does not know the password: nothing is answered.
pub(crate) fn stun(input: &[u8]) {
    let mut now = start();
    let Some(mut association) = association(input) else { return };
    for (kind, bytes) in pieces(input).take(PIECES_MAX) {
        association.handle_packet(now, ([192, 0, 2, 1], 1000 + u16::from(kind & 3)).into(), bytes);
        now += Duration::from_millis(u64::from(kind));
        association.handle_timeout(now);
        while let Some(output) = association.poll_output() {
            assert!(matches!(output, Output::Failed(_)), "somebody without the password was answered");
        }
        assert!(association.keys().is_none(), "keys without a handshake");
    }
}

/// The same by the browser itself, which knows the password: each list of attributes is put into a check that is protected as it
/// must be. Whatever it says, it is answered where it came from, in a message that ends where it says, and there are no keys for who has
/// another certificate.
pub(crate) fn checks(input: &[u8]) {
    let mut now = start();
    let Some(mut association) = association(input) else { return };
    for (kind, bytes) in pieces(input).take(PIECES_MAX) {
        let from: SocketAddr = ([192, 0, 2, 1], 1000 + u16::from(kind & 3)).into();
        let packet = if kind & IS_PACKET != 0 { bytes.to_vec() } else { check(bytes) };
        association.handle_packet(now, from, &packet);
        now += Duration::from_millis(u64::from(kind & 0x7c) * 8);
        association.handle_timeout(now);
        while let Some(output) = association.poll_output() {
            let Output::Send { to, bytes } = output else {
                assert!(matches!(output, Output::Failed(_)), "a stranger's certificate was taken");
                continue;
            };
            assert!(to.ip() == from.ip(), "somebody who has not asked was answered");
            if bytes.first().is_some_and(|first| *first < 4) {
                assert!(to == from, "a check is answered where it came from");
                is_answer(&bytes, &packet);
            }
        }
        assert!(association.keys().is_none(), "keys without a handshake");
    }
}

fn is_answer(answer: &[u8], asked: &[u8]) {
    let says = answer.get(2..4).and_then(|length| length.try_into().ok()).map_or(0, u16::from_be_bytes);
    assert!(usize::from(says) + HEADER == answer.len(), "it ends where it says");
    assert!(matches!(answer.first_chunk(), Some([0x01, 0x01 | 0x11])), "it is an answer");
    assert!(answer.get(4..HEADER) == asked.get(4..HEADER), "of that transaction");
    assert!(
        answer.len() <= asked.len() + ANSWER_MORE,
        "who asks by another's address would send him more than he gives"
    );
}

/// A binding request of these attributes, with the user's name before them, integrity and checksum behind (RFC 8489 section 14).
fn check(attributes: &[u8]) -> Vec<u8> {
    let mut message = [REQUEST.as_slice(), &[0, 0], &COOKIE, &[9; 12]].concat();
    attribute(&mut message, 0x0006, b"ours:theirs");
    message.extend_from_slice(attributes);
    message.resize(message.len().next_multiple_of(4), 0);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, PASSWORD.as_bytes());
    set_length(&mut message, 24);
    let integrity = hmac::sign(&key, &message);
    attribute(&mut message, 0x0008, integrity.as_ref());
    set_length(&mut message, 8);
    let checksum = crc32(&message) ^ 0x5354_554e;
    attribute(&mut message, 0x8028, &checksum.to_be_bytes());
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// As if so many bytes followed.
fn set_length(message: &mut [u8], more: usize) {
    let length = u16::try_from(message.len() + more - HEADER).unwrap_or_default();
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else `checks` would try nothing.
    #[test]
    fn a_check_that_is_made_here_is_answered() {
        let mut association = association(&[]).expect("a certificate");
        let asked = check(&[0, 0x24, 0, 4, 0x6e, 0, 1, 0xff]);
        association.handle_packet(start(), ([192, 0, 2, 1], 1000).into(), &asked);
        let Some(Output::Send { bytes, .. }) = association.poll_output() else { panic!("no answer") };
        assert_eq!(bytes.first_chunk(), Some(&[0x01, 0x01]));
        is_answer(&bytes, &asked);
    }
}
