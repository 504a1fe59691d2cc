//! Dialogs (RFC 3261 §12): who the peer is, where it is reached, and which INVITE is open.

mod early;
mod reliable;
mod replaces;
pub(crate) mod session;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    digest::{Login, Shown},
    endpoint::{DialogId, RequestId},
    message::{Body, Headers, Method, Name, NameAddr, Request, Response, Uri, writer::Writer},
    transaction::{ClientId, Outline, ServerId, Timers},
    transport::{Local, Peer},
};
pub(crate) use early::{Early, rseq};
pub(crate) use reliable::{Provisional, Reliable};
pub(crate) use replaces::Replaces;
use session::SessionTimer;

/// The most early dialogs of forks whose requests are taken.
const EARLY_MAX: usize = 8;
/// The most requests that wait for the one in flight.
pub(crate) const OUTBOX_MAX: usize = 32;

/// A refresh that did not come about is tried again after this time.
const REFRESH_AGAIN: Duration = Duration::from_secs(10);

/// The one INVITE that is open in a dialog, of either side. Two at once are glare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InviteState {
    Idle,
    /// Ours awaits its final response.
    Sent {
        client: ClientId,
        cseq: u32,
        has_offer: bool,
    },
    /// Ours has its 2xx, the application owes the ACK.
    ExpectAck {
        client: ClientId,
        cseq: u32,
    },
    /// Theirs awaits the application.
    Received {
        server: ServerId,
        cseq: u32,
    },
    /// Theirs has our 2xx and awaits its ACK.
    Accepted {
        server: ServerId,
        cseq: u32,
    },
}

/// A request that waits for its turn.
pub(crate) enum Queued {
    Info {
        request: RequestId,
        content_type: String,
        body: Body,
    },
    Reinvite {
        body: Option<Body>,
    },
    /// An UPDATE without an offer: it refreshes the session.
    Refresh,
    /// How far a transfer is.
    Notify {
        news: Option<u32>,
        status: u16,
    },
}

/// A deadline of a session (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tick {
    Refresh,
    End,
}

/// One peer relationship, from the first INVITE on.
pub(crate) struct Dialog {
    pub(crate) id: DialogId,
    pub(crate) call_id: String,
    pub(crate) local: NameAddr,
    /// Without a tag until the peer gave one.
    pub(crate) remote: NameAddr,
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: Option<u32>,
    target: Uri,
    routes: Vec<NameAddr>,
    peer: Peer,
    /// Whether requests that are too large for a datagram go over TCP.
    pub(crate) tcp_when_large: bool,
    /// Its peer records a call of ours (RFC 7866).
    pub(crate) is_recording: bool,
    /// Its peer is behind a NAT that it does not know of: its Contact is no address that it could be reached at.
    pub(crate) keeps_to_source: bool,
    /// Whether we made the Call-ID: it decides who waits longer after glare.
    pub(crate) is_caller: bool,
    /// A 2xx was sent or received.
    pub(crate) is_established: bool,
    /// The ACK to the first 2xx was sent or received.
    pub(crate) is_confirmed: bool,
    /// The application hung up before the ACK came: BYE follows it (RFC 3261 §15).
    pub(crate) is_ending: bool,
    pub(crate) invite: InviteState,
    early: Vec<Early>,
    /// How the peer's initial INVITE is answered provisionally, if it demands that to be acknowledged.
    pub(crate) reliable: Option<Reliable>,
    /// Our initial offer is answered, in a provisional response that was acknowledged.
    pub(crate) is_answered_early: bool,
    /// An offer of the peer that came by UPDATE or PRACK and awaits the application.
    pub(crate) update: Option<RequestId>,
    /// How many transfers the peer has asked for.
    pub(crate) refers: u32,
    pub(crate) queue: VecDeque<Queued>,
    /// Our request that no answer shows the arrival of; the next waits, lest it overtake it.
    pub(crate) in_flight: Option<ClientId>,
    /// Who we are to the peer, should it ask.
    pub(crate) login: Option<Box<Login>>,
    /// What the INVITE that came shows of its sender, until that was looked at.
    pub(crate) shown: Option<Box<Shown>>,
    pub(crate) session: SessionTimer,
    /// The peer has said that it takes UPDATE.
    pub(crate) takes_update: bool,
}

