//! One payment's money, by itself and very often: a card that is keyed, attempts and what follows them, a bank that breaks,
//! and a process that dies between any two steps.
//!
//! The machines are the real ones: `payment::Payment`, `payment::Balance`, `gateway`'s adapter and its way of following an
//! unknown outcome, and the bank of `lab`. The disk keeps what `node::journal` promises to keep; that it does is tested
//! there.

mod disk;
mod judge;

use crate::dice::Dice;
use card::{Key, YearMonth};
use disk::{Disk, Row};
use gateway::{
    Adapter, Answer, CaptureTime, Following, HttpRequest, Kind, Operation, Original, Request, Sandbox, Sent,
    SentBetween, Terms,
};
use lab::acquirer::{Bank, Delivery};
use payment::{Payment, Rules};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::{
    AttemptId, Currency, Field, MerchantId, Money, Outcome, PaymentId, PaymentOrder, PaymentState, Refusal, Store,
};

const TODAY: YearMonth = YearMonth { year: 2026, month: 11 };
/// As in `cde.toml`.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Steps in which something may go wrong; afterwards nothing does, and everything must come to an end.
const STEPS: u32 = 60;
const STEPS_MAX: u32 = 4_000;
/// Begun follow-ups of one payment; a clerk who never stops would never let a run end.
const CLERKS_DEEDS_MAX: u32 = 6;

/// After so many failing seeds the rest would not be read.
const FAILED_MAX: usize = 5;
/// Threads meet this seldom.
const REPORTS_TOGETHER: usize = 1_000;

/// What is broken on purpose, so that the judge can be seen to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The request leaves before the attempt is on disk.
    SendFirst,
    /// What is unknown is sent again under another name.
    SendAgain,
    /// A connection that breaks is taken for a proof that nothing happened.
    BelieveBroken,
    /// Nobody asks the balance before a follow-up.
    NoBalance,
    /// After a restart nobody asks what became of what was open.
    Forget,
}

impl Broken {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::SendFirst, Self::SendAgain, Self::BelieveBroken, Self::NoBalance, Self::Forget];
}

/// What one run was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Attempts that were put on disk: authorizations.
    pub attempts: u64,
    /// And captures, voids and refunds.
    pub follow_ups: u64,
    /// Of both, done.
    pub approved: u64,
    /// Follow-ups that the balance refused.
    pub refused: u64,
    /// Deaths of the process.
    pub deaths: u64,
    /// Answers that were lost or spoilt.
    pub faults: u64,
    /// Promises that were not kept.
    pub broken: Vec<String>,
}

/// An attempt on its way, in the life of one process.
struct Flight {
    operation: Operation,
    stage: Stage,
    following: Option<Following>,
    ready_at: Instant,
}

enum Stage {
    ToDisk(Box<Row>, lab::acquirer::Request),
    ToBank(lab::acquirer::Request),
    Answer(Sent),
    Ask,
}

/// What many runs were.
#[derive(Default)]
pub struct Total {
    /// Runs.
    pub runs: u64,
    /// All of them together, but for what was broken.
    pub sum: Report,
    /// Seeds with promises that were not kept.
    pub failed: Vec<(u64, Vec<String>)>,
}

impl Total {
    fn add(&mut self, seed: u64, report: Report) {
        let sum = &mut self.sum;
        self.runs += 1;
        sum.attempts += report.attempts;
        sum.follow_ups += report.follow_ups;
        sum.approved += report.approved;
        sum.refused += report.refused;
        sum.deaths += report.deaths;
        sum.faults += report.faults;
        if !report.broken.is_empty() && self.failed.len() < FAILED_MAX {
            self.failed.push((seed, report.broken));
        }
    }
}

