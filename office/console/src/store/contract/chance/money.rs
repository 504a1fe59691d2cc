//! Payments, what the card side tells of them, and what people do about them, by chance: through two handles, of callers that
//! may go away in the middle, on a store that is closed and opened again.

use super::{Dice, id, said};
use crate::store::{
    StoreError,
    alarms::AlarmView,
    audit::Entry,
    bounced_orders::OrderRow,
    contract::{Folder, Modeled, Place, abandoned, user},
    finance::{DeletionSaid, SaidOfDeletion, Second},
    model::Model,
    payments::NewPayment,
};
use crate::view::PaymentRow;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use uuid::Uuid;
use wire::{
    AttemptId, AttemptKind as K, AuditAction, AuditEvent, BouncedOrder, Brand, ByHand, CallId, CaptureTime, CardView,
    Checks, Currency, DeclineClass, Found, JournalId, Keeper, KeptCard, Last4, Money, MoneyAlarm as A, NotKept, Origin,
    Outcome, PaymentId, Record, RecordBody, Token,
};

/// Calls in one run.
const CALLS: usize = 250;
const PAYMENTS: u64 = 7;
const USERS: [&str; 3] = ["amy@example.com", "ben@example.com", "nobody@example.com"];
const EXTENSIONS: [&str; 2] = ["1001", "1002"];
const MERCHANTS: [&str; 2] = ["main", "other"];
const KINDS: [K; 11] = [
    K::Authorize,
    K::Authorize,
    K::Authorize,
    K::ChargeStored,
    K::Capture,
    K::Void,
    K::Refund,
    K::Refund,
    K::Refund,
    K::Store,
    K::DeleteStored,
];
const ALARMS: [A; 7] =
    [A::Review, A::Review, A::NeedsPeople, A::NeedsPeople, A::LateApprovalReversed, A::NotForgotten, A::Disputed];

/// What is drawn for a call.
#[derive(Debug)]
struct Draw {
    deed: u64,
    now_ms: i64,
    payment: PaymentId,
    other: PaymentId,
    amount: Money,
    call: CallId,
    extension: &'static str,
    merchant: &'static str,
    account: Option<&'static str>,
    user: &'static str,
    attempt: AttemptId,
    number: u64,
    flag: bool,
    records: Vec<Record>,
}

fn payment(number: u64) -> PaymentId {
    PaymentId(Uuid::from_u128(number.into()))
}

/// A payment has one, on whatever record it stands.
fn currency(payment: PaymentId) -> Currency {
    if payment.0.as_u128().is_multiple_of(3) { Currency::EUR } else { Currency::GBP }
}

fn token(payment: PaymentId) -> Token {
    let number = u8::try_from(payment.0.as_u128()).unwrap();
    (number * 20..=255).find_map(|byte| Token::from_random(&[byte; Token::BYTES])).unwrap()
}

fn card() -> CardView {
    CardView { brand: Brand::Visa, last4: Last4::new(*b"4242").unwrap(), expiry: None }
}

impl Dice {
    fn payment(&mut self) -> PaymentId {
        payment(1 + self.pick(PAYMENTS))
    }

    fn money(&mut self, payment: PaymentId) -> Money {
        Money { minor: self.of(&[40, 60, 100, 100]), currency: currency(payment) }
    }

    /// Of one payment there are few.
    fn attempt(&mut self, payment: PaymentId) -> AttemptId {
        AttemptId(Uuid::from_u128(payment.0.as_u128() * 10 + u128::from(self.pick(5))))
    }

    fn outcome(&mut self, payment: PaymentId) -> Outcome {
        match self.pick(8) {
            0 => Outcome::Rejected,
            1 => Outcome::Abandoned,
            2 => Outcome::Declined { class: DeclineClass::Other, network_code: None },
            3 => Outcome::Unknown,
            _ => Outcome::Approved {
                auth_code: "A1".to_owned(),
                gateway_ref: self.pick(9).to_string(),
                amount: self.money(payment),
                checks: Checks::default(),
            },
        }
    }

