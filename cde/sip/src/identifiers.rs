//! Tags, branches, Call-IDs and delays from one seeded generator.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

/// The source of every random value.
pub(crate) struct Identifiers {
    random: ChaCha12Rng,
    key: u64,
}

impl Identifiers {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut random = ChaCha12Rng::from_seed(seed);
        let key = random.next_u64();
        Self { random, key }
    }

    /// A branch of 128 random bits behind RFC 3261's cookie (§8.1.1.7).
    pub(crate) fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.call_id())
    }

    pub(crate) fn chance(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// A key that nobody else has.
    pub(crate) fn secret(&mut self) -> [u8; 32] {
        let mut secret = [0; 32];
        self.random.fill_bytes(&mut secret);
        secret
    }

    /// Where a count starts that must not be guessed and not run over (RFC 3262 §3).
    pub(crate) fn sequence(&mut self) -> u32 {
        self.random.next_u32() >> 2
    }

    pub(crate) fn tag(&mut self) -> String {
        format!("{:016x}", self.random.next_u64())
    }

    pub(crate) fn call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.random.next_u64(), self.random.next_u64())
    }

    /// A delay in steps of 10 ms from `from` to `to` milliseconds (RFC 3261 §14.1).
    pub(crate) fn delay(&mut self, from: u64, to: u64) -> Duration {
        let steps = (to.saturating_sub(from) / 10).max(1);
        Duration::from_millis(from + self.random.next_u64() % (steps + 1) * 10)
    }

    /// A To tag that is the same for every repetition of a request that is answered without state (RFC 3261 §8.2.7).
    pub(crate) fn stateless_tag(&self, request: &[u8]) -> String {
        let mut hasher = DefaultHasher::new();
        (self.key, request).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}
