use crate::{World, call, call_path, trunks};
use wire::{CallEnd, CallFigures, Event, FromCde, KeyTransport, LegFigures};

fn figures() -> FromCde {
    let caller = LegFigures {
        codec: Some("PCMA".to_owned()),
        keys_by: vec![KeyTransport::Info],
        received: 250,
        lost: 4,
        jitter_us: Some(1_125),
        ..LegFigures::default()
    };
    let figures = CallFigures { caller, agent: LegFigures::default() };
    FromCde::Event(Event::Figures { call: call(1, "1001").call, figures })
}

#[tokio::test]
async fn figures_are_for_the_agent_of_the_call_and_for_admins_who_keep_them_when_it_is_over() {
    let mut world = World::new().await;
    let (agent, link) = world.with_call().await;
    let path = call_path(1, "figures");
    assert_eq!(agent.get(&path).await.problem(), (404, "not_found".to_owned()), "there are none yet");
    link.say(figures()).await;
    let seen = agent.until(&path, |seen| seen["caller"].is_object()).await;
    let caller = &seen["caller"];
    assert_eq!((&caller["codec"], &caller["keys_by"][0]), (&"PCMA".into(), &"info".into()));
    assert_eq!((&caller["received"], &caller["lost"], &caller["jitter_us"]), (&250.into(), &4.into(), &1125.into()));
    assert_eq!(world.desk("bob").await.get(&path).await.status, 404, "another's call");
    link.say(FromCde::Event(Event::CallEnded { call: call(1, "1001").call, end: CallEnd::CallerHungUp })).await;
    agent.until("/api/v1/calls", |seen| seen["calls"].as_array().unwrap().is_empty()).await;
    assert_eq!(agent.get(&path).await.status, 404);
    assert_eq!(trunks::admin(&world).await.get(&path).await.json()["caller"]["lost"], 4);
}
