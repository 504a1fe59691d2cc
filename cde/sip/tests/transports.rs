//! What a message says of us and where it goes, transport by transport.
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

use raw::{Raw, SDP, body, config, header, request, response};
use std::sync::Arc;

use sip::{
    Body, ConnectionId, Credentials, Endpoint, Error, Event, Invite, Local, NameAddr, Output, Peer, Transport, Uri,
};

fn endpoint() -> Endpoint {
    let local = |transport, address: &str| Local { transport, address: address.parse().unwrap() };
    let local = vec![
        Local::udp("192.0.2.9:5060".parse().unwrap()),
        Local::udp("[2001:db8::9]:5060".parse().unwrap()),
        local(Transport::Tcp, "192.0.2.9:5060"),
        local(Transport::Tls, "192.0.2.9:5061"),
        local(Transport::Wss, "192.0.2.9:443"),
    ];
    Endpoint::new(sip::Config { local, ..config("192.0.2.9:5060") }, [7; 32])
}

fn over(transport: Transport, port: u16, connection: u64) -> Peer {
    let connection = transport.is_reliable().then_some(ConnectionId(connection));
    Peer { connection, ..Peer::new(transport, ([192, 0, 2, 1], port).into()) }
}

fn sent(endpoint: &mut Endpoint) -> Vec<(Peer, String)> {
    let mut sent = Vec::new();
    while let Some(output) = endpoint.poll_output() {
        if let Output::Send { to, bytes } = output {
            sent.push((to, String::from_utf8(bytes).unwrap()));
        }
    }
    sent
}

fn calls(endpoint: &mut Endpoint, to: Peer, target: &str, tcp_when_large: bool, body: Body) -> Result<(), Error> {
    calls_as(None, endpoint, to, target, tcp_when_large, body)
}

fn calls_as(
    credentials: Option<Arc<Credentials>>,
    endpoint: &mut Endpoint,
    to: Peer,
    target: &str,
    tcp_when_large: bool,
    body: Body,
) -> Result<(), Error> {
    let target: Uri = target.parse().unwrap();
    let (from, to_header) = (NameAddr::new(target.clone()), NameAddr::new(target.clone()));
    let (destination, headers) = (Some(to), Vec::new());
    let invite =
        Invite { target, destination, tcp_when_large, from, to: to_header, headers, body: Some(body), credentials };
    endpoint.invite(Raw::new().now, invite).map(drop)
}

/// What broke: where nothing is repeated, a request was forgotten before its challenge could be answered.
#[test]
fn a_challenge_over_a_connection_is_answered_too() {
    let login = Some(Arc::new(Credentials::new("us".to_owned(), "secret".to_owned(), false)));
    let mut ours = endpoint();
    let to = over(Transport::Tls, 5061, 3);
    calls_as(login, &mut ours, to, "sip:b@192.0.2.1", false, Body::from(SDP.as_bytes())).unwrap();
    let (_, first) = sent(&mut ours).remove(0);
    let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\nContact:";
    let refused = response(&first, 401, "t", "").replacen("Contact:", challenge, 1);
    ours.handle_message(Raw::new().now, to, refused.as_bytes());
    let again: Vec<String> = sent(&mut ours).into_iter().map(|(_, message)| message).collect();
    assert_eq!(again.len(), 2, "an ACK, and the INVITE once more");
    assert!(
        again[1].starts_with("INVITE ") && header(&again[1], "Authorization").starts_with("Digest username=\"us\"")
    );
}

#[test]
fn an_invite_that_credentials_would_make_too_large_for_a_datagram_goes_over_tcp_at_once() {
    let login = || Some(Arc::new(Credentials::new("us".to_owned(), "secret".to_owned(), false)));
    let body = || Body::from(format!("v=0\r\n{}", "a=x:0123456789\r\n".repeat(30)).as_bytes());
    for (credentials, transport) in [(None, Transport::Udp), (login(), Transport::Tcp)] {
        let mut ours = endpoint();
        let to = over(Transport::Udp, 5060, 0);
        calls_as(credentials, &mut ours, to, "sip:b@192.0.2.1", true, body()).unwrap();
        let (peer, invite) = sent(&mut ours).remove(0);
        assert!(invite.len() < 1300, "{}", invite.len());
        assert_eq!(peer.transport, transport);
    }
}

