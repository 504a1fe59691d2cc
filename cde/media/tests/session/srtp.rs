//! Legs that are protected by SRTP.

use crate::harness::{AGENT, Call, Got, hum, master, ms, remote};
use media::g711::{self, Law};
use media::rtcp::{Compound, Report};
use media::srtp::{Keys, Suite};
use media::{Command, Policy, Remote, Side};
use std::net::SocketAddr;

/// A payment with keys by events, and speech before and after it.
fn pay(call: &mut Call, policy: Policy) {
    talk(call, 30);
    call.command(Command::Secure { policy });
    call.caller_keys("4242#");
    talk(call, 30);
    call.command(Command::Release);
    call.caller_is_silent(ms(4000));
    talk(call, 30);
}

/// Both speak.
fn talk(call: &mut Call, packets: usize) {
    for frame in hum(packets * 160).chunks_exact(160) {
        agent_says(call, frame);
        let bytes = call.caller.audio(frame);
        call.caller_sends(&bytes);
    }
}

fn agent_says(call: &mut Call, frame: &[i16]) {
    let bytes = call.agent.audio(frame);
    call.give(Side::Agent, &bytes);
}

#[test]
fn a_protected_call_sounds_as_an_open_one_and_gives_the_same_keys() {
    for policy in [Policy::Natural, Policy::Strict] {
        let mut plain = Call::new();
        pay(&mut plain, policy);
        for suite in Suite::ALL {
            let mut call = Call::protected(suite);
            pay(&mut call, policy);
            assert_eq!(call.keys(), "4242#", "{suite:?}");
            assert!(call.agent.got == plain.agent.got, "{suite:?} {policy:?}: the agent hears something else");
            assert!(call.caller.got == plain.caller.got, "{suite:?} {policy:?}: the caller hears something else");
            let frames = |call: &Call| call.frames.iter().map(|frame| (frame.heard, frame.said)).collect::<Vec<_>>();
            assert!(frames(&call) == frames(&plain), "{suite:?} {policy:?}: the recording is another");
            assert_eq!(call.stats().witnessed, plain.stats().witnessed, "what is witnessed is what was encoded");
            assert!(!call.agent.reports.is_empty(), "{suite:?}");
            assert!(call.agent.reports == plain.agent.reports, "{suite:?}: RTCP tells of other figures");
            assert!(call.caller.reports == plain.caller.reports, "{suite:?}: RTCP tells of other figures");
        }
    }
}

#[test]
fn no_sound_goes_over_the_network_in_the_clear() {
    let mut call = Call::protected(Suite::Aes128Sha1Tag80);
    pay(&mut call, Policy::Natural);
    for peer in [&call.caller, &call.agent] {
        assert!(peer.raw.len() > 50);
        for (raw, Got { payload, .. }) in peer.raw.iter().zip(&peer.got) {
            let same = raw[12..].iter().zip(payload).filter(|(one, other)| one == other).count();
            assert!(same * 10 < payload.len() || payload.len() < 20, "{same} of {} bytes are the same", payload.len());
        }
    }
}

#[test]
fn what_is_not_authentic_is_dropped_counted_and_no_sign_of_life() {
    let mut call = Call::protected(Suite::Aes128Gcm);
    talk(&mut call, 3);
    let (heard, before) = (call.agent.got.len(), call.stats());
    let plain = call.caller.audio(&[0; 160]);
    call.give_raw(Side::Caller, &plain);
    let mut tampered = call.caller.sent(&plain);
    tampered[20] ^= 1;
    call.give_raw(Side::Caller, &tampered);
    let again = call.caller.audio(&[0; 160]);
    let again = call.caller.sent(&again);
    call.give_raw(Side::Caller, &again);
    call.give_raw(Side::Caller, &again);
    assert_eq!(call.agent.got.len(), heard + 1);
    assert_eq!(call.stats().caller.refused_srtp, before.caller.refused_srtp + 3);
    assert_eq!(call.stats().caller.accepted, before.caller.accepted + 1);

    // A secured line whose caller sends nothing authentic is the line of a caller who sends nothing.
    call.command(Command::Secure { policy: Policy::Natural });
    let events = call.events.len();
    for _ in 0..50 {
        call.give_raw(Side::Caller, &tampered);
        call.wait(ms(20));
    }
    assert!(call.events[events..].iter().all(|(_, event)| event == "Proof"), "{:?}", &call.events[events..]);
}

#[test]
fn reports_are_heard_only_if_they_are_protected_and_once() {
    for muxed in [true, false] {
        let mut call = Call::protected(Suite::Aes128Sha1Tag32);
        let report = Report { ssrc: call.caller.ssrc, sender: None, block: None, name: [b'a'; 16], bye: true };
        let plain = Compound::new(&report).as_bytes().to_vec();
        let protected = call.caller.sent_report(&plain);
        let rtcp: SocketAddr = ([192, 0, 2, 1], 4001).into();
        if !muxed {
            let keys = Keys { inbound: master(Suite::Aes128Sha1Tag32, 1), outbound: master(Suite::Aes128Sha1Tag32, 2) };
            let remote = Remote { rtcp, ..remote(Side::Caller) };
            call.command(Command::ConnectProtected { side: Side::Caller, remote, keys: Box::new(keys) });
        }
        let from = if muxed { call.caller.address } else { rtcp };
        for bytes in [&plain, &protected, &protected] {
            call.session.handle_packet(call.now, Side::Caller, from, bytes);
        }
        let stats = call.stats().caller;
        assert_eq!((stats.rtcp, stats.byes, stats.refused_srtp), (1, 1, 2), "muxed: {muxed}");
    }
}

