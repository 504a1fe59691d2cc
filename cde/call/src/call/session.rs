//! While talking: hold and resume, INFO, and what the legs' dialogs report.

use super::{Call, Context, Handover, Phase, origin_of, other};
use crate::info;
use media::Side;
use sip::offer_answer::{Direction, Offer};
use sip::{Body, DialogId, Event, RequestId};
use std::time::{Duration, Instant};
use wire::{CallEnd, Origin};

/// A change of one side's session that waits for the answer of the other.
pub(crate) struct Relay {
    /// Who asked.
    from: Side,
    asked: Asked,
    /// The offer to answer; none when the asker has withdrawn, and the other side must be brought back.
    offer: Option<Offer>,
}

/// How often a side is offered again how things are, should it be busy with an offer of its own.
const AGAIN_MAX: u8 = 5;
/// Before a side is asked again that could not be asked at all (RFC 3261 §14.1 has as much for glare).
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What could not be offered yet.
#[derive(Default)]
pub(crate) struct Again {
    caller: Option<Instant>,
    agent: Option<Instant>,
    tries: u8,
}

impl Again {
    fn of(&mut self, side: Side) -> &mut Option<Instant> {
        match side {
            Side::Caller => &mut self.caller,
            Side::Agent => &mut self.agent,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.caller.into_iter().chain(self.agent).min()
    }

    /// What was tried in vain so far concerned something else.
    pub(super) fn starts_anew(&mut self) {
        self.tries = 0;
    }

    fn later(&mut self, side: Side, at: Instant) {
        if self.tries < AGAIN_MAX {
            self.tries += 1;
            *self.of(side) = Some(at);
        }
    }
}

/// What is to be answered.
#[derive(Clone, Copy)]
enum Asked {
    Reinvite(DialogId),
    Update(RequestId),
}

impl Asked {
    fn accept(self, context: &mut Context<'_>, answer: Body) {
        match self {
            Self::Reinvite(dialog) => context.endpoint.accept(context.now, dialog, Some(answer)),
            Self::Update(request) => context.endpoint.accept_update(context.now, request, answer),
        }
    }

    fn refuse(self, context: &mut Context<'_>, status: u16) {
        match self {
            Self::Reinvite(dialog) => context.endpoint.reject(context.now, dialog, status, None, Vec::new()),
            Self::Update(request) => context.endpoint.respond(context.now, request, status),
        }
    }
}

impl Call {
    pub(crate) fn handle_sip(&mut self, context: &mut Context<'_>, event: Event) {
        if event.dialog().is_some() && event.dialog() == self.handover.as_ref().and_then(Handover::dialog) {
            return self.handover_event(context, event);
        }
        if event.dialog().is_some() && event.dialog() == self.recorder_dialog() {
            return self.recording_event(context, event);
        }
        let Some(side) = event.dialog().and_then(|dialog| self.side_of(dialog)) else { return };
        match event {
            Event::Progress { status, body, .. } => self.called_progress(context, status, body.as_ref()),
            Event::Answered { body, .. } => self.called_answered(context, body.as_ref()),
            Event::Failed { status, contacts, .. } => self.called_failed(context, status, &contacts),
            Event::Confirmed { body, .. } => self.confirmed(context, side, body.as_ref()),
            Event::InfoOvertaken { .. } => self.info_overtaken(context, side),
            Event::Cancelled { .. } => self.gone(context, side, CallEnd::Abandoned),
            Event::Ended { reason, .. } => {
                self.leg(side).dialog = None;
                if !self.outlives(context, side, reason == sip::EndReason::Bye) {
                    self.gone(context, side, end_of(side, reason));
                }
            }
            Event::Reinvite { dialog, body } => self.reinvite(context, side, dialog, body.as_ref()),
            Event::Refer { request, refer, .. } => self.refer(context, side, request, refer),
            Event::Update { request, body, .. } => self.update(context, side, request, &body),
            Event::ReinviteCancelled { .. } => self.withdraw(side),
            Event::RefreshDue { .. } => self.bring_back(context, side),
            Event::ReinviteAnswered { body, .. } => self.relay_answered(context, side, body.as_ref()),
            Event::ReinviteFailed { status, retry_after, .. } => {
                self.relay_failed(context, side, status, retry_after);
            }
            Event::Request { request, content_type, body, .. } => {
                self.info(context, side, request, content_type.as_deref(), &body);
            }
            Event::Incoming { .. }
            | Event::RequestAnswered { .. }
            | Event::Probed { .. }
            | Event::Registered { .. }
            | Event::SignedIn { .. }
            | Event::RegistrationFailed { .. } => {}
        }
    }

