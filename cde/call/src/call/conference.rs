//! We are a member of a conference that an agent has added us to. Its PBX mixes what all of them say and key, and sends the mix to
//! everybody: nothing of it is ours to mask.
//!
//! So the line is never secured here. Keys are taken from what the conference sends us, and everybody who asks is told that the
//! agent, and whoever records the conference, can hear them (docs/decisions/0019).

use super::{Arrival, Call, Context, Phase};
use crate::transfers::Awaited;
use media::Side;
use wire::{
    AuditAction, Field, FieldStatus, LineState, Origin, PaymentOrder, PaymentState, Refusal, RejectReason, WayIn,
};

/// What the desk shows as the number that was called.
const CALLED: &str = "conference";

pub(crate) struct Conference {
    /// Who asked for the code.
    origin: Origin,
    /// What is to be paid, once we are in it.
    order: Option<PaymentOrder>,
    /// A security code may be keyed.
    code: bool,
    /// Who called us for it is the agent: signaled keys are of their own phone.
    is_of_agent: bool,
    /// What was asked for last by beeps, and whether it was refused.
    asked: Option<(usize, bool)>,
}

impl Call {
    /// A call of a conference, or the status to refuse it with.
    pub(crate) fn conferring(context: &mut Context<'_>, arrival: &Arrival<'_>, awaited: Awaited) -> Result<Self, u16> {
        // The file may have been changed since the code was made.
        let terms = context.config.conferences_of(awaited.trunk).ok_or(403_u16)?;
        let asserted = arrival.invite.asserted();
        let is_of_agent = context.config.is_agent(awaited.trunk, asserted.user().unwrap_or_default());
        let way = context.config.way_back(awaited.trunk, awaited.extension).ok_or(404_u16)?;
        let mut call = Self::on(context, arrival, way, CALLED.to_owned())?;
        // Its PBX mixes the keys, whatever is said of those of callers who are transferred.
        (call.way, call.keys_cross_pbx) = (WayIn::Conference, true);
        call.line.is_of_conference();
        let Awaited { origin, order, .. } = awaited;
        let conference = Conference { origin, order, code: terms.code, is_of_agent, asked: None };
        call.conference = Some(Box::new(conference));
        Ok(call)
    }

    pub(super) fn is_conference(&self) -> bool {
        self.conference.is_some()
    }

    /// The ports are bound: we answer, and listen to all that is said.
    pub(super) fn take_conference(&mut self, context: &mut Context<'_>) {
        let Some(conference) = &mut self.conference else { return };
        let (origin, order, is_of_agent) = (conference.origin.clone(), conference.order.take(), conference.is_of_agent);
        self.audit(context, origin.clone(), AuditAction::ConferenceJoined);
        if is_of_agent {
            self.media(context, media::Command::TonesAlone);
        }
        self.secure_unasked(context, &origin);
        if let Err(status) = self.answer_first(context) {
            return self.fail_setup(context, status);
        }
        self.phase = Phase::Talking;
        self.changed = true;
        self.media(context, media::Command::Cue { long: false, short: 0 });
        let Some(order) = order else { return };
        if let Err(reason) = self.start_payment(context, &origin, &order) {
            self.audit(context, origin, AuditAction::Refused { reason });
        }
    }

    /// What may not be heard by who is in a conference, or kept by who records it, is not asked for in one.
    pub(super) fn fit_conference(&self, order: &mut PaymentOrder) {
        if self.conference.as_ref().is_some_and(|conference| !conference.code) {
            order.fields.retain(|field| *field != Field::Cvv);
        }
    }

    /// A payment is begun whose keys the agent can hear.
    pub(super) fn tell_heard(&self, context: &mut Context<'_>, order: &PaymentOrder) {
        if self.is_conference() {
            let action = AuditAction::HeardByAgent { payment: order.payment };
            self.audit(context, Origin::System, action);
        }
    }

    /// Why the line of this call is neither masked nor opened on command.
    pub(super) fn refuses_line(&self) -> Result<(), Refusal> {
        if self.is_conference() { Err(Refusal::InConference) } else { Ok(()) }
    }

    /// After every input: what is to be keyed now is asked for by beeps, which the whole conference hears.
    pub(super) fn keep_conference(&mut self, context: &mut Context<'_>) {
        if !self.is_conference() || self.line.state() != LineState::Conference {
            return;
        }
        let Some(paid) = self.paid().filter(|paid| paid.state() == PaymentState::Capturing) else { return };
        let fields = paid.progress().fields;
        let live = fields.iter().position(|field| field.status == FieldStatus::Live);
        let Some((at, field)) = live.and_then(|at| Some((at, fields.get(at)?))) else { return };
        let asks = (at, field.reason.is_some_and(|reason| reason != RejectReason::TooSlow));
        let Some(conference) = &mut self.conference else { return };
        let before = conference.asked.replace(asks);
        if before.is_none_or(|(before, was_refused)| before != at || asks.1 && !was_refused) {
            let short = u8::try_from(at).unwrap_or(u8::MAX).saturating_add(1);
            self.media(context, media::Command::Cue { long: asks.1, short });
        }
    }

    /// Who asks to move our leg of a conference would move who keys in it, and nobody can say who that is.
    pub(super) fn may_be_moved(&self, side: Side) -> Result<(), u16> {
        if side == Side::Caller && self.is_conference() { Err(603) } else { Ok(()) }
    }
}
