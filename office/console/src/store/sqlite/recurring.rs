//! Agreements in SQLite: what is shown of them. What schedulers do is beside it, one file a meaning.

pub(super) mod adopt;
mod agreements;
mod changes;
mod due;
mod jobs;
mod links;
pub(super) mod offers;
mod outbox;
#[cfg(test)]
mod tests;
mod tries;

use super::{Sqlite, audit};
use crate::{
    clock::Sample,
    recurring::{
        AgreementId, Due,
        figures::{Figures, OVERDUE_MS},
        late::MissedRow,
        links::Made,
        list::{AgreementRow, FirstTaken, MessageRow, PAST_MAX, TakenBack, Wanted},
        money_of,
        watch::{Doubt, Watch},
    },
    store::{
        StoreError,
        audit::Entry,
        recurring::{Jobs, Recurring},
    },
};
use agreements::agreement_of;
use async_trait::async_trait;
use due::due_of;
use outbox::message_of;
use sqlx::{Row, sqlite::SqliteRow};
use std::collections::BTreeMap;
use wire::PaymentId;

#[async_trait]
impl Recurring for Sqlite {
    fn jobs(&self) -> &dyn Jobs {
        self
    }

    async fn agreement(&self, id: AgreementId) -> Result<Option<AgreementRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM agreement WHERE id = ?").bind(id.0.to_string());
        row.fetch_optional(&self.reader).await?.map(|row| agreement_of(&row)).transpose()
    }

    async fn agreements(&self, wanted: &Wanted<'_>) -> Result<Vec<AgreementRow>, StoreError> {
        let before = wanted.before.map(|id| id.0.to_string());
        let rows = sqlx::query(
            "SELECT * FROM agreement WHERE (?1 IS NULL OR extension = ?1) AND (?2 IS NULL OR account = ?2) \
             AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
        );
        let rows = rows.bind(wanted.extension).bind(wanted.account).bind(before).bind(wanted.limit);
        rows.fetch_all(&self.writer).await?.iter().map(agreement_of).collect()
    }

    async fn first_taken(&self, payment: PaymentId) -> Result<Option<FirstTaken>, StoreError> {
        let taken =
            sqlx::query("SELECT created_at, captured, refunded, currency FROM payment WHERE id = ? AND captured > 0");
        let Some(row) = taken.bind(payment.to_string()).fetch_optional(&self.reader).await? else { return Ok(None) };
        let money = |column| money_of(row.try_get(column)?, row.try_get("currency")?);
        let (amount, given_back) = (money("captured")?, money("refunded")?);
        Ok(Some(FirstTaken { at_ms: row.try_get("created_at")?, amount, given_back }))
    }

    async fn taken_back(&self, id: AgreementId) -> Result<BTreeMap<u32, TakenBack>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM (SELECT d.number, d.currency, CASE WHEN p.state = 'voided' THEN d.minor ELSE p.refunded END AS back, \
                    EXISTS (SELECT 1 FROM money_alarm WHERE payment = p.id AND alarm = 'disputed') AS disputed \
                    FROM due_payment d JOIN payment p ON p.id = d.payment WHERE d.agreement = ? AND d.state = 'paid') \
             WHERE back > 0 OR disputed",
        );
        let rows = rows.bind(id.0.to_string()).fetch_all(&self.reader).await?;
        let taken_back = |row: &SqliteRow| {
            let number = u32::try_from(row.try_get::<i64, _>("number")?).map_err(|_| StoreError::Damaged("number"))?;
            let given_back = money_of(row.try_get("back")?, row.try_get("currency")?)?;
            Ok((number, TakenBack { given_back, is_disputed: row.try_get("disputed")? }))
        };
        rows.iter().map(taken_back).collect()
    }

    async fn due_payments(&self, id: AgreementId) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, day, minor, currency, state, tries, payment, ready_at, due_at, trouble FROM \
             (SELECT * FROM due_payment WHERE agreement = ? ORDER BY number DESC LIMIT ?) ORDER BY number",
        );
        let rows = rows.bind(id.0.to_string()).bind(PAST_MAX).fetch_all(&self.reader).await?;
        rows.iter().map(due_of).collect()
    }

    async fn messages(&self, after: i64, limit: i64) -> Result<Vec<MessageRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM message WHERE taken_at IS NULL AND id > ? ORDER BY id LIMIT ?");
        rows.bind(after).bind(limit).fetch_all(&self.writer).await?.iter().map(message_of).collect()
    }

    async fn messages_of(&self, id: AgreementId) -> Result<Vec<MessageRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM (SELECT * FROM message WHERE agreement = ? ORDER BY id DESC LIMIT ?) ORDER BY id",
        );
        let rows = rows.bind(id.0.to_string()).bind(PAST_MAX);
        rows.fetch_all(&self.writer).await?.iter().map(message_of).collect()
    }

    async fn message_taken(&self, now_ms: i64, id: i64) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE message SET taken_at = coalesce(taken_at, ?) WHERE id = ?");
        let done = done.bind(now_ms).bind(id).execute(&self.writer).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn recurring_figures(&self, now_ms: i64, lease_ms: i64) -> Result<Figures, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM agreement WHERE json_extract(body, '$.state') = 'active' AND next_at IS NOT NULL) AS active, \
             (SELECT count(*) FROM message WHERE taken_at IS NULL) AS messages, \
             (SELECT count(*) FROM due_payment WHERE state = 'failed' AND trouble IN ('late', 'not_done')) AS missed, \
             coalesce(sum(d.ready_at <= ?1), 0) AS due, coalesce(sum(d.due_at <= ?2), 0) AS overdue, \
             coalesce(sum(d.state = 'sent' AND d.trouble = 'unknown'), 0) AS unknown, \
             coalesce(sum(d.lease_until > ?1), 0) AS leases, \
             coalesce(max(CASE WHEN d.lease_until > ?1 THEN ?1 - (d.lease_until - ?3) END), 0) AS lease_age \
             FROM due_payment d JOIN agreement a ON a.id = d.agreement \
             WHERE d.state IN ('waiting', 'sent') \
             AND (d.state = 'sent' OR json_extract(a.body, '$.state') = 'active')",
        );
        let row = row.bind(now_ms).bind(now_ms - OVERDUE_MS).bind(lease_ms).fetch_one(&self.writer).await?;
        Ok(Figures {
            active: row.try_get("active")?,
            due: row.try_get("due")?,
            overdue: row.try_get("overdue")?,
            missed: row.try_get("missed")?,
            unknown: row.try_get("unknown")?,
            leases: row.try_get("leases")?,
            lease_age_ms: row.try_get("lease_age")?,
            messages: row.try_get("messages")?,
        })
    }

    async fn clock_watch(&self) -> Result<Watch, StoreError> {
        let found = sqlx::query("SELECT wall_ms, up_ms, boot, held_ms, held FROM clock_seen WHERE id = 1");
        let Some(row) = found.fetch_optional(&self.writer).await? else { return Ok(Watch::default()) };
        let wall_ms = row.try_get("wall_ms")?;
        let last = Sample { wall_ms, up_ms: row.try_get("up_ms")?, boot: row.try_get("boot")? };
        let why = row.try_get::<Option<&str>, _>("held")?.map(Doubt::parse).transpose()?;
        let held = row.try_get::<Option<i64>, _>("held_ms")?.zip(why);
        Ok(Watch { last: Some(last), held, saved_ms: wall_ms })
    }

    async fn save_clock(&self, watch: &Watch, entry: Option<&Entry<'_>>) -> Result<(), StoreError> {
        let Some(last) = &watch.last else { return Ok(()) };
        // Whoever has looked before the card side told of a restore writes nothing over it.
        let goes_on = watch.held.is_none() && entry.is_some();
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO clock_seen (id, wall_ms, up_ms, boot, held_ms, held) VALUES (1, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO \
             UPDATE SET wall_ms = excluded.wall_ms, up_ms = excluded.up_ms, boot = excluded.boot, \
             held_ms = CASE WHEN held IS 'restored' AND NOT ?6 THEN held_ms ELSE excluded.held_ms END, \
             held = CASE WHEN held IS 'restored' AND NOT ?6 THEN held ELSE excluded.held END",
        )
        .bind(last.wall_ms)
        .bind(last.up_ms)
        .bind(&last.boot)
        .bind(watch.held.map(|(since, _)| since))
        .bind(watch.held.map(|(_, why)| why.as_str()))
        .bind(goes_on)
        .execute(&mut *tx)
        .await?;
        if let Some(entry) = entry {
            audit::insert(&mut tx, entry).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn missed(&self, extension: Option<&str>, limit: i64) -> Result<Vec<MissedRow>, StoreError> {
        due::missed(self, extension, limit).await
    }

    async fn set_links(&self, public_url: Option<&str>, days: u16) -> Result<(), StoreError> {
        links::set(self, public_url, days).await
    }

    async fn make_link(&self, now_ms: i64, id: AgreementId) -> Result<Option<Made>, StoreError> {
        links::make_for(self, now_ms, id).await
    }

    async fn linked(&self, now_ms: i64, text: &str) -> Result<Option<AgreementId>, StoreError> {
        links::shown(self, now_ms, text).await
    }
}
