//! A lane: a caller, an agent, their phones, and what the two do.

use super::{Happening, US, World, bounced};
use crate::dice::Dice;
use crate::people::{self, Agent, Caller, Move};
use crate::plan::{Level, Plan, Side};
use crate::sabotage::Sabotage;
use lab::phone::{Config, Law, Output, Phone, Press, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use wire::{CallSnapshot, CommandId, Extension, PaymentState};

const SIP_PORT: u16 = 5060;
const RTP_PORT: u16 = 40_000;
/// An agent's browser gives up waiting for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// Between two calls of a lane; the phones may still have something to say.
const BETWEEN_CALLS_MS: (u64, u64) = (500, 4_000);

pub(super) struct Lane {
    number: usize,
    pub(super) extension: Extension,
    /// Its callers are sent to pay alone.
    pub(super) pays_alone: bool,
    pub(super) caller: Phone,
    pub(super) agent: Phone,
    level: Level,
    calls_left: u32,
    talk: Option<Talk>,
}

/// One call as the two people live it.
struct Talk {
    caller: Caller,
    agent: Agent,
    by_info: bool,
    press: Press,
    pending: Option<(CommandId, Instant)>,
    dialed: bool,
}

/// A place of a lane's phone.
pub(super) fn address(lane: usize, agent: bool, port: u16) -> SocketAddr {
    let lane = u8::try_from(lane).unwrap_or(u8::MAX);
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, lane, if agent { 2 } else { 1 })), port)
}

impl Lane {
    pub(super) fn new(number: usize, calls: u32, level: Level, dice: &mut Dice) -> Self {
        let extension: Extension =
            format!("10{number:02}").parse().unwrap_or_else(|_| unreachable!("digits are an extension"));
        let law = if dice.per_mille(500) { Law::Mu } else { Law::A };
        let mut phone = |agent: bool, answers_after| {
            let config = Config {
                sip: address(number, agent, SIP_PORT),
                rtp: address(number, agent, RTP_PORT),
                user: if agent { extension.as_str().to_owned() } else { "447700900142".to_owned() },
                answers_after,
                law,
                speaks: true,
                believes: None,
            };
            let phone = Phone::new(config, dice.seed());
            if level == Level::Frames { phone } else { phone.without_sound() }
        };
        let caller = phone(false, None);
        let agent = phone(true, Some(Duration::from_millis(600)));
        Self { number, extension, pays_alone: false, caller, agent, level, calls_left: calls, talk: None }
    }

    pub(super) fn is_over(&self) -> bool {
        self.calls_left == 0 && self.talk.is_none()
    }

    /// What the caller keys, or would.
    pub(super) fn number(&self) -> Option<&'static str> {
        self.talk.as_ref().map(|talk| talk.caller.number())
    }

    /// The agent's command was answered.
    pub(super) fn answered(&mut self, id: CommandId) {
        if let Some(talk) = self.talk.as_mut().filter(|talk| talk.pending.is_some_and(|(pending, _)| pending == id)) {
            talk.pending = None;
        }
    }
}

fn talk(now: Instant, dice: &mut Dice, plan: &Plan) -> Talk {
    let level = plan.level;
    // Ways that go by which key it is are not for a world that has a twin: an INFO that comes late is taken for the next
    // press of the same key, and a tone is masked as it sounds. The media's own tests have both, without what is free here.
    let both = if plan.has_twin() { Transport::Events } else { Transport::EventsAndInfo };
    let tones = if plan.has_twin() && plan.natural { Transport::Events } else { Transport::InBand };
    let transports: &[Transport] = match level {
        Level::Keys => &[Transport::Events, Transport::Events, Transport::Info],
        Level::Frames => &[
            Transport::Events,
            Transport::Events,
            Transport::Events,
            Transport::Info,
            Transport::Info,
            both,
            both,
            tones,
        ],
    };
    // Each second of a call costs two hundred packets.
    let patience = Duration::from_secs(if level == Level::Frames { 60 } else { 150 });
    let transport = dice.pick(transports).copied().unwrap_or(Transport::Events);
    let packets = |dice: &mut Dice| u16::try_from(3 + dice.below(5)).unwrap_or(3);
    let (on_packets, off_packets) = (packets(dice), packets(dice));
    Talk {
        caller: Caller::new(now, dice, patience),
        agent: Agent::new(now, dice, patience),
        by_info: transport == Transport::Info,
        press: Press { on_packets, off_packets, ..Press::new(transport) },
        pending: None,
        dialed: false,
    }
}

impl World {
    pub(super) fn caller_thinks(&mut self, number: usize) {
        let pause = people::pause(&mut self.people);
        let (now, twin) = (self.now, self.plan.twin);
        let view = self.view(number);
        let Some(lane) = self.lanes.get_mut(number) else { return };
        if lane.is_over() {
            return;
        }
        match &mut lane.talk {
            None => {
                let talk = talk(now, &mut self.people, &self.plan);
                self.oracle.secret(talk.caller.number());
                lane.talk = Some(talk);
            }
            Some(talk) if !talk.dialed => {
                talk.dialed = true;
                self.calls += 1;
                let said = if lane.pays_alone { bounced::order(&mut self.orders) } else { Vec::new() };
                let called = lane.caller.call_saying(now, lane.extension.as_str(), US, said);
                debug_assert!(called.is_ok(), "a lab phone can always dial");
            }
            Some(_) if !lane.caller.is_busy() => return self.hung_up(number),
            Some(talk) if now >= talk.caller.hangs_up_at => lane.caller.hang_up(now),
            Some(_) => self.caller_keys(number, view.as_ref(), twin),
        }
        self.after(pause, Happening::Caller(number));
    }

