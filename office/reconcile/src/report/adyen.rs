//! Adyen: the *Settlement details report*
//! (<https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report>). What a line is
//! stands in its `Type` (journal types); the amount stands in `Gross Debit (GC)` or `Gross Credit (GC)`, and in which of them
//! is not the same in all of Adyen's own samples, so that only the type tells the direction.
//!
//! `Merchant Reference` is the attempt that asked for the money, `Modification Merchant Reference` the one that captured it or
//! gave it back.

use super::{
    Gathered, Report, ReportError,
    amount::Decimal,
    sheet::{Column, Row, Sheet, sorted},
    time,
};
use crate::line::{Line, LineKind};
use wire::{Currency, Money};

const HINT: &str = "Adyen's is called `Settlement details report`.";

struct Columns {
    psp: Column,
    merchant: Column,
    created: Column,
    zone: Column,
    kind: Column,
    modification: Column,
    currency: Column,
    debit: Column,
    credit: Column,
    net_currency: Option<Column>,
    net: [Option<Column>; 2],
    fees: Vec<Column>,
    modified: Option<Column>,
}

impl Columns {
    fn of(sheet: &Sheet) -> Result<Self, ReportError> {
        let need = |name| sheet.need(name, &[name], HINT);
        let find = |name| sheet.find(name, &[name]);
        let fees =
            [find("Commission (NC)")?, find("Markup (NC)")?, find("Scheme Fees (NC)")?, find("Interchange (NC)")?];
        Ok(Self {
            psp: need("Psp Reference")?,
            merchant: need("Merchant Reference")?,
            created: need("Creation Date")?,
            zone: need("TimeZone")?,
            kind: need("Type")?,
            modification: need("Modification Reference")?,
            currency: need("Gross Currency")?,
            debit: need("Gross Debit (GC)")?,
            credit: need("Gross Credit (GC)")?,
            net_currency: find("Net Currency")?,
            net: [find("Net Debit (NC)")?, find("Net Credit (NC)")?],
            fees: fees.into_iter().flatten().collect(),
            modified: find("Modification Merchant Reference")?,
        })
    }

    /// None of a row that moves nothing of a cardholder's currency and is no fee, such as a payout in the net columns only.
    fn line(&self, row: Row<'_>) -> Result<Option<Line>, ReportError> {
        let word = row.name(self.kind)?.unwrap_or_default();
        let kind = kind(&word);
        let Some(money) = self.money(row, kind)? else { return Ok(None) };
        let zone = time::abbreviated(row.text(self.zone));
        let zone = zone.ok_or_else(|| row.bad(self.zone, "a known time zone such as CET; set the account's to UTC"))?;
        let at = time::unix_ms(row.text(self.created), time::Dates::YearFirst, &zone);
        let at_unix_ms = at.ok_or_else(|| row.bad(self.created, "a time such as 2026-11-26 08:30:00"))?;
        let named =
            [row.name(self.modified)?, row.name(self.merchant)?, row.name(self.modification)?, row.name(self.psp)?];
        let minor = money.minor.to_string();
        let key = [row.text(self.psp), row.text(self.modification), &word, money.currency.code(), &minor].join("|");
        let (names, attempts) = sorted(named);
        Ok(Some(Line {
            source: String::new(),
            key: format!("{key}|{at_unix_ms}"),
            kind,
            names,
            attempts,
            money,
            fee: self.fee(row)?,
            at_unix_ms,
            copies: 1,
        }))
    }

    /// What was debited left the merchant, what was credited came. A fee has no gross amount, only a net one.
    fn money(&self, row: Row<'_>, kind: LineKind) -> Result<Option<Money>, ReportError> {
        let net = (self.net_currency, self.net, true);
        let places = [(Some(self.currency), [Some(self.debit), Some(self.credit)], false), net];
        for (currency, columns, is_net) in places.into_iter().filter(|(.., is_net)| !is_net || kind == LineKind::Fee) {
            let there = |column: &Column| !row.text(*column).is_empty();
            let Some(currency) = currency.filter(there) else { continue };
            for (column, leaves) in columns.into_iter().zip([true, false]) {
                let Some(column) = column.filter(there) else { continue };
                let currency = row.currency(currency)?;
                let minor = if is_net {
                    fee_minor(row, column, currency)?
                } else {
                    row.minor(column, currency, Decimal::Point)?
                };
                let change = if leaves { minor.saturating_neg() } else { minor };
                return Ok(Some(Money { minor: kind.minor_of(change), currency }));
            }
        }
        Ok(None)
    }

    /// Commission, or what it is made of under interchange++.
    fn fee(&self, row: Row<'_>) -> Result<Option<Money>, ReportError> {
        let Some(net) = self.net_currency.filter(|net| !row.text(*net).is_empty()) else { return Ok(None) };
        let currency = row.currency(net)?;
        let mut sum = 0_i64;
        for column in self.fees.iter().filter(|column| !row.text(**column).is_empty()) {
            sum = sum.saturating_add(fee_minor(row, *column, currency)?);
        }
        Ok((sum != 0).then_some(Money { minor: sum, currency }))
    }
}

/// Parts of a fee may be fractions of a minor unit; what is below one is left out.
fn fee_minor(row: Row<'_>, column: Column, currency: Currency) -> Result<i64, ReportError> {
    let decimals = usize::try_from(currency.decimals()).unwrap_or(0);
    let text = row.text(column);
    let cut = match text.split_once('.') {
        Some((whole, fraction)) => format!("{whole}.{}", fraction.get(..decimals).unwrap_or(fraction)),
        None => text.to_owned(),
    };
    let expected = "an amount";
    super::amount::minor(&cut, currency, Decimal::Point).ok_or_else(|| row.bad(column, expected))
}

/// Journal types (<https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report>).
fn kind(word: &str) -> LineKind {
    match word {
        "Settled" | "SettledInInstallments" | "SettledExternallyWithInfo" => LineKind::Charge,
        "Refunded" | "RefundedExternallyWithInfo" => LineKind::Refund,
        "RefundedReversed" => LineKind::RefundReversed,
        "Chargeback" | "SecondChargeback" | "ChargebackExternallyWithInfo" => LineKind::Chargeback,
        "ChargebackReversed" | "ChargebackReversedExternallyWithInfo" => LineKind::ChargebackReversed,
        "Fee" | "MiscCosts" | "PaymentCost" | "InvoiceDeduction" => LineKind::Fee,
        "MerchantPayout" | "AcquirerPayout" | "PaidOut" | "PaidOutReversed" => LineKind::Payout,
        _ => LineKind::Other,
    }
}

pub(super) fn read(sheet: &Sheet) -> Result<Report, ReportError> {
    let columns = Columns::of(sheet)?;
    let mut gathered = Gathered::default();
    for row in sheet.rows() {
        match columns.line(row)? {
            Some(line) => gathered.add(row.number, line)?,
            None => gathered.skipped += 1,
        }
    }
    Ok(gathered.end())
}
