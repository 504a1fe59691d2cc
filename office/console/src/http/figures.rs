//! How the legs of a call fare.

use super::{
    principal::Principal,
    problem::{Problem, ProblemBody},
};
use crate::{app::App, view::figures::CallFiguresView};
use axum::{
    Json,
    extract::{Path, State},
};
use std::sync::Arc;
use wire::CallId;

/// How the legs of a call fare: codec, protection, by which way keys come, packets, loss and jitter. New every five seconds while both sides are
/// connected, and once more at the end; kept for a while after that. Admins, and agents for their own live calls.
#[utoipa::path(get, path = "/api/v1/calls/{call}/figures", tag = "calls",
    params(("call" = String, Path, description = "UUID")), responses(
    (status = 200, body = CallFiguresView),
    (status = 404, body = ProblemBody, content_type = "application/problem+json",
        description = "No such call of yours, or none of its figures yet")))]
pub(crate) async fn of_call(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(call): Path<String>,
) -> Result<Json<CallFiguresView>, Problem> {
    let id: CallId = call.parse().map_err(|_| Problem::NOT_FOUND)?;
    let is_admin = who.admin().is_ok();
    let figures = app.hub(|hub| {
        let may_see = is_admin || hub.call_of(id, who.extension()).is_some();
        hub.figures_of(id).filter(|_| may_see).map(CallFiguresView::new)
    });
    figures.map(Json).ok_or(Problem::NOT_FOUND)
}
