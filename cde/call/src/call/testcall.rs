//! A call to the test number of a trunk: is somebody there, is it answered, does sound come? It has one leg, which hears generated
//! sound as an agent does on a masked line, so that packets go out whatever comes in.

use super::Context;
use super::dial::Dial;
use super::figures::SAMPLE_US;
use crate::config::{OpenLineKeys, Way};
use crate::leg::{CODECS, Leg};
use crate::switchboard::{MediaOrder, MediaReport, Output};
use media::{Policy, Side, Stats};
use rand_core::Rng;
use sip::offer_answer::Direction;
use sip::{Body, DialogId, Event, NameAddr, RequestId};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::testcall::{TestEvent, TestResult, TestSnapshot, TestStep};
use wire::{CallId, Extension, PeerFigures, Refusal};

/// How long a place may take to answer OPTIONS.
const ASKED: Duration = Duration::from_secs(5);
/// How long the number may ring.
const RING: Duration = Duration::from_secs(30);
/// How long sound is listened to.
const LISTEN: Duration = Duration::from_secs(5);
/// How long the media session may take to open or to count.
const CONFIRM: Duration = Duration::from_secs(2);
/// Steps of a test; a peer may send provisional responses without end.
const STEPS_MAX: usize = 32;
/// Who calls, where the trunk has given no name.
const CALLER: &str = "tonewall";

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    ExpectProbe(RequestId),
    ExpectPorts,
    ExpectAnswer,
    ExpectSound,
    ExpectCount,
    Over,
}

/// One test.
pub(crate) struct TestCall {
    pub(crate) id: CallId,
    name: String,
    number: Extension,
    began: Instant,
    started_unix_ms: i64,
    state: State,
    until: Instant,
    pub(crate) ports: (u16, u16),
    dial: Dial,
    leg: Leg,
    steps: Vec<TestStep>,
    result: Option<TestResult>,
    changed: bool,
}

impl TestCall {
    /// The test of a trunk, which asks first whether somebody is there.
    pub(crate) fn begin(
        context: &mut Context<'_>,
        id: CallId,
        trunk: usize,
        ports: (u16, u16),
    ) -> Result<Self, Refusal> {
        let of = context.config.trunks.get(trunk).ok_or(Refusal::UnknownTrunk)?;
        let (name, srtp, tcp_when_large) = (of.name.clone(), of.srtp, of.tcp_when_large);
        let number = of.test_number.clone().ok_or(Refusal::NoTestNumber)?;
        let user = of.login.as_ref().map_or(CALLER, |login| login.user.as_str());
        let place = of.targets.first().map(|target| of.destination(target)).ok_or(Refusal::NoTestNumber)?;
        let from = NameAddr::new(of.uri(Some(user), place).ok_or(Refusal::NoTestNumber)?);
        let open_line_keys = OpenLineKeys::Ignore;
        let (extension, outbound, recorder, hook) = (number.clone(), false, None, None);
        let (srtp_both, feature_code, bounce) = ((srtp, srtp), String::new(), None);
        let way = Way {
            trunk,
            tcp_when_large,
            extension,
            open_line_keys,
            outbound,
            recorder,
            hook,
            srtp: srtp_both,
            feature_code,
            bounce,
            behind: String::new(),
        };
        let dial = Dial::new(context, way, &from, Vec::new()).map_err(|_| Refusal::NoTestNumber)?;
        let peer = dial.destination;
        let ip = context.config.media_toward(peer.address.ip());
        let leg = Leg::new(SocketAddr::new(ip, ports.1), context.rng.next_u64(), srtp, peer);
        let request = context.endpoint.probe(context.now, peer).map_err(|_| Refusal::Busy)?;
        Ok(Self {
            id,
            name,
            number,
            began: context.now,
            started_unix_ms: context.wall.unix_ms(context.now),
            state: State::ExpectProbe(request),
            until: context.now + ASKED,
            ports,
            dial,
            leg,
            steps: Vec::new(),
            result: None,
            changed: true,
        })
    }

    pub(crate) fn dialog(&self) -> Option<DialogId> {
        self.leg.dialog
    }

