//! G.722 on a leg or on both: keys are read, nothing of them reaches the agent, and nothing clicks.

use crate::harness::{Call, Dice, MU, ms, remote_of};
use media::dtmf::{Shape, tone};
use media::g711::Law;
use media::g722::Coder;
use media::witness::Witness;
use media::{Codec, Command, Hold, Policy, Side, tone::decode};
use std::f64::consts::TAU;

const WIDE: Codec = Codec::G722;
const A: Codec = Codec::G711(Law::A);
/// Those of the caller and of the agent.
const PAIRS: [[Codec; 2]; 5] = [[WIDE, WIDE], [WIDE, MU], [WIDE, A], [MU, WIDE], [A, WIDE]];
const HOLDS: [Hold; 3] = [Hold::Ms20, Hold::Ms12, Hold::Ms40];

/// A voice of 140 Hz with seven overtones.
fn voice(from: usize, samples: usize) -> Vec<i16> {
    let overtone = |n: usize, k: f64| (k * 140.0 * TAU * n as f64 / 8000.0 + k * k).sin() / k;
    let sample = |n: usize| 2000.0 * (1..=8).map(|k| overtone(n, f64::from(k))).sum::<f64>();
    (from..from + samples).map(|n| sample(n) as i16).collect()
}

/// The largest step from one sample to the next.
fn step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap()
}

/// The part of the sound that is not in the other, in thousandths of its power.
fn off(heard: &[i16], said: &[i16]) -> i64 {
    let power = |samples: &mut dyn Iterator<Item = i64>| samples.map(|sample| sample * sample).sum::<i64>();
    let difference = power(&mut heard.iter().zip(said).map(|(a, b)| i64::from(*a) - i64::from(*b)));
    difference * 1000 / power(&mut said.iter().map(|sample| i64::from(*sample)))
}

/// Codes of a voice with anything at all in their upper half.
fn wide_codes(coder: &mut Coder, samples: &[i16], dice: &mut Dice) -> Vec<u8> {
    samples.iter().map(|sample| coder.encode(*sample) & 0x3f | (dice.roll(4) as u8) << 6).collect()
}

#[test]
fn between_two_legs_of_it_an_open_line_passes_both_halves_bit_by_bit() {
    let mut call = Call::coded(Hold::default(), [WIDE, WIDE]);
    let (mut dice, mut coder) = (Dice(1), Coder::default());
    let sound = wide_codes(&mut coder, &voice(0, 8000), &mut dice);
    for codes in sound.chunks(160) {
        let (from_caller, from_agent) = (call.caller.codes(codes), call.agent.codes(codes));
        call.give(Side::Agent, &from_agent);
        call.caller_sends(&from_caller);
    }
    for peer in [&call.caller, &call.agent] {
        assert!(peer.got.iter().all(|got| got.header.payload_type == 9));
        assert!(peer.got.iter().flat_map(|got| got.payload.clone()).eq(sound.iter().copied()));
    }
}

#[test]
fn legs_of_different_codecs_understand_each_other_both_ways() {
    for codecs in PAIRS {
        let mut call = Call::coded(Hold::default(), codecs);
        let said = voice(0, 16_000);
        for frame in said.chunks(160) {
            let from_agent = call.agent.audio(frame);
            call.give(Side::Agent, &from_agent);
            let from_caller = call.caller.audio(frame);
            call.caller_sends(&from_caller);
        }
        for peer in [&call.caller, &call.agent] {
            let heard = peer.hears();
            assert_eq!(heard.len(), said.len());
            assert!(off(&heard[800..], &said[800..]) <= 5, "{codecs:?}: {}", off(&heard[800..], &said[800..]));
        }
        call.caller_says(&tone(b'5', Shape::default()).unwrap());
        call.caller_is_silent(ms(200));
        assert_eq!(decode(&call.agent.hears()), "5", "the control of the tests below, {codecs:?}");
    }
}

