//! What stands in the packets.

use crate::harness::EVENTS;
use crate::line::{END, Line, Sent};
use media::rtp::Packet;

/// Three updates and three final packets, changed in some way each; `n` counts from 0.
fn pressed(line: &mut Line, timestamp: u32, code: u8, change: impl Fn(u16, &mut Sent)) {
    for n in 0..6 {
        let flags = if n < 3 { 10 } else { END | 10 };
        let mut sent = Sent { timestamp, code, flags, duration: 160 * (n + 1).min(4), marker: n == 0 };
        change(n, &mut sent);
        line.send(&[sent]);
    }
}

/// The key 9, changed; and a pause.
fn nine(change: impl Fn(u16, &mut Sent)) -> String {
    let mut line = Line::secured();
    let timestamp = line.timestamp();
    pressed(&mut line, timestamp, 9, change);
    line.call.caller.timestamp = timestamp.wrapping_add(960);
    line.silence(300);
    line.keys()
}

#[test]
fn a_key_without_any_marker_counts_once() {
    assert_eq!(nine(|_, sent| sent.marker = false), "9");
}

#[test]
fn a_key_with_a_marker_on_each_packet_counts_once() {
    assert_eq!(nine(|_, sent| sent.marker = true), "9");
}

#[test]
fn a_key_whose_final_packets_alone_have_the_marker_counts_once() {
    assert_eq!(nine(|n, sent| sent.marker = n >= 3), "9");
}

#[test]
fn a_duration_that_goes_backwards_stands_still_or_is_nothing_makes_no_second_key() {
    assert_eq!(nine(|n, sent| sent.duration = 160 * (6 - n)), "9");
    assert_eq!(nine(|_, sent| sent.duration = 160), "9");
    assert_eq!(nine(|_, sent| sent.duration = 0), "9");
    assert_eq!(nine(|_, sent| sent.duration = u16::MAX), "9");
}

#[test]
fn a_key_of_any_volume_counts() {
    assert_eq!(nine(|_, sent| sent.flags &= END), "9");
    assert_eq!(nine(|_, sent| sent.flags |= 0x3f), "9");
}

#[test]
fn the_reserved_bit_means_nothing() {
    assert_eq!(nine(|_, sent| sent.flags |= 0x40), "9");
}

#[test]
fn an_end_that_is_taken_back_makes_no_second_key() {
    assert_eq!(nine(|n, sent| sent.flags = if n % 2 == 0 { END } else { 0 }), "9");
}

#[test]
fn events_that_are_no_keys_are_none_and_look_like_no_loss() {
    for code in [16, 32, 36, 66, 144, 255] {
        assert_eq!(nine(|_, sent| sent.code = code), "", "{code}");
    }
}

#[test]
fn letters_are_told_as_letters() {
    for code in 12..16 {
        assert_eq!(nine(|_, sent| sent.code = code), "L");
    }
}

/// The key 9 in payloads made otherwise.
fn worded(payload: impl Fn([u8; 4]) -> Vec<u8>) -> String {
    let mut line = Line::secured();
    let timestamp = line.timestamp();
    for n in 0..6 {
        let flags = if n < 3 { 10 } else { END | 10 };
        let sent = Sent { timestamp, code: 9, flags, duration: 160 * (n + 1), marker: n == 0 };
        let bytes = line.payload(EVENTS, sent.marker, timestamp, &payload(sent.payload()));
        line.give(&[bytes]);
    }
    line.call.caller.timestamp = timestamp.wrapping_add(960);
    line.silence(300);
    line.keys()
}

#[test]
fn a_payload_that_is_too_short_is_no_key_and_looks_like_no_loss() {
    for length in 0..4 {
        assert_eq!(worded(|payload| payload[..length].to_vec()), "", "{length} bytes");
    }
}

#[test]
fn of_a_payload_that_is_too_long_the_first_event_counts() {
    assert_eq!(worded(|payload| [&payload[..], &[0; 4]].concat()), "9");
    assert_eq!(worded(|payload| [&payload[..], &[5, 10, 0, 160]].concat()), "9");
    assert_eq!(worded(|payload| [&payload[..], &[1; 300]].concat()), "9");
}

#[test]
fn the_same_key_twice_without_a_pause_is_two_keys() {
    let mut line = Line::secured();
    let packets = [line.key(b'5'), line.key(b'5')].concat();
    line.give(&packets);
    assert_eq!(line.keys(), "55");
}

#[test]
fn the_same_key_twice_is_two_keys_also_without_markers_and_ends() {
    let mut line = Line::secured();
    let timestamp = line.timestamp();
    let update = |timestamp, duration| Sent { timestamp, code: 5, flags: 10, duration, marker: false };
    let second = timestamp.wrapping_add(480);
    line.send(&[update(timestamp, 160), update(timestamp, 320), update(timestamp, 480)]);
    line.send(&[update(second, 160), update(second, 320), update(second, 480)]);
    line.call.caller.timestamp = timestamp.wrapping_add(960);
    line.silence(300);
    assert_eq!(line.keys(), "55");
}

#[test]
fn of_two_keys_with_the_same_timestamp_the_first_counts_and_the_other_is_told() {
    let mut line = Line::secured();
    let timestamp = line.timestamp();
    pressed(&mut line, timestamp, 4, |_, _| ());
    pressed(&mut line, timestamp, 2, |_, _| ());
    line.call.caller.timestamp = timestamp.wrapping_add(1920);
    line.silence(300);
    assert_eq!(line.keys(), "4!");
}

