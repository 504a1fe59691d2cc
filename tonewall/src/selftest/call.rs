//! One case: a call, a whole payment, and what both phones have of it.

use super::evidence::{Evidence, Judged};
use crate::world::{SETUP_MAX, World};
use anyhow::Context;
use clap::ValueEnum;
use lab::desk::{Desk, text, wait_for};
use lab::phone::{Phone, Press, Transport};
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// A published test card, with a date and a code that make all ten digits; all but the code are masked as is configured,
/// and the number and the date alone have all ten already.
pub(super) const CARD: [&str; 3] = ["378282246310005", "1239", "0996"];
const MINOR: i64 = 4200;
/// So long the caller speaks on the secured line before the first key: more than a pause of the voice.
const SPEAKS: Duration = Duration::from_secs(2);
const OUTCOME_MAX: Duration = Duration::from_secs(30);
const AFTERWARDS: Duration = Duration::from_millis(500);
/// The figures of the office's `/metrics`.
const FRAMES: &str = "tonewall_office_frames_witnessed_total";
const SUSPICIOUS: &str = "tonewall_office_frames_suspicious_total";

/// How keys travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keys {
    /// RFC 4733 telephone-event.
    Events,
    /// SIP INFO.
    Info,
    /// Both at once for every key.
    Both,
    /// Tones in the sound, of a phone that knows no telephone-event.
    Tones,
    /// Tones in the sound although telephone-event was agreed on.
    TonesDespiteEvents,
}

impl Keys {
    pub(super) fn transport(self) -> Transport {
        match self {
            Self::Events => Transport::Events,
            Self::Info => Transport::Info,
            Self::Both => Transport::EventsAndInfo,
            Self::Tones | Self::TonesDespiteEvents => Transport::InBand,
        }
    }

    pub(super) fn offers_events(self) -> bool {
        self != Self::Tones
    }
}

/// How the line is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Masking {
    /// The voice passes, keys do not.
    Natural,
    /// Nothing passes.
    Strict,
}

impl From<Masking> for node::config::Masking {
    fn from(masking: Masking) -> Self {
        match masking {
            Masking::Natural => Self::Natural,
            Masking::Strict => Self::Strict,
        }
    }
}

impl fmt::Display for Masking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(self))
    }
}

/// What a case is about.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) keys: Keys,
    pub(super) masking: Masking,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.masking, word(&self.keys))
    }
}

/// A choice as the command line has it.
pub(super) fn word(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Plays a case and judges it. An error means that the system cannot be used any more.
pub(super) async fn play(world: &World, desk: &Desk, case: Case) -> anyhow::Result<Judged> {
    let began = Instant::now();
    let before = (desk.figure(FRAMES).await?, desk.figure(SUSPICIOUS).await?);
    let mut evidence = Evidence::default();
    // What went wrong is a finding, and what the agent heard until then is evidence all the same.
    let paid = pay(world, desk, case, &mut evidence).await;
    evidence.error = paid.err().map(|error| crate::said(&error));
    look(world, &mut evidence).await?;
    world.hang_up().await;
    wait_for(SETUP_MAX, "the call to end", async || Ok(desk.calls().await?.is_empty().then_some(()))).await?;
    if evidence.secured.is_some() {
        let told = async || Ok((desk.figure(FRAMES).await? > before.0).then_some(()));
        // Without it the case fails, which the judge says.
        let _ = wait_for(SETUP_MAX, "the witness", told).await;
    }
    evidence.witnessed = desk.figure(FRAMES).await?.saturating_sub(before.0);
    evidence.suspected = desk.figure(SUSPICIOUS).await?.saturating_sub(before.1);
    evidence.took = began.elapsed();
    Ok(evidence.judge(case))
}

/// A whole payment; the caller speaks all the time but for the keys.
async fn pay(world: &World, desk: &Desk, case: Case, evidence: &mut Evidence) -> anyhow::Result<()> {
    {
        let caller = world.caller.lock().await;
        caller.offer_events(case.keys.offers_events()).await?;
        caller.hear_itself().await?;
        caller.speak(true).await?;
    }
    let call = world.connect(desk).await?;
    let payment = desk.start_payment(&call, MINOR, "GBP").await?;
    desk.line(&call, "secure").await.context("securing the line")?;
    let secured = Instant::now();
    evidence.secured = Some(Duration::ZERO);
    let from = lengths(world).await?;
    tokio::time::sleep(SPEAKS).await;
    let to = lengths(world).await?;
    evidence.voice = (from.0..to.0, from.1..to.1);
    let ready = world.key_card(&CARD, Press::new(case.keys.transport()), desk, &payment).await;
    evidence.captured = captured(&desk.payment(&payment).await?);
    ready?;
    desk.act(&payment, "authorize").await.context("authorizing")?;
    let paid = desk.wait_for_payment(&payment, &["approved", "declined", "not_sent", "unknown"], OUTCOME_MAX).await?;
    evidence.outcome = text(&paid, "/state").to_owned();
    evidence.payment = payment;
    desk.wait_for_line(&call, "open", OUTCOME_MAX).await?;
    evidence.secured = Some(secured.elapsed());
    tokio::time::sleep(AFTERWARDS).await;
    Ok(())
}

/// Samples that the agent has received, and that the caller has sent.
async fn lengths(world: &World) -> anyhow::Result<(usize, usize)> {
    let agent = world.agent.lock().await.look(|phone| phone.ear().samples().len()).await?;
    let own = |phone: &Phone| phone.own_ear().map_or(0, |ear| ear.samples().len());
    Ok((agent, world.caller.lock().await.look(own).await?))
}

/// Digits that the payment's fields hold.
fn captured(payment: &Value) -> u64 {
    let fields = payment.get("fields").and_then(Value::as_array).into_iter().flatten();
    fields.filter_map(|field| field.get("digits")?.as_u64()).sum()
}

async fn look(world: &World, evidence: &mut Evidence) -> anyhow::Result<()> {
    evidence.agent = world.agent.lock().await.look(|phone| phone.ear().into()).await?;
    let own = |phone: &Phone| phone.own_ear().map(Into::into).unwrap_or_default();
    evidence.caller = world.caller.lock().await.look(own).await?;
    Ok(())
}
