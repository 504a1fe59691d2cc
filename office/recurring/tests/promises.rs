//! No payment is lost, doubled, early or out of order, whatever is done to an agreement.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use jiff::ToSpan;
use jiff::civil::{Date, date, time};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use recurring::agreement::{ISSUED_MAX, late_at, moment, reminder};
use recurring::*;
use std::collections::BTreeMap;
use wire::{Currency, Money};

fn pounds(minor: i64) -> Money {
    Money { minor, currency: Currency::GBP }
}

fn terms(first: Date, interval: Interval, count: Option<u32>) -> Terms {
    let amount = Amount { regular: pounds(1000), first: None, last: None };
    Terms { first, interval, amount, count, until: None, roll: Roll::Stay, holidays: Default::default() }
}

fn days(terms: &Terms, count: u32) -> Vec<String> {
    (0..count).map_while(|place| terms.day(place)).map(|day| day.to_string()).collect()
}

#[test]
fn the_thirty_first_stays_the_thirty_first() {
    let months = terms(date(2027, 1, 31), Interval::Months(1), None);
    assert_eq!(days(&months, 5), ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]);
    let leap = terms(date(2027, 12, 30), Interval::Months(1), None);
    assert_eq!(days(&leap, 4), ["2027-12-30", "2028-01-30", "2028-02-29", "2028-03-30"]);
    let years = terms(date(2028, 2, 29), Interval::Months(12), None);
    assert_eq!(days(&years, 5), ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]);
    let ends = terms(date(2027, 2, 28), Interval::MonthEnds(1), None);
    assert_eq!(days(&ends, 3), ["2027-02-28", "2027-03-31", "2027-04-30"]);
    assert_eq!(terms(date(2027, 2, 27), Interval::MonthEnds(1), None).check(), Err(TermsError::NotAMonthEnd));
}

#[test]
fn weekends_and_holidays_are_rolled_as_agreed() {
    // Saturday 29 May 2027; Monday 31 May is a bank holiday.
    let rolled = |roll| {
        let mut terms = terms(date(2027, 5, 29), Interval::Days(1), None);
        (terms.roll, terms.holidays) = (roll, [date(2027, 5, 31)].into());
        terms.rolled(terms.first).to_string()
    };
    assert_eq!(rolled(Roll::Stay), "2027-05-29");
    assert_eq!(rolled(Roll::Following), "2027-06-01");
    assert_eq!(rolled(Roll::ModifiedFollowing), "2027-05-28");
    assert_eq!(rolled(Roll::Preceding), "2027-05-28");
}

#[test]
fn the_first_and_the_last_payment_may_differ() {
    let mut some = terms(date(2027, 1, 1), Interval::Weeks(1), Some(4));
    some.amount = Amount { regular: pounds(1000), first: Some(pounds(2500)), last: Some(pounds(333)) };
    let amounts = |terms: Terms| -> Vec<i64> {
        Agreement::new(terms).unwrap().calendar(99).iter().map(|payment| payment.amount.minor).collect()
    };
    assert_eq!(amounts(some.clone()), [2500, 1000, 1000, 333]);
    (some.count, some.until) = (None, Some(date(2027, 1, 16)));
    assert_eq!(amounts(some.clone()), [2500, 1000, 333]);
    some.until = None;
    assert_eq!(some.check(), Err(TermsError::NoLast));
    some.amount.last = None;
    some.amount.first = Some(Money { minor: 1, currency: Currency::EUR });
    assert_eq!(some.check(), Err(TermsError::Currency));
    some.amount.first = Some(pounds(0));
    assert_eq!(some.check(), Err(TermsError::Amount));
}

