//! A leg of Opus: what a peer sends, coded by libopus, and what we hear of it.

use crate::level::RATE;
use anyhow::Context;

/// How a peer codes what it sends, 20 ms a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpusLeg {
    pub(crate) rate: usize,
    pub(crate) application: opus::Application,
    pub(crate) kilobits: i32,
    /// Constant packets, without forward error correction; else neither.
    pub(crate) constant: bool,
}

/// As we ask for it.
pub(crate) const SPEECH: OpusLeg =
    OpusLeg { rate: RATE, application: opus::Application::Voip, kilobits: 32, constant: true };
/// As browsers send it who do as they like.
pub(crate) const BROWSER: OpusLeg =
    OpusLeg { rate: 6 * RATE, application: opus::Application::Voip, kilobits: 32, constant: false };

impl OpusLeg {
    /// The samples as we decode them, without the time by which they come later.
    pub(crate) fn through(self, sound: &[i16]) -> anyhow::Result<Vec<i16>> {
        let (times, frame) = (self.rate / RATE, self.rate / 50);
        let mut encoder = opus::Encoder::new(u32::try_from(self.rate)?, opus::Channels::Mono, self.application)?;
        encoder.set_bitrate(opus::Bitrate::Bits(self.kilobits * 1000))?;
        encoder.set_vbr(!self.constant)?;
        encoder.set_inband_fec(!self.constant)?;
        encoder.set_packet_loss_perc(if self.constant { 0 } else { 10 })?;
        let later = usize::try_from(encoder.get_lookahead()?)? / times;
        let mut raised = raised(sound, times);
        // What the coder still holds comes out too.
        raised.resize((raised.len() + frame).next_multiple_of(frame), 0);
        let mut decoder = media::opus::Decoder::new().context("no memory for a decoder of Opus")?;
        let mut decoded = Vec::with_capacity(sound.len() + 2 * frame);
        for frame in raised.chunks_exact(frame) {
            let packet = encoder.encode_vec(frame, 1275)?;
            let mut samples = [0; 960];
            let length = decoder.decode(&packet, &mut samples);
            decoded.extend(samples.iter().take(length));
        }
        decoded.drain(..later);
        decoded.truncate(sound.len());
        Ok(decoded)
    }
}

/// So many times as many samples, by a window of sines that keeps what lies below half the old rate.
fn raised(sound: &[i16], times: usize) -> Vec<i16> {
    const REACH: i64 = 16;
    if times == 1 {
        return sound.to_vec();
    }
    let weight = |distance: f64| {
        let (x, width) = (distance * std::f64::consts::PI, REACH as f64);
        let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
        sinc * (0.5 + 0.5 * (x / width).cos())
    };
    let weights: Vec<Vec<f64>> = (0..times)
        .map(|phase| (1 - REACH..=REACH).map(|tap| weight(phase as f64 / times as f64 - tap as f64)).collect())
        .collect();
    let sample =
        |at: i64| usize::try_from(at).ok().and_then(|at| sound.get(at)).map_or(0.0, |sample| f64::from(*sample));
    let count = sound.len() as i64;
    let between = |at: i64| {
        weights.iter().map(move |weights| {
            let sum: f64 = weights.iter().zip(1 - REACH..).map(|(weight, tap)| weight * sample(at + tap)).sum();
            sum.round() as i16
        })
    };
    (0..count).flat_map(between).collect()
}