    fn body(&mut self) -> RecordBody {
        let (payment, call) = (self.payment(), CallId(Uuid::from_u128(self.pick(3).into())));
        let (attempt, amount) = (self.attempt(payment), self.money(payment));
        let (extension, merchant) = (self.of(&EXTENSIONS).parse().unwrap(), self.of(&MERCHANTS).parse().unwrap());
        let (origin, flag) =
            (self.of(&[Origin::System, Origin::AgentPhone, Origin::User { id: 77 }]), self.pick(2) == 0);
        let action = match self.pick(18) {
            0..=4 => {
                let captures = [None, Some(CaptureTime::Now), Some(CaptureTime::Later)];
                let (kind, capture, card) = (self.of(&KINDS), self.of(&captures), flag.then(card));
                return RecordBody::AttemptSent(wire::AttemptSent {
                    attempt,
                    kind,
                    payment,
                    call,
                    extension,
                    origin,
                    merchant,
                    amount,
                    capture,
                    card,
                });
            }
            5..=9 => return RecordBody::AttemptEnded { attempt, payment, outcome: self.outcome(payment) },
            10 => {
                let (token, keeper) = (token(payment), Keeper::Both);
                let kept = KeptCard { token, merchant, card: card(), keeper, same_as: None };
                return RecordBody::CardKept { attempt, payment, kept };
            }
            11 => return RecordBody::CardNotKept { attempt, payment, why: NotKept::VaultFault },
            12 if flag => return RecordBody::CardForgetting { merchant, token: token(payment) },
            12 => {
                // The first two users of a store, or one who is not there.
                let by_hand = ByHand { said_by: 1 + i64::try_from(self.pick(3)).unwrap(), confirmed_by: 2 };
                let by_hand = (self.pick(2) == 0).then_some(by_hand);
                return RecordBody::CardForgotten { merchant, token: token(payment), by_hand };
            }
            13 => AuditAction::CallAnswered,
            14 => AuditAction::PaymentStarted { payment, amount },
            15 => AuditAction::PaymentCancelled { payment },
            _ => AuditAction::Money { payment, alarm: self.of(&ALARMS) },
        };
        RecordBody::Audit(AuditEvent { origin, call, extension, action })
    }

    /// Some after those that are stored; at times the last ones again, or one is missing.
    fn records(&mut self, now_ms: i64, newest: u64) -> Vec<Record> {
        let again = if self.pick(6) == 0 { self.pick(3) } else { 0 };
        let first = (newest + 1).saturating_sub(again).max(1);
        let gap = (self.pick(8) == 0).then(|| self.pick(4));
        let record = |place: u64| {
            let number = first + place + u64::from(gap.is_some_and(|gap| place >= gap));
            Record { number, at_unix_ms: now_ms + i64::try_from(place).unwrap(), body: self.body() }
        };
        (0..1 + now_ms.unsigned_abs() % 5).map(record).collect()
    }

    fn money_draw(&mut self, now_ms: i64, newest: u64) -> Draw {
        let payment = self.payment();
        // So that no two records, nor payments, are of one time.
        let now_ms = now_ms + self.of(&[10, 11, 23, 1_000, 60_000]);
        Draw {
            deed: self.pick(24),
            now_ms,
            payment,
            other: self.payment(),
            amount: self.money(payment),
            call: CallId(Uuid::from_u128(self.pick(3).into())),
            extension: self.of(&EXTENSIONS),
            merchant: self.of(&MERCHANTS),
            account: self.of(&[None, Some("A-1"), Some("A-1"), Some("B-2")]),
            user: self.of(&[USERS[0], USERS[0], USERS[1], USERS[1], USERS[2]]),
            attempt: self.attempt(payment),
            number: self.pick(4),
            flag: self.pick(2) == 0,
            records: self.records(now_ms, newest),
        }
    }
}

