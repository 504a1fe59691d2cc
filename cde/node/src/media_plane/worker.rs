//! One media thread.

use super::browsers::{Browsers, Way};
use super::handshakes::Asks;
use super::{BACKLOG_MAX, Order, Report, Task};
use crate::clock;
use crate::recorder::Recorder;
use call::{MediaOrder, MediaReport};
use media::{Session, Side};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use udp::{Port, Sockets};
use wire::CallId;

/// Without anything to do the thread looks around this often.
const IDLE: Duration = Duration::from_millis(500);

pub(super) struct Worker {
    sockets: Sockets,
    orders: Receiver<Order>,
    state: State,
}

/// Everything but the sockets, which lend packets while this changes.
struct State {
    /// Only orders name a call by its id; packets and timers know its place.
    places: BTreeMap<CallId, usize>,
    /// Boxed, so that one more call moves none of the others.
    calls: Vec<Option<Box<Entry>>>,
    free: Vec<usize>,
    /// By the port's index.
    ports: Vec<Option<(usize, Side)>>,
    /// When calls are due, the next one on top. Those that are no call's timer any more are passed over.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    reports: mpsc::Sender<Report>,
    backlog: VecDeque<Report>,
    recorder: Recorder,
    hold: media::Hold,
    way: Way,
    /// What sessions put out, one after the other.
    room: media::Room,
}

struct Entry {
    call: CallId,
    session: Session,
    ports: Ports,
    /// The earliest that is set for it; what is due then may have moved away.
    timer: Option<Instant>,
    record: bool,
    browsers: Browsers,
}

/// The ports of a call. Those for RTCP stay open where a peer has one port for both: it may want two by its next offer.
struct Ports {
    caller: Pair,
    agent: Pair,
    /// Those that a recorder is sent copies from: of the agent's leg and of the caller's. What comes there is dropped.
    copies: Option<Box<[Pair; 2]>>,
}

#[derive(Clone, Copy)]
struct Pair {
    rtp: Port,
    rtcp: Port,
}

impl Ports {
    fn of(&self, side: Side) -> Pair {
        match side {
            Side::Caller => self.caller,
            Side::Agent => self.agent,
        }
    }

    fn copies_of(&self, side: Side) -> Option<Pair> {
        let [of_agent, of_caller] = **self.copies.as_ref()?;
        Some(if side == Side::Agent { of_agent } else { of_caller })
    }

    /// Those that are listened on.
    fn legs(&self) -> [(Port, Side); 4] {
        let Self { caller, agent, .. } = self;
        [(caller.rtp, Side::Caller), (caller.rtcp, Side::Caller), (agent.rtp, Side::Agent), (agent.rtcp, Side::Agent)]
    }
}

impl Worker {
    pub(super) fn new(
        sockets: Sockets,
        orders: Receiver<Order>,
        reports: mpsc::Sender<Report>,
        recorder: Recorder,
        hold: media::Hold,
    ) -> Self {
        let state = State {
            places: BTreeMap::new(),
            calls: Vec::new(),
            free: Vec::new(),
            ports: Vec::new(),
            timers: BinaryHeap::new(),
            reports,
            backlog: VecDeque::new(),
            recorder,
            hold,
            way: Way { asks: None, worker: 0, last: 0 },
            room: media::Room::default(),
        };
        Self { sockets, orders, state }
    }

    /// The same, with the way to browsers.
    pub(super) fn with_handshakes(mut self, number: usize, asks: Option<Asks>) -> Self {
        self.state.way = Way { asks, worker: number, last: 0 };
        self
    }

