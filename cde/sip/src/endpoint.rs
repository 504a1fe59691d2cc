//! The user agent core: every dialog of our addresses as one machine.

mod auth;
mod caller;
mod content;
mod in_dialog;
mod outbox;
mod probe;
mod provisional;
mod refer;
mod refuse;
mod registrar;
mod registrations;
mod requests;
mod responder;
mod responses;
mod session;
mod types;
mod update;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Instant,
};

use crate::{
    dialog::Dialogs,
    digest::Guard,
    identifiers::Identifiers,
    message::{self, Body, Malformed, Message, writer::Writer},
    siprec::Metadata,
    transaction::{ClientExpiry, Clients, Purpose, ServerExpiry, ServerId, Servers},
    transport::{Local, Peer, Transport},
};

pub(crate) use outbox::Outbox;
use registrar::Registrar;
use registrations::Registrations;
pub use registrations::{Registration, RegistrationId};
pub use types::{Config, DialogId, EndReason, Error, Event, IncomingInvite, Invite, Output, Refer, RequestId, Stats};

/// The extensions that we know, as the value of Supported.
const SUPPORTED: &str = "timer, 100rel, replaces, norefersub";
/// The same where no provisional response is to be acknowledged: an offer in one would want its answer in the PRACK, and
/// outside the first INVITE there is none.
const SUPPORTED_WITHOUT_100REL: &str = "timer, replaces, norefersub";

/// A request that awaits the application.
#[derive(Clone, Copy)]
struct Asked {
    server: ServerId,
    /// The dialog that it makes an offer in.
    offers: Option<DialogId>,
    /// An UPDATE refreshes the session too.
    refreshes: bool,
    /// A REFER whose sender wants no news (RFC 4488).
    is_quiet: bool,
}

/// One SIP endpoint on all our addresses.
///
/// An application calls with [`Self::invite`] and is called by [`Event::Incoming`]. [`Self::bye`] ends a dialog in every
/// state; after it, after [`Self::cancel`] and after [`Self::reject`] of an initial INVITE nothing more is reported of
/// the dialog. Calls on a dialog that is gone do nothing: its last event may still be in the queue.
pub struct Endpoint {
    config: Config,
    identifiers: Identifiers,
    clients: Clients,
    servers: Servers,
    dialogs: Dialogs,
    requests: BTreeMap<RequestId, Asked>,
    registrations: Registrations,
    registrar: Registrar,
    guard: Guard,
    last_request: u64,
    /// Hosts whose own ports mean nothing.
    hidden: BTreeSet<IpAddr>,
    out: Outbox,
}

