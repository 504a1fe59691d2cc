//! What a gateway says of its own accord.

use crate::answer::Answer;
use crate::request::Kind;
use wire::AttemptId;

/// Between a webhook's time and ours: five minutes, after which a captured one is worth nothing to whoever repeats it.
pub const WEBHOOK_AGE_MS_MAX: i64 = 5 * 60 * 1000;

/// The headers of a webhook. Names in any case.
pub type Headers<'a> = [(&'a str, &'a str)];

/// The first header of that name.
pub fn header<'a>(headers: &Headers<'a>, name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// One thing that a webhook says. It comes once, many times, late and in any order: whoever takes it dedupes by `id`, and
/// an outcome replaces an unknown one only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayEvent {
    /// The gateway's own id of the event.
    pub id: String,
    /// Our attempt, where the event names it.
    pub attempt: Option<AttemptId>,
    /// The gateway's own name for what it is about.
    pub locator: Option<String>,
    /// What it says.
    pub says: Says,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// How an attempt ended. The receiver checks it against what was asked ([`Operation::agrees`](crate::Operation::agrees)).
    Ended {
        /// What the attempt did.
        kind: Kind,
        /// How it ended.
        answer: Answer,
    },
    /// Something has changed: ask.
    Changed,
    /// What an attempt had done, and was said to have, failed after all.
    Undone {
        /// What the attempt did.
        kind: Kind,
    },
    /// The cardholder's bank takes the money back.
    Disputed,
    /// Nothing that we act on.
    Other,
}

/// Why a webhook is not believed. It never repeats the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// This gateway sends none.
    #[error("this gateway sends no webhooks")]
    None,
    /// The cde's file has no secret to verify it with.
    #[error("no webhook secret is set for this gateway in cde.toml")]
    NoSecret,
    /// The signature is missing or wrong.
    #[error("the webhook's signature is missing or wrong")]
    Signature,
    /// Signed too long ago, or in the future.
    #[error("the webhook is older than {} minutes", WEBHOOK_AGE_MS_MAX / 60_000)]
    Stale,
    /// Signed, and not readable.
    #[error("the webhook is signed, but not readable")]
    Body,
}
