//! Keys that are held for longer than a duration can say (RFC 4733 section 2.5.1.3).

use crate::harness::ms;
use crate::line::{END, Line, Sent};

/// A key held over two segments, the second one so many samples after the first.
fn held(segment: u32, marker: bool, end_before: bool) -> String {
    let mut line = Line::secured();
    let timestamp = line.timestamp();
    let sent = |timestamp, duration, flags, marker| Sent { timestamp, code: 9, flags, duration, marker };
    line.send(&[sent(timestamp, 160, 10, true), sent(timestamp, 0xfff0, 10, false)]);
    line.send(&[sent(timestamp, 0xffff, if end_before { END } else { 0 }, false)]);
    let next = timestamp.wrapping_add(segment);
    line.send(&[sent(next, 160, 10, marker), sent(next, 320, 10, false)]);
    line.send(&[sent(next, 480, END, false); 3]);
    line.call.caller.timestamp = next.wrapping_add(480);
    line.silence(300);
    line.keys()
}

#[test]
fn a_full_segment_goes_on_in_the_next_one_as_one_key() {
    assert_eq!(held(0xffff, false, false), "9");
}

#[test]
fn a_segment_that_the_next_packet_would_not_fit_in_is_full() {
    // 409 packets of 160 samples.
    assert_eq!(held(65_440, false, false), "9");
}

#[test]
fn a_marker_at_the_time_of_the_next_segment_is_another_key() {
    assert_eq!(held(0xffff, true, false), "99");
}

#[test]
fn an_ended_key_has_no_next_segment() {
    assert_eq!(held(0xffff, false, true), "99");
}

#[test]
fn at_any_other_time_there_is_no_next_segment() {
    assert_eq!(held(30_000, false, false), "99");
    assert_eq!(held(0x1_0000, false, false), "99");
}

#[test]
fn a_key_held_for_twenty_seconds_is_one_key() {
    let mut line = Line::secured();
    let packets = line.call.caller.key(b'#', ms(20_000));
    line.give(&packets);
    line.silence(100);
    assert_eq!(line.keys(), "#");
}

#[test]
fn a_key_that_loses_the_border_of_its_segments_is_one_key() {
    let mut line = Line::secured();
    let packets = line.call.caller.key(b'#', ms(9_000));
    line.give(&packets[..400]);
    line.give(&packets[420..]);
    line.silence(100);
    assert_eq!(line.keys(), "#");
}
