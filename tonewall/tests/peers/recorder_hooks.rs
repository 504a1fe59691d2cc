//! A recorder elsewhere that must pause before a card is keyed: baresip on both sides, and a small HTTP recorder that is not there at
//! first, then refuses, then takes its time.

use crate::baresip::{Baresip, CARD, WAIT_MAX};
use crate::stage::api::Api;
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone, free_tcp};
use anyhow::Context;
use lab::desk::{Desk, text, wait_for};
use reqwest::Method;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// So long it takes to pause.
const SLOW: Duration = Duration::from_millis(2200);
/// The phone sends keys more slowly than it takes them: by then all of a few have been sent.
const SENT: Duration = Duration::from_millis(1500);

#[derive(Default)]
struct State {
    refuses: bool,
    /// What it was told, and since when it has done it; none where it has refused.
    heard: Vec<(String, Option<Instant>)>,
}

type Shared = Arc<Mutex<State>>;

/// Answers until the test is over.
async fn record(at: SocketAddr) -> anyhow::Result<Shared> {
    let listener = TcpListener::bind(at).await?;
    let state = Shared::default();
    let shared = state.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, shared.clone()));
        }
    });
    Ok(state)
}

async fn serve(mut socket: TcpStream, state: Shared) -> anyhow::Result<()> {
    let mut request = Vec::new();
    let body = loop {
        let mut part = [0; 4096];
        let length = socket.read(&mut part).await?;
        anyhow::ensure!(length > 0, "half a request");
        request.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lines = head
                .lines()
                .filter_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if lines.max().unwrap_or(0_usize) == body.len() {
                break body.to_owned();
            }
        }
    };
    let event = text(&serde_json::from_str::<Value>(&body)?, "/event").to_owned();
    let refuses = state.lock().unwrap().refuses;
    if event == "pause" && !refuses {
        tokio::time::sleep(SLOW).await;
    }
    state.lock().unwrap().heard.push((event, (!refuses).then(Instant::now)));
    let status = if refuses { "403 Forbidden" } else { "204 No Content" };
    Ok(socket
        .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
        .await?)
}

/// Waits until the call's recorders are in this state; how they stand then.
async fn recorders(desk: &Desk, state: &str, trouble: &str) -> anyhow::Result<Value> {
    wait_for(WAIT_MAX, &format!("recorders that are {state} {trouble}"), async || {
        let call = desk.calls().await?.into_iter().next().unwrap_or_default();
        let found = call.get("recorders").cloned().unwrap_or_default();
        Ok((text(&found, "/state") == state && text(&found, "/trouble") == trouble).then_some(found))
    })
    .await
}

/// The digits that were taken of the card number.
async fn digits(desk: &Desk, payment: &str) -> anyhow::Result<(String, u64)> {
    let payment = desk.payment(payment).await?;
    let digits = payment.pointer("/fields/0/digits").and_then(Value::as_u64).unwrap_or(0);
    Ok((text(&payment, "/state").to_owned(), digits))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_keyed_when_the_recorder_has_paused_and_not_before() -> anyhow::Result<()> {
    let (caller_at, agent_at, recorder_at) = (free_phone()?, free_phone()?, free_tcp()?);
    let route = Route { extension: "1001".to_owned(), caller: caller_at, agent: agent_at };
    let more = "recorder_hook = \"required\"\n".to_owned();
    let office = format!("[[recorder]]\nname = \"desktops\"\nurl = \"http://{recorder_at}/hook\"\n");
    let stage = Stage::start("recorder-hooks", Setting { more, office, ..Setting::new(52, vec![route]) }).await?;
    let folder = stage.folder.path();
    let mut caller =
        Baresip::start(folder, "caller", caller_at, "15300-15349", ";dtmfmode=rtpevent;audio_codecs=pcmu/8000/1")
            .await?;
    let agent =
        Baresip::start(folder, "1001", agent_at, "15350-15399", ";answermode=auto;audio_codecs=pcmu/8000/1").await?;
    let (desk, api) = (stage.desk("1001").await?, Api::agent(&stage, "1001").await?);
    caller.order("dial", &format!("sip:02079460018@{}", stage.sip)).await?;
    caller.says("Call established").await.context("calling")?;
    let call = text(&desk.wait_for_call("talking", WAIT_MAX).await?, "/call").to_owned();
    caller.key("9").await?;
    agent.says("received event: '9'").await.context("a key on the open line")?;
    let payment = desk.start_payment(&call, 4200, "GBP").await?;

    // Nobody is there.
    desk.line(&call, "secure").await?;
    let down = recorders(&desk, "not_paused", "unreachable").await?;
    assert_eq!((text(&down, "/rule"), down["holds_payment"].as_bool()), ("required", Some(true)));
    caller.key("4242").await?;
    tokio::time::sleep(SENT).await;
    assert_eq!(digits(&desk, &payment).await?, ("waiting".to_owned(), 0), "a key was taken");
    desk.wait_for_line(&call, "secured", WAIT_MAX).await.context("the mask must stay")?;

    // It refuses.
    let recorder = record(recorder_at).await?;
    recorder.lock().unwrap().refuses = true;
    let again = format!("/api/v1/calls/{call}/recorders/pause");
    assert_eq!(api.send(Method::POST, &again, None).await?.status, 200);
    recorders(&desk, "not_paused", "refused").await?;
    caller.key("4242").await?;
    tokio::time::sleep(SENT).await;
    assert_eq!(digits(&desk, &payment).await?, ("waiting".to_owned(), 0));

    // It pauses, and takes its time; what is keyed meanwhile is not taken either.
    recorder.lock().unwrap().refuses = false;
    assert_eq!(api.send(Method::POST, &again, None).await?.status, 200);
    recorders(&desk, "asked", "").await?;
    caller.key("42").await?;
    recorders(&desk, "paused", "").await?;
    let (state, taken) = digits(&desk, &payment).await?;
    assert_eq!((state.as_str(), taken), ("capturing", 0), "a key from before the pause was taken");
    let first_key = Instant::now();
    let mut seen = Vec::new();
    for keys in CARD {
        caller.key(keys).await?;
        seen.push(digits(&desk, &payment).await?);
    }
    if let Err(error) = desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await {
        return Err(
            error.context(format!("keying the card: {seen:?}, then {}", desk.payment(&payment).await?["fields"]))
        );
    }
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    desk.wait_for_line(&call, "open", WAIT_MAX).await?;
    wait_for(WAIT_MAX, "the resume", async || {
        Ok(recorder.lock().unwrap().heard.iter().any(|(event, _)| event == "resume").then_some(()))
    })
    .await?;
    let heard = std::mem::take(&mut recorder.lock().unwrap().heard);
    let events: Vec<&str> = heard.iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(events, ["pause", "pause", "resume"]);
    assert!(heard[1].1.is_some_and(|paused| paused < first_key), "keys were taken before it had paused");
    let trail = desk.payment(&payment).await?["audit"].to_string();
    for row in ["not_paused: unreachable", "not_paused: refused", "\"paused\""] {
        assert!(trail.contains(row), "{row} is not in {trail}");
    }
    assert_eq!(stage.ledger().await?.len(), 1);
    stage.passed();
    Ok(())
}
