//! What the second pair of ears hears: keys that would have passed, and hours of voices that have none in them.

use crate::dice::Dice;
use crate::keys::Press;
use crate::level::{RATE, rms, samples, set_active};
use crate::noise::Place;
use crate::speech::{self, Speaker};
use media::g711::{self, Law};
use media::witness::{Heard, Witness};
use std::time::Instant;

const FRAME: usize = 160;
/// Sound before a key, and after it.
const AROUND: usize = 800;

/// Hours by kind of sound, and what was suspected there.
#[derive(Default)]
struct Tally {
    frames: u64,
    suspicions: u64,
    /// The purest frames that were not suspected.
    purest: f32,
}

impl Tally {
    fn hours(&self) -> f64 {
        self.frames as f64 * 0.02 / 3600.0
    }

    fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.suspicions += other.suspicions;
        self.purest = self.purest.max(other.purest);
    }

    fn print(&self, name: &str) {
        println!(
            "{name:<34} {:>6.2} h {:>4} suspected, the purest of the others {:.3}",
            self.hours(),
            self.suspicions,
            self.purest
        );
    }
}

pub(crate) fn run(keys: usize, seed: u64) -> anyhow::Result<()> {
    println!("seed {seed}");
    missed(keys, seed)?;
    falsely(seed)?;
    cost(seed)?;
    Ok(())
}

fn coded(sound: &[f64], law: Law) -> Vec<i16> {
    samples(sound).into_iter().map(|sample| g711::decode(law, g711::encode(law, sample))).collect()
}

/// Frame by frame, as the product does.
fn hear(sound: &[i16]) -> Vec<Heard> {
    let mut witness = Witness::new();
    sound.chunks(FRAME).map(|frame| witness.push(frame)).collect()
}

/// Keys that pass whole, and pieces of keys.
fn missed(keys: usize, seed: u64) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    for place in [Place::Quiet, Place::Office, Place::Street] {
        let name = format!("{place:?}");
        for (ms, share) in [([40.0, 100.0], 1), ([30.0, 30.0], 4), ([27.5, 27.5], 4), ([25.0, 25.0], 4)] {
            press(&mut dice, &name, keys / share, ms, |dice, length| place.sound(dice, length));
        }
    }
    let clips: Vec<Vec<f64>> = speech::humans().iter().map(Speaker::clips).collect::<Result<Vec<_>, _>>()?.concat();
    if clips.is_empty() {
        return Ok(());
    }
    for dbm0 in [-40.0, -30.0, -22.0] {
        let over = |dice: &mut Dice, length: usize| {
            let mut sound = dice.of(&clips).clone();
            set_active(&mut sound, dbm0);
            let from = dice.pick(sound.len().saturating_sub(length).max(1));
            sound.drain(..from);
            sound.resize(length, 0.0);
            sound
        };
        press(&mut dice, &format!("over a voice of {dbm0} dBm0"), keys / 2, [40.0, 100.0], over);
    }
    Ok(())
}

fn press(dice: &mut Dice, name: &str, keys: usize, ms: [f64; 2], behind: impl Fn(&mut Dice, usize) -> Vec<f64>) {
    let (mut caught, mut before, mut least) = (0, 0, 1.0_f32);
    for number in 0..keys {
        let press = Press::any(dice, [-25.0, -3.0], [-8.0, 4.0], ms);
        let at = AROUND + dice.pick(FRAME);
        let mut sound = behind(dice, at + press.samples() + AROUND);
        press.add(dice, &mut sound, at);
        let heard = hear(&coded(&sound, [Law::Mu, Law::A][number % 2]));
        let (quiet, key) = heard.split_at(at / FRAME);
        before += usize::from(quiet.iter().any(|frame| frame.suspicious));
        let is_caught = key.iter().any(|frame| frame.suspicious);
        caught += usize::from(is_caught);
        if is_caught {
            least = least.min(key.iter().map(|frame| frame.explained).fold(0.0, f32::max));
        }
    }
    println!(
        "{name}, {} to {} ms: {caught} of {keys} caught ({:.3} %), the least by {least:.3}; {before} suspected before",
        ms[0],
        ms[1],
        100.0 * caught as f64 / keys as f64
    );
}

/// What a frame costs, the best of some rounds of ten minutes.
#[expect(clippy::disallowed_methods, reason = "a benchmark times itself")]
fn cost(seed: u64) -> anyhow::Result<()> {
    const MINUTES: usize = 10;
    let mut dice = Dice::new(seed);
    let length = MINUTES * 60 * RATE;
    let street = Place::Street.sound(&mut dice, length);
    let mut key = vec![0.0; length];
    for at in (0..length).step_by(RATE / 5) {
        Press::any(&mut dice, [-25.0, -3.0], [-8.0, 4.0], [200.0, 200.0]).add(&mut dice, &mut key, at);
    }
    let mut voice = Vec::new();
    for mut clip in speech::humans().first().map(Speaker::clips).transpose()?.unwrap_or_default() {
        set_active(&mut clip, -20.0);
        voice.extend(clip);
    }
    voice.truncate(length);
    for (name, sound) in [("silence", vec![0.0; length]), ("street", street), ("a voice", voice), ("keys", key)] {
        let sound = coded(&sound, Law::Mu);
        let round = || {
            let began = Instant::now();
            std::hint::black_box(hear(&sound));
            began.elapsed().as_nanos() as f64 / (sound.len().max(FRAME) / FRAME) as f64
        };
        let best = (0..10).map(|_| round()).fold(f64::MAX, f64::min);
        println!("{name}: {best:.0} ns a frame");
    }
    Ok(())
}

