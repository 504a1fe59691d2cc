//! What other stacks got wrong, and what RFC 3261 says of races, each as a promise.
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
use sip::{Body, Event};

#[test]
fn a_retransmitted_invite_after_ack_makes_no_second_call() {
    let mut raw = Raw::new();
    raw.take_call();
    raw.receive(&request("INVITE", "i1", "", 1, "", SDP)).pass(10);
    assert_eq!((raw.starts(), raw.heard()), (vec![], vec![]));
}

#[test]
fn a_merged_invite_is_refused() {
    let mut raw = Raw::new();
    raw.receive(&request("INVITE", "i1", "", 1, "", SDP)).receive(&request("INVITE", "other", "", 1, "", SDP));
    assert_eq!(raw.starts(), ["100 Trying", "482 Loop Detected"]);
}

#[test]
fn a_bye_after_a_cseq_gap_is_answered_and_a_stale_request_is_500() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.receive(&request("INFO", "b1", &tag, 40, "", "5"));
    raw.receive(&request("INFO", "b2", &tag, 39, "", "6"));
    raw.receive(&request("BYE", "b3", &tag, 900, "", ""));
    assert_eq!(raw.starts(), ["500 Server Internal Error", "200 OK"]);
    assert_eq!(raw.heard(), ["Request", "InfoOvertaken", "Ended Bye"], "what a stale INFO said is known to be lost");
    raw.receive(&request("BYE", "b3", &tag, 900, "", "")).receive(&request("BYE", "b4", &tag, 901, "", ""));
    assert_eq!(raw.starts(), ["200 OK", "481 Call/Transaction Does Not Exist"]);
}

#[test]
fn back_to_back_infos_are_all_reported_in_order_and_answerable() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    for n in 0..20 {
        raw.receive(&request(
            "INFO",
            &format!("b{n}"),
            &tag,
            2 + n,
            "Content-Type: application/dtmf\r\n",
            &n.to_string(),
        ));
    }
    let events = std::mem::take(&mut raw.events);
    for (n, event) in events.iter().enumerate() {
        let Event::Request { request, body, content_type, .. } = event else { panic!() };
        assert_eq!((body.as_bytes(), content_type.as_deref()), (n.to_string().as_bytes(), Some("application/dtmf")));
        assert!(!format!("{event:?} {body:?}").contains(&format!("({n})")));
        raw.run(|endpoint, now| endpoint.respond(now, *request, 200));
    }
    assert_eq!(raw.starts(), vec!["200 OK"; 20]);
}

#[test]
fn an_info_that_the_application_forgets_is_answered_500() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.receive(&request("INFO", "b1", &tag, 2, "", "5")).pass(11);
    assert_eq!(raw.starts(), ["500 Server Internal Error"]);
}

#[test]
fn the_2xx_is_repeated_for_64_t1_and_then_the_call_is_ended_once() {
    let mut raw = Raw::new();
    raw.receive(&request("INVITE", "i1", "", 1, "", SDP));
    let id = raw.events[0].dialog().unwrap();
    raw.run(|endpoint, now| endpoint.accept(now, id, body())).pass(31);
    let starts = raw.starts();
    // 0.5, 1.5, 3.5, 7.5, then every 4 s.
    assert_eq!(starts.iter().filter(|s| *s == "200 OK").count(), 1 + 9);
    raw.pass(2);
    assert_eq!(raw.starts()[..2], ["200 OK", "BYE sip:peer@192.0.2.1:5062"]);
    raw.pass(100);
    assert_eq!(raw.heard(), ["Incoming", "Ended AckTimeout"]);
    assert_eq!((raw.endpoint.dialogs(), raw.endpoint.transactions()), (0, 0));
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    let mut raw = Raw::new();
    raw.receive(&request("INVITE", "i1", "", 1, "", SDP));
    let id = raw.events[0].dialog().unwrap();
    raw.run(|endpoint, now| endpoint.accept(now, id, body()));
    let tag = header(raw.last(), "To").rsplit_once("tag=").unwrap().1.to_owned();
    raw.run(|endpoint, now| endpoint.bye(now, id)).run(|endpoint, now| endpoint.bye(now, id));
    assert_eq!(raw.starts(), ["100 Trying", "200 OK"]);
    raw.receive(&request("ACK", "a1", &tag, 1, "", ""));
    assert_eq!(
        (raw.starts(), raw.heard()),
        (vec!["BYE sip:peer@192.0.2.1:5062".to_owned()], vec!["Incoming".to_owned()])
    );
}

