//! Events that are not the caller's, or not of this stream.

use crate::harness::{AGENT, Call, ms, remote};
use crate::line::Line;
use media::{Command, Policy, Remote, Side};

#[test]
fn events_from_a_strangers_address_are_no_keys_and_end_none() {
    for stranger in ["192.0.2.66:4000", "192.0.2.1:4001", AGENT] {
        let mut line = Line::secured();
        let stranger = stranger.parse().unwrap();
        let packets = line.key(b'4');
        let (sequence, timestamp) = (line.call.caller.sequence, line.timestamp());
        let spoofed = line.key(b'6');
        (line.call.caller.sequence, line.call.caller.timestamp) = (sequence, timestamp);
        line.give(&packets[..2]);
        for bytes in packets[5..].iter().chain(&spoofed) {
            line.call.session.handle_packet(line.call.now, Side::Caller, stranger, bytes);
        }
        line.give(&packets[2..4]);
        assert_eq!(line.call.stats().caller.refused_source, 9);
        line.give(&packets[4..]);
        assert_eq!(line.keys(), "4");
    }
}

#[test]
fn events_of_another_ssrc_are_no_keys() {
    let mut line = Line::secured();
    line.call.caller.ssrc += 1;
    let packets = line.key(b'4');
    line.give(&packets);
    line.call.caller.ssrc -= 1;
    assert_eq!(line.call.stats().caller.refused_ssrc, 7);
    line.call.caller.sequence = line.call.caller.sequence.wrapping_sub(7);
    line.press("5");
    assert_eq!(line.keys(), "5");
}

#[test]
fn a_stream_that_the_call_moved_to_another_address_may_have_another_ssrc() {
    let mut line = Line::secured();
    line.press("1");
    line.call.caller.address = "192.0.2.3:4002".parse().unwrap();
    line.call.caller.ssrc = 77;
    line.call.caller.timestamp = 5;
    let address = line.call.caller.address;
    let moved = Remote { address, rtcp: address, ..remote(Side::Caller) };
    line.call.command(Command::Connect { side: Side::Caller, remote: moved });
    line.press("2");
    assert_eq!(line.keys(), "12");
}

#[test]
fn events_of_the_agent_are_no_keys_and_do_not_reach_the_caller() {
    let mut line = Line::secured();
    for bytes in line.call.agent.key(b'5', ms(100)) {
        line.call.give(Side::Agent, &bytes);
        line.silence(20);
    }
    assert!(line.call.caller.got.is_empty());
    assert_eq!(line.keys(), "");
}

#[test]
fn events_of_the_caller_on_the_agents_port_are_no_keys() {
    let mut line = Line::secured();
    let sequence = line.call.caller.sequence;
    let packets = line.key(b'5');
    line.call.caller.sequence = sequence;
    for bytes in packets {
        let source = line.call.caller.address;
        line.call.session.handle_packet(line.call.now, Side::Agent, source, &bytes);
        line.call.wait(ms(20));
    }
    assert_eq!(line.call.stats().agent.refused_source, 7);
    assert_eq!(line.keys(), "");
}

#[test]
fn events_that_were_not_agreed_on_are_no_keys_and_look_like_no_loss() {
    let mut line = Line::secured_with(Remote { telephone_event: None, ..remote(Side::Caller) });
    line.press("456");
    assert_eq!(line.call.stats().caller.unknown_payload, 21);
    assert_eq!(line.keys(), "");
}

#[test]
fn events_under_another_payload_type_than_agreed_are_no_keys() {
    let mut line = Line::secured_with(Remote { telephone_event: Some(96), ..remote(Side::Caller) });
    line.press("456");
    assert_eq!(line.keys(), "");
}

#[test]
fn events_of_a_caller_on_hold_are_no_keys() {
    let mut line = Line::secured();
    line.call.command(Command::Connect { side: Side::Caller, remote: Remote { sends: false, ..remote(Side::Caller) } });
    line.press("456");
    assert_eq!(line.keys(), "");
}

#[test]
fn without_an_agent_a_key_counts_too() {
    let mut call = Call::unconnected();
    call.command(Command::Connect { side: Side::Caller, remote: remote(Side::Caller) });
    call.command(Command::Secure { policy: Policy::Strict });
    call.caller_keys("456");
    assert_eq!(call.keys(), "456");
}
