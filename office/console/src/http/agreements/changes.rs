//! What may be done to an agreement: each change in one transaction with its row of the audit trail and the customer's text.

use super::{detail, own, terms};
use crate::{
    app::App,
    clock::now_ms,
    http::{
        command::{Reply, once},
        principal::Principal,
        problem::{Problem, ProblemBody},
        request::Posted,
    },
    recurring::{
        list::AgreementRow,
        waiting::{At, Deed},
    },
    rights::Right,
    store::audit::Entry,
    view::schema,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use jiff::civil::Date;
use recurring::{AgreementError, CatchUp};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use wire::Money;

/// Other terms for all payments that have not been taken.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AmendBody {
    terms: terms::TermsBody,
}

/// Which payment is not to be taken.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SkipBody {
    number: u32,
    /// Take one more at the end instead, where a number was agreed on.
    #[serde(default)]
    make_up: bool,
}

/// What of one payment is other than agreed on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveBody {
    number: u32,
    /// Another day, between that of the one before and that of the next; today or later.
    #[schema(value_type = Option<String>)]
    due: Option<Date>,
    /// Another amount.
    #[schema(value_type = Option<schema::Money>)]
    amount: Option<Money>,
}

/// What becomes of the payments whose day came while it was paused.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CatchUpWord {
    /// They are skipped.
    Skip,
    /// They are taken now, all of them.
    Collect,
    /// All that is left is moved: the next one is today.
    Shift,
}

/// Which payment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberBody {
    number: u32,
}

/// How it goes on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResumeBody {
    catch_up: CatchUpWord,
}

/// Agree on other terms for all payments that are to come. What was changed of single ones is forgotten.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/amend", tag = "agreements", request_body = AmendBody,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = super::AgreementDetail),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`agreement_ended` and others"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`bad_terms`")))]
pub(crate) async fn amend(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let (terms, usual) = posted.json::<AmendBody>("terms")?.terms.check()?;
    let terms = terms::with_usual_holidays(&app, terms, usual);
    change(app, who, &id, posted, Deed::Amend(terms)).await
}

/// Do not take one payment, nor try it again. One that is being asked for is not changed any more.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/skip", tag = "agreements", request_body = SkipBody,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = super::AgreementDetail),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`payment_issued` and others")))]
pub(crate) async fn skip(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let SkipBody { number, make_up } = posted.json("number, and if wanted make_up (true or false)")?;
    change(app, who, &id, posted, Deed::Skip { number, make_up }).await
}

/// Take one payment on another day, or of another amount. One that was tried is not changed any more.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/move", tag = "agreements", request_body = MoveBody,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = super::AgreementDetail),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`payment_issued`, `out_of_order` and others"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`bad_field`, `bad_terms`")))]
pub(crate) async fn r#move(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let MoveBody { number, due, amount } =
        posted.json("number, and due (a day) or amount {minor, currency} or both")?;
    if due.is_none() && amount.is_none() {
        return Err(Problem::unprocessable("bad_field", "Say a day (`due`) or an `amount`, or both."));
    }
    change(app, who, &id, posted, Deed::Move { number, due, amount }).await
}

/// Take nothing until it is resumed.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/pause", tag = "agreements",
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = super::AgreementDetail),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`agreement_ended`")))]
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    change(app, who, &id, posted, Deed::Pause).await
}

/// Go on after a pause.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/resume", tag = "agreements", request_body = ResumeBody,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = super::AgreementDetail),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`not_paused`")))]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let ResumeBody { catch_up } = posted.json("catch_up (skip, collect or shift)")?;
    let catch_up = match catch_up {
        CatchUpWord::Skip => CatchUp::Skip,
        CatchUpWord::Collect => CatchUp::Collect,
        CatchUpWord::Shift => CatchUp::Shift,
    };
    change(app, who, &id, posted, Deed::Resume(catch_up)).await
}

/// Take nothing any more. What has been asked of the bank is followed to its outcome.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/cancel", tag = "agreements",
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = super::AgreementDetail),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`agreement_ended`")))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    change(app, who, &id, posted, Deed::Cancel).await
}

/// Take a payment after all that was not taken in its time (`late`, `not_done`). It is asked for at once, and for a day.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/take", tag = "agreements", request_body = NumberBody,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = super::AgreementDetail),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`payment_not_missed`, `agreement_paused`, `agreement_ended`")))]
pub(crate) async fn take(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let NumberBody { number } = posted.json("number")?;
    change(app, who, &id, posted, Deed::Take(number)).await
}

/// Leave a payment out that was not taken in its time. It does not wait for people any more.
#[utoipa::path(post, path = "/api/v1/agreements/{id}/leave", tag = "agreements", request_body = NumberBody,
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = super::AgreementDetail),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such agreement of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`payment_not_missed`")))]
pub(crate) async fn leave(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let NumberBody { number } = posted.json("number")?;
    change(app, who, &id, posted, Deed::Leave(number)).await
}

/// Changes an agreement once for its idempotency key. Who may keep cards may change what is taken from them.
pub(super) async fn change(
    app: Arc<App>,
    who: Principal,
    id: &str,
    posted: Posted,
    deed: Deed,
) -> Result<Reply, Problem> {
    who.must_have(Right::Store).or_else(|problem| who.must_have(Right::Finance).map_err(|_| problem))?;
    let row = own(&app, &who, id).await?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |_| {
        let late_days_max = work.config.recurring.late_days_max;
        let at = At { now_ms: now_ms(), today: terms::day_in(&row.zone)?, late_days_max };
        let entry = entry(&name, deed.what(), &row);
        let changed = work.store.jobs().act(at, row.id, &deed, &entry).await?;
        changed.ok_or(Problem::NOT_FOUND)?.map_err(|error| refused(&error))?;
        Reply::new(StatusCode::OK, &detail(&work, row.id).await?)
    })
    .await
}

pub(super) fn entry<'a>(who: &Principal, what: &'a str, row: &'a AgreementRow) -> Entry<'a> {
    Entry {
        at_ms: now_ms(),
        who: who.user.email.clone(),
        api_key: who.api_key(),
        what,
        result: "done".to_owned(),
        origin: who.address.0.clone(),
        object: row.id.0.to_string(),
        extension: Some(&row.extension),
        payment: row.payment.map(|id| id.to_string()),
    }
}

fn refused(error: &AgreementError) -> Problem {
    let code = match error {
        AgreementError::Terms(_) | AgreementError::Amount | AgreementError::Past => return terms::bad_terms(error),
        AgreementError::Issued => "payment_issued",
        AgreementError::NoPayment => "no_such_payment",
        AgreementError::Ended => "agreement_ended",
        AgreementError::Paused => "agreement_paused",
        AgreementError::NotMissed => "payment_not_missed",
        AgreementError::NotPaused => "not_paused",
        AgreementError::Order => "out_of_order",
        AgreementError::TooMany => "too_many_amendments",
    };
    let Problem { detail, .. } = terms::bad_terms(error);
    Problem { detail, ..Problem::new(StatusCode::CONFLICT, code, "") }
}
