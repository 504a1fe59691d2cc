use super::rekey::{Inbound, Outbound};
use super::*;
use crate::keys::tests::start;
use crate::rtp::{Header, Packet};
use std::time::Duration;

mod vectors;

const SSRC: u32 = 0xcafe_babe;
const SOUND: [u8; 160] = [0x55; 160];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn master(suite: Suite, salt: u8) -> Master {
    let length = suite.key_length() + suite.salt_length();
    let bytes: Vec<u8> = (0..u8::try_from(length).unwrap()).map(|at| at.wrapping_mul(7).wrapping_add(salt)).collect();
    Master::new(suite, &bytes).unwrap()
}

fn pair(suite: Suite) -> (Sender, Receiver) {
    (Sender::new(master(suite, 1)).unwrap(), Receiver::new(master(suite, 1)).unwrap())
}

fn clear(ssrc: u32, sequence: u16) -> Vec<u8> {
    let header = Header { payload_type: 0, marker: false, sequence, timestamp: u32::from(sequence), ssrc };
    Packet::new(&header, &SOUND).unwrap().as_bytes().to_vec()
}

fn protect(sender: &mut Sender, packet: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = [packet, &[0; crate::rtp::TAG_MAX]].concat();
    let length = sender.protect(&mut buffer, packet.len())?;
    buffer.truncate(length);
    Some(buffer)
}

fn send(sender: &mut Sender, sequence: u16) -> Vec<u8> {
    protect(sender, &clear(SSRC, sequence)).unwrap()
}

/// The sequence number of the packet that has this index.
fn turned(index: u32) -> u16 {
    u16::try_from(index & 0xffff).unwrap()
}

fn take(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    take_anew(receiver, packet, false)
}

fn take_anew(receiver: &mut Receiver, packet: &[u8], anew: bool) -> Result<Vec<u8>, Refused> {
    let mut out = [0; PACKET_MAX];
    let length = receiver.unprotect(packet, &mut out, anew)?;
    Ok(out[..length].to_vec())
}

#[test]
fn what_is_protected_comes_out_as_it_was_and_cannot_be_read_between() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        for sequence in 0..200 {
            let sent = send(&mut sender, sequence);
            assert!(!sent.windows(4).any(|bytes| bytes == [0x55; 4]), "{suite:?}: plain sound in the packet");
            assert_eq!(take(&mut receiver, &sent), Ok(clear(SSRC, sequence)), "{suite:?}");
        }
    }
}

#[test]
fn csrcs_and_an_extension_stay_readable_and_are_authenticated() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let mut packet = clear(SSRC, 7);
        packet[0] = 0x91;
        packet.splice(12..12, hex("0102030499990001aabbccdd"));
        let mut sent = protect(&mut sender, &packet).unwrap();
        assert_eq!(sent[..24], packet[..24]);
        assert!(sent[24..40] != packet[24..40]);
        sent[22] ^= 1;
        assert_eq!(take(&mut receiver, &sent), Err(Refused::NotAuthentic));
        sent[22] ^= 1;
        assert_eq!(take(&mut receiver, &sent), Ok(packet));
    }
}

#[test]
fn one_changed_bit_anywhere_is_refused_and_changes_nothing() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        assert!(take(&mut receiver, &send(&mut sender, 100)).is_ok());
        let sent = send(&mut sender, 101);
        for bit in 0..sent.len() * 8 {
            let mut changed = sent.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(take(&mut receiver, &changed).is_err(), "{suite:?}: bit {bit}");
        }
        assert_eq!(receiver.heard_so_far().0, 1, "{suite:?}: a forged SSRC is not remembered");
        assert_eq!(take(&mut receiver, &sent), Ok(clear(SSRC, 101)), "{suite:?}");
    }
}

#[test]
fn a_packet_is_taken_once_in_whatever_order_they_come() {
    let (mut sender, mut receiver) = pair(Suite::Aes128Gcm);
    let sent: Vec<Vec<u8>> = (0..400).map(|sequence| send(&mut sender, sequence)).collect();
    for at in [0, 3, 1, 200, 150, 100, 199] {
        assert!(take(&mut receiver, &sent[at]).is_ok(), "{at}");
        assert_eq!(take(&mut receiver, &sent[at]), Err(Refused::Replayed), "{at}");
    }
    assert!(take(&mut receiver, &sent[73]).is_ok(), "127 behind the newest");
    assert_eq!(take(&mut receiver, &sent[72]), Err(Refused::Replayed), "too old to be known");
}

#[test]
fn sequence_numbers_turn_with_loss_and_disorder_around_the_turn() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        // Three turns, of which only some packets arrive; around each turn two of them change places.
        let sent: Vec<(u16, Vec<u8>)> =
            (0xff00_u32..0x3_0100).step_by(97).map(turned).map(|at| (at, send(&mut sender, at))).collect();
        for pair in sent.chunks(2).flat_map(|pair| pair.iter().rev()) {
            assert_eq!(take(&mut receiver, &pair.1), Ok(clear(SSRC, pair.0)), "{suite:?}: {}", pair.0);
        }
        assert!(receiver.heard_so_far().1.unwrap() > 0x3_0000);
        assert!(take(&mut receiver, &sent[0].1).is_err(), "an old turn's packet");
    }
}

