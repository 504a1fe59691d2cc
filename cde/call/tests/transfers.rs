//! Transfers, and agents whose leg is lost, through the switchboard: what is keyed stays, and nothing is unmasked.
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

use call::{Srtp, WebTerms};
use media::Side;
use sip::Event;
use sip::offer_answer::Certificates;
use std::time::Duration;
use wire::{Action, CallEnd, CallState, Field, LineState, PaymentState};
use world::{AGENT, CARRIER, Connected, World, order};

const TO_2001: &str = "Refer-To: <sip:2001@127.0.0.1>\r\n";

/// A secured call with the first four digits keyed.
fn keyed() -> World {
    keyed_in(World::new())
}

fn keyed_in(mut world: World) -> World {
    world.talk();
    world.start_payment(&[Field::Pan, Field::Expiry]);
    world.command(Action::Secure);
    world.keys("4242");
    world
}

/// Nothing was keyed twice, nothing was unmasked, and the rest is taken.
#[track_caller]
fn finish(world: &mut World) {
    assert_eq!(world.snapshot().line, LineState::Secured);
    assert_eq!(
        (world.secures(), world.media_orders("release"), world.tried.len()),
        (1, 0, 1),
        "the media session goes on"
    );
    pay(world);
}

/// The rest is taken.
#[track_caller]
fn pay(world: &mut World) {
    world.keys("424242424242*1235");
    world.pass(Duration::from_millis(300));
    let payment = world.snapshot().payment.unwrap();
    assert_eq!((payment.state, payment.fields[0].digits), (PaymentState::Ready, 16));
}

#[test]
fn a_blind_transfer_while_secured_keeps_the_capture_and_the_mask() {
    let mut world = keyed();
    world.agent_says("REFER", TO_2001, None);
    assert!(world.agent_heard("REFER").starts_with("SIP/2.0 202"));
    assert_eq!(world.agent_news(), ["100", "180"]);
    assert!(world.agent_got().contains(&"INVITE sip:2001@127.0.0.1:5080 SIP/2.0"));
    let connected = world.media_orders("agent connected");
    world.agent_picks_up();
    assert_eq!(world.agent_news(), ["100", "180", "200"]);
    assert!(world.agent_got().last().unwrap().starts_with("BYE"), "the leg that transferred is hung up");
    assert_eq!(world.media_orders("agent connected"), connected + 1);
    assert_eq!((world.snapshot().extension.as_str(), world.snapshot().state), ("2001", CallState::Talking));
    finish(&mut world);
    world.caller_hangs_up();
    assert_eq!((world.ended(), world.board.calls()), (Some(CallEnd::CallerHungUp), 0));
}

#[test]
fn the_leg_that_takes_over_is_protected_as_its_trunk_demands() {
    let mut world = World::with_srtp(Srtp::Off, Srtp::Required);
    world.talk();
    world.agent_says("REFER", TO_2001, None);
    let offer = world.agent_offer();
    assert!(String::from_utf8_lossy(offer.as_bytes()).contains("RTP/SAVP"));
    world.agent_picks_up();
    assert_eq!(world.snapshot().extension.as_str(), "2001");
    assert!(matches!(world.connects.last(), Some((Side::Agent, Connected::Protected(_)))));
}

/// A PBX that protects nothing, and a trunk at the same place, for 1009, that must.
fn with_a_protected_trunk() -> World {
    World::with(|config| {
        let vault = call::Trunk { name: "vault".to_owned(), srtp: Srtp::Required, ..config.trunks[1].clone() };
        config.trunks.push(vault);
        let to_vault = call::Route { to: "vault".to_owned(), prefix: "1009".to_owned(), ..config.routes[0].clone() };
        config.routes.push(to_vault);
    })
}

fn offers_protection(world: &World) -> bool {
    String::from_utf8_lossy(world.agent_offer().as_bytes()).contains("RTP/SAVP")
}

#[test]
fn a_redirect_to_a_trunk_that_must_be_protected_offers_nothing_else() {
    let mut world = with_a_protected_trunk();
    world.ring();
    assert!(!offers_protection(&world), "the control");
    world.agent_redirects("<sip:1009@127.0.0.1>");
    assert!(world.agent_got().contains(&"INVITE sip:1009@127.0.0.1:5080 SIP/2.0"));
    assert!(offers_protection(&world));
}

