//! Payments in relation to each other, and what people must look at.

use super::{
    MoneyPlace, MoneyRooms, abandoned,
    journal::{CALL, audit, ended, numbered, sent, with},
};
use crate::store::{
    StoreError,
    alarms::Alarms,
    audit::{Audit, Entry},
    bounced_orders::BouncedOrders,
    finance::Finance,
    manual::{Manual, Marked},
    parts::Parts,
    payments::{NewPayment, Payments},
};
use std::collections::BTreeSet;
use uuid::Uuid;
use wire::{
    AttemptId, AttemptKind, AuditAction, BouncedOrder, CallId, CaptureTime, Checks, Currency, DeclineClass, Money,
    MoneyAlarm, Origin, Outcome, PaymentId, RecordBody,
};

const fn pounds(minor: i64) -> Money {
    Money { minor, currency: Currency::GBP }
}

fn id(number: u128) -> PaymentId {
    PaymentId(Uuid::from_u128(number))
}

/// An order of the extension 1001.
struct Order {
    id: u128,
    minor: i64,
    account: Option<&'static str>,
    part_of: Option<u128>,
    due: Option<i64>,
}

impl Order {
    const fn new(id: u128, minor: i64) -> Self {
        Self { id, minor, account: Some("A-1"), part_of: None, due: None }
    }

    async fn put<T>(&self, extension: &str, work: impl AsyncFnOnce(&NewPayment<'_>) -> T) -> T {
        let (extension, merchant) = (extension.parse().unwrap(), "main".parse().unwrap());
        work(&NewPayment {
            id: id(self.id),
            call: CALL,
            extension: &extension,
            merchant: &merchant,
            amount: pounds(self.minor),
            account: self.account,
            invoice: None,
            reference: None,
            capture: CaptureTime::Now,
            surcharge: 0,
            due: self.due,
            part_of: self.part_of.map(id),
            duplicate_of: None,
            offer: None,
        })
        .await
    }

    /// True: it was not there.
    async fn store(&self, store: &impl MoneyRooms) -> bool {
        self.put("1001", async |new| store.payment_insert(1_000, new).await.unwrap()).await
    }

    /// The attempt of this payment is told, and how it ended if it has.
    fn told(&self, outcome: Option<Outcome>) -> Vec<RecordBody> {
        let (attempt, payment) = (AttemptId(Uuid::from_u128(self.id)), id(self.id));
        let begun = RecordBody::AttemptSent(wire::AttemptSent {
            attempt,
            kind: AttemptKind::Authorize,
            payment,
            call: CALL,
            extension: "1001".parse().unwrap(),
            origin: Origin::System,
            merchant: "main".parse().unwrap(),
            amount: pounds(self.minor),
            capture: None,
            card: None,
        });
        let end = outcome.map(|outcome| RecordBody::AttemptEnded { attempt, payment, outcome });
        std::iter::once(begun).chain(end).collect()
    }
}

pub(super) fn approved(minor: i64) -> Outcome {
    let (auth_code, gateway_ref) = (String::new(), String::new());
    Outcome::Approved { auth_code, gateway_ref, amount: pounds(minor), checks: Checks::default() }
}

fn declined() -> Outcome {
    Outcome::Declined { class: DeclineClass::Other, network_code: None }
}

/// Stores records after those that are there.
pub(super) async fn tell(store: &impl MoneyRooms, bodies: Vec<RecordBody>) {
    let (_, newest) = store.door().await.unwrap().unwrap();
    let stored = store.records(&numbered(newest + 1, bodies)).await.unwrap();
    assert!(stored.trouble.is_none(), "{stored:?}");
}

pub(super) async fn an_order_is_stored_once_and_taken_back_only_while_nobody_was_asked<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    let (store, place) = with(fresh, Vec::new()).await;
    let (other, order) = (place.open().await, Order::new(2, 60));
    assert!(order.store(&store).await && !order.store(&other).await, "storing it again changes nothing");
    store.payment_refused(id(2)).await.unwrap();
    assert!(other.payment(id(2)).await.unwrap().is_none());
    assert!(order.store(&store).await);
    tell(&store, order.told(None)).await;
    store.payment_refused(id(2)).await.unwrap();
    assert_eq!(other.payment(id(2)).await.unwrap().unwrap().amount, pounds(60), "it may have reached a gateway");
    let (gone, alive) = (Order::new(3, 1), Order::new(4, 1));
    assert!(gone.store(&store).await && alive.store(&store).await);
    let ended: Vec<_> = store.call_is_over(9, CALL, Some(id(4))).await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(ended, [id(3)], "its record may be on its way, or has come");
}

