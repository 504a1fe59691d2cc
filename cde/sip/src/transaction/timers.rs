//! Deadlines by key, with the earliest at hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// At most one deadline for a key.
pub(crate) struct Timers<K> {
    queue: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { queue: BTreeSet::new(), by_key: BTreeMap::new() }
    }

    pub(crate) fn set(&mut self, key: K, at: Instant) {
        self.cancel(key);
        self.queue.insert((at, key));
        self.by_key.insert(key, at);
    }

    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.queue.remove(&(at, key));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes the earliest deadline that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.queue.first()?;
        (at <= now).then(|| self.cancel(key))?;
        Some(key)
    }
}
