//! What customers are told: ready texts in an outbox, each written once, with its cause. Whoever sends them fetches them and
//! says that it has.

use super::jobs::AgreementId;
use super::list::AgreementRow;
use super::times::TakenAt;
use crate::store::StoreError;
use jiff::civil::Date;
use recurring::agreement::reminder;
use recurring::{Agreement, Fate, Payment, State};
use std::fmt::Write;
use wire::Money;

/// Payments that are looked at for reminders: as many as can be due within the longest time of it.
const LOOKED_AT_MAX: u32 = 64;
/// Coming payments that a text names.
const NAMED_MAX: u32 = 6;

/// Why the customer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The agreement stands.
    Started,
    /// A payment is to come.
    Reminder,
    /// A payment was taken.
    Receipt,
    /// A payment was not taken, and will not be.
    Failed,
    /// A payment was not taken in its time, which is not the customer's doing; it is not taken without people.
    Missed,
    /// Something of what is to come was changed.
    Changed,
    /// Nothing is taken any more.
    Canceled,
}

/// The payment that it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) number: i64,
    pub(crate) amount: Money,
    /// Of one that is to come, or was missed.
    pub(crate) due: Option<Date>,
    /// So many others after it as well.
    pub(crate) more: usize,
}

impl Kind {
    /// The word in the database and the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Reminder => "reminder",
            Self::Receipt => "receipt",
            Self::Failed => "failed",
            Self::Missed => "missed",
            Self::Changed => "changed",
            Self::Canceled => "canceled",
        }
    }

    pub(crate) fn subject(self) -> &'static str {
        match self {
            Self::Started => "Your payments are set up",
            Self::Reminder => "A payment is to come",
            Self::Receipt => "Receipt for your payment",
            Self::Failed => "A payment could not be taken",
            Self::Missed => "A payment was not taken in its time",
            Self::Changed => "Your payments have changed",
            Self::Canceled => "Your payments have ended",
        }
    }
}

/// What makes it the only one. A payment that is moved after its reminder has another one for its new day.
pub(crate) fn key(agreement: AgreementId, kind: Kind, about: Option<About>, now_ms: i64) -> String {
    let mut key = format!("{}/{}", kind.as_str(), agreement.0);
    if let Some(About { number, due, .. }) = about {
        // Writing to a `String` cannot fail.
        let _ = write!(key, "/{number}");
        if let Some(due) = due {
            let _ = write!(key, "/{due}");
        }
    }
    if kind == Kind::Changed {
        let _ = write!(key, "/{now_ms}");
    }
    key
}

/// What it says. `url`: where the customer sees their own calendar.
pub(crate) fn text(row: &AgreementRow, kind: Kind, about: Option<About>, url: Option<&str>) -> String {
    let card = format!("your {} card ending in {}", row.brand.name(), row.last4);
    let amount = about.map_or_else(String::new, |about| about.amount.to_string());
    let due = about.and_then(|about| about.due).map_or_else(String::new, |due| due.to_string());
    let mut text = match kind {
        Kind::Started => format!("You have agreed on payments from {card}."),
        Kind::Reminder => format!("On {due} we will take {amount} from {card}."),
        Kind::Receipt => format!("We have taken {amount} from {card}. Thank you."),
        Kind::Failed => format!("We could not take {amount} from {card}. Please contact us to pay in another way."),
        Kind::Missed => {
            let more = match about.map_or(0, |about| about.more) {
                0 => String::new(),
                1 => " nor the payment after it,".to_owned(),
                more => format!(" nor the {more} payments after it,"),
            };
            format!(
                "We have not taken {amount} from {card} on {due},{more} and this is not your fault. We do not take it later \
                 without asking you."
            )
        }
        Kind::Changed => format!("What we take from {card} has changed as you have asked."),
        Kind::Canceled => format!("We take no more payments from {card}."),
    };
    if let Some(account) = &row.account {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\nYour account with us: {account}.");
    }
    text.push_str(&coming(&row.agreement));
    if let Some(url) = url {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\nYour payments at a glance: {url}");
    }
    text
}

/// The next payments, for the customer to read.
fn coming(agreement: &Agreement) -> String {
    if agreement.state() == State::Paused {
        return "\nPayments are paused: nothing is taken until you ask us to go on.".to_owned();
    }
    let to_come: Vec<Payment> = agreement.calendar(NAMED_MAX + 1).into_iter().filter(is_taken).collect();
    let named = usize::try_from(NAMED_MAX).unwrap_or(usize::MAX);
    let mut text = String::new();
    for (place, payment) in to_come.iter().take(named).enumerate() {
        let head = if place == 0 { "\nPayments to come:" } else { "" };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{head}\n  {}  {}", payment.due, payment.amount);
    }
    match to_come.len() {
        0 => text.push_str("\nNo more payments are to come."),
        many if many > named => text.push_str("\n  and so on.\nTo change or stop them, contact us."),
        _ => text.push_str("\nTo change or stop them, contact us."),
    }
    text
}

fn is_taken(payment: &Payment) -> bool {
    payment.fate == Fate::Take
}

/// What is to be said by a moment of an agreement's payments to come.
pub(crate) struct Reminders {
    pub(crate) due: Vec<About>,
    /// Unix milliseconds: when it is to be looked at again; none: there is nothing more to remind of.
    pub(crate) next_at: Option<i64>,
}

/// The reminders of one agreement that are due by now.
pub(crate) fn reminders(row: &AgreementRow, now_ms: i64) -> Result<Reminders, StoreError> {
    let taken_at = row.taken_at()?;
    let today = taken_at.day(now_ms)?;
    let mut found = Reminders { due: Vec::new(), next_at: None };
    for payment in wanted(&row.agreement, row.remind_days) {
        let Some(at) = at(&payment, row.remind_days, &taken_at) else { continue };
        if at > now_ms {
            found.next_at = Some(at);
            break;
        }
        if payment.due >= today {
            let (number, due) = (payment.number.into(), Some(payment.due));
            found.due.push(About { number, amount: payment.amount, due, more: 0 });
        }
    }
    Ok(found)
}

/// When reminders of an agreement are to be looked at. Those of days up to `told` were said when it was agreed on.
pub(crate) fn remind_at(agreement: &Agreement, days: i64, taken_at: &TakenAt, told: Option<Date>) -> Option<i64> {
    let is_new = |payment: &Payment| {
        let day = u8::try_from(days).ok().and_then(|days| reminder(payment, days));
        told.is_none_or(|told| day.is_some_and(|day| day > told))
    };
    wanted(agreement, days).iter().find(|payment| is_new(payment)).and_then(|payment| at(payment, days, taken_at))
}

/// The payments to come that a customer is reminded of.
fn wanted(agreement: &Agreement, days: i64) -> Vec<Payment> {
    if days <= 0 || agreement.state() != State::Active {
        return Vec::new();
    }
    agreement.calendar(LOOKED_AT_MAX).into_iter().filter(is_taken).collect()
}

fn at(payment: &Payment, days: i64, taken_at: &TakenAt) -> Option<i64> {
    let day = reminder(payment, u8::try_from(days).ok()?)?;
    taken_at.moment(day)
}
