//! Where each trunk is reached, in which order, and what is known of each place.
//!
//! A place is taken for down after [`STREAK`] failures in a row and for up again after as many signs of life: of probes by
//! OPTIONS, where they are wanted, and of calls. Nothing is refused for it: a place that is down is tried last.

mod health;

use crate::{Config, Trunk};
pub(crate) use health::Registering;
use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use sip::{Peer, RequestId};
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// So many in a row turn a place.
const STREAK: u8 = 2;
/// The pause before a probe that is to confirm a surprise.
const CONFIRM: Duration = Duration::from_secs(1);
/// A place that is not probed is tried again in its turn after this time.
const FORGIVEN: Duration = Duration::from_secs(60);

/// A place has turned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turned {
    pub(crate) trunk: usize,
    pub(crate) peer: Peer,
    pub(crate) is_up: bool,
}

struct Place {
    trunk: usize,
    peer: Peer,
    priority: u16,
    weight: u16,
    keepalive: Option<Duration>,
    is_up: bool,
    /// It has given a sign of life at least once.
    is_heard: bool,
    /// Since when it is as it is.
    since: Instant,
    /// How often in a row it was not as it is taken for.
    streak: u8,
    last_failure: Option<Instant>,
    failures: u64,
    /// What came of registering there, if that is wanted.
    registering: Option<Registering>,
    probe_at: Option<Instant>,
    probe: Option<RequestId>,
}

impl Place {
    fn is_usable(&self, now: Instant) -> bool {
        let is_forgiven = self.keepalive.is_none() && self.last_failure.is_none_or(|at| at + FORGIVEN <= now);
        self.is_up || is_forgiven
    }

    /// Takes a sign of life or its absence; true if the place has turned.
    fn note(&mut self, now: Instant, is_alive: bool) -> bool {
        if !is_alive {
            self.last_failure = Some(now);
            self.failures += 1;
        }
        if is_alive && !std::mem::replace(&mut self.is_heard, true) && self.is_up {
            self.since = now;
        }
        self.streak = if is_alive == self.is_up { 0 } else { self.streak + 1 };
        let turns = self.streak >= STREAK;
        if turns {
            self.is_up = is_alive;
            self.since = now;
            self.streak = 0;
        }
        turns
    }
}

/// All places of all trunks.
pub(crate) struct Trunks {
    places: Vec<Place>,
    /// Of which trunks there is something new to show.
    news: BTreeSet<usize>,
}

impl Trunks {
    pub(crate) fn new(now: Instant, config: &Config) -> Self {
        let places = config.trunks.iter().enumerate().flat_map(|(trunk, one)| places(now, trunk, one));
        Self { places: places.collect(), news: (0..config.trunks.len()).collect() }
    }

    /// A trunk is elsewhere. What is known of the places that it still has is kept.
    pub(crate) fn move_to(&mut self, now: Instant, trunk: usize, of: &Trunk) {
        let (mut before, others): (Vec<Place>, Vec<Place>) =
            std::mem::take(&mut self.places).into_iter().partition(|place| place.trunk == trunk);
        self.places = others;
        for fresh in places(now, trunk, of) {
            let known = before.iter().position(|place| place.peer == fresh.peer).map(|at| before.swap_remove(at));
            let (priority, weight) = (fresh.priority, fresh.weight);
            self.places.push(Place { priority, weight, ..known.unwrap_or(fresh) });
        }
        self.news.insert(trunk);
    }

    /// Where to call, one after the other: those that are up first, by priority, among equals by weight (RFC 2782).
    pub(crate) fn order(&self, now: Instant, trunk: usize, rng: &mut ChaCha12Rng) -> VecDeque<Peer> {
        let of_trunk = self.places.iter().filter(|place| place.trunk == trunk);
        let mut left: Vec<&Place> = of_trunk.collect();
        let mut order = VecDeque::new();
        while let Some(first) = left.iter().map(|place| rank(place, now)).min() {
            let equals: Vec<&Place> = left.iter().filter(|place| rank(place, now) == first).copied().collect();
            let Some(chosen) = pick(&equals, rng) else { break };
            order.push_back(chosen);
            left.retain(|place| place.peer != chosen);
        }
        order
    }

