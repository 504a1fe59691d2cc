//! The office's end of the door: commands that wait for their answers, and ([`connection`]) the socket.

pub(crate) mod connection;
mod lines;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use wire::{Command, CommandId, CommandResult, Ladder, LadderSummary};

/// The most commands that wait for an answer at once.
pub(crate) const PENDING_MAX: usize = 256;
/// How long a command waits for its answer, over reconnects.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Why a command has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DoorError {
    /// There is no connection to the cde; the command was not sent.
    #[error("there is no connection to the cde")]
    Down,
    /// Too many commands are waiting; this one was not sent.
    #[error("too many commands are waiting for the cde")]
    Busy,
    /// The cde has not answered in time. Whether it has done it is not known.
    #[error("the cde has not answered in time")]
    Timeout,
}

/// The commands that wait, and whether they can be sent.
#[derive(Debug)]
pub(crate) struct Door {
    state: Mutex<State>,
    queue: mpsc::Sender<Command>,
}

#[derive(Debug, Default)]
struct State {
    up: bool,
    pending: BTreeMap<CommandId, Waiting>,
    warnings: Vec<String>,
    trouble: Option<String>,
}

#[derive(Debug)]
struct Waiting {
    command: Command,
    /// What the cde has told for it, before it says that the command has ended.
    told: Option<Told>,
    answer: oneshot::Sender<(CommandResult, Option<Told>)>,
}

/// What a command that only asks is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The SIP messages of a call.
    Ladder(Ladder),
    /// The calls whose messages are kept.
    Ladders(Vec<LadderSummary>),
}

impl Door {
    /// A door, and the queue that its connection reads.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (queue, commands) = mpsc::channel(PENDING_MAX);
        (Self { state: Mutex::default(), queue }, commands)
    }

    /// Sends a command and waits for its answer. Should the connection break, it is sent again over the next one,
    /// where the cde knows it by its id.
    pub(crate) async fn send(&self, command: Command) -> Result<(CommandResult, Option<Told>), DoorError> {
        self.send_within(ANSWER_WAIT, command).await
    }

    async fn send_within(&self, wait: Duration, command: Command) -> Result<(CommandResult, Option<Told>), DoorError> {
        let id = command.id;
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.lock();
            if !state.up {
                return Err(DoorError::Down);
            }
            if state.pending.len() >= PENDING_MAX || self.queue.try_send(command.clone()).is_err() {
                return Err(DoorError::Busy);
            }
            state.pending.insert(id, Waiting { command, told: None, answer });
        }
        let result = timeout(wait, answered).await;
        self.lock().pending.remove(&id);
        match result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) | Err(_) => Err(DoorError::Timeout),
        }
    }

    /// The cde has said how a command ended.
    fn answer(&self, id: CommandId, result: CommandResult) {
        if let Some(waiting) = self.lock().pending.remove(&id) {
            // Whoever waited may be gone, and then nobody needs the answer.
            let _ = waiting.answer.send((result, waiting.told));
        }
    }

    /// The cde has told what a command asks for.
    fn told(&self, id: CommandId, told: Told) {
        if let Some(waiting) = self.lock().pending.get_mut(&id) {
            waiting.told = Some(told);
        }
    }

    /// A connection stands. Returns the commands to send again, oldest first.
    fn up(&self, warnings: Vec<String>) -> Vec<Command> {
        let mut state = self.lock();
        state.up = true;
        state.warnings = warnings;
        state.trouble = None;
        state.pending.values().map(|waiting| waiting.command.clone()).collect()
    }

    /// The connection is lost, for this reason. Says whether the reason is a new one.
    fn down(&self, trouble: String) -> bool {
        let mut state = self.lock();
        state.up = false;
        let new = state.trouble.as_ref() != Some(&trouble);
        state.trouble = Some(trouble);
        new
    }

    /// Does a connection stand?
    pub(crate) fn is_up(&self) -> bool {
        self.lock().up
    }

    /// Does anybody still wait for this command?
    fn awaited(&self, id: CommandId) -> bool {
        self.lock().pending.contains_key(&id)
    }

    /// What the cde warns of, and why there is no connection, if there is none.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let state = self.lock();
        let trouble = state.trouble.iter().map(|trouble| format!("no connection to the cde: {trouble}"));
        state.warnings.iter().cloned().chain(trouble).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;
    use wire::{Action, CallId, Origin};

    fn command(n: u128) -> Command {
        Command {
            id: CommandId(Uuid::from_u128(n)),
            call: CallId(Uuid::from_u128(1)),
            origin: Origin::System,
            action: Action::Secure,
        }
    }

    #[tokio::test]
    async fn a_command_that_is_never_answered_is_given_up() {
        let (door, _commands) = Door::new();
        assert_eq!(door.send(command(1)).await, Err(DoorError::Down));
        door.up(vec![]);
        let brief = Duration::from_millis(20);
        assert_eq!(door.send_within(brief, command(1)).await, Err(DoorError::Timeout));
        assert!(!door.awaited(command(1).id));
    }

    #[tokio::test]
    async fn what_waits_is_sent_again_and_is_bounded() {
        let (door, _commands) = Door::new();
        let door = std::sync::Arc::new(door);
        door.up(vec![]);
        let sender = door.clone();
        let first = tokio::spawn(async move { sender.send(command(1)).await });
        for n in 2..=256 {
            let sender = door.clone();
            tokio::spawn(async move { sender.send(command(n)).await });
        }
        while door.lock().pending.len() < PENDING_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(door.send(command(0)).await, Err(DoorError::Busy));
        door.down("gone".into());
        assert_eq!(door.up(vec![]).len(), PENDING_MAX);
        door.answer(command(1).id, CommandResult::Done);
        assert_eq!(first.await.unwrap(), Ok((CommandResult::Done, None)));
    }
}
