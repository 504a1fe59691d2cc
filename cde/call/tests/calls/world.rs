//! A carrier, a PBX and a media session around one switchboard.

#[path = "world/agent.rs"]
mod agent;
#[path = "world/disk.rs"]
mod disk;
#[path = "world/peer.rs"]
mod peer;
#[path = "world/stranger.rs"]
mod stranger;
#[path = "world/transfer.rs"]
pub(crate) mod transfer;

use call::{
    CodeState, Config, KeptOrder, MediaOrder, MediaReport, OpenLineKeys, Output, Rewrite, Route, Srtp, Switchboard,
    Target, Trunk,
};
use card::Key;
use media::Side;
use media::srtp::Keys;
use payment::Rules;
use sip::offer_answer::{Codec, Direction};
use sip::{Body, Event, Invite, Local, NameAddr, Uri};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{
    Action, AttemptId, AuditAction, CallEnd, CallFigures, CallId, CallSnapshot, Command, CommandId, CommandResult,
    Currency, Field, Ladder, LadderSummary, Money, Origin as By, PaymentId, PaymentOrder, Refusal, Store, TestSnapshot,
    TrunkSnapshot,
};

pub(crate) use disk::Disk;
pub(crate) use peer::Peer;

pub(crate) const US: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);
pub(crate) const CARRIER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5070);
pub(crate) const AGENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5080);

/// A recorder, and another place of it.
pub(crate) const RECORDER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5090);

/// A place of the PBX that nobody is at.
pub(crate) const DEAD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5089);

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) board: Switchboard,
    caller: Peer,
    caller_at: SocketAddr,
    agent: Peer,
    pub(crate) media_answers: bool,
    pub(crate) proofs: bool,
    pub(crate) results: Vec<(CommandId, CommandResult)>,
    pub(crate) info_keys: Vec<u8>,
    wires: Vec<wire::Event>,
    audits: Vec<AuditAction>,
    /// All that stands in the audit trail, in words.
    pub(crate) audited_words: Vec<String>,
    orders: Vec<&'static str>,
    /// Whose media was opened.
    opened: Vec<CallId>,
    caller_connected: bool,
    attempts: Vec<AttemptId>,
    command_number: u128,
    strangers: u8,
    /// So many pairs of ports cannot be bound.
    pub(crate) taken_pairs: usize,
    /// The ports of the caller's leg that were tried.
    pub(crate) tried: Vec<u16>,
    /// What is sent to the agent's phone, or by it, gets lost.
    pub(crate) agent_is_deaf: bool,
    /// What the switchboard has sent to the agent's phone.
    to_agent: Vec<String>,
    to_caller: Vec<String>,
    agent_cseq: u32,
    /// How the places of trunks have turned.
    pub(crate) turned: Vec<bool>,
    /// What the media session has counted.
    pub(crate) counted: media::Stats,
    /// What the registrars have said.
    pub(crate) registered: Vec<u16>,
    /// Which of the agent's legs speaks; none: the one that was connected last.
    pub(crate) agent_leg: Option<usize>,
    /// What the caller's trunk shows when it is asked who it is.
    pub(crate) caller_login: Option<Arc<sip::Credentials>>,
    /// What its INVITEs say beside what they must.
    caller_headers: Vec<(String, Vec<u8>)>,
    /// What is done at the end of a call, in its order.
    ending: Vec<&'static str>,
    /// How the media session was connected, leg by leg: with keys, without, or not at all any more.
    pub(crate) connects: Vec<(Side, Connected)>,
    /// Browsers that are to be found, and with what.
    pub(crate) negotiations: Vec<(Side, media::Remote, call::WebTerms)>,
    /// With which codec each leg was connected last.
    pub(crate) codecs: BTreeMap<Side, media::Codec>,
    /// And at which host it was to be looked for.
    pub(crate) learns: BTreeMap<Side, Option<IpAddr>>,
    /// What the recorder was sent by SIP; it answers only where a test has it do so.
    pub(crate) to_recorder: Vec<String>,
    /// What it is sent of the sound, and how protected.
    pub(crate) copies: Vec<(Side, media::Remote, Option<Keys>)>,
    /// What a caller who is alone is told by beeps.
    pub(crate) cues: Vec<(bool, u8)>,
    pub(crate) cue_stops: usize,
    /// From where.
    pub(crate) copies_from: Option<[SocketAddr; 2]>,
    /// Orders that were made ahead, as they lie on disk.
    pub(crate) kept: BTreeMap<PaymentId, (KeptOrder, CodeState)>,
    /// What the disk does.
    pub(crate) disk: Disk,
    unheard: Vec<(CallId, PaymentId, Result<bool, Refusal>)>,
    unheard_orders: Vec<PaymentId>,
}