#[test]
fn an_agent_who_is_called_again_is_offered_what_their_own_trunk_demands() {
    let mut world = with_a_protected_trunk();
    world.talk();
    world.start_payment(&[Field::Pan, Field::Expiry]);
    world.command(Action::Secure);
    world.keys("4242");
    world.agent_says("REFER", "Refer-To: <sip:1009@127.0.0.1>\r\n", None);
    assert!(offers_protection(&world));
    world.agent_leg = Some(0);
    world.agent_says("BYE", "", None);
    world.agent_rejects(480);
    world.pass(Duration::from_secs(6));
    assert!(world.agent_got().iter().rfind(|line| line.starts_with("INVITE")).unwrap().contains("sip:1001@"));
    assert!(!offers_protection(&world), "the PBX protects nothing");
}

#[test]
fn the_agent_who_transferred_may_hang_up_before_the_other_answers() {
    let mut world = keyed();
    world.agent_says("REFER", TO_2001, None);
    world.agent_leg = Some(0);
    world.agent_says("BYE", "", None);
    assert_eq!((world.ended(), world.snapshot().state), (None, CallState::Ringing));
    world.agent_picks_up();
    finish(&mut world);
}

#[test]
fn a_transfer_dials_no_number_without_a_route() {
    let mut world = keyed();
    for target in ["<sip:0900123@127.0.0.1>", "<sip:9@203.0.113.9>", "<sip:203.0.113.9>", "<tel:0900123>"] {
        world.agent_says("REFER", &format!("Refer-To: {target}\r\n"), None);
        let answer = world.agent_heard("REFER");
        assert!(answer.starts_with("SIP/2.0 403") || answer.starts_with("SIP/2.0 404"), "{answer}");
    }
    world.agent_says("REFER", "Refer-To: <sip:2001@203.0.113.9>\r\n", None);
    assert!(world.agent_got().contains(&"INVITE sip:2001@127.0.0.1:5080 SIP/2.0"), "the trunk, wherever the URI leads");
    assert_eq!(world.agent_got().iter().filter(|line| line.starts_with("INVITE")).count(), 2);
}

#[test]
fn a_transfer_that_fails_leaves_the_call_as_it_was() {
    let mut world = keyed();
    world.agent_says("REFER", TO_2001, None);
    world.agent_rejects(486);
    assert_eq!(world.agent_news(), ["100", "180", "486"]);
    assert_eq!(world.snapshot().extension.as_str(), "1001");
    finish(&mut world);
    world.agent_leg = Some(0);
    world.agent_says("REFER", TO_2001, None);
    world.pass(Duration::from_secs(61));
    assert_eq!(world.agent_news()[3..], ["100", "180", "408"], "nobody rings for ever");
    assert_eq!((world.ended(), world.snapshot().extension.as_str()), (None, "1001"));
}

#[test]
fn the_caller_is_who_it_is_while_its_keys_are_taken() {
    let mut world = keyed();
    let caller_leg = world.agent_leg_name(|text| text.starts_with("ACK"));
    assert_eq!(
        world.raw_invite(CARRIER, &format!("Replaces: {caller_leg}\r\n")),
        "403",
        "the agent's leg, by the carrier"
    );
    let agent_leg = caller_leg;
    assert_eq!(world.raw_invite(AGENT, "Replaces: nobody;to-tag=1;from-tag=2\r\n"), "481");
    assert_eq!(world.raw_invite(AGENT, "Replaces: broken\r\n"), "400");
    assert_eq!(world.raw_invite(AGENT, &format!("Replaces: {agent_leg};early-only\r\n")), "486");
    finish(&mut world);
}

#[test]
fn while_keys_are_taken_nobody_takes_the_callers_place() {
    let mut world = keyed();
    assert_eq!(world.caller_refers("<sip:1002@127.0.0.1>"), "SIP/2.0 603");
    let leg = world.caller_leg_name();
    assert_eq!(world.raw_invite(CARRIER, &format!("Replaces: {leg}\r\n")), "603");
    finish(&mut world);
}

