//! What schedulers ask for, in SQLite. Each word is one transaction, or one look.

#[cfg(test)]
use super::agreements;
use super::{changes, due, outbox, tries};
use crate::{
    recurring::{
        AgreementId,
        jobs::{End, Job},
        waiting::{At, Deed},
    },
    store::{StoreError, audit::Entry, recurring::Jobs, sqlite::Sqlite},
};
#[cfg(test)]
use crate::{
    recurring::{NewAgreement, Standing},
    store::recurring::Change,
};
use async_trait::async_trait;
use jiff::Timestamp;
use recurring::AgreementError;
use wire::{Advice, AttemptId, Outcome};

#[async_trait]
impl Jobs for Sqlite {
    async fn hand_out(&self, now_ms: i64, late_days_max: u16) -> Result<usize, StoreError> {
        due::hand_out(self, now_ms, late_days_max).await
    }

    async fn miss(&self, now_ms: i64) -> Result<usize, StoreError> {
        due::miss(self, now_ms).await
    }

    async fn remind(&self, now_ms: i64) -> Result<usize, StoreError> {
        outbox::remind(self, now_ms).await
    }

    async fn lease(&self, now_ms: i64, lease_ms: i64, may_begin: bool) -> Result<Option<Job>, StoreError> {
        tries::lease(self, now_ms, lease_ms, may_begin).await
    }

    async fn settle(&self, now_ms: i64, job: &Job, end: End) -> Result<(), StoreError> {
        tries::settle(self, now_ms, job, &end).await
    }

    async fn history(&self, now_ms: i64, job: &Job) -> Result<(Vec<Timestamp>, usize), StoreError> {
        tries::history(self, now_ms, job).await
    }

    async fn untold_since(&self, now_ms: i64, attempt: AttemptId) -> Result<Option<i64>, StoreError> {
        tries::untold_since(self, now_ms, attempt).await
    }

    async fn told(&self, attempt: AttemptId) -> Result<Option<(Outcome, Option<Advice>)>, StoreError> {
        tries::told(self, attempt).await
    }

    async fn act(
        &self,
        at: At,
        id: AgreementId,
        deed: &Deed,
        entry: &Entry<'_>,
    ) -> Result<Option<Result<(), AgreementError>>, StoreError> {
        changes::act(self, at, id, deed, entry).await
    }

    #[cfg(test)]
    async fn add(&self, now_ms: i64, new: &NewAgreement) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await?;
        agreements::insert(&mut connection, now_ms, new).await.map(drop)
    }

    #[cfg(test)]
    async fn standing(&self, id: AgreementId) -> Result<Option<Standing>, StoreError> {
        let mut connection = self.writer.acquire().await?;
        let Some(row) = agreements::find(&mut connection, id).await? else { return Ok(None) };
        let due = sqlx::query(
            "SELECT number, day, minor, currency, state, tries, payment, ready_at, due_at, trouble FROM due_payment \
             WHERE agreement = ? ORDER BY number",
        );
        let due = due.bind(id.0.to_string()).fetch_all(&mut *connection).await?;
        let due = due.iter().map(due::due_of).collect::<Result<_, _>>()?;
        Ok(Some(Standing { agreement: row.agreement, due }))
    }

    #[cfg(test)]
    async fn change_by(
        &self,
        now_ms: i64,
        id: AgreementId,
        change: Change<'_>,
    ) -> Result<Option<Result<(), AgreementError>>, StoreError> {
        let mut tx = self.begin().await?;
        let Some(row) = agreements::find(&mut tx, id).await? else { return Ok(None) };
        let mut agreement = row.agreement.clone();
        if let Err(refused) = change(&mut agreement) {
            return Ok(Some(Err(refused)));
        }
        agreements::put(&mut tx, now_ms, &row, &agreement).await?;
        tx.commit().await?;
        Ok(Some(Ok(())))
    }
}
