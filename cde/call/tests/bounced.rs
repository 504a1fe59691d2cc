//! Callers who are sent to us to pay alone, through the switchboard: what may be asked for, what they hear, and with what they go back.
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

use call::{Bounce, OpenLineKeys, Rewrite, Route};
use std::time::Duration;
use wire::{
    Action, AuditAction, BounceRefusal, BounceResult, BouncedOrder, CallEnd, CallId, CallState, Command, CommandId,
    CommandResult, Currency, DeclineClass, Field, LineState, Money, OrderCode, Origin, Outcome, PaymentId, Refusal,
    WayIn,
};
use world::transfer::PBX;
use world::{CARRIER, Disk, World};

const MS: Duration = Duration::from_millis(1);
const CALLER: &str = "447700900142";
const ASKS: [(&str, &str); 3] =
    [("X-Tonewall-Amount", "4200"), ("X-Tonewall-Currency", "GBP"), ("X-Tonewall-Reference", "INV-77")];

fn world() -> World {
    world_for("pbx", "main")
}

fn world_for(from: &str, merchant: &str) -> World {
    world_of(route(from, merchant, false))
}

fn world_of(route: Route) -> World {
    World::on_demand_with(|config| {
        config.routes.push(route);
        config.headers_passed = vec!["X-Account".to_owned(), "X-Tonewall-Result".to_owned()];
    })
}

