//! Card numbers in texts: what people type, and what other people's files hold.

mod digits;

use super::{PAN_LENGTH_MIN, run_has_pan};

/// Does this text hold something that looks like a card number, however it is dressed? Digits of any script count, and
/// whatever stands between them that is no letter: `4242/4242 :: 4242_4242`. A letter ends a number, and so does a date, with
/// or without its time, of which there would be too many that look like one by chance. A fraction of a second ends none: its
/// nine digits may be half of a card. This is the one rule for free text
/// and for the fields of reports; names that programs make are looked at by [`name_pan_like`](super::name_pan_like).
pub fn text_pan_like(text: &str) -> bool {
    let chars: Vec<char> = text.chars().map(digits::folded).collect();
    if chars.iter().filter(|c| c.is_ascii_digit()).count() < PAN_LENGTH_MIN {
        return false;
    }
    let mut rest = chars.as_slice();
    let (mut run, mut after_digit) = (Vec::new(), false);
    while let [c, tail @ ..] = rest {
        let date = if after_digit { None } else { after_date(rest) };
        let ends = date.is_some() || c.is_alphabetic();
        if ends && has_pan(&mut run) {
            return true;
        }
        run.extend(u8::try_from(*c).ok().filter(|c| date.is_none() && c.is_ascii_digit()));
        after_digit = date.is_some() || c.is_ascii_digit();
        rest = date.unwrap_or(tail);
    }
    has_pan(&mut run)
}

fn has_pan(run: &mut Vec<u8>) -> bool {
    let has = run_has_pan(run);
    run.clear();
    has
}

/// What follows a date of this century or the last, with its time up to the second if it has one: `2026-11-26T08:30:00`,
/// `26.11.2026`.
fn after_date(text: &[char]) -> Option<&[char]> {
    let rest = after_year_first(text).or_else(|| after_year_last(text))?;
    let rest = after_time(rest).unwrap_or(rest);
    rest.first().is_none_or(|c| !c.is_ascii_digit()).then_some(rest)
}

fn after_year_first(text: &[char]) -> Option<&[char]> {
    let (year, rest) = number(text, 4)?;
    let (separator, rest) = rest.split_first().filter(|(c, _)| "-/.".contains(**c))?;
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest.strip_prefix(&[*separator])?, 2)?;
    is_date(year, month, day).then_some(rest)
}

/// Day and month in either order.
fn after_year_last(text: &[char]) -> Option<&[char]> {
    let (one, rest) = number(text, 2)?;
    let (separator, rest) = rest.split_first().filter(|(c, _)| "-/.".contains(**c))?;
    let (other, rest) = number(rest, 2)?;
    let (year, rest) = number(rest.strip_prefix(&[*separator])?, 4)?;
    (is_date(year, one, other) || is_date(year, other, one)).then_some(rest)
}

fn after_time(text: &[char]) -> Option<&[char]> {
    let (_, rest) = text.split_first().filter(|(c, _)| matches!(c, 'T' | ' '))?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest.strip_prefix(&[':'])?, 2)?;
    let seconds = rest.strip_prefix(&[':']).and_then(|rest| number(rest, 2)).filter(|(second, _)| *second < 61);
    let rest = seconds.map_or(rest, |(_, rest)| rest);
    (hour < 24 && minute < 60).then_some(rest)
}

fn number(text: &[char], digits: usize) -> Option<(u32, &[char])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let value = number.iter().try_fold(0, |value, c| Some(value * 10 + c.to_digit(10)?))?;
    Some((value, rest))
}

