//! Credentials that the office gives: sealed on the way and on the disk, bound to their place, used at once and after a restart.

use super::keeping::{Asked, World, bank, begin, end, founded, pay, vault, world_of};
use super::{Folder, alarmed, alarms, cryptography, is_whole, settle};
use crate::charge::Charger;
use crate::clock;
use crate::config::Config;
use crate::seal_credential;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wire::{
    Action, AttemptId, CallId, Command, CommandId, CommandResult, CredentialSlot, CredentialSource, MoneyAlarm, Origin,
    Outcome, PaymentId, Refusal, Sealed, Store,
};

const SECRET: &str = "tw_test_given_in_the_office";

fn of_office(url: &str) -> String {
    format!(
        "[vault]\n[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\nurl = \"{url}\"\nkey_from_office = true\n\
         [[gateway]]\nname = \"s\"\nadapter = \"stripe\"\nkey_from_office = true\n\
         [[gateway]]\nname = \"own\"\nadapter = \"sandbox\"\nurl = \"{url}\"\n\
         [[merchant]]\nid = \"m\"\ngateway = \"g\"\n"
    )
}

fn command(number: u128, action: Action) -> Command {
    let (id, call) = (CommandId::from_random(number), CallId::from_random(number));
    Command { id, call, origin: Origin::User { id: 7 }, action }
}

fn give(gateway: &str, slot: CredentialSlot, sealed: String) -> Command {
    let sealed = Sealed::try_from(sealed).unwrap();
    command(50, Action::SetCredential { gateway: gateway.to_owned(), slot, sealed })
}

fn refused(reason: Refusal) -> CommandResult {
    CommandResult::Refused { reason }
}

fn keys_sent(asked: &Asked) -> Vec<String> {
    let bearer = |text: &String| {
        let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:")).unwrap();
        line.split(' ').next_back().unwrap().to_owned()
    };
    asked.lock().unwrap().iter().map(bearer).collect()
}

#[tokio::test]
async fn a_credential_is_sealed_on_its_way_and_on_the_disk_and_used_at_once_and_after_a_restart() {
    let folder = Folder::new();
    let (url, asked) = bank("").await;
    let text = of_office(&url);
    let first = world_of(&folder, &text, Some(founded(&folder).await)).await;
    let charger = &first.charger;
    let CommandResult::Gateways { seal_to, gateways } = charger.answer(&command(1, Action::Gateways)).await else {
        panic!()
    };
    let to = seal_to.unwrap();
    assert_eq!(gateways.iter().filter(|gateway| gateway.from_office).count(), 2);
    let seal = |gateway: &str, slot, plain: &str| seal_credential(&to, gateway, slot, plain.as_bytes()).unwrap();
    use CredentialSlot::{Key, WebhookKey};

    for (other, slot) in [("s", Key), ("g", WebhookKey)] {
        let elsewhere = give("g", Key, seal(other, slot, SECRET));
        assert_eq!(charger.answer(&elsewhere).await, refused(Refusal::NotSealed), "it is bound to its place");
    }
    let stranger = seal_credential(&"09".repeat(32), "g", Key, SECRET.as_bytes()).unwrap();
    assert_eq!(charger.answer(&give("g", Key, stranger)).await, refused(Refusal::NotSealed));
    let live = give("s", Key, seal("s", Key, "sk_live_of_real_money"));
    assert_eq!(charger.answer(&live).await, refused(Refusal::BadCredential), "this gateway is for tests");
    assert_eq!(charger.answer(&give("x", Key, seal("x", Key, SECRET))).await, refused(Refusal::UnknownGateway));
    assert_eq!(charger.answer(&give("own", Key, seal("own", Key, SECRET))).await, refused(Refusal::Unsupported));

    assert_eq!(charger.answer(&give("g", Key, seal("g", Key, &format!("{SECRET}\n")))).await, CommandResult::Done);
    assert!(matches!(pay(charger, Store::None).await, Outcome::Approved { .. }));
    assert_eq!(keys_sent(&asked), [SECRET]);
    let CommandResult::Gateways { gateways, .. } = charger.answer(&command(2, Action::Gateways)).await else {
        panic!()
    };
    let shown = &gateways.iter().find(|gateway| gateway.name == "g").unwrap().credentials[0];
    assert_eq!((shown.source, shown.set_by), (CredentialSource::Office, Some(7)));
    assert!(!format!("{gateways:?}").contains(SECRET));
    end(first).await;
    let kept = std::fs::read_dir(folder.0.join("credentials")).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = kept.collect();
    assert_eq!(kept.len(), 1, "what was refused is not kept: {kept:?}");
    assert!(!std::fs::read_to_string(&kept[0]).unwrap().contains(SECRET));

    let second = world_of(&folder, &text, Some(vault(&folder).await)).await;
    let (under_way, parcel) = begin(&second.charger, Store::None, 2).await;
    assert!(matches!(second.charger.carry(under_way, parcel).await, Outcome::Approved { .. }));
    assert_eq!(keys_sent(&asked), [SECRET; 2]);
}

