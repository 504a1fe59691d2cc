//! Key tones in the agent's sound, while the line is masked.
//!
//! They do not pass to the caller, as an agent's events and INFO do not: the packet in which two tones of a key are heard
//! over 20 ms is replaced by silence, and so are the next few. Up to a packet of a tone may have passed by then. That is
//! too little for any key, and nothing secret is in it: the agent knows what the agent plays.
//!
//! # An agent's tone comes back
//! The caller's phone or line gives back what it hears, 10 to 40 dB weaker and within half a second. So a key that is
//! heard in the caller's sound is not believed within [`ECHO`] after the agent's sound had the same key: nothing tells
//! the echo from a caller who pressed that very key at that time. To take it for a key would let an agent type on the
//! caller's behalf; to pass over it in silence could lose a digit without anybody knowing. It is treated as a doubtful
//! tone is: it counts as nothing, and [`crate::Event::KeyLost`] has the field asked again. Where the same press comes as
//! an event or INFO too, which no echo does, that counts, and nothing is lost. As tones are stripped, an agent
//! cannot bring this about but by an echo of what passed before.

use crate::pairing::same;
use crate::witness::Witness;
use card::Key;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What two tones of a key must hold of the sound between 500 and 1800 Hz. A voice does so for 20 ms a few times an hour.
const HELD_MIN: f32 = 0.86;
/// Packets that are stripped after the last in which tones were heard, over drop-outs and the tone's end.
const HANG_OVER_PACKETS: u8 = 3;
/// So long after the agent's tone its echo may be heard, and is proved.
const ECHO: Duration = Duration::from_millis(600);
/// Keys that are remembered: nobody plays so many in that time.
const KEYS_MAX: usize = 16;

/// Listens to the agent of a masked line.
#[derive(Default)]
pub(crate) struct AgentTones {
    witness: Witness,
    packets_to_strip: u8,
    /// Few agents press any.
    keys: Option<Box<Pressed>>,
}

/// The keys of late, with when they were last heard.
#[derive(Default)]
struct Pressed(VecDeque<(Instant, Key)>);

impl AgentTones {
    /// Hears a packet's samples; true if the caller must not hear them.
    pub(crate) fn hear(&mut self, now: Instant, samples: &[i16]) -> bool {
        if let Some(Pressed(keys)) = self.keys.as_deref_mut() {
            keys.retain(|(at, _)| now.saturating_duration_since(*at) <= ECHO);
        }
        if self.witness.push(samples).explained >= HELD_MIN {
            self.packets_to_strip = HANG_OVER_PACKETS + 1;
            if let Some(key) = self.witness.key() {
                self.remember(now, key);
            }
        }
        let strips = self.packets_to_strip > 0;
        self.packets_to_strip = self.packets_to_strip.saturating_sub(1);
        strips
    }

    /// A long tone has its echo as long as it lasts.
    fn remember(&mut self, now: Instant, key: Key) {
        let Pressed(keys) = &mut **self.keys.get_or_insert_default();
        match keys.back_mut().filter(|(_, last)| same(last, &key)) {
            Some((at, _)) => *at = now,
            None => {
                if keys.len() == KEYS_MAX {
                    keys.pop_front();
                }
                keys.push_back((now, key));
            }
        }
    }

    /// May this key of the caller's sound be the agent's own, come back?
    pub(crate) fn is_echo(&self, now: Instant, key: &Key) -> bool {
        let is = |(at, heard): &(Instant, Key)| now.saturating_duration_since(*at) <= ECHO && same(heard, key);
        self.keys.as_ref().is_some_and(|keys| keys.0.iter().any(is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{Shape, tone};
    use crate::keys::tests::start;

    /// Hears a key that begins so many samples into a packet; says which packets are stripped.
    fn stripped(tones: &mut AgentTones, begin: Instant, key: u8, lead: usize, shape: Shape) -> Vec<bool> {
        let sound = [vec![0; lead], tone(key, shape).unwrap(), vec![0; 1440]].concat();
        (0..).zip(sound.chunks_exact(160)).map(|(n, packet)| tones.hear(begin + 20 * n * MS, packet)).collect()
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn no_more_than_a_packet_of_a_tone_passes() {
        for (key, lead) in b"0123456789*#".iter().flat_map(|key| (0..160).step_by(13).map(|lead| (*key, lead))) {
            for (level_dbm0, twist_db, duration_ms) in [(-6.0, 0.0, 200), (-28.0, 4.0, 60), (-14.0, -8.0, 100)] {
                let shape = Shape { level_dbm0, twist_db, duration_ms, ..Shape::default() };
                let stripped = stripped(&mut AgentTones::default(), start(), key, lead, shape);
                let packets = (lead + usize::from(duration_ms) * 8).div_ceil(160);
                assert!(stripped[1..packets].iter().all(|stripped| *stripped), "{} {lead} {shape:?}", char::from(key));
                assert!(!stripped[packets + usize::from(HANG_OVER_PACKETS)]);
            }
        }
    }

    #[test]
    fn a_key_is_an_echo_for_a_while() {
        let (mut tones, begin) = (AgentTones::default(), start());
        stripped(&mut tones, begin, b'5', 0, Shape { duration_ms: 200, ..Shape::default() });
        let is_echo = |ms: u32, key: u8| tones.is_echo(begin + ms * MS, &Key::from_char(key).unwrap());
        // The tone's last packet began at 180 ms.
        assert!([100, 200, 780].into_iter().all(|ms| is_echo(ms, b'5')));
        assert!(!is_echo(200, b'7') && !is_echo(781, b'5'));
    }
}
