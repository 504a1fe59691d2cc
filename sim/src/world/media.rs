//! The media of a call: at the level of keys a model of what `media::Session` promises, at the level of frames itself.

use super::lanes::address;
use super::{Happening, World};
use crate::sabotage::Sabotage;
use ::call::{MediaOrder, MediaReport};
use card::Key;
use media::{Codec, Command, Event, Policy, Session, Side, g711};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::CallId;

/// Between two proofs.
const PROOF: Duration = Duration::from_millis(500);
/// The unmasking rule.
const QUIET: Duration = Duration::from_secs(3);
/// What natural's return waits for besides.
const HELD_MAX: Duration = Duration::from_secs(1);
const SOUND_BYTES: usize = 160;
const RTP_HEADER_BYTES: usize = 12;

/// The media of one call.
pub(super) enum Media {
    Model(Model),
    Real(Box<Session>),
}

/// What a session promises, without its sound.
#[derive(Default)]
pub(super) struct Model {
    masked: bool,
    releasing: bool,
    /// The last key, or the beginning of the mask, or what a strict one counts from.
    disturbed: Option<Instant>,
    strict: bool,
    proof: Option<Instant>,
    /// Between these times it stands still.
    stall: Option<(Instant, Instant)>,
    /// What it was told meanwhile.
    told: Vec<Command>,
    suspects: bool,
    events: VecDeque<Event>,
}

impl Model {
    fn stands_still(&self, now: Instant) -> bool {
        self.stall.is_some_and(|(from, to)| (from..to).contains(&now))
    }

    fn handle_command(&mut self, now: Instant, command: Command, at_once: bool) {
        if self.stands_still(now) {
            return self.told.push(command);
        }
        match command {
            Command::Secure { policy } => {
                self.ask_for(now, policy);
                if !self.masked {
                    (self.masked, self.disturbed, self.proof) = (true, Some(now), Some(now + PROOF));
                }
                self.releasing = false;
                self.events.push_back(Event::Secured);
            }
            Command::Release if self.masked => {
                self.releasing = true;
                if self.strict {
                    self.disturbed = self.disturbed.max(Some(now));
                }
                self.events.push_back(Event::Releasing);
                if at_once {
                    self.open();
                }
            }
            Command::Release => self.events.push_back(Event::Opened),
            Command::Mask { policy } => self.ask_for(now, policy),
            Command::InfoKey { key, duration_ms } => {
                let down = Duration::from_millis(u64::from(duration_ms.unwrap_or(0)));
                self.key(now, now + down, key, false);
            }
            Command::Connect { .. }
            | Command::ConnectProtected { .. }
            | Command::Disconnect { .. }
            | Command::HearAgentKeys { .. }
            | Command::Copy { .. }
            | Command::StopCopies
            | Command::Cue { .. }
            | Command::CueStop
            | Command::TonesAlone
            | Command::End => {}
        }
    }

    /// Natural is counted from where it is asked for; a release does not count anew then.
    fn ask_for(&mut self, now: Instant, policy: Policy) {
        if self.masked && self.strict && policy == Policy::Natural {
            self.disturbed = self.disturbed.max(Some(now + HELD_MAX));
        }
        self.strict = policy == Policy::Strict;
    }

    fn key(&mut self, now: Instant, until: Instant, key: u8, lost: bool) {
        if !self.masked || self.stands_still(now) {
            return;
        }
        self.disturbed = self.disturbed.max(Some(until));
        let event = if lost { Some(Event::KeyLost) } else { Key::from_char(key).map(Event::Key) };
        self.events.extend(event);
        if std::mem::take(&mut self.suspects) {
            self.events.push_back(Event::LeakSuspected);
        }
    }

    fn open(&mut self) {
        (self.masked, self.releasing, self.proof) = (false, false, None);
        self.events.push_back(Event::Opened);
    }

    fn opens_at(&self) -> Option<Instant> {
        self.disturbed.filter(|_| self.releasing).map(|at| at + QUIET)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let due = [self.opens_at(), self.proof].into_iter().flatten().min();
        let Some((from, to)) = self.stall else { return due };
        let due = due.map(|due| if (from..to).contains(&due) { to } else { due });
        due.into_iter().chain((!self.told.is_empty()).then_some(to)).min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.stands_still(now) {
            return;
        }
        if self.stall.is_some_and(|(_, to)| to <= now) {
            self.stall = None;
            // What came in the meantime may have been keys: nothing of it was quiet.
            self.disturbed = self.disturbed.map(|_| now);
            std::mem::take(&mut self.told).into_iter().for_each(|command| self.handle_command(now, command, false));
        }
        if self.opens_at().is_some_and(|at| at <= now) {
            self.open();
        }
        if let Some(at) = self.proof.filter(|at| *at <= now) {
            self.proof = Some(at.max(now) + PROOF);
            self.events.push_back(Event::Proof { witnessed: media::Witnessed::default() });
        }
    }
}

