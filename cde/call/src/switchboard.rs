//! All calls of our SIP addresses as one machine: dispatch, commands, timers and ports.

mod awaiting;
mod bouncing;
mod commands;
mod dialogs;
mod health;
mod joins;
mod ladders;
mod orders;
mod partings;
mod places;
mod ports;
mod trying;

use crate::Config;
use crate::bounce::codes::{Codes, KeptOrder};
use crate::call::{Arrival, Call, Context, NoCall, TestCall};
use crate::config::{Trunk, is_web};
use crate::guard::Guard;
use crate::ladder::Ladders;
use crate::orders::{Orders, Wanted};
use crate::pins::Pins;
use crate::transfers::{Claim, Transfers};
use crate::trunks::{Trunks, Turned};
use crate::wall::Wall;
pub(crate) use commands::Commands;
use dialogs::Dialogs;
pub use orders::{MediaOrder, MediaReport};
use payment::Sending;
pub(crate) use ports::Ports;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};
use sip::message::Malformed;
use sip::{DialogId, Endpoint, Peer, RegistrationId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use wire::{
    Action, AttemptId, AuditEvent, CallId, CallSnapshot, Command, Event, Extension, MerchantId, Money, Origin, Outcome,
    PaymentId, Reference, Refusal,
};

/// How many pairs of ports a call tries: a port may be another program's.
pub(crate) const PAIRS_MAX: u8 = 4;

/// What the shell must do. Drain it after every other call.
pub enum Output {
    /// Send this from our SIP address for it.
    Sip {
        /// To whom, and over what.
        to: Peer,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Tell a call's media session.
    Media {
        /// Whose.
        call: CallId,
        /// What.
        order: MediaOrder,
    },
    /// Show the office.
    Wire(Event),
    /// A phone has signed in: its connection is no stranger's.
    SignedIn {
        /// Where it is.
        peer: Peer,
        /// The name of its account.
        user: String,
    },
    /// A place of a trunk answers no more, or again: worth a line in the log.
    Turned {
        /// Whose.
        trunk: String,
        /// Which.
        address: SocketAddr,
        /// Does it answer?
        is_up: bool,
    },
    /// A registrar says something else than before: worth a line in the log.
    Registered {
        /// Whose.
        trunk: String,
        /// Which.
        address: SocketAddr,
        /// Its status; 408 for no answer, 503 for no way there.
        status: u16,
    },
    /// Write to the journal.
    Audit(AuditEvent),
    /// Put this order on disk, and report that by [`Switchboard::handle_order_kept`]. Orders, and that codes are used, are written one after
    /// the other as they come.
    KeepOrder(Box<KeptOrder>),
    /// Put on disk that the code of this order is used, unless it is not good any more, and report that by
    /// [`Switchboard::handle_code_used`].
    UseCode {
        /// Whose.
        call: CallId,
        /// Of which order.
        payment: PaymentId,
    },
    /// Build the request from [`Switchboard::charge`] now, put the attempt on disk, report that, then send.
    Send {
        /// Whose.
        call: CallId,
        /// Which attempt.
        attempt: AttemptId,
    },
}

impl Output {
    pub(crate) fn turned(config: &Config, turned: &Turned) -> Self {
        let trunk = config.trunks.get(turned.trunk).map(|trunk| trunk.name.clone()).unwrap_or_default();
        Self::Turned { trunk, address: turned.peer.address, is_up: turned.is_up }
    }
}

/// What an attempt is built and journaled from.
pub struct Charge<'a> {
    /// Which payment.
    pub payment: PaymentId,
    /// The extension of the call.
    pub extension: &'a Extension,
    /// Who had it sent.
    pub origin: &'a Origin,
    /// Of a bounced call: what the contact centre calls what is paid.
    pub reference: Option<&'a Reference>,
    /// The card, the amount and for whom.
    pub sending: Sending<'a>,
}

/// The machine.
pub struct Switchboard {
    config: Config,
    endpoint: Endpoint,
    rng: ChaCha12Rng,
    wall: Wall,
    ports: Ports,
    calls: BTreeMap<CallId, Call>,
    dialogs: Dialogs,
    timers: BTreeSet<(Instant, CallId)>,
    commands: Commands,
    outputs: VecDeque<Output>,
    draining: bool,
    /// The addresses of the trunks, which the guard does not concern.
    friends: BTreeSet<IpAddr>,
    /// Where we register.
    registrars: BTreeMap<RegistrationId, Peer>,
    trunks: Trunks,
    legs: health::Legs,
    partings: partings::Partings,
    joins: joins::Joins,
    test: Option<TestCall>,
    ladders: Ladders,
    /// So many of the outputs were looked at for the ladders.
    noted: usize,
    guard: Guard,
    transfers: Transfers,
    bounced: Orders,
    codes: Codes,
    ordering: bouncing::Ordering,
    pins: Pins,
}

impl Switchboard {
    /// A switchboard without calls. `seed` must be secret and fresh; `unix_ms` is the wall clock at `now`.
    pub fn new(now: Instant, unix_ms: i64, config: Config, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut sip_seed = [0; 32];
        rng.fill_bytes(&mut sip_seed);
        let endpoint = Endpoint::new(
            sip::Config {
                local: config.sip.clone(),
                user_agent: concat!("Tonewall/", env!("CARGO_PKG_VERSION")).to_owned(),
                transactions_max: config.calls_max.saturating_mul(8),
                dialogs_max: config.calls_max.saturating_mul(4),
            },
            sip_seed,
        );
        let (ports, ladders) =
            (Ports::new(config.ports), Ladders::new(config.ladder_bytes_max).hiding(config.numbers()));
        let targets = config.trunks.iter().flat_map(|trunk| &trunk.targets);
        let friends = targets.map(|target| target.ip).collect();
        let trunks = Trunks::new(now, &config);
        let registrations: Vec<_> = config.trunks.iter().flat_map(Trunk::registrations).collect();
        let mut board = Self {
            config,
            endpoint,
            rng,
            wall: Wall::new(now, unix_ms),
            ports,
            calls: BTreeMap::new(),
            dialogs: Dialogs::default(),
            timers: BTreeSet::new(),
            commands: Commands::default(),
            outputs: VecDeque::new(),
            draining: false,
            friends,
            registrars: BTreeMap::new(),
            trunks,
            legs: health::Legs::default(),
            partings: partings::Partings::default(),
            joins: joins::Joins::default(),
            test: None,
            ladders,
            noted: 0,
            guard: Guard::new(now),
            transfers: Transfers::default(),
            bounced: Orders::default(),
            // Until it is told one that is kept.
            codes: Codes::new(&seed),
            ordering: bouncing::Ordering::new(),
            pins: Pins::default(),
        };
        board.note_hidden();
        for phone in board.config.phones.clone() {
            // There are more than it admits only by mistake.
            let _ = board.endpoint.admit(phone.name, phone.credentials);
        }
        for registration in registrations {
            let registrar = registration.destination;
            // There are more trunks than a switchboard can register at only by mistake.
            if let Ok(id) = board.endpoint.register(now, registration) {
                board.registrars.insert(id, registrar);
            }
        }
        board.drain_endpoint(now);
        board
    }

    /// The wall clock may be set while we run; say so from time to time.
    pub fn set_wall(&mut self, now: Instant, unix_ms: i64) {
        self.wall = Wall::new(now, unix_ms);
    }

    /// The agents' PINs are these from now on.
    pub fn set_pins(&mut self, pins: Pins) {
        self.pins = pins;
    }

    /// Before the first call: a bounced order that was sent by a process before this one, and took money or may have.
    pub fn recall_order(
        &mut self,
        now: Instant,
        (merchant, reference, amount): (MerchantId, Reference, Money),
        payment: PaymentId,
        age: Duration,
    ) {
        self.bounced.recall(now, Wanted::new(&merchant, &reference, amount), payment, age);
    }

    /// A message came to one of our SIP addresses.
    pub fn handle_message(&mut self, now: Instant, from: Peer, bytes: &[u8]) {
        let source = from.address.ip();
        let is_friend = self.friends.contains(&source) || self.endpoint.user_at(from).is_some();
        if !is_friend && !self.guard.admits(now, source) {
            return;
        }
        self.endpoint.handle_message(now, from, bytes);
        self.drain_events(now);
        self.note_received(now, from, bytes);
        self.drain_endpoint(now);
    }

    /// What a connection brought cannot be cut into messages. Close it after what is said to that is sent.
    pub fn handle_broken(&mut self, now: Instant, from: Peer, malformed: &Malformed) {
        self.endpoint.handle_broken(from, malformed);
        self.drain_endpoint(now);
    }

    /// A connection is closed or could not be opened.
    pub fn handle_closed(&mut self, now: Instant, peer: Peer) {
        self.endpoint.handle_closed(now, peer);
        self.drain_endpoint(now);
    }

    /// A call's media session reports.
    pub fn handle_media(&mut self, now: Instant, call: CallId, report: MediaReport) {
        if let MediaReport::Closed(stats) = &report {
            let parting = self.partings.take(call);
            return self.outputs.extend(parting.into_iter().flat_map(|parting| parting.complete(stats)));
        }
        if self.is_test(|test| test.id == call) {
            self.with_test(now, |test, context| test.handle_media(context, &report));
            return self.drain_endpoint(now);
        }
        let failed = matches!(report, MediaReport::OpenFailed);
        if !failed || !self.open_again(now, call) {
            self.with_call(now, call, |call, context| call.handle_media(context, report));
        }
        self.drain_endpoint(now);
    }

    /// The office commands. A repeated id gets its answer again.
    pub fn handle_command(&mut self, now: Instant, command: &Command) {
        if self.answer_reader(command) {
            return;
        }
        if let Some(event) = self.commands.begin(command.id) {
            self.outputs.extend(event.map(Output::Wire));
            return;
        }
        if let Action::AwaitTransfer { extension, payment, conference } = &command.action {
            return self.await_transfer(now, command, extension, (payment.as_ref(), *conference));
        }
        if let Action::OrderBounced(order) = &command.action {
            return self.order_bounced(now, command, order);
        }
        if self.begin_test(now, command) {
            return;
        }
        if !self.with_call(now, command.call, |call, context| call.handle_command(context, command)) {
            let is_awaited = self.transfers.snapshot(&self.config, command.call).is_some();
            let reason = if is_awaited { Refusal::WrongState } else { Refusal::UnknownCall };
            let event = self.commands.end(command.id, Err(reason));
            self.outputs.extend(event.map(Output::Wire));
        }
        self.drain_endpoint(now);
    }

    /// An attempt is on disk and is being sent, or could not be put there and is not.
    pub fn handle_journaled(&mut self, now: Instant, call: CallId, attempt: AttemptId, result: Result<(), Refusal>) {
        self.with_call(now, call, |call, context| call.handle_journaled(context, attempt, result));
        self.drain_endpoint(now);
    }

    /// The outcome of an attempt, or of a later inquiry about it. The call may be long gone.
    pub fn handle_outcome(&mut self, now: Instant, call: CallId, attempt: AttemptId, outcome: Outcome) {
        self.with_call(now, call, |call, context| call.handle_outcome(context, attempt, outcome));
        self.drain_endpoint(now);
    }

    /// What became of the card of an attempt that was to be kept; it comes before the attempt's outcome.
    pub fn handle_kept(&mut self, now: Instant, call: CallId, attempt: AttemptId, kept: wire::Keeping) {
        self.with_call(now, call, |call, context| call.handle_kept(context, attempt, kept));
    }

    /// Time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain_endpoint(now);
        while let Some((at, call)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.remove(&(at, call));
            self.with_call(now, call, Call::handle_timeout);
        }
        while let Some(peer) = self.trunks.due(now) {
            // Without room for it, it is due again later.
            let _ = self.endpoint.probe(now, peer).map(|request| self.trunks.probing(peer, request));
        }
        self.count_legs(now);
        self.expire_transfers(now);
        self.with_test(now, |test, context| test.handle_timeout(context));
        self.drain_endpoint(now);
    }

    /// When [`Self::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let call = self.timers.first().map(|(at, _)| *at);
        let test = self.test.as_ref().map(TestCall::poll_timeout);
        let others = [self.trunks.poll_timeout(), self.legs.poll_timeout(), self.transfers.poll_timeout(), test];
        [self.endpoint.poll_timeout(), call].into_iter().chain(others).flatten().min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.noted = self.noted.saturating_sub(1);
        self.outputs.pop_front()
    }

    /// An attempt between [`Output::Send`] and the journal's answer; none when its card is gone.
    pub fn charge(&self, call: CallId, attempt: AttemptId) -> Option<Charge<'_>> {
        self.calls.get(&call)?.charge(attempt)
    }

    /// Every call, those that are awaited among them, for an office that has just connected.
    pub fn snapshots(&self) -> Vec<CallSnapshot> {
        let calls = self.calls.values().filter_map(Call::snapshot);
        calls.chain(self.transfers.snapshots(&self.config)).collect()
    }

    /// Calls at this moment.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// From now on new calls are refused, and registrars are told to send none.
    pub fn drain(&mut self, now: Instant) {
        self.draining = true;
        self.end_test(now);
        self.endpoint.unregister(now);
        self.drain_endpoint(now);
    }

    /// Ends every call now.
    pub fn end_all(&mut self, now: Instant) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.with_call(now, call, Call::end_for_shutdown);
        }
        self.endpoint.unregister(now);
        self.drain_endpoint(now);
    }

    /// What the SIP endpoint counted.
    pub fn sip_stats(&self) -> sip::Stats {
        self.endpoint.stats()
    }

    /// Messages that were not read, because they were too many of addresses that no trunk has.
    pub fn strangers_dropped(&self) -> u64 {
        self.guard.dropped()
    }

    fn drain_endpoint(&mut self, now: Instant) {
        self.drain_events(now);
        self.note_sent(now);
        self.show_trunks();
    }

    fn drain_events(&mut self, now: Instant) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                sip::Output::Send { to, bytes } => self.outputs.push_back(Output::Sip { to, bytes }),
                sip::Output::Event(event) => self.handle_sip(now, event),
            }
        }
    }

    fn handle_sip(&mut self, now: Instant, event: sip::Event) {
        if let sip::Event::Incoming { dialog, from, invite } = event {
            return self.handle_incoming(now, dialog, from, &invite);
        }
        if let sip::Event::Probed { request, status } = event {
            if self.is_test(|test| test.expects(request)) {
                return self.with_test(now, |test, context| test.handle_probed(context, status));
            }
            let turned = self.trunks.probed(now, request, status);
            return self.outputs.extend(turned.map(|turned| Output::turned(&self.config, &turned)));
        }
        if let sip::Event::Refer { dialog, request, refer } = &event
            && let Some(ours) = refer.ours
        {
            return self.handle_join(now, *dialog, *request, refer.clone(), ours);
        }
        match event {
            sip::Event::SignedIn { peer, user } => return self.outputs.push_back(Output::SignedIn { peer, user }),
            sip::Event::Registered { registration } => return self.registrar_heard(now, registration, 200),
            sip::Event::RegistrationFailed { registration, status } => {
                return self.registrar_heard(now, registration, status);
            }
            _ => {}
        }
        if self.is_test(|test| test.dialog().is_some() && test.dialog() == event.dialog()) {
            return self.with_test(now, |test, context| test.handle_sip(context, event));
        }
        let call = event.dialog().and_then(|dialog| self.dialogs.get(&dialog)).copied();
        match call {
            Some(call) => self.tell_call(now, call, event),
            None => self.answer_orphan(now, &event),
        }
    }

    /// A dialog without a call can only be one that is just ending.
    fn answer_orphan(&mut self, now: Instant, event: &sip::Event) {
        match event {
            sip::Event::Request { request, .. }
            | sip::Event::Update { request, .. }
            | sip::Event::Refer { request, .. } => self.endpoint.respond(now, *request, 481),
            sip::Event::Answered { dialog, .. } | sip::Event::Reinvite { dialog, .. } => {
                self.endpoint.bye(now, *dialog);
            }
            _ => {}
        }
    }

    fn handle_incoming(&mut self, now: Instant, dialog: DialogId, from: Peer, invite: &sip::IncomingInvite) {
        let id = CallId::from_random(self.random());
        if self.config.is_behind_nat(from) {
            self.endpoint.keep_to_source(dialog);
        }
        let is_friend = self.friends.contains(&from.address.ip());
        let name = self.endpoint.call_id(dialog).filter(|_| is_friend).map(str::to_owned);
        self.take_incoming(now, id, dialog, from, invite);
        self.note_refused(id, name, invite);
    }

    fn take_incoming(&mut self, now: Instant, id: CallId, dialog: DialogId, from: Peer, invite: &sip::IncomingInvite) {
        if self.draining || self.calls.len() >= self.config.calls_max {
            let retry = vec![("Retry-After".to_owned(), b"10".to_vec())];
            return self.endpoint.reject(now, dialog, 503, None, retry);
        }
        if is_web(from.transport) {
            let user = invite.from.uri.user().unwrap_or_default();
            if !self.endpoint.authenticate_account(now, dialog, from, user) {
                return;
            }
        }
        if let Some(login) = self.config.login_of(from) {
            if login.is_demanded && !self.endpoint.authenticate(now, dialog, from, &login.credentials) {
                return;
            }
            self.endpoint.log_in(dialog, &login.credentials);
        }
        if let Some(replaced) = invite.replaces {
            return self.handle_replacing(now, dialog, from, invite, replaced);
        }
        match self.claim_transfer(now, from, invite) {
            Ok(Claim::Taken(awaited)) => self.begin_transferred(now, (dialog, from, invite), *awaited),
            Ok(Claim::Conference(awaited)) => self.begin_conference(now, (dialog, from, invite), *awaited),
            Ok(Claim::Consult(awaited)) => self.begin_consulting(now, (dialog, from, invite), *awaited),
            Ok(Claim::Agent { trunk, extension }) => {
                let arrival = (id, dialog, from, invite);
                self.begin_call(now, arrival, |context, arrival| Call::keying(context, arrival, trunk, extension));
            }
            Ok(_) => {
                self.begin_call(now, (id, dialog, from, invite), Call::new);
            }
            Err(status) => self.endpoint.reject(now, dialog, status, None, Vec::new()),
        }
    }

    fn begin_call<E: Into<NoCall>>(
        &mut self,
        now: Instant,
        (id, dialog, from, invite): (CallId, DialogId, Peer, &sip::IncomingInvite),
        make: impl FnOnce(&mut Context<'_>, &Arrival<'_>) -> Result<Call, E>,
    ) -> bool {
        let session_ids = (self.rng.next_u64(), self.rng.next_u64());
        let Some(ports) = self.ports.take() else {
            self.endpoint.reject(now, dialog, 503, Some("No Media Port"), Vec::new());
            return false;
        };
        let (mut context, _) = self.context(now);
        match make(&mut context, &Arrival { id, dialog, from, invite, ports, session_ids }) {
            Ok(call) => {
                self.dialogs.insert(dialog, id);
                self.calls.insert(id, call);
                self.name_dialog(id, dialog);
                self.with_call(now, id, Call::begin);
                true
            }
            Err(why) => {
                let NoCall { status, words } = why.into();
                self.ports.give_back(ports);
                self.endpoint.reject(now, dialog, status, words, Vec::new());
                false
            }
        }
    }

    /// An INVITE that takes the place of a leg needs no route and no ports: both are there.
    fn handle_replacing(
        &mut self,
        now: Instant,
        dialog: DialogId,
        from: Peer,
        invite: &sip::IncomingInvite,
        replaced: DialogId,
    ) {
        let call = self.dialogs.get(&replaced).copied();
        let found = call.is_some_and(|call| {
            self.with_call(now, call, |call, context| call.replaced(context, dialog, from, invite, replaced))
        });
        if !found {
            self.endpoint.reject(now, dialog, 481, None, Vec::new());
        }
    }

    /// Tries another pair of ports. The one that could not be bound goes to the end of the pool.
    fn open_again(&mut self, now: Instant, call: CallId) -> bool {
        let Some(left) = self.calls.get_mut(&call).map(|call| &mut call.pairs_left).filter(|left| **left > 0) else {
            return false;
        };
        *left -= 1;
        let Some(pair) = self.ports.take() else { return false };
        let mut refused = pair;
        self.with_call(now, call, |call, context| refused = call.open_at(context, pair));
        self.ports.give_back(refused);
        true
    }

    fn random(&mut self) -> u128 {
        u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64())
    }

    fn context(&mut self, now: Instant) -> (Context<'_>, &mut BTreeMap<CallId, Call>) {
        let context = Context {
            now,
            wall: self.wall,
            config: &self.config,
            endpoint: &mut self.endpoint,
            rng: &mut self.rng,
            trunks: &mut self.trunks,
            ports: &mut self.ports,
            commands: &mut self.commands,
            transfers: &mut self.transfers,
            orders: &mut self.bounced,
            codes: &mut self.codes,
            pins: &self.pins,
            outputs: &mut self.outputs,
        };
        (context, &mut self.calls)
    }

    /// Lets a call do something and takes note of what that changed: its timer, its dialogs, its end. What the endpoint
    /// has to say of it is drained by who began, or one call's events would nest in another's.
    fn with_call(&mut self, now: Instant, id: CallId, act: impl FnOnce(&mut Call, &mut Context<'_>)) -> bool {
        let (mut context, calls) = self.context(now);
        let Some(call) = calls.get_mut(&id) else { return false };
        let (timer_before, dialogs_before) = (call.timer, call.dialogs());
        act(call, &mut context);
        call.settle(&mut context);
        let timer = call.poll_timeout();
        call.timer = timer;
        let (dialogs, over, ports) = (call.dialogs(), call.is_over(), call.ports());
        if dialogs != dialogs_before {
            self.legs.change(now);
        }
        self.timers.extend(timer.map(|at| (at, id)));
        if let Some(at) = timer_before.filter(|at| timer != Some(*at)) {
            self.timers.remove(&(at, id));
        }
        self.note_dialogs(id, dialogs_before, dialogs);
        if over {
            self.forget(id, ports);
        }
        self.settle_join(now, id);
        self.keep_lent(now, id);
        true
    }

    /// Whose the dialogs are now. One that another call took over is that call's.
    fn note_dialogs(&mut self, id: CallId, before: [Option<DialogId>; 4], now: [Option<DialogId>; 4]) {
        for gone in before.into_iter().flatten().filter(|dialog| !now.contains(&Some(*dialog))) {
            if self.dialogs.get(&gone) == Some(&id) {
                self.dialogs.remove(&gone);
            }
        }
        // Those that it had before may be lent to another call.
        for new in now.into_iter().flatten().filter(|dialog| !before.contains(&Some(*dialog))) {
            self.name_dialog(id, new);
            self.dialogs.insert(new, id);
        }
    }

    fn forget(&mut self, id: CallId, ports: [Option<(u16, u16)>; 2]) {
        self.ladders.end(id);
        if let Some(call) = self.calls.remove(&id) {
            call.timer.map(|at| self.timers.remove(&(at, id)));
            call.parting().into_iter().for_each(|parting| self.partings.add(id, parting));
        }
        self.dialogs.forget(id);
        ports.into_iter().flatten().for_each(|pair| self.ports.give_back(pair));
    }
}
