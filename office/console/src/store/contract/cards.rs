//! Kept cards that their gateway does not delete, and what people say of them.

use super::{
    MoneyPlace,
    journal::{audit, ended, sent, with},
    payments::{approved, tell},
};
use crate::store::{
    alarms::Alarms,
    audit::{Audit, Entry},
    finance::{DeletionSaid, DeletionState, Finance, SaidOfDeletion, Second},
};
use uuid::Uuid;
use wire::{AttemptId, AuditAction, ByHand, Found, Keeper, KeptCard, MoneyAlarm, RecordBody, Token};

pub(super) async fn a_card_that_a_gateway_does_not_delete_is_gone_by_the_word_of_two<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    use DeletionSaid as Said;
    let (payment, token) = (super::journal::PAYMENT, Token::from_random(&[7; Token::BYTES]).unwrap());
    let (store, place) = with(fresh, vec![sent(1), card_kept(1, &token), ended(1, approved(4200))]).await;
    let other = place.open().await;
    let (amy, ben) = (super::user(&store, "amy@example.com").await, super::user(&store, "ben@example.com").await);
    let entry = Entry::system(5, "deleted_by_hand", "ok", "it");
    let says = async |store: &P::Store, found, reason, user| {
        let said = SaidOfDeletion { token: &token, found, reason, user, on_its_way_after_ms: 4 };
        store.deletion_said(5, said, &entry).await.unwrap()
    };
    let waiting = async || other.waiting_for_people().await.unwrap().len();
    assert_eq!(says(&store, Found::Done, Some("there"), amy).await, Said::NotForgetting);
    assert_eq!(other.card_deletion(payment).await.unwrap(), None);
    let merchant: wire::MerchantId = "main".parse().unwrap();
    tell(&store, vec![RecordBody::CardForgetting { merchant: merchant.clone(), token: token.clone() }]).await;
    assert_eq!(says(&other, Found::Done, None, amy).await, Said::NoReason);
    assert!(waiting().await == 0 && store.audit_of_object("it").await.unwrap().is_empty(), "nothing was said");
    for _ in 0..2 {
        assert_eq!(says(&other, Found::Done, Some("there"), amy).await, Said::Noted, "one person is not two");
    }
    assert_eq!(waiting().await, 1);
    assert_eq!(says(&store, Found::NotDone, None, ben).await, Said::Noted, "it is still there");
    assert_eq!(waiting().await, 0);
    assert_eq!(
        says(&store, Found::Done, None, amy).await,
        Said::NoReason,
        "the word of before does not count any more"
    );
    let reason = Some("there");
    let both = tokio::join!(says(&store, Found::Done, reason, amy), says(&other, Found::Done, reason, ben));
    let (first, said) = if both.0 == Said::Noted { (amy, both.1) } else { (ben, both.0) };
    let second = |is_again| Said::Second(Second { first, merchant: merchant.clone(), is_again });
    assert_eq!(said, second(false), "of two at once one is the second");
    let other_of = if first == amy { ben } else { amy };
    assert_eq!(says(&other, Found::Done, None, other_of).await, second(true));
    let going = other.card_deletion(payment).await.unwrap().unwrap();
    assert_eq!((going.state, going.confirmed_by), (DeletionState::Asked, None), "until the card side has it");
    let by_hand = Some(ByHand { said_by: first, confirmed_by: if first == amy { ben } else { amy } });
    tell(&store, vec![RecordBody::CardForgotten { merchant, token: token.clone(), by_hand }]).await;
    let gone = other.card_deletion(payment).await.unwrap().unwrap();
    assert_eq!((gone.state, gone.reason.as_deref()), (DeletionState::ByHand, reason));
    assert!(gone.said_by != gone.confirmed_by && gone.said_by == going.said_by);
    assert_eq!((says(&store, Found::NotDone, None, amy).await, waiting().await), (Said::Gone, 0));
    assert_eq!(other.payment_of_card(&token).await.unwrap(), Some(payment));
}

pub(super) async fn what_two_say_of_a_card_is_not_taken_back_while_the_card_side_is_told_and_is_when_it_refuses<
    P: MoneyPlace,
