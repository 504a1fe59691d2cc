//! A journal in memory, without a table or a trigger: the second implementation, by which it is seen that [`JournalStore`]
//! is not SQLite by another name, and which says what is right where chance calls both.

use super::store::{Conflict, JournalStore, StoreError};
use super::{Account, Ending, NewAttempt, OpenAttempt, Reversal, TakenOrder, Wanted};
use call::{CodeState, KeptOrder};
use gateway::{Kind, Operation};
use payment::{Balance, Standing};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use wire::{AttemptId, AuditEvent, DeclineClass, Outcome, PaymentId, Record, RecordBody, Refusal};

struct Row {
    new: NewAttempt,
    gateway: String,
    credential: Option<String>,
    /// None: it is in flight.
    outcome: Option<Outcome>,
    reversal: Option<Reversal>,
    given_back: bool,
}

impl Row {
    fn may_have_taken_money(&self) -> bool {
        let takes = matches!(self.new.kind, Kind::Authorize | Kind::ChargeStored);
        takes && !self.given_back && matches!(self.outcome, None | Some(Outcome::Unknown | Outcome::Approved { .. }))
    }

    fn is_open(&self) -> bool {
        matches!(self.outcome, None | Some(Outcome::Unknown))
    }

    fn approved(&self) -> Option<(wire::Money, &str)> {
        match &self.outcome {
            Some(Outcome::Approved { amount, gateway_ref, .. }) => Some((*amount, gateway_ref)),
            _ => None,
        }
    }
}

#[derive(Default)]
struct State {
    rows: Vec<Row>,
    records: Vec<Record>,
    newest: u64,
    heard: BTreeSet<(String, String)>,
    orders: Vec<(KeptOrder, CodeState)>,
}

/// The model. Its clones are one.
#[derive(Clone, Default)]
pub(super) struct Model(Arc<Mutex<State>>);

impl Model {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn tell(&mut self, body: RecordBody) {
        self.newest += 1;
        self.records.push(Record { number: self.newest, at_unix_ms: 0, body });
    }

