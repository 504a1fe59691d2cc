//! The book: what was executed, and what may still be.

use super::order::{Agreement, Order};
use crate::acquirer::verdict::{self, Evidence, Verdict, judge};
use card::YearMonth;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use wire::{Checks, MerchantId, Money};

/// What may be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Noun {
    Charge,
    Capture,
    Void,
    Refund,
    Token,
    Deletion,
}

impl Noun {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Charge, "charges", "ch"),
        (Self::Capture, "captures", "cp"),
        (Self::Void, "voids", "vd"),
        (Self::Refund, "refunds", "rf"),
        (Self::Token, "tokens", "tk"),
        (Self::Deletion, "deletions", "dl"),
    ];

    /// The noun of a path, and the reference that is asked for.
    pub(super) fn of(path: &str) -> Option<(Self, Option<&str>)> {
        let (word, rest) = path
            .strip_prefix("/v1/")?
            .split_once('/')
            .map_or_else(|| (path.strip_prefix("/v1/").unwrap_or_default(), None), |(word, rest)| (word, Some(rest)));
        let noun = Self::ALL.into_iter().find(|(_, plural, _)| *plural == word)?.0;
        match rest {
            None => Some((noun, None)),
            Some(rest) => Some((noun, Some(rest.strip_prefix("by-reference/")?))),
        }
    }

    /// What a webhook says of it.
    pub(super) fn ended(self) -> &'static str {
        match self {
            Self::Charge => "charge.ended",
            Self::Capture => "capture.ended",
            Self::Void => "void.ended",
            Self::Refund => "refund.ended",
            Self::Token => "token.ended",
            Self::Deletion => "deletion.ended",
        }
    }

    fn word(self) -> (&'static str, &'static str) {
        Self::ALL.into_iter().find(|(noun, ..)| *noun == self).map_or(("", ""), |(_, plural, id)| (plural, id))
    }
}

/// One executed operation.
pub(super) struct Entry {
    noun: Noun,
    reference: String,
    merchant: MerchantId,
    /// What was approved, or asked where it was declined.
    amount: Option<Money>,
    /// The response code of a decline.
    declined: Option<String>,
    at: Instant,
    /// Being worked on until then.
    pub(super) busy_until: Instant,
    charge: Option<Charge>,
    /// The charge that a capture, void or refund is of.
    of: Option<usize>,
    /// Of a capture: no other follows.
    last: bool,
    /// The token that was made or forgotten.
    token: Option<usize>,
}

/// What is kept of a charge.
struct Charge {
    last4: String,
    later: bool,
    checks: Checks,
    /// The reason of the agreement that it begins or belongs to.
    reason: Option<String>,
}

/// A card on file: a published test card, and its date.
struct Stored {
    number: &'static str,
    expiry: YearMonth,
    deleted: bool,
}

/// Everything that was executed, in order.
pub(super) struct Book {
    today: YearMonth,
    opened: Instant,
    entries: Vec<Entry>,
    references: BTreeMap<(Noun, String), usize>,
    tokens: Vec<Stored>,
    /// The follow-ups of each charge.
    of: BTreeMap<usize, Vec<usize>>,
}

