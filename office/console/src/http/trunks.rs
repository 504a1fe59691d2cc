//! How the trunks are: for whoever looks after the installation.

use super::{
    command::{Asked, Reply, ask, once},
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{
    app::App,
    view::{testcall::TestView, trunk::TrunkView},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{Action, CallId};

/// All trunks, as the card side has shown them last.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trunks {
    /// `up` or `down`: while the connection to the card side is down, what is shown is old.
    door: &'static str,
    trunks: Vec<TrunkView>,
}

/// Every trunk: whether its places answer, whether it knows where this server is, and how many legs it has. Admins only.
#[utoipa::path(get, path = "/api/v1/trunks", tag = "trunks", responses(
    (status = 200, body = Trunks),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`")))]
pub(crate) async fn list(State(app): State<Arc<App>>, who: Principal) -> Result<Json<Trunks>, Problem> {
    who.admin()?;
    let (door_up, trunks) = app.hub(|hub| (hub.door_is_up(), hub.trunks().map(TrunkView::new).collect()));
    Ok(Json(Trunks { door: if door_up { "up" } else { "down" }, trunks }))
}

/// Call the trunk's `test_number`, which stands in `cde.toml`, and nothing else. The answer comes when the test has begun; it takes up to some forty
/// seconds. Admins only.
#[utoipa::path(post, path = "/api/v1/trunks/{trunk}/test-call", tag = "trunks",
    params(("trunk" = String, Path, description = "Its name"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 202, body = Begun, description = "Begun"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json",
        description = "`unknown_trunk`, `no_test_number`, or `busy`: another test goes on"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(trunk): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.admin()?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let action = Action::TestCall { trunk: trunk.clone() };
        let asked = Asked { seed, call: CallId(Uuid::nil()), payment: None, what: "test_call", action };
        ask(&work, &name, asked).await?;
        Reply::new(StatusCode::ACCEPTED, &Begun { trunk })
    })
    .await
}

/// A test call has begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct Begun {
    /// Of which trunk.
    trunk: String,
}

/// The newest test call of a trunk, step by step in plain words. Admins only.
#[utoipa::path(get, path = "/api/v1/trunks/{trunk}/test-call", tag = "trunks",
    params(("trunk" = String, Path, description = "Its name")), responses(
    (status = 200, body = TestView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "There was none")))]
pub(crate) async fn tested(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(trunk): Path<String>,
) -> Result<Json<TestView>, Problem> {
    who.admin()?;
    app.hub(|hub| hub.test_of(&trunk).map(TestView::new)).map(Json).ok_or(Problem::NOT_FOUND)
}
