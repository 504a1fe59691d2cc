mod follow_ups;
mod restored;

use super::*;
use crate::samples::{Folder, audit};
use gateway::Kind;
use uuid::Uuid;
use wire::{AttemptId, Brand, CallId, CardView, Currency, Last4, Money, Origin, Outcome, PaymentId, RecordBody};

fn attempt(number: u128, payment: u128) -> NewAttempt {
    NewAttempt {
        attempt: AttemptId(Uuid::from_u128(number)),
        kind: Kind::Authorize,
        payment: PaymentId(Uuid::from_u128(payment)),
        call: CallId(Uuid::from_u128(9)),
        extension: "1001".parse().unwrap(),
        origin: Origin::User { id: 7 },
        deadline_ms: 20_000,
        merchant: "main".parse().unwrap(),
        gateway: "sandbox".to_owned(),
        amount: Money { minor: 100, currency: Currency::GBP },
        later: false,
        follows: None,
        last: false,
        card: Some(CardView { brand: Brand::Visa, last4: Last4::new(*b"4242").unwrap(), expiry: None }),
        digest: "d".to_owned(),
        locator: None,
        keep: None,
        token: None,
        credential: None,
        reference: None,
    }
}

fn approved() -> Outcome {
    Outcome::Approved {
        auth_code: "A1".to_owned(),
        gateway_ref: "g".to_owned(),
        amount: Money { minor: 100, currency: Currency::GBP },
        checks: wire::Checks::default(),
    }
}

async fn journal(folder: &Folder) -> Journal {
    Journal::open(&folder.0.join("journal.db")).await.unwrap()
}

#[tokio::test]
async fn a_payment_never_has_two_attempts_that_may_have_taken_money() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    journal.begin(attempt(1, 1)).await.unwrap();
    assert!(matches!(journal.begin(attempt(2, 1)).await, Err(JournalError::SecondAttempt)));
    assert!(journal.end(AttemptId(Uuid::from_u128(1)), Ending::of(Outcome::Unknown)).await.unwrap());
    assert!(matches!(journal.begin(attempt(2, 1)).await, Err(JournalError::SecondAttempt)));
    assert!(journal.end(AttemptId(Uuid::from_u128(1)), Ending::of(Outcome::Rejected)).await.unwrap());
    journal.begin(attempt(2, 1)).await.unwrap();
    assert!(journal.end(AttemptId(Uuid::from_u128(2)), Ending::of(approved())).await.unwrap());
    assert!(matches!(journal.begin(attempt(3, 1)).await, Err(JournalError::SecondAttempt)));
    journal.begin(attempt(4, 2)).await.unwrap();
}

