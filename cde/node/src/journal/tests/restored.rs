//! An office that was restored from a backup.

use super::*;
use wire::{BouncedOrder, CaptureTime, DeclineClass, Restored, ToldAgain};

fn id(number: u128) -> AttemptId {
    AttemptId(Uuid::from_u128(number))
}

async fn keeping(folder: &Folder, days: u16) -> Journal {
    Journal::open_keeping(&folder.0.join("journal.db"), days).await.unwrap()
}

/// An attempt with its end: two records each.
async fn paid(journal: &Journal, numbers: std::ops::RangeInclusive<u128>) {
    for number in numbers {
        journal.begin(attempt(number, number)).await.unwrap();
        journal.end(id(number), Ending::of(approved())).await.unwrap();
    }
}

async fn numbers(journal: &Journal, after: u64) -> Vec<u64> {
    journal.after(after).await.unwrap().iter().map(|record| record.number).collect()
}

/// All records after a number, over its pages.
async fn all(journal: &Journal, mut after: u64) -> Vec<Record> {
    let mut all = Vec::new();
    loop {
        let page = journal.after(after).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.number;
        all.extend(page);
    }
}

fn restored(record: &Record) -> Restored {
    let RecordBody::OfficeRestored(restored) = record.body else { panic!("{record:?}") };
    restored
}

fn again(record: &Record) -> ToldAgain {
    let RecordBody::AttemptToldAgain(again) = &record.body else { panic!("{record:?}") };
    (**again).clone()
}

fn capture(body: &RecordBody) -> Option<CaptureTime> {
    if let RecordBody::AttemptSent(wire::AttemptSent { capture, .. }) = body { *capture } else { None }
}

