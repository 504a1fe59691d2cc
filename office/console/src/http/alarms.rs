//! What people must look at of a payment's money, and that somebody has.

use super::{
    command::{Reply, once},
    manual::entry,
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{app::App, rights::Right, store::alarms::AlarmView};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use wire::{PaymentId, text_pan_like};

/// The longest note.
const NOTE_CHARS_MAX: usize = 500;

/// What somebody has found.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeenBody {
    /// In words; at most 500 characters.
    note: Option<String>,
}

/// What is known of a payment's alarms.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alarms {
    /// The oldest first.
    alarms: Vec<AlarmView>,
}

/// Say that you have looked at an alarm of a payment. It does not wait for people any more, and stays with the payment with
/// who, when and what they found.
#[utoipa::path(post, path = "/api/v1/payments/{id}/alarms/{alarm}/seen", tag = "finance", request_body = Option<SeenBody>,
    params(("id" = String, Path, description = "UUID"), ("alarm" = i64, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Alarms),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such alarm"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`looks_like_card`, `bad_field`")))]
pub(crate) async fn seen(
    State(app): State<Arc<App>>,
    who: Principal,
    Path((id, alarm)): Path<(String, String)>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Finance)?;
    let SeenBody { note } = posted.json_or_default("note (text)")?;
    let note = note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    check(note.as_deref())?;
    let payment: PaymentId = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let alarm: i64 = alarm.parse().map_err(|_| Problem::NOT_FOUND)?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |_| {
        let entry = entry(&name, "alarm_seen", "ok", Some(payment));
        if !work.store.alarm_seen(payment, alarm, note.as_deref(), &entry).await? {
            return Err(Problem::NOT_FOUND);
        }
        Reply::new(StatusCode::OK, &Alarms { alarms: work.store.alarms(payment).await? })
    })
    .await
}

/// Of free text that people type.
pub(super) fn check(note: Option<&str>) -> Result<(), Problem> {
    let Some(note) = note else { return Ok(()) };
    if text_pan_like(note) {
        return Err(Problem::LOOKS_LIKE_CARD);
    }
    let fits = note.chars().count() <= NOTE_CHARS_MAX && !note.chars().any(|c| c.is_control() && c != '\n');
    if fits { Ok(()) } else { Err(Problem::unprocessable("bad_field", "A note has at most 500 printable characters.")) }
}
