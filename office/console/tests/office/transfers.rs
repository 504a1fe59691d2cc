use crate::cde::Link;
use crate::client::{Answer, Client};
use crate::{World, call, database};
use wire::{
    Action, CallEnd, CallSnapshot, CallState, Command, CommandResult, Event, FromCde, Refusal, TransferCode, WayIn,
};

const PATH: &str = "/api/v1/transfers";
const PAYMENT: &str = r#"{"payment":{"amount":{"minor":4200,"currency":"GBP"},"account":"NW-204417"}}"#;

fn code() -> TransferCode {
    TransferCode { user: "secure-abcdefghijklmnop".into(), number: Some("799912345678".into()) }
}

/// Asks for a code; the cde's part is played here.
async fn ask(desk: &Client, link: &mut Link, body: &'static str, result: CommandResult) -> (Command, Answer) {
    let desk = desk.clone();
    let request = tokio::spawn(async move { desk.post(PATH, body).await });
    let command = link.command().await;
    if let CommandResult::Awaiting { .. } = result {
        link.call(awaited(&command, CallState::Awaited)).await;
    }
    link.answer(&command, result).await;
    (command, request.await.unwrap())
}

fn awaited(command: &Command, state: CallState) -> CallSnapshot {
    let is_conference = matches!(command.action, Action::AwaitTransfer { conference: true, .. });
    let way = if is_conference { WayIn::Conference } else { WayIn::Code };
    CallSnapshot { call: command.call, way, keys_cross_pbx: true, state, ..call(1, "1001") }
}

fn given() -> CommandResult {
    CommandResult::Awaiting { code: code(), until_unix_ms: 1_795_000_120_000 }
}

#[tokio::test]
async fn a_code_is_given_to_who_asked_and_kept_nowhere() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    let mut events = amy.events().await;
    events.next().await.unwrap();
    let (command, answer) = ask(&amy, &mut link, "", given()).await;
    let Action::AwaitTransfer { extension, payment: None, conference: false } = &command.action else {
        panic!("{command:?}")
    };
    assert_eq!(extension.as_str(), "1001", "their own, whatever they send");
    let view = answer.json();
    assert_eq!((answer.status, &view["transfer_to"]), (201, &"secure-abcdefghijklmnop".into()));
    assert_eq!((&view["dial"], &view["call"]), (&"799912345678".into(), &command.call.to_string().into()));
    assert_eq!(view["keys_cross_pbx"], true, "what stays in scope is said before anybody is transferred");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let event = events.next().await.unwrap();
    assert_eq!((event.name.as_str(), &event.data["state"]), ("call", &"awaited".into()));
    let shown = event.data.to_string() + &amy.get("/api/v1/calls").await.text;
    world.stop().await;
    let kept = String::from_utf8_lossy(&database(world.config().database.parent().unwrap())).into_owned() + &shown;
    assert!(!kept.contains("abcdefghijklmnop") && !kept.contains("12345678"));
    assert!(kept.contains("transfer"), "the control: who asked for it stands in the audit trail");
}

#[tokio::test]
async fn the_desk_follows_the_call_that_it_waits_for_and_says_what_is_in_scope() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    let (command, _) = ask(&amy, &mut link, "{}", given()).await;
    link.call(awaited(&command, CallState::Talking)).await;
    let id = command.call.to_string();
    let find = |calls: &serde_json::Value| {
        calls["calls"].as_array().unwrap().iter().find(|call| call["call"] == id.as_str()).unwrap().clone()
    };
    let shown = find(&amy.until("/api/v1/calls", |calls| find(calls)["state"] == "talking").await);
    assert_eq!((&shown["way"], &shown["keys_cross_pbx"]), (&"code".into(), &true.into()));
    let story: Vec<_> = shown["timeline"].as_array().unwrap().iter().map(|row| row["text_key"].clone()).collect();
    assert_eq!(story, ["transfer_awaited", "call_came_in", "agent_answered"]);
}

#[tokio::test]
async fn a_payment_that_waits_for_a_transfer_which_never_comes_is_cancelled() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    let (command, answer) = ask(&amy, &mut link, PAYMENT, given()).await;
    let Action::AwaitTransfer { payment: Some(order), .. } = &command.action else { panic!("{command:?}") };
    assert_eq!(answer.json()["payment"], order.payment.to_string());
    let path = format!("/api/v1/payments/{}", order.payment);
    assert_eq!(amy.get(&path).await.json()["state"], "waiting");
    link.say(FromCde::Event(Event::CallEnded { call: command.call, end: CallEnd::NotTransferred })).await;
    amy.until(&path, |payment| payment["state"] == "cancelled").await;
}

