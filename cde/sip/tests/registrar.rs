//! The registrar for telephones of web pages (RFC 7118 §5), each as a promise. The phone is an endpoint of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

#[path = "support/raw.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod raw;

use std::{sync::Arc, time::Duration, time::Instant};

use raw::{Raw, body, config};
use sip::{
    ConnectionId, Credentials, DialogId, Endpoint, Event, Invite, Local, NameAddr, Output, Peer, Registration,
    Transport, Uri,
};

const US: &str = "192.0.2.9:8443";

fn credentials(user: &str, password: &str, takes_md5: bool) -> Arc<Credentials> {
    Arc::new(Credentials::new(user.to_owned(), password.to_owned(), takes_md5))
}

fn endpoint(address: &str, seed: u8) -> Endpoint {
    let local = vec![Local { transport: Transport::Wss, address: address.parse().unwrap() }];
    Endpoint::new(sip::Config { local, ..config("192.0.2.9:5060") }, [seed; 32])
}

fn over(address: &str, connection: u64) -> Peer {
    Peer { connection: Some(ConnectionId(connection)), ..Peer::new(Transport::Wss, address.parse().unwrap()) }
}

/// A phone and its connection.
struct Phone {
    endpoint: Endpoint,
    at: Peer,
    events: Vec<Event>,
}

/// A registrar and those who come to it.
struct World {
    now: Instant,
    ours: Endpoint,
    phones: Vec<Phone>,
    events: Vec<Event>,
    said: Vec<String>,
}

impl World {
    fn new() -> Self {
        let mut ours = endpoint(US, 1);
        ours.admit("1001".to_owned(), credentials("1001", "secret", false)).unwrap();
        ours.admit(
            "1002".to_owned(),
            Arc::new(Credentials::new("1002".to_owned(), "old".to_owned(), false).md5_alone()),
        )
        .unwrap();
        Self { now: Raw::new().now, ours, phones: Vec::new(), events: Vec::new(), said: Vec::new() }
    }

    /// A phone at this port of one address, over a connection of the same number.
    fn phone(&mut self, port: u16) -> usize {
        let address = format!("198.51.100.7:{port}");
        let seed = u8::try_from(self.phones.len() + 2).unwrap();
        let at = over(&address, port.into());
        self.phones.push(Phone { endpoint: endpoint(&address, seed), at, events: Vec::new() });
        self.phones.len() - 1
    }

    fn register(&mut self, phone: usize, user: &str, password: &str, takes_md5: bool) -> Vec<String> {
        let address: Uri = format!("sip:{user}@192.0.2.9").parse().unwrap();
        let registration = Registration {
            registrar: "sip:192.0.2.9".parse().unwrap(),
            destination: over(US, 1),
            address: NameAddr::new(address),
            credentials: credentials(user, password, takes_md5),
        };
        self.phones[phone].endpoint.register(self.now, registration).unwrap();
        self.run()
    }

    fn call(&mut self, phone: usize, from: &str, login: Option<Arc<Credentials>>) -> DialogId {
        let target: Uri = "sip:02079460018@192.0.2.9".parse().unwrap();
        let from: Uri = format!("sip:{from}@192.0.2.9").parse().unwrap();
        let invite = Invite {
            target: target.clone(),
            destination: Some(over(US, 1)),
            tcp_when_large: false,
            from: NameAddr::new(from),
            to: NameAddr::new(target),
            headers: Vec::new(),
            body: body(),
            credentials: login,
        };
        let id = self.phones[phone].endpoint.invite(self.now, invite).unwrap();
        self.run();
        id
    }

