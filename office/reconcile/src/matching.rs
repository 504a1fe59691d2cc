//! Ours against theirs.

use crate::line::{Line, LineKind};
use std::collections::{BTreeMap, BTreeSet};
use wire::{AttemptId, AttemptKind, Currency, Money, PaymentId};

/// Which way money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// To the merchant.
    Taken,
    /// Back to the cardholder.
    GivenBack,
}

/// How an attempt of ours stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It is done.
    Done,
    /// It is not: declined, refused, abandoned, or undone by a void.
    NotDone,
    /// Nobody knows, or it is under way.
    Unknown,
}

/// One attempt of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// Which; also its name at the gateway.
    pub attempt: AttemptId,
    /// Of which payment.
    pub payment: PaymentId,
    /// What it does.
    pub kind: AttemptKind,
    /// Which way its money goes; none of what moves none, such as a reservation, whose names other attempts are found by.
    pub side: Option<Side>,
    /// How much: what was approved, else what was asked.
    pub money: Money,
    /// How it stands.
    pub stand: Stand,
    /// The gateway's name of it; may be empty.
    pub gateway_ref: String,
    /// When it was sent; Unix milliseconds.
    pub at_unix_ms: i64,
    /// The customer's account, as the agent typed it.
    pub account: Option<String>,
}

/// A day, in Unix milliseconds: from, and up to but not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first millisecond.
    pub from: i64,
    /// The first of the next day.
    pub until: i64,
}

/// Why a line of theirs has no attempt of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nothing here has its name.
    NotOurs,
    /// What has its name is matched already: the gateway has it more than once.
    Again,
    /// Another line of the same source and key says something else of it, and counts.
    Conflict,
}

/// Sums of one currency, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Taken, by us.
    pub ours_taken: i64,
    /// Given back, by us.
    pub ours_given_back: i64,
    /// Taken, by the lines of the same attempts and by those that match nothing; what conflicts with one of them counts once.
    pub theirs_taken: i64,
    /// Given back, by these lines.
    pub theirs_given_back: i64,
    /// What the gateway keeps, in this currency.
    pub fees: i64,
    /// What cardholders' banks took back, less what they gave back again.
    pub chargebacks: i64,
}

/// A day's money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// The same here and there.
    pub matched: Vec<(Ours, Line)>,
    /// Another amount or currency there.
    pub differs: Vec<(Ours, Line)>,
    /// Done there, and not done by what is written here.
    pub contradicted: Vec<(Ours, Line)>,
    /// Not known here; with what the gateway says of it, if it does.
    pub unknown: Vec<(Ours, Option<Line>)>,
    /// Done here, and no line there.
    pub ours_only: Vec<Ours>,
    /// There, and nothing here.
    pub theirs_only: Vec<(Line, Why)>,
    /// Chargebacks, fees, payouts and what else is no payment of ours.
    pub apart: Vec<Line>,
    /// By currency.
    pub totals: BTreeMap<Currency, Totals>,
}

impl Day {
    /// Is there anything that people must look at?
    pub fn is_clean(&self) -> bool {
        self.differs.is_empty()
            && self.contradicted.is_empty()
            && self.unknown.is_empty()
            && self.ours_only.is_empty()
            && self.theirs_only.is_empty()
            && !self.matched.iter().any(|(_, line)| line.copies > 1)
    }
}