#[test]
fn every_transport_is_named_in_via_and_contact() {
    for (transport, via, contact) in [
        (Transport::Udp, "SIP/2.0/UDP 192.0.2.9:5060;rport;branch=", "<sip:192.0.2.9:5060>"),
        (Transport::Tcp, "SIP/2.0/TCP 192.0.2.9:5060;branch=", "<sip:192.0.2.9:5060;transport=tcp>"),
        (Transport::Tls, "SIP/2.0/TLS 192.0.2.9:5061;branch=", "<sip:192.0.2.9:5061;transport=tls>"),
        (Transport::Wss, "SIP/2.0/WSS 192.0.2.9:443;branch=", "<sip:192.0.2.9:443;transport=ws>"),
    ] {
        let mut ours = endpoint();
        let to = Peer::new(transport, "192.0.2.1:5070".parse().unwrap());
        calls(&mut ours, to, "sip:b@192.0.2.1", false, body().unwrap()).unwrap();
        let (peer, invite) = sent(&mut ours).remove(0);
        assert_eq!((peer, header(&invite, "Contact")), (to, contact));
        assert!(header(&invite, "Via").starts_with(via), "{invite}");
    }
    let mut ours = endpoint();
    calls(&mut ours, Peer::udp("[2001:db8::1]:5060".parse().unwrap()), "sip:b@[2001:db8::1]", false, Body::default())
        .unwrap();
    assert_eq!(header(&sent(&mut ours)[0].1, "Contact"), "<sip:[2001:db8::9]:5060>");
}

#[test]
fn a_sips_uri_goes_over_tls_and_over_nothing_else() {
    let mut ours = endpoint();
    for transport in [Transport::Udp, Transport::Tcp] {
        let to = Peer::new(transport, "192.0.2.1:5060".parse().unwrap());
        assert_eq!(calls(&mut ours, to, "sips:b@192.0.2.1", false, Body::default()), Err(Error::Scheme));
        let sips = request("INVITE", "s", "", 1, "", SDP).replace("INVITE sip:", "INVITE sips:");
        ours.handle_message(Raw::new().now, over(transport, 5060, 1), sips.as_bytes());
        assert!(sent(&mut ours)[0].1.starts_with("SIP/2.0 416 "));
    }
    let to = Peer::new(Transport::Tls, "192.0.2.1:5061".parse().unwrap());
    calls(&mut ours, to, "sips:b@192.0.2.1", false, Body::default()).unwrap();
    assert_eq!(header(&sent(&mut ours)[0].1, "Contact"), "<sips:192.0.2.9:5061>");
}

#[test]
fn responses_go_back_over_the_connection_of_their_request_or_else_to_the_port_of_the_via() {
    let mut ours = endpoint();
    let from = over(Transport::Tcp, 40_000, 5);
    ours.handle_message(Raw::new().now, from, request("OPTIONS", "o", "", 1, "", "").as_bytes());
    let (to, _) = sent(&mut ours).remove(0);
    assert_eq!((to.connection, to.address.port()), (Some(ConnectionId(5)), 5060));
}

#[test]
fn a_request_in_a_dialog_goes_over_the_peers_own_connection_and_never_in_clear_after_tls() {
    let mut ours = endpoint();
    let (now, from) = (Raw::new().now, over(Transport::Tls, 40_000, 5));
    let contact = "Contact: <sip:peer@192.0.2.1:5062>";
    let invite = request("INVITE", "i", "", 1, "", SDP).replace(contact, &contact.replace('>', ";transport=udp>"));
    ours.handle_message(now, from, invite.as_bytes());
    let mut dialog = None;
    while let Some(output) = ours.poll_output() {
        if let Output::Event(event @ Event::Incoming { .. }) = output {
            dialog = event.dialog();
        }
    }
    ours.accept(now, dialog.unwrap(), body());
    let (_, ok) = sent(&mut ours).remove(0);
    assert_eq!(header(&ok, "Contact"), "<sip:192.0.2.9:5061;transport=tls>");
    let tag = header(&ok, "To").rsplit_once("tag=").unwrap().1.to_owned();
    // Who knows its names and is not on TLS is not heard, and leads it nowhere.
    let clear = over(Transport::Udp, 5060, 9);
    for (method, cseq) in [("ACK", 1), ("OPTIONS", 2), ("INFO", 3), ("UPDATE", 4)] {
        ours.handle_message(now, clear, request(method, &format!("c{cseq}"), &tag, cseq, "", "").as_bytes());
        let answers: Vec<String> = sent(&mut ours).into_iter().map(|(_, text)| text).collect();
        assert!(answers.iter().all(|text| text.starts_with("SIP/2.0 403 ")), "{answers:?}");
        assert_eq!(answers.len(), usize::from(method != "ACK"));
    }
    ours.handle_message(now, from, request("ACK", "a", &tag, 1, "", "").as_bytes());
    ours.bye(now, dialog.unwrap());
    let (to, bye) = sent(&mut ours).remove(0);
    assert_eq!((to.transport, to.connection), (Transport::Tls, Some(ConnectionId(5))));
    assert!(bye.starts_with("BYE ") && header(&bye, "Via").starts_with("SIP/2.0/TLS "));
}

