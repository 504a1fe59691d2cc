//! How the SIP messages of a call are shown: as JSON, and as a text to read or to send to a carrier.

use crate::clock::rfc3339;
use serde::Serialize;
use std::fmt::Write;
use utoipa::ToSchema;
use wire::{CallId, Ladder, LadderMessage, LadderSummary};

/// The SIP messages of a call, the oldest first. Card data, keys and secrets are not in them: the card side took them out before it kept
/// them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LadderView {
    /// UUID.
    #[schema(value_type = String)]
    call: CallId,
    messages: Vec<MessageView>,
    /// How many more there were, for which there was no room.
    left_out: u32,
}

/// One SIP message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageView {
    /// RFC 3339; of messages that carry keys to the quarter of a second.
    at: String,
    /// `in` or `out`.
    direction: &'static str,
    transport: String,
    /// From whom, or to whom.
    #[schema(value_type = String)]
    peer: std::net::SocketAddr,
    /// The trunk that this is, if it is one.
    trunk: Option<String>,
    /// The start line.
    start: String,
    /// All of it.
    text: String,
}

/// A call whose SIP messages are kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LadderSummaryView {
    /// UUID; also of an INVITE that was refused and never became a call.
    #[schema(value_type = String)]
    call: CallId,
    /// RFC 3339.
    started_at: String,
    is_live: bool,
    from: String,
    to: String,
    messages: u32,
    /// The last start line.
    last: String,
}

impl LadderView {
    pub(crate) fn new(ladder: Ladder) -> Self {
        let Ladder { call, messages, left_out } = ladder;
        Self { call, messages: messages.into_iter().map(MessageView::new).collect(), left_out }
    }
}

impl MessageView {
    fn new(message: LadderMessage) -> Self {
        Self {
            at: rfc3339(message.at_unix_ms),
            direction: if message.is_out { "out" } else { "in" },
            transport: message.transport,
            peer: message.peer,
            trunk: message.trunk,
            start: message.text.lines().next().unwrap_or_default().to_owned(),
            text: message.text,
        }
    }
}

impl LadderSummaryView {
    pub(crate) fn new(summary: LadderSummary) -> Self {
        let LadderSummary { call, started_unix_ms, is_live, from, to, messages, last } = summary;
        Self { call, started_at: rfc3339(started_unix_ms), is_live, from, to, messages, last }
    }
}

/// The messages one below the other, each under a line that says when, how, and from whom to whom.
pub(crate) fn text(ladder: &Ladder) -> String {
    let mut text = format!("Call {}\n", ladder.call);
    for message in &ladder.messages {
        let LadderMessage { at_unix_ms, is_out, transport, peer, trunk, text: words } = message;
        let trunk = trunk.as_ref().map_or_else(String::new, |trunk| format!(" ({trunk})"));
        let arrow = if *is_out { "-->" } else { "<--" };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n{} tonewall {arrow} {peer}{trunk} {transport}\n{words}", rfc3339(*at_unix_ms));
    }
    if ladder.left_out > 0 {
        let _ = write!(text, "\n{} messages were left out: there was no room for them.\n", ladder.left_out);
    }
    text
}
