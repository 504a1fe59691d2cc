//! The disk of orders that were made ahead of their calls.

use super::World;
use call::{CodeState, KeptOrder};
use std::time::Duration;
use wire::{CallId, PaymentId, Refusal};

/// What it does with what is written of orders.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    Writes,
    Refuses,
    /// It writes, and nobody hears of it yet.
    IsSlow,
}

impl World {
    pub(super) fn keep_order(&mut self, kept: KeptOrder) {
        let (payment, is_kept) = (kept.order.payment, self.disk != Disk::Refuses);
        if is_kept {
            let before = kept.replaces.and_then(|before| self.kept.get_mut(&before));
            before.into_iter().for_each(|(_, state)| *state = CodeState::Replaced);
            self.kept.insert(payment, (kept, CodeState::Waiting));
        }
        match self.disk {
            Disk::IsSlow => self.unheard_orders.push(payment),
            Disk::Writes | Disk::Refuses => self.board.handle_order_kept(payment, is_kept),
        }
    }

    pub(super) fn use_code(&mut self, call: CallId, payment: PaymentId) {
        let used = match self.kept.get_mut(&payment) {
            _ if self.disk == Disk::Refuses => Err(Refusal::JournalFault),
            Some((_, state)) => Ok(std::mem::replace(state, CodeState::Used) == CodeState::Waiting),
            None => Ok(false),
        };
        match self.disk {
            Disk::IsSlow => self.unheard.push((call, payment, used)),
            Disk::Writes | Disk::Refuses => self.board.handle_code_used(self.now, call, payment, used),
        }
    }

    /// What the disk has done is heard.
    pub(crate) fn hears_of_disk(&mut self) {
        self.disk = Disk::Writes;
        for payment in std::mem::take(&mut self.unheard_orders) {
            self.board.handle_order_kept(payment, true);
        }
        for (call, payment, used) in std::mem::take(&mut self.unheard) {
            self.board.handle_code_used(self.now, call, payment, used);
        }
        self.settle();
    }

    /// This is what begins where another has died: with what that one has put on disk, good for so long yet.
    pub(crate) fn begins_after(&mut self, died: &Self, left: Duration) {
        self.kept.clone_from(&died.kept);
        for (kept, state) in self.kept.values() {
            self.board.recall_code(self.now, kept.clone(), *state, left);
        }
    }
}
