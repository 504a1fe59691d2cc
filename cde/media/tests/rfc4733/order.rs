//! Packets that come late, twice, or not in their order.

use crate::harness::ms;
use crate::line::Line;

/// Plays the packets of the keys 4 and 2 in this order.
fn played(order: &[usize]) -> String {
    let mut line = Line::secured();
    let mut packets = line.key(b'4');
    if order.iter().any(|n| *n >= packets.len()) {
        packets.extend(line.key(b'2'));
    }
    order.iter().for_each(|n| line.call.caller_sends(&packets[*n]));
    line.silence(300);
    line.keys()
}

#[test]
fn a_key_whose_packets_all_come_twice_counts_once() {
    assert_eq!(played(&[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]), "4");
    assert_eq!(played(&[0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6]), "4");
}

#[test]
fn a_key_whose_packets_come_in_reverse_counts_once() {
    assert_eq!(played(&[6, 5, 4, 3, 2, 1, 0]), "4");
}

#[test]
fn an_end_that_overtakes_its_own_key_counts_once() {
    assert_eq!(played(&[4, 0, 1, 2, 3, 5, 6]), "4");
}

#[test]
fn three_ends_and_nothing_else_are_one_key() {
    assert_eq!(played(&[4, 5, 6]), "4");
}

#[test]
fn the_packets_of_two_keys_mixed_up_are_two_keys() {
    assert_eq!(played(&[0, 1, 2, 7, 3, 8, 4, 9, 5, 10, 6, 11, 12, 13]), "42");
}

#[test]
fn a_late_end_of_the_key_before_is_no_key() {
    assert_eq!(played(&[0, 1, 2, 3, 7, 8, 4, 5, 6, 9, 10, 11, 12, 13]), "42");
}

#[test]
fn a_key_that_is_overtaken_whole_is_told_and_not_put_in_the_wrong_place() {
    assert_eq!(played(&[7, 8, 0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13]), "!2!");
}

#[test]
fn a_second_copy_of_a_key_one_second_later_is_no_key() {
    let mut line = Line::secured();
    let packets = line.key(b'4');
    line.give(&packets);
    line.silence(1000);
    line.give(&packets);
    line.silence(200);
    assert_eq!(line.keys(), "4");
}

#[test]
fn a_copy_so_late_that_it_looks_like_a_new_count_is_never_a_second_key() {
    let mut line = Line::secured();
    let packets = line.key(b'4');
    line.give(&packets);
    line.silence(4000);
    line.give(&packets);
    line.silence(300);
    assert_eq!(line.keys().replace('!', ""), "4", "it may be told as a loss");
}

#[test]
fn keys_that_a_network_held_back_and_gives_at_once_all_count() {
    let mut line = Line::secured();
    let packets = [line.key(b'1'), line.key(b'2'), line.key(b'2'), line.key(b'3')].concat();
    line.call.wait(ms(600));
    for bytes in &packets {
        line.call.give(media::Side::Caller, bytes);
    }
    assert_eq!(line.keys(), "1223");
}
