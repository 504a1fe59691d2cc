//! The application's own requests.

use std::{sync::Arc, time::Instant};

use crate::{
    dialog::{Dialog, InviteState, OUTBOX_MAX, Queued},
    digest::Login,
    message::{self, Body, Method, Name, NameAddr, is_token_text, writer::Writer},
    siprec::{self, Metadata},
    transaction::{Outline, Purpose, Start},
    transport::{Local, Peer, Transport},
};

use super::{
    DialogId, Endpoint, Error, Event, Invite, RequestId, SUPPORTED, SUPPORTED_WITHOUT_100REL,
    content::SDP,
    identify,
    requests::{MAX_FORWARDS, may_carry},
};

/// The largest request that goes in a datagram where there is a choice (RFC 3261 §18.1.1).
const DATAGRAM_BYTES_MAX: usize = 1300;

/// What credentials add to a request, with long names of all that they hold.
const CREDENTIALS_BYTES: usize = 500;

impl Endpoint {
    pub(super) fn start_call(
        &mut self,
        now: Instant,
        invite: &Invite,
        metadata: Option<&Metadata>,
    ) -> Result<DialogId, Error> {
        let to = invite.destination.or_else(|| Peer::of(&invite.target)).ok_or(Error::NoDestination)?;
        if !may_carry(to, &invite.target) {
            return Err(Error::Scheme);
        }
        if !self.has_room_for_call() {
            return Err(Error::Overloaded);
        }
        let outline = self.outline_of(invite, to);
        let id = self.dialogs.next_id();
        let mut dialog = Dialog::calling(id, &outline, to, InviteState::Idle);
        dialog.tcp_when_large = invite.tcp_when_large;
        dialog.login = invite.credentials.as_ref().map(|credentials| Box::new(Login::new(Arc::clone(credentials))));
        dialog.is_recording = metadata.is_some();
        let varying = dialog.session.ask();
        let joined = invite.body.as_ref().zip(metadata).map(|(offer, metadata)| siprec::join(offer, &metadata.write()));
        let content = match &joined {
            Some((content_type, body)) => Some((content_type.as_str(), body)),
            None => invite.body.as_ref().map(|body| (SDP, body)),
        };
        let start = self.write_invite(&dialog, (outline, to), varying, &invite.headers, content);
        let start = Start { purpose: Purpose::Invite(id), ..start };
        dialog.heard_from(start.to);
        let cseq = start.outline.cseq;
        let client = self.clients.start(now, &mut self.out, start);
        dialog.invite = InviteState::Sent { client, cseq, has_offer: invite.body.is_some() };
        self.dialogs.insert(dialog);
        Ok(id)
    }

    /// Writes an INVITE or re-INVITE. One that is too large for a datagram goes over TCP, where the peer takes it so.
    fn write_invite(
        &self,
        dialog: &Dialog,
        (mut outline, mut to): (Outline, Peer),
        varying: Vec<u8>,
        headers: &[(String, Vec<u8>)],
        content: Option<(&str, &Body)>,
    ) -> Start {
        let may_ring_reliably = !dialog.is_established && content.is_some();
        let supported = if may_ring_reliably { SUPPORTED } else { SUPPORTED_WITHOUT_100REL };
        let write = |outline: &Outline| {
            let mut writer = Writer::fragment();
            let names = ("User-Agent", supported, dialog.feature());
            identify(&self.config, &mut writer, names, outline.local, outline.uri.is_sips());
            if dialog.is_recording && !dialog.is_established {
                writer.header("Require", b"siprec");
            }
            add_headers(&mut writer, headers);
            writer.finish(content)
        };
        let mut rest = write(&outline);
        // It must not outgrow a datagram on its second way, when it shows who we are.
        let reserve = if dialog.login.is_some() { CREDENTIALS_BYTES } else { 0 };
        let length = outline.write(&Method::Invite).len() + varying.len() + rest.len() + reserve;
        if dialog.tcp_when_large && to.transport == Transport::Udp && length > DATAGRAM_BYTES_MAX {
            to = Peer::new(Transport::Tcp, to.address);
            outline.local = Local::toward(&self.config.local, to);
            rest = write(&outline);
        }
        Start::new(Method::Invite, (outline, to), varying, rest, Purpose::Reinvite(dialog.id))
    }

