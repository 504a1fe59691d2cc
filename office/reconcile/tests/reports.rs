//! Reports as their vendors document them, and reports that are not as they should be.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "test code")]

use jiff::tz::TimeZone;
use reconcile::report::{Columns, Dates, Decimal, FeeSign};
use reconcile::{Format, Line, LineKind, Report, ReportError, read};
use wire::{AttemptId, Currency, Money};

const ATTEMPT: &str = "0199d0a4-7c1e-7a00-8000-000000000001";
const REFUND: &str = "0199d0a4-7c1e-7a00-8000-000000000002";

fn attempt(id: &str) -> AttemptId {
    id.parse().unwrap()
}

fn of(format: &Format, text: &str) -> Result<Report, ReportError> {
    read(format, text.as_bytes(), &TimeZone::UTC)
}

fn line(report: &Report, kind: LineKind) -> &Line {
    let mut found = report.lines.iter().filter(|line| line.kind == kind);
    let line = found.next().unwrap();
    assert!(found.next().is_none(), "several of {kind:?}");
    line
}

fn money(minor: i64, currency: Currency) -> Money {
    Money { minor, currency }
}

const STRIPE: &str = "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,source_id,description,\
    customer_facing_amount,customer_facing_currency,charge_id,payment_intent_id,payment_metadata[tonewall_attempt]\n\
    txn_1,2026-11-26 08:30:00,gbp,42.00,0.83,41.17,charge,ch_1,Tonewall,42.00,gbp,ch_1,pi_1,0199d0a4-7c1e-7a00-8000-000000000001\n\
    txn_2,2026-11-26 09:00:00,gbp,-10.00,0.00,-10.00,refund,re_1,,-10.00,gbp,ch_1,pi_1,0199d0a4-7c1e-7a00-8000-000000000001\n\
    txn_3,2026-11-26 09:10:00,gbp,-42.00,20.00,-62.00,dispute,dp_1,,,,ch_1,pi_1,\n\
    txn_4,2026-11-26 23:00:00,gbp,-500.00,0.00,-500.00,payout,po_1,,,,,,\n\
    txn_5,2026-11-26 10:00:00,gbp,8.61,0.00,8.61,charge,ch_2,,10.00,eur,ch_2,pi_2,\n";

#[test]
fn stripe_s_itemized_report_is_read() {
    let report = of(&Format::Stripe, STRIPE).unwrap();
    assert_eq!((report.lines.len(), report.skipped), (5, 0));
    let charge = report.lines.iter().find(|line| line.key == "txn_1").unwrap();
    assert_eq!((charge.money, charge.fee), (money(4200, Currency::GBP), Some(money(83, Currency::GBP))));
    assert_eq!(
        (&charge.names[..], &charge.attempts[..]),
        (&["ch_1".into(), "pi_1".into()][..], &[attempt(ATTEMPT)][..])
    );
    assert_eq!(charge.at_unix_ms, 1_795_681_800_000);
    let refund = line(&report, LineKind::Refund);
    assert_eq!((refund.money, refund.names[0].as_str()), (money(1000, Currency::GBP), "re_1"));
    assert_eq!(line(&report, LineKind::Chargeback).money, money(4200, Currency::GBP));
    assert_eq!(line(&report, LineKind::Payout).fee, None);
    let foreign = report.lines.iter().find(|line| line.key == "txn_5").unwrap();
    assert_eq!(foreign.money, money(1000, Currency::EUR), "what the cardholder has paid, not what was settled");
}

/// A fee that was given back counted as one more fee.
#[test]
fn a_fee_keeps_its_sign() {
    let header = STRIPE.lines().next().unwrap();
    let row = |id: &str, gross: &str, kind: &str| {
        format!("{id},2026-11-26 08:30:00,gbp,{gross},0.00,{gross},{kind},,,,,,,\n")
    };
    let rows = [
        row("a", "-5.00", "fee"),
        row("b", "2.00", "fee"),
        row("c", "-500.00", "payout"),
        row("d", "500.00", "payout_reversal"),
        row("e", "-1.00", "other_adjustment"),
    ];
    let report = of(&Format::Stripe, &format!("{header}\n{}", rows.concat())).unwrap();
    let minors: Vec<_> = report.lines.iter().map(|line| line.money.minor).collect();
    assert_eq!(minors, [500, -200, 50_000, -50_000, -100]);
    let day = reconcile::reconcile(reconcile::Window { from: 0, until: i64::MAX }, vec![], report.lines);
    assert_eq!(day.totals[&Currency::GBP].fees, 300);
}

