//! Credentials of gateways on their way in: sealed by whoever has them to the cde's public key. They go one way: nothing here gives one back.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What of HPKE (RFC 9180) says that it is for this, and for nothing else that is sealed to the same key.
pub const SEALED_FOR: &[u8] = b"tonewall-credential-1";
/// The shortest: a public key and a tag, and one byte between them.
const BYTES_MIN: usize = 32 + 16 + 1;
/// The longest.
const BYTES_MAX: usize = 8192;

/// Which of a gateway's secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSlot {
    /// Its key.
    Key,
    /// What its webhooks are signed with.
    WebhookKey,
}

impl CredentialSlot {
    /// All.
    pub const ALL: [Self; 2] = [Self::Key, Self::WebhookKey];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::WebhookKey => "webhook_key",
        }
    }

    /// What a credential is bound to: sealed for one gateway and slot, it does not open for another.
    pub fn bound_to(self, gateway: &str) -> Vec<u8> {
        [self.as_str().as_bytes(), b"|", gateway.as_bytes()].concat()
    }
}

/// Not one of a gateway's secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a credential of a gateway: expected key or webhook_key")]
pub struct SlotError;

impl std::str::FromStr for CredentialSlot {
    type Err = SlotError;
    fn from_str(text: &str) -> Result<Self, SlotError> {
        Self::ALL.into_iter().find(|slot| slot.as_str() == text).ok_or(SlotError)
    }
}

/// A credential that only the cde can open: HPKE in base mode, in hexadecimal. It is ciphertext of a random key, and not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sealed(String);

/// Not a sealed credential. The text itself is not repeated: it may be the credential in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed credential: expected what `tonewall credential seal` prints")]
pub struct SealedError;

impl Sealed {
    /// Hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sealed {
    type Error = SealedError;
    fn try_from(text: String) -> Result<Self, SealedError> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let fits = text.len().is_multiple_of(2) && (BYTES_MIN..=BYTES_MAX).contains(&(text.len() / 2));
        if is_hex && fits { Ok(Self(text)) } else { Err(SealedError) }
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        sealed.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len() / 2)
    }
}

/// Where a credential comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// A file that `cde.toml` names.
    File,
    /// An environment variable that `cde.toml` names.
    Environment,
    /// It was given here.
    Office,
    /// There is none.
    None,
}

/// What may be said of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialView {
    /// Which.
    pub slot: CredentialSlot,
    /// Where it comes from.
    pub source: CredentialSource,
    /// When it was given, Unix milliseconds.
    pub set_unix_ms: Option<i64>,
    /// Who gave it: the office's id of a user.
    pub set_by: Option<i64>,
    /// The beginning of a keyed digest: two of the same secret have the same one.
    pub fingerprint: Option<String>,
}

/// What may be said of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayView {
    /// As `cde.toml` calls it.
    pub name: String,
    /// Does it take its credentials from here?
    pub from_office: bool,
    /// Its secrets.
    pub credentials: Vec<CredentialView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_in_the_clear_is_not_taken_for_a_sealed_one_and_none_is_printed() {
        for text in
            ["sk_test_4eC39HqLyjWDarjtT1zdp7dc", "", "00", &"0".repeat(97), &"A".repeat(98), &"0".repeat(20_000)]
        {
            assert!(Sealed::try_from(text.to_owned()).is_err(), "{text}");
        }
        let sealed = Sealed::try_from("ab".repeat(49)).unwrap();
        assert_eq!(format!("{sealed:?}"), "Sealed(49 bytes)");
        assert_eq!("webhook_key".parse(), Ok(CredentialSlot::WebhookKey));
        assert_ne!(CredentialSlot::Key.bound_to("a"), CredentialSlot::Key.bound_to("b"));
    }
}
