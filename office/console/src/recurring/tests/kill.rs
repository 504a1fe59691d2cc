//! Two schedulers, each a process of its own, on one database, killed by SIGKILL again and again; and a bank that loses
//! answers. The bank is a thread of the test: what it has done is known whatever dies. So is the clock: time goes by as schedulers
//! ask for it, once a turn, so that a machine with much else to do makes no payment late.

use super::{DAY_MS, DueState, START_MS, daily, token};
use crate::recurring::{AgreementId, Charge, ChargeOrder, Charged, Scheduler};
use crate::store::StoreError;
use crate::store::tests::store;
use recurring::{Agreement, Interval, Policy};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where a scheduler finds the database and the bank, which has the clock.
const WORLD: &str = "TONEWALL_TEST_RECURRING_WORLD";
/// What schedulers ask for the time with.
const CLOCK: &str = "what time is it";
/// So many turns are a day: far more than payments are due in it.
const TURNS_A_DAY: i64 = 40;
/// As many turns of the other scheduler, longer than the bank takes. One that gets no processor for so long loses its lease, which
/// does no harm.
const LEASE_MS: i64 = DAY_MS;
const AGREEMENTS: i64 = 96;
const PAYMENTS: u32 = 2;
/// Days from one payment to the next, of which a payment may be half late before it is given up. Agreements begin on different days
/// of them.
const EVERY: i64 = 24;
const KILLS: u64 = 50;
/// Turns from one kill to the next, about: a bit more than a day.
const KILL_EVERY: i64 = 45;
/// All is done long before this day.
const DAYS_MAX: i64 = 400;
/// Of two live schedulers one asks for the time within this, or they hang.
const STILL_MAX: Duration = Duration::from_secs(120);

/// What the bank has done with each attempt, and how often it was asked.
#[derive(Default)]
struct Bank {
    done: Mutex<HashMap<String, (bool, u32)>>,
    asked: Mutex<u64>,
    /// How often it was asked for the time.
    turns: AtomicI64,
}

impl Bank {
    /// One question and, most often, its answer. An attempt is decided when it first comes and told when it comes again.
    fn serve(&self, stream: &TcpStream) {
        let mut line = String::new();
        if BufReader::new(stream).read_line(&mut line).is_err() || !line.ends_with('\n') {
            return;
        }
        if line.trim() == CLOCK {
            let now_ms = START_MS + self.turns.fetch_add(1, Ordering::SeqCst) * DAY_MS / TURNS_A_DAY;
            let mut stream = stream;
            // An error means that whoever asked is dead.
            let _ = stream.write_all(format!("{now_ms}\n").as_bytes());
            return;
        }
        let count = {
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            *asked
        };
        std::thread::sleep(Duration::from_millis(count * 7 % 23));
        if count % 11 == 3 {
            return; // lost on its way there
        }
        let approved = {
            let mut done = self.done.lock().unwrap();
            let fresh = count % 6 != 1;
            let (approved, times) = done.entry(line.trim().to_owned()).or_insert((fresh, 0));
            *times += 1;
            *approved
        };
        if count % 7 != 5 {
            let mut stream = stream;
            // An error means that whoever asked is dead.
            let _ = stream.write_all(if approved { b"approved\n" } else { b"declined\n" });
        } // else lost on its way back
    }
}

/// The cde's side, as the seam wants it.
struct Wire(SocketAddr);

impl Wire {
    fn ask(&self, what: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(self.0)
            && stream.write_all(format!("{what}\n").as_bytes()).is_ok()
        {
            // An error is an answer that was lost.
            let _ = BufReader::new(stream).read_line(&mut answer);
        }
        answer.trim().to_owned()
    }
}

impl Charge for Wire {
    async fn charge(&self, order: &ChargeOrder) -> Charged {
        match self.ask(&order.attempt.to_string()).as_str() {
            "approved" => Charged::Approved,
            "declined" => Charged::Declined { code: Some("51".to_owned()), said: None },
            _ => Charged::Unknown,
        }
    }
}

fn policy() -> Policy {
    Policy { wait_hours: vec![24; 9] }
}

/// The process: it works for as long as it lives. As a test of its own it does nothing.
#[tokio::test]
async fn work_until_killed() {
    let Ok(world) = std::env::var(WORLD) else { return };
    let (database, bank) = world.split_once('|').unwrap();
    let bank = bank.parse().unwrap();
    let mut scheduler = loop {
        match Scheduler::open(database.as_ref(), Wire(bank), policy(), LEASE_MS).await {
            Ok(scheduler) => break scheduler,
            Err(error) => wait_for_the_database(error).await,
        }
    };
    scheduler.pauses.late_days_max = 999;
    loop {
        match scheduler.turn(Wire(bank).ask(CLOCK).parse().unwrap()).await {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => wait_for_the_database(error).await,
        }
    }
}

/// As the office's schedulers do: one that is held by somebody who gets no processor is free again later.
async fn wait_for_the_database(error: StoreError) {
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    tokio::time::sleep(Duration::from_millis(5)).await;
}

fn scheduler(world: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["recurring::tests::kill::work_until_killed", "--exact"])
        .env(WORLD, world)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until so many turns were begun. However long that takes, somebody must be at work.
