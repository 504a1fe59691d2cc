//! `trials leaks`: keys in the sound, through the natural mask, judged by the samples of them that passed.
//!
//! Two kinds of trial. *Alone*: one key in a call whose mask has never heard one, so that each counts as the first digit of
//! a card. *Cards*: sixteen keys in a row, as a caller keys a card. The attacker is a matched filter that knows where each key
//! begins and how long it is, and all decoders that are ours.

mod attacker;

use crate::dice::Dice;
use crate::keys::{KEYS, Press};
use crate::level;
use crate::line::{Phone, coded};
use crate::mask::Mask;
use crate::noise::Place;
use crate::voices::{self, Talk};
use attacker::Attacker;
use media::g711::Law;
use media::natural::GRAIN;
use media::sound::Sound;
use media::tone;
use std::thread;

const SEED: u64 = 20_261_125;
/// Sound before a key, and after it.
const BEFORE: usize = 6400;
const AFTER: usize = 2400;
/// The middle six digits of a card number of sixteen.
const MIDDLE: std::ops::Range<usize> = 6..12;

/// Where a key is pressed.
#[derive(Clone, Copy, Debug)]
enum Behind {
    Place(Place),
    /// Somebody talks, at this active level.
    Talk(f64),
}

/// A published condition.
struct Condition {
    name: &'static str,
    behind: Behind,
    level_dbm0: [f64; 2],
    /// Only keys whose weaker tone is above this count.
    weaker_over: f64,
    /// What may leak, of all keys.
    bar: f64,
    share: f64,
}

const ALL: [f64; 2] = [-25.0, -3.0];
const USUAL: [f64; 2] = [-20.0, -5.0];
const NO_LIMIT: f64 = -99.0;

/// Shares make one hundred thousand keys of which every condition has enough.
const CONDITIONS: [Condition; 7] = [
    Condition {
        name: "quiet",
        behind: Behind::Place(Place::Quiet),
        level_dbm0: ALL,
        weaker_over: NO_LIMIT,
        bar: 0.0,
        share: 0.15,
    },
    Condition {
        name: "office -45",
        behind: Behind::Place(Place::Office),
        level_dbm0: ALL,
        weaker_over: NO_LIMIT,
        bar: 0.0,
        share: 0.15,
    },
    Condition {
        name: "street -30",
        behind: Behind::Place(Place::Street),
        level_dbm0: ALL,
        weaker_over: NO_LIMIT,
        bar: 0.0,
        share: 0.2,
    },
    Condition {
        name: "talk -30, weaker tone over -22",
        behind: Behind::Talk(-30.0),
        level_dbm0: ALL,
        weaker_over: -22.0,
        bar: 0.0,
        share: 0.2,
    },
    Condition {
        name: "talk -30, all levels",
        behind: Behind::Talk(-30.0),
        level_dbm0: ALL,
        weaker_over: NO_LIMIT,
        bar: 0.001,
        share: 0.1,
    },
    Condition {
        name: "talk -22, tones -20 to -5",
        behind: Behind::Talk(-22.0),
        level_dbm0: USUAL,
        weaker_over: NO_LIMIT,
        bar: 0.005,
        share: 0.1,
    },
    Condition {
        name: "talk -16, tones -20 to -5",
        behind: Behind::Talk(-16.0),
        level_dbm0: USUAL,
        weaker_over: NO_LIMIT,
        bar: 0.03,
        share: 0.1,
    },
];

/// What came of many keys.
#[derive(Default)]
struct Sum {
    keys: usize,
    leaked: usize,
    samples: Vec<usize>,
    named: usize,
    /// By what is heard next to it: a codec smears a key over the time around it.
    named_before: usize,
    named_after: usize,
    decoded: usize,
}

/// Samples of that: 15 ms.
const NEXT_TO_IT: usize = 120;

impl Sum {
    fn add(&mut self, other: Self) {
        self.keys += other.keys;
        self.leaked += other.leaked;
        self.samples.extend(other.samples);
        self.named += other.named;
        self.named_before += other.named_before;
        self.named_after += other.named_after;
        self.decoded += other.decoded;
    }
}

/// Options of a run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Keys in all, spread over the conditions; as many again in cards of sixteen.
    #[arg(long, default_value_t = 5_000)]
    keys: usize,
    #[command(flatten)]
    line: Line,
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Only conditions whose names begin so, and no cards.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The voice on which the threshold is chosen talks instead of the judges.
    #[arg(long)]
    tuner: bool,
}

