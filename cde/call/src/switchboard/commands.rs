//! Commands that were carried out, so that a repeated one is answered and not done again.

use std::collections::{BTreeMap, VecDeque};
use wire::{CommandId, CommandResult, Event, Refusal};

/// Answers that are remembered. The office repeats a command for seconds, not for thousands of commands.
const REMEMBERED_MAX: usize = 4096;

#[derive(Default)]
pub(crate) struct Commands {
    /// `None` while the command is being carried out.
    results: BTreeMap<CommandId, Option<CommandResult>>,
    order: VecDeque<CommandId>,
}

impl Commands {
    /// Notes a command. `None`: it is new, carry it out. `Some`: it is known; inside is its answer, if there is one yet.
    pub(super) fn begin(&mut self, id: CommandId) -> Option<Option<Event>> {
        if let Some(result) = self.results.get(&id) {
            return Some(result.clone().map(|result| Event::CommandEnded { id, result }));
        }
        self.results.insert(id, None);
        self.order.push_back(id);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.results.remove(&oldest);
        }
        None
    }

    /// Notes how a command ended; the first word stands.
    pub(crate) fn end(&mut self, id: CommandId, result: Result<(), Refusal>) -> Option<Event> {
        let result = match result {
            Ok(()) => CommandResult::Done,
            Err(reason) => CommandResult::Refused { reason },
        };
        self.conclude(id, result)
    }

    /// The same with whatever is to be answered.
    pub(super) fn conclude(&mut self, id: CommandId, result: CommandResult) -> Option<Event> {
        let place = self.results.get_mut(&id)?;
        if place.is_some() {
            return None;
        }
        *place = Some(result.clone());
        Some(Event::CommandEnded { id, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_command_is_answered_and_not_done_again() {
        let mut commands = Commands::default();
        let id = CommandId::from_random(1);
        assert!(commands.begin(id).is_none());
        assert_eq!(commands.begin(id), Some(None), "still being carried out");
        let event = commands.end(id, Err(Refusal::Busy));
        assert!(event.is_some());
        assert_eq!(commands.begin(id), Some(event));
        assert_eq!(commands.end(id, Ok(())), None, "the first word stands");
    }

    #[test]
    fn memory_is_bounded() {
        let mut commands = Commands::default();
        for number in 0..10_000 {
            commands.begin(CommandId::from_random(number));
        }
        assert_eq!(commands.results.len(), REMEMBERED_MAX);
    }
}
