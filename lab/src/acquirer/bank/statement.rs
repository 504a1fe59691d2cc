//! What a merchant gets at the end of a day: every movement of money that stands, as a CSV. A reservation is none, nor is a charge
//! that was voided before it was settled.

use super::{Bank, book::Movement};
use std::time::Instant;

impl Bank {
    /// `id,kind,reference,of,amount,currency,at_unix_ms`, in the order in which they were executed. The amounts are decimals.
    pub fn statement(&self, now: Instant, now_unix_ms: i64) -> String {
        let mut text = String::from("id,kind,reference,of,amount,currency,at_unix_ms\r\n");
        for Movement { id, kind, reference, of, money, at } in self.book.movements() {
            let ago = i64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(i64::MAX);
            let (amount, at) = (money.to_string().replace(' ', ","), now_unix_ms.saturating_sub(ago));
            text.push_str(&format!("{id},{kind},{},{},{amount},{at}\r\n", plain(reference), of.unwrap_or_default()));
        }
        text
    }
}

/// A name that the merchant has given, as far as it needs no quotes.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect()
}
