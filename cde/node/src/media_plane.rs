//! The media threads: each owns the sessions of its calls, their sockets and nothing else.
//!
//! # Invariants
//! - Nothing is shared between threads; orders come and reports go over bounded queues.
//! - A report that finds its queue full is kept and tried again, in order; beyond [`BACKLOG_MAX`] the session is closed,
//!   which silences it.
//! - An order that finds its queue full is refused; the call machine then has no confirmation, and the line is not
//!   reported as anything that it is not.

mod worker;

use crate::recorder::Recorder;
use call::{MediaOrder, MediaReport};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use tokio::sync::mpsc;
use udp::{Sockets, Waker};
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
    order: MediaOrder,
    seed: [u8; 32],
}

/// What a thread reports.
pub(crate) struct Report {
    pub(crate) call: CallId,
    pub(crate) report: MediaReport,
}

/// The threads' handle.
pub(crate) struct MediaPlane {
    workers: Vec<(SyncSender<Order>, Waker)>,
}

impl MediaPlane {
    /// Starts the threads.
    pub(crate) fn start(threads: usize, recorder: &Recorder) -> std::io::Result<(Self, mpsc::Receiver<Report>)> {
        let (reports, incoming) = mpsc::channel(REPORTS_MAX);
        let mut workers = Vec::new();
        for number in 0..threads.max(1) {
            let (sockets, waker) = Sockets::new()?;
            let (sender, orders) = sync_channel(ORDERS_MAX);
            let worker = worker::Worker::new(sockets, orders, reports.clone(), recorder.clone());
            thread::Builder::new().name(format!("media-{number}")).spawn(move || worker.run())?;
            workers.push((sender, waker));
        }
        Ok((Self { workers }, incoming))
    }

    /// Hands an order to the call's thread. False when its queue is full.
    pub(crate) fn order(&self, call: CallId, order: MediaOrder, seed: [u8; 32]) -> bool {
        let index = usize::try_from(call.0.as_u128() % u128::try_from(self.workers.len()).unwrap_or(1)).unwrap_or(0);
        let Some((orders, waker)) = self.workers.get(index) else { return false };
        let taken = orders.try_send(Order { call, order, seed }).is_ok();
        waker.wake();
        taken
    }
}
