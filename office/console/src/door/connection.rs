//! Keeps a connection to the cde: connects, checks who is there, follows what it says, and starts again.

use super::Told;
use super::lines::{LineError, Reader, Writer};
use crate::{
    app::App,
    clock::now_ms,
    hub::Hub,
    store::{StoreError, journal::GROUP_MAX},
    view::PaymentRow,
};
use std::{os::unix::fs::MetadataExt, sync::Arc, sync::atomic::Ordering, time::Duration};
use tokio::{
    net::UnixStream,
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at},
};
use wire::{CallSnapshot, Command, Event, FromCde, FromOffice, JournalId, Record, RecordBody};

/// The shortest and longest wait before connecting again.
const BACK_OFF_MIN: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);
const PING_EVERY: Duration = Duration::from_secs(1);
/// A cde that says nothing for this long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the socket cannot be reached: {0}")]
    Connect(std::io::Error),
    #[error("the socket belongs to a process of another user (uid {0})")]
    Peer(u32),
    #[error("{0}")]
    Line(#[from] LineError),
    #[error("nothing was heard for {} s", SILENCE_MAX.as_secs())]
    Silence,
    #[error("the first line was no greeting, or a greeting came twice")]
    Greeting,
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Keeps the connection until the process stops.
pub(crate) async fn keep(app: Arc<App>, mut commands: mpsc::Receiver<Command>, mut stop: watch::Receiver<bool>) {
    let mut wait = BACK_OFF_MIN;
    loop {
        let ended = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            ended = connection(&app, &mut commands) => ended,
        };
        let is_stopped = matches!(ended, Err(Ended::Store(StoreError::Gap { .. })));
        if app.hub(|hub| {
            let was_up = hub.door_is_up();
            hub.door_down();
            was_up
        }) {
            wait = BACK_OFF_MIN;
        }
        if is_stopped {
            // People decide.
            wait = BACK_OFF_MAX;
        }
        let trouble = ended.err().map_or_else(String::new, |error| error.to_string());
        if app.door.down(trouble.clone()) {
            tracing::warn!(trouble, "no connection to the cde");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(wait) => wait = (wait * 2).min(BACK_OFF_MAX),
        }
    }
}

/// One connection, until it ends.
async fn connection(app: &App, commands: &mut mpsc::Receiver<Command>) -> Result<(), Ended> {
    let socket = UnixStream::connect(&app.config.door).await.map_err(Ended::Connect)?;
    check_peer(app, &socket)?;
    let (read, write) = socket.into_split();
    let (mut reader, mut writer) = (Reader::new(read), Writer::new(write));
    let (journal, acknowledged) = app.store.door().await?.map_or((None, 0), |(id, number)| (Some(id), number));
    writer.say(&FromOffice::Hello { journal, acknowledged }).await?;
    let first = timeout(SILENCE_MAX, reader.next()).await.map_err(|_| Ended::Silence)??;
    let FromCde::Hello { journal, calls, warnings } = first else { return Err(Ended::Greeting) };
    greeted(app, journal, calls).await?;
    // What is still in the queue is pending too, and is sent with the rest.
    while commands.try_recv().is_ok() {}
    for command in app.door.up(warnings) {
        writer.say(&FromOffice::Command(command)).await?;
    }
    tracing::info!("connected to the cde");
    follow(app, commands, &mut reader, &mut writer).await
}

/// The socket stands in a folder of the cde; still, who listens on it is asked of the kernel.
fn check_peer(app: &App, socket: &UnixStream) -> Result<(), Ended> {
    let peer = socket.peer_cred().map_err(Ended::Connect)?.uid();
    let expected = match app.config.door_peer_uid {
        Some(uid) => uid,
        None => std::fs::metadata("/proc/self").map_err(Ended::Connect)?.uid(),
    };
    if peer == expected { Ok(()) } else { Err(Ended::Peer(peer)) }
}

async fn greeted(app: &App, journal: JournalId, calls: Vec<CallSnapshot>) -> Result<(), Ended> {
    app.counters.connections.fetch_add(1, Ordering::Relaxed);
    app.store.journal(journal).await?;
    if let Some(missing) = app.store.missing_next(journal).await? {
        return Err(
            StoreError::Gap { stored: missing.first.saturating_sub(1), got: missing.last.saturating_add(1) }.into()
        );
    }
    let ids: Vec<_> = calls.iter().map(|call| call.call).collect();
    let payments = app.store.payments_of_calls(&ids).await?;
    app.hub(|hub| hub.hello(now_ms(), calls, payments));
    Ok(())
}

