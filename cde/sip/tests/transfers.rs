//! REFER (RFC 3515, RFC 4488), Replaces (RFC 3891) and 3xx, each as a promise.
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

use raw::{Raw, SDP, header, request, response};
use sip::{DialogId, Event, Refer, RequestId};

/// What the last event asks for.
fn asked(raw: &Raw) -> (DialogId, RequestId, Refer) {
    let Some(Event::Refer { dialog, request, refer }) = raw.events.last().cloned() else { panic!() };
    (dialog, request, refer)
}

fn refer(branch: &str, tag: &str, cseq: u32, lines: &str) -> String {
    request("REFER", branch, tag, cseq, lines, "")
}

#[test]
fn who_asks_for_a_transfer_is_told_how_it_goes_one_after_the_other() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.receive(&refer("r1", &tag, 2, "Refer-To: \"Bob\" <sip:bob@192.0.2.7>\r\n"));
    let (id, number, asked_for) = asked(&raw);
    assert_eq!((asked_for.target.user(), asked_for.ours, asked_for.replaces.as_deref()), (Some("bob"), None, None));
    raw.run(|endpoint, now| endpoint.respond(now, number, 202));
    for status in [100, 180, 200] {
        raw.run(|endpoint, now| endpoint.notify(now, id, &asked_for, status));
    }
    let notify = "NOTIFY sip:peer@192.0.2.1:5062".to_owned();
    let first = raw.last().to_owned();
    assert_eq!(raw.starts(), ["202 Accepted".to_owned(), notify.clone()], "the next waits for the answer");
    raw.receive(&response(&first, 200, "", ""));
    let second = raw.last().to_owned();
    raw.receive(&response(&second, 200, "", ""));
    assert_eq!(raw.starts(), [notify.clone(), notify]);
}

#[test]
fn news_have_the_form_that_transferors_read() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.receive(&refer("r1", &tag, 2, "Refer-To: <sip:bob@192.0.2.7>\r\n"));
    let (id, number, first) = asked(&raw);
    raw.run(|endpoint, now| endpoint.respond(now, number, 202));
    for (status, text, state) in [
        (100, "SIP/2.0 100 Trying\r\n", "active;expires=120"),
        (486, "SIP/2.0 486 Busy Here\r\n", "terminated;reason=noresource"),
    ] {
        raw.run(|endpoint, now| endpoint.notify(now, id, &first, status));
        let news = raw.last().to_owned();
        assert!(news.starts_with("NOTIFY sip:peer@192.0.2.1:5062 SIP/2.0") && news.ends_with(text), "{news}");
        assert_eq!((header(&news, "Event"), header(&news, "Subscription-State")), ("refer", state));
        assert_eq!(header(&news, "Content-Type"), "message/sipfrag;version=2.0");
        assert!(!header(&news, "Contact").is_empty());
        raw.receive(&response(&news, 481, "", ""));
    }
    raw.receive(&refer("r2", &tag, 7, "Refer-To: <sip:bob@192.0.2.7>\r\n"));
    let (_, _, second) = asked(&raw);
    raw.run(|endpoint, now| endpoint.notify(now, id, &second, 100));
    assert_eq!(header(raw.last(), "Event"), "refer;id=7", "the second is told from the first");
    raw.run(|endpoint, now| endpoint.bye(now, id));
    assert!(raw.last().starts_with("BYE"), "news that nobody takes end no call");
}

/// PJSIP's phone was never told that its transfer had succeeded: the colleague answered before it had answered the first
/// news, and the call ended with the others waiting.
#[test]
fn how_a_transfer_ended_is_said_before_the_call_ends() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.receive(&refer("r1", &tag, 2, "Refer-To: <sip:bob@192.0.2.7>\r\n"));
    let (id, number, asked_for) = asked(&raw);
    raw.run(|endpoint, now| endpoint.respond(now, number, 202));
    for status in [100, 180, 200] {
        raw.run(|endpoint, now| endpoint.notify(now, id, &asked_for, status));
    }
    let first = raw.last().to_owned();
    raw.starts();
    raw.run(|endpoint, now| endpoint.bye(now, id));
    let news = raw.sent.iter().rev().nth(1).unwrap();
    assert!(news.1.ends_with("SIP/2.0 200 OK\r\n"), "{}", news.1);
    let ends = ["NOTIFY sip:peer@192.0.2.1:5062".to_owned(), "BYE sip:peer@192.0.2.1:5062".to_owned()];
    assert_eq!(raw.starts(), ends, "what it is not yet told of the way there is left out");
    raw.receive(&response(&first, 200, "", ""));
    assert!(raw.starts().is_empty());
}

