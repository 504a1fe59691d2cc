//! API keys: which there are, and the end of one.

use super::{
    principal::Principal,
    problem::{Problem, ProblemBody},
};
use crate::{
    app::App,
    clock::now_ms,
    store::{api_keys::ApiKey, audit::Entry},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Every key.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeys {
    /// The good ones first.
    api_keys: Vec<ApiKey>,
}

/// Every API key: whose, since when, last used when, revoked when. The key itself is shown once, when it is made
/// (`tonewall user key`). Admins only.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "api keys", responses(
    (status = 200, body = ApiKeys),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`")))]
pub(crate) async fn list(State(app): State<Arc<App>>, who: Principal) -> Result<Json<ApiKeys>, Problem> {
    who.admin()?;
    Ok(Json(ApiKeys { api_keys: app.store.api_keys().await? }))
}

/// Revoke an API key, for good and at once: also streams of events that it has opened end. Admins only; a program of
/// theirs may revoke its own.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", tag = "api keys", params(("id" = i64, Path)), responses(
    (status = 204, description = "It is revoked"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such key, or revoked before")))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    who.admin()?;
    let id: i64 = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let mut keys = app.store.api_keys().await?.into_iter();
    let key = keys.find(|key| key.id == id).ok_or(Problem::NOT_FOUND)?;
    let entry = Entry {
        who: who.user.email.clone(),
        api_key: who.api_key(),
        origin: who.address.0.clone(),
        ..Entry::system(now_ms(), "api_key_revoke", "ok", &key.object())
    };
    if !app.store.api_key_revoke(id, &who.user.email, &entry).await? {
        return Err(Problem::NOT_FOUND);
    }
    app.sign_outs.send_modify(|count| *count += 1);
    Ok(StatusCode::NO_CONTENT)
}
