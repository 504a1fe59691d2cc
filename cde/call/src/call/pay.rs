//! The payment on a call: commands and keys go in, progress comes out (on the payment's own grid).

use super::{Call, Context, Phase};
use crate::switchboard::{Charge, Output};
use card::Key;
use payment::Payment;
use std::time::{Duration, Instant};
use wire::{
    AttemptId, AuditAction, Command, CommandId, Field, Keeping, LineState, Origin, Outcome, PaymentId, PaymentOrder,
    PaymentState, Progress, Refusal, Store,
};

/// What the call knows of money.
#[derive(Default)]
pub(crate) struct Till {
    payment: Option<Payment>,
    /// What the office was last shown.
    shown: Option<Progress>,
    /// The authorization that waits for the journal.
    journaling: Option<Journaling>,
    /// Who asked for the cancellation that is about to show; a cancellation that nobody asked for is the system's.
    cancels: Option<Origin>,
}

struct Journaling {
    attempt: AttemptId,
    /// None where nobody has asked for it.
    command: Option<CommandId>,
    origin: Origin,
}

impl Till {
    pub(super) fn shown(&self) -> Option<&Progress> {
        self.shown.as_ref()
    }

    /// Is there something that is still to be paid?
    pub(super) fn is_open(&self) -> bool {
        self.payment.as_ref().is_some_and(|payment| !payment.state().finished())
    }

    /// The field that is being keyed right now.
    pub(super) fn live_field(&self) -> Option<Field> {
        self.payment.as_ref().and_then(Payment::live_field)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.payment.as_ref().and_then(Payment::poll_timeout)
    }
}

impl Call {
    pub(super) fn start_payment(
        &mut self,
        context: &mut Context<'_>,
        origin: &Origin,
        order: &PaymentOrder,
    ) -> Result<(), Refusal> {
        if !matches!(self.phase, Phase::Talking) {
            return Err(Refusal::WrongState);
        }
        if let Some(before) = self.till.payment.as_ref() {
            if before.id() == order.payment {
                return Ok(());
            }
            if !before.state().finished() {
                return Err(Refusal::PaymentInProgress);
            }
        }
        if !context.config.merchants.contains(&order.merchant) {
            return Err(Refusal::UnknownMerchant);
        }
        let today = context.wall.month(context.now);
        let mut order = order.clone();
        if order.store == Store::Only && !context.config.code_to_keep.contains(&order.merchant) {
            // Nobody would compare it, and nobody may keep it.
            order.fields.retain(|field| *field != Field::Cvv);
        }
        self.fit_conference(&mut order);
        let started = AuditAction::PaymentStarted { payment: order.payment, amount: order.amount };
        let mut payment = Payment::new(context.now, order.clone(), context.config.rules, today)?;
        if self.line.state().takes_keys() && !self.hook_holds() {
            payment.handle_secured(context.now);
        }
        self.till.payment = Some(payment);
        self.audit(context, origin.clone(), started);
        self.tell_heard(context, &order);
        if self.line.state() != LineState::Open {
            // What became of the recorders before stands with the payment too.
            self.audit_hook(context);
        }
        Ok(())
    }

    pub(super) fn request_field(
        &mut self,
        context: &mut Context<'_>,
        payment: PaymentId,
        field: Field,
    ) -> Result<(), Refusal> {
        self.payment(payment)?.request_field(context.now, field)?;
        Ok(())
    }

    pub(super) fn reset_field(
        &mut self,
        context: &mut Context<'_>,
        payment: PaymentId,
        field: Field,
    ) -> Result<(), Refusal> {
        self.payment(payment)?.reset_field(context.now, field)?;
        Ok(())
    }

    pub(super) fn cancel_payment(
        &mut self,
        context: &mut Context<'_>,
        command: &Command,
        id: PaymentId,
    ) -> Result<(), Refusal> {
        self.payment(id)?.cancel(context.now)?;
        self.till.cancels = Some(command.origin.clone());
        self.drain_payment(context);
        self.till.cancels = None;
        Ok(())
    }

    /// Nobody has asked for it. False if money may be moving, or has moved.
    pub(super) fn cancel_by_itself(&mut self, context: &mut Context<'_>, id: PaymentId) -> bool {
        let is_canceled = self.payment(id).and_then(|payment| payment.cancel(context.now)).is_ok();
        self.drain_payment(context);
        is_canceled
    }

    /// Answered when the attempt is in the journal.
    pub(super) fn command_authorize(&mut self, context: &mut Context<'_>, command: &Command, id: PaymentId) {
        if let Err(reason) = self.authorize(context, id, Some(command.id), command.origin.clone()) {
            self.finish(context, command, Err(reason));
        }
    }

    /// Has the card sent, for a command or without one.
    pub(super) fn authorize(
        &mut self,
        context: &mut Context<'_>,
        id: PaymentId,
        command: Option<CommandId>,
        origin: Origin,
    ) -> Result<(), Refusal> {
        let attempt = AttemptId::from_random(context.random());
        self.payment(id)?.authorize(context.now, attempt)?;
        self.till.journaling = Some(Journaling { attempt, command, origin });
        Ok(())
    }

    /// The payment as it is, not as it is shown.
    pub(super) fn paid(&self) -> Option<&Payment> {
        self.till.payment.as_ref()
    }

