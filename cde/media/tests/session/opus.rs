//! Opus on a leg or on both: keys are read, nothing of them reaches the agent, and no packet's size tells of anything.

use crate::harness::{Call, Dice, Got, MU, copies_at, ms, remote_of};
use ::opus::{Application, Bitrate, Channels};
use media::dtmf::{Shape, tone};
use media::g711::{self, Law};
use media::opus::{Decoder, Encoder, samples};
use media::rtcp::{self, Block, Compound, Report};
use media::witness::Witness;
use media::{Codec, Command, EventClock, Hold, Policy, Remote, Side, rtp, tone::decode};
use std::collections::BTreeSet;
use std::f64::consts::TAU;

const OPUS: Codec = Codec::Opus;
const A: Codec = Codec::G711(Law::A);
/// Those of the caller and of the agent.
const PAIRS: [[Codec; 2]; 5] = [[OPUS, OPUS], [OPUS, MU], [MU, OPUS], [OPUS, Codec::G722], [A, OPUS]];
const HOLDS: [Hold; 3] = [Hold::Ms20, Hold::Ms12, Hold::Ms40];
/// By so many samples whoever codes looks ahead.
const AHEAD: usize = 20;

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

/// By how many samples what goes from the first codec to the second comes later than it was said.
fn delay(from: Codec, to: Codec) -> usize {
    AHEAD * [from, to].iter().filter(|codec| **codec == OPUS).count()
}

/// Everything of these, in every combination.
fn all() -> impl Iterator<Item = ([Codec; 2], Hold, Policy)> {
    PAIRS.into_iter().flat_map(|codecs| {
        HOLDS.into_iter().flat_map(move |hold| [Policy::Strict, Policy::Natural].map(|policy| (codecs, hold, policy)))
    })
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
        let later = delay(codecs[0], codecs[1]);
        for peer in [&call.caller, &call.agent] {
            let heard = peer.hears();
            assert_eq!(heard.len(), said.len());
            let off = off(&heard[800 + later..], &said[800..]);
            assert!(off <= 10, "{codecs:?}: {off}");
        }
        call.caller_says(&tone(b'5', Shape::default()).unwrap());
        call.caller_is_silent(ms(200));
        assert_eq!(decode(&call.agent.hears()), "5", "the control of the tests below, {codecs:?}");
    }
}

/// Timestamps of both clocks go on by the packet's length, whatever the other leg's clock.
#[test]
fn timestamps_count_the_clock_of_their_leg() {
    for codecs in PAIRS {
        let mut call = Call::coded(Hold::default(), codecs);
        let talk = |call: &mut Call, packets: usize| {
            for frame in voice(0, 160 * packets).chunks(160) {
                let from_agent = call.agent.audio(frame);
                call.give(Side::Agent, &from_agent);
                let from_caller = call.caller.audio(frame);
                call.caller_sends(&from_caller);
            }
        };
        talk(&mut call, 50);
        call.command(Command::Secure { policy: Policy::Natural });
        talk(&mut call, 50);
        for peer in [&call.caller, &call.agent] {
            let tick = if peer.codec == OPUS { 960 } else { 160 };
            let steps = peer.got.windows(2).map(|pair| {
                let [one, two] = [&pair[0].header, &pair[1].header];
                (two.sequence.wrapping_sub(one.sequence), two.timestamp.wrapping_sub(one.timestamp))
            });
            assert!(peer.got.len() > 90 && steps.clone().all(|step| step == (1, tick)), "{codecs:?} {:?}", steps.max());
        }
    }
}

#[test]
fn keys_in_its_sound_reach_the_call_and_not_the_agent() {
    for (codecs, hold, policy) in all() {
        let mut call = Call::coded(hold, codecs);
        call.caller_says(&voice(0, 4000));
        call.command(Command::Secure { policy });
        call.agent.got.clear();
        for key in b"4012888888881881" {
            call.caller_says(&voice(0, 1600));
            call.caller_says(&tone(*key, Shape { duration_ms: 60, ..Shape::default() }).unwrap());
        }
        call.caller_says(&voice(0, 4000));
        let heard = call.agent.hears();
        assert_eq!((call.keys().as_str(), decode(&heard).as_str()), ("4012888888881881", ""), "{codecs:?} {policy:?}");
        let mut witness = Witness::new();
        assert!(!heard.chunks(160).any(|frame| witness.push(frame).suspicious), "{codecs:?} {policy:?}");
        assert!(call.times("LeakSuspected").is_empty());
        assert!(call.stats().witnessed.frames as usize >= heard.len() / 160);
    }
}