#[test]
fn arbitrary_bytes_on_a_protected_leg_never_pass() {
    let mut call = Call::protected(Suite::Aes256Gcm);
    let mut dice = crate::harness::Dice(7);
    for _ in 0..3000 {
        let length = dice.roll(1600) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| dice.roll(256) as u8).collect();
        bytes.iter_mut().take(1).for_each(|first| *first = 0x80);
        bytes.iter_mut().skip(1).take(dice.roll(2) as usize).for_each(|kind| *kind = 200);
        call.give_raw(Side::Caller, &bytes);
    }
    assert!(call.agent.got.is_empty());
    assert_eq!(call.stats().caller.accepted, 0);
}

/// A known trap: after a hold everything that one side sends is a replay, or of a wrong turn, for the other.
#[test]
fn hold_and_resume_go_on_in_the_same_stream_also_over_a_turn_of_the_numbers() {
    let suite = Suite::Aes128Sha1Tag80;
    let mut call = Call::protected(suite);
    talk(&mut call, 40);
    let lost = call.agent.got.len();
    // Held with a null address, then the caller's music goes on unheard for more than half a turn.
    call.command(Command::Disconnect { side: Side::Agent });
    call.command(Command::Disconnect { side: Side::Caller });
    for _ in 0..40_000 {
        let bytes = call.caller.audio(&[0; 160]);
        let sent = call.caller.sent(&bytes);
        call.give_raw(Side::Caller, &sent);
    }
    call.wait(ms(20));
    call.connect_protected(Side::Agent, suite, 3);
    call.connect_protected(Side::Caller, suite, 1);
    talk(&mut call, 40);
    assert_eq!(call.agent.got.len(), lost + 40, "{:?}", call.stats().caller);
    assert_eq!(call.stats().caller.refused_srtp, 0);
}

#[test]
fn a_held_peer_is_followed_though_not_heard() {
    let suite = Suite::Aes128Gcm;
    let mut call = Call::protected(suite);
    talk(&mut call, 5);
    let keys = || Box::new(Keys { inbound: master(suite, 1), outbound: master(suite, 2) });
    let held = Remote { sends: false, ..remote(Side::Caller) };
    call.command(Command::ConnectProtected { side: Side::Caller, remote: held, keys: keys() });
    let heard = call.agent.got.len();
    // A turn and a half.
    for _ in 0..98_000 {
        let bytes = call.caller.audio(&[0; 160]);
        call.give(Side::Caller, &bytes);
    }
    assert_eq!(call.agent.got.len(), heard);
    call.command(Command::ConnectProtected { side: Side::Caller, remote: remote(Side::Caller), keys: keys() });
    talk(&mut call, 5);
    assert_eq!((call.agent.got.len(), call.stats().caller.refused_srtp), (heard + 5, 0));
}

#[test]
fn keys_change_without_a_gap() {
    let mut call = Call::protected(Suite::Aes128Sha1Tag80);
    talk(&mut call, 20);
    let before = call.agent.got.len();
    let under_way = call.caller.audio(&[0; 160]);
    let under_way = call.caller.sent(&under_way);
    call.protect(Side::Caller, Suite::Aes256Gcm, 7);
    call.give_raw(Side::Caller, &under_way);
    // The new key may come with another source of sound.
    call.caller.ssrc += 1;
    talk(&mut call, 20);
    assert_eq!(call.agent.got.len(), before + 21);
    assert_eq!(call.caller.got.len(), 40);
    assert_eq!(call.stats().caller.refused_srtp, 0);
    call.wait(ms(2000));
    let mut old = Call::protected(Suite::Aes128Sha1Tag80);
    let stale = old.caller.audio(&[0; 160]);
    call.give_raw(Side::Caller, &old.caller.sent(&stale));
    assert_eq!(call.stats().caller.refused_srtp + call.stats().caller.refused_ssrc, 1);
}

#[test]
fn only_one_leg_may_be_protected() {
    let mut call = Call::unconnected();
    call.command(Command::Connect { side: Side::Caller, remote: remote(Side::Caller) });
    call.protect(Side::Agent, Suite::Aes256Sha1Tag80, 3);
    talk(&mut call, 10);
    assert_eq!((call.caller.got.len(), call.agent.got.len()), (10, 10));
    let expected: Vec<i16> = hum(1600).iter().map(|s| g711::decode(Law::Mu, g711::encode(Law::Mu, *s))).collect();
    assert_eq!(call.agent_heard(), expected);
    // And its protection ends when the call says so.
    call.agent.srtp = None;
    call.command(Command::Connect { side: Side::Agent, remote: remote(Side::Agent) });
    talk(&mut call, 10);
    assert_eq!(call.agent.got.len(), 20);
}

#[test]
fn a_stranger_with_the_right_key_is_a_stranger() {
    let mut call = Call::protected(Suite::Aes128Gcm);
    let bytes = call.agent.audio(&[0; 160]);
    let bytes = call.agent.sent(&bytes);
    let stranger: SocketAddr = ([192, 0, 2, 66], AGENT.parse::<SocketAddr>().unwrap().port()).into();
    call.session.handle_packet(call.now, Side::Agent, stranger, &bytes);
    assert_eq!(call.stats().agent.refused_source, 1);
}
