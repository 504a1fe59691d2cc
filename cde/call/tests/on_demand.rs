//! The line secured on demand, through the switchboard: who is taken, who is called back, and what is heard when.
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
use wire::{
    Action, AuditAction, CallEnd, CallState, CommandResult, Currency, Field, LineState, Money, PaymentId, PaymentOrder,
    PaymentState, Refusal, Store, TransferRefusal, WayIn,
};
use world::transfer::PBX;
use world::{AGENT, CARRIER, World};

const MS: Duration = Duration::from_millis(1);

fn order() -> PaymentOrder {
    PaymentOrder {
        payment: PaymentId::from_random(5),
        amount: Money { minor: 4200, currency: Currency::GBP },
        merchant: "main".parse().unwrap(),
        fields: vec![Field::Pan, Field::Expiry],
        store: Store::None,
        purpose: None,
        capture: wire::CaptureTime::Now,
        partial: false,
        avs: None,
    }
}

fn refused(world: &World, why: TransferRefusal) -> bool {
    world.audited(|action| *action == AuditAction::TransferRefused { why })
}

fn dials(world: &World) -> Vec<&str> {
    world.agent_got().into_iter().filter(|line| line.starts_with("INVITE")).collect()
}

#[test]
fn a_caller_who_is_transferred_to_a_code_meets_the_agent_on_a_secured_line() {
    let mut world = World::on_demand();
    world.agent_answers_by_itself(false);
    let code = world.code("1001");
    let awaited = world.snapshot();
    assert_eq!((awaited.state, awaited.extension.as_str(), awaited.caller.as_str()), (CallState::Awaited, "1001", ""));
    world.is_transferred(&code.user);
    assert!(world.caller_saw(|event| matches!(event, Event::Answered { .. })), "the PBX lets the agent go only then");
    assert_eq!(dials(&world), ["INVITE sip:1001@127.0.0.1:5080 SIP/2.0"]);
    let ringing = world.snapshot();
    assert_eq!(
        (ringing.call, ringing.state),
        (awaited.call, CallState::Ringing),
        "the desk opens on the call it knows"
    );
    assert_eq!((ringing.caller.as_str(), ringing.called.as_str()), ("447700900142", "secure"));
    assert_eq!((ringing.way, ringing.keys_cross_pbx, ringing.line), (WayIn::Code, true, LineState::Secured));
    world.agent_picks_up();
    assert_eq!((world.snapshot().state, world.snapshot().line), (CallState::Talking, LineState::Secured));
    assert!(world.first_order("secure") < world.first_order("agent connected"), "masked before the agent hears");
    assert!(world.audited(|action| *action == AuditAction::Transferred));
    world.caller_hangs_up();
    assert_eq!((world.ended(), world.board.calls()), (Some(CallEnd::CallerHungUp), 0));
}

#[test]
fn what_is_to_be_paid_is_asked_for_once_the_two_speak_again() {
    let mut world = World::on_demand();
    world.agent_answers_by_itself(false);
    let CommandResult::Awaiting { code, .. } = world.asks_for_code("1001", Some(order())) else { panic!() };
    world.is_transferred(&code.user);
    assert!(world.snapshot().payment.is_none());
    world.agent_picks_up();
    world.keys("4242424242424242*1235");
    world.pass(300 * MS);
    let payment = world.snapshot().payment.unwrap();
    assert_eq!((payment.payment, payment.state), (order().payment, PaymentState::Ready));
}

#[test]
fn an_order_that_cannot_be_paid_is_refused_while_the_caller_is_still_elsewhere() {
    let mut world = World::on_demand();
    let nobody = PaymentOrder { merchant: "nobody".parse().unwrap(), ..order() };
    let refused = CommandResult::Refused { reason: Refusal::UnknownMerchant };
    assert_eq!(world.asks_for_code("1001", Some(nobody)), refused);
    let free = PaymentOrder { amount: Money { minor: 0, currency: Currency::GBP }, ..order() };
    assert_eq!(world.asks_for_code("1001", Some(free)), CommandResult::Refused { reason: Refusal::BadAmount });
    assert!(world.board.snapshots().is_empty());
}

