//! We are added to a conference, in which the agent hears the keys: what is taken there, and what is never said of it.
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

use call::Conferences;
use sip::Event;
use std::time::Duration;
use wire::{
    Action, AuditAction, CallEnd, CallState, CommandResult, Currency, Field, LineState, Masking, Money, Outcome,
    PaymentId, PaymentOrder, PaymentState, Refusal, Store, TransferRefusal, WayIn,
};
use world::World;
use world::transfer::PBX;

const MS: Duration = Duration::from_millis(1);

fn world(code: bool) -> World {
    World::on_demand_with(|config| {
        let on_demand = config.trunks[1].on_demand.as_mut().unwrap();
        on_demand.conference = Some(Conferences { code });
        // However the caller's keys come when they are transferred: in a conference they cross the PBX.
        on_demand.keys_cross_pbx = false;
    })
}

fn order() -> PaymentOrder {
    PaymentOrder {
        payment: PaymentId::from_random(5),
        amount: Money { minor: 4200, currency: Currency::GBP },
        merchant: "main".parse().unwrap(),
        fields: vec![Field::Pan, Field::Expiry, Field::Cvv],
        store: Store::None,
        purpose: None,
        capture: wire::CaptureTime::Now,
        partial: false,
        avs: None,
    }
}

fn code(world: &mut World, payment: Option<PaymentOrder>) -> String {
    let CommandResult::Awaiting { code, .. } = world.asks_for_conference("1001", payment) else { panic!() };
    code.number.unwrap()
}

/// The PBX's bridge calls us, under a number that is no agent's.
fn joined(world: &mut World, payment: Option<PaymentOrder>) {
    let code = code(world, payment);
    world.comes(PBX, &code, "8000", &[]);
    assert!(world.caller_saw(|event| matches!(event, Event::Answered { .. })));
}

#[test]
fn a_payment_in_a_conference_is_taken_whole_and_the_agent_is_never_said_not_to_hear_it() {
    let mut world = world(false);
    let dialed = code(&mut world, Some(order()));
    let awaited = world.snapshot();
    assert_eq!((awaited.state, awaited.way), (CallState::Awaited, WayIn::Conference));
    assert_eq!((awaited.masking, awaited.keys_cross_pbx), (Masking::None, true));
    world.comes(PBX, &dialed, "8000", &[]);
    let shown = world.snapshot();
    assert_eq!((shown.call, shown.state, shown.way), (awaited.call, CallState::Talking, WayIn::Conference));
    assert_eq!((shown.line, shown.masking, shown.keys_cross_pbx), (LineState::Conference, Masking::None, true));
    assert!(!shown.line.masked() && shown.called == "conference");
    world.keys("4242424242424242*1235");
    world.pass(1500 * MS);
    let payment = world.snapshot().payment.unwrap();
    assert_eq!((payment.payment, payment.state), (order().payment, PaymentState::Ready));
    world.command(Action::Authorize { payment: order().payment });
    let amount = order().amount;
    let (auth_code, gateway_ref, checks) = ("1".to_owned(), "2".to_owned(), wire::Checks::default());
    world.journaled_with(Outcome::Approved { auth_code, gateway_ref, amount, checks });
    assert_eq!(world.snapshot().payment.unwrap().state, PaymentState::Approved);
    assert_eq!(world.snapshot().line, LineState::Conference, "it is not released, as there is nothing to open");
    world.caller_hangs_up();
    assert_eq!((world.ended(), world.board.calls()), (Some(CallEnd::ConferenceOver), 0));
    assert!(world.audited(|did| *did == AuditAction::ConferenceJoined));
    assert!(world.audited(|did| *did == AuditAction::HeardByAgent { payment: order().payment }));
    let said = format!("{:?} {}", world.audited_words, world.shown_words());
    assert!(said.contains("Conference") && !said.contains("Secured"), "{said}");
    assert!(!world.was_proved() && !world.audited(|did| matches!(did, AuditAction::Witnessed { .. })));
}

