//! Names of things. Random ids are UUIDv7 made by a shell and handed in; names are short, printable and checked.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// From 128 random bits, for those who have a random generator and no clock (UUIDv4).
            pub fn from_random(bits: u128) -> Self {
                Self(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Uuid::parse_str(text).map(Self).map_err(|_| NameError::NotAnId)
            }
        }
    };
}

uuid_id!(
    /// One call: the whole, both legs.
    CallId
);
uuid_id!(
    /// One payment as the agent sees it; it may need several attempts.
    PaymentId
);
uuid_id!(
    /// One request to a gateway for money. Also the idempotency key sent to the gateway.
    AttemptId
);
uuid_id!(
    /// One command of the office; a repeated id is the same command.
    CommandId
);
uuid_id!(
    /// One journal of the cde, so that the office can tell a restart from a new installation.
    JournalId
);

/// Why a name was refused. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a UUID.
    #[error("not an id: expected a UUID")]
    NotAnId,
    /// Empty, too long, or with characters outside letters, digits and `._-+*#`.
    #[error("not a name: expected 1 to {NAME_LENGTH_MAX} characters of letters, digits and ._-+*#")]
    NotAName,
}

/// The longest name or extension.
pub const NAME_LENGTH_MAX: usize = 64;

fn name_valid(text: &str) -> bool {
    (1..=NAME_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+*#".contains(&b))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                if name_valid(&text) { Ok(Self(text)) } else { Err(NameError::NotAName) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The telephone extension an agent answers on: the user part of the address that the call is sent to.
    Extension
);
name!(
    /// The merchant whose money it is; the cde's own file says which gateway serves it.
    MerchantId
);

/// Where a caller is transferred to, once: what stands before the `@` of a SIP address, and, where the cde's file has a number for
/// it, a shorter one to be dialed by keys. Whoever knows it can have the agent called, so it is never printed and never stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferCode {
    /// The user part.
    pub user: String,
    /// By keys.
    pub number: Option<String>,
}

impl TransferCode {
    /// What a user part begins with.
    pub const PREFIX: &str = "secure-";
}

impl fmt::Debug for TransferCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransferCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_on_the_way_in() {
        assert!("1001".parse::<Extension>().is_ok());
        assert!("".parse::<Extension>().is_err());
        assert!("a b".parse::<Extension>().is_err());
        assert!("x".repeat(65).parse::<MerchantId>().is_err());
        assert!(serde_json::from_str::<MerchantId>("\"http://evil\"").is_err());
    }

    #[test]
    fn a_transfer_code_is_not_printed() {
        let code = TransferCode { user: "secure-abcd".to_owned(), number: Some("79991234".to_owned()) };
        let printed = format!("{code:?}");
        assert!(!printed.contains("abcd") && !printed.contains("1234"), "{printed}");
    }

    #[test]
    fn ids_read_back_as_written() {
        let id = CallId(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<CallId>(), Ok(id));
        assert_eq!("x".parse::<CallId>(), Err(NameError::NotAnId));
    }
}
