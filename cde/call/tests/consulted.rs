//! An agent calls a code while they speak with a caller, and transfers the caller there by REFER: in either of the two calls, and
//! whatever goes wrong on the way.
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

use media::Side;
use std::time::Duration;
use wire::{
    Action, AuditAction, CallEnd, CallId, CallSnapshot, CallState, CommandResult, Currency, Field, LineState, Money,
    PaymentId, PaymentOrder, PaymentState, Store, TransferRefusal, WayIn,
};
use world::{AGENT, World};

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

/// An agent who speaks with a caller through us, and waits at a code.
struct Scene {
    world: World,
    /// The call with the caller.
    spoken: CallId,
    /// That of the code.
    awaited: CallId,
    /// The names of the two dialogs of the agent's phone.
    spoken_leg: String,
    code_leg: String,
}

fn escaped(name: &str) -> String {
    name.replace(';', "%3B").replace('=', "%3D")
}

fn scene() -> Scene {
    let mut world = World::on_demand_with(|config| {
        config.trunks[1].on_demand.iter_mut().for_each(|on_demand| on_demand.attended = true);
    });
    world.talk();
    let spoken = world.call();
    let spoken_leg = world.agent_leg_name(|text| text.starts_with("ACK"));
    let CommandResult::Awaiting { code, .. } = world.asks_for_code("1001", Some(order())) else { panic!() };
    world.agent_calls(&code.user);
    let awaited = world.board.snapshots().into_iter().find(|call| call.way == WayIn::Code).unwrap();
    assert_eq!((awaited.state, awaited.line), (CallState::Awaited, LineState::Secured));
    let code_leg = world.agent_leg_name(|text| text.starts_with("SIP/2.0 200") && text.contains("CSeq: 1 INVITE"));
    Scene { world, spoken, awaited: awaited.call, spoken_leg, code_leg }
}

impl Scene {
    /// REFER in the call with the caller, toward the code.
    fn refers(&mut self) {
        let to = format!("Refer-To: <sip:secure@127.0.0.1?Replaces={}>\r\n", escaped(&self.code_leg));
        self.world.agent_leg = Some(0);
        self.world.agent_says("REFER", &to, None);
    }

    /// REFER in the call of the code, toward the caller.
    fn refers_there(&mut self) -> String {
        let to = format!("<sip:447700900142@127.0.0.1?Replaces={}>", escaped(&self.spoken_leg));
        self.world.agent_refers_there(&to)
    }

    fn call(&self, id: CallId) -> Option<CallSnapshot> {
        self.world.board.snapshots().into_iter().find(|call| call.call == id)
    }

    /// The caller pays on the call of the code, where the agent is.
    #[track_caller]
    fn pays(&mut self) {
        let call = self.call(self.awaited).unwrap();
        assert_eq!((call.state, call.line, call.way), (CallState::Talking, LineState::Secured, WayIn::Code));
        assert_eq!((call.extension.as_str(), call.caller.as_str()), ("1001", "447700900142"));
        assert_eq!(self.world.board.calls(), 1, "what is left of the other is over");
        for key in "4242424242424242*1235".bytes() {
            let key = media::Event::Key(card::Key::from_char(key).unwrap());
            self.world.board.handle_media(self.world.now, self.awaited, call::MediaReport::Event(key));
        }
        self.world.settle();
        self.world.pass(300 * MS);
        let payment = self.call(self.awaited).unwrap().payment.unwrap();
        assert_eq!((payment.payment, payment.state), (order().payment, PaymentState::Ready));
    }

    /// Everything is as it was.
    #[track_caller]
    fn stands(&self) {
        let spoken = self.call(self.spoken).unwrap();
        assert_eq!((spoken.state, spoken.line), (CallState::Talking, LineState::Open));
        let awaited = self.call(self.awaited).unwrap();
        assert_eq!((awaited.state, awaited.line), (CallState::Awaited, LineState::Secured));
    }
}

