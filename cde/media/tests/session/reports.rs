//! RTCP of both legs: what a peer is told, what is taken from it, and what no agent can learn from it.

use crate::harness::{AGENT, Call, Dice, Peer, Told, hum, ms, remote};
use media::dtmf::{Shape, tone};
use media::rtcp::{self, Block, Compound, Received, Report, Sender};
use media::{Command, Policy, Remote, Side};
use std::collections::BTreeSet;
use std::time::Duration;

fn read(told: &Told, about: u32) -> Received<'_> {
    rtcp::parse(&told.bytes, about).unwrap()
}

fn ssrc(told: &Told) -> u32 {
    u32::from_be_bytes(told.bytes[4..8].try_into().unwrap())
}

/// Both say something for so long, packet by packet.
fn talk(call: &mut Call, time: Duration) {
    for _ in 0..time.as_millis() / 20 {
        for side in [Side::Caller, Side::Agent] {
            let peer = if side == Side::Caller { &mut call.caller } else { &mut call.agent };
            let bytes = peer.audio(&hum(160));
            call.give(side, &bytes);
        }
        call.wait(ms(20));
    }
}

/// What a peer reports of itself and of us.
fn report(peer: &Peer, sender: Option<Sender>, block: Option<Block>) -> Vec<u8> {
    let report = Report { ssrc: peer.ssrc, sender, block, name: *b"not to be passed", bye: false };
    Compound::new(&report).as_bytes().to_vec()
}

fn milliseconds(ntp: u64) -> u64 {
    ((u128::from(ntp) * 1000 + (1 << 31)) >> 32) as u64
}

#[test]
fn each_peer_is_told_of_our_stream_and_of_its_own_in_uneven_intervals() {
    let mut call = Call::new();
    talk(&mut call, Duration::from_secs(60));
    for (side, peer) in [("caller", &call.caller), ("agent", &call.agent)] {
        let times: Vec<u64> = peer.reports.iter().map(|told| told.at).collect();
        assert!((1_250..=3_750).contains(&times[0]), "{side}: {times:?}");
        let gaps: BTreeSet<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(times.len() > 7 && gaps.len() > 4, "{side}: {times:?}");
        assert!(gaps.iter().all(|gap| (2_499..=7_501).contains(gap)), "{side}: {times:?}");
        for told in &peer.reports {
            let received = read(told, peer.ssrc);
            let (ssrc, sender) = received.sender.unwrap();
            let newest = &peer.got[told.packets - 1];
            assert_eq!(
                (ssrc, sender.packets, sender.octets),
                (newest.header.ssrc, told.packets as u32, told.packets as u32 * 160)
            );
            assert_eq!((sender.timestamp, milliseconds(sender.ntp)), (newest.header.timestamp, told.at), "{side}");
            let block = received.block.unwrap();
            assert_eq!((block.fraction_lost, block.lost, block.jitter), (0, 0, 0), "{side}");
            assert_eq!(block.highest, 0xfff0 + ((told.at - 1) / 20) as u32, "{side}");
            assert!(!received.bye && received.name.is_some_and(|name| name.len() == 16));
        }
    }
    let told =
        |peer: &Peer| (peer.reports[0].at, ssrc(&peer.reports[0]), read(&peer.reports[0], 0).name.unwrap().to_vec());
    let (caller, agent) = (told(&call.caller), told(&call.agent));
    assert!(caller.0 != agent.0 && caller.1 != agent.1 && caller.2 != agent.2, "nothing is shared by the legs");
}

