//! Changes of payments that are due and wait, beside schedulers that may take them at any moment.

use super::*;
use crate::recurring::waiting::{At, Deed};
use crate::store::audit::Entry;
use recurring::AgreementError;

const NINE: i64 = START_MS + 9 * HOUR_MS;

async fn act(scheduler: &Scheduler<&Script>, id: AgreementId, now_ms: i64, deed: Deed) -> Result<(), AgreementError> {
    let today = jiff::Timestamp::from_millisecond(now_ms).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
    let at = At { now_ms, today, late_days_max: 7 };
    let entry = Entry::system(now_ms, deed.what(), "done", "-");
    scheduler.jobs().act(at, id, &deed, &entry).await.unwrap().unwrap()
}

async fn due(scheduler: &Scheduler<&Script>, id: AgreementId) -> Vec<(u32, DueState, i64, String)> {
    let standing = scheduler.jobs().standing(id).await.unwrap().unwrap();
    let row = |due: &crate::recurring::Due| (due.number, due.state, due.amount.minor, due.day.to_string());
    standing.due.iter().map(row).collect()
}

fn pounds(minor: i64) -> Money {
    Money { minor, currency: Currency::GBP }
}

fn weekly(count: u32) -> NewAgreement {
    let mut new = daily(count, 1500);
    let mut terms = new.agreement.terms().unwrap().clone();
    terms.interval = Interval::Weeks(1);
    new.agreement = Agreement::new(terms).unwrap();
    new
}

/// Handed out and in nobody's hands: it is changed as if it were to come.
#[tokio::test]
async fn what_is_due_and_was_not_tried_can_still_be_changed() {
    let (script, new) = (Script::default(), weekly(3));
    let (scheduler, _folder) = with(&script, &new).await;
    assert_eq!(scheduler.jobs().hand_out(NINE, 7).await.unwrap(), 1);
    let act = async |deed| act(&scheduler, new.id, NINE, deed).await;
    let moved = |due, amount| Deed::Move { number: 1, due, amount };
    assert_eq!(act(moved(None, Some(pounds(0)))).await, Err(AgreementError::Amount));
    assert_eq!(act(moved(Some(date(2026, 12, 31)), None)).await, Err(AgreementError::Past));
    assert_eq!(act(moved(Some(date(2027, 1, 9)), None)).await, Err(AgreementError::Order), "after the second");
    assert_eq!(act(moved(Some(date(2027, 1, 3)), Some(pounds(700)))).await, Ok(()));
    all_turns(&scheduler, NINE + DAY_MS).await;
    assert!(script.attempts().is_empty(), "not on its old day");
    all_turns(&scheduler, NINE + 2 * DAY_MS).await;
    assert_eq!(due(&scheduler, new.id).await, [(1, DueState::Paid, 700, "2027-01-03".to_owned())]);
    let told = scheduler.store.messages_of(new.id).await.unwrap();
    assert!(told.iter().any(|row| row.text.starts_with("On 2027-01-03 we will take 7.00 GBP")), "{told:?}");
    assert_eq!(act(moved(Some(date(2027, 1, 4)), None)).await, Err(AgreementError::Issued), "it is paid");
}

#[tokio::test]
async fn what_waits_is_left_out_even_for_good_and_made_up_for_at_the_end() {
    let (script, new) = (Script::told([declined("51")]), weekly(2));
    let (scheduler, _folder) = with(&script, &new).await;
    all_turns(&scheduler, NINE).await;
    let amount = Deed::Move { number: 1, due: None, amount: Some(pounds(1)) };
    assert_eq!(
        act(&scheduler, new.id, NINE, amount).await,
        Err(AgreementError::Issued),
        "the card side has it as it was"
    );
    assert_eq!(act(&scheduler, new.id, NINE, Deed::Skip { number: 1, make_up: false }).await, Ok(()));
    all_turns(&scheduler, NINE + 3 * DAY_MS).await;
    assert_eq!(script.attempts().len(), 1, "not tried again");
    // The last payment waits, and the agreement has none to come; made up for, it has.
    scheduler.jobs().hand_out(NINE + 7 * DAY_MS, 7).await.unwrap();
    assert_eq!(act(&scheduler, new.id, NINE + 7 * DAY_MS, Deed::Skip { number: 2, make_up: true }).await, Ok(()));
    all_turns(&scheduler, NINE + 7 * DAY_MS).await;
    all_turns(&scheduler, NINE + 14 * DAY_MS).await;
    let states: Vec<_> = due(&scheduler, new.id).await.into_iter().map(|row| (row.1, row.3)).collect();
    let day = |day: &str| day.to_owned();
    let [one, two, three] = [day("2027-01-01"), day("2027-01-08"), day("2027-01-15")];
    assert_eq!(states, [(DueState::Skipped, one), (DueState::Skipped, two), (DueState::Paid, three)]);
}

