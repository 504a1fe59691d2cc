//! What gateways send.

use crate::replace;
use aws_lc_rs::hmac;
use card::YearMonth;
use gateway::answer::{Answer, Approval};
use gateway::pay_connector::incoming;
use gateway::request::{Asked, Kind, Operation};
use gateway::{Adapter, Adyen, Mode, PayConnector, Sandbox, Sent, SentBetween, Stripe};
use wire::{AttemptId, Currency, Money};

/// Of the webhooks' secrets: no account has them.
const SECRET: &str = "whsec_fuzz";
const HMAC_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// In an input it stands for our attempt.
const ATTEMPT: &[u8] = b"$A";
const NOW_UNIX_MS: i64 = 1_795_000_000_000;

fn adapters() -> Vec<Box<dyn Adapter>> {
    let mut all: Vec<Box<dyn Adapter>> = vec![Box::new(Sandbox::new("sandbox".to_owned()))];
    if let Ok(stripe) = Stripe::new("sk_test_fuzz".to_owned(), Some(SECRET.to_owned()), Mode::Test) {
        all.push(Box::new(stripe));
    }
    let adyen = Adyen::new("AQEfuzzfuzzfuzzfuzz".to_owned(), "Shop".to_owned(), Some(HMAC_KEY.to_owned()), Mode::Test);
    if let Ok(adyen) = adyen {
        all.push(Box::new(adyen));
    }
    if let Ok(connector) = PayConnector::new(None, Mode::Test) {
        all.push(Box::new(connector));
    }
    all
}

/// Kind and status, then a body. Whatever it says, what goes on of it is short, printable and no card number.
pub(crate) fn answer(input: &[u8]) {
    let Some(([kind, high, low], body)) = input.split_first_chunk::<3>() else { return };
    let all =
        [Kind::Authorize, Kind::Capture, Kind::Void, Kind::Refund, Kind::Store, Kind::ChargeStored, Kind::DeleteStored];
    let Some(kind_of) = all.get(usize::from(kind & 7)) else { return };
    let amount = Some(Money { minor: 4200, currency: Currency::GBP });
    let settled = kind & 16 != 0;
    let asked = if kind & 8 != 0 { Asked::ByInquiry { settled } } else { Asked::Directly };
    let attempt = AttemptId::from_random(1);
    let body = replace(body, ATTEMPT, attempt.to_string().as_bytes());
    let sent = SentBetween { first_unix_ms: NOW_UNIX_MS, last_unix_ms: NOW_UNIX_MS };
    let operation = Operation { attempt, kind: *kind_of, amount, asked, sent: Some(sent) };
    let status = u16::from_be_bytes([*high, *low]);
    for adapter in adapters() {
        check(&adapter.parse(operation, Sent::Response { status, body: body.clone() }));
        check(&adapter.parse(operation, Sent::Broken));
    }
}

fn check(answer: &Answer) {
    let texts = match answer {
        Answer::Approved(Approval { auth_code, gateway_ref, network_transaction_id, token, .. }) => {
            vec![Some(auth_code), Some(gateway_ref), network_transaction_id.as_ref(), token.as_ref()]
        }
        Answer::Declined { network_code, .. } => vec![network_code.as_ref()],
        Answer::Pending { locator } | Answer::Unknown { locator } => vec![locator.as_ref()],
        Answer::Rejected | Answer::ActionRequired | Answer::Abandoned => Vec::new(),
    };
    for text in texts.into_iter().flatten() {
        assert!(text.len() <= 512 && text.chars().all(|c| !c.is_control()), "a text that cannot be shown");
        assert!(!wire::name_pan_like(text), "a card number goes on");
    }
}

/// A webhook as it is, and signed as Stripe does.
pub(crate) fn webhook(input: &[u8]) {
    let input = &replace(input, ATTEMPT, AttemptId::from_random(1).to_string().as_bytes());
    let time = (NOW_UNIX_MS / 1000).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, &[time.as_bytes(), b".", input.as_slice()].concat());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let signed = format!("t={time},v1={hex}");
    for adapter in adapters() {
        for headers in [&[("Stripe-Signature", signed.as_str())][..], &[]] {
            let events = adapter.verify_webhook(headers, input, NOW_UNIX_MS).unwrap_or_default();
            assert!(headers.is_empty() <= events.is_empty() || adapter.caps().name == "adyen", "nobody has signed it");
        }
    }
}

/// What moved on a day, as Stripe tells it. What goes on of it is bounded, short, printable and no card number.
pub(crate) fn balance(input: &[u8]) {
    let Ok(stripe) = Stripe::new("sk_test_fuzz".to_owned(), None, Mode::Test) else { return };
    let body = replace(input, ATTEMPT, AttemptId::from_random(1).to_string().as_bytes());
    let Some(page) = stripe.read_report(Sent::Response { status: 200, body }) else { return };
    assert!(page.lines.len() + page.skipped <= wire::report::REPORT_PAGE_MAX, "more than a page");
    for line in &page.lines {
        for text in line.names.iter().chain([&line.key]).chain(&page.next) {
            let is_short =
                text.len() <= wire::report::REPORT_NAME_BYTES_MAX && text.chars().all(|c| c.is_ascii_graphic());
            assert!(is_short && !wire::name_pan_like(text), "a name that may not go on");
        }
        let signed = matches!(line.kind, wire::ReportKind::Fee | wire::ReportKind::Payout | wire::ReportKind::Other);
        assert!(line.money.minor >= 0 || signed, "an amount below zero");
        let again = stripe.report(gateway::Period { from_unix_ms: 0, until_unix_ms: 1 }, page.next.as_deref());
        assert!(again.is_some_and(|request| !request.path.contains([' ', '\r', '\n', '#'])), "a path with more in it");
    }
}

/// A charge that comes in. What is told of it holds no card number, and what is charged is a payable amount.
pub(crate) fn connector(input: &[u8]) {
    match incoming::read("fuzz", input, YearMonth { year: 2026, month: 11 }) {
        Ok(incoming) => {
            assert!(incoming.amount.payable(), "an amount that nobody can pay");
            assert!(incoming.card.cvv.is_none_or(|cvv| matches!(cvv.length(), 3 | 4)), "a code of no length");
        }
        Err(reason) => {
            let reply = incoming::refused(reason, 200);
            assert!(!wire::pan_like(&reply.body), "a refusal repeats a card number");
        }
    }
}
