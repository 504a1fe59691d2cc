//! What follows a charge: captures, voids, refunds, cards on file.

use super::*;

impl Client {
    fn order(&mut self, noun: &str, key: &str, rest: &str) -> (u16, Value, Delivery) {
        let headers = [("Authorization", "Bearer tw_test_sandbox"), ("Idempotency-Key", key)];
        let body = format!(r#"{{"merchant":"shop","reference":"{key}"{rest}}}"#);
        self.send("POST", &format!("/v1/{noun}"), &headers, &body)
    }

    /// An approved charge of 42.00.
    fn charged(&mut self, key: &str, more: &str) -> (u16, Value, Delivery) {
        let body = body(VISA, 4200, key).replace(r#""channel""#, &format!(r#"{more}"channel""#));
        let answer = self.charge(key, &body);
        assert_eq!(answer.0, 201, "{:?}", answer.1);
        answer
    }

    fn says(&mut self, noun: &str, key: &str, rest: &str) -> String {
        let answer = self.order(noun, key, rest);
        match answer.1["error"]["code"].as_str() {
            Some(code) => code.to_owned(),
            None => answer.1["status"].as_str().unwrap().to_owned(),
        }
    }
}

const LATER: &str = r#""capture":"later","#;

fn of(charge: &str, minor: i64) -> String {
    format!(r#","of":"{charge}","amount":{minor},"currency":"GBP""#)
}

#[test]
fn no_more_is_captured_than_was_approved() {
    let mut client = Client::new("");
    client.charged("c", LATER);
    assert_eq!(client.says("refunds", "r0", &of("ch_000000", 1)), "over_refunded", "nothing is captured yet");
    assert_eq!(client.says("captures", "p1", &of("ch_000000", 3000)), "approved");
    assert_eq!(client.says("captures", "p2", &of("ch_000000", 1201)), "over_captured");
    assert_eq!(client.says("captures", "p3", &of("ch_000000", 1200)), "approved");
    assert_eq!(client.says("captures", "p4", &of("ch_000000", 1)), "over_captured");
    assert_eq!(client.ledger()[0]["captured"], 4200);
}

#[test]
fn after_the_last_capture_no_other_comes() {
    let mut client = Client::new("");
    client.charged("c", LATER);
    assert_eq!(client.says("captures", "p1", &(of("ch_000000", 3000) + r#","last":true"#)), "approved");
    assert_eq!(client.says("captures", "p2", &of("ch_000000", 1)), "over_captured");
}

#[test]
fn no_more_is_refunded_than_was_captured() {
    let mut client = Client::new("");
    client.charged("c", "");
    assert_eq!(client.says("refunds", "r1", &of("ch_000000", 4000)), "approved");
    assert_eq!(client.says("refunds", "r1", &of("ch_000000", 4000)), "approved", "the same again is the same refund");
    assert_eq!(client.says("refunds", "r2", &of("ch_000000", 201)), "over_refunded");
    assert_eq!(client.says("refunds", "r3", &of("ch_000000", 200)), "approved");
    assert_eq!((&client.ledger()[0]["refunded"], client.ledger().len()), (&json!(4200), 1));
    let operations = client.send("GET", "/v1/ledger", &[], "").1["operations"].clone();
    assert_eq!(operations.as_array().unwrap().len(), 2);
    assert_eq!((&operations[0]["what"], &operations[0]["of"]), (&json!("refunds"), &json!("c")));
}

#[test]
fn what_is_voided_is_neither_captured_nor_refunded() {
    let mut client = Client::new("");
    client.charged("a", "");
    client.charged("b", LATER);
    for charge in ["ch_000000", "ch_000001"] {
        let void = format!(r#","of":"{charge}""#);
        assert_eq!(client.says("voids", &format!("v{charge}"), &void), "approved");
        assert_eq!(client.says("voids", &format!("w{charge}"), &void), "not_voidable");
        assert_eq!(client.says("refunds", &format!("r{charge}"), &of(charge, 1)), "over_refunded");
        assert_eq!(client.says("captures", &format!("p{charge}"), &of(charge, 1)), "over_captured");
    }
    client.charged("c", "");
    assert_eq!(client.says("refunds", "r9", &of("ch_000004", 1)), "approved");
    assert_eq!(client.says("voids", "v9", r#","of":"ch_000004""#), "not_voidable");
}

#[test]
fn another_merchants_charge_is_nobodys() {
    let mut client = Client::new("");
    let other = body(VISA, 4200, "c").replace(r#""merchant":"shop""#, r#""merchant":"other""#);
    assert_eq!(client.charge("c", &other).0, 201);
    assert_eq!(client.says("refunds", "r", &of("ch_000000", 1)), "no_such_original");
    assert_eq!(client.says("refunds", "r", &of("ch_000009", 1)), "no_such_original");
}

#[test]
fn a_refund_can_be_declined_and_then_gives_nothing_back() {
    let mut client = Client::new("");
    let large = body(VISA, 2_000_000, "c");
    assert_eq!(client.charge("c", &large).0, 201);
    assert_eq!(client.says("refunds", "r", &of("ch_000000", 900_051)), "declined");
    assert_eq!(client.ledger()[0]["refunded"], 0);
}

#[test]
fn a_card_on_file_is_charged_by_its_token_until_it_is_forgotten() {
    let mut client = Client::new("");
    let stored = client.order(
        "tokens",
        "t",
        &format!(r#","channel":"moto","card":{{"number":"{VISA}","exp_month":12,"exp_year":2030}}"#),
    );
    assert_eq!((stored.0, &stored.1["token"]), (201, &json!("tok_000000")));
    let charge = r#","amount":100,"currency":"GBP","channel":"moto","token":"tok_000000""#;
    assert_eq!(client.says("charges", "c1", charge), "approved");
    assert_eq!(client.says("deletions", "d", r#","token":"tok_000000""#), "approved");
    assert_eq!(client.says("charges", "c2", charge), "no_such_token");
    let with_charge = client.charged("c3", r#""store":true,"#);
    assert_eq!(with_charge.1["token"], "tok_000001");
}

#[test]
fn the_merchant_starts_no_charge_but_under_an_agreement_that_began_here() {
    let mut client = Client::new("");
    let first = r#""store":true,"agreement":{"initiator":"customer","reason":"recurring","first":true},"#;
    assert_eq!(client.charged("c", first).1["network_transaction_id"], "nt000000");
    let charge = |reason: &str, name: &str| {
        format!(
            r#","amount":100,"currency":"GBP","channel":"merchant","token":"tok_000000","agreement":{{"initiator":"merchant","reason":"{reason}","first":false{name}}}"#
        )
    };
    let named = r#","network_transaction_id":"nt000000""#;
    assert_eq!(client.says("charges", "m1", &charge("recurring", "")), "merchant_charge_without_agreement");
    assert_eq!(client.says("charges", "m2", &charge("unscheduled", named)), "merchant_charge_without_agreement");
    assert_eq!(client.says("charges", "m3", &charge("recurring", named)), "approved");
}

#[test]
fn what_is_worked_on_is_pending_whatever_it_is() {
    let mut client = Client::new(r#"{"next":["none","delay"],"delay_ms":500}"#);
    client.charged("c", "");
    client.order("refunds", "r", &of("ch_000000", 100));
    let headers = [("authorization", "Bearer tw_test_sandbox")];
    assert_eq!(client.send("GET", "/v1/refunds/by-reference/r", &headers, "").1["status"], "pending");
    client.now += Duration::from_millis(500);
    assert_eq!(client.send("GET", "/v1/refunds/by-reference/r", &headers, "").1["status"], "approved");
    assert_eq!(code(&client.send("GET", "/v1/voids/by-reference/r", &headers, "")), (404, "no_such_charge"));
}

#[test]
fn a_statement_has_what_stands_and_nothing_else() {
    let mut client = Client::new("");
    client.charged("c", "");
    client.charged("v", "");
    client.charged("l", LATER);
    assert_eq!(client.says("refunds", "r", &of("ch_000000", 1200)), "approved");
    assert_eq!(client.says("voids", "x", r#","of":"ch_000001""#), "approved");
    assert_eq!(client.says("captures", "p", &of("ch_000002", 3000)), "approved");
    let text = client.bank.statement(client.now, 5_000);
    let rows: Vec<_> = text.split("\r\n").collect();
    assert_eq!(rows[1], "ch_000000,charge,c,,42.00,GBP,5000");
    assert_eq!(rows[2], "rf_000003,refund,r,ch_000000,12.00,GBP,5000");
    assert_eq!(rows[3], "cp_000005,capture,p,ch_000002,30.00,GBP,5000");
    assert_eq!(rows[4..], [""], "what was voided is not settled, and a reservation is no movement");
}
