//! Month and year of expiry.

use crate::Keyed;
use memory::{Exhausted, Slot};
use wire::{ExpiryView, RejectReason};

/// How far ahead an expiry may lie; schemes issue for at most ten years, cards without a chip for up to twenty.
const YEARS_AHEAD_MAX: u16 = 20;

/// A month of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct YearMonth {
    /// Four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
}

const DAY_MS: i64 = 86_400_000;

impl YearMonth {
    /// The month that a moment lies in, UTC.
    pub fn at_unix_ms(unix_ms: i64) -> Self {
        Self::of_day(unix_ms.div_euclid(DAY_MS))
    }

    /// The month that a day (counted from 1970-01-01) lies in.
    fn of_day(day: i64) -> Self {
        let (mut year, mut left) = (1970_u16, day.max(0));
        while left >= days_of_year(year) && year < u16::MAX {
            left -= days_of_year(year);
            year += 1;
        }
        let february = if days_of_year(year) == 366 { 29 } else { 28 };
        let mut month = 1;
        for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if left < days {
                break;
            }
            left -= days;
            month += 1;
        }
        Self { year, month }
    }
}

fn days_of_year(year: u16) -> i64 {
    if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) { 366 } else { 365 }
}

/// A month and year that a card may expire in. Boxed and wiped like the number it belongs to.
pub struct Expiry(Slot);

/// Why digits are not an expiry date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpiryError {
    /// What the agent may be told.
    #[error("not an expiry date: {0:?}")]
    Rejected(RejectReason),
    /// No locked memory.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

impl Expiry {
    /// Digits that an expiry has: MMYY.
    pub const LENGTH: usize = 4;

    /// Reads MMYY. A card is good until the end of its month.
    pub fn parse(keyed: &Keyed, today: YearMonth) -> Result<Self, ExpiryError> {
        Ok(Self::stored(keyed.expose(|digits| read(digits, today)).map_err(ExpiryError::Rejected)?)?)
    }

    /// That of a stored card, which may have gone by since: a bank may know of a newer one.
    pub fn stored(date: YearMonth) -> Result<Self, Exhausted> {
        let mut slot = Slot::take()?;
        let [high, low] = date.year.to_be_bytes();
        slot.expose_mut(|bytes| bytes.iter_mut().zip([date.month, high, low]).for_each(|(to, from)| *to = from));
        Ok(Self(slot))
    }

    /// Reads month and year.
    pub fn expose<R>(&self, read: impl FnOnce(YearMonth) -> R) -> R {
        self.0
            .expose(|[month, high, low, ..]| read(YearMonth { year: u16::from_be_bytes([*high, *low]), month: *month }))
    }

    /// What may be shown; PCI DSS lets the expiry be seen.
    pub fn view(&self) -> ExpiryView {
        self.expose(|date| ExpiryView { month: date.month, year: date.year })
    }
}

fn read(digits: &[u8], today: YearMonth) -> Result<YearMonth, RejectReason> {
    let [m1, m2, y1, y2] = *<&[u8; Expiry::LENGTH]>::try_from(digits).map_err(|_| RejectReason::Length)?;
    let two = |tens: u8, ones: u8| (tens - b'0') * 10 + (ones - b'0');
    let month = two(m1, m2);
    if !(1..=12).contains(&month) {
        return Err(RejectReason::Month);
    }
    let expiry = YearMonth { year: today.year / 100 * 100 + u16::from(two(y1, y2)), month };
    // Near a century's end "05" means the next one.
    let expiry = if expiry.year + 80 < today.year { YearMonth { year: expiry.year + 100, ..expiry } } else { expiry };
    if expiry < today {
        return Err(RejectReason::Expired);
    }
    if expiry.year > today.year + YEARS_AHEAD_MAX { Err(RejectReason::TooFar) } else { Ok(expiry) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pan::tests::keyed;

    const TODAY: YearMonth = YearMonth { year: 2026, month: 11 };

    fn parse(text: &str) -> Result<(u8, u16), RejectReason> {
        match Expiry::parse(&keyed(text), TODAY) {
            Ok(expiry) => Ok((expiry.view().month, expiry.view().year)),
            Err(ExpiryError::Rejected(reason)) => Err(reason),
            Err(ExpiryError::Exhausted(_)) => panic!("no memory"),
        }
    }

    #[test]
    fn a_card_is_good_until_the_end_of_its_month() {
        assert_eq!(parse("1126"), Ok((11, 2026)));
        assert_eq!(parse("1026"), Err(RejectReason::Expired));
        assert_eq!(parse("1230"), Ok((12, 2030)));
    }

    #[test]
    fn months_follow_the_calendar() {
        let month = |day| (YearMonth::of_day(day).year, YearMonth::of_day(day).month);
        assert_eq!(month(0), (1970, 1));
        assert_eq!(month(19_782), (2024, 2), "2024-02-29");
        assert_eq!(month(19_783), (2024, 3));
        assert_eq!(month(20_818), (2026, 12), "2026-12-31");
        assert_eq!(month(20_819), (2027, 1));
    }

    #[test]
    fn every_mistake_has_its_reason() {
        assert_eq!(parse("1330"), Err(RejectReason::Month));
        assert_eq!(parse("0030"), Err(RejectReason::Month));
        assert_eq!(parse("123"), Err(RejectReason::Length));
        assert_eq!(parse("1247"), Err(RejectReason::TooFar));
        assert_eq!(parse("1299"), Err(RejectReason::TooFar));
    }
}