#[test]
fn a_caller_comes_to_the_code_by_a_refer_in_their_own_call() {
    let mut scene = scene();
    scene.refers();
    assert!(scene.world.agent_heard("REFER").starts_with("SIP/2.0 202"));
    assert_eq!(scene.world.agent_news(), ["100", "200"]);
    assert!(scene.world.audited(|did| *did == AuditAction::Transferred));
    scene.pays();
}

#[test]
fn a_caller_comes_to_the_code_by_a_refer_in_the_call_of_the_code() {
    let mut scene = scene();
    assert_eq!(scene.refers_there(), "SIP/2.0 202");
    assert_eq!(scene.world.agent_news(), ["100", "200"]);
    scene.pays();
}

#[test]
fn a_phone_that_hangs_up_both_calls_after_its_transfer_is_called_back() {
    let mut scene = scene();
    scene.refers();
    let rung = scene.world.agent_got().iter().filter(|line| line.starts_with("INVITE sip:1001@")).count();
    scene.world.agent_calls_hang_up();
    let again = scene.world.agent_got().iter().filter(|line| line.starts_with("INVITE sip:1001@")).count();
    assert_eq!(again, rung + 1);
    scene.world.agent_picks_up();
    scene.pays();
}

#[test]
fn a_phone_that_hangs_up_before_the_caller_has_come_over_loses_nobody() {
    let mut scene = scene();
    scene.world.peer(Side::Caller).refuses = vec![491];
    scene.refers();
    scene.world.agent_calls_hang_up();
    scene.world.agent_leg = Some(0);
    scene.world.agent_says("BYE", "", None);
    scene.world.proofs = false;
    scene.world.pass(Duration::from_secs(5));
    scene.world.agent_picks_up();
    scene.world.proofs = true;
    scene.world.pass(600 * MS);
    let call = scene.call(scene.awaited).unwrap();
    assert_eq!((call.state, scene.world.board.calls()), (CallState::Talking, 1));
    assert!(call.line.masked());
}

#[test]
fn a_caller_who_does_not_come_over_stays_with_the_agent() {
    for there in [false, true] {
        let mut scene = scene();
        scene.world.peer(Side::Caller).refuses = vec![488];
        if there {
            assert_eq!(scene.refers_there(), "SIP/2.0 202");
        } else {
            scene.refers();
        }
        assert_eq!(scene.world.agent_news(), ["100", "488"], "in the code's call: {there}");
        scene.stands();
        // And another try is as good as the first.
        scene.refers();
        scene.pays();
    }
}

#[test]
fn a_caller_who_is_busy_with_an_offer_of_their_own_is_asked_again() {
    let mut scene = scene();
    scene.world.peer(Side::Caller).refuses = vec![491, 491];
    scene.refers();
    assert_eq!(scene.world.agent_news(), ["100"]);
    scene.world.pass(Duration::from_secs(9));
    assert_eq!(scene.world.agent_news(), ["100", "200"]);
    scene.pays();
}

#[test]
fn a_call_that_is_secured_already_gives_no_caller_away() {
    let mut scene = scene();
    let secure = wire::Command { id: wire::CommandId::from_random(9000), ..world::order(scene.spoken, Action::Secure) };
    scene.world.board.handle_command(scene.world.now, &secure);
    scene.world.settle();
    scene.refers();
    assert!(scene.world.agent_heard("REFER").starts_with("SIP/2.0 403"));
    assert_eq!(scene.call(scene.spoken).unwrap().line, LineState::Secured);
    assert_eq!(scene.call(scene.awaited).unwrap().state, CallState::Awaited);
}

#[test]
fn a_caller_who_hangs_up_on_the_way_ends_their_call_and_the_agent_waits_on() {
    let mut scene = scene();
    scene.world.peer(Side::Caller).refuses = vec![491];
    scene.refers();
    scene.world.caller_hangs_up();
    assert_eq!(scene.world.agent_news(), ["100", "487"]);
    assert!(scene.call(scene.spoken).is_none());
    assert_eq!(scene.call(scene.awaited).unwrap().state, CallState::Awaited);
    assert_eq!(scene.world.ended(), Some(CallEnd::CallerHungUp));
}

