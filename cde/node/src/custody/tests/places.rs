//! Each wrapped key has a place of its own, also in a keyring from before there were places.

use super::{Keys, custody, opened, stored};
use crate::samples::Folder;
use sqlx::Executor as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use std::path::Path;
use vault::contract::tenant;
use vault::{Keyring, Reason, Tenant};

/// As it was: a wrapped key stands with what it is for.
const BEFORE: &str = "
CREATE TABLE t (tenant TEXT NOT NULL, purpose TEXT NOT NULL, version INTEGER NOT NULL, root INTEGER NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (tenant, purpose, version)) STRICT;
INSERT INTO t SELECT tenant, purpose, version, root, bytes FROM tenant_key JOIN wrapped USING (place);
CREATE TABLE r (token TEXT PRIMARY KEY, tenant TEXT NOT NULL, kek INTEGER NOT NULL, wrapped BLOB NOT NULL, fingerprint BLOB NOT NULL)
    STRICT;
INSERT INTO r SELECT token, tenant, kek, substr(bytes, 33), substr(bytes, 1, 32) FROM record_key JOIN wrapped USING (place);
DROP TABLE tenant_key;
DROP TABLE record_key;
DROP TABLE wrapped;
ALTER TABLE t RENAME TO tenant_key;
ALTER TABLE r RENAME TO record_key;
CREATE INDEX record_key_kek ON record_key (tenant, kek);
CREATE INDEX record_key_fingerprint ON record_key (tenant, fingerprint);
PRAGMA user_version = 0;
";

async fn raw(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(file);
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap()
}

async fn places(file: &Path) -> (i64, i64) {
    let pool = raw(file).await;
    let all = sqlx::query_scalar("SELECT count(*) FROM wrapped").fetch_one(&pool).await.unwrap();
    let free = sqlx::query_scalar("SELECT count(*) FROM wrapped WHERE is_free = 1 AND bytes = zeroblob(length(bytes))");
    let free = free.fetch_one(&pool).await.unwrap();
    pool.close().await;
    (all, free)
}

async fn ring(keys: &Keys, tenant: &Tenant) -> String {
    let mut records = keys.wrapped_by(tenant, 1, 1_000).await.unwrap();
    records.sort_by(|one, other| one.token.cmp(&other.token));
    let told = records.iter().map(|key| format!("{} {} {:?} {:?}", key.token, key.kek, key.wrapped, key.fingerprint));
    let own = keys.tenant_keys(tenant).await.unwrap();
    let own = own.iter().map(|key| format!("{:?} {} {} {:?}", key.purpose, key.version, key.root, key.wrapped));
    told.chain(own).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_keyring_of_before_opens_every_card_and_leaves_nothing_where_its_keys_were() {
    let folder = Folder::new();
    let (custody, tenant) = (custody(&folder), tenant("main"));
    let cards = custody.open().await.unwrap();
    cards.found(&tenant).await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..300 {
        tokens.push(stored(&cards, &tenant, "4242424242424242").await);
    }
    super::close(Some(&cards)).await;
    let file = custody.keys.join("keyring.db");
    let before = raw(&file).await;
    before.execute(BEFORE).await.unwrap();
    before.close().await;
    let keys = Keys::open(&file).await.unwrap();
    let told = ring(&keys, &tenant).await;
    assert_eq!(told.lines().count(), 302);
    keys.close().await;
    let keys = Keys::open(&file).await.unwrap();
    assert_eq!(ring(&keys, &tenant).await, told, "opened again it is what it was");
    keys.close().await;
    let cards = custody.open().await.unwrap();
    assert_eq!(opened(&cards, &tenant, &tokens[7]).await, "4242424242424242");
}

#[tokio::test]
async fn a_place_that_is_free_is_used_again() {
    let folder = Folder::new();
    let (custody, tenant) = (custody(&folder), tenant("main"));
    let cards = custody.open().await.unwrap();
    cards.found(&tenant).await.unwrap();
    let file = custody.keys.join("keyring.db");
    let mut last = None;
    for _ in 0..20 {
        if let Some(gone) = last.replace(stored(&cards, &tenant, "4242424242424242").await) {
            cards.shred(1, &tenant, &[gone], Reason::Shredded).await.unwrap();
        }
    }
    let (all, free) = places(&file).await;
    assert!(
        all <= 2 + 2 && free == 1,
        "{all} places, {free} of them free: two cards at a time and the tenant's own two keys"
    );
}
