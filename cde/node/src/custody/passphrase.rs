//! What unseals the root key.

use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The fewest characters: what is sealed by it is worth years of guessing.
const CHARS_MIN: usize = 16;
const BYTES_MAX: usize = 4096;

/// Where a passphrase comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The first line of a file.
    File(PathBuf),
    /// A credential that systemd hands to the unit (`LoadCredential=`, `LoadCredentialEncrypted=`), by its name.
    Credential(String),
}

/// A passphrase. Wiped when dropped; it cannot be printed.
pub struct Passphrase(Zeroizing<Vec<u8>>);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Not readable.
    #[error("passphrase {place}: {source}")]
    Io {
        /// The file.
        place: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not started by systemd, or without the credential.
    #[error(
        "passphrase: systemd has handed over no credential \"{0}\" (CREDENTIALS_DIRECTORY is not set): put \
         LoadCredentialEncrypted={0}:… in the unit, or set passphrase_file in [vault] of cde.toml"
    )]
    NoCredentials(String),
    /// Too easily guessed.
    #[error("passphrase: it needs at least {CHARS_MIN} characters (`openssl rand -base64 32` makes a good one)")]
    TooShort,
    /// No passphrase at all.
    #[error("passphrase: expected one line of at most {BYTES_MAX} bytes")]
    TooLong,
}

impl Source {
    /// Reads it. `credentials` is the folder that `$CREDENTIALS_DIRECTORY` names.
    pub fn read(&self, credentials: Option<&Path>) -> Result<Passphrase, PassphraseError> {
        let place = match self {
            Self::File(file) => file.clone(),
            Self::Credential(name) => match credentials {
                Some(folder) => folder.join(name),
                None => return Err(PassphraseError::NoCredentials(name.clone())),
            },
        };
        let bytes = std::fs::read(&place).map_err(|source| PassphraseError::Io { place, source })?;
        Passphrase::new(&Zeroizing::new(bytes))
    }
}

impl Passphrase {
    /// From its bytes, which the caller wipes; a line feed ends it.
    pub fn new(bytes: &[u8]) -> Result<Self, PassphraseError> {
        let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
        if line.len() > BYTES_MAX {
            return Err(PassphraseError::TooLong);
        }
        if String::from_utf8_lossy(line).chars().count() < CHARS_MIN {
            return Err(PassphraseError::TooShort);
        }
        Ok(Self(Zeroizing::new(line.to_vec())))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