    /// What a call to a place has shown.
    pub(crate) fn called(&mut self, now: Instant, peer: Peer, is_alive: bool) -> Option<Turned> {
        let place = self.places.iter_mut().find(|place| place.peer == peer)?;
        let before = place.seen();
        let turned = place.note(now, is_alive);
        if place.seen() != before {
            self.news.insert(place.trunk);
        }
        turned.then_some(Turned { trunk: place.trunk, peer, is_up: is_alive })
    }

    /// A place that is to be probed now; tell what became of it with [`Self::probing`].
    pub(crate) fn due(&mut self, now: Instant) -> Option<Peer> {
        let place = self.places.iter_mut().find(|place| place.probe_at.is_some_and(|at| at <= now))?;
        place.probe_at = place.keepalive.map(|pause| now + pause);
        Some(place.peer)
    }

    /// The probe of a place is on its way, and the next waits for its answer.
    pub(crate) fn probing(&mut self, peer: Peer, request: RequestId) {
        if let Some(place) = self.places.iter_mut().find(|place| place.peer == peer) {
            place.probe = Some(request);
            place.probe_at = None;
        }
    }

    /// A probe has its answer, or none.
    pub(crate) fn probed(&mut self, now: Instant, request: RequestId, status: u16) -> Option<Turned> {
        let place = self.places.iter_mut().find(|place| place.probe == Some(request))?;
        place.probe = None;
        // Whoever refuses is there; but a 503 asks not to be called, and a 408 is nobody's word.
        let is_alive = !matches!(status, 408 | 503);
        let before = place.seen();
        let turned = place.note(now, is_alive);
        if place.seen() != before {
            self.news.insert(place.trunk);
        }
        let pause = if place.streak > 0 { Some(CONFIRM) } else { place.keepalive };
        place.probe_at = pause.map(|pause| now + pause);
        turned.then_some(Turned { trunk: place.trunk, peer: place.peer, is_up: is_alive })
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.places.iter().filter_map(|place| place.probe_at).min()
    }
}

fn places(now: Instant, trunk: usize, one: &Trunk) -> impl Iterator<Item = Place> {
    let keepalive = one.keepalive;
    one.targets.iter().map(move |target| Place {
        trunk,
        peer: one.destination(target),
        priority: target.priority,
        weight: target.weight,
        keepalive,
        is_up: true,
        is_heard: false,
        since: now,
        streak: 0,
        last_failure: None,
        failures: 0,
        registering: one.registers().then(|| Registering::new(now)),
        probe_at: keepalive.map(|_| now),
        probe: None,
    })
}

/// The less, the earlier.
fn rank(place: &Place, now: Instant) -> (bool, u16) {
    (!place.is_usable(now), place.priority)
}