/// Matches attempts and lines, and tells of the day. Give it every attempt and line of the day, and those of other days
/// that have to do with them: an attempt belongs to the day that it was sent on, and takes its line there.
pub fn reconcile(day: Window, ours: Vec<Ours>, lines: Vec<Line>) -> Day {
    let (mut ours, mut lines) = (ours, lines);
    ours.sort_by_key(|ours| (ours.at_unix_ms, ours.attempt));
    lines.sort_by(|a, b| (a.at_unix_ms, &a.key).cmp(&(b.at_unix_ms, &b.key)));
    let (payments, apart): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|line| side_of(line).is_some());
    let matches = Matcher::new(&ours).run(&payments);
    let mut told = apart_of(day, apart, &payments);
    let mut found: BTreeMap<usize, Line> = BTreeMap::new();
    for (line, matched) in payments.into_iter().zip(matches) {
        match matched {
            Ok(at) => _ = found.insert(at, line),
            Err(why) if day.has(line.at_unix_ms) => told.theirs_only.push((line, why)),
            Err(_) => {}
        }
    }
    for (at, ours) in ours.into_iter().enumerate().filter(|(_, ours)| ours.side.is_some() && day.has(ours.at_unix_ms)) {
        told.put(ours, found.remove(&at));
    }
    told.totals = totals(&told);
    told
}

/// What is no payment, once each.
fn apart_of(day: Window, apart: Vec<Line>, payments: &[Line]) -> Day {
    let mut told = Day::default();
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    let id = |line: &Line| (line.source.clone(), line.key.clone());
    known.extend(payments.iter().map(id));
    for line in apart {
        match (known.insert(id(&line)), day.has(line.at_unix_ms)) {
            (true, true) => told.apart.push(line),
            (false, true) => told.theirs_only.push((line, Why::Conflict)),
            (_, false) => {}
        }
    }
    told
}

impl Window {
    fn has(self, at: i64) -> bool {
        (self.from..self.until).contains(&at)
    }
}

impl Day {
    fn put(&mut self, ours: Ours, line: Option<Line>) {
        match (ours.stand, line) {
            (Stand::Unknown, line) => self.unknown.push((ours, line)),
            (Stand::NotDone, Some(line)) => self.contradicted.push((ours, line)),
            (Stand::NotDone, None) => {}
            (Stand::Done, Some(line)) if line.money == ours.money => self.matched.push((ours, line)),
            (Stand::Done, Some(line)) => self.differs.push((ours, line)),
            (Stand::Done, None) => self.ours_only.push(ours),
        }
    }
}

fn side_of(line: &Line) -> Option<Side> {
    match line.kind {
        LineKind::Charge => Some(Side::Taken),
        LineKind::Refund => Some(Side::GivenBack),
        _ => None,
    }
}

/// Finds the attempt of each line: first those that a line names, then those of the same payment and amount, then what is
/// the only one left.
struct Matcher<'a> {
    ours: &'a [Ours],
    by_payment: BTreeMap<PaymentId, Vec<usize>>,
    by_attempt: BTreeMap<AttemptId, usize>,
    by_name: BTreeMap<&'a str, Vec<usize>>,
    taken: BTreeSet<usize>,
}

impl<'a> Matcher<'a> {
    fn new(ours: &'a [Ours]) -> Self {
        let mut all = Self {
            ours,
            by_payment: BTreeMap::new(),
            by_attempt: BTreeMap::new(),
            by_name: BTreeMap::new(),
            taken: BTreeSet::new(),
        };
        for (at, one) in ours.iter().enumerate() {
            all.by_payment.entry(one.payment).or_default().push(at);
            all.by_attempt.insert(one.attempt, at);
            if !one.gateway_ref.is_empty() {
                all.by_name.entry(&one.gateway_ref).or_default().push(at);
            }
        }
        all
    }

