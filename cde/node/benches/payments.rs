//! Durable payments a second against a gateway that answers at once: request built, attempt on disk, answer read, outcome
//! on disk. The folder of `TONEWALL_BENCH_DISK`, or the system's temporary one, must be on the disk that is meant.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark: it prints, it has a clock, and its input is known"
)]

use card::{Card, Cvv, Digit, Expiry, Keyed, Pan, YearMonth};
use gateway::{Adapter, Kind, Request, Sandbox, Sent, Terms};
use node::journal::{Ending, Journal, NewAttempt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use wire::{AttemptId, CallId, Currency, MerchantId, Money, Origin, Outcome, PaymentId};

const PAYMENTS: u32 = 20_000;
/// Payments at the same time; what waits for the disk is written together.
const TOGETHER: [u32; 3] = [16, 64, 256];
const AMOUNT: Money = Money { minor: 4_200, currency: Currency::GBP };

fn keyed(text: &str) -> Keyed {
    let mut keyed = Keyed::new().unwrap();
    text.bytes().for_each(|byte| assert!(keyed.push(&Digit::new(byte - b'0').unwrap())));
    keyed
}

fn card() -> Card {
    let pan = Pan::parse(&keyed("4242424242424242")).ok().unwrap();
    let cvv = Cvv::parse(&keyed("123"), Some(pan.brand())).ok();
    Card { pan, expiry: Expiry::parse(&keyed("1235"), YearMonth { year: 2026, month: 11 }).ok().unwrap(), cvv }
}

/// One payment, from its card to its outcome on disk.
async fn pay(journal: &Journal, adapter: &Sandbox, card: &Card, merchant: &MerchantId) {
    let attempt = AttemptId(uuid::Uuid::now_v7());
    let terms = Terms::default();
    let request = Request::Authorize { attempt, amount: AMOUNT, card, merchant, terms };
    let (operation, built) = (request.operation(), adapter.build(&request));
    let row = NewAttempt {
        attempt,
        kind: Kind::Authorize,
        payment: PaymentId(uuid::Uuid::now_v7()),
        call: CallId(uuid::Uuid::now_v7()),
        extension: "1001".parse().unwrap(),
        origin: Origin::User { id: 1 },
        merchant: merchant.clone(),
        deadline_ms: 20_000,
        gateway: "sandbox".to_owned(),
        amount: AMOUNT,
        later: false,
        follows: None,
        last: false,
        locator: None,
        keep: None,
        token: None,
        credential: None,
        card: Some(card.view()),
        digest: String::from_utf8(built.redacted()).unwrap(),
        reference: None,
    };
    journal.begin(row).await.unwrap();
    let body = format!(
        r#"{{"id":"ch_1","reference":"{attempt}","status":"approved","amount":4200,"currency":"GBP","auth_code":"T1"}}"#
    );
    let answer = adapter.parse(operation, Sent::Response { status: 201, body: body.into_bytes() });
    let ending = Ending::from_answer(&answer, operation, None);
    assert!(matches!(ending.outcome, Outcome::Approved { .. }));
    assert!(journal.end(attempt, ending).await.unwrap());
}

async fn rate(folder: &std::path::Path, together: u32) -> f64 {
    let journal = Journal::open(&folder.join(format!("journal-{together}.db"))).await.unwrap();
    let work = Arc::new((Sandbox::new(Sandbox::TEST_KEY.to_owned()), card(), "main".parse::<MerchantId>().unwrap()));
    let began = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..together {
        let (journal, work) = (journal.clone(), Arc::clone(&work));
        workers.push(tokio::spawn(async move {
            for _ in 0..PAYMENTS / together {
                pay(&journal, &work.0, &work.1, &work.2).await;
            }
        }));
    }
    for worker in workers {
        worker.await.unwrap();
    }
    let paid = f64::from(PAYMENTS / together * together);
    let rate = paid / began.elapsed().as_secs_f64();
    journal.close().await;
    rate
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let disk = std::env::var_os("TONEWALL_BENCH_DISK").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = disk.join(format!("tonewall-payments-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    for together in TOGETHER {
        println!("{together:4} together: {:6.0} durable payments/s", rate(&folder, together).await);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
