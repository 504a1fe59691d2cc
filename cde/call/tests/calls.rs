//! Whole calls through the switchboard, with real SIP peers on a perfect network and a media session that is played.
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

#[path = "calls/codecs.rs"]
mod codecs;
#[path = "calls/nat.rs"]
mod nat;
#[path = "calls/outbound.rs"]
mod outbound;
#[path = "calls/srtp.rs"]
mod srtp;
#[path = "calls/web.rs"]
mod web;
#[path = "calls/world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod world;

use sip::offer_answer::Direction;
use sip::{Body, Event};
use std::time::Duration;
use wire::{Action, AuditAction, CallEnd, CallState, CommandResult, Field, LineState, Outcome, PaymentState, Refusal};
use world::{AGENT, CARRIER, World, order};

#[test]
fn a_call_is_bridged_and_ends_for_both() {
    let mut world = World::new();
    world.talk();
    assert_eq!(world.snapshot().state, CallState::Talking);
    assert_eq!(world.snapshot().caller, "447700900142");
    world.caller_hangs_up();
    assert!(world.agent_saw(|event| matches!(event, Event::Ended { .. })));
    assert_eq!(world.ended(), Some(CallEnd::CallerHungUp));
    assert_eq!(world.board.calls(), 0);
    assert!(world.media_closed());
}

#[test]
fn the_agent_gets_our_address_and_never_the_callers() {
    let mut world = World::new();
    world.talk();
    let offer = world.agent_offer();
    let text = String::from_utf8_lossy(offer.as_bytes()).into_owned();
    assert!(text.contains("127.0.0.9"), "our media address: {text}");
    assert!(!text.contains("40000"), "the caller's own port: {text}");
}

#[test]
fn a_stranger_and_an_unknown_number_dial_nothing() {
    let mut world = World::new();
    assert_eq!(world.refused_from(([127, 0, 0, 1], 6666).into(), "1001"), 403);
    assert_eq!(world.refused_from(CARRIER, "9999"), 404);
    assert_eq!(world.board.calls(), 0);
}

fn login(password: &str, is_demanded: bool, registers: bool) -> call::config::Login {
    let credentials = sip::Credentials::new("trunk".to_owned(), password.to_owned(), false);
    call::config::Login { user: "trunk".to_owned(), credentials: credentials.into(), is_demanded, registers }
}

#[test]
fn a_trunk_that_must_prove_itself_dials_nothing_without_the_password() {
    for (shown, status) in [(None, 401), (Some("guess"), 401), (Some("secret"), 404)] {
        let mut world = World::with(|config| config.trunks[0].login = Some(login("secret", true, false)));
        world.caller_login = shown.map(|password| login(password, false, false).credentials);
        // A number without a route: only who is known is told so.
        assert_eq!(world.refused_from(CARRIER, "9999"), status, "{shown:?}");
        assert_eq!((world.board.calls(), world.agent_got().len()), (0, 0));
    }
    let mut world = World::with(|config| config.trunks[0].login = Some(login("secret", true, false)));
    world.caller_login = Some(login("secret", false, false).credentials);
    world.talk();
    assert_eq!(world.snapshot().state, CallState::Talking);
}

#[test]
fn a_trunk_is_told_where_we_are_and_forgets_it_at_the_end() {
    let mut world = World::with(|config| config.trunks[1].login = Some(login("secret", false, true)));
    world.settle();
    assert_eq!(world.agent_got(), ["REGISTER sip:127.0.0.1:5080 SIP/2.0"]);
    world.board.end_all(world.now);
    world.settle();
    assert_eq!(world.agent_got().len(), 2);
}

#[test]
fn a_place_where_nobody_answers_is_passed_over_and_later_tried_last() {
    let mut world = World::with_a_dead_place();
    world.proofs = false;
    for waits in [true, true, false] {
        world.ring();
        assert_eq!(world.agent_rings(), !waits);
        if waits {
            world.pass(Duration::from_secs(33));
        }
        assert!(world.agent_rings());
        world.caller_hangs_up();
    }
}

#[test]
fn a_flood_of_strangers_is_dropped_unread_and_a_trunk_is_heard_all_the_same() {
    let mut world = World::new();
    let flood = |world: &mut World, from: [u8; 4]| {
        (0..1000).for_each(|_| world.receive((from, 5060).into(), b"OPTIONS sip:a SIP/2.0"));
        world.board.strangers_dropped()
    };
    assert!(flood(&mut world, [198, 51, 100, 1]) >= 900);
    let dropped = world.board.strangers_dropped();
    assert_eq!(flood(&mut world, [127, 0, 0, 1]), dropped, "the trunks' own address");
    world.talk();
    assert_eq!(world.snapshot().state, CallState::Talking);
}

