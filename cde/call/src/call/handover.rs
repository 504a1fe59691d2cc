//! Another leg takes a side's place: by a transfer (RFC 3515), by an INVITE that replaces it (RFC 3891), or because the agent's
//! leg was lost while a card was being keyed. We never leave the path, and nothing of the line or the capture changes.

mod consulted;
mod join;

pub(crate) use consulted::Named;

use super::dial::Dial;
use super::hook::Terms;
use super::{Call, Context, Phase, other};
use crate::leg::Leg;
use media::Side;
use rand_core::Rng;
use sip::offer_answer::{Direction, Offer, Srtp};
use sip::{Body, DialogId, Event, IncomingInvite, Peer, Refer, RequestId};
use std::time::{Duration, Instant};
use wire::{AuditAction, CallEnd, Extension, LineState, Origin};

/// How long the new leg may ring, and how long a caller whose agent was lost is kept.
const RING: Duration = Duration::from_secs(60);
/// Between two calls to an agent whose leg was lost.
const AGAIN: Duration = Duration::from_secs(5);
/// Between two calls to an agent who has had the caller transferred: their phone may not have hung up yet.
const SOON: Duration = Duration::from_millis(500);

/// How often an agent is called again in one call.
const RECALLS_MAX: u8 = 10;

/// The leg that is to take a side's place.
pub(crate) struct Handover {
    side: Side,
    leg: Leg,
    /// Where it is called, or was called by the call that it is of; none for a leg that has called.
    dial: Option<Dial>,
    /// Who asked for it, and wants to know.
    asker: Option<(DialogId, Refer)>,
    until: Instant,
    /// When it is called again, or asked again.
    again: Option<Instant>,
    /// It is another call's until its peer agrees: how often it may still be asked.
    borrowed: Option<u8>,
    /// What hangs on recorders of who comes with it from another call.
    hook: Option<Terms>,
}

impl Handover {
    pub(super) fn dialog(&self) -> Option<DialogId> {
        self.leg.dialog
    }

    /// None for a leg that goes back to another call.
    pub(super) fn own_dialog(self) -> Option<DialogId> {
        self.leg.dialog.filter(|_| self.borrowed.is_none())
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.again.map_or(self.until, |again| again.min(self.until))
    }
}

impl Call {
    /// One side wants us to call somebody in its place. Only a number that a route allows is dialed: to the caller's side no
    /// more is allowed than to call it.
    pub(super) fn refer(&mut self, context: &mut Context<'_>, side: Side, request: RequestId, refer: Refer) {
        if self.consults() {
            return self.refer_consulted(context, request, refer);
        }
        let planned = self.may_hand_over(side).and_then(|()| self.dial_for(context, side, &refer));
        let called = planned.and_then(|mut dial| {
            let mut leg = self.new_leg(context, side, &dial)?;
            let body = leg.offer(context.rng, self.side(other(side)).codec(), Direction::SendRecv);
            leg.dialog = Some(dial.call(context, body, refer.replaces.as_deref())?);
            leg.peer = dial.destination;
            Ok((leg, dial))
        });
        match called {
            Ok((leg, dial)) => self.begin_handover(context, side, leg, Some(dial), request, refer),
            Err(status) => context.endpoint.respond(context.now, request, status),
        }
    }

    fn begin_handover(
        &mut self,
        context: &mut Context<'_>,
        side: Side,
        leg: Leg,
        dial: Option<Dial>,
        request: RequestId,
        refer: Refer,
    ) {
        context.endpoint.respond(context.now, request, 202);
        let asker = self.side(side).dialog.map(|dialog| (dialog, refer));
        let (until, again, borrowed) = (context.now + RING, None, None);
        self.handover = Some(Handover { side, leg, dial, asker, until, again, borrowed, hook: None });
        self.tell_asker(context, 100);
    }

