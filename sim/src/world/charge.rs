//! An attempt's way: disk, bank, disk, switchboard; and what is asked when the bank's answer was lost.

use super::{Happening, World};
use crate::journal::NewRow;
use crate::oracle::Promise;
use crate::sabotage::Sabotage;
use ::call::Charge;
use gateway::{Adapter, HttpRequest, Kind, Operation, Sent, Terms};
use lab::acquirer::{Delivery, Response};
use std::collections::BTreeMap;
use std::time::Duration;
use wire::{AttemptId, AuditEvent, CallId, Money, Outcome, PaymentId, Refusal};

/// As in `cde.toml`, by default.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A request on its way to the bank and back.
#[derive(Clone)]
pub(super) struct Exchange {
    life: u32,
    call: CallId,
    attempt: AttemptId,
    amount: Money,
    inquiry: bool,
    request: lab::acquirer::Request,
}

pub(super) struct Following {
    call: CallId,
    inquiries: gateway::Following,
    amount: Money,
}

/// Something that waits for the disk.
pub(super) enum Write {
    Audit(Box<AuditEvent>),
    Begin(Box<NewRow>, Box<Exchange>),
    End { call: CallId, attempt: AttemptId, amount: Money, outcome: Outcome },
    Acknowledge(u64),
}

/// What somebody who waited for the disk is told.
pub(super) enum Done {
    Begun { exchange: Box<Exchange>, on_disk: Result<(), Refusal> },
    Ended { call: CallId, attempt: AttemptId, amount: Money, outcome: Outcome },
}

impl World {
    pub(super) fn write(&mut self, write: Write) {
        let commit = self.dice.ms(1, 15);
        let Some(cde) = &mut self.cde else { return };
        let first = cde.writes.is_empty();
        let life = cde.life;
        cde.writes.push(write);
        // What waits when the disk is free is written together.
        if first {
            self.after(commit, Happening::Commit { life });
        }
    }

    pub(super) fn commit(&mut self, life: u32) {
        let unix_ms = self.unix_ms();
        let Some(cde) = self.cde.as_mut().filter(|cde| cde.life == life) else { return };
        let mut done = Vec::new();
        for write in std::mem::take(&mut cde.writes) {
            match write {
                Write::Audit(event) => self.journal.audit(unix_ms, *event),
                Write::Begin(row, exchange) => {
                    let on_disk = self.journal.begin(unix_ms, *row);
                    done.push(Done::Begun { exchange, on_disk });
                }
                Write::End { call, attempt, amount, outcome } => {
                    self.journal.end(unix_ms, attempt, outcome.clone());
                    done.push(Done::Ended { call, attempt, amount, outcome });
                }
                Write::Acknowledge(upto) => self.journal.acknowledge(upto),
            }
        }
        // A death may come between the disk and those who wait for it.
        let told = self.dice.ms(0, 2);
        self.after(told, Happening::Written { life, done });
    }

    pub(super) fn written(&mut self, life: u32, done: Vec<Done>) {
        let tells_approved = self.sabotaged(Sabotage::TellApproved);
        for done in done {
            let now = self.now;
            let Some(cde) = self.cde.as_mut().filter(|cde| cde.life == life) else { return };
            match done {
                Done::Begun { exchange, on_disk } => {
                    cde.board.handle_journaled(now, exchange.call, exchange.attempt, on_disk);
                    if on_disk.is_ok() && !self.sabotaged(Sabotage::SendFirst) {
                        self.send_request(exchange);
                    }
                }
                Done::Ended { call, attempt, amount, outcome } => {
                    let told = if tells_approved { approved(amount) } else { outcome.clone() };
                    cde.board.handle_outcome(now, call, attempt, told);
                    if !outcome.is_known() {
                        self.follow(call, attempt, amount);
                    }
                }
            }
        }
    }

    /// The request is built while the card is there, as `node` does it.
    pub(super) fn charge(&mut self, call: CallId, attempt: AttemptId) {
        let now = self.now;
        let Some(cde) = &mut self.cde else { return };
        let Some(Charge { payment, extension, origin, reference, sending }) = cde.board.charge(call, attempt) else {
            return cde.board.handle_journaled(now, call, attempt, Err(Refusal::CardGone));
        };
        let (amount, card, merchant) = (sending.amount, sending.card, sending.merchant);
        let terms = Terms::default();
        let request = cde.adapter.build(&gateway::Request::Authorize { attempt, amount, card, merchant, terms });
        let (extension, origin, merchant) = (extension.clone(), origin.clone(), merchant.clone());
        let (reference, card) = (reference.cloned(), card.view());
        let row = NewRow { attempt, payment, call, extension, origin, merchant, amount, card, reference };
        let exchange = Exchange { life: cde.life, call, attempt, amount, inquiry: false, request: plain(request) };
        self.judge_capture(payment, call, attempt);
        if self.sabotaged(Sabotage::SendFirst) {
            self.send_request(Box::new(exchange.clone()));
        }
        self.write(Write::Begin(Box::new(row), Box::new(exchange)));
    }

