//! The SIP messages of calls, for whoever looks after the trunks.

use super::{
    command::{Asked, ask_told},
    principal::Principal,
    problem::{Problem, ProblemBody},
};
use crate::{
    app::App,
    door::Told,
    view::ladder::{LadderSummaryView, LadderView, text},
};
use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::IntoResponse,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{Action, CallId, Ladder};

/// Calls whose SIP messages are kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ladders {
    ladders: Vec<LadderSummaryView>,
}

/// The calls whose SIP messages are kept, the newest first: those that stand, and what is over and still in memory. Admins only.
#[utoipa::path(get, path = "/api/v1/ladders", tag = "trunks", responses(
    (status = 200, body = Ladders),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn list(State(app): State<Arc<App>>, who: Principal) -> Result<Json<Ladders>, Problem> {
    who.admin()?;
    let asked = Asked {
        seed: Uuid::now_v7(),
        call: CallId(Uuid::nil()),
        payment: None,
        what: "ladders",
        action: Action::Ladders,
    };
    let Some(Told::Ladders(ladders)) = ask_told(&app, &who, asked).await? else { return Err(Problem::INTERNAL) };
    Ok(Json(Ladders { ladders: ladders.into_iter().map(LadderSummaryView::new).collect() }))
}

/// The SIP messages of a call that stands or is over since not long: of both legs, with times and peers. Passwords, keys and codes are not in them,
/// nor what callers key. Admins only; the audit trail has who looked.
#[utoipa::path(get, path = "/api/v1/calls/{call}/ladder", tag = "trunks",
    params(("call" = String, Path, description = "UUID")), responses(
    (status = 200, body = LadderView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "Nothing is kept of such a call"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn of_call(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(call): Path<String>,
) -> Result<Json<LadderView>, Problem> {
    Ok(Json(LadderView::new(ladder(&app, &who, &call).await?)))
}

/// The same as a text. Admins only.
#[utoipa::path(get, path = "/api/v1/calls/{call}/ladder.txt", tag = "trunks",
    params(("call" = String, Path, description = "UUID")), responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "Nothing is kept of such a call")))]
pub(crate) async fn as_text(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(call): Path<String>,
) -> Result<impl IntoResponse, Problem> {
    let ladder = ladder(&app, &who, &call).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text(&ladder)))
}

async fn ladder(app: &App, who: &Principal, call: &str) -> Result<Ladder, Problem> {
    who.admin()?;
    let call: CallId = call.parse().map_err(|_| Problem::NOT_FOUND)?;
    let asked = Asked { seed: Uuid::now_v7(), call, payment: None, what: "ladder", action: Action::Ladder };
    match ask_told(app, who, asked).await {
        Ok(Some(Told::Ladder(ladder))) => Ok(ladder),
        Ok(_) => Err(Problem::INTERNAL),
        Err(problem) if problem.code == "unknown_call" => Err(Problem::NOT_FOUND),
        Err(problem) => Err(problem),
    }
}
