//! How many requests a second are answered at all (docs.stripe.com/rate-limits): what is more gets a 429, and nothing of it is done.

use crate::acquirer::fault::Limits;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) enum Asks {
    Read,
    /// It is a read as well.
    Search,
    Write,
}

/// The requests of the second that runs.
#[derive(Default)]
pub(super) struct Pace {
    since: Option<Instant>,
    reads: u32,
    searches: u32,
    writes: u32,
}

impl Pace {
    /// Counts one, and says whether it is one too many.
    pub(super) fn is_over(&mut self, now: Instant, asks: Asks, limits: Limits) -> bool {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= SECOND) {
            *self = Self { since: Some(now), ..Self::default() };
        }
        let mut counts = |count: fn(&mut Self) -> &mut u32, most: u32| {
            let count = count(self);
            *count = count.saturating_add(1);
            most > 0 && *count > most
        };
        match asks {
            Asks::Write => counts(|pace| &mut pace.writes, limits.writes),
            Asks::Read => counts(|pace| &mut pace.reads, limits.reads),
            Asks::Search => {
                let is_over = counts(|pace| &mut pace.reads, limits.reads);
                counts(|pace| &mut pace.searches, limits.searches) || is_over
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an arbitrary beginning of virtual time")]
    fn each_second_has_its_own_and_a_search_is_a_read_as_well() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let limits = Limits { reads: 4, searches: 1, writes: 0 };
        let mut over = |now, asks| pace.is_over(now, asks, limits);
        assert!(!over(now, Asks::Search) && over(now, Asks::Search));
        assert!(!over(now, Asks::Read) && !over(now, Asks::Read) && over(now, Asks::Read));
        assert!((0..1_000).all(|_| !over(now, Asks::Write)), "there is no limit");
        let later = now + SECOND;
        assert!(!over(later, Asks::Search) && !over(later, Asks::Read));
    }
}