    fn run(mut self, lines: &[Line]) -> Vec<Result<usize, Why>> {
        let mut found: Vec<Option<usize>> = vec![None; lines.len()];
        let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
        let passes: [fn(&Self, &Line) -> Option<usize>; 4] =
            [Self::named_and_equal, Self::named, Self::of_same_payment, Self::last_of_payment];
        for pass in passes {
            for (line, found) in lines.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
                *found = if told.contains(&line.id()) { None } else { pass(&self, line) };
                if let Some(at) = found {
                    self.taken.insert(*at);
                    told.insert(line.id());
                }
            }
        }
        let mut why = |line| match told.insert(Line::id(line)) {
            false => Why::Conflict,
            true if self.payments(line).is_empty() => Why::NotOurs,
            true => Why::Again,
        };
        lines.iter().zip(found).map(|(line, found)| found.ok_or_else(|| why(line))).collect()
    }

    fn free(&self, at: usize, line: &Line) -> Option<&'a Ours> {
        let ours = self.ours.get(at).filter(|_| !self.taken.contains(&at))?;
        (ours.side.is_some() && ours.side == side_of(line)).then_some(ours)
    }

    fn names<'b>(&'b self, line: &'b Line) -> impl Iterator<Item = usize> + 'b {
        let attempts = line.attempts.iter().filter_map(|attempt| self.by_attempt.get(attempt)).copied();
        let names = line.names.iter().filter_map(|name| self.by_name.get(name.as_str())).flatten().copied();
        attempts.chain(names)
    }

    fn named_and_equal(&self, line: &Line) -> Option<usize> {
        self.names(line).find(|at| self.free(*at, line).is_some_and(|ours| is_done(ours) && ours.money == line.money))
    }

    fn named(&self, line: &Line) -> Option<usize> {
        self.names(line).find(|at| self.free(*at, line).is_some())
    }

    fn payments(&self, line: &Line) -> BTreeSet<PaymentId> {
        self.names(line).filter_map(|at| self.ours.get(at)).map(|ours| ours.payment).collect()
    }

    fn left(&self, line: &Line) -> Vec<(usize, &'a Ours)> {
        let all = self.payments(line).into_iter().filter_map(|payment| self.by_payment.get(&payment)).flatten();
        all.filter_map(|at| self.free(*at, line).map(|ours| (*at, ours))).collect()
    }

    fn of_same_payment(&self, line: &Line) -> Option<usize> {
        let left = self.left(line);
        let equal = |done: bool| left.iter().find(|(_, ours)| is_done(ours) == done && ours.money == line.money);
        equal(true).or_else(|| equal(false)).map(|(at, _)| *at)
    }

    fn last_of_payment(&self, line: &Line) -> Option<usize> {
        match self.left(line).as_slice() {
            [(at, _)] => Some(*at),
            _ => None,
        }
    }
}

fn is_done(ours: &Ours) -> bool {
    ours.stand == Stand::Done
}

fn totals(day: &Day) -> BTreeMap<Currency, Totals> {
    let mut totals: BTreeMap<Currency, Totals> = BTreeMap::new();
    let done = day.matched.iter().chain(&day.differs).map(|(ours, _)| ours).chain(&day.ours_only);
    for ours in done {
        let total = totals.entry(ours.money.currency).or_default();
        let sum = match ours.side {
            Some(Side::Taken) => &mut total.ours_taken,
            _ => &mut total.ours_given_back,
        };
        *sum = sum.saturating_add(ours.money.minor);
    }
    let paired = day.matched.iter().chain(&day.differs).chain(&day.contradicted).map(|(_, line)| line);
    let unknown = day.unknown.iter().filter_map(|(_, line)| line.as_ref());
    let alone = day.theirs_only.iter().filter(|(_, why)| *why != Why::Conflict).map(|(line, _)| line);
    for line in paired.chain(unknown).chain(alone).chain(&day.apart) {
        let total = totals.entry(line.money.currency).or_default();
        let (sum, minor) = match line.kind {
            LineKind::Charge => (&mut total.theirs_taken, line.money.minor),
            LineKind::Refund => (&mut total.theirs_given_back, line.money.minor),
            LineKind::Chargeback => (&mut total.chargebacks, line.money.minor),
            LineKind::ChargebackReversed => (&mut total.chargebacks, -line.money.minor),
            LineKind::Fee => (&mut total.fees, line.money.minor),
            LineKind::RefundReversed | LineKind::Payout | LineKind::Other => (&mut total.fees, 0),
        };
        *sum = sum.saturating_add(minor);
        if let Some(fee) = line.fee.filter(|_| line.kind != LineKind::Fee) {
            let total = totals.entry(fee.currency).or_default();
            total.fees = total.fees.saturating_add(fee.minor);
        }
    }
    totals
}
