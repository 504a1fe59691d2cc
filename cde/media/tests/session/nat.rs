//! A peer behind a NAT that it does not know of: found by its packets, and by those of nobody else.

use crate::harness::{Call, EVENTS, hum, master, ms, remote};
use media::rtcp::{Compound, Report};
use media::srtp::{Keys, Suite};
use media::{Command, Policy, Remote, Side};
use std::net::SocketAddr;

/// As the NAT has it, and as the peer believes.
const OUTSIDE: &str = "203.0.113.7:61000";
const INSIDE: &str = "10.0.0.5:4000";

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// The caller as its SDP has it, and its SIP.
fn hidden() -> Remote {
    let address = at(INSIDE);
    Remote { address, rtcp: address, learns_from: Some(at(OUTSIDE).ip()), ..remote(Side::Caller) }
}

/// A call whose caller is behind a NAT and has not been heard. It is sent to nowhere but outside, or the harness panics.
fn behind() -> Call {
    let mut call = Call::unconnected();
    call.command(Command::Connect { side: Side::Agent, remote: remote(Side::Agent) });
    call.command(Command::Connect { side: Side::Caller, remote: hidden() });
    call.caller.address = at(OUTSIDE);
    call
}

/// What the caller says from another place, and whether the agent heard it.
fn from(call: &mut Call, source: &str) -> bool {
    let bytes = call.caller.audio(&[9_000; 160]);
    let bytes = call.caller.sent(&bytes);
    raw_from(call, source, &bytes)
}

fn raw_from(call: &mut Call, source: &str, bytes: &[u8]) -> bool {
    let (before, own) = (call.stats().caller.accepted, call.caller.address);
    call.caller.address = at(source);
    call.give_raw(Side::Caller, bytes);
    let is_heard = call.stats().caller.accepted > before;
    if !is_heard {
        call.caller.address = own;
    }
    is_heard
}

fn agent_says(call: &mut Call) {
    let bytes = call.agent.audio(&[7_000; 160]);
    call.give(Side::Agent, &bytes);
    call.wait(ms(20));
}

/// Another source of sound than the caller's.
fn stranger(call: &mut Call, number: u16) -> Vec<u8> {
    let ssrc = std::mem::replace(&mut call.caller.ssrc, 0xbad);
    let (sequence, timestamp) = (call.caller.sequence, call.caller.timestamp);
    (call.caller.sequence, call.caller.timestamp) = (number, u32::from(number) * 160);
    let bytes = match number % 2 {
        0 => call.caller.audio(&[8_000; 160]),
        _ => call.caller.packet(EVENTS, true, 7, &[5, 0x8a, 3, 32]),
    };
    (call.caller.ssrc, call.caller.sequence, call.caller.timestamp) = (ssrc, sequence, timestamp);
    bytes
}

#[test]
fn nothing_is_sent_before_the_peer_is_found_and_then_there() {
    let mut call = behind();
    (0..300).for_each(|_| agent_says(&mut call));
    assert!(call.caller.got.is_empty() && call.caller.reports.is_empty(), "six seconds, and not even RTCP");
    assert!(!from(&mut call, INSIDE), "its own word is not believed");
    assert!(from(&mut call, OUTSIDE));
    agent_says(&mut call);
    assert_eq!((call.caller.got.len(), call.agent.got.len()), (1, 1));
    call.wait(ms(8000));
    assert!(!call.caller.reports.is_empty(), "and it is reported to");
}

#[test]
fn no_other_host_is_ever_taken_for_the_peer() {
    for is_found in [false, true] {
        let mut call = behind();
        if is_found {
            assert!(from(&mut call, OUTSIDE));
        }
        let (heard, refused) = (call.agent.got.len(), call.stats().caller.refused_source);
        for number in 0..1_000 {
            let bytes = stranger(&mut call, number);
            // Also from the right port of another host, and from inside.
            for source in ["203.0.113.8:61000", "198.51.100.1:4000", INSIDE, "[2001:db8::7]:61000"] {
                assert!(!raw_from(&mut call, source, &bytes), "{source}");
            }
            call.wait(ms(20));
        }
        assert_eq!((call.agent.got.len(), call.keys()), (heard, String::new()));
        assert_eq!(call.stats().caller.refused_source, refused + 4_000);
        assert!(from(&mut call, OUTSIDE), "twenty seconds later it is still the peer who is heard");
    }
}

