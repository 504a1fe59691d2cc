//! The one way back to an open line.

use crate::harness::{Call, EVENTS, hum, ms, remote};
use media::dtmf::{Shape, tone};
use media::g711::{self, Law};
use media::{Command, Policy, Remote, Side, tone::decode};

fn secured() -> Call {
    let mut call = Call::new();
    call.caller_says(&hum(800));
    call.command(Command::Secure { policy: Policy::Strict });
    call
}

/// Packets with sound that the agent got since the line was secured, but for pulses.
fn leaked(call: &Call) -> usize {
    let since = call.times("Opened").first().copied().unwrap_or(u64::MAX);
    // A pulse is 705 loud.
    let least = |at: u64| if at > since { 0 } else { 730 };
    let loud = |at: u64, payload: &[u8]| payload.iter().any(|code| g711::decode(Law::Mu, *code).abs() > least(at));
    let counts = |at: u64| at >= since || (call.keys().is_empty() && at >= 100);
    // What was heard before the mask fades for 5 ms into its first packet.
    let fade = |at: u64| if call.times("Secured").contains(&at) { 40 } else { 0 };
    call.agent.got.iter().filter(|got| counts(got.at) && loud(got.at, &got.payload[fade(got.at)..])).count()
}

#[test]
fn release_opens_only_after_three_quiet_seconds() {
    let mut call = secured();
    call.caller_keys("4");
    let key_over = call.elapsed();
    call.command(Command::Release);
    assert_eq!(call.times("Releasing"), [key_over]);
    call.caller_is_silent(ms(5000));
    let opened = call.times("Opened")[0];
    assert!((key_over + 2800..=key_over + 3100).contains(&opened), "{opened}");
}

#[test]
fn a_line_that_has_been_quiet_opens_with_the_next_packet() {
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Natural });
    call.caller_is_silent(ms(3100));
    call.command(Command::Release);
    call.caller_is_silent(ms(40));
    assert_eq!(call.times("Opened").len(), 1);
}

/// How long ago the last key was, or whether it was understood, is not to be told by when the line opens.
#[test]
fn a_strict_line_counts_three_seconds_from_its_release_whatever_was_keyed_before() {
    let opened = |keys: &str| {
        let mut call = secured();
        call.caller_keys(keys);
        call.caller_is_silent(ms(6000 - call.elapsed()));
        call.command(Command::Release);
        call.caller_is_silent(ms(3400));
        call.times("Opened")
    };
    let with_keys = opened("5550001");
    assert_eq!(with_keys, opened(""));
    assert!(matches!(with_keys[..], [9000..=9300]), "{with_keys:?}");
}

/// The same for natural's return, which is asked for within the last key: so a second more is counted.
#[test]
fn natural_returns_four_seconds_after_it_was_asked_for_whatever_was_keyed_by_then() {
    let relaxed = |tail: u64| {
        let mut call = secured();
        call.caller_is_silent(ms(1000));
        let at = call.elapsed();
        call.command(Command::Mask { policy: Policy::Natural });
        call.caller_says(&tone(b'5', Shape { duration_ms: tail as u16, ..Shape::default() }).unwrap());
        call.caller_is_silent(ms(4400 - tail));
        (at, call.times("Natural"))
    };
    let (at, times) = relaxed(40);
    assert_eq!(times, relaxed(700).1);
    assert!(times.len() == 1 && (at + 4000..=at + 4300).contains(&times[0]), "{times:?}");
    assert!(relaxed(1400).1.is_empty(), "a key that is held on puts it off");
}

#[test]
fn release_while_keying_stays_masked() {
    let mut call = secured();
    call.command(Command::Release);
    (0..10).for_each(|_| {
        call.caller_keys("5");
        call.caller_is_silent(ms(2000));
    });
    assert!(call.times("Opened").is_empty());
    assert_eq!(call.keys(), "5555555555");
}

#[test]
fn a_key_held_down_keeps_the_line_masked() {
    let mut call = secured();
    call.command(Command::Release);
    let packets = call.caller.key(b'5', ms(12_000));
    packets.iter().for_each(|bytes| call.caller_sends(bytes));
    assert!(call.times("Opened").is_empty());
    assert_eq!(call.keys(), "5");
}

