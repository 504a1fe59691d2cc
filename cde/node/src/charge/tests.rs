mod credentials;
mod keeping;
mod left_over;
mod reports;

use super::*;
use crate::inbound::{Caller, Works};
use crate::samples::{Folder, cryptography};
use gateway::pay_connector::incoming;
use gateway::{Approval, GatewayEvent, Says};
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const BODY: &str = r#"{"method":"charge","transaction_id":"T1","cardnumber":"4111111111111111","cvv":"123",
    "amount":"10.0","currency_code":"USD","expiry_month":"08","expiry_year":"27"}"#;

/// A gateway that answers by what was asked and for which attempt; none is a broken answer.
async fn bank(answer: fn(&str, &str) -> Option<(u16, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
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
            let line = text.lines().next().unwrap();
            let reference = text.split("\"reference\":\"").nth(1).map_or("", |rest| &rest[..36]);
            if let Some((status, body)) = answer(line, reference) {
                let head =
                    format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
        }
    });
    format!("http://{at}")
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

async fn charger(folder: &Folder, url: &str, of_merchant: &str) -> Charger {
    cryptography();
    let text = format!(
        "[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\nurl = \"{url}\"\n\
         [[merchant]]\nid = \"m\"\ngateway = \"g\"\n{of_merchant}\n"
    );
    let config = Config::parse(&text, Path::new("cde.toml")).unwrap();
    let journal = Journal::open(&folder.0.join("journal.db")).await.unwrap();
    let (ended, mut told) = mpsc::channel(8);
    tokio::spawn(async move { while told.recv().await.is_some() {} });
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"test");
    let safe = Safe::new(&folder.0, None, key.clone());
    let custody = (None, safe, &BTreeMap::new());
    Charger::new((&config, &folder.0), custody, journal, key, LiveCalls::default(), ended).unwrap()
}

async fn charge(charger: &Charger) -> Outcome {
    let caller = Caller::sample("twilio", "m");
    let incoming = incoming::read(&caller.name, BODY.as_bytes(), charger.today()).ok().unwrap();
    charger.charge(&caller, incoming).await
}

