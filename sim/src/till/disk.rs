//! What is on disk survives. It keeps what `node::journal` promises: one authorization that may have taken money, follow-ups
//! that the balance allows, the first last word, and what is to be given back until it is.

use gateway::{Answer, Kind, Operation};
use payment::{Balance, Standing};
use wire::{AttemptId, Money, Refusal};

/// One attempt.
pub(super) struct Row {
    pub(super) operation: Operation,
    later: bool,
    follows: Option<AttemptId>,
    last: bool,
    sent_unix_ms: i64,
    pub(super) state: State,
    reversal: bool,
    given_back: bool,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Sent,
    Unknown,
    Approved {
        amount: Money,
        gateway_ref: String,
    },
    Declined,
    /// Proved not to have happened.
    Nothing,
}

impl Row {
    pub(super) fn new(
        operation: Operation,
        later: bool,
        follows: Option<AttemptId>,
        last: bool,
        sent_unix_ms: i64,
    ) -> Self {
        let state = State::Sent;
        Self { operation, later, follows, last, sent_unix_ms, state, reversal: false, given_back: false }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Sent | State::Unknown)
    }

    fn may_have_taken_money(&self) -> bool {
        let may = self.is_open() || matches!(self.state, State::Approved { .. });
        self.operation.kind == Kind::Authorize && may && !self.given_back
    }
}

/// The disk of one payment.
#[derive(Default)]
pub(super) struct Disk {
    rows: Vec<Row>,
}

/// The approved authorization, the bank's name for it, what has become of its money, and how much it was.
pub(super) type Account = (AttemptId, String, Balance, Money);

impl Disk {
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn begin(&mut self, row: Row, asks_balance: bool) -> Result<(), Refusal> {
        match row.follows {
            None if self.rows.iter().any(Row::may_have_taken_money) => return Err(Refusal::OutcomePending),
            None => {}
            Some(follows) if asks_balance => {
                let (_, _, balance, _) =
                    self.account().filter(|account| account.0 == follows).ok_or(Refusal::WrongState)?;
                let amount = row.operation.amount.ok_or(Refusal::BadAmount)?;
                balance.check(row.operation.kind, amount, row.last)?;
            }
            Some(_) => {}
        }
        self.rows.push(row);
        Ok(())
    }

    /// The first last word stands. True when it is news.
    pub(super) fn end(&mut self, attempt: AttemptId, answer: &Answer, reversal: bool) -> bool {
        let Some(row) = self.rows.iter_mut().find(|row| row.operation.attempt == attempt) else { return false };
        let state = match answer {
            Answer::Approved(approval) => State::Approved {
                amount: approval
                    .amount
                    .or(row.operation.amount)
                    .unwrap_or(Money { minor: 0, currency: wire::Currency::GBP }),
                gateway_ref: approval.gateway_ref.clone(),
            },
            Answer::Declined { .. } | Answer::ActionRequired => State::Declined,
            Answer::Rejected | Answer::Abandoned => State::Nothing,
            Answer::Pending { .. } | Answer::Unknown { .. } => State::Unknown,
        };
        if !row.is_open() || (row.state == State::Unknown && state == State::Unknown) {
            return false;
        }
        (row.state, row.reversal) = (state, reversal);
        let (kind, follows) = (row.operation.kind, row.follows);
        if let (State::Approved { .. }, Some(follows)) = (&row.state, follows) {
            self.note_given_back(kind, follows);
        }
        true
    }

    fn note_given_back(&mut self, kind: Kind, follows: AttemptId) {
        let refunded: i64 = self
            .rows
            .iter()
            .filter(|row| row.follows == Some(follows) && row.operation.kind == Kind::Refund)
            .map(|row| if let State::Approved { amount, .. } = &row.state { amount.minor } else { 0 })
            .sum();
        let Some(row) = self.rows.iter_mut().find(|row| row.operation.attempt == follows) else { return };
        let State::Approved { amount, .. } = &row.state else { return };
        let by_refund = kind == Kind::Refund && row.reversal && !row.later && refunded >= amount.minor;
        row.given_back |= kind == Kind::Void || by_refund;
    }

    /// Of a reservation that clerks have taken and refunded.
    pub(super) fn nothing_left(&mut self, attempt: AttemptId) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.operation.attempt == attempt) {
            row.reversal = false;
        }
    }

    pub(super) fn open(&self) -> Vec<(AttemptId, Operation, i64)> {
        let open = self.rows.iter().filter(|row| row.is_open());
        open.map(|row| (row.operation.attempt, row.operation, row.sent_unix_ms)).collect()
    }

    pub(super) fn has_open(&self) -> bool {
        self.rows.iter().any(Row::is_open)
    }

    pub(super) fn has_open_follow_up(&self) -> bool {
        self.rows.iter().any(|row| row.follows.is_some() && row.is_open())
    }

    pub(super) fn to_reverse(&self) -> Option<AttemptId> {
        self.rows.iter().find(|row| row.reversal && !row.given_back).map(|row| row.operation.attempt)
    }

    pub(super) fn account(&self) -> Option<Account> {
        let approved = self.rows.iter().rev().filter_map(|row| match &row.state {
            State::Approved { amount, gateway_ref } if row.operation.kind == Kind::Authorize => {
                Some((row, *amount, gateway_ref.clone()))
            }
            _ => None,
        });
        let (row, amount, gateway_ref) = approved.min_by_key(|(row, ..)| row.given_back)?;
        let mut balance = Balance::new(amount, row.later);
        for after in self.rows.iter().filter(|after| after.follows == Some(row.operation.attempt)) {
            let standing = match after.state {
                State::Sent | State::Unknown => Standing::Open,
                State::Approved { .. } => Standing::Done,
                State::Declined | State::Nothing => Standing::Failed,
            };
            let minor = after.operation.amount.map_or(0, |amount| amount.minor);
            balance.note(after.operation.kind, minor, after.last, standing);
        }
        if row.given_back {
            balance.note(Kind::Void, amount.minor, false, Standing::Done);
        }
        Some((row.operation.attempt, gateway_ref, balance, amount))
    }
}
