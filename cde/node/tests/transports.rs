//! A whole cde process and small SIP peers on 127.0.0.1, over TCP and TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

#[path = "transports/peers.rs"]
mod peers;

use peers::{Authority, Cde, Client, SDP, header, invite, response};
use tokio::net::TcpListener;

const CARRIER: &str = "127.0.0.2";
const PBX: &str = "127.0.0.3";

fn routes() -> String {
    "[[route]]\nfrom = \"carrier\"\nto = \"pbx\"\nextension = \"1001\"\n".to_owned()
}

fn sip_tls(folder: &std::path::Path, authority: &Authority) -> String {
    authority.issue(folder, "cde", "127.0.0.1");
    "[sip]\nlisten = \"127.0.0.1:0\"\nlisten_tcp = \"127.0.0.1:0\"\nlisten_tls = \"127.0.0.1:0\"\n\
     certificate = \"cde.pem\"\nprivate_key = \"cde.key\"\n"
        .to_owned()
}

fn carrier_tcp() -> String {
    format!("[[trunk]]\nname = \"carrier\"\naddress = \"{CARRIER}\"\ntransport = \"tcp\"\n")
}

fn pbx_tls(port: u16, more: &str) -> String {
    format!("[[trunk]]\nname = \"pbx\"\naddress = \"{PBX}:{port}\"\ntransport = \"tls\"\nca = \"ca.pem\"\n{more}")
}

#[tokio::test]
async fn a_call_comes_by_tcp_and_goes_on_by_tls() {
    let authority = Authority::new();
    let pbx = TcpListener::bind((PBX, 0)).await.unwrap();
    let port = pbx.local_addr().unwrap().port();
    let cde = Cde::start(|folder| {
        let trunks = [carrier_tcp(), pbx_tls(port, "tls_name = \"pbx.example\"\n")].concat();
        [sip_tls(folder, &authority), trunks, routes()].concat()
    })
    .await;
    let mut carrier = Client::tcp(CARRIER, cde.address("TCP")).await;
    carrier.send(&invite("sip:02079460018@127.0.0.1", "TCP", "i1", SDP)).await;
    assert!(carrier.receive().await.starts_with("SIP/2.0 100 "));
    let mut agent = Client::accept_tls(&pbx, &authority, "pbx.example").await;
    let called = agent.receive().await;
    assert!(called.starts_with(&format!("INVITE sip:1001@{PBX}:{port} ")), "{called}");
    assert!(header(&called, "Via").starts_with(&format!("SIP/2.0/TLS {}", cde.address("TLS"))));
    assert_eq!(header(&called, "Contact"), format!("<sip:{};transport=tls>", cde.address("TLS")));
    agent.send(&response(&called, 180, "")).await;
    let ringing = carrier.receive().await;
    assert!(ringing.starts_with("SIP/2.0 180 ") && header(&ringing, "Contact").ends_with(";transport=tcp>"));
    agent.send(&response(&called, 200, SDP)).await;
    assert!(agent.receive().await.starts_with("ACK "));
    let answered = carrier.receive().await;
    assert!(answered.starts_with("SIP/2.0 200 "));
    carrier.send(&peers::in_dialog("ACK", &answered, "a1")).await;
    carrier.send(&peers::in_dialog("BYE", &answered, "b1")).await;
    assert!(carrier.receive().await.starts_with("SIP/2.0 200 "));
    let bye = agent.receive().await;
    assert!(bye.starts_with("BYE "), "over the connection that stands: {bye}");
    agent.send(&response(&bye, 200, "")).await;
    cde.stop().await;
}

