use super::*;
use crate::store::tests::{Folder, store};
use uuid::Uuid;
use wire::{Brand, Currency, DeclineClass, Last4};

const CALL: CallId = CallId(Uuid::from_u128(1));
const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(2));

fn sent(attempt: u128) -> RecordBody {
    RecordBody::AttemptSent {
        attempt: AttemptId(Uuid::from_u128(attempt)),
        kind: AttemptKind::Authorize,
        payment: PAYMENT,
        call: CALL,
        extension: "1001".parse().unwrap(),
        origin: Origin::System,
        merchant: "main".parse().unwrap(),
        amount: Money { minor: 4200, currency: Currency::GBP },
        card: Some(CardView { brand: Brand::Visa, last4: Last4::new(*b"4242").unwrap(), expiry: None }),
    }
}

fn ended(attempt: u128, outcome: Outcome) -> RecordBody {
    RecordBody::AttemptEnded { attempt: AttemptId(Uuid::from_u128(attempt)), payment: PAYMENT, outcome }
}

fn approved() -> Outcome {
    let amount = Money { minor: 4200, currency: Currency::GBP };
    Outcome::Approved { auth_code: "A1".into(), gateway_ref: "g".into(), amount, checks: wire::Checks::default() }
}

fn declined() -> Outcome {
    Outcome::Declined { class: DeclineClass::WrongCvv, network_code: None }
}

fn audit(action: AuditAction) -> RecordBody {
    let extension = "1001".parse().unwrap();
    RecordBody::Audit(AuditEvent { origin: Origin::System, call: CALL, extension, action })
}

/// A store with a journal that holds these records.
async fn with(bodies: Vec<RecordBody>) -> (Store, Folder) {
    let (store, folder) = store().await;
    store.journal(JournalId(Uuid::from_u128(1))).await.unwrap();
    let stored = store.records(&numbered(1, bodies)).await.unwrap();
    assert!(stored.trouble.is_none(), "{stored:?}");
    (store, folder)
}

fn numbered(first: u64, bodies: Vec<RecordBody>) -> Vec<Record> {
    (first..).zip(bodies).map(|(number, body)| Record { number, at_unix_ms: 7, body }).collect()
}

async fn state(store: &Store) -> PaymentState {
    store.payment(PAYMENT).await.unwrap().unwrap().state
}

#[tokio::test]
async fn the_attempts_together_make_the_state() {
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
        let (store, _folder) = with(bodies).await;
        if orphan {
            assert!(store.payment(PAYMENT).await.unwrap().is_none());
            assert_eq!(store.attempts(PAYMENT).await.unwrap().len(), 1, "the outcome itself is kept");
        } else {
            assert_eq!(state(&store).await, expected, "{shown}");
        }
    }
}

