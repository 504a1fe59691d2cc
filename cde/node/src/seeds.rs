//! Fresh randomness of the operating system for the pure machines.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// Makes seeds.
pub(crate) struct Seeds(SystemRandom);

impl Seeds {
    pub(crate) fn new() -> Self {
        Self(SystemRandom::new())
    }

    /// 32 random bytes.
    pub(crate) fn next(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        #[expect(clippy::expect_used, reason = "without randomness every tag and stream id could be guessed: stop")]
        self.0.fill(&mut seed).expect("the operating system gives random bytes");
        seed
    }
}
