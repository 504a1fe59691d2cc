//! Recorders elsewhere: small ones on this machine that are slow, refuse, break and die, and what the office makes of that.

use crate::{World, call, call_path, cde::Link};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::IntoResponse,
};
use console::Config;
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, Once},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};
use wire::{
    Action, CallEnd, CallNames, CallSnapshot, Command, CommandResult, Event, FromCde, HookRule, HookSnapshot,
    HookState, HookTrouble, LineState, Refusal,
};

const WAIT: Duration = Duration::from_secs(20);

/// What a recorder was told.
#[derive(Clone, Debug)]
struct Heard {
    at: Instant,
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: String,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn event(&self) -> String {
        self.json()["event"].as_str().unwrap().to_owned()
    }
}

#[derive(Default)]
struct Behavior {
    heard: Vec<Heard>,
    status: u16,
    says: String,
    delay: Duration,
}

/// An HTTP recorder.
struct Recorder {
    at: SocketAddr,
    behavior: Arc<Mutex<Behavior>>,
    task: JoinHandle<()>,
}

type Shared = Arc<Mutex<Behavior>>;

async fn serve(
    State(behavior): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let body = String::from_utf8_lossy(&body).into_owned();
    let heard = Heard { at: Instant::now(), method, uri: uri.to_string(), headers, body };
    let (status, says, delay) = {
        let mut behavior = behavior.lock().unwrap();
        behavior.heard.push(heard);
        (behavior.status, behavior.says.clone(), behavior.delay)
    };
    tokio::time::sleep(delay).await;
    (StatusCode::from_u16(status).unwrap(), says)
}

impl Recorder {
    async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), Shared::default()).await
    }

    async fn start_at(at: SocketAddr, behavior: Shared) -> Self {
        let listener = tokio::net::TcpListener::bind(at).await.unwrap();
        let at = listener.local_addr().unwrap();
        behavior.lock().unwrap().status = 200;
        let router = Router::new().fallback(serve).with_state(behavior.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { at, behavior, task }
    }

    /// It dies. Nobody is there any more.
    async fn stop(self) -> (SocketAddr, Shared) {
        self.task.abort();
        let _ = self.task.await;
        (self.at, self.behavior)
    }

    fn does(&self, change: impl FnOnce(&mut Behavior)) {
        change(&mut self.behavior.lock().unwrap());
    }

    fn heard(&self) -> Vec<Heard> {
        self.behavior.lock().unwrap().heard.clone()
    }

    fn events(&self) -> Vec<String> {
        self.heard().iter().map(Heard::event).collect()
    }

    /// Waits until it has been told this, in this order.
    async fn told(&self, events: &[&str]) {
        let end = Instant::now() + WAIT;
        while self.events() != events {
            assert!(Instant::now() < end, "told {:?}, expected {events:?}", self.events());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// It has the longest time to answer that there is: only who wants a recorder to be late takes less.
    fn table(&self, more: &str) -> String {
        format!(
            "[[recorder]]\nname = \"r{}\"\nurl = \"http://{}/hook\"\ntimeout_ms = 8000\n{more}\n",
            self.at.port(),
            self.at
        )
    }
}

/// An office with these recorders.
async fn office(tables: &str) -> World {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rustls::crypto::aws_lc_rs::default_provider().install_default()));
    let mut world = World::new().await;
    world.stop().await;
    world.restart_with(|config| config.recorder = Config::parse(tables).unwrap().recorder).await;
    world
}

fn hooked(state: HookState, round: u32, line: LineState) -> CallSnapshot {
    let names = CallNames { customer: "c0ffee-17".parse().ok(), ..CallNames::default() };
    let (rule, holds_payment) = (HookRule::Required, !matches!(state, HookState::NotAsked | HookState::Paused));
    let hook = HookSnapshot { rule, round, state, holds_payment, trouble: None, names };
    CallSnapshot { hook: Some(hook), line, ..call(1, "1001") }
}

fn asked(round: u32) -> CallSnapshot {
    hooked(HookState::Asked, round, LineState::Secured)
}

fn paused(round: u32) -> CallSnapshot {
    hooked(HookState::Paused, round, LineState::Secured)
}

