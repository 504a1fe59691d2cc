//! The machine of one call's media.

mod alone;
mod caller;
mod masked;

use crate::agentkeys::{AgentKey, AgentKeys};
use crate::coding::Samples;
use crate::cues::Cues;
use crate::fork::Fork;
use crate::inband::InBand;
use crate::interface::{Codec, Command, Config, Event, KeyWays, Output, Remote, Side, Stats, Witnessed};
use crate::keys::Keys;
use crate::leg::{Arrived, Leg, Media, Order};
use crate::mask::Mask;
use crate::masking_enabled;
use crate::natural::Hold;
use crate::openline::OpenLine;
use crate::outputs::{Outputs, Room};
use crate::pairing::Pairing;
use crate::recorder::Recorder;
use crate::reports::Reports;
use crate::rtp::{PAYLOAD_MAX, Packet};
use crate::srtp;
use crate::stream::{Length, Stream};
use crate::{event, rtcp};
use caller::Barrier;
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use std::net::SocketAddr;
use std::time::Instant;

/// One call's media: both legs.
pub struct Session {
    caller: Leg,
    agent: Leg,
    to_caller: Stream,
    to_agent: Stream,
    keys: Keys,
    pairing: Pairing,
    inband: InBand,
    habits: KeyWays,
    /// Signaled keys of the caller's leg are not the caller's.
    tones_alone: bool,
    /// On a secured line only, so that an open one is small.
    mask: Option<Box<Mask>>,
    /// As configured, and for the caller's codec.
    hold_asked: Hold,
    hold: Hold,
    open_line: OpenLine,
    /// Where the agent may press a code.
    agent_keys: Option<Box<AgentKeys>>,
    /// What a caller hears who is alone.
    cues: Option<Box<Cues>>,
    barrier: Option<Barrier>,
    /// Few calls are recorded.
    recorder: Option<Box<Recorder>>,
    /// While a recorder elsewhere is sent anything.
    fork: Option<Box<Fork>>,
    outputs: Outputs,
    generated: u64,
    skipped: u64,
    /// The last sample that the agent was sent of the open line.
    last_heard: i16,
    /// The next packet on the open line is the first one: it comes in softly.
    fade_in: bool,
    /// The line has been masked before.
    was_masked: bool,
    /// Of all masks.
    witnessed: Witnessed,
}

impl Session {
    /// A call with an open line and nobody on it.
    #[expect(clippy::needless_pass_by_value, reason = "a seed is used once")]
    pub fn new(now: Instant, config: Config) -> Self {
        let mut random = ChaCha12Rng::from_seed(config.seed);
        let (to_caller, to_agent) = (Stream::new(&mut random), Stream::new(&mut random));
        Self {
            caller: Leg::new(Reports::new(now, &mut random)),
            agent: Leg::new(Reports::new(now, &mut random)),
            to_caller,
            to_agent,
            keys: Keys::new(),
            pairing: Pairing::new(),
            inband: InBand::new(config.hold),
            habits: KeyWays::default(),
            tones_alone: false,
            mask: None,
            hold_asked: config.hold,
            hold: config.hold,
            open_line: OpenLine::default(),
            agent_keys: None,
            cues: None,
            barrier: None,
            recorder: config.record.then(|| Box::new(Recorder::new())),
            fork: None,
            outputs: Outputs::new(),
            generated: 0,
            skipped: 0,
            last_heard: 0,
            fade_in: false,
            was_masked: false,
            witnessed: Witnessed::default(),
        }
    }

    /// Takes what came on one of a leg's ports, whatever it is.
    pub fn handle_packet(&mut self, now: Instant, side: Side, source: SocketAddr, bytes: &[u8]) {
        let is_masked = self.mask.is_some();
        let leg = self.leg(side);
        if !leg.is_protected() {
            let may_be_elsewhere = leg.learn(now, source, bytes, is_masked);
            if may_be_elsewhere && side == Side::Caller {
                self.may_key_elsewhere(now);
            }
            return self.handle_clear(now, side, source, bytes);
        }
        let mut clear = [0; srtp::PACKET_MAX];
        let bytes = match rtcp::is_rtcp(bytes) {
            true => leg.unprotect_report(now, source, bytes, &mut clear),
            false => leg.unprotect(now, source, bytes, &mut clear),
        };
        if let Some(bytes) = bytes {
            self.handle_clear(now, side, source, bytes);
        }
    }

    fn handle_clear(&mut self, now: Instant, side: Side, source: SocketAddr, bytes: &[u8]) {
        match side {
            Side::Caller if rtcp::is_rtcp(bytes) => {
                self.caller.accept_report(now, source, bytes, self.to_caller.ssrc());
            }
            Side::Agent if rtcp::is_rtcp(bytes) => {
                self.agent.accept_report(now, source, bytes, self.to_agent.ssrc());
            }
            Side::Caller => self.handle_caller(now, source, bytes),
            Side::Agent => self.handle_agent(now, source, bytes),
        }
    }