fn route(from: &str, merchant: &str, only_ordered: bool) -> Route {
    Route {
        from: from.to_owned(),
        to: "pbx".to_owned(),
        prefix: "7900".to_owned(),
        extension: Some("8100".parse().unwrap()),
        rewrite: Rewrite::default(),
        open_line_keys: OpenLineKeys::Ignore,
        outbound: false,
        recorder: None,
        hook: None,
        feature_code: String::new(),
        bounce: Some(Bounce {
            merchant: merchant.parse().unwrap(),
            currency: Currency::GBP,
            minor_max: 50_000,
            fields: vec![Field::Pan, Field::Expiry, Field::Cvv],
            returns: vec!["10xx".to_owned()],
            keys_cross_pbx: true,
            only_ordered,
        }),
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The newest INVITE that the contact centre got.
fn invite(world: &World) -> &str {
    world.agent_texts().iter().rfind(|text| text.starts_with("INVITE")).expect("an INVITE")
}

/// A header of the INVITE with which the caller goes back.
fn told(world: &World, name: &str) -> Option<String> {
    let line = invite(world)
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with(&format!("{}:", name.to_ascii_lowercase())))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn dials(world: &World) -> Vec<&str> {
    world.agent_got().into_iter().filter(|line| line.starts_with("INVITE")).collect()
}

fn keyed(world: &mut World, keys: &str) {
    world.keys(keys);
    world.pass(300 * MS);
}

fn approved() -> Outcome {
    let amount = Money { minor: 4200, currency: Currency::GBP };
    let (auth_code, gateway_ref) = ("A1B2C3".to_owned(), "ch_1".to_owned());
    Outcome::Approved { auth_code, gateway_ref, amount, checks: wire::Checks::default() }
}

fn has_result(world: &World, wanted: BounceResult) -> bool {
    world.audited(|action| matches!(action, AuditAction::BouncedBack { result, .. } if *result == wanted))
}

#[test]
fn a_caller_pays_alone_and_goes_back_with_the_result() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    assert_eq!(world.refusal(), None);
    let alone = world.snapshot();
    assert_eq!((alone.state, alone.line, alone.way), (CallState::SelfService, LineState::Secured, WayIn::Bounced));
    assert!(alone.keys_cross_pbx && dials(&world).is_empty(), "nobody is called before there is a result");
    keyed(&mut world, "4242424242424242*1235");
    assert!(world.sends().is_empty());
    keyed(&mut world, "123");
    assert_eq!(world.sends().len(), 1, "nobody is there to press a button");
    world.journaled_with(approved());
    assert_eq!(dials(&world), ["INVITE sip:8100@127.0.0.1:5080 SIP/2.0"]);
    let header = |name| told(&world, name).unwrap();
    assert_eq!(header("X-Tonewall-Result"), "approved");
    assert_eq!((header("X-Tonewall-Last4"), header("X-Tonewall-Brand")), ("4242".to_owned(), "visa".to_owned()));
    assert_eq!((header("X-Tonewall-Amount"), header("X-Tonewall-Auth-Code")), ("4200".to_owned(), "A1B2C3".to_owned()));
    assert_eq!(header("X-Tonewall-Reference"), "INV-77");
    let user = header("User-to-User");
    let text = format!(
        "result=approved&payment={}&auth-code=A1B2C3&amount=4200&currency=GBP&brand=visa&last4=4242&reference=INV-77",
        header("X-Tonewall-Payment")
    );
    assert_eq!(user, format!("{};encoding=hex;purpose=tonewall", hex(&text)));
    assert!(!invite(&world).contains("4242424242424242"));
    assert!(has_result(&world, BounceResult::Approved));
    assert_eq!(world.snapshot().state, CallState::Talking);
    world.caller_hangs_up();
    assert_eq!(world.ended(), Some(CallEnd::CallerHungUp));
}

#[test]
fn what_is_asked_for_may_come_in_user_to_user_and_name_an_agent_to_go_back_to() {
    let mut world = world();
    let order = format!("{};encoding=hex", hex("amount=999&reference=A-1&return=1002"));
    world.comes(PBX, "7900", CALLER, &[("User-to-User", &order), ("X-Account", "NW-1")]);
    assert_eq!((world.refusal(), world.snapshot().extension.as_str()), (None, "1002"));
    assert_eq!(world.snapshot().payment.unwrap().amount, Money { minor: 999, currency: Currency::GBP });
    keyed(&mut world, "4242424242424242*1235123");
    world.journaled_with(Outcome::Declined { class: DeclineClass::InsufficientFunds, network_code: None });
    assert_eq!(dials(&world), ["INVITE sip:1002@127.0.0.1:5080 SIP/2.0"]);
    assert_eq!(told(&world, "X-Tonewall-Result").as_deref(), Some("declined"));
    assert_eq!(told(&world, "X-Tonewall-Reason").as_deref(), Some("insufficient_funds"));
    assert_eq!(told(&world, "X-Account").as_deref(), Some("NW-1"), "the contact centre's own words come back");
    let users = invite(&world).to_ascii_lowercase().matches("user-to-user:").count();
    assert_eq!(users, 1, "the order itself does not");
}

#[test]
fn an_outcome_that_is_not_known_is_told_as_that() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    keyed(&mut world, "4242424242424242*1235123");
    world.journaled_with(Outcome::Unknown);
    assert_eq!(told(&world, "X-Tonewall-Result").as_deref(), Some("unknown"));
    assert!(has_result(&world, BounceResult::Unknown));
}

#[test]
fn who_is_too_slow_is_asked_again_and_goes_back_in_the_end() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    assert_eq!(world.cues, [(false, 0), (false, 1)], "one beep for the first field");
    keyed(&mut world, "4242424242424242*");
    assert_eq!(world.cues.last(), Some(&(false, 2)));
    keyed(&mut world, "9935");
    assert_eq!(world.cues.last(), Some(&(true, 2)), "a long one first: that was no month");
    world.pass(Duration::from_secs(25));
    assert_eq!((world.cues.last(), dials(&world).len()), (Some(&(true, 2)), 0));
    world.pass(Duration::from_secs(45));
    assert_eq!(told(&world, "X-Tonewall-Result").as_deref(), Some("canceled"));
    assert_eq!(told(&world, "X-Tonewall-Reason").as_deref(), Some("too_slow"));
    assert!(told(&world, "X-Tonewall-Auth-Code").is_none() && has_result(&world, BounceResult::Canceled));
}

#[test]
fn who_gets_a_field_wrong_too_often_goes_back() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    for _ in 0..5 {
        keyed(&mut world, "4242424242424241*");
    }
    assert_eq!(told(&world, "X-Tonewall-Reason").as_deref(), Some("too_many_tries"));
}

