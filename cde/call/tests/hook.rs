//! Recorders elsewhere that are to pause, through the switchboard.
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

use call::{Bounce, Hook};
use std::time::Duration;
use wire::{
    Action, AuditAction, CallState, CommandResult, Currency, Field, HookRule, HookSnapshot, HookState, HookTrouble,
    LineState, PaymentId, PaymentState, Refusal, RejectReason,
};
use world::transfer::PBX;
use world::{AGENT, World};

const FIELDS: [Field; 3] = [Field::Pan, Field::Expiry, Field::Cvv];
const PAN: &str = "4242424242424242";

fn hooked(rule: HookRule) -> World {
    World::with(|config| config.routes[0].hook = Some(Hook { rule, call_id_header: None }))
}

trait Recorders {
    fn hook(&self) -> HookSnapshot;
    fn said(&mut self, action: Action) -> CommandResult;
    fn paused(&mut self) -> CommandResult;
    fn not_paused(&mut self, why: HookTrouble) -> CommandResult;
    fn told(&self, state: HookState, trouble: Option<HookTrouble>, payment: Option<PaymentId>) -> bool;
    fn digits(&self) -> u8;
    fn state(&self) -> PaymentState;
    fn opened(&mut self);
}

impl Recorders for World {
    fn hook(&self) -> HookSnapshot {
        self.snapshot().hook.expect("a call with recorders")
    }

    fn said(&mut self, action: Action) -> CommandResult {
        let id = self.command(action);
        self.result(id).expect("an answer at once")
    }

    fn paused(&mut self) -> CommandResult {
        let round = self.hook().round;
        self.said(Action::RecordersPaused { round })
    }

    fn not_paused(&mut self, why: HookTrouble) -> CommandResult {
        let round = self.hook().round;
        self.said(Action::RecordersNotPaused { round, why })
    }

    fn told(&self, state: HookState, trouble: Option<HookTrouble>, payment: Option<PaymentId>) -> bool {
        self.audited(|action| *action == AuditAction::Recorders { state, trouble, payment })
    }

    fn digits(&self) -> u8 {
        self.snapshot().payment.expect("a payment").fields[0].digits
    }

    fn state(&self) -> PaymentState {
        self.snapshot().payment.expect("a payment").state
    }

    fn opened(&mut self) {
        self.command(Action::Release);
        self.media(media::Event::Opened);
    }
}

#[test]
fn a_call_without_the_rule_asks_nobody() {
    let mut world = World::new();
    world.talk();
    world.command(Action::Secure);
    assert_eq!(world.snapshot().hook, None);
    assert_eq!(world.said(Action::PauseRecorders), CommandResult::Refused { reason: Refusal::WrongState });
}

#[test]
fn required_no_key_is_taken_before_the_recorders_have_paused() {
    let mut world = hooked(HookRule::Required);
    world.talk();
    assert_eq!((world.hook().state, world.hook().holds_payment), (HookState::NotAsked, false));
    let payment = world.start_payment(&FIELDS);
    world.command(Action::Secure);
    assert_eq!(world.snapshot().line, LineState::Secured, "the line is masked all the same");
    assert_eq!((world.hook().state, world.hook().round, world.hook().holds_payment), (HookState::Asked, 1, true));
    world.keys(PAN);
    world.pass(Duration::from_secs(1));
    assert_eq!((world.state(), world.digits()), (PaymentState::Waiting, 0), "what was keyed is nowhere");
    assert_eq!(world.paused(), CommandResult::Done);
    assert_eq!((world.hook().state, world.hook().holds_payment), (HookState::Paused, false));
    assert!(world.told(HookState::Paused, None, Some(payment)));
    assert_eq!(world.state(), PaymentState::Capturing);
    world.keys(PAN);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.digits(), 16);
}

#[test]
fn required_and_refused_the_line_stays_masked_and_the_agent_may_try_again() {
    let mut world = hooked(HookRule::Required);
    world.talk();
    let payment = world.start_payment(&FIELDS);
    world.command(Action::Secure);
    assert_eq!(world.not_paused(HookTrouble::Refused), CommandResult::Done);
    let hook = world.hook();
    assert_eq!(
        (hook.state, hook.trouble, hook.holds_payment),
        (HookState::NotPaused, Some(HookTrouble::Refused), true)
    );
    assert!(world.told(HookState::NotPaused, Some(HookTrouble::Refused), Some(payment)));
    assert_eq!((world.snapshot().line, world.state()), (LineState::Secured, PaymentState::Waiting));
    assert_eq!(world.said(Action::PauseRecorders), CommandResult::Done);
    assert_eq!((world.hook().state, world.hook().round), (HookState::Asked, 2));
    let old = world.said(Action::RecordersPaused { round: 1 });
    assert_eq!(old, CommandResult::Refused { reason: Refusal::WrongState }, "the word of another time of asking");
    assert_eq!(world.state(), PaymentState::Waiting);
    world.paused();
    assert_eq!(world.state(), PaymentState::Capturing);
}

