//! Texts for customers, to be fetched by whatever sends mail and messages.

use crate::{
    app::App,
    clock::{now_ms, rfc3339},
    http::{
        command::{Reply, once},
        principal::Principal,
        problem::{Problem, ProblemBody},
        request::Posted,
    },
    recurring::list::MessageRow,
    rights::Right,
};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

const PAGE_DEFAULT: i64 = 50;
const PAGE_MAX: i64 = 200;

/// A text for a customer. Of a card it has the brand and the last four digits.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageView {
    id: i64,
    /// UUID.
    agreement: String,
    /// `started`, `reminder`, `receipt`, `failed`, `changed` or `canceled`.
    kind: String,
    /// An e-mail address or a telephone number, if the agent has one.
    contact: Option<String>,
    account: Option<String>,
    subject: String,
    text: String,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339: when it was taken to be sent.
    taken_at: Option<String>,
}

impl MessageView {
    pub(super) fn of(row: MessageRow) -> Self {
        let MessageRow { id, agreement, kind, contact, account, subject, text, created_ms, taken_ms } = row;
        let (created_at, taken_at) = (rfc3339(created_ms), taken_ms.map(rfc3339));
        Self { id, agreement, kind, contact, account, subject, text, created_at, taken_at }
    }
}

/// Where to begin.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutboxQuery {
    /// The id of a text: those after it.
    after: Option<i64>,
    /// 1 to 200; 50 without.
    limit: Option<i64>,
}

/// Texts that nobody has taken yet.
#[derive(Serialize, ToSchema)]
pub(crate) struct Outbox {
    /// Oldest first.
    messages: Vec<MessageView>,
}

/// The texts for customers that nobody has taken yet. Send each, then say so; until then it is here.
#[utoipa::path(get, path = "/api/v1/outbox", tag = "agreements", params(OutboxQuery), responses(
    (status = 200, body = Outbox),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
    query: Result<Query<OutboxQuery>, QueryRejection>,
) -> Result<Json<Outbox>, Problem> {
    who.must_have(Right::Finance)?;
    let bad = || Problem::new(StatusCode::BAD_REQUEST, "bad_query", "Expected: after (an id) and limit (1 to 200).");
    let Query(query) = query.map_err(|_| bad())?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(bad());
    }
    let rows = app.store.messages(query.after.unwrap_or(0), limit).await?;
    Ok(Json(Outbox { messages: rows.into_iter().map(MessageView::of).collect() }))
}

/// Say that a text was sent, or will be. It is not shown in the outbox any more.
#[utoipa::path(post, path = "/api/v1/outbox/{id}/taken", tag = "agreements",
    params(("id" = i64, Path), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = Taken),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such text")))]
pub(crate) async fn taken(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Finance)?;
    let id: i64 = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let work = app.clone();
    once(app, &who, posted, async move |_| match work.store.message_taken(now_ms(), id).await? {
        true => Reply::new(StatusCode::OK, &Taken { id }),
        false => Err(Problem::NOT_FOUND),
    })
    .await
}

/// What was taken.
#[derive(Serialize, ToSchema)]
pub(crate) struct Taken {
    id: i64,
}
