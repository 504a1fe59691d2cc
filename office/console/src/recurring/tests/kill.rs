//! Two schedulers, each a process of its own, on one database, killed by SIGKILL again and again; and a bank that loses
//! answers. The bank is a thread of the test: what it has done is known whatever dies.

use super::{DAY_MS, DueState, START_MS, daily, token};
use crate::clock::now_ms;
use crate::recurring::{Charge, ChargeOrder, Charged, Scheduler};
use crate::store::tests::store;
use recurring::{Agreement, Interval, Policy};
use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where a scheduler finds the database, the bank, and the beginning of time.
const WORLD: &str = "TONEWALL_TEST_RECURRING_WORLD";
/// A day goes by in half a second.
const SPEED: i64 = DAY_MS / 500;
/// Half a second in that time, longer than the bank takes.
const LEASE_MS: i64 = DAY_MS;
const AGREEMENTS: i64 = 96;
const PAYMENTS: u32 = 2;
/// Days from one payment to the next: twelve seconds, of which a payment may be six late before it is given up, also on a machine
/// that has much else to do. Agreements begin on different days of them.
const EVERY: i64 = 24;
const KILLS: u64 = 50;

/// What the bank has done with each attempt, and how often it was asked.
#[derive(Default)]
struct Bank {
    done: Mutex<HashMap<String, (bool, u32)>>,
    asked: Mutex<u64>,
}

impl Bank {
    /// One question and, most often, its answer. An attempt is decided when it first comes and told when it comes again.
    fn serve(&self, stream: &TcpStream) {
        let mut line = String::new();
        if BufReader::new(stream).read_line(&mut line).is_err() || !line.ends_with('\n') {
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

impl Charge for Wire {
    async fn charge(&self, order: &ChargeOrder) -> Charged {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(self.0)
            && stream.write_all(format!("{}\n", order.attempt).as_bytes()).is_ok()
        {
            // An error is an answer that was lost.
            let _ = BufReader::new(stream).read_line(&mut answer);
        }
        match answer.trim() {
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
    let mut parts = world.split('|');
    let mut part = || parts.next().unwrap().to_owned();
    let (database, bank, began) = (part(), part().parse().unwrap(), part().parse::<i64>().unwrap());
    let mut scheduler = Scheduler::open(database.as_ref(), Wire(bank), policy(), LEASE_MS).await.unwrap();
    scheduler.pauses.late_days_max = 999;
    loop {
        let now = START_MS + (now_ms() - began) * SPEED;
        if !scheduler.turn(now).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
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
    let world = format!("{}|{address}|{}", database.display(), now_ms());
    let mut processes = [scheduler(&world), scheduler(&world)];
    let mut died = 0;
    for kill in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(150 + kill * 61 % 170)).await;
        let process = &mut processes[usize::try_from(kill * 5 / 3 % 2).unwrap()];
        died += u32::from(process.try_wait().unwrap().is_some());
        process.kill().unwrap();
        process.wait().unwrap();
        *process = scheduler(&world);
    }
    assert_eq!(died, 0, "a scheduler ended by itself");
    let done = finished(&watch, &agreements).await;
    for mut process in processes {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    assert!(done, "payments are left over");
    let rows = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&database)).await.unwrap();
    check(&watch, &rows, &agreements, &bank).await;
}

async fn finished(watch: &Scheduler<Wire>, agreements: &[crate::recurring::AgreementId]) -> bool {
    for _ in 0..600 {
        let mut open = 0;
        for id in agreements {
            let standing = watch.jobs().standing(*id).await.unwrap().unwrap();
            open += standing.due.iter().filter(|due| matches!(due.state, DueState::Waiting | DueState::Sent)).count();
            open += standing.agreement.calendar(99).len();
        }
        if open == 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

async fn check(watch: &Scheduler<Wire>, rows: &SqlitePool, agreements: &[crate::recurring::AgreementId], bank: &Bank) {
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
