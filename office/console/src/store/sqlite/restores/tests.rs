use super::*;
use crate::recurring::{
    AgreementId,
    jobs::{DueState, End},
    tests::{LEASE_MS, START_MS, daily},
};
use crate::store::recurring::Jobs;
use crate::store::{
    audit::Audit,
    contract::journal::{PAYMENT, approved, declined, ended, numbered, sent},
    finance::{DeletionSaid, DeletionState, Finance, SaidOfDeletion},
    journal::Journal,
    payments::Payments,
    sqlite::tests::{Folder, sqlite},
};
use uuid::Uuid;
use wire::{
    AttemptId, Brand, CallId, CaptureTime, CardView, Currency, DeclineClass, Keeper, KeptCard, Last4, Money, Outcome,
    PaymentId, PaymentState, Token, ToldAgain,
};

const JOURNAL: JournalId = JournalId(Uuid::from_u128(1));

async fn with(bodies: Vec<RecordBody>) -> (Sqlite, Folder) {
    let (store, folder) = sqlite().await;
    store.journal(JOURNAL).await.unwrap();
    tell(&store, 1, bodies).await;
    (store, folder)
}

async fn tell(store: &Sqlite, first: u64, bodies: Vec<RecordBody>) {
    let stored = store.records(&numbered(first, bodies)).await.unwrap();
    assert!(stored.trouble.is_none(), "{stored:?}");
}

fn entry() -> Entry<'static> {
    Entry {
        who: "fay@example.com".to_owned(),
        ..Entry::system(9, "records_missing_accepted", "lost with the disk", "-")
    }
}

fn pounds(minor: i64) -> Money {
    Money { minor, currency: Currency::GBP }
}

fn yes(minor: i64) -> Outcome {
    Outcome::Approved {
        auth_code: String::new(),
        gateway_ref: "g".to_owned(),
        amount: pounds(minor),
        checks: wire::Checks::default(),
    }
}

fn again(attempt: u128, kind: AttemptKind, minor: i64, outcome: Outcome) -> ToldAgain {
    let card = CardView { brand: Brand::Visa, last4: Last4::new(*b"4242").unwrap(), expiry: None };
    ToldAgain {
        attempt: AttemptId(Uuid::from_u128(attempt)),
        kind,
        payment: PAYMENT,
        place: u32::try_from(attempt).unwrap(),
        call: CallId(Uuid::from_u128(1)),
        extension: "1001".parse().unwrap(),
        merchant: "main".parse().unwrap(),
        amount: pounds(minor),
        capture: CaptureTime::Now,
        card: (kind == AttemptKind::Authorize).then_some(card),
        reference: None,
        outcome,
        kept: None,
        is_forgetting: false,
        is_forgotten: false,
        by_hand: None,
    }
}

/// So that each has a time of its own, as their rows have.
async fn tell_again(store: &Sqlite, first: u64, told: Vec<(i64, ToldAgain)>) {
    let records: Vec<_> = (first..)
        .zip(told)
        .map(|(number, (at_unix_ms, told))| {
            let body = RecordBody::AttemptToldAgain(Box::new(told));
            Record { number, at_unix_ms, body }
        })
        .collect();
    let stored = store.records(&records).await.unwrap();
    assert!(stored.trouble.is_none(), "{stored:?}");
}

fn restored(stored: u64, acknowledged: u64, gone: u64) -> RecordBody {
    RecordBody::OfficeRestored(Restored { stored, acknowledged, since_unix_ms: Some(5), gone, told_again: 2 })
}

async fn trail(store: &Sqlite) -> Vec<(String, String)> {
    let rows = store.audit_of_payment(&PAYMENT.to_string()).await.unwrap();
    rows.into_iter().map(|row| (row.what, row.result)).collect()
}

