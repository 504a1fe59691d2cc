//! A day as it is shown.

use crate::{clock::rfc3339, store::reconciliations::ReportView, view::schema};
use jiff::civil::Date;
use reconcile::{Day, Line, Ours, Side, Totals, Why};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{Currency, MerchantId, Money};

/// The most of each kind that are shown; an export has all.
const SHOWN_MAX: usize = 500;

/// One day of a merchant's money.
#[derive(Serialize, ToSchema)]
pub(crate) struct DayView {
    /// `2026-11-26`
    day: String,
    merchant: String,
    /// The time zone that the day is counted in.
    time_zone: String,
    /// Is everything the same here and there, and known?
    clean: bool,
    counts: Counts,
    /// By currency.
    totals: Vec<TotalsView>,
    /// The reports with lines around this day.
    reports: Vec<ReportView>,
    /// The same here and there. Of this and every other list at most 500.
    matched: Vec<PairView>,
    /// Another amount or currency there.
    differs: Vec<PairView>,
    /// Done there, and not done by what is written here.
    contradicted: Vec<PairView>,
    /// Not known here; with what the gateway says, if it does.
    unknown: Vec<PairView>,
    /// Done here, and in no report.
    ours_only: Vec<PairView>,
    /// In a report, and nothing here, or matched already, or told otherwise by another report (`why`).
    theirs_only: Vec<PairView>,
    /// Chargebacks, fees, payouts.
    apart: Vec<PairView>,
}

/// How many there are of each.
#[derive(Serialize, ToSchema)]
pub(crate) struct Counts {
    matched: usize,
    differs: usize,
    contradicted: usize,
    unknown: usize,
    ours_only: usize,
    theirs_only: usize,
    apart: usize,
    /// Of all findings, those that are refunds.
    refunds: usize,
    /// Matched lines that stand in a report more than once.
    duplicates: usize,
    /// Lines that say something else than another line of the same source and name.
    conflicts: usize,
}

/// Sums of one currency.
#[derive(Serialize, ToSchema)]
pub(crate) struct TotalsView {
    #[schema(value_type = schema::Money)]
    ours_taken: Money,
    #[schema(value_type = schema::Money)]
    theirs_taken: Money,
    #[schema(value_type = schema::Money)]
    ours_given_back: Money,
    #[schema(value_type = schema::Money)]
    theirs_given_back: Money,
    #[schema(value_type = schema::Money)]
    fees: Money,
    #[schema(value_type = schema::Money)]
    chargebacks: Money,
}

/// An attempt and a line, or one of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct PairView {
    /// `charge`, `refund`, or what a line is.
    what: &'static str,
    ours: Option<OursView>,
    theirs: Option<LineView>,
    /// `not_ours`, `again` or `conflict`, of a line that has no attempt.
    why: Option<&'static str>,
}

/// An attempt.
#[derive(Serialize, ToSchema)]
pub(crate) struct OursView {
    /// UUID.
    payment: String,
    /// UUID.
    attempt: String,
    /// What it does, as among a payment's attempts.
    kind: &'static str,
    #[schema(value_type = schema::Money)]
    money: Money,
    /// RFC 3339.
    sent_at: String,
    account: Option<String>,
    gateway_ref: String,
}

/// A line of a report.
#[derive(Serialize, ToSchema)]
pub(crate) struct LineView {
    #[schema(value_type = schema::Money)]
    money: Money,
    #[schema(value_type = Option<schema::Money>)]
    fee: Option<Money>,
    /// The account at the gateway or bank that it is from, as its report was given in.
    source: String,
    /// RFC 3339.
    at: String,
    /// The gateway's names.
    names: Vec<String>,
    /// How often it stands in one report.
    copies: u32,
}

impl DayView {
    pub(super) fn new(day: Date, merchant: &MerchantId, zone: &str, reports: Vec<ReportView>, told: &Day) -> Self {
        let both = |(ours, line): &(Ours, Line)| pair(Some(ours), Some(line), None);
        let alone = |(line, why): &(Line, Why)| pair(None, Some(line), Some(*why));
        Self {
            day: day.to_string(),
            merchant: merchant.as_str().to_owned(),
            time_zone: zone.to_owned(),
            clean: told.is_clean(),
            counts: counts(told),
            totals: told.totals.iter().map(|(currency, totals)| sums(*currency, totals)).collect(),
            reports,
            matched: shown(&told.matched, both),
            differs: shown(&told.differs, both),
            contradicted: shown(&told.contradicted, both),
            unknown: shown(&told.unknown, |(ours, line)| pair(Some(ours), line.as_ref(), None)),
            ours_only: shown(&told.ours_only, |ours| pair(Some(ours), None, None)),
            theirs_only: shown(&told.theirs_only, alone),
            apart: shown(&told.apart, |line| pair(None, Some(line), None)),
        }
    }
}

fn shown<T>(all: &[T], view: impl Fn(&T) -> PairView) -> Vec<PairView> {
    all.iter().take(SHOWN_MAX).map(view).collect()
}

fn counts(told: &Day) -> Counts {
    let pairs = told.matched.iter().chain(&told.differs).chain(&told.contradicted).map(|(ours, _)| ours);
    let ours = pairs.chain(told.unknown.iter().map(|(ours, _)| ours)).chain(&told.ours_only);
    let alone = told.theirs_only.iter().filter(|(line, _)| line.kind == reconcile::LineKind::Refund).count();
    Counts {
        matched: told.matched.len(),
        differs: told.differs.len(),
        contradicted: told.contradicted.len(),
        unknown: told.unknown.len(),
        ours_only: told.ours_only.len(),
        theirs_only: told.theirs_only.len(),
        apart: told.apart.len(),
        refunds: ours.filter(|ours| ours.side == Some(Side::GivenBack)).count() + alone,
        duplicates: told.matched.iter().filter(|(_, line)| line.copies > 1).count(),
        conflicts: told.theirs_only.iter().filter(|(_, why)| *why == Why::Conflict).count(),
    }
}

fn sums(currency: Currency, totals: &Totals) -> TotalsView {
    let money = |minor| Money { minor, currency };
    TotalsView {
        ours_taken: money(totals.ours_taken),
        theirs_taken: money(totals.theirs_taken),
        ours_given_back: money(totals.ours_given_back),
        theirs_given_back: money(totals.theirs_given_back),
        fees: money(totals.fees),
        chargebacks: money(totals.chargebacks),
    }
}

fn pair(ours: Option<&Ours>, line: Option<&Line>, why: Option<Why>) -> PairView {
    let what = match (ours.and_then(|ours| ours.side), line) {
        (Some(Side::GivenBack), _) => "refund",
        (Some(Side::Taken), _) => "charge",
        (None, line) => line.map_or("", |line| line.kind.as_str()),
    };
    let why = why.map(|why| match why {
        Why::NotOurs => "not_ours",
        Why::Again => "again",
        Why::Conflict => "conflict",
    });
    PairView { what, ours: ours.map(ours_view), theirs: line.map(line_view), why }
}

fn ours_view(ours: &Ours) -> OursView {
    OursView {
        payment: ours.payment.to_string(),
        attempt: ours.attempt.to_string(),
        kind: ours.kind.as_str(),
        money: ours.money,
        sent_at: rfc3339(ours.at_unix_ms),
        account: ours.account.clone(),
        gateway_ref: ours.gateway_ref.clone(),
    }
}

fn line_view(line: &Line) -> LineView {
    let (source, names) = (line.source.clone(), line.names.clone());
    LineView { money: line.money, fee: line.fee, source, at: rfc3339(line.at_unix_ms), names, copies: line.copies }
}
