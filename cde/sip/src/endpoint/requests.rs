//! Requests that come: what each is about, and those that stand outside a dialog.

use std::time::Instant;

use crate::{
    dialog::{Dialog, InviteState, Reliable, session},
    message::{Headers, Method, Name, Request, Uri, writer},
    transaction::{Key, ServerId, ServerPurpose, Template},
    transport::Peer,
};

use super::{DialogId, Endpoint, Event, IncomingInvite, content};

/// The hops a request starts with (RFC 3261 §8.1.1.6).
pub(super) const MAX_FORWARDS: u8 = 70;

impl Endpoint {
    pub(super) fn handle_request(&mut self, now: Instant, from: Peer, request: &Request) {
        if request.method == Method::Ack {
            return self.handle_ack(now, from, request);
        }
        if let Some(server) = self.servers.find(&Key::of(request)) {
            return self.servers.repeated(&mut self.out, server);
        }
        match &request.method {
            Method::Cancel => self.handle_cancel(now, from, request),
            // A transfer is asked for inside a dialog, or it is nobody's.
            Method::Other(_) | Method::Notify => self.refuse_method(from, request),
            Method::Register if !self.is_registrar_of(from) => self.refuse_method(from, request),
            _ if !may_carry(from, &request.uri) => self.refuse(from, request, 416, &[]),
            _ if let Some(unknown) = unknown_extensions(&request.headers) => {
                self.refuse(from, request, 420, &[("Unsupported", &unknown)]);
            }
            Method::Register => self.handle_register(now, from, request),
            _ if request.core.to.tag().is_some() => self.handle_in_dialog(now, from, request),
            Method::Invite => self.handle_invite(now, from, request),
            Method::Options => self.tell_options(from, request),
            Method::Refer => self.refuse(from, request, 403, &[]),
            Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Ack => {
                self.refuse(from, request, 481, &[])
            }
        }
    }

    fn handle_invite(&mut self, now: Instant, from: Peer, request: &Request) {
        if !self.has_room_for_call() {
            return self.refuse_overload(from, request);
        }
        let max_forwards = max_forwards(&request.headers);
        if max_forwards == 0 {
            return self.refuse(from, request, 483, &[]);
        }
        if self.dialogs.is_merged(request) {
            return self.refuse(from, request, 482, &[]);
        }
        if let Some(status) = content::refusal(request) {
            return self.refuse(from, request, status, &[("Accept", content::SDP.as_bytes())]);
        }
        if let Some(min) = session::refusal(&request.headers) {
            return self.refuse(from, request, 422, &[("Min-SE", min.as_bytes())]);
        }
        let replaces = match self.replaced(request) {
            Ok(replaces) => replaces,
            Err(status) => return self.refuse(from, request, status, &[]),
        };
        let (id, tag) = (self.dialogs.next_id(), self.identifiers.tag());
        let mut dialog = Dialog::called(id, &tag, 0, request, from);
        let has_offer = content::sdp(&request.headers, &request.body).is_some();
        dialog.reliable = Reliable::demanded(&request.headers, has_offer, self.identifiers.sequence());
        let server = self.open_invite(now, from, request, id, Some(&tag));
        dialog.invite = InviteState::Received { server, cseq: request.core.cseq };
        self.dialogs.insert(dialog);
        let invite = IncomingInvite {
            uri: request.uri.clone(),
            from: request.core.from.clone(),
            to: request.core.to.clone(),
            max_forwards,
            headers: passable(&request.headers),
            body: content::sdp(&request.headers, &request.body),
            replaces,
        };
        self.out.event(Event::Incoming { dialog: id, from, invite });
    }

