//! After a shredding or a purge, nothing that is left opens the card: neither the databases, nor their logs, nor a backup.

use super::{Cards, Custody, KeyFile, System, custody, opened, passphrase, stored};
use crate::samples::Folder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use vault::contract::{Model, card, tenant};
use vault::{KeyStore, Keyring, Overdue, Purpose, Reason, RecordKey, Row, Store, Tenant, TenantKey, Vault};
use wire::Token;

const NUMBERS: [&str; 3] = ["4242424242424242", "378282246310005", "6205500000000000004"];
/// Nonce, key, tag.
const WRAPPED_BYTES: usize = 12 + 32 + 16;

struct World {
    folder: Folder,
    custody: Custody,
    cards: Cards,
    tenant: Tenant,
    tokens: Vec<Token>,
}

impl World {
    /// Enough cards that the trees have been split many times.
    async fn new(count: usize) -> Self {
        let folder = Folder::new();
        let (custody, tenant) = (custody(&folder), tenant("main"));
        let cards = custody.open().await.unwrap();
        cards.found(&tenant).await.unwrap();
        let mut tokens = Vec::new();
        for index in 0..count {
            tokens.push(stored(&cards, &tenant, NUMBERS[index % NUMBERS.len()]).await);
        }
        Self { folder, custody, cards, tenant, tokens }
    }

    /// The backups of a night: SQLite's own, and the files as they lie.
    async fn back_up(&self) -> Vec<PathBuf> {
        let to = self.folder.0.join("backup");
        std::fs::create_dir_all(&to).unwrap();
        self.cards.records().back_up(&to.join("whole.db")).await.unwrap();
        for file in files(&self.custody.records) {
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
        files(&to)
    }

    /// An attacker who has a record from a backup, the root key with its passphrase, and every byte of the keyring's files:
    /// whatever of them could be the record's key is tried.
    fn crack(&self, token: &Token, row: &Row, tenant_keys: &[TenantKey]) -> bool {
        let roots = KeyFile::open(&self.custody.keys.join("root.key"), &passphrase()).unwrap();
        let (model, vault) = attack(Box::new(roots), &self.tenant, token, row, tenant_keys);
        candidates(&self.custody.keys).any(|wrapped| {
            for kek in tenant_keys.iter().filter(|key| key.purpose == Purpose::Records) {
                put(&model, &self.tenant, token, kek.version, &wrapped);
                if vault::contract::now_or_never(vault.open(0, &self.tenant, token)).is_ok() {
                    return true;
                }
            }
            false
        })
    }

    async fn row(&self, token: &Token) -> Row {
        self.cards.records().record(&self.tenant, token).await.unwrap().unwrap()
    }

    /// The middle of each record's wrapped key, and whose it is.
    async fn remember_keys(&self) -> BTreeMap<Vec<u8>, Token> {
        let mut wrapped = BTreeMap::new();
        for token in &self.tokens {
            wrapped.insert(self.key(token).await.wrapped[12..28].to_vec(), token.clone());
        }
        wrapped
    }

    async fn key(&self, token: &Token) -> RecordKey {
        self.cards.keyring().record_key(&self.tenant, token).await.unwrap().unwrap().0
    }

    /// How often these bytes stand in a file of the keyring.
    fn count(&self, part: &[u8]) -> usize {
        let bytes = files(&self.custody.keys).into_iter().map(|file| std::fs::read(file).unwrap());
        bytes.map(|bytes| bytes.windows(part.len()).filter(|window| *window == part).count()).sum()
    }

    async fn tenant_keys(&self) -> Vec<TenantKey> {
        self.cards.keyring().tenant_keys(&self.tenant).await.unwrap()
    }
}

fn attack(
    roots: Box<dyn KeyStore>,
    tenant: &Tenant,
    token: &Token,
    row: &Row,
    keys: &[TenantKey],
) -> (Model, Vault<Model, Model>) {
    let model = Model::default();
    model.rows.lock().unwrap().insert(token.clone(), (tenant.clone(), row.clone()));
    let keys = keys.iter().map(|key| ((tenant.clone(), key.purpose, key.version), key.clone()));
    model.tenant_keys.lock().unwrap().extend(keys);
    let vault = Vault::new(model.clone(), model.clone(), roots, Box::new(System));
    (model, vault)
}

fn put(model: &Model, tenant: &Tenant, token: &Token, kek: u32, wrapped: &[u8]) {
    let key = RecordKey { token: token.clone(), kek, wrapped: wrapped.to_vec(), fingerprint: [0; 32] };
    model.record_keys.lock().unwrap().insert(token.clone(), (tenant.clone(), key));
}

/// Every run of bytes in the files that is as long as a wrapped key.
fn candidates(folder: &Path) -> impl Iterator<Item = Vec<u8>> {
    let bytes = files(folder).into_iter().map(|file| std::fs::read(file).unwrap());
    bytes
        .flat_map(|bytes| {
            (0..bytes.len().saturating_sub(WRAPPED_BYTES - 1)).map(move |at| bytes[at..at + WRAPPED_BYTES].to_vec())
        })
        .filter(|window| window.iter().filter(|byte| **byte == 0).count() < 12)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// A number as it could lie about: text, two bytes a letter, one digit a byte, two digits a byte.
fn forms(number: &str) -> Vec<Vec<u8>> {
    let digits: Vec<u8> = number.bytes().map(|byte| byte - b'0').collect();
    let packed =
        |digits: &[u8], pad: u8| digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&pad)).collect();
    vec![
        number.as_bytes().to_vec(),
        number.bytes().flat_map(|byte| [byte, 0]).collect(),
        digits.clone(),
        packed(&digits, 0xF),
        packed(&[&[0], digits.as_slice()].concat(), 0xF),
        number.parse::<u64>().unwrap().to_be_bytes()[1..].to_vec(),
        number.parse::<u64>().unwrap().to_le_bytes()[..7].to_vec(),
    ]
}

