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
    /// Its peer has agreed to come over, whatever becomes of that.
    agreed: bool,
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
        let is_consulted = [call, from].iter().flatten().any(|id| self.calls.get(id).is_some_and(Call::consults));
        if is_consulted {
            return self.handle_consulted(now, (asker, call), (ours, from), request, refer);
        }
        let joined = call.zip(from).filter(|(call, from)| call != from).and_then(|(call, from)| {
            let asking = self.calls.get(&call)?.peer_at(asker)?;
            let (context, calls) = self.context(now);
            let other = calls.get(&from).filter(|other| other.is_trunk_of(&context, ours, asking))?;
            Some((call, from, other.leg_across(ours)?))
        });
        let Some((call, from, across)) = joined else { return self.endpoint.respond(now, request, 403) };
        let leg = across.dialog;
        let mut is_begun = false;
        self.with_call(now, call, |call, context| is_begun = call.join(context, asker, request, refer, across));
        if is_begun {
            self.joins.by_call.insert(call, Join { leg, from, agreed: false });
            self.with_call(now, from, |from, _| from.lend(leg));
        }
    }

    /// One of the two is the call of an agent who waits at a code, and the other's caller is to come there: the agent's phone may say so
    /// in either.
    fn handle_consulted(
        &mut self,
        now: Instant,
        (asker, asking): (DialogId, Option<CallId>),
        (ours, meant): (DialogId, Option<CallId>),
        request: RequestId,
        refer: Refer,
    ) {
        let joined = asking.zip(meant).filter(|(asking, meant)| asking != meant).and_then(|(asking, meant)| {
            let peer = self.calls.get(&asking)?.peer_at(asker)?;
            let (context, calls) = self.context(now);
            let is_theirs = calls.get(&meant)?.is_trunk_of(&context, ours, peer);
            let waits = if calls.get(&meant)?.consults() { meant } else { asking };
            let (from, agent) = if waits == meant { (asking, asker) } else { (meant, ours) };
            let across = calls.get(&from)?.caller_across(agent)?;
            is_theirs.then_some((waits, from, across))
        });
        let Some((waits, from, across)) = joined else { return self.endpoint.respond(now, request, 403) };
        let leg = across.dialog;
        let mut is_begun = false;
        self.with_call(now, waits, |call, context| {
            is_begun = call.join_consulted(context, asker, request, refer, &across);
        });
        if is_begun {
            self.joins.by_call.insert(waits, Join { leg, from, agreed: false });
            self.with_call(now, from, |from, _| from.lend(leg));
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
        let has_agreed = matches!(event, Event::ReinviteAnswered { .. });
        let join = self.joins.by_call.get_mut(&call).filter(|join| has_agreed && Some(join.leg) == event.dialog());
        let join = join.map(|join| {
            join.agreed = true;
            *join
        });
        // What its caller keys is not for the call that it would join.
        let is_refused = join.is_some_and(|join| self.needs_back(join));
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
        let Some(Join { leg, from, agreed }) = self.joins.by_call.get(&call).copied() else { return };
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
            self.with_call(now, from, |from, context| from.take_back(context, leg, agreed));
        } else {
            // Whoever had it has hung up meanwhile.
            self.endpoint.bye(now, leg);
        }
    }
}