#[tokio::test]
async fn a_record_counts_once_and_a_gap_is_refused() {
    let (store, _folder) = with(vec![sent(1), ended(1, declined())]).await;
    let again = store.records(&numbered(1, vec![sent(1)])).await.unwrap();
    assert_eq!((again.newest, again.fresh), (Some(1), 0));
    let far = store.records(&numbered(4, vec![ended(1, approved())])).await.unwrap();
    assert_eq!((far.newest, far.fresh), (None, 0));
    assert!(matches!(far.trouble, Some(StoreError::Gap { stored: 2, got: 4 })));
    assert_eq!(state(&store).await, PaymentState::Declined);
    assert_eq!(store.audit_of_payment(&PAYMENT.to_string()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_group_is_stored_up_to_the_record_that_can_not_be() {
    let (store, _folder) = with(vec![sent(1)]).await;
    let mut group = numbered(1, vec![sent(1), ended(1, declined()), sent(2)]);
    group.extend(numbered(5, vec![ended(2, approved())]));
    let stored = store.records(&group).await.unwrap();
    assert_eq!((stored.newest, stored.fresh), (Some(3), 2));
    assert_eq!(stored.payments.into_iter().collect::<Vec<_>>(), [PAYMENT]);
    assert!(matches!(stored.trouble, Some(StoreError::Gap { stored: 3, got: 5 })));
    assert_eq!(store.door().await.unwrap().unwrap().1, 3);
    assert_eq!(state(&store).await, PaymentState::Authorizing);
}

#[tokio::test]
async fn of_a_record_that_fails_nothing_is_stored() {
    let (store, _folder) = with(vec![sent(1)]).await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit WHEN NEW.result = 'approved'
                BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(full).execute(&store.writer).await.unwrap();
    let group = numbered(2, vec![ended(1, declined()), sent(2), ended(2, approved()), sent(3)]);
    let stored = store.records(&group).await.unwrap();
    assert!(matches!((stored.newest, &stored.trouble), (Some(3), Some(StoreError::Sql(_)))), "{stored:?}");
    assert_eq!((store.door().await.unwrap().unwrap().1, state(&store).await), (3, PaymentState::Authorizing));
    sqlx::query("DROP TRIGGER full").execute(&store.writer).await.unwrap();
    assert_eq!(store.records(&group).await.unwrap().newest, Some(5), "it is taken the next time");
    assert_eq!(state(&store).await, PaymentState::Approved);
}

#[tokio::test]
async fn a_new_journal_begins_at_nothing_and_the_same_one_goes_on() {
    let (store, _folder) = with(vec![sent(1)]).await;
    let (old, new) = (JournalId(Uuid::from_u128(1)), JournalId(Uuid::from_u128(2)));
    store.journal(old).await.unwrap();
    assert_eq!(store.door().await.unwrap(), Some((old, 1)));
    store.journal(new).await.unwrap();
    assert_eq!(store.door().await.unwrap(), Some((new, 0)));
    store.records(&numbered(51, vec![ended(1, approved())])).await.unwrap();
    assert_eq!(state(&store).await, PaymentState::Approved);
}

#[tokio::test]
async fn what_the_gateway_may_have_done_is_never_hidden() {
    let cancel = || audit(AuditAction::PaymentCancelled { payment: PAYMENT });
    let (store, _folder) = with(vec![sent(1), cancel()]).await;
    assert_eq!(state(&store).await, PaymentState::Authorizing);
    let start =
        AuditAction::PaymentStarted { payment: PAYMENT, amount: Money { minor: 4200, currency: Currency::GBP } };
    let (store, _folder) = with(vec![audit(start), cancel(), sent(1), ended(1, approved())]).await;
    assert_eq!(state(&store).await, PaymentState::Approved);
    assert_eq!(store.payment(PAYMENT).await.unwrap().unwrap().extension, "1001");
}

#[tokio::test]
async fn once_caught_up_the_payments_of_gone_calls_are_settled() {
    let start =
        AuditAction::PaymentStarted { payment: PAYMENT, amount: Money { minor: 4200, currency: Currency::GBP } };
    let (store, _folder) = with(vec![audit(start)]).await;
    assert!(store.caught_up(9, &[CALL]).await.unwrap().is_empty(), "the call is alive");
    assert_eq!(store.caught_up(9, &[]).await.unwrap().len(), 1);
    assert_eq!(state(&store).await, PaymentState::Cancelled);
    let (store, _folder) = with(vec![sent(1)]).await;
    store.caught_up(9, &[]).await.unwrap();
    assert_eq!(state(&store).await, PaymentState::Unknown);
}

#[tokio::test]
async fn a_payment_waits_for_people_until_the_end_of_each_attempt_is_known() {
    let refund = |attempt| match sent(attempt) {
        RecordBody::AttemptSent { attempt, payment, call, extension, origin, merchant, amount, .. } => {
            let (kind, card) = (AttemptKind::Refund, None);
            RecordBody::AttemptSent { attempt, kind, payment, call, extension, origin, merchant, amount, card }
        }
        other => other,
    };
    let nobody_knows = || audit(AuditAction::Money { payment: PAYMENT, alarm: MoneyAlarm::NeedsPeople });
    let waiting = async |store: &Store| store.payment(PAYMENT).await.unwrap().unwrap().needs_people;
    let bodies = vec![sent(1), ended(1, approved()), refund(2), ended(2, Outcome::Unknown), nobody_knows()];
    let (store, _folder) = with(bodies).await;
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
