//! The customer's own calendar: a link that shows one agreement's payments to whoever has it, and nothing else.
//!
//! A link is the agreement, the number of the agreement's links and the end of its validity, with a tag over them (HMAC-SHA-256, cut
//! to 128 bits: RFC 2104, section 5). No table has it by itself: it stands in the texts
//! to the customer and, for a day, in the answer to whoever had it made. Taking links back makes the number another one.

use super::jobs::AgreementId;
use super::list::AgreementRow;
use crate::store::StoreError;
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use uuid::Uuid;

/// Below this the calendar is served.
pub(crate) const PATH: &str = "/calendar/";
pub(crate) const KEY_BYTES: usize = 32;
const SAYS_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Sixteen letters for four bits each: text without a digit is never taken for a card number.
const LETTERS: &[u8; 16] = b"abcdefghjkmnpqrs";
const DAY_S: i64 = 24 * 60 * 60;

/// What a link says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) agreement: AgreementId,
    /// Of the agreement's links: one of an older number was taken back.
    pub(crate) number: u32,
    /// Unix seconds.
    pub(crate) until_s: u32,
}

impl Link {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = self.agreement.0.as_bytes().to_vec();
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.until_s.to_be_bytes());
        bytes
    }

    /// As it stands in an address.
    pub(crate) fn sign(self, key: &[u8]) -> String {
        let mut bytes = self.bytes();
        let tag = tag(key, &bytes);
        bytes.extend(tag);
        let letter = |four: u8| LETTERS.get(usize::from(four & 15)).copied().map_or('a', char::from);
        bytes.iter().flat_map(|byte| [letter(byte >> 4), letter(*byte)]).collect()
    }

    /// None: it was not signed here, or its time is over.
    pub(crate) fn read(text: &str, key: &[u8], now_ms: i64) -> Option<Self> {
        if !is_one(text) {
            return None;
        }
        let four = |letter: &u8| LETTERS.iter().position(|known| known == letter).and_then(|at| u8::try_from(at).ok());
        let pairs = text.as_bytes().chunks_exact(2).map(|pair| match pair {
            [high, low] => Some(four(high)? << 4 | four(low)?),
            _ => None,
        });
        let bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
        let (says, signed) = bytes.split_at_checked(SAYS_BYTES)?;
        verify_slices_are_equal(&tag(key, says), signed).ok()?;
        let link = Self {
            agreement: AgreementId(Uuid::from_slice(says.get(..16)?).ok()?),
            number: u32::from_be_bytes(says.get(16..20)?.try_into().ok()?),
            until_s: u32::from_be_bytes(says.get(20..)?.try_into().ok()?),
        };
        (i64::from(link.until_s) > now_ms / 1000).then_some(link)
    }
}

/// Is it written as links are? Whatever is not needs no look into a database.
pub(crate) fn is_one(text: &str) -> bool {
    text.len() == 2 * (SAYS_BYTES + TAG_BYTES) && text.bytes().all(|letter| LETTERS.contains(&letter))
}

fn tag(key: &[u8], says: &[u8]) -> Vec<u8> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), says);
    tag.as_ref().iter().take(TAG_BYTES).copied().collect()
}

/// A link that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// From the first `/` on.
    pub(crate) path: String,
    /// The whole address, where office.toml says where customers find this office.
    pub(crate) url: Option<String>,
    /// Unix milliseconds.
    pub(crate) until_ms: i64,
}

/// What links are made with.
pub(crate) struct Settings {
    pub(crate) key: Vec<u8>,
    /// Where customers find this office.
    pub(crate) public_url: Option<String>,
    /// How long a link is valid; 0: there are none.
    pub(crate) days: i64,
}

impl Settings {
    /// A link for a customer of this agreement; none: links are switched off.
    pub(crate) fn link(&self, now_ms: i64, row: &AgreementRow) -> Result<Option<Made>, StoreError> {
        if self.days == 0 {
            return Ok(None);
        }
        let until_s = (now_ms / 1000).saturating_add(self.days.saturating_mul(DAY_S));
        let link = Link {
            agreement: row.id,
            number: row.links,
            until_s: u32::try_from(until_s).map_err(|_| StoreError::Damaged("time"))?,
        };
        let path = format!("{PATH}{}", link.sign(&self.key));
        let url = self.public_url.as_ref().map(|base| format!("{base}{path}"));
        Ok(Some(Made { path, url, until_ms: until_s.saturating_mul(1000) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_what_was_signed_until_its_end_and_nothing_else() {
        let link = Link { agreement: AgreementId(Uuid::now_v7()), number: 3, until_s: 1_800_000_000 };
        let (key, before) = ([7; 32], 1_799_999_999_000);
        let text = link.sign(&key);
        assert_eq!(Link::read(&text, &key, before), Some(link));
        assert_eq!(Link::read(&text, &key, 1_800_000_000_000), None, "its time is over");
        assert_eq!(Link::read(&text, &[8; 32], before), None, "another's signature");
        assert!(text.chars().all(|c| c.is_ascii_lowercase()), "nothing in it looks like a card number");
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'b' { b'c' } else { b'b' };
            assert_eq!(Link::read(&String::from_utf8(other).unwrap(), &key, before), None, "at {place}");
        }
        for wrong in ["", "x", &text[..78], &format!("{text}aa"), &text.replace(&text[..2], "é")] {
            assert!(!is_one(wrong));
            assert_eq!(Link::read(wrong, &key, before), None);
        }
    }
}
