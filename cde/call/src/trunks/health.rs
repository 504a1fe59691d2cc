//! What is shown of the trunks to an engineer.

use super::{Place, Trunks};
use crate::config::Trunk;
use crate::wall::Wall;
use sip::Peer;
use std::time::Instant;
use wire::{PlaceSnapshot, PlaceState, RegistrationSnapshot, RegistrationState, TrunkSnapshot};

/// What came of telling a place where we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registering {
    status: Option<u16>,
    since: Instant,
}

impl Registering {
    pub(super) fn new(now: Instant) -> Self {
        Self { status: None, since: now }
    }

    fn state(self) -> RegistrationState {
        self.status.map_or(RegistrationState::Asked, RegistrationState::of)
    }

    fn snapshot(self, wall: Wall) -> RegistrationSnapshot {
        RegistrationSnapshot { state: self.state(), status: self.status, since_unix_ms: wall.unix_ms(self.since) }
    }
}

impl Place {
    /// What is shown of it that signs of life change.
    pub(super) fn seen(&self) -> (PlaceState, u64) {
        (self.state(), self.failures)
    }

    fn state(&self) -> PlaceState {
        match (self.is_up, self.is_heard) {
            (false, _) => PlaceState::Down,
            (true, true) => PlaceState::Up,
            (true, false) => PlaceState::Unknown,
        }
    }

    fn snapshot(&self, wall: Wall) -> PlaceSnapshot {
        PlaceSnapshot {
            address: self.peer.address,
            priority: self.priority,
            weight: self.weight,
            state: self.state(),
            since_unix_ms: wall.unix_ms(self.since),
            is_probed: self.keepalive.is_some(),
            failures: self.failures,
            registration: self.registering.map(|registering| registering.snapshot(wall)),
        }
    }
}

impl Trunks {
    /// A registrar has given its last word, or none (408, 503); true if that is another than before.
    pub(crate) fn registered(&mut self, now: Instant, peer: Peer, status: u16) -> bool {
        let places = self.places.iter_mut().filter(|place| place.peer == peer);
        let Some((trunk, registering)) =
            places.filter_map(|place| Some((place.trunk, place.registering.as_mut()?))).next()
        else {
            return false;
        };
        let is_other = registering.status != Some(status);
        if is_other {
            *registering = Registering { status: Some(status), since: now };
            self.news.insert(trunk);
        }
        is_other
    }

    /// Something else about a trunk is to be shown anew.
    pub(crate) fn note_news(&mut self, trunk: usize) {
        self.news.insert(trunk);
    }

    /// A trunk of which there is something new; told once.
    pub(crate) fn take_news(&mut self) -> Option<usize> {
        self.news.pop_first()
    }

    pub(crate) fn snapshot(&self, wall: Wall, number: usize, trunk: &Trunk, legs: u32) -> TrunkSnapshot {
        let places = self.places.iter().filter(|place| place.trunk == number);
        TrunkSnapshot {
            name: trunk.name.clone(),
            transport: trunk.transport.name().to_ascii_lowercase(),
            legs,
            conferences: trunk.on_demand.as_ref().is_some_and(|on_demand| on_demand.conference.is_some()),
            places: places.map(|place| place.snapshot(wall)).collect(),
        }
    }
}
