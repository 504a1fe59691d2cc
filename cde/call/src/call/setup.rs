//! From INVITE to talking.

use super::handover::Named;
use super::{Call, Context, origin_of, other};
use crate::Config;
use crate::call::dial::Dial;
use crate::call::hook::Hook;
use crate::call::keyed::Keyed;
use crate::call::line::Line;
use crate::call::pay::Till;
use crate::call::recording::Recording;
use crate::call::session::Again;
use crate::config::{NoWay, Way};
use crate::leg::{CODECS, Leg, Unusable};
use crate::rewrite::passed;
use crate::switchboard::{MediaOrder, Output, PAIRS_MAX};
use media::Side;
use sip::offer_answer::{Direction, Offer, Srtp};
use sip::{Body, DialogId, IncomingInvite, NameAddr, Peer, Uri};
use std::net::{IpAddr, SocketAddr};
use wire::{AuditAction, CallEnd, CallId, Origin, WayIn};

/// Where a call stands.
pub(crate) enum Phase {
    /// Waits for the media ports.
    Opening,
    /// Waits for the agent.
    Dialing,
    /// Waits for the PIN of an agent, who is here alone.
    Keying,
    /// Waits for the caller of an agent, who has come to the code first.
    Consulting,
    /// Both are connected.
    Talking,
    /// Nothing follows.
    Over,
}

/// What is kept of the INVITE until the agent's leg is dialed and the caller answered.
pub(crate) struct Setup {
    /// How many others were called before.
    redirects: u8,
    /// The caller's offer; none when the caller leaves the offer to us.
    pub(crate) offer: Option<Offer>,
    /// What the caller was told already, with early media. A caller takes the first answer and no other (RFC 3261
    /// §13.2.1), so the final one is the same.
    pub(crate) answer: Option<Body>,
}

/// How often a call is sent elsewhere before it fails.
const REDIRECTS_MAX: u8 = 5;
/// The longest caller text that is shown.
const CALLER_CHARACTERS_MAX: usize = 64;

/// An INVITE that came, and what a call of it begins with.
pub(crate) struct Arrival<'a> {
    pub(crate) id: CallId,
    pub(crate) dialog: DialogId,
    pub(crate) from: Peer,
    pub(crate) invite: &'a IncomingInvite,
    pub(crate) ports: (u16, u16),
    pub(crate) session_ids: (u64, u64),
}

/// With what an INVITE is refused.
pub(crate) struct NoCall {
    pub(crate) status: u16,
    /// Its own words, where those of the status do not say enough.
    pub(crate) words: Option<&'static str>,
}

impl From<u16> for NoCall {
    fn from(status: u16) -> Self {
        Self { status, words: None }
    }
}

impl Call {
    /// A call from an INVITE, or the status to refuse it with.
    pub(crate) fn new(context: &mut Context<'_>, arrival: &Arrival<'_>) -> Result<Self, NoCall> {
        let called = arrival.invite.uri.user().unwrap_or_default();
        let way = context.way(arrival.from, called).map_err(status_of)?;
        match way.bounce.clone() {
            Some(terms) => Self::bounced(context, arrival, way, &terms),
            None => Ok(Self::on(context, arrival, way, printable(called))?),
        }
    }

