//! Hybrid public key encryption to one recipient: RFC 9180, base mode, single shot (section 6.1).
//!
//! KEM: DHKEM(X25519, HKDF-SHA256), 0x0020. KDF: HKDF-SHA256, 0x0001. AEAD: AES-256-GCM, 0x0002. The primitives are aws-lc's.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

/// Bytes of a public key, and of the key that travels with a ciphertext (`enc`).
pub const PUBLIC_BYTES: usize = 32;
const KEM_SUITE: &[u8] = b"KEM\x00\x20";
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x02";
const KEY_BYTES: u16 = 32;
const NONCE_BYTES: u16 = 12;
const SECRET_BYTES: u16 = 32;

/// A public key that is none, a ciphertext for somebody else, or one that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was not sealed to this key, or has been changed since")]
pub struct HpkeError;

/// What is needed to open what was sealed to a public key. It cannot be printed or copied.
pub struct Recipient {
    private: PrivateKey,
    public: [u8; PUBLIC_BYTES],
}

impl Recipient {
    /// From its 32 secret bytes, which are any (RFC 7748 section 5), and which the caller wipes.
    pub fn new(secret: &[u8; 32]) -> Result<Self, HpkeError> {
        let private = PrivateKey::from_private_key(&X25519, secret).map_err(|_| HpkeError)?;
        let public = private.compute_public_key().map_err(|_| HpkeError)?;
        let public = public.as_ref().try_into().map_err(|_| HpkeError)?;
        Ok(Self { private, public })
    }

    /// The key to seal to.
    pub fn public(&self) -> [u8; PUBLIC_BYTES] {
        self.public
    }

    /// Opens what [`seal`] made with the same `info` and `aad`.
    pub fn open(&self, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        let (enc, rest) = sealed.split_first_chunk::<PUBLIC_BYTES>().ok_or(HpkeError)?;
        let secret = shared(&self.private, enc, (enc, &self.public))?;
        let (key, nonce) = schedule(&secret, info)?;
        let mut bytes = Zeroizing::new(rest.to_vec());
        let length = key.open_in_place(nonce, Aad::from(aad), &mut bytes).map_err(|_| HpkeError)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// Seals bytes to a public key with a fresh `ephemeral` secret of 32 random bytes, which is used once and never again.
pub fn seal(
    ephemeral: &[u8; 32],
    to: &[u8; PUBLIC_BYTES],
    info: &[u8],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, HpkeError> {
    let sender = Recipient::new(ephemeral)?;
    let secret = shared(&sender.private, to, (&sender.public, to))?;
    let (key, nonce) = schedule(&secret, info)?;
    let mut bytes = Zeroizing::new(plain.to_vec());
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut bytes).map_err(|_| HpkeError)?;
    Ok([sender.public.as_slice(), &bytes, tag.as_ref()].concat())
}

/// Section 4.1: Diffie-Hellman, then `ExtractAndExpand`. A shared point of zero is refused by the library (RFC 7748 section 6.1).
fn shared(
    private: &PrivateKey,
    peer: &[u8; PUBLIC_BYTES],
    (enc, recipient): (&[u8; PUBLIC_BYTES], &[u8; PUBLIC_BYTES]),
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let peer = UnparsedPublicKey::new(&X25519, peer);
    agree(private, peer, HpkeError, |dh| {
        let prk = extract(KEM_SUITE, b"", b"eae_prk", dh);
        expand(KEM_SUITE, &prk, b"shared_secret", &[enc.as_slice(), recipient].concat(), SECRET_BYTES)
    })
}

/// Section 5.1, mode base: the key and the nonce of the first message, which is the only one.
fn schedule(secret: &[u8], info: &[u8]) -> Result<(LessSafeKey, Nonce), HpkeError> {
    const MODE_BASE: &[u8] = &[0];
    let id = extract(SUITE, b"", b"psk_id_hash", b"");
    let info = extract(SUITE, b"", b"info_hash", info);
    let context = [MODE_BASE, id.as_slice(), info.as_slice()].concat();
    let secret = extract(SUITE, secret, b"secret", b"");
    let key = expand(SUITE, &secret, b"key", &context, KEY_BYTES)?;
    let nonce = expand(SUITE, &secret, b"base_nonce", &context, NONCE_BYTES)?;
    let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| HpkeError)?;
    let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| HpkeError)?;
    Ok((LessSafeKey::new(key), nonce))
}

/// `LabeledExtract` of section 4. HKDF-Extract is HMAC with the salt as its key (RFC 5869 section 2.2).
fn extract(suite: &[u8], salt: &[u8], label: &[u8], secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let input = Zeroizing::new([b"HPKE-v1", suite, label, secret].concat());
    Zeroizing::new(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), &input).as_ref().to_vec())
}

/// `LabeledExpand` of section 4.
fn expand(suite: &[u8], prk: &[u8], label: &[u8], info: &[u8], length: u16) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, prk);
    let size = length.to_be_bytes();
    let info = [size.as_slice(), b"HPKE-v1", suite, label, info];
    let mut out = Zeroizing::new(vec![0; usize::from(length)]);
    let key = prk.expand(&info, Length(usize::from(length))).map_err(|_| HpkeError)?;
    key.fill(&mut out).map_err(|_| HpkeError)?;
    Ok(out)
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let pair = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        text.as_bytes().chunks(2).map(pair).collect()
    }

    /// RFC 9180 appendix A.1 has our KEM and KDF; its AEAD is another, which the KEM does not know of.
    #[test]
    fn the_kem_is_that_of_rfc_9180() {
        let secret = hex("52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736");
        let sender = Recipient::new(secret.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(sender.public, *hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"));
        let secret = hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8");
        let recipient = Recipient::new(secret.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(recipient.public, *hex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"));
        let expected = hex("fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc");
        let ends = (&sender.public, &recipient.public);
        assert_eq!(*shared(&sender.private, &recipient.public, ends).unwrap(), expected);
        assert_eq!(*shared(&recipient.private, &sender.public, ends).unwrap(), expected);
    }

    /// The text that the test of the office's page makes by Web Crypto (`office/web/src/gateways/seal.test.ts`).
    #[test]
    fn what_the_page_of_the_office_seals_opens() {
        let (enc, rest) = (
            "5dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22",
            "1dae3a59ba1eb09d683d90301271e9d73bf8bd8c68e5cb28",
        );
        let sealed = [hex(enc), hex(rest)].concat();
        let recipient = Recipient::new(&[1; 32]).unwrap();
        let opened = recipient.open(b"tonewall-credential-1", b"key|stripe-uk", &sealed).unwrap();
        assert_eq!(**opened, *b"a secret");
        assert_eq!(
            seal(&[3; 32], &recipient.public(), b"tonewall-credential-1", b"key|stripe-uk", b"a secret").unwrap(),
            sealed
        );
    }

    #[test]
    fn what_was_sealed_opens_for_its_recipient_alone() {
        let (recipient, other) = (Recipient::new(&[1; 32]).unwrap(), Recipient::new(&[2; 32]).unwrap());
        let sealed = seal(&[3; 32], &recipient.public(), b"info", b"aad", b"a card").unwrap();
        assert_eq!(**recipient.open(b"info", b"aad", &sealed).unwrap(), *b"a card");
        assert!(other.open(b"info", b"aad", &sealed).is_err());
        assert!(recipient.open(b"other", b"aad", &sealed).is_err());
        assert!(recipient.open(b"info", b"other", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(recipient.open(b"info", b"aad", &changed).is_err(), "byte {place}");
        }
        assert!(seal(&[3; 32], &[0; 32], b"", b"", b"").is_err(), "a key of small order");
    }
}
