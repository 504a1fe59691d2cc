//! Session timers (RFC 4028) and UPDATE (RFC 3311), each as a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

#[path = "support/raw.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod raw;

use raw::{Raw, SDP, body, header, request, response};
use sip::{DialogId, Event};

/// The same response with further header lines.
fn with(response: &str, lines: &str) -> String {
    response.replacen("Contact:", &format!("{lines}Contact:"), 1)
}

/// A call of ours that the peer answered with these lines.
fn made(lines: &str) -> (Raw, DialogId) {
    let mut raw = Raw::new();
    let (id, invite) = raw.call();
    raw.receive(&with(&response(&invite, 200, "b", SDP), lines)).run(|endpoint, now| endpoint.ack(now, id, None));
    raw.heard();
    raw.sent.clear();
    (raw, id)
}

#[test]
fn an_invite_asks_for_half_an_hour_and_says_that_it_knows_timers() {
    let mut raw = Raw::new();
    let (_, invite) = raw.call();
    assert_eq!(
        (header(&invite, "Session-Expires"), header(&invite, "Supported")),
        ("1800", "timer, 100rel, replaces, norefersub")
    );
    assert_eq!(header(&invite, "Min-SE"), "", "90 is meant anyway");
}

#[test]
fn a_422_is_followed_once_with_what_it_demands() {
    let mut raw = Raw::new();
    let (id, first) = raw.call();
    raw.receive(&with(&response(&first, 422, "x", ""), "Min-SE: 3600\r\n"));
    let second = raw.last().to_owned();
    assert_eq!(raw.starts()[1..], ["ACK sip:bob@192.0.2.1", "INVITE sip:bob@192.0.2.1"]);
    assert_eq!((header(&second, "Session-Expires"), header(&second, "Min-SE")), ("3600", "3600"));
    assert_eq!((header(&second, "CSeq"), header(&second, "Call-ID")), ("2 INVITE", header(&first, "Call-ID")));
    assert_ne!(header(&second, "Via"), header(&first, "Via"));
    assert!(!header(&second, "To").contains("tag="), "the dialog has not begun");
    assert!(second.ends_with(SDP));
    raw.receive(&with(&response(&second, 422, "x", ""), "Min-SE: 3600\r\n"));
    assert_eq!(raw.heard(), ["Failed 422"], "who refuses what it has demanded is not asked again");
    assert!(raw.endpoint.reinvite(raw.now, id, None).is_err());
    let (id, first) = raw.call();
    raw.receive(&with(&response(&first, 422, "x", ""), "Min-SE: 3600\r\n"));
    let second = raw.last().to_owned();
    raw.receive(&response(&second, 180, "b", "")).run(|endpoint, now| endpoint.cancel(now, id));
    assert_eq!(header(raw.last(), "CSeq"), "2 CANCEL");
}

#[test]
fn a_short_interval_is_refused_with_ours() {
    let mut raw = Raw::new();
    raw.receive(&request("INVITE", "i1", "", 1, "Supported: timer\r\nSession-Expires: 60\r\n", SDP));
    assert_eq!(header(raw.last(), "Min-SE"), "90");
    assert_eq!((raw.starts(), raw.heard()), (vec!["422 Session Interval Too Small".to_owned()], vec![]));
}

#[test]
fn who_refreshes_does_so_by_update_at_half_time() {
    let (mut raw, _) = made("Allow: INVITE, UPDATE\r\nSession-Expires: 600;refresher=uac\r\n");
    raw.pass(299);
    assert_eq!(raw.starts(), [""; 0]);
    raw.pass(1);
    let update = raw.last().to_owned();
    assert_eq!(raw.starts(), ["UPDATE sip:bob@192.0.2.1:5062"]);
    assert_eq!((header(&update, "Session-Expires"), header(&update, "Content-Length")), ("600;refresher=uac", "0"));
    raw.receive(&with(&response(&update, 200, "", ""), "Session-Expires: 600;refresher=uac\r\n")).pass(299);
    assert_eq!((raw.starts(), raw.heard()), (vec![], vec![]));
    raw.pass(1);
    assert_eq!(raw.starts(), ["UPDATE sip:bob@192.0.2.1:5062"]);
}

#[test]
fn a_peer_without_update_is_refreshed_by_a_reinvite_of_the_application() {
    let (mut raw, id) = made("Session-Expires: 600;refresher=uac\r\n");
    raw.pass(300);
    assert_eq!((raw.starts(), raw.heard()), (vec![], vec!["RefreshDue".to_owned()]));
    raw.run(|endpoint, now| endpoint.reinvite(now, id, body()).unwrap());
    let reinvite = raw.last().to_owned();
    assert_eq!(header(&reinvite, "Session-Expires"), "600;refresher=uac");
    raw.receive(&with(&response(&reinvite, 200, "", SDP), "Session-Expires: 600;refresher=uac\r\n")).pass(299);
    assert_eq!(raw.heard(), ["ReinviteAnswered"]);
    let (mut raw, _) = made("Allow: UPDATE\r\nSession-Expires: 600;refresher=uac\r\n");
    raw.pass(300);
    let update = raw.last().to_owned();
    raw.receive(&response(&update, 501, "", ""));
    assert_eq!(raw.heard(), ["RefreshDue"], "what was allowed and is not done");
}

