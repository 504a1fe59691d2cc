//! What two decoders that are not ours read in a sound.

use crate::tools::{must, run_command};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const DECODE_MAX: Duration = Duration::from_secs(20);

/// What each read; empty when it found nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    pub multimon: String,
    pub spandsp: String,
}

/// Decodes a WAV file's first channel, 8 kHz.
pub async fn decode(wav: &Path) -> anyhow::Result<Read> {
    let sound = |kind: &str| wav.with_extension(kind);
    let (fast, plain) = (sound("22k.raw"), sound("8k.raw"));
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    for (file, rate) in [(&fast, "22050"), (&plain, "8000")] {
        let wav = wav.to_string_lossy();
        let raw = ["-r", rate, "-e", "signed", "-b", "16", "-L", "-t", "raw"];
        let file = text(file);
        must("sox", &[&[wav.as_ref()][..], &raw, &[file.as_str(), "remix", "1"]].concat(), DECODE_MAX).await?;
    }
    let said = must("multimon-ng", &["-q", "-a", "DTMF", "-t", "raw", &text(&fast)], DECODE_MAX).await?;
    let multimon = said.lines().filter_map(|line| line.strip_prefix("DTMF: ")).collect();
    let program = spandsp(wav.parent().unwrap()).await?;
    let script = format!("'{}' < '{}'", program.display(), plain.display());
    let spandsp = must("sh", &["-c", &script], DECODE_MAX).await?.trim().to_owned();
    Ok(Read { multimon, spandsp })
}

/// What a browser made sound of: the key 9 of the open line, and none of the secured one, for no card of these tests has a 9. A decoder may
/// read one key as two where the browser of a busy machine has played it with a gap.
pub fn assert_only_nines(read: &Read) {
    for keys in [&read.multimon, &read.spandsp] {
        assert!(keys.starts_with('9') && keys.chars().all(|key| key == '9'), "{read:?}");
    }
}

/// The little program around libspandsp, compiled on the first use in a folder.
async fn spandsp(folder: &Path) -> anyhow::Result<PathBuf> {
    let program = folder.join("spandsp_dtmf");
    if !program.exists() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/spandsp_dtmf.c");
        let new = folder.join(format!("spandsp_dtmf.{}", uuid()));
        let mut command = Command::new("cc");
        command.args(["-O1", "-Wall", "-o"]).arg(&new).args([source, "-lspandsp"]);
        let said = run_command(&mut command, DECODE_MAX).await?;
        anyhow::ensure!(said.good, "compiling {source} (libspandsp-dev is needed): {}", said.all());
        // Another task of the same test may do the same at the same time.
        std::fs::rename(new, &program)?;
    }
    Ok(program)
}

fn uuid() -> u64 {
    let seed = lab::line::random_seed();
    u64::from_be_bytes(seed[..8].try_into().unwrap())
}

/// Writes 8 kHz mono samples as a WAV file.
pub fn write_wav(path: &Path, samples: &[i16]) -> std::io::Result<()> {
    let bytes = u32::try_from(samples.len() * 2).unwrap();
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend(b"RIFF");
    file.extend((bytes + 36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1, 0, 1, 0]);
    file.extend(8_000_u32.to_le_bytes());
    file.extend(16_000_u32.to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::fs::write(path, file)
}
