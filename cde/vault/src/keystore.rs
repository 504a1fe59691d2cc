//! Who keeps the root key: a file sealed by a passphrase today, an HSM or the shares of custodians next.

use crate::key::{Key, KeyError};
use crate::random::Random;

/// Which root key; from 1.
pub type RootVersion = u32;

/// Why the keeper of the root key did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// It has no such root key (any more).
    #[error("the key store has no root key {0}: was it restored from an older copy?")]
    NoRoot(RootVersion),
    /// The wrapped key is not what it was.
    #[error("a wrapped key is refused: {0}")]
    Key(#[from] KeyError),
    /// The file, the module, the network. The message says what to do.
    #[error("key store: {0}")]
    Failed(String),
}

/// The custody of the root key. What is wrapped by it is opened only here, so that an HSM needs never give it away.
/// All calls may block for as long as the keeper takes.
pub trait KeyStore: Send + Sync {
    /// The root key that new keys are wrapped by.
    fn current(&self) -> Result<RootVersion, KeyStoreError>;

    /// Wraps a key for a place.
    fn wrap(&self, root: RootVersion, place: &[u8], key: &Key, random: &dyn Random) -> Result<Vec<u8>, KeyStoreError>;

    /// Opens a key that was wrapped for this place.
    fn unwrap(&self, root: RootVersion, place: &[u8], wrapped: &[u8]) -> Result<Key, KeyStoreError>;

    /// Every root key that is there, oldest first. More than one: a rotation has not been finished.
    fn roots(&self) -> Result<Vec<RootVersion>, KeyStoreError>;

    /// Makes a new root key, which is the current one from now on. The older ones stay.
    fn add(&self, random: &dyn Random) -> Result<RootVersion, KeyStoreError>;

    /// Destroys a root key that nothing is wrapped by any more. The current one is refused.
    fn retire(&self, root: RootVersion) -> Result<(), KeyStoreError>;
}