pub(super) async fn pages_show_each_payment_once_and_the_newest_first<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let (store, place) = with(fresh, Vec::new()).await;
    let other = place.open().await;
    for number in 1..=25 {
        let extension = if number % 5 == 0 { "1002" } else { "1001" };
        Order::new(number, 1).put(extension, async |new| store.payment_insert(1_000, new).await.unwrap()).await;
    }
    let walk = async |extension: Option<&str>| {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = match extension {
                Some(extension) => other.payments_page(&extension.parse().unwrap(), before, 4).await.unwrap(),
                None => other.payments_page_of_all(before, 4).await.unwrap(),
            };
            let Some(last) = page.last() else { return seen };
            assert!(page.len() <= 4);
            before = Some(last.id);
            seen.extend(page.iter().map(|row| row.id));
        }
    };
    assert_eq!(walk(None).await, (1..=25).rev().map(id).collect::<Vec<_>>());
    assert_eq!(walk(Some("1002")).await, [25, 20, 15, 10, 5].map(id));
    assert_eq!(walk(Some("1003")).await, []);
    let of_call: BTreeSet<_> = other.payments_of_calls(&[CALL]).await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(of_call, (1..=25).map(id).collect());
    assert!(other.payments_of_calls(&[CallId(Uuid::from_u128(77))]).await.unwrap().is_empty());
    assert!(other.payments_of_calls(&[]).await.unwrap().is_empty());
    assert_eq!(other.payment_counts().await.unwrap(), [("waiting".to_owned(), 25)]);
}

pub(super) async fn what_is_open_counts_as_paid_and_what_was_approved_in_part_counts_so<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    let (store, _place) = with(fresh, Vec::new()).await;
    let first = Order { due: Some(100), ..Order::new(1, 60) };
    first.store(&store).await;
    let left = async || store.sum(id(1), Some("1001")).await.unwrap().unwrap().remaining;
    assert_eq!(left().await, pounds(40));
    tell(&store, first.told(Some(approved(25)))).await;
    assert_eq!(left().await, pounds(75));
    let second = Order { part_of: Some(1), ..Order::new(2, 75) };
    second.store(&store).await;
    assert_eq!(left().await, pounds(0));
    tell(&store, second.told(Some(Outcome::Unknown))).await;
    assert_eq!(left().await, pounds(0));
    tell(&store, second.told(Some(declined()))).await;
    assert_eq!(left().await, pounds(75));
    assert_eq!(store.sum(id(1), None).await.unwrap().unwrap().parts, [id(1), id(2)]);
    assert_eq!(store.sum(id(2), None).await.unwrap(), None, "it begins no sum");
    assert_eq!(store.sum(id(1), Some("1002")).await.unwrap(), None, "nor is it another's");
    // Broke: the clock that ids are made by went back between the two, and there was no such sum any more.
    Order::new(9, 60).store(&store).await;
    Order { part_of: Some(9), ..Order::new(8, 10) }.store(&store).await;
    assert_eq!(store.sum(id(9), None).await.unwrap().map(|sum| sum.parts), Some(vec![id(9), id(8)]));
}

pub(super) async fn a_payment_looks_like_another_only_if_that_one_may_have_taken_money<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    let (store, _place) = with(fresh, Vec::new()).await;
    let first = Order::new(1, 60);
    first.store(&store).await;
    let found = async |account, minor, since| {
        let new = Order { account, ..Order::new(9, minor) };
        new.put("1001", async |new| store.duplicate_of(new, since).await.unwrap()).await
    };
    assert_eq!(found(Some("A-1"), 60, 0).await, None, "it only waits");
    tell(&store, first.told(Some(Outcome::Unknown))).await;
    assert_eq!(found(Some("A-1"), 60, 0).await, Some(id(1)));
    assert_eq!(found(Some("A-1"), 60, 1_001).await, None, "too long ago");
    assert_eq!(found(Some("A-2"), 60, 0).await, None);
    assert_eq!(found(Some("A-1"), 61, 0).await, None);
    assert_eq!(found(None, 60, 0).await, None, "nothing to know it by");
    tell(&store, first.told(Some(declined()))).await;
    assert_eq!(found(Some("A-1"), 60, 0).await, None, "it has taken none");
}

