//! What is shown of trunks: whether they answer, whether they know where we are, and how many legs they have.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code"
)]

#[path = "calls/world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod world;

use std::time::Duration;
use wire::{PlaceState, RegistrationState};
use world::World;

fn registering() -> World {
    World::with(|config| {
        let credentials = sip::Credentials::new("trunk".to_owned(), "secret".to_owned(), false).into();
        let (user, is_demanded, registers) = ("trunk".to_owned(), false, true);
        config.trunks[1].login = Some(call::config::Login { user, credentials, is_demanded, registers });
    })
}

#[test]
fn a_trunk_is_unknown_until_it_is_heard_and_down_when_it_is_silent() {
    let mut world = World::with(|config| {
        config.trunks.iter_mut().for_each(|trunk| trunk.keepalive = Some(Duration::from_secs(30)));
    });
    world.settle();
    assert_eq!(world.trunk("pbx").places[0].state, PlaceState::Unknown);
    world.idle(Duration::from_secs(5));
    let up = world.trunk("pbx").places[0].clone();
    assert_eq!((up.state, up.is_probed, up.failures), (PlaceState::Up, true, 0));
    world.agent_is_deaf = true;
    world.idle(Duration::from_secs(150));
    let down = world.trunk("pbx").places[0].clone();
    assert_eq!(down.state, PlaceState::Down);
    assert!(down.failures >= 2 && down.since_unix_ms > up.since_unix_ms, "{down:?}");
    assert_eq!(world.trunk("carrier").places[0].state, PlaceState::Up, "each for itself");
    world.agent_is_deaf = false;
    world.idle(Duration::from_secs(60));
    assert_eq!(world.trunk("pbx").places[0].state, PlaceState::Up);
}

#[test]
fn legs_are_counted_by_trunk_and_shown_at_most_once_a_second() {
    let mut world = World::new();
    world.talk();
    assert_eq!(world.trunk("pbx").legs, 0, "not yet counted");
    world.pass(Duration::from_millis(1100));
    assert_eq!((world.trunk("carrier").legs, world.trunk("pbx").legs), (1, 1));
    world.caller_hangs_up();
    world.idle(Duration::from_secs(5));
    assert_eq!((world.trunk("carrier").legs, world.trunk("pbx").legs), (0, 0));
}

#[test]
fn a_refused_registration_is_shown_with_its_status_and_said_once() {
    let mut world = registering();
    let asked = world.board.trunks()[1].places[0].registration.unwrap();
    assert_eq!((asked.state, asked.status), (RegistrationState::Asked, None));
    world.settle();
    assert!(world.trunk("carrier").places[0].registration.is_none(), "it is not told where we are");
    // The phone at the other end is no registrar: it refuses the method.
    world.idle(Duration::from_secs(200));
    let refused = world.trunk("pbx").places[0].clone();
    let registration = refused.registration.unwrap();
    assert_eq!((registration.state, registration.status), (RegistrationState::Refused, Some(405)));
    assert_eq!((refused.state, world.registered.as_slice()), (PlaceState::Up, &[405][..]), "whoever refuses is there");
    world.agent_is_deaf = true;
    world.idle(Duration::from_secs(4000));
    let silent = world.trunk("pbx").places[0].registration.unwrap();
    assert_eq!((silent.state, silent.status), (RegistrationState::Unanswered, Some(408)));
    assert_eq!(world.registered, [405, 408]);
}

#[test]
fn an_office_that_connects_gets_every_trunk_as_it_stands() {
    let mut world = World::new();
    world.talk();
    world.pass(Duration::from_millis(1100));
    let trunks = world.board.trunks();
    let names: Vec<&str> = trunks.iter().map(|trunk| trunk.name.as_str()).collect();
    assert_eq!(names, ["carrier", "pbx"]);
    assert_eq!(trunks, [world.trunk("carrier"), world.trunk("pbx")]);
}

fn places(last: &[(u16, u16)]) -> Vec<call::Target> {
    let target = |(port, priority): &(u16, u16)| call::Target {
        ip: [127, 0, 0, 1].into(),
        port: Some(*port),
        priority: *priority,
        weight: 0,
    };
    last.iter().map(target).collect()
}

/// A PBX whose name has not been looked up yet.
fn named() -> World {
    World::with(|config| {
        config.trunks[1].targets = Vec::new();
        config.trunks[1].domain = Some("pbx.example.com".to_owned());
        let credentials = sip::Credentials::new("trunk".to_owned(), "secret".to_owned(), false).into();
        let (user, is_demanded, registers) = ("trunk".to_owned(), false, true);
        config.trunks[1].login = Some(call::config::Login { user, credentials, is_demanded, registers });
    })
}

#[test]
fn a_trunk_with_a_name_is_called_heard_and_registered_at_where_that_is() {
    let mut world = named();
    assert_eq!(world.refused_from(world::CARRIER, "1001"), 404, "nobody knows yet where it is");
    world.board.handle_places(world.now, 1, places(&[(5080, 1)]));
    world.settle();
    assert_eq!(world.agent_got(), ["REGISTER sip:pbx.example.com SIP/2.0"]);
    let mut world = named();
    world.board.handle_places(world.now, 1, places(&[(5080, 1)]));
    world.talk();
    assert!(world.agent_got().contains(&"INVITE sip:1001@pbx.example.com SIP/2.0"));
    assert_eq!(world.raw_invite_to(world::AGENT, "2001", ""), "100", "its calls are taken");
    assert_eq!(world.trunk("pbx").places[0].address, world::AGENT);
}

#[test]
fn a_name_that_leads_elsewhere_is_followed_and_what_is_known_of_a_place_is_kept() {
    let mut world = named();
    world.board.handle_places(world.now, 1, places(&[(5080, 1)]));
    world.talk();
    world.pass(Duration::from_secs(2));
    let up = world.trunk("pbx").places[0].clone();
    assert_eq!(up.state, PlaceState::Up);
    world.board.handle_places(world.now, 1, places(&[(5089, 0), (5080, 5)]));
    world.settle();
    let both = world.trunk("pbx").places;
    assert_eq!(
        (both[0].state, both[1].state, both[1].since_unix_ms),
        (PlaceState::Unknown, PlaceState::Up, up.since_unix_ms)
    );
    assert_eq!((both[1].priority, world.board.calls()), (5, 1), "calls that stand go on");
    world.board.handle_places(world.now, 1, Vec::new());
    assert_eq!(world.board.trunks()[1].places.len(), 2, "an answer with nothing in it is no news");
    let registers = |world: &World| world.agent_got().iter().filter(|line| line.starts_with("REGISTER")).count();
    let before = registers(&world);
    world.board.handle_places(world.now, 1, places(&[(5089, 0)]));
    world.settle();
    let last = world.agent_texts().iter().rfind(|text| text.starts_with("REGISTER")).unwrap();
    assert!(
        registers(&world) == before + 1 && last.contains("\r\nExpires: 0\r\n"),
        "where it was it is told so: {last}"
    );
}
