//! Attended transfers between two calls of ours: a leg of one is lent to the other until its peer has agreed to that. Only then is what
//! is left of its call over; if it does not come to that, the leg goes back.

use super::Switchboard;
use crate::call::Call;
use sip::{DialogId, Event, Refer, RequestId};
use std::collections::BTreeMap;
use std::time::Instant;
use wire::CallId;

/// A leg on its way from one call to another.
#[derive(Clone, Copy)]
struct Join {
    leg: DialogId,
    from: CallId,
}

/// By the call that it is to join.
#[derive(Default)]
pub(super) struct Joins {
    by_call: BTreeMap<CallId, Join>,
}

impl Switchboard {
    /// One side of a call hands it to the other end of another call of ours that is its own.
    pub(super) fn handle_join(
        &mut self,
        now: Instant,
        asker: DialogId,
        request: RequestId,
        refer: Refer,
        ours: DialogId,
    ) {
        let (call, from) = (self.dialogs.get(&asker).copied(), self.dialogs.get(&ours).copied());
        let joined = call.zip(from).filter(|(call, from)| call != from).and_then(|(call, from)| {
            let asking = self.calls.get(&call)?.peer_at(asker)?;
            let (context, calls) = self.context(now);
            let other = calls.get(&from).filter(|other| other.is_trunk_of(&context, ours, asking))?;
            Some((call, from, other.leg_across(ours)?))
        });
        let Some((call, from, across)) = joined else { return self.endpoint.respond(now, request, 403) };
        let mut is_begun = false;
        self.with_call(now, call, |call, context| is_begun = call.join(context, asker, request, refer, across));
        if is_begun {
            self.joins.by_call.insert(call, Join { leg: across.0, from });
            self.with_call(now, from, |from, _| from.lend(across.0));
        }
    }

    /// What a dialog reports goes to its call. One that is lent and over is over for both.
    pub(super) fn tell_call(&mut self, now: Instant, call: CallId, event: Event) {
        let lender = match &event {
            Event::Ended { dialog, .. } => {
                self.joins.by_call.get(&call).filter(|join| join.leg == *dialog).map(|join| (join.from, event.clone()))
            }
            _ => None,
        };
        let join = self.joins.by_call.get(&call).filter(|join| Some(join.leg) == event.dialog());
        // What its caller keys is not for the call that it would join.
        let is_refused =
            matches!(event, Event::ReinviteAnswered { .. }) && join.is_some_and(|join| self.needs_back(*join));
        self.with_call(now, call, |call, context| {
            if is_refused { call.join_refused(context) } else { call.handle_sip(context, event) }
        });
        if let Some((from, event)) = lender {
            self.with_call(now, from, |from, context| from.handle_sip(context, event));
        }
    }

    /// Was the call that has lent a leg secured meanwhile?
    fn needs_back(&self, join: Join) -> bool {
        self.calls.get(&join.from).is_some_and(Call::needs_back)
    }

    /// After anything that a call did: a leg of it that is still to be asked once more is not asked if it was secured.
    pub(super) fn keep_lent(&mut self, now: Instant, from: CallId) {
        let lent = self.joins.by_call.iter().find(|(_, join)| join.from == from).map(|(call, join)| (*call, *join));
        if let Some((call, join)) = lent
            && self.needs_back(join)
            && self.calls.get(&call).is_some_and(Call::is_to_ask_again)
        {
            self.with_call(now, call, |call, context| call.join_refused(context));
        }
    }

    /// After anything that a call did: is the leg that it was lent its own now, or not to be?
    pub(super) fn settle_join(&mut self, now: Instant, call: CallId) {
        let Some(Join { leg, from }) = self.joins.by_call.get(&call).copied() else { return };
        let of_call = self.calls.get(&call);
        if of_call.is_some_and(|call| call.borrows(leg)) {
            return;
        }
        self.joins.by_call.remove(&call);
        if of_call.is_some_and(|call| call.peer_at(leg).is_some()) {
            self.with_call(now, from, |from, context| from.give_up(context, leg));
        } else if self.calls.contains_key(&from) {
            self.dialogs.insert(leg, from);
            self.name_dialog(from, leg);
            self.with_call(now, from, |from, context| from.take_back(context, leg));
        } else {
            // Whoever had it has hung up meanwhile.
            self.endpoint.bye(now, leg);
        }
    }
}
