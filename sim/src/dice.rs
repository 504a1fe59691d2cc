//! Chance, from a seed.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::time::Duration;

/// Dice of one purpose. Purposes have dice of their own, so that one who rolls more does not change the luck of others.
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of a seed for a purpose.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut bytes = [0; 32];
        bytes
            .iter_mut()
            .zip(seed.to_le_bytes().into_iter().chain(purpose.to_le_bytes()))
            .for_each(|(to, from)| *to = from);
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// From 0 up to but not with the limit, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit.max(1)
    }

    /// True so often in a thousand.
    pub fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    /// A time from one to the other, both in milliseconds.
    pub fn ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to.saturating_sub(from) + 1))
    }

    /// One of these; none when there is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let index = self.below(u64::try_from(of.len()).unwrap_or(1));
        of.get(usize::try_from(index).unwrap_or(0))
    }

    /// A random number for an id.
    pub fn bits(&mut self) -> u128 {
        u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64())
    }

    /// A seed for a machine.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }
}
