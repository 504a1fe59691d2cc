//! Key tones of the agent while the line is masked.

use crate::harness::{Call, hum, ms};
use media::dtmf::{Shape, tone};
use media::g711::Law;
use media::{Command, Policy, Side, tone::decode};

fn secured() -> Call {
    let mut call = Call::new();
    call.caller_is_silent(ms(100));
    call.command(Command::Secure { policy: Policy::Strict });
    call.caller_is_silent(ms(100));
    call
}

/// Both speak at the same time, for as long as the longer one.
fn both_say(call: &mut Call, agent: &[i16], caller: &[i16]) {
    let frame = |sound: &[i16], n: usize| {
        let mut frame: Vec<i16> = sound.iter().copied().skip(n * 160).take(160).collect();
        frame.resize(160, 0);
        frame
    };
    for n in 0..agent.len().max(caller.len()).div_ceil(160) {
        let bytes = call.agent.audio(&frame(agent, n));
        call.give(Side::Agent, &bytes);
        let bytes = call.caller.audio(&frame(caller, n));
        call.caller_sends(&bytes);
    }
}

fn key(key: u8, level_dbm0: f32) -> Vec<i16> {
    tone(key, Shape { level_dbm0, ..Shape::default() }).unwrap()
}

fn caller_heard(call: &Call) -> Vec<i16> {
    call.caller.got.iter().flat_map(|got| got.samples(Law::Mu)).collect()
}

#[test]
fn an_agents_tone_does_not_reach_the_caller() {
    for lead in [0, 33, 80, 150] {
        let mut call = secured();
        let before = caller_heard(&call).len();
        both_say(&mut call, &[vec![0; lead], key(b'5', -8.0), vec![0; 800]].concat(), &[]);
        let heard = &caller_heard(&call)[before..];
        let toned = heard.iter().filter(|sample| sample.abs() > 100).count();
        assert!(toned < 160 && decode(heard).is_empty(), "{toned} samples");
        assert_eq!(heard.len(), (lead + 640 + 800).div_ceil(160) * 160, "every packet is there");
    }
}

#[test]
fn an_agents_voice_and_on_an_open_line_a_tone_pass_as_they_are() {
    let mut call = secured();
    both_say(&mut call, &hum(1600), &[]);
    let mut open = Call::new();
    both_say(&mut open, &key(b'5', -8.0), &[]);
    assert_eq!(decode(&caller_heard(&open)), "5");
    let sent: Vec<i16> =
        hum(1600).iter().map(|s| media::g711::encode(Law::Mu, *s)).map(|c| media::g711::decode(Law::Mu, c)).collect();
    assert_eq!(caller_heard(&call), sent);
}

#[test]
fn what_comes_back_of_an_agents_tone_is_no_key_but_told() {
    for delay_ms in [0, 20, 150, 400] {
        for weaker_db in [10.0, 25.0] {
            let mut call = secured();
            let echo = [vec![0; delay_ms * 8], key(b'5', -6.0 - weaker_db), vec![0; 800]].concat();
            both_say(&mut call, &key(b'5', -6.0), &echo);
            assert_eq!(call.keys(), "!", "after {delay_ms} ms");
        }
    }
}

#[test]
fn another_key_or_the_same_one_later_is_the_callers() {
    let mut call = secured();
    both_say(&mut call, &key(b'5', -6.0), &[vec![0; 800], key(b'7', -20.0), vec![0; 800]].concat());
    assert_eq!(call.keys(), "7");
    call.caller_is_silent(ms(700));
    call.caller_says(&[key(b'5', -20.0), vec![0; 800]].concat());
    assert_eq!(call.keys(), "75");
}

#[test]
fn a_press_that_comes_as_an_event_counts_whatever_the_agent_plays() {
    let mut call = secured();
    call.caller_keys("1");
    let sound = [vec![0; 320], key(b'5', -20.0)].concat();
    both_say(&mut call, &key(b'5', -6.0), &sound);
    call.caller_keys("5");
    call.caller_is_silent(ms(400));
    assert_eq!(call.keys(), "15");
}

/// The caller's line gives back what it hears, so many packets later and so much weaker.
fn echo_of(call: &mut Call, agent: &[i16], packets: usize, gain: f32) {
    let from = call.caller.got.len();
    for (n, frame) in agent.chunks_exact(160).enumerate() {
        let bytes = call.agent.audio(frame);
        call.give(Side::Agent, &bytes);
        let heard = n.checked_sub(packets).map_or(vec![0; 160], |n| call.caller.got[from + n].samples(Law::Mu));
        let echo: Vec<i16> = heard.iter().map(|sample| (f32::from(*sample) * gain) as i16).collect();
        let bytes = call.caller.audio(&echo);
        call.caller_sends(&bytes);
    }
}

#[test]
fn what_passes_of_an_agents_tone_is_too_short_to_come_back_as_a_key() {
    for (number, digit) in b"0123456789*#".iter().enumerate() {
        for (packets, gain) in [(1, 0.3), (5, 0.1), (20, 0.03)] {
            let mut call = secured();
            let lead = vec![0; 13 * number];
            echo_of(&mut call, &[lead, key(*digit, -6.0), vec![0; 4800]].concat(), packets, gain);
            assert_eq!(call.keys(), "", "{} after {packets} packets", char::from(*digit));
        }
    }
}

#[test]
fn an_agents_tone_of_another_masked_time_is_no_echo() {
    let mut call = secured();
    call.command(Command::Release);
    call.caller_is_silent(ms(2800));
    both_say(&mut call, &key(b'5', -8.0), &[]);
    call.caller_is_silent(ms(300));
    assert_eq!(call.times("Opened").len(), 1);
    call.command(Command::Secure { policy: Policy::Strict });
    both_say(&mut call, &[], &key(b'5', -12.0));
    call.caller_is_silent(ms(300));
    assert_eq!(call.keys(), "5");
}
