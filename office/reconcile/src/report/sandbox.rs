//! The sandbox acquirer's statement: `GET /v1/statement.csv` of `tonewall lab acquirer`.

use super::{
    Gathered, Report, ReportError,
    amount::Decimal,
    sheet::{Sheet, sorted},
};
use crate::line::{Line, LineKind};
use wire::Money;

const HINT: &str = "The sandbox gives it at `/v1/statement.csv`.";

pub(super) fn read(sheet: &Sheet) -> Result<Report, ReportError> {
    let need = |name| sheet.need(name, &[name], HINT);
    let (id, kind, reference, of) = (need("id")?, need("kind")?, need("reference")?, need("of")?);
    let (amount, currency, at) = (need("amount")?, need("currency")?, need("at_unix_ms")?);
    let mut gathered = Gathered::default();
    for row in sheet.rows() {
        let currency = row.currency(currency)?;
        let key = row.name(id)?.ok_or_else(|| row.bad(id, "the id of a movement"))?;
        let word = row.text(kind);
        // A capture is when the money of a reservation is taken.
        let known = if word == "capture" { Some(LineKind::Charge) } else { LineKind::from_name(word) };
        let when = row.text(at).parse().ok();
        let (names, attempts) = sorted([row.name(reference)?, Some(key.clone()), row.name(of)?]);
        let known = known.ok_or_else(|| row.bad(kind, "a kind of movement"))?;
        let line = Line {
            source: String::new(),
            key,
            kind: known,
            names,
            attempts,
            // Its amounts have no direction.
            money: Money { minor: row.minor(amount, currency, Decimal::Point)?.saturating_abs(), currency },
            fee: None,
            at_unix_ms: when.ok_or_else(|| row.bad(at, "a time in Unix milliseconds"))?,
            copies: 1,
        };
        gathered.add(row.number, line)?;
    }
    Ok(gathered.end())
}
