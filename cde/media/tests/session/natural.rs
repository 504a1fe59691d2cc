//! The natural mask in a whole session: the voice goes through, keys do not, by whatever way they come.

use crate::harness::{Call, Dice, EVENTS, ms, remote};
use media::dtmf::{Shape, tone};
use media::g711::Law;
use media::witness::Witness;
use media::{Codec, Command, Hold, Policy, Side, tone::decode};

/// Every promise is kept with either.
const HOLDS: [Hold; 2] = [Hold::Ms20, Hold::Ms12];

/// A voice of 140 Hz, with all its overtones.
fn hum(samples: usize) -> Vec<i16> {
    (0..samples).map(|n| ((n * 7) % 400) as i16 - 200).map(|sample| sample * 8).collect()
}

/// A hum with pauses, as people talk.
fn talk(samples: usize) -> Vec<i16> {
    hum(samples).into_iter().enumerate().map(|(n, sample)| if n / 800 % 2 == 0 { sample } else { 0 }).collect()
}

fn natural(hold: Hold) -> Call {
    let mut call = Call::with_hold(hold);
    call.caller_says(&hum(4000));
    call.command(Command::Secure { policy: Policy::Natural });
    call
}

/// What the agent was sent since a time, as samples.
fn heard_since(call: &Call, at: u64) -> Vec<i16> {
    let got = call.agent.got.iter().filter(|got| got.at >= at && got.header.payload_type == 0);
    got.flat_map(|got| got.samples(Law::Mu)).collect()
}

fn is_silence(samples: &[i16]) -> bool {
    samples.iter().all(|sample| *sample == 0)
}

#[test]
fn the_voice_goes_through_bit_by_bit_and_as_late_as_it_is_held() {
    for hold in HOLDS {
        let mut call = natural(hold);
        let at = call.elapsed();
        let voice = hum(16_000);
        call.caller_says(&voice);
        let heard = heard_since(&call, at);
        // The frame of the mask, then what the caller said from there on: held.
        let said: Vec<i16> = voice.iter().map(|sample| coded(*sample)).collect();
        let late = 160 + hold.samples();
        assert!(heard.len() >= said.len() - 160, "{} of {}", heard.len(), said.len());
        assert!(heard[1600..8000] == said[1600 - late + 160..8000 - late + 160], "what passes is not the voice");
        assert!(call.times("LeakSuspected").is_empty());
    }
}

fn coded(sample: i16) -> i16 {
    media::g711::decode(Law::Mu, media::g711::encode(Law::Mu, sample))
}

#[test]
fn frames_go_out_with_the_callers_packets_and_their_numbers_have_no_seam() {
    for hold in HOLDS {
        let mut call = natural(hold);
        call.caller_says(&hum(8000));
        let since = call.times("Secured")[0];
        let got: Vec<_> = call.agent.got.iter().filter(|got| got.at >= since).collect();
        for pair in got.windows(2) {
            let (one, two) = (pair[0].header, pair[1].header);
            assert_eq!(two.sequence, one.sequence.wrapping_add(1));
            assert_eq!(two.timestamp, one.timestamp.wrapping_add(160));
            assert!(pair[1].at - pair[0].at <= 40, "{} {}", pair[0].at, pair[1].at);
        }
        assert!(got.iter().all(|got| got.payload.len() == 160));
    }
}

#[test]
fn keys_in_the_sound_reach_the_call_and_not_the_agent() {
    for hold in HOLDS {
        let mut call = natural(hold);
        let at = call.elapsed();
        for key in b"4012888888881881" {
            call.caller_says(&hum(1600));
            let shape = Shape { duration_ms: 60, ..Shape::default() };
            call.caller_says(&tone(*key, shape).unwrap());
        }
        call.caller_says(&hum(4000));
        let heard = heard_since(&call, at);
        assert_eq!(call.keys(), "4012888888881881");
        assert_eq!(decode(&heard), "");
        let mut witness = Witness::new();
        assert!(!witness.push(&heard).suspicious);
        assert!(call.times("LeakSuspected").is_empty());
    }
}