#[tokio::test]
async fn an_office_of_a_young_backup_is_sent_everything_once_more_and_told_once() {
    let folder = Folder::new();
    let journal = keeping(&folder, 1).await;
    paid(&journal, 1..=2).await;
    journal.begin(NewAttempt { later: true, ..attempt(3, 3) }).await.unwrap();
    journal.end(id(3), Ending::of(approved())).await.unwrap();
    journal.acknowledge(6).await;
    journal.office_has(6).await.unwrap();
    assert_eq!(numbers(&journal, 0).await, [1, 2, 3, 4, 5, 6], "it has forgotten nothing");
    journal.office_has(2).await.unwrap();
    let records = journal.after(2).await.unwrap();
    assert_eq!(records.iter().map(|record| record.number).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    let captures: Vec<_> = records.iter().filter_map(|record| capture(&record.body)).collect();
    assert_eq!(captures, [CaptureTime::Now, CaptureTime::Later], "nobody else tells a reservation from what is taken");
    let told = restored(records.last().unwrap());
    assert_eq!((told.stored, told.acknowledged, told.gone, told.told_again), (2, 6, 0, 0));
    assert_eq!(told.since_unix_ms, Some(records[0].at_unix_ms));
    journal.office_has(2).await.unwrap();
    journal.acknowledge(7).await;
    journal.office_has(7).await.unwrap();
    assert_eq!(*journal.newest().borrow(), 7, "it is said once");
}

#[tokio::test]
async fn where_records_are_gone_every_attempt_is_told_again_by_its_row() {
    let folder = Folder::new();
    let journal = keeping(&folder, 0).await;
    let later = NewAttempt { later: true, reference: "INV-7".parse().ok(), ..attempt(1, 1) };
    journal.begin(later).await.unwrap();
    journal.end(id(1), Ending::of(approved())).await.unwrap();
    let capture = NewAttempt { kind: Kind::Capture, follows: Some(id(1)), card: None, ..attempt(2, 1) };
    journal.begin(capture).await.unwrap();
    let wrong = Outcome::Declined { class: DeclineClass::WrongCvv, network_code: Some("N7".to_owned()) };
    journal.begin(attempt(3, 3)).await.unwrap();
    journal.end(id(3), Ending::of(wrong.clone())).await.unwrap();
    journal.acknowledge(5).await;
    journal.office_has(1).await.unwrap();
    let records = journal.after(1).await.unwrap();
    assert_eq!(records.iter().map(|record| record.number).collect::<Vec<_>>(), [6, 7, 8, 9]);
    let told: Vec<_> = records[..3].iter().map(again).collect();
    let card = attempt(1, 1).card;
    assert_eq!((told[0].attempt, told[0].capture, told[0].card), (id(1), CaptureTime::Later, card));
    assert_eq!((&told[0].outcome, told[0].reference.as_ref().unwrap().as_str()), (&approved(), "INV-7"));
    assert_eq!((told[1].kind, told[1].card, &told[1].outcome), (Kind::Capture, None, &Outcome::Unknown), "in flight");
    assert_eq!(told[2].outcome, wrong, "with its class and code");
    assert_eq!(told.iter().map(|told| told.place).collect::<Vec<_>>(), [1, 2, 1]);
    let told = restored(&records[3]);
    let expected = Restored { stored: 1, acknowledged: 5, since_unix_ms: None, gone: 4, told_again: 3 };
    assert_eq!(told, expected);
    // A version before this one has written neither card nor outcome.
    sqlx::query("UPDATE attempt SET told = NULL, card = NULL").execute(&journal.pool).await.unwrap();
    journal.acknowledge(9).await;
    journal.office_has(0).await.unwrap();
    let told: Vec<_> = journal.after(9).await.unwrap()[..3].iter().map(again).collect();
    assert!(
        matches!(&told[0].outcome, Outcome::Approved { amount, gateway_ref, .. } if amount.minor == 100 && gateway_ref == "g")
    );
    assert_eq!((told[0].card, &told[1].outcome), (None, &Outcome::Unknown));
    assert!(matches!(told[2].outcome, Outcome::Declined { class: DeclineClass::Other, .. }));
}

#[tokio::test]
async fn what_is_to_be_given_back_is_told_again_as_it_was_told() {
    let folder = Folder::new();
    let journal = keeping(&folder, 0).await;
    journal.begin(attempt(1, 1)).await.unwrap();
    let wrong = Ending { reversal: Some(Reversal::WrongCvv), ..Ending::of(approved()) };
    journal.end(id(1), wrong).await.unwrap();
    let told = async |has: u64, noted: bool| {
        if !noted {
            sqlx::query("UPDATE attempt SET told = NULL").execute(&journal.pool).await.unwrap();
        }
        journal.acknowledge(*journal.newest().borrow()).await;
        let newest = *journal.newest().borrow();
        journal.office_has(has).await.unwrap();
        again(&journal.after(newest).await.unwrap()[0]).outcome
    };
    let (noted, by_its_row) = (told(0, true).await, told(0, false).await);
    assert_eq!((noted, by_its_row), (Outcome::Unknown, Outcome::Unknown), "nobody is told that it is approved");
    journal.begin(NewAttempt { kind: Kind::Void, follows: Some(id(1)), ..attempt(2, 1) }).await.unwrap();
    journal.end(id(2), Ending::of(approved())).await.unwrap();
    let declined = Outcome::Declined { class: DeclineClass::WrongCvv, network_code: None };
    assert_eq!((told(0, true).await, told(0, false).await), (declined.clone(), declined));
}

#[tokio::test]
async fn a_death_while_attempts_are_told_again_loses_no_number_and_no_attempt() {
    let folder = Folder::new();
    let first = keeping(&folder, 0).await;
    paid(&first, 1..=600).await;
    for _ in 0..3 {
        first.acknowledge(1_200).await;
    }
    // The first page, and then nobody asks for the next one.
    let (done, answer) = oneshot::channel();
    first.writes.send(Write::TellAgain(Some(7), done)).await.unwrap();
    assert!(answer.await.unwrap().unwrap(), "there is more");
    first.close().await;
    drop(first);
    let second = keeping(&folder, 0).await;
    assert_eq!(*second.newest().borrow(), 1_200 + u64::try_from(PAGE).unwrap());
    second.office_has(7).await.unwrap();
    let records = all(&second, 7).await;
    let (last, attempts) = records.split_last().unwrap();
    assert_eq!((attempts.len(), restored(last).told_again, restored(last).gone), (600, 600, 1_193));
    assert!((1_201..).zip(&records).all(|(number, record)| record.number == number));
    assert!((1..).zip(attempts).all(|(number, record)| again(record).attempt == id(number)));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_tells_nothing_by_halves() {
    let folder = Folder::new();
    let journal = keeping(&folder, 0).await;
    paid(&journal, 1..=3).await;
    journal.acknowledge(6).await;
    journal.acknowledge(6).await;
    sqlx::query("UPDATE attempt SET told = 'x' WHERE rowid = 2").execute(&journal.pool).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(journal.office_has(0).await, Err(JournalError::Row(_))), "it is not passed over");
        assert_eq!((numbers(&journal, 0).await, *journal.newest().borrow()), (Vec::new(), 6));
    }
    journal.begin(attempt(4, 4)).await.unwrap();
    assert_eq!(numbers(&journal, 0).await, [7], "and what comes after is written");
    sqlx::query("UPDATE attempt SET told = NULL WHERE rowid = 2").execute(&journal.pool).await.unwrap();
    assert_eq!(*journal.restores().borrow(), 0);
    journal.office_has(0).await.unwrap();
    assert_eq!((restored(all(&journal, 0).await.last().unwrap()).told_again, *journal.restores().borrow()), (4, 1));
}