/// The size of what an agent's leg carries tells nothing: with a voice, a key, silence and a beep it is the same.
#[test]
fn every_packet_to_a_leg_has_the_same_size() {
    for (codecs, hold, policy) in all() {
        let mut call = Call::coded(hold, codecs);
        let mut dice = Dice(5);
        let noise: Vec<i16> = (0..8000).map(|_| dice.roll(20_000) as i16 - 10_000).collect();
        let sound =
            [voice(0, 8000), vec![0; 8000], noise, tone(b'7', Shape::default()).unwrap(), vec![0; 1600]].concat();
        call.caller_says(&sound);
        call.command(Command::Secure { policy });
        call.caller_says(&sound);
        call.info(b'4');
        call.command(Command::Release);
        call.caller_is_silent(ms(4000));
        call.caller_says(&sound);
        assert_eq!((call.keys().as_str(), call.times("Opened").len()), ("74", 1), "{codecs:?}");
        let sizes: BTreeSet<usize> = call.agent.got.iter().map(|got| got.payload.len()).collect();
        let one = if codecs[1] == OPUS { 80 } else { 160 };
        assert_eq!(sizes, BTreeSet::from([one]), "{codecs:?} {policy:?}");
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
            call.agent.got.clear();
            let mut sound = vec![0; 160 * 3 + n * 13 % 160];
            sound.extend(tone(*key, Shape { duration_ms: 40, ..Shape::default() }).unwrap());
            sound.resize(sound.len().next_multiple_of(160) + 3200, 0);
            call.caller_says(&sound);
            let heard = &call.agent.hears();
            let loud = heard.iter().filter(|sample| sample.abs() > 100).count();
            let loudest = heard.iter().map(|sample| sample.abs()).max().unwrap();
            assert!(loud <= 1800 && loudest <= 2800, "{codecs:?}, key {}: {loud}, {loudest}", char::from(*key));
        }
    }
}

/// What whoever codes holds back of the time before a mask is not sent in it: calls that differ in the last 2.5 ms that they
/// handed to the coder are the same to the agent from then on.
#[test]
fn nothing_that_was_held_back_comes_after_the_mask_has_begun() {
    let play = |last: i16| {
        let mut call = Call::coded(Hold::default(), [MU, OPUS]);
        call.caller_says(&voice(0, 8000));
        let mut frame = voice(0, 160);
        frame[160 - AHEAD..].fill(last);
        let bytes = call.caller.audio(&frame);
        call.give(Side::Caller, &bytes);
        let open = call.agent.got.len();
        call.command(Command::Secure { policy: Policy::Strict });
        call.caller_is_silent(ms(1000));
        (call.agent.got[open - 1].clone(), call.agent.got[open..].to_vec())
    };
    let ((open, masked), (other_open, other_masked)) = (play(3000), play(-3000));
    assert!(open != other_open, "the control: so much of it was sent before");
    assert!(masked.len() > 40 && masked == other_masked);
}

#[test]
fn neither_the_mask_nor_its_end_clicks() {
    for (codecs, hold, policy) in all() {
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
        let later = delay(codecs[0], codecs[1]);
        let back = off(&heard[heard.len() - 8000 + later..], &said[48_000..]);
        assert!(back <= 10, "the voice is back: {back}");
    }
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
        let (tail, later) = (8000, delay(codecs[0], codecs[1]));
        let off = off(&heard[heard.len() - tail + later..], &said[16_000 - tail..]);
        assert!(off <= 10, "{codecs:?}: {off}");
    }
}

