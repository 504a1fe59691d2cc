//! What the cde's records do, each once.

use super::{MoneyPlace, MoneyRooms, abandoned};
use crate::store::{StoreError, audit::Audit, journal::Journal, payments::Payments};
use uuid::Uuid;
use wire::{
    AttemptId, AttemptKind, AuditAction, AuditEvent, Brand, CallId, CaptureTime, CardView, Currency, DeclineClass,
    JournalId, Last4, Money, MoneyAlarm, Origin, Outcome, PaymentId, PaymentState, Record, RecordBody,
};

pub(crate) const CALL: CallId = CallId(Uuid::from_u128(1));
pub(crate) const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(2));

pub(crate) fn sent(attempt: u128) -> RecordBody {
    RecordBody::AttemptSent(wire::AttemptSent {
        attempt: AttemptId(Uuid::from_u128(attempt)),
        kind: AttemptKind::Authorize,
        payment: PAYMENT,
        call: CALL,
        extension: "1001".parse().unwrap(),
        origin: Origin::System,
        merchant: "main".parse().unwrap(),
        amount: Money { minor: 4200, currency: Currency::GBP },
        capture: Some(CaptureTime::Now),
        card: Some(CardView { brand: Brand::Visa, last4: Last4::new(*b"4242").unwrap(), expiry: None }),
    })
}

pub(crate) fn ended(attempt: u128, outcome: Outcome) -> RecordBody {
    RecordBody::AttemptEnded { attempt: AttemptId(Uuid::from_u128(attempt)), payment: PAYMENT, outcome }
}

pub(crate) fn approved() -> Outcome {
    let amount = Money { minor: 4200, currency: Currency::GBP };
    Outcome::Approved { auth_code: "A1".into(), gateway_ref: "g".into(), amount, checks: wire::Checks::default() }
}

pub(crate) fn declined() -> Outcome {
    Outcome::Declined { class: DeclineClass::WrongCvv, network_code: None }
}

pub(crate) fn audit(action: AuditAction) -> RecordBody {
    let extension = "1001".parse().unwrap();
    RecordBody::Audit(AuditEvent { origin: Origin::System, call: CALL, extension, action })
}

/// A store with a journal that holds these records.
pub(super) async fn with<P: MoneyPlace>(fresh: &impl Fn() -> P, bodies: Vec<RecordBody>) -> (P::Store, P) {
    let place = fresh();
    let store = place.open().await;
    store.journal(JournalId(Uuid::from_u128(1))).await.unwrap();
    let stored = store.records(&numbered(1, bodies)).await.unwrap();
    assert!(stored.trouble.is_none(), "{stored:?}");
    (store, place)
}

pub(crate) fn numbered(first: u64, bodies: Vec<RecordBody>) -> Vec<Record> {
    (first..).zip(bodies).map(|(number, body)| Record { number, at_unix_ms: 7, body }).collect()
}

pub(crate) async fn state(store: &impl MoneyRooms) -> PaymentState {
    store.payment(PAYMENT).await.unwrap().unwrap().state
}

pub(super) async fn what_is_to_be_paid_follows_the_call_to_another_agent_and_what_is_paid_does_not<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    let answered_by = |extension: &str| {
        let (origin, extension) = (Origin::AgentPhone, extension.parse().unwrap());
        RecordBody::Audit(AuditEvent { origin, call: CALL, extension, action: AuditAction::CallAnswered })
    };
    let amount = Money { minor: 4200, currency: Currency::GBP };
    let start = || audit(AuditAction::PaymentStarted { payment: PAYMENT, amount });
    let whose = async |bodies| {
        let (store, _place) = with(fresh, bodies).await;
        store.payment(PAYMENT).await.unwrap().unwrap().extension
    };
    assert_eq!(whose(vec![answered_by("1001"), start(), answered_by("1002")]).await, "1002");
    assert_eq!(whose(vec![start(), sent(1), ended(1, declined()), answered_by("1002")]).await, "1002");
    assert_eq!(whose(vec![start(), sent(1), ended(1, approved()), answered_by("1002")]).await, "1001");
}

