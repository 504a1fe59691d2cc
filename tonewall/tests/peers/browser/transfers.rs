//! An agent in a browser gives a secured call to a colleague in a browser, by JsSIP's REFER. The caller keys nothing twice, and
//! neither of the two hears a key.

use super::{Browser, CARD, KEYS_MAX, WAIT_MAX, nothing, nowhere};
use crate::decoders::{assert_only_nines, decode};
use crate::stage::lane::{authorize, phone, quick};
use crate::stage::{PAGE_PASSWORD, Page, Route, Setting, Stage, free_udp};
use anyhow::Context;
use lab::desk::{Desk, text, wait_for};
use lab::line::Line;
use lab::phone::{Event, Phone, Press, Transport};
use serde_json::Value;
use std::time::Duration;

/// A caller, two agents in browsers, and a secured call of the first with a card number keyed.
struct Scene {
    stage: Stage,
    caller: Line,
    agent: Browser,
    colleague: Browser,
    desk: Desk,
    other_desk: Desk,
    call: String,
    payment: String,
}

async fn scene(name: &str, slot: u16) -> anyhow::Result<Scene> {
    let mut caller = phone("+447700900142", free_udp()?, None).await?;
    let route = Route { extension: "1001".to_owned(), caller: caller.look(Phone::sip).await?, agent: nowhere() };
    let more = format!(
        "\n[[phone]]\nname = \"1002\"\ntrunk = \"pbx1001\"\npassword = \"{PAGE_PASSWORD}\"\ndigest = \"legacy\"\n\n\
         [[route]]\nfrom = \"pbx1001\"\nto = \"pbx1001\"\nprefix = \"100\"\n"
    );
    let setting = Setting { page: Some(Page::Agent), more, ..Setting::new(slot, vec![route]) };
    let stage = Stage::start(name, setting).await?;
    let url = format!("ws://{}", stage.pages);
    let agent = Browser::start(stage.folder.path(), &url, "1001").await?;
    let colleague = Browser::start(stage.folder.path(), &url, "1002").await?;
    let (desk, other_desk) = (stage.desk("1001").await?, stage.colleague("1002").await?);
    caller.call("02079460018", stage.sip).await?;
    caller.wait_for(Event::Established, WAIT_MAX).await.context("calling")?;
    agent.says("\"state\":\"connected\"").await.context("DTLS and ICE")?;
    let call = text(&desk.wait_for_call("talking", WAIT_MAX).await?, "/call").to_owned();
    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await?;
    caller.press(CARD[0], quick(Transport::InBand)).await?;
    caller.keyed(KEYS_MAX).await?;
    Ok(Scene { stage, caller, agent, colleague, desk, other_desk, call, payment })
}

impl Scene {
    /// The colleague has the call; the rest of the card is keyed, and it is charged from the colleague's desk.
    async fn finish_by_the_colleague(mut self) -> anyhow::Result<()> {
        let is_ours = |calls: Vec<Value>| calls.into_iter().find(|call| text(call, "/call") == self.call);
        let taken = wait_for(WAIT_MAX, "the call at the colleague's desk", async || {
            Ok(is_ours(self.other_desk.calls().await?))
        });
        assert_eq!(text(&taken.await?, "/line"), "secured");
        assert!(is_ours(self.desk.calls().await?).is_none(), "who gave it away has it no more");
        for keys in &CARD[1..] {
            self.caller.press(keys, quick(Transport::InBand)).await?;
            self.caller.keyed(KEYS_MAX).await?;
        }
        let ready = self.other_desk.wait_for_payment(&self.payment, &["ready"], WAIT_MAX).await;
        ready.context("keying the rest of the card")?;
        let paid = authorize(&self.other_desk, &self.payment).await?;
        assert_eq!((text(&paid, "/state"), text(&paid, "/card/last4")), ("approved", "4242"));
        self.other_desk.wait_for_line(&self.call, "open", WAIT_MAX).await?;
        self.is_heard_again().await?;
        // With the leg that they were given: one that is lost would be called again.
        assert_eq!(self.colleague.count("\"incoming\"")?, 1);
        self.caller.hang_up().await?;
        self.colleague.says("\"ended\"").await?;
        drop((self.agent, self.colleague));
        self.stage.passed();
        Ok(())
    }

    /// After the release the colleague hears a key, and they have heard no other; nor has who gave the call away.
    async fn is_heard_again(&mut self) -> anyhow::Result<()> {
        // Long, so that it is heard through the gaps of a busy machine, if as more than one.
        self.caller.press("9", Press { on_packets: 20, ..quick(Transport::InBand) }).await?;
        self.caller.keyed(KEYS_MAX).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let folder = self.stage.folder.path().to_owned();
        let (first, second) = (folder.join("first.wav"), folder.join("second.wav"));
        self.agent.heard(&first).await?;
        self.colleague.heard(&second).await?;
        assert_eq!(decode(&first).await?, nothing(), "the first agent");
        assert_only_nines(&decode(&second).await?);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_in_a_browser_gives_a_secured_call_to_a_colleague_in_a_browser() -> anyhow::Result<()> {
    let mut scene = scene("browser-blind", 25).await?;
    scene.agent.order("transfer 1002")?;
    scene.agent.says("\"news\":\"accepted\"").await.context("NOTIFY of the transfer")?;
    scene.agent.says("\"ended\"").await.context("the first leg is over")?;
    scene.colleague.says("\"state\":\"connected\"").await?;
    scene.finish_by_the_colleague().await
}

/// The colleague is asked first, in a call of its own, and comes over with the leg that they have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_in_a_browser_asks_a_colleague_and_then_gives_them_the_secured_call() -> anyhow::Result<()> {
    let mut scene = scene("browser-attended", 26).await?;
    scene.agent.order("hold")?;
    scene.agent.says("\"event\":\"hold\"").await?;
    scene.agent.order("dial 1002")?;
    scene.colleague.says("\"state\":\"connected\"").await.context("the consultation")?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.agent.order("transfer")?;
    scene.agent.says("\"news\":\"accepted\"").await.context("NOTIFY of the transfer")?;
    scene.agent.says("\"ended\"").await.context("the first leg is over")?;
    scene.finish_by_the_colleague().await
}
