//! Cards that are kept: with the outcome, over deaths, and charged again.

use super::{Folder, approved, cryptography, event, is_whole};
use crate::charge::{Charger, Ended, LiveCalls, UnderWay};
use crate::config::Config;
use crate::credentials::Safe;
use crate::custody::{Cards, Custody, Source, close};
use crate::journal::{Journal, JournalError, NewAttempt, merchants_with_cards};
use aws_lc_rs::hmac;
use card::{Card, Cvv, Digit, Keyed};
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use vault::{Keyring, Tenant};
use wire::{
    Action, AttemptId, CallId, CaptureTime, Command, CommandId, Credential, Currency, Initiator, Keeper, Keeping,
    Money, MoneyAlarm, NotKept, Origin, Outcome, PaymentId, PaymentOrder, Reason, RecordBody, Refusal, Store,
    StoredCharge, Token,
};

const NUMBER: &str = "4242424242424242";
pub(super) const POUNDS: Money = Money { minor: 1_000, currency: Currency::GBP };
const NONE: Money = Money { minor: 0, currency: Currency::GBP };

/// What the bank is asked, whole.
pub(super) type Asked = Arc<Mutex<Vec<String>>>;

/// A bank that approves of everything; `more` stands in each answer to a charge.
pub(super) async fn bank(more: &'static str) -> (String, Asked) {
    bank_that_deletes(more, Arc::new(AtomicBool::new(true))).await
}

