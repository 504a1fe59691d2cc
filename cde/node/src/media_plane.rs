//! The media threads: each owns the sessions of its calls, their sockets and nothing else.
//!
//! # Invariants
//! - Nothing is shared between threads; orders come and reports go over bounded queues.
//! - A report that finds its queue full is kept and tried again, in order; beyond [`BACKLOG_MAX`] the session is closed,
//!   which silences it.
//! - An order that finds its queue full is refused; the call machine then has no confirmation, and the line is not
//!   reported as anything that it is not.

mod browsers;
mod handshakes;
mod lanes;
mod worker;

pub use lanes::MediaSockets;

use crate::recorder::Recorder;
use call::{MediaOrder, MediaReport};
use handshakes::Handshakes;
use media::{Remote, Side, srtp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use tokio::sync::mpsc;
use udp::{Sockets, Waker};
use webrtc::Certificates;
use wire::CallId;

/// Orders that may wait for one thread.
const ORDERS_MAX: usize = 4096;
/// Reports that may wait for the switchboard.
const REPORTS_MAX: usize = 8192;
/// Reports that one thread keeps when the switchboard's queue is full.
const BACKLOG_MAX: usize = 16 * 1024;

/// What a thread is told.
struct Order {
    call: CallId,
    task: Task,
}

enum Task {
    /// By the call. What must not be guessed is drawn from the seed.
    Order(MediaOrder, [u8; 32]),
    /// Send this from a leg's port, to a browser that may be there.
    Send { side: Side, to: SocketAddr, bytes: Vec<u8> },
    /// A leg's browser is found and known.
    Connect { side: Side, generation: u64, remote: Remote, keys: Box<srtp::Keys> },
    /// It is not, or no more.
    Lost { side: Side, generation: u64 },
}

/// What a thread reports.
pub(crate) struct Report {
    pub(crate) call: CallId,
    pub(crate) report: MediaReport,
}

/// The threads' handle.
pub(crate) struct MediaPlane {
    workers: Vec<(SyncSender<Order>, Waker)>,
    /// While it is there the thread of handshakes is.
    _alive: Arc<()>,
}

impl MediaPlane {
    /// Starts the threads; that of handshakes only where there are certificates for it.
    pub(crate) fn start(
        sockets: MediaSockets,
        hold: media::Hold,
        recorder: &Recorder,
        certificates: Option<Certificates>,
    ) -> std::io::Result<(Self, mpsc::Receiver<Report>)> {
        sockets.tell();
        let mut lanes = sockets.lanes.into_iter();
        let (reports, incoming) = mpsc::channel(REPORTS_MAX);
        let mut workers = Vec::new();
        let (asks, handshakes) = certificates.map(Handshakes::new).unzip();
        for number in 0..sockets.threads.max(1) {
            let (sockets, waker) = Sockets::new(lanes.next())?;
            let (sender, orders) = sync_channel(ORDERS_MAX);
            let worker = worker::Worker::new(sockets, orders, reports.clone(), recorder.clone(), hold);
            let worker = worker.with_handshakes(number, asks.clone());
            thread::Builder::new().name(format!("media-{number}")).spawn(move || worker.run())?;
            workers.push((sender, waker));
        }
        let alive = Arc::new(());
        if let Some(handshakes) = handshakes {
            handshakes.start(workers.clone(), &alive)?;
        }
        Ok((Self { workers, _alive: alive }, incoming))
    }

    /// Hands an order to the call's thread. False when its queue is full.
    pub(crate) fn order(&self, call: CallId, order: MediaOrder, seed: [u8; 32]) -> bool {
        let index = usize::try_from(call.0.as_u128() % u128::try_from(self.workers.len()).unwrap_or(1)).unwrap_or(0);
        let Some((orders, waker)) = self.workers.get(index) else { return false };
        let taken = orders.try_send(Order { call, task: Task::Order(order, seed) }).is_ok();
        waker.wake();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::g711::Law;
    use media::{Command, Event, Remote, Side};
    use std::net::{SocketAddr, UdpSocket};
    use std::time::Duration;

    fn local(port: u16) -> SocketAddr {
        (crate::samples::own_host(), port).into()
    }

    fn call(number: u128) -> CallId {
        CallId(uuid::Uuid::from_u128(number))
    }

    fn order(plane: &MediaPlane, number: u128, order: MediaOrder) {
        assert!(plane.order(call(number), order, [1; 32]));
    }

    /// Opens a call on two ports, and those above them, and waits until it is open. Its peers are at the ports ten higher.
    fn open(plane: &MediaPlane, reports: &mut mpsc::Receiver<Report>, number: u128, port: u16) {
        order(
            plane,
            number,
            MediaOrder::Open { caller: local(port), agent: local(port + 2), record: false, copies: None },
        );
        while !matches!(reports.blocking_recv(), Some(Report { call: of, report: MediaReport::Opened }) if of == call(number))
        {
        }
        for (side, port) in [(Side::Caller, port + 10), (Side::Agent, port + 12)] {
            let remote = Remote::g711(local(port), Law::Mu);
            order(plane, number, MediaOrder::Command(Command::Connect { side, remote }));
        }
        done(plane, reports, number);
    }

    /// Waits until a call's thread, which takes one order after the other, has done what it was told. What it reports by then is
    /// not looked at.
    fn done(plane: &MediaPlane, reports: &mut mpsc::Receiver<Report>, number: u128) {
        order(plane, number, MediaOrder::Count);
        while !matches!(reports.blocking_recv(), Some(Report { call: of, report: MediaReport::Counted(_) }) if of == call(number))
        {
        }
    }

    /// How many packets the agent gets, of which the caller sends one: so many at least, however long this machine takes, and then
    /// those that come before there is none for a while.
    fn heard_by_agent(port: u16, least: usize) -> usize {
        let [caller, agent] = [10, 12].map(|more| UdpSocket::bind(local(port + more)).unwrap());
        let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7][..], &[0x55; 160]].concat();
        caller.send_to(&packet, local(port)).unwrap();
        agent.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut buffer = [0; 2048];
        let mut count = 0;
        while count < 4 && agent.recv_from(&mut buffer).is_ok() {
            count += usize::from(!media::rtcp::is_rtcp(&buffer));
            if count >= least {
                agent.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            }
        }
        count
    }

    #[test]
    fn a_call_has_nothing_of_the_one_whose_place_it_takes() {
        let recorder = Recorder::start(None).unwrap();
        let (plane, mut reports) =
            MediaPlane::start(MediaSockets::own(1), media::Hold::default(), &recorder, None).unwrap();
        open(&plane, &mut reports, 1, 30_500);
        open(&plane, &mut reports, 2, 30_504);
        order(&plane, 1, MediaOrder::Command(Command::Secure { policy: media::Policy::Strict }));
        done(&plane, &mut reports, 1);
        assert_eq!(heard_by_agent(30_500, 4), 4, "a secured line has its own sound");
        order(&plane, 1, MediaOrder::Close);
        open(&plane, &mut reports, 3, 30_500);
        assert_eq!(heard_by_agent(30_500, 1), 1, "an open line has the caller's");
        assert_eq!(heard_by_agent(30_504, 1), 1, "and the other call goes on");
    }

    /// The next RTCP that comes here, with the port it comes from.
    fn told(socket: &UdpSocket) -> (u16, Vec<u8>) {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            if media::rtcp::is_rtcp(&buffer) {
                return (from.port(), buffer[..length].to_vec());
            }
        }
    }

    #[test]
    fn rtcp_goes_from_port_to_port_as_was_agreed_and_says_in_the_end_that_it_is_over() {
        let recorder = Recorder::start(None).unwrap();
        let (plane, mut reports) =
            MediaPlane::start(MediaSockets::own(1), media::Hold::default(), &recorder, None).unwrap();
        open(&plane, &mut reports, 1, 30_540);
        let sockets = [30_550, 30_551, 30_552, 30_553].map(|port| UdpSocket::bind(local(port)).unwrap());
        let [caller, caller_rtcp, agent, agent_rtcp] = &sockets;
        sockets.iter().for_each(|socket| socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap());
        let apart = Remote { rtcp: local(30_553), ..Remote::g711(local(30_552), Law::Mu) };
        order(&plane, 1, MediaOrder::Command(Command::Connect { side: Side::Agent, remote: apart }));
        assert_eq!((told(caller).0, told(agent_rtcp).0), (30_540, 30_543));
        order(&plane, 1, MediaOrder::Close);
        let bye = |socket| media::rtcp::parse(&told(socket).1, 0).unwrap().bye;
        assert!(bye(caller) && bye(agent_rtcp));
        for socket in [caller_rtcp, agent] {
            socket.set_nonblocking(true).unwrap();
            assert!(socket.recv_from(&mut [0; 9]).is_err(), "nothing came to the other ports");
        }
    }

    #[test]
    fn what_a_session_has_counted_is_told_when_it_is_asked_and_when_it_is_closed() {
        let recorder = Recorder::start(None).unwrap();
        let (plane, mut reports) =
            MediaPlane::start(MediaSockets::own(1), media::Hold::default(), &recorder, None).unwrap();
        open(&plane, &mut reports, 1, 30_600);
        assert_eq!(heard_by_agent(30_600, 1), 1);
        order(&plane, 1, MediaOrder::Count);
        let MediaReport::Counted(stats) = reports.blocking_recv().unwrap().report else { panic!("no figures") };
        assert_eq!((stats.caller.accepted, stats.agent_flow.sent, stats.agent.accepted), (1, 1, 0));
        order(&plane, 2, MediaOrder::Count);
        order(&plane, 2, MediaOrder::Close);
        order(&plane, 1, MediaOrder::Close);
        let last = reports.blocking_recv().unwrap();
        assert!(
            last.call == call(1) && matches!(last.report, MediaReport::Closed(_)),
            "a call that is not there has none"
        );
    }

    #[test]
    fn copies_leave_from_ports_of_their_own_and_what_comes_there_is_dropped() {
        let recorder = Recorder::start(None).unwrap();
        let (plane, mut reports) =
            MediaPlane::start(MediaSockets::own(1), media::Hold::default(), &recorder, None).unwrap();
        let copies = Some([local(30_584), local(30_586)]);
        let open = MediaOrder::Open { caller: local(30_580), agent: local(30_582), record: false, copies };
        order(&plane, 1, open);
        assert!(matches!(reports.blocking_recv().unwrap().report, MediaReport::Opened));
        for (side, port) in [(Side::Caller, 30_590), (Side::Agent, 30_592)] {
            let remote = Remote::g711(local(port), Law::Mu);
            order(&plane, 1, MediaOrder::Command(Command::Connect { side, remote }));
        }
        let srs = UdpSocket::bind(local(30_594)).unwrap();
        srs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let remote = Remote::g711(local(30_594), Law::Mu);
        order(&plane, 1, MediaOrder::Command(Command::Copy { side: Side::Agent, remote, keys: None, seed: [2; 32] }));
        let [caller, agent] = [30_590, 30_592].map(|port| UdpSocket::bind(local(port)).unwrap());
        agent.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        done(&plane, &mut reports, 1);
        let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7][..], &[0x55; 160]].concat();
        srs.send_to(&packet, local(30_584)).unwrap();
        caller.send_to(&packet, local(30_580)).unwrap();
        let mut got = [[0; 2048]; 2];
        let (to_agent, _) = agent.recv_from(&mut got[0]).unwrap();
        let (to_srs, from) = srs.recv_from(&mut got[1]).unwrap();
        assert_eq!((from.port(), &got[1][12..to_srs]), (30_584, &got[0][12..to_agent]));
        order(&plane, 1, MediaOrder::Close);
        while !media::rtcp::is_rtcp(&got[1]) {
            srs.recv_from(&mut got[1]).unwrap();
        }
        // It is said after the last that is sent.
        assert!(matches!(reports.blocking_recv().unwrap().report, MediaReport::Closed(_)));
        let is_free = || (30_580..30_588).all(|port| UdpSocket::bind(local(port)).is_ok());
        assert!(
            (0..200).any(|_| is_free() || {
                thread::sleep(Duration::from_millis(50));
                false
            }),
            "the ports are free again"
        );
    }

    #[test]
    fn a_port_that_is_taken_leaves_none_of_the_call_open() {
        let recorder = Recorder::start(None).unwrap();
        let (plane, mut reports) =
            MediaPlane::start(MediaSockets::own(1), media::Hold::default(), &recorder, None).unwrap();
        let taken = UdpSocket::bind(local(30_563)).unwrap();
        let ports = || MediaOrder::Open { caller: local(30_560), agent: local(30_562), record: false, copies: None };
        order(&plane, 1, ports());
        assert!(matches!(reports.blocking_recv().unwrap().report, MediaReport::OpenFailed));
        drop(taken);
        order(&plane, 2, ports());
        assert!(matches!(reports.blocking_recv().unwrap().report, MediaReport::Opened));
        order(&plane, 2, MediaOrder::Close);
        assert!(matches!(reports.blocking_recv().unwrap().report, MediaReport::Closed(_)));
        let taken = UdpSocket::bind(local(30_567)).unwrap();
        let copies = Some([local(30_564), local(30_566)]);
        let recorded = || MediaOrder::Open { caller: local(30_560), agent: local(30_562), record: false, copies };
        order(&plane, 3, recorded());
        assert!(matches!(reports.blocking_recv().unwrap().report, MediaReport::OpenFailed));
        drop(taken);
        order(&plane, 4, recorded());
        assert!(matches!(reports.blocking_recv().unwrap().report, MediaReport::Opened));
    }

    #[test]
    fn a_report_that_finds_its_queue_full_is_kept() {
        let recorder = Recorder::start(None).unwrap();
        let (plane, mut reports) =
            MediaPlane::start(MediaSockets::own(1), media::Hold::default(), &recorder, None).unwrap();
        open(&plane, &mut reports, 1, 30_520);
        for _ in 0..REPORTS_MAX + 100 {
            // On an open line this is answered at once. The thread's queue of orders may be full for a moment.
            while !plane.order(call(1), MediaOrder::Command(Command::Release), [1; 32]) {
                thread::yield_now();
            }
        }
        for _ in 0..REPORTS_MAX + 100 {
            assert!(matches!(reports.blocking_recv().unwrap().report, MediaReport::Event(Event::Opened)));
        }
    }
}