/// The caller's call is not with us: the agent's phone has us take its place there.
#[test]
fn a_call_that_is_not_ours_is_replaced_and_nobody_else_is_called() {
    let mut scene = scene();
    let before = scene.world.agent_got().len();
    assert_eq!(scene.world.agent_refers_there("<sip:447700900143@127.0.0.1>"), "SIP/2.0 403", "without a dialog");
    let inside = "<sip:1002@127.0.0.1?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>";
    assert_eq!(scene.world.agent_refers_there(inside), "SIP/2.0 403", "an agent who plays the caller");
    let why = TransferRefusal::InternalCaller;
    assert!(scene.world.audited(|did| *did == AuditAction::TransferRefused { why }));
    assert!(!scene.world.agent_got()[before..].iter().any(|line| line.starts_with("INVITE")));

    let outside = "<sip:447700900143@127.0.0.1?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>";
    assert_eq!(scene.world.agent_refers_there(outside), "SIP/2.0 202");
    let texts = scene.world.agent_texts();
    let invite = texts.iter().rfind(|text| text.starts_with("INVITE")).unwrap();
    assert!(invite.starts_with(&format!("INVITE sip:447700900143@{AGENT} ")), "at the agent's trunk: {invite}");
    assert!(invite.contains("Replaces: abc;to-tag=1;from-tag=2\r\n") && invite.contains("Require: replaces\r\n"));
    assert_eq!(scene.world.agent_news(), ["100", "481"], "there is no such call");
    scene.stands();
    // A dialog that is there: the other end's name of one, which is none of ours.
    let (call, tags) = scene.spoken_leg.split_once(";to-tag=").unwrap();
    let (ours, theirs) = tags.split_once(";from-tag=").unwrap();
    let there = escaped(&format!("{call};to-tag={theirs};from-tag={ours}"));
    assert_eq!(
        scene.world.agent_refers_there(&format!("<sip:447700900143@127.0.0.1?Replaces={there}>")),
        "SIP/2.0 202"
    );
    scene.world.agent_picks_up();
    let call = scene.call(scene.awaited).unwrap();
    assert_eq!((call.state, call.line, call.caller.as_str()), (CallState::Talking, LineState::Secured, "447700900143"));
    assert!(call.payment.is_some());
    assert_eq!(scene.call(scene.spoken).unwrap().line, LineState::Open, "the other call is none of its business");
}

/// The PBX has brought one caller by Replaces while another is on the way by a REFER that waits for its turn.
#[test]
fn a_caller_who_comes_by_replaces_is_not_lost_to_one_who_is_on_the_way() {
    let mut scene = scene();
    scene.world.peer(Side::Caller).refuses = vec![491];
    scene.refers();
    let comes = format!("P-Asserted-Identity: <sip:447700900143@{AGENT}>\r\nReplaces: {}\r\n", scene.code_leg);
    assert_eq!(scene.world.raw_invite(AGENT, &comes), "200");
    assert_eq!(scene.world.agent_news(), ["100", "487"], "the REFER has failed");
    let spoken = scene.call(scene.spoken).unwrap();
    assert_eq!((spoken.state, spoken.line), (CallState::Talking, LineState::Open), "who was on the way stays");
    let rung = scene.world.agent_got().iter().filter(|line| line.starts_with("INVITE sip:1001@")).count();
    scene.world.agent_calls_hang_up();
    let again = scene.world.agent_got().iter().filter(|line| line.starts_with("INVITE sip:1001@")).count();
    assert_eq!(again, rung + 1, "the agent is called back");
    scene.world.agent_picks_up();
    let call = scene.call(scene.awaited).expect("the caller is kept");
    assert_eq!((call.state, call.line), (CallState::Talking, LineState::Secured));
}

#[test]
fn a_line_that_waits_for_its_caller_is_not_opened() {
    let mut scene = scene();
    let id = wire::CommandId::from_random(9001);
    let release = wire::Command { id, ..world::order(scene.awaited, Action::Release) };
    scene.world.send_command(&release);
    assert_eq!(scene.world.result(id), Some(CommandResult::Refused { reason: wire::Refusal::WrongState }));
    assert_eq!(scene.call(scene.awaited).unwrap().line, LineState::Secured);
    scene.refers();
    scene.pays();
}
