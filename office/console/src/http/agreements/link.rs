//! Links to the customer's own calendar: made by who keeps cards or looks after the money, and taken back.

use super::{changes, own};
use crate::{
    app::App,
    clock::{now_ms, rfc3339},
    http::{
        command::{Reply, once},
        principal::Principal,
        problem::{Problem, ProblemBody},
        request::Posted,
    },
    recurring::waiting::Deed,
    rights::Right,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A link for the customer. Whoever has it sees the calendar of this agreement, the brand and the last four digits of its card,
/// and nothing else; it changes nothing.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkView {
    /// From the first `/` on.
    path: String,
    /// The whole address; null where office.toml has no `public_url`.
    url: Option<String>,
    /// RFC 3339: not valid after this.
    valid_until: String,
}

/// Make a link to the customer's own calendar, to be given to the customer of this agreement.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/link", tag = "agreements",
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 201, body = LinkView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`no_links`")))]
pub(crate) async fn make(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Store).or_else(|problem| who.must_have(Right::Finance).map_err(|_| problem))?;
    let row = own(&app, &who, &id).await?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |_| {
        let made = work.store.make_link(now_ms(), row.id).await?.ok_or_else(|| {
            let detail = "There are no links: set `link_days` in [recurring] of office.toml above 0.";
            Problem::new(StatusCode::CONFLICT, "no_links", detail)
        })?;
        work.store.audit(&changes::entry(&name, "agreement_link_made", &row)).await?;
        let view = LinkView { path: made.path, url: made.url, valid_until: rfc3339(made.until_ms) };
        Reply::new(StatusCode::CREATED, &view)
    })
    .await
}

/// Take back all links to this agreement's calendar, those in texts as well.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/link/take-back", tag = "agreements",
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = super::AgreementDetail),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours")))]
pub(crate) async fn take_back(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    changes::change(app, who, &id, posted, Deed::TakeBackLinks).await
}
