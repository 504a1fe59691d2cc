//! Everything that listens for keys, on a leg as a phone received it: the tool's plain detector, the detector of live
//! calls, and the witness.

use crate::decode;
use crate::phone::keyed;
use media::tone;
use media::witness::Witness;

/// Samples of a frame, 20 ms.
const FRAME: usize = 160;
/// Level of each tone of a planted key: an ordinary phone's.
const PLANTED_DBM0: f64 = -9.0;

/// What was heard in a leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Keys that [`media::tone::decode`] reads.
    pub plain: String,
    /// Keys that [`media::detector`] reads, the one of live calls.
    pub live: String,
    /// Frames that the witness has heard.
    pub frames: u64,
    /// Those that sounded like a key.
    pub suspicious: u64,
    /// The largest part of a frame that the two tones of a key held, in thousandths.
    pub worst_permille: u16,
}

/// Listens to samples of 8 kHz.
pub fn listen(samples: &[i16]) -> Heard {
    let live = decode::sound(samples).iter().map(|read| read.key).collect();
    let mut heard = Heard { plain: tone::decode(samples), live, ..Heard::default() };
    let mut witness = Witness::new();
    for frame in samples.chunks(FRAME) {
        let found = witness.push(frame);
        heard.frames += 1;
        heard.suspicious += u64::from(found.suspicious);
        heard.worst_permille = heard.worst_permille.max(permille(found.explained));
    }
    heard
}

/// The control of [`listen`]: the same samples, and after them these keys as tones.
pub fn planted(samples: &[i16], keys: &str) -> Vec<i16> {
    [samples, &keyed(keys, PLANTED_DBM0)].concat()
}

/// The root of the mean square of samples, which is how loud they are.
pub fn loudness(samples: &[i16]) -> u16 {
    let sum: u64 = samples.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    let mean = sum / u64::try_from(samples.len()).unwrap_or(u64::MAX).max(1);
    u16::try_from(mean.isqrt()).unwrap_or(u16::MAX)
}

fn permille(part: f32) -> u16 {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number between 0 and 1000 by now"
    )]
    let permille = (part * 1000.0).round().clamp(0.0, 1000.0) as u16;
    permille
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "0123456789*#";

    #[test]
    fn keys_that_are_planted_are_heard_by_all_three() {
        let heard = listen(&planted(&[0; 8000], KEYS));
        assert_eq!((heard.plain.as_str(), heard.live.as_str()), (KEYS, KEYS));
        assert!(heard.suspicious >= 3 * 12 && heard.worst_permille > 950, "{heard:?}");
    }

    #[test]
    fn nobody_hears_a_key_in_silence() {
        let frames = 50;
        assert_eq!(listen(&[0; 8000]), Heard { frames, ..Heard::default() });
        assert_eq!((loudness(&[]), loudness(&[-300, 300])), (0, 300));
    }
}