impl Book {
    pub(super) fn new(opened: Instant, today: YearMonth) -> Self {
        Self {
            today,
            opened,
            entries: Vec::new(),
            references: BTreeMap::new(),
            tokens: Vec::new(),
            of: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn find(&self, noun: Noun, reference: &str) -> Option<usize> {
        self.references.get(&(noun, reference.to_owned())).copied()
    }

    pub(super) fn is_busy(&self, index: usize, now: Instant) -> bool {
        self.entries.get(index).is_some_and(|entry| entry.busy_until > now)
    }

    pub(super) fn is_declined(&self, index: usize) -> bool {
        self.entries.get(index).is_some_and(|entry| entry.declined.is_some())
    }

    /// The response code of a decline.
    pub(super) fn declined(&self, index: usize) -> Option<&str> {
        self.entries.get(index)?.declined.as_deref()
    }

    /// What has become of a charge's money.
    pub(super) fn money(&self, index: usize) -> MoneyOf {
        let nothing = Money { minor: 0, currency: wire::Currency::GBP };
        self.money_of(index, self.entries.get(index).and_then(|entry| entry.amount).unwrap_or(nothing))
    }

    /// What would be executed. An error is the code of a refusal: nothing is.
    pub(super) fn judge(&mut self, now: Instant, noun: Noun, body: &[u8]) -> Result<Entry, &'static str> {
        let order = Order::parse(body).ok_or("invalid_request")?;
        match noun {
            Noun::Charge => self.judge_charge(now, &order),
            Noun::Capture | Noun::Void | Noun::Refund => self.judge_follow_up(now, noun, &order),
            Noun::Token => self.judge_store(now, &order),
            Noun::Deletion => self.judge_deletion(now, &order),
        }
    }

    pub(super) fn commit(&mut self, entry: Entry) -> usize {
        let index = self.entries.len();
        self.references.insert((entry.noun, entry.reference.clone()), index);
        if let Some(of) = entry.of {
            self.of.entry(of).or_default().push(index);
        }
        if let (Noun::Deletion, Some(stored)) = (entry.noun, entry.token.and_then(|token| self.tokens.get_mut(token))) {
            stored.deleted = true;
        }
        self.entries.push(entry);
        index
    }

    fn judge_charge(&mut self, now: Instant, order: &Order<'_>) -> Result<Entry, &'static str> {
        let amount = order.money().ok_or("invalid_request")?;
        if order.by_merchant() && !self.agreed(order.agreement.as_ref()) {
            return Err("merchant_charge_without_agreement");
        }
        let (number, expiry, cvv) = self.card_of(order)?;
        let evidence = Evidence {
            number,
            expiry,
            cvv,
            amount_minor: amount.minor,
            flagged: order.moto() || order.by_merchant(),
            partial: order.partial,
        };
        let verdict = judge(&evidence, self.today).map_err(|_| "not_a_test_card")?;
        let (declined, amount) = match verdict {
            Verdict::Approved { minor } => (None, Money { minor, ..amount }),
            Verdict::Declined { code } => (Some(code), amount),
        };
        let token = match (&declined, order.store) {
            (None, true) => Some(self.keep(number, expiry)?),
            _ => None,
        };
        let checks = if declined.is_none() { verdict::checks(order.avs.as_ref(), cvv) } else { Checks::default() };
        let charge = Charge {
            last4: number.get(number.len().saturating_sub(4)..).unwrap_or_default().to_owned(),
            later: order.later(),
            checks,
            reason: order.agreement.as_ref().map(|agreement| agreement.reason.to_owned()),
        };
        let entry = entry(now, Noun::Charge, order, Some(amount));
        Ok(Entry { declined, token, charge: Some(charge), ..entry })
    }

    /// The merchant may start a charge only under an agreement that the cardholder began here, for the same reason.
    fn agreed(&self, agreement: Option<&Agreement<'_>>) -> bool {
        let Some(agreement) = agreement else { return false };
        let first = agreement.network_transaction_id.and_then(|name| name.strip_prefix("nt")?.parse::<usize>().ok());
        let first = first.and_then(|index| self.entries.get(index)).filter(|entry| entry.declined.is_none());
        first
            .and_then(|entry| entry.charge.as_ref()?.reason.as_deref())
            .is_some_and(|reason| reason == agreement.reason)
    }

    fn card_of<'a>(&self, order: &Order<'a>) -> Result<(&'a str, YearMonth, Option<&'a str>), &'static str> {
        match (&order.card, order.token) {
            (Some(card), None) => Ok((card.number, card.expiry(), card.cvv)),
            (None, Some(token)) => {
                let stored = self.stored(token).and_then(|token| self.tokens.get(token)).ok_or("no_such_token")?;
                Ok((stored.number, stored.expiry, None))
            }
            _ => Err("invalid_request"),
        }
    }

    fn stored(&self, token: &str) -> Option<usize> {
        let index: usize = token.strip_prefix("tok_")?.parse().ok()?;
        self.tokens.get(index).filter(|stored| !stored.deleted).map(|_| index)
    }