#[tokio::test]
async fn nothing_is_passed_over_before_somebody_has_accepted_just_that() {
    let (store, folder) = with(vec![sent(1), ended(1, declined())]).await;
    let far = numbered(5, vec![sent(2)]);
    for _ in 0..2 {
        let stored = store.records(&far).await.unwrap();
        assert!(matches!(stored.trouble, Some(StoreError::Gap { stored: 2, got: 5 })), "{stored:?}");
    }
    let missing = store.missing_next(JOURNAL).await.unwrap().unwrap();
    assert_eq!((missing.first, missing.last, missing.count()), (3, 4, 2));
    assert_eq!((missing.after_ms, missing.before_ms, missing.accepted.as_ref()), (Some(7), Some(7), None));
    let noted = missing_in(&folder.0.join("office.db")).await.unwrap();
    assert_eq!(noted, std::slice::from_ref(&missing), "noted once");
    assert_eq!(store.missing_next(JournalId(Uuid::from_u128(2))).await.unwrap(), None, "of another journal");
    assert_eq!(store.accept_missing(missing.id + 1, "no such", &entry()).await.unwrap(), None);
    let accepted = store.accept_missing(missing.id, "lost with the disk", &entry()).await.unwrap().unwrap();
    let said = accepted.accepted.clone().unwrap();
    assert_eq!((said.at_ms, said.who.as_str(), said.reason.as_str()), (9, "fay@example.com", "lost with the disk"));
    let twice = store.accept_missing(missing.id, "something else", &entry()).await.unwrap().unwrap();
    assert_eq!(twice, accepted, "the first word stands");
    assert_eq!(store.missing_next(JOURNAL).await.unwrap(), None);
    let other = store.records(&numbered(6, vec![sent(2)])).await.unwrap();
    assert!(matches!(other.trouble, Some(StoreError::Gap { stored: 2, got: 6 })), "another gap: {other:?}");
    tell(&store, 5, vec![sent(2), ended(2, approved())]).await;
    assert_eq!(store.door().await.unwrap(), Some((JOURNAL, 6)));
    let rows = "SELECT count(*) FROM audit WHERE what = ?";
    let rows = async |what| sqlx::query_scalar::<_, i64>(rows).bind(what).fetch_one(&store.writer).await.unwrap();
    assert_eq!((rows("records_missing").await, rows("records_missing_accepted").await), (2, 1));
}

/// An office with a new database, at a card side with an old journal.
#[tokio::test]
async fn an_office_that_has_nothing_does_not_begin_in_the_middle() {
    let (store, _folder) = with(Vec::new()).await;
    let stored = store.records(&numbered(8, vec![sent(2)])).await.unwrap();
    assert!(matches!(stored.trouble, Some(StoreError::Gap { stored: 0, got: 8 })), "{stored:?}");
    let missing = store.missing_next(JOURNAL).await.unwrap().unwrap();
    assert_eq!((missing.first, missing.last, missing.after_ms), (1, 7, None));
}

#[tokio::test]
async fn what_is_told_again_makes_the_payment_that_it_was() {
    let (store, _folder) = with(Vec::new()).await;
    let later = ToldAgain { capture: CaptureTime::Later, ..again(1, AttemptKind::Authorize, 4200, yes(4000)) };
    let all = || {
        vec![
            (10, later.clone()),
            (20, again(2, AttemptKind::Capture, 3000, yes(3000))),
            (30, again(3, AttemptKind::Refund, 500, yes(500))),
            (40, again(4, AttemptKind::Refund, 600, Outcome::Unknown)),
        ]
    };
    tell_again(&store, 1, all()).await;
    let payment = store.payment(PAYMENT).await.unwrap().unwrap();
    assert_eq!((payment.state, payment.approved.map(|it| it.minor)), (PaymentState::Approved, Some(4000)));
    assert_eq!((payment.captured.minor, payment.refunded.minor), (3000, 500));
    let attempts = store.attempts(PAYMENT).await.unwrap();
    let card = attempts[0].card.as_ref().unwrap();
    assert_eq!((card.brand, card.last4.to_string().as_str()), (Brand::Visa, "4242"));
    assert!(!attempts[3].outcome.as_ref().unwrap().is_known(), "nobody says that it is not done");
    let rows = trail(&store).await;
    assert_eq!(rows.iter().filter(|(what, _)| what == "attempt_told_again").count(), 4);
    tell_again(&store, 5, all()).await;
    assert_eq!(trail(&store).await, rows, "what is known is not said twice");
    assert_eq!(store.payment(PAYMENT).await.unwrap().unwrap().refunded.minor, 500);
    tell(&store, 9, vec![ended(4, yes(600))]).await;
    assert_eq!(store.payment(PAYMENT).await.unwrap().unwrap().refunded.minor, 1100, "and its end comes as ever");
}

