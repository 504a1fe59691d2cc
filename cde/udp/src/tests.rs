use super::*;
use std::net::UdpSocket as Peer;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that was free a moment ago, at an address that no other process uses.
fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let address = local(PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS_COUNT);
        if Peer::bind(address).is_ok() {
            return address;
        }
    }
}

const PORTS_COUNT: u16 = 1_000;
/// The system gives none of these to who asks for any port.
const PORTS: std::ops::Range<u16> = 20_000..20_000 + PORTS_COUNT;

/// An address of this process alone: tests of many processes run beside each other, and what one of them steers, binds or
/// still sends is nothing to the others.
fn host() -> [u8; 4] {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    // Linux counts processes to 2^22.
    [127, 64 | high, middle, low]
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((host(), port))
}

fn peer() -> Peer {
    let peer = Peer::bind(local(0)).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    peer
}

/// The fast path for the ports that [`free`] gives; none for who has not the rights. Root has them, in CI too.
fn lane() -> Option<Lane> {
    match Steering::attach(host().into(), PORTS.start, PORTS.end, 1) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
        steering => steering.unwrap().into_lanes().pop(),
    }
}

/// Each promise holds with a socket a port and with the fast path.
macro_rules! both_ways {
    ($($name:ident),* $(,)?) => {
        mod own_sockets {
            $(#[test] fn $name() { super::$name(None) })*
        }
        mod steered {
            $(#[test] fn $name() {
                if let Some(lane) = super::lane() {
                    super::$name(Some(lane));
                }
            })*
        }
    };
}

both_ways!(
    every_packet_arrives_however_many_come_at_once,
    a_closed_port_can_be_opened_again_and_a_waker_wakes,
    a_port_hears_its_peer_alone_and_another_one_when_it_is_told_so,
    a_port_that_is_confined_hears_every_port_of_its_host,
    a_peer_that_was_not_there_yet_loses_no_packet_once_it_is,
    open_ports_have_different_small_numbers,
    a_port_is_nobody_elses,
    each_packet_leaves_from_its_own_port,
    a_port_of_another_family_works_too,
);

fn every_packet_arrives_however_many_come_at_once(lane: Option<Lane>) {
    let (mut sockets, _waker) = Sockets::new(lane).unwrap();
    let to = free();
    sockets.open(to).unwrap();
    let sender = peer();
    for number in 0..u8::try_from(BATCH_MAX + 10).unwrap() {
        sender.send_to(&[number], to).unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        sockets.wait(Some(Duration::from_millis(50)), |_, _, _, packet| seen.push(packet[0])).unwrap();
    }
    assert_eq!(seen, (0..u8::try_from(BATCH_MAX + 10).unwrap()).collect::<Vec<_>>());
}

fn a_closed_port_can_be_opened_again_and_a_waker_wakes(lane: Option<Lane>) {
    let (mut sockets, waker) = Sockets::new(lane).unwrap();
    let address = free();
    let port = sockets.open(address).unwrap();
    sockets.close(port);
    sockets.open(address).unwrap();
    waker.wake();
    sockets.wait(None, |_, _, _, _| panic!("no packet was sent")).unwrap();
}

fn heard(sockets: &mut Sockets) -> Vec<u8> {
    let mut heard = Vec::new();
    sockets.wait(Some(Duration::from_millis(50)), |_, _, _, packet| heard.push(packet[0])).unwrap();
    heard
}

fn a_port_hears_its_peer_alone_and_another_one_when_it_is_told_so(lane: Option<Lane>) {
    let (mut sockets, _waker) = Sockets::new(lane).unwrap();
    let to = free();
    let port = sockets.open(to).unwrap();
    let [first, second] = [(); 2].map(|()| peer());
    let mut say = |peer: Option<SocketAddr>| {
        peer.into_iter().for_each(|peer| sockets.connect(port, peer));
        first.send_to(&[1], to).unwrap();
        second.send_to(&[2], to).unwrap();
        heard(&mut sockets)
    };
    assert_eq!(say(None), [1, 2]);
    assert_eq!(say(first.local_addr().ok()), [1]);
    assert_eq!(say(second.local_addr().ok()), [2]);
    // No socket of IPv4 can have such a peer. That must not leave the one before it.
    assert_eq!(say(Some(SocketAddr::from(([0; 8], 9)))), [1, 2]);
}

