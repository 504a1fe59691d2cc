//! The root key in a file, sealed by a passphrase.
//!
//! Argon2id (RFC 9106) makes the key that seals the root keys, each bound to its version. Another process may rotate them:
//! the file is looked at before each use, and read again when it has changed.

use super::passphrase::Passphrase;
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use vault::hex::{hex, unhex};
use vault::{Key, KeyStore, KeyStoreError, Random, RootVersion};
use zeroize::Zeroizing;

/// The file's form.
const FORMAT: u32 = 1;
/// Memory, passes and lanes: more than the second choice of RFC 9106 section 4 (64 MiB, three passes, here on one lane).
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// The most that a file may ask for, so that a changed one cannot take all memory.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;
/// Others may not read it.
const OTHERS: u32 = 0o077;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u32,
    /// Argon2id.
    memory_kib: u32,
    passes: u32,
    salt: String,
    /// Sealed, by version.
    roots: BTreeMap<RootVersion, String>,
}

/// Which file was read: another one has another inode or time.
type Stamp = (u64, i64, i64, u64);

struct Open {
    /// What the passphrase makes, kept so that the file can be read again when another process has rotated it.
    unlock: Key,
    content: Content,
    stamp: Stamp,
    roots: BTreeMap<RootVersion, Key>,
}

/// The root key's file, opened.
pub struct KeyFile {
    path: PathBuf,
    open: Mutex<Open>,
}

impl KeyFile {
    /// Makes the file with a first root key. An existing one is refused.
    pub fn create(path: &Path, passphrase: &Passphrase, random: &dyn Random) -> Result<(), KeyStoreError> {
        if path.exists() {
            return Err(failed(path, "it is there already: it is never overwritten"));
        }
        let mut salt = [0; 16];
        random.fill(&mut salt).map_err(|error| failed(path, error))?;
        let mut content = Content {
            format: FORMAT,
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt: hex(&salt),
            roots: BTreeMap::new(),
        };
        let unlock = unlock(path, &content, passphrase)?;
        content.roots.insert(1, seal(&unlock, random, 1, &Key::random(random)?)?);
        write(path, &content)
    }

    /// Opens the file.
    pub fn open(path: &Path, passphrase: &Passphrase) -> Result<Self, KeyStoreError> {
        let (content, stamp) = read(path)?;
        let unlock = unlock(path, &content, passphrase)?;
        let roots = unsealed(path, &unlock, &content)?;
        Ok(Self { path: path.to_owned(), open: Mutex::new(Open { unlock, content, stamp, roots }) })
    }

    /// Seals the root keys by another passphrase.
    pub fn seal_by(&self, passphrase: &Passphrase, random: &dyn Random) -> Result<(), KeyStoreError> {
        let _alone = self.alone()?;
        let mut open = self.current_file()?;
        let mut salt = [0; 16];
        random.fill(&mut salt).map_err(|error| failed(&self.path, error))?;
        let mut content = Content { memory_kib: MEMORY_KIB, passes: PASSES, salt: hex(&salt), ..open.content.clone() };
        let key = unlock(&self.path, &content, passphrase)?;
        content.roots = open
            .roots
            .iter()
            .map(|(version, root)| Ok((*version, seal(&key, random, *version, root)?)))
            .collect::<Result<_, KeyStoreError>>()?;
        write(&self.path, &content)?;
        open.unlock = key;
        Ok(())
    }

    /// What was read, read again if the file is another one now.
    fn current_file(&self) -> Result<MutexGuard<'_, Open>, KeyStoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp(&self.path)? != open.stamp {
            let (content, stamp) = read(&self.path)?;
            open.roots = unsealed(&self.path, &open.unlock, &content)?;
            (open.content, open.stamp) = (content, stamp);
        }
        Ok(open)
    }

    /// One process at a time changes the file.
    fn alone(&self) -> Result<File, KeyStoreError> {
        let path = self.path.with_extension("lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let lock = lock.map_err(|error| failed(&path, error))?;
        lock.lock().map_err(|error| failed(&path, error))?;
        Ok(lock)
    }

    fn change(&self, change: impl FnOnce(&mut Open) -> Result<(), KeyStoreError>) -> Result<(), KeyStoreError> {
        let _alone = self.alone()?;
        let mut open = self.current_file()?;
        change(&mut open)?;
        write(&self.path, &open.content)
    }
}

impl KeyStore for KeyFile {
    fn current(&self) -> Result<RootVersion, KeyStoreError> {
        newest(&*self.current_file()?)
    }

