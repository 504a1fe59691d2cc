//! What was read against what was pressed.

use std::fmt;

/// Digits of many rows.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) pressed: usize,
    right: usize,
    missed: usize,
    surplus: usize,
}

impl Tally {
    /// A row: right are as many digits as stand in both in the same order, the others are missed or surplus. A digit
    /// that is read as another one is both.
    pub(crate) fn add(&mut self, pressed: &[u8], read: &[u8]) {
        let right = common(pressed, read);
        self.pressed += pressed.len();
        self.right += right;
        self.missed += pressed.len() - right;
        self.surplus += read.len() - right;
    }

    /// A row of which nothing should be read: a press is right when it is not.
    pub(crate) fn refused(&mut self, pressed: &[u8], read: &[u8]) {
        self.pressed += pressed.len();
        self.surplus += read.len();
        self.right += pressed.len().saturating_sub(read.len());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.right as f64 / self.pressed.max(1) as f64;
        // Never rounded up to all.
        let percent = (percent * 100.0).floor() / 100.0;
        write!(to, "{percent:.2} % ({} missed, {} false)", self.missed, self.surplus)
    }
}

/// The longest row of digits that both have in this order.
fn common(one: &[u8], other: &[u8]) -> usize {
    let mut best = vec![0; other.len() + 1];
    for a in one {
        let mut diagonal = 0;
        for (at, b) in other.iter().enumerate() {
            let above = best[at + 1];
            best[at + 1] = if a == b { diagonal + 1 } else { above.max(best[at]) };
            diagonal = above;
        }
    }
    best[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_is_right_only_in_its_place() {
        let tally = |pressed: &str, read: &str| {
            let mut tally = Tally::default();
            tally.add(pressed.as_bytes(), read.as_bytes());
            (tally.right, tally.missed, tally.surplus)
        };
        assert_eq!(tally("4012", "4012"), (4, 0, 0));
        assert_eq!(tally("4012", "402"), (3, 1, 0));
        assert_eq!(tally("4012", "40112"), (4, 0, 1));
        assert_eq!(tally("4012", "4512"), (3, 1, 1));
        assert_eq!(tally("4012", ""), (0, 4, 0));
        assert_eq!(tally("", "7"), (0, 0, 1));
    }
}
