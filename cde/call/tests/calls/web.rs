//! Legs of browsers: they are looked for with what both have said, and connected by nothing that is said here.

use crate::world::{Connected, World};
use call::Srtp::{Off, Web};
use call::{MediaReport, WebTerms};
use media::Side;
use sip::Event;
use sip::offer_answer::{Certificates, Hash};
use std::time::Duration;
use wire::{Action, CallEnd, CommandResult, Field};

const OURS: [u8; 32] = [9; 32];
const THEIRS: [u8; 32] = [3; 32];

fn showing(ours: [u8; 32]) -> Certificates {
    Certificates { ours, other: [0; 32] }
}

fn browser_at(side: Side) -> World {
    let mut world = match side {
        Side::Caller => World::with_srtp(Web(showing(OURS)), Off),
        Side::Agent => World::with_srtp(Off, Web(showing(OURS))),
    };
    world.peer(side).srtp = Web(showing(THEIRS));
    world
}

/// What the side's browser was looked for with last.
fn terms(world: &World, side: Side) -> &WebTerms {
    &world.negotiations.iter().rfind(|(of, ..)| *of == side).unwrap().2
}

#[test]
fn a_browser_is_looked_for_and_never_connected_to_an_address_that_was_said() {
    for side in [Side::Caller, Side::Agent] {
        let mut world = browser_at(side);
        world.talk();
        let (_, remote, terms) = world.negotiations.last().unwrap();
        assert!(remote.address.ip().is_unspecified() && remote.sends && remote.receives, "{side:?}");
        assert_eq!(
            (terms.peer_ufrag.as_str(), terms.hash, &terms.fingerprint[..]),
            ("page", Hash::Sha256, &THEIRS[..])
        );
        assert!(!terms.is_client && terms.password.len() == 24, "we wait for the browser");
        assert!(!matches!(world.connected(side), Some(Connected::Plain | Connected::Protected(_))), "{side:?}");
        let said = world.peer(side).heard.clone().unwrap();
        assert!(said.contains(&format!("a=ice-ufrag:{}\r\n", terms_of(&world, side))), "{said}");
        assert!(said.contains("a=ice-lite\r\n") && said.contains("UDP/TLS/RTP/SAVPF"), "{said}");
    }
}

fn terms_of(world: &World, side: Side) -> String {
    terms(world, side).ufrag.clone()
}

#[test]
fn a_hold_changes_the_direction_and_nothing_of_what_is_agreed_on() {
    let mut world = browser_at(Side::Agent);
    world.talk();
    let before = terms(&world, Side::Agent).clone();
    world.agent_holds(true);
    let (_, remote, held) = world.negotiations.last().unwrap();
    assert!(!remote.receives && *held == before);
    world.agent_holds(false);
    let (_, remote, resumed) = world.negotiations.last().unwrap();
    assert!(remote.receives && *resumed == before);
}

#[test]
fn a_browser_that_is_lost_ends_the_call_for_both() {
    for side in [Side::Caller, Side::Agent] {
        let mut world = browser_at(side);
        world.talk();
        let call = world.call();
        world.board.handle_media(world.now, call, MediaReport::Lost { side });
        world.settle();
        assert_eq!(world.ended(), Some(CallEnd::Failed), "{side:?}");
        assert!(world.agent_saw(|event| matches!(event, Event::Ended { .. })), "{side:?}");
        assert!(world.caller_saw(|event| matches!(event, Event::Ended { .. })), "{side:?}");
        assert!(world.media_closed());
        world.board.handle_media(world.now, call, MediaReport::Lost { side });
        world.settle();
    }
}

#[test]
fn an_agent_whose_browser_is_lost_while_a_card_is_keyed_is_called_again() {
    let mut world = browser_at(Side::Agent);
    world.talk();
    let payment = world.start_payment(&[Field::Pan, Field::Expiry, Field::Cvv]);
    let secured = world.command(Action::Secure);
    assert_eq!(world.result(secured), Some(CommandResult::Done));
    world.keys("42");
    let call = world.call();
    let before = terms(&world, Side::Agent).ufrag.clone();
    world.peer(Side::Agent).answers_calls = true;
    world.board.handle_media(world.now, call, MediaReport::Lost { side: Side::Agent });
    world.settle();
    world.pass(Duration::from_secs(1));
    assert_eq!((world.ended(), world.board.calls()), (None, 1), "the caller is kept");
    assert_ne!(terms(&world, Side::Agent).ufrag, before, "and another leg looked for");
    assert!(world.snapshot().payment.is_some_and(|shown| shown.payment == payment));
}
