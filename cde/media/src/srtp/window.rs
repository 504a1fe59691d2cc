//! Which packets of a stream have come: the index of the newest, and those before it (RFC 3711 sections 3.3.1 and 3.3.2).

/// Packets that the window holds. The RFC asks for 64; what the jitter of a leg may bring late must fit in.
const WIDTH: u64 = 128;
/// Packets in a turn of the sequence numbers.
pub(super) const TURN: u64 = 1 << 16;
/// Of RTP's indices: 2^48 (RFC 3711 section 3.2.1).
const INDICES: u64 = 1 << 48;

/// The window of one stream.
#[derive(Clone, Copy, Default)]
pub(super) struct Window {
    newest: Option<u64>,
    /// The lowest bit is the newest packet, the next one that before it.
    seen: u128,
}

impl Window {
    pub(super) fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Neither taken yet nor too old.
    pub(super) fn is_new(&self, index: u64) -> bool {
        let Some(behind) = self.newest.and_then(|newest| newest.checked_sub(index)) else { return true };
        behind < WIDTH && self.seen >> behind & 1 == 0
    }

    pub(super) fn take(&mut self, index: u64) {
        let newest = self.newest.unwrap_or(index);
        match index.checked_sub(newest) {
            Some(ahead) => {
                let shifted = if ahead < WIDTH { self.seen << ahead } else { 0 };
                (self.newest, self.seen) = (Some(index), shifted | 1);
            }
            None if newest - index < WIDTH => self.seen |= 1 << (newest - index),
            None => {}
        }
    }
}

/// The index of a sequence number near that of the newest packet (RFC 3711 appendix A); none if it would lie before the
/// first turn or behind the last one.
pub(super) fn near(newest: u64, sequence: u16) -> Option<u64> {
    let (turn, last) = (newest / TURN, newest % TURN);
    let sequence = u64::from(sequence);
    let turn = if last < TURN / 2 {
        if sequence > last + TURN / 2 { turn.checked_sub(1)? } else { turn }
    } else if last - TURN / 2 > sequence {
        turn + 1
    } else {
        turn
    };
    Some(turn * TURN + sequence).filter(|index| *index < INDICES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_means_the_nearest_turn() {
        let turn = 5 * TURN;
        for (newest, sequence, index) in [
            (turn + 10, 11, Some(turn + 11)),
            (turn + 10, 0xfff0, Some(turn - 16)),
            (turn + 0xfff0, 3, Some(turn + TURN + 3)),
            (turn + 0xfff0, 0x8000, Some(turn + 0x8000)),
            (turn, 0x8000, Some(turn + 0x8000)),
            (turn, 0x8001, Some(turn - 0x7fff)),
            (10, 0xfff0, None),
            (INDICES - 1, 0, None),
        ] {
            assert_eq!(near(newest, sequence), index, "{newest} {sequence}");
        }
    }

    #[test]
    fn what_came_or_is_too_old_is_not_new() {
        let mut window = Window::default();
        assert!(window.is_new(0) && window.is_new(INDICES - 1));
        window.take(1000);
        window.take(1002);
        assert!(!window.is_new(1000) && !window.is_new(1002));
        assert!(window.is_new(1001) && window.is_new(1003));
        window.take(1001);
        assert!(!window.is_new(1001));
        assert!(window.is_new(1003 - WIDTH), "the last place of the window");
        assert!(!window.is_new(1002 - WIDTH), "behind it");
        window.take(5000);
        assert!(window.is_new(4999) && !window.is_new(1003));
    }
}
