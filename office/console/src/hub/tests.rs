use super::*;
use crate::view::tests::{progress, row};
use uuid::Uuid;
use wire::{CallState, Field, FieldProgress, FieldStatus, LineState, PaymentState as S};

fn mine(n: u16) -> Extension {
    n.to_string().parse().unwrap()
}

fn call(n: u128, extension: u16) -> CallSnapshot {
    CallSnapshot {
        call: CallId(Uuid::from_u128(n)),
        extension: mine(extension),
        caller: String::new(),
        called: "100".into(),
        way: wire::WayIn::Inline,
        keys_cross_pbx: false,
        started_unix_ms: 0,
        state: CallState::Talking,
        line: LineState::Open,
        line_since_unix_ms: 0,
        masking: wire::Masking::Natural,
        payment: None,
        hook: None,
    }
}

/// Call 1 of extension 1001 takes payment 9; call 2 is of extension 1002.
fn hub() -> Hub {
    let mut hub = Hub::default();
    hub.hello(0, vec![call(1, 1001), call(2, 1002)], vec![row(S::Waiting, 0)]);
    hub
}

fn names(hub: &Hub, after: u64, extension: u16) -> Vec<&'static str> {
    let Resume::Events(events, _) = hub.resume(after, Some(&mine(extension))) else { panic!("gone") };
    events.iter().map(|event| event.name).collect()
}

#[test]
fn nobody_sees_the_calls_of_another_extension() {
    let mut hub = hub();
    let start = hub.newest();
    hub.call(1, CallSnapshot { line: LineState::Secured, ..call(1, 1001) });
    hub.proof(1, call(1, 1001).call);
    hub.payment(1, row(S::Authorizing, 1));
    hub.call_ended(call(1, 1001).call, CallEnd::CallerHungUp);
    hub.payment(1, row(S::Unknown, 1));
    assert_eq!(names(&hub, start, 1001), ["call", "proof", "payment", "call", "call_ended", "payment"]);
    assert!(names(&hub, start, 1002).is_empty());
    assert_eq!(hub.calls(Some(&mine(1002))).len(), 1);
    assert!(hub.calls(None).is_empty());
    assert!(hub.call_of(call(2, 1002).call, Some(&mine(1001))).is_none());
    assert!(!hub.snapshot(Some(&mine(1001))).1.contains("1002"));
}

#[test]
fn a_call_shows_the_stored_state_of_its_payment() {
    let mut hub = hub();
    hub.payment(1, row(S::Approved, 1));
    hub.call(2, CallSnapshot { payment: Some(progress(S::Authorizing, 1)), ..call(1, 1001) });
    let view = hub.call_of(call(1, 1001).call, Some(&mine(1001))).unwrap();
    assert_eq!(view.payment.unwrap().state, S::Approved);
    assert_eq!(hub.show(&row(S::Approved, 1)).state, S::Approved);
}

#[test]
fn a_row_read_before_a_newer_one_is_not_shown() {
    let mut hub = hub();
    hub.payment(1, PaymentRow { updated_ms: 5, ..row(S::Approved, 1) });
    hub.payment(1, row(S::Waiting, 0));
    assert_eq!(hub.payment_state(row(S::Waiting, 0).id), Some(S::Approved));
}

#[test]
fn a_payment_is_not_told_before_the_record_of_its_last_attempt() {
    let mut hub = hub();
    let id = call(1, 1001).call;
    let ended = |hub: &mut Hub| {
        let tried = PaymentRow { attempts: 1, ..row(S::Declined, 1) };
        hub.payment(1, tried.clone());
        hub.call(2, CallSnapshot { payment: Some(progress(S::Authorizing, 2)), ..call(1, 1001) });
        hub.call_ended(id, CallEnd::CallerHungUp);
        tried
    };
    hub.caught_up();
    let tried = ended(&mut hub);
    assert!(!hub.is_told(&tried), "the second attempt is on its way");
    hub.payment(3, tried.clone());
    assert!(!hub.is_told(&tried));
    hub.payment(4, row(S::Approved, 2));
    assert!(hub.is_told(&row(S::Approved, 2)));
    hub.call(5, call(1, 1001));
    let tried = ended(&mut hub);
    hub.hello(6, vec![], vec![]);
    assert!(!hub.is_told(&tried));
    hub.caught_up();
    assert!(hub.is_told(&tried), "whatever was written has come by now");
}

