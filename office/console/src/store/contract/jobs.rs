//! Jobs of recurring payments: what several schedulers do on one store, each a process that may die.

use super::{MoneyPlace, abandoned};
use crate::{
    recurring::{
        DueState,
        jobs::End,
        tests::{LEASE_MS, START_MS, daily, token},
    },
    store::recurring::Recurring,
};
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// The first payments are due at nine.
const NOW: i64 = START_MS + 10 * 60 * 60 * 1000;
const MANY: u8 = 8;

pub(super) async fn what_is_due_is_handed_out_once_and_in_one_hand<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let place = fresh();
    let (store, other) = (place.open().await, place.open().await);
    for number in 0..MANY {
        let mut new = daily(3, 1500);
        new.token = token(number * 3);
        store.jobs().add(START_MS, &new).await.unwrap();
    }
    let both = tokio::join!(store.jobs().hand_out(NOW, 7), other.jobs().hand_out(NOW, 7));
    assert_eq!(both.0.unwrap() + both.1.unwrap(), usize::from(MANY));
    let leases = (0..MANY + 4).map(|n| if n % 2 == 0 { &store } else { &other });
    let leased = join_all(leases.map(|store| store.jobs().lease(NOW, LEASE_MS, true))).await;
    let jobs: Vec<_> = leased.into_iter().filter_map(|job| job.unwrap()).collect();
    let payments: BTreeSet<_> = jobs.iter().map(|job| job.order.payment).collect();
    assert_eq!((jobs.len(), payments.len()), (usize::from(MANY), usize::from(MANY)), "each is in one hand");
    assert!(other.jobs().lease(NOW + LEASE_MS - 1, LEASE_MS, true).await.unwrap().is_none());
}

pub(super) async fn a_lease_that_has_run_out_writes_nothing_and_the_next_asks_for_the_same<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    let place = fresh();
    let (store, other) = (place.open().await, place.open().await);
    let new = daily(1, 1500);
    store.jobs().add(START_MS, &new).await.unwrap();
    store.jobs().hand_out(NOW, 7).await.unwrap();
    let slow = store.jobs().lease(NOW, LEASE_MS, true).await.unwrap().unwrap();
    let next = other.jobs().lease(NOW + LEASE_MS, LEASE_MS, true).await.unwrap().unwrap();
    assert_eq!((slow.order.attempt, slow.is_fresh, next.is_fresh), (next.order.attempt, true, false));
    let state = async || other.jobs().standing(new.id).await.unwrap().unwrap().due[0].state;
    store.jobs().settle(NOW, &slow, End::Paid).await.unwrap();
    assert_eq!(state().await, DueState::Sent, "it came too late");
    other.jobs().settle(NOW, &next, End::Paid).await.unwrap();
    assert_eq!(state().await, DueState::Paid);
    store.jobs().settle(NOW, &slow, End::Failed { cancel: true, trouble: "revoked" }).await.unwrap();
    assert_eq!(state().await, DueState::Paid, "the first word stands");
}

pub(super) async fn whoever_goes_away_the_same_attempt_is_asked_for<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let place = fresh();
    let (store, other) = (place.open().await, place.open().await);
    let new = daily(1, 1500);
    store.jobs().add(START_MS, &new).await.unwrap();
    store.jobs().hand_out(NOW, 7).await.unwrap();
    let mut known = None;
    for turn in 0..40 {
        let now = NOW + i64::from(turn) * 2 * LEASE_MS;
        abandoned(&store, turn, store.jobs().lease(now, LEASE_MS, true)).await;
        let job = other.jobs().lease(now + LEASE_MS, LEASE_MS, true).await.unwrap().unwrap();
        let attempt = *known.get_or_insert(job.order.attempt);
        assert_eq!(job.order.attempt, attempt, "turn {turn}");
        let tries = other.jobs().standing(new.id).await.unwrap().unwrap().due[0].tries;
        assert_eq!(tries, 1, "turn {turn}");
    }
}
