//! What a process before this one has left over: asked for, or brought before people where nobody can be asked.

use super::keeping::{POUNDS, World, bank, bank_that_deletes, end, forget, outcome, pay, token, world, world_of};
use super::{Folder, alarmed, alarms, row, settle};
use crate::charge::{Charger, UnderWay};
use crate::journal::{Ending, NewAttempt, Reversal};
use gateway::{Answer, Approval, Kind, Operation};
use sqlx::{ConnectOptions, Connection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wire::{AttemptId, MoneyAlarm, Outcome, PaymentId, Refusal, Store, Token};

/// A file in which another gateway stands where `g` was.
fn without_g(url: &str) -> String {
    format!(
        "[[gateway]]\nname = \"new\"\nadapter = \"sandbox\"\nurl = \"{url}\"\n[[merchant]]\nid = \"m\"\ngateway = \"new\"\n"
    )
}

fn pounds(number: u128) -> NewAttempt {
    NewAttempt { amount: POUNDS, ..row(number, None) }
}

/// Waits until people have been told this of a payment.
async fn told(charger: &Charger, number: u128, alarm: MoneyAlarm) {
    alarmed(&charger.journal, (PaymentId::from_random(number), alarm)).await;
}

/// It was a line in a log, and the money of the attempt nobody's business.
#[tokio::test]
async fn what_was_sent_to_a_gateway_that_is_gone_is_brought_before_people_once_and_their_word_is_taken() {
    let folder = Folder::new();
    let World { charger, .. } = world_of(&folder, &without_g("http://127.0.0.1:9"), None).await;
    let stored = Token::from_random(&[3; Token::BYTES]);
    let deletion = NewAttempt { kind: Kind::DeleteStored, token: stored, ..row(4, None) };
    let rows = [pounds(1), NewAttempt { kind: Kind::Store, ..row(2, None) }, pounds(3), deletion];
    let ids = rows.each_ref().map(|row| row.attempt);
    for row in rows {
        charger.journal.begin(row).await.unwrap();
    }
    // The process before this one has written of two that they are unknown, and may have told people so.
    for unknown in [ids[2], ids[3]] {
        charger.journal.end(unknown, Ending::of(Outcome::Unknown)).await.unwrap();
    }
    assert_eq!(charger.command(&settle(ids[0])).await, Err(Refusal::GatewayIsAsked), "as far as anybody knows");
    for _ in 0..2 {
        charger.clone().settle_left_over(i64::MAX).await;
        for number in 1..=3 {
            told(&charger, number, MoneyAlarm::NeedsPeople).await;
        }
    }
    for attempt in &ids[..3] {
        assert_eq!(charger.command(&settle(*attempt)).await, Ok(()));
        assert_eq!(charger.journal.standing(*attempt).await.unwrap(), Some(Outcome::Abandoned));
    }
    assert_eq!(charger.command(&settle(ids[3])).await, Err(Refusal::WrongState), "of a card people say otherwise");
    charger.journal.close().await;
    assert_eq!(alarms(&charger.journal).await.len(), 3, "each once, and nothing of the deletion");
}

#[tokio::test]
async fn a_gateway_that_is_in_the_file_again_is_asked_and_not_people() {
    let folder = Folder::new();
    let (url, _) = bank("").await;
    let first = world_of(&folder, &without_g(&url), None).await;
    first.charger.journal.begin(pounds(1)).await.unwrap();
    first.charger.clone().settle_left_over(i64::MAX).await;
    told(&first.charger, 1, MoneyAlarm::NeedsPeople).await;
    end(first).await;
    let second = world(&folder, &url, "", None).await;
    assert_eq!(second.charger.command(&settle(AttemptId::from_random(1))).await, Err(Refusal::GatewayIsAsked));
    second.charger.clone().settle_left_over(i64::MAX).await;
    assert!(matches!(outcome(&second.charger, 1).await, Outcome::Approved { .. }));
}

#[tokio::test]
async fn an_approval_that_cannot_be_given_back_because_its_gateway_is_gone_is_brought_before_people() {
    let folder = Folder::new();
    let World { charger, .. } = world_of(&folder, &without_g("http://127.0.0.1:9"), None).await;
    let (auth_code, gateway_ref, checks) = (String::new(), "ch_1".to_owned(), wire::Checks::default());
    let approved = Outcome::Approved { auth_code, gateway_ref, amount: POUNDS, checks };
    charger.journal.begin(pounds(1)).await.unwrap();
    let late = Ending { reversal: Some(Reversal::Late), ..Ending::of(approved) };
    charger.journal.end(AttemptId::from_random(1), late).await.unwrap();
    charger.clone().settle_left_over(i64::MAX).await;
    told(&charger, 1, MoneyAlarm::NotReversed).await;
}

/// Of a process that died in its sixth try nobody was told, and the next one took it for done.
#[tokio::test]
async fn a_card_that_is_not_deleted_is_brought_before_people_also_by_the_process_after_the_one_that_has_tried() {
    let folder = Folder::new();
    let (url, _) = bank_that_deletes(r#","token":"gw_1""#, Arc::new(AtomicBool::new(false))).await;
    let first = world(&folder, &url, "keep_cards = \"gateway\"", None).await;
    assert!(matches!(pay(&first.charger, Store::Token).await, Outcome::Approved { .. }));
    let (token, _) = token(&first.charger).await;
    for number in 11..17 {
        let deletion = NewAttempt { kind: Kind::DeleteStored, token: Some(token.clone()), ..row(number, None) };
        let attempt = deletion.attempt;
        first.charger.journal.begin(deletion).await.unwrap();
        first.charger.journal.end(attempt, Ending::of(Outcome::Rejected)).await.unwrap();
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.0.join("journal.db"));
    let mut stranger = options.connect().await.unwrap();
    sqlx::query("UPDATE attempt SET sent_unix_ms = sent_unix_ms - 172800000").execute(&mut stranger).await.unwrap();
    stranger.close().await.unwrap();
    first.charger.journal.begin_forgetting(&token, &"m".parse().unwrap()).await.unwrap();
    end(first).await;

    let World { charger, .. } = world_of(&folder, &without_g(&url), None).await;
    charger.clone().settle_left_over(i64::MAX).await;
    told(&charger, 1, MoneyAlarm::NotForgotten).await;
    assert_eq!(charger.command(&forget(3, "m", &token)).await, Ok(()), "it is being forgotten all the same");
}

/// One after another they were written, each by a commit of its own, before the first gateway was asked.
#[tokio::test]
async fn what_was_in_flight_is_written_together_and_what_was_known_to_be_unknown_not_again() {
    const MANY: u128 = 600;
    let folder = Folder::new();
    // Nobody answers there, so that nothing else is written.
    let World { charger, mut told } = world(&folder, "http://127.0.0.1:9", "", None).await;
    tokio::spawn(async move { while told.recv().await.is_some() {} });
    for number in 1..=MANY {
        charger.journal.begin(pounds(number)).await.unwrap();
    }
    let (mut newest, commits) = (charger.journal.newest(), Arc::new(AtomicUsize::new(0)));
    newest.mark_unchanged();
    let (before, counted) = (*newest.borrow(), Arc::clone(&commits));
    let mut counting = newest.clone();
    tokio::spawn(async move {
        while counting.changed().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    charger.clone().settle_left_over(i64::MAX).await;
    let expected = before + u64::try_from(MANY).unwrap();
    newest.wait_for(|newest| *newest == expected).await.unwrap();
    let written = commits.load(Ordering::SeqCst);
    assert!(written < 60, "{written} commits for {MANY} attempts");

    let again = charger.clone();
    again.settle_left_over(i64::MAX).await;
    charger.journal.close().await;
    assert_eq!((commits.load(Ordering::SeqCst), *newest.borrow()), (written, expected), "nothing was written again");
}

/// Two people had said that it was not done, and the gateway, which could be asked again, has the money: that was known to nobody.
#[tokio::test]
async fn an_approval_of_what_was_said_not_to_be_done_is_brought_before_people_and_the_same_word_is_not() {
    let folder = Folder::new();
    let World { charger, mut told, .. } = world(&folder, "http://127.0.0.1:9", "", None).await;
    tokio::spawn(async move { while told.recv().await.is_some() {} });
    let approval =
        Answer::Approved(Approval { gateway_ref: "ch_1".to_owned(), amount: Some(POUNDS), ..Approval::default() });
    for (number, answers) in [(1, [Answer::Abandoned, approval.clone()]), (2, [approval.clone(), approval])] {
        let row = pounds(number);
        let operation = Operation::direct(Kind::Authorize, row.attempt, Some(POUNDS));
        let attempt = UnderWay::of(&row, operation);
        charger.journal.begin(row).await.unwrap();
        for answer in answers {
            charger.end(&attempt, &answer).await;
        }
    }
    let expected = (PaymentId::from_random(1), MoneyAlarm::EndedOtherwise);
    alarmed(&charger.journal, expected).await;
    charger.journal.close().await;
    let otherwise =
        alarms(&charger.journal).await.into_iter().filter(|(_, alarm)| *alarm == MoneyAlarm::EndedOtherwise);
    assert_eq!(otherwise.collect::<Vec<_>>(), [expected]);
}
