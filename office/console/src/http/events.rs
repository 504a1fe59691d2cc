//! Everything the desk shows, as server-sent events that go on where a broken connection stopped.

use super::{
    principal::Principal,
    problem::{Problem, ProblemBody},
};
use crate::{
    app::App,
    hub::{Resume, Sent},
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::stream;
use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, Interval, MissedTickBehavior, interval},
};

/// Where the events are.
pub(super) const PATH: &str = "/api/v1/events";
/// How often a stream says that it is alive.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// How often a stream asks whether its session or key is still good: the command line, which may revoke a key, is another
/// process and can wake nobody here.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Live events of the user's extension: `snapshot`, `call`, `call_ended`, `proof`, `payment`, `door`. With
/// `Last-Event-ID` the missed ones are sent again; if they are not kept any more, a `snapshot` comes instead. A `tick`
/// comes each second, so that a desk can tell a stream that carries nothing from one that is dead.
#[utoipa::path(get, path = PATH, tag = "calls",
    params(("Last-Event-ID" = Option<String>, Header)), responses(
    (status = 200, body = String, content_type = "text/event-stream"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`too_many_streams`")))]
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    who: Principal,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let full = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", "Too many desks watch at once.");
    let permit = app.streams.clone().try_acquire_owned().map_err(|_| full.retry_after(5))?;
    let watching = Watching {
        after: last_event(&headers, &app.instance),
        queue: VecDeque::new(),
        newest: app.watch(),
        stop: app.stop.clone(),
        sign_outs: app.sign_outs.subscribe(),
        checked: Instant::now(),
        tick: every(TICK_EVERY),
        who,
        app,
        _permit: permit,
    };
    let events = stream::unfold(watching, async |mut watching| {
        let event = watching.next().await?;
        Some((Ok::<_, Infallible>(event), watching))
    });
    Ok(([("x-accel-buffering", "no"), ("cache-control", "no-store")], Sse::new(events)).into_response())
}

/// Comes for the first time when the period is over, and after a stall not all at once.
fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}

/// Where the client stopped, if that was with this run of the office.
fn last_event(headers: &HeaderMap, instance: &str) -> Option<u64> {
    let id = headers.get("last-event-id")?.to_str().ok()?;
    let (theirs, number) = id.rsplit_once('-')?;
    number.parse().ok().filter(|_| theirs == instance)
}

/// One desk that watches. Nothing is kept for it: it reads from the hub's ring, and starts anew when it is too slow.
struct Watching {
    /// The number of the last event it has; `None` when it needs a snapshot.
    after: Option<u64>,
    queue: VecDeque<Event>,
    newest: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    sign_outs: watch::Receiver<u64>,
    checked: Instant,
    tick: Interval,
    who: Principal,
    app: Arc<App>,
    _permit: OwnedSemaphorePermit,
}

impl Watching {
    /// The next event; none when the process stops or the session is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if *self.stop.borrow() {
                return None;
            }
            if !self.still_theirs().await {
                return None;
            }
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            self.newest.mark_unchanged();
            if self.fill() {
                continue;
            }
            tokio::select! {
                changed = self.newest.changed() => changed.ok()?,
                _ = self.stop.changed() => {}
                _ = self.sign_outs.changed() => self.sign_outs.mark_changed(),
                _ = self.tick.tick() => return Some(tick()),
            }
        }
    }

    /// Is whoever watches still let in? Asked before an event goes out, and not only while there is none: a busy stream
    /// never waits.
    async fn still_theirs(&mut self) -> bool {
        let told = self.sign_outs.has_changed().unwrap_or(false);
        if !told && self.checked.elapsed() < CHECK_EVERY {
            return true;
        }
        self.sign_outs.mark_unchanged();
        self.checked = Instant::now();
        self.who.still(&self.app).await
    }

    /// Takes what is new from the hub; says whether there was anything.
    fn fill(&mut self) -> bool {
        let extension = self.who.extension();
        let resume = self.after.map_or(Resume::Snapshot, |after| self.app.hub(|hub| hub.resume(after, extension)));
        match resume {
            Resume::Snapshot => {
                let (number, data) = self.app.hub(|hub| hub.snapshot(extension));
                self.queue.push_back(event(&self.app.instance, number, "snapshot", &data));
                self.after = Some(number);
                true
            }
            Resume::Events(events, seen) => {
                let moved = self.after != Some(seen);
                self.after = Some(seen);
                let instance = &self.app.instance;
                self.queue
                    .extend(events.iter().map(|Sent { number, name, data }| event(instance, *number, name, data)));
                moved
            }
        }
    }
}

/// Without an id: it is no part of what is replayed, and a desk that comes back goes on from the event before it.
fn tick() -> Event {
    Event::default().event("tick").data("{}")
}

fn event(instance: &str, number: u64, name: &str, data: &str) -> Event {
    Event::default().id(format!("{instance}-{number}")).event(name).data(data)
}