#[tokio::test]
async fn what_the_cde_refuses_leaves_no_payment_behind() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    let reason = Refusal::NotOnDemand;
    let (_, answer) = ask(&amy, &mut link, PAYMENT, CommandResult::Refused { reason }).await;
    assert_eq!(answer.problem(), (409, "not_on_demand".into()));
    assert_eq!(amy.get("/api/v1/payments").await.json()["payments"].as_array().unwrap().len(), 0);
    for (body, expected) in [
        (r#"{"payment":{"amount":{"minor":0,"currency":"GBP"}}}"#, (422, "bad_amount")),
        (r#"{"extension":"1002"}"#, (422, "bad_field")),
        (
            r#"{"payment":{"amount":{"minor":1,"currency":"GBP"},"account":"4242424242424242"}}"#,
            (422, "looks_like_card"),
        ),
    ] {
        assert_eq!(amy.post(PATH, body).await.problem(), (expected.0, expected.1.into()), "{body}");
    }
}

#[tokio::test]
async fn a_payment_needs_its_rights_whichever_way_it_is_ordered() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    let plain = r#"{"amount":{"minor":4200,"currency":"GBP"}"#;
    for (rights, more) in [
        ("", ""),
        ("store", ""),
        ("charge", r#","store":"token""#),
        ("charge,store", r#","capture":"later""#),
        ("preauthorize", ""),
    ] {
        console::user_rights(world.config(), "amy@example.com", &rights.parse().unwrap()).await.unwrap();
        let order = format!("{plain}{more}}}");
        let on_call = amy.post(&crate::call_path(1, "payments"), &order).await;
        assert_eq!(on_call.problem(), (403, "no_right".into()), "{rights}: {more}");
        let awaited = amy.post(PATH, &format!(r#"{{"payment":{order}}}"#)).await;
        assert_eq!(awaited.problem(), (403, "no_right".into()), "{rights}: {more}");
    }
    assert_eq!(amy.get("/api/v1/payments").await.json()["payments"].as_array().unwrap().len(), 0);
    console::user_rights(world.config(), "amy@example.com", &"charge".parse().unwrap()).await.unwrap();
    let (command, answer) = ask(&amy, &mut link, PAYMENT, given()).await;
    assert!(matches!(command.action, Action::AwaitTransfer { .. }), "the first that the cde is asked: {command:?}");
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn a_conference_is_offered_only_where_the_file_allows_it_and_is_shown_as_heard() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    assert_eq!(amy.get(PATH).await.json()["conference"], false);
    let reason = Refusal::NoConferences;
    let asked = r#"{"conference":true}"#;
    let (command, answer) = ask(&amy, &mut link, asked, CommandResult::Refused { reason }).await;
    assert!(matches!(command.action, Action::AwaitTransfer { conference: true, .. }), "{command:?}");
    assert_eq!(answer.problem(), (409, "no_conferences".into()));
    let (name, transport) = ("pbx".to_owned(), "udp".to_owned());
    let trunk = wire::TrunkSnapshot { name, transport, legs: 0, conferences: true, places: Vec::new() };
    link.say(FromCde::Event(Event::Trunk { trunk })).await;
    amy.until(PATH, |ways| ways["conference"] == true).await;

    let (command, _) = ask(&amy, &mut link, asked, given()).await;
    let (line, masking) = (wire::LineState::Conference, wire::Masking::None);
    let joined = CallSnapshot { line, masking, ..awaited(&command, CallState::Talking) };
    link.call(joined).await;
    let id = command.call.to_string();
    let find = |calls: &serde_json::Value| {
        calls["calls"].as_array().unwrap().iter().find(|call| call["call"] == id.as_str()).unwrap().clone()
    };
    let shown = find(&amy.until("/api/v1/calls", |calls| find(calls)["line"] == "conference").await);
    assert_eq!((&shown["way"], &shown["masking"]), (&"conference".into(), &"none".into()));
    assert_eq!((&shown["keys_cross_pbx"], &shown["proof_at"]), (&true.into(), &serde_json::Value::Null));
    assert!(shown["timeline"].to_string().contains("line_conference"), "{shown}");
}

/// A cde that does not know the word makes a caller's code, and a conference that is added by it would be shown as secured.
#[tokio::test]
async fn a_code_that_is_for_no_conference_is_not_given_for_one() {
    let mut world = World::new().await;
    let (amy, mut link) = world.with_call().await;
    let desk = amy.clone();
    let body = r#"{"conference":true,"payment":{"amount":{"minor":4200,"currency":"GBP"}}}"#;
    let request = tokio::spawn(async move { desk.post(PATH, body).await });
    let command = link.command().await;
    link.call(CallSnapshot { way: WayIn::Code, ..awaited(&command, CallState::Awaited) }).await;
    link.answer(&command, given()).await;
    let answer = request.await.unwrap();
    assert_eq!(answer.problem(), (503, "other_code".into()));
    assert!(!answer.text.contains("abcdefghijklmnop"));
    assert_eq!(amy.get("/api/v1/payments").await.json()["payments"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_payment_in_a_conference_has_it_in_its_audit_trail() {
    let mut world = World::new().await;
    let (amy, link) = world.with_call().await;
    let payment = wire::PaymentId::from_random(77);
    let call = wire::CallId::from_random(78);
    let (origin, extension) = (wire::Origin::System, "1001".parse::<wire::Extension>().unwrap());
    let amount = wire::Money { minor: 4200, currency: wire::Currency::GBP };
    for (number, action) in
        [wire::AuditAction::PaymentStarted { payment, amount }, wire::AuditAction::HeardByAgent { payment }]
            .into_iter()
            .enumerate()
    {
        let event = wire::AuditEvent { origin: origin.clone(), call, extension: extension.clone(), action };
        link.record(u64::try_from(number).unwrap() + 1, wire::RecordBody::Audit(event)).await;
    }
    let path = format!("/api/v1/payments/{payment}");
    let shown = amy.until(&path, |view| view["audit"].to_string().contains("conference_payment")).await;
    assert!(shown["audit"].to_string().contains("the agent can hear the keys"), "{shown}");
}
