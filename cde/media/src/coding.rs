//! How one direction of a leg is coded, with the state that this keeps.
//!
//! A code of G.711 is a sample, whatever was before it. One of G.722 says how the sound goes on, so whoever codes or decodes
//! keeps what went before: each direction of a leg has a state of its own, which follows every packet in order. One of Opus
//! says as much, and whoever codes it holds the newest 2.5 ms back.

use crate::g711::{self, Law};
use crate::g722::Coder;
use crate::interface::Codec;
use crate::opus;
use crate::rtp::PAYLOAD_MAX;

/// A codec with its state, if it keeps one.
pub(crate) enum Coding {
    G711(Law),
    G722(Box<Coder>),
    Opus(Box<opus::Way>),
}

/// Samples of 8 kHz in a payload; none if it is none of this codec.
pub(crate) fn samples(codec: Codec, payload: &[u8]) -> Option<usize> {
    match codec {
        Codec::G711(_) | Codec::G722 => Some(payload.len()),
        Codec::Opus => opus::samples(payload),
    }
}

impl Coding {
    /// At the beginning of a stream.
    pub(crate) fn new(codec: Codec) -> Self {
        match codec {
            Codec::G711(law) => Self::G711(law),
            Codec::G722 => Self::G722(Box::default()),
            Codec::Opus => Self::Opus(Box::default()),
        }
    }

    /// Another stream begins.
    pub(crate) fn start_anew(&mut self) {
        match self {
            Self::G711(_) => {}
            Self::G722(coder) => **coder = Coder::default(),
            Self::Opus(way) => way.start_anew(),
        }
    }

    /// What decodes what is coded from here on, knowing nothing of how it was coded. Where codes do not tell the state that
    /// the coder has come to, it begins anew itself, and what it has held back is gone.
    pub(crate) fn ear(&mut self) -> Self {
        match self {
            Self::G711(law) => Self::G711(*law),
            Self::G722(coder) => Self::G722(coder.clone()),
            Self::Opus(way) => {
                way.start_anew();
                Self::Opus(Box::default())
            }
        }
    }

    pub(crate) fn keeps_state(&self) -> bool {
        matches!(self, Self::G722(_) | Self::Opus(_))
    }

    /// Is what was coded last still to be heard?
    pub(crate) fn holds_back(&self) -> bool {
        matches!(self, Self::Opus(_))
    }

    /// Can codes of this codec be passed on without their samples? Those of Opus never: each packet of them hangs on those
    /// before, and may hold a copy of one.
    pub(crate) fn takes(&self, from: Codec) -> bool {
        matches!((self, from), (Self::G711(_), Codec::G711(_)) | (Self::G722(_), Codec::G722))
    }

    /// Can so many samples be coded as a payload?
    pub(crate) fn takes_length(&self, samples: usize) -> bool {
        match self {
            Self::G711(_) | Self::G722(_) => true,
            Self::Opus(_) => opus::takes(samples),
        }
    }

    /// The sample that a timestamp of what is coded so stands for.
    pub(crate) fn sample(&mut self, timestamp: u32) -> u32 {
        match self {
            Self::G711(_) | Self::G722(_) => timestamp,
            Self::Opus(way) => way.ticks.sample(timestamp),
        }
    }

    /// The next samples that were coded so, and how many they are.
    pub(crate) fn decode(&mut self, codes: &[u8], samples: &mut [i16]) -> usize {
        let length = samples.len().min(codes.len());
        let pairs = samples.iter_mut().zip(codes);
        match self {
            Self::G711(law) => pairs.for_each(|(sample, code)| *sample = g711::decode(*law, *code)),
            Self::G722(coder) => pairs.for_each(|(sample, code)| *sample = coder.decode(*code)),
            Self::Opus(way) => return way.decode(codes, samples),
        }
        length
    }

    /// Codes the next samples, and says how many bytes they take; none if it cannot.
    pub(crate) fn encode(&mut self, samples: &[i16], codes: &mut [u8]) -> Option<usize> {
        let length = samples.len().min(codes.len());
        let pairs = codes.iter_mut().zip(samples);
        match self {
            Self::G711(law) => pairs.for_each(|(code, sample)| *code = g711::encode(*law, *sample)),
            Self::G722(coder) => pairs.for_each(|(code, sample)| *code = coder.encode(*sample)),
            Self::Opus(way) => return way.encode(samples, codes),
        }
        Some(length)
    }

    /// Passes codes on that [`Coding::takes`], as many, and follows them unless they are of a place that has gone by.
    pub(crate) fn pass(&mut self, from: Codec, codes: &[u8], late: bool, to: &mut [u8]) -> Option<usize> {
        let to = to.get_mut(..codes.len())?;
        match (self, from) {
            (Self::G711(law), Codec::G711(from)) => {
                to.iter_mut().zip(codes).for_each(|(to, code)| *to = g711::transcode(from, *law, *code));
            }
            (Self::G722(coder), Codec::G722) => {
                to.iter_mut().zip(codes).for_each(|(to, code)| *to = *code);
                for code in codes.iter().filter(|_| !late) {
                    coder.follow(*code);
                }
            }
            _ => return None,
        }
        Some(codes.len())
    }

    /// The state, to [`Coding::restore`] it if what is coded next is not sent.
    pub(crate) fn kept(&self) -> Option<Coder> {
        match self {
            Self::G711(_) | Self::Opus(_) => None,
            Self::G722(coder) => Some(Coder::clone(coder)),
        }
    }

    /// Where none was kept that can be gone back to, what comes is coded, or decoded, as a beginning.
    pub(crate) fn restore(&mut self, kept: Option<Coder>) {
        match (self, kept) {
            (Self::G722(coder), Some(kept)) => **coder = kept,
            (Self::Opus(way), _) => way.start_anew(),
            _ => {}
        }
    }
}

/// What a coder with a memory makes of silence is softer than this (-63 dBm0), and different each time.
const TRACE: i16 = 16;

/// The samples of a payload.
pub(crate) struct Samples {
    samples: [i16; PAYLOAD_MAX],
    length: usize,
}

impl Samples {
    pub(crate) fn decode(coding: &mut Coding, payload: &[u8]) -> Self {
        let mut decoded = Self::silence(0);
        decoded.length = coding.decode(payload, &mut decoded.samples);
        decoded
    }

    /// So many samples of nothing.
    pub(crate) fn silence(length: usize) -> Self {
        Self { samples: [0; PAYLOAD_MAX], length }
    }

    /// Takes out what is too soft to be anything but the coder's own noise.
    pub(crate) fn without_traces(&mut self) {
        for sample in &mut self.samples {
            if (-TRACE..=TRACE).contains(sample) {
                *sample = 0;
            }
        }
    }

    pub(crate) fn as_slice(&self) -> &[i16] {
        self.samples.get(..self.length).unwrap_or(&self.samples)
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [i16] {
        let length = self.length.min(PAYLOAD_MAX);
        self.samples.split_at_mut(length).0
    }
}
