//! Another stream in the place of the caller's, without a word by SIP.

use crate::harness::{Call, EVENTS, hum, ms};
use media::dtmf::{Shape, tone};
use media::g711::Law;
use media::srtp::Suite;
use media::{Command, Policy, Side, tone::decode};

/// From here on the caller's sound comes as another stream.
fn anew(call: &mut Call) {
    (call.caller.ssrc, call.caller.sequence, call.caller.timestamp) = (0x5eed, 40_000, 9_000_000);
}

fn secured(call: &mut Call, policy: Policy) {
    call.caller_says(&hum(1600));
    call.command(Command::Secure { policy });
    call.caller_says(&hum(1600));
}

fn heard_keys(call: &Call) -> String {
    let sound = call.agent.got.iter().filter(|got| got.header.payload_type == 0);
    decode(&sound.flat_map(|got| got.samples(Law::Mu)).collect::<Vec<_>>())
}

#[test]
fn a_stream_that_follows_a_silent_one_on_a_masked_line_is_heard_and_says_that_a_key_may_be_lost() {
    for policy in [Policy::Natural, Policy::Strict] {
        let mut call = Call::new();
        secured(&mut call, policy);
        call.caller_keys("42");
        anew(&mut call);
        call.wait(ms(600));
        call.caller_says(&hum(3200));
        call.caller_keys("4242");
        assert_eq!(call.keys(), "42!4242", "{policy:?}");
        assert_eq!(call.stats().caller.refused_ssrc, 3, "until it is believed");
        assert!(!call.agent.got.iter().any(|got| got.header.payload_type == EVENTS));
        let ours = call.agent.got[0].header.ssrc;
        assert!(call.agent.got.iter().all(|got| got.header.ssrc == ours), "the agent's stream is one");
    }
}

#[test]
fn two_streams_at_a_time_are_the_first() {
    let mut call = Call::new();
    secured(&mut call, Policy::Natural);
    let mut other = (0x5eed, 40_000, 9_000_000);
    for number in 0..200 {
        call.caller_says(&hum(160));
        let own = (call.caller.ssrc, call.caller.sequence, call.caller.timestamp);
        (call.caller.ssrc, call.caller.sequence, call.caller.timestamp) = other;
        let bytes = match number % 3 {
            0 => call.caller.packet(EVENTS, true, number * 160, &[5, 0x8a, 3, 32]),
            _ => call.caller.audio(&hum(160)),
        };
        call.give(Side::Caller, &bytes);
        other = (call.caller.ssrc, call.caller.sequence, call.caller.timestamp);
        (call.caller.ssrc, call.caller.sequence, call.caller.timestamp) = own;
    }
    assert_eq!((call.keys().as_str(), call.stats().caller.refused_ssrc), ("", 200));
}

/// Events alone make no successor: a key that has begun before it would be counted as a new one.
#[test]
fn a_key_that_is_down_while_the_stream_changes_is_none() {
    let mut call = Call::new();
    secured(&mut call, Policy::Natural);
    anew(&mut call);
    call.wait(ms(600));
    for packet in call.caller.key(b'5', ms(400)) {
        call.caller_sends(&packet);
    }
    call.caller_says(&hum(1600));
    assert_eq!(call.keys(), "!");
    call.caller_keys("7");
    assert_eq!(call.keys(), "!7");
}

#[test]
fn no_tone_passes_over_the_change_wherever_it_begins() {
    for policy in [Policy::Natural, Policy::Strict] {
        for lead in (0..8).map(|part| 20 * part) {
            let mut call = Call::new();
            secured(&mut call, policy);
            anew(&mut call);
            call.wait(ms(520));
            let press = tone(b'5', Shape { duration_ms: 120, ..Shape::default() }).unwrap();
            let sound = [vec![0; lead], press, vec![0; 1760 - lead]].concat();
            call.caller_says(&sound);
            call.caller_says(&hum(3200));
            assert_eq!(heard_keys(&call), "", "{policy:?}, {lead}");
            assert!(call.times("LeakSuspected").is_empty(), "{policy:?}, {lead}");
        }
    }
    // The control: on an open line the same tone is heard.
    let mut call = Call::new();
    call.caller_says(&hum(3200));
    anew(&mut call);
    call.wait(ms(520));
    let press = tone(b'5', Shape { duration_ms: 120, ..Shape::default() }).unwrap();
    call.caller_says(&[vec![0; 1600], press, vec![0; 1600]].concat());
    assert_eq!(heard_keys(&call), "5");
}

/// What was sent while the line was masked may come late, and under a name that the barrier of the opening does not know.
#[test]
fn the_first_seconds_of_another_stream_are_not_heard_on_a_line_that_was_masked() {
    let mut call = Call::new();
    secured(&mut call, Policy::Natural);
    call.command(Command::Release);
    call.caller_says(&hum(8000 * 5));
    assert_eq!(call.times("Opened").len(), 1);
    anew(&mut call);
    call.wait(ms(600));
    let before = call.stats().caller.relayed;
    call.caller_says(&hum(8000 * 2));
    assert_eq!(call.stats().caller.relayed, before);
    call.caller_says(&hum(8000 * 2));
    assert!(call.stats().caller.relayed > before);
}

