//! The other end of a call of ours takes a side's place (an attended transfer). It stands already, and is only told where its sound comes
//! from now; until it agrees it is that other call's.

use crate::call::{Call, Context, Phase, other};
use sip::offer_answer::{Direction, Srtp};
use sip::{DialogId, Peer, Refer, RequestId};
use std::time::Duration;
use wire::{CallEnd, Origin};

/// How often a leg of another call is asked to come over, should it be busy with an offer of its own.
const ASKED_MAX: u8 = 4;
/// Before a leg is asked again that could not be asked at all (RFC 3261 §14.1 has as much for glare).
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// A leg that another call takes over: its dialog, how its sound is protected, and whose it is.
pub(crate) type Across = (DialogId, Srtp, Peer);

impl Call {
    /// Asks the leg to take the place of the side that wants that. False if it could not be asked.
    pub(crate) fn join(
        &mut self,
        context: &mut Context<'_>,
        asker: DialogId,
        request: RequestId,
        refer: Refer,
        (joining, srtp, peer): Across,
    ) -> bool {
        let Some(side) = self.side_of(asker) else { return false };
        let joined = self.may_hand_over(side).and_then(|()| {
            let mut leg = self.leg_like(context, side, srtp, peer)?;
            let body = leg.offer(context.rng, self.side(other(side)).codec(), Direction::SendRecv);
            context.endpoint.reinvite(context.now, joining, Some(body)).map_err(|_| 491_u16)?;
            leg.dialog = Some(joining);
            Ok(leg)
        });
        match joined {
            Ok(leg) => {
                self.begin_handover(context, side, leg, None, request, refer);
                self.handover.iter_mut().for_each(|handover| handover.borrowed = Some(ASKED_MAX - 1));
                true
            }
            Err(status) => {
                context.endpoint.respond(context.now, request, status);
                false
            }
        }
    }

    /// The dialog of the side across and how its sound is protected, for a call that takes it over; none while it is not
    /// free to go.
    pub(crate) fn leg_across(&self, dialog: DialogId) -> Option<Across> {
        let side = self.side_of(dialog)?;
        let is_free = matches!(self.phase, Phase::Talking)
            && self.relay.is_none()
            && self.handover.is_none()
            && self.lent.is_none()
            && !self.is_capturing();
        let leg = self.side(other(side));
        leg.dialog.filter(|_| is_free).map(|dialog| (dialog, leg.srtp(), leg.peer))
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

    /// That came to nothing. Where its sound comes from it may have been told already, so it is told again.
    pub(crate) fn take_back(&mut self, context: &mut Context<'_>, leg: DialogId) {
        self.lent = None;
        if let Some(side) = self.side_of(leg) {
            self.bring_back(context, side);
        }
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
