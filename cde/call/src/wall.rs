//! Wall time for people, derived from the monotonic time that machines use.

use card::YearMonth;
use std::time::Instant;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wall {
    at: Instant,
    unix_ms: i64,
}

impl Wall {
    pub(crate) fn new(at: Instant, unix_ms: i64) -> Self {
        Self { at, unix_ms }
    }

    /// Unix milliseconds at a moment.
    pub(crate) fn unix_ms(self, now: Instant) -> i64 {
        let since = now.saturating_duration_since(self.at).as_millis();
        self.unix_ms.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }

    /// The month at a moment, UTC.
    pub(crate) fn month(self, now: Instant) -> YearMonth {
        YearMonth::at_unix_ms(self.unix_ms(now))
    }
}