    pub(crate) fn expects(&self, request: RequestId) -> bool {
        self.state == State::ExpectProbe(request)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(crate) fn number(&self) -> &str {
        self.number.as_str()
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.until
    }

    /// Shows how it stands, if that has changed.
    pub(crate) fn show(&mut self, context: &mut Context<'_>) {
        if std::mem::take(&mut self.changed) {
            let test = self.snapshot();
            context.outputs.push_back(Output::Wire(wire::Event::Test { test }));
        }
    }

    pub(crate) fn snapshot(&self) -> TestSnapshot {
        let (trunk, steps) = (self.name.clone(), self.steps.clone());
        TestSnapshot { test: self.id, trunk, started_unix_ms: self.started_unix_ms, result: self.result, steps }
    }

    pub(crate) fn handle_probed(&mut self, context: &mut Context<'_>, status: u16) {
        self.note(context, TestEvent::Asked { address: self.leg.peer.address, status });
        let ip = self.leg.address.ip();
        let at = |port| SocketAddr::new(ip, port);
        let order = MediaOrder::Open { caller: at(self.ports.0), agent: at(self.ports.1), record: false, copies: None };
        context.outputs.push_back(Output::Media { call: self.id, order });
        self.wait(context, State::ExpectPorts, CONFIRM);
    }

    pub(crate) fn handle_media(&mut self, context: &mut Context<'_>, report: &MediaReport) {
        match (report, self.state) {
            (MediaReport::Opened, State::ExpectPorts) => self.call(context),
            (MediaReport::OpenFailed, State::ExpectPorts) => {
                self.note(context, TestEvent::NoPorts);
                self.end(context, TestResult::Failed);
            }
            (MediaReport::Counted(stats), State::ExpectCount) => self.counted(context, stats),
            _ => {}
        }
    }

    pub(crate) fn handle_sip(&mut self, context: &mut Context<'_>, event: Event) {
        match event {
            Event::Progress { status, .. } => {
                self.dial.heard(context);
                self.note(context, TestEvent::Progress { status });
            }
            Event::Answered { dialog, body } => {
                context.endpoint.ack(context.now, dialog, None);
                self.dial.heard(context);
                self.answered(context, body.as_ref());
            }
            Event::Failed { status, .. } => self.failed(context, status),
            Event::Ended { .. } => {
                self.leg.dialog = None;
                self.note(context, TestEvent::HungUp { by_them: true });
                self.count(context);
            }
            // It is neither moved nor changed.
            Event::Reinvite { dialog, .. } => context.endpoint.reject(context.now, dialog, 488, None, Vec::new()),
            Event::Update { request, .. } => context.endpoint.respond(context.now, request, 488),
            Event::Refer { request, .. } => context.endpoint.respond(context.now, request, 403),
            Event::Request { request, .. } => context.endpoint.respond(context.now, request, 415),
            _ => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        if self.until > context.now {
            return;
        }
        match self.state {
            State::ExpectProbe(_) => self.handle_probed(context, 408),
            State::ExpectPorts => {
                self.note(context, TestEvent::NoPorts);
                self.end(context, TestResult::Failed);
            }
            State::ExpectAnswer => {
                self.note(context, TestEvent::NotAnswered);
                self.end(context, TestResult::Failed);
            }
            State::ExpectSound => self.count(context),
            State::ExpectCount => self.end(context, TestResult::NoSound),
            State::Over => {}
        }
    }

    /// Hangs up and gives everything back.
    pub(crate) fn end(&mut self, context: &mut Context<'_>, result: TestResult) {
        if self.is_over() {
            return;
        }
        if let Some(dialog) = self.leg.dialog.take() {
            context.endpoint.bye(context.now, dialog);
            self.note(context, TestEvent::HungUp { by_them: false });
        }
        context.outputs.push_back(Output::Media { call: self.id, order: MediaOrder::Close });
        (self.state, self.result, self.changed) = (State::Over, Some(result), true);
    }

    fn call(&mut self, context: &mut Context<'_>) {
        let preferred = CODECS.first().copied();
        let body = self.leg.offer(context.rng, preferred, Direction::SendRecv);
        match self.dial.call(context, body, None) {
            Ok(dialog) => {
                (self.leg.dialog, self.leg.peer) = (Some(dialog), self.dial.destination);
                let (address, number) = (self.leg.peer.address, self.number.as_str().to_owned());
                self.note(context, TestEvent::Called { address, number });
                self.wait(context, State::ExpectAnswer, RING);
            }
            Err(status) => {
                self.note(context, TestEvent::Refused { status });
                self.end(context, TestResult::Failed);
            }
        }
    }

    /// A redirect is not followed: nothing but the number of the file is called.
    fn failed(&mut self, context: &mut Context<'_>, status: u16) {
        self.leg.dialog = None;
        self.note(context, TestEvent::Refused { status });
        if self.dial.was_silent(context, status) {
            return self.call(context);
        }
        self.dial.heard(context);
        self.end(context, TestResult::Failed);
    }

    fn answered(&mut self, context: &mut Context<'_>, body: Option<&Body>) {
        let usable = body.is_some_and(|body| self.leg.take_answer(body).is_ok());
        let remote = self.leg.remote().filter(|_| usable);
        let remote = remote.map(|remote| context.config.behind_nat(self.leg.peer, remote));
        let (Some(remote), Some(agreed)) = (remote, self.leg.agreed) else {
            self.note(context, TestEvent::Unusable);
            return self.end(context, TestResult::Failed);
        };
        self.note(
            context,
            TestEvent::Answered {
                codec: agreed.codec.encoding().to_owned(),
                srtp: agreed.protection.map(|protection| protection.suite.name().to_owned()),
                telephone_event: agreed.telephone_event,
            },
        );
        let side = Side::Agent;
        let connect = match (self.leg.protected(), self.leg.keys()) {
            (false, _) => media::Command::Connect { side, remote },
            (true, Some(keys)) => media::Command::ConnectProtected { side, remote, keys },
            (true, None) => media::Command::Disconnect { side },
        };
        for command in [connect, media::Command::Secure { policy: Policy::Strict }] {
            context.outputs.push_back(Output::Media { call: self.id, order: MediaOrder::Command(command) });
        }
        self.wait(context, State::ExpectSound, LISTEN);
    }

    fn count(&mut self, context: &mut Context<'_>) {
        context.outputs.push_back(Output::Media { call: self.id, order: MediaOrder::Count });
        self.wait(context, State::ExpectCount, CONFIRM);
    }

    fn counted(&mut self, context: &mut Context<'_>, stats: &Stats) {
        let (leg, flow) = (&stats.agent, stats.agent_flow);
        let refused = [leg.refused_source, leg.refused_ssrc, leg.refused_srtp].into_iter().fold(0, u32::saturating_add);
        let sound = TestEvent::Sound {
            received: leg.accepted,
            lost: leg.lost,
            refused,
            jitter_us: flow.jitter.map(|jitter| jitter.saturating_mul(SAMPLE_US)),
            sent: flow.sent,
            reported: leg.reported.map(|reported| PeerFigures {
                lost: reported.lost,
                jitter_us: reported.jitter.saturating_mul(SAMPLE_US),
                round_trip_ms: reported.round_trip.and_then(|time| u32::try_from(time.as_millis()).ok()),
            }),
        };
        self.note(context, sound);
        let is_good = leg.accepted > 0 && flow.sent > 0;
        self.end(context, if is_good { TestResult::Good } else { TestResult::NoSound });
    }

    fn wait(&mut self, context: &Context<'_>, state: State, time: Duration) {
        (self.state, self.until) = (state, context.now + time);
    }

    fn note(&mut self, context: &Context<'_>, what: TestEvent) {
        if self.steps.len() == STEPS_MAX || self.steps.last().is_some_and(|last| last.what == what) {
            return;
        }
        let after = context.now.saturating_duration_since(self.began).as_millis();
        self.steps.push(TestStep { after_ms: u32::try_from(after).unwrap_or(u32::MAX), what });
        self.changed = true;
    }
}
