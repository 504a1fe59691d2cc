//! The cde's records: each is stored once, with its effects and its number, in one transaction with those beside it.

mod kept;
mod told_again;

use super::{
    Sqlite, alarms, audit, deletions, payments,
    recurring::{adopt, offers},
    restores,
};
use crate::store::{
    StoreError,
    audit::Entry,
    journal::{Journal, Stored},
    money::{Attempted, Standing, standing},
    payments::{NewPayment, json, word},
};
use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use wire::{
    AttemptId, AttemptKind, AttemptSent, AuditAction, AuditEvent, CallFigures, CaptureTime, Extension, JournalId,
    Keeping, LegFigures, MerchantId, Money, MoneyAlarm, Origin, Outcome, PaymentId, PaymentState, Record, RecordBody,
    Reference, Restored,
};

#[async_trait]
impl Journal for Sqlite {
    async fn door(&self) -> Result<Option<(JournalId, u64)>, StoreError> {
        let mut connection = self.writer.acquire().await?;
        door(&mut connection).await
    }

    async fn journal(&self, journal: JournalId) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO door (one, journal, number) VALUES (1, ?, 0)
             ON CONFLICT (one) DO UPDATE SET journal = excluded.journal, number = 0 WHERE journal != excluded.journal",
        )
        .bind(journal.to_string())
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn records(&self, records: &[Record]) -> Result<Stored, StoreError> {
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
    if record.number != newest + 1 && !restores::may_pass(tx, newest, record).await? {
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
        RecordBody::AttemptSent(sent) => attempt_sent(tx, at, sent).await,
        RecordBody::AttemptEnded { attempt, payment, outcome } => {
            attempt_ended(tx, at, *attempt, *payment, outcome).await
        }
        RecordBody::Audit(event) => audited(tx, at, event).await,
        RecordBody::AttemptToldAgain(told) => told_again::store(tx, at, told).await,
        RecordBody::OfficeRestored(told) => restored(tx, at, told).await.map(|()| None),
        RecordBody::Advised { attempt, payment, advice } => {
            kept::advised(tx, *attempt, *advice).await?;
            Ok(Some(*payment))
        }
        RecordBody::CardKept { attempt, payment, kept: card } => {
            kept::kept(tx, at, (*attempt, *payment), card).await?;
            offers::card_kept(tx, at, *payment, card).await?;
            card_row(tx, at, ("card_kept", word(&card.keeper)?), *attempt, *payment).await
        }
        RecordBody::CardNotKept { attempt, payment, why } => {
            kept::note(tx, *payment, Keeping::NotKept).await?;
            card_row(tx, at, ("card_not_kept", word(why)?), *attempt, *payment).await
        }
        RecordBody::CardForgetting { token, .. } => {
            let payment = kept::forgetting(tx, at, token).await?;
            // That it is charged no more is ours to say; that it is deleted is its gateway's.
            let (who, what, result) = ("system".to_owned(), "card_forgetting", "gateway_asked".to_owned());
            Row { at, who, what, result }.store(tx, token.to_string(), payment, None).await?;
            Ok(payment)
        }
        RecordBody::CardForgotten { token, by_hand, .. } => {
            let said = deletions::gone(tx, at, token, *by_hand).await?;
            let payment = kept::forgotten(tx, at, token).await?;
            // It is told once more where people have said once more what is so.
            if let Some((who, result)) = said {
                let row = Row { at, who, what: "card_forgotten", result };
                row.store(tx, token.to_string(), payment, None).await?;
            }
            Ok(payment)
        }
    }
}

/// This database has forgotten what it had acknowledged, and has now what is left of it.
async fn restored(tx: &mut SqliteConnection, at: i64, told: &Restored) -> Result<(), StoreError> {
    restores::noted(tx, at, told).await?;
    adopt::all(tx, at).await?;
    let forgotten = told.acknowledged.saturating_sub(told.stored);
    let result = format!("{forgotten} records forgotten, {} gone, {} attempts told again", told.gone, told.told_again);
    let row = Row { at, who: "system".to_owned(), what: "office_restored", result };
    row.store(tx, "records".to_owned(), None, None).await
}

