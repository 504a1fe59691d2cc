//! A day's report, asked of the gateways themselves: by the cde, which has their hosts and credentials.

use super::{MerchantQuery, audit, merchant_in, window_of};
use crate::{
    app::App,
    clock::now_ms,
    door::DoorError,
    http::{
        principal::Principal,
        problem::{Problem, ProblemBody},
    },
    rights::Right,
    secret::sha256,
    store::reconciliations::{DAY_MAX, NewReport, ReportView},
};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use jiff::civil::Date;
use reconcile::{Line, Report, Window};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{
    Action, CallId, Command, CommandId, CommandResult, MerchantId, Origin, Refusal, ReportCursor, ReportLine,
    ReportPage,
};

/// The most pages of one day.
const PAGES_MAX: usize = 10_000;
/// How often a page is asked for before the whole is given up.
const TRIES_MAX: u32 = 3;
/// A day that is not read by then is given up: nobody waits for it any more.
const ALL_PAGES_WAIT: Duration = Duration::from_secs(30 * 60);
/// Between two tries; a gateway may say that it is asked too often.
const PAUSE: Duration = Duration::from_secs(1);

/// What the gateways told.
#[derive(Serialize, ToSchema)]
pub(crate) struct Fetched {
    /// Each of the merchant's gateways that can be asked.
    gateways: Vec<FetchedOne>,
}

/// What one gateway told.
#[derive(Serialize, ToSchema)]
pub(crate) struct FetchedOne {
    gateway: String,
    /// Null where nothing moved on this day.
    report: Option<ReportView>,
    /// Was the same here before? Then nothing has changed.
    known: bool,
}

/// Ask the gateways what moved on a day, where they can be asked (Stripe), and take it in as a report. Asked again, only what is new
/// counts. Nothing is taken in unless all of it could be read.
#[utoipa::path(post, path = "/api/v1/reconciliations/{day}/fetch", tag = "finance",
    params(("day" = String, Path, description = "`2026-11-26`, in the time zone of the house"), MerchantQuery), responses(
    (status = 200, body = Fetched),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such day"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`no_report_api`, `no_report`, `unknown_merchant`"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`, `gateway_slow`")))]
pub(crate) async fn fetch(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(day): Path<String>,
    query: Result<Query<MerchantQuery>, QueryRejection>,
) -> Result<Json<Fetched>, Problem> {
    who.must_have(Right::Finance)?;
    let merchant = merchant_in(&app, query)?;
    let (date, window) = window_of(&app, &day)?;
    // It goes on though nobody waits for the answer.
    let work = tokio::spawn(async move { take_in(&app, &who, &merchant, (date, window)).await });
    work.await.map_err(|_| Problem::INTERNAL)?
}

/// What one gateway has told so far.
#[derive(Default)]
struct Told {
    format: String,
    lines: BTreeMap<String, Line>,
    skipped: usize,
}

async fn take_in(
    app: &App,
    who: &Principal,
    merchant: &MerchantId,
    (date, window): (Date, Window),
) -> Result<Json<Fetched>, Problem> {
    // One day is read at a time; meanwhile files can be given in.
    let reading = app.fetches.acquire().await.map_err(|_| Problem::INTERNAL)?;
    let told = timeout(ALL_PAGES_WAIT, all_pages(app, who, merchant, window)).await.map_err(|_| slow())??;
    let _turn = app.reports.acquire().await.map_err(|_| Problem::INTERNAL)?;
    drop(reading);
    let mut gateways = Vec::with_capacity(told.len());
    for (gateway, Told { format, lines, skipped }) in told {
        if lines.is_empty() {
            gateways.push(FetchedOne { gateway, report: None, known: false });
            continue;
        }
        let report = Report { lines: lines.into_values().collect(), skipped };
        let id = Uuid::now_v7();
        let new = NewReport {
            id,
            merchant,
            // As of a file that is given in without one: the same movement counts once, however it comes.
            source: &format,
            format: &format,
            name: &format!("{gateway} {date}"),
            sha256: &sha256(format!("{report:?}").as_bytes()),
            report: &report,
        };
        let entry = audit(who, "report_fetched", &format!("{} lines", report.lines.len()), &id.to_string());
        let (view, is_new) = app.store.report_insert(now_ms(), &new, &entry).await?;
        gateways.push(FetchedOne { gateway, report: Some(view), known: !is_new });
    }
    Ok(Json(Fetched { gateways }))
}

async fn all_pages(
    app: &App,
    who: &Principal,
    merchant: &MerchantId,
    window: Window,
) -> Result<BTreeMap<String, Told>, Problem> {
    let (mut told, mut next, mut count): (BTreeMap<String, Told>, Option<ReportCursor>, usize) = Default::default();
    for _ in 0..PAGES_MAX {
        let page = page(app, who, merchant, window, next.as_ref()).await?;
        let of = told.entry(page.gateway).or_default();
        of.format = page.format;
        of.skipped = of.skipped.saturating_add(page.skipped);
        count = count.saturating_add(page.lines.len());
        of.lines.extend(page.lines.into_iter().map(|line| (line.key.clone(), line_of(line))));
        match page.next {
            None => return Ok(told),
            // The next page begins elsewhere, or there would be no end.
            more if more == next || count > DAY_MAX => break,
            more => next = more,
        }
    }
    let detail = "The gateway tells of more than 200,000 movements on this day, more than are taken in at once.";
    Err(Problem::unprocessable("day_too_large", detail))
}

async fn page(
    app: &App,
    who: &Principal,
    merchant: &MerchantId,
    window: Window,
    next: Option<&ReportCursor>,
) -> Result<ReportPage, Problem> {
    let action = Action::Report {
        merchant: merchant.clone(),
        from_unix_ms: window.from,
        until_unix_ms: window.until,
        next: next.cloned(),
    };
    let mut failed = Problem::INTERNAL;
    for turn in 0..TRIES_MAX {
        if turn > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let (id, call) = (CommandId(Uuid::now_v7()), CallId(Uuid::nil()));
        let command = Command { id, call, origin: Origin::User { id: who.user.id }, action: action.clone() };
        failed = match app.door.send(command).await {
            Ok((CommandResult::Report(page), _)) => return Ok(page),
            Ok((CommandResult::Refused { reason: reason @ Refusal::NoReport }, _)) => Problem::refused(reason),
            Ok((CommandResult::Refused { reason: Refusal::Unsupported }, _)) => return Err(no_api()),
            Ok((CommandResult::Refused { reason }, _)) => return Err(Problem::refused(reason)),
            Ok(_) => return Err(Problem::INTERNAL),
            Err(DoorError::Down) => return Err(Problem::DOOR_DOWN),
            Err(DoorError::Busy | DoorError::Timeout) => slow(),
        };
    }
    Err(failed)
}

fn no_api() -> Problem {
    let detail = "None of this merchant's gateways can be asked what moved on a day: give its report in as a file.";
    Problem::new(StatusCode::CONFLICT, "no_report_api", detail)
}

fn slow() -> Problem {
    let detail = "The gateway did not answer in time. Nothing was taken in; try again.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "gateway_slow", detail).retry_after(10)
}

fn line_of(line: ReportLine) -> Line {
    let ReportLine { key, kind, names, attempts, money, fee, at_unix_ms } = line;
    Line { source: String::new(), key, kind, names, attempts, money, fee, at_unix_ms, copies: 1 }
}
