use crate::{PASSWORD, World};
use console::{NewUser, Rights, Role};
use wire::{
    Action, CommandResult, Event, FromCde, PlaceSnapshot, PlaceState, Refusal, RegistrationSnapshot, RegistrationState,
    TestEvent, TestResult, TestSnapshot, TestStep, TrunkSnapshot,
};

pub(crate) async fn admin(world: &World) -> crate::client::Client {
    let (email, name) = ("ida@example.com".to_owned(), "Ida".to_owned());
    let user = NewUser {
        email,
        name,
        extension: None,
        role: Role::Admin,
        rights: Rights::default(),
        password: PASSWORD.to_owned(),
    };
    console::user_add(world.config(), user).await.unwrap();
    world.desk("ida").await
}

fn place(last: u8, state: PlaceState, registration: Option<RegistrationSnapshot>) -> PlaceSnapshot {
    PlaceSnapshot {
        address: ([192, 0, 2, last], 5060).into(),
        priority: 0,
        weight: 0,
        state,
        since_unix_ms: 1_000,
        is_probed: true,
        failures: 3,
        registration,
    }
}

fn trunk(registration: Option<RegistrationSnapshot>) -> FromCde {
    let places = vec![place(1, PlaceState::Up, registration), place(2, PlaceState::Down, None)];
    let (name, transport) = ("carrier".to_owned(), "udp".to_owned());
    let trunk = TrunkSnapshot { name, transport, legs: 7, conferences: false, places };
    FromCde::Event(Event::Trunk { trunk })
}

#[tokio::test]
async fn an_admin_sees_the_trunks_and_an_agent_does_not() {
    let mut world = World::new().await;
    let (agent, link) = world.with_call().await;
    let (state, status, since_unix_ms) = (RegistrationState::Refused, Some(403), 2_000);
    link.say(trunk(Some(RegistrationSnapshot { state, status, since_unix_ms }))).await;
    let admin = admin(&world).await;
    let seen = admin.until("/api/v1/trunks", |seen| seen["trunks"][0].is_object()).await;
    let trunk = &seen["trunks"][0];
    assert_eq!((&trunk["name"], &trunk["state"], &trunk["legs"]), (&"carrier".into(), &"partly".into(), &7.into()));
    assert_eq!(trunk["places"][1]["address"], "192.0.2.2:5060");
    let registration = &trunk["places"][0]["registration"];
    assert_eq!((&registration["state"], &registration["status"]), (&"refused".into(), &403.into()));
    assert!(registration["advice"].as_str().unwrap().contains("list"), "{registration}");
    assert_eq!(agent.get("/api/v1/trunks").await.problem(), (403, "for_admins".to_owned()));
    assert_eq!(world.client.get("/api/v1/trunks").await.status, 401);
}

#[tokio::test]
async fn metrics_tell_how_the_trunks_are_and_no_address() {
    let mut world = World::new().await;
    let (agent, link) = world.with_call().await;
    let (state, status, since_unix_ms) = (RegistrationState::Registered, Some(200), 2_000);
    link.say(trunk(Some(RegistrationSnapshot { state, status, since_unix_ms }))).await;
    let mut text = String::new();
    for _ in 0..1_000 {
        text = agent.get("/metrics").await.text;
        if text.contains("tonewall_trunk_legs{") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for line in [
        "tonewall_trunk_legs{trunk=\"carrier\"} 7",
        "tonewall_trunk_place_up{trunk=\"carrier\",place=\"1\"} 1",
        "tonewall_trunk_place_up{trunk=\"carrier\",place=\"2\"} 0",
        "tonewall_trunk_place_failures_total{trunk=\"carrier\",place=\"2\"} 3",
        "tonewall_trunk_registered{trunk=\"carrier\",place=\"1\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(!text.contains("192.0.2."), "whoever may read the figures need not know the network");
}

#[tokio::test]
async fn a_test_call_is_begun_by_an_admin_and_told_in_plain_words() {
    let mut world = World::new().await;
    let (agent, mut link) = world.with_call().await;
    let admin = admin(&world).await;
    let path = "/api/v1/trunks/carrier/test-call";
    assert_eq!(agent.post(path, "").await.problem(), (403, "for_admins".to_owned()));
    assert_eq!(admin.get(path).await.status, 404, "there was none");
    let asking = admin.clone();
    let request = tokio::spawn(async move { asking.post(path, "").await });
    let command = link.command().await;
    assert_eq!(command.action, Action::TestCall { trunk: "carrier".to_owned() });
    link.done(&command).await;
    assert_eq!(request.await.unwrap().status, 202);
    let step = |after_ms, what| TestStep { after_ms, what };
    let asked = TestEvent::Asked { address: ([192, 0, 2, 1], 5060).into(), status: 200 };
    let test = TestSnapshot {
        test: crate::call(7, "1001").call,
        trunk: "carrier".to_owned(),
        started_unix_ms: 1_000,
        result: Some(TestResult::Failed),
        steps: vec![step(3, asked), step(40, TestEvent::Refused { status: 404 })],
    };
    link.say(FromCde::Event(Event::Test { test })).await;
    let seen = admin.until(path, |seen| seen["result"] == "failed").await;
    assert_eq!(seen["steps"][0]["text"], "192.0.2.1:5060 is there: it answered OPTIONS with 200.");
    assert!(seen["steps"][1]["text"].as_str().unwrap().contains("does not know this number"), "{seen}");
    let request = tokio::spawn(async move { admin.post(path, "").await });
    let command = link.command().await;
    link.answer(&command, CommandResult::Refused { reason: Refusal::NoTestNumber }).await;
    assert_eq!(request.await.unwrap().problem(), (409, "no_test_number".to_owned()));
}
