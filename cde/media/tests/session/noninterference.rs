//! Two calls that differ in their digits only are the same call to the agent: the same packets at the same times, RTCP
//! among them, the same recording, as many events of each kind. Whether a tone that was damaged on its way can still be
//! proved hangs on its frequencies, so of those the payment may have a key more or less; the agent's leg has not.
//!
//! A seed makes a card, another one with the same pattern of equal digits (pairing goes by key), and everything else.

use crate::harness::{Call, Dice, Got, MU, Told, ms, remote_of};
use media::dtmf::{Shape, tone};
use media::{Codec, Command, Hold, Policy, Remote, Side, tone::decode};
use std::collections::BTreeMap;
use std::ops::Range;

/// Ten thousand calls and their doubles for each mask: strict has six ways, natural three.
const STRICT_SEEDS: u64 = 2_000;
const NATURAL_SEEDS: u64 = 3_334;
const WIDE_SEEDS: u64 = 300;
/// The codec itself takes most of their time.
const OPUS_SEEDS: u64 = 80;

/// How the line is masked, if it is, and how keys are sent.
#[derive(Clone, Copy)]
struct Way {
    mask: Option<Policy>,
    /// Packets are lost, come late or twice; in every other seed there are holds and changes of the mask.
    faults: bool,
    events: bool,
    info: bool,
    sound: bool,
    codecs: [Codec; 2],
}

impl Way {
    /// `e` for events, `i` for INFO, `s` for sound.
    fn new(mask: impl Into<Option<Policy>>, by: &str) -> Self {
        let [events, info, sound] = ['e', 'i', 's'].map(|way| by.contains(way));
        Self { mask: mask.into(), faults: true, events, info, sound, codecs: [MU, MU] }
    }
}

/// Something that comes to the session at a millisecond.
enum Input {
    Packet(Vec<u8>),
    Info(u8),
    Command(Command),
}

/// All of a call that reaches the agent's side.
#[derive(PartialEq)]
struct Seen {
    packets: Vec<Got>,
    reports: Vec<Told>,
    heard: Vec<i16>,
    /// How many there were of each kind; a key is a key.
    events: BTreeMap<String, usize>,
}

/// What only the payment is told: a key, and that one was not understood.
const OF_THE_PAYMENT: [&str; 2] = ["key", "!"];

impl Seen {
    /// The agent's leg alone.
    fn without_keys(mut self) -> Self {
        self.events.retain(|name, _| !OF_THE_PAYMENT.contains(&name.as_str()));
        self
    }

    fn keys(&self) -> usize {
        self.events.get("key").copied().unwrap_or_default()
    }
}

/// A call in which these digits are keyed; all else comes from the seed.
fn play(digits: &str, way: Way, seed: u64) -> Seen {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let hold = if (seed / 2).is_multiple_of(2) { Hold::Ms20 } else { Hold::Ms12 };
    let mut call = Call::coded(hold, way.codecs);
    call.caller_says(&voice(0, 1600));
    if let Some(policy) = way.mask {
        call.command(Command::Secure { policy });
    }
    let mut script = Script { way, at: 0, last: 0, said: 1600, inputs: Vec::new() };
    for key in digits.bytes() {
        script.last = script.at;
        script.press(&mut call, key, &mut dice);
    }
    if way.faults && seed % 2 == 1 {
        script.disturb(&mut dice);
    }
    let relaxes = seed % 8 == 4 && way.mask == Some(Policy::Strict);
    if relaxes {
        // Within the last key, or soon after it, as a payment does.
        let command = Command::Mask { policy: Policy::Natural };
        script.inputs.push((script.last + dice.roll(200), Input::Command(command)));
    }
    let (end, mut inputs) = (script.at, script.inputs);
    inputs.sort_by_key(|(at, _)| *at);
    let start = call.elapsed();
    for (at, input) in inputs {
        call.wait(ms((start + at).saturating_sub(call.elapsed())));
        match input {
            Input::Packet(bytes) => call.give(Side::Caller, &bytes),
            Input::Info(key) => call.info(key),
            Input::Command(command) => call.command(command),
        }
    }
    call.wait(ms((start + end + 100 + dice.roll(300)).saturating_sub(call.elapsed())));
    match seed % 8 {
        0 if way.mask.is_some() => {
            call.command(Command::Release);
            call.caller_is_silent(ms(4000));
            assert_eq!(call.times("Opened").len(), 1);
            assert!(!call.agent.reports.is_empty(), "a call of this length has RTCP");
        }
        4 if relaxes => {
            // Only the natural mask lets it pass, and where it was wary it does not. A phone that codes with a memory codes
            // a voice by all that it has coded, and nothing behind it can take that out.
            let remembers = !matches!(way.codecs[0], Codec::G711(_));
            call.caller_says(&if remembers { vec![0; 8 * 6000] } else { voice(0, 8 * 6000) });
            assert_eq!(call.times("Natural").len(), 1);
        }
        _ => {}
    }
    seen(call)
}

