//! What is done with money that was approved: captures, voids, refunds, and what people settle. The call may be long gone.

use super::{own, show};
use crate::{
    app::App,
    clock::now_ms,
    http::{
        command::{Asked, Reply, ask, once},
        principal::Principal,
        problem::{Problem, ProblemBody},
        request::Posted,
    },
    rights::Right,
    view::{PaymentRow, PaymentView, schema},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use wire::{Action, AttemptId, Found, Money, PaymentId};

/// How much to take of what was reserved.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureBody {
    /// Without it, all that is left.
    #[schema(value_type = Option<schema::Money>)]
    amount: Option<Money>,
    /// Give what is left back: no other capture follows. So it is anyhow after all that is left.
    #[serde(default)]
    last: bool,
}

/// How much to give back of what was taken.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundBody {
    /// Without it, all that is left.
    #[schema(value_type = Option<schema::Money>)]
    amount: Option<Money>,
}

/// Take money that was reserved: all of it, or a part. The answer comes when the attempt is safely written down; its
/// outcome is among the payment's `attempts`.
#[utoipa::path(post, path = "/api/v1/payments/{id}/capture", tag = "payments", request_body = Option<CaptureBody>,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = PaymentView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`")))]
pub(crate) async fn capture(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Preauthorize)?;
    let CaptureBody { amount, last } = posted.json_or_default("amount {minor, currency} and last (true or false)")?;
    follow_up(app, who, &id, posted, move |payment| ("capture", Action::Capture { payment, amount, last })).await
}

/// Give a whole payment back before it is settled.
#[utoipa::path(post, path = "/api/v1/payments/{id}/void", tag = "payments",
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = PaymentView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`")))]
pub(crate) async fn void(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Refund)?;
    follow_up(app, who, &id, posted, |payment| ("void", Action::Void { payment })).await
}

/// Give money back: all that was taken, or a part.
#[utoipa::path(post, path = "/api/v1/payments/{id}/refund", tag = "payments", request_body = Option<RefundBody>,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = PaymentView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`")))]
pub(crate) async fn refund(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Refund)?;
    let RefundBody { amount } = posted.json_or_default("amount {minor, currency}")?;
    follow_up(app, who, &id, posted, move |payment| ("refund", Action::Refund { payment, amount })).await
}

async fn follow_up(
    app: Arc<App>,
    who: Principal,
    id: &str,
    posted: Posted,
    action: impl FnOnce(PaymentId) -> (&'static str, Action) + Send + 'static,
) -> Result<Reply, Problem> {
    let row = own(&app, &who, id).await?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let (app, id) = (work, row.id);
        let (what, action) = action(id);
        ask(&app, &name, Asked { seed, call: row.call, payment: Some(id), what, action }).await?;
        Reply::new(StatusCode::ACCEPTED, &show(&app, id).await?)
    })
    .await
}

/// What somebody says of an approval that a rule has held up.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewBody {
    /// Keep the payment; otherwise it is given back.
    accept: bool,
}

/// Say what becomes of an approval whose address or security code do not match.
#[utoipa::path(post, path = "/api/v1/payments/{id}/review", tag = "payments", request_body = ReviewBody,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = PaymentView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`no_review` and others")))]
pub(crate) async fn review(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Finance)?;
    let ReviewBody { accept } = posted.json("accept (true or false)")?;
    let row = own(&app, &who, &id).await?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let (app, id) = (work, row.id);
        if row.review.as_deref() != Some("wanted") {
            let detail = "Nobody is asked to look at this payment.";
            return Err(Problem::new(StatusCode::CONFLICT, "no_review", detail));
        }
        if !accept {
            let action = Action::Void { payment: id };
            ask(&app, &name, Asked { seed, call: row.call, payment: Some(id), what: "review_reject", action }).await?;
        }
        let word = if accept { "accepted" } else { "rejected" };
        app.store.review_ended(id, word, &audit(&name, "review", word, &row)).await?;
        Reply::new(StatusCode::OK, &show(&app, id).await?)
    })
    .await
}

/// What somebody has found out, at the gateway or the bank, of an attempt.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettleBody {
    /// Was it done there?
    #[schema(value_type = schema::Found)]
    found: Found,
}

/// What becomes of a finding.
#[derive(Serialize, ToSchema)]
pub(crate) struct Finding {
    /// Did a second person confirm it? Then it stands.
    settled: bool,
}

/// Say what became of an attempt whose gateway cannot be asked. It counts when a second person says the same.
#[utoipa::path(post, path = "/api/v1/payments/{id}/attempts/{attempt}/settle", tag = "payments",
    request_body = SettleBody, params(("id" = String, Path, description = "UUID"),
    ("attempt" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Finding, description = "It stands"),
    (status = 202, body = Finding, description = "A second person must confirm it"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`two_people`, `gateway_is_asked` and others")))]
pub(crate) async fn settle(
    State(app): State<Arc<App>>,
    who: Principal,
    Path((id, attempt)): Path<(String, String)>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Finance)?;
    let SettleBody { found } = posted.json("found (done or not_done)")?;
    let row = own(&app, &who, &id).await?;
    let attempt: AttemptId = attempt.parse().map_err(|_| Problem::NOT_FOUND)?;
    if !row.needs_people {
        return Err(Problem::new(StatusCode::CONFLICT, "nothing_to_settle", "Nobody needs to settle this payment."));
    }
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let (app, user) = (work, name.user.id);
        let word = if found == Found::Done { "done" } else { "not_done" };
        let entry = audit(&name, "finding", word, &row);
        let Some(proposed_by) = app.store.finding(now_ms(), attempt, word, user, &entry).await? else {
            return Reply::new(StatusCode::ACCEPTED, &Finding { settled: false });
        };
        let action = Action::Settle { payment: row.id, attempt, found, proposed_by };
        ask(&app, &name, Asked { seed, call: row.call, payment: Some(row.id), what: "settle", action }).await?;
        Reply::new(StatusCode::OK, &Finding { settled: true })
    })
    .await
}

/// What waits for people.
#[derive(Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// Oldest first: approvals to look at, and attempts that two people must settle.
    payments: Vec<PaymentView>,
}

/// Everything about money that waits for people.
#[utoipa::path(get, path = "/api/v1/finance", tag = "payments", responses(
    (status = 200, body = Waiting),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`")))]
pub(crate) async fn waiting(State(app): State<Arc<App>>, who: Principal) -> Result<Json<Waiting>, Problem> {
    who.must_have(Right::Finance)?;
    let rows = app.store.waiting_for_people().await?;
    Ok(Json(Waiting { payments: app.hub(|hub| rows.iter().map(|row| hub.show(row)).collect()) }))
}

fn audit<'a>(who: &'a Principal, what: &'a str, result: &str, row: &PaymentRow) -> crate::store::audit::Entry<'a> {
    crate::store::audit::Entry {
        at_ms: now_ms(),
        who: who.user.email.clone(),
        what,
        result: result.to_owned(),
        origin: who.address.0.clone(),
        object: row.id.to_string(),
        extension: who.extension().map(wire::Extension::as_str),
        payment: Some(row.id.to_string()),
    }
}
