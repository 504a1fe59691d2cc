//! What each charge of a stored card says of it: card networks want to know who began it, and why.
//!
//! The first payment is the payer's (here a telephone order, flagged as the first of an agreement), and its answer brings the
//! network's transaction id. Each later one is the merchant's, names that id, and has the same reason: a reason never changes.

use crate::Terms;
use wire::{Initiator, NetworkId};

pub use wire::{Credential, Reason};

/// What a later payment says. Without an id of its own, the cde says the one that it has noted with the card.
pub fn subsequent(reason: Reason, network_transaction_id: Option<NetworkId>) -> Credential {
    Credential { initiator: Initiator::Merchant, reason, first: false, network_transaction_id }
}

impl Terms {
    /// The reason that terms make: who agrees on a number or an end pays in instalments.
    pub fn reason(&self) -> Reason {
        if self.count.is_some() || self.until.is_some() { Reason::Installment } else { Reason::Recurring }
    }
}
