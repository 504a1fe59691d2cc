//! One world: everything that happens, in its order, until nothing can happen any more.

mod bounced;
mod cde;
mod charge;
mod door;
mod lanes;
mod media;
mod office;

use crate::dice::Dice;
use crate::journal::Journal;
use crate::oracle::{Oracle, Promise, Violation};
use crate::plan::{Level, Loss, Plan, Side};
use crate::sabotage::Sabotage;
use ::call::MediaReport;
use card::YearMonth;
use cde::Cde;
use charge::Exchange;
use door::Line;
use lab::acquirer::Bank;
use lanes::Lane;
use office::{Office, Stored};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::{AttemptId, CallId, JournalId, Outcome, PaymentId};

/// Our SIP address.
pub(crate) const US: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 9, 9)), 5060);
/// Our media address.
pub(crate) const MEDIA: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 9, 9, 8);
/// Unix time at the beginning of every world: November 2026. No round number: a card of many noughts would be found in it.
const BEGAN_UNIX_MS: i64 = 1_795_038_271_946;
const TODAY: YearMonth = YearMonth { year: 2026, month: 11 };
/// No world takes longer; one that does has something in it that does not end.
const WORLD_MAX: Duration = Duration::from_mins(40);

/// What became of a world.
pub struct Report {
    /// Broken promises, in their order; empty is good.
    pub violations: Vec<Violation>,
    /// Calls that were made.
    pub calls: u64,
    /// Lines that were secured.
    pub secured: u64,
    /// Keys, or packets of keys, that came to the media.
    pub keys: u64,
    /// Charges that the bank has approved.
    pub approved: u64,
    /// Attempts that were made.
    pub attempts: u64,
    /// With what callers who paid alone went back, and how many of them.
    pub told: BTreeMap<String, u64>,
    /// Deaths of a process.
    pub kills: u64,
    /// A digest of all that could be seen from outside.
    pub transcript: u64,
    /// All that could be seen from outside, where the plan keeps it.
    pub kept: Vec<String>,
}