#[tokio::test]
async fn only_unknown_is_ever_replaced() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    let id = AttemptId(Uuid::from_u128(1));
    journal.begin(attempt(1, 1)).await.unwrap();
    assert!(journal.end(id, Ending::of(Outcome::Unknown)).await.unwrap());
    assert!(!journal.end(id, Ending::of(Outcome::Unknown)).await.unwrap());
    assert!(journal.end(id, Ending::of(approved())).await.unwrap());
    assert!(!journal.end(id, Ending::of(Outcome::Rejected)).await.unwrap());
    assert!(journal.open_attempts((0, i64::MAX)).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn records_wait_until_acknowledged_also_over_a_restart() {
    let folder = Folder::new();
    let first = journal(&folder).await;
    first.begin(attempt(1, 1)).await.unwrap();
    assert!(first.audit(audit()));
    first.end(AttemptId(Uuid::from_u128(1)), Ending::of(approved())).await.unwrap();
    let id = first.id();
    drop(first);

    let second = journal(&folder).await;
    assert_eq!(second.id(), id);
    let records = second.after(0).await.unwrap();
    assert_eq!(records.iter().map(|record| record.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(matches!(records[0].body, RecordBody::AttemptSent(_)));
    assert!(matches!(records[2].body, RecordBody::AttemptEnded { .. }));
    second.acknowledge(3).await;
    second.begin(attempt(2, 2)).await.unwrap();
    let records = second.after(3).await.unwrap();
    assert_eq!(records.iter().map(|record| record.number).collect::<Vec<_>>(), [4], "numbers go on without a gap");
}

#[tokio::test]
async fn an_attempt_that_was_sent_before_a_crash_is_found_again() {
    let folder = Folder::new();
    let first = journal(&folder).await;
    first.begin(attempt(1, 1)).await.unwrap();
    drop(first);
    let open = journal(&folder).await.open_attempts((0, i64::MAX)).await.unwrap().0;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].gateway, "sandbox");
}

/// Another program that has the file open.
async fn stranger(folder: &Folder) -> SqliteConnection {
    use sqlx::{ConnectOptions, Connection};
    let file = folder.0.join("journal.db");
    let connection = SqliteConnectOptions::new().filename(&file).disable_statement_logging().connect().await;
    let mut connection = connection.unwrap();
    connection.ping().await.unwrap();
    connection
}

async fn order(connection: &mut SqliteConnection, sql: &'static str) {
    sqlx::query(sql).execute(connection).await.unwrap();
}

#[tokio::test]
async fn a_clean_end_loses_nothing_that_waits() {
    let folder = Folder::new();
    let first = journal(&folder).await;
    for _ in 0..2_000 {
        assert!(first.audit(audit()));
    }
    first.close().await;
    assert!(matches!(first.begin(attempt(1, 1)).await, Err(JournalError::Busy)), "after the end nothing is taken");
    assert_eq!(*journal(&folder).await.newest().borrow(), 2_000);
}

#[tokio::test]
async fn a_disk_that_is_slow_loses_no_audit_row() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    let mut stranger = stranger(&folder).await;
    order(&mut stranger, "BEGIN IMMEDIATE").await;
    for _ in 0..QUEUE_MAX * 4 {
        assert!(journal.audit(audit()));
    }
    order(&mut stranger, "ROLLBACK").await;
    journal.close().await;
    assert_eq!(*journal.newest().borrow(), 4 * u64::try_from(QUEUE_MAX).unwrap());
}

#[tokio::test]
async fn a_disk_that_refuses_loses_no_audit_row_and_sends_no_attempt_later() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    let mut stranger = stranger(&folder).await;
    order(&mut stranger, "ALTER TABLE record RENAME TO away").await;
    assert!(journal.audit(audit()));
    assert!(matches!(journal.begin(attempt(1, 1)).await, Err(JournalError::Busy)));
    order(&mut stranger, "ALTER TABLE away RENAME TO record").await;
    let mut newest = journal.newest();
    let written = newest.wait_for(|newest| *newest > 0);
    tokio::time::timeout(Duration::from_secs(10), written).await.expect("the row is tried again").unwrap();
    let records = journal.after(0).await.unwrap();
    assert!(matches!(records[..], [Record { number: 1, body: RecordBody::Audit(_), .. }]), "{records:?}");
    assert!(
        journal.open_attempts((0, i64::MAX)).await.unwrap().0.is_empty(),
        "what was refused is not sent when the disk is back"
    );
}

#[tokio::test]
async fn a_commit_that_was_done_although_it_failed_stops_nothing() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    let mut stranger = stranger(&folder).await;
    let body = serde_json::to_string(&Record { number: 1, at_unix_ms: 0, body: RecordBody::Audit(audit()) }).unwrap();
    sqlx::query("INSERT INTO record (number, body) VALUES (1, ?)").bind(body).execute(&mut stranger).await.unwrap();
    assert!(matches!(journal.begin(attempt(1, 1)).await, Err(JournalError::Busy)));
    journal.begin(attempt(1, 1)).await.unwrap();
    assert_eq!(*journal.newest().borrow(), 2);
}

#[tokio::test]
async fn an_acknowledgment_of_what_was_never_written_is_not_believed() {
    let folder = Folder::new();
    let first = journal(&folder).await;
    first.begin(attempt(1, 1)).await.unwrap();
    first.acknowledge(u64::MAX).await;
    first.begin(attempt(2, 2)).await.unwrap();
    let numbers = |records: Vec<Record>| records.iter().map(|record| record.number).collect::<Vec<_>>();
    assert_eq!(numbers(first.after(0).await.unwrap()), [1, 2]);
    first.close().await;
    let second = journal(&folder).await;
    assert_eq!(*second.newest().borrow(), 2, "it broke: the journal believed to be at its last number");
}