pub(super) async fn the_attempts_together_make_the_state<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    for (bodies, expected) in [
        (vec![sent(1)], PaymentState::Authorizing),
        (vec![sent(1), ended(1, approved())], PaymentState::Approved),
        (vec![sent(1), ended(1, Outcome::Unknown)], PaymentState::Unknown),
        (vec![sent(1), ended(1, Outcome::Unknown), ended(1, Outcome::Abandoned)], PaymentState::NotSent),
        (vec![sent(1), ended(1, declined()), sent(2)], PaymentState::Authorizing),
        (vec![sent(1), ended(1, declined()), sent(2), ended(2, approved())], PaymentState::Approved),
        (vec![sent(1), ended(1, approved()), ended(1, declined())], PaymentState::Approved),
        (vec![ended(1, approved())], PaymentState::Waiting),
    ] {
        let shown = format!("{bodies:?}");
        let orphan = matches!(bodies[0], RecordBody::AttemptEnded { .. });
        let (store, _place) = with(fresh, bodies).await;
        if orphan {
            assert!(store.payment(PAYMENT).await.unwrap().is_none());
            assert_eq!(store.attempts(PAYMENT).await.unwrap().len(), 1, "the outcome itself is kept");
        } else {
            assert_eq!(state(&store).await, expected, "{shown}");
        }
    }
}

pub(super) async fn a_record_counts_once_and_a_gap_is_refused<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let (store, _place) = with(fresh, vec![sent(1), ended(1, declined())]).await;
    let again = store.records(&numbered(1, vec![sent(1)])).await.unwrap();
    assert_eq!((again.newest, again.fresh), (Some(1), 0));
    let far = store.records(&numbered(4, vec![ended(1, approved())])).await.unwrap();
    assert_eq!((far.newest, far.fresh), (None, 0));
    assert!(matches!(far.trouble, Some(StoreError::Gap { stored: 2, got: 4 })));
    assert_eq!(state(&store).await, PaymentState::Declined);
    assert_eq!(store.audit_of_payment(&PAYMENT.to_string()).await.unwrap().len(), 2);
}

pub(super) async fn a_group_is_stored_up_to_the_record_that_can_not_be<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let (store, _place) = with(fresh, vec![sent(1)]).await;
    let mut group = numbered(1, vec![sent(1), ended(1, declined()), sent(2)]);
    group.extend(numbered(5, vec![ended(2, approved())]));
    let stored = store.records(&group).await.unwrap();
    assert_eq!((stored.newest, stored.fresh), (Some(3), 2));
    assert_eq!(stored.payments.into_iter().collect::<Vec<_>>(), [PAYMENT]);
    assert!(matches!(stored.trouble, Some(StoreError::Gap { stored: 3, got: 5 })));
    assert_eq!(store.door().await.unwrap().unwrap().1, 3);
    assert_eq!(state(&store).await, PaymentState::Authorizing);
}

pub(super) async fn a_new_journal_begins_at_nothing_and_the_same_one_goes_on<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let (store, _place) = with(fresh, vec![sent(1)]).await;
    let (old, new) = (JournalId(Uuid::from_u128(1)), JournalId(Uuid::from_u128(2)));
    store.journal(old).await.unwrap();
    assert_eq!(store.door().await.unwrap(), Some((old, 1)));
    store.journal(new).await.unwrap();
    assert_eq!(store.door().await.unwrap(), Some((new, 0)));
    store.records(&numbered(1, vec![ended(1, approved())])).await.unwrap();
    assert_eq!(state(&store).await, PaymentState::Approved);
}

pub(super) async fn what_the_gateway_may_have_done_is_never_hidden<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let cancel = || audit(AuditAction::PaymentCancelled { payment: PAYMENT });
    let (store, _place) = with(fresh, vec![sent(1), cancel()]).await;
    assert_eq!(state(&store).await, PaymentState::Authorizing);
    let start =
        AuditAction::PaymentStarted { payment: PAYMENT, amount: Money { minor: 4200, currency: Currency::GBP } };
    let (store, _place) = with(fresh, vec![audit(start), cancel(), sent(1), ended(1, approved())]).await;
    assert_eq!(state(&store).await, PaymentState::Approved);
    assert_eq!(store.payment(PAYMENT).await.unwrap().unwrap().extension, "1001");
}

pub(super) async fn once_caught_up_the_payments_of_gone_calls_are_settled<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let start =
        AuditAction::PaymentStarted { payment: PAYMENT, amount: Money { minor: 4200, currency: Currency::GBP } };
    let (store, _place) = with(fresh, vec![audit(start)]).await;
    assert!(store.caught_up(9, &[CALL]).await.unwrap().is_empty(), "the call is alive");
    assert_eq!(store.caught_up(9, &[]).await.unwrap().len(), 1);
    assert_eq!(state(&store).await, PaymentState::Cancelled);
    let (store, _place) = with(fresh, vec![sent(1)]).await;
    store.caught_up(9, &[]).await.unwrap();
    assert_eq!(state(&store).await, PaymentState::Unknown);
}

