//! Connectivity checks: the requests of a browser, and our answers (RFC 8489, RFC 8445 section 7).

use aws_lc_rs::hmac;
use std::net::{IpAddr, SocketAddr};

const HEADER_BYTES: usize = 20;
/// A larger one is no check.
const MESSAGE_BYTES_MAX: usize = 1280;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
/// From here on an attribute need not be understood (RFC 8489 section 14).
const OPTIONAL: u16 = 0x8000;

const INTEGRITY_BYTES: usize = 20;
/// An attribute's type and length.
const ATTRIBUTE_BYTES: usize = 4;
/// What the checksum is crossed with (RFC 8489 section 14.7).
const FINGERPRINT_CROSS: u32 = 0x5354_554e;

/// A check that shows our password.
#[derive(Debug)]
pub(crate) struct Request {
    transaction: [u8; 12],
    /// The peer has chosen the pair of addresses that it came by.
    pub(crate) is_nominating: bool,
    /// The peer takes itself for the one that does not choose. So are we: one of both is wrong, and it is not us.
    pub(crate) is_controlled: bool,
    /// What it demands that we understand and we do not.
    pub(crate) unknown: Vec<u16>,
}

/// What was read on the way to the end.
#[derive(Default)]
struct Read<'a> {
    username: Option<&'a [u8]>,
    is_nominating: bool,
    is_controlled: bool,
    unknown: Vec<u16>,
    /// Where the integrity's attribute begins, and its value.
    integrity: Option<(usize, &'a [u8])>,
    fingerprint: Option<(usize, &'a [u8])>,
}

/// Reads a request with this user name, `ours:theirs`, and protected by this password. None for everything else: who does not
/// know the password is told nothing.
pub(crate) fn request(bytes: &[u8], username: &str, password: &str) -> Option<Request> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    let [t1, t0, l1, l0, c3, c2, c1, c0, transaction @ ..] = *header;
    let length = usize::from(u16::from_be_bytes([l1, l0]));
    let is_request = u16::from_be_bytes([t1, t0]) == BINDING_REQUEST && [c3, c2, c1, c0] == COOKIE;
    if !is_request || length + HEADER_BYTES != bytes.len() || length % 4 != 0 || bytes.len() > MESSAGE_BYTES_MAX {
        return None;
    }
    let read = read(bytes)?;
    // The cheapest first: who does not know the name costs us no sums.
    if read.username? != username.as_bytes() {
        return None;
    }
    let (at, checksum) = read.fingerprint?;
    if checksum != (crc32(bytes.get(..at)?) ^ FINGERPRINT_CROSS).to_be_bytes() {
        return None;
    }
    let (at, integrity) = read.integrity?;
    if !is_authentic(bytes, at, integrity, password) {
        return None;
    }
    let Read { is_nominating, is_controlled, unknown, .. } = read;
    Some(Request { transaction, is_nominating, is_controlled, unknown })
}

/// Behind the integrity only the fingerprint is looked at, and that is the last.
fn read(bytes: &[u8]) -> Option<Read<'_>> {
    let mut read = Read::default();
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        let [t1, t0, l1, l0] = *bytes.get(at..)?.first_chunk()?;
        let (kind, length) = (u16::from_be_bytes([t1, t0]), usize::from(u16::from_be_bytes([l1, l0])));
        let value = bytes.get(at + ATTRIBUTE_BYTES..)?.get(..length)?;
        let next = at + ATTRIBUTE_BYTES + length.next_multiple_of(4);
        match (kind, read.integrity.is_some()) {
            (FINGERPRINT, _) if next == bytes.len() => read.fingerprint = Some((at, value)),
            (_, true) => {}
            (MESSAGE_INTEGRITY, _) => read.integrity = Some((at, value)),
            (USERNAME, _) => read.username = read.username.or(Some(value)),
            (USE_CANDIDATE, _) => read.is_nominating = true,
            (ICE_CONTROLLED, _) => read.is_controlled = true,
            (PRIORITY, _) | (OPTIONAL.., _) => {}
            (unknown, _) => read.unknown.push(unknown),
        }
        at = next;
    }
    (at == bytes.len()).then_some(read)
}