/// However many are open before it.
#[tokio::test]
async fn an_attempt_is_found_by_its_name_in_any_state() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    for number in 1..=1_001 {
        journal.begin(attempt(number, number)).await.unwrap();
    }
    let located = NewAttempt { locator: Some("psp".to_owned()), ..attempt(1_002, 1_002) };
    let id = located.attempt;
    journal.begin(located).await.unwrap();
    assert!(!journal.open_attempts((0, i64::MAX)).await.unwrap().0.iter().any(|open| open.operation.attempt == id));
    assert!(journal.find(id).await.unwrap().unwrap().is_open);
    let by = async |gateway, attempt, locator| {
        let found = journal.about(gateway, attempt, locator).await.unwrap();
        found.iter().map(|noted| noted.attempt.operation.attempt).collect::<Vec<_>>()
    };
    assert_eq!(by("sandbox", None, Some("psp")).await, [id]);
    assert_eq!(by("other", Some(id), None).await, [id]);
    assert!(by("other", None, Some("psp")).await.is_empty() && by("sandbox", None, None).await.is_empty());
    journal.end(id, Ending::of(approved())).await.unwrap();
    let noted = journal.find(id).await.unwrap().unwrap();
    assert!(noted.is_approved && !noted.is_open);
}

#[tokio::test]
async fn an_order_is_known_over_a_restart_for_its_time_and_for_as_long_as_nobody_knows_its_outcome() {
    let folder = Folder::new();
    let order = |number| NewAttempt { reference: "INV-77".parse().ok(), ..attempt(number, number) };
    let first = journal(&folder).await;
    first.begin(order(1)).await.unwrap();
    first.close().await;
    drop(first);
    let second = journal(&folder).await;
    let taken = second.taken_orders().await.unwrap();
    assert_eq!((taken.len(), taken[0].payment, taken[0].reference.as_str()), (1, order(1).payment, "INV-77"));
    let age = async || {
        sqlx::query("UPDATE attempt SET sent_unix_ms = sent_unix_ms - 43200000").execute(&second.pool).await.unwrap();
    };
    age().await;
    assert!(matches!(second.begin(order(2)).await, Err(JournalError::SameOrder)), "nobody knows");
    second.end(order(1).attempt, Ending::of(approved())).await.unwrap();
    assert!(second.taken_orders().await.unwrap().is_empty(), "it was paid half a day ago");
    second.begin(order(2)).await.unwrap();
    second.end(order(2).attempt, Ending::of(approved())).await.unwrap();
    assert!(matches!(second.begin(order(3)).await, Err(JournalError::SameOrder)));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_no_switchboard_from_starting() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    let until_unix_ms = clock::unix_ms() + 60_000;
    for number in 1..=2_u8 {
        let reference: wire::Reference = format!("INV-{number}").parse().unwrap();
        let new = NewAttempt { reference: Some(reference.clone()), ..attempt(number.into(), number.into()) };
        let (payment, merchant, amount) = (new.payment, new.merchant.clone(), new.amount);
        journal.begin(new).await.unwrap();
        let order = wire::BouncedOrder { payment, merchant, amount, reference, back: None, valid_s: 60 };
        let marks = call::Marks { code: [number; 32], digits: [number + 100; 32] };
        journal.keep_order(KeptOrder { order, owner: None, marks, until_unix_ms, replaces: None }).await.unwrap();
    }
    sqlx::query("UPDATE attempt SET merchant = '' WHERE rowid = 1").execute(&journal.pool).await.unwrap();
    sqlx::query("UPDATE order_code SET valid_s = -1 WHERE rowid = 1").execute(&journal.pool).await.unwrap();
    let taken: Vec<_> = journal.taken_orders().await.unwrap().into_iter().map(|order| order.payment).collect();
    let kept: Vec<_> = journal.kept_orders().await.unwrap().into_iter().map(|(kept, _)| kept.order.payment).collect();
    assert_eq!((&taken, &kept), (&vec![attempt(2, 2).payment], &taken));
}