#[test]
fn what_cannot_be_of_the_stream_tells_nothing() {
    let mut call = behind();
    let unknown = call.caller.packet(13, false, 0, &[0x40]);
    let short = call.caller.packet(0, false, 0, &[0xff; 9]);
    let no_event = call.caller.packet(EVENTS, false, 0, &[5]);
    let goodbye = Compound::new(&Report { ssrc: 7, sender: None, block: None, name: [b'a'; 16], bye: true });
    for bytes in [&unknown[..], &short, &no_event, b"not RTP", &[], goodbye.as_bytes()] {
        assert!(!raw_from(&mut call, "203.0.113.7:6000", bytes));
        agent_says(&mut call);
    }
    assert!(call.caller.got.is_empty());
    assert!(from(&mut call, OUTSIDE));
    agent_says(&mut call);
    assert_eq!(call.caller.got.len(), 1);
}

#[test]
fn a_peer_moves_to_another_port_when_it_was_silent_and_with_its_own_stream_alone() {
    let mut call = behind();
    assert!(from(&mut call, OUTSIDE));
    call.wait(ms(4_900));
    assert!(!from(&mut call, "203.0.113.7:61002"), "it has only paused");
    call.wait(ms(200));
    let foreign = stranger(&mut call, 2);
    assert!(!raw_from(&mut call, "203.0.113.7:61004", &foreign), "a neighbor behind the same NAT");
    assert!(from(&mut call, "203.0.113.7:61002"), "the NAT has forgotten the old port");
    assert!(!from(&mut call, OUTSIDE));
    agent_says(&mut call);
    assert_eq!(call.caller.got.len(), 1);
}

#[test]
fn on_a_masked_line_no_peer_in_the_clear_moves() {
    let mut call = behind();
    assert!(from(&mut call, OUTSIDE));
    call.command(Command::Secure { policy: Policy::Natural });
    call.wait(ms(20_000));
    let key = call.caller.packet(EVENTS, true, 7, &[5, 0x8a, 3, 32]);
    assert!(!raw_from(&mut call, "203.0.113.7:61002", &key));
    // Nor by a hold, whoever has asked for it.
    call.command(Command::Connect { side: Side::Caller, remote: Remote { sends: false, ..hidden() } });
    call.command(Command::Connect { side: Side::Caller, remote: hidden() });
    assert!(!raw_from(&mut call, "203.0.113.7:61002", &key));
    assert_eq!(call.keys(), "");
    call.caller_keys("4");
    assert_eq!(call.keys(), "4", "at its place it types on");
}

fn is_open(call: &Call) -> bool {
    call.events.iter().any(|(_, event)| event.contains("Opened"))
}

/// A masked line that is to be opened, of a caller whom the NAT has given another port since.
fn moved_and_releasing() -> Call {
    let mut call = behind();
    assert!(from(&mut call, OUTSIDE));
    call.command(Command::Secure { policy: Policy::Natural });
    call.wait(ms(20));
    call.command(Command::Release);
    call
}

#[test]
fn the_line_does_not_open_under_the_keys_of_a_caller_whose_nat_has_moved_them() {
    for is_on_hold_before in [false, true] {
        let mut call = moved_and_releasing();
        if is_on_hold_before {
            call.command(Command::Connect { side: Side::Caller, remote: Remote { sends: false, ..hidden() } });
            call.command(Command::Connect { side: Side::Caller, remote: hidden() });
            call.caller.ssrc += 1;
        }
        // A minute of keys, of a phone that is silent between them.
        for _ in 0..12 {
            for packet in call.caller.key(b'5', ms(100)) {
                assert!(!raw_from(&mut call, "203.0.113.7:61002", &packet));
                call.wait(ms(20));
            }
            call.wait(ms(5_000));
        }
        assert!(!is_open(&call));
        call.wait(ms(7_500));
        assert!(!is_open(&call), "thirteen seconds from the last of them");
        call.wait(ms(1_000));
        assert!(is_open(&call), "now they have gone");
        assert_eq!(
            (call.keys(), call.agent.got.iter().any(|got| got.header.payload_type == EVENTS)),
            (String::new(), false)
        );
    }
}

