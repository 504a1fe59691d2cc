//! The cde's disk: what is on it survives the process. It keeps what `node::journal` promises to keep.

use std::collections::{BTreeMap, VecDeque};
use wire::{
    AttemptId, AuditEvent, CallId, CardView, Extension, JournalId, MerchantId, Money, Origin, Outcome, PaymentId,
    Record, RecordBody, Reference, Refusal,
};

/// A row about an attempt.
pub(crate) struct Row {
    pub(crate) payment: PaymentId,
    pub(crate) call: CallId,
    pub(crate) merchant: MerchantId,
    pub(crate) amount: Money,
    /// Of a bounced call.
    pub(crate) reference: Option<Reference>,
    pub(crate) sent_unix_ms: i64,
    /// None while it is in flight.
    pub(crate) outcome: Option<Outcome>,
}

impl Row {
    /// Can it have taken money?
    pub(crate) fn may_have_taken_money(&self) -> bool {
        matches!(self.outcome, None | Some(Outcome::Unknown | Outcome::Approved { .. }))
    }

    fn is_same_order(&self, new: &NewRow) -> bool {
        let is_named = self.reference.is_some() && self.reference == new.reference;
        is_named && self.merchant == new.merchant && self.amount == new.amount
    }

    /// Must it still be asked for?
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.outcome, None | Some(Outcome::Unknown))
    }
}

/// A new attempt.
pub(crate) struct NewRow {
    pub(crate) attempt: AttemptId,
    pub(crate) payment: PaymentId,
    pub(crate) call: CallId,
    pub(crate) extension: Extension,
    pub(crate) origin: Origin,
    pub(crate) merchant: MerchantId,
    pub(crate) amount: Money,
    pub(crate) card: CardView,
    pub(crate) reference: Option<Reference>,
}

/// The disk.
pub(crate) struct Journal {
    pub(crate) id: JournalId,
    pub(crate) newest: u64,
    pub(crate) acknowledged: u64,
    /// Those not yet acknowledged.
    records: VecDeque<Record>,
    pub(crate) attempts: BTreeMap<AttemptId, Row>,
    /// False where that is broken on purpose.
    pub(crate) compares_orders: bool,
}

impl Journal {
    pub(crate) fn new(id: JournalId) -> Self {
        Self {
            id,
            newest: 0,
            acknowledged: 0,
            records: VecDeque::new(),
            attempts: BTreeMap::new(),
            compares_orders: true,
        }
    }

    pub(crate) fn audit(&mut self, unix_ms: i64, event: AuditEvent) {
        self.record(unix_ms, RecordBody::Audit(event));
    }

    /// Refused when the payment has an attempt that may have taken money, or its order has one of another payment.
    pub(crate) fn begin(&mut self, unix_ms: i64, new: NewRow) -> Result<(), Refusal> {
        if self.attempts.values().any(|row| row.payment == new.payment && row.may_have_taken_money()) {
            return Err(Refusal::OutcomePending);
        }
        if self.compares_orders
            && self.attempts.values().any(|row| row.is_same_order(&new) && row.may_have_taken_money())
        {
            return Err(Refusal::SameOrder);
        }
        let NewRow { attempt, payment, call, extension, origin, merchant, amount, card, reference } = new;
        let (sent_unix_ms, outcome) = (unix_ms, None);
        let row = Row { payment, call, merchant: merchant.clone(), amount, reference, sent_unix_ms, outcome };
        self.attempts.insert(attempt, row);
        let (kind, capture, card) = (wire::AttemptKind::Authorize, Some(wire::CaptureTime::Now), Some(card));
        let body = RecordBody::AttemptSent(wire::AttemptSent {
            attempt,
            kind,
            payment,
            call,
            extension,
            origin,
            merchant,
            amount,
            capture,
            card,
        });
        self.record(unix_ms, body);
        Ok(())
    }

    /// The first last word stands.
    pub(crate) fn end(&mut self, unix_ms: i64, attempt: AttemptId, outcome: Outcome) {
        let Some(row) = self.attempts.get_mut(&attempt) else { return };
        let replaces = match &row.outcome {
            None => true,
            Some(Outcome::Unknown) => outcome != Outcome::Unknown,
            Some(_) => false,
        };
        if replaces {
            row.outcome = Some(outcome.clone());
            let payment = row.payment;
            self.record(unix_ms, RecordBody::AttemptEnded { attempt, payment, outcome });
        }
    }

    pub(crate) fn acknowledge(&mut self, upto: u64) {
        self.acknowledged = self.acknowledged.max(upto);
        self.records.retain(|record| record.number > upto);
    }

    /// The records after a number, oldest first.
    pub(crate) fn after(&self, number: u64) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.number > number)
    }

    fn record(&mut self, at_unix_ms: i64, body: RecordBody) {
        self.newest += 1;
        self.records.push_back(Record { number: self.newest, at_unix_ms, body });
    }
}
