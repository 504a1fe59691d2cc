//! `tonewall vault` as people use it. What the vault keeps is proved in its own crates.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use node::custody::{Custody, Deed, Request, Store, Tenant, close, now_ms};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as HPKE;
use rustls::crypto::hpke::{Hpke, HpkePublicKey};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const NUMBER: &str = "4242424242424242";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tonewall-vault-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("cde.toml"), "[vault]\npassphrase_file = \"pass\"\n").unwrap();
        std::fs::write(path.join("pass"), "correct horse battery staple\n").unwrap();
        Self(path)
    }

    fn run(&self, words: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tonewall"))
            .arg("vault")
            .args(words.split(' '))
            .current_dir(&self.0)
            .env_remove("TONEWALL_CONFIG")
            .output()
            .unwrap()
    }

    /// What it says when it succeeds.
    fn did(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says when it refuses.
    fn refused(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "{words}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A `cde.toml` with merchants a, b, … of one gateway, each with these lines.
    fn has_merchants(&self, merchants: &[&str]) {
        let one = |(id, lines): (char, &&str)| format!("[[merchant]]\nid = \"{id}\"\ngateway = \"g\"\n{lines}\n");
        let merchants: String = ('a'..).zip(merchants).map(one).collect();
        let gateway = "[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\nurl = \"http://127.0.0.1:9\"\n";
        let text = format!("[vault]\npassphrase_file = \"pass\"\n{gateway}{merchants}");
        std::fs::write(self.0.join("cde.toml"), text).unwrap();
    }

    /// Cards of one number come in from another vault, as two people have approved.
    fn takes_in(&self, tenant: &str, tokens: &[&str]) {
        let address = self.did(&format!("address --tenant {tenant}"));
        std::fs::write(self.0.join(format!("{tenant}.cards")), sealed_to(unhex(address.trim()), tokens)).unwrap();
        let request = format!("{tenant}.request");
        self.did(&format!("request import --tenant {tenant} --from {tenant}.cards {request}"));
        for name in ["amy", "bob"] {
            if !self.0.join(format!("{name}.key")).exists() {
                let public = self.did(&format!("officer key {name}.key"));
                self.did(&format!("officer enroll {name} {}", public.trim()));
            }
            self.did(&format!("approve {request} --name {name} --key {name}.key"));
        }
        let said = self.did(&format!("import --request {request} {tenant}.cards"));
        assert!(said.contains(&format!("{} cards were taken in", tokens.len())), "{said}");
    }

    /// Their last use was noted so many days ago.
    fn were_used(&self, days: i64, tenant: &str, tokens: &[&str]) {
        let config = node::Config::load(&self.0.join("cde.toml")).unwrap();
        let tenant: Tenant = tenant.parse().unwrap();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let cards = Custody::of(&config, &self.0).unwrap().open().await.unwrap();
            for token in tokens {
                cards.records().used(&tenant, &token.parse().unwrap(), now_ms() - days * DAY_MS).await.unwrap();
            }
            close(Some(&cards)).await;
        });
    }

    fn report(&self, name: &str) -> Value {
        assert!(self.did(&format!("purge --verify {name}")).contains("as it was signed"));
        serde_json::from_slice(&std::fs::read(self.0.join(name)).unwrap()).unwrap()
    }
}