#[test]
fn the_callers_side_may_transfer_an_open_call_and_by_its_own_routes_only() {
    let mut world = World::new();
    world.talk();
    // The PBX may call this number through us; that does not let the carrier have it called.
    assert_eq!(world.caller_refers("<sip:2001@127.0.0.1>"), "SIP/2.0 403");
    assert_eq!(world.caller_refers("<sip:1002@127.0.0.1>"), "SIP/2.0 202");
    assert!(world.agent_got().contains(&"INVITE sip:1002@127.0.0.1:5080 SIP/2.0"));
    world.agent_picks_up();
    assert!(world.caller_saw(|event| matches!(event, Event::Ended { .. })), "who transferred is out of it");
    assert_eq!((world.snapshot().state, world.snapshot().extension.as_str()), (CallState::Talking, "1001"));
}

#[test]
fn a_transfer_that_was_asked_for_before_takes_no_caller_away_whose_keys_are_taken() {
    let mut world = World::new();
    world.talk();
    assert_eq!(world.caller_refers("<sip:1002@127.0.0.1>"), "SIP/2.0 202");
    world.start_payment(&[Field::Pan, Field::Expiry]);
    world.command(Action::Secure);
    world.keys("4242");
    world.agent_picks_up();
    assert!(!world.caller_saw(|event| matches!(event, Event::Ended { .. })), "the caller is who it was");
    assert!(world.agent_got().last().unwrap().starts_with("BYE"), "who was called is let go");
    finish(&mut world);
}

#[test]
fn what_answers_for_an_agent_and_hangs_up_is_not_called_as_fast_as_it_does_that() {
    let mut world = keyed();
    let calls = |world: &World| world.agent_got().iter().filter(|line| line.starts_with("INVITE")).count();
    for again in 0..3 {
        world.agent_hangs_up();
        let waits = if again == 0 { 0 } else { 5 };
        assert_eq!(calls(&world), 1 + again + usize::from(again == 0), "at once only the first time");
        world.pass(Duration::from_secs(waits));
        world.agent_picks_up();
        assert_eq!((calls(&world), world.snapshot().state), (2 + again, CallState::Talking));
    }
    for _ in 3..10 {
        world.agent_hangs_up();
        world.pass(Duration::from_secs(5));
        world.agent_picks_up();
    }
    world.agent_hangs_up();
    assert_eq!((calls(&world), world.board.calls()), (11, 0), "and not for ever");
}

#[test]
fn another_agent_takes_the_place_by_replaces() {
    let mut world = keyed();
    let leg = world.agent_leg_name(|text| text.starts_with("ACK"));
    assert_eq!(world.raw_invite(AGENT, &format!("Replaces: {leg}\r\n")), "200");
    assert!(world.agent_saw(|event| matches!(event, Event::Ended { .. })), "who had the call is out of it");
    assert_eq!(world.snapshot().extension.as_str(), "1009");
    finish(&mut world);
}

/// What broke: whoever took the place was called back under any number that they wrote into From.
#[test]
fn who_takes_the_place_is_called_back_under_no_number_that_no_route_has() {
    for (says, is) in [("0900123", "1001"), ("1002", "1002"), ("2001", "2001"), ("anonymous", "1001")] {
        let mut world = keyed();
        let leg = world.agent_leg_name(|text| text.starts_with("ACK"));
        assert_eq!(world.raw_invite_by(AGENT, says, "", &format!("Replaces: {leg}\r\n")), "200");
        assert_eq!(world.snapshot().extension.as_str(), is, "{says}");
        let before = world.agent_got().len();
        // The new leg is never confirmed, and is lost.
        world.pass(Duration::from_secs(40));
        let called = world.agent_got()[before..].iter().find(|line| line.starts_with("INVITE")).unwrap().to_string();
        assert!(called.starts_with(&format!("INVITE sip:{is}@")), "{says}: {called}");
    }
}