/// One of these, each as often as its weight says; without weights all alike.
fn pick(equals: &[&Place], rng: &mut ChaCha12Rng) -> Option<Peer> {
    let weight = |place: &Place| u64::from(place.weight) + 1;
    let total: u64 = equals.iter().map(|place| weight(place)).sum();
    let mut at = rng.next_u64().checked_rem(total)?;
    let chosen = equals.iter().find(|place| {
        let is_here = at < weight(place);
        at = at.saturating_sub(weight(place));
        is_here
    });
    chosen.map(|place| place.peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Target;
    use rand_core::SeedableRng;
    use sip::Transport;

    const KEEPALIVE: Duration = Duration::from_secs(30);

    fn target(last: u8, priority: u16, weight: u16) -> Target {
        Target { ip: [192, 0, 2, last].into(), port: None, priority, weight }
    }

    fn peer(last: u8) -> Peer {
        Peer::udp(([192, 0, 2, last], 5060).into())
    }

    #[expect(clippy::disallowed_methods, reason = "any moment will do as the start of virtual time")]
    fn trunks(targets: Vec<Target>, keepalive: Option<Duration>) -> (Trunks, Instant) {
        let (name, transport) = ("a".to_owned(), Transport::Udp);
        let trunk = Trunk {
            name,
            targets,
            transport,
            tcp_when_large: false,
            keepalive,
            srtp: crate::Srtp::Off,
            login: None,
            domain: None,
            on_demand: None,
            test_number: None,
            nat: crate::Nat::Off,
        };
        let now = Instant::now();
        (Trunks { places: places(now, 0, &trunk).collect(), news: BTreeSet::new() }, now)
    }

    fn order(trunks: &Trunks, now: Instant, seed: u64) -> Vec<u8> {
        let order = trunks.order(now, 0, &mut ChaCha12Rng::seed_from_u64(seed));
        let last = |peer: &Peer| match peer.address.ip() {
            std::net::IpAddr::V4(ip) => ip.octets()[3],
            std::net::IpAddr::V6(_) => 0,
        };
        order.iter().map(last).collect()
    }

    #[test]
    fn places_come_by_priority_and_among_equals_by_weight() {
        let (trunks, now) = trunks(vec![target(1, 2, 0), target(2, 1, 9), target(3, 1, 0)], None);
        let orders: Vec<Vec<u8>> = (0..1000).map(|seed| order(&trunks, now, seed)).collect();
        assert!(orders.iter().all(|order| order.len() == 3 && order[2] == 1));
        let heavy = orders.iter().filter(|order| order[0] == 2).count();
        assert!((850..970).contains(&heavy), "ten times as often: {heavy}");
    }

    #[test]
    fn a_place_that_fails_in_a_row_is_tried_last_and_forgiven_after_a_while() {
        let (mut trunks, now) = trunks(vec![target(1, 1, 0), target(2, 2, 0)], None);
        assert_eq!(trunks.called(now, peer(1), false), None);
        assert_eq!(trunks.called(now, peer(1), true), None);
        assert_eq!(trunks.called(now, peer(1), false), None);
        assert_eq!(order(&trunks, now, 1), [1, 2], "once in a row is nothing yet");
        assert!(trunks.called(now, peer(1), false).is_some_and(|turned| !turned.is_up));
        assert_eq!(order(&trunks, now, 1), [2, 1]);
        assert_eq!(order(&trunks, now + FORGIVEN, 1), [1, 2]);
    }

    #[test]
    fn probes_turn_a_place_after_two_in_a_row_and_confirm_soon() {
        let (mut trunks, now) = trunks(vec![target(1, 1, 0), target(2, 2, 0)], Some(KEEPALIVE));
        let mut endpoint = endpoint();
        let probe = |trunks: &mut Trunks, endpoint: &mut sip::Endpoint, now, status| {
            let to = trunks.due(now).unwrap();
            let request = endpoint.probe(now, to).unwrap();
            trunks.probing(to, request);
            trunks.probed(now, request, status).map(|turned| turned.is_up)
        };
        let (one, two) = (now, now + CONFIRM);
        assert_eq!(probe(&mut trunks, &mut endpoint, one, 408), None);
        assert_eq!(probe(&mut trunks, &mut endpoint, one, 200), None, "the other place");
        assert_eq!((trunks.due(one), trunks.poll_timeout()), (None, Some(two)));
        assert_eq!(probe(&mut trunks, &mut endpoint, two, 503), Some(false));
        assert_eq!(order(&trunks, two + FORGIVEN, 1), [2, 1], "as long as probes say so");
        let later = two + KEEPALIVE;
        assert_eq!(probe(&mut trunks, &mut endpoint, later, 405), None);
        assert_eq!(probe(&mut trunks, &mut endpoint, later, 200), None, "the other place");
        assert_eq!(probe(&mut trunks, &mut endpoint, later + CONFIRM, 404), Some(true));
        assert_eq!(order(&trunks, later, 1), [1, 2]);
    }

    fn endpoint() -> sip::Endpoint {
        let local = vec![sip::Local::udp(([192, 0, 2, 9], 5060).into())];
        let config = sip::Config { local, user_agent: String::new(), transactions_max: 100, dialogs_max: 10 };
        sip::Endpoint::new(config, [1; 32])
    }
}