#[test]
fn the_export_of_stripe_s_dashboard_is_read() {
    let text = "id,Type,Source,Amount,Fee,Net,Currency,Created (UTC),Available On (UTC),Description\r\n\
                txn_1,charge,ch_1,\"1,042.00\",15.00,1027.00,usd,2026-11-26 08:30,2026-11-28 00:00,Tonewall\r\n";
    let report = of(&Format::Stripe, text).unwrap();
    assert_eq!(line(&report, LineKind::Charge).money, money(104_200, Currency::USD));
}

const ADYEN: &str = "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Creation Date,TimeZone,Type,\
    Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),Exchange Rate,Net Currency,Net Debit (NC),\
    Net Credit (NC),Commission (NC),Markup (NC),Scheme Fees (NC),Interchange (NC),Payment Method Variant,\
    Modification Merchant Reference,Batch Number\n\
    Shop,ShopUK,NC6HT9CRT65ZGN82,0199d0a4-7c1e-7a00-8000-000000000001,visa,2026-11-26 09:30:00,CET,Settled,BC6HT9CRT65ZGN82,GBP,,42.00,1,GBP,,41.80,,0.04,0.0912,0.07,visaclassic,,12\n\
    Shop,ShopUK,NC6HT9CRT65ZGN82,0199d0a4-7c1e-7a00-8000-000000000001,visa,2026-11-26 10:30:00,CET,Refunded,RC6HT9CRT65ZGN82,GBP,10.00,,1,GBP,10.00,,,,,,visaclassic,0199d0a4-7c1e-7a00-8000-000000000002,12\n\
    Shop,ShopUK,NC6HT9CRT65ZGN83,other,visa,2026-11-26 10:30:00,CET,Chargeback,DC6HT9CRT65ZGN82,GBP,5.00,,1,GBP,12.50,,7.50,,,,visaclassic,,12\n\
    Shop,ShopUK,,,,2026-11-26 23:30:00,CET,MerchantPayout,\"TX12 batch 12, Shop\",,,,,GBP,31.80,,,,,,,,12\n";

#[test]
fn adyen_s_settlement_details_are_read() {
    let report = of(&Format::Adyen, ADYEN).unwrap();
    assert_eq!((report.lines.len(), report.skipped), (3, 1), "a payout moves nothing of a cardholder's");
    let fees = "Shop,ShopUK,,,,2026-11-26 23:30:00,CET,Fee,Transaction Fees November,,,,,GBP,12.3456,,,,,,,,12\n\
                Shop,ShopUK,,,,2026-11-26 23:31:00,CET,Fee,Correction of October,,,,,GBP,,2.50,,,,,,,12\n";
    let with_fees = of(&Format::Adyen, &format!("{ADYEN}{fees}")).unwrap();
    let minors: Vec<_> =
        with_fees.lines.iter().filter(|line| line.kind == LineKind::Fee).map(|line| line.money.minor).collect();
    assert_eq!(minors, [-250, 1234], "a fee has only a net amount, and one that is given back is below zero");
    let charge = line(&report, LineKind::Charge);
    assert_eq!((charge.money, charge.fee), (money(4200, Currency::GBP), Some(money(20, Currency::GBP))));
    assert_eq!((charge.at_unix_ms, &charge.attempts[..]), (1_795_681_800_000, &[attempt(ATTEMPT)][..]));
    let refund = line(&report, LineKind::Refund);
    assert_eq!(refund.attempts, [attempt(REFUND), attempt(ATTEMPT)], "the nearest first");
    assert_eq!(refund.names, ["RC6HT9CRT65ZGN82", "NC6HT9CRT65ZGN82"]);
    assert_eq!(line(&report, LineKind::Chargeback).names[0], "other");
    // In which of the two columns the amount stands says nothing.
    let swapped = of(&Format::Adyen, &ADYEN.replace(",GBP,,42.00,1,", ",GBP,42.00,,1,")).unwrap();
    assert_eq!(line(&swapped, LineKind::Charge).money, charge.money);
}

