//! The stages of the mask, each of which a test of this crate can put out of action for its own thread: whatever fails
//! must be heard by the next one, or raise its alarm. In every other build they all work, and nothing can change that.

/// A stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The gate: nothing is suspicious to it.
    Gate,
    /// Its hard rule.
    Rule,
    /// Its net.
    Net,
    /// What masks where a key is known: tone, event or INFO.
    Knowledge,
    /// Made-up sound in the place of what is masked.
    Concealment,
    /// The strict mask, which passes nothing.
    Strict,
    /// The witness.
    Witness,
    /// Its hearing: it counts what it was given, and suspects nothing.
    Hearing,
}

/// Does this stage do its work?
#[cfg(not(test))]
pub(crate) const fn works(_: Stage) -> bool {
    true
}

#[cfg(test)]
pub(crate) use tests::works;

#[cfg(test)]
mod tests {
    use super::Stage;
    use crate::FRAME_SAMPLES;
    use crate::dtmf::{Shape, tone};
    use crate::g711::{self, Law};
    use crate::interface::{Command, Config, Event, Output, Policy, Remote, Side, Witnessed};
    use crate::keys::tests::start;
    use crate::natural::Hold;
    use crate::rtp::{self, Header, Packet};
    use crate::session::Session;
    use crate::tone::decode;
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    thread_local! {
        static BROKEN: Cell<&'static [Stage]> = const { Cell::new(&[]) };
    }

    pub(crate) fn works(stage: Stage) -> bool {
        !BROKEN.get().contains(&stage)
    }

    /// A masked call in which a caller keys by tones, and all that came of it.
    struct Call {
        session: Session,
        now: Instant,
        sequence: u16,
        heard: Vec<i16>,
        keys: usize,
        leaks: usize,
        secured: usize,
        proofs: Vec<Witnessed>,
    }

    impl Call {
        /// The line is masked, and these stages fail from the next packet on.
        fn new(policy: Policy, hold: Hold, broken: &'static [Stage]) -> Self {
            BROKEN.set(&[]);
            let session = Session::new(start(), Config { seed: [0; 32], record: false, hold });
            let (now, proofs) = (start(), Vec::new());
            let mut call = Self { session, now, sequence: 0, heard: Vec::new(), keys: 0, leaks: 0, secured: 0, proofs };
            for (side, host) in [(Side::Caller, 1), (Side::Agent, 2)] {
                call.command(Command::Connect { side, remote: remote(host) });
            }
            call.command(Command::Secure { policy });
            // Behind the first pulse of the strict mask.
            call.says(&[0; 9920]);
            assert_eq!((call.secured, call.leaks), (1, 0));
            call.heard.clear();
            call.proofs.clear();
            BROKEN.set(broken);
            call
        }

        fn command(&mut self, command: Command) {
            self.session.handle_command(self.now, command);
            self.drain();
        }

        fn says(&mut self, samples: &[i16]) {
            for frame in samples.as_chunks::<FRAME_SAMPLES>().0 {
                let codes = frame.map(|sample| g711::encode(Law::Mu, sample));
                let timestamp = 160 * u32::from(self.sequence);
                let header = Header { payload_type: 0, marker: false, sequence: self.sequence, timestamp, ssrc: 7 };
                self.sequence += 1;
                let packet = Packet::new(&header, &codes).unwrap();
                self.session.handle_packet(self.now, Side::Caller, remote(1).address, packet.as_bytes());
                self.drain();
                self.now += Duration::from_millis(20);
                self.session.handle_timeout(self.now);
                self.drain();
            }
        }

        /// A key, a little silence before it so that it begins anywhere in a packet, and a pause.
        fn key(&mut self, key: u8, lead: usize) {
            let mut sound = vec![0; lead];
            sound.extend(tone(key, Shape { duration_ms: 100, ..Shape::default() }).unwrap());
            sound.resize((sound.len() + 1600).next_multiple_of(FRAME_SAMPLES), 0);
            self.says(&sound);
        }

