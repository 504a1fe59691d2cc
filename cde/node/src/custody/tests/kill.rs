//! Rotations in a process of their own, which is killed again and again.

use super::{custody, opened, stored};
use crate::samples::Folder;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use vault::Keyring;
use vault::contract::tenant;

/// Where the process finds its vault.
const FOLDER: &str = "TONEWALL_TEST_ROTATED_VAULT";
/// What it says when it begins.
const ROTATING: &str = "rotating";
const CARDS: usize = 1200;
const KILLS: u64 = 25;

/// The process: it rotates for as long as it lives. As a test of its own it does nothing.
#[tokio::test]
async fn rotate_until_killed() {
    let Some(path) = std::env::var_os(FOLDER) else { return };
    let folder = std::mem::ManuallyDrop::new(Folder(PathBuf::from(path)));
    let (cards, tenant) = (custody(&folder).open().await.unwrap(), tenant("main"));
    println!("{ROTATING}");
    loop {
        cards.rotate_kek(&tenant).await.unwrap();
        while !cards.rotate_kek_step(&tenant).await.unwrap().done {}
        cards.rotate_root().unwrap();
        while !cards.rotate_root_step().await.unwrap().done {}
    }
}

#[tokio::test]
async fn a_rotation_that_is_killed_again_and_again_loses_nothing() {
    let folder = Folder::new();
    let (custody, tenant) = (custody(&folder), tenant("main"));
    let cards = custody.open().await.unwrap();
    cards.found(&tenant).await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..CARDS {
        tokens.push(stored(&cards, &tenant, "5555555555554444").await);
    }
    let mut cut_off = 0;
    for round in 0..KILLS {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["custody::tests::kill::rotate_until_killed", "--exact", "--nocapture"])
            .env(FOLDER, &folder.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // A busy machine may take seconds until it begins.
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(said.map_while(Result::ok).any(|line| line.contains(ROTATING)), "it ended before it began");
        tokio::time::sleep(Duration::from_millis(100 + round * 41 % 400)).await;
        assert!(process.try_wait().unwrap().is_none(), "it ended by itself");
        process.kill().unwrap();
        process.wait().unwrap();
        let keys = cards.keyring().tenant_keys(&tenant).await.unwrap();
        cut_off += usize::from(keys.len() > 2 || cards.key_store().roots().unwrap().len() > 1);
        for token in tokens.iter().step_by(97) {
            assert_eq!(opened(&cards, &tenant, token).await, "5555555555554444");
        }
    }
    assert!(cut_off > 0, "no rotation was cut off: the test proves nothing");
    while !cards.rotate_kek_step(&tenant).await.unwrap().done {}
    while !cards.rotate_root_step().await.unwrap().done {}
    for token in &tokens {
        assert_eq!(opened(&cards, &tenant, token).await, "5555555555554444");
    }
    let keys = cards.keyring().tenant_keys(&tenant).await.unwrap();
    let newest = cards.key_store().current().unwrap();
    assert!(keys.len() == 2 && keys.iter().all(|key| key.root == newest), "all is finished");
    assert!(newest > 1, "and something was rotated");
}
