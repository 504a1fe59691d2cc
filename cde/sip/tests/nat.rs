//! A peer behind a NAT that it does not know of: requests of ours go where its own come from.
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

use raw::{PEER, Raw, SDP, body, request, response};
use sip::{DialogId, Peer};
use std::net::SocketAddr;

/// What a phone in a house says of itself.
fn inside(message: &str) -> String {
    message.replace("192.0.2.1:5062", "10.0.0.5:5062")
}

/// A call that came from behind a NAT, taken; gives our tag.
fn taken(raw: &mut Raw, route: &str) -> (DialogId, String) {
    raw.receive(&inside(&request("INVITE", "i1", "", 1, route, SDP)));
    let id = raw.events.last().unwrap().dialog().unwrap();
    raw.run(|endpoint, _| endpoint.keep_to_source(id));
    raw.run(|endpoint, now| endpoint.accept(now, id, body()));
    let tag = raw::header(raw.last(), "To").rsplit_once("tag=").unwrap().1.to_owned();
    raw.receive(&inside(&request("ACK", "a1", &tag, 1, "", "")));
    raw.sent.clear();
    (id, tag)
}

fn from(raw: &mut Raw, source: &str, message: &str) {
    let source: SocketAddr = source.parse().unwrap();
    raw.run(|endpoint, now| endpoint.handle_message(now, Peer::udp(source), message.as_bytes()));
}

fn last_to(raw: &Raw) -> String {
    raw.sent.last().unwrap().0.to_string()
}

#[test]
fn a_request_to_a_caller_goes_where_its_own_came_from_and_names_its_contact() {
    let mut raw = Raw::new();
    let (id, _) = taken(&mut raw, "");
    raw.run(|endpoint, now| endpoint.bye(now, id));
    assert_eq!(last_to(&raw), PEER);
    assert_eq!(raw.starts(), ["BYE sip:peer@10.0.0.5:5062"]);
}

#[test]
fn the_contact_is_followed_where_nobody_has_said_that_it_means_nothing() {
    let mut raw = Raw::new();
    raw.receive(&inside(&request("INVITE", "i1", "", 1, "", SDP)));
    let id = raw.events.last().unwrap().dialog().unwrap();
    raw.run(|endpoint, now| endpoint.accept(now, id, body()));
    let tag = raw::header(raw.last(), "To").rsplit_once("tag=").unwrap().1.to_owned();
    raw.receive(&inside(&request("ACK", "a1", &tag, 1, "", "")));
    raw.run(|endpoint, now| endpoint.bye(now, id));
    assert_eq!(last_to(&raw), "10.0.0.5:5062");
}

#[test]
fn the_ack_and_all_that_follows_go_to_where_the_called_phone_was_reached() {
    let mut raw = Raw::new();
    let (id, invite) = raw.call();
    raw.run(|endpoint, _| endpoint.keep_to_source(id));
    raw.receive(&inside(&response(&invite, 200, "b", SDP)));
    raw.run(|endpoint, now| endpoint.ack(now, id, None));
    assert_eq!(last_to(&raw), PEER);
    raw.run(|endpoint, now| endpoint.reinvite(now, id, body()).unwrap());
    assert_eq!(last_to(&raw), PEER);
    let reinvite = raw.last().to_owned();
    raw.receive(&inside(&response(&reinvite, 200, "", SDP)));
    assert_eq!(last_to(&raw), PEER);
    assert_eq!(
        raw.starts(),
        [
            "INVITE sip:bob@192.0.2.1",
            "ACK sip:bob@10.0.0.5:5062",
            "INVITE sip:bob@10.0.0.5:5062",
            "ACK sip:bob@10.0.0.5:5062"
        ]
    );
}

#[test]
fn a_port_that_the_nat_changes_is_followed_and_another_host_is_not() {
    let mut raw = Raw::new();
    let (id, tag) = taken(&mut raw, "");
    from(&mut raw, "192.0.2.1:61000", &inside(&request("OPTIONS", "o1", &tag, 2, "", "")));
    from(&mut raw, "198.51.100.7:5060", &inside(&request("OPTIONS", "o2", &tag, 3, "", "")));
    raw.run(|endpoint, now| endpoint.bye(now, id));
    assert_eq!(last_to(&raw), "192.0.2.1:61000");
}

#[test]
fn proxies_on_the_way_are_followed_all_the_same() {
    let mut raw = Raw::new();
    let (id, _) = taken(&mut raw, "Record-Route: <sip:192.0.2.77:5070;lr>\r\n");
    raw.run(|endpoint, now| endpoint.bye(now, id));
    assert_eq!(last_to(&raw), "192.0.2.77:5070");
}

#[test]
fn whoever_is_behind_a_nat_is_answered_where_it_came_from_though_it_does_not_ask() {
    let mut raw = Raw::new();
    let options = |branch: &str| inside(&request("OPTIONS", branch, "", 1, "", ""));
    let broken = |branch: &str| options(branch).replace("Max-Forwards: 70", "Max-Forwards: seventy");
    from(&mut raw, "192.0.2.1:61000", &options("o1"));
    assert_eq!(last_to(&raw), PEER, "as its Via says");
    raw.run(|endpoint, _| endpoint.answer_to_source(["192.0.2.1".parse().unwrap()].into()));
    for message in [options("o2"), broken("o3")] {
        from(&mut raw, "192.0.2.1:61000", &message);
        assert_eq!(last_to(&raw), "192.0.2.1:61000");
        assert!(raw::header(raw.last(), "Via").contains(";rport=61000"), "{}", raw.last());
    }
    from(&mut raw, "192.0.2.2:61000", &options("o4"));
    assert_eq!(last_to(&raw), "192.0.2.2:5060", "another host is not behind it");
}
