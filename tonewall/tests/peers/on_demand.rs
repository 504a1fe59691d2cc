//! The line secured on demand, with two baresips that speak with each other without us until there is something to pay. Each
//! stands for the PBX at its end: the agent's sends REFER, the caller's follows it to us.

use crate::baresip::{Baresip, CARD, WAIT_MAX};
use crate::decoders::{Read, decode};
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone};
use anyhow::Context;
use lab::desk::{Desk, text};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// From the transfer until caller and agent speak again.
const AGAIN_MAX: Duration = Duration::from_secs(3);

struct Scene {
    stage: Stage,
    caller: Baresip,
    agent: Baresip,
    desk: Desk,
}

async fn scene() -> anyhow::Result<Scene> {
    let (caller, agent) = (free_phone()?, free_phone()?);
    // The lane that every stage has; nobody calls on it.
    let route = Route { extension: "1001".to_owned(), caller: free_phone()?, agent: free_phone()? };
    let more = format!(
        "\n[[trunk]]\nname = \"office\"\naddress = [\"{agent}\", \"{caller}\"]\n\
         on_demand = {{ extensions = [\"100x\"], number = \"7999\" }}\n"
    );
    let setting = Setting { ports: (14_900, 14_939), more, ..Setting::new(49, vec![route]) };
    let stage = Stage::start("on-demand", setting).await?;
    let folder = stage.folder.path();
    let sound = ["14940-14969", "14970-14999"];
    let account = ";dtmfmode=rtpevent;audio_codecs=pcmu/8000/1";
    let mut caller = Baresip::start(folder, "447700900142", caller, sound[0], account).await?;
    let account = ";answermode=auto;audio_codecs=pcmu/8000/1";
    let agent_phone = Baresip::start(folder, "1001", agent, sound[1], account).await?;
    let desk = stage.desk("1001").await?;
    caller.order("dial", &format!("sip:1001@{agent}")).await?;
    caller.says("Call established").await.context("calling the agent without us")?;
    agent_phone.says("Call established").await?;
    Ok(Scene { stage, caller, agent: agent_phone, desk })
}

