//! Jobs, one turn after the other; `kill` has processes that die, `late` what is not taken in its time.

mod kill;
mod late;
mod waiting;

use super::jobs::{AgreementId, DueState, NewAgreement, Standing};
use super::{Charge, ChargeOrder, Charged, Pauses, Scheduler};
use crate::store::tests::{Folder, store};
use jiff::civil::{date, time};
use recurring::{Agreement, Amount, CatchUp, Interval, Policy, Reason, Roll, State, Terms};
use std::collections::VecDeque;
use std::sync::Mutex;
use uuid::Uuid;
use wire::{Brand, CardView, Currency, ExpiryView, Last4, Money, Token};

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 2027-01-01, midnight UTC.
pub(crate) const START_MS: i64 = 1_798_761_600_000;
pub(crate) const LEASE_MS: i64 = 2 * 60 * 1000;

/// Answers as it was told to, and remembers what it was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Charged>>,
    asked: Mutex<Vec<ChargeOrder>>,
}

impl Charge for &Script {
    async fn charge(&self, order: &ChargeOrder) -> Charged {
        self.asked.lock().unwrap().push(order.clone());
        self.answers.lock().unwrap().pop_front().unwrap_or(Charged::Approved)
    }
}

impl Script {
    fn told(answers: impl IntoIterator<Item = Charged>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() }
    }

    fn attempts(&self) -> Vec<wire::AttemptId> {
        self.asked.lock().unwrap().iter().map(|order| order.attempt).collect()
    }
}

fn declined(code: &str) -> Charged {
    Charged::Declined { code: Some(code.to_owned()), said: None }
}

pub(crate) fn token(seed: u8) -> Token {
    (seed..=255).find_map(|byte| Token::from_random(&[byte; Token::BYTES])).unwrap()
}

pub(crate) fn daily(count: u32, minor: i64) -> NewAgreement {
    let amount = Amount { regular: Money { minor, currency: Currency::GBP }, first: None, last: None };
    let (first, interval) = (date(2027, 1, 1), Interval::Days(1));
    let terms = Terms {
        first,
        interval,
        amount,
        count: Some(count),
        until: None,
        roll: Roll::Stay,
        holidays: Default::default(),
    };
    let expiry = Some(ExpiryView { month: 12, year: 2030 });
    NewAgreement {
        id: AgreementId(Uuid::now_v7()),
        merchant: "main".parse().unwrap(),
        token: token(1),
        card: CardView { brand: Brand::Visa, last4: Last4::new(*b"4242").unwrap(), expiry },
        account: None,
        zone: "Europe/London".to_owned(),
        time: time(9, 0, 0, 0),
        reason: Reason::Installment,
        network_id: Some("ntid-1".parse().unwrap()),
        payment: None,
        extension: "1001".parse().unwrap(),
        contact: Some("ada@example.com".to_owned()),
        remind_days: 0,
        made_by: None,
        agreement: Agreement::new(terms).unwrap(),
    }
}

async fn with<'a>(script: &'a Script, new: &NewAgreement) -> (Scheduler<&'a Script>, Folder) {
    let (store, folder) = store().await;
    let scheduler =
        Scheduler { store, charge: script, policy: Policy::default(), pauses: Pauses::default(), lease_ms: LEASE_MS };
    scheduler.jobs().add(START_MS, new).await.unwrap();
    (scheduler, folder)
}

async fn all_turns(scheduler: &Scheduler<&Script>, now_ms: i64) {
    while scheduler.turn(now_ms).await.unwrap() {}
}

fn states(standing: &Standing) -> Vec<DueState> {
    standing.due.iter().map(|due| due.state).collect()
}

#[tokio::test]
async fn a_payment_is_taken_once_from_its_hour_on() {
    let (script, new) = (Script::default(), daily(2, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    assert!(!scheduler.turn(START_MS + 9 * HOUR_MS - 1).await.unwrap(), "London keeps GMT in January");
    assert!(scheduler.turn(START_MS + 9 * HOUR_MS).await.unwrap());
    all_turns(&scheduler, START_MS + 9 * HOUR_MS).await;
    all_turns(&scheduler, START_MS + 2 * DAY_MS).await;
    let asked = script.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0].attempt, asked[1].attempt);
    assert_eq!((asked[0].amount.minor, asked[0].token.clone()), (1500, new.token.clone()));
    let named = Some("ntid-1".parse().unwrap());
    assert_eq!(asked[0].credential, recurring::subsequent(Reason::Installment, named));
    let standing = scheduler.jobs().standing(new.id).await.unwrap().unwrap();
    assert_eq!(states(&standing), [DueState::Paid, DueState::Paid]);
    assert_eq!(standing.agreement.state(), State::Complete);
}

