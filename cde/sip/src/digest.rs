//! Digest authentication (RFC 7616, RFC 8760, RFC 3261 §22): showing who we are, and asking others to.

mod guard;
mod login;

use aws_lc_rs::digest;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use crate::message::split_list;

pub(crate) use guard::{Guard, Judgment, Shown};
pub(crate) use login::{Login, Tries};

/// A name and its password. They are wiped with it and cannot be printed, cloned or compared.
pub struct Credentials {
    username: Zeroizing<Box<[u8]>>,
    password: Zeroizing<Box<[u8]>>,
    takes_md5: bool,
    takes_only_md5: bool,
}

impl Credentials {
    /// Takes them over. `takes_md5`: the other side knows nothing better than MD5, perhaps without a counter.
    #[must_use]
    pub fn new(username: String, password: String, takes_md5: bool) -> Self {
        let secret = |text: String| Zeroizing::new(text.into_bytes().into_boxed_slice());
        Self { username: secret(username), password: secret(password), takes_md5, takes_only_md5: false }
    }

    /// The same rules for a name that nobody can know the password of.
    pub(crate) fn of_nobody(&self, password: String) -> Self {
        Self { takes_only_md5: self.takes_only_md5, ..Self::new(String::new(), password, self.takes_md5) }
    }

    /// For what cannot choose among several challenges, as the telephones of web pages: MD5 is all that is offered to it.
    #[must_use]
    pub fn md5_alone(mut self) -> Self {
        (self.takes_md5, self.takes_only_md5) = (true, true);
        self
    }

    /// Whether it is asked for with this hash, and answered so.
    fn takes(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Sha256 => !self.takes_only_md5,
            Algorithm::Sha512Of256 => false,
            Algorithm::Md5 => self.takes_md5,
        }
    }

    /// The hash of name, realm and password (RFC 7616 §3.4.2).
    fn secret_hash(&self, algorithm: Algorithm, realm: &[u8]) -> Zeroizing<String> {
        algorithm.hash(&[&self.username, b":", realm, b":", &self.password])
    }
}

/// How is hashed, the better before the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha256,
    Sha512Of256,
    /// For what knows nothing better (RFC 8760 §2.1).
    Md5,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512Of256 => "SHA-512-256",
            Self::Md5 => "MD5",
        }
    }

    /// The one that is named; none named is MD5 (RFC 7616 §3.3). The `-sess` ones are not known here.
    fn of(name: Option<&[u8]>) -> Option<Self> {
        let Some(name) = name else { return Some(Self::Md5) };
        [Self::Sha256, Self::Sha512Of256, Self::Md5]
            .into_iter()
            .find(|one| name.eq_ignore_ascii_case(one.name().as_bytes()))
    }

    /// Of all parts one after the other, in hexadecimal.
    fn hash(self, parts: &[&[u8]]) -> Zeroizing<String> {
        let all = Zeroizing::new(parts.concat());
        Zeroizing::new(match self {
            Self::Sha256 => hex(digest::digest(&digest::SHA256, &all).as_ref()),
            Self::Sha512Of256 => hex(digest::digest(&digest::SHA512_256, &all).as_ref()),
            Self::Md5 => hex(&Md5::digest(&*all)),
        })
    }

    /// The response to a challenge (RFC 7616 §3.4.1).
    fn response(self, secret: &str, proof: &Proof<'_>) -> Zeroizing<String> {
        let request = self.hash(&[proof.method, b":", proof.uri]);
        let (secret, request) = (secret.as_bytes(), request.as_bytes());
        match proof.counted {
            Some((count, cnonce)) => {
                self.hash(&[secret, b":", proof.nonce, b":", count, b":", cnonce, b":auth:", request])
            }
            // RFC 2617 §3.2.2.1, for what is older than the counter.
            None => self.hash(&[secret, b":", proof.nonce, b":", request]),
        }
    }
}

/// What a response proves the knowledge of the password with.
struct Proof<'a> {
    method: &'a [u8],
    uri: &'a [u8],
    nonce: &'a [u8],
    /// The count as written, and the client's nonce.
    counted: Option<(&'a [u8], &'a [u8])>,
}

/// The fields of a challenge or of credentials; quoted ones without their quotes, escapes as they stand (RFC 7616 §3.4).
struct Fields<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Fields<'a> {
    /// `None` if it is not of the Digest scheme or cannot be read.
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = value.split_at_checked(value.iter().position(|byte| *byte == b' ')?)?;
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return None;
        }
        split_list(rest)?.into_iter().map(field).collect::<Option<Vec<_>>>().map(Self)
    }

    fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| *value)
    }
}

fn field(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = part.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (part.get(..at)?.trim_ascii(), part.get(at + 1..)?.trim_ascii());
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    Some((name, unquoted))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1: the same request under both algorithms.
    #[test]
    fn the_rfcs_example_is_answered_as_it_has_it() {
        let credentials = Credentials::new("Mufasa".to_owned(), "Circle of Life".to_owned(), true);
        let proof = Proof {
            method: b"GET",
            uri: b"/dir/index.html",
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            counted: Some((b"00000001", b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
        };
        for (algorithm, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let secret = credentials.secret_hash(algorithm, b"http-auth@example.org");
            assert_eq!(algorithm.response(&secret, &proof).as_str(), response);
        }
    }

    /// FIPS 180-4's own example: NIST's "SHA512_256.pdf".
    #[test]
    fn sha_512_256_is_the_truncated_one_with_a_start_of_its_own() {
        let wanted = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23";
        assert_eq!(Algorithm::Sha512Of256.hash(&[b"a", b"bc"]).as_str(), wanted);
    }

    #[test]
    fn fields_are_read_with_commas_and_equals_signs_inside_quotes() {
        let fields =
            Fields::parse(b"digest realm=\"a, b=c\" ,nonce=\"x\\\"y\",qop=\"auth,auth-int\", stale = TRUE").unwrap();
        assert_eq!(fields.find("Realm"), Some(&b"a, b=c"[..]));
        assert_eq!((fields.find("nonce"), fields.find("stale")), (Some(&b"x\\\"y"[..]), Some(&b"TRUE"[..])));
        assert!(Fields::parse(b"Basic realm=\"a\"").is_none() && Fields::parse(b"Digest realm").is_none());
        assert!(Fields::parse(b"Digest").is_none() && Fields::parse(b"Digest a=\"b").is_none());
    }
}