/// Packets are lost in the middle of a key and after it, and then the caller sends none at all: nothing is made up of what
/// was heard before.
#[test]
fn no_loss_lets_a_key_out() {
    for (hold, lost) in HOLDS.into_iter().flat_map(|hold| (1..12).map(move |lost| (hold, lost))) {
        let mut call = Call::coded(hold, [OPUS, OPUS]);
        call.command(Command::Secure { policy: Policy::Natural });
        call.caller_is_silent(ms(500));
        call.agent.got.clear();
        let sound = [tone(b'3', Shape { duration_ms: 120, ..Shape::default() }).unwrap(), vec![0; 3200]].concat();
        for (n, frame) in sound.chunks_exact(160).enumerate() {
            let bytes = call.caller.audio(frame);
            match n == lost || n == lost + 2 || n > lost + 4 {
                true => call.wait(ms(20)),
                false => call.caller_sends(&bytes),
            }
        }
        call.wait(ms(500));
        let heard = call.agent.hears();
        let loudest = heard.iter().map(|sample| sample.abs()).max().unwrap();
        assert!(heard.len() > 3000 && loudest <= 2800, "packet {lost}: {loudest}");
        assert_eq!(decode(&heard), "");
    }
}

/// A re-INVITE in the middle of a key.
#[test]
fn while_the_codec_changes_the_agent_hears_silence_and_nothing_of_a_key() {
    let pairs = [(OPUS, MU), (MU, OPUS), (OPUS, Codec::G722), (Codec::G722, OPUS)];
    for ((before, after), agent) in pairs.into_iter().flat_map(|pair| [OPUS, MU].map(|agent| (pair, agent))) {
        for (hold, told_late) in HOLDS.into_iter().flat_map(|hold| [(hold, false), (hold, true)]) {
            let mut call = Call::coded(hold, [before, agent]);
            call.command(Command::Secure { policy: Policy::Natural });
            call.caller_says(&vec![0; 4000]);
            call.agent.got.clear();
            let tone = tone(b'3', Shape { duration_ms: 200, ..Shape::default() }).unwrap();
            call.caller_says(&tone[..320]);
            // Its packets may be of the new codec before we are told, or still of the old one after that.
            let (first, second) = if told_late { (after, before) } else { (before, after) };
            call.command(Command::Connect { side: Side::Caller, remote: remote_of(Side::Caller, second) });
            call.caller.codec = first;
            call.caller_says(&tone[320..640]);
            call.command(Command::Connect { side: Side::Caller, remote: remote_of(Side::Caller, after) });
            call.caller.codec = after;
            call.caller_says(&tone[640..]);
            call.caller_is_silent(ms(200));
            let heard = &call.agent.hears();
            let loudest = heard.iter().map(|sample| sample.abs()).max().unwrap();
            assert!(loudest <= 2800, "{before:?} to {after:?}: {loudest}");
            assert_eq!(decode(heard), "");
            assert!(call.times("LeakSuspected").is_empty());
        }
    }
}

/// The agent's leg changes while the line is masked: what it is sent begins anew, in the clock of the new codec.
#[test]
fn the_agents_codec_may_change_while_the_line_is_masked() {
    for (before, after) in [(OPUS, MU), (MU, OPUS), (Codec::G722, OPUS)] {
        let mut call = Call::coded(Hold::default(), [OPUS, before]);
        call.caller_says(&voice(0, 4000));
        call.command(Command::Secure { policy: Policy::Natural });
        call.caller_says(&voice(0, 4000));
        let last = call.agent.got.last().unwrap().header;
        call.command(Command::Connect { side: Side::Agent, remote: remote_of(Side::Agent, after) });
        (call.agent.codec, call.agent.got) = (after, Vec::new());
        call.caller_says(&voice(4000, 8000));
        let first = call.agent.got[0].header;
        let tick = if before == OPUS { 960 } else { 160 };
        let further = (first.sequence.wrapping_sub(last.sequence), first.timestamp.wrapping_sub(last.timestamp));
        assert_eq!(further, (1, tick), "{before:?} to {after:?}");
        let heard = call.agent.hears();
        assert!(heard[800..].iter().any(|sample| sample.abs() > 1500), "the voice goes on");
        assert!(step(&heard[800..]) <= 5200, "{}", step(&heard[800..]));
        assert!(call.times("LeakSuspected").is_empty());
    }
}

/// By how many samples what was said is heard later, of those by which it may be.
fn found_later(heard: &[i16], said: &[i16]) -> usize {
    (0..=600).min_by_key(|later| off(&heard[800 + later..7000 + later], &said[800..7000])).unwrap()
}

