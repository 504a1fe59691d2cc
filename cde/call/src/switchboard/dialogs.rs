//! Whose the dialogs are, found by either.

use sip::DialogId;
use std::collections::BTreeMap;
use wire::CallId;

/// A dialog is one call's at most; a call has few.
#[derive(Default)]
pub(super) struct Dialogs {
    calls: BTreeMap<DialogId, CallId>,
    /// The same the other way round, so that the end of one call need not look at the dialogs of all.
    by_call: BTreeMap<CallId, Vec<DialogId>>,
}

impl Dialogs {
    pub(super) fn get(&self, dialog: &DialogId) -> Option<&CallId> {
        self.calls.get(dialog)
    }

    /// A dialog is this call's from now on, whosever it was.
    pub(super) fn insert(&mut self, dialog: DialogId, call: CallId) {
        self.remove(&dialog);
        self.calls.insert(dialog, call);
        self.by_call.entry(call).or_default().push(dialog);
    }

    pub(super) fn remove(&mut self, dialog: &DialogId) {
        let Some(call) = self.calls.remove(dialog) else { return };
        let Some(its) = self.by_call.get_mut(&call) else { return };
        its.retain(|one| one != dialog);
        if its.is_empty() {
            self.by_call.remove(&call);
        }
    }

    /// A call is over, and so are its dialogs.
    pub(super) fn forget(&mut self, call: CallId) {
        let its = self.by_call.remove(&call).unwrap_or_default();
        for dialog in its {
            self.calls.remove(&dialog);
        }
    }
}
