//! The demo's caller: rings, waits to be asked, keys a card, and rings again.

use crate::world::{NUMBER, Page, World};
use lab::desk::{Desk, text};
use lab::line::Line;
use lab::phone::{Event, Press, Transport};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::watch;

/// A card of the sandbox must be good for a while; test cards take any date ahead.
pub(super) const EXPIRY: &str = "1235";
const APPROVED: &str = "4242424242424242*";
const DECLINED: &str = "4000000000000002*";
const MASTERCARD: &str = "5555555555554444";
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A person takes a moment before keying.
const THINKS: Duration = Duration::from_millis(900);
const BETWEEN_CALLS: Duration = Duration::from_secs(6);
/// A page that is not heard of for so long is closed.
const GONE_AFTER: Duration = Duration::from_secs(3);

/// What the caller does.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Story {
    /// Keys a card that is approved.
    Approve,
    /// Keys a card that is declined, then another.
    Decline,
    /// Makes a slip, then keys it right.
    Slip,
    /// Hangs up in the middle of the number.
    HangUp,
    /// Keys a good card, and the bank's answer is lost: for some half a minute nobody knows whether money was taken.
    LostAnswer,
}

impl Story {
    /// The card numbers, one for each time that the number is asked.
    fn numbers(self) -> &'static [&'static str] {
        match self {
            Self::Approve | Self::LostAnswer => &[APPROVED],
            Self::Decline => &[DECLINED, MASTERCARD],
            Self::Slip => &["4242424242424241*", APPROVED],
            Self::HangUp => &["42424242"],
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Approve => Self::Slip,
            Self::Slip => Self::Decline,
            Self::Decline | Self::HangUp | Self::LostAnswer => Self::Approve,
        }
    }
}

/// Calls again and again until the demo ends.
pub(super) async fn play(world: &World, transport: Transport, first: Story) -> anyhow::Result<()> {
    let desk = world.desk().await?;
    let mut caller = world.caller.lock().await;
    let mut person = Person(world.page.as_ref().map(Page::tabs));
    let mut story = first;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        person.is_gone().await;
        if story == Story::LostAnswer {
            world.lose_next_answer().await?;
        }
        caller.speak(true).await?;
        caller.call(NUMBER, world.sip).await?;
        tokio::select! {
            result = one_call(transport, &desk, &mut caller, story) => result?,
            () = person.is_here() => {
                caller.hang_up().await?;
                continue;
            }
        }
        tokio::time::sleep(BETWEEN_CALLS).await;
        story = story.next();
    }
}

/// Who may have the telephone's page open, and then is the caller.
struct Person(Option<watch::Receiver<usize>>);

impl Person {
    /// Waits until the page is open.
    async fn is_here(&mut self) {
        if let Some(tabs) = &mut self.0
            && tabs.wait_for(|tabs| *tabs > 0).await.is_ok()
        {
            return;
        }
        // There is no page, or nothing that serves it.
        std::future::pending().await
    }

    /// Waits until it has not been open for a moment: a page asks anew now and then, and may be reloaded.
    async fn is_gone(&mut self) {
        let Some(tabs) = &mut self.0 else { return };
        while tabs.wait_for(|tabs| *tabs == 0).await.is_ok() {
            let back = tokio::time::timeout(GONE_AFTER, tabs.wait_for(|tabs| *tabs > 0)).await;
            if back.is_err() {
                return;
            }
        }
    }
}

async fn one_call(transport: Transport, desk: &Desk, caller: &mut Line, story: Story) -> anyhow::Result<()> {
    let mut asked = 0;
    let mut quiet = false;
    loop {
        tokio::select! {
            event = caller.event() => match event {
                Some(Event::Ended | Event::Failed(_)) | None => return Ok(()),
                Some(_) => continue,
            },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        // The office may just be restarting; the caller waits.
        let Some(call) = desk.calls().await.unwrap_or_default().into_iter().next() else { continue };
        let secured = text(&call, "/line") == "secured";
        if secured != quiet {
            caller.speak(!secured).await?;
            quiet = secured;
        }
        if let Some(keys) = wanted(&call, story, &mut asked) {
            tokio::time::sleep(THINKS).await;
            caller.press(keys, Press::new(transport)).await?;
            caller.keyed(Duration::from_secs(30)).await?;
            if story == Story::HangUp {
                caller.hang_up().await?;
                return Ok(());
            }
            // Let the screen catch up with the keys.
            tokio::time::sleep(THINKS).await;
        }
        if done(&call) {
            tokio::time::sleep(BETWEEN_CALLS).await;
            caller.hang_up().await?;
            return Ok(());
        }
    }
}

/// What the caller keys now, if the line is secured and an empty field is asked.
fn wanted(call: &Value, story: Story, asked: &mut usize) -> Option<&'static str> {
    if text(call, "/line") != "secured" || text(call, "/payment/state") != "capturing" {
        return None;
    }
    let fields = call.pointer("/payment/fields")?.as_array()?;
    let live = fields.iter().find(|field| text(field, "/status") == "live")?;
    if live.pointer("/digits").and_then(Value::as_u64) != Some(0) {
        return None;
    }
    match text(live, "/field") {
        "pan" => {
            let number = story.numbers().get(*asked).or(story.numbers().last()).copied();
            *asked += 1;
            number
        }
        "expiry" => Some(EXPIRY),
        "cvv" => Some("123"),
        _ => None,
    }
}

fn done(call: &Value) -> bool {
    text(call, "/line") == "open" && text(call, "/payment/state") == "approved"
}