#[test]
fn where_a_credential_comes_from_is_said_once() {
    cryptography();
    let problem = |of_gateway: &str, vault: &str| {
        let text =
            format!("{vault}[[gateway]]\nname = \"s\"\nadapter = \"stripe\"\nkey_from_office = true\n{of_gateway}\n");
        Config::parse(&text, Path::new("cde.toml")).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(problem("", "[vault]\n"), "");
    for more in ["key_file = \"k\"", "key_env = \"K\"", "webhook_key_file = \"k\""] {
        assert!(problem(more, "[vault]\n").contains("one of the two"), "{more}");
    }
    assert!(problem("", "").contains("needs a [vault]"));
}

/// A bank with an account for each key, which never answers a charge.
#[derive(Clone, Default)]
struct Accounts(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    /// Does it do what it is sent?
    charges: bool,
    /// By key and reference.
    charged: Vec<(String, String)>,
    revoked: Option<String>,
    /// By whom it was asked what became of a charge.
    asked_by: Vec<String>,
}

impl Accounts {
    async fn open(charges: bool) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accounts = Self(Arc::new(Mutex::new(Books { charges, ..Books::default() })));
        let books = Arc::clone(&accounts.0);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !is_whole(&request) {
                    let mut part = [0; 4096];
                    let length = stream.read(&mut part).await.unwrap();
                    request.extend_from_slice(&part[..length]);
                }
                let answer = books.lock().unwrap().answer(&String::from_utf8(request).unwrap());
                if let Some((status, body)) = answer {
                    let head =
                        format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _ = stream.write_all((head + &body).as_bytes()).await;
                }
            }
        });
        (accounts, url)
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }

    async fn asked_by(&self, key: &str) {
        let before = self.books().asked_by.len();
        // It is asked every ten seconds at last.
        for _ in 0..1_200 {
            if self.books().asked_by.iter().skip(before).any(|by| by == key) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody asked by {key}");
    }
}