/// From whom to whom, and what is between.
#[derive(clap::Args, Clone, Copy)]
struct Line {
    #[command(flatten)]
    mask: Mask,
    /// What the caller's phone speaks.
    #[arg(long, value_enum, default_value_t)]
    phone: Phone,
}

/// Runs all conditions; fails when a bar is missed.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let speakers = if options.tuner { voices::tuner() } else { voices::judges() };
    let clips = voices::continuous(&speakers)?;
    let mut missed = Vec::new();
    println!(
        "{:<34} {:>7} {:>7} {:>8} {:>10} {:>9} {:>9} {:>9} {:>8}",
        "alone", "keys", "leaked", "%", "median ms", "named %", "before %", "after %", "decoded"
    );
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.starts_with(only));
    for condition in CONDITIONS.iter().filter(|condition| wanted(condition.name)) {
        let share = if options.only.is_some() { 1.0 } else { condition.share };
        let keys = (options.keys as f64 * share).ceil() as usize;
        let sum = in_two(keys, options.seed, |keys, seed| alone(condition, keys, seed, &clips, options.line));
        if !print(condition.name, &sum, condition.bar) {
            missed.push(condition.name.to_owned());
        }
    }
    let cards = [("cards, talk -22", -22.0), ("cards, talk -16", -16.0)];
    for (name, dbm0) in cards.into_iter().filter(|_| options.only.is_none()) {
        let cards = (options.keys / 2).div_ceil(16);
        let sums =
            in_two(cards, options.seed ^ 0xca2d, |cards, seed| cards_of(cards, dbm0, seed, &clips, options.line));
        for (part, bar, sum) in
            [("first", 0.03, &sums.first), ("digits 2 to 16", 0.005, &sums.rest), ("middle six", 0.001, &sums.middle)]
        {
            let name = format!("{name}, {part}");
            if !print(&name, sum, bar) {
                missed.push(name);
            }
        }
    }
    anyhow::ensure!(missed.is_empty() || options.line.mask.threshold.is_some(), "over the bar: {}", missed.join("; "));
    Ok(())
}

/// Is it within its bar? A bar that is not zero is missed only if chance does not explain it (three deviations).
fn print(name: &str, sum: &Sum, bar: f64) -> bool {
    let mut samples = sum.samples.clone();
    samples.sort_unstable();
    let median = samples.get(samples.len() / 2).map_or(0.0, |samples| *samples as f64 / 8.0);
    let of = |count: usize| 100.0 * count as f64 / sum.keys.max(1) as f64;
    let allowed = bar * sum.keys as f64;
    let good = sum.leaked as f64 <= allowed + 3.0 * allowed.sqrt();
    println!(
        "{name:<34} {:>7} {:>7} {:>8.3} {median:>10.1} {:>9.1} {:>9.1} {:>9.1} {:>8}{}",
        sum.keys,
        sum.leaked,
        of(sum.leaked),
        of(sum.named),
        of(sum.named_before),
        of(sum.named_after),
        sum.decoded,
        if good { "" } else { "  <- over its bar" }
    );
    good
}

trait Total: Default + Send {
    fn add(&mut self, other: Self);
}

impl Total for Sum {
    fn add(&mut self, other: Self) {
        Self::add(self, other);
    }
}