    /// Whether a peer's trunk is that of the side with this dialog: nobody else may give it away.
    pub(crate) fn is_trunk_of(&self, context: &Context<'_>, dialog: DialogId, peer: Peer) -> bool {
        let who = |peer| (peer, context.endpoint.user_at(peer));
        self.side_of(dialog).is_some_and(|side| context.config.are_of_one_trunk(who(self.peer_of(side)), who(peer)))
    }

    /// Where a side is called, or calls from.
    pub(crate) fn peer_at(&self, dialog: DialogId) -> Option<Peer> {
        self.side_of(dialog).map(|side| self.peer_of(side))
    }

    fn peer_of(&self, side: Side) -> Peer {
        self.side(side).peer
    }

    /// An INVITE that takes the place of one of our legs.
    pub(crate) fn replaced(
        &mut self,
        context: &mut Context<'_>,
        dialog: DialogId,
        from: Peer,
        invite: &IncomingInvite,
        replaced: DialogId,
    ) {
        let Some(side) = self.side_of(replaced) else {
            return context.endpoint.reject(context.now, dialog, 481, None, Vec::new());
        };
        if matches!(self.phase, Phase::Consulting) {
            return self.join_caller(context, dialog, from, invite);
        }
        let is_theirs = self.is_trunk_of(context, replaced, from);
        let allowed = if is_theirs { self.may_hand_over(side) } else { Err(403) };
        let answered = allowed.and_then(|()| self.answer_replacing(context, side, from, invite.body.as_ref()));
        match answered {
            Ok((mut leg, answer)) => {
                leg.dialog = Some(dialog);
                context.endpoint.accept(context.now, dialog, Some(answer));
                let extension = invite.from.uri.user().and_then(|user| user.parse().ok());
                let extension = extension.filter(|extension| self.may_be_called_back(context, extension));
                let dial = extension.map(|extension| self.dial.under(extension));
                let until = context.now + RING;
                let (asker, again, borrowed, hook) = (None, None, None, None);
                self.handover = Some(Handover { side, leg, dial, asker, until, again, borrowed, hook });
                self.take_over(context);
            }
            Err(status) => context.endpoint.reject(context.now, dialog, status, None, Vec::new()),
        }
    }

    /// Who has taken the agent's place is called there if their leg is lost, so it must be a number that a call may have there: From is
    /// only what they say. Where the agent has called us, the route says so when they are called back.
    fn may_be_called_back(&self, context: &Context<'_>, extension: &Extension) -> bool {
        let (trunk, config) = (self.dial.trunk, context.config);
        let on_demand = config.trunks.get(trunk).and_then(|trunk| trunk.on_demand.as_ref());
        let is_agent = on_demand.is_some_and(|on_demand| on_demand.has_agent(extension.as_str()));
        let is_routed = |side| {
            let peer = self.peer_of(side);
            config.leads_to(peer, context.endpoint.user_at(peer), trunk, extension)
        };
        self.calling == Side::Agent
            || is_agent
            || config.has_phone(trunk, extension.as_str())
            || [Side::Caller, Side::Agent].into_iter().any(is_routed)
    }

    pub(super) fn answer_replacing(
        &self,
        context: &mut Context<'_>,
        side: Side,
        from: Peer,
        body: Option<&Body>,
    ) -> Result<(Leg, Body), u16> {
        let codec = self.side(other(side)).codec();
        // It comes from the trunk of the leg whose place it takes.
        let mut leg = self.leg_like(context, side, self.side(side).srtp(), from)?;
        let Some(body) = body else {
            leg.owed_answer = true;
            let offer = leg.offer(context.rng, codec, Direction::SendRecv);
            return Ok((leg, offer));
        };
        let offer = Offer::parse(body).map_err(|_| 400_u16)?;
        let answer =
            leg.answer(context.rng, &offer, codec, Direction::SendRecv).map_err(crate::leg::Unusable::status)?;
        Ok((leg, answer))
    }

