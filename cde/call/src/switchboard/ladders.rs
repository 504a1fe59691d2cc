//! What is kept of SIP for engineers, and told when it is asked for.

use super::{Output, Switchboard};
use crate::ladder::{Who, clean};
use sip::{DialogId, Peer};
use std::time::Instant;
use wire::{Action, CallId, Command, CommandResult, Event, Refusal};

impl Switchboard {
    /// Answers a command that only reads; false for any other. To say it again does no harm.
    pub(super) fn answer_reader(&mut self, command: &Command) -> bool {
        let id = command.id;
        let result = match command.action {
            Action::Ladders => {
                let ladders = self.ladders.summaries();
                self.outputs.push_back(Output::Wire(Event::Ladders { command: id, ladders }));
                CommandResult::Done
            }
            Action::Ladder => {
                let name = |peer| Some(self.config.trunks.get(self.config.trunk_of(peer)?)?.name.clone());
                match self.ladders.ladder(command.call, name) {
                    Some(ladder) => {
                        self.outputs.push_back(Output::Wire(Event::Ladder { command: id, ladder }));
                        CommandResult::Done
                    }
                    None => CommandResult::Refused { reason: Refusal::UnknownCall },
                }
            }
            _ => return false,
        };
        self.outputs.push_back(Output::Wire(Event::CommandEnded { id, result }));
        true
    }

    /// A message came. It is kept before those that answer it, if it is of a call by now.
    pub(super) fn note_received(&mut self, now: Instant, from: Peer, bytes: &[u8]) {
        self.ladders.note(self.wall.unix_ms(now), false, from, bytes);
    }

    /// Keeps what is about to be sent and was not kept yet.
    pub(super) fn note_sent(&mut self, now: Instant) {
        let unix_ms = self.wall.unix_ms(now);
        for output in self.outputs.iter().skip(self.noted) {
            if let Output::Sip { to, bytes } = output {
                self.ladders.note(unix_ms, true, *to, bytes);
            }
        }
        self.noted = self.outputs.len();
    }

    /// A dialog is a call's from now on: its messages are too.
    pub(super) fn name_dialog(&mut self, call: CallId, dialog: DialogId) {
        if let (Some(name), Some(of)) = (self.endpoint.call_id(dialog), self.calls.get(&call)) {
            self.ladders.name(call, name, || of.who());
        }
    }

    /// An INVITE of a trunk that no call has taken is kept too: why, is what its engineer asks.
    pub(super) fn note_refused(&mut self, call: CallId, name: Option<String>, invite: &sip::IncomingInvite) {
        let user = |uri: &sip::Uri| self.ladders.hide(clean(uri.user().unwrap_or_default()));
        let (from, to) = (user(&invite.from.uri), user(&invite.uri));
        if let Some(name) = name {
            self.ladders.refused(call, &name, || Who { from, to });
        }
    }
}