#[test]
fn nobody_of_another_host_and_nothing_but_sound_and_keys_keeps_a_line_masked() {
    let mut call = moved_and_releasing();
    let no_sound = call.caller.packet(0, false, 0, &[0xff; 9]);
    for number in 0..700 {
        let bytes = stranger(&mut call, number);
        for source in ["203.0.113.8:61000", INSIDE] {
            assert!(!raw_from(&mut call, source, &bytes));
        }
        assert!(!raw_from(&mut call, "203.0.113.7:61002", &no_sound));
        call.wait(ms(20));
    }
    assert!(is_open(&call), "fourteen seconds without the caller");
}

#[test]
fn a_caller_who_is_heard_opens_the_line_whoever_else_speaks_behind_the_same_nat() {
    let mut call = moved_and_releasing();
    for number in 0..200 {
        let bytes = call.caller.audio(&[0; 160]);
        call.caller_sends(&bytes);
        let bytes = stranger(&mut call, number);
        assert!(!raw_from(&mut call, "203.0.113.7:61002", &bytes));
    }
    assert!(is_open(&call));
}

/// It held back what was keyed while the line was masked, and the peer is at another place when it comes.
#[test]
fn what_comes_from_a_new_place_after_the_opening_meets_the_same_barrier() {
    let mut call = moved_and_releasing();
    let mut held_back = call.caller.key(b'5', ms(100));
    held_back.extend((0..50).map(|_| call.caller.audio(&[9_000; 160])));
    call.wait(ms(13_100));
    assert!(is_open(&call));
    let heard = call.agent.got.len();
    for packet in &held_back {
        assert!(raw_from(&mut call, "203.0.113.7:61002", packet) && call.agent.got.len() == heard);
    }
    call.caller.timestamp = call.caller.timestamp.wrapping_add(8 * 14_000);
    assert!(from(&mut call, "203.0.113.7:61002"));
    assert_eq!(call.agent.got.len(), heard + 1, "what is said now is heard");
}

#[test]
fn a_masked_line_whose_caller_was_only_told_of_in_the_sdp_finds_them_at_another_port_and_is_then_fixed() {
    let mut call = Call::unconnected();
    call.command(Command::Connect { side: Side::Agent, remote: remote(Side::Agent) });
    call.command(Command::Secure { policy: Policy::Strict });
    let address = at(OUTSIDE);
    call.command(Command::Connect { side: Side::Caller, remote: Remote { address, rtcp: address, ..hidden() } });
    call.caller.address = address;
    assert!(!from(&mut call, "203.0.113.7:61002"), "it may be late");
    call.wait(ms(5_000));
    assert!(from(&mut call, "203.0.113.7:61002"));
    call.caller_keys("42");
    assert_eq!(call.keys(), "42");
    call.wait(ms(20_000));
    assert!(!from(&mut call, OUTSIDE) && !from(&mut call, "203.0.113.7:61004"), "it was heard: no more");
}

#[test]
fn a_line_that_is_masked_from_the_start_finds_its_peer_and_hears_its_keys() {
    let mut call = behind();
    call.command(Command::Secure { policy: Policy::Strict });
    call.wait(ms(1_000));
    call.caller_keys("42");
    assert_eq!(call.keys(), "42");
}

#[test]
fn after_a_hold_the_peer_is_believed_to_be_elsewhere_at_once() {
    let mut call = behind();
    assert!(from(&mut call, OUTSIDE));
    call.command(Command::Connect { side: Side::Caller, remote: Remote { sends: false, ..hidden() } });
    agent_says(&mut call);
    assert_eq!(call.caller.got.len(), 1, "through a hold it is where it was");
    call.command(Command::Connect { side: Side::Caller, remote: hidden() });
    call.caller.ssrc += 1;
    assert!(from(&mut call, "203.0.113.7:61002"));
    assert!(!from(&mut call, OUTSIDE));
}

#[test]
fn another_address_in_the_sdp_is_another_peer_to_be_found() {
    let mut call = behind();
    assert!(from(&mut call, OUTSIDE));
    let moved = Remote { address: at("10.0.0.5:4002"), rtcp: at("10.0.0.5:4002"), ..hidden() };
    call.command(Command::Connect { side: Side::Caller, remote: moved });
    agent_says(&mut call);
    assert!(call.caller.got.is_empty(), "nothing is sent to where the old one was");
    assert!(from(&mut call, "203.0.113.7:61002"));
}

