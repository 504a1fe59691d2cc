//! Where trunks are that have names: what was found out is followed, by whom is called, who is listened to and where we register.

use super::Switchboard;
use crate::config::{Nat, Target, Trunk};
use sip::{Peer, Registration};
use std::collections::BTreeSet;
use std::time::Instant;

impl Switchboard {
    /// A trunk is at these places from now on, all of one family. What is known of a place that stays is kept. Nothing found is no
    /// news: the old places stay.
    pub fn handle_places(&mut self, now: Instant, trunk: usize, targets: Vec<Target>) {
        let Some(of) = self.config.trunks.get_mut(trunk) else { return };
        if targets.is_empty() || of.targets == targets {
            return;
        }
        of.targets = targets;
        self.trunks.move_to(now, trunk, of);
        self.friends = self.config.trunks.iter().flat_map(|trunk| &trunk.targets).map(|target| target.ip).collect();
        self.note_hidden();
        self.register_anew(now);
        self.drain_endpoint(now);
    }

    /// Which hosts are behind NATs.
    pub(super) fn note_hidden(&mut self) {
        let hidden = self.config.trunks.iter().filter(|trunk| trunk.nat == Nat::Learn);
        self.endpoint.answer_to_source(hidden.flat_map(|trunk| &trunk.targets).map(|target| target.ip).collect());
    }

    /// Registers where a trunk is now, and takes back what stands where none is any more.
    fn register_anew(&mut self, now: Instant) {
        let wanted: Vec<Registration> = self.config.trunks.iter().flat_map(Trunk::registrations).collect();
        let places: BTreeSet<Peer> = wanted.iter().map(|registration| registration.destination).collect();
        let gone: Vec<_> =
            self.registrars.iter().filter(|(_, peer)| !places.contains(peer)).map(|(id, _)| *id).collect();
        for id in gone {
            self.registrars.remove(&id);
            self.endpoint.take_back(now, id);
        }
        let standing: BTreeSet<Peer> = self.registrars.values().copied().collect();
        for registration in wanted.into_iter().filter(|registration| !standing.contains(&registration.destination)) {
            let registrar = registration.destination;
            if !self.draining
                && let Ok(id) = self.endpoint.register(now, registration)
            {
                self.registrars.insert(id, registrar);
            }
        }
    }
}
