//! Adyen's adapter before Prism (npm), which refuses every request that does not fit Adyen's published specification.

use crate::servers::Server;
use crate::{AMOUNT, Wire, attempt, card, shop};
use gateway::{Adapter, Adyen, CaptureTime, HttpRequest, Keep, Mode, Original, Request, Sent, Terms};
use gateway::{Agreement, Initiator, Reason};
use wire::Address;

fn adapter() -> Adyen {
    Adyen::new("AQEtest-0123456789".to_owned(), "Shop".to_owned(), None, Mode::Test).ok().unwrap()
}

/// The status, and Prism's words where it refuses.
async fn sent(wire: &Wire, request: HttpRequest) -> (u16, String) {
    match wire.send(request).await {
        Sent::Response { status, body } => (status, String::from_utf8(body).unwrap()),
        _ => panic!("no answer"),
    }
}

#[tokio::test]
async fn every_request_fits_the_published_specification() {
    let server = Server::prism();
    let wire = Wire::new(server.url());
    let (visa, amex, merchant) = (card("4242424242424242"), card("378282246310005"), shop());
    let (amount, merchant, token) = (AMOUNT, &merchant, "shopper.M5N7TQ4TG5PFWR50");
    let of =
        Original { attempt: attempt(1), gateway_ref: "NC6HT9CRT65ZGN82", approved: AMOUNT, capture_ref: Some("A1") };
    let address = Address::new("10a", "SW1A 2AA").unwrap();
    let agreement = |initiator| {
        Some(Agreement { initiator, reason: Reason::Recurring, first: false, network_transaction_id: Some("n") })
    };
    let plain = Terms::default();
    let full = Terms {
        capture: CaptureTime::Later,
        keep: Keep::Token,
        avs: Some(&address),
        agreement: agreement(Initiator::Customer),
        ..plain
    };
    let merchants = Terms { agreement: agreement(Initiator::Merchant), ..plain };
    let attempt = attempt(7);
    for request in [
        Request::Authorize { attempt, amount, card: &visa, merchant, terms: plain },
        Request::Authorize { attempt, amount, card: &amex, merchant, terms: full },
        Request::Store { attempt, card: &visa, merchant, terms: plain },
        Request::ChargeStored { attempt, amount, token, merchant, terms: plain },
        Request::ChargeStored { attempt, amount, token, merchant, terms: merchants },
        Request::Capture { attempt, amount, merchant, of, last: true },
        Request::Void { attempt, merchant, of },
        Request::Refund { attempt, amount, merchant, of },
        Request::DeleteStored { attempt, token, merchant },
    ] {
        let built = adapter().build(&request);
        let path = built.path.clone();
        let (status, words) = sent(&wire, built).await;
        assert!((200..300).contains(&status), "{path}: {status} {words}");
    }
}

/// Without this a Prism that takes everything would prove nothing: the flag is a word of the specification, in its letters.
#[tokio::test]
async fn a_flag_in_other_letters_is_refused() {
    let server = Server::prism();
    let wire = Wire::new(server.url());
    let (card, merchant) = (card("4242424242424242"), shop());
    let request = Request::Authorize {
        attempt: attempt(7),
        amount: AMOUNT,
        card: &card,
        merchant: &merchant,
        terms: Terms::default(),
    };
    let body = adapter().build(&request).body.into_bytes();
    let send = async |body: String| {
        let request = wire.client.post(format!("{}/payments", wire.url)).header("content-type", "application/json");
        request.header("x-api-key", "x").body(body).send().await.unwrap().status().as_u16()
    };
    let text = String::from_utf8(body).unwrap();
    assert_eq!(send(text.clone()).await, 200);
    for wrong in [text.replace("\"Moto\"", "\"MOTO\""), text.replace("\"value\":4200", "\"value\":\"42.00\"")] {
        assert!(send(wrong).await >= 400);
    }
}
