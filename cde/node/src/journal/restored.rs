//! An office that was restored from a backup: it says that it has fewer records than it has acknowledged. Those that are still
//! here are sent once more. Where some are gone, every attempt is told again by its row, so that no payment that may have been
//! taken looks like one that was not (docs/decisions/0024-restored-office.md).

use super::attempts::{Reversal, parsed, reversal};
use super::cards::said_by_hand;
use super::{JournalError, PAGE, insert_record, insert_record_as_of};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use wire::{
    AttemptKind, CaptureTime, CardView, Checks, DeclineClass, Keeper, KeptCard, Money, Outcome, RecordBody, Restored,
    ToldAgain,
};

/// Records that are looked at for their age with each acknowledgment. Of a group of the office it must be more.
const OLD_MAX: i64 = 512;
/// The most acknowledged records that are kept, whatever their age: about 2 GB.
const KEPT_MAX: u64 = 4_000_000;

/// The office has every record up to this one. Those that are older than the moment are not kept any longer: always the oldest
/// of all, so that what is kept has no gap.
pub(super) async fn acknowledge(
    connection: &mut SqliteConnection,
    upto: u64,
    before_unix_ms: i64,
) -> Result<(), JournalError> {
    let number = i64::try_from(upto).unwrap_or(i64::MAX);
    let noted = sqlx::query("UPDATE journal SET acknowledged = MAX(acknowledged, ?)").bind(number);
    noted.execute(&mut *connection).await?;
    let many = i64::try_from(upto.saturating_sub(KEPT_MAX)).unwrap_or(i64::MAX);
    let is_over = |(number, at): &&(i64, i64)| *at <= before_unix_ms || *number <= many;
    // Mostly nothing is over, which the first one tells.
    let mut last = None;
    for limit in [1, OLD_MAX] {
        let oldest = sqlx::query_as("SELECT number, at_unix_ms FROM record WHERE number <= ? ORDER BY number LIMIT ?");
        let oldest: Vec<(i64, i64)> = oldest.bind(number).bind(limit).fetch_all(&mut *connection).await?;
        last = oldest.iter().take_while(is_over).last().map(|(number, _)| *number);
        if last.is_none() {
            return Ok(());
        }
    }
    sqlx::query("DELETE FROM record WHERE number <= ?").bind(last).execute(connection).await?;
    Ok(())
}

/// What was told of a restore.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// How many records that makes.
    pub(super) records: u64,
    /// Is there another page?
    pub(super) is_more: bool,
    /// Was this the last of every attempt that was told again?
    pub(super) is_all: bool,
}

/// Tells an office of which it is now known up to where it has the records, or the next page of what is under way: all of it or
/// nothing, for a row in the middle may not be readable.
pub(super) async fn tell(
    connection: &mut SqliteConnection,
    number: u64,
    stored: Option<u64>,
) -> Result<Told, JournalError> {
    let mut savepoint = connection.begin().await?;
    let told = match stored {
        Some(stored) => office_has(&mut savepoint, number, stored).await,
        None => tell_again(&mut savepoint, number).await,
    };
    if told.is_ok() {
        savepoint.commit().await?
    } else {
        savepoint.rollback().await?
    }
    told
}

/// The office at the door has every record up to this one. If it has acknowledged more, it was restored: what it has forgotten
/// waits for it again.
async fn office_has(connection: &mut SqliteConnection, number: u64, stored: u64) -> Result<Told, JournalError> {
    let found: i64 = sqlx::query("SELECT acknowledged FROM journal").fetch_one(&mut *connection).await?.get(0);
    let acknowledged = u64::try_from(found).unwrap_or(0);
    if stored < acknowledged {
        note(connection, number, stored, acknowledged).await?;
    }
    // With the first page in one transaction: the newest number is known by a record, and not by what was acknowledged.
    tell_again(connection, number).await
}

async fn note(
    connection: &mut SqliteConnection,
    number: u64,
    stored: u64,
    acknowledged: u64,
) -> Result<(), JournalError> {
    let has = i64::try_from(stored).unwrap_or(i64::MAX);
    let oldest = sqlx::query_as("SELECT number, at_unix_ms FROM record WHERE number > ? ORDER BY number LIMIT 1");
    let oldest: Option<(i64, i64)> = oldest.bind(has).fetch_optional(&mut *connection).await?;
    let first = oldest.map_or(number, |(first, _)| u64::try_from(first).unwrap_or(0));
    let gone = first.saturating_sub(stored.saturating_add(1));
    let since_unix_ms = oldest.map(|(_, at)| at);
    let restored = Restored { stored, acknowledged, since_unix_ms, gone, told_again: 0 };
    tracing::error!(
        stored,
        acknowledged,
        gone,
        "THE OFFICE HAS FORGOTTEN RECORDS THAT IT HAD ACKNOWLEDGED: its database was restored from a backup, or is a new one. \
         What is still here is sent once more; nothing is charged for it."
    );
    sqlx::query("UPDATE journal SET acknowledged = ?, restored = ?, tell_after = ?")
        .bind(has)
        .bind(serde_json::to_string(&restored)?)
        .bind((gone > 0).then_some(0))
        .execute(connection)
        .await?;
    Ok(())
}

