//! The rows of agreements, of payments that are due, and of tries.

use super::{ChargeOrder, brand_of, money_of};
use crate::store::{Store, StoreError, payments};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Date};
use recurring::agreement::moment;
use recurring::{Agreement, Fate, Issued, Reason, State, StoredCredential, Use};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;
use wire::{AttemptId, Brand, CardView, MerchantId, Money, Token};

/// Agreements whose payments are handed out in one transaction.
const HAND_OUT_MAX: i64 = 50;
/// As far back as any network counts.
const HISTORY_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// The most attempts that are counted: more than any network allows.
const HISTORY_MAX: i64 = 1000;

/// Names an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AgreementId(pub Uuid);

/// An agreement to be stored.
#[derive(Clone, Debug)]
pub struct NewAgreement {
    /// Its name.
    pub id: AgreementId,
    /// For whom.
    pub merchant: MerchantId,
    /// The card.
    pub token: Token,
    /// The card, masked.
    pub card: CardView,
    /// The customer's account, as the merchant names it.
    pub account: Option<String>,
    /// Name of the time zone, such as `Europe/London`.
    pub zone: String,
    /// The time of day there at which payments are taken.
    pub time: Time,
    /// Why the card is stored.
    pub reason: Reason,
    /// The network's id of the first payment.
    pub network_id: Option<String>,
    /// What was agreed on.
    pub agreement: Agreement,
}

/// Where a payment that was due stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DueState {
    /// To be taken, now or again later.
    Waiting,
    /// Asked for; the outcome is not known.
    Sent,
    /// Taken.
    Paid,
    /// Given up.
    Failed,
    /// Skipped.
    Skipped,
}

/// A payment that was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    /// Its number.
    pub number: u32,
    /// Its day.
    pub day: Date,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub state: DueState,
    /// How often it was tried.
    pub tries: u32,
}

/// An agreement with what has become of its payments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is to come.
    pub agreement: Agreement,
    /// What has been.
    pub due: Vec<Due>,
}

/// A payment that this scheduler holds for a while.
pub(super) struct Job {
    pub(super) order: ChargeOrder,
    pub(super) brand: Brand,
    agreement: String,
    number: i64,
    fence: i64,
}

/// What becomes of it.
pub(super) enum End {
    Paid,
    /// Another try, under another id.
    Again {
        ready_at: i64,
        outcome: &'static str,
    },
    /// The same try is asked after.
    Ask {
        ready_at: i64,
    },
    Failed {
        cancel: bool,
    },
}

/// The rows.
pub struct Jobs<'a>(&'a Store);

