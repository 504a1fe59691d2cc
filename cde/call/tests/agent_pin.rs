//! An agent who proves by keys who they are: a code and a PIN on a call that passes through us, or a PIN on a call to the
//! number for transfers.
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

use sip::Event;
use std::time::Duration;
use wire::{AuditAction, CallEnd, CallState, LineState, TransferRefusal, WayIn};
use world::World;
use world::transfer::PBX;

const PIN: &str = "481516";
const HEARS: &str = "hear the agent's code";

fn refused(world: &World, why: TransferRefusal) -> bool {
    world.audited(|action| *action == AuditAction::TransferRefused { why })
}

/// An inline call of 1001, who has a PIN.
fn talking() -> World {
    let mut world = World::new();
    world.pins(&[("1001", PIN)]);
    world.talk();
    world
}

/// The agent calls the number and keys that.
fn keys_at_number(world: &mut World, extension: &str, pin: &str) {
    world.comes(PBX, "7999", extension, &[]);
    assert!(world.caller_saw(|event| matches!(event, Event::Answered { .. })), "{:?}", world.refusal());
    let call = world.newest_call();
    world.agent_keys(call, pin);
    assert!(world.caller_saw(|event| matches!(event, Event::Ended { .. })), "hung up, right or wrong");
}

fn dialed(world: &World) -> Option<&str> {
    world.agent_got().into_iter().rfind(|line| line.starts_with("INVITE"))
}

#[test]
fn a_code_and_the_agents_pin_secure_an_inline_line() {
    let mut world = talking();
    assert_eq!((world.media_orders(HEARS), world.snapshot().line), (1, LineState::Open));
    world.agent_codes(PIN);
    assert_eq!((world.snapshot().line, world.snapshot().way), (LineState::Secured, WayIn::Inline));
    assert!(world.audited(|action| *action == AuditAction::PinAccepted));
}

#[test]
fn a_wrong_pin_secures_nothing_and_ten_lock_the_right_one_out_for_half_an_hour() {
    let mut world = talking();
    for _ in 0..10 {
        world.agent_codes("481517");
    }
    assert!(refused(&world, TransferRefusal::WrongPin) && !refused(&world, TransferRefusal::Locked));
    world.agent_codes(PIN);
    assert_eq!(world.snapshot().line, LineState::Open);
    assert!(refused(&world, TransferRefusal::Locked));
    world.idle(Duration::from_secs(1800));
    world.agent_codes(PIN);
    assert_eq!(world.snapshot().line, LineState::Secured);
}

#[test]
fn a_code_that_no_pin_follows_counts_as_nothing() {
    let mut world = talking();
    for _ in 0..20 {
        world.agent_codes("");
    }
    world.agent_codes(PIN);
    assert_eq!(world.snapshot().line, LineState::Secured);
}

#[test]
fn who_has_no_pin_or_no_code_on_their_route_is_not_listened_to() {
    let mut world = World::new();
    world.pins(&[("1009", PIN)]);
    world.talk();
    world.agent_codes(PIN);
    assert_eq!((world.media_orders(HEARS), world.snapshot().line), (0, LineState::Open));
    let mut world = World::with(|config| config.routes[0].feature_code = String::new());
    world.pins(&[("1001", PIN)]);
    world.talk();
    assert_eq!(world.media_orders(HEARS), 0);
}

#[test]
fn the_pin_is_that_of_the_agent_whom_the_call_was_handed_to() {
    let mut world = World::new();
    world.pins(&[("1001", PIN), ("1005", "234567")]);
    world.talk();
    world.agent_says("REFER", "Refer-To: <sip:1005@127.0.0.1>\r\n", None);
    world.agent_picks_up();
    assert_eq!((world.snapshot().extension.as_str(), world.media_orders(HEARS)), ("1005", 2));
    world.agent_codes(PIN);
    assert_eq!(world.snapshot().line, LineState::Open);
    world.agent_codes("234567");
    assert_eq!(world.snapshot().line, LineState::Secured);
}

#[test]
fn a_code_by_info_secures_too_and_does_not_reach_the_caller() {
    let mut world = talking();
    world.agent_infos_of("5");
    assert_eq!(world.caller_info_count(), 1, "the control: other keys pass");
    world.agent_infos_of(&format!("*9{PIN}#"));
    assert_eq!((world.caller_info_count(), world.snapshot().line), (1, LineState::Secured));
    let mut world = talking();
    world.agent_infos_of(&format!("*9{PIN}"));
    world.pass(Duration::from_millis(3100));
    assert_eq!(world.snapshot().line, LineState::Secured, "a pause ends it too");
}

#[test]
fn a_caller_who_presses_the_code_and_the_pin_does_nothing() {
    let mut world = talking();
    world.caller_infos(&format!("*9{PIN}#"));
    world.keys(&format!("*9{PIN}#"));
    world.pass(Duration::from_secs(4));
    assert_eq!(world.snapshot().line, LineState::Open);
    assert!(!world.audited(|action| matches!(action, AuditAction::PinAccepted | AuditAction::TransferRefused { .. })));
}

