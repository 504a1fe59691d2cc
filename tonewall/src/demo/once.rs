//! One whole call by itself: the agent works the API, the caller keys, and afterwards it is judged what the agent heard.

use crate::world::{SETUP_MAX, World};
use anyhow::Context;
use lab::desk::{text, wait_for};
use lab::phone::{Press, Transport};
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

const CARD: &[&str] = &["4242424242424242*", super::caller::EXPIRY, "123"];
const OUTCOME_MAX: Duration = Duration::from_secs(15);

/// What the one line says.
pub(super) struct Report {
    payment: String,
    outcome: String,
    auth_code: String,
    card: Value,
    agent_leg_digits: String,
    recording: PathBuf,
    /// Ways out other than sound: events, INFOs and strange packets on the agent's leg.
    others: usize,
}

impl Report {
    /// Approved, and nothing leaked?
    pub(super) fn good(&self) -> bool {
        self.outcome == "approved" && self.agent_leg_digits.is_empty() && self.others == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = json!({
            "payment": self.payment,
            "outcome": self.outcome,
            "auth_code": self.auth_code,
            "card": self.card,
            "agent_leg_digits": self.agent_leg_digits,
            "agent_leg_other_packets": self.others,
            "recording": self.recording,
        });
        line.fmt(f)
    }
}

pub(super) async fn play(world: &World, transport: Transport, headless: bool) -> anyhow::Result<Report> {
    if !headless {
        crate::tell(&format!("Watch it here: {}", world.link()));
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    let desk = world.desk().await?;
    let call = world.connect(&desk).await?;
    world.caller.lock().await.speak(false).await?;
    let payment = desk.start_payment(&call, 4200, "GBP").await?;
    desk.line(&call, "secure").await.context("securing the line")?;
    world.key_card(CARD, Press::new(transport), &desk, &payment).await?;
    desk.act(&payment, "authorize").await.context("authorizing")?;
    let paid = desk.wait_for_payment(&payment, &["approved", "declined", "not_sent", "unknown"], OUTCOME_MAX).await?;
    if text(&paid, "/state") != "approved" {
        desk.line(&call, "release").await?;
    }
    desk.wait_for_line(&call, "open", OUTCOME_MAX).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (heard, others) = world
        .agent
        .lock()
        .await
        .look(|phone| {
            let ear = phone.ear();
            (ear.digits_since(0), ear.event_packets() + ear.infos() + ear.strange())
        })
        .await?;
    world.caller.lock().await.hang_up().await?;
    let (recording, recorded) = recording(world).await?;
    Ok(Report {
        outcome: text(&paid, "/state").to_owned(),
        auth_code: text(&paid, "/outcome/auth_code").to_owned(),
        card: json!({"brand": paid.pointer("/card/brand"), "last4": paid.pointer("/card/last4")}),
        agent_leg_digits: heard + &recorded,
        payment,
        recording,
        others,
    })
}

/// The recording of the agent's side, when it is complete, and the digits that our detector reads in it.
async fn recording(world: &World) -> anyhow::Result<(PathBuf, String)> {
    let folder = world.recordings();
    wait_for(SETUP_MAX, "the recording", async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let Some(file) = std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path()).max() else {
            return Ok(None);
        };
        let digits = lab::digits_in_recording(&std::fs::read(&file)?).context("the recording is no WAV file")?;
        Ok(Some((file, digits)))
    })
    .await
}