    /// Runs until the handle is gone.
    pub(super) fn run(mut self) {
        udp::sleep_exactly();
        loop {
            loop {
                match self.orders.try_recv() {
                    Ok(order) => self.handle_order(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let timeout = self.state.until_next_timer(clock::now());
            let state = &mut self.state;
            let waited = self.sockets.wait(Some(timeout), |sockets, port, from, bytes| {
                state.handle_packet(sockets, clock::now(), port, from, bytes);
            });
            if let Err(error) = waited {
                tracing::error!(%error, "media: waiting for packets failed; all lines of this thread fall silent");
                return;
            }
            self.state.handle_timeouts(&mut self.sockets, clock::now());
            self.state.flush();
            self.close_overloaded();
        }
    }

    fn handle_order(&mut self, order: Order) {
        let (now, call) = (clock::now(), order.call);
        match order.task {
            Task::Order(order, seed) => self.carry_out(now, call, order, seed),
            Task::Send { side, to, bytes } => {
                // UDP: a packet that cannot be sent now is lost, as one on the network would be.
                let _ = self.state.ports_of(call).map(|ports| self.sockets.send(ports.of(side).rtp, to, &bytes));
            }
            Task::Connect { side, generation, remote, keys } => {
                if self.state.browsers(call).is_some_and(|browsers| browsers.believes(side, generation)) {
                    // Its ports stay open to all: the browser may choose another of its addresses.
                    let command = media::Command::ConnectProtected { side, remote, keys };
                    self.state.handle_command(&mut self.sockets, now, call, command);
                }
            }
            Task::Lost { side, generation } => {
                if self.state.browsers(call).is_some_and(|browsers| browsers.believes(side, generation)) {
                    self.lose(now, call, side);
                }
            }
        }
    }

    fn carry_out(&mut self, now: Instant, call: CallId, order: MediaOrder, seed: [u8; 32]) {
        match order {
            MediaOrder::Open { caller, agent, record, copies } => {
                let bound = self.bind(caller, agent, copies);
                self.open(now, call, bound, record, seed);
            }
            MediaOrder::Negotiate { side, remote, terms } => self.negotiate(now, call, side, remote, *terms),
            MediaOrder::Command(command) => {
                self.state.note_browsers(call, &command);
                if let Some((pair, remote)) = self.state.connects(call, &command) {
                    self.admit(pair, &remote);
                }
                self.state.handle_command(&mut self.sockets, now, call, command);
            }
            MediaOrder::Count => {
                let stats = self.state.stats(call);
                stats.into_iter().for_each(|stats| self.state.report(call, MediaReport::Counted(stats)));
            }
            MediaOrder::Close => self.close(now, call),
        }
    }

    /// Who may send to a leg's ports: its peer, or of one behind a NAT its host, since it may yet be found at another port.
    fn admit(&mut self, Pair { rtp, rtcp }: Pair, remote: &media::Remote) {
        match remote.learns_from {
            Some(host) => [rtp, rtcp].into_iter().for_each(|port| self.sockets.confine(port, host)),
            None => {
                self.sockets.connect(rtp, remote.address);
                self.sockets.connect(rtcp, remote.rtcp);
            }
        }
    }

    /// Nobody is heard on the leg, and nothing said, until its browser is found and known.
    fn negotiate(&mut self, now: Instant, call: CallId, side: Side, remote: media::Remote, terms: call::WebTerms) {
        let Some(place) = self.state.places.get(&call).copied() else { return };
        let Some(Some(entry)) = self.state.calls.get_mut(place) else { return };
        let (generation, is_new) = entry.browsers.number(side, terms.handshake, &mut self.state.way.last);
        if is_new {
            let pair = entry.ports.of(side);
            self.sockets.release(pair.rtp);
            self.sockets.release(pair.rtcp);
            self.state.handle_command(&mut self.sockets, now, call, media::Command::Disconnect { side });
        }
        if !self.state.way.negotiate(call, side, generation, remote, terms) {
            self.lose(now, call, side);
        }
    }

    /// Silence, and the call is told.
    fn lose(&mut self, now: Instant, call: CallId, side: Side) {
        self.state.handle_command(&mut self.sockets, now, call, media::Command::Disconnect { side });
        if self.state.browsers(call).is_some_and(|browsers| browsers.forget(side)) {
            self.state.way.end(call, side);
        }
        self.state.report(call, MediaReport::Lost { side });
    }

    fn open(&mut self, now: Instant, call: CallId, bound: io::Result<Ports>, record: bool, seed: [u8; 32]) {
        let report = match bound {
            Ok(ports) => {
                let session = Session::new(now, media::Config { seed, record, hold: self.state.hold });
                let browsers = Browsers::default();
                self.state.insert(Entry { call, session, ports, timer: None, record, browsers });
                if record {
                    self.state.recorder.begin(call);
                }
                MediaReport::Opened
            }
            Err(error) => {
                tracing::warn!(%error, "media: ports could not be bound");
                MediaReport::OpenFailed
            }
        };
        self.state.report(call, report);
    }

    /// All ports or none.
    fn bind(&mut self, caller: SocketAddr, agent: SocketAddr, copies: Option<[SocketAddr; 2]>) -> io::Result<Ports> {
        let mut bound = Vec::new();
        let addresses = [caller, agent].into_iter().chain(copies.into_iter().flatten());
        let result = addresses.map(|address| self.bind_pair(address)).try_for_each(|pair| {
            bound.push(pair?);
            Ok(())
        });
        match (result, bound.as_slice()) {
            (Ok(()), [caller, agent]) => Ok(Ports { caller: *caller, agent: *agent, copies: None }),
            (Ok(()), [caller, agent, first, second]) => {
                Ok(Ports { caller: *caller, agent: *agent, copies: Some(Box::new([*first, *second])) })
            }
            (result, bound) => {
                bound.iter().for_each(|pair| self.close_pair(*pair));
                Err(result.err().unwrap_or_else(|| io::Error::other("ports are missing")))
            }
        }
    }

    fn close_pair(&mut self, Pair { rtp, rtcp }: Pair) {
        self.sockets.close(rtp);
        self.sockets.close(rtcp);
    }

    fn bind_pair(&mut self, address: SocketAddr) -> io::Result<Pair> {
        let rtp = self.sockets.open(address)?;
        let rtcp = above(address).and_then(|above| self.sockets.open(above));
        let rtcp = rtcp.inspect_err(|_| self.sockets.close(rtp))?;
        Ok(Pair { rtp, rtcp })
    }

    fn close(&mut self, now: Instant, call: CallId) {
        self.state.handle_command(&mut self.sockets, now, call, media::Command::End);
        let Some(mut entry) = self.state.remove(call) else { return };
        self.state.report(call, MediaReport::Closed(Box::new(entry.session.stats())));
        for side in [Side::Caller, Side::Agent] {
            if entry.browsers.forget(side) {
                self.state.way.end(call, side);
            }
        }
        let Ports { caller, agent, copies } = entry.ports;
        [caller, agent]
            .into_iter()
            .chain(copies.into_iter().flat_map(|copies| *copies))
            .for_each(|pair| self.close_pair(pair));
        if entry.record {
            self.state.recorder.end(call);
        }
    }

    /// Nobody takes the reports: the lines are silenced rather than left to a switchboard that does not listen.
    fn close_overloaded(&mut self) {
        if self.state.backlog.len() > BACKLOG_MAX {
            tracing::error!("media: the switchboard takes no reports; all lines of this thread are closed");
            let calls: Vec<CallId> = self.state.places.keys().copied().collect();
            let now = clock::now();
            calls.into_iter().for_each(|call| self.close(now, call));
            self.state.backlog.clear();
        }
    }
}

impl State {
    fn insert(&mut self, entry: Entry) {
        let place = self.free.pop().unwrap_or(self.calls.len());
        self.places.insert(entry.call, place);
        for (port, side) in entry.ports.legs() {
            put(&mut self.ports, port.index(), (place, side));
        }
        put(&mut self.calls, place, Box::new(entry));
    }

    fn remove(&mut self, call: CallId) -> Option<Box<Entry>> {
        let place = self.places.remove(&call)?;
        let entry = self.calls.get_mut(place)?.take()?;
        for (port, _) in entry.ports.legs() {
            self.ports.get_mut(port.index()).into_iter().for_each(|of| *of = None);
        }
        self.free.push(place);
        Some(entry)
    }

    fn stats(&self, call: CallId) -> Option<Box<media::Stats>> {
        let entry = self.calls.get(*self.places.get(&call)?)?.as_ref()?;
        Some(Box::new(entry.session.stats()))
    }

    /// Which ports a command connects, and to whom.
    fn connects(&self, call: CallId, command: &media::Command) -> Option<(Pair, media::Remote)> {
        let ports = &self.calls.get(*self.places.get(&call)?)?.as_ref()?.ports;
        match command {
            media::Command::Connect { side, remote } | media::Command::ConnectProtected { side, remote, .. } => {
                Some((ports.of(*side), *remote))
            }
            media::Command::Copy { side, remote, .. } => Some((ports.copies_of(*side)?, *remote)),
            _ => None,
        }
    }

    fn until_next_timer(&self, now: Instant) -> Duration {
        let timer = self.timers.peek().map_or(IDLE, |Reverse((at, _))| at.saturating_duration_since(now));
        if self.backlog.is_empty() { timer.min(IDLE) } else { timer.min(Duration::from_millis(5)) }
    }

    fn handle_packet(&mut self, sockets: &mut Sockets, now: Instant, port: Port, from: SocketAddr, bytes: &[u8]) {
        let Some((place, side)) = self.ports.get(port.index()).copied().flatten() else { return };
        if webrtc::is_ours(bytes)
            && let Some(Some(entry)) = self.calls.get(place)
            && entry.browsers.has(side)
        {
            return self.way.packet(entry.call, side, from, bytes);
        }
        self.with(sockets, place, |session| session.handle_packet(now, side, from, bytes));
    }

    fn entry(&mut self, call: CallId) -> Option<&mut Entry> {
        self.calls.get_mut(*self.places.get(&call)?)?.as_deref_mut()
    }

    fn ports_of(&mut self, call: CallId) -> Option<&Ports> {
        self.entry(call).map(|entry| &entry.ports)
    }

    fn browsers(&mut self, call: CallId) -> Option<&mut Browsers> {
        self.entry(call).map(|entry| &mut entry.browsers)
    }

    /// What a command of the call says of a leg that had a browser.
    fn note_browsers(&mut self, call: CallId, command: &media::Command) {
        match command {
            media::Command::Connect { side, .. } | media::Command::ConnectProtected { side, .. }
                if self.browsers(call).is_some_and(|browsers| browsers.forget(*side)) =>
            {
                self.way.end(call, *side);
            }
            media::Command::Disconnect { side } => {
                self.browsers(call).into_iter().for_each(|browsers| browsers.mute(*side));
            }
            _ => {}
        }
    }

    fn handle_command(&mut self, sockets: &mut Sockets, now: Instant, call: CallId, command: media::Command) {
        if let Some(place) = self.places.get(&call).copied() {
            self.with(sockets, place, |session| session.handle_command(now, command));
        }
    }

    fn handle_timeouts(&mut self, sockets: &mut Sockets, now: Instant) {
        while let Some(Reverse((at, place))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            if self.is_due(place, at) {
                // It may be due later by now: then nothing is done but to set it anew.
                let due = |session: &Session| session.poll_timeout().is_some_and(|at| at <= now);
                self.with(sockets, place, |session| {
                    if due(session) {
                        session.handle_timeout(now)
                    }
                });
            }
        }
    }

    /// Takes the timer of the call at this place. It may have been set anew since, or another call be there now; what was
    /// left behind is gone in its own time, which for all timers of a session is a frame away, or a report's few seconds.
    fn is_due(&mut self, place: usize, at: Instant) -> bool {
        let entry = self.calls.get_mut(place).and_then(Option::as_mut).filter(|entry| entry.timer == Some(at));
        entry.is_some_and(|entry| entry.timer.take().is_some())
    }

    fn with(&mut self, sockets: &mut Sockets, place: usize, act: impl FnOnce(&mut Session)) {
        let Some(entry) = self.calls.get_mut(place).and_then(Option::as_mut) else { return };
        entry.session.lend(&mut self.room);
        act(&mut entry.session);
        let before = self.backlog.len();
        while let Some(output) = entry.session.poll_output() {
            match output {
                media::Output::Send { side, to, packet } => {
                    // UDP: a packet that cannot be sent now is lost, as one on the network would be.
                    let _ = sockets.send(entry.ports.of(side).rtp, to, packet.as_bytes());
                }
                media::Output::Control { side, to, muxed, packet } => {
                    let Pair { rtp, rtcp } = entry.ports.of(side);
                    let _ = sockets.send(if muxed { rtp } else { rtcp }, to, packet.as_bytes());
                }
                media::Output::Copy { side, to, packet } => {
                    let pair = entry.ports.copies_of(side);
                    let _ = pair.map(|pair| sockets.send(pair.rtp, to, packet.as_bytes()));
                }
                media::Output::CopyControl { side, to, muxed, packet } => {
                    let pair = entry.ports.copies_of(side);
                    let _ = pair
                        .map(|Pair { rtp, rtcp }| sockets.send(if muxed { rtp } else { rtcp }, to, packet.as_bytes()));
                }
                media::Output::Event(event) => {
                    self.backlog.push_back(Report { call: entry.call, report: MediaReport::Event(event) });
                }
                media::Output::Recorded(frame) => self.recorder.frame(entry.call, frame),
            }
        }
        entry.session.lend(&mut self.room);
        let timer = entry.session.poll_timeout();
        // A timer that moves away, as it does with each packet of a masked line, is left where it is: it is looked at then.
        if let Some(at) = timer.filter(|at| entry.timer.is_none_or(|set| *at < set)) {
            entry.timer = Some(at);
            self.timers.push(Reverse((at, place)));
        }
        if self.backlog.len() > before {
            self.flush();
        }
    }

    fn report(&mut self, call: CallId, report: MediaReport) {
        self.backlog.push_back(Report { call, report });
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(report) = self.backlog.pop_front() {
            if let Err(error) = self.reports.try_send(report) {
                if let mpsc::error::TrySendError::Full(report) = error {
                    self.backlog.push_front(report);
                }
                return;
            }
        }
    }
}

/// RTCP's port (RFC 3550 section 11).
fn above(rtp: SocketAddr) -> io::Result<SocketAddr> {
    let port = rtp.port().checked_add(1).ok_or_else(|| io::Error::other("there is no port above the last one"))?;
    Ok(SocketAddr::new(rtp.ip(), port))
}

/// Puts something in a place, which may lie behind the last one.
fn put<T>(places: &mut Vec<Option<T>>, place: usize, what: T) {
    if places.len() <= place {
        places.resize_with(place + 1, || None);
    }
    if let Some(to) = places.get_mut(place) {
        *to = Some(what);
    }
}