pub(crate) enum Connected {
    Plain,
    Protected(Box<Keys>),
    Not,
}

fn place(address: SocketAddr, priority: u16) -> Target {
    Target { ip: address.ip(), port: Some(address.port()), priority, weight: 0 }
}

fn trunk(name: &str, targets: Vec<Target>, srtp: Srtp) -> Trunk {
    Trunk {
        name: name.to_owned(),
        targets,
        transport: sip::Transport::Udp,
        tcp_when_large: false,
        keepalive: None,
        srtp,
        login: None,
        domain: None,
        on_demand: None,
        test_number: None,
        nat: call::Nat::Off,
    }
}

/// From the carrier to the PBX.
fn route(prefix: &str, open_line_keys: OpenLineKeys) -> Route {
    let (from, to) = ("carrier".to_owned(), "pbx".to_owned());
    let (prefix, rewrite) = (prefix.to_owned(), Rewrite::default());
    Route {
        from,
        to,
        prefix,
        extension: None,
        rewrite,
        open_line_keys,
        outbound: false,
        recorder: None,
        hook: None,
        feature_code: "*9".to_owned(),
        bounce: None,
    }
}

fn config(places: Vec<Target>, carrier: Srtp, pbx: Srtp) -> Config {
    Config {
        sip: vec![Local::udp(US)],
        media: [127, 0, 0, 9].into(),
        media_v6: None,
        ports: (10_000, 10_200),
        calls_max: 20,
        trunks: vec![trunk("carrier", vec![place(CARRIER, 0)], carrier), trunk("pbx", places, pbx)],
        phones: Vec::new(),
        routes: vec![
            route("10", OpenLineKeys::Ignore),
            route("1002", OpenLineKeys::Alarm),
            route("1003", OpenLineKeys::Secure),
            Route { from: "pbx".to_owned(), ..route("2", OpenLineKeys::Ignore) },
        ],
        merchants: ["main".parse().unwrap()].into(),
        code_to_keep: std::collections::BTreeSet::new(),
        rules: Rules::default(),
        record: false,
        headers_passed: Vec::new(),
        ladder_bytes_max: 1 << 20,
        masking: media::Policy::Natural,
    }
}

