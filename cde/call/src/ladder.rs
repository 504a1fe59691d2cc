//! The SIP messages of calls, for an engineer to read: of those that stand, of those that are over, and of INVITEs of trunks that never
//! became a call. Every secret is taken out before anything is kept ([`mod@redact`]).
//!
//! What belongs to which call is known by the Call-ID. The room is limited for a message, for a call and for all together; what is
//! over longest makes room first.

mod redact;

use crate::transfers::DIGITS as DIALED_DIGITS;
use redact::{Redacted, redact};
pub(crate) use redact::{clean, percent_decoded};
use sip::Peer;
use std::collections::{BTreeMap, VecDeque};
use wire::{CallId, Ladder, LadderMessage, LadderSummary};

/// Messages of one call. With [`CALL_BYTES_MAX`] they fit into one line of the door, however they are written there.
const MESSAGES_MAX: usize = 128;
/// So many of the first are kept whatever comes later.
const FIRST: usize = 40;
/// Bytes of one call's messages.
const CALL_BYTES_MAX: usize = 64 * 1024;
/// Calls whose messages are kept.
const CALLS_MAX: usize = 20_000;
/// Call-IDs of one call: its legs, and those that were called for it.
const NAMES_MAX: usize = 16;
/// Calls that are listed, the newest first.
const LISTED_MAX: usize = 200;
/// What a message takes beside its text.
const MESSAGE_BYTES: usize = 96;
/// When a message that carries keys came is told as coarsely as the desk is told of keys.
const KEY_GRID_MS: i64 = 250;

/// Who calls whom, as it is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who {
    pub(crate) from: String,
    pub(crate) to: String,
}

struct Rung {
    at_unix_ms: i64,
    is_out: bool,
    peer: Peer,
    text: Box<str>,
}

#[derive(Default)]
struct Kept {
    who: Who,
    rungs: Vec<Rung>,
    bytes: usize,
    left_out: u32,
    names: Vec<String>,
    is_over: bool,
    /// It never became a call.
    is_refused: bool,
}

impl Kept {
    /// How a call began and how it ends is worth more than what was between.
    fn make_room(&mut self, bytes: usize) {
        while self.rungs.len() >= MESSAGES_MAX || self.bytes + bytes > CALL_BYTES_MAX {
            let at = FIRST.min(self.rungs.len().saturating_sub(1));
            if self.rungs.is_empty() {
                return;
            }
            let gone = self.rungs.remove(at);
            self.bytes = self.bytes.saturating_sub(gone.text.len() + MESSAGE_BYTES);
            self.left_out = self.left_out.saturating_add(1);
        }
    }
}

/// All of them.
pub(crate) struct Ladders {
    kept: BTreeMap<CallId, Kept>,
    names: BTreeMap<String, CallId>,
    /// The one that is over longest is first.
    over: VecDeque<CallId>,
    bytes: usize,
    bytes_max: usize,
    redact: fn(&[u8]) -> Redacted,
    /// What codes begin with that are dialed by keys.
    numbers: Vec<String>,
}