/// No sample of a key, wherever in a packet it begins, and of any of them.
#[test]
fn not_one_sample_of_a_key_passes_wherever_it_begins() {
    for hold in HOLDS {
        for (n, key) in b"123456789*0#".iter().cycle().take(48).enumerate() {
            let mut call = natural(hold);
            call.caller_says(&vec![0; 4000]);
            let at = call.elapsed();
            let mut sound = vec![0; 160 * 3 + n * 13 % 160];
            sound.extend(tone(*key, Shape { duration_ms: 40, ..Shape::default() }).unwrap());
            sound.resize(sound.len().next_multiple_of(160) + 3200, 0);
            call.caller_says(&sound);
            let heard = heard_since(&call, at);
            let beeps = heard.iter().filter(|sample| **sample != 0).count();
            assert!(beeps <= 1600, "key {}, {n}: one beep and nothing else, {beeps}", char::from(*key));
            let loudest = heard.iter().map(|sample| sample.abs()).max().unwrap();
            assert!(loudest <= 2300, "a beep is 2230 loud: {loudest}");
        }
    }
}

#[test]
fn strict_comes_at_once_and_natural_only_when_it_has_been_quiet() {
    for hold in HOLDS {
        let mut call = natural(hold);
        call.caller_says(&talk(8000));
        call.command(Command::Mask { policy: Policy::Strict });
        let at = call.elapsed() + 80;
        call.caller_keys("123");
        call.caller_says(&talk(8000));
        call.command(Command::Mask { policy: Policy::Natural });
        call.caller_says(&talk(8000));
        let heard = heard_since(&call, at);
        let voices = heard.iter().filter(|sample| sample.abs() > 2300).count();
        assert_eq!(voices, 0, "a beep is 2230 loud, and nothing else is heard");
        // Three seconds without a key, counted from a second after it was asked for.
        call.caller_is_silent(ms(3300));
        let at = call.elapsed();
        call.caller_says(&talk(8000));
        assert!(!is_silence(&heard_since(&call, at + 100)), "the voice is back");
        assert_eq!(call.keys(), "123");
    }
}

#[test]
fn a_key_by_event_or_info_masks_what_is_held_and_the_next_three_seconds() {
    for hold in HOLDS {
        for by_info in [false, true] {
            let mut call = natural(hold);
            call.caller_says(&talk(8000));
            let at = call.elapsed();
            if by_info {
                call.info(b'5');
            } else {
                let packets = call.caller.key(b'5', ms(100));
                packets.iter().for_each(|bytes| call.caller_sends(bytes));
            }
            call.caller_says(&talk(8000));
            let heard = heard_since(&call, at + 400);
            assert!(heard.iter().all(|sample| sample.abs() < 2300), "{by_info}");
            call.caller_says(&talk(24_000));
            let at = call.elapsed();
            call.caller_says(&talk(4000));
            assert!(!is_silence(&heard_since(&call, at)));
            assert_eq!(call.keys(), "5");
        }
    }
}

#[test]
fn a_packet_that_is_late_is_made_up_and_left_out_when_it_comes_after_all() {
    for hold in HOLDS {
        let mut call = natural(hold);
        call.caller_says(&hum(8000));
        let before = call.agent.got.len();
        let held: Vec<Vec<u8>> = (0..10).map(|_| call.caller.audio(&hum(160))).collect();
        call.wait(ms(200));
        let made_up = call.agent.got.len() - before;
        assert!((7..=9).contains(&made_up), "{made_up} frames in 200 ms");
        held.iter().for_each(|bytes| call.give(Side::Caller, bytes));
        call.caller_says(&hum(8000));
        let sent = call.agent.got.len() - before;
        assert!((60..=61).contains(&sent), "{sent} frames in 1200 ms: the delay has not grown");
    }
}

#[test]
fn around_a_lost_packet_nothing_of_a_key_passes() {
    for hold in HOLDS {
        for lost in 0..5 {
            for lead in [0, 40, 80, 120] {
                let mut call = natural(hold);
                call.caller_says(&vec![0; 4000]);
                let at = call.elapsed();
                let mut sound = vec![0; 480 + lead];
                sound.extend(tone(b'7', Shape { duration_ms: 40, ..Shape::default() }).unwrap());
                sound.resize(1600, 0);
                for (n, frame) in sound.chunks_exact(160).enumerate() {
                    let bytes = call.caller.audio(frame);
                    if n == lost + 2 { call.wait(ms(20)) } else { call.caller_sends(&bytes) }
                }
                call.caller_is_silent(ms(400));
                let loudest = heard_since(&call, at).iter().map(|sample| sample.abs()).max().unwrap();
                assert!(loudest <= 2300, "packet {lost} lost, {lead} samples before the key: {loudest}");
            }
        }
    }
}

