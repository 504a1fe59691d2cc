//! The agent calls, and who is called pays.

use crate::approved;
use crate::world::{CARRIER, World};
use call::{OpenLineKeys, Route};
use media::Side;
use sip::Event;
use std::time::Duration;
use wire::{Action, AuditAction, CallEnd, CallState, Field, LineState, PaymentState};

fn world() -> World {
    World::with(|config| {
        config.routes.push(Route {
            from: "pbx".to_owned(),
            to: "carrier".to_owned(),
            prefix: "44".to_owned(),
            extension: None,
            rewrite: call::Rewrite::default(),
            open_line_keys: OpenLineKeys::Ignore,
            outbound: true,
            recorder: None,
            hook: None,
            feature_code: "*9".to_owned(),
            bounce: None,
        });
    })
}

fn called_out() -> World {
    let mut world = world();
    world.agent_calls("447700900142");
    world
}

#[test]
fn the_desk_of_who_calls_shows_whom_they_called() {
    let mut world = called_out();
    let shown = world.snapshot();
    assert_eq!(shown.state, CallState::Talking);
    assert_eq!((shown.extension.as_str(), shown.caller.as_str()), ("1001", "447700900142"));
    assert!(world.connected(Side::Caller).is_some() && world.connected(Side::Agent).is_some());
}

#[test]
fn the_keys_of_who_was_called_pay() {
    let mut world = called_out();
    let payment = world.start_payment(&[Field::Pan, Field::Expiry, Field::Cvv]);
    world.command(Action::Secure);
    assert_eq!(world.snapshot().line, LineState::Secured);
    world.caller_infos("5");
    assert_eq!(world.info_keys, b"5", "an INFO of who was called is a key");
    assert_eq!(world.agent_infos(), 0, "and does not reach who called");
    world.keys("4242424242424242*1235123");
    world.pass(Duration::from_millis(300));
    world.command(Action::Authorize { payment });
    let attempt = world.sends()[0];
    world.board.handle_journaled(world.now, world.call(), attempt, Ok(()));
    world.settle();
    world.board.handle_outcome(world.now, world.call(), attempt, approved());
    world.settle();
    assert_eq!(world.snapshot().payment.unwrap().state, PaymentState::Approved);
}

#[test]
fn either_side_ends_it_and_the_record_says_who() {
    let mut world = called_out();
    world.caller_hangs_up();
    assert_eq!(world.ended(), Some(CallEnd::CallerHungUp));
    let mut world = called_out();
    world.agent_hangs_up();
    assert_eq!(world.ended(), Some(CallEnd::AgentHungUp));
    assert!(world.caller_saw(|event| matches!(event, Event::Ended { .. })));
    assert!(world.audited(|action| matches!(action, AuditAction::CallAnswered)));
}

#[test]
fn an_agent_whose_leg_is_lost_while_a_card_is_keyed_is_called_back_by_their_extension() {
    let mut world = called_out();
    world.start_payment(&[Field::Pan, Field::Expiry, Field::Cvv]);
    world.command(Action::Secure);
    world.agent_hangs_up();
    assert!(world.agent_rings() || world.snapshot().state == CallState::Talking);
    assert!(world.agent_got().iter().any(|line| line.starts_with("INVITE sip:1001@")), "{:?}", world.agent_got());
    assert_eq!(world.snapshot().line, LineState::Secured);
}

#[test]
fn the_carrier_cannot_call_out_through_us() {
    assert_eq!(world().refused_from(CARRIER, "447700900142"), 404);
}

#[test]
fn whom_an_agent_has_called_sends_us_nowhere() {
    let mut world = world();
    world.peer(Side::Caller).answers_calls = false;
    world.agent_calls("447700900142");
    assert_eq!(world.board.calls(), 1);
    world.caller_redirects("<sip:449001234@192.0.2.1>");
    assert_eq!(world.board.calls(), 0, "the call fails instead");
    assert_eq!(world.caller_invites(), 1);
}