#[test]
fn an_attended_transfer_joins_two_calls_of_ours() {
    let mut world = keyed();
    let call = world.call();
    world.agent_calls("2001");
    world.agent_picks_up();
    assert_eq!(world.board.calls(), 2);
    let consult = world.agent_leg_name(|text| text.starts_with("SIP/2.0 200") && text.contains("CSeq: 1 INVITE"));
    let escaped = consult.replace(';', "%3B").replace('=', "%3D");
    world.agent_leg = Some(0);
    world.agent_says("REFER", &format!("Refer-To: <sip:2001@127.0.0.1?Replaces={escaped}>\r\n"), None);
    assert!(world.agent_heard("REFER").starts_with("SIP/2.0 202"));
    assert_eq!(world.agent_news(), ["100", "200"]);
    assert_eq!((world.board.calls(), world.call()), (1, call), "what is left of the consultation is over");
    let snapshot = world.snapshot();
    assert_eq!((snapshot.line, snapshot.state), (LineState::Secured, CallState::Talking));
    assert_eq!(snapshot.extension.as_str(), "2001", "it is the colleague's call now, and stands at their desk");
    world.keys("424242424242*1235");
    world.pass(Duration::from_millis(300));
    assert_eq!(world.snapshot().payment.unwrap().state, PaymentState::Ready);
    world.caller_hangs_up();
    assert_eq!(world.board.calls(), 0);
}

/// A keyed call, and another in which its agent asks somebody; the REFER that is to join them.
fn consulting() -> (World, String) {
    consulting_in(World::new())
}

fn consulting_in(world: World) -> (World, String) {
    let mut world = keyed_in(world);
    world.agent_calls("2001");
    world.agent_picks_up();
    let consult = world.agent_leg_name(|text| text.starts_with("SIP/2.0 200") && text.contains("CSeq: 1 INVITE"));
    let escaped = consult.replace(';', "%3B").replace('=', "%3D");
    (world, format!("Refer-To: <sip:2001@127.0.0.1?Replaces={escaped}>\r\n"))
}

#[test]
fn a_consultation_stands_if_who_was_asked_does_not_come_over() {
    let (mut world, refer) = consulting();
    world.agent_leg = Some(0);
    world.peer(Side::Agent).refuses = vec![488];
    world.agent_says("REFER", &refer, None);
    assert_eq!(world.agent_news(), ["100", "488"]);
    assert_eq!(world.board.calls(), 2, "both calls are as they were");
    assert!(world.board.snapshots().iter().all(|call| call.state == CallState::Talking));
    assert!(!world.agent_got().iter().any(|line| line.starts_with("BYE")), "nobody is hung up on");
    // And the consultation is a whole call: what its leg says is heard there.
    world.agent_leg = Some(1);
    world.agent_says("BYE", "", None);
    assert_eq!(world.board.calls(), 1);
    world.agent_leg = Some(0);
    pay(&mut world);
}

#[test]
fn who_is_busy_with_an_offer_of_their_own_is_asked_again_to_come_over() {
    let (mut world, refer) = consulting();
    world.agent_leg = Some(0);
    world.peer(Side::Agent).refuses = vec![491, 491];
    world.agent_says("REFER", &refer, None);
    assert_eq!((world.agent_news(), world.board.calls()), (vec!["100"], 2), "it waits");
    world.proofs = false;
    world.pass(Duration::from_secs(9));
    assert_eq!((world.agent_news(), world.board.calls()), (vec!["100", "200"], 1));
    let (mut world, refer) = consulting();
    world.agent_leg = Some(0);
    world.peer(Side::Agent).refuses = vec![491; 9];
    world.agent_says("REFER", &refer, None);
    world.proofs = false;
    world.pass(Duration::from_secs(30));
    assert_eq!((world.agent_news(), world.board.calls()), (vec!["100", "491"], 2), "and not for ever");
}