#[test]
fn a_tone_in_the_sound_keeps_the_line_masked() {
    let mut call = secured();
    call.command(Command::Release);
    for _ in 0..5 {
        call.caller_says(&tone(b'7', Shape { level_dbm0: -32.0, ..Shape::default() }).unwrap());
        call.caller_is_silent(ms(2600));
    }
    assert!(call.times("Opened").is_empty());
    assert_eq!((leaked(&call), call.keys().as_str()), (0, "77777"));
}

#[test]
fn an_info_keeps_the_line_masked_until_its_key_is_over() {
    let mut call = secured();
    call.command(Command::Release);
    call.caller_is_silent(ms(2900));
    call.command(Command::InfoKey { key: b'5', duration_ms: Some(1000) });
    call.caller_is_silent(ms(3900));
    assert!(call.times("Opened").is_empty());
    call.caller_is_silent(ms(200));
    assert_eq!(call.times("Opened").len(), 1);
}

#[test]
fn a_stall_of_the_callers_stream_is_not_quiet() {
    let mut call = secured();
    call.command(Command::Release);
    call.caller_is_silent(ms(2000));
    call.wait(ms(9000));
    assert!(call.times("Opened").is_empty());
    call.caller_is_silent(ms(900));
    assert!(call.times("Opened").is_empty());
    call.caller_is_silent(ms(400));
    assert_eq!(call.times("Opened").len(), 1);
}

#[test]
fn a_caller_who_is_gone_lets_the_line_open_in_the_end() {
    let mut call = secured();
    call.caller_is_silent(ms(1000));
    call.command(Command::Release);
    call.wait(ms(12_900));
    assert!(call.times("Opened").is_empty());
    call.wait(ms(400));
    assert_eq!(call.times("Opened").len(), 1);
}

#[test]
fn while_the_callers_packets_are_not_looked_at_nothing_opens_the_line() {
    let hold = Command::Connect { side: Side::Caller, remote: Remote { sends: false, ..remote(Side::Caller) } };
    for hold in [hold, Command::Disconnect { side: Side::Caller }] {
        let mut call = secured();
        call.command(Command::Release);
        call.command(hold);
        call.wait(ms(10_000));
        call.caller_keys("42");
        call.wait(ms(20_000));
        assert!(call.times("Opened").is_empty(), "on hold the caller may be keying");
        call.command(Command::Connect { side: Side::Caller, remote: remote(Side::Caller) });
        call.caller_is_silent(ms(2900));
        call.caller_keys("4");
        assert!(call.times("Opened").is_empty());
        call.caller_is_silent(ms(3200));
        assert_eq!((call.times("Opened").len(), leaked(&call)), (1, 0));
    }
}

#[test]
fn after_a_hold_the_peer_may_send_under_another_ssrc_and_at_no_other_time() {
    let mut call = secured();
    call.caller_is_silent(ms(100));
    call.caller.ssrc += 1;
    call.caller_is_silent(ms(100));
    assert_eq!(call.stats().caller.refused_ssrc, 5);
    call.command(Command::Connect { side: Side::Caller, remote: Remote { sends: false, ..remote(Side::Caller) } });
    call.command(Command::Connect { side: Side::Caller, remote: remote(Side::Caller) });
    call.caller_keys("7");
    assert_eq!((call.stats().caller.refused_ssrc, call.keys().as_str()), (5, "7"));
}

#[test]
fn secure_while_releasing_secures_again() {
    let mut call = secured();
    call.command(Command::Release);
    call.caller_is_silent(ms(2000));
    call.command(Command::Secure { policy: Policy::Strict });
    call.caller_is_silent(ms(5000));
    assert_eq!((call.times("Secured").len(), call.times("Opened").len()), (2, 0));
}

#[test]
fn packets_of_the_masked_time_never_pass_however_late() {
    let mut call = secured();
    let late_sound = call.caller.audio(&hum(160));
    let mut late_key = call.caller.key(b'5', ms(100));
    call.caller_sends(&late_key.remove(0));
    call.command(Command::Release);
    call.caller_is_silent(ms(3300));
    assert_eq!(call.times("Opened").len(), 1);
    for bytes in late_key.iter().chain([&late_sound]) {
        call.caller_sends(bytes);
        call.caller_is_silent(ms(7000));
    }
    assert_eq!(leaked(&call), 0);
    assert!(call.agent.got.iter().all(|got| got.header.payload_type != EVENTS));
    assert_eq!(call.stats().caller.late, 7);
}

