//! WAV files of 8 kHz, 16-bit linear samples: written piece by piece, read whole.

use crate::number::RATE;

/// Bytes before the first sample of a file that is written here.
pub const HEADER_LENGTH: usize = 44;
/// The most channels that are read: the two sides of a call.
const CHANNELS_MAX: u16 = 2;
const PCM: u16 = 1;
const SAMPLE_BYTES: u16 = 2;

/// The beginning of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavHeader {
    /// 1 or 2.
    pub channels: u16,
    /// 8000 for everything of this crate.
    pub samples_per_second: u32,
    /// How many samples a channel has; may be brought up to date while a file grows.
    pub samples_per_channel: u32,
}

impl WavHeader {
    /// The bytes before the samples.
    pub fn bytes(&self) -> [u8; HEADER_LENGTH] {
        let frame = self.channels.saturating_mul(SAMPLE_BYTES);
        let data = self.samples_per_channel.saturating_mul(u32::from(frame));
        let parts: [&[u8]; 13] = [
            b"RIFF",
            &data.saturating_add(36).to_le_bytes(),
            b"WAVE",
            b"fmt ",
            &16u32.to_le_bytes(),
            &PCM.to_le_bytes(),
            &self.channels.to_le_bytes(),
            &self.samples_per_second.to_le_bytes(),
            &self.samples_per_second.saturating_mul(u32::from(frame)).to_le_bytes(),
            &frame.to_le_bytes(),
            &(SAMPLE_BYTES * 8).to_le_bytes(),
            b"data",
            &data.to_le_bytes(),
        ];
        let mut bytes = [0; HEADER_LENGTH];
        bytes.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        bytes
    }
}

/// Appends samples; those of two channels take turns.
pub fn append(to: &mut Vec<u8>, samples: &[i16]) {
    to.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
}

/// A whole file in memory.
pub fn file(channels: u16, interleaved: &[i16]) -> Vec<u8> {
    let samples = u32::try_from(interleaved.len()).unwrap_or(u32::MAX) / u32::from(channels.max(1));
    let header = WavHeader { channels, samples_per_second: RATE, samples_per_channel: samples };
    let mut bytes = header.bytes().to_vec();
    append(&mut bytes, interleaved);
    bytes
}

/// What could be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Wav {
    /// One or two channels of equal length, 8 kHz.
    pub channels: Vec<Vec<i16>>,
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// Not a RIFF file of kind WAVE, or cut off within a chunk's head.
    #[error("not a WAV file")]
    NotWav,
    /// Of another kind than 8 kHz, 16-bit PCM, one or two channels.
    #[error("not 8 kHz 16-bit PCM of one or two channels")]
    Unsupported,
    /// The samples or their description are missing.
    #[error("no samples")]
    NoSamples,
}

/// Reads a file. One that is cut off, as of a recording that is still going on, is read as far as it goes.
pub fn parse(bytes: &[u8]) -> Result<Wav, WavError> {
    let mut rest = bytes.strip_prefix(b"RIFF").and_then(|rest| rest.get(4..)).ok_or(WavError::NotWav)?;
    rest = rest.strip_prefix(b"WAVE").ok_or(WavError::NotWav)?;
    let mut channels = None;
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, l0, l1, l2, l3] = *head;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let body = after.get(..length).unwrap_or(after);
        match &[a, b, c, d] {
            b"fmt " => channels = Some(format(body)?),
            b"data" => return Ok(deinterleave(body, channels.ok_or(WavError::NoSamples)?)),
            _ => {}
        }
        // Chunks are padded to an even length.
        rest = after.get(length.saturating_add(length % 2)..).unwrap_or_default();
    }
    Err(WavError::NoSamples)
}

/// The number of channels.
fn format(body: &[u8]) -> Result<u16, WavError> {
    let [k0, k1, c0, c1, r0, r1, r2, r3, _, _, _, _, _, _, b0, b1] =
        *body.first_chunk::<16>().ok_or(WavError::NotWav)?;
    let channels = u16::from_le_bytes([c0, c1]);
    let right = u16::from_le_bytes([k0, k1]) == PCM
        && u32::from_le_bytes([r0, r1, r2, r3]) == RATE
        && u16::from_le_bytes([b0, b1]) == SAMPLE_BYTES * 8
        && (1..=CHANNELS_MAX).contains(&channels);
    if right { Ok(channels) } else { Err(WavError::Unsupported) }
}

fn deinterleave(body: &[u8], channels: u16) -> Wav {
    let count = usize::from(channels);
    let (samples, _) = body.as_chunks::<2>();
    let whole = samples.len() / count * count;
    let channel = |first: usize| {
        samples.iter().take(whole).skip(first).step_by(count).map(|bytes| i16::from_le_bytes(*bytes)).collect()
    };
    Wav { channels: (0..count).map(channel).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let wav = parse(&file(2, &[1, -1, 2, -2, 3, -3])).unwrap();
        assert_eq!(wav.channels, [[1, 2, 3], [-1, -2, -3]]);
        assert_eq!(parse(&file(1, &[7])).unwrap().channels, [[7]]);
    }

    #[test]
    fn a_file_cut_off_is_read_as_far_as_it_goes() {
        let bytes = file(2, &[1, -1, 2, -2]);
        assert_eq!(parse(&bytes[..bytes.len() - 3]).unwrap().channels, [[1], [-1]]);
        assert_eq!(parse(&bytes[..40]), Err(WavError::NoSamples));
    }

    #[test]
    fn other_kinds_are_refused_and_other_chunks_skipped() {
        assert_eq!(parse(b"RIFX"), Err(WavError::NotWav));
        let mut bytes = file(1, &[5]);
        bytes[24] = 0x44;
        assert_eq!(parse(&bytes), Err(WavError::Unsupported));
        let mut bytes = file(1, &[5]);
        bytes.splice(36..36, *b"LIST\x03\0\0\0abc\0");
        assert_eq!(parse(&bytes).unwrap().channels, [[5]]);
    }
}
