//! Terms as they are sent and shown, and their calendar before anybody has agreed on them.

use crate::{
    app::App,
    clock::now_ms,
    http::{
        command::Reply,
        payments::order::text,
        principal::Principal,
        problem::{Problem, ProblemBody},
        request::Posted,
    },
    recurring::{AgreementId, offers::Offer},
    view::schema,
};
use axum::{extract::State, http::StatusCode};
use jiff::civil::Date;
use recurring::{Agreement, Amount, Interval, Payment, Reason, Roll, Terms, terms::PAYMENTS_MAX};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{Money, text_pan_like};

/// Payments that are shown of a calendar.
pub(super) const SHOWN_MAX: u32 = 120;
/// The longest e-mail address or telephone number.
const CONTACT_CHARS_MAX: usize = 254;

/// Payments that come after the one of the call.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TermsBody {
    /// The day of the first of them, such as `2027-01-31`; today or later.
    #[schema(value_type = String, format = Date)]
    start: Date,
    /// What is counted from one to the next.
    unit: Unit,
    /// How many of that; 1 to 366.
    every: u16,
    /// How much each is.
    #[schema(value_type = schema::Money)]
    amount: Money,
    /// But the first of them.
    #[schema(value_type = Option<schema::Money>)]
    first_amount: Option<Money>,
    /// But the last of them; needs `count` or `until`.
    #[schema(value_type = Option<schema::Money>)]
    last_amount: Option<Money>,
    /// How many, without the one of the call; without it until the end, or until it is canceled.
    count: Option<u32>,
    /// None is after this day.
    #[schema(value_type = Option<String>, format = Date)]
    until: Option<Date>,
    /// Where one falls on a weekend or holiday.
    #[serde(default)]
    roll: RollBody,
    /// Days that are no business days; without it those of office.toml.
    #[schema(value_type = Option<Vec<String>>)]
    holidays: Option<BTreeSet<Date>>,
}

/// What is counted from one payment to the next.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Days,
    Weeks,
    /// On the day of the first one, or the last day of a month that has no such day.
    Months,
    /// On the last day of the month.
    MonthEnds,
}

/// Where a payment falls on a weekend or holiday.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RollBody {
    /// On that day all the same.
    #[default]
    Stay,
    /// On the next business day.
    Following,
    /// On the next business day, or the one before where that is in another month.
    ModifiedFollowing,
    /// On the business day before.
    Preceding,
}

/// Further payments from the card of the one that is being taken.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RepeatBody {
    terms: TermsBody,
    /// Where the customer is told of it: an e-mail address or a telephone number.
    contact: Option<String>,
}

/// The same, with its rules checked.
#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    pub(crate) terms: Terms,
    /// Are the holidays those of office.toml?
    usual_holidays: bool,
    contact: Option<String>,
}

/// One payment of a calendar.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlannedView {
    number: u32,
    /// Its day by the terms.
    #[schema(value_type = String, format = Date)]
    day: Date,
    /// The day on which it is taken.
    #[schema(value_type = String, format = Date)]
    due: Date,
    #[schema(value_type = schema::Money)]
    amount: Money,
}

/// What terms mean.
#[derive(Serialize, ToSchema)]
pub(crate) struct PreviewView {
    payments: Vec<PlannedView>,
    /// How many there are; null where there is no end.
    count: Option<u32>,
    /// What they come to; null where there is no end.
    #[schema(value_type = Option<schema::Money>)]
    total: Option<Money>,
    /// The day of the last; null where there is no end.
    #[schema(value_type = Option<String>)]
    last: Option<Date>,
    /// Name of the time zone of these days.
    time_zone: String,
}

pub(super) const EXPECTED: &str = "start (a day), unit (days, weeks, months, month_ends), every, amount {minor, currency}, and if \
                                   wanted first_amount, last_amount, count, until, roll (stay, following, \
                                   modified_following, preceding) and holidays (days)";