#[tokio::test]
async fn what_followed_counts_after_what_it_followed_whichever_is_told_first() {
    // The records of the authorization are gone, those of the void are not, and of the refund only the end is here.
    let void = |body| match body {
        RecordBody::AttemptSent(sent) => {
            RecordBody::AttemptSent(wire::AttemptSent { kind: AttemptKind::Void, capture: None, card: None, ..sent })
        }
        other => other,
    };
    let (store, _folder) = with(vec![void(sent(2)), ended(2, yes(4200))]).await;
    let told =
        vec![(9, again(1, AttemptKind::Authorize, 4200, yes(4200))), (2, again(2, AttemptKind::Void, 4200, yes(4200)))];
    tell_again(&store, 3, told).await;
    assert_eq!(
        store.payment(PAYMENT).await.unwrap().unwrap().state,
        PaymentState::Voided,
        "by no clock that was set back"
    );
    let (store, _folder) = with(vec![ended(2, yes(4200))]).await;
    let told = vec![
        (1, again(1, AttemptKind::Authorize, 4200, yes(4200))),
        (2, again(2, AttemptKind::Refund, 4200, yes(4200))),
    ];
    tell_again(&store, 2, told).await;
    assert_eq!(store.payment(PAYMENT).await.unwrap().unwrap().state, PaymentState::Refunded);
}

#[tokio::test]
async fn how_much_a_payment_is_says_what_takes_its_money_and_not_what_followed() {
    let refund = match sent(3) {
        RecordBody::AttemptSent(sent) => RecordBody::AttemptSent(wire::AttemptSent {
            kind: AttemptKind::Refund,
            amount: pounds(500),
            capture: None,
            card: None,
            ..sent
        }),
        other => other,
    };
    let (store, _folder) = with(vec![refund, ended(3, yes(500))]).await;
    let (capture, reference) = (CaptureTime::Later, "R-1".parse().ok());
    let told = || {
        vec![
            (
                1,
                ToldAgain {
                    capture,
                    reference: reference.clone(),
                    ..again(1, AttemptKind::Authorize, 4200, yes(4200))
                },
            ),
            (2, again(2, AttemptKind::Capture, 3000, yes(3000))),
            (7, again(3, AttemptKind::Refund, 500, yes(500))),
        ]
    };
    for first in [3, 6] {
        tell_again(&store, first, told()).await;
        let payment = store.payment(PAYMENT).await.unwrap().unwrap();
        assert_eq!((payment.amount, payment.later, payment.reference.as_deref()), (pounds(4200), true, Some("R-1")));
        assert_eq!((payment.captured.minor, payment.refunded.minor, payment.created_ms), (3000, 500, 1));
    }
}

#[tokio::test]
async fn an_outcome_that_is_known_is_not_replaced_by_what_is_told_again() {
    let (store, _folder) = with(vec![sent(1), ended(1, declined())]).await;
    let other = Outcome::Declined { class: DeclineClass::Other, network_code: None };
    tell_again(&store, 3, vec![(7, again(1, AttemptKind::Authorize, 4200, other))]).await;
    assert_eq!(store.attempts(PAYMENT).await.unwrap()[0].outcome, Some(declined()), "with its class");
    assert!(!trail(&store).await.iter().any(|(what, _)| what == "attempt_told_again"));
    // What was in flight when the backup was made.
    let (store, _folder) = with(vec![sent(1)]).await;
    tell_again(&store, 2, vec![(7, again(1, AttemptKind::Authorize, 4200, yes(4200)))]).await;
    assert_eq!(store.payment(PAYMENT).await.unwrap().unwrap().state, PaymentState::Approved);
    assert!(trail(&store).await.contains(&("attempt_told_again".to_owned(), "approved".to_owned())));
}

#[tokio::test]
async fn a_card_that_was_kept_or_forgotten_meanwhile_is_so_here() {
    for (is_forgetting, is_forgotten) in [(false, false), (true, false), (true, true)] {
        let (store, _folder) = with(Vec::new()).await;
        let attempt = again(1, AttemptKind::Authorize, 4200, yes(4200));
        let token = Token::from_random(&[0xA5; Token::BYTES]).unwrap();
        let (merchant, card) = ("main".parse().unwrap(), attempt.card.unwrap());
        let kept = KeptCard { token: token.clone(), merchant, card, keeper: Keeper::Vault, same_as: None };
        let told = ToldAgain { kept: Some(kept), is_forgetting, is_forgotten, ..attempt };
        tell_again(&store, 1, vec![(7, told.clone()), (7, told)]).await;
        let gone = "SELECT gone_at IS NOT NULL, forgotten_at IS NOT NULL FROM kept_card WHERE token = ?";
        let gone: Vec<(bool, bool)> = sqlx::query_as(gone).bind(token.as_str()).fetch_all(&store.writer).await.unwrap();
        assert_eq!(gone, [(is_forgetting, is_forgotten)]);
        assert_eq!(trail(&store).await.iter().filter(|(what, _)| what == "card_kept").count(), 1);
    }
}

