use super::*;
use crate::stun::tests::check;
use crate::terms::{Fingerprint, Hash};

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const NAMES: &str = "ours:theirs";

fn at(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

#[expect(clippy::disallowed_methods, reason = "any moment will do as the start of virtual time")]
fn start() -> Instant {
    Instant::now()
}

fn terms(fingerprint: [u8; 32], role: Role) -> Terms {
    let fingerprint = Fingerprint { hash: Hash::Sha256, bytes: fingerprint.to_vec() };
    let text = str::to_owned;
    Terms { ufrag: text("ours"), password: text(PASSWORD), peer_ufrag: text("theirs"), fingerprint, role }
}

/// Our side, and a browser that speaks the same handshake.
struct World {
    now: Instant,
    ours: Association,
    theirs: Handshake,
    their_keys: Option<Keys>,
    log: Vec<String>,
}

impl World {
    /// `role` is ours. The browser announces this certificate's fingerprint and shows that one.
    fn new(role: Role, announced: &Certificate, shown: &Certificate) -> Self {
        let now = start();
        let certificate = Certificate::generate().unwrap();
        let theirs = if role == Role::Server { Role::Client } else { Role::Server };
        let theirs = Handshake::new(now, shown, theirs).ok().unwrap();
        let ours = Association::new(now, certificate, terms(announced.fingerprint().unwrap(), role));
        Self { now, ours, theirs, their_keys: None, log: Vec::new() }
    }

    fn honest(role: Role) -> Self {
        let theirs = Certificate::generate().unwrap();
        Self::new(role, &theirs, &theirs)
    }

    fn check(&mut self, port: u16, password: &str, nominating: bool) -> &mut Self {
        self.ours.handle_packet(self.now, at(port), &check(NAMES, password, nominating, &[]));
        self.run(port)
    }

    fn hear(&mut self, events: Result<Vec<Event>, Broken>, port: u16) {
        for event in events.ok().unwrap_or_default() {
            match event {
                Event::Send(bytes) => self.ours.handle_packet(self.now, at(port), &bytes),
                Event::Certificate(_) => {}
                Event::Keys(keys) => self.their_keys = Some(keys),
            }
        }
    }

    /// The browser begins its handshake, from this port.
    fn hello(&mut self, port: u16) -> &mut Self {
        let events = self.theirs.tick(self.now);
        self.hear(events, port);
        self.run(port)
    }

    fn run(&mut self, port: u16) -> &mut Self {
        while let Some(output) = self.ours.poll_output() {
            match output {
                Output::Send { to, bytes } if bytes[0] < 4 => self.log.push(format!("stun {} {}", to.port(), bytes[0])),
                Output::Send { bytes, .. } => {
                    let events = self.theirs.receive(self.now, &bytes);
                    self.hear(events, port);
                }
                Output::Established { address } => self.log.push(format!("established {}", address.port())),
                Output::Failed(failure) => self.log.push(format!("{failure:?}")),
            }
        }
        self
    }

    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

#[test]
fn in_both_roles_the_two_come_to_the_same_keys() {
    for role in [Role::Server, Role::Client] {
        let mut world = World::honest(role);
        world.check(5000, PASSWORD, true);
        if role == Role::Server {
            world.hello(5000);
        }
        assert_eq!(world.said(), ["stun 5000 1", "established 5000"], "{role:?}");
        let (ours, theirs) = (world.ours.keys().unwrap(), world.their_keys.as_ref().unwrap());
        assert_eq!((ours.suite, theirs.suite), (ours.suite, ours.suite));
        assert!(ours.inbound() == theirs.outbound() && ours.outbound() == theirs.inbound());
        assert!(ours.inbound() != ours.outbound() && ours.inbound().len() == 44, "{}", ours.inbound().len());
    }
}

#[test]
fn a_certificate_that_was_not_announced_gets_no_keys_and_ends_it() {
    for role in [Role::Server, Role::Client] {
        let (announced, shown) = (Certificate::generate().unwrap(), Certificate::generate().unwrap());
        let mut world = World::new(role, &announced, &shown);
        world.check(5000, PASSWORD, true).hello(5000);
        assert_eq!(world.said().last().unwrap(), "WrongCertificate", "{role:?}");
        assert!(world.ours.keys().is_none() && world.ours.address().is_none());
        assert_eq!(world.check(5000, PASSWORD, true).said(), [""; 0], "nothing follows");
        assert_eq!(world.ours.poll_timeout(), None);
    }
}

#[test]
fn a_third_address_without_the_password_is_told_nothing_and_changes_nothing() {
    let mut world = World::honest(Role::Server);
    assert_eq!(world.check(6666, "VOkJxbRl1RmTxUk/WvJxBs", true).said(), [""; 0]);
    world.hello(6666);
    assert_eq!(world.said(), [""; 0], "nor its handshake");
    let mut world = World::honest(Role::Server);
    world.check(5000, PASSWORD, true).hello(5000);
    world.said();
    assert_eq!(world.check(6666, "VOkJxbRl1RmTxUk/WvJxBs", true).said(), [""; 0]);
    assert_eq!(world.ours.address(), Some(at(5000)));
    let other = check("ours:others", PASSWORD, true, &[]);
    world.ours.handle_packet(world.now, at(6666), &other);
    assert!(world.ours.poll_output().is_none(), "of another session");
}

#[test]
fn the_address_is_the_one_that_the_peer_chooses_and_moves_when_it_chooses_another() {
    let mut world = World::honest(Role::Server);
    world.check(5000, PASSWORD, false).check(5001, PASSWORD, false);
    world.hello(5001);
    assert_eq!(world.said(), ["stun 5000 1", "stun 5001 1"], "keys, and nobody chosen");
    assert!(world.ours.keys().is_some() && world.ours.address().is_none());
    assert_eq!(world.check(5000, PASSWORD, true).said(), ["stun 5000 1", "established 5000"]);
    assert_eq!(world.check(5000, PASSWORD, true).said(), ["stun 5000 1"]);
    assert_eq!(world.check(5001, PASSWORD, true).said(), ["stun 5001 1", "established 5001"]);
}

#[test]
fn half_a_minute_without_consent_ends_it() {
    let mut world = World::honest(Role::Server);
    world.check(5000, PASSWORD, true).hello(5000);
    world.said();
    world.now += Duration::from_secs(29);
    world.check(5000, PASSWORD, false).said();
    world.now += Duration::from_secs(29);
    world.ours.handle_timeout(world.now);
    assert_eq!(world.run(5000).said(), [""; 0]);
    world.check(5000, "no password, no consent", false);
    world.now += Duration::from_secs(1);
    assert!(world.ours.poll_timeout().is_some_and(|at| at <= world.now));
    world.ours.handle_timeout(world.now);
    assert_eq!(world.run(5000).said(), ["NoConsent"]);
    assert!(world.ours.keys().is_none());
}

#[test]
fn one_that_never_comes_is_given_up() {
    let mut world = World::honest(Role::Client);
    world.now += CONSENT;
    world.ours.handle_timeout(world.now);
    assert_eq!(world.run(5000).said(), ["NoConsent"]);
}

#[test]
fn new_names_ask_for_checks_anew_and_keep_the_keys() {
    let mut world = World::honest(Role::Server);
    world.check(5000, PASSWORD, true).hello(5000);
    world.said();
    let before = world.ours.keys().unwrap().inbound().to_vec();
    let changed = Terms { peer_ufrag: "again".to_owned(), role: Role::Client, ..world.ours.terms.clone() };
    world.ours.change(world.now, changed);
    assert_eq!((world.ours.address(), world.ours.keys().unwrap().inbound()), (Some(at(5000)), &before[..]));
    assert_eq!(world.check(5001, PASSWORD, true).said(), [""; 0], "the old names say nothing any more");
    world.ours.handle_packet(world.now, at(5001), &check("ours:again", PASSWORD, true, &[]));
    assert_eq!(world.run(5001).said(), ["stun 5001 1", "established 5001"]);
    assert_eq!(world.ours.terms.role, Role::Server);
}

#[test]
fn another_certificate_begins_from_nothing() {
    let mut world = World::honest(Role::Server);
    world.check(5000, PASSWORD, true).hello(5000);
    world.said();
    let next = Certificate::generate().unwrap();
    world.ours.change(world.now, terms(next.fingerprint().unwrap(), Role::Server));
    assert!(world.ours.keys().is_none() && world.ours.address().is_none());
    world.theirs = Handshake::new(world.now, &next, Role::Client).ok().unwrap();
    world.hello(5000);
    assert_eq!(world.said(), [""; 0], "who was believed before is not now");
    world.theirs = Handshake::new(world.now, &next, Role::Client).ok().unwrap();
    world.check(5001, PASSWORD, true).hello(5001);
    assert_eq!(world.said(), ["stun 5001 1", "established 5001"]);
}

#[test]
fn a_peer_that_does_not_choose_is_told_that_it_must() {
    let mut world = World::honest(Role::Server);
    world.ours.handle_packet(world.now, at(5000), &check(NAMES, PASSWORD, true, &[0x8029]));
    assert_eq!(world.run(5000).said(), ["stun 5000 1"]);
    assert!(world.ours.selected.is_none());
}

#[test]
fn what_cannot_be_understood_after_the_keys_ends_no_call() {
    let mut world = World::honest(Role::Server);
    world.check(5000, PASSWORD, true).hello(5000);
    world.said();
    for first in 20..=63 {
        world.ours.handle_packet(world.now, at(5000), &[first; 60]);
        world.ours.handle_packet(world.now, at(5000), &[first]);
    }
    assert_eq!(world.run(5000).said(), [""; 0]);
    assert_eq!(world.ours.address(), Some(at(5000)));
}

#[test]
fn addresses_that_are_believed_are_few() {
    let mut world = World::honest(Role::Server);
    world.check(5000, PASSWORD, true);
    (5001..5100).for_each(|port| drop(world.check(port, PASSWORD, false).said()));
    assert!(world.ours.addresses.len() == ADDRESSES_MAX && world.ours.addresses.contains(&at(5000)));
}