    /// The caller is on the hook again; the agent's phone hears of it sooner or later.
    fn hung_up(&mut self, number: usize) {
        let pause = self.people.ms(BETWEEN_CALLS_MS.0, BETWEEN_CALLS_MS.1);
        let Some(lane) = self.lanes.get_mut(number) else { return };
        // After a death in the middle nobody tells the agent, who looks at a dead phone for a while and hangs up.
        lane.agent.hang_up(self.now);
        lane.calls_left = lane.calls_left.saturating_sub(1);
        lane.talk = None;
        let pays_alone = lane.pays_alone;
        self.after(pause, Happening::Caller(number));
        if pays_alone && self.sabotaged(Sabotage::ForgetOrders) && !self.is_down(Side::Cde) {
            self.kill(Side::Cde);
        }
    }

    fn caller_keys(&mut self, number: usize, view: Option<&CallSnapshot>, twin: bool) {
        let now = self.now;
        let Some(payment) = view.and_then(|view| view.payment.as_ref()) else { return };
        if payment.state != PaymentState::Capturing {
            return;
        }
        let Some(lane) = self.lanes.get_mut(number) else { return };
        let Some(talk) = &mut lane.talk else { return };
        let Some(keys) = talk.caller.keys(now, &mut self.people, twin, payment) else { return };
        self.oracle.secret(talk.caller.number());
        self.oracle.secret(&keys);
        let each = Duration::from_millis(20) * u32::from(talk.press.on_packets + talk.press.off_packets);
        let count = u32::try_from(keys.len()).unwrap_or(0);
        talk.caller.busy_until = now + each * count + Duration::from_millis(1_500);
        if lane.level == Level::Frames {
            return lane.caller.press(&keys, talk.press);
        }
        for (index, key) in (0_u32..).zip(keys.bytes()) {
            self.at(now + each * index, Happening::Key { lane: number, key });
        }
    }

    /// A key at the level of keys.
    pub(super) fn key_pressed(&mut self, number: usize, key: u8) {
        let Some(lane) = self.lanes.get_mut(number) else { return };
        let Some(talk) = lane.talk.as_ref().filter(|_| lane.caller.is_busy()) else { return };
        if talk.by_info {
            lane.caller.press_by_info(self.now, key, 100);
        } else {
            let lost = self.ways.per_mille(self.plan.rtp.lost / 4);
            self.event_key(address(number, false, RTP_PORT), key, lost);
        }
    }

    pub(super) fn agent_thinks(&mut self, number: usize) {
        let pause = people::pause(&mut self.people);
        let now = self.now;
        let view = self.view(number);
        let Some(lane) = self.lanes.get_mut(number) else { return };
        if lane.is_over() {
            return;
        }
        let waits = |talk: &Talk| talk.pending.is_some_and(|(_, since)| now < since + ANSWER_MAX);
        let decided = match (&mut lane.talk, &view) {
            (Some(talk), Some(view)) if !waits(talk) => talk.agent.decide(now, &mut self.people, view),
            _ => None,
        };
        match (decided, view) {
            (Some(Move::HangUp), _) => lane.agent.hang_up(now),
            (Some(Move::Hold(hold)), _) => lane.agent.hold(now, hold),
            (Some(Move::Command(action)), Some(view)) => {
                let id = CommandId::from_random(self.people.bits());
                if let Some(talk) = &mut lane.talk {
                    talk.pending = Some((id, now));
                }
                self.command(id, view.call, action);
            }
            _ => {}
        }
        self.after(pause, Happening::Agent(number));
    }

    /// What the agent of a lane has on the screen.
    fn view(&self, number: usize) -> Option<CallSnapshot> {
        let extension = &self.lanes.get(number)?.extension;
        self.office.as_ref()?.call_of(extension).cloned()
    }

    pub(super) fn phone_sip(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        for phone in self.phones() {
            if phone.sip() == to {
                phone.handle_sip(now, from, bytes);
            }
        }
    }

    fn phones(&mut self) -> impl Iterator<Item = &mut Phone> {
        self.lanes.iter_mut().flat_map(|lane| [&mut lane.caller, &mut lane.agent])
    }

    pub(super) fn deliver_rtp(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        for lane in &mut self.lanes {
            if to == address(lane.number, false, RTP_PORT) {
                return lane.caller.handle_rtp(from, bytes);
            }
            if to == address(lane.number, true, RTP_PORT) {
                return lane.agent.handle_rtp(from, bytes);
            }
        }
        self.media_rtp(from, to, bytes);
        if self.sabotaged(Sabotage::RelayKeys) {
            self.leak_packet(to, bytes);
        }
    }

    pub(super) fn drain_phones(&mut self) {
        let mut sip = Vec::new();
        let mut rtp = Vec::new();
        for lane in &mut self.lanes {
            for agent in [false, true] {
                let phone = if agent { &mut lane.agent } else { &mut lane.caller };
                while let Some(output) = phone.poll_output() {
                    match output {
                        Output::Sip { to, bytes } => sip.push((address(lane.number, agent, SIP_PORT), to, bytes)),
                        Output::Rtp { to, bytes } => rtp.push((address(lane.number, agent, RTP_PORT), to, bytes)),
                        Output::Event(_) => {}
                    }
                }
            }
        }
        sip.into_iter().for_each(|(from, to, bytes)| self.send_sip(from, to, &bytes));
        rtp.into_iter().for_each(|(from, to, bytes)| self.send_rtp(from, to, &bytes));
    }
}