pub(super) async fn an_alarm_is_seen_once_with_its_row<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let raise = |alarm| audit(AuditAction::Money { payment: super::journal::PAYMENT, alarm });
    let payment = super::journal::PAYMENT;
    let (store, place) = with(fresh, vec![sent(1), ended(1, declined()), raise(MoneyAlarm::Disputed)]).await;
    let other = place.open().await;
    let alarm = store.alarms(payment).await.unwrap().remove(0);
    assert_eq!((alarm.alarm.as_str(), alarm.seen_by.as_deref()), ("disputed", None));
    let by = |who: &str| Entry { who: who.to_owned(), ..Entry::system(5, "alarm_seen", "ok", "it") };
    assert!(!store.alarm_seen(payment, alarm.id + 1_000, None, &by("amy")).await.unwrap());
    assert!(!store.alarm_seen(id(77), alarm.id, None, &by("amy")).await.unwrap(), "another payment's");
    assert_eq!(other.alarm_counts().await.unwrap(), [("disputed".to_owned(), 1)]);
    assert!(store.alarm_seen(payment, alarm.id, Some("called"), &by("amy")).await.unwrap());
    assert!(other.alarm_seen(payment, alarm.id, None, &by("ben")).await.unwrap());
    let seen = other.alarms(payment).await.unwrap().remove(0);
    assert_eq!((seen.seen_by.as_deref(), seen.note.as_deref()), (Some("amy"), Some("called")), "the first stays");
    assert_eq!(store.audit_of_object("it").await.unwrap().len(), 1);
    assert!(other.alarm_counts().await.unwrap().is_empty());
    tell(&store, vec![raise(MoneyAlarm::OtherAccount), raise(MoneyAlarm::OtherAccount)]).await;
    assert_eq!(other.alarm_counts().await.unwrap(), [("other_account".to_owned(), 1)], "each try says the same");
    let alarm = store.alarms(payment).await.unwrap().pop().unwrap();
    assert!(store.alarm_seen(payment, alarm.id, None, &Entry::system(6, "alarm_seen", "ok", "other")).await.unwrap());
    tell(&store, vec![raise(MoneyAlarm::OtherAccount)]).await;
    assert_eq!(other.alarm_counts().await.unwrap().len(), 1, "after somebody has looked it is news");
    for turn in 0..40 {
        tell(&store, vec![raise(MoneyAlarm::Undone)]).await;
        let new = store.alarms(payment).await.unwrap().pop().unwrap();
        let entry = Entry { object: format!("turn {turn}"), ..by("amy") };
        abandoned(&store, turn, store.alarm_seen(payment, new.id, None, &entry)).await;
        let is_seen = store.alarms(payment).await.unwrap().pop().unwrap().seen_by.is_some();
        assert_eq!(is_seen, store.audit_of_object(&entry.object).await.unwrap().len() == 1, "turn {turn}");
    }
}

pub(super) async fn what_an_order_takes_the_place_of_is_replaced_whichever_is_stored_first<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    let place = fresh();
    let (store, other) = (place.open().await, place.open().await);
    let user = super::user(&store, "crm@example.com").await;
    let order = |number, reference: &str| BouncedOrder {
        payment: id(number),
        merchant: "main".parse().unwrap(),
        amount: pounds(4_200),
        reference: reference.parse().unwrap(),
        back: "1002".parse().ok(),
        valid_s: 60,
    };
    let put = async |number, reference, replaces: Option<u128>| {
        let order = order(number, reference);
        store.bounced_order_insert(1_000, user, &order, 9_000, replaces.map(id)).await.unwrap();
    };
    put(1, "A", None).await;
    put(2, "A", None).await;
    put(3, "B", None).await;
    // Its answer was here before that of the one whose place it has taken.
    put(5, "A", Some(4)).await;
    put(4, "A", Some(2)).await;
    let mut replaced = Vec::new();
    for number in 1..=5 {
        replaced.push(other.bounced_order(id(number)).await.unwrap().unwrap().is_replaced);
    }
    assert_eq!(replaced, [false, true, false, true, false], "what the card side says, and no other of the reference");
    let row = other.bounced_order(id(3)).await.unwrap().unwrap();
    assert_eq!((row.user, row.reference.as_str(), row.created_ms, row.expires_ms), (user, "B", 1_000, 9_000));
    assert_eq!((row.amount, row.back), (pounds(4_200), "1002".parse().ok()));
    assert!(other.bounced_order(id(6)).await.unwrap().is_none());
    let again = store.bounced_order_insert(1_000, user, &order(5, "A"), 9_000, Some(id(3))).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "an order is one");
    assert!(!other.bounced_order(id(3)).await.unwrap().unwrap().is_replaced, "and nothing of that was done");
}