    /// A browser cannot be heard, or is not who it said: its leg is over, as if it had left without a word.
    pub(super) fn lost(&mut self, context: &mut Context<'_>, side: Side) {
        let Some(dialog) = self.leg(side).dialog.take() else { return };
        if matches!(self.phase, Phase::Opening | Phase::Dialing) {
            self.leg(side).dialog = Some(dialog);
            return self.end(context, Origin::System, CallEnd::Failed);
        }
        context.endpoint.bye(context.now, dialog);
        if !self.outlives(context, side, false) {
            self.gone(context, side, CallEnd::Failed);
        }
    }

    /// Does one side hold the other?
    pub(super) fn held(&self) -> bool {
        let both =
            |leg: &crate::leg::Leg| leg.agreed.is_none() || (leg.direction().sends() && leg.direction().receives());
        !both(&self.caller) || !both(&self.agent)
    }

    /// The ACK to our 2xx; where we made the offer in that, it brings the answer.
    fn confirmed(&mut self, context: &mut Context<'_>, side: Side, body: Option<&Body>) {
        if !std::mem::take(&mut self.leg(side).owed_answer) {
            return;
        }
        if body.is_none_or(|body| self.leg(side).take_answer(body).is_err()) {
            return self.end(context, Origin::System, CallEnd::Failed);
        }
        self.connect(context, side);
        self.changed = true;
        // The answer may put the other side on hold, or take it off.
        if self.leg(other(side)).direction() != self.leg(side).direction().reversed() {
            self.bring_back(context, other(side));
        }
    }

    /// A key by INFO may have been lost on its way.
    fn info_overtaken(&mut self, context: &mut Context<'_>, side: Side) {
        if side == Side::Caller && !self.line.lets_info_pass(side, context.now) {
            self.key_lost(context);
        }
    }

    /// A side has left; its dialog is gone already.
    fn gone(&mut self, context: &mut Context<'_>, side: Side, end: CallEnd) {
        self.leg(side).dialog = None;
        match end {
            // Who has ended it nobody here knows.
            CallEnd::CallerHungUp if self.is_conference() => self.end(context, Origin::System, CallEnd::ConferenceOver),
            _ => self.end(context, origin_of(side), end),
        }
    }

    fn reinvite(&mut self, context: &mut Context<'_>, side: Side, dialog: DialogId, body: Option<&Body>) {
        let alone = body.filter(|_| self.is_alone()).and_then(|body| Offer::parse(body).ok());
        if let Some(offer) = alone {
            return self.accept_change(context, side, Asked::Reinvite(dialog), &offer);
        }
        if !matches!(self.phase, Phase::Talking) || self.relay.is_some() {
            return context.endpoint.reject(context.now, dialog, 491, None, Vec::new());
        }
        let Some(body) = body else {
            // What we would like, whatever held before (RFC 6337 §5.1): offered its own hold, the peer could not resume.
            let offer = self.leg(side).offer(context.rng, None, Direction::SendRecv);
            self.leg(side).owed_answer = true;
            return context.endpoint.accept(context.now, dialog, Some(offer));
        };
        self.change(context, side, Asked::Reinvite(dialog), body);
    }

    /// An agent who waits for their caller may put us on hold, and a caller who pays alone, and a PBX that merges calls: nobody
    /// else is there to be asked.
    fn is_alone(&self) -> bool {
        matches!(self.phase, Phase::Consulting) || self.pays_alone() || self.is_conference()
    }