#[test]
fn a_code_is_good_once_and_from_the_trunk_of_its_agent_alone() {
    let mut world = World::on_demand();
    let code = world.code("1001");
    world.comes(CARRIER, &code.user, "447700900142", &[]);
    assert_eq!(world.refusal(), Some(404), "a carrier's trunk");
    world.comes("127.0.0.1:5999".parse().unwrap(), &code.user, "447700900142", &[]);
    assert_eq!(world.refusal(), Some(403), "a stranger");
    assert!(dials(&world).is_empty());
    world.is_transferred(&code.user);
    assert_eq!((world.refusal(), dials(&world).len()), (None, 1));
    world.is_transferred(&code.user);
    assert_eq!((world.refusal(), dials(&world).len()), (Some(404), 1));
    assert!(refused(&world, TransferRefusal::WrongCode));
}

#[test]
fn a_carrier_whose_route_takes_every_number_does_not_pass_a_code_on() {
    let mut world = World::on_demand_with(|config| config.routes[0].prefix = String::new());
    let code = world.code("1001");
    world.comes(CARRIER, &code.user, "447700900142", &[]);
    assert_eq!((world.refusal(), dials(&world).len()), (Some(404), 0));
}

#[test]
fn a_code_is_good_for_two_minutes_and_its_end_is_told() {
    let mut world = World::on_demand();
    let code = world.code("1001");
    world.idle(Duration::from_secs(115));
    assert_eq!(world.board.snapshots().len(), 1);
    world.idle(Duration::from_secs(5));
    assert_eq!((world.ended(), world.board.snapshots().len()), (Some(CallEnd::NotTransferred), 0));
    assert!(world.audited(|action| *action == AuditAction::TransferExpired));
    world.is_transferred(&code.user);
    assert_eq!(world.refusal(), Some(404));
}

#[test]
fn an_agents_newer_code_takes_the_place_of_the_one_before() {
    let mut world = World::on_demand();
    let (first, other, second) = (world.code("1001"), world.code("1002"), world.code("1001"));
    assert_eq!(world.board.snapshots().len(), 2);
    world.is_transferred(&first.user);
    assert_eq!(world.refusal(), Some(404));
    world.is_transferred(&second.user);
    assert_eq!((world.refusal(), world.snapshot().extension.as_str()), (None, "1001"));
    world.is_transferred(&other.user);
    assert_eq!(world.refusal(), None);
}

#[test]
fn nobody_but_the_agent_who_asked_is_called_back_whatever_the_invite_says() {
    let mut world = World::on_demand();
    let code = world.code("1001");
    let headers = [
        ("P-Asserted-Identity", "<sip:447700900142@127.0.0.1>"),
        ("Diversion", "<sip:1002@127.0.0.1>"),
        ("Referred-By", "<sip:1003@127.0.0.1>"),
        ("X-Agent", "1004"),
    ];
    world.comes(PBX, &code.user, "447700900142", &headers);
    assert_eq!(dials(&world), ["INVITE sip:1001@127.0.0.1:5080 SIP/2.0"]);
}

#[test]
fn an_extension_that_the_configuration_does_not_name_gets_no_code() {
    let mut world = World::on_demand();
    for extension in ["2001", "10010", "447700900142"] {
        let refused = CommandResult::Refused { reason: Refusal::NotOnDemand };
        assert_eq!(world.asks_for_code(extension, None), refused, "{extension}");
    }
    assert!(world.board.snapshots().is_empty());
    let mut none = World::new();
    assert_eq!(none.asks_for_code("1001", None), CommandResult::Refused { reason: Refusal::NotOnDemand });
}

#[test]
fn an_agent_who_plays_the_caller_is_refused_and_the_code_stays_good() {
    let mut world = World::on_demand();
    let code = world.code("1001");
    world.comes(PBX, &code.user, "1002", &[]);
    assert_eq!(world.refusal(), Some(403));
    world.comes(
        PBX,
        &code.user,
        "447700900142",
        &[("P-Asserted-Identity", "\"x\" <sip:1002@127.0.0.1>, <tel:+447700900142>")],
    );
    assert_eq!(world.refusal(), Some(403), "what the PBX asserts counts, not what From says");
    assert!(refused(&world, TransferRefusal::InternalCaller) && dials(&world).is_empty());
    world.is_transferred(&code.user);
    assert_eq!(world.refusal(), None);
    let mut trial = World::on_demand_with(|config| {
        config.trunks[1].on_demand.iter_mut().for_each(|on_demand| on_demand.internal_callers = true);
    });
    let code = trial.code("1001");
    trial.comes(PBX, &code.user, "1002", &[]);
    assert_eq!(trial.refusal(), None, "where the configuration allows it");
}

