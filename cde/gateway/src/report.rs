//! What a gateway can be asked at the end of a day.

use wire::ReportLine;

/// A time, in Unix milliseconds: from, and up to but not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first millisecond.
    pub from_unix_ms: i64,
    /// The first after it.
    pub until_unix_ms: i64,
}

/// What one answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadPage {
    /// Movements of money.
    pub lines: Vec<ReportLine>,
    /// Movements in a currency whose units are not known.
    pub skipped: usize,
    /// The movement after which the next page begins; none on the last.
    pub next: Option<String>,
}