/// What broke: whether the other call's line was open was asked once, when the REFER came. A call that was secured before its leg had
/// agreed to come over lost it all the same, to a call whose line may be open.
#[test]
fn a_call_that_was_secured_since_gives_no_leg_to_another() {
    // It is secured while the offer to its leg is under way, and between two of them.
    for busy in [vec![], vec![491]] {
        let (mut world, refer) = consulting();
        world.agent_leg = Some(0);
        world.peer(Side::Agent).refuses = busy;
        let lender = world.newest_call();
        world.agent_sends("REFER", &refer, None);
        let id = wire::CommandId::from_random(9000);
        let secure = wire::Command { id, ..order(lender, Action::Secure) };
        world.board.handle_command(world.now, &secure);
        world.settle();
        world.proofs = false;
        world.pass(Duration::from_secs(9));
        assert_eq!((world.agent_news(), world.board.calls()), (vec!["100", "603"], 2), "both calls are as they were");
        let snapshots = world.board.snapshots();
        let snapshot = snapshots.iter().find(|call| call.call == lender).unwrap();
        assert!(snapshot.line.masked() && snapshot.state == CallState::Talking, "{snapshot:?}");
        let port = |text: &String| text.lines().find(|line| line.starts_with("m=audio")).unwrap().to_owned();
        let mut offers = world.agent_texts().iter().filter(|text| text.starts_with("INVITE"));
        let own = offers.clone().find(|text| text.starts_with("INVITE sip:2001@")).map(port);
        assert_eq!(offers.next_back().map(port), own, "its leg is told where its sound goes");
        // What its leg says is heard there, and nowhere else.
        world.agent_leg = Some(1);
        world.agent_says("BYE", "", None);
        let talks = world.board.snapshots().into_iter().filter(|call| call.state == CallState::Talking);
        assert!(talks.map(|call| call.call).all(|call| call != lender) && world.board.calls() > 0);
    }
}

/// Agents in browsers, and what the colleague's was told and looked for with first.
fn consulting_in_browsers() -> (World, String, WebTerms) {
    let showing = |ours, other| Srtp::Web(Certificates { ours: [ours; 32], other: [other; 32] });
    let mut world = World::with_srtp(Srtp::Off, showing(9, 8));
    world.peer(Side::Agent).srtp = showing(3, 4);
    let (world, refer) = consulting_in(world);
    let (.., terms) = world.negotiations.iter().rfind(|(side, ..)| *side == Side::Agent).unwrap();
    let terms = terms.clone();
    (world, refer, terms)
}

/// The colleague's browser has agreed to other names and another certificate. With those of before it would be looked for under
/// keys that it has no more.
#[track_caller]
fn is_found_anew(world: &mut World, before: &WebTerms) {
    let now = world.negotiations.last().unwrap().2.clone();
    assert!(now.ufrag != before.ufrag && now.password != before.password, "the checks begin anew");
    assert_ne!(now.handshake, before.handshake, "and so does the handshake");
    assert_eq!(now.ours, before.ours, "with the certificate that is not the other call's");
    let said = world.peer(Side::Agent).heard.clone().unwrap();
    let fingerprint = vec!["09"; 32].join(":");
    assert!(said.contains(&format!("a=ice-ufrag:{}\r\n", now.ufrag)) && said.contains(&fingerprint), "{said}");
}

/// What broke: a browser that had agreed to another call's offer was offered the names of before when that came to nothing, and looked
/// for with the handshake of before: both calls were silent to it.
#[test]
fn a_browser_that_had_come_over_and_is_taken_back_is_found_anew() {
    let (mut world, refer, before) = consulting_in_browsers();
    world.agent_leg = Some(0);
    let lender = world.newest_call();
    world.agent_sends("REFER", &refer, None);
    let secure = wire::Command { id: wire::CommandId::from_random(9000), ..order(lender, Action::Secure) };
    world.board.handle_command(world.now, &secure);
    world.settle();
    assert_eq!((world.agent_news(), world.board.calls()), (vec!["100", "603"], 2), "both calls are as they were");
    is_found_anew(&mut world, &before);
}

/// What broke: its answer to the other call was taken for one to ours, and it was told two seconds later, in words of before.
#[test]
fn a_browser_that_agrees_to_come_over_when_nobody_waits_for_it_any_more_is_found_anew() {
    let (mut world, refer, before) = consulting_in_browsers();
    world.agent_leg = Some(0);
    world.agent_sends("REFER", &refer, None);
    world.agent_is_deaf = true;
    world.settle();
    world.caller_hangs_up();
    assert_eq!(world.board.calls(), 1, "the call that it was to join is over");
    world.agent_is_deaf = false;
    world.proofs = false;
    world.pass(Duration::from_secs(1));
    is_found_anew(&mut world, &before);
    let found = world.negotiations.len();
    world.pass(Duration::from_secs(10));
    assert_eq!(world.negotiations.len(), found, "it is told once");
    assert_eq!(world.board.calls(), 1);
}

