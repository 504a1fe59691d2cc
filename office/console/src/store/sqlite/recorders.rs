//! Recorders elsewhere, in SQLite.

use super::{Sqlite, audit};
use crate::{
    recorders::{Answer, Event, Word},
    store::{
        StoreError,
        audit::Entry,
        payments::word,
        recorders::{Asked, Due, Figures, Key, ROWS_MAX, Recorders, Standing},
    },
};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;
use wire::HookTrouble;

/// Of a row: it is no resume, or no row about what may be the same recording wants a pause. An agent's recorder is one, whoever
/// calls; a call is one, whoever has it; and a leg, or the customer's own name, may be in two calls of ours. `?1` are the recorders that
/// are not told which recording is meant, in JSON.
const MAY_BE_SAID: &str = "(wants = 'pause' OR NOT EXISTS (
    SELECT 1 FROM recorder_hook AS other WHERE other.recorder = recorder_hook.recorder AND other.wants = 'pause'
      AND (other.extension = recorder_hook.extension OR other.call = recorder_hook.call
        OR other.names ->> 'customer' = recorder_hook.names ->> 'customer'
        OR other.names ->> 'caller_leg' = recorder_hook.names ->> 'caller_leg'
        OR other.names ->> 'agent_leg' = recorder_hook.names ->> 'agent_leg'
        OR other.recorder IN (SELECT value FROM json_each(?1)))))";

/// The next place in the order of what one recorder is told of one call, whatever the clock says: `?1` is the call, `?2` the recorder,
/// `?3` the time.
const NEXT: &str = "max(?3, 1 + coalesce(
    (SELECT max(sequence) FROM recorder_hook AS own WHERE own.call = ?1 AND own.recorder = ?2), 0))";

fn json(names: &[&str]) -> Result<String, StoreError> {
    serde_json::to_string(names).map_err(|_| StoreError::Damaged("names of recorders"))
}

fn due(row: &SqliteRow) -> Result<Due, StoreError> {
    let text = |name: &str| row.try_get::<String, _>(name);
    let key = Key { call: text("call")?, recorder: text("recorder")?, extension: text("extension")? };
    let names = serde_json::from_str(&text("names")?).map_err(|_| StoreError::Damaged("names of a call"))?;
    let event = Event {
        word: if text("wants")? == "pause" { Word::Pause } else { Word::Resume },
        id: text("event")?,
        sequence: row.try_get("sequence")?,
        at_ms: row.try_get("since")?,
        call: key.call.clone(),
        extension: key.extension.clone(),
        names,
    };
    let (tries, ended, was_sent) = (row.try_get("tries")?, row.try_get("ended")?, row.try_get("sent")?);
    Ok(Due { key, event, tries, ended, was_sent })
}

