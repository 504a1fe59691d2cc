//! What recurring payments need people for: payments that were not taken in their time, and a clock that is in doubt.

use super::{CalendarRow, been};
use crate::{
    app::App,
    clock::{rfc3339, sample},
    http::{
        command::{Reply, once},
        manual::entry,
        principal::Principal,
        problem::{Problem, ProblemBody},
        request::Posted,
    },
    recurring::{
        AgreementId,
        watch::{Held, words},
    },
    rights::Right,
    store::audit::Entry,
};
use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The most that are shown; the oldest first, so that the others come when these are decided about.
const SHOWN_MAX: i64 = 200;

/// How the schedulers are.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecurringView {
    /// False: office.toml has them switched off.
    enabled: bool,
    /// Null while the clock is plausible.
    held: Option<HeldView>,
    /// Payments that were not taken in their time: take each by hand (`take`), or leave it out (`leave`). The oldest 200.
    missed: Vec<MissedView>,
}

/// Nothing is taken, because the clock of the machine is in doubt.
#[derive(Serialize, ToSchema)]
pub(crate) struct HeldView {
    /// `jumped`: ahead of the time that went by; `back`: before a time that it has shown; `away`: the office was off for long;
    /// `restored`: its database was restored from a backup.
    why: &'static str,
    /// RFC 3339, by the clock that is in doubt.
    since: String,
    /// RFC 3339: the last moment that was plausible.
    last_right_at: String,
    /// RFC 3339: what the clock says now.
    now: String,
    /// All of that in words.
    detail: String,
}

/// A payment that was not taken in its time.
#[derive(Serialize, ToSchema)]
pub(crate) struct MissedView {
    #[schema(value_type = String)]
    agreement: AgreementId,
    /// The payee's own number of the customer's account.
    account: Option<String>,
    extension: String,
    payment: CalendarRow,
}

impl HeldView {
    fn of(held: Held, now_ms: i64) -> Self {
        let (since, last_right_at, now) = (rfc3339(held.since_ms), rfc3339(held.seen_ms), rfc3339(now_ms));
        Self { why: held.why.as_str(), since, last_right_at, now, detail: words(held) }
    }
}

/// What recurring payments need people for: of the user's extension, or of everybody's for who looks after the money.
#[utoipa::path(get, path = "/api/v1/recurring", tag = "agreements", responses((status = 200, body = RecurringView)))]
pub(crate) async fn status(State(app): State<Arc<App>>, who: Principal) -> Result<Json<RecurringView>, Problem> {
    let extension = who.extension().map(wire::Extension::as_str);
    let missed = match (who.user.rights.has(Right::Finance), extension) {
        (true, _) => app.store.missed(None, SHOWN_MAX).await?,
        (false, Some(own)) => app.store.missed(Some(own), SHOWN_MAX).await?,
        (false, None) => Vec::new(),
    };
    let missed = missed.into_iter().map(|row| MissedView {
        agreement: row.agreement,
        account: row.account,
        extension: row.extension,
        payment: been(row.due),
    });
    let now = sample();
    let held = app.clock(|watch| watch.held()).map(|held| HeldView::of(held, now.wall_ms));
    Ok(Json(RecurringView { enabled: app.config.recurring.enabled, held, missed: missed.collect() }))
}

/// Say that the clock of the machine is right: recurring payments go on. What fell due meanwhile and is too late now is missed.
#[utoipa::path(post, path = "/api/v1/recurring/clock", tag = "agreements",
    params(("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = RecurringView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`")))]
pub(crate) async fn clock_is_right(
    State(app): State<Arc<App>>,
    who: Principal,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Finance)?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |_| {
        if work.clock(|watch| watch.held()).is_some() {
            let accepted = work.clock(|watch| {
                let mut accepted = watch.clone();
                accepted.accept(&sample());
                accepted
            });
            let entry = Entry { object: "recurring".to_owned(), ..entry(&name, "recurring_goes_on", "ok", None) };
            work.store.save_clock(&accepted, Some(&entry)).await?;
            work.clock(|watch| *watch = accepted);
        }
        let Json(view) = status(State(work), name).await?;
        Reply::new(StatusCode::OK, &view)
    })
    .await
}
