//! Reconciliation: gateways' reports come in, and each day's money is told against them.

pub(super) mod fetch;
pub(super) mod files;
mod mapping;
mod shown;

use super::{
    principal::Principal,
    problem::{Problem, ProblemBody},
};
use crate::{
    app::App,
    clock::now_ms,
    rights::Right,
    secret::sha256,
    store::{
        audit::Entry,
        reconciliations::{DAY_MAX, DayRows, NewReport, ReportView},
    },
};
use axum::{
    Json,
    body::{Bytes, to_bytes},
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
};
use jiff::civil::Date;
use mapping::UploadQuery;
use reconcile::{Day, Format, Report, ReportError, Window, report::REPORT_BYTES_MAX};
use serde::{Deserialize, Serialize};
use shown::DayView;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::MerchantId;

/// What was taken in.
#[derive(Serialize, ToSchema)]
pub(crate) struct Taken {
    report: ReportView,
    /// Was it here before? Then nothing has changed.
    known: bool,
}

/// Take in a gateway's report: a CSV, as it is. The same one again changes nothing, and a line that an earlier report of its
/// source had counts once; one that tells it otherwise is shown. A report with anything that looks like a card number is
/// refused whole. Nothing of it counts before all of it is written down, and what is begun is ended though nobody waits for
/// the answer: the list of reports tells how far it is.
#[utoipa::path(post, path = "/api/v1/reconciliations", tag = "finance", params(UploadQuery),
    request_body(content = String, content_type = "text/csv"), responses(
    (status = 201, body = Taken),
    (status = 200, body = Taken, description = "It was here before"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "`too_large`"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`looks_like_card`, `bad_report`, `bad_query`")))]
pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    who: Principal,
    query: Result<Query<UploadQuery>, QueryRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Taken>), Problem> {
    who.must_have(Right::Finance)?;
    let Query(query) =
        query.map_err(|_| mapping::bad_query("Expected: format, and the other members that the page lists."))?;
    let given = Given {
        format: query.format()?,
        source: query.source()?,
        name: query.name()?,
        merchant: merchant_of(&app, query.merchant.as_deref())?,
    };
    let work = tokio::spawn(async move { take_in(&app, &who, given, request).await });
    work.await.map_err(|_| Problem::INTERNAL)?
}

/// What is said of a report beside what it says itself.
struct Given {
    format: Format,
    source: String,
    name: String,
    merchant: MerchantId,
}

async fn take_in(
    app: &App,
    who: &Principal,
    given: Given,
    request: Request,
) -> Result<(StatusCode, Json<Taken>), Problem> {
    let Given { format, source, name, merchant } = given;
    // One at a time: each may take a hundred times as much memory as any other request.
    let _turn = app.reports.acquire().await.map_err(|_| Problem::INTERNAL)?;
    let body = to_bytes(request.into_body(), REPORT_BYTES_MAX).await.map_err(|_| refused(&ReportError::TooLarge))?;
    let (format, report) = read(app, format, body.clone()).await?;
    let id = Uuid::now_v7();
    let new = NewReport {
        id,
        merchant: &merchant,
        source: &source,
        format: format.as_str(),
        name: &name,
        sha256: &fingerprint(&format, &body),
        report: &report,
    };
    let entry = audit(who, "report", &format!("{} lines", report.lines.len()), &id.to_string());
    let (report, is_new) = app.store.report_insert(now_ms(), &new, &entry).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Taken { report, known: !is_new })))
}

/// Clears away reports that were taken back or broken off.
pub(crate) async fn sweep(app: Arc<App>) {
    let Ok(_turn) = app.reports.acquire().await else { return };
    if let Err(error) = app.store.reports_swept().await {
        tracing::error!(%error, "reports that are gone could not be cleared away; it is tried again with the next one");
    }
}

/// A file read by other columns is another report.
fn fingerprint(format: &Format, body: &[u8]) -> Vec<u8> {
    sha256(&[sha256(body).as_slice(), format!("{format:?}").as_bytes()].concat())
}

async fn read(app: &App, format: Format, body: Bytes) -> Result<(Format, Report), Problem> {
    let zone = app.config.time_zone.zone().clone();
    let task = tokio::task::spawn_blocking(move || {
        let report = reconcile::read(&format, &body, &zone);
        (format, report)
    });
    let (format, report) = task.await.map_err(|_| Problem::INTERNAL)?;
    Ok((format, report.map_err(|error| refused(&error))?))
}

/// What is to be done after a report was taken back.
#[derive(Serialize, ToSchema)]
pub(crate) struct Withdrawn {
    /// The names of later reports that had some of its lines and were given in before lines were kept apart by source: give
    /// them in again.
    give_again: Vec<String>,
}

