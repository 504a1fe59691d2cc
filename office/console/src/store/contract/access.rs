//! Users, sessions and the audit trail.

use super::{Place, abandoned, insert, known, user};
use crate::clock::rfc3339;
use crate::store::{
    StoreError,
    api_keys::{ApiKeys, Shown, TOUCH_MS as TOUCH_KEY_MS},
    audit::{Audit, Entry, SHOWN_MAX},
    sessions::{AGE_MS, IDLE_MS, LINK_MS, SESSIONS_MAX, Sessions, TOUCH_MS},
    users::{Door, FAILURES_MAX, LOCK_MS, Users},
};
use futures_util::future::join_all;

const AMY: &str = "amy@example.com";

pub(super) async fn a_user_is_one(place: &impl Place) {
    let (store, other) = (place.open().await, place.open().await);
    insert(&store, AMY, Some("1001")).await.unwrap();
    let conflict = |done| matches!(done, Err(StoreError::Conflict(_)));
    assert!(conflict(insert(&other, "Amy@Example.com", None).await), "whatever the case of the letters");
    assert!(conflict(insert(&other, "ben@example.com", Some("1001")).await), "an extension is one user's");
    assert_eq!(store.users().await.unwrap(), 1, "of a conflict nothing is written");
    insert(&other, "ben@example.com", None).await.unwrap();
    insert(&other, "cat@example.com", None).await.unwrap();
    let amy = known(&other, "AMY@example.com").await;
    assert_eq!((amy.email.as_str(), store.users().await.unwrap()), (AMY, 3));
    assert_eq!(store.user_name(amy.id).await.unwrap().as_deref(), Some(AMY));
    assert_eq!(store.user_name(amy.id + 1_000).await.unwrap(), None);
    assert!(store.extension_taken(&"1001".parse().unwrap()).await.unwrap());
    assert!(!store.extension_taken(&"1002".parse().unwrap()).await.unwrap());
    let rights = "charge,refund".parse().unwrap();
    assert!(store.user_rights(AMY, &rights).await.unwrap());
    assert_eq!(known(&other, AMY).await.rights, rights, "from the next request on, whoever serves it");
    assert!(!store.user_rights("nobody@example.com", &rights).await.unwrap());
    drop((store, other));
    assert_eq!(known(&place.open().await, AMY).await.rights, rights);
}

pub(super) async fn guesses_at_once_are_all_counted(place: &impl Place) {
    let (store, other) = (place.open().await, place.open().await);
    user(&store, AMY).await;
    let guesses = (0..FAILURES_MAX + 4).map(|n| if n % 2 == 0 { &store } else { &other });
    let doors = join_all(guesses.map(|store| store.sign_in_begin(5, "AMY@example.com"))).await;
    let until = 5 + LOCK_MS;
    let count = |is: fn(&Door) -> bool| doors.iter().filter(|door| is(door.as_ref().unwrap())).count();
    let tried = i64::try_from(count(|door| matches!(door, Door::Try(..)))).unwrap();
    assert_eq!((tried, count(|door| matches!(door, Door::Locked(_)))), (FAILURES_MAX, 4));
    assert_eq!(other.sign_in_begin(until - 1, AMY).await.unwrap(), Door::Locked(until));
    assert!(matches!(store.sign_in_begin(until, AMY).await.unwrap(), Door::Try(..)));
    assert!(matches!(store.sign_in_begin(until, AMY).await.unwrap(), Door::Try(..)), "it counts from one again");
    assert_eq!(store.sign_in_begin(0, "nobody@example.com").await.unwrap(), Door::Unknown);
}