    /// A call on this way.
    pub(super) fn on(context: &mut Context<'_>, arrival: &Arrival<'_>, way: Way, called: String) -> Result<Self, u16> {
        let Arrival { id, dialog, from, invite, ports, session_ids } = *arrival;
        let hops = invite.max_forwards.checked_sub(1).ok_or(483_u16)?;
        let (open_line_keys, srtp) = (way.open_line_keys, way.srtp);
        let calling = if way.outbound { Side::Agent } else { Side::Caller };
        let extension = match calling {
            Side::Caller => way.extension.clone(),
            // An agent's phone that says no number is no agent's whom the desk knows; the call goes through all the same.
            Side::Agent => invite.from.uri.user().and_then(|user| user.parse().ok()).unwrap_or(way.extension.clone()),
        };
        let recorder = way.recorder.clone();
        let hook = Hook::of(way.hook.as_ref(), invite);
        let feature_code =
            Some(way.feature_code.clone().into_bytes().into_boxed_slice()).filter(|code| !code.is_empty());
        let headers = pass_on(context.config, from, invite, hops);
        let dial = Dial::new(context, way, &invite.from, headers)?;
        let offer = match &invite.body {
            None => None,
            Some(body) => Some(read_offer(srtp.0, body)?),
        };
        let at = [
            media_of_calling(context.config, from, srtp.0, offer.as_ref())?,
            context.config.media_toward(dial.destination.address.ip()),
        ];
        let ports = in_order(calling, ports);
        let mut from_leg = Leg::new(SocketAddr::new(at[0], ports.0), session_ids.0, srtp.0, from);
        from_leg.dialog = Some(dialog);
        let to_leg = Leg::new(SocketAddr::new(at[1], ports.1), session_ids.1, srtp.1, dial.destination);
        let (caller, agent) = in_order(calling, (from_leg, to_leg));
        let keys_cross_pbx = context.config.keys_cross_pbx(caller.peer);
        let (caller_shown, called) = in_order(calling, (shown(&invite.from), called));
        let caller_named = Named::of(calling, invite, &caller_shown);
        Ok(Self {
            id,
            extension,
            open_line_keys,
            caller_shown,
            caller_named,
            called,
            way: WayIn::Inline,
            keys_cross_pbx,
            transfer: None,
            puts_down_until: None,
            bounce: None,
            conference: None,
            feature_code,
            keyed: Keyed::default(),
            started_unix_ms: context.wall.unix_ms(context.now),
            calling,
            caller,
            dial,
            handover: None,
            lent: None,
            again: Again::default(),
            agent,
            phase: Phase::Opening,
            setup: Some(Setup { redirects: 0, offer, answer: None }),
            relay: None,
            line: Line::new(context.wall.unix_ms(context.now), context.config.masking),
            recording: Recording::of(context.ports, recorder)?,
            hook,
            till: Till::default(),
            figures_at: None,
            changed: false,
            recalls: 0,
            pairs_left: PAIRS_MAX - 1,
            timer: None,
        })
    }

    /// First of all the ports.
    pub(crate) fn begin(&mut self, context: &mut Context<'_>) {
        self.open(context);
        self.audit(context, origin_of(self.calling), AuditAction::CallStarted);
    }

    fn open(&self, context: &mut Context<'_>) {
        let order = MediaOrder::Open {
            caller: self.caller.address,
            agent: self.agent.address,
            record: context.config.record,
            copies: self.recording.as_ref().and_then(|recording| recording.addresses(context)),
        };
        context.outputs.push_back(Output::Media { call: self.id, order });
    }

    /// The ports could not be bound: tries others, and gives back those.
    pub(crate) fn open_at(&mut self, context: &mut Context<'_>, pair: (u16, u16)) -> (u16, u16) {
        let refused = (self.caller.address.port(), self.agent.address.port());
        self.recording.iter_mut().for_each(|recording| recording.change_ports(context.ports));
        self.caller.address.set_port(pair.0);
        self.agent.address.set_port(pair.1);
        self.open(context);
        refused
    }

    /// The ports are bound: call the other side.
    pub(super) fn dial(&mut self, context: &mut Context<'_>) {
        if !matches!(self.phase, Phase::Opening) {
            return;
        }
        if self.transfer.is_some() {
            return match self.calling {
                Side::Caller => self.take_caller(context),
                Side::Agent => self.take_consulting(context),
            };
        }
        if self.bounce.is_some() {
            return self.take_bounced(context);
        }
        if self.is_conference() {
            return self.take_conference(context);
        }
        if self.keyed.is_all() {
            return self.take_agent(context);
        }
        match self.call_other(context) {
            Ok(()) => {
                self.phase = Phase::Dialing;
                self.changed = true;
            }
            Err(status) => self.fail_setup(context, status),
        }
    }

    fn call_other(&mut self, context: &mut Context<'_>) -> Result<(), u16> {
        let (calling, called) = (self.calling, other(self.calling));
        let offer = self.setup.as_ref().and_then(|setup| setup.offer.as_ref());
        let preferred = offer.and_then(|offer| self.side(calling).passing(offer));
        let body = self.leg(called).offer(context.rng, preferred, Direction::SendRecv);
        let dialog = self.dial.call(context, body, None)?;
        let peer = self.dial.destination;
        let leg = self.leg(called);
        (leg.dialog, leg.peer) = (Some(dialog), peer);
        Ok(())
    }

