//! The live state: the calls of now, their payments, and the newest events for those who come back. Pure: the shell
//! keeps one behind one lock and hands in the time.

mod ring;
mod timeline;

use crate::{
    clock::rfc3339,
    recorders::Wanted,
    view::{CallView, PaymentRow, PaymentView, TimelineRow},
};
use ring::{Audience, Ring};
pub(crate) use ring::{Resume, Sent};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use wire::{
    CallEnd, CallFigures, CallId, CallSnapshot, Extension, HookSnapshot, PaymentId, PaymentState, TestSnapshot,
    TrunkSnapshot,
};

/// The most calls that are shown at once; the cde's own limit is far below.
pub(crate) const CALLS_MAX: usize = 10_000;
/// The most trunks that are shown.
const TRUNKS_MAX: usize = 1_000;
/// Calls whose figures are kept.
const FIGURES_MAX: usize = 2 * CALLS_MAX;

/// The live state.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    calls: BTreeMap<CallId, Call>,
    payments: BTreeMap<PaymentId, Payment>,
    door_up: bool,
    /// Every record from before the connection has been stored.
    caught_up: bool,
    /// Payments of calls that are over, with the number of an attempt whose record has not come yet.
    awaited: BTreeMap<PaymentId, u8>,
    /// By name.
    trunks: BTreeMap<String, TrunkSnapshot>,
    /// The newest test call of each trunk.
    tests: BTreeMap<String, TestSnapshot>,
    figures: BTreeMap<CallId, CallFigures>,
    /// Of which calls there are figures, the oldest first.
    figured: VecDeque<CallId>,
    ring: Ring,
}

#[derive(Debug)]
struct Call {
    snapshot: CallSnapshot,
    timeline: Vec<TimelineRow>,
    proof_ms: Option<i64>,
}

/// A stored payment of a live call, and how it was last shown.
#[derive(Debug)]
struct Payment {
    row: PaymentRow,
    shown: PaymentView,
}

impl Hub {
    /// A connection to the cde has begun: these calls are alive and no others. Whoever watches starts from a new
    /// snapshot. `payments` are the stored rows of these calls.
    pub(crate) fn hello(&mut self, now_ms: i64, calls: Vec<CallSnapshot>, payments: Vec<PaymentRow>) {
        let mut before = std::mem::take(&mut self.calls);
        self.payments.clear();
        self.trunks.clear();
        for row in payments {
            let shown = PaymentView::join(&row, None);
            self.payments.insert(row.id, Payment { row, shown });
        }
        for snapshot in calls.into_iter().take(CALLS_MAX) {
            let known = before.remove(&snapshot.call);
            let mut timeline = known.as_ref().map(|call| call.timeline.clone()).unwrap_or_default();
            timeline::note(&mut timeline, now_ms, known.as_ref().map(|call| &call.snapshot), &snapshot);
            let proof_ms = known.and_then(|call| call.proof_ms);
            self.calls.insert(snapshot.call, Call { snapshot, timeline, proof_ms });
        }
        let ids: Vec<PaymentId> = self.payments.keys().copied().collect();
        for id in ids {
            self.refresh(now_ms, id);
        }
        self.door_up = true;
        self.caught_up = false;
        self.ring.forget();
    }

    /// Stored payments of calls that are alive. The greeting holds only some of the calls, so others' come after it.
    pub(crate) fn know(&mut self, now_ms: i64, payments: Vec<PaymentRow>) {
        for row in payments {
            let id = row.id;
            if self.payments.contains_key(&id) || !self.calls.contains_key(&row.call) {
                continue;
            }
            let shown = PaymentView::join(&row, None);
            self.payments.insert(id, Payment { row, shown });
            self.refresh(now_ms, id);
            self.push_payment(id);
        }
    }

    /// Every record of calls that were over before the connection has been stored.
    pub(crate) fn caught_up(&mut self) {
        self.caught_up = true;
        self.awaited.clear();
    }

    /// The connection to the cde is lost. What was shown stays, and grows stale.
    pub(crate) fn door_down(&mut self) {
        if std::mem::take(&mut self.door_up) {
            self.ring.push(Audience::All, "door", &json!({"state": "down"}));
        }
    }

    /// A call is there or has changed.
    pub(crate) fn call(&mut self, now_ms: i64, snapshot: CallSnapshot) {
        let id = snapshot.call;
        if !self.calls.contains_key(&id) && self.calls.len() >= CALLS_MAX {
            return;
        }
        let known = self.calls.remove(&id);
        let mut timeline = known.as_ref().map(|call| call.timeline.clone()).unwrap_or_default();
        timeline::note(&mut timeline, now_ms, known.as_ref().map(|call| &call.snapshot), &snapshot);
        let payment = snapshot.payment.as_ref().map(|progress| progress.payment);
        let proof_ms = known.and_then(|call| call.proof_ms);
        self.calls.insert(id, Call { snapshot, timeline, proof_ms });
        if let Some(payment) = payment.filter(|payment| self.refresh(now_ms, *payment)) {
            self.push_payment(payment);
        }
        self.push_call(id);
    }

