//! Stripe's balance transactions: every movement of money of a time (docs.stripe.com/api/balance_transactions/list), payouts
//! among them, each with the charge, refund or dispute that it comes from. Of those objects, which say something of cards, no
//! more is read than their names and amounts.

use super::CURRENCIES;
use super::objects::Metadata;
use crate::http::{ANSWER_BYTES_MAX, Sent};
use crate::report::{Period, ReadPage};
use crate::text;
use serde::Deserialize;
use wire::{Currency, Money, ReportKind, ReportLine};

/// Movements a page: with what they come from, a page of them is below the longest answer that is read.
pub(super) const PAGE: usize = 25;
const SECOND_MS: i64 = 1_000;

/// The path of a page.
pub(super) fn path(period: Period, after: Option<&str>) -> String {
    let from = period.from_unix_ms.div_euclid(SECOND_MS);
    // The last second that begins before the end.
    let to = period.until_unix_ms.saturating_sub(1).div_euclid(SECOND_MS);
    let after = after.map(|name| format!("&starting_after={}", super::segment(name))).unwrap_or_default();
    format!("/v1/balance_transactions?limit={PAGE}&created[gte]={from}&created[lte]={to}&expand[0]=data.source{after}")
}

#[derive(Deserialize)]
struct Transactions {
    object: String,
    has_more: bool,
    data: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    id: String,
    /// As the balance changes, before the fee.
    amount: i64,
    currency: String,
    fee: i64,
    /// Unix seconds.
    created: i64,
    #[serde(default)]
    reporting_category: String,
    #[serde(rename = "type", default)]
    kind: String,
    source: Option<Source>,
}

/// What a movement comes from, or its name where it was not expanded.
#[derive(Deserialize)]
#[serde(untagged)]
enum Source {
    Name(String),
    Whole(Box<Origin>),
    /// One that is not as it is described: the movement is one all the same.
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Origin {
    id: String,
    amount: Option<i64>,
    /// Of a charge: what was taken of what was reserved.
    amount_captured: Option<i64>,
    currency: Option<String>,
    charge: Option<Related>,
    payment_intent: Option<Related>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Related {
    Name(String),
    Other(serde::de::IgnoredAny),
}

impl Related {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Other(_) => None,
        }
    }
}

/// A page, if the answer is one: the gateway's words for what it is about are names or left out, and nothing else of it goes
/// on.
pub(super) fn read(sent: Sent) -> Option<ReadPage> {
    let Sent::Response { status: 200, body } = sent else { return None };
    if body.len() > ANSWER_BYTES_MAX {
        return None;
    }
    let page: Transactions = serde_json::from_slice(&body).ok()?;
    if page.object != "list" || page.data.len() > PAGE {
        return None;
    }
    let mut read = ReadPage::default();
    for transaction in &page.data {
        // Without a name it is no movement of Stripe's.
        let key = text::name(&transaction.id)?;
        read.next = Some(key.clone()).filter(|_| page.has_more);
        match transaction.line(key) {
            Some(line) => read.lines.push(line),
            None => read.skipped += 1,
        }
    }
    Some(read)
}

impl Transaction {
    /// None where its currency is counted otherwise than ISO 4217 says.
    fn line(&self, key: String) -> Option<ReportLine> {
        let settled = currency(&self.currency)?;
        let kind = self.kind_of();
        let origin = match &self.source {
            Some(Source::Whole(origin)) => Some(origin.as_ref()),
            _ => None,
        };
        let named = match &self.source {
            Some(Source::Name(name)) => vec![Some(name.as_str())],
            _ => origin.map(Origin::names).unwrap_or_default(),
        };
        let money = match origin.and_then(|origin| origin.seen(settled)) {
            Some(Money { minor, currency }) => {
                // It has no sign of its own.
                let change = if self.amount < 0 { minor.saturating_neg() } else { minor };
                Money { minor: kind.minor_of(change), currency }
            }
            None => Money { minor: kind.minor_of(self.amount), currency: settled },
        };
        let attempt = origin.and_then(|origin| origin.metadata.as_ref()?.attempt());
        Some(ReportLine {
            key,
            kind,
            names: named.into_iter().flatten().filter_map(text::name).collect(),
            attempts: attempt.into_iter().collect(),
            money,
            fee: (self.fee != 0).then_some(Money { minor: self.fee, currency: settled }),
            at_unix_ms: self.created.checked_mul(SECOND_MS)?,
        })
    }

    /// docs.stripe.com/reports/reporting-categories, and the types where there is none (docs.stripe.com/reports/balance-transaction-types).
    fn kind_of(&self) -> ReportKind {
        let word = if self.reporting_category.is_empty() { &self.kind } else { &self.reporting_category };
        match word.as_str() {
            "charge" | "payment" => ReportKind::Charge,
            "refund" | "payment_refund" => ReportKind::Refund,
            "refund_failure" | "payment_failure_refund" => ReportKind::RefundReversed,
            "dispute" => ReportKind::Chargeback,
            "dispute_reversal" => ReportKind::ChargebackReversed,
            "fee" | "stripe_fee" | "tax_fee" | "network_cost" => ReportKind::Fee,
            "payout" | "payout_reversal" => ReportKind::Payout,
            _ => ReportKind::Other,
        }
    }
}

impl Origin {
    fn names(&self) -> Vec<Option<&str>> {
        vec![
            Some(self.id.as_str()),
            self.charge.as_ref().and_then(Related::name),
            self.payment_intent.as_ref().and_then(Related::name),
        ]
    }

    /// What the cardholder sees, where that is in another currency than the settlement.
    fn seen(&self, settled: Currency) -> Option<Money> {
        let currency = currency(self.currency.as_deref()?).filter(|currency| *currency != settled)?;
        Some(Money { minor: self.amount_captured.or(self.amount)?.saturating_abs(), currency })
    }
}

/// Stripe writes currencies in small letters, and counts some otherwise.
fn currency(code: &str) -> Option<Currency> {
    let code = code.to_ascii_uppercase();
    if CURRENCIES.contains(&code.as_str()) { code.parse().ok() } else { None }
}
