use super::*;
use crate::store::{
    audit::Audit,
    sqlite::{
        MIGRATIONS,
        tests::{Folder, sqlite},
    },
};
use reconcile::Report;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const MANY: u32 = 4_000;

fn line(key: String, names: Vec<String>, minor: i64) -> Line {
    Line {
        source: String::new(),
        key,
        kind: LineKind::Charge,
        names,
        attempts: vec![],
        money: Money { minor, currency: Currency::GBP },
        fee: None,
        at_unix_ms: 5_000,
        copies: 1,
    }
}

fn report() -> Report {
    let line = |n: u32| line(format!("txn_{n}"), vec![format!("ch_{n}"), format!("pi_{n}")], 100);
    Report { lines: (0..MANY).map(line).collect(), skipped: 0 }
}

async fn paid(store: &Sqlite) {
    for sql in [
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
         INSERT INTO payment (id, call, extension, merchant, minor, currency, state, created_at, updated_at)
         SELECT printf('00000000-0000-4000-8000-%012x', i), '-', '1', 'main', 100, 'GBP', 'approved', 1, 1 FROM n",
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
         INSERT INTO attempt (id, payment, number, sent_at, minor, outcome)
         SELECT printf('00000000-0000-4000-8001-%012x', i), printf('00000000-0000-4000-8000-%012x', i), 1, 4000, 100,
                json_object('outcome', 'approved', 'auth_code', '', 'gateway_ref', 'pi_' || i,
                            'amount', json_object('minor', 100, 'currency', 'GBP')) FROM n",
    ] {
        sqlx::query(sql).bind(MANY).execute(&store.writer).await.unwrap();
    }
}

/// It took the square of its payments once: a minute for so many, and half a second now.
#[tokio::test]
async fn a_day_of_many_payments_is_taken_in_and_told_in_time() {
    let (store, _folder) = sqlite().await;
    paid(&store).await;
    let (merchant, report) = ("main".parse().unwrap(), report());
    let id = Uuid::from_u128(1);
    let new = NewReport {
        id,
        merchant: &merchant,
        source: "stripe",
        format: "stripe",
        name: "a",
        sha256: b"1",
        report: &report,
    };
    let entry = Audited::system(1, "report", "ok", "-");
    let work = async {
        let (view, is_new) = store.report_insert(1, &new, &entry).await.unwrap();
        assert!(is_new && view.fresh == i64::from(MANY));
        let DayRows { ours, lines } = store.day(&merchant, Window { from: 0, until: 10_000 }).await.unwrap();
        reconcile::reconcile(Window { from: 0, until: 10_000 }, ours, lines)
    };
    let day = timeout(Duration::from_secs(15), work).await.expect("in time");
    assert!(day.is_clean());
    assert_eq!(day.matched.len(), usize::try_from(MANY).unwrap());
}

const ALL: Window = Window { from: 0, until: i64::MAX };

fn movement(key: &str, minor: i64, name: &str) -> Line {
    line(key.to_owned(), vec![name.to_owned()], minor)
}

/// Gives a report of a source in; the number names it.
async fn give(store: &Sqlite, number: u128, source: &str, format: &str, lines: Vec<Line>) -> ReportView {
    let (merchant, report) = ("main".parse().unwrap(), Report { lines, skipped: 0 });
    let (id, sha256) = (Uuid::from_u128(number), number.to_be_bytes());
    let new = NewReport { id, merchant: &merchant, source, format, name: "a.csv", sha256: &sha256, report: &report };
    let (view, is_new) = store.report_insert(1, &new, &entry()).await.unwrap();
    assert!(is_new);
    view
}

fn entry() -> Audited<'static> {
    Audited::system(1, "report", "ok", "-")
}

async fn shown(store: &Sqlite) -> Vec<(String, String, i64, u32)> {
    let DayRows { lines, .. } = store.day(&"main".parse().unwrap(), ALL).await.unwrap();
    lines.into_iter().map(|line| (line.source, line.key, line.money.minor, line.copies)).collect()
}

async fn withdraw(store: &Sqlite, number: u128) -> Vec<String> {
    let again = store.report_withdrawn(Uuid::from_u128(number), &entry()).await.unwrap().unwrap();
    store.reports_swept().await.unwrap();
    again
}

async fn rows_left(store: &Sqlite) -> i64 {
    let sql =
        "SELECT (SELECT count(*) FROM report) + (SELECT count(*) FROM report_line) + (SELECT count(*) FROM report_name)
                    + (SELECT count(*) FROM report_holds)";
    sqlx::query_scalar(sql).fetch_one(&store.reader).await.unwrap()
}