impl Media {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Model(model) => model.poll_timeout(),
            Self::Real(session) => session.poll_timeout(),
        }
    }

    fn stats(&self) -> media::Stats {
        match self {
            Self::Model(_) => media::Stats::default(),
            Self::Real(session) => session.stats(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Model(model) => model.handle_timeout(now),
            Self::Real(session) => session.handle_timeout(now),
        }
    }
}

impl World {
    pub(super) fn media_order(&mut self, call: CallId, order: MediaOrder) {
        match order {
            MediaOrder::Open { caller, agent, .. } => self.open_media(call, caller, agent),
            MediaOrder::Command(command) => self.media_command(call, command),
            MediaOrder::Count => {
                if let Some(media) = self.cde.as_ref().and_then(|cde| cde.media.get(&call)) {
                    let stats = Box::new(media.stats());
                    self.report_media(call, MediaReport::Counted(stats));
                }
            }
            // There are no browsers in this world: their handshakes draw a randomness of their own.
            MediaOrder::Negotiate { .. } => {}
            MediaOrder::Close => {
                if let Some(media) = self.cde.as_mut().and_then(|cde| cde.media.remove(&call)) {
                    self.report_media(call, MediaReport::Closed(Box::new(media.stats())));
                }
                if let Some(cde) = &mut self.cde {
                    cde.ports.retain(|_, (owner, _)| *owner != call);
                }
                self.oracle.closed(call);
            }
        }
    }

    fn open_media(&mut self, call: CallId, caller: SocketAddr, agent: SocketAddr) {
        let [unopened, stalls, suspects] = self.plan.media_faults;
        if self.dice.per_mille(unopened) {
            return self.report_media(call, MediaReport::OpenFailed);
        }
        let media = if self.frames() {
            let config = media::Config { seed: self.dice.seed(), record: false, hold: media::Hold::default() };
            Media::Real(Box::new(Session::new(self.now, config)))
        } else {
            let stall = self.dice.per_mille(stalls).then(|| {
                let from = self.now + self.dice.ms(2_000, 40_000);
                (from, from + self.dice.ms(500, 20_000))
            });
            Media::Model(Model { stall, suspects: self.dice.per_mille(suspects), ..Model::default() })
        };
        if let Some(cde) = &mut self.cde {
            cde.media.insert(call, media);
            cde.ports.insert(caller, (call, Side::Caller));
            cde.ports.insert(agent, (call, Side::Agent));
        }
        self.report_media(call, MediaReport::Opened);
    }

    fn media_command(&mut self, call: CallId, command: Command) {
        let now = self.now;
        if let Command::InfoKey { duration_ms, .. } = &command {
            let down = Duration::from_millis(u64::from(duration_ms.unwrap_or(0)));
            self.oracle.key(call, now + down);
        }
        if let Command::Connect { side, remote } = &command
            && let Some(cde) = &mut self.cde
        {
            cde.remotes.insert((call, *side), *remote);
        }
        let at_once = self.sabotaged(Sabotage::OpenAtOnce);
        match self.cde.as_mut().and_then(|cde| cde.media.get_mut(&call)) {
            Some(Media::Model(model)) => model.handle_command(now, command, at_once),
            Some(Media::Real(session)) => session.handle_command(now, command),
            None => {}
        }
        self.drain_media(call);
    }

    /// A key by an event, at the level of keys; its packets may be lost.
    pub(super) fn event_key(&mut self, from: SocketAddr, key: u8, lost: bool) {
        let now = self.now;
        let Some(cde) = &mut self.cde else { return };
        let found = cde.remotes.iter().find(|((call, side), remote)| {
            *side == Side::Caller && remote.address == from && cde.media.contains_key(call)
        });
        let Some(call) = found.map(|((call, _), _)| *call) else { return };
        self.oracle.key(call, now);
        if let Some(Media::Model(model)) = cde.media.get_mut(&call) {
            model.key(now, now, key, lost);
        }
        self.drain_media(call);
    }

    pub(super) fn media_rtp(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        let Some(cde) = &mut self.cde else { return };
        let Some((call, side)) = cde.ports.get(&to).copied() else { return };
        let remote = cde.remotes.get(&(call, side)).copied();
        let is_key = remote.is_some_and(|remote| remote.telephone_event == payload_type(bytes));
        let Some(Media::Real(session)) = cde.media.get_mut(&call) else { return };
        session.handle_packet(now, side, from, bytes);
        if is_key && side == Side::Caller && remote.is_some_and(|remote| remote.address == from) {
            self.oracle.key(call, now);
        }
        self.drain_media(call);
    }

