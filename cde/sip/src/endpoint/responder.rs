//! The application's answers to what came.

use std::time::Instant;

use crate::{
    dialog::{InviteState, finish},
    message::{
        Body,
        writer::{self, Writer},
    },
    transaction::{ServerId, Template},
    transport::Local,
};

use super::{Asked, DialogId, Endpoint, RequestId, SUPPORTED, caller::add_headers, identify};

impl Endpoint {
    pub(super) fn answer_provisionally(&mut self, now: Instant, id: DialogId, status: u16, body: Option<&Body>) {
        let Some(dialog) = self.dialogs.get(id).filter(|dialog| !dialog.is_established) else { return };
        let InviteState::Received { server, .. } = dialog.invite else { return };
        if !(101..200).contains(&status) {
            return;
        }
        match &mut dialog.reliable {
            Some(reliable) => {
                let provisional = reliable.say(status, body.cloned());
                self.send_reliably(now, server, provisional);
            }
            None => self.send_response(now, server, status, None, body, &[]),
        }
    }

    pub(super) fn answer(&mut self, now: Instant, id: DialogId, body: Option<&Body>) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        let InviteState::Received { server, cseq } = dialog.invite else { return };
        let reliable = dialog.reliable.as_mut().filter(|_| !dialog.is_established);
        let mut body = body;
        if let Some(reliable) = reliable {
            if reliable.holds_back(body) {
                return;
            }
            body = body.filter(|_| !reliable.is_described());
        }
        dialog.is_established = true;
        dialog.invite = InviteState::Accepted { server, cseq };
        let lines = dialog.session.accept();
        self.dialogs.start_session(now, id);
        self.send_response(now, server, 200, None, body, &lines);
    }

    pub(super) fn refuse_invite(
        &mut self,
        now: Instant,
        id: DialogId,
        status: u16,
        reason: Option<&str>,
        headers: &[(String, Vec<u8>)],
    ) {
        let mut lines = Writer::fragment();
        add_headers(&mut lines, headers);
        let status = if (300..700).contains(&status) { status } else { 500 };
        self.refuse_pending(now, id, (status, reason), &lines.into_bytes());
    }

    /// The same with header lines of the endpoint's own.
    pub(super) fn refuse_pending(
        &mut self,
        now: Instant,
        id: DialogId,
        (status, reason): (u16, Option<&str>),
        lines: &[u8],
    ) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        let InviteState::Received { server, .. } = dialog.invite else { return };
        dialog.invite = InviteState::Idle;
        if !dialog.is_established {
            self.dialogs.remove(id);
        }
        self.send_response(now, server, status, reason, None, lines);
    }

    pub(super) fn answer_request(&mut self, now: Instant, request: RequestId, status: u16, body: Option<&Body>) {
        let Some(Asked { server, offers, refreshes, is_quiet }) = self.requests.remove(&request) else { return };
        let status = if (200..700).contains(&status) { status } else { 500 };
        let mut lines = Vec::new();
        if let Some(dialog) = offers.and_then(|id| self.dialogs.get(id)) {
            dialog.update = None;
            if refreshes && status < 300 {
                let id = dialog.id;
                lines = dialog.session.accept();
                self.dialogs.start_session(now, id);
            }
        }
        if is_quiet && status < 300 {
            lines.extend_from_slice(b"Refer-Sub: false\r\n");
        }
        self.send_response(now, server, status, None, body, &lines);
    }

    /// Writes and sends a response of a transaction; those that make or keep a dialog say where we are.
    pub(super) fn send_response(
        &mut self,
        now: Instant,
        server: ServerId,
        status: u16,
        reason: Option<&str>,
        body: Option<&Body>,
        lines: &[u8],
    ) {
        let Some((template, tag)) = self.servers.template(server) else { return };
        let bytes = self.write_response(template, tag, (status, reason), body, lines);
        self.servers.respond(now, &mut self.out, server, status, bytes);
    }

    pub(super) fn write_response(
        &self,
        template: &Template,
        tag: Option<&str>,
        (status, reason): (u16, Option<&str>),
        body: Option<&Body>,
        lines: &[u8],
    ) -> Vec<u8> {
        let opens_dialog = (101..300).contains(&status);
        let mut response = template.write(status, reason.unwrap_or(writer::reason(status)), tag, opens_dialog);
        if opens_dialog {
            let local = Local::toward(&self.config.local, template.peer);
            identify(&self.config, &mut response, ("Server", SUPPORTED, ""), local, template.is_sips);
        }
        response.lines(lines);
        finish(response, body)
    }
}
