//! An agreement: terms over time, and which payments have been handed out.

use crate::terms::{PAYMENTS_MAX, Terms, TermsError};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wire::Money;

/// The most changes of terms.
pub const AMENDMENTS_MAX: usize = 200;
/// The most payments that are handed out at once.
pub const ISSUED_MAX: usize = 100;
/// Payments to come that are looked at for the next day on which one is taken.
const LOOKED_AT_MAX: u32 = 100;
/// A payment may always be this late: whoever takes it looks for it now and then.
const LATE_MIN: SignedDuration = SignedDuration::from_hours(1);

/// Where an agreement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Payments are taken.
    Active,
    /// None is taken until it goes on.
    Paused,
    /// None is taken any more.
    Canceled,
    /// All payments have been handed out.
    Complete,
}

/// What becomes of the payments whose day came while it was paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They are skipped.
    Skip,
    /// They are taken today, all of them.
    Collect,
    /// All that is left is moved: the next one is today, the others as far apart as they were.
    Shift,
}

/// What is to be done with a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Take it.
    Take,
    /// It is skipped.
    Skip,
}

/// One payment of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// From 1, without gaps.
    pub number: u32,
    /// Its day by the terms.
    pub day: Date,
    /// The day on which it is taken.
    pub due: Date,
    /// How much.
    pub amount: Money,
    /// Taken or skipped.
    pub fate: Fate,
}

/// A payment that was handed out: its number is never handed out again.
pub type Issued = Payment;

/// Terms, and the first payment that they are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Segment {
    from: u32,
    terms: Terms,
}

/// One payment that is not as the terms have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    due: Option<Date>,
    amount: Option<Money>,
    #[serde(default)]
    skip: bool,
}

/// Why a change is refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// The terms.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// The payment has been handed out.
    #[error("this payment has been taken or tried already: it can be refunded, not changed")]
    Issued,
    /// There is no such payment.
    #[error("the agreement has no such payment")]
    NoPayment,
    /// Canceled or complete.
    #[error("the agreement has ended: make a new one")]
    Ended,
    /// Not paused.
    #[error("the agreement is not paused")]
    NotPaused,
    /// Another currency, or an amount that cannot be paid.
    #[error("the amount must be above zero, and in the currency of the agreement")]
    Amount,
    /// A day that would put payments out of their order.
    #[error("a payment can be moved only to a day from that of the one before to that of the next one")]
    Order,
    /// New terms that begin before today.
    #[error("the next payment under new terms cannot be in the past: begin today or later")]
    Past,
    /// Paused.
    #[error("the agreement is paused: let it go on first")]
    Paused,
    /// Not one that was missed.
    #[error("only a payment that was not taken in its time can be taken by hand or left out later")]
    NotMissed,
    /// Too many amendments.
    #[error("an agreement can be amended {AMENDMENTS_MAX} times: make a new one")]
    TooMany,
}

/// The agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    segments: Vec<Segment>,
    /// By number; only of payments that have not been handed out.
    changes: BTreeMap<u32, Change>,
    /// The next number to be handed out.
    next: u32,
    state: State,
}

impl Agreement {
    /// A new one.
    pub fn new(terms: Terms) -> Result<Self, AgreementError> {
        terms.check()?;
        Ok(Self { segments: vec![Segment { from: 1, terms }], changes: BTreeMap::new(), next: 1, state: State::Active })
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match self.state {
            State::Active if self.payment(self.next).is_none() => State::Complete,
            state => state,
        }
    }

    /// The terms that the next payments follow.
    pub fn terms(&self) -> Option<&Terms> {
        self.segments.last().map(|segment| &segment.terms)
    }

    /// The next payment, if there is one and it was not canceled.
    pub fn next(&self) -> Option<Payment> {
        (self.state != State::Canceled).then(|| self.payment(self.next))?
    }

    /// The payments that are to come, at most so many.
    pub fn calendar(&self, limit: u32) -> Vec<Payment> {
        let numbers = self.next..self.next.saturating_add(limit);
        if self.state == State::Canceled {
            Vec::new()
        } else {
            numbers.map_while(|number| self.payment(number)).collect()
        }
    }

