//! A recorder elsewhere (RFC 7866): what each side is sent goes to it too, as a recording session of its own.
//!
//! It is called when both sides are connected, and again, a few times, when it cannot be reached or leaves. Its place among
//! the ports is taken with the call's. What it is told of the call is who speaks, in the words that the desk has.

use super::{Call, Context, Phase};
use crate::config::Recorder;
use crate::leg::{Leg, Unusable};
use crate::switchboard::Ports;
use media::Side;
use rand_core::Rng;
use sip::offer_answer::{Answer, Codec};
use sip::siprec::{self, Metadata, Participant};
use sip::{Body, DialogId, Event, Invite, NameAddr, Peer, RequestId, Uri};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::record::{AlarmKind, RecordingState};
use wire::{AuditAction, CallEnd, Extension, Origin};

/// How often a session may fail or be lost in one call; each is tried at all places of the recorder.
const FAILURES_MAX: u8 = 3;
/// A recorder that has not answered by then is taken for gone.
const ANSWER: Duration = Duration::from_secs(5);
/// Before it is called again.
const AGAIN: Duration = Duration::from_secs(2);
/// The sides in the order of their streams: what the agent is sent, which is the caller's voice, and the agent's.
const SIDES: [Side; 2] = [Side::Agent, Side::Caller];

pub(crate) struct Recording {
    recorder: Recorder,
    /// Where the streams leave from, in their order.
    ports: (u16, u16),
    dialog: Option<DialogId>,
    streams: Option<[Leg; 2]>,
    /// Of what the session is, or is to be; none before the first.
    subject: Option<Subject>,
    state: State,
    /// Where it is still to be called in this session, and where it was last, while nothing was heard from there.
    places: VecDeque<Peer>,
    called: Option<Peer>,
    failures_left: u8,
}

/// What a session is of; one of something else is another session.
#[derive(PartialEq, Eq)]
struct Subject {
    /// Of the streams, in their order.
    codecs: [Codec; 2],
    /// Of the agent.
    extension: Extension,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is to be called as soon as both sides are connected.
    Due,
    Waiting(Instant),
    Calling {
        until: Instant,
    },
    Standing,
    GivenUp,
}

impl Recording {
    /// None for a call that is not recorded. The error is a status.
    pub(super) fn of(ports: &mut Ports, recorder: Option<Recorder>) -> Result<Option<Box<Self>>, u16> {
        let Some(recorder) = recorder else { return Ok(None) };
        let ports = ports.take().ok_or(503_u16)?;
        Ok(Some(Box::new(Self {
            recorder,
            ports,
            dialog: None,
            streams: None,
            subject: None,
            state: State::Due,
            places: VecDeque::new(),
            called: None,
            failures_left: FAILURES_MAX,
        })))
    }

    pub(super) fn dialog(&self) -> Option<DialogId> {
        self.dialog
    }

    pub(super) fn ports(&self) -> (u16, u16) {
        self.ports
    }

    /// The ports could not be bound: others, if there are any.
    pub(super) fn change_ports(&mut self, ports: &mut Ports) {
        if let Some(pair) = ports.take() {
            ports.give_back(std::mem::replace(&mut self.ports, pair));
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(at) | State::Calling { until: at } => Some(at),
            State::Due | State::Standing | State::GivenUp => None,
        }
    }

    /// Where the streams leave from.
    pub(super) fn addresses(&self, context: &Context<'_>) -> Option<[SocketAddr; 2]> {
        let target = context.config.trunks.get(self.recorder.trunk)?.targets.first()?;
        let ip = context.config.media_toward(target.ip);
        Some([self.ports.0, self.ports.1].map(|port| SocketAddr::new(ip, port)))
    }

    /// The description of both streams as they are now.
    fn offer(&mut self, context: &mut Context<'_>) -> Option<Body> {
        let [first, second] = self.streams.as_mut()?;
        let origin = first.next_origin();
        let [of_first, of_second] = self.subject.as_ref()?.codecs;
        let streams = [(first, of_first), (second, of_second)];
        Some(siprec::offer(origin, streams.map(|(leg, codec)| leg.offer_copies(context.rng, codec))))
    }

    fn take(&mut self, body: &Body) -> Result<(), Unusable> {
        let answer = Answer::parse(body).map_err(|_| Unusable::Malformed)?;
        let [first, second] = self.streams.as_mut().ok_or(Unusable::NotAcceptable)?;
        first.take_answer_at(&answer, (0, 2))?;
        second.take_answer_at(&answer, (1, 2))
    }

    /// Somebody is there.
    fn heard(&mut self, context: &mut Context<'_>) {
        if let Some(peer) = self.called.take() {
            context.called(peer, true);
        }
    }
}

