//! An agent's phone (PJSIP) calls a code while it has a caller, and transfers the caller there by REFER with Replaces: in the caller's
//! call or in the code's, where the caller's call is with us or is not.

use crate::baresip::{CARD, WAIT_MAX};
use crate::decoders::{Read, decode};
use crate::pjsip::Pjsip;
use crate::stage::lane::authorize;
use crate::stage::{Route, Setting, Stage, free_phone};
use anyhow::Context;
use lab::desk::{Desk, text};
use std::net::SocketAddr;
use std::time::Duration;

struct Scene {
    stage: Stage,
    caller: Pjsip,
    agent: Pjsip,
    desk: Desk,
    payment: String,
}

/// The agent has a caller on the line, through us or not, and waits at a code with another call.
async fn scene(name: &str, first_port: u16, is_inline: bool) -> anyhow::Result<Scene> {
    let (caller_at, agent_at) = (free_phone()?, free_phone()?);
    let apart: SocketAddr = free_phone()?;
    let route = match is_inline {
        true => Route { extension: "1001".to_owned(), caller: caller_at, agent: agent_at },
        false => Route { extension: "1001".to_owned(), caller: apart, agent: free_phone()? },
    };
    // Where the caller's call is not with us, the caller is reached at the PBX, which this trunk stands for.
    let places = if is_inline { format!("\"{agent_at}\"") } else { format!("\"{caller_at}\", \"{agent_at}\"") };
    let more = format!(
        "\n[[trunk]]\nname = \"office\"\naddress = [{places}]\n\
         on_demand = {{ extensions = [\"100x\"], attended = true }}\n"
    );
    let setting = Setting { ports: (first_port, first_port + 39), more, ..Setting::new(0, vec![route]) };
    let stage = Stage::start(name, setting).await?;
    let plain = ["udp", "plain"];
    let mut caller = Pjsip::start(&stage, "447700900142", caller_at, first_port + 40, plain).await?;
    let mut agent = Pjsip::start(&stage, "1001", agent_at, first_port + 60, plain).await?;
    let desk = stage.desk("1001").await?;
    let to = if is_inline { format!("sip:02079460018@{}", stage.sip) } else { format!("sip:1001@{agent_at}") };
    caller.order(&format!("dial {to}")).await?;
    agent.says("media active").await.context("the caller's call")?;
    caller.order("rfc2833 9").await?;
    agent.says("heard 9").await.context("the control: keys are heard on that call")?;
    let asked = desk.transfer(4200).await?;
    agent.order(&format!("dial sip:{}@{}", text(&asked, "/transfer_to"), stage.sip)).await?;
    agent.says_times("media active", 2).await.context("the code's call")?;
    Ok(Scene { stage, caller, agent, desk, payment: text(&asked, "/payment").to_owned() })
}

impl Scene {
    /// The caller pays where the agent has had them transferred, and the agent hears no key.
    async fn pays(mut self) -> anyhow::Result<()> {
        self.agent.says("transfer 200").await.context("the transfer")?;
        self.desk.wait_for_payment(&self.payment, &["capturing"], WAIT_MAX).await.context("the code's call")?;
        let calls = self.desk.calls().await?;
        assert_eq!(calls.len(), 1, "one call is left: {calls:?}");
        assert_eq!((text(&calls[0], "/way"), text(&calls[0], "/line")), ("code", "secured"));
        // Nobody keys within milliseconds of being brought to another call, and a busy phone is still changing its streams then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        for keys in CARD {
            self.caller.order(&format!("rfc2833 {keys}")).await?;
        }
        self.desk.wait_for_payment(&self.payment, &["ready"], WAIT_MAX).await.context("keying the card")?;
        let paid = authorize(&self.desk, &self.payment).await?;
        assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
        let log = self.agent.log()?;
        assert_eq!(log.matches("heard ").count(), 1, "the agent's phone tells of more than the open key:\n{log}");
        self.caller.quit().await?;
        assert_eq!(decode(&self.agent.quit().await?).await?, Read { multimon: String::new(), spandsp: String::new() });
        self.stage.passed();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_of_ours_goes_to_the_code_by_a_refer_in_their_own_call() -> anyhow::Result<()> {
    let mut scene = scene("consult-ours", 21_400, true).await?;
    scene.agent.order("attended").await?;
    scene.pays().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_of_ours_goes_to_the_code_by_a_refer_in_the_codes_call() -> anyhow::Result<()> {
    let mut scene = scene("consult-back", 21_500, true).await?;
    scene.agent.order("attended_back").await?;
    scene.pays().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_elsewhere_comes_to_the_code_by_an_invite_that_replaces() -> anyhow::Result<()> {
    let mut scene = scene("consult-away", 21_600, false).await?;
    scene.agent.order("attended").await?;
    scene.agent.says("transfer 200").await.context("the transfer")?;
    // As phones do: what was transferred is put down.
    scene.agent.order("hangup").await?;
    scene.caller.says("state DISCONNECTED").await?;
    scene.pays().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_elsewhere_is_fetched_by_a_refer_in_the_codes_call() -> anyhow::Result<()> {
    let mut scene = scene("consult-fetch", 21_700, false).await?;
    scene.agent.order("attended_back").await?;
    scene.pays().await
}
