mod follow_ups;

use super::*;

const TODAY: YearMonth = YearMonth { year: 2026, month: 11 };

struct Client {
    bank: Bank,
    now: Instant,
}

fn body(number: &str, amount: i64, reference: &str) -> String {
    format!(
        r#"{{"amount":{amount},"currency":"GBP","merchant":"shop","channel":"moto","reference":"{reference}","card":{{"number":"{number}","exp_month":12,"exp_year":2030,"cvv":"123"}}}}"#
    )
}

impl Client {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary beginning of virtual time")]
    fn new(faults: &str) -> Self {
        let now = Instant::now();
        let mut client = Self { bank: Bank::new(now, TODAY), now };
        if !faults.is_empty() {
            assert_eq!(client.send("POST", "/v1/faults", &[], faults).0, 200);
        }
        client
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value, Delivery) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Request { method: method.into(), path: path.into(), headers, body: body.into() };
        let (response, delivery) = self.bank.handle(self.now, &request);
        (response.status, serde_json::from_slice(&response.body).unwrap(), delivery)
    }

    fn charge(&mut self, key: &str, body: &str) -> (u16, Value, Delivery) {
        let headers = [("Authorization", "Bearer tw_test_sandbox"), ("Idempotency-Key", key)];
        self.send("POST", "/v1/charges", &headers, body)
    }

    fn find(&mut self, reference: &str) -> (u16, Value, Delivery) {
        let headers = [("authorization", "Bearer tw_test_sandbox")];
        self.send("GET", &format!("/v1/charges/by-reference/{reference}"), &headers, "")
    }

    fn ledger(&mut self) -> Vec<Value> {
        self.send("GET", "/v1/ledger", &[], "").1["charges"].as_array().unwrap().clone()
    }
}

fn code(answer: &(u16, Value, Delivery)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or("none"))
}

const VISA: &str = "4242424242424242";

#[test]
fn the_same_request_again_gets_the_same_answer_and_one_charge() {
    let mut client = Client::new("");
    let first = client.charge("k1", &body(VISA, 4200, "r1"));
    assert_eq!((first.0, first.1["status"].as_str()), (201, Some("approved")));
    assert_eq!(client.charge("k1", &body(VISA, 4200, "r1")), first);
    assert_eq!(client.ledger().len(), 1);
    assert_eq!(client.find("r1").1, first.1);
}

/// The adapter's own test (`gateway`, `tests/sandbox.rs`) holds the other end of both texts.
#[test]
fn the_adapters_own_words_are_taken() {
    let charge = r#"{"amount":4200,"currency":"GBP","merchant":"shop","channel":"moto","reference":"00000000-0000-4000-8000-000000000007","card":{"number":"378282246310005","exp_month":12,"exp_year":2030,"cvv":"1234"}}"#;
    let answer = r#"{"amount":4200,"auth_code":"T00000","currency":"GBP","cvv":"match","id":"ch_000000","network_transaction_id":"nt000000","reference":"00000000-0000-4000-8000-000000000007","status":"approved"}"#;
    let mut client = Client::new("");
    let (status, body, _) = client.charge("k1", charge);
    assert_eq!((status, body), (201, serde_json::from_str(answer).unwrap()));
}

#[test]
fn another_request_under_the_same_key_is_refused() {
    let mut client = Client::new("");
    client.charge("k1", &body(VISA, 4200, "r1"));
    assert_eq!(code(&client.charge("k1", &body(VISA, 4201, "r1"))), (400, "idempotency_mismatch"));
    assert_eq!(client.ledger().len(), 1);
}

#[test]
fn a_key_names_its_charge_for_a_day() {
    let mut client = Client::new("");
    client.charge("k1", &body(VISA, 4200, "r1"));
    client.now += Duration::from_hours(23);
    client.charge("k1", &body(VISA, 4200, "r1"));
    assert_eq!(client.ledger().len(), 1);
    client.now += Duration::from_hours(1);
    client.charge("k1", &body(VISA, 4200, "r1"));
    assert_eq!(client.ledger().len(), 2);
}