fn told(source: &str, key: &str, minor: i64, copies: u32) -> (String, String, i64, u32) {
    (source.to_owned(), key.to_owned(), minor, copies)
}

/// The second bank's lines were dropped without a word.
#[tokio::test]
async fn lines_of_two_banks_that_have_one_name_are_two_lines() {
    let (store, _folder) = sqlite().await;
    give(&store, 1, "barclays", "columns", vec![movement("1", 100, "ref-a")]).await;
    let second = give(&store, 2, "hsbc", "columns", vec![movement("1", 100, "ref-a"), movement("2", 5, "ref-b")]).await;
    assert_eq!((second.fresh, second.conflicts), (2, 0));
    assert_eq!(
        shown(&store).await,
        [told("barclays", "1", 100, 1), told("hsbc", "1", 100, 1), told("hsbc", "2", 5, 1)]
    );
}

#[tokio::test]
async fn what_two_reports_of_one_source_tell_differently_is_kept_twice() {
    let (store, _folder) = sqlite().await;
    give(&store, 1, "hsbc", "columns", vec![movement("1", 100, "ref-a"), movement("2", 7, "ref-b")]).await;
    // Another amount; the same; and the same number given anew to another movement.
    let lines = vec![movement("1", 900, "ref-a"), movement("2", 7, "ref-b"), movement("3", 1, "ref-c")];
    let second = give(&store, 2, "hsbc", "columns", lines).await;
    assert_eq!((second.lines, second.stored, second.fresh, second.conflicts), (3, 3, 2, 1));
    let third = give(&store, 3, "hsbc", "columns", vec![movement("3", 1, "ref-d")]).await;
    assert_eq!((third.fresh, third.conflicts), (1, 1));
    assert_eq!(shown(&store).await.len(), 5);
    // A gateway's own names are never given anew, whatever columns stand beside them.
    give(&store, 4, "stripe", "stripe", vec![movement("txn_1", 1, "ch_1")]).await;
    let more = give(&store, 5, "stripe", "stripe", vec![movement("txn_1", 1, "pi_1")]).await;
    assert_eq!((more.fresh, more.conflicts), (0, 0));
}

/// `copies` of what was taken back stayed, and so did the lines that it shared with a later report's.
#[tokio::test]
async fn a_report_that_is_taken_back_leaves_nothing_and_takes_nothing_of_others() {
    let (store, _folder) = sqlite().await;
    let twice = Line { copies: 2, ..movement("1", 100, "ref-a") };
    give(&store, 1, "hsbc", "columns", vec![twice, movement("2", 7, "ref-b")]).await;
    give(&store, 2, "hsbc", "columns", vec![movement("1", 100, "ref-a")]).await;
    assert_eq!(shown(&store).await, [told("hsbc", "1", 100, 2), told("hsbc", "2", 7, 1)]);
    assert!(withdraw(&store, 1).await.is_empty(), "nothing is to be given in again");
    assert_eq!(shown(&store).await, [told("hsbc", "1", 100, 1)]);
    assert!(store.report_withdrawn(Uuid::from_u128(1), &entry()).await.unwrap().is_none(), "it is gone");
    withdraw(&store, 2).await;
    assert_eq!((shown(&store).await.len(), rows_left(&store).await), (0, 0));
    give(&store, 1, "hsbc", "columns", vec![movement("1", 100, "ref-a")]).await;
}

#[tokio::test]
async fn nothing_of_a_report_counts_before_all_of_it_is_here_and_what_is_broken_off_is_swept() {
    let (store, _folder) = sqlite().await;
    give(&store, 1, "hsbc", "columns", vec![movement("1", 100, "ref-a")]).await;
    let (merchant, lines) = ("main".parse().unwrap(), vec![movement("1", 900, "ref-a"), movement("2", 7, "ref-b")]);
    let report = Report { lines, skipped: 0 };
    let id = Uuid::from_u128(2);
    let new = NewReport {
        id,
        merchant: &merchant,
        source: "hsbc",
        format: "columns",
        name: "a",
        sha256: b"2",
        report: &report,
    };
    store.broken_off(&new).await;
    assert_eq!(shown(&store).await, [told("hsbc", "1", 100, 1)]);
    let coming = store.reports(&merchant, None).await.unwrap();
    assert_eq!((coming[0].state.as_str(), coming[0].stored, coming[0].lines), ("coming", 2, 2));
    assert!(store.report_withdrawn(id, &entry()).await.unwrap().is_none(), "it is not here");
    store.reports_swept().await.unwrap();
    assert_eq!(store.reports(&merchant, None).await.unwrap().len(), 1);
    assert_eq!(shown(&store).await, [told("hsbc", "1", 100, 1)]);
    assert_eq!(rows_left(&store).await, 4);
}