/// In what a leg of this codec is recorded: its own, but recorders know no Opus.
fn recorded(codec: Codec) -> Codec {
    if codec == Codec::Opus { Codec::Pcmu } else { codec }
}

impl Call {
    /// After every input: calls the recorder when it is time, and anew when the sides have come to other codecs or the call to
    /// another agent.
    pub(super) fn keep_recording(&mut self, context: &mut Context<'_>) {
        let codecs = (self.agent.codec(), self.caller.codec());
        let (Phase::Talking, (Some(agent), Some(caller)), Some(recording)) = (&self.phase, codecs, &self.recording)
        else {
            return;
        };
        let subject = Subject { codecs: [agent, caller].map(recorded), extension: self.extension.clone() };
        if recording.state == State::Standing && recording.subject.as_ref() != Some(&subject) {
            self.hang_up_recorder(context, State::Due);
            self.media(context, media::Command::StopCopies);
        }
        if let Some(recording) = self.recording.as_mut().filter(|recording| recording.state == State::Due) {
            recording.subject = Some(subject);
            recording.places = context.trunks.order(context.now, recording.recorder.trunk, context.rng);
            self.call_recorder(context);
        }
    }

    pub(super) fn recording_timeout(&mut self, context: &mut Context<'_>) {
        let Some(recording) = &mut self.recording else { return };
        match recording.state {
            State::Waiting(at) if at <= context.now => recording.state = State::Due,
            State::Calling { until } if until <= context.now => {
                self.hang_up_recorder(context, State::Due);
                self.recorder_failed(context, 408);
            }
            _ => {}
        }
    }

    /// At its next place.
    fn call_recorder(&mut self, context: &mut Context<'_>) {
        match self.invite_recorder(context) {
            Some(dialog) => {
                let until = context.now + ANSWER;
                let calling = |recording: &mut Box<Recording>| {
                    recording.dialog = Some(dialog);
                    recording.state = State::Calling { until };
                };
                self.recording.iter_mut().for_each(calling);
            }
            None => self.recorder_failed(context, 500),
        }
    }

    fn invite_recorder(&mut self, context: &mut Context<'_>) -> Option<DialogId> {
        let recording = self.recording.as_mut()?;
        let destination = recording.places.pop_front()?;
        recording.called = Some(destination);
        let trunk = context.config.trunks.get(recording.recorder.trunk)?;
        let [first, second] = recording.addresses(context)?;
        let leg = |rng: &mut rand_chacha::ChaCha12Rng, at| Leg::new(at, rng.next_u64(), trunk.srtp, destination);
        recording.streams = Some([leg(context.rng, first), leg(context.rng, second)]);
        let body = recording.offer(context);
        let credentials = context.config.credentials(recording.recorder.trunk);
        let metadata = self.metadata(context, destination)?;
        let target = Uri::sip(None, destination.address).ok()?;
        let invite = Invite {
            to: NameAddr::new(target.clone()),
            target,
            destination: Some(destination),
            tcp_when_large: trunk.tcp_when_large,
            from: NameAddr::new(Uri::sip(None, context.endpoint.local(destination).address).ok()?),
            headers: Vec::new(),
            body,
            credentials,
        };
        context.endpoint.record(context.now, invite, &metadata).ok()
    }

    /// Who speaks: the numbers that the desk shows, and nothing else of the call.
    fn metadata(&self, context: &mut Context<'_>, destination: Peer) -> Option<Metadata> {
        let ours = context.endpoint.local(destination).address;
        let mut participant = |user: &str| {
            let [mut id, mut stream] = [[0; 16]; 2];
            context.rng.fill_bytes(&mut id);
            context.rng.fill_bytes(&mut stream);
            let address = Uri::sip(Some(user), ours).or_else(|_| Uri::sip(None, ours)).ok()?;
            Some(Participant { id, stream, address })
        };
        Some(Metadata {
            session: *self.id.0.as_bytes(),
            participants: [participant(&self.caller_shown)?, participant(self.extension.as_str())?],
            since_unix_ms: context.wall.unix_ms(context.now),
        })
    }

    pub(super) fn recording_event(&mut self, context: &mut Context<'_>, event: Event) {
        let Some(recording) = &mut self.recording else { return };
        match event {
            Event::Progress { .. } => recording.heard(context),
            Event::Answered { dialog, body } => {
                context.endpoint.ack(context.now, dialog, None);
                recording.heard(context);
                self.recorder_answered(context, body.as_ref());
            }
            Event::Failed { status, .. } => {
                recording.dialog = None;
                self.recorder_failed(context, status);
            }
            Event::Ended { .. } => {
                recording.dialog = None;
                self.recorder_lost(context);
            }
            Event::Reinvite { dialog, body } => self.recorder_offers(context, dialog, body.as_ref()),
            Event::Update { request, body, .. } => self.recorder_updates(context, request, &body),
            Event::RefreshDue { dialog } => {
                let offer = recording.offer(context);
                // If it cannot be sent now, the session ends when nobody has refreshed it, and another begins.
                let _ = context.endpoint.reinvite(context.now, dialog, offer);
            }
            Event::Confirmed { body: Some(body), .. } | Event::ReinviteAnswered { body: Some(body), .. }
                if recording.take(&body).is_ok() =>
            {
                self.copy(context);
            }
            Event::Request { request, .. } => context.endpoint.respond(context.now, request, 415),
            Event::Refer { request, .. } => context.endpoint.respond(context.now, request, 403),
            _ => {}
        }
    }