#[test]
fn what_no_route_allows_is_not_taken() {
    let refused = |headers: &[(&str, &str)], status: u16, why: BounceRefusal| {
        let mut world = world();
        world.comes(PBX, "7900", CALLER, headers);
        assert_eq!(world.refusal(), Some(status), "{why:?}");
        assert!(world.audited(|action| *action == AuditAction::BounceRefused { why }), "{why:?}");
        assert_eq!((dials(&world).len(), world.board.calls()), (0, 0));
    };
    refused(&[], 400, BounceRefusal::NoAmount);
    refused(&[("X-Tonewall-Amount", "-1")], 400, BounceRefusal::Malformed);
    refused(&[("X-Tonewall-Amount", "0")], 403, BounceRefusal::BadAmount);
    refused(&[("X-Tonewall-Amount", "50001")], 403, BounceRefusal::BadAmount);
    refused(&[("X-Tonewall-Amount", "1"), ("X-Tonewall-Currency", "EUR")], 403, BounceRefusal::BadCurrency);
    refused(&[("X-Tonewall-Amount", "1"), ("X-Tonewall-Return", "0900123456")], 403, BounceRefusal::BadReturn);
    refused(&[("X-Tonewall-Amount", "1"), ("X-Tonewall-Return", "1001@198.51.100.7")], 403, BounceRefusal::BadReturn);
    refused(&[("X-Tonewall-Amount", "1"), ("X-Tonewall-Reference", "4242424242424242")], 400, BounceRefusal::Malformed);
    let (two, three) = (hex("amount=2"), hex("amount=2&reference=A"));
    refused(&[("User-to-User", &two), ("User-to-User", &three)], 400, BounceRefusal::Malformed);
    refused(&[("X-Tonewall-Reference", "A"), ("User-to-User", &two)], 400, BounceRefusal::NoAmount);
}

#[test]
fn neither_an_agent_nor_another_trunk_pays_alone() {
    let mut world = world();
    world.comes(PBX, "7900", "1001", &ASKS);
    assert_eq!(world.refusal(), Some(403));
    assert!(world.audited(|action| *action == AuditAction::BounceRefused { why: BounceRefusal::InternalCaller }));
    world.comes(CARRIER, "7900", CALLER, &ASKS);
    assert_eq!(world.refusal(), Some(404), "no route of that trunk");
    world.comes("127.0.0.1:5999".parse().unwrap(), "7900", CALLER, &ASKS);
    assert_eq!(world.refusal(), Some(403), "a stranger");
}

#[test]
fn who_hangs_up_while_they_pay_calls_nobody_back() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    keyed(&mut world, "4242424242424242*");
    world.caller_hangs_up();
    assert_eq!((world.ended(), dials(&world).len(), world.board.calls()), (Some(CallEnd::CallerHungUp), 0, 0));
}

#[test]
fn a_contact_centre_that_is_busy_is_called_again_and_not_for_ever() {
    let mut world = world();
    world.agent_answers_by_itself(false);
    world.comes(PBX, "7900", CALLER, &ASKS);
    keyed(&mut world, "4242424242424242*1235123");
    world.journaled_with(approved());
    world.agent_rejects(486);
    world.pass(Duration::from_secs(6));
    assert_eq!(dials(&world).len(), 2);
    assert_eq!(world.snapshot().state, CallState::Ringing);
    world.agent_picks_up();
    assert_eq!(world.snapshot().state, CallState::Talking);
}

#[test]
fn nobody_but_us_says_what_became_of_it() {
    let mut world = World::with(|config| config.headers_passed = vec!["X-Tonewall-Result".to_owned()]);
    world.agent_answers_by_itself(false);
    world.raw_invite_to(CARRIER, "1001", "X-Tonewall-Result: approved\r\n");
    assert!(dials(&world).len() == 1 && told(&world, "X-Tonewall-Result").is_none());
}

