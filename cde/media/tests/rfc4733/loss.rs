//! Packets that never come.

use crate::harness::ms;
use crate::line::Line;
use media::Command;

/// What is left when these packets of the key 4 are lost; 0 to 3 are updates, 4 to 6 are final.
fn without(lost: &[usize]) -> String {
    let mut line = Line::secured();
    let packets = line.key(b'4');
    assert_eq!(packets.len(), 7);
    let came: Vec<_> = packets.into_iter().enumerate().filter(|(n, _)| !lost.contains(n)).map(|(_, it)| it).collect();
    line.give(&came);
    line.silence(300);
    line.keys()
}

#[test]
fn a_key_whose_first_packet_is_lost_counts_once() {
    assert_eq!(without(&[0]), "4");
}

#[test]
fn a_key_with_a_hole_in_the_middle_counts_once() {
    assert_eq!(without(&[2]), "4");
    assert_eq!(without(&[1, 2, 3]), "4");
}

#[test]
fn a_key_of_which_every_second_packet_is_lost_counts_once() {
    assert_eq!(without(&[1, 3, 5]), "4");
    assert_eq!(without(&[0, 2, 4, 6]), "4");
}

#[test]
fn a_key_that_lost_final_packets_counts_once() {
    assert_eq!(without(&[4]), "4");
    assert_eq!(without(&[5, 6]), "4");
    assert_eq!(without(&[4, 5, 6]), "4");
}

#[test]
fn a_key_of_which_only_the_first_packet_comes_counts_once() {
    let mut line = Line::secured();
    let packets = line.key(b'4');
    line.give(&packets[..1]);
    line.silence(100);
    // The gap behind it is as long as a key that was down and another one, but the first may have been long.
    assert_eq!(line.keys(), "4");
}

#[test]
fn a_key_of_which_only_one_final_packet_comes_counts_once() {
    for final_packet in 4..7 {
        let lost: Vec<usize> = (0..7).filter(|n| *n != final_packet).collect();
        assert_eq!(without(&lost), "4");
    }
}

#[test]
fn a_key_lost_whole_is_told() {
    assert_eq!(without(&[0, 1, 2, 3, 4, 5, 6]), "!");
}

#[test]
fn a_key_lost_whole_between_two_others_is_told_in_its_place() {
    let mut line = Line::secured();
    line.press("1");
    line.key(b'2');
    line.silence(100);
    line.press("3");
    assert_eq!(line.keys(), "1!3");
}

#[test]
fn a_gap_that_is_shorter_than_any_key_is_not_told() {
    let mut line = Line::secured();
    line.press("1");
    (0..3).for_each(|_| drop(line.call.caller.audio(&[0xff; 160])));
    line.press("2");
    assert_eq!(line.keys(), "12");
}

#[test]
fn a_long_key_that_is_gone_for_a_second_and_goes_on_is_one_key() {
    let mut line = Line::secured();
    let packets = line.call.caller.key(b'7', ms(2000));
    line.give(&packets[..10]);
    line.call.wait(ms(1000));
    line.give(&packets[60..]);
    line.silence(200);
    assert_eq!(line.keys(), "7");
}

#[test]
fn an_end_that_comes_after_it_was_given_up_is_no_second_key() {
    let mut line = Line::secured();
    let packets = line.key(b'4');
    line.give(&packets[..4]);
    line.silence(500);
    line.give(&packets[4..]);
    assert_eq!(line.keys(), "4");
}

/// The time from the last packet of a key to the opening of a line that is being released.
fn opens_after(packets: impl Fn(&[Vec<u8>]) -> Vec<Vec<u8>>) -> u64 {
    let mut line = Line::secured();
    line.call.command(Command::Release);
    line.silence(300);
    let all = line.key(b'4');
    let came = packets(&all);
    line.give(&came);
    let last = line.call.elapsed() - 20;
    line.silence(4000);
    line.call.times("Opened")[0] - last
}

#[test]
fn a_missing_end_closes_the_key_after_three_packet_times_and_a_tenth() {
    let with_end = opens_after(|all| all[..5].to_vec());
    let without_end = opens_after(|all| all[..4].to_vec());
    assert!((3000..3040).contains(&with_end), "{with_end}");
    assert!((3160..3220).contains(&without_end), "{without_end}");
}
