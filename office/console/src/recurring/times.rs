//! An agreement's days as moments: where it is, and the time of day there at which its payments are taken.

use crate::store::StoreError;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use recurring::agreement::{self, late_at};
use recurring::{Agreement, State};

/// When on its day a payment is taken.
#[derive(Clone, Debug)]
pub(crate) struct TakenAt {
    time: Time,
    zone: TimeZone,
}

/// When a payment is to be taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Unix milliseconds.
    pub(crate) due_at: i64,
    /// Unix milliseconds: no try is begun after this.
    pub(crate) late_at: i64,
}

impl TakenAt {
    /// At a time of day in a zone of this name.
    pub(crate) fn new(time: Time, zone: &str) -> Result<Self, StoreError> {
        let zone = TimeZone::get(zone).map_err(|_| StoreError::Damaged("time zone"))?;
        Ok(Self { time, zone })
    }

    /// When payments of a day are taken, in Unix milliseconds.
    pub(crate) fn moment(&self, day: Date) -> Option<i64> {
        agreement::moment(day, self.time, &self.zone).map(Timestamp::as_millisecond)
    }

    /// The day that it is there.
    pub(crate) fn day(&self, now_ms: i64) -> Result<Date, StoreError> {
        Ok(self.zoned(now_ms)?.date())
    }

    /// The day up to which payments are due: there, and only from the time of day on at which they are taken.
    pub(crate) fn due_until(&self, now_ms: i64) -> Result<Date, StoreError> {
        let now = self.zoned(now_ms)?;
        let is_time =
            agreement::moment(now.date(), self.time, &self.zone).is_some_and(|moment| moment <= now.timestamp());
        if is_time { Ok(now.date()) } else { now.date().yesterday().map_err(|_| StoreError::Damaged("time")) }
    }

    /// When the next payment is to be handed out.
    pub(crate) fn next_at(&self, agreement: &Agreement) -> Option<i64> {
        let next = agreement.next().filter(|_| agreement.state() == State::Active)?;
        self.moment(next.due)
    }

    /// When the next one is taken that is taken at all.
    pub(crate) fn next_taken_at(&self, agreement: &Agreement) -> Option<i64> {
        agreement.day_after(Date::MIN).and_then(|day| self.moment(day))
    }

    /// The times of a payment on a day, where the next one is on another.
    pub(crate) fn times(&self, due: Date, next: Option<Date>, late_days_max: u16) -> Result<Times, StoreError> {
        let late = late_at(due, next, (self.time, &self.zone), late_days_max).map(Timestamp::as_millisecond);
        let (due_at, late_at) = self.moment(due).zip(late).ok_or(StoreError::Damaged("day"))?;
        Ok(Times { due_at, late_at })
    }

    fn zoned(&self, now_ms: i64) -> Result<Zoned, StoreError> {
        let now = Timestamp::from_millisecond(now_ms).map_err(|_| StoreError::Damaged("time"))?;
        Ok(now.to_zoned(self.zone.clone()))
    }
}
