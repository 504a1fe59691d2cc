//! How well the detector names keys: what a receiver of ITU-T Q.24 must take, and what it must refuse.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "test code"
)]

use card::Key;
use media::detector::Detector;
use media::g711::{self, Law};
use media::sound::Sound;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;

/// Letters are no keys of a card, so nobody tells them apart.
const KEYS: &[u8; 16] = b"123A456A789A*0#A";
const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The peak of 0 dBm0.
const PEAK: f64 = 22_302.0;

struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    fn pick(&mut self, count: usize) -> usize {
        (self.0.next_u64() % count as u64) as usize
    }

    /// Normal, by the sum of twelve.
    fn noise(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// One press of a key, and how it came to be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Press {
    key: usize,
    /// Of the stronger tone.
    level_dbm0: f64,
    /// High over low.
    twist_db: f64,
    detune: [f64; 2],
    on_ms: f64,
    off_ms: f64,
    /// A gap of so many ms in the middle.
    drop_ms: f64,
}

impl Press {
    fn any(dice: &mut Dice) -> Self {
        let sign = |dice: &mut Dice| dice.between(-0.015, 0.015);
        Self {
            key: dice.pick(16),
            level_dbm0: dice.between(-29.0, 0.0),
            twist_db: dice.between(-8.0, 4.0),
            detune: [1.0 + sign(dice), 1.0 + sign(dice)],
            on_ms: 40.0,
            off_ms: 40.0,
            drop_ms: 0.0,
        }
    }

    /// Adds its sound.
    fn sound(&self, dice: &mut Dice, to: &mut Vec<f64>) {
        let amplitude = |db: f64| PEAK * 10_f64.powf((self.level_dbm0 + db) / 20.0);
        let (low, high) = (amplitude(-self.twist_db.max(0.0)), amplitude(self.twist_db.min(0.0)));
        let omega = |hertz: f64, detune: f64| TAU * hertz * detune / 8000.0;
        let steps = [omega(LOW[self.key / 4], self.detune[0]), omega(HIGH[self.key % 4], self.detune[1])];
        let phases = [dice.between(0.0, TAU), dice.between(0.0, TAU)];
        let samples = (self.on_ms * 8.0) as usize;
        let gap = (self.drop_ms * 8.0) as usize;
        for n in 0..samples {
            let silent = gap > 0 && (samples / 2 - gap / 2..samples / 2 + gap / 2).contains(&n);
            let tone = |index: usize, peak: f64| peak * (steps[index] * n as f64 + phases[index]).sin();
            to.push(if silent { 0.0 } else { tone(0, low) + tone(1, high) });
        }
        to.extend(std::iter::repeat_n(0.0, (self.off_ms * 8.0) as usize));
    }
}

/// A test may look.
fn character(key: &Key) -> u8 {
    match key {
        Key::Digit(digit) => digit.expose(|value| b'0' + value),
        Key::Star => b'*',
        Key::Pound => b'#',
        Key::Letter => b'A',
    }
}

fn read(samples: &[i16]) -> Vec<u8> {
    let (mut sound, mut detector) = (Sound::new(), Detector::new());
    let mut keys = Vec::new();
    sound.hear(samples, |sound| keys.extend(detector.look(sound).map(|proved| character(&proved.key))));
    keys
}

/// Through the line: noise, clipping, a codec.
fn line(dice: &mut Dice, sound: &[f64], noise_peak: f64, law: Option<Law>) -> Vec<i16> {
    let clip = |value: f64| value.round().clamp(-32_768.0, 32_767.0) as i16;
    let sampled = sound.iter().map(|value| clip(value + noise_peak * dice.noise()));
    sampled.map(|sample| law.map_or(sample, |law| g711::decode(law, g711::encode(law, sample)))).collect()
}