/// The same, whose answers about deletions are lost as long as it does not delete.
pub(super) async fn bank_that_deletes(more: &'static str, deletes: Arc<AtomicBool>) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, asked) = (listener.local_addr().unwrap(), Asked::default());
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                let mut part = [0; 4096];
                let length = stream.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..length]);
            }
            let text = String::from_utf8(request).unwrap();
            let named = text.split("\"reference\":\"").nth(1).or_else(|| text.split("by-reference/").nth(1));
            let reference = named.map_or("", |rest| &rest[..36]).to_owned();
            let charges = text.contains("/v1/charges");
            let (money, more) = if charges { (r#","amount":1000,"currency":"GBP""#, more) } else { ("", "") };
            let body = format!(r#"{{"id":"ch_1","reference":"{reference}","status":"approved"{money}{more}}}"#);
            let is_deletion = text.contains("/v1/deletions");
            log.lock().unwrap().push(text);
            if is_deletion && !deletes.load(Ordering::SeqCst) {
                continue;
            }
            let head = format!("HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    (format!("http://{at}"), asked)
}

pub(super) struct World {
    pub(super) charger: Charger,
    pub(super) told: mpsc::Receiver<Ended>,
}

pub(super) async fn vault(folder: &Folder) -> Arc<Cards> {
    std::fs::write(folder.0.join("pass"), "correct horse battery staple").unwrap();
    let (records, keys) = (folder.0.join("records"), folder.0.join("keys"));
    let custody = Custody { records, keys, source: Source::File(folder.0.join("pass")) };
    custody.init().unwrap();
    Arc::new(custody.open().await.unwrap())
}

pub(super) async fn world(folder: &Folder, url: &str, of_merchant: &str, vault: Option<Arc<Cards>>) -> World {
    let text = format!(
        "[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\nurl = \"{url}\"\n\
         [[merchant]]\nid = \"m\"\ngateway = \"g\"\n{of_merchant}\n[[merchant]]\nid = \"other\"\ngateway = \"g\"\n"
    );
    world_of(folder, &text, vault).await
}

pub(super) async fn world_of(folder: &Folder, text: &str, vault: Option<Arc<Cards>>) -> World {
    cryptography();
    let config = Config::parse(text, Path::new("cde.toml")).unwrap();
    let journal = Journal::open(&folder.0.join("journal.db")).await.unwrap();
    let (ended, told) = mpsc::channel(64);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"test");
    let live = LiveCalls::default();
    let safe = Safe::new(&folder.0, vault.clone(), key.clone());
    let given = crate::given(&config, &safe).await;
    let charger = Charger::new((&config, &folder.0), (vault, safe, &given), journal, key, live, ended).unwrap();
    World { charger, told }
}

/// Everything is on disk and nobody has the files any more.
pub(super) async fn end(world: World) {
    world.charger.journal.close().await;
    if let Some(cards) = &world.charger.vault {
        close(Some(cards)).await;
    }
}

pub(super) async fn founded(folder: &Folder) -> Arc<Cards> {
    let cards = vault(folder).await;
    cards.found(&Tenant::main()).await.unwrap();
    cards
}

fn keyed(text: &str) -> Keyed {
    let mut keyed = Keyed::new().unwrap();
    assert!(text.bytes().all(|byte| keyed.push(&Digit::new(byte - b'0').unwrap())));
    keyed
}

fn card() -> Card {
    let pan = card::Pan::parse(&keyed(NUMBER)).unwrap();
    let expiry = card::Expiry::parse(&keyed("1230"), card::YearMonth { year: 2026, month: 11 }).unwrap();
    Card { cvv: Some(Cvv::parse(&keyed("123"), Some(pan.brand())).unwrap()), pan, expiry }
}

fn order(store: Store) -> PaymentOrder {
    PaymentOrder {
        payment: PaymentId::from_random(7),
        amount: if store == Store::Only { NONE } else { POUNDS },
        merchant: "m".parse().unwrap(),
        fields: Vec::new(),
        store,
        purpose: Some(Reason::Recurring),
        capture: CaptureTime::Now,
        avs: None,
        partial: false,
    }
}

/// As the board begins an attempt, up to the disk.
pub(super) async fn begin(charger: &Charger, store: Store, number: u128) -> (UnderWay, crate::charge::Parcel) {
    let (order, card, attempt) = (order(store), card(), AttemptId::from_random(number));
    let sending = payment::Sending { card: &card, amount: order.amount, merchant: &order.merchant, order: &order };
    let built = charger.build(attempt, &order.merchant, &sending).ok().unwrap();
    let row = NewAttempt {
        credential: built.parcel.credential(),
        kind: built.operation.kind,
        payment: PaymentId::from_random(number),
        gateway: built.gateway.clone(),
        amount: order.amount,
        keep: built.keep.clone(),
        ..super::row(number, None)
    };
    let under_way = UnderWay::of(&row, built.operation);
    charger.begin(row).await.unwrap();
    (under_way, built.parcel)
}

pub(super) async fn pay(charger: &Charger, store: Store) -> Outcome {
    let (under_way, parcel) = begin(charger, store, 1).await;
    charger.carry(under_way, parcel).await
}

/// What the office learns, of each attempt's end and of cards, in order.
async fn learned(charger: &Charger) -> Vec<RecordBody> {
    let records = charger.journal.after(0).await.unwrap();
    let is_other = |body: &RecordBody| matches!(body, RecordBody::AttemptSent(_) | RecordBody::Audit(_));
    records.into_iter().map(|record| record.body).filter(|body| !is_other(body)).collect()
}

pub(super) async fn token(charger: &Charger) -> (Token, Keeper) {
    let kept = learned(charger).await.into_iter().find_map(|body| match body {
        RecordBody::CardKept { kept, .. } => Some((kept.token, kept.keeper)),
        _ => None,
    });
    kept.unwrap()
}

fn charge(number: u128, merchant: &str, token: &Token) -> Command {
    let credential = Credential {
        initiator: Initiator::Merchant,
        reason: Reason::Recurring,
        first: false,
        network_transaction_id: None,
    };
    let charge = StoredCharge {
        payment: PaymentId::from_random(100 + number),
        extension: "1001".parse().unwrap(),
        merchant: merchant.parse().unwrap(),
        token: token.clone(),
        amount: POUNDS,
        capture: CaptureTime::Now,
        credential,
    };
    command(number, Action::ChargeStored(charge))
}

pub(super) fn forget(number: u128, merchant: &str, token: &Token) -> Command {
    command(number, Action::DeleteStored { merchant: merchant.parse().unwrap(), token: token.clone() })
}

fn command(number: u128, action: Action) -> Command {
    let id = CommandId(AttemptId::from_random(number).0);
    Command { id, call: CallId::from_random(number), origin: Origin::System, action }
}

/// Waits for the end of the attempt that a command began.
pub(super) async fn outcome(charger: &Charger, number: u128) -> Outcome {
    for _ in 0..1_200 {
        match charger.journal.standing(AttemptId::from_random(number)).await.unwrap() {
            Some(outcome) if outcome.is_known() => return outcome,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("no end");
}

fn is_approved(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Approved { .. })
}

/// No file of the folder shows the number as text.
fn nowhere_in_the_clear(folder: &Path) {
    let mut looked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            nowhere_in_the_clear(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(NUMBER.len()).any(|window| window == NUMBER.as_bytes()), "{}", path.display());
        looked += 1;
    }
    assert!(looked > 0);
}

#[tokio::test]
async fn a_vaulted_card_is_charged_after_a_restart_flagged_and_without_a_code_until_it_is_forgotten() {
    let folder = Folder::new();
    let (url, asked) = bank(r#","network_transaction_id":"nt7""#).await;
    let cards = founded(&folder).await;
    let mut first = world(&folder, &url, "keep_cards = \"vault\"", Some(cards)).await;
    assert!(is_approved(&pay(&first.charger, Store::Token).await));
    let told = first.told.recv().await.unwrap();
    assert_eq!((is_approved(&told.outcome), told.kept), (true, Some(Keeping::Kept)));
    let (token, keeper) = token(&first.charger).await;
    assert_eq!(keeper, Keeper::Vault);
    let bodies = learned(&first.charger).await;
    assert!(matches!(bodies[..], [RecordBody::CardKept { .. }, RecordBody::AttemptEnded { .. }]), "{bodies:?}");
    assert!(!asked.lock().unwrap()[0].contains("\"store\":true"), "the vault alone has it");
    nowhere_in_the_clear(&folder.0);
    end(first).await;

    let World { charger, .. } = world(&folder, &url, "keep_cards = \"vault\"", Some(vault(&folder).await)).await;
    assert_eq!(charger.command(&charge(2, "other", &token)).await, Err(Refusal::UnknownToken), "another merchant's");
    assert_eq!(charger.command(&forget(2, "other", &token)).await, Err(Refusal::UnknownToken));
    charger.command(&charge(2, "m", &token)).await.unwrap();
    assert!(is_approved(&outcome(&charger, 2).await));
    charger.command(&charge(2, "m", &token)).await.unwrap();
    let forgotten = Command { id: CommandId(AttemptId::from_random(9).0), ..charge(2, "m", &token) };
    assert_eq!(
        charger.command(&forgotten).await,
        Err(Refusal::AlreadyApproved),
        "an office that forgot it learns of it"
    );
    let requests = asked.lock().unwrap().clone();
    assert_eq!(requests.len(), 2, "said again it is not done again, and what is refused is not sent");
    for part in [NUMBER, r#""channel":"merchant""#, r#""reason":"recurring""#, r#""network_transaction_id":"nt7""#] {
        assert!(requests[1].contains(part), "{part}");
    }
    assert!(requests[0].contains("cvv") && !requests[1].contains("cvv"));
    nowhere_in_the_clear(&folder.0);

    let keeping = async || merchants_with_cards(&folder.0.join("journal.db")).await.unwrap();
    assert_eq!(keeping().await, ["m"]);
    charger.command(&forget(3, "m", &token)).await.unwrap();
    assert_eq!(keeping().await, [""; 0]);
    assert_eq!(merchants_with_cards(&folder.0.join("none.db")).await.unwrap(), [""; 0], "there is no journal yet");
    charger.command(&forget(4, "m", &token)).await.unwrap();
    assert_eq!(charger.command(&charge(5, "m", &token)).await, Err(Refusal::UnknownToken));
    assert_eq!(charger.command(&forgotten).await, Err(Refusal::AlreadyApproved), "also of a card that is gone since");
    let gone = RecordBody::CardForgotten { merchant: "m".parse().unwrap(), token: token.clone(), by_hand: None };
    assert_eq!(learned(&charger).await.iter().filter(|body| **body == gone).count(), 1);
    assert!(!charger.vault.as_ref().unwrap().holds(&Tenant::main(), &token).await.unwrap());
}

/// What is left of a card when it is forgotten: ciphertext in a backup, and no key anywhere.
#[tokio::test]
async fn of_a_card_that_was_paid_with_and_forgotten_no_file_has_the_key_that_a_backup_would_need() {
    let folder = Folder::new();
    let (url, _) = bank("").await;
    let World { charger, .. } = world(&folder, &url, "keep_cards = \"vault\"", Some(founded(&folder).await)).await;
    assert!(is_approved(&pay(&charger, Store::Token).await));
    let (token, _) = token(&charger).await;
    let cards = charger.vault.as_ref().unwrap();
    cards.records().back_up(&folder.0.join("backup.db")).await.unwrap();
    let (key, _) = cards.keyring().record_key(&Tenant::main(), &token).await.unwrap().unwrap();
    let key = &key.wrapped[12..28];
    let stands = |key: &[u8]| {
        let shows = |path: &Path| std::fs::read(path).unwrap().windows(key.len()).any(|window| window == key);
        let files = ["records", "keys", ""].map(|part| folder.0.join(part));
        let files = files.iter().flat_map(|part| std::fs::read_dir(part).unwrap().map(|entry| entry.unwrap().path()));
        files.filter(|path| path.is_file()).filter(|path| shows(path)).count()
    };
    assert!(stands(key) > 0, "the control: while it is kept the key is found");
    charger.command(&forget(2, "m", &token)).await.unwrap();
    assert_eq!(stands(key), 0);
    assert!(folder.0.join("backup.db").exists());
    nowhere_in_the_clear(&folder.0);
}

#[tokio::test]
async fn a_vault_that_fails_changes_no_outcome_and_the_agent_is_told_that_the_card_is_not_kept() {
    let folder = Folder::new();
    let (url, _) = bank("").await;
    // Its tenant has no keys.
    let cards = vault(&folder).await;
    let mut world = world(&folder, &url, "", Some(cards)).await;
    assert!(is_approved(&pay(&world.charger, Store::Token).await));
    let told = world.told.recv().await.unwrap();
    assert_eq!((is_approved(&told.outcome), told.kept), (true, Some(Keeping::NotKept)));
    let bodies = learned(&world.charger).await;
    assert!(matches!(bodies[0], RecordBody::CardNotKept { why: NotKept::VaultFault, .. }), "{bodies:?}");
}

#[tokio::test]
async fn the_gateways_own_token_is_preferred_charged_and_forgotten_there() {
    let folder = Folder::new();
    let (url, asked) = bank(r#","token":"gw_1","network_transaction_id":"nt7""#).await;
    let World { charger, .. } = world(&folder, &url, "", Some(founded(&folder).await)).await;
    assert!(is_approved(&pay(&charger, Store::Token).await));
    let (token, keeper) = token(&charger).await;
    assert_eq!(keeper, Keeper::Gateway);
    assert!(!charger.vault.as_ref().unwrap().holds(&Tenant::main(), &token).await.unwrap());
    charger.command(&charge(2, "m", &token)).await.unwrap();
    assert!(is_approved(&outcome(&charger, 2).await));
    charger.command(&forget(3, "m", &token)).await.unwrap();
    assert!(is_approved(&outcome(&charger, 3).await));
    let requests = asked.lock().unwrap().clone();
    assert!(requests[0].contains("\"store\":true"));
    assert!(requests[1].contains(r#""token":"gw_1""#) && !requests[1].contains(NUMBER));
    assert!(requests[2].contains("/v1/deletions") && requests[2].contains(r#""token":"gw_1""#));
    assert_eq!(charger.command(&charge(4, "m", &token)).await, Err(Refusal::UnknownToken));
    assert_eq!(told_of_forgetting(&charger).await, ["forgetting", "forgotten"]);
}

/// What the office learns of cards that go.
async fn told_of_forgetting(charger: &Charger) -> Vec<&'static str> {
    let word = |body| match body {
        RecordBody::CardForgetting { .. } => Some("forgetting"),
        RecordBody::CardForgotten { .. } => Some("forgotten"),
        _ => None,
    };
    learned(charger).await.into_iter().filter_map(word).collect()
}

/// It said so before the gateway had answered, and asked nobody again where that answer never came.
#[tokio::test]
async fn a_card_is_forgotten_when_its_gateway_says_so_also_over_a_death_and_is_not_charged_meanwhile() {
    let folder = Folder::new();
    let deletes = Arc::new(AtomicBool::new(false));
    let (url, asked) = bank_that_deletes(r#","token":"gw_1""#, Arc::clone(&deletes)).await;
    let first = world(&folder, &url, "keep_cards = \"gateway\"", None).await;
    assert!(is_approved(&pay(&first.charger, Store::Token).await));
    let (token, _) = token(&first.charger).await;
    let deletions = || asked.lock().unwrap().iter().filter(|text| text.starts_with("POST /v1/deletions")).count();
    for number in [3, 4] {
        first.charger.command(&forget(number, "m", &token)).await.unwrap();
    }
    while deletions() < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(first.charger.command(&charge(5, "m", &token)).await, Err(Refusal::UnknownToken));
    assert_eq!(told_of_forgetting(&first.charger).await, ["forgetting"]);
    assert_eq!(first.charger.journal.standing(AttemptId::from_random(3)).await.unwrap(), Some(Outcome::Unknown));
    end(first).await;

    let World { charger, .. } = world(&folder, &url, "keep_cards = \"gateway\"", None).await;
    let before = deletions();
    charger.clone().settle_left_over(i64::MAX).await;
    while deletions() <= before {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told_of_forgetting(&charger).await, ["forgetting"]);
    assert_eq!(charger.command(&charge(5, "m", &token)).await, Err(Refusal::UnknownToken), "nor after a restart");
    deletes.store(true, Ordering::SeqCst);
    assert!(is_approved(&outcome(&charger, 3).await), "the same attempt is sent again");
    assert_eq!(told_of_forgetting(&charger).await, ["forgetting", "forgotten"]);
    let bodies = learned(&charger).await;
    assert!(matches!(bodies[bodies.len() - 2..], [RecordBody::CardForgotten { .. }, RecordBody::AttemptEnded { .. }]));
    assert!(charger.journal.being_forgotten(0).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn a_card_that_a_gateway_does_not_delete_is_brought_before_people() {
    let folder = Folder::new();
    let (url, asked) = bank_that_deletes(r#","token":"gw_1""#, Arc::new(AtomicBool::new(false))).await;
    let World { charger, .. } = world(&folder, &url, "keep_cards = \"gateway\"", None).await;
    assert!(is_approved(&pay(&charger, Store::Token).await));
    let (token, _) = token(&charger).await;
    charger.command(&forget(3, "m", &token)).await.unwrap();
    let alarm = (PaymentId::from_random(1), MoneyAlarm::NotForgotten);
    for _ in 0..400 {
        if super::alarms(&charger.journal).await.contains(&alarm) {
            // Twice as long as the longest pause before.
            let so_far = asked.lock().unwrap().len();
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(asked.lock().unwrap().len(), so_far, "then once a day");
            assert_eq!(charger.journal.deletions(&token).await.unwrap().0, 1, "one attempt, whose answer is lost");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody is told");
}

fn by_hand(number: u128, token: &Token, (said_by, confirmed_by): (i64, i64)) -> Command {
    let action = Action::DeletedByHand { merchant: "m".parse().unwrap(), token: token.clone(), proposed_by: said_by };
    Command { origin: Origin::User { id: confirmed_by }, ..command(number, action) }
}

/// What the office learns of who says that a card is gone.
async fn said_to_be_forgotten(charger: &Charger) -> Vec<Option<wire::ByHand>> {
    let said = |body| if let RecordBody::CardForgotten { by_hand, .. } = body { Some(by_hand) } else { None };
    learned(charger).await.into_iter().filter_map(said).collect()
}

/// Deletions were sent so much later than they were.
async fn sent_later(folder: &Folder, by_ms: i64) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.0.join("journal.db"));
    let mut stranger = options.connect().await.unwrap();
    let later = "UPDATE attempt SET sent_unix_ms = sent_unix_ms + ? WHERE kind = 'delete_stored'";
    let moved = sqlx::query(later).bind(by_ms).execute(&mut stranger).await.unwrap();
    assert_eq!(moved.rows_affected(), 1, "one attempt, whose answers are lost");
    stranger.close().await.unwrap();
}

/// It stays at a gateway that does not delete it, and nothing said so but a log line each day.
#[tokio::test]
async fn two_people_and_not_one_say_that_a_card_was_deleted_by_hand_once_its_gateway_was_asked_in_vain() {
    let folder = Folder::new();
    let deletes = Arc::new(AtomicBool::new(false));
    let (url, asked) = bank_that_deletes(r#","token":"gw_1""#, Arc::clone(&deletes)).await;
    let first = world(&folder, &url, "keep_cards = \"gateway\"", None).await;
    assert!(is_approved(&pay(&first.charger, Store::Token).await));
    let (token, _) = token(&first.charger).await;
    let says = async |charger: &Charger, number, who| charger.command(&by_hand(number, &token, who)).await;
    assert_eq!(says(&first.charger, 11, (1, 2)).await, Err(Refusal::NotForgetting), "it can still be charged");
    let strange = Token::from_random(&[3; Token::BYTES]).unwrap();
    assert_eq!(first.charger.command(&by_hand(11, &strange, (1, 2))).await, Err(Refusal::UnknownToken));
    first.charger.command(&forget(3, "m", &token)).await.unwrap();
    // However long this machine takes: it was asked just now.
    while first.charger.journal.deletions(&token).await.unwrap().0 == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sent_later(&folder, 3_600_000).await;
    assert_eq!(says(&first.charger, 12, (1, 2)).await, Err(Refusal::GatewayIsAsked), "it may still say it itself");
    sent_later(&folder, -3_600_000).await;
    let alarm = (PaymentId::from_random(1), MoneyAlarm::NotForgotten);
    while !super::alarms(&first.charger.journal).await.contains(&alarm) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(says(&first.charger, 13, (2, 2)).await, Err(Refusal::TwoPeople));
    let alone = Command { origin: Origin::System, ..by_hand(14, &token, (1, 2)) };
    assert_eq!(first.charger.command(&alone).await, Err(Refusal::TwoPeople));
    assert_eq!(said_to_be_forgotten(&first.charger).await, [], "so far nobody has said so");
    for number in [15, 15, 16] {
        assert_eq!(says(&first.charger, number, (1, 2)).await, Ok(()));
    }
    let said = wire::ByHand { said_by: 1, confirmed_by: 2 };
    let told = said_to_be_forgotten(&first.charger).await;
    assert_eq!(told, [Some(said); 3], "each time somebody says so, and not as the gateway's word");
    let standing = first.charger.journal.standing(AttemptId::from_random(3)).await.unwrap();
    assert_eq!(standing, Some(Outcome::Unknown), "what the gateway made of the attempt is not known by that");
    assert_eq!(first.charger.command(&charge(5, "m", &token)).await, Err(Refusal::UnknownToken));
    end(first).await;

    let so_far = asked.lock().unwrap().len();
    let World { charger, .. } = world(&folder, &url, "keep_cards = \"gateway\"", None).await;
    deletes.store(true, Ordering::SeqCst);
    charger.clone().settle_left_over(i64::MAX).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(asked.lock().unwrap().len(), so_far, "nor is it asked after a restart");
    assert_eq!(said_to_be_forgotten(&charger).await, [Some(said); 3]);
}

/// An office that asks does not know that the card is gone: it was answered that all is done, and waited for a record that it never got.
#[tokio::test]
async fn that_a_card_is_gone_is_told_once_more_to_an_office_whose_people_still_say_so() {
    let folder = Folder::new();
    let (url, _) = bank_that_deletes(r#","token":"gw_1""#, Arc::new(AtomicBool::new(true))).await;
    let World { charger, .. } = world(&folder, &url, "keep_cards = \"gateway\"", None).await;
    assert!(is_approved(&pay(&charger, Store::Token).await));
    let (token, _) = token(&charger).await;
    charger.command(&forget(3, "m", &token)).await.unwrap();
    while said_to_be_forgotten(&charger).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(charger.command(&by_hand(11, &token, (1, 2))).await, Ok(()));
    assert_eq!(said_to_be_forgotten(&charger).await, [None, None], "the gateway's word, which stands");
}

/// It was a line in a log: no bank was asked, and the same is tried again for as long as the payment may be late.
#[tokio::test]
async fn a_card_that_another_account_has_is_brought_before_people_and_one_that_is_not_charged_otherwise_is_not() {
    for is_other in [true, false] {
        let folder = Folder::new();
        let (url, _) = bank(r#","token":"gw_1""#).await;
        let first = world(&folder, &url, "keep_cards = \"gateway\"", None).await;
        assert!(is_approved(&pay(&first.charger, Store::Token).await));
        let (token, _) = token(&first.charger).await;
        end(first).await;
        if is_other {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.0.join("journal.db"));
            let mut stranger = options.connect().await.unwrap();
            sqlx::query("UPDATE attempt SET credential = 'another'").execute(&mut stranger).await.unwrap();
        }
        let World { charger, .. } = world(&folder, &without_tokens().await, "keep_cards = \"gateway\"", None).await;
        charger.command(&charge(2, "m", &token)).await.unwrap();
        assert_eq!(outcome(&charger, 2).await, Outcome::Rejected, "no decline, which networks would count");
        let alarm = (PaymentId::from_random(102), MoneyAlarm::OtherAccount);
        let mut is_raised = false;
        for _ in 0..if is_other { 200 } else { 10 } {
            is_raised |= super::alarms(&charger.journal).await.contains(&alarm);
            tokio::time::sleep(Duration::from_millis(if is_raised { 0 } else { 50 })).await;
        }
        assert_eq!(is_raised, is_other);
    }
}

/// An account that has no token that it is asked for.
async fn without_tokens() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                let mut part = [0; 4096];
                let length = stream.read(&mut part).await.unwrap();
                request.extend_from_slice(&part[..length]);
            }
            let body = r#"{"error":{"code":"no_such_token"}}"#;
            let head = format!("HTTP/1.1 400 x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes()).await;
        }
    });
    url
}

/// A gateway that is not in the file any more can say nothing: nobody waits for it.
#[tokio::test]
async fn a_card_of_a_gateway_that_is_gone_is_said_to_be_deleted_at_once() {
    let folder = Folder::new();
    let (url, _) = bank_that_deletes(r#","token":"gw_1""#, Arc::new(AtomicBool::new(false))).await;
    let first = world(&folder, &url, "keep_cards = \"gateway\"", None).await;
    assert!(is_approved(&pay(&first.charger, Store::Token).await));
    let (token, _) = token(&first.charger).await;
    end(first).await;
    let text = format!(
        "[[gateway]]\nname = \"new\"\nadapter = \"sandbox\"\nurl = \"{url}\"\n[[merchant]]\nid = \"m\"\ngateway = \"new\"\n"
    );
    let World { charger, .. } = world_of(&folder, &text, None).await;
    charger.command(&forget(3, "m", &token)).await.unwrap();
    assert_eq!(charger.command(&by_hand(11, &token, (1, 2))).await, Ok(()));
    assert_eq!(said_to_be_forgotten(&charger).await, [Some(wire::ByHand { said_by: 1, confirmed_by: 2 })]);
}

/// After a death between approval and end: whatever the vault has is told of, and nothing else.
#[tokio::test]
async fn a_death_between_approval_and_the_journal_loses_no_token_and_invents_none() {
    for is_stored in [true, false] {
        let folder = Folder::new();
        let (url, _) = bank("").await;
        let first = world(&folder, &url, "", Some(founded(&folder).await)).await;
        let (under_way, _parcel) = begin(&first.charger, Store::Token, 1).await;
        let keep = under_way.keep.clone().unwrap();
        if is_stored {
            let (pan, expiry) = card().to_be_kept().unwrap();
            let cards = first.charger.vault.as_ref().unwrap();
            cards.store_as(0, (&Tenant::main(), &keep.token), (&pan, &expiry), None).await.unwrap();
        }
        end(first).await;
        let mut second = world(&folder, &url, "", Some(vault(&folder).await)).await;
        let newest = second.charger.journal.newest_attempt().await.unwrap();
        second.charger.clone().settle_left_over(newest).await;
        assert!(is_approved(&outcome(&second.charger, 1).await));
        let told = [second.told.recv().await.unwrap(), second.told.recv().await.unwrap()];
        assert_eq!(told[0].outcome, Outcome::Unknown);
        let (expected, bodies) =
            (if is_stored { Keeping::Kept } else { Keeping::NotKept }, learned(&second.charger).await);
        assert_eq!(told[1].kept, Some(expected));
        let is_told = bodies.iter().any(|body| match body {
            RecordBody::CardKept { kept, .. } => is_stored && kept.token == keep.token,
            RecordBody::CardNotKept { why, .. } => !is_stored && *why == NotKept::CardGone,
            _ => false,
        });
        assert!(is_told, "{bodies:?}");
        if is_stored {
            second.charger.command(&charge(2, "m", &keep.token)).await.unwrap();
            assert!(is_approved(&outcome(&second.charger, 2).await));
        }
        nowhere_in_the_clear(&folder.0);
    }
}

/// A webhook may say "approved" while the answer is still on its way: it has no token, and must come again.
#[tokio::test]
async fn a_webhook_that_overtakes_the_answer_is_to_come_again_and_takes_no_card_away() {
    let folder = Folder::new();
    let (url, _) = bank("").await;
    let World { charger, .. } = world(&folder, &url, "keep_cards = \"vault\"", Some(founded(&folder).await)).await;
    let (under_way, parcel) = begin(&charger, Store::Token, 1).await;
    let keep = under_way.keep.clone().unwrap();
    let attempt = Some(under_way.operation.attempt);
    let early = charger.told("g", event(attempt, approved_of_ten())).await;
    assert!(matches!(early, Err(JournalError::AnswerAwaited)), "{early:?}");
    assert!(is_approved(&charger.carry(under_way, parcel).await));
    assert!(matches!(learned(&charger).await[0], RecordBody::CardKept { .. }));
    assert!(charger.vault.as_ref().unwrap().holds(&Tenant::main(), &keep.token).await.unwrap());
    charger.told("g", event(attempt, approved_of_ten())).await.unwrap();
}

/// A process died between the vault and the journal, and the attempt then ends without its card.
#[tokio::test]
async fn a_card_that_was_vaulted_for_an_attempt_that_ends_without_it_does_not_stay() {
    for is_declined in [true, false] {
        let folder = Folder::new();
        let (url, _) = bank("").await;
        let World { charger, .. } = world(&folder, &url, "keep_cards = \"vault\"", Some(founded(&folder).await)).await;
        let (under_way, _parcel) = begin(&charger, Store::Token, 1).await;
        let keep = under_way.keep.clone().unwrap();
        let (pan, expiry) = card().to_be_kept().unwrap();
        let cards = charger.vault.as_ref().unwrap();
        cards.store_as(0, (&Tenant::main(), &keep.token), (&pan, &expiry), None).await.unwrap();
        charger.end(&under_way, &gateway::Answer::UNKNOWN).await;
        assert!(cards.holds(&Tenant::main(), &keep.token).await.unwrap(), "it may still be approved");
        let answer = if is_declined { gateway::Answer::Rejected } else { gateway::Answer::Abandoned };
        charger.end(&under_way, &answer).await;
        assert!(!cards.holds(&Tenant::main(), &keep.token).await.unwrap());
    }
}

/// What two people say of an attempt that was sent with another credential goes for its card as well.
#[tokio::test]
async fn a_card_of_an_attempt_that_people_say_was_not_done_does_not_stay_and_of_one_that_was_it_does() {
    for found in [wire::Found::NotDone, wire::Found::Done] {
        let folder = Folder::new();
        let (url, _) = bank("").await;
        let World { charger, .. } = world(&folder, &url, "keep_cards = \"vault\"", Some(founded(&folder).await)).await;
        let (under_way, _parcel) = begin(&charger, Store::Token, 1).await;
        let (attempt, keep) = (under_way.operation.attempt, under_way.keep.clone().unwrap());
        let (pan, expiry) = card().to_be_kept().unwrap();
        let cards = charger.vault.as_ref().unwrap();
        cards.store_as(0, (&Tenant::main(), &keep.token), (&pan, &expiry), None).await.unwrap();
        charger.end(&under_way, &gateway::Answer::UNKNOWN).await;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.0.join("journal.db"));
        let mut stranger = options.connect().await.unwrap();
        sqlx::query("UPDATE attempt SET credential = 'another'").execute(&mut stranger).await.unwrap();
        let mut said = super::settle(attempt);
        if let Action::Settle { found: of, .. } = &mut said.action {
            *of = found;
        }
        assert!(cards.holds(&Tenant::main(), &keep.token).await.unwrap());
        assert_eq!(charger.command(&said).await, Ok(()));
        let is_done = found == wire::Found::Done;
        assert_eq!(cards.holds(&Tenant::main(), &keep.token).await.unwrap(), is_done);
        let is_told = learned(&charger).await.iter().any(|body| matches!(body, RecordBody::CardKept { .. }));
        assert_eq!(is_told, is_done);
    }
}

fn approved_of_ten() -> gateway::Says {
    match approved() {
        gateway::Says::Ended { kind, answer: gateway::Answer::Approved(approval) } => {
            let approval = gateway::Approval { amount: Some(POUNDS), ..approval };
            gateway::Says::Ended { kind, answer: gateway::Answer::Approved(approval) }
        }
        other => other,
    }
}

#[tokio::test]
async fn a_card_is_kept_by_the_vault_alone_without_asking_anybody_also_over_a_death() {
    let folder = Folder::new();
    let (url, asked) = bank("").await;
    let first = world(&folder, &url, "keep_cards = \"vault\"", Some(founded(&folder).await)).await;
    let (under_way, parcel) = begin(&first.charger, Store::Only, 1).await;
    let keep = under_way.keep.clone().unwrap();
    // It dies before it has done anything.
    drop(parcel);
    end(first).await;
    let second = world(&folder, &url, "keep_cards = \"vault\"", Some(vault(&folder).await)).await;
    let newest = second.charger.journal.newest_attempt().await.unwrap();
    second.charger.clone().settle_left_over(newest).await;
    assert_eq!(outcome(&second.charger, 1).await, Outcome::Abandoned);
    end(second).await;

    let other = Folder::new();
    let mut world = world(&other, &url, "keep_cards = \"vault\"", Some(founded(&other).await)).await;
    assert!(is_approved(&pay(&world.charger, Store::Only).await));
    assert_eq!(world.told.recv().await.unwrap().kept, Some(Keeping::Kept));
    assert_ne!(token(&world.charger).await.0, keep.token);
    assert!(asked.lock().unwrap().is_empty(), "nobody was asked");
}

/// As many as one page holds was all that was ever followed.
#[tokio::test]
async fn every_unknown_is_settled_however_many_there_are() {
    const MANY: u128 = 1_100;
    let folder = Folder::new();
    let (url, _) = bank("").await;
    let World { charger, mut told } = world(&folder, &url, "", None).await;
    tokio::spawn(async move { while told.recv().await.is_some() {} });
    for number in 1..=MANY {
        charger.begin(NewAttempt { amount: POUNDS, ..super::row(number, None) }).await.unwrap();
    }
    let newest = charger.journal.newest_attempt().await.unwrap();
    charger.clone().settle_left_over(newest).await;
    let mut open = usize::MAX;
    for _ in 0..600 {
        open = charger.journal.open_attempts((0, newest)).await.unwrap().0.len();
        if open == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(open, 0);
}
