//! What the agent would have heard of a sound: the live session, driven by a clock of its own.

use crate::decode::DecodeError;
use media::g711::{self, Law};
use media::rtp::{self, Header, Packet};
use media::{Command, Config, FRAME_SAMPLES, Output, Policy, Remote, Session, Side, wav};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const PACKET: Duration = Duration::from_millis(20);
/// How late the caller's voice is in the natural mask: what is held.
const NATURAL_DELAY_MS: u16 = 20;

/// A sound behind the mask.
pub struct Masked {
    /// What the agent was sent, decoded, from the moment on in which the line was secured.
    pub samples: Vec<i16>,
    /// By how much what passes is late.
    pub delay_ms: u16,
    /// Frames of 20 ms.
    pub frames: u64,
    /// Those in which anything was replaced, beginning with the one in which the line was secured.
    pub masked_frames: u64,
    /// Those in which the caller's sound was crossed with another, on its way back.
    pub filtered_frames: u64,
}

impl Masked {
    /// The samples as a WAV file.
    pub fn wav(&self) -> Vec<u8> {
        wav::file(1, &self.samples)
    }
}

/// The first channel of a WAV file behind the mask, and what is to be said of it.
///
/// # Errors
/// If it is no WAV file that is read here.
pub fn file(wav: &[u8], natural: bool, base: Instant) -> Result<Masked, DecodeError> {
    let sounds = wav::parse(wav).map_err(|_| DecodeError::Wav)?;
    let sound = sounds.channels.first().ok_or(DecodeError::Wav)?;
    Ok(mask(sound, if natural { Policy::Natural } else { Policy::Strict }, base))
}

/// Says a sound of 8 kHz as a caller on a secured line: µ-law, 20 ms packets. `base` is any instant.
pub fn mask(samples: &[i16], policy: Policy, base: Instant) -> Masked {
    let mut session = Session::new(base, Config { seed: [0; 32], record: false, hold: media::Hold::default() });
    for side in [Side::Caller, Side::Agent] {
        session.handle_command(base, Command::Connect { side, remote: remote(side) });
    }
    session.handle_command(base, Command::Secure { policy });
    let mut heard = Vec::with_capacity(samples.len() + FRAME_SAMPLES);
    drain(&mut session, &mut heard);
    let packets = samples.len().div_ceil(FRAME_SAMPLES);
    // One more, or the last one would be held for good.
    for number in 0..=packets {
        let now = base + PACKET * u32::try_from(number).unwrap_or(u32::MAX);
        let rest = samples.get(number * FRAME_SAMPLES..).unwrap_or_default();
        session.handle_timeout(now);
        session.handle_packet(now, Side::Caller, remote(Side::Caller).address, packet(number, rest).as_bytes());
        drain(&mut session, &mut heard);
    }
    let stats = session.stats();
    let frames = u64::try_from(heard.len() / FRAME_SAMPLES).unwrap_or_default();
    Masked {
        samples: heard,
        delay_ms: if policy == Policy::Natural { NATURAL_DELAY_MS } else { 0 },
        frames,
        masked_frames: stats.masked_frames,
        filtered_frames: stats.filtered_frames,
    }
}

fn remote(side: Side) -> Remote {
    let port = if side == Side::Caller { 4000 } else { 5000 };
    Remote::g711(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Law::Mu)
}

/// The next 20 ms; what is missing at the end is silence.
fn packet(number: usize, samples: &[i16]) -> Packet {
    let mut codes = [g711::encode(Law::Mu, 0); FRAME_SAMPLES];
    codes.iter_mut().zip(samples).for_each(|(code, sample)| *code = g711::encode(Law::Mu, *sample));
    let number = u32::try_from(number).unwrap_or_default();
    let [_, _, high, low] = number.to_be_bytes();
    let sequence = u16::from_be_bytes([high, low]);
    let header = Header { payload_type: 0, marker: false, sequence, timestamp: number.wrapping_mul(160), ssrc: 1 };
    Packet::new(&header, &codes).unwrap_or_else(|| unreachable!("20 ms fit into a packet"))
}

fn drain(session: &mut Session, heard: &mut Vec<i16>) {
    while let Some(output) = session.poll_output() {
        if let Output::Send { side: Side::Agent, packet, .. } = output
            && let Ok(read) = rtp::parse(packet.as_bytes())
        {
            heard.extend(read.payload.iter().map(|code| g711::decode(Law::Mu, *code)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::dtmf::{Shape, tone};

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now() -> Instant {
        Instant::now()
    }

    /// A hum with pauses.
    fn talk(samples: usize) -> Vec<i16> {
        let wave = |n: usize| {
            if (n / 800).is_multiple_of(2) { i16::try_from(n * 7 % 400).unwrap_or_default() - 200 } else { 0 }
        };
        (0..samples).map(wave).map(|sample| g711::decode(Law::Mu, g711::encode(Law::Mu, sample * 8))).collect()
    }

    #[test]
    fn a_voice_passes_bit_by_bit_and_twenty_milliseconds_late() {
        let voice = talk(16_000);
        let masked = mask(&voice, Policy::Natural, now());
        assert_eq!((masked.delay_ms, masked.frames), (20, 101));
        let same = masked.samples[800 + 160..16_000] == voice[800..16_000 - 160];
        assert!(same, "what passes is not the voice");
        assert!(masked.masked_frames <= 2 && masked.filtered_frames <= 2, "only the beginning");
    }

    #[test]
    fn a_key_is_cut_out_of_a_voice() {
        let key = tone(b'8', Shape::default()).unwrap_or_default();
        let sound = [talk(8000), key, talk(40_000)].concat();
        let masked = mask(&sound, Policy::Natural, now());
        assert_eq!(media::tone::decode(&masked.samples), "");
        assert!(masked.masked_frames > 100 && masked.masked_frames < 220, "{}", masked.masked_frames);
    }

    #[test]
    fn strict_lets_nothing_through() {
        let key = tone(b'8', Shape::default()).unwrap_or_default();
        let sound = [talk(4000), key, talk(20_000)].concat();
        let masked = mask(&sound, Policy::Strict, now());
        let silence = mask(&vec![0; sound.len()], Policy::Strict, now());
        assert_eq!(masked.samples, silence.samples, "its own pulse, whatever is said and keyed");
        assert!(masked.samples.iter().filter(|sample| **sample != 0).count() <= 3 * 1600, "200 ms of each second");
        assert_eq!(masked.masked_frames, masked.frames);
    }
}
