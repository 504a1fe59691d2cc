//! The cde's records: each is stored once, with its effects and its number, in one transaction with those beside it.

mod money;

use super::{
    Store, StoreError, audit,
    payments::{self, NewPayment, json, word},
};
use money::{Attempted, Standing, standing};
use sqlx::{Connection, SqliteConnection};
use std::collections::BTreeSet;
use wire::{
    AttemptId, AttemptKind, AuditAction, AuditEvent, CallFigures, CallId, CaptureTime, CardView, Extension, JournalId,
    LegFigures, MerchantId, Money, MoneyAlarm, Origin, Outcome, PaymentId, PaymentState, Record, RecordBody,
};

/// The most records that are stored in one transaction.
pub(crate) const GROUP_MAX: usize = 256;

/// What storing a group of records has done.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// The newest record of the group that is stored, now or before.
    pub(crate) newest: Option<u64>,
    /// How many of them were not stored before.
    pub(crate) fresh: u64,
    /// The payments that those say something of.
    pub(crate) payments: BTreeSet<PaymentId>,
    /// Why the record after `newest`, and what follows it, was not stored.
    pub(crate) trouble: Option<StoreError>,
}

impl Store {
    /// The journal last seen and the newest of its records that is stored.
    pub(crate) async fn door(&self) -> Result<Option<(JournalId, u64)>, StoreError> {
        let mut connection = self.writer.acquire().await?;
        door(&mut connection).await
    }

    /// The cde's journal is this one. A new journal begins at nothing.
    pub(crate) async fn journal(&self, journal: JournalId) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO door (one, journal, number) VALUES (1, ?, 0)
             ON CONFLICT (one) DO UPDATE SET journal = excluded.journal, number = 0 WHERE journal != excluded.journal",
        )
        .bind(journal.to_string())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Stores records of the journal that [`Store::journal`] named, in one transaction, up to the first that cannot be.
    /// An office that has stored nothing of it takes whatever comes first: an older office may have acknowledged what
    /// was before.
    pub(crate) async fn records(&self, records: &[Record]) -> Result<Stored, StoreError> {
        let mut tx = self.begin().await?;
        let (_, mut newest) = door(&mut tx).await?.ok_or(StoreError::Damaged("door"))?;
        let mut stored = Stored::default();
        for record in records {
            match step(&mut tx, newest, record).await {
                Ok(Step::Before) => {}
                Ok(Step::Now(payment)) => {
                    newest = record.number;
                    stored.fresh += 1;
                    stored.payments.extend(payment);
                }
                Err(error) => {
                    stored.trouble = Some(error);
                    break;
                }
            }
            stored.newest = Some(record.number);
        }
        if stored.fresh > 0 {
            let number = i64::try_from(newest).map_err(|_| StoreError::Damaged("record number"))?;
            sqlx::query("UPDATE door SET number = ?").bind(number).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(stored)
    }
}

enum Step {
    /// It was stored before.
    Before,
    /// It is stored now, and says something of this payment.
    Now(Option<PaymentId>),
}

/// Stores the next record of a group, or nothing of it.
async fn step(tx: &mut SqliteConnection, newest: u64, record: &Record) -> Result<Step, StoreError> {
    if record.number <= newest {
        return Ok(Step::Before);
    }
    if newest > 0 && record.number != newest + 1 {
        return Err(StoreError::Gap { stored: newest, got: record.number });
    }
    let mut savepoint = tx.begin().await?;
    let payment = effects(&mut savepoint, record).await?;
    savepoint.commit().await?;
    Ok(Step::Now(payment))
}

async fn effects(tx: &mut SqliteConnection, record: &Record) -> Result<Option<PaymentId>, StoreError> {
    let at = record.at_unix_ms;
    match &record.body {
        RecordBody::AttemptSent { attempt, kind, payment, call, extension, origin, merchant, amount, card } => {
            let (attempt, kind, payment, call, amount) = (*attempt, *kind, *payment, *call, *amount);
            Sent { attempt, kind, payment, call, extension, origin, merchant, amount, card }.store(tx, at).await
        }
        RecordBody::AttemptEnded { attempt, payment, outcome } => {
            attempt_ended(tx, at, *attempt, *payment, outcome).await
        }
        RecordBody::Audit(event) => audited(tx, at, event).await,
    }
}