#[test]
fn a_new_stream_of_the_caller_and_a_new_codec_let_nothing_of_a_key_through() {
    for hold in HOLDS {
        for alaw in [false, true] {
            let mut call = natural(hold);
            call.caller_says(&vec![0; 4000]);
            let at = call.elapsed();
            let tone = tone(b'3', Shape { duration_ms: 100, ..Shape::default() }).unwrap();
            call.caller_says(&tone[..160]);
            let mut peer = remote(Side::Caller);
            if alaw {
                (peer.codec, peer.payload_type) = (Codec::G711(Law::A), 8);
            } else {
                peer.address = "192.0.2.9:4000".parse().unwrap();
            }
            call.command(Command::Connect { side: Side::Caller, remote: peer });
            (call.caller.address, call.caller.ssrc) = (peer.address, 77);
            for frame in tone[160..].chunks_exact(160) {
                let codes: Vec<u8> = frame
                    .iter()
                    .map(|sample| media::g711::encode(if alaw { Law::A } else { Law::Mu }, *sample))
                    .collect();
                let timestamp = call.caller.timestamp;
                call.caller.timestamp = timestamp.wrapping_add(160);
                let bytes = call.caller.packet(peer.payload_type, false, timestamp, &codes);
                call.caller_sends(&bytes);
            }
            call.wait(ms(200));
            let loudest = heard_since(&call, at).iter().map(|sample| sample.abs()).max().unwrap();
            assert!(loudest <= 2300, "{alaw}: {loudest}");
        }
    }
}

#[test]
fn a_caller_who_falls_silent_on_the_network_does_not_stop_the_agents_stream() {
    for hold in HOLDS {
        let mut call = natural(hold);
        call.caller_says(&hum(4000));
        let before = call.agent.got.len();
        call.wait(ms(5000));
        assert!((245..=250).contains(&(call.agent.got.len() - before)));
        // As with silence suppression: no number is missing, but the clock has gone on.
        call.caller.timestamp = call.caller.timestamp.wrapping_add(40_000);
        let at = call.elapsed();
        call.caller_says(&hum(8000));
        assert!(!is_silence(&heard_since(&call, at + 200)), "the voice is back at once");
    }
}

#[test]
fn opening_lets_no_held_sample_out_and_does_not_click() {
    for hold in HOLDS {
        let mut call = natural(hold);
        call.caller_says(&hum(8000));
        call.command(Command::Release);
        call.caller_says(&hum(24_000));
        assert_eq!(call.times("Opened").len(), 1);
        let opened = call.times("Opened")[0];
        let before = heard_since(&call, opened.saturating_sub(100));
        let steps = before.windows(2).map(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs()).max().unwrap();
        let usual = hum(4000).windows(2).map(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs()).max().unwrap();
        assert!(steps <= usual + usual / 2, "{steps} against {usual}");
    }
}

/// The bar of `natural` for events and INFO: two cards give the same agent leg, bit by bit.
#[test]
fn two_cards_by_event_or_info_give_the_same_agent_leg() {
    for hold in HOLDS {
        let play = |digits: &str, seed: u64, by_info: bool| {
            let mut dice = Dice(seed);
            let mut call = natural(hold);
            for key in digits.bytes() {
                call.caller_says(&hum(160 * (5 + dice.roll(20) as usize)));
                if by_info {
                    call.info(key);
                    call.caller_says(&hum(1600));
                } else {
                    let packets = call.caller.key(key, ms(60 + 20 * dice.roll(4)));
                    packets.iter().for_each(|bytes| call.caller_sends(bytes));
                }
            }
            call.caller_says(&hum(32_000));
            assert_eq!(call.keys(), digits);
            assert!(call.agent.got.iter().all(|got| got.header.payload_type != EVENTS));
            (call.agent.got, call.frames.iter().flat_map(|frame| frame.heard).collect::<Vec<i16>>())
        };
        for seed in 0..6 {
            let (one, two) =
                (play("4012888888881881", seed, seed % 2 == 0), play("5934666666664664", seed, seed % 2 == 0));
            assert!(one == two, "seed {seed}");
        }
    }
}
