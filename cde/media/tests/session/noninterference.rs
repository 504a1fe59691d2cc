//! Two calls that differ in their digits only are the same call to the agent.

use crate::harness::{Call, Dice, Got, ms};
use media::dtmf::{Shape, tone};
use media::{Command, Policy, Side, tone::decode};

/// How keys are sent.
#[derive(Clone, Copy)]
struct Ways {
    events: bool,
    info: bool,
    sound: bool,
}

/// Something that comes to the session at a millisecond.
enum Input {
    Packet(Vec<u8>),
    Info(u8),
}

/// A call in which these digits are keyed while masked; all else comes from the seed.
fn agent_leg(digits: &str, ways: Ways, seed: u64) -> (Vec<Got>, Vec<i16>, String) {
    let mut dice = Dice(seed);
    let mut call = Call::new();
    call.caller_is_silent(ms(500));
    call.command(Command::Secure { policy: Policy::Strict });
    let mut inputs = script(&mut call, digits, ways, &mut dice);
    inputs.sort_by_key(|(at, _)| *at);
    let start = call.elapsed();
    for (at, input) in inputs {
        call.wait(ms((start + at).saturating_sub(call.elapsed())));
        match input {
            Input::Packet(bytes) => call.give(Side::Caller, &bytes),
            Input::Info(key) => call.info(key),
        }
    }
    call.command(Command::Release);
    call.caller_is_silent(ms(4000));
    assert_eq!(call.times("Opened").len(), 1);
    let recorded = call.frames.iter().flat_map(|frame| frame.heard).collect();
    let keys = call.keys();
    (call.agent.got, recorded, keys)
}

/// What the caller sends, after loss, duplication and delay.
fn script(call: &mut Call, digits: &str, ways: Ways, dice: &mut Dice) -> Vec<(u64, Input)> {
    let mut inputs = Vec::new();
    let mut at = 0;
    let mut put = |at: u64, bytes: Vec<u8>, dice: &mut Dice| {
        let late = if dice.roll(10) == 0 { dice.roll(60) } else { dice.roll(5) };
        if dice.roll(20) == 0 {
            inputs.push((at + late + 7, Input::Packet(bytes.clone())));
        }
        if dice.roll(33) > 0 {
            inputs.push((at + late, Input::Packet(bytes)));
        }
    };
    let mut infos = Vec::new();
    for key in digits.bytes() {
        let pressed = 40 + 20 * dice.roll(5);
        if ways.info {
            infos.push((at + dice.roll(200), Input::Info(key)));
        }
        if ways.events {
            for bytes in call.caller.key(key, ms(pressed)) {
                put(at, bytes, dice);
                at += 20;
            }
        }
        let shape = Shape { duration_ms: pressed as u16, ..Shape::default() };
        let mut sound = if ways.sound { tone(key, shape).unwrap() } else { Vec::new() };
        sound.resize(sound.len() + 160 * (3 + dice.roll(20) as usize), 0);
        for frame in sound.chunks_exact(160) {
            let bytes = call.caller.audio(frame);
            put(at, bytes, dice);
            at += 20;
        }
    }
    inputs.extend(infos);
    inputs
}

const WAYS: [Ways; 5] = [
    Ways { events: true, info: false, sound: false },
    Ways { events: false, info: true, sound: false },
    Ways { events: false, info: false, sound: true },
    Ways { events: true, info: true, sound: false },
    Ways { events: true, info: true, sound: true },
];

#[test]
fn agent_never_hears_a_digit() {
    for (n, ways) in WAYS.into_iter().enumerate() {
        for seed in 0..4 {
            // The same pattern of equal keys, as pairing goes by key.
            let one = agent_leg("4012888888881881", ways, seed);
            let two = agent_leg("5934666666664664", ways, seed);
            assert!(one.0 == two.0, "way {n}, seed {seed}: packets differ");
            assert!(one.1 == two.1, "way {n}, seed {seed}: recordings differ");
            assert_eq!(decode(&one.1), "");
            assert_eq!(one.2.len(), two.2.len());
        }
    }
}

#[test]
fn a_line_without_faults_takes_every_digit() {
    let ways = Ways { events: false, info: true, sound: true };
    assert_eq!(agent_leg("4012888888881881", ways, 1).2, "4012888888881881");
}