/// Its coder begins a key with something else, which only later decisions know for a key's.
#[test]
fn a_caller_is_held_40_ms_while_they_speak_opus_whatever_is_configured() {
    for hold in HOLDS {
        let mut call = Call::coded(hold, [OPUS, MU]);
        call.command(Command::Secure { policy: Policy::Natural });
        let mut later_as = |codec: Codec| {
            call.command(Command::Connect { side: Side::Caller, remote: remote_of(Side::Caller, codec) });
            call.caller.codec = codec;
            call.caller_says(&voice(0, 8000));
            call.agent.got.clear();
            call.caller_says(&voice(8000, 8000));
            found_later(&call.agent.hears(), &voice(8000, 8000)) - delay(codec, MU)
        };
        let of_others = hold.samples();
        assert_eq!([OPUS, MU, OPUS, A].map(&mut later_as), [320, of_others, 320, of_others], "{hold:?}");
    }
}

/// Senders choose their packets' length, and the other leg may know it or not.
#[test]
fn packets_of_10_to_60_ms_cross_and_no_others() {
    for codecs in PAIRS {
        for milliseconds in [10, 15, 20, 25, 30, 40, 50, 60] {
            let mut call = Call::coded(Hold::default(), codecs);
            let said = voice(0, 8 * milliseconds * 50);
            for frame in said.chunks_exact(8 * milliseconds) {
                let bytes = call.caller.audio(frame);
                call.give(Side::Caller, &bytes);
                call.wait(ms(milliseconds as u64));
            }
            let (heard, later) = (call.agent.hears(), delay(codecs[0], codecs[1]));
            assert_eq!(heard.len(), said.len(), "{codecs:?} {milliseconds}");
            let off = off(&heard[1600 + later..], &said[1600..]);
            assert!(off <= 12, "{codecs:?} {milliseconds}: {off}");
            let sizes: BTreeSet<usize> = call.agent.got.iter().map(|got| got.payload.len()).collect();
            assert_eq!(sizes.len(), 1, "{codecs:?} {milliseconds}");
        }
    }
    let mut call = Call::coded(Hold::default(), [OPUS, MU]);
    let mut encoder = ::opus::Encoder::new(8000, Channels::Mono, Application::Voip).unwrap();
    for length in [20, 40, 640, 960] {
        let mut packet = [0; 1275];
        let size = encoder.encode(&voice(0, length), &mut packet).unwrap();
        let bytes = call.caller.codes(&packet[..size]);
        call.caller_sends(&bytes);
    }
    assert_eq!((call.stats().caller.malformed, call.agent.got.len()), (4, 0), "2.5, 5, 80 and 120 ms");
}

/// What browsers and phones really send: every mode of the codec, two channels, sizes as they come, forward error correction.
#[test]
fn keys_are_read_and_masked_in_whatever_mode_they_come() {
    let modes = [
        (48_000, Channels::Mono, Application::Voip, 32_000, 20),
        (48_000, Channels::Stereo, Application::Audio, 64_000, 20),
        (48_000, Channels::Mono, Application::Voip, 24_000, 60),
        (16_000, Channels::Mono, Application::Voip, 20_000, 20),
        (8_000, Channels::Mono, Application::Voip, 24_000, 20),
        (48_000, Channels::Mono, Application::LowDelay, 48_000, 10),
    ];
    for ((rate, channels, application, bits, milliseconds), policy) in
        modes.into_iter().flat_map(|mode| [Policy::Strict, Policy::Natural].map(|policy| (mode, policy)))
    {
        let mut encoder = ::opus::Encoder::new(rate, channels, application).unwrap();
        encoder.set_bitrate(Bitrate::Bits(bits)).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_packet_loss_perc(10).unwrap();
        let mut call = Call::coded(Hold::default(), [OPUS, OPUS]);
        call.command(Command::Secure { policy });
        let mut sound = vec![0; 4000];
        for key in b"4012888888881881" {
            sound.extend(voice(0, 1600));
            sound.extend(tone(*key, Shape { duration_ms: 80, ..Shape::default() }).unwrap());
        }
        sound.resize(sound.len().next_multiple_of(480) + 4800, 0);
        for frame in sound.chunks_exact(8 * milliseconds) {
            let mut packet = [0; 1275];
            let raised = raised(frame, rate as usize / 8000, channels as usize);
            let length = encoder.encode(&raised, &mut packet).unwrap();
            let bytes = call.caller.codes(&packet[..length]);
            call.give(Side::Caller, &bytes);
            call.wait(ms(milliseconds as u64));
        }
        let mode = (rate, application, bits, milliseconds, policy);
        assert_eq!((call.keys().as_str(), decode(&call.agent.hears()).as_str()), ("4012888888881881", ""), "{mode:?}");
        let sizes: BTreeSet<usize> = call.agent.got.iter().map(|got| got.payload.len()).collect();
        assert_eq!(sizes, BTreeSet::from([80]), "{mode:?}");
        assert!(call.times("LeakSuspected").is_empty(), "{mode:?}");
    }
}