#[test]
fn a_code_can_be_dialed_by_keys_and_guessing_is_locked() {
    let mut world = World::on_demand();
    let code = world.code("1001");
    let dialed = code.number.unwrap();
    assert!(dialed.starts_with("7999") && dialed.len() == 12);
    let wrong = if dialed == "799900000000" { "799900000001" } else { "799900000000" };
    for _ in 0..10 {
        world.is_transferred(wrong);
        assert_eq!(world.refusal(), Some(404));
    }
    world.is_transferred(&dialed);
    assert_eq!((world.refusal(), dials(&world).len()), (Some(403), 0), "the right one too");
    assert!(refused(&world, TransferRefusal::Locked));
    world.comes(PBX, &dialed, "442079460018", &[]);
    assert_eq!(world.refusal(), None, "another caller is not who tried");
    world.idle(Duration::from_secs(1795));
    let dialed = world.code("1002").number.unwrap();
    world.is_transferred(&dialed);
    assert_eq!(world.refusal(), Some(403));
    world.idle(Duration::from_secs(5));
    world.is_transferred(&dialed);
    assert_eq!(world.refusal(), None);
}

#[test]
fn all_callers_of_a_trunk_together_guess_a_hundred_times() {
    let mut world = World::on_demand();
    let code = world.code("1001");
    for caller in 0..100 {
        world.comes(PBX, "799900000000", &format!("4477009{caller:05}"), &[]);
        assert_eq!(world.refusal(), Some(404));
    }
    world.comes(PBX, &code.number.unwrap(), "442079460018", &[]);
    assert_eq!(world.refusal(), Some(403));
    world.comes(PBX, &code.user, "442079460018", &[]);
    assert_eq!(world.refusal(), None, "the long form cannot be guessed");
}

#[test]
fn the_two_speak_again_within_three_seconds_though_the_agents_phone_is_busy_at_first() {
    let mut world = World::on_demand();
    world.agent_answers_by_itself(false);
    let code = world.code("1001");
    world.is_transferred(&code.user);
    let transferred = world.now;
    world.agent_rejects(486);
    world.pass(600 * MS);
    world.agent_rejects(486);
    world.agent_answers_by_itself(true);
    while world.snapshot().state != CallState::Talking {
        world.pass(10 * MS);
        assert!(world.now - transferred < Duration::from_secs(3));
    }
    assert_eq!(dials(&world).len(), 3);
    assert_eq!(world.snapshot().line, LineState::Secured);
}

#[test]
fn an_agent_who_declines_or_is_not_there_ends_the_call() {
    for status in [603, 404] {
        let mut world = World::on_demand();
        world.agent_answers_by_itself(false);
        let code = world.code("1001");
        world.is_transferred(&code.user);
        world.agent_rejects(status);
        assert_eq!((world.ended(), world.board.calls()), (Some(CallEnd::NotAnswered), 0), "{status}");
        assert!(world.caller_saw(|event| matches!(event, Event::Ended { .. })));
    }
    let mut world = World::on_demand();
    world.agent_answers_by_itself(false);
    let code = world.code("1001");
    world.is_transferred(&code.user);
    world.pass(Duration::from_secs(60));
    assert_eq!((world.ended(), world.board.calls()), (Some(CallEnd::NotAnswered), 0));
}

#[test]
fn a_caller_without_an_offer_is_taken_too() {
    let mut world = World::on_demand();
    let code = world.code("1001");
    world.comes_with(PBX, &code.user, "447700900142", &[], false);
    assert_eq!((world.snapshot().state, world.snapshot().line), (CallState::Talking, LineState::Secured));
    assert!(world.caller_connected());
}

#[test]
fn a_mask_that_is_not_confirmed_is_a_fault() {
    let mut world = World::on_demand();
    world.media_answers = false;
    let code = world.code("1001");
    world.is_transferred(&code.user);
    assert_eq!(world.snapshot().line, LineState::Securing);
    world.pass(2100 * MS);
    assert_eq!(world.snapshot().line, LineState::Fault);
}

#[test]
fn a_call_that_gets_no_ports_is_told_to_be_over() {
    let mut world = World::on_demand();
    world.taken_pairs = usize::MAX;
    let code = world.code("1001");
    world.is_transferred(&code.user);
    assert_eq!((world.refusal(), world.ended()), (Some(503), Some(CallEnd::Failed)), "the desk waits for it");
    assert!(world.board.snapshots().is_empty());
}