/// Take a report back that was given in by mistake, such as with the wrong columns. The lines that no other report has are
/// gone.
#[utoipa::path(delete, path = "/api/v1/reports/{id}", tag = "finance", params(("id" = String, Path, description = "UUID")),
    responses((status = 200, body = Withdrawn),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such report")))]
pub(crate) async fn withdraw(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<Json<Withdrawn>, Problem> {
    who.must_have(Right::Finance)?;
    let id: Uuid = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let entry = audit(&who, "report_withdrawn", "ok", &id.to_string());
    let give_again = app.store.report_withdrawn(id, &entry).await?.ok_or(Problem::NOT_FOUND)?;
    tokio::spawn(sweep(app));
    Ok(Json(Withdrawn { give_again }))
}

/// What a report holds is not repeated.
fn refused(error: &ReportError) -> Problem {
    let (status, code) = match error {
        ReportError::LooksLikeCard { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "looks_like_card"),
        ReportError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "bad_report"),
    };
    Problem { detail: error.to_string().into(), ..Problem::new(status, code, "") }
}

/// Whose: the one that payments are taken for, if none is named.
fn merchant_of(app: &App, named: Option<&str>) -> Result<MerchantId, Problem> {
    let Some(named) = named else { return Ok(app.config.merchant.clone()) };
    named.parse().map_err(|_| mapping::bad_query("`merchant` is the name of a merchant in cde.toml."))
}

/// Of which merchant.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct MerchantQuery {
    /// The one that payments are taken for, without it.
    merchant: Option<String>,
}

/// Reports that were taken in.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reports {
    /// The newest first; at most 200.
    reports: Vec<ReportView>,
    /// The day that ended last, in the time zone of the house: what there is to reconcile.
    yesterday: String,
    /// Name of that time zone.
    time_zone: String,
}

/// The reports that were taken in.
#[utoipa::path(get, path = "/api/v1/reconciliations", tag = "finance", params(MerchantQuery), responses(
    (status = 200, body = Reports),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
    query: Result<Query<MerchantQuery>, QueryRejection>,
) -> Result<Json<Reports>, Problem> {
    who.must_have(Right::Finance)?;
    let merchant = merchant_in(&app, query)?;
    let reports = app.store.reports(&merchant, None).await?;
    let zone = &app.config.time_zone;
    let now = jiff::Timestamp::from_millisecond(now_ms()).map_err(|_| Problem::INTERNAL)?;
    let today = now.to_zoned(zone.zone().clone()).date();
    let yesterday = today.yesterday().map_err(|_| Problem::INTERNAL)?.to_string();
    Ok(Json(Reports { reports, yesterday, time_zone: zone.name().to_owned() }))
}

fn merchant_in(app: &App, query: Result<Query<MerchantQuery>, QueryRejection>) -> Result<MerchantId, Problem> {
    let Query(query) = query.map_err(|_| mapping::bad_query("Expected: merchant, or nothing."))?;
    merchant_of(app, query.merchant.as_deref())
}

/// One day: what is the same here and at the gateways, what differs, and what is missing on either side. Told from the
/// reports that are here now: a line that comes late counts for the day of its payment.
#[utoipa::path(get, path = "/api/v1/reconciliations/{day}", tag = "finance",
    params(("day" = String, Path, description = "`2026-11-26`, in the time zone of the house"), MerchantQuery), responses(
    (status = 200, body = DayView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such day")))]
pub(crate) async fn day(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(day): Path<String>,
    query: Result<Query<MerchantQuery>, QueryRejection>,
) -> Result<Json<DayView>, Problem> {
    who.must_have(Right::Finance)?;
    let merchant = merchant_in(&app, query)?;
    let (date, window) = window_of(&app, &day)?;
    let reports = app.store.reports(&merchant, Some(window)).await?;
    let told = told(&app, &merchant, window).await?;
    Ok(Json(DayView::new(date, &merchant, app.config.time_zone.name(), reports, &told)))
}

fn window_of(app: &App, day: &str) -> Result<(Date, Window), Problem> {
    let date: Date = day.parse().map_err(|_| Problem::NOT_FOUND)?;
    let window = app.config.time_zone.window(date).ok_or(Problem::NOT_FOUND)?;
    Ok((date, window))
}

async fn told(app: &App, merchant: &MerchantId, window: Window) -> Result<Day, Problem> {
    let DayRows { ours, lines } = app.store.day(merchant, window).await?;
    if ours.len() > DAY_MAX || lines.len() > DAY_MAX {
        let detail = "This day has more than 200,000 payments, more than are matched at once.";
        return Err(Problem::unprocessable("day_too_large", detail));
    }
    let task = tokio::task::spawn_blocking(move || reconcile::reconcile(window, ours, lines));
    task.await.map_err(|_| Problem::INTERNAL)
}

fn audit<'a>(who: &'a Principal, what: &'a str, result: &str, object: &str) -> Entry<'a> {
    Entry {
        at_ms: now_ms(),
        who: who.user.email.clone(),
        api_key: who.api_key(),
        what,
        result: result.to_owned(),
        origin: who.address.0.clone(),
        object: object.to_owned(),
        extension: who.extension().map(wire::Extension::as_str),
        payment: None,
    }
}
