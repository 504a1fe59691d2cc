use crate::{World, call, call_path, trunks};
use uuid::Uuid;
use wire::{Action, CommandResult, Event, FromCde, Ladder, LadderMessage, LadderSummary, Refusal};

fn ladder() -> Ladder {
    let message = |is_out, text: &str| LadderMessage {
        at_unix_ms: 1_795_000_000_250,
        is_out,
        transport: "udp".to_owned(),
        peer: ([192, 0, 2, 1], 5060).into(),
        trunk: Some("carrier".to_owned()),
        text: text.to_owned(),
    };
    let messages =
        vec![message(false, "INVITE sip:1001@a SIP/2.0\nCSeq: 1 INVITE\n"), message(true, "SIP/2.0 100 Trying\n")];
    Ladder { call: call(1, "1001").call, messages, left_out: 2 }
}

#[tokio::test]
async fn an_admin_reads_the_messages_of_a_call_as_json_and_as_text() {
    let mut world = World::new().await;
    let (agent, mut link) = world.with_call().await;
    let admin = trunks::admin(&world).await;
    for path in [call_path(1, "ladder"), call_path(1, "ladder.txt")] {
        assert_eq!(agent.get(&path).await.problem(), (403, "for_admins".to_owned()));
        let (asking, wanted) = (admin.clone(), path.clone());
        let request = tokio::spawn(async move { asking.get(&wanted).await });
        let command = link.command().await;
        assert_eq!((&command.action, command.call), (&Action::Ladder, call(1, "1001").call));
        link.say(FromCde::Event(Event::Ladder { command: command.id, ladder: ladder() })).await;
        link.done(&command).await;
        let answer = request.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        if path.ends_with("txt") {
            let expected = format!(
                "Call {}\n\n2026-11-18T11:06:40.25Z tonewall <-- 192.0.2.1:5060 (carrier) udp\nINVITE sip:1001@a SIP/2.0\n\
                 CSeq: 1 INVITE\n\n2026-11-18T11:06:40.25Z tonewall --> 192.0.2.1:5060 (carrier) udp\nSIP/2.0 100 Trying\n\n\
                 2 messages were left out: there was no room for them.\n",
                Uuid::from_u128(1)
            );
            assert_eq!(answer.text, expected);
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        } else {
            let seen = answer.json();
            let first = &seen["messages"][0];
            assert_eq!((&first["direction"], &first["start"]), (&"in".into(), &"INVITE sip:1001@a SIP/2.0".into()));
            assert_eq!((&first["peer"], &first["trunk"]), (&"192.0.2.1:5060".into(), &"carrier".into()));
            assert_eq!((&seen["messages"][1]["direction"], &seen["left_out"]), (&"out".into(), &2.into()));
        }
    }
}

#[tokio::test]
async fn a_call_of_which_nothing_is_kept_is_not_found_and_the_others_are_listed() {
    let mut world = World::new().await;
    let (agent, mut link) = world.with_call().await;
    let admin = trunks::admin(&world).await;
    let asking = admin.clone();
    let request = tokio::spawn(async move { asking.get(&call_path(9, "ladder")).await });
    let command = link.command().await;
    link.answer(&command, CommandResult::Refused { reason: Refusal::UnknownCall }).await;
    assert_eq!(request.await.unwrap().problem(), (404, "not_found".to_owned()));
    assert_eq!(agent.get("/api/v1/ladders").await.problem().0, 403);
    let request = tokio::spawn(async move { admin.get("/api/v1/ladders").await });
    let command = link.command().await;
    assert_eq!(command.action, Action::Ladders);
    let summary = LadderSummary {
        call: call(1, "1001").call,
        started_unix_ms: 1_795_000_000_250,
        is_live: false,
        from: "447700900142".to_owned(),
        to: "1001".to_owned(),
        messages: 14,
        last: "SIP/2.0 200 OK".to_owned(),
    };
    link.say(FromCde::Event(Event::Ladders { command: command.id, ladders: vec![summary] })).await;
    link.done(&command).await;
    let seen = request.await.unwrap().json();
    let first = &seen["ladders"][0];
    assert_eq!((&first["to"], &first["messages"], &first["is_live"]), (&"1001".into(), &14.into(), &false.into()));
    assert_eq!(first["started_at"], "2026-11-18T11:06:40.25Z");
}
