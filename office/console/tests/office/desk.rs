use crate::{World, call, call_path};
use std::time::Duration;
use wire::{Action, CallEnd, CallSnapshot, CommandResult, Event, FromCde, LineState, Refusal};

#[tokio::test]
async fn secured_is_answered_only_when_the_cde_has_confirmed_it() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let request = tokio::spawn(async move { desk.post(&call_path(1, "secure"), "").await });
    let command = link.command().await;
    assert_eq!(command.action, Action::Secure);
    link.call(CallSnapshot { line: LineState::Securing, ..call(1, "1001") }).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!request.is_finished(), "answered before the media plane has");
    link.done(&command).await;
    link.call(CallSnapshot { line: LineState::Secured, ..call(1, "1001") }).await;
    let answer = request.await.unwrap();
    assert_eq!((answer.status, &answer.json()["line"]), (200, &"secured".into()));
}

#[tokio::test]
async fn refusals_are_problems_with_the_word_of_the_wire() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    for (reason, expected) in
        [(Refusal::WrongState, (409, "wrong_state")), (Refusal::MediaFault, (504, "media_timeout"))]
    {
        let desk = desk.clone();
        let request = tokio::spawn(async move { desk.post(&call_path(1, "secure"), "").await });
        let command = link.command().await;
        link.answer(&command, CommandResult::Refused { reason }).await;
        assert_eq!(request.await.unwrap().problem(), (expected.0, expected.1.to_owned()));
    }
    drop(link);
    desk.until("/api/v1/calls", |_| true).await;
    while desk.get("/readyz").await.status == 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(desk.post(&call_path(1, "secure"), "").await.problem(), (503, "door_down".into()));
}

#[tokio::test]
async fn another_agent_finds_nothing_of_a_call() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    let bob = world.desk("bob").await;
    let mut watching = bob.events().await;
    let first = watching.next().await.unwrap();
    assert_eq!(first.data["calls"].as_array().unwrap().len(), 0);
    let payment = crate::money::start(&amy, &mut link).await;
    link.say(FromCde::Event(Event::Proof { call: call(1, "1001").call, at_unix_ms: 1_795_000_000_000 })).await;
    let payment_path = format!("/api/v1/payments/{}", payment.payment);
    assert_eq!(amy.get(&payment_path).await.status, 200);
    for path in [payment_path.clone(), "/api/v1/payments/x".into()] {
        assert_eq!(bob.get(&path).await.problem(), (404, "not_found".into()));
    }
    for path in [call_path(1, "secure"), call_path(1, "payments"), format!("{payment_path}/cancel")] {
        assert_eq!(bob.post(&path, "{}").await.problem(), (404, "not_found".into()), "{path}");
    }
    assert_eq!(bob.get("/api/v1/calls").await.json()["calls"].as_array().unwrap().len(), 0);
    assert_eq!(bob.get("/api/v1/payments").await.json()["payments"].as_array().unwrap().len(), 0);
    // The first thing that Bob hears, live and in the replay, is of his own call.
    link.call(call(2, "1002")).await;
    let mut replay = bob.with("Last-Event-ID", &first.id).events().await;
    for events in [&mut watching, &mut replay] {
        let event = events.next().await.unwrap();
        assert_eq!((event.name.as_str(), &event.data["extension"]), ("call", &"1002".into()));
    }
}

#[tokio::test]
async fn a_desk_that_comes_back_misses_nothing_and_streams_end_with_the_office() {
    let mut world = World::new().await;
    let (desk, link) = world.with_call().await;
    let mut events = desk.events().await;
    let first = events.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["door"]), ("snapshot", &"up".into()));
    assert_eq!(first.data["calls"][0]["timeline"][0]["text_key"], "call_came_in");
    drop(events);
    link.call(CallSnapshot { line: LineState::Secured, ..call(1, "1001") }).await;
    link.say(FromCde::Event(Event::Proof { call: call(1, "1001").call, at_unix_ms: 1_795_000_000_000 })).await;
    link.say(FromCde::Event(Event::CallEnded { call: call(1, "1001").call, end: CallEnd::CallerHungUp })).await;
    let mut events = desk.with("Last-Event-ID", &first.id).events().await;
    let names = [events.next().await, events.next().await, events.next().await].map(|event| event.unwrap().name);
    assert_eq!(names, ["call", "proof", "call_ended"]);
    for unknown in ["another-1", "nonsense", "-"] {
        let mut events = desk.with("Last-Event-ID", unknown).events().await;
        assert_eq!(events.next().await.unwrap().name, "snapshot");
    }
    world.stop().await;
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_stream_that_carries_nothing_says_each_second_that_it_is_alive() {
    let mut world = World::new().await;
    let (desk, link) = world.with_call().await;
    let mut events = desk.events().await;
    let first = events.next_of_all().await.unwrap();
    // A machine with much else to do may be late with some of them, but not with all.
    let (mut before, mut apart) = (None, Duration::MAX);
    for _ in 0..20 {
        let tick = events.next_of_all().await.unwrap();
        assert_eq!((tick.name.as_str(), tick.id.as_str()), ("tick", ""));
        let now = tokio::time::Instant::now();
        apart = before.replace(now).map_or(apart, |before| apart.min(now - before));
        if apart < Duration::from_millis(1_500) {
            break;
        }
    }
    assert!(apart < Duration::from_millis(1_500), "the next tick comes after {apart:?}");
    link.call(CallSnapshot { line: LineState::Secured, ..call(1, "1001") }).await;
    assert_eq!(events.next().await.unwrap().name, "call");
    let mut replay = desk.with("Last-Event-ID", &first.id).events().await;
    assert_eq!(replay.next_of_all().await.unwrap().name, "call", "ticks are not replayed");
}