#[test]
fn every_repeated_2xx_is_acknowledged_again() {
    let mut raw = Raw::new();
    let (_, invite) = raw.make_call();
    for _ in 0..3 {
        raw.receive(&response(&invite, 200, "b", SDP));
    }
    assert_eq!(raw.starts(), vec!["ACK sip:bob@192.0.2.1:5062"; 3]);
    assert!(raw.heard().is_empty());
    assert_eq!(raw.endpoint.stats().retransmissions, 3);
}

#[test]
fn a_forked_2xx_is_acknowledged_and_ended() {
    let mut raw = Raw::new();
    let (_, invite) = raw.make_call();
    raw.receive(&response(&invite, 200, "fork", SDP));
    assert!(raw.sent.iter().all(|(_, text)| header(text, "To").ends_with("tag=fork")));
    assert_eq!(raw.starts(), ["ACK sip:bob@192.0.2.1:5062", "BYE sip:bob@192.0.2.1:5062"]);
    raw.receive(&response(&invite, 200, "fork", SDP));
    assert_eq!((raw.starts(), raw.heard()), (vec!["ACK sip:bob@192.0.2.1:5062".to_owned()], vec![]));
    for n in 0..20 {
        raw.receive(&response(&invite, 200, &format!("flood{n}"), SDP));
    }
    assert_eq!(raw.starts().len(), 2 * (8 - 2), "no more than eight answers are dealt with");
}

#[test]
fn the_tag_of_the_2xx_wins_over_that_of_the_ringing() {
    let mut raw = Raw::new();
    let (id, invite) = raw.call();
    raw.receive(&response(&invite, 180, "early", "")).receive(&response(&invite, 200, "late", SDP));
    raw.run(|endpoint, now| endpoint.ack(now, id, None)).run(|endpoint, now| endpoint.bye(now, id));
    assert!(header(raw.last(), "To").ends_with("tag=late"));
    assert_eq!(raw.heard(), ["Progress 180", "Answered"]);
}

#[test]
fn cancel_waits_for_a_provisional_and_shares_the_branch() {
    let mut raw = Raw::new();
    let (id, invite) = raw.call();
    raw.run(|endpoint, now| endpoint.cancel(now, id));
    assert_eq!(raw.starts(), ["INVITE sip:bob@192.0.2.1"]);
    raw.receive(&response(&invite, 100, "", ""));
    assert_eq!(header(raw.last(), "Via"), header(&invite, "Via"));
    assert_eq!(header(raw.last(), "CSeq"), "1 CANCEL");
    raw.receive(&response(&invite, 487, "b", ""));
    assert_eq!(raw.starts(), ["CANCEL sip:bob@192.0.2.1", "ACK sip:bob@192.0.2.1"]);
    assert!(raw.heard().is_empty());
}

#[test]
fn a_2xx_that_wins_against_cancel_is_acknowledged_and_ended() {
    let mut raw = Raw::new();
    let (id, invite) = raw.call();
    raw.receive(&response(&invite, 180, "b", ""));
    raw.run(|endpoint, now| endpoint.cancel(now, id)).receive(&response(&invite, 200, "b", SDP));
    let starts = raw.starts();
    assert_eq!(starts[2..], ["ACK sip:bob@192.0.2.1:5062", "BYE sip:bob@192.0.2.1:5062"]);
    assert_eq!(raw.heard(), ["Progress 180"]);
    let (id, invite) = raw.call();
    raw.receive(&response(&invite, 200, "b", SDP)).run(|endpoint, now| endpoint.cancel(now, id));
    assert_eq!(raw.starts()[1..], ["ACK sip:bob@192.0.2.1:5062", "BYE sip:bob@192.0.2.1:5062"]);
}