#[test]
fn a_moment_holds_when_clocks_change() {
    let london = TimeZone::get("Europe/London").unwrap();
    let at = |day, hour, minute| moment(day, time(hour, minute, 0, 0), &london).unwrap();
    assert_eq!(at(date(2027, 3, 27), 9, 0).to_string(), "2027-03-27T09:00:00Z");
    assert_eq!(at(date(2027, 3, 28), 9, 0).to_string(), "2027-03-28T08:00:00Z", "summer time");
    assert_eq!(at(date(2027, 3, 28), 1, 30).to_string(), "2027-03-28T01:30:00Z", "a time that does not exist");
    assert_eq!(at(date(2027, 10, 31), 1, 30).to_string(), "2027-10-31T00:30:00Z", "the first of two");
    for day in 0..800 {
        let day = date(2027, 1, 1).checked_add(day.days()).unwrap();
        let gap = at(day, 1, 30).duration_until(at(day.tomorrow().unwrap(), 1, 30));
        assert!((23 * 60..=25 * 60).contains(&gap.as_mins()), "{day}: no day is passed over or has two: {gap:?}");
    }
}

#[test]
fn what_was_handed_out_cannot_be_changed() {
    let mut agreement = Agreement::new(terms(date(2027, 1, 1), Interval::Weeks(1), Some(3))).unwrap();
    assert_eq!(agreement.issue(date(2027, 1, 1)).len(), 1);
    assert_eq!(agreement.issue(date(2027, 1, 1)).len(), 0, "once");
    assert_eq!(agreement.skip(1, false), Err(AgreementError::Issued));
    assert_eq!(agreement.set_amount(1, pounds(1)), Err(AgreementError::Issued));
    assert_eq!(agreement.skip(4, false), Err(AgreementError::NoPayment));
    assert_eq!(agreement.set_amount(2, Money { minor: 1, currency: Currency::EUR }), Err(AgreementError::Amount));
    assert_eq!(agreement.set_day(2, date(2027, 1, 16)), Err(AgreementError::Order), "after the third");
    agreement.set_day(2, date(2027, 1, 10)).unwrap();
    agreement.skip(3, true).unwrap();
    let calendar = agreement.calendar(9);
    assert_eq!(calendar.iter().map(|payment| payment.due.day()).collect::<Vec<_>>(), [10, 15, 22]);
    assert_eq!(calendar[1].fate, Fate::Skip);
    assert_eq!(reminder(&calendar[0], 3), Some(date(2027, 1, 7)));
    agreement.cancel().unwrap();
    assert!(agreement.calendar(9).is_empty() && agreement.issue(date(2030, 1, 1)).is_empty());
    assert_eq!(agreement.pause(), Err(AgreementError::Ended));
}

/// Of a backlog of any length, at any moment, what may still be taken was planned for one and the same day.
#[test]
fn of_a_backlog_no_two_days_are_taken_at_once() {
    let london = TimeZone::get("Europe/London").unwrap();
    let (nine, first) = (time(9, 0, 0, 0), date(2027, 1, 29));
    let at = |day: Date| moment(day, nine, &london).unwrap();
    for interval in [Interval::Days(1), Interval::Days(3), Interval::Weeks(1), Interval::Months(1)] {
        for roll in [Roll::Stay, Roll::Following] {
            let some = Terms { roll, ..terms(first, interval, Some(90)) };
            let mut agreement = Agreement::new(some).unwrap();
            let backlog = agreement.issue(date(2040, 1, 1));
            assert!(backlog.len() == 90 && agreement.day_after(first).is_none());
            let windows: Vec<_> = (backlog.iter().enumerate())
                .map(|(place, payment)| {
                    let later = backlog[place..].iter().map(|later| later.due);
                    let next = later.into_iter().find(|later| *later > payment.due);
                    (payment.due, late_at(payment.due, next, (nine, &london), 7).unwrap())
                })
                .collect();
            for pair in windows.windows(2) {
                let ((day, until), (next, _)) = (pair[0], pair[1]);
                assert!(until > at(day) && until.duration_since(at(day)).as_hours() <= 7 * 24);
                assert!(day == next || until < at(next), "{interval:?}: {day} until {until}, and {next}");
            }
        }
    }
    let alone = late_at(first, None, (nine, &london), 7).unwrap();
    assert_eq!(at(first).duration_until(alone).as_hours(), 7 * 24);
    let strict = late_at(first, Some(date(2027, 1, 30)), (nine, &london), 0).unwrap();
    assert_eq!(at(first).duration_until(strict).as_hours(), 1, "whoever looks for it comes now and then");
}

