use super::*;
use crate::config::Config;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// One answer: name, type, time to live, and its data on the wire (RFC 1035 §3.2.1, RFC 2782).
type Row = (&'static str, u16, u32, Vec<u8>);

const A: u16 = 1;
const SRV: u16 = 33;
const NAPTR: u16 = 35;
/// Of no type that is asked for: SERVFAIL to the question of this name, and of the type that stands in the time to live.
const FAILS: u16 = 65_280;

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').flat_map(|label| {
        let length = u8::try_from(label.len()).unwrap();
        std::iter::once(length).chain(label.bytes()).collect::<Vec<u8>>()
    });
    labels.chain([0]).collect()
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Vec<u8> {
    let numbers = [priority, weight, port].into_iter().flat_map(u16::to_be_bytes);
    numbers.chain(name(target)).collect()
}

/// RFC 3403 §4.1.
fn naptr(order: u16, preference: u16, flags: &str, services: &str, replacement: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let numbers = [order, preference].into_iter().flat_map(u16::to_be_bytes).collect();
    [numbers, text(flags), text(services), text(""), name(replacement)].concat()
}

/// A name server that knows these rows, which a test may change.
fn server(rows: Vec<Row>) -> (SocketAddr, Arc<Mutex<Vec<Row>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (at, rows) = (socket.local_addr().unwrap(), Arc::new(Mutex::new(rows)));
    let known = Arc::clone(&rows);
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let answer = answer(&buffer[..length], &known.lock().unwrap());
            socket.send_to(&answer, from).unwrap();
        }
    });
    (at, rows)
}

