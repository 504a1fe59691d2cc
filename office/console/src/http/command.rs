//! A command on its way from a request to the cde and back: done once, audited whatever comes of it.

use super::{principal::Principal, problem::Problem, request::Posted};
use crate::{
    app::App,
    clock::now_ms,
    door::DoorError,
    secret::sha256,
    store::{
        audit::Entry,
        idempotency::{Claim, Key},
    },
};
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
};
use uuid::Uuid;
use wire::{Action, CallId, Command, CommandId, CommandResult, Origin, PaymentId};

/// An answer that may be given again.
pub(crate) struct Reply {
    status: StatusCode,
    body: String,
}

impl Reply {
    pub(crate) fn new<T: Serialize>(status: StatusCode, body: &T) -> Result<Self, Problem> {
        let body = serde_json::to_string(body).map_err(|_| Problem::INTERNAL)?;
        Ok(Self { status, body })
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

/// Does the work once for its idempotency key. The work goes on when the client has gone away: what was begun is
/// finished, and its answer is kept for the next time.
pub(crate) async fn once<W, F>(app: Arc<App>, who: &Principal, posted: Posted, work: W) -> Result<Reply, Problem>
where
    W: FnOnce(Uuid) -> F + Send + 'static,
    F: Future<Output = Result<Reply, Problem>> + Send + 'static,
{
    let user = who.user.id;
    let task = tokio::spawn(async move { claimed(&app, user, posted, work).await });
    task.await.map_err(|_| Problem::INTERNAL)?
}

async fn claimed<W, F>(app: &App, user: i64, posted: Posted, work: W) -> Result<Reply, Problem>
where
    W: FnOnce(Uuid) -> F,
    F: Future<Output = Result<Reply, Problem>>,
{
    let fresh = Uuid::now_v7();
    let Some(key) = &posted.key else { return work(fresh).await };
    let body_hash = sha256(&posted.body);
    let key = Key { user, path: &posted.path, key, body_hash: &body_hash };
    let seed = match app.store.claim(now_ms(), &app.instance, key, fresh).await? {
        Claim::Do(seed) => seed,
        Claim::Done(status, body) => {
            return Ok(Reply { status: StatusCode::from_u16(status).map_err(|_| Problem::INTERNAL)?, body });
        }
        Claim::Busy => {
            let detail = "The first request with this idempotency key is still being served.";
            return Err(Problem::new(StatusCode::CONFLICT, "idempotency_busy", detail).retry_after(1));
        }
        Claim::Mismatch => {
            let detail = "This idempotency key was used for another request.";
            return Err(Problem::unprocessable("idempotency_mismatch", detail));
        }
    };
    let result = work(seed).await;
    match &result {
        Ok(reply) => app.store.claim_done(key, reply.status.as_u16(), &reply.body).await?,
        Err(problem) if problem.status == StatusCode::GATEWAY_TIMEOUT && problem.code != "media_timeout" => {
            app.store.claim_open(key).await?;
        }
        Err(problem) if problem.status == StatusCode::INTERNAL_SERVER_ERROR => app.store.claim_open(key).await?,
        Err(_) => app.store.claim_void(key).await?,
    }
    result
}

/// What is asked of the cde, and about what.
pub(crate) struct Asked<'a> {
    pub(crate) seed: Uuid,
    pub(crate) call: CallId,
    pub(crate) payment: Option<PaymentId>,
    /// The audit trail's word.
    pub(crate) what: &'a str,
    pub(crate) action: Action,
}

/// Asks the cde and waits for its answer.
pub(crate) async fn ask(app: &App, who: &Principal, asked: Asked<'_>) -> Result<(), Problem> {
    let id = CommandId(asked.seed);
    let origin = Origin::User { id: who.user.id };
    let result = app.door.send(Command { id, call: asked.call, origin, action: asked.action }).await;
    let (counter, outcome) = match &result {
        Ok(CommandResult::Done) => (&app.counters.commands_done, Ok(())),
        Ok(CommandResult::Refused { reason }) => (&app.counters.commands_refused, Err(Problem::refused(*reason))),
        Err(error) => (&app.counters.commands_failed, Err(undelivered(*error))),
    };
    counter.fetch_add(1, Ordering::Relaxed);
    let entry = Entry {
        at_ms: now_ms(),
        who: who.user.email.clone(),
        what: asked.what,
        result: outcome.as_ref().err().map_or_else(|| "done".to_owned(), |problem| problem.code.clone().into_owned()),
        origin: who.address.0.clone(),
        object: asked.call.to_string(),
        extension: who.extension().map(wire::Extension::as_str),
        payment: asked.payment.map(|id| id.to_string()),
    };
    app.store.audit(&entry).await?;
    outcome
}

fn undelivered(error: DoorError) -> Problem {
    match error {
        DoorError::Down => Problem::DOOR_DOWN,
        DoorError::Busy => {
            let detail = "Too many commands are waiting for the card side. Nothing was done.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(1)
        }
        DoorError::Timeout => {
            let detail = "The card side has not answered in time. Whether it was done is shown when it is known.";
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "door_timeout", detail)
        }
    }
}
