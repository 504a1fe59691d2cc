//! Calls that are over, until their media sessions have said what they have counted.

use crate::call::Parting;
use std::collections::VecDeque;
use wire::CallId;

/// A session answers within milliseconds. One that never does is forgotten when so many others are over.
const PARTINGS_MAX: usize = 1024;

#[derive(Default)]
pub(super) struct Partings {
    /// The oldest first.
    waiting: VecDeque<(CallId, Parting)>,
}

impl Partings {
    pub(super) fn add(&mut self, call: CallId, parting: Parting) {
        if self.waiting.len() == PARTINGS_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((call, parting));
    }

    pub(super) fn take(&mut self, call: CallId) -> Option<Parting> {
        let at = self.waiting.iter().position(|(of, _)| *of == call)?;
        self.waiting.remove(at).map(|(_, parting)| parting)
    }
}
