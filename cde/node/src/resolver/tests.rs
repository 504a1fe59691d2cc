use super::*;
use crate::config::Config;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// One answer: name, type, time to live, and its data on the wire (RFC 1035 §3.2.1, RFC 2782).
type Row = (&'static str, u16, u32, Vec<u8>);

const A: u16 = 1;
const SRV: u16 = 33;

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
    let code = if is_known { 0 } else { 3 };
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

fn config(dns: SocketAddr, host: &str) -> Config {
    let text = format!("[sip]\ndns = \"{dns}\"\n[[trunk]]\nname = \"a\"\nhost = \"{host}\"\n");
    Config::parse(&text, Path::new("cde.toml")).unwrap()
}

async fn found(dns: SocketAddr, host: &str) -> Option<Vec<(String, u16, u16)>> {
    let mut found = start(&config(dns, host)).unwrap();
    let found = tokio::time::timeout(Duration::from_secs(3), found.recv()).await.ok()??;
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
    assert_eq!(found(dns, "example.com").await.unwrap(), wanted);
    // With a port there are no services to ask for (RFC 3263 §4.2).
    assert_eq!(found(dns, "example.com:5080").await.unwrap(), [("192.0.2.9:5080".to_owned(), 0, 0)]);
}

#[tokio::test]
async fn a_host_without_services_is_at_its_addresses_and_one_without_those_is_nowhere() {
    let (dns, rows) =
        server(vec![("sip.example.com", A, 1, vec![192, 0, 2, 1]), ("sip.example.com", A, 1, vec![192, 0, 2, 2])]);
    let both = found(dns, "sip.example.com").await.unwrap();
    assert_eq!(
        both.iter().map(|(at, priority, _)| (at.as_str(), *priority)).collect::<Vec<_>>(),
        [("192.0.2.1", 0), ("192.0.2.2", 1)]
    );
    rows.lock().unwrap().clear();
    assert_eq!(found(dns, "sip.example.com").await, None);
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
    for (rest, words) in [
        ("host = \"sip.example.com\"\naddress = \"192.0.2.1\"\n", "not both"),
        ("host = \"192.0.2.1\"\n", "expected a host name"),
        ("host = \"sip.example.com:0\"\n", "expected a host name"),
        ("host = \"sip.example.com\"\ntransport = \"tls\"\n", "tls_name"),
        ("", "one to 8 places"),
    ] {
        let problem = trunk(rest).unwrap_err();
        assert!(problem.contains(words), "{rest}: {problem}");
    }
}
