//! Agreements on recurring payments: shown with their calendar, changed, and what their customers are told. One begins with a
//! payment (`repeat` of its order).

pub(crate) mod changes;
pub(crate) mod link;
pub(crate) mod missed;
pub(crate) mod outbox;
pub(crate) mod terms;

use super::{
    principal::Principal,
    problem::{Problem, ProblemBody},
};
use crate::{
    app::App,
    clock::{now_ms, rfc3339},
    recurring::{
        AgreementId, Due, DueState,
        figures::OVERDUE_MS,
        list::{AgreementRow, TakenBack, Wanted},
    },
    rights::Right,
    store::audit::AuditView,
    view::{PaymentView, schema},
};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use outbox::MessageView;
use recurring::{Fate, Payment, State as Standing};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use terms::{SHOWN_MAX, TermsBody};
use utoipa::ToSchema;
use wire::Money;

const PAGE_DEFAULT: i64 = 50;
const PAGE_MAX: i64 = 200;

/// An agreement.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgreementView {
    /// UUID.
    #[schema(value_type = String)]
    id: AgreementId,
    /// `active`, `paused`, `canceled`, or `complete`: all payments have been handed out.
    #[schema(value_type = String)]
    state: Standing,
    merchant: String,
    /// The payee's own number of the customer's account.
    account: Option<String>,
    /// Where the customer is told of it.
    contact: Option<String>,
    #[schema(value_type = schema::Brand)]
    brand: wire::Brand,
    /// The last four digits of the card.
    last4: String,
    /// What card networks are told: `recurring`, or `installment` where a number or an end was agreed on.
    reason: String,
    /// The terms that the next payments follow.
    terms: Option<TermsBody>,
    /// The next payment; null where none is to come.
    next: Option<CalendarRow>,
    /// Name of the time zone of its days.
    time_zone: String,
    /// The time of day there at which payments are taken.
    #[schema(value_type = String)]
    time: jiff::civil::Time,
    /// Days before a payment on which the customer is reminded; 0: never.
    reminder_days: i64,
    extension: String,
    /// Who has agreed on it with the customer.
    made_by: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
}

/// One payment of an agreement.
#[derive(Serialize, ToSchema)]
pub(crate) struct CalendarRow {
    number: u32,
    /// The day on which it is taken.
    #[schema(value_type = String, format = Date)]
    pub(super) due: Date,
    #[schema(value_type = schema::Money)]
    pub(super) amount: Money,
    /// `planned` or `skip` of one to come; then `waiting`, `sent` (asked for, the outcome is not known), `paid`, `failed` or
    /// `skipped`.
    pub(super) state: &'static str,
    /// How often it was tried.
    tries: u32,
    /// RFC 3339: when it is tried again.
    next_try_at: Option<String>,
    /// Why it is not taken: `declined`, `revoked`, `no_card`, `not_done`, `unknown`, `late` (not in its time), `amended` (other
    /// terms took its place).
    pub(super) trouble: Option<String>,
    /// UUID of the payment, once it was tried.
    payment: Option<String>,
    /// It should have been taken more than an hour ago, and still waits.
    overdue: bool,
    /// Of one that is paid: what of it was refunded later, or voided; null: nothing.
    #[schema(value_type = Option<schema::Money>)]
    pub(super) given_back: Option<Money>,
    /// Of one that is paid: the cardholder's bank has asked for the money back (a chargeback).
    pub(super) disputed: bool,
}

/// An agreement with everything about it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgreementDetail {
    #[serde(flatten)]
    agreement: AgreementView,
    /// The payment on the call that it began with.
    first: Option<PaymentView>,
    /// What has been and what is to come, in order; the newest 500 of the past, the next 120.
    calendar: Vec<CalendarRow>,
    /// Are there more to come than are shown?
    more: bool,
    /// What the customer was told, or is to be.
    messages: Vec<MessageView>,
    /// Who did what, oldest first.
    audit: Vec<AuditView>,
}

