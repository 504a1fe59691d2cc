//! The vault's shell: its two databases, the root key's file, random bytes of the operating system.
//!
//! # Layout
//! - `records`: ciphertext; may be backed up. `keyring`: wrapped keys; in a folder of its own, with the root key.
//! - `keyfile`: the root key, sealed by a passphrase. `passphrase`: where that comes from.
//! - `sqlite`: what both databases have in common.

mod keyfile;
mod keyring;
mod passphrase;
mod records;
mod sqlite;
#[cfg(test)]
mod tests;

pub use keyfile::KeyFile;
pub use keyring::Keys;
pub use passphrase::{Passphrase, PassphraseError, Source};
pub use records::Records;
pub use vault::{
    Approval, ApprovalError, Approved, Deed, Fingerprint, Import, KeyStore, KeyStoreError, Keyring, Officer, Overdue,
    Progress, Purged, Purpose, Random, Reason, Request, Shred, Store, StoreError, Tenant, TenantError, TransferError,
    Vault, VaultError,
};

use crate::{Config, clock};
use aws_lc_rs::rand;
use std::path::{Path, PathBuf};
use vault::NoRandomness;

/// The vault as this process has it.
pub type Cards = Vault<Records, Keys>;

/// The operating system's random bytes.
pub struct System;

impl Random for System {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        rand::fill(bytes).map_err(|_| NoRandomness)
    }
}

/// Why the vault is not open.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// `cde.toml` has no `[vault]`.
    #[error("cde.toml has no [vault]: say where it keeps records and keys (docs/configuration.md)")]
    None,
    /// A folder.
    #[error("folder {path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Keys and cards would lie in pages that may be swapped to disk.
    #[error("no memory can be locked for keys: raise the limit (`ulimit -l`) to 64 KiB or more")]
    NoLockedMemory,
    /// The passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The root key.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// A database.
    #[error("the vault's database: {0}")]
    Store(#[from] StoreError),
    /// The vault itself.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Where everything of the vault lies.
#[derive(Clone, Debug)]
pub struct Custody {
    /// The folder of the records.
    pub records: PathBuf,
    /// The folder of the keys.
    pub keys: PathBuf,
    /// What unseals the root key.
    pub source: Source,
}

impl Custody {
    /// From the configuration, and the folder that `cde.toml` lies in.
    pub fn of(config: &Config, folder: &Path) -> Result<Self, CustodyError> {
        let vault = config.vault.as_ref().ok_or(CustodyError::None)?;
        let source = match &vault.passphrase_file {
            Some(file) => Source::File(folder.join(file)),
            None => Source::Credential(vault.credential.clone()),
        };
        Ok(Self { records: folder.join(&vault.records), keys: folder.join(&vault.keys), source })
    }

    /// What everybody who runs this must know, in one line.
    pub fn said(&self) -> String {
        let by = match &self.source {
            Source::File(file) => format!("a passphrase in {}", file.display()),
            Source::Credential(name) => format!("the systemd credential \"{name}\""),
        };
        format!(
            "the vault's root key is a file on this machine ({}), sealed by {by}: whoever has the file, the passphrase and the \
             keyring has every stored card. Keep {} out of every backup of {}",
            self.root_file().display(),
            self.keys.display(),
            self.records.display(),
        )
    }

    /// Makes folders and root key where there are none. True when the root key is new.
    pub fn init(&self) -> Result<bool, CustodyError> {
        for folder in [&self.records, &self.keys] {
            private(folder)?;
        }
        let file = self.root_file();
        if file.exists() {
            return Ok(false);
        }
        KeyFile::create(&file, &self.passphrase()?, &System)?;
        Ok(true)
    }

    /// Opens the vault.
    pub async fn open(&self) -> Result<Cards, CustodyError> {
        let root = KeyFile::open(&self.root_file(), &self.passphrase()?)?;
        self.open_with(Box::new(root)).await
    }

    /// Opens the vault with another keeper of the root key.
    pub async fn open_with(&self, roots: Box<dyn KeyStore>) -> Result<Cards, CustodyError> {
        if memory::protection() == memory::Protection::None {
            return Err(CustodyError::NoLockedMemory);
        }
        let records = Records::open(&self.records.join("records.db")).await?;
        let keys = Keys::open(&self.keys.join("keyring.db")).await?;
        Ok(Vault::new(records, keys, roots, Box::new(System)))
    }

    /// Seals the root key by another passphrase.
    pub fn seal_by(&self, source: &Source) -> Result<(), CustodyError> {
        let file = KeyFile::open(&self.root_file(), &self.passphrase()?)?;
        Ok(file.seal_by(&source.read(credentials().as_deref())?, &System)?)
    }

    fn passphrase(&self) -> Result<Passphrase, PassphraseError> {
        self.source.read(credentials().as_deref())
    }

    fn root_file(&self) -> PathBuf {
        self.keys.join("root.key")
    }
}

/// Now, Unix milliseconds.
pub fn now_ms() -> i64 {
    clock::unix_ms()
}

/// Folds both logs and closes, if there is a vault.
pub async fn close(cards: Option<&Cards>) {
    let Some(cards) = cards else { return };
    cards.records().close().await;
    cards.keyring().close().await;
}

fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// A folder for this user alone.
fn private(folder: &Path) -> Result<(), CustodyError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let made = made.and_then(|()| std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)));
    made.map_err(|source| CustodyError::Folder { path: folder.to_owned(), source })
}
