//! How one direction of a leg is coded, with the state that this keeps.
//!
//! A code of G.711 is a sample, whatever was before it. One of G.722 says how the sound goes on, so whoever codes or decodes
//! keeps what went before: each direction of a leg has a state of its own, which follows every packet in order.

use crate::g711::{self, Law};
use crate::g722::Coder;
use crate::interface::Codec;
use crate::rtp::PAYLOAD_MAX;

/// A codec with its state, if it keeps one.
#[derive(Clone)]
pub(crate) enum Coding {
    G711(Law),
    G722(Box<Coder>),
}

impl Coding {
    /// At the beginning of a stream.
    pub(crate) fn new(codec: Codec) -> Self {
        match codec {
            Codec::G711(law) => Self::G711(law),
            Codec::G722 => Self::G722(Box::default()),
        }
    }

    /// Another stream begins.
    pub(crate) fn start_anew(&mut self) {
        if let Self::G722(coder) = self {
            **coder = Coder::default();
        }
    }

    pub(crate) fn keeps_state(&self) -> bool {
        matches!(self, Self::G722(_))
    }

    /// Can codes of this codec be passed on without their samples?
    pub(crate) fn takes(&self, from: Codec) -> bool {
        matches!((self, from), (Self::G711(_), Codec::G711(_)) | (Self::G722(_), Codec::G722))
    }

    /// The next samples that were coded so.
    pub(crate) fn decode(&mut self, codes: &[u8], samples: &mut [i16]) {
        let pairs = samples.iter_mut().zip(codes);
        match self {
            Self::G711(law) => pairs.for_each(|(sample, code)| *sample = g711::decode(*law, *code)),
            Self::G722(coder) => pairs.for_each(|(sample, code)| *sample = coder.decode(*code)),
        }
    }

    /// Codes the next samples.
    pub(crate) fn encode(&mut self, samples: &[i16], codes: &mut [u8]) {
        let pairs = codes.iter_mut().zip(samples);
        match self {
            Self::G711(law) => pairs.for_each(|(code, sample)| *code = g711::encode(*law, *sample)),
            Self::G722(coder) => pairs.for_each(|(code, sample)| *code = coder.encode(*sample)),
        }
    }

    /// Passes codes on that [`Coding::takes`], and follows them unless they are of a place that has gone by.
    pub(crate) fn pass(&mut self, from: Codec, codes: &[u8], late: bool, to: &mut [u8]) {
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
            _ => {}
        }
    }

    /// The state, to [`Coding::restore`] it if what is coded next is not sent.
    pub(crate) fn kept(&self) -> Option<Coder> {
        match self {
            Self::G711(_) => None,
            Self::G722(coder) => Some(Coder::clone(coder)),
        }
    }

    pub(crate) fn restore(&mut self, kept: Option<Coder>) {
        if let (Self::G722(coder), Some(kept)) = (self, kept) {
            **coder = kept;
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
        let mut decoded = Self::silence(payload.len());
        coding.decode(payload, &mut decoded.samples);
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
