//! What offer and answer have said (RFC 8839, RFC 8122).

use aws_lc_rs::{constant_time, digest};

/// Both sides' part of what a leg's peer is found and known by.
#[derive(Clone, PartialEq, Eq)]
pub struct Terms {
    /// Our name for the connectivity checks.
    pub ufrag: String,
    /// Our password for them: who shows it has read our description.
    pub password: String,
    /// The peer's name for them.
    pub peer_ufrag: String,
    /// That of the peer's certificate.
    pub fingerprint: Fingerprint,
    /// Who begins the handshake.
    pub role: Role,
}

/// Who we are in the handshake (RFC 5763 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We begin it: `a=setup:active`.
    Client,
    /// The peer does: `a=setup:passive`.
    Server,
}

/// The hash of a certificate (RFC 8122 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// How it is hashed.
    pub hash: Hash,
    /// The value.
    pub bytes: Vec<u8>,
}

/// A hash that is still good for this. SHA-1 is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// `sha-256`
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

impl Fingerprint {
    /// Whether it is that of this certificate, in DER.
    #[must_use]
    pub fn is_of(&self, certificate: &[u8]) -> bool {
        let algorithm = match self.hash {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        };
        let found = digest::digest(algorithm, certificate);
        constant_time::verify_slices_are_equal(found.as_ref(), &self.bytes).is_ok()
    }
}
