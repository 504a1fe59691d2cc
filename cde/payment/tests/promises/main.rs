//! What a payment promises, as a call drives it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod capture;
mod outcome;
mod storm;

use card::{Key, YearMonth};
use payment::{Output, Payment, Rules};
use std::time::{Duration, Instant};
use wire::{
    AttemptId, Currency, DeclineClass, Field, FieldStatus, Money, Outcome, PaymentId, PaymentOrder, PaymentState,
    RejectReason, Store,
};

pub const TODAY: YearMonth = YearMonth { year: 2026, month: 11 };
pub const ALL: &[Field] = &[Field::Pan, Field::Expiry, Field::Cvv];
pub const MASTERCARD: &str = "5555555555554444";
pub const VISA: &str = "4242424242424242";

/// A payment with its own clock, always drained as a call would drain it.
pub struct Desk {
    pub payment: Payment,
    pub now: Instant,
    pub sent: Vec<AttemptId>,
    pub codes_lived_ms: Vec<u128>,
    pub changes: usize,
}

#[expect(clippy::disallowed_methods, reason = "an arbitrary beginning of virtual time")]
pub fn start() -> Instant {
    Instant::now()
}

pub fn order(fields: &[Field]) -> PaymentOrder {
    PaymentOrder {
        payment: PaymentId::from_random(1),
        amount: Money { minor: 4200, currency: Currency::GBP },
        merchant: "shop".parse().unwrap(),
        fields: fields.to_vec(),
        store: Store::None,
        purpose: None,
        capture: wire::CaptureTime::Now,
        avs: None,
        partial: false,
    }
}

pub fn attempt(number: u128) -> AttemptId {
    AttemptId::from_random(number)
}

pub fn approved() -> Outcome {
    let amount = Money { minor: 4200, currency: Currency::GBP };
    Outcome::Approved { auth_code: "A1".into(), gateway_ref: "ch_1".into(), amount, checks: wire::Checks::default() }
}

pub fn declined(class: DeclineClass) -> Outcome {
    Outcome::Declined { class, network_code: None }
}

impl Desk {
    pub fn waiting(fields: &[Field]) -> Self {
        let now = start();
        let payment = Payment::new(now, order(fields), Rules::default(), TODAY).unwrap();
        Self { payment, now, sent: Vec::new(), codes_lived_ms: Vec::new(), changes: 0 }
    }

    pub fn secured(fields: &[Field]) -> Self {
        let mut desk = Self::waiting(fields);
        desk.payment.handle_secured(desk.now);
        desk
    }

    pub fn ready() -> Self {
        let mut desk = Self::secured(ALL);
        desk.keys("5555555555554444 1230 123");
        assert_eq!(desk.payment.state(), PaymentState::Ready);
        desk
    }

    pub fn in_flight() -> Self {
        let mut desk = Self::ready();
        desk.payment.authorize(desk.now, attempt(1)).unwrap();
        desk
    }

    pub fn ended(outcome: Outcome) -> Self {
        let mut desk = Self::in_flight();
        desk.payment.handle_outcome(desk.now, attempt(1), outcome);
        desk
    }

    pub fn keys(&mut self, keys: &str) {
        for byte in keys.bytes().filter(|byte| *byte != b' ') {
            self.wait(100);
            self.payment.handle_key(self.now, Key::from_char(byte).unwrap());
        }
    }

    /// Lets time pass, timer by timer.
    pub fn wait(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.payment.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.payment.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.payment.poll_output() {
            match output {
                Output::Changed => self.changes += 1,
                Output::Send { attempt } => self.sent.push(attempt),
                Output::CodeWiped { lived } => self.codes_lived_ms.push(lived.as_millis()),
            }
        }
    }

    /// Status, digits and reason of a field, after the grid has shown them.
    pub fn field(&mut self, field: Field) -> (FieldStatus, u8, Option<RejectReason>) {
        self.wait(payment::GRID_MS);
        let progress = self.payment.progress();
        let found = progress.fields.iter().find(|f| f.field == field).unwrap();
        (found.status, found.digits, found.reason)
    }
}
