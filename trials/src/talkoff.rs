//! False keys in hours of people, machines and music in which there is none.

use crate::accuracy::decoders::{COUNT, Decoders, NAMES};
use crate::level;
use crate::speech::{self, Speaker, espeak, flite, piped, sox};
use anyhow::Context;
use media::g711::{self, Law};
use std::path::Path;
use std::process::Command;

const MUSIC: &str = "/usr/share/asterisk/moh";
/// Debian has these on every machine; they make hours when they are read aloud.
const LICENCES: [&str; 3] = [
    "/usr/share/common-licenses/GPL-3",
    "/usr/share/common-licenses/Apache-2.0",
    "/usr/share/common-licenses/GFDL-1.3",
];
/// espeak-ng's voices; those without a text of their own read English as best they can.
const VOICES: [&str; 8] = ["en", "de", "fr", "es", "it", "ru", "pt", "nl"];
const PITCHES: [u8; 5] = [10, 30, 50, 70, 90];
/// Pitches in which licences are read.
const READING: [u8; 2] = [20, 80];
const FLITE: [&str; 4] = ["awb", "rms", "slt", "kal16"];
/// As loud as people speak into a telephone, in turn.
const LEVELS_DBM0: [f64; 3] = [-20.0, -15.0, -10.0];

#[derive(Default)]
struct Heard {
    samples: usize,
    false_keys: [usize; COUNT],
}

/// Listens to everybody; prints a table. With `short` licences are not read, which leaves out most hours.
pub(crate) fn run(short: bool) -> anyhow::Result<()> {
    let decoders = Decoders::new()?;
    println!("| who | hours | {} |\n|---|---|---|---|---|", NAMES.join(" | "));
    let mut all = Heard::default();
    let mut group = |name: &str, sounds: &mut dyn Iterator<Item = anyhow::Result<Vec<f64>>>| {
        let heard = listen(&decoders, name, sounds)?;
        print(name, &heard);
        all.samples += heard.samples;
        all.false_keys.iter_mut().zip(heard.false_keys).for_each(|(all, more)| *all += more);
        anyhow::Ok(())
    };
    group("people (Debian's prompts, eight voices)", &mut said(speech::humans()))?;
    group("music on hold", &mut music()?.into_iter().map(Ok))?;
    let machines = VOICES.iter().flat_map(|voice| PITCHES.map(|pitch| espeak(voice, pitch))).collect();
    group("espeak-ng, eight languages, five pitches", &mut said(machines))?;
    group("flite, four voices", &mut said(FLITE.map(flite).into_iter().collect()))?;
    if !short {
        group("licences read by espeak-ng, eight voices, two pitches", &mut licences())?;
    }
    print("all", &all);
    Ok(())
}

fn said(speakers: Vec<Speaker>) -> impl Iterator<Item = anyhow::Result<Vec<f64>>> {
    speakers.into_iter().map(|speaker| Ok(speaker.clips()?.concat()))
}

fn music() -> anyhow::Result<Vec<Vec<f64>>> {
    let folder = std::fs::read_dir(MUSIC).with_context(|| format!("{MUSIC}: Debian's asterisk-moh-opsound-wav"))?;
    let mut files = folder.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    files
        .iter()
        .filter(|file| file.extension().is_some_and(|kind| kind == "wav"))
        .map(|file| wav(&sox(&[&file.to_string_lossy()], &[])?))
        .collect()
}

fn licences() -> impl Iterator<Item = anyhow::Result<Vec<f64>>> {
    let voices = VOICES.iter().flat_map(|voice| READING.map(|pitch| (voice, pitch)));
    voices.flat_map(|(voice, pitch)| LICENCES.iter().map(move |file| read_aloud(voice, pitch, Path::new(file))))
}

fn read_aloud(voice: &str, pitch: u8, file: &Path) -> anyhow::Result<Vec<f64>> {
    let mut command = Command::new("espeak-ng");
    command.args(["-v", voice, "-p", &pitch.to_string(), "--stdout", "-f"]).arg(file);
    wav(&sox(&["-t", "wav", "--ignore-length", "-"], &piped(&mut command, &[])?)?)
}

fn wav(bytes: &[u8]) -> anyhow::Result<Vec<f64>> {
    let sound = media::wav::parse(bytes).context("not a WAV file")?;
    Ok(sound.channels.into_iter().next().unwrap_or_default().into_iter().map(f64::from).collect())
}

fn listen(
    decoders: &Decoders,
    name: &str,
    sounds: &mut dyn Iterator<Item = anyhow::Result<Vec<f64>>>,
) -> anyhow::Result<Heard> {
    let mut heard = Heard::default();
    for (sound, dbm0) in sounds.zip(LEVELS_DBM0.into_iter().cycle()) {
        let mut sound = sound.with_context(|| name.to_owned())?;
        level::set_active(&mut sound, dbm0);
        let law = Law::Mu;
        let coded = level::samples(&sound).into_iter().map(|sample| g711::decode(law, g711::encode(law, sample)));
        let samples: Vec<i16> = coded.collect();
        heard.samples += samples.len();
        for (count, keys) in heard.false_keys.iter_mut().zip(decoders.read(&samples)?) {
            *count += keys.len();
        }
    }
    Ok(heard)
}

fn print(name: &str, heard: &Heard) {
    let hours = heard.samples as f64 / level::RATE as f64 / 3600.0;
    let cells = heard.false_keys.map(|count| format!("{count} ({:.2}/h)", count as f64 / hours.max(1e-9)));
    println!("| {name} | {hours:.1} | {} |", cells.join(" | "));
}