impl Dialog {
    /// Of an INVITE that we are about to send: `outline` is the INVITE's.
    pub(crate) fn calling(id: DialogId, outline: &Outline, peer: Peer, invite: InviteState) -> Self {
        Self {
            id,
            call_id: outline.call_id.clone(),
            local: outline.from.clone(),
            remote: outline.to.clone(),
            local_cseq: outline.cseq,
            remote_cseq: None,
            target: outline.uri.clone(),
            routes: outline.routes.clone(),
            peer,
            tcp_when_large: false,
            is_recording: false,
            keeps_to_source: false,
            is_caller: true,
            is_established: false,
            is_confirmed: false,
            is_ending: false,
            invite,
            early: Vec::new(),
            reliable: None,
            is_answered_early: false,
            update: None,
            refers: 0,
            queue: VecDeque::new(),
            in_flight: None,
            login: None,
            shown: None,
            session: SessionTimer::new(),
            takes_update: false,
        }
    }

    /// Of an INVITE that came.
    pub(crate) fn called(id: DialogId, tag: &str, cseq: u32, request: &Request, from: Peer) -> Self {
        let core = &request.core;
        let shown = Shown::of(request);
        let mut session = SessionTimer::new();
        session.propose(&request.headers);
        let mut dialog = Self {
            id,
            call_id: core.call_id.clone(),
            local: core.to.tagged(tag),
            remote: core.from.clone(),
            local_cseq: cseq,
            remote_cseq: Some(core.cseq),
            target: core.from.uri.clone(),
            routes: record_routes(&request.headers),
            peer: from,
            tcp_when_large: false,
            is_recording: false,
            keeps_to_source: false,
            is_caller: false,
            is_established: false,
            is_confirmed: false,
            is_ending: false,
            invite: InviteState::Idle,
            early: Vec::new(),
            reliable: None,
            is_answered_early: false,
            update: None,
            refers: 0,
            queue: VecDeque::new(),
            in_flight: None,
            login: None,
            shown: Some(Box::new(shown)),
            session,
            takes_update: false,
        };
        dialog.refresh_target(&request.headers);
        dialog
    }

    /// Takes the peer's tag, target and route set from the 2xx to our INVITE; they override an early dialog's.
    pub(crate) fn establish(&mut self, response: &Response) {
        // Another fork counts from another number.
        if !self.early.iter().all(|early| Some(early.tag()) == response.core.to.tag()) {
            self.remote_cseq = None;
        }
        self.is_established = true;
        self.remote = response.core.to.clone();
        self.routes = record_routes(&response.headers);
        self.routes.reverse();
        self.early.clear();
        self.refresh_target(&response.headers);
    }

    /// Target refresh (RFC 3261 §12.2): the route set stays. What the peer allows may change too.
    pub(crate) fn refresh_target(&mut self, headers: &Headers) {
        if let Some(target) = contact(headers) {
            self.target = target;
        }
        let allowed = headers.list(Name::Allow);
        if !allowed.is_empty() {
            self.takes_update = allowed.contains(&&b"UPDATE"[..]);
        }
    }

    /// A dialog over TLS is not gone on with over anything else: keys of SRTP, and of callers, are said in it.
    pub(crate) fn may_come_by(&self, from: Peer) -> bool {
        from.transport.is_secure() || !self.peer.transport.is_secure()
    }

    /// Where the peer was heard last: used while its Contact names no address, or one that means nothing. In that case it is
    /// the only one that there is, so another host does not get to say where the peer is.
    pub(crate) fn heard_from(&mut self, from: Peer) {
        if !self.keeps_to_source || from.address.ip() == self.peer.address.ip() {
            self.peer = from;
        }
    }

    pub(crate) fn local_tag(&self) -> &str {
        self.local.tag().unwrap_or_default()
    }

    /// Whether a request with this From tag belongs here: the peer's, or that of a fork still ringing.
    pub(crate) fn is_peer(&self, tag: Option<&str>) -> bool {
        let tag = tag.unwrap_or_default();
        if self.is_caller && !self.is_established {
            return self.early.iter().any(|early| early.tag() == tag);
        }
        self.remote.tag().unwrap_or_default() == tag
    }