#[test]
fn an_answer_that_is_sent_on_is_no_new_order() {
    let order = ("X-Tonewall-Amount", "4200");
    let back = format!("{};encoding=hex;purpose=tonewall", hex("amount=4200&currency=GBP"));
    let answer = hex("result=approved&payment=1&amount=4200");
    for headers in [
        &[order, ("X-Tonewall-Result", "approved")],
        &[order, ("X-Tonewall-Payment", "1")],
        &[order, ("User-to-User", answer.as_str())],
        &[("X-Account", "1"), ("User-to-User", answer.as_str())],
        &[("X-Account", "1"), ("User-to-User", back.as_str())],
    ] {
        let mut world = world();
        world.comes(PBX, "7900", CALLER, headers);
        assert_eq!((world.refusal(), world.board.calls()), (Some(400), 0), "{headers:?}");
    }
}

#[test]
fn what_a_caller_says_in_user_to_user_is_not_taken_for_our_answer() {
    let mut world = world();
    let said = format!("{};encoding=hex", hex("reference=OTHER&brand=visa"));
    let headers = [ASKS[0], ASKS[2], ("User-to-User", said.as_str())];
    world.comes(PBX, "7900", CALLER, &headers);
    keyed(&mut world, "4242424242424242*1235123");
    world.journaled_with(Outcome::Declined { class: DeclineClass::InsufficientFunds, network_code: None });
    assert!(!invite(&world).contains(&said), "{}", invite(&world));
    assert_eq!(invite(&world).to_ascii_lowercase().matches("user-to-user:").count(), 1);
    for said in ["result=approved", "\0Result=approved", "x=1&payment=7"].map(hex) {
        let mut world = World::with(|_| {});
        world.agent_answers_by_itself(false);
        world.raw_invite_to(CARRIER, "1001", &format!("User-to-User: {said};encoding=hex\r\n"));
        assert!(dials(&world).len() == 1 && told(&world, "User-to-User").is_none(), "{said}");
    }
    let mut world = World::with(|_| {});
    world.agent_answers_by_itself(false);
    let other = format!("{};encoding=hex", hex("account=7"));
    world.raw_invite_to(CARRIER, "1001", &format!("User-to-User: {other}\r\n"));
    assert_eq!(told(&world, "User-to-User").as_deref(), Some(other.as_str()), "what is none of ours passes");
}

#[test]
fn the_order_of_the_contact_centre_is_not_mixed_with_what_came_from_farther_away() {
    let mut world = world();
    let other = hex("amount=1&reference=OTHER&return=1001");
    world.comes(PBX, "7900", CALLER, &[("X-Tonewall-Amount", "4200"), ("User-to-User", &other)]);
    let call = world.snapshot();
    assert_eq!((call.payment.unwrap().amount.minor, call.extension.as_str()), (4200, "8100"));
}

#[test]
fn who_is_sent_back_unpaid_hears_that_no_key_is_wanted() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    for _ in 0..5 {
        assert_eq!(world.cue_stops, 0);
        keyed(&mut world, "4242424242424241*");
    }
    assert_eq!(world.cue_stops, 1);
}

#[test]
fn nobody_is_cut_off_while_they_key() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    keyed(&mut world, "4242424242424242*");
    for _ in 0..30 {
        world.pass(Duration::from_secs(9));
        keyed(&mut world, "1#");
    }
    world.pass(Duration::from_secs(9));
    keyed(&mut world, "1#");
    world.pass(Duration::from_secs(9));
    keyed(&mut world, "1#");
    world.pass(Duration::from_secs(8));
    keyed(&mut world, "1");
    assert_eq!(dials(&world).len(), 0, "five minutes are over, and a key came just now");
    world.pass(Duration::from_secs(11));
    assert_eq!((dials(&world).len(), world.cue_stops), (1, 1));
    assert_eq!(told(&world, "X-Tonewall-Reason").as_deref(), Some("too_slow"));
}

