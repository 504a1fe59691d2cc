//! Two endpoints over a network that loses, doubles and reorders, or over connections that close, on a virtual clock.
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
    sync::Arc,
    time::{Duration, Instant},
};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use raw::{Raw, body, config};
use sip::{
    Body, ConnectionId, Credentials, DialogId, EndReason, Endpoint, Event, Invite, Local, NameAddr, Output, Peer,
    Transport,
};

const ADDRESSES: [&str; 2] = ["192.0.2.1:5060", "192.0.2.2:5060"];

struct Network {
    sides: [Endpoint; 2],
    wire: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    events: Vec<(usize, Event)>,
    now: Instant,
    random: ChaCha8Rng,
    loss_percent: u64,
    sent: u64,
    /// Whether INVITEs want their provisional responses acknowledged.
    demands_acknowledgment: bool,
    /// Who the caller is.
    credentials: Option<Arc<Credentials>>,
    /// The one that is open; none on a network of datagrams.
    connection: Option<ConnectionId>,
    /// When the last message of each side arrives: nothing overtakes on a connection.
    last: [Instant; 2],
}

impl Network {
    fn new(seed: u64, loss_percent: u64) -> Self {
        let side = |n: usize| Endpoint::new(config(ADDRESSES[n]), [n as u8 + 1; 32]);
        let random = ChaCha8Rng::seed_from_u64(seed);
        let (wire, events, now) = (BTreeMap::new(), Vec::new(), Raw::new().now);
        let (connection, last) = (None, [now; 2]);
        let (sides, sent, demands_acknowledgment, credentials) = ([side(0), side(1)], 0, false, None);
        Self {
            sides,
            wire,
            events,
            now,
            random,
            loss_percent,
            sent,
            demands_acknowledgment,
            credentials,
            connection,
            last,
        }
    }

    /// Over one connection at a time.
    fn connected(seed: u64) -> Self {
        let side = |n: usize| {
            let local = vec![Local { transport: Transport::Tcp, address: ADDRESSES[n].parse().unwrap() }];
            Endpoint::new(sip::Config { local, ..config(ADDRESSES[n]) }, [n as u8 + 1; 32])
        };
        Self { sides: [side(0), side(1)], connection: Some(ConnectionId(1)), ..Self::new(seed, 0) }
    }

    fn peer(&self, of: usize) -> Peer {
        let address = ADDRESSES[of].parse().unwrap();
        let transport = if self.connection.is_some() { Transport::Tcp } else { Transport::Udp };
        Peer { connection: self.connection, ..Peer::new(transport, address) }
    }

    /// The connection breaks with all that is on its way; the next message opens another.
    fn cut(&mut self) {
        self.drain();
        let closed = [self.peer(1), self.peer(0)];
        self.wire.clear();
        self.connection = self.connection.map(|ConnectionId(id)| ConnectionId(id + 1));
        for (side, peer) in self.sides.iter_mut().zip(closed) {
            side.handle_closed(self.now, peer);
        }
        self.drain();
    }