pub(super) async fn an_attempt_is_settled_by_two_people_who_have_found_the_same<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let (store, place) = with(fresh, vec![sent(1)]).await;
    let other = place.open().await;
    let mut ids = Vec::new();
    for email in ["amy@example.com", "ben@example.com"] {
        ids.push(super::user(&store, email).await);
    }
    let (amy, ben) = (ids[0], ids[1]);
    let entry = Entry::system(5, "finding", "ok", "it");
    let found = async |store: &P::Store, attempt, word, user| {
        store.finding(5, AttemptId(Uuid::from_u128(attempt)), word, user, &entry).await.unwrap()
    };
    assert_eq!(found(&store, 1, "done", amy).await, None);
    assert_eq!(found(&other, 1, "done", amy).await, None, "one person is not two");
    assert_eq!(found(&other, 1, "not_done", ben).await, None, "it takes the place of the other");
    assert_eq!(found(&store, 1, "not_done", amy).await, Some(ben));
    assert_eq!(store.audit_of_object("it").await.unwrap().len(), 4, "each is written down");
    for attempt in 2..12 {
        let both = tokio::join!(found(&store, attempt, "done", amy), found(&other, attempt, "done", ben));
        assert!(both == (None, Some(amy)) || both == (Some(ben), None), "of two at once one is the second: {both:?}");
    }
}

pub(super) async fn what_is_to_be_looked_at_waits_until_somebody_has<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let payment = super::journal::PAYMENT;
    let review = audit(AuditAction::Money { payment, alarm: MoneyAlarm::Review });
    let (store, place) = with(fresh, vec![sent(1), ended(1, approved(4200)), review]).await;
    let other = place.open().await;
    let waiting = async || other.waiting_for_people().await.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(waiting().await, [payment]);
    store.review_accepted(payment, &Entry::system(5, "review", "accepted", "it")).await.unwrap();
    assert!(waiting().await.is_empty());
    assert_eq!(other.payment(payment).await.unwrap().unwrap().review.as_deref(), Some("accepted"));
    assert_eq!(other.audit_of_object("it").await.unwrap().len(), 1);
}

pub(super) async fn what_is_keyed_is_marked_once_and_goes_back_with_the_money<P: MoneyPlace>(fresh: &impl Fn() -> P) {
    let (store, place) = with(fresh, Vec::new()).await;
    let (other, order) = (place.open().await, Order::new(2, 60));
    order.store(&store).await;
    tell(&store, order.told(Some(approved(60)))).await;
    let entry = Entry::system(5, "keyed", "ok", "it");
    let mark = async |store: &P::Store, minor| store.mark_keyed(5, id(2), pounds(minor), &entry).await.unwrap();
    let both = tokio::join!(mark(&store, 60), mark(&other, 60));
    assert_eq!((both.0, both.1), (Marked::Done, Marked::Done));
    assert_eq!(store.audit_of_object("it").await.unwrap().len(), 1, "of two at once one was first");
    let listed = async |done| {
        let rows = other.manual_payments(&"main".parse().unwrap(), done, None, 10).await.unwrap();
        rows.into_iter().map(|row| (row.taken.minor, row.keyed.minor, row.to_key.minor)).collect::<Vec<_>>()
    };
    assert_eq!((listed(true).await, listed(false).await), (vec![(60, 60, 0)], vec![]));
    assert_eq!(mark(&store, 59).await, Marked::Changed(pounds(60)));
    assert_eq!(store.mark_keyed(5, id(77), pounds(60), &entry).await.unwrap(), Marked::NoPayment);
    for turn in 0..40 {
        let (shown, entry) = (if turn % 2 == 0 { 0 } else { 60 }, Entry::system(5, "keyed", "ok", "turn"));
        let before = store.audit_of_object("turn").await.unwrap().len();
        abandoned(&store, turn, store.mark_keyed(5, id(2), pounds(shown), &entry)).await;
        let is_marked = listed(shown != 0).await == [(60, shown, 60 - shown)];
        assert_eq!(store.audit_of_object("turn").await.unwrap().len(), before + usize::from(is_marked), "turn {turn}");
        mark(&store, shown).await;
    }
}