#[test]
fn a_charge_in_flight_is_pending_and_its_repetition_refused() {
    let mut client = Client::new(r#"{"next":["delay"],"delay_ms":500}"#);
    assert_eq!(client.charge("k1", &body(VISA, 4200, "r1")).2, Delivery::Delay(500));
    client.now += Duration::from_millis(499);
    assert_eq!(code(&client.charge("k1", &body(VISA, 4200, "r1"))), (409, "in_flight"));
    assert_eq!(client.find("r1").1["status"].as_str(), Some("pending"));
    client.now += Duration::from_millis(1);
    assert_eq!(client.charge("k1", &body(VISA, 4200, "r1")).0, 201);
    assert_eq!(client.find("r1").1["status"].as_str(), Some("approved"));
}

#[test]
fn what_is_refused_is_not_executed() {
    let mut client = Client::new("");
    let good = body(VISA, 4200, "r1");
    for (bad, expected) in [
        (body("4111114111114242", 4200, "r1"), "not_a_test_card"),
        (body(VISA, 0, "r1"), "invalid_request"),
        (body(VISA, 4200, "4242 4242 4242 4242"), "invalid_request"),
        (good.replace("GBP", "XXX"), "invalid_request"),
        (good.replace("\"123\"", "\"12\""), "invalid_request"),
        (good.replace("12,", "13,"), "invalid_request"),
        ("{".to_owned(), "invalid_request"),
    ] {
        assert_eq!(code(&client.charge("k1", &bad)), (400, expected));
    }
    let unkeyed = [("authorization", "Bearer tw_test_x")];
    assert_eq!(code(&client.send("POST", "/v1/charges", &unkeyed, &good)), (400, "invalid_request"));
    for (key, expected) in [("Bearer sk_live_x", "live_key"), ("Bearer x", "unauthorized"), ("", "unauthorized")] {
        let headers = [("authorization", key), ("idempotency-key", "k1")];
        assert_eq!(code(&client.send("POST", "/v1/charges", &headers, &good)), (401, expected));
        assert_eq!(code(&client.send("GET", "/v1/charges/by-reference/r1", &headers, "")), (401, expected));
    }
    assert!(client.ledger().is_empty());
    assert_eq!(code(&client.find("r1")), (404, "no_such_charge"));
}

#[test]
fn a_charge_that_is_not_flagged_as_a_telephone_order_is_declined() {
    let mut client = Client::new("");
    for (key, channel) in [("k1", r#""channel":"ecommerce","#), ("k2", "")] {
        let unflagged = body(VISA, 4200, key).replace(r#""channel":"moto","#, channel);
        let answer = client.charge(key, &unflagged);
        assert_eq!((answer.0, answer.1["network_code"].as_str()), (402, Some("65")));
    }
}

#[test]
fn the_ledger_shows_no_more_than_four_digits() {
    let mut client = Client::new("");
    client.charge("k1", &body(VISA, 4200, "r1"));
    client.now += Duration::from_secs(2);
    client.charge("k2", &body("4000000000009995", 100, "r2"));
    let ledger = client.ledger();
    assert_eq!(
        ledger[1],
        json!({"reference": "r2", "amount": 100, "currency": "GBP", "last4": "9995", "status": "declined", "at": 2000})
    );
    assert!(!wire::pan_like(&Value::from(ledger).to_string()));
}

#[test]
fn each_fault_leaves_the_ledger_as_its_name_says() {
    for (fault, delivery, status, charges) in [
        ("drop_before", Delivery::DropBeforeCommit, 500, 0),
        ("drop_after", Delivery::DropAfterCommit, 201, 1),
        ("truncate", Delivery::Truncate, 201, 1),
        ("error_500_after", Delivery::Normal, 500, 1),
        ("not_executed", Delivery::Normal, 503, 0),
    ] {
        let mut client = Client::new(&format!(r#"{{"next":["{fault}"]}}"#));
        let answer = client.charge("k1", &body(VISA, 4200, "r1"));
        assert_eq!((answer.0, answer.2, client.ledger().len()), (status, delivery, charges), "{fault}");
        let again = client.charge("k1", &body(VISA, 4200, "r1"));
        assert_eq!((again.0, again.2, client.ledger().len()), (201, Delivery::Normal, 1), "{fault}");
    }
}

/// A client that repeats under the same key until it has an answer charges once, whatever breaks.
#[test]
fn repeating_under_one_key_charges_exactly_once() {
    for seed in 0..50 {
        let mut client = Client::new(&format!(
            r#"{{"seed":{seed},"delay_ms":900,"per_mille":{{"drop_before":200,"drop_after":200,"delay":100,"error_500_after":100,"truncate":100,"not_executed":50}}}}"#
        ));
        for charge in 0..20 {
            let name = format!("c{charge}");
            for round in 0.. {
                assert!(round < 100, "never answered");
                client.now += Duration::from_millis(300);
                let (status, _, delivery) = client.charge(&name, &body(VISA, 4200, &name));
                if status == 201 && delivery == Delivery::Normal {
                    break;
                }
            }
        }
        assert_eq!(client.ledger().len(), 20, "seed {seed}");
    }
}

/// One event for each thing that was executed, however often it was asked for, and none for what was not.
#[test]
fn what_was_executed_is_said_once_an_event() {
    let mut client = Client::new("");
    let endpoint = r#"{"url":"http://127.0.0.1:9/webhooks/bank","secret":"whsec_test"}"#;
    assert_eq!(client.send("POST", "/v1/webhooks", &[], endpoint).0, 200);
    assert_eq!(code(&client.send("POST", "/v1/webhooks", &[], "{}")), (400, "invalid_request"));
    client.charge("k1", &body(VISA, 4200, "r1"));
    client.charge("k1", &body(VISA, 4200, "r1"));
    client.charge("k2", &body("4000000000009995", 100, "r2"));
    client.charge("k3", &body(VISA, 0, "r3"));
    let faults = r#"{"next":["drop_before","drop_after"],"webhooks":{"duplicate":1000}}"#;
    client.send("POST", "/v1/faults", &[], faults);
    client.charge("k4", &body(VISA, 4200, "r4"));
    client.charge("k5", &body(VISA, 4300, "r5"));
    let notices = client.bank.notices();
    let said = |notice: &Notice| -> (String, String, Value) {
        let event: Value = serde_json::from_slice(&notice.body).unwrap();
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        (text("id"), text("type"), event["object"].clone())
    };
    let answers = ["r1", "r2", "r5"].map(|reference| client.find(reference).1);
    let expected = [("evt_000001", 0), ("evt_000002", 1), ("evt_000003", 2)]
        .map(|(id, answer)| (id.to_owned(), "charge.ended".to_owned(), answers[answer].clone()));
    assert_eq!(notices.iter().map(said).collect::<Vec<_>>(), expected);
    let times: Vec<usize> = notices.iter().map(|notice| notice.delays_ms.len()).collect();
    assert!(times[..2] == [1, 1] && times[2] > 1, "{times:?}");
    assert!(client.bank.notices().is_empty());
}

#[test]
fn a_bank_without_idempotency_executes_whatever_it_is_sent() {
    let mut client = Client::new(r#"{"idempotency":false}"#);
    client.charge("k1", &body(VISA, 4200, "r1"));
    client.charge("k1", &body(VISA, 4200, "r1"));
    assert_eq!(client.ledger().len(), 2);
}
