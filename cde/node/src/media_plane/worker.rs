//! One media thread.

use super::{BACKLOG_MAX, Order, Report};
use crate::clock;
use crate::recorder::Recorder;
use call::{MediaOrder, MediaReport};
use media::{Session, Side};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
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
}

struct Entry {
    call: CallId,
    session: Session,
    caller: Port,
    agent: Port,
    /// The earliest that is set for it; what is due then may have moved away.
    timer: Option<Instant>,
    record: bool,
}

impl Entry {
    fn port(&self, side: Side) -> Port {
        match side {
            Side::Caller => self.caller,
            Side::Agent => self.agent,
        }
    }
}

impl Worker {
    pub(super) fn new(
        sockets: Sockets,
        orders: Receiver<Order>,
        reports: mpsc::Sender<Report>,
        recorder: Recorder,
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
        };
        Self { sockets, orders, state }
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
        let now = clock::now();
        match order.order {
            MediaOrder::Open { caller, agent, record } => self.open(now, order.call, caller, agent, record, order.seed),
            MediaOrder::Command(command) => {
                if let media::Command::Connect { side, remote } = &command
                    && let Some(port) = self.state.port(order.call, *side)
                {
                    self.sockets.connect(port, remote.address);
                }
                self.state.handle_command(&mut self.sockets, now, order.call, command);
            }
            MediaOrder::Close => self.close(order.call),
        }
    }

    fn open(
        &mut self,
        now: Instant,
        call: CallId,
        caller: SocketAddr,
        agent: SocketAddr,
        record: bool,
        seed: [u8; 32],
    ) {
        let bound = self.sockets.open(caller).and_then(|first| match self.sockets.open(agent) {
            Ok(second) => Ok((first, second)),
            Err(error) => {
                self.sockets.close(first);
                Err(error)
            }
        });
        let report = match bound {
            Ok((caller, agent)) => {
                let session = Session::new(now, media::Config { seed, record });
                self.state.insert(Entry { call, session, caller, agent, timer: None, record });
                if record {
                    self.state.recorder.begin(call);
                }
                MediaReport::Opened
            }
            Err(error) => {
                tracing::warn!(%error, %caller, %agent, "media: ports could not be bound");
                MediaReport::OpenFailed
            }
        };
        self.state.report(call, report);
    }

    fn close(&mut self, call: CallId) {
        let Some(entry) = self.state.remove(call) else { return };
        self.sockets.close(entry.caller);
        self.sockets.close(entry.agent);
        if entry.record {
            self.state.recorder.end(call);
        }
    }

    /// Nobody takes the reports: the lines are silenced rather than left to a switchboard that does not listen.
    fn close_overloaded(&mut self) {
        if self.state.backlog.len() > BACKLOG_MAX {
            tracing::error!("media: the switchboard takes no reports; all lines of this thread are closed");
            let calls: Vec<CallId> = self.state.places.keys().copied().collect();
            calls.into_iter().for_each(|call| self.close(call));
            self.state.backlog.clear();
        }
    }
}

impl State {
    fn insert(&mut self, entry: Entry) {
        let place = self.free.pop().unwrap_or(self.calls.len());
        self.places.insert(entry.call, place);
        for (port, side) in [(entry.caller, Side::Caller), (entry.agent, Side::Agent)] {
            put(&mut self.ports, port.index(), (place, side));
        }
        put(&mut self.calls, place, Box::new(entry));
    }

    fn remove(&mut self, call: CallId) -> Option<Box<Entry>> {
        let place = self.places.remove(&call)?;
        let entry = self.calls.get_mut(place)?.take()?;
        for port in [entry.caller, entry.agent] {
            self.ports.get_mut(port.index()).into_iter().for_each(|of| *of = None);
        }
        self.free.push(place);
        Some(entry)
    }

    fn port(&self, call: CallId, side: Side) -> Option<Port> {
        let entry = self.calls.get(*self.places.get(&call)?)?.as_ref()?;
        Some(entry.port(side))
    }

    fn until_next_timer(&self, now: Instant) -> Duration {
        let timer = self.timers.peek().map_or(IDLE, |Reverse((at, _))| at.saturating_duration_since(now));
        if self.backlog.is_empty() { timer.min(IDLE) } else { timer.min(Duration::from_millis(5)) }
    }

    fn handle_packet(&mut self, sockets: &mut Sockets, now: Instant, port: Port, from: SocketAddr, bytes: &[u8]) {
        if let Some((place, side)) = self.ports.get(port.index()).copied().flatten() {
            self.with(sockets, place, |session| session.handle_packet(now, side, from, bytes));
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
    /// left behind is gone in its own time, which for all timers of a session is a frame away.
    fn is_due(&mut self, place: usize, at: Instant) -> bool {
        let entry = self.calls.get_mut(place).and_then(Option::as_mut).filter(|entry| entry.timer == Some(at));
        entry.is_some_and(|entry| entry.timer.take().is_some())
    }

    fn with(&mut self, sockets: &mut Sockets, place: usize, act: impl FnOnce(&mut Session)) {
        let Some(entry) = self.calls.get_mut(place).and_then(Option::as_mut) else { return };
        act(&mut entry.session);
        let before = self.backlog.len();
        while let Some(output) = entry.session.poll_output() {
            match output {
                media::Output::Send { side, to, packet } => {
                    let port = entry.port(side);
                    // UDP: a packet that cannot be sent now is lost, as one on the network would be.
                    let _ = sockets.send(port, to, packet.as_bytes());
                }
                media::Output::Event(event) => {
                    self.backlog.push_back(Report { call: entry.call, report: MediaReport::Event(event) });
                }
                media::Output::Recorded(frame) => self.recorder.frame(entry.call, frame),
            }
        }
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

/// Puts something in a place, which may lie behind the last one.
fn put<T>(places: &mut Vec<Option<T>>, place: usize, what: T) {
    if places.len() <= place {
        places.resize_with(place + 1, || None);
    }
    if let Some(to) = places.get_mut(place) {
        *to = Some(what);
    }
}