#[tokio::test]
async fn a_trunk_whose_certificate_is_anothers_is_not_called() {
    let authority = Authority::new();
    let pbx = TcpListener::bind((PBX, 0)).await.unwrap();
    let port = pbx.local_addr().unwrap().port();
    let cde = Cde::start(|folder| {
        let trunks = [carrier_tcp(), pbx_tls(port, "tls_name = \"pbx.example\"\n")].concat();
        [sip_tls(folder, &authority), trunks, routes()].concat()
    })
    .await;
    let other = Authority::new();
    let mut carrier = Client::tcp(CARRIER, cde.address("TCP")).await;
    for (number, (signed_by, name)) in [(&authority, "other.example"), (&other, "pbx.example")].into_iter().enumerate()
    {
        carrier.send(&invite("sip:02079460018@127.0.0.1", "TCP", &format!("n{number}"), SDP)).await;
        assert!(Client::try_accept_tls(&pbx, signed_by, name).await.is_none());
        assert!(carrier.receive().await.starts_with("SIP/2.0 100 "));
        let refused = carrier.receive().await;
        assert!(refused.starts_with("SIP/2.0 500 "), "{refused}");
        carrier.send(&peers::ack_of_failure(&refused)).await;
    }
    cde.stop().await;
}

#[tokio::test]
async fn who_connects_by_tls_needs_the_certificate_of_its_trunk_where_certificates_are_asked_for() {
    let authority = Authority::new();
    let cde = Cde::start(|folder| {
        let trunks = pbx_tls(5061, "tls_name = \"pbx.example\"\n");
        [sip_tls(folder, &authority), "client_ca = \"ca.pem\"\n".to_owned(), trunks].concat()
    })
    .await;
    let options = peers::options("sip:127.0.0.1", "TLS", "o1");
    let at = cde.address("TLS");
    let other = Authority::new();
    for (from, identity, is_taken) in [
        (PBX, None, false),
        (PBX, Some(other.identity("pbx.example")), false),
        (PBX, Some(authority.identity("other.example")), false),
        (CARRIER, Some(authority.identity("pbx.example")), false),
        (PBX, Some(authority.identity("pbx.example")), true),
    ] {
        let named = identity.is_some();
        let mut client = Client::tls(from, at, &authority, identity).await;
        let answer = client.ask(&options).await;
        assert_eq!(answer.is_some_and(|answer| answer.starts_with("SIP/2.0 200 ")), is_taken, "{from}, {named}");
    }
    cde.stop().await;
}

#[tokio::test]
async fn strangers_and_trunks_on_another_transport_dial_nothing() {
    let authority = Authority::new();
    let cde =
        Cde::start(|folder| [sip_tls(folder, &authority), carrier_tcp(), pbx_tls(5061, ""), routes()].concat()).await;
    for (from, via) in [("127.0.0.9", "TCP"), (PBX, "TCP"), (CARRIER, "TLS")] {
        let call = invite("sip:02079460018@127.0.0.1", via, &format!("{from}{via}"), SDP);
        let mut client = match via {
            "TLS" => Client::tls(from, cde.address("TLS"), &authority, None).await,
            _ => Client::tcp(from, cde.address("TCP")).await,
        };
        client.send(&call).await;
        assert!(client.receive().await.starts_with("SIP/2.0 100 "));
        assert!(client.receive().await.starts_with("SIP/2.0 403 "), "{from} over {via}");
    }
    cde.stop().await;
}

#[tokio::test]
async fn a_stream_that_cannot_be_cut_is_answered_400_and_closed_and_a_ping_is_answered() {
    let cde = Cde::start(|_| "[sip]\nlisten_tcp = \"127.0.0.1:0\"\nlisten = []\n".to_owned()).await;
    let mut client = Client::tcp(CARRIER, cde.address("TCP")).await;
    client.send("\r\n\r\n").await;
    assert_eq!(client.bytes(2).await, b"\r\n");
    let options = peers::options("sip:127.0.0.1", "TCP", "o1");
    client.send(&options).await;
    assert!(client.receive().await.starts_with("SIP/2.0 200 "));
    client.send(&options.replace("Content-Length: 0\r\n", "")).await;
    assert!(client.receive().await.starts_with("SIP/2.0 400 Missing Content-Length"));
    assert!(client.is_closed().await);
    cde.stop().await;
}

