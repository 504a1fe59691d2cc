//! Jobs, one turn after the other; `kill` has processes that die.

mod kill;

use super::jobs::{AgreementId, DueState, NewAgreement, Standing};
use super::{Charge, ChargeOrder, Charged, Scheduler};
use crate::store::tests::{Folder, store};
use jiff::civil::{date, time};
use recurring::{Agreement, Amount, CatchUp, Interval, Policy, Reason, Roll, State, Terms, Use};
use std::collections::VecDeque;
use std::sync::Mutex;
use uuid::Uuid;
use wire::{Brand, CardView, Currency, ExpiryView, Last4, Money, Token};

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 2027-01-01, midnight UTC.
const START_MS: i64 = 1_798_761_600_000;
const LEASE_MS: i64 = 2 * 60 * 1000;

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
    Charged::Declined { code: Some(code.to_owned()), advice: None }
}

pub(super) fn token(seed: u8) -> Token {
    (seed..=255).find_map(|byte| Token::from_random(&[byte; Token::BYTES])).unwrap()
}

pub(super) fn daily(count: u32, minor: i64) -> NewAgreement {
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
        reason: Reason::Instalment,
        network_id: Some("ntid-1".to_owned()),
        agreement: Agreement::new(terms).unwrap(),
    }
}

async fn with<'a>(script: &'a Script, new: &NewAgreement) -> (Scheduler<&'a Script>, Folder) {
    let (store, folder) = store().await;
    let scheduler = Scheduler { store, charge: script, policy: Policy::default(), lease_ms: LEASE_MS };
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
    all_turns(&scheduler, START_MS + 20 * DAY_MS).await;
    let asked = script.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0].attempt, asked[1].attempt);
    assert_eq!((asked[0].amount.minor, asked[0].token.clone()), (1500, new.token.clone()));
    assert_eq!(asked[0].credential.usage, Use::Subsequent { network_transaction_id: Some("ntid-1".to_owned()) });
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
    assert_eq!(jobs.hand_out(now).await.unwrap(), 1);
    let slow = jobs.lease(now, LEASE_MS).await.unwrap().unwrap();
    assert!(jobs.lease(now + LEASE_MS - 1, LEASE_MS).await.unwrap().is_none(), "it is held");
    let next = jobs.lease(now + LEASE_MS, LEASE_MS).await.unwrap().unwrap();
    assert_eq!(slow.order, next.order);
    jobs.settle(now, &slow, super::jobs::End::Failed { cancel: true }).await.unwrap();
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
