//! Client transactions (RFC 3261 §17.1, RFC 6026 §7.2).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    digest::{Login, Tries},
    endpoint::{DialogId, Outbox, RegistrationId, RequestId},
    message::{Method, Response, writer::Writer},
    transport::Peer,
};

use super::{FORKS_MAX, Outline, T1, T2, T4, TIMER_C, TRANSACTION_MAX, timers::Timers};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientId(u64);

/// What a request was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Invite(DialogId),
    Reinvite(DialogId),
    Info(DialogId, RequestId),
    /// OPTIONS: whatever is answered shows that somebody is there.
    Probe(RequestId),
    Update(DialogId),
    Prack(DialogId),
    Notify(DialogId),
    Register(RegistrationId),
    /// BYE and CANCEL: nobody waits for the answer.
    Quiet,
}

impl Purpose {
    pub(crate) fn dialog(self) -> Option<DialogId> {
        match self {
            Self::Invite(id)
            | Self::Reinvite(id)
            | Self::Info(id, _)
            | Self::Update(id)
            | Self::Prack(id)
            | Self::Notify(id) => Some(id),
            Self::Register(_) | Self::Probe(_) | Self::Quiet => None,
        }
    }
}

/// A request to send.
pub(crate) struct Start {
    pub(crate) method: Method,
    pub(crate) outline: Outline,
    pub(crate) to: Peer,
    /// Header lines that another try of the same request may change.
    pub(crate) varying: Vec<u8>,
    /// Everything behind them: further headers and the body.
    pub(crate) rest: Vec<u8>,
    pub(crate) purpose: Purpose,
    /// Of a request whose dialog is gone.
    pub(crate) login: Option<Box<Login>>,
    pub(crate) tries: Tries,
}

impl Start {
    pub(crate) fn new(
        method: Method,
        (outline, to): (Outline, Peer),
        varying: Vec<u8>,
        rest: Vec<u8>,
        purpose: Purpose,
    ) -> Self {
        Self { method, outline, to, varying, rest, purpose, login: None, tries: Tries::default() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut writer = self.outline.write(&self.method);
        writer.lines(&self.varying);
        writer.lines(&self.rest);
        writer.into_bytes()
    }
}

/// What a response means to the transaction's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Provisional,
    /// The one final response; a failure of an INVITE is already acknowledged.
    Final,
    /// A 2xx to an INVITE whose ACK is not known here: the first, one from a fork, or one repeated before `acked`.
    Success,
}

/// No final response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry(pub(crate) Purpose);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing came yet (Calling, Trying).
    Calling,
    Proceeding,
    Completed,
    /// A 2xx to INVITE came; more may come, from forks or repeated.
    Accepted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    /// CANCEL may only follow a provisional response (RFC 3261 §9.1).
    Wanted,
    Sent,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Retransmit,
    Expire,
}

struct Ack {
    remote_tag: String,
    to: Peer,
    bytes: Vec<u8>,
}

struct Client {
    method: Method,
    outline: Outline,
    to: Peer,
    bytes: Vec<u8>,
    /// How many bytes at the end another try repeats.
    rest: usize,
    login: Option<Box<Login>>,
    tries: Tries,
    purpose: Purpose,
    state: State,
    cancel: Cancel,
    interval: Duration,
    /// The ACKs to 2xx, to repeat them; the one to a failure under an empty tag.
    acks: Vec<Ack>,
}

