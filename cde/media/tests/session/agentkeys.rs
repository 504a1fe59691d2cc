//! A code and digits that the agent presses while the line is open.

use crate::harness::{Call, EVENTS, MU, hum, ms};
use media::dtmf::{Shape, tone};
use media::g711::Law;
use media::{Codec, Command, Hold, Policy, Side, tone::decode};

fn listening(code: &[u8]) -> Call {
    let mut call = Call::new();
    call.caller_is_silent(ms(60));
    call.command(Command::HearAgentKeys { code: Some(code.into()) });
    call
}

/// The agent sends a packet and 20 ms go by.
fn agent_sends(call: &mut Call, bytes: &[u8]) {
    call.give(Side::Agent, bytes);
    call.wait(ms(20));
}

fn agent_says(call: &mut Call, samples: &[i16]) {
    for frame in samples.chunks_exact(160) {
        let bytes = call.agent.audio(frame);
        agent_sends(call, &bytes);
    }
}

fn by_events(call: &mut Call, keys: &str) {
    for key in keys.bytes() {
        let packets = call.agent.key(key, ms(100));
        packets.iter().for_each(|bytes| agent_sends(call, bytes));
        agent_says(call, &hum(800));
    }
}

fn by_tones(call: &mut Call, keys: &str) {
    for key in keys.bytes() {
        let shape = Shape { duration_ms: 100, ..Shape::default() };
        agent_says(call, &[tone(key, shape).unwrap(), vec![0; 800]].concat());
    }
}

/// What the agent pressed, as the call was told.
fn told(call: &Call) -> Vec<&str> {
    call.events.iter().filter_map(|(_, event)| event.strip_prefix("agent ")).collect()
}

/// The keys that the caller got as events, and those in the sound.
fn caller_got(call: &Call) -> (usize, String) {
    let events = call.caller.got.iter().filter(|got| got.header.payload_type == EVENTS).count();
    let sound: Vec<i16> = call
        .caller
        .got
        .iter()
        .filter(|got| got.header.payload_type == 0)
        .flat_map(|got| got.samples(Law::Mu))
        .collect();
    (events, decode(&sound))
}

const PIN: [&str; 8] = ["code", "4", "8", "1", "5", "1", "6", "end"];

#[test]
fn a_code_and_the_digits_behind_it_are_told_and_nothing_of_them_passes() {
    let mut call = listening(b"*9");
    by_events(&mut call, "*9481516#");
    assert_eq!(told(&call), PIN);
    assert_eq!(caller_got(&call), (0, String::new()));
    let mut call = listening(b"*9");
    by_tones(&mut call, "*9481516#");
    assert_eq!(told(&call), PIN);
    assert_eq!(caller_got(&call), (0, String::new()));
    let mut control = Call::new();
    by_tones(&mut control, "*9481516#");
    assert_eq!((told(&control).len(), caller_got(&control).1.as_str()), (0, "*9481516#"), "nobody listens");
}

#[test]
fn of_the_codes_first_tone_little_passes_and_of_the_others_nothing() {
    for lead in [0, 40, 90, 150] {
        let mut call = listening(b"*9");
        let before = call.caller.hears().len();
        agent_says(
            &mut call,
            &[vec![0; lead], tone(b'*', Shape { duration_ms: 200, ..Shape::default() }).unwrap(), vec![0; 170]]
                .concat(),
        );
        let star = call.caller.hears().len();
        let heard = call.caller.hears();
        let passed = heard[before..].iter().filter(|sample| sample.abs() > 100).count();
        assert!(passed <= 4 * 160, "{passed} samples of the star");
        by_tones(&mut call, "9481516");
        assert!(call.caller.hears()[star..].iter().all(|sample| *sample == 0), "not a sample of the rest");
    }
}

/// What broke: with G.722 on both legs a packet that came late was not heard, and what is not heard passed as it was.
#[test]
fn a_late_packet_of_a_digit_passes_as_little() {
    for codecs in [[Codec::G722, Codec::G722], [MU, MU], [MU, Codec::G722]] {
        let mut call = Call::coded(Hold::default(), codecs);
        call.caller_is_silent(ms(60));
        call.command(Command::HearAgentKeys { code: Some((*b"*9").into()) });
        by_tones(&mut call, "*9");
        let sound = tone(b'4', Shape { duration_ms: 100, ..Shape::default() }).unwrap();
        let digit: Vec<Vec<u8>> = sound.chunks_exact(160).map(|frame| call.agent.audio(frame)).collect();
        let got = call.caller.got.len();
        // Every second one overtakes the one before.
        for pair in digit.chunks_exact(2) {
            agent_sends(&mut call, &pair[1]);
            agent_sends(&mut call, &pair[0]);
        }
        for got in &call.caller.got[got..] {
            let is_silence = digit.iter().all(|bytes| !bytes.ends_with(&got.payload)) && got.payload.len() == 160;
            assert!(is_silence, "{codecs:?}: a packet of the digit");
        }
    }
}

#[test]
fn the_agents_voice_is_withheld_while_digits_are_awaited_and_passes_again_after_them() {
    let mut call = listening(b"*9");
    by_events(&mut call, "*9");
    let at = call.caller.hears().len();
    agent_says(&mut call, &hum(1600));
    assert!(call.caller.hears()[at..].iter().all(|sample| *sample == 0));
    call.wait(ms(3000));
    assert_eq!(told(&call), ["code", "end"]);
    let at = call.caller.hears().len();
    agent_says(&mut call, &hum(1600));
    assert!(call.caller.hears()[at..].iter().any(|sample| *sample != 0));
}

#[test]
fn keys_that_are_no_code_pass_as_they_are() {
    let mut call = listening(b"*9");
    by_events(&mut call, "123");
    let (events, _) = caller_got(&call);
    assert!(events > 15, "{events} packets");
    let mut call = listening(b"*9");
    by_tones(&mut call, "123");
    assert_eq!((told(&call).len(), caller_got(&call).1.as_str()), (0, "123"));
}

#[test]
fn after_a_star_that_was_none_the_next_keys_pass() {
    let mut call = listening(b"*9");
    by_events(&mut call, "*");
    assert_eq!(caller_got(&call).0, 0);
    call.wait(ms(3100));
    by_events(&mut call, "9");
    assert!(told(&call).is_empty() && caller_got(&call).0 > 5);
}

#[test]
fn the_callers_own_code_is_nothing() {
    let mut call = listening(b"*9");
    call.caller_keys("*9481516#");
    assert!(told(&call).is_empty());
    assert!(call.agent.got.iter().any(|got| got.header.payload_type == EVENTS), "they pass as ever");
}

#[test]
fn on_a_masked_line_a_code_is_nothing() {
    let mut call = listening(b"*9");
    call.command(Command::Secure { policy: Policy::Strict });
    call.caller_is_silent(ms(100));
    by_events(&mut call, "*9481516#");
    assert!(told(&call).is_empty());
}

#[test]
fn without_a_code_every_key_is_told() {
    let mut call = listening(b"");
    by_events(&mut call, "48#");
    by_tones(&mut call, "1");
    assert_eq!(told(&call), ["4", "8", "end"], "this phone sends events, and its tones are the same presses");
}

#[test]
fn a_recording_has_nothing_of_the_digits() {
    let mut call = listening(b"*9");
    by_tones(&mut call, "*9481516#");
    call.wait(ms(200));
    let said: Vec<i16> = call.frames.iter().flat_map(|frame| frame.said).collect();
    // The code's first tone is proved while it sounds.
    assert_eq!(decode(&said).trim_start_matches('*'), "");
    assert!(said.len() > 8000);
}
