//! A caller's phone and an agent's phone, both of our lab, and what the two people do.

use super::{Route, Stage, free_udp};
use anyhow::Context;
use lab::desk::{Desk, text};
use lab::line::{Line, random_seed};
use lab::phone::{Config, Event, Law, Phone, Press, Transport};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const SETUP_MAX: Duration = Duration::from_secs(15);
const KEYS_MAX: Duration = Duration::from_secs(60);

pub struct Lane {
    pub extension: String,
    pub caller: Line,
    pub agent: Line,
    /// Where the agent's phone receives sound.
    pub agent_rtp: SocketAddr,
}

impl Lane {
    pub async fn new(extension: &str) -> anyhow::Result<Self> {
        let caller = phone("+447700900142", free_udp()?, None).await?;
        let agent_rtp = free_udp()?;
        let agent = phone(extension, agent_rtp, Some(Duration::from_millis(100))).await?;
        Ok(Self { extension: extension.to_owned(), caller, agent, agent_rtp })
    }

    /// Two phones, each behind a NAT of its own that it does not know of: these are the NATs' addresses.
    pub async fn behind_nats(extension: &str, caller: Ipv4Addr, agent: Ipv4Addr) -> anyhow::Result<Self> {
        let hidden = async |user: &str, nat: Ipv4Addr, answers_after| {
            let any = SocketAddr::from((nat, 0));
            let believes = Some([10, 99, 0, 5].into());
            let user = user.to_owned();
            let config = Config { sip: any, rtp: any, user, answers_after, law: Law::Mu, speaks: false, believes };
            anyhow::Ok(Line::start(config, random_seed()).await?)
        };
        let agent_rtp = SocketAddr::from((agent, 0));
        let caller = hidden("+447700900142", caller, None).await?;
        let agent = hidden(extension, agent, Some(Duration::from_millis(100))).await?;
        Ok(Self { extension: extension.to_owned(), caller, agent, agent_rtp })
    }

    pub async fn route(&self) -> anyhow::Result<Route> {
        let (caller, agent) = (self.caller.look(Phone::sip).await?, self.agent.look(Phone::sip).await?);
        Ok(Route { extension: self.extension.clone(), caller, agent })
    }

    /// Calls; returns the call's id once both talk.
    pub async fn connect(&mut self, stage: &Stage, desk: &Desk) -> anyhow::Result<String> {
        self.caller.call("02079460018", stage.sip).await?;
        self.caller.wait_for(Event::Established, SETUP_MAX).await.context("calling")?;
        let call = desk.wait_for_call("talking", SETUP_MAX).await?;
        Ok(text(&call, "/call").to_owned())
    }

    /// Presses keys and waits until they are pressed.
    pub async fn key(&self, keys: &str, press: Press) -> anyhow::Result<()> {
        self.caller.press(keys, press).await?;
        Ok(self.caller.keyed(KEYS_MAX).await?)
    }
}

/// A quick but plain finger: 80 ms, then 80 ms.
pub fn quick(transport: Transport) -> Press {
    Press { on_packets: 4, off_packets: 4, ..Press::new(transport) }
}

/// Starts a payment, secures the line, keys the card and waits until it is ready to be sent.
pub async fn capture(
    lane: &Lane,
    desk: &Desk,
    call: &str,
    amount: i64,
    card: &[&str],
    press: Press,
) -> anyhow::Result<String> {
    let payment = desk.start_payment(call, amount, "GBP").await?;
    desk.line(call, "secure").await.context("securing the line")?;
    for keys in card {
        lane.key(keys, press).await?;
    }
    desk.wait_for_payment(&payment, &["ready"], SETUP_MAX).await.context("keying the card")?;
    Ok(payment)
}

/// Sends it to the bank and waits for the outcome.
pub async fn authorize(desk: &Desk, payment: &str) -> anyhow::Result<Value> {
    desk.act(payment, "authorize").await.context("authorizing")?;
    desk.wait_for_payment(payment, &["approved", "declined", "not_sent", "unknown"], SETUP_MAX).await
}

pub async fn phone(user: &str, rtp: SocketAddr, answers_after: Option<Duration>) -> anyhow::Result<Line> {
    let sip = SocketAddr::from(([127, 0, 0, 1], 0));
    let user = user.to_owned();
    let config = Config { sip, rtp, user, answers_after, law: Law::Mu, speaks: false, believes: None };
    Ok(Line::start(config, random_seed()).await?)
}
