//! What is done with money that was approved: captures, voids, refunds, and what people settle. The call may be long gone.

use super::{own, show};
use crate::{
    app::App,
    clock::now_ms,
    http::{
        command::{Asked, Deed, Reply, ask, once, once_of},
        forgotten,
        principal::Principal,
        problem::{Problem, ProblemBody},
        request::Posted,
    },
    rights::Right,
    store::payments::AttemptView,
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
use uuid::Uuid;
use wire::{Action, AttemptId, AttemptKind, Found, Money, Outcome, PaymentId, Refusal};

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
    once_of(app, &who, posted, async move |Deed { seed, is_new_key }| {
        let (app, id) = (work, row.id);
        let (what, action) = action(id);
        if is_new_key {
            forgotten::follow_up(&app, &action).await?;
        }
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

/// Say what becomes of an approval whose address or security code do not match. One that is not kept is given back: voided,
/// or refunded where its gateway does not void it or has declined to. It waits for people until that is done; whoever
/// rejects it again after a decline asks for the refund.
#[utoipa::path(post, path = "/api/v1/payments/{id}/review", tag = "payments", request_body = ReviewBody,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = PaymentView, description = "It is kept"),
    (status = 202, body = PaymentView, description = "It is being given back"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`no_review`, `outcome_pending` and others")))]
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
        let attempts = app.store.attempts(id).await?;
        // What this very request has begun before its answer got lost does not stand in its own way.
        let own = [seed, instead(seed)].map(|id| id.to_string());
        let gives_back = |it: &&AttemptView| matches!(it.kind, AttemptKind::Void | AttemptKind::Refund);
        let is_open = |it: &AttemptView| !it.outcome.as_ref().is_some_and(Outcome::is_known);
        if attempts.iter().filter(gives_back).any(|it| is_open(it) && !own.contains(&it.id)) {
            return Err(Problem::refused(Refusal::OutcomePending));
        }
        if accept {
            app.store.review_accepted(id, &audit(&name, "review", "accepted", &row)).await?;
        } else {
            reject(&app, &name, &row, seed, &attempts).await?;
        }
        let status = if accept { StatusCode::OK } else { StatusCode::ACCEPTED };
        Reply::new(status, &show(&app, id).await?)
    })
    .await
}

/// Gives a payment back. Of money that was taken a gateway may not void anything, which some say before and some only
/// when they are asked. That nothing is given back twice is the journal's care.
async fn reject(
    app: &App,
    who: &Principal,
    row: &PaymentRow,
    seed: Uuid,
    attempts: &[AttemptView],
) -> Result<(), Problem> {
    let (call, payment, what) = (row.call, row.id, "review_reject");
    let is_taken = row.captured.minor > 0;
    let is_declined = |it: &AttemptView| matches!(it.outcome, Some(Outcome::Declined { .. }));
    if !(is_taken && attempts.iter().any(|it| it.kind == AttemptKind::Void && is_declined(it))) {
        let action = Action::Void { payment };
        match ask(app, who, Asked { seed, call, payment: Some(payment), what, action }).await {
            Err(problem) if is_taken && matches!(&*problem.code, "not_voidable" | "unsupported") => {}
            answered => return answered,
        }
    }
    let action = Action::Refund { payment, amount: None };
    ask(app, who, Asked { seed: instead(seed), call, payment: Some(payment), what, action }).await
}

/// The seed of what is done instead of another thing: the same one whenever the request is made again.
fn instead(seed: Uuid) -> Uuid {
    Uuid::from_u128(seed.as_u128() ^ 1)
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
    pub(crate) settled: bool,
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
    /// Oldest first: approvals to look at, attempts that two people must settle, and payments with alarms (`alarms_open`).
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
        api_key: who.api_key(),
        what,
        result: result.to_owned(),
        origin: who.address.0.clone(),
        object: row.id.to_string(),
        extension: who.extension().map(wire::Extension::as_str),
        payment: Some(row.id.to_string()),
    }
}
