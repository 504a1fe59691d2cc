use super::*;
use crate::samples::{Folder, audit};
use sqlx::ConnectOptions;
use uuid::Uuid;
use wire::{CallId, CallState, Currency, LineState, Money, PaymentId, PaymentState, Progress};

/// An office at a door behind which these calls stand.
struct Office {
    journal: Journal,
    lines: BufReader<tokio::net::unix::OwnedReadHalf>,
    writing: tokio::net::unix::OwnedWriteHalf,
    heard: u64,
    events: broadcast::Sender<Event>,
    close: watch::Sender<bool>,
    /// The switchboard was told that codes are over.
    codes_over: watch::Receiver<bool>,
}

impl Office {
    /// Connects with the journal that it knows, up to this record.
    async fn new(journal: Journal, calls: Vec<CallSnapshot>, known: Option<JournalId>, acknowledged: u64) -> Self {
        let (asks, mut asked) = mpsc::channel(8);
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let (close, closes) = watch::channel(false);
        let (cde, office) = UnixStream::pair().unwrap();
        let door = Door { journal: journal.clone(), asks, office_uid: 0, warnings: Vec::new() };
        tokio::spawn(async move { door.converse(cde, closes).await });
        let (live, (end_codes, codes_over)) = (events.clone(), watch::channel(false));
        tokio::spawn(async move {
            while let Some(ask) = asked.recv().await {
                match ask {
                    Ask::Snapshot(answer) => {
                        let (calls, events) = (calls.clone(), live.subscribe());
                        let _ = answer.send(Snapshot { calls, trunks: Vec::new(), events });
                    }
                    Ask::EndCodes => drop(end_codes.send_replace(true)),
                    Ask::Command(_) => break,
                }
            }
        });
        let (reading, mut writing) = office.into_split();
        let hello = FromOffice::Hello { journal: known, acknowledged };
        writing.write_all(&wire::encode(1, &hello).unwrap()).await.unwrap();
        Self { journal, lines: BufReader::new(reading), writing, heard: 0, events, close, codes_over }
    }

    /// The next line that is no ping; none at the end.
    async fn next(&mut self) -> Option<FromCde> {
        loop {
            let mut line = Vec::new();
            timeout(SILENCE, self.lines.read_until(b'\n', &mut line)).await.unwrap().unwrap();
            if line.is_empty() {
                return None;
            }
            self.heard += 1;
            match wire::decode(self.heard, &line).unwrap() {
                FromCde::Ping => {}
                said => return Some(said),
            }
        }
    }

    async fn greeting(&mut self) -> (JournalId, Vec<CallSnapshot>) {
        match self.next().await {
            Some(FromCde::Hello { journal, calls, .. }) => (journal, calls),
            other => panic!("no greeting: {other:?}"),
        }
    }
}

async fn journal(folder: &Folder) -> Journal {
    Journal::open(&folder.0.join("journal.db")).await.unwrap()
}

fn call(number: u128, payment: bool) -> CallSnapshot {
    let progress = || Progress {
        payment: PaymentId(Uuid::from_u128(number)),
        amount: Money { minor: 100, currency: Currency::GBP },
        state: PaymentState::Waiting,
        fields: Vec::new(),
        brand: None,
        last4: None,
        pan_length_expected: None,
        outcome: None,
        attempts: 0,
        kept: None,
    };
    CallSnapshot {
        call: CallId(Uuid::from_u128(number)),
        extension: "1001".parse().unwrap(),
        caller: "+447700900142".to_owned(),
        called: "02079460018".to_owned(),
        way: wire::WayIn::Inline,
        keys_cross_pbx: false,
        started_unix_ms: 0,
        state: CallState::Talking,
        line: LineState::Open,
        line_since_unix_ms: 0,
        masking: wire::Masking::Natural,
        payment: payment.then(progress),
        hook: None,
    }
}

#[tokio::test]
async fn an_office_connects_to_more_calls_than_fit_in_one_line() {
    let folder = Folder::new();
    let calls: Vec<_> = (0..2_500).map(|number| call(number, number >= 2_450)).collect();
    let mut office = Office::new(journal(&folder).await, calls, None, 0).await;
    let (_, mut seen) = office.greeting().await;
    assert_eq!(seen.len(), CALLS_IN_HELLO_MAX);
    assert!(seen[..50].iter().all(|call| call.payment.is_some()), "calls with a payment come first");
    loop {
        match office.next().await {
            Some(FromCde::Event(Event::Call { call })) => seen.push(call),
            Some(FromCde::CaughtUp) => break,
            other => panic!("neither a call nor the end of the calls: {other:?}"),
        }
    }
    let ids: std::collections::BTreeSet<_> = seen.iter().map(|call| call.call).collect();
    assert_eq!(ids.len(), 2_500);
}

