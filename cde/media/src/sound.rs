//! The caller's sound of the last 40 ms, 60 of Opus, kept once for all who listen: its samples, and block by block what they hold of
//! the keypad's frequencies. The gate and the detector look at these sums, and the natural mask holds these samples.
//!
//! The witness has none of it: it hears what was sent.

use crate::bins::{BLOCK, Bins};
use crate::natural::Hold;

/// Blocks whose sums are kept, 20 ms, and whose samples are.
pub(crate) const WINDOW_BLOCKS: usize = 4;
pub(crate) const WINDOW: usize = WINDOW_BLOCKS * BLOCK;

/// The newest sound of one caller, in blocks of 5 ms.
pub struct Sound {
    /// In rings, with the places of the newest whole block. Of samples there are as many as are held.
    samples: Box<[[i16; BLOCK]]>,
    sums: [Bins; WINDOW_BLOCKS],
    newest: usize,
    /// Samples of the block that is not whole yet.
    filled: usize,
}

/// What came of taking samples.
pub(crate) struct Taken {
    pub(crate) samples: usize,
    /// With them a block is whole.
    pub(crate) whole: bool,
}

impl Default for Sound {
    fn default() -> Self {
        Self::new()
    }
}

impl Sound {
    /// Silence, with room for the usual hold.
    pub fn new() -> Self {
        Self::with_room(Hold::default())
    }

    /// Silence, of which so much can be read back as a hold takes.
    pub fn with_room(hold: Hold) -> Self {
        let blocks = hold.due().div_ceil(BLOCK).next_multiple_of(WINDOW_BLOCKS);
        let samples = vec![[0; BLOCK]; blocks].into_boxed_slice();
        Self { samples, sums: [Bins::default(); WINDOW_BLOCKS], newest: 0, filled: 0 }
    }

    /// Hears samples; whoever listens is told of each whole block.
    pub fn hear(&mut self, samples: &[i16], mut whole: impl FnMut(&Self)) {
        let mut rest = samples;
        while !rest.is_empty() {
            let taken = self.take(rest);
            if taken.whole {
                whole(self);
            }
            rest = rest.get(taken.samples..).unwrap_or_default();
        }
    }

    /// Takes samples up to the end of a block.
    pub(crate) fn take(&mut self, samples: &[i16]) -> Taken {
        let next = (self.newest + 1) % self.samples.len().max(1);
        let Some(block) = self.samples.get_mut(next) else { return Taken { samples: samples.len(), whole: false } };
        let room = block.get_mut(self.filled..).unwrap_or_default();
        let taken = room.len().min(samples.len());
        room.iter_mut().zip(samples).for_each(|(to, from)| *to = *from);
        self.filled = (self.filled + taken) % BLOCK;
        let whole = taken > 0 && self.filled == 0;
        if whole {
            self.newest = next;
            let sums = Bins::new(block);
            if let Some(to) = self.sums.get_mut(next % WINDOW_BLOCKS) {
                *to = sums;
            }
        }
        Taken { samples: taken, whole }
    }

    /// A block begins with the next sample: what was not whole is left out.
    pub(crate) fn align(&mut self) {
        self.filled = 0;
    }

    /// Forgets what was heard.
    pub(crate) fn clear(&mut self) {
        self.samples.fill([0; BLOCK]);
        (self.sums, self.newest, self.filled) = ([Bins::default(); WINDOW_BLOCKS], 0, 0);
    }

    /// The newest block.
    pub(crate) fn sums(&self) -> &Bins {
        let [.., newest] = self.window();
        newest
    }

    /// The last 20 ms, oldest block first.
    pub(crate) fn window(&self) -> [&Bins; WINDOW_BLOCKS] {
        let [a, b, c, d] = &self.sums;
        match self.newest % WINDOW_BLOCKS {
            0 => [b, c, d, a],
            1 => [c, d, a, b],
            2 => [d, a, b, c],
            _ => [a, b, c, d],
        }
    }

    /// Reads samples from so many ago on, at most all that are kept, all of whole blocks.
    pub(crate) fn read<T: From<i16>>(&self, ago: usize, to: &mut [T]) {
        let (newer, older) = self.samples.as_flattened().split_at((self.newest + 1) * BLOCK);
        let skipped = self.samples.as_flattened().len().saturating_sub(ago);
        let older_left = older.get(skipped..).unwrap_or_default();
        let newer_left = newer.get(skipped.saturating_sub(older.len())..).unwrap_or_default();
        let (first, second) = to.split_at_mut(older_left.len().min(to.len()));
        first.iter_mut().zip(older_left).for_each(|(to, sample)| *to = T::from(*sample));
        second.iter_mut().zip(newer_left).for_each(|(to, sample)| *to = T::from(*sample));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_can_be_read_back_from_any_place() {
        let mut sound = Sound::new();
        let samples: Vec<i16> = (1..2000).collect();
        let mut blocks = 0;
        for packet in samples.chunks(37) {
            sound.hear(packet, |sound| {
                blocks += 1;
                let newest = blocks * 40;
                for ago in [40, 70, 160, 320] {
                    let mut read = vec![0_i16; ago];
                    sound.read(ago, &mut read);
                    let said = (1..=newest).rev().chain(std::iter::repeat(0));
                    assert!(ago == 320 || read.iter().rev().zip(said).all(|(read, said)| *read == said));
                }
                let energy: f32 = (newest - 39..=newest).map(|said| f32::from(said).powi(2)).sum();
                assert!((sound.sums().energy - energy).abs() < energy * 1e-5);
            });
        }
        assert_eq!(blocks, 49);
        let energies = sound.window().map(|sums| sums.energy);
        assert!(energies.is_sorted() && energies[0] > 0.0);
    }

    #[test]
    fn a_block_can_begin_anew() {
        let mut sound = Sound::new();
        sound.hear(&[9; 39], |_| unreachable!());
        sound.align();
        sound.hear(&[1; 40], |sound| assert!(sound.sums().energy < 41.0));
    }
}
