//! Cards on file: charged while the caller is there, forgotten, and said to be deleted by hand where a gateway does not do it. A card is named by its token; what was agreed on with its
//! holder is charged by the scheduler, not here.

use super::{
    alarms,
    command::{Asked, Deed, Reply, ask, may_be_done, once, once_of, says_nothing_of_before},
    forgotten,
    manual::entry,
    payments::{self, money::Finding, order::NewPaymentBody},
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{
    app::App,
    clock::now_ms,
    rights::Right,
    store::{
        audit::Entry,
        finance::{DeletionSaid, SaidOfDeletion, Second},
    },
    view::{PaymentView, schema},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{
    Action, CallId, Credential, Found, Initiator, PaymentId, PaymentOrder, Reason, Refusal, StoredCharge, Token,
};

/// How long the card side may have a command in hand until its record is written.
const RECORD_WAIT_MS: i64 = 10 * 60 * 1000;

/// A card that is forgotten.
#[derive(Serialize, ToSchema)]
pub(crate) struct ForgottenBody {
    /// It charges nothing any more, and is never given out again.
    #[schema(value_type = String)]
    token: Token,
}

/// Take money from a card on file, its holder asking for it. Nobody keys anything: `fields`, `avs`, `partial` and `repeat`
/// are refused, and `store` says nothing here. The card was kept at the user's own desk, or the user has `finance`.
/// The answer comes when the attempt is safely written down; its outcome is that of the payment.
#[utoipa::path(post, path = "/api/v1/cards/{token}/charge", tag = "cards", request_body = NewPaymentBody,
    params(("token" = String, Path, description = "As a payment's `token`"), ("Idempotency-Key" = String, Header)),
    responses((status = 202, body = PaymentView),
    (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "`idempotency_key_missing`"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such card of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`unknown_token`, `vault_fault`, `restored_repeat` and others"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`, `catching_up`")))]
pub(crate) async fn charge(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(token): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let token: Token = token.parse().map_err(|_| Problem::NOT_FOUND)?;
    if posted.key.is_none() {
        let detail = "Send an `Idempotency-Key` header, a new UUID for each charge, and the same one when you ask again: \
                      without it a charge that is asked for again is taken twice.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_missing", detail));
    }
    own(&app, &who, &token).await?;
    let (order, besides) = posted.json::<NewPaymentBody>(NewPaymentBody::EXPECTED)?.check_charge()?;
    let extension = who.extension().ok_or(Problem::NOT_FOUND)?.clone();
    let (work, name) = (app.clone(), who.clone());
    once_of(app, &who, posted, async move |Deed { seed, is_new_key }| {
        let app = work;
        if is_new_key {
            order.rights().into_iter().try_for_each(|right| name.must_have(right))?;
            forgotten::charge(&app, payments::parts::surcharged(&app, &order)?, &besides).await?;
        }
        let call = CallId(seed);
        let (order, is_new) = payments::store(&app, &name, call, order, seed).await?;
        let PaymentOrder { payment, amount, merchant, capture, purpose, .. } = order;
        let credential = Credential {
            initiator: Initiator::Customer,
            reason: purpose.unwrap_or(Reason::Unscheduled),
            first: false,
            network_transaction_id: None,
        };
        let charge = StoredCharge { payment, extension, merchant, token, amount, capture, credential };
        let action = Action::ChargeStored(charge);
        let asked = Asked { seed, call, payment: Some(payment), what: "charge_stored", action };
        if let Err(problem) = ask(&app, &name, asked).await {
            payments::refused(&app, payment, is_new, &problem).await?;
            return Err(problem);
        }
        Reply::new(StatusCode::ACCEPTED, &payments::show(&app, payment).await?)
    })
    .await
}

/// Forget a card on file. When the answer comes it can be charged no more, and a vault that had it has shredded it. A gateway
/// that had it is asked to delete it, again and again until it says that it has: the audit trail has `card_forgetting` until
/// then, and `card_forgotten` from then on.
#[utoipa::path(post, path = "/api/v1/cards/{token}/forget", tag = "cards",
    params(("token" = String, Path, description = "As a payment's `token`"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = ForgottenBody),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such card of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`unknown_token` and others"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn forget(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(token): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Store)?;
    let token: Token = token.parse().map_err(|_| Problem::NOT_FOUND)?;
    own(&app, &who, &token).await?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let action = Action::DeleteStored { merchant: work.config.merchant.clone(), token: token.clone() };
        ask(&work, &name, Asked { seed, call: CallId(seed), payment: None, what: "forget_card", action }).await?;
        Reply::new(StatusCode::OK, &ForgottenBody { token })
    })
    .await
}

/// What somebody has found, at a gateway that does not delete a card.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletedBody {
    /// Is it deleted there? `not_done` takes back what one person has said.
    #[schema(value_type = schema::Found)]
    found: Found,
    /// Where and how it was deleted, in words, at most 500 characters; the first of two must say.
    reason: Option<String>,
}