    /// Broken on purpose: what the caller sent goes to the agent as it is.
    pub(super) fn leak_packet(&mut self, to: SocketAddr, bytes: &[u8]) {
        let Some((call, Side::Caller)) = self.cde.as_ref().and_then(|cde| cde.ports.get(&to)).copied() else { return };
        self.pass_oracle(call, bytes);
    }

    pub(super) fn drain_all_media(&mut self) {
        let calls: Vec<CallId> = self.cde.iter().flat_map(|cde| cde.media.keys().copied()).collect();
        calls.into_iter().for_each(|call| self.drain_media(call));
    }

    fn drain_media(&mut self, call: CallId) {
        loop {
            let output = match self.cde.as_mut().and_then(|cde| cde.media.get_mut(&call)) {
                Some(Media::Model(model)) => model.events.pop_front().map(media::Output::Event),
                Some(Media::Real(session)) => session.poll_output(),
                None => None,
            };
            match output {
                None => return,
                Some(media::Output::Event(event)) => self.media_event(call, event),
                Some(media::Output::Send { side: Side::Agent, to, packet }) => {
                    self.pass_oracle(call, packet.as_bytes());
                    self.send_media(call, Side::Agent, to, packet.as_bytes());
                }
                Some(media::Output::Control { side, to, packet, .. }) => {
                    if side == Side::Agent {
                        self.oracle.agent_report(call, packet.as_bytes());
                    }
                    // The phones here have one port for both.
                    self.send_media(call, side, to, packet.as_bytes());
                }
                Some(media::Output::Send { side, to, packet }) => self.send_media(call, side, to, packet.as_bytes()),
                // Nothing is recorded here, and there is no recorder.
                Some(media::Output::Recorded(_) | media::Output::Copy { .. } | media::Output::CopyControl { .. }) => {}
            }
        }
    }

    fn media_event(&mut self, call: CallId, event: Event) {
        match &event {
            Event::Secured => self.oracle.masked(call),
            Event::Opened => self.oracle.opened(call),
            Event::Key(_) if !self.sabotaged(Sabotage::HideKeys) => self.oracle.given(call),
            _ => {}
        }
        self.report_media(call, MediaReport::Event(event));
    }

    /// Every packet to the agent goes past the oracle.
    fn pass_oracle(&mut self, call: CallId, bytes: &[u8]) {
        let remote = self.cde.as_ref().and_then(|cde| cde.remotes.get(&(call, Side::Agent))).copied();
        let Some(remote) = remote else { return };
        let sound = bytes.get(RTP_HEADER_BYTES..).unwrap_or_default();
        let is_sound = payload_type(bytes) == Some(remote.payload_type) && sound.len() == SOUND_BYTES;
        let Codec::G711(law) = remote.codec else { unreachable!("phones speak G.711 here") };
        let samples = sound.iter().map(|code| g711::decode(law, *code));
        self.oracle.agent_packet(call, bytes, is_sound, samples);
    }

    fn send_media(&mut self, call: CallId, side: Side, to: SocketAddr, bytes: &[u8]) {
        let own = self
            .cde
            .as_ref()
            .and_then(|cde| cde.ports.iter().find(|(_, owner)| **owner == (call, side)).map(|(address, _)| *address));
        if let Some(from) = own {
            self.send_rtp(from, to, bytes);
        }
    }

    /// Reports of a session keep their order.
    fn report_media(&mut self, call: CallId, report: MediaReport) {
        let way = self.dice.ms(0, 3);
        let now = self.now;
        let Some(cde) = &mut self.cde else { return };
        cde.reported = cde.reported.max(now + way);
        let (at, life) = (cde.reported, cde.life);
        self.at(at, Happening::Report { life, call, report });
    }

    /// Is the line of the call with this agent's phone masked?
    pub(super) fn agent_is_masked(&self, agent_sip: SocketAddr) -> bool {
        let lane = self.lanes.iter().position(|lane| lane.agent.sip() == agent_sip);
        let rtp = lane.map(|lane| address(lane, true, 40_000));
        self.cde.iter().flat_map(|cde| cde.remotes.iter()).any(|((call, side), remote)| {
            *side == Side::Agent && Some(remote.address) == rtp && self.oracle.is_masked(*call)
        })
    }
}

fn payload_type(bytes: &[u8]) -> Option<u8> {
    bytes.get(1).map(|byte| byte & 0x7F)
}