/// The audit trail's row of a card that is kept, or is not.
async fn card_row(
    tx: &mut SqliteConnection,
    at: i64,
    (what, result): (&str, String),
    attempt: AttemptId,
    payment: PaymentId,
) -> Result<Option<PaymentId>, StoreError> {
    let row = Row { at, who: "system".to_owned(), what, result };
    row.store(tx, attempt.to_string(), Some(payment), None).await?;
    Ok(Some(payment))
}

async fn door(connection: &mut SqliteConnection) -> Result<Option<(JournalId, u64)>, StoreError> {
    let found: Option<(String, i64)> =
        sqlx::query_as("SELECT journal, number FROM door").fetch_optional(connection).await?;
    let Some((journal, number)) = found else { return Ok(None) };
    let journal = journal.parse().map_err(|_| StoreError::Damaged("journal id"))?;
    Ok(Some((journal, u64::try_from(number).map_err(|_| StoreError::Damaged("record number"))?)))
}

/// A payment that is not stored here (an older office took it) is stored now: its outcome must not be lost. Until now nobody
/// may have said whose it is, nor that its money is only reserved.
async fn attempt_sent(tx: &mut SqliteConnection, at: i64, sent: &AttemptSent) -> Result<Option<PaymentId>, StoreError> {
    sqlx::query(
        "INSERT INTO payment (id, call, extension, merchant, minor, currency, capture, state, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, coalesce(?7, 'now'), 'waiting', ?8, ?8)
         ON CONFLICT (id) DO UPDATE SET capture = coalesce(?7, payment.capture),
             merchant = CASE WHEN payment.merchant = '-' THEN excluded.merchant ELSE payment.merchant END",
    )
    .bind(sent.payment.to_string())
    .bind(sent.call.to_string())
    .bind(sent.extension.as_str())
    .bind(sent.merchant.as_str())
    .bind(sent.amount.minor)
    .bind(sent.amount.currency.code())
    .bind(sent.capture.map(capture_word))
    .bind(at)
    .execute(&mut *tx)
    .await?;
    attempt_stored(tx, at, sent).await?;
    if sent.kind == AttemptKind::ChargeStored {
        offers::sent(tx, sent.attempt, sent.payment).await?;
    }
    let who = who(tx, &sent.origin).await?;
    let result = if takes_money(sent.kind) { "sent" } else { sent.kind.as_str() };
    let audit = Row { at, who, what: "attempt_sent", result: result.to_owned() };
    audit.store(tx, sent.attempt.to_string(), Some(sent.payment), Some(&sent.extension)).await?;
    settle(tx, at, sent.payment).await
}

async fn attempt_stored(tx: &mut SqliteConnection, at: i64, sent: &AttemptSent) -> Result<(), StoreError> {
    let card = sent.card.as_ref().map(serde_json::to_string).transpose();
    let card = card.map_err(|_| StoreError::Damaged("card"))?;
    attempt_insert(tx, at, sent.attempt, sent.payment, card).await?;
    sqlx::query("UPDATE attempt SET kind = ?, minor = ? WHERE id = ?")
        .bind(sent.kind.as_str())
        .bind(sent.amount.minor)
        .bind(sent.attempt.to_string())
        .execute(tx)
        .await?;
    Ok(())
}

fn takes_money(kind: AttemptKind) -> bool {
    matches!(kind, AttemptKind::Authorize | AttemptKind::ChargeStored)
}

/// As the payment's row says it.
fn capture_word(capture: CaptureTime) -> &'static str {
    match capture {
        CaptureTime::Now => "now",
        CaptureTime::Later => "later",
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
        "INSERT INTO attempt (id, payment, number, card, sent_at)
         VALUES (?, ?, 1 + (SELECT count(*) FROM attempt WHERE payment = ?), ?, ?) ON CONFLICT (id) DO NOTHING",
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
         WHERE id = ? AND (outcome IS NULL OR outcome ->> 'outcome' = 'unknown')",
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
    let review: Option<Option<String>> = sqlx::query_scalar(
        "UPDATE payment SET state = ?, approved = ?, captured = ?, refunded = ?, updated_at = max(updated_at, ?),
                needs_people = needs_people AND ?,
                review = CASE WHEN review = 'wanted' AND ? THEN 'rejected' ELSE review END WHERE id = ? RETURNING review",
    )
    .bind(word(&state)?)
    .bind(approved)
    .bind(captured)
    .bind(refunded)
    .bind(at)
    .bind(is_open)
    .bind(matches!(state, PaymentState::Voided | PaymentState::Refunded))
    .bind(id)
    .fetch_optional(&mut *tx)
    .await?;
    // A refund alone says nothing against an agreement; that somebody has looked at its first payment and not kept it does.
    let is_rejected = review.flatten().as_deref() == Some("rejected");
    if state == PaymentState::Voided || (state == PaymentState::Refunded && is_rejected) {
        offers::voided(tx, at, payment).await?;
    }
    Ok(Some(payment))
}

