//! Which idempotency keys are being served just now. It is kept in memory, so that it ends with whoever serves: by an
//! answer, by a database that fails, by a panic, or with the process.

use crate::store::idempotency::Key;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// User, path, key; there is one for each request that is being served, and so no more than of those.
type Name = (i64, String, String);

/// The keys that are being served.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeSet<Name>>>);

/// The right to serve a key, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    name: Name,
}

impl Turns {
    /// The turn of this key; none while somebody else has it.
    pub(crate) fn begin(&self, key: Key<'_>) -> Option<Turn> {
        let name = (key.user, key.path.to_owned(), key.key.to_owned());
        self.lock().insert(name.clone()).then(|| Turn { turns: self.clone(), name })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Name>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_turn_at_a_time() {
        let turns = Turns::default();
        let key = Key { user: 1, path: "/p", key: "k", body_hash: b"h" };
        let first = turns.begin(key);
        assert!(first.is_some() && turns.begin(key).is_none());
        assert!(turns.begin(Key { user: 2, ..key }).is_some());
        drop(first);
        assert!(turns.begin(key).is_some());
    }
}