    /// Hands out what is due on a day, in order, and never again.
    pub fn issue(&mut self, today: Date) -> Vec<Issued> {
        let mut issued = Vec::new();
        while self.state == State::Active && issued.len() < ISSUED_MAX {
            let Some(payment) = self.payment(self.next).filter(|payment| payment.due <= today) else { break };
            self.changes.remove(&self.next);
            self.next += 1;
            issued.push(payment);
        }
        issued
    }

    /// The day after this one on which the next payment is taken, if there is one among the next so many.
    pub fn day_after(&self, day: Date) -> Option<Date> {
        let numbers = self.next..self.next.saturating_add(LOOKED_AT_MAX);
        let mut to_come = numbers.map_while(|number| self.payment(number));
        to_come.find(|payment| payment.due > day && payment.fate == Fate::Take).map(|payment| payment.due)
    }

    /// One payment more at the end, where the terms say how many there are.
    pub fn make_up(&mut self) -> Result<(), AgreementError> {
        if self.state == State::Canceled {
            return Err(AgreementError::Ended);
        }
        let Some(count) = self.segments.last_mut().and_then(|segment| segment.terms.count.as_mut()) else {
            return Ok(());
        };
        if *count >= PAYMENTS_MAX {
            return Err(TermsError::Count.into());
        }
        *count += 1;
        Ok(())
    }

    /// Other terms for all payments that have not been handed out. What was changed of single ones is forgotten.
    ///
    /// They begin with the next payment, so their first day may not lie in the past: what would have been due since then would
    /// be taken all at once.
    pub fn amend(&mut self, today: Date, terms: Terms) -> Result<(), AgreementError> {
        self.alive()?;
        terms.check()?;
        if terms.first < today {
            return Err(AgreementError::Past);
        }
        let currency = self.terms().map(|old| old.amount.regular.currency);
        if currency.is_some_and(|currency| currency != terms.amount.regular.currency) {
            return Err(AgreementError::Amount);
        }
        self.replace(terms)
    }

    fn replace(&mut self, terms: Terms) -> Result<(), AgreementError> {
        self.segments.retain(|segment| segment.from < self.next);
        if self.segments.len() >= AMENDMENTS_MAX {
            return Err(AgreementError::TooMany);
        }
        self.segments.push(Segment { from: self.next, terms });
        self.changes.clear();
        Ok(())
    }

    /// Skips a payment. Made up for, one more is taken at the end, where the terms say how many there are.
    pub fn skip(&mut self, number: u32, make_up: bool) -> Result<(), AgreementError> {
        let is_skipped = self.open(number)?.fate == Fate::Skip;
        if make_up && !is_skipped {
            self.make_up()?;
        }
        self.changes.entry(number).or_default().skip = true;
        Ok(())
    }

    /// Another amount for one payment.
    pub fn set_amount(&mut self, number: u32, amount: Money) -> Result<(), AgreementError> {
        let payment = self.open(number)?;
        if !amount.payable() || amount.currency != payment.amount.currency {
            return Err(AgreementError::Amount);
        }
        self.changes.entry(number).or_default().amount = Some(amount);
        Ok(())
    }

    /// Another day for one payment, without putting them out of their order.
    pub fn set_day(&mut self, number: u32, due: Date) -> Result<(), AgreementError> {
        self.open(number)?;
        let neighbor = |number| self.payment(number).map(|payment| payment.due);
        let before = number.checked_sub(1).filter(|before| *before >= self.next).and_then(neighbor);
        let after = number.checked_add(1).and_then(neighbor);
        if before.is_some_and(|before| due < before) || after.is_some_and(|after| due > after) {
            return Err(AgreementError::Order);
        }
        self.changes.entry(number).or_default().due = Some(due);
        Ok(())
    }

    /// Nothing is taken until it is resumed.
    pub fn pause(&mut self) -> Result<(), AgreementError> {
        self.alive()?;
        self.state = State::Paused;
        Ok(())
    }

    /// It goes on today.
    pub fn resume(&mut self, today: Date, catch_up: CatchUp) -> Result<(), AgreementError> {
        if self.state != State::Paused {
            return Err(AgreementError::NotPaused);
        }
        match catch_up {
            CatchUp::Collect => self.missed(today, |change| change.due = Some(today)),
            CatchUp::Skip => self.missed(today, |change| change.skip = true),
            CatchUp::Shift => self.shift(today)?,
        }
        self.state = State::Active;
        Ok(())
    }