#[test]
fn any_csv_is_read_by_the_names_of_its_columns() {
    let columns = Columns {
        reference: "Verwendungszweck".to_owned(),
        amount: "Betrag".to_owned(),
        at: "Buchungstag".to_owned(),
        currency: Some(Currency::EUR),
        decimal: Decimal::Comma,
        dates: Dates::DayFirst,
        ..Columns::default()
    };
    let text = "Buchungstag;Verwendungszweck;Betrag\n26.11.2026;ch_7;1.042,50\n26.11.2026;ch_8;-5,00\n27.11.2026;x;\n";
    let report = of(&Format::Columns(Box::new(columns.clone())), text).unwrap();
    assert_eq!(line(&report, LineKind::Charge).money, money(104_250, Currency::EUR));
    assert_eq!((line(&report, LineKind::Refund).money, report.skipped), (money(500, Currency::EUR), 1));
    let unnamed = Format::Columns(Box::new(Columns { currency: None, ..columns }));
    assert!(matches!(of(&unnamed, text), Err(ReportError::Bad { row: 2, column: "amount", .. })));
}

#[test]
fn words_tell_what_a_line_is_where_a_column_has_them() {
    let columns = Columns {
        id: Some("ID".to_owned()),
        reference: "Ref".to_owned(),
        amount: "Pence".to_owned(),
        currency_column: Some("Cur".to_owned()),
        at: "Date".to_owned(),
        kind: Some("Type".to_owned()),
        charge_words: vec!["Sale".to_owned()],
        refund_words: vec!["Credit".to_owned()],
        chargeback_words: vec!["CB".to_owned()],
        fee_words: vec!["Fee".to_owned()],
        minor_units: true,
        ..Columns::default()
    };
    let text = "ID,Ref,Pence,Cur,Date,Type\n1,a,4200,GBP,2026-11-26,Sale\n2,a,1000,GBP,2026-11-26,credit\n\
                3,a,500,GBP,2026-11-26,CB\n4,,20,GBP,2026-11-26,fee\n5,,-3,GBP,2026-11-26,Fee\n6,a,-9,GBP,2026-11-26,Sale\n";
    let of_columns = |columns: &Columns, text: &str| of(&Format::Columns(Box::new(columns.clone())), text);
    let told = |report: Report| report.lines.iter().map(|line| (line.kind, line.money.minor)).collect::<Vec<_>>();
    let (charge, refund, fee) = (LineKind::Charge, LineKind::Refund, LineKind::Fee);
    assert_eq!(
        told(of_columns(&columns, text).unwrap()),
        [(charge, 4200), (refund, 1000), (LineKind::Chargeback, 500), (fee, 20), (fee, -3), (refund, 9)]
    );
    let minus = Columns { fee_sign: FeeSign::Minus, ..columns.clone() };
    assert_eq!(told(of_columns(&minus, text).unwrap())[3..5], [(fee, -20), (fee, 3)]);
    // It counted as a charge.
    let unknown = of_columns(&columns, &text.replace("CB", "Adjustment")).unwrap_err();
    assert!(unknown.to_string().starts_with("Line 4: the column `kind` says \"Adjustment\""), "{unknown}");
    let long = of_columns(&columns, &text.replace("CB", "see case 4711")).unwrap_err();
    assert!(!long.to_string().contains("4711"), "{long}");
    let other = Columns { other_words: vec!["adjustment".to_owned()], ..columns };
    assert_eq!(
        told(of_columns(&other, &text.replace("500,GBP,2026-11-26,CB", "-500,GBP,2026-11-26,Adjustment")).unwrap())[2],
        (LineKind::Other, -500)
    );
}

#[test]
fn a_line_that_stands_twice_is_one_line_with_two_copies_and_one_that_contradicts_itself_is_refused() {
    let again = format!("{STRIPE}{}", STRIPE.lines().nth(1).unwrap());
    let report = of(&Format::Stripe, &again).unwrap();
    assert_eq!(report.lines.iter().map(|line| line.copies).collect::<Vec<_>>(), [2, 1, 1, 1, 1]);
    let other = again.replacen(",0.83,", ",0.84,", 1);
    assert_eq!(of(&Format::Stripe, &other), Err(ReportError::Contradiction { row: 7 }));
}

