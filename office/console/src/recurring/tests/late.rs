//! What could not be taken in its time: backlogs, card sides that were away, and what is never done.

use super::*;
use crate::recurring::figures::OVERDUE_MS;

async fn kinds(scheduler: &Scheduler<&Script>, new: &NewAgreement) -> Vec<String> {
    scheduler.store.messages_of(new.id).await.unwrap().into_iter().map(|row| row.kind).collect()
}

fn every(interval: Interval, count: u32) -> NewAgreement {
    let mut new = daily(count, 1500);
    let mut terms = new.agreement.terms().unwrap().clone();
    terms.interval = interval;
    new.agreement = Agreement::new(terms).unwrap();
    new
}

/// Broke: an office that was off for weeks took all that had fallen due meanwhile, at once.
#[tokio::test]
async fn of_a_backlog_one_payment_is_taken_and_people_are_told_of_the_rest() {
    let (script, new) = (Script::default(), daily(40, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let now = START_MS + 29 * DAY_MS + 10 * HOUR_MS;
    all_turns(&scheduler, now).await;
    assert_eq!(script.attempts().len(), 1, "of thirty");
    let standing = scheduler.jobs().standing(new.id).await.unwrap().unwrap();
    let (last, missed) = standing.due.split_last().unwrap();
    assert_eq!((last.number, last.state, missed.len()), (30, DueState::Paid, 29));
    assert!(missed.iter().all(|due| due.state == DueState::Failed && due.trouble.as_deref() == Some("late")));
    assert_eq!(kinds(&scheduler, &new).await, ["missed", "receipt"], "one text for all of them");
    let told = scheduler.store.messages_of(new.id).await.unwrap();
    assert!(told[0].text.contains("on 2027-01-01, nor the 28 payments after it,"), "{}", told[0].text);
    let trail = scheduler.store.audit_of_object(&new.id.0.to_string()).await.unwrap();
    assert_eq!(trail.iter().filter(|row| row.what == "agreement_payment_missed").count(), 1);
    assert_eq!(scheduler.store.missed(Some("1001"), 99).await.unwrap().len(), 29);
    assert_eq!(scheduler.store.missed(Some("1002"), 99).await.unwrap().len(), 0);
    assert_eq!(scheduler.store.recurring_figures(now, LEASE_MS).await.unwrap().missed, 29);
    all_turns(&scheduler, now + DAY_MS).await;
    assert_eq!(script.attempts().len(), 2, "the next one in its time");
}

/// The office hands out while the card side is away for weeks: the rows wait, and are late all the same.
#[tokio::test]
async fn what_waited_for_the_card_side_is_not_taken_all_at_once_either() {
    let (script, new) = (Script::default(), daily(30, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    for day in 0..30 {
        while scheduler.prepare(START_MS + day * DAY_MS + 9 * HOUR_MS).await.unwrap() {}
    }
    assert!(script.attempts().is_empty());
    let now = START_MS + 29 * DAY_MS + 10 * HOUR_MS;
    all_turns(&scheduler, now).await;
    assert_eq!(script.attempts().len(), 1);
    let standing = scheduler.jobs().standing(new.id).await.unwrap().unwrap();
    assert_eq!(standing.due.iter().filter(|due| due.trouble.as_deref() == Some("late")).count(), 29);
    assert_eq!(kinds(&scheduler, &new).await.iter().filter(|kind| *kind == "missed").count(), 29);
}

#[tokio::test]
async fn a_payment_is_taken_some_days_late_but_not_near_the_next_one() {
    for (interval, days_late, is_taken) in [
        (Interval::Months(1), 6, true),
        (Interval::Months(1), 8, false),
        (Interval::Weeks(1), 3, true),
        (Interval::Weeks(1), 4, false),
    ] {
        let (script, new) = (Script::default(), every(interval, 5));
        let (scheduler, _folder) = with(&script, &new).await;
        all_turns(&scheduler, START_MS + days_late * DAY_MS + 10 * HOUR_MS).await;
        assert_eq!(script.attempts().len(), usize::from(is_taken), "{interval:?}, {days_late} days late");
    }
}

/// What is agreed on for one day, by moving or after a pause, is taken on that day.
#[tokio::test]
async fn payments_that_are_agreed_on_for_one_day_are_all_taken_one_after_the_other() {
    let unknown = Script::told([Charged::Unknown]);
    let (scheduler, _folder) = with(&unknown, &every(Interval::Weeks(1), 3)).await;
    let new = daily(3, 1500);
    scheduler.jobs().add(START_MS, &new).await.unwrap();
    let collect = |agreement: &mut Agreement| {
        agreement.pause()?;
        agreement.resume(date(2027, 1, 3), CatchUp::Collect)
    };
    let (jobs, now) = (scheduler.jobs(), START_MS + 2 * DAY_MS + 9 * HOUR_MS);
    jobs.change(now, new.id, collect).await.unwrap().unwrap().unwrap();
    all_turns(&scheduler, now).await;
    let all = unknown.attempts().len();
    assert!(all == 4 || all == 2, "{all}: the unknown one holds up those of its own agreement only");
    all_turns(&scheduler, now + HOUR_MS).await;
    assert_eq!(states(&jobs.standing(new.id).await.unwrap().unwrap()), [DueState::Paid; 3]);
}

/// While the outcome of one is not known, no other of its agreement is begun.
#[tokio::test]
async fn of_an_agreement_one_payment_is_in_flight_at_a_time() {
    let (script, new) = (Script::told(std::iter::repeat_n(Charged::Unknown, 26)), daily(3, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    for hour in 9..35 {
        all_turns(&scheduler, START_MS + hour * HOUR_MS).await;
    }
    let attempts = script.attempts();
    assert!(attempts.len() > 20 && attempts.iter().all(|attempt| *attempt == attempts[0]));
    all_turns(&scheduler, START_MS + 40 * HOUR_MS).await;
    all_turns(&scheduler, START_MS + 41 * HOUR_MS).await;
    let standing = scheduler.jobs().standing(new.id).await.unwrap().unwrap();
    assert_eq!(states(&standing), [DueState::Paid, DueState::Paid], "the second within its time");
}

/// Broke: it was tried every five minutes without an end, and never counted as overdue.
#[tokio::test]
async fn what_is_never_done_is_tried_less_and_less_often_and_then_given_up() {
    let (script, new) = (Script::told(std::iter::repeat_n(Charged::NotDone, 500)), every(Interval::Months(1), 3));
    let (scheduler, _folder) = with(&script, &new).await;
    let due = START_MS + 9 * HOUR_MS;
    let (mut times, mut overdue) = (Vec::new(), 0);
    for minute in 0..14 * 24 * 60 {
        let now = due + minute * 60 * 1000;
        let before = script.attempts().len();
        all_turns(&scheduler, now).await;
        times.extend((script.attempts().len() > before).then_some(minute));
        if minute % 720 == 0 {
            overdue = overdue.max(scheduler.store.recurring_figures(now, LEASE_MS).await.unwrap().overdue);
        }
    }
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits[..7], [5, 10, 20, 40, 80, 160, 320]);
    assert!(waits[7..].iter().all(|wait| *wait == 360) && times.len() < 40, "{waits:?}");
    assert!(*times.last().unwrap() <= 7 * 24 * 60, "not after a week");
    assert_eq!(overdue, 1, "it is seen while it goes on");
    let standing = scheduler.jobs().standing(new.id).await.unwrap().unwrap();
    assert_eq!((standing.due[0].state, standing.due[0].trouble.as_deref()), (DueState::Failed, Some("not_done")));
    assert_eq!(kinds(&scheduler, &new).await, ["missed"]);
    let figures = scheduler.store.recurring_figures(due + 14 * DAY_MS, LEASE_MS).await.unwrap();
    assert_eq!((figures.missed, figures.overdue), (1, 0));
}

#[tokio::test]
async fn what_is_not_done_is_overdue_although_it_is_tried_again_later() {
    let (script, new) = (Script::told(std::iter::repeat_n(Charged::NotDone, 9)), daily(1, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let due = START_MS + 9 * HOUR_MS;
    for minute in 0..70 {
        all_turns(&scheduler, due + minute * 60 * 1000).await;
    }
    let figures = scheduler.store.recurring_figures(due + OVERDUE_MS, LEASE_MS).await.unwrap();
    assert_eq!((figures.overdue, figures.due), (1, 0), "its next try is to come");
}

#[tokio::test]
async fn further_tries_after_declines_do_not_come_in_one_go_after_an_outage() {
    let (script, new) = (Script::told(std::iter::repeat_n(declined("51"), 5)), daily(5, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    for day in 0..5 {
        all_turns(&scheduler, START_MS + day * DAY_MS + 9 * HOUR_MS).await;
    }
    // The third day's further try is that of the first payment: it waits until the evening, away from the fourth payment.
    assert_eq!(script.attempts().len(), 5);
    all_turns(&scheduler, START_MS + 4 * DAY_MS + 21 * HOUR_MS).await;
    assert_eq!(script.attempts().len(), 6);
    let back = START_MS + 8 * DAY_MS;
    all_turns(&scheduler, back).await;
    assert_eq!(script.attempts().len(), 7, "one, of those that were due again");
    all_turns(&scheduler, back + 11 * HOUR_MS).await;
    assert_eq!(script.attempts().len(), 7);
    all_turns(&scheduler, START_MS + 40 * DAY_MS).await;
    assert_eq!(script.attempts().len(), 7, "after weeks none of them");
    let standing = scheduler.jobs().standing(new.id).await.unwrap().unwrap();
    assert_eq!(standing.due.iter().filter(|due| due.trouble.as_deref() == Some("late")).count(), 3);
}

/// Broke: an office that ended between writing a try down and asking for it asked for the first time a week later, and for the
/// next payment within seconds after.
#[tokio::test]
async fn a_try_that_was_written_down_and_may_never_have_been_asked_for_is_not_begun_late() {
    let answers = [Charged::Unknown, Charged::Unknown, Charged::NotDone, Charged::NotDone];
    let (script, new) = (Script::told(answers), every(Interval::Weeks(1), 3));
    let (scheduler, _folder) = with(&script, &new).await;
    let (jobs, due) = (scheduler.jobs(), START_MS + 9 * HOUR_MS);
    all_turns(&scheduler, due).await;
    all_turns(&scheduler, due + DAY_MS).await;
    assert!(scheduler.take_one(due + 2 * DAY_MS, false).await.unwrap(), "the clock is in doubt");
    assert_eq!(states(&jobs.standing(new.id).await.unwrap().unwrap()), [DueState::Sent], "nothing is proved by it");
    all_turns(&scheduler, due + 8 * DAY_MS).await;
    let asked = script.asked.lock().unwrap().clone();
    let begins: Vec<_> = asked.iter().map(|order| (order.payment == asked[0].payment, order.may_begin)).collect();
    assert_eq!(begins, [(true, true), (true, true), (true, false), (true, false), (false, true)]);
    assert_eq!(states(&jobs.standing(new.id).await.unwrap().unwrap()), [DueState::Failed, DueState::Paid]);
}

/// What was last asked for shortly before it was too late may still be on its way.
#[tokio::test]
async fn what_is_late_is_untold_since_it_may_not_begin() {
    let (script, new) = (Script::told([Charged::Unknown]), every(Interval::Weeks(1), 3));
    let (scheduler, _folder) = with(&script, &new).await;
    let due = START_MS + 9 * HOUR_MS;
    all_turns(&scheduler, due).await;
    let (attempt, jobs) = (script.attempts()[0], scheduler.jobs());
    assert_eq!(jobs.untold_since(due + HOUR_MS, attempt).await.unwrap(), Some(due));
    assert!(jobs.untold_since(due + 6 * DAY_MS, attempt).await.unwrap().unwrap() > due + 3 * DAY_MS);
}

#[tokio::test]
async fn while_the_clock_is_in_doubt_nothing_is_begun_and_what_was_asked_for_is_followed() {
    let (script, new) = (Script::told([Charged::Unknown]), daily(2, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let due = START_MS + 9 * HOUR_MS;
    all_turns(&scheduler, due).await;
    scheduler.jobs().hand_out(due + DAY_MS, 7).await.unwrap();
    while scheduler.take_one(due + DAY_MS, false).await.unwrap() {}
    assert_eq!(states(&scheduler.jobs().standing(new.id).await.unwrap().unwrap()), [DueState::Paid, DueState::Waiting]);
    assert_eq!(script.attempts().len(), 2, "the first, asked after");
    all_turns(&scheduler, due + DAY_MS).await;
    assert_eq!(script.attempts().len(), 3);
}