#[test]
fn an_office_that_says_nothing_is_not_waited_for_and_its_late_word_is_good() {
    let mut world = hooked(HookRule::Required);
    world.talk();
    world.start_payment(&FIELDS);
    world.command(Action::Secure);
    world.pass(Duration::from_secs(9));
    assert_eq!(world.hook().state, HookState::Asked);
    world.pass(Duration::from_secs(2));
    assert_eq!((world.hook().state, world.hook().trouble), (HookState::NotPaused, Some(HookTrouble::OfficeSilent)));
    assert_eq!(world.state(), PaymentState::Waiting);
    world.paused();
    assert_eq!(world.state(), PaymentState::Capturing);
    world.not_paused(HookTrouble::Refused);
    assert!(world.hook().holds_payment, "and what is said last is what counts");
}

#[test]
fn best_effort_waits_for_the_word_and_goes_on_whatever_it_is() {
    let mut world = hooked(HookRule::BestEffort);
    world.talk();
    let payment = world.start_payment(&FIELDS);
    world.command(Action::Secure);
    assert!(world.hook().holds_payment);
    world.keys(PAN);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.digits(), 0);
    world.not_paused(HookTrouble::Unreachable);
    let unreachable = (HookState::NotPaused, Some(HookTrouble::Unreachable));
    assert!(world.told(unreachable.0, unreachable.1, Some(payment)), "the payment's trail says so");
    assert_eq!((world.state(), world.hook().holds_payment), (PaymentState::Capturing, false));
    world.said(Action::PauseRecorders);
    world.keys("4");
    world.pass(Duration::from_secs(1));
    assert_eq!((world.hook().state, world.digits()), (HookState::Asked, 1), "trying again stops nothing");
}

#[test]
fn a_payment_that_is_started_later_has_the_recorders_in_its_trail() {
    let mut world = hooked(HookRule::BestEffort);
    world.talk();
    world.command(Action::Secure);
    world.not_paused(HookTrouble::TimedOut);
    let payment = world.start_payment(&FIELDS);
    assert!(world.told(HookState::NotPaused, Some(HookTrouble::TimedOut), Some(payment)));
    assert_eq!(world.state(), PaymentState::Capturing);
}

#[test]
fn they_may_record_again_when_the_line_is_open_and_not_before() {
    let mut world = hooked(HookRule::Required);
    world.talk();
    world.command(Action::Secure);
    world.paused();
    world.command(Action::Release);
    assert_eq!((world.snapshot().line, world.hook().state), (LineState::Releasing, HookState::Paused));
    world.command(Action::Secure);
    assert_eq!((world.hook().state, world.hook().round), (HookState::Paused, 1), "they never went on");
    world.opened();
    assert_eq!((world.snapshot().line, world.hook().state), (LineState::Open, HookState::NotAsked));
    assert!(world.told(HookState::NotAsked, None, None));
    let late = world.said(Action::RecordersPaused { round: 1 });
    assert_eq!(late, CommandResult::Refused { reason: Refusal::WrongState });
    world.command(Action::Secure);
    assert_eq!((world.hook().state, world.hook().round), (HookState::Asked, 2));
}

#[test]
fn keys_while_other_recorders_are_asked_leave_no_hole_in_a_number() {
    let mut world = hooked(HookRule::Required);
    world.talk();
    world.start_payment(&FIELDS);
    world.command(Action::Secure);
    world.paused();
    world.keys("4242");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.digits(), 4);
    world.not_paused(HookTrouble::Refused);
    world.keys("4");
    world.pass(Duration::from_secs(1));
    let field = world.snapshot().payment.unwrap().fields[0];
    assert_eq!((field.digits, field.reason), (0, Some(RejectReason::KeyLost)));
    assert_eq!(world.snapshot().line, LineState::Secured);
}

