//! Where trunks are that have names: found out again and again while we run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

/// The places of trunks by their place in the list.
#[derive(Default)]
pub(super) struct Found(RwLock<BTreeMap<usize, Vec<SocketAddr>>>);

impl Found {
    /// A trunk is there from now on.
    pub(super) fn know(&self, trunk: usize, places: Vec<SocketAddr>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(trunk, places);
    }

    /// Whether a trunk is at such a place.
    pub(super) fn is_at(&self, trunk: usize, is: impl Fn(&SocketAddr) -> bool) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&trunk).is_some_and(|places| places.iter().any(is))
    }
}