    fn outline_of(&mut self, invite: &Invite, to: Peer) -> Outline {
        let hops = invite.headers.iter().find(|(label, _)| message::name_of(label) == Name::MaxForwards);
        Outline {
            uri: invite.target.clone(),
            local: Local::toward(&self.config.local, to),
            branch: self.identifiers.branch(),
            routes: Vec::new(),
            max_forwards: hops.and_then(|(_, value)| message::number(value)).unwrap_or(MAX_FORWARDS),
            from: invite.from.tagged(&self.identifiers.tag()),
            to: NameAddr { params: message::Params::default(), ..invite.to.clone() },
            call_id: self.identifiers.call_id(),
            cseq: 1,
        }
    }

    pub(super) fn acknowledge(&mut self, id: DialogId, body: Option<&Body>) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        let InviteState::ExpectAck { client, cseq } = dialog.invite else { return };
        dialog.invite = InviteState::Idle;
        dialog.is_confirmed = true;
        let (bytes, to) = dialog.ack(&self.config.local, self.identifiers.branch(), cseq, body);
        let remote_tag = dialog.remote.tag().unwrap_or_default();
        self.clients.acked(&mut self.out, client, remote_tag, to, bytes);
    }

    pub(super) fn queue_reinvite(&mut self, now: Instant, id: DialogId, body: Option<Body>) -> Result<(), Error> {
        let has_room = self.has_room_in_dialog();
        let dialog = self.dialogs.get(id).filter(|dialog| !dialog.is_ending).ok_or(Error::NoDialog)?;
        if !dialog.may_reinvite() {
            return Err(Error::NotReady);
        }
        if !has_room || dialog.queue.len() >= OUTBOX_MAX {
            return Err(Error::Overloaded);
        }
        dialog.queue.push_back(Queued::Reinvite { body });
        self.send_queued(now, id);
        Ok(())
    }

    pub(super) fn queue_info(
        &mut self,
        now: Instant,
        id: DialogId,
        content_type: &str,
        body: Body,
    ) -> Result<RequestId, Error> {
        let (has_room, request) = (self.has_room_in_dialog(), self.next_request());
        let dialog = self.dialogs.get(id).filter(|dialog| !dialog.is_ending).ok_or(Error::NoDialog)?;
        if !dialog.is_established {
            return Err(Error::NotReady);
        }
        if !has_room || dialog.queue.len() >= OUTBOX_MAX {
            return Err(Error::Overloaded);
        }
        dialog.queue.push_back(Queued::Info { request, content_type: content_type.to_owned(), body });
        self.send_queued(now, id);
        Ok(request)
    }

    /// Takes back every INFO of a dialog that has not been answered.
    pub(super) fn drop_infos(&mut self, now: Instant, id: DialogId) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        dialog.queue.retain(|queued| !matches!(queued, Queued::Info { .. }));
        if let Some(client) = dialog.in_flight
            && self.clients.abandon_info(client)
        {
            dialog.in_flight = None;
            self.send_queued(now, id);
        }
    }

    /// Sends what waits, until a request is in flight. Nothing goes before the ACK, which it might overtake.
    pub(super) fn send_queued(&mut self, now: Instant, id: DialogId) {
        while let Some(dialog) = self.dialogs.get(id) {
            if !dialog.is_confirmed || dialog.is_ending || dialog.in_flight.is_some() {
                return;
            }
            match dialog.queue.pop_front() {
                None => return,
                Some(Queued::Info { request, content_type, body }) => {
                    self.send_info(now, id, request, &content_type, &body);
                }
                Some(Queued::Reinvite { .. }) if dialog.invite != InviteState::Idle || dialog.update.is_some() => {
                    let retry_after = Some(self.glare_delay(id));
                    self.out.event(Event::ReinviteFailed { dialog: id, status: 491, retry_after });
                }
                Some(Queued::Reinvite { body }) => self.send_reinvite(now, id, body.as_ref()),
                Some(Queued::Refresh) => self.send_update(now, id),
                Some(Queued::Notify { news, status }) => self.send_notify(now, id, news, status),
            }
        }
    }

    fn send_info(&mut self, now: Instant, id: DialogId, request: RequestId, content_type: &str, body: &Body) {
        let Some((outline, to)) = self.next_outline(id) else { return };
        let varying = self.varying(id, &Method::Info, outline.uri.as_str());
        let rest = Writer::fragment().finish(Some((content_type, body)));
        let start = Start::new(Method::Info, (outline, to), varying, rest, Purpose::Info(id, request));
        let client = self.clients.start(now, &mut self.out, start);
        if let Some(dialog) = self.dialogs.get(id) {
            dialog.in_flight = Some(client);
        }
    }

    fn send_reinvite(&mut self, now: Instant, id: DialogId, body: Option<&Body>) {
        let Some((outline, to)) = self.next_outline(id) else { return };
        let varying = self.varying(id, &Method::Invite, outline.uri.as_str());
        let Some(dialog) = self.dialogs.peek(id) else { return };
        let content = body.map(|body| (SDP, body));
        let start = self.write_invite(dialog, (outline, to), varying, &[], content);
        let cseq = start.outline.cseq;
        let client = self.clients.start(now, &mut self.out, start);
        if let Some(dialog) = self.dialogs.get(id) {
            dialog.invite = InviteState::Sent { client, cseq, has_offer: body.is_some() };
            dialog.in_flight = Some(client);
        }
    }

    pub(super) fn next_outline(&mut self, id: DialogId) -> Option<(Outline, Peer)> {
        let dialog = self.dialogs.get(id)?;
        dialog.local_cseq += 1;
        Some(dialog.outline(&self.config.local, self.identifiers.branch(), dialog.local_cseq))
    }

    /// Ends a dialog as its state asks for.
    pub(super) fn hang_up(&mut self, now: Instant, id: DialogId) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        match dialog.invite {
            // What comes of it still finds the transaction: a 2xx that won the race is acknowledged and ended from there.
            InviteState::Sent { client, .. } if !dialog.is_established => {
                self.clients.cancel(now, &mut self.out, client);
                self.dialogs.remove(id);
            }
            InviteState::Received { .. } if !dialog.is_established => self.refuse_invite(now, id, 480, None, &[]),
            // A callee may not send BYE before the ACK came (RFC 3261 §15).
            InviteState::Accepted { .. } if !dialog.is_confirmed => dialog.is_ending = true,
            _ => self.end(now, id),
        }
    }

    /// Closes the INVITE that is open, sends BYE and forgets the dialog.
    pub(super) fn end(&mut self, now: Instant, id: DialogId) {
        self.acknowledge(id, None);
        self.send_last_news(now, id);
        let Some(mut dialog) = self.dialogs.remove(id) else { return };
        match dialog.invite {
            InviteState::Received { server, .. } => self.send_response(now, server, 487, None, None, &[]),
            InviteState::Accepted { server, .. } => self.servers.confirm(server),
            _ => {}
        }
        self.send_bye(now, &mut dialog);
    }

    pub(super) fn send_bye(&mut self, now: Instant, dialog: &mut Dialog) {
        dialog.local_cseq += 1;
        let (outline, to) = dialog.outline(&self.config.local, self.identifiers.branch(), dialog.local_cseq);
        let mut login = dialog.login.take();
        let cnonce = self.identifiers.tag();
        let varying = login.as_mut().map(|login| login.lines(&Method::Bye, outline.uri.as_str(), &cnonce));
        let (varying, rest) = (varying.unwrap_or_default(), Writer::fragment().finish(None));
        let start = Start::new(Method::Bye, (outline, to), varying, rest, Purpose::Quiet);
        self.clients.start(now, &mut self.out, Start { login, ..start });
    }
}

/// Adds the application's headers, except those the endpoint writes and those that are no header.
pub(super) fn add_headers(writer: &mut Writer, headers: &[(String, Vec<u8>)]) {
    for (label, value) in headers {
        let name = message::name_of(label);
        // The own headers that may be brought: by a refusal, and by an INVITE that is to replace or to do nothing (RFC 3891).
        let is_brought = name == Name::RetryAfter || name == Name::Require && value == b"replaces";
        if is_token_text(label) && (!name.is_own() || is_brought) {
            writer.header(label, value);
        }
    }
}
