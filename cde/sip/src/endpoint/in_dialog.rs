//! Requests inside a dialog (RFC 3261 §12.2.2, §14.2, §15.1.2; RFC 6086).

use std::time::Instant;

use crate::{
    dialog::{InviteState, session},
    message::{ALLOW, Method, Name, Request, writer},
    transaction::{ServerPurpose, Template},
    transport::Peer,
};

use super::{Asked, DialogId, EndReason, Endpoint, Event, content, refuse::Extra};

impl Endpoint {
    pub(super) fn handle_in_dialog(&mut self, now: Instant, from: Peer, request: &Request) {
        if !self.has_room_in_dialog() {
            return self.refuse_overload(from, request);
        }
        let Some(dialog) = self.dialogs.of_request(request) else {
            return self.refuse(from, request, 481, &[]);
        };
        if dialog.is_ending && request.method != Method::Bye {
            return self.refuse(from, request, 481, &[]);
        }
        if !dialog.may_come_by(from) {
            return self.refuse(from, request, 403, &[]);
        }
        if !dialog.take_cseq(request.core.cseq) {
            if request.method == Method::Info {
                let id = dialog.id;
                self.out.event(Event::InfoOvertaken { dialog: id });
            }
            return self.refuse(from, request, 500, &[]);
        }
        dialog.heard_from(from);
        let id = dialog.id;
        match request.method {
            Method::Invite => self.reinvited(now, from, request, id),
            Method::Bye => self.hung_up(now, from, request, id),
            Method::Info => self.informed(now, from, request, id),
            Method::Update => self.updated(now, from, request, id),
            Method::Prack => self.acknowledged(now, from, request, id),
            Method::Refer => self.referred(now, from, request, id),
            _ => {
                let extra = [("Allow", ALLOW.as_bytes()), ("Accept", content::SDP.as_bytes())];
                self.answer_quietly(now, from, request, 200, &extra);
            }
        }
    }

    fn reinvited(&mut self, now: Instant, from: Peer, request: &Request, id: DialogId) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        match dialog.invite {
            InviteState::Idle if dialog.is_established && dialog.update.is_none() => {}
            // Theirs is still open: later (§14.2).
            InviteState::Idle if dialog.update.is_some() => return self.refuse_for_now(now, from, request),
            InviteState::Received { .. } => return self.refuse_for_now(now, from, request),
            // Ours is open, or the ACK is still on its way: glare.
            _ => return self.answer_quietly(now, from, request, 491, &[]),
        }
        if let Some(status) = content::refusal(request) {
            return self.answer_quietly(now, from, request, status, &[("Accept", content::SDP.as_bytes())]);
        }
        if let Some(min) = session::refusal(&request.headers) {
            return self.answer_quietly(now, from, request, 422, &[("Min-SE", min.as_bytes())]);
        }
        dialog.refresh_target(&request.headers);
        dialog.session.propose(&request.headers);
        let server = self.open_invite(now, from, request, id, None);
        if let Some(dialog) = self.dialogs.get(id) {
            dialog.invite = InviteState::Received { server, cseq: request.core.cseq };
        }
        let body = content::sdp(&request.headers, &request.body);
        self.out.event(Event::Reinvite { dialog: id, body });
    }

    fn hung_up(&mut self, now: Instant, from: Peer, request: &Request, id: DialogId) {
        self.answer_quietly(now, from, request, 200, &[]);
        let Some(dialog) = self.dialogs.remove(id) else { return };
        match dialog.invite {
            InviteState::Received { server, .. } => self.send_response(now, server, 487, None, None, &[]),
            InviteState::Accepted { server, .. } => self.servers.confirm(server),
            InviteState::Sent { client, .. } if !dialog.is_established => {
                self.clients.cancel(now, &mut self.out, client);
            }
            _ => {}
        }
        if !dialog.is_ending {
            self.out.event(Event::Ended { dialog: id, reason: EndReason::Bye });
        }
    }

    fn informed(&mut self, now: Instant, from: Peer, request: &Request, id: DialogId) {
        let number = self.next_request();
        let template = Template::new(request, from);
        let server = self.servers.start(now, request, template, None, ServerPurpose::Request(number));
        self.requests.insert(number, Asked { server, offers: None, refreshes: false, is_quiet: false });
        let content_type = request.headers.first(Name::ContentType);
        self.out.event(Event::Request {
            request: number,
            dialog: id,
            method: request.method.clone(),
            content_type: content_type.map(|value| String::from_utf8_lossy(value).into_owned()),
            body: request.body.clone(),
        });
    }

    /// Answers at once, and keeps the answer for repetitions of the request.
    pub(super) fn answer_quietly(
        &mut self,
        now: Instant,
        from: Peer,
        request: &Request,
        status: u16,
        extra: &[Extra<'_>],
    ) {
        let template = Template::new(request, from);
        let mut response = template.write(status, writer::reason(status), None, false);
        extra.iter().for_each(|(name, value)| response.header(name, value));
        let server = self.servers.start(now, request, template, None, ServerPurpose::Quiet);
        self.servers.respond(now, &mut self.out, server, status, response.finish(None));
    }
}