impl Books {
    fn answer(&mut self, request: &str) -> Option<(u16, String)> {
        let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:")).unwrap();
        let key = line.split(' ').next_back().unwrap().to_owned();
        let Some(named) = request.split("by-reference/").nth(1) else {
            let reference = request.split("\"reference\":\"").nth(1).unwrap()[..36].to_owned();
            if self.charges {
                self.charged.push((key, reference));
            }
            return None;
        };
        let reference = named[..36].to_owned();
        self.asked_by.push(key.clone());
        if self.revoked.as_ref() == Some(&key) {
            return Some((401, r#"{"error":{"code":"unauthorized"}}"#.to_owned()));
        }
        if !self.charged.contains(&(key, reference.clone())) {
            return Some((404, r#"{"error":{"code":"no_such_charge"}}"#.to_owned()));
        }
        let money = r#""amount":1000,"currency":"GBP""#;
        Some((200, format!(r#"{{"id":"ch_1","reference":"{reference}","status":"approved",{money}}}"#)))
    }
}

const OLD: &str = "tw_test_old_account";
const NEW: &str = "tw_test_new_account";
/// Longer than the window of the sandbox.
const WINDOW_MS: i64 = 36_000;

async fn set(charger: &Charger, number: u128, key: &str) {
    let CommandResult::Gateways { seal_to, .. } = charger.answer(&command(number, Action::Gateways)).await else {
        panic!()
    };
    let sealed = seal_credential(&seal_to.unwrap(), "g", CredentialSlot::Key, key.as_bytes()).unwrap();
    assert_eq!(charger.answer(&give("g", CredentialSlot::Key, sealed)).await, CommandResult::Done);
}

async fn standing(charger: &Charger) -> Outcome {
    charger.journal.standing(AttemptId::from_random(1)).await.unwrap().unwrap()
}

/// A payment whose answer is lost, and then the key of another account.
async fn lost_and_rekeyed(folder: &Folder, url: &str) -> (World, tokio::task::JoinHandle<Outcome>) {
    let world = world_of(folder, &of_office(url), Some(founded(folder).await)).await;
    set(&world.charger, 60, OLD).await;
    let (under_way, parcel) = begin(&world.charger, Store::None, 1).await;
    let carrier = world.charger.clone();
    let carrying = tokio::spawn(async move { carrier.carry(under_way, parcel).await });
    let find = || world.charger.journal.find(AttemptId::from_random(1));
    while find().await.unwrap().is_none_or(|noted| noted.attempt.is_awaited) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    set(&world.charger, 61, NEW).await;
    (world, carrying)
}

/// What broke: the new account knew nothing of the charge, which was then taken for one that was never made.
#[tokio::test]
async fn what_one_account_was_sent_is_asked_of_that_account_after_another_ones_key_was_given() {
    let folder = Folder::new();
    let (accounts, url) = Accounts::open(true).await;
    let (_world, carrying) = lost_and_rekeyed(&folder, &url).await;
    clock::advance_ms(WINDOW_MS);
    assert!(matches!(carrying.await.unwrap(), Outcome::Approved { .. }));
    assert_eq!(accounts.books().asked_by.last().map(String::as_str), Some(OLD));
}

#[tokio::test]
async fn another_account_that_does_not_know_an_attempt_proves_nothing_and_people_may_say() {
    let folder = Folder::new();
    let (accounts, url) = Accounts::open(true).await;
    let (world, carrying) = lost_and_rekeyed(&folder, &url).await;
    let attempt = AttemptId::from_random(1);
    accounts.books().revoked = Some(OLD.to_owned());
    assert_eq!(alarms(&world.charger.journal).await, []);
    clock::advance_ms(WINDOW_MS);
    accounts.asked_by(NEW).await;
    accounts.asked_by(OLD).await;
    assert_eq!(standing(&world.charger).await, Outcome::Unknown);
    assert_eq!(alarms(&world.charger.journal).await, [(PaymentId(attempt.0), MoneyAlarm::NeedsPeople)]);
    assert_eq!(world.charger.command(&settle(attempt)).await, Ok(()));
    assert_eq!(carrying.await.unwrap(), Outcome::Abandoned, "nobody is asked any more");
}

#[tokio::test]
async fn after_a_restart_as_well_only_the_credential_that_sent_an_attempt_proves_that_there_is_none() {
    let folder = Folder::new();
    // It never came there.
    let (accounts, url) = Accounts::open(false).await;
    let (world, carrying) = lost_and_rekeyed(&folder, &url).await;
    carrying.abort();
    end(world).await;

    let second = world_of(&folder, &of_office(&url), Some(vault(&folder).await)).await;
    second.charger.clone().settle_left_over(i64::MAX).await;
    clock::advance_ms(WINDOW_MS);
    accounts.asked_by(NEW).await;
    accounts.asked_by(NEW).await;
    assert_eq!(standing(&second.charger).await, Outcome::Unknown);
    assert_eq!(alarms(&second.charger.journal).await.len(), 1);
    // Given again, it is the one that sent it.
    set(&second.charger, 62, OLD).await;
    accounts.asked_by(OLD).await;
    while standing(&second.charger).await == Outcome::Unknown {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(standing(&second.charger).await, Outcome::Abandoned);
}

/// Nobody was told of it, for as long as nobody gave one.
#[tokio::test]
async fn an_attempt_whose_gateway_never_gets_a_credential_is_brought_before_people() {
    let folder = Folder::new();
    let world = world_of(&folder, &of_office("http://127.0.0.1:9"), Some(founded(&folder).await)).await;
    let charger = &world.charger;
    charger.begin(super::row(1, None)).await.unwrap();
    charger.clone().settle_left_over(i64::MAX).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(alarms(&charger.journal).await, [], "it may come yet");
    clock::advance_ms(15 * 60 * 1000);
    let attempt = AttemptId::from_random(1);
    alarmed(&charger.journal, (PaymentId(attempt.0), MoneyAlarm::NeedsPeople)).await;
    assert_eq!(charger.command(&settle(attempt)).await, Ok(()));
    assert_eq!(standing(charger).await, Outcome::Abandoned);
}
