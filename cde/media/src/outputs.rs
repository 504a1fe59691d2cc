//! What waits to be polled: packets and events, each in a queue of fixed size.

use crate::interface::{Event, Output, Side};
use crate::rtp::Packet;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Packets; one call of a handler makes at most the generated frames of a late driver and one relayed packet.
const PACKETS_MAX: usize = 8;
/// Events; one call of a handler makes a handful.
const EVENTS_MAX: usize = 32;

/// Packets come out before events, so that what an event says of packets is true when it is read.
pub(crate) struct Outputs {
    packets: VecDeque<(Side, SocketAddr, Packet)>,
    events: VecDeque<Event>,
}

impl Outputs {
    pub(crate) fn new() -> Self {
        Self { packets: VecDeque::with_capacity(PACKETS_MAX), events: VecDeque::with_capacity(EVENTS_MAX) }
    }

    /// A driver that does not poll loses the oldest.
    pub(crate) fn send(&mut self, side: Side, to: SocketAddr, packet: Packet) {
        if self.packets.len() == PACKETS_MAX {
            self.packets.pop_front();
        }
        self.packets.push_back((side, to, packet));
    }

    /// A driver that does not poll loses the newest, and is told that keys are missing.
    pub(crate) fn event(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_back();
            self.events.push_back(Event::KeyLost);
        } else {
            self.events.push_back(event);
        }
    }

    /// Takes back what was about to leave by a leg. True if there was anything.
    pub(crate) fn recall(&mut self, side: Side) -> bool {
        let before = self.packets.len();
        self.packets.retain(|(of, _, _)| *of != side);
        self.packets.len() < before
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        let packet = self.packets.pop_front().map(|(side, to, packet)| Output::Send { side, to, packet });
        packet.or_else(|| self.events.pop_front().map(Output::Event))
    }
}