    /// A token that is made for an operation which is then not executed names a card that nobody was told of.
    fn keep(&mut self, number: &str, expiry: YearMonth) -> Result<usize, &'static str> {
        let number = verdict::published(number).ok_or("not_a_test_card")?;
        self.tokens.push(Stored { number, expiry, deleted: false });
        Ok(self.tokens.len() - 1)
    }

    fn judge_store(&mut self, now: Instant, order: &Order<'_>) -> Result<Entry, &'static str> {
        let card = order.card.as_ref().ok_or("invalid_request")?;
        let (number, expiry, cvv) = (card.number, card.expiry(), card.cvv);
        // A card is verified with its bank by a payment of nothing.
        let evidence = Evidence { number, expiry, cvv, amount_minor: 0, flagged: order.moto(), partial: false };
        let verified = entry(now, Noun::Token, order, None);
        if let Verdict::Declined { code } = judge(&evidence, self.today).map_err(|_| "not_a_test_card")? {
            return Ok(Entry { declined: Some(code), ..verified });
        }
        let charge = Charge {
            last4: number.get(number.len().saturating_sub(4)..).unwrap_or_default().to_owned(),
            later: false,
            checks: verdict::checks(order.avs.as_ref(), cvv),
            reason: order.agreement.as_ref().map(|agreement| agreement.reason.to_owned()),
        };
        Ok(Entry { token: Some(self.keep(number, expiry)?), charge: Some(charge), ..verified })
    }

    fn judge_deletion(&self, now: Instant, order: &Order<'_>) -> Result<Entry, &'static str> {
        let token = order.token.and_then(|token| self.stored(token)).ok_or("no_such_token")?;
        Ok(Entry { token: Some(token), ..entry(now, Noun::Deletion, order, None) })
    }

    fn judge_follow_up(&self, now: Instant, noun: Noun, order: &Order<'_>) -> Result<Entry, &'static str> {
        let index = order.of.and_then(|name| name.strip_prefix("ch_")?.parse::<usize>().ok());
        let found = index.and_then(|index| Some((index, self.entries.get(index)?)));
        let (of, charge) = found.ok_or("no_such_original")?;
        let approved = charge.amount.filter(|_| charge.noun == Noun::Charge && charge.declined.is_none());
        let approved = approved.filter(|_| charge.merchant == order.merchant).ok_or("no_such_original")?;
        let amount = if noun == Noun::Void { approved } else { order.money().ok_or("invalid_request")? };
        if amount.currency != approved.currency {
            return Err("invalid_request");
        }
        let money = self.money_of(of, approved);
        match noun {
            Noun::Capture if !money.open || amount.minor > approved.minor - money.captured => Err("over_captured"),
            Noun::Refund if amount.minor > money.captured - money.refunded => Err("over_refunded"),
            Noun::Void if money.voided || money.refunded > 0 || (money.later && money.captured > 0) => {
                Err("not_voidable")
            }
            _ => Ok(()),
        }?;
        // A refund can be declined as a charge can.
        let declined = (noun == Noun::Refund).then(|| verdict::by_amount(amount.minor)).flatten();
        Ok(Entry { of: Some(of), last: order.last, declined, ..entry(now, noun, order, Some(amount)) })
    }

    /// What has become of an approved charge's money.
    fn money_of(&self, index: usize, approved: Money) -> MoneyOf {
        let later = self.entries.get(index).and_then(|entry| entry.charge.as_ref()).is_some_and(|charge| charge.later);
        let captured = if later { 0 } else { approved.minor };
        let mut money = MoneyOf { later, open: later, captured, refunded: 0, voided: false };
        let after = self.of.get(&index).into_iter().flatten().filter_map(|index| self.entries.get(*index));
        for entry in after.filter(|entry| entry.declined.is_none()) {
            let minor = entry.amount.map_or(0, |amount| amount.minor);
            match entry.noun {
                Noun::Capture => (money.captured, money.open) = (money.captured + minor, money.open && !entry.last),
                Noun::Refund => money.refunded += minor,
                Noun::Void => (money.voided, money.open, money.captured) = (true, false, 0),
                Noun::Charge | Noun::Token | Noun::Deletion => {}
            }
        }
        money
    }

    pub(super) fn answer(&self, index: usize, now: Instant) -> Value {
        let mut answer = self.settled_answer(index);
        if let (true, Some(members)) = (self.is_busy(index, now), answer.as_object_mut()) {
            members.retain(|name, _| matches!(name.as_str(), "id" | "reference" | "amount" | "currency"));
            members.insert("status".to_owned(), json!("pending"));
        }
        answer
    }

    pub(super) fn settled_answer(&self, index: usize) -> Value {
        let Some(entry) = self.entries.get(index) else { return Value::Null };
        let mut answer = json!({
            "id": format!("{}_{index:06}", entry.noun.word().1),
            "reference": entry.reference,
            "status": if entry.declined.is_some() { "declined" } else { "approved" },
            "amount": entry.amount.map(|amount| amount.minor),
            "currency": entry.amount.map(|amount| amount.currency.code()),
            "network_code": entry.declined,
        });
        if let (Some(charge), None, Some(members)) = (&entry.charge, &entry.declined, answer.as_object_mut()) {
            let checks = charge.checks;
            let avs = json!({"address": checks.address, "postcode": checks.postcode});
            let compared = checks.address.or(checks.postcode).map(|_| avs);
            members.extend([
                ("auth_code".to_owned(), json!(format!("T{:05}", index % 100_000))),
                ("network_transaction_id".to_owned(), json!(format!("nt{index:06}"))),
                ("avs".to_owned(), json!(compared)),
                ("cvv".to_owned(), json!(checks.cvv)),
            ]);
        }
        if let Some(members) = answer.as_object_mut() {
            let token = entry.token.filter(|_| entry.noun != Noun::Deletion).map(|token| format!("tok_{token:06}"));
            members.insert("token".to_owned(), json!(token));
            members.retain(|_, value| !value.is_null());
        }
        answer
    }

    /// Charges, with what became of their money, and what followed them.
    pub(super) fn ledger(&self) -> Value {
        let rows = |charges: bool| {
            let entries = self.entries.iter().enumerate();
            let wanted = entries.filter(|(_, entry)| (entry.noun == Noun::Charge) == charges);
            wanted.map(|(index, entry)| self.row(index, entry)).collect::<Vec<_>>()
        };
        json!({"charges": rows(true), "operations": rows(false)})
    }

    /// Money that was taken or given back and stands so, in order.
    pub(super) fn movements(&self) -> impl Iterator<Item = Movement<'_>> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| self.movement(index, entry))
    }

    fn movement<'a>(&self, index: usize, entry: &'a Entry) -> Option<Movement<'a>> {
        let money = entry.amount.filter(|_| entry.declined.is_none())?;
        let is_settled = |charge: &Charge| !charge.later && !self.money_of(index, money).voided;
        let kind = match (entry.noun, &entry.charge) {
            (Noun::Charge, Some(charge)) if is_settled(charge) => "charge",
            (Noun::Capture, _) => "capture",
            (Noun::Refund, _) => "refund",
            _ => return None,
        };
        let id = |index: usize| {
            let noun = self.entries.get(index).map_or(Noun::Charge, |entry| entry.noun);
            format!("{}_{index:06}", noun.word().1)
        };
        Some(Movement { id: id(index), kind, reference: &entry.reference, of: entry.of.map(id), money, at: entry.at })
    }

    /// `at` is in milliseconds since the bank opened.
    fn row(&self, index: usize, entry: &Entry) -> Value {
        let at = entry.at.saturating_duration_since(self.opened).as_millis();
        let mut row = json!({
            "reference": entry.reference,
            "amount": entry.amount.map(|amount| amount.minor),
            "currency": entry.amount.map(|amount| amount.currency.code()),
            "status": if entry.declined.is_some() { "declined" } else { "approved" },
            "at": u64::try_from(at).unwrap_or(u64::MAX),
        });
        let Some(members) = row.as_object_mut() else { return row };
        match (&entry.charge, entry.amount) {
            (Some(charge), Some(approved)) => {
                members.insert("last4".to_owned(), json!(charge.last4));
                if entry.declined.is_none() {
                    let money = self.money_of(index, approved);
                    members.insert("captured".to_owned(), json!(money.captured));
                    members.insert("refunded".to_owned(), json!(money.refunded));
                    members.insert("voided".to_owned(), json!(money.voided));
                }
            }
            _ => {
                members.insert("what".to_owned(), json!(entry.noun.word().0));
                let of = entry.of.and_then(|of| self.entries.get(of)).map(|charge| charge.reference.as_str());
                members.insert("of".to_owned(), json!(of));
            }
        }
        row
    }
}

/// Money that was taken or given back.
pub(super) struct Movement<'a> {
    pub(super) id: String,
    pub(super) kind: &'static str,
    /// The merchant's name of it.
    pub(super) reference: &'a str,
    /// The charge that it follows.
    pub(super) of: Option<String>,
    pub(super) money: Money,
    pub(super) at: Instant,
}

pub(super) struct MoneyOf {
    later: bool,
    /// May more be captured?
    pub(super) open: bool,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) voided: bool,
}

fn entry(now: Instant, noun: Noun, order: &Order<'_>, amount: Option<Money>) -> Entry {
    Entry {
        noun,
        reference: order.reference.to_owned(),
        merchant: order.merchant.clone(),
        amount,
        declined: None,
        at: now,
        busy_until: now,
        charge: None,
        of: None,
        last: false,
        token: None,
    }
}
