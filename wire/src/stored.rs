//! Cards that are kept: how a charge of one is flagged, and what became of keeping one. The office knows a kept card by its
//! [`Token`] alone, whether the gateway or the vault has it.

use crate::{CaptureTime, CardView, Extension, MerchantId, Money, PaymentId, Token, name_pan_like};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who starts a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initiator {
    /// The cardholder (CIT).
    Customer,
    /// The merchant, the cardholder not being there (MIT).
    Merchant,
}

/// What a stored-credential agreement is for. It never changes within one agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A fixed rhythm, until canceled.
    Recurring,
    /// One purchase in a fixed number of parts.
    Installment,
    /// No fixed rhythm, such as a top-up.
    Unscheduled,
}

impl Reason {
    /// The word in the journal and at the sandbox.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recurring => "recurring",
            Self::Installment => "installment",
            Self::Unscheduled => "unscheduled",
        }
    }
}

/// What the networks want to know of a charge of a kept card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Who starts it.
    pub initiator: Initiator,
    /// What the card is kept for.
    pub reason: Reason,
    /// Is this the charge that the agreement begins with?
    #[serde(default)]
    pub first: bool,
    /// The network's id of the agreement's first charge. Without it the one is said that the cde has noted when the card was
    /// kept; only a card that came from another vault needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_transaction_id: Option<NetworkId>,
}

/// A charge of a kept card. Nobody keys anything, and there is no security code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCharge {
    /// The payment, made by the office. Several tries of one payment have its id, and the cde takes one that may have taken
    /// money for the last.
    pub payment: PaymentId,
    /// Whose extension may see it.
    pub extension: Extension,
    /// For whom. Another merchant's token is refused.
    pub merchant: MerchantId,
    /// The card.
    pub token: Token,
    /// How much.
    pub amount: Money,
    /// When the money is taken.
    #[serde(default)]
    pub capture: CaptureTime,
    /// What the networks want to know.
    pub credential: Credential,
}

/// The longest id of a network.
const NETWORK_ID_CHARS_MAX: usize = 64;

/// A card network's id of a charge. It is told by a bank, says nothing of the card, and is refused where it looks like one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkId(String);

/// Not an id of a network. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a network's transaction id: expected 1 to {NETWORK_ID_CHARS_MAX} letters, digits and -_. that are no card number"
)]
pub struct NetworkIdError;

impl NetworkId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NetworkId {
    type Error = NetworkIdError;
    fn try_from(text: String) -> Result<Self, NetworkIdError> {
        let fits = (1..=NETWORK_ID_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if fits && !name_pan_like(&text) { Ok(Self(text)) } else { Err(NetworkIdError) }
    }
}

impl std::str::FromStr for NetworkId {
    type Err = NetworkIdError;
    fn from_str(text: &str) -> Result<Self, NetworkIdError> {
        Self::try_from(text.to_owned())
    }
}

impl From<NetworkId> for String {
    fn from(id: NetworkId) -> String {
        id.0
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A card that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCard {
    /// What it is charged by. Random: it says nothing of the card.
    pub token: Token,
    /// For whom; nobody else can charge it.
    pub merchant: MerchantId,
    /// The card, masked.
    pub card: CardView,
    /// Who has it.
    pub keeper: Keeper,
    /// The oldest token of the same card that the vault has, if it is another one: what networks count by the card is counted by
    /// this. Only the vault can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<Token>,
}

/// Who has a kept card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// The gateway that approved of it.
    Gateway,
    /// Our vault.
    Vault,
    /// Each of them.
    Both,
}

/// Why a card that was to be kept is not. What was paid is paid all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotKept {
    /// The vault did not take it.
    VaultFault,
    /// The gateway has kept none, and no vault was to.
    NoToken,
    /// The outcome was learned when the card had been wiped.
    CardGone,
    /// Nothing was approved.
    NotApproved,
}

/// What the agent is told of a card that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeping {
    /// It is kept.
    Kept,
    /// It is not: it must be keyed again to be kept.
    NotKept,
}

/// Whether a declined charge may be tried again, as the networks say.
///
/// One word in text: `never`, `fix_data`, `later`, `after_24h`, `end_agreement`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Advice {
    /// Not with this card, ever.
    Never,
    /// With the data put right.
    FixData,
    /// Another time.
    Later,
    /// Not before so many hours have passed, at most [`ADVICE_HOURS_MAX`].
    After {
        /// How many.
        hours: u16,
    },
    /// Never, and the cardholder has ended the agreement: its schedule is to be canceled.
    EndAgreement,
}

/// The longest that an advice has somebody wait: Mastercard's longest is ten days.
pub const ADVICE_HOURS_MAX: u16 = 30 * 24;

impl From<Advice> for String {
    fn from(advice: Advice) -> Self {
        match advice {
            Advice::Never => "never".to_owned(),
            Advice::FixData => "fix_data".to_owned(),
            Advice::Later => "later".to_owned(),
            Advice::After { hours } => format!("after_{}h", hours.min(ADVICE_HOURS_MAX)),
            Advice::EndAgreement => "end_agreement".to_owned(),
        }
    }
}

/// A word that is no advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected never, fix_data, later, after_24h with at most {ADVICE_HOURS_MAX} hours, or end_agreement")]
pub struct AdviceError;

impl TryFrom<String> for Advice {
    type Error = AdviceError;

    fn try_from(word: String) -> Result<Self, AdviceError> {
        match word.as_str() {
            "never" => Ok(Self::Never),
            "fix_data" => Ok(Self::FixData),
            "later" => Ok(Self::Later),
            "end_agreement" => Ok(Self::EndAgreement),
            word => {
                let hours = word.strip_prefix("after_").and_then(|rest| rest.strip_suffix('h'));
                let hours = hours.and_then(|hours| hours.parse().ok()).filter(|hours| *hours <= ADVICE_HOURS_MAX);
                hours.map(|hours| Self::After { hours }).ok_or(AdviceError)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advice_is_one_word_and_keeps_its_hours() {
        for (advice, word) in
            [(Advice::FixData, "fix_data"), (Advice::Later, "later"), (Advice::After { hours: 240 }, "after_240h")]
        {
            assert_eq!(serde_json::to_value(advice).unwrap(), word);
            assert_eq!(serde_json::from_value::<Advice>(word.into()).unwrap(), advice);
        }
        for word in ["after_721h", "after_-1h", "after_h", "soon", ""] {
            assert!(serde_json::from_value::<Advice>(word.into()).is_err(), "{word}");
        }
    }

    #[test]
    fn a_networks_id_is_no_card() {
        assert!("MCC123456 0126".parse::<NetworkId>().is_err());
        assert!("4242424242424242".parse::<NetworkId>().is_err());
        assert!("".parse::<NetworkId>().is_err() && "x".repeat(65).parse::<NetworkId>().is_err());
        let id: NetworkId = "MCC1234560126".parse().unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"MCC1234560126\"");
    }
}
