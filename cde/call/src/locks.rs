//! Who has said a wrong code or PIN too often: after so many failures nobody is listened to for a while, whatever comes then.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use wire::Extension;

/// Failures in a row before a lock (PCI DSS 8.3.4 allows ten).
const FAILURES_MAX: u32 = 10;
/// Of all callers of a trunk together: it is a whole office that mistypes.
const OF_TRUNK_MAX: u32 = 100;
/// How long a lock holds (PCI DSS 8.3.4: at least 30 minutes), and how long a failure is remembered.
const LOCK: Duration = Duration::from_secs(30 * 60);
/// Of so many it is known that they failed.
const KNOWN_MAX: usize = 4096;

/// Whose failures are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// An agent's PIN, wherever it is keyed.
    Agent(Extension),
    /// Who calls, from where.
    Source(IpAddr, String),
    /// Everybody of a trunk, as its place in the list.
    Trunk(usize),
}

impl Who {
    fn most(&self) -> u32 {
        match self {
            Self::Agent(_) | Self::Source(..) => FAILURES_MAX,
            Self::Trunk(_) => OF_TRUNK_MAX,
        }
    }
}

struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn is_remembered(&self, now: Instant) -> bool {
        now < self.last + LOCK
    }
}

/// All that is known of failures.
#[derive(Default)]
pub(crate) struct Locks {
    known: BTreeMap<Who, Failures>,
}

impl Locks {
    pub(crate) fn is_locked(&self, now: Instant, who: &Who) -> bool {
        self.known.get(who).is_some_and(|failures| failures.is_remembered(now) && failures.count >= who.most())
    }

    /// One more. What is tried on a lock does not prolong it: whoever asks must not tell a right code from a wrong one then.
    pub(crate) fn failed(&mut self, now: Instant, who: Who) {
        if self.is_locked(now, &who) {
            return;
        }
        self.known.retain(|_, failures| failures.is_remembered(now));
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&who) {
            let oldest = self.known.iter().min_by_key(|(_, failures)| failures.last).map(|(who, _)| who.clone());
            oldest.and_then(|oldest| self.known.remove(&oldest));
        }
        let failures = self.known.entry(who).or_insert(Failures { count: 0, last: now });
        failures.count += 1;
        failures.last = now;
    }

    pub(crate) fn succeeded(&mut self, who: &Who) {
        self.known.remove(who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> Who {
        Who::Source(IpAddr::V4(number.into()), "1001".to_owned())
    }

    #[expect(clippy::disallowed_methods, reason = "any moment will do as the start of virtual time")]
    fn start() -> (Locks, Instant) {
        (Locks::default(), Instant::now())
    }

    #[test]
    fn ten_failures_lock_for_half_an_hour_and_no_longer() {
        let (mut locks, now) = start();
        for _ in 0..FAILURES_MAX {
            assert!(!locks.is_locked(now, &source(1)));
            locks.failed(now, source(1));
        }
        assert!(locks.is_locked(now + LOCK - Duration::from_secs(1), &source(1)));
        locks.failed(now + LOCK / 2, source(1));
        assert!(!locks.is_locked(now + LOCK, &source(1)), "trying on does not prolong it");
        assert!(!locks.is_locked(now, &source(2)));
    }

    #[test]
    fn a_success_forgets_the_failures_before_it() {
        let (mut locks, now) = start();
        (1..FAILURES_MAX).for_each(|_| locks.failed(now, source(1)));
        locks.succeeded(&source(1));
        locks.failed(now, source(1));
        assert!(!locks.is_locked(now, &source(1)));
    }

    #[test]
    fn little_is_remembered() {
        let (mut locks, now) = start();
        (0..10_000).for_each(|number| locks.failed(now, source(number)));
        assert_eq!(locks.known.len(), KNOWN_MAX);
    }
}