/// On two threads.
fn in_two<T: Total>(count: usize, seed: u64, part: impl Fn(usize, u64) -> T + Sync) -> T {
    let part = &part;
    thread::scope(|scope| {
        let other = scope.spawn(move || part(count / 2, seed ^ 0x5eed));
        let mut total = part(count - count / 2, seed);
        // What panics has not judged: it must not count as nothing leaked.
        total.add(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        total
    })
}

fn alone(condition: &Condition, keys: usize, seed: u64, clips: &[Vec<f64>], line: Line) -> Sum {
    let mut dice = Dice::new(seed);
    let mut sum = Sum::default();
    let attacker = Attacker::new();
    while sum.keys < keys {
        let press = Press::any(&mut dice, condition.level_dbm0, [-8.0, 4.0], [40.0, 100.0]);
        if press.weaker_dbm0() <= condition.weaker_over {
            continue;
        }
        // Anywhere in a packet.
        let at = BEFORE + dice.pick(160);
        let mut sound = behind(condition.behind, at + press.samples() + AFTER, clips, &mut dice);
        press.add(&mut dice, &mut sound, at);
        let heard = Heard::new(&sound, &mut dice, line);
        heard.judge(&press, at, &attacker, &mut sum);
    }
    sum
}

fn behind(behind: Behind, samples: usize, clips: &[Vec<f64>], dice: &mut Dice) -> Vec<f64> {
    match behind {
        Behind::Place(place) => place.sound(dice, samples),
        Behind::Talk(dbm0) => {
            let mut sound = vec![0.0; samples];
            Talk::new(clips, dbm0, dice).skip_some(dice).add(&mut sound, dice);
            sound
        }
    }
}

/// Whole cards.
#[derive(Default)]
struct Cards {
    first: Sum,
    rest: Sum,
    middle: Sum,
}

impl Total for Cards {
    fn add(&mut self, other: Self) {
        self.first.add(other.first);
        self.rest.add(other.rest);
        self.middle.add(other.middle);
    }
}

fn cards_of(cards: usize, talk_dbm0: f64, seed: u64, clips: &[Vec<f64>], line: Line) -> Cards {
    let mut dice = Dice::new(seed);
    let mut sums = Cards::default();
    let attacker = Attacker::new();
    for _ in 0..cards {
        let mut presses = Vec::new();
        let mut at = BEFORE + dice.pick(160);
        for _ in 0..16 {
            let press = Press::any(&mut dice, USUAL, [-8.0, 4.0], [40.0, 100.0]);
            presses.push((at, press));
            at += press.samples() + (dice.between(0.2, 0.45) * level::RATE as f64) as usize;
        }
        let mut sound = behind(Behind::Talk(talk_dbm0), at + AFTER, clips, &mut dice);
        presses.iter().for_each(|(at, press)| press.add(&mut dice, &mut sound, *at));
        let heard = Heard::new(&sound, &mut dice, line);
        for (digit, (at, press)) in presses.iter().enumerate() {
            let sum = if digit == 0 { &mut sums.first } else { &mut sums.rest };
            heard.judge(press, *at, &attacker, sum);
            if MIDDLE.contains(&digit) {
                heard.judge(press, *at, &attacker, &mut sums.middle);
            }
        }
    }
    sums
}

/// What the agent got of a sound.
struct Heard {
    samples: Vec<i16>,
    /// By grain, in the clock of the caller's sound.
    passed: Vec<bool>,
}

impl Heard {
    fn new(sound: &[f64], dice: &mut Dice, line: Line) -> Self {
        let Line { mask, phone } = line;
        let law = *dice.of(&[Law::Mu, Law::A]);
        // Without the memory for a coder nothing is heard, and the trial ends below.
        let samples = phone.through(sound, law).unwrap_or_default();
        let mask = mask.of(phone.codec(law));
        let (mut caller, mut natural) = (Sound::with_room(mask.hold), mask.natural());
        let mut heard = Self { samples: Vec::with_capacity(samples.len()), passed: Vec::new() };
        for packet in samples.chunks_exact(160) {
            caller.hear(packet, |caller| {
                natural.hear(caller);
            });
            if let Some(frame) = natural.frame(&caller) {
                heard.samples.extend(coded(&frame.samples, law));
                heard.passed.extend((0..160 / GRAIN).map(|grain| frame.passed >> grain & 1 == 1));
            }
        }
        // What comes out first is what was held before the first sample.
        heard.samples.drain(..mask.hold.samples());
        heard.passed.drain(..mask.hold.samples() / GRAIN);
        heard
    }

    fn judge(&self, press: &Press, at: usize, attacker: &Attacker, sum: &mut Sum) {
        let end = at + press.samples();
        let in_grain = |grain: usize| ((grain + 1) * GRAIN).min(end).saturating_sub((grain * GRAIN).max(at));
        let passed = self.passed.iter().enumerate().filter(|(_, passed)| **passed);
        let samples: usize = passed.map(|(grain, _)| in_grain(grain)).sum();
        sum.keys += 1;
        if samples > 0 {
            sum.leaked += 1;
            sum.samples.push(samples);
        }
        let Some(heard) = self.samples.get(at..end) else { return };
        let names = |heard: &[i16]| usize::from(attacker.names(heard) == Some(press.key));
        sum.named += names(heard);
        sum.named_before += self.samples.get(at.saturating_sub(NEXT_TO_IT)..at).map_or(0, names);
        sum.named_after += self.samples.get(end..end + NEXT_TO_IT).map_or(0, names);
        let around = &self.samples[at.saturating_sub(800)..(end + 800).min(self.samples.len())];
        let key = char::from(KEYS[press.key]);
        sum.decoded += usize::from(tone::decode(around).contains(key));
    }
}
