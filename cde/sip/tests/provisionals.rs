//! Provisional responses that are acknowledged (RFC 3262) and offers by UPDATE (RFC 3311), each as a promise.
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
use sip::{Body, DialogId, Event};

const DEMAND: &str = "Require: 100rel\r\n";

/// A call that came and demands acknowledgments.
fn called(sdp: &str) -> (Raw, DialogId) {
    let mut raw = Raw::new();
    raw.receive(&request("INVITE", "i1", "", 1, DEMAND, sdp));
    let id = raw.events[0].dialog().unwrap();
    assert_eq!((raw.starts(), raw.heard()), (vec!["100 Trying".to_owned()], vec!["Incoming".to_owned()]));
    (raw, id)
}

fn our_tag(raw: &Raw) -> String {
    header(raw.last(), "To").rsplit_once("tag=").unwrap().1.to_owned()
}

/// The PRACK to what was sent last.
fn prack(raw: &Raw, cseq: u32) -> String {
    let rseq = header(raw.last(), "RSeq");
    request("PRACK", &format!("p{cseq}"), &our_tag(raw), cseq, &format!("RAck: {rseq} 1 INVITE\r\n"), "")
}

/// A provisional response of the peer that demands its acknowledgment.
fn reliable(invite: &str, status: u16, tag: &str, rseq: u32, body: &str) -> String {
    let lines = format!("{DEMAND}RSeq: {rseq}\r\nContact:");
    response(invite, status, tag, body).replacen("Contact:", &lines, 1)
}

#[test]
fn what_the_peer_demands_is_repeated_with_growing_gaps_until_it_is_acknowledged() {
    let (mut raw, id) = called(SDP);
    raw.run(|endpoint, now| endpoint.progress(now, id, 183, body())).pass(16);
    assert_eq!(header(raw.last(), "Require"), "100rel");
    assert!(header(raw.last(), "RSeq").parse::<u32>().unwrap() > 0);
    assert_eq!(raw.sent.len(), 6, "0, 0.5, 1.5, 3.5, 7.5, 15.5 s");
    let (first, ack) = (raw.sent[0].clone(), prack(&raw, 2));
    assert!(raw.sent.iter().all(|sent| *sent == first));
    raw.starts();
    raw.receive(&ack).receive(&ack).pass(40);
    assert_eq!(raw.starts(), ["200 OK", "200 OK"]);
    raw.receive(&ack.replace("zp2", "zp3").replace("z9hG4bKp2", "z9hG4bKp3").replace("CSeq: 2", "CSeq: 3"));
    assert_eq!(raw.starts(), ["481 Call/Transaction Does Not Exist"], "nothing is under way");
    assert!(raw.heard().is_empty());
}

#[test]
fn the_next_one_waits_and_so_does_the_2xx_behind_early_media() {
    let (mut raw, id) = called(SDP);
    raw.run(|endpoint, now| endpoint.progress(now, id, 183, body()));
    let (first, ack) = (raw.last().to_owned(), prack(&raw, 2));
    raw.run(|endpoint, now| endpoint.progress(now, id, 180, None))
        .run(|endpoint, now| endpoint.accept(now, id, body()));
    assert_eq!(raw.starts(), ["183 Session Progress"]);
    raw.receive(&ack);
    let ok = raw.last().to_owned();
    assert_eq!(raw.starts(), ["200 OK", "200 OK"], "of the PRACK, then of the INVITE");
    assert!(first.ends_with(SDP) && header(&ok, "CSeq") == "1 INVITE" && header(&ok, "Content-Length") == "0");
    let tag = header(&ok, "To").rsplit_once("tag=").unwrap().1.to_owned();
    raw.receive(&request("ACK", "a1", &tag, 1, "", ""));
    assert_eq!(raw.heard(), ["Confirmed"]);
}

