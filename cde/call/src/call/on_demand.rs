//! A caller whom an agent has had transferred to us: answered, masked at once, and joined with the agent, who is called back.

use super::{Arrival, Call, Context, Phase};
use crate::transfers::Awaited;
use sip::offer_answer::Direction;
use wire::{AuditAction, CallEnd, Origin, PaymentOrder};

/// What the desk shows as the number that was called: the code is nobody's business any more.
const CALLED: &str = "secure";

/// What was asked for with the code.
pub(crate) struct Transfer {
    /// By whom.
    origin: Origin,
    /// What is to be paid, once the two speak.
    order: Option<PaymentOrder>,
}

impl Call {
    /// The call that was awaited, or the status to refuse it with. Who is called back stands in what was awaited, not in the
    /// INVITE.
    pub(crate) fn transferred(context: &mut Context<'_>, arrival: &Arrival<'_>, awaited: Awaited) -> Result<Self, u16> {
        let way_in = awaited.way();
        let way = context.config.way_back(awaited.trunk, awaited.extension).ok_or(404_u16)?;
        let mut call = Self::on(context, arrival, way, CALLED.to_owned())?;
        call.way = way_in;
        call.transfer = Some(Box::new(Transfer { origin: awaited.origin, order: awaited.order }));
        Ok(call)
    }

    /// Whether the agent has not yet been here since the caller was transferred.
    pub(super) fn is_called_back(&self) -> bool {
        self.transfer.is_some()
    }

    /// The ports are bound: the caller is answered at once, as the PBX lets the agent go only then; nothing of the caller is let
    /// through from the start; and the agent is called.
    pub(super) fn take_caller(&mut self, context: &mut Context<'_>) {
        let origin = self.transfer.as_ref().map_or(Origin::System, |transfer| transfer.origin.clone());
        self.audit(context, origin.clone(), AuditAction::Transferred);
        self.secure_unasked(context, &origin);
        if let Err(status) = self.answer_first(context) {
            return self.fail_setup(context, status);
        }
        self.phase = Phase::Talking;
        self.changed = true;
        if !self.recall(context) {
            self.end(context, Origin::System, CallEnd::NotAnswered);
        }
    }

    /// Answers who called before anybody else is there.
    pub(super) fn answer_first(&mut self, context: &mut Context<'_>) -> Result<(), u16> {
        let calling = self.calling;
        let dialog = self.side(calling).dialog.ok_or(481_u16)?;
        let answer = match self.answer_calling(context) {
            Some(answer) => answer?,
            None => {
                self.leg(calling).owed_answer = true;
                self.leg(calling).offer(context.rng, None, Direction::SendRecv)
            }
        };
        if self.side(calling).agreed.is_some() {
            self.connect(context, calling);
        }
        context.endpoint.accept(context.now, dialog, Some(answer));
        self.setup = None;
        Ok(())
    }

    /// The two speak again: what is to be paid is started.
    pub(super) fn agent_is_back(&mut self, context: &mut Context<'_>) {
        let Some(transfer) = self.transfer.take() else { return };
        // Should their leg be lost, they are called again at once.
        self.recalls = 0;
        let Transfer { origin, order: Some(order) } = *transfer else { return };
        if let Err(reason) = self.start_payment(context, &origin, &order) {
            self.audit(context, origin, AuditAction::Refused { reason });
        }
    }
}