#[test]
fn loss_of_more_than_half_a_turn_is_found_again_after_a_hold() {
    let (mut sender, mut receiver) = pair(Suite::Aes128Sha1Tag80);
    assert!(take(&mut receiver, &send(&mut sender, 0x7000)).is_ok());
    send(&mut sender, 0xe000);
    // 50,000 packets later: the number is lower than the newest by less than half a turn.
    let sent = send(&mut sender, 0x3350);
    assert_eq!(take_anew(&mut receiver, &sent, false), Err(Refused::Replayed));
    assert!(take_anew(&mut receiver, &sent, true).is_ok());
    assert!(take(&mut receiver, &send(&mut sender, 0x3351)).is_ok(), "and it goes on from there");
}

#[test]
fn a_stream_whose_beginning_was_lost_over_a_turn_is_understood() {
    let (mut sender, mut receiver) = pair(Suite::Aes256Gcm);
    (0xfff0..=0xffff).for_each(|sequence| drop(send(&mut sender, sequence)));
    send(&mut sender, 0);
    assert!(take(&mut receiver, &send(&mut sender, 1)).is_ok());
}

#[test]
fn a_number_is_never_used_twice() {
    let (mut sender, _) = pair(Suite::Aes128Gcm);
    send(&mut sender, 500);
    send(&mut sender, 510);
    for (sequence, may) in [(510, false), (505, true), (505, false), (300, false), (511, true)] {
        assert_eq!(protect(&mut sender, &clear(SSRC, sequence)).is_some(), may, "{sequence}");
    }
}

#[test]
fn several_streams_of_a_peer_have_windows_of_their_own_and_the_oldest_is_forgotten_first() {
    let (_, mut receiver) = pair(Suite::Aes128Gcm);
    let mut senders: Vec<Sender> = (0..10).map(|_| pair(Suite::Aes128Gcm).0).collect();
    let mut sent = |ssrc: u32| protect(&mut senders[usize::try_from(ssrc).unwrap()], &clear(ssrc, 5)).unwrap();
    let packets: Vec<Vec<u8>> = (0..10).map(&mut sent).collect();
    for packet in &packets {
        assert!(take(&mut receiver, packet).is_ok());
        assert_eq!(take(&mut receiver, packet), Err(Refused::Replayed));
    }
    assert_eq!(receiver.heard_so_far().0, 8);
    assert!(packets[2..].iter().all(|packet| take(&mut receiver, packet) == Err(Refused::Replayed)));
}

#[test]
fn rtcp_is_protected_counted_and_taken_once() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let report = hex("81c90007cafebabe000000010000000200000003");
        let mut sent = Vec::new();
        for _ in 0..3 {
            let mut buffer = [report.as_slice(), &[0; RTCP_TRAILER_MAX]].concat();
            let length = sender.protect_rtcp(&mut buffer, report.len()).unwrap();
            buffer.truncate(length);
            assert!(buffer[8..20] != report[8..20], "{suite:?}");
            sent.push(buffer);
        }
        let mut out = [0; PACKET_MAX];
        for at in [1, 0, 2] {
            let length = receiver.unprotect_rtcp(&sent[at], &mut out).unwrap();
            assert_eq!(out[..length], report, "{suite:?}");
            assert_eq!(receiver.unprotect_rtcp(&sent[at], &mut out), Err(Refused::Replayed), "{suite:?}");
        }
        for bit in 0..sent[0].len() * 8 {
            let mut changed = sent[2].clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(receiver.unprotect_rtcp(&changed, &mut out).is_err(), "{suite:?}: bit {bit}");
        }
    }
}

#[test]
fn rtcp_ends_with_its_last_index() {
    let mut sender = Sender::new(master(Suite::Aes128Gcm, 1)).unwrap().with_rtcp_index((1 << 31) - 1);
    let mut buffer = [hex("80c90001cafebabe").as_slice(), &[0; RTCP_TRAILER_MAX]].concat();
    assert!(sender.protect_rtcp(&mut buffer.clone(), 8).is_some());
    assert!(sender.protect_rtcp(&mut buffer, 8).is_none());
}

#[test]
fn a_buffer_without_room_is_no_panic() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let sent = send(&mut sender, 1);
        assert_eq!(receiver.unprotect(&sent, &mut [0; 100], false), Err(Refused::Malformed));
        let mut packet = clear(SSRC, 2);
        let length = packet.len();
        assert_eq!(sender.protect(&mut packet, length), None);
        assert_eq!(sender.protect(&mut packet, length + 1), None);
        assert_eq!(sender.protect_rtcp(&mut hex("80c90001cafebabe"), 8), None);
        assert_eq!(sender.protect_rtcp(&mut [0x80; 40], 7), None);
    }
}

