//! Any CSV, by the names of its columns: for gateways behind a pay connector, and for banks.

use super::{
    Gathered, Report, ReportError,
    amount::Decimal,
    sheet::{Column, Row, Sheet, sorted},
    time::{self, Dates},
};
use crate::line::{Line, LineKind};
use jiff::tz::TimeZone;
use wire::{Currency, Money};

const HINT: &str = "Name it as its header does.";
/// The longest word for a kind that a refusal repeats.
const KIND_CHARS_MAX: usize = 40;

/// Which column says what, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The column with the gateway's own id of a line; without it a line is told by what it says.
    pub id: Option<String>,
    /// The column with the gateway's name of the payment, or ours.
    pub reference: String,
    /// A second column of that kind.
    pub reference2: Option<String>,
    /// The column with the amount.
    pub amount: String,
    /// The column with the currency.
    pub currency_column: Option<String>,
    /// The currency of all lines, where no column says it.
    pub currency: Option<Currency>,
    /// The column with the time or the date.
    pub at: String,
    /// The column that says what a line is. Without it an amount below zero was given back.
    pub kind: Option<String>,
    /// The words of that column that mean a charge; below zero it was given back. A word that is in none of these lists and
    /// none of ours ([`LineKind::as_str`]) refuses the report: money would be counted as what it is not.
    pub charge_words: Vec<String>,
    /// The words that mean a refund.
    pub refund_words: Vec<String>,
    /// The words that mean a chargeback.
    pub chargeback_words: Vec<String>,
    /// The words that mean a fee.
    pub fee_words: Vec<String>,
    /// The words that mean what is none of these, such as a payout.
    pub other_words: Vec<String>,
    /// How a fee that the gateway keeps is written, in a line or in the column `fee`.
    pub fee_sign: FeeSign,
    /// The column with what the gateway keeps.
    pub fee: Option<String>,
    /// What stands before the decimals.
    pub decimal: Decimal,
    /// The amounts are in minor units.
    pub minor_units: bool,
    /// The order of a date's parts.
    pub dates: Dates,
}

/// How a fee that the gateway keeps is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeeSign {
    /// Above zero.
    #[default]
    Plus,
    /// Below zero, as it changes the merchant's balance.
    Minus,
}

impl FeeSign {
    fn kept(self, minor: i64) -> i64 {
        if self == Self::Minus { minor.saturating_neg() } else { minor }
    }
}

struct Found {
    id: Option<Column>,
    reference: Column,
    reference2: Option<Column>,
    amount: Column,
    currency: Option<Column>,
    at: Column,
    kind: Option<Column>,
    fee: Option<Column>,
}

impl Found {
    fn of(sheet: &Sheet, columns: &Columns) -> Result<Self, ReportError> {
        let need = |name, wanted: &str| sheet.need(name, &[wanted], HINT);
        let find = |name, wanted: &Option<String>| wanted.as_deref().map(|wanted| need(name, wanted)).transpose();
        Ok(Self {
            id: find("id", &columns.id)?,
            reference: need("reference", &columns.reference)?,
            reference2: find("reference2", &columns.reference2)?,
            amount: need("amount", &columns.amount)?,
            currency: find("currency_column", &columns.currency_column)?,
            at: need("at", &columns.at)?,
            kind: find("kind", &columns.kind)?,
            fee: find("fee", &columns.fee)?,
        })
    }

    fn kind_of(&self, row: Row<'_>, minor: i64, columns: &Columns) -> Result<LineKind, ReportError> {
        let word = self.kind.map(|column| row.text(column));
        match word.map_or(Some(LineKind::Charge), |word| columns.kind_of(word)) {
            Some(LineKind::Charge) if minor < 0 => Ok(LineKind::Refund),
            Some(kind) => Ok(kind),
            None => Err(ReportError::UnknownKind { row: row.number, word: shown(word.unwrap_or_default()) }),
        }
    }

    fn line(&self, row: Row<'_>, columns: &Columns, zone: &TimeZone) -> Result<Option<Line>, ReportError> {
        if row.text(self.amount).is_empty() {
            return Ok(None);
        }
        let currency = match (self.currency, columns.currency) {
            (Some(column), _) => row.currency(column)?,
            (None, Some(currency)) => currency,
            (None, None) => return Err(row.bad(self.amount, "of a known currency: name its column, or the currency")),
        };
        let minor = money(row, self.amount, currency, columns)?;
        let fee = self.fee.filter(|fee| !row.text(*fee).is_empty());
        let fee = fee.map(|column| money(row, column, currency, columns)).transpose()?;
        let at = time::unix_ms(row.text(self.at), columns.dates, zone);
        let at_unix_ms = at.ok_or_else(|| row.bad(self.at, "a date in the order that you have named"))?;
        let kind = self.kind_of(row, minor, columns)?;
        let own = row.name(self.id)?;
        let named = [row.name(self.reference)?, row.name(self.reference2)?];
        let said = [row.text(self.reference), row.text(self.reference2), kind.as_str(), currency.code()].join("|");
        let key = own.clone().unwrap_or_else(|| format!("{said}|{minor}|{at_unix_ms}"));
        let (names, attempts) = sorted(named.into_iter().chain([own]));
        let signed = match kind {
            LineKind::Fee => columns.fee_sign.kept(minor),
            LineKind::Other => minor,
            _ => minor.saturating_abs(),
        };
        let money = Money { minor: signed, currency };
        let kept = |minor| Money { minor: columns.fee_sign.kept(minor), currency };
        let fee = fee.filter(|fee| *fee != 0).map(kept);
        let source = String::new();
        Ok(Some(Line { source, key, kind, names, attempts, money, fee, at_unix_ms, copies: 1 }))
    }
}

fn money(row: Row<'_>, column: Column, currency: Currency, columns: &Columns) -> Result<i64, ReportError> {
    if columns.minor_units {
        return row.text(column).parse().map_err(|_| row.bad(column, "a whole number of minor units"));
    }
    row.minor(column, currency, columns.decimal)
}

impl Columns {
    fn kind_of(&self, word: &str) -> Option<LineKind> {
        let lists = [
            (&self.charge_words, LineKind::Charge),
            (&self.refund_words, LineKind::Refund),
            (&self.chargeback_words, LineKind::Chargeback),
            (&self.fee_words, LineKind::Fee),
            (&self.other_words, LineKind::Other),
        ];
        let has = |words: &[String]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
        let named = lists.into_iter().find(|(words, _)| has(words)).map(|(_, kind)| kind);
        named.or_else(|| LineKind::from_name(&word.to_ascii_lowercase()))
    }
}

/// A word of the column that says what a line is; nothing of what may be more than a word.
fn shown(word: &str) -> String {
    let is_word = word.chars().count() <= KIND_CHARS_MAX && !word.chars().any(|c| c.is_control() || c.is_numeric());
    if is_word { format!("\"{word}\"") } else { "something longer than a word, or with digits".to_owned() }
}

pub(super) fn read(sheet: &Sheet, columns: &Columns, zone: &TimeZone) -> Result<Report, ReportError> {
    let found = Found::of(sheet, columns)?;
    let mut gathered = Gathered::default();
    for row in sheet.rows() {
        match found.line(row, columns, zone)? {
            Some(line) => gathered.add(row.number, line)?,
            None => gathered.skipped += 1,
        }
    }
    Ok(gathered.end())
}
