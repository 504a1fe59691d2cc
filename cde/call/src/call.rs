//! One call: a caller leg, an agent leg, the line between them and the payment on it.
//!
//! Everything about one call happens here in one order: SIP, media reports, commands and timers come through the
//! `handle_*` methods one after the other.

mod bounced;
mod conference;
mod dial;
mod end;
mod figures;
mod handover;
mod hook;
mod keyed;
mod line;
mod on_demand;
mod pay;
mod recording;
mod session;
mod setup;
mod testcall;

use crate::bounce::codes::Codes;
use crate::config::{NoWay, Way};
use crate::ladder::{Who, clean};
use crate::leg::Leg;
use crate::orders::Orders;
use crate::pins::Pins;
use crate::switchboard::{Commands, MediaOrder, MediaReport, Output, Ports};
use crate::transfers::Transfers;
use crate::trunks::Trunks;
use crate::wall::Wall;
use crate::{Config, OpenLineKeys};
use bounced::Bounced;
use conference::Conference;
use dial::Dial;
pub(crate) use figures::Parting;
use handover::{Handover, Named};
use hook::Hook;
use keyed::Keyed;
use line::Line;
use media::Side;
use on_demand::Transfer;
use pay::Till;
use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use recording::Recording;
use session::Relay;
pub(crate) use setup::{Arrival, NoCall};
use setup::{Phase, Setup};
use sip::{DialogId, Endpoint, Peer};
use std::collections::VecDeque;
use std::time::Instant;
pub(crate) use testcall::TestCall;
use wire::{
    Action, AuditAction, AuditEvent, CallId, CallSnapshot, CallState, Command, CommandId, Event, Extension, Origin,
    Refusal, WayIn,
};

/// What a call may use while it acts.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) wall: Wall,
    pub(crate) config: &'a Config,
    pub(crate) endpoint: &'a mut Endpoint,
    pub(crate) rng: &'a mut ChaCha12Rng,
    pub(crate) trunks: &'a mut Trunks,
    pub(crate) ports: &'a mut Ports,
    pub(crate) commands: &'a mut Commands,
    pub(crate) transfers: &'a mut Transfers,
    pub(crate) orders: &'a mut Orders,
    pub(crate) codes: &'a mut Codes,
    pub(crate) pins: &'a Pins,
    pub(crate) outputs: &'a mut VecDeque<Output>,
}

impl Context<'_> {
    /// Where a call from there to this number goes.
    pub(crate) fn way(&self, from: Peer, called: &str) -> Result<Way, NoWay> {
        self.config.way(from, self.endpoint.user_at(from), called)
    }

    /// Notes what a call to a place of a trunk has shown of it.
    pub(crate) fn called(&mut self, peer: Peer, is_alive: bool) {
        let turned = self.trunks.called(self.now, peer, is_alive);
        self.outputs.extend(turned.map(|turned| Output::turned(self.config, &turned)));
    }

    /// For an id.
    pub(crate) fn random(&mut self) -> u128 {
        u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64())
    }

    /// Answers a command.
    pub(crate) fn answer(&mut self, id: CommandId, result: Result<(), Refusal>) {
        let event = self.commands.end(id, result);
        self.outputs.extend(event.map(Output::Wire));
    }
}

pub(crate) struct Call {
    id: CallId,
    extension: Extension,
    open_line_keys: OpenLineKeys,
    caller_shown: String,
    /// Who they are to whoever takes them over.
    caller_named: Named,
    called: String,
    way: WayIn,
    /// The caller's keys pass through a PBX before they come to us.
    keys_cross_pbx: bool,
    /// Of a caller who was transferred to us: until the agent is back.
    transfer: Option<Box<Transfer>>,
    /// After an attended transfer: an agent who hangs up before that has only put down the call that they transferred.
    puts_down_until: Option<Instant>,
    /// Of a caller who pays alone: until they are back where they came from.
    bounce: Option<Box<Bounced>>,
    /// We are a member of one, and there is no agent's leg.
    conference: Option<Box<Conference>>,
    /// What an agent with a PIN presses before it; none where that secures nothing.
    feature_code: Option<Box<[u8]>>,
    /// The keys of the agent's that may be a code and a PIN.
    keyed: Keyed,
    started_unix_ms: i64,
    /// Who called: the caller, or on an outbound route the agent. The other side is the one that we call.
    calling: Side,
    caller: Leg,
    agent: Leg,
    /// Whom we call.
    dial: Dial,
    /// The leg that is to take one's place.
    handover: Option<Handover>,
    /// A leg of its own that is asked to join another call.
    lent: Option<DialogId>,
    /// A side that must be offered again how things are.
    again: session::Again,
    phase: Phase,
    /// Until who called is answered.
    setup: Option<Setup>,
    relay: Option<Relay>,
    line: Line,
    /// Where a recorder elsewhere is to have the call.
    recording: Option<Box<Recording>>,
    /// Where recorders elsewhere are to pause while the line is not open.
    hook: Option<Box<Hook>>,
    till: Till,
    /// When the media session is asked how the legs fare.
    figures_at: Option<Instant>,
    /// Something that the office sees has changed.
    changed: bool,
    /// How often a lost agent was called again.
    recalls: u8,
    /// How many more pairs of ports may be tried.
    pub(crate) pairs_left: u8,
    /// The timer that the switchboard knows of.
    pub(crate) timer: Option<Instant>,
}

