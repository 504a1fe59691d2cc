//! `a=crypto`: keys of SRTP in a description (RFC 4568).

use zeroize::Zeroizing;

/// Lines of a media section that are looked at.
pub(super) const LINES_MAX: usize = 32;
/// The longest key with its salt, of all suites.
const KEY_MAX: usize = 46;
/// Decimal digits of a tag (RFC 4568 section 9.1).
const TAG_DIGITS_MAX: usize = 9;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A crypto-suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`
    Aes128Sha1Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`
    Aes128Sha1Tag32,
    /// `AES_256_CM_HMAC_SHA1_80`
    Aes256Sha1Tag80,
    /// `AEAD_AES_128_GCM`
    Aes128Gcm,
    /// `AEAD_AES_256_GCM`
    Aes256Gcm,
}

impl Suite {
    const ALL: [Self; 5] =
        [Self::Aes128Sha1Tag80, Self::Aes128Sha1Tag32, Self::Aes256Sha1Tag80, Self::Aes128Gcm, Self::Aes256Gcm];

    /// Bytes of a master key with its salt (RFC 4568 section 6.2, RFC 6188 section 6, RFC 7714 section 14.2).
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes128Sha1Tag80 | Self::Aes128Sha1Tag32 => 30,
            Self::Aes256Sha1Tag80 => KEY_MAX,
            Self::Aes128Gcm => 28,
            Self::Aes256Gcm => 44,
        }
    }

    /// As it stands in `a=crypto`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128Sha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Aes128Sha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Aes256Sha1Tag80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Aes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes256Gcm => "AEAD_AES_256_GCM",
        }
    }
}

/// One line: a key that its writer protects with what it sends. No `Debug`, no `Clone`; wiped on drop.
pub struct Crypto {
    /// By which an answer names the line of the offer.
    pub tag: u32,
    /// The crypto-suite.
    pub suite: Suite,
    key: Zeroizing<[u8; KEY_MAX]>,
}

impl Crypto {
    /// A line with a key that `fill` writes.
    pub fn new(tag: u32, suite: Suite, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut key = Zeroizing::new([0; KEY_MAX]);
        fill(key.get_mut(..suite.key_length()).unwrap_or_default());
        Self { tag, suite, key }
    }

    /// The master key, and its salt behind it.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.get(..self.suite.key_length()).unwrap_or_default()
    }

    /// The same key in a line with this tag.
    #[must_use]
    pub fn with_tag(&self, tag: u32) -> Self {
        Self::new(tag, self.suite, |key| key.copy_from_slice(self.key()))
    }

    /// Whether it is the same key, whatever its tag.
    #[must_use]
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.suite == other.suite && self.key() == other.key()
    }

    /// Reads `tag suite inline:key[|lifetime] [session-parameter…]`. None for what cannot be used, which is no error (RFC
    /// 4568 section 5.1.2): another suite, an MKI, several keys, or a session parameter that must be understood.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split(' ').filter(|word| !word.is_empty());
        let (tag, suite, keys) = (words.next()?, words.next()?, words.next()?);
        let numeric = tag.len() <= TAG_DIGITS_MAX && tag.bytes().all(|b| b.is_ascii_digit());
        let tag = tag.parse().ok().filter(|_| numeric)?;
        let suite = Suite::ALL.into_iter().find(|known| known.name() == suite)?;
        if !words.all(may_be_ignored) {
            return None;
        }
        let (method, info) = keys.split_once(':').filter(|_| !keys.contains(';'))?;
        let mut parts = info.split('|');
        let key = parts.next().filter(|_| method.eq_ignore_ascii_case("inline"))?;
        if !parts.next().is_none_or(is_lifetime) || parts.next().is_some() {
            return None;
        }
        let mut line = Self::new(tag, suite, |_| {});
        decode(key, line.key.get_mut(..suite.key_length())?)?;
        Some(line)
    }

    /// The attribute, with its key.
    pub(super) fn write(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("a=crypto:{} {} inline:{}\r\n", self.tag, self.suite.name(), *encode(self.key())))
    }
}

