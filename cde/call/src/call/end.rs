//! The one way in which a call ends: the capture is wiped first, then media, then the record.

use super::{Call, Context, Handover, Phase};
use crate::switchboard::{MediaOrder, Output};
use wire::{AuditAction, CallEnd, Event, Origin, WayIn};

impl Call {
    pub(super) fn end(&mut self, context: &mut Context<'_>, origin: Origin, end: CallEnd) {
        if self.is_over() {
            return;
        }
        self.hang_up_payment(context);
        self.end_bounce(context);
        self.hang_up_line(context);
        context.outputs.push_back(Output::Media { call: self.id, order: MediaOrder::Close });
        self.end_recording(context);
        let new_leg = self.handover.take().and_then(Handover::own_dialog);
        let lent = self.lent.take();
        let legs = [self.caller.dialog.take(), self.agent.dialog.take(), new_leg];
        for dialog in legs.into_iter().flatten().filter(|dialog| lent != Some(*dialog)) {
            context.endpoint.bye(context.now, dialog);
        }
        // One that was awaited is shown from before it is there.
        let was_awaited =
            matches!(self.way, WayIn::Code | WayIn::Pin | WayIn::Conference) && !matches!(self.phase, Phase::Keying);
        let shown = self.snapshot().is_some() || was_awaited;
        self.phase = Phase::Over;
        self.tell_witnessed(context);
        self.audit(context, origin, AuditAction::CallEnded { end });
        if shown {
            context.outputs.push_back(Output::Wire(Event::CallEnded { call: self.id, end }));
        }
    }

    pub(crate) fn end_for_shutdown(&mut self, context: &mut Context<'_>) {
        self.end(context, Origin::System, CallEnd::Failed);
    }
}
