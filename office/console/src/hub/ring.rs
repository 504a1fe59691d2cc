//! The newest events, bounded, for those whose connection was cut for a moment.

use serde::Serialize;
use std::{collections::VecDeque, sync::Arc};
use wire::Extension;

/// How many events are kept for replay; with one call that is more than an hour of proofs.
pub(crate) const EVENTS_MAX: usize = 4096;
/// How many events one answer of [`Ring::resume`] holds at most.
const RESUME_MAX: usize = 256;

/// Who may see an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Everybody who is signed in: it is about the machine and about no call.
    All,
    /// The users of one extension.
    Extension(Extension),
}

/// An event on its way to a desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    pub(crate) data: Arc<str>,
}

/// How somebody who was away goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// With these events, and then from the given number.
    Events(Vec<Sent>, u64),
    /// The events are not kept any more: with a snapshot.
    Snapshot,
}

/// The events.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    newest: u64,
    events: VecDeque<(Audience, Sent)>,
}

impl Ring {
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    pub(crate) fn push<T: Serialize>(&mut self, audience: Audience, name: &'static str, data: &T) {
        let Ok(data) = serde_json::to_string(data) else { return };
        self.newest += 1;
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back((audience, Sent { number: self.newest, name, data: data.into() }));
    }

    /// Everything is new: nobody can go on from an older event.
    pub(crate) fn forget(&mut self) {
        self.newest += 1;
        self.events.clear();
    }

    /// Events are numbered without gaps, so the first one kept tells whether one is missing.
    pub(crate) fn resume(&self, after: u64, extension: Option<&Extension>) -> Resume {
        let oldest = self.newest + 1 - u64::try_from(self.events.len()).unwrap_or(0);
        if after > self.newest || after + 1 < oldest {
            return Resume::Snapshot;
        }
        let skip = usize::try_from(after + 1 - oldest).unwrap_or(usize::MAX);
        let mut seen = after;
        let mut mine = Vec::new();
        for (audience, event) in self.events.iter().skip(skip) {
            if mine.len() >= RESUME_MAX {
                break;
            }
            seen = event.number;
            let allowed = match audience {
                Audience::All => true,
                Audience::Extension(theirs) => Some(theirs) == extension,
            };
            if allowed {
                mine.push(event.clone());
            }
        }
        Resume::Events(mine, seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mine(n: u16) -> Extension {
        n.to_string().parse().unwrap()
    }

    #[test]
    fn the_ring_is_bounded_and_says_when_events_are_gone() {
        let mut ring = Ring::default();
        for n in 0..EVENTS_MAX + 10 {
            ring.push(Audience::Extension(mine(1001)), "call", &n);
        }
        assert_eq!(ring.events.len(), EVENTS_MAX);
        assert_eq!(ring.resume(9, Some(&mine(1001))), Resume::Snapshot);
        let Resume::Events(events, seen) = ring.resume(10, Some(&mine(1001))) else { panic!("gone") };
        assert_eq!((events.len(), seen), (RESUME_MAX, 10 + 256));
        assert_eq!(ring.resume(ring.newest() + 1, None), Resume::Snapshot);
    }

    #[test]
    fn replay_is_filtered_and_moves_on_past_the_events_of_others() {
        let mut ring = Ring::default();
        ring.push(Audience::Extension(mine(1001)), "call", &1);
        ring.push(Audience::All, "door", &2);
        ring.push(Audience::Extension(mine(1002)), "call", &3);
        let Resume::Events(events, seen) = ring.resume(0, Some(&mine(1002))) else { panic!("gone") };
        assert_eq!(events.iter().map(|event| &*event.data).collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(seen, 3);
        let Resume::Events(events, _) = ring.resume(0, None) else { panic!("gone") };
        assert_eq!(events.len(), 1);
    }

    #[test]
    fn after_a_new_start_nobody_goes_on() {
        let mut ring = Ring::default();
        ring.push(Audience::All, "door", &1);
        ring.forget();
        assert_eq!(ring.resume(1, None), Resume::Snapshot);
        assert_eq!(ring.resume(2, None), Resume::Events(vec![], 2));
    }
}
