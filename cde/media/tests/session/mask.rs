//! The mask itself.

use crate::harness::{Call, hum, ms, remote};
use media::dtmf::{Shape, tone};
use media::g711::Law;
use media::{Codec, Command, Event, Output, Policy, Remote, Side, rtp, tone::decode};

#[test]
fn secured_is_said_only_after_generated_sound_has_gone_out() {
    let mut call = Call::new();
    call.caller_says(&hum(1600));
    let before = call.agent.got.len();
    call.session.handle_command(call.now, Command::Secure { policy: Policy::Strict });
    assert!(matches!(call.session.poll_output(), Some(Output::Send { side: Side::Agent, packet, .. })
        if rtp::parse(packet.as_bytes()).is_ok_and(|read| read.payload[40..] == [0xff; 120])));
    let events: Vec<_> = std::iter::from_fn(|| call.session.poll_output()).collect();
    assert!(matches!(events[..], [Output::Event(Event::Masking { .. }), Output::Event(Event::Secured)]));
    call.caller_says(&hum(1600));
    assert!(call.agent.got[before..].iter().all(|got| got.payload == [0xff; 160]));
}

#[test]
fn the_sound_before_the_mask_fades_without_a_click() {
    let mut call = Call::new();
    call.caller_says(&hum(1600));
    let before = call.agent.got.len();
    call.command(Command::Secure { policy: Policy::Strict });
    let last = *call.agent.got[before - 1].samples(Law::Mu).last().unwrap();
    let fade = call.agent.got[before].samples(Law::Mu);
    assert!((fade[0] - last).abs() < 100 && fade[40..].iter().all(|sample| *sample == 0));
    assert!(fade[..40].windows(2).all(|pair| (pair[0] - pair[1]).abs() < 100), "{fade:?}");
}

#[test]
fn nothing_that_was_queued_comes_out_after_secure() {
    let mut call = Call::new();
    let bytes = call.caller.audio(&hum(160));
    call.session.handle_packet(call.now, Side::Caller, call.caller.address, &bytes);
    call.command(Command::Secure { policy: Policy::Strict });
    assert!(call.agent.got.iter().all(|got| got.payload == [0xff; 160]));
    call.wait(ms(100));
    assert!(call.frames.iter().all(|frame| frame.heard == [0; 160]));
}

#[test]
fn without_an_agent_the_mask_stands_and_a_joining_agent_starts_masked() {
    let mut call = Call::unconnected();
    call.command(Command::Connect { side: Side::Caller, remote: remote(Side::Caller) });
    call.command(Command::Secure { policy: Policy::Strict });
    assert_eq!(call.times("Secured"), [0]);
    call.caller_says(&hum(1600));
    let alaw = Remote { codec: Codec::G711(Law::A), payload_type: 8, ..remote(Side::Agent) };
    call.command(Command::Connect { side: Side::Agent, remote: alaw });
    call.caller_says(&hum(1600));
    assert_eq!(call.agent.got.len(), 10);
    assert!(call.agent.got.iter().all(|got| got.payload == [0xd5; 160] && got.header.payload_type == 8));
}

#[test]
fn our_stream_goes_on_over_secure_and_release() {
    let mut call = Call::new();
    call.caller_says(&hum(1600));
    call.command(Command::Secure { policy: Policy::Strict });
    call.caller_says(&hum(16_000));
    call.command(Command::Release);
    call.caller_is_silent(ms(4000));
    assert_eq!(call.times("Opened").len(), 1);
    for pair in call.agent.got.windows(2) {
        let (one, two) = (pair[0].header, pair[1].header);
        assert_eq!((two.ssrc, two.sequence), (one.ssrc, one.sequence.wrapping_add(1)));
        assert!((160..=480).contains(&two.timestamp.wrapping_sub(one.timestamp)), "at {}", pair[1].at);
    }
}

#[test]
fn the_mask_keeps_its_own_clock_and_proves_itself_twice_a_second() {
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Strict });
    call.wait(ms(2000));
    assert_eq!(
        call.agent.got.iter().map(|got| got.at).collect::<Vec<_>>(),
        (0..=100).map(|n| n * 20).collect::<Vec<_>>()
    );
    assert_eq!(call.times("Proof"), [480, 980, 1480, 1980]);
}

