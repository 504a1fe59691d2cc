//! Securing, the generated sound, and the one way back to an open line.

use super::Session;
use super::caller::Barrier;
use crate::coding::Samples;
use crate::interface::{Event, Policy, Remote, Side};
use crate::leg::{Arrived, Order};
use crate::mask::{CATCH_UP_MAX, Gap, Mask, Proof};
use crate::rtp::Packet;
use crate::stages::{Stage, works};
use crate::{FRAME_SAMPLES, masking_enabled};
use std::time::Instant;

impl Session {
    /// Masks, and at once: what was about to leave for the agent is taken back.
    pub(super) fn secure(&mut self, now: Instant, policy: Policy) {
        match &mut self.mask {
            Some(mask) => {
                if mask.secure_again(now, policy) {
                    self.event(Event::Masking { policy });
                }
            }
            None => {
                self.cut();
                let ear = self.to_agent.coding.ear();
                if self.to_agent.coding.holds_back() {
                    // What it held back is gone, so nothing goes on from it either.
                    self.last_heard = 0;
                }
                self.mask = Some(Box::new(Mask::new(now, policy, self.hold, self.last_heard, ear)));
                self.inband.start_anew();
                self.open_line.start_anew();
                self.agent_keys.iter_mut().for_each(|keys| keys.start_anew());
                self.event(Event::Masking { policy });
            }
        }
        self.tick(now);
    }

    /// How a masked line is masked from here on.
    pub(super) fn ask_for(&mut self, now: Instant, policy: Policy) {
        if self.mask.as_mut().is_some_and(|mask| mask.ask_for(now, policy)) {
            self.event(Event::Masking { policy });
        }
    }

    fn cut(&mut self) {
        if masking_enabled() {
            self.to_agent.detach();
            self.fork.iter_mut().for_each(|fork| fork.recall(Side::Agent));
            let recalled = self.outputs.recall(Side::Agent);
            if recalled {
                // It was not heard, so nothing goes on from it.
                self.last_heard = 0;
                self.to_agent.coding.start_anew();
                if let Some(recorder) = &mut self.recorder {
                    recorder.heard.clear();
                }
            }
        }
    }

    /// Asks for an open line. The unmasking rule decides when.
    pub(super) fn release(&mut self, now: Instant) {
        match &mut self.mask {
            Some(mask) => {
                mask.release(now);
                self.event(Event::Releasing);
            }
            None => self.event(Event::Opened),
        }
    }

    /// A packet of the caller on a masked line. Late sound is left out: its place has been filled.
    pub(super) fn hear_masked(&mut self, now: Instant, arrived: &Arrived<'_>, sound: Option<&Samples>) {
        let down = self.keys.is_down();
        let Some(mask) = &mut self.mask else { return };
        mask.quiet.packet(now);
        if !down && mask.relax(now) {
            self.outputs.event(Event::Masking { policy: Policy::Natural });
        }
        match (sound, arrived.order) {
            (_, Order::Late) => {}
            (None, _) => {
                // It is heard as silence.
                mask.natural.interrupt();
                if let Some(frame) = mask.frame_of_event(now) {
                    self.put_frame(now, frame);
                }
            }
            (Some(sound), order) => self.follow(now, arrived, sound.as_slice(), order),
        }
    }

    /// What stands before a packet of sound.
    fn follow(&mut self, now: Instant, arrived: &Arrived<'_>, sound: &[i16], order: Order) {
        let Some(mask) = &mut self.mask else { return };
        let header = &arrived.header;
        let length = u32::try_from(sound.len()).unwrap_or_default();
        let lost = order != Order::Next { lost: 0 };
        if let Gap::Frames(frames) = mask.follow(now, header.ssrc, header.timestamp, length, lost) {
            self.fill_gap(now, frames);
        }
        if let (false, Some(input)) = (works(Stage::Strict), sound.first_chunk()) {
            self.put_frame(now, *input);
        }
    }

    /// The newest block of the caller's sound.
    pub(super) fn hear_block(&mut self, now: Instant) {
        let Some(mask) = &mut self.mask else { return };
        mask.hear(now, &self.inband.sound);
        if let Some(frame) = mask.frame_of_sound(&self.inband.sound) {
            self.put_frame(now, frame);
        }
    }