#[test]
fn a_registrar_that_says_nothing_is_a_place_that_does_not_answer() {
    let mut world = World::with(|config| config.trunks[1].login = Some(login("secret", false, true)));
    world.agent_is_deaf = true;
    world.idle(Duration::from_secs(100));
    assert_eq!(world.turned, [false], "twice in a row, each in its own time");
    world.agent_is_deaf = false;
    world.idle(Duration::from_secs(600));
    assert_eq!(world.turned, [false, true], "whoever refuses is there");
}

#[test]
fn a_port_that_another_program_has_costs_no_call() {
    let mut world = World::new();
    world.taken_pairs = 3;
    world.talk();
    assert_eq!(world.snapshot().state, CallState::Talking);
    assert_eq!(world.tried.len(), 4);
    let offer = world.agent_offer();
    let own = world.tried[3] + 2;
    assert!(
        String::from_utf8_lossy(offer.as_bytes()).contains(&format!("m=audio {own} ")),
        "the ports that were bound"
    );
}

#[test]
fn where_no_port_can_be_bound_the_call_is_refused() {
    let mut world = World::new();
    world.taken_pairs = 99;
    world.ring();
    assert!(world.caller_saw(|event| matches!(event, Event::Failed { status: 503, .. })));
    assert_eq!((world.tried.len(), world.board.calls()), (4, 0));
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let mut world = World::new();
    world.ring();
    world.caller_hangs_up();
    assert!(world.agent_saw(|event| matches!(event, Event::Cancelled { .. })));
    assert_eq!(world.ended(), Some(CallEnd::Abandoned));
}

#[test]
fn a_call_stands_for_hours_and_ends_for_both_when_one_side_is_gone_without_a_word() {
    let mut world = World::new();
    world.talk();
    world.idle(Duration::from_secs(3 * 3600));
    assert_eq!(world.snapshot().state, CallState::Talking);
    world.agent_is_deaf = true;
    world.idle(Duration::from_secs(1800));
    assert_eq!(world.ended(), Some(CallEnd::Failed));
    assert!(world.caller_saw(|event| matches!(event, Event::Ended { reason: sip::EndReason::Bye, .. })));
    assert_eq!(world.board.calls(), 0);
}

#[test]
fn an_agent_who_is_busy_is_busy_for_the_caller() {
    let mut world = World::new();
    world.ring();
    world.agent_rejects(486);
    assert!(world.caller_saw(|event| matches!(event, Event::Failed { status: 486, .. })));
    assert_eq!(world.board.calls(), 0);
}

#[test]
fn an_agent_who_declines_does_not_look_like_a_trunk_that_is_down() {
    for (agent, caller) in [(603, 603), (600, 600), (503, 500), (302, 500), (487, 480), (403, 480)] {
        let mut world = World::new();
        world.ring();
        world.agent_rejects(agent);
        let heard = |status| world.caller_saw(|event| matches!(event, Event::Failed { status: s, .. } if *s == status));
        assert!(heard(caller), "{agent} of the agent's side must be {caller} for the caller");
    }
}

#[test]
fn sixteen_keys_by_info_at_once_are_all_answered_and_in_order() {
    let mut world = World::new();
    world.talk();
    world.command(Action::Secure);
    world.caller_infos("4242424242424242");
    assert_eq!(world.info_keys, b"4242424242424242");
    assert_eq!(world.caller_answers(), [200; 16]);
}

#[test]
fn six_keys_on_an_open_line_are_an_alarm_where_the_route_says_so() {
    let alarm = |action: &AuditAction| *action == AuditAction::Alarm { kind: wire::record::AlarmKind::KeysOnOpenLine };
    for (number, alarms, secures) in [("1001", false, 0), ("1002", true, 0), ("1003", true, 1)] {
        let mut world = World::new();
        world.talk_at(number);
        world.media(media::Event::KeysOnOpenLine);
        assert_eq!((world.audited(alarm), world.secures()), (alarms, secures), "{number}");
        let line = if secures == 1 { LineState::Secured } else { LineState::Open };
        assert_eq!(world.snapshot().line, line, "{number}");
    }
}

