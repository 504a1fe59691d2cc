//! Transfers to us: codes on command, callers who come to one, codes that nobody has used.

use super::{Arrival, Call, Context, Output, Switchboard};
use crate::transfers::{Asked, Awaited, Claim};
use sip::{DialogId, IncomingInvite, Peer};
use std::time::Instant;
use wire::{
    AuditAction, AuditEvent, CallId, Command, CommandResult, Extension, Origin, PaymentOrder, Refusal, TransferCode,
    TransferRefusal,
};

impl Switchboard {
    pub(super) fn await_transfer(
        &mut self,
        now: Instant,
        command: &Command,
        extension: &Extension,
        (order, is_conference): (Option<&PaymentOrder>, bool),
    ) {
        let (call, origin) = (command.call, &command.origin);
        let result = match self.code_for(now, &Asked { call, extension, origin, order, is_conference }) {
            Ok((code, until_unix_ms)) => CommandResult::Awaiting { code, until_unix_ms },
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
        let (mut context, _) = self.context(now);
        before.into_iter().for_each(|before| context.not_transferred(before.call, &before.extension));
        context.tell_awaited(asked.call, asked.extension, asked.origin.clone());
        Ok((code, until_unix_ms))
    }

    /// Whether this could be paid on a call, as it is said now and not once the caller is there.
    fn look_at(&self, now: Instant, order: &PaymentOrder) -> Result<(), Refusal> {
        if !self.config.merchants.contains(&order.merchant) {
            return Err(Refusal::UnknownMerchant);
        }
        payment::Payment::new(now, order.clone(), self.config.rules, self.wall.month(now)).map(|_| ())
    }

    /// What an INVITE is to the transfers, or the status to refuse it with, if it would be something and is not.
    pub(super) fn claim_transfer(&mut self, now: Instant, from: Peer, invite: &IncomingInvite) -> Result<Claim, u16> {
        let claim = self.transfers.claim(now, &self.config, from, invite);
        match claim {
            Claim::Agent { ref extension, .. } if !self.pins.has(extension) => {
                self.refuse_transfer(invite, TransferRefusal::WrongPin);
                Err(403)
            }
            Claim::Refused(why) => {
                self.refuse_transfer(invite, why);
                Err(if why == TransferRefusal::WrongCode { 404 } else { 403 })
            }
            claim => Ok(claim),
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
        self.begin_awaited(now, (dialog, from, invite), awaited, Call::transferred);
    }

    /// The agent has come to the code before their caller.
    pub(super) fn begin_consulting(
        &mut self,
        now: Instant,
        (dialog, from, invite): (DialogId, Peer, &IncomingInvite),
        awaited: Awaited,
    ) {
        self.begin_awaited(now, (dialog, from, invite), awaited, Call::consulting);
    }

    /// An agent has added us to a conference.
    pub(super) fn begin_conference(
        &mut self,
        now: Instant,
        (dialog, from, invite): (DialogId, Peer, &IncomingInvite),
        awaited: Awaited,
    ) {
        self.begin_awaited(now, (dialog, from, invite), awaited, Call::conferring);
    }

    fn begin_awaited(
        &mut self,
        now: Instant,
        (dialog, from, invite): (DialogId, Peer, &IncomingInvite),
        awaited: Awaited,
        make: impl FnOnce(&mut Context<'_>, &Arrival<'_>, Awaited) -> Result<Call, u16>,
    ) {
        let (call, extension) = (awaited.call, awaited.extension.clone());
        let arrival = (call, dialog, from, invite);
        let begun = self.begin_call(now, arrival, |context, arrival| make(context, arrival, awaited));
        if !begun {
            self.context(now).0.not_transferred(call, &extension);
        }
    }

    pub(super) fn expire_transfers(&mut self, now: Instant) {
        while let Some(expired) = self.transfers.expired(now) {
            self.context(now).0.not_transferred(expired.call, &expired.extension);
        }
    }

    fn audit(&mut self, call: CallId, extension: &Extension, origin: Origin, action: AuditAction) {
        self.outputs.push_back(Output::Audit(AuditEvent { origin, call, extension: extension.clone(), action }));
    }
}
