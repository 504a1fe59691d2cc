use crate::{World, call_path};
use serde_json::Value;

const AMOUNT: &str = r#""amount":{"minor":4200,"currency":"GBP"}"#;

#[tokio::test]
async fn every_error_is_a_problem_that_repeats_nothing() {
    let mut world = World::new().await;
    let (desk, _link) = world.with_call().await;
    let path = call_path(1, "payments");
    let pan = "4242424242424242";
    for (body, expected) in [
        (format!(r#"{{{AMOUNT},"account":"{pan}"}}"#), (422, "looks_like_card")),
        (format!(r#"{{{AMOUNT},"avs":{{"postcode":"{pan}"}}}}"#), (422, "bad_avs")),
        (format!(r#"{{{AMOUNT},"{pan}":1}}"#), (422, "bad_field")),
        (format!(r#"{{"amount":"{pan}"}}"#), (422, "bad_field")),
        (format!(r#"{{{AMOUNT}, {pan}"#), (400, "bad_json")),
        (String::new(), (400, "bad_json")),
        (r#"{"amount":{"minor":0,"currency":"GBP"}}"#.into(), (422, "bad_amount")),
        (r#"{"amount":{"minor":1,"currency":"XXX"}}"#.into(), (422, "bad_field")),
        (format!(r#"{{{AMOUNT},"account":"{}"}}"#, "x".repeat(70_000)), (413, "too_large")),
    ] {
        let answer = desk.post(&path, &body).await;
        assert_eq!(answer.problem(), (expected.0, expected.1.to_owned()));
        assert!(!answer.text.contains(pan), "{answer:?}");
    }
    let answer = desk.post(&path, "{\n  \"amount\": oops").await;
    assert!(answer.json()["detail"].as_str().unwrap().contains("line 2, column"));
    let plain = desk.with("Content-Type", "text/plain").post(&path, "{}").await;
    assert_eq!(plain.problem(), (415, "not_json".into()));
    let key = desk.with("Idempotency-Key", pan).post(&path, "{}").await;
    assert_eq!(key.problem(), (422, "looks_like_card".into()));
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    let world = World::new().await;
    for (method, path, expected) in [
        ("GET", "/api/v1/nothing", (404, "not_found")),
        ("GET", "/api", (404, "not_found")),
        ("PUT", "/api/v1/session", (405, "method_not_allowed")),
        ("POST", "/", (405, "method_not_allowed")),
        ("GET", "/missing.js", (404, "not_found")),
        ("GET", "/api/v1/calls", (401, "not_signed_in")),
        ("GET", "/api/v1/events", (401, "not_signed_in")),
    ] {
        let answer = world.client.send(method, path, None).await;
        assert_eq!(answer.problem(), (expected.0, expected.1.to_owned()), "{method} {path}");
    }
    let page = world.client.get("/payments/some-place").await;
    assert_eq!(page.status, 200);
    assert!(page.text.to_lowercase().contains("<!doctype html>"));
    for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
        assert_eq!(page.header(name), Some(value));
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
}

/// Every property and parameter that the document names, with its schema.
fn named(value: &Value, found: &mut Vec<(String, Value)>) {
    if let Some(properties) = value.get("properties").and_then(Value::as_object) {
        found.extend(properties.iter().map(|(name, schema)| (name.clone(), schema.clone())));
    }
    if let (Some(name), Some(schema)) = (value.get("name").and_then(Value::as_str), value.get("schema")) {
        found.push((name.to_owned(), schema.clone()));
    }
    let children: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    children.into_iter().for_each(|child| named(child, found));
}

#[tokio::test]
async fn no_endpoint_takes_or_gives_a_card_number_or_a_code() {
    let world = World::new().await;
    let document = world.client.get("/openapi.json").await.json();
    let mut found = Vec::new();
    named(&document, &mut found);
    assert!(found.len() > 60, "the schemas are there: {}", found.len());
    for (name, _) in &found {
        let name = name.to_lowercase();
        for word in ["pan", "cvv", "cvc", "csc", "card_number", "cardnumber", "security_code", "track", "digit_list"] {
            assert!(name == "pan_length_expected" || !name.contains(word), "{name}");
        }
    }
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/api/v1/session",
        "/api/v1/session/auto",
        "/api/v1/calls",
        "/api/v1/events",
        "/api/v1/calls/{call}/figures",
        "/api/v1/trunks",
        "/api/v1/trunks/{trunk}/test-call",
        "/api/v1/ladders",
        "/api/v1/calls/{call}/ladder",
        "/api/v1/calls/{call}/ladder.txt",
        "/api/v1/calls/{call}/secure",
        "/api/v1/calls/{call}/release",
        "/api/v1/calls/{call}/payments",
        "/api/v1/payments",
        "/api/v1/payments/{id}",
        "/api/v1/payments/{id}/fields/{field}/request",
        "/api/v1/payments/{id}/fields/{field}/reset",
        "/api/v1/payments/{id}/authorize",
        "/api/v1/payments/{id}/cancel",
        "/api/v1/payments/{id}/capture",
        "/api/v1/payments/{id}/void",
        "/api/v1/payments/{id}/refund",
        "/api/v1/payments/{id}/review",
        "/api/v1/payments/{id}/attempts/{attempt}/settle",
        "/api/v1/cards/{token}/forget",
        "/api/v1/cards/{token}/deleted",
        "/api/v1/finance",
        "/api/v1/surcharge",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let references = document.to_string();
    for reference in references.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name} is described");
    }
}