#[test]
fn a_cancelled_call_is_gone_and_a_late_cancel_changes_nothing() {
    let mut raw = Raw::new();
    raw.receive(&request("INVITE", "i1", "", 1, "", SDP)).receive(&request("CANCEL", "i1", "", 1, "", ""));
    assert_eq!(raw.starts(), ["100 Trying", "200 OK", "487 Request Terminated"]);
    raw.pass(1);
    assert_eq!(raw.starts(), ["487 Request Terminated"]);
    raw.receive(&request("ACK", "i1", "x", 1, "", "")).pass(60);
    assert_eq!((raw.starts(), raw.heard()), (vec![], vec!["Incoming".to_owned(), "Cancelled".to_owned()]));
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.receive(&request("CANCEL", "i1", "", 1, "", "")).receive(&request("CANCEL", "nix", &tag, 9, "", ""));
    assert_eq!(raw.starts(), ["200 OK", "481 Call/Transaction Does Not Exist"]);
    assert!(raw.heard().is_empty());
}

#[test]
fn glare_is_491_both_ways_with_a_hint_when_to_try_again() {
    let mut raw = Raw::new();
    let (id, _) = raw.make_call();
    raw.run(|endpoint, now| endpoint.reinvite(now, id, body()).unwrap());
    let ours = raw.last().to_owned();
    let tag = header(&ours, "From").rsplit_once("tag=").unwrap().1.to_owned();
    let theirs = request("INVITE", "g1", &tag, 7, "", SDP)
        .replace("tag=p", "tag=b")
        .replace("Call-ID: c1", &format!("Call-ID: {}", header(&ours, "Call-ID")));
    raw.receive(&theirs).receive(&response(&ours, 491, "", ""));
    assert_eq!(raw.starts()[1..], ["491 Request Pending", "ACK sip:bob@192.0.2.1:5062"]);
    let Event::ReinviteFailed { status: 491, retry_after: Some(wait), .. } = raw.events[0] else { panic!() };
    assert!((2100..=4000).contains(&wait.as_millis()));
    // A duplicate of the refused re-INVITE is no new one.
    raw.heard();
    raw.receive(&theirs);
    assert_eq!((raw.starts(), raw.heard()), (vec!["491 Request Pending".to_owned()], vec![]));
}

#[test]
fn the_ack_of_a_reinvite_has_its_cseq_and_targets_the_new_contact() {
    let mut raw = Raw::new();
    let (id, _) = raw.make_call();
    raw.run(|endpoint, now| endpoint.reinvite(now, id, None).unwrap());
    let answer = response(raw.last(), 200, "", SDP).replace("192.0.2.1:5062", "192.0.2.1:5099");
    raw.receive(&answer);
    assert_eq!(raw.heard(), ["ReinviteAnswered"]);
    raw.run(|endpoint, now| endpoint.ack(now, id, body()));
    assert_eq!((header(raw.last(), "CSeq"), raw.sent.last().unwrap().0), ("2 ACK", "192.0.2.1:5099".parse().unwrap()));
    assert!(raw.last().ends_with(SDP), "the late answer stands in the ACK");
}

