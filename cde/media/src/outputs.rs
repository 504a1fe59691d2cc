//! What waits to be polled: packets and events, each in a queue of fixed size. Packets of a protected leg are protected
//! here, as the last thing that is done with them.

use crate::interface::{Event, Output, Side};
use crate::rtp::{PACKET_MAX, Packet};
use crate::srtp::{Master, Outbound};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Packets; one call of a handler makes at most the generated frames of a late driver and one relayed packet.
const PACKETS_MAX: usize = 8;
/// Events; one call of a handler makes a handful.
const EVENTS_MAX: usize = 32;

/// Room for so many is kept: a mask proves itself twice a second, and should not allocate for that.
const EVENTS_KEPT: usize = 1;

/// Packets come out before events, so that what an event says of packets is true when it is read.
pub(crate) struct Outputs {
    /// The oldest first.
    packets: VecDeque<Waiting>,
    /// Theirs one after the other, and no more room than they need: a call must be small. Kept from packet to packet, so that
    /// none is allocated.
    bytes: Vec<u8>,
    events: VecDeque<Event>,
    /// Of the legs that are protected.
    to_caller: Option<Box<Outbound>>,
    to_agent: Option<Box<Outbound>>,
}

struct Waiting {
    side: Side,
    to: SocketAddr,
    /// Where its bytes begin, and how many there are.
    start: u16,
    length: u16,
    /// What SRTP has put behind the payload.
    tag: u16,
}

impl Outputs {
    pub(crate) fn new() -> Self {
        Self { packets: VecDeque::new(), bytes: Vec::new(), events: VecDeque::new(), to_caller: None, to_agent: None }
    }

    /// With which key a leg's packets are protected, if they are. False if the key cannot be used.
    pub(crate) fn protect(&mut self, side: Side, key: Option<Master>) -> bool {
        let wanted = key.is_some();
        let place = self.srtp(side);
        let srtp = match (place.take(), key) {
            (Some(srtp), Some(key)) => srtp.rekey(key),
            (None, Some(key)) => Outbound::new(key),
            (_, None) => None,
        };
        *place = srtp.map(Box::new);
        place.is_some() == wanted
    }

    fn srtp(&mut self, side: Side) -> &mut Option<Box<Outbound>> {
        match side {
            Side::Caller => &mut self.to_caller,
            Side::Agent => &mut self.to_agent,
        }
    }

    /// A driver that does not poll loses the oldest. A packet that cannot be protected is not sent.
    pub(crate) fn send(&mut self, side: Side, to: SocketAddr, mut packet: Packet) {
        if let Some(srtp) = self.srtp(side)
            && !packet.protect(|bytes, length| srtp.protect(bytes, length))
        {
            return;
        }
        if self.packets.len() == PACKETS_MAX {
            self.drop_oldest();
        }
        let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let (start, bytes) = (short(self.bytes.len()), packet.as_bytes());
        self.packets.push_back(Waiting { side, to, start, length: short(bytes.len()), tag: short(packet.tag()) });
        self.bytes.extend_from_slice(bytes);
    }

    /// And the room that it took, or that would grow.
    fn drop_oldest(&mut self) {
        self.packets.pop_front();
        let gone = self.packets.front().map_or(0, |waiting| waiting.start);
        self.bytes.drain(..usize::from(gone).min(self.bytes.len()));
        self.packets.iter_mut().for_each(|waiting| waiting.start -= gone);
    }

    /// A report of a leg as it leaves; none if it cannot be protected and must be.
    pub(crate) fn report(&mut self, mut output: Output) -> Option<Output> {
        if let Output::Control { side, packet, .. } = &mut output
            && let Some(srtp) = self.srtp(*side)
            && !packet.protect(|bytes, length| srtp.protect_rtcp(bytes, length))
        {
            return None;
        }
        Some(output)
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
        self.packets.retain(|waiting| waiting.side != side);
        self.packets.len() < before
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        let Some(Waiting { side, to, start, length, tag }) = self.packets.pop_front() else {
            self.forget();
            let event = self.events.pop_front();
            if self.events.is_empty() && self.events.capacity() > EVENTS_KEPT {
                self.events = VecDeque::with_capacity(EVENTS_KEPT);
            }
            return event.map(Output::Event);
        };
        let bytes = self.bytes.get(usize::from(start)..).and_then(|rest| rest.get(..usize::from(length)));
        let packet = Packet::of(bytes.unwrap_or_default(), tag.into());
        Some(Output::Send { side, to, packet })
    }

    /// All packets are gone. What a late driver needed room for is given back.
    fn forget(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > PACKET_MAX {
            (self.bytes, self.packets) = (Vec::new(), VecDeque::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Header;

    fn send(outputs: &mut Outputs, side: Side, number: u8) {
        let header = Header { payload_type: 0, marker: false, sequence: 0, timestamp: 0, ssrc: 0 };
        outputs.send(side, ([127, 0, 0, 1], 9).into(), Packet::new(&header, &[number]).unwrap());
    }

    fn rest(outputs: &mut Outputs) -> Vec<u8> {
        let number = |output| match output {
            Output::Send { packet, .. } => packet.payload()[0],
            _ => 255,
        };
        std::iter::from_fn(|| outputs.poll()).map(number).collect()
    }

    #[test]
    fn packets_keep_their_order_and_come_before_events() {
        let mut outputs = Outputs::new();
        outputs.event(Event::Secured);
        (0..3).for_each(|number| send(&mut outputs, Side::Agent, number));
        assert_eq!(rest(&mut outputs), [0, 1, 2, 255]);
        (0..2).for_each(|number| send(&mut outputs, Side::Agent, number));
        assert_eq!(rest(&mut outputs), [0, 1]);
    }

    #[test]
    fn a_driver_that_does_not_poll_loses_the_oldest() {
        let mut outputs = Outputs::new();
        (0..100).for_each(|number| send(&mut outputs, Side::Agent, number));
        assert!(outputs.bytes.len() < 200, "and keeps no room for them");
        assert_eq!(rest(&mut outputs), [92, 93, 94, 95, 96, 97, 98, 99]);
    }

    #[test]
    fn what_is_taken_back_never_leaves() {
        let mut outputs = Outputs::new();
        for (number, side) in [Side::Agent, Side::Caller, Side::Agent, Side::Caller].into_iter().enumerate() {
            send(&mut outputs, side, u8::try_from(number).unwrap());
        }
        assert!(outputs.recall(Side::Agent));
        assert!(!outputs.recall(Side::Agent));
        assert_eq!(rest(&mut outputs), [1, 3]);
    }
}