/// So many times as many samples, in straight lines from one to the next, in so many channels.
fn raised(samples: &[i16], times: usize, channels: usize) -> Vec<i16> {
    let next = samples.iter().skip(1).chain(samples.last());
    let between = |(one, two): (&i16, &i16)| {
        let (one, two) = (i64::from(*one), i64::from(*two));
        (0..times as i64).map(move |n| (one + (two - one) * n / times as i64) as i16).collect::<Vec<_>>()
    };
    samples.iter().zip(next).flat_map(between).flat_map(|sample| vec![sample; channels]).collect()
}

fn duration_of(got: &Got) -> u16 {
    u16::from_be_bytes([got.payload[2], got.payload[3]])
}

/// Keys by event in the clock of the sound, in that of 8 kHz, and long ones in segments; each is one key.
#[test]
fn events_count_in_48_khz_and_8_khz_and_reach_no_masked_agent() {
    for codecs in [[OPUS, OPUS], [OPUS, MU]] {
        let mut call = Call::coded(Hold::default(), codecs);
        call.caller_is_silent(ms(200));
        call.caller_keys("12");
        assert_eq!(call.agent.got.iter().filter(|got| got.header.payload_type == 101).count(), 2 * 7, "{codecs:?}");
        let longest = call.agent.got.iter().filter(|got| got.header.payload_type == 101).map(duration_of).max();
        assert_eq!(longest, Some(if codecs[1] == OPUS { 4800 } else { 800 }), "{codecs:?}");
        call.command(Command::Secure { policy: Policy::Natural });
        let passed = call.agent.got.len();
        call.caller_keys("4242");
        assert_eq!(call.keys(), "4242");
        assert!(call.agent.got[passed..].iter().all(|got| got.header.payload_type != 101));
        // Three seconds in three segments.
        let start = call.caller.timestamp;
        for (n, segment) in (1..=150_u32).map(|n| (n, (n - 1) / 68)) {
            let [high, low] = ((960 * (n - 68 * segment)).min(0xffff) as u16).to_be_bytes();
            let end = if n == 150 { 0x8a } else { 0x0a };
            let at = start.wrapping_add(0xffff * segment);
            let bytes = call.caller.packet(101, n == 1, at, &[7, end, high, low]);
            call.caller_sends(&bytes);
        }
        assert_eq!(call.keys(), "42427");
    }
    let clock = EventClock::new(8000).unwrap();
    // As phones do that know events of 8 kHz alone: the timestamps are those of the sound.
    for codecs in [[OPUS, OPUS], [OPUS, MU], [MU, OPUS]] {
        let mut call = Call::coded(Hold::default(), codecs);
        for side in [Side::Caller, Side::Agent] {
            let remote = Remote { event_clock: clock, ..call.remote(side) };
            call.command(Command::Connect { side, remote });
        }
        call.caller_is_silent(ms(200));
        let at = call.caller.timestamp;
        for n in 1..=5_u16 {
            let [high, low] = (160 * n).to_be_bytes();
            let bytes = call.caller.packet(101, n == 1, at, &[9, if n == 5 { 0x80 } else { 0 }, high, low]);
            call.caller_sends(&bytes);
        }
        let events: Vec<_> = call.agent.got.iter().filter(|got| got.header.payload_type == 101).collect();
        assert_eq!(events.iter().map(|got| duration_of(got)).collect::<Vec<_>>(), [160, 320, 480, 640, 800]);
        let sound = call.agent.got.iter().rfind(|got| got.header.payload_type != 101).unwrap().header.timestamp;
        let tick = if codecs[1] == OPUS { 960 } else { 160 };
        assert!(events.iter().all(|got| got.header.timestamp.wrapping_sub(sound) == tick), "{codecs:?}");
    }
    // And one whose timestamps count 8 kHz too: what they are next to is not known.
    let mut call = Call::coded(Hold::default(), [OPUS, MU]);
    let remote = Remote { event_clock: clock, ..call.remote(Side::Caller) };
    call.command(Command::Connect { side: Side::Caller, remote });
    call.command(Command::Secure { policy: Policy::Strict });
    call.caller_is_silent(ms(200));
    for n in 1..=5_u16 {
        let [high, low] = (160 * n).to_be_bytes();
        let bytes = call.caller.packet(101, n == 1, 77, &[9, if n == 5 { 0x80 } else { 0 }, high, low]);
        call.caller_sends(&bytes);
    }
    assert_eq!(call.keys(), "9");
    assert!(call.agent.got.iter().all(|got| got.header.payload_type != 101));
}