/// Which agreements are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The payee's own number of the customer's account.
    account: Option<String>,
    /// 1 to 200; 50 without.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One page of agreements, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgreementPage {
    agreements: Vec<AgreementView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// Agreements, newest first: those of the user's extension, or everybody's for who looks after the money.
#[utoipa::path(get, path = "/api/v1/agreements", params(ListQuery), tag = "agreements", responses(
    (status = 200, body = AgreementPage),
    (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "`bad_query`")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<AgreementPage>, Problem> {
    let bad = || Problem::new(StatusCode::BAD_REQUEST, "bad_query", "Expected: account, limit (1 to 200) and cursor.");
    let Query(query) = query.map_err(|_| bad())?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    let before = query.cursor.map(|text| text.parse().map(AgreementId)).transpose().map_err(|_| bad())?;
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(bad());
    }
    let extension = who.extension().map(wire::Extension::as_str);
    let sees_all = who.user.rights.has(Right::Finance);
    if extension.is_none() && !sees_all {
        return Ok(Json(AgreementPage { agreements: Vec::new(), next_cursor: None }));
    }
    let account = query.account.as_deref();
    let wanted = Wanted { extension: extension.filter(|_| !sees_all), account, before, limit: limit + 1 };
    let mut rows = app.store.agreements(&wanted).await?;
    let most = usize::try_from(limit).map_err(|_| bad())?;
    let more = rows.len() > most;
    rows.truncate(most);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id.0.to_string());
    Ok(Json(AgreementPage { agreements: rows.iter().map(view).collect(), next_cursor }))
}