fn seen(call: Call) -> Seen {
    let mut events = BTreeMap::new();
    for (_, name) in call.events {
        let is_digit = name.bytes().all(|byte| byte.is_ascii_digit());
        *events.entry(if is_digit { "key".to_owned() } else { name }).or_default() += 1;
    }
    let heard = call.frames.iter().flat_map(|frame| frame.heard).collect();
    Seen { packets: call.agent.got, reports: call.agent.reports, heard, events }
}

/// What a caller says: a voice of 114 Hz, with pauses. The same at the same place.
fn voice(from: usize, samples: usize) -> Vec<i16> {
    let at = |n: usize| if n / 3000 % 3 == 2 { 0 } else { (((n * 7) % 490) as i16 - 245) * 9 };
    (from..from + samples).map(at).collect()
}

/// What the caller sends.
struct Script {
    way: Way,
    at: u64,
    /// When the newest key began.
    last: u64,
    said: usize,
    inputs: Vec<(u64, Input)>,
}

impl Script {
    /// A key, and what is said until the next one.
    fn press(&mut self, call: &mut Call, key: u8, dice: &mut Dice) {
        let pressed = 40 + 20 * dice.roll(5);
        if self.way.info {
            self.inputs.push((self.at + dice.roll(200), Input::Info(key)));
        }
        if self.way.events {
            for bytes in call.caller.key(key, ms(pressed)) {
                self.send(bytes, dice);
            }
        }
        let pause = 160 * (3 + dice.roll(12) as usize);
        let sound = if self.way.sound {
            let shape = Shape { duration_ms: pressed as u16, ..Shape::default() };
            // It begins and ends anywhere in a packet.
            let mut sound = vec![0; dice.roll(160) as usize];
            sound.extend(tone(key, shape).unwrap());
            sound.resize((sound.len() + pause).next_multiple_of(160), 0);
            sound
        } else {
            voice(self.said, pause)
        };
        self.said += sound.len();
        for frame in sound.chunks_exact(160) {
            let bytes = call.caller.audio(frame);
            self.send(bytes, dice);
        }
    }

    fn send(&mut self, bytes: Vec<u8>, dice: &mut Dice) {
        if !self.way.faults {
            self.inputs.push((self.at, Input::Packet(bytes)));
            self.at += 20;
            return;
        }
        let late = if dice.roll(10) == 0 { dice.roll(60) } else { dice.roll(5) };
        if dice.roll(20) == 0 {
            self.inputs.push((self.at + late + 7, Input::Packet(bytes.clone())));
        }
        if dice.roll(33) > 0 {
            self.inputs.push((self.at + late, Input::Packet(bytes)));
        }
        self.at += 20;
    }

