//! What a recorder is sent: copies of what the legs are, and so nothing that the agent may not hear.

use crate::harness::{AGENT, Call, EVENTS, copies_at, hum, master, ms};
use media::dtmf::{Shape, tone};
use media::srtp::{Keys, PACKET_MAX, Receiver, Suite};
use media::{Command, Side, rtp, tone::decode};

impl Call {
    /// A recorder from now on.
    fn copied(mut self) -> Self {
        self.copy(Side::Caller);
        self.copy(Side::Agent);
        self
    }

    fn copy(&mut self, side: Side) {
        self.command(Command::Copy { side, remote: copies_at(side), keys: None, seed: [9; 32] });
    }

    /// The payloads of a leg, and those of its copies.
    fn both(&self, side: Side) -> (Vec<&[u8]>, Vec<Vec<u8>>) {
        let peer = if side == Side::Caller { &self.caller } else { &self.agent };
        let sound = peer.got.iter().filter(|got| got.header.payload_type == 0);
        let copies = self.copies.iter().filter(|(of, _)| *of == side);
        let payload = |(_, bytes): &(Side, Vec<u8>)| rtp::parse(bytes).unwrap().payload.to_vec();
        (sound.map(|got| got.payload.as_slice()).collect(), copies.map(payload).collect())
    }

    /// The digits that can be read in the copies of what the agent was sent.
    fn recorded(&self) -> String {
        let codes = self.both(Side::Agent).1.concat();
        let samples: Vec<i16> = codes.iter().map(|code| media::g711::decode(media::g711::Law::Mu, *code)).collect();
        decode(&samples)
    }

    /// Keys by all ways, which the agent answers.
    fn keyed(&mut self) {
        self.caller_says(&hum(3200));
        self.caller_keys("401");
        self.info(b'7');
        for key in b"289" {
            self.caller_says(&tone(*key, Shape::default()).unwrap());
            self.caller_is_silent(ms(80));
        }
        let said = [hum(1600), tone(b'6', Shape::default()).unwrap()].concat();
        for frame in said.chunks_exact(160) {
            let bytes = self.agent.audio(frame);
            self.give(Side::Agent, &bytes);
            self.wait(ms(20));
        }
        let events = self.agent.key(b'5', ms(100));
        events.iter().for_each(|bytes| self.give(Side::Agent, bytes));
        self.wait(ms(200));
    }

    /// That every copy is what its leg was sent, as a stream of sound of its own.
    #[track_caller]
    fn copies_are_equal(&self) {
        for side in [Side::Caller, Side::Agent] {
            let (sent, copies) = self.both(side);
            assert!(sent.len() > 5, "{side:?}");
            assert!(sent == copies, "{side:?}: {} packets and {} copies", sent.len(), copies.len());
        }
        let headers = |side| {
            let of_side = self.copies.iter().filter(move |(of, _)| *of == side);
            of_side.map(|(_, bytes)| rtp::parse(bytes).unwrap().header).collect::<Vec<_>>()
        };
        let [caller, agent] = [headers(Side::Caller), headers(Side::Agent)];
        let mut sources =
            vec![caller[0].ssrc, agent[0].ssrc, self.caller.got[0].header.ssrc, self.agent.got[0].header.ssrc];
        sources.sort_unstable();
        sources.dedup();
        assert_eq!(sources.len(), 4, "a stream of its own each");
        for headers in [caller, agent] {
            assert!(headers.iter().all(|header| header.payload_type == 0 && header.ssrc == headers[0].ssrc));
            let goes_on = |pair: &[rtp::Header]| pair[1].sequence == pair[0].sequence.wrapping_add(1);
            assert!(headers.windows(2).all(goes_on), "no number is left out for what is not copied");
        }
    }
}

#[cfg(not(feature = "masking-off-control"))]
#[test]
fn the_recorder_gets_byte_for_byte_what_the_legs_are_sent_and_no_key_of_a_secured_line() {
    for policy in [media::Policy::Natural, media::Policy::Strict] {
        let mut call = Call::new().copied();
        call.caller_says(&hum(1600));
        call.command(Command::Secure { policy });
        call.keyed();
        call.copies_are_equal();
        assert_eq!(call.recorded(), "", "{policy:?}");
        assert!(call.keys().starts_with("401") && call.keys().ends_with("289"), "{policy:?}: {}", call.keys());
        let stats = call.stats();
        // What was copied while the line was masked, the witness has heard: generated frames and no others.
        let copies = call.both(Side::Agent).1.len() as u64;
        assert_eq!(copies, stats.witnessed.frames + 10, "{policy:?}: ten were of the open line");
        assert_eq!((stats.witnessed.frames, stats.witnessed.suspicious), (stats.generated, 0), "{policy:?}");
    }
}

