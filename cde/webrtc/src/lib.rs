//! How a browser and we find each other and agree on keys where the sound goes: ICE (RFC 8445), of which we are the lite
//! half, and DTLS-SRTP (RFC 5763, RFC 5764). The sound itself is no matter of this crate.
//!
//! One [`Association`] a leg, of the shape of all our machines: it reads no socket and no clock. It is no core all the same:
//! the library that speaks DTLS draws its own randomness, so a run cannot be replayed.
//!
//! # Invariants
//! - Nothing is answered, and nothing believed, that does not show our password: neither an address nor a handshake.
//! - There are no keys before the peer's certificate has the fingerprint that was said in SIP.
//! - Keys are wiped on drop and cannot be printed.
//! - Thirty seconds without a sign of the peer's consent (RFC 7675) end it.
//! - A fault in the library is the end of one leg.
//!
//! # Layout
//! - [`association`]: the machine. `stun`: its messages (RFC 8489). `dtls`: the library, behind a small seam.
//! - [`terms`]: what was said in SIP.

pub mod association;
pub mod terms;

mod dtls;
mod stun;

pub use association::{Association, Failure, Output};
pub use dtls::{Certificate, Certificates, Keys, NoCertificate, Suite};
pub use terms::{Fingerprint, Hash, Role, Terms};

/// Whether a packet on a leg's port is for this crate and no sound: STUN or DTLS, by its first byte (RFC 7983 section 7).
#[must_use]
pub fn is_ours(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(0..=3 | 20..=63))
}

#[cfg(test)]
mod tests {
    #[test]
    fn sound_is_never_taken_for_stun_or_dtls() {
        let ours: Vec<u8> = (0..=255).filter(|first| super::is_ours(&[*first])).collect();
        assert!(ours.iter().all(|first| *first < 128) && ours.len() == 4 + 44);
        assert!(!super::is_ours(&[]));
    }
}