async fn turns(bank: &Bank, until: i64, processes: &mut [Child; 2]) {
    let (mut seen, mut since) = (-1, tokio::time::Instant::now());
    loop {
        let turns = bank.turns.load(Ordering::SeqCst);
        if turns >= until {
            return;
        }
        let is_alive = |process: &mut Child| process.try_wait().unwrap().is_none();
        assert!(processes.iter_mut().all(is_alive), "a scheduler ended by itself");
        if turns > seen {
            (seen, since) = (turns, tokio::time::Instant::now());
        }
        assert!(since.elapsed() < STILL_MAX, "nothing goes on after {turns} turns");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn two_schedulers_killed_at_random_attempt_each_payment_once_and_miss_none() {
    let (first, folder) = store().await;
    first.close().await;
    let database = folder.0.join("office.db");
    let bank = Arc::new(Bank::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = bank.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let bank = serving.clone();
            std::thread::spawn(move || bank.serve(&stream));
        }
    });
    let watch = Scheduler::open(&database, Wire(address), policy(), LEASE_MS).await.unwrap();
    let agreements = agreed(&watch).await;
    let world = format!("{}|{address}", database.display());
    let mut processes = [scheduler(&world), scheduler(&world)];
    for (kill, until) in (0..KILLS).zip((1..).map(|number| number * KILL_EVERY)) {
        turns(&bank, until, &mut processes).await;
        // Wherever in a turn they are by then.
        tokio::time::sleep(Duration::from_millis(kill * 61 % 29)).await;
        let process = &mut processes[usize::try_from(kill * 5 / 3 % 2).unwrap()];
        assert!(process.try_wait().unwrap().is_none(), "a scheduler ended by itself");
        process.kill().unwrap();
        process.wait().unwrap();
        *process = scheduler(&world);
    }
    let mut until = bank.turns.load(Ordering::SeqCst);
    while !finished(&watch, &agreements).await {
        assert!(until < DAYS_MAX * TURNS_A_DAY, "payments are left over");
        until += TURNS_A_DAY;
        turns(&bank, until, &mut processes).await;
    }
    for mut process in processes {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let rows = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&database)).await.unwrap();
    check(&watch, &rows, &agreements, &bank).await;
}

/// Agreements on a few payments, which begin day after day.
async fn agreed(watch: &Scheduler<Wire>) -> Vec<AgreementId> {
    let mut agreements = Vec::new();
    for index in 0..AGREEMENTS {
        // Amounts and cards of their own, so that no network's limit on repetitions holds one up.
        let mut new = daily(PAYMENTS, 1000 + index);
        let mut terms = new.agreement.terms().unwrap().clone();
        terms.interval = Interval::Days(u16::try_from(EVERY).unwrap());
        terms.first = terms.first.checked_add(jiff::Span::new().days(index % EVERY)).unwrap();
        new.agreement = Agreement::new(terms).unwrap();
        new.token = token(u8::try_from(index % 80 * 3).unwrap());
        watch.jobs().add(START_MS, &new).await.unwrap();
        agreements.push(new.id);
    }
    agreements
}

async fn finished(watch: &Scheduler<Wire>, agreements: &[AgreementId]) -> bool {
    for id in agreements {
        let standing = watch.jobs().standing(*id).await.unwrap().unwrap();
        let is_open = standing.due.iter().any(|due| matches!(due.state, DueState::Waiting | DueState::Sent));
        if is_open || !standing.agreement.calendar(99).is_empty() {
            return false;
        }
    }
    true
}

async fn check(watch: &Scheduler<Wire>, rows: &SqlitePool, agreements: &[AgreementId], bank: &Bank) {
    let rows: Vec<(String, String, i64, i64)> =
        sqlx::query_as("SELECT id, agreement, number, try FROM due_attempt").fetch_all(rows).await.unwrap();
    let done = bank.done.lock().unwrap().clone();
    let mut approvals: BTreeMap<(String, i64), u32> = BTreeMap::new();
    let (mut declines, mut asked_twice) = (0, 0);
    for (id, agreement, number, _) in &rows {
        let (approved, times) = done.get(id).copied().unwrap_or_else(|| panic!("an attempt that the bank has not"));
        *approvals.entry((agreement.clone(), *number)).or_default() += u32::from(approved);
        declines += u32::from(!approved);
        asked_twice += u32::from(times > 1);
    }
    assert_eq!(done.len(), rows.len(), "the bank has no attempt that is not in the database");
    for id in agreements {
        let standing = watch.jobs().standing(*id).await.unwrap().unwrap();
        let numbers: Vec<u32> = standing.due.iter().map(|due| due.number).collect();
        assert_eq!(numbers, (1..=PAYMENTS).collect::<Vec<_>>(), "none is missed, none is there twice");
        for due in &standing.due {
            assert_eq!(due.state, DueState::Paid, "{due:?}");
            let key = (id.0.to_string(), i64::from(due.number));
            assert_eq!(approvals.get(&key), Some(&1), "the money was taken exactly once");
        }
    }
    assert!(
        declines > 10 && asked_twice > 10,
        "{declines} declines, {asked_twice} asked again: too few to prove anything"
    );
}