    /// While the line is masked the caller stays who it was: the keys are its.
    fn may_hand_over(&self, side: Side) -> Result<(), u16> {
        self.may_be_moved(side)?;
        if !matches!(self.phase, Phase::Talking) || self.relay.is_some() || self.handover.is_some() {
            return Err(491);
        }
        if side == Side::Caller && self.is_capturing() { Err(603) } else { Ok(()) }
    }

    fn is_capturing(&self) -> bool {
        self.line.state() != LineState::Open || self.till.is_open()
    }

    fn dial_for(&self, context: &mut Context<'_>, side: Side, refer: &Refer) -> Result<Dial, u16> {
        let number = refer.target.user().ok_or(404_u16)?;
        let by_caller = context.way(self.peer_of(Side::Caller), number);
        let way = match side {
            Side::Caller => by_caller,
            Side::Agent => context.way(self.peer_of(Side::Agent), number).or(by_caller),
        };
        // A number where callers pay alone is no extension: what it would call is where they go back to, and nobody would have paid.
        let way = way.ok().filter(|way| way.bounce.is_none());
        self.dial.by(context, way.ok_or(403_u16)?)
    }

    pub(super) fn new_leg(&self, context: &mut Context<'_>, side: Side, dial: &Dial) -> Result<Leg, u16> {
        self.leg_like(context, side, dial.srtp, dial.destination)
    }

    /// A leg on the ports of this side, for a peer of the same family.
    fn leg_like(&self, context: &mut Context<'_>, side: Side, srtp: Srtp, peer: Peer) -> Result<Leg, u16> {
        let address = self.side(side).address;
        if context.config.media_toward(peer.address.ip()) != address.ip() {
            return Err(488);
        }
        Ok(Leg::new(address, context.rng.next_u64(), srtp, peer))
    }

    /// What the new leg's dialog reports.
    pub(super) fn handover_event(&mut self, context: &mut Context<'_>, event: Event) {
        match event {
            Event::Progress { status, .. } => {
                self.new_leg_heard(context);
                self.tell_asker(context, status);
            }
            Event::Answered { dialog, body } => {
                context.endpoint.ack(context.now, dialog, None);
                self.new_leg_heard(context);
                self.handover_answered(context, body.as_ref());
            }
            Event::ReinviteAnswered { body, .. } => self.handover_answered(context, body.as_ref()),
            Event::Failed { status, .. } => self.new_leg_failed(context, status),
            Event::ReinviteFailed { status, retry_after, .. } => {
                let again = retry_after.filter(|_| status == 491);
                if !again.is_some_and(|after| self.ask_later(context, after)) {
                    self.handover_failed(context, status);
                }
            }
            Event::Ended { .. } => {
                self.lose_new_leg();
                self.handover_failed(context, 487);
            }
            Event::Reinvite { dialog, .. } => context.endpoint.reject(context.now, dialog, 491, None, Vec::new()),
            Event::Update { request, .. } | Event::Refer { request, .. } => {
                context.endpoint.respond(context.now, request, 491);
            }
            Event::Request { request, .. } => context.endpoint.respond(context.now, request, 415),
            _ => {}
        }
    }

    fn handover_answered(&mut self, context: &mut Context<'_>, body: Option<&Body>) {
        let Some(handover) = &mut self.handover else { return };
        let usable = body.is_some_and(|body| handover.leg.take_answer(body).is_ok());
        let side = handover.side;
        if !usable {
            self.handover_failed(context, 488);
        } else if side == Side::Caller && self.caller.dialog.is_some() && self.is_capturing() {
            // It was asked for before the line was secured. What is keyed is keyed by one person.
            self.handover_failed(context, 603);
        } else {
            self.take_over(context);
        }
    }