impl<'a> Jobs<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self(store)
    }

    /// Stores an agreement.
    pub async fn add(&self, now_ms: i64, new: &NewAgreement) -> Result<(), StoreError> {
        let next_at = next_at(&new.agreement, new.time, &zone(&new.zone)?);
        sqlx::query(
            "INSERT INTO agreement (id, merchant, token, brand, last4, account, zone, time, reason, network_id, body, next_at, \
             created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(new.id.0.to_string())
        .bind(new.merchant.as_str())
        .bind(new.token.as_str())
        .bind(payments::word(&new.card.brand)?)
        .bind(new.card.last4.to_string())
        .bind(&new.account)
        .bind(&new.zone)
        .bind(new.time.to_string())
        .bind(payments::word(&new.reason)?)
        .bind(&new.network_id)
        .bind(text(&new.agreement)?)
        .bind(next_at)
        .bind(now_ms)
        .bind(now_ms)
        .execute(self.0.writer())
        .await?;
        Ok(())
    }

    /// An agreement and its payments; none: there is no such agreement.
    pub async fn standing(&self, id: AgreementId) -> Result<Option<Standing>, StoreError> {
        let id = id.0.to_string();
        let found: Option<String> = sqlx::query_scalar("SELECT body FROM agreement WHERE id = ?")
            .bind(&id)
            .fetch_optional(self.0.writer())
            .await?;
        let Some(body) = found else { return Ok(None) };
        let rows = sqlx::query(
            "SELECT number, day, minor, currency, state, tries FROM due_payment WHERE agreement = ? ORDER BY number",
        );
        let rows = rows.bind(&id).fetch_all(self.0.writer()).await?;
        let due = rows.iter().map(due_of).collect::<Result<_, _>>()?;
        Ok(Some(Standing { agreement: payments::json(&body, "agreement")?, due }))
    }

    /// Changes an agreement; none: there is no such agreement. A refused change changes nothing.
    pub async fn change<E>(
        &self,
        now_ms: i64,
        id: AgreementId,
        change: impl FnOnce(&mut Agreement) -> Result<(), E>,
    ) -> Result<Option<Result<(), E>>, StoreError> {
        let mut tx = self.0.begin().await?;
        let row = sqlx::query("SELECT id, zone, time, body FROM agreement WHERE id = ?").bind(id.0.to_string());
        let Some(row) = row.fetch_optional(&mut *tx).await? else { return Ok(None) };
        let mut agreement: Agreement = payments::json(row.try_get("body")?, "agreement")?;
        if let Err(refused) = change(&mut agreement) {
            return Ok(Some(Err(refused)));
        }
        put(&mut tx, now_ms, &row, &agreement).await?;
        tx.commit().await?;
        Ok(Some(Ok(())))
    }

    /// Makes rows of the payments that are due, and moves their agreements on, in one transaction. Returns how many.
    pub(super) async fn hand_out(&self, now_ms: i64) -> Result<usize, StoreError> {
        let mut tx = self.0.begin().await?;
        let rows =
            sqlx::query("SELECT id, zone, time, body FROM agreement WHERE next_at <= ? ORDER BY next_at LIMIT ?");
        let rows = rows.bind(now_ms).bind(HAND_OUT_MAX).fetch_all(&mut *tx).await?;
        let mut count = 0;
        for row in &rows {
            let mut agreement: Agreement = payments::json(row.try_get("body")?, "agreement")?;
            for payment in agreement.issue(today(now_ms, row)?) {
                insert_due(&mut tx, now_ms, row.try_get("id")?, &payment).await?;
                count += 1;
            }
            put(&mut tx, now_ms, row, &agreement).await?;
        }
        tx.commit().await?;
        Ok(count)
    }

    /// Takes a payment for a while: one that nobody holds. The id of its try is in the database when this returns.
    pub(super) async fn lease(&self, now_ms: i64, lease_ms: i64) -> Result<Option<Job>, StoreError> {
        let mut tx = self.0.begin().await?;
        let row = sqlx::query(
            "SELECT d.agreement, d.number, d.minor, d.currency, d.state, d.attempt, d.tries, d.fence, a.merchant, a.token, a.brand, \
             a.reason, a.network_id FROM due_payment d JOIN agreement a ON a.id = d.agreement \
             WHERE (d.state = 'sent' OR (d.state = 'waiting' AND json_extract(a.body, '$.state') = 'active')) \
             AND d.ready_at <= ?1 AND d.lease_until <= ?1 ORDER BY d.ready_at LIMIT 1",
        );
        let Some(row) = row.bind(now_ms).fetch_optional(&mut *tx).await? else { return Ok(None) };
        let fresh = AttemptId(Uuid::now_v7());
        let under_way: Option<String> = row.try_get("attempt")?;
        let is_fresh = row.try_get::<&str, _>("state")? == "waiting";
        let attempt = match under_way.filter(|_| !is_fresh) {
            Some(text) => text.parse().map_err(|_| StoreError::Damaged("attempt"))?,
            None => fresh,
        };
        let job = job_of(&row, attempt)?;
        take(&mut tx, &job, now_ms.saturating_add(lease_ms), is_fresh).await?;
        if is_fresh {
            insert_attempt(&mut tx, now_ms, &job, row.try_get::<i64, _>("tries")? + 1).await?;
        }
        tx.commit().await?;
        Ok(Some(job))
    }

    /// Writes how a try ended. Who has lost the lease writes nothing: whoever has it asks for the same attempt.
    pub(super) async fn settle(&self, now_ms: i64, job: &Job, end: End) -> Result<(), StoreError> {
        let (state, ready_at, outcome) = match end {
            End::Paid => ("paid", now_ms, Some("approved")),
            End::Again { ready_at, outcome } => ("waiting", ready_at, Some(outcome)),
            End::Ask { ready_at } => ("sent", ready_at, None),
            End::Failed { .. } => ("failed", now_ms, Some("declined")),
        };
        let mut tx = self.0.begin().await?;
        let done = sqlx::query(
            "UPDATE due_payment SET state = ?, ready_at = ?, lease_until = 0 WHERE agreement = ? AND number = ? AND fence = ? \
             AND state = 'sent'",
        )
        .bind(state)
        .bind(ready_at)
        .bind(&job.agreement)
        .bind(job.number)
        .bind(job.fence)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(());
        }
        let ended = sqlx::query("UPDATE due_attempt SET outcome = ? WHERE id = ?").bind(outcome);
        ended.bind(job.order.attempt.to_string()).execute(&mut *tx).await?;
        if matches!(end, End::Failed { cancel: true }) {
            cancel(&mut tx, now_ms, &job.agreement).await?;
        }
        Ok(tx.commit().await?)
    }

    /// When this card was charged this amount for this merchant, as far back as networks count, and how often this payment
    /// was declined before.
    pub(super) async fn history(&self, now_ms: i64, job: &Job) -> Result<(Vec<Timestamp>, usize), StoreError> {
        let times: Vec<i64> = sqlx::query_scalar(
            "SELECT t.sent_at FROM due_attempt t JOIN due_payment d ON d.agreement = t.agreement AND d.number = t.number \
             JOIN agreement a ON a.id = d.agreement WHERE a.token = ? AND a.merchant = ? AND d.minor = ? AND d.currency = ? \
             AND t.sent_at > ? ORDER BY t.sent_at DESC LIMIT ?",
        )
        .bind(job.order.token.as_str())
        .bind(job.order.merchant.as_str())
        .bind(job.order.amount.minor)
        .bind(job.order.amount.currency.code())
        .bind(now_ms.saturating_sub(HISTORY_MS))
        .bind(HISTORY_MAX)
        .fetch_all(self.0.writer())
        .await?;
        let declines: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM due_attempt WHERE agreement = ? AND number = ? AND outcome = 'declined'",
        )
        .bind(&job.agreement)
        .bind(job.number)
        .fetch_one(self.0.writer())
        .await?;
        let times = times.into_iter().filter_map(|time| Timestamp::from_millisecond(time).ok()).collect();
        Ok((times, usize::try_from(declines).unwrap_or(usize::MAX)))
    }
}

