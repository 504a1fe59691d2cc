//! What comes out of the machine.

#[cfg(doc)]
use crate::Payment;
use std::time::Duration;
use wire::AttemptId;

/// What a payment wants of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// [`Payment::progress`] has changed.
    Changed,
    /// Journal this attempt and send it: build the request from [`Payment::sending`]. Where that gives nothing (the
    /// caller has hung up meanwhile), nothing was sent and the outcome is `Rejected`.
    Send {
        /// Which attempt; as handed to [`Payment::authorize`].
        attempt: AttemptId,
    },
    /// Nothing of a security code is held any more.
    CodeWiped {
        /// Since its last key.
        lived: Duration,
    },
}