#[test]
fn on_an_open_line_keys_are_recorded_as_sound_alone() {
    let mut call = Call::new().copied();
    call.keyed();
    call.copies_are_equal();
    assert_eq!(call.recorded(), "289");
    assert!(
        call.agent.got.iter().any(|got| got.header.payload_type == EVENTS),
        "which the agent's phone gets as events too"
    );
}

#[cfg(feature = "masking-off-control")]
#[test]
fn with_the_mask_off_the_digits_reach_the_recorder() {
    let mut call = Call::new().copied();
    call.command(Command::Secure { policy: media::Policy::Strict });
    call.keyed();
    assert_eq!(call.recorded(), "289");
}

#[test]
fn nothing_is_copied_before_a_recorder_is_there_nor_after() {
    let mut call = Call::new();
    call.caller_says(&hum(1600));
    assert!(call.copies.is_empty());
    let mut call = call.copied();
    call.caller_says(&hum(1600));
    assert_eq!(call.copies.len(), 10);
    call.command(Command::StopCopies);
    call.caller_says(&hum(1600));
    call.command(Command::End);
    assert_eq!((call.copies.len(), call.copy_reports.len()), (10, 0));
}

#[test]
fn sound_of_another_codec_than_the_recorders_is_not_copied() {
    let mut call = Call::new().copied();
    let remote = media::Remote::g711(AGENT.parse().unwrap(), media::g711::Law::A);
    call.command(Command::Connect { side: Side::Agent, remote });
    call.caller_says(&hum(1600));
    assert_eq!(call.agent.got.len(), 10);
    assert!(call.copies.is_empty());
}

#[test]
fn the_recorder_is_told_by_rtcp_what_it_was_sent_and_when_it_is_over() {
    let mut call = Call::new().copied();
    call.caller_says(&hum(80_000));
    let ssrc = rtp::parse(&call.copies[0].1).unwrap().header.ssrc;
    let of_agent = |call: &Call| {
        let reports = call.copy_reports.iter().filter(|(side, _)| *side == Side::Agent);
        reports
            .map(|(_, bytes)| media::rtcp::parse(bytes, 0).map(|read| (read.sender.unwrap().0, read.bye)).unwrap())
            .collect::<Vec<_>>()
    };
    let told = of_agent(&call);
    assert!(!told.is_empty() && told.iter().all(|told| *told == (ssrc, false)), "{told:?}");
    call.command(Command::End);
    assert_eq!(of_agent(&call).last(), Some(&(ssrc, true)));
}

#[test]
fn protected_copies_are_opened_by_the_recorders_keys_alone_and_are_the_same_sound() {
    for suite in Suite::ALL {
        let mut call = Call::new();
        let keys = Keys { inbound: master(suite, 1), outbound: master(suite, 2) };
        let copy = |keys| Command::Copy { side: Side::Agent, remote: copies_at(Side::Agent), keys, seed: [9; 32] };
        call.command(copy(Some(Box::new(keys))));
        call.caller_says(&hum(1600));
        let mut receiver = Receiver::new(master(suite, 2)).unwrap();
        let mut opened = |bytes: &[u8]| {
            let mut clear = [0; PACKET_MAX];
            let length = receiver.unprotect(bytes, &mut clear, false).unwrap_or_else(|why| panic!("{why:?}"));
            rtp::parse(&clear[..length]).unwrap().payload.to_vec()
        };
        let sound: Vec<Vec<u8>> = call.copies.iter().map(|(_, bytes)| opened(bytes)).collect();
        assert!(sound.len() == 10 && sound.iter().eq(call.agent.got.iter().map(|got| &got.payload)), "{suite:?}");
        let plain =
            call.copies.iter().filter(|(_, bytes)| call.agent.got.iter().any(|got| bytes.ends_with(&got.payload)));
        assert_eq!(plain.count(), 0, "{suite:?}");
    }
}

#[cfg(not(feature = "masking-off-control"))]
#[test]
fn copies_of_a_wide_leg_are_what_it_is_sent_too() {
    let mut call = Call::new();
    let wide = |at: &str| media::Remote::of(at.parse().unwrap(), media::Codec::G722);
    call.command(Command::Connect { side: Side::Agent, remote: wide(AGENT) });
    let remote = media::Remote { rtcp: copies_at(Side::Agent).rtcp, ..wide("192.0.2.3:6000") };
    call.command(Command::Copy { side: Side::Agent, remote, keys: None, seed: [9; 32] });
    call.caller_says(&hum(1600));
    call.command(Command::Secure { policy: media::Policy::Natural });
    call.caller_says(&hum(1600));
    let sent: Vec<&[u8]> = call.agent.got.iter().map(|got| got.payload.as_slice()).collect();
    let copies = call.copies.iter().map(|(_, bytes)| rtp::parse(bytes).unwrap());
    assert!(sent.len() > 15 && copies.clone().all(|copy| copy.header.payload_type == 9));
    assert!(copies.map(|copy| copy.payload).eq(sent.iter().copied()));
}
