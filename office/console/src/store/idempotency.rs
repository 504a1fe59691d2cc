//! Idempotency keys: the same request of the same user gets the same answer, and is done once.

use super::StoreError;
use async_trait::async_trait;
use uuid::Uuid;

/// How long a key is remembered.
pub(crate) const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// Which request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) user: i64,
    pub(crate) path: &'a str,
    pub(crate) key: &'a str,
    pub(crate) body_hash: &'a [u8],
}

/// What is known of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is to be done, with ids made from this seed. If it was begun before and has no answer, the seed is the old
    /// one, so that the cde knows the command again.
    Do(Uuid),
    /// It is being done.
    Busy,
    /// It was another request.
    Mismatch,
    /// It was done; this was the answer.
    Done(u16, String),
}

/// Requests that are done once.
#[async_trait]
pub(crate) trait Idempotency: Send + Sync {
    /// Claims a key for whoever has its turn. Without the turn only an answer that is there is told.
    async fn claim(&self, now_ms: i64, key: Key<'_>, seed: Uuid, has_turn: bool) -> Result<Claim, StoreError>;

    /// It was done, with this answer.
    async fn claim_done(&self, key: Key<'_>, status: u16, answer: &str) -> Result<(), StoreError>;

    /// It was refused: nothing was done, and the key is free again.
    async fn claim_void(&self, key: Key<'_>) -> Result<(), StoreError>;
}
