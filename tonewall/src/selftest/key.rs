//! The key that signs reports: Ed25519, as PKCS#8, in a file for its owner alone.

use anyhow::Context;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// In the configuration folder.
const FILE: &str = "selftest.key";
const OTHERS: u32 = 0o077;

pub(crate) struct SigningKey {
    pair: Ed25519KeyPair,
    kept: bool,
}

impl SigningKey {
    /// The one in a folder, made when it is not there; without a folder one for this run alone.
    pub(super) fn of(folder: Option<&Path>) -> anyhow::Result<Self> {
        match folder {
            Some(folder) => Self::in_file(&folder.join(FILE)),
            None => Ok(Self { pair: fresh()?, kept: false }),
        }
    }

    /// The one in a file, made when it is not there.
    pub(crate) fn in_file(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            return kept_in(path);
        }
        let pair = fresh()?;
        let encoded = pair.to_pkcs8v1().ok().context("encoding a key")?;
        let what = || path.display().to_string();
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path).with_context(what)?;
        file.write_all(encoded.as_ref()).and_then(|()| file.sync_all()).with_context(what)?;
        Ok(Self { pair, kept: true })
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        // An Ed25519 public key has 32 bytes.
        self.pair.public_key().as_ref().try_into().unwrap_or_default()
    }

    /// Is it there in the next run?
    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }
}

/// The key in a folder.
pub(super) fn kept(folder: &Path) -> anyhow::Result<SigningKey> {
    let file = folder.join(FILE);
    if !file.exists() {
        anyhow::bail!("{}: there is no key yet; the first self-test with this folder makes one", file.display());
    }
    kept_in(&file)
}

fn kept_in(file: &Path) -> anyhow::Result<SigningKey> {
    let shown = file.display();
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            anyhow::bail!("{shown}: there is no such key")
        }
        Err(error) => return Err(error).with_context(|| shown.to_string()),
    };
    let mode = std::fs::metadata(file).with_context(|| shown.to_string())?.mode();
    anyhow::ensure!(mode & OTHERS == 0, "{shown}: others may read it, so it proves nothing; delete it, or chmod 600");
    let pair = Ed25519KeyPair::from_pkcs8(&bytes).ok().with_context(|| format!("{shown}: no Ed25519 key in PKCS#8"))?;
    Ok(SigningKey { pair, kept: true })
}

fn fresh() -> anyhow::Result<Ed25519KeyPair> {
    Ed25519KeyPair::generate().ok().context("making a key")
}