#[tokio::test]
async fn a_journal_that_was_put_back_takes_a_new_id_and_every_record_comes() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    assert!(journal.audit(audit()));
    journal.newest().wait_for(|newest| *newest == 1).await.unwrap();
    let before = journal.id();
    let mut office = Office::new(journal.clone(), Vec::new(), Some(before), 80).await;
    let (id, _) = office.greeting().await;
    assert_ne!(id, before);
    assert_eq!(id, journal.id());
    assert!(*office.codes_over.borrow(), "before the office may order any");
    assert!(matches!(office.next().await, Some(FromCde::Record(record)) if record.number == 1));
    journal.close().await;
    assert_eq!(self::journal(&folder).await.id(), id, "the new id is kept");
}

#[tokio::test]
async fn a_journal_that_the_office_knows_keeps_its_id() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    assert!(journal.audit(audit()) && journal.audit(audit()));
    journal.newest().wait_for(|newest| *newest == 2).await.unwrap();
    let mut office = Office::new(journal.clone(), Vec::new(), Some(journal.id()), 1).await;
    assert_eq!(office.greeting().await.0, journal.id());
    assert!(matches!(office.next().await, Some(FromCde::Record(record)) if record.number == 2));
}

#[tokio::test]
async fn an_office_that_was_restored_has_all_of_it_before_it_is_told_to_have_caught_up() {
    let folder = Folder::new();
    let journal = journal(&folder).await;
    for _ in 0..4 {
        assert!(journal.audit(audit()));
    }
    journal.newest().wait_for(|newest| *newest == 4).await.unwrap();
    journal.acknowledge(4).await;
    // The same office, and one that has lost its database altogether.
    for (known, has) in [(Some(journal.id()), 2), (None, 0)] {
        let newest = *journal.newest().borrow();
        let mut office = Office::new(journal.clone(), Vec::new(), known, has).await;
        assert_eq!(office.greeting().await.0, journal.id());
        for number in has + 1..=newest {
            assert!(matches!(office.next().await, Some(FromCde::Record(record)) if record.number == number));
        }
        let told = office.next().await;
        let wire::RecordBody::OfficeRestored(told) = (match told {
            Some(FromCde::Record(record)) => record.body,
            other => panic!("{other:?}"),
        }) else {
            panic!("it is not told what it has forgotten");
        };
        assert_eq!((told.stored, told.acknowledged, told.gone), (has, newest, 0));
        assert_eq!(office.next().await, Some(FromCde::CaughtUp));
        office.writing.write_all(&wire::encode(2, &FromOffice::Ack { number: newest + 1 }).unwrap()).await.unwrap();
        // It is stored when the journal says so to others.
        let file = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.0.join("journal.db"));
        let mut stranger = file.connect().await.unwrap();
        let acknowledged = "SELECT acknowledged FROM journal";
        let wanted = i64::try_from(newest + 1).unwrap();
        while sqlx::query_scalar::<_, i64>(acknowledged).fetch_one(&mut stranger).await.unwrap() < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(office);
    }
}

#[tokio::test]
async fn the_last_records_and_events_are_said_before_the_door_closes() {
    let folder = Folder::new();
    let mut office = Office::new(journal(&folder).await, Vec::new(), None, 0).await;
    office.greeting().await;
    assert_eq!(office.next().await, Some(FromCde::CaughtUp));
    let over = Event::CallEnded { call: CallId(Uuid::from_u128(9)), end: wire::CallEnd::CallerHungUp };
    assert!(office.journal.audit(audit()));
    office.journal.close().await;
    // So many, and with no pause, that some are still to be said when the door is told to close.
    for _ in 0..100 {
        office.events.send(over.clone()).unwrap();
    }
    office.close.send_replace(true);
    let (mut records, mut events) = (0, 0);
    while let Some(said) = office.next().await {
        match said {
            FromCde::Record(_) => records += 1,
            FromCde::Event(event) if event == over => events += 1,
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!((records, events), (1, 100));
    drop(office.writing);
}

#[tokio::test]
async fn the_door_takes_no_rights_from_a_folder_that_is_not_its_own() {
    let folder = Folder::new();
    let make = |name: &str, mode: u32| {
        std::fs::create_dir_all(folder.0.join(name)).unwrap();
        std::fs::set_permissions(folder.0.join(name), Permissions::from_mode(mode)).unwrap();
    };
    let bind = |name: &str| bind(&folder.0.join(name).join("door.sock"), &folder.0.join("data"));
    make("data/door", 0o755);
    make("run", 0o755);
    make("tmp", 0o1777);
    bind("data/door").unwrap();
    assert_eq!(folder.mode("data/door"), 0o750, "ours, in our data folder");
    bind("run").unwrap();
    assert_eq!(folder.mode("run"), 0o755, "not ours to change");
    bind("new/door").unwrap();
    assert_eq!((folder.mode("new"), folder.mode("new/door")), (0o710, 0o750), "made here");
    let refused = bind("tmp").unwrap_err().to_string();
    assert!(refused.contains("everybody may write") && refused.contains("[door] socket"), "{refused}");
    assert_eq!(folder.mode("tmp"), 0o777);
}
