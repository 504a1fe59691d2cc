//! A command on its way from a request to the cde and back: done once, audited whatever comes of it.

use super::{principal::Principal, problem::Problem, request::Posted};
use crate::{
    app::App,
    clock::now_ms,
    door::{DoorError, Told},
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

/// What a request does once.
#[derive(Clone, Copy)]
pub(crate) struct Deed {
    /// From which ids are made: the same ones whenever the request is made again.
    pub(crate) seed: Uuid,
    /// It came with a key that is not known here. It comes for the first time, or a restore from a backup has forgotten it.
    pub(crate) is_new_key: bool,
}

/// Does the work once for its idempotency key. The work goes on when the client has gone away: what was begun is
/// finished, and its answer is kept for the next time.
pub(crate) async fn once_of<W, F>(app: Arc<App>, who: &Principal, posted: Posted, work: W) -> Result<Reply, Problem>
where
    W: FnOnce(Deed) -> F + Send + 'static,
    F: Future<Output = Result<Reply, Problem>> + Send + 'static,
{
    let user = who.user.id;
    let task = tokio::spawn(async move { claimed(&app, user, posted, work).await });
    task.await.map_err(|_| Problem::INTERNAL)?
}

/// The same, for work that needs to know no more than the seed.
pub(crate) async fn once<W, F>(app: Arc<App>, who: &Principal, posted: Posted, work: W) -> Result<Reply, Problem>
where
    W: FnOnce(Uuid) -> F + Send + 'static,
    F: Future<Output = Result<Reply, Problem>> + Send + 'static,
{
    once_of(app, who, posted, move |deed: Deed| work(deed.seed)).await
}

async fn claimed<W, F>(app: &App, user: i64, posted: Posted, work: W) -> Result<Reply, Problem>
where
    W: FnOnce(Deed) -> F,
    F: Future<Output = Result<Reply, Problem>>,
{
    let fresh = Uuid::now_v7();
    let Some(key) = &posted.key else { return work(Deed { seed: fresh, is_new_key: false }).await };
    let body_hash = sha256(&posted.body);
    let key = Key { user, path: &posted.path, key, body_hash: &body_hash };
    // Held until the end, whichever that is, and even when the work panics.
    let turn = app.turns.begin(key);
    let seed = match app.store.claim(now_ms(), key, fresh, turn.is_some()).await? {
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
    let result = work(Deed { seed, is_new_key: seed == fresh }).await;
    match &result {
        Ok(reply) => app.store.claim_done(key, reply.status.as_u16(), &reply.body).await?,
        Err(problem) if may_be_done(problem) => {}
        // That it was not sent this time says nothing of the time before, whose answer nobody has.
        Err(problem) if seed != fresh && says_nothing_of_before(problem) => return Err(Problem::NOT_KNOWN_YET),
        Err(_) => app.store.claim_void(key).await?,
    }
    result
}

/// Of this try nothing was done; that an earlier try with the same seed was not done either, it does not say: it was not
/// sent, or the cde could not look into its journal, or has that try in its hands.
pub(super) fn says_nothing_of_before(problem: &Problem) -> bool {
    problem.status == StatusCode::SERVICE_UNAVAILABLE
        || matches!(&*problem.code, "busy" | "journal_fault" | "outcome_pending" | "already_approved")
}

/// Then the key stays without an answer, and whoever comes again does the same with the same seed.
pub(super) fn may_be_done(problem: &Problem) -> bool {
    match problem.status {
        StatusCode::GATEWAY_TIMEOUT => problem.code != "media_timeout",
        status => status == StatusCode::INTERNAL_SERVER_ERROR,
    }
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
    ask_for(app, who, asked).await.map(drop)
}

/// The same, with what the cde has told before it answered.
pub(crate) async fn ask_told(app: &App, who: &Principal, asked: Asked<'_>) -> Result<Option<Told>, Problem> {
    ask_for(app, who, asked).await.map(|(_, told)| told)
}

/// The same, with the whole answer.
pub(crate) async fn ask_for(
    app: &App,
    who: &Principal,
    asked: Asked<'_>,
) -> Result<(CommandResult, Option<Told>), Problem> {
    let id = CommandId(asked.seed);
    let origin = Origin::User { id: who.user.id };
    let result = app.door.send(Command { id, call: asked.call, origin, action: asked.action }).await;
    let (counter, outcome) = match result {
        Ok((CommandResult::Refused { reason }, _)) => (&app.counters.commands_refused, Err(Problem::refused(reason))),
        Ok(done) => (&app.counters.commands_done, Ok(done)),
        Err(error) => (&app.counters.commands_failed, Err(undelivered(error))),
    };
    counter.fetch_add(1, Ordering::Relaxed);
    let entry = Entry {
        at_ms: now_ms(),
        who: who.user.email.clone(),
        api_key: who.api_key(),
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
        DoorError::Timeout => Problem::NOT_KNOWN_YET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Config,
        door::Door,
        store::tests::{Folder, store},
    };
    use tokio::sync::watch;

    async fn app() -> (Arc<App>, Folder) {
        let (store, folder) = store().await;
        let (_stop, stopping) = watch::channel(false);
        (Arc::new(App::new(Config::default(), store, Door::new().0, stopping).unwrap()), folder)
    }

    /// Serves a request with the one key, and says with which seed.
    async fn serve(app: &Arc<App>) -> Result<Uuid, Problem> {
        let reply =
            claimed(app, 1, Posted::sample("k"), async |deed: Deed| Reply::new(StatusCode::OK, &deed.seed)).await?;
        serde_json::from_str(&reply.body).map_err(|_| Problem::INTERNAL)
    }

    #[tokio::test]
    async fn a_key_is_free_again_after_a_panic() {
        let (app, _folder) = app().await;
        let broken = app.clone();
        let task =
            tokio::spawn(
                async move { claimed(&broken, 1, Posted::sample("k"), async |_| panic!("a fault of ours")).await },
            );
        assert!(task.await.is_err());
        let seed = serve(&app).await.unwrap();
        assert_eq!(serve(&app).await.unwrap(), seed, "the answer is kept");
    }

    /// Found by deaths of the office while refunds were asked for: the key was freed because the door was down, and the
    /// same key then made a second refund.
    #[tokio::test]
    async fn a_key_whose_first_try_may_have_been_done_is_not_free_when_the_second_is_not_sent() {
        let (app, _folder) = app().await;
        let (seen, see) = std::sync::mpsc::channel();
        let first = async move |deed: Deed| {
            seen.send(deed.seed).unwrap();
            Err(Problem::NOT_KNOWN_YET)
        };
        assert_eq!(claimed(&app, 1, Posted::sample("k"), first).await.err().unwrap().code, "door_timeout");
        let second = async |_| Err(Problem::DOOR_DOWN);
        assert_eq!(claimed(&app, 1, Posted::sample("k"), second).await.err().unwrap().code, "door_timeout");
        assert_eq!(serve(&app).await.unwrap(), see.recv().unwrap(), "it is the same deed");
    }

    #[tokio::test]
    async fn a_key_that_was_never_sent_is_free_again() {
        let (app, _folder) = app().await;
        let (seen, see) = std::sync::mpsc::channel();
        let work = async move |deed: Deed| {
            seen.send(deed.seed).unwrap();
            Err(Problem::DOOR_DOWN)
        };
        assert_eq!(claimed(&app, 1, Posted::sample("k"), work).await.err().unwrap().code, "door_down");
        assert_ne!(serve(&app).await.unwrap(), see.recv().unwrap());
    }

    #[tokio::test]
    async fn a_key_whose_answer_could_not_be_kept_is_done_again_with_its_seed() {
        let (app, folder) = app().await;
        folder.fill().await;
        let (seen, see) = std::sync::mpsc::channel();
        let work = async move |deed: Deed| {
            seen.send(deed.seed).unwrap();
            Reply::new(StatusCode::OK, &deed.seed)
        };
        assert_eq!(claimed(&app, 1, Posted::sample("k"), work).await.err().unwrap().code, "internal");
        assert_eq!(serve(&app).await.unwrap_err().code, "internal", "and not busy");
        folder.free().await;
        assert_eq!(serve(&app).await.unwrap(), see.recv().unwrap());
    }
}
