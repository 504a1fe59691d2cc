//! Orders of bounced calls, made ahead of them.

use super::{Output, Switchboard};
use crate::bounce::codes::{CodeState, Codes, KeptOrder};
use crate::orders::Wanted;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::{BouncedOrder, CallId, Command, CommandId, CommandResult, OrderCode, Origin, PaymentId, Refusal};

/// Orders that are being put on disk, and what is answered then.
pub(super) type Ordering = BTreeMap<PaymentId, (CommandId, CommandResult)>;

impl Switchboard {
    /// Before the first order: codes are known by marks that are made by this key, which is secret, also after a restart.
    pub fn set_code_key(&mut self, key: &[u8; 32]) {
        self.codes = Codes::new(key);
    }

    /// Before the first call: an order that was made ahead of its call, with a process before this one. Its code is good for so long yet.
    pub fn recall_code(&mut self, now: Instant, kept: KeptOrder, state: CodeState, left: Duration) {
        self.codes.recall(now, kept, state, left);
    }

    /// The journal was put back to an earlier state: a code that waits there may have been used since, so none of those that were given is
    /// good any more. One that is still being written is not touched: the disk says what it is.
    pub fn end_codes(&mut self) {
        self.codes.end_all();
    }

    /// An order is on disk, and the one whose place it takes is not good any more; or it could not be put there: then nobody is told its
    /// code, and the one before it stays as it was.
    pub fn handle_order_kept(&mut self, payment: PaymentId, is_kept: bool) {
        let Some((command, answer)) = self.ordering.remove(&payment) else { return };
        let result = match answer {
            CommandResult::Ordered { replaces, .. } if is_kept => {
                self.codes.kept(payment, replaces);
                answer
            }
            _ => {
                self.codes.withdraw(payment);
                CommandResult::Refused { reason: Refusal::JournalFault }
            }
        };
        let event = self.commands.conclude(command, result);
        self.outputs.extend(event.map(Output::Wire));
    }

    /// It is on disk that the code of this order is used; `Ok(false)`: it was not good any more. Only then the call is answered.
    pub fn handle_code_used(&mut self, now: Instant, call: CallId, payment: PaymentId, used: Result<bool, Refusal>) {
        if used.is_ok() {
            // Also when its call has gone meanwhile.
            self.codes.used(payment);
        }
        self.with_call(now, call, |call, context| call.code_used(context, payment, used));
        self.drain_endpoint(now);
    }

    pub(super) fn order_bounced(&mut self, now: Instant, command: &Command, order: &BouncedOrder) {
        let owner = match command.origin {
            Origin::User { id } => Some(id),
            Origin::Caller | Origin::AgentPhone | Origin::System => None,
        };
        match self.code_of(now, order, owner) {
            Ok((answer, kept)) => {
                self.ordering.insert(order.payment, (command.id, answer));
                self.outputs.push_back(Output::KeepOrder(Box::new(kept)));
            }
            Err(reason) => {
                let event = self.commands.conclude(command.id, CommandResult::Refused { reason });
                self.outputs.extend(event.map(Output::Wire));
            }
        }
    }

    fn code_of(
        &mut self,
        now: Instant,
        order: &BouncedOrder,
        owner: Option<i64>,
    ) -> Result<(CommandResult, KeptOrder), Refusal> {
        if !order.amount.payable() {
            return Err(Refusal::BadAmount);
        }
        if !self.config.merchants.contains(&order.merchant) {
            return Err(Refusal::UnknownMerchant);
        }
        let (keys_cross_pbx, number) = self.config.bounce_of(order).ok_or(Refusal::NotBounced)?;
        if self.bounced.has(now, &Wanted::new(&order.merchant, &order.reference, order.amount)) {
            return Err(Refusal::SameOrder);
        }
        let made = self.codes.order(now, &mut self.rng, order, owner)?;
        let number = number.map(|number| format!("{number}{}", made.names.digits));
        let (replaces, until_unix_ms) = (made.replaces, self.wall.unix_ms(made.until));
        let kept = KeptOrder { order: order.clone(), owner, marks: made.marks, until_unix_ms, replaces };
        let code = OrderCode { code: made.names.code, number };
        Ok((CommandResult::Ordered { code, until_unix_ms, keys_cross_pbx, replaces }, kept))
    }
}