    /// Nothing passes that stands around a gap; frames that nobody has made up yet are made up now.
    fn fill_gap(&mut self, now: Instant, frames: i32) {
        let Some(mask) = &mut self.mask else { return };
        mask.natural.start_anew();
        if mask.policy() == Policy::Strict {
            return;
        }
        for _ in 0..2 * frames {
            let Some(mask) = &mut self.mask else { return };
            mask.natural.miss_a_hop();
            if let Some(frame) = mask.frame_of_sound(&self.inband.sound) {
                self.put_frame(now, frame);
            }
        }
    }

    /// Asked before anything else is done.
    pub(super) fn wake(&mut self, now: Instant) {
        if let Some(mask) = &mut self.mask {
            mask.wake(now);
        }
    }

    /// Makes the frames that are due.
    pub(super) fn tick(&mut self, now: Instant) {
        self.wake(now);
        if self.keys.handle_timeout(now, self.caller.packet_samples())
            && let Some(mask) = &mut self.mask
        {
            mask.disturb(now);
        }
        self.tones_that_waited(now);
        self.pairing.forget(now);
        for _ in 0..CATCH_UP_MAX {
            let Some((at, frame)) = self.mask.as_mut().and_then(|mask| mask.frame(now)) else { break };
            self.put_frame(at, frame);
        }
        self.skipped += self.mask.as_mut().map_or(0, |mask| mask.skip(now));
        self.open_if_dead(now);
    }

    fn put_frame(&mut self, at: Instant, mut frame: [i16; FRAME_SAMPLES]) {
        self.generated += 1;
        if let Some(mask) = &mut self.mask {
            mask.mix(at, &mut frame);
        }
        if masking_enabled()
            && let Some(remote) = self.agent.receiver().copied()
        {
            self.send_frame(at, &remote, frame);
        }
        // What the witness has not heard proves nothing, until the line is secured again.
        match self.mask.as_deref_mut().filter(|mask| !mask.unheard).map_or(Proof::None, |mask| mask.prove()) {
            Proof::Secured => self.event(Event::Secured),
            Proof::HalfSecond => self.event(Event::Proof { witnessed: self.witnessed }),
            Proof::None => {}
        }
    }

    fn send_frame(&mut self, at: Instant, remote: &Remote, frame: [i16; FRAME_SAMPLES]) {
        let Some(mask) = &mut self.mask else { return };
        let before = self.witnessed.frames;
        let Some(coded) = mask.code(&mut self.to_agent.coding, frame, &mut self.witnessed) else {
            mask.unheard = true;
            return;
        };
        if coded.leaks {
            self.outputs.event(Event::LeakSuspected);
        }
        mask.unheard |= self.witnessed.frames == before;
        let first = std::mem::take(&mut mask.first);
        let length = u32::try_from(FRAME_SAMPLES).unwrap_or_default();
        let header = self.to_agent.generate(at, length, remote.payload_type, first);
        let Some(packet) = Packet::new(&header, coded.codes()) else { return };
        if let Some(recorder) = &mut self.recorder {
            recorder.heard.push(&coded.heard);
        }
        self.last_heard = coded.last;
        self.send(at, Side::Agent, remote, packet);
    }

    /// Asked with each packet of the caller: only what is heard can be known to be quiet.
    pub(super) fn open_if_quiet(&mut self, now: Instant) {
        let down = self.keys.is_down();
        if self.mask.as_ref().is_some_and(|mask| mask.releasing && !down && mask.quiet.is_over(now)) {
            self.open(now);
        }
    }

    /// Asked with each frame: a caller who sends nothing at all would never open the line. One whose packets are not
    /// looked at, because somebody is on hold, may be keying.
    fn open_if_dead(&mut self, now: Instant) {
        let may_be_heard = self.caller.may_be_heard();
        if may_be_heard && self.mask.as_ref().is_some_and(|mask| mask.quiet.is_dead(now)) {
            self.open_if_quiet(now);
        }
    }

    /// A caller behind a NAT may have another port by now, which is not believed while the line is masked: they are not heard,
    /// but neither have they gone, so the line does not open under their keys.
    pub(super) fn may_key_elsewhere(&mut self, now: Instant) {
        if let Some(mask) = &mut self.mask {
            mask.quiet.heard_elsewhere(now);
        }
    }

