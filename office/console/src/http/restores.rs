//! An office that was restored from a backup: what it has forgotten, and that somebody goes on without what is gone.

use super::{
    command::{Reply, once},
    manual::entry,
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{
    app::App,
    clock::rfc3339,
    restored::{ReasonError, check_reason},
    rights::Right,
    store::restores::{Missing, Restore},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What restores from backups have left.
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoresView {
    /// Records of the card side that are missing here and gone there, newest first. While one is not accepted nothing is stored
    /// and nothing can be taken.
    missing: Vec<MissingView>,
    /// Restores, as the card side has noticed them, newest first.
    restores: Vec<RestoreView>,
}

/// Records that are missing.
#[derive(Serialize, ToSchema)]
pub(crate) struct MissingView {
    id: i64,
    /// Number of the first one.
    first: u64,
    /// Number of the last one.
    last: u64,
    count: u64,
    /// RFC 3339: when the one before them was written; null: there is none.
    after: Option<String>,
    /// RFC 3339: when the one after them was written; null: not known.
    before: Option<String>,
    /// RFC 3339.
    noticed_at: String,
    /// Null: nobody has accepted it yet.
    accepted: Option<AcceptedView>,
}

/// Who has said that it goes on without them.
#[derive(Serialize, ToSchema)]
pub(crate) struct AcceptedView {
    /// RFC 3339.
    at: String,
    who: String,
    reason: String,
}

/// A restore from a backup.
#[derive(Serialize, ToSchema)]
pub(crate) struct RestoreView {
    /// RFC 3339: when the card side has noticed it.
    at: String,
    /// RFC 3339: what was done from then on had been forgotten.
    since: String,
    /// Records that had been stored and were forgotten.
    forgotten: u64,
    /// Of them, those that the card side did not have any more either.
    gone: u64,
    /// Attempts that it told again for that, by their own rows.
    told_again: u64,
}

impl MissingView {
    fn of(missing: Missing) -> Self {
        let count = missing.count();
        let Missing { id, first, last, after_ms, before_ms, noticed_ms, accepted } = missing;
        Self {
            id,
            first,
            last,
            count,
            after: after_ms.map(rfc3339),
            before: before_ms.map(rfc3339),
            noticed_at: rfc3339(noticed_ms),
            accepted: accepted.map(|it| AcceptedView { at: rfc3339(it.at_ms), who: it.who, reason: it.reason }),
        }
    }
}

impl RestoreView {
    fn of(restore: Restore) -> Self {
        let Restore { at_ms, stored, acknowledged, since_ms, gone, told_again } = restore;
        let forgotten = acknowledged.saturating_sub(stored);
        Self { at: rfc3339(at_ms), since: rfc3339(since_ms), forgotten, gone, told_again }
    }
}

/// What restores from backups have left.
#[utoipa::path(get, path = "/api/v1/restores", tag = "finance", responses(
    (status = 200, body = RestoresView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`")))]
pub(crate) async fn list(State(app): State<Arc<App>>, who: Principal) -> Result<Json<RestoresView>, Problem> {
    who.must_have(Right::Finance)?;
    let missing = app.store.missing().await?.into_iter().map(MissingView::of).collect();
    let restores = app.store.restores().await?.into_iter().map(RestoreView::of).collect();
    Ok(Json(RestoresView { missing, restores }))
}

/// Why it goes on without them.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptBody {
    /// In words, for the audit trail: 10 to 500 characters.
    reason: String,
}

/// Go on without records that are gone. Every attempt at a gateway has been told again by then, and nothing is charged for it.
/// What is lost is the audit trail of that time, and what was only here.
#[utoipa::path(post, path = "/api/v1/restores/missing/{id}/accept", tag = "finance", request_body = AcceptBody,
    params(("id" = i64, Path), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = MissingView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such records are missing"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`bad_reason`, `looks_like_card`")))]
pub(crate) async fn accept(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Finance)?;
    let AcceptBody { reason } = posted.json("reason (text)")?;
    let reason = check_reason(&reason).map_err(|error| match error {
        ReasonError::LooksLikeCard => Problem::LOOKS_LIKE_CARD,
        ReasonError::Bad => Problem::unprocessable("bad_reason", "A reason has 10 to 500 printable characters."),
    })?;
    let id: i64 = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |_| {
        let entry = entry(&name, "records_missing_accepted", &reason, None);
        let entry = crate::store::audit::Entry { object: format!("missing {id}"), ..entry };
        let missing = work.store.accept_missing(id, &reason, &entry).await?.ok_or(Problem::NOT_FOUND)?;
        Reply::new(StatusCode::OK, &MissingView::of(missing))
    })
    .await
}
