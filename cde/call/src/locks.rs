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
/// Of so many sources it is known that they failed. Of agents and trunks there are no more than the file says.
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
        self.make_room(&who);
        let failures = self.known.entry(who).or_insert(Failures { count: 0, last: now });
        failures.count += 1;
        failures.last = now;
    }

    /// A source is forgotten for another, one that is not locked first. An agent's or a trunk's failures never are: whoever can call from
    /// many numbers would lift every lock.
    fn make_room(&mut self, who: &Who) {
        let is_source = |who: &Who| matches!(who, Who::Source(..));
        if !is_source(who) || self.known.contains_key(who) {
            return;
        }
        let sources = || self.known.iter().filter(|(known, _)| is_source(known));
        if sources().count() < KNOWN_MAX {
            return;
        }
        let least = sources().min_by_key(|(known, failures)| (failures.count >= known.most(), failures.last));
        if let Some(least) = least.map(|(known, _)| known.clone()) {
            self.known.remove(&least);
        }
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

    /// What broke: a lock's time is that of its last failure, so the oldest, which went first, were the locks.
    #[test]
    fn no_number_of_other_callers_lifts_a_lock() {
        let (mut locks, now) = start();
        let agent = Who::Agent("1001".parse().unwrap());
        let (trunk, locked) = (Who::Trunk(0), source(0));
        for who in [&agent, &trunk, &locked] {
            (0..who.most()).for_each(|_| locks.failed(now, who.clone()));
        }
        let later = now + Duration::from_secs(60);
        (1..4_200).for_each(|number| locks.failed(later, source(number)));
        assert!([agent, trunk, locked].iter().all(|who| locks.is_locked(later, who)));
        // Where all are locked one of them goes, and not another's.
        let mut locks = Locks::default();
        let lock = || Failures { count: FAILURES_MAX, last: now };
        locks.known.extend((0..4096).map(|number| (source(number), lock())));
        locks.known.insert(Who::Agent("1002".parse().unwrap()), lock());
        locks.failed(later, source(4096));
        assert_eq!(locks.known.len(), KNOWN_MAX + 1);
        assert!(!locks.known.contains_key(&source(0)) && locks.known.contains_key(&source(4096)));
    }

    #[test]
    fn little_is_remembered() {
        let (mut locks, now) = start();
        (0..5_000).for_each(|number| locks.failed(now, source(number)));
        assert_eq!(locks.known.len(), KNOWN_MAX);
    }
}
