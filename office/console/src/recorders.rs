//! Recorders that are no part of Tonewall and hear what it does not mask, such as one on the agent's PC: they are asked to pause
//! while a line is not open, and to resume afterwards. The old way, and the weak one: that a recorder has paused is known from
//! nothing but its own word.
//!
//! # Invariants
//! - What is to be said is worked out from what the card side shows of its calls, and stands in the database before it is said.
//! - To one recorder one thing is said at a time about a call, and what is not wanted any more has no effect when its answer comes.
//! - Nobody is told to resume what another call may want paused: the same agent's, leg's or customer's call.
//! - What a pause may have reached is told to resume until it says that it does, over restarts; and not before the line is known to
//!   be open, or the call over.
//! - No word has more of a call than its ids. Secrets are read for each request and are in no message.
//!
//! # Layout
//! - `config`: `[[recorder]]`. `template`: their URLs and bodies. `request`: one request. The rows are in `store::recorders`.

pub(crate) mod config;
mod request;
mod template;

use crate::{
    app::App,
    clock::now_ms,
    store::{
        StoreError,
        recorders::{Asked, Due, Key, Standing},
    },
};
pub use config::Recorder;
pub(crate) use request::{Answer, Event, Word};
use reqwest::Client;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use uuid::Uuid;
use wire::{Action, CallId, Command, CommandId, Extension, HookSnapshot, HookState, Origin};

/// Requests at a time, of all recorders: while so many are under way, none goes beyond its own share of them.
const REQUESTS_MAX: usize = 64;
/// Those of them that tell to resume: a recorder that is slow to do so keeps nobody from pausing.
const RESUMES_MAX: usize = 32;
/// Before a recorder is told again to resume; doubled each time.
const AGAIN_MIN_MS: i64 = 1_000;
const AGAIN_MAX_MS: i64 = 300_000;
/// When it has not resumed after so many times, about half a minute, people are told.
const ALARM_TRIES: i64 = 5;
/// How often is looked at least, and at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// How long requests may go on when the process is to stop.
const STOP_WAIT: Duration = Duration::from_secs(9);

/// A call that the card side shows with recorders that are to pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) call: CallId,
    pub(crate) extension: Extension,
    pub(crate) hook: HookSnapshot,
}

impl Wanted {
    fn asked(&self) -> Asked<'_> {
        let (names, round) = (&self.hook.names, self.hook.round);
        Asked { call: self.call, extension: &self.extension, names, round }
    }

    /// Would it be news to the card side?
    fn needs(&self, standing: Standing) -> bool {
        match (self.hook.state, standing) {
            (_, Standing::Waiting) | (HookState::NotAsked | HookState::Paused, _) => false,
            (HookState::Asked, _) => true,
            (HookState::NotPaused, standing) => standing == Standing::Paused,
        }
    }
}

/// What a task of the keeper has done.
enum Done {
    Said(Key),
    Told(CallId, bool),
}

/// Keeps them until the process is to stop.
pub(crate) async fn keep(app: Arc<App>) {
    let clients = app.config.recorder.iter().filter_map(|recorder| match request::client(recorder) {
        Ok(client) => Some((recorder.name.clone(), client)),
        Err(message) => {
            tracing::error!(recorder = recorder.name, message, "a recorder cannot be asked to pause");
            None
        }
    });
    let clients = clients.collect();
    let whole = app.config.recorder.iter().filter(|recorder| recorder.resumes_all());
    let whole = whole.map(|recorder| recorder.name.clone()).collect();
    let (busy, asked, told) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (share, seen, tasks) = (Share::of(app.config.recorder.len()), None, JoinSet::new());
    let mut keeper = Keeper { app: app.clone(), clients, busy, share, whole, asked, told, seen, tasks };
    let (mut stop, mut news) = (app.stop.clone(), app.watch());
    while !*stop.borrow() {
        let wait = match keeper.look().await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "recorders wait: the database does not do its part");
                LOOK_EVERY
            }
        };
        keeper.wait(wait, &mut stop, &mut news).await;
        // Whatever else has come by then is looked at with it.
        sleep(LOOK_PAUSE).await;
        while let Some(done) = keeper.tasks.try_join_next() {
            keeper.done(done.ok());
        }
    }
    let ending = async { while keeper.tasks.join_next().await.is_some() {} };
    if timeout(STOP_WAIT, ending).await.is_err() {
        tracing::warn!("a recorder is still being asked: the next process asks it again");
    }
}

