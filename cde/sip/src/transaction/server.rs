//! Server transactions (RFC 3261 §17.2, RFC 6026 §7.1). The 2xx to an INVITE is repeated here too, until it is confirmed.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    endpoint::{DialogId, Outbox, RequestId},
    message::{Method, Request},
};

use super::{ANSWER_MAX, PROVISIONAL_REFRESH, T1, T2, T4, TRANSACTION_MAX, Template, timers::Timers};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServerId(u64);

/// What tells a request from its repetitions (RFC 3261 §17.2.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(String);

impl Key {
    /// The key of the request's own transaction; an ACK's is its INVITE's.
    pub(crate) fn of(request: &Request) -> Self {
        match request.method {
            Method::Ack => Self::under(request, &Method::Invite),
            ref method => Self::under(request, method),
        }
    }

    /// The key of the INVITE that a CANCEL or ACK is about.
    pub(crate) fn of_invite(request: &Request) -> Self {
        Self::under(request, &Method::Invite)
    }

    fn under(request: &Request, method: &Method) -> Self {
        let (core, method) = (&request.core, method.as_str());
        match core.via.unique_branch() {
            Some(branch) => Self(format!("{branch} {} {method}", core.via.sent_by.to_ascii_lowercase())),
            // A peer of RFC 2543: everything that stays the same between INVITE, ACK and CANCEL.
            None => {
                let (branch, tag) = (core.via.params.text("branch"), core.from.tag());
                let via = format!("{} {branch:?}", core.via.sent_by);
                Self(format!("2543 {} {} {tag:?} {} {via} {method}", core.call_id, core.cseq, request.uri.as_str()))
            }
        }
    }
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerPurpose {
    Invite(DialogId),
    Request(RequestId),
    /// Already answered by the endpoint itself.
    Quiet,
}

/// A timer that somebody must know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The 2xx to this dialog's INVITE was never acknowledged.
    NoAck(DialogId),
    /// A provisional response of this dialog was never acknowledged.
    NoPrack(DialogId),
    /// It is time to say again that this dialog's INVITE is being dealt with.
    StillRinging(DialogId),
    /// The application did not answer.
    Unanswered(RequestId),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// No final response yet (Trying, Proceeding).
    Open,
    Completed,
    Confirmed,
    Accepted {
        acked: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Retransmit,
    Expire,
}

struct Server {
    key: Key,
    method: Method,
    template: Template,
    tag: Option<String>,
    purpose: ServerPurpose,
    state: State,
    last: Vec<u8>,
    interval: Duration,
    reliability: Reliability,
}

/// Whether the last provisional response is acknowledged (RFC 3262 §3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reliability {
    /// It need not be.
    None,
    ExpectPrack,
    Acknowledged,
}

/// All server transactions of an endpoint.
pub(crate) struct Servers {
    by_id: BTreeMap<ServerId, Server>,
    by_key: BTreeMap<Key, ServerId>,
    timers: Timers<(ServerId, Timer)>,
    last_id: u64,
}

