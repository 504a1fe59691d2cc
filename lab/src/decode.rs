//! Reads keys out of files of sound and captures of the network, with the detector and the session of live calls.

mod capture;
mod packets;

use card::Key;
use media::detector::Detector;
use media::g711::{self, Law};
use media::sound::Sound;
use media::wav;
use std::time::Instant;

/// The detector looks each 5 ms: so many samples.
const LOOK: usize = 40;
const SAMPLES_PER_MS: usize = 8;

/// A key in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its character; A for all four letters.
    pub key: char,
    /// When it was proved, in ms from the beginning.
    pub at_ms: usize,
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a WAV file that we read.
    #[error("not a WAV file of 8 kHz, 16 bits, one or two channels (sox IN -r 8000 -b 16 -c 1 OUT.wav makes one)")]
    Wav,
    /// Not a capture that we read.
    #[error("not a pcap file (of a pcapng file, editcap -F pcap IN OUT.pcap makes one)")]
    Capture,
    /// None of the kinds.
    #[error("expected a file named .wav (8 kHz, 16 bits), .ul (raw µ-law) or .pcap")]
    Kind,
}

/// Every key in a file, in order. What it is, its name says; of two channels the first is read, of several streams in a
/// capture the one with the most keys. `base` is any instant: the session of a capture counts its time from there.
///
/// It is for a laboratory, with test cards: the keys are ordinary characters that nothing wipes.
///
/// # Errors
/// If it is no file of sound that is read here.
pub fn file(name: &str, bytes: &[u8], base: Instant) -> Result<Vec<Read>, DecodeError> {
    let name = name.to_ascii_lowercase();
    if name.ends_with(".pcap") {
        return capture::keys(bytes, base);
    }
    if name.ends_with(".ul") {
        let samples: Vec<i16> = bytes.iter().map(|code| g711::decode(Law::Mu, *code)).collect();
        return Ok(sound(&samples));
    }
    if !name.ends_with(".wav") {
        return Err(DecodeError::Kind);
    }
    let sounds = wav::parse(bytes).map_err(|_| DecodeError::Wav)?;
    sounds.channels.first().map(|samples| sound(samples)).ok_or(DecodeError::Wav)
}

/// Every key in samples of 8 kHz.
pub fn sound(samples: &[i16]) -> Vec<Read> {
    let (mut sound, mut detector) = (Sound::new(), Detector::new());
    let mut read = Vec::new();
    for (look, samples) in samples.chunks(LOOK).enumerate() {
        let at_ms = (look + 1) * LOOK / SAMPLES_PER_MS;
        sound.hear(samples, |sound| {
            read.extend(detector.look(sound).map(|proved| Read { key: character(&proved.key), at_ms }));
        });
    }
    read
}

fn character(key: &Key) -> char {
    match key {
        Key::Digit(digit) => digit.expose(|value| char::from(b'0' + value)),
        Key::Star => '*',
        Key::Pound => '#',
        Key::Letter => 'A',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::dtmf::{Shape, tone};

    fn keyed(keys: &[u8]) -> Vec<i16> {
        let key = |key: &u8| [tone(*key, Shape::default()).unwrap_or_default(), vec![0; 800]].concat();
        keys.iter().flat_map(key).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now() -> Instant {
        Instant::now()
    }

    fn text(read: &[Read]) -> String {
        read.iter().map(|read| read.key).collect()
    }

    #[test]
    fn a_wav_file_and_a_raw_one_are_read_alike() {
        let samples = keyed(b"4012*#");
        let ulaw: Vec<u8> = samples.iter().map(|sample| g711::encode(Law::Mu, *sample)).collect();
        assert_eq!(text(&file("a.WAV", &wav::file(1, &samples), now()).unwrap()), "4012*#");
        assert_eq!(text(&file("a.ul", &ulaw, now()).unwrap()), "4012*#");
    }

    #[test]
    fn a_key_is_timed_when_it_is_proved() {
        let read = sound(&keyed(b"55"));
        let times: Vec<usize> = read.iter().map(|read| read.at_ms).collect();
        // Each is 80 ms long and 100 ms before the next.
        assert!((30..=45).contains(&times[0]) && (210..=225).contains(&times[1]), "{times:?}");
    }

    #[test]
    fn what_is_no_sound_is_refused_with_the_way_out() {
        assert_eq!(file("a.wav", b"RIFF", now()), Err(DecodeError::Wav));
        assert_eq!(file("a.mp3", b"", now()), Err(DecodeError::Kind));
        assert_eq!(file("a.pcap", b"\n\r\r\n", now()), Err(DecodeError::Capture));
        assert!(DecodeError::Wav.to_string().contains("sox"));
    }
}