#[test]
fn the_same_order_is_not_taken_twice_while_it_may_have_been_paid() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    keyed(&mut world, "4242424242424242*1235123");
    world.journaled_with(Outcome::Unknown);
    world.comes(PBX, "7900", "447700900143", &ASKS);
    assert_eq!(world.refusal(), Some(403));
    assert!(world.audited(|action| *action == AuditAction::BounceRefused { why: BounceRefusal::Duplicate }));
}

#[test]
fn who_hangs_up_while_they_pay_leaves_a_word_in_the_trail_and_may_pay_again() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    keyed(&mut world, "4242424242424242*");
    world.caller_hangs_up();
    let is_end = |action: &AuditAction| {
        matches!(action, AuditAction::BounceEnded { result: BounceResult::Canceled, reference: Some(_), .. })
    };
    assert!(world.audited(is_end));
    world.comes(PBX, "7900", CALLER, &ASKS);
    assert_eq!(world.refusal(), None);
}

#[test]
fn nobody_gets_where_callers_pay_alone_by_being_sent_on() {
    let is_called_back = |world: &World| dials(world).iter().any(|line| line.contains("sip:8100@"));
    let mut world = world_for("carrier", "main");
    world.ring();
    world.agent_redirects("<sip:7900@127.0.0.1>");
    assert!(!is_called_back(&world), "{:?}", dials(&world));
    let mut world = world_for("carrier", "main");
    world.talk();
    world.agent_says("REFER", "Refer-To: <sip:7900@127.0.0.1>\r\n", None);
    assert!(!is_called_back(&world), "{:?}", dials(&world));
}

#[test]
fn who_cannot_pay_goes_back_with_a_word_and_the_payment_has_an_end() {
    let mut world = world_for("pbx", "nobody");
    world.comes(PBX, "7900", CALLER, &ASKS);
    assert_eq!(told(&world, "X-Tonewall-Result").as_deref(), Some("canceled"));
    assert_eq!(told(&world, "X-Tonewall-Amount").as_deref(), Some("4200"));
    assert_eq!(told(&world, "X-Tonewall-Reference").as_deref(), Some("INV-77"));
    assert!(world.audited(|action| matches!(action, AuditAction::PaymentCancelled { .. })));
}

/// The contact centre's system orders this ahead of the call.
fn ordered(world: &mut World, number: u128, change: impl FnOnce(&mut BouncedOrder)) -> CommandResult {
    let id = orders(world, number, change);
    world.result(id).expect("an answer at once")
}

fn orders(world: &mut World, number: u128, change: impl FnOnce(&mut BouncedOrder)) -> CommandId {
    let mut order = BouncedOrder {
        payment: PaymentId::from_random(number),
        merchant: "main".parse().unwrap(),
        amount: Money { minor: 4200, currency: Currency::GBP },
        reference: "INV-77".parse().unwrap(),
        back: None,
        valid_s: 300,
    };
    change(&mut order);
    let (id, call, origin) = (CommandId::from_random(number), CallId::from_random(0), Origin::User { id: 1 });
    world.send_command(&Command { id, call, origin, action: Action::OrderBounced(order) });
    id
}

fn code(world: &mut World, number: u128) -> OrderCode {
    let CommandResult::Ordered { code, keys_cross_pbx: true, .. } = ordered(world, number, |_| {}) else {
        panic!("no code")
    };
    code
}

fn refused_with(world: &World, status: u16, why: BounceRefusal) {
    assert_eq!(world.refusal(), Some(status), "{why:?}");
    assert!(world.audited(|action| *action == AuditAction::BounceRefused { why }), "{why:?}");
}

const ORDER_CODE: &str = "X-Tonewall-Order-Code";

#[test]
fn an_order_made_ahead_says_all_and_its_code_is_good_for_one_call() {
    let mut world = world();
    let change = |order: &mut BouncedOrder| order.back = "1002".parse().ok();
    let CommandResult::Ordered { code, until_unix_ms, .. } = ordered(&mut world, 7, change) else { panic!("no code") };
    assert!(until_unix_ms > 0);
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &code.code)]);
    assert_eq!(world.refusal(), None);
    let paid = world.snapshot().payment.unwrap();
    assert_eq!((paid.payment, paid.amount.minor), (PaymentId::from_random(7), 4200));
    world.comes(PBX, "7900", "447700900143", &[(ORDER_CODE, &code.code)]);
    refused_with(&world, 410, BounceRefusal::CodeUsed);
}

