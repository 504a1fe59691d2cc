//! What an attempt at a gateway does.

use serde::{Deserialize, Serialize};

/// What an attempt does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// Take money from a card that was keyed, or reserve it.
    #[default]
    Authorize,
    /// Take money that was reserved.
    Capture,
    /// Give a whole authorization back before it is settled.
    Void,
    /// Give back money that was taken.
    Refund,
    /// Keep a card without taking money.
    Store,
    /// Take money from a card that is kept.
    ChargeStored,
    /// Forget a card.
    DeleteStored,
}

impl AttemptKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Authorize, Self::Capture, Self::Void, Self::Refund, Self::Store, Self::ChargeStored, Self::DeleteStored];

    /// The word for it, in the journal and on the door.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Store => "store",
            Self::ChargeStored => "charge_stored",
            Self::DeleteStored => "delete_stored",
        }
    }

    /// From its word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// May an approval of it be for less than was asked? Everything else is done whole or not at all.
    pub fn may_be_partial(self) -> bool {
        matches!(self, Self::Authorize | Self::ChargeStored)
    }
}
