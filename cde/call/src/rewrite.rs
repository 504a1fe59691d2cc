//! What of a call is changed, and what is passed on, when it goes from one trunk to another.

use crate::bounce;
use crate::config::is_web;
use crate::ladder::percent_decoded;
use sip::Peer;
use wire::brand::PAN_LENGTH_MIN;
use wire::{Extension, pan_like};

/// Headers that a business needs on the other side: who calls, from where diverted, what the caller's system says.
const PASSED: [&str; 3] = ["P-Asserted-Identity", "Diversion", "User-to-User"];
/// Headers that say who calls or from where it was diverted: nobody outside is believed that (RFC 3325 §5).
const IDENTITIES: [&str; 5] =
    ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Diversion", "History-Info"];
/// The longest value that is passed on.
const VALUE_BYTES_MAX: usize = 512;
/// The shortest card number in hexadecimal.
const HEX_DIGITS_MIN: usize = 2 * PAN_LENGTH_MIN;
/// How many headers of one call are.
const HEADERS_MAX: usize = 32;

/// How a route changes the called number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// So many characters are taken from its beginning.
    pub strip: u8,
    /// And this is put there.
    pub add: String,
}

impl Rewrite {
    /// The number to call; none if there is nothing left of it, or nothing that can be called.
    pub(crate) fn apply(&self, called: &str) -> Option<Extension> {
        let mut rest = called.chars();
        if (0..self.strip).any(|_| rest.next().is_none()) || rest.as_str().is_empty() {
            return None;
        }
        format!("{}{}", self.add, rest.as_str()).parse().ok()
    }

    /// A number with this prefix that would become this one; none if there is none. What was taken away and is not of the prefix is not
    /// known, and zeros will do.
    pub(crate) fn undo(&self, prefix: &str, number: &str) -> Option<String> {
        let rest = number.strip_prefix(self.add.as_str())?;
        let taken = prefix.chars().chain(std::iter::repeat('0')).take(self.strip.into());
        Some(taken.chain(rest.chars()).collect())
    }
}

/// Those headers of an INVITE that go on to the other side: of the list, and of those that the file names. One that is too long, or
/// that looks like a card number, does not, nor one that only we say. A web page is no trunk: who it says it is, is its account and nothing else.
pub(crate) fn passed(from: Peer, headers: &[(String, Vec<u8>)], chosen: &[String]) -> Vec<(String, Vec<u8>)> {
    let is = |name: &str, listed: &str| name.eq_ignore_ascii_case(listed);
    let is_listed =
        |name: &str| PASSED.iter().any(|listed| is(name, listed)) || chosen.iter().any(|listed| is(name, listed));
    let is_trusted = |name: &str| !is_web(from.transport) || !IDENTITIES.iter().any(|listed| is(name, listed));
    let fits = |(name, value): &&(String, Vec<u8>)| {
        is_listed(name) && is_trusted(name) && may_pass(value) && !bounce::is_ours(name)
    };
    let says_ours = |header: &&(String, Vec<u8>)| bounce::is_ours_in_users(header);
    headers.iter().filter(fits).filter(|header| !says_ours(header)).take(HEADERS_MAX).cloned().collect()
}

fn may_pass(value: &[u8]) -> bool {
    let is_one_line = !value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
    let text = String::from_utf8_lossy(value);
    let is_card = holds_card(&text) || holds_card(&percent_decoded(&text));
    value.len() <= VALUE_BYTES_MAX && is_one_line && !is_card
}

/// As it stands, or in hexadecimal, as User-to-User has its content (RFC 7433), wherever in a word that begins.
pub(crate) fn holds_card(text: &str) -> bool {
    let mut runs = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|run| run.len() >= HEX_DIGITS_MIN);
    pan_like(text)
        || runs.any(|run| [0, 1].iter().filter_map(|from| run.get(*from..)).any(|run| pan_like(&hex_decoded(run))))
}