    fn send(&mut self, target: usize, bytes: &[u8]) {
        if self.connection.is_some() {
            let delay = Duration::from_millis(5 + self.random.next_u64() % 200);
            let arrival = self.last[target].max(self.now + delay);
            self.last[target] = arrival;
            self.sent += 1;
            self.wire.insert((arrival, self.sent), (target, bytes.to_vec()));
            return;
        }
        for _ in 0..1 + u64::from(self.chance(10)) {
            if !self.chance(self.loss_percent) {
                let delay = Duration::from_millis(5 + self.random.next_u64() % 300);
                self.sent += 1;
                self.wire.insert((self.now + delay, self.sent), (target, bytes.to_vec()));
            }
        }
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
                        assert_eq!(to.transport.is_reliable(), self.connection.is_some());
                        if self.demands_acknowledgment && bytes.starts_with(b"INVITE") {
                            let text = String::from_utf8(bytes).unwrap();
                            let demand = "Require: 100rel\r\nSupported:";
                            self.send(target, text.replacen("Supported:", demand, 1).as_bytes());
                        } else {
                            self.send(target, &bytes);
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
            let from = self.peer(1 - target);
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
        let destination = Some(Peer { connection: None, ..self.peer(1) });
        let (headers, body, credentials) = (Vec::new(), body(), self.credentials.clone());
        let invite = Invite { target, destination, tcp_when_large: false, from, to, headers, body, credentials };
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

/// For so long one side waits for what the other says about the session.
const HOUR: u64 = 3600;

#[test]
fn a_session_is_refreshed_for_hours_on_a_bad_network_and_ended_on_both_sides_of_a_dead_one() {
    for seed in 0..40 {
        let mut net = Network::new(seed, 20);
        let (caller, callee) = net.establish().unwrap();
        net.events.clear();
        assert!(net.until(0, 4 * HOUR, |event| !matches!(event, Event::Progress { .. })).is_none(), "seed {seed}");
        assert!(net.events.is_empty(), "seed {seed}: {:?}", net.events);
        net.loss_percent = 100;
        let died = net.now;
        for (side, dialog) in [(0, caller), (1, callee)] {
            net.until(side, HOUR, |event| matches!(event, Event::Ended { .. }) && event.dialog() == Some(dialog))
                .unwrap();
        }
        assert!(net.now - died < Duration::from_secs(1800), "seed {seed}");
        net.settle();
        net.assert_empty();
    }
}

#[test]
fn early_media_that_must_be_acknowledged_is_never_lost_on_a_bad_network() {
    for seed in 0..200 {
        let mut net = Network::new(seed, 25);
        net.demands_acknowledgment = true;
        let caller = net.invite();
        let callee = net.until(1, 40, |event| matches!(event, Event::Incoming { .. })).unwrap().dialog().unwrap();
        net.sides[1].progress(net.now, callee, 183, body());
        net.sides[1].progress(net.now, callee, 180, None);
        net.sides[1].accept(net.now, callee, body());
        let told = |event: &Event| matches!(event, Event::Progress { body: Some(_), .. } | Event::Answered { .. });
        let early = net.until(0, 40, told).unwrap_or_else(|| panic!("seed {seed}"));
        assert!(matches!(early, Event::Progress { status: 183, .. }), "seed {seed}: it comes before the answer");
        net.until(0, 40, |event| matches!(event, Event::Answered { body: None, .. })).unwrap();
        net.sides[0].ack(net.now, caller, None);
        net.until(1, 40, |event| matches!(event, Event::Confirmed { .. })).unwrap_or_else(|| panic!("seed {seed}"));
        net.sides[0].bye(net.now, caller);
        net.settle();
        net.assert_empty();
    }
}

#[test]
fn a_caller_who_proves_itself_is_taken_on_a_bad_network_whatever_is_lost_or_doubled() {
    let credentials = || Arc::new(Credentials::new("pbx".to_owned(), "secret".to_owned(), false));
    for seed in 0..100 {
        let mut net = Network::new(seed, 20);
        net.credentials = Some(credentials());
        let caller = net.invite();
        let mut taken = Vec::new();
        let end = net.now + Duration::from_secs(60);
        while net.step(end) {
            for (side, event) in std::mem::take(&mut net.events) {
                match event {
                    Event::Incoming { dialog, from, .. } => {
                        if net.sides[side].authenticate(net.now, dialog, from, &credentials()) {
                            net.sides[side].accept(net.now, dialog, body());
                            taken.push(dialog);
                        }
                    }
                    Event::Answered { dialog, .. } => net.sides[side].ack(net.now, dialog, None),
                    Event::Confirmed { .. } | Event::Progress { .. } => {}
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
        assert_eq!(taken.len(), 1, "seed {seed}: one call, however often its INVITE comes");
        net.sides[0].bye(net.now, caller);
        net.settle();
        assert_eq!(net.losses(1, taken[0]), 1, "seed {seed}");
        net.assert_empty();
    }
}

#[test]
fn over_a_connection_every_call_is_established_and_ended_once_and_nothing_is_repeated() {
    for seed in 0..100 {
        let mut net = Network::connected(seed);
        let (caller, callee) = net.establish().unwrap_or_else(|| panic!("seed {seed}"));
        for digit in b"0123" {
            net.sides[0].info(net.now, caller, "application/dtmf", Body::from(&[*digit][..])).unwrap();
        }
        while let Some(Event::Request { request, .. }) = net.until(1, 5, |event| matches!(event, Event::Request { .. }))
        {
            net.sides[1].respond(net.now, request, 200);
        }
        let (hanging, other, other_id) = if seed % 2 == 0 { (0, 1, callee) } else { (1, 0, caller) };
        net.sides[hanging].bye(net.now, if hanging == 0 { caller } else { callee });
        net.until(other, 5, |event| matches!(event, Event::Ended { reason: EndReason::Bye, .. })).unwrap();
        assert_eq!(net.losses(other, other_id), 0, "seed {seed}");
        assert_eq!(net.sides.each_ref().map(|side| side.stats().retransmissions), [0, 0], "seed {seed}");
        net.settle();
        net.assert_empty();
    }
}

#[test]
fn whenever_its_connection_breaks_a_call_is_ended_once_on_both_sides() {
    let mut outlived = 0;
    for seed in 0..300 {
        let mut net = Network::connected(seed);
        let caller = net.invite();
        let breaks_at = net.now + Duration::from_millis(seed * 5);
        let answers = |net: &mut Network, end| {
            while net.step(end) {
                for (side, event) in net.events.clone() {
                    match event {
                        Event::Incoming { dialog, .. } => net.sides[side].accept(net.now, dialog, body()),
                        Event::Answered { dialog, .. } => net.sides[side].ack(net.now, dialog, None),
                        _ => {}
                    }
                }
            }
        };
        answers(&mut net, breaks_at);
        net.cut();
        let end = net.now + Duration::from_secs(40);
        answers(&mut net, end);
        let has = |net: &Network, wanted: fn(&Event) -> bool| net.events.iter().any(|(_, event)| wanted(event));
        outlived += usize::from(has(&net, |event| matches!(event, Event::Confirmed { .. })));
        net.sides[0].bye(net.now, caller);
        net.settle();
        let failed = net.losses(0, caller);
        let called = net.events.iter().filter(|(_, event)| matches!(event, Event::Incoming { .. })).count();
        assert!(failed + called <= 2, "seed {seed}: {:?}", net.events);
        net.assert_empty();
    }
    assert!(outlived > 100, "a call that stands outlives its connection: {outlived}");
}

#[test]
fn a_request_that_crossed_the_closing_is_sent_once_more_and_then_fails() {
    let mut net = Network::connected(1);
    let (caller, callee) = net.establish().unwrap();
    net.settle();
    net.sides[0].info(net.now, caller, "application/dtmf", Body::from(&b"5"[..])).unwrap();
    net.cut();
    let heard = net.until(1, 5, |event| matches!(event, Event::Request { .. }));
    assert_eq!(heard.and_then(|event| event.dialog()), Some(callee), "over the next connection");
    net.cut();
    net.until(0, 5, |event| matches!(event, Event::RequestAnswered { status: 503, .. })).unwrap();
    assert_eq!(net.losses(0, caller), 0, "the dialog stands");
}

#[test]
fn a_call_that_nobody_can_be_connected_for_fails_at_once() {
    let mut net = Network::connected(1);
    net.invite();
    net.cut();
    assert!(net.events.iter().any(|(side, event)| *side == 0 && matches!(event, Event::Failed { status: 503, .. })));
    net.assert_empty();
}
