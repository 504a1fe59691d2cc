use super::*;
use sip::message::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Duration, Instant};

const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nl: 0\r\n\r\n";

struct Far {
    theirs: DuplexStream,
    heard: mpsc::Receiver<Heard>,
    queue: Option<mpsc::Sender<Vec<u8>>>,
    began: Instant,
}

/// A connection's task and its other end; `room` bytes may be on their way.
fn conversation(room: usize) -> Far {
    conversation_over(Transport::Tcp, room)
}

fn conversation_over(transport: Transport, room: usize) -> Far {
    let (theirs, ours) = tokio::io::duplex(room);
    let (sender, heard) = mpsc::channel(HEARD_MAX);
    let tls = Tls::load(&Config::default(), Path::new("")).unwrap();
    let gate = Arc::new(Gate::new(std::collections::BTreeSet::new()));
    let hub =
        Hub { heard: sender, gate, last_id: Arc::default(), tls: watch::channel(Arc::new(tls)).1, origins: [].into() };
    let peer = Peer { connection: Some(ConnectionId(1)), ..Peer::new(transport, ([127, 0, 0, 1], 9).into()) };
    let (queue, messages) = Queue::new();
    tokio::spawn(async move { connection::converse(ours, &hub, peer, messages, connection::FIRST_MESSAGE).await });
    Far { theirs, heard, queue: Some(queue), began: Instant::now() }
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
    let (sender, mut tls) = watch::channel(Arc::new(Tls::load(&config, &folder.0).unwrap()));
    let keeper = tokio::spawn(renewal::keep(config, folder.0.clone(), sender, Duration::from_millis(5)));
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
