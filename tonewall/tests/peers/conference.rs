//! The weakest way: an agent adds us to a conference, and hears every key. PJSIP mixes, once as the PBX's bridge and once as the
//! agent's own phone. What is proved is that a payment can be taken so, and that nobody is told that it was masked.

use crate::baresip::{CARD, WAIT_MAX};
use crate::decoders::decode;
use crate::pjsip::Pjsip;
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone};
use anyhow::Context;
use lab::desk::{Desk, text};
use serde_json::Value;
use std::net::SocketAddr;

/// Tonewall with a PBX whose agents may use conferences.
async fn stage(name: &str, first_port: u16, at: [SocketAddr; 2]) -> anyhow::Result<Stage> {
    // The lane that every stage has; nobody calls on it.
    let route = Route { extension: "1001".to_owned(), caller: free_phone()?, agent: free_phone()? };
    let [one, other] = at;
    let more = format!(
        "\n[[trunk]]\nname = \"office\"\naddress = [\"{one}\", \"{other}\"]\n\
         on_demand = {{ extensions = [\"100x\"], conference = true }}\n"
    );
    Stage::start(name, Setting { ports: (first_port, first_port + 39), more, ..Setting::new(0, vec![route]) }).await
}

/// The call, which everybody must know as one that is not masked.
async fn heard_by_all(desk: &Desk) -> anyhow::Result<Value> {
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    desk.wait_for_line(text(&call, "/call"), "conference", WAIT_MAX).await?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    assert_eq!((text(&call, "/way"), text(&call, "/masking")), ("conference", "none"));
    assert_eq!((call.pointer("/keys_cross_pbx"), call.pointer("/proof_at")), (Some(&true.into()), Some(&Value::Null)));
    Ok(call)
}

/// The payment's audit trail says that the agent can hear the keys, and nothing there or on the call was ever secured.
async fn never_masked(desk: &Desk, payment: &str) -> anyhow::Result<()> {
    let paid = desk.payment(payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    let said = paid.pointer("/audit").context("the audit trail")?.to_string();
    assert!(said.contains("conference_payment") && said.contains("the agent can hear the keys"), "{said}");
    let call = heard_by_all(desk).await?.to_string();
    assert!(call.contains("line_conference") && !(said + &call).contains("secured"), "{call}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_in_a_bridge_of_the_pbx_is_taken_and_called_what_it_is() -> anyhow::Result<()> {
    let (bridge_at, agent_at, caller_at) = (free_phone()?, free_phone()?, free_phone()?);
    let stage = stage("conference", 21_000, [bridge_at, agent_at]).await?;
    let plain = ["udp", "plain"];
    let mut bridge = Pjsip::start(&stage, "8000", bridge_at, 21_040, plain).await?;
    let mut agent = Pjsip::start(&stage, "1001", agent_at, 21_060, plain).await?;
    let mut caller = Pjsip::start(&stage, "447700900142", caller_at, 21_080, plain).await?;
    let desk = stage.desk("1001").await?;
    for phone in [&mut agent, &mut caller] {
        phone.order(&format!("dial sip:8000@{bridge_at}")).await?;
        phone.says("media active").await.context("speaking without us")?;
    }
    for order in ["merge", "pass"] {
        bridge.order(order).await?;
    }
    let asked = desk.conference(4200).await?;
    bridge.order(&format!("dial sip:{}@{}", text(&asked, "/transfer_to"), stage.sip)).await?;
    let call = heard_by_all(&desk).await?;
    assert_eq!(text(&call, "/call"), text(&asked, "/call"));
    let payment = text(&asked, "/payment").to_owned();
    desk.wait_for_payment(&payment, &["capturing"], WAIT_MAX).await?;
    let id = text(&call, "/call");
    assert!(desk.line(id, "secure").await.is_err() && desk.line(id, "release").await.is_err());

    // As the bridge mixes it, and as the bridge signals it.
    caller.order(&format!("tones {}", CARD[0])).await?;
    caller.order(&format!("rfc2833 {}", CARD[1])).await?;
    let ready = desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let fields = ready.pointer("/fields").and_then(Value::as_array).context("fields")?;
    assert_eq!(fields.len(), 2, "the security code is not asked for: {ready}");
    authorize(&desk, &payment).await?;
    never_masked(&desk, &payment).await?;
    assert_eq!(stage.ledger().await?.len(), 1);

    bridge.order("newest").await?;
    bridge.order("hangup").await?;
    caller.quit().await?;
    bridge.quit().await?;
    let log = agent.log()?;
    let heard = decode(&agent.quit().await?).await?;
    // Why it is never called secured.
    assert!(
        [&heard.multimon, &heard.spandsp].iter().any(|read| read.contains("4242424242424242")),
        "the agent's phone hears the card: {heard:?}"
    );
    assert_eq!(log.matches("heard ").count(), CARD[1].len(), "{log}");
    stage.passed();
    Ok(())
}

/// What that phone signals on its leg to us are keys of that phone; the caller's are in the sound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_the_agents_own_phone_that_mixes_are_not_the_callers() -> anyhow::Result<()> {
    let (agent_at, caller_at) = (free_phone()?, free_phone()?);
    let stage = stage("three-way", 21_200, [agent_at, free_phone()?]).await?;
    let plain = ["udp", "plain"];
    let mut agent = Pjsip::start(&stage, "1001", agent_at, 21_240, plain).await?;
    let mut caller = Pjsip::start(&stage, "447700900142", caller_at, 21_260, plain).await?;
    let desk = stage.desk("1001").await?;
    caller.order(&format!("dial sip:1001@{agent_at}")).await?;
    agent.says("media active").await.context("speaking without us")?;
    let asked = desk.conference(4200).await?;
    agent.order("merge").await?;
    agent.order(&format!("dial sip:{}@{}", text(&asked, "/transfer_to"), stage.sip)).await?;
    heard_by_all(&desk).await?;
    let payment = text(&asked, "/payment").to_owned();
    desk.wait_for_payment(&payment, &["capturing"], WAIT_MAX).await?;
    agent.order("newest").await?;
    agent.order("rfc2833 11").await?;
    agent.order("info 33").await?;
    caller.order(&format!("tones {}{}", CARD[0], CARD[1])).await?;
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    authorize(&desk, &payment).await?;
    never_masked(&desk, &payment).await?;
    agent.quit().await?;
    caller.quit().await?;
    stage.passed();
    Ok(())
}
