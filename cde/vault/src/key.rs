//! A 256-bit key in locked memory, and AES-256-GCM (NIST SP 800-38D) under it.

use crate::random::{NoRandomness, Random};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use memory::{Exhausted, Slot};
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce, which is random: one key may seal 2^32 times (SP 800-38D section 8.3), far more than it ever does.
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// The most that is sealed at once: a key, or a field of a card. What is opened must fit a slot of locked memory.
const PLAIN_MAX: usize = memory::SLOT_BYTES - TAG_BYTES;

/// Why a key did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Another key, another place, or changed bytes: it is not opened.
    #[error("it was not sealed with this key for this place, or has been changed since")]
    Refused,
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// No locked memory.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// A key. Wiped when dropped; it cannot be printed, copied or compared.
pub struct Key(Slot);

impl Key {
    /// A fresh one.
    pub fn random(random: &dyn Random) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        random.fill(&mut *bytes)?;
        Ok(Self::new(&bytes)?)
    }

    /// From its bytes, which the caller wipes.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, Exhausted> {
        let mut slot = Slot::take()?;
        slot.expose_mut(|place| place.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from));
        Ok(Self(slot))
    }

    /// Reads the bytes.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8; KEY_BYTES]) -> R) -> R {
        self.0.expose(|bytes| {
            let (key, _) = bytes.split_first_chunk().unwrap_or((&[0; KEY_BYTES], &[]));
            read(key)
        })
    }

    /// Seals bytes for a place: nonce, ciphertext, tag. The bytes are overwritten with the ciphertext.
    pub fn seal(&self, random: &dyn Random, place: &[u8], bytes: &mut [u8]) -> Result<Vec<u8>, KeyError> {
        if bytes.len() > PLAIN_MAX {
            return Err(KeyError::Refused);
        }
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce)?;
        let key = self.aead()?;
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), bytes)
            .map_err(|_| KeyError::Refused)?;
        Ok([nonce.as_slice(), bytes, tag.as_ref()].concat())
    }

    /// Opens what was sealed for this place, in locked memory.
    pub fn open<R>(&self, place: &[u8], sealed: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<R, KeyError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(KeyError::Refused)?;
        let mut slot = Slot::take()?;
        let key = self.aead()?;
        slot.expose_mut(|bytes| {
            let bytes = bytes.get_mut(..rest.len()).ok_or(KeyError::Refused)?;
            bytes.copy_from_slice(rest);
            let nonce = Nonce::assume_unique_for_key(*nonce);
            key.open_in_place(nonce, Aad::from(place), bytes).map(|plain| read(plain)).map_err(|_| KeyError::Refused)
        })
    }

    /// Seals another key.
    pub fn wrap(&self, random: &dyn Random, place: &[u8], other: &Self) -> Result<Vec<u8>, KeyError> {
        let mut bytes = Zeroizing::new(other.expose(|bytes| *bytes));
        self.seal(random, place, &mut *bytes)
    }

    /// Opens another key.
    pub fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<Self, KeyError> {
        self.open(place, wrapped, |bytes| {
            let bytes = bytes.try_into().map_err(|_| KeyError::Refused)?;
            Ok(Self::new(bytes)?)
        })?
    }

    /// HMAC-SHA-256 of some bytes.
    pub fn hmac(&self, bytes: &[u8]) -> [u8; 32] {
        let tag = self.expose(|key| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes));
        tag.as_ref().try_into().unwrap_or_default()
    }

    fn aead(&self) -> Result<LessSafeKey, KeyError> {
        let key = self.expose(|bytes| UnboundKey::new(&AES_256_GCM, bytes));
        key.map(LessSafeKey::new).map_err(|_| KeyError::Refused)
    }
}

/// What a ciphertext is bound to: parts with their lengths, so that no two lists of parts are one text.
pub(crate) fn place(parts: &[&[u8]]) -> Vec<u8> {
    let length = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes();
    parts.iter().flat_map(|part| length(part).into_iter().chain(part.iter().copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Dice;

    #[test]
    fn what_was_sealed_opens_in_its_place_and_nowhere_else() {
        let dice = Dice::new(1);
        let key = Key::random(&dice).unwrap();
        let sealed = key.seal(&dice, b"here", &mut b"secret".to_owned()).unwrap();
        assert!(key.open(b"here", &sealed, |bytes| bytes == b"secret").unwrap());
        assert_eq!(key.open(b"there", &sealed, <[u8]>::len), Err(KeyError::Refused));
        assert_eq!(Key::random(&dice).unwrap().open(b"here", &sealed, <[u8]>::len), Err(KeyError::Refused));
        for (index, bit) in (0..sealed.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut changed = sealed.clone();
            changed[index] ^= 1 << bit;
            assert_eq!(key.open(b"here", &changed, <[u8]>::len), Err(KeyError::Refused), "bit {bit} of {index}");
        }
        for length in 0..sealed.len() {
            assert!(key.open(b"here", &sealed[..length], <[u8]>::len).is_err());
        }
    }

    /// Test case 16 of the AES-GCM specification that SP 800-38D cites (McGrew and Viega, appendix B).
    #[test]
    fn the_cipher_is_that_of_the_specification() {
        let hex = |text: &str| -> Vec<u8> {
            text.as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect()
        };
        let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let sealed = hex(concat!(
            "cafebabefacedbaddecaf888",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b"
        ));
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
        let (nonce, rest) = sealed.split_first_chunk::<12>().unwrap();
        let mut bytes = rest.to_vec();
        let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(&aad), &mut bytes).unwrap();
        assert_eq!(plain[..8], hex("d9313225f88406e5"));
    }

    #[test]
    fn places_are_never_mistaken_for_each_other() {
        assert_ne!(place(&[b"ab", b"c"]), place(&[b"a", b"bc"]));
        assert_ne!(place(&[b"a"]), place(&[b"a", b""]));
    }

    #[test]
    fn what_does_not_fit_locked_memory_is_refused() {
        let dice = Dice::new(1);
        let key = Key::random(&dice).unwrap();
        assert!(key.seal(&dice, b"", &mut [0; PLAIN_MAX + 1]).is_err());
        assert!(key.open(b"", &[0; 200], <[u8]>::len).is_err());
    }
}