/// Plays so many runs, from a seed on, on so many threads.
pub fn many(began: Instant, runs: u64, first: u64, threads: u64) -> Total {
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for thread in 0..threads.max(1) {
            let total = &total;
            scope.spawn(move || {
                let mut own = Vec::new();
                let step = usize::try_from(threads.max(1)).unwrap_or(1);
                for seed in (first + thread..first + runs).step_by(step) {
                    own.push((seed, play(began, seed, None)));
                    if own.len() >= REPORTS_TOGETHER {
                        add_all(total, &mut own);
                    }
                }
                add_all(total, &mut own);
            });
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn add_all(total: &Mutex<Total>, own: &mut Vec<(u64, Report)>) {
    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
    own.drain(..).for_each(|(seed, report)| total.add(seed, report));
}

/// The world.
struct Till {
    dice: Dice,
    began: Instant,
    now: Instant,
    broken: Option<Broken>,
    adapter: Sandbox,
    bank: Bank,
    disk: Disk,
    payment: Option<Payment>,
    caller_is_there: bool,
    order: PaymentOrder,
    flights: Vec<Flight>,
    /// Does the merchant give late approvals back?
    late_is_void: bool,
    deeds: u32,
    calm: bool,
    report: Report,
}

/// Plays one run. `began` is any instant: time is counted from it.
pub fn play(began: Instant, seed: u64, broken: Option<Broken>) -> Report {
    let mut till = Till::new(began, seed, broken);
    for step in 0..STEPS_MAX {
        if step == STEPS {
            till.calm_down();
        }
        if till.calm && till.is_over() {
            till.judge();
            return till.report;
        }
        till.step();
    }
    till.report.broken.push("it does not come to an end".to_owned());
    till.report
}

impl Till {
    fn new(began: Instant, seed: u64, broken: Option<Broken>) -> Self {
        let mut dice = Dice::new(seed, 7);
        let later = dice.per_mille(400);
        let minor = if dice.per_mille(100) { 910_040 } else { 4_200 };
        let order = PaymentOrder {
            payment: PaymentId::from_random(1),
            amount: Money { minor, currency: Currency::GBP },
            merchant: merchant(),
            fields: vec![Field::Pan, Field::Expiry, Field::Cvv],
            store: Store::None,
            purpose: None,
            capture: if later { CaptureTime::Later } else { CaptureTime::Now },
            avs: None,
            partial: true,
        };
        let mut payment = Payment::new(began, order.clone(), Rules::default(), TODAY).ok();
        payment.iter_mut().for_each(|payment| payment.handle_secured(began));
        let mut till = Self {
            began,
            now: began,
            broken,
            adapter: Sandbox::new(Sandbox::TEST_KEY.to_owned()),
            bank: Bank::new(began, TODAY),
            disk: Disk::default(),
            payment,
            caller_is_there: true,
            order,
            flights: Vec::new(),
            late_is_void: dice.per_mille(500),
            deeds: 0,
            calm: false,
            report: Report::default(),
            dice,
        };
        till.order_faults(seed);
        till
    }

    fn order_faults(&mut self, seed: u64) {
        let delay = if self.dice.per_mille(500) { 900 } else { 25_000 };
        let share = self.dice.below(166);
        let order = format!(
            r#"{{"seed":{seed},"delay_ms":{delay},"per_mille":{{"drop_before":{share},"drop_after":{share},"delay":{share},"error_500_after":{share},"truncate":{share},"not_executed":{share}}}}}"#
        );
        self.control(&order);
    }

    fn control(&mut self, order: &str) {
        let (method, path, body) = ("POST".to_owned(), "/v1/faults".to_owned(), order.as_bytes().to_vec());
        self.bank.handle(self.now, &lab::acquirer::Request { method, path, headers: Vec::new(), body });
    }

    fn calm_down(&mut self) {
        self.calm = true;
        self.control("{}");
        self.hang_up();
    }

    fn hang_up(&mut self) {
        self.caller_is_there = false;
        if let Some(payment) = &mut self.payment {
            payment.handle_hang_up(self.now);
        }
    }

    /// Nothing is open any more, and nothing is to be given back.
    fn is_over(&self) -> bool {
        let forgotten = self.broken == Some(Broken::Forget);
        self.flights.is_empty() && (forgotten || !self.disk.has_open()) && self.disk.to_reverse().is_none()
    }

    fn step(&mut self) {
        self.now += self.dice.ms(1, if self.calm { 9_000 } else { 400 });
        if !self.calm && self.dice.per_mille(20) {
            return self.die();
        }
        if let Some(payment) = &mut self.payment {
            payment.handle_timeout(self.now);
        }
        let ready: Vec<usize> = (0..self.flights.len())
            .filter(|index| self.flights.get(*index).is_some_and(|f| f.ready_at <= self.now))
            .collect();
        match self.dice.pick(&ready).copied() {
            Some(index) if self.calm || self.dice.per_mille(700) => self.advance(index),
            _ => self.people(),
        }
    }

    /// The process dies and starts again: all but the disk is gone.
    fn die(&mut self) {
        self.report.deaths += 1;
        (self.payment, self.caller_is_there) = (None, false);
        self.flights.clear();
        if self.broken == Some(Broken::Forget) {
            return;
        }
        for (attempt, operation, sent_unix_ms) in self.disk.open() {
            self.disk.end(attempt, &Answer::UNKNOWN, false);
            self.follow(operation, sent_unix_ms);
        }
    }

    fn follow(&mut self, operation: Operation, sent_unix_ms: i64) {
        // As in `node`: no request was sent after now.
        let sent = SentBetween { first_unix_ms: sent_unix_ms, last_unix_ms: self.unix_ms() };
        let following = Following::new(operation, merchant(), None, sent);
        let ready_at = self.now + Duration::from_millis(following.pause_ms());
        self.flights.push(Flight { operation, stage: Stage::Ask, following: Some(following), ready_at });
    }

    /// What the caller, the agent and the clerk do; and, when there is something to give back, the system.
    fn people(&mut self) {
        if let Some(attempt) = self.disk.to_reverse().filter(|_| !self.disk.has_open_follow_up()) {
            return self.reverse(attempt);
        }
        if self.calm {
            return;
        }
        match self.dice.below(10) {
            0 if self.dice.per_mille(250) => self.hang_up(),
            0..=6 => self.agent(),
            _ => self.clerk(),
        }
    }

    fn agent(&mut self) {
        let Some(payment) = &mut self.payment else { return };
        match payment.state() {
            PaymentState::Capturing => {
                let field = payment.live_field();
                let keys: &[u8] = match field {
                    Some(Field::Pan) if self.dice.per_mille(200) => b"4000000000009995*",
                    Some(Field::Pan) => b"4242424242424242*",
                    Some(Field::Expiry) => b"1230",
                    Some(Field::Cvv) if self.dice.per_mille(200) => b"999",
                    Some(Field::Cvv) => b"123",
                    None => b"",
                };
                for key in keys.iter().filter_map(|key| Key::from_char(*key)) {
                    self.now += Duration::from_millis(100);
                    payment.handle_key(self.now, key);
                }
            }
            PaymentState::Ready | PaymentState::NotSent => self.authorize(),
            PaymentState::Declined => {
                // What may not be asked is refused, which is an answer too.
                let field = if self.dice.per_mille(500) { Field::Cvv } else { Field::Pan };
                let _ = payment.request_field(self.now, field);
            }
            _ => {}
        }
        self.drain();
    }

    fn drain(&mut self) {
        while self.payment.as_mut().and_then(Payment::poll_output).is_some() {}
    }

    fn authorize(&mut self) {
        let attempt = AttemptId::from_random(self.dice.bits());
        let Some(payment) = &mut self.payment else { return };
        if payment.authorize(self.now, attempt).is_err() {
            return;
        }
        let Some(sending) = payment.sending(attempt) else { return };
        let (amount, card, merchant) = (sending.amount, sending.card, sending.merchant);
        let terms = Terms { capture: sending.order.capture, partial_approval: true, ..Terms::default() };
        let request = Request::Authorize { attempt, amount, card, merchant, terms };
        let (operation, request) = (request.operation(), plain(self.adapter.build(&request)));
        let later = self.order.capture == CaptureTime::Later;
        let row = Row::new(operation, later, None, false, self.unix_ms());
        self.report.attempts += 1;
        self.begin(operation, row, request);
    }

    /// A clerk who asks for anything, allowed or not.
    fn clerk(&mut self) {
        let Some((attempt, gateway_ref, balance, approved)) = self.disk.account() else { return };
        if self.deeds >= CLERKS_DEEDS_MAX {
            return;
        }
        let kind = *self
            .dice
            .pick(&[Kind::Refund, Kind::Refund, Kind::Capture, Kind::Capture, Kind::Void])
            .unwrap_or(&Kind::Refund);
        let most = u64::try_from(approved.minor).unwrap_or(1);
        let minor = 1 + i64::try_from(self.dice.below(most + most / 8)).unwrap_or(0);
        let amount = if kind == Kind::Void { approved } else { Money { minor, ..approved } };
        let last = kind == Kind::Capture && self.dice.per_mille(300);
        if self.broken != Some(Broken::NoBalance) && balance.check(kind, amount, last).is_err() {
            self.report.refused += 1;
            return;
        }
        self.deeds += 1;
        let of = Original { attempt, gateway_ref: &gateway_ref, approved, capture_ref: None };
        self.follow_up(kind, amount, of, last);
    }

    fn reverse(&mut self, attempt: AttemptId) {
        let Some((found, gateway_ref, balance, approved)) = self.disk.account().filter(|account| account.0 == attempt)
        else {
            return;
        };
        let refundable = balance.refundable();
        let refund =
            refundable.minor > 0 && (balance.check(Kind::Void, approved, false).is_err() || self.dice.per_mille(300));
        let (kind, amount) = if refund { (Kind::Refund, refundable) } else { (Kind::Void, approved) };
        if balance.check(kind, amount, false).is_ok() {
            let of = Original { attempt: found, gateway_ref: &gateway_ref, approved, capture_ref: None };
            self.follow_up(kind, amount, of, false);
        } else if balance.capturable().minor == 0 && refundable.minor == 0 {
            // Clerks have captured and refunded it meanwhile: there is nothing left to give back.
            self.disk.nothing_left(attempt);
        }
    }

    fn follow_up(&mut self, kind: Kind, amount: Money, of: Original<'_>, last: bool) {
        let (attempt, merchant) = (AttemptId::from_random(self.dice.bits()), merchant());
        let merchant = &merchant;
        let request = match kind {
            Kind::Capture => Request::Capture { attempt, amount, merchant, of, last },
            Kind::Refund => Request::Refund { attempt, amount, merchant, of },
            _ => Request::Void { attempt, merchant, of },
        };
        let (operation, built) = (request.operation(), plain(self.adapter.build(&request)));
        let row = Row::new(operation, false, Some(of.attempt), last, self.unix_ms());
        self.report.follow_ups += 1;
        self.begin(operation, row, built);
    }

    fn begin(&mut self, operation: Operation, row: Row, request: lab::acquirer::Request) {
        if self.broken == Some(Broken::SendFirst) {
            self.bank.handle(self.now, &request);
        }
        let stage = Stage::ToDisk(Box::new(row), request);
        self.flights.push(Flight { operation, stage, following: None, ready_at: self.now });
    }

    /// One step of one flight. Between any two the process may die.
    fn advance(&mut self, index: usize) {
        let mut flight = self.flights.swap_remove(index);
        match flight.stage {
            Stage::ToDisk(row, request) => match self.disk.begin(*row, self.broken != Some(Broken::NoBalance)) {
                Ok(()) => flight.stage = Stage::ToBank(request),
                Err(reason) => return self.not_begun(flight.operation, reason),
            },
            Stage::ToBank(request) => {
                let (sent, after) = self.deliver(&request);
                (flight.stage, flight.ready_at) = (Stage::Answer(sent), self.now + after);
            }
            Stage::Answer(sent) => return self.answered(flight.operation, flight.following, sent),
            Stage::Ask => {
                let now = self.unix_ms();
                let asked = flight.following.as_mut().and_then(|following| following.ask(now, &self.adapter));
                let Some(request) = asked else { return };
                flight.stage = Stage::ToBank(plain(request));
            }
        }
        self.flights.push(flight);
    }

    fn not_begun(&mut self, operation: Operation, reason: Refusal) {
        self.report.refused += 1;
        if operation.kind == Kind::Authorize {
            self.report.broken.push(format!("the payment's machine let a second attempt through: {reason:?}"));
        }
    }

    fn deliver(&mut self, request: &lab::acquirer::Request) -> (Sent, Duration) {
        let is_deed = request.method == "POST";
        let (response, delivery) = self.bank.handle(self.now, request);
        let body = String::from_utf8_lossy(&response.body).into_owned();
        for code in ["over_refunded", "over_captured", "not_voidable", "idempotency_mismatch"] {
            if is_deed && body.contains(code) {
                self.report.broken.push(format!("the bank had to refuse: {code}"));
            }
        }
        self.report.faults += u64::from(delivery != Delivery::Normal || response.status >= 500);
        let answered =
            |response: lab::acquirer::Response| Sent::Response { status: response.status, body: response.body };
        match delivery {
            Delivery::Normal => (answered(response), Duration::from_millis(50)),
            Delivery::Delay(ms) if Duration::from_millis(ms) < TIMEOUT => {
                (answered(response), Duration::from_millis(ms))
            }
            Delivery::Delay(_) => (Sent::Broken, TIMEOUT),
            Delivery::DropBeforeCommit | Delivery::DropAfterCommit | Delivery::Truncate => {
                (Sent::Broken, Duration::from_millis(50))
            }
        }
    }

    fn answered(&mut self, operation: Operation, following: Option<Following>, sent: Sent) {
        let believed = self.broken == Some(Broken::BelieveBroken) && matches!(sent, Sent::Broken);
        match following {
            Some(mut following) => match following.answer(&self.adapter, sent) {
                Some(answer) => self.end(operation, &answer),
                None => {
                    let ready_at = self.now + Duration::from_millis(following.pause_ms());
                    self.flights.push(Flight { operation, stage: Stage::Ask, following: Some(following), ready_at });
                }
            },
            None => {
                let answer = if believed { Answer::Rejected } else { self.adapter.parse(operation, sent) };
                self.end(operation, &answer);
                if !answer.is_final() {
                    self.send_again(operation);
                    self.follow(operation, self.unix_ms());
                }
            }
        }
    }

    /// Broken on purpose: what a client does that retries blindly.
    fn send_again(&mut self, operation: Operation) {
        let Some(amount) = operation.amount.filter(|_| self.broken == Some(Broken::SendAgain)) else { return };
        let fresh = AttemptId::from_random(self.dice.bits());
        let Some((attempt, gateway_ref, _, approved)) = self.disk.account() else { return };
        let (of, merchant) = (Original { attempt, gateway_ref: &gateway_ref, approved, capture_ref: None }, merchant());
        let again = Request::Refund { attempt: fresh, amount, merchant: &merchant, of };
        self.bank.handle(self.now, &plain(self.adapter.build(&again)));
    }

    fn end(&mut self, operation: Operation, answer: &Answer) {
        let is_late = operation.kind == Kind::Authorize && !self.caller_is_there;
        let is_approved = matches!(answer, Answer::Approved(_));
        let goes_back = is_approved && is_late && self.late_is_void;
        if self.disk.end(operation.attempt, answer, goes_back) {
            self.report.approved += u64::from(is_approved);
        }
        let told = answer.outcome(operation.amount.unwrap_or(self.order.amount));
        if operation.kind == Kind::Authorize
            && let Some(payment) = &mut self.payment
        {
            payment.handle_outcome(self.now, operation.attempt, told.clone());
            if payment.state() == PaymentState::Approved && !matches!(told, Outcome::Approved { .. }) {
                self.report.broken.push(format!("the agent is told of an approval: {told:?}"));
            }
        }
        self.drain();
    }

    fn unix_ms(&self) -> i64 {
        i64::try_from(self.now.saturating_duration_since(self.began).as_millis()).unwrap_or(i64::MAX)
    }
}

fn merchant() -> MerchantId {
    #[expect(clippy::expect_used, reason = "a fixed name that every run parses")]
    "shop".parse().expect("a name")
}

/// As the bank sees it.
fn plain(request: HttpRequest) -> lab::acquirer::Request {
    lab::acquirer::Request {
        method: request.method.as_str().to_owned(),
        path: request.path,
        headers: request.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: request.body.into_bytes(),
    }
}
