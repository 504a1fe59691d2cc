//! The three decoders.

use crate::level::RATE;
use crate::speech::{piped, sox_raw};
use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const COUNT: usize = 3;
pub(crate) const NAMES: [&str; COUNT] = ["ours", "spandsp", "multimon-ng"];
/// What multimon-ng wants.
const MULTIMON_RATE: usize = 22_050;

/// Ours, libspandsp's and multimon-ng's.
pub(crate) struct Decoders {
    spandsp: PathBuf,
}

impl Decoders {
    /// Compiles what has to be.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tonewall/tests/peers/spandsp_dtmf.c");
        let mut help = Command::new("multimon-ng");
        let there = help.arg("-h").output();
        ensure!(there.is_ok(), "multimon-ng cannot be started; Debian has it as multimon-ng");
        Ok(Self { spandsp: compiled(Path::new(source), "spandsp_dtmf")? })
    }

    /// What each reads, all four letters as `A`.
    pub(crate) fn read(&self, samples: &[i16]) -> anyhow::Result<[Vec<u8>; COUNT]> {
        let plain = bytes(samples);
        let letters =
            |keys: Vec<u8>| keys.into_iter().map(|key| if key.is_ascii_alphabetic() { b'A' } else { key }).collect();
        let ours = lab::decode::sound(samples).into_iter().filter_map(|read| u8::try_from(read.key).ok()).collect();
        let spandsp = piped(&mut Command::new(&self.spandsp), &plain)?;
        let spandsp = spandsp.into_iter().filter(|key| !key.is_ascii_whitespace()).collect();
        let fast = sox_raw(&plain, RATE, MULTIMON_RATE)?;
        let said = piped(Command::new("multimon-ng").args(["-q", "-a", "DTMF", "-t", "raw", "-"]), &fast)?;
        let said = String::from_utf8_lossy(&said).into_owned();
        let multimon = said.lines().filter_map(|line| line.strip_prefix("DTMF: ")?.bytes().next()).collect();
        Ok([letters(ours), letters(spandsp), letters(multimon)])
    }
}

/// 16 bits, little-endian.
pub(crate) fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// And back.
pub(crate) fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// A little C program around libspandsp, compiled into the target folder when its source is newer.
pub(crate) fn compiled(source: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/trials");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let program = folder.join(name);
    let changed = |path: &Path| std::fs::metadata(path).and_then(|about| about.modified()).ok();
    if changed(&program) < changed(source) {
        let mut command = Command::new("cc");
        let output = command.args(["-O2", "-Wall", "-o"]).arg(&program).arg(source).arg("-lspandsp").output();
        let output = output.context("cc cannot be started; a C compiler is needed")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{} (Debian's libspandsp-dev is needed): {said}", source.display());
    }
    Ok(program)
}
