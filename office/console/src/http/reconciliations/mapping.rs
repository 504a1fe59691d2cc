//! Which report is sent, and for any CSV, which of its columns say what.

use crate::http::problem::Problem;
use reconcile::{
    Format,
    report::{Columns, Dates, Decimal, FeeSign},
};
use serde::Deserialize;
use wire::text_pan_like;

/// The longest name of a file or column.
const NAME_CHARS_MAX: usize = 100;
/// The longest name of a source.
const SOURCE_CHARS_MAX: usize = 64;
/// The most words that mean one thing.
const WORDS_MAX: usize = 20;

/// What is sent. All but the first four are for `format=columns`: names of columns, as the header has them, and how they
/// are to be read.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UploadQuery {
    /// `stripe`, `adyen`, `sandbox` or `columns`.
    format: String,
    /// As the file is called.
    name: Option<String>,
    /// The account at the gateway or bank that it is from, such as `barclays-gbp`: a line counts once within it. Must be there
    /// with `columns`; without it, the format.
    source: Option<String>,
    /// The one that payments are taken for, without it.
    pub(super) merchant: Option<String>,
    /// The gateway's id of a line; without it a line is told by what it says.
    id: Option<String>,
    /// The gateway's name of the payment, or ours.
    reference: Option<String>,
    /// A second one.
    reference2: Option<String>,
    /// The amount; below zero: given back.
    amount: Option<String>,
    /// The currency.
    currency_column: Option<String>,
    /// ISO 4217, where no column says it.
    currency: Option<String>,
    /// The time or date; in the time zone of the house if it names none.
    at: Option<String>,
    /// What a line is. A word that is in none of the lists below, and none of `charge`, `refund`, `refund_reversed`,
    /// `chargeback`, `chargeback_reversed`, `fee`, `payout` and `other`, refuses the report.
    kind: Option<String>,
    /// Words of that column that mean a charge, with commas between them.
    charge_words: Option<String>,
    /// Words of that column that mean a refund, with commas between them.
    refund_words: Option<String>,
    /// The same of chargebacks.
    chargeback_words: Option<String>,
    /// The same of fees.
    fee_words: Option<String>,
    /// The same for what is none of these, such as a payout.
    other_words: Option<String>,
    /// How a fee that the gateway keeps is written: `plus` or `minus`. Must be there with `fee_words`.
    fee_sign: Option<String>,
    /// What the gateway keeps.
    fee: Option<String>,
    /// `point` (without it) or `comma`.
    decimal: Option<String>,
    /// `major` (without it) or `minor`.
    unit: Option<String>,
    /// `ymd` (without it), `dmy` or `mdy`.
    dates: Option<String>,
}

pub(super) fn bad_query(detail: &'static str) -> Problem {
    Problem::unprocessable("bad_query", detail)
}

impl UploadQuery {
    pub(super) fn format(&self) -> Result<Format, Problem> {
        match self.format.as_str() {
            "stripe" => Ok(Format::Stripe),
            "adyen" => Ok(Format::Adyen),
            "sandbox" => Ok(Format::Sandbox),
            "columns" => Ok(Format::Columns(Box::new(self.columns()?))),
            _ => Err(bad_query("`format` is one of stripe, adyen, sandbox and columns.")),
        }
    }

    /// The file's, or that there was none.
    pub(super) fn name(&self) -> Result<String, Problem> {
        let name = self.name.as_deref().map_or("report.csv", str::trim);
        let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        match fits {
            true if text_pan_like(name) => Err(Problem::LOOKS_LIKE_CARD),
            true => Ok(name.to_owned()),
            false => Err(bad_query("`name` has 1 to 100 printable characters.")),
        }
    }

    /// Whose lines count once together.
    pub(super) fn source(&self) -> Result<String, Problem> {
        let expected = "`source` names the account at the gateway or bank, such as barclays-gbp: 1 to 64 characters, the same \
                        for each of its reports. With `columns` it must be there, because two banks may give one name to two \
                        lines.";
        match self.source.as_deref().map(str::trim).filter(|source| !source.is_empty()) {
            None if self.format == "columns" => Err(bad_query(expected)),
            None => Ok(self.format.clone()),
            Some(source) if text_pan_like(source) => Err(Problem::LOOKS_LIKE_CARD),
            Some(source) if source.chars().count() > SOURCE_CHARS_MAX || source.chars().any(char::is_control) => {
                Err(bad_query(expected))
            }
            Some(source) => Ok(source.to_owned()),
        }
    }

    fn columns(&self) -> Result<Columns, Problem> {
        let need = |name: &Option<String>| {
            let missing = "With `columns`, `reference`, `amount` and `at` name columns of the report.";
            name.clone().filter(|name| !name.trim().is_empty()).ok_or(bad_query(missing))
        };
        let currency = self.currency.as_deref().map(str::parse).transpose();
        let currency = currency.map_err(|_| bad_query("`currency` is a code of ISO 4217, such as GBP."))?;
        if currency.is_none() && self.currency_column.is_none() {
            return Err(bad_query("Name the `currency`, or the `currency_column` that says it."));
        }
        Ok(Columns {
            id: self.id.clone(),
            reference: need(&self.reference)?,
            reference2: self.reference2.clone(),
            amount: need(&self.amount)?,
            currency_column: self.currency_column.clone(),
            currency,
            at: need(&self.at)?,
            kind: self.kind.clone(),
            charge_words: words(&self.charge_words),
            refund_words: words(&self.refund_words),
            chargeback_words: words(&self.chargeback_words),
            fee_words: words(&self.fee_words),
            other_words: words(&self.other_words),
            fee_sign: self.fee_sign()?,
            fee: self.fee.clone(),
            decimal: self.decimal()?,
            minor_units: self.minor_units()?,
            dates: self.dates()?,
        })
    }

    fn decimal(&self) -> Result<Decimal, Problem> {
        match self.decimal.as_deref() {
            None | Some("point") => Ok(Decimal::Point),
            Some("comma") => Ok(Decimal::Comma),
            Some(_) => Err(bad_query("`decimal` is point or comma.")),
        }
    }

    fn fee_sign(&self) -> Result<FeeSign, Problem> {
        match (self.fee_sign.as_deref(), &self.fee_words) {
            (Some("plus"), _) | (None, None) => Ok(FeeSign::Plus),
            (Some("minus"), _) => Ok(FeeSign::Minus),
            _ => Err(bad_query(
                "`fee_sign` is plus or minus: how a fee that is kept is written. Say it with `fee_words`.",
            )),
        }
    }

    fn minor_units(&self) -> Result<bool, Problem> {
        match self.unit.as_deref() {
            None | Some("major") => Ok(false),
            Some("minor") => Ok(true),
            Some(_) => Err(bad_query("`unit` is major or minor.")),
        }
    }

    fn dates(&self) -> Result<Dates, Problem> {
        match self.dates.as_deref() {
            None | Some("ymd") => Ok(Dates::YearFirst),
            Some("dmy") => Ok(Dates::DayFirst),
            Some("mdy") => Ok(Dates::MonthFirst),
            Some(_) => Err(bad_query("`dates` is ymd, dmy or mdy.")),
        }
    }
}

fn words(text: &Option<String>) -> Vec<String> {
    let words = text.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|word| !word.is_empty());
    words.take(WORDS_MAX).map(str::to_owned).collect()
}
