//! What a gateway tells of a day's money when it is asked: movements, and no card.

use crate::{AttemptId, Money};
use serde::{Deserialize, Serialize};

/// Movements of one page at most.
pub const REPORT_PAGE_MAX: usize = 100;
/// The longest name of a movement, in bytes.
pub const REPORT_NAME_BYTES_MAX: usize = 128;

/// What a movement of money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// Money was taken from a card.
    Charge,
    /// Money was given back.
    Refund,
    /// A refund failed after all, and its money is here again.
    RefundReversed,
    /// The cardholder's bank took money back.
    Chargeback,
    /// The cardholder's bank gave it back again.
    ChargebackReversed,
    /// What the gateway keeps for itself.
    Fee,
    /// Money on its way to the merchant's bank.
    Payout,
    /// Anything else.
    Other,
}

impl ReportKind {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Charge, "charge"),
        (Self::Refund, "refund"),
        (Self::RefundReversed, "refund_reversed"),
        (Self::Chargeback, "chargeback"),
        (Self::ChargebackReversed, "chargeback_reversed"),
        (Self::Fee, "fee"),
        (Self::Payout, "payout"),
        (Self::Other, "other"),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// How a change of the merchant's balance is written: a fee above zero is kept by the gateway and one below zero given
    /// back, a payout above zero went out, anything else is as the balance has it. The others have their direction in their
    /// name, and are never below zero.
    pub fn minor_of(self, change: i64) -> i64 {
        match self {
            Self::Fee | Self::Payout => change.saturating_neg(),
            Self::Other => change,
            _ => change.saturating_abs(),
        }
    }

    /// From its word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, word)| *word == name).map(|(kind, _)| kind)
    }
}

/// One movement of money, as the gateway tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportLine {
    /// The gateway's own name of the movement.
    pub key: String,
    /// What has happened.
    pub kind: ReportKind,
    /// The gateway's names of what it is about.
    pub names: Vec<String>,
    /// The attempts of ours that it names, the nearest one first.
    pub attempts: Vec<AttemptId>,
    /// How much, as the cardholder sees it, signed as [`ReportKind::minor_of`] says.
    pub money: Money,
    /// What the gateway keeps of it, in the currency of the settlement.
    pub fee: Option<Money>,
    /// When, by the gateway; Unix milliseconds.
    pub at_unix_ms: i64,
}

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportCursor {
    /// Of which gateway.
    pub gateway: String,
    /// The movement before it; none for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A page of what one gateway tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportPage {
    /// As `cde.toml` calls it.
    pub gateway: String,
    /// Whose words its names are: those of the report that the same movements stand in as a file.
    pub format: String,
    /// At most [`REPORT_PAGE_MAX`].
    pub lines: Vec<ReportLine>,
    /// Movements that are left out, because their currency is counted in units that are not known.
    pub skipped: usize,
    /// The next page, of this gateway or of the merchant's next one.
    pub next: Option<ReportCursor>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Currency, LINE_BYTES_MAX};

    #[test]
    fn a_full_page_fits_through_the_door() {
        let name = || "x".repeat(REPORT_NAME_BYTES_MAX);
        let money = Money { minor: i64::MIN, currency: Currency::GBP };
        let line = ReportLine {
            key: name(),
            kind: ReportKind::ChargebackReversed,
            names: vec![name(), name(), name()],
            attempts: vec![AttemptId::from_random(1), AttemptId::from_random(2)],
            money,
            fee: Some(money),
            at_unix_ms: i64::MIN,
        };
        let next = Some(ReportCursor { gateway: name(), after: Some(name()) });
        let (gateway, format) = (name(), name());
        let page = ReportPage { gateway, format, lines: vec![line; REPORT_PAGE_MAX], skipped: usize::MAX, next };
        let text = serde_json::to_string(&page).unwrap();
        assert!(text.len() < LINE_BYTES_MAX / 2, "{}", text.len());
        assert_eq!(serde_json::from_str::<ReportPage>(&text).unwrap(), page);
    }
}