/// One agreement with its calendar.
#[utoipa::path(get, path = "/api/v1/agreements/{id}", tag = "agreements",
    params(("id" = String, Path, description = "UUID")), responses(
    (status = 200, body = AgreementDetail),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours")))]
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<Json<AgreementDetail>, Problem> {
    let row = own(&app, &who, &id).await?;
    Ok(Json(detail(&app, row.id).await?))
}

/// An agreement of the user's own extension, or any for who looks after the money; others do not learn that there is one.
async fn own(app: &App, who: &Principal, id: &str) -> Result<AgreementRow, Problem> {
    let id = id.parse().map(AgreementId).map_err(|_| Problem::NOT_FOUND)?;
    let row = app.store.agreement(id).await?.ok_or(Problem::NOT_FOUND)?;
    let is_own = who.extension().is_some_and(|extension| extension.as_str() == row.extension);
    if is_own || who.user.rights.has(Right::Finance) { Ok(row) } else { Err(Problem::NOT_FOUND) }
}

async fn detail(app: &App, id: AgreementId) -> Result<AgreementDetail, Problem> {
    let row = app.store.agreement(id).await?.ok_or(Problem::NOT_FOUND)?;
    let (past, to_come) = past_and_coming(app, &row, SHOWN_MAX + 1).await?;
    let first = match row.payment {
        Some(payment) => app.store.payment(payment).await?,
        None => None,
    };
    let messages = app.store.messages_of(id).await?.into_iter().map(MessageView::of).collect();
    let audit = app.store.audit_of_object(&id.0.to_string()).await?;
    let shown = usize::try_from(SHOWN_MAX).unwrap_or(usize::MAX);
    let more = to_come.len() > shown;
    let calendar = past.into_iter().chain(to_come.into_iter().take(shown)).collect();
    let first = first.map(|first| app.hub(|hub| hub.show(&first)));
    Ok(AgreementDetail { agreement: view(&row), first, calendar, more, messages, audit })
}

/// What has been, and so many payments that are to come. One that was handed out since the row was read is shown once.
pub(super) async fn past_and_coming(
    app: &App,
    row: &AgreementRow,
    many: u32,
) -> Result<(Vec<CalendarRow>, Vec<CalendarRow>), Problem> {
    let mut past: Vec<CalendarRow> = app.store.due_payments(row.id).await?.into_iter().map(been).collect();
    let taken_back = app.store.taken_back(row.id).await?;
    for payment in past.iter_mut().filter(|payment| payment.state == "paid") {
        if let Some(TakenBack { given_back, is_disputed }) = taken_back.get(&payment.number) {
            payment.given_back = Some(*given_back).filter(|back| back.minor > 0);
            payment.disputed = *is_disputed;
        }
    }
    let mut to_come: Vec<CalendarRow> = row.agreement.calendar(many).iter().map(coming).collect();
    to_come.retain(|coming| past.iter().all(|been| been.number != coming.number));
    Ok((past, to_come))
}

/// The day of a moment in a time zone.
pub(super) fn day_of(at_ms: i64, zone: &str) -> Result<Date, Problem> {
    let zone = TimeZone::get(zone).map_err(|_| Problem::INTERNAL)?;
    let at = Timestamp::from_millisecond(at_ms).map_err(|_| Problem::INTERNAL)?;
    Ok(at.to_zoned(zone).date())
}

fn view(row: &AgreementRow) -> AgreementView {
    AgreementView {
        id: row.id,
        state: row.agreement.state(),
        merchant: row.merchant.clone(),
        account: row.account.clone(),
        contact: row.contact.clone(),
        brand: row.brand,
        last4: row.last4.clone(),
        reason: row.reason.clone(),
        terms: row.agreement.terms().map(TermsBody::of),
        next: row.agreement.next().as_ref().map(coming),
        time_zone: row.zone.clone(),
        time: row.time,
        reminder_days: row.remind_days,
        extension: row.extension.clone(),
        made_by: row.made_by.clone(),
        created_at: rfc3339(row.created_ms),
        updated_at: rfc3339(row.updated_ms),
    }
}

fn coming(payment: &Payment) -> CalendarRow {
    CalendarRow {
        number: payment.number,
        due: payment.due,
        amount: payment.amount,
        state: if payment.fate == Fate::Take { "planned" } else { "skip" },
        tries: 0,
        next_try_at: None,
        trouble: None,
        payment: None,
        overdue: false,
        given_back: None,
        disputed: false,
    }
}

fn been(due: Due) -> CalendarRow {
    let now = now_ms();
    let is_open = matches!(due.state, DueState::Waiting | DueState::Sent);
    let is_tried_again = due.state == DueState::Waiting && due.tries > 0;
    CalendarRow {
        number: due.number,
        due: due.day,
        amount: due.amount,
        state: match due.state {
            // It was moved to another day after it had been handed out.
            DueState::Waiting if due.tries == 0 && due.due_at > now => "planned",
            DueState::Waiting => "waiting",
            DueState::Sent => "sent",
            DueState::Paid => "paid",
            DueState::Failed => "failed",
            DueState::Skipped => "skipped",
        },
        tries: due.tries,
        next_try_at: is_tried_again.then(|| rfc3339(due.ready_at)),
        trouble: due.trouble.filter(|_| due.state != DueState::Paid),
        payment: due.payment,
        overdue: is_open && due.due_at <= now.saturating_sub(OVERDUE_MS),
        given_back: None,
        disputed: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::door::Door;
    use crate::recurring::tests::{START_MS, daily};
    use crate::store::recurring::Jobs;
    use crate::store::tests::sqlite;
    use tokio::sync::watch;

    /// It stood there twice for a moment, as planned and as planned.
    #[tokio::test]
    async fn a_payment_that_is_handed_out_while_somebody_looks_is_shown_once() {
        let ((store, _folder), new) = (sqlite().await, daily(3, 1500));
        let (store, (_stop, stopping)) = (Arc::new(store), watch::channel(false));
        let app = App::new(Config::default(), store.clone(), Door::new().0, stopping).unwrap();
        store.add(START_MS, &new).await.unwrap();
        let row = app.store.agreement(new.id).await.unwrap().unwrap();
        assert_eq!(store.hand_out(START_MS + 24 * 60 * 60 * 1000, 7).await.unwrap(), 1);
        let (past, to_come) = past_and_coming(&app, &row, 10).await.ok().unwrap();
        let numbers: Vec<_> = past.iter().chain(&to_come).map(|payment| payment.number).collect();
        assert_eq!((past.len(), numbers), (1, vec![1, 2, 3]));
    }
}