    /// The fork that a provisional response is of; none if it names none, or there are too many.
    pub(crate) fn early(&mut self, response: &Response) -> Option<&mut Early> {
        let tag = response.core.to.tag()?;
        if self.early.iter().all(|early| early.tag() != tag) && self.early.len() < EARLY_MAX {
            self.early.push(Early::new(response.core.to.clone(), self.target.clone()));
        }
        let early = self.early.iter_mut().find(|early| early.tag() == tag)?;
        early.follow(response);
        Some(early)
    }

    /// Takes a request's CSeq: false if it is not newer (RFC 3261 §12.2.2). Gaps are legal.
    pub(crate) fn take_cseq(&mut self, cseq: u32) -> bool {
        let is_newer = self.remote_cseq.is_none_or(|last| cseq > last);
        if is_newer {
            self.remote_cseq = Some(cseq);
        }
        is_newer
    }

    /// What its Contact says of us, behind the address (RFC 7866 §11.2).
    pub(crate) fn feature(&self) -> &'static str {
        if self.is_recording { ";+sip.src" } else { "" }
    }

    /// Whether an INVITE of ours may start now or after the queue.
    pub(crate) fn may_reinvite(&self) -> bool {
        let queued = self.queue.iter().any(|queued| matches!(queued, Queued::Reinvite { .. }));
        self.is_confirmed && !self.is_ending && self.invite == InviteState::Idle && self.update.is_none() && !queued
    }

    /// A request was sent once more: what waited for the first waits for the next.
    pub(crate) fn sent_again(&mut self, before: ClientId, client: ClientId, cseq: u32) {
        if let InviteState::Sent { client: open, has_offer, .. } = self.invite
            && open == before
        {
            self.invite = InviteState::Sent { client, cseq, has_offer };
        }
        if self.in_flight == Some(before) {
            self.in_flight = Some(client);
        }
    }

    /// The outline of the next request with this CSeq, and where it goes.
    pub(crate) fn outline(&self, locals: &[Local], branch: String, cseq: u32) -> (Outline, Peer) {
        self.outline_to(locals, branch, cseq, (&self.target, &self.routes, &self.remote))
    }

    /// The same for a target, its routes and its name (RFC 3261 §12.2.1.1).
    pub(crate) fn outline_to(
        &self,
        locals: &[Local],
        branch: String,
        cseq: u32,
        (target, routes, remote): (&Uri, &[NameAddr], &NameAddr),
    ) -> (Outline, Peer) {
        let (mut uri, mut routes) = (target.clone(), routes.to_vec());
        let next = routes.first().map_or(target, |route| &route.uri);
        // Behind a NAT it is reached where it was heard, unless by proxies, which know the way.
        let leads_nowhere = self.keeps_to_source && routes.is_empty();
        let to = self.peer.toward(locals, next).filter(|_| !leads_nowhere).unwrap_or(self.peer);
        // A strict router takes the Request-URI for itself and finds ours at the end of the routes.
        if routes.first().is_some_and(|route| route.uri.param("lr").is_none()) {
            let router = routes.remove(0);
            routes.push(NameAddr::new(uri));
            uri = router.uri;
        }
        let outline = Outline {
            uri,
            local: Local::toward(locals, to),
            branch,
            routes,
            max_forwards: 70,
            from: self.local.clone(),
            to: remote.clone(),
            call_id: self.call_id.clone(),
            cseq,
        };
        (outline, to)
    }

    /// The ACK of a 2xx: a request of its own with the INVITE's CSeq number (RFC 3261 §13.2.2.4).
    pub(crate) fn ack(&self, locals: &[Local], branch: String, cseq: u32, body: Option<&Body>) -> (Vec<u8>, Peer) {
        let (outline, to) = self.outline(locals, branch, cseq);
        let mut writer = outline.write(&Method::Ack);
        writer.lines(self.login.as_ref().map_or(&[], |login| login.ack_lines()));
        (finish(writer, body), to)
    }
}