#[tokio::test]
async fn only_the_oldest_records_go_and_never_one_that_waits() {
    let folder = Folder::new();
    let journal = keeping(&folder, 1).await;
    paid(&journal, 1..=2).await;
    // A clock that was wrong for a while.
    let old = "UPDATE record SET at_unix_ms = 1 WHERE number <> 2";
    sqlx::query(old).execute(&journal.pool).await.unwrap();
    journal.acknowledge(3).await;
    journal.office_has(3).await.unwrap();
    assert_eq!(numbers(&journal, 0).await, [2, 3, 4], "no gap in the middle");
    sqlx::query("UPDATE record SET at_unix_ms = 1").execute(&journal.pool).await.unwrap();
    journal.acknowledge(3).await;
    journal.office_has(3).await.unwrap();
    assert_eq!(numbers(&journal, 0).await, [4]);
}

#[tokio::test]
async fn a_journal_with_a_new_id_begins_at_one() {
    let folder = Folder::new();
    let journal = keeping(&folder, 1).await;
    paid(&journal, 1..=2).await;
    journal.acknowledge(2).await;
    journal.rename().await.unwrap();
    let records = journal.after(0).await.unwrap();
    assert_eq!(records.iter().map(|record| record.number).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(records[0].body, RecordBody::AttemptSent(wire::AttemptSent { attempt, .. }) if attempt == id(2)));
    assert_eq!(*journal.newest().borrow(), 2);
    journal.office_has(0).await.unwrap();
    paid(&journal, 3..=3).await;
    assert_eq!(numbers(&journal, 2).await, [3, 4], "nobody was restored");
    journal.close().await;
    assert_eq!(*self::journal(&folder).await.newest().borrow(), 4);
}

fn order(number: u8, replaces: Option<u128>) -> KeptOrder {
    KeptOrder {
        order: BouncedOrder {
            payment: PaymentId(Uuid::from_u128(number.into())),
            merchant: "main".parse().unwrap(),
            amount: Money { minor: 100, currency: Currency::GBP },
            reference: "INV-77".parse().unwrap(),
            back: None,
            valid_s: 3600,
        },
        owner: Some(7),
        marks: call::Marks { code: [number; 32], digits: [number + 100; 32] },
        until_unix_ms: clock::unix_ms() + 3_600_000 + i64::from(number),
        replaces: replaces.map(|before| PaymentId(Uuid::from_u128(before))),
    }
}

