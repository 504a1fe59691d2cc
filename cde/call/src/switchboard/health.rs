//! How the trunks are, shown to the office: at once when one turns, and how many legs each has at most once a second.

use super::{Output, Switchboard};
use sip::RegistrationId;
use std::time::{Duration, Instant};
use wire::{Event, TrunkSnapshot};

/// Legs come and go faster than anybody reads.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// How many legs each trunk has, as it was counted last.
#[derive(Default)]
pub(super) struct Legs {
    counted: Vec<u32>,
    /// When they are counted again; none while nothing has changed.
    count_at: Option<Instant>,
}

impl Legs {
    /// A call has a leg more or less.
    pub(super) fn change(&mut self, now: Instant) {
        self.count_at.get_or_insert(now + COUNT_EVERY);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.count_at
    }

    fn of(&self, trunk: usize) -> u32 {
        self.counted.get(trunk).copied().unwrap_or_default()
    }
}

impl Switchboard {
    /// Every trunk, for an office that has just connected.
    pub fn trunks(&self) -> Vec<TrunkSnapshot> {
        (0..self.config.trunks.len()).filter_map(|trunk| self.trunk(trunk)).collect()
    }

    fn trunk(&self, number: usize) -> Option<TrunkSnapshot> {
        let trunk = self.config.trunks.get(number)?;
        Some(self.trunks.snapshot(self.wall, number, trunk, self.legs.of(number)))
    }

    /// Shows every trunk of which there is something new.
    pub(super) fn show_trunks(&mut self) {
        while let Some(number) = self.trunks.take_news() {
            let trunk = self.trunk(number);
            self.outputs.extend(trunk.map(|trunk| Output::Wire(Event::Trunk { trunk })));
        }
    }

    /// Counts the legs anew if it is time.
    pub(super) fn count_legs(&mut self, now: Instant) {
        if self.legs.count_at.is_none_or(|at| at > now) {
            return;
        }
        let mut counted = vec![0_u32; self.config.trunks.len()];
        for peer in self.calls.values().flat_map(|call| call.peers()) {
            let trunk = self.config.trunk_of(peer).and_then(|trunk| counted.get_mut(trunk));
            trunk.into_iter().for_each(|count| *count += 1);
        }
        let changed = counted.iter().enumerate().filter(|(number, count)| self.legs.of(*number) != **count);
        changed.for_each(|(number, _)| self.trunks.note_news(number));
        self.legs = Legs { counted, count_at: None };
    }

    /// A registrar is a place of a trunk: what it says, or does not, is a sign of life like any other. What it refuses for
    /// another reason than that it is overloaded shows that it is there.
    pub(super) fn registrar_heard(&mut self, now: Instant, registration: RegistrationId, status: u16) {
        let Some(peer) = self.registrars.get(&registration).copied() else { return };
        let turned = self.trunks.called(now, peer, !matches!(status, 408 | 503));
        self.outputs.extend(turned.map(|turned| Output::turned(&self.config, &turned)));
        if self.trunks.registered(now, peer, status) {
            let trunk = self.config.trunk_of(peer).and_then(|trunk| self.config.trunks.get(trunk));
            let trunk = trunk.map(|trunk| trunk.name.clone()).unwrap_or_default();
            self.outputs.push_back(Output::Registered { trunk, address: peer.address, status });
        }
    }
}