/// A hint for the replay window, or what its writer marks as optional (RFC 4568 section 6.3).
fn may_be_ignored(parameter: &str) -> bool {
    parameter.starts_with('-') || parameter.starts_with("WSH=")
}

/// A number of packets, after which its writer takes another key: `2^20`, or digits. An MKI has a colon.
fn is_lifetime(text: &str) -> bool {
    let digits = text.strip_prefix("2^").unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Base64 (RFC 4648 section 4); some peers leave the padding out. None unless it fills `bytes` exactly.
fn decode(text: &str, bytes: &mut [u8]) -> Option<()> {
    let text = text.trim_end_matches('=').as_bytes();
    if text.len() != (bytes.len() * 8).div_ceil(6) {
        return None;
    }
    let mut value = Zeroizing::new(0_u32);
    let mut bits = 0_u32;
    let mut places = bytes.iter_mut();
    for letter in text {
        let six = ALPHABET.iter().position(|known| known == letter)?;
        *value = (*value << 6 | u32::try_from(six).ok()?) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [.., byte] = (*value >> bits).to_be_bytes();
            *places.next()? = byte;
        }
    }
    Some(())
}

pub(crate) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let value = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let six = usize::try_from(value >> (18 - 6 * place) & 0x3f).unwrap_or_default();
            let letter = ALPHABET.get(six).filter(|_| usize::try_from(place).is_ok_and(|place| place <= group.len()));
            text.push(char::from(letter.copied().unwrap_or(b'=')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

    fn reads(line: &str) -> bool {
        Crypto::parse(line).is_some()
    }

    /// The example of RFC 4568 section 4.1.
    #[test]
    fn a_line_is_read_and_written() {
        let line = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20")).unwrap();
        assert_eq!((line.tag, line.suite, line.key().len()), (1, Suite::Aes128Sha1Tag80, 30));
        assert_eq!(line.key()[..9], *b"=-n@%^x!B");
        assert_eq!(*line.write(), format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"));
    }

    #[test]
    fn every_suite_comes_back_as_it_was_with_and_without_padding() {
        for suite in Suite::ALL {
            let line =
                Crypto::new(7, suite, |key| (1..).zip(key).for_each(|(n, byte)| *byte = u8::wrapping_mul(n, 37)));
            let written = line.write();
            let value = written.trim().strip_prefix("a=crypto:").unwrap();
            for text in [value, value.trim_end_matches('=')] {
                let read = Crypto::parse(text).unwrap();
                assert!(read.is_same_key(&line) && read.tag == 7, "{suite:?}");
            }
            assert!(!reads(&value[..value.len() - 3]), "{suite:?}: too short");
        }
    }

    #[test]
    fn what_cannot_be_used_is_skipped() {
        let with = |tag: &str, suite: &str, rest: &str| reads(&format!("{tag} {suite} inline:{KEY}{rest}"));
        let suite = "AES_CM_128_HMAC_SHA1_80";
        assert!(with("1", suite, "") && with("1", suite, "|1048576") && with("999999999", suite, " WSH=64 -X=1"));
        assert!(!with("1", suite, "|2^20|1:4") && !with("1", suite, "|1:4"), "an MKI");
        assert!(!with("1", suite, &format!(";inline:{KEY}")), "several keys");
        for parameter in ["KDR=1", "UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", "FEC_ORDER=X", "X"]
        {
            assert!(!with("1", suite, &format!(" {parameter}")), "{parameter}");
        }
        assert!(!with("1", "F8_128_HMAC_SHA1_80", "") && !with("1", "AES_256_CM_HMAC_SHA1_80", ""));
        assert!(!with("x", suite, "") && !with("1234567890", suite, "") && !with("+1", suite, ""));
        assert!(!reads(&format!("1 {suite} uri:{KEY}")) && !reads(&format!("1 {suite} inline:{}!", &KEY[1..])));
        assert!(!reads("") && !reads("1") && !reads(&format!("1 {suite}")) && !reads(&format!("1 {suite} inline:")));
    }
}