impl TermsBody {
    /// Checks the rules. The flag tells whether the holidays are those of office.toml, which are not in there yet.
    pub(super) fn check(self) -> Result<(Terms, bool), Problem> {
        let usual_holidays = self.holidays.is_none();
        let terms = Terms {
            first: self.start,
            interval: match self.unit {
                Unit::Days => Interval::Days(self.every),
                Unit::Weeks => Interval::Weeks(self.every),
                Unit::Months => Interval::Months(self.every),
                Unit::MonthEnds => Interval::MonthEnds(self.every),
            },
            amount: Amount { regular: self.amount, first: self.first_amount, last: self.last_amount },
            count: self.count,
            until: self.until,
            roll: match self.roll {
                RollBody::Stay => Roll::Stay,
                RollBody::Following => Roll::Following,
                RollBody::ModifiedFollowing => Roll::ModifiedFollowing,
                RollBody::Preceding => Roll::Preceding,
            },
            holidays: self.holidays.unwrap_or_default(),
        };
        match terms.check() {
            Ok(()) => Ok((terms, usual_holidays)),
            Err(error) => Err(bad_terms(&error)),
        }
    }

    /// As they are shown.
    pub(super) fn of(terms: &Terms) -> Self {
        let (unit, every) = match terms.interval {
            Interval::Days(every) => (Unit::Days, every),
            Interval::Weeks(every) => (Unit::Weeks, every),
            Interval::Months(every) => (Unit::Months, every),
            Interval::MonthEnds(every) => (Unit::MonthEnds, every),
        };
        Self {
            start: terms.first,
            unit,
            every,
            amount: terms.amount.regular,
            first_amount: terms.amount.first,
            last_amount: terms.amount.last,
            count: terms.count,
            until: terms.until,
            roll: match terms.roll {
                Roll::Stay => RollBody::Stay,
                Roll::Following => RollBody::Following,
                Roll::ModifiedFollowing => RollBody::ModifiedFollowing,
                Roll::Preceding => RollBody::Preceding,
            },
            holidays: Some(terms.holidays.clone()),
        }
    }
}

/// Terms are sentences already: they tell the way out.
pub(super) fn bad_terms(error: &dyn std::error::Error) -> Problem {
    let mut detail = error.to_string();
    if let Some(first) = detail.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    detail.push('.');
    Problem { detail: detail.into(), ..Problem::unprocessable("bad_terms", "") }
}

impl RepeatBody {
    /// Checks the rules, beside a payment of this amount.
    pub(crate) fn check(self, amount: Money) -> Result<Repeat, Problem> {
        let (terms, usual_holidays) = self.terms.check()?;
        if terms.amount.regular.currency != amount.currency {
            return Err(Problem::unprocessable(
                "bad_terms",
                "All payments of an agreement have the currency of the first.",
            ));
        }
        Ok(Repeat { terms, usual_holidays, contact: contact(self.contact)? })
    }
}

impl Repeat {
    /// What is stored beside the payment.
    pub(crate) fn offer(&self, app: &App, who: &Principal, seed: Uuid) -> Result<Offer, Problem> {
        let settings = &app.config.recurring;
        let terms = with_usual_holidays(app, self.terms.clone(), self.usual_holidays);
        if terms.first < today(app)? {
            return Err(past());
        }
        Ok(Offer {
            // Asked again after an answer that got lost, it is the same one.
            agreement: AgreementId(Uuid::from_u128(seed.as_u128() ^ 1)),
            terms,
            zone: app.config.time_zone.name().to_owned(),
            time: settings.time,
            contact: self.contact.clone(),
            remind_days: settings.reminder_days,
            made_by: who.user.email.clone(),
        })
    }
}

pub(super) fn past() -> Problem {
    Problem::unprocessable("bad_terms", "The first of these payments cannot be in the past: begin today or later.")
}

pub(super) fn with_usual_holidays(app: &App, terms: Terms, usual: bool) -> Terms {
    let holidays = if usual { app.config.recurring.holidays.clone() } else { terms.holidays };
    Terms { holidays, ..terms }
}

/// The day that it is in the time zone of office.toml.
fn today(app: &App) -> Result<Date, Problem> {
    day_in(app.config.time_zone.name())
}

