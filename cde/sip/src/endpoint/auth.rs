//! Requests that are sent once more with what their refusal asked for, and callers that are asked who they are.

use std::{sync::Arc, time::Instant};

use crate::{
    digest::{Credentials, Judgment, Login},
    message::{Method, Response},
    transaction::{ClientId, Outline, Purpose, Start},
    transport::Peer,
};

use super::{DialogId, Endpoint};

impl Endpoint {
    /// Whether the caller of a pending INVITE is who it says; if not, it is refused, asked to prove it (401) or turned away
    /// (403), and nothing more is reported of the dialog.
    pub fn authenticate(&mut self, now: Instant, dialog: DialogId, from: Peer, credentials: &Credentials) -> bool {
        let Some(pending) = self.dialogs.get(dialog) else { return false };
        let Some(shown) = pending.shown.take() else { return false };
        let judgment = self.guard.judge(now, from.address.ip(), credentials, &shown);
        match judgment {
            Judgment::Known => return true,
            Judgment::Barred => self.refuse_pending(now, dialog, (403, None), &[]),
            Judgment::Unknown | Judgment::Stale => {
                let chance = self.identifiers.chance();
                let lines = self.guard.challenge(now, credentials, chance, judgment == Judgment::Stale);
                self.refuse_pending(now, dialog, (401, None), &lines);
            }
        }
        false
    }

    /// Lets requests of ours in a dialog that the peer began show these credentials where they are asked for.
    pub fn log_in(&mut self, dialog: DialogId, credentials: &Arc<Credentials>) {
        if let Some(dialog) = self.dialogs.get(dialog) {
            dialog.login = Some(Box::new(Login::new(Arc::clone(credentials))));
        }
    }

    /// The lines of a request inside a dialog that another try may change.
    pub(super) fn varying(&mut self, id: DialogId, method: &Method, uri: &str) -> Vec<u8> {
        let cnonce = self.identifiers.tag();
        let Some(dialog) = self.dialogs.get(id) else { return Vec::new() };
        let is_timed = matches!(method, Method::Invite | Method::Update);
        let mut lines = if is_timed { dialog.session.ask() } else { Vec::new() };
        if let Some(login) = &mut dialog.login {
            lines.extend(login.lines(method, uri, &cnonce));
        }
        lines
    }

    /// Whether a refusal named what would be taken, and the request went out once more so (RFC 4028 §7.3, RFC 3261 §22.2).
    pub(super) fn try_again(&mut self, now: Instant, client: ClientId, response: &Response) -> bool {
        if !matches!(response.status, 401 | 407 | 422) {
            return false;
        }
        let Some(mut start) = self.clients.again(client) else { return false };
        if !self.is_worth_another(&mut start, response) {
            return false;
        }
        let Some(cseq) = self.next_cseq(&start) else { return false };
        let outline = Outline { cseq, branch: self.identifiers.branch(), ..start.outline };
        let (method, uri) = (start.method.clone(), outline.uri.as_str().to_owned());
        let varying = match (&mut start.login, start.purpose.dialog()) {
            (Some(login), _) => login.lines(&method, &uri, &self.identifiers.tag()),
            (None, Some(id)) => self.varying(id, &method, &uri),
            (None, None) => self.registration_lines(start.purpose, &method, &uri),
        };
        let dialog = start.purpose.dialog();
        let next = self.clients.start(now, &mut self.out, Start { outline, varying, ..start });
        if let Some(dialog) = dialog.and_then(|id| self.dialogs.get(id)) {
            dialog.sent_again(client, next, cseq);
        }
        true
    }

    fn is_worth_another(&mut self, start: &mut Start, response: &Response) -> bool {
        let Response { status, headers, .. } = response;
        let dialog = start.purpose.dialog().and_then(|id| self.dialogs.get(id));
        if *status == 422 {
            return dialog.is_some_and(|dialog| dialog.session.raise(headers));
        }
        let of_dialog = dialog.and_then(|dialog| dialog.login.as_deref_mut());
        let of_registration = match start.purpose {
            Purpose::Register(id) => self.registrations.login(id),
            _ => None,
        };
        let login = start.login.as_deref_mut().or(of_dialog).or(of_registration);
        login.is_some_and(|login| login.challenged(*status, headers, &mut start.tries))
    }

    fn next_cseq(&mut self, start: &Start) -> Option<u32> {
        match (start.purpose, start.purpose.dialog()) {
            (Purpose::Register(id), _) => self.registrations.next_cseq(id),
            (_, Some(id)) => {
                let dialog = self.dialogs.get(id)?;
                dialog.local_cseq += 1;
                Some(dialog.local_cseq)
            }
            _ => Some(start.outline.cseq + 1),
        }
    }

    fn registration_lines(&mut self, purpose: Purpose, method: &Method, uri: &str) -> Vec<u8> {
        let cnonce = self.identifiers.tag();
        let Purpose::Register(id) = purpose else { return Vec::new() };
        self.registrations.login(id).map_or_else(Vec::new, |login| login.lines(method, uri, &cnonce))
    }
}
