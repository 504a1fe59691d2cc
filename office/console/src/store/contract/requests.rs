//! Idempotency keys.

use super::{Place, abandoned};
use crate::store::idempotency::{Claim, Idempotency, KEPT_MS, Key};
use uuid::Uuid;

const KEY: Key<'_> = Key { user: 1, path: "/p", key: "k", body_hash: b"h" };

fn seed(number: u32) -> Uuid {
    Uuid::from_u128(number.into())
}

pub(super) async fn a_key_is_done_once_and_keeps_its_seed(place: &impl Place) {
    let (store, key, one, two) = (place.open().await, KEY, seed(1), seed(2));
    let told = async |key, has_turn| store.claim(0, key, two, has_turn).await.unwrap();
    assert_eq!(told(key, false).await, Claim::Busy, "its first request is about to begin");
    assert_eq!(store.claim(0, key, one, true).await.unwrap(), Claim::Do(one));
    assert_eq!(told(key, false).await, Claim::Busy);
    let another = place.open().await.claim(0, key, two, true).await.unwrap();
    assert_eq!(another, Claim::Do(one), "whoever served it is no more");
    store.claim_done(key, 201, "{}").await.unwrap();
    assert_eq!(told(key, false).await, Claim::Done(201, "{}".into()));
    assert_eq!(told(Key { body_hash: b"x", ..key }, true).await, Claim::Mismatch);
    assert_eq!(told(Key { user: 2, ..key }, true).await, Claim::Do(two), "it is another's");
    assert_eq!(told(Key { path: "/q", ..key }, true).await, Claim::Do(two), "or for something else");
    store.claim_void(Key { path: "/q", ..key }).await.unwrap();
    assert_eq!(
        store.claim(0, Key { path: "/q", ..key }, one, true).await.unwrap(),
        Claim::Do(one),
        "it was free again"
    );
    drop(store);
    let store = place.open().await;
    assert_eq!(store.claim(KEPT_MS, key, two, true).await.unwrap(), Claim::Done(201, "{}".into()));
    assert_eq!(store.claim(KEPT_MS + 1, key, two, true).await.unwrap(), Claim::Do(two), "forgotten after a day");
}

pub(super) async fn of_two_at_once_both_have_one_seed(place: &impl Place) {
    let (store, other) = (place.open().await, place.open().await);
    for turn in 0..20 {
        let name = turn.to_string();
        let key = Key { key: &name, ..KEY };
        let both = tokio::join!(store.claim(0, key, seed(1), true), other.claim(0, key, seed(2), true));
        assert_eq!(both.0.unwrap(), both.1.unwrap());
    }
}

pub(super) async fn a_request_whose_caller_goes_away_has_one_seed(place: &impl Place) {
    let store = place.open().await;
    for turn in 0..40 {
        let name = turn.to_string();
        let key = Key { key: &name, ..KEY };
        let was_told = abandoned(&store, turn, store.claim(0, key, seed(1), true)).await;
        let Claim::Do(kept) = store.claim(0, key, seed(2), true).await.unwrap() else { panic!("nobody has done it") };
        assert!(kept == seed(1) || kept == seed(2) && !was_told);
        assert_eq!(store.claim(0, key, seed(3), true).await.unwrap(), Claim::Do(kept));
    }
}