#[test]
fn losses_and_jitter_of_a_leg_are_told_to_its_own_peer_alone() {
    let mut call = Call::new();
    for n in 0..2_000 {
        let (caller, agent) = (call.caller.audio(&hum(160)), call.agent.audio(&hum(160)));
        call.give(Side::Agent, &agent);
        call.wait(ms(n % 2 * 8));
        if n % 4 > 0 {
            call.give(Side::Caller, &caller);
        }
        call.wait(ms(20 - n % 2 * 8));
    }
    let blocks = |peer: &Peer| peer.reports.iter().map(|told| read(told, peer.ssrc).block.unwrap()).collect::<Vec<_>>();
    let to_caller = blocks(&call.caller);
    assert!(to_caller.iter().all(|block| (60..=68).contains(&block.fraction_lost)), "a quarter: {to_caller:?}");
    assert!(to_caller[2..].iter().all(|block| block.jitter > 30), "{to_caller:?}");
    assert!(blocks(&call.agent).iter().all(|block| (block.fraction_lost, block.lost, block.jitter) == (0, 0, 0)));
    let about_caller = |told: &Told| read(told, call.caller.ssrc).block;
    assert!(call.agent.reports.iter().all(|told| about_caller(told).is_none()));
}

#[test]
fn a_peer_that_may_not_be_sent_to_is_told_nothing_and_a_silent_one_is_told_as_a_receiver() {
    let mut call = Call::unconnected();
    let connect = |side, receives| Command::Connect { side, remote: Remote { receives, ..remote(side) } };
    call.command(connect(Side::Caller, true));
    call.command(connect(Side::Agent, false));
    call.wait(Duration::from_secs(10));
    assert!(!call.caller.reports.is_empty() && call.agent.reports.is_empty());
    assert!(
        call.caller.reports.iter().all(|told| told.bytes[1] == 201 && read(told, call.caller.ssrc).block.is_none())
    );
    call.command(connect(Side::Agent, true));
    call.wait(Duration::from_secs(10));
    let told = call.agent.reports.len();
    assert!(told > 0);
    call.command(connect(Side::Agent, false));
    call.wait(Duration::from_secs(10));
    assert!(call.agent.reports.len() > told, "a hold ends no reports (RFC 3264 section 5.1)");
    let told = call.agent.reports.len();
    call.command(Command::Disconnect { side: Side::Agent });
    call.wait(Duration::from_secs(20));
    assert_eq!(call.agent.reports.len(), told, "who is not there is told nothing");
}

#[test]
fn when_the_call_is_over_both_peers_are_told_so_once() {
    let mut call = Call::new();
    talk(&mut call, ms(200));
    call.command(Command::End);
    call.command(Command::End);
    call.wait(Duration::from_secs(20));
    for peer in [&call.caller, &call.agent] {
        assert_eq!(peer.reports.len(), 1);
        let received = read(&peer.reports[0], peer.ssrc);
        assert!(received.bye && received.sender.is_some() && received.block.is_some());
    }
}

#[test]
fn what_a_peer_reports_is_kept_with_the_way_there_and_back() {
    let mut call = Call::new();
    talk(&mut call, Duration::from_secs(8));
    for side in [Side::Caller, Side::Agent] {
        let peer = if side == Side::Caller { &call.caller } else { &call.agent };
        let told = peer.reports.last().unwrap();
        let (ours, sender) = read(told, 0).sender.unwrap();
        // It came 50 ms after it was sent, was held for as long as it is since then, and this comes 70 ms later.
        let held = call.elapsed() - told.at - 50;
        let block = Block {
            ssrc: ours,
            fraction_lost: 26,
            lost: 300,
            highest: 0,
            jitter: 80,
            last_report: (sender.ntp >> 16) as u32,
            since_last_report: (held * 65_536 / 1000) as u32,
        };
        let bytes = report(peer, None, Some(block));
        call.wait(ms(70));
        call.give(side, &bytes);
        let stats = if side == Side::Caller { call.stats().caller } else { call.stats().agent };
        let reported = stats.reported.unwrap();
        assert_eq!((reported.fraction_lost, reported.lost, reported.jitter, stats.rtcp), (26, 300, 80, 1));
        assert_eq!((reported.round_trip.unwrap().as_micros() + 500) / 1000, 120);
    }
    // Of a stream that is not ours, and of a report that we never sent.
    let foreign =
        Block { ssrc: 1, fraction_lost: 9, lost: 0, highest: 0, jitter: 0, last_report: 0, since_last_report: 0 };
    let bytes = report(&call.agent, None, Some(foreign));
    call.give(Side::Agent, &bytes);
    assert_eq!(call.stats().agent.reported.unwrap().fraction_lost, 26);
    let ours = ssrc(&call.agent.reports[0]);
    for last_report in [0, 0x7fff_0000] {
        let bytes = report(&call.agent, None, Some(Block { ssrc: ours, last_report, ..foreign }));
        call.give(Side::Agent, &bytes);
        let reported = call.stats().agent.reported.unwrap();
        assert_eq!((reported.fraction_lost, reported.round_trip), (9, None));
    }
}

