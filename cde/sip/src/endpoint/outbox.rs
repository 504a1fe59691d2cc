//! What the endpoint wants done, in order.

use std::collections::VecDeque;

use crate::transport::Peer;

use super::{Event, Output, Stats};

/// Outputs and counters. The owner drains it after every input, and one input makes no more outputs than there are
/// transactions; the tables' limits bound it.
#[derive(Default)]
pub(crate) struct Outbox {
    outputs: VecDeque<Output>,
    pub(crate) stats: Stats,
}

impl Outbox {
    pub(crate) fn send(&mut self, to: Peer, bytes: Vec<u8>) {
        self.outputs.push_back(Output::Send { to, bytes });
    }

    pub(crate) fn resend(&mut self, to: Peer, bytes: &[u8]) {
        self.stats.retransmissions += 1;
        self.send(to, bytes.to_vec());
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