    /// A trunk is there or has changed.
    pub(crate) fn trunk(&mut self, trunk: TrunkSnapshot) {
        if self.trunks.len() < TRUNKS_MAX || self.trunks.contains_key(&trunk.name) {
            self.trunks.insert(trunk.name.clone(), trunk);
        }
    }

    /// A test call goes on.
    pub(crate) fn test(&mut self, test: TestSnapshot) {
        if self.tests.len() < TRUNKS_MAX || self.tests.contains_key(&test.trunk) {
            self.tests.insert(test.trunk.clone(), test);
        }
    }

    /// The newest test call of a trunk.
    pub(crate) fn test_of(&self, trunk: &str) -> Option<&TestSnapshot> {
        self.tests.get(trunk)
    }

    /// How the legs of a call fare. Those of calls that are over are kept until there are many others.
    pub(crate) fn figures(&mut self, call: CallId, figures: CallFigures) {
        if self.figures.insert(call, figures).is_none() {
            self.figured.push_back(call);
        }
        while self.figured.len() > FIGURES_MAX {
            let oldest = self.figured.pop_front();
            oldest.and_then(|oldest| self.figures.remove(&oldest));
        }
    }

    /// How the legs of a call fare, or have fared.
    pub(crate) fn figures_of(&self, call: CallId) -> Option<&CallFigures> {
        self.figures.get(&call)
    }

    /// Every trunk, as the cde has shown it last.
    pub(crate) fn trunks(&self) -> impl Iterator<Item = &TrunkSnapshot> {
        self.trunks.values()
    }

    /// A call is over; its payments leave with it.
    pub(crate) fn call_ended(&mut self, call: CallId, end: CallEnd) {
        self.awaited.extend(self.unrecorded(call).filter(|_| self.awaited.len() < CALLS_MAX));
        self.payments.retain(|_, payment| payment.row.call != call);
        if let Some(gone) = self.calls.remove(&call) {
            let audience = Audience::Extension(gone.snapshot.extension);
            self.ring.push(audience, "call_ended", &json!({"call": call, "end": end}));
        }
    }

    /// The line of a call was proved to be masked at that time.
    pub(crate) fn proof(&mut self, at_ms: i64, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.proof_ms = Some(at_ms);
        let audience = Audience::Extension(call.snapshot.extension.clone());
        self.ring.push(audience, "proof", &json!({"call": id, "at": rfc3339(at_ms)}));
    }

    /// The stored row of a payment is new or has changed.
    pub(crate) fn payment(&mut self, now_ms: i64, row: PaymentRow) {
        let (id, call) = (row.id, row.call);
        self.awaited.retain(|awaited, attempt| *awaited != id || *attempt > row.attempts);
        if !self.calls.contains_key(&call) {
            if let Ok(extension) = row.extension.parse() {
                self.ring.push(Audience::Extension(extension), "payment", &PaymentView::join(&row, None));
            }
            return;
        }
        if self.payments.get(&id).is_some_and(|known| known.row.updated_ms > row.updated_ms) {
            return; // It was read before a record that is shown already.
        }
        let shown = PaymentView::join(&row, None);
        let before = self.payments.insert(id, Payment { row, shown });
        self.refresh(now_ms, id);
        let after = self.payments.get(&id).map(|payment| &payment.shown);
        if before.as_ref().map(|payment| &payment.shown) == after {
            return;
        }
        self.push_payment(id);
        self.push_call(call);
    }

    /// A payment that was stored for a command which the cde refused was never one.
    pub(crate) fn forget_payment(&mut self, id: PaymentId) {
        self.payments.remove(&id);
    }

    /// The live calls of an extension.
    pub(crate) fn calls(&self, extension: Option<&Extension>) -> Vec<CallView> {
        self.of(extension).filter_map(|call| self.call_view(call.snapshot.call)).collect()
    }

    /// One live call, if it is this extension's.
    pub(crate) fn call_of(&self, id: CallId, extension: Option<&Extension>) -> Option<CallView> {
        let call = self.calls.get(&id)?;
        (Some(&call.snapshot.extension) == extension).then(|| self.call_view(id)).flatten()
    }

