use super::super::{MediaPlane, Order, Report, Task};
use super::{AGAIN, ASKS_MAX, Ask, Desk, Handshakes, Inbox, Leg};
use crate::media_plane::MediaSockets;
use crate::recorder::Recorder;
use aws_lc_rs::{digest, hmac};
use call::{MediaOrder, MediaReport, WebTerms};
use dimpl::{Config, Dtls, DtlsCertificate, Output as Said, SrtpProfile};
use media::g711::Law;
use media::srtp::{Master, PACKET_MAX, Receiver, Sender, Suite};
use media::{Command, Remote, Side};
use sip::offer_answer::Hash;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use webrtc::Certificates;
use wire::CallId;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const CALL: CallId = CallId(uuid::Uuid::from_u128(1));
/// After this long without anything there was nothing.
const WAIT: Duration = Duration::from_millis(300);
/// What is to come may take a while on a machine that has much else to do: it is tried so often.
const TRIES_MAX: usize = 50;
/// What is to end is tried as often as this, after a pause each: as long as it goes on, no try takes any time.
const ENDS_MAX: usize = 500;
const PAUSE: Duration = Duration::from_millis(20);

fn local(port: u16) -> SocketAddr {
    (crate::samples::own_host(), port).into()
}

/// Whether something ends, which takes until the threads have heard of it.
fn ends(mut has_ended: impl FnMut() -> bool) -> bool {
    (0..ENDS_MAX).any(|number| {
        std::thread::sleep(if number == 0 { Duration::ZERO } else { PAUSE });
        has_ended()
    })
}

/// A browser, made by hand: its socket, its handshake, and what it sends and takes then.
struct Browser {
    socket: UdpSocket,
    to: SocketAddr,
    dtls: Dtls,
    certificate: DtlsCertificate,
    speech: Option<(Sender, Receiver)>,
    number: u16,
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A check that chooses the address that it comes from.
fn check(password: &str) -> Vec<u8> {
    let mut message = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    attribute(&mut message, 0x0006, b"ours:theirs");
    attribute(&mut message, 0x802a, &[1; 8]);
    attribute(&mut message, 0x0025, &[]);
    message[3] = u8::try_from(message.len() - 20 + 24).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let integrity = hmac::sign(&key, &message);
    attribute(&mut message, 0x0008, integrity.as_ref());
    message[3] = u8::try_from(message.len() - 20 + 8).unwrap();
    let checksum = crc32(&message) ^ 0x5354_554e;
    attribute(&mut message, 0x8028, &checksum.to_be_bytes());
    message
}

fn packet(number: u16) -> Vec<u8> {
    let head =
        [&[0x80, 0][..], &number.to_be_bytes(), &u32::from(number).wrapping_mul(160).to_be_bytes(), &[0, 0, 0, 7]];
    [head.concat(), vec![0x55; 160]].concat()
}

#[expect(clippy::disallowed_methods, reason = "a test's clock")]
fn now() -> Instant {
    Instant::now()
}

fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(|| Certificates::generate().unwrap())
}

/// The certificate that is shown.
fn ours() -> [u8; 32] {
    certificates().fingerprints()[0]
}

impl Browser {
    fn new(to: SocketAddr) -> Self {
        let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let mut dtls = Dtls::new_auto(Arc::new(Config::default()), certificate.clone(), now());
        dtls.set_active(true);
        let socket = UdpSocket::bind(local(0)).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        Self { socket, to, dtls, certificate, speech: None, number: 100 }
    }

    fn terms(&self) -> WebTerms {
        let fingerprint = digest::digest(&digest::SHA256, &self.certificate.certificate).as_ref().to_vec();
        let text = str::to_owned;
        let (ufrag, password, peer_ufrag) = (text("ours"), text(PASSWORD), text("theirs"));
        let (is_client, ours, handshake) = (false, ours(), 0);
        WebTerms { ufrag, password, peer_ufrag, hash: Hash::Sha256, fingerprint, is_client, ours, handshake }
    }

