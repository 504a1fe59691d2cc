//! What one packet goes through, given its index: the counter mode with HMAC-SHA1 of RFC 3711, or GCM of RFC 7714.
//!
//! A packet is read from one place and comes out in another, so that it can be tried again with another index.

use super::Suite;
use super::derive::{SessionKeys, counter_key, key_stream};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::EncryptingKey;
use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroizing;

/// The longest session salt.
pub(super) const SALT_LENGTH: usize = 14;
/// The word of SRTCP with the flag and the index (RFC 3711 section 3.4).
pub(super) const INDEX_LENGTH: usize = 4;
/// Bytes of RTCP that stay readable: its first header, to the SSRC.
pub(super) const RTCP_CLEAR: usize = 8;
const GCM_TAG_LENGTH: usize = 16;
const HMAC_TAG_LENGTH: usize = 10;
const HMAC_TAG_SHORT: usize = 4;

/// Which packet of which stream.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) ssrc: u32,
    /// 48 bits for RTP, 31 bits for RTCP.
    pub(super) index: u64,
}

/// The session keys of one protocol and direction.
pub(super) struct Cipher {
    salt: Zeroizing<[u8; SALT_LENGTH]>,
    mode: Mode,
}

enum Mode {
    Counter { key: EncryptingKey, authentication: hmac::Key, tag_length: usize },
    Gcm(LessSafeKey),
}

impl Cipher {
    pub(super) fn new(suite: Suite, keys: &SessionKeys, of_rtcp: bool) -> Option<Self> {
        let counter = |tag_length| {
            Some(Mode::Counter {
                key: counter_key(&keys.encryption)?,
                authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &*keys.authentication),
                tag_length,
            })
        };
        let gcm = |algorithm| Some(Mode::Gcm(LessSafeKey::new(UnboundKey::new(algorithm, &keys.encryption).ok()?)));
        let mode = match suite {
            Suite::Aes128Sha1Tag32 if !of_rtcp => counter(HMAC_TAG_SHORT),
            Suite::Aes128Sha1Tag80 | Suite::Aes128Sha1Tag32 | Suite::Aes256Sha1Tag80 => counter(HMAC_TAG_LENGTH),
            Suite::Aes128Gcm => gcm(&AES_128_GCM),
            Suite::Aes256Gcm => gcm(&AES_256_GCM),
        };
        Some(Self { salt: keys.salt.clone(), mode: mode? })
    }

    pub(super) fn tag_length(&self) -> usize {
        match &self.mode {
            Mode::Counter { tag_length, .. } => *tag_length,
            Mode::Gcm(_) => GCM_TAG_LENGTH,
        }
    }

    /// Protects the packet of this length whose first bytes stay readable; gives its new length, if there is room.
    pub(super) fn seal_rtp(&self, buffer: &mut [u8], clear: usize, length: usize, place: Place) -> Option<usize> {
        let (packet, room) = buffer.split_at_mut_checked(length)?;
        let (head, body) = packet.split_at_mut_checked(clear)?;
        let tag = room.get_mut(..self.tag_length())?;
        match &self.mode {
            Mode::Counter { key, authentication, .. } => {
                key_stream(key, self.counter_block(place), body)?;
                let sum = sum(authentication, &[packet, &roll_over_counter(place)]);
                tag.copy_from_slice(sum.as_ref().get(..tag.len())?);
            }
            Mode::Gcm(key) => {
                let nonce = self.nonce(rtp_nonce(place));
                tag.copy_from_slice(key.seal_in_place_separate_tag(nonce, Aad::from(&*head), body).ok()?.as_ref());
            }
        }
        Some(length + self.tag_length())
    }

    /// Puts the packet that was protected into `out`; gives its length. None if it is not authentic at this place.
    pub(super) fn open_rtp(&self, packet: &[u8], clear: usize, place: Place, out: &mut [u8]) -> Option<usize> {
        let (rest, tag) = packet.split_at_checked(packet.len().checked_sub(self.tag_length())?)?;
        let (head, body) = rest.split_at_checked(clear)?;
        let (out_head, out_body) = out.get_mut(..rest.len())?.split_at_mut_checked(clear)?;
        match &self.mode {
            Mode::Counter { key, authentication, .. } => {
                verify(authentication, &[rest, &roll_over_counter(place)], tag)?;
                out_body.copy_from_slice(body);
                key_stream(key, self.counter_block(place), out_body)?;
            }
            Mode::Gcm(key) => {
                key.open_separate_gather(self.nonce(rtp_nonce(place)), Aad::from(head), body, tag, out_body).ok()?;
            }
        }
        out_head.copy_from_slice(head);
        Some(rest.len())
    }

    /// The same for RTCP. The index goes with the packet: before the tag of an HMAC, behind the tag of GCM.
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], length: usize, place: Place) -> Option<usize> {
        let word = index_word(place)?;
        let (packet, room) = buffer.split_at_mut_checked(length)?;
        let (head, body) = packet.split_at_mut_checked(RTCP_CLEAR)?;
        let room = room.get_mut(..self.tag_length() + INDEX_LENGTH)?;
        match &self.mode {
            Mode::Counter { key, authentication, .. } => {
                key_stream(key, self.counter_block(place), body)?;
                let (word_room, tag) = room.split_at_mut_checked(INDEX_LENGTH)?;
                word_room.copy_from_slice(&word);
                let sum = sum(authentication, &[packet, &word]);
                tag.copy_from_slice(sum.as_ref().get(..tag.len())?);
            }
            Mode::Gcm(key) => {
                let (tag, word_room) = room.split_at_mut_checked(GCM_TAG_LENGTH)?;
                word_room.copy_from_slice(&word);
                let (nonce, aad) = (self.nonce(rtcp_nonce(place)), Aad::from(rtcp_aad(head, word)?));
                tag.copy_from_slice(key.seal_in_place_separate_tag(nonce, aad, body).ok()?.as_ref());
            }
        }
        Some(length + self.tag_length() + INDEX_LENGTH)
    }

    /// The index that a packet of SRTCP says it has; none if it is too short, or not encrypted as was agreed.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<u64> {
        let behind = match &self.mode {
            Mode::Counter { tag_length, .. } => *tag_length,
            Mode::Gcm(_) => 0,
        };
        let (rest, _) = packet.split_at_checked(packet.len().checked_sub(behind)?)?;
        let word = u32::from_be_bytes(*rest.last_chunk::<INDEX_LENGTH>()?);
        (word & ENCRYPTED != 0).then_some(u64::from(word & !ENCRYPTED))
    }

    pub(super) fn open_rtcp(&self, packet: &[u8], place: Place, out: &mut [u8]) -> Option<usize> {
        let length = packet.len().checked_sub(self.tag_length() + INDEX_LENGTH).filter(|rest| *rest >= RTCP_CLEAR)?;
        let (head, body) = packet.get(..length)?.split_at_checked(RTCP_CLEAR)?;
        let (out_head, out_body) = out.get_mut(..length)?.split_at_mut_checked(RTCP_CLEAR)?;
        match &self.mode {
            Mode::Counter { key, authentication, .. } => {
                let (authentic, tag) = packet.split_at_checked(length + INDEX_LENGTH)?;
                verify(authentication, &[authentic], tag)?;
                out_body.copy_from_slice(body);
                key_stream(key, self.counter_block(place), out_body)?;
            }
            Mode::Gcm(key) => {
                let tag = packet.get(length..length + GCM_TAG_LENGTH)?;
                let (nonce, aad) = (self.nonce(rtcp_nonce(place)), Aad::from(rtcp_aad(head, index_word(place)?)?));
                key.open_separate_gather(nonce, aad, body, tag, out_body).ok()?;
            }
        }
        out_head.copy_from_slice(head);
        Some(length)
    }

    /// The first counter block (RFC 3711 section 4.1.1): the salt, crossed with SSRC and index.
    fn counter_block(&self, place: Place) -> [u8; 16] {
        let mask = u128::from(place.ssrc) << 64 | u128::from(place.index) << 16;
        let mut block = mask.to_be_bytes();
        block.iter_mut().zip(self.salt.iter()).for_each(|(to, salt)| *to ^= salt);
        block
    }

    /// GCM's nonce (RFC 7714 sections 8.1 and 9.1).
    fn nonce(&self, mut bytes: [u8; NONCE_LEN]) -> Nonce {
        bytes.iter_mut().zip(self.salt.iter()).for_each(|(to, salt)| *to ^= salt);
        Nonce::assume_unique_for_key(bytes)
    }
}

