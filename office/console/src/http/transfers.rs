//! The line secured on demand: a code that the agent's PBX transfers the caller to, once and soon.

use super::{
    command::{Asked, ask_for},
    payments::{self, order::NewPaymentBody},
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{app::App, clock::rfc3339, view::CallView};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{Action, CallId, CommandResult, PaymentId, WayIn};

/// What the transfer is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTransferBody {
    /// A payment that is started when caller and agent speak again; without it none is.
    #[serde(default)]
    payment: Option<NewPaymentBody>,
    /// True: Tonewall itself is to be added to a conference of the PBX's, where **the agent can hear the keys**. Only where
    /// `cde.toml` allows it.
    #[serde(default)]
    conference: bool,
}

const EXPECTED: &str =
    "payment {amount {minor, currency}, and the rest as of a payment on a call}, or null; conference true or false";

const OTHER_CODE: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "other_code",
    "The card side has not confirmed that its code is for what was asked. It is given to nobody. Ask again; if that does not help, run both sides from the same build.",
);

/// What may be asked for here.
#[derive(Serialize, ToSchema)]
pub(crate) struct TransferWays {
    /// A trunk's agents may take payments in conferences, in which they can hear the keys.
    conference: bool,
}

/// Which ways there are beside the transfer. A conference is there only where `on_demand.conference` of a trunk says so.
#[utoipa::path(get, path = "/api/v1/transfers", tag = "calls", responses((status = 200, body = TransferWays)))]
pub(crate) async fn ways(State(app): State<Arc<App>>, _who: Principal) -> Json<TransferWays> {
    Json(TransferWays { conference: app.hub(|hub| hub.trunks().any(|trunk| trunk.conferences)) })
}

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
    /// The caller's keys pass through the PBX, with its recorder and its network, before they come to Tonewall: those are in
    /// scope. Null where the call is not shown here yet.
    keys_cross_pbx: Option<bool>,
    /// UUID: the payment that will be started.
    #[schema(value_type = Option<String>)]
    payment: Option<PaymentId>,
}

/// Ask for a code to transfer a caller to: the caller is taken, the line secured, and the agent called back on their own
/// extension. With `conference` the code is for a conference that Tonewall is to be added to: nothing is masked there, and **the agent
/// can hear the keys** (integrate/conference.md). The answer is given once and kept nowhere, so it takes no idempotency key; a new code replaces the one before.
#[utoipa::path(post, path = "/api/v1/transfers", tag = "calls", request_body = NewTransferBody, responses(
    (status = 201, body = TransferView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right` to the payment"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "You have no extension"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`: `not_on_demand`, `no_conferences` and others"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`looks_like_card` and others"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`, `other_code`")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Principal,
    posted: Posted,
) -> Result<(StatusCode, Json<TransferView>), Problem> {
    let body = match posted.body.is_empty() {
        true => NewTransferBody { payment: None, conference: false },
        false => posted.json::<NewTransferBody>(EXPECTED)?,
    };
    let order = body.payment.map(NewPaymentBody::check).transpose()?;
    // What was begun is finished, also when the client has gone away.
    let conference = body.conference;
    let task = tokio::spawn(async move { created(&app, &who, order, conference).await });
    let view = task.await.map_err(|_| Problem::INTERNAL)??;
    Ok((StatusCode::CREATED, Json(view)))
}

async fn created(
    app: &App,
    who: &Principal,
    order: Option<payments::order::Order>,
    conference: bool,
) -> Result<TransferView, Problem> {
    let extension = who.extension().ok_or(Problem::NOT_FOUND)?.clone();
    let (call, seed) = (CallId(Uuid::now_v7()), Uuid::now_v7());
    let payment = match order {
        Some(order) => Some(payments::store(app, who, call, order, seed).await?),
        None => None,
    };
    let (payment, is_new) = payment.map_or((None, true), |(order, is_new)| (Some(order), is_new));
    let id = payment.as_ref().map(|order| order.payment);
    let action = Action::AwaitTransfer { extension, payment, conference };
    let what = if conference { "conference" } else { "transfer" };
    let answered = ask_for(app, who, Asked { seed, call, payment: id, what, action }).await;
    let problem = match answered {
        Ok((CommandResult::Awaiting { code, until_unix_ms }, _)) => {
            let (transfer_to, dial, expires_at) = (code.user, code.number, rfc3339(until_unix_ms));
            app.until(|hub| hub.call_of(call, who.extension()).is_some()).await;
            let shown = app.hub(|hub| hub.call_of(call, who.extension()));
            if is_as_asked(shown.as_ref(), conference) {
                let keys_cross_pbx = shown.map(|call| call.keys_cross_pbx);
                return Ok(TransferView { call, transfer_to, dial, expires_at, keys_cross_pbx, payment: id });
            }
            tracing::error!("the code that the cde has made is not of what was asked for, and is given to nobody");
            OTHER_CODE
        }
        Ok(_) => Problem::INTERNAL,
        Err(problem) => problem,
    };
    if let Some(id) = id {
        payments::refused(app, id, is_new, &problem).await?;
    }
    Err(problem)
}

/// Only what the cde shows of the call says which code it has made: one for a caller who joins a conference would be shown as
/// secured, though everybody hears the keys.
fn is_as_asked(shown: Option<&CallView>, conference: bool) -> bool {
    shown.map_or(!conference, |call| (call.way == WayIn::Conference) == conference)
}
