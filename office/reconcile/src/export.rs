//! Tables as CSV (RFC 4180).

use crate::table::{Cell, Table};
use wire::Money;

/// A table as CSV. A text that a spreadsheet would take for a formula begins with an apostrophe
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
pub fn csv(table: &Table) -> String {
    let header = table.header.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",");
    let mut text = format!("{header}\r\n");
    for row in &table.rows {
        text.push_str(&row.iter().map(field).collect::<Vec<_>>().join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell as a field of a CSV.
pub fn field(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => quoted(&format!("'{text}")),
        Cell::Text(text) => quoted(text),
        Cell::Money(money) => decimal(*money),
        Cell::Count(count) => count.to_string(),
        Cell::Empty => String::new(),
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', ';', '\t', '\r', '\n']) || text.trim() != text {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// An amount without its currency: `42.00`.
pub fn decimal(money: Money) -> String {
    let text = money.to_string();
    text.split(' ').next().unwrap_or_default().to_owned()
}