/// An office that was restored from a backup knows of what came after it nothing but the records.
pub(super) async fn a_reservation_that_only_the_records_tell_of_is_one<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let later = || match sent(1) {
        RecordBody::AttemptSent(sent) => {
            RecordBody::AttemptSent(wire::AttemptSent { capture: Some(CaptureTime::Later), ..sent })
        }
        other => other,
    };
    let amount = Money { minor: 4200, currency: Currency::GBP };
    let start = || audit(AuditAction::PaymentStarted { payment: PAYMENT, amount });
    for before in [vec![], vec![start()]] {
        let bodies = before.into_iter().chain([later(), ended(1, approved())]).collect();
        let (store, _place) = with(fresh, bodies).await;
        let shown = store.payment(PAYMENT).await.unwrap().unwrap();
        assert_eq!((shown.state, shown.later, shown.captured.minor), (PaymentState::Approved, true, 0));
    }
    let (store, _place) = with(fresh, vec![start(), sent(1), ended(1, approved())]).await;
    let shown = store.payment(PAYMENT).await.unwrap().unwrap();
    assert_eq!((shown.later, shown.captured.minor), (false, 4200));
}

pub(super) async fn a_payment_waits_for_people_until_the_end_of_each_attempt_is_known<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    let refund = |attempt| match sent(attempt) {
        RecordBody::AttemptSent(sent) => {
            RecordBody::AttemptSent(wire::AttemptSent { kind: AttemptKind::Refund, capture: None, card: None, ..sent })
        }
        other => other,
    };
    let nobody_knows = || audit(AuditAction::Money { payment: PAYMENT, alarm: MoneyAlarm::NeedsPeople });
    let waiting = async |store: &P::Store| store.payment(PAYMENT).await.unwrap().unwrap().needs_people;
    let bodies = vec![sent(1), ended(1, approved()), refund(2), ended(2, Outcome::Unknown), nobody_knows()];
    let (store, _place) = with(fresh, bodies).await;
    // What else happens to the payment settles nothing: another refund, and what comes of it.
    for (number, body) in (6..).zip([refund(3), ended(3, declined()), refund(4), ended(4, Outcome::Unknown)]) {
        store.records(&numbered(number, vec![body])).await.unwrap();
        assert!(waiting(&store).await, "record {number}");
    }
    store.records(&numbered(10, vec![ended(2, Outcome::Abandoned)])).await.unwrap();
    assert!(waiting(&store).await, "one of two");
    store.records(&numbered(11, vec![ended(4, approved())])).await.unwrap();
    assert!(!waiting(&store).await);
}

/// The number of records, their rows of the audit trail and what they do to the payment are one.
pub(super) async fn a_group_whose_caller_goes_away_is_stored_wholly_or_not_at_all<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    let (store, place) = with(fresh, vec![sent(1), ended(1, declined())]).await;
    let mut newest = 2;
    for turn in 0..60 {
        let attempt = u128::from(turn) + 2;
        let group = numbered(newest + 1, vec![sent(attempt), ended(attempt, declined())]);
        abandoned(&store, turn, store.records(&group)).await;
        let (_, number) = store.door().await.unwrap().unwrap();
        let rows = store.audit_of_payment(&PAYMENT.to_string()).await.unwrap().len();
        let attempts = store.attempts(PAYMENT).await.unwrap().len();
        assert!(number == newest || number == newest + 2, "turn {turn}: {number} after {newest}");
        assert_eq!(
            (u64::try_from(rows).unwrap(), u64::try_from(attempts).unwrap()),
            (number, number / 2),
            "turn {turn}"
        );
        newest += 2;
        assert_eq!(store.records(&group).await.unwrap().newest, Some(newest));
    }
    drop(store);
    let store = place.open().await;
    assert_eq!(store.door().await.unwrap().unwrap().1, newest, "and it is there when all handles are gone");
    assert_eq!(store.attempts(PAYMENT).await.unwrap().len(), 61);
}

pub(super) async fn what_two_store_at_once_counts_once<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let (store, place) = with(fresh, Vec::new()).await;
    let other = place.open().await;
    for turn in 0..20 {
        let group = numbered(2 * turn + 1, vec![sent(u128::from(turn)), ended(u128::from(turn), declined())]);
        let (one, two) = tokio::join!(store.records(&group), other.records(&group));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.fresh + two.fresh, one.newest, two.newest), (2, Some(2 * turn + 2), Some(2 * turn + 2)));
    }
    assert_eq!(other.audit_of_payment(&PAYMENT.to_string()).await.unwrap().len(), 40);
    let numbers: Vec<i64> = store.attempts(PAYMENT).await.unwrap().iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}