    /// What came, if anything did.
    fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }

    /// Makes a check with this password; was it answered with a success?
    fn is_answered(&self, password: &str) -> bool {
        self.socket.send_to(&check(password), self.to).unwrap();
        self.receive().is_some_and(|answer| answer[..2] == [1, 1])
    }

    /// Makes the right check until it is answered.
    fn is_found(&self) -> bool {
        (0..TRIES_MAX).any(|_| self.is_answered(PASSWORD))
    }

    /// Makes it until nobody answers it any more.
    fn is_lost(&self) -> bool {
        ends(|| !self.is_answered(PASSWORD))
    }

    /// Speaks and hears the handshake until there are keys, or for a while.
    fn shake_hands_for(&mut self, seconds: u64) -> bool {
        let until = now() + Duration::from_secs(seconds);
        self.dtls.handle_timeout(now()).unwrap();
        while self.speech.is_none() && now() < until {
            self.say();
            match self.receive() {
                Some(bytes) if (20..64).contains(&bytes[0]) => drop(self.dtls.handle_packet(&bytes)),
                _ => drop(self.dtls.handle_timeout(now())),
            }
        }
        self.say();
        self.speech.is_some()
    }

    /// It agrees on keys.
    fn shake_hands(&mut self) -> bool {
        self.shake_hands_for(15)
    }

    fn say(&mut self) {
        let mut buffer = vec![0; 4096];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Said::Packet(bytes) => drop(self.socket.send_to(bytes, self.to).unwrap()),
                Said::KeyingMaterial(material, profile) => {
                    let (suite, key, salt) = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => (Suite::Aes256Gcm, 32, 12),
                        SrtpProfile::AEAD_AES_128_GCM => (Suite::Aes128Gcm, 16, 12),
                        _ => (Suite::Aes128Sha1Tag80, 16, 14),
                    };
                    let of = |side: usize| {
                        let (from, salt_from) = (side * key, 2 * key + side * salt);
                        let both = [&material[from..from + key], &material[salt_from..salt_from + salt]].concat();
                        Master::new(suite, &both).unwrap()
                    };
                    self.speech = Some((Sender::new(of(0)).unwrap(), Receiver::new(of(1)).unwrap()));
                }
                Said::Timeout(_) => return,
                _ => {}
            }
        }
    }

    /// The next packet of sound, protected.
    fn protected(&mut self) -> Vec<u8> {
        self.number += 1;
        let mut buffer = [packet(self.number), vec![0; 64]].concat();
        let length = self.speech.as_mut().unwrap().0.protect(&mut buffer, 172).unwrap();
        buffer[..length].to_vec()
    }

    /// The next sound that comes, in the clear, if it is authentic.
    fn hears(&mut self) -> Option<usize> {
        while let Some(bytes) = self.receive() {
            if bytes[0] >= 128 && !media::rtcp::is_rtcp(&bytes) {
                let mut clear = [0; PACKET_MAX];
                return self.speech.as_mut()?.1.unprotect(&bytes, &mut clear, false).ok();
            }
        }
        None
    }
}

/// A call of a browser, who calls, and a plain agent.
struct World {
    plane: MediaPlane,
    reports: mpsc::Receiver<Report>,
    agent: UdpSocket,
    agent_to: SocketAddr,
}

impl World {
    fn new(first: u16) -> Self {
        let recorder = Recorder::start(None).unwrap();
        let certificates = Some(certificates().clone());
        let (plane, reports) =
            MediaPlane::start(MediaSockets::own(1), media::Hold::default(), &recorder, certificates).unwrap();
        let agent = UdpSocket::bind(local(first + 20)).unwrap();
        agent.set_read_timeout(Some(WAIT)).unwrap();
        let mut world = Self { plane, reports, agent, agent_to: local(first + 2) };
        let (caller, agent) = (local(first), local(first + 2));
        world.order(MediaOrder::Open { caller, agent, record: false, copies: None });
        assert!(matches!(world.reports.blocking_recv().unwrap().report, MediaReport::Opened));
        let remote = Remote::g711(local(first + 20), Law::Mu);
        world.order(MediaOrder::Command(Command::Connect { side: Side::Agent, remote }));
        world
    }

    fn order(&self, order: MediaOrder) {
        assert!(self.plane.order(CALL, order, [1; 32]));
    }

    fn negotiate(&self, terms: WebTerms) {
        let remote = Remote::g711(local(0), Law::Mu);
        self.order(MediaOrder::Negotiate { side: Side::Caller, remote, terms: Box::new(terms) });
    }

    /// Whether sound comes to the agent.
    fn agent_hears(&self) -> bool {
        let mut buffer = [0; 2048];
        while self.agent.recv_from(&mut buffer).is_ok() {
            if !media::rtcp::is_rtcp(&buffer) {
                return true;
            }
        }
        false
    }

    /// The same, for what must come and is sent once.
    fn agent_comes_to_hear(&self) -> bool {
        (0..TRIES_MAX).any(|_| self.agent_hears())
    }

    /// Whether the agent comes to hear a browser. What was ordered takes its time.
    fn lets_through(&self, browser: &mut Browser) -> bool {
        let is_heard = (0..TRIES_MAX).any(|_| {
            let sound = browser.protected();
            browser.socket.send_to(&sound, browser.to).unwrap();
            self.agent_hears()
        });
        while self.agent_hears() {}
        is_heard
    }

