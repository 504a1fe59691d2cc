//! The time zone that a merchant's days are counted in.

use jiff::{civil::Date, tz::TimeZone};
use reconcile::Window;
use serde::Deserialize;

/// A time zone by its name in the IANA database, such as `Europe/London`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// From a day's first millisecond to the next one's; 23 to 25 hours. None at the ends of the calendar.
    pub(crate) fn window(&self, day: Date) -> Option<Window> {
        let start = |day: Date| Some(day.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond());
        Some(Window { from: start(day)?, until: start(day.tomorrow().ok()?)? })
    }
}

/// Coordinated Universal Time.
impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match TimeZone::get(&name) {
            Ok(zone) => Ok(Self { name, zone }),
            Err(_) => Err("not a time zone: expected a name of the IANA database, such as Europe/London".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_as_long_as_its_zone_makes_it() {
        let zone = Zone::try_from("Europe/London".to_owned()).unwrap();
        let hours = |day: &str| zone.window(day.parse().unwrap()).map(|day| (day.until - day.from) / 3_600_000);
        assert_eq!([hours("2026-03-29"), hours("2026-06-01"), hours("2026-10-25")], [Some(23), Some(24), Some(25)]);
        let summer = zone.window("2026-06-01".parse().unwrap()).unwrap();
        assert_eq!(crate::clock::rfc3339(summer.from), "2026-05-31T23:00:00Z");
        assert!(Zone::try_from("Europe/Londn".to_owned()).is_err());
        assert_eq!(Zone::default().window("2026-01-01".parse().unwrap()).unwrap().from, 1_767_225_600_000);
    }
}
