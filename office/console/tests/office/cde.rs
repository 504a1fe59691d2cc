//! A scripted card side: it says what a test tells it to say, and pings.

use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixListener,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
    task::AbortHandle,
    time::timeout,
};
use uuid::Uuid;
use wire::{
    CallSnapshot, Command, CommandResult, Event, FromCde, FromOffice, JournalId, Record, RecordBody, decode, encode,
};

/// Far more than any answer takes, also on a machine that has much else to do.
const WAIT: Duration = Duration::from_secs(30);

pub(crate) struct Cde {
    listener: UnixListener,
    pub(crate) journal: JournalId,
}

pub(crate) struct Link {
    reader: Lines<BufReader<OwnedReadHalf>>,
    heard: u64,
    writer: Arc<Mutex<(OwnedWriteHalf, u64)>>,
    pings: AbortHandle,
    /// What the office's greeting said.
    pub(crate) greeting: (Option<JournalId>, u64),
}

impl Cde {
    pub(crate) fn bind(path: &Path) -> Self {
        Self { listener: crate::listen(path).unwrap(), journal: JournalId(Uuid::from_u128(0xA)) }
    }

    /// Waits for the office and greets it. A connection that it has let go of by then is passed over: who drops a link before the
    /// office is stopped, or is slow to come here, leaves one in the queue.
    pub(crate) async fn accept(&self, calls: Vec<CallSnapshot>) -> Link {
        loop {
            if let Some(link) = self.greet(calls.clone()).await {
                return link;
            }
        }
    }

    async fn greet(&self, calls: Vec<CallSnapshot>) -> Option<Link> {
        let (socket, _) = timeout(WAIT, self.listener.accept()).await.expect("the office does not come").unwrap();
        let (reader, writer) = socket.into_split();
        let writer = Arc::new(Mutex::new((writer, 0)));
        let pinging = writer.clone();
        let mut link = Link {
            reader: BufReader::new(reader).lines(),
            heard: 0,
            writer,
            pings: tokio::spawn(std::future::pending::<()>()).abort_handle(),
            greeting: (None, 0),
        };
        let hello = FromCde::Hello { journal: self.journal, calls, warnings: vec!["one user".into()] };
        if !write(&link.writer, &hello).await {
            return None;
        }
        let FromOffice::Hello { journal, acknowledged } = link.heard().await? else { panic!("no greeting") };
        link.greeting = (journal, acknowledged);
        let pings = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if !write(&pinging, &FromCde::Ping).await {
                    return;
                }
            }
        });
        link.pings = pings.abort_handle();
        Some(link)
    }
}

impl Link {
    pub(crate) async fn say(&self, body: FromCde) {
        assert!(write(&self.writer, &body).await, "the office has hung up");
    }

    pub(crate) async fn call(&self, call: CallSnapshot) {
        self.say(FromCde::Event(Event::Call { call })).await;
    }

    pub(crate) async fn record(&self, number: u64, body: RecordBody) {
        self.say(FromCde::Record(Record { number, at_unix_ms: 2_000_000_000_000, body })).await;
    }

    /// Says all of them at once.
    pub(crate) async fn records(&self, first: u64, bodies: Vec<RecordBody>) {
        let mut writer = self.writer.lock().await;
        let mut lines = Vec::new();
        for (number, body) in (first..).zip(bodies) {
            writer.1 += 1;
            let record = FromCde::Record(Record { number, at_unix_ms: 2_000_000_000_000, body });
            lines.extend(encode(writer.1, &record).unwrap());
        }
        writer.0.write_all(&lines).await.unwrap();
    }

    pub(crate) async fn answer(&self, command: &Command, result: CommandResult) {
        self.say(FromCde::Event(Event::CommandEnded { id: command.id, result })).await;
    }

    pub(crate) async fn done(&self, command: &Command) {
        self.answer(command, CommandResult::Done).await;
    }

    /// The next command.
    pub(crate) async fn command(&mut self) -> Command {
        loop {
            if let FromOffice::Command(command) = self.hear().await {
                return command;
            }
        }
    }

    /// Waits until this record is acknowledged, and says how many acknowledgments that took.
    pub(crate) async fn acknowledged(&mut self, wanted: u64) -> usize {
        let mut count = 0;
        loop {
            if let FromOffice::Ack { number } = self.hear().await {
                count += 1;
                if number == wanted {
                    return count;
                }
            }
        }
    }

    /// Did the office end the connection?
    pub(crate) async fn is_ended(&mut self) -> bool {
        let end = async { while let Ok(Some(_)) = self.reader.next_line().await {} };
        timeout(WAIT, end).await.is_ok()
    }

    async fn hear(&mut self) -> FromOffice {
        self.heard().await.expect("the office has hung up")
    }

    /// None when the office has hung up.
    async fn heard(&mut self) -> Option<FromOffice> {
        let line = timeout(WAIT, self.reader.next_line()).await.expect("the office is silent").ok().flatten()?;
        self.heard += 1;
        Some(decode(self.heard, line.as_bytes()).unwrap())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.pings.abort();
    }
}

async fn write(writer: &Mutex<(OwnedWriteHalf, u64)>, body: &FromCde) -> bool {
    let mut writer = writer.lock().await;
    writer.1 += 1;
    let line = encode(writer.1, body).unwrap();
    writer.0.write_all(&line).await.is_ok()
}