fn a_port_that_is_confined_hears_every_port_of_its_host(lane: Option<Lane>) {
    let drops_others = lane.is_some();
    let (mut sockets, _waker) = Sockets::new(lane).unwrap();
    let to = free();
    let port = sockets.open(to).unwrap();
    let [first, second] = [(); 2].map(|()| peer());
    let stranger = Peer::bind("127.0.0.77:0").unwrap();
    let say = |sockets: &mut Sockets| {
        first.send_to(&[1], to).unwrap();
        second.send_to(&[2], to).unwrap();
        stranger.send_to(&[3], to).unwrap();
        heard(sockets)
    };
    sockets.connect(port, first.local_addr().unwrap());
    assert_eq!(say(&mut sockets), [1]);
    sockets.confine(port, first.local_addr().unwrap().ip());
    assert_eq!(say(&mut sockets), if drops_others { vec![1, 2] } else { vec![1, 2, 3] });
    sockets.connect(port, second.local_addr().unwrap());
    assert_eq!(say(&mut sockets), [2], "a peer that is known is the only one again");
}

fn a_peer_that_was_not_there_yet_loses_no_packet_once_it_is(lane: Option<Lane>) {
    let (mut sockets, _waker) = Sockets::new(lane).unwrap();
    let port = sockets.open(free()).unwrap();
    let later = peer().local_addr().unwrap();
    let mut send = |number: u8| {
        sockets.connect(port, later);
        sockets.send(port, later, &[number]).unwrap();
        assert_eq!(heard(&mut sockets), []);
    };
    send(1);
    let peer = Peer::bind(later).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    send(2);
    let mut packet = [0];
    peer.recv(&mut packet).unwrap();
    assert_eq!(packet, [2]);
}

fn open_ports_have_different_small_numbers(lane: Option<Lane>) {
    let (mut sockets, _waker) = Sockets::new(lane).unwrap();
    let mut open = || sockets.open(free()).unwrap();
    let ports = [(); 3].map(|()| open());
    assert_eq!(ports.map(Port::index), [0, 1, 2]);
    sockets.close(ports[1]);
    sockets.close(ports[1]);
    let mut open = || sockets.open(free()).unwrap();
    assert_eq!([(); 2].map(|()| open().index()), [1, 3]);
}

fn a_port_is_nobody_elses(lane: Option<Lane>) {
    let (mut sockets, _waker) = Sockets::new(lane).unwrap();
    let address = free();
    let port = sockets.open(address).unwrap();
    assert_eq!(Peer::bind(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    assert_eq!(sockets.open(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    sockets.close(port);
    let theirs = Peer::bind(address).unwrap();
    assert_eq!(sockets.open(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    theirs.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    peer().send_to(&[7], address).unwrap();
    let mut packet = [0];
    theirs.recv(&mut packet).unwrap();
    assert_eq!(packet, [7]);
}

fn each_packet_leaves_from_its_own_port(lane: Option<Lane>) {
    let (mut sockets, _waker) = Sockets::new(lane).unwrap();
    let addresses = [(); 100].map(|()| free());
    let receiver = peer();
    let to = receiver.local_addr().unwrap();
    let ports = addresses.map(|address| sockets.open(address).unwrap());
    for (number, port) in ports.into_iter().enumerate() {
        let packet = vec![u8::try_from(number).unwrap(); number * 10];
        sockets.send(port, to, &packet).unwrap();
    }
    assert_eq!(heard(&mut sockets), []);
    let mut packet = [0; 2048];
    for (number, address) in addresses.into_iter().enumerate() {
        let (length, from) = receiver.recv_from(&mut packet).unwrap();
        assert_eq!((length, from), (number * 10, address));
        assert!(packet[..length].iter().all(|byte| usize::from(*byte) == number));
    }
}

fn a_port_of_another_family_works_too(lane: Option<Lane>) {
    let (mut sockets, _waker) = Sockets::new(lane).unwrap();
    let peer = Peer::bind("[::1]:0").unwrap();
    let mut address = free();
    address.set_ip(peer.local_addr().unwrap().ip());
    let port = sockets.open(address).unwrap();
    sockets.connect(port, peer.local_addr().unwrap());
    peer.send_to(&[5], address).unwrap();
    assert_eq!(heard(&mut sockets), [5]);
    sockets.send(port, peer.local_addr().unwrap(), &[6]).unwrap();
    let mut packet = [0];
    peer.recv(&mut packet).unwrap();
    assert_eq!(packet, [6]);
}