#[test]
fn a_contact_that_changes_with_the_peers_reinvite_is_followed() {
    let mut raw = Raw::new();
    let (id, tag) = raw.take_call();
    raw.receive(&request("INVITE", "r1", &tag, 2, "", SDP).replace("192.0.2.1:5062", "192.0.2.1:5099"));
    raw.run(|endpoint, now| endpoint.accept(now, id, body())).receive(&request("ACK", "r2", &tag, 2, "", ""));
    raw.run(|endpoint, now| endpoint.bye(now, id));
    assert_eq!(raw.starts().last().unwrap(), "BYE sip:peer@192.0.2.1:5099");
    assert_eq!(raw.sent.len(), 0);
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut raw = Raw::new();
    raw.receive(&request("INVITE", "i1", "", 1, "", ""));
    let Event::Incoming { dialog: id, invite, .. } = raw.events[0].clone() else { panic!() };
    assert!(invite.body.is_none());
    raw.run(|endpoint, now| endpoint.accept(now, id, body()));
    let tag = header(raw.last(), "To").rsplit_once("tag=").unwrap().1.to_owned();
    raw.receive(&request("ACK", "a1", &tag, 1, "", SDP)).receive(&request("ACK", "a1", &tag, 1, "", SDP));
    let [_, Event::Confirmed { body: Some(answer), .. }] = raw.events.as_slice() else { panic!() };
    assert_eq!(answer.as_bytes(), SDP.as_bytes());
}

#[test]
fn unsupported_methods_and_extensions_are_named() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    for method in ["MESSAGE", "PUBLISH", "NOTIFY", "SUBSCRIBE"] {
        raw.receive(&request(method, method, &tag, 2, "", ""));
        assert_eq!(header(raw.last(), "Allow"), "INVITE, ACK, BYE, CANCEL, INFO, OPTIONS, UPDATE, PRACK, REFER");
    }
    raw.receive(&request("INVITE", "r1", "", 1, "Require: 100rel, x\r\n", SDP));
    assert_eq!(header(raw.last(), "Unsupported"), "x", "100rel is known");
    raw.receive(&request("OPTIONS", "o1", &tag, 3, "", "")).receive(&request("OPTIONS", "o2", "", 3, "", ""));
    assert_eq!(header(raw.last(), "Accept"), "application/sdp");
    raw.receive(&request("INFO", "x1", "", 3, "", "")).receive(&request(
        "INVITE",
        "m",
        "",
        9,
        "Max-Forwards: 0\r\n",
        "",
    ));
    let statuses: Vec<String> = raw.starts().iter().map(|s| s[..3].to_owned()).collect();
    assert_eq!(statuses, ["405", "405", "405", "405", "420", "200", "200", "481", "400"]);
}

#[test]
fn a_full_endpoint_refuses_calls_and_still_hangs_up() {
    let mut raw = Raw::new();
    let limits = sip::Config { dialogs_max: 1, ..raw::config("192.0.2.9:5060") };
    raw.endpoint = sip::Endpoint::new(limits, [1; 32]);
    let (_, tag) = raw.take_call();
    raw.receive(&request("INVITE", "i2", "", 1, "", SDP).replace("Call-ID: c1", "Call-ID: c2"));
    assert!(!header(raw.last(), "Retry-After").is_empty());
    raw.receive(&request("BYE", "b1", &tag, 2, "", ""));
    assert_eq!(raw.starts(), ["503 Service Unavailable", "200 OK"]);
    assert_eq!(raw.endpoint.stats().overload_refusals, 1);
}

#[test]
fn a_lost_peer_ends_the_dialog_once() {
    let mut raw = Raw::new();
    let (id, _) = raw.make_call();
    let info = |raw: &mut Raw| raw.endpoint.info(raw.now, id, "application/dtmf", Body::from(&b"1"[..]));
    info(&mut raw).unwrap();
    info(&mut raw).unwrap();
    raw.pass(0);
    assert!(raw.endpoint.info(raw.now, sip::DialogId::clone(&id), "a/b", Body::default()).is_ok());
    raw.pass(100);
    assert_eq!(raw.heard(), ["RequestAnswered 408", "Ended RequestTimeout"]);
    assert!(info(&mut raw).is_err());
    let (id, invite) = raw.call();
    raw.receive(&response(&invite, 200, "b", SDP)).run(|endpoint, now| endpoint.ack(now, id, None));
    raw.endpoint.info(raw.now, id, "a/b", Body::default()).unwrap();
    raw.pass(1);
    let info = raw.last().to_owned();
    raw.receive(&response(&info, 481, "", ""));
    assert!(raw.last().starts_with("BYE"));
    raw.heard();
}

