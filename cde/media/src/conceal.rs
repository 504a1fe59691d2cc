//! What is heard in the place of masked sound: the voice of the moment before, held for 20 ms and faded into the quiet that
//! is behind it, and on the way back a soft crossing.
//!
//! It is made of sound that has been sent, and of nothing else.

use crate::g711::{self, Law};
use crate::natural::GRAIN;
use crate::number::sample;

/// Samples that are remembered: a window to compare, and the longest cycle before it.
const HISTORY: usize = COMPARED + CYCLE_MAX;
const HISTORY_GRAINS: u8 = 20;
#[expect(clippy::as_conversions, reason = "widens a byte; `From` is not const")]
const GRAINS: usize = HISTORY_GRAINS as usize;
const _: () = assert!(GRAINS * GRAIN == HISTORY);
const SILENT: u8 = g711::encode(Law::Mu, 0);
const COMPARED: usize = 160;
/// Cycles of a voice: 250 to 50 Hz.
const CYCLE_MIN: usize = 32;
const CYCLE_MAX: usize = 160;
/// The voice is held so long, and gone so much later.
const HELD: f32 = 160.0;
const FADE: f32 = 480.0;
/// Samples in which the caller comes back.
const CROSSING: u8 = 80;
/// A sound that is broken off for good fades so long.
const ENDING: f32 = 40.0;
/// Blocks of 20 ms among which the quiet ones are looked for: 3 s.
const BLOCKS: u8 = 150;
#[expect(clippy::as_conversions, reason = "widens a byte; `From` is not const")]
const ALL_BLOCKS: usize = BLOCKS as usize;
const BLOCK: u8 = 160;
/// Fewer blocks say nothing.
const BLOCKS_MIN: u8 = 5;
/// The quietest tenth.
const QUIET_PART: u8 = 10;
/// Nobody wants to hear more of it, root mean square: -52 dBm0. Who talks without a pause has no quiet.
const QUIET_MAX: f32 = 40.0;

/// Makes up sound.
pub(crate) struct Conceal {
    /// In a ring of grains, and the place of the oldest one. In µ-law, whatever the legs speak: what is made of it was sent in a code
    /// before, and is sent in one again.
    history: [[u8; GRAIN]; GRAINS],
    oldest: u8,
    /// How many of them there are.
    known: u8,
    /// The cycle that is repeated, as long as it can be heard.
    cycle: Box<[i16]>,
    place: u8,
    /// Samples since the mask fell, or the most that can be told, long after the voice has faded; none while the caller is heard.
    masked: Option<u16>,
    /// Samples of the crossing that are left, and how loud the voice was when the mask was lifted.
    crossing: u8,
    left: f32,
    /// Where a sound broke off that was not of ours.
    last: i16,
    quiet: f32,
    /// Powers of blocks in which the caller was heard, as 3 times their logarithm.
    blocks: [u8; ALL_BLOCKS],
    blocks_known: u8,
    block: f32,
    block_filled: u8,
    noise: u32,
}

impl Conceal {
    pub(crate) fn new() -> Self {
        Self {
            history: [[SILENT; GRAIN]; GRAINS],
            oldest: 0,
            known: 0,
            cycle: Box::default(),
            place: 0,
            masked: None,
            crossing: 0,
            left: 0.0,
            last: 0,
            quiet: 0.0,
            blocks: [0; ALL_BLOCKS],
            blocks_known: 0,
            block: 0.0,
            block_filled: 0,
            noise: 0x2545_f491,
        }
    }

    /// Another sound was heard before, and ended with this sample.
    pub(crate) fn goes_on_from(&mut self, last: i16) {
        self.last = last;
    }

    /// A grain that is heard; it may be crossed with what was made up before it. True if it was.
    pub(crate) fn pass(&mut self, grain: &mut [i16; GRAIN]) -> bool {
        if let Some(since) = self.masked.take() {
            self.crossing = CROSSING;
            self.left = held(since);
        }
        let crosses = self.crossing > 0;
        if crosses {
            self.cross(grain);
        } else {
            self.learn(grain);
        }
        self.remember(grain);
        crosses
    }

    fn cross(&mut self, grain: &mut [i16; GRAIN]) {
        for to in grain {
            if self.crossing > 0 {
                let part = f32::from(self.crossing) / f32::from(CROSSING);
                let made = self.voice() * self.left;
                *to = sample(f32::from(*to) * (1.0 - part) + made * part);
                self.crossing -= 1;
            }
        }
        if self.crossing == 0 {
            self.cycle = Box::default();
        }
    }