async fn door(connection: &mut SqliteConnection) -> Result<Option<(JournalId, u64)>, StoreError> {
    let found: Option<(String, i64)> =
        sqlx::query_as("SELECT journal, number FROM door").fetch_optional(connection).await?;
    let Some((journal, number)) = found else { return Ok(None) };
    let journal = journal.parse().map_err(|_| StoreError::Damaged("journal id"))?;
    Ok(Some((journal, u64::try_from(number).map_err(|_| StoreError::Damaged("record number"))?)))
}

struct Sent<'a> {
    attempt: AttemptId,
    kind: AttemptKind,
    payment: PaymentId,
    call: CallId,
    extension: &'a Extension,
    origin: &'a Origin,
    merchant: &'a MerchantId,
    amount: Money,
    card: &'a Option<CardView>,
}

impl Sent<'_> {
    /// A payment that is not stored here (an older office took it) is stored now: its outcome must not be lost.
    async fn store(&self, tx: &mut SqliteConnection, at: i64) -> Result<Option<PaymentId>, StoreError> {
        sqlx::query(
            "INSERT OR IGNORE INTO payment
             (id, call, extension, merchant, minor, currency, state, created_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?)",
        )
        .bind(self.payment.to_string())
        .bind(self.call.to_string())
        .bind(self.extension.as_str())
        .bind(self.merchant.as_str())
        .bind(self.amount.minor)
        .bind(self.amount.currency.code())
        .bind(at)
        .bind(at)
        .execute(&mut *tx)
        .await?;
        self.store_attempt(tx, at).await?;
        let who = who(tx, self.origin).await?;
        let result = if self.takes_money() { "sent" } else { self.kind.as_str() };
        let audit = Row { at, who, what: "attempt_sent", result: result.to_owned() };
        audit.store(tx, self.attempt.to_string(), Some(self.payment), Some(self.extension)).await?;
        settle(tx, at, self.payment).await
    }

    async fn store_attempt(&self, tx: &mut SqliteConnection, at: i64) -> Result<(), StoreError> {
        let card = self.card.as_ref().map(serde_json::to_string).transpose();
        let card = card.map_err(|_| StoreError::Damaged("card"))?;
        attempt_insert(tx, at, self.attempt, self.payment, card).await?;
        sqlx::query("UPDATE attempt SET kind = ?, minor = ? WHERE id = ?")
            .bind(self.kind.as_str())
            .bind(self.amount.minor)
            .bind(self.attempt.to_string())
            .execute(tx)
            .await?;
        Ok(())
    }

    fn takes_money(&self) -> bool {
        matches!(self.kind, AttemptKind::Authorize | AttemptKind::ChargeStored)
    }
}

async fn attempt_insert(
    tx: &mut SqliteConnection,
    at: i64,
    attempt: AttemptId,
    payment: PaymentId,
    card: Option<String>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR IGNORE INTO attempt (id, payment, number, card, sent_at)
         VALUES (?, ?, 1 + (SELECT count(*) FROM attempt WHERE payment = ?), ?, ?)",
    )
    .bind(attempt.to_string())
    .bind(payment.to_string())
    .bind(payment.to_string())
    .bind(card)
    .bind(at)
    .execute(tx)
    .await?;
    Ok(())
}

/// Only an unknown outcome is ever replaced.
async fn attempt_ended(
    tx: &mut SqliteConnection,
    at: i64,
    attempt: AttemptId,
    payment: PaymentId,
    outcome: &Outcome,
) -> Result<Option<PaymentId>, StoreError> {
    attempt_insert(tx, at, attempt, payment, None).await?;
    let text = serde_json::to_string(outcome).map_err(|_| StoreError::Damaged("outcome"))?;
    sqlx::query(
        "UPDATE attempt SET outcome = ?, ended_at = ?
         WHERE id = ? AND (outcome IS NULL OR json_extract(outcome, '$.outcome') = 'unknown')",
    )
    .bind(text)
    .bind(at)
    .bind(attempt.to_string())
    .execute(&mut *tx)
    .await?;
    let result = match outcome {
        Outcome::Approved { .. } => "approved",
        Outcome::Declined { .. } => "declined",
        Outcome::Rejected => "rejected",
        Outcome::Unknown => "unknown",
        Outcome::Abandoned => "abandoned",
    };
    let audit = Row { at, who: "system".to_owned(), what: "attempt_ended", result: result.to_owned() };
    audit.store(tx, attempt.to_string(), Some(payment), None).await?;
    settle(tx, at, payment).await
}

