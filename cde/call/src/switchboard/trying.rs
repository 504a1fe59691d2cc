//! Test calls: one at a time, and to nothing but the number that a trunk's file names.

use super::{Output, Switchboard};
use crate::call::{Context, TestCall};
use crate::ladder::Who;
use std::time::Instant;
use wire::testcall::TestResult;
use wire::{Action, CallId, Command, Refusal};

impl Switchboard {
    /// Begins what a command asks that is about no call; false for any other.
    pub(super) fn begin_test(&mut self, now: Instant, command: &Command) -> bool {
        let Action::TestCall { trunk } = &command.action else { return false };
        let result = self.try_trunk(now, trunk);
        let event = self.commands.end(command.id, result);
        self.outputs.extend(event.map(Output::Wire));
        self.drain_endpoint(now);
        true
    }

    fn try_trunk(&mut self, now: Instant, name: &str) -> Result<(), Refusal> {
        let trunk = self.config.trunks.iter().position(|trunk| trunk.name == name).ok_or(Refusal::UnknownTrunk)?;
        if self.draining || self.test.is_some() {
            return Err(Refusal::Busy);
        }
        let id = CallId::from_random(self.random());
        let ports = self.ports.take().ok_or(Refusal::Busy)?;
        let (mut context, _) = self.context(now);
        match TestCall::begin(&mut context, id, trunk, ports) {
            Ok(test) => {
                self.test = Some(test);
                self.with_test(now, |_, _| {});
                Ok(())
            }
            Err(refusal) => {
                self.ports.give_back(ports);
                Err(refusal)
            }
        }
    }

    /// Lets the test do something, and takes note of its dialog and of its end.
    pub(super) fn with_test(&mut self, now: Instant, act: impl FnOnce(&mut TestCall, &mut Context<'_>)) {
        let Some(mut test) = self.test.take() else { return };
        let (mut context, _) = self.context(now);
        act(&mut test, &mut context);
        test.show(&mut context);
        let name = test.dialog().and_then(|dialog| self.endpoint.call_id(dialog)).map(str::to_owned);
        if let Some(name) = name {
            let who = || Who { from: "test".to_owned(), to: test.number().to_owned() };
            self.ladders.name(test.id, &name, who);
        }
        if test.is_over() {
            self.ports.give_back(test.ports);
            self.ladders.end(test.id);
        } else {
            self.test = Some(test);
        }
    }

    pub(super) fn end_test(&mut self, now: Instant) {
        self.with_test(now, |test, context| test.end(context, TestResult::Failed));
    }

    /// Whether a dialog's or a session's reports are the test's.
    pub(super) fn is_test(&self, is: impl FnOnce(&TestCall) -> bool) -> bool {
        self.test.as_ref().is_some_and(is)
    }
}
