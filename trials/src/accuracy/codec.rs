//! What codecs on the way leave of a key. The last one is G.711, in which it comes to us, but on a leg of Opus.

use super::decoders::{bytes, compiled, samples};
use crate::level::RATE;
use crate::opusleg::OpusLeg;
use crate::speech::{piped, sox_raw};
use anyhow::ensure;
use media::g711::{self, Law};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A codec, by itself or before µ-law.
#[derive(Clone, Debug)]
pub(crate) enum Codec {
    /// 16-bit samples.
    Linear,
    Mulaw,
    Alaw,
    /// 64 kbit/s, at its own 16 kHz; the program that codes it.
    G722(PathBuf),
    /// So many kbit/s, constant, 20 ms, in narrow band.
    Opus(u8),
    /// GSM 06.10, full rate.
    Gsm,
    /// As it comes to us on a leg of it.
    OpusLeg(OpusLeg),
}

impl Codec {
    /// G.722 with libspandsp.
    pub(crate) fn g722() -> anyhow::Result<Self> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/accuracy/spandsp_g722.c");
        Ok(Self::G722(compiled(Path::new(source), "spandsp_g722")?))
    }

    /// Coded and decoded again.
    pub(crate) fn through(&self, sound: &[i16]) -> anyhow::Result<Vec<i16>> {
        let wide = 2 * RATE;
        let decoded = match self {
            Self::Linear => return Ok(sound.to_vec()),
            Self::Mulaw => return Ok(law(Law::Mu, sound)),
            Self::Alaw => return Ok(law(Law::A, sound)),
            Self::G722(program) => {
                let faster = sox_raw(&bytes(sound), RATE, wide)?;
                sox_raw(&piped(&mut Command::new(program), &faster)?, wide, RATE)?
            }
            Self::Opus(kilobits) => opus(*kilobits, &bytes(sound))?,
            Self::Gsm => gsm(&bytes(sound))?,
            Self::OpusLeg(leg) => return leg.through(sound),
        };
        ensure!(decoded.len() >= sound.len(), "{self:?} gave {} of {} bytes", decoded.len(), 2 * sound.len());
        Ok(law(Law::Mu, &samples(&decoded)))
    }
}

fn law(law: Law, sound: &[i16]) -> Vec<i16> {
    sound.iter().map(|sample| g711::decode(law, g711::encode(law, *sample))).collect()
}

/// opusenc counts the narrow band as 1101 and its choice as 4008 (opus_defines.h).
fn opus(kilobits: u8, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
    /// opusdec writes a WAV file; what follows its header is samples.
    const WAV_HEADER: usize = 44;
    let rate = RATE.to_string();
    let raw = ["--quiet", "--raw", "--raw-rate", &rate, "--raw-chan", "1"];
    let bitrate = kilobits.to_string();
    let how =
        ["--bitrate", &bitrate, "--hard-cbr", "--speech", "--framesize", "20", "--set-ctl-int", "4008=1101", "-", "-"];
    let coded = piped(Command::new("opusenc").args(raw).args(how), plain)?;
    let decoded = piped(Command::new("opusdec").args(["--quiet", "--rate", &rate, "--force-wav", "-", "-"]), &coded)?;
    Ok(decoded.get(WAV_HEADER..).unwrap_or_default().to_vec())
}

fn gsm(plain: &[u8]) -> anyhow::Result<Vec<u8>> {
    let rate = RATE.to_string();
    let raw = ["-t", "raw", "-r", &rate, "-e", "signed", "-b", "16", "-c", "1"];
    let coded = piped(Command::new("sox").arg("-D").args(raw).args(["-", "-t", "gsm", "-r", &rate, "-"]), plain)?;
    piped(Command::new("sox").args(["-D", "-t", "gsm", "-r", &rate, "-"]).args(raw).arg("-"), &coded)
}