/// Say that you have deleted a card by hand, in the gateway's own dashboard: the card is being forgotten, and its gateway refuses to
/// delete it, cannot, or is not used any more. It counts when a second person says the same; the gateway is not asked any more then.
/// It is never shown as the gateway's word: `card_deletion` of the payment has both names. From the second person's word on nothing can be
/// taken back (`word_on_its_way`), unless the card side refuses it.
#[utoipa::path(post, path = "/api/v1/cards/{token}/deleted", tag = "cards", request_body = DeletedBody,
    params(("token" = String, Path, description = "As `card_deletion` of a payment has it"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = Finding, description = "It stands"),
    (status = 202, body = Finding, description = "Noted; a second person must confirm that it was deleted"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such card"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "`not_forgetting`, `gateway_is_asked`, `card_gone_already`, `word_on_its_way`, `two_people` and others"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`reason_missing`, `looks_like_card`, `bad_field`"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn deleted(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(token): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Finance)?;
    let DeletedBody { found, reason } = posted.json("found (done or not_done), reason (text)")?;
    let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    alarms::check(reason.as_deref())?;
    let token: Token = token.parse().map_err(|_| Problem::NOT_FOUND)?;
    let payment = app.store.payment_of_card(&token).await?.ok_or(Problem::NOT_FOUND)?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let (app, user) = (work, name.user.id);
        let entry = Entry {
            object: token.to_string(),
            ..entry(&name, "deleted_by_hand", &word(found, reason.as_deref()), Some(payment))
        };
        let on_its_way_after_ms = on_its_way_after(&app);
        let said = SaidOfDeletion { token: &token, found, reason: reason.as_deref(), user, on_its_way_after_ms };
        match app.store.deletion_said(now_ms(), said, &entry).await? {
            DeletionSaid::NoCard => Err(Problem::NOT_FOUND),
            DeletionSaid::NotForgetting => Err(Problem::refused(Refusal::NotForgetting)),
            DeletionSaid::Gone => {
                let detail = "The card is gone already: nobody needs to say so.";
                Err(Problem::new(StatusCode::CONFLICT, "card_gone_already", detail))
            }
            DeletionSaid::NoReason => {
                let detail =
                    "Say where and how it was deleted (`reason`): another person must find it gone, and confirm it.";
                Err(Problem::unprocessable("reason_missing", detail))
            }
            DeletionSaid::Noted => Reply::new(StatusCode::ACCEPTED, &Finding { settled: false }),
            DeletionSaid::OnItsWay => {
                let detail = "A second person has confirmed it, and their word is on its way to the card side: nothing can be taken \
                              back. Look at the payment again in ten minutes: if it is not gone by then, say this again.";
                Err(Problem::new(StatusCode::CONFLICT, "word_on_its_way", detail))
            }
            DeletionSaid::Second(second) => {
                confirm(&app, &name, (seed, payment, token), second).await?;
                Reply::new(StatusCode::OK, &Finding { settled: true })
            }
        }
    })
    .await
}

/// A second person's word that was sent after this may still come back as a record. While records may be missing here, any may.
fn on_its_way_after(app: &App) -> i64 {
    if app.hub(|hub| hub.is_caught_up()) { now_ms().saturating_sub(RECORD_WAIT_MS) } else { i64::MIN }
}

/// Tells the card side what two people say. What it does not take may be taken back again.
async fn confirm(
    app: &App,
    who: &Principal,
    (seed, payment, token): (Uuid, PaymentId, Token),
    Second { first, merchant, is_again }: Second,
) -> Result<(), Problem> {
    let action = Action::DeletedByHand { merchant, token: token.clone(), proposed_by: first };
    let asked = Asked { seed, call: CallId(seed), payment: Some(payment), what: "deleted_by_hand", action };
    let answer = ask(app, who, asked).await;
    let is_taken = |problem: &Problem| may_be_done(problem) || (is_again && says_nothing_of_before(problem));
    if answer.as_ref().is_err_and(|problem| !is_taken(problem)) {
        app.store.deletion_not_taken(&token).await?;
    }
    answer
}

/// As the audit trail has it.
fn word(found: Found, reason: Option<&str>) -> String {
    match (found, reason) {
        (Found::NotDone, _) => "not deleted".to_owned(),
        (Found::Done, None) => "deleted".to_owned(),
        (Found::Done, Some(reason)) => format!("deleted: {reason}"),
    }
}

/// A card is charged and forgotten by the desk that it was kept at, and by who looks after the money.
async fn own(app: &App, who: &Principal, token: &Token) -> Result<(), Problem> {
    if who.user.rights.has(Right::Finance) {
        return Ok(());
    }
    let extension = app.store.keeper_of(token).await?;
    let is_mine = extension.is_some_and(|extension| payments::is_mine(who, &extension));
    if is_mine { Ok(()) } else { Err(Problem::NOT_FOUND) }
}