async fn put(
    connection: &mut SqliteConnection,
    now_ms: i64,
    row: &SqliteRow,
    agreement: &Agreement,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE agreement SET body = ?, next_at = ?, updated_at = ? WHERE id = ?")
        .bind(text(agreement)?)
        .bind(next_at(agreement, time_of(row)?, &zone(row.try_get("zone")?)?))
        .bind(now_ms)
        .bind(row.try_get::<&str, _>("id")?)
        .execute(&mut *connection)
        .await?;
    if agreement.state() == State::Canceled {
        // A further try of one that was declined would be a payment that nobody has agreed to any more.
        let waiting = sqlx::query("UPDATE due_payment SET state = 'skipped' WHERE agreement = ? AND state = 'waiting'");
        waiting.bind(row.try_get::<&str, _>("id")?).execute(connection).await?;
    }
    Ok(())
}

async fn insert_due(
    connection: &mut SqliteConnection,
    now_ms: i64,
    id: &str,
    payment: &Issued,
) -> Result<(), StoreError> {
    let state = if payment.fate == Fate::Take { "waiting" } else { "skipped" };
    sqlx::query(
        "INSERT INTO due_payment (agreement, number, day, minor, currency, state, ready_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(payment.number)
    .bind(payment.due.to_string())
    .bind(payment.amount.minor)
    .bind(payment.amount.currency.code())
    .bind(state)
    .bind(now_ms)
    .execute(connection)
    .await?;
    Ok(())
}

async fn take(connection: &mut SqliteConnection, job: &Job, until_ms: i64, is_fresh: bool) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE due_payment SET state = 'sent', attempt = ?, tries = tries + ?, lease_until = ?, fence = ? \
         WHERE agreement = ? AND number = ?",
    )
    .bind(job.order.attempt.to_string())
    .bind(i64::from(is_fresh))
    .bind(until_ms)
    .bind(job.fence)
    .bind(&job.agreement)
    .bind(job.number)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_attempt(
    connection: &mut SqliteConnection,
    now_ms: i64,
    job: &Job,
    r#try: i64,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO due_attempt (id, agreement, number, try, sent_at) VALUES (?, ?, ?, ?, ?)")
        .bind(job.order.attempt.to_string())
        .bind(&job.agreement)
        .bind(job.number)
        .bind(r#try)
        .bind(now_ms)
        .execute(connection)
        .await?;
    Ok(())
}

/// The payer has revoked it at their bank.
async fn cancel(connection: &mut SqliteConnection, now_ms: i64, id: &str) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT id, zone, time, body FROM agreement WHERE id = ?").bind(id);
    let row = row.fetch_one(&mut *connection).await?;
    let mut agreement: Agreement = payments::json(row.try_get("body")?, "agreement")?;
    // An error means that it has ended already.
    let _ = agreement.cancel();
    put(connection, now_ms, &row, &agreement).await
}