fn unhex(text: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

/// What another vault writes: a request, then the cards and an end, each sealed and bound to request and place.
fn sealed_to(to: [u8; 32], tokens: &[&str]) -> String {
    let (made_ms, tenant) = (now_ms(), "main".parse().unwrap());
    let until_ms = made_ms + DAY_MS;
    let request = Request { id: [7; 16], deed: Deed::Export, tenant, to, digest: [0; 32], made_ms, until_ms };
    let line = |what: &[u8], number: u64, plain: &[u8]| {
        let aad = [what, &number.to_be_bytes()].concat();
        let (enc, rest) = HPKE.seal(&request.bytes(), &aad, plain, &HpkePublicKey(to.to_vec())).unwrap();
        [enc.0, rest].concat().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let mut lines = vec![json!({"kind": "tonewall-vault-export", "format": 1, "request": &request}).to_string()];
    for (number, token) in (0..).zip(tokens) {
        // The number has 16 of at most 19 digits; then December 2030, and no end of its own.
        let card = [token.as_bytes(), &[16], NUMBER.as_bytes(), &[0; 3], &[12, 7, 238], &[0; 9]].concat();
        lines.push(line(b"card", number, &card));
    }
    lines.push(line(b"end", tokens.len().try_into().unwrap(), &[]));
    lines.join("\n") + "\n"
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_vault_is_made_looked_at_rotated_purged_and_backed_up() {
    let folder = Folder::new("whole");
    assert!(folder.refused("status").contains("tonewall vault init"), "before it is made");
    assert!(folder.did("init").contains("a root key was made"));
    assert!(folder.did("init --tenant other").contains("tenant other has got its keys"));
    assert!(folder.did("init").contains("has its keys already"));
    assert!(folder.did("rotate kek --tenant other").contains("the old one is destroyed"));
    assert!(folder.did("rotate root").contains("4 keys of tenants"));
    let status = folder.did("status");
    assert!(status.contains("root key: version 2\n"), "{status}");
    assert!(status.contains("tenant other: 0 cards, 0 shredded; KEK version 2\n"), "{status}");
    assert!(folder.did("purge --unused-days 400 --report report").contains("0 cards purged"));
    assert!(folder.did("purge --verify report").contains("as it was signed"));
    assert!(folder.refused("purge --report report").contains("exists"), "a report is never overwritten");
    assert!(folder.did("backup copy.db").contains("must not be"));
    assert!(folder.0.join("copy.db").exists());
    assert!(folder.did("shred tok_mpjtb9d5mpjtb9d5mpjtb9d5").contains("0 keys deleted"));
    assert!(folder.refused("shred --tenant other --whole-tenant main").contains("nothing was shredded"));
    assert!(folder.did("shred --tenant other --whole-tenant other").contains("0 cards removed"));
    assert!(!folder.did("status").contains("other"));
}

#[test]
fn the_passphrase_is_changed_and_the_old_one_opens_nothing() {
    let folder = Folder::new("pass");
    folder.did("init");
    std::fs::write(folder.0.join("new"), "quite another passphrase\n").unwrap();
    folder.did("rotate passphrase --new-passphrase-file new");
    assert!(folder.refused("status").contains("wrong passphrase"));
    std::fs::rename(folder.0.join("new"), folder.0.join("pass")).unwrap();
    assert!(folder.did("status").contains("root key: version 1"));
}

#[test]
fn a_card_number_is_no_token_and_is_not_repeated() {
    let folder = Folder::new("token");
    folder.did("init");
    let refused = folder.refused("shred tok_mpjtb9d5mpjtb9d5mpjtb9d5 4242424242424242");
    assert!(refused.contains("word 2") && refused.contains("not a token") && !refused.contains("4242"), "{refused}");
}

#[test]
fn cards_move_between_vaults_when_two_people_say_so() {
    let (from, to) = (Folder::new("from"), Folder::new("to"));
    from.did("init");
    to.did("init");
    let address = to.did("address");
    assert_eq!(to.did("address"), address, "it stays");
    let [amy, bob] = ["amy", "bob"].map(|name| from.did(&format!("officer key {name}.key")));
    for folder in [&from, &to] {
        folder.did(&format!("officer enroll amy {}", amy.trim()));
        folder.did(&format!("officer enroll bob {}", bob.trim()));
    }
    assert!(from.refused(&format!("officer enroll amy {}", amy.trim())).contains("enrolled already"));
    from.did(&format!("request export --to {} out.request", address.trim()));
    from.did("approve out.request --name amy --key amy.key");
    assert!(from.refused("export --request out.request cards").contains("2 people"), "one is not enough");
    from.did("approve out.request --name bob --key amy.key");
    assert!(from.refused("export --request out.request cards").contains("does not fit"), "amy is not bob");
    from.did("approve out.request --name bob --key bob.key");
    assert!(from.did("export --request out.request cards").contains("0 cards"));
    std::fs::copy(from.0.join("cards"), to.0.join("cards")).unwrap();
    to.did("request import --from cards in.request");
    for name in ["amy", "bob"] {
        std::fs::copy(from.0.join(format!("{name}.key")), to.0.join(format!("{name}.key"))).unwrap();
        to.did(&format!("approve in.request --name {name} --key {name}.key"));
    }
    assert!(to.did("import --request in.request cards").contains("0 cards were taken in"));
    std::fs::write(to.0.join("cards"), "another file\n").unwrap();
    assert!(to.refused("import --request in.request cards").contains("the file is another one"));
}

#[test]
fn a_card_that_nobody_has_used_for_long_goes_by_its_merchants_setting_alone() {
    let [old, new, others] = ["m", "n", "q"].map(|first| format!("tok_{first}pjtb9d5mpjtb9d5mpjtb9d5"));
    let [old, new, others] = [&*old, &*new, &*others];
    let folder = Folder::new("unused");
    folder.did("init");
    folder.did("init --tenant other");
    folder.takes_in("main", &[old, new]);
    folder.takes_in("other", &[others]);
    folder.were_used(401, "main", &[old]);
    folder.were_used(399, "main", &[new]);
    folder.were_used(401, "other", &[others]);

    folder.has_merchants(&["unused_days = 400", ""]);
    let kept = folder.did("purge --report kept");
    assert!(kept.contains("tenant main: 0 cards purged: past their own end only (merchant b has no"), "{kept}");
    folder.has_merchants(&["unused_days = 0", "unused_days = 30"]);
    assert!(folder.refused("purge --report none").contains("expected a number of days from 1 to 65535"));
    assert!(!folder.0.join("none").exists(), "nor is a report begun");

    folder.has_merchants(&["unused_days = 400", "unused_days = 30"]);
    let said = folder.did("purge --report report");
    assert!(said.contains("tenant main: 1 cards purged: past their own end, or unused for 400 days"), "{said}");
    assert!(said.contains("tenant other: 0 cards purged: past their own end only (no merchant"), "{said}");
    assert!(said.contains("\n1 cards purged; the signed report is report"), "{said}");
    let report = folder.report("report");
    assert_eq!(report["tokens"], json!({"main": [old], "other": []}));
    assert_eq!(report["rules"]["main"]["unused_days"], 400);
    assert_eq!(report["rules"]["other"]["unused_days"], Value::Null);
    let status = folder.did("status");
    assert!(
        status.contains("tenant main: 1 cards, 1 shredded") && status.contains("tenant other: 1 cards, 0"),
        "{status}"
    );

    assert!(folder.refused("purge --report all --unused-days 0").contains("expected 1 to 65535 days"));
    let said = folder.did("purge --report option --unused-days 398");
    assert!(said.contains("\n2 cards purged"), "{said}");
    assert_eq!(folder.report("option")["tokens"], json!({"main": [new], "other": [others]}));
}
