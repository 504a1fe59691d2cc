//! Recorders elsewhere that hear what is not masked: while the line is not open they are to pause. The office asks them; here it
//! is waited for its word, and keys are kept from a payment that must not be keyed without it.
//!
//! What is wanted of them is never an event that could be lost: it is part of what is shown of the call, with the number of the
//! time of asking. They may record again as soon as the line is open, or the call is over, and nothing else says so.

use super::{Call, Context, Phase};
use crate::config;
use crate::rewrite::{hex_decoded, holds_card};
use media::Side;
use sip::{DialogId, IncomingInvite};
use std::time::{Duration, Instant};
use wire::{
    AuditAction, CallName, CallNames, Extension, HookRule, HookSnapshot, HookState, HookTrouble, LineState, Origin,
    PaymentId, Refusal,
};

/// The office has so long to ask the recorders and to say what they have answered; longer than it waits for any of them.
const WORD: Duration = Duration::from_secs(10);

/// What is known of the recorders of a call that has some.
pub(crate) struct Hook {
    rule: HookRule,
    state: HookState,
    trouble: Option<HookTrouble>,
    round: u32,
    /// The office's word must be here by then.
    until: Option<Instant>,
    /// Of whom they were asked: others have other recorders.
    asked_of: Option<Parties>,
    /// A payment that goes on without them is not stopped by them any more while the line stays masked.
    goes_on: bool,
    names: CallNames,
}

/// Who speaks with whom, on which legs.
#[derive(Clone, PartialEq, Eq)]
struct Parties {
    extension: Extension,
    caller: Option<DialogId>,
    agent: Option<DialogId>,
}

impl Parties {
    /// Has somebody come since, or another in the place of one? Who is away has no recording. An agent who picks up begins one,
    /// which nobody has been asked to pause; a caller who pays alone goes back to nobody's.
    fn are_joined(&self, now: &Self, pays_alone: bool) -> bool {
        let is_another = |before: Option<DialogId>, now: Option<DialogId>| now.is_some() && before != now;
        self.extension != now.extension
            || is_another(self.caller, now.caller)
            || is_another(self.agent, now.agent) && !(pays_alone && self.agent.is_none())
    }
}

/// What a call that a leg comes from says of its recorders; nothing, where it knows of none.
#[derive(Clone, Default)]
pub(super) struct Terms {
    rule: Option<HookRule>,
    customer: Option<CallName>,
}

impl Hook {
    /// Of a call that came by this INVITE; none where nothing hangs on recorders.
    pub(super) fn of(configured: Option<&config::Hook>, invite: &IncomingInvite) -> Option<Box<Self>> {
        let configured = configured?;
        let customer = configured.call_id_header.as_deref().and_then(|header| name_in(invite, header));
        Some(Self::new(configured.rule, customer))
    }