#[test]
fn keys_in_its_sound_reach_the_call_and_not_the_agent() {
    for (codecs, hold, policy) in PAIRS.into_iter().flat_map(|codecs| {
        HOLDS.into_iter().flat_map(move |hold| [Policy::Strict, Policy::Natural].map(|policy| (codecs, hold, policy)))
    }) {
        let mut call = Call::coded(hold, codecs);
        call.caller_says(&voice(0, 4000));
        call.command(Command::Secure { policy });
        let before = call.agent.hears().len() - 160;
        for key in b"4012888888881881" {
            call.caller_says(&voice(0, 1600));
            call.caller_says(&tone(*key, Shape { duration_ms: 60, ..Shape::default() }).unwrap());
        }
        call.caller_says(&voice(0, 4000));
        let heard = &call.agent.hears()[before..];
        assert_eq!((call.keys().as_str(), decode(heard).as_str()), ("4012888888881881", ""), "{codecs:?} {policy:?}");
        let mut witness = Witness::new();
        assert!(!heard.chunks(160).any(|frame| witness.push(frame).suspicious), "{codecs:?} {policy:?}");
        assert!(call.times("LeakSuspected").is_empty());
        assert_eq!(call.stats().witnessed.frames as usize, heard.len() / 160);
    }
}

/// Wherever in a packet it begins, and of any key: what is left in its place is a beep and the codec's own noise.
#[test]
fn nothing_of_a_key_passes_wherever_it_begins() {
    for (codecs, hold) in PAIRS.into_iter().flat_map(|codecs| HOLDS.map(|hold| (codecs, hold))) {
        for (n, key) in b"123456789*0#".iter().enumerate() {
            let mut call = Call::coded(hold, codecs);
            call.command(Command::Secure { policy: Policy::Natural });
            call.caller_says(&vec![0; 4000]);
            let before = call.agent.hears().len();
            let mut sound = vec![0; 160 * 3 + n * 13 % 160];
            sound.extend(tone(*key, Shape { duration_ms: 40, ..Shape::default() }).unwrap());
            sound.resize(sound.len().next_multiple_of(160) + 3200, 0);
            call.caller_says(&sound);
            let heard = &call.agent.hears()[before..];
            let loud = heard.iter().filter(|sample| sample.abs() > 100).count();
            let loudest = heard.iter().map(|sample| sample.abs()).max().unwrap();
            assert!(loud <= 1600 && loudest <= 2500, "{codecs:?}, key {}: {loud}, {loudest}", char::from(*key));
        }
    }
}

/// The proof that a masked caller's upper half goes nowhere: calls that differ in nothing else are the same to the agent.
#[test]
fn a_masked_callers_upper_half_changes_nothing_of_what_the_agent_gets() {
    let play = |policy: Option<Policy>, hold: Hold, seed: u64| {
        let mut call = Call::coded(hold, [WIDE, WIDE]);
        let (mut dice, mut same, mut coder) = (Dice(seed), Dice(1), Coder::default());
        for codes in wide_codes(&mut coder, &voice(0, 8000), &mut same).chunks(160) {
            let bytes = call.caller.codes(codes);
            call.caller_sends(&bytes);
        }
        policy.into_iter().for_each(|policy| call.command(Command::Secure { policy }));
        let key = [voice(0, 4000), tone(b'7', Shape::default()).unwrap(), voice(0, 32_000)].concat();
        for codes in wide_codes(&mut coder, &key, &mut dice).chunks_exact(160) {
            let bytes = call.caller.codes(codes);
            call.caller_sends(&bytes);
        }
        assert_eq!(call.keys(), if policy.is_some() { "7" } else { "" });
        call.agent.got
    };
    for hold in HOLDS {
        for policy in [Policy::Strict, Policy::Natural] {
            assert!(play(Some(policy), hold, 2) == play(Some(policy), hold, 3), "{policy:?}");
        }
        assert!(play(None, hold, 2) != play(None, hold, 3), "the control: on an open line it is heard");
    }
}