    /// Somebody is put on hold for a while, and the field wants another mask and the first one again.
    fn disturb(&mut self, dice: &mut Dice) {
        let [caller, agent] = self.way.codecs;
        let of = |side| remote_of(side, if side == Side::Caller { caller } else { agent });
        let connect = |side, sends, receives| Command::Connect { side, remote: Remote { sends, receives, ..of(side) } };
        let side = if dice.roll(2) == 0 { Side::Caller } else { Side::Agent };
        let held =
            if dice.roll(3) == 0 { Command::Disconnect { side } } else { connect(side, false, dice.roll(2) == 0) };
        let (at, more) = (dice.roll(self.at), 40 + dice.roll(600));
        self.inputs.push((at, Input::Command(held)));
        self.inputs.push((at + more, Input::Command(connect(side, true, true))));
        if self.way.mask == Some(Policy::Natural) {
            let (at, more) = (dice.roll(self.at), 40 + dice.roll(600));
            self.inputs.push((at, Input::Command(Command::Mask { policy: Policy::Strict })));
            self.inputs.push((at + more, Input::Command(Command::Mask { policy: Policy::Natural })));
        }
    }
}

/// Two cards with equal digits in the same places, and no place with the same digit.
fn cards(seed: u64) -> (String, String) {
    let mut dice = Dice(!seed);
    let mut other: Vec<u8> = (b'0'..=b'9').collect();
    // Sattolo's shuffle leaves nothing where it was.
    for n in (1..other.len()).rev() {
        other.swap(n, dice.roll(n as u64) as usize);
    }
    let one: String = (0..4 + dice.roll(2)).map(|_| char::from(b'0' + dice.roll(10) as u8)).collect();
    let two = one.bytes().map(|digit| char::from(other[usize::from(digit - b'0')])).collect();
    (one, two)
}

/// Plays every seed's two cards; returns the seeds in which the agent can tell them apart.
fn told_apart(way: Way, seeds: u64) -> Vec<u64> {
    told_apart_among(way, 0..seeds)
}

fn told_apart_among(way: Way, seeds: Range<u64>) -> Vec<u64> {
    let damaged = way.sound && way.faults && !way.events && !way.info;
    let (mut pressed, mut counted, mut apart) = (0, 0, Vec::new());
    for seed in seeds {
        let (one, two) = cards(seed);
        let (a, b) = (play(&one, way, seed), play(&two, way, seed));
        assert!(way.mask.is_none() || !a.events.contains_key("LeakSuspected"), "seed {seed}");
        (pressed, counted) = (pressed + one.len(), counted + a.keys());
        let apart_here = if damaged { a.without_keys() != b.without_keys() } else { a != b };
        if apart_here {
            apart.push(seed);
        }
    }
    // Nothing would be told apart either if nothing was keyed.
    assert!(
        way.mask.is_none() || counted * 10 > pressed * if damaged { 7 } else { 8 },
        "{counted} of {pressed} keys came"
    );
    apart
}

macro_rules! ways {
    ($($name:ident: $policy:ident by $by:literal in $seeds:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            assert_eq!(told_apart(Way::new(Policy::$policy, $by), $seeds), [0; 0], "seeds");
        }
    )*};
}

// A test a way, so that they run beside each other.
ways! {
    strict_hides_which_key_an_event_is: Strict by "e" in STRICT_SEEDS,
    strict_hides_which_key_an_info_is: Strict by "i" in STRICT_SEEDS,
    strict_hides_which_key_events_and_info_are: Strict by "ei" in STRICT_SEEDS,
    strict_hides_which_key_all_three_are: Strict by "eis" in STRICT_SEEDS,
    natural_hides_which_key_an_event_is: Natural by "e" in NATURAL_SEEDS,
    natural_hides_which_key_an_info_is: Natural by "i" in NATURAL_SEEDS,
    natural_hides_which_key_events_and_info_are: Natural by "ei" in NATURAL_SEEDS,
}

/// Of a tone that comes whole.
#[test]
fn strict_hides_which_key_a_tone_is() {
    let way = Way { faults: false, ..Way::new(Policy::Strict, "s") };
    assert_eq!(told_apart(way, STRICT_SEEDS), [0; 0], "seeds");
}