/// Tells the next page of attempts again, and after the last one what the office has forgotten.
async fn tell_again(connection: &mut SqliteConnection, number: u64) -> Result<Told, JournalError> {
    let row = sqlx::query("SELECT restored, tell_after FROM journal").fetch_one(&mut *connection).await?;
    let Some(restored) = row.get::<Option<&str>, _>(0) else { return Ok(Told::default()) };
    let mut restored: Restored = serde_json::from_str(restored)?;
    let mut records = 0;
    let after = row.get::<Option<i64>, _>(1);
    if let Some(after) = after {
        let rows = sqlx::query(ATTEMPTS).bind(after).bind(PAGE).fetch_all(&mut *connection).await?;
        for row in &rows {
            let body = RecordBody::AttemptToldAgain(Box::new(told_again(row)?));
            insert_record_as_of(connection, number + records, row.get("sent_unix_ms"), body).await?;
            records += 1;
        }
        restored.told_again = restored.told_again.saturating_add(records);
        if let Some(last) = rows.last() {
            sqlx::query("UPDATE journal SET restored = ?, tell_after = ?")
                .bind(serde_json::to_string(&restored)?)
                .bind(last.get::<i64, _>("rowid"))
                .execute(connection)
                .await?;
            return Ok(Told { records, is_more: true, is_all: false });
        }
    }
    insert_record(connection, number + records, RecordBody::OfficeRestored(restored)).await?;
    sqlx::query("UPDATE journal SET restored = NULL, tell_after = NULL").execute(connection).await?;
    Ok(Told { records: records + 1, is_more: false, is_all: after.is_some() })
}

const ATTEMPTS: &str = "SELECT a.rowid, a.id, a.kind, a.payment, a.call, a.extension, a.merchant, a.amount_minor, a.currency, \
     a.later, a.card, a.keep_card, a.reference, a.told, a.state, a.approved_minor, a.gateway_ref, a.reversal, a.given_back, \
     a.sent_unix_ms, k.token AS kept_token, k.gateway AS kept_by, k.is_vaulted, k.is_gone, k.forgetting, \
     k.said_by, k.confirmed_by, \
     (SELECT count(*) FROM attempt AS before WHERE before.payment = a.payment AND before.rowid <= a.rowid) AS place \
     FROM attempt a LEFT JOIN kept_card k ON k.attempt = a.id AND k.token = a.keep_token \
     WHERE a.rowid > ? ORDER BY a.rowid LIMIT ?";

fn told_again(row: &SqliteRow) -> Result<ToldAgain, JournalError> {
    let unreadable = |what: &str| JournalError::Unreadable(what.to_owned());
    let text = |column: &str| row.get::<Option<&str>, _>(column);
    let card: Option<CardView> = text("card").or_else(|| text("keep_card")).map(serde_json::from_str).transpose()?;
    Ok(ToldAgain {
        attempt: parsed(row, 1)?,
        kind: AttemptKind::from_name(row.get("kind")).ok_or_else(|| unreadable("kind"))?,
        payment: parsed(row, 3)?,
        place: u32::try_from(row.get::<i64, _>("place")).map_err(|_| unreadable("place"))?,
        call: parsed(row, 4)?,
        extension: parsed(row, 5)?,
        merchant: parsed(row, 6)?,
        amount: Money { minor: row.get("amount_minor"), currency: parsed(row, 8)? },
        capture: if row.get("later") { CaptureTime::Later } else { CaptureTime::Now },
        card,
        reference: text("reference").map(str::parse).transpose().map_err(|_| unreadable("reference"))?,
        outcome: outcome(row)?,
        kept: kept(row)?,
        is_forgetting: row.get::<Option<bool>, _>("forgetting").unwrap_or(false),
        is_forgotten: row.get::<Option<bool>, _>("is_gone").unwrap_or(false),
        by_hand: said_by_hand(row),
    })
}

/// As the office was told; of an attempt of an earlier version, as far as its row tells.
fn outcome(row: &SqliteRow) -> Result<Outcome, JournalError> {
    if let Some(told) = row.get::<Option<&str>, _>("told") {
        return Ok(serde_json::from_str(told)?);
    }
    let instead = reversal(row, 17).and_then(Reversal::instead);
    Ok(match row.get("state") {
        "approved" => match instead {
            Some(instead) if row.get("given_back") => instead,
            Some(_) => Outcome::Unknown,
            None => Outcome::Approved {
                auth_code: String::new(),
                gateway_ref: row.get::<Option<String>, _>("gateway_ref").unwrap_or_default(),
                amount: Money {
                    minor: row.get::<Option<i64>, _>("approved_minor").unwrap_or(0),
                    currency: parsed(row, 8)?,
                },
                checks: Checks::default(),
            },
        },
        "declined" => Outcome::Declined { class: DeclineClass::Other, network_code: None },
        "rejected" => Outcome::Rejected,
        "abandoned" => Outcome::Abandoned,
        _ => Outcome::Unknown,
    })
}

/// Which older token is of the same card is not noted here: networks' limits are then counted by the token.
fn kept(row: &SqliteRow) -> Result<Option<KeptCard>, JournalError> {
    let Some(card) = row.get::<Option<&str>, _>("keep_card") else { return Ok(None) };
    if row.get::<Option<&str>, _>("kept_token").is_none() {
        return Ok(None);
    }
    let keeper = match (row.get::<Option<&str>, _>("kept_by").is_some(), row.get("is_vaulted")) {
        (true, true) => Keeper::Both,
        (true, false) => Keeper::Gateway,
        (false, _) => Keeper::Vault,
    };
    let (token, merchant, card) = (parsed(row, 20)?, parsed(row, 6)?, serde_json::from_str(card)?);
    Ok(Some(KeptCard { token, merchant, card, keeper, same_as: None }))
}