#[test]
fn a_stalled_path_gives_no_proof_and_no_flood() {
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Strict });
    call.now += ms(60_000);
    call.wait(ms(0));
    assert!(call.agent.got.len() <= 6 && call.times("Proof").is_empty());
    assert!(call.stats().skipped > 2900);
    let pair = (call.agent.got[0].header.timestamp, call.agent.got.last().unwrap().header.timestamp);
    call.wait(ms(100));
    let late = call.agent.got.last().unwrap().header.timestamp.wrapping_sub(pair.0);
    assert!((479_000..482_000).contains(&late));
}

#[test]
fn hold_and_a_new_peer_stay_masked() {
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Strict });
    call.command(Command::Disconnect { side: Side::Agent });
    call.caller_says(&hum(1600));
    call.command(Command::Connect { side: Side::Agent, remote: Remote { receives: false, ..remote(Side::Agent) } });
    call.caller_says(&hum(1600));
    let held = call.agent.got.len();
    assert_eq!(held, 1);
    call.command(Command::Connect { side: Side::Agent, remote: remote(Side::Agent) });
    call.caller_says(&hum(1600));
    assert!(call.agent.got.len() > held && call.agent.got.iter().all(|got| got.payload == [0xff; 160]));
}

/// Steps of the grid in which there is a sound as loud as that.
fn sounding(heard: &[i16], loud: i16) -> Vec<usize> {
    let steps = heard.chunks_exact(2000).enumerate();
    steps.filter(|(_, step)| step[80..].iter().any(|sample| sample.abs() > loud)).map(|(at, _)| at).collect()
}

#[test]
fn the_recording_is_made_after_the_mask() {
    for (policy, beeps) in [(Policy::Natural, 4), (Policy::Strict, 0)] {
        let mut call = Call::new();
        call.command(Command::Secure { policy });
        for key in b"4111" {
            call.caller_says(&tone(*key, Shape::default()).unwrap());
            call.caller_is_silent(ms(80));
        }
        call.caller_is_silent(ms(1000));
        let heard: Vec<i16> = call.frames.iter().flat_map(|frame| frame.heard).collect();
        assert_eq!((decode(&heard).as_str(), call.keys().as_str()), ("", "4111"));
        assert_eq!(sounding(&heard, 1000).len(), beeps, "a beep for each key, and nothing else: {policy:?}");
    }
}

#[test]
fn each_key_beeps_in_the_natural_mask_and_the_witness_is_content() {
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Natural });
    call.caller_keys("4111111111111111");
    call.caller_is_silent(ms(2000));
    let heard = call.agent_heard();
    assert_eq!(decode(&heard), "");
    assert!(call.times("LeakSuspected").is_empty());
    // Each beep starts at a multiple of 250 ms since the mask began.
    assert_eq!(sounding(&heard, 1000).len(), 16);
}

#[test]
fn in_the_strict_mask_there_is_a_pulse_each_second_whatever_is_keyed() {
    let play = |keys: &str| {
        let mut call = Call::new();
        call.command(Command::Secure { policy: Policy::Strict });
        call.caller_keys(keys);
        call.caller_is_silent(ms(9000 - call.elapsed()));
        assert_eq!(call.keys(), keys);
        assert!(call.times("LeakSuspected").is_empty());
        call.agent_heard()
    };
    let heard = play("4111111111111111");
    assert_eq!((sounding(&heard, 500), sounding(&heard, 730)), ((4..36).step_by(4).collect(), Vec::new()));
    assert!(heard == play(""), "the agent hears that the line is secured, and nothing of keys");
}

/// The last key of a field is what brings strict: the agent hears it, and none of those that follow.
#[test]
fn a_beep_that_waits_sounds_when_strict_comes_and_no_other() {
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Natural });
    call.caller_is_silent(ms(300));
    call.info(b'7');
    call.command(Command::Mask { policy: Policy::Strict });
    call.info(b'1');
    call.caller_is_silent(ms(1800));
    let heard = call.agent_heard();
    assert_eq!((sounding(&heard, 1000), sounding(&heard, 500)), (vec![2], vec![2, 4]));
}
