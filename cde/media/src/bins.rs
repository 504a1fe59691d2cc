//! The sound of 5 ms held against frequencies: what the gate of the mask and the detector of keys rest on.
//!
//! A table is faster than filters that run from sample to sample, because nothing waits for the sample before.

use crate::dtmf::{HIGH, LOW};
use crate::number::RATE;
use crate::waves::turn;

/// Samples of a block: 5 ms.
pub(crate) const BLOCK: usize = 40;
/// Frequencies of the keypad: four low ones, four high ones.
pub(crate) const TONES: usize = 8;

/// All of them, in Hz.
pub(crate) const HERTZ: [u16; TONES] = {
    let [a, b, c, d] = LOW;
    let [e, f, g, h] = HIGH;
    [a, b, c, d, e, f, g, h]
};
/// Frequencies of a dial tone (ITU-T E.180, North America).
pub(crate) const DIAL: [u16; 2] = [350, 440];

/// What a sample is multiplied by: cosines and negative sines of the keypad, then of the dial tone. Five registers of four.
const LANES: usize = 2 * TONES + 2 * DIAL.len();
static WAVES: [[f32; LANES]; BLOCK] = waves();

/// How far the keypad's tones turn, from the first sample of a block to that of another.
pub(crate) type Turns = [[f32; TONES]; 2];
/// The same for tones that are none too high and none too low, from the first of four blocks to each behind it.
pub(crate) static TURNS: [Turns; 3] = [turned(1, 0.0), turned(2, 0.0), turned(3, 0.0)];
static DIAL_TURNS: [[[f32; 2]; 2]; 3] = dial_turns();

/// One block: the sum of x e^-jωt from its first sample on, by frequency, and its energy.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bins {
    re: [f32; TONES],
    im: [f32; TONES],
    dial: [[f32; 2]; 2],
    pub(crate) energy: f32,
}

/// Nothing.
pub(crate) static SILENCE: Bins = Bins { re: [0.0; _], im: [0.0; _], dial: [[0.0; _]; _], energy: 0.0 };

impl Bins {
    pub(crate) fn new(samples: &[i16; BLOCK]) -> Self {
        let mut sums = [0.0_f32; LANES];
        for (sample, waves) in samples.iter().zip(&WAVES) {
            let sample = f32::from(*sample);
            sums.iter_mut().zip(waves).for_each(|(sum, wave)| *sum += sample * wave);
        }
        // In four lanes, so that the sums need not wait for each other.
        let mut energy = [0.0_f32; 4];
        for four in samples.as_chunks::<4>().0 {
            energy.iter_mut().zip(four.map(f32::from)).for_each(|(lane, sample)| *lane += sample * sample);
        }
        let mut bins = Self { energy: energy.iter().sum(), ..Self::default() };
        let to = bins.re.iter_mut().chain(&mut bins.im).chain(bins.dial.as_flattened_mut());
        to.zip(sums).for_each(|(to, sum)| *to = sum);
        bins
    }

    /// The squared magnitudes of the keypad's frequencies.
    pub(crate) fn squares(&self) -> [f32; TONES] {
        squares(&self.re, &self.im)
    }
}

/// The squared sums of the keypad's frequencies over blocks that follow each other, which turn so from the first one on.
pub(crate) fn energies<const BLOCKS: usize>(blocks: [&Bins; BLOCKS], turns: &[Turns; 3]) -> [f32; TONES] {
    let Some((first, others)) = blocks.split_first() else { return [0.0; TONES] };
    let (mut re, mut im) = (first.re, first.im);
    for (block, [cosines, sines]) in others.iter().zip(turns) {
        let turned = block.re.iter().zip(&block.im).zip(cosines.iter().zip(sines));
        for ((re, im), ((x, y), (c, s))) in re.iter_mut().zip(&mut im).zip(turned) {
            *re += x * c + y * s;
            *im += y * c - x * s;
        }
    }
    squares(&re, &im)
}

/// The same of a dial tone.
pub(crate) fn dialed(blocks: [&Bins; 4]) -> [f32; 2] {
    let [first, others @ ..] = blocks;
    let [mut re, mut im] = first.dial;
    for (block, [cosines, sines]) in others.iter().zip(&DIAL_TURNS) {
        let [xs, ys] = &block.dial;
        for ((re, im), ((x, y), (c, s))) in
            re.iter_mut().zip(&mut im).zip(xs.iter().zip(ys).zip(cosines.iter().zip(sines)))
        {
            *re += x * c + y * s;
            *im += y * c - x * s;
        }
    }
    squares(&re, &im)
}

fn squares<const N: usize>(re: &[f32; N], im: &[f32; N]) -> [f32; N] {
    let mut squares = [0.0; N];
    squares.iter_mut().zip(re.iter().zip(im)).for_each(|(square, (re, im))| *square = re * re + im * im);
    squares
}

/// How often a tone turns in so many samples.
#[expect(clippy::as_conversions, reason = "small whole numbers; `From` is not const")]
const fn turns(hertz: u16, samples: usize) -> f64 {
    hertz as f64 * samples as f64 / RATE as f64
}

/// How far tones that are off by this part turn in so many blocks.
#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "const: no iterators"
)]
pub(crate) const fn turned(blocks: usize, off: f64) -> Turns {
    let mut turned = [[0.0; TONES]; 2];
    let mut tone = 0;
    while tone < TONES {
        let (cosine, sine) = turn(turns(HERTZ[tone], blocks * BLOCK) * (1.0 + off));
        turned[0][tone] = cosine as f32;
        turned[1][tone] = sine as f32;
        tone += 1;
    }
    turned
}

#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "const: no iterators"
)]
const fn dial_turns() -> [[[f32; 2]; 2]; 3] {
    let mut turned = [[[0.0; 2]; 2]; 3];
    let mut block = 0;
    while block < 3 {
        let mut tone = 0;
        while tone < 2 {
            let (cosine, sine) = turn(turns(DIAL[tone], (block + 1) * BLOCK));
            turned[block][0][tone] = cosine as f32;
            turned[block][1][tone] = sine as f32;
            tone += 1;
        }
        block += 1;
    }
    turned
}

#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "const: no iterators"
)]
const fn waves() -> [[f32; LANES]; BLOCK] {
    let mut waves = [[0.0; LANES]; BLOCK];
    let mut n = 0;
    while n < BLOCK {
        let mut tone = 0;
        while tone < TONES {
            let (cosine, sine) = turn(turns(HERTZ[tone], n));
            waves[n][tone] = cosine as f32;
            waves[n][TONES + tone] = -(sine as f32);
            tone += 1;
        }
        let mut tone = 0;
        while tone < DIAL.len() {
            let (cosine, sine) = turn(turns(DIAL[tone], n));
            waves[n][2 * TONES + tone] = cosine as f32;
            waves[n][2 * TONES + DIAL.len() + tone] = -(sine as f32);
            tone += 1;
        }
        n += 1;
    }
    waves
}