    /// The new leg is the side's from now on. Its sound is what the media session lets that side hear: masked, if it masks.
    fn take_over(&mut self, context: &mut Context<'_>) {
        self.tell_asker(context, 200);
        let Some(Handover { side, leg, dial, hook, .. }) = self.handover.take() else { return };
        let before = std::mem::replace(self.leg(side), leg);
        self.media(context, media::Command::Disconnect { side });
        if self.consults() {
            self.secure_for_caller(context);
        }
        self.connect(context, side);
        if let Some(dialog) = before.dialog {
            context.endpoint.bye(context.now, dialog);
        }
        self.refuse_relay(context);
        if let (Side::Agent, Some(dial)) = (side, dial) {
            self.extension = dial.extension.clone();
            if self.calling == Side::Caller {
                self.dial = dial;
            }
        }
        self.changed = true;
        self.audit(context, Origin::AgentPhone, AuditAction::CallAnswered);
        self.is_bounced_back(side);
        if let Some(terms) = hook {
            self.hook_comes(side, terms);
        }
        let is_owed = self.side(side).owed_answer;
        if !is_owed && self.side(other(side)).direction() != self.side(side).direction().reversed() {
            self.bring_back(context, other(side));
        }
        if self.consults() {
            return self.caller_came_over(context);
        }
        if side == Side::Agent {
            self.agent_is_back(context);
            self.hear_agent(context);
        }
    }

    fn pause(&self) -> Duration {
        if self.is_called_back() { SOON } else { AGAIN }
    }

    /// The new leg did not come about: everything stays as it was, if the old one is still there.
    pub(super) fn handover_failed(&mut self, context: &mut Context<'_>, status: u16) {
        self.tell_asker(context, status.max(300));
        let Some(mut handover) = self.handover.take() else { return };
        let own = handover.leg.dialog.take().filter(|_| handover.borrowed.is_none());
        if let Some(dialog) = own {
            context.endpoint.bye(context.now, dialog);
        }
        if self.side(handover.side).dialog.is_some() {
            return;
        }
        if self.consults() {
            // The agent waits on, unless they have gone by now.
            return match self.agent.dialog {
                Some(_) => {}
                None => self.end(context, Origin::System, CallEnd::NotTransferred),
            };
        }
        let is_awaited = self.is_called_back() || self.goes_back();
        let may_come = may_answer_later(status) || is_awaited && may_be_free_soon(status);
        let is_kept = self.keeps_caller(false) || self.goes_back();
        let is_worth_it = handover.side == Side::Agent && may_come && is_kept;
        // Whoever it was handed to is not there: back to who had it.
        let back = self.dial_agent(context).filter(|_| is_worth_it && handover.until > context.now);
        if back.is_none() {
            let end = if is_awaited { CallEnd::NotAnswered } else { CallEnd::Failed };
            return self.end(context, Origin::System, end);
        }
        // How its sound is protected is its own trunk's matter, not that of who did not answer.
        let leg = back.as_ref().and_then(|dial| self.new_leg(context, Side::Agent, dial).ok());
        let Some(leg) = leg else { return self.end(context, Origin::System, CallEnd::Failed) };
        (handover.dial, handover.leg) = (back, leg);
        (handover.asker, handover.borrowed) = (None, None);
        handover.again = Some(context.now + self.pause());
        self.handover = Some(handover);
    }

    /// A side has left; true if its place is being taken, so that the call goes on.
    pub(super) fn outlives(&mut self, context: &mut Context<'_>, side: Side, hung_up: bool) -> bool {
        let hung_up = hung_up && self.puts_down_until.is_none_or(|until| until <= context.now);
        let is_being_taken = self.handover.as_ref().is_some_and(|handover| handover.side == side)
            && (side == Side::Agent || !self.is_capturing());
        let is_recalled = side == Side::Agent && self.handover.is_none() && self.keeps_caller(hung_up);
        let is_called_back = side == Side::Agent && self.is_consulted();
        if !is_being_taken && !is_recalled && !is_called_back {
            return false;
        }
        self.refuse_relay(context);
        self.media(context, media::Command::Disconnect { side });
        self.changed = true;
        match &mut self.handover {
            Some(handover) => {
                handover.asker = None;
                true
            }
            None => self.recall(context),
        }
    }

