//! The thread that finds browsers and agrees on keys with them. A handshake costs a millisecond and memory, which a media
//! thread has not to give: it hands over what is STUN or DTLS, and gets back what is to be sent, and in the end the keys.
//!
//! # Invariants
//! - What is asked of a leg carries the leg's number; an answer to an earlier one is not believed.
//! - A packet that finds a queue full is lost, as one on the network would be. News that finds it full is told again.
//! - What the call says does not wait behind packets, which anybody can send: it has a queue of its own and goes first.
//! - Of a leg that has failed nothing is kept once that is told.

use super::{Order, Task};
use crate::clock;
use media::srtp::{self, Master};
use media::{Remote, Side};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};
use udp::Waker;
use webrtc::{Association, Certificates, Output, Suite, Terms};
use wire::CallId;

/// What the call says that may wait for this thread, and as many packets.
const ASKS_MAX: usize = 4096;
/// Legs at once.
const LEGS_MAX: usize = 4096;
/// It looks this often whether it is still needed.
const IDLE: Duration = Duration::from_millis(500);
/// News that could not be told is told again after this time.
const AGAIN: Duration = Duration::from_millis(20);

/// What this thread is asked.
pub(super) enum Ask {
    /// Find this leg's browser, or go on with what it says now.
    Negotiate(Box<Leg>),
    /// This has come from somewhere.
    Packet { call: CallId, side: Side, from: SocketAddr, bytes: Vec<u8> },
    /// The leg is over, or has another peer.
    End { call: CallId, side: Side },
}

/// A leg as it is now.
pub(super) struct Leg {
    pub(super) call: CallId,
    pub(super) side: Side,
    /// Another number is another leg.
    pub(super) generation: u64,
    /// Which thread has its ports.
    pub(super) worker: usize,
    /// What was agreed on, but for the address.
    pub(super) remote: Remote,
    /// The certificate that is shown.
    pub(super) ours: [u8; 32],
    pub(super) terms: Terms,
}

/// Hands this thread what is for it.
#[derive(Clone)]
pub(super) struct Asks {
    said: SyncSender<Ask>,
    packets: SyncSender<Ask>,
    /// Holds one word at most: there is something in the others.
    waker: SyncSender<()>,
}

impl Asks {
    /// False if the queue is full.
    pub(super) fn send(&self, ask: Ask) -> bool {
        let queue = if matches!(ask, Ask::Packet { .. }) { &self.packets } else { &self.said };
        let is_sent = queue.try_send(ask).is_ok();
        let _ = self.waker.try_send(());
        is_sent
    }
}

/// The other end.
struct Inbox {
    said: Receiver<Ask>,
    packets: Receiver<Ask>,
    woken: Receiver<()>,
}

impl Inbox {
    fn next(&self) -> Option<Ask> {
        self.said.try_recv().or_else(|_| self.packets.try_recv()).ok()
    }

    /// Waits until there is something; false if nothing will come any more.
    fn wait(&self, timeout: Duration) -> bool {
        self.woken.recv_timeout(timeout) != Err(RecvTimeoutError::Disconnected)
    }
}

/// Starts it when the media threads are there. It ends with the handle that they have in common.
pub(super) struct Handshakes {
    inbox: Inbox,
    certificates: Certificates,
}

impl Handshakes {
    pub(super) fn new(certificates: Certificates) -> (Asks, Self) {
        let ((said, hears), (packets, takes)) = (sync_channel(ASKS_MAX), sync_channel(ASKS_MAX));
        let (waker, woken) = sync_channel(1);
        let inbox = Inbox { said: hears, packets: takes, woken };
        (Asks { said, packets, waker }, Self { inbox, certificates })
    }

    pub(super) fn start(self, workers: Vec<(SyncSender<Order>, Waker)>, alive: &Arc<()>) -> io::Result<()> {
        let Self { inbox, certificates } = self;
        let alive = Arc::downgrade(alive);
        let desk = Desk { certificates, workers, entries: BTreeMap::new(), timers: BTreeSet::new() };
        thread::Builder::new().name("handshakes".to_owned()).spawn(move || run(desk, &inbox, &alive)).map(drop)
    }
}

type Key = (CallId, Side);

struct Entry {
    association: Association,
    leg: Box<Leg>,
    /// What the media thread could not be told: that sound may flow, or why it may not.
    untold: Option<News>,
    timer: Option<Instant>,
}

#[derive(Clone, Copy)]
enum News {
    Established,
    Failed,
}

struct Desk {
    certificates: Certificates,
    workers: Vec<(SyncSender<Order>, Waker)>,
    entries: BTreeMap<Key, Entry>,
    timers: BTreeSet<(Instant, Key)>,
}

fn run(mut desk: Desk, inbox: &Inbox, alive: &Weak<()>) {
    while alive.strong_count() > 0 {
        if let Some(ask) = inbox.next() {
            desk.handle(clock::now(), ask);
        } else if !inbox.wait(desk.until_next_timer(clock::now())) {
            return;
        }
        desk.handle_timeouts(clock::now());
    }
}

