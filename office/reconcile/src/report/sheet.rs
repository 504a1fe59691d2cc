//! A CSV with a header, whose fields have been looked at for card numbers.

use super::{
    ReportError,
    amount::{self, Decimal},
    csv,
};
use wire::{AttemptId, Brand, Currency, luhn_valid, text_pan_like};

/// The longest name that is kept of a line.
const NAME_CHARS_MAX: usize = 100;
/// Digits of an Acquirer Reference Number, which is no card number though a part of it may look like one.
const ARN_DIGITS: usize = 23;
/// Characters of a UUID with its hyphens.
const UUID_CHARS: usize = 36;

/// Header and rows.
pub(super) struct Sheet {
    header: Vec<String>,
    rows: Vec<(usize, Vec<String>)>,
}

/// A place in the header, with the name that an error calls it by.
#[derive(Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    at: usize,
}

/// One row, by columns.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) number: usize,
    fields: &'a [String],
}

impl Sheet {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ReportError> {
        let mut rows = csv::rows(bytes)?.into_iter();
        let (_, header) = rows.next().ok_or(ReportError::Empty)?;
        let header: Vec<String> = header.into_iter().map(|name| name.trim().to_owned()).collect();
        if header.iter().any(|name| holds_card("", name)) {
            return Err(ReportError::LooksLikeCard { row: 1 });
        }
        let rows: Vec<_> = rows.collect();
        for (row, fields) in &rows {
            if fields.len() != header.len() {
                return Err(ReportError::Ragged { row: *row });
            }
            if header.iter().zip(fields).any(|(name, field)| holds_card(name, field)) {
                return Err(ReportError::LooksLikeCard { row: *row });
            }
        }
        Ok(Self { header, rows })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(number, fields)| Row { number: *number, fields })
    }

    /// A column that may be missing, under the first of its names that is there; whatever its case.
    pub(super) fn find(&self, name: &'static str, names: &[&str]) -> Result<Option<Column>, ReportError> {
        for wanted in names {
            let mut places = (0..).zip(&self.header).filter(|(_, name)| name.eq_ignore_ascii_case(wanted));
            let Some((at, _)) = places.next() else { continue };
            if places.next().is_some() {
                return Err(ReportError::TwiceColumn { column: name });
            }
            return Ok(Some(Column { name, at }));
        }
        Ok(None)
    }

    /// A column that must be there.
    pub(super) fn need(&self, name: &'static str, names: &[&str], hint: &'static str) -> Result<Column, ReportError> {
        self.find(name, names)?.ok_or(ReportError::NoColumn { column: name, hint })
    }
}

impl<'a> Row<'a> {
    /// Without spaces around it; empty where the column is not.
    pub(super) fn text(&self, column: impl Into<Option<Column>>) -> &'a str {
        let field = column.into().and_then(|column: Column| self.fields.get(column.at));
        field.map_or("", |field| field.trim())
    }

    pub(super) fn bad(&self, column: Column, expected: &'static str) -> ReportError {
        ReportError::Bad { row: self.number, column: column.name, expected }
    }

    pub(super) fn currency(&self, column: Column) -> Result<Currency, ReportError> {
        let code = self.text(column).to_ascii_uppercase();
        code.parse().map_err(|_| self.bad(column, "a currency code of ISO 4217"))
    }

    pub(super) fn minor(&self, column: Column, currency: Currency, decimal: Decimal) -> Result<i64, ReportError> {
        let expected = "an amount with at most the decimals of its currency";
        amount::minor(self.text(column), currency, decimal).ok_or_else(|| self.bad(column, expected))
    }

    /// A name, if there is one: short and printable, or the report is refused.
    pub(super) fn name(&self, column: impl Into<Option<Column>>) -> Result<Option<String>, ReportError> {
        let Some(column) = column.into() else { return Ok(None) };
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        let fits = text.chars().count() <= NAME_CHARS_MAX && !text.chars().any(char::is_control);
        if fits {
            Ok(Some(text.to_owned()))
        } else {
            Err(self.bad(column, "a name of at most 100 printable characters"))
        }
    }
}

/// Puts names where they belong: our attempts, and all others.
pub(super) fn sorted(names: impl IntoIterator<Item = Option<String>>) -> (Vec<String>, Vec<AttemptId>) {
    let (mut others, mut attempts): (Vec<String>, Vec<AttemptId>) = (Vec::new(), Vec::new());
    for name in names.into_iter().flatten() {
        match (name.len(), name.parse::<AttemptId>()) {
            (UUID_CHARS, Ok(attempt)) if !attempts.contains(&attempt) => attempts.push(attempt),
            (UUID_CHARS, Ok(_)) => {}
            _ if others.contains(&name) => {}
            _ => others.push(name),
        }
    }
    (others, attempts)
}