impl Call {
    pub(crate) fn handle_command(&mut self, context: &mut Context<'_>, command: &Command) {
        let result = match &command.action {
            Action::Secure => return self.command_secure(context, command),
            Action::Release => return self.command_release(context, command),
            Action::Authorize { payment } => return self.command_authorize(context, command, *payment),
            Action::StartPayment(order) => self.start_payment(context, &command.origin, order),
            Action::RequestField { payment, field } => self.request_field(context, *payment, *field),
            Action::ResetField { payment, field } => self.reset_field(context, *payment, *field),
            Action::Cancel { payment } => self.cancel_payment(context, command, *payment),
            Action::PauseRecorders => self.pause_recorders(context),
            Action::RecordersPaused { round } => self.recorders_said(context, *round, Ok(())),
            Action::RecordersNotPaused { round, why } => self.recorders_said(context, *round, Err(*why)),
            // The switchboard has answered these.
            Action::Ladder | Action::Ladders | Action::TestCall { .. } => Ok(()),
            // No call's business: the owner of the journal does these.
            Action::Capture { .. }
            | Action::Void { .. }
            | Action::Refund { .. }
            | Action::Settle { .. }
            | Action::ChargeStored(_)
            | Action::DeleteStored { .. }
            | Action::DeletedByHand { .. }
            | Action::Gateways
            | Action::Report { .. }
            | Action::SetCredential { .. } => Err(Refusal::WrongState),
            // It is about a call that is not yet there.
            Action::AwaitTransfer { .. } | Action::OrderBounced(_) => Err(Refusal::WrongState),
        };
        self.finish(context, command, result);
    }

    /// Answers a command and, if it was refused, says so in the audit trail.
    fn finish(&mut self, context: &mut Context<'_>, command: &Command, result: Result<(), Refusal>) {
        if let Err(reason) = result {
            self.audit(context, command.origin.clone(), AuditAction::Refused { reason });
        }
        context.answer(command.id, result);
    }