/// A row of the cde's audit trail, and what it says of a payment.
async fn audited(tx: &mut SqliteConnection, at: i64, event: &AuditEvent) -> Result<Option<PaymentId>, StoreError> {
    let (what, result, payment) = match &event.action {
        AuditAction::CallStarted => ("call_started", "ok".to_owned(), None),
        AuditAction::CallAnswered => {
            follow(tx, at, event).await?;
            ("call_answered", "ok".to_owned(), None)
        }
        AuditAction::CallEnded { end } => ("call_ended", word(end)?, None),
        AuditAction::Line { line } => ("line", word(line)?, None),
        AuditAction::Alarm { kind } => ("alarm", word(kind)?, None),
        AuditAction::PaymentStarted { payment, amount } => {
            started(tx, at, event, (*payment, *amount), None, None).await?;
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
            alarms::raised(tx, at, *payment, *alarm).await?;
            ("money_alarm", word(alarm)?, Some(*payment))
        }
        AuditAction::Recording { recording } => ("recording", word(recording)?, None),
        AuditAction::Recorders { state, trouble, payment } => {
            let why = trouble.as_ref().map(word).transpose()?.map_or_else(String::new, |why| format!(": {why}"));
            ("recorders", word(state)? + &why, *payment)
        }
        AuditAction::TransferAwaited => ("transfer_awaited", "ok".to_owned(), None),
        AuditAction::Transferred => ("transferred", "ok".to_owned(), None),
        AuditAction::ConferenceJoined => ("conference_joined", "the agent can hear the keys".to_owned(), None),
        AuditAction::HeardByAgent { payment } => {
            ("conference_payment", "the agent can hear the keys".to_owned(), Some(*payment))
        }
        AuditAction::TransferExpired => ("transfer_expired", "ok".to_owned(), None),
        AuditAction::PinAccepted => ("pin_accepted", "ok".to_owned(), None),
        AuditAction::Bounced { payment, amount, merchant, reference } => {
            started(tx, at, event, (*payment, *amount), merchant.as_ref(), reference.as_ref()).await?;
            ("bounced", "ok".to_owned(), Some(*payment))
        }
        AuditAction::BouncedBack { payment, result, .. } => ("bounced_back", word(result)?, Some(*payment)),
        AuditAction::BounceEnded { payment, result, .. } => ("bounce_ended", word(result)?, Some(*payment)),
        AuditAction::BounceRefused { why } => ("bounce_refused", word(why)?, None),
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
    (id, amount): (PaymentId, Money),
    merchant: Option<&MerchantId>,
    reference: Option<&Reference>,
) -> Result<(), StoreError> {
    // Whose it is says the attempt, if this does not.
    let merchant = merchant.cloned().map_or_else(|| "-".parse(), Ok).map_err(|_| StoreError::Damaged("merchant"))?;
    let (call, extension) = (event.call, &event.extension);
    let (account, invoice, reference) = (None, None, reference.map(Reference::as_str));
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
        offer: None,
    };
    payments::insert(tx, at, &new).await.map(drop)
}

/// Whoever has the call goes on with what is to be paid on it: another agent, after a transfer. What is paid stays theirs who took it.
async fn follow(tx: &mut SqliteConnection, at: i64, event: &AuditEvent) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE payment SET extension = ?1, updated_at = max(updated_at, ?2)
         WHERE call = ?3 AND extension <> ?1 AND state NOT IN ('approved', 'cancelled', 'voided', 'refunded')",
    )
    .bind(event.extension.as_str())
    .bind(at)
    .bind(event.call.to_string())
    .execute(tx)
    .await?;
    Ok(())
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
        audit::insert(tx, &Entry { at_ms, who, api_key: None, what, result, origin, object, extension, payment }).await
    }
}

#[cfg(test)]
mod tests;
