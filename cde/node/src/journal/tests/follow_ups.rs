//! What follows an authorization, and what the journal does not let through.

use super::*;
use sqlx::Connection;
use wire::Refusal;

const fn pounds(minor: i64) -> Money {
    Money { minor, currency: Currency::GBP }
}

fn id(number: u128) -> AttemptId {
    AttemptId(Uuid::from_u128(number))
}

fn payment(number: u128) -> PaymentId {
    PaymentId(Uuid::from_u128(number))
}

/// Of the authorization 1 of payment 1.
fn follow_up(number: u128, kind: Kind, minor: i64) -> NewAttempt {
    NewAttempt { kind, follows: Some(id(1)), amount: pounds(minor), card: None, ..attempt(number, 1) }
}

/// Payment 1 with an approved authorization of 1.00.
async fn approved_journal(folder: &Folder, later: bool) -> Journal {
    let journal = journal(folder).await;
    journal.begin(NewAttempt { later, ..attempt(1, 1) }).await.unwrap();
    assert!(journal.end(id(1), Ending::of(approved())).await.unwrap());
    journal
}

async fn refusal(journal: &Journal, attempt: NewAttempt) -> Option<Refusal> {
    match journal.begin(attempt).await {
        Ok(()) => None,
        Err(JournalError::Refused(reason)) => Some(reason),
        Err(error) => panic!("{error}"),
    }
}

fn done(minor: i64) -> Ending {
    Ending::of(Outcome::Approved {
        auth_code: String::new(),
        gateway_ref: "g".to_owned(),
        amount: pounds(minor),
        checks: wire::Checks::default(),
    })
}

#[tokio::test]
async fn no_more_is_refunded_than_was_captured_while_answers_are_awaited() {
    let folder = Folder::new();
    let journal = approved_journal(&folder, false).await;
    assert_eq!(refusal(&journal, follow_up(2, Kind::Refund, 60)).await, None);
    assert_eq!(refusal(&journal, follow_up(3, Kind::Refund, 41)).await, Some(Refusal::AboveCaptured));
    assert!(journal.end(id(2), Ending::of(Outcome::Unknown)).await.unwrap());
    assert_eq!(refusal(&journal, follow_up(3, Kind::Refund, 41)).await, Some(Refusal::AboveCaptured));
    assert!(journal.end(id(2), Ending::of(Outcome::Abandoned)).await.unwrap());
    assert_eq!(refusal(&journal, follow_up(3, Kind::Refund, 100)).await, None);
    assert!(journal.end(id(3), done(100)).await.unwrap());
    assert_eq!(refusal(&journal, follow_up(4, Kind::Refund, 1)).await, Some(Refusal::AboveCaptured));
}

/// Two clerks press at the same moment: both commands are written in one transaction, and one is refused.
#[tokio::test]
async fn refunds_that_are_written_together_are_still_no_more_than_was_captured() {
    let folder = Folder::new();
    let journal = approved_journal(&folder, false).await;
    let mut writing = Vec::new();
    for number in 10..40 {
        let journal = journal.clone();
        writing.push(tokio::spawn(async move { journal.begin(follow_up(number, Kind::Refund, 30)).await.is_ok() }));
    }
    let mut begun = 0;
    for task in writing {
        begun += usize::from(task.await.unwrap());
    }
    assert_eq!(begun, 3);
}

#[tokio::test]
async fn no_more_is_captured_than_was_approved_and_only_what_was_captured_is_refunded() {
    let folder = Folder::new();
    let journal = approved_journal(&folder, true).await;
    assert_eq!(refusal(&journal, follow_up(2, Kind::Refund, 1)).await, Some(Refusal::AboveCaptured));
    assert_eq!(refusal(&journal, follow_up(3, Kind::Capture, 101)).await, Some(Refusal::AboveApproved));
    assert_eq!(refusal(&journal, follow_up(3, Kind::Capture, 70)).await, None);
    assert_eq!(refusal(&journal, follow_up(4, Kind::Capture, 31)).await, Some(Refusal::AboveApproved));
    assert_eq!(refusal(&journal, follow_up(5, Kind::Refund, 1)).await, Some(Refusal::AboveCaptured));
    assert!(journal.end(id(3), done(70)).await.unwrap());
    assert_eq!(refusal(&journal, follow_up(6, Kind::Refund, 71)).await, Some(Refusal::AboveCaptured));
    assert_eq!(refusal(&journal, follow_up(6, Kind::Refund, 70)).await, None);
}

