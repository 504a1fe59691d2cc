//! What every [`JournalStore`] keeps. An implementation is given to [`keeps_every_promise`] and [`does_what_the_model_does`].

use super::model::Model;
use super::store::{Conflict, JournalStore, StoreError};
use super::{Ending, Journal, NewAttempt, Reversal};
use crate::samples::{Folder, audit};
use call::{CodeState, KeptOrder, Marks};
use gateway::Kind;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use uuid::Uuid;
use wire::{AttemptId, BouncedOrder, Currency, DeclineClass, Money, Outcome, PaymentId, RecordBody, Refusal};

/// Calls that chance makes in one run.
const CALLS: usize = 250;

fn id(number: u64) -> AttemptId {
    AttemptId(Uuid::from_u128(number.into()))
}

fn payment(number: u64) -> PaymentId {
    PaymentId(Uuid::from_u128(number.into()))
}

fn pounds(minor: i64) -> Money {
    Money { minor, currency: Currency::GBP }
}

fn new(number: u64, of: u64, kind: Kind, minor: i64, follows: Option<u64>) -> NewAttempt {
    NewAttempt {
        attempt: id(number),
        kind,
        payment: payment(of),
        call: wire::CallId(Uuid::from_u128(9)),
        extension: "1001".parse().unwrap(),
        origin: wire::Origin::System,
        merchant: "main".parse().unwrap(),
        deadline_ms: 20_000,
        gateway: "first".to_owned(),
        amount: pounds(minor),
        later: false,
        follows: follows.map(id),
        last: false,
        card: None,
        digest: "d".to_owned(),
        locator: None,
        keep: None,
        token: None,
        credential: Some("old".to_owned()),
        reference: None,
    }
}

fn yes(minor: i64) -> Ending {
    Ending::of(Outcome::Approved {
        auth_code: String::new(),
        gateway_ref: format!("ch_{minor}"),
        amount: pounds(minor),
        checks: wire::Checks::default(),
    })
}

fn no() -> Ending {
    Ending::of(Outcome::Declined { class: DeclineClass::Other, network_code: None })
}

/// Each promise on a store of its own.
async fn keeps_every_promise<S: JournalStore>(fresh: impl AsyncFn() -> S) {
    one_that_may_have_taken_money(fresh().await).await;
    the_first_word_stands(fresh().await).await;
    no_more_follows_than_there_is(fresh().await).await;
    what_goes_back_is_no_approval(fresh().await).await;
    records_wait_in_order_until_they_are_acknowledged(fresh().await).await;
    it_moves_only_while_it_is_in_flight(fresh().await).await;
    an_order_is_not_taken_twice(fresh().await).await;
    a_code_is_used_once(fresh().await).await;
}

async fn one_that_may_have_taken_money<S: JournalStore>(store: S) {
    let begin = async |number| store.begin(new(number, 1, Kind::Authorize, 100, None)).await;
    let second = Err(StoreError::Conflict(Conflict::SecondAttempt));
    assert_eq!(begin(1).await, Ok(()));
    assert_eq!((begin(2).await, begin(1).await), (second.clone(), second.clone()));
    store.end(id(1), Ending::of(Outcome::Unknown)).await.unwrap();
    assert_eq!(begin(2).await, second);
    store.end(id(1), no()).await.unwrap();
    assert_eq!(begin(2).await, Ok(()));
    // Of many at once it is one.
    let together = tokio::join!(
        store.begin(new(11, 2, Kind::Authorize, 1, None)),
        store.begin(new(12, 2, Kind::Authorize, 1, None)),
        store.begin(new(13, 2, Kind::ChargeStored, 1, None)),
    );
    let begun = [together.0, together.1, together.2].iter().filter(|begun| begun.is_ok()).count();
    assert_eq!(begun, 1);
}

async fn the_first_word_stands<S: JournalStore>(store: S) {
    store.begin(new(1, 1, Kind::Authorize, 100, None)).await.unwrap();
    assert_eq!(store.end(id(2), no()).await, Ok(false), "there is none");
    assert_eq!(store.standing(id(2)).await, Ok(None));
    assert_eq!(store.end(id(1), Ending::of(Outcome::Unknown)).await, Ok(true));
    assert_eq!(store.end(id(1), Ending::of(Outcome::Unknown)).await, Ok(false));
    assert_eq!(store.open_attempts().await.unwrap().len(), 1);
    assert_eq!(store.end(id(1), yes(100)).await, Ok(true));
    assert_eq!(store.end(id(1), no()).await, Ok(false));
    assert!(matches!(store.standing(id(1)).await, Ok(Some(Outcome::Approved { .. }))));
    assert!(store.open_attempts().await.unwrap().is_empty());
}