impl Client {
    fn is_invite(&self) -> bool {
        self.method == Method::Invite
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    fn repeat_ack(&self, remote_tag: &str, out: &mut Outbox) -> bool {
        let ack = self.acks.iter().find(|ack| ack.remote_tag == remote_tag);
        if let Some(ack) = ack {
            out.resend(ack.to, &ack.bytes);
        }
        ack.is_some()
    }
}

/// All client transactions of an endpoint.
pub(crate) struct Clients {
    by_id: BTreeMap<ClientId, Client>,
    by_branch: BTreeMap<(String, bool), ClientId>,
    timers: Timers<(ClientId, Timer)>,
    last_id: u64,
}

impl Clients {
    pub(crate) fn new() -> Self {
        Self { by_id: BTreeMap::new(), by_branch: BTreeMap::new(), timers: Timers::new(), last_id: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Sends the request and repeats it until an answer comes.
    pub(crate) fn start(&mut self, now: Instant, out: &mut Outbox, start: Start) -> ClientId {
        self.last_id += 1;
        let id = ClientId(self.last_id);
        let (bytes, rest) = (start.bytes(), start.rest.len());
        out.send(start.to, bytes.clone());
        if !start.to.transport.is_reliable() {
            self.timers.set((id, Timer::Retransmit), now + T1);
        }
        self.timers.set((id, Timer::Expire), now + TRANSACTION_MAX);
        self.by_branch.insert((start.outline.branch.clone(), start.method == Method::Cancel), id);
        let Start { method, outline, to, purpose, login, tries, .. } = start;
        let (state, cancel, interval, acks) = (State::Calling, Cancel::No, T1, Vec::new());
        let client = Client { method, outline, to, bytes, rest, login, tries, purpose, state, cancel, interval, acks };
        self.by_id.insert(id, client);
        id
    }

    /// Finds the response's transaction and advances it. `None`: there is none. The inner `None`: nobody needs to know.
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        out: &mut Outbox,
        response: &Response,
    ) -> Option<Option<(ClientId, Purpose, Verdict)>> {
        let branch = response.core.via.unique_branch()?.to_owned();
        let id = *self.by_branch.get(&(branch, response.core.cseq_method == Method::Cancel))?;
        let client = self.by_id.get_mut(&id)?;
        if client.method != response.core.cseq_method || client.outline.cseq != response.core.cseq {
            return None;
        }
        let purpose = client.purpose;
        let verdict = match (response.status, client.is_invite()) {
            (..200, true) => self.provisional(now, out, id),
            (..200, false) => self.proceed(now, id),
            (200..300, true) => self.success(now, out, id, response),
            (_, true) => self.failure(now, out, id, response),
            (_, false) => self.complete(now, id, T4),
        };
        Some(verdict.map(|verdict| (id, purpose, verdict)))
    }

    fn provisional(&mut self, now: Instant, out: &mut Outbox, id: ClientId) -> Option<Verdict> {
        let client = self.by_id.get_mut(&id).filter(|client| client.is_open())?;
        client.state = State::Proceeding;
        self.timers.cancel((id, Timer::Retransmit));
        match client.cancel {
            Cancel::No => self.timers.set((id, Timer::Expire), now + TIMER_C),
            Cancel::Wanted => self.send_cancel(now, out, id),
            Cancel::Sent => {}
        }
        Some(Verdict::Provisional)
    }

    fn proceed(&mut self, now: Instant, id: ClientId) -> Option<Verdict> {
        let client = self.by_id.get_mut(&id).filter(|client| client.is_open())?;
        if client.state == State::Calling {
            client.state = State::Proceeding;
            client.interval = T2;
            if !client.to.transport.is_reliable() {
                self.timers.set((id, Timer::Retransmit), now + T2);
            }
        }
        Some(Verdict::Provisional)
    }

    fn success(&mut self, now: Instant, out: &mut Outbox, id: ClientId, response: &Response) -> Option<Verdict> {
        let client = self.by_id.get_mut(&id).filter(|client| client.state != State::Completed)?;
        if client.state != State::Accepted {
            client.state = State::Accepted;
            self.timers.cancel((id, Timer::Retransmit));
            self.timers.set((id, Timer::Expire), now + TRANSACTION_MAX);
        }
        let repeated = client.repeat_ack(response.core.to.tag().unwrap_or_default(), out);
        (!repeated).then_some(Verdict::Success)
    }

    fn failure(&mut self, now: Instant, out: &mut Outbox, id: ClientId, response: &Response) -> Option<Verdict> {
        let client = self.by_id.get_mut(&id)?;
        if client.state == State::Completed {
            client.repeat_ack("", out);
            return None;
        }
        if !client.is_open() {
            return None;
        }
        let outline = Outline { to: response.core.to.clone(), ..client.outline.clone() };
        let bytes = outline.write(&Method::Ack).finish(None);
        out.send(client.to, bytes.clone());
        client.acks.push(Ack { remote_tag: String::new(), to: client.to, bytes });
        self.complete(now, id, TRANSACTION_MAX)
    }

    fn complete(&mut self, now: Instant, id: ClientId, linger: Duration) -> Option<Verdict> {
        let client = self.by_id.get_mut(&id).filter(|client| client.is_open())?;
        client.state = State::Completed;
        // Timers D and K are zero where nothing is repeated (RFC 3261 §17.1.1.2, §17.1.2.2).
        let linger = if client.to.transport.is_reliable() { Duration::ZERO } else { linger };
        self.timers.cancel((id, Timer::Retransmit));
        self.timers.set((id, Timer::Expire), now + linger);
        Some(Verdict::Final)
    }

    /// Forgets one whose answer nobody repeats, once that was taken: until then the request may have to be sent once more.
    pub(crate) fn forget_if_over(&mut self, id: ClientId) {
        let client = self.by_id.get(&id);
        if client.is_some_and(|client| client.state == State::Completed && client.to.transport.is_reliable()) {
            self.remove(id);
        }
    }

    /// Keeps the ACK of a 2xx and sends it, now and for every repetition. False beyond [`FORKS_MAX`] answers.
    pub(crate) fn acked(&mut self, out: &mut Outbox, id: ClientId, remote_tag: &str, to: Peer, bytes: Vec<u8>) -> bool {
        if let Some(client) = self.by_id.get_mut(&id) {
            if client.acks.len() >= FORKS_MAX {
                return false;
            }
            client.acks.push(Ack { remote_tag: remote_tag.to_owned(), to, bytes: bytes.clone() });
        }
        out.send(to, bytes);
        true
    }

    /// Cancels an INVITE: at once, or as soon as a provisional response allows it.
    pub(crate) fn cancel(&mut self, now: Instant, out: &mut Outbox, id: ClientId) {
        let Some(client) = self.by_id.get_mut(&id).filter(|client| client.cancel == Cancel::No) else { return };
        match client.state {
            State::Calling => client.cancel = Cancel::Wanted,
            State::Proceeding => self.send_cancel(now, out, id),
            State::Completed | State::Accepted => {}
        }
    }

    fn send_cancel(&mut self, now: Instant, out: &mut Outbox, id: ClientId) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        client.cancel = Cancel::Sent;
        let (outline, to) = (client.outline.clone(), client.to);
        // A peer that never ends a cancelled INVITE is given up after 64·T1 (RFC 3261 §9.1).
        self.timers.set((id, Timer::Expire), now + TRANSACTION_MAX);
        let rest = Writer::fragment().finish(None);
        self.start(now, out, Start::new(Method::Cancel, (outline, to), Vec::new(), rest, Purpose::Quiet));
    }