#[tokio::test]
async fn the_same_attempt_again_is_the_same_attempt() {
    let folder = Folder::new();
    let journal = approved_journal(&folder, false).await;
    journal.begin(follow_up(2, Kind::Refund, 60)).await.unwrap();
    assert!(matches!(journal.begin(follow_up(2, Kind::Refund, 60)).await, Err(JournalError::BegunBefore)));
    assert_eq!(journal.account(payment(1)).await.unwrap().unwrap().balance.refundable(), pounds(40));
}

#[tokio::test]
async fn a_payment_that_was_given_back_may_be_taken_again() {
    let folder = Folder::new();
    let journal = approved_journal(&folder, false).await;
    assert!(matches!(journal.begin(attempt(7, 1)).await, Err(JournalError::SecondAttempt)));
    journal.begin(follow_up(2, Kind::Void, 100)).await.unwrap();
    assert!(matches!(journal.begin(attempt(7, 1)).await, Err(JournalError::SecondAttempt)), "it is not back yet");
    assert!(journal.end(id(2), done(100)).await.unwrap());
    let account = journal.account(payment(1)).await.unwrap().unwrap();
    assert!(account.balance.is_voided());
    assert_eq!(refusal(&journal, follow_up(3, Kind::Refund, 1)).await, Some(Refusal::Voided));
    journal.begin(attempt(7, 1)).await.unwrap();
}

#[tokio::test]
async fn an_approval_that_is_to_go_back_is_remembered_until_it_has() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    journal.begin(attempt(1, 1)).await.unwrap();
    let ending = Ending { reversal: Some(Reversal::Late), ..Ending::of(approved()) };
    assert!(journal.end(id(1), ending).await.unwrap());
    journal.close().await;
    let journal = Journal::open(&folder.0.join("journal.db")).await.unwrap();
    assert_eq!(
        journal.reversals_wanted((0, i64::MAX)).await.unwrap().0,
        [Wanted { payment: payment(1), attempt: id(1) }]
    );
    // By a refund of all of it, as by a void.
    journal.begin(follow_up(2, Kind::Refund, 60)).await.unwrap();
    assert!(journal.end(id(2), done(60)).await.unwrap());
    assert_eq!(journal.reversals_wanted((0, i64::MAX)).await.unwrap().0.len(), 1);
    assert_eq!(journal.standing(id(1)).await.unwrap(), Some(Outcome::Unknown));
    journal.begin(follow_up(3, Kind::Refund, 40)).await.unwrap();
    assert!(journal.end(id(3), done(40)).await.unwrap());
    assert!(journal.reversals_wanted((0, i64::MAX)).await.unwrap().0.is_empty());
    let declined = Outcome::Declined { class: wire::DeclineClass::Other, network_code: None };
    assert_eq!(journal.standing(id(1)).await.unwrap(), Some(declined));
}

