//! Gateways' reports.

use super::{MoneyPlace, MoneyRooms, abandoned};
use crate::store::{
    audit::{Audit, Entry},
    reconciliations::{DayRows, NewReport, Reconciliations, ReportView},
};
use reconcile::{Line, LineKind, Report, Window};
use uuid::Uuid;
use wire::{Currency, MerchantId, Money};

const ALL: Window = Window { from: 0, until: i64::MAX };

fn merchant() -> MerchantId {
    "main".parse().unwrap()
}

fn line(key: &str, minor: i64, name: &str) -> Line {
    Line {
        source: String::new(),
        key: key.to_owned(),
        kind: LineKind::Charge,
        names: vec![name.to_owned()],
        attempts: vec![],
        money: Money { minor, currency: Currency::GBP },
        fee: None,
        at_unix_ms: 5_000,
        copies: 1,
    }
}

fn entry(object: &str) -> Entry<'static> {
    Entry::system(1, "report", "ok", object)
}

/// Gives a report in as its number names it; true: it is new.
async fn give(store: &impl MoneyRooms, number: u128, source: &str, lines: Vec<Line>) -> (ReportView, bool) {
    let (merchant, report) = (merchant(), Report { lines, skipped: 0 });
    let (id, sha256, format) = (Uuid::from_u128(number), number.to_be_bytes(), "columns");
    let new = NewReport { id, merchant: &merchant, source, format, name: "a.csv", sha256: &sha256, report: &report };
    store.report_insert(1, &new, &entry(&number.to_string())).await.unwrap()
}

/// Source, key, amount and copies of every line.
async fn shown(store: &impl Reconciliations) -> Vec<(String, String, i64, u32)> {
    let DayRows { lines, .. } = store.day(&merchant(), ALL).await.unwrap();
    lines.into_iter().map(|line| (line.source, line.key, line.money.minor, line.copies)).collect()
}

fn told(source: &str, key: &str, minor: i64, copies: u32) -> (String, String, i64, u32) {
    (source.to_owned(), key.to_owned(), minor, copies)
}

pub(super) async fn a_report_is_taken_in_once_and_its_lines_are_its_sources<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let place = fresh();
    let (store, other) = (place.open().await, place.open().await);
    give(&store, 1, "barclays", vec![line("1", 100, "ref-a")]).await;
    let (second, is_new) = give(&other, 2, "hsbc", vec![line("1", 100, "ref-a"), line("2", 5, "ref-b")]).await;
    assert_eq!((is_new, second.fresh, second.conflicts), (true, 2, 0));
    let all = [told("barclays", "1", 100, 1), told("hsbc", "1", 100, 1), told("hsbc", "2", 5, 1)];
    assert_eq!(shown(&store).await, all);
    let (same, is_new) = give(&store, 2, "hsbc", vec![line("1", 100, "ref-a"), line("2", 5, "ref-b")]).await;
    assert_eq!((is_new, same.id), (false, second.id));
    let (third, _) = give(&store, 3, "hsbc", vec![line("1", 900, "ref-a"), line("2", 5, "ref-b")]).await;
    assert_eq!((third.lines, third.fresh, third.conflicts), (2, 1, 1), "what is told differently is kept twice");
    let ids: Vec<_> = other.reports(&merchant(), None).await.unwrap().into_iter().map(|report| report.id).collect();
    assert_eq!(ids, [3, 2, 1].map(|id| Uuid::from_u128(id).to_string()), "the newest first");
    assert!(other.reports(&merchant(), Some(Window { from: 5_001, until: 9_000 })).await.unwrap().is_empty());
    assert!(other.day(&"another".parse().unwrap(), ALL).await.unwrap().lines.is_empty());
}

pub(super) async fn a_report_that_is_taken_back_takes_nothing_of_others<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let place = fresh();
    let (store, other) = (place.open().await, place.open().await);
    let twice = Line { copies: 2, ..line("1", 100, "ref-a") };
    give(&store, 1, "hsbc", vec![twice, line("2", 7, "ref-b")]).await;
    give(&store, 2, "hsbc", vec![line("1", 100, "ref-a")]).await;
    let back = async |store: &P::Store| store.report_withdrawn(Uuid::from_u128(1), &entry("back")).await.unwrap();
    let both = tokio::join!(back(&store), back(&other));
    assert_eq!([both.0, both.1].into_iter().flatten().collect::<Vec<_>>(), [Vec::<String>::new()], "once");
    assert_eq!(shown(&other).await, [told("hsbc", "1", 100, 1)], "at once");
    store.reports_swept().await.unwrap();
    assert_eq!(shown(&other).await, [told("hsbc", "1", 100, 1)], "and for good");
    assert_eq!(store.audit_of_object("back").await.unwrap().len(), 1);
}

/// What was broken off is swept away by whoever takes one in after it.
pub(super) async fn nothing_of_a_report_counts_before_all_of_it_is_here<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let place = fresh();
    let (store, other) = (place.open().await, place.open().await);
    let mut here = 0;
    for turn in 0..40_u32 {
        let lines = (0..3).map(|n| line(&format!("{turn}-{n}"), 1, &format!("ref-{turn}-{n}"))).collect::<Vec<_>>();
        abandoned(&store, 3 * turn, give(&store, turn.into(), "hsbc", lines.clone())).await;
        let (seen, rows) = (shown(&other).await.len(), other.audit_of_object(&turn.to_string()).await.unwrap().len());
        assert!((seen, rows) == (here, 0) || (seen, rows) == (here + 3, 1), "turn {turn}: {seen} lines, {rows} rows");
        give(&other, turn.into(), "hsbc", lines).await;
        here += 3;
        assert_eq!(shown(&store).await.len(), here);
        assert_eq!(store.audit_of_object(&turn.to_string()).await.unwrap().len(), 1);
    }
}
