//! Reconciliation: what is written here of a day's money, against what the gateways report of it. Pure: no clock, no
//! database, no card.
//!
//! # Invariants
//! - A report that holds something like a card number is refused whole; no error repeats what a report
//!   holds, but a short word without digits for a kind of line that is not known: it is never taken for a charge.
//! - A line of a report is one movement of money, told by its source and key: however often and in however many reports it
//!   comes, it counts once, and what comes twice within one report is said to. Where two reports tell one movement
//!   differently, one story counts and the other is shown.
//! - An attempt and a line are matched with each other at most once. The order of the lines does not matter.
//! - The day of a match is the day of our attempt, so that a line that comes late counts for the day before.
//! - What the gateway took against what is written here is told apart from what merely differs.
//! - Everything of a report is bounded: its bytes, rows, columns and fields.
//!
//! # Layout
//! - [`report`]: the reports of Stripe, Adyen, the sandbox, and any CSV with named columns, as [`Line`]s; `csv`, `amount`
//!   and `time` below it. [`line`](mod@line): one line. [`matching`]: ours against theirs. [`table`]: the answer as tables, which
//!   [`export`] writes as CSV.

pub mod export;
pub mod line;
pub mod matching;
pub mod report;
pub mod table;

pub use line::{Line, LineKind};
pub use matching::{Day, Ours, Side, Stand, Totals, Why, Window, reconcile};
pub use report::{Format, Report, ReportError, read};