#[test]
fn jitter_is_told_and_taken_in_the_clock_of_the_leg() {
    let mut call = Call::coded(Hold::default(), [OPUS, MU]);
    for n in 0..600 {
        let bytes = call.caller.audio(&voice(0, 160));
        // Every other packet comes 8 ms late: so do two that follow each other differ.
        call.wait(ms(n % 2 * 8));
        call.give(Side::Caller, &bytes);
        call.wait(ms(20 - n % 2 * 8));
    }
    let told = call.caller.reports.last().unwrap();
    let block = rtcp::parse(&told.bytes, call.caller.ssrc).unwrap().block.unwrap();
    assert!((340..=384).contains(&block.jitter), "8 ms of 48 kHz: {}", block.jitter);
    let ours = u32::from_be_bytes(told.bytes[4..8].try_into().unwrap());
    let block = Block { ssrc: ours, jitter: 480, ..block };
    let report = Report { ssrc: 9, sender: None, block: Some(block), name: *b"of somebody else", bye: false };
    let bytes = Compound::new(&report).as_bytes().to_vec();
    call.give(Side::Caller, &bytes);
    assert_eq!(call.stats().caller.reported.unwrap().jitter, 80, "10 ms of 8 kHz");
}

#[test]
fn an_agents_key_tones_do_not_pass_to_a_masked_caller() {
    for codecs in PAIRS {
        let mut call = Call::coded(Hold::default(), codecs);
        call.command(Command::Secure { policy: Policy::Strict });
        let sound = [voice(0, 4000), tone(b'5', Shape::default()).unwrap(), vec![0; 1600]].concat();
        for frame in sound.chunks_exact(160) {
            let bytes = call.agent.audio(frame);
            call.give(Side::Agent, &bytes);
            call.wait(ms(20));
        }
        let heard = &call.caller.hears();
        assert_eq!(decode(heard), "", "{codecs:?}");
        assert!(heard[4000 + 480..].iter().all(|sample| sample.abs() < 100), "{codecs:?}");
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
        let [caller, agent] = codecs.map(|codec| delay(codec, MU));
        for (recorded, later) in [(track(&|frame| frame.heard), caller), (track(&|frame| frame.said), agent)] {
            assert!(off(&recorded[800 + later..7200], &said[800..7200]) <= 5, "{codecs:?}");
        }
    }
}

