//! `tonewall vault` as people use it. What the vault keeps is proved in its own crates.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::path::PathBuf;
use std::process::{Command, Output};

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