/// Presses one at a time; says which were not read, exactly once each.
fn missed(
    seed: u64,
    count: usize,
    snr_db: Option<(f64, f64)>,
    shape: impl Fn(&mut Dice, &mut Press),
) -> Vec<(Press, Vec<u8>)> {
    let mut dice = Dice::new(seed);
    let mut missed = Vec::new();
    for number in 0..count {
        let mut press = Press::any(&mut dice);
        shape(&mut dice, &mut press);
        let mut sound = vec![0.0; 160 + dice.pick(160)];
        press.sound(&mut dice, &mut sound);
        sound.extend([0.0; 480]);
        let power = PEAK * PEAK / 2.0 * 10_f64.powf(press.level_dbm0 / 10.0);
        let noise = snr_db.map_or(0.0, |(from, to)| (power * 10_f64.powf(-dice.between(from, to) / 10.0)).sqrt());
        let law = [None, Some(Law::Mu), Some(Law::A)][number % 3];
        let keys = read(&line(&mut dice, &sound, noise, law));
        if keys != [KEYS[press.key]] {
            missed.push((press, keys));
        }
    }
    missed
}

fn refused(missed: &[(Press, Vec<u8>)]) -> usize {
    missed.iter().filter(|(_, keys)| keys.is_empty()).count()
}

const DIGITS: usize = 4_000;

#[test]
fn every_key_of_the_grid_is_named_once() {
    assert_eq!(missed(1, DIGITS, None, |_, _| ()), [], "40 ms, 0 to -29 dBm0, twist -8 to +4 dB, up to 1.5 % off");
}

#[test]
fn noise_12_to_24_db_below_hides_no_key() {
    assert_eq!(missed(2, DIGITS, Some((12.0, 24.0)), |_, _| ()), []);
}

#[test]
fn a_dropout_neither_hides_nor_doubles_a_key() {
    assert_eq!(missed(3, DIGITS / 2, None, |_, press| press.drop_ms = 3.0), [], "3 ms of 40");
    assert_eq!(missed(4, DIGITS / 2, None, |_, press| (press.drop_ms, press.on_ms) = (10.0, 80.0)), [], "10 ms of 80");
}

#[test]
fn what_is_off_its_frequency_or_too_short_is_no_key() {
    let off = |dice: &mut Dice| if dice.unit() < 0.5 { 0.965 } else { 1.035 };
    let both = missed(5, DIGITS / 2, None, |dice, press| {
        (press.detune, press.on_ms) = ([off(dice), off(dice)], 60.0);
    });
    let one = missed(6, DIGITS / 2, None, |dice, press| {
        let which = dice.pick(2);
        (press.detune[which], press.on_ms) = (off(dice), 60.0);
    });
    let short = missed(7, DIGITS / 2, None, |_, press| press.on_ms = 23.0);
    assert_eq!([&both, &one, &short].map(|missed| refused(missed)), [DIGITS / 2; 3]);
}

/// Sixteen keys in a row on a line; the same key twice now and then.
struct Row {
    sound: Vec<f64>,
    wanted: Vec<u8>,
    level_dbm0: f64,
}

impl Row {
    fn new(dice: &mut Dice, on_ms: f64, off_ms: f64) -> Self {
        let level_dbm0 = dice.between(-25.0, -3.0);
        let mut row = Self { sound: vec![0.0; 160 + dice.pick(320)], wanted: Vec::new(), level_dbm0 };
        for _ in 0..16 {
            let press = Press { level_dbm0, on_ms, off_ms, ..Press::any(dice) };
            let again = row.wanted.last().filter(|_| dice.unit() < 0.3);
            let key = again.and_then(|last| KEYS.iter().position(|key| key == last)).unwrap_or(press.key);
            row.wanted.push(KEYS[key]);
            Press { key, ..press }.sound(dice, &mut row.sound);
        }
        row.sound.extend([0.0; 800]);
        row
    }

    /// A copy of all that was before, quieter and later.
    fn echo(&mut self, delay: usize, gain_db: f64) {
        let gain = 10_f64.powf(gain_db / 20.0);
        for at in (delay..self.sound.len()).rev() {
            self.sound[at] += gain * self.sound[at - delay];
        }
    }

    fn dial_tone(&mut self) {
        let peak = PEAK * 10_f64.powf((self.level_dbm0 - 6.0) / 20.0);
        let tone = |hertz: f64, at: usize| peak * (TAU * hertz / 8000.0 * at as f64).sin();
        self.sound.iter_mut().enumerate().for_each(|(at, sample)| *sample += tone(350.0, at) + tone(440.0, at));
    }
}

/// Rows that were not read key by key.
fn rows_missed(seed: u64, rows: usize, shape: impl Fn(&mut Dice) -> (Row, Vec<i16>)) -> Vec<(String, String)> {
    let mut dice = Dice::new(seed);
    let text = |keys: &[u8]| String::from_utf8_lossy(keys).into_owned();
    let rows = (0..rows).map(|_| {
        let (row, sound) = shape(&mut dice);
        (text(&row.wanted), text(&read(&sound)))
    });
    rows.filter(|(wanted, read)| wanted != read).collect()
}