/// As one transaction, 200,000 lines held every other commit back for their whole length. `TONEWALL_REPORT_LINES` takes more.
#[tokio::test]
async fn others_commit_while_a_report_comes_in() {
    let many = std::env::var("TONEWALL_REPORT_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000_u32);
    let (store, _folder) = sqlite().await;
    let lines = (0..many).map(|n| movement(&format!("txn_{n:07}"), 100, &format!("ch_{n}"))).collect();
    let (work, begun) = (store.clone(), Instant::now());
    let report = tokio::spawn(async move { give(&work, 1, "hsbc", "columns", lines).await });
    let merchant = "main".parse().unwrap();
    let stored = async || store.reports(&merchant, None).await.unwrap().first().map_or(0, |report| report.stored);
    // How long each waits, and how many lines are stored meanwhile: that a machine has much else to do makes no more of them.
    let (mut waits, mut lines_meanwhile) = (Vec::new(), Vec::new());
    while !report.is_finished() {
        let (asked, before) = (Instant::now(), stored().await);
        store.audit(&entry()).await.unwrap();
        waits.push(asked.elapsed());
        lines_meanwhile.push(stored().await - before);
    }
    let (whole, many) = (begun.elapsed(), i64::from(many));
    assert_eq!(report.await.unwrap().fresh, many);
    waits.sort_unstable();
    lines_meanwhile.sort_unstable();
    let (middle, worst) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!("{many} lines in {whole:?}; {} other commits meanwhile: median {middle:?}, worst {worst:?}", waits.len());
    let (middle, worst) = (lines_meanwhile[waits.len() / 2], lines_meanwhile[waits.len() - 1]);
    assert!(waits.len() > 10 && middle <= many / 4 && worst < many, "median {middle}, worst {worst} of {many} lines");
}

/// A database of the step before this one.
async fn old(folder: &Folder) {
    let options =
        SqliteConnectOptions::new().filename(folder.0.join("old.db")).create_if_missing(true).foreign_keys(true);
    let old = SqlitePool::connect_with(options).await.unwrap();
    for step in &MIGRATIONS[..9] {
        sqlx::raw_sql(*step).execute(&old).await.unwrap();
    }
    let rows = "CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (9);
        INSERT INTO report VALUES ('00000000-0000-0000-0000-000000000001', 'main', 'columns', 'a.csv', x'01', 2, 2, 0, 1, 2, 'w', 1);
        INSERT INTO report VALUES ('00000000-0000-0000-0000-000000000002', 'main', 'columns', 'b.csv', x'02', 2, 1, 0, 1, 2, 'w', 2);
        INSERT INTO report_line VALUES (1, 'main', 'columns', '1', 'charge', 100, 'GBP', NULL, NULL, 5000, 2, '00000000-0000-0000-0000-000000000001');
        INSERT INTO report_line VALUES (2, 'main', 'columns', '2', 'fee', 7, 'GBP', 1, 'EUR', 5000, 1, '00000000-0000-0000-0000-000000000001');
        INSERT INTO report_line VALUES (3, 'main', 'columns', '3', 'charge', 9, 'GBP', NULL, NULL, 5000, 1, '00000000-0000-0000-0000-000000000002');
        INSERT INTO report_name VALUES (1, 0, 'z-first'), (1, 1, 'a-second'), (3, 0, 'ref-c');";
    sqlx::raw_sql(rows).execute(&old).await.unwrap();
    old.close().await;
}

#[tokio::test]
async fn reports_of_before_stay_under_their_format_and_a_line_of_one_is_known_again() {
    let (_, folder) = sqlite().await;
    old(&folder).await;
    let store = Sqlite::open(&folder.0.join("old.db")).await.unwrap();
    assert_eq!(shown(&store).await.len(), 3);
    let same = Line { names: vec!["z-first".into(), "a-second".into()], ..movement("1", 100, "") };
    let fee = Some(Money { minor: 1, currency: Currency::EUR });
    let other = Line { names: vec![], kind: LineKind::Fee, fee, ..movement("2", 7, "") };
    let again = give(&store, 3, "columns", "columns", vec![same, other]).await;
    assert_eq!((again.fresh, again.conflicts), (0, 0));
    assert_eq!(withdraw(&store, 1).await, ["b.csv"], "nobody knows which of its lines that one shares");
    assert_eq!(shown(&store).await.len(), 3);
}