    fn open(&mut self, now: Instant) {
        self.mask = None;
        self.event(Event::Proof { witnessed: self.witnessed });
        (self.fade_in, self.was_masked) = (true, true);
        self.barrier = Some(self.caller.lock().map_or(Barrier::Unheard, |lock| Barrier::new(now, lock)));
        self.event(Event::Opened);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{Shape, tone};
    use crate::g711::Law;
    use crate::g722::Coder;
    use crate::interface::{Codec, Command, Config, Output};
    use crate::keys::tests::start;

    /// Puts a frame on the agent leg; says whether it was silence, and whether a leak was suspected.
    fn put(session: &mut Session, frame: [i16; FRAME_SAMPLES]) -> (bool, bool) {
        let agent = session.agent.remote().copied().unwrap();
        session.send_frame(start(), &agent, frame);
        let outputs: Vec<Output> = std::iter::from_fn(|| session.poll_output()).collect();
        let silent = |output: &Output| matches!(output, Output::Send { packet, .. } if packet.payload() == [0xff; 160]);
        let alarm = |output: &Output| matches!(output, Output::Event(Event::LeakSuspected));
        (outputs.iter().any(silent), outputs.iter().any(alarm))
    }

    #[test]
    fn a_frame_that_sounds_like_a_key_is_never_sent_and_mutes_the_agent_until_secured_again() {
        let mut session = Session::new(start(), Config { seed: [0; 32], record: false, hold: crate::Hold::default() });
        let address = ([192, 0, 2, 2], 5000).into();
        let remote = Remote::g711(address, Law::Mu);
        session.handle_command(start(), Command::Connect { side: Side::Agent, remote });
        session.handle_command(start(), Command::Secure { policy: Policy::Strict });
        while session.poll_output().is_some() {}
        let key = tone(b'5', Shape::default()).unwrap();
        let (frames, _) = key.as_chunks::<FRAME_SAMPLES>();
        let beep = [1000; FRAME_SAMPLES];
        assert_eq!(put(&mut session, beep), (false, false));
        let put_key: Vec<(bool, bool)> = frames.iter().map(|frame| put(&mut session, *frame)).collect();
        // It hears a key in the second 20 ms at the latest; then the agent is mute, and that is told once.
        assert!(put_key[1..].iter().all(|(silent, _)| *silent), "{put_key:?}");
        assert_eq!(put_key.iter().filter(|(_, alarm)| *alarm).count(), 1);
        assert_eq!(put(&mut session, beep), (true, false));
        session.handle_command(start(), Command::Secure { policy: Policy::Strict });
        while session.poll_output().is_some() {}
        assert_eq!(put(&mut session, beep), (false, false));
    }

    /// What was coded of it before the witness heard it is forgotten: the agent's phone decodes silence as silence.
    #[test]
    fn a_frame_that_was_not_sent_leaves_nothing_behind_in_the_coder() {
        let mut session = Session::new(start(), Config { seed: [0; 32], record: false, hold: crate::Hold::default() });
        let remote = Remote::of(([192, 0, 2, 2], 5000).into(), Codec::G722);
        session.handle_command(start(), Command::Connect { side: Side::Agent, remote });
        session.handle_command(start(), Command::Secure { policy: Policy::Strict });
        let key = tone(b'5', Shape::default()).unwrap();
        key.as_chunks::<FRAME_SAMPLES>().0.iter().for_each(|frame| session.send_frame(start(), &remote, *frame));
        let (mut phone, mut heard, mut alarms) = (Coder::default(), Vec::new(), 0);
        while let Some(output) = session.poll_output() {
            match output {
                Output::Send { packet, .. } => heard.extend(packet.payload().iter().map(|code| phone.decode(*code))),
                Output::Event(Event::LeakSuspected) => alarms += 1,
                _ => {}
            }
        }
        assert_eq!((alarms, heard.len() >= 4 * FRAME_SAMPLES), (1, true));
        // Of the first frame, which alone is no key yet, the state dies away.
        assert!(heard[2 * FRAME_SAMPLES + 80..].iter().all(|sample| sample.abs() < 50), "{heard:?}");
    }
}
