//! UPDATE (RFC 3311), and offers that come without an INVITE.

use std::time::Instant;

use crate::{
    dialog::{Dialog, InviteState, session},
    message::{Body, Method, Request},
    transaction::{ServerPurpose, Template},
    transport::Peer,
};

use super::{Asked, DialogId, Endpoint, Event, RequestId, content};

impl Endpoint {
    /// An UPDATE of the peer: where it is, that it is still there, and perhaps an offer.
    pub(super) fn updated(&mut self, now: Instant, from: Peer, request: &Request, id: DialogId) {
        if let Some(min) = session::refusal(&request.headers) {
            return self.answer_quietly(now, from, request, 422, &[("Min-SE", min.as_bytes())]);
        }
        if let Some(status) = content::refusal(request) {
            return self.answer_quietly(now, from, request, status, &[("Accept", content::SDP.as_bytes())]);
        }
        let body = content::sdp(&request.headers, &request.body);
        let Some(dialog) = self.dialogs.get(id) else { return };
        match refusal(dialog, body.is_some()) {
            Some(500) => return self.refuse_for_now(now, from, request),
            Some(status) => return self.answer_quietly(now, from, request, status, &[]),
            None => {}
        }
        if dialog.is_established {
            dialog.refresh_target(&request.headers);
            dialog.session.propose(&request.headers);
        }
        self.ask(now, from, request, id, body);
    }

    /// 500, and when to try again: an offer of the same peer is still open (RFC 3261 §14.2, RFC 3311 §5.2).
    pub(super) fn refuse_for_now(&mut self, now: Instant, from: Peer, request: &Request) {
        let seconds = self.identifiers.delay(0, 10_000).as_secs().to_string();
        self.answer_quietly(now, from, request, 500, &[("Retry-After", seconds.as_bytes())]);
    }

    /// Has the application answer an offer; without one there is nothing to ask.
    pub(super) fn ask(&mut self, now: Instant, from: Peer, request: &Request, id: DialogId, body: Option<Body>) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        let refreshes = request.method == Method::Update && dialog.is_established;
        self.last_request += 1;
        let number = RequestId(self.last_request);
        dialog.update = body.is_some().then_some(number);
        let template = Template::new(request, from);
        let server = self.servers.start(now, request, template, None, ServerPurpose::Request(number));
        self.requests.insert(number, Asked { server, offers: Some(id), refreshes, is_quiet: false });
        match body {
            Some(body) => self.out.event(Event::Update { dialog: id, request: number, body }),
            None => self.respond(now, number, 200),
        }
    }

    /// The application did not answer in time.
    pub(super) fn unanswered(&mut self, now: Instant, request: RequestId) {
        let dialog = self.requests.get(&request).and_then(|asked| asked.offers);
        self.respond(now, request, 500);
        if let Some(dialog) = dialog.filter(|id| self.dialogs.get(*id).is_some()) {
            self.out.event(Event::ReinviteCancelled { dialog });
        }
    }
}

/// Why an UPDATE must wait (RFC 3311 §5.2): an offer of the peer's is open, or one of ours.
fn refusal(dialog: &Dialog, has_offer: bool) -> Option<u16> {
    if dialog.update.is_some() {
        return Some(500);
    }
    let (theirs, ours) = match dialog.invite {
        InviteState::Idle => (false, false),
        InviteState::Received { .. } => (dialog.is_established || !is_settled(dialog), false),
        InviteState::Sent { .. } => (false, dialog.is_established || !dialog.is_answered_early),
        InviteState::ExpectAck { .. } | InviteState::Accepted { .. } => (false, true),
    };
    match (has_offer, theirs, ours) {
        (true, true, _) => Some(500),
        (true, _, true) => Some(491),
        _ => None,
    }
}

fn is_settled(dialog: &Dialog) -> bool {
    dialog.reliable.as_ref().is_some_and(crate::dialog::Reliable::is_settled)
}
