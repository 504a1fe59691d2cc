//! Keys of a masked line.

use crate::harness::{Call, EVENTS, ms};
use media::dtmf::{Shape, tone};
use media::{Command, Policy, Side};

fn secured() -> Call {
    let mut call = Call::new();
    call.caller_is_silent(ms(100));
    call.command(Command::Secure { policy: Policy::Strict });
    call.caller_is_silent(ms(100));
    call
}

#[test]
fn every_key_counts_once() {
    let mut call = secured();
    call.caller_keys("4111#*9955");
    assert_eq!(call.keys(), "4111#*9955");
}

#[test]
fn duplicated_and_reordered_packets_never_make_a_key_twice() {
    let mut call = secured();
    let mut packets = call.caller.key(b'4', ms(100));
    packets.extend(call.caller.key(b'2', ms(100)));
    for n in [0, 2, 1, 1, 3, 6, 4, 5, 6, 7, 6, 9, 8, 13, 12, 0, 10, 11, 13] {
        call.caller_sends(&packets[n]);
    }
    assert_eq!(call.keys(), "42");
}

#[test]
fn a_key_that_began_before_the_mask_is_none_and_does_not_pass() {
    let mut call = Call::new();
    let packets = call.caller.key(b'4', ms(100));
    call.caller_sends(&packets[0]);
    call.caller_sends(&packets[1]);
    call.command(Command::Secure { policy: Policy::Strict });
    packets[2..].iter().for_each(|bytes| call.caller_sends(bytes));
    call.info(b'4');
    assert_eq!(call.keys(), "");
    assert_eq!(call.agent.got.iter().filter(|got| got.header.payload_type == EVENTS).count(), 2);
}

#[test]
fn the_same_press_by_both_ways_is_one_key() {
    let mut call = secured();
    call.info(b'5');
    call.caller_keys("5");
    call.caller_keys("5");
    call.info(b'5');
    call.info(b'7');
    assert_eq!(call.keys(), "557");
}

#[test]
fn an_info_of_nonsense_is_no_key() {
    let mut call = secured();
    call.info(b'x');
    assert_eq!(call.keys(), "");
}

/// Sends `packets` but for those in the gap.
fn lose(call: &mut Call, packets: &[Vec<u8>], gap: std::ops::Range<usize>) {
    let kept = packets.iter().enumerate().filter(|(n, _)| !gap.contains(n));
    kept.for_each(|(_, bytes)| call.caller_sends(bytes));
}

#[test]
fn a_gap_that_may_hide_a_key_is_told() {
    let mut call = secured();
    let packets: Vec<_> = (0..10).map(|_| call.caller.audio(&[0; 160])).collect();
    lose(&mut call, &packets, 3..7);
    assert_eq!(call.keys(), "!");
    let packets: Vec<_> = (0..10).map(|_| call.caller.audio(&[0; 160])).collect();
    lose(&mut call, &packets, 3..6);
    assert_eq!(call.keys(), "!", "a gap of three hides no key");
}

#[test]
fn the_shortest_key_lost_whole_is_told() {
    let mut call = secured();
    let audio: Vec<_> = (0..3).map(|_| call.caller.audio(&[0; 160])).collect();
    let key = call.caller.key(b'4', ms(40));
    assert_eq!(key.len(), 4, "one update and three final packets");
    let after: Vec<_> = (0..3).map(|_| call.caller.audio(&[0; 160])).collect();
    let packets = [audio, key, after].concat();
    lose(&mut call, &packets, 3..7);
    assert_eq!(call.keys(), "!");
}

#[test]
fn a_key_lost_whole_before_another_is_told_first() {
    let mut call = secured();
    let mut packets = call.caller.key(b'4', ms(100));
    packets.extend(call.caller.key(b'2', ms(100)));
    lose(&mut call, &packets, 0..7);
    assert_eq!(call.keys(), "!2");
}

#[test]
fn a_gap_within_one_key_hides_none() {
    let mut call = secured();
    let packets = call.caller.key(b'4', ms(400));
    lose(&mut call, &packets, 3..15);
    assert_eq!(call.keys(), "4");
    let packets = call.caller.key(b'5', ms(200));
    lose(&mut call, &packets, 0..7);
    assert_eq!(call.keys(), "45", "the duration of the first packet that came covers the gap");
}

