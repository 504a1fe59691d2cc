//! The one clock of the cde process. Everything else takes `now` as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic time.
#[expect(clippy::disallowed_methods, reason = "this is the shell's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the shell's clock")]
pub(crate) fn unix_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    #[cfg(test)]
    let now = now + AHEAD_MS.get();
    now
}

#[cfg(test)]
thread_local! {
    static AHEAD_MS: std::cell::Cell<i64> = const { std::cell::Cell::new(0) };
}

/// Lets the wall clock of this test, which runs on one thread, go ahead.
#[cfg(test)]
pub(crate) fn advance_ms(ms: i64) {
    AHEAD_MS.set(AHEAD_MS.get() + ms);
}
