use super::*;
use crate::samples::Folder;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::DeclineClass;

const BODY: &str = r#"{"method":"charge","transaction_id":"T1","cardnumber":"4111111111111111","cvv":"123",
    "amount":"10.0","currency_code":"USD","expiry_month":"08","expiry_year":"27"}"#;

/// Counts charges, and answers after a while.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Works for Counting {
    async fn charge(&self, _caller: &Caller, incoming: Incoming) -> Outcome {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(100)).await;
        match incoming.amount.minor {
            1_000 => Outcome::Approved {
                auth_code: String::new(),
                gateway_ref: "ch_1".to_owned(),
                amount: incoming.amount,
                checks: wire::Checks::default(),
            },
            2_000 => Outcome::Unknown,
            _ => Outcome::Declined { class: DeclineClass::DoNotHonor, network_code: None },
        }
    }

    async fn webhook(&self, gateway: &str, headers: &Headers<'_>, body: &[u8]) -> Result<(), NotTaken> {
        let is_signed = headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("signature") && *value == "good");
        match body {
            _ if gateway != "g" || !is_signed => Err(WebhookError::Signature.into()),
            b"event" => Ok(()),
            _ => Err(NotTaken::Later(JournalError::Busy)),
        }
    }

    fn today(&self) -> YearMonth {
        YearMonth { year: 2026, month: 11 }
    }
}

async fn start(folder: &Folder) -> (SocketAddr, Counting) {
    std::fs::write(folder.0.join("p"), "secret\n").unwrap();
    let text = "[inbound]\nlisten = \"127.0.0.1:0\"\n\
                [[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\nurl = \"http://127.0.0.1:9\"\n\
                [[merchant]]\nid = \"m\"\ngateway = \"g\"\n\
                [[pay_connector]]\nname = \"twilio\"\nusername = \"AC1\"\npassword_file = \"p\"\nmerchant = \"m\"\n\
                [[pay_connector]]\nname = \"signalwire\"\nusername = \"SW\"\npassword_file = \"p\"\nmerchant = \"m\"\n\
                failure_status = 402\n";
    let config = Config::parse(text, Path::new("cde.toml")).unwrap();
    let works = Counting::default();
    let inbound = Inbound::bind(&config, &folder.0, works.clone()).await.unwrap().unwrap();
    let at = inbound.listener.local_addr().unwrap();
    tokio::spawn(inbound.serve());
    (at, works)
}

async fn post(at: SocketAddr, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    let text = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// `AC1:secret` and `SW:secret`.
const TWILIO: &str = "Authorization: Basic QUMxOnNlY3JldA==\r\n";
const SIGNALWIRE: &str = "Authorization: Basic U1c6c2VjcmV0\r\n";

#[tokio::test]
async fn a_transaction_is_charged_once_however_often_it_is_sent() {
    let folder = Folder::new();
    let (at, works) = start(&folder).await;
    // Twilio's requests come without a type. Three at once, as by a caller that has lost its patience, and one later.
    let once = || post(at, "/pay-connector/twilio", TWILIO, BODY);
    let (a, b, c) = tokio::join!(once(), once(), once());
    let d = once().await;
    let expected = r#"{"charge_id":"ch_1","error_code":null,"error_message":null,"parameters":{}}"#;
    for (status, body) in [a, b, c, d] {
        assert_eq!((status, body.as_str()), (200, expected));
    }
    assert_eq!(works.0.load(Ordering::SeqCst), 1);
    let other = BODY.replace("\"T1\"", "\"T2\"");
    post(at, "/pay-connector/twilio", TWILIO, &other).await;
    assert_eq!(works.0.load(Ordering::SeqCst), 2, "another transaction is another charge");
}

#[tokio::test]
async fn a_decline_has_the_status_that_the_caller_reads_and_an_unknown_one_is_said_to_be_so() {
    let folder = Folder::new();
    let (at, works) = start(&folder).await;
    let declined = BODY.replace("10.0", "30.0");
    let (status, body) = post(at, "/pay-connector/twilio", TWILIO, &declined).await;
    assert!(status == 200 && body.contains("\"charge_id\":null") && body.contains("card_declined"), "{status} {body}");
    let (status, _) = post(at, "/pay-connector/signalwire", SIGNALWIRE, &declined).await;
    assert_eq!(status, 402);
    let unknown = BODY.replace("10.0", "20.0").replace("\"T1\"", "\"T3\"");
    let (status, body) = post(at, "/pay-connector/twilio", TWILIO, &unknown).await;
    assert!(status == 200 && body.contains("outcome_unknown"), "{status} {body}");
    let before = works.0.load(Ordering::SeqCst);
    post(at, "/pay-connector/twilio", TWILIO, &unknown).await;
    assert_eq!(works.0.load(Ordering::SeqCst), before + 1, "it may be known by now");
}

#[tokio::test]
async fn who_shows_no_password_or_no_sense_charges_nothing() {
    let folder = Folder::new();
    let (at, works) = start(&folder).await;
    assert_eq!(post(at, "/pay-connector/twilio", "", BODY).await.0, 401);
    assert_eq!(post(at, "/pay-connector/twilio", SIGNALWIRE, BODY).await.0, 401, "another's");
    assert_eq!(post(at, "/pay-connector/nobody", TWILIO, BODY).await.0, 404);
    assert_eq!(post(at, "/pay-connector/twilio", TWILIO, "cardnumber=4111111111111111").await.0, 400);
    let (status, body) = post(at, "/pay-connector/twilio", TWILIO, &BODY.replace("1111\"", "1112\"")).await;
    assert!(status == 200 && body.contains("incorrect_number") && !body.contains("1112"), "{status} {body}");
    assert_eq!(works.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_webhook_is_believed_only_where_it_is_proved() {
    let folder = Folder::new();
    let (at, _) = start(&folder).await;
    assert_eq!(post(at, "/webhooks/g", "Signature: good\r\n", "event").await, (200, "[accepted]".to_owned()));
    assert_eq!(post(at, "/webhooks/g", "Signature: bad\r\n", "event").await.0, 400);
    let unread = post(at, "/webhooks/g", "Signature: good\r\n", "another").await;
    assert_eq!(unread.0, 503, "the gateway is to send it again");
    assert_eq!(post(at, "/webhooks/h", "Signature: good\r\n", "event").await.0, 400);
}