/// What broke: while the other call's offer was open all tries were used up, and one glare afterwards left it silent for good.
#[test]
fn a_browser_that_agrees_late_and_is_busy_then_is_asked_again() {
    let (mut world, refer, before) = consulting_in_browsers();
    world.agent_leg = Some(0);
    world.agent_sends("REFER", &refer, None);
    world.agent_is_deaf = true;
    world.settle();
    world.caller_hangs_up();
    world.proofs = false;
    world.pass(Duration::from_secs(14));
    world.agent_is_deaf = false;
    world.peer(Side::Agent).refuses = vec![200, 491];
    world.pass(Duration::from_secs(12));
    assert!(world.peer(Side::Agent).refuses.is_empty(), "it has agreed elsewhere, and was busy when it was asked back");
    is_found_anew(&mut world, &before);
    assert_eq!(world.board.calls(), 1);
}

/// The control: one that has not agreed to anything keeps what it has.
#[test]
fn a_browser_that_says_no_to_another_call_keeps_its_keys() {
    let (mut world, refer, before) = consulting_in_browsers();
    world.agent_leg = Some(0);
    world.peer(Side::Agent).refuses = vec![488];
    world.agent_says("REFER", &refer, None);
    assert_eq!(world.agent_news(), ["100", "488"]);
    assert!(world.negotiations.last().unwrap().2 == before);
}

#[test]
fn a_leg_that_is_asked_already_is_not_asked_by_another_call() {
    let (mut world, refer) = consulting();
    world.agent_leg = Some(0);
    world.peer(Side::Agent).refuses = vec![491];
    world.agent_says("REFER", &refer, None);
    world.agent_calls("2002");
    world.agent_picks_up();
    world.agent_leg = None;
    world.agent_says("REFER", &refer, None);
    assert!(world.agent_heard("REFER").starts_with("SIP/2.0 403"), "{}", world.agent_heard("REFER"));
}

#[test]
fn who_consults_may_hang_up_before_the_other_has_come_over() {
    let (mut world, refer) = consulting();
    world.agent_leg = Some(0);
    world.peer(Side::Agent).refuses = vec![491];
    world.agent_says("REFER", &refer, None);
    let gone = world.agent_got().len();
    world.agent_calls_hang_up();
    assert!(!world.agent_got()[gone..].iter().any(|line| line.starts_with("BYE")), "the leg that was asked stays");
    world.proofs = false;
    world.pass(Duration::from_secs(5));
    assert_eq!((world.agent_news(), world.board.calls()), (vec!["100", "200"], 1));
}

#[test]
fn who_was_asked_and_hangs_up_is_gone_from_both_calls() {
    let (mut world, refer) = consulting();
    world.agent_leg = Some(0);
    world.peer(Side::Agent).refuses = vec![491];
    world.agent_says("REFER", &refer, None);
    world.agent_leg = Some(1);
    world.agent_says("BYE", "", None);
    assert_eq!((world.agent_news(), world.board.calls()), (vec!["100", "487"], 1), "the consultation is over");
    world.agent_leg = Some(0);
    pay(&mut world);
}

#[test]
fn a_leg_that_came_over_may_do_what_its_own_trunk_may() {
    let (mut world, refer) = consulting();
    world.agent_leg = Some(0);
    world.agent_says("REFER", &refer, None);
    assert_eq!(world.board.calls(), 1);
    // It is of the PBX, which may call 2…, and not of the carrier, which may call 10…: it transfers by the routes of both, as an agent may.
    world.agent_leg = Some(1);
    world.agent_says("REFER", "Refer-To: <sip:2002@127.0.0.1>\r\n", None);
    assert!(world.agent_heard("REFER").starts_with("SIP/2.0 202"), "{}", world.agent_heard("REFER"));
    assert!(world.agent_got().contains(&"INVITE sip:2002@127.0.0.1:5080 SIP/2.0"));
    world.agent_rejects(486);
    world.agent_says("REFER", "Refer-To: <sip:0900123@127.0.0.1>\r\n", None);
    assert!(world.agent_heard("REFER").starts_with("SIP/2.0 403"));
    // The carrier cannot take its place, and the PBX can.
    let leg = world.agent_leg_name(|text| text.starts_with("ACK") && text.contains("2001"));
    assert_eq!(world.raw_invite(CARRIER, &format!("Replaces: {leg}\r\n")), "403");
    assert_eq!(world.raw_invite(AGENT, &format!("Replaces: {leg}\r\n")), "200");
}

