//! Times as reports write them.

use jiff::{civil, tz::Offset, tz::TimeZone};

/// The order of a date's parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dates {
    /// `2026-11-26`, also as RFC 3339 with an offset.
    #[default]
    YearFirst,
    /// `26/11/2026`
    DayFirst,
    /// `11/26/2026`
    MonthFirst,
}

/// Abbreviations of the time zones that Adyen's accounts have, in minutes east of Greenwich
/// (<https://docs.adyen.com/reporting/time-zone-setting/>); summer time has its own.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("UTC", 0),
    ("GMT", 0),
    ("WET", 0),
    ("BST", 60),
    ("WEST", 60),
    ("IST", 60),
    ("CET", 60),
    ("CEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("GST", 240),
    ("SGT", 480),
    ("HKT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("BRT", -180),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
];

/// The zone of an abbreviation.
pub(super) fn abbreviated(name: &str) -> Option<TimeZone> {
    let (_, minutes) = ABBREVIATIONS.iter().find(|(known, _)| *known == name.trim())?;
    Some(Offset::from_seconds(minutes * 60).ok()?.to_time_zone())
}

/// Unix milliseconds of a date, or of a date and a time of day. An offset in the text wins over the zone.
pub(super) fn unix_ms(text: &str, dates: Dates, zone: &TimeZone) -> Option<i64> {
    let text = text.trim();
    if !text.is_ascii() {
        return None;
    }
    if let (Dates::YearFirst, Ok(moment)) = (dates, text.parse::<jiff::Timestamp>()) {
        return Some(moment.as_millisecond());
    }
    let (date, rest) = text.split_once([' ', 'T']).unwrap_or((text, "00:00"));
    let mut parts = date.split(['-', '/', '.']);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (year, month, day) = match dates {
        Dates::YearFirst => (first, second, third),
        Dates::DayFirst => (third, second, first),
        Dates::MonthFirst => (third, first, second),
    };
    let year = if year.len() == 4 { year.parse().ok()? } else { return None };
    let date = civil::Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()?;
    let time = clock(rest)?;
    Some(zone.to_timestamp(date.to_datetime(time)).ok()?.as_millisecond())
}

/// Hours, minutes and maybe seconds; a fraction of a second is left out.
fn clock(text: &str) -> Option<civil::Time> {
    let text = text.split('.').next()?;
    let mut parts = text.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() {
        return None;
    }
    civil::Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, dates: Dates) -> Option<i64> {
        unix_ms(text, dates, &abbreviated("CET").unwrap())
    }

    #[test]
    fn dates_are_read_in_the_order_that_was_named() {
        let want = Some(1_795_681_800_000);
        assert_eq!(of("2026-11-26 09:30:00", Dates::YearFirst), want);
        assert_eq!(of("2026-11-26T08:30:00Z", Dates::YearFirst), want);
        assert_eq!(of("26/11/2026 09:30", Dates::DayFirst), want);
        assert_eq!(of("11/26/2026 09:30:00.123", Dates::MonthFirst), want);
        assert_eq!(of("2026-11-26", Dates::YearFirst), Some(1_795_681_800_000 - 34_200_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "2026-11", "2026-13-01", "26-11-26", "2026-11-26 25:00", "2026-11-26 1", "2026-02-30", "é"] {
            assert_eq!(of(text, Dates::YearFirst), None, "{text}");
        }
        assert!(abbreviated("XYZ").is_none());
    }
}
