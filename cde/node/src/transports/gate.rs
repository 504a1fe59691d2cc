//! Who may have a connection, and how many.

use call::network;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Connections at once.
const CONNECTIONS_MAX: usize = 1024;
/// Of one address of a trunk, or of phones that have signed in.
const OF_FRIEND_MAX: usize = 128;
/// Of all addresses that no trunk has, until their phones have signed in. They can do nothing but be refused.
const STRANGERS_MAX: usize = 64;
/// Of one such address, or of one network of IPv6: whoever has one address there has all of them.
const OF_STRANGER_MAX: usize = 4;

/// Counts connections by where they come from.
pub(super) struct Gate {
    trunks: BTreeSet<IpAddr>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// Where trunks are that have names.
    found: BTreeMap<usize, BTreeSet<IpAddr>>,
    all: usize,
    strangers: usize,
    /// By address, of strangers by network, and whether they are friends.
    by_source: BTreeMap<(IpAddr, bool), usize>,
}

impl Inside {
    fn of(&self, source: IpAddr, is_friend: bool) -> usize {
        self.by_source.get(&key(source, is_friend)).copied().unwrap_or_default()
    }

    fn add(&mut self, source: IpAddr, is_friend: bool) {
        self.all += 1;
        self.strangers += usize::from(!is_friend);
        *self.by_source.entry(key(source, is_friend)).or_default() += 1;
    }

    fn remove(&mut self, source: IpAddr, is_friend: bool) {
        self.all -= 1;
        self.strangers -= usize::from(!is_friend);
        let left = self.of(source, is_friend).saturating_sub(1);
        if left == 0 {
            self.by_source.remove(&key(source, is_friend));
        } else {
            self.by_source.insert(key(source, is_friend), left);
        }
    }
}

/// Friends are counted by their address, strangers by what one of them can have for the asking.
fn key(source: IpAddr, is_friend: bool) -> (IpAddr, bool) {
    (if is_friend { source } else { network(source) }, is_friend)
}

/// The right to one connection, given back when it is dropped.
pub(crate) struct Pass {
    gate: Arc<Gate>,
    source: IpAddr,
    /// Among whom it is counted.
    is_friend: AtomicBool,
    /// Its phone has signed in, whether or not there was room among the friends.
    has_signed_in: AtomicBool,
}

impl Gate {
    pub(super) fn new(trunks: BTreeSet<IpAddr>) -> Self {
        Self { trunks, inside: Mutex::default() }
    }

    /// A trunk, by its place in the list, is at these addresses.
    pub(super) fn know(&self, trunk: usize, addresses: BTreeSet<IpAddr>) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.found.insert(trunk, addresses);
    }

    /// Lets one more in, if there is room.
    pub(super) fn enter(self: &Arc<Self>, source: IpAddr) -> Option<Pass> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let is_friend = self.trunks.contains(&source) || inside.found.values().any(|found| found.contains(&source));
        let source_max = if is_friend { OF_FRIEND_MAX } else { OF_STRANGER_MAX };
        let is_full = inside.all >= CONNECTIONS_MAX || inside.of(source, is_friend) >= source_max;
        if is_full || !is_friend && inside.strangers >= STRANGERS_MAX {
            return None;
        }
        inside.add(source, is_friend);
        let (is_friend, has_signed_in) = (AtomicBool::new(is_friend), AtomicBool::new(false));
        Some(Pass { gate: Arc::clone(self), source, is_friend, has_signed_in })
    }
}

impl Pass {
    /// Is it a trunk's, or one whose phone has signed in? By whom it is counted with says nothing of that.
    pub(super) fn is_known(&self) -> bool {
        self.is_friend.load(Ordering::Relaxed) || self.has_signed_in.load(Ordering::Relaxed)
    }

    /// Its phone has signed in: it leaves the strangers their place. Without room among the friends it is counted as one of them still.
    pub(super) fn befriend(&self) {
        self.has_signed_in.store(true, Ordering::Relaxed);
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.of(self.source, true) < OF_FRIEND_MAX && !self.is_friend.swap(true, Ordering::Relaxed) {
            inside.remove(self.source, false);
            inside.add(self.source, true);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.remove(self.source, self.is_friend.load(Ordering::Relaxed));
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
        assert_eq!(friends.len(), OF_FRIEND_MAX);
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

    #[test]
    fn a_network_of_ipv6_is_one_stranger() {
        let gate = Arc::new(Gate::new(BTreeSet::new()));
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        let all: Vec<Pass> = (1..100).filter_map(|n| gate.enter(of(&format!("2001:db8:0:7:{n}::{n}")))).collect();
        assert_eq!(all.len(), OF_STRANGER_MAX);
        all.first().unwrap().befriend();
        let other = [gate.enter(of("2001:db8:0:8::1")), gate.enter(of("2001:db8:0:7::a"))];
        assert!(other.iter().all(Option::is_some), "another network, and the place of a friend");
        let mapped: Vec<Pass> = (1..=9).filter_map(|n| gate.enter(of(&format!("::ffff:198.51.100.{n}")))).collect();
        assert_eq!(mapped.len(), 9);
        drop((all, other, mapped));
        let inside = gate.inside.lock().unwrap();
        assert!(inside.by_source.is_empty() && inside.all == 0 && inside.strangers == 0);
    }

    #[test]
    fn an_office_of_phones_signs_in_behind_one_address() {
        let gate = Arc::new(Gate::new(BTreeSet::new()));
        let mut phones = Vec::new();
        while let Some(pass) = gate.enter(source(1)) {
            pass.befriend();
            pass.befriend();
            phones.push(pass);
        }
        assert_eq!(phones.len(), OF_FRIEND_MAX + OF_STRANGER_MAX, "as many as a trunk, and those that are signing in");
        assert_eq!(gate.inside.lock().unwrap().strangers, OF_STRANGER_MAX);
        assert!(phones.iter().all(Pass::is_known), "and none of them is cut off as a stranger");
        drop(phones);
        let inside = gate.inside.lock().unwrap();
        assert!(inside.by_source.is_empty() && inside.all == 0 && inside.strangers == 0);
    }
}
