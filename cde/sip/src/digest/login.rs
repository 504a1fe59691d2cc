//! Showing who we are (RFC 7616 §3.4, RFC 3261 §22.2).

use std::sync::Arc;

use super::{Algorithm, Credentials, Fields, Proof};
use crate::message::{Headers, Method, Name, writer::Writer};

/// How often one request was sent once more for a challenge, of a server and of a proxy.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tries([u8; 2]);

impl Tries {
    /// Once, and once again if only the nonce was too old. False if the credentials are not taken.
    fn again(&mut self, is_proxy: bool, is_stale: bool) -> bool {
        let [server, proxy] = &mut self.0;
        let tries = if is_proxy { proxy } else { server };
        *tries += 1;
        *tries == 1 || *tries == 2 && is_stale
    }
}

/// One challenge and how often it was answered.
struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    algorithm: Algorithm,
    is_counted: bool,
    count: u32,
}

/// Credentials and the challenges that they answer: each request shows them unasked once there was one.
pub(crate) struct Login {
    credentials: Arc<Credentials>,
    server: Option<Challenge>,
    proxy: Option<Challenge>,
    /// What the last INVITE has shown: its ACK shows the same (RFC 3261 §22.1).
    invite: Vec<u8>,
}

impl Login {
    pub(crate) fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials, server: None, proxy: None, invite: Vec::new() }
    }

    /// Takes a 401 or 407; false if the request is not worth another try.
    pub(crate) fn challenged(&mut self, status: u16, headers: &Headers, tries: &mut Tries) -> bool {
        let is_proxy = status == 407;
        let name = if is_proxy { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
        let challenges: Vec<_> = headers.all(name).filter_map(|value| self.read(value)).collect();
        // The first that is better than MD5; they stand in the other side's order (RFC 8760 §2.4).
        let best = challenges.iter().position(|(challenge, _)| challenge.algorithm != Algorithm::Md5).unwrap_or(0);
        let Some((challenge, is_stale)) = challenges.into_iter().nth(best) else { return false };
        let place = if is_proxy { &mut self.proxy } else { &mut self.server };
        let is_new = place.as_ref().is_none_or(|before| before.nonce != challenge.nonce);
        *place = Some(challenge);
        tries.again(is_proxy, is_stale && is_new)
    }

    /// A challenge that we can answer, and whether only the nonce was too old.
    fn read(&self, value: &[u8]) -> Option<(Challenge, bool)> {
        let fields = Fields::parse(value)?;
        let algorithm = Algorithm::of(fields.find("algorithm"))?;
        let qop = fields.find("qop");
        let is_counted = qop.is_some_and(|qop| qop.split(|byte| *byte == b',').any(|one| one.trim_ascii() == b"auth"));
        let is_old = algorithm == Algorithm::Md5 || qop.is_none();
        if is_old && !self.credentials.takes_md5 || qop.is_some() && !is_counted {
            return None;
        }
        let is_stale = fields.find("stale").is_some_and(|stale| stale.eq_ignore_ascii_case(b"true"));
        let (realm, nonce) = (fields.find("realm")?.to_vec(), fields.find("nonce")?.to_vec());
        let opaque = fields.find("opaque").map(<[u8]>::to_vec);
        Some((Challenge { realm, nonce, opaque, algorithm, is_counted, count: 0 }, is_stale))
    }

    /// The header lines for a request; none before there was a challenge.
    pub(crate) fn lines(&mut self, method: &Method, uri: &str, cnonce: &str) -> Vec<u8> {
        let mut writer = Writer::fragment();
        let places = [("Authorization", &mut self.server), ("Proxy-Authorization", &mut self.proxy)];
        for (name, place) in places {
            if let Some(challenge) = place {
                writer.header(name, &challenge.answer(&self.credentials, method, uri, cnonce));
            }
        }
        let lines = writer.into_bytes();
        if *method == Method::Invite {
            self.invite.clone_from(&lines);
        }
        lines
    }

    pub(crate) fn ack_lines(&self) -> &[u8] {
        &self.invite
    }
}

impl Challenge {
    fn answer(&mut self, credentials: &Credentials, method: &Method, uri: &str, cnonce: &str) -> Vec<u8> {
        self.count += 1;
        let count = format!("{:08x}", self.count);
        let counted = self.is_counted.then_some((count.as_bytes(), cnonce.as_bytes()));
        let proof = Proof { method: method.as_str().as_bytes(), uri: uri.as_bytes(), nonce: &self.nonce, counted };
        let secret = credentials.secret_hash(self.algorithm, &self.realm);
        let response = self.algorithm.response(&secret, &proof);
        let mut value = b"Digest ".to_vec();
        quoted(&mut value, "username", &credentials.username);
        quoted(&mut value, ", realm", &self.realm);
        quoted(&mut value, ", nonce", &self.nonce);
        quoted(&mut value, ", uri", uri.as_bytes());
        quoted(&mut value, ", response", response.as_bytes());
        value.extend_from_slice(b", algorithm=");
        value.extend_from_slice(self.algorithm.name().as_bytes());
        if self.is_counted {
            quoted(&mut value, ", cnonce", cnonce.as_bytes());
            value.extend_from_slice(b", qop=auth, nc=");
            value.extend_from_slice(count.as_bytes());
        }
        if let Some(opaque) = &self.opaque {
            quoted(&mut value, ", opaque", opaque);
        }
        value
    }
}

/// What was quoted before stands as it was, escapes included; our own text has nothing to escape.
fn quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    out.extend_from_slice(value);
    out.push(b'"');
}
