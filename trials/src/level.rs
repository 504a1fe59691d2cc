//! Levels in dBm0, for sound as floats on the scale of 16-bit samples.

/// Samples a second of everything here.
pub(crate) const RATE: usize = 8000;
/// The peak of a sine of 0 dBm0 in 16-bit samples (G.711: a full-scale µ-law sine is +3.17 dBm0).
pub(crate) const PEAK_0_DBM0: f64 = 22_302.0;
/// Samples of a block in which speech is active or is not: 20 ms.
const BLOCK: usize = 160;
/// A block this far below the loudest tenth is a pause.
const PAUSE_DB: f64 = 20.0;

/// The peak of a sine of this level.
pub(crate) fn peak(dbm0: f64) -> f64 {
    PEAK_0_DBM0 * 10_f64.powf(dbm0 / 20.0)
}

/// The root mean square of any sound of this level.
pub(crate) fn rms(dbm0: f64) -> f64 {
    peak(dbm0) / 2_f64.sqrt()
}

/// The level of speech while it is active: the mean power of the blocks that are no pause.
pub(crate) fn active_dbm0(sound: &[f64]) -> f64 {
    let power = |block: &[f64]| block.iter().map(|sample| sample * sample).sum::<f64>() / block.len() as f64;
    let mut powers: Vec<f64> = sound.chunks_exact(BLOCK).map(power).collect();
    powers.sort_by(f64::total_cmp);
    let loud = powers.get(powers.len() * 9 / 10).copied().unwrap_or_default();
    let active: Vec<f64> = powers.into_iter().filter(|power| *power > loud * 10_f64.powf(-PAUSE_DB / 10.0)).collect();
    let mean = active.iter().sum::<f64>() / active.len().max(1) as f64;
    20.0 * (mean.max(1e-9).sqrt() / rms(0.0)).log10()
}

/// Brings speech to an active level.
pub(crate) fn set_active(sound: &mut [f64], dbm0: f64) {
    let gain = 10_f64.powf((dbm0 - active_dbm0(sound)) / 20.0);
    sound.iter_mut().for_each(|sample| *sample *= gain);
}

/// Rounds and clips to samples.
pub(crate) fn samples(sound: &[f64]) -> Vec<i16> {
    sound.iter().map(|value| value.round().clamp(-32_768.0, 32_767.0) as i16).collect()
}