    /// How the agent is called again. One who called us is called as the caller's side may call their extension.
    fn dial_agent(&self, context: &mut Context<'_>) -> Option<Dial> {
        match self.calling {
            Side::Caller => Some(self.dial.anew(context)),
            Side::Agent => {
                let way = context.way(self.peer_of(Side::Caller), self.extension.as_str()).ok()?;
                self.dial.by(context, way).ok()
            }
        }
    }

    /// Whether the caller is kept for an agent who comes back: what was keyed must not be keyed again. An agent who hangs up
    /// with nothing to be paid means it.
    fn keeps_caller(&self, hung_up: bool) -> bool {
        let is_masked = self.line.state() != LineState::Open;
        matches!(self.phase, Phase::Talking) && is_masked && (self.till.is_open() || !hung_up)
    }

    /// False if there is no way to the agent.
    pub(super) fn recall(&mut self, context: &mut Context<'_>) -> bool {
        if self.recalls == RECALLS_MAX {
            return false;
        }
        let Some(dial) = self.dial_agent(context) else { return false };
        let Ok(leg) = self.new_leg(context, Side::Agent, &dial) else { return false };
        let (dial, now) = (Some(dial), context.now);
        // At once the first time. Something that answers and hangs up again is not called as fast as it does that.
        let again = if self.recalls == 0 { now } else { now + AGAIN };
        self.recalls += 1;
        let (side, until, again) = (Side::Agent, now + RING, Some(again));
        self.handover = Some(Handover { side, leg, dial, asker: None, until, again, borrowed: None, hook: None });
        self.handover_timeout(context);
        true
    }

    pub(super) fn handover_timeout(&mut self, context: &mut Context<'_>) {
        let Some(handover) = &self.handover else { return };
        if handover.until <= context.now {
            return self.handover_failed(context, 408);
        }
        if handover.again.is_some_and(|again| again <= context.now) {
            self.call_again(context);
        }
    }

    fn call_again(&mut self, context: &mut Context<'_>) {
        let (codec, pause) = (self.caller.codec(), self.pause());
        if self.handover.as_ref().is_some_and(|handover| handover.borrowed.is_some()) {
            return self.ask_again(context);
        }
        let Some(handover) = &mut self.handover else { return };
        let Some(dial) = &mut handover.dial else { return };
        let body = handover.leg.offer(context.rng, codec, Direction::SendRecv);
        match dial.call(context, body, None) {
            Ok(dialog) => {
                (handover.leg.dialog, handover.again) = (Some(dialog), None);
                handover.leg.peer = dial.destination;
            }
            Err(_) => {
                *dial = dial.anew(context);
                handover.again = Some(context.now + pause);
            }
        }
    }

    fn new_leg_heard(&mut self, context: &mut Context<'_>) {
        if let Some(dial) = self.handover.as_mut().and_then(|handover| handover.dial.as_mut()) {
            dial.heard(context);
        }
    }

    /// If nobody was there, the next place of the trunk is called.
    fn new_leg_failed(&mut self, context: &mut Context<'_>, status: u16) {
        let dial = self.handover.as_mut().and_then(|handover| handover.dial.as_mut());
        let is_elsewhere = dial.is_some_and(|dial| dial.was_silent(context, status)) && !self.is_consulted();
        self.new_leg_heard(context);
        if is_elsewhere { self.call_again(context) } else { self.handover_failed(context, status) }
    }

    fn tell_asker(&self, context: &mut Context<'_>, status: u16) {
        if let Some((dialog, refer)) = self.handover.as_ref().and_then(|handover| handover.asker.as_ref()) {
            context.endpoint.notify(context.now, *dialog, refer, status);
        }
    }

    fn lose_new_leg(&mut self) {
        if let Some(handover) = &mut self.handover {
            handover.leg.dialog = None;
        }
    }
}

/// Busy and declined are answers; not there is none.
fn may_answer_later(status: u16) -> bool {
    matches!(status, 408 | 480 | 487 | 500..=599)
}

/// A phone that has not yet noticed that its caller was transferred.
fn may_be_free_soon(status: u16) -> bool {
    matches!(status, 486 | 600)
}