#[test]
fn a_caller_of_info_only_has_no_key_in_a_gap() {
    let mut call = secured();
    call.info(b'1');
    let packets: Vec<_> = (0..10).map(|_| call.caller.audio(&[0; 160])).collect();
    lose(&mut call, &packets, 1..9);
    assert_eq!(call.keys(), "1");
}

#[test]
fn keys_of_the_agent_are_no_keys_and_do_not_reach_the_caller() {
    let mut call = secured();
    let before = call.caller.got.len();
    for bytes in call.agent.key(b'5', ms(100)) {
        call.give(Side::Agent, &bytes);
        call.wait(ms(20));
    }
    let voice = call.agent.audio(&[1000; 160]);
    call.give(Side::Agent, &voice);
    assert_eq!((call.keys().as_str(), call.caller.got.len() - before), ("", 1));
    assert_eq!(call.caller.got.last().unwrap().header.payload_type, 0);
}

/// Keys as tones in the caller's sound, 60 ms each.
fn sing(call: &mut Call, keys: &str) {
    for key in keys.bytes() {
        call.caller_says(&tone(key, Shape { duration_ms: 60, ..Shape::default() }).unwrap());
        call.caller_is_silent(ms(60));
    }
}

#[test]
fn keys_in_the_sound_are_keys() {
    let mut call = secured();
    sing(&mut call, "4012888888881881*#");
    assert_eq!(call.keys(), "4012888888881881*#");
}

#[test]
fn a_key_in_the_sound_and_by_info_is_one() {
    let mut call = secured();
    for key in "40128888".chars() {
        sing(&mut call, &key.to_string());
        call.info(key as u8);
        call.caller_is_silent(ms(100));
    }
    assert_eq!(call.keys(), "40128888");
}

#[test]
fn what_is_left_of_a_key_in_the_sound_is_no_other_key_than_its_event() {
    let mut call = secured();
    for key in b"4012888" {
        // A gateway that is slow to cut the tone out: 40 ms of it before the event.
        call.caller_says(&tone(*key, Shape { duration_ms: 40, ..Shape::default() }).unwrap());
        call.caller_keys(&char::from(*key).to_string());
    }
    assert_eq!(call.keys(), "4012888");
}

#[test]
fn a_tone_on_a_leg_of_events_counts_when_no_event_comes() {
    let mut call = secured();
    call.caller_keys("4");
    call.caller_is_silent(ms(300));
    sing(&mut call, "0");
    call.caller_is_silent(ms(200));
    assert_eq!(call.keys(), "40");
}

#[test]
fn a_tone_that_began_on_the_open_line_is_no_key_of_the_secured_one() {
    let mut call = Call::new();
    let sound = tone(b'4', Shape { duration_ms: 60, ..Shape::default() }).unwrap();
    call.caller_says(&sound[..320]);
    call.command(Command::Secure { policy: Policy::Strict });
    call.caller_says(&sound[320..]);
    call.caller_is_silent(ms(300));
    assert_eq!(call.keys(), "");
}

#[test]
fn a_lost_packet_in_a_tone_makes_it_no_other_and_no_second_key() {
    let mut call = secured();
    let sound = tone(b'4', Shape { duration_ms: 100, ..Shape::default() }).unwrap();
    let packets: Vec<_> = sound.chunks(160).map(|samples| call.caller.audio(samples)).collect();
    lose(&mut call, &packets, 2..3);
    call.caller_is_silent(ms(300));
    assert_eq!(call.keys(), "4");
}

#[test]
fn where_tones_alone_count_a_press_that_is_also_signaled_is_none() {
    let pressed = |alone: bool| {
        let mut call = Call::new();
        if alone {
            call.command(Command::TonesAlone);
        }
        call.command(Command::Secure { policy: Policy::Strict });
        call.caller_is_silent(ms(100));
        // The phone's own keys, as events and by INFO, and one that the phone lets be heard too.
        call.caller_keys("45");
        call.info(b'6');
        call.caller_is_silent(ms(500));
        let sound = |key: u8| tone(key, Shape { duration_ms: 100, ..Shape::default() }).unwrap();
        call.info(b'7');
        call.caller_says(&sound(b'7'));
        call.caller_is_silent(ms(1500));
        // And one that is only heard: somebody else's.
        call.caller_says(&sound(b'8'));
        call.caller_is_silent(ms(1500));
        call.keys()
    };
    assert_eq!(pressed(true), "8");
    assert_eq!(pressed(false), "45678", "the control");
}