    /// And no more.
    fn silences(&self, browser: &mut Browser) -> bool {
        ends(|| {
            let sound = browser.protected();
            browser.socket.send_to(&sound, browser.to).unwrap();
            !self.agent_hears()
        })
    }

    /// Whether a browser comes to hear the agent, and how much at a time.
    fn reaches(&self, browser: &mut Browser) -> Option<usize> {
        (2..).take(TRIES_MAX).find_map(|number| {
            self.agent_speaks(number);
            browser.hears()
        })
    }

    fn agent_speaks(&self, number: u16) {
        self.agent.send_to(&packet(number), self.agent_to).unwrap();
    }
}

#[test]
fn nothing_is_heard_or_said_before_the_keys_and_nothing_in_the_clear_after_them() {
    let world = World::new(30_700);
    let mut browser = Browser::new(local(30_700));
    world.negotiate(browser.terms());
    browser.socket.send_to(&packet(1), browser.to).unwrap();
    assert!(!world.agent_hears(), "plain sound before anything");
    assert!(!browser.is_answered("VOkJxbRl1RmTxUk/WvJxBs"), "another password");
    assert!(browser.is_found());
    browser.socket.send_to(&packet(2), browser.to).unwrap();
    world.agent_speaks(1);
    assert!(!world.agent_hears() && browser.receive().is_none(), "between check and keys");
    assert!(browser.shake_hands());
    assert!(world.lets_through(&mut browser), "under the keys");
    assert_eq!(world.reaches(&mut browser), Some(172), "and the other way");
    browser.socket.send_to(&packet(browser.number + 1), browser.to).unwrap();
    assert!(!world.agent_hears(), "the same browser in the clear");
    let stranger = UdpSocket::bind(local(0)).unwrap();
    let sound = browser.protected();
    for bytes in [&sound, &check("no password of ours"), &packet(900), &vec![22; 80]] {
        stranger.send_to(bytes, browser.to).unwrap();
    }
    assert!(!world.agent_hears(), "authentic sound of a third address");
    browser.socket.send_to(&sound, browser.to).unwrap();
    assert!(world.agent_comes_to_hear(), "the call lives, and the stranger has used up nothing");
}

#[test]
fn a_certificate_that_was_not_announced_is_silence_and_the_end_of_the_leg() {
    let mut world = World::new(30_740);
    let mut browser = Browser::new(local(30_740));
    let mut terms = browser.terms();
    terms.fingerprint[0] ^= 1;
    world.negotiate(terms);
    assert!(browser.is_found());
    browser.shake_hands_for(3);
    assert!(matches!(world.reports.blocking_recv().unwrap().report, MediaReport::Lost { side: Side::Caller }));
    if browser.speech.is_some() {
        let sound = browser.protected();
        browser.socket.send_to(&sound, browser.to).unwrap();
    }
    world.agent_speaks(1);
    assert!(!world.agent_hears() && browser.hears().is_none());
    assert!(!browser.is_answered(PASSWORD), "nobody is there any more");
}

#[test]
fn a_hold_keeps_the_keys_and_a_plain_telephone_in_the_browsers_place_ends_them() {
    let world = World::new(30_780);
    let mut browser = Browser::new(local(30_780));
    world.negotiate(browser.terms());
    assert!(browser.is_found() && browser.shake_hands());
    let held = Remote { sends: false, receives: false, ..Remote::g711(local(0), Law::Mu) };
    let hold = MediaOrder::Negotiate { side: Side::Caller, remote: held, terms: Box::new(browser.terms()) };
    world.order(hold);
    assert!(world.silences(&mut browser), "held");
    world.negotiate(browser.terms());
    assert!(world.lets_through(&mut browser), "resumed, without another handshake");
    let plain = UdpSocket::bind(local(0)).unwrap();
    let remote = Remote::g711(plain.local_addr().unwrap(), Law::Mu);
    world.order(MediaOrder::Command(Command::Connect { side: Side::Caller, remote }));
    assert!(world.silences(&mut browser) && !browser.is_answered(PASSWORD), "the browser has no leg any more");
    plain.send_to(&packet(1), local(30_780)).unwrap();
    assert!(world.agent_comes_to_hear());
}

