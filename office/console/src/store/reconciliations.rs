//! Gateways' reports, each line once, and what is to be matched of a day.

use super::{StoreError, audit::Entry};
use async_trait::async_trait;
use reconcile::{Line, Ours, Report, Window};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::MerchantId;

/// The most attempts and the most lines of one day.
pub(crate) const DAY_MAX: usize = 200_000;
/// The most reports that are listed.
pub(crate) const LISTED_MAX: i64 = 200;

/// A report to be stored.
#[derive(Debug)]
pub(crate) struct NewReport<'a> {
    pub(crate) id: Uuid,
    pub(crate) merchant: &'a MerchantId,
    /// The account at the gateway or bank that it is from.
    pub(crate) source: &'a str,
    pub(crate) format: &'a str,
    /// As the user's file is called.
    pub(crate) name: &'a str,
    pub(crate) sha256: &'a [u8],
    pub(crate) report: &'a Report,
}

/// A report that was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ReportView {
    /// UUID.
    pub(crate) id: String,
    pub(crate) merchant: String,
    /// The account at the gateway or bank that it is from: its lines are named within it.
    pub(crate) source: String,
    pub(crate) format: String,
    /// `coming` while its lines are written down, and `here` when all of them count.
    pub(crate) state: String,
    pub(crate) name: String,
    /// Movements of money in it.
    pub(crate) lines: i64,
    /// Of them, those that are written down by now.
    pub(crate) stored: i64,
    /// Of them, those that no report before it had.
    pub(crate) fresh: i64,
    /// Of them, those that a report before it tells otherwise.
    pub(crate) conflicts: i64,
    /// Rows that say nothing of money.
    pub(crate) skipped: i64,
    /// RFC 3339; the earliest and the latest time of a line.
    pub(crate) first_at: Option<String>,
    pub(crate) last_at: Option<String>,
    /// Who has sent it.
    pub(crate) who: String,
    /// RFC 3339.
    pub(crate) at: String,
}

/// What of a day is to be matched.
#[derive(Debug, Default)]
pub(crate) struct DayRows {
    pub(crate) ours: Vec<Ours>,
    pub(crate) lines: Vec<Line>,
}

/// Gateways' reports.
#[async_trait]
pub(crate) trait Reconciliations: Send + Sync {
    /// The reports of a merchant, the newest first, at most [`LISTED_MAX`]; of those with a line in the window, if there is one.
    async fn reports(&self, merchant: &MerchantId, window: Option<Window>) -> Result<Vec<ReportView>, StoreError>;

    /// Every attempt and line of the window, and those of other days that have to do with them: all attempts of the
    /// payments that they belong to, all lines that name one of those, and what else is said of a line of these. Only
    /// reports count that are wholly here.
    async fn day(&self, merchant: &MerchantId, window: Window) -> Result<DayRows, StoreError>;

    /// Stores a report with its lines, or finds the one that is the same; true if it is new. One at a time: see
    /// [`Reconciliations::reports_swept`].
    async fn report_insert(
        &self,
        now_ms: i64,
        new: &NewReport<'_>,
        entry: &Entry<'_>,
    ) -> Result<(ReportView, bool), StoreError>;

    /// Takes a report back that was given in by mistake: from now on nothing of it counts, and [`Reconciliations::reports_swept`] clears
    /// its lines away. None if there is no such report; else the names of later ones that shared lines with it before it was
    /// written down which report holds which line: they must be given in again, and count as new then.
    async fn report_withdrawn(&self, id: Uuid, entry: &Entry<'_>) -> Result<Option<Vec<String>>, StoreError>;

    /// Clears away what is not here: reports that were taken back, and those whose taking in was broken off. Never while one
    /// is taken in.
    async fn reports_swept(&self) -> Result<(), StoreError>;
}