    /// A grain that is masked: nothing of it is read.
    pub(crate) fn replace(&mut self, grain: &mut [i16; GRAIN]) {
        if self.masked.is_none() {
            self.fall();
        }
        for to in grain.iter_mut() {
            let since = self.masked.unwrap_or_default();
            *to = self.made_up(since);
            self.masked = Some(since.saturating_add(1));
        }
        if !self.cycle.is_empty() && self.masked.is_some_and(|since| held(since) <= 0.0) {
            self.cycle = Box::default();
        }
        self.remember(grain);
    }

    /// The mask falls: the last cycle of the voice, and the quiet behind it.
    fn fall(&mut self) {
        self.masked = Some(0);
        self.crossing = 0;
        self.place = 0;
        self.quiet = self.quietest().min(QUIET_MAX);
        self.block_filled = 0;
        self.block = 0.0;
        self.cycle = Box::default();
        if self.known == HISTORY_GRAINS {
            self.take_cycle();
        }
    }

    fn made_up(&mut self, since: u16) -> i16 {
        let held = held(since);
        let broken_off = if self.cycle.is_empty() { f32::from(self.last) } else { 0.0 };
        let ending = broken_off * (1.0 - f32::from(since) / ENDING).max(0.0);
        let noise = self.noise() * self.quiet * (1.0 - held);
        sample(self.voice() * held + noise + ending)
    }

    fn voice(&mut self) -> f32 {
        let Some(value) = self.cycle.get(usize::from(self.place)).copied() else { return 0.0 };
        self.place = if usize::from(self.place) + 1 < self.cycle.len() { self.place + 1 } else { 0 };
        f32::from(value)
    }

    /// The last cycle of the history, its end drawn towards what came before it, so that it joins its own beginning.
    fn take_cycle(&mut self) {
        let sound = self.remembered();
        let length = pitch(&sound);
        let overlap = length / 4;
        let at = |back: usize| sound.get(HISTORY - back).copied().unwrap_or_default();
        let joined = |place: usize| {
            let back = length - place;
            let into = (place + overlap).saturating_sub(length);
            let part = if into == 0 { 0.0 } else { float(into) / float(overlap) };
            let before = if part > 0.0 { at(back + length) } else { 0.0 };
            sample(at(back) * (1.0 - part) + before * part)
        };
        self.cycle = (0..length).map(joined).collect();
    }

    /// The history, oldest first.
    fn remembered(&self) -> [f32; HISTORY] {
        let mut sound = [0.0; HISTORY];
        let (newer, older) = self.history.split_at(self.oldest.into());
        let codes = older.iter().chain(newer).flatten();
        sound.iter_mut().zip(codes).for_each(|(to, code)| *to = f32::from(g711::decode(Law::Mu, *code)));
        sound
    }

    fn remember(&mut self, grain: &[i16; GRAIN]) {
        if let Some(oldest) = self.history.get_mut(usize::from(self.oldest)) {
            *oldest = g711::mu_law(grain);
        }
        self.oldest = (self.oldest + 1) % HISTORY_GRAINS;
        self.known = (self.known + 1).min(HISTORY_GRAINS);
    }

    /// How loud the caller is, block by block.
    fn learn(&mut self, grain: &[i16; GRAIN]) {
        self.block += grain.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>();
        self.block_filled += 16;
        if self.block_filled == BLOCK {
            self.blocks.rotate_left(1);
            if let Some(newest) = self.blocks.last_mut() {
                *newest = to_byte(self.block / f32::from(BLOCK));
            }
            self.blocks_known = (self.blocks_known + 1).min(BLOCKS);
            (self.block, self.block_filled) = (0.0, 0);
        }
    }

    /// The root mean square of the quietest blocks; nothing until enough are known.
    fn quietest(&self) -> f32 {
        if self.blocks_known < BLOCKS_MIN {
            return self.quiet;
        }
        let mut counts = [0_u8; 256];
        for block in self.blocks.iter().skip((BLOCKS - self.blocks_known).into()) {
            if let Some(count) = counts.get_mut(usize::from(*block)) {
                *count = count.saturating_add(1);
            }
        }
        let mut left = self.blocks_known / QUIET_PART;
        for (byte, count) in (0_u8..=255).zip(counts) {
            if left < count {
                return from_byte(byte).sqrt();
            }
            left -= count;
        }
        self.quiet
    }

    /// Of mean square 1, and the same in every call.
    fn noise(&mut self) -> f32 {
        // The sum of four bytes of a shift register is near enough to the noise of a line.
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        let sum: u16 = self.noise.to_le_bytes().into_iter().map(u16::from).sum();
        (f32::from(sum) - 510.0) / 147.8
    }
}

