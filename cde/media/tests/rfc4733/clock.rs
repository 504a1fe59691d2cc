//! Telephone-events in a clock of 48 kHz beside sound of 8 kHz, and peers that count in 8 kHz all the same.

use crate::harness::{Call, EVENTS, ms, remote};
use crate::line::{END, Line, Sent};
use media::{Command, EventClock, Remote, Side};

fn fast() -> Remote {
    Remote { event_clock: EventClock::new(48_000).unwrap(), ..remote(Side::Caller) }
}

/// A key from a timestamp on, of so many packets, each longer by a step.
fn press(line: &mut Line, key: u8, timestamp: u32, packets: u16, step: u16) {
    for n in 1..=packets {
        let flags = if n + 2 < packets { 10 } else { END };
        line.send(&[Sent { timestamp, code: key, flags, duration: step.saturating_mul(n), marker: n == 1 }]);
        line.call.caller.timestamp = line.timestamp().wrapping_add(160);
    }
}

/// Keys 4 and 2, twice the 2, in timestamps of 48 kHz.
fn pressed(step: u16) -> String {
    let mut line = Line::secured_with(fast());
    for (n, key) in (0..).zip([4, 2, 2]) {
        press(&mut line, key, 7_000_000 + n * 9600, 7, step);
        line.silence(100);
    }
    line.keys()
}

#[test]
fn keys_in_the_clock_that_was_agreed_on_count_once() {
    assert_eq!(pressed(960), "422");
}

#[test]
fn durations_of_8_khz_in_a_stream_of_48_are_tolerated() {
    assert_eq!(pressed(160), "422");
}

#[test]
fn timestamps_of_8_khz_in_a_stream_of_48_are_tolerated() {
    let mut line = Line::secured_with(fast());
    line.press("4022");
    assert_eq!(line.keys(), "4022");
}

#[test]
fn a_long_key_goes_on_after_a_full_segment_of_either_clock() {
    for (advance, last) in [(0xffff, 0xffff_u16), (6 * 0xffff, 0xffff), (65_280, 65_280)] {
        let mut line = Line::secured_with(fast());
        let sent = |timestamp, duration, flags| Sent { timestamp, code: 9, flags, duration, marker: false };
        line.send(&[sent(1_000, 960, 10), sent(1_000, last, 10)]);
        line.send(&[sent(1_000 + advance, 960, 10), sent(1_000 + advance, 1920, END)]);
        assert_eq!(line.keys(), "9", "{advance}");
    }
}

#[test]
fn at_8_khz_a_timestamp_of_six_segments_later_is_another_key() {
    let mut line = Line::secured();
    let sent = |timestamp, flags| Sent { timestamp, code: 9, flags, duration: 160, marker: false };
    line.send(&[sent(1_000, 10), sent(1_000 + 6 * 0xffff, END)]);
    assert_eq!(line.keys(), "99");
}

#[test]
fn a_key_five_seconds_before_the_newest_is_told_and_not_put_in_the_wrong_place() {
    let mut line = Line::secured_with(fast());
    press(&mut line, 2, 7_000_000, 7, 960);
    press(&mut line, 4, 7_000_000 - 5 * 48_000, 7, 960);
    line.silence(100);
    assert_eq!(line.keys(), "2!");
}

/// A gap of seven packets, then a key whose first packet that came says this duration.
fn after_a_gap(clock: Remote, duration: u16) -> String {
    let mut line = Line::secured_with(clock);
    line.call.caller.sequence = line.call.caller.sequence.wrapping_add(7);
    line.call.caller.timestamp = line.timestamp().wrapping_add(7 * 160);
    let timestamp = line.timestamp();
    line.send(&[Sent { timestamp, code: 9, flags: 10, duration, marker: false }]);
    line.send(&[Sent { timestamp, code: 9, flags: END, duration, marker: false }]);
    line.silence(100);
    line.keys()
}

#[test]
fn a_duration_in_the_agreed_clock_tells_whether_the_key_itself_explains_a_gap() {
    assert_eq!(after_a_gap(fast(), 8 * 960), "9");
    assert_eq!(after_a_gap(fast(), 960), "!9");
    assert_eq!(after_a_gap(remote(Side::Caller), 8 * 160), "9");
    // Counted in 8 kHz all the same: told too often rather than too rarely.
    assert_eq!(after_a_gap(fast(), 8 * 160), "!9");
}

#[test]
fn events_of_another_clock_never_reach_the_agent_and_the_sound_around_them_passes() {
    let mut call = Call::new();
    call.command(Command::Connect { side: Side::Caller, remote: fast() });
    call.caller_keys("44");
    assert!(call.agent.got.iter().all(|got| got.header.payload_type != EVENTS));
    assert_eq!(call.agent.got.len(), 10, "two pauses of five packets");
    let sequence: Vec<u16> = call.agent.got.iter().map(|got| got.header.sequence).collect();
    assert!(sequence.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
}

#[test]
fn after_the_opening_events_of_another_clock_do_not_pass_and_keep_no_sound_back() {
    let mut line = Line::secured_with(fast());
    press(&mut line, 4, 0x9000_0000, 7, 960);
    line.call.command(Command::Release);
    line.silence(3200);
    assert_eq!(line.call.times("Opened").len(), 1);
    let before = line.call.agent.got.len();
    press(&mut line, 2, 0x9100_0000, 7, 960);
    line.silence(100);
    assert_eq!(line.call.agent.got.len() - before, 5);
    assert_eq!(line.keys(), "4");
}

#[test]
fn a_clock_that_is_agreed_on_anew_holds_from_then_on() {
    let mut line = Line::secured_with(fast());
    press(&mut line, 4, 7_000_000, 7, 960);
    line.call.command(Command::Connect { side: Side::Caller, remote: remote(Side::Caller) });
    line.silence(100);
    line.press("56");
    assert_eq!(line.keys(), "456");
    assert!(EventClock::new(44_100).is_none() && EventClock::new(8_000) == Some(EventClock::default()));
}

#[test]
fn a_missing_end_closes_the_key_by_the_wall_clock_whatever_its_own() {
    let mut line = Line::secured_with(fast());
    let sent = Sent { timestamp: 7_000_000, code: 4, flags: 10, duration: 960, marker: true };
    line.send(&[sent]);
    let last = line.call.elapsed() - 20;
    line.call.command(Command::Release);
    line.call.caller.timestamp = line.timestamp().wrapping_add(160);
    line.call.caller_is_silent(ms(4000));
    let opened = line.call.times("Opened")[0] - last;
    assert!((3160..3220).contains(&opened), "{opened}");
}