    /// Carries messages to and fro until nobody says anything; gives the first lines of what the registrar said.
    fn run(&mut self) -> Vec<String> {
        loop {
            let mut is_quiet = true;
            for phone in &mut self.phones {
                while let Some(output) = phone.endpoint.poll_output() {
                    match output {
                        Output::Send { bytes, .. } => self.ours.handle_message(self.now, phone.at, &bytes),
                        Output::Event(event) => phone.events.push(event),
                    }
                    is_quiet = false;
                }
            }
            while let Some(output) = self.ours.poll_output() {
                match output {
                    Output::Send { to, bytes } => {
                        self.said.push(String::from_utf8(bytes.clone()).unwrap());
                        let phone = self.phones.iter_mut().find(|phone| phone.at.connection == to.connection).unwrap();
                        phone.endpoint.handle_message(self.now, over(US, 1), &bytes);
                    }
                    Output::Event(event) => self.events.push(event),
                }
                is_quiet = false;
            }
            if is_quiet {
                let first = |said: &String| said.lines().next().unwrap().replace("SIP/2.0 ", "");
                return std::mem::take(&mut self.said).iter().map(first).collect();
            }
        }
    }

    fn places(&self, user: &str) -> Vec<(Peer, String)> {
        self.ours.places_of(self.now, user).into_iter().map(|(peer, uri)| (peer, uri.as_str().to_owned())).collect()
    }
}

#[test]
fn a_phone_that_knows_its_password_can_be_called_over_its_connection_while_that_stands() {
    let mut world = World::new();
    let phone = world.phone(40_001);
    assert_eq!(world.register(phone, "1001", "secret", false), ["401 Unauthorized", "200 OK"]);
    assert!(matches!(&world.phones[phone].events[..], [Event::Registered { .. }]));
    let at = world.phones[phone].at;
    assert!(matches!(&world.events[..], [Event::SignedIn { peer, user }] if *peer == at && user == "1001"));
    assert_eq!(world.places("1001"), [(at, "sip:1001@198.51.100.7:40001;transport=ws".to_owned())]);
    assert_eq!(world.ours.user_at(at), Some("1001"));
    world.ours.handle_closed(world.now, at);
    assert_eq!((world.places("1001").len(), world.ours.user_at(at)), (0, None));
}

#[test]
fn a_registration_is_called_by_what_the_page_has_written_and_grows_old() {
    let mut world = World::new();
    let phone = world.phone(40_001);
    world.register(phone, "1001", "secret", false);
    let (peer, contact) = world.ours.places_of(world.now, "1001").remove(0);
    let invite = Invite {
        target: contact.clone(),
        destination: Some(peer),
        tcp_when_large: false,
        from: NameAddr::new("sip:44@192.0.2.9".parse().unwrap()),
        to: NameAddr::new(contact),
        headers: Vec::new(),
        body: body(),
        credentials: None,
    };
    world.ours.invite(world.now, invite).unwrap();
    assert_eq!(world.run()[0], "INVITE sip:1001@198.51.100.7:40001;transport=ws SIP/2.0".replace("SIP/2.0 ", ""));
    assert!(world.phones[phone].events.iter().any(|event| matches!(event, Event::Incoming { .. })));
    world.now += Duration::from_secs(301);
    assert!(world.places("1001").is_empty(), "it has asked for five minutes");
}

#[test]
fn a_wrong_password_and_a_wrong_name_are_told_the_same() {
    let mut world = World::new();
    let guesses = [("1001", "guess"), ("nobody", "secret"), ("nobody", "")];
    for (port, (user, password)) in (40_001..).zip(guesses) {
        let phone = world.phone(port);
        assert_eq!(world.register(phone, user, password, true), ["401 Unauthorized"; 2], "{user} {password}");
        assert!(matches!(&world.phones[phone].events[..], [Event::RegistrationFailed { status: 401, .. }]));
    }
    assert!(world.events.is_empty() && world.places("1001").is_empty());
}

#[test]
fn who_guesses_for_long_is_not_listened_to() {
    let mut world = World::new();
    let mut said = Vec::new();
    for port in 40_001..40_015 {
        let phone = world.phone(port);
        said.extend(world.register(phone, "1001", "guess", false));
    }
    assert_eq!(said.last().unwrap(), "403 Forbidden");
}

