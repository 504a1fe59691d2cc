//! A caller whom an agent has had transferred to us: answered, masked at once, and joined with the agent, who is called back.

use super::hook::Hook;
use super::{Arrival, Call, Context, Phase, setup::shown};
use crate::leg::Leg;
use crate::transfers::Awaited;
use media::Side;
use sip::offer_answer::Direction;
use sip::{Body, DialogId, IncomingInvite, Peer};
use std::time::{Duration, Instant};
use wire::{AuditAction, CallEnd, LineState, Origin, PaymentOrder, TransferRefusal};

/// What the desk shows as the number that was called: the code is nobody's business any more.
const CALLED: &str = "secure";

/// What was asked for with the code.
pub(crate) struct Transfer {
    /// By whom.
    origin: Origin,
    /// What is to be paid, once the two speak.
    order: Option<PaymentOrder>,
    /// How long the agent may wait for the caller.
    until: Instant,
}

/// So long after an attended transfer an agent who hangs up has only put down the call that they transferred.
const PUTS_DOWN: Duration = Duration::from_secs(5);

impl Call {
    /// The call that was awaited, or the status to refuse it with. Who is called back stands in what was awaited, not in the
    /// INVITE.
    pub(crate) fn transferred(context: &mut Context<'_>, arrival: &Arrival<'_>, awaited: Awaited) -> Result<Self, u16> {
        let way_in = awaited.way();
        let way = context.config.way_back(awaited.trunk, awaited.extension).ok_or(404_u16)?;
        let mut call = Self::on(context, arrival, way, CALLED.to_owned())?;
        call.way = way_in;
        let Awaited { origin, order, until, .. } = awaited;
        call.transfer = Some(Box::new(Transfer { origin, order, until }));
        Ok(call)
    }

    /// The call of an agent who has come to the code before their caller, or the status to refuse it with.
    pub(crate) fn consulting(context: &mut Context<'_>, arrival: &Arrival<'_>, awaited: Awaited) -> Result<Self, u16> {
        let (way_in, extension) = (awaited.way(), awaited.extension);
        let mut way = context.config.way_back(awaited.trunk, extension.clone()).ok_or(404_u16)?;
        way.outbound = true;
        let mut call = Self::on(context, arrival, way, String::new())?;
        (call.way, call.extension, call.called) = (way_in, extension, CALLED.to_owned());
        let (origin, order, until) = (awaited.origin, awaited.order, awaited.until);
        call.transfer = Some(Box::new(Transfer { origin, order, until }));
        Ok(call)
    }

    /// The ports are bound: the agent is answered, on a line that is masked from the start, and waits.
    pub(super) fn take_consulting(&mut self, context: &mut Context<'_>) {
        let Some((origin, until)) = self.transfer.as_ref().map(|transfer| (transfer.origin.clone(), transfer.until))
        else {
            return;
        };
        self.secure_unasked(context, &origin);
        if let Err(status) = self.answer_first(context) {
            return self.fail_setup(context, status);
        }
        self.wait_until(Some(until));
        self.phase = Phase::Consulting;
        self.changed = true;
    }

    /// An INVITE that takes the place of the agent who waits (RFC 3891) is their caller. The agent's leg stays: most phones
    /// put it down themselves then, and are called back.
    pub(super) fn join_caller(
        &mut self,
        context: &mut Context<'_>,
        dialog: DialogId,
        from: Peer,
        invite: &IncomingInvite,
    ) {
        match self.caller_leg(context, from, invite) {
            Ok((mut leg, answer)) => {
                // Who was on the way by a REFER stays where they are: one caller comes.
                self.handover_failed(context, 487);
                leg.dialog = Some(dialog);
                self.caller = leg;
                self.calling = Side::Caller;
                self.caller_shown = shown(&invite.from);
                // The caller's call has its own name, which the agent's INVITE did not say.
                let trunk = context.config.trunk_of_agent(&self.extension);
                let way = trunk.and_then(|trunk| context.config.way_back(trunk, self.extension.clone()));
                self.hook = way.and_then(|way| Hook::of(way.hook.as_ref(), invite));
                self.caller_has_come(context, dialog, answer);
            }
            Err(status) => context.endpoint.reject(context.now, dialog, status, None, Vec::new()),
        }
    }

    fn caller_leg(&self, context: &mut Context<'_>, from: Peer, invite: &IncomingInvite) -> Result<(Leg, Body), u16> {
        if !self.agent.dialog.is_some_and(|agent| self.is_trunk_of(context, agent, from)) {
            return Err(403);
        }
        let trunk = context.config.trunk_of_agent(&self.extension).ok_or(403_u16)?;
        let asserted = invite.asserted();
        if context.config.is_internal(trunk, asserted.user().unwrap_or_default()) {
            let why = TransferRefusal::InternalCaller;
            self.audit(context, Origin::System, AuditAction::TransferRefused { why });
            return Err(403);
        }
        self.answer_replacing(context, Side::Caller, from, invite.body.as_ref())
    }

    fn caller_has_come(&mut self, context: &mut Context<'_>, dialog: DialogId, answer: Body) {
        self.caller_is_here(context);
        if self.caller.agreed.is_some() {
            self.connect(context, Side::Caller);
        }
        context.endpoint.accept(context.now, dialog, Some(answer));
        self.agent_is_back(context);
    }

    /// They came to an agent who waited: nothing of them is let through before the line is secured.
    pub(super) fn caller_is_here(&mut self, context: &mut Context<'_>) {
        let origin = self.transfer.as_ref().map_or(Origin::System, |transfer| transfer.origin.clone());
        self.audit(context, origin, AuditAction::Transferred);
        self.secure_for_caller(context);
        self.wait_until(None);
        self.puts_down_until = Some(context.now + PUTS_DOWN);
        self.phase = Phase::Talking;
        self.changed = true;
    }

    /// Before the caller's sound is taken at all.
    pub(super) fn secure_for_caller(&mut self, context: &mut Context<'_>) {
        if self.line.state() != LineState::Secured {
            let origin = self.transfer.as_ref().map_or(Origin::System, |transfer| transfer.origin.clone());
            self.secure_unasked(context, &origin);
        }
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
        let Transfer { origin, order: Some(order), .. } = *transfer else { return };
        if let Err(reason) = self.start_payment(context, &origin, &order) {
            self.audit(context, origin, AuditAction::Refused { reason });
        }
    }
}
