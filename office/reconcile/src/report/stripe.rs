//! Stripe: the itemized report *Balance change from activity* (`balance_change_from_activity.itemized.*`,
//! <https://docs.stripe.com/reports/report-types/balance-change-from-activity>) and the CSV that the dashboard exports of its
//! balance history, which has the same under other names. Amounts are in units of the currency, times in UTC.
//!
//! `payment_metadata[tonewall_attempt]` and `refund_metadata[tonewall_attempt]` may be added to the report's columns; without
//! them a line is known by the names of its PaymentIntent, charge or refund.

use super::{
    Gathered, Report, ReportError,
    amount::Decimal,
    sheet::{Column, Row, Sheet, sorted},
    time,
};
use crate::line::{Line, LineKind};
use jiff::tz::TimeZone;
use wire::Money;

const HINT: &str = "Stripe's is called `Balance change from activity`, itemized.";

struct Columns {
    id: Column,
    created: Column,
    currency: Column,
    gross: Column,
    fee: Column,
    category: Column,
    source: Column,
    facing: Option<(Column, Column)>,
    names: Vec<Column>,
    attempts: Vec<Column>,
}

impl Columns {
    fn of(sheet: &Sheet) -> Result<Self, ReportError> {
        let find = |name| sheet.find(name, &[name]);
        let amount = sheet.find("customer_facing_amount", &["customer_facing_amount", "Customer Facing Amount"])?;
        let currency =
            sheet.find("customer_facing_currency", &["customer_facing_currency", "Customer Facing Currency"])?;
        let attempts = [
            find("refund_metadata[tonewall_attempt]")?,
            find("payment_metadata[tonewall_attempt]")?,
            sheet.find("tonewall_attempt (metadata)", &["tonewall_attempt (metadata)"])?,
        ];
        Ok(Self {
            id: sheet.need("balance_transaction_id", &["balance_transaction_id", "id"], HINT)?,
            created: sheet.need("created_utc", &["created_utc", "Created (UTC)"], HINT)?,
            currency: sheet.need("currency", &["currency"], HINT)?,
            gross: sheet.need("gross", &["gross", "Amount"], HINT)?,
            fee: sheet.need("fee", &["fee"], HINT)?,
            category: sheet.need("reporting_category", &["reporting_category", "Type"], HINT)?,
            source: sheet.need("source_id", &["source_id", "Source"], HINT)?,
            facing: amount.zip(currency),
            names: [find("charge_id")?, find("payment_intent_id")?].into_iter().flatten().collect(),
            attempts: attempts.into_iter().flatten().collect(),
        })
    }

    fn line(&self, row: Row<'_>) -> Result<Line, ReportError> {
        let settled = row.currency(self.currency)?;
        let gross = row.minor(self.gross, settled, Decimal::Point)?;
        let fee = row.minor(self.fee, settled, Decimal::Point)?;
        let money = match self.facing.filter(|(_, currency)| !row.text(*currency).is_empty()) {
            Some((amount, currency)) => {
                let currency = row.currency(currency)?;
                Money { minor: row.minor(amount, currency, Decimal::Point)?, currency }
            }
            None => Money { minor: gross, currency: settled },
        };
        let kind = kind(row.text(self.category));
        let created = time::unix_ms(row.text(self.created), time::Dates::YearFirst, &TimeZone::UTC);
        let names = self.names.iter().map(|column| row.name(*column));
        let attempts = self.attempts.iter().map(|column| row.name(*column));
        let all = [row.name(self.source)].into_iter().chain(names).chain(attempts);
        let (names, attempts) = sorted(all.collect::<Result<Vec<_>, _>>()?);
        Ok(Line {
            source: String::new(),
            key: row.name(self.id)?.ok_or_else(|| row.bad(self.id, "the id of a balance transaction"))?,
            kind,
            names,
            attempts,
            money: Money { minor: kind.minor_of(money.minor), ..money },
            fee: (fee != 0).then_some(Money { minor: fee, currency: settled }),
            at_unix_ms: created.ok_or_else(|| row.bad(self.created, "a time such as 2026-11-26 08:30:00"))?,
            copies: 1,
        })
    }
}

/// Reporting categories (<https://docs.stripe.com/reports/reporting-categories>), and the types that the dashboard's export
/// has instead (<https://docs.stripe.com/reports/balance-transaction-types>).
fn kind(word: &str) -> LineKind {
    match word {
        "charge" | "payment" => LineKind::Charge,
        "refund" | "payment_refund" => LineKind::Refund,
        "refund_failure" | "payment_failure_refund" => LineKind::RefundReversed,
        "dispute" => LineKind::Chargeback,
        "dispute_reversal" => LineKind::ChargebackReversed,
        "fee" | "stripe_fee" | "tax_fee" | "network_cost" => LineKind::Fee,
        "payout" | "payout_reversal" => LineKind::Payout,
        _ => LineKind::Other,
    }
}

pub(super) fn read(sheet: &Sheet) -> Result<Report, ReportError> {
    let columns = Columns::of(sheet)?;
    let mut gathered = Gathered::default();
    for row in sheet.rows() {
        gathered.add(row.number, columns.line(row)?)?;
    }
    Ok(gathered.end())
}