#[test]
fn an_address_of_the_right_host_is_believed_at_first() {
    let mut call = Call::unconnected();
    call.command(Command::Connect { side: Side::Agent, remote: remote(Side::Agent) });
    let address = at(OUTSIDE);
    call.command(Command::Connect { side: Side::Caller, remote: Remote { address, rtcp: address, ..hidden() } });
    call.caller.address = address;
    agent_says(&mut call);
    assert_eq!(call.caller.got.len(), 1, "without waiting for it");
    assert!(!from(&mut call, "203.0.113.7:61002"));
    call.wait(ms(5_000));
    assert!(from(&mut call, "203.0.113.7:61002"), "it is not there");
}

#[test]
fn a_protected_peer_is_found_by_what_is_authentic_and_by_nothing_else() {
    let suite = Suite::Aes128Sha1Tag80;
    let mut call = behind();
    call.protect(Side::Caller, suite, 1);
    let connect = |call: &mut Call| {
        let keys = Box::new(Keys { inbound: master(suite, 1), outbound: master(suite, 2) });
        call.command(Command::ConnectProtected { side: Side::Caller, remote: hidden(), keys });
    };
    connect(&mut call);
    for number in 0..200 {
        let bytes = stranger(&mut call, number);
        assert!(!raw_from(&mut call, "203.0.113.7:61002", &bytes), "in the clear, from the right host");
        assert!(!raw_from(&mut call, "203.0.113.7:61002", &[&bytes[..], &[0; 10]].concat()), "as if it had a tag");
        agent_says(&mut call);
    }
    assert!(call.caller.got.is_empty() && call.keys().is_empty());
    assert!(from(&mut call, OUTSIDE));
    agent_says(&mut call);
    assert_eq!(call.caller.got.len(), 1);
    call.command(Command::Secure { policy: Policy::Natural });
    assert!(
        !from(&mut call, "203.0.113.7:61002"),
        "an authentic packet that was taken on its way and sent from elsewhere"
    );
    call.wait(ms(5_000));
    assert!(from(&mut call, "203.0.113.7:61002"), "of a peer that was silent it shows that it has moved");
}

#[test]
fn rtcp_of_a_port_of_its_own_is_found_by_itself() {
    let mut call = Call::unconnected();
    call.command(Command::Connect { side: Side::Agent, remote: remote(Side::Agent) });
    call.command(Command::Connect { side: Side::Caller, remote: Remote { rtcp: at("10.0.0.5:4001"), ..hidden() } });
    call.caller.address = at(OUTSIDE);
    assert!(from(&mut call, OUTSIDE));
    call.wait(ms(10_000));
    assert!(call.caller.reports.is_empty(), "where its RTCP is nobody knows");
    let report = Compound::new(&Report { ssrc: 7, sender: None, block: None, name: [b'a'; 16], bye: false });
    let mut report_from = |source: &str| {
        call.session.handle_packet(call.now, Side::Caller, at(source), report.as_bytes());
        call.stats().caller.rtcp
    };
    assert_eq!(["203.0.113.8:61001", "203.0.113.7:61001", "203.0.113.7:61003"].map(&mut report_from), [0, 1, 1]);
    call.caller.rtcp = Some(at("203.0.113.7:61001"));
    call.wait(ms(10_000));
    assert!(!call.caller.reports.is_empty());
}

/// The ways in and out are the same ones as without a NAT.
#[test]
fn a_whole_payment_sounds_as_one_without_a_nat() {
    let pay = |call: &mut Call| {
        for frame in hum(20 * 160).chunks_exact(160) {
            let bytes = call.caller.audio(frame);
            call.caller_sends(&bytes);
        }
        call.command(Command::Secure { policy: Policy::Natural });
        call.caller_keys("4242#");
        call.command(Command::Release);
        call.caller_is_silent(ms(4_000));
    };
    let (mut plain, mut hidden) = (Call::new(), behind());
    pay(&mut plain);
    pay(&mut hidden);
    assert_eq!(hidden.keys(), "4242#");
    let heard = |call: &Call| call.agent.got.iter().map(|got| (got.at, got.payload.clone())).collect::<Vec<_>>();
    assert!(heard(&plain) == heard(&hidden));
}
