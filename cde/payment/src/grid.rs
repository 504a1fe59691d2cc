//! The grid on which keys are shown: a finer clock would tell the rhythm of the caller's fingers.

use std::time::{Duration, Instant};

/// What keys cause is shown at whole multiples of this after the line was secured.
pub const GRID_MS: u64 = 250;

/// The first time on the grid after `now`.
pub(crate) fn next(origin: Instant, now: Instant) -> Instant {
    let since_ms = u64::try_from(now.saturating_duration_since(origin).as_millis()).unwrap_or(0);
    origin + Duration::from_millis((since_ms / GRID_MS + 1).saturating_mul(GRID_MS))
}