    /// Does what the call says.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Connect { side, remote } => {
                self.protect(now, side, None);
                self.connect(now, side, Some(remote));
            }
            Command::ConnectProtected { side, remote, keys } => {
                // Where a key cannot be used nothing is said and nothing heard.
                let protected = self.protect(now, side, Some(*keys));
                self.connect(now, side, Some(remote).filter(|_| protected));
            }
            Command::Disconnect { side } => self.connect(now, side, None),
            Command::Secure { policy } => self.secure(now, policy),
            Command::Mask { policy } => self.ask_for(now, policy),
            Command::Release => self.release(now),
            Command::InfoKey { key, duration_ms } => self.info_key(now, key, duration_ms),
            Command::HearAgentKeys { code } => self.hear_agent_keys(code.as_deref()),
            Command::TonesAlone => self.tones_alone = true,
            Command::Cue { long, short } => self.cue(now, |cues| cues.say(long, short)),
            Command::CueStop => self.cue(now, Cues::say_stop),
            Command::Copy { side, remote, keys, seed } => {
                let fork = self.fork.get_or_insert_with(|| Box::new(Fork::new(now, seed)));
                fork.connect(now, side, remote, keys.map(|keys| *keys));
            }
            Command::StopCopies => self.fork = None,
            Command::End => {
                self.legs().for_each(|leg| leg.reports.end(now));
                self.fork.iter_mut().for_each(|fork| fork.end(now));
            }
        }
    }

    /// Does what was due by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        if self.agent_keys.as_mut().is_some_and(|keys| keys.handle_timeout(now)) {
            self.event(Event::AgentDigitsEnd);
        }
        self.speak_alone(now);
        self.legs().for_each(|leg| leg.reports.handle_timeout(now));
        self.fork.iter_mut().for_each(|fork| fork.handle_timeout(now));
        if let Some(recorder) = &mut self.recorder {
            recorder.handle_timeout(now);
        }
    }

    /// When [`Session::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mask = self.mask.as_ref().map(|mask| mask.poll_timeout());
        let recorder = self.recorder.as_ref().and_then(|recorder| recorder.poll_timeout());
        let reports = [&self.caller, &self.agent].into_iter().filter_map(|leg| leg.reports.poll_timeout());
        let fork = self.fork.as_ref().and_then(|fork| fork.poll_timeout());
        let agent_keys = self.agent_keys.as_ref().and_then(|keys| keys.poll_timeout());
        let cues = self.cues.as_ref().map(|cues| cues.poll_timeout());
        mask.into_iter().chain(recorder).chain(fork).chain(reports).chain(agent_keys).chain(cues).min()
    }

    /// The next output; to be asked until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.poll();
        match &output {
            Some(Output::Send { side: Side::Caller, packet, .. }) => self.caller.reports.sent(packet.payload()),
            Some(Output::Send { side: Side::Agent, packet, .. }) => self.agent.reports.sent(packet.payload()),
            _ => {}
        }
        // Behind the packets, which they count.
        output
            .or_else(|| self.outputs.report(self.caller.poll_report(Side::Caller, &self.to_caller)?))
            .or_else(|| self.outputs.report(self.agent.poll_report(Side::Agent, &self.to_agent)?))
            .or_else(|| self.fork.as_mut()?.poll())
            .or_else(|| self.recorder.as_mut()?.poll().map(Output::Recorded))
    }

    /// Lends it the room for what it puts out, until it is called again with the same one: around a `handle_*` and the polling of all
    /// that came of it. A session to which none is lent has its own, some 300 bytes.
    pub fn lend(&mut self, room: &mut Room) {
        self.outputs.exchange(room);
    }

    /// Counters so far.
    pub fn stats(&self) -> Stats {
        let mask = self.mask.as_ref();
        let (masked_frames, filtered_frames) = mask.map_or((0, 0), |mask| (mask.masked_frames, mask.filtered_frames));
        Stats {
            caller: self.caller.stats,
            agent: self.agent.stats,
            generated: self.generated,
            skipped: self.skipped,
            masked_frames: masked_frames.into(),
            filtered_frames: filtered_frames.into(),
            witnessed: self.witnessed,
            caller_flow: self.caller.reports.flow(),
            agent_flow: self.agent.reports.flow(),
            key_ways: self.habits,
        }
    }

    fn legs(&mut self) -> impl Iterator<Item = &mut Leg> {
        [&mut self.caller, &mut self.agent].into_iter()
    }

    fn leg(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::Caller => &mut self.caller,
            Side::Agent => &mut self.agent,
        }
    }

    /// False if the keys cannot be used.
    fn protect(&mut self, now: Instant, side: Side, keys: Option<srtp::Keys>) -> bool {
        let (inbound, outbound) = keys.map(|keys| (keys.inbound, keys.outbound)).unzip();
        self.leg(side).protect(now, inbound) & self.outputs.protect(side, outbound)
    }

    fn connect(&mut self, now: Instant, side: Side, remote: Option<Remote>) {
        let was_heard = self.caller.may_be_heard();
        match side {
            Side::Caller => {
                self.keys.set_clock(remote.map(|remote| remote.clock_of_keys()).unwrap_or_default());
                if let (true, Some(remote)) = (self.caller.connect(now, remote), remote) {
                    self.to_caller.code_as(remote.codec);
                    self.hold_for(remote.codec);
                }
            }
            Side::Agent => {
                if remote.is_some() {
                    self.cues = None;
                }
                if let (true, Some(remote)) = (self.agent.connect(now, remote), remote) {
                    self.speak_anew(remote.codec);
                }
                self.set_agent_clock();
            }
        }
        if let Some(mask) = self.mask.as_mut().filter(|_| !was_heard && self.caller.may_be_heard()) {
            mask.quiet.heard_again(now);
        }
        let connected = self.caller.remote().or(self.agent.remote()).is_some();
        if let Some(recorder) = &mut self.recorder {
            recorder.set_connected(now, connected);
        }
    }

    /// As long as what comes in this codec must be held.
    fn hold_for(&mut self, codec: Codec) {
        let hold = self.hold_asked.of(codec);
        if std::mem::replace(&mut self.hold, hold) != hold {
            self.inband.hold_for(hold);
            self.mask.iter_mut().for_each(|mask| mask.natural.hold_for(hold));
        }
    }

    /// The agent's peer is another one from here on: it has heard nothing of us, and the witness as little.
    fn speak_anew(&mut self, codec: Codec) {
        self.to_agent.code_as(codec);
        if let Some(mask) = &mut self.mask {
            mask.ear = self.to_agent.coding.ear();
        }
    }

    /// The agent is heard by the caller always, but an agent's keys and key tones are not while the line is masked.
    fn handle_agent(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        let Some(arrived) = self.agent.accept(now, source, bytes) else { return };
        let Some(from) = self.agent.remote().copied() else { return };
        if self.is_withheld_unheard(now, &arrived) {
            return;
        }
        let masked = self.mask.is_some() && masking_enabled();
        let sound = self.sound_of_agent(now, &from, &arrived);
        let withheld = self.withholds_agent(now, &arrived);
        let passes = !masked && !withheld || matches!(arrived.media, Media::Audio(..));
        let Some(to) = self.caller.receiver().copied() else { return self.to_caller.detach() };
        let stream = &mut self.to_caller;
        if let Some(packet) = relay(stream, now, &arrived, &from, &to, sound.as_ref(), passes) {
            self.agent.stats.relayed += 1;
            self.send(now, Side::Caller, &to, packet);
        }
    }

    /// What the caller is to hear instead of the packet as it came, if anything: silence in the place of a key's tone, or
    /// samples for another codec.
    fn sound_of_agent(&mut self, now: Instant, from: &Remote, arrived: &Arrived<'_>) -> Option<Samples> {
        let crosses = !self.to_caller.coding.takes(from.codec);
        let mask = self.mask.as_ref().filter(|_| masking_enabled());
        let listens = self.agent_keys.is_some() || self.recorder.is_some() || self.agent.keeps_state();
        if mask.is_none() && !listens && !crosses {
            return None;
        }
        let sound = self.agent.hear(arrived)?;
        if self.is_withheld_sound(now, arrived, &sound) {
            let silence = Samples::silence(sound.as_slice().len());
            if let Some(recorder) = &mut self.recorder {
                recorder.said.push(silence.as_slice());
            }
            return Some(silence);
        }
        let mask = self.mask.as_mut().filter(|_| masking_enabled());
        if let Some(recorder) = &mut self.recorder {
            recorder.said.push(sound.as_slice());
        }
        if mask.is_some_and(|mask| mask.agent_tones.hear(now, sound.as_slice())) {
            return Some(Samples::silence(sound.as_slice().len()));
        }
        Some(sound).filter(|_| crosses)
    }

    fn hear_agent_keys(&mut self, code: Option<&[u8]>) {
        self.agent_keys = code.map(|code| Box::new(AgentKeys::new(code)));
        self.set_agent_clock();
    }

    fn set_agent_clock(&mut self) {
        let clock = self.agent.remote().map(|remote| remote.clock_of_keys()).unwrap_or_default();
        self.agent_keys.iter_mut().for_each(|keys| keys.set_clock(clock));
    }

    /// Sound in which the agent has pressed something of a code, or that comes after it.
    fn is_withheld_sound(&mut self, now: Instant, arrived: &Arrived<'_>, sound: &Samples) -> bool {
        let Some(keys) = self.agent_keys.as_mut().filter(|_| self.mask.is_none()) else { return false };
        let pressed = keys.sound(now, arrived.order, sound.as_slice());
        let withheld = keys.withholds(now);
        self.agent_pressed(pressed);
        withheld
    }

    /// A late packet of a codec that keeps state is not heard, so no silence can be put in its place: while the agent presses a
    /// code its sound has none.
    fn is_withheld_unheard(&self, now: Instant, arrived: &Arrived<'_>) -> bool {
        let is_unheard =
            arrived.order == Order::Late && matches!(arrived.media, Media::Audio(..)) && self.agent.keeps_state();
        let keys = self.agent_keys.as_ref().filter(|_| is_unheard && self.mask.is_none());
        keys.is_some_and(|keys| keys.withholds(now))
    }

    /// Whether an event of the agent is not for the caller: it is of a code, or comes after one.
    fn withholds_agent(&mut self, now: Instant, arrived: &Arrived<'_>) -> bool {
        let Media::Event(event) = arrived.media else { return false };
        let Some(keys) = self.agent_keys.as_mut().filter(|_| self.mask.is_none()) else { return false };
        let pressed = keys.event(now, caller::identity(arrived), arrived.header.marker, event);
        let withheld = keys.withholds(now);
        self.agent_pressed(pressed);
        withheld
    }

    fn agent_pressed(&mut self, pressed: Option<AgentKey>) {
        match pressed {
            Some(AgentKey::Code) => self.event(Event::AgentCode),
            Some(AgentKey::Digit(key)) => self.event(Event::AgentDigit(key)),
            Some(AgentKey::End) => self.event(Event::AgentDigitsEnd),
            Some(AgentKey::Other | AgentKey::Withheld) | None => {}
        }
    }

    /// The one way out for a packet of RTP, where it is copied too.
    fn send(&mut self, now: Instant, side: Side, to: &Remote, packet: Packet) {
        if let Some(fork) = &mut self.fork {
            fork.copy(now, side, to, &packet);
        }
        self.outputs.send(side, to.address, packet);
    }

    fn event(&mut self, event: Event) {
        self.outputs.event(event);
    }
}

