//! The vault on its real stores.

mod keyfile;
mod kill;
mod places;
mod residue;

use super::{Cards, Custody, KeyFile, Keys, Passphrase, Records, Source, System, close};
use crate::samples::Folder;
use vault::contract::{card, keys, records, tenant};
use vault::hpke::{Recipient, seal};
use vault::{KeyStore, Keyring, Tenant};
use wire::Token;

const PASSPHRASE: &[u8] = b"correct horse battery staple";

pub(super) fn passphrase() -> Passphrase {
    Passphrase::new(PASSPHRASE).unwrap()
}

/// A custody in a folder, with its root key made.
pub(super) fn custody(folder: &Folder) -> Custody {
    std::fs::write(folder.0.join("pass"), PASSPHRASE).unwrap();
    let custody = Custody {
        records: folder.0.join("records"),
        keys: folder.0.join("keys"),
        source: Source::File(folder.0.join("pass")),
    };
    custody.init().unwrap();
    custody
}

pub(super) async fn stored(cards: &Cards, tenant: &Tenant, number: &str) -> Token {
    let (pan, expiry) = card(number, 2030);
    cards.store(0, tenant, &pan, &expiry, None).await.unwrap()
}

pub(super) async fn opened(cards: &Cards, tenant: &Tenant, token: &Token) -> String {
    let (pan, _) = cards.open(0, tenant, token).await.unwrap();
    pan.expose(|digits| String::from_utf8(digits.to_vec()).unwrap())
}

#[tokio::test]
async fn the_databases_keep_the_contract() {
    let folder = Folder::new();
    let store = Records::open(&folder.0.join("records.db")).await.unwrap();
    let ring = Keys::open(&folder.0.join("keyring.db")).await.unwrap();
    records(&store).await;
    keys(&ring).await;
    for file in ["records.db", "keyring.db", "records.db-wal", "keyring.db-wal"] {
        assert_eq!(folder.mode(file), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_card_is_there_after_a_restart_and_nobody_else_may_look() {
    let folder = Folder::new();
    let (custody, tenant) = (custody(&folder), tenant("main"));
    let cards = custody.open().await.unwrap();
    cards.found(&tenant).await.unwrap();
    let token = stored(&cards, &tenant, "378282246310005").await;
    close(Some(&cards)).await;
    let cards = custody.open().await.unwrap();
    assert_eq!(opened(&cards, &tenant, &token).await, "378282246310005");
    assert!(!custody.init().unwrap(), "what is there is not made again");
    assert_eq!((folder.mode("keys"), folder.mode("records"), folder.mode("keys/root.key")), (0o700, 0o700, 0o600));
    assert!(custody.said().contains("root.key") && !custody.said().contains("correct horse"));
}

/// The databases' connections are real, so the tasks do wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cards_are_stored_and_opened_while_kek_and_root_are_rotated() {
    let folder = Folder::new();
    let (custody, tenant) = (custody(&folder), tenant("main"));
    let rotating = custody.open().await.unwrap();
    rotating.found(&tenant).await.unwrap();
    let using = std::sync::Arc::new(custody.open().await.unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (count, mut counted) = tokio::sync::watch::channel(0);
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (cards, tenant, stopped, count) = (using.clone(), tenant.clone(), stopped.clone(), count.clone());
            tokio::spawn(async move {
                let mut tokens = Vec::new();
                while !*stopped.borrow() {
                    tokens.push(stored(&cards, &tenant, "4242424242424242").await);
                    let any = tokens.len() / 2;
                    assert_eq!(opened(&cards, &tenant, &tokens[any]).await, "4242424242424242");
                    count.send_modify(|count| *count += 1);
                }
                tokens
            })
        })
        .collect();
    for _ in 0..4 {
        rotating.rotate_kek(&tenant).await.unwrap();
        while !rotating.rotate_kek_step(&tenant).await.unwrap().done {}
        rotating.rotate_root().unwrap();
        while !rotating.rotate_root_step().await.unwrap().done {}
        // However long that takes: between two rotations some are stored and opened.
        let before = *counted.borrow();
        counted.wait_for(|count| *count >= before + 6).await.unwrap();
    }
    stop.send_replace(true);
    let mut count = 0;
    for worker in workers {
        for token in worker.await.unwrap() {
            assert_eq!(opened(&rotating, &tenant, &token).await, "4242424242424242");
            count += 1;
        }
    }
    assert!(count > 20, "only {count} were stored meanwhile");
    let keys = rotating.keyring().tenant_keys(&tenant).await.unwrap();
    assert!(keys.len() == 2 && keys.iter().all(|key| key.root == 5), "four rotations of each: {}", keys.len());
    assert_eq!(rotating.key_store().roots().unwrap(), [5]);
}

/// Against the HPKE of rustls, which is other people's.
#[test]
fn our_hpke_and_that_of_rustls_open_each_others() {
    use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as THEIRS;
    use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePublicKey};
    let (public, private) = THEIRS.generate_key_pair().unwrap();
    let ours = seal(&[7; 32], public.0.as_slice().try_into().unwrap(), b"info", b"aad", b"a card").unwrap();
    let (enc, rest) = ours.split_at(32);
    assert_eq!(THEIRS.open(&EncapsulatedSecret(enc.to_vec()), b"info", b"aad", rest, &private).unwrap(), b"a card");
    let recipient = Recipient::new(&[9; 32]).unwrap();
    let public = HpkePublicKey(recipient.public().to_vec());
    let (enc, rest) = THEIRS.seal(b"info", b"aad", b"another card", &public).unwrap();
    let theirs = [enc.0, rest].concat();
    assert_eq!(**recipient.open(b"info", b"aad", &theirs).unwrap(), *b"another card");
}