#[test]
fn a_peers_report_comes_back_to_it_with_the_time_since() {
    let mut call = Call::new();
    let sender = Sender { ntp: 0x1111_2222_3333_4444, timestamp: 0, packets: 0, octets: 0 };
    let bytes = report(&call.agent, Some(sender), None);
    call.give(Side::Agent, &bytes);
    talk(&mut call, Duration::from_secs(4));
    let told = &call.agent.reports[0];
    let block = read(told, call.agent.ssrc).block.unwrap();
    assert_eq!((block.last_report, u64::from(block.since_last_report) * 1000 / 65_536 + 1), (0x2222_3333, told.at));
    let block = read(&call.caller.reports[0], call.caller.ssrc).block.unwrap();
    assert_eq!((block.last_report, block.since_last_report), (0, 0));
}

#[test]
fn rtcp_of_a_stranger_is_counted_as_refused_and_changes_nothing() {
    let mut call = Call::new();
    let apart = Remote { rtcp: "192.0.2.2:5001".parse().unwrap(), ..remote(Side::Agent) };
    let bytes = report(&call.agent, None, None);
    let give = |call: &mut Call, source: &str| {
        call.session.handle_packet(call.now, Side::Agent, source.parse().unwrap(), &bytes);
        let stats = call.stats().agent;
        (stats.rtcp, stats.refused_source)
    };
    assert_eq!(give(&mut call, "192.0.2.2:5001"), (0, 1), "one port for both");
    assert_eq!(give(&mut call, AGENT), (1, 1));
    call.command(Command::Connect { side: Side::Agent, remote: apart });
    assert_eq!(give(&mut call, AGENT), (1, 2), "two ports");
    assert_eq!(give(&mut call, "192.0.2.9:5001"), (1, 3));
    assert_eq!(give(&mut call, "192.0.2.2:5001"), (2, 3));
    // No report is a stream's first packet.
    call.agent.ssrc = 0x5555;
    call.command(Command::Connect { side: Side::Agent, remote: remote(Side::Agent) });
    talk(&mut call, ms(100));
    assert_eq!((call.stats().agent.refused_ssrc, call.caller.got.len()), (0, 5));
}

/// The caller presses keys in all ways, stops, loses packets, sends RTCP good and bad, leaves. The agent talks on.
fn anything(call: &mut Call, seed: u64, seconds: u64) {
    let mut dice = Dice(seed);
    let end = call.elapsed() + seconds * 1000;
    while call.elapsed() < end {
        let bytes = call.agent.audio(&hum(160));
        call.give(Side::Agent, &bytes);
        let key = b'0' + dice.roll(10) as u8;
        let sound = tone(key, Shape::default()).unwrap();
        let samples = if dice.roll(3) == 0 { sound[..160].to_vec() } else { hum(160) };
        let audio = call.caller.audio(&samples);
        let sender = Sender { ntp: dice.roll(1 << 40), timestamp: 1, packets: 2, octets: 3 };
        let report = report(&call.caller, Some(sender), None);
        match dice.roll(12) {
            0 => call.info(key),
            1 => call.caller.key(key, ms(60)).iter().for_each(|bytes| call.give(Side::Caller, bytes)),
            2 => call.give(Side::Caller, &report),
            3 => call.give(Side::Caller, &report[..dice.roll(40) as usize]),
            4 => call.give(Side::Caller, &[0x81, 203, 0, 1, 0, 0, 0xca, 0x11]),
            5 => {}
            _ => call.give(Side::Caller, &audio),
        }
        call.wait(ms(20));
    }
}