/// What broke: a code that was used since the backup was good again, and one order could be paid twice.
#[tokio::test]
async fn no_code_that_waits_in_a_backup_is_good_when_the_journal_is_put_back() {
    let (folder, before) = (Folder::new(), Folder::new());
    let journal = keeping(&before, 1).await;
    journal.keep_order(order(1, None)).await.unwrap();
    let used = PaymentId(Uuid::from_u128(1));
    journal.close().await;
    std::fs::copy(before.0.join("journal.db"), folder.0.join("journal.db")).unwrap();
    let journal = keeping(&before, 1).await;
    assert!(journal.use_code(used).await.unwrap());
    let restored = keeping(&folder, 1).await;
    let states = async |journal: &Journal| {
        let kept = journal.kept_orders().await.unwrap();
        kept.iter().map(|(_, state)| *state).collect::<Vec<_>>()
    };
    assert_eq!(states(&restored).await, [CodeState::Waiting], "the control: so it stands in the backup");
    restored.rename().await.unwrap();
    assert_eq!(states(&restored).await, [CodeState::Replaced], "so the next switchboard is told");
    assert!(!restored.use_code(used).await.unwrap(), "and this one, whatever it knows, answers no call with it");
    restored.keep_order(order(2, Some(1))).await.unwrap();
    assert!(restored.use_code(PaymentId(Uuid::from_u128(2))).await.unwrap(), "what is ordered anew is good");
}

fn token(number: u128) -> wire::Token {
    let first = u8::try_from(number * 20).unwrap();
    (first..=u8::MAX).find_map(|byte| wire::Token::from_random(&[byte; wire::Token::BYTES])).unwrap()
}

/// An attempt by which a card was kept that is forgotten now, by whose word.
async fn forgotten(journal: &Journal, number: u128, by_hand: Option<wire::ByHand>) {
    let new = attempt(number, number);
    let (card, merchant) = (new.card.unwrap(), new.merchant.clone());
    let token = token(number);
    journal.begin(NewAttempt { keep: Some(Keep { token: token.clone(), card }), ..new }).await.unwrap();
    let keeper = wire::Keeper::Gateway;
    let card = wire::KeptCard { token: token.clone(), merchant: merchant.clone(), card, keeper, same_as: None };
    let kept = Kept { card, gateway: Some(("sandbox".to_owned(), "gw".to_owned())) };
    journal.end(id(number), Ending { kept: Some(Ok(kept)), ..Ending::of(approved()) }).await.unwrap();
    assert!(journal.begin_forgetting(&token, &merchant).await.unwrap());
    match by_hand {
        None => assert!(journal.forget(&token, &merchant).await.unwrap()),
        Some(people) => assert!(journal.forget_by_hand(&token, &merchant, people).await.unwrap()),
    }
}

/// What broke: two people's word was told again as the gateway's.
#[tokio::test]
async fn that_two_people_say_that_a_card_is_deleted_is_told_again_as_their_word() {
    let folder = Folder::new();
    let journal = keeping(&folder, 0).await;
    let people = Some(wire::ByHand { said_by: 1, confirmed_by: 2 });
    forgotten(&journal, 1, people).await;
    forgotten(&journal, 2, None).await;
    // Two others say so of both, later.
    for number in 1..=2 {
        let others = wire::ByHand { said_by: 3, confirmed_by: 4 };
        let is_news = journal.forget_by_hand(&token(number), &"main".parse().unwrap(), others).await.unwrap();
        assert!(!is_news, "the first word stands");
    }
    let newest = *journal.newest().borrow();
    journal.acknowledge(newest).await;
    journal.office_has(1).await.unwrap();
    let records = journal.after(newest).await.unwrap();
    let told: Vec<_> = records[..2].iter().map(again).collect();
    assert!(told.iter().all(|told| told.is_forgotten && told.kept.is_some()), "{told:?}");
    assert_eq!(told.iter().map(|told| told.by_hand).collect::<Vec<_>>(), [people, None]);
}
