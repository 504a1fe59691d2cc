//! One line of a gateway's report.

use wire::{AttemptId, Money};

/// What a line says has happened: the same words as those of a gateway that is asked.
pub use wire::ReportKind as LineKind;

/// Some reports of a gateway tell seconds and others do not.
const MINUTE_MS: i64 = 60_000;

/// One movement of money, as the gateway reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it is from: an account at a gateway, or at a bank. Empty until it is stored.
    pub source: String,
    /// Tells it from every other line of its source: the gateway's own id, or what the line says.
    pub key: String,
    /// What has happened.
    pub kind: LineKind,
    /// The gateway's names of what it is about, and ours that are no attempt's.
    pub names: Vec<String>,
    /// The attempts of ours that it names, the nearest one first.
    pub attempts: Vec<AttemptId>,
    /// How much, as the cardholder sees it, and as [`LineKind::minor_of`] signs it.
    pub money: Money,
    /// What the gateway keeps of it, in the currency of the settlement.
    pub fee: Option<Money>,
    /// When, by the gateway; Unix milliseconds.
    pub at_unix_ms: i64,
    /// How often it stands in one report.
    pub copies: u32,
}

impl Line {
    /// What it says of the money, to the minute: two lines with one key that differ in it contradict each other. `by_names`
    /// where a key may be given anew, as by a bank that counts the lines of each file.
    pub fn story(&self, by_names: bool) -> String {
        let (fee, fee_currency) = self.fee.map(|fee| (fee.minor.to_string(), fee.currency.code())).unwrap_or_default();
        let minute = self.at_unix_ms / MINUTE_MS;
        let (kind, minor, currency) = (self.kind.as_str(), self.money.minor, self.money.currency.code());
        let story = format!("{kind}|{minor}|{currency}|{fee}|{fee_currency}|{minute}");
        if by_names { format!("{story}|{}", self.all_names().join(" ")) } else { story }
    }

    /// Attempts of ours, then the gateway's names.
    pub fn all_names(&self) -> Vec<String> {
        self.attempts.iter().map(AttemptId::to_string).chain(self.names.iter().cloned()).collect()
    }

    /// What no other movement of money has.
    pub fn id(&self) -> (&str, &str) {
        (&self.source, &self.key)
    }
}
