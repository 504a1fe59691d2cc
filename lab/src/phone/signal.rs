//! Sound of the phone's own making: G.711, keypad tones and a voice.
//!
//! On purpose none of it is shared with `media`: a peer that makes the same mistake as the code it tests proves nothing.

/// Samples of one packet: 20 ms at 8 kHz.
pub(super) const FRAME: usize = 160;
const SAMPLES_PER_SECOND: f64 = 8000.0;
/// The peak of a full-scale sine in 14-bit G.711 is +3.17 dBm0 (ITU-T G.711); 0 dBm0 therefore peaks at this.
const PEAK_0_DBM0: f64 = 32_124.0 * 0.694;

fn clamp(value: f64) -> i16 {
    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "clamped to the range of i16 first")]
    let sample = value.clamp(-32_768.0, 32_767.0) as i16;
    sample
}

/// µ-law, by the definition of ITU-T G.711: a sign, three bits of segment, four of place in it.
pub(super) fn to_ulaw(sample: i16) -> u8 {
    let magnitude = i32::from(sample).abs().min(32_635) + 132;
    let segment = (24 - magnitude.leading_zeros().min(24)).clamp(0, 7);
    let place = (magnitude >> (segment + 3)) & 0x0F;
    let code = (segment << 4) | u32::try_from(place).unwrap_or(0);
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(u8::try_from(code).unwrap_or(0x7F) | sign)
}

/// The middle of the step that a µ-law code names.
pub(super) fn from_ulaw(code: u8) -> i16 {
    let code = !code;
    let segment = (code >> 4) & 7;
    let magnitude = (((i32::from(code & 0x0F) << 3) + 132) << segment) - 132;
    let signed = if code & 0x80 == 0 { magnitude } else { -magnitude };
    i16::try_from(signed).unwrap_or(0)
}

/// A-law, by the definition of ITU-T G.711; every second bit is inverted on the line.
pub(super) fn to_alaw(sample: i16) -> u8 {
    let magnitude = (i32::from(sample).abs() >> 3).min(4095);
    let segment = if magnitude < 32 { 0 } else { 27 - magnitude.leading_zeros() };
    let shift = if segment == 0 { 1 } else { segment };
    let place = (magnitude >> shift) & 0x0F;
    let code = (segment << 4) | u32::try_from(place).unwrap_or(0);
    let sign = if sample < 0 { 0 } else { 0x80 };
    (u8::try_from(code).unwrap_or(0x7F) | sign) ^ 0x55
}

/// The middle of the step that an A-law code names.
pub(super) fn from_alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, place) = ((code >> 4) & 7, i32::from(code & 0x0F));
    let magnitude = if segment == 0 { place * 2 + 1 } else { (place * 2 + 33) << (segment - 1) } << 3;
    let signed = if code & 0x80 == 0 { -magnitude } else { magnitude };
    i16::try_from(signed).unwrap_or(0)
}

/// The two frequencies of a key (ITU-T Q.23).
fn frequencies(key: u8) -> Option<(f64, f64)> {
    let place = b"123A456B789C*0#D".iter().position(|known| *known == key)?;
    let low = [697.0, 770.0, 852.0, 941.0].get(place / 4)?;
    let high = [1209.0, 1336.0, 1477.0, 1633.0].get(place % 4)?;
    Some((*low, *high))
}

/// A keypad tone, sample by sample.
pub(super) struct Tone {
    low: f64,
    high: f64,
    peak: f64,
    at: f64,
}

impl Tone {
    /// Each frequency at this level.
    pub(super) fn new(key: u8, level_dbm0: f64) -> Option<Self> {
        let (low, high) = frequencies(key)?;
        Some(Self { low, high, peak: PEAK_0_DBM0 * 10_f64.powf(level_dbm0 / 20.0), at: 0.0 })
    }

    pub(super) fn next_sample(&mut self) -> f64 {
        let phase = std::f64::consts::TAU * self.at / SAMPLES_PER_SECOND;
        self.at += 1.0;
        self.peak * ((self.low * phase).sin() + (self.high * phase).sin())
    }
}