#[test]
fn what_is_shown_again_unchanged_is_no_event() {
    let mut hub = hub();
    let start = hub.newest();
    hub.payment(1, row(S::Waiting, 0));
    hub.proof(1, CallId(Uuid::from_u128(77)));
    assert_eq!(hub.newest(), start);
}

#[test]
fn after_a_new_connection_everybody_starts_from_a_snapshot() {
    let mut hub = hub();
    let start = hub.newest();
    hub.door_down();
    hub.door_down();
    assert_eq!(names(&hub, start, 1001), ["door"]);
    hub.hello(5, vec![call(2, 1002)], vec![]);
    assert_eq!(hub.resume(start + 1, Some(&mine(1001))), Resume::Snapshot);
    assert!(hub.calls(Some(&mine(1001))).is_empty() && hub.door_is_up());
}

/// A process that stood still told of the fault only when the line was masked again, and the story lacked it.
#[test]
fn a_line_that_is_again_what_it_was_is_told_again() {
    let mut hub = Hub::default();
    let id = call(1, 1001).call;
    let secured = |since| CallSnapshot { line: LineState::Secured, line_since_unix_ms: since, ..call(1, 1001) };
    [secured(5), secured(5), secured(9)].into_iter().for_each(|snapshot| hub.call(9, snapshot));
    let story = hub.call_of(id, Some(&mine(1001))).unwrap().timeline;
    let times: Vec<_> = story.iter().filter(|row| row.text_key == "line_secured").map(|row| row.at.as_str()).collect();
    assert_eq!(times, ["1970-01-01T00:00:00.005Z", "1970-01-01T00:00:00.009Z"]);
}

#[test]
fn the_timeline_tells_the_story_and_is_bounded() {
    let mut hub = Hub::default();
    let id = call(1, 1001).call;
    hub.call(0, CallSnapshot { state: CallState::Ringing, ..call(1, 1001) });
    hub.call(1, CallSnapshot { line: LineState::Secured, ..call(1, 1001) });
    let mut payment = progress(S::Capturing, 0);
    payment.fields = vec![FieldProgress { field: Field::Pan, status: FieldStatus::Ok, digits: 16, reason: None }];
    payment.brand = Some(wire::Brand::Visa);
    payment.last4 = wire::Last4::new(*b"4242").ok();
    hub.call(2, CallSnapshot { line: LineState::Secured, payment: Some(payment.clone()), ..call(1, 1001) });
    payment.state = S::Declined;
    hub.call(3, CallSnapshot { line: LineState::Secured, payment: Some(payment), ..call(1, 1001) });
    let story = hub.call_of(id, Some(&mine(1001))).unwrap().timeline;
    let keys: Vec<_> = story.iter().map(|row| row.text_key).collect();
    let expected = ["call_came_in", "agent_answered", "line_secured", "payment_started", "field_accepted", "declined"];
    assert_eq!(keys, expected);
    assert_eq!(story[4].detail.as_deref(), Some("Card number: Visa 4242"));
    for n in 0..500 {
        let line = if n % 2 == 0 { LineState::Open } else { LineState::Secured };
        hub.call(n, CallSnapshot { line, ..call(1, 1001) });
    }
    let story = hub.call_of(id, Some(&mine(1001))).unwrap().timeline;
    assert_eq!(story.len(), timeline::TIMELINE_MAX);
    assert_eq!(story[0].text_key, "call_came_in");
}
