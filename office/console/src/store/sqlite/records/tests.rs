use crate::store::{
    StoreError,
    audit::Audit,
    contract::journal::{PAYMENT, approved, audit, declined, ended, numbered, sent, state},
    journal::Journal,
    payments::Payments,
    sqlite::{
        Sqlite,
        tests::{Folder, sqlite},
    },
};
use std::{
    process::{Command, Stdio},
    time::Duration,
};
use uuid::Uuid;
use wire::{AuditAction, Currency, JournalId, Money, PaymentState, RecordBody};

/// A store with a journal that holds these records.
async fn with(bodies: Vec<RecordBody>) -> (Sqlite, Folder) {
    let (store, folder) = sqlite().await;
    store.journal(JournalId(Uuid::from_u128(1))).await.unwrap();
    let stored = store.records(&numbered(1, bodies)).await.unwrap();
    assert!(stored.trouble.is_none(), "{stored:?}");
    (store, folder)
}

async fn merchant(store: &Sqlite) -> String {
    let wanted = "SELECT merchant FROM payment WHERE id = ?";
    sqlx::query_scalar(wanted).bind(PAYMENT.to_string()).fetch_one(&store.writer).await.unwrap()
}

/// What broke: it stayed `-`, and no list, reconciliation or search for duplicates by merchant had it.
#[tokio::test]
async fn what_a_caller_pays_alone_is_of_its_merchant() {
    let amount = Money { minor: 4200, currency: Currency::GBP };
    let bounced = |merchant| audit(AuditAction::Bounced { payment: PAYMENT, amount, merchant, reference: None });
    let (store, _folder) = with(vec![bounced(Some("main".parse().unwrap()))]).await;
    assert_eq!(merchant(&store).await, "main");
    let (store, _folder) = with(vec![bounced(None), sent(1)]).await;
    assert_eq!(merchant(&store).await, "main", "of a record of an earlier version the attempt says it");
}

#[tokio::test]
async fn of_a_record_that_fails_nothing_is_stored() {
    let (store, _folder) = with(vec![sent(1)]).await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit WHEN NEW.result = 'approved'
                BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(full).execute(&store.writer).await.unwrap();
    let group = numbered(2, vec![ended(1, declined()), sent(2), ended(2, approved()), sent(3)]);
    let stored = store.records(&group).await.unwrap();
    assert!(matches!((stored.newest, &stored.trouble), (Some(3), Some(StoreError::Unavailable(_)))), "{stored:?}");
    assert_eq!((store.door().await.unwrap().unwrap().1, state(&store).await), (3, PaymentState::Authorizing));
    sqlx::query("DROP TRIGGER full").execute(&store.writer).await.unwrap();
    assert_eq!(store.records(&group).await.unwrap().newest, Some(5), "it is taken the next time");
    assert_eq!(state(&store).await, PaymentState::Approved);
}

/// Where the process that is killed finds the database.
const DATABASE: &str = "TONEWALL_TEST_STORE_DATABASE";
const KILLS: u64 = 15;

/// The process: it stores records for as long as it lives. As a test of its own it does nothing.
#[tokio::test]
async fn store_until_killed() {
    let Ok(database) = std::env::var(DATABASE) else { return };
    let store = Sqlite::open(database.as_ref()).await.unwrap();
    loop {
        let (_, newest) = store.door().await.unwrap().unwrap();
        let group = vec![sent(newest.into()), ended(newest.into(), declined())];
        store.records(&numbered(newest + 1, group)).await.unwrap();
    }
}

/// The contract says the same of a caller who goes away; this is the whole process, by SIGKILL.
#[tokio::test]
async fn an_office_that_is_killed_has_each_group_of_records_wholly_or_not_at_all() {
    let (store, folder) = with(Vec::new()).await;
    let database = folder.0.join("office.db");
    let mut newest = 0;
    for turn in 0..KILLS {
        let mut office = Command::new(std::env::current_exe().unwrap())
            .args(["store::sqlite::records::tests::store_until_killed", "--exact"])
            .env(DATABASE, &database)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let number = async || store.door().await.unwrap().unwrap().1;
        let begun = tokio::time::timeout(Duration::from_secs(20), async {
            while number().await == newest {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        begun.await.expect("it stores");
        tokio::time::sleep(Duration::from_micros(700 * turn)).await;
        office.kill().unwrap();
        office.wait().unwrap();
        let (before, attempts) = (newest, store.attempts(PAYMENT).await.unwrap().len());
        newest = number().await;
        let rows = store.audit_of_payment(&PAYMENT.to_string()).await.unwrap().len();
        let rows = u64::try_from(rows).unwrap();
        assert!(newest > before && newest.is_multiple_of(2), "turn {turn}: {newest} after {before}");
        assert_eq!((u64::try_from(attempts).unwrap(), rows), (newest / 2, newest.min(500)), "turn {turn}");
    }
}
