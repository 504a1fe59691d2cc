//! The sound of 5 ms held against the keypad's frequencies: what the gate of the mask rests on.
//!
//! A table is faster than filters that run from sample to sample, because nothing waits for the sample before.

use crate::dtmf::{HIGH, LOW};
use crate::number::RATE;
use crate::waves::turn;

/// Samples of a block: 5 ms.
pub(crate) const BLOCK: usize = 40;
/// Frequencies: four low ones, four high ones.
pub(crate) const TONES: usize = 8;

/// All frequencies, in Hz.
pub(crate) const HERTZ: [u16; TONES] = {
    let [a, b, c, d] = LOW;
    let [e, f, g, h] = HIGH;
    [a, b, c, d, e, f, g, h]
};

/// Cosine and sine of each frequency, sample by sample.
static WAVES: [[[f32; TONES]; 2]; BLOCK] = waves();

/// One block: the sum of x e^-jωt from its first sample on, by frequency, and its energy.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bins {
    pub(crate) re: [f32; TONES],
    pub(crate) im: [f32; TONES],
    pub(crate) energy: f32,
}

impl Bins {
    pub(crate) fn new(samples: &[f32; BLOCK]) -> Self {
        let (mut re, mut im) = ([0.0; TONES], [0.0; TONES]);
        for (sample, [cosines, sines]) in samples.iter().zip(&WAVES) {
            for ((re, im), (cosine, sine)) in re.iter_mut().zip(&mut im).zip(cosines.iter().zip(sines)) {
                *re += sample * cosine;
                *im -= sample * sine;
            }
        }
        // In four lanes, so that the sums need not wait for each other.
        let (fours, _) = samples.as_chunks::<4>();
        let mut lanes = [0.0_f32; 4];
        for four in fours {
            lanes.iter_mut().zip(four).for_each(|(lane, sample)| *lane += sample * sample);
        }
        Self { re, im, energy: lanes.iter().sum() }
    }
}

/// How often a tone turns in so many samples.
#[expect(clippy::as_conversions, reason = "small whole numbers; `From` is not const")]
pub(crate) const fn turns(hertz: u16, samples: usize) -> f64 {
    hertz as f64 * samples as f64 / RATE as f64
}

#[expect(clippy::as_conversions, clippy::indexing_slicing, reason = "a const context has no iterators")]
const fn waves() -> [[[f32; TONES]; 2]; BLOCK] {
    let mut waves = [[[0.0; TONES]; 2]; BLOCK];
    let mut n = 0;
    while n < BLOCK {
        let mut tone = 0;
        while tone < TONES {
            let (cosine, sine) = turn(turns(HERTZ[tone], n));
            waves[n][0][tone] = cosine as f32;
            waves[n][1][tone] = sine as f32;
            tone += 1;
        }
        n += 1;
    }
    waves
}