    /// Opens the transaction of an INVITE and says 100 at once: the application may take its time.
    pub(super) fn open_invite(
        &mut self,
        now: Instant,
        from: Peer,
        request: &Request,
        dialog: DialogId,
        tag: Option<&str>,
    ) -> ServerId {
        let template = Template::new(request, from);
        let trying = template.write(100, writer::reason(100), None, false).finish(None);
        let server = self.servers.start(now, request, template, tag, ServerPurpose::Invite(dialog));
        self.servers.respond(now, &mut self.out, server, 100, trying);
        server
    }

    /// CANCEL is answered 200 if its INVITE is known, and ends it if that has no final response yet (RFC 3261 §9.2).
    fn handle_cancel(&mut self, now: Instant, from: Peer, request: &Request) {
        let Some(server) = self.servers.find(&Key::of_invite(request)) else {
            return self.refuse(from, request, 481, &[]);
        };
        let tag = self.servers.template(server).and_then(|(_, tag)| tag);
        let template = Template::new(request, from);
        let response = template.write(200, writer::reason(200), tag, false).finish(None);
        self.out.send(template.peer, response);
        if let Some(ServerPurpose::Invite(dialog)) = self.servers.open_purpose(server) {
            self.cancelled(now, dialog, server);
        }
    }

    fn cancelled(&mut self, now: Instant, id: DialogId, server: ServerId) {
        self.send_response(now, server, 487, None, None, &[]);
        let Some(dialog) = self.dialogs.get(id) else { return };
        if dialog.is_established {
            dialog.invite = InviteState::Idle;
            self.out.event(Event::ReinviteCancelled { dialog: id });
        } else {
            self.dialogs.remove(id);
            self.out.event(Event::Cancelled { dialog: id });
        }
    }

    /// The ACK to a failure belongs to the INVITE's transaction, the ACK to a 2xx to the dialog.
    fn handle_ack(&mut self, now: Instant, from: Peer, request: &Request) {
        if let Some(server) = self.servers.find(&Key::of(request))
            && self.servers.handle_ack(now, server)
        {
            return;
        }
        let Some(dialog) = self.dialogs.of_request(request) else { return };
        let InviteState::Accepted { server, cseq } = dialog.invite else { return };
        if cseq != request.core.cseq || !dialog.may_come_by(from) {
            return;
        }
        dialog.heard_from(from);
        dialog.invite = InviteState::Idle;
        dialog.is_confirmed = true;
        let (id, is_ending) = (dialog.id, dialog.is_ending);
        self.servers.confirm(server);
        if is_ending {
            return self.end(now, id);
        }
        let body = content::sdp(&request.headers, &request.body);
        self.out.event(Event::Confirmed { dialog: id, body });
        self.send_queued(now, id);
    }
}

/// A SIPS URI asks for encryption on every hop, ours included (RFC 3261 §26.2.2).
pub(super) fn may_carry(peer: Peer, uri: &Uri) -> bool {
    uri.is_sip() || uri.is_tel() || uri.is_sips() && peer.transport.is_secure()
}

/// What a request demands and we do not know (RFC 3261 §8.2.2.3).
fn unknown_extensions(headers: &Headers) -> Option<Vec<u8>> {
    let known = |tag: &[u8]| super::SUPPORTED.split(", ").any(|known| tag.eq_ignore_ascii_case(known.as_bytes()));
    let required = headers.list(Name::Require);
    let unknown: Vec<&[u8]> = required.iter().copied().filter(|tag| !known(tag)).collect();
    // What cannot be read as a list may demand anything.
    let is_unread = required.is_empty() && headers.first(Name::Require).is_some();
    (is_unread || !unknown.is_empty()).then(|| unknown.join(&b", "[..]))
}

fn max_forwards(headers: &Headers) -> u8 {
    headers.first(Name::MaxForwards).and_then(crate::message::number).unwrap_or(MAX_FORWARDS)
}

/// What an application may want to pass on.
fn passable(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    let lines = headers.iter().filter(|(name, _, _)| !name.is_own());
    lines.map(|(_, label, value)| (label.to_owned(), value.to_vec())).collect()
}