    /// The called side says that it rings, or plays early media.
    pub(super) fn called_progress(&mut self, context: &mut Context<'_>, status: u16, body: Option<&Body>) {
        self.called_heard(context);
        let called = other(self.calling);
        let (Phase::Dialing, Some(calling)) = (&self.phase, self.side(self.calling).dialog) else { return };
        // A broken early description is no reason to lose the call: the final answer decides.
        let early = body.is_some_and(|body| self.leg(called).take_answer(body).is_ok());
        let answer = if early { self.early_answer(context) } else { None };
        context.endpoint.progress(context.now, calling, status, answer);
    }

    fn early_answer(&mut self, context: &mut Context<'_>) -> Option<Body> {
        self.connect(context, other(self.calling));
        let answer = self.answer_calling(context)?.ok()?;
        self.connect(context, self.calling);
        Some(answer)
    }

    /// The answer to the offer of who called; none when there was no offer.
    pub(super) fn answer_calling(&mut self, context: &mut Context<'_>) -> Option<Result<Body, u16>> {
        let setup = self.setup.as_mut()?;
        let offer = setup.offer.as_ref()?;
        if let Some(answer) = &setup.answer {
            return Some(Ok(answer.clone()));
        }
        let (leg, across) = in_order(self.calling, (&mut self.caller, &mut self.agent));
        let answer = leg.answer(context.rng, offer, across.codec(), Direction::SendRecv);
        setup.answer = answer.as_ref().ok().cloned();
        Some(answer.map_err(Unusable::status))
    }

    /// The called side answered.
    pub(super) fn called_answered(&mut self, context: &mut Context<'_>, body: Option<&Body>) {
        let (calling, called) = (self.calling, other(self.calling));
        let (Phase::Dialing, Some(calling_dialog), Some(called_dialog)) =
            (&self.phase, self.side(calling).dialog, self.side(called).dialog)
        else {
            return;
        };
        context.endpoint.ack(context.now, called_dialog, None);
        self.called_heard(context);
        if self.side(called).agreed.is_some() {
            // Who answers may be another than who played early media, and send another stream.
            self.media(context, media::Command::Disconnect { side: called });
        }
        let usable = match body {
            Some(body) => self.leg(called).take_answer(body).is_ok(),
            None => self.side(called).agreed.is_some(),
        };
        if !usable {
            return self.fail_setup(context, 488);
        }
        self.connect(context, called);
        let answer = match self.answer_calling(context) {
            Some(Ok(answer)) => answer,
            Some(Err(status)) => return self.fail_setup(context, status),
            None => {
                let codec = self.side(called).codec();
                self.leg(calling).owed_answer = true;
                self.leg(calling).offer(context.rng, codec, Direction::SendRecv)
            }
        };
        if self.side(calling).agreed.is_some() {
            self.connect(context, calling);
        }
        context.endpoint.accept(context.now, calling_dialog, Some(answer));
        self.setup = None;
        self.phase = Phase::Talking;
        self.changed = true;
        self.audit(context, origin_of(called), AuditAction::CallAnswered);
        self.hear_agent(context);
    }

    /// Somebody is there: no other place is called for this call.
    fn called_heard(&mut self, context: &mut Context<'_>) {
        self.dial.heard(context);
    }

