//! Provisional responses that are acknowledged (RFC 3262): ours, and those of the peer.

use std::time::Instant;

use crate::{
    dialog::{InviteState, Provisional, rseq},
    message::{Method, Request, Response, writer::Writer},
    transaction::{Purpose, ServerId, Start},
    transport::Peer,
};

use super::{DialogId, Endpoint, Event, content};

impl Endpoint {
    pub(super) fn send_reliably(&mut self, now: Instant, server: ServerId, provisional: Option<Provisional>) {
        let Some(Provisional { status, rseq, body }) = provisional else { return };
        let Some((template, tag)) = self.servers.template(server) else { return };
        let mut lines = Writer::fragment();
        lines.header("Require", b"100rel");
        lines.header("RSeq", rseq.to_string().as_bytes());
        let bytes = self.write_response(template, tag, (status, None), body.as_ref(), &lines.into_bytes());
        self.servers.respond_reliably(now, &mut self.out, server, bytes);
    }

    /// A minute after the last: the peer's proxies must not think that nobody is there (RFC 3262 §3).
    pub(super) fn say_again(&mut self, now: Instant, id: DialogId) {
        self.answer_provisionally(now, id, 180, None);
    }

    /// The peer does not acknowledge: the call cannot go on (RFC 3262 §3).
    pub(super) fn unacknowledged(&mut self, now: Instant, id: DialogId) {
        self.refuse_invite(now, id, 504, None, &[]);
        self.out.event(Event::Cancelled { dialog: id });
    }

    /// A PRACK: what waited for it goes out behind its answer.
    pub(super) fn acknowledged(&mut self, now: Instant, from: Peer, request: &Request, id: DialogId) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        let (invite, reliable) = (dialog.invite, dialog.reliable.as_mut());
        let (InviteState::Received { server, cseq }, Some(reliable)) = (invite, reliable) else {
            return self.answer_quietly(now, from, request, 481, &[]);
        };
        if !reliable.acknowledge(&request.headers, cseq) {
            return self.answer_quietly(now, from, request, 481, &[]);
        }
        let (accepted, next) = reliable.go_on();
        self.servers.acknowledge(now, server);
        match content::sdp(&request.headers, &request.body) {
            // Once the offer of the INVITE is answered, the next one may come with the PRACK (RFC 3262 §5).
            Some(body) => self.ask(now, from, request, id, Some(body)),
            None => self.answer_quietly(now, from, request, 200, &[]),
        }
        match accepted {
            Some(body) => self.answer(now, id, body.as_ref()),
            None => self.send_reliably(now, server, next),
        }
    }

    /// Acknowledges a provisional response of the peer that demands it. False if it came before, or before its time.
    pub(super) fn take_provisional(&mut self, now: Instant, id: DialogId, response: &Response) -> bool {
        let Some(dialog) = self.dialogs.get(id) else { return false };
        let InviteState::Sent { has_offer, .. } = dialog.invite else { return false };
        let has_answer = has_offer && content::sdp(&response.headers, &response.body).is_some();
        let (Some(early), Some(rseq)) = (dialog.early(response), rseq(&response.headers)) else { return true };
        if !early.take_rseq(rseq) {
            return false;
        }
        let (target, routes, remote) = (early.target.clone(), early.routes.clone(), early.remote.clone());
        dialog.is_answered_early |= has_answer;
        dialog.local_cseq += 1;
        let (locals, branch, cseq) = (&self.config.local, self.identifiers.branch(), dialog.local_cseq);
        let (outline, to) = dialog.outline_to(locals, branch, cseq, (&target, &routes, &remote));
        let mut rest = Writer::fragment();
        rest.header("RAck", format!("{rseq} {} INVITE", response.core.cseq).as_bytes());
        let varying = self.varying(id, &Method::Prack, outline.uri.as_str());
        let start = Start::new(Method::Prack, (outline, to), varying, rest.finish(None), Purpose::Prack(id));
        self.clients.start(now, &mut self.out, start);
        true
    }
}
