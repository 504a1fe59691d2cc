//! What an agent keys on their own phone: a code and a PIN on a call that passes through us, or a PIN alone on a call to the
//! number for that. Keys of the caller are none of this.

use super::{Arrival, Call, Context, Phase, origin_of};
use crate::transfers::whos_of;
use card::Key;
use media::{AgentKey, CodeWatch, Side};
use rand_core::Rng;
use std::time::{Duration, Instant};
use wire::{AuditAction, AuditEvent, CallEnd, CallId, Event, Extension, LineState, Origin, TransferRefusal, WayIn};

/// How long an agent may take to key a PIN.
const KEYING_MAX: Duration = Duration::from_secs(30);
/// The longest PIN, and a little more, so that a longer one is wrong and not cut.
const DIGITS_MAX: usize = 16;

/// The keys of the agent's.
#[derive(Default)]
pub(crate) struct Keyed {
    /// Behind a code; none while none was pressed.
    digits: Option<Vec<Key>>,
    /// Follows those that come by SIP INFO, which the media session does not see.
    infos: Option<Box<CodeWatch>>,
    /// The agent is here to key a PIN, until then.
    until: Option<Instant>,
    /// It is all that this call is for.
    is_all: bool,
}

impl Keyed {
    pub(super) fn is_all(&self) -> bool {
        self.is_all
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.until, self.infos.as_ref().and_then(|infos| infos.poll_timeout())].into_iter().flatten().min()
    }
}

impl Call {
    /// A call of an agent who is to key their PIN, or the status to refuse it with.
    pub(crate) fn keying(
        context: &mut Context<'_>,
        arrival: &Arrival<'_>,
        trunk: usize,
        extension: Extension,
    ) -> Result<Self, u16> {
        let mut way = context.config.way_back(trunk, extension.clone()).ok_or(404_u16)?;
        way.outbound = true;
        let mut call = Self::on(context, arrival, way, String::new())?;
        call.way = WayIn::Pin;
        call.extension = extension;
        call.keyed.is_all = true;
        Ok(call)
    }

    /// The ports are bound: the agent is answered and listened to.
    pub(super) fn take_agent(&mut self, context: &mut Context<'_>) {
        if let Err(status) = self.answer_first(context) {
            return self.fail_setup(context, status);
        }
        self.phase = Phase::Keying;
        self.keyed.digits = Some(Vec::new());
        self.keyed.until = Some(context.now + KEYING_MAX);
        self.listen(context, Some(&[]));
    }

    /// The agent is here: where they have a PIN, they may secure the line by it.
    pub(super) fn hear_agent(&mut self, context: &mut Context<'_>) {
        let code = self.feature_code.clone().filter(|_| context.pins.has(&self.extension));
        if code.is_some() || self.keyed.infos.is_some() {
            self.listen(context, code.as_deref());
        }
    }

    fn listen(&mut self, context: &mut Context<'_>, code: Option<&[u8]>) {
        self.keyed.infos = code.map(|code| Box::new(CodeWatch::new(code)));
        self.media(context, media::Command::HearAgentKeys { code: code.map(Into::into) });
    }

    /// A key of the agent's by SIP INFO. True if it is not the caller's to have.
    pub(super) fn agent_info(&mut self, context: &mut Context<'_>, key: u8) -> bool {
        let (Some(infos), Some(key)) = (&mut self.keyed.infos, Key::from_char(key)) else { return false };
        match infos.press(context.now, key) {
            AgentKey::Other => return false,
            AgentKey::Withheld => {}
            AgentKey::Code => self.agent_code(),
            AgentKey::Digit(key) => self.agent_digit(key),
            AgentKey::End => self.agent_digits_end(context),
        }
        true
    }

    pub(super) fn agent_code(&mut self) {
        self.keyed.digits = Some(Vec::new());
    }

    pub(super) fn agent_digit(&mut self, key: Key) {
        if let Some(digits) = self.keyed.digits.as_mut().filter(|digits| digits.len() < DIGITS_MAX) {
            digits.push(key);
        }
    }

