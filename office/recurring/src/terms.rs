//! How much, how often, from when, for how long.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use wire::Money;

/// The most payments of one set of terms: a day's for thirty years.
pub const PAYMENTS_MAX: u32 = 12_000;
/// The longest interval, in its own unit.
pub const EVERY_MAX: u16 = 366;
/// The most holidays that are kept with an agreement.
pub const HOLIDAYS_MAX: usize = 400;

/// How far apart payments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "unit", content = "every", rename_all = "snake_case")]
pub enum Interval {
    /// Every so many days.
    Days(u16),
    /// Every so many weeks.
    Weeks(u16),
    /// Every so many months, on the day of the first payment, or on the last day of a month that has no such day.
    Months(u16),
    /// Every so many months, on the last day of the month; the first payment must be on one.
    MonthEnds(u16),
}

/// What becomes of a payment that falls on a day that is no business day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Roll {
    /// It is taken on that day all the same.
    #[default]
    Stay,
    /// It is taken on the next business day.
    Following,
    /// It is taken on the next business day, or on the one before where that is in another month.
    ModifiedFollowing,
    /// It is taken on the business day before.
    Preceding,
}

/// How much each payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Each one.
    pub regular: Money,
    /// But the first one, such as a deposit.
    pub first: Option<Money>,
    /// But the last one, such as what is left over.
    pub last: Option<Money>,
}

/// One set of terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The day of the first payment.
    pub first: Date,
    /// How far apart.
    pub interval: Interval,
    /// How much.
    pub amount: Amount,
    /// How many; none: until the end, or until it is canceled.
    pub count: Option<u32>,
    /// No payment is after this day; none: no such day.
    pub until: Option<Date>,
    /// What becomes of weekends and holidays.
    #[serde(default)]
    pub roll: Roll,
    /// Days that are no business days besides Saturdays and Sundays.
    #[serde(default)]
    pub holidays: BTreeSet<Date>,
}

/// Why terms are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Not above zero, or absurdly large.
    #[error("an amount must be above zero and have at most ten digits")]
    Amount,
    /// Two currencies.
    #[error("the first, the last and the other payments must have one currency")]
    Currency,
    /// No or a very long interval.
    #[error("the interval must be from 1 to {EVERY_MAX}")]
    Interval,
    /// Not on the last day of a month.
    #[error("payments at month ends must begin on the last day of a month")]
    NotAMonthEnd,
    /// None, or more than anybody agrees to.
    #[error("the number of payments must be from 1 to {PAYMENTS_MAX}")]
    Count,
    /// It ends before it begins.
    #[error("the end lies before the first payment")]
    End,
    /// A last amount without a last payment.
    #[error("an amount of the last payment needs a number of payments or an end")]
    NoLast,
    /// Too many holidays.
    #[error("there are at most {HOLIDAYS_MAX} holidays")]
    Holidays,
    /// Beyond the calendar.
    #[error("these dates lie beyond the calendar")]
    Calendar,
}

impl Terms {
    /// Can these be agreed on?
    pub fn check(&self) -> Result<(), TermsError> {
        let Amount { regular, first, last } = self.amount;
        let amounts = || [Some(regular), first, last].into_iter().flatten();
        if amounts().any(|amount| !amount.payable()) {
            return Err(TermsError::Amount);
        }
        if amounts().any(|amount| amount.currency != regular.currency) {
            return Err(TermsError::Currency);
        }
        let (Interval::Days(every) | Interval::Weeks(every) | Interval::Months(every) | Interval::MonthEnds(every)) =
            self.interval;
        if !(1..=EVERY_MAX).contains(&every) {
            return Err(TermsError::Interval);
        }
        if matches!(self.interval, Interval::MonthEnds(_)) && self.first != self.first.last_of_month() {
            return Err(TermsError::NotAMonthEnd);
        }
        if self.count.is_some_and(|count| !(1..=PAYMENTS_MAX).contains(&count)) {
            return Err(TermsError::Count);
        }
        if self.until.is_some_and(|until| until < self.first) {
            return Err(TermsError::End);
        }
        if last.is_some() && self.count.is_none() && self.until.is_none() {
            return Err(TermsError::NoLast);
        }
        if self.holidays.len() > HOLIDAYS_MAX {
            return Err(TermsError::Holidays);
        }
        self.nominal(self.count.unwrap_or(PAYMENTS_MAX)).map(drop).ok_or(TermsError::Calendar)
    }

    /// The day of the payment at this place, from 0, before it is rolled; none beyond the calendar.
    fn nominal(&self, place: u32) -> Option<Date> {
        let place = i64::from(place);
        let after = |span: Span| self.first.checked_add(span).ok();
        match self.interval {
            Interval::Days(every) => after((place * i64::from(every)).days()),
            Interval::Weeks(every) => after((place * i64::from(every)).weeks()),
            Interval::Months(every) => after((place * i64::from(every)).months()),
            Interval::MonthEnds(every) => after((place * i64::from(every)).months()).map(Date::last_of_month),
        }
    }

    /// The day of the payment at this place, from 0, before it is rolled; none where there is no such payment.
    pub fn day(&self, place: u32) -> Option<Date> {
        let in_count = place < self.count.unwrap_or(PAYMENTS_MAX);
        let day = self.nominal(place).filter(|_| in_count)?;
        self.until.is_none_or(|until| day <= until).then_some(day)
    }

    /// How much the payment at this place is.
    pub fn amount_at(&self, place: u32) -> Money {
        let is_last = self.day(place.saturating_add(1)).is_none();
        let special = if is_last { self.amount.last } else { None };
        let first = if place == 0 { self.amount.first } else { None };
        first.or(special).unwrap_or(self.amount.regular)
    }

    /// The day on which a payment of this day is taken.
    pub fn rolled(&self, day: Date) -> Date {
        let following = || self.business_day(day, Date::tomorrow);
        let preceding = || self.business_day(day, Date::yesterday);
        match self.roll {
            Roll::Stay => day,
            Roll::Following => following(),
            Roll::Preceding => preceding(),
            Roll::ModifiedFollowing => {
                let day_after = following();
                if (day_after.year(), day_after.month()) == (day.year(), day.month()) { day_after } else { preceding() }
            }
        }
    }

    /// The first business day, seen from this one in one direction.
    fn business_day(&self, from: Date, step: fn(Date) -> Result<Date, jiff::Error>) -> Date {
        let mut day = from;
        // Each step leaves one weekend day or one of the holidays behind, so a bit more than these are enough.
        for _ in 0..HOLIDAYS_MAX * 2 {
            if !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.holidays.contains(&day) {
                return day;
            }
            day = step(day).unwrap_or(from);
        }
        from
    }
}
