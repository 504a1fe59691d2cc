//! What a browser's description says of ICE and DTLS (RFC 8839, RFC 8122, RFC 8842, RFC 9143).

use std::net::SocketAddr;

use super::{Media, SessionDescription};

/// The shortest name and password of the checks, and the longest (RFC 8839 §5.4).
const UFRAG: std::ops::RangeInclusive<usize> = 4..=256;
const PASSWORD: std::ops::RangeInclusive<usize> = 22..=256;
/// The longest identification of a stream that is repeated.
const MID_MAX: usize = 64;
/// The most words of a group.
const GROUP_MAX: usize = 32;
/// The priority of a host's only candidate (RFC 8445 §5.1.2.1): 126 · 2²⁴ + 65535 · 2⁸ + 255.
const PRIORITY: u32 = 2_130_706_431;

/// Who begins the handshake (RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Either.
    ActPass,
    /// Who writes this.
    Active,
    /// The other.
    Passive,
}

impl Setup {
    fn name(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }

    fn parse(value: &str) -> Option<Self> {
        [Self::ActPass, Self::Active, Self::Passive].into_iter().find(|one| one.name().eq_ignore_ascii_case(value))
    }
}

/// How a certificate is hashed; SHA-1 is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// `sha-256`
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

impl Hash {
    const ALL: [(Self, &'static str, usize); 3] =
        [(Self::Sha256, "sha-256", 32), (Self::Sha384, "sha-384", 48), (Self::Sha512, "sha-512", 64)];
}

/// What one side says of itself for a stream. It cannot be printed: the password lets whoever knows it move the sound.
#[derive(Clone, PartialEq, Eq)]
pub struct Web {
    /// Its name in the connectivity checks.
    pub ufrag: String,
    /// Its password for them.
    pub password: String,
    /// How its certificate is hashed.
    pub hash: Hash,
    /// The hash.
    pub fingerprint: Vec<u8>,
    /// Who begins the handshake.
    pub setup: Setup,
    /// What the stream is called.
    pub mid: Option<String>,
    /// Whether it stands in a group that shares one way (RFC 9143), in which it is alone here.
    pub is_bundled: bool,
}

/// The lines of a session, or of a media section, as they were read.
#[derive(Default)]
pub(crate) struct WebLines {
    ufrag: Option<String>,
    password: Option<String>,
    fingerprint: Option<(Hash, Vec<u8>)>,
    setup: Option<Setup>,
    is_lite: bool,
    pub(super) mid: Option<String>,
    bundle: Vec<String>,
}

impl WebLines {
    /// A line that cannot be used is as if it were not there: the stream is then refused for what it lacks.
    pub(super) fn read(&mut self, name: &str, value: &str) {
        match name {
            "ice-ufrag" => self.ufrag = credential(value, UFRAG),
            "ice-pwd" => self.password = credential(value, PASSWORD),
            "ice-lite" => self.is_lite = true,
            "setup" => self.setup = Setup::parse(value),
            "mid" => self.mid = Some(value.to_owned()).filter(|mid| is_mid(mid)),
            // The first that is good enough; they are all of one certificate (RFC 8122 §5).
            "fingerprint" if self.fingerprint.is_none() => self.fingerprint = fingerprint(value),
            "group" => {
                if let Some(mids) = value.strip_prefix("BUNDLE ").filter(|_| self.bundle.is_empty()) {
                    self.bundle = mids.split(' ').take(GROUP_MAX).map(str::to_owned).collect();
                }
            }
            _ => {}
        }
    }
}

impl SessionDescription {
    /// What is said of a stream, by its own lines or the session's. None if something is missing, or if the peer is lite as we
    /// are: then nobody would check (RFC 8445 §6.1.1 has such two send blindly, which we do not).
    pub(crate) fn web_of(&self, media: &Media) -> Option<Web> {
        let (own, session) = (&media.web, &self.web);
        let (hash, fingerprint) = own.fingerprint.clone().or_else(|| session.fingerprint.clone())?;
        Some(Web {
            ufrag: own.ufrag.clone().or_else(|| session.ufrag.clone())?,
            password: own.password.clone().or_else(|| session.password.clone())?,
            hash,
            fingerprint,
            setup: own.setup.or(session.setup)?,
            mid: own.mid.clone(),
            is_bundled: own.mid.as_ref().is_some_and(|mid| session.bundle.contains(mid)),
        })
        .filter(|_| !session.is_lite)
    }

    /// The index of the first audio stream with all that a browser's has, and that is not refused.
    pub(crate) fn web_audio(&self) -> Option<usize> {
        let is_usable = |media: &Media| media.carries_web_audio().is_some() && self.web_of(media).is_some();
        self.media.iter().position(|media| is_usable(media) && media.rtcp_mux)
    }
}

impl Web {
    /// The lines of the session: we answer checks and make none, and there is one way for all.
    pub(super) fn write_session(&self, text: &mut String) {
        if let (Some(mid), true) = (&self.mid, self.is_bundled) {
            *text += &format!("a=group:BUNDLE {mid}\r\n");
        }
        text.push_str("a=ice-lite\r\n");
    }

    /// Those of the stream, which comes to this address.
    pub(super) fn write_stream(&self, text: &mut String, address: SocketAddr) {
        if let Some(mid) = &self.mid {
            *text += &format!("a=mid:{mid}\r\n");
        }
        let hash = Hash::ALL.iter().find(|(hash, ..)| *hash == self.hash).map_or("sha-256", |(_, name, _)| name);
        let fingerprint: Vec<String> = self.fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
        *text += &format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:{hash} {}\r\na=setup:{}\r\n\
             a=candidate:1 1 udp {PRIORITY} {} {} typ host\r\na=end-of-candidates\r\na=msid:tonewall tonewall\r\n",
            self.ufrag,
            self.password,
            fingerprint.join(":"),
            self.setup.name(),
            address.ip(),
            address.port()
        );
    }
}

fn credential(value: &str, length: std::ops::RangeInclusive<usize>) -> Option<String> {
    let is_good =
        length.contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b));
    is_good.then(|| value.to_owned())
}

fn is_mid(mid: &str) -> bool {
    (1..=MID_MAX).contains(&mid.len()) && mid.bytes().all(|b| b.is_ascii_graphic())
}

/// `sha-256 4A:AD:…`
fn fingerprint(value: &str) -> Option<(Hash, Vec<u8>)> {
    let (name, hex) = value.split_once(' ')?;
    let (hash, _, length) = Hash::ALL.into_iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name))?;
    let is_pair = |pair: &&str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    let byte = |pair: &str| Some(pair).filter(is_pair).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Vec<u8> = hex.trim().split(':').map(byte).collect::<Option<_>>()?;
    (bytes.len() == length).then_some((hash, bytes))
}
