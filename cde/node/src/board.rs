//! The async heart: one task owns the switchboard; everything comes to it in one order.

use crate::charge::{Charger, Ended, LiveCalls, UnderWay};
use crate::clock;
use crate::door::{Ask, Snapshot};
use crate::journal::{Journal, JournalError, NewAttempt};
use crate::media_plane::{MediaPlane, Report};
use crate::transports::{Heard, Next, Transports};
use call::{Charge, MediaOrder, Output, Switchboard};
use sip::Peer;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use wire::{AttemptId, CallId, CaptureTime, Command, Event, PaymentId, Refusal, RegistrationState};

/// Datagrams read in a row before the other queues get their turn.
const DATAGRAMS_IN_A_ROW: usize = 32;
/// The wall clock is compared with the monotonic one this often.
const WALL_EVERY: Duration = Duration::from_secs(10);
/// How long calls may go on after the signal to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// What the switchboard waits for is on disk, or is not.
pub(crate) enum Journaled {
    Attempt { call: CallId, attempt: AttemptId, result: Result<(), Refusal> },
    Order { payment: PaymentId, is_kept: bool },
    Code { call: CallId, payment: PaymentId, used: Result<bool, Refusal> },
}

impl Journaled {
    fn tell(self, board: &mut Switchboard) {
        match self {
            Self::Attempt { call, attempt, result } => board.handle_journaled(clock::now(), call, attempt, result),
            Self::Order { payment, is_kept } => board.handle_order_kept(payment, is_kept),
            Self::Code { call, payment, used } => board.handle_code_used(clock::now(), call, payment, used),
        }
    }
}

/// The queues that lead to the switchboard.
pub(crate) struct Inbox {
    pub(crate) found: mpsc::Receiver<crate::resolver::Found>,
    pub(crate) transports: Transports,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) ended: mpsc::Receiver<Ended>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What the switchboard's outputs need.
pub(crate) struct Outbox {
    pub(crate) media: MediaPlane,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) journal: Journal,
    pub(crate) charger: Charger,
    pub(crate) live: LiveCalls,
    pub(crate) seeds: crate::seeds::Seeds,
    /// Where everything runs that must not keep the board waiting.
    pub(crate) tasks: Handle,
}

impl Outbox {
    fn note_calls(&self, event: &Event) {
        match event {
            Event::Call { call } => self.live.began(call.call),
            Event::CallEnded { call, .. } => self.live.ended(*call),
            Event::Proof { .. }
            | Event::CommandEnded { .. }
            | Event::Figures { .. }
            | Event::Trunk { .. }
            | Event::Test { .. }
            | Event::Ladder { .. }
            | Event::Ladders { .. } => {}
        }
    }
}

/// Runs the board on a thread of its own, which itself waits for what there is to read: where a runtime's other threads waited, one of
/// them would have to wake the board for each datagram, which costs more than reading it.
///
/// # Errors
/// There is no thread, the sockets cannot be waited for, or it has panicked, which is logged.
pub(crate) async fn run(
    board: Switchboard,
    pins: crate::pins::Watch,
    mut inbox: Inbox,
    outbox: Arc<Outbox>,
) -> io::Result<()> {
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new().name("board".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let all = async {
            inbox.transports.move_here()?;
            go_on(board, pins, inbox, outbox).await;
            Ok(())
        };
        let result = runtime.and_then(|runtime| runtime.block_on(all));
        // Nobody waits any more only when the process is ending without us.
        let _ = end.send(result);
    })?;
    ended.await.unwrap_or_else(|_| Err(io::Error::other("it ended by itself")))
}

/// Runs until told to stop and all calls are over.
async fn go_on(mut board: Switchboard, mut pins: crate::pins::Watch, mut inbox: Inbox, outbox: Arc<Outbox>) {
    let (journaled, mut answers) = mpsc::channel::<Journaled>(1024);
    let mut wall = tokio::time::interval(WALL_EVERY);
    let mut drained: Option<tokio::time::Instant> = None;
    let mut dropped = 0;
    loop {
        let timer = board.poll_timeout().map(tokio::time::Instant::from_std);
        tokio::select! {
            next = inbox.transports.next() => match next {
                Next::Datagrams(socket) => read(&mut board, &mut inbox.transports, socket, &outbox, &journaled),
                Next::Heard(heard) => hear(&mut board, &mut inbox.transports, heard, &outbox, &journaled),
            },
            Some(report) = inbox.reports.recv() => board.handle_media(clock::now(), report.call, report.report),
            Some(ask) = inbox.asks.recv() => handle_ask(&mut board, &outbox, ask),
            Some(ended) = inbox.ended.recv() => {
                if let Some(kept) = ended.kept {
                    board.handle_kept(clock::now(), ended.call, ended.attempt, kept);
                }
                board.handle_outcome(clock::now(), ended.call, ended.attempt, ended.outcome);
            }
            Some(answer) = answers.recv() => answer.tell(&mut board),
            Some(found) = inbox.found.recv() => {
                inbox.transports.know(&found);
                board.handle_places(clock::now(), found.trunk, found.targets);
            }
            () = sleep_until(timer) => board.handle_timeout(clock::now()),
            _ = wall.tick() => {
                board.set_wall(clock::now(), clock::unix_ms());
                pins.look().into_iter().for_each(|pins| board.set_pins(pins));
                tell_dropped(&board, &mut dropped);
            }
            _ = inbox.stop.changed(), if drained.is_none() => {
                tracing::info!(calls = board.calls(), "stopping: no new calls; those that stand may finish");
                board.drain(clock::now());
                drained = Some(tokio::time::Instant::now() + DRAIN);
            }
            () = sleep_until(drained) => board.end_all(clock::now()),
        }
        dispatch(&mut board, &mut inbox.transports, &outbox, &journaled);
        if drained.is_some() && board.calls() == 0 {
            return inbox.transports.close().await;
        }
    }
}