>(
    fresh: &impl Fn() -> P,
) {
    use DeletionSaid as Said;
    let (token, merchant) = (Token::from_random(&[7; Token::BYTES]).unwrap(), "main".parse().unwrap());
    let forgetting = RecordBody::CardForgetting { merchant, token: token.clone() };
    let (store, place) = with(fresh, vec![sent(1), card_kept(1, &token), ended(1, approved(4200)), forgetting]).await;
    let other = place.open().await;
    let (amy, ben) = (super::user(&store, "amy@example.com").await, super::user(&store, "ben@example.com").await);
    let entry = Entry::system(5, "deleted_by_hand", "ok", "it");
    let says = async |now_ms, found, user, on_its_way_after_ms| {
        let said = SaidOfDeletion { token: &token, found, reason: Some("there"), user, on_its_way_after_ms };
        other.deletion_said(now_ms, said, &entry).await.unwrap()
    };
    let is_second = |said: &Said, again| matches!(said, Said::Second(Second { is_again, .. }) if *is_again == again);
    for is_refused in [true, false] {
        assert_eq!(says(5, Found::Done, amy, 0).await, Said::Noted);
        assert_eq!(says(6, Found::NotDone, amy, 0).await, Said::Noted, "nobody has confirmed it");
        assert_eq!(says(7, Found::Done, amy, 0).await, Said::Noted);
        assert!(is_second(&says(8, Found::Done, ben, 0).await, false));
        let rows = other.audit_of_object("it").await.unwrap().len();
        for user in [amy, ben] {
            assert_eq!(says(9, Found::NotDone, user, 7).await, Said::OnItsWay);
        }
        assert_eq!(other.audit_of_object("it").await.unwrap().len(), rows, "nothing was said");
        assert_eq!(says(9, Found::Done, amy, 0).await, Said::Noted, "in other words");
        assert!(is_second(&says(10, Found::Done, ben, 7).await, true));
        if is_refused {
            store.deletion_not_taken(&token).await.unwrap();
        }
        let after = if is_refused { i64::MIN } else { 10 };
        assert_eq!(says(11, Found::NotDone, amy, after).await, Said::Noted, "refused, or it would be here by now");
    }
}

pub(super) async fn a_card_that_is_gone_leaves_nothing_to_do_and_its_alarm_who_has_looked<P: MoneyPlace>(
    fresh: &impl Fn() -> P,
) {
    let (payment, token) = (super::journal::PAYMENT, Token::from_random(&[7; Token::BYTES]).unwrap());
    let merchant: wire::MerchantId = "main".parse().unwrap();
    let of = || (merchant.clone(), token.clone());
    let forgetting = || RecordBody::CardForgetting { merchant: of().0, token: of().1 };
    let gone = |by_hand| RecordBody::CardForgotten { merchant: of().0, token: of().1, by_hand };
    let alarm = || audit(AuditAction::Money { payment, alarm: MoneyAlarm::NotForgotten });
    let kept = || vec![sent(1), card_kept(1, &token), ended(1, approved(4200)), forgetting(), alarm()];
    let by_two = Some(ByHand { said_by: 71, confirmed_by: 72 });
    for (people, by_hand) in [(0, None), (1, None), (2, None), (2, by_two)] {
        let (store, _place) = with(fresh, kept()).await;
        let (amy, ben) = (super::user(&store, "amy@example.com").await, super::user(&store, "ben@example.com").await);
        for user in [amy, ben].into_iter().take(people) {
            let (found, reason) = (Found::Done, Some("there"));
            let said = SaidOfDeletion { token: &token, found, reason, user, on_its_way_after_ms: 0 };
            store.deletion_said(5, said, &Entry::system(5, "deleted_by_hand", "ok", "it")).await.unwrap();
        }
        // The last try to delete it may end, and be told, after that.
        tell(&store, vec![gone(by_hand), gone(by_hand), alarm()]).await;
        let alarms = store.alarms(payment).await.unwrap();
        let seen: Vec<_> = alarms.iter().map(|alarm| alarm.seen_by.as_deref()).collect();
        let expected =
            [None, Some("amy@example.com"), Some(if by_hand.is_some() { "user 72" } else { "ben@example.com" })];
        assert_eq!(seen, [expected[people]], "of what nobody has looked at somebody must see that it was so");
        assert_eq!(store.waiting_for_people().await.unwrap().is_empty(), people > 0);
        let rows = store.audit_of_payment(&payment.to_string()).await.unwrap();
        assert_eq!(rows.iter().filter(|row| row.what == "card_forgotten").count(), 1, "told once more it is known");
        let state = store.card_deletion(payment).await.unwrap().unwrap().state;
        assert_eq!(state, if by_hand.is_some() { DeletionState::ByHand } else { DeletionState::Deleted });
    }
}

fn card_kept(attempt: u128, token: &Token) -> RecordBody {
    let (token, merchant, keeper) = (token.clone(), "main".parse().unwrap(), Keeper::Gateway);
    let card = wire::CardView { brand: wire::Brand::Visa, last4: wire::Last4::new(*b"4242").unwrap(), expiry: None };
    let kept = KeptCard { token, merchant, card, keeper, same_as: None };
    RecordBody::CardKept { attempt: AttemptId(Uuid::from_u128(attempt)), payment: super::journal::PAYMENT, kept }
}
