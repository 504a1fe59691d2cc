//! A caller who pays alone: what they are sent while nobody is on the agent's leg.

use super::Session;
use crate::cues::Cues;
use crate::interface::Side;
use crate::rtp::{PAYLOAD_MAX, Packet};
use std::time::Instant;

impl Session {
    /// Where somebody is on the agent's leg, the caller hears them and no beep.
    pub(super) fn cue(&mut self, now: Instant, say: impl FnOnce(&mut Cues)) {
        if self.agent.remote().is_none() {
            say(self.cues.get_or_insert_with(|| Box::new(Cues::new(now))));
        }
    }

    /// Sends what is due of it.
    pub(super) fn speak_alone(&mut self, now: Instant) {
        while let Some(frame) = self.cues.as_mut().and_then(|cues| cues.poll(now)) {
            let Some(to) = self.caller.receiver().copied() else { continue };
            let mut codes = [0; PAYLOAD_MAX];
            let Some(written) = self.to_caller.coding.encode(&frame, &mut codes) else { continue };
            let samples = u32::try_from(frame.len()).unwrap_or_default();
            let is_first = !self.to_caller.has_spoken();
            let header = self.to_caller.generate(now, samples, to.payload_type, is_first);
            if let Some(packet) = codes.get(..written).and_then(|codes| Packet::new(&header, codes)) {
                self.send(now, Side::Caller, &to, packet);
            }
        }
    }
}
