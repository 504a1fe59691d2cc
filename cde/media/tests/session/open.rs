//! The open line.

use crate::harness::{Call, EVENTS, Peer, hum, ms, remote};
use media::dtmf::{Shape, tone};
use media::g711::{self, Law};
use media::{Codec, Command, Policy, Remote, Side};

#[test]
fn sound_passes_packet_by_packet_in_our_own_numbers() {
    let mut call = Call::new();
    call.caller_says(&hum(1600));
    let got = &call.agent.got;
    assert_eq!(got.len(), 10);
    assert_eq!(
        call.agent_heard(),
        hum(1600).iter().map(|s| g711::decode(Law::Mu, g711::encode(Law::Mu, *s))).collect::<Vec<_>>()
    );
    assert!(got.iter().all(|got| got.header.ssrc != call.caller.ssrc));
    for pair in got.windows(2) {
        assert_eq!(pair[1].header.sequence, pair[0].header.sequence.wrapping_add(1));
        assert_eq!(pair[1].header.timestamp, pair[0].header.timestamp.wrapping_add(160));
    }
}

#[test]
fn legs_of_different_laws_understand_each_other() {
    let mut call = Call::new();
    let address = call.agent.address;
    let alaw = Remote { codec: Codec::G711(Law::A), payload_type: 8, address, ..remote(Side::Agent) };
    call.command(Command::Connect { side: Side::Agent, remote: alaw });
    call.caller_says(&hum(160));
    assert_eq!(call.agent.got[0].header.payload_type, 8);
    let heard = call.agent.got[0].samples(Law::A);
    assert!(heard.iter().zip(hum(160)).all(|(heard, said)| (heard - said).abs() <= 64 + said.abs() / 16));
}

#[test]
fn a_lost_packet_leaves_a_gap_and_a_reordered_one_its_place() {
    let mut call = Call::new();
    let packets: Vec<Vec<u8>> = (0..5).map(|_| call.caller.audio(&hum(160))).collect();
    for n in [0, 3, 2, 4] {
        call.caller_sends(&packets[n]);
    }
    let first = call.agent.got[0].header;
    let places: Vec<(u16, u32)> = call
        .agent
        .got
        .iter()
        .map(|got| {
            (got.header.sequence.wrapping_sub(first.sequence), got.header.timestamp.wrapping_sub(first.timestamp))
        })
        .collect();
    assert_eq!(places, [(0, 0), (3, 480), (2, 320), (4, 640)]);
}

#[test]
fn keys_pass_between_the_legs_and_are_none_of_the_calls() {
    let mut call = Call::new();
    call.caller_is_silent(ms(40));
    call.caller_keys("5");
    let events: Vec<_> = call.agent.got.iter().filter(|got| got.header.payload_type == EVENTS).collect();
    assert_eq!(events.len(), 7);
    assert!(events.iter().all(|got| got.header.timestamp == events[0].header.timestamp && got.payload[0] == 5));
    assert_eq!(events[0].header.timestamp, call.agent.got[0].header.timestamp.wrapping_add(320));
    assert_eq!(call.keys(), "");
}

#[test]
fn a_leg_without_the_word_for_keys_gets_none_and_misses_no_number() {
    let mut call = Call::new();
    call.command(Command::Connect {
        side: Side::Agent,
        remote: Remote { telephone_event: None, ..remote(Side::Agent) },
    });
    call.caller_is_silent(ms(40));
    call.caller_keys("5");
    let got = &call.agent.got;
    assert!(got.iter().all(|got| got.header.payload_type == 0));
    assert!(got.windows(2).all(|pair| pair[1].header.sequence == pair[0].header.sequence.wrapping_add(1)));
}

#[test]
fn a_stranger_is_neither_heard_nor_counted_as_a_key() {
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Strict });
    let mut stranger = Peer { address: "198.51.100.9:4000".parse().unwrap(), ..Call::new().caller };
    for bytes in stranger.key(b'5', ms(100)) {
        call.session.handle_packet(call.now, Side::Caller, stranger.address, &bytes);
        call.session.handle_packet(call.now, Side::Agent, stranger.address, &bytes);
    }
    call.wait(ms(20));
    assert_eq!((call.keys().as_str(), call.caller.got.len()), ("", 0));
    assert_eq!((call.stats().caller.refused_source, call.stats().agent.refused_source), (7, 7));
}

