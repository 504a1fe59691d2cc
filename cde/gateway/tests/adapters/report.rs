//! What Stripe's balance transactions say, and what is not believed of them.

use crate::stripe::stripe;
use gateway::{Adapter, Method, Period, ReadPage, Sent};
use proptest::prelude::*;
use serde_json::{Value, json};
use wire::{AttemptId, Currency, Money, ReportKind};

const DAY: Period = Period { from_unix_ms: 1_795_651_200_000, until_unix_ms: 1_795_737_600_000 };
const ATTEMPT: &str = "0199d0a4-7c1e-7a00-8000-000000000001";

/// As docs.stripe.com/api/balance_transactions/object has it, with what it comes from expanded.
fn transaction(id: &str, amount: i64, category: &str, source: &Value) -> Value {
    json!({
        "id": id, "object": "balance_transaction", "amount": amount, "available_on": 1_796_000_000, "created": 1_795_681_800,
        "currency": "gbp", "description": "Tonewall", "exchange_rate": null, "fee": 83, "fee_details": [],
        "net": amount - 83, "reporting_category": category, "source": source, "status": "pending", "type": category,
    })
}

fn charge() -> Value {
    json!({
        "id": "ch_1", "object": "charge", "amount": 5000, "amount_captured": 4200, "currency": "gbp", "payment_intent": "pi_1",
        "metadata": {"tonewall_attempt": ATTEMPT, "order": "4242 4242 4242 4242"},
        "payment_method_details": {"card": {"last4": "4242", "exp_month": 12, "fingerprint": "Xt5EWLLDS7FJjR1c"}},
    })
}

fn page(data: &[Value], has_more: bool) -> Value {
    json!({"object": "list", "url": "/v1/balance_transactions", "has_more": has_more, "data": data})
}

fn read(page: &Value) -> Option<ReadPage> {
    stripe().read_report(Sent::Response { status: 200, body: page.to_string().into_bytes() })
}

#[test]
fn a_day_is_asked_for_page_by_page() {
    let first = stripe().report(DAY, None).unwrap();
    assert_eq!(first.method, Method::Get);
    let path =
        "/v1/balance_transactions?limit=25&created[gte]=1795651200&created[lte]=1795737599&expand[0]=data.source";
    assert_eq!(first.path, path);
    assert_eq!(stripe().report(DAY, Some("txn_7")).unwrap().path, format!("{path}&starting_after=txn_7"));
    assert!(
        stripe().report(DAY, Some("x&limit=1")).unwrap().path.ends_with("&starting_after=-"),
        "no name leaves its place"
    );
    assert!(first.body.is_empty() && gateway::Sandbox::new("s".to_owned()).report(DAY, None).is_none());
}

#[test]
fn each_movement_is_told_by_names_amounts_and_nothing_of_a_card() {
    let refund = json!({"id": "re_1", "object": "refund", "amount": 1000, "currency": "gbp", "charge": "ch_1",
        "payment_intent": "pi_1", "metadata": {}});
    let abroad = json!({"id": "ch_2", "object": "charge", "amount": 1000, "currency": "eur", "payment_intent": null});
    let data = [
        transaction("txn_1", 4200, "charge", &charge()),
        transaction("txn_2", -1000, "refund", &refund),
        transaction("txn_3", 861, "charge", &abroad),
        transaction("txn_4", -50_000, "payout", &json!("po_1")),
        transaction("txn_5", -500, "fee", &Value::Null),
        transaction("txn_6", 200, "fee", &Value::Null),
        transaction("txn_7", -7, "new_of_stripe", &json!({"id": 7, "amount": "4200"})),
    ];
    let read = read(&page(&data, true)).unwrap();
    let told: Vec<_> = read.lines.iter().map(|line| (line.kind, line.money.minor, line.money.currency)).collect();
    let (gbp, eur) = (Currency::GBP, Currency::EUR);
    assert_eq!(
        told,
        [
            (ReportKind::Charge, 4200, gbp),
            (ReportKind::Refund, 1000, gbp),
            (ReportKind::Charge, 1000, eur),
            (ReportKind::Payout, 50_000, gbp),
            (ReportKind::Fee, 500, gbp),
            (ReportKind::Fee, -200, gbp),
            (ReportKind::Other, -7, gbp),
        ]
    );
    let first = &read.lines[0];
    assert_eq!((&first.key[..], &first.names[..]), ("txn_1", &["ch_1".to_owned(), "pi_1".to_owned()][..]));
    assert_eq!(first.attempts, [ATTEMPT.parse::<AttemptId>().unwrap()]);
    assert_eq!((first.fee, first.at_unix_ms), (Some(Money { minor: 83, currency: gbp }), 1_795_681_800_000));
    assert_eq!((read.next.as_deref(), read.skipped), (Some("txn_7"), 0));
    assert_eq!(read.lines[3].names, ["po_1"]);
    let shown = serde_json::to_string(&read.lines).unwrap();
    assert!(!shown.contains("4242") && !shown.contains("Xt5") && !wire::pan_like(&shown), "{shown}");
}

#[test]
fn a_currency_that_is_counted_otherwise_is_left_out_and_counted() {
    let mut isk = transaction("txn_1", 4200, "charge", &Value::Null);
    isk["currency"] = json!("isk");
    let read = read(&page(&[isk], false)).unwrap();
    assert_eq!((read.lines.len(), read.skipped, read.next), (0, 1, None));
}

#[test]
fn what_is_no_page_is_not_believed() {
    let good = transaction("txn_1", 4200, "charge", &charge());
    let mut numbered = good.clone();
    numbered["id"] = json!("4242424242424242");
    let many = vec![good.clone(); 26];
    for bad in [
        page(&[numbered], false),
        page(&many, false),
        json!({"object": "charge", "has_more": false, "data": []}),
        json!({"object": "list", "data": []}),
        json!({"error": {"type": "invalid_request_error"}}),
    ] {
        assert!(read(&bad).is_none(), "{bad}");
    }
    let body = page(&[good], false).to_string().into_bytes();
    for sent in [
        Sent::Response { status: 403, body: body.clone() },
        Sent::Response { status: 200, body: body[..body.len() - 9].to_vec() },
        Sent::Response { status: 200, body: [body, vec![b' '; gateway::ANSWER_BYTES_MAX]].concat() },
        Sent::Broken,
        Sent::NotSent,
    ] {
        assert!(stripe().read_report(sent).is_none());
    }
    let named = transaction("txn_1", 1, "charge", &json!("4242424242424242"));
    assert!(read(&page(&[named], false)).unwrap().lines[0].names.is_empty(), "a name like a card number is none");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn whatever_comes_is_bounded_and_no_card_number(
        changes in prop::collection::vec((0..4_000_usize, any::<u8>(), 0..3_u8), 0..8),
        name in "[a-z0-9_. -]{0,140}",
    ) {
        let data = [transaction("txn_1", 4200, "charge", &charge()), transaction(&name, 1, "x", &json!(name))];
        let mut body = page(&data, true).to_string().into_bytes();
        for (at, byte, how) in changes {
            let at = at % body.len();
            match how {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => body.truncate(at.max(1)),
            }
        }
        let Some(read) = stripe().read_report(Sent::Response { status: 200, body }) else { return Ok(()) };
        prop_assert!(read.lines.len() + read.skipped <= wire::report::REPORT_PAGE_MAX);
        for line in &read.lines {
            for text in line.names.iter().chain([&line.key]).chain(read.next.as_ref()) {
                prop_assert!(text.len() <= wire::report::REPORT_NAME_BYTES_MAX && !wire::name_pan_like(text));
            }
        }
    }
}