fn masked(policy: Policy, seed: u64) -> Call {
    let mut call = Call::new();
    call.command(Command::Secure { policy });
    anything(&mut call, seed, 20);
    call
}

#[test]
fn behind_a_strict_mask_the_agents_rtcp_is_the_same_whatever_the_caller_does() {
    let mut silent = Call::new();
    silent.command(Command::Secure { policy: Policy::Strict });
    for _ in 0..1000 {
        let bytes = silent.agent.audio(&hum(160));
        silent.give(Side::Agent, &bytes);
        silent.wait(ms(20));
    }
    assert!(silent.agent.reports.len() >= 3);
    for seed in 0..20 {
        let call = masked(Policy::Strict, seed);
        assert!(call.stats().caller.rtcp > 10 && call.stats().caller.malformed > 10);
        assert!(call.agent.reports == silent.agent.reports, "seed {seed}");
    }
}

/// Of each report everything can be told from the packets that the agent has sent and been sent, and from the time.
#[test]
fn no_report_tells_the_agent_more_than_packets_have() {
    for seed in 0..20 {
        let call = masked(Policy::Natural, seed);
        let times: Vec<u64> = call.agent.reports.iter().map(|told| told.at).collect();
        let of_strict: Vec<u64> = masked(Policy::Strict, 0).agent.reports.iter().map(|told| told.at).collect();
        assert_eq!(times, of_strict, "no packet of the caller moves a report");
        for told in &call.agent.reports {
            let newest = &call.agent.got[told.packets - 1];
            let steps = (told.at - newest.at) / 250;
            let received = read(told, call.agent.ssrc);
            let (_, sender) = received.sender.unwrap();
            let expected = Sender {
                ntp: sender.ntp,
                timestamp: newest.header.timestamp.wrapping_add(steps as u32 * 2000),
                packets: told.packets as u32,
                octets: told.packets as u32 * 160,
            };
            let block = Block {
                ssrc: call.agent.ssrc,
                fraction_lost: 0,
                lost: 0,
                highest: 0xfff0 + ((told.at - 1) / 20) as u32,
                jitter: 0,
                last_report: 0,
                since_last_report: 0,
            };
            let whole = Report {
                ssrc: newest.header.ssrc,
                sender: Some(expected),
                block: Some(block),
                name: received.name.unwrap().try_into().unwrap(),
                bye: false,
            };
            assert_eq!(milliseconds(sender.ntp), told.at);
            assert_eq!(told.bytes, Compound::new(&whole).as_bytes(), "seed {seed}");
        }
    }
}

#[test]
fn rtcp_of_the_caller_neither_paces_nor_opens_a_line() {
    for policy in [Policy::Strict, Policy::Natural] {
        let heard = |reports: bool| {
            let mut call = Call::new();
            call.command(Command::Secure { policy });
            call.caller_is_silent(ms(100));
            call.command(Command::Release);
            // Nothing but RTCP comes, for longer than it must be quiet: that is a caller of whom nothing is heard.
            for _ in 0..300 {
                if reports {
                    let bytes = report(&call.caller, None, None);
                    call.give(Side::Caller, &bytes);
                }
                call.wait(ms(20));
            }
            assert!(call.times("Opened").is_empty());
            (call.agent.got, call.agent.reports)
        };
        assert!(heard(true) == heard(false), "{policy:?}");
    }
}