/// How much of the voice is left so long after the mask fell.
fn held(since: u16) -> f32 {
    (1.0 - (f32::from(since) - HELD) / FADE).clamp(0.0, 1.0)
}

/// The lag at which the last 20 ms are most like what was before them.
fn pitch(sound: &[f32; HISTORY]) -> usize {
    let (_, tail) = sound.split_at(HISTORY - COMPARED);
    let mut best = (f32::MIN, CYCLE_MIN);
    let of_tail = dot(tail, tail);
    for lag in CYCLE_MIN..=CYCLE_MAX {
        let Some(before) = sound.get(HISTORY - COMPARED - lag..HISTORY - lag) else { continue };
        let alike = dot(tail, before) / (of_tail * dot(before, before) + 1e3).sqrt();
        if alike > best.0 + 1e-3 {
            best = (alike, lag);
        }
    }
    best.1
}

/// In eight lanes, so that no sum waits for another.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (left, right) in left.as_chunks::<8>().0.iter().zip(right.as_chunks::<8>().0) {
        for ((lane, left), right) in lanes.iter_mut().zip(left).zip(right) {
            *lane += left * right;
        }
    }
    lanes.iter().sum()
}

/// A power in steps of 1.45 dB, from 1 to beyond the loudest.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn to_byte(power: f32) -> u8 {
    (power.max(1.0).log10() * 20.0).round() as u8
}

fn from_byte(byte: u8) -> f32 {
    10_f32.powf(f32::from(byte) / 20.0)
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a cycle is short")]
fn float(value: usize) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn grains(sound: &[i16]) -> impl Iterator<Item = [i16; GRAIN]> {
        sound.as_chunks::<GRAIN>().0.iter().copied()
    }

    /// A voice of 125 Hz.
    fn voice(samples: u16) -> Vec<i16> {
        let at = |n: u16| {
            let phase = TAU * f32::from(n) / 64.0;
            sample(6000.0 * phase.sin() + 2000.0 * (3.0 * phase).sin())
        };
        (0..samples).map(at).collect()
    }

    fn conceal(conceal: &mut Conceal, sound: &[i16], masked: bool) -> Vec<i16> {
        grains(sound)
            .flat_map(|mut grain| {
                if masked {
                    conceal.replace(&mut grain)
                } else {
                    let _ = conceal.pass(&mut grain);
                }
                grain
            })
            .collect()
    }

    #[test]
    fn what_passes_is_not_touched() {
        let sound = voice(1600);
        assert_eq!(conceal(&mut Conceal::new(), &sound, false), sound);
    }

    #[test]
    fn nothing_of_what_is_masked_is_used() {
        let (mut one, mut two) = (Conceal::new(), Conceal::new());
        let sound = voice(8000);
        assert_eq!(conceal(&mut one, &sound, false), conceal(&mut two, &sound, false));
        assert_eq!(conceal(&mut one, &sound[..800], true), conceal(&mut two, &[i16::MAX; 800], true));
        assert_eq!(conceal(&mut one, &sound, false), conceal(&mut two, &sound, false));
    }

    #[test]
    fn a_voice_goes_on_and_fades_into_the_quiet() {
        let mut made = Conceal::new();
        // As a line brings it.
        let coded = |sample: i16| g711::decode(Law::Mu, g711::encode(Law::Mu, sample));
        let sound: Vec<i16> = voice(8000).into_iter().map(coded).collect();
        conceal(&mut made, &sound, false);
        let masked = conceal(&mut made, &[0; 1600], true);
        // The voice repeats each 64 samples, and 8000 is a multiple of them.
        assert!(masked[..150].iter().zip(&sound).all(|(made, voice)| (made - voice).abs() < 60), "{:?}", &masked[..64]);
        let loud = |samples: &[i16]| samples.iter().map(|sample| sample.abs()).max().unwrap();
        assert!(loud(&masked[700..]) > 0, "the quiet behind a voice without pauses is as loud as it");
    }

    #[test]
    fn without_a_voice_before_there_is_silence_and_no_click() {
        let mut made = Conceal::new();
        made.goes_on_from(8000);
        let masked = conceal(&mut made, &[i16::MAX; 160], true);
        assert!(masked.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 300));
        assert!(masked[0] > 7500 && masked[48..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn the_way_back_has_no_step() {
        let mut made = Conceal::new();
        conceal(&mut made, &voice(8000), false);
        let step = |samples: &[i16]| samples.windows(2).map(|pair| (pair[0] - pair[1]).abs()).max().unwrap();
        let most = step(&voice(8000));
        let masked = conceal(&mut made, &[0; 160], true);
        let back = conceal(&mut made, &voice(800), false);
        assert!(step(&[masked, back].concat()) <= most + most / 4);
    }
}
