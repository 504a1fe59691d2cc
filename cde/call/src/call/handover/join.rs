//! The other end of a call of ours takes a side's place (an attended transfer). It stands already, and is only told where its sound comes
//! from now; until it agrees it is that other call's.

use super::consulted::Named;
use crate::call::dial::Dial;
use crate::call::hook::Terms;
use crate::call::{Call, Context, Phase, other};
use crate::leg::Leg;
use media::Side;
use sip::offer_answer::{Direction, Srtp};
use sip::{DialogId, Peer, Refer, RequestId};
use std::time::Duration;
use wire::{CallEnd, Origin};

/// How often a leg of another call is asked to come over, should it be busy with an offer of its own.
pub(super) const ASKED_MAX: u8 = 4;
/// Before a leg is asked again that could not be asked at all (RFC 3261 §14.1 has as much for glare).
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// A leg that another call takes over.
pub(crate) struct Across {
    pub(crate) dialog: DialogId,
    /// How its sound is protected.
    pub(super) srtp: Srtp,
    /// Whose it is.
    pub(super) peer: Peer,
    /// Who that is, if it is a caller's.
    pub(super) named: Named,
    /// What hangs on recorders of theirs.
    pub(super) hook: Terms,
    /// How that call has called it, if it is an agent's.
    agent: Option<Dial>,
}

impl Call {
    /// Asks the leg to take the place of the side that wants that. False if it could not be asked.
    pub(crate) fn join(
        &mut self,
        context: &mut Context<'_>,
        asker: DialogId,
        request: RequestId,
        refer: Refer,
        across: Across,
    ) -> bool {
        let Some(side) = self.side_of(asker) else { return false };
        match self.may_hand_over(side).and_then(|()| self.ask_over(context, side, &across)) {
            Ok(leg) => {
                let Across { agent, hook, .. } = across;
                let dial = agent.map(|agent| self.dial.toward(context, agent));
                self.begin_handover(context, side, leg, dial, request, refer);
                if let Some(handover) = &mut self.handover {
                    (handover.borrowed, handover.hook) = (Some(ASKED_MAX - 1), Some(hook));
                }
                true
            }
            Err(status) => {
                context.endpoint.respond(context.now, request, status);
                false
            }
        }
    }

    /// Offers the leg of another call the place of a side of this one. Returns what that side becomes if it agrees.
    pub(super) fn ask_over(&mut self, context: &mut Context<'_>, side: Side, across: &Across) -> Result<Leg, u16> {
        // Its browser has keys, with what was there before.
        let mut leg = self.leg_like(context, side, across.srtp.anew(), across.peer)?;
        let body = leg.offer(context.rng, self.side(other(side)).codec(), Direction::SendRecv);
        context.endpoint.reinvite(context.now, across.dialog, Some(body)).map_err(|_| 491_u16)?;
        leg.dialog = Some(across.dialog);
        Ok(leg)
    }

    /// The side across, for a call that takes it over; none while it is not free to go. Whoever calls is no agent of that call.
    pub(crate) fn leg_across(&self, dialog: DialogId) -> Option<Across> {
        let side = self.side_of(dialog)?;
        let is_free = matches!(self.phase, Phase::Talking)
            && self.relay.is_none()
            && self.handover.is_none()
            && self.lent.is_none()
            && !self.is_capturing();
        let leg = self.side(other(side));
        let agent = Some(&self.dial).filter(|_| side == Side::Caller && self.calling == Side::Caller);
        let dialog = leg.dialog.filter(|_| is_free)?;
        let (named, hook) = (self.caller_named.clone(), self.hook_terms(other(side)));
        Some(Across { dialog, srtp: leg.srtp(), peer: leg.peer, named, hook, agent: agent.cloned() })
    }

    /// The caller's leg, of the call whose agent has this one: what [`Call::leg_across`] says of it.
    pub(crate) fn caller_across(&self, dialog: DialogId) -> Option<Across> {
        self.leg_across(dialog).filter(|_| self.side_of(dialog) == Some(Side::Agent))
    }

    /// A leg of it is asked to join another call.
    pub(crate) fn lend(&mut self, leg: DialogId) {
        self.lent = Some(leg);
    }

    /// It was free when the leg was asked, and may have been secured since: what its caller keys is keyed here.
    pub(crate) fn needs_back(&self) -> bool {
        self.is_capturing()
    }

    /// The leg of another call does not come over.
    pub(crate) fn join_refused(&mut self, context: &mut Context<'_>) {
        self.handover_failed(context, 603);
    }

    /// That came to nothing. Where its sound comes from it may have been told already, so it is told again; if it has agreed to that,
    /// with keys that it has not had.
    pub(crate) fn take_back(&mut self, context: &mut Context<'_>, leg: DialogId, agreed: bool) {
        self.lent = None;
        let Some(side) = self.side_of(leg) else { return };
        if agreed {
            self.leg(side).comes_back(context.rng);
            self.again.starts_anew();
        }
        // Until it can be asked by us.
        self.leg(side).is_asked_elsewhere = true;
        self.bring_back(context, side);
    }

    /// It has answered what the other call had asked it, which waits for it no more.
    pub(in crate::call) fn answered_elsewhere(&mut self, context: &mut Context<'_>, side: Side) {
        self.leg(side).comes_back(context.rng);
        // While that was open we could ask in vain only.
        self.again.starts_anew();
        self.bring_back(context, side);
    }

    /// Is it waiting for this leg of another call?
    pub(crate) fn borrows(&self, leg: DialogId) -> bool {
        self.handover.as_ref().is_some_and(|handover| handover.borrowed.is_some() && handover.dialog() == Some(leg))
    }

    /// And is no offer to that leg under way?
    pub(crate) fn is_to_ask_again(&self) -> bool {
        self.handover.as_ref().is_some_and(|handover| handover.borrowed.is_some() && handover.again.is_some())
    }

    /// A leg across has gone to another call, and this one is over.
    pub(crate) fn give_up(&mut self, context: &mut Context<'_>, leg: DialogId) {
        self.lent = None;
        if let Some(side) = self.side_of(leg) {
            self.leg(side).dialog = None;
        }
        self.end(context, Origin::AgentPhone, CallEnd::AgentHungUp);
    }

    /// A leg of another call has an offer of its own under way: it is asked again after this time, and not for ever.
    pub(super) fn ask_later(&mut self, context: &Context<'_>, after: Duration) -> bool {
        let Some(handover) = &mut self.handover else { return false };
        let Some(left) = handover.borrowed.as_mut().filter(|left| **left > 0) else { return false };
        *left -= 1;
        handover.again = Some(context.now + after);
        true
    }

    pub(super) fn ask_again(&mut self, context: &mut Context<'_>) {
        let Some(side) = self.handover.as_ref().map(|handover| handover.side) else { return };
        let codec = self.side(other(side)).codec();
        let Some(handover) = &mut self.handover else { return };
        handover.again = None;
        let body = handover.leg.offer(context.rng, codec, Direction::SendRecv);
        let asked = handover.leg.dialog.map(|dialog| context.endpoint.reinvite(context.now, dialog, Some(body)));
        if !matches!(asked, Some(Ok(()))) && !self.ask_later(context, ASK_AGAIN) {
            self.handover_failed(context, 491);
        }
    }
}