impl Desk {
    fn until_next_timer(&self, now: Instant) -> Duration {
        self.timers.first().map_or(IDLE, |(at, _)| at.saturating_duration_since(now)).min(IDLE)
    }

    fn handle(&mut self, now: Instant, ask: Ask) {
        match ask {
            Ask::Negotiate(leg) => self.negotiate(now, leg),
            Ask::Packet { call, side, from, bytes } => {
                self.with(now, (call, side), |entry| entry.association.handle_packet(now, from, &bytes));
            }
            Ask::End { call, side } => self.forget((call, side)),
        }
    }

    fn negotiate(&mut self, now: Instant, leg: Box<Leg>) {
        let key = (leg.call, leg.side);
        // One that has failed while nobody wanted to hear of it begins anew, too.
        let is_other = |entry: &Entry| {
            let is_same = (entry.leg.generation, entry.leg.ours) == (leg.generation, leg.ours);
            !is_same || entry.association.is_over()
        };
        if self.entries.get(&key).is_some_and(is_other) {
            self.forget(key);
        }
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.association.change(now, leg.terms.clone());
            entry.leg = leg;
            // What is said now may be another direction or codec.
            entry.untold = entry.association.address().map(|_| News::Established);
        } else if let Some(certificate) = self.certificates.with(&leg.ours).filter(|_| self.entries.len() < LEGS_MAX) {
            let association = Association::new(now, certificate.clone(), leg.terms.clone());
            self.entries.insert(key, Entry { association, leg, untold: None, timer: None });
        } else {
            tracing::error!("media: too many legs of browsers at once; one is refused");
            let task = Task::Lost { side: leg.side, generation: leg.generation };
            let _ = tell(&self.workers, leg.worker, leg.call, task);
        }
        self.with(now, key, |_| {});
    }

    fn handle_timeouts(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.remove(&(at, key));
            self.with(now, key, |entry| {
                entry.timer = None;
                entry.association.handle_timeout(now);
            });
        }
    }

    fn with(&mut self, now: Instant, key: Key, act: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        act(entry);
        entry.carry_out(&self.workers);
        let again = entry.untold.map(|_| now + AGAIN);
        let timer = [entry.association.poll_timeout(), again].into_iter().flatten().min();
        if let Some(before) = std::mem::replace(&mut entry.timer, timer) {
            self.timers.remove(&(before, key));
        }
        self.timers.extend(timer.map(|at| (at, key)));
        if entry.association.is_over() && entry.untold.is_none() {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: Key) {
        if let Some(timer) = self.entries.remove(&key).and_then(|entry| entry.timer) {
            self.timers.remove(&(timer, key));
        }
    }
}

impl Entry {
    /// Does what the association wants done.
    fn carry_out(&mut self, workers: &[(SyncSender<Order>, Waker)]) {
        let (call, side) = (self.leg.call, self.leg.side);
        while let Some(output) = self.association.poll_output() {
            match output {
                Output::Send { to, bytes } => {
                    let _ = tell(workers, self.leg.worker, call, Task::Send { side, to, bytes });
                }
                Output::Established { address } => {
                    tracing::debug!(%call, ?side, %address, "a browser is found, and its keys are agreed on");
                    self.untold = Some(News::Established);
                }
                Output::Failed(failure) => {
                    tracing::warn!(%call, ?side, %failure, "a browser is lost");
                    self.untold = Some(News::Failed);
                }
            }
        }
        let Some(task) = self.untold.and_then(|news| self.news(news)) else { return self.untold = None };
        if tell(workers, self.leg.worker, call, task) {
            self.untold = None;
        }
    }

    fn news(&self, news: News) -> Option<Task> {
        let (side, generation) = (self.leg.side, self.leg.generation);
        match news {
            News::Failed => Some(Task::Lost { side, generation }),
            News::Established => {
                let address = self.association.address()?;
                let keys = Box::new(keys(self.association.keys()?)?);
                let remote = Remote { address, rtcp: address, ..self.leg.remote };
                Some(Task::Connect { side, generation, remote, keys })
            }
        }
    }
}

/// False if the thread's queue is full. One that is gone wants to know nothing.
fn tell(workers: &[(SyncSender<Order>, Waker)], worker: usize, call: CallId, task: Task) -> bool {
    let Some((orders, waker)) = workers.get(worker) else { return true };
    let sent = orders.try_send(Order { call, task });
    waker.wake();
    !matches!(sent, Err(TrySendError::Full(_)))
}

/// As the media session wants them.
fn keys(agreed: &webrtc::Keys) -> Option<srtp::Keys> {
    let suite = match agreed.suite {
        Suite::Aes128Sha1Tag80 => srtp::Suite::Aes128Sha1Tag80,
        Suite::Aes128Gcm => srtp::Suite::Aes128Gcm,
        Suite::Aes256Gcm => srtp::Suite::Aes256Gcm,
    };
    let (inbound, outbound) = (Master::new(suite, agreed.inbound())?, Master::new(suite, agreed.outbound())?);
    Some(srtp::Keys { inbound, outbound })
}

#[cfg(test)]
mod tests;