/// What broke: two people's word was shown as the gateway's, and what they had looked at waited again.
#[tokio::test]
async fn two_peoples_word_about_a_card_is_theirs_after_a_restore_too() {
    for by_hand in [Some(wire::ByHand { said_by: 71, confirmed_by: 72 }), None] {
        let attempt = again(1, AttemptKind::Authorize, 4200, yes(4200));
        let token = Token::from_random(&[0xA5; Token::BYTES]).unwrap();
        let (merchant, card) = ("main".parse().unwrap(), attempt.card.unwrap());
        let kept = KeptCard { token: token.clone(), merchant, card, keeper: Keeper::Gateway, same_as: None };
        let (store, _folder) = with(Vec::new()).await;
        let forgotten = ToldAgain { kept: Some(kept), is_forgetting: true, by_hand, ..attempt };
        tell_again(&store, 1, vec![(7, forgotten.clone())]).await;
        let alarm = wire::AuditAction::Money { payment: PAYMENT, alarm: wire::MoneyAlarm::NotForgotten };
        tell(&store, 2, vec![crate::store::contract::journal::audit(alarm)]).await;
        // One of them had said so when the backup was made, long after the attempt.
        let entry = Entry::system(90, "deleted_by_hand", "ok", "it");
        let said = SaidOfDeletion {
            token: &token,
            found: wire::Found::Done,
            reason: Some("there"),
            user: 71,
            on_its_way_after_ms: 0,
        };
        assert_eq!(store.deletion_said(90, said, &entry).await.unwrap(), DeletionSaid::Noted);
        let forgotten = ToldAgain { is_forgotten: true, ..forgotten };
        tell_again(&store, 3, vec![(7, forgotten.clone()), (7, forgotten)]).await;
        let gone = store.card_deletion(PAYMENT).await.unwrap().unwrap();
        let confirmed_by = by_hand.map(|_| "user 72".to_owned());
        let state = if by_hand.is_some() { DeletionState::ByHand } else { DeletionState::Deleted };
        assert_eq!((gone.state, gone.confirmed_by, gone.reason.as_deref()), (state, confirmed_by, Some("there")));
        assert!(by_hand.is_none() || Some(&gone.since) >= gone.said_at.as_ref(), "not before it was said");
        let results: Vec<_> = trail(&store).await.into_iter().filter(|(what, _)| what == "card_told_again").collect();
        let result = by_hand.map_or("done", |_| "deleted by hand, said by user 71, confirmed by user 72");
        assert_eq!(results, [("card_told_again".to_owned(), result.to_owned())]);
        assert!(store.waiting_for_people().await.unwrap().is_empty(), "they have looked");
    }
}

#[tokio::test]
async fn a_request_whose_key_was_forgotten_is_known_by_what_it_did() {
    let (store, _folder) = with(vec![sent(1), ended(1, approved())]).await;
    let told = vec![
        (20, again(2, AttemptKind::Refund, 500, yes(500))),
        (20, again(3, AttemptKind::Refund, 600, declined())),
        (90, again(4, AttemptKind::Refund, 700, yes(700))),
    ];
    tell_again(&store, 3, told).await;
    let now = crate::clock::now_ms();
    let like = async |minor| store.may_be_repeated(now, PAYMENT, AttemptKind::Refund, Some(minor)).await.unwrap();
    let any = async || store.may_be_repeated(now, PAYMENT, AttemptKind::Refund, None).await.unwrap();
    assert!(!like(500).await, "nothing was restored");
    let records = [Record { number: 6, at_unix_ms: 50, body: restored(2, 5, 0) }];
    store.records(&records).await.unwrap();
    assert!(!like(500).await, "its key would be over by now");
    sqlx::query("UPDATE restored SET at = ?").bind(now).execute(&store.writer).await.unwrap();
    assert!(like(500).await && any().await);
    assert!(!like(600).await, "it was refused: nothing is done twice");
    assert!(!like(501).await && !store.may_be_repeated(now, PAYMENT, AttemptKind::Capture, None).await.unwrap());
    sqlx::query("UPDATE restored SET since_at = 95").execute(&store.writer).await.unwrap();
    assert!(!like(500).await && !any().await, "it was before the backup, and its key is here");
}