/// It has thrown away its keys for those of another call, whose certificate it was told, and is told ours again.
#[test]
fn a_browser_that_was_elsewhere_and_comes_back_agrees_on_keys_anew() {
    let world = World::new(30_860);
    let mut browser = Browser::new(local(30_860));
    world.negotiate(browser.terms());
    assert!(browser.is_found() && browser.shake_hands());
    let mut back = Browser::new(local(30_860));
    back.certificate = browser.certificate.clone();
    back.dtls = Dtls::new_auto(Arc::new(Config::default()), back.certificate.clone(), now());
    back.dtls.set_active(true);
    let terms = WebTerms { handshake: 1, ..browser.terms() };
    world.negotiate(terms);
    assert!(world.silences(&mut browser), "nobody is heard before it is found");
    assert!(back.is_found() && back.shake_hands());
    assert!(world.lets_through(&mut back), "under the new keys");
    assert_eq!(world.reaches(&mut back), Some(172), "and the other way");
}

#[test]
fn a_browser_that_was_lost_while_its_leg_had_no_peer_is_found_again() {
    let mut world = World::new(30_820);
    let mut browser = Browser::new(local(30_820));
    let mut terms = browser.terms();
    terms.fingerprint[0] ^= 1;
    world.negotiate(terms);
    world.order(MediaOrder::Command(Command::Disconnect { side: Side::Caller }));
    assert!(browser.is_found());
    browser.shake_hands_for(3);
    assert!(browser.is_lost(), "its certificate has ended it");
    let mut again = Browser::new(local(30_820));
    world.negotiate(again.terms());
    assert!(again.is_found() && again.shake_hands());
    assert!(world.lets_through(&mut again));
    assert!(world.reports.try_recv().is_err(), "nobody was told of a loss");
}

fn leg(generation: u64) -> Box<Leg> {
    let fingerprint = webrtc::Fingerprint { hash: webrtc::Hash::Sha256, bytes: vec![1; 32] };
    let (ufrag, password, peer_ufrag) = ("ours".to_owned(), PASSWORD.to_owned(), "theirs".to_owned());
    let terms = webrtc::Terms { ufrag, password, peer_ufrag, fingerprint, role: webrtc::Role::Server };
    let remote = Remote::g711(local(0), Law::Mu);
    Box::new(Leg { call: CALL, side: Side::Caller, generation, worker: 0, remote, ours: ours(), terms })
}

#[test]
fn what_the_call_says_goes_before_any_number_of_packets() {
    let (asks, handshakes) = Handshakes::new(certificates().clone());
    let packet = || Ask::Packet { call: CALL, side: Side::Caller, from: local(9), bytes: vec![0; 20] };
    assert_eq!((0..ASKS_MAX + 5).filter(|_| asks.send(packet())).count(), ASKS_MAX);
    assert!(asks.send(Ask::Negotiate(leg(1))) && asks.send(Ask::End { call: CALL, side: Side::Caller }));
    let Handshakes { inbox, .. } = handshakes;
    let next = |inbox: &Inbox| inbox.next().unwrap();
    assert!(inbox.wait(WAIT) && matches!(next(&inbox), Ask::Negotiate(_)) && matches!(next(&inbox), Ask::End { .. }));
    assert_eq!(std::iter::from_fn(|| inbox.next()).count(), ASKS_MAX);
    let began = now();
    assert!(inbox.wait(Duration::from_millis(1)), "nothing, for the moment");
    assert!(began.elapsed() >= Duration::from_millis(1), "and no word is left of what is taken");
    drop(asks);
    assert!(!inbox.wait(WAIT), "nothing any more");
}

#[test]
fn nothing_is_kept_of_a_leg_whose_failure_is_told() {
    let (orders, told) = std::sync::mpsc::sync_channel(1);
    let (_sockets, waker) = udp::Sockets::new(None).unwrap();
    let workers = vec![(orders.clone(), waker)];
    let certificates = certificates().clone();
    let mut desk = Desk { certificates, workers, entries: Default::default(), timers: Default::default() };
    let began = now();
    desk.handle(began, Ask::Negotiate(leg(1)));
    let task = Task::Lost { side: Side::Agent, generation: 9 };
    assert!(orders.try_send(Order { call: CALL, task }).is_ok(), "the queue is full");
    let late = began + Duration::from_secs(31);
    desk.handle_timeouts(late);
    assert_eq!((desk.entries.len(), desk.timers.len()), (1, 1), "it cannot be told yet");
    assert!(matches!(told.recv().unwrap().task, Task::Lost { side: Side::Agent, .. }));
    desk.handle_timeouts(late + AGAIN);
    assert!(matches!(told.recv().unwrap().task, Task::Lost { side: Side::Caller, generation: 1 }));
    assert_eq!((desk.entries.len(), desk.timers.len()), (0, 0));
}