    /// What was executed needs another capture: between two such attempts the caller has keyed something.
    fn judge_capture(&mut self, payment: PaymentId, call: CallId, attempt: AttemptId) {
        let given = self.oracle.keys_given(call);
        let Some((before, given_before)) = self.sent.insert(payment, (attempt, given)) else { return };
        let outcome = self.journal.attempts.get(&before).and_then(|row| row.outcome.as_ref());
        let executed = matches!(outcome, Some(Outcome::Approved { .. } | Outcome::Declined { .. }));
        if executed && given == given_before {
            self.oracle.broken(Promise::ChargedOnce, format!("payment {payment} is sent again without a new capture"));
        }
    }

    fn send_request(&mut self, exchange: Box<Exchange>) {
        let way = if self.sabotaged(Sabotage::SendFirst) { Duration::ZERO } else { self.dice.ms(1, 60) };
        self.after(way, Happening::Request(exchange));
    }

    /// The bank takes it, whether or not somebody still waits for the answer.
    pub(super) fn deliver_request(&mut self, exchange: Box<Exchange>) {
        let since = self.now.saturating_duration_since(self.began);
        if self.plan.bank_down.is_some_and(|(from, to)| (from..to).contains(&since)) {
            return self.after(Duration::from_millis(1), Happening::Answer { exchange, sent: Sent::NotSent });
        }
        if !exchange.inquiry && !self.journal.attempts.contains_key(&exchange.attempt) {
            self.oracle.broken(
                Promise::JournaledFirst,
                format!("attempt {} is at the bank and not on disk", exchange.attempt),
            );
        }
        let (response, delivery) = self.bank.handle(self.now, &exchange.request);
        let way = self.dice.ms(1, 300);
        let (way, sent) = match delivery {
            Delivery::Normal => (way, answered(response)),
            Delivery::Delay(ms) if Duration::from_millis(ms) < TIMEOUT => {
                (Duration::from_millis(ms), answered(response))
            }
            Delivery::Delay(_) => (TIMEOUT, Sent::Broken),
            Delivery::DropBeforeCommit | Delivery::DropAfterCommit | Delivery::Truncate => (way, Sent::Broken),
        };
        self.after(way, Happening::Answer { exchange, sent });
    }

    pub(super) fn deliver_answer(&mut self, exchange: &Exchange, sent: Sent) {
        if exchange.inquiry {
            return self.inquiry_answered(exchange, sent);
        }
        let believes = self.sabotaged(Sabotage::BelieveBroken) && matches!(sent, Sent::Broken);
        let &Exchange { call, attempt, amount, .. } = exchange;
        let Some(cde) = self.cde.as_mut().filter(|cde| cde.life == exchange.life) else { return };
        let operation = Operation::direct(Kind::Authorize, attempt, Some(amount));
        let outcome = cde.adapter.parse(operation, sent).outcome(amount);
        let outcome = if believes { Outcome::Rejected } else { outcome };
        if outcome == Outcome::Unknown && self.sabotaged(Sabotage::ChargeAgain) {
            self.charge_again(exchange);
        }
        self.write(Write::End { call, attempt, amount, outcome });
    }

    /// Broken on purpose: what a client does that retries blindly under a fresh key.
    fn charge_again(&mut self, exchange: &Exchange) {
        let body = String::from_utf8_lossy(&exchange.request.body).into_owned();
        let fresh = AttemptId::from_random(self.dice.bits());
        let (old, new) = (exchange.attempt.to_string(), fresh.to_string());
        let mut request = exchange.request.clone();
        request.body = body.replace(&old, &new).into_bytes();
        request.headers.iter_mut().for_each(|(_, value)| *value = value.replace(&old, &new));
        // Its answer is of no interest.
        let _ = self.bank.handle(self.now, &request);
    }

    pub(super) fn settle_left_over(&mut self) {
        let open: Vec<_> = self
            .journal
            .attempts
            .iter()
            .filter(|(_, row)| row.is_open())
            .map(|(id, row)| (*id, row.call, row.amount))
            .collect();
        for (attempt, call, amount) in open {
            self.write(Write::End { call, attempt, amount, outcome: Outcome::Unknown });
        }
    }

