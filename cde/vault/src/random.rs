//! Where keys, nonces and tokens come from.

/// The machine gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machine gave no random bytes")]
pub struct NoRandomness;

/// A source of random bytes fit for keys. The shell hands in the operating system's.
pub trait Random: Send + Sync {
    /// Fills the bytes.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}