/// What the desk orders.
async fn ordered<T>(draw: &Draw, work: impl AsyncFnOnce(&NewPayment<'_>) -> T) -> T {
    let (extension, merchant) = (draw.extension.parse().unwrap(), draw.merchant.parse().unwrap());
    work(&NewPayment {
        id: draw.payment,
        call: draw.call,
        extension: &extension,
        merchant: &merchant,
        amount: draw.amount,
        account: draw.account,
        invoice: draw.flag.then_some("I-1"),
        reference: None,
        capture: if draw.number == 0 { CaptureTime::Later } else { CaptureTime::Now },
        surcharge: if draw.flag { 5 } else { 0 },
        due: draw.flag.then_some(150),
        part_of: (draw.number > 1 && draw.other != draw.payment).then_some(draw.other),
        duplicate_of: None,
        offer: None,
    })
    .await
}

/// Which of them changes is said; in which order, and by which number a user is known, is not.
fn listed(rows: Result<Vec<PaymentRow>, StoreError>) -> String {
    let mut rows = rows.unwrap();
    rows.sort_by_key(|row| row.id);
    format!("{rows:?}")
}

async fn call(store: &impl Modeled, draw: &Draw) -> String {
    let Draw { now_ms, payment, amount, .. } = *draw;
    let entry = |what| Entry {
        who: draw.user.to_owned(),
        payment: Some(payment.to_string()),
        ..Entry::system(now_ms, what, "ok", "it")
    };
    let user = id(store, draw.user).await;
    match draw.deed {
        0..=2 => said(ordered(draw, async |new| store.payment_insert(now_ms, new).await).await),
        3 => said(store.payment_refused(payment).await),
        4 => listed(store.call_is_over(now_ms, draw.call, draw.flag.then_some(draw.other)).await),
        5 => listed(store.caught_up(now_ms, &[draw.call]).await),
        6..=7 => {
            let found = if draw.number == 0 { "done" } else { "not_done" };
            let other = store.finding(now_ms, draw.attempt, found, user, &entry("finding")).await;
            said(other.map(|other| other.map(|other| other != user)))
        }
        8 => said(store.review_accepted(payment, &entry("review")).await),
        9 => {
            let alarms = store.alarms(payment).await.unwrap();
            let alarm = alarms.get(usize::try_from(draw.number).unwrap()).map_or(1_000_000, |alarm| alarm.id);
            said(store.alarm_seen(payment, alarm, draw.flag.then_some("called"), &entry("alarm_seen")).await)
        }
        10..=11 => {
            let row = store.payment(payment).await.unwrap();
            let taken = row.map_or(0, |row| row.captured.minor - row.refunded.minor);
            let minor = [0, taken, taken, amount.minor][usize::try_from(draw.number).unwrap()];
            said(store.mark_keyed(now_ms, payment, Money { minor, ..amount }, &entry("keyed")).await)
        }
        12 if draw.flag => said(store.journal(JournalId(Uuid::from_u128(draw.number.into()))).await),
        12 => {
            let order = BouncedOrder {
                payment,
                merchant: draw.merchant.parse().unwrap(),
                amount,
                reference: draw.account.unwrap_or("C").parse().unwrap(),
                back: draw.extension.parse().ok(),
                valid_s: 60,
            };
            let before = (draw.flag && draw.other != payment).then_some(draw.other);
            said(store.bounced_order_insert(now_ms, user, &order, now_ms + 60_000, before).await)
        }
        13 => said(ordered(draw, async |new| store.duplicate_of(new, now_ms - 100_000).await).await),
        14..=15 => {
            let found = if draw.number == 0 { Found::NotDone } else { Found::Done };
            let (reason, on_its_way_after_ms) = (draw.flag.then_some("there"), now_ms - 100_000);
            let of = SaidOfDeletion { token: &token(payment), found, reason, user, on_its_way_after_ms };
            said(store.deletion_said(now_ms, of, &entry("deleted_by_hand")).await.map(|answer| match answer {
                DeletionSaid::Second(said) => {
                    DeletionSaid::Second(Second { first: i64::from(said.first != user), ..said })
                }
                answer => answer,
            }))
        }
        16 => said(store.deletion_not_taken(&token(payment)).await),
        _ => said(store.records(&draw.records).await),
    }
}

/// All that a store tells of one payment.
async fn seen_of(store: &impl Modeled, payment: PaymentId, extension: &str) -> String {
    let id = payment.to_string();
    let row = store.payment(payment).await.unwrap();
    let attempts = store.attempts(payment).await.unwrap();
    let alarms = store.alarms(payment).await.unwrap().into_iter().map(|alarm| AlarmView { id: 0, ..alarm });
    let alarms: Vec<_> = alarms.collect();
    let (audit, keeper) = (store.audit_of_payment(&id).await.unwrap(), store.keeper_of(&token(payment)).await.unwrap());
    let sums = [store.sum(payment, None).await.unwrap(), store.sum(payment, Some(extension)).await.unwrap()];
    let (card, kept_by) = (store.card_deletion(payment).await, store.payment_of_card(&token(payment)).await);
    let card = (card.unwrap(), kept_by.unwrap());
    let order = store.bounced_order(payment).await.unwrap().map(|order| OrderRow { user: 0, ..order });
    format!("{row:#?}\n{attempts:#?}\n{alarms:#?}\n{audit:#?}\n{keeper:?}\n{sums:#?}\n{order:#?}\n{card:#?}")
}

/// What it tells of the payment of a call, and of all of them in lists.
async fn seen(store: &impl Modeled, draw: &Draw) -> String {
    let (extension, merchant) = (draw.extension.parse().unwrap(), draw.merchant.parse().unwrap());
    let one = seen_of(store, draw.payment, draw.extension).await;
    let all = store.payments_page_of_all(None, 50).await.unwrap();
    let page = store.payments_page(&extension, Some(draw.other), 2).await.unwrap();
    let of_call = store.payments_of_calls(&[draw.call]).await.unwrap();
    let (mut counts, mut alarms) = (store.payment_counts().await.unwrap(), store.alarm_counts().await.unwrap());
    counts.sort();
    alarms.sort();
    let waiting: Vec<_> = store.waiting_for_people().await.unwrap().into_iter().map(|row| row.id).collect();
    let after = (draw.number == 0).then_some(draw.other);
    let manual = store.manual_payments(&merchant, draw.flag, after, 3).await.unwrap();
    let door = store.door().await.unwrap();
    let ids = |rows: Vec<PaymentRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    let (page, of_call) = (ids(page), ids(of_call));
    format!("{one}\n{all:#?}\n{page:?} {of_call:?} {counts:?} {alarms:?} {waiting:?}\n{manual:?}\n{door:?}")
}

/// Line by line, so that a difference can be read.
fn same(seen: &str, right: &str, told: &str) {
    for (seen, right) in seen.lines().zip(right.lines()) {
        assert_eq!(seen, right, "{told}");
    }
    assert_eq!(seen.lines().count(), right.lines().count(), "{told}");
}

async fn begin(store: &impl Modeled) {
    for email in &USERS[..2] {
        user(store, email).await;
    }
    store.journal(JournalId(Uuid::from_u128(1))).await.unwrap();
}

/// One run. Of a call whose caller goes away the store stands as it did, or as it does after the call.
async fn does_what_the_model_does<P: Place<Store: Modeled>>(place: &P, seed: u64) {
    let (mut model, mut dice) = (Model::default(), Dice(ChaCha8Rng::seed_from_u64(seed)));
    let mut handles = (place.open().await, place.open().await);
    begin(&handles.0).await;
    begin(&model).await;
    let mut now_ms = 0;
    for number in 0..CALLS {
        let (_, newest) = crate::store::journal::Journal::door(&model).await.unwrap().unwrap();
        let draw = dice.money_draw(now_ms, newest);
        now_ms = draw.now_ms;
        let told = format!("seed {seed}, call {number}: {draw:?}");
        let (store, other) = if dice.pick(2) == 0 { (&handles.0, &handles.1) } else { (&handles.1, &handles.0) };
        let after = model.fork();
        let right = call(&after, &draw).await;
        let is_done = if dice.pick(5) == 0 {
            let turn = u32::try_from(dice.pick(40)).unwrap();
            let was_answered = abandoned(store, turn, call(store, &draw)).await;
            was_answered || seen(other, &draw).await == seen(&after, &draw).await
        } else {
            assert_eq!(call(store, &draw).await, right, "{told}");
            true
        };
        if is_done {
            model = after;
        }
        same(&seen(other, &draw).await, &seen(&model, &draw).await, &told);
        if number % 25 == 24 {
            drop(handles);
            handles = (place.open().await, place.open().await);
            for payment in (1..=PAYMENTS).map(payment) {
                let told = format!("{told}, opened again: {payment}");
                same(&seen_of(&handles.0, payment, "1001").await, &seen_of(&model, payment, "1001").await, &told);
            }
        }
    }
}

#[tokio::test]
async fn sqlite_does_with_money_what_the_model_does() {
    for seed in 0..4 {
        does_what_the_model_does(&Folder::new(), seed).await;
    }
}