#[test]
fn an_info_that_was_taken_back_is_neither_sent_nor_repeated_and_the_dialog_goes_on() {
    let mut raw = Raw::new();
    let (id, _) = raw.make_call();
    for key in [b"1", b"2", b"3"] {
        raw.run(|endpoint, now| assert!(endpoint.info(now, id, "application/dtmf", Body::from(&key[..])).is_ok()));
    }
    let first = raw.last().to_owned();
    assert_eq!(raw.starts().len(), 1, "the others wait for the answer to the first");
    raw.run(|endpoint, now| endpoint.take_back_infos(now, id)).pass(100);
    assert_eq!(raw.starts(), [""; 0]);
    raw.receive(&response(&first, 200, "b", ""));
    assert_eq!(raw.heard(), [""; 0], "its answer finds nobody, and the dialog stands");
    raw.run(|endpoint, now| endpoint.bye(now, id));
    assert!(raw.last().starts_with("BYE"));
}

#[test]
fn an_unanswered_invite_fails_with_408_and_timer_c_cancels_a_silent_one() {
    let mut raw = Raw::new();
    raw.call();
    raw.pass(33);
    assert_eq!(raw.starts().len(), 7, "timer A: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s");
    assert_eq!(raw.heard(), ["Failed 408"]);
    let (_, invite) = raw.call();
    raw.receive(&response(&invite, 180, "b", "")).pass(170).receive(&response(&invite, 180, "b", "")).pass(170);
    assert_eq!(raw.starts(), ["INVITE sip:bob@192.0.2.1"]);
    raw.pass(11);
    assert!(raw.starts().iter().all(|start| start.starts_with("CANCEL")));
}

#[test]
fn requests_follow_loose_and_strict_routes() {
    for (record, start, route) in [
        ("<sip:192.0.2.50;lr>", "BYE sip:peer@192.0.2.1:5062 SIP/2.0", "<sip:192.0.2.50;lr>"),
        ("<sip:192.0.2.50>", "BYE sip:192.0.2.50 SIP/2.0", "<sip:peer@192.0.2.1:5062>"),
    ] {
        let mut raw = Raw::new();
        raw.receive(&request("INVITE", "i1", "", 1, &format!("Record-Route: {record}\r\n"), SDP));
        let id = raw.events[0].dialog().unwrap();
        raw.run(|endpoint, now| endpoint.accept(now, id, body()));
        assert_eq!(header(raw.last(), "Record-Route"), record);
        let tag = header(raw.last(), "To").rsplit_once("tag=").unwrap().1.to_owned();
        raw.receive(&request("ACK", "a1", &tag, 1, "", "")).run(|endpoint, now| endpoint.bye(now, id));
        assert_eq!((raw.last().lines().next().unwrap(), header(raw.last(), "Route")), (start, route));
        assert_eq!(raw.sent.last().unwrap().0, "192.0.2.50:5060".parse().unwrap());
    }
}

#[test]
fn no_header_of_the_application_can_start_a_line_of_its_own() {
    let mut raw = Raw::new();
    raw.receive(&request("INVITE", "i1", "", 1, "", SDP));
    let id = raw.events[0].dialog().unwrap();
    let headers = vec![
        ("X-A".to_owned(), b"1\r\nEvil: 1".to_vec()),
        ("X B: 2\r\nEvil".to_owned(), b"1".to_vec()),
        ("Via".to_owned(), b"SIP/2.0/UDP evil".to_vec()),
    ];
    raw.run(|endpoint, now| endpoint.reject(now, id, 486, Some("Busy\r\nEvil: 1"), headers));
    assert!(!raw.last().contains("\nEvil") && !raw.last().contains("UDP evil"));
    assert_eq!(header(raw.last(), "X-A"), "1  Evil: 1");
}