fn is_date(year: u32, month: u32, day: u32) -> bool {
    (1900..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Brand, pan_like};

    const CARDS: [&str; 9] = [
        "4242424242424242",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "6011111111111117",
        "38000000000006",
        "3566002020360505",
        "6200000000000005",
        "6771798021000008",
    ];
    /// Zeros of scripts that have their digits in order.
    const ZEROS: [char; 7] = ['0', '٠', '۰', '०', '０', '𝟎', '₀'];
    const BETWEEN: [&str; 16] =
        ["", " ", "-", ".", "/", "_", ":", "  ", " - ", "|", "\u{a0}", "\u{200b}", "\u{2013}", "\n", "), (", "\u{301}"];

    /// The same numbers each time.
    fn random(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state >> 33).unwrap()
    }

    fn dressed(card: &str, state: &mut u64) -> String {
        let between = random(state) % 4;
        let zero = ZEROS[random(state) % ZEROS.len()];
        let mut text = String::new();
        for (place, digit) in card.chars().enumerate() {
            let is_gap = between == 0
                || (between == 1 && place.is_multiple_of(4))
                || (between == 2 && random(state).is_multiple_of(3));
            text.push_str(if is_gap { BETWEEN[random(state) % BETWEEN.len()] } else { "" });
            let zero = if between == 3 { ZEROS[random(state) % ZEROS.len()] } else { zero };
            text.push(char::from_u32(u32::from(zero) + digit.to_digit(10).unwrap()).unwrap());
        }
        text
    }

    #[test]
    fn a_card_number_is_seen_whatever_stands_between_its_digits_and_of_whichever_script_they_are() {
        let mut state = 0x9E37_79B9_7F4A_7C15;
        let mut missed_by_the_weaker = 0;
        for turn in 0..10_000 {
            let card = CARDS[turn % CARDS.len()];
            let text = dressed(card, &mut state);
            let around = ["", "card ", "ref 12/", "x"][random(&mut state) % 4];
            let after = ["", " please", ", exp 09/29"][random(&mut state) % 3];
            assert!(text_pan_like(&format!("{around}{text}{after}")), "{around}{text}{after}");
            missed_by_the_weaker += usize::from(!pan_like(&text));
        }
        assert!(
            missed_by_the_weaker > 2_500,
            "the control: single separators and ASCII are not all: {missed_by_the_weaker}"
        );
    }

    #[test]
    fn what_the_weaker_rule_sees_this_one_does_too() {
        let mut state = 7;
        for _ in 0..40_000 {
            let text: String = (0..random(&mut state) % 24)
                .map(|_| ["4", "2", "0", "5", "1", " ", "-", ".", "a", "/", ":", "T"][random(&mut state) % 12])
                .collect();
            assert!(!pan_like(&text) || text_pan_like(&text), "{text}");
        }
        for time in ["", "T08:30", "T08:30:", "T08:30:00", " 08:30:00.", " 08:30:00.1"] {
            for card in CARDS {
                assert!(text_pan_like(&format!("2026-11-26{time}{card}")), "{time}{card}");
            }
        }
    }

    #[test]
    fn usual_references_of_banks_and_people_are_none() {
        for text in [
            "INV-88120 and INV-88764, tel 020 7946 0958",
            "+44 (0)20 7946 0958",
            "+49 30 901820, Fax +49 30 9018201",
            "RF18 5390 0754 7034",
            "SEPA CT 2026-11-26 RNR 2026-1187 KDNR 48210",
            "Rechnung 20261126-0042 vom 26.11.2026, 42,00 EUR",
            "2026-11-26 08:30:00.123456",
            "2026-11-26T08:30:00+01:00",
            "26/11/2026 08:30:00.123 42.00 GBP",
            "26.11.2026 10:30 42.00",
            "11/26/2026, 11/27/2026, 11/28/2026",
            "20-00-00 55779911",
            "BACS 200000 55779911 SAMPLE LTD",
            "Mandate 00012345, collection 3 of 12, 1,234,567.89",
            "settlement-2026-11-26_2026-11-27.csv",
            "9400 1000 0000 0000 0000 00",
            "pi_3QxK2eLkdIwHu7ix0a1b2c3d, ch_3QxK2eLkdIwHu7ix",
            "call back at 10:30, 11:45 or 14:15; case 4711",
            "Said no to 12 payments of 42.00 between 01.01.2026 and 31.12.2026",
        ] {
            assert!(!text_pan_like(text), "{text}");
        }
    }

    #[test]
    fn a_date_hides_no_number_around_it() {
        assert!(text_pan_like("26.11.2026 4242424242424242"));
        assert!(text_pan_like("4242 4242 4242 4242 26/11/2026 08:30"));
        assert!(text_pan_like("4242.42.4242424242.42"), "no year of ours");
        assert!(text_pan_like("2026-11-264242424242424242"), "a date does not end within digits");
        assert!(text_pan_like("2026-11-26 08:30:00.4242424242424242"), "no clock writes so many digits");
        assert!(text_pan_like("2026-11-26T08:30:00.4242424242424242 exp 09/29"), "no clock writes so many digits");
        assert!(!text_pan_like("2026-11-26 08:30:00.123456789"), "the control: nanoseconds");
    }

    /// What broke: up to nine digits behind a second's point were the clock's, and the rest of the card alone was none.
    #[test]
    fn a_fraction_of_a_second_hides_no_part_of_a_number() {
        let (mut state, mut halves) = (0x2545_F491_4F6C_DD1D, 0);
        for turn in 0..20_000 {
            let card = CARDS[turn % CARDS.len()];
            let date = ["2026-11-26", "26/11/2026", "11.26.2026", "1999/01/31"][random(&mut state) % 4];
            let time = ["T08:30:00", " 23:59:60", " 08:30"][random(&mut state) % 3];
            let (before, after) =
                (["", "at ", "card "][random(&mut state) % 3], ["", "Z", " ok"][random(&mut state) % 3]);
            // Anything may stand between the halves, and in groups of four in the second.
            let (first, second) = card.split_at(1 + random(&mut state) % (card.len() - 1));
            let between = BETWEEN[random(&mut state) % BETWEEN.len()];
            let second = match random(&mut state) % 2 {
                0 => second.to_owned(),
                _ => second
                    .as_bytes()
                    .chunks(4)
                    .map(|group| std::str::from_utf8(group).unwrap())
                    .collect::<Vec<_>>()
                    .join(" "),
            };
            let text = format!("{before}{date}{time}.{first}{between}{second}{after}");
            assert!(text_pan_like(&text), "{text}");
            halves += usize::from(first.len() <= 9 && !between.is_empty() && !text_pan_like(&second));
        }
        assert!(halves > 5_000, "the control: the second half alone is none: {halves}");
        assert!(text_pan_like("2026-11-26 08:30:00.424242424 2424242"));
    }

    /// A clock's milliseconds and an amount are too few digits; of its microseconds with thousands, few look like a card.
    #[test]
    fn times_with_fractions_before_amounts_are_none_but_by_chance() {
        let (mut state, mut seen) = (5, 0);
        for _ in 0..20_000 {
            let (fraction, minor) = (random(&mut state) % 1_000_000, random(&mut state) % 1_000_000);
            let amount = format!("{}.{:02}", minor / 100, minor % 100);
            for text in [
                format!("26.11.2026 08:30:00.{:03} {amount}", fraction % 1_000),
                format!("2026-11-26T08:30:00.{fraction:06}Z {amount} GBP"),
            ] {
                assert!(!text_pan_like(&text), "{text}");
            }
            seen += usize::from(text_pan_like(&format!("26.11.2026 08:30:00.{fraction:06} {amount}")));
        }
        assert!(seen < 400, "of twelve digits at random one in a hundred: {seen}");
    }

    /// Of numbers at random, one in so many looks like a card's by chance; more than that would refuse honest reports.
    #[test]
    fn few_numbers_at_random_look_like_a_card() {
        let mut state = 99;
        let mut seen = 0;
        for _ in 0..20_000 {
            let account: String =
                (0..10).map(|_| char::from(b'0' + u8::try_from(random(&mut state) % 10).unwrap())).collect();
            seen += usize::from(text_pan_like(&format!("{account} 26.11.2026 08:30 {:02}.{:02}", 42, 17)));
        }
        assert_eq!(seen, 0, "ten digits and an amount are no card");
        assert!(Brand::of(b"26112026").is_some(), "the control: a date begins like one");
    }
}