#[test]
fn on_a_protected_leg_only_an_authentic_stream_follows() {
    let mut call = Call::protected(Suite::Aes128Sha1Tag80);
    secured(&mut call, Policy::Natural);
    anew(&mut call);
    call.protect_another_stream(Suite::Aes128Sha1Tag80, 1);
    call.wait(ms(600));
    // In the clear, as who does not know the key would send.
    for _ in 0..20 {
        let bytes = call.caller.audio(&hum(160));
        call.give_raw(Side::Caller, &bytes);
        call.wait(ms(20));
    }
    assert_eq!((call.keys().as_str(), call.stats().caller.refused_srtp), ("", 20), "nobody was believed");
    call.caller_says(&hum(1600));
    call.caller_keys("42");
    assert_eq!(call.keys(), "!42");
}

/// Where the caller's stream stands, to be changed for another's.
fn swapped(call: &mut Call, other: (u32, u16, u32)) -> (u32, u16, u32) {
    let own = (call.caller.ssrc, call.caller.sequence, call.caller.timestamp);
    (call.caller.ssrc, call.caller.sequence, call.caller.timestamp) = other;
    own
}

const OTHER: (u32, u16, u32) = (0x5eed, 40_000, 9_000_000);

/// Comfort noise (RFC 3389) that was not agreed on, an event that is repeated, sound whose clock was set back: all of it says that the
/// stream is there.
#[test]
fn a_stream_of_which_only_other_packets_come_is_not_silent() {
    let own: [fn(&mut Call) -> Vec<u8>; 3] = [
        |call| call.caller.packet(13, false, 7, &[70]),
        |call| call.caller.packet(EVENTS, false, 0xffff_f000, &[5, 0x0a, 3, 32]),
        |call| {
            let codes = [0xff; 160];
            call.caller.packet(0, false, 0xfff0_0000, &codes)
        },
    ];
    for own in own {
        let mut call = Call::new();
        secured(&mut call, Policy::Natural);
        let (mut other, before) = (OTHER, call.stats().caller.refused_ssrc);
        for number in 0..100 {
            // Seldom, as comfort noise is.
            if number % 10 == 0 {
                let bytes = own(&mut call);
                call.give(Side::Caller, &bytes);
            }
            other = swapped(&mut call, other);
            let bytes = call.caller.audio(&hum(160));
            call.caller_sends(&bytes);
            other = swapped(&mut call, other);
        }
        assert_eq!(call.stats().caller.refused_ssrc, before + 100);
    }
}

#[test]
fn packets_at_once_are_not_believed() {
    let mut call = Call::new();
    secured(&mut call, Policy::Natural);
    anew(&mut call);
    call.wait(ms(600));
    for _ in 0..40 {
        let bytes = call.caller.audio(&hum(160));
        call.give(Side::Caller, &bytes);
    }
    assert_eq!((call.keys().as_str(), call.stats().caller.refused_ssrc), ("", 40));
}

#[test]
fn the_stream_before_that_speaks_again_soon_has_its_place_back() {
    for (pause, keys) in [(ms(1000), "42!!7"), (ms(6000), "42!")] {
        let mut call = Call::new();
        secured(&mut call, Policy::Natural);
        call.caller_keys("42");
        let own = swapped(&mut call, OTHER);
        call.wait(ms(600));
        let until = call.elapsed() + pause.as_millis() as u64;
        while call.elapsed() < until {
            call.caller_says(&hum(160));
        }
        // From here on both send.
        let mut other = swapped(&mut call, own);
        let mut sends = |call: &mut Call, bytes: &[u8]| {
            call.give(Side::Caller, bytes);
            other = swapped(call, other);
            let noise = call.caller.audio(&hum(160));
            call.caller_sends(&noise);
            other = swapped(call, other);
        };
        for _ in 0..10 {
            let bytes = call.caller.audio(&hum(160));
            sends(&mut call, &bytes);
        }
        for bytes in call.caller.key(b'7', ms(100)) {
            sends(&mut call, &bytes);
        }
        assert_eq!(call.keys(), keys, "{pause:?}");
        assert!(!call.agent.got.iter().any(|got| got.header.payload_type == EVENTS));
    }
}

/// In a conference keys are tones, and whoever takes over the sound may have taken one away.
#[test]
fn a_stream_that_follows_says_that_a_key_may_be_lost_where_tones_alone_count() {
    let mut call = Call::new();
    call.command(Command::TonesAlone);
    secured(&mut call, Policy::Strict);
    anew(&mut call);
    call.wait(ms(600));
    call.caller_says(&hum(3200));
    assert_eq!(call.keys(), "!");
}