#[test]
fn nothing_prints_a_digit() {
    let mut raw = Raw::new();
    let text = request("INVITE", "i1", "", 1, "", SDP)
        .replace("sip:us@", "sip:4929123:99@")
        .replace("Max-", "X-Key: 4929\r\nMax-");
    raw.receive(&text);
    let Event::Incoming { invite, .. } = &raw.events[0] else { panic!() };
    let parsed = sip::message::parse(text.as_bytes()).unwrap();
    assert!(!format!("{invite:?} {parsed:?} {:?}", invite.uri).contains("4929"));
    assert_eq!(format!("{:?}", raw.events[0]), "Incoming #1");
    assert_eq!(format!("{invite:?}"), "IncomingInvite(1 headers, Some(Body(87 bytes)))");
}

#[test]
fn keep_alives_and_noise_are_met_with_silence_and_malformed_requests_are_not() {
    let mut raw = Raw::new();
    raw.receive("\r\n\r\n").receive("\0\x01\0\0!\x12").receive("SIP/2.0 200 OK\r\n\r\n");
    assert!(raw.sent.is_empty());
    assert_eq!((raw.endpoint.stats().malformed, raw.endpoint.stats().dropped_responses), (2, 1));
    raw.receive(&request("BYE", "b", "", 1, "Broken\r\n", "")).receive(&request("ACK", "b", "", 1, "Broken\r\n", ""));
    assert_eq!(raw.starts(), ["400 Malformed header line"]);
}

#[test]
fn a_reinvite_of_the_peer_is_accepted_refused_or_withdrawn_and_the_call_stands() {
    let mut raw = Raw::new();
    let (id, tag) = raw.take_call();
    raw.receive(&request("INVITE", "r1", &tag, 2, "", SDP)).receive(&request("INVITE", "r2", &tag, 3, "", SDP));
    assert_eq!(raw.starts(), ["100 Trying", "500 Server Internal Error"]);
    raw.run(|endpoint, now| endpoint.accept(now, id, body())).receive(&request("ACK", "r3", &tag, 2, "", ""));
    assert_eq!(
        (raw.starts(), raw.heard()),
        (vec!["200 OK".to_owned()], vec!["Reinvite".to_owned(), "Confirmed".to_owned()])
    );
    raw.receive(&request("INVITE", "r4", &tag, 4, "", SDP));
    raw.run(|endpoint, now| endpoint.reject(now, id, 488, None, Vec::new()));
    raw.receive(&request("ACK", "r4", &tag, 4, "", ""));
    raw.receive(&request("INVITE", "r5", &tag, 5, "", SDP)).receive(&request("CANCEL", "r5", &tag, 5, "", ""));
    raw.receive(&request("ACK", "r5", &tag, 5, "", ""));
    let expected = ["100 Trying", "488 Not Acceptable Here", "100 Trying", "200 OK", "487 Request Terminated"];
    assert_eq!(raw.starts(), expected);
    assert_eq!(raw.heard(), ["Reinvite", "Reinvite", "ReinviteCancelled"]);
    raw.run(|endpoint, now| endpoint.accept(now, id, body())).run(|endpoint, now| endpoint.bye(now, id));
    assert_eq!(raw.starts(), ["BYE sip:peer@192.0.2.1:5062"]);
}

#[test]
fn a_bye_answers_what_is_still_open() {
    let mut raw = Raw::new();
    let (_, tag) = raw.take_call();
    raw.receive(&request("INVITE", "r1", &tag, 2, "", SDP)).receive(&request("INFO", "i9", &tag, 3, "", "5"));
    raw.receive(&request("BYE", "b1", &tag, 4, "", ""));
    let Event::Request { request: info, .. } = raw.events[1] else { panic!() };
    raw.run(|endpoint, now| endpoint.respond(now, info, 200));
    assert_eq!(raw.starts(), ["100 Trying", "200 OK", "487 Request Terminated", "200 OK"]);
    assert_eq!(raw.heard(), ["Reinvite", "Request", "Ended Bye"]);
}