#[test]
fn a_card_number_anywhere_refuses_the_whole_report_and_is_not_repeated() {
    for text in [
        STRIPE.replace("Tonewall", "card 4242 4242 4242 4242"),
        STRIPE.replace("description", "4242424242424242"),
        STRIPE.replace("re_1", "5555555555554444"),
    ] {
        let error = of(&Format::Stripe, &text).unwrap_err();
        assert!(matches!(error, ReportError::LooksLikeCard { .. }), "{error}");
        assert!(!wire::pan_like(&error.to_string()));
    }
}

#[test]
fn what_is_no_such_report_says_what_is_missing() {
    assert!(matches!(of(&Format::Adyen, STRIPE), Err(ReportError::NoColumn { column: "Psp Reference", .. })));
    assert!(matches!(of(&Format::Stripe, ADYEN), Err(ReportError::NoColumn { .. })));
    assert_eq!(of(&Format::Stripe, "\n\n"), Err(ReportError::Empty));
    let cut = &STRIPE[..STRIPE.len() - 20];
    assert!(matches!(of(&Format::Stripe, cut), Err(ReportError::Ragged { row: 6 })));
    let bad = of(&Format::Stripe, &STRIPE.replace("gbp,42.00", "gbp,42.001")).unwrap_err();
    assert!(bad.to_string().starts_with("Line 2: `gross` is not an amount"), "{bad}");
    let twice = STRIPE.replace("description", "fee");
    assert_eq!(of(&Format::Stripe, &twice), Err(ReportError::TwiceColumn { column: "fee" }));
    let zone = of(&Format::Adyen, &ADYEN.replace(",CET,Settled", ",XYZ,Settled")).unwrap_err();
    assert!(zone.to_string().contains("TimeZone"), "{zone}");
}

#[test]
fn the_sandbox_s_statement_is_read() {
    let text = format!(
        "id,kind,reference,of,amount,currency,at_unix_ms\r\nch_000000,charge,{ATTEMPT},,42.00,GBP,5000\r\n\
         rf_000001,refund,{REFUND},ch_000000,12.00,GBP,6000\r\ncp_000002,capture,x,ch_000007,30,JPY,7000\r\n"
    );
    let report = of(&Format::Sandbox, &text).unwrap();
    let told: Vec<_> = report.lines.iter().map(|line| (line.kind, line.money.minor, line.at_unix_ms)).collect();
    assert_eq!(told, [(LineKind::Charge, 4200, 5000), (LineKind::Charge, 30, 7000), (LineKind::Refund, 1200, 6000)]);
    assert_eq!((report.lines[0].attempts[0], report.lines[2].attempts[0]), (attempt(ATTEMPT), attempt(REFUND)));
    assert_eq!(report.lines[2].names, ["rf_000001", "ch_000000"]);
}

fn is_signed(line: &Line) -> bool {
    matches!(line.kind, LineKind::Fee | LineKind::Payout | LineKind::Other)
}

/// A golden with some of its bytes changed, taken out or doubled: what a broken export looks like.
fn spoilt(text: &str, changes: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte, how) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        match how % 4 {
            0 => bytes[at] = *byte,
            1 => _ = bytes.remove(at),
            2 => bytes.insert(at, *byte),
            _ => bytes.truncate(at + 1),
        }
    }
    bytes
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_spoilt_report_is_read_or_refused_and_never_repeated(
        changes in proptest::collection::vec((0..4_000_usize, proptest::prelude::any::<u8>(), 0..4_u8), 0..6),
        digits in "[0-9 ,;.-]{0,24}",
    ) {
        let (columns, text) = (Columns { reference: "reference".into(), amount: "amount".into(), at: "at".into(),
            currency: Some(Currency::GBP), ..Columns::default() }, "at,reference,amount\n2026-11-26,ch_7,\"1,042.50\"\n");
        let formats = [(Format::Stripe, STRIPE), (Format::Adyen, ADYEN), (Format::Columns(Box::new(columns)), text)];
        for (format, golden) in formats {
            for golden in [golden.to_owned(), golden.replace("ch_", &digits)] {
                match read(&format, &spoilt(&golden, &changes), &TimeZone::UTC) {
                    Ok(report) => proptest::prop_assert!(report.lines.iter().all(|line| line.money.minor >= 0 || is_signed(line))),
                    Err(error) => proptest::prop_assert!(!wire::pan_like(&error.to_string())),
                }
            }
        }
    }
}