#[test]
fn a_caller_who_was_ordered_goes_back_with_the_result_of_that_payment() {
    let mut world = world();
    let code = code(&mut world, 7);
    let user = format!("{};encoding=hex", hex(&format!("order-code={}", code.code)));
    world.comes(PBX, "7900", CALLER, &[("User-to-User", &user)]);
    keyed(&mut world, "4242424242424242*1235123");
    world.journaled_with(approved());
    let header = |name| told(&world, name).unwrap();
    assert_eq!(header("X-Tonewall-Payment"), PaymentId::from_random(7).to_string());
    assert_eq!((header("X-Tonewall-Result"), header("X-Tonewall-Reference")), ("approved".into(), "INV-77".into()));
    assert!(!invite(&world).contains(&code.code) && !invite(&world).contains(&hex(&code.code)), "nor does the code");
    assert_eq!(ordered(&mut world, 8, |_| {}), CommandResult::Refused { reason: Refusal::SameOrder });
}

#[test]
fn a_code_may_be_dialed_and_is_shown_nowhere() {
    let mut world = world();
    let number = code(&mut world, 7).number.expect("the route has a number");
    assert!(number.starts_with("7900") && number.len() == 12, "{number}");
    world.comes(PBX, &number, CALLER, &[]);
    assert_eq!((world.refusal(), world.snapshot().called.as_str()), (None, "7900"));
    assert_eq!(world.snapshot().payment.unwrap().payment, PaymentId::from_random(7));
    world.comes(PBX, &number, CALLER, &[]);
    refused_with(&world, 410, BounceRefusal::CodeUsed);
    world.comes(PBX, "790000000000", CALLER, &[]);
    refused_with(&world, 404, BounceRefusal::UnknownCode);
    world.comes(PBX, "79000000000", CALLER, &[]);
    refused_with(&world, 400, BounceRefusal::NoAmount);
}

/// Whoever could put a header on the call could else name another amount, and the code would stay good for a second call.
#[test]
fn nothing_is_said_beside_a_code_that_is_dialed() {
    let mut world = world();
    let (dialed, said) =
        (code(&mut world, 7), ordered(&mut world, 8, |order| order.reference = "B-1".parse().unwrap()));
    let CommandResult::Ordered { code: said, .. } = said else { panic!("no code") };
    let number = dialed.number.unwrap();
    let user = format!("{};encoding=hex", hex("amount=1"));
    for header in [ASKS[0], ASKS[2], ("User-to-User", user.as_str()), (ORDER_CODE, &said.code)] {
        world.comes(PBX, &number, CALLER, &[header]);
        refused_with(&world, 400, BounceRefusal::Malformed);
    }
    assert_eq!(world.board.calls(), 0, "and nothing is charged");
    world.comes(PBX, &number, CALLER, &[]);
    assert_eq!((world.refusal(), world.snapshot().called.as_str()), (None, "7900"));
    assert_eq!(world.snapshot().payment.unwrap().amount.minor, 4200);
}

#[test]
fn a_code_that_is_no_good_is_refused_in_its_own_words() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, "abcdefghijklmnop")]);
    refused_with(&world, 404, BounceRefusal::UnknownCode);
    let (old, newer) = (code(&mut world, 1), code(&mut world, 2));
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &old.code)]);
    refused_with(&world, 410, BounceRefusal::CodeReplaced);
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &newer.code), ASKS[0]]);
    refused_with(&world, 400, BounceRefusal::Malformed);
    world.comes(PBX, "7900", "1001", &[(ORDER_CODE, &newer.code)]);
    refused_with(&world, 403, BounceRefusal::InternalCaller);
    world.now += Duration::from_secs(301);
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &newer.code)]);
    refused_with(&world, 410, BounceRefusal::CodeExpired);
}

