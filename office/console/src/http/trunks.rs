//! How the trunks are: for whoever looks after the installation.

use super::{
    principal::Principal,
    problem::{Problem, ProblemBody},
};
use crate::{app::App, view::trunk::TrunkView};
use axum::{Json, extract::State};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

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