/// Sets where a payment's money stands by all of its attempts. It waits for people while the end of any is not known: what
/// followed an approval does not change the state, and who settles one of two has settled one. Nobody needs to look any more
/// at an approval whose money is back.
async fn settle(tx: &mut SqliteConnection, at: i64, payment: PaymentId) -> Result<Option<PaymentId>, StoreError> {
    let id = payment.to_string();
    let stored: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT kind, outcome FROM attempt WHERE payment = ? ORDER BY number")
            .bind(&id)
            .fetch_all(&mut *tx)
            .await?;
    let mut attempts = Vec::with_capacity(stored.len());
    for (kind, outcome) in stored {
        let kind = AttemptKind::from_name(&kind).ok_or(StoreError::Damaged("attempt kind"))?;
        attempts.push(Attempted { kind, outcome: outcome.map(|text| json(&text, "outcome")).transpose()? });
    }
    let later: Option<bool> = sqlx::query_scalar("SELECT capture = 'later' FROM payment WHERE id = ?")
        .bind(&id)
        .fetch_optional(&mut *tx)
        .await?;
    let is_final = |attempt: &Attempted| attempt.outcome.as_ref().is_some_and(Outcome::is_known);
    let is_open = !attempts.iter().all(is_final);
    let Standing { state, approved, captured, refunded } = standing(&attempts, later.unwrap_or(false));
    sqlx::query(
        "UPDATE payment SET state = ?, approved = ?, captured = ?, refunded = ?, updated_at = max(updated_at, ?),
                needs_people = needs_people AND ?,
                review = iif(review = 'wanted' AND ?, 'rejected', review) WHERE id = ?",
    )
    .bind(word(&state)?)
    .bind(approved)
    .bind(captured)
    .bind(refunded)
    .bind(at)
    .bind(is_open)
    .bind(matches!(state, PaymentState::Voided | PaymentState::Refunded))
    .bind(id)
    .execute(tx)
    .await?;
    Ok(Some(payment))
}

/// A row of the cde's audit trail, and what it says of a payment.
async fn audited(tx: &mut SqliteConnection, at: i64, event: &AuditEvent) -> Result<Option<PaymentId>, StoreError> {
    let (what, result, payment) = match &event.action {
        AuditAction::CallStarted => ("call_started", "ok".to_owned(), None),
        AuditAction::CallAnswered => ("call_answered", "ok".to_owned(), None),
        AuditAction::CallEnded { end } => ("call_ended", word(end)?, None),
        AuditAction::Line { line } => ("line", word(line)?, None),
        AuditAction::Alarm { kind } => ("alarm", word(kind)?, None),
        AuditAction::PaymentStarted { payment, amount } => {
            started(tx, at, event, *payment, *amount).await?;
            ("payment_started", "ok".to_owned(), Some(*payment))
        }
        AuditAction::PaymentCancelled { payment } => {
            cancelled(tx, at, *payment).await?;
            ("payment_cancelled", "ok".to_owned(), Some(*payment))
        }
        AuditAction::CodeWiped { payment, lived_us } => ("code_wiped", format!("lived {lived_us} us"), Some(*payment)),
        AuditAction::Witnessed { frames, suspicious, worst_permille } => {
            let worst = f64::from(*worst_permille) / 1000.0;
            ("witnessed", format!("{frames} frames, {suspicious} suspicious, worst ratio {worst:.3}"), None)
        }
        AuditAction::Figures { figures } => ("figures", figures_text(figures), None),
        AuditAction::Money { payment, alarm } => {
            alarmed(tx, *payment, *alarm).await?;
            ("money_alarm", word(alarm)?, Some(*payment))
        }
        AuditAction::Recording { recording } => ("recording", word(recording)?, None),
        AuditAction::TransferAwaited => ("transfer_awaited", "ok".to_owned(), None),
        AuditAction::Transferred => ("transferred", "ok".to_owned(), None),
        AuditAction::TransferExpired => ("transfer_expired", "ok".to_owned(), None),
        AuditAction::PinAccepted => ("pin_accepted", "ok".to_owned(), None),
        AuditAction::TransferRefused { why } => ("transfer_refused", word(why)?, None),
        AuditAction::Refused { reason } => ("refused", word(reason)?, None),
    };
    let row = Row { at, who: who(tx, &event.origin).await?, what, result };
    row.store(tx, event.call.to_string(), payment, Some(&event.extension)).await?;
    Ok(payment)
}

