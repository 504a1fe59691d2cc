use super::*;
use sip::message::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Duration, Instant};

const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nl: 0\r\n\r\n";

struct Far {
    theirs: DuplexStream,
    heard: mpsc::Receiver<Heard>,
    queue: Option<mpsc::Sender<Vec<u8>>>,
    pass: Arc<Pass>,
    began: Instant,
}

/// A connection's task and its other end; `room` bytes may be on their way.
fn conversation(room: usize) -> Far {
    conversation_over(Transport::Tcp, room)
}

fn conversation_over(transport: Transport, room: usize) -> Far {
    conversation_through(&Arc::new(Gate::new(std::collections::BTreeSet::new())), transport, room)
}

fn conversation_through(gate: &Arc<Gate>, transport: Transport, room: usize) -> Far {
    let gate = Arc::clone(gate);
    let (theirs, ours) = tokio::io::duplex(room);
    let (sender, heard) = mpsc::channel(HEARD_MAX);
    let tls = Tls::load(&Config::default(), Path::new(""), &Arc::default()).unwrap();
    let tls = watch::channel(Arc::new(tls)).1;
    let pass = Arc::new(gate.enter([127, 0, 0, 1].into()).unwrap());
    let (last_id, found, origins, tasks) = (Arc::default(), Arc::default(), [].into(), Handle::current());
    let hub = Hub { heard: sender, gate, last_id, tls, found, origins, tasks };
    let peer = Peer { connection: Some(ConnectionId(1)), ..Peer::new(transport, ([127, 0, 0, 1], 9).into()) };
    let (queue, messages) = Queue::new();
    let of = Arc::clone(&pass);
    tokio::spawn(async move { connection::converse(ours, &hub, peer, &of, messages, connection::FIRST_MESSAGE).await });
    Far { theirs, heard, queue: Some(queue), pass, began: Instant::now() }
}

impl Far {
    async fn next(&mut self) -> &'static str {
        match self.heard.recv().await.unwrap() {
            Heard::Opened(..) => "opened",
            Heard::Message(..) => "message",
            Heard::Broken(..) => "broken",
            Heard::Closed(_) => "closed",
        }
    }

    fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }
}

