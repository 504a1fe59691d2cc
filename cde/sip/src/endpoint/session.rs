//! Keeping sessions alive (RFC 4028), by UPDATE where the peer takes that.

use std::time::Instant;

use crate::{
    dialog::{Dialog, Queued, Tick},
    message::{Method, Response, writer::Writer},
    transaction::{Purpose, Start},
};

use super::{DialogId, EndReason, Endpoint, Event, SUPPORTED_WITHOUT_100REL, identify};

impl Endpoint {
    /// Refreshes what is due, and ends what nobody has refreshed.
    pub(super) fn tick_sessions(&mut self, now: Instant) {
        while let Some((id, tick)) = self.dialogs.tick(now) {
            match tick {
                Tick::Refresh => self.refresh_session(now, id),
                Tick::End => self.lose(now, id, EndReason::SessionExpired),
            }
        }
    }

    /// By UPDATE where the peer takes it: it needs no offer. Else the application is asked for one.
    fn refresh_session(&mut self, now: Instant, id: DialogId) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        if !dialog.takes_update {
            return self.out.event(Event::RefreshDue { dialog: id });
        }
        if !dialog.queue.iter().any(|queued| matches!(queued, Queued::Refresh)) {
            dialog.queue.push_back(Queued::Refresh);
        }
        self.send_queued(now, id);
    }

    pub(super) fn send_update(&mut self, now: Instant, id: DialogId) {
        let Some((outline, to)) = self.next_outline(id) else { return };
        let varying = self.varying(id, &Method::Update, outline.uri.as_str());
        let mut writer = Writer::fragment();
        let feature = self.dialogs.peek(id).map_or("", Dialog::feature);
        let names = ("User-Agent", SUPPORTED_WITHOUT_100REL, feature);
        identify(&self.config, &mut writer, names, outline.local, outline.uri.is_sips());
        let (rest, purpose) = (writer.finish(None), Purpose::Update(id));
        let start = Start::new(Method::Update, (outline, to), varying, rest, purpose);
        let client = self.clients.start(now, &mut self.out, start);
        if let Some(dialog) = self.dialogs.get(id) {
            dialog.in_flight = Some(client);
        }
    }

    pub(super) fn update_answered(&mut self, now: Instant, id: DialogId, response: &Response) {
        let Some(dialog) = self.dialogs.get(id) else { return };
        dialog.in_flight = None;
        match response.status {
            200..300 => {
                dialog.refresh_target(&response.headers);
                dialog.session.answered(&response.headers);
                self.dialogs.start_session(now, id);
            }
            405 | 501 => {
                dialog.takes_update = false;
                self.out.event(Event::RefreshDue { dialog: id });
            }
            _ => {}
        }
        self.go_on(now, id, response.status);
    }

    /// An UPDATE did not reach the peer; it is due again soon.
    pub(super) fn update_over(&mut self, now: Instant, id: DialogId) {
        if let Some(dialog) = self.dialogs.get(id) {
            dialog.in_flight = None;
        }
        self.send_queued(now, id);
    }
}