async fn no_more_follows_than_there_is<S: JournalStore>(store: S) {
    let follow = async |number, kind, minor| store.begin(new(number, 1, kind, minor, Some(1))).await;
    let refused = |why| Err(StoreError::Conflict(Conflict::Refused(why)));
    assert_eq!(follow(2, Kind::Refund, 1).await, refused(Refusal::WrongState));
    store.begin(NewAttempt { later: true, ..new(1, 1, Kind::Authorize, 100, None) }).await.unwrap();
    store.end(id(1), yes(100)).await.unwrap();
    assert_eq!(follow(2, Kind::Capture, 60).await, Ok(()));
    assert_eq!(follow(2, Kind::Capture, 60).await, Err(StoreError::Conflict(Conflict::BegunBefore)));
    assert_eq!(follow(3, Kind::Capture, 41).await, refused(Refusal::AboveApproved), "what is open counts");
    assert_eq!(follow(4, Kind::Refund, 1).await, refused(Refusal::AboveCaptured), "and not as done");
    store.end(id(2), yes(60)).await.unwrap();
    assert_eq!(follow(5, Kind::Refund, 60).await, Ok(()));
    let account = store.account(payment(1)).await.unwrap().unwrap();
    let left = (account.balance.capturable(), account.balance.refundable());
    assert_eq!((left, account.capture_ref.as_deref()), ((pounds(40), pounds(0)), Some("ch_60")));
}

async fn what_goes_back_is_no_approval<S: JournalStore>(store: S) {
    store.begin(new(1, 1, Kind::Authorize, 100, None)).await.unwrap();
    let wrong = Ending { reversal: Some(Reversal::WrongCvv), ..yes(100) };
    store.end(id(1), wrong).await.unwrap();
    assert_eq!(store.standing(id(1)).await, Ok(Some(Outcome::Unknown)));
    assert_eq!(store.reversals_wanted().await.unwrap().len(), 1);
    store.begin(new(2, 1, Kind::Void, 100, Some(1))).await.unwrap();
    store.end(id(2), yes(100)).await.unwrap();
    assert!(store.reversals_wanted().await.unwrap().is_empty());
    let declined = Outcome::Declined { class: DeclineClass::WrongCvv, network_code: None };
    assert_eq!(store.standing(id(1)).await, Ok(Some(declined.clone())));
    let last = store.after(0).await.unwrap().pop().unwrap().body;
    assert_eq!(last, RecordBody::AttemptEnded { attempt: id(1), payment: payment(1), outcome: declined });
    assert_eq!(store.begin(new(3, 1, Kind::Authorize, 100, None)).await, Ok(()), "it may be taken again");
}

async fn records_wait_in_order_until_they_are_acknowledged<S: JournalStore>(store: S) {
    store.begin(new(1, 1, Kind::Authorize, 100, None)).await.unwrap();
    assert_eq!(store.audit_once("g", "evt_1", audit()).await, Ok(true));
    assert_eq!(store.audit_once("g", "evt_1", audit()).await, Ok(false));
    assert_eq!(store.audit_once("another", "evt_1", audit()).await, Ok(true));
    let _ = store.begin(new(2, 1, Kind::Authorize, 100, None)).await;
    store.end(id(1), no()).await.unwrap();
    let numbers =
        async |after| -> Vec<u64> { store.after(after).await.unwrap().iter().map(|record| record.number).collect() };
    assert_eq!((numbers(0).await, numbers(2).await), (vec![1, 2, 3, 4], vec![3, 4]));
    store.acknowledge(9).await;
    store.acknowledge(3).await;
    // What is written after it was acknowledged tells that it was.
    store.begin(new(3, 1, Kind::Authorize, 100, None)).await.unwrap();
    assert_eq!(numbers(0).await, [4, 5]);
}

async fn it_moves_only_while_it_is_in_flight<S: JournalStore>(store: S) {
    store.begin(new(1, 1, Kind::Authorize, 100, None)).await.unwrap();
    let route = async || {
        let open = store.open_attempts().await.unwrap().pop().unwrap();
        (open.gateway, open.credential)
    };
    assert_eq!(route().await, ("first".to_owned(), Some("old".to_owned())));
    assert_eq!(store.move_to(id(1), "second", Some("its own")).await, Ok(true));
    assert_eq!(route().await, ("second".to_owned(), Some("its own".to_owned())));
    store.end(id(1), Ending::of(Outcome::Unknown)).await.unwrap();
    assert_eq!(store.move_to(id(1), "third", None).await, Ok(false));
    assert_eq!(store.move_to(id(2), "third", None).await, Ok(false));
    assert_eq!(route().await, ("second".to_owned(), Some("its own".to_owned())));
}