#[test]
fn neither_the_mask_nor_its_end_clicks() {
    for (codecs, hold, policy) in PAIRS.into_iter().flat_map(|codecs| {
        HOLDS.into_iter().flat_map(move |hold| [Policy::Strict, Policy::Natural].map(|policy| (codecs, hold, policy)))
    }) {
        let mut call = Call::coded(hold, codecs);
        let said = voice(0, 56_000);
        call.caller_says(&said[..8000]);
        call.command(Command::Secure { policy });
        call.caller_says(&said[8000..16_000]);
        call.command(Command::Release);
        call.caller_says(&said[16_000..]);
        assert_eq!(call.times("Opened").len(), 1);
        let heard = call.agent.hears();
        let (usual, largest) = (step(&heard[800..7200]), step(&heard[800..]));
        println!("{codecs:?} {hold:?} {policy:?}: {largest} of {usual}");
        assert!(largest <= usual + usual / 4, "{codecs:?} {policy:?}: {largest}, usually {usual}");
        let back = off(&heard[heard.len() - 8000..], &said[48_000..]);
        assert!(back <= 5, "the voice is back: {back}");
    }
}

#[test]
fn a_new_stream_is_decoded_from_its_own_beginning() {
    let sound = voice(0, 1600);
    let mut fresh = Call::coded(Hold::default(), [WIDE, MU]);
    fresh.caller_says(&sound);
    let mut call = Call::coded(Hold::default(), [WIDE, MU]);
    call.caller_says(&voice(0, 8000));
    let before = call.agent.hears().len();
    let moved = "192.0.2.77:4000".parse().unwrap();
    call.command(Command::Connect {
        side: Side::Caller,
        remote: media::Remote { address: moved, ..call.remote(Side::Caller) },
    });
    (call.caller.address, call.caller.ssrc, call.caller.coder) = (moved, 77, Coder::default());
    call.caller_says(&sound);
    assert_eq!(call.agent.hears()[before..], fresh.agent.hears());
}

#[test]
fn after_a_loss_or_a_late_packet_it_goes_on() {
    for codecs in PAIRS {
        let mut call = Call::coded(Hold::default(), codecs);
        let said = voice(0, 16_000);
        let mut packets: Vec<Vec<u8>> = said.chunks(160).map(|frame| call.caller.audio(frame)).collect();
        packets.swap(40, 41);
        packets.remove(20);
        packets.iter().for_each(|bytes| call.caller_sends(bytes));
        let heard = call.agent.hears();
        let tail = 8000;
        assert!(off(&heard[heard.len() - tail..], &said[16_000 - tail..]) <= 5, "{codecs:?}");
    }
}

/// A re-INVITE in the middle of a key.
#[test]
fn while_the_codec_changes_the_agent_hears_silence_and_nothing_of_a_key() {
    let pairs = [(WIDE, MU), (WIDE, A), (MU, WIDE), (A, WIDE)];
    for ((before, after), agent) in pairs.into_iter().flat_map(|pair| [WIDE, MU].map(|agent| (pair, agent))) {
        for (hold, told_late) in HOLDS.into_iter().flat_map(|hold| [(hold, false), (hold, true)]) {
            let mut call = Call::coded(hold, [before, agent]);
            call.command(Command::Secure { policy: Policy::Natural });
            call.caller_says(&vec![0; 4000]);
            let from = call.agent.hears().len();
            let tone = tone(b'3', Shape { duration_ms: 200, ..Shape::default() }).unwrap();
            call.caller_says(&tone[..320]);
            // Its packets may be of the new codec before we are told, or still of the old one after that.
            let (first, second) = if told_late { (after, before) } else { (before, after) };
            call.caller.codec = after;
            call.command(Command::Connect { side: Side::Caller, remote: remote_of(Side::Caller, second) });
            call.caller.codec = first;
            call.caller_says(&tone[320..640]);
            call.command(Command::Connect { side: Side::Caller, remote: remote_of(Side::Caller, after) });
            call.caller.codec = after;
            call.caller_says(&tone[640..]);
            call.caller_is_silent(ms(200));
            let heard = &call.agent.hears()[from..];
            let loudest = heard.iter().map(|sample| sample.abs()).max().unwrap();
            assert!(loudest <= 2500, "{before:?} to {after:?}: {loudest}");
            assert_eq!(decode(heard), "");
            assert!(call.times("LeakSuspected").is_empty());
        }
    }
}

