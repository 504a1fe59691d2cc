//! Keys at the borders of the masked time.

use crate::harness::{Call, EVENTS, ms};
use crate::line::Line;
use media::{Command, Policy, Side};

fn events_at_the_agent(line: &Line) -> usize {
    line.call.agent.got.iter().filter(|got| got.header.payload_type == EVENTS).count()
}

#[test]
fn a_key_that_began_before_the_line_was_secured_is_none_and_its_rest_does_not_pass() {
    let mut call = Call::new();
    call.caller_is_silent(ms(100));
    let packets = call.caller.key(b'4', ms(100));
    packets[..2].iter().for_each(|bytes| call.caller_sends(bytes));
    let before = call.agent.got.len();
    let mut line = Line::secure(call);
    line.give(&packets[2..]);
    assert_eq!((before, events_at_the_agent(&line)), (7, 2));
    assert_eq!(line.keys(), "");
}

#[test]
fn a_long_key_that_began_before_the_line_was_secured_is_none_in_its_next_segment_either() {
    let mut call = Call::new();
    call.caller_is_silent(ms(100));
    let packets = call.caller.key(b'4', ms(9000));
    packets[..2].iter().for_each(|bytes| call.caller_sends(bytes));
    let mut line = Line::secure(call);
    line.give(&packets[2..]);
    assert_eq!(line.keys(), "");
}

#[test]
fn a_key_while_the_line_is_being_released_counts_and_begins_the_three_seconds_anew() {
    let mut line = Line::secured();
    line.call.command(Command::Release);
    line.silence(2500);
    line.press("4");
    line.silence(2500);
    assert!(line.call.times("Opened").is_empty());
    line.silence(600);
    assert_eq!(line.call.times("Opened").len(), 1);
    assert_eq!(line.keys(), "4");
}

#[test]
fn a_key_that_began_masked_does_not_pass_after_the_opening() {
    let mut line = Line::secured();
    let packets = line.key(b'4');
    line.give(&packets[..2]);
    line.call.command(Command::Release);
    line.silence(3400);
    assert_eq!(line.call.times("Opened").len(), 1);
    line.give(&packets[2..]);
    assert_eq!(events_at_the_agent(&line), 0);
    assert_eq!(line.keys(), "4");
}

#[test]
fn a_key_of_the_masked_time_that_comes_after_the_opening_for_the_first_time_does_not_pass() {
    let mut line = Line::secured();
    let packets = line.key(b'4');
    line.call.command(Command::Release);
    line.silence(3400);
    assert_eq!(line.call.times("Opened").len(), 1);
    line.give(&packets);
    assert_eq!(events_at_the_agent(&line), 0);
}

#[test]
fn a_key_after_the_opening_passes_as_an_event_and_is_no_key_of_the_payment() {
    let mut line = Line::secured();
    line.call.command(Command::Release);
    line.silence(3200);
    line.press("7");
    assert_eq!(events_at_the_agent(&line), 7);
    assert_eq!(line.keys(), "");
}

#[test]
fn a_key_whose_end_is_missing_keeps_the_line_masked_until_it_is_given_up() {
    let mut line = Line::secured();
    line.call.command(Command::Release);
    line.silence(2900);
    let packets = line.key(b'4');
    line.give(&packets[..4]);
    line.silence(3000);
    assert!(line.call.times("Opened").is_empty());
    line.silence(300);
    assert_eq!(line.call.times("Opened").len(), 1);
    assert_eq!(line.keys(), "4");
}

#[test]
fn a_key_of_which_one_event_passed_and_the_line_was_secured_twice_is_none() {
    let mut call = Call::new();
    call.caller_is_silent(ms(100));
    let packets = call.caller.key(b'4', ms(300));
    packets[..2].iter().for_each(|bytes| call.caller_sends(bytes));
    let mut line = Line::secure(call);
    line.give(&packets[2..6]);
    line.call.command(Command::Secure { policy: Policy::Strict });
    line.give(&packets[6..]);
    assert_eq!(line.keys(), "");
}

#[test]
fn an_event_at_a_line_that_is_secured_before_anything_was_heard_counts() {
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Strict });
    let packets = call.caller.key(b'4', ms(100));
    for bytes in &packets {
        call.give(Side::Caller, bytes);
        call.wait(ms(20));
    }
    assert_eq!(call.keys(), "4");
}