#[expect(clippy::needless_pass_by_value, reason = "a body is given away: nobody keeps a copy of what may hold digits")]
impl Endpoint {
    /// An endpoint; the seed makes its tags, branches and Call-IDs and must be secret and fresh outside tests.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut identifiers = Identifiers::new(seed);
        Self {
            config,
            guard: Guard::new(&identifiers.secret()),
            registrations: Registrations::new(),
            registrar: Registrar::default(),
            identifiers,
            clients: Clients::new(),
            servers: Servers::new(),
            dialogs: Dialogs::new(),
            requests: BTreeMap::new(),
            last_request: 0,
            hidden: BTreeSet::new(),
            out: Outbox::default(),
        }
    }

    /// Takes a datagram, or one message of a connection. Keep-alives of empty lines are ignored (RFC 5626 §3.5.1).
    pub fn handle_message(&mut self, now: Instant, from: Peer, bytes: &[u8]) {
        let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
        let Some(bytes) = bytes.get(start..).filter(|bytes| !bytes.is_empty()) else { return };
        let is_hidden = from.transport == Transport::Udp && self.hidden.contains(&from.address.ip());
        match message::parse(bytes) {
            Ok(Message::Request(mut request)) => {
                if is_hidden {
                    request.core.via.ask_for_source();
                }
                self.handle_request(now, from, &request);
            }
            Ok(Message::Response(response)) => self.handle_response(now, from, &response),
            Err(mut malformed) => {
                if let Some(reply) = malformed.reply.as_mut().filter(|_| is_hidden) {
                    reply.via.ask_for_source();
                }
                if bytes.starts_with(b"SIP/") {
                    self.out.stats.dropped_responses += 1;
                }
                self.refuse_malformed(from, &malformed);
            }
        }
    }

    /// Takes what a connection's [`Framer`](message::Framer) could not cut: it is answered where it can be. The shell closes
    /// the connection after it has sent that.
    pub fn handle_broken(&mut self, from: Peer, malformed: &Malformed) {
        self.refuse_malformed(from, malformed);
    }

    /// A connection is closed, or could not be opened; `peer` is who was at its other end. What is in flight over it fails.
    pub fn handle_closed(&mut self, now: Instant, peer: Peer) {
        self.registrar.closed(peer);
        for client in self.clients.cut_off(peer) {
            match self.clients.cut(now, &mut self.out, client) {
                Some(Purpose::Invite(dialog)) => self.call_failed(dialog, 503, ""),
                Some(Purpose::Reinvite(dialog)) => self.reinvite_unsent(now, dialog, client),
                Some(Purpose::Info(dialog, request)) => {
                    self.request_answered(dialog, request, 503);
                    self.send_queued(now, dialog);
                }
                Some(Purpose::Probe(request)) => self.out.event(Event::Probed { request, status: 503 }),
                Some(Purpose::Update(dialog)) => self.update_over(now, dialog),
                Some(Purpose::Notify(dialog)) => self.notify_over(now, dialog),
                Some(Purpose::Register(registration)) => self.register_failed(now, registration, 503),
                Some(Purpose::Prack(_) | Purpose::Quiet) | None => {}
            }
        }
    }

    /// Acts on every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(ClientExpiry(purpose)) = self.clients.handle_timeout(now, &mut self.out) {
            match purpose {
                Purpose::Invite(dialog) => self.call_failed(dialog, 408, ""),
                Purpose::Reinvite(dialog) | Purpose::Info(dialog, _) | Purpose::Update(dialog) => {
                    if let Purpose::Info(_, request) = purpose {
                        self.request_answered(dialog, request, 408);
                    }
                    self.lose(now, dialog, EndReason::RequestTimeout);
                }
                Purpose::Probe(request) => self.out.event(Event::Probed { request, status: 408 }),
                Purpose::Register(registration) => self.register_failed(now, registration, 408),
                Purpose::Notify(dialog) => self.notify_over(now, dialog),
                Purpose::Prack(_) | Purpose::Quiet => {}
            }
        }
        while let Some(expiry) = self.servers.handle_timeout(now, &mut self.out) {
            match expiry {
                ServerExpiry::NoAck(dialog) => self.lose(now, dialog, EndReason::AckTimeout),
                ServerExpiry::NoPrack(dialog) => self.unacknowledged(now, dialog),
                ServerExpiry::StillRinging(dialog) => self.say_again(now, dialog),
                ServerExpiry::Unanswered(request) => self.unanswered(now, request),
            }
        }
        self.tick_sessions(now);
        self.tick_registrations(now);
    }

    /// When to call [`Self::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let transactions = [self.clients.poll_timeout(), self.servers.poll_timeout()];
        let others = [self.dialogs.poll_timeout(), self.registrations.poll_timeout()];
        transactions.into_iter().chain(others).flatten().min()
    }

    /// The next thing to do; drain it after every other call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.out.stats
    }

    /// What its messages have in common with no other dialog's: the Call-ID (RFC 3261 §8.1.1.4).
    #[must_use]
    pub fn call_id(&self, dialog: DialogId) -> Option<&str> {
        self.dialogs.peek(dialog).map(|dialog| dialog.call_id.as_str())
    }

    /// Datagrams of these hosts, and of no others, are answered to the port that they came from, whether they ask for it (RFC 3581) or
    /// not: behind a NAT the one in their Via means nothing.
    pub fn answer_to_source(&mut self, hosts: BTreeSet<IpAddr>) {
        self.hidden = hosts;
    }

    /// The peer of a dialog is behind a NAT that it does not know of: from here on requests of ours go to where its own come from,
    /// or to where it is called, and not to its Contact; those of another host do not change that. Where it has a route, that is
    /// followed.
    pub fn keep_to_source(&mut self, dialog: DialogId) {
        self.dialogs.get(dialog).into_iter().for_each(|dialog| dialog.keeps_to_source = true);
    }

    /// Dialogs at this moment, pending ones included.
    #[must_use]
    pub fn dialogs(&self) -> usize {
        self.dialogs.len()
    }

    /// Transactions at this moment, finished ones that still absorb repetitions included.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Calls somebody. `Progress`, `Answered` or `Failed` follow.
    ///
    /// # Errors
    /// If there is no room, no address to send to, or the scheme is neither `sip` nor `tel`.
    pub fn invite(&mut self, now: Instant, invite: Invite) -> Result<DialogId, Error> {
        self.start_call(now, &invite, None)
    }

    /// Opens a recording session (RFC 7866): calls a recorder with the offer of [`siprec::offer`](crate::siprec::offer) and
    /// what [`Metadata`] says of it. The same follows as after [`Self::invite`].
    ///
    /// # Errors
    /// As [`Self::invite`]; without an offer there is no destination for anything.
    pub fn record(&mut self, now: Instant, invite: Invite, metadata: &Metadata) -> Result<DialogId, Error> {
        self.start_call(now, &invite, Some(metadata))
    }

    /// Acknowledges the 2xx to our INVITE (after `Answered`) or to our re-INVITE that carried no offer. `body` is the
    /// answer when the 2xx carried the offer. Does nothing if no ACK is owed.
    pub fn ack(&mut self, now: Instant, dialog: DialogId, body: Option<Body>) {
        self.acknowledge(dialog, body.as_ref());
        self.send_queued(now, dialog);
    }

    /// Gives up our INVITE. Nothing more is reported of the dialog; if a 2xx wins the race it is acknowledged and ended.
    /// In every other state it is [`Self::bye`].
    pub fn cancel(&mut self, now: Instant, dialog: DialogId) {
        self.hang_up(now, dialog);
    }

    /// Sends a 101 to 199 to the pending initial INVITE. It is repeated every minute until the next one. Where the peer
    /// demands it (RFC 3262), it is repeated until it is acknowledged, and the next one and `accept` wait for that.
    pub fn progress(&mut self, now: Instant, dialog: DialogId, status: u16, body: Option<Body>) {
        self.answer_provisionally(now, dialog, status, body.as_ref());
    }

    /// Sends 200 to the pending INVITE or re-INVITE; `Confirmed` follows, or `Ended` if the ACK never comes.
    pub fn accept(&mut self, now: Instant, dialog: DialogId, body: Option<Body>) {
        self.answer(now, dialog, body.as_ref());
    }

    /// Refuses the pending INVITE, which ends the dialog without further events, or the pending re-INVITE, which leaves
    /// it as it was. A status outside 300 to 699 becomes 500.
    pub fn reject(
        &mut self,
        now: Instant,
        dialog: DialogId,
        status: u16,
        reason: Option<&str>,
        headers: Vec<(String, Vec<u8>)>,
    ) {
        self.refuse_invite(now, dialog, status, reason, &headers);
    }

    /// Asks the peer to change the session; `body` is the offer, without it the peer makes it.
    ///
    /// # Errors
    /// If the dialog is not confirmed, another INVITE is open in it, or there is no room.
    pub fn reinvite(&mut self, now: Instant, dialog: DialogId, body: Option<Body>) -> Result<(), Error> {
        self.queue_reinvite(now, dialog, body)
    }

    /// Sends an INFO; `RequestAnswered` follows while the dialog stands. Requests of a dialog go out one after the other:
    /// sent together, one that overtakes another makes it stale.
    ///
    /// # Errors
    /// If the dialog is not established or there is no room.
    pub fn info(&mut self, now: Instant, dialog: DialogId, content_type: &str, body: Body) -> Result<RequestId, Error> {
        self.queue_info(now, dialog, content_type, body)
    }

    /// Asks by OPTIONS whether somebody is there; `Probed` follows.
    ///
    /// # Errors
    /// If there is no room.
    pub fn probe(&mut self, now: Instant, to: Peer) -> Result<RequestId, Error> {
        self.send_probe(now, to)
    }

    /// Takes back what [`Self::info`] has not brought to an answer: what waits is not sent, what was sent is not repeated.
    /// No `RequestAnswered` follows.
    pub fn take_back_infos(&mut self, now: Instant, dialog: DialogId) {
        self.drop_infos(now, dialog);
    }

    /// Answers a request of `Event::Request` with 200 to 699; works also after the dialog ended. Left unanswered for ten
    /// seconds it is answered 500.
    pub fn respond(&mut self, now: Instant, request: RequestId, status: u16) {
        self.answer_request(now, request, status, None);
    }

    /// Answers a request of `Event::Update` with 200 and the answer to its offer. To refuse it is [`Self::respond`].
    pub fn accept_update(&mut self, now: Instant, request: RequestId, body: Body) {
        self.answer_request(now, request, 200, Some(&body));
    }

    /// Ends the dialog in whatever state it is: CANCEL, 480 or BYE. Nothing more is reported of it. Idempotent.
    pub fn bye(&mut self, now: Instant, dialog: DialogId) {
        self.hang_up(now, dialog);
    }

    fn has_room_for_call(&self) -> bool {
        self.transactions() < self.config.transactions_max && self.dialogs.len() < self.config.dialogs_max
    }

    /// Standing dialogs may use twice the transactions, so that calls can still be ended under load.
    fn has_room_in_dialog(&self) -> bool {
        self.transactions() < self.config.transactions_max.saturating_mul(2)
    }

    fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    /// What a peer is told of our address.
    #[must_use]
    pub fn local(&self, peer: Peer) -> Local {
        Local::toward(&self.config.local, peer)
    }
}

/// Contact, Allow, Supported and who we are, on what opens or refreshes a dialog.
fn identify(
    config: &Config,
    writer: &mut Writer,
    (agent_header, supported, feature): (&str, &str, &str),
    local: Local,
    is_sips: bool,
) {
    let Local { transport, address } = local;
    let contact = match transport {
        Transport::Tls if is_sips => format!("<sips:{address}>"),
        Transport::Wss if is_sips => format!("<sips:{address};transport=ws>"),
        _ => format!("<sip:{address}{}>", transport.parameter()),
    };
    writer.header("Contact", format!("{contact}{feature}").as_bytes());
    writer.header("Allow", message::ALLOW.as_bytes());
    writer.header("Supported", supported.as_bytes());
    if !config.user_agent.is_empty() {
        writer.header(agent_header, config.user_agent.as_bytes());
    }
}
