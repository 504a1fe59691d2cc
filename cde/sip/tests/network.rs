//! Two endpoints over a network that loses, doubles and reorders, on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

#[path = "support/raw.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod raw;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use raw::{Raw, body, config};
use sip::{Body, DialogId, EndReason, Endpoint, Event, Invite, NameAddr, Output, Peer};

const ADDRESSES: [&str; 2] = ["192.0.2.1:5060", "192.0.2.2:5060"];

struct Network {
    sides: [Endpoint; 2],
    wire: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    events: Vec<(usize, Event)>,
    now: Instant,
    random: ChaCha8Rng,
    loss_percent: u64,
    sent: u64,
}

impl Network {
    fn new(seed: u64, loss_percent: u64) -> Self {
        let side = |n: usize| Endpoint::new(config(ADDRESSES[n]), [n as u8 + 1; 32]);
        let random = ChaCha8Rng::seed_from_u64(seed);
        let (wire, events) = (BTreeMap::new(), Vec::new());
        Self { sides: [side(0), side(1)], wire, events, now: Raw::new().now, random, loss_percent, sent: 0 }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.next_u64() % 100 < percent
    }

    fn drain(&mut self) {
        for side in 0..2 {
            while let Some(output) = self.sides[side].poll_output() {
                match output {
                    Output::Event(event) => self.events.push((side, event)),
                    Output::Send { to, bytes } => {
                        let target = ADDRESSES.iter().position(|a| *a == to.address.to_string()).unwrap();
                        for _ in 0..1 + u64::from(self.chance(10)) {
                            if !self.chance(self.loss_percent) {
                                let delay = Duration::from_millis(5 + self.random.next_u64() % 300);
                                self.sent += 1;
                                self.wire.insert((self.now + delay, self.sent), (target, bytes.clone()));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Runs to the next arrival or timer not after `end`; false if there is none.
    fn step(&mut self, end: Instant) -> bool {
        self.drain();
        let arrival = self.wire.keys().next().copied();
        let timer = self.sides.iter().filter_map(Endpoint::poll_timeout).min();
        let next = arrival.map(|(at, _)| at).into_iter().chain(timer).min();
        let Some(next) = next.filter(|at| *at <= end) else {
            self.now = end;
            return false;
        };
        self.now = next.max(self.now);
        if let Some(key) = arrival.filter(|(at, _)| *at <= next) {
            let (target, bytes) = self.wire.remove(&key).unwrap();
            let from = Peer::udp(ADDRESSES[1 - target].parse().unwrap());
            self.sides[target].handle_message(self.now, from, &bytes);
        } else {
            self.sides.iter_mut().for_each(|side| side.handle_timeout(self.now));
        }
        self.drain();
        true
    }

    /// Runs until one side reports what `matches`, and takes all events up to it.
    fn until(&mut self, side: usize, seconds: u64, matches: impl Fn(&Event) -> bool) -> Option<Event> {
        let end = self.now + Duration::from_secs(seconds);
        loop {
            if let Some(at) = self.events.iter().position(|(s, event)| *s == side && matches(event)) {
                return Some(self.events.remove(at).1);
            }
            if !self.step(end) {
                return None;
            }
        }
    }

    fn settle(&mut self) {
        let end = self.now + Duration::from_secs(300);
        while self.step(end) {}
    }

    fn invite(&mut self) -> DialogId {
        let (target, from): (sip::Uri, sip::Uri) =
            ("sip:b@192.0.2.2".parse().unwrap(), "sip:a@192.0.2.1".parse().unwrap());
        let (from, to) = (NameAddr::new(from), NameAddr::new(target.clone()).with_display("B"));
        let invite =
            Invite { target, destination: None, tcp_when_large: false, from, to, headers: Vec::new(), body: body() };
        self.sides[0].invite(self.now, invite).unwrap()
    }

    /// Both sides up to a confirmed call.
    fn establish(&mut self) -> Option<(DialogId, DialogId)> {
        let caller = self.invite();
        let callee = self.until(1, 40, |event| matches!(event, Event::Incoming { .. }))?.dialog().unwrap();
        self.sides[1].progress(self.now, callee, 180, None);
        self.sides[1].accept(self.now, callee, body());
        self.until(0, 40, |event| matches!(event, Event::Answered { .. }))?;
        self.sides[0].ack(self.now, caller, None);
        self.until(1, 40, |event| matches!(event, Event::Confirmed { .. }))?;
        Some((caller, callee))
    }

    fn losses(&self, side: usize, id: DialogId) -> usize {
        let is_loss =
            |event: &&Event| matches!(event, Event::Failed { .. } | Event::Cancelled { .. } | Event::Ended { .. });
        let own = self.events.iter().filter(|(s, _)| *s == side).map(|(_, event)| event);
        own.filter(is_loss).filter(|event| event.dialog() == Some(id)).count()
    }

    fn assert_empty(&self) {
        let left = self.sides.each_ref().map(|side| (side.dialogs(), side.transactions()));
        assert_eq!(left, [(0, 0), (0, 0)], "everything is forgotten in the end");
    }
}

#[test]
fn every_call_is_established_and_ended_once_on_a_bad_network() {
    for seed in 0..300 {
        let mut net = Network::new(seed, 20);
        let (caller, callee) = net.establish().unwrap_or_else(|| panic!("seed {seed}"));
        let (hanging, other, other_id) = if seed % 2 == 0 { (0, 1, callee) } else { (1, 0, caller) };
        net.sides[hanging].bye(net.now, if hanging == 0 { caller } else { callee });
        net.settle();
        assert_eq!(net.losses(other, other_id), 1, "seed {seed}: {:?}", net.events);
        assert_eq!(net.losses(hanging, if hanging == 0 { caller } else { callee }), 0, "seed {seed}");
        assert!(!net.events.iter().any(|(_, event)| matches!(event, Event::Incoming { .. })), "a ghost call: {seed}");
        net.assert_empty();
    }
}

#[test]
fn cancel_races_leave_nothing_behind() {
    for seed in 0..300 {
        let mut net = Network::new(seed, 10);
        let caller = net.invite();
        let callee = net.until(1, 40, |event| matches!(event, Event::Incoming { .. })).unwrap().dialog().unwrap();
        net.sides[1].progress(net.now, callee, 180, None);
        let (cancel_at, accept_at) = (seed * 7 % 500, seed * 13 % 500);
        let start = net.now;
        for at in [cancel_at.min(accept_at), cancel_at.max(accept_at)] {
            let end = start + Duration::from_millis(at);
            while net.step(end) {}
            if at == cancel_at {
                net.sides[0].cancel(net.now, caller);
            }
            if at == accept_at {
                net.sides[1].accept(net.now, callee, body());
            }
        }
        net.settle();
        assert_eq!((net.losses(0, caller), net.losses(1, callee)), (0, 1), "seed {seed}: {:?}", net.events);
        net.assert_empty();
    }
}

#[test]
fn infos_and_reinvites_arrive_in_order_whatever_is_lost() {
    for seed in 0..60 {
        let mut net = Network::new(seed, 15);
        let (caller, callee) = net.establish().unwrap();
        net.sides[0].reinvite(net.now, caller, None).unwrap();
        for digit in b"0123456789" {
            net.sides[0].info(net.now, caller, "application/dtmf", Body::from(&[*digit][..])).unwrap();
        }
        let (mut keys, mut answered) = (Vec::new(), 0);
        let end = net.now + Duration::from_secs(200);
        while net.step(end) {
            for (side, event) in std::mem::take(&mut net.events) {
                match event {
                    Event::Request { request, body, .. } => {
                        keys.extend_from_slice(body.as_bytes());
                        net.sides[side].respond(net.now, request, 200);
                    }
                    Event::Reinvite { dialog, .. } => net.sides[side].accept(net.now, dialog, body()),
                    Event::ReinviteAnswered { dialog, .. } => net.sides[side].ack(net.now, dialog, body()),
                    Event::RequestAnswered { status: 200, .. } => answered += 1,
                    Event::Confirmed { dialog, body } => assert_eq!((dialog, body.is_some()), (callee, true)),
                    Event::Progress { .. } => {}
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
        assert_eq!((keys.as_slice(), answered), (&b"0123456789"[..], 10), "seed {seed}");
    }
}

#[test]
fn both_hanging_up_at_once_ends_the_call_quietly() {
    let mut net = Network::new(1, 0);
    let (caller, callee) = net.establish().unwrap();
    net.sides[0].bye(net.now, caller);
    net.sides[1].bye(net.now, callee);
    net.settle();
    assert!(!net.events.iter().any(|(_, event)| matches!(event, Event::Ended { reason: EndReason::Bye, .. })));
    net.assert_empty();
}

#[test]
fn a_dead_network_is_reported_once_on_both_sides() {
    let mut net = Network::new(1, 0);
    let (caller, callee) = net.establish().unwrap();
    net.loss_percent = 100;
    net.wire.clear();
    net.sides[0].reinvite(net.now, caller, body()).unwrap();
    net.sides[1].info(net.now, callee, "application/dtmf", Body::from(&b"1"[..])).unwrap();
    net.settle();
    assert_eq!((net.losses(0, caller), net.losses(1, callee)), (1, 1));
    net.assert_empty();
}

#[test]
fn the_same_seed_replays_the_same_call() {
    let run = || {
        let mut net = Network::new(9, 25);
        net.establish();
        net.settle();
        (format!("{:?}", net.events), net.sent, net.sides.each_ref().map(Endpoint::stats))
    };
    assert_eq!(run(), run());
}