#[test]
fn keys_in_a_row_are_told_apart_also_with_an_echo_and_over_a_dial_tone() {
    for (seed, (echo, dial)) in (20..).zip([(false, false), (true, false), (false, true), (true, true)]) {
        let missed = rows_missed(seed, 150, |dice| {
            let mut row = Row::new(dice, 40.0, 40.0);
            if echo {
                row.echo(40 + dice.pick(440), -dice.between(15.0, 25.0));
            }
            if dial {
                row.dial_tone();
            }
            let sound = line(dice, &row.sound, 0.0, Some(Law::Mu));
            (row, sound)
        });
        assert_eq!(missed, [], "echo: {echo}, dial tone: {dial}");
    }
}

#[test]
fn clipping_and_an_offset_hide_no_key() {
    let missed = rows_missed(30, 150, |dice| {
        let mut row = Row::new(dice, 50.0, 50.0);
        let loud = 10_f64.powf((3.0 - row.level_dbm0) / 20.0);
        row.sound.iter_mut().for_each(|sample| *sample = *sample * loud + 900.0);
        let sound = line(dice, &row.sound, 0.0, Some(Law::A));
        (row, sound)
    });
    assert_eq!(missed, []);
}

#[test]
fn a_sample_that_slips_in_each_key_hides_and_doubles_none() {
    let missed = rows_missed(35, 150, |dice| {
        let mut row = Row::new(dice, 40.0, 40.0);
        // Keys are 640 samples apart and 320 long; the first begins within 480.
        for at in (480..row.sound.len() - 800).step_by(640).collect::<Vec<_>>().into_iter().rev() {
            if dice.unit() < 0.5 {
                row.sound.remove(at);
            } else {
                row.sound.insert(at, row.sound[at]);
            }
        }
        let sound = line(dice, &row.sound, 0.0, Some(Law::Mu));
        (row, sound)
    });
    assert_eq!(missed, []);
}

#[test]
fn clipping_of_the_shortest_keys_hides_none() {
    // It weakens the weaker tone further.
    let missed = rows_missed(36, 150, |dice| {
        let mut row = Row::new(dice, 40.0, 40.0);
        let loud = 10_f64.powf((6.0 - row.level_dbm0) / 20.0);
        row.sound.iter_mut().for_each(|sample| *sample = *sample * loud + 900.0);
        let sound = line(dice, &row.sound, 0.0, Some(Law::A));
        (row, sound)
    });
    assert_eq!(missed, []);
}

#[test]
fn a_lost_packet_neither_hides_nor_doubles_a_key() {
    // Of a key of 80 ms with two packets lost nothing may be left that is as long as a key must be.
    const APART: usize = 8;
    for percent in [1.0, 2.0, 3.0] {
        let missed = rows_missed(40, 150, |dice| {
            let row = Row::new(dice, 80.0, 80.0);
            let mut sound = line(dice, &row.sound, 0.0, Some(Law::Mu));
            let mut next = 0;
            for (at, packet) in sound.chunks_mut(160).enumerate() {
                if at >= next && dice.between(0.0, 100.0) < percent {
                    packet.fill(0);
                    next = at + APART;
                }
            }
            (row, sound)
        });
        assert_eq!(missed, [], "{percent} % lost");
    }
}

#[test]
fn silence_noise_and_single_tones_are_no_keys() {
    let mut dice = Dice::new(50);
    let noise: Vec<f64> = (0..800_000).map(|_| 3_000.0 * dice.noise()).collect();
    assert_eq!(read(&line(&mut dice, &noise, 0.0, None)), b"");
    for hertz in LOW.iter().chain(&HIGH) {
        let tone: Vec<f64> = (0..8_000).map(|at| 8_000.0 * (TAU * hertz / 8000.0 * f64::from(at)).sin()).collect();
        assert_eq!(read(&line(&mut dice, &tone, 0.0, Some(Law::Mu))), b"", "{hertz} Hz");
    }
    assert_eq!(read(&[0; 8_000]), b"");
    assert_eq!(read(&[i16::MIN; 8_000]), b"");
}