fn answer(question: &[u8], rows: &[Row]) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let (asked, kind) = (&question[12..end], u16::from_be_bytes([question[end], question[end + 1]]));
    let is_asked = |row: &&Row| name(row.0).eq_ignore_ascii_case(asked) && row.1 == kind;
    let found: Vec<&Row> = rows.iter().filter(is_asked).collect();
    let is_known = rows.iter().any(|row| name(row.0).eq_ignore_ascii_case(asked));
    let is_failing =
        rows.iter().any(|row| row.1 == FAILS && name(row.0).eq_ignore_ascii_case(asked) && row.2 == u32::from(kind));
    let code = if is_failing {
        2
    } else if is_known {
        0
    } else {
        3
    };
    let mut answer =
        [&question[..2], &[0x85, 0x80 | code, 0, 1, 0, u8::try_from(found.len()).unwrap(), 0, 0, 0, 0]].concat();
    answer.extend(&question[12..end + 4]);
    for (_, kind, seconds, data) in found {
        answer.extend([0xC0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(seconds.to_be_bytes());
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend(data);
    }
    answer
}

fn config(dns: SocketAddr, host: &str, transport: &str) -> Config {
    let text = format!(
        "[sip]\ndns = \"{dns}\"\nlisten_tcp = \"127.0.0.1:5060\"\nlisten_tls = \"127.0.0.1:5061\"\ncertificate = \"a\"\n\
         private_key = \"b\"\n[[trunk]]\nname = \"a\"\nhost = \"{host}\"\ntransport = \"{transport}\"\n"
    );
    Config::parse(&text, Path::new("cde.toml")).unwrap()
}

/// On a machine with much else to do what is there takes longer to be found than what is not there is looked for.
async fn found(dns: SocketAddr, host: &str) -> Vec<(String, u16, u16)> {
    found_over("udp", dns, host, Duration::from_secs(60)).await.unwrap()
}

async fn is_nowhere(dns: SocketAddr, host: &str) -> bool {
    found_over("udp", dns, host, Duration::from_secs(3)).await.is_none()
}

async fn found_over(transport: &str, dns: SocketAddr, host: &str, within: Duration) -> Option<Vec<(String, u16, u16)>> {
    let mut found = start(&config(dns, host, transport)).unwrap();
    let found = tokio::time::timeout(within, found.recv()).await.ok()??;
    let place = |target: &Target| {
        let port = target.port.map_or_else(String::new, |port| format!(":{port}"));
        (format!("{}{port}", target.ip), target.priority, target.weight)
    };
    Some(found.targets.iter().map(place).collect())
}

#[tokio::test]
async fn the_services_of_a_domain_come_by_priority_and_weight() {
    let (dns, _) = server(vec![
        ("_sip._udp.example.com", SRV, 300, srv(20, 0, 5060, "b.example.com")),
        ("_sip._udp.example.com", SRV, 300, srv(10, 60, 5070, "a.example.com")),
        ("_sip._udp.example.com", SRV, 300, srv(10, 40, 5071, "a.example.com")),
        ("_sip._udp.example.com", SRV, 300, srv(30, 0, 5060, "gone.example.com")),
        ("a.example.com", A, 300, vec![192, 0, 2, 1]),
        ("b.example.com", A, 300, vec![192, 0, 2, 2]),
        ("example.com", A, 300, vec![192, 0, 2, 9]),
    ]);
    let wanted = [("192.0.2.1:5071", 10, 40), ("192.0.2.1:5070", 10, 60), ("192.0.2.2:5060", 20, 0)]
        .map(|(at, p, w)| (at.to_owned(), p, w));
    assert_eq!(found(dns, "example.com").await, wanted);
    // With a port there are no services to ask for (RFC 3263 §4.2).
    assert_eq!(found(dns, "example.com:5080").await, [("192.0.2.9:5080".to_owned(), 0, 0)]);
}

#[tokio::test]
async fn a_host_without_services_is_at_its_addresses_and_one_without_those_is_nowhere() {
    let (dns, rows) =
        server(vec![("sip.example.com", A, 1, vec![192, 0, 2, 1]), ("sip.example.com", A, 1, vec![192, 0, 2, 2])]);
    let both = found(dns, "sip.example.com").await;
    assert_eq!(
        both.iter().map(|(at, priority, _)| (at.as_str(), *priority)).collect::<Vec<_>>(),
        [("192.0.2.1", 0), ("192.0.2.2", 1)]
    );
    rows.lock().unwrap().clear();
    assert!(is_nowhere(dns, "sip.example.com").await);
}

#[tokio::test]
async fn a_question_for_services_that_fails_does_not_lead_to_the_address_of_the_domain() {
    let own = ("example.com", A, 300, vec![192, 0, 2, 9]);
    let services = ("_sip._udp.example.com", SRV, 300, srv(0, 0, 5060, "gone.example.com"));
    let named = ("example.com", NAPTR, 300, naptr(1, 1, "s", "SIP+D2U", "gone.example.com"));
    for row in [
        ("_sip._udp.example.com", FAILS, u32::from(SRV), Vec::new()),
        ("example.com", FAILS, u32::from(NAPTR), Vec::new()),
        services,
        named,
    ] {
        let (dns, rows) = server(vec![own.clone(), row]);
        assert!(is_nowhere(dns, "example.com").await);
        rows.lock().unwrap().truncate(1);
        assert_eq!(found(dns, "example.com").await[0].0, "192.0.2.9", "there are no services");
    }
}

/// RFC 3263 §4.1: of several names for the trunk's own transport that of the lowest order, then preference.
#[tokio::test]
async fn a_domain_may_say_under_which_names_its_services_stand_and_each_transport_has_its_own() {
    let services = |port, host: &'static str| srv(0, 0, port, host);
    let (dns, rows) = server(vec![
        ("example.com", NAPTR, 300, naptr(20, 10, "s", "SIPS+D2T", "late.example.net")),
        ("example.com", NAPTR, 300, naptr(10, 90, "s", "SIPS+D2T", "later.example.net")),
        ("example.com", NAPTR, 300, naptr(10, 50, "S", "sips+d2t", "tls.example.net")),
        ("example.com", NAPTR, 300, naptr(1, 1, "u", "SIPS+D2T", "regexp.example.net")),
        ("example.com", NAPTR, 300, naptr(1, 1, "s", "SIP+D2T", "tcp.example.net")),
        ("tls.example.net", SRV, 300, services(5071, "a.example.net")),
        ("tcp.example.net", SRV, 300, services(5072, "a.example.net")),
        ("_sip._udp.example.com", SRV, 300, services(5073, "a.example.net")),
        ("_sips._tcp.example.com", SRV, 300, services(5074, "a.example.net")),
        ("_sip._tcp.example.com", SRV, 300, services(5075, "a.example.net")),
        ("a.example.net", A, 300, vec![192, 0, 2, 1]),
    ]);
    let long = Duration::from_secs(60);
    let at = async |transport: &str| found_over(transport, dns, "example.com", long).await.unwrap()[0].0.clone();
    assert_eq!(at("tls").await, "192.0.2.1:5071");
    assert_eq!(at("tcp").await, "192.0.2.1:5072");
    assert_eq!(at("udp").await, "192.0.2.1:5073", "it says nothing of datagrams");
    rows.lock().unwrap().retain(|row| row.1 != NAPTR);
    assert_eq!(at("tls").await, "192.0.2.1:5074");
    assert_eq!(at("tcp").await, "192.0.2.1:5075");
}

#[test]
fn a_trunk_is_at_addresses_or_has_a_name() {
    let trunk = |rest: &str| {
        let text = format!(
            "[sip]\nlisten_tls = \"127.0.0.1:5061\"\ncertificate = \"a\"\nprivate_key = \"b\"\n[[trunk]]\nname = \"a\"\n{rest}"
        );
        Config::parse(&text, Path::new("cde.toml")).map(|_| ()).map_err(|error| error.to_string())
    };
    assert!(trunk("host = \"sip.example.com:5070\"\n").is_ok());
    assert!(trunk("host = \"sip.example.com\"\ntransport = \"tls\"\n").is_ok());
    for (rest, words) in [
        ("host = \"sip.example.com\"\naddress = \"192.0.2.1\"\n", "not both"),
        ("host = \"192.0.2.1\"\n", "expected a host name"),
        ("host = \"sip.example.com:0\"\n", "expected a host name"),
        ("", "one to 8 places"),
    ] {
        let problem = trunk(rest).unwrap_err();
        assert!(problem.contains(words), "{rest}: {problem}");
    }
}