    fn row(&mut self, attempt: AttemptId) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.new.attempt == attempt)
    }

    /// What was not given back before what was, and then the newest.
    fn account(&self, payment: PaymentId) -> Option<Account> {
        let takes =
            |row: &&Row| row.new.payment == payment && matches!(row.new.kind, Kind::Authorize | Kind::ChargeStored);
        let approved = self.rows.iter().rev().filter(takes).filter(|row| row.approved().is_some());
        let row = approved.min_by_key(|row| row.given_back)?;
        let (approved, gateway_ref) = row.approved()?;
        let mut account = Account {
            attempt: row.new.attempt,
            call: row.new.call,
            extension: row.new.extension.clone(),
            merchant: row.new.merchant.clone(),
            gateway: row.gateway.clone(),
            gateway_ref: gateway_ref.to_owned(),
            capture_ref: None,
            approved,
            balance: Balance::new(approved, row.new.later),
        };
        for follower in self.rows.iter().filter(|follower| follower.new.follows == Some(row.new.attempt)) {
            let standing = match (follower.is_open(), follower.approved()) {
                (true, _) => Standing::Open,
                (false, Some(_)) => Standing::Done,
                (false, None) => Standing::Failed,
            };
            let NewAttempt { kind, amount, last, .. } = follower.new;
            account.balance.note(kind, amount.minor, last, standing);
            if let (Kind::Capture, Some((_, name))) = (kind, follower.approved()) {
                account.capture_ref = Some(name.to_owned()).filter(|name| !name.is_empty());
            }
        }
        if row.given_back {
            account.balance.note(Kind::Void, approved.minor, false, Standing::Done);
        }
        Some(account)
    }

    fn begin(&mut self, new: NewAttempt) -> Result<(), Conflict> {
        let is_there = self.row(new.attempt).is_some();
        if let Some(follows) = new.follows {
            if is_there {
                return Err(Conflict::BegunBefore);
            }
            let account = self.account(new.payment).filter(|account| account.attempt == follows);
            let account = account.ok_or(Conflict::Refused(Refusal::WrongState))?;
            account.balance.check(new.kind, new.amount, new.last).map_err(Conflict::Refused)?;
        }
        let is_same = |row: &&Row| {
            row.new.reference == new.reference && row.new.merchant == new.merchant && row.new.amount == new.amount
        };
        let mut others = self.rows.iter().filter(|row| row.new.reference.is_some() && row.new.payment != new.payment);
        if others.any(|row| is_same(&row) && row.may_have_taken_money()) {
            return Err(Conflict::SameOrder);
        }
        let takes = matches!(new.kind, Kind::Authorize | Kind::ChargeStored);
        let second = self.rows.iter().any(|row| row.new.payment == new.payment && row.may_have_taken_money());
        if is_there || (takes && second) {
            return Err(Conflict::SecondAttempt);
        }
        self.tell(new.told());
        let (gateway, credential) = (new.gateway.clone(), new.credential.clone());
        self.rows.push(Row { new, gateway, credential, outcome: None, reversal: None, given_back: false });
        Ok(())
    }

    fn end(&mut self, attempt: AttemptId, ending: &Ending) -> bool {
        let Some(row) = self.row(attempt) else { return false };
        let is_replaced = row.outcome == Some(Outcome::Unknown) && ending.outcome.is_known();
        if row.outcome.is_some() && !is_replaced {
            return false;
        }
        (row.outcome, row.reversal) = (Some(ending.outcome.clone()), ending.reversal);
        let (kind, payment, follows) = (row.new.kind, row.new.payment, row.new.follows);
        let goes_back = ending.reversal.and_then(Reversal::instead).is_some();
        let outcome = if goes_back { Outcome::Unknown } else { ending.outcome.clone() };
        self.tell(RecordBody::AttemptEnded { attempt, payment, outcome });
        let is_done = matches!(ending.outcome, Outcome::Approved { .. });
        if let Some((followed, outcome)) = follows.filter(|_| is_done).and_then(|of| Some((of, self.back(kind, of)?))) {
            self.tell(RecordBody::AttemptEnded { attempt: followed, payment, outcome });
        }
        true
    }

    /// What is told instead of an approval that is back now.
    fn back(&mut self, kind: Kind, followed: AttemptId) -> Option<Outcome> {
        let is_refund = |row: &&Row| row.new.follows == Some(followed) && row.new.kind == Kind::Refund;
        let refunds = self.rows.iter().filter(is_refund).filter(|row| row.approved().is_some());
        let refunded: i64 = refunds.map(|row| row.new.amount.minor).sum();
        let row = self.row(followed)?;
        let is_whole = row.approved().is_some_and(|(amount, _)| amount.minor <= refunded);
        let is_back = match kind {
            Kind::Void => true,
            Kind::Refund => row.reversal.is_some() && !row.new.later && is_whole,
            _ => false,
        };
        row.given_back |= is_back;
        row.reversal.filter(|_| is_back).and_then(Reversal::instead)
    }

    fn standing(&mut self, attempt: AttemptId) -> Option<Outcome> {
        let row = self.row(attempt)?;
        let declined = Outcome::Declined { class: DeclineClass::Other, network_code: None };
        Some(match &row.outcome {
            Some(Outcome::Approved { .. }) if row.given_back => {
                row.reversal.and_then(Reversal::instead).unwrap_or(declined)
            }
            Some(Outcome::Approved { .. }) if row.reversal.is_some() => Outcome::Unknown,
            Some(Outcome::Approved { gateway_ref, amount, .. }) => Outcome::Approved {
                auth_code: String::new(),
                gateway_ref: gateway_ref.clone(),
                amount: *amount,
                checks: wire::Checks::default(),
            },
            Some(Outcome::Declined { .. }) => declined,
            Some(other) => other.clone(),
            None => Outcome::Unknown,
        })
    }
}

impl JournalStore for Model {
    async fn begin(&self, attempt: NewAttempt) -> Result<(), StoreError> {
        self.state().begin(attempt).map_err(StoreError::Conflict)
    }

    async fn end(&self, attempt: AttemptId, ending: Ending) -> Result<bool, StoreError> {
        Ok(self.state().end(attempt, &ending))
    }

