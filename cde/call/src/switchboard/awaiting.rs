//! Transfers to us: codes on command, callers who come to one, codes that nobody has used.

use super::{Call, Output, Switchboard};
use crate::transfers::{Asked, Awaited, Claim};
use sip::{DialogId, IncomingInvite, Peer};
use std::time::Instant;
use wire::{
    AuditAction, AuditEvent, CallEnd, CallId, Command, CommandResult, Event, Extension, Origin, PaymentOrder, Refusal,
    TransferCode, TransferRefusal,
};

impl Switchboard {
    pub(super) fn await_transfer(
        &mut self,
        now: Instant,
        command: &Command,
        extension: &Extension,
        order: Option<&PaymentOrder>,
    ) {
        let (call, origin) = (command.call, &command.origin);
        let result = match self.code_for(now, &Asked { call, extension, origin, order }) {
            Ok((code, until_unix_ms)) => {
                self.audit(call, extension, origin.clone(), AuditAction::TransferAwaited);
                CommandResult::Awaiting { code, until_unix_ms }
            }
            Err(reason) => {
                self.audit(call, extension, origin.clone(), AuditAction::Refused { reason });
                CommandResult::Refused { reason }
            }
        };
        let event = self.commands.conclude(command.id, result);
        self.outputs.extend(event.map(Output::Wire));
    }

    fn code_for(&mut self, now: Instant, asked: &Asked<'_>) -> Result<(TransferCode, i64), Refusal> {
        if self.calls.contains_key(&asked.call) {
            return Err(Refusal::WrongState);
        }
        if let Some(order) = asked.order {
            self.look_at(now, order)?;
        }
        let (config, rng) = (&self.config, &mut self.rng);
        let (code, until_unix_ms, before) = self.transfers.await_one(now, self.wall, config, rng, asked)?;
        before.into_iter().for_each(|before| self.not_transferred(&before));
        let snapshot = self.transfers.snapshot(&self.config, asked.call);
        self.outputs.extend(snapshot.map(|call| Output::Wire(Event::Call { call })));
        Ok((code, until_unix_ms))
    }

    /// Whether this could be paid on a call, as it is said now and not once the caller is there.
    fn look_at(&self, now: Instant, order: &PaymentOrder) -> Result<(), Refusal> {
        if !self.config.merchants.contains(&order.merchant) {
            return Err(Refusal::UnknownMerchant);
        }
        payment::Payment::new(now, order.clone(), self.config.rules, self.wall.month(now)).map(|_| ())
    }

    /// Who was awaited, if this is that caller; the status to refuse it with, if it is one who wants to be.
    pub(super) fn claim_transfer(
        &mut self,
        now: Instant,
        from: Peer,
        invite: &IncomingInvite,
    ) -> Result<Option<Box<Awaited>>, u16> {
        match self.transfers.claim(now, &self.config, from, invite) {
            Claim::None => Ok(None),
            Claim::Taken(awaited) => Ok(Some(awaited)),
            Claim::Refused(why) => {
                self.refuse_transfer(invite, why);
                Err(if why == TransferRefusal::WrongCode { 404 } else { 403 })
            }
        }
    }

    fn refuse_transfer(&mut self, invite: &IncomingInvite, why: TransferRefusal) {
        // Whose transfer it would have been nobody knows; who dials is an extension if it is anything.
        let asserted = invite.asserted();
        let Ok(extension) = asserted.user().unwrap_or("-").parse().or_else(|_| "-".parse()) else { return };
        let call = CallId::from_random(self.random());
        self.audit(call, &extension, Origin::System, AuditAction::TransferRefused { why });
    }

    pub(super) fn begin_transferred(
        &mut self,
        now: Instant,
        (dialog, from, invite): (DialogId, Peer, &IncomingInvite),
        awaited: Awaited,
    ) {
        let (call, extension) = (awaited.call, awaited.extension.clone());
        let arrival = (call, dialog, from, invite);
        let begun = self.begin_call(now, arrival, |context, arrival| Call::transferred(context, arrival, awaited));
        if !begun {
            self.tell_not_transferred(call, &extension);
        }
    }

    pub(super) fn expire_transfers(&mut self, now: Instant) {
        while let Some(expired) = self.transfers.expired(now) {
            self.not_transferred(&expired);
        }
    }

    fn not_transferred(&mut self, awaited: &Awaited) {
        self.tell_not_transferred(awaited.call, &awaited.extension);
    }

    fn tell_not_transferred(&mut self, call: CallId, extension: &Extension) {
        self.audit(call, extension, Origin::System, AuditAction::TransferExpired);
        self.outputs.push_back(Output::Wire(Event::CallEnded { call, end: CallEnd::NotTransferred }));
    }

    fn audit(&mut self, call: CallId, extension: &Extension, origin: Origin, action: AuditAction) {
        self.outputs.push_back(Output::Audit(AuditEvent { origin, call, extension: extension.clone(), action }));
    }
}