fn wrong_cvv(line: &str, reference: &str) -> Option<(u16, String)> {
    let (noun, more) = if line.contains("/charges ") {
        ("ch_1", r#","amount":1000,"currency":"USD","cvv":"no_match""#)
    } else {
        ("vo_1", r#","amount":1000,"currency":"USD""#)
    };
    Some((200, format!(r#"{{"id":"{noun}","reference":"{reference}","status":"approved"{more}}}"#)))
}

#[tokio::test]
async fn who_charges_through_us_is_never_told_of_an_approval_that_goes_back() {
    let folder = Folder::new();
    let url = bank(wrong_cvv).await;
    let declined = Outcome::Declined { class: DeclineClass::WrongCvv, network_code: None };
    let first = charger(&folder, &url, "checks = { cvv_no_match = \"void\" }").await;
    assert_eq!(charge(&first).await, declined);
    first.journal.close().await;
    let second = charger(&folder, &url, "").await;
    assert_eq!(charge(&second).await, declined, "after a restart");
}

fn no_such_charge(_line: &str, _reference: &str) -> Option<(u16, String)> {
    Some((404, r#"{"error":{"code":"no_such_charge"}}"#.to_owned()))
}

#[tokio::test]
async fn after_a_restart_a_gateway_has_its_whole_window_before_it_proves_that_there_is_no_charge() {
    let folder = Folder::new();
    let broken = bank(|_, _| None).await;
    let first = charger(&folder, &broken, "").await;
    let carrying = first.clone();
    let begun = tokio::spawn(async move { charge(&carrying).await });
    let attempt = loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(open) = first.journal.open_attempts((0, i64::MAX)).await.unwrap().0.first() {
            break open.operation.attempt;
        }
    };
    begun.abort();
    first.journal.close().await;
    let file = folder.0.join("journal.db");
    let mut stranger = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    // An hour ago, by its first request.
    sqlx::query("UPDATE attempt SET sent_unix_ms = sent_unix_ms - 3600000").execute(&mut stranger).await.unwrap();
    stranger.close().await.unwrap();
    let second = charger(&folder, &bank(no_such_charge).await, "").await;
    second.clone().settle_left_over(i64::MAX).await;
    // It is asked after half a second, and a second after that.
    tokio::time::sleep(Duration::from_millis(1_800)).await;
    assert_eq!(second.journal.standing(attempt).await.unwrap(), Some(Outcome::Unknown));
}

fn row(number: u128, locator: Option<&str>) -> NewAttempt {
    let attempt = AttemptId::from_random(number);
    NewAttempt {
        attempt,
        kind: Kind::Authorize,
        payment: PaymentId(attempt.0),
        call: CallId(attempt.0),
        extension: "1001".parse().unwrap(),
        origin: Origin::System,
        merchant: "m".parse().unwrap(),
        deadline_ms: 1,
        gateway: "g".to_owned(),
        amount: wire::Money { minor: 100, currency: wire::Currency::GBP },
        later: false,
        follows: None,
        last: false,
        card: None,
        digest: String::new(),
        locator: locator.map(str::to_owned),
        keep: None,
        token: None,
        credential: None,
        reference: None,
    }
}

/// An attempt that a person said was not done, at gateway `g`.
async fn abandoned(charger: &Charger) -> AttemptId {
    let row = row(1, Some("psp"));
    let attempt = row.attempt;
    charger.journal.begin(row).await.unwrap();
    charger.journal.end(attempt, Ending::of(Outcome::Abandoned)).await.unwrap();
    attempt
}

async fn alarms(journal: &Journal) -> Vec<(PaymentId, MoneyAlarm)> {
    let records = journal.after(0).await.unwrap().into_iter();
    let alarm = |record: wire::Record| match record.body {
        wire::RecordBody::Audit(AuditEvent { action: AuditAction::Money { payment, alarm }, .. }) => {
            Some((payment, alarm))
        }
        _ => None,
    };
    records.filter_map(alarm).collect()
}

/// Waits until people have been told, which may take a while on a machine with much else to do.
async fn alarmed(journal: &Journal, alarm: (PaymentId, MoneyAlarm)) {
    for _ in 0..3_000 {
        if alarms(journal).await.contains(&alarm) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody is told of {alarm:?}");
}

fn event(attempt: Option<AttemptId>, says: Says) -> GatewayEvent {
    GatewayEvent { id: "e".to_owned(), attempt, locator: Some("psp".to_owned()), says }
}

fn approved() -> Says {
    let amount = Some(wire::Money { minor: 100, currency: wire::Currency::GBP });
    let approval = Approval {
        auth_code: String::new(),
        gateway_ref: "psp".to_owned(),
        amount,
        network_transaction_id: None,
        checks: wire::Checks::default(),
        token: None,
    };
    Says::Ended { kind: Kind::Authorize, answer: Answer::Approved(approval) }
}

#[tokio::test]
async fn what_a_gateway_says_against_what_is_written_is_brought_before_people() {
    let folder = Folder::new();
    let charger = charger(&folder, "http://127.0.0.1:9", "").await;
    let attempt = abandoned(&charger).await;
    let stranger = Some(AttemptId::from_random(2));
    let told = [
        ("g", event(None, approved())),
        ("elsewhere", event(Some(attempt), approved())),
        ("g", event(Some(attempt), Says::Disputed)),
        ("g", event(None, Says::Undone { kind: Kind::Authorize })),
        ("g", event(Some(attempt), Says::Changed)),
        ("g", event(None, Says::Undone { kind: Kind::Refund })),
        ("elsewhere", event(stranger, Says::Disputed)),
    ];
    // Each comes three times, also from another run of this process; people are told once.
    for _ in 0..3 {
        for (number, (gateway, event)) in told.iter().enumerate() {
            let event = GatewayEvent { id: format!("evt_{number}"), ..event.clone() };
            charger.told(gateway, event).await.unwrap();
        }
    }
    charger.journal.close().await;
    let expected = [MoneyAlarm::EndedOtherwise, MoneyAlarm::EndedOtherwise, MoneyAlarm::Disputed, MoneyAlarm::Undone];
    let payment = PaymentId(attempt.0);
    assert_eq!(alarms(&charger.journal).await, expected.map(|alarm| (payment, alarm)));
}

#[tokio::test]
async fn without_a_journal_that_can_be_read_the_gateway_must_say_it_again() {
    let folder = Folder::new();
    let charger = charger(&folder, "http://127.0.0.1:9", "").await;
    let file = folder.0.join("journal.db");
    let mut stranger = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    sqlx::query("ALTER TABLE attempt RENAME TO gone").execute(&mut stranger).await.unwrap();
    assert!(charger.told("g", event(None, approved())).await.is_err());
}

fn settle(attempt: AttemptId) -> wire::Command {
    wire::Command {
        id: wire::CommandId(uuid::Uuid::now_v7()),
        call: CallId(attempt.0),
        origin: Origin::User { id: 2 },
        action: wire::Action::Settle {
            payment: PaymentId(attempt.0),
            attempt,
            found: wire::Found::NotDone,
            proposed_by: 1,
        },
    }
}

/// An office with a new database comes to the door, and no record is there any more; what it is told by then is taken.
async fn office_forgets(journal: &Journal, file: &Path) {
    let newest = *journal.newest().borrow();
    journal.acknowledge(newest).await;
    let mut stranger = sqlx::sqlite::SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    sqlx::query("DELETE FROM record").execute(&mut stranger).await.unwrap();
    stranger.close().await.unwrap();
    journal.office_has(0).await.unwrap();
    let is_restored = |record: &wire::Record| matches!(record.body, wire::RecordBody::OfficeRestored(_));
    let next = loop {
        let records = journal.after(newest).await.unwrap();
        let place = records.iter().position(is_restored).unwrap();
        if let Some(next) = records.into_iter().nth(place + 1) {
            break next;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(matches!(next.body, wire::RecordBody::Audit(_)), "after the attempts: {next:?}");
}

#[tokio::test]
async fn people_are_asked_of_what_a_gateway_has_only_when_its_webhook_has_not_come_for_hours() {
    cryptography();
    let folder = Folder::new();
    std::fs::write(folder.0.join("key"), "AQE-of-the-test-account").unwrap();
    std::fs::write(folder.0.join("hmac"), "00112233445566778899aabbccddeeff").unwrap();
    let text = "[[gateway]]\nname = \"g\"\nadapter = \"adyen\"\nurl = \"https://checkout-test.adyen.com\"\n\
                merchant_account = \"Shop\"\nkey_file = \"key\"\nwebhook_key_file = \"hmac\"\n\
                [[merchant]]\nid = \"m\"\ngateway = \"g\"\n";
    let config = Config::parse(text, Path::new("cde.toml")).unwrap();
    let file = folder.0.join("journal.db");
    let (journal, (ended, _told)) = (Journal::open(&file).await.unwrap(), mpsc::channel(8));
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"test");
    let custody = (None, Safe::new(&folder.0, None, key.clone()), &BTreeMap::new());
    let charger = Charger::new((&config, &folder.0), custody, journal, key, LiveCalls::default(), ended).unwrap();
    let (received, lost) = (row(1, Some("psp")), row(2, None));
    let ids = [received.attempt, lost.attempt];
    charger.journal.begin(received).await.unwrap();
    charger.journal.begin(lost).await.unwrap();
    tokio::spawn(charger.clone().tell_of_people_again());
    charger.clone().settle_left_over(i64::MAX).await;
    let alarm = (PaymentId(ids[1].0), MoneyAlarm::NeedsPeople);
    alarmed(&charger.journal, alarm).await;
    assert_eq!(alarms(&charger.journal).await, [alarm]);
    office_forgets(&charger.journal, &file).await;
    assert_eq!(alarms(&charger.journal).await, [alarm], "said again where the office has just learned of the payment");
    assert_eq!(charger.command(&settle(ids[0])).await, Err(Refusal::GatewayIsAsked));
    assert_eq!(charger.command(&settle(ids[1])).await, Ok(()));
    let mut stranger = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    sqlx::query("UPDATE attempt SET sent_unix_ms = sent_unix_ms - 21600000").execute(&mut stranger).await.unwrap();
    stranger.close().await.unwrap();
    alarmed(&charger.journal, (PaymentId(ids[0].0), MoneyAlarm::NeedsPeople)).await;
    assert_eq!(charger.command(&settle(ids[0])).await, Ok(()));
}