fn opened(round: u32) -> CallSnapshot {
    hooked(HookState::NotAsked, round, LineState::Open)
}

/// The cde has one call, and everything that there is to tell is told.
async fn linked(world: &World, call: CallSnapshot) -> Link {
    let link = world.cde.accept(vec![call]).await;
    link.say(FromCde::CaughtUp).await;
    link
}

/// What the office says of its recorders next; it is taken.
async fn word(link: &mut Link) -> Action {
    let command: Command = link.command().await;
    link.done(&command).await;
    command.action
}

/// Asked and paused.
async fn pause(link: &mut Link, round: u32) {
    link.call(asked(round)).await;
    assert_eq!(word(link).await, Action::RecordersPaused { round });
    link.call(paused(round)).await;
}

async fn audit_has(world: &World, what: &str) {
    let end = Instant::now() + WAIT;
    loop {
        let found = crate::database(world.config().database.parent().unwrap());
        if found.windows(what.len()).any(|bytes| bytes == what.as_bytes()) {
            return;
        }
        assert!(Instant::now() < end, "no {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_recorder_is_paused_while_the_line_is_masked_and_resumed_when_it_is_open() {
    let recorder = Recorder::start().await;
    let world = office(&recorder.table("")).await;
    let mut link = linked(&world, opened(0)).await;
    pause(&mut link, 1).await;
    assert_eq!(recorder.events(), ["pause"]);
    link.call(hooked(HookState::Paused, 1, LineState::Releasing)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(recorder.events(), ["pause"], "the line is still masked");
    link.call(opened(1)).await;
    recorder.told(&["pause", "resume"]).await;
    let [pause, resume] = [0, 1].map(|at| recorder.heard()[at].json());
    assert_eq!((pause["agent"].as_str(), pause["customer_call"].as_str()), (Some("1001"), Some("c0ffee-17")));
    assert_ne!(pause["id"], resume["id"]);
    assert!(resume["sequence"].as_i64() > pause["sequence"].as_i64());
    audit_has(&world, "recorder_resumed").await;
}

/// What broke: a recorder on the agent's PC was told to resume after the call that they had transferred away, while they took another card.
#[tokio::test]
async fn a_recorder_of_an_agent_who_takes_another_card_is_not_told_to_resume() {
    let recorder = Recorder::start().await;
    let world = office(&recorder.table("")).await;
    let mut link = linked(&world, opened(0)).await;
    pause(&mut link, 1).await;
    let other = |shown: CallSnapshot| CallSnapshot { call: call(2, "1001").call, ..shown };
    link.call(CallSnapshot { extension: "1002".parse().unwrap(), ..asked(2) }).await;
    assert_eq!(word(&mut link).await, Action::RecordersPaused { round: 2 });
    link.call(CallSnapshot { extension: "1002".parse().unwrap(), ..paused(2) }).await;
    link.call(other(asked(1))).await;
    assert_eq!(word(&mut link).await, Action::RecordersPaused { round: 1 });
    link.call(other(paused(1))).await;
    link.call(CallSnapshot { extension: "1002".parse().unwrap(), ..opened(2) }).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(recorder.events(), ["pause", "pause", "pause"], "a card is being keyed");
    link.call(other(opened(1))).await;
    recorder.told(&["pause", "pause", "pause", "resume", "resume", "resume"]).await;
}

#[tokio::test]
async fn without_a_recorder_for_the_agent_it_is_said_that_there_is_none() {
    let recorder = Recorder::start().await;
    let world = office(&recorder.table("extensions = [\"20xx\"]")).await;
    let mut link = linked(&world, asked(1)).await;
    let why = HookTrouble::NoRecorder;
    assert_eq!(word(&mut link).await, Action::RecordersNotPaused { round: 1, why });
    assert!(recorder.heard().is_empty());
}

#[tokio::test]
async fn each_way_of_not_pausing_has_its_word() {
    let recorder = Recorder::start().await;
    let table = recorder.table("paused_when = \"paused\"\npause_done = [429]");
    let world = office(&table.replace("timeout_ms = 8000", "timeout_ms = 4000")).await;
    let mut link = linked(&world, opened(0)).await;
    let mut round = 0;
    let refused = Some(HookTrouble::Refused);
    for (status, says, delay_ms, trouble) in [
        (403, "paused", 0, refused),
        (500, "paused", 0, refused),
        (302, "paused", 0, refused),
        (200, "in-progress", 0, refused),
        (200, "paused", 60_000, Some(HookTrouble::TimedOut)),
        (201, "it is paused now", 0, None),
        (429, "it was before", 0, None),
    ] {
        round += 1;
        recorder.does(|behavior| {
            (behavior.status, behavior.says, behavior.delay) =
                (status, says.to_owned(), Duration::from_millis(delay_ms));
        });
        link.call(asked(round)).await;
        let expected = match trouble {
            Some(why) => Action::RecordersNotPaused { round, why },
            None => Action::RecordersPaused { round },
        };
        assert_eq!(word(&mut link).await, expected, "{status} {says}");
    }
    assert_eq!(recorder.heard().len(), 7, "each time of asking is one request");
    let why = HookTrouble::Unreachable;
    recorder.stop().await;
    link.call(asked(8)).await;
    assert_eq!(word(&mut link).await, Action::RecordersNotPaused { round: 8, why });
}

#[tokio::test]
async fn all_of_them_must_have_paused() {
    let (one, other) = (Recorder::start().await, Recorder::start().await);
    other.does(|behavior| behavior.status = 503);
    let world = office(&(one.table("") + &other.table(""))).await;
    let mut link = linked(&world, asked(1)).await;
    assert_eq!(word(&mut link).await, Action::RecordersNotPaused { round: 1, why: HookTrouble::Refused });
    other.does(|behavior| behavior.status = 204);
    link.call(asked(2)).await;
    assert_eq!(word(&mut link).await, Action::RecordersPaused { round: 2 });
    link.call(opened(2)).await;
    one.told(&["pause", "pause", "resume"]).await;
    other.told(&["pause", "pause", "resume"]).await;
}

#[tokio::test]
async fn what_a_pause_has_never_reached_is_not_told_to_resume() {
    let (refuses, dead) = (Recorder::start().await, Recorder::start().await);
    refuses.does(|behavior| behavior.status = 404);
    let tables = refuses.table("") + &dead.table("");
    let (at, behavior) = dead.stop().await;
    let world = office(&tables).await;
    let mut link = linked(&world, asked(1)).await;
    assert!(matches!(word(&mut link).await, Action::RecordersNotPaused { .. }));
    let dead = Recorder::start_at(at, behavior).await;
    link.call(opened(1)).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(refuses.events(), ["pause"]);
    assert!(dead.heard().is_empty());
}

#[tokio::test]
async fn a_recorder_that_does_not_resume_is_told_again_until_it_does_and_people_are_told() {
    let recorder = Recorder::start().await;
    let world = office(&recorder.table("")).await;
    let mut link = linked(&world, opened(0)).await;
    pause(&mut link, 1).await;
    recorder.does(|behavior| behavior.status = 500);
    link.call(opened(1)).await;
    let resumes = || recorder.heard().into_iter().filter(|heard| heard.event() == "resume").collect::<Vec<_>>();
    let desk = world.desk("amy").await;
    let end = Instant::now() + WAIT;
    while resumes().len() < 5 {
        assert!(Instant::now() < end, "{} times", resumes().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    audit_has(&world, "recorder_not_resumed").await;
    let ready = desk.get("/readyz").await.text;
    assert!(ready.contains("has not said that it resumes") && ready.contains("may not be recording"), "{ready}");
    assert!(desk.get("/metrics").await.text.contains("tonewall_recorder_hooks_late 1"));
    let ids: std::collections::BTreeSet<String> =
        resumes().iter().map(|heard| heard.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "a repetition is the same event");
    recorder.does(|behavior| behavior.status = 200);
    while desk.get("/metrics").await.text.contains("tonewall_recorder_hooks_resuming 1") {
        assert!(Instant::now() < end + WAIT, "it is not told again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!desk.get("/readyz").await.text.contains("has not said"));
}

/// What broke: whatever one recorder did not answer took the requests of all.
#[tokio::test]
async fn a_recorder_that_does_not_answer_keeps_no_other_from_resuming() {
    let (dead, alive) = (Recorder::start().await, Recorder::start().await);
    let world = office(&(dead.table("") + &alive.table(""))).await;
    let calls: Vec<(u128, String)> = (1..=50).map(|n| (n, (1000 + n).to_string())).collect();
    let of = |(n, extension): &(u128, String), shown: CallSnapshot| {
        let CallSnapshot { call, extension, .. } = call(*n, extension);
        CallSnapshot { call, extension, ..shown }
    };
    let mut link = world.cde.accept(calls.iter().map(|one| of(one, opened(0))).collect()).await;
    link.say(FromCde::CaughtUp).await;
    for one in &calls {
        link.call(of(one, asked(1))).await;
        assert_eq!(word(&mut link).await, Action::RecordersPaused { round: 1 });
        link.call(of(one, paused(1))).await;
    }
    dead.does(|behavior| behavior.delay = Duration::from_secs(60));
    let began = Instant::now();
    for one in &calls {
        link.call(of(one, opened(1))).await;
    }
    let resumes = |recorder: &Recorder| -> Vec<Instant> {
        recorder.heard().iter().filter(|heard| heard.event() == "resume").map(|heard| heard.at).collect()
    };
    while resumes(&alive).len() < calls.len() {
        assert!(began.elapsed() < Duration::from_secs(40), "{} of {} resume", resumes(&alive).len(), calls.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Long before the first of them times out: however slow this machine is, that makes no room for another.
    let at_once = resumes(&dead).iter().filter(|at| **at - resumes(&dead)[0] < Duration::from_secs(4)).count();
    assert!((1..=16).contains(&at_once), "half of those that may resume at a time: {at_once}");
}

#[tokio::test]
async fn a_death_of_the_office_ends_with_a_resume() {
    let recorder = Recorder::start().await;
    let mut world = office(&recorder.table("")).await;
    let mut link = linked(&world, opened(0)).await;
    pause(&mut link, 1).await;
    world.stop().await;
    drop(link);
    world.start().await;
    let link = linked(&world, paused(1)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(recorder.events(), ["pause"], "the line is masked still");
    link.call(opened(1)).await;
    recorder.told(&["pause", "resume"]).await;
}

#[tokio::test]
async fn an_office_that_dies_before_it_has_told_the_card_side_tells_it_afterwards_without_asking_again() {
    let recorder = Recorder::start().await;
    let mut world = office(&recorder.table("")).await;
    let mut link = linked(&world, asked(1)).await;
    assert!(matches!(link.command().await.action, Action::RecordersPaused { round: 1 }));
    world.stop().await;
    drop(link);
    world.start().await;
    let mut link = linked(&world, asked(1)).await;
    assert_eq!(word(&mut link).await, Action::RecordersPaused { round: 1 });
    assert_eq!(recorder.events(), ["pause"]);
}

#[tokio::test]
async fn a_death_of_the_card_side_ends_with_a_resume_and_not_before_its_calls_are_known() {
    let recorder = Recorder::start().await;
    let world = office(&recorder.table("")).await;
    let mut link = linked(&world, opened(0)).await;
    pause(&mut link, 1).await;
    drop(link);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(recorder.events(), ["pause"], "nobody knows what its line is");
    let link = world.cde.accept(vec![]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(recorder.events(), ["pause"], "the greeting need not name every call");
    link.say(FromCde::CaughtUp).await;
    recorder.told(&["pause", "resume"]).await;
}

#[tokio::test]
async fn a_recorder_that_knows_a_call_no_more_when_it_is_over_has_nothing_to_resume() {
    let recorder = Recorder::start().await;
    let world = office(&recorder.table("")).await;
    let mut link = linked(&world, opened(0)).await;
    pause(&mut link, 1).await;
    recorder.does(|behavior| behavior.status = 404);
    link.say(FromCde::Event(Event::CallEnded { call: call(1, "1001").call, end: CallEnd::CallerHungUp })).await;
    recorder.told(&["pause", "resume"]).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(recorder.events(), ["pause", "resume"]);
    audit_has(&world, "gone").await;
}

#[tokio::test]
async fn a_pause_waits_for_a_resume_that_is_being_said_and_comes_after_it() {
    let recorder = Recorder::start().await;
    let world = office(&recorder.table("")).await;
    let mut link = linked(&world, opened(0)).await;
    pause(&mut link, 1).await;
    recorder.does(|behavior| behavior.delay = Duration::from_millis(300));
    link.call(opened(1)).await;
    recorder.told(&["pause", "resume"]).await;
    link.call(asked(2)).await;
    assert_eq!(word(&mut link).await, Action::RecordersPaused { round: 2 });
    assert_eq!(recorder.events(), ["pause", "resume", "pause"]);
    let sequence: Vec<i64> = recorder.heard().iter().map(|heard| heard.json()["sequence"].as_i64().unwrap()).collect();
    assert!(sequence.is_sorted_by(|one, next| one < next), "{sequence:?}");
}

#[tokio::test]
async fn a_recorder_sees_who_asks_and_logs_and_database_do_not_hold_the_secret() {
    let recorder = Recorder::start().await;
    let folder = std::env::temp_dir().join(format!("tonewall-recorder-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).display().to_string()
    };
    let (secret, key) = (file("secret", "first-secret\n"), file("key", "a key\n"));
    let more = format!(
        "url = \"http://{}/calls/{{customer_call}}?e={{event}}\"\nresume_method = \"DELETE\"\nsecret_file = \"{secret}\"\nsigning_key_file = \"{key}\"",
        recorder.at
    );
    let table = format!("[[recorder]]\nname = \"verint\"\n{more}\n");
    let world = office(&table).await;
    let mut link = linked(&world, opened(0)).await;
    pause(&mut link, 1).await;
    file("secret", "second-secret\n");
    link.call(opened(1)).await;
    recorder.told(&["pause", "resume"]).await;
    let [pause, resume] = [0, 1].map(|at| recorder.heard()[at].clone());
    assert_eq!((pause.uri.as_str(), resume.uri.as_str()), ("/calls/c0ffee-17?e=pause", "/calls/c0ffee-17?e=resume"));
    assert_eq!((pause.method, resume.method), (Method::POST, Method::DELETE));
    assert_eq!(pause.headers["authorization"], "Bearer first-secret");
    assert_eq!(resume.headers["authorization"], "Bearer second-secret", "a renewed one is used at once");
    let signature = pause.headers["tonewall-signature"].to_str().unwrap();
    let seconds = signature.strip_prefix("t=").unwrap().split_once(',').unwrap().0;
    let mac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"a key");
    let tag = aws_lc_rs::hmac::sign(&mac_key, format!("{seconds}.{}", pause.body).as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, format!("t={seconds},v1={hex}"));
    let database = crate::database(world.config().database.parent().unwrap());
    assert!(!database.windows(12).any(|bytes| bytes == b"first-secret"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn the_desk_sees_the_recorders_and_may_have_them_asked_again() {
    let recorder = Recorder::start().await;
    let world = office(&recorder.table("")).await;
    let mut link = linked(&world, asked(1)).await;
    let desk = world.desk("amy").await;
    desk.until_ready().await;
    assert_eq!(word(&mut link).await, Action::RecordersPaused { round: 1 });
    let mut refused = hooked(HookState::NotPaused, 1, LineState::Secured);
    refused.hook.as_mut().unwrap().trouble = Some(HookTrouble::Refused);
    link.call(refused).await;
    let shown = desk.until("/api/v1/calls", |shown| shown["calls"][0]["recorders"]["state"] == "not_paused").await;
    let shown = &shown["calls"][0]["recorders"];
    let words = ["rule", "trouble"].map(|key| shown[key].as_str().unwrap().to_owned());
    assert_eq!((words, &shown["holds_payment"]), (["required".into(), "refused".into()], &true.into()));
    let path = call_path(1, "recorders/pause");
    for (result, status) in [(CommandResult::Done, 200), (CommandResult::Refused { reason: Refusal::WrongState }, 409)]
    {
        let (desk, path) = (desk.clone(), path.clone());
        let request = tokio::spawn(async move { desk.post(&path, "").await });
        let command = loop {
            let command = link.command().await;
            match command.action {
                Action::PauseRecorders => break command,
                _ => link.done(&command).await,
            }
        };
        link.answer(&command, result).await;
        assert_eq!(request.await.unwrap().status, status);
    }
    let bob = world.desk("bob").await;
    assert_eq!(bob.post(&path, "").await.status, 404);
}