/// An agent who was told "approved" would let the caller go.
#[tokio::test]
async fn an_approval_that_a_rule_does_not_want_is_never_told() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    journal.begin(attempt(1, 1)).await.unwrap();
    let ending = Ending { reversal: Some(Reversal::WrongAddress), ..Ending::of(approved()) };
    assert!(journal.end(id(1), ending).await.unwrap());
    assert!(matches!(journal.begin(attempt(7, 1)).await, Err(JournalError::SecondAttempt)));
    assert_eq!(journal.standing(id(1)).await.unwrap(), Some(Outcome::Unknown));
    journal.begin(follow_up(2, Kind::Void, 100)).await.unwrap();
    assert!(journal.end(id(2), done(100)).await.unwrap());
    let records = journal.after(0).await.unwrap();
    assert_eq!(records.iter().map(|record| record.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let told: Vec<_> = records
        .into_iter()
        .filter_map(|record| match record.body {
            RecordBody::AttemptEnded { attempt, outcome, .. } => Some((attempt, outcome)),
            _ => None,
        })
        .collect();
    let declined = Outcome::Declined { class: wire::DeclineClass::WrongAddress, network_code: None };
    assert_eq!((told[0].clone(), told[2].clone()), ((id(1), Outcome::Unknown), (id(1), declined.clone())));
    assert_eq!(journal.standing(id(1)).await.unwrap(), Some(declined));
    journal.begin(attempt(7, 1)).await.unwrap();
}

/// The writer is right by its own check; this is what stands behind it.
#[tokio::test]
async fn the_tables_themselves_refuse_what_the_writer_would_have_let_through() {
    let folder = Folder::new();
    let journal = approved_journal(&folder, false).await;
    journal.begin(follow_up(2, Kind::Refund, 60)).await.unwrap();
    journal.close().await;
    let url = format!("sqlite://{}", folder.0.join("journal.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let insert = |kind: &str, minor: i64| {
        sqlx::AssertSqlSafe(format!(
            "INSERT INTO attempt (id, payment, call, merchant, gateway, amount_minor, currency, digest, sent_unix_ms, \
             deadline_unix_ms, state, kind, follows) \
             VALUES ('x{kind}{minor}', '{}', 'c', 'm', 'g', {minor}, 'GBP', 'd', 0, 0, 'sent', '{kind}', '{}')",
            payment(1),
            id(1)
        ))
    };
    for (kind, minor, accepted) in
        [("refund", 41, false), ("capture", 1, false), ("refund", 40, true), ("refund", 1, false)]
    {
        let written = sqlx::raw_sql(insert(kind, minor)).execute(&mut connection).await;
        assert_eq!(written.is_ok(), accepted, "{kind} {minor}");
    }
    let changed = sqlx::raw_sql("UPDATE attempt SET amount_minor = 1").execute(&mut connection).await;
    assert!(changed.is_err());
}

/// A journal as the first release wrote it.
#[tokio::test]
async fn an_older_journal_is_brought_up_to_date_with_what_it_holds() {
    let folder = Folder::new();
    let url = format!("sqlite://{}?mode=rwc", folder.0.join("journal.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(include_str!("../first.sql")).execute(&mut connection).await.unwrap();
    let rows = format!(
        "INSERT INTO journal (id) VALUES ('{0}');
         INSERT INTO attempt VALUES ('{1}', '{2}', '{0}', 'main', 'sandbox', 100, 'GBP', 'd', 5, 6, 'approved');
         INSERT INTO attempt VALUES ('{0}', '{0}', '{0}', 'main', 'sandbox', 100, 'GBP', 'd', 5, 6, 'unknown');",
        id(9),
        id(1),
        payment(1)
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let journal = journal(&folder).await;
    assert_eq!(journal.account(payment(1)).await.unwrap().unwrap().balance.refundable(), pounds(100));
    assert_eq!(journal.open_attempts((0, i64::MAX)).await.unwrap().0.len(), 1);
    assert!(matches!(journal.begin(attempt(7, 1)).await, Err(JournalError::SecondAttempt)));
}

/// What a follow-up is begun with is the name of what it follows.
#[tokio::test]
async fn a_gateway_has_got_a_follow_up_when_it_has_a_name_of_its_own_for_it() {
    let folder = Folder::new();
    let journal = approved_journal(&folder, false).await;
    let refund = NewAttempt { locator: Some("g".to_owned()), ..follow_up(2, Kind::Refund, 60) };
    journal.begin(refund).await.unwrap();
    assert!(!journal.find(id(2)).await.unwrap().unwrap().attempt.is_named);
    let received = Ending { locator: Some("r".to_owned()), ..Ending::of(Outcome::Unknown) };
    assert!(journal.end(id(2), received).await.unwrap());
    assert!(journal.find(id(2)).await.unwrap().unwrap().attempt.is_named);
}
