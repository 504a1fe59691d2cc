//! CSV (RFC 4180) of other people: a comma, a semicolon or a tab, CRLF or LF, a byte order mark or none. Bounded.

use super::ReportError;

/// The most bytes of a report.
pub const REPORT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most rows below the header.
pub const ROWS_MAX: usize = 200_000;
/// The most columns.
pub const COLUMNS_MAX: usize = 200;
/// The longest field, in bytes.
pub const FIELD_BYTES_MAX: usize = 4096;

/// Rows of fields, each with the number of the line that it begins on, from 1.
pub(super) fn rows(bytes: &[u8]) -> Result<Vec<(usize, Vec<String>)>, ReportError> {
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(ReportError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ReportError::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\0') {
        return Err(ReportError::NotText);
    }
    Reader { delimiter: delimiter(text), row: 1, line: 1, fields: Vec::new(), field: String::new(), rows: Vec::new() }
        .read(text)
}

/// The one of the three that the header has most of outside quotes.
fn delimiter(text: &str) -> char {
    let header = text.split(['\n', '\r']).next().unwrap_or_default();
    let mut quoted = false;
    let mut counts = [(',', 0_usize), (';', 0), ('\t', 0)];
    for c in header.chars() {
        quoted ^= c == '"';
        counts.iter_mut().filter(|(known, _)| *known == c && !quoted).for_each(|(_, count)| *count += 1);
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(',', |(c, _)| c)
}

struct Reader {
    delimiter: char,
    /// The line on which the present row began.
    row: usize,
    line: usize,
    fields: Vec<String>,
    field: String,
    rows: Vec<(usize, Vec<String>)>,
}

impl Reader {
    fn read(mut self, text: &str) -> Result<Vec<(usize, Vec<String>)>, ReportError> {
        let mut chars = text.chars().peekable();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            self.line += usize::from(c == '\n');
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    self.push('"')?;
                }
                '"' if quoted => quoted = false,
                '"' if self.field.is_empty() => quoted = true,
                c if quoted => self.push(c)?,
                c if c == self.delimiter => self.end_field()?,
                '\r' if chars.peek() == Some(&'\n') => {}
                '\n' | '\r' => self.end_row()?,
                c => self.push(c)?,
            }
        }
        if quoted {
            return Err(ReportError::Quote { row: self.row });
        }
        self.end_row()?;
        Ok(self.rows)
    }

    fn push(&mut self, c: char) -> Result<(), ReportError> {
        if self.field.len() >= FIELD_BYTES_MAX {
            return Err(ReportError::FieldTooLong { row: self.row });
        }
        self.field.push(c);
        Ok(())
    }

    fn end_field(&mut self) -> Result<(), ReportError> {
        if self.fields.len() >= COLUMNS_MAX {
            return Err(ReportError::TooManyColumns);
        }
        self.fields.push(std::mem::take(&mut self.field));
        Ok(())
    }

    /// An empty line is no row.
    fn end_row(&mut self) -> Result<(), ReportError> {
        if self.fields.is_empty() && self.field.trim().is_empty() {
            self.field.clear();
        } else {
            self.end_field()?;
            if self.rows.len() > ROWS_MAX {
                return Err(ReportError::TooManyRows);
            }
            let fields = std::mem::take(&mut self.fields);
            self.rows.push((self.row, fields));
        }
        self.row = self.line;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Vec<String>> {
        rows(text.as_bytes()).unwrap().into_iter().map(|(_, fields)| fields).collect()
    }

    #[test]
    fn quotes_delimiters_and_line_ends_are_read_as_meant() {
        let want = [["a", "b,c"], ["d\"e", "f\r\ng"]];
        assert_eq!(read("a,\"b,c\"\r\n\"d\"\"e\",\"f\r\ng\"\r\n"), want);
        assert_eq!(read("\u{feff}x;y\n1,5;2\n\n"), [["x", "y"], ["1,5", "2"]]);
        assert_eq!(read("x\ty\r1\t"), [["x", "y"], ["1", ""]]);
    }

    #[test]
    fn what_is_no_text_or_too_much_is_refused() {
        assert_eq!(rows(b"a\xff"), Err(ReportError::NotText));
        assert_eq!(rows(b"PK\x03\x04\0\0"), Err(ReportError::NotText));
        assert_eq!(rows(b"a,b\nc,\"d"), Err(ReportError::Quote { row: 2 }));
        assert_eq!(rows(",".repeat(COLUMNS_MAX).as_bytes()), Err(ReportError::TooManyColumns));
        assert_eq!(rows("x".repeat(FIELD_BYTES_MAX + 1).as_bytes()), Err(ReportError::FieldTooLong { row: 1 }));
        assert_eq!(rows("x\n".repeat(ROWS_MAX + 2).as_bytes()), Err(ReportError::TooManyRows));
        assert_eq!(rows(&vec![b'x'; REPORT_BYTES_MAX + 1]), Err(ReportError::TooLarge));
    }
}