/// How many requests of one recorder may be under way. All have the same, so that one that is dead takes nothing from the others. What
/// others do not use of theirs may be used to pause; they have it all the same when they need it, so that there may be twice as many in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    all: usize,
    resumes: usize,
}

impl Share {
    fn of(recorders: usize) -> Self {
        let recorders = recorders.max(1);
        let resumes = (RESUMES_MAX / recorders).max(1);
        // Whatever is to resume, one may pause.
        Self { all: (REQUESTS_MAX / recorders).max(resumes + 1), resumes }
    }

    /// Beside what is being said to that recorder, while so much is being said to all of them?
    fn has_room(self, of_all: usize, said: impl Iterator<Item = Word>, word: Word) -> bool {
        let (own, resumes) =
            said.fold((0, 0), |(own, resumes), said| (own + 1, resumes + usize::from(said == Word::Resume)));
        match word {
            Word::Pause => own < self.all || of_all < REQUESTS_MAX,
            Word::Resume => own < self.all && resumes < self.resumes,
        }
    }
}

struct Keeper {
    app: Arc<App>,
    clients: BTreeMap<String, Client>,
    /// What is being said to whom.
    busy: BTreeMap<Key, Event>,
    /// What each recorder may have of the requests.
    share: Share,
    /// Who is not told which recording is to resume, by name.
    whole: BTreeSet<String>,
    /// The times of asking that have their rows.
    asked: BTreeMap<CallId, (u32, Extension)>,
    /// What the card side is being told, or was.
    told: BTreeMap<CallId, (u32, Standing)>,
    /// What the card side had shown when it was looked at last.
    seen: Option<(Vec<Wanted>, bool)>,
    tasks: JoinSet<Done>,
}