    async fn move_to(&self, attempt: AttemptId, gateway: &str, credential: Option<&str>) -> Result<bool, StoreError> {
        let mut state = self.state();
        let Some(row) = state.row(attempt).filter(|row| row.outcome.is_none()) else { return Ok(false) };
        (row.gateway, row.credential) = (gateway.to_owned(), credential.map(str::to_owned));
        Ok(true)
    }

    async fn standing(&self, attempt: AttemptId) -> Result<Option<Outcome>, StoreError> {
        Ok(self.state().standing(attempt))
    }

    async fn open_attempts(&self) -> Result<Vec<OpenAttempt>, StoreError> {
        let state = self.state();
        let open = |row: &Row| OpenAttempt {
            operation: Operation::direct(row.new.kind, row.new.attempt, Some(row.new.amount)),
            payment: row.new.payment,
            call: row.new.call,
            extension: row.new.extension.clone(),
            gateway: row.gateway.clone(),
            merchant: row.new.merchant.clone(),
            locator: row.new.locator.clone(),
            sent_unix_ms: 0,
            is_named: false,
            is_awaited: row.outcome.is_none(),
            keep: None,
            token: row.new.token.clone(),
            credential: row.credential.clone(),
        };
        Ok(state.rows.iter().filter(|row| row.is_open()).map(open).collect())
    }

    async fn taken_orders(&self) -> Result<Vec<TakenOrder>, StoreError> {
        let state = self.state();
        let taken = state.rows.iter().filter(|row| row.may_have_taken_money());
        let order = |row: &Row| {
            let (payment, merchant, amount) = (row.new.payment, row.new.merchant.clone(), row.new.amount);
            Some(TakenOrder { payment, merchant, reference: row.new.reference.clone()?, amount, sent_unix_ms: 0 })
        };
        Ok(taken.filter_map(order).collect())
    }

    async fn keep_order(&self, order: KeptOrder) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.orders.iter().any(|(known, _)| known.order.payment == order.order.payment) {
            return Err(StoreError::Conflict(Conflict::BegunBefore));
        }
        let is_replaced = |known: &KeptOrder| order.replaces == Some(known.order.payment);
        let replaced = state.orders.iter_mut().filter(|(known, of)| is_replaced(known) && *of == CodeState::Waiting);
        replaced.for_each(|(_, of)| *of = CodeState::Replaced);
        state.orders.push((KeptOrder { replaces: None, ..order }, CodeState::Waiting));
        state.orders.sort_by_key(|(known, _)| known.until_unix_ms);
        Ok(())
    }

    async fn use_code(&self, payment: PaymentId) -> Result<bool, StoreError> {
        let mut state = self.state();
        let mut waiting = state.orders.iter_mut().filter(|(_, of)| *of == CodeState::Waiting);
        let found = waiting.find(|(known, _)| known.order.payment == payment);
        Ok(found.map(|(_, of)| *of = CodeState::Used).is_some())
    }

    async fn kept_orders(&self) -> Result<Vec<(KeptOrder, CodeState)>, StoreError> {
        Ok(self.state().orders.clone())
    }

    async fn account(&self, payment: PaymentId) -> Result<Option<Account>, StoreError> {
        Ok(self.state().account(payment))
    }

    async fn reversals_wanted(&self) -> Result<Vec<Wanted>, StoreError> {
        let state = self.state();
        let wanted = state.rows.iter().filter(|row| row.reversal.is_some() && !row.given_back);
        let wanted = wanted.filter(|row| row.approved().is_some());
        Ok(wanted.map(|row| Wanted { payment: row.new.payment, attempt: row.new.attempt }).collect())
    }

    async fn audit_once(&self, gateway: &str, event: &str, row: AuditEvent) -> Result<bool, StoreError> {
        let mut state = self.state();
        let is_new = state.heard.insert((gateway.to_owned(), event.to_owned()));
        if is_new {
            state.tell(RecordBody::Audit(row));
        }
        Ok(is_new)
    }

    async fn after(&self, number: u64) -> Result<Vec<Record>, StoreError> {
        let state = self.state();
        let page = usize::try_from(super::PAGE).unwrap();
        Ok(state.records.iter().filter(|record| record.number > number).take(page).cloned().collect())
    }

    async fn acknowledge(&self, number: u64) {
        let mut state = self.state();
        if number <= state.newest {
            state.records.retain(|record| record.number > number);
        }
    }
}
