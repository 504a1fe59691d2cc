//! Live calls, and their lines.

use super::{
    command::{Asked, Reply, ask, once},
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{app::App, view::CallView};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use wire::{Action, CallId, LineState};

/// The live calls of the user's extension.
#[derive(Serialize, ToSchema)]
pub(crate) struct Calls {
    calls: Vec<CallView>,
}

/// The live calls of the user's extension.
#[utoipa::path(get, path = "/api/v1/calls", tag = "calls", responses((status = 200, body = Calls)))]
pub(crate) async fn list(State(app): State<Arc<App>>, who: Principal) -> Json<Calls> {
    Json(Calls { calls: app.hub(|hub| hub.calls(who.extension())) })
}

/// Secure the line. The answer comes when the media plane has confirmed it.
#[utoipa::path(post, path = "/api/v1/calls/{call}/secure", tag = "calls",
    params(("call" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = CallView, description = "Secured"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such call of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`"),
    (status = 504, body = ProblemBody, content_type = "application/problem+json", description = "`media_timeout`")))]
pub(crate) async fn secure(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(call): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    line(app, who, &call, posted, Action::Secure).await
}

/// Begin to release the line. It opens by the unmasking rule: once every key has ended and quiet seconds have passed.
#[utoipa::path(post, path = "/api/v1/calls/{call}/release", tag = "calls",
    params(("call" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = CallView, description = "Releasing has begun"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such call of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(call): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    line(app, who, &call, posted, Action::Release).await
}

/// Have the recorders elsewhere asked again to pause, after one of them has not. The answer comes when they are being asked; what
/// becomes of it is shown with the call.
#[utoipa::path(post, path = "/api/v1/calls/{call}/recorders/pause", tag = "calls",
    params(("call" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = CallView, description = "They are being asked, or have paused already"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such call of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`: `wrong_state` where the line is open, or no recorder is to pause"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn pause_recorders(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(call): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let call = own(&app, &who, &call)?.call;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let (app, who) = (work, name);
        let (what, action) = ("pause_recorders", Action::PauseRecorders);
        ask(&app, &who, Asked { seed, call, payment: None, what, action }).await?;
        let gone = Problem::new(StatusCode::CONFLICT, "unknown_call", "The call has ended.");
        let view = app.hub(|hub| hub.call_of(call, who.extension())).ok_or(gone)?;
        Reply::new(StatusCode::OK, &view)
    })
    .await
}

async fn line(app: Arc<App>, who: Principal, call: &str, posted: Posted, action: Action) -> Result<Reply, Problem> {
    let call = own(&app, &who, call)?.call;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let (app, who) = (work, name);
        let secure = action == Action::Secure;
        let what = if secure { "secure" } else { "release" };
        ask(&app, &who, Asked { seed, call, payment: None, what, action }).await?;
        let shown = move |line| if secure { line == LineState::Secured } else { line != LineState::Secured };
        app.until(|hub| hub.call_of(call, who.extension()).is_none_or(|view| shown(view.line))).await;
        let gone = Problem::new(StatusCode::CONFLICT, "unknown_call", "The call has ended.");
        let view = app.hub(|hub| hub.call_of(call, who.extension())).ok_or(gone)?;
        Reply::new(StatusCode::OK, &view)
    })
    .await
}

/// A live call of the user's own extension; nobody learns whether there is another's.
pub(super) fn own(app: &App, who: &Principal, call: &str) -> Result<CallView, Problem> {
    let id: CallId = call.parse().map_err(|_| Problem::NOT_FOUND)?;
    app.hub(|hub| hub.call_of(id, who.extension())).ok_or(Problem::NOT_FOUND)
}
