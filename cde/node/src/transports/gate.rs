//! Who may have a connection, and how many.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections at once.
const CONNECTIONS_MAX: usize = 1024;
/// Of one address of a trunk.
const OF_TRUNK_MAX: usize = 128;
/// Of all addresses that no trunk has. They can do nothing but be refused.
const STRANGERS_MAX: usize = 64;
/// Of one such address.
const OF_STRANGER_MAX: usize = 4;

/// Counts connections by where they come from.
pub(super) struct Gate {
    trunks: BTreeSet<IpAddr>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    all: usize,
    strangers: usize,
    by_source: BTreeMap<IpAddr, usize>,
}

/// The right to one connection, given back when it is dropped.
pub(super) struct Pass {
    gate: Arc<Gate>,
    source: IpAddr,
}

impl Gate {
    pub(super) fn new(trunks: BTreeSet<IpAddr>) -> Self {
        Self { trunks, inside: Mutex::default() }
    }

    /// Lets one more in, if there is room.
    pub(super) fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Pass> {
        let is_stranger = !self.trunks.contains(&source);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = inside.by_source.get(&source).copied().unwrap_or_default();
        let source_max = if is_stranger { OF_STRANGER_MAX } else { OF_TRUNK_MAX };
        let is_full = inside.all >= CONNECTIONS_MAX || of_source >= source_max;
        if is_full || is_stranger && inside.strangers >= STRANGERS_MAX {
            return None;
        }
        inside.all += 1;
        inside.strangers += usize::from(is_stranger);
        inside.by_source.insert(source, of_source + 1);
        Some(Pass { gate: Arc::clone(self), source })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let is_stranger = !self.gate.trunks.contains(&self.source);
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all -= 1;
        inside.strangers -= usize::from(is_stranger);
        let left = inside.by_source.get(&self.source).map_or(0, |count| count - 1);
        if left == 0 {
            inside.by_source.remove(&self.source);
        } else {
            inside.by_source.insert(self.source, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: usize) -> IpAddr {
        [198, 51, 100, u8::try_from(last).unwrap()].into()
    }

    #[test]
    fn strangers_leave_room_for_trunks() {
        let trunk: IpAddr = [192, 0, 2, 1].into();
        let gate = Arc::new(Gate::new([trunk].into()));
        let strangers: Vec<Pass> =
            (0..200).flat_map(|n| [gate.enter(source(n)), gate.enter(source(n))]).flatten().collect();
        assert_eq!(strangers.len(), STRANGERS_MAX);
        let friends: Vec<Pass> = (0..200).filter_map(|_| gate.enter(trunk)).collect();
        assert_eq!(friends.len(), OF_TRUNK_MAX);
    }

    #[test]
    fn one_stranger_takes_no_others_place_and_gives_back_what_it_had() {
        let gate = Arc::new(Gate::new(BTreeSet::new()));
        let all: Vec<Pass> = (0..100).filter_map(|_| gate.enter(source(1))).collect();
        assert_eq!(all.len(), OF_STRANGER_MAX);
        assert!(gate.enter(source(2)).is_some());
        drop(all);
        assert!(gate.inside.lock().unwrap().by_source.is_empty());
        assert!(gate.enter(source(1)).is_some());
    }
}