#[test]
fn recorders_know_a_call_by_its_legs_and_by_the_customers_own_name() {
    let hook = || Some(Hook { rule: HookRule::Required, call_id_header: Some("X-Conversation-ID".to_owned()) });
    let mut world = World::with(|config| config.routes[0].hook = hook());
    world.caller_headers(&[("x-conversation-id", " c0ffee-17 ")]);
    world.talk();
    world.command(Action::Secure);
    let names = world.hook().names;
    assert_eq!(names.customer.unwrap().as_str(), "c0ffee-17");
    assert!(names.caller_leg.is_some() && names.agent_leg.is_some() && names.caller_leg != names.agent_leg);
    let name_of = |headers: &[(&str, &str)], header: &str| {
        let hook = Hook { rule: HookRule::Required, call_id_header: Some(header.to_owned()) };
        let mut world = World::with(|config| config.routes[0].hook = Some(hook));
        world.caller_headers(headers);
        world.talk();
        world.hook().names.customer.map(String::from)
    };
    let hex = "63306666656531372d61;encoding=hex";
    assert_eq!(name_of(&[("User-to-User", hex)], "User-to-User").as_deref(), Some("c0ffee17-a"));
    for bad in ["4242424242424242", "34323432343234323432343234323432", "a b", ""] {
        assert_eq!(name_of(&[("X-Id", bad)], "X-Id"), None, "{bad}");
    }
    assert_eq!(name_of(&[("X-Id", "a"), ("X-Id", "b")], "X-Id"), None, "said twice it is two things");
}

#[test]
fn a_caller_who_pays_alone_is_asked_when_the_recorders_have_paused_and_goes_back_if_they_do_not() {
    let alone = || {
        let mut world = World::on_demand_with(|config| {
            config.routes.push(call::Route {
                from: "pbx".to_owned(),
                prefix: "7900".to_owned(),
                extension: Some("8100".parse().unwrap()),
                feature_code: String::new(),
                hook: Some(Hook { rule: HookRule::Required, call_id_header: None }),
                bounce: Some(Bounce {
                    merchant: "main".parse().unwrap(),
                    currency: Currency::GBP,
                    minor_max: 50_000,
                    fields: FIELDS.to_vec(),
                    returns: Vec::new(),
                    keys_cross_pbx: true,
                    only_ordered: false,
                }),
                ..config.routes[0].clone()
            });
        });
        world.comes(PBX, "7900", "447700900142", &[("X-Tonewall-Amount", "4200")]);
        assert_eq!((world.refusal(), world.hook().state), (None, HookState::Asked));
        assert_eq!(world.cues, [(false, 0)], "nothing is asked for yet");
        world
    };
    let mut world = alone();
    world.paused();
    assert_eq!((world.cues.last(), world.state()), (Some(&(false, 1)), PaymentState::Capturing));
    let mut world = alone();
    world.not_paused(HookTrouble::Unreachable);
    let invite = world.agent_texts().iter().rfind(|text| text.starts_with("INVITE")).expect("they go back").clone();
    for header in ["X-Tonewall-Result: canceled", "X-Tonewall-Reason: recorder_not_paused"] {
        assert!(invite.contains(header), "{invite}");
    }
}

#[test]
fn an_agent_to_whom_a_call_is_transferred_has_recorders_of_their_own() {
    let mut world = hooked(HookRule::Required);
    world.talk();
    world.start_payment(&FIELDS);
    world.command(Action::Secure);
    world.paused();
    world.keys("4242");
    world.pass(Duration::from_secs(1));
    world.agent_says("REFER", "Refer-To: <sip:2001@127.0.0.1>\r\n", None);
    world.agent_picks_up();
    assert_eq!((world.snapshot().extension.as_str(), world.snapshot().line), ("2001", LineState::Secured));
    assert_eq!((world.hook().state, world.hook().round, world.hook().holds_payment), (HookState::Asked, 2, true));
    assert_eq!((world.state(), world.digits()), (PaymentState::Capturing, 4), "what was keyed before is kept");
    world.paused();
    world.keys(&PAN[4..]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.digits(), 16);
}

fn named(rule: HookRule) -> Option<Hook> {
    Some(Hook { rule, call_id_header: Some("X-Conversation-ID".to_owned()) })
}

/// The keys of a card pay nothing before the word of this round, and are taken after it.
#[track_caller]
fn waits_for_round(world: &mut World, round: u32) {
    assert_eq!((world.hook().state, world.hook().round, world.hook().holds_payment), (HookState::Asked, round, true));
    world.keys(PAN);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.digits(), 0, "what was keyed is nowhere");
    assert_eq!(world.paused(), CommandResult::Done);
    world.keys(PAN);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.digits(), 16);
}