#[test]
fn a_pause_is_caught_up_with_as_it_is_chosen() {
    let resumed = |catch_up| {
        let mut agreement = Agreement::new(terms(date(2027, 1, 1), Interval::Months(1), Some(6))).unwrap();
        agreement.issue(date(2027, 1, 1));
        agreement.pause().unwrap();
        assert!(agreement.issue(date(2027, 4, 10)).is_empty());
        agreement.resume(date(2027, 4, 10), catch_up).unwrap();
        let now = agreement
            .issue(date(2027, 4, 10))
            .into_iter()
            .map(|payment| (payment.number, payment.fate))
            .collect::<Vec<_>>();
        (now, agreement.calendar(9).iter().map(|payment| payment.due.to_string()).collect::<Vec<_>>())
    };
    let (now, rest) = resumed(CatchUp::Skip);
    assert_eq!(now, [(2, Fate::Skip), (3, Fate::Skip), (4, Fate::Skip)]);
    assert_eq!(rest, ["2027-05-01", "2027-06-01"]);
    assert_eq!(resumed(CatchUp::Collect).0, [(2, Fate::Take), (3, Fate::Take), (4, Fate::Take)]);
    let mut agreement = Agreement::new(terms(date(2027, 1, 1), Interval::Months(1), Some(6))).unwrap();
    agreement.pause().unwrap();
    agreement.resume(date(2027, 3, 10), CatchUp::Collect).unwrap();
    let days = agreement.calendar(4).into_iter().map(|payment| payment.due.to_string()).collect::<Vec<_>>();
    assert_eq!(days, ["2027-03-10", "2027-03-10", "2027-03-10", "2027-04-01"], "they are due today, and not late");
    let (now, rest) = resumed(CatchUp::Shift);
    assert_eq!(now, [(2, Fate::Take)]);
    assert_eq!(rest, ["2027-05-10", "2027-06-10", "2027-07-10", "2027-08-10"]);
}

