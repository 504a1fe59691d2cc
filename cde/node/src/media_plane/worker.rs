//! One media thread.

use super::{BACKLOG_MAX, Order, Report};
use crate::clock;
use crate::recorder::Recorder;
use call::{MediaOrder, MediaReport};
use media::{Session, Side};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    calls: BTreeMap<CallId, Entry>,
    ports: BTreeMap<Port, (CallId, Side)>,
    timers: BTreeSet<(Instant, CallId)>,
    reports: mpsc::Sender<Report>,
    backlog: VecDeque<Report>,
    recorder: Recorder,
}

struct Entry {
    session: Session,
    caller: Port,
    agent: Port,
    timer: Option<Instant>,
    record: bool,
}

impl Worker {
    pub(super) fn new(
        sockets: Sockets,
        orders: Receiver<Order>,
        reports: mpsc::Sender<Report>,
        recorder: Recorder,
    ) -> Self {
        let state = State {
            calls: BTreeMap::new(),
            ports: BTreeMap::new(),
            timers: BTreeSet::new(),
            reports,
            backlog: VecDeque::new(),
            recorder,
        };
        Self { sockets, orders, state }
    }

    /// Runs until the handle is gone.
    pub(super) fn run(mut self) {
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
            self.state.handle_timeouts(&self.sockets, clock::now());
            self.state.flush();
            self.close_overloaded();
        }
    }

    fn handle_order(&mut self, order: Order) {
        let now = clock::now();
        match order.order {
            MediaOrder::Open { caller, agent, record } => self.open(now, order.call, caller, agent, record, order.seed),
            MediaOrder::Command(command) => self.state.handle_command(&self.sockets, now, order.call, command),
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
                self.state.ports.insert(caller, (call, Side::Caller));
                self.state.ports.insert(agent, (call, Side::Agent));
                self.state.calls.insert(call, Entry { session, caller, agent, timer: None, record });
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
        let Some(entry) = self.state.calls.remove(&call) else { return };
        for port in [entry.caller, entry.agent] {
            self.state.ports.remove(&port);
            self.sockets.close(port);
        }
        if let Some(at) = entry.timer {
            self.state.timers.remove(&(at, call));
        }
        if entry.record {
            self.state.recorder.end(call);
        }
    }

    /// Nobody takes the reports: the lines are silenced rather than left to a switchboard that does not listen.
    fn close_overloaded(&mut self) {
        if self.state.backlog.len() > BACKLOG_MAX {
            tracing::error!("media: the switchboard takes no reports; all lines of this thread are closed");
            let calls: Vec<CallId> = self.state.calls.keys().copied().collect();
            calls.into_iter().for_each(|call| self.close(call));
            self.state.backlog.clear();
        }
    }
}

impl State {
    fn until_next_timer(&self, now: Instant) -> Duration {
        let timer = self.timers.first().map_or(IDLE, |(at, _)| at.saturating_duration_since(now));
        if self.backlog.is_empty() { timer.min(IDLE) } else { timer.min(Duration::from_millis(5)) }
    }

    fn handle_packet(&mut self, sockets: &Sockets, now: Instant, port: Port, from: SocketAddr, bytes: &[u8]) {
        if let Some((call, side)) = self.ports.get(&port).copied() {
            self.with(sockets, call, |session| session.handle_packet(now, side, from, bytes));
        }
    }

    fn handle_command(&mut self, sockets: &Sockets, now: Instant, call: CallId, command: media::Command) {
        self.with(sockets, call, |session| session.handle_command(now, command));
    }

    fn handle_timeouts(&mut self, sockets: &Sockets, now: Instant) {
        while let Some((at, call)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.remove(&(at, call));
            self.with(sockets, call, |session| session.handle_timeout(now));
        }
    }

    fn with(&mut self, sockets: &Sockets, call: CallId, act: impl FnOnce(&mut Session)) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        act(&mut entry.session);
        let mut reports = Vec::new();
        while let Some(output) = entry.session.poll_output() {
            match output {
                media::Output::Send { side, to, packet } => {
                    let port = if side == Side::Caller { entry.caller } else { entry.agent };
                    // UDP: a packet that cannot be sent now is lost, as one on the network would be.
                    let _ = sockets.send(port, to, packet.as_bytes());
                }
                media::Output::Event(event) => reports.push(MediaReport::Event(event)),
                media::Output::Recorded(frame) => self.recorder.frame(call, frame),
            }
        }
        let timer = entry.session.poll_timeout();
        let before = std::mem::replace(&mut entry.timer, timer);
        if let Some(at) = before.filter(|_| before != timer) {
            self.timers.remove(&(at, call));
        }
        self.timers.extend(timer.map(|at| (at, call)));
        reports.into_iter().for_each(|report| self.report(call, report));
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