#[test]
fn a_call_that_cannot_be_set_up_uses_no_code() {
    let mut world = world();
    let code = code(&mut world, 7);
    world.comes_with(CARRIER, "7900", CALLER, &[(ORDER_CODE, &code.code)], true);
    assert_eq!(world.refusal(), Some(404), "another trunk");
    world.taken_pairs = usize::MAX;
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &code.code)]);
    assert!(world.refusal().is_some_and(|status| status >= 500), "{:?}", world.refusal());
    world.taken_pairs = 0;
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &code.code)]);
    assert_eq!(world.refusal(), None);
}

/// What broke: after a restart of the cde a code that it had just given was no code.
#[test]
fn a_code_is_as_good_after_a_restart_as_before_and_no_better() {
    let mut world = world();
    let [first, used] = [(1, "A-1"), (2, "B-1")].map(|(number, reference)| {
        match ordered(&mut world, number, |order| order.reference = reference.parse().unwrap()) {
            CommandResult::Ordered { code, .. } => code,
            other => panic!("{other:?}"),
        }
    });
    let CommandResult::Ordered { code: newer, replaces, .. } =
        ordered(&mut world, 3, |order| order.reference = "A-1".parse().unwrap())
    else {
        panic!("no code")
    };
    assert_eq!(replaces, Some(PaymentId::from_random(1)));
    // It dies with the call that is being answered.
    world.disk = Disk::IsSlow;
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &used.code)]);
    assert!(world.secures() == 0 && world.board.snapshots().is_empty(), "nobody is answered before the disk has it");
    let mut after = self::world();
    after.begins_after(&world, Duration::from_secs(200));
    after.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &used.code)]);
    refused_with(&after, 410, BounceRefusal::CodeUsed);
    after.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &first.code)]);
    refused_with(&after, 410, BounceRefusal::CodeReplaced);
    after.comes(PBX, &newer.number.unwrap(), CALLER, &[]);
    assert_eq!(after.refusal(), None);
    assert_eq!(after.snapshot().payment.unwrap().payment, PaymentId::from_random(3));
    let mut last = self::world();
    last.begins_after(&after, Duration::from_secs(100));
    last.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &newer.code)]);
    refused_with(&last, 410, BounceRefusal::CodeUsed);
}

#[test]
fn a_disk_that_does_not_write_gives_no_code_and_answers_no_call() {
    let mut world = world();
    let good = code(&mut world, 7);
    world.disk = Disk::Refuses;
    let other = |order: &mut BouncedOrder| order.reference = "B-1".parse().unwrap();
    assert_eq!(ordered(&mut world, 8, other), CommandResult::Refused { reason: Refusal::JournalFault });
    // What broke: this one had ended the good one before the disk refused it.
    assert_eq!(ordered(&mut world, 9, |_| {}), CommandResult::Refused { reason: Refusal::JournalFault });
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &good.code)]);
    assert_eq!((world.refusal(), world.board.calls()), (Some(503), 0));
    world.disk = Disk::Writes;
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &good.code)]);
    assert_eq!(world.refusal(), None, "it was not used");
    assert_eq!(world.snapshot().payment.unwrap().payment, PaymentId::from_random(7));
}

/// Where a caller comes with the code of an order while a newer one is written, the disk decides: what it has written first counts.
#[test]
fn a_caller_who_comes_while_a_newer_order_is_written_finds_one_good_code_at_any_moment() {
    let mut world = world();
    let old = code(&mut world, 7);
    world.disk = Disk::IsSlow;
    let newer = orders(&mut world, 8, |_| {});
    assert!(world.result(newer).is_none(), "nobody has its code yet");
    assert_eq!(ordered(&mut world, 9, |_| {}), CommandResult::Refused { reason: Refusal::Busy });
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &old.code)]);
    world.hears_of_disk();
    refused_with(&world, 410, BounceRefusal::CodeUsed);
    assert_eq!(world.board.calls(), 0);
    let Some(CommandResult::Ordered { code, replaces, .. }) = world.result(newer) else { panic!("no code") };
    assert_eq!(replaces, Some(PaymentId::from_random(7)));
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &old.code)]);
    refused_with(&world, 410, BounceRefusal::CodeReplaced);
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &code.code)]);
    assert_eq!((world.refusal(), world.snapshot().payment.unwrap().payment), (None, PaymentId::from_random(8)));
}