/// Who keeps this server busy without being a trunk is worth a line, but not one a message.
fn tell_dropped(board: &Switchboard, told: &mut u64) {
    let dropped = board.strangers_dropped();
    if dropped > *told {
        tracing::warn!(
            messages = dropped - *told,
            "SIP of addresses that no trunk has was dropped unread: there is too much of it"
        );
        *told = dropped;
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn read(
    board: &mut Switchboard,
    transports: &mut Transports,
    socket: usize,
    outbox: &Arc<Outbox>,
    journaled: &mpsc::Sender<Journaled>,
) {
    for _ in 0..DATAGRAMS_IN_A_ROW {
        if !transports.read(socket, |from, bytes| board.handle_message(clock::now(), from, bytes)) {
            return;
        }
        dispatch(board, transports, outbox, journaled);
    }
}

/// What a connection's task reports.
fn hear(
    board: &mut Switchboard,
    transports: &mut Transports,
    heard: Heard,
    outbox: &Arc<Outbox>,
    journaled: &mpsc::Sender<Journaled>,
) {
    match heard {
        Heard::Opened(peer, queue, pass) => transports.opened(peer, queue, Some(pass)),
        Heard::Message(peer, bytes) => board.handle_message(clock::now(), peer, &bytes),
        Heard::Broken(peer, malformed) => {
            board.handle_broken(clock::now(), peer, &malformed);
            dispatch(board, transports, outbox, journaled);
            lose(board, transports, peer);
        }
        Heard::Closed(peer) => lose(board, transports, peer),
    }
}

/// A connection is over: what is queued for it is still sent, if it can be.
fn lose(board: &mut Switchboard, transports: &mut Transports, peer: Peer) {
    if transports.finish(peer) {
        board.handle_closed(clock::now(), peer);
    }
}

fn handle_ask(board: &mut Switchboard, outbox: &Arc<Outbox>, ask: Ask) {
    match ask {
        Ask::Command(command) if command.action.is_of_the_books() => follow_up(outbox, command),
        Ask::Command(command) => board.handle_command(clock::now(), &command),
        Ask::EndCodes => board.end_codes(),
        Ask::Snapshot(answer) => {
            // Nobody waits any more when the office has gone again meanwhile.
            let (calls, trunks, events) = (board.snapshots(), board.trunks(), outbox.events.subscribe());
            let _ = answer.send(Snapshot { calls, trunks, events });
        }
    }
}

/// What is about money that was approved, kept cards or gateways is no call's business: the journal decides, also when the call is long gone.
fn follow_up(outbox: &Arc<Outbox>, command: Box<Command>) {
    let outbox = Arc::clone(outbox);
    let tasks = outbox.tasks.clone();
    tasks.spawn(async move {
        let result = outbox.charger.answer(&command).await;
        // Without an office nobody listens; it asks again when it comes.
        let _ = outbox.events.send(Event::CommandEnded { id: command.id, result });
    });
}

/// Does everything that the switchboard wants done.
fn dispatch(
    board: &mut Switchboard,
    transports: &mut Transports,
    outbox: &Arc<Outbox>,
    journaled: &mpsc::Sender<Journaled>,
) {
    while let Some(output) = board.poll_output() {
        match output {
            Output::Sip { to, bytes } => {
                if let Err(closed) = transports.send(to, bytes) {
                    board.handle_closed(clock::now(), closed);
                }
            }
            Output::Media { call, order } => order_media(board, outbox, call, order),
            Output::SignedIn { peer, user } => {
                tracing::info!(%user, address = %peer.address, "a phone has signed in");
                transports.befriend(peer);
            }
            Output::Turned { trunk, address, is_up } => match is_up {
                true => tracing::info!(%trunk, %address, "a trunk answers again"),
                false => tracing::warn!(%trunk, %address, "a trunk does not answer; its other places are called first"),
            },
            Output::Registered { trunk, address, status } => tell_registered(&trunk, address, status),
            Output::Wire(event) => {
                outbox.note_calls(&event);
                // Without an office nobody listens; it gets a snapshot when it comes.
                let _ = outbox.events.send(event);
            }
            Output::Audit(event) => {
                // A loss is counted and said by the journal; a call does not end for it.
                let _ = outbox.journal.audit(event);
            }
            Output::Send { call, attempt } => charge(board, outbox, journaled, call, attempt),
            Output::KeepOrder(order) => {
                let payment = order.order.payment;
                let kept = outbox.journal.keep_order(*order);
                tell_written(outbox, journaled, async move {
                    let kept = kept.await.inspect_err(|error| tracing::error!(%error, "an order could not be kept"));
                    Journaled::Order { payment, is_kept: kept.is_ok() }
                });
            }
            Output::UseCode { call, payment } => {
                let used = outbox.journal.use_code(payment);
                tell_written(outbox, journaled, async move {
                    let used =
                        used.await.inspect_err(|error| tracing::error!(%error, %call, "a code could not be used"));
                    Journaled::Code { call, payment, used: used.map_err(|_| Refusal::JournalFault) }
                });
            }
        }
    }
}

/// The switchboard is told when the disk has it; what is written stands in the journal's queue already.
fn tell_written(
    outbox: &Outbox,
    journaled: &mpsc::Sender<Journaled>,
    written: impl Future<Output = Journaled> + Send + 'static,
) {
    let journaled = journaled.clone();
    outbox.tasks.spawn(async move {
        // Nobody hears it when the process is ending.
        let _ = journaled.send(written.await).await;
    });
}

/// A trunk that does not know where we are calls nobody here, and nobody would know why.
fn tell_registered(trunk: &str, address: std::net::SocketAddr, status: u16) {
    let advice = wire::trunk::registration_advice(status);
    match RegistrationState::of(status) {
        RegistrationState::Registered => tracing::info!(%trunk, %address, "registered"),
        RegistrationState::Unanswered => {
            tracing::warn!(%trunk, %address, status, advice, "no answer to a registration: no calls come from there");
        }
        _ => tracing::warn!(%trunk, %address, status, advice, "a registration is refused: no calls come from there"),
    }
}

fn order_media(board: &mut Switchboard, outbox: &Outbox, call: CallId, order: MediaOrder) {
    let opening = matches!(order, MediaOrder::Open { .. });
    if !outbox.media.order(call, order, outbox.seeds.next()) && opening {
        board.handle_media(clock::now(), call, call::MediaReport::OpenFailed);
    }
}

/// The request is built here and now, while the card is there; then it goes to disk, then to the gateway.
fn charge(
    board: &mut Switchboard,
    outbox: &Arc<Outbox>,
    journaled: &mpsc::Sender<Journaled>,
    call: CallId,
    attempt: AttemptId,
) {
    let Some(Charge { payment, extension, origin, reference, sending }) = board.charge(call, attempt) else {
        // The caller hung up meanwhile and the card is gone: nothing is sent.
        return board.handle_journaled(clock::now(), call, attempt, Err(Refusal::CardGone));
    };
    let built = match outbox.charger.build(attempt, sending.merchant, &sending) {
        Ok(built) => built,
        Err(reason) => return board.handle_journaled(clock::now(), call, attempt, Err(reason)),
    };
    let row = NewAttempt {
        credential: built.parcel.credential(),
        attempt,
        kind: built.operation.kind,
        payment,
        call,
        extension: extension.clone(),
        origin: origin.clone(),
        merchant: sending.merchant.clone(),
        deadline_ms: built.deadline_ms,
        gateway: built.gateway,
        amount: sending.amount,
        later: sending.order.capture == CaptureTime::Later,
        follows: None,
        last: false,
        card: Some(sending.card.view()),
        digest: built.digest,
        locator: None,
        keep: built.keep,
        token: None,
        reference: reference.cloned(),
    };
    let (under_way, parcel) = (UnderWay::of(&row, built.operation), built.parcel);
    let (outbox, journaled, tasks) = (Arc::clone(outbox), journaled.clone(), outbox.tasks.clone());
    tasks.spawn(async move {
        let begun = outbox.charger.begin(row).await;
        let result = begun.as_ref().copied().map_err(refusal);
        // The switchboard hears of the disk before it can hear of the gateway.
        let heard = journaled.send(Journaled::Attempt { call, attempt, result }).await;
        if begun.is_ok() && heard.is_ok() {
            outbox.charger.carry(under_way, parcel).await;
        }
    });
}

fn refusal(error: &JournalError) -> Refusal {
    match error {
        JournalError::SecondAttempt => Refusal::OutcomePending,
        JournalError::SameOrder => Refusal::SameOrder,
        _ => Refusal::JournalFault,
    }
}