#[test]
fn a_code_stands_in_no_log_and_no_audit_trail() {
    let mut world = World::on_demand();
    let code = world.code("1001");
    world.is_transferred(&code.user);
    world.caller_hangs_up();
    // Refused, so that its messages are kept and the code is still good.
    let other = world.code("1002");
    world.comes(PBX, other.number.as_ref().unwrap(), "1003", &[]);
    world.comes(PBX, &other.user, "1003", &[]);
    world.read_ladders();
    let words = format!("{} {:?}", world.shown_words(), world.audited_words);
    let dialed = other.number.unwrap();
    assert!(!words.contains(&other.user[7..]) && !words.contains(dialed.strip_prefix("7999").unwrap()), "{words}");
    assert!(words.contains("7999xxxxxxxx"), "the control: there are ladders");
    let number = code.number.unwrap();
    assert!(!words.contains(&code.user) && !words.contains(number.strip_prefix("7999").unwrap()), "{words}");
    assert!(words.contains("Transferred"), "the control");
}

#[test]
fn a_command_on_a_call_that_is_awaited_is_refused() {
    let mut world = World::on_demand();
    world.code("1001");
    let id = world.command(Action::Secure);
    assert_eq!(world.result(id), Some(CommandResult::Refused { reason: Refusal::WrongState }));
}

#[test]
fn an_agent_who_hangs_up_while_a_card_is_keyed_is_called_back_again() {
    let mut world = World::on_demand();
    let CommandResult::Awaiting { code, .. } = world.asks_for_code("1001", Some(order())) else { panic!() };
    world.is_transferred(&code.user);
    world.keys("4242");
    world.agent_hangs_up();
    assert_eq!(dials(&world).len(), 2);
    world.keys("424242424242*1235");
    world.pass(300 * MS);
    assert_eq!(world.snapshot().payment.unwrap().state, PaymentState::Ready);
}

/// The agent of 1001 has called the code first, at a PBX that transfers by Replaces.
fn consulting() -> World {
    let mut world = World::on_demand_with(|config| {
        config.trunks[1].on_demand.iter_mut().for_each(|on_demand| on_demand.attended = true);
    });
    let CommandResult::Awaiting { code, .. } = world.asks_for_code("1001", Some(order())) else { panic!() };
    world.comes(PBX, &code.user, "1001", &[]);
    assert_eq!(world.refusal(), None);
    world
}

/// The caller comes in the place of the agent who waits; the status.
fn joins(world: &mut World, from: std::net::SocketAddr, caller: &str) -> String {
    let name = world.caller_leg_name();
    world.raw_invite(from, &format!("P-Asserted-Identity: <sip:{caller}@{from}>\r\nReplaces: {name}\r\n"))
}

#[test]
fn after_an_attended_transfer_the_agents_leg_is_the_agents_and_the_caller_pays() {
    let mut world = consulting();
    let waiting = world.snapshot();
    assert_eq!((waiting.state, waiting.line), (CallState::Awaited, LineState::Secured));
    assert!(dials(&world).is_empty(), "the agent is here");
    assert_eq!(joins(&mut world, AGENT, "447700900142"), "200");
    let talking = world.snapshot();
    assert_eq!((talking.call, talking.state, talking.line), (waiting.call, CallState::Talking, LineState::Secured));
    assert_eq!((talking.extension.as_str(), talking.payment.is_some()), ("1001", true));
    assert_eq!((world.secures(), world.media_orders("release")), (1, 0), "masked from before the caller was here");
    // Keys by INFO of the agent's own leg pay nothing: the roles are right.
    world.caller_infos("4");
    assert!(world.info_keys.is_empty());
    world.keys("4242424242424242*1235");
    world.pass(300 * MS);
    assert_eq!(world.snapshot().payment.unwrap().state, PaymentState::Ready);
}

#[test]
fn an_agent_whose_phone_puts_the_transferred_call_down_is_called_back_at_once() {
    let mut world = consulting();
    assert_eq!(joins(&mut world, AGENT, "447700900142"), "200");
    world.caller_hangs_up();
    assert_eq!(dials(&world), ["INVITE sip:1001@127.0.0.1:5080 SIP/2.0"]);
    assert_eq!((world.snapshot().state, world.snapshot().line), (CallState::Talking, LineState::Secured));
}