#[tokio::test]
async fn a_charge_of_a_card_on_file_whose_key_was_forgotten_is_known_by_its_amount() {
    let (store, _folder) = with(Vec::new()).await;
    let now = crate::clock::now_ms();
    let of = |number: u128| PaymentId(Uuid::from_u128(number));
    let charge = |number: u128, minor, outcome| ToldAgain {
        payment: of(number),
        ..again(number, AttemptKind::ChargeStored, minor, outcome)
    };
    let told = vec![
        (20, charge(21, 500, yes(500))),
        (21, charge(22, 500, Outcome::Unknown)),
        (22, charge(23, 600, declined())),
        (23, again(24, AttemptKind::Authorize, 700, yes(700))),
        (90, charge(25, 800, yes(800))),
    ];
    tell_again(&store, 1, told).await;
    let main: MerchantId = "main".parse().unwrap();
    let like = async |merchant: &MerchantId, amount, besides: &[PaymentId]| {
        store.charge_repeated(now, merchant, amount, besides).await.unwrap()
    };
    assert_eq!(like(&main, pounds(500), &[]).await, None, "nothing was restored");
    store.records(&[Record { number: 6, at_unix_ms: 50, body: restored(0, 5, 0) }]).await.unwrap();
    assert_eq!(like(&main, pounds(500), &[]).await, None, "its key would be over by now");
    // What was told at 90 was sent after the restore: its key is known.
    let long = "UPDATE restored SET at = ?1; UPDATE attempt SET sent_at = ?1 + 1 WHERE sent_at = 90";
    sqlx::raw_sql(sqlx::AssertSqlSafe(long.replace("?1", &now.to_string()))).execute(&store.writer).await.unwrap();
    assert_eq!(like(&main, pounds(500), &[]).await, Some(of(21)));
    assert_eq!(like(&main, pounds(500), &[of(21)]).await, Some(of(22)), "it may have been taken");
    assert_eq!(like(&main, pounds(500), &[of(22), of(21)]).await, None, "somebody has looked at both");
    let euros = Money { minor: 500, currency: Currency::EUR };
    for (merchant, amount) in
        [("other", pounds(500)), ("main", euros), ("main", pounds(600)), ("main", pounds(700)), ("main", pounds(800))]
    {
        assert_eq!(like(&merchant.parse().unwrap(), amount, &[]).await, None, "{merchant} {amount}");
    }
}

#[tokio::test]
async fn a_restore_is_listed_with_the_time_that_was_forgotten() {
    let (store, _folder) = with(vec![sent(1)]).await;
    let stored = store.records(&numbered(4, vec![sent(2)])).await.unwrap();
    assert!(stored.trouble.is_some());
    let missing = store.missing_next(JOURNAL).await.unwrap().unwrap();
    store.accept_missing(missing.id, "lost with the disk", &entry()).await.unwrap();
    tell(&store, 4, vec![restored(1, 9, 2)]).await;
    let restores = store.restores().await.unwrap();
    let expected = Restore { at_ms: 7, stored: 1, acknowledged: 9, since_ms: 7, gone: 2, told_again: 2 };
    assert_eq!(restores, [expected], "from the newest record that is here on");
}

const DUE_MS: i64 = START_MS + 9 * 60 * 60 * 1000;

/// What the card side tells of an attempt of a payment that was due.
fn of_due(attempt: AttemptId, kind: AttemptKind, payment: PaymentId, outcome: Outcome) -> [RecordBody; 2] {
    let sent = RecordBody::AttemptSent(wire::AttemptSent {
        attempt,
        kind,
        payment,
        call: CallId(payment.0),
        extension: "1001".parse().unwrap(),
        origin: wire::Origin::System,
        merchant: "main".parse().unwrap(),
        amount: pounds(1500),
        card: None,
        capture: None,
    });
    [sent, RecordBody::AttemptEnded { attempt, payment, outcome }]
}

