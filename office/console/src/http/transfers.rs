//! The line secured on demand: a code that the agent's PBX transfers the caller to, once and soon.

use super::{
    command::{Asked, ask_for},
    payments::{self, order::NewPaymentBody},
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{app::App, clock::rfc3339};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{Action, CallId, CommandResult, PaymentId};

/// What the transfer is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTransferBody {
    /// A payment that is started when caller and agent speak again; without it none is.
    #[serde(default)]
    payment: Option<NewPaymentBody>,
}

const EXPECTED: &str = "payment {amount {minor, currency}, and the rest as of a payment on a call}, or null";

/// Where to transfer the caller to.
#[derive(Serialize, ToSchema)]
pub(crate) struct TransferView {
    /// UUID: the call that it will be. It is among the calls from now on, `awaited`.
    #[schema(value_type = String)]
    call: CallId,
    /// What stands before the `@` of Tonewall's SIP address. Good once.
    transfer_to: String,
    /// The same to be dialed by keys, where cde.toml has a number for that.
    dial: Option<String>,
    /// RFC 3339: it is good until then, or until the agent asks for another.
    expires_at: String,
    /// UUID: the payment that will be started.
    #[schema(value_type = Option<String>)]
    payment: Option<PaymentId>,
}

/// Ask for a code to transfer a caller to: the caller is taken, the line secured, and the agent called back on their own
/// extension. The answer is given once and kept nowhere, so it takes no idempotency key; a new code replaces the one before.
#[utoipa::path(post, path = "/api/v1/transfers", tag = "calls", request_body = NewTransferBody, responses(
    (status = 201, body = TransferView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right` to the payment"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "You have no extension"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`: `not_on_demand` and others"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`looks_like_card` and others"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Principal,
    posted: Posted,
) -> Result<(StatusCode, Json<TransferView>), Problem> {
    let body = match posted.body.is_empty() {
        true => NewTransferBody { payment: None },
        false => posted.json::<NewTransferBody>(EXPECTED)?,
    };
    let order = body.payment.map(NewPaymentBody::check).transpose()?;
    // What was begun is finished, also when the client has gone away.
    let task = tokio::spawn(async move { created(&app, &who, order).await });
    let view = task.await.map_err(|_| Problem::INTERNAL)??;
    Ok((StatusCode::CREATED, Json(view)))
}

async fn created(app: &App, who: &Principal, order: Option<payments::order::Order>) -> Result<TransferView, Problem> {
    let extension = who.extension().ok_or(Problem::NOT_FOUND)?.clone();
    let (call, seed) = (CallId(Uuid::now_v7()), Uuid::now_v7());
    let payment = match order {
        Some(order) => Some(payments::store(app, who, call, order, seed).await?),
        None => None,
    };
    let id = payment.as_ref().map(|order| order.payment);
    let action = Action::AwaitTransfer { extension, payment };
    let answered = ask_for(app, who, Asked { seed, call, payment: id, what: "transfer", action }).await;
    let problem = match answered {
        Ok((CommandResult::Awaiting { code, until_unix_ms }, _)) => {
            let (transfer_to, dial, expires_at) = (code.user, code.number, rfc3339(until_unix_ms));
            return Ok(TransferView { call, transfer_to, dial, expires_at, payment: id });
        }
        Ok(_) => Problem::INTERNAL,
        Err(problem) => problem,
    };
    if let Some(id) = id {
        payments::refused(app, id, &problem).await?;
    }
    Err(problem)
}