/// Ends an answer to an INVITE, or its ACK, whose bodies are always SDP.
pub(crate) fn finish(writer: Writer, body: Option<&Body>) -> Vec<u8> {
    writer.finish(body.map(|body| ("application/sdp", body)))
}

fn contact(headers: &Headers) -> Option<Uri> {
    let uri = NameAddr::parse(headers.list(Name::Contact).first()?)?.uri;
    (uri.is_sip() || uri.is_sips()).then_some(uri)
}

fn record_routes(headers: &Headers) -> Vec<NameAddr> {
    headers.list(Name::RecordRoute).into_iter().filter_map(NameAddr::parse).collect()
}

/// All dialogs of an endpoint, by id and by what messages call them.
pub(crate) struct Dialogs {
    by_id: BTreeMap<DialogId, Dialog>,
    by_tag: BTreeMap<(String, String), DialogId>,
    ticks: Timers<(DialogId, Tick)>,
    last_id: u64,
}

impl Dialogs {
    pub(crate) fn new() -> Self {
        Self { by_id: BTreeMap::new(), by_tag: BTreeMap::new(), ticks: Timers::new(), last_id: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn next_id(&mut self) -> DialogId {
        self.last_id += 1;
        DialogId(self.last_id)
    }

    pub(crate) fn insert(&mut self, dialog: Dialog) {
        self.by_tag.insert((dialog.call_id.clone(), dialog.local_tag().to_owned()), dialog.id);
        self.by_id.insert(dialog.id, dialog);
    }

    pub(crate) fn get(&mut self, id: DialogId) -> Option<&mut Dialog> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn peek(&self, id: DialogId) -> Option<&Dialog> {
        self.by_id.get(&id)
    }

    /// The dialog of ours that another is to take the place of.
    pub(crate) fn replaced(&self, replaces: &Replaces) -> Option<&Dialog> {
        let id = self.by_tag.get(&(replaces.call_id.clone(), replaces.to_tag.clone()))?;
        self.by_id.get(id).filter(|dialog| dialog.is_peer(Some(&replaces.from_tag)))
    }

    pub(crate) fn remove(&mut self, id: DialogId) -> Option<Dialog> {
        let dialog = self.by_id.remove(&id)?;
        self.ticks.cancel((id, Tick::Refresh));
        self.ticks.cancel((id, Tick::End));
        self.by_tag.remove(&(dialog.call_id.clone(), dialog.local_tag().to_owned()));
        Some(dialog)
    }

    /// The session begins anew, with what is agreed now.
    pub(crate) fn start_session(&mut self, now: Instant, id: DialogId) {
        let Some(dialog) = self.by_id.get(&id) else { return };
        let (refresh, end) = dialog.session.deadlines();
        for (tick, after) in [(Tick::Refresh, refresh), (Tick::End, end)] {
            match after {
                Some(after) => self.ticks.set((id, tick), now + after),
                None => self.ticks.cancel((id, tick)),
            }
        }
    }

    /// A session's deadline that is due. A refresh is due again a little later, unless the session begins anew.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<(DialogId, Tick)> {
        let (id, tick) = self.ticks.pop(now)?;
        if tick == Tick::Refresh {
            self.ticks.set((id, tick), now + REFRESH_AGAIN);
        }
        Some((id, tick))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.ticks.next()
    }

    /// The dialog that a request names by Call-ID and both tags.
    pub(crate) fn of_request(&mut self, request: &Request) -> Option<&mut Dialog> {
        let core = &request.core;
        let id = self.by_tag.get(&(core.call_id.clone(), core.to.tag()?.to_owned()))?;
        self.by_id.get_mut(id).filter(|dialog| dialog.is_peer(core.from.tag()))
    }

    /// Whether the same INVITE already came another way (RFC 3261 §8.2.2.2).
    pub(crate) fn is_merged(&self, request: &Request) -> bool {
        let core = &request.core;
        let same_call = self.by_tag.range((core.call_id.clone(), String::new())..);
        same_call.take_while(|((call_id, _), _)| *call_id == core.call_id).any(|(_, id)| {
            self.by_id.get(id).is_some_and(|dialog| {
                !dialog.is_caller && dialog.remote_cseq == Some(core.cseq) && dialog.is_peer(core.from.tag())
            })
        })
    }
}
