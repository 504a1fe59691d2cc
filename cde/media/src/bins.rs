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

/// Cosine and sine of each frequency, sample by sample.
pub(crate) type Waves<const N: usize> = [[[f32; N]; 2]; BLOCK];

static KEYPAD_WAVES: Waves<TONES> = waves(HERTZ);

/// One block: the sum of x e^-jωt from its first sample on, by frequency, and its energy.
#[derive(Clone, Copy)]
pub(crate) struct Bins<const N: usize> {
    pub(crate) re: [f32; N],
    pub(crate) im: [f32; N],
    pub(crate) energy: f32,
}

impl<const N: usize> Default for Bins<N> {
    fn default() -> Self {
        Self { re: [0.0; N], im: [0.0; N], energy: 0.0 }
    }
}

impl Bins<TONES> {
    pub(crate) fn of_keypad(samples: &[f32; BLOCK]) -> Self {
        Self::new(samples, &KEYPAD_WAVES)
    }
}

impl<const N: usize> Bins<N> {
    pub(crate) fn new(samples: &[f32; BLOCK], waves: &Waves<N>) -> Self {
        let (mut re, mut im) = ([0.0; N], [0.0; N]);
        for (sample, [cosines, sines]) in samples.iter().zip(waves) {
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

    /// The squared magnitude of one frequency.
    pub(crate) fn square(&self, place: usize) -> f32 {
        let at = |of: &[f32; N]| of.get(place).copied().unwrap_or_default();
        at(&self.re).powi(2) + at(&self.im).powi(2)
    }
}

/// How often a tone turns in so many samples.
#[expect(clippy::as_conversions, reason = "small whole numbers; `From` is not const")]
pub(crate) const fn turns(hertz: u16, samples: usize) -> f64 {
    hertz as f64 * samples as f64 / RATE as f64
}

#[expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "const: no iterators"
)]
pub(crate) const fn waves<const N: usize>(hertz: [u16; N]) -> Waves<N> {
    let mut waves = [[[0.0; N]; 2]; BLOCK];
    let mut n = 0;
    while n < BLOCK {
        let mut tone = 0;
        while tone < N {
            let (cosine, sine) = turn(turns(hertz[tone], n));
            waves[n][0][tone] = cosine as f32;
            waves[n][1][tone] = sine as f32;
            tone += 1;
        }
        n += 1;
    }
    waves
}