/// One payment is due: its agreement, and its id.
async fn with_due() -> (Sqlite, Folder, AgreementId, PaymentId) {
    let ((store, folder), new) = (with(Vec::new()).await, daily(1, 1500));
    store.add(START_MS, &new).await.unwrap();
    store.hand_out(DUE_MS, 7).await.unwrap();
    (store, folder, new.id, new.id.payment(1))
}

/// A first try was on its way when the backup was made. Since then it was declined, and a second one taken and given back, after
/// which the card side would allow a third: the decline of the first must not lead to it.
#[tokio::test]
async fn a_payment_whose_try_was_on_its_way_is_not_tried_again_where_a_newer_one_is_told_of() {
    let (store, _folder, agreement, payment) = with_due().await;
    let first = store.lease(DUE_MS, LEASE_MS, true).await.unwrap().unwrap();
    let second = AttemptId(Uuid::from_u128(52));
    let told = [
        of_due(first.order.attempt, AttemptKind::ChargeStored, payment, declined()),
        of_due(second, AttemptKind::ChargeStored, payment, yes(1500)),
        of_due(AttemptId(Uuid::from_u128(53)), AttemptKind::Void, payment, yes(1500)),
    ];
    tell(&store, 1, told.into_iter().flatten().chain([restored(1, 7, 0)]).collect()).await;
    let due = async || store.standing(agreement).await.unwrap().unwrap().due.remove(0);
    // Whoever still has the first in hand writes nothing of it.
    store.settle(DUE_MS, &first, End::NotDone { ready_at: DUE_MS }).await.unwrap();
    assert_eq!((due().await.state, due().await.tries), (DueState::Sent, 2));
    let next = store.lease(DUE_MS, LEASE_MS, true).await.unwrap().unwrap();
    assert_eq!((next.order.attempt, next.is_fresh), (second, false), "it is asked after, and no other is begun");
    store.settle(DUE_MS, &next, End::NotDone { ready_at: DUE_MS }).await.unwrap();
    let third = store.lease(DUE_MS, LEASE_MS, true).await.unwrap().unwrap();
    assert!(third.is_fresh, "the control: what is proved not done is tried again, as the third try");
    assert_eq!(due().await.tries, 3);
}

/// The records do not tell of every try that this database has begun.
#[tokio::test]
async fn a_try_of_this_database_that_no_record_tells_of_is_not_exchanged_for_one_before_it() {
    let (store, _folder, _, payment) = with_due().await;
    let first = store.lease(DUE_MS, LEASE_MS, true).await.unwrap().unwrap();
    store.settle(DUE_MS, &first, End::NotDone { ready_at: DUE_MS }).await.unwrap();
    let second = store.lease(DUE_MS, LEASE_MS, true).await.unwrap().unwrap();
    let told = of_due(first.order.attempt, AttemptKind::ChargeStored, payment, Outcome::Abandoned);
    tell(&store, 1, told.into_iter().chain([restored(1, 3, 0)]).collect()).await;
    let next = store.lease(DUE_MS + LEASE_MS, LEASE_MS, true).await.unwrap().unwrap();
    assert_eq!(next.order.attempt, second.order.attempt);
    // One that came after it has a place after it.
    let third = AttemptId(Uuid::from_u128(53));
    let told = of_due(third, AttemptKind::ChargeStored, payment, declined());
    tell(&store, 4, told.into_iter().chain([restored(4, 6, 0)]).collect()).await;
    let next = store.lease(DUE_MS + LEASE_MS, LEASE_MS, true).await.unwrap().unwrap();
    assert_eq!(next.order.attempt, third);
}

/// It was missed when the backup was made; people took it by hand since.
#[tokio::test]
async fn what_people_have_taken_by_hand_since_does_not_wait_for_them_again() {
    let (store, _folder, agreement, payment) = with_due().await;
    let first = store.lease(DUE_MS, LEASE_MS, true).await.unwrap().unwrap();
    store.settle(DUE_MS, &first, End::Missed).await.unwrap();
    let second = AttemptId(Uuid::from_u128(52));
    let told = of_due(second, AttemptKind::ChargeStored, payment, yes(1500));
    tell(&store, 1, told.into_iter().chain([restored(1, 3, 0)]).collect()).await;
    let next = store.lease(DUE_MS, LEASE_MS, true).await.unwrap().unwrap();
    store.settle(DUE_MS, &next, End::Paid).await.unwrap();
    assert_eq!(store.standing(agreement).await.unwrap().unwrap().due[0].state, DueState::Paid);
    assert_eq!(next.order.attempt, second);
}
