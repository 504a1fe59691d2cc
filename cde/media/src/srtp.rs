//! SRTP and SRTCP (RFC 3711) with the suites that are agreed on by `a=crypto` (RFC 4568): the framing is ours, the ciphers
//! and the HMAC are aws-lc's.
//!
//! - [`Master`], [`Keys`]: what was agreed on. [`Sender`], [`Receiver`]: one direction under one key.
//! - `derive`: session keys. `cipher`: what a packet goes through. `window`: its index, and whether it came before.
//! - `rekey`: both directions of a leg over a change of keys.
//!
//! Nothing is remembered of a packet before it is known to be authentic. The key derivation rate is 0 and there is no MKI.

mod cipher;
mod derive;
mod receiver;
mod rekey;
mod sender;
#[cfg(test)]
mod tests;
mod window;

pub use receiver::{Receiver, Refused};
pub(crate) use rekey::{Inbound, Outbound};
pub use sender::Sender;

use aws_lc_rs::constant_time;
use zeroize::Zeroizing;

/// Bytes that [`Sender::protect_rtcp`] adds at most: the tag, and the word with the index.
pub const RTCP_TRAILER_MAX: usize = crate::rtp::TAG_MAX + cipher::INDEX_LENGTH;
/// The longest packet that is taken: what Ethernet carries.
pub const PACKET_MAX: usize = 1500;
/// The longest master key with its salt: AES-256 in counter mode.
const MASTER_MAX: usize = 46;

/// How packets are encrypted and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568 section 6.2.1).
    Aes128Sha1Tag80,
    /// `AES_CM_128_HMAC_SHA1_32` (RFC 4568 section 6.2.2): the short tag is for RTP, RTCP has the long one.
    Aes128Sha1Tag32,
    /// `AES_256_CM_HMAC_SHA1_80` (RFC 6188 section 6).
    Aes256Sha1Tag80,
    /// `AEAD_AES_128_GCM` (RFC 7714 section 14.2).
    Aes128Gcm,
    /// `AEAD_AES_256_GCM` (RFC 7714 section 14.2).
    Aes256Gcm,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Aes128Sha1Tag80, Self::Aes128Sha1Tag32, Self::Aes256Sha1Tag80, Self::Aes128Gcm, Self::Aes256Gcm];

    /// Bytes of a master key, without its salt.
    pub(crate) fn key_length(self) -> usize {
        match self {
            Self::Aes128Sha1Tag80 | Self::Aes128Sha1Tag32 | Self::Aes128Gcm => 16,
            Self::Aes256Sha1Tag80 | Self::Aes256Gcm => 32,
        }
    }

    fn salt_length(self) -> usize {
        match self {
            Self::Aes128Sha1Tag80 | Self::Aes128Sha1Tag32 | Self::Aes256Sha1Tag80 => 14,
            Self::Aes128Gcm | Self::Aes256Gcm => 12,
        }
    }
}

/// A master key with its salt. No `Debug`, no `Clone`; wiped on drop.
pub struct Master {
    suite: Suite,
    bytes: Zeroizing<[u8; MASTER_MAX]>,
}

impl Master {
    /// From key and salt, one behind the other as `inline:` has them; none if they are not as long as the suite's.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        if key_and_salt.len() != suite.key_length() + suite.salt_length() {
            return None;
        }
        let mut bytes = Zeroizing::new([0; MASTER_MAX]);
        bytes.get_mut(..key_and_salt.len())?.copy_from_slice(key_and_salt);
        Some(Self { suite, bytes })
    }

    fn is(&self, other: &Self) -> bool {
        self.suite == other.suite && constant_time::verify_slices_are_equal(&*self.bytes, &*other.bytes).is_ok()
    }
}

/// The keys of a leg.
pub struct Keys {
    /// With which the peer protects what it sends.
    pub inbound: Master,
    /// With which we do.
    pub outbound: Master,
}