impl Keeper {
    /// Until there is something to look at, but not longer than that.
    async fn wait(&mut self, wait: Duration, stop: &mut watch::Receiver<bool>, news: &mut watch::Receiver<u64>) {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                Some(done) = self.tasks.join_next() => return self.done(done.ok()),
                () = sleep_until(until) => return,
                changed = news.changed() => {
                    // Most of what calls do is of no interest here.
                    if changed.is_err() || self.seen != Some(self.app.hub(|hub| (hub.wanted(), hub.is_caught_up()))) {
                        return;
                    }
                }
            }
        }
    }

    /// Brings the rows to what is wanted, says what is due, tells the card side. How long may be waited?
    async fn look(&mut self) -> Result<Duration, StoreError> {
        let (wanted, alive, is_caught_up) = self.app.hub(|hub| (hub.wanted(), hub.call_ids(), hub.is_caught_up()));
        self.seen = Some((wanted.clone(), is_caught_up));
        self.pause(&wanted).await?;
        if is_caught_up {
            self.resume(&wanted, &alive).await?;
        }
        let now = now_ms();
        let whole: Vec<&str> = self.whole.iter().map(String::as_str).collect();
        for due in self.app.store.recorders_due(now, &whole).await? {
            // Whether its line is open the card side must say; a call that is over stays so.
            let may_resume = is_caught_up || due.ended;
            if (due.event.word == Word::Pause || may_resume) && !self.must_wait(&due) {
                self.say(due);
            }
        }
        self.tell(&wanted).await?;
        let next = self.app.store.recorders_next(now).await?.map_or(LOOK_EVERY, |at| {
            Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0)).max(LOOK_PAUSE)
        });
        Ok(next.min(LOOK_EVERY))
    }

    async fn pause(&mut self, wanted: &[Wanted]) -> Result<(), StoreError> {
        for one in wanted {
            let time = (one.hook.round, one.extension.clone());
            if self.asked.get(&one.call) == Some(&time) {
                continue;
            }
            let recorders = self.app.config.recorder.iter().filter(|recorder| recorder.has(one.extension.as_str()));
            let names: Vec<&str> = recorders.map(|recorder| recorder.name.as_str()).collect();
            self.app.store.recorders_pause(now_ms(), one.asked(), &names).await?;
            self.asked.insert(one.call, time);
        }
        Ok(())
    }

    /// All that the card side has is known: what it does not want to pause is to resume.
    async fn resume(&mut self, wanted: &[Wanted], alive: &[CallId]) -> Result<(), StoreError> {
        let wants: BTreeSet<CallId> = wanted.iter().map(|one| one.call).collect();
        self.asked.retain(|call, _| wants.contains(call));
        self.told.retain(|call, _| wants.contains(call));
        let wants: BTreeSet<String> = wants.iter().map(ToString::to_string).collect();
        let alive: BTreeSet<String> = alive.iter().map(ToString::to_string).collect();
        for call in self.app.store.recorders_pausing().await?.iter().filter(|call| !wants.contains(*call)) {
            self.app.store.recorders_resume(now_ms(), call, !alive.contains(call)).await?;
        }
        for call in self.app.store.recorders_resuming().await?.iter().filter(|call| !alive.contains(*call)) {
            self.app.store.recorders_ended(call).await?;
        }
        Ok(())
    }

    /// Is something being said that must be answered first? A pause comes after a resume that may be of the same recording, or that
    /// resume could be heard last.
    fn must_wait(&self, due: &Due) -> bool {
        let is_resume = |event: &Event| event.word == Word::Resume;
        let said = self.busy.iter().filter(|(key, _)| key.recorder == due.key.recorder).map(|(_, event)| event.word);
        if !self.share.has_room(self.busy.len(), said, due.event.word) {
            return true;
        }
        let is_whole = self.whole.contains(&due.key.recorder);
        let is_in_the_way = |(key, event): (&Key, &Event)| {
            key.recorder == due.key.recorder
                && is_resume(event)
                && (is_whole || event.may_be_of_the_recording_of(&due.event))
        };
        self.busy.contains_key(&due.key) || due.event.word == Word::Pause && self.busy.iter().any(is_in_the_way)
    }

    fn say(&mut self, due: Due) {
        let client = self.clients.get(&due.key.recorder).cloned();
        self.busy.insert(due.key.clone(), due.event.clone());
        let (app, whole) = (self.app.clone(), self.whole.clone());
        self.tasks.spawn(async move {
            let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
            if let Err(error) = said(&app, client, &due, &whole).await {
                tracing::error!(%error, "what a recorder has answered could not be stored: it is asked again");
            }
            Done::Said(due.key)
        });
    }

    async fn tell(&mut self, wanted: &[Wanted]) -> Result<(), StoreError> {
        // Those who have paused have nothing more to say.
        for one in wanted.iter().filter(|one| one.hook.state != HookState::Paused) {
            let standing = self.app.store.recorders_stand(one.asked()).await?;
            let news = (one.hook.round, standing);
            if !one.needs(standing) || self.told.get(&one.call) == Some(&news) {
                continue;
            }
            self.told.insert(one.call, news);
            let (app, call) = (self.app.clone(), one.call);
            let round = one.hook.round;
            let action = match standing {
                Standing::NotPaused(why) => Action::RecordersNotPaused { round, why },
                Standing::Paused | Standing::Waiting => Action::RecordersPaused { round },
            };
            self.tasks.spawn(async move {
                let command = Command { id: CommandId(Uuid::now_v7()), call, origin: Origin::System, action };
                let mut stop = app.stop.clone();
                let is_told = tokio::select! {
                    answered = app.door.send(command) => answered.is_ok(),
                    _ = stop.wait_for(|stop| *stop) => false,
                };
                Done::Told(call, is_told)
            });
        }
        Ok(())
    }

    fn done(&mut self, done: Option<Done>) {
        match done {
            Some(Done::Said(key)) => drop(self.busy.remove(&key)),
            // It is said again.
            Some(Done::Told(call, false)) => drop(self.told.remove(&call)),
            Some(Done::Told(_, true)) => {}
            None => tracing::error!("asking a recorder ended by a fault"),
        }
    }
}

