//! The same calls by chance, and after each the same answer.

mod money;

use super::{Folder, Model, Place, Rooms};
use crate::{
    rights::Rights,
    store::{
        StoreError,
        api_keys::{ApiKey, Shown},
        audit::Entry,
        idempotency::Key,
        users::{Door, Role, User, UserRow},
    },
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::fmt::Debug;
use uuid::Uuid;

/// Calls in one run.
const CALLS: usize = 300;
const EMAILS: [&str; 4] = ["amy@example.com", "ben@example.com", "AMY@example.com", "cat@example.com"];
/// Longer than any time that counts, in steps of which some are far shorter.
const STEPS_MS: [i64; 6] = [1, 100, 20_000, 7 * 60_000, 31 * 60_000, 25 * 60 * 60_000];

/// What is drawn for a call.
struct Draw {
    call: u64,
    now_ms: i64,
    user: &'static str,
    token: String,
    flag: bool,
    seed: Uuid,
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn pick(&mut self, count: u64) -> u64 {
        self.0.next_u64() % count
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.pick(u64::try_from(all.len()).unwrap())).unwrap()].clone()
    }

    /// Most steps are short.
    fn draw(&mut self, now_ms: i64) -> Draw {
        let longest = if self.pick(8) == 0 { STEPS_MS.len() } else { 3 };
        Draw {
            call: self.pick(17),
            now_ms: now_ms + self.of(&STEPS_MS[..longest]),
            user: self.of(&EMAILS),
            token: self.pick(30).to_string(),
            flag: self.pick(3) > 0,
            seed: Uuid::from_u128(self.pick(1_000).into()),
        }
    }
}

/// Words of an error are the implementation's own; ids, too.
fn said<T: Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Conflict(_)) => "a conflict".to_owned(),
        answer => format!("{:?}", answer.unwrap()),
    }
}

fn unnamed(user: User) -> User {
    User { id: 0, ..user }
}

async fn id(store: &impl Rooms, email: &str) -> i64 {
    store.user_by_email(email).await.unwrap().map_or(1_000_000, |user| user.id)
}

async fn call(store: &impl Rooms, draw: &Draw) -> String {
    let Draw { now_ms, user, flag, seed, .. } = *draw;
    let (token, rights) = (draw.token.as_str(), Rights::default());
    let extension = flag.then(|| format!("10{token:0>2}").parse().unwrap());
    let hash: &[u8] = if token.ends_with('1') { b"x" } else { b"h" };
    let key = Key { user: 1, path: "/p", key: &token[..1], body_hash: hash };
    let id = id(store, user).await;
    match draw.call {
        0 => {
            let (role, extension, rights) = (Role::Agent, extension.as_ref(), &rights);
            let row = UserRow { email: user, name: token, role, extension, rights, password_hash: token };
            said(store.user_insert(now_ms, &row).await)
        }
        1 => said(store.user_rights(user, &"charge,store".parse().unwrap()).await),
        2 => said(store.sign_in_begin(now_ms, user).await.map(|door| match door {
            Door::Try(user, hash) => Door::Try(unnamed(user), hash),
            door => door,
        })),
        3 => said(store.sign_in_succeeded(id).await),
        4..=6 => said(store.session_begin(now_ms, id, token).await),
        7 => said(store.session_user(now_ms, token, flag).await.map(|user| user.map(unnamed))),
        8 => said(store.session_end(token).await),
        9 => said(store.link_insert(now_ms, id, token).await),
        10 => said(store.link_take(now_ms, token).await.map(|user| user.map(unnamed))),
        11 => said(store.claim(now_ms, key, seed, flag).await),
        12 if flag => said(store.claim_done(key, 200, token).await),
        12 => said(store.claim_void(key).await),
        13 => said(store.api_key_insert(now_ms, id, &token[..1], token).await),
        14 => said(store.api_key_shown(now_ms, token, flag).await.map(|shown| match shown {
            Shown::Good(user, name) => Shown::Good(unnamed(user), name),
            shown => shown,
        })),
        15 => {
            let keys = store.api_keys().await.unwrap();
            let first = keys.iter().find(|key| key.name == token[..1]).map_or(0, |key| key.id);
            said(store.api_key_revoke(first, "chance", &Entry::system(now_ms, "chance", "revoked", user)).await)
        }
        _ => said(store.audit(&Entry::system(now_ms, "chance", token, user)).await),
    }
}

/// All that a store tells of one user and one token.
async fn seen(store: &impl Rooms, draw: &Draw) -> String {
    let user = store.user_by_email(draw.user).await.unwrap().map(unnamed);
    let session = store.session_user(draw.now_ms, &draw.token, false).await.unwrap().map(unnamed);
    let audit: Vec<_> = store.audit_of_object(draw.user).await.unwrap().into_iter().map(|row| row.result).collect();
    let keys: Vec<_> = store.api_keys().await.unwrap().into_iter().map(|key| ApiKey { id: 0, ..key }).collect();
    format!("{user:?} {session:?} {audit:?} {keys:?} {}", store.users().await.unwrap())
}

/// One run.
pub(super) async fn does_what_the_model_does(store: &impl Rooms, seed: u64) {
    let (model, mut dice) = (Model::default(), Dice(ChaCha8Rng::seed_from_u64(seed)));
    let mut now_ms = 0;
    for number in 0..CALLS {
        let draw = dice.draw(now_ms);
        now_ms = draw.now_ms;
        let told = format!("seed {seed}, call {number}: {}", draw.call);
        assert_eq!(call(store, &draw).await, call(&model, &draw).await, "{told}");
        assert_eq!(seen(store, &draw).await, seen(&model, &draw).await, "{told}");
    }
}

#[tokio::test]
async fn sqlite_does_what_the_model_does() {
    for seed in 0..6 {
        does_what_the_model_does(&Folder::new().open().await, seed).await;
    }
}