/// The HMAC is over what stands before it, with a length as if it were the last (RFC 8489 section 14.5).
fn is_authentic(bytes: &[u8], at: usize, integrity: &[u8], password: &str) -> bool {
    let Some((head, length)) = signed_part(bytes, at) else { return false };
    let mut signed = head.to_vec();
    set_length(&mut signed, length);
    integrity.len() == INTEGRITY_BYTES && hmac::verify(&key(password), &signed, integrity).is_ok()
}

fn signed_part(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    Some((bytes.get(..at)?, (at + ATTRIBUTE_BYTES + INTEGRITY_BYTES).checked_sub(HEADER_BYTES)?))
}

fn key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// Tells a peer where it was seen (RFC 8489 section 14.2).
pub(crate) fn success(request: &Request, seen: SocketAddr, password: &str) -> Vec<u8> {
    let mut message = begin(BINDING_SUCCESS, request);
    let cross = [COOKIE.as_slice(), &request.transaction].concat();
    let port = seen.port() ^ u16::from_be_bytes([0x21, 0x12]);
    let (family, address) = match seen.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut value = vec![0, family];
    value.extend_from_slice(&port.to_be_bytes());
    value.extend(address.iter().zip(&cross).map(|(byte, cross)| byte ^ cross));
    attribute(&mut message, XOR_MAPPED_ADDRESS, &value);
    finish(message, password)
}

/// We are the one that does not choose (RFC 8445 section 7.3.1.1).
pub(crate) fn role_conflict(request: &Request, password: &str) -> Vec<u8> {
    let mut message = begin(BINDING_ERROR, request);
    attribute(&mut message, ERROR_CODE, &[&[0, 0, 4, 87][..], b"Role Conflict"].concat());
    finish(message, password)
}

/// It demands what we do not know (RFC 8489 section 6.3.1).
pub(crate) fn unknown_attributes(request: &Request, password: &str) -> Vec<u8> {
    let mut message = begin(BINDING_ERROR, request);
    attribute(&mut message, ERROR_CODE, &[&[0, 0, 4, 20][..], b"Unknown Attribute"].concat());
    let unknown: Vec<u8> = request.unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
    attribute(&mut message, UNKNOWN_ATTRIBUTES, &unknown);
    finish(message, password)
}

fn begin(kind: u16, request: &Request) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 0]);
    message.extend_from_slice(&COOKIE);
    message.extend_from_slice(&request.transaction);
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// Integrity, then fingerprint; each is over a message that says it ends with it.
fn finish(mut message: Vec<u8>, password: &str) -> Vec<u8> {
    let attributes = message.len() - HEADER_BYTES;
    set_length(&mut message, attributes + ATTRIBUTE_BYTES + INTEGRITY_BYTES);
    let integrity = hmac::sign(&key(password), &message);
    attribute(&mut message, MESSAGE_INTEGRITY, integrity.as_ref());
    let attributes = message.len() - HEADER_BYTES;
    set_length(&mut message, attributes + ATTRIBUTE_BYTES + 4);
    let checksum = crc32(&message) ^ FINGERPRINT_CROSS;
    attribute(&mut message, FINGERPRINT, &checksum.to_be_bytes());
    message
}

fn set_length(message: &mut [u8], length: usize) {
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&u16::try_from(length).unwrap_or_default().to_be_bytes());
    }
}