pub(super) async fn a_success_forgives_the_failures_before_it(place: &impl Place) {
    let store = place.open().await;
    user(&store, AMY).await;
    for _ in 0..3 * FAILURES_MAX {
        let Door::Try(user, _) = store.sign_in_begin(5, AMY).await.unwrap() else { panic!("locked") };
        store.sign_in_succeeded(user.id).await.unwrap();
    }
    assert!(!store.has_signed_in(AMY).await.unwrap(), "only the audit trail says so");
    store.audit(&Entry { who: AMY.to_owned(), ..Entry::system(1, "sign_in", "failed", "session") }).await.unwrap();
    assert!(!store.has_signed_in(AMY).await.unwrap());
    store.audit(&Entry { who: AMY.to_owned(), ..Entry::system(1, "sign_in", "password", "session") }).await.unwrap();
    assert!(store.has_signed_in(AMY).await.unwrap());
}

pub(super) async fn a_session_ends_when_idle_and_when_old(place: &impl Place) {
    let (store, other) = (place.open().await, place.open().await);
    let user = user(&store, AMY).await;
    store.session_begin(0, user, "t").await.unwrap();
    let is_alive = async |now, touch| other.session_user(now, "t", touch).await.unwrap().is_some();
    assert!(is_alive(IDLE_MS - 1, false).await);
    assert!(!is_alive(IDLE_MS, false).await, "looking without touching");
    assert!(is_alive(TOUCH_MS, true).await && !is_alive(IDLE_MS, false).await, "so soon a use is not written down");
    let mut now = 0;
    while now + IDLE_MS / 2 < AGE_MS {
        now += IDLE_MS / 2;
        assert!(is_alive(now, true).await, "used at {now}");
    }
    assert!(!is_alive(AGE_MS, true).await);
    store.session_begin(AGE_MS, user, "u").await.unwrap();
    assert!(matches!(store.session_begin(AGE_MS, user + 1_000, "v").await, Err(StoreError::Conflict(_))), "nobody's");
    other.session_end("u").await.unwrap();
    assert!(store.session_user(AGE_MS, "u", false).await.unwrap().is_none());
}

pub(super) async fn a_user_has_a_bounded_number_of_sessions(place: &impl Place) {
    let store = place.open().await;
    let (amy, ben) = (user(&store, AMY).await, user(&store, "ben@example.com").await);
    store.session_begin(0, ben, "ben").await.unwrap();
    for n in 0..SESSIONS_MAX + 3 {
        store.session_begin(n, amy, &format!("t{n}")).await.unwrap();
    }
    let is_alive = async |token| store.session_user(20, token, false).await.unwrap().is_some();
    assert!(!is_alive("t2").await && is_alive("t3").await && is_alive("ben").await);
}

pub(super) async fn a_link_works_once_and_not_after_ten_minutes(place: &impl Place) {
    let (store, other) = (place.open().await, place.open().await);
    let user = user(&store, AMY).await;
    for token in ["one", "two"] {
        store.link_insert(0, user, token).await.unwrap();
    }
    let together = tokio::join!(store.link_take(1, "one"), other.link_take(1, "one"));
    let taken = [together.0.unwrap(), together.1.unwrap()];
    assert_eq!(taken.iter().flatten().map(|taken| taken.id).collect::<Vec<_>>(), [user], "of two at once one has it");
    assert!(store.link_take(LINK_MS, "two").await.unwrap().is_none());
}

pub(super) async fn a_revoked_key_is_known_and_never_good_again(place: &impl Place) {
    let (store, other) = (place.open().await, place.open().await);
    let (amy, ben) = (user(&store, AMY).await, user(&store, "ben@example.com").await);
    assert!(store.api_key_insert(1, amy, "crm", "twk_1").await.unwrap());
    assert!(!other.api_key_insert(2, amy, "crm", "twk_2").await.unwrap(), "one good key of a name");
    assert!(other.api_key_insert(2, ben, "crm", "twk_3").await.unwrap(), "of a user");
    let again = store.api_key_insert(2, ben, "till", "twk_1").await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "a key is one user's");
    let mut listed = other.api_keys().await.unwrap();
    let (entry, id) = (Entry::system(3, "api_key_revoke", "ok", &listed[0].object()), listed.remove(0).id);
    let both = tokio::join!(store.api_key_revoke(id, "system", &entry), other.api_key_revoke(id, "system", &entry));
    assert_ne!(both.0.unwrap(), both.1.unwrap(), "once");
    assert_eq!(store.audit_of_object("crm of amy@example.com").await.unwrap().len(), 1);
    assert_eq!(other.api_key_shown(4, "twk_1", true).await.unwrap(), Shown::Revoked("crm".to_owned()));
    assert!(store.api_key_insert(5, amy, "crm", "twk_2").await.unwrap(), "the name is free again");
    let shown = other.api_key_shown(6, "twk_2", false).await.unwrap();
    assert!(matches!(shown, Shown::Good(user, name) if user.id == amy && name == "crm"));
    assert_eq!(store.api_key_shown(6, "twk_4", false).await.unwrap(), Shown::Unknown);
    let ended: Vec<_> = store.api_keys().await.unwrap().into_iter().map(|key| key.revoked_at.is_some()).collect();
    assert_eq!(ended, [false, false, true], "good ones first");
}

