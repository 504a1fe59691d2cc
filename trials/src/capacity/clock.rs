//! The laboratory's clock.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the first call.
#[expect(clippy::disallowed_methods, reason = "who measures time needs a clock")]
pub(super) fn ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    now.saturating_duration_since(*START.get_or_init(|| now)).as_nanos() as u64
}

/// Nanoseconds of the clock by which the kernel stamps what a socket gets.
#[expect(clippy::disallowed_methods, reason = "who measures time needs a clock")]
pub(super) fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