/// Recorders are copied G.711, of what was sent and nothing else.
#[test]
fn a_recorder_hears_in_g711_what_a_leg_of_opus_is_sent() {
    for codecs in [[OPUS, OPUS], [MU, OPUS], [OPUS, MU]] {
        let mut call = Call::coded(Hold::default(), codecs);
        for side in [Side::Caller, Side::Agent] {
            call.command(Command::Copy { side, remote: copies_at(side), keys: None, seed: [9; 32] });
        }
        let talk = |call: &mut Call, said: &[i16]| {
            for frame in said.chunks_exact(160) {
                let from_agent = call.agent.audio(frame);
                call.give(Side::Agent, &from_agent);
                let from_caller = call.caller.audio(frame);
                call.caller_sends(&from_caller);
            }
        };
        talk(&mut call, &voice(0, 8000));
        call.command(Command::Secure { policy: Policy::Natural });
        talk(&mut call, &[voice(0, 4000), tone(b'8', Shape::default()).unwrap(), voice(0, 4000)].concat());
        for (side, peer) in [(Side::Caller, &call.caller), (Side::Agent, &call.agent)] {
            let copies = call.copies.iter().filter(|(of, _)| *of == side);
            let copies: Vec<_> = copies.map(|(_, bytes)| rtp::parse(bytes).unwrap()).collect();
            let recorded: Vec<i16> =
                copies.iter().flat_map(|copy| copy.payload.iter().map(|code| g711::decode(Law::Mu, *code))).collect();
            let (heard, sent) = (peer.hears(), peer.got.len());
            assert_eq!((copies.len(), recorded.len()), (sent, heard.len()), "{codecs:?} {side:?}");
            assert!(off(&recorded, &heard) <= 2, "{codecs:?} {side:?}: {}", off(&recorded, &heard));
            let steps = copies.windows(2).map(|two| two[1].header.timestamp.wrapping_sub(two[0].header.timestamp));
            assert!(steps.clone().all(|step| step == 160), "{codecs:?} {side:?}: {:?}", steps.max());
        }
        assert_eq!(decode(&call.agent.hears()), "");
    }
}

/// Any bytes at all under its payload type: they are silence or refused, and what is sound after them is heard.
#[test]
fn bytes_that_are_no_opus_are_silence_and_harm_nothing() {
    let mut call = Call::coded(Hold::default(), [OPUS, MU]);
    call.command(Command::Secure { policy: Policy::Natural });
    let mut dice = Dice(11);
    for _ in 0..20_000 {
        let length = 1 + dice.roll(300) as usize;
        let bytes: Vec<u8> = (0..length).map(|_| dice.roll(256) as u8).collect();
        let timestamp = call.caller.timestamp.wrapping_add(960);
        call.caller.timestamp = timestamp;
        let bytes = call.caller.packet(111, false, timestamp, &bytes);
        call.caller_sends(&bytes);
        call.agent.got.clear();
        call.frames.clear();
    }
    let stats = call.stats().caller;
    assert!(stats.malformed > 1000 && stats.accepted > 1000, "{stats:?}");
    call.events.clear();
    call.caller_is_silent(ms(4000));
    call.caller_says(&tone(b'5', Shape::default()).unwrap());
    call.caller_is_silent(ms(300));
    assert_eq!(call.keys(), "5");
}

#[test]
fn what_we_code_the_reference_decodes_and_its_lengths_are_ours() {
    let mut encoder = Encoder::new().unwrap();
    let mut reference = ::opus::Decoder::new(48_000, Channels::Stereo).unwrap();
    let mut ours = Decoder::new().unwrap();
    for length in [80, 160, 240, 320, 400, 480, 200, 120] {
        let mut packet = [0; 480];
        let size = encoder.encode(&voice(0, length), &mut packet).unwrap();
        let packet = &packet[..size];
        assert_eq!(samples(packet), Some(length));
        assert_eq!(::opus::packet::get_nb_samples(packet, 8000).unwrap(), length);
        assert_eq!(reference.decode(packet, &mut [0; 11_520], false).unwrap(), 6 * length);
        assert_eq!(ours.decode(packet, &mut [0; 480]), length);
    }
    assert!(encoder.encode(&voice(0, 88), &mut [0; 480]).is_none(), "11 ms");
    assert!(encoder.encode(&[], &mut [0; 480]).is_none());
    assert!(encoder.encode(&voice(0, 160), &mut [0; 79]).is_none(), "no room");
    let mut dice = Dice(3);
    for _ in 0..100_000 {
        let bytes: Vec<u8> = (0..1 + dice.roll(40)).map(|_| dice.roll(256) as u8).collect();
        let counted = ::opus::packet::get_nb_samples(&bytes, 8000).ok().filter(|length| *length > 0);
        assert_eq!(samples(&bytes), counted, "{bytes:?}");
    }
}