/// Whoever has a payment in hand may have begun it already.
#[tokio::test]
async fn what_may_have_been_begun_is_not_changed() {
    let (script, new) = (Script::default(), weekly(3));
    let (scheduler, _folder) = with(&script, &new).await;
    scheduler.jobs().hand_out(NINE, 7).await.unwrap();
    let job = scheduler.jobs().lease(NINE, LEASE_MS, true).await.unwrap().unwrap();
    for deed in [
        Deed::Skip { number: 1, make_up: false },
        Deed::Move { number: 1, due: Some(date(2027, 1, 3)), amount: None },
        Deed::Move { number: 1, due: None, amount: Some(pounds(1)) },
    ] {
        // Also when whoever had it is dead: what became of it is not known.
        for now in [NINE, NINE + LEASE_MS + 1] {
            assert_eq!(act(&scheduler, new.id, now, deed.clone()).await, Err(AgreementError::Issued), "{deed:?}");
        }
    }
    let mut terms = new.agreement.terms().unwrap().clone();
    terms.first = date(2027, 1, 2);
    assert_eq!(act(&scheduler, new.id, NINE, Deed::Amend(terms)).await, Ok(()), "for all the others");
    assert_eq!(due(&scheduler, new.id).await, [(1, DueState::Sent, 1500, "2027-01-01".to_owned())]);
    scheduler.jobs().settle(NINE, &job, crate::recurring::jobs::End::Paid).await.unwrap();
    assert_eq!(states(&scheduler.jobs().standing(new.id).await.unwrap().unwrap()), [DueState::Paid]);
}

/// Whatever is moved, what is late and the next one are not both taken.
#[tokio::test]
async fn what_waits_may_be_less_late_when_the_next_one_comes_nearer() {
    let (script, new) = (Script::default(), weekly(3));
    let (scheduler, _folder) = with(&script, &new).await;
    scheduler.jobs().hand_out(NINE, 7).await.unwrap();
    let nearer = Deed::Move { number: 2, due: Some(date(2027, 1, 3)), amount: None };
    assert_eq!(act(&scheduler, new.id, NINE, nearer).await, Ok(()));
    all_turns(&scheduler, NINE + 2 * DAY_MS).await;
    let standing = scheduler.jobs().standing(new.id).await.unwrap().unwrap();
    assert_eq!(states(&standing), [DueState::Failed, DueState::Paid], "the first was late from the second day on");
    assert_eq!(script.attempts().len(), 1);
}

/// Broke: terms that begin today were taken beside the old payment of today that had not been tried yet.
#[tokio::test]
async fn new_terms_take_the_place_of_what_is_due_and_was_not_tried() {
    let (script, new) = (Script::default(), weekly(3));
    let (scheduler, _folder) = with(&script, &new).await;
    scheduler.jobs().hand_out(NINE, 7).await.unwrap();
    let mut terms = new.agreement.terms().unwrap().clone();
    terms.amount.regular = pounds(900);
    assert_eq!(act(&scheduler, new.id, NINE, Deed::Amend(terms)).await, Ok(()));
    all_turns(&scheduler, NINE).await;
    let amounts: Vec<_> = script.asked.lock().unwrap().iter().map(|order| order.amount.minor).collect();
    assert_eq!(amounts, [900], "once today");
    let states: Vec<_> = due(&scheduler, new.id).await.into_iter().map(|row| (row.1, row.2)).collect();
    assert_eq!(states, [(DueState::Skipped, 1500), (DueState::Paid, 900)]);
}

#[tokio::test]
async fn what_was_missed_is_taken_by_hand_once_or_left_out() {
    let (script, new) = (Script::default(), daily(5, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let now = NINE + 2 * DAY_MS;
    all_turns(&scheduler, now).await;
    assert_eq!(states(&scheduler.jobs().standing(new.id).await.unwrap().unwrap())[..2], [DueState::Failed; 2]);
    assert_eq!(act(&scheduler, new.id, now, Deed::Take(3)).await, Err(AgreementError::NotMissed), "it is paid");
    assert_eq!(act(&scheduler, new.id, now, Deed::Take(4)).await, Err(AgreementError::NotMissed), "it is to come");
    assert_eq!(act(&scheduler, new.id, now, Deed::Pause).await, Ok(()));
    assert_eq!(act(&scheduler, new.id, now, Deed::Take(1)).await, Err(AgreementError::Paused));
    assert_eq!(act(&scheduler, new.id, now, Deed::Resume(CatchUp::Skip)).await, Ok(()));
    assert_eq!(act(&scheduler, new.id, now, Deed::Take(1)).await, Ok(()));
    assert_eq!(act(&scheduler, new.id, now, Deed::Take(1)).await, Err(AgreementError::NotMissed), "it waits already");
    assert_eq!(act(&scheduler, new.id, now, Deed::Leave(2)).await, Ok(()));
    assert_eq!(act(&scheduler, new.id, now, Deed::Leave(2)).await, Err(AgreementError::NotMissed));
    all_turns(&scheduler, now).await;
    assert_eq!(script.attempts().len(), 2);
    let states = states(&scheduler.jobs().standing(new.id).await.unwrap().unwrap());
    assert_eq!(states, [DueState::Paid, DueState::Skipped, DueState::Paid]);
    assert!(scheduler.store.missed(None, 9).await.unwrap().is_empty());
}
