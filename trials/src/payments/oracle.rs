//! Three books that must say the same: what stands at the banks, what the office was told, what the agents believe.

use super::agent::{Agents, lock};
use super::bank::Bank;
use super::office::{Known, Office};
use anyhow::Context;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use wire::{AttemptId, AttemptKind, Outcome, PaymentId};

/// Findings of one kind that are shown.
const SHOWN_MAX: usize = 5;

/// What was found.
#[derive(Default)]
pub(super) struct Judged {
    invoices: usize,
    charges: usize,
    given_back: usize,
    attempts: BTreeMap<&'static str, usize>,
    double: Vec<String>,
    lost: Vec<String>,
    phantom: Vec<String>,
    wrong_answers: Vec<String>,
    unsettled: Vec<String>,
    records: Vec<String>,
}

impl Judged {
    fn kinds(&self) -> [(&'static str, &Vec<String>); 6] {
        [
            ("double", &self.double),
            ("lost", &self.lost),
            ("phantom", &self.phantom),
            ("wrong answers", &self.wrong_answers),
            ("unsettled", &self.unsettled),
            ("records out of order", &self.records),
        ]
    }

    pub(super) fn is_good(&self) -> bool {
        self.kinds().into_iter().all(|(_, found)| found.is_empty())
    }

    pub(super) fn findings(&self) -> String {
        let kind = |(name, found): (&str, &Vec<String>)| {
            let shown: Vec<&str> = found.iter().take(SHOWN_MAX).map(String::as_str).collect();
            format!("{name}: {}\n", shown.join("; "))
        };
        self.kinds().into_iter().filter(|(_, found)| !found.is_empty()).map(kind).collect()
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} invoices, {} charges stand, {} given back;", self.invoices, self.charges, self.given_back)?;
        for (outcome, count) in &self.attempts {
            write!(f, " {count} {outcome},")?;
        }
        let kinds = self.kinds().map(|(name, found)| format!("{} {name}", found.len()));
        write!(f, " found: {}", kinds.join(", "))
    }
}

/// One bank's books.
#[derive(Default)]
struct Books {
    /// By our reference: the amount, and whether it still stands.
    charges: BTreeMap<AttemptId, (i64, bool)>,
    /// How many stand of an amount.
    standing: BTreeMap<i64, usize>,
}

pub(super) async fn judge(banks: &[Bank], office: &Office, agents: &Agents) -> anyhow::Result<Judged> {
    let mut judged = Judged::default();
    let mut books = BTreeMap::new();
    for bank in banks {
        let read = read(bank, &mut judged).await?;
        judged.charges += read.standing.values().sum::<usize>();
        judged.given_back += read.charges.values().filter(|(_, stands)| !stands).count();
        books.insert(bank.shop.name(), read);
    }
    let heard = office.heard();
    judged.records.extend(heard.findings.iter().cloned());
    let is_back = |known: &&Known| {
        let undoes = matches!(known.kind, AttemptKind::Void | AttemptKind::Refund);
        undoes && matches!(known.outcome, Some(Outcome::Approved { .. }))
    };
    let back: BTreeSet<PaymentId> = heard.attempts.values().filter(is_back).map(|known| known.payment).collect();
    for (attempt, known) in &heard.attempts {
        let charge = books.get(known.merchant.as_str()).and_then(|books| books.charges.get(attempt));
        if let Some((minor, false)) = charge.filter(|_| !back.contains(&known.payment)) {
            judged.lost.push(format!("{attempt} of {minor} was given back, and the office was not told"));
        }
        let shop = books.get(known.merchant.as_str()).context("a merchant that is none")?;
        hold_attempt(*attempt, known, shop, &mut judged);
    }
    for (shop, books) in &books {
        for (attempt, (minor, _)) in &books.charges {
            if !heard.attempts.contains_key(attempt) {
                judged.lost.push(format!("{shop}: the office knows nothing of {attempt} of {minor}"));
            }
        }
    }
    judged.wrong_answers.extend(lock(&agents.findings).iter().cloned());
    hold_agents(agents, &books, &mut judged);
    Ok(judged)
}

async fn read(bank: &Bank, judged: &mut Judged) -> anyhow::Result<Books> {
    let mut books = Books::default();
    for row in bank.ledger().await? {
        if row["status"] != "approved" {
            continue;
        }
        let reference: AttemptId = row["reference"].as_str().context("no reference")?.parse()?;
        let minor = row["amount"].as_i64().context("no amount")?;
        let stands = row["voided"] != Value::Bool(true) && row["refunded"].as_i64() == Some(0);
        if books.charges.insert(reference, (minor, stands)).is_some() {
            judged.double.push(format!("{}: {reference} was charged twice", bank.shop.name()));
        }
        *books.standing.entry(minor).or_default() += usize::from(stands);
    }
    Ok(books)
}

/// What the office was told of an attempt, against its bank's books.
fn hold_attempt(attempt: AttemptId, known: &Known, books: &Books, judged: &mut Judged) {
    let word = match &known.outcome {
        None | Some(Outcome::Unknown) => "unknown",
        Some(Outcome::Approved { .. }) => "approved",
        Some(Outcome::Declined { .. }) => "declined",
        Some(Outcome::Rejected) => "rejected",
        Some(Outcome::Abandoned) => "abandoned",
    };
    if !known.is_settled() {
        judged.unsettled.push(format!("{:?} {attempt}", known.kind));
    }
    if known.kind != AttemptKind::Authorize {
        return;
    }
    *judged.attempts.entry(word).or_default() += 1;
    match (&known.outcome, books.charges.get(&attempt)) {
        (Some(Outcome::Approved { amount, .. }), Some((minor, _)))
            if amount.minor == *minor && *amount == known.amount => {}
        (Some(Outcome::Approved { .. }), found) => {
            judged.phantom.push(format!("{attempt} is approved, and the bank has {found:?}"));
        }
        // That is said already.
        (Some(Outcome::Unknown), _) => {}
        (Some(_), Some((minor, _))) => {
            judged.lost.push(format!("{attempt} is {word}, and the bank has charged {minor}"))
        }
        _ => {}
    }
}

/// What the agents believe, against the banks' books.
fn hold_agents(agents: &Agents, books: &BTreeMap<&'static str, Books>, judged: &mut Judged) {
    let believed = lock(&agents.believed);
    judged.invoices = believed.len();
    for ((shop, number), believed) in believed.iter() {
        let minor = 1_000 + *number as i64;
        let standing = books.get(shop).and_then(|books| books.standing.get(&minor)).copied().unwrap_or(0);
        let paid = usize::from(!believed.paid.is_empty());
        if believed.unknown {
            judged.unsettled.push(format!("{shop}: no agent knows of {minor}"));
        } else if standing > 1 {
            judged.double.push(format!("{shop}: {minor} stands {standing} times"));
        } else if standing != paid {
            judged.wrong_answers.push(format!("{shop}: {minor} stands {standing} times, and an agent was told {paid}"));
        }
    }
}