/// The agent transfers the caller there; the call that comes of it, once both speak.
async fn transfer(agent: &mut Baresip, desk: &Desk, user: &str, us: SocketAddr) -> anyhow::Result<Value> {
    let begun = Instant::now();
    agent.order("transfer", &format!("sip:{user}@{us}")).await?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let took = begun.elapsed();
    println!("caller and agent speak again after {} ms", took.as_millis());
    anyhow::ensure!(took < AGAIN_MAX, "{took:?}");
    Ok(call)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whom_an_agent_transfers_to_a_code_pays_on_a_secured_line() -> anyhow::Result<()> {
    let Scene { stage, mut caller, mut agent, desk } = scene().await?;
    assert!(desk.calls().await?.is_empty());
    // Without us keys reach the agent's phone.
    caller.key("9").await?;
    agent.says("received event: '9'").await.context("the control")?;
    let asked = desk.transfer(4200).await?;
    let awaited = desk.wait_for_call("awaited", WAIT_MAX).await?;
    assert_eq!(text(&awaited, "/call"), text(&asked, "/call"));

    let call = transfer(&mut agent, &desk, text(&asked, "/transfer_to"), stage.sip).await?;
    assert_eq!((text(&call, "/call"), text(&call, "/line")), (text(&asked, "/call"), "secured"));
    assert_eq!((text(&call, "/caller"), text(&call, "/way")), ("447700900142", "code"));
    assert_eq!(call.pointer("/keys_cross_pbx"), Some(&true.into()));
    let payment = text(&asked, "/payment").to_owned();
    desk.wait_for_payment(&payment, &["capturing"], WAIT_MAX).await?;
    for keys in CARD {
        caller.key(keys).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
    assert_eq!(stage.ledger().await?.len(), 1);

    caller.order("hangup", "").await?;
    agent.says("session closed").await?;
    let log = agent.log()?;
    let events = log.lines().filter(|line| line.contains("received event")).count();
    assert!((1..=2).contains(&events), "the agent's phone tells of more than the one open key:\n{log}");
    agent.order("quit", "").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let nothing = Read { multimon: String::new(), spandsp: String::new() };
    assert_eq!(decode(&agent.heard()?).await?, nothing);
    let said = stage.log() + &std::fs::read_to_string(stage.folder.join("office.toml"))?;
    let code = text(&asked, "/transfer_to").trim_start_matches("secure-");
    assert!(!code.is_empty() && !said.contains(code), "the code stands in the log");
    // Good once.
    let (us, user) = (stage.sip, text(&asked, "/transfer_to"));
    caller.order("dial", &format!("sip:{user}@{us}")).await?;
    caller.says("404").await?;
    stage.passed();
    Ok(())
}

const PIN: &str = "481516";

/// Two phones at an inline route, and the agent's PIN.
async fn inline_scene() -> anyhow::Result<Scene> {
    let (caller, agent) = (free_phone()?, free_phone()?);
    let route = Route { extension: "1001".to_owned(), caller, agent };
    let more = format!(
        "\n[[trunk]]\nname = \"office\"\naddress = \"{agent}\"\n\
         on_demand = {{ extensions = [\"100x\"], number = \"7999\" }}\n"
    );
    let setting = Setting { ports: (12_900, 12_939), more, ..Setting::new(29, vec![route]) };
    let stage = Stage::start("agent-pin", setting).await?;
    let folder = stage.folder.path();
    let sound = ["12940-12969", "12970-12999"];
    let account = ";dtmfmode=rtpevent;audio_codecs=pcmu/8000/1";
    let caller = Baresip::start(folder, "447700900142", caller, sound[0], account).await?;
    let account = ";answermode=auto;dtmfmode=rtpevent;audio_codecs=pcmu/8000/1";
    let agent = Baresip::start(folder, "1001", agent, sound[1], account).await?;
    let pin = folder.join("pin");
    std::fs::write(&pin, PIN)?;
    let mut command = std::process::Command::new(crate::stage::binary::normal());
    command.args(["pin", "set", "--extension", "1001", "--pin-file"]).arg(pin).arg("--config").arg(folder);
    let said = crate::tools::run_command(&mut command, WAIT_MAX).await?;
    anyhow::ensure!(said.good, "tonewall pin set: {}", said.all());
    // The cde looks every ten seconds.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let desk = stage.desk("1001").await?;
    Ok(Scene { stage, caller, agent, desk })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_secures_the_line_from_their_phone_by_code_and_pin() -> anyhow::Result<()> {
    let Scene { stage, mut caller, mut agent, desk } = inline_scene().await?;
    caller.order("dial", &format!("sip:02079460018@{}", stage.sip)).await?;
    caller.says("Call established").await?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    let call = text(&call, "/call").to_owned();
    agent.key("7").await?;
    caller.says("received event: '7'").await.context("the control: other keys pass")?;
    agent.key("*9").await?;
    agent.key("481517#").await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    desk.wait_for_line(&call, "open", WAIT_MAX).await.context("a wrong PIN")?;
    agent.key("*9").await?;
    agent.key(PIN).await?;
    agent.key("#").await?;
    desk.wait_for_line(&call, "secured", WAIT_MAX).await?;

    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    for keys in CARD {
        caller.key(keys).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    let paid = authorize(&desk, &payment).await?;
    assert_eq!(text(&paid, "/state"), "approved");
    caller.order("hangup", "").await?;
    agent.says("session closed").await?;
    let log = caller.log()?;
    let events = log.lines().filter(|line| line.contains("received event")).count();
    assert!((1..=2).contains(&events), "the caller's phone tells of more than the one key that was for it:\n{log}");
    assert!(!stage.log().contains(PIN), "the PIN stands in the log");
    stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_keys_a_pin_at_the_number_and_the_next_caller_is_theirs() -> anyhow::Result<()> {
    let (caller, agent) = (free_phone()?, free_phone()?);
    let route = Route { extension: "1001".to_owned(), caller: free_phone()?, agent: free_phone()? };
    let more = format!(
        "\n[[trunk]]\nname = \"office\"\naddress = [\"{agent}\", \"{caller}\"]\n\
         on_demand = {{ extensions = [\"100x\"], number = \"7999\" }}\n"
    );
    let setting = Setting { ports: (14_300, 14_339), more, ..Setting::new(43, vec![route]) };
    let stage = Stage::start("number-pin", setting).await?;
    let folder = stage.folder.path();
    let account = ";dtmfmode=rtpevent;audio_codecs=pcmu/8000/1";
    let mut caller = Baresip::start(folder, "447700900142", caller, "14340-14369", account).await?;
    let account = ";answermode=auto;dtmfmode=rtpevent;audio_codecs=pcmu/8000/1";
    let mut agent = Baresip::start(folder, "1001", agent, "14370-14399", account).await?;
    node::pins::set(&folder.join("cde-data"), &"1001".parse()?, Some(PIN))?;
    tokio::time::sleep(Duration::from_secs(11)).await;
    let desk = stage.desk("1001").await?;

    agent.order("dial", &format!("sip:7999@{}", stage.sip)).await?;
    agent.says("Call established").await.context("calling the number")?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    agent.key(PIN).await?;
    agent.key("#").await?;
    let awaited = desk.wait_for_call("awaited", WAIT_MAX).await?;
    agent.says("session closed").await?;
    caller.order("dial", &format!("sip:7999@{}", stage.sip)).await?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    assert_eq!((text(&call, "/call"), text(&call, "/line")), (text(&awaited, "/call"), "secured"));
    assert_eq!(text(&call, "/way"), "pin");
    let payment = desk.start_payment(text(&call, "/call"), 4200, "GBP").await?;
    for keys in CARD {
        caller.key(keys).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
    assert_eq!(text(&authorize(&desk, &payment).await?, "/state"), "approved");
    assert!(!agent.log()?.contains("received event"));
    stage.passed();
    Ok(())
}