    /// The agent's side is elsewhere: it is called there, if a route allows that, and not for ever (RFC 3261 §8.1.3.4). Whom
    /// an agent has called sends us nowhere.
    fn follow(&mut self, context: &mut Context<'_>, contacts: &[Uri]) -> bool {
        let (Phase::Dialing, Side::Caller, Some(setup)) = (&self.phase, self.calling, &mut self.setup) else {
            return false;
        };
        let numbers = contacts.iter().filter_map(Uri::user);
        // Who is to pay alone is sent so by whom a route trusts, with an order: nobody gets there by being sent on.
        let mut ways = numbers.filter_map(|number| context.way(self.caller.peer, number).ok());
        let Some(way) = ways.next().filter(|way| way.bounce.is_none() && setup.redirects < REDIRECTS_MAX) else {
            return false;
        };
        setup.redirects += 1;
        let Ok(dial) = self.dial.by(context, way) else { return false };
        // What was agreed on with the other trunk is not agreed on with this one, and what that one must protect may be more.
        let Ok(leg) = self.new_leg(context, Side::Agent, &dial) else { return false };
        self.dial = dial;
        self.extension = self.dial.extension.clone();
        if std::mem::replace(&mut self.agent, leg).agreed.is_some() {
            self.media(context, media::Command::Disconnect { side: Side::Agent });
        }
        self.changed = true;
        self.call_other(context).is_ok()
    }

    /// The called side did not take the call. If nobody was there, it is called at its next place.
    pub(super) fn called_failed(&mut self, context: &mut Context<'_>, status: u16, contacts: &[Uri]) {
        self.leg(other(self.calling)).dialog = None;
        if self.dial.was_silent(context, status) && self.call_other(context).is_ok() {
            return;
        }
        self.called_heard(context);
        if self.follow(context, contacts) {
            return;
        }
        // What concerns only us and the called side is not passed on as it is. A 503 would tell the carrier that this
        // trunk is down (RFC 3261 §16.7), and a 487 that the caller has given up.
        let status = match status {
            401 | 403 | 407 | 487 => 480,
            300..=399 | 500..=599 => 500,
            other => other,
        };
        self.fail_setup(context, status);
    }

    /// Refuses who called, or ends the call if that one is already answered.
    pub(super) fn fail_setup(&mut self, context: &mut Context<'_>, status: u16) {
        let is_setup = matches!(self.phase, Phase::Opening | Phase::Dialing);
        if is_setup && let Some(dialog) = self.leg(self.calling).dialog.take() {
            context.endpoint.reject(context.now, dialog, status, None, Vec::new());
        }
        let end = if (500..600).contains(&status) || status == 488 { CallEnd::Failed } else { CallEnd::NotAnswered };
        self.end(context, Origin::System, end);
    }
}

/// The caller's first, where the one that called comes first; and the other way round.
fn in_order<T>(calling: Side, (first, second): (T, T)) -> (T, T) {
    match calling {
        Side::Caller => (first, second),
        Side::Agent => (second, first),
    }
}

fn status_of(no_way: NoWay) -> u16 {
    match no_way {
        NoWay::Stranger => 403,
        NoWay::NoRoute => 404,
    }
}

fn read_offer(srtp: Srtp, body: &Body) -> Result<Offer, u16> {
    let offer = Offer::parse(body).map_err(|_| 400_u16)?;
    offer.agree_under(srtp, &CODECS).map(|_| ()).map_err(|_| 488_u16)?;
    Ok(offer)
}

/// Our media address for who called: of the family that the offer has, else of the one that the INVITE came by.
fn media_of_calling(config: &Config, from: Peer, srtp: Srtp, offer: Option<&Offer>) -> Result<IpAddr, u16> {
    let offered = offer.and_then(|offer| offer.agree_under(srtp, &CODECS).ok()).and_then(|agreed| agreed.remote);
    let ours = config.media_toward(offered.unwrap_or(from.address).ip());
    let is_usable = offered.is_none_or(|offered| offered.is_ipv4() == ours.is_ipv4());
    if is_usable { Ok(ours) } else { Err(488) }
}

fn pass_on(config: &Config, from: Peer, invite: &IncomingInvite, hops: u8) -> Vec<(String, Vec<u8>)> {
    let mut headers = passed(from, &invite.headers, &config.headers_passed);
    headers.push(("Max-Forwards".to_owned(), hops.to_string().into_bytes()));
    headers
}

/// The caller as the agent sees it: the number, else the display name.
pub(super) fn shown(from: &NameAddr) -> String {
    match (from.uri.user(), &from.display) {
        (Some(user), _) => printable(user),
        (None, Some(display)) => printable(&String::from_utf8_lossy(display)),
        (None, None) => String::new(),
    }
}

pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(CALLER_CHARACTERS_MAX).collect()
}