impl Ladders {
    /// With so many bytes nothing more is kept; 0 keeps nothing at all.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            kept: BTreeMap::new(),
            names: BTreeMap::new(),
            over: VecDeque::new(),
            bytes: 0,
            bytes_max,
            redact,
            numbers: Vec::new(),
        }
    }

    /// What is dialed behind these numbers is a code for a transfer, and not shown.
    pub(crate) fn hiding(self, mut numbers: Vec<String>) -> Self {
        numbers.retain(|number| !number.is_empty());
        Self { numbers, ..self }
    }

    /// A text without such codes.
    pub(crate) fn hide(&self, text: String) -> String {
        self.numbers.iter().fold(text, |text, number| hidden_behind(&text, number))
    }

    /// Whether a dialog with this Call-ID is known.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// A dialog is a call's from now on.
    pub(crate) fn name(&mut self, call: CallId, name: &str, who: impl FnOnce() -> Who) {
        if self.bytes_max == 0 || self.names.get(name) == Some(&call) {
            return;
        }
        let before =
            self.names.get(name).copied().filter(|before| self.kept.get(before).is_some_and(|it| it.is_refused));
        // It was asked who it is, and comes again.
        let mut taken = before.and_then(|before| self.take(before)).unwrap_or_default();
        if self.kept.len() >= CALLS_MAX && !self.kept.contains_key(&call) {
            self.forget_oldest();
        }
        let kept = self.kept.entry(call).or_insert_with(|| Kept { who: who(), ..Kept::default() });
        if kept.names.len() < NAMES_MAX {
            kept.names.push(name.to_owned());
            self.names.insert(name.to_owned(), call);
        }
        self.bytes += taken.bytes;
        kept.bytes += taken.bytes;
        kept.rungs.append(&mut taken.rungs);
    }

    /// An INVITE of a trunk that no call took.
    pub(crate) fn refused(&mut self, call: CallId, name: &str, who: impl FnOnce() -> Who) {
        if self.knows(name) {
            return;
        }
        self.name(call, name, who);
        self.kept.get_mut(&call).into_iter().for_each(|kept| kept.is_refused = true);
        self.end(call);
    }

    /// A call is over; what still comes of it is kept with the rest.
    pub(crate) fn end(&mut self, call: CallId) {
        if let Some(kept) = self.kept.get_mut(&call).filter(|kept| !kept.is_over) {
            kept.is_over = true;
            self.over.push_back(call);
        }
    }

    /// A message came or goes out. One of no call is not kept.
    pub(crate) fn note(&mut self, unix_ms: i64, is_out: bool, peer: Peer, bytes: &[u8]) {
        if self.names.is_empty() {
            return;
        }
        let Some(call) = call_id(bytes).and_then(|name| self.names.get(name)).copied() else { return };
        let Redacted { text, has_keys } = (self.redact)(bytes);
        let text = self.hide(text);
        let taken = text.len() + MESSAGE_BYTES;
        while self.bytes + taken > self.bytes_max && self.over.iter().any(|over| *over != call) {
            self.forget_oldest_but(call);
        }
        let is_room = self.bytes + taken <= self.bytes_max;
        let Some(kept) = self.kept.get_mut(&call) else { return };
        if !is_room {
            kept.left_out = kept.left_out.saturating_add(1);
            return;
        }
        let at_unix_ms = if has_keys { unix_ms - unix_ms.rem_euclid(KEY_GRID_MS) } else { unix_ms };
        let before = kept.bytes;
        kept.make_room(taken);
        kept.rungs.push(Rung { at_unix_ms, is_out, peer, text: text.into() });
        kept.bytes += taken;
        self.bytes = self.bytes + kept.bytes - before;
    }

    /// The messages of a call; `trunk` names a peer.
    pub(crate) fn ladder(&self, call: CallId, trunk: impl Fn(Peer) -> Option<String>) -> Option<Ladder> {
        let kept = self.kept.get(&call)?;
        let message = |rung: &Rung| LadderMessage {
            at_unix_ms: rung.at_unix_ms,
            is_out: rung.is_out,
            transport: rung.peer.transport.name().to_ascii_lowercase(),
            peer: rung.peer.address,
            trunk: trunk(rung.peer),
            text: rung.text.to_string(),
        };
        Some(Ladder { call, messages: kept.rungs.iter().map(message).collect(), left_out: kept.left_out })
    }

    /// The calls of which there is something to read, the newest first.
    pub(crate) fn summaries(&self) -> Vec<LadderSummary> {
        let summary = |(call, kept): (&CallId, &Kept)| {
            let (first, last) = (kept.rungs.first()?, kept.rungs.last()?);
            Some(LadderSummary {
                call: *call,
                started_unix_ms: first.at_unix_ms,
                is_live: !kept.is_over,
                from: kept.who.from.clone(),
                to: kept.who.to.clone(),
                messages: u32::try_from(kept.rungs.len()).unwrap_or(u32::MAX),
                last: last.text.lines().next().unwrap_or_default().chars().take(200).collect(),
            })
        };
        let mut summaries: Vec<LadderSummary> = self.kept.iter().filter_map(summary).collect();
        summaries.sort_by_key(|summary| std::cmp::Reverse(summary.started_unix_ms));
        summaries.truncate(LISTED_MAX);
        summaries
    }

    fn forget_oldest(&mut self) {
        let oldest = self.over.front().copied();
        oldest.and_then(|oldest| self.take(oldest));
    }

    fn forget_oldest_but(&mut self, call: CallId) {
        let oldest = self.over.iter().copied().find(|over| *over != call);
        oldest.and_then(|oldest| self.take(oldest));
    }

    fn take(&mut self, call: CallId) -> Option<Kept> {
        let kept = self.kept.remove(&call)?;
        if self.over.front() == Some(&call) {
            self.over.pop_front();
        } else {
            self.over.retain(|over| *over != call);
        }
        self.bytes = self.bytes.saturating_sub(kept.bytes);
        for name in &kept.names {
            if self.names.get(name) == Some(&call) {
                self.names.remove(name);
            }
        }
        Some(kept)
    }
}

/// A text without the digits that are dialed behind this number, where they are enough for a code. The code may have the number in it.
fn hidden_behind(text: &str, number: &str) -> String {
    let (mut hidden, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, behind)) = rest.split_once(number) {
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        let covered = if digits < DIALED_DIGITS { 0 } else { digits };
        hidden.extend([before, number]);
        hidden.extend(std::iter::repeat_n('x', covered));
        rest = behind.get(covered..).unwrap_or_default();
    }
    hidden + rest
}

/// The Call-ID of a message, in its long or its short form (RFC 3261 §7.3.3).
fn call_id(message: &[u8]) -> Option<&str> {
    let mut lines = message.split(|byte| *byte == b'\n').skip(1).map(<[u8]>::trim_ascii_end);
    let mut heads = lines.by_ref().take_while(|line| !line.is_empty());
    heads.find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        let name = name.trim_ascii_end();
        let is_it = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
        let value = value.get(1..).filter(|_| is_it)?;
        std::str::from_utf8(value.trim_ascii()).ok()
    })
}

#[cfg(test)]
mod tests;
