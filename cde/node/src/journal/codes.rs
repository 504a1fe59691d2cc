//! Orders of bounced calls that were made ahead of them, so that a restart within the life of a code does not lose it, and none is good
//! twice. The codes themselves are not here.

use super::{JournalError, attempts::parsed};
use crate::clock;
use call::{CodeState, KeptOrder, Mark, Marks};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};
use wire::{BouncedOrder, Money, PaymentId};

/// How long it is known after its time why a code is not good.
const KNOWN_MS: i64 = 12 * 60 * 60 * 1000;
/// The newest of them that a switchboard is told: those that wait, and as many that do not.
const TOLD_MAX: i64 = 8192;

/// In one transaction: the order is there, and the one whose place it takes is not good any more.
pub(super) async fn keep(connection: &mut SqliteConnection, kept: &KeptOrder) -> Result<(), JournalError> {
    let old = sqlx::query("DELETE FROM order_code WHERE until_unix_ms < ?");
    old.bind(clock::unix_ms().saturating_sub(KNOWN_MS)).execute(&mut *connection).await?;
    let BouncedOrder { payment, merchant, amount, reference, back, valid_s } = &kept.order;
    let inserted = sqlx::query(
        "INSERT INTO order_code (payment, owner, merchant, amount_minor, currency, reference, back, valid_s, said, dialed, until_unix_ms) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(payment.to_string())
    .bind(kept.owner)
    .bind(merchant.as_str())
    .bind(amount.minor)
    .bind(amount.currency.code())
    .bind(reference.as_str())
    .bind(back.as_ref().map(wire::Extension::as_str))
    .bind(i64::from(*valid_s))
    .bind(kept.marks.code.as_slice())
    .bind(kept.marks.digits.as_slice())
    .bind(kept.until_unix_ms)
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(JournalError::BegunBefore);
    }
    if let Some(before) = kept.replaces {
        let replaced = sqlx::query("UPDATE order_code SET state = 'replaced' WHERE payment = ? AND state = 'waiting'");
        replaced.bind(before.to_string()).execute(connection).await?;
    }
    Ok(())
}

/// The code is used; false when it was not good any more.
pub(super) async fn use_up(connection: &mut SqliteConnection, payment: PaymentId) -> Result<bool, JournalError> {
    let used = sqlx::query("UPDATE order_code SET state = 'used' WHERE payment = ? AND state = 'waiting'");
    Ok(used.bind(payment.to_string()).execute(connection).await?.rows_affected() == 1)
}

/// The journal was put back to an earlier state: one that waits may have been used since.
pub(super) async fn end_all(connection: &mut SqliteConnection) -> Result<(), JournalError> {
    sqlx::query("UPDATE order_code SET state = 'replaced' WHERE state = 'waiting'").execute(connection).await?;
    Ok(())
}

/// Those of which a switchboard must know, in the order in which they end. One that is not readable is left out: calls go on without it.
pub(super) async fn kept(pool: &SqlitePool) -> Result<Vec<(KeptOrder, CodeState)>, JournalError> {
    let mut rows = sqlx::query(
        "SELECT payment, owner, merchant, amount_minor, currency, reference, back, valid_s, said, dialed, until_unix_ms, state \
         FROM order_code WHERE until_unix_ms > ? ORDER BY until_unix_ms DESC LIMIT ?",
    )
    .bind(clock::unix_ms().saturating_sub(KNOWN_MS))
    .bind(TOLD_MAX)
    .fetch_all(pool)
    .await?;
    rows.reverse();
    let told = |error: &JournalError| tracing::error!(%error, "an order that was made ahead is passed over: its code is not good");
    Ok(rows.iter().filter_map(|row| of_row(row).inspect_err(told).ok()).collect())
}

fn of_row(row: &SqliteRow) -> Result<(KeptOrder, CodeState), JournalError> {
    let unreadable = |column: &str| JournalError::Unreadable(column.to_owned());
    let order = BouncedOrder {
        payment: parsed(row, 0)?,
        merchant: parsed(row, 2)?,
        amount: Money { minor: row.get(3), currency: parsed(row, 4)? },
        reference: parsed(row, 5)?,
        back: row.get::<Option<&str>, _>(6).map(str::parse).transpose().map_err(|_| unreadable("back"))?,
        valid_s: u32::try_from(row.get::<i64, _>(7)).map_err(|_| unreadable("valid_s"))?,
    };
    let mark = |at: usize| Mark::try_from(row.get::<&[u8], _>(at)).map_err(|_| unreadable("mark of a code"));
    let state = match row.get::<&str, _>(11) {
        "waiting" => CodeState::Waiting,
        "used" => CodeState::Used,
        "replaced" => CodeState::Replaced,
        _ => return Err(unreadable("state of a code")),
    };
    let marks = Marks { code: mark(8)?, digits: mark(9)? };
    Ok((KeptOrder { order, owner: row.get(1), marks, until_unix_ms: row.get(10), replaces: None }, state))
}
