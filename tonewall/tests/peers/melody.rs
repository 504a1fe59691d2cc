//! A sound that is known again, whatever codec it went through: six notes, one after the other, again and again. None is near
//! a tone of a key.

use crate::decoders::write_wav;
use std::path::Path;

/// Notes of one melody, in Hz, all multiples of 25: each fits a frame.
pub struct Melody([f64; 6]);

pub const OF_CALLER: Melody = Melody([400.0, 550.0, 1050.0, 1800.0, 2150.0, 2900.0]);
pub const OF_AGENT: Melody = Melody([450.0, 600.0, 1100.0, 1900.0, 2300.0, 3000.0]);

const RATE: f64 = 8_000.0;
/// Of a note, 320 ms.
const NOTE: usize = 2_560;
/// 40 ms.
const FRAME: usize = 320;
const LEVEL: f64 = 5_000.0;
/// A frame is a note if so much of its energy is that note's.
const PURE: f64 = 0.8;
/// Whatever is softer is silence.
const LOUD: f64 = 300.0;
/// Frames that a note must last to be one.
const FRAMES_MIN: usize = 4;

impl Melody {
    /// Once through, at 8 kHz.
    pub fn samples(&self) -> Vec<i16> {
        let note =
            |hz: f64| (0..NOTE).map(move |at| ((at as f64 * hz / RATE * std::f64::consts::TAU).sin() * LEVEL) as i16);
        self.0.into_iter().flat_map(note).collect()
    }

    pub fn write(&self, wav: &Path) -> anyhow::Result<()> {
        Ok(write_wav(wav, &self.samples())?)
    }

    /// The notes that are heard, one letter each; whatever is no note is left out.
    pub fn notes(&self, samples: &[i16]) -> String {
        let frames: Vec<Option<usize>> = samples.chunks_exact(FRAME).map(|frame| self.note(frame)).collect();
        let lasting = frames.chunk_by(|a, b| a == b).filter(|run| run.len() >= FRAMES_MIN);
        lasting.filter_map(|run| run[0]).map(|note| char::from(b'a' + note as u8)).collect()
    }

    fn note(&self, frame: &[i16]) -> Option<usize> {
        let energy: f64 = frame.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        if energy < LOUD.powi(2) * frame.len() as f64 {
            return None;
        }
        self.0.iter().position(|hz| power(frame, *hz) > PURE * energy)
    }
}

/// The energy of a frame at one frequency.
fn power(frame: &[i16], hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (at, sample) in frame.iter().enumerate() {
        let angle = at as f64 * hz / RATE * std::f64::consts::TAU;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    (re * re + im * im) * 2.0 / frame.len() as f64
}

/// The samples of a WAV file as `write_wav` and the pages write it.
pub fn read_wav(wav: &Path) -> anyhow::Result<Vec<i16>> {
    let file = std::fs::read(wav)?;
    anyhow::ensure!(file.len() > 44, "an empty recording");
    Ok(file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}

#[test]
fn a_melody_is_known_again_and_is_no_other() {
    let twice = OF_CALLER.samples().repeat(2);
    assert_eq!(OF_CALLER.notes(&twice), "abcdefabcdef");
    assert_eq!(OF_AGENT.notes(&twice), "");
    let hiss: Vec<i16> = (0..16_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 18) as i16 - 8_192).collect();
    assert_eq!(OF_CALLER.notes(&hiss), "");
    assert_eq!(OF_CALLER.notes(&[0; 8000]), "");
}