pub(crate) fn order(call: CallId, action: Action) -> Command {
    Command { id: CommandId::from_random(77), call, origin: By::User { id: 1 }, action }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::configured(vec![place(AGENT, 0)], Srtp::Off, Srtp::Off, |_| {})
    }

    /// The PBX's first place is dead.
    pub(crate) fn with_a_dead_place() -> Self {
        Self::configured(vec![place(DEAD, 0), place(AGENT, 1)], Srtp::Off, Srtp::Off, |_| {})
    }

    /// Whether sound from and to the carrier is protected, and that of the agent's side. Both peers can.
    pub(crate) fn with_srtp(carrier: Srtp, pbx: Srtp) -> Self {
        Self::configured(vec![place(AGENT, 0)], carrier, pbx, |_| {})
    }

    /// With changes to the configuration.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::configured(vec![place(AGENT, 0)], Srtp::Off, Srtp::Off, change)
    }

    fn configured(places: Vec<Target>, carrier: Srtp, pbx: Srtp, change: impl FnOnce(&mut Config)) -> Self {
        let (now, mut config) = (Instant::now(), config(places, carrier, pbx));
        change(&mut config);
        let mut world = Self {
            now,
            board: Switchboard::new(now, 1_795_000_000_000, config, [1; 32]),
            caller: Peer::new(CARRIER, 40_000, 2),
            caller_at: CARRIER,
            agent: Peer::new(AGENT, 41_000, 3),
            media_answers: true,
            proofs: true,
            results: Vec::new(),
            info_keys: Vec::new(),
            wires: Vec::new(),
            audits: Vec::new(),
            audited_words: Vec::new(),
            orders: Vec::new(),
            opened: Vec::new(),
            caller_connected: false,
            attempts: Vec::new(),
            command_number: 1000,
            strangers: 10,
            taken_pairs: 0,
            tried: Vec::new(),
            agent_is_deaf: false,
            to_agent: Vec::new(),
            to_caller: Vec::new(),
            agent_cseq: 900,
            turned: Vec::new(),
            counted: media::Stats::default(),
            registered: Vec::new(),
            agent_leg: None,
            caller_login: None,
            caller_headers: Vec::new(),
            ending: Vec::new(),
            connects: Vec::new(),
            negotiations: Vec::new(),
            codecs: BTreeMap::new(),
            learns: BTreeMap::new(),
            to_recorder: Vec::new(),
            copies: Vec::new(),
            cues: Vec::new(),
            cue_stops: 0,
            copies_from: None,
            kept: BTreeMap::new(),
            disk: Disk::Writes,
            unheard: Vec::new(),
            unheard_orders: Vec::new(),
        };
        world.board.set_code_key(&[7; 32]);
        (world.caller.srtp, world.agent.srtp) = (carrier, pbx);
        world
    }

    /// What the peer of a side can and wants of SRTP.
    pub(crate) fn peer(&mut self, side: Side) -> &mut Peer {
        match side {
            Side::Caller => &mut self.caller,
            Side::Agent => &mut self.agent,
        }
    }

    /// How the side was connected last; said once.
    pub(crate) fn connected(&mut self, side: Side) -> Option<Connected> {
        let at = self.connects.iter().rposition(|(of, _)| *of == side)?;
        let (_, connected) = self.connects.remove(at);
        self.connects.retain(|(of, _)| *of != side);
        Some(connected)
    }

    fn invite(&mut self, number: &str, body: Option<Body>) {
        let target = Uri::sip(Some(number), US).unwrap();
        let invite = Invite {
            to: NameAddr::new(target.clone()),
            target,
            destination: Some(sip::Peer::udp(US)),
            tcp_when_large: false,
            from: NameAddr::new(Uri::sip(Some("447700900142"), CARRIER).unwrap()),
            headers: self.caller_headers.clone(),
            body: body.clone(),
            credentials: self.caller_login.clone(),
        };
        self.caller.last_offer = body;
        self.caller.dialog = Some(self.caller.endpoint.invite(self.now, invite).unwrap());
    }

    pub(crate) fn caller_headers(&mut self, headers: &[(&str, &str)]) {
        self.caller_headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    }

    pub(crate) fn ring(&mut self) {
        self.ring_at("1001");
    }

    pub(crate) fn ring_at(&mut self, number: &str) {
        self.agent.answers_calls = false;
        let offer = self.caller.offer();
        self.invite(number, Some(offer));
        self.settle();
    }

    pub(crate) fn talk(&mut self) {
        self.talk_at("1001");
    }

    pub(crate) fn talk_at(&mut self, number: &str) {
        self.ring_at(number);
        self.agent.pick_up(self.now);
        self.settle();
    }

    pub(crate) fn talk_late_offer(&mut self) {
        self.invite("1001", None);
        self.settle();
    }

    pub(crate) fn caller_hangs_up(&mut self) {
        let dialog = self.caller.dialog.take().unwrap();
        self.caller.endpoint.bye(self.now, dialog);
        self.settle();
    }

    /// An INFO without anything in it.
    pub(crate) fn caller_asks(&mut self) {
        let dialog = self.caller.dialog.unwrap();
        self.caller.endpoint.info(self.now, dialog, "", Body::default()).unwrap();
        self.settle();
    }

    /// The caller's side asks for a transfer; the start of the answer.
    pub(crate) fn caller_refers(&mut self, target: &str) -> String {
        let ok =
            self.to_caller.iter().find(|text| text.starts_with("SIP/2.0 200") && text.contains("1 INVITE")).unwrap();
        let value = |name: &str| ok.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        let (from, to, call_id) = (value("From: "), value("To: "), value("Call-ID: "));
        self.agent_cseq += 1;
        let cseq = self.agent_cseq;
        let text = format!(
            "REFER sip:{US} SIP/2.0\r\nVia: SIP/2.0/UDP {CARRIER};branch=z9hG4bKc{cseq}\r\n{from}\r\n{to}\r\n{call_id}\r\n\
             CSeq: {cseq} REFER\r\nContact: <sip:{CARRIER}>\r\nMax-Forwards: 70\r\nRefer-To: {target}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.carry(CARRIER, US, text.as_bytes());
        self.settle();
        let ours = format!("CSeq: {cseq} REFER");
        self.to_caller.iter().rfind(|text| text.contains(&ours)).unwrap().get(..11).unwrap().to_owned()
    }

    /// What names the caller's leg to whoever wants to take its place.
    pub(crate) fn caller_leg_name(&self) -> String {
        let ok =
            self.to_caller.iter().find(|text| text.starts_with("SIP/2.0 200") && text.contains("1 INVITE")).unwrap();
        let value = |name: &str| ok.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let tag = |name: &str| value(name).rsplit_once("tag=").unwrap().1;
        format!("{};to-tag={};from-tag={}", value("Call-ID: "), tag("To: "), tag("From: "))
    }

    /// Keys by INFO, all sent before one is answered.
    pub(crate) fn caller_infos(&mut self, keys: &str) {
        let dialog = self.caller.dialog.unwrap();
        for key in keys.bytes() {
            let body = Body::from(&[key][..]);
            self.caller.endpoint.info(self.now, dialog, "application/dtmf", body).unwrap();
        }
        self.settle();
    }

    /// Who was called by an agent says so.
    pub(crate) fn caller_redirects(&mut self, contacts: &str) {
        let invite = self.to_caller.iter().rfind(|text| text.starts_with("INVITE")).unwrap().clone();
        self.redirect(&invite, self.caller_at, contacts);
    }

    /// The INVITEs that went to the caller's side.
    pub(crate) fn caller_invites(&self) -> usize {
        self.to_caller.iter().filter(|text| text.starts_with("INVITE")).count()
    }

    fn redirect(&mut self, invite: &str, from: SocketAddr, contacts: &str) {
        let lines: String = ["Via: ", "From: ", "Call-ID: ", "CSeq: "]
            .map(|name| format!("{}\r\n", invite.lines().find(|line| line.starts_with(name)).unwrap()))
            .concat();
        let to = invite.lines().find(|line| line.starts_with("To: ")).unwrap();
        let text =
            format!("SIP/2.0 302 Moved\r\n{lines}{to};tag=r\r\nContact: {contacts}\r\nContent-Length: 0\r\n\r\n");
        self.carry(from, US, text.as_bytes());
        self.settle();
    }

    /// What the switchboard has sent to the agent's side.
    pub(crate) fn agent_texts(&self) -> &[String] {
        &self.to_agent
    }

    /// How often the media session was told to release, or to open ports.
    pub(crate) fn media_orders(&self, order: &str) -> usize {
        self.orders.iter().filter(|own| **own == order).count()
    }

    pub(crate) fn order_of_the_end(&self) -> &[&'static str] {
        &self.ending
    }

    pub(crate) fn caller_info(&mut self, content_type: &str, body: &str) {
        let dialog = self.caller.dialog.unwrap();
        self.caller.endpoint.info(self.now, dialog, content_type, Body::from(body.as_bytes())).unwrap();
        self.settle();
    }

    pub(crate) fn command(&mut self, action: Action) -> CommandId {
        self.command_number += 1;
        let id = CommandId::from_random(self.command_number);
        let command = Command { id, ..order(self.call(), action) };
        self.send_command(&command);
        id
    }

    pub(crate) fn send_command(&mut self, command: &Command) {
        self.board.handle_command(self.now, command);
        self.settle();
    }

    pub(crate) fn start_payment(&mut self, fields: &[Field]) -> PaymentId {
        self.start_keeping(fields, Store::None, 4200)
    }

    pub(crate) fn start_keeping(&mut self, fields: &[Field], store: Store, minor: i64) -> PaymentId {
        let payment = PaymentId::from_random(5);
        let order = PaymentOrder {
            payment,
            amount: Money { minor, currency: Currency::GBP },
            merchant: "main".parse().unwrap(),
            fields: fields.to_vec(),
            store,
            purpose: None,
            capture: wire::CaptureTime::Now,
            avs: None,
            partial: false,
        };
        let id = self.command(Action::StartPayment(order));
        assert_eq!(self.result(id), Some(CommandResult::Done));
        payment
    }

    pub(crate) fn media(&mut self, event: media::Event) {
        self.board.handle_media(self.now, self.call(), MediaReport::Event(event));
        self.settle();
    }

    pub(crate) fn keys(&mut self, keys: &str) {
        for key in keys.bytes() {
            self.media(media::Event::Key(Key::from_char(key).unwrap()));
        }
    }

    /// Lets time go by, with the media's proofs unless they are switched off.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut proof = self.now;
        while self.now < end {
            self.now += Duration::from_millis(10);
            if self.proofs && self.media_answers && self.now >= proof {
                proof += Duration::from_millis(500);
                self.board.handle_media(
                    self.now,
                    self.call(),
                    MediaReport::Event(media::Event::Proof { witnessed: media::Witnessed::default() }),
                );
            }
            self.board.handle_timeout(self.now);
            self.caller.endpoint.handle_timeout(self.now);
            self.agent.endpoint.handle_timeout(self.now);
            self.settle();
        }
    }

    /// Lets hours go by on an open line.
    pub(crate) fn idle(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_secs(5);
            self.board.handle_timeout(self.now);
            self.caller.endpoint.handle_timeout(self.now);
            self.agent.endpoint.handle_timeout(self.now);
            self.settle();
        }
    }

    /// Carries everything to where it goes until nothing moves any more.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut datagrams = VecDeque::new();
            let mut moved = false;
            while let Some(output) = self.board.poll_output() {
                moved = true;
                self.handle_output(output, &mut datagrams);
            }
            for (peer, address) in [(&mut self.caller, self.caller_at), (&mut self.agent, AGENT)] {
                while let Some(output) = peer.endpoint.poll_output() {
                    moved = true;
                    match output {
                        sip::Output::Send { bytes, .. } => datagrams.push_back((address, US, bytes)),
                        sip::Output::Event(event) => peer.handle(self.now, event),
                    }
                }
            }
            if !moved {
                return;
            }
            for (from, to, bytes) in datagrams {
                self.carry(from, to, &bytes);
            }
        }
    }

    /// What the switchboard has put out goes where it is to.
    pub(crate) fn hand_over(&mut self, outputs: Vec<Output>) {
        let mut datagrams = VecDeque::new();
        outputs.into_iter().for_each(|output| self.handle_output(output, &mut datagrams));
        for (from, to, bytes) in datagrams {
            self.carry(from, to, &bytes);
        }
    }

    pub(crate) fn receive(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.board.handle_message(self.now, sip::Peer::udp(from), bytes);
    }

    fn carry(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if to == AGENT {
            self.to_agent.push(String::from_utf8_lossy(bytes).into_owned());
        } else if to == self.caller_at {
            self.to_caller.push(String::from_utf8_lossy(bytes).into_owned());
        }
        if (to == AGENT || from == AGENT) && self.agent_is_deaf || to == DEAD {
            // Lost.
        } else if to == US {
            self.board.handle_message(self.now, sip::Peer::udp(from), bytes);
        } else if to == AGENT {
            self.agent.endpoint.handle_message(self.now, sip::Peer::udp(US), bytes);
        } else if to == RECORDER {
            self.to_recorder.push(String::from_utf8_lossy(bytes).into_owned());
        } else if to == self.caller_at {
            self.caller.endpoint.handle_message(self.now, sip::Peer::udp(US), bytes);
        }
    }

    fn handle_output(&mut self, output: Output, datagrams: &mut VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>) {
        match output {
            Output::Sip { to, bytes } => datagrams.push_back((US, to.address, bytes)),
            Output::Wire(wire::Event::CommandEnded { id, result }) => self.results.push((id, result)),
            Output::Wire(event) => {
                if matches!(event, wire::Event::CallEnded { .. }) {
                    self.ending.push("call ended");
                }
                self.wires.push(event);
            }
            Output::Turned { is_up, .. } => self.turned.push(is_up),
            Output::Registered { status, .. } => self.registered.push(status),
            Output::SignedIn { .. } => {}
            Output::Audit(event) => {
                self.audited_words.push(format!("{event:?}"));
                if matches!(event.action, AuditAction::PaymentCancelled { .. }) {
                    self.ending.push("payment cancelled");
                }
                self.audits.push(event.action);
            }
            Output::Send { attempt, .. } => self.attempts.push(attempt),
            Output::KeepOrder(kept) => self.keep_order(*kept),
            Output::UseCode { call, payment } => self.use_code(call, payment),
            Output::Media { call, order } => self.handle_order(call, order),
        }
    }

    fn handle_order(&mut self, call: CallId, order: MediaOrder) {
        let report = match order {
            MediaOrder::Open { caller, copies, .. } => {
                self.opened.push(call);
                self.copies_from = copies;
                self.tried.push(caller.port());
                let taken = self.tried.len() <= self.taken_pairs;
                Some(if taken { MediaReport::OpenFailed } else { MediaReport::Opened })
            }
            MediaOrder::Close => {
                self.ending.push("close");
                self.orders.push("close");
                Some(MediaReport::Closed(Box::new(self.counted)))
            }
            MediaOrder::Count => Some(MediaReport::Counted(Box::new(self.counted))),
            MediaOrder::Command(media::Command::Secure { .. }) => {
                self.orders.push("secure");
                self.media_answers.then_some(MediaReport::Event(media::Event::Secured))
            }
            MediaOrder::Command(media::Command::Release) => {
                self.orders.push("release");
                self.media_answers.then_some(MediaReport::Event(media::Event::Releasing))
            }
            MediaOrder::Command(media::Command::InfoKey { key, .. }) => {
                self.info_keys.push(key);
                None
            }
            MediaOrder::Command(media::Command::Connect { side, remote }) => {
                self.codecs.insert(side, remote.codec);
                self.learns.insert(side, remote.learns_from);
                if side == Side::Agent {
                    self.orders.push("agent connected");
                }
                self.caller_connected |= side == Side::Caller;
                self.connects.push((side, Connected::Plain));
                None
            }
            MediaOrder::Command(media::Command::ConnectProtected { side, keys, .. }) => {
                self.connects.push((side, Connected::Protected(keys)));
                None
            }
            MediaOrder::Negotiate { side, remote, terms } => {
                self.negotiations.push((side, remote, *terms));
                None
            }
            MediaOrder::Command(media::Command::Disconnect { side }) => {
                self.connects.push((side, Connected::Not));
                None
            }
            MediaOrder::Command(media::Command::HearAgentKeys { code }) => {
                self.orders.push(match code.as_deref() {
                    None => "hear no agent",
                    Some([]) => "hear all of the agent",
                    Some(_) => "hear the agent's code",
                });
                None
            }
            MediaOrder::Command(media::Command::Copy { side, remote, keys, .. }) => {
                self.copies.push((side, remote, keys.map(|keys| *keys)));
                None
            }
            MediaOrder::Command(command) => {
                self.note_command(&command);
                None
            }
        };
        if let Some(report) = report {
            self.board.handle_media(self.now, call, report);
        }
    }

    /// Did the office get a proof that a line is masked?
    pub(crate) fn was_proved(&self) -> bool {
        self.wires.iter().any(|event| matches!(event, wire::Event::Proof { .. }))
    }

    fn note_command(&mut self, command: &media::Command) {
        match command {
            media::Command::Cue { long, short } => self.cues.push((*long, *short)),
            media::Command::CueStop => self.cue_stops += 1,
            media::Command::TonesAlone => self.orders.push("tones alone"),
            media::Command::StopCopies => self.copies.clear(),
            _ => {}
        }
    }

    pub(crate) fn call(&self) -> CallId {
        self.snapshot().call
    }

    pub(crate) fn snapshot(&self) -> CallSnapshot {
        self.board.snapshots().into_iter().next().expect("a call")
    }

    /// The SIP messages of a call, as they are told; or how that is refused.
    pub(crate) fn ladder(&mut self, call: CallId) -> Result<Ladder, Refusal> {
        self.command_number += 1;
        let id = CommandId::from_random(self.command_number);
        self.send_command(&Command { id, ..order(call, Action::Ladder) });
        let told = self.wires.iter().find_map(|event| match event {
            wire::Event::Ladder { command, ladder } if *command == id => Some(ladder.clone()),
            _ => None,
        });
        told.ok_or_else(|| match self.result(id) {
            Some(CommandResult::Refused { reason }) => reason,
            other => panic!("no ladder and no refusal: {other:?}"),
        })
    }

    /// The calls whose messages are kept.
    pub(crate) fn ladders(&mut self) -> Vec<LadderSummary> {
        self.command_number += 1;
        let id = CommandId::from_random(self.command_number);
        self.send_command(&Command { id, ..order(CallId::from_random(0), Action::Ladders) });
        assert_eq!(self.result(id), Some(CommandResult::Done));
        let told = self.wires.iter().find_map(|event| match event {
            wire::Event::Ladders { command, ladders } if *command == id => Some(ladders.clone()),
            _ => None,
        });
        told.unwrap()
    }

    /// How the newest test call was shown last.
    pub(crate) fn test_call(&self) -> Option<TestSnapshot> {
        self.wires.iter().rev().find_map(|event| match event {
            wire::Event::Test { test } => Some(test.clone()),
            _ => None,
        })
    }

    /// How the legs were shown to fare, and how they have fared by the audit trail.
    pub(crate) fn figures(&self) -> (Vec<CallFigures>, Vec<CallFigures>) {
        let shown = self.wires.iter().filter_map(|event| match event {
            wire::Event::Figures { figures, .. } => Some(figures.clone()),
            _ => None,
        });
        let audited = self.audits.iter().filter_map(|action| match action {
            AuditAction::Figures { figures } => Some(figures.clone()),
            _ => None,
        });
        (shown.collect(), audited.collect())
    }

    /// A trunk as it was shown last.
    pub(crate) fn trunk(&self, name: &str) -> TrunkSnapshot {
        let shown = self.wires.iter().rev().find_map(|event| match event {
            wire::Event::Trunk { trunk } if trunk.name == name => Some(trunk.clone()),
            _ => None,
        });
        shown.expect("a trunk")
    }

    pub(crate) fn ended(&self) -> Option<CallEnd> {
        self.wires.iter().find_map(|event| match event {
            wire::Event::CallEnded { end, .. } => Some(*end),
            _ => None,
        })
    }

    pub(crate) fn result(&self, id: CommandId) -> Option<CommandResult> {
        self.results.iter().find(|(known, _)| *known == id).map(|(_, result)| result.clone())
    }

    pub(crate) fn sends(&self) -> Vec<AttemptId> {
        self.attempts.clone()
    }

    pub(crate) fn secures(&self) -> usize {
        self.orders.iter().filter(|order| **order == "secure").count()
    }

    pub(crate) fn media_closed(&self) -> bool {
        self.orders.contains(&"close")
    }

    pub(crate) fn caller_connected(&self) -> bool {
        self.caller_connected
    }

    pub(crate) fn audited(&self, is: impl Fn(&AuditAction) -> bool) -> bool {
        self.audits.iter().any(is)
    }

    pub(crate) fn caller_saw(&self, is: impl Fn(&Event) -> bool) -> bool {
        self.caller.events.iter().any(is)
    }

    pub(crate) fn caller_answers(&self) -> &[u16] {
        &self.caller.answers
    }

    pub(crate) fn caller_last_offer(&self) -> Body {
        self.caller.last_offer.clone().unwrap()
    }
}
