//! Recorders elsewhere that were asked to pause: a row each, from before the first word is sent until they have said that they
//! resume. What is in a row survives this process; what is not was never said.

use super::StoreError;
use crate::recorders::{Answer, Event};
use async_trait::async_trait;
use wire::{CallId, CallNames, Extension, HookTrouble};

/// The most rows that are looked at in one go.
pub(crate) const ROWS_MAX: i64 = 256;

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) call: String,
    pub(crate) recorder: String,
    pub(crate) extension: String,
}

/// What is to be said now.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) key: Key,
    pub(crate) event: Event,
    /// How often it was said.
    pub(crate) tries: i64,
    pub(crate) ended: bool,
    /// A pause may have reached it before.
    pub(crate) was_sent: bool,
}

/// A call whose recorders are to pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) call: CallId,
    pub(crate) extension: &'a Extension,
    pub(crate) names: &'a CallNames,
    pub(crate) round: u32,
}

/// What a time of asking has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Some have not answered yet.
    Waiting,
    Paused,
    NotPaused(HookTrouble),
}

/// For the metrics and those who look after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Rows of recorders that are to pause, or have.
    pub(crate) pausing: i64,
    /// Rows of recorders that have not said that they resume.
    pub(crate) resuming: i64,
    /// Those of them that people were told of, by name of the recorder, with the time of the oldest.
    pub(crate) alarmed: Vec<(String, i64, i64)>,
}

/// Recorders elsewhere.
#[async_trait]
pub(crate) trait Recorders: Send + Sync {
    /// These recorders are to pause. Those that were asked this time already are left as they are.
    async fn recorders_pause(&self, now_ms: i64, asked: Asked<'_>, recorders: &[&str]) -> Result<(), StoreError>;

    /// Calls that have recorders which are to pause, or have.
    async fn recorders_pausing(&self) -> Result<Vec<String>, StoreError>;

    /// The line of a call is open again, or the call over: recorders that a pause may have reached are to resume.
    async fn recorders_resume(&self, now_ms: i64, call: &str, ended: bool) -> Result<(), StoreError>;

    /// Recorders that have not resumed are those of a call that is over. Of those that have, nothing is known any more.
    async fn recorders_ended(&self, call: &str) -> Result<(), StoreError>;

    /// Calls that have had recorders pause which are to resume or have, as far as it is not known that they are over.
    async fn recorders_resuming(&self) -> Result<Vec<String>, StoreError>;

    /// What is to be said by now, at most [`ROWS_MAX`]: the oldest of each recorder's pauses and of its resumes, the pauses first, then the
    /// next oldest of them. A recorder that is dead fills no page, and pauses keep no resume from it. No recorder is to resume while it is to pause for the same extension, call, leg or name of the customer's; one
    /// of `whole` while it is to pause at all.
    async fn recorders_due(&self, now_ms: i64, whole: &[&str]) -> Result<Vec<Due>, StoreError>;

    /// When something more is to be said.
    async fn recorders_next(&self, now_ms: i64) -> Result<Option<i64>, StoreError>;

    /// It is about to be said. False if it is not what is to be said any more, or not now.
    async fn recorder_begins(&self, due: &Due, whole: &[&str]) -> Result<bool, StoreError>;

    /// What came of a pause. It is tried again only when somebody asks for that.
    async fn recorder_paused(&self, now_ms: i64, due: &Due, answer: Answer) -> Result<(), StoreError>;

    /// It has resumed, or there is nothing any more that it could.
    async fn recorder_resumed(&self, now_ms: i64, due: &Due, result: &str) -> Result<(), StoreError>;

    /// It has not resumed: it is told again at that time, and with `alarm` people are told too.
    async fn recorder_not_resumed(
        &self,
        now_ms: i64,
        due: &Due,
        (ready_at, alarm): (i64, bool),
        trouble: HookTrouble,
    ) -> Result<(), StoreError>;

    /// What a time of asking has come to. Without rows there was nobody to ask.
    async fn recorders_stand(&self, asked: Asked<'_>) -> Result<Standing, StoreError>;

    /// How they stand.
    async fn recorder_figures(&self) -> Result<Figures, StoreError>;
}
