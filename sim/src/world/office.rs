//! The office: what its agents see, the commands that wait for an answer, and its database.

use super::World;
use crate::oracle::Promise;
use crate::sabotage::Sabotage;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::{
    Action, AttemptId, CallId, CallSnapshot, Command, CommandId, Event, Extension, FromOffice, Origin, Outcome, Record,
    RecordBody,
};

/// Every command is answered by then; the longest wait is for the media session's confirmation.
const ANSWERED_MAX: Duration = Duration::from_secs(4);

/// One life of the office process.
#[derive(Default)]
pub(super) struct Office {
    pub(super) calls: BTreeMap<CallId, CallSnapshot>,
    commands: BTreeMap<CommandId, Waiting>,
}

struct Waiting {
    command: Command,
    /// Since when it could have been answered: both live and the door is up.
    since: Instant,
}

impl Office {
    pub(super) fn see(&mut self, event: Event) {
        match event {
            Event::Call { call } => {
                self.calls.insert(call.call, call);
            }
            Event::CallEnded { call, .. } => {
                self.calls.remove(&call);
            }
            Event::Proof { .. }
            | Event::Test { .. }
            | Event::Ladder { .. }
            | Event::Ladders { .. }
            | Event::Figures { .. }
            | Event::Trunk { .. }
            | Event::CommandEnded { .. } => {}
        }
    }

    /// The newest call of an extension.
    pub(super) fn call_of(&self, extension: &Extension) -> Option<&CallSnapshot> {
        let own = self.calls.values().filter(|call| call.extension == *extension);
        own.max_by_key(|call| (call.started_unix_ms, call.call))
    }
}

/// The office's database: it survives the process.
#[derive(Default)]
pub(super) struct Stored {
    newest: u64,
    attempts: BTreeMap<AttemptId, Option<Outcome>>,
}

impl Stored {
    pub(super) fn number(&self) -> u64 {
        self.newest
    }

    fn apply(&mut self, body: &RecordBody) {
        match body {
            RecordBody::AttemptSent(wire::AttemptSent { attempt, .. }) => {
                self.attempts.insert(*attempt, None);
            }
            RecordBody::AttemptEnded { attempt, outcome, .. } => {
                self.attempts.insert(*attempt, Some(outcome.clone()));
            }
            RecordBody::Advised { .. }
            | RecordBody::CardKept { .. }
            | RecordBody::CardNotKept { .. }
            | RecordBody::CardForgetting { .. }
            | RecordBody::CardForgotten { .. }
            | RecordBody::AttemptToldAgain(_)
            | RecordBody::OfficeRestored(_)
            | RecordBody::Audit(_) => {}
        }
    }
}

impl World {
    /// An agent presses a button.
    pub(super) fn command(&mut self, id: CommandId, call: CallId, action: Action) {
        let command = Command { id, call, origin: Origin::User { id: 1 }, action };
        let now = self.now;
        let Some(office) = &mut self.office else { return };
        office.commands.insert(id, Waiting { command: command.clone(), since: now });
        self.say_to_cde(&FromOffice::Command(command));
    }

    /// What was not answered before the connection broke is said again, under the same id.
    pub(super) fn resend_commands(&mut self) {
        let now = self.now;
        let Some(office) = &mut self.office else { return };
        office.commands.values_mut().for_each(|waiting| waiting.since = now);
        let commands: Vec<Command> = office.commands.values().map(|waiting| waiting.command.clone()).collect();
        commands.into_iter().for_each(|command| self.say_to_cde(&FromOffice::Command(command)));
    }

    pub(super) fn command_ended(&mut self, id: CommandId) {
        self.judge_answers();
        let Some(office) = &mut self.office else { return };
        if office.commands.remove(&id).is_some() {
            self.lanes.iter_mut().for_each(|lane| lane.answered(id));
        }
    }

    /// Stores a record and says so.
    pub(super) fn store(&mut self, record: &Record) {
        if record.number <= self.stored.newest || self.office.is_none() {
            return;
        }
        if record.number != self.stored.newest + 1 {
            let (got, stored) = (record.number, self.stored.newest);
            self.oracle.broken(Promise::RecordsArrive, format!("record {got} comes after {stored}"));
        }
        self.stored.newest = record.number;
        let lost = self.sabotaged(Sabotage::LoseRecord) && record.number.is_multiple_of(7);
        if !lost || !matches!(record.body, RecordBody::AttemptEnded { .. } | RecordBody::AttemptSent(_)) {
            self.stored.apply(&record.body);
        }
        self.say_to_cde(&FromOffice::Ack { number: record.number });
    }

    fn judge_answers(&mut self) {
        let now = self.now;
        let up = self.door.is_up();
        let waiting = self.office.iter().flat_map(|office| office.commands.values());
        let late = waiting.filter(|waiting| up && now.saturating_duration_since(waiting.since) > ANSWERED_MAX);
        let late: Vec<String> = late.map(|waiting| format!("{:?}", waiting.command.action)).collect();
        if let Some(first) = late.first() {
            let count = late.len();
            let what = format!("{count} commands wait for more than {ANSWERED_MAX:?}, the first is {first}");
            self.oracle.broken(Promise::CommandsAreAnswered, what);
        }
    }

    /// What the office says of money is what the journal says.
    pub(super) fn judge_office(&mut self) {
        self.judge_answers();
        let ours: BTreeMap<AttemptId, Option<Outcome>> =
            self.journal.attempts.iter().map(|(attempt, row)| (*attempt, row.outcome.clone())).collect();
        if ours != self.stored.attempts && self.stored.newest == self.journal.newest {
            self.oracle.broken(Promise::RecordsArrive, "the office's attempts are not the journal's");
        }
    }
}