#[test]
fn md5_is_asked_for_only_where_it_is_allowed_and_then_alone() {
    let mut world = World::new();
    let phone = world.phone(40_001);
    assert_eq!(world.register(phone, "1002", "old", true), ["401 Unauthorized", "200 OK"]);
    let phone = world.phone(40_002);
    assert_eq!(world.register(phone, "1002", "old", false), ["401 Unauthorized"], "it answers no MD5");
}

#[test]
fn the_newest_of_a_persons_places_come_first_and_the_oldest_go() {
    let mut world = World::new();
    for port in 40_001..40_007 {
        let phone = world.phone(port);
        world.register(phone, "1001", "secret", false);
    }
    let ports: Vec<u16> = world.places("1001").iter().map(|(peer, _)| peer.address.port()).collect();
    assert_eq!(ports, [40_006, 40_005, 40_004, 40_003]);
    world.phones[5].endpoint.unregister(world.now);
    world.run();
    assert_eq!(world.places("1001")[0].0.address.port(), 40_005);
}

#[test]
fn a_caller_is_asked_once_a_connection_and_calls_under_its_own_name_alone() {
    let mut world = World::new();
    let phone = world.phone(40_001);
    let login = Some(credentials("1001", "secret", false));
    for _ in 0..2 {
        world.call(phone, "1001", login.clone());
        let Some(Event::Incoming { dialog, from, .. }) = world.events.pop() else { panic!("nobody calls") };
        let is_known = world.ours.authenticate_account(world.now, dialog, from, "1001");
        if !is_known {
            assert_eq!(world.run()[0], "401 Unauthorized");
            let Some(Event::Incoming { dialog, from, .. }) = world.events.pop() else { panic!("nobody calls again") };
            assert!(world.ours.authenticate_account(world.now, dialog, from, "1001"));
            assert_eq!(world.ours.user_at(from), Some("1001"));
            world.run();
            assert!(matches!(world.events.pop(), Some(Event::SignedIn { .. })));
        }
    }
    assert!(world.places("1001").is_empty(), "it did not ask to be called");
    world.call(phone, "1002", None);
    let Some(Event::Incoming { dialog, from, .. }) = world.events.pop() else { panic!("nobody calls") };
    assert!(!world.ours.authenticate_account(world.now, dialog, from, "1002"));
    assert_eq!(world.run(), ["403 Forbidden"]);
}

#[test]
fn elsewhere_than_over_a_websocket_nobody_registers() {
    let mut world = World::new();
    let text = "REGISTER sip:192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:1001@a>;tag=1\r\n\
                To: <sip:1001@a>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContact: <sip:1001@192.0.2.1>\r\nContent-Length: 0\r\n\r\n";
    world.ours.handle_message(world.now, Peer::udp("192.0.2.1:5060".parse().unwrap()), text.as_bytes());
    let Some(Output::Send { bytes, .. }) = world.ours.poll_output() else { panic!("no answer") };
    assert!(String::from_utf8(bytes).unwrap().starts_with("SIP/2.0 405 "));
}

/// What a page's library sends: a host that is none, and what is meant for other registrars.
fn of_a_page(extra: &str) -> String {
    format!(
        "REGISTER sip:tonewall.example SIP/2.0\r\nVia: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks\r\n\
         From: <sip:1001@tonewall.example>;tag=65bnmj34\r\nTo: <sip:1001@tonewall.example>\r\nCall-ID: aiuy7k9\r\n\
         CSeq: 1 REGISTER\r\n{extra}Supported: path, gruu, outbound\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn the_via_of_a_page_names_no_host_and_is_answered_over_its_connection() {
    let mut world = World::new();
    let contact = "Contact: <sip:0nlp9s@df7jal23ls0d.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"\r\n";
    let from = over("198.51.100.7:40001", 7);
    world.ours.handle_message(world.now, from, of_a_page(contact).as_bytes());
    let Some(Output::Send { to, bytes }) = world.ours.poll_output() else { panic!("no answer") };
    let text = String::from_utf8(bytes).unwrap();
    assert!(to.connection == from.connection && text.starts_with("SIP/2.0 401 "), "{text}");
    assert!(text.contains("algorithm=SHA-256") && !text.contains("MD5"), "{text}");
}
