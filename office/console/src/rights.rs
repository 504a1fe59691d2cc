//! What a user may do with money.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// One thing that a user may do with money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Take payments.
    Charge,
    /// Reserve money, and take it later.
    Preauthorize,
    /// Give money back.
    Refund,
    /// Keep cards on file.
    Store,
    /// See every payment, settle what nobody knows, look at what a rule has held up.
    Finance,
}

/// What one user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights(BTreeSet<Right>);

/// Not a list of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not rights: expected words of charge, preauthorize, refund, store and finance, with commas between them")]
pub struct RightsError;

impl Right {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Charge, "charge"),
        (Self::Preauthorize, "preauthorize"),
        (Self::Refund, "refund"),
        (Self::Store, "store"),
        (Self::Finance, "finance"),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(right, _)| *right == self).map_or("", |(_, word)| word)
    }
}

impl Rights {
    /// May they do this?
    pub fn has(&self, right: Right) -> bool {
        self.0.contains(&right)
    }

    pub(crate) fn words(&self) -> Vec<Right> {
        self.0.iter().copied().collect()
    }
}

/// Taking payments, and nothing else.
impl Default for Rights {
    fn default() -> Self {
        Self(BTreeSet::from([Right::Charge]))
    }
}

impl std::str::FromStr for Rights {
    type Err = RightsError;
    fn from_str(text: &str) -> Result<Self, RightsError> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let right = |word| Right::ALL.into_iter().find(|(_, known)| *known == word).map(|(right, _)| right);
        words.map(|word| right(word).ok_or(RightsError)).collect::<Result<_, _>>().map(Self)
    }
}

impl std::fmt::Display for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<_> = self.0.iter().map(|right| right.as_str()).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_read_back_as_written() {
        let rights: Rights = " refund, charge,refund ".parse().unwrap();
        assert_eq!(rights.to_string(), "charge,refund");
        assert!(rights.has(Right::Refund) && !rights.has(Right::Finance));
        assert_eq!("".parse::<Rights>().unwrap().to_string(), "");
        assert_eq!("charge,all".parse::<Rights>(), Err(RightsError));
        for (right, word) in Right::ALL {
            assert_eq!(serde_json::to_value(right).unwrap(), word);
        }
    }
}