    /// Nothing more comes. A code that no digit follows is nothing at all.
    pub(super) fn agent_digits_end(&mut self, context: &mut Context<'_>) {
        let Some(digits) = self.keyed.digits.take().filter(|digits| !digits.is_empty()) else {
            return if matches!(self.phase, Phase::Keying) {
                self.hang_up_agent(context)
            };
        };
        let proved = self.prove_agent(context, &digits);
        match self.phase {
            Phase::Keying => {
                if proved {
                    self.arm(context);
                }
                self.hang_up_agent(context);
            }
            Phase::Talking if proved && self.line.state() == LineState::Open => {
                self.secure_unasked(context, &origin_of(Side::Agent));
            }
            _ => {}
        }
    }

    /// Is it the PIN of the agent whose phone this is? On a lock none is looked at.
    fn prove_agent(&self, context: &mut Context<'_>, digits: &[Key]) -> bool {
        let whos = whos_of(&self.extension, self.agent.peer);
        let locks = &mut context.transfers.locks;
        let is_locked = whos.iter().any(|who| locks.is_locked(context.now, who));
        let proved = !is_locked && context.pins.proves(&self.extension, digits);
        let action = match (is_locked, proved) {
            (true, _) => AuditAction::TransferRefused { why: TransferRefusal::Locked },
            (false, true) => {
                whos.iter().for_each(|who| locks.succeeded(who));
                AuditAction::PinAccepted
            }
            (false, false) => {
                whos.into_iter().for_each(|who| locks.failed(context.now, who));
                AuditAction::TransferRefused { why: TransferRefusal::WrongPin }
            }
        };
        self.audit(context, Origin::AgentPhone, action);
        proved
    }

    /// The next caller who comes to the number is this agent's.
    fn arm(&self, context: &mut Context<'_>) {
        let Some(trunk) = context.config.trunk_of_agent(&self.extension) else { return };
        let call = CallId::from_random(u128::from(context.rng.next_u64()) << 64 | u128::from(context.rng.next_u64()));
        let (before, is_armed) = context.transfers.arm(context.now, context.wall, call, (trunk, &self.extension));
        before.into_iter().for_each(|before| context.not_transferred(before.call, &before.extension));
        if is_armed {
            context.tell_awaited(call, &self.extension, Origin::AgentPhone);
        }
    }

    fn hang_up_agent(&mut self, context: &mut Context<'_>) {
        self.end(context, Origin::System, CallEnd::Failed);
    }

    pub(super) fn keyed_timeout(&mut self, context: &mut Context<'_>) {
        if self.keyed.infos.as_mut().is_some_and(|infos| infos.handle_timeout(context.now)) {
            self.agent_digits_end(context);
        }
        let is_late = self.keyed.until.is_some_and(|until| until <= context.now);
        match self.phase {
            Phase::Keying if is_late => self.hang_up_agent(context),
            Phase::Consulting if is_late => self.end(context, Origin::System, CallEnd::NotTransferred),
            _ => {}
        }
    }

    /// The agent waits here for their caller, until then.
    pub(super) fn wait_until(&mut self, until: Option<Instant>) {
        self.keyed.until = until;
    }
}

impl Context<'_> {
    /// A transfer is awaited: the desk shows it from now on.
    pub(crate) fn tell_awaited(&mut self, call: CallId, extension: &Extension, origin: Origin) {
        self.note(call, extension, origin, AuditAction::TransferAwaited);
        let snapshot = self.transfers.snapshot(self.config, call);
        self.outputs.extend(snapshot.map(|call| crate::Output::Wire(Event::Call { call })));
    }

    /// One that was awaited is not any more, and nobody has come.
    pub(crate) fn not_transferred(&mut self, call: CallId, extension: &Extension) {
        self.note(call, extension, Origin::System, AuditAction::TransferExpired);
        self.outputs.push_back(crate::Output::Wire(Event::CallEnded { call, end: CallEnd::NotTransferred }));
    }

    fn note(&mut self, call: CallId, extension: &Extension, origin: Origin, action: AuditAction) {
        let event = AuditEvent { origin, call, extension: extension.clone(), action };
        self.outputs.push_back(crate::Output::Audit(event));
    }
}