    /// The calls that have recorders which are to pause.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        let wants = |call: &Call| call.snapshot.hook.clone().filter(HookSnapshot::wants_pause);
        let wanted = |call: &Call| {
            let (id, extension) = (call.snapshot.call, call.snapshot.extension.clone());
            wants(call).map(|hook| Wanted { call: id, extension, hook })
        };
        self.calls.values().filter_map(wanted).collect()
    }

    /// Every live call's id.
    pub(crate) fn call_ids(&self) -> Vec<CallId> {
        self.calls.keys().copied().collect()
    }

    /// A payment as it is shown now.
    pub(crate) fn show(&self, row: &PaymentRow) -> PaymentView {
        let live = self.calls.get(&row.call).and_then(|call| call.snapshot.payment.as_ref());
        let mut view = PaymentView::join(row, live.filter(|progress| progress.payment == row.id));
        if let Some(payment) = self.payments.get(&row.id) {
            view.updated_at = view.updated_at.max(payment.shown.updated_at.clone());
        }
        view
    }

    /// Is the payment the one that its call shows now, or the call gone?
    pub(crate) fn payment_is_live(&self, id: PaymentId) -> bool {
        let Some(payment) = self.payments.get(&id) else { return true };
        let live = self.calls.get(&payment.row.call).and_then(|call| call.snapshot.payment.as_ref());
        live.is_some_and(|progress| progress.payment == id)
    }

    /// Is the payment's call over, and all stored that was written of it?
    pub(crate) fn is_told(&self, row: &PaymentRow) -> bool {
        self.caught_up && !self.calls.contains_key(&row.call) && !self.awaited.contains_key(&row.id)
    }

    /// The payment of a call that is at the gateway, or about to be, with the number of its attempt, while no record
    /// of that attempt is stored. The call says so before the attempt is on disk.
    pub(crate) fn unrecorded(&self, call: CallId) -> Option<(PaymentId, u8)> {
        let live = self.calls.get(&call)?.snapshot.payment.as_ref()?;
        let stored = self.payments.get(&live.payment).map_or(0, |payment| payment.row.attempts);
        (live.state == PaymentState::Authorizing && live.attempts > stored).then_some((live.payment, live.attempts))
    }

    /// The state that a payment of a live call is shown in.
    pub(crate) fn payment_state(&self, id: PaymentId) -> Option<PaymentState> {
        self.payments.get(&id).map(|payment| payment.shown.state)
    }

    /// Is there a connection to the cde?
    pub(crate) fn door_is_up(&self) -> bool {
        self.door_up
    }

    /// The same, and is all stored that the cde had to tell when the connection began?
    pub(crate) fn is_caught_up(&self) -> bool {
        self.door_up && self.caught_up
    }

    /// The number of the newest event.
    pub(crate) fn newest(&self) -> u64 {
        self.ring.newest()
    }

    /// What this extension missed after event `after`; or that it must start from a snapshot.
    pub(crate) fn resume(&self, after: u64, extension: Option<&Extension>) -> Resume {
        self.ring.resume(after, extension)
    }

    /// Everything this extension may see, and the number of the newest event it includes.
    pub(crate) fn snapshot(&self, extension: Option<&Extension>) -> (u64, String) {
        let mine = |payment: &&Payment| extension.is_some_and(|mine| mine.as_str() == payment.row.extension);
        let payments: Vec<&PaymentView> = self.payments.values().filter(mine).map(|payment| &payment.shown).collect();
        let door = if self.door_up { "up" } else { "down" };
        let all = json!({"calls": self.calls(extension), "payments": payments, "door": door});
        (self.ring.newest(), all.to_string())
    }

    fn of(&self, extension: Option<&Extension>) -> impl Iterator<Item = &Call> {
        self.calls.values().filter(move |call| Some(&call.snapshot.extension) == extension)
    }

    fn call_view(&self, id: CallId) -> Option<CallView> {
        let call = self.calls.get(&id)?;
        let payment = call.snapshot.payment.as_ref().and_then(|progress| self.payments.get(&progress.payment));
        Some(CallView::new(&call.snapshot, payment.map(|payment| &payment.shown), &call.timeline, call.proof_ms))
    }

    /// Joins a payment anew and says whether it is shown differently now.
    fn refresh(&mut self, now_ms: i64, id: PaymentId) -> bool {
        let Some(payment) = self.payments.get_mut(&id) else { return false };
        let live = self.calls.get(&payment.row.call).and_then(|call| call.snapshot.payment.as_ref());
        let mut view = PaymentView::join(&payment.row, live.filter(|progress| progress.payment == id));
        view.updated_at.clone_from(&payment.shown.updated_at);
        if view == payment.shown {
            return false;
        }
        view.updated_at = rfc3339(now_ms);
        payment.shown = view;
        true
    }

    fn push_call(&mut self, id: CallId) {
        if let Some(view) = self.call_view(id) {
            self.ring.push(Audience::Extension(view.extension.clone()), "call", &view);
        }
    }

    fn push_payment(&mut self, id: PaymentId) {
        let Some(payment) = self.payments.get(&id) else { return };
        let Some(call) = self.calls.get(&payment.row.call) else { return };
        self.ring.push(Audience::Extension(call.snapshot.extension.clone()), "payment", &payment.shown);
    }
}

#[cfg(test)]
mod tests;