        fn drain(&mut self) {
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::Send { side: Side::Agent, packet, .. } => {
                        let read = rtp::parse(packet.as_bytes()).unwrap();
                        self.heard.extend(read.payload.iter().map(|code| g711::decode(Law::Mu, *code)));
                    }
                    Output::Event(Event::Key(_)) => self.keys += 1,
                    Output::Event(Event::LeakSuspected) => self.leaks += 1,
                    Output::Event(Event::Secured) => self.secured += 1,
                    Output::Event(Event::Proof { witnessed }) => self.proofs.push(witnessed),
                    _ => {}
                }
            }
        }
    }

    fn remote(host: u8) -> Remote {
        Remote { telephone_event: Some(101), ..Remote::g711(([192, 0, 2, host], 4000).into(), Law::Mu) }
    }

    /// Every key alone and as the first one, wherever in a packet it begins, while these stages fail.
    fn each_key(policy: Policy, broken: &'static [Stage], check: impl Fn(&Call)) {
        let keys = b"123456789*0#".iter().enumerate();
        for ((n, key), hold) in keys.flat_map(|key| [(key, Hold::Ms20), (key, Hold::Ms12)]) {
            let mut call = Call::new(policy, hold, broken);
            call.key(*key, n * 13);
            call.says(&[0; 4800]);
            assert_eq!(call.keys, 1, "the call has the key");
            check(&call);
        }
    }

    /// A beep is 200 ms long and 2230 loud, and nothing else is heard.
    fn is_masked(call: &Call) {
        hears_only(call, 2300);
    }

    /// A pulse is 200 ms long and 705 loud, and nothing else is heard.
    fn only_pulses(call: &Call) {
        hears_only(call, 730);
    }

    fn hears_only(call: &Call, loudest_max: i16) {
        let loudest = call.heard.iter().map(|sample| sample.abs()).max().unwrap();
        let sounding = call.heard.iter().filter(|sample| **sample != 0).count();
        assert!(loudest <= loudest_max && (1..=1600).contains(&sounding), "{loudest}, {sounding}");
        assert_eq!((decode(&call.heard).as_str(), call.leaks), ("", 0));
        assert!(!call.proofs.is_empty());
    }

    /// The witness has heard two frames at most, told so, and put an end to it.
    fn is_muted(call: &Call) {
        assert_eq!(call.leaks, 1);
        let sounding = call.heard.iter().filter(|sample| **sample != 0).count();
        assert!(sounding <= 2 * FRAME_SAMPLES, "{sounding}");
        assert!(call.heard[1600..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn with_every_stage_at_work_there_is_nothing_but_a_beep() {
        each_key(Policy::Natural, &[], is_masked);
        each_key(Policy::Strict, &[], only_pulses);
    }

    #[test]
    fn a_natural_mask_that_passes_everything_is_heard_by_the_witness() {
        each_key(Policy::Natural, &[Stage::Gate, Stage::Knowledge], is_muted);
        each_key(Policy::Natural, &[Stage::Rule, Stage::Net, Stage::Knowledge], is_muted);
    }

    /// A key that is proved while nothing is masked: the gate has not done its work, whether or not the witness has heard
    /// enough of it.
    #[test]
    fn a_gate_that_suspects_nothing_is_found_out_by_the_first_key() {
        each_key(Policy::Natural, &[Stage::Gate], |call| assert_eq!(call.leaks, 1));
    }

    #[test]
    fn each_half_of_the_gate_masks_every_clean_key_without_the_other() {
        for broken in [&[Stage::Rule], &[Stage::Net], &[Stage::Knowledge]] {
            each_key(Policy::Natural, broken, is_masked);
        }
        each_key(Policy::Natural, &[Stage::Net, Stage::Knowledge], is_masked);
        each_key(Policy::Natural, &[Stage::Rule, Stage::Knowledge], is_masked);
    }

    #[test]
    fn concealment_that_lets_the_caller_through_is_heard_by_the_witness() {
        each_key(Policy::Natural, &[Stage::Concealment], is_muted);
    }

    #[test]
    fn a_strict_mask_that_lets_the_caller_through_is_heard_by_the_witness() {
        each_key(Policy::Strict, &[Stage::Strict], is_muted);
    }

    #[test]
    fn a_deaf_witness_lets_no_line_count_as_secured() {
        for policy in [Policy::Natural, Policy::Strict] {
            let mut call = Call::new(policy, Hold::default(), &[Stage::Hearing]);
            call.says(&[0; 1600]);
            let before = (call.proofs.len(), call.secured);
            call.command(Command::Secure { policy });
            call.says(&[0; 16_000]);
            assert_eq!((call.proofs.len(), call.secured), before, "without proof the call makes it a fault");
            BROKEN.set(&[]);
            call.command(Command::Secure { policy });
            call.says(&[0; 16_000]);
            assert_eq!(call.secured, before.1 + 1);
            assert!(call.proofs.len() > before.0);
        }
    }

    #[test]
    fn what_the_witness_has_not_heard_proves_nothing() {
        for policy in [Policy::Natural, Policy::Strict] {
            let mut call = Call::new(policy, Hold::default(), &[Stage::Witness]);
            let before = call.session.stats().witnessed.frames;
            call.says(&[0; 16_000]);
            call.command(Command::Secure { policy });
            call.says(&[0; 16_000]);
            assert_eq!((call.proofs.len(), call.secured), (0, 1), "without proof the call makes it a fault");
            assert_eq!(call.session.stats().witnessed.frames, before);
            BROKEN.set(&[]);
            call.says(&[0; 16_000]);
            assert_eq!((call.proofs.len(), call.secured), (0, 1), "until it is secured again");
            call.command(Command::Secure { policy });
            call.says(&[0; 16_000]);
            assert!(call.proofs.len() >= 3 && call.secured == 2);
        }
    }
}