/// Sound with no key in it.
fn falsely(seed: u64) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    let mut all = Tally::default();
    for speaker in speech::humans() {
        let clips = speaker.clips()?;
        for (dbm0, law) in [(-20.0, Law::Mu), (-12.0, Law::A), (-30.0, Law::A)] {
            let name = format!("{} {dbm0}", speaker.name);
            listen(&mut all, &name, clips.iter().map(|clip| coded(&at_level(clip, dbm0), law)));
        }
        for pitch in [0.72, 0.85, 1.15] {
            let name = format!("{} pitch {pitch}", speaker.name);
            listen(&mut all, &name, clips.iter().map(|clip| coded(&at_level(&pitched(clip, pitch), -20.0), Law::Mu)));
        }
        let name = format!("{} with holes", speaker.name);
        let mut concealed = |clip: &Vec<f64>| coded(&conceal(&mut dice, at_level(clip, -20.0)), Law::Mu);
        listen(&mut all, &name, clips.iter().map(&mut concealed));
    }
    let mut machines: Vec<Speaker> = ["awb", "rms", "slt", "kal16"].map(speech::flite).into();
    for voice in VOICES {
        machines.extend([20, 50, 85].map(|pitch| speech::espeak(voice, pitch)));
    }
    let mut spoken = Tally::default();
    for (number, machine) in machines.iter().enumerate() {
        let dbm0 = [-20.0, -14.0, -26.0][number % 3];
        let clips = machine.clips()?;
        let tally = listened(clips.iter().map(|clip| coded(&at_level(clip, dbm0), Law::Mu)));
        if tally.suspicions > 0 {
            tally.print(&machine.name);
        }
        spoken.add(&tally);
    }
    spoken.print("flite and espeak-ng");
    all.add(&spoken);
    all.print("all voices");
    for place in [Place::Quiet, Place::Office, Place::Street] {
        let sound = place.sound(&mut dice, 1800 * RATE);
        listened(std::iter::once(coded(&sound, Law::Mu))).print(&format!("{place:?}"));
    }
    Ok(())
}

fn listen(all: &mut Tally, name: &str, clips: impl Iterator<Item = Vec<i16>>) {
    let tally = listened(clips);
    tally.print(name);
    all.add(&tally);
}

fn listened(clips: impl Iterator<Item = Vec<i16>>) -> Tally {
    let mut tally = Tally::default();
    for clip in clips {
        let heard = hear(&clip);
        tally.frames += heard.len() as u64;
        // One after the other is one.
        let begins = |pair: &[Heard]| !pair[0].suspicious && pair[1].suspicious;
        tally.suspicions += heard.windows(2).filter(|pair| begins(pair)).count() as u64;
        let unsuspected = heard.iter().filter(|frame| !frame.suspicious);
        tally.purest = unsuspected.map(|frame| frame.explained).fold(tally.purest, f32::max);
    }
    tally
}

fn at_level(clip: &[f64], dbm0: f64) -> Vec<f64> {
    let mut clip = clip.to_vec();
    set_active(&mut clip, dbm0);
    clip
}

/// The same voice, higher and faster by this factor.
fn pitched(clip: &[f64], factor: f64) -> Vec<f64> {
    let at = |place: f64| {
        let (whole, part) = (place as usize, place.fract());
        clip[whole] * (1.0 - part) + clip.get(whole + 1).copied().unwrap_or_default() * part
    };
    (0..(clip.len() as f64 / factor) as usize).map(|n| at((n as f64 * factor).min(clip.len() as f64 - 1.0))).collect()
}

/// A voice as it is with keys cut out of it: in each piece of about a second a hole of 40 to 140 ms, in which the last
/// cycle of the voice goes on for 20 ms, fades for 60 ms into faint noise, and the voice fades in again for 10 ms.
fn conceal(dice: &mut Dice, mut clip: Vec<f64>) -> Vec<f64> {
    let mut from = 400 + dice.pick(RATE);
    while from + 1400 < clip.len() {
        let length = 320 + dice.pick(800);
        let lag = lag(&clip[from - 320..from]);
        for n in 0..length {
            let fade = (1.0 - (n as f64 - 160.0).max(0.0) / 480.0).max(0.0);
            let again = clip[from - lag + n % lag] * fade + rms(-65.0) * dice.normal();
            let back = ((n as f64 + 80.0 - length as f64) / 80.0).max(0.0);
            clip[from + n] = clip[from + n] * back + again * (1.0 - back);
        }
        from += length + 4000 + dice.pick(RATE);
    }
    clip
}

/// Samples of the last cycle of a voice, by correlation of 160 samples.
fn lag(past: &[f64]) -> usize {
    let newest = &past[160..];
    let alike = |lag: usize| {
        let older = &past[160 - lag..320 - lag];
        let both: f64 = newest.iter().zip(older).map(|(a, b)| a * b).sum();
        both / (older.iter().map(|b| b * b).sum::<f64>() + 1.0).sqrt()
    };
    (32..=160).max_by(|a, b| alike(*a).total_cmp(&alike(*b))).unwrap_or(80)
}

/// Voices of espeak-ng, by language; a language that has no text of its own reads the English one.
const VOICES: [&str; 40] = [
    "en-us",
    "en-gb",
    "en-gb-scotland",
    "de",
    "fr-fr",
    "es",
    "es-419",
    "it",
    "ru",
    "pt",
    "pt-br",
    "nl",
    "sv",
    "da",
    "nb",
    "fi",
    "pl",
    "cs",
    "sk",
    "hu",
    "ro",
    "bg",
    "el",
    "tr",
    "hr",
    "sr",
    "lt",
    "lv",
    "et",
    "id",
    "vi",
    "hi",
    "ta",
    "fa",
    "ka",
    "sw",
    "af",
    "ca",
    "is",
    "eo",
];