#[test]
fn who_wants_no_news_gets_none() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    let lines = "Refer-To: <sip:bob@192.0.2.7>\r\nRefer-Sub: false\r\nRequire: norefersub\r\n";
    raw.receive(&refer("r1", &tag, 2, lines));
    let (id, number, asked_for) = asked(&raw);
    raw.run(|endpoint, now| endpoint.respond(now, number, 202));
    assert_eq!(header(raw.last(), "Refer-Sub"), "false");
    raw.run(|endpoint, now| endpoint.notify(now, id, &asked_for, 200));
    assert_eq!(raw.starts(), ["202 Accepted"]);
}

#[test]
fn a_transfer_that_names_nobody_or_belongs_to_no_call_is_refused() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.receive(&refer("r1", &tag, 2, ""));
    raw.receive(&refer("r2", &tag, 3, "Refer-To: <sip:a@b>, <sip:c@d>\r\n"));
    raw.receive(&refer("r3", "", 4, "Refer-To: <sip:a@b>\r\n"));
    assert_eq!(raw.starts(), ["400 Bad Request", "400 Bad Request", "403 Forbidden"]);
    assert!(raw.heard().is_empty());
}

#[test]
fn a_dialog_of_ours_is_found_by_its_name_and_somebody_elses_is_passed_on() {
    let mut raw = Raw::new();
    let (id, tag) = raw.take_call();
    let ours = format!("Refer-To: <sip:x@192.0.2.9?Replaces=c1%3Bto-tag%3D{tag}%3Bfrom-tag%3Dp&Subject=1>\r\n");
    raw.receive(&refer("r1", &tag, 2, &ours));
    assert_eq!((asked(&raw).2.ours, asked(&raw).2.replaces), (Some(id), None));
    let theirs = "Refer-To: <sip:x@192.0.2.9?replaces=c9%3Bto-tag%3D1%3Bfrom-tag%3Dp>\r\n";
    raw.receive(&refer("r2", &tag, 3, theirs));
    assert_eq!((asked(&raw).2.ours, asked(&raw).2.replaces.as_deref()), (None, Some("c9;to-tag=1;from-tag=p")));
}

#[test]
fn an_invite_names_the_dialog_whose_place_it_takes() {
    let mut raw = Raw::new();
    let (id, tag) = raw.take_call();
    let invite = |n: u32, replaces: &str| {
        let text = request("INVITE", &format!("n{n}"), "", 1, &format!("Replaces: {replaces}\r\n"), SDP);
        text.replace("Call-ID: c1", &format!("Call-ID: other{n}"))
    };
    raw.receive(&invite(1, &format!("c1;from-tag=p;to-tag={tag}")));
    let Some(Event::Incoming { invite: taken, .. }) = raw.events.last() else { panic!() };
    assert_eq!(taken.replaces, Some(id));
    raw.heard();
    raw.starts();
    for (n, replaces, status) in [
        (2, format!("c1;from-tag=q;to-tag={tag}"), "481"),
        (3, format!("c1;from-tag=p;to-tag={tag};early-only"), "486"),
        (4, "c1".to_owned(), "400"),
    ] {
        raw.receive(&invite(n, &replaces));
        assert_eq!(raw.starts()[0][..3], *status, "{replaces}");
    }
    assert!(raw.heard().is_empty());
}

#[test]
fn a_3xx_tells_where_the_call_should_go_and_dials_nothing() {
    let mut raw = Raw::new();
    let (_, invite) = raw.call();
    let many = (1..=9).map(|n| format!("<sip:{n}@192.0.2.8>;q=0.{n}")).collect::<Vec<_>>().join(", ");
    raw.receive(&response(&invite, 302, "t", "").replace("<sip:bob@192.0.2.1:5062>", &many));
    let Some(Event::Failed { status: 302, contacts, .. }) = raw.events.last() else { panic!() };
    assert_eq!(contacts.iter().filter_map(|uri| uri.user()).collect::<Vec<_>>(), ["1", "2", "3", "4", "5"]);
    assert_eq!(raw.starts(), ["INVITE sip:bob@192.0.2.1", "ACK sip:bob@192.0.2.1"]);
}