async fn follow(
    app: &App,
    commands: &mut mpsc::Receiver<Command>,
    reader: &mut Reader,
    writer: &mut Writer,
) -> Result<(), Ended> {
    let mut ping = interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            line = timeout_at(heard + SILENCE_MAX, reader.next()) => {
                let line = line.map_err(|_| Ended::Silence)??;
                heard = Instant::now();
                heed(app, line, reader, writer).await?;
            }
            Some(command) = commands.recv() => {
                if app.door.awaited(command.id) {
                    writer.say(&FromOffice::Command(command)).await?;
                }
            }
            _ = ping.tick() => writer.say(&FromOffice::Ping).await?,
        }
    }
}

/// One line of the cde; with a record those that have come right after it, because each transaction costs the disk the
/// same.
async fn heed(app: &App, line: FromCde, reader: &mut Reader, writer: &mut Writer) -> Result<(), Ended> {
    let FromCde::Record(first) = line else { return said(app, line).await };
    let mut records = vec![first];
    let after = loop {
        if records.len() >= GROUP_MAX {
            break Ok(None);
        }
        match reader.ready() {
            Ok(Some(FromCde::Record(next))) => records.push(next),
            other => break other,
        }
    };
    // What came before a line that is not understood counts.
    recorded(app, &records, writer).await?;
    match after? {
        Some(line) => said(app, line).await,
        None => Ok(()),
    }
}

/// One line of the cde that is not a record.
async fn said(app: &App, line: FromCde) -> Result<(), Ended> {
    match line {
        FromCde::Hello { .. } => return Err(Ended::Greeting),
        FromCde::Record(_) | FromCde::Ping => {}
        FromCde::Event(Event::Call { call }) => app.hub(|hub| hub.call(now_ms(), call)),
        FromCde::Event(Event::Figures { call, figures }) => app.hub(|hub| hub.figures(call, figures)),
        FromCde::Event(Event::Ladder { command, ladder }) => app.door.told(command, Told::Ladder(ladder)),
        FromCde::Event(Event::Ladders { command, ladders }) => app.door.told(command, Told::Ladders(ladders)),
        FromCde::Event(Event::Test { test }) => app.hub(|hub| hub.test(test)),
        FromCde::Event(Event::Trunk { trunk }) => app.hub(|hub| hub.trunk(trunk)),
        FromCde::Event(Event::Proof { call, at_unix_ms }) => app.hub(|hub| hub.proof(at_unix_ms, call)),
        FromCde::Event(Event::CommandEnded { id, result }) => app.door.answer(id, result),
        FromCde::Event(Event::CallEnded { call, end }) => {
            let unrecorded = app.hub(|hub| hub.unrecorded(call)).map(|(payment, _)| payment);
            let changed = app.store.call_is_over(now_ms(), call, unrecorded).await?;
            show(app, changed);
            app.hub(|hub| hub.call_ended(call, end));
        }
        FromCde::CaughtUp => {
            let alive = app.hub(|hub| hub.call_ids());
            let payments = app.store.payments_of_calls(&alive).await?;
            app.hub(|hub| hub.know(now_ms(), payments));
            show(app, app.store.caught_up(now_ms(), &alive).await?);
            app.hub(Hub::caught_up);
            app.all_told.send_replace(true);
        }
    }
    Ok(())
}

/// Stores records and acknowledges the newest that is stored, which stands for all before it.
async fn recorded(app: &App, records: &[Record], writer: &mut Writer) -> Result<(), Ended> {
    let stored = app.store.records(records).await?;
    app.counters.records.fetch_add(stored.fresh, Ordering::Relaxed);
    // Those that were stored before come first.
    let fresh = usize::try_from(stored.fresh).unwrap_or(usize::MAX);
    records.iter().rev().take(fresh).for_each(|record| app.counters.witness(record));
    if records.iter().any(|record| matches!(record.body, RecordBody::OfficeRestored(_))) {
        hold_recurring(app).await?;
    }
    for payment in stored.payments {
        show(app, app.store.payment(payment).await?);
    }
    if let Some(number) = stored.newest {
        writer.say(&FromOffice::Ack { number }).await?;
    }
    stored.trouble.map_or(Ok(()), |trouble| Err(trouble.into()))
}

/// What a restored database says of recurring payments is told to the schedulers of this process, which wait for the end of the
/// records.
async fn hold_recurring(app: &App) -> Result<(), Ended> {
    let stored = app.store.clock_watch().await?;
    if stored.held.is_some() {
        app.clock(|watch| watch.held = stored.held);
    }
    Ok(())
}

fn show(app: &App, changed: impl IntoIterator<Item = PaymentRow>) {
    for row in changed {
        app.hub(|hub| hub.payment(now_ms(), row));
    }
}