#[async_trait]
impl Recorders for Sqlite {
    async fn recorders_pause(&self, now_ms: i64, asked: Asked<'_>, recorders: &[&str]) -> Result<(), StoreError> {
        let names = serde_json::to_string(asked.names).map_err(|_| StoreError::Damaged("names of a call"))?;
        let mut tx = self.begin().await?;
        for recorder in recorders {
            sqlx::query(AssertSqlSafe(format!(
                "INSERT INTO recorder_hook
                   (call, recorder, since, ready_at, extension, names, round, wants, state, event, sequence)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, 'pause', 'due', ?7, {NEXT})
                 ON CONFLICT (call, recorder, extension) DO UPDATE SET
                   names = excluded.names, round = excluded.round, wants = 'pause', state = 'due', event = excluded.event,
                   sequence = excluded.sequence, since = excluded.since, tries = 0,
                   ready_at = excluded.ready_at, trouble = NULL, ended = 0, alarmed = 0
                 WHERE wants <> 'pause' OR round <> excluded.round",
            )))
            .bind(asked.call.to_string())
            .bind(*recorder)
            .bind(now_ms)
            .bind(asked.extension.as_str())
            .bind(&names)
            .bind(i64::from(asked.round))
            .bind(Uuid::now_v7().to_string())
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    async fn recorders_pausing(&self) -> Result<Vec<String>, StoreError> {
        let calls = sqlx::query_scalar("SELECT DISTINCT call FROM recorder_hook WHERE wants = 'pause'");
        Ok(calls.fetch_all(&self.reader).await?)
    }

    async fn recorders_resume(&self, now_ms: i64, call: &str, ended: bool) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        // Nothing has reached these: there is nothing to say.
        let unsent = "UPDATE recorder_hook SET wants = 'resume', state = 'done', ended = ?
                      WHERE call = ? AND wants = 'pause' AND sent = 0";
        sqlx::query(unsent).bind(ended).bind(call).execute(&mut *tx).await?;
        forget(&mut tx, call).await?;
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT recorder, extension FROM recorder_hook WHERE call = ? AND wants = 'pause'")
                .bind(call)
                .fetch_all(&mut *tx)
                .await?;
        for (recorder, extension) in rows {
            sqlx::query(AssertSqlSafe(format!(
                "UPDATE recorder_hook SET wants = 'resume', state = 'due', event = ?4, sequence = {NEXT},
                   since = ?3, tries = 0, ready_at = ?3, trouble = NULL, ended = ?5, alarmed = 0
                 WHERE call = ?1 AND recorder = ?2 AND extension = ?6",
            )))
            .bind(call)
            .bind(recorder)
            .bind(now_ms)
            .bind(Uuid::now_v7().to_string())
            .bind(ended)
            .bind(extension)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    async fn recorders_ended(&self, call: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE recorder_hook SET ended = 1 WHERE call = ? AND wants = 'resume'")
            .bind(call)
            .execute(&mut *tx)
            .await?;
        forget(&mut tx, call).await?;
        Ok(tx.commit().await?)
    }

    async fn recorders_resuming(&self) -> Result<Vec<String>, StoreError> {
        let calls = "SELECT DISTINCT call FROM recorder_hook WHERE wants = 'resume' AND ended = 0";
        Ok(sqlx::query_scalar(calls).fetch_all(&self.reader).await?)
    }

    async fn recorders_due(&self, now_ms: i64, whole: &[&str]) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT call, recorder, extension, names, wants, event, sequence, since, tries, sent, ended
             FROM recorder_hook WHERE state = 'due' AND ready_at <= ?2 AND {MAY_BE_SAID}
             ORDER BY row_number() OVER (PARTITION BY recorder, wants ORDER BY ready_at), wants <> 'pause', ready_at LIMIT ?3",
        )))
        .bind(json(whole)?)
        .bind(now_ms)
        .bind(ROWS_MAX)
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(due).collect()
    }

    async fn recorders_next(&self, now_ms: i64) -> Result<Option<i64>, StoreError> {
        let next = sqlx::query_scalar("SELECT min(ready_at) FROM recorder_hook WHERE state = 'due' AND ready_at > ?");
        Ok(next.bind(now_ms).fetch_one(&self.reader).await?)
    }

    async fn recorder_begins(&self, due: &Due, whole: &[&str]) -> Result<bool, StoreError> {
        let began = sqlx::query(AssertSqlSafe(format!(
            "UPDATE recorder_hook SET tries = tries + 1, sent = 1
             WHERE call = ?2 AND recorder = ?3 AND extension = ?4 AND event = ?5 AND {MAY_BE_SAID}",
        )))
        .bind(json(whole)?)
        .bind(&due.key.call)
        .bind(&due.key.recorder)
        .bind(&due.key.extension)
        .bind(&due.event.id)
        .execute(&self.writer)
        .await?;
        Ok(began.rows_affected() == 1)
    }

    async fn recorder_paused(&self, now_ms: i64, due: &Due, answer: Answer) -> Result<(), StoreError> {
        let trouble = answer.trouble().as_ref().map(word).transpose()?;
        let state = if trouble.is_none() { "done" } else { "failed" };
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE recorder_hook SET state = ?1, trouble = ?2, sent = ?3
             WHERE call = ?4 AND recorder = ?5 AND extension = ?6 AND event = ?7",
        )
        .bind(state)
        .bind(&trouble)
        .bind(due.was_sent || answer.may_be_done())
        .bind(&due.key.call)
        .bind(&due.key.recorder)
        .bind(&due.key.extension)
        .bind(&due.event.id)
        .execute(&mut *tx)
        .await?;
        let what = if trouble.is_none() { "recorder_paused" } else { "recorder_not_paused" };
        note(&mut tx, now_ms, what, due, trouble.as_deref().unwrap_or("done")).await?;
        Ok(tx.commit().await?)
    }

    async fn recorder_resumed(&self, now_ms: i64, due: &Due, result: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        // The row stays as long as the call: its place in the order does.
        sqlx::query(
            "UPDATE recorder_hook SET state = 'done', sent = 0, trouble = NULL, alarmed = 0
             WHERE call = ? AND recorder = ? AND extension = ? AND event = ?",
        )
        .bind(&due.key.call)
        .bind(&due.key.recorder)
        .bind(&due.key.extension)
        .bind(&due.event.id)
        .execute(&mut *tx)
        .await?;
        forget(&mut tx, &due.key.call).await?;
        note(&mut tx, now_ms, "recorder_resumed", due, result).await?;
        Ok(tx.commit().await?)
    }

    async fn recorder_not_resumed(
        &self,
        now_ms: i64,
        due: &Due,
        (ready_at, alarm): (i64, bool),
        trouble: HookTrouble,
    ) -> Result<(), StoreError> {
        let trouble = word(&trouble)?;
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE recorder_hook SET ready_at = ?1, trouble = ?2, alarmed = max(alarmed, ?3)
             WHERE call = ?4 AND recorder = ?5 AND extension = ?6 AND event = ?7",
        )
        .bind(ready_at)
        .bind(&trouble)
        .bind(alarm)
        .bind(&due.key.call)
        .bind(&due.key.recorder)
        .bind(&due.key.extension)
        .bind(&due.event.id)
        .execute(&mut *tx)
        .await?;
        if alarm {
            note(&mut tx, now_ms, "recorder_not_resumed", due, &trouble).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn recorders_stand(&self, asked: Asked<'_>) -> Result<Standing, StoreError> {
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT state, trouble FROM recorder_hook
             WHERE call = ? AND extension = ? AND round = ? AND wants = 'pause' ORDER BY recorder",
        )
        .bind(asked.call.to_string())
        .bind(asked.extension.as_str())
        .bind(i64::from(asked.round))
        .fetch_all(&self.reader)
        .await?;
        if rows.is_empty() {
            return Ok(Standing::NotPaused(HookTrouble::NoRecorder));
        }
        if rows.iter().any(|(state, _)| state == "due") {
            return Ok(Standing::Waiting);
        }
        let Some((_, trouble)) = rows.into_iter().find(|(state, _)| state == "failed") else {
            return Ok(Standing::Paused);
        };
        let trouble = trouble.and_then(|word| serde_json::from_value(serde_json::Value::String(word)).ok());
        Ok(Standing::NotPaused(trouble.unwrap_or(HookTrouble::Misconfigured)))
    }

    async fn recorder_figures(&self) -> Result<Figures, StoreError> {
        let pausing = "SELECT count(*) FROM recorder_hook WHERE wants = 'pause'";
        let pausing = sqlx::query_scalar(pausing).fetch_one(&self.reader).await?;
        let resuming = "SELECT count(*) FROM recorder_hook WHERE wants = 'resume' AND state = 'due'";
        let resuming = sqlx::query_scalar(resuming).fetch_one(&self.reader).await?;
        let alarmed = sqlx::query_as(
            "SELECT recorder, count(*), min(since) FROM recorder_hook WHERE alarmed = 1 GROUP BY recorder ORDER BY recorder",
        );
        Ok(Figures { pausing, resuming, alarmed: alarmed.fetch_all(&self.reader).await? })
    }
}

/// Of a call that is over nothing is kept of what has resumed.
async fn forget(tx: &mut SqliteConnection, call: &str) -> Result<(), StoreError> {
    let over = "DELETE FROM recorder_hook WHERE call = ? AND wants = 'resume' AND state = 'done' AND ended = 1";
    sqlx::query(over).bind(call).execute(tx).await?;
    Ok(())
}

async fn note(tx: &mut SqliteConnection, at_ms: i64, what: &str, due: &Due, result: &str) -> Result<(), StoreError> {
    let entry = Entry {
        result: format!("{}: {result}", due.key.recorder),
        extension: Some(&due.key.extension),
        ..Entry::system(at_ms, what, "", &due.key.call)
    };
    audit::insert(tx, &entry).await
}