#[test]
fn what_a_dead_network_held_back_does_not_pass_when_it_comes_at_last() {
    let mut call = secured();
    let mut held: Vec<Vec<u8>> = Vec::new();
    for _ in 0..640 {
        held.push(call.caller.audio(&hum(160)));
    }
    call.command(Command::Release);
    call.wait(ms(14_000));
    assert_eq!(call.times("Opened").len(), 1);
    held.iter().for_each(|bytes| call.give(Side::Caller, bytes));
    assert_eq!(leaked(&call), 0);
    call.caller_says(&hum(8000));
    assert!(leaked(&call) > 30, "what is said now passes");
}

#[test]
fn a_stream_first_heard_after_the_opening_waits_out_the_time_it_may_be_late() {
    let mut call = secured();
    call.caller.address = "192.0.2.77:4000".parse().unwrap();
    let address = call.caller.address;
    let moved = Remote { address, rtcp: address, ..remote(Side::Caller) };
    call.command(Command::Connect { side: Side::Caller, remote: moved });
    call.command(Command::Release);
    call.wait(ms(14_000));
    assert_eq!(call.times("Opened").len(), 1);
    call.caller_says(&hum(24_000));
    assert_eq!(leaked(&call), 0);
    call.caller_says(&hum(1600));
    assert_eq!(leaked(&call), 10);
}

/// The process stood still, or was stopped, while the caller went on keying: that nothing was heard of them is not their
/// silence, and what waited in the socket is of the masked time.
#[test]
fn time_in_which_the_driver_stood_still_is_not_quiet() {
    for policy in [Policy::Strict, Policy::Natural] {
        for still in [1_000, 14_000, 300_000] {
            for packets_first in [true, false] {
                let mut call = secured();
                call.command(Command::Secure { policy });
                call.caller_is_silent(ms(2_000));
                call.caller_keys("4");
                call.command(Command::Release);
                call.now += ms(still);
                call.caller.timestamp = call.caller.timestamp.wrapping_add(8 * still as u32);
                if !packets_first {
                    call.wait(ms(0));
                }
                call.caller_is_silent(ms(200));
                call.caller_keys("2");
                call.caller_is_silent(ms(2_800));
                assert!(call.times("Opened").is_empty(), "{policy:?}, {still} ms, {packets_first}");
                call.caller_is_silent(ms(400));
                assert_eq!(call.times("Opened").len(), 1, "{policy:?}, {still} ms");
                assert!(call.agent.got.iter().all(|got| got.header.payload_type != EVENTS));
                assert_eq!(call.keys(), "42");
            }
        }
    }
}

#[test]
fn keys_that_waited_while_the_driver_stood_still_do_not_pass() {
    for policy in [Policy::Strict, Policy::Natural] {
        let mut call = Call::new();
        call.command(Command::Secure { policy });
        call.caller_is_silent(ms(2_900));
        call.command(Command::Release);
        let mut sound = vec![0; 4_000];
        for key in b"4012888888881881".iter().cycle().take(70) {
            sound.extend(tone(*key, Shape { duration_ms: 100, ..Shape::default() }).unwrap());
            sound.resize(sound.len() + 800, 0);
        }
        let waited: Vec<Vec<u8>> = sound.chunks_exact(160).map(|frame| call.caller.audio(frame)).collect();
        call.now += ms(waited.len() as u64 * 20);
        waited.iter().for_each(|bytes| call.give(Side::Caller, bytes));
        call.caller_is_silent(ms(2_900));
        assert!(call.times("Opened").is_empty(), "{policy:?}");
        call.caller_is_silent(ms(400));
        assert_eq!((decode(&call.agent_heard()).as_str(), call.times("Opened").len()), ("", 1), "{policy:?}");
        assert!(call.times("LeakSuspected").is_empty(), "{policy:?}");
    }
}