/// Days counted one by one, without the calendar's arithmetic.
fn month_days(first: Date, every: u16, count: usize, at_end: bool) -> Vec<Date> {
    let mut found = Vec::new();
    let (mut year, mut month) = (first.year(), first.month());
    while found.len() < count {
        let long = [31, if Date::new(year, 2, 29).is_ok() { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            [usize::try_from(month - 1).unwrap()];
        found.push(date(year, month, if at_end { long } else { first.day().min(long) }));
        for _ in 0..every {
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
    }
    found
}

#[derive(Clone, Debug)]
enum Step {
    Days(u16),
    Amend(Terms),
    Skip(u32, bool),
    Amount(u32, i64),
    Move(u32, i32),
    Pause,
    Resume(CatchUp),
    Cancel,
    /// It is written to the database and read again.
    Store,
}

fn some_terms() -> impl Strategy<Value = Terms> {
    let interval = prop_oneof![
        (1..40_u16).prop_map(Interval::Days),
        (1..6_u16).prop_map(Interval::Weeks),
        (1..4_u16).prop_map(Interval::Months),
        (1..3_u16).prop_map(Interval::MonthEnds),
    ];
    let roll =
        prop_oneof![Just(Roll::Stay), Just(Roll::Following), Just(Roll::ModifiedFollowing), Just(Roll::Preceding)];
    (0..900_i32, interval, proptest::option::of(1..30_u32), proptest::option::of(0..900_i32), roll, 1..9_i64).prop_map(
        |(first, interval, count, until, roll, minor)| {
            let first = date(2027, 1, 1).checked_add(first.days()).unwrap();
            let first = if matches!(interval, Interval::MonthEnds(_)) { first.last_of_month() } else { first };
            let until = until.map(|days| first.checked_add(days.days()).unwrap());
            Terms {
                count,
                until,
                roll,
                amount: Amount { regular: pounds(minor), first: None, last: None },
                ..terms(first, interval, None)
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let catch_up = prop_oneof![Just(CatchUp::Skip), Just(CatchUp::Collect), Just(CatchUp::Shift)];
    prop_oneof![
        8 => (0..60_u16).prop_map(Step::Days),
        2 => some_terms().prop_map(Step::Amend),
        3 => (0..5_u32, any::<bool>()).prop_map(|(ahead, make_up)| Step::Skip(ahead, make_up)),
        1 => (0..5_u32, 1..9_i64).prop_map(|(ahead, minor)| Step::Amount(ahead, minor)),
        1 => (0..5_u32, -9..9_i32).prop_map(|(ahead, days)| Step::Move(ahead, days)),
        2 => Just(Step::Pause),
        3 => catch_up.prop_map(Step::Resume),
        1 => Just(Step::Store),
        1 => (0..12_u8).prop_map(|dice| if dice == 0 { Step::Cancel } else { Step::Store }),
    ]
}

/// What the test knows of an agreement while it goes on.
struct Watch {
    agreement: Agreement,
    today: Date,
    issued: BTreeMap<u32, Payment>,
}

impl Watch {
    /// As often as it must be asked: at most so many are handed out at a time.
    fn take(&mut self) -> Result<(), TestCaseError> {
        while self.take_some()? == ISSUED_MAX {}
        let next = self.agreement.next();
        let left_over = self.agreement.state() == State::Active && next.is_some_and(|next| next.due <= self.today);
        prop_assert!(!left_over, "nothing that is due is left: {:?}", next);
        Ok(())
    }

    fn take_some(&mut self) -> Result<usize, TestCaseError> {
        let state = self.agreement.state();
        let is_due = self.agreement.next().is_some_and(|next| next.due <= self.today);
        let promised = self.agreement.calendar(if is_due { 120 } else { 0 });
        let issued = self.agreement.issue(self.today);
        prop_assert!(state == State::Active || issued.is_empty(), "{:?} hands out nothing", state);
        prop_assert_eq!(&issued[..], &promised[..issued.len()], "what the calendar promised");
        let count = issued.len();
        for payment in issued {
            prop_assert!(payment.due <= self.today, "not before its day");
            let expected = self.issued.last_key_value().map_or(1, |(number, _)| number + 1);
            prop_assert_eq!(payment.number, expected, "in order, each once");
            self.issued.insert(payment.number, payment);
        }
        Ok(count)
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let next = self.agreement.next().map_or(1, |payment| payment.number);
        let before = self.agreement.clone();
        let done = match step {
            Step::Days(count) => {
                for _ in 0..count {
                    self.today = self.today.tomorrow().unwrap();
                    self.take()?;
                }
                Ok(())
            }
            Step::Amend(terms) => {
                let is_past = terms.first < self.today;
                let done = self.agreement.amend(self.today, terms);
                prop_assert!(!is_past || done.is_err(), "nothing is taken for days that have gone by");
                done
            }
            Step::Skip(ahead, make_up) => {
                let length = before.calendar(20_000).len();
                let was = before
                    .calendar(20_000)
                    .iter()
                    .find(|payment| payment.number == next + ahead)
                    .map(|payment| payment.fate);
                let counted = before.terms().is_some_and(|terms| terms.count.is_some() && terms.until.is_none());
                let done = self.agreement.skip(next + ahead, make_up);
                if done.is_ok() && counted && was == Some(Fate::Take) {
                    prop_assert_eq!(self.agreement.calendar(200).len(), length + usize::from(make_up));
                }
                done
            }
            Step::Amount(ahead, minor) => self.agreement.set_amount(next + ahead, pounds(minor)),
            Step::Move(ahead, days) => {
                let due = before.calendar(9).get(usize::try_from(ahead).unwrap()).map(|payment| payment.due);
                let due = due.unwrap_or(self.today).checked_add(days.days()).unwrap();
                self.agreement.set_day(next + ahead, due)
            }
            Step::Pause => self.agreement.pause(),
            Step::Resume(catch_up) => self.agreement.resume(self.today, catch_up),
            Step::Cancel => self.agreement.cancel(),
            Step::Store => {
                let text = serde_json::to_string(&self.agreement).unwrap();
                self.agreement = serde_json::from_str(&text).unwrap();
                Ok(())
            }
        };
        if done.is_err() {
            prop_assert_eq!(&before, &self.agreement, "a refusal changes nothing");
        }
        let numbers = self.agreement.calendar(20).iter().map(|payment| payment.number).collect::<Vec<_>>();
        let from = self.issued.last_key_value().map_or(1, |(number, _)| number + 1);
        prop_assert!(numbers.iter().copied().eq((from..).take(numbers.len())), "no number is lost or used twice");
        self.take()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_payment_is_lost_doubled_early_or_out_of_order(terms in some_terms(), steps in prop::collection::vec(step(), 1..60)) {
        let agreement = Agreement::new(terms).unwrap();
        let mut watch = Watch { agreement, today: date(2027, 1, 1), issued: BTreeMap::new() };
        for step in steps {
            watch.step(step)?;
        }
    }

    #[test]
    fn left_alone_all_payments_are_taken_and_no_other(terms in some_terms()) {
        let mut expected = terms.count.unwrap_or(u32::MAX);
        if let Some(until) = terms.until {
            let in_time = (0..1000).map_while(|place| terms.day(place)).take_while(|day| *day <= until).count();
            expected = expected.min(u32::try_from(in_time).unwrap());
        }
        prop_assume!(expected < 1000);
        let mut watch = Watch { agreement: Agreement::new(terms).unwrap(), today: date(2027, 1, 1), issued: BTreeMap::new() };
        for _ in 0..6000 {
            watch.today = watch.today.tomorrow().unwrap();
            watch.take()?;
        }
        prop_assert_eq!(watch.issued.len(), usize::try_from(expected).unwrap());
        prop_assert_eq!(watch.agreement.state(), State::Complete);
    }

    #[test]
    fn months_are_as_one_counts_them_on_the_fingers(first in 0..3000_i32, every in 1..14_u16, at_end in any::<bool>()) {
        let first = date(2023, 1, 1).checked_add(first.days()).unwrap();
        let (first, interval) = if at_end { (first.last_of_month(), Interval::MonthEnds(every)) } else { (first, Interval::Months(every)) };
        let terms = terms(first, interval, None);
        let days: Vec<_> = (0..60).map(|place| terms.day(place).unwrap()).collect();
        prop_assert_eq!(days, month_days(first, every, 60, at_end));
    }

    #[test]
    fn rolled_days_keep_their_order_and_are_business_days(first in 0..3000_i32, holidays in prop::collection::btree_set(0..60_i32, 0..12)) {
        let first = date(2023, 1, 1).checked_add(first.days()).unwrap();
        for roll in [Roll::Following, Roll::ModifiedFollowing, Roll::Preceding] {
            let mut terms = terms(first, Interval::Days(1), None);
            terms.roll = roll;
            terms.holidays = holidays.iter().map(|day| first.checked_add(day.days()).unwrap()).collect();
            let rolled: Vec<_> = (0..60).map(|place| terms.rolled(terms.day(place).unwrap())).collect();
            prop_assert!(rolled.is_sorted(), "{:?}", roll);
            prop_assert!(rolled.iter().all(|day| day.weekday().to_monday_one_offset() <= 5 && !terms.holidays.contains(day)));
        }
    }
}

#[test]
fn the_longest_terms_are_quick_and_stay_in_the_calendar() {
    let long = terms(date(2027, 1, 31), Interval::Days(366), Some(12_000));
    assert_eq!(long.check(), Err(TermsError::Calendar));
    let agreement = Agreement::new(terms(date(2027, 1, 31), Interval::Days(1), None)).unwrap();
    assert_eq!(agreement.calendar(20_000).len(), 12_000);
}
