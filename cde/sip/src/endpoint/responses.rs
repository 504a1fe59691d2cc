//! Responses that come, and what their absence means.

use std::time::{Duration, Instant};

use crate::{
    dialog::{Dialog, InviteState},
    message::{Method, Name, NameAddr, Response, Uri},
    transaction::{ClientId, Outline, Purpose, Verdict},
    transport::Peer,
};

use super::{DialogId, EndReason, Endpoint, Event, RequestId, content};

/// The most places of a 3xx that are told.
const CONTACTS_MAX: usize = 5;
/// A peer's Retry-After is followed up to this.
const RETRY_AFTER_SECONDS_MAX: u64 = 3600;

impl Endpoint {
    pub(super) fn handle_response(&mut self, now: Instant, from: Peer, response: &Response) {
        // More than one Via: it is not for us (RFC 3261 §8.1.3.3).
        let is_ours = response.headers.list(Name::Via).len() == 1;
        let handled = if is_ours { self.clients.handle_response(now, &mut self.out, response) } else { None };
        let Some(handled) = handled else {
            self.out.stats.dropped_responses += 1;
            return;
        };
        let Some((client, purpose, verdict)) = handled else { return };
        self.handle_answer(now, from, response, (client, purpose, verdict));
        self.clients.forget_if_over(client);
    }

    fn handle_answer(
        &mut self,
        now: Instant,
        from: Peer,
        response: &Response,
        (client, purpose, verdict): (ClientId, Purpose, Verdict),
    ) {
        if verdict == Verdict::Final && self.try_again(now, client, response) {
            return;
        }
        match purpose {
            Purpose::Invite(id) => self.invite_response(now, from, client, id, response, verdict),
            Purpose::Reinvite(id) => self.reinvite_response(now, client, id, response, verdict),
            Purpose::Info(id, request) if verdict == Verdict::Final => {
                self.request_answered(id, request, response.status);
                self.go_on(now, id, response.status);
            }
            Purpose::Probe(request) if verdict == Verdict::Final => {
                self.out.event(Event::Probed { request, status: response.status });
            }
            Purpose::Update(id) if verdict == Verdict::Final => self.update_answered(now, id, response),
            Purpose::Register(id) if verdict == Verdict::Final => self.register_answered(now, id, client, response),
            Purpose::Notify(id) if verdict == Verdict::Final => self.notify_over(now, id),
            Purpose::Notify(_)
            | Purpose::Register(_)
            | Purpose::Info(..)
            | Purpose::Update(_)
            | Purpose::Prack(_)
            | Purpose::Probe(_)
            | Purpose::Quiet => {}
        }
    }

    fn invite_response(
        &mut self,
        now: Instant,
        from: Peer,
        client: ClientId,
        id: DialogId,
        response: &Response,
        verdict: Verdict,
    ) {
        match verdict {
            Verdict::Provisional => self.progressed(now, id, response),
            Verdict::Final => {
                let reason = String::from_utf8_lossy(&response.reason).into_owned();
                self.call_redirected(id, response.status, &reason, contacts(response));
            }
            Verdict::Success => self.answered(now, from, client, id, response),
        }
    }

    fn progressed(&mut self, now: Instant, id: DialogId, response: &Response) {
        if response.status == 100 || !self.take_provisional(now, id, response) {
            return;
        }
        let body = content::sdp(&response.headers, &response.body);
        self.out.event(Event::Progress { dialog: id, status: response.status, body });
    }

    fn answered(&mut self, now: Instant, from: Peer, client: ClientId, id: DialogId, response: &Response) {
        match self.dialogs.get(id) {
            Some(dialog) if !dialog.is_established => {
                dialog.establish(response);
                dialog.heard_from(from);
                dialog.invite = InviteState::ExpectAck { client, cseq: response.core.cseq };
                dialog.session.answered(&response.headers);
                self.dialogs.start_session(now, id);
                let body = content::sdp(&response.headers, &response.body);
                self.out.event(Event::Answered { dialog: id, body });
            }
            // Repeated: the application's ACK is not there yet.
            Some(dialog) if dialog.is_peer(response.core.to.tag()) => {}
            _ => self.end_fork(now, client, response),
        }
    }

    /// Acknowledges and ends a dialog that nobody wants: of another fork, or answered after we gave up.
    fn end_fork(&mut self, now: Instant, client: ClientId, response: &Response) {
        let Some((outline, to)) = self.clients.outline(client) else { return };
        let mut fork = Dialog::calling(DialogId(0), outline, to, InviteState::Idle);
        fork.establish(response);
        let (bytes, to) = fork.ack(&self.config.local, self.identifiers.branch(), response.core.cseq, None);
        let remote_tag = fork.remote.tag().unwrap_or_default();
        if self.clients.acked(&mut self.out, client, remote_tag, to, bytes) {
            self.send_bye(now, &mut fork);
        }
    }