pub(super) async fn use_is_written_down_to_the_minute_and_looking_is_none(place: &impl Place) {
    let store = place.open().await;
    let user = user(&store, AMY).await;
    store.api_key_insert(1, user, "crm", "twk_1").await.unwrap();
    let used = async || store.api_keys().await.unwrap().remove(0).last_used_at;
    store.api_key_shown(5, "twk_1", false).await.unwrap();
    assert_eq!(used().await, None);
    store.api_key_shown(5, "twk_1", true).await.unwrap();
    store.api_key_shown(5 + TOUCH_KEY_MS, "twk_1", true).await.unwrap();
    assert_eq!(used().await, Some(rfc3339(5)));
    store.api_key_shown(6 + TOUCH_KEY_MS, "twk_1", true).await.unwrap();
    assert_eq!(used().await, Some(rfc3339(6 + TOUCH_KEY_MS)));
}

pub(super) async fn the_audit_trail_is_told_in_order_and_in_bounds(place: &impl Place) {
    let (store, other) = (place.open().await, place.open().await);
    let put = async |at, what, payment: Option<&str>| {
        let entry = Entry { payment: payment.map(str::to_owned), ..Entry::system(at, what, "ok", "it") };
        store.audit(&entry).await.unwrap();
    };
    put(2, "second", Some("p")).await;
    put(3, "third", None).await;
    put(3, "fourth", None).await;
    put(1, "first", Some("p")).await;
    let words = |rows: Vec<crate::store::audit::AuditView>| rows.into_iter().map(|row| row.what).collect::<Vec<_>>();
    let of_object = words(other.audit_of_object("it").await.unwrap());
    assert_eq!(of_object, ["first", "second", "third", "fourth"], "by time, then as they came");
    assert_eq!(words(other.audit_of_payment("p").await.unwrap()), ["first", "second"]);
    assert!(other.audit_of_payment("it").await.unwrap().is_empty());
    for at in 0..SHOWN_MAX {
        put(10 + at, "more", None).await;
    }
    let shown = words(other.audit_of_object("it").await.unwrap());
    assert_eq!((i64::try_from(shown.len()).unwrap(), shown[3].as_str()), (SHOWN_MAX, "fourth"));
}

/// The oldest goes in the transaction that begins the newest.
pub(super) async fn a_session_that_is_begun_in_vain_ends_no_other(place: &impl Place) {
    let store = place.open().await;
    let user = user(&store, AMY).await;
    for n in 0..SESSIONS_MAX {
        store.session_begin(n, user, &n.to_string()).await.unwrap();
    }
    for turn in 0..60 {
        let (first, new) = (i64::from(turn), i64::from(turn) + SESSIONS_MAX);
        let is_alive = async |token: i64| store.session_user(new, &token.to_string(), false).await.unwrap().is_some();
        abandoned(&store, turn, store.session_begin(new, user, &new.to_string())).await;
        let stands = (is_alive(first).await, is_alive(new).await);
        assert_ne!(stands.0, stands.1, "turn {turn}");
        if stands.0 {
            store.session_begin(new, user, &new.to_string()).await.unwrap();
        }
    }
}