/// Does a field hold a card number? A UUID is none, wherever it stands, and no more is an account number (IBAN) with the right
/// check digits. A number that a gateway made for itself stands in a
/// column of references and is looked at as a whole: digits in the middle of it say nothing.
fn holds_card(header: &str, field: &str) -> bool {
    let field = field.trim();
    let digits = field.bytes().all(|b| b.is_ascii_digit());
    if digits && is_reference(header, field.len()) {
        let brand = Brand::of(field.as_bytes()).filter(|_| luhn_valid(field.as_bytes()));
        return brand.is_some_and(|brand| brand.facts().lengths.contains(&field.len()));
    }
    text_pan_like(field) && text_pan_like(&without_names(field))
}

fn is_reference(header: &str, digits: usize) -> bool {
    let header = header.to_ascii_lowercase();
    match digits {
        16 => header.ends_with("psp reference") || header == "modification reference",
        ARN_DIGITS => header == "arn" || header.contains("acquirer reference"),
        _ => false,
    }
}

/// The longest account number (ISO 13616).
const IBAN_CHARS_MAX: usize = 34;
/// The shortest: Norway's.
const IBAN_CHARS_MIN: usize = 15;

/// Two letters, and the whole is 1 modulo 97 once its first four characters stand last (ISO 13616, ISO 7064).
fn is_iban(word: &str) -> bool {
    let Some((country, rest)) = word.split_at_checked(2) else { return false };
    let Some((check, account)) = rest.split_at_checked(2) else { return false };
    let fits = (IBAN_CHARS_MIN..=IBAN_CHARS_MAX).contains(&word.len());
    let shaped = country.bytes().all(|b| b.is_ascii_uppercase()) && check.bytes().all(|b| b.is_ascii_digit());
    let remainder = [account, country, check].concat().chars().try_fold(0_u32, |sum, c| {
        let value = c.to_digit(36)?;
        Some((sum * if value < 10 { 10 } else { 100 } + value) % 97)
    });
    fits && shaped && remainder == Some(1)
}

fn without_names(field: &str) -> String {
    let bare = field.replace(' ', "");
    if is_iban(&bare) { String::new() } else { without_uuids(field) }
}

fn without_uuids(field: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = field.split_inclusive(|c| !is_part(c));
    let is_uuid = |word: &str| {
        let word = word.trim_end_matches(|c| !is_part(c));
        let id = word.parse::<AttemptId>().ok().filter(|_| word.len() == UUID_CHARS);
        let is_of_rfc_9562 = |id: &AttemptId| id.0.as_bytes().get(8).is_some_and(|byte| byte & 0xc0 == 0x80);
        id.filter(is_of_rfc_9562).is_some_and(|id| matches!(id.0.get_version_num(), 4 | 7))
    };
    let is_name = |word: &&str| is_uuid(word) || is_iban(word.trim_end_matches(|c| !is_part(c)));
    words.filter(|word| !is_name(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_seen_in_any_field_and_numbers_of_gateways_are_not() {
        for (header, field) in [
            ("Description", "card 4242 4242 4242 4242"),
            ("Description", "INV-1,4242424242424242"),
            ("Psp Reference", "4242424242424242"),
            ("ARN", "4242424242424242"),
            ("", "42424242-4242-4242-0242-424242424242"),
            ("Description", "4242/4242/4242/4242"),
            ("Description", "4242 _ 4242 _ 4242 _ 4242"),
            ("Description", "４２４２４２４２４２４２４２４２"),
            ("Description", "DE00 4242 4242 4242 4242 00"),
        ] {
            assert!(holds_card(header, field), "{header}: {field}");
        }
        // A window of this number is a card number by its check digit; as a whole it is Adyen's.
        let reference = "8378282246310005";
        assert!(text_pan_like(reference));
        for (header, field) in [
            ("Psp Reference", reference),
            ("Acquirer Reference Number", "74242424242424242000001"),
            ("Description", "Payment 42424242-4242-4242-8000-00000000abcd, thanks"),
            ("Created", "2026-11-26 08:30:00"),
            ("Created", "26/11/2026 08:30:00.123"),
            ("Konto", "DE89370400440532013000"),
            ("Account", "GB29 NWBK 6016 1331 9268 19"),
            ("Verwendungszweck", "IBAN: DE89370400440532013000, BIC: COBADEFF"),
        ] {
            assert!(!holds_card(header, field), "{header}: {field}");
        }
        assert!(holds_card("Description", reference), "the control: anywhere else it may be one");
    }
}