#[test]
fn secured_is_answered_only_with_the_medias_proof() {
    let mut world = World::new();
    world.talk();
    world.media_answers = false;
    let id = world.command(Action::Secure);
    assert_eq!(world.snapshot().line, LineState::Securing);
    assert_eq!(world.result(id), None);
    world.media(media::Event::Secured);
    assert_eq!(world.snapshot().line, LineState::Secured);
    assert_eq!(world.result(id), Some(CommandResult::Done));
}

#[test]
fn without_proof_the_line_is_a_fault_and_the_payment_is_gone() {
    let mut world = World::new();
    world.talk();
    let payment = world.start_payment(&[Field::Pan, Field::Expiry]);
    world.command(Action::Secure);
    world.keys("4242");
    world.media_answers = false;
    let id = world.command(Action::Release);
    world.pass(Duration::from_secs(3));
    assert_eq!(world.snapshot().line, LineState::Fault);
    let progress = world.snapshot().payment.unwrap();
    assert_eq!((progress.payment, progress.state), (payment, PaymentState::Cancelled));
    assert!(world.audited(|action| *action == AuditAction::PaymentCancelled { payment }));
    assert_eq!(world.result(id), Some(CommandResult::Refused { reason: Refusal::MediaFault }));
    assert!(world.audited(|action| matches!(action, AuditAction::Alarm { .. })));
}

#[test]
fn a_media_session_that_gave_no_proof_is_told_to_mask_until_it_does() {
    let mut world = World::new();
    world.talk();
    world.media_answers = false;
    world.command(Action::Secure);
    world.pass(Duration::from_secs(7));
    assert_eq!(world.snapshot().line, LineState::Fault);
    assert!(world.secures() >= 3, "told {} times", world.secures());
    world.media(media::Event::Secured);
    assert_eq!(world.snapshot().line, LineState::Secured);
    let told = world.secures();
    world.media_answers = true;
    world.pass(Duration::from_secs(5));
    assert_eq!(world.secures(), told);
}

#[test]
fn a_stalled_media_thread_wipes_what_was_keyed() {
    let mut world = World::new();
    world.talk();
    let payment = world.start_payment(&[Field::Pan, Field::Expiry]);
    world.command(Action::Secure);
    world.keys("4242");
    world.pass(Duration::from_millis(300));
    assert_eq!(world.snapshot().payment.unwrap().fields[0].digits, 4);
    (world.proofs, world.media_answers) = (false, false);
    world.pass(Duration::from_secs(3));
    let snapshot = world.snapshot();
    assert_eq!(snapshot.line, LineState::Fault);
    let progress = snapshot.payment.unwrap();
    assert_eq!((progress.payment, progress.state), (payment, PaymentState::Cancelled));
}

#[test]
fn a_clock_that_jumps_opens_no_line() {
    for unix_ms in [0, 1_700_000_000_000, 4_000_000_000_000] {
        let mut world = World::new();
        world.talk();
        world.start_payment(&[Field::Pan, Field::Expiry]);
        world.command(Action::Secure);
        world.keys("4242");
        world.board.set_wall(world.now, unix_ms);
        world.pass(Duration::from_secs(5));
        world.keys("4");
        world.pass(Duration::from_millis(300));
        let snapshot = world.snapshot();
        assert_eq!((snapshot.line, snapshot.payment.unwrap().fields[0].digits), (LineState::Secured, 5), "{unix_ms}");
        assert!(!world.audited(|action| matches!(action, AuditAction::Alarm { .. })), "{unix_ms}");
        // The clock that machines go by: minutes at once, and no proof in them.
        world.now += Duration::from_secs(300);
        (world.proofs, world.media_answers) = (false, false);
        world.pass(Duration::from_millis(100));
        let snapshot = world.snapshot();
        assert_eq!(snapshot.line, LineState::Fault, "{unix_ms}");
        assert_eq!(snapshot.payment.unwrap().state, PaymentState::Cancelled, "{unix_ms}");
    }
}

/// Nobody would compare it, and nobody may keep it.
#[test]
fn a_card_that_is_only_kept_is_asked_for_its_code_only_where_a_gateway_verifies_it() {
    let all = [Field::Pan, Field::Expiry, Field::Cvv];
    let asked = |mut world: World| {
        world.talk();
        world.start_keeping(&all, wire::Store::Only, 0);
        world.snapshot().payment.unwrap().fields.iter().map(|field| field.field).collect::<Vec<_>>()
    };
    assert_eq!(asked(World::new()), all[..2]);
    assert_eq!(asked(World::with(|config| config.code_to_keep = config.merchants.clone())), all);
}