#[tokio::test]
async fn what_is_not_known_is_asked_again_and_never_tried_again() {
    let (script, new) = (Script::told([Charged::Unknown, Charged::Unknown]), daily(1, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    all_turns(&scheduler, START_MS + DAY_MS).await;
    assert_eq!(script.attempts().len(), 1, "not at once");
    all_turns(&scheduler, START_MS + DAY_MS + HOUR_MS).await;
    all_turns(&scheduler, START_MS + DAY_MS + 2 * HOUR_MS).await;
    let attempts = script.attempts();
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]), "one attempt, asked after three times");
    assert_eq!(states(&scheduler.jobs().standing(new.id).await.unwrap().unwrap()), [DueState::Paid]);
}

#[tokio::test]
async fn a_decline_is_tried_again_when_the_network_allows_it() {
    let (script, new) = (Script::told([declined("51"), Charged::NotDone, declined("51")]), daily(1, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let due = START_MS + 9 * HOUR_MS;
    all_turns(&scheduler, due).await;
    all_turns(&scheduler, due + 3 * DAY_MS - 1).await;
    assert_eq!(script.attempts().len(), 1);
    all_turns(&scheduler, due + 3 * DAY_MS).await;
    assert_eq!(script.attempts().len(), 2, "not done: that is no decline");
    all_turns(&scheduler, due + 3 * DAY_MS + HOUR_MS).await;
    all_turns(&scheduler, due + 7 * DAY_MS).await;
    assert_eq!(script.attempts().len(), 3, "the second wait is four days");
    all_turns(&scheduler, due + 7 * DAY_MS + HOUR_MS).await;
    let attempts = script.attempts();
    let different: std::collections::BTreeSet<_> = attempts.iter().collect();
    assert_eq!((attempts.len(), different.len()), (4, 4), "each try has an id of its own");
    let standing = scheduler.jobs().standing(new.id).await.unwrap().unwrap();
    assert_eq!((states(&standing), standing.due[0].tries), (vec![DueState::Paid], 4));
}

#[tokio::test]
async fn a_revoked_agreement_is_canceled_and_a_stolen_card_is_not_tried_again() {
    for (code, state, asked) in [("R1", State::Canceled, 1), ("43", State::Complete, 2)] {
        let (script, new) = (Script::told([declined(code), declined(code)]), daily(2, 1500));
        let (scheduler, _folder) = with(&script, &new).await;
        all_turns(&scheduler, START_MS + 9 * HOUR_MS).await;
        all_turns(&scheduler, START_MS + 33 * HOUR_MS).await;
        all_turns(&scheduler, START_MS + 60 * DAY_MS).await;
        let standing = scheduler.jobs().standing(new.id).await.unwrap().unwrap();
        assert_eq!((standing.agreement.state(), script.attempts().len()), (state, asked), "{code}");
        assert!(standing.due.iter().all(|due| due.state == DueState::Failed));
    }
}

#[tokio::test]
async fn a_lease_that_has_run_out_writes_nothing_and_the_next_asks_for_the_same_attempt() {
    let (script, new) = (Script::default(), daily(1, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let (now, jobs) = (START_MS + DAY_MS, scheduler.jobs());
    assert_eq!(jobs.hand_out(now, 7).await.unwrap(), 1);
    let slow = jobs.lease(now, LEASE_MS, true).await.unwrap().unwrap();
    assert!(jobs.lease(now + LEASE_MS - 1, LEASE_MS, true).await.unwrap().is_none(), "it is held");
    let next = jobs.lease(now + LEASE_MS, LEASE_MS, true).await.unwrap().unwrap();
    assert_eq!(slow.order, next.order);
    jobs.settle(now, &slow, super::jobs::End::Failed { cancel: true, trouble: "revoked" }).await.unwrap();
    assert_eq!(states(&jobs.standing(new.id).await.unwrap().unwrap()), [DueState::Sent], "it came too late");
    jobs.settle(now, &next, super::jobs::End::Paid).await.unwrap();
    assert_eq!(states(&jobs.standing(new.id).await.unwrap().unwrap()), [DueState::Paid]);
}

#[tokio::test]
async fn what_is_changed_holds_for_the_scheduler_at_once() {
    let (script, new) = (Script::default(), daily(5, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let jobs = scheduler.jobs();
    jobs.change(START_MS, new.id, |agreement| agreement.skip(2, false)).await.unwrap().unwrap().unwrap();
    jobs.change(START_MS, new.id, |agreement| agreement.pause()).await.unwrap().unwrap().unwrap();
    all_turns(&scheduler, START_MS + 2 * DAY_MS).await;
    assert!(script.attempts().is_empty());
    let resume = |agreement: &mut Agreement| agreement.resume(date(2027, 1, 3), CatchUp::Collect);
    jobs.change(START_MS + 2 * DAY_MS, new.id, resume).await.unwrap().unwrap().unwrap();
    assert!(jobs.change(START_MS, new.id, resume).await.unwrap().unwrap().is_err(), "it is not paused any more");
    all_turns(&scheduler, START_MS + 2 * DAY_MS + 10 * HOUR_MS).await;
    let standing = jobs.standing(new.id).await.unwrap().unwrap();
    assert_eq!(states(&standing), [DueState::Paid, DueState::Skipped, DueState::Paid]);
    let unknown = AgreementId(Uuid::nil());
    assert!(jobs.standing(unknown).await.unwrap().is_none());
    assert!(jobs.change(0, unknown, |agreement| agreement.cancel()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_declined_is_not_tried_again_once_the_agreement_is_paused_or_canceled() {
    let (script, new) = (Script::told([declined("51")]), daily(1, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let (jobs, due) = (scheduler.jobs(), START_MS + 9 * HOUR_MS);
    let mut unfinished = new.clone();
    (unfinished.id, unfinished.agreement) = (AgreementId(Uuid::now_v7()), daily(9, 1500).agreement);
    all_turns(&scheduler, due).await;
    assert_eq!(script.attempts().len(), 1, "the first try");
    // Of an agreement whose last payment was handed out nothing is left to be canceled but that one's further tries.
    let canceled = jobs.change(due, new.id, Agreement::cancel).await.unwrap().unwrap();
    assert_eq!(canceled, Ok(()));
    all_turns(&scheduler, due + 30 * DAY_MS).await;
    assert_eq!(script.attempts().len(), 1);
    assert_eq!(states(&jobs.standing(new.id).await.unwrap().unwrap()), [DueState::Skipped]);
    script.answers.lock().unwrap().push_back(declined("51"));
    jobs.add(due, &unfinished).await.unwrap();
    all_turns(&scheduler, due).await;
    jobs.change(due, unfinished.id, Agreement::pause).await.unwrap().unwrap().unwrap();
    all_turns(&scheduler, due + 30 * DAY_MS).await;
    assert_eq!(script.attempts().len(), 2, "while it is paused");
    let resume = |agreement: &mut Agreement| agreement.resume(date(2027, 2, 1), CatchUp::Skip);
    jobs.change(due + 31 * DAY_MS, unfinished.id, resume).await.unwrap().unwrap().unwrap();
    all_turns(&scheduler, due + 31 * DAY_MS).await;
    let attempts = script.attempts();
    assert_eq!(attempts.len(), 3, "the one that was declined, again; the others were skipped");
}

#[tokio::test]
async fn a_customer_is_reminded_once_of_each_payment_and_told_of_its_end() {
    let (script, mut new) = (Script::told([Charged::Approved, declined("43")]), daily(2, 1500));
    new.remind_days = 3;
    let mut terms = new.agreement.terms().unwrap().clone();
    (terms.first, terms.interval) = (date(2027, 1, 20), Interval::Days(10));
    new.agreement = Agreement::new(terms).unwrap();
    let (scheduler, _folder) = with(&script, &new).await;
    for hours in 0..24 * 60 {
        all_turns(&scheduler, START_MS + hours * HOUR_MS).await;
    }
    let told = scheduler.store.messages_of(new.id).await.unwrap();
    let told: Vec<_> = told.iter().map(|row| (row.kind.as_str(), (row.created_ms - START_MS) / HOUR_MS)).collect();
    let at = |day: i64| (day - 1) * 24 + 9;
    assert_eq!(told, [("reminder", at(17)), ("receipt", at(20)), ("reminder", at(27)), ("failed", at(30))]);
    assert_eq!(script.attempts().len(), 2);
}

#[tokio::test]
async fn a_payment_that_is_moved_after_its_reminder_has_another_and_a_skipped_one_has_none() {
    let (script, mut new) = (Script::default(), daily(3, 1500));
    new.remind_days = 3;
    let mut terms = new.agreement.terms().unwrap().clone();
    (terms.first, terms.interval) = (date(2027, 1, 20), Interval::Days(10));
    new.agreement = Agreement::new(terms).unwrap();
    let (scheduler, _folder) = with(&script, &new).await;
    all_turns(&scheduler, START_MS + 17 * DAY_MS).await;
    let change = async |at, change: fn(&mut Agreement) -> Result<(), recurring::AgreementError>| {
        scheduler.jobs().change(at, new.id, change).await.unwrap().unwrap().unwrap();
        all_turns(&scheduler, at).await;
    };
    change(START_MS + 17 * DAY_MS, |agreement| agreement.set_day(1, date(2027, 1, 28))).await;
    change(START_MS + 18 * DAY_MS, |agreement| agreement.skip(2, false)).await;
    for day in 18..60 {
        all_turns(&scheduler, START_MS + day * DAY_MS + 10 * HOUR_MS).await;
    }
    let told = scheduler.store.messages_of(new.id).await.unwrap();
    let reminders: Vec<_> = told.iter().filter(|row| row.kind == "reminder").map(|row| &row.text[..13]).collect();
    assert_eq!(reminders, ["On 2027-01-20", "On 2027-01-28", "On 2027-02-09"]);
}

#[tokio::test]
async fn what_was_certainly_not_begun_is_not_begun_after_a_cancel_either() {
    let (script, new) = (Script::told([Charged::NotSent]), daily(1, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let (jobs, due) = (scheduler.jobs(), START_MS + 9 * HOUR_MS);
    all_turns(&scheduler, due).await;
    assert_eq!(jobs.change(due, new.id, Agreement::cancel).await.unwrap().unwrap(), Ok(()));
    all_turns(&scheduler, due + DAY_MS).await;
    assert_eq!(script.attempts().len(), 1);
    assert_eq!(states(&jobs.standing(new.id).await.unwrap().unwrap()), [DueState::Skipped]);
}

#[tokio::test]
async fn a_try_in_flight_at_the_cancel_is_never_begun_again_and_ends_skipped() {
    let (script, new) = (Script::told([Charged::Unknown, Charged::NotSent, Charged::NotDone]), daily(1, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let (jobs, due) = (scheduler.jobs(), START_MS + 9 * HOUR_MS);
    all_turns(&scheduler, due).await;
    assert_eq!(jobs.change(due, new.id, Agreement::cancel).await.unwrap().unwrap(), Ok(()));
    for hours in 1..5 {
        all_turns(&scheduler, due + hours * HOUR_MS).await;
    }
    let asked = script.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().map(|order| order.may_begin).collect::<Vec<_>>(), [true, false, false]);
    assert!(asked.iter().all(|order| order.attempt == asked[0].attempt), "one try, asked after");
    assert_eq!(states(&jobs.standing(new.id).await.unwrap().unwrap()), [DueState::Skipped]);
}

/// An office whose database was restored from an older copy asks for the same payment, which the cde knows.
#[tokio::test]
async fn a_restored_database_names_the_same_payment() {
    let (script, new) = (Script::default(), daily(2, 1500));
    for _ in 0..2 {
        let (scheduler, _folder) = with(&script, &new).await;
        all_turns(&scheduler, START_MS + 9 * HOUR_MS).await;
        all_turns(&scheduler, START_MS + 33 * HOUR_MS).await;
    }
    let asked = script.asked.lock().unwrap().clone();
    let payments: Vec<_> = asked.iter().map(|order| order.payment).collect();
    assert_eq!((payments.len(), &payments[..2]), (4, &payments[2..]));
    assert_ne!(payments[0], payments[1]);
    assert_ne!(asked[0].attempt, asked[2].attempt);
}

/// Broke: `link_days = 0` made no new links, and those of before went on.
#[tokio::test]
async fn with_links_switched_off_none_that_was_made_is_valid() {
    let (script, new) = (Script::default(), daily(1, 1500));
    let (scheduler, _folder) = with(&script, &new).await;
    let store = &scheduler.store;
    store.set_links(None, 90).await.unwrap();
    let made = store.make_link(START_MS, new.id).await.unwrap().unwrap();
    let link = made.path.rsplit('/').next().unwrap();
    assert_eq!(store.linked(START_MS, link).await.unwrap(), Some(new.id));
    store.set_links(None, 0).await.unwrap();
    assert_eq!(store.linked(START_MS, link).await.unwrap(), None);
    assert!(store.make_link(START_MS, new.id).await.unwrap().is_none());
}