#[test]
fn without_the_files_word_there_is_no_conference() {
    let mut world = World::on_demand();
    let refused = CommandResult::Refused { reason: Refusal::NoConferences };
    assert_eq!(world.asks_for_conference("1001", Some(order())), refused);
    assert!(world.board.snapshots().is_empty());
    // A code for a caller does not become one for a conference by who dials it.
    let mut world = self::world(true);
    let code = world.code("1001");
    world.comes(PBX, &code.user, "1001", &[]);
    assert_eq!(world.refusal(), Some(403));
    assert!(world.audited(|did| *did == AuditAction::TransferRefused { why: TransferRefusal::InternalCaller }));
}

#[test]
fn a_security_code_is_taken_in_a_conference_only_where_the_file_says_so() {
    for (allowed, fields) in
        [(false, vec![Field::Pan, Field::Expiry]), (true, vec![Field::Pan, Field::Expiry, Field::Cvv])]
    {
        let mut world = world(allowed);
        joined(&mut world, Some(order()));
        let asked: Vec<Field> =
            world.snapshot().payment.unwrap().fields.into_iter().map(|progress| progress.field).collect();
        assert_eq!(asked, fields);
        let asks = world.command(Action::RequestField { payment: order().payment, field: Field::Cvv });
        let expected =
            if allowed { CommandResult::Done } else { CommandResult::Refused { reason: Refusal::UnknownField } };
        assert_eq!(world.result(asks), Some(expected));
    }
}

#[test]
fn no_command_makes_a_conference_secured() {
    let mut world = world(false);
    joined(&mut world, None);
    for action in [Action::Secure, Action::Release] {
        let id = world.command(action);
        assert_eq!(world.result(id), Some(CommandResult::Refused { reason: Refusal::InConference }));
    }
    assert_eq!(world.snapshot().line, LineState::Conference);
}

#[test]
fn what_the_agents_own_phone_signals_is_not_the_callers() {
    for (who, is_agents) in [("1001", true), ("8000", false)] {
        let mut world = world(false);
        let dialed = code(&mut world, Some(order()));
        world.comes(PBX, &dialed, who, &[]);
        assert_eq!(world.snapshot().line, LineState::Conference);
        assert_eq!(world.first_order("tones alone").is_some(), is_agents, "{who}");
        assert!(!is_agents || world.first_order("tones alone") < world.first_order("secure"), "before any key counts");
    }
}

#[test]
fn a_conference_that_puts_us_on_hold_while_it_merges_goes_on() {
    let mut world = world(false);
    joined(&mut world, Some(order()));
    world.keys("4242");
    world.caller_offers(sip::offer_answer::Direction::Inactive);
    assert_eq!(world.snapshot().state, CallState::Held);
    world.caller_offers(sip::offer_answer::Direction::SendRecv);
    assert_eq!((world.snapshot().state, world.snapshot().line), (CallState::Talking, LineState::Conference));
    world.keys("424242424242*1235");
    world.pass(1500 * MS);
    assert_eq!(world.snapshot().payment.unwrap().state, PaymentState::Ready);
}

#[test]
fn a_media_thread_that_takes_no_keys_is_a_fault() {
    let mut world = world(false);
    world.media_answers = false;
    joined(&mut world, Some(order()));
    world.pass(2100 * MS);
    assert_eq!(world.snapshot().line, LineState::Fault);
    world.keys("42");
    assert_eq!(world.snapshot().payment.unwrap().fields[0].digits, 0);
}

#[test]
fn each_field_is_asked_for_by_as_many_beeps_as_it_has_a_place() {
    let mut world = world(false);
    joined(&mut world, Some(order()));
    world.keys("4242424242424242*");
    world.pass(1500 * MS);
    let beeps: Vec<_> = world.cues.iter().map(|(_, short)| *short).collect();
    assert_eq!(beeps, [0, 1, 2]);
}