/// The day that it is now in a time zone.
pub(super) fn day_in(zone: &str) -> Result<Date, Problem> {
    super::day_of(now_ms(), zone)
}

/// An e-mail address or a telephone number, roughly: whoever sends the texts knows better. Never a card number.
fn contact(text_in: Option<String>) -> Result<Option<String>, Problem> {
    let Some(contact) = text_in.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text_pan_like(&contact) {
        return Err(Problem::LOOKS_LIKE_CARD);
    }
    let is_phone = contact.strip_prefix('+').is_some_and(|rest| {
        (6..=15).contains(&rest.chars().filter(char::is_ascii_digit).count())
            && rest.chars().all(|c| c.is_ascii_digit() || " -().".contains(c))
    });
    let is_mail = contact.len() <= CONTACT_CHARS_MAX
        && contact.is_ascii()
        && contact.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
        && !contact.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control() || ",;<>\"".contains(c));
    if is_phone || is_mail {
        return if is_mail { text_of_mail(contact) } else { Ok(Some(contact)) };
    }
    let detail = "`contact` is an e-mail address, or a telephone number that begins with +.";
    Err(Problem::unprocessable("bad_contact", detail))
}

/// What stands before the @ may be as long as an account, and no card number either.
fn text_of_mail(contact: String) -> Result<Option<String>, Problem> {
    let name = contact.split('@').next().unwrap_or_default().chars().take(64).collect();
    text(Some(name))?;
    Ok(Some(contact))
}

/// What terms mean, before they are agreed on: every payment with its day and amount, to be read to the customer.
#[utoipa::path(post, path = "/api/v1/agreements/preview", tag = "agreements", request_body = TermsBody, responses(
    (status = 200, body = PreviewView),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`bad_terms`")))]
pub(crate) async fn preview(State(app): State<Arc<App>>, _: Principal, posted: Posted) -> Result<Reply, Problem> {
    let (terms, usual) = posted.json::<TermsBody>(EXPECTED)?.check()?;
    let terms = with_usual_holidays(&app, terms, usual);
    if terms.first < today(&app)? {
        return Err(past());
    }
    let ends = terms.reason() == Reason::Installment;
    let agreement = Agreement::new(terms).map_err(|error| bad_terms(&error))?;
    let all = agreement.calendar(if ends { PAYMENTS_MAX } else { SHOWN_MAX });
    let total = all.iter().fold(0_i64, |sum, payment| sum.saturating_add(payment.amount.minor));
    let total = all.first().filter(|_| ends).map(|first| Money { minor: total, ..first.amount });
    let view = PreviewView {
        count: u32::try_from(all.len()).ok().filter(|_| ends),
        last: all.last().filter(|_| ends).map(|last| last.due),
        payments: all.iter().take(usize::try_from(SHOWN_MAX).unwrap_or(usize::MAX)).map(planned).collect(),
        total,
        time_zone: app.config.time_zone.name().to_owned(),
    };
    Reply::new(StatusCode::OK, &view)
}

fn planned(payment: &Payment) -> PlannedView {
    let Payment { number, day, due, amount, .. } = *payment;
    PlannedView { number, day, due, amount }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_an_address_or_a_number_and_no_card() {
        let code = |text: &str| contact(Some(text.to_owned())).map_err(|problem| problem.code.into_owned());
        assert_eq!(code(" ada@example.com "), Ok(Some("ada@example.com".to_owned())));
        assert_eq!(code("+44 20 7946 0958"), Ok(Some("+44 20 7946 0958".to_owned())));
        assert_eq!(code(""), Ok(None));
        for text in ["ada", "ada@example", "a b@example.com", "02079460958", "ada@example.com,b@example.com"] {
            assert_eq!(code(text), Err("bad_contact".to_owned()), "{text}");
        }
        for text in ["4242424242424242@example.com", "+4242 4242 4242 4242", "4242-4242-4242-4242@example.com"] {
            assert_eq!(code(text), Err("looks_like_card".to_owned()), "{text}");
        }
    }
}
