//! What the vault costs on its real stores: operations a second, one after another and eight at a time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use node::custody::{Cards, Custody, Reason, Source, Tenant};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use vault::contract::{card, tenant};
use wire::Token;

const ROUNDS: usize = 4000;
const TASKS: usize = 8;
const SHREDS: usize = 200;

fn main() {
    let folder = std::env::temp_dir().join(format!("tonewall-vault-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(all(&folder));
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn all(folder: &std::path::Path) {
    let pass: PathBuf = folder.join("pass");
    std::fs::write(&pass, "correct horse battery staple").unwrap();
    let custody = Custody { records: folder.join("records"), keys: folder.join("keys"), source: Source::File(pass) };
    custody.init().unwrap();
    let (cards, tenant) = (Arc::new(custody.open().await.unwrap()), tenant("main"));
    cards.found(&tenant).await.unwrap();
    let mut tokens = Vec::new();
    timed("store, one after another", ROUNDS, async {
        for _ in 0..ROUNDS {
            tokens.push(store(&cards, &tenant).await);
        }
    })
    .await;
    timed(
        "store, eight at a time",
        ROUNDS,
        many(&cards, &tenant, async |cards, tenant, _| drop(store(cards, tenant).await), &[]),
    )
    .await;
    timed("open, one after another", ROUNDS, async {
        for token in &tokens {
            cards.open(0, &tenant, token).await.unwrap();
        }
    })
    .await;
    timed("open, eight at a time", ROUNDS, many(&cards, &tenant, open, &tokens)).await;
    timed("shred, one after another", SHREDS, async {
        for token in tokens.iter().take(SHREDS) {
            cards.shred(1, &tenant, std::slice::from_ref(token), Reason::Shredded).await.unwrap();
        }
    })
    .await;
    timed("wrap anew (rotation of a KEK)", 2 * ROUNDS - SHREDS, async {
        cards.rotate_kek(&tenant).await.unwrap();
        while !cards.rotate_kek_step(&tenant).await.unwrap().done {}
    })
    .await;
}

async fn store(cards: &Cards, tenant: &Tenant) -> Token {
    let (pan, expiry) = card("4242424242424242", 2030);
    cards.store(0, tenant, &pan, &expiry, None).await.unwrap()
}

async fn open(cards: &Cards, tenant: &Tenant, token: Option<&Token>) {
    cards.open(0, tenant, token.unwrap()).await.unwrap();
}

/// `ROUNDS` of something by `TASKS` tasks of this thread, which wait for the databases together.
async fn many(cards: &Cards, tenant: &Tenant, act: impl AsyncFn(&Cards, &Tenant, Option<&Token>), tokens: &[Token]) {
    let share = |task: usize| {
        let act = &act;
        async move {
            for round in 0..ROUNDS / TASKS {
                act(cards, tenant, tokens.get(round * TASKS + task)).await;
            }
        }
    };
    tokio::join!(share(0), share(1), share(2), share(3), share(4), share(5), share(6), share(7));
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
async fn timed(what: &str, count: usize, work: impl Future<Output = ()>) {
    let start = Instant::now();
    work.await;
    let per = start.elapsed().as_micros() / u128::try_from(count).unwrap();
    println!("{what:32} {per:6} µs each, {:6} a second", 1_000_000 / per.max(1));
}