impl Servers {
    pub(crate) fn new() -> Self {
        Self { by_id: BTreeMap::new(), by_key: BTreeMap::new(), timers: Timers::new(), last_id: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(crate) fn find(&self, key: &Key) -> Option<ServerId> {
        self.by_key.get(key).copied()
    }

    /// Opens a transaction; `tag` is the To tag of all its responses but 100.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        request: &Request,
        template: Template,
        tag: Option<&str>,
        purpose: ServerPurpose,
    ) -> ServerId {
        self.last_id += 1;
        let id = ServerId(self.last_id);
        let key = Key::of(request);
        self.by_key.insert(key.clone(), id);
        if request.method != Method::Invite {
            self.timers.set((id, Timer::Expire), now + ANSWER_MAX);
        }
        let server = Server {
            key,
            method: request.method.clone(),
            template,
            tag: tag.map(str::to_owned),
            purpose,
            state: State::Open,
            last: Vec::new(),
            interval: T1,
            reliability: Reliability::None,
        };
        self.by_id.insert(id, server);
        id
    }

    /// The template and To tag to write a response with.
    pub(crate) fn template(&self, id: ServerId) -> Option<(&Template, Option<&str>)> {
        self.by_id.get(&id).map(|server| (&server.template, server.tag.as_deref()))
    }

    /// Who is to answer, while no final response was sent.
    pub(crate) fn open_purpose(&self, id: ServerId) -> Option<ServerPurpose> {
        self.by_id.get(&id).filter(|server| server.state == State::Open).map(|server| server.purpose)
    }

    /// Sends a response; after a final one all others are ignored.
    pub(crate) fn respond(&mut self, now: Instant, out: &mut Outbox, id: ServerId, status: u16, bytes: Vec<u8>) {
        let Some(server) = self.by_id.get_mut(&id).filter(|server| server.state == State::Open) else { return };
        out.send(server.template.peer, bytes.clone());
        server.last = bytes;
        let is_reliable = server.template.peer.transport.is_reliable();
        let is_invite = server.method == Method::Invite;
        if status < 200 {
            if is_invite && status > 100 {
                self.timers.set((id, Timer::Retransmit), now + PROVISIONAL_REFRESH);
            }
            return;
        }
        if is_reliable && !is_invite {
            // Timer J is zero (RFC 3261 §17.2.2): nothing is repeated there.
            return self.remove(id);
        }
        let is_success = status < 300;
        server.interval = T1;
        server.state = if is_invite && is_success { State::Accepted { acked: false } } else { State::Completed };
        self.timers.set((id, Timer::Expire), now + TRANSACTION_MAX);
        // Timer G is for datagrams alone (§17.2.1); a 2xx is repeated on every transport (§13.3.1.4).
        if is_invite && (is_success || !is_reliable) {
            self.timers.set((id, Timer::Retransmit), now + T1);
        } else {
            self.timers.cancel((id, Timer::Retransmit));
        }
    }

    /// Sends a provisional response and repeats it until [`Self::acknowledge`], on every transport (RFC 3262 §3).
    pub(crate) fn respond_reliably(&mut self, now: Instant, out: &mut Outbox, id: ServerId, bytes: Vec<u8>) {
        let Some(server) = self.by_id.get_mut(&id).filter(|server| server.state == State::Open) else { return };
        out.send(server.template.peer, bytes.clone());
        (server.last, server.interval, server.reliability) = (bytes, T1, Reliability::ExpectPrack);
        self.timers.set((id, Timer::Retransmit), now + T1);
        self.timers.set((id, Timer::Expire), now + TRANSACTION_MAX);
    }

    pub(crate) fn acknowledge(&mut self, now: Instant, id: ServerId) {
        let Some(server) = self.by_id.get_mut(&id).filter(|server| server.state == State::Open) else { return };
        server.reliability = Reliability::Acknowledged;
        self.timers.set((id, Timer::Retransmit), now + PROVISIONAL_REFRESH);
        self.timers.cancel((id, Timer::Expire));
    }

    /// The request came again. In Accepted it is absorbed (RFC 6026 §7.1): the 2xx is repeated by its own timer.
    pub(crate) fn repeated(&mut self, out: &mut Outbox, id: ServerId) {
        let Some(server) = self.by_id.get(&id) else { return };
        if matches!(server.state, State::Open | State::Completed) && !server.last.is_empty() {
            out.resend(server.template.peer, &server.last);
        }
    }

    /// An ACK of this transaction's branch; true if it was to a failure and is dealt with.
    pub(crate) fn handle_ack(&mut self, now: Instant, id: ServerId) -> bool {
        let Some(server) = self.by_id.get_mut(&id) else { return false };
        if server.state == State::Completed {
            server.state = State::Confirmed;
            // Timer I is zero where nothing is repeated (RFC 3261 §17.2.1).
            if server.template.peer.transport.is_reliable() {
                self.remove(id);
                return true;
            }
            self.timers.cancel((id, Timer::Retransmit));
            self.timers.set((id, Timer::Expire), now + T4);
        }
        !matches!(server.state, State::Accepted { .. })
    }

    /// The 2xx is acknowledged, or its dialog is gone: it is not repeated again.
    pub(crate) fn confirm(&mut self, id: ServerId) {
        let Some(server) = self.by_id.get_mut(&id) else { return };
        if let State::Accepted { acked } = &mut server.state {
            *acked = true;
            self.timers.cancel((id, Timer::Retransmit));
        }
    }

    /// Acts on due timers up to the first that somebody must know of.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> Option<Expiry> {
        while let Some((id, timer)) = self.timers.pop(now) {
            match timer {
                Timer::Retransmit => {
                    if let Some(expiry) = self.retransmit(now, out, id) {
                        return Some(expiry);
                    }
                }
                Timer::Expire => {
                    if let Some(expiry) = self.expire(id) {
                        return Some(expiry);
                    }
                }
            }
        }
        None
    }

    fn retransmit(&mut self, now: Instant, out: &mut Outbox, id: ServerId) -> Option<Expiry> {
        let server = self.by_id.get_mut(&id)?;
        let next = match (server.state, server.reliability, server.purpose) {
            // One that was acknowledged is not repeated; another, with the next number, says the same.
            (State::Open, Reliability::Acknowledged, ServerPurpose::Invite(dialog)) => {
                return Some(Expiry::StillRinging(dialog));
            }
            (State::Open, Reliability::ExpectPrack, _) => {
                server.interval *= 2;
                server.interval
            }
            (State::Open, ..) => PROVISIONAL_REFRESH,
            _ => {
                server.interval = (server.interval * 2).min(T2);
                server.interval
            }
        };
        out.resend(server.template.peer, &server.last);
        self.timers.set((id, Timer::Retransmit), now + next);
        None
    }

    fn expire(&mut self, id: ServerId) -> Option<Expiry> {
        let server = self.by_id.get(&id)?;
        match (server.state, server.purpose) {
            // It is answered now, and stays for the repetitions of its request.
            (State::Open, ServerPurpose::Invite(dialog)) => return Some(Expiry::NoPrack(dialog)),
            (State::Open, ServerPurpose::Request(request)) => return Some(Expiry::Unanswered(request)),
            (State::Accepted { acked: false }, ServerPurpose::Invite(dialog)) => {
                self.remove(id);
                return Some(Expiry::NoAck(dialog));
            }
            _ => self.remove(id),
        }
        None
    }

    fn remove(&mut self, id: ServerId) {
        self.timers.cancel((id, Timer::Retransmit));
        self.timers.cancel((id, Timer::Expire));
        if let Some(server) = self.by_id.remove(&id) {
            self.by_key.remove(&server.key);
        }
    }
}
