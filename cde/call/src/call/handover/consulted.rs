//! An agent who waits at a code transfers their caller to it by REFER, in either of their two calls (RFC 5589 section 7): the caller of
//! another call of ours comes over, or one of a call that we know nothing of is called in that call's place.
//!
//! Until the caller has agreed, everything is as it was: the agent waits here, and speaks with the caller there.

use super::join::{ASKED_MAX, Across};
use super::{Handover, RING};
use crate::call::hook::Terms;
use crate::call::{Call, Context, Phase};
use media::Side;
use sip::offer_answer::Direction;
use sip::{DialogId, IncomingInvite, Refer, RequestId};
use wire::{AuditAction, Extension, Origin, TransferRefusal};

/// Who the caller of a call is: as the desk shows them, and as whom their network has named them.
#[derive(Clone, Default)]
pub(crate) struct Named {
    pub(crate) shown: String,
    asserted: String,
}

impl Named {
    /// By the INVITE, where the caller has called; else by the number that the agent has.
    pub(crate) fn of(calling: Side, invite: &IncomingInvite, shown: &str) -> Self {
        let asserted = match calling {
            Side::Caller => invite.asserted().user().unwrap_or_default().to_owned(),
            Side::Agent => shown.to_owned(),
        };
        Self { shown: shown.to_owned(), asserted }
    }

    fn number(number: &str) -> Self {
        Self { shown: number.to_owned(), asserted: number.to_owned() }
    }
}

impl Call {
    /// Does its agent wait at a code for a caller, and is none on the way?
    pub(crate) fn consults(&self) -> bool {
        matches!(self.phase, Phase::Consulting)
    }

    /// The leg of a call's caller is asked to come to the agent who waits here. False if it could not be asked.
    pub(crate) fn join_consulted(
        &mut self,
        context: &mut Context<'_>,
        asker: DialogId,
        request: RequestId,
        refer: Refer,
        across: &Across,
    ) -> bool {
        let named = across.named.clone();
        let joined = self.may_come(context, &named);
        match joined.and_then(|()| self.ask_over(context, Side::Caller, across)) {
            Ok(leg) => {
                let (side, until, again, borrowed) = (Side::Caller, context.now + RING, None, Some(ASKED_MAX - 1));
                let (asker, hook) = (Some((asker, refer)), Some(across.hook.clone()));
                self.caller_named = named;
                self.handover = Some(Handover { side, leg, dial: None, asker, until, again, borrowed, hook });
                context.endpoint.respond(context.now, request, 202);
                self.tell_asker(context, 100);
                true
            }
            Err(status) => {
                context.endpoint.respond(context.now, request, status);
                false
            }
        }
    }

    /// The agent asks us to take their place in a call that is not ours. We call its other end, at the agent's own trunk, with the
    /// name of that dialog, and require that it be understood: nobody is called who is not in it already.
    pub(super) fn refer_consulted(&mut self, context: &mut Context<'_>, request: RequestId, refer: Refer) {
        match self.call_consulted(context, &refer) {
            Ok(handover) => {
                let asker = self.agent.dialog.map(|dialog| (dialog, refer));
                self.handover = Some(Handover { asker, ..handover });
                context.endpoint.respond(context.now, request, 202);
                self.tell_asker(context, 100);
            }
            Err(status) => context.endpoint.respond(context.now, request, status),
        }
    }

    fn call_consulted(&mut self, context: &mut Context<'_>, refer: &Refer) -> Result<Handover, u16> {
        let replaces = refer.replaces.as_deref().ok_or(403_u16)?;
        let number: Extension = refer.target.user().and_then(|user| user.parse().ok()).ok_or(404_u16)?;
        let named = Named::number(number.as_str());
        self.may_come(context, &named)?;
        let trunk = context.config.trunk_of_agent(&self.extension).ok_or(403_u16)?;
        let way = context.config.way_back(trunk, number).ok_or(403_u16)?;
        let mut dial = self.dial.by(context, way)?;
        dial.telling(vec![("Require".to_owned(), b"replaces".to_vec())], |_| true);
        let mut leg = self.leg_like(context, Side::Caller, dial.srtp, dial.destination)?;
        let body = leg.offer(context.rng, self.agent.codec(), Direction::SendRecv);
        leg.dialog = Some(dial.call(context, body, Some(replaces))?);
        leg.peer = dial.destination;
        self.caller_named = named;
        let (side, until, dial) = (Side::Caller, context.now + RING, Some(dial));
        // Nothing of the agent's own INVITE names the caller's call, and the caller has sent none.
        let hook = Some(Terms::default());
        Ok(Handover { side, leg, dial, asker: None, until, again: None, borrowed: None, hook })
    }

    /// Whether this caller may come to the agent who waits: one at a time, and no agent who plays the caller.
    fn may_come(&self, context: &mut Context<'_>, named: &Named) -> Result<(), u16> {
        if !self.consults() || self.handover.is_some() {
            return Err(491);
        }
        let trunk = context.config.trunk_of_agent(&self.extension).ok_or(403_u16)?;
        if [&named.shown, &named.asserted].iter().any(|number| context.config.is_internal(trunk, number)) {
            let why = TransferRefusal::InternalCaller;
            self.audit(context, Origin::System, AuditAction::TransferRefused { why });
            return Err(403);
        }
        Ok(())
    }

    /// A caller is on the way to the agent who waits, who may have put the phone down by now: they are called back.
    pub(super) fn is_consulted(&self) -> bool {
        self.consults() && self.handover.as_ref().is_some_and(|handover| handover.side == Side::Caller)
    }

    /// The caller has come: from here on they are the one who pays.
    pub(super) fn caller_came_over(&mut self, context: &mut Context<'_>) {
        self.calling = Side::Caller;
        self.caller_shown.clone_from(&self.caller_named.shown);
        self.caller_is_here(context);
        if self.agent.dialog.is_some() {
            return self.agent_is_back(context);
        }
        if !self.recall(context) {
            self.end(context, Origin::System, wire::CallEnd::NotAnswered);
        }
    }
}