    fn follow(&mut self, call: CallId, attempt: AttemptId, amount: Money) {
        let sent_unix_ms = self.journal.attempts.get(&attempt).map_or(0, |row| row.sent_unix_ms);
        // As in `node`: the gateway's window begins with the broken answer, or with the life after the one that sent it.
        let sent = gateway::SentBetween { first_unix_ms: sent_unix_ms, last_unix_ms: self.unix_ms() };
        let operation = Operation::direct(Kind::Authorize, attempt, Some(amount));
        let Some(merchant) = self.journal.attempts.get(&attempt).map(|row| row.merchant.clone()) else { return };
        let inquiries = gateway::Following::new(operation, merchant, None, sent);
        let pause = Duration::from_millis(inquiries.pause_ms());
        let Some(cde) = &mut self.cde else { return };
        cde.following.insert(attempt, Following { call, inquiries, amount });
        let life = cde.life;
        self.after(pause, Happening::Ask { life, attempt });
    }

    pub(super) fn ask(&mut self, life: u32, attempt: AttemptId) {
        let unix_ms = self.unix_ms();
        let Some(cde) = self.cde.as_mut().filter(|cde| cde.life == life) else { return };
        let Some(following) = cde.following.get_mut(&attempt) else { return };
        let Some(request) = following.inquiries.ask(unix_ms, &cde.adapter).map(plain) else { return };
        let (call, amount) = (following.call, following.amount);
        self.send_request(Box::new(Exchange { life, call, attempt, amount, inquiry: true, request }));
    }

    fn inquiry_answered(&mut self, exchange: &Exchange, sent: Sent) {
        let &Exchange { life, call, attempt, amount, .. } = exchange;
        let Some(cde) = self.cde.as_mut().filter(|cde| cde.life == life) else { return };
        let Some(following) = cde.following.get_mut(&attempt) else { return };
        match following.inquiries.answer(&cde.adapter, sent) {
            Some(answer) => {
                let outcome = answer.outcome(amount);
                cde.following.remove(&attempt);
                self.write(Write::End { call, attempt, amount, outcome });
            }
            None => {
                let pause = Duration::from_millis(following.inquiries.pause_ms());
                self.after(pause, Happening::Ask { life, attempt });
            }
        }
    }

    /// The bank's own books against ours.
    pub(super) fn judge_money(&mut self) {
        let request = lab::acquirer::Request {
            method: "GET".to_owned(),
            path: "/v1/ledger".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let (answer, _) = self.bank.handle(self.now, &request);
        let ledger: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let mut charged: BTreeMap<String, (bool, i64)> = BTreeMap::new();
        for charge in ledger.get("charges").and_then(serde_json::Value::as_array).into_iter().flatten() {
            let text = |name: &str| charge.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
            let amount = charge.get("amount").and_then(serde_json::Value::as_i64).unwrap_or_default();
            charged.insert(text("reference").to_owned(), (text("status") == "approved", amount));
        }
        let mut broken = Vec::new();
        let mut approvals: BTreeMap<PaymentId, u32> = BTreeMap::new();
        for (attempt, row) in &self.journal.attempts {
            let at_bank = charged.remove(&attempt.to_string());
            *approvals.entry(row.payment).or_default() += u32::from(at_bank.is_some_and(|(approved, _)| approved));
            let agrees = match &row.outcome {
                Some(Outcome::Approved { amount, .. }) => at_bank == Some((true, amount.minor)),
                Some(Outcome::Declined { .. }) => at_bank.is_some_and(|(approved, _)| !approved),
                Some(Outcome::Rejected | Outcome::Abandoned) => at_bank.is_none(),
                None | Some(Outcome::Unknown) => !self.oracle.violations.is_empty(),
            };
            if !agrees {
                broken.push((
                    Promise::MoneyAgrees,
                    format!("attempt {attempt}: we say {:?}, the bank {at_bank:?}", row.outcome),
                ));
            }
        }
        let twice = approvals.iter().filter(|(_, count)| **count > 1);
        broken.extend(
            twice.map(|(payment, count)| {
                (Promise::ChargedOnce, format!("payment {payment} was approved {count} times"))
            }),
        );
        broken.extend(
            charged.keys().map(|reference| (Promise::ChargedOnce, format!("the bank knows {reference}, we do not"))),
        );
        broken.into_iter().for_each(|(promise, what)| self.oracle.broken(promise, what));
    }
}

/// Broken on purpose: what was never said.
fn approved(amount: Money) -> Outcome {
    let (auth_code, gateway_ref) = ("LIE".to_owned(), "lie".to_owned());
    Outcome::Approved { auth_code, gateway_ref, amount, checks: wire::Checks::default() }
}

fn answered(response: Response) -> Sent {
    Sent::Response { status: response.status, body: response.body }
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
