//! Session keys from a master key (RFC 3711 section 4.3; RFC 6188 section 3; RFC 7714 section 11).

use super::Master;
use super::cipher::{Cipher, SALT_LENGTH};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

/// HMAC-SHA1's key (RFC 3711 section 5.2).
pub(super) const AUTH_KEY_LENGTH: usize = 20;
/// The key's identifier stands before the last six bytes of the salt, where the packet index would be.
const LABEL_AT: usize = 7;

/// What the keys of one protocol are derived with (RFC 3711 section 4.3.2).
pub(super) struct Labels {
    encryption: u8,
    authentication: u8,
    salt: u8,
}

pub(super) const RTP: Labels = Labels { encryption: 0, authentication: 1, salt: 2 };
pub(super) const RTCP: Labels = Labels { encryption: 3, authentication: 4, salt: 5 };

/// The keys of one protocol. Wiped on drop.
pub(super) struct SessionKeys {
    pub(super) encryption: Zeroizing<Vec<u8>>,
    pub(super) authentication: Zeroizing<[u8; AUTH_KEY_LENGTH]>,
    pub(super) salt: Zeroizing<[u8; SALT_LENGTH]>,
}

impl SessionKeys {
    pub(super) fn derive(master: &Master, labels: &Labels) -> Option<Self> {
        let key_length = master.suite.key_length();
        let key = counter_key(master.bytes.get(..key_length)?)?;
        let salt = master.bytes.get(key_length..)?;
        let mut keys = Self {
            encryption: Zeroizing::new(vec![0; key_length]),
            authentication: Zeroizing::new([0; AUTH_KEY_LENGTH]),
            salt: Zeroizing::new([0; SALT_LENGTH]),
        };
        expand(&key, salt, labels.encryption, &mut keys.encryption)?;
        expand(&key, salt, labels.authentication, &mut *keys.authentication)?;
        let salt_length = master.suite.salt_length();
        expand(&key, salt, labels.salt, keys.salt.get_mut(..salt_length)?)?;
        Some(keys)
    }

    pub(super) fn cipher(&self, master: &Master, of_rtcp: bool) -> Option<Cipher> {
        Cipher::new(master.suite, self, of_rtcp)
    }
}

/// A key in counter mode.
pub(super) fn counter_key(bytes: &[u8]) -> Option<EncryptingKey> {
    let algorithm = if bytes.len() == 16 { &AES_128 } else { &AES_256 };
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, bytes).ok()?).ok()
}

/// The key stream of counter mode from this block on, over what is there.
pub(super) fn key_stream(key: &EncryptingKey, block: [u8; 16], bytes: &mut [u8]) -> Option<()> {
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128(FixedLength::from(block))).ok().map(drop)
}

/// A shorter salt has zeros behind it, which the master key's bytes have too.
fn expand(key: &EncryptingKey, salt: &[u8], label: u8, out: &mut [u8]) -> Option<()> {
    let mut block = Zeroizing::new([0; 16]);
    block.iter_mut().zip(salt.iter().take(SALT_LENGTH)).for_each(|(to, from)| *to = *from);
    *block.get_mut(LABEL_AT)? ^= label;
    key_stream(key, *block, out)
}