#[test]
fn ringing_holds_nothing_back_and_numbers_go_up_by_one() {
    let (mut raw, id) = called(SDP);
    raw.run(|endpoint, now| endpoint.progress(now, id, 180, None));
    let (first, ack) = (header(raw.last(), "RSeq").parse::<u32>().unwrap(), prack(&raw, 2));
    raw.run(|endpoint, now| endpoint.progress(now, id, 183, body())).receive(&ack);
    assert_eq!(header(raw.last(), "RSeq").parse::<u32>().unwrap(), first + 1);
    assert_eq!(raw.starts(), ["180 Ringing", "200 OK", "183 Session Progress"]);
    let (mut raw, id) = called(SDP);
    raw.run(|endpoint, now| endpoint.progress(now, id, 180, None))
        .run(|endpoint, now| endpoint.accept(now, id, body()));
    assert!(raw.last().ends_with(SDP));
    raw.pass(3);
    assert_eq!(raw.starts(), ["180 Ringing", "200 OK", "200 OK", "200 OK"], "the 180 is not repeated any more");
}

#[test]
fn a_peer_that_does_not_acknowledge_is_refused_and_reported_once() {
    let (mut raw, id) = called(SDP);
    raw.run(|endpoint, now| endpoint.progress(now, id, 183, body()))
        .run(|endpoint, now| endpoint.accept(now, id, body()));
    raw.pass(32);
    assert!(raw.last().starts_with("SIP/2.0 504"));
    assert_eq!(raw.heard(), ["Cancelled"]);
    raw.pass(60);
    assert_eq!((raw.endpoint.dialogs(), raw.endpoint.transactions()), (0, 0));
}

#[test]
fn a_long_ringing_is_said_again_with_the_next_number() {
    let (mut raw, id) = called(SDP);
    raw.run(|endpoint, now| endpoint.progress(now, id, 180, None));
    let (first, ack) = (header(raw.last(), "RSeq").parse::<u32>().unwrap(), prack(&raw, 2));
    raw.receive(&ack).pass(60);
    assert_eq!(header(raw.last(), "RSeq").parse::<u32>().unwrap(), first + 1);
    assert_eq!(raw.starts(), ["180 Ringing", "200 OK", "180 Ringing"]);
}

#[test]
fn without_an_offer_nothing_is_said_that_would_need_one() {
    let (mut raw, id) = called("");
    raw.run(|endpoint, now| endpoint.progress(now, id, 180, None))
        .run(|endpoint, now| endpoint.accept(now, id, body()));
    assert_eq!(raw.starts(), ["200 OK"]);
}

#[test]
fn what_the_peer_wants_acknowledged_is_in_order_and_once() {
    let mut raw = Raw::new();
    let (id, invite) = raw.call();
    raw.starts();
    let ringing = reliable(&invite, 183, "b", 7000, SDP).replace("192.0.2.1:5062", "192.0.2.1:5077");
    raw.receive(&ringing);
    let ack = raw.last().to_owned();
    assert_eq!((header(&ack, "RAck"), header(&ack, "CSeq")), ("7000 1 INVITE", "2 PRACK"));
    assert!(header(&ack, "To").ends_with("tag=b"));
    assert_eq!(raw.sent.last().unwrap().0, "192.0.2.1:5077".parse().unwrap(), "the Contact of that response");
    raw.receive(&ringing)
        .receive(&reliable(&invite, 180, "b", 7002, ""))
        .receive(&reliable(&invite, 180, "b", 7001, ""));
    assert_eq!(raw.starts(), ["PRACK sip:bob@192.0.2.1:5077", "PRACK sip:bob@192.0.2.1:5062"]);
    assert_eq!(raw.heard(), ["Progress 183", "Progress 180"]);
    raw.receive(&reliable(&invite, 183, "other", 1, SDP));
    assert!(header(raw.last(), "To").ends_with("tag=other"), "each fork counts for itself");
    raw.receive(&response(&invite, 200, "b", "")).run(|endpoint, now| endpoint.ack(now, id, None));
    assert_eq!(header(raw.last(), "CSeq"), "1 ACK");
}