async fn an_order_is_not_taken_twice<S: JournalStore>(store: S) {
    let order = |number, of, minor, reference: &str| NewAttempt {
        reference: reference.parse().ok(),
        ..new(number, of, Kind::Authorize, minor, None)
    };
    let same = Err(StoreError::Conflict(Conflict::SameOrder));
    let taken = async || -> Vec<PaymentId> {
        store.taken_orders().await.unwrap().into_iter().map(|order| order.payment).collect()
    };
    store.begin(order(1, 1, 100, "A")).await.unwrap();
    assert_eq!(store.begin(order(2, 2, 100, "A")).await, same, "it is in flight");
    let records = store.after(0).await.unwrap().len();
    store.end(id(1), Ending::of(Outcome::Unknown)).await.unwrap();
    assert_eq!((store.begin(order(2, 2, 100, "A")).await, taken().await), (same.clone(), vec![payment(1)]));
    assert_eq!(store.after(0).await.unwrap().len(), records + 1, "of what was refused there is no record");
    store.end(id(1), no()).await.unwrap();
    assert_eq!((store.begin(order(2, 2, 100, "A")).await, taken().await), (Ok(()), vec![payment(2)]));
    store.end(id(2), yes(100)).await.unwrap();
    assert_eq!(store.begin(order(3, 3, 100, "A")).await, same, "it is approved");
    for (number, minor, reference) in [(4, 101, "A"), (5, 100, "B")] {
        assert_eq!(store.begin(order(number, number, minor, reference)).await, Ok(()), "another order");
    }
    let plain = async |number| store.begin(new(number, number, Kind::Authorize, 100, None)).await;
    assert_eq!((plain(6).await, plain(7).await), (Ok(()), Ok(())), "without a reference there is nothing to compare");
    store.begin(new(8, 2, Kind::Void, 100, Some(2))).await.unwrap();
    store.end(id(8), yes(100)).await.unwrap();
    assert_eq!(store.begin(order(9, 9, 100, "A")).await, Ok(()), "it was given back");
}

async fn a_code_is_used_once<S: JournalStore>(store: S) {
    let until_unix_ms = crate::clock::unix_ms() + 60_000;
    let order = |number: u8, replaces: Option<u64>| KeptOrder {
        order: BouncedOrder {
            payment: payment(number.into()),
            merchant: "main".parse().unwrap(),
            amount: pounds(100),
            reference: "INV-77".parse().unwrap(),
            back: (number == 1).then(|| "1002".parse().unwrap()),
            valid_s: 60,
        },
        owner: (number != 2).then_some(7),
        marks: Marks { code: [number; 32], digits: [number + 100; 32] },
        until_unix_ms: until_unix_ms + i64::from(number),
        replaces: replaces.map(payment),
    };
    assert_eq!(store.use_code(payment(1)).await, Ok(false), "there is none");
    for (number, replaces) in [(1, None), (2, None), (3, Some(2))] {
        store.keep_order(order(number, replaces)).await.unwrap();
    }
    assert!(store.keep_order(order(3, None)).await.is_err(), "it is there");
    assert_eq!(store.use_code(payment(2)).await, Ok(false), "another has taken its place");
    assert_eq!((store.use_code(payment(1)).await, store.use_code(payment(1)).await), (Ok(true), Ok(false)));
    store.keep_order(order(4, Some(1))).await.unwrap();
    let states = [(1, CodeState::Used), (2, CodeState::Replaced), (3, CodeState::Waiting), (4, CodeState::Waiting)];
    let kept = states.map(|(number, state)| (order(number, None), state));
    assert_eq!(store.kept_orders().await.unwrap(), kept, "what is used stays so, and all of them come back whole");
}