/// How each leg has fared, in one line.
fn figures_text(figures: &CallFigures) -> String {
    let leg = |name: &str, leg: &LegFigures| {
        let codec = leg.codec.as_deref().unwrap_or("no codec");
        let srtp = leg.srtp.as_deref().unwrap_or("no SRTP");
        let (received, lost, sent) = (leg.received, leg.lost, leg.sent);
        let jitter = leg.jitter_us.map_or_else(String::new, |jitter| format!(", jitter {} us", jitter));
        format!("{name}: {codec}, {srtp}, {received} packets received, {lost} lost{jitter}, {sent} sent")
    };
    format!("{}; {}", leg("caller", &figures.caller), leg("agent", &figures.agent))
}

/// What people must look at stays until they have.
async fn alarmed(tx: &mut SqliteConnection, payment: PaymentId, alarm: MoneyAlarm) -> Result<(), StoreError> {
    let statement = match alarm {
        MoneyAlarm::Review => "UPDATE payment SET review = 'wanted' WHERE id = ? AND review IS NULL",
        MoneyAlarm::NeedsPeople => "UPDATE payment SET needs_people = 1 WHERE id = ?",
        _ => return Ok(()),
    };
    sqlx::query(statement).bind(payment.to_string()).execute(tx).await?;
    Ok(())
}

async fn started(
    tx: &mut SqliteConnection,
    at: i64,
    event: &AuditEvent,
    id: PaymentId,
    amount: Money,
) -> Result<(), StoreError> {
    let merchant: MerchantId = "-".parse().map_err(|_| StoreError::Damaged("merchant"))?;
    let (call, extension) = (event.call, &event.extension);
    let (account, invoice, reference) = (None, None, None);
    let capture = CaptureTime::Now;
    let new = NewPayment {
        id,
        call,
        extension,
        merchant: &merchant,
        amount,
        account,
        invoice,
        reference,
        capture,
        surcharge: 0,
        due: None,
        part_of: None,
        duplicate_of: None,
    };
    payments::insert(tx, at, &new).await
}

/// What the gateway may have done is never hidden by a cancellation.
async fn cancelled(tx: &mut SqliteConnection, at: i64, payment: PaymentId) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE payment SET state = 'cancelled', updated_at = max(updated_at, ?)
         WHERE id = ? AND state IN ('waiting', 'declined', 'not_sent')",
    )
    .bind(at)
    .bind(payment.to_string())
    .execute(tx)
    .await?;
    Ok(())
}

/// A user is named by e-mail, as in the office's own rows.
async fn who(tx: &mut SqliteConnection, origin: &Origin) -> Result<String, StoreError> {
    Ok(match origin {
        Origin::User { id } => {
            let email: Option<String> =
                sqlx::query_scalar("SELECT email FROM user WHERE id = ?").bind(id).fetch_optional(tx).await?;
            email.unwrap_or_else(|| format!("user {id}"))
        }
        Origin::Caller => "caller".to_owned(),
        Origin::AgentPhone => "agent phone".to_owned(),
        Origin::System => "system".to_owned(),
    })
}

/// The part of an audit row that differs between records.
struct Row<'a> {
    at: i64,
    who: String,
    what: &'a str,
    result: String,
}

impl Row<'_> {
    async fn store(
        self,
        tx: &mut SqliteConnection,
        object: String,
        payment: Option<PaymentId>,
        extension: Option<&Extension>,
    ) -> Result<(), StoreError> {
        let Self { at: at_ms, who, what, result } = self;
        let origin = "cde".to_owned();
        let (extension, payment) = (extension.map(Extension::as_str), payment.map(|id| id.to_string()));
        audit::insert(tx, &audit::Entry { at_ms, who, what, result, origin, object, extension, payment }).await
    }
}

#[cfg(test)]
mod tests;