/// Says it, and stores what came of it.
async fn said(app: &App, client: Option<Client>, due: &Due, whole: &[&str]) -> Result<(), StoreError> {
    let recorder = app.config.recorder.iter().find(|recorder| recorder.name == due.key.recorder);
    let Some(recorder) = recorder else { return gone(app, due).await };
    if !app.store.recorder_begins(due, whole).await? {
        return Ok(());
    }
    let answer = match &client {
        Some(client) => request::say(client, recorder, &due.event, now_ms()).await,
        None => Answer::Misconfigured,
    };
    let (now, name, call) = (now_ms(), &recorder.name, &due.key.call);
    if due.event.word == Word::Pause {
        tracing::info!(recorder = name, %call, ?answer, "a recorder was asked to pause");
        return app.store.recorder_paused(now, due, answer).await;
    }
    match answer.trouble() {
        None => app.store.recorder_resumed(now, due, "done").await,
        // Of a call that is over there may be nothing that could go on.
        Some(_) if answer == Answer::Gone && due.ended => app.store.recorder_resumed(now, due, "gone").await,
        Some(trouble) => {
            let tries = due.tries.saturating_add(1);
            let alarm = tries == ALARM_TRIES;
            if alarm {
                tracing::error!(recorder = name, %call, ?trouble, "a recorder has not resumed: it may not be recording");
            }
            app.store.recorder_not_resumed(now, due, (now.saturating_add(again_ms(tries)), alarm), trouble).await
        }
    }
}

/// It is not in the file any more: nobody knows how to ask it.
async fn gone(app: &App, due: &Due) -> Result<(), StoreError> {
    if due.event.word == Word::Pause {
        return app.store.recorder_paused(now_ms(), due, Answer::Misconfigured).await;
    }
    tracing::error!(
        recorder = due.key.recorder,
        call = due.key.call,
        "a recorder that is to resume is not in office.toml any more"
    );
    app.store.recorder_resumed(now_ms(), due, "not in office.toml").await
}

/// After so many tries.
fn again_ms(tries: i64) -> i64 {
    let doublings = u32::try_from(tries.saturating_sub(1).clamp(0, 16)).unwrap_or(0);
    AGAIN_MIN_MS.saturating_mul(1_i64 << doublings).min(AGAIN_MAX_MS)
}

/// What is wrong with the recorders, in plain words.
pub(crate) async fn warnings(app: &App) -> Vec<String> {
    let now = now_ms();
    let figures = app.store.recorder_figures().await.unwrap_or_default();
    let mut warnings: Vec<String> = figures
        .alarmed
        .iter()
        .map(|(recorder, calls, since)| {
            let minutes = now.saturating_sub(*since) / 60_000;
            format!("recorder {recorder} has not said that it resumes after {calls} calls, the first {minutes} min ago: it may not be recording")
        })
        .collect();
    if figures.pausing > 0 && !app.hub(|hub| hub.door_is_up()) {
        warnings.push(format!("{} recorders stay paused until the card side says what its lines are", figures.pausing));
    }
    warnings
}

/// Whether what the recorders need is there, and what about them is weak; for `tonewall check`.
///
/// # Errors
/// The recorder, and what is wrong with it.
pub async fn check_recorders(config: &crate::Config) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for recorder in &config.recorder {
        let name = &recorder.name;
        request::check(recorder).await.map_err(|message| format!("[[recorder]] {name}: {message}"))?;
        warnings.extend(recorder.warnings().into_iter().map(|warning| format!("recorder {name}: {warning}")));
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recorder_has_its_share_of_requests_and_one_to_pause() {
        let share = |recorders| (Share::of(recorders).all, Share::of(recorders).resumes);
        assert_eq!([0, 1, 2, 3].map(share), [(64, 32), (64, 32), (32, 16), (21, 10)]);
        assert_eq!([32, 64].map(share), [(2, 1), (2, 1)], "however many there are");
        let (share, said) = (Share::of(32), |words: &'static [Word]| words.iter().copied());
        let has_room = |of_all, words, word| share.has_room(of_all, said(words), word);
        assert!(has_room(64, &[], Word::Resume) && has_room(64, &[Word::Resume], Word::Pause));
        assert!(!has_room(1, &[Word::Resume], Word::Resume), "a resume is in no such haste");
        assert!(!has_room(64, &[Word::Pause, Word::Resume], Word::Pause));
        assert!(has_room(63, &[Word::Pause, Word::Resume], Word::Pause), "others do not use what they may");
    }

    #[test]
    fn it_is_told_again_later_each_time_and_for_ever() {
        assert_eq!([1, 2, 3, 5, 9, 10, 1000].map(again_ms), [1_000, 2_000, 4_000, 16_000, 256_000, 300_000, 300_000]);
    }
}