#[test]
fn a_late_offer_asks_for_no_acknowledged_ringing() {
    let mut raw = Raw::new();
    let uri: sip::Uri = "sip:bob@192.0.2.1".parse().unwrap();
    let (from, to) = (sip::NameAddr::new(uri.clone()), sip::NameAddr::new(uri.clone()));
    let (destination, headers, body, credentials) = (None, Vec::new(), None, None);
    let invite = sip::Invite { target: uri, destination, tcp_when_large: false, from, to, headers, body, credentials };
    raw.run(|endpoint, now| assert!(endpoint.invite(now, invite).is_ok()));
    assert_eq!(header(raw.last(), "Supported"), "timer, replaces, norefersub");
}

#[test]
fn an_offer_by_update_is_answered_in_its_200_and_refused_by_its_status() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.receive(&request("UPDATE", "u1", &tag, 2, "", SDP));
    let Event::Update { request: asked, body: offer, .. } = raw.events[0].clone() else { panic!() };
    assert_eq!(offer.as_bytes(), SDP.as_bytes());
    raw.receive(&request("UPDATE", "u2", &tag, 3, "", SDP)).receive(&request("INVITE", "r1", &tag, 4, "", SDP));
    assert!(!header(raw.last(), "Retry-After").is_empty());
    assert_eq!(raw.starts(), ["500 Server Internal Error", "500 Server Internal Error"]);
    raw.run(|endpoint, now| endpoint.accept_update(now, asked, Body::from(SDP.as_bytes())));
    assert!(
        raw.last().starts_with("SIP/2.0 200") && raw.last().ends_with(SDP) && header(raw.last(), "CSeq") == "2 UPDATE"
    );
    raw.heard();
    raw.receive(&request("UPDATE", "u3", &tag, 5, "", SDP));
    let Event::Update { request: asked, .. } = raw.events[0].clone() else { panic!() };
    raw.run(|endpoint, now| endpoint.respond(now, asked, 488));
    assert!(raw.last().starts_with("SIP/2.0 488"));
    raw.heard();
    raw.receive(&request("UPDATE", "u4", &tag, 6, "", SDP)).pass(11);
    assert!(raw.last().starts_with("SIP/2.0 500"));
    assert_eq!(raw.heard(), ["Update", "ReinviteCancelled"]);
}

#[test]
fn an_update_that_meets_an_offer_of_ours_is_glare() {
    let mut raw = Raw::new();
    let (id, tag) = raw.take_call();
    raw.run(|endpoint, now| endpoint.reinvite(now, id, body()).unwrap());
    raw.starts();
    raw.receive(&request("UPDATE", "u1", &tag, 2, "", SDP)).receive(&request("UPDATE", "u2", &tag, 3, "", ""));
    assert_eq!(raw.starts(), ["491 Request Pending", "200 OK"], "without an offer there is no glare");
}

#[test]
fn before_the_answer_an_update_may_come_once_the_first_offer_is_answered() {
    let (mut raw, id) = called(SDP);
    raw.run(|endpoint, now| endpoint.progress(now, id, 183, body()));
    let (tag, ack) = (our_tag(&raw), prack(&raw, 3));
    raw.receive(&request("UPDATE", "u1", &tag, 2, "", SDP)).receive(&ack);
    raw.receive(&request("UPDATE", "u2", &tag, 4, "", SDP));
    assert_eq!(raw.starts(), ["183 Session Progress", "500 Server Internal Error", "200 OK"]);
    assert_eq!(raw.heard(), ["Update"]);
    let mut raw = Raw::new();
    let (_, invite) = raw.call();
    let ours = header(&invite, "From").rsplit_once("tag=").unwrap().1;
    let theirs = |branch: &str, cseq| {
        request("UPDATE", branch, ours, cseq, "", SDP)
            .replace("tag=p", "tag=b")
            .replace("Call-ID: c1", &format!("Call-ID: {}", header(&invite, "Call-ID")))
    };
    raw.receive(&response(&invite, 180, "b", "")).receive(&theirs("u1", 1));
    raw.receive(&reliable(&invite, 183, "b", 1, SDP)).receive(&theirs("u2", 2));
    assert!(raw.starts().contains(&"491 Request Pending".to_owned()));
    assert_eq!(raw.heard(), ["Progress 180", "Progress 183", "Update"]);
}
