//! Root keys in memory.

use crate::key::Key;
use crate::keystore::{KeyStore, KeyStoreError, RootVersion};
use crate::random::Random;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Root keys that end with the test. Clones are the same.
#[derive(Clone)]
pub struct Roots(Arc<Mutex<BTreeMap<RootVersion, Key>>>);

impl Roots {
    /// With one root key.
    pub fn new(random: &dyn Random) -> Self {
        Self(Arc::new(Mutex::new([(1, Key::random(random).unwrap())].into())))
    }
}

impl KeyStore for Roots {
    fn current(&self) -> Result<RootVersion, KeyStoreError> {
        self.0.lock().unwrap().keys().last().copied().ok_or(KeyStoreError::NoRoot(1))
    }

    fn wrap(&self, root: RootVersion, place: &[u8], key: &Key, random: &dyn Random) -> Result<Vec<u8>, KeyStoreError> {
        let roots = self.0.lock().unwrap();
        Ok(roots.get(&root).ok_or(KeyStoreError::NoRoot(root))?.wrap(random, place, key)?)
    }

    fn unwrap(&self, root: RootVersion, place: &[u8], wrapped: &[u8]) -> Result<Key, KeyStoreError> {
        let roots = self.0.lock().unwrap();
        Ok(roots.get(&root).ok_or(KeyStoreError::NoRoot(root))?.unwrap(place, wrapped)?)
    }

    fn roots(&self) -> Result<Vec<RootVersion>, KeyStoreError> {
        Ok(self.0.lock().unwrap().keys().copied().collect())
    }

    fn add(&self, random: &dyn Random) -> Result<RootVersion, KeyStoreError> {
        let next = self.current()? + 1;
        self.0.lock().unwrap().insert(next, Key::random(random)?);
        Ok(next)
    }

    fn retire(&self, root: RootVersion) -> Result<(), KeyStoreError> {
        if root == self.current()? {
            return Err(KeyStoreError::Failed("the current root key is in use".to_owned()));
        }
        self.0.lock().unwrap().remove(&root).map(drop).ok_or(KeyStoreError::NoRoot(root))
    }
}