    /// Changes each payment whose day has gone by without its being handed out.
    fn missed(&mut self, today: Date, change: impl Fn(&mut Change)) {
        let to_come = (self.next..).map_while(|number| self.payment(number));
        let missed = to_come.take_while(|payment| payment.due < today);
        for number in missed.map(|payment| payment.number).collect::<Vec<_>>() {
            change(self.changes.entry(number).or_default());
        }
    }

    /// The same terms from today on, for as many payments as are left.
    fn shift(&mut self, today: Date) -> Result<(), AgreementError> {
        let Some(next) = self.payment(self.next).filter(|payment| payment.due < today) else { return Ok(()) };
        let Some(segment) = self.segments.last().cloned() else { return Ok(()) };
        let taken = next.number.saturating_sub(segment.from);
        let mut terms = segment.terms;
        let moved = today.since(next.day).map_err(|_| TermsError::Calendar)?;
        terms.first = match terms.interval {
            crate::Interval::MonthEnds(_) => today.last_of_month(),
            _ => today,
        };
        terms.count = terms.count.map(|count| count.saturating_sub(taken));
        terms.until = terms.until.and_then(|until| until.checked_add(moved).ok());
        if taken > 0 {
            terms.amount.first = None;
        }
        terms.check()?;
        // A payment that was to be skipped, or had an amount of its own, keeps that: only days are other ones.
        let kept: BTreeMap<u32, Change> =
            self.changes.iter().map(|(number, change)| (*number, Change { due: None, ..*change })).collect();
        self.replace(terms)?;
        self.changes = kept;
        Ok(())
    }

    /// Nothing is taken any more. One that is complete may be canceled too: a payment of it may be about to be tried again.
    pub fn cancel(&mut self) -> Result<(), AgreementError> {
        if self.state == State::Canceled {
            return Err(AgreementError::Ended);
        }
        self.state = State::Canceled;
        self.changes.clear();
        Ok(())
    }

    fn alive(&self) -> Result<(), AgreementError> {
        if matches!(self.state(), State::Active | State::Paused) { Ok(()) } else { Err(AgreementError::Ended) }
    }

    /// A payment that can still be changed.
    fn open(&self, number: u32) -> Result<Payment, AgreementError> {
        self.alive()?;
        if number < self.next {
            return Err(AgreementError::Issued);
        }
        self.payment(number).ok_or(AgreementError::NoPayment)
    }

    /// A payment that has not been handed out.
    fn payment(&self, number: u32) -> Option<Payment> {
        let segment = self.segments.last().filter(|segment| number >= segment.from)?;
        let place = number - segment.from;
        let day = segment.terms.day(place)?;
        let change = self.changes.get(&number).copied().unwrap_or_default();
        Some(Payment {
            number,
            day,
            due: change.due.unwrap_or_else(|| segment.terms.rolled(day)),
            amount: change.amount.unwrap_or_else(|| segment.terms.amount_at(place)),
            fate: if change.skip { Fate::Skip } else { Fate::Take },
        })
    }
}

/// The moment at which a day's payments are taken. A time that a clock leaves out is taken as much later; of one that it
/// shows twice, the first is taken.
pub fn moment(day: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_zoned(day.to_datetime(time)).compatible().ok().map(|zoned| zoned.timestamp())
}

/// Until when a payment is taken that could not be taken in its time: for so many days, but not beyond the middle of the time
/// to the next payment on another day. So of a backlog, or when a clock jumps ahead, no more than what was due on one day is
/// taken of an agreement, and payments on different days never come closer than half their distance. An hour is always allowed.
pub fn late_at(due: Date, next: Option<Date>, (time, zone): (Time, &TimeZone), days_max: u16) -> Option<Timestamp> {
    let at = moment(due, time, zone)?;
    let most = SignedDuration::from_hours(24 * i64::from(days_max));
    let half = next.and_then(|next| moment(next, time, zone)).map_or(most, |next| at.duration_until(next) / 2);
    at.checked_add(most.min(half).max(LATE_MIN)).ok()
}

/// The day on which a payer is reminded.
pub fn reminder(payment: &Payment, days_before: u8) -> Option<Date> {
    payment.due.checked_sub(i64::from(days_before).days()).ok()
}