#[tokio::test(start_paused = true)]
async fn who_connects_and_says_nothing_whole_is_cut_off() {
    let mut silent = conversation(100);
    assert_eq!((silent.next().await, silent.seconds()), ("closed", 30));
    let mut pinging = conversation(100);
    for _ in 0..3 {
        pinging.theirs.write_all(b"\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(9)).await;
    }
    assert_eq!((pinging.next().await, pinging.seconds()), ("closed", 30));
    let mut pong = [0; 2];
    pinging.theirs.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_drips_is_cut_off_however_steadily() {
    let mut dripping = conversation(100);
    for byte in OPTIONS.as_bytes() {
        if dripping.theirs.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(dripping.next().await, "closed");
    assert!(dripping.seconds() <= 12, "{}", dripping.seconds());
}

/// A fragment, and pings between it and those that never come; and pings in halves, so that something has always just begun.
#[tokio::test(start_paused = true)]
async fn signs_of_life_give_no_more_time() {
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    let mut unfinished = conversation_over(Transport::Ws, 1000);
    unfinished.theirs.write_all(&[0x01, 0x81, 0, 0, 0, 0, b'I']).await.unwrap();
    while unfinished.theirs.write_all(&ping).await.is_ok() && unfinished.seconds() < 100 {
        tokio::time::sleep(Duration::from_secs(9)).await;
    }
    assert_eq!(unfinished.next().await, "closed");
    assert!(unfinished.seconds() <= 18, "{}", unfinished.seconds());
    let mut halves = conversation_over(Transport::Ws, 1000);
    halves.theirs.write_all(&ping[..3]).await.unwrap();
    let turned = [&ping[3..], &ping[..3]].concat();
    while halves.theirs.write_all(&turned).await.is_ok() && halves.seconds() < 100 {
        tokio::time::sleep(Duration::from_secs(9)).await;
    }
    assert_eq!(halves.next().await, "closed");
    assert!(halves.seconds() <= 36, "{}", halves.seconds());
}

/// A frame of a WebSocket as a page sends it, short, with a mask that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()).ok().filter(|length| *length < 126) {
        Some(length) => frame.push(0x80 | length),
        None => frame.extend([&[0xfe][..], &u16::try_from(payload.len()).unwrap().to_be_bytes()].concat()),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

impl Far {
    /// Gives a sign of life every so often until it is cut off, or for an hour and a half.
    async fn pings(&mut self, ping: &[u8]) {
        let Self { theirs, .. } = self;
        let (mut reading, mut writing) = tokio::io::split(theirs);
        let read = async { while matches!(reading.read(&mut [0; 64]).await, Ok(1..)) {} };
        let write = async {
            for _ in 0..5400 / 20 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                if writing.write_all(ping).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! { () = read => {}, () = write => {} }
    }
}

/// What broke: who had said one whole message, whatever it was, kept one of the strangers' places for as long as it liked.
#[tokio::test(start_paused = true)]
async fn a_stranger_keeps_a_connection_by_messages_and_not_by_signs_of_life() {
    let (ping, options) = (frame(0x89, b""), frame(0x81, OPTIONS.as_bytes()));
    let mut page = conversation_over(Transport::Ws, 1000);
    page.theirs.write_all(&options).await.unwrap();
    assert_eq!(page.next().await, "message");
    page.pings(&ping).await;
    assert_eq!((page.next().await, page.seconds()), ("closed", 120));
    let mut speaking = conversation_over(Transport::Ws, 1000);
    for _ in 0..3 {
        speaking.theirs.write_all(&options).await.unwrap();
        assert_eq!(speaking.next().await, "message");
        tokio::time::sleep(Duration::from_secs(100)).await;
    }
    assert_eq!((speaking.next().await, speaking.seconds()), ("closed", 320));
    let mut stream = conversation(1000);
    stream.theirs.write_all(OPTIONS.as_bytes()).await.unwrap();
    assert_eq!(stream.next().await, "message");
    stream.pings(b"\r\n\r\n").await;
    assert_eq!((stream.next().await, stream.seconds()), ("closed", 3600));
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_has_signed_in_keeps_its_connection_by_signs_of_life() {
    let mut phone = conversation_over(Transport::Ws, 1000);
    phone.theirs.write_all(&frame(0x81, OPTIONS.as_bytes())).await.unwrap();
    assert_eq!(phone.next().await, "message");
    phone.pass.befriend();
    phone.pings(&frame(0x89, b"")).await;
    assert!(phone.seconds() >= 5400, "{}", phone.seconds());
    assert_eq!((phone.next().await, phone.seconds()), ("closed", 5400 + 80));
}

/// What broke: behind an address that had all its friends, a phone that had signed in was cut off as a stranger, in the middle of a call too.
#[tokio::test(start_paused = true)]
async fn a_phone_that_has_signed_in_without_room_among_the_friends_keeps_its_connection_too() {
    let gate = Arc::new(Gate::new(std::collections::BTreeSet::new()));
    let mut friends = Vec::new();
    for _ in 0..128 {
        let pass = gate.enter([127, 0, 0, 1].into()).unwrap();
        pass.befriend();
        friends.push(pass);
    }
    let mut phone = conversation_through(&gate, Transport::Ws, 1000);
    phone.theirs.write_all(&frame(0x81, OPTIONS.as_bytes())).await.unwrap();
    assert_eq!(phone.next().await, "message");
    phone.pass.befriend();
    phone.pings(&frame(0x89, b"")).await;
    assert_eq!((phone.next().await, phone.seconds()), ("closed", 5400 + 80));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_spoken_may_be_silent_for_the_length_of_a_call() {
    let mut peer = conversation(1000);
    peer.theirs.write_all(OPTIONS.as_bytes()).await.unwrap();
    assert_eq!(peer.next().await, "message");
    assert_eq!((peer.next().await, peer.seconds()), ("closed", 3600));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_cut_off() {
    let mut deaf = conversation(10);
    deaf.queue.as_ref().unwrap().try_send(vec![b'x'; 100]).unwrap();
    assert_eq!((deaf.next().await, deaf.seconds()), ("closed", 10));
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_sent_before_a_connection_is_closed() {
    let mut peer = conversation(1000);
    let queue = peer.queue.take().unwrap();
    queue.try_send(OPTIONS.as_bytes().to_vec()).unwrap();
    drop(queue);
    let mut sent = Vec::new();
    peer.theirs.read_to_end(&mut sent).await.unwrap();
    let mut framer = sip::message::Framer::default();
    framer.push(&sent);
    assert!(matches!(framer.next_frame(), Some(Frame::Message(_))));
    assert_eq!(peer.next().await, "closed");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let folder = crate::samples::Folder::new();
    let issue = |names: Vec<String>| {
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(folder.0.join("sip.pem"), certified.cert.pem()).unwrap();
        std::fs::write(folder.0.join("sip.key"), certified.signing_key.serialize_pem()).unwrap();
    };
    issue(vec!["old.example".to_owned()]);
    let text = "[sip]\nlisten_tls = \"127.0.0.1:0\"\ncertificate = \"sip.pem\"\nprivate_key = \"sip.key\"\n";
    let config = Config::parse(text, Path::new("cde.toml")).unwrap();
    let found = Arc::default();
    let (sender, mut tls) = watch::channel(Arc::new(Tls::load(&config, &folder.0, &found).unwrap()));
    let keeper = tokio::spawn(renewal::keep((config, folder.0.clone(), found), sender, Duration::from_millis(5)));
    tokio::time::sleep(Duration::from_millis(50)).await;
    std::fs::write(folder.0.join("sip.pem"), "half a file").unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!tls.has_changed().unwrap());
    issue(vec!["new.example".to_owned(), "longer.example".to_owned()]);
    tokio::time::timeout(Duration::from_secs(10), tls.changed()).await.unwrap().unwrap();
    keeper.abort();
}

#[tokio::test]
async fn the_end_of_a_connection_is_told_once_and_only_if_something_was_sent_over_it() {
    let config = Config::parse("[sip]\nlisten = \"127.0.0.1:0\"\n", Path::new("cde.toml")).unwrap();
    let mut transports = Transports::bind(&config, Path::new("")).await.unwrap();
    let peer =
        |id| Peer { connection: Some(ConnectionId(id)), ..Peer::new(Transport::Tcp, ([127, 0, 0, 1], 9).into()) };
    let (first, _first) = Queue::new();
    transports.opened(peer(1), first, None);
    assert!(!transports.finish(peer(1)), "nothing can have failed");
    let (second, _second) = Queue::new();
    transports.opened(peer(2), second, None);
    assert!(transports.send(peer(2), OPTIONS.into()).is_ok());
    assert_eq!((transports.finish(peer(2)), transports.finish(peer(2))), (true, false));
    let (full, _full) = Queue::new();
    transports.opened(peer(3), full, None);
    let failed = (0..10_000).find_map(|_| transports.send(peer(3), OPTIONS.into()).err());
    assert_eq!(failed, Some(peer(3)), "a full queue closes the connection");
}

/// A name server can lead us anywhere: what it says of a name proves nothing, so the certificate must be for the name that the file
/// has (RFC 5922 §4), not for the host that its service is said to be at.
#[tokio::test]
async fn a_trunk_with_a_name_is_called_over_tls_where_it_is_found_and_only_with_the_certificate_of_its_name() {
    let folder = crate::samples::Folder::new();
    let issue = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        rcgen::generate_simple_self_signed(names).unwrap()
    };
    let (own, other) = (issue(&["pbx.example.com"]), issue(&["edge1.example.net", "127.0.0.1"]));
    std::fs::write(folder.0.join("ca.pem"), own.cert.pem() + &other.cert.pem()).unwrap();
    std::fs::write(folder.0.join("sip.pem"), own.cert.pem()).unwrap();
    std::fs::write(folder.0.join("sip.key"), own.signing_key.serialize_pem()).unwrap();
    let text = "[sip]\nlisten_tls = \"127.0.0.1:0\"\ncertificate = \"sip.pem\"\nprivate_key = \"sip.key\"\n\
                [[trunk]]\nname = \"pbx\"\nhost = \"pbx.example.com\"\ntransport = \"tls\"\nca = \"ca.pem\"\n";
    let config = Config::parse(text, &folder.0.join("cde.toml")).unwrap();
    let mut transports = Transports::bind(&config, &folder.0).await.unwrap();
    let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = far.local_addr().unwrap();
    let to = Peer::new(Transport::Tls, at);
    assert!(transports.send(to, OPTIONS.into()).is_err(), "nobody knows yet that it is there");
    let target = call::Target { ip: at.ip(), port: Some(at.port()), priority: 0, weight: 0 };
    transports.know(&crate::resolver::Found { trunk: 0, targets: vec![target] });
    for (identity, is_taken) in [(&other, false), (&own, true)] {
        assert!(transports.send(to, OPTIONS.into()).is_ok());
        let (stream, _) = far.accept().await.unwrap();
        let key = identity.signing_key.serialize_pem();
        let taken = acceptor(identity.cert.der(), &key).accept(stream).await;
        match taken {
            Ok(mut stream) if is_taken => {
                let mut heard = vec![0; OPTIONS.len()];
                stream.read_exact(&mut heard).await.unwrap();
                assert_eq!(heard, OPTIONS.as_bytes());
            }
            _ => {
                assert!(!is_taken);
                let closed = transports.heard.recv().await;
                let Some(Heard::Closed(peer)) = closed else { panic!("its certificate was taken") };
                transports.finish(peer);
            }
        }
    }
}

fn acceptor(certificate: &rustls::pki_types::CertificateDer<'static>, key: &str) -> tokio_rustls::TlsAcceptor {
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

/// And who connects from where it was found must be it.
#[tokio::test]
async fn who_connects_from_where_a_named_trunk_was_found_must_show_the_certificate_of_its_name() {
    use rustls::pki_types::{PrivateKeyDer, ServerName, pem::PemObject};
    let folder = crate::samples::Folder::new();
    let issue = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (ours, own, other) = (issue("127.0.0.1"), issue("pbx.example.com"), issue("edge1.example.net"));
    std::fs::write(folder.0.join("ca.pem"), own.cert.pem() + &other.cert.pem()).unwrap();
    std::fs::write(folder.0.join("sip.pem"), ours.cert.pem()).unwrap();
    std::fs::write(folder.0.join("sip.key"), ours.signing_key.serialize_pem()).unwrap();
    let text = "[sip]\nlisten_tls = \"127.0.0.1:0\"\ncertificate = \"sip.pem\"\nprivate_key = \"sip.key\"\nclient_ca = \"ca.pem\"\n\
                [[trunk]]\nname = \"pbx\"\nhost = \"pbx.example.com\"\ntransport = \"tls\"\nca = \"ca.pem\"\n";
    let config = Config::parse(text, &folder.0.join("cde.toml")).unwrap();
    let mut transports = Transports::bind(&config, &folder.0).await.unwrap();
    let at = transports.locals().iter().find(|local| local.transport == Transport::Tls).unwrap().address;
    let connector = |identity: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ours.cert.der().clone()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.signing_key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.unwrap().with_root_certificates(roots);
        let config = builder.with_client_auth_cert(vec![identity.cert.der().clone()], key).unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config))
    };
    let target = call::Target { ip: at.ip(), port: Some(5061), priority: 0, weight: 0 };
    for (identity, is_known, is_taken) in [(&own, false, false), (&other, true, false), (&own, true, true)] {
        if is_known {
            transports.know(&crate::resolver::Found { trunk: 0, targets: vec![target] });
        }
        let stream = tokio::net::TcpStream::connect(at).await.unwrap();
        // In TLS 1.3 a client learns only afterwards that its certificate was refused.
        let mut stream = connector(identity).connect(ServerName::IpAddress(at.ip().into()), stream).await.unwrap();
        let within = Duration::from_millis(if is_taken { 60_000 } else { 500 });
        let heard = tokio::time::timeout(within, transports.heard.recv()).await;
        assert_eq!(matches!(heard, Ok(Some(Heard::Opened(..)))), is_taken);
        if !is_taken {
            assert!(matches!(stream.read(&mut [0; 1]).await, Err(_) | Ok(0)), "it is closed");
        }
    }
}