fn shows(file: &Path, form: &[u8]) -> bool {
    let bytes = std::fs::read(file).unwrap();
    bytes.windows(form.len()).any(|window| window == form)
}

#[tokio::test]
async fn no_file_shows_a_number_in_any_form() {
    let world = World::new(60).await;
    let backup = world.back_up().await;
    let all: Vec<_> = [files(&world.custody.records), files(&world.custody.keys), backup].concat();
    assert!(all.len() >= 6, "{all:?}");
    for (file, form) in all.iter().flat_map(|file| NUMBERS.into_iter().flat_map(forms).map(move |form| (file, form))) {
        assert!(!shows(file, &form), "{}: {form:?}", file.display());
    }
    let control = world.folder.0.join("control");
    for form in NUMBERS.into_iter().flat_map(forms) {
        std::fs::write(&control, [b"before".as_slice(), &form, b"after"].concat()).unwrap();
        assert!(shows(&control, &form), "the control: the search finds each form");
    }
}

#[tokio::test]
async fn a_shredded_card_is_opened_by_no_byte_of_the_keyring_that_is_left() {
    let world = World::new(150).await;
    // What follows is a rotation's trace too: the keys have been written twice.
    world.cards.rotate_kek(&world.tenant).await.unwrap();
    while !world.cards.rotate_kek_step(&world.tenant).await.unwrap().done {}
    let backup = world.back_up().await;
    assert!(backup.len() >= 2);
    let gone: Vec<Token> = world.tokens.iter().step_by(2).cloned().collect();
    let mut rows = Vec::new();
    for token in gone.iter().step_by(25) {
        rows.push((token, world.row(token).await));
    }
    let keys = world.tenant_keys().await;
    assert!(world.crack(rows[0].0, &rows[0].1, &keys), "the control: before, the attacker has the card");
    for some in gone.chunks(5) {
        world.cards.shred(1, &world.tenant, some, Reason::Shredded).await.unwrap();
    }
    for (token, row) in &rows {
        assert!(!world.crack(token, row, &keys), "{token}");
    }
    for token in &gone {
        assert_eq!(world.row(token).await, Row::Gone);
    }
    for token in world.tokens.iter().skip(1).step_by(2) {
        opened(&world.cards, &world.tenant, token).await;
    }
    let kept = &world.tokens[1];
    assert!(world.crack(kept, &world.row(kept).await, &keys), "the control: one that was kept, it still has");
}