#[test]
fn a_leg_is_locked_to_its_first_stream_until_it_must_be_another() {
    let mut call = Call::new();
    call.caller_is_silent(ms(20));
    call.caller.ssrc = 99;
    call.caller_is_silent(ms(20));
    assert_eq!((call.agent.got.len(), call.stats().caller.refused_ssrc), (1, 1));
    call.command(Command::Connect { side: Side::Caller, remote: remote(Side::Caller) });
    call.caller_is_silent(ms(20));
    assert_eq!(call.stats().caller.refused_ssrc, 2);
    call.caller.address = "192.0.2.77:4000".parse().unwrap();
    let moved = Remote { address: call.caller.address, ..remote(Side::Caller) };
    call.command(Command::Connect { side: Side::Caller, remote: moved });
    call.caller_is_silent(ms(20));
    assert_eq!(call.agent.got.len(), 2);
}

#[test]
fn our_stream_goes_on_over_hold_and_a_new_peer() {
    let mut call = Call::new();
    call.caller_is_silent(ms(40));
    call.command(Command::Connect { side: Side::Agent, remote: Remote { receives: false, ..remote(Side::Agent) } });
    call.caller_is_silent(ms(1000));
    assert_eq!(call.agent.got.len(), 2);
    call.command(Command::Connect { side: Side::Agent, remote: remote(Side::Agent) });
    (call.caller.ssrc, call.caller.sequence, call.caller.timestamp) = (3, 3, 3);
    call.caller.address = "192.0.2.77:4000".parse().unwrap();
    let moved = Remote { address: call.caller.address, ..remote(Side::Caller) };
    call.command(Command::Connect { side: Side::Caller, remote: moved });
    call.caller_is_silent(ms(20));
    let (before, after) = (call.agent.got[1].header, call.agent.got[2].header);
    assert_eq!((after.ssrc, after.sequence), (before.ssrc, before.sequence.wrapping_add(1)));
    assert_eq!(after.timestamp, before.timestamp.wrapping_add(51 * 160));
}

#[test]
fn a_peer_that_may_not_send_is_not_heard() {
    let mut call = Call::new();
    call.command(Command::Connect { side: Side::Caller, remote: Remote { sends: false, ..remote(Side::Caller) } });
    call.caller_is_silent(ms(20));
    assert_eq!((call.agent.got.len(), call.stats().caller.refused_source), (0, 1));
}

#[test]
fn the_recording_holds_what_was_heard_and_said_frame_by_frame() {
    let mut call = Call::new();
    for frame in hum(1600).chunks(160) {
        let said = call.agent.audio(&[1000; 160]);
        call.give(Side::Agent, &said);
        let heard = call.caller.audio(frame);
        call.caller_sends(&heard);
    }
    call.wait(ms(200));
    assert_eq!(call.frames.len(), 20);
    let heard: Vec<i16> = call.frames.iter().flat_map(|frame| frame.heard).collect();
    let loud = heard.iter().position(|sample| *sample != 0).unwrap();
    assert!(loud <= 320);
    assert!(call.frames[5].said.iter().all(|sample| (sample - 1000).abs() < 40));
    assert_eq!((call.frames[19].heard, call.frames[19].said), ([0; 160], [0; 160]));
}

#[test]
fn six_keys_in_a_row_on_an_open_line_are_told_by_whatever_way_they_come() {
    let told = |press: &dyn Fn(&mut Call, char)| {
        let mut call = Call::new();
        for key in "401288".chars() {
            assert!(call.times("KeysOnOpenLine").is_empty());
            press(&mut call, key);
            call.caller_is_silent(ms(300));
        }
        call.times("KeysOnOpenLine").len()
    };
    assert_eq!(told(&|call, key| call.caller_keys(&key.to_string())), 1, "events");
    assert_eq!(told(&|call, key| call.info(key as u8)), 1, "INFO");
    let sound = |key: char| tone(key as u8, Shape::default()).unwrap();
    assert_eq!(told(&|call, key| call.caller_says(&sound(key))), 1, "tones");
    assert_eq!(
        told(&|call, key| {
            call.caller_keys(&key.to_string());
            call.info(key as u8);
        }),
        1,
        "two ways at once"
    );
}

#[test]
fn tones_on_a_leg_of_events_count_in_the_row_too() {
    let mut call = Call::new();
    call.caller_keys("40");
    for key in b"1288" {
        assert!(call.times("KeysOnOpenLine").is_empty());
        call.caller_says(&tone(*key, Shape::default()).unwrap());
        call.caller_is_silent(ms(300));
    }
    assert_eq!(call.times("KeysOnOpenLine").len(), 1);
}
