//! The clock of the unmasking rule. It runs only while the caller is heard: time in which nothing comes may hide a key
//! that is still on its way.

use std::time::{Duration, Instant};

/// How long there must be neither key nor suspicion.
pub(crate) const QUIET: Duration = Duration::from_secs(3);
/// A longer pause between two packets stops the clock.
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// Without any packet for so long the clock runs again: the caller has gone.
const DEAD: Duration = Duration::from_secs(10);

/// How long it has been quiet.
pub(crate) struct Quiet {
    quiet: Duration,
    /// Up to here `quiet` has been counted; may lie ahead while a key is known to be down until then.
    counted: Instant,
    last_packet: Instant,
}

impl Quiet {
    pub(crate) fn new(now: Instant) -> Self {
        Self { quiet: Duration::ZERO, counted: now, last_packet: now }
    }

    /// A packet of the caller has come.
    pub(crate) fn packet(&mut self, now: Instant) {
        let from = if now.saturating_duration_since(self.last_packet) <= PAUSE_MAX {
            self.counted.max(self.last_packet)
        } else {
            self.counted.max(self.last_packet + DEAD)
        };
        self.quiet += now.saturating_duration_since(from);
        self.counted = self.counted.max(now);
        self.last_packet = now;
    }

    /// A key or a suspicion, until then.
    pub(crate) fn disturb(&mut self, until: Instant) {
        self.quiet = Duration::ZERO;
        self.counted = self.counted.max(until);
    }

    /// The caller is heard again, after a time in which their packets were not looked at: nothing of it was quiet.
    pub(crate) fn heard_again(&mut self, now: Instant) {
        self.disturb(now);
        self.last_packet = now;
    }

    /// Somebody who may be the caller speaks where the caller is not looked for. While the caller is heard it is not they;
    /// otherwise they may be keying, and no time is quiet in which they come.
    pub(crate) fn heard_elsewhere(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last_packet) > PAUSE_MAX {
            self.heard_again(now);
        }
    }

    /// No packet has come for so long that time counts again.
    pub(crate) fn is_dead(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_packet) > DEAD
    }

    /// It has been quiet for long enough. Asked when a packet has come, or when none has for very long.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let dead = now.saturating_duration_since(self.counted.max(self.last_packet + DEAD));
        self.quiet + dead >= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::start;

    const MS: Duration = Duration::from_millis(1);

    fn packets(quiet: &mut Quiet, from: Instant, count: u32) -> Instant {
        (1..=count).for_each(|n| quiet.packet(from + 20 * n * MS));
        from + 20 * count * MS
    }

    #[test]
    fn three_seconds_of_packets_are_quiet() {
        let mut quiet = Quiet::new(start());
        let now = packets(&mut quiet, start(), 149);
        assert!(!quiet.is_over(now));
        let mut quiet = Quiet::new(now);
        let now = packets(&mut quiet, now, 150);
        assert!(quiet.is_over(now));
    }

    #[test]
    fn a_stall_stops_the_clock() {
        let now = start();
        let mut quiet = Quiet::new(now);
        let now = packets(&mut quiet, now, 100);
        assert!(!quiet.is_over(now + 9999 * MS));
        quiet.packet(now + 9000 * MS);
        let now = packets(&mut quiet, now + 9000 * MS, 49);
        assert!(!quiet.is_over(now));
        let now = packets(&mut quiet, now, 1);
        assert!(quiet.is_over(now));
    }

    #[test]
    fn a_dead_caller_is_quiet_after_ten_seconds_and_three() {
        let now = start();
        let quiet = Quiet::new(now);
        assert!(!quiet.is_over(now + 12_999 * MS));
        assert!(quiet.is_over(now + 13_000 * MS));
    }

    #[test]
    fn who_speaks_elsewhere_keeps_a_caller_from_being_dead_and_does_not_disturb_one_who_is_heard() {
        let now = start();
        let mut quiet = Quiet::new(now);
        (1..=1_000).for_each(|n| quiet.heard_elsewhere(now + 20 * n * MS));
        assert!(!quiet.is_over(now + (20_000 + 12_700) * MS));
        assert!(quiet.is_over(now + (20_000 + 13_000) * MS));
        let mut quiet = Quiet::new(now);
        (1..=150).for_each(|n| {
            quiet.packet(now + 20 * n * MS);
            quiet.heard_elsewhere(now + (20 * n + 10) * MS);
        });
        assert!(quiet.is_over(now + 3_000 * MS));
    }

    #[test]
    fn a_key_starts_the_clock_anew_when_it_ends() {
        let now = start();
        let mut quiet = Quiet::new(now);
        let now = packets(&mut quiet, now, 140);
        quiet.disturb(now + 1000 * MS);
        let now = packets(&mut quiet, now, 50 + 149);
        assert!(!quiet.is_over(now));
        let now = packets(&mut quiet, now, 1);
        assert!(quiet.is_over(now));
    }
}
