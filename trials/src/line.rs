//! What a telephone line makes of sound.

use crate::level;
use crate::opusleg::{BROWSER, SPEECH};
use media::Codec;
use media::g711::{self, Law};
use media::g722;
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// What a caller's phone speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Phone {
    /// A-law or µ-law.
    #[default]
    G711,
    /// The lower half of G.722, in which keys lie; a phone's filter between the halves is left out.
    G722,
    /// Opus as we ask for it: constant, for speech, 8 kHz.
    Opus,
    /// Opus as browsers send it: 48 kHz, with forward error correction.
    Browser,
    /// The same, made G.711 on the way by a PBX or a carrier.
    Recoded,
}

impl Phone {
    pub(crate) fn codec(self, law: Law) -> Codec {
        match self {
            Self::G711 | Self::Recoded => Codec::G711(law),
            Self::G722 => Codec::G722,
            Self::Opus | Self::Browser => Codec::Opus,
        }
    }

    /// What we hear of a sound that this phone sends.
    pub(crate) fn through(self, sound: &[f64], law: Law) -> anyhow::Result<Vec<i16>> {
        let samples = level::samples(sound);
        match self {
            Self::G711 => Ok(coded(&samples, law)),
            Self::G722 => Ok(coded_by_halves(&samples)),
            Self::Opus => SPEECH.through(&samples),
            Self::Browser => BROWSER.through(&samples),
            Self::Recoded => Ok(coded(&BROWSER.through(&samples)?, law)),
        }
    }
}

/// Through a codec and back.
pub(crate) fn coded(samples: &[i16], law: Law) -> Vec<i16> {
    samples.iter().map(|sample| g711::decode(law, g711::encode(law, *sample))).collect()
}

/// Through G.722 and back. The receiver is a state of its own, as ours is of the caller's phone.
pub(crate) fn coded_by_halves(samples: &[i16]) -> Vec<i16> {
    let (mut phone, mut receiver) = (g722::Coder::default(), g722::Coder::default());
    samples.iter().map(|sample| receiver.decode(phone.encode(*sample))).collect()
}

/// The band of an analog telephone, 300 to 3400 Hz: two filters of second order, of Butterworth's shape.
pub(crate) fn telephone_band(sound: &[f64]) -> Vec<f64> {
    let high = Biquad::new(300.0, true).run(sound);
    Biquad::new(3400.0, false).run(&high)
}

/// The same sound, faster and higher by this factor.
pub(crate) fn pitched(sound: &[f64], factor: f64) -> Vec<f64> {
    let count = ((sound.len().max(4) - 3) as f64 / factor) as usize;
    let at = |n: usize| {
        let place = 1.0 + n as f64 * factor;
        let (whole, t) = (place as usize, place.fract());
        let Some([a, b, c, d]) = sound.get(whole - 1..whole + 3) else { return 0.0 };
        // A cubic curve through four samples.
        b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
    };
    (0..count).map(at).collect()
}

struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    fn new(hertz: f64, high_pass: bool) -> Self {
        let omega = TAU * hertz / level::RATE as f64;
        let (sine, cosine) = omega.sin_cos();
        let alpha = sine * FRAC_1_SQRT_2;
        let edge = if high_pass { 1.0 + cosine } else { 1.0 - cosine };
        let middle = if high_pass { -edge } else { edge };
        let scale = 1.0 / (1.0 + alpha);
        Self {
            b: [edge / 2.0 * scale, middle * scale, edge / 2.0 * scale],
            a: [-2.0 * cosine * scale, (1.0 - alpha) * scale],
        }
    }

    fn run(&self, sound: &[f64]) -> Vec<f64> {
        let (mut x, mut y) = ([0.0; 2], [0.0; 2]);
        let mut next = |sample: f64| {
            let out = self.b[0] * sample + self.b[1] * x[0] + self.b[2] * x[1] - self.a[0] * y[0] - self.a[1] * y[1];
            x = [sample, x[0]];
            y = [out, y[0]];
            out
        };
        sound.iter().map(|sample| next(*sample)).collect()
    }
}
