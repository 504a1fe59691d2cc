//! Numbers that look like a card's may stand in the project only when they are published test cards (or a made-up
//! neighbor of one), listed in `test-cards.txt`. What is found is not printed.

use std::collections::BTreeSet;

use wire::brand::{PAN_LENGTH_MAX, PAN_LENGTH_MIN};
use wire::{Brand, luhn_valid};

use super::words;
use crate::files::TextFile;

const LIST: &str = include_str!("../../test-cards.txt");
/// A number written in groups has at least so many.
const GROUPS_MIN: usize = 3;
/// Digits of a group, as cards are printed.
const GROUP_DIGITS: std::ops::RangeInclusive<usize> = 3..=7;

/// The numbers that may stand anywhere.
pub(super) struct TestCards(BTreeSet<String>);

impl TestCards {
    /// Those of `test-cards.txt`: one a line, then words about it.
    pub(super) fn published() -> Self {
        let lines = LIST.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// Lines with a number that may be a real card's.
    pub(super) fn breaches(&self, file: &TextFile) -> Vec<String> {
        if words::is_generated(&file.path) {
            return Vec::new();
        }
        let lines = file.text.lines().zip(1_usize..).filter(|(line, _)| self.has_card(line));
        lines
            .map(|(_, number)| {
                format!("{}:{number}: looks like a card number that is not in xtask/test-cards.txt", file.path)
            })
            .collect()
    }

    fn has_card(&self, line: &str) -> bool {
        let numbers = numbers(line);
        numbers.iter().any(|number| looks_like_a_card(number) && !self.0.contains(number))
    }
}

fn looks_like_a_card(number: &str) -> bool {
    let brand = Brand::of(number.as_bytes()).map(Brand::facts);
    brand.is_some_and(|facts| facts.lengths.contains(&number.len())) && luhn_valid(number.as_bytes())
}

/// Digits that stand alone or in groups as on a card. Hexadecimal neighbors (hashes, UUIDs) and the places behind a
/// decimal point make a number something else.
fn numbers(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for token in
        without_full_stops(line).split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, ' ' | '-' | '_' | '.'))
    {
        for run in token.split(|c: char| c.is_ascii_alphabetic() && !c.is_ascii_hexdigit()) {
            found.extend(run.split(is_joint).filter(|word| is_pan_length(word)).map(str::to_owned));
            found.extend(grouped(run));
        }
    }
    found
}

/// A dot that is not a decimal point ends a number, like any other mark.
fn without_full_stops(line: &str) -> String {
    let before = [' '].into_iter().chain(line.chars());
    let after = line.chars().skip(1).chain([' ']);
    let marks = before.zip(line.chars()).zip(after).map(|((before, c), after)| match c {
        '.' if !(before.is_ascii_digit() && after.is_ascii_digit()) => ',',
        _ => c,
    });
    marks.collect()
}

fn is_joint(c: char) -> bool {
    matches!(c, ' ' | '-' | '_')
}

fn is_pan_length(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit()) && (PAN_LENGTH_MIN..=PAN_LENGTH_MAX).contains(&word.len())
}

/// Every row of neighboring groups that together have a card number's length.
fn grouped(run: &str) -> Vec<String> {
    let groups: Vec<&str> = run.split(is_joint).collect();
    let rows = (0..groups.len()).flat_map(|start| (start + GROUPS_MIN..=groups.len()).map(move |end| (start, end)));
    let rows = rows.filter_map(|(start, end)| groups.get(start..end).filter(|row| row.len() <= PAN_LENGTH_MAX));
    let cards = rows.filter(|row| row.iter().all(|group| GROUP_DIGITS.contains(&group.len())));
    cards.map(|row| row.concat()).filter(|number| is_pan_length(number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a known brand and with a right check digit, put together here so that it stands in no file.
    fn made_up() -> String {
        let number = format!("4539{}", "578763621486");
        assert!(looks_like_a_card(&number));
        number
    }

    fn has_card(line: &str) -> bool {
        TestCards::published().has_card(line)
    }

    #[test]
    fn every_listed_number_is_one_that_would_be_found() {
        let TestCards(listed) = TestCards::published();
        let useless: Vec<_> = listed.iter().filter(|number| !looks_like_a_card(number)).collect();
        assert!(useless.is_empty() && listed.len() > 10, "{useless:?}");
    }

    #[test]
    fn a_number_not_published_is_found_however_it_is_written() {
        let number = made_up();
        let groups: Vec<&str> = (0..4).map(|i| &number[i * 4..i * 4 + 4]).collect();
        for line in [
            number.clone(),
            format!("let pan = \"{number}\";"),
            format!("say {number}#1226#"),
            groups.join(" "),
            format!("card: {}.", groups.join("-")),
            format!("1226 {}", groups.join(" ")),
            format!("pan{number}"),
        ] {
            assert!(has_card(&line), "{line}");
        }
    }

    #[test]
    fn what_was_found_is_not_repeated() {
        let file = TextFile { path: "a.rs".to_owned(), text: made_up() };
        let found = TestCards::published().breaches(&file);
        assert!(found.len() == 1 && !found[0].contains("4539"), "{found:?}");
    }

    #[test]
    fn published_cards_hashes_and_other_numbers_pass() {
        let number = made_up();
        for line in [
            "4242424242424242 and 4242 4242 4242 4242".to_owned(),
            format!("hash a{number}f"),
            format!("0.{number}"),
            format!("{number}0000"),
            "tel 020 7946 0958, 16000 8000 20 160".to_owned(),
        ] {
            assert!(!has_card(&line), "{line}");
        }
    }
}
