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

/// Packets that room is made for at first: whoever polls after each packet never has more.
const PACKETS_KEPT: usize = 1;
/// Room for so many is kept: a mask proves itself twice a second, and should not allocate for that.
const EVENTS_KEPT: usize = 1;

/// Packets come out before events, so that what an event says of packets is true when it is read.
pub(crate) struct Outputs {
    room: Room,
    /// Of the legs that are protected.
    to_caller: Option<Box<Outbound>>,
    to_agent: Option<Box<Outbound>>,
}

/// Where what a session puts out waits to be polled. Who drives many sessions, one after the other, [lends](crate::Session::lend) each
/// of them the same one, so that none needs its own.
#[derive(Default)]
pub struct Room(Option<Box<Queues>>);

#[derive(Default)]
struct Queues {
    /// The oldest first.
    packets: VecDeque<Waiting>,
    /// Theirs one after the other, and no more room than they need: a call must be small. Kept from packet to packet, so that
    /// none is allocated.
    bytes: Vec<u8>,
    events: VecDeque<Event>,
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
        Self { room: Room::default(), to_caller: None, to_agent: None }
    }

    /// Gives its room for another, while nothing waits in either: nothing of one session ever comes out of another.
    pub(crate) fn exchange(&mut self, room: &mut Room) {
        if self.room.is_empty() && room.is_empty() {
            std::mem::swap(&mut self.room, room);
        }
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
        self.room.queues().put(side, to, &packet);
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
        let events = &mut self.room.queues().events;
        if events.len() == EVENTS_MAX {
            events.pop_back();
            events.push_back(Event::KeyLost);
        } else {
            events.push_back(event);
        }
    }

    /// Takes back what was about to leave by a leg. True if there was anything.
    pub(crate) fn recall(&mut self, side: Side) -> bool {
        let Some(queues) = &mut self.room.0 else { return false };
        let before = queues.packets.len();
        queues.packets.retain(|waiting| waiting.side != side);
        queues.packets.len() < before
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        let queues = self.room.0.as_mut()?;
        queues.packet().or_else(|| queues.event().map(Output::Event))
    }
}

impl Room {
    fn queues(&mut self) -> &mut Queues {
        self.0.get_or_insert_default()
    }

    fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|queues| queues.packets.is_empty() && queues.events.is_empty())
    }
}

impl Queues {
    fn put(&mut self, side: Side, to: SocketAddr, packet: &Packet) {
        if self.packets.len() == PACKETS_MAX {
            self.drop_oldest();
        }
        if self.packets.capacity() == 0 {
            self.packets.reserve_exact(PACKETS_KEPT);
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

    fn packet(&mut self) -> Option<Output> {
        let Some(Waiting { side, to, start, length, tag }) = self.packets.pop_front() else {
            self.forget();
            return None;
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

    fn event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() && self.events.capacity() > EVENTS_KEPT {
            self.events = VecDeque::with_capacity(EVENTS_KEPT);
        }
        event
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
        assert!(outputs.room.queues().bytes.len() < 200, "and keeps no room for them");
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

    #[test]
    fn what_waits_in_a_room_stays_with_its_session() {
        let (mut outputs, mut lent) = (Outputs::new(), Room::default());
        outputs.exchange(&mut lent);
        send(&mut outputs, Side::Agent, 1);
        outputs.exchange(&mut lent);
        assert!(lent.0.is_none(), "one that is in use is kept");
        assert_eq!(rest(&mut outputs), [1]);
        outputs.exchange(&mut lent);
        assert!(lent.queues().bytes.capacity() > 0 && outputs.room.0.is_none(), "one that is empty is given back");
        let mut another = Outputs::new();
        another.exchange(&mut lent);
        assert!(rest(&mut another).is_empty());
    }
}