#[test]
fn a_peer_that_knows_the_dialog_no_more_ends_it() {
    let mut raw = Raw::new();
    let (id, _) = raw.make_call();
    raw.run(|endpoint, now| endpoint.reinvite(now, id, body()).unwrap());
    let ours = raw.last().to_owned();
    raw.receive(&response(&ours, 481, "", ""));
    assert_eq!(raw.starts()[1..], ["ACK sip:bob@192.0.2.1:5062", "BYE sip:bob@192.0.2.1:5062"]);
    assert_eq!(raw.heard(), ["Ended Lost"]);
}

#[test]
fn a_refused_request_is_refused_the_same_way_each_time() {
    let mut raw = Raw::new();
    let looping = request("INVITE", "l", "", 1, "", SDP).replace("Max-Forwards: 70", "Max-Forwards: 0");
    raw.receive(&looping).receive(&looping);
    assert_eq!(raw.sent[0], raw.sent[1], "the To tag too");
    assert_eq!(raw.starts(), ["483 Too Many Hops", "483 Too Many Hops"]);
    assert_eq!(raw.endpoint.transactions(), 0, "refusals hold no memory");
    raw.receive(&request("INVITE", "c", "", 1, "Content-Type: text/plain\r\n", "hello"));
    assert_eq!(header(raw.last(), "Accept"), "application/sdp");
    assert_eq!(raw.starts(), ["415 Unsupported Media Type"]);
}

#[test]
fn headers_pass_as_an_allow_list_needs_them() {
    let mut raw = Raw::new();
    let extra = "P-Asserted-Identity: <sip:1@x>\r\nX-A: 1\r\nAuthorization: Digest secret\r\ns: Hello\r\n";
    raw.receive(&request("INVITE", "i1", "", 1, extra, SDP));
    let Event::Incoming { invite, .. } = &raw.events[0] else { panic!() };
    let labels: Vec<&str> = invite.headers.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!((labels, invite.max_forwards), (vec!["P-Asserted-Identity", "X-A", "Subject"], 70));
}

#[test]
fn transactions_are_bounded_with_room_kept_for_standing_dialogs() {
    let mut raw = Raw::new();
    let limits = sip::Config { transactions_max: 1, ..raw::config("192.0.2.9:5060") };
    raw.endpoint = sip::Endpoint::new(limits, [1; 32]);
    let (_, tag) = raw.take_call();
    raw.receive(&request("INVITE", "i2", "", 1, "", SDP).replace("Call-ID: c1", "Call-ID: c2"));
    raw.receive(&request("BYE", "b1", &tag, 2, "", ""));
    raw.receive(&request("INFO", "n", &tag, 3, "", ""));
    assert_eq!(raw.starts(), ["503 Service Unavailable", "200 OK", "503 Service Unavailable"]);
    raw.pass(60);
    assert_eq!(raw.endpoint.transactions(), 0);
}

#[test]
fn responses_that_are_not_ours_are_dropped_and_counted() {
    let mut raw = Raw::new();
    let (_, invite) = raw.call();
    let good = response(&invite, 180, "b", "");
    raw.receive(&good.replace("branch=z9hG4bK", "branch=z9hG4bKx"));
    raw.receive(&good.replace("From:", "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom:"));
    raw.receive(&good.replace("1 INVITE", "2 INVITE")).receive(&good.replace("1 INVITE", "1 INFO"));
    assert_eq!((raw.endpoint.stats().dropped_responses, raw.heard()), (4, vec![]));
    raw.receive(&good);
    assert_eq!(raw.heard(), ["Progress 180"]);
}