#[test]
fn a_refresh_that_is_refused_is_tried_again_and_the_session_ends_before_the_peers_does() {
    let (mut raw, _) = made("Allow: UPDATE\r\nSession-Expires: 600;refresher=uac\r\n");
    raw.pass(300);
    for _ in 0..26 {
        let update = raw.last().to_owned();
        assert!(update.starts_with("UPDATE"));
        raw.receive(&response(&update, 500, "", "")).pass(10);
    }
    assert_eq!(raw.heard(), [""; 0]);
    let update = raw.last().to_owned();
    raw.receive(&response(&update, 500, "", "")).pass(8);
    assert!(raw.last().starts_with("BYE"));
    assert_eq!(raw.heard(), ["Ended SessionExpired"]);
}

#[test]
fn a_session_that_the_peer_should_refresh_ends_if_it_does_not_and_goes_on_if_it_does() {
    let mut raw = Raw::new();
    raw.receive(&request("INVITE", "i1", "", 1, "Supported: timer\r\nSession-Expires: 600\r\n", SDP));
    let id = raw.events[0].dialog().unwrap();
    raw.run(|endpoint, now| endpoint.accept(now, id, body()));
    assert_eq!((header(raw.last(), "Session-Expires"), header(raw.last(), "Require")), ("600;refresher=uac", "timer"));
    let tag = header(raw.last(), "To").rsplit_once("tag=").unwrap().1.to_owned();
    raw.receive(&request("ACK", "a1", &tag, 1, "", "")).pass(500);
    raw.starts();
    let lines = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n";
    raw.receive(&request("UPDATE", "u1", &tag, 2, lines, ""));
    assert_eq!(header(raw.last(), "Session-Expires"), "600;refresher=uac");
    assert!(header(raw.last(), "Contact").contains("192.0.2.9"));
    raw.pass(567);
    assert_eq!(
        (raw.starts(), raw.heard()),
        (vec!["200 OK".to_owned()], vec!["Incoming".to_owned(), "Confirmed".to_owned()])
    );
    raw.pass(1);
    assert_eq!(
        (raw.starts(), raw.heard()),
        (vec!["BYE sip:peer@192.0.2.1:5062".to_owned()], vec!["Ended SessionExpired".to_owned()])
    );
    raw.pass(60);
    assert_eq!((raw.endpoint.dialogs(), raw.endpoint.transactions()), (0, 0));
}

#[test]
fn a_peer_without_timers_gets_none() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.pass(100_000);
    assert_eq!((raw.starts(), raw.heard()), (vec![], vec![]));
    let (mut made, _) = made("");
    made.pass(100_000);
    assert_eq!((made.starts(), made.heard()), (vec![], vec![]));
    raw.receive(&request("UPDATE", "u1", &tag, 2, "", ""));
    assert_eq!(header(raw.last(), "Session-Expires"), "");
    assert_eq!(raw.starts(), ["200 OK"]);
}

#[test]
fn an_update_without_an_offer_moves_the_target() {
    let mut raw = Raw::new();
    let (id, tag) = raw.take_call();
    raw.receive(&request("UPDATE", "u1", &tag, 2, "", "").replace("192.0.2.1:5062", "192.0.2.1:5099"));
    assert_eq!(raw.starts(), ["200 OK"]);
    raw.run(|endpoint, now| endpoint.bye(now, id));
    assert_eq!(raw.sent.last().unwrap().0, "192.0.2.1:5099".parse().unwrap());
}

#[test]
fn an_interval_that_the_peer_finds_short_later_is_raised_too() {
    let (mut raw, _) = made("Allow: UPDATE\r\nSession-Expires: 600;refresher=uac\r\n");
    raw.pass(300);
    let update = raw.last().to_owned();
    raw.receive(&with(&response(&update, 422, "", ""), "Min-SE: 1200\r\n"));
    let update = raw.last().to_owned();
    assert_eq!((header(&update, "Session-Expires"), header(&update, "Min-SE")), ("1200;refresher=uac", "1200"));
    assert_eq!(header(&update, "CSeq"), "3 UPDATE");
    raw.receive(&with(&response(&update, 200, "", ""), "Session-Expires: 1200;refresher=uac\r\n"));
    raw.starts();
    raw.pass(599);
    assert_eq!(raw.starts(), [""; 0]);
    raw.pass(1);
    assert_eq!(raw.starts().len(), 1);

    assert!(!raw.events.iter().any(|event| matches!(event, Event::Ended { .. })));
}