#[test]
fn a_key_said_again_after_its_end_with_the_same_timestamp_is_no_second_key() {
    let mut line = Line::secured();
    let timestamp = line.timestamp();
    (0..3).for_each(|_| pressed(&mut line, timestamp, 4, |_, _| ()));
    line.call.caller.timestamp = timestamp.wrapping_add(2880);
    line.silence(300);
    assert_eq!(line.keys(), "4");
}

/// The key 4, each packet of it rewritten.
fn wrapped(rewrite: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let mut line = Line::secured();
    for bytes in line.key(b'4') {
        line.call.caller_sends(&rewrite(&bytes));
    }
    line.silence(300);
    line.keys()
}

/// The header with these bits set in its first byte.
fn flagged(bytes: &[u8], bits: u8) -> Vec<u8> {
    [&[bytes[0] | bits], &bytes[1..12]].concat()
}

#[test]
fn an_event_behind_csrcs_an_extension_and_before_padding_is_a_key() {
    let csrc = |bytes: &[u8]| [flagged(bytes, 2), vec![9; 8], bytes[12..].to_vec()].concat();
    let extension =
        |bytes: &[u8]| [flagged(bytes, 0x10), vec![0xbe, 0xde, 0, 1, 9, 9, 9, 9], bytes[12..].to_vec()].concat();
    let padding = |bytes: &[u8]| [flagged(bytes, 0x20), bytes[12..].to_vec(), vec![0, 0, 0, 4]].concat();
    assert_eq!([wrapped(csrc), wrapped(extension), wrapped(padding)], ["4", "4", "4"]);
}

#[test]
fn an_event_whose_padding_or_extension_lies_is_no_key() {
    let padding = |bytes: &[u8]| [flagged(bytes, 0x20), bytes[12..15].to_vec(), vec![200]].concat();
    let extension = |bytes: &[u8]| [flagged(bytes, 0x10), bytes[12..].to_vec()].concat();
    // They have no place in the sequence either, so that a key may have been lost in theirs.
    assert_eq!([wrapped(padding), wrapped(extension)].map(|keys| keys.replace('!', "")), ["", ""]);
}

#[test]
fn rtcp_between_the_packets_of_a_key_changes_nothing() {
    let mut line = Line::secured();
    for bytes in line.key(b'4') {
        line.call.caller_sends(&bytes);
        let report =
            [&[0x80, 200, 0, 6, 0, 0, 0xca, 0x11][..], &[7; 20], &[0x81, 203, 0, 1, 0, 0, 0xca, 0x11]].concat();
        line.call.give(media::Side::Caller, &report);
        line.call.give(media::Side::Caller, &report[..12]);
    }
    let stats = line.call.stats().caller;
    assert_eq!((stats.rtcp, stats.byes, stats.malformed), (7, 7, 7));
    assert_eq!(line.keys(), "4");
}

#[test]
fn a_timestamp_that_wraps_in_a_key_and_between_two_makes_no_other_key() {
    let mut line = Line::secured();
    line.call.caller.timestamp = 0_u32.wrapping_sub(2000);
    line.press("123");
    assert!(line.timestamp() < 0x8000_0000);
    assert_eq!(line.keys(), "123");
}

#[test]
fn a_sequence_number_that_wraps_in_a_key_makes_no_other_key() {
    let mut line = Line::secured();
    let header_of = |line: &mut Line| media::rtp::parse(&line.call.caller.audio(&[0; 160])).map(|read| read.header);
    while header_of(&mut line).is_ok_and(|header| header.sequence != 0xfffc) {}
    // The numbers up to here were taken and never sent.
    line.press("12");
    assert_eq!(line.keys().replace('!', ""), "12");
}

#[test]
fn an_event_under_the_payload_type_of_the_sound_is_no_key() {
    let mut line = Line::secured();
    let timestamp = line.timestamp();
    for n in 0..6 {
        let payload = Sent { timestamp, code: 9, flags: 10, duration: 160 * (n + 1), marker: false }.payload();
        let bytes = line.payload(0, n == 0, timestamp, &payload);
        line.give(&[bytes]);
    }
    line.call.caller.timestamp = timestamp.wrapping_add(960);
    line.silence(300);
    assert_eq!(line.keys(), "");
}

#[test]
fn an_event_in_a_redundant_payload_is_no_key() {
    let mut line = Line::secured();
    let timestamp = line.timestamp();
    for n in 0..6 {
        let event = Sent { timestamp, code: 9, flags: 10, duration: 160 * (n + 1), marker: false }.payload();
        // RFC 2198: a copy of the event 160 samples ago, and the event.
        let copy = [0x80 | EVENTS, 0x02, 0x80, 4, EVENTS];
        let bytes = line.payload(98, n == 0, timestamp, &[&copy[..], &event, &event].concat());
        line.give(&[bytes]);
    }
    line.call.caller.timestamp = timestamp.wrapping_add(960);
    line.silence(300);
    assert_eq!((line.call.stats().caller.unknown_payload, line.keys().as_str()), (6, ""));
}

#[test]
fn the_first_packet_of_a_stream_may_be_an_event() {
    let mut call = crate::harness::Call::new();
    call.command(media::Command::Secure { policy: media::Policy::Strict });
    call.caller_keys("8");
    assert_eq!(call.keys(), "8");
    assert!(Packet::new(&call.agent.got[0].header, &[]).is_some());
}
