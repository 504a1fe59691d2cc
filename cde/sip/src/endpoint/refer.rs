//! Transfers (RFC 3515, RFC 4488) and dialogs that take the place of others (RFC 3891).

use std::time::Instant;

use crate::{
    dialog::{InviteState, OUTBOX_MAX, Queued, Replaces},
    message::{Body, Method, Name, NameAddr, Request, writer},
    transaction::{Purpose, ServerPurpose, Start, Template},
    transport::Peer,
};

use super::{Asked, DialogId, Endpoint, Event, Refer, RequestId};

/// For how long more may be heard of a transfer (RFC 3515 §2.4.4).
const NEWS_SECONDS: u32 = 120;

impl Endpoint {
    /// The peer wants us to call somebody (RFC 3515 §2.4.2).
    pub(super) fn referred(&mut self, now: Instant, from: Peer, request: &Request, id: DialogId) {
        let targets = request.headers.list(Name::ReferTo);
        let target = match targets.as_slice() {
            [target] => NameAddr::parse(target),
            _ => None,
        };
        let Some(target) = target.map(|target| target.uri) else {
            return self.answer_quietly(now, from, request, 400, &[]);
        };
        let replaces = target.header("Replaces");
        let parsed = replaces.as_ref().and_then(|value| Replaces::parse(value.as_bytes()));
        let ours = parsed.and_then(|replaces| self.dialogs.replaced(&replaces)).map(|dialog| dialog.id);
        let wants_news = !request.headers.named("Refer-Sub").is_some_and(|value| value.starts_with(b"false"));
        let Some(dialog) = self.dialogs.get(id).filter(|dialog| dialog.is_confirmed) else {
            return self.answer_quietly(now, from, request, 481, &[]);
        };
        dialog.refers += 1;
        // The first needs no name (RFC 3515 §2.4.6), and many a phone knows none.
        let news = (dialog.refers > 1).then_some(request.core.cseq);
        let refer = Refer { target, ours, replaces: replaces.filter(|_| ours.is_none()), wants_news, news };
        self.last_request += 1;
        let number = RequestId(self.last_request);
        let server =
            self.servers.start(now, request, Template::new(request, from), None, ServerPurpose::Request(number));
        self.requests.insert(number, Asked { server, offers: None, refreshes: false, is_quiet: !wants_news });
        self.out.event(Event::Refer { dialog: id, request: number, refer });
    }

    /// Tells who asked for a transfer how far it is; a final status ends the news.
    pub fn notify(&mut self, now: Instant, dialog: DialogId, refer: &Refer, status: u16) {
        let Some(open) = self.dialogs.get(dialog).filter(|dialog| !dialog.is_ending) else { return };
        if refer.wants_news && open.queue.len() < OUTBOX_MAX {
            open.queue.push_back(Queued::Notify { news: refer.news, status });
            self.send_queued(now, dialog);
        }
    }

    pub(super) fn send_notify(&mut self, now: Instant, id: DialogId, news: Option<u32>, status: u16) {
        let Some((outline, to)) = self.next_outline(id) else { return };
        let varying = self.varying(id, &Method::Notify, outline.uri.as_str());
        let mut rest = writer::Writer::fragment();
        super::identify(
            &self.config,
            &mut rest,
            ("User-Agent", super::SUPPORTED_WITHOUT_100REL, ""),
            outline.local,
            outline.uri.is_sips(),
        );
        let event = news.map_or_else(|| "refer".to_owned(), |id| format!("refer;id={id}"));
        rest.header("Event", event.as_bytes());
        let state = if status < 200 {
            format!("active;expires={NEWS_SECONDS}")
        } else {
            "terminated;reason=noresource".to_owned()
        };
        rest.header("Subscription-State", state.as_bytes());
        let body = Body::from(format!("SIP/2.0 {status} {}\r\n", writer::reason(status)).into_bytes());
        let rest = rest.finish(Some(("message/sipfrag;version=2.0", &body)));
        let start = Start::new(Method::Notify, (outline, to), varying, rest, Purpose::Notify(id));
        let client = self.clients.start(now, &mut self.out, start);
        if let Some(dialog) = self.dialogs.get(id) {
            dialog.in_flight = Some(client);
        }
    }

    /// How a transfer ended is still said before the dialog ends, though news before it have not been answered.
    pub(super) fn send_last_news(&mut self, now: Instant, id: DialogId) {
        let is_last = |queued: &Queued| match queued {
            Queued::Notify { news, status } if *status >= 200 => Some((*news, *status)),
            _ => None,
        };
        let last = self.dialogs.get(id).and_then(|dialog| dialog.queue.iter().rev().find_map(is_last));
        if let Some((news, status)) = last {
            self.send_notify(now, id, news, status);
        }
    }

    /// Whatever is said to it: the news are for the peer, and the dialog does not hang on them.
    pub(super) fn notify_over(&mut self, now: Instant, id: DialogId) {
        if let Some(dialog) = self.dialogs.get(id) {
            dialog.in_flight = None;
        }
        self.send_queued(now, id);
    }

    /// The dialog that an INVITE wants to take the place of; the status to refuse it with if there is none (RFC 3891 §3).
    pub(super) fn replaced(&self, request: &Request) -> Result<Option<DialogId>, u16> {
        let Some(value) = request.headers.named("Replaces") else { return Ok(None) };
        let replaces = Replaces::parse(value).ok_or(400_u16)?;
        let dialog = self.dialogs.replaced(&replaces).ok_or(481_u16)?;
        // One that rings at us may only be picked up by who let it ring.
        let is_ringing_here = matches!(dialog.invite, InviteState::Received { .. }) && !dialog.is_established;
        match (dialog.is_ending || is_ringing_here, dialog.is_established && replaces.is_early_only) {
            (true, _) => Err(481),
            (_, true) => Err(486),
            _ => Ok(Some(dialog.id)),
        }
    }
}