#[test]
fn arbitrary_bytes_never_panic_and_never_pass() {
    let mut random = 1_u64;
    let mut roll = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33).to_le_bytes()[0]
    };
    let mut out = [0; PACKET_MAX];
    for suite in Suite::ALL {
        let (_, mut receiver) = pair(suite);
        for round in 0..4000 {
            let mut bytes: Vec<u8> = (0..round % 70).map(|_| roll()).collect();
            bytes.iter_mut().take(1).for_each(|first| *first = *first & 0x3f | 0x80);
            assert!(receiver.unprotect(&bytes, &mut out, round % 2 == 0).is_err());
            assert!(receiver.unprotect_rtcp(&bytes, &mut out).is_err());
        }
        assert!(receiver.heard_so_far().0 == 0);
    }
}

#[test]
fn keys_of_a_wrong_length_are_none() {
    for suite in Suite::ALL {
        let length = suite.key_length() + suite.salt_length();
        assert!(
            Master::new(suite, &vec![0; length - 1]).is_none() && Master::new(suite, &vec![0; length + 1]).is_none()
        );
    }
}

fn inbound(from: &mut Inbound, after: Duration, packet: &[u8]) -> Result<usize, Refused> {
    from.unprotect(start() + after, packet, &mut [0; PACKET_MAX], false)
}

#[test]
fn a_new_key_comes_without_a_gap_and_the_old_one_goes_after_two_seconds() {
    let suite = Suite::Aes128Gcm;
    let mut old = Sender::new(master(suite, 1)).unwrap();
    let mut new = Sender::new(master(suite, 2)).unwrap();
    let mut side = Inbound::new(master(suite, 1)).unwrap();
    assert!(inbound(&mut side, Duration::ZERO, &send(&mut old, 10)).is_ok());
    side = side.rekey(start(), master(suite, 2)).unwrap();
    let (late, too_late) = (send(&mut old, 11), send(&mut old, 13));
    assert!(inbound(&mut side, Duration::from_millis(20), &send(&mut new, 12)).is_ok());
    assert!(inbound(&mut side, Duration::from_millis(1900), &late).is_ok());
    assert!(inbound(&mut side, Duration::from_millis(1900), &late).is_err(), "and only once");
    assert_eq!(inbound(&mut side, Duration::from_millis(2000), &too_late), Err(Refused::NotAuthentic));
}

#[test]
fn a_peer_may_count_on_or_anew_under_a_new_key() {
    let suite = Suite::Aes256Sha1Tag80;
    for counts_on in [true, false] {
        let mut old = Sender::new(master(suite, 1)).unwrap();
        let mut side = Inbound::new(master(suite, 1)).unwrap();
        for sequence in (0_u32..0x3_0000).step_by(0x4000) {
            assert!(inbound(&mut side, Duration::ZERO, &send(&mut old, turned(sequence))).is_ok());
        }
        let mut new = Sender::new(master(suite, 2)).unwrap();
        if counts_on {
            (0_u32..0x2_ff00).step_by(0x4000).for_each(|sequence| drop(send(&mut new, turned(sequence))));
        }
        side = side.rekey(start(), master(suite, 2)).unwrap();
        assert!(inbound(&mut side, Duration::ZERO, &send(&mut new, 0xc001)).is_ok(), "counts on: {counts_on}");
    }
}

#[test]
fn a_key_that_is_repeated_or_comes_back_goes_on_where_it_was() {
    let suite = Suite::Aes128Gcm;
    let mut sender = Sender::new(master(suite, 1)).unwrap();
    let mut side = Inbound::new(master(suite, 1)).unwrap();
    let sent = send(&mut sender, 10);
    assert!(inbound(&mut side, Duration::ZERO, &sent).is_ok());
    side = side.rekey(start(), master(suite, 1)).unwrap();
    assert_eq!(inbound(&mut side, Duration::ZERO, &sent), Err(Refused::Replayed));
    side = side.rekey(start(), master(suite, 2)).unwrap().rekey(start(), master(suite, 1)).unwrap();
    assert_eq!(inbound(&mut side, Duration::ZERO, &sent), Err(Refused::Replayed));

    let mut out = Outbound::new(master(suite, 1)).unwrap();
    let again = |out: &mut Outbound| {
        let mut buffer = [clear(SSRC, 10).as_slice(), &[0; 16]].concat();
        out.protect(&mut buffer, 172).is_some()
    };
    assert!(again(&mut out));
    out = out.rekey(master(suite, 1)).unwrap();
    assert!(!again(&mut out));
    out = out.rekey(master(suite, 2)).unwrap();
    assert!(again(&mut out));
    out = out.rekey(master(suite, 1)).unwrap();
    assert!(!again(&mut out));
}
