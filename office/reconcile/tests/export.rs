//! Tables as CSV.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "test code")]

use reconcile::{
    Line, LineKind, Ours, Side, Stand, Window, export, reconcile as matched,
    table::{Cell, Table, flat, sheets},
};
use uuid::Uuid;
use wire::{AttemptId, AttemptKind, Currency, Money, PaymentId};

fn ours(n: u128, minor: i64, code: &str, account: &str) -> Ours {
    Ours {
        attempt: AttemptId(Uuid::from_u128(n)),
        payment: PaymentId(Uuid::from_u128(n)),
        kind: AttemptKind::Authorize,
        side: Some(if n == 3 { Side::GivenBack } else { Side::Taken }),
        money: Money { minor, currency: code.parse().unwrap() },
        stand: Stand::Done,
        gateway_ref: format!("ch_{n}"),
        at_unix_ms: 5,
        account: Some(account.to_owned()),
    }
}

fn day() -> reconcile::Day {
    let ours = vec![ours(1, 4205, "GBP", "=1+1"), ours(2, 4205, "JPY", "A,\"B\""), ours(3, 4205, "BHD", "-7")];
    let line = |one: &Ours, kind| Line {
        source: String::new(),
        key: one.gateway_ref.clone(),
        kind,
        names: vec![one.gateway_ref.clone()],
        attempts: vec![],
        money: one.money,
        fee: Some(Money { minor: 3, currency: Currency::GBP }),
        at_unix_ms: 6,
        copies: 1,
    };
    let lines = vec![line(&ours[0], LineKind::Charge), line(&ours[2], LineKind::Refund)];
    matched(Window { from: 0, until: 10 }, ours, lines)
}

#[test]
fn the_sheets_are_the_kinds_of_findings() {
    let sheets = sheets(&day(), |at| format!("t{at}"));
    let rows: Vec<_> = sheets.iter().map(|sheet| (sheet.name, sheet.rows.len())).collect();
    let rest = [("unmatched theirs", 0), ("unknowns", 0), ("refunds", 1), ("apart", 0)];
    assert_eq!(rows[1..3], [("matched", 2), ("unmatched ours", 1)]);
    assert_eq!(rows[3..], rest);
    assert!(sheets.iter().all(|sheet| sheet.rows.iter().all(|row| row.len() == sheet.header.len())));
}

#[test]
fn csv_is_quoted_and_no_text_is_a_formula() {
    let text = export::csv(&flat(&day(), |at| format!("t{at}")));
    let lines: Vec<_> = text.split("\r\n").collect();
    assert_eq!((lines.len(), lines[4]), (5, ""));
    assert!(
        lines[1].starts_with("matched,charge,t5,'=1+1,")
            && lines[1].contains(",GBP,42.05,GBP,42.05,0.03,GBP,t6,ch_1,1")
    );
    assert!(lines[2].contains(",'-7,") && lines[2].contains(",BHD,4.205,"), "{}", lines[2]);
    assert!(lines[3].starts_with("ours_only,charge,t5,\"A,\"\"B\"\"\","), "{}", lines[3]);
}

#[test]
fn amounts_below_zero_are_numbers_and_huge_ones_are_whole() {
    let money = |minor| Cell::Money(Money { minor, currency: Currency::GBP });
    let table = Table { name: "t", header: &["a", "b"], rows: vec![vec![money(-420), money(i64::MAX)]] };
    assert_eq!(export::csv(&table), "a,b\r\n-4.20,92233720368547758.07\r\n");
}
