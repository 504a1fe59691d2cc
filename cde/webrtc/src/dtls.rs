//! The library that speaks DTLS, behind a seam: what it may take and give, and that it ends one leg at most.

use crate::terms::Role;
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The first room for a record; it grows to [`RECORD_BYTES_MAX`] where the library wants more.
const RECORD_BYTES: usize = 2048;
const RECORD_BYTES_MAX: usize = 32 * 1024;
/// What fits into a packet on every way (RFC 8261 section 5 counts the same).
const MTU: usize = 1200;
/// From the first word to the keys.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Outputs of one input. A flight is a few records.
const OUTPUTS_MAX: usize = 256;

/// How packets of sound are to be protected (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// `SRTP_AES128_CM_HMAC_SHA1_80`
    Aes128Sha1Tag80,
    /// `SRTP_AEAD_AES_128_GCM`
    Aes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM`
    Aes256Gcm,
}

impl Suite {
    /// Bytes of a master key, and of its salt.
    fn lengths(self) -> (usize, usize) {
        match self {
            Self::Aes128Sha1Tag80 => (16, 14),
            Self::Aes128Gcm => (16, 12),
            Self::Aes256Gcm => (32, 12),
        }
    }
}

/// The keys of a leg: each a master key with its salt behind it. No `Debug`, no `Clone`; wiped on drop.
pub struct Keys {
    /// The suite of both.
    pub suite: Suite,
    inbound: Zeroizing<Vec<u8>>,
    outbound: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// From what the handshake gives: both keys, then both salts, the client's first (RFC 5764 section 4.2).
    fn new(suite: Suite, material: &[u8], role: Role) -> Option<Self> {
        let (key, salt) = suite.lengths();
        let (keys, salts) = material.split_at_checked(2 * key)?;
        let (client_salt, server_salt) = salts.split_at_checked(salt).filter(|_| salts.len() == 2 * salt)?;
        let (client_key, server_key) = keys.split_at_checked(key)?;
        let client = Zeroizing::new([client_key, client_salt].concat());
        let server = Zeroizing::new([server_key, server_salt].concat());
        let (inbound, outbound) = match role {
            Role::Client => (server, client),
            Role::Server => (client, server),
        };
        Some(Self { suite, inbound, outbound })
    }

    /// What the peer protects with.
    #[must_use]
    pub fn inbound(&self) -> &[u8] {
        &self.inbound
    }

    /// What we protect with.
    #[must_use]
    pub fn outbound(&self) -> &[u8] {
        &self.outbound
    }
}

/// There is no certificate: the system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no certificate for DTLS could be made")]
pub struct NoCertificate;

/// Our own certificate, of nobody's authority: the peer knows it by its fingerprint. It has no `Debug`.
#[derive(Clone)]
pub struct Certificate {
    inner: Arc<DtlsCertificate>,
    config: Arc<Config>,
}

impl Certificate {
    /// A fresh one, with a key of P-256.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<Self, NoCertificate> {
        let inner = dimpl::certificate::generate_self_signed_certificate().map_err(|_| NoCertificate)?;
        // The peer has shown that it is where it says by the connectivity checks: it needs no cookie.
        let config = Config::builder().mtu(MTU).use_server_cookie(false).handshake_timeout(HANDSHAKE);
        let config = config.build().map_err(|_| NoCertificate)?;
        Ok(Self { inner: Arc::new(inner), config: Arc::new(config) })
    }

    /// Its SHA-256.
    ///
    /// # Errors
    /// Never: a hash has its length.
    pub fn fingerprint(&self) -> Result<[u8; 32], NoCertificate> {
        self.inner.fingerprint().try_into().map_err(|_| NoCertificate)
    }
}

/// Our two certificates: a browser agrees on new keys within a dialog only with who shows another one.
#[derive(Clone)]
pub struct Certificates([(Certificate, [u8; 32]); 2]);

impl Certificates {
    /// Fresh ones.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<Self, NoCertificate> {
        let fresh = || -> Result<_, NoCertificate> {
            let certificate = Certificate::generate()?;
            let fingerprint = certificate.fingerprint()?;
            Ok((certificate, fingerprint))
        };
        Ok(Self([fresh()?, fresh()?]))
    }

    /// Their SHA-256.
    #[must_use]
    pub fn fingerprints(&self) -> [[u8; 32]; 2] {
        let [(_, first), (_, second)] = &self.0;
        [*first, *second]
    }

    /// The one with this fingerprint.
    #[must_use]
    pub fn with(&self, fingerprint: &[u8; 32]) -> Option<&Certificate> {
        self.0.iter().find(|(_, known)| known == fingerprint).map(|(certificate, _)| certificate)
    }
}

/// What a handshake wants done.
pub(crate) enum Event {
    Send(Vec<u8>),
    /// The peer has shown this certificate, in DER.
    Certificate(Vec<u8>),
    Keys(Keys),
}

/// It failed, or cannot go on.
pub(crate) struct Broken;

/// One handshake, and the connection that it leaves.
pub(crate) struct Handshake {
    dtls: Dtls,
    role: Role,
    /// When it wants to be asked again.
    timeout: Option<Instant>,
    buffer: Vec<u8>,
}

impl Handshake {
    /// As a client it begins at the first [`Self::tick`].
    pub(crate) fn new(now: Instant, certificate: &Certificate, role: Role) -> Result<Self, Broken> {
        guarded(|| {
            let mut dtls = Dtls::new_auto(Arc::clone(&certificate.config), (*certificate.inner).clone(), now);
            dtls.set_active(role == Role::Client);
            Ok(Self { dtls, role, timeout: None, buffer: vec![0; RECORD_BYTES] })
        })
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn receive(&mut self, now: Instant, packet: &[u8]) -> Result<Vec<Event>, Broken> {
        guarded(|| {
            self.dtls.handle_timeout(now).map_err(|_| Broken)?;
            self.dtls.handle_packet(packet).map_err(|_| Broken)?;
            self.drain()
        })
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Result<Vec<Event>, Broken> {
        guarded(|| {
            self.dtls.handle_timeout(now).map_err(|_| Broken)?;
            self.drain()
        })
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    fn drain(&mut self) -> Result<Vec<Event>, Broken> {
        let mut events = Vec::new();
        for _ in 0..OUTPUTS_MAX {
            match self.dtls.poll_output(&mut self.buffer) {
                Output::Packet(packet) => events.push(Event::Send(packet.to_vec())),
                Output::PeerCert(certificate) => events.push(Event::Certificate(certificate.to_vec())),
                Output::KeyingMaterial(material, profile) => {
                    let keys = suite(profile).and_then(|suite| Keys::new(suite, &material, self.role));
                    events.push(Event::Keys(keys.ok_or(Broken)?));
                }
                Output::BufferTooSmall { needed } if needed <= RECORD_BYTES_MAX => self.buffer.resize(needed, 0),
                Output::BufferTooSmall { .. } => return Err(Broken),
                Output::Timeout(at) => {
                    self.timeout = Some(at);
                    return Ok(events);
                }
                // There are no data of ours; and a call is ended by SIP.
                _ => {}
            }
        }
        Err(Broken)
    }
}

fn suite(profile: SrtpProfile) -> Option<Suite> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::Aes128Sha1Tag80),
        SrtpProfile::AEAD_AES_128_GCM => Some(Suite::Aes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Suite::Aes256Gcm),
        _ => None,
    }
}

/// A fault in the library is one handshake's end. What it has left behind is not used again.
fn guarded<T>(act: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(Err(Broken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_has_its_key_with_its_salt() {
        let material: Vec<u8> = (0..60).collect();
        let keys = Keys::new(Suite::Aes128Sha1Tag80, &material, Role::Server).unwrap();
        let client: Vec<u8> = (0..16).chain(32..46).collect();
        let server: Vec<u8> = (16..32).chain(46..60).collect();
        assert_eq!((keys.inbound(), keys.outbound()), (&client[..], &server[..]));
        let keys = Keys::new(Suite::Aes128Sha1Tag80, &material, Role::Client).unwrap();
        assert_eq!((keys.inbound(), keys.outbound()), (&server[..], &client[..]));
        assert!(Keys::new(Suite::Aes128Gcm, &material, Role::Client).is_none(), "56 bytes");
        assert!(Keys::new(Suite::Aes256Gcm, &material, Role::Client).is_none(), "88 bytes");
    }

    #[test]
    fn a_fault_in_the_library_is_the_end_of_one_handshake() {
        assert!(guarded(|| -> Result<(), Broken> { panic!("as a library might") }).is_err());
    }
}