/// A packet as it goes out on the other leg, with this sound if it is not to be the packet's own codes; none if it must not,
/// or that leg has no word for it.
fn relay(
    stream: &mut Stream,
    now: Instant,
    arrived: &Arrived<'_>,
    from: &Remote,
    to: &Remote,
    sound: Option<&Samples>,
    passes: bool,
) -> Option<Packet> {
    let payload_type = match arrived.media {
        Media::Audio(..) => Some(to.payload_type),
        // Of another clock than the sound's neither the timestamp nor the duration has a place in our stream.
        Media::Event(_) => to.telephone_event.filter(|_| !arrived.in_other_clock && to.takes_events()),
    };
    let Some(payload_type) = payload_type.filter(|_| passes) else {
        stream.leave_out(&arrived.header);
        return None;
    };
    match arrived.media {
        Media::Audio(payload, _) => relay_sound(stream, now, arrived, from, payload, sound, payload_type),
        Media::Event(key) => {
            let length = Length::Event(u32::from(key.duration));
            let payload: [u8; event::LENGTH] = to.event_clock.told(key).bytes();
            Packet::new(&stream.relay(now, &arrived.header, length, payload_type)?, &payload)
        }
    }
}

fn relay_sound(
    stream: &mut Stream,
    now: Instant,
    arrived: &Arrived<'_>,
    from: &Remote,
    payload: &[u8],
    sound: Option<&Samples>,
    payload_type: u8,
) -> Option<Packet> {
    let Media::Audio(_, samples) = arrived.media else { return None };
    let late = arrived.order == Order::Late;
    let has_place = match sound {
        Some(_) => (!late || !stream.coding.keeps_state()) && stream.coding.takes_length(samples),
        None => stream.coding.takes(from.codec),
    };
    if !has_place {
        return None;
    }
    let length = Length::Audio(u32::try_from(samples).ok()?);
    let header = stream.relay(now, &arrived.header, length, payload_type)?;
    let mut codes = [0; PAYLOAD_MAX];
    let written = match sound {
        Some(sound) => stream.coding.encode(sound.as_slice(), &mut codes),
        None => stream.coding.pass(from.codec, payload, late, &mut codes),
    };
    Packet::new(&header, codes.get(..written?)?)
}
