//! Payments that people key into the customer's own system, by account.

use super::{
    command::{Reply, once},
    principal::Principal,
    problem::{Problem, ProblemBody},
    reconciliations::files::{FileFormat, bad_file, file},
    request::Posted,
};
use crate::{
    app::App,
    clock::now_ms,
    rights::Right,
    store::{
        audit::Entry,
        manual::{ManualPayment, Marked, PAGE_MAX},
    },
    view::schema,
};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use reconcile::table::{Cell, Table};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use wire::{Money, PaymentId};

/// Payments of one page, where nothing is said.
const PAGE_DEFAULT: i64 = 500;
/// The most pages of an export.
const PAGES_MAX: usize = 100;

/// Which of them.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManualQuery {
    /// True: those that are keyed; without it those with something to key.
    #[serde(default)]
    keyed: bool,
    /// Of a list: 1 to 5,000; 500 without.
    limit: Option<i64>,
    /// Of a list: the `next_cursor` of the page before.
    cursor: Option<String>,
    /// Of an export: `csv` (without it) or `xlsx`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    format: FileFormat,
}

/// Payments by account.
#[derive(Serialize, ToSchema)]
pub(crate) struct ManualPayments {
    /// By account, those without one last.
    payments: Vec<ManualPayment>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// What is to be keyed into the customer's own system, by account.
#[utoipa::path(get, path = "/api/v1/manual-payments", tag = "finance", params(ManualQuery), responses(
    (status = 200, body = ManualPayments),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
    query: Result<Query<ManualQuery>, QueryRejection>,
) -> Result<Json<ManualPayments>, Problem> {
    who.must_have(Right::Finance)?;
    let Query(query) = query.map_err(|_| bad())?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    let after = query.cursor.map(|text| text.parse::<PaymentId>()).transpose().map_err(|_| bad())?;
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(bad());
    }
    let mut payments = app.store.manual_payments(&app.config.merchant, query.keyed, after, limit + 1).await?;
    let wanted = usize::try_from(limit).map_err(|_| bad())?;
    let more = payments.len() > wanted;
    payments.truncate(wanted);
    let next_cursor = payments.last().filter(|_| more).map(|last| last.payment.clone());
    Ok(Json(ManualPayments { payments, next_cursor }))
}

fn bad() -> Problem {
    let detail =
        "Expected: keyed (true or false), limit (1 to 5000) and cursor of a list, format (csv or xlsx) of an export.";
    Problem::unprocessable("bad_query", detail)
}

/// All of them, for a file.
async fn all(app: &App, keyed: bool) -> Result<Vec<ManualPayment>, Problem> {
    let (mut payments, mut after): (Vec<ManualPayment>, Option<PaymentId>) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = app.store.manual_payments(&app.config.merchant, keyed, after, PAGE_MAX).await?;
        let Some(last) = page.last() else { return Ok(payments) };
        after = Some(last.payment.parse().map_err(|_| Problem::INTERNAL)?);
        payments.extend(page);
    }
    let detail = "There are more than 500,000 payments, more than one file holds: read the list page by page.";
    Err(Problem::unprocessable("list_too_large", detail))
}

/// The same as a file.
#[utoipa::path(get, path = "/api/v1/manual-payments/export", tag = "finance", params(ManualQuery), responses(
    (status = 200, body = Vec<u8>, content_type = "text/csv"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`")))]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    who: Principal,
    query: Result<Query<ManualQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    who.must_have(Right::Finance)?;
    let Query(query) = query.map_err(|_| bad_file())?;
    let payments = all(&app, query.keyed).await?;
    app.store.audit(&entry(&who, "manual_export", "ok", None)).await?;
    file(vec![table(&payments)], query.format, "manual-payments").await
}

fn table(payments: &[ManualPayment]) -> Table {
    let text = |text: &Option<String>| text.as_deref().map_or(Cell::Empty, Cell::from);
    let row = |one: &ManualPayment| {
        vec![
            text(&one.account),
            text(&one.invoice),
            text(&one.reference),
            one.to_key.currency.code().into(),
            Cell::Money(one.to_key),
            Cell::Money(one.taken),
            Cell::Money(one.keyed),
            text(&one.keyed_by),
            text(&one.keyed_at),
            one.created_at.as_str().into(),
            one.payment.as_str().into(),
        ]
    };
    let header = &[
        "account",
        "invoice",
        "reference",
        "currency",
        "to_key",
        "taken",
        "keyed",
        "keyed_by",
        "keyed_at",
        "created_at",
        "payment",
    ];
    Table { name: "manual payments", header, rows: payments.iter().map(row).collect() }
}

/// What the customer's system shows of a payment from now on.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyedBody {
    /// All that was taken and not given back; nothing (0), to take a mark back.
    #[schema(value_type = schema::Money)]
    shown: Money,
}

/// Say that a payment was keyed into the customer's system, or that it was not after all.
#[utoipa::path(post, path = "/api/v1/payments/{id}/keyed", tag = "finance", request_body = KeyedBody,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = KeyedBody),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`amount_changed`")))]
pub(crate) async fn keyed(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Finance)?;
    let KeyedBody { shown } = posted.json("shown {minor, currency}")?;
    let payment: PaymentId = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |_| {
        let result = if shown.minor == 0 { "nothing".to_owned() } else { shown.to_string() };
        let entry = entry(&name, "keyed", &result, Some(payment));
        match work.store.mark_keyed(now_ms(), payment, shown, &entry).await? {
            Marked::Done => Reply::new(StatusCode::OK, &json(shown)),
            Marked::NoPayment => Err(Problem::NOT_FOUND),
            Marked::Changed(taken) => {
                let detail =
                    format!("This payment has changed: {taken} are to stand in your system. Look at the list again.");
                Err(Problem { detail: detail.into(), ..Problem::new(StatusCode::CONFLICT, "amount_changed", "") })
            }
        }
    })
    .await
}

fn json(shown: Money) -> serde_json::Value {
    serde_json::json!({ "shown": shown })
}

pub(super) fn entry<'a>(who: &'a Principal, what: &'a str, result: &str, payment: Option<PaymentId>) -> Entry<'a> {
    let payment = payment.map(|id| id.to_string());
    Entry {
        at_ms: now_ms(),
        who: who.user.email.clone(),
        api_key: who.api_key(),
        what,
        result: result.to_owned(),
        origin: who.address.0.clone(),
        object: payment.clone().unwrap_or_else(|| "-".to_owned()),
        extension: who.extension().map(wire::Extension::as_str),
        payment,
    }
}