/// The agent's leg changes while the line is masked: the new codec begins anew, and so does what the witness hears with.
#[test]
fn the_agents_codec_may_change_while_the_line_is_masked() {
    for (before, after) in [(WIDE, MU), (MU, WIDE), (WIDE, A)] {
        let mut call = Call::coded(Hold::default(), [WIDE, before]);
        call.caller_says(&voice(0, 4000));
        call.command(Command::Secure { policy: Policy::Natural });
        call.caller_says(&voice(0, 4000));
        call.command(Command::Connect { side: Side::Agent, remote: remote_of(Side::Agent, after) });
        (call.agent.codec, call.agent.got) = (after, Vec::new());
        call.caller_says(&voice(4000, 8000));
        let heard = call.agent.hears();
        assert!(heard[800..].iter().any(|sample| sample.abs() > 1500), "the voice goes on");
        assert!(step(&heard[800..]) <= 5200, "{}", step(&heard[800..]));
        assert!(call.times("LeakSuspected").is_empty());
        let recorded: Vec<i16> = call.frames.iter().rev().take(20).flat_map(|frame| frame.heard).collect();
        assert!(step(&recorded) <= 5200, "the recording holds what was sent");
    }
}

#[test]
fn an_agents_key_tones_do_not_pass_to_a_masked_caller() {
    for codecs in PAIRS {
        let mut call = Call::coded(Hold::default(), codecs);
        call.command(Command::Secure { policy: Policy::Strict });
        for frame in voice(0, 4000).chunks(160) {
            let bytes = call.agent.audio(frame);
            call.give(Side::Agent, &bytes);
            call.wait(ms(20));
        }
        let before = call.caller.hears().len();
        let sound = [tone(b'5', Shape::default()).unwrap(), vec![0; 1600]].concat();
        for frame in sound.chunks_exact(160) {
            let bytes = call.agent.audio(frame);
            call.give(Side::Agent, &bytes);
            call.wait(ms(20));
        }
        let heard = &call.caller.hears()[before..];
        assert_eq!(decode(heard), "", "{codecs:?}");
        assert!(heard[320..].iter().all(|sample| sample.abs() < 100), "{codecs:?}");
    }
}

#[test]
fn the_recording_holds_what_was_heard_and_said() {
    for codecs in PAIRS {
        let mut call = Call::coded(Hold::default(), codecs);
        let said = voice(0, 8000);
        for frame in said.chunks(160) {
            let from_agent = call.agent.audio(frame);
            call.give(Side::Agent, &from_agent);
            let from_caller = call.caller.audio(frame);
            call.caller_sends(&from_caller);
        }
        call.wait(ms(100));
        let track = |of: &dyn Fn(&media::RecordFrame) -> [i16; 160]| {
            let samples: Vec<i16> = call.frames.iter().flat_map(of).collect();
            let begin = samples.iter().position(|sample| sample.abs() > 500).unwrap() / 160 * 160;
            samples[begin..].to_vec()
        };
        for recorded in [track(&|frame| frame.heard), track(&|frame| frame.said)] {
            assert!(off(&recorded[800..7200], &said[800..7200]) <= 5, "{codecs:?}");
        }
    }
}
