//! `[vault]`

use serde::Deserialize;
use std::path::{Component, Path, PathBuf};

/// Where stored cards are. Relative paths start at the file's folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vault {
    /// Folder of the records: ciphertext, which may be backed up.
    pub records: PathBuf,
    /// Folder of the keys, which is never in that backup.
    pub keys: PathBuf,
    /// File with the passphrase that unseals the root key.
    pub passphrase_file: Option<PathBuf>,
    /// Else the systemd credential of this name.
    pub credential: String,
}

impl Default for Vault {
    fn default() -> Self {
        Self {
            records: "vault".into(),
            keys: "vault-keys".into(),
            passphrase_file: None,
            credential: "tonewall-vault".to_owned(),
        }
    }
}

impl Vault {
    /// What cannot work: the key, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let plain = |path: &Path| path.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>();
        let inside = |inner: &Path, outer: &Path| plain(inner).starts_with(plain(outer));
        if inside(&self.keys, &self.records) || inside(&self.records, &self.keys) {
            let message = "[vault] keys and records are in one folder: a backup of it would open every card that was \
                           shredded; give the keys a folder of their own"
                .to_owned();
            return Some(("keys", message));
        }
        let with_keys = self.passphrase_file.as_ref().filter(|file| inside(file, &self.keys))?;
        let message = format!(
            "[vault] passphrase_file = \"{}\" lies beside the root key that it seals: put it on another file system, or use a \
             systemd credential",
            with_keys.display()
        );
        Some(("passphrase_file", message))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use std::path::Path;

    fn problem(text: &str) -> Option<String> {
        Config::parse(text, Path::new("cde.toml")).err().map(|error| error.to_string())
    }

    #[test]
    fn keys_are_never_where_a_backup_of_the_records_takes_them_along() {
        assert_eq!(problem("[vault]"), None);
        for keys in ["vault", "vault/keys", "."] {
            let message = problem(&format!("[vault]\nrecords = \"./vault\"\nkeys = \"{keys}\"")).unwrap_or_default();
            assert!(message.contains("line 3") && message.contains("a folder of their own"), "{keys}: {message}");
        }
        let message = problem("[vault]\npassphrase_file = \"vault-keys/pass\"").unwrap_or_default();
        assert!(message.contains("line 2") && message.contains("another file system"), "{message}");
        assert!(problem("[vault]\nkey = \"x\"").unwrap_or_default().contains("line 2"));
    }
}