    fn wrap(&self, root: RootVersion, place: &[u8], key: &Key, random: &dyn Random) -> Result<Vec<u8>, KeyStoreError> {
        let open = self.current_file()?;
        Ok(open.roots.get(&root).ok_or(KeyStoreError::NoRoot(root))?.wrap(random, place, key)?)
    }

    fn unwrap(&self, root: RootVersion, place: &[u8], wrapped: &[u8]) -> Result<Key, KeyStoreError> {
        let open = self.current_file()?;
        Ok(open.roots.get(&root).ok_or(KeyStoreError::NoRoot(root))?.unwrap(place, wrapped)?)
    }

    fn roots(&self) -> Result<Vec<RootVersion>, KeyStoreError> {
        Ok(self.current_file()?.roots.keys().copied().collect())
    }

    fn add(&self, random: &dyn Random) -> Result<RootVersion, KeyStoreError> {
        let mut added = 0;
        self.change(|open| {
            added = newest(open)?.saturating_add(1);
            let root = Key::random(random)?;
            open.content.roots.insert(added, seal(&open.unlock, random, added, &root)?);
            Ok(())
        })?;
        Ok(added)
    }

    fn retire(&self, root: RootVersion) -> Result<(), KeyStoreError> {
        self.change(|open| {
            if newest(open)? == root {
                return Err(KeyStoreError::Failed("the current root key is in use".to_owned()));
            }
            open.content.roots.remove(&root).map(drop).ok_or(KeyStoreError::NoRoot(root))
        })
    }
}

fn newest(open: &Open) -> Result<RootVersion, KeyStoreError> {
    open.roots.keys().next_back().copied().ok_or(KeyStoreError::NoRoot(1))
}

fn failed(path: &Path, why: impl std::fmt::Display) -> KeyStoreError {
    KeyStoreError::Failed(format!("{}: {why}", path.display()))
}

fn place(version: RootVersion) -> Vec<u8> {
    format!("tonewall-root-key-{FORMAT}/{version}").into_bytes()
}

fn seal(unlock: &Key, random: &dyn Random, version: RootVersion, root: &Key) -> Result<String, KeyStoreError> {
    Ok(hex(&unlock.wrap(random, &place(version), root)?))
}

fn unsealed(path: &Path, unlock: &Key, content: &Content) -> Result<BTreeMap<RootVersion, Key>, KeyStoreError> {
    let wrong = || failed(path, "wrong passphrase, or a changed file");
    let one = |(version, sealed): (&RootVersion, &String)| {
        let sealed = unhex(sealed).ok_or_else(wrong)?;
        Ok((*version, unlock.unwrap(&place(*version), &sealed).map_err(|_| wrong())?))
    };
    content.roots.iter().map(one).collect()
}

fn unlock(path: &Path, content: &Content, passphrase: &Passphrase) -> Result<Key, KeyStoreError> {
    let salt = unhex(&content.salt).ok_or_else(|| failed(path, "no salt"))?;
    let bounds = content.memory_kib <= MEMORY_KIB_MAX && content.passes <= PASSES_MAX;
    let params = Params::new(content.memory_kib, content.passes, LANES, Some(32)).ok().filter(|_| bounds);
    let params = params.ok_or_else(|| failed(path, "its Argon2 parameters are out of bounds"))?;
    let mut bytes = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.bytes(), &salt, &mut *bytes)
        .map_err(|error| failed(path, error))?;
    Key::new(&bytes).map_err(|error| failed(path, error))
}

fn stamp(path: &Path) -> Result<Stamp, KeyStoreError> {
    let meta = std::fs::metadata(path).map_err(|error| failed(path, error))?;
    Ok((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len()))
}

fn read(path: &Path) -> Result<(Content, Stamp), KeyStoreError> {
    let hint = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(path, "there is no root key: `tonewall vault init` makes one"),
        _ => failed(path, error),
    };
    let meta = std::fs::metadata(path).map_err(hint)?;
    if meta.mode() & OTHERS != 0 {
        return Err(failed(path, "others may read it: chmod 600, and think about who has"));
    }
    let before = stamp(path)?;
    let text = std::fs::read_to_string(path).map_err(hint)?;
    let content: Content = serde_json::from_str(&text).map_err(|error| failed(path, error))?;
    if content.format != FORMAT || content.roots.is_empty() {
        return Err(failed(path, "not a file of root keys that this build knows"));
    }
    Ok((content, before))
}

/// Puts a whole new file in the place of the old one: whatever dies, one of the two is there.
fn write(path: &Path, content: &Content) -> Result<(), KeyStoreError> {
    let text = serde_json::to_string_pretty(content).map_err(|error| failed(path, error))?;
    let fresh = path.with_extension("new");
    let put = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    put().map_err(|error| failed(path, error))
}