    /// A change without an INVITE. Before the call is answered it concerns that side alone: what we send it, and where to.
    fn update(&mut self, context: &mut Context<'_>, side: Side, request: RequestId, body: &Body) {
        let asked = Asked::Update(request);
        match (&self.phase, &self.relay, Offer::parse(body)) {
            (Phase::Talking | Phase::Consulting, None, Ok(offer)) if self.is_alone() => {
                self.accept_change(context, side, asked, &offer);
            }
            (Phase::Talking, None, _) => self.change(context, side, asked, body),
            (Phase::Dialing, None, Ok(offer)) => self.accept_change(context, side, asked, &offer),
            (Phase::Dialing, None, Err(_)) => asked.refuse(context, 400),
            _ => asked.refuse(context, 491),
        }
    }

    fn change(&mut self, context: &mut Context<'_>, side: Side, asked: Asked, body: &Body) {
        let Ok(offer) = Offer::parse(body) else { return asked.refuse(context, 400) };
        let before = self.leg(side).direction();
        let codec = self.leg(side).codec();
        match self.leg(side).agree(&offer, codec) {
            Err(unusable) => asked.refuse(context, unusable.status()),
            Ok(agreed) if agreed.direction == before => self.accept_change(context, side, asked, &offer),
            Ok(agreed) => self.relay_change(context, side, asked, offer, agreed.direction),
        }
    }

    /// Nothing that the other side must know: a new address or port, a refresh.
    fn accept_change(&mut self, context: &mut Context<'_>, side: Side, asked: Asked, offer: &Offer) {
        let direction = self.leg(other(side)).direction().reversed();
        let codec = self.leg(side).codec();
        match self.leg(side).answer(context.rng, offer, codec, direction) {
            Ok(answer) => {
                self.connect(context, side);
                asked.accept(context, answer);
                self.changed = true;
            }
            Err(unusable) => asked.refuse(context, unusable.status()),
        }
    }

    /// Hold or resume: the other side is asked first.
    fn relay_change(
        &mut self,
        context: &mut Context<'_>,
        side: Side,
        asked: Asked,
        offer: Offer,
        direction: Direction,
    ) {
        let peer = self.leg(other(side));
        let codec = peer.codec();
        let body = peer.offer(context.rng, codec, direction.reversed());
        let relayed = peer
            .dialog
            .ok_or(())
            .and_then(|dialog| context.endpoint.reinvite(context.now, dialog, Some(body)).map_err(|_| ()));
        match relayed {
            Ok(()) => {
                peer.is_asked_elsewhere = false;
                self.relay = Some(Relay { from: side, asked, offer: Some(offer) });
            }
            Err(()) => asked.refuse(context, 491),
        }
    }

    fn withdraw(&mut self, side: Side) {
        if let Some(relay) = self.relay.as_mut().filter(|relay| relay.from == side) {
            relay.offer = None;
        }
    }

    fn relay_answered(&mut self, context: &mut Context<'_>, side: Side, body: Option<&Body>) {
        if self.leg(side).is_asked_elsewhere {
            return self.answered_elsewhere(context, side);
        }
        let usable = body.is_some_and(|body| self.leg(side).take_answer(body).is_ok());
        if usable {
            self.connect(context, side);
            self.changed = true;
            self.again.starts_anew();
        }
        let Some(relay) = self.relay.take() else { return };
        match relay.offer {
            Some(offer) if usable => self.accept_change(context, relay.from, relay.asked, &offer),
            Some(_) => relay.asked.refuse(context, 488),
            None => self.bring_back(context, side),
        }
        self.changed = true;
    }