/// The flag of encryption in the word with the index.
const ENCRYPTED: u32 = 1 << 31;

/// The upper 32 bits of an index: they are authenticated with a packet of RTP, and not sent (RFC 3711 section 4.2).
fn roll_over_counter(place: Place) -> [u8; 4] {
    let [_, _, r3, r2, r1, r0, _, _] = place.index.to_be_bytes();
    [r3, r2, r1, r0]
}

fn index_word(place: Place) -> Option<[u8; INDEX_LENGTH]> {
    let index = u32::try_from(place.index).ok().filter(|index| index & ENCRYPTED == 0)?;
    Some((index | ENCRYPTED).to_be_bytes())
}

fn rtp_nonce(place: Place) -> [u8; NONCE_LEN] {
    let ([a, b, c, d], [_, _, r3, r2, r1, r0, q1, q0]) = (place.ssrc.to_be_bytes(), place.index.to_be_bytes());
    [0, 0, a, b, c, d, r3, r2, r1, r0, q1, q0]
}

fn rtcp_nonce(place: Place) -> [u8; NONCE_LEN] {
    let ([a, b, c, d], [_, _, _, _, i3, i2, i1, i0]) = (place.ssrc.to_be_bytes(), place.index.to_be_bytes());
    [0, 0, a, b, c, d, 0, 0, i3, i2, i1, i0]
}

fn rtcp_aad(head: &[u8], word: [u8; INDEX_LENGTH]) -> Option<[u8; RTCP_CLEAR + INDEX_LENGTH]> {
    let mut aad = [0; RTCP_CLEAR + INDEX_LENGTH];
    let (to_head, to_word) = aad.split_at_mut_checked(RTCP_CLEAR)?;
    to_head.copy_from_slice(head.get(..RTCP_CLEAR)?);
    to_word.copy_from_slice(&word);
    Some(aad)
}

fn sum(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

fn verify(key: &hmac::Key, parts: &[&[u8]], tag: &[u8]) -> Option<()> {
    let sum = sum(key, parts);
    constant_time::verify_slices_are_equal(sum.as_ref().get(..tag.len())?, tag).ok()
}
