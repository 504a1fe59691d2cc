//! The wall clock, read here and nowhere else; and how long the machine has been up, to tell when the wall clock is wrong.

use jiff::Timestamp;
use std::fs::read_to_string;
use std::sync::LazyLock;
use tokio::time::Instant;
use uuid::Uuid;

/// Linux: seconds since the start of the machine, sleep counted, then a space and more.
const UPTIME: &str = "/proc/uptime";
/// Linux: a name of this start of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Where the machine does not tell: this process instead.
static PROCESS: LazyLock<(Instant, String)> = LazyLock::new(|| (Instant::now(), Uuid::now_v7().to_string()));

/// Both clocks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Unix milliseconds.
    pub(crate) wall_ms: i64,
    /// Milliseconds since the start that `boot` names.
    pub(crate) up_ms: i64,
    /// Which start of the machine, or of this process.
    pub(crate) boot: String,
}

/// Reads both clocks.
pub(crate) fn sample() -> Sample {
    let machine = read_to_string(BOOT).ok().zip(read_to_string(UPTIME).ok().as_deref().and_then(uptime_ms));
    let (boot, up_ms) = machine.map(|(boot, up_ms)| (boot.trim().to_owned(), up_ms)).unwrap_or_else(|| {
        let (began, name) = &*PROCESS;
        (name.clone(), i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX))
    });
    Sample { wall_ms: now_ms(), up_ms, boot }
}

/// `12345.67 …` as milliseconds.
fn uptime_ms(text: &str) -> Option<i64> {
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    let (seconds, hundredths) = (seconds.parse::<i64>().ok()?, hundredths.parse::<i64>().ok()?);
    seconds.checked_mul(1000)?.checked_add(hundredths.checked_mul(10)?)
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// RFC 3339, UTC. A time outside the calendar is shown as the epoch.
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(rfc3339(1_500), "1970-01-01T00:00:01.5Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00Z");
        assert!(now_ms() > 0);
    }

    #[test]
    fn the_time_since_the_start_goes_on() {
        assert_eq!(uptime_ms("350735.47 234388.90\n"), Some(350_735_470));
        assert_eq!([uptime_ms(""), uptime_ms("x.y"), uptime_ms("12")], [None; 3]);
        let (one, two) = (sample(), sample());
        assert!(one.boot == two.boot && two.up_ms >= one.up_ms && two.wall_ms - one.wall_ms < 60_000);
    }
}
