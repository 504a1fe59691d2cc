//! One life of the cde process: the switchboard and what the shell around it does with its outputs.

use super::bounced;
use super::charge::{Following, Write};
use super::lanes::Lane;
use super::media::Media;
use super::{MEDIA, US, World};
use crate::oracle::Promise;
use crate::plan::Side as Process;
use crate::sabotage::Sabotage;
use ::call::{Config, OpenLineKeys, Output, Route, Srtp, Switchboard, Target, Trunk};
use gateway::Sandbox;
use media::{Remote, Side};
use payment::Rules;
use sip::{Local, Transport};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;
use wire::{AttemptId, CallId, Event};

/// The RTP ports of a world: enough for its calls and for those that have not quite ended.
const PORTS: (u16, u16) = (10_000, 10_199);
const CALLS_MAX: usize = 40;

pub(super) struct Cde {
    pub(super) life: u32,
    pub(super) board: Switchboard,
    pub(super) media: BTreeMap<CallId, Media>,
    pub(super) ports: BTreeMap<SocketAddr, (CallId, Side)>,
    pub(super) remotes: BTreeMap<(CallId, Side), Remote>,
    /// When the newest report of a media session arrives.
    pub(super) reported: Instant,
    pub(super) adapter: Sandbox,
    pub(super) following: BTreeMap<AttemptId, Following>,
    /// What waits for the disk.
    pub(super) writes: Vec<Write>,
}

impl Cde {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let media = self.media.values().filter_map(Media::poll_timeout).min();
        [self.board.poll_timeout(), media].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.board.poll_timeout().is_some_and(|at| at <= now) {
            self.board.handle_timeout(now);
        }
        for media in self.media.values_mut() {
            if media.poll_timeout().is_some_and(|at| at <= now) {
                media.handle_timeout(now);
            }
        }
    }
}

fn config(lanes: &[Lane], natural: bool) -> Config {
    let trunk = |name: String, address: SocketAddr| Trunk {
        name,
        targets: vec![Target { ip: address.ip(), port: Some(address.port()), priority: 0, weight: 0 }],
        transport: Transport::Udp,
        tcp_when_large: false,
        keepalive: None,
        srtp: Srtp::Off,
        login: None,
        domain: None,
        on_demand: None,
        test_number: None,
        nat: call::Nat::Off,
    };
    let names = |lane: &Lane| (format!("carrier{}", lane.extension), format!("pbx{}", lane.extension));
    let trunks = lanes.iter().flat_map(|lane| {
        let (carrier, pbx) = names(lane);
        [trunk(carrier, lane.caller.sip()), trunk(pbx, lane.agent.sip())]
    });
    let routes = lanes.iter().map(|lane| {
        let (from, to) = names(lane);
        let open_line_keys = OpenLineKeys::Alarm;
        Route {
            from,
            to,
            prefix: String::new(),
            extension: Some(lane.extension.clone()),
            rewrite: ::call::Rewrite::default(),
            open_line_keys,
            outbound: false,
            recorder: None,
            hook: None,
            feature_code: String::new(),
            bounce: bounced::terms(lane),
        }
    });
    Config {
        sip: vec![Local::udp(US)],
        media: MEDIA.into(),
        media_v6: None,
        ports: PORTS,
        calls_max: CALLS_MAX,
        trunks: trunks.collect(),
        phones: Vec::new(),
        routes: routes.collect(),
        merchants: "main".parse().into_iter().collect(),
        code_to_keep: "main".parse().into_iter().collect(),
        rules: Rules::default(),
        record: false,
        headers_passed: Vec::new(),
        ladder_bytes_max: 1 << 20,
        masking: if natural { media::Policy::Natural } else { media::Policy::Strict },
    }
}

impl World {
    pub(super) fn start_cde(&mut self) {
        self.lives += 1;
        let seed = self.dice.seed();
        self.cde = Some(Cde {
            life: self.lives,
            board: Switchboard::new(self.now, self.unix_ms(), config(&self.lanes, self.plan.natural), seed),
            media: BTreeMap::new(),
            ports: BTreeMap::new(),
            remotes: BTreeMap::new(),
            reported: self.now,
            adapter: Sandbox::new(Sandbox::TEST_KEY.to_owned()),
            following: BTreeMap::new(),
            writes: Vec::new(),
        });
        self.recall_orders();
        self.settle_left_over();
    }

    /// Everything in its memory is gone; so is what it had not yet written.
    pub(super) fn kill_cde(&mut self) {
        let calls: Vec<CallId> = self.cde.take().map(|cde| cde.media.into_keys().collect()).unwrap_or_default();
        calls.into_iter().for_each(|call| self.oracle.closed(call));
    }

    pub(super) fn drain_cde(&mut self) {
        self.drain_all_media();
        while let Some(output) = self.cde.as_mut().and_then(|cde| cde.board.poll_output()) {
            match output {
                Output::Sip { to, bytes } => self.board_sip(to.address, &bytes),
                Output::Media { call, order } => self.media_order(call, order),
                Output::Turned { .. } | Output::Registered { .. } | Output::SignedIn { .. } => {}
                Output::Wire(event) => self.show(event),
                Output::Audit(event) => self.write(Write::Audit(Box::new(event))),
                Output::Send { call, attempt } => self.charge(call, attempt),
                // Nobody orders ahead in these worlds.
                Output::KeepOrder(_) | Output::UseCode { .. } => {}
            }
        }
        self.send_records();
    }

    fn board_sip(&mut self, to: SocketAddr, bytes: &[u8]) {
        if self.lanes.iter().any(|lane| lane.agent.sip() == to) {
            let masked = self.agent_is_masked(to);
            self.oracle.agent_sip(masked, bytes);
            self.judge_result(bytes);
        }
        self.send_sip(US, to, bytes);
    }

    fn show(&mut self, event: Event) {
        if let Event::Call { call } = &event {
            self.oracle.shown(call.call, call.line);
        }
        if self.sabotaged(Sabotage::SwallowAnswers) && matches!(event, Event::CommandEnded { .. }) {
            return;
        }
        let event = self.sabotage_shown(event);
        self.say_to_office(&wire::FromCde::Event(event));
    }

    fn sabotage_shown(&self, mut event: Event) -> Event {
        if let Event::Call { call } = &mut event {
            let lane = self.lanes.iter().find(|lane| lane.extension == call.extension);
            if self.sabotaged(Sabotage::PrintPan)
                && let Some(number) = lane.and_then(Lane::number)
            {
                number.clone_into(&mut call.caller);
            }
            if self.sabotaged(Sabotage::ShowCode)
                && let Some(field) = call.payment.iter_mut().flat_map(|payment| payment.fields.iter_mut()).next()
            {
                field.digits += u8::from(self.plan.twin);
            }
        }
        event
    }

    /// The last look: does everybody say the same, and is nothing left?
    pub(super) fn judge(&mut self) {
        let left = self.cde.as_ref().map_or(0, |cde| cde.media.len());
        if left > 0 && self.oracle.violations.is_empty() {
            self.oracle.broken(Promise::EveryCallEnds, format!("{left} media sessions are left"));
        }
        self.judge_money();
        self.judge_orders();
        self.judge_office();
    }

    pub(super) fn is_down(&self, process: Process) -> bool {
        match process {
            Process::Cde => self.cde.is_none(),
            Process::Office => self.office.is_none(),
        }
    }
}