/// What broke: the recorders had paused for the agent who waited at the code, and were not asked again when the caller came, whose
/// recording is another.
#[test]
fn who_waits_for_their_caller_has_nobody_asked_and_the_caller_who_comes_has() {
    let mut world = World::on_demand_with(|config| {
        config.trunks[1].on_demand.iter_mut().for_each(|on_demand| {
            (on_demand.attended, on_demand.hook) = (true, named(HookRule::Required));
        });
    });
    let code = world.code("1001");
    world.comes(PBX, &code.user, "1001", &[("X-Conversation-ID", "the-agents")]);
    assert_eq!((world.snapshot().state, world.snapshot().line), (CallState::Awaited, LineState::Secured));
    assert_eq!((world.hook().state, world.hook().round), (HookState::NotAsked, 0));
    let leg = world.caller_leg_name();
    let headers = format!(
        "P-Asserted-Identity: <sip:447700900142@127.0.0.1>\r\nX-Conversation-ID: the-callers\r\nReplaces: {leg}\r\n"
    );
    assert_eq!(world.raw_invite(AGENT, &headers), "200");
    let names = world.hook().names;
    assert_eq!(names.customer.unwrap().as_str(), "the-callers");
    assert!(names.caller_leg.is_some() && names.agent_leg.is_some());
    world.start_payment(&FIELDS);
    waits_for_round(&mut world, 1);
    world.caller_hangs_up();
    world.agent_picks_up();
    assert_eq!(
        (world.hook().state, world.hook().round),
        (HookState::Asked, 2),
        "the phone has put down the leg that was asked for"
    );
}

/// What broke: the rule of the call that a caller came from did not come with them.
#[test]
fn a_caller_who_is_referred_to_a_code_brings_what_hangs_on_their_recorders() {
    for on_demand_hook in [None, named(HookRule::BestEffort)] {
        let mut world = World::on_demand_with(|config| {
            config.routes[0].hook = named(HookRule::Required);
            config.trunks[1].on_demand.iter_mut().for_each(|on_demand| {
                (on_demand.attended, on_demand.hook) = (true, on_demand_hook.clone());
            });
        });
        world.caller_headers(&[("X-Conversation-ID", "the-callers")]);
        world.talk();
        let code = world.code("1001");
        world.agent_calls(&code.user);
        let leg = world.agent_leg_name(|text| text.starts_with("SIP/2.0 200") && text.contains("CSeq: 1 INVITE"));
        let leg = leg.replace(';', "%3B").replace('=', "%3D");
        world.agent_leg = Some(0);
        world.agent_says("REFER", &format!("Refer-To: <sip:secure@127.0.0.1?Replaces={leg}>\r\n"), None);
        let calls = world.board.snapshots();
        assert_eq!((calls.len(), calls[0].line), (1, LineState::Secured));
        let hook = calls[0].hook.clone().expect("the caller's rule has come with them");
        assert_eq!((hook.rule, hook.state, hook.round), (HookRule::Required, HookState::Asked, 1));
        assert!(hook.holds_payment);
        assert_eq!(hook.names.customer.unwrap().as_str(), "the-callers");
    }
}

/// What broke: only another extension was another's recorder.
#[test]
fn another_leg_under_the_same_extension_has_a_recorder_of_its_own() {
    for rule in [HookRule::Required, HookRule::BestEffort] {
        let mut world = hooked(rule);
        world.talk();
        world.start_payment(&FIELDS);
        world.command(Action::Secure);
        let leg = world.agent_leg_name(|text| text.starts_with("ACK"));
        world.paused();
        // No route has that number: the extension stays.
        assert_eq!(world.raw_invite_by(AGENT, "anonymous", "", &format!("Replaces: {leg}\r\n")), "200");
        assert_eq!(world.snapshot().extension.as_str(), "1001");
        waits_for_round(&mut world, 2);
    }
}

#[test]
fn an_agent_whose_leg_was_lost_has_a_new_recording_when_they_are_back() {
    let mut world = hooked(HookRule::Required);
    world.talk();
    world.start_payment(&FIELDS);
    world.command(Action::Secure);
    world.paused();
    world.agent_hangs_up();
    assert_eq!(world.hook().round, 1, "who is away has none");
    world.agent_picks_up();
    waits_for_round(&mut world, 2);
}

/// What broke: with `best_effort` the payment had gone on once, and did not wait for the recorders of anybody else.
#[test]
fn best_effort_waits_for_the_recorders_of_another_agent_too() {
    let mut world = hooked(HookRule::BestEffort);
    world.talk();
    world.start_payment(&FIELDS);
    world.command(Action::Secure);
    world.not_paused(HookTrouble::Unreachable);
    assert!(!world.hook().holds_payment);
    world.agent_says("REFER", "Refer-To: <sip:2001@127.0.0.1>\r\n", None);
    world.agent_picks_up();
    assert_eq!(world.snapshot().extension.as_str(), "2001");
    waits_for_round(&mut world, 2);
}