    fn new(rule: HookRule, customer: Option<CallName>) -> Box<Self> {
        Box::new(Self {
            rule,
            state: HookState::NotAsked,
            trouble: None,
            round: 0,
            until: None,
            asked_of: None,
            goes_on: false,
            names: CallNames { customer, ..CallNames::default() },
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn snapshot(&self) -> HookSnapshot {
        HookSnapshot {
            rule: self.rule,
            round: self.round,
            state: self.state,
            holds_payment: self.state != HookState::NotAsked && self.holds(),
            trouble: self.trouble,
            names: self.names.clone(),
        }
    }

    /// Are keys kept from a payment, the line being masked?
    fn holds(&self) -> bool {
        match self.rule {
            HookRule::Required => self.state != HookState::Paused,
            HookRule::BestEffort => !self.goes_on,
        }
    }

    /// They are to pause, from now on.
    fn ask(&mut self, now: Instant, of: Parties) {
        // Nobody has waited yet for the recorders of others; to be asked once more is no reason to wait again.
        self.goes_on &= self.asked_of.as_ref() == Some(&of);
        self.state = HookState::Asked;
        self.trouble = None;
        self.round = self.round.saturating_add(1);
        self.until = Some(now + WORD);
        self.asked_of = Some(of);
    }

    fn open(&mut self) {
        (self.state, self.trouble, self.until, self.goes_on) = (HookState::NotAsked, None, None, false);
    }

    /// The word of this round, the first or a later one; false if it is no news.
    fn hear(&mut self, result: Result<(), HookTrouble>) -> bool {
        let (state, trouble) = match result {
            Ok(()) => (HookState::Paused, None),
            Err(why) => (HookState::NotPaused, Some(why)),
        };
        let is_news = (self.state, self.trouble) != (state, trouble);
        (self.state, self.trouble, self.until) = (state, trouble, None);
        self.goes_on = true;
        is_news
    }
}

/// What a header says that is there once; of User-to-User what its hexadecimal digits mean (RFC 7433 §4.1).
fn name_in(invite: &IncomingInvite, header: &str) -> Option<CallName> {
    let mut values = invite.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header));
    let (_, value) = values.next()?;
    let text = std::str::from_utf8(value).ok()?.trim();
    let (first, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_hex =
        header.eq_ignore_ascii_case("User-to-User") && parameters.to_ascii_lowercase().contains("encoding=hex");
    let name = if is_hex { hex_decoded(first.trim()) } else { text.to_owned() };
    CallName::try_from(name).ok().filter(|name| values.next().is_none() && !holds_card(name.as_str()))
}

impl Call {
    /// Are keys kept from the payment although the line is secured?
    pub(super) fn hook_holds(&self) -> bool {
        self.hook.as_ref().is_some_and(|hook| hook.holds())
    }

    /// What is to hang on recorders goes with the caller: another rule of the two is the stricter one. The name that the customer has
    /// for a caller's call is no name of another's.
    pub(super) fn hook_comes(&mut self, side: Side, terms: Terms) {
        let Terms { rule, customer } = terms;
        match (&mut self.hook, rule) {
            (Some(hook), rule) => {
                if rule == Some(HookRule::Required) {
                    hook.rule = HookRule::Required;
                }
                if side == Side::Caller {
                    hook.names.customer = customer;
                }
            }
            (none, Some(rule)) => *none = Some(Hook::new(rule, customer.filter(|_| side == Side::Caller))),
            (None, None) => {}
        }
        self.changed = true;
    }

    /// What a call that takes over a leg of this one is to know.
    pub(super) fn hook_terms(&self, leg: Side) -> Terms {
        let rule = self.hook.as_ref().map(|hook| hook.rule);
        let customer = self.hook.as_ref().filter(|_| leg == Side::Caller).and_then(|hook| hook.names.customer.clone());
        Terms { rule, customer }
    }

    fn parties(&self) -> Parties {
        Parties { extension: self.extension.clone(), caller: self.caller.dialog, agent: self.agent.dialog }
    }

    /// After every input: what the line is decides what is wanted of the recorders. A call that has come to another agent, or to
    /// another leg, has others. While an agent waits for their caller there is nobody who could key a card: what recorders said
    /// then would be said of another call.
    pub(super) fn keep_hook(&mut self, context: &mut Context<'_>) {
        let is_open = self.line.state() == LineState::Open;
        let (is_nobodys, parties) = (matches!(self.phase, Phase::Over | Phase::Consulting), self.parties());
        let pays_alone = self.bounce.is_some();
        let Some(hook) = self.hook.as_mut().filter(|_| !is_nobodys) else { return };
        match (is_open, hook.state) {
            (true, HookState::NotAsked) => {}
            (true, _) => {
                hook.open();
                self.changed = true;
                self.audit_hook(context);
            }
            (false, HookState::NotAsked) => self.ask_recorders(context),
            (false, _) if hook.asked_of.as_ref().is_some_and(|of| of.are_joined(&parties, pays_alone)) => {
                self.ask_recorders(context);
            }
            (false, _) => {}
        }
    }

    fn ask_recorders(&mut self, context: &mut Context<'_>) {
        let name = |dialog: Option<DialogId>| context.endpoint.call_id(dialog?)?.parse().ok();
        let (caller_leg, agent_leg) = (name(self.caller.dialog), name(self.agent.dialog));
        let parties = self.parties();
        let Some(hook) = &mut self.hook else { return };
        (hook.names.caller_leg, hook.names.agent_leg) = (caller_leg, agent_leg);
        hook.ask(context.now, parties);
        self.changed = true;
        self.audit_hook(context);
    }

    /// Somebody has them asked again.
    pub(super) fn pause_recorders(&mut self, context: &mut Context<'_>) -> Result<(), Refusal> {
        let hook = self.hook.as_ref().ok_or(Refusal::WrongState)?;
        match hook.state {
            HookState::NotAsked => Err(Refusal::WrongState),
            HookState::Asked | HookState::Paused => Ok(()),
            HookState::NotPaused => {
                self.ask_recorders(context);
                Ok(())
            }
        }
    }

    /// The office says what they have answered. A word that comes late is good as long as they were not asked again and the line
    /// was not open.
    pub(super) fn recorders_said(
        &mut self,
        context: &mut Context<'_>,
        round: u32,
        result: Result<(), HookTrouble>,
    ) -> Result<(), Refusal> {
        let hook = self.hook.as_ref().ok_or(Refusal::WrongState)?;
        if hook.state == HookState::NotAsked || hook.round != round {
            return Err(Refusal::WrongState);
        }
        self.hear_recorders(context, result);
        Ok(())
    }

    fn hear_recorders(&mut self, context: &mut Context<'_>, result: Result<(), HookTrouble>) {
        let is_news = self.hook.as_mut().is_some_and(|hook| hook.hear(result));
        if !is_news {
            return;
        }
        self.changed = true;
        self.audit_hook(context);
        if self.line.state().takes_keys() {
            self.line_secured(context);
        }
        if self.hook_holds() {
            self.give_up_bounce(context);
        }
    }

    pub(super) fn hook_timeout(&mut self, context: &mut Context<'_>) {
        if self.hook.as_ref().and_then(|hook| hook.until).is_some_and(|until| until <= context.now) {
            self.hear_recorders(context, Err(HookTrouble::OfficeSilent));
        }
    }

    /// With the payment that is taken, so that it stands with that too.
    pub(super) fn audit_hook(&self, context: &mut Context<'_>) {
        let Some(hook) = &self.hook else { return };
        let payment: Option<PaymentId> = self.paid().filter(|paid| !paid.state().finished()).map(payment::Payment::id);
        let (state, trouble) = (hook.state, hook.trouble);
        self.audit(context, Origin::System, AuditAction::Recorders { state, trouble, payment });
    }
}
