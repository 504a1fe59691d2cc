//! What each charge of a stored card says of it: card networks want to know who began it, and why.
//!
//! The first payment is the payer's (here a telephone order, flagged as the first of an agreement), and its answer brings the
//! network's transaction id. Each later one is the merchant's, names that id, and has the same reason: a reason never changes.

use serde::{Deserialize, Serialize};

/// Why the card was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A subscription: no end is agreed on.
    Recurring,
    /// A purchase in parts: number or end are agreed on.
    Instalment,
    /// Whenever it is needed, such as a top-up.
    Unscheduled,
}

/// Which use of it this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "use", rename_all = "snake_case")]
pub enum Use {
    /// The payer's, with which the card is stored.
    First,
    /// The merchant's.
    Subsequent {
        /// The network's id of the first one. Gateways with tokens of their own keep it themselves.
        network_transaction_id: Option<String>,
    },
}

/// What a charge says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCredential {
    /// Why.
    pub reason: Reason,
    /// Which use.
    #[serde(flatten)]
    pub usage: Use,
}

impl Reason {
    /// The reason that terms make: who agrees on a number or an end pays in instalments.
    pub fn of(terms: &crate::Terms) -> Self {
        if terms.count.is_some() || terms.until.is_some() { Self::Instalment } else { Self::Recurring }
    }
}
