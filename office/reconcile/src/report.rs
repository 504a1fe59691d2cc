//! The reports of gateways, read as [`Line`]s. Column names are as their vendors document them; each file names its page.

mod adyen;
mod amount;
mod columns;
mod csv;
mod sandbox;
mod sheet;
mod stripe;
mod time;

use crate::line::Line;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

pub use amount::Decimal;
pub use columns::{Columns, FeeSign};
pub use csv::{COLUMNS_MAX, FIELD_BYTES_MAX, REPORT_BYTES_MAX, ROWS_MAX};
pub use time::Dates;

/// Whose report it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Stripe's itemized balance change from activity, or the export of its dashboard.
    Stripe,
    /// Adyen's settlement details.
    Adyen,
    /// The sandbox acquirer's statement.
    Sandbox,
    /// Any CSV, by the names of its columns.
    Columns(Box<Columns>),
}

impl Format {
    /// Its word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Adyen => "adyen",
            Self::Sandbox => "sandbox",
            Self::Columns(_) => "columns",
        }
    }
}

/// What a report says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each movement of money once, by its key.
    pub lines: Vec<Line>,
    /// Rows that say nothing of money, such as those without an amount.
    pub skipped: usize,
}

/// Why a report was refused. Nothing of it is stored then, and nothing of it is repeated here but a word for a kind of line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Too many bytes.
    #[error("The report is larger than 16 MiB. Have the gateway make one for each day.")]
    TooLarge,
    /// Neither UTF-8 nor a text at all.
    #[error(
        "This is no CSV text in UTF-8. Save the report as CSV (UTF-8) and not as an Excel file, then send it again."
    )]
    NotText,
    /// A quote that does not end.
    #[error("A quoted field that begins in line {row} does not end. The file may have been cut off; get it again.")]
    Quote {
        /// From 1.
        row: usize,
    },
    /// A field too long for anything that a report says.
    #[error("A field in line {row} is longer than 4,096 bytes. Leave that column out of the report.")]
    FieldTooLong {
        /// From 1.
        row: usize,
    },
    /// Too many columns.
    #[error("The report has more than 200 columns. Leave out those that are not needed.")]
    TooManyColumns,
    /// Too many rows.
    #[error("The report has more than 200,000 rows. Have the gateway make one for each day.")]
    TooManyRows,
    /// Nothing in it.
    #[error("The report is empty: it has not even a header.")]
    Empty,
    /// A column is not there.
    #[error("The report has no column `{column}`. Is it of the gateway and kind that you have chosen? {hint}")]
    NoColumn {
        /// As its vendor or your mapping calls it.
        column: &'static str,
        /// Which report is meant.
        hint: &'static str,
    },
    /// A column is there twice.
    #[error("The report has the column `{column}` twice, so that it is not clear which one counts.")]
    TwiceColumn {
        /// As its vendor or your mapping calls it.
        column: &'static str,
    },
    /// A row of another length than the header.
    #[error("Line {row} has not as many fields as the header. The file may have been cut off or edited; get it again.")]
    Ragged {
        /// From 1.
        row: usize,
    },
    /// A card number.
    #[error(
        "Line {row} holds something that looks like a card number. Nothing was stored. Leave that column out of the report, \
         delete this file where you have saved it, and send the report again without it."
    )]
    LooksLikeCard {
        /// From 1.
        row: usize,
    },
    /// Not understood.
    #[error("Line {row}: `{column}` is not {expected}.")]
    Bad {
        /// From 1.
        row: usize,
        /// As its vendor or your mapping calls it.
        column: &'static str,
        /// In words.
        expected: &'static str,
    },
    /// A kind of line that nobody has told the meaning of.
    #[error(
        "Line {row}: the column `kind` says {word}, and nobody has said what that means. Add it to `charge_words`, \
         `refund_words`, `chargeback_words`, `fee_words` or `other_words`, and send the report again."
    )]
    UnknownKind {
        /// From 1.
        row: usize,
        /// In quotes, if it is a short word without digits.
        word: String,
    },
    /// One id, two stories.
    #[error("Line {row} has the id of a line before it and says something else. The report contradicts itself.")]
    Contradiction {
        /// From 1.
        row: usize,
    },
}

/// Reads a report. `zone` is that of times without one of their own.
pub fn read(format: &Format, bytes: &[u8], zone: &TimeZone) -> Result<Report, ReportError> {
    let sheet = sheet::Sheet::read(bytes)?;
    match format {
        Format::Stripe => stripe::read(&sheet),
        Format::Adyen => adyen::read(&sheet),
        Format::Sandbox => sandbox::read(&sheet),
        Format::Columns(columns) => columns::read(&sheet, columns, zone),
    }
}

/// Gathers the lines of a report by their keys.
#[derive(Default)]
struct Gathered {
    lines: BTreeMap<String, Line>,
    skipped: usize,
}

impl Gathered {
    fn add(&mut self, row: usize, line: Line) -> Result<(), ReportError> {
        let Some(known) = self.lines.get_mut(&line.key) else {
            self.lines.insert(line.key.clone(), line);
            return Ok(());
        };
        if (Line { copies: known.copies, ..line }) != *known {
            return Err(ReportError::Contradiction { row });
        }
        known.copies = known.copies.saturating_add(1);
        Ok(())
    }

    fn end(self) -> Report {
        Report { lines: self.lines.into_values().collect(), skipped: self.skipped }
    }
}