#[test]
fn a_request_that_is_too_large_for_a_datagram_goes_over_tcp_where_the_peer_takes_it_so() {
    let to = Peer::udp("192.0.2.1:5060".parse().unwrap());
    let large = || Body::from(vec![b'x'; 1300]);
    for (body, takes_tcp, transport) in
        [(large(), false, Transport::Udp), (large(), true, Transport::Tcp), (body().unwrap(), true, Transport::Udp)]
    {
        let mut ours = endpoint();
        calls(&mut ours, to, "sip:b@192.0.2.1", takes_tcp, body).unwrap();
        let (to, invite) = sent(&mut ours).remove(0);
        assert_eq!(to, Peer::new(transport, "192.0.2.1:5060".parse().unwrap()));
        assert!(header(&invite, "Via").starts_with(&format!("SIP/2.0/{} ", transport.name())));
    }
}

#[test]
fn over_a_connection_only_the_2xx_is_repeated_and_finished_transactions_are_forgotten_at_once() {
    let (mut raw, tcp) = (Raw::new(), over(Transport::Tcp, 5060, 1));
    raw.endpoint = endpoint();
    let now = raw.now;
    raw.endpoint.handle_message(now, tcp, request("OPTIONS", "o", "1", 1, "", "").as_bytes());
    calls(&mut raw.endpoint, tcp, "sip:b@192.0.2.1", false, body().unwrap()).unwrap();
    let invite = sent(&mut raw.endpoint).pop().unwrap().1;
    raw.pass(20);
    assert!(raw.starts().is_empty(), "no timer A");
    raw.endpoint.handle_message(raw.now, tcp, response(&invite, 486, "b", "").as_bytes());
    assert_eq!(raw.endpoint.transactions(), 0, "no timer D");
    raw.endpoint.handle_message(raw.now, tcp, request("INVITE", "i", "", 1, "", SDP).as_bytes());
    raw.run(|_, _| {});
    let id = raw.events.last().unwrap().dialog().unwrap();
    raw.run(|endpoint, now| endpoint.reject(now, id, 486, None, Vec::new()));
    let tag = header(raw.last(), "To").rsplit_once("tag=").unwrap().1.to_owned();
    raw.starts();
    raw.pass(5);
    assert!(raw.starts().is_empty(), "no timer G");
    raw.endpoint.handle_message(raw.now, tcp, request("ACK", "i", &tag, 1, "", "").as_bytes());
    assert_eq!(raw.endpoint.transactions(), 0, "no timer I");
    raw.endpoint.handle_message(raw.now, tcp, request("INVITE", "j", "", 2, "", SDP).as_bytes());
    raw.run(|_, _| {});
    let id = raw.events.last().unwrap().dialog().unwrap();
    raw.run(|endpoint, now| endpoint.accept(now, id, body())).pass(2);
    assert_eq!(raw.starts().iter().filter(|start| *start == "200 OK").count(), 3);
}

#[test]
fn a_probe_tells_whether_anybody_is_there() {
    let mut raw = Raw::new();
    let to = Peer::udp("192.0.2.1:5060".parse().unwrap());
    raw.run(|endpoint, now| assert!(endpoint.probe(now, to).is_ok()));
    assert!(raw.last().starts_with("OPTIONS sip:192.0.2.1:5060 SIP/2.0"));
    let answer = response(raw.last(), 404, "b", "");
    raw.receive(&answer);
    raw.run(|endpoint, now| assert!(endpoint.probe(now, to).is_ok())).pass(33);
    assert_eq!(raw.heard(), ["Probed 404", "Probed 408"]);
    let closed = Peer { connection: Some(ConnectionId(1)), ..Peer::new(Transport::Tcp, to.address) };
    raw.run(|endpoint, now| assert!(endpoint.probe(now, closed).is_ok()));
    raw.run(|endpoint, now| endpoint.handle_closed(now, closed));
    raw.run(|endpoint, now| endpoint.handle_closed(now, Peer { connection: Some(ConnectionId(2)), ..closed }));
    assert_eq!(raw.heard(), ["Probed 503"], "once more over a fresh connection, and no more");
    raw.pass(100);
    assert_eq!(raw.endpoint.transactions(), 0);
}