    fn reinvite_response(
        &mut self,
        now: Instant,
        client: ClientId,
        id: DialogId,
        response: &Response,
        verdict: Verdict,
    ) {
        let Some(dialog) = self.dialogs.get(id) else {
            if verdict == Verdict::Success {
                self.acknowledge_orphan(client, response);
            }
            return;
        };
        let InviteState::Sent { client: open, cseq, has_offer } = dialog.invite else { return };
        if open != client {
            return;
        }
        if dialog.in_flight == Some(client) {
            dialog.in_flight = None;
        }
        match verdict {
            Verdict::Provisional => self.send_queued(now, id),
            Verdict::Final => {
                dialog.invite = InviteState::Idle;
                self.reinvite_failed(now, id, response);
            }
            Verdict::Success => {
                dialog.refresh_target(&response.headers);
                dialog.invite = InviteState::ExpectAck { client, cseq };
                dialog.session.answered(&response.headers);
                self.dialogs.start_session(now, id);
                let body = content::sdp(&response.headers, &response.body);
                self.out.event(Event::ReinviteAnswered { dialog: id, body });
                if has_offer {
                    self.acknowledge(id, None);
                }
                self.send_queued(now, id);
            }
        }
    }

    /// The dialog ended while its re-INVITE was open: the peer still wants its ACK.
    fn acknowledge_orphan(&mut self, client: ClientId, response: &Response) {
        let branch = self.identifiers.branch();
        let Some((outline, to)) = self.clients.outline(client) else { return };
        let ack = Outline { branch, ..outline.clone() }.write(&Method::Ack).finish(None);
        let remote_tag = response.core.to.tag().unwrap_or_default();
        self.clients.acked(&mut self.out, client, remote_tag, to, ack);
    }

    fn reinvite_failed(&mut self, now: Instant, id: DialogId, response: &Response) {
        if !is_lost(response.status) {
            let retry_after = match response.status {
                491 => Some(self.glare_delay(id)),
                _ => retry_after(response),
            };
            self.out.event(Event::ReinviteFailed { dialog: id, status: response.status, retry_after });
        }
        self.go_on(now, id, response.status);
    }

    /// A re-INVITE did not reach the peer: the session stays as it was (RFC 3261 §8.1.3.1).
    pub(super) fn reinvite_unsent(&mut self, now: Instant, id: DialogId, client: ClientId) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        if !matches!(dialog.invite, InviteState::Sent { client: open, .. } if open == client) {
            return;
        }
        dialog.invite = InviteState::Idle;
        dialog.in_flight = None;
        self.out.event(Event::ReinviteFailed { dialog: id, status: 503, retry_after: None });
        self.send_queued(now, id);
    }

    /// The maker of the Call-ID waits 2.1 to 4 s, the other side 0 to 2 s (RFC 3261 §14.1).
    pub(super) fn glare_delay(&mut self, id: DialogId) -> Duration {
        let is_caller = self.dialogs.get(id).is_some_and(|dialog| dialog.is_caller);
        if is_caller { self.identifiers.delay(2100, 4000) } else { self.identifiers.delay(0, 2000) }
    }

    /// After a final response: the next request, or the end if the peer does not know the dialog (RFC 3261 §12.2.1.2).
    pub(super) fn go_on(&mut self, now: Instant, id: DialogId, status: u16) {
        if is_lost(status) {
            self.lose(now, id, EndReason::Lost);
        } else {
            self.send_queued(now, id);
        }
    }

    pub(super) fn request_answered(&mut self, id: DialogId, request: RequestId, status: u16) {
        if let Some(dialog) = self.dialogs.get(id).filter(|dialog| !dialog.is_ending) {
            dialog.in_flight = None;
            self.out.event(Event::RequestAnswered { request, status });
        }
    }

    pub(super) fn call_failed(&mut self, id: DialogId, status: u16, reason: &str) {
        self.call_redirected(id, status, reason, Vec::new());
    }

    fn call_redirected(&mut self, id: DialogId, status: u16, reason: &str, contacts: Vec<Uri>) {
        if self.dialogs.remove(id).is_some() {
            self.out.event(Event::Failed { dialog: id, status, reason: reason.to_owned(), contacts });
        }
    }

    /// Ends a dialog whose peer is lost.
    pub(super) fn lose(&mut self, now: Instant, id: DialogId, reason: EndReason) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        let is_ending = dialog.is_ending;
        self.end(now, id);
        if !is_ending {
            self.out.event(Event::Ended { dialog: id, reason });
        }
    }
}

/// Where a 3xx says that the call should go instead, in its order.
fn contacts(response: &Response) -> Vec<Uri> {
    if !(300..400).contains(&response.status) {
        return Vec::new();
    }
    let contacts = response.headers.list(Name::Contact).into_iter().filter_map(NameAddr::parse);
    contacts.map(|contact| contact.uri).take(CONTACTS_MAX).collect()
}

fn is_lost(status: u16) -> bool {
    matches!(status, 408 | 481)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers.first(Name::RetryAfter)?;
    let digits = value.split(|b| !b.is_ascii_digit()).next()?;
    let seconds: u64 = crate::message::number(digits)?;
    Some(Duration::from_secs(seconds.min(RETRY_AFTER_SECONDS_MAX)))
}