    /// Stops repeating an INFO. An answer that still comes finds nobody who waits for it.
    pub(crate) fn abandon_info(&mut self, id: ClientId) -> bool {
        let is_info = self.by_id.get(&id).is_some_and(|client| client.method == Method::Info);
        if is_info {
            self.remove(id);
        }
        is_info
    }

    /// The open transactions whose request went over a connection that is gone.
    pub(crate) fn cut_off(&self, closed: Peer) -> Vec<ClientId> {
        let is_cut = |client: &Client| client.is_open() && client.to.goes_over(closed);
        self.by_id.iter().filter(|(_, client)| is_cut(client)).map(|(id, _)| *id).collect()
    }

    /// Deals with a transaction whose connection is gone; gives its purpose if it has failed (RFC 3261 §18.4).
    pub(crate) fn cut(&mut self, now: Instant, out: &mut Outbox, id: ClientId) -> Option<Purpose> {
        let client = self.by_id.get_mut(&id)?;
        let was_open = client.to.connection.is_some();
        client.to = client.to.anew();
        match (client.state, client.purpose) {
            // It may have crossed the peer's closing: once more, over a connection that is surely fresh. The branch tells
            // the peer that it is the same request.
            (State::Calling, _) if was_open => out.resend(client.to, &client.bytes),
            // The peer has it, and answers over a connection of its own (§18.2.2).
            (State::Proceeding, Purpose::Reinvite(_)) => {}
            (State::Proceeding, Purpose::Invite(_)) if client.cancel == Cancel::No => {
                let purpose = client.purpose;
                self.send_cancel(now, out, id);
                return Some(purpose);
            }
            _ => return self.remove(id).map(|client| client.purpose),
        }
        None
    }

    fn remove(&mut self, id: ClientId) -> Option<Client> {
        self.timers.cancel((id, Timer::Retransmit));
        self.timers.cancel((id, Timer::Expire));
        let client = self.by_id.remove(&id)?;
        self.by_branch.remove(&(client.outline.branch.clone(), client.method == Method::Cancel));
        Some(client)
    }

    /// The same request once more, for whoever changes what the answer did not like.
    pub(crate) fn again(&mut self, id: ClientId) -> Option<Start> {
        let client = self.by_id.get_mut(&id)?;
        let rest = client.bytes.get(client.bytes.len().saturating_sub(client.rest)..)?.to_vec();
        Some(Start {
            method: client.method.clone(),
            outline: client.outline.clone(),
            to: client.to,
            varying: Vec::new(),
            rest,
            purpose: client.purpose,
            login: client.login.take(),
            tries: client.tries,
        })
    }

    /// The request's outline and where it went.
    pub(crate) fn outline(&self, id: ClientId) -> Option<(&Outline, Peer)> {
        self.by_id.get(&id).map(|client| (&client.outline, client.to))
    }

    /// Acts on due timers up to the first that somebody must know of.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> Option<Expiry> {
        while let Some((id, timer)) = self.timers.pop(now) {
            match timer {
                Timer::Retransmit => self.retransmit(now, out, id),
                Timer::Expire => {
                    if let Some(expiry) = self.expire(now, out, id) {
                        return Some(expiry);
                    }
                }
            }
        }
        None
    }

    fn retransmit(&mut self, now: Instant, out: &mut Outbox, id: ClientId) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        out.resend(client.to, &client.bytes);
        // Timer A doubles without end (§17.1.1.2), timer E up to T2 (§17.1.2.2).
        let doubled = client.interval * 2;
        client.interval = if client.is_invite() { doubled } else { doubled.min(T2) };
        self.timers.set((id, Timer::Retransmit), now + client.interval);
    }

    fn expire(&mut self, now: Instant, out: &mut Outbox, id: ClientId) -> Option<Expiry> {
        let client = self.by_id.get(&id)?;
        if client.is_invite() && client.state == State::Proceeding && client.cancel == Cancel::No {
            self.send_cancel(now, out, id);
            return None;
        }
        let client = self.remove(id)?;
        client.is_open().then_some(Expiry(client.purpose))
    }
}