    /// A side's direction is not what the other's has become, or its session has to be refreshed: offer it how things are.
    pub(super) fn bring_back(&mut self, context: &mut Context<'_>, side: Side) {
        let direction = self.leg(other(side)).direction().reversed();
        let leg = self.leg(side);
        let codec = leg.codec();
        let body = leg.offer(context.rng, codec, direction);
        // If it refuses, it stays on hold until either side asks again; sound is cut by the asker's own leg.
        let asked = match leg.dialog {
            Some(dialog) => context.endpoint.reinvite(context.now, dialog, Some(body)),
            None => Err(sip::Error::NoDialog),
        };
        match asked {
            Ok(()) => {
                leg.is_asked_elsewhere = false;
                *self.again.of(side) = None;
            }
            // Neither lasts. Who came back from elsewhere has no key until it is asked.
            Err(sip::Error::NotReady | sip::Error::Overloaded) => self.again.later(side, context.now + ASK_AGAIN),
            Err(_) => {}
        }
    }

    /// Offers how things are to a side that was busy with an offer of its own.
    pub(super) fn again_timeout(&mut self, context: &mut Context<'_>) {
        for side in [Side::Caller, Side::Agent] {
            let is_due = self.again.of(side).take_if(|at| *at <= context.now).is_some();
            if is_due && self.relay.is_none() {
                self.bring_back(context, side);
            }
        }
    }

    /// Who waits for the other side's answer gets none from a leg that is gone.
    pub(super) fn refuse_relay(&mut self, context: &mut Context<'_>) {
        if let Some(relay) = self.relay.take().filter(|relay| relay.offer.is_some()) {
            relay.asked.refuse(context, 491);
        }
    }

    fn relay_failed(&mut self, context: &mut Context<'_>, side: Side, status: u16, retry_after: Option<Duration>) {
        if std::mem::take(&mut self.leg(side).is_asked_elsewhere) {
            // That was another call's offer; ours is made soon.
            return;
        }
        let Some(relay) = self.relay.take() else {
            // It was an offer of our own, and has met one of the peer's (RFC 3261 §14.1).
            if let Some(after) = retry_after.filter(|_| status == 491) {
                self.again.later(side, context.now + after);
            }
            return;
        };
        if relay.offer.is_some() {
            relay.asked.refuse(context, status);
        }
    }

    /// While the line is anything but open, keys are consumed here and nothing else goes through.
    fn info(
        &mut self,
        context: &mut Context<'_>,
        side: Side,
        request: RequestId,
        content_type: Option<&str>,
        body: &Body,
    ) {
        let keys = info::carries_keys(content_type);
        let key = info::parse(content_type, body);
        let passes = self.line.lets_info_pass(side, context.now);
        let of_agent = key.as_ref().filter(|_| side == Side::Agent && passes).map(|key| key.key);
        if of_agent.is_some_and(|key| self.agent_info(context, key)) {
            return context.endpoint.respond(context.now, request, 200);
        }
        let status = match (&key, passes) {
            // Some PBXs ask in this way whether the call still stands.
            (None, _) if content_type.is_none() && body.as_bytes().is_empty() => 200,
            (None, _) if keys => 400,
            (_, true) => self.pass_info(context, side, content_type, body),
            (_, false) if keys => 200,
            (_, false) => 415,
        };
        if let (Some(key), Side::Caller) = (key, side) {
            // On an open line it is only counted there.
            self.media(context, media::Command::InfoKey { key: key.key, duration_ms: key.duration_ms });
        }
        context.endpoint.respond(context.now, request, status);
    }

    fn pass_info(&mut self, context: &mut Context<'_>, side: Side, content_type: Option<&str>, body: &Body) -> u16 {
        let (Some(dialog), Some(content_type)) = (self.leg(other(side)).dialog, content_type) else { return 415 };
        match context.endpoint.info(context.now, dialog, content_type, body.clone()) {
            Ok(_) => 200,
            Err(_) => 503,
        }
    }
}

fn end_of(side: Side, reason: sip::EndReason) -> CallEnd {
    match (reason, side) {
        (sip::EndReason::Bye, Side::Caller) => CallEnd::CallerHungUp,
        (sip::EndReason::Bye, Side::Agent) => CallEnd::AgentHungUp,
        _ => CallEnd::Failed,
    }
}