#[test]
fn after_their_pin_the_agents_next_caller_at_the_number_is_theirs() {
    let mut world = World::on_demand();
    world.pins(&[("1001", PIN)]);
    keys_at_number(&mut world, "1001", PIN);
    let awaited = world.snapshot();
    assert_eq!((awaited.state, awaited.way, awaited.extension.as_str()), (CallState::Awaited, WayIn::Pin, "1001"));
    assert_eq!(world.board.calls(), 0);
    world.comes(PBX, "7999", "447700900142", &[]);
    assert_eq!(dialed(&world), Some("INVITE sip:1001@127.0.0.1:5080 SIP/2.0"));
    let shown = world.snapshot();
    assert_eq!((shown.call, shown.state, shown.line), (awaited.call, CallState::Talking, LineState::Secured));
    world.caller_hangs_up();
    world.comes(PBX, "7999", "447700900142", &[]);
    assert_eq!(world.refusal(), Some(404), "good once");
}

#[test]
fn without_the_right_pin_no_caller_is_taken_and_guessing_is_locked() {
    let mut world = World::on_demand();
    world.pins(&[("1001", PIN)]);
    world.comes(PBX, "7999", "1002", &[]);
    assert_eq!(world.refusal(), Some(403), "who has none");
    for _ in 0..10 {
        keys_at_number(&mut world, "1001", "123456");
    }
    assert!(world.board.snapshots().is_empty());
    world.comes(PBX, "7999", "447700900142", &[]);
    assert_eq!(world.refusal(), Some(404));
    world.comes(PBX, "7999", "1001", &[]);
    assert_eq!(world.refusal(), Some(403), "locked, before a key is pressed");
    assert!(refused(&world, TransferRefusal::Locked));
}

#[test]
fn of_several_agents_who_wait_the_pbx_must_say_whose_caller_it_is() {
    let mut world = World::on_demand();
    world.pins(&[("1001", PIN), ("1002", "234567")]);
    keys_at_number(&mut world, "1001", PIN);
    keys_at_number(&mut world, "1002", "234567");
    world.comes(PBX, "7999", "447700900142", &[]);
    assert_eq!(world.refusal(), Some(403));
    assert!(refused(&world, TransferRefusal::Ambiguous));
    world.comes(PBX, "7999", "447700900142", &[("Referred-By", "<sip:1003@127.0.0.1>")]);
    assert_eq!(world.refusal(), Some(404), "that one waits for nobody");
    world.comes(PBX, "7999", "447700900142", &[("Referred-By", "<sip:1002@127.0.0.1>")]);
    assert_eq!(dialed(&world), Some("INVITE sip:1002@127.0.0.1:5080 SIP/2.0"));
    world.comes(PBX, "7999", "442079460018", &[("Diversion", "<sip:1001@127.0.0.1>;reason=unconditional")]);
    assert_eq!(dialed(&world), Some("INVITE sip:1001@127.0.0.1:5080 SIP/2.0"));
}

#[test]
fn an_agent_who_keys_nothing_is_hung_up_on() {
    let mut world = World::on_demand();
    world.pins(&[("1001", PIN)]);
    world.comes(PBX, "7999", "1001", &[]);
    assert_eq!((world.board.calls(), world.board.snapshots().len()), (1, 0), "the desk has nothing to show");
    world.idle(Duration::from_secs(30));
    assert_eq!((world.board.calls(), world.ended()), (0, None));
    assert!(!refused(&world, TransferRefusal::WrongPin));
}

#[test]
fn an_agent_who_hangs_up_before_the_pin_leaves_nothing() {
    let mut world = World::on_demand();
    world.pins(&[("1001", PIN)]);
    world.comes(PBX, "7999", "1001", &[]);
    world.caller_hangs_up();
    assert_eq!((world.board.calls(), world.ended(), world.media_orders("close")), (0, None, 1));
}

#[test]
fn a_pin_may_be_keyed_by_info_and_stands_nowhere() {
    let mut world = World::on_demand();
    world.pins(&[("1001", PIN)]);
    world.comes(PBX, "7999", "1001", &[]);
    world.caller_infos(&format!("{PIN}#"));
    assert_eq!(world.snapshot().state, CallState::Awaited);
    let words = format!("{} {:?}", world.shown_words(), world.audited_words);
    assert!(words.contains("PinAccepted") && !words.contains(PIN), "{words}");
}

#[test]
fn a_pin_that_is_not_used_expires_and_the_desk_is_told() {
    let mut world = World::on_demand();
    world.pins(&[("1001", PIN)]);
    keys_at_number(&mut world, "1001", PIN);
    world.idle(Duration::from_secs(120));
    assert_eq!((world.ended(), world.board.snapshots().len()), (Some(CallEnd::NotTransferred), 0));
}