/// Of a tone with a hole in it, or one that a hold has cut, it hangs on its frequencies whether it can still be proved,
/// and when: what the payment is told may differ, and nothing that the agent gets. `DAMAGED_SEEDS=100000` for a long run.
#[test]
fn strict_hides_which_key_a_damaged_tone_is_and_whether_it_was_understood() {
    let seeds = std::env::var("DAMAGED_SEEDS").map_or(STRICT_SEEDS, |seeds| seeds.parse().unwrap());
    let half = |seeds: Range<u64>| move || told_apart_among(Way::new(Policy::Strict, "s"), seeds);
    let halves = [0..seeds / 2, seeds / 2..seeds].map(|seeds| std::thread::spawn(half(seeds)));
    assert_eq!(halves.map(|half| half.join().unwrap()), [[0; 0]; 2], "seeds");
}

/// The codecs of which at least one is G.722: caller's, agent's.
const WIDE: [[Codec; 2]; 3] = [[Codec::G722, Codec::G722], [Codec::G722, MU], [MU, Codec::G722]];

#[test]
fn strict_hides_as_much_in_g722() {
    for codecs in WIDE {
        for way in [Way::new(Policy::Strict, "eis"), Way::new(Policy::Strict, "s")] {
            assert_eq!(told_apart(Way { codecs, ..way }, WIDE_SEEDS), [0; 0], "seeds, {codecs:?}");
        }
    }
}

#[test]
fn natural_hides_as_much_in_g722() {
    for codecs in WIDE {
        let way = Way { codecs, ..Way::new(Policy::Natural, "ei") };
        assert_eq!(told_apart(way, WIDE_SEEDS), [0; 0], "seeds, {codecs:?}");
    }
}

/// The codecs of which at least one is Opus.
const OPUS: [[Codec; 2]; 4] =
    [[Codec::Opus, Codec::Opus], [Codec::Opus, MU], [MU, Codec::Opus], [Codec::Opus, Codec::G722]];

#[test]
fn strict_hides_as_much_in_opus() {
    for codecs in OPUS {
        for way in [Way::new(Policy::Strict, "eis"), Way::new(Policy::Strict, "s")] {
            assert_eq!(told_apart(Way { codecs, ..way }, OPUS_SEEDS), [0; 0], "seeds, {codecs:?}");
        }
    }
}

#[test]
fn natural_hides_as_much_in_opus() {
    for codecs in OPUS {
        let way = Way { codecs, ..Way::new(Policy::Natural, "ei") };
        assert_eq!(told_apart(way, OPUS_SEEDS), [0; 0], "seeds, {codecs:?}");
    }
}

/// The controls: where keys do pass, the comparison sees it.
#[test]
fn on_an_open_line_the_comparison_tells_every_card_apart() {
    for by in ["e", "s", "eis"] {
        let all: Vec<u64> = (0..40).collect();
        assert_eq!(told_apart(Way::new(None, by), 40), all, "{by}");
    }
}

#[test]
fn one_packet_that_differs_is_seen() {
    let way = Way::new(Policy::Strict, "e");
    let (one, _) = cards(3);
    let (a, mut b) = (play(&one, way, 3), play(&one, way, 3));
    assert!(a == b);
    let last = b.packets.last_mut().unwrap();
    last.payload[159] ^= 1;
    assert!(a != b);
}

#[test]
fn one_report_that_differs_is_seen() {
    let way = Way::new(Policy::Strict, "e");
    let (one, _) = cards(8);
    let (a, mut b) = (play(&one, way, 8), play(&one, way, 8));
    assert!(a == b);
    b.reports.last_mut().unwrap().bytes[30] ^= 1;
    assert!(a != b);
}

#[test]
fn a_line_without_faults_takes_every_digit() {
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Strict });
    for key in b"4012888888881881" {
        call.info(*key);
        call.caller_says(&tone(*key, Shape::default()).unwrap());
        call.caller_is_silent(ms(100));
    }
    assert_eq!(call.keys(), "4012888888881881");
    assert_eq!(decode(&call.agent_heard()), "");
}