/// Something that happens at its time.
enum Happening {
    Sip {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Rtp {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    /// A word of a media session to the switchboard of one life of the cde.
    Report {
        life: u32,
        call: CallId,
        report: MediaReport,
    },
    Line(Line),
    /// Both sides of the door may meet again.
    Connect,
    /// What waits for the disk is written.
    Commit {
        life: u32,
    },
    /// Those who waited are told.
    Written {
        life: u32,
        done: Vec<charge::Done>,
    },
    Request(Box<Exchange>),
    Answer {
        exchange: Box<Exchange>,
        sent: gateway::Sent,
    },
    Ask {
        life: u32,
        attempt: AttemptId,
    },
    Kill(Side),
    Start(Side),
    Caller(usize),
    Agent(usize),
    Key {
        lane: usize,
        key: u8,
    },
    BreakDoor,
}

struct Scheduled {
    at: Instant,
    number: u64,
    happening: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    /// The earliest is the greatest: a heap gives that one first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// The world.
pub struct World {
    plan: Plan,
    began: Instant,
    now: Instant,
    queue: BinaryHeap<Scheduled>,
    happened: u64,
    /// Luck of messages, of people, and of everything else.
    ways: Dice,
    people: Dice,
    dice: Dice,
    oracle: Oracle,
    lanes: Vec<Lane>,
    cde: Option<Cde>,
    lives: u32,
    journal: Journal,
    bank: Bank,
    office: Option<Office>,
    stored: Stored,
    door: door::Door,
    /// For each payment the newest attempt and how many keys had been given when it was sent.
    sent: BTreeMap<PaymentId, (AttemptId, u64)>,
    /// With what the caller of a payment went back.
    told: BTreeMap<PaymentId, String>,
    /// Luck of what is asked for.
    orders: Dice,
    kills: u64,
    calls: u64,
}

impl World {
    /// The world of a plan. `began` is any instant: only what goes by after it counts.
    pub fn new(began: Instant, plan: Plan) -> Self {
        let dice = |purpose| Dice::new(plan.seed, purpose);
        let mut own = dice(2);
        let mut world = Self {
            began,
            now: began,
            queue: BinaryHeap::new(),
            happened: 0,
            ways: dice(3),
            people: dice(4),
            oracle: Oracle::new(began),
            lanes: Vec::new(),
            cde: None,
            lives: 0,
            journal: Journal::new(JournalId::from_random(own.bits())),
            bank: Bank::new(began, TODAY),
            office: None,
            stored: Stored::default(),
            door: door::Door::default(),
            sent: BTreeMap::new(),
            told: BTreeMap::new(),
            orders: dice(6),
            kills: 0,
            calls: 0,
            dice: own,
            plan,
        };
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        self.oracle.kept = self.plan.keeps.then(Vec::new);
        self.journal.compares_orders = !self.sabotaged(Sabotage::ForgetOrders);
        let order = lab::acquirer::Request {
            method: "POST".to_owned(),
            path: "/v1/faults".to_owned(),
            headers: Vec::new(),
            body: self.plan.faults.clone().into_bytes(),
        };
        let (answer, _) = self.bank.handle(self.now, &order);
        if answer.status != 200 {
            self.oracle.broken(Promise::MoneyAgrees, "the bank does not take the plan's order of faults");
        }
        for (number, calls) in self.plan.lanes.clone().into_iter().enumerate() {
            let mut lane = Lane::new(number, calls, self.plan.level, &mut self.dice);
            lane.pays_alone = self.plan.pay_alone.get(number).is_some_and(|alone| *alone);
            self.lanes.push(lane);
            let first = self.people.ms(0, 3_000);
            self.after(first, Happening::Caller(number));
            self.after(first, Happening::Agent(number));
        }
        self.start(Side::Cde);
        self.start(Side::Office);
        for (at, side) in self.plan.kills.clone() {
            self.after(at, Happening::Kill(side));
        }
        for at in self.plan.door_breaks.clone() {
            self.after(at, Happening::BreakDoor);
        }
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Report {
        self.drain();
        while let Some(at) = self.next_time() {
            if at.saturating_duration_since(self.began) > WORLD_MAX {
                self.oracle.broken(Promise::EveryCallEnds, self.unfinished());
                break;
            }
            self.now = self.now.max(at);
            self.oracle.now = self.now;
            match self.queue.peek() {
                Some(next) if next.at <= self.now => {
                    if let Some(next) = self.queue.pop() {
                        self.happen(next.happening);
                    }
                }
                _ => self.timeouts(),
            }
            self.drain();
            if self.is_over() {
                break;
            }
        }
        self.judge();
        self.report()
    }

    fn report(self) -> Report {
        let approved = |row: &&crate::journal::Row| matches!(row.outcome, Some(Outcome::Approved { .. }));
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Report {
            calls: self.calls,
            secured: self.oracle.secured,
            keys: self.oracle.keys,
            approved: count(self.journal.attempts.values().filter(approved).count()),
            attempts: count(self.journal.attempts.len()),
            told: self.told.into_values().fold(BTreeMap::new(), |mut told, result| {
                *told.entry(result).or_default() += 1;
                told
            }),
            kills: self.kills,
            transcript: self.oracle.transcript(),
            kept: self.oracle.kept.unwrap_or_default(),
            violations: self.oracle.violations,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Sip { from, to, bytes } => self.deliver_sip(from, to, &bytes),
            Happening::Rtp { from, to, bytes } => self.deliver_rtp(from, to, &bytes),
            Happening::Report { life, call, report } => {
                if let Some(cde) = self.cde.as_mut().filter(|cde| cde.life == life) {
                    cde.board.handle_media(self.now, call, report);
                }
            }
            Happening::Line(line) => self.deliver_line(&line),
            Happening::Connect => self.connect_door(),
            Happening::Commit { life } => self.commit(life),
            Happening::Written { life, done } => self.written(life, done),
            Happening::Request(exchange) => self.deliver_request(exchange),
            Happening::Answer { exchange, sent } => self.deliver_answer(&exchange, sent),
            Happening::Ask { life, attempt } => self.ask(life, attempt),
            Happening::Kill(side) => self.kill(side),
            Happening::Start(side) => self.start(side),
            Happening::Caller(lane) => self.caller_thinks(lane),
            Happening::Agent(lane) => self.agent_thinks(lane),
            Happening::Key { lane, key } => self.key_pressed(lane, key),
            Happening::BreakDoor => self.break_door(),
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let phones = self.lanes.iter().flat_map(|lane| [lane.caller.poll_timeout(), lane.agent.poll_timeout()]);
        let cde = self.cde.as_ref().and_then(Cde::poll_timeout);
        phones.chain([cde, self.queue.peek().map(|next| next.at)]).flatten().min()
    }

    fn timeouts(&mut self) {
        let now = self.now;
        for lane in &mut self.lanes {
            for phone in [&mut lane.caller, &mut lane.agent] {
                if phone.poll_timeout().is_some_and(|at| at <= now) {
                    phone.handle_timeout(now);
                }
            }
        }
        if let Some(cde) = &mut self.cde {
            cde.handle_timeout(now);
        }
    }

    /// Carries what every machine has put out to where it goes.
    fn drain(&mut self) {
        self.drain_phones();
        self.drain_cde();
    }

    fn after(&mut self, time: Duration, happening: Happening) {
        self.at(self.now + time, happening);
    }

    fn at(&mut self, at: Instant, happening: Happening) {
        self.happened += 1;
        self.queue.push(Scheduled { at, number: self.happened, happening });
    }

    fn unix_ms(&self) -> i64 {
        let gone = self.now.saturating_duration_since(self.began).as_millis();
        BEGAN_UNIX_MS.saturating_add(i64::try_from(gone).unwrap_or(i64::MAX))
    }

    fn sabotaged(&self, by: Sabotage) -> bool {
        self.plan.sabotage == Some(by)
    }

    fn frames(&self) -> bool {
        self.plan.level == Level::Frames
    }

    /// On which ways, how long, a message travels: none, one, or two.
    fn travel(&mut self, loss: Loss) -> Vec<Duration> {
        if self.ways.per_mille(loss.lost) {
            return Vec::new();
        }
        let copies = if self.ways.per_mille(loss.doubled) { 2 } else { 1 };
        (0..copies).map(|_| self.ways.ms(loss.way_ms.0, loss.way_ms.1)).collect()
    }

    fn send_sip(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        for way in self.travel(self.plan.sip) {
            self.after(way, Happening::Sip { from, to, bytes: bytes.to_vec() });
        }
    }

    fn send_rtp(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        for way in self.travel(self.plan.rtp) {
            self.after(way, Happening::Rtp { from, to, bytes: bytes.to_vec() });
        }
    }

    fn deliver_sip(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if to != US {
            return self.phone_sip(from, to, bytes);
        }
        if self.sabotaged(Sabotage::LoseByes) && bytes.starts_with(b"BYE ") {
            return;
        }
        let timeless = self.sabotaged(Sabotage::LoseByes).then(|| without_timers(bytes));
        if let Some(cde) = &mut self.cde {
            cde.board.handle_message(self.now, sip::Peer::udp(from), timeless.as_deref().unwrap_or(bytes));
        }
    }

    fn kill(&mut self, side: Side) {
        self.kills += 1;
        match side {
            Side::Cde => self.kill_cde(),
            Side::Office => self.office = None,
        }
        self.door.broken();
        let pause = self.dice.ms(300, 3_000);
        self.after(pause, Happening::Start(side));
    }

    fn start(&mut self, side: Side) {
        match side {
            // A second kill may have come while it was down.
            Side::Cde if self.cde.is_none() => self.start_cde(),
            Side::Office if self.office.is_none() => self.office = Some(Office::default()),
            Side::Cde | Side::Office => return,
        }
        let meet = self.dice.ms(50, 1_000);
        self.after(meet, Happening::Connect);
    }

    /// Have all said all they wanted, and is all that was open settled?
    fn is_over(&self) -> bool {
        let calls_over = self.cde.as_ref().is_some_and(|cde| cde.board.calls() == 0);
        let settled = self.journal.attempts.values().all(|row| !row.is_open());
        let arrived = self.stored.number() == self.journal.newest && self.office.is_some();
        self.lanes.iter().all(Lane::is_over) && calls_over && settled && arrived
    }

    fn unfinished(&self) -> String {
        let open = self.journal.attempts.values().filter(|row| row.is_open()).count();
        format!(
            "not over: {} calls at the switchboard, {} lanes busy, {open} attempts open, {} of {} records stored",
            self.cde.as_ref().map_or(0, |cde| cde.board.calls()),
            self.lanes.iter().filter(|lane| !lane.is_over()).count(),
            self.stored.number(),
            self.journal.newest
        )
    }
}

/// A message that knows nothing of session timers (RFC 4028), as long as before.
fn without_timers(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes).replace("Session-Expires:", "Session-Ignored:");
    text.replace("timer", "clock").into_bytes()
}
