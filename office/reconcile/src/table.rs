//! A day, and other lists of money, as tables.

use crate::{
    line::Line,
    matching::{Day, Ours, Side, Totals, Why},
};
use wire::{Currency, Money};

/// What stands in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Words; anybody's.
    Text(String),
    /// An amount, without its currency, which has a column of its own.
    Money(Money),
    /// A number of things.
    Count(usize),
    /// Nothing.
    Empty,
}

/// A table with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// At most 31 characters: it is the name of a sheet.
    pub name: &'static str,
    /// The names of the columns.
    pub header: &'static [&'static str],
    /// As many cells as columns.
    pub rows: Vec<Vec<Cell>>,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text.to_owned()) }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }
}

/// Of a pair, or of one side of one.
const PAIR: &[&str] = &[
    "finding",
    "what",
    "sent_at",
    "account",
    "payment",
    "attempt",
    "currency",
    "ours",
    "theirs_currency",
    "theirs",
    "fee",
    "fee_currency",
    "reported_at",
    "gateway_names",
    "copies",
];

const SUMMARY: &[&str] = &["what", "currency", "amount", "count"];

/// The day in sheets: summary, matched, unmatched ours, unmatched theirs, unknowns, refunds, apart. `at` writes a time.
pub fn sheets(day: &Day, at: impl Fn(i64) -> String) -> Vec<Table> {
    let pairs = |rows: Vec<Vec<Cell>>, name| Table { name, header: PAIR, rows };
    let of = |finding: &'static str, list: &[(Ours, Line)]| -> Vec<Vec<Cell>> {
        list.iter().map(|(ours, line)| pair(finding, Some(ours), Some(line), &at)).collect()
    };
    let matched: Vec<_> =
        day.matched.iter().map(|(ours, line)| pair(matched_word(line), Some(ours), Some(line), &at)).collect();
    let mut unmatched = of("differs", &day.differs);
    unmatched.extend(of("contradicted", &day.contradicted));
    unmatched.extend(day.ours_only.iter().map(|ours| pair("ours_only", Some(ours), None, &at)));
    let theirs = day.theirs_only.iter().map(|(line, why)| pair(why_word(*why), None, Some(line), &at)).collect();
    let unknown = day.unknown.iter().map(|(ours, line)| pair(unknown_word(line), Some(ours), line.as_ref(), &at));
    let unknown: Vec<_> = unknown.collect();
    let refunds =
        [&matched, &unmatched, &unknown].into_iter().flatten().filter(|row| is_refund(row)).cloned().collect();
    let apart = day.apart.iter().map(|line| pair("apart", None, Some(line), &at)).collect();
    vec![
        Table { name: "summary", header: SUMMARY, rows: summary(day) },
        pairs(matched, "matched"),
        pairs(unmatched, "unmatched ours"),
        pairs(theirs, "unmatched theirs"),
        pairs(unknown, "unknowns"),
        pairs(refunds, "refunds"),
        pairs(apart, "apart"),
    ]
}

/// The same in one table, for programs: each finding once.
pub fn flat(day: &Day, at: impl Fn(i64) -> String) -> Table {
    let sheets = sheets(day, at);
    let wanted = |table: &Table| !matches!(table.name, "summary" | "refunds");
    let rows = sheets.into_iter().filter(wanted).flat_map(|table| table.rows).collect();
    Table { name: "reconciliation", header: PAIR, rows }
}

fn matched_word(line: &Line) -> &'static str {
    if line.copies > 1 { "matched_duplicate_line" } else { "matched" }
}

fn unknown_word(line: &Option<Line>) -> &'static str {
    if line.is_some() { "unknown_gateway_has_it" } else { "unknown" }
}

fn why_word(why: Why) -> &'static str {
    match why {
        Why::NotOurs => "theirs_only",
        Why::Again => "theirs_again",
        Why::Conflict => "theirs_conflict",
    }
}

fn is_refund(row: &[Cell]) -> bool {
    row.get(1) == Some(&Cell::Text("refund".to_owned()))
}

fn pair(finding: &str, ours: Option<&Ours>, line: Option<&Line>, at: impl Fn(i64) -> String) -> Vec<Cell> {
    let text = |text: Option<String>| text.map_or(Cell::Empty, Cell::from);
    let money = |money: Option<Money>| money.map_or(Cell::Empty, Cell::Money);
    let code = |money: Option<Money>| text(money.map(|money| money.currency.code().to_owned()));
    let (mine, theirs) = (ours.map(|ours| ours.money), line.map(|line| line.money));
    let fee = line.and_then(|line| line.fee);
    let names = line.map(|line| line.names.join(" ")).or_else(|| ours.map(|ours| ours.gateway_ref.clone()));
    vec![
        finding.into(),
        what(ours, line).into(),
        text(ours.map(|ours| at(ours.at_unix_ms))),
        text(ours.and_then(|ours| ours.account.clone())),
        text(ours.map(|ours| ours.payment.to_string())),
        text(ours.map(|ours| ours.attempt.to_string())),
        code(mine),
        money(mine),
        code(theirs),
        money(theirs),
        money(fee),
        code(fee),
        text(line.map(|line| at(line.at_unix_ms))),
        text(names),
        line.map_or(Cell::Empty, |line| Cell::Count(usize::try_from(line.copies).unwrap_or(usize::MAX))),
    ]
}

/// `charge`, `refund`, or the kind of a line apart.
fn what(ours: Option<&Ours>, line: Option<&Line>) -> &'static str {
    match (ours.and_then(|ours| ours.side), line) {
        (Some(Side::Taken), _) => "charge",
        (Some(Side::GivenBack), _) => "refund",
        (None, Some(line)) => line.kind.as_str(),
        (None, None) => "",
    }
}

fn summary(day: &Day) -> Vec<Vec<Cell>> {
    let count = |what: &str, count| vec![what.into(), Cell::Empty, Cell::Empty, Cell::Count(count)];
    let mut rows = vec![
        count("matched", day.matched.len()),
        count("amount differs", day.differs.len()),
        count("done there, not done here", day.contradicted.len()),
        count("unknown", day.unknown.len()),
        count("here only", day.ours_only.len()),
        count("there only", day.theirs_only.len()),
        count("apart (chargebacks, fees, payouts)", day.apart.len()),
    ];
    rows.extend(day.totals.iter().flat_map(|(currency, totals)| sums(*currency, totals)));
    rows
}

fn sums(currency: Currency, totals: &Totals) -> Vec<Vec<Cell>> {
    let row = |what: &str, minor| {
        vec![what.into(), currency.code().into(), Cell::Money(Money { minor, currency }), Cell::Empty]
    };
    vec![
        row("taken, ours", totals.ours_taken),
        row("taken, theirs", totals.theirs_taken),
        row("given back, ours", totals.ours_given_back),
        row("given back, theirs", totals.theirs_given_back),
        row("fees", totals.fees),
        row("chargebacks", totals.chargebacks),
    ]
}