#[test]
fn a_whole_payment_is_authorized_once_and_releases_the_line() {
    let mut world = World::new();
    world.talk();
    let payment = world.start_payment(&[Field::Pan, Field::Expiry, Field::Cvv]);
    world.command(Action::Secure);
    world.keys("4242424242424242*1235123");
    world.pass(Duration::from_millis(300));
    assert_eq!(world.snapshot().payment.unwrap().state, PaymentState::Ready);
    let id = world.command(Action::Authorize { payment });
    let again = world.command(Action::Authorize { payment });
    let sends = world.sends();
    assert_eq!(sends.len(), 1, "one attempt however often the button is pressed");
    assert_eq!(world.result(again), Some(CommandResult::Refused { reason: Refusal::OutcomePending }));
    world.board.handle_journaled(world.now, world.call(), sends[0], Ok(()));
    world.settle();
    assert_eq!(world.result(id), Some(CommandResult::Done));
    world.board.handle_outcome(world.now, world.call(), sends[0], approved());
    world.settle();
    assert_eq!(world.snapshot().payment.unwrap().state, PaymentState::Approved);
    assert_eq!(world.snapshot().line, LineState::Releasing, "an approval releases; only the media session opens");
    world.media(media::Event::Opened);
    assert_eq!(world.snapshot().line, LineState::Open);
}

#[test]
fn an_attempt_that_could_not_be_journaled_is_proved_not_sent() {
    let mut world = World::new();
    world.talk();
    let payment = world.start_payment(&[Field::Pan, Field::Expiry]);
    world.command(Action::Secure);
    world.keys("4242424242424242*1235");
    let id = world.command(Action::Authorize { payment });
    let attempt = world.sends()[0];
    world.board.handle_journaled(world.now, world.call(), attempt, Err(Refusal::JournalFault));
    world.settle();
    assert_eq!(world.result(id), Some(CommandResult::Refused { reason: Refusal::JournalFault }));
    assert_eq!(world.snapshot().payment.unwrap().state, PaymentState::NotSent);
}

#[test]
fn a_repeated_command_is_answered_again_and_not_done_again() {
    let mut world = World::new();
    world.talk();
    let command = order(world.call(), Action::Secure);
    world.send_command(&command);
    world.send_command(&command);
    assert_eq!(world.results.iter().filter(|(id, _)| *id == command.id).count(), 2);
    assert_eq!(world.secures(), 1);
}

#[test]
fn a_command_for_a_call_that_is_gone_is_refused() {
    let mut world = World::new();
    world.talk();
    let call = world.call();
    world.caller_hangs_up();
    let command = order(call, Action::Secure);
    world.send_command(&command);
    assert_eq!(world.result(command.id), Some(CommandResult::Refused { reason: Refusal::UnknownCall }));
}

#[test]
fn a_command_that_waits_when_the_call_ends_is_answered() {
    let mut world = World::new();
    world.talk();
    world.media_answers = false;
    let id = world.command(Action::Secure);
    world.caller_hangs_up();
    assert_eq!(world.result(id), Some(CommandResult::Refused { reason: Refusal::UnknownCall }));
}

#[test]
fn hanging_up_wipes_before_anything_else() {
    let mut world = World::new();
    world.talk();
    let payment = world.start_payment(&[Field::Pan, Field::Expiry]);
    world.command(Action::Secure);
    world.keys("4242424242424242*");
    world.caller_hangs_up();
    assert_eq!(world.ended(), Some(CallEnd::CallerHungUp));
    let order = world.order_of_the_end();
    assert_eq!(order, ["payment cancelled", "close", "call ended"]);
    assert!(world.audited(|action| *action == AuditAction::PaymentCancelled { payment }));
}

#[test]
fn keys_of_the_open_line_that_are_on_their_way_do_not_reach_a_secured_agent() {
    let mut world = World::new();
    world.talk();
    world.agent_is_deaf = true;
    for key in ["1", "2", "3"] {
        world.caller_info("application/dtmf", key);
    }
    world.command(Action::Secure);
    world.agent_is_deaf = false;
    world.pass(Duration::from_secs(20));
    assert_eq!(world.agent_infos(), 0);
}

#[test]
fn a_caller_who_is_held_can_be_resumed_by_a_reinvite_without_an_offer() {
    let mut world = World::new();
    world.talk();
    world.agent_holds(true);
    assert_eq!(world.snapshot().state, CallState::Held);
    world.agent_resumes_without_offer();
    assert_eq!(world.snapshot().state, CallState::Talking);
    let offer = world.caller_last_offer();
    assert!(!String::from_utf8_lossy(offer.as_bytes()).contains("a=sendonly"), "the caller hears the agent again");
}