#[test]
fn a_side_that_is_busy_with_an_offer_of_its_own_is_told_later_how_things_are() {
    let mut world = World::new();
    world.talk();
    world.agent_holds(true);
    assert_eq!(world.snapshot().state, CallState::Held);
    world.peer(Side::Caller).refuses = vec![491, 491];
    let invites = world.caller_invites();
    // The leg that takes the place talks both ways; the caller, who was put on hold, must hear of it.
    let leg = world.agent_leg_name(|text| text.starts_with("ACK"));
    assert_eq!(world.raw_invite(AGENT, &format!("Replaces: {leg}\r\n")), "200");
    assert_eq!((world.caller_invites(), world.snapshot().state), (invites + 1, CallState::Held));
    world.pass(Duration::from_secs(10));
    assert_eq!((world.caller_invites(), world.snapshot().state), (invites + 3, CallState::Talking));
}

#[test]
fn an_agent_whose_leg_is_lost_while_a_card_is_keyed_is_called_again() {
    let mut world = keyed();
    world.agent_says("BYE", "", None);
    assert_eq!((world.ended(), world.snapshot().state), (None, CallState::Ringing));
    assert_eq!(world.agent_got().iter().filter(|line| line.starts_with("INVITE sip:1001@")).count(), 2);
    world.keys("42");
    world.agent_picks_up();
    assert_eq!(world.snapshot().state, CallState::Talking);
    world.keys("4242424242*1235");
    world.pass(Duration::from_millis(300));
    let payment = world.snapshot().payment.unwrap();
    assert_eq!((payment.state, payment.fields[0].digits), (PaymentState::Ready, 16), "keys went on meanwhile");
    assert_eq!((world.secures(), world.media_orders("release")), (1, 0));
}

#[test]
fn a_caller_is_not_kept_for_ever_nor_for_an_agent_who_says_no() {
    let mut world = keyed();
    world.agent_says("BYE", "", None);
    world.pass(Duration::from_secs(59));
    assert_eq!(world.ended(), None);
    world.proofs = false;
    world.idle(Duration::from_secs(10));
    assert_eq!((world.ended(), world.board.calls()), (Some(CallEnd::Failed), 0));
    let mut world = keyed();
    world.agent_says("BYE", "", None);
    world.agent_rejects(603);
    assert_eq!(world.ended(), Some(CallEnd::Failed));
    let mut world = World::new();
    world.talk();
    world.agent_says("BYE", "", None);
    assert_eq!(world.ended(), Some(CallEnd::AgentHungUp), "nothing was keyed");
}

#[test]
fn an_agent_who_is_not_there_at_first_is_called_until_the_caller_was_kept_long_enough() {
    let mut world = keyed();
    world.agent_says("BYE", "", None);
    world.agent_rejects(503);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.agent_got().iter().filter(|line| line.starts_with("INVITE sip:1001@")).count(), 3);
    world.agent_picks_up();
    finish(&mut world);
}

#[test]
fn a_call_that_is_sent_elsewhere_follows_only_to_numbers_that_a_route_allows() {
    let mut world = World::new();
    world.ring();
    world.agent_redirects("<sip:0900123@203.0.113.9>, <sip:1002@203.0.113.9>");
    assert!(world.agent_got().contains(&"INVITE sip:1002@127.0.0.1:5080 SIP/2.0"));
    world.agent_picks_up();
    assert_eq!(world.snapshot().extension.as_str(), "1002");
    let mut world = World::new();
    world.ring();
    world.agent_redirects("<sip:0900123@203.0.113.9>");
    assert!(world.caller_saw(|event| matches!(event, Event::Failed { status: 500, .. })));
    let mut world = World::new();
    world.ring();
    for _ in 0..6 {
        world.agent_redirects("<sip:1002@203.0.113.9>");
    }
    assert!(world.caller_saw(|event| matches!(event, Event::Failed { status: 500, .. })), "not for ever");
    assert_eq!(world.agent_got().iter().filter(|line| line.starts_with("INVITE")).count(), 6);
}
