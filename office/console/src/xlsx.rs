//! Tables as a workbook (Office Open XML).

use reconcile::{
    export::{decimal, field},
    table::{Cell, Table},
};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

/// Widths of a column, in characters.
const WIDTH_MIN: usize = 10;
const WIDTH_MAX: usize = 40;
/// A fixed one, so that the same tables are the same file.
const MADE: &str = "2000-01-01T00:00:00";
/// Excel's numbers have 15 digits; an amount with more is written as a text rather than rounded.
const DIGITS_MAX: u64 = 1_000_000_000_000_000;

/// Tables as the sheets of one workbook. Texts are written as texts, so that none of them is a formula.
pub(crate) fn xlsx(tables: &[Table]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    book.set_properties(&DocProperties::new().set_creation_datetime(&ExcelDateTime::parse_from_str(MADE)?));
    for table in tables {
        let mut sheet = Worksheet::new();
        sheet.set_name(table.name)?;
        fill(&mut sheet, table)?;
        book.push_worksheet(sheet);
    }
    book.save_to_buffer()
}

fn fill(sheet: &mut Worksheet, table: &Table) -> Result<(), XlsxError> {
    let head = Format::new().set_bold();
    for (column, name) in (0_u16..).zip(table.header) {
        sheet.write_string_with_format(0, column, *name, &head)?;
        let texts = table.rows.iter().filter_map(|row| row.get(usize::from(column))).map(|cell| field(cell).len());
        let width = texts.chain([name.len()]).max().unwrap_or(0).clamp(WIDTH_MIN, WIDTH_MAX);
        sheet.set_column_width(column, f64::from(u16::try_from(width).unwrap_or(u16::MAX)))?;
    }
    for (number, row) in (1_u32..).zip(&table.rows) {
        for (column, cell) in (0_u16..).zip(row) {
            write(sheet, number, column, cell)?;
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    Ok(())
}

fn write(sheet: &mut Worksheet, row: u32, column: u16, cell: &Cell) -> Result<(), XlsxError> {
    match cell {
        Cell::Text(text) => _ = sheet.write_string(row, column, text)?,
        Cell::Money(money) => {
            let text = decimal(*money);
            match text.parse::<f64>() {
                Ok(number) if money.minor.unsigned_abs() < DIGITS_MAX => {
                    let places = usize::try_from(money.currency.decimals()).unwrap_or(0);
                    let shown = if places == 0 { "0".to_owned() } else { format!("0.{:0<places$}", "") };
                    sheet.write_number_with_format(row, column, number, &Format::new().set_num_format(shown))?;
                }
                _ => _ = sheet.write_string(row, column, text)?,
            }
        }
        Cell::Count(count) => {
            let count = u32::try_from(*count).unwrap_or(u32::MAX);
            sheet.write_number(row, column, count)?;
        }
        Cell::Empty => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{Data, Reader, Xlsx};
    use std::io::Cursor;
    use wire::Money;

    fn tables() -> Vec<Table> {
        let money = |minor, code: &str| Cell::Money(Money { minor, currency: code.parse().unwrap() });
        let rows = vec![
            vec!["=1+1".into(), money(4205, "GBP"), Cell::Count(3)],
            vec!["-7".into(), money(4205, "BHD"), Cell::Empty],
            vec!["@A1".into(), money(-4205, "JPY"), Cell::Empty],
            vec!["plain".into(), money(i64::MAX, "GBP"), Cell::Empty],
        ];
        let header = &["text", "amount", "count"];
        vec![Table { name: "unmatched ours", header, rows }, Table { name: "refunds", header, rows: vec![] }]
    }

    #[test]
    fn a_workbook_is_read_by_others_with_amounts_as_numbers_and_texts_as_texts() {
        let bytes = xlsx(&tables()).unwrap();
        assert_eq!(bytes, xlsx(&tables()).unwrap(), "the same is the same file");
        let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).unwrap();
        assert_eq!(book.sheet_names(), ["unmatched ours", "refunds"]);
        let range = book.worksheet_range("unmatched ours").unwrap();
        let text = |text: &str| Data::String(text.into());
        let rows: Vec<Vec<Data>> = range.rows().map(<[Data]>::to_vec).collect();
        assert_eq!(rows[0], [text("text"), text("amount"), text("count")]);
        assert_eq!(rows[1], [text("=1+1"), Data::Float(42.05), Data::Float(3.0)]);
        assert_eq!(rows[2], [text("-7"), Data::Float(4.205), Data::Empty]);
        assert_eq!(rows[3], [text("@A1"), Data::Float(-4205.0), Data::Empty]);
        assert_eq!(rows[4], [text("plain"), text("92233720368547758.07"), Data::Empty], "not rounded");
        assert!(book.worksheet_formula("unmatched ours").unwrap().is_empty(), "no text is a formula");
    }
}