/// The same for many more cards, by looking for their wrapped keys: were there stale copies where pages were split and joined, they
/// would be found. When wrapped keys stood in rows that move, every sixth run found some.
#[tokio::test]
async fn no_wrapped_key_of_a_shredded_card_stands_in_any_file() {
    let world = World::new(2000).await;
    let found = |wrapped: &BTreeMap<Vec<u8>, Token>| -> BTreeSet<Token> {
        let bytes = files(&world.custody.keys).into_iter().map(|file| std::fs::read(file).unwrap());
        let seen = |bytes: Vec<u8>| bytes.windows(16).filter_map(|part| wrapped.get(part).cloned()).collect::<Vec<_>>();
        bytes.flat_map(seen).collect()
    };
    let before = world.remember_keys().await;
    assert_eq!(found(&before).len(), 2000, "the control: before, each is found");
    world.cards.rotate_kek(&world.tenant).await.unwrap();
    while !world.cards.rotate_kek_step(&world.tenant).await.unwrap().done {}
    assert_eq!(found(&before).len(), 0, "what an old KEK has wrapped is gone");
    let wrapped = world.remember_keys().await;
    // Tokens are random, so their order has nothing to do with that of the rows.
    let (mut left, mut gone) = (world.tokens.iter().cloned().collect::<BTreeSet<_>>(), Vec::new());
    for batch in 0..30 {
        let some: Vec<_> = left.iter().skip(batch % 7).step_by(2 + batch % 5).take(61).cloned().collect();
        world.cards.shred(1, &world.tenant, &some, Reason::Shredded).await.unwrap();
        left.retain(|token| !some.contains(token));
        gone.extend(some);
    }
    assert!(gone.len() > 1500 && left.len() > 100);
    assert_eq!(found(&wrapped), left, "the others, and nothing else");
}

/// Whoever has it, and the tenant's own key, finds the number by trying.
#[tokio::test]
async fn no_fingerprint_of_a_number_whose_cards_were_all_shredded_stands_in_any_file() {
    let world = World::new(900).await;
    let mut prints = Vec::new();
    for token in &world.tokens[..NUMBERS.len()] {
        prints.push(world.key(token).await.fingerprint);
    }
    for print in &prints {
        assert!(world.count(print) >= 300, "the control: once for each card, and in the log");
    }
    let of_two = |kept: usize| world.tokens.iter().enumerate().filter(move |(index, _)| index % 3 != kept);
    let mut gone: Vec<Token> = of_two(0).map(|(_, token)| token.clone()).collect();
    gone.sort();
    for some in gone.chunks(61) {
        world.cards.shred(1, &world.tenant, some, Reason::Shredded).await.unwrap();
    }
    let counts: Vec<usize> = prints.iter().map(|print| world.count(print)).collect();
    assert_eq!(counts, [300, 0, 0]);
}

#[tokio::test]
async fn a_purged_card_is_opened_by_no_byte_of_the_keyring_that_is_left() {
    let world = World::new(20).await;
    let (pan, expiry) = card(NUMBERS[0], 2030);
    let token = world.cards.store(0, &world.tenant, &pan, &expiry, Some(10)).await.unwrap();
    world.back_up().await;
    let (row, keys) = (world.row(&token).await, world.tenant_keys().await);
    assert!(world.crack(&token, &row, &keys), "the control");
    let purged = world.cards.purge(&world.tenant, Overdue { now_ms: 11, unused_since_ms: None }).await.unwrap();
    assert_eq!((purged.tokens.as_slice(), purged.more), (std::slice::from_ref(&token), false));
    assert!(!world.crack(&token, &row, &keys));
}

#[tokio::test]
async fn a_shredded_tenant_is_opened_by_no_byte_of_the_keyring_that_is_left() {
    let world = World::new(150).await;
    let other = tenant("other");
    world.cards.found(&other).await.unwrap();
    let kept = stored(&world.cards, &other, NUMBERS[1]).await;
    let (token, keys) = (&world.tokens[0], world.tenant_keys().await);
    let (row, (record_key, _)) =
        (world.row(token).await, world.cards.keyring().record_key(&world.tenant, token).await.unwrap().unwrap());
    // This attacker even has the record's wrapped key, from a copy of the keyring that should not have been made.
    let crack_kek = || {
        let roots = KeyFile::open(&world.custody.keys.join("root.key"), &passphrase()).unwrap();
        let (model, vault) = attack(Box::new(roots), &world.tenant, token, &row, &keys);
        put(&model, &world.tenant, token, record_key.kek, &record_key.wrapped);
        let place = (world.tenant.clone(), Purpose::Records, record_key.kek);
        candidates(&world.custody.keys).any(|wrapped| {
            model.tenant_keys.lock().unwrap().get_mut(&place).unwrap().wrapped = wrapped;
            vault::contract::now_or_never(vault.open(0, &world.tenant, token)).is_ok()
        })
    };
    assert!(crack_kek(), "the control: before, the attacker has the card");
    let shred = world.cards.shred_tenant(1, &world.tenant).await.unwrap();
    assert_eq!((shred.keys, shred.records), (150, 150));
    assert!(!crack_kek());
    assert_eq!(opened(&world.cards, &other, &kept).await, NUMBERS[1]);
}