pub(crate) fn hex_decoded(run: &str) -> String {
    let pairs = run.as_bytes().chunks_exact(2);
    let bytes: Vec<u8> =
        pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(strip: u8, add: &str, called: &str) -> Option<String> {
        let rewrite = Rewrite { strip, add: add.to_owned() };
        rewrite.apply(called).map(|number| number.as_str().to_owned())
    }

    #[test]
    fn a_number_is_rewritten_as_the_route_says() {
        assert_eq!(rewritten(0, "", "1001").as_deref(), Some("1001"));
        assert_eq!(rewritten(1, "+44", "02079460018").as_deref(), Some("+442079460018"));
        assert_eq!(rewritten(3, "0", "+442079460018").as_deref(), Some("02079460018"));
        assert_eq!(rewritten(0, "9", "2001").as_deref(), Some("92001"));
        assert_eq!(rewritten(4, "0", "1001"), None, "there is nothing left");
        assert_eq!(rewritten(9, "", "1001"), None);
        assert_eq!(rewritten(0, "", "a b"), None);
    }

    #[test]
    fn what_a_number_was_before_becomes_that_number_again() {
        for (strip, add, prefix, number) in
            [(0, "", "10", "1001"), (3, "0", "+442", "0207"), (4, "10", "44", "1001"), (2, "", "4420", "2001")]
        {
            let rewrite = Rewrite { strip, add: add.to_owned() };
            let before = rewrite.undo(prefix, number).unwrap();
            assert_eq!(rewrite.apply(&before).unwrap().as_str(), number, "{before}");
        }
        assert_eq!(Rewrite { strip: 0, add: "9".to_owned() }.undo("", "1001"), None);
    }

    fn peer() -> Peer {
        Peer::udp(([192, 0, 2, 1], 5060).into())
    }

    fn value_passes(name: &str, value: &str) -> bool {
        let headers = [(name.to_owned(), value.as_bytes().to_vec())];
        !passed(peer(), &headers, &["X-Account".to_owned()]).is_empty()
    }

    #[test]
    fn listed_headers_pass_and_no_others() {
        assert!(value_passes("p-asserted-identity", "<tel:+442079460018>"));
        assert!(value_passes("Diversion", "<sip:1001@a>;reason=unconditional"));
        assert!(value_passes("x-account", "NW-204417"));
        assert!(!value_passes("X-Other", "NW-204417"));
        assert!(!value_passes("Authorization", "Digest"));
    }

    /// What broke: only words that are hexadecimal and nothing else were looked at.
    #[test]
    fn a_card_number_passes_in_no_writing() {
        let hexed: String = "4242424242424242".bytes().map(|byte| format!("{byte:02x}")).collect();
        let escaped = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        for value in [
            format!("\"{hexed}\";encoding=hex"),
            format!("'00{hexed}'"),
            format!("data={hexed};encoding=hex"),
            format!("0{hexed};encoding=hex"),
            escaped("4242424242424242"),
            escaped(&hexed),
            format!("%22{hexed}%22"),
            "4242%34242%3424%32424242".to_owned(),
        ] {
            assert!(!value_passes("User-to-User", &value), "{value}");
        }
    }

    #[test]
    fn nothing_passes_that_is_long_of_two_lines_or_like_a_card_number() {
        assert!(value_passes("X-Account", &"a".repeat(512)));
        assert!(!value_passes("X-Account", &"a".repeat(513)));
        assert!(!value_passes("X-Account", "a\r\nX-Evil: b") && !value_passes("X-Account", "a\nb"));
        assert!(!value_passes("X-Account", "4242 4242 4242 4242"));
        let hexed: String = "4242424242424242".bytes().map(|byte| format!("{byte:02X}")).collect();
        assert!(!value_passes("User-to-User", &format!("00{hexed};encoding=hex")));
        assert!(value_passes("User-to-User", "00C8315A;encoding=hex"));
        assert!(value_passes("User-to-User", "\"00C8315A\";encoding=hex") && value_passes("User-to-User", "50%25 off"));
        let many = vec![("X-Account".to_owned(), b"1".to_vec()); 100];
        assert_eq!(passed(peer(), &many, &["X-Account".to_owned()]).len(), HEADERS_MAX);
    }
}