/// Who hangs up while the disk writes has used the code: whether it does is known too late to give it back.
#[test]
fn a_caller_who_leaves_while_the_code_is_written_has_used_it_and_is_not_answered() {
    let mut world = world();
    let good = code(&mut world, 7);
    world.disk = Disk::IsSlow;
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &good.code)]);
    world.caller_hangs_up();
    world.hears_of_disk();
    assert_eq!((world.board.calls(), world.secures()), (0, 0));
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &good.code)]);
    refused_with(&world, 410, BounceRefusal::CodeUsed);
}

#[test]
fn no_code_is_good_that_was_given_before_the_journal_was_put_back() {
    let mut world = world();
    let old = code(&mut world, 7);
    world.disk = Disk::IsSlow;
    let other = orders(&mut world, 8, |order| order.reference = "B-1".parse().unwrap());
    world.board.end_codes();
    world.hears_of_disk();
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &old.code)]);
    refused_with(&world, 410, BounceRefusal::CodeReplaced);
    let anew = ordered(&mut world, 9, |_| {});
    assert!(matches!(anew, CommandResult::Ordered { replaces: None, .. }), "{anew:?}");
    let Some(CommandResult::Ordered { code, .. }) = world.result(other) else { panic!("no code") };
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &code.code)]);
    assert_eq!(world.refusal(), None, "one that was being written");
}

#[test]
fn an_order_that_no_route_takes_is_refused_when_it_is_made() {
    let mut world = world();
    let mut number = 0;
    let mut refused = |change: &dyn Fn(&mut BouncedOrder), reason: Refusal| {
        number += 1;
        assert_eq!(ordered(&mut world, number, |order| change(order)), CommandResult::Refused { reason });
    };
    refused(&|order| order.amount.minor = 0, Refusal::BadAmount);
    refused(&|order| order.amount.minor = 50_001, Refusal::NotBounced);
    refused(&|order| order.amount.currency = Currency::EUR, Refusal::NotBounced);
    refused(&|order| order.back = "0900123456".parse().ok(), Refusal::NotBounced);
    refused(&|order| order.merchant = "other".parse().unwrap(), Refusal::UnknownMerchant);
}

#[test]
fn where_only_orders_of_the_api_are_taken_a_header_says_nothing() {
    let mut world = world_of(route("pbx", "main", true));
    world.comes(PBX, "7900", CALLER, &ASKS);
    refused_with(&world, 403, BounceRefusal::NotOrdered);
    let code = code(&mut world, 7);
    world.comes(PBX, "7900", CALLER, &[(ORDER_CODE, &code.code)]);
    assert_eq!(world.refusal(), None);
}

/// Who keys a card slowly is still keying when they are with the agent.
#[test]
fn keys_that_go_on_after_a_payment_alone_are_masked_although_the_route_ignores_them() {
    let mut world = world();
    world.comes(PBX, "7900", CALLER, &ASKS);
    keyed(&mut world, "4242424242424242*1235123");
    world.journaled_with(Outcome::Declined { class: DeclineClass::InsufficientFunds, network_code: None });
    world.media(media::Event::Opened);
    let back = world.snapshot();
    assert_eq!((back.state, back.line), (CallState::Talking, LineState::Open));
    world.media(media::Event::KeysOnOpenLine);
    let alarm = |action: &AuditAction| *action == AuditAction::Alarm { kind: wire::record::AlarmKind::KeysOnOpenLine };
    assert!(world.audited(alarm));
    assert!(matches!(world.snapshot().line, LineState::Securing | LineState::Secured));
}