fn job_of(row: &SqliteRow, attempt: AttemptId) -> Result<Job, StoreError> {
    let reason = serde_json::Value::String(row.try_get("reason")?);
    let reason: Reason = serde_json::from_value(reason).map_err(|_| StoreError::Damaged("reason"))?;
    let merchant: &str = row.try_get("merchant")?;
    let token: &str = row.try_get("token")?;
    Ok(Job {
        order: ChargeOrder {
            attempt,
            merchant: merchant.parse().map_err(|_| StoreError::Damaged("merchant"))?,
            token: token.parse().map_err(|_| StoreError::Damaged("token"))?,
            amount: money_of(row.try_get("minor")?, row.try_get("currency")?)?,
            credential: StoredCredential {
                reason,
                usage: Use::Subsequent { network_transaction_id: row.try_get("network_id")? },
            },
        },
        brand: brand_of(row.try_get("brand")?)?,
        agreement: row.try_get("agreement")?,
        number: row.try_get("number")?,
        fence: row.try_get::<i64, _>("fence")? + 1,
    })
}

fn due_of(row: &SqliteRow) -> Result<Due, StoreError> {
    let state = match row.try_get("state")? {
        "waiting" => DueState::Waiting,
        "sent" => DueState::Sent,
        "paid" => DueState::Paid,
        "failed" => DueState::Failed,
        "skipped" => DueState::Skipped,
        _ => return Err(StoreError::Damaged("state")),
    };
    let number = |column| -> Result<u32, StoreError> {
        u32::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Damaged("number"))
    };
    let day: &str = row.try_get("day")?;
    Ok(Due {
        number: number("number")?,
        day: day.parse().map_err(|_| StoreError::Damaged("day"))?,
        amount: money_of(row.try_get("minor")?, row.try_get("currency")?)?,
        state,
        tries: number("tries")?,
    })
}

fn text(agreement: &Agreement) -> Result<String, StoreError> {
    serde_json::to_string(agreement).map_err(|_| StoreError::Damaged("agreement"))
}

fn zone(name: &str) -> Result<TimeZone, StoreError> {
    TimeZone::get(name).map_err(|_| StoreError::Damaged("time zone"))
}

fn time_of(row: &SqliteRow) -> Result<Time, StoreError> {
    row.try_get::<&str, _>("time")?.parse().map_err(|_| StoreError::Damaged("time"))
}

/// When the next payment is to be handed out.
fn next_at(agreement: &Agreement, time: Time, zone: &TimeZone) -> Option<i64> {
    let next = agreement.next().filter(|_| agreement.state() == State::Active)?;
    moment(next.due, time, zone).map(Timestamp::as_millisecond)
}

/// The day up to which payments are due: there, and only from the time of day on at which they are taken.
fn today(now_ms: i64, row: &SqliteRow) -> Result<Date, StoreError> {
    let now = Timestamp::from_millisecond(now_ms).map_err(|_| StoreError::Damaged("time"))?;
    let zone = zone(row.try_get("zone")?)?;
    let day = now.to_zoned(zone.clone()).date();
    let is_time = moment(day, time_of(row)?, &zone).is_some_and(|moment| moment <= now);
    if is_time { Ok(day) } else { day.yesterday().map_err(|_| StoreError::Damaged("time")) }
}
