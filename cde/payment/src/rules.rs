//! Times and counts of a payment.

use std::time::Duration;

/// What a payment allows. The default is that of payments.md's ordinary key profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long the first digit of a field may take before the agent is told.
    pub first_digit_ms_max: u64,
    /// How long each further digit may take before the field is ended or the agent is told.
    pub inter_digit_ms_max: u64,
    /// How often a field may be refused before the agent must ask for it again.
    pub field_tries_max: u8,
    /// How many attempts one payment may make at the gateway.
    pub attempts_max: u8,
    /// How long something keyed is kept without a key or a request, also when all of it is valid.
    pub ready_ms_max: u64,
    /// How long a card is kept after an attempt that was proved not executed, counted from the first such proof.
    pub rejected_keep_ms: u64,
    /// How long the rest of a card is kept after a decline for its code or date.
    pub declined_keep_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            first_digit_ms_max: 20_000,
            inter_digit_ms_max: 8_000,
            field_tries_max: 5,
            attempts_max: 5,
            ready_ms_max: 300_000,
            rejected_keep_ms: 120_000,
            declined_keep_ms: 60_000,
        }
    }
}

impl Rules {
    pub(crate) fn first_digit(&self) -> Duration {
        Duration::from_millis(self.first_digit_ms_max)
    }

    pub(crate) fn inter_digit(&self) -> Duration {
        Duration::from_millis(self.inter_digit_ms_max)
    }
}