#[test]
fn nobody_but_an_outside_caller_of_the_same_pbx_takes_the_agents_place() {
    let mut world = consulting();
    assert_eq!(joins(&mut world, AGENT, "1002"), "403", "an agent who plays the caller");
    assert!(refused(&world, TransferRefusal::InternalCaller));
    assert_eq!(joins(&mut world, CARRIER, "447700900142"), "403", "another trunk");
    assert_eq!(world.snapshot().state, CallState::Awaited);
    assert_eq!(joins(&mut world, AGENT, "447700900142"), "200");
}

#[test]
fn an_agent_whose_caller_does_not_come_is_let_go() {
    let mut world = consulting();
    world.idle(Duration::from_secs(120));
    assert_eq!((world.ended(), world.board.calls()), (Some(CallEnd::NotTransferred), 0));
    let mut world = consulting();
    world.caller_hangs_up();
    assert_eq!((world.ended(), world.board.calls()), (Some(CallEnd::AgentHungUp), 0));
}

/// Small numbers, the same for the same seed.
fn roll(dice: &mut u64, sides: usize) -> usize {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*dice >> 33) as usize % sides
}

/// One INVITE of anybody's, with whatever it says of who is meant: from where, to what, and whether as an agent.
fn anybody_calls(world: &mut World, dice: &mut u64, users: &[String]) -> (std::net::SocketAddr, String, bool) {
    let sources = [CARRIER, PBX, PBX, "127.0.0.1:5999".parse().unwrap()];
    let froms = ["447700900142", "442079460018", "1001", "1002", "1003"];
    let named = ["<sip:1003@127.0.0.1>", "<sip:1002@127.0.0.1>", "<tel:+447700900142>", "\"1001\" <sip:x@127.0.0.1>"];
    let names = ["P-Asserted-Identity", "Referred-By", "Diversion", "X-Agent"];
    let (source, from) = (sources[roll(dice, sources.len())], froms[roll(dice, froms.len())]);
    let user = users[roll(dice, users.len())].clone();
    let header = (names[roll(dice, names.len())], named[roll(dice, named.len())]);
    let headers = if roll(dice, 2) == 0 { vec![header] } else { Vec::new() };
    world.comes(source, &user, from, &headers);
    // What the PBX asserts counts, and only without that what From says.
    let is_asserted = headers.first().is_some_and(|(name, _)| *name == "P-Asserted-Identity");
    let is_agent = if is_asserted { header.1.starts_with("<sip:100") } else { from.starts_with("100") };
    (source, user, is_agent)
}

#[test]
fn whatever_anybody_sends_nobody_is_called_back_but_who_has_asked() {
    let (mut dice, mut called_back) = (7, 0);
    for _ in 0..60 {
        let mut world = World::on_demand();
        world.pins(&[("1003", "481516")]);
        let codes = [("1001", world.code("1001")), ("1002", world.code("1002"))];
        let good = |user: &str| {
            let is = |code: &wire::TransferCode| code.user == user || code.number.as_deref() == Some(user);
            codes.iter().find(|(_, code)| is(code)).map(|(extension, _)| *extension)
        };
        let (long, short) = (codes[0].1.user.clone(), codes[0].1.number.clone().unwrap());
        let near =
            [&long[..long.len() - 1], &format!("{long}a"), &short[..11], &format!("{short}0"), "7999", "secure-"];
        let real = codes.iter().flat_map(|(_, code)| [code.user.clone(), code.number.clone().unwrap()]);
        let users: Vec<String> = real.chain(near.iter().map(|&user| user.to_owned())).collect();
        for _ in 0..25 {
            let before = dials(&world).len();
            let (source, user, is_agent) = anybody_calls(&mut world, &mut dice, &users);
            let new: Vec<String> = dials(&world)[before..].iter().map(|&line| line.to_owned()).collect();
            called_back += new.len();
            for line in new {
                let owner = good(&user).expect("nobody has asked");
                assert_eq!(line, format!("INVITE sip:{owner}@127.0.0.1:5080 SIP/2.0"), "{user} of {owner}");
                assert!(source == PBX && !is_agent, "{source}, {user}");
            }
            if world.refusal().is_none() && world.caller_saw(|event| matches!(event, Event::Answered { .. })) {
                world.caller_hangs_up();
            }
        }
    }
    assert!((30..=120).contains(&called_back), "the control: {called_back} of 120 codes were used");
}