#[tokio::test]
async fn an_ipv6_caller_is_answered_with_an_ipv6_address_and_an_ipv4_agent_with_an_ipv4_one() {
    let pbx = TcpListener::bind((PBX, 0)).await.unwrap();
    let port = pbx.local_addr().unwrap().port();
    let cde = Cde::start(|_| {
        let sip = "[sip]\nlisten = []\nlisten_tcp = [\"127.0.0.1:0\", \"[::1]:0\"]\n[media]\naddress_v6 = \"::1\"\n";
        let trunk = |name: &str, address: &str| {
            format!("[[trunk]]\nname = \"{name}\"\naddress = \"{address}\"\ntransport = \"tcp\"\n")
        };
        [sip.to_owned(), trunk("carrier", "::1"), trunk("pbx", &format!("{PBX}:{port}")), routes()].concat()
    })
    .await;
    let v6 = cde.addresses("TCP").into_iter().find(std::net::SocketAddr::is_ipv6).unwrap();
    let mut carrier = Client::tcp("::1", v6).await;
    carrier.send(&invite("sip:02079460018@[::1]", "TCP", "i6", &SDP.replace("IP4 127.0.0.2", "IP6 ::1"))).await;
    assert!(carrier.receive().await.starts_with("SIP/2.0 100 "));
    let mut agent = Client::accept(&pbx).await;
    let called = agent.receive().await;
    assert!(called.contains("\r\nc=IN IP4 127.0.0.1\r\n"), "{called}");
    agent.send(&response(&called, 200, SDP)).await;
    let answered = carrier.receive().await;
    assert!(
        answered.contains("\r\nc=IN IP6 ::1\r\n") && header(&answered, "Contact").contains("sip:[::1]:"),
        "{answered}"
    );
    // A call that stands would be waited for.
    carrier.send(&peers::in_dialog("ACK", &answered, "a6")).await;
    carrier.send(&peers::in_dialog("BYE", &answered, "b6")).await;
    assert!(carrier.receive().await.starts_with("SIP/2.0 200 "));
    cde.stop().await;
}

#[tokio::test]
async fn a_place_that_refuses_to_be_connected_to_is_passed_over_at_once() {
    let pbx = TcpListener::bind((PBX, 0)).await.unwrap();
    let port = pbx.local_addr().unwrap().port();
    let nobody = TcpListener::bind((PBX, 0)).await.unwrap().local_addr().unwrap().port();
    let cde = Cde::start(|_| {
        let sip = "[sip]\nlisten = []\nlisten_tcp = \"127.0.0.1:0\"\n".to_owned();
        let places = format!("[\"{PBX}:{nobody}\", \"{PBX}:{port}\"]");
        let pbx = format!("[[trunk]]\nname = \"pbx\"\naddress = {places}\ntransport = \"tcp\"\nkeepalive_s = 600\n");
        [sip, carrier_tcp(), pbx, routes()].concat()
    })
    .await;
    let mut probed = Client::accept(&pbx).await;
    let probe = probed.receive().await;
    assert!(probe.starts_with(&format!("OPTIONS sip:{PBX}:{port} ")), "{probe}");
    probed.send(&response(&probe, 200, "")).await;
    let mut carrier = Client::tcp(CARRIER, cde.address("TCP")).await;
    carrier.send(&invite("sip:02079460018@127.0.0.1", "TCP", "f1", SDP)).await;
    assert!(carrier.receive().await.starts_with("SIP/2.0 100 "));
    let called = probed.receive().await;
    assert!(called.starts_with("INVITE "), "over the connection that is open: {called}");
    probed.send(&response(&called, 486, "")).await;
    assert!(probed.receive().await.starts_with("ACK "));
    assert!(carrier.receive().await.starts_with("SIP/2.0 486 "), "a refusal is final");
    cde.stop().await;
}