/// The same calls by chance, and after each the same answer.
async fn does_what_the_model_does<S: JournalStore>(store: S, seed: u64) {
    let (model, mut dice) = (Model::default(), ChaCha8Rng::seed_from_u64(seed));
    let mut pick = move |count: u64| dice.next_u64() % count;
    for call in 0..CALLS {
        let (attempt, of) = (pick(60), 1_000 + pick(6));
        let told = format!("seed {seed}, call {call}");
        match pick(5) {
            0 | 1 => {
                let kinds = [Kind::Authorize, Kind::ChargeStored, Kind::Capture, Kind::Refund, Kind::Void];
                let kind = kinds[usize::try_from(pick(5)).unwrap()];
                let account = model.account(payment(of)).await.unwrap().map(|account| account.attempt);
                let begins = matches!(kind, Kind::Authorize | Kind::ChargeStored);
                let follows = if pick(8) == 0 { Some(id(pick(60))) } else { account }.filter(|_| !begins);
                let minor = if begins { 100 } else { 1 + i64::try_from(pick(110)).unwrap() };
                let (later, last) = (pick(2) == 0, pick(4) == 0);
                let reference = [None, "A".parse().ok(), "B".parse().ok()][usize::try_from(pick(3)).unwrap()].clone();
                let reference = reference.filter(|_| kind == Kind::Authorize);
                let row = NewAttempt { later, last, follows, reference, ..new(attempt, of, kind, minor, None) };
                // What follows nothing is no capture, and no store is asked for one.
                if begins || row.follows.is_some() {
                    assert_eq!(store.begin(row.clone()).await, model.begin(row).await, "{told}");
                }
            }
            2 | 3 => {
                let minor = model.open_attempts().await.unwrap().into_iter().find_map(|open| {
                    (open.operation.attempt == id(attempt)).then(|| open.operation.amount.map(|amount| amount.minor))?
                });
                let reversals =
                    [None, None, Some(Reversal::Late), Some(Reversal::WrongCvv), Some(Reversal::WrongAddress)];
                let ending = match pick(4) {
                    0 => Ending::of(Outcome::Unknown),
                    1 => no(),
                    _ => Ending { reversal: reversals[usize::try_from(pick(5)).unwrap()], ..yes(minor.unwrap_or(100)) },
                };
                assert_eq!(
                    store.end(id(attempt), ending.clone()).await,
                    model.end(id(attempt), ending).await,
                    "{told}"
                );
            }
            _ => {
                let to = ("other", Some("its own"));
                let moved =
                    (store.move_to(id(attempt), to.0, to.1).await, model.move_to(id(attempt), to.0, to.1).await);
                assert_eq!(moved.0, moved.1, "{told}");
            }
        }
        assert_eq!(store.standing(id(attempt)).await, model.standing(id(attempt)).await, "{told}");
        assert_eq!(seen(&store, of).await, seen(&model, of).await, "{told}");
    }
    let bodies = async |records: Vec<wire::Record>| -> Vec<_> {
        records.into_iter().map(|record| (record.number, record.body)).collect()
    };
    assert_eq!(bodies(store.after(0).await.unwrap()).await, bodies(model.after(0).await.unwrap()).await, "seed {seed}");
}

/// All that a store tells of itself and one payment, but the time.
async fn seen<S: JournalStore>(store: &S, of: u64) -> String {
    let account = store.account(payment(of)).await.unwrap();
    let account = account.map(|account| {
        (account.attempt, account.gateway, account.gateway_ref, account.capture_ref, account.approved, account.balance)
    });
    let open = store.open_attempts().await.unwrap();
    let open: Vec<_> = open
        .into_iter()
        .map(|open| (open.operation.attempt, open.operation.kind, open.gateway, open.credential, open.is_awaited))
        .collect();
    let taken = store.taken_orders().await.unwrap();
    let taken: Vec<_> = taken.into_iter().map(|order| (order.payment, order.reference, order.amount)).collect();
    format!("{account:?} {open:?} {taken:?} {:?}", store.reversals_wanted().await.unwrap())
}

#[tokio::test]
async fn sqlite_keeps_every_promise() {
    let folder = Folder::new();
    let opened = std::cell::Cell::new(0);
    keeps_every_promise(async || {
        opened.set(opened.get() + 1);
        Journal::open_keeping(&folder.0.join(format!("journal-{}.db", opened.get())), 0).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn the_model_keeps_every_promise() {
    keeps_every_promise(async || Model::default()).await;
}

#[tokio::test]
async fn sqlite_does_what_the_model_does() {
    let folder = Folder::new();
    for seed in 0..20 {
        let journal = Journal::open(&folder.0.join(format!("journal-{seed}.db"))).await.unwrap();
        does_what_the_model_does(journal.clone(), seed).await;
        journal.close().await;
    }
}