#[test]
fn a_question_in_an_empty_info_is_answered() {
    let mut world = World::new();
    world.talk();
    world.command(Action::Secure);
    world.caller_asks();
    assert_eq!(world.caller_answers(), [200]);
}

#[test]
fn hold_passes_to_the_other_side_and_back() {
    let mut world = World::new();
    world.talk();
    world.agent_holds(true);
    assert_eq!(world.snapshot().state, CallState::Held);
    let offer = world.caller_last_offer();
    assert!(String::from_utf8_lossy(offer.as_bytes()).contains("a=sendonly"));
    world.agent_holds(false);
    assert_eq!(world.snapshot().state, CallState::Talking);
    assert!(world.ended().is_none(), "hold ends no call");
}

#[test]
fn an_update_holds_and_resumes_as_a_reinvite_does() {
    let mut world = World::new();
    world.talk();
    for (direction, state) in [(Direction::SendOnly, CallState::Held), (Direction::SendRecv, CallState::Talking)] {
        let offer = world.agents_offer(direction);
        world.agent_says("UPDATE", "", Some(&offer));
        assert_eq!(world.snapshot().state, state);
        let answer = world.agent_heard("UPDATE");
        assert!(answer.starts_with("SIP/2.0 200") && answer.contains("127.0.0.9"), "{answer}");
    }
    world.agent_says("UPDATE", "", Some(&Body::from(b"v=zero".as_slice())));
    assert!(world.agent_heard("UPDATE").starts_with("SIP/2.0 400"));
    world.agent_says("OPTIONS", "", None);
    assert!(world.agent_heard("OPTIONS").starts_with("SIP/2.0 200"));
    assert!(world.ended().is_none());
}

#[test]
fn info_digits_pass_on_an_open_line_and_are_consumed_on_any_other() {
    let mut world = World::new();
    world.talk();
    world.caller_info("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n");
    assert_eq!(world.agent_infos(), 1);
    assert_eq!(world.info_keys, b"5", "counted by the media session, which gives no key of an open line");
    world.media_answers = false;
    world.command(Action::Secure);
    world.caller_info("application/dtmf-relay", "Signal=6\r\n");
    world.media(media::Event::Secured);
    world.caller_info("application/dtmf", "7");
    world.media(media::Event::Releasing);
    world.caller_info("application/dtmf", "8");
    assert_eq!(world.agent_infos(), 1, "not one more while securing, secured or releasing");
    assert_eq!(world.info_keys, b"5678");
    assert_eq!(world.caller_answers(), [200, 200, 200, 200]);
}

/// Seed 11424 of `sim`: an INFO of a secured line was lost three times on its way, and came when the line had just been opened.
#[test]
fn an_info_that_was_sent_on_a_masked_line_does_not_pass_when_it_comes_after_it_was_opened() {
    let mut world = World::new();
    world.talk();
    world.media_answers = false;
    world.command(Action::Secure);
    world.media(media::Event::Secured);
    world.media(media::Event::Releasing);
    world.media(media::Event::Opened);
    world.caller_info("application/dtmf", "1");
    world.pass(Duration::from_secs(31));
    world.caller_info("application/dtmf", "2");
    assert_eq!(world.agent_infos(), 0);
    world.pass(Duration::from_secs(2));
    world.caller_info("application/dtmf", "3");
    assert_eq!(world.agent_infos(), 1, "half a minute later none can be on its way any more");
}

#[test]
fn broken_offers_are_refused_in_words_that_sip_has() {
    let mut world = World::new();
    assert_eq!(world.refused_with(CARRIER, "1001", Some(Body::from(b"v=zero".as_slice()))), 400);
    let video = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n";
    assert_eq!(world.refused_with(CARRIER, "1001", Some(Body::from(video.as_slice()))), 488);
    let _ = AGENT;
}

#[test]
fn a_caller_without_an_offer_gets_ours_and_answers_with_the_ack() {
    let mut world = World::new();
    world.talk_late_offer();
    assert_eq!(world.snapshot().state, CallState::Talking);
    assert!(world.caller_connected());
}

fn approved() -> Outcome {
    Outcome::Approved {
        auth_code: "T1".to_owned(),
        gateway_ref: "g1".to_owned(),
        amount: wire::Money { minor: 4200, currency: wire::Currency::GBP },
        checks: wire::Checks::default(),
    }
}
