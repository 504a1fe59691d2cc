//! Keys of the caller on an open line: an agent who just does not secure it must not go unseen.

use std::time::{Duration, Instant};

/// So many keys in a row are no menu's choice; the first six are what a card number must not show.
const KEYS: u8 = 6;
/// Keys further apart are of another row.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Counts keys in a row. It knows when they came, not which they were.
#[derive(Default)]
pub(crate) struct OpenLine {
    row: u8,
    last: Option<Instant>,
}

impl OpenLine {
    /// A key. True with the sixth in a row, once a row.
    pub(crate) fn key(&mut self, now: Instant) -> bool {
        let same_row = self.last.is_some_and(|last| now.saturating_duration_since(last) <= PAUSE_MAX);
        self.row = if same_row { self.row.saturating_add(1) } else { 1 };
        self.last = Some(now);
        self.row == KEYS
    }

    /// The line is not open any more.
    pub(crate) fn start_anew(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::start;

    #[test]
    fn six_keys_in_a_row_are_told_once() {
        let mut line = OpenLine::default();
        let told: Vec<bool> = (0..12).map(|second| line.key(start() + Duration::from_secs(second))).collect();
        assert_eq!(told.iter().position(|told| *told), Some(5));
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
    }

    #[test]
    fn a_pause_begins_another_row() {
        let mut line = OpenLine::default();
        let at = |seconds: u64| start() + Duration::from_secs(seconds);
        assert!((0..5).all(|second| !line.key(at(second))));
        assert!((10..15).all(|second| !line.key(at(second))));
        assert!(line.key(at(15)));
    }
}