    fn recorder_answered(&mut self, context: &mut Context<'_>, body: Option<&Body>) {
        let Some(recording) = &mut self.recording else { return };
        if body.is_none_or(|body| recording.take(body).is_err()) {
            self.hang_up_recorder(context, State::Due);
            return self.recorder_failed(context, 488);
        }
        recording.state = State::Standing;
        self.copy(context);
        self.audit_recording(context, RecordingState::Started);
    }

    /// It pauses, goes on, or is elsewhere.
    fn recorder_offers(&mut self, context: &mut Context<'_>, dialog: DialogId, body: Option<&Body>) {
        let Some(recording) = &mut self.recording else { return };
        if let Some(Err(unusable)) = body.map(|body| recording.take(body)) {
            return context.endpoint.reject(context.now, dialog, unusable.status(), None, Vec::new());
        }
        let ours = recording.offer(context);
        context.endpoint.accept(context.now, dialog, ours);
        self.copy(context);
    }

    fn recorder_updates(&mut self, context: &mut Context<'_>, request: RequestId, body: &Body) {
        let Some(recording) = &mut self.recording else { return };
        match (recording.take(body), recording.offer(context)) {
            (Ok(()), Some(ours)) => {
                context.endpoint.accept_update(context.now, request, ours);
                self.copy(context);
            }
            (result, _) => {
                context.endpoint.respond(context.now, request, result.map_or_else(Unusable::status, |()| 500))
            }
        }
    }

    /// Has the media session copy what each side is sent, as it was agreed on.
    fn copy(&self, context: &mut Context<'_>) {
        let streams = self.recording.iter().filter_map(|recording| recording.streams.as_ref()).flatten();
        for (side, leg) in SIDES.into_iter().zip(streams) {
            let Some(remote) = leg.remote().filter(|_| !leg.protected() || leg.keys().is_some()) else { continue };
            let mut seed = [0; 32];
            context.rng.fill_bytes(&mut seed);
            self.media(context, media::Command::Copy { side, remote, keys: leg.keys(), seed });
        }
    }

    /// The session that stood is over; another is tried.
    fn recorder_lost(&mut self, context: &mut Context<'_>) {
        self.media(context, media::Command::StopCopies);
        self.audit_recording(context, RecordingState::Lost);
        self.try_another(context);
    }

    /// It was called in vain: at its next place if nobody was there, else again later.
    fn recorder_failed(&mut self, context: &mut Context<'_>, status: u16) {
        let Some(recording) = &mut self.recording else { return };
        match recording.called.take() {
            Some(peer) if matches!(status, 408 | 503) => {
                context.called(peer, false);
                if !recording.places.is_empty() {
                    return self.call_recorder(context);
                }
            }
            Some(peer) => context.called(peer, true),
            None => {}
        }
        self.try_another(context);
    }

    fn try_another(&mut self, context: &mut Context<'_>) {
        let Some(recording) = &mut self.recording else { return };
        recording.failures_left = recording.failures_left.saturating_sub(1);
        if recording.failures_left > 0 {
            recording.state = State::Waiting(context.now + AGAIN);
            return;
        }
        recording.state = State::GivenUp;
        let is_required = recording.recorder.is_required;
        self.audit_recording(context, RecordingState::Failed);
        if is_required {
            self.audit(context, Origin::System, AuditAction::Alarm { kind: AlarmKind::NotRecorded });
            self.end(context, Origin::System, CallEnd::Failed);
        }
    }

    fn audit_recording(&self, context: &mut Context<'_>, recording: RecordingState) {
        self.audit(context, Origin::System, AuditAction::Recording { recording });
    }

    /// Ends the session, whatever it has come to. What follows?
    fn hang_up_recorder(&mut self, context: &mut Context<'_>, next: State) {
        let Some(recording) = &mut self.recording else { return };
        recording.state = next;
        recording.dialog.take().into_iter().for_each(|dialog| context.endpoint.bye(context.now, dialog));
    }

    /// The call is over, and so is its recording.
    pub(super) fn end_recording(&mut self, context: &mut Context<'_>) {
        self.hang_up_recorder(context, State::GivenUp);
    }
}