    pub(crate) fn handle_media(&mut self, context: &mut Context<'_>, report: MediaReport) {
        match report {
            MediaReport::Opened => self.dial(context),
            MediaReport::OpenFailed => self.fail_setup(context, 503),
            MediaReport::Counted(stats) => self.counted(context, &stats),
            // It answers the end of a call, which is gone by then.
            MediaReport::Closed(_) => {}
            MediaReport::Lost { side } => self.lost(context, side),
            MediaReport::Event(media::Event::Key(key)) => self.key(context, key),
            MediaReport::Event(media::Event::KeyLost) => self.key_lost(context),
            MediaReport::Event(media::Event::AgentCode) => self.agent_code(),
            MediaReport::Event(media::Event::AgentDigit(key)) => self.agent_digit(key),
            MediaReport::Event(media::Event::AgentDigitsEnd) => self.agent_digits_end(context),
            MediaReport::Event(event) => self.line_event(context, &event),
        }
    }

    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        self.line_timeout(context);
        self.till_timeout(context);
        self.handover_timeout(context);
        self.keyed_timeout(context);
        self.recording_timeout(context);
        self.hook_timeout(context);
        self.figures_timeout(context);
        self.again_timeout(context);
        self.bounce_timeout(context);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let handover = self.handover.as_ref().map(Handover::poll_timeout);
        let recording = self.recording.as_ref().and_then(|recording| recording.poll_timeout());
        let own = [
            self.line.poll_timeout(),
            self.till.poll_timeout(),
            self.figures_at,
            self.again.poll_timeout(),
            self.keyed.poll_timeout(),
            self.bounce.as_ref().and_then(|bounce| bounce.poll_timeout()),
            self.hook.as_ref().and_then(|hook| hook.poll_timeout()),
        ];
        own.into_iter().chain([handover, recording]).flatten().min()
    }

    /// After every input: what the payment wants done, and the office's picture if it changed.
    pub(crate) fn settle(&mut self, context: &mut Context<'_>) {
        self.keep_hook(context);
        self.drain_payment(context);
        self.keep_bounce(context);
        self.keep_conference(context);
        self.mask_as_needed(context);
        self.keep_recording(context);
        self.keep_figures(context.now);
        if std::mem::take(&mut self.changed)
            && let Some(call) = self.snapshot()
        {
            context.outputs.push_back(Output::Wire(Event::Call { call }));
        }
    }

    /// The office's picture; none before the agent's phone rings and after the end.
    pub(crate) fn snapshot(&self) -> Option<CallSnapshot> {
        let state = match self.phase {
            Phase::Opening | Phase::Keying | Phase::Over => return None,
            Phase::Consulting => CallState::Awaited,
            Phase::Dialing => CallState::Ringing,
            Phase::Talking if self.pays_alone() => CallState::SelfService,
            Phase::Talking if self.agent.dialog.is_none() && !self.is_conference() => CallState::Ringing,
            Phase::Talking if self.held() => CallState::Held,
            Phase::Talking => CallState::Talking,
        };
        Some(CallSnapshot {
            call: self.id,
            extension: self.extension.clone(),
            caller: self.caller_shown.clone(),
            called: self.called.clone(),
            way: self.way,
            keys_cross_pbx: self.keys_cross_pbx,
            started_unix_ms: self.started_unix_ms,
            state,
            line: self.line.state(),
            line_since_unix_ms: self.line.since_unix_ms(),
            masking: self.line.masking(),
            payment: self.till.shown().cloned(),
            hook: self.hook.as_ref().map(|hook| hook.snapshot()),
        })
    }

    pub(crate) fn dialogs(&self) -> [Option<DialogId>; 4] {
        let new_leg = self.handover.as_ref().and_then(Handover::dialog);
        [self.caller.dialog, self.agent.dialog, new_leg, self.recorder_dialog()]
    }

    /// Who calls whom, for those who read its messages.
    pub(crate) fn who(&self) -> Who {
        let (from, to) = match self.calling {
            Side::Caller => (self.caller_shown.as_str(), self.called.as_str()),
            Side::Agent => (self.extension.as_str(), self.caller_shown.as_str()),
        };
        Who { from: clean(from), to: clean(to) }
    }

    /// Who its sides are connected to, or called at.
    pub(crate) fn peers(&self) -> impl Iterator<Item = Peer> {
        [&self.caller, &self.agent].into_iter().filter(|leg| leg.dialog.is_some()).map(|leg| leg.peer)
    }

    fn recorder_dialog(&self) -> Option<DialogId> {
        self.recording.as_ref().and_then(|recording| recording.dialog())
    }

    /// Those of its legs, and those that a recorder is sent copies from.
    pub(crate) fn ports(&self) -> [Option<(u16, u16)>; 2] {
        let legs = (self.caller.address.port(), self.agent.address.port());
        [Some(legs), self.recording.as_ref().map(|recording| recording.ports())]
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    fn side(&self, side: Side) -> &Leg {
        match side {
            Side::Caller => &self.caller,
            Side::Agent => &self.agent,
        }
    }

    fn leg(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::Caller => &mut self.caller,
            Side::Agent => &mut self.agent,
        }
    }

    fn side_of(&self, dialog: DialogId) -> Option<Side> {
        if self.caller.dialog == Some(dialog) {
            Some(Side::Caller)
        } else {
            (self.agent.dialog == Some(dialog)).then_some(Side::Agent)
        }
    }

    fn media(&self, context: &mut Context<'_>, command: media::Command) {
        context.outputs.push_back(Output::Media { call: self.id, order: MediaOrder::Command(command) });
    }

    /// Tells the media session where a leg's peer is now.
    fn connect(&self, context: &mut Context<'_>, side: Side) {
        let leg = self.side(side);
        if let Some((remote, terms)) = leg.negotiation() {
            let order = MediaOrder::Negotiate { side, remote, terms };
            return context.outputs.push_back(Output::Media { call: self.id, order });
        }
        // A browser is nowhere before it has said all that it is found by.
        let remote = leg.remote().filter(|_| !leg.is_web()).map(|remote| context.config.behind_nat(leg.peer, remote));
        let command = match (remote, leg.protected()) {
            (Some(remote), false) => media::Command::Connect { side, remote },
            (Some(remote), true) => match leg.keys() {
                Some(keys) => media::Command::ConnectProtected { side, remote, keys },
                None => media::Command::Disconnect { side },
            },
            (None, _) => media::Command::Disconnect { side },
        };
        self.media(context, command);
    }

    fn audit(&self, context: &mut Context<'_>, origin: Origin, action: AuditAction) {
        let event = AuditEvent { origin, call: self.id, extension: self.extension.clone(), action };
        context.outputs.push_back(Output::Audit(event));
    }
}

/// Who a side is in the audit trail.
fn origin_of(side: Side) -> Origin {
    match side {
        Side::Caller => Origin::Caller,
        Side::Agent => Origin::AgentPhone,
    }
}

/// The other side.
fn other(side: Side) -> Side {
    match side {
        Side::Caller => Side::Agent,
        Side::Agent => Side::Caller,
    }
}