    pub(crate) fn charge(&self, attempt: AttemptId) -> Option<Charge<'_>> {
        let payment = self.till.payment.as_ref()?;
        let asked = self.till.journaling.as_ref().filter(|journaling| journaling.attempt == attempt)?;
        let (extension, origin) = (&self.extension, &asked.origin);
        let reference = self.bounced_reference();
        Some(Charge { payment: payment.id(), extension, origin, reference, sending: payment.sending(attempt)? })
    }

    pub(crate) fn handle_journaled(
        &mut self,
        context: &mut Context<'_>,
        attempt: AttemptId,
        result: Result<(), Refusal>,
    ) {
        if let Some(waiting) = self.till.journaling.take_if(|waiting| waiting.attempt == attempt) {
            waiting.command.into_iter().for_each(|command| context.answer(command, result));
        }
        if let Err(reason) = result {
            self.audit(context, Origin::System, AuditAction::Refused { reason });
            self.bounce_refused(reason);
            // Nothing was sent, and that is proved: the attempt is not even on disk.
            self.handle_outcome(context, attempt, Outcome::Rejected);
        }
    }

    pub(crate) fn handle_outcome(&mut self, context: &mut Context<'_>, attempt: AttemptId, outcome: Outcome) {
        let Some(payment) = self.till.payment.as_mut() else { return };
        payment.handle_outcome(context.now, attempt, outcome);
        let approved = payment.state() == PaymentState::Approved;
        if approved && self.line.state() == LineState::Secured {
            self.release(context);
        }
    }

    pub(crate) fn handle_kept(&mut self, context: &mut Context<'_>, attempt: AttemptId, kept: Keeping) {
        if let Some(payment) = self.till.payment.as_mut() {
            payment.handle_kept(context.now, attempt, kept);
        }
    }

    pub(super) fn key(&mut self, context: &mut Context<'_>, key: Key) {
        self.bounce_key(context);
        if self.hook_holds() {
            // It is keyed again when they have paused: a number with a hole in it would be another.
            return self.key_lost(context);
        }
        if let Some(payment) = self.till.payment.as_mut().filter(|_| self.line.state().takes_keys()) {
            payment.handle_key(context.now, key);
        }
    }

    pub(super) fn key_lost(&mut self, context: &mut Context<'_>) {
        if let Some(payment) = self.till.payment.as_mut().filter(|_| self.line.state().takes_keys()) {
            payment.handle_key_lost(context.now);
        }
    }

    /// Keys may come, unless a recorder elsewhere would have them.
    pub(super) fn line_secured(&mut self, context: &mut Context<'_>) {
        let holds = self.hook_holds();
        if let Some(payment) = self.till.payment.as_mut().filter(|_| !holds) {
            payment.handle_secured(context.now);
        }
    }

    pub(super) fn line_unsecured(&mut self, context: &mut Context<'_>) {
        if let Some(payment) = self.till.payment.as_mut() {
            payment.handle_unsecured(context.now);
        }
    }

    pub(super) fn till_timeout(&mut self, context: &mut Context<'_>) {
        if let Some(payment) = self.till.payment.as_mut() {
            payment.handle_timeout(context.now);
        }
    }

    /// Wipes the card; the outcome of an attempt in flight is still followed by the journal.
    pub(super) fn hang_up_payment(&mut self, context: &mut Context<'_>) {
        if let Some(payment) = self.till.payment.as_mut() {
            payment.handle_hang_up(context.now);
        }
        self.drain_payment(context);
        if let Some(waiting) = self.till.journaling.take() {
            // The attempt goes its way; only this call is no longer there to hear of it.
            waiting.command.into_iter().for_each(|command| context.answer(command, Ok(())));
        }
    }

    pub(super) fn drain_payment(&mut self, context: &mut Context<'_>) {
        while let Some(output) = self.till.payment.as_mut().and_then(Payment::poll_output) {
            match output {
                payment::Output::Send { attempt } => {
                    context.outputs.push_back(Output::Send { call: self.id, attempt });
                }
                payment::Output::CodeWiped { lived } => self.code_wiped(context, lived),
                payment::Output::Changed => self.payment_changed(context),
            }
        }
    }

    fn code_wiped(&self, context: &mut Context<'_>, lived: Duration) {
        if let Some(payment) = self.till.payment.as_ref().map(Payment::id) {
            let lived_us = u64::try_from(lived.as_micros()).unwrap_or(u64::MAX);
            self.audit(context, Origin::System, AuditAction::CodeWiped { payment, lived_us });
        }
    }

    fn payment_changed(&mut self, context: &mut Context<'_>) {
        let progress = self.till.payment.as_ref().map(Payment::progress);
        let cancelled = |shown: &Option<Progress>| {
            shown.as_ref().filter(|shown| shown.state == PaymentState::Cancelled).map(|shown| shown.payment)
        };
        let (before, after) = (cancelled(&self.till.shown), cancelled(&progress));
        self.till.shown = progress;
        self.changed = true;
        if let Some(payment) = after.filter(|_| before != after) {
            let origin = self.till.cancels.take().unwrap_or(Origin::System);
            self.audit(context, origin, AuditAction::PaymentCancelled { payment });
        }
    }

    fn payment(&mut self, id: PaymentId) -> Result<&mut Payment, Refusal> {
        let found = self.till.payment.as_mut().filter(|payment| payment.id() == id);
        found.ok_or(Refusal::UnknownPayment)
    }
}