/// CRC-32 as ITU V.42 has it (RFC 8489 section 14.7).
fn crc32(bytes: &[u8]) -> u32 {
    #[cfg(test)]
    tests::SUMS.with(|sums| sums.set(sums.get() + 1));
    let of_byte = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(u32::MAX, of_byte)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// RFC 5769 section 2.1.
    const SAMPLE: &str = "0001005821 12a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff\
                          80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249\
                          c1b571a280280004e57a3bcf";
    const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

    thread_local! {
        /// Checksums that were made.
        pub(crate) static SUMS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
    }

    /// A check as a browser makes it.
    pub(crate) fn check(username: &str, password: &str, nominating: bool, more: &[u16]) -> Vec<u8> {
        let of = Request { transaction: [9; 12], is_nominating: false, is_controlled: false, unknown: Vec::new() };
        let mut message = begin(BINDING_REQUEST, &of);
        attribute(&mut message, USERNAME, username.as_bytes());
        attribute(&mut message, 0xc057, &[0, 1, 0, 10]);
        attribute(&mut message, 0x802a, &[7; 8]);
        attribute(&mut message, PRIORITY, &[0x6e, 0, 1, 0xff]);
        if nominating {
            attribute(&mut message, USE_CANDIDATE, &[]);
        }
        more.iter().for_each(|kind| attribute(&mut message, *kind, &[1; 8]));
        finish(message, password)
    }

    #[test]
    fn the_rfcs_sample_is_read_and_no_other_password_is_taken() {
        let sample = bytes(SAMPLE);
        let read = request(&sample, "evtj:h6vY", PASSWORD).unwrap();
        assert!(read.is_controlled && !read.is_nominating && read.unknown.is_empty());
        assert!(request(&sample, "evtj:h6vY", "VOkJxbRl1RmTxUk/WvJxBs").is_none());
        assert!(request(&sample, "evtj:h6vX", PASSWORD).is_none());
    }

    #[test]
    fn who_does_not_know_the_name_costs_no_sums() {
        let check = check("a:b", PASSWORD, true, &[]);
        let before = SUMS.get();
        assert!(request(&check, "a:c", PASSWORD).is_none());
        assert_eq!(SUMS.get(), before);
        assert!(request(&check, "a:b", PASSWORD).is_some());
        assert_eq!(SUMS.get(), before + 1);
    }

    #[test]
    fn no_bit_of_a_check_can_be_changed() {
        let good = check("a:b", PASSWORD, true, &[]);
        assert!(request(&good, "a:b", PASSWORD).is_some_and(|read| read.is_nominating));
        for bit in 0..good.len() * 8 {
            let mut changed = good.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(request(&changed, "a:b", PASSWORD).is_none(), "bit {bit}");
        }
    }

    /// RFC 5769 sections 2.2 and 2.3: where the browser was seen, crossed.
    #[test]
    fn an_answer_says_where_the_peer_was_seen_as_the_rfc_has_it() {
        let read = request(&bytes(SAMPLE), "evtj:h6vY", PASSWORD).unwrap();
        for (seen, crossed) in [
            ("192.0.2.1:32853", "0001a147e112a643"),
            ("[2001:db8:1234:5678:11:2233:4455:6677]:32853", "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"),
        ] {
            let answer = success(&read, seen.parse().unwrap(), PASSWORD);
            let value = bytes(crossed);
            assert_eq!(answer[24..24 + value.len()], value, "{seen}");
            assert_eq!(answer[..2], [1, 1]);
            assert_eq!(usize::from(u16::from_be_bytes([answer[2], answer[3]])) + HEADER_BYTES, answer.len());
        }
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        let read = request(&check("a:b", PASSWORD, false, &[0x0021, 0x8021]), "a:b", PASSWORD).unwrap();
        assert_eq!(read.unknown, [0x0021]);
        let answer = unknown_attributes(&read, PASSWORD);
        assert_eq!((answer[..2].to_vec(), answer[27]), (vec![1, 0x11], 20));
        assert!(answer.windows(8).any(|bytes| bytes == [0, 0x0a, 0, 2, 0, 0x21, 0, 0]));
        assert_eq!(role_conflict(&read, PASSWORD)[26..28], [4, 87]);
    }

    #[test]
    fn what_stands_behind_the_integrity_is_not_believed() {
        let good = check("a:b", PASSWORD, false, &[]);
        // Between integrity and fingerprint, with a fingerprint that is right again.
        let mut added = good[..good.len() - 8].to_vec();
        attribute(&mut added, USE_CANDIDATE, &[]);
        let length = added.len() - HEADER_BYTES + 8;
        set_length(&mut added, length);
        let checksum = crc32(&added) ^ FINGERPRINT_CROSS;
        attribute(&mut added, FINGERPRINT, &checksum.to_be_bytes());
        assert!(request(&added, "a:b", PASSWORD).is_some_and(|read| !read.is_nominating));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), cut in 0_usize..80) {
            request(&bytes, "a:b", PASSWORD);
            let mut good = check("a:b", PASSWORD, true, &[]);
            good.truncate(cut);
            good.extend(bytes);
            prop_assert!(request(&good, "a:b", PASSWORD).is_none());
        }
    }
}