/// Keys as tones of 80 ms with pauses as long, after a pause, as a µ-law line carries them.
pub(crate) fn keyed(keys: &str, level_dbm0: f64) -> Vec<i16> {
    let key = |key: u8| {
        let mut tone = Tone::new(key, level_dbm0)?;
        let sound: Vec<i16> = (0..4 * FRAME).map(|_| clamp(tone.next_sample())).collect();
        Some([vec![0; 4 * FRAME], sound].concat())
    };
    let sound = keys.bytes().filter_map(key).flatten().chain([0; 4 * FRAME]);
    sound.map(|sample| from_ulaw(to_ulaw(sample))).collect()
}

/// A voice: pulses of a throat through two resonances that wander, in syllables with pauses. It is no speech, but it has
/// a voice's pitch, spectrum and rhythm.
pub(super) struct Voice {
    at: u32,
    phase: f64,
    first: Resonance,
    second: Resonance,
}

#[derive(Default)]
struct Resonance {
    one: f64,
    two: f64,
}

impl Resonance {
    /// A two-pole resonator.
    fn filter(&mut self, input: f64, hertz: f64, width_hertz: f64) -> f64 {
        let radius = (-std::f64::consts::PI * width_hertz / SAMPLES_PER_SECOND).exp();
        let turn = 2.0 * radius * (std::f64::consts::TAU * hertz / SAMPLES_PER_SECOND).cos();
        let output = input * (1.0 - radius) + turn * self.one - radius * radius * self.two;
        self.two = self.one;
        self.one = output;
        output
    }
}

impl Voice {
    pub(super) fn new() -> Self {
        Self { at: 0, phase: 0.0, first: Resonance::default(), second: Resonance::default() }
    }

    pub(super) fn next_sample(&mut self) -> f64 {
        let seconds = f64::from(self.at) / SAMPLES_PER_SECOND;
        self.at = self.at.wrapping_add(1);
        let pitch = 118.0 + 22.0 * (seconds * 1.9).sin() + 7.0 * (seconds * 5.3).sin();
        self.phase += pitch / SAMPLES_PER_SECOND;
        let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
        self.phase = self.phase.fract();
        let vowel = 0.5 + 0.5 * (seconds * 2.7).sin();
        let low = self.first.filter(pulse, 310.0 + 250.0 * vowel, 90.0);
        // Front vowels only: their second resonance lies above the keypad's tones, so that a crude detector, which the
        // demo uses to judge the agent's leg, does not take this voice for a key.
        let high = self.second.filter(pulse, 2450.0 - 650.0 * vowel, 140.0);
        let syllable = (seconds * 3.1 * std::f64::consts::PI).sin().max(0.0);
        let sentence = if seconds.rem_euclid(4.0) < 2.9 { 1.0 } else { 0.0 };
        (low + 0.6 * high) * syllable * sentence * 60_000.0
    }
}

/// One frame of the voice, of a tone, or of silence.
pub(super) fn frame(mut next: impl FnMut() -> f64) -> [i16; FRAME] {
    std::array::from_fn(|_| clamp(next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back_within_their_step() {
        for sample in (-32_000_i16..=32_000).step_by(97) {
            let (u, a) = (from_ulaw(to_ulaw(sample)), from_alaw(to_alaw(sample)));
            let most = i32::from(sample).abs() / 16 + 20;
            assert!((i32::from(u) - i32::from(sample)).abs() <= most, "µ-law of {sample} is {u}");
            assert!((i32::from(a) - i32::from(sample)).abs() <= most, "A-law of {sample} is {a}");
        }
    }

    #[test]
    fn every_code_reads_back_as_itself() {
        for code in 0..=255 {
            assert_eq!(from_alaw(to_alaw(from_alaw(code))), from_alaw(code));
            assert_eq!(from_ulaw(to_ulaw(from_ulaw(code))), from_ulaw(code));
        }
    }

    #[test]
    fn the_voice_is_audible_and_never_clips() {
        let mut voice = Voice::new();
        let peak = (0..80_000).map(|_| voice.next_sample().abs()).fold(0.0, f64::max);
        assert!((2_000.0..32_000.0).contains(&peak), "peak {peak}");
    }
}
