//! Kept cards as they are written and read. Nothing of a card is in here but a token, which says nothing of it.

use super::attempts::parsed;
use super::{JournalError, insert_record};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqliteRow};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use std::path::Path;
use wire::{
    AttemptId, ByHand, CallId, CardView, Extension, Keeper, KeptCard, MerchantId, NotKept, PaymentId, RecordBody, Token,
};

/// A card that is to be kept when its attempt is approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// What it will be charged by.
    pub token: Token,
    /// The card, masked.
    pub card: CardView,
}

/// A card that its attempt's end says is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// As the office learns it.
    pub card: KeptCard,
    /// The gateway that gave a token of its own, and that token.
    pub gateway: Option<(String, String)>,
}

/// A kept card, as it is charged and forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCard {
    /// For whom.
    pub merchant: MerchantId,
    /// By which payment it was kept.
    pub payment: PaymentId,
    /// On which call.
    pub call: CallId,
    /// The extension of the call.
    pub extension: Extension,
    /// The gateway that has it, and its own token.
    pub gateway: Option<(String, String)>,
    /// By which credential of that gateway it was stored; none where it was not noted.
    pub credential: Option<String>,
    /// Has the vault got it?
    pub is_vaulted: bool,
    /// The network's id of the charge by which it was kept.
    pub network_transaction_id: Option<String>,
    /// It cannot be charged any more, and its gateway has not said yet that it is deleted.
    pub is_forgetting: bool,
    /// It is forgotten: by the vault, and by the gateway.
    pub is_gone: bool,
}

/// Whose cards are in the vault by this journal, which the process that writes it may have open. None where there is no journal yet.
pub async fn merchants_with_cards(journal: &Path) -> Result<Vec<String>, JournalError> {
    if !journal.exists() {
        return Ok(Vec::new());
    }
    let mut connection = SqliteConnectOptions::new().filename(journal).read_only(true).connect().await?;
    let merchants = sqlx::query_scalar(
        "SELECT DISTINCT merchant FROM kept_card WHERE is_vaulted = 1 AND is_gone = 0 AND forgetting = 0 ORDER BY merchant",
    );
    let merchants = merchants.fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(merchants)
}

/// Writes what became of the card of an attempt that has ended. Returns how many records that makes.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    number: u64,
    (attempt, payment): (AttemptId, PaymentId),
    kept: &Result<Kept, NotKept>,
) -> Result<u64, JournalError> {
    let body = match kept {
        Ok(kept) => {
            insert(connection, attempt, kept).await?;
            RecordBody::CardKept { attempt, payment, kept: kept.card.clone() }
        }
        Err(why) => RecordBody::CardNotKept { attempt, payment, why: *why },
    };
    insert_record(connection, number, body).await?;
    Ok(1)
}

async fn insert(connection: &mut SqliteConnection, attempt: AttemptId, kept: &Kept) -> Result<(), JournalError> {
    let (gateway, token) = kept.gateway.clone().unzip();
    sqlx::query(
        "INSERT INTO kept_card (token, merchant, attempt, payment, call, extension, gateway, gateway_token, is_vaulted, \
         network_transaction_id) \
         SELECT ?, merchant, id, payment, call, extension, ?, ?, ?, network_transaction_id FROM attempt WHERE id = ?",
    )
    .bind(kept.card.token.as_str())
    .bind(gateway)
    .bind(token)
    .bind(kept.card.keeper != Keeper::Gateway)
    .bind(attempt.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks a card as one that can be charged no more. False when it was so already, or never was there.
pub(super) async fn begin_forgetting(
    connection: &mut SqliteConnection,
    number: u64,
    token: Token,
    merchant: MerchantId,
) -> Result<bool, JournalError> {
    let begun = sqlx::query(
        "UPDATE kept_card SET forgetting = 1 WHERE token = ? AND merchant = ? AND forgetting = 0 AND is_gone = 0",
    );
    let begun = begun.bind(token.as_str()).bind(merchant.as_str()).execute(&mut *connection).await?;
    if begun.rows_affected() == 0 {
        return Ok(false);
    }
    insert_record(connection, number, RecordBody::CardForgetting { merchant, token }).await?;
    Ok(true)
}

/// A gateway has said that it has deleted the card of this attempt. Returns how many records that makes.
pub(super) async fn deleted(
    connection: &mut SqliteConnection,
    number: u64,
    attempt: AttemptId,
) -> Result<u64, JournalError> {
    let query = sqlx::query(
        "SELECT k.token, k.merchant FROM attempt a JOIN kept_card k ON k.token = a.of_token \
         WHERE a.id = ? AND a.kind = 'delete_stored'",
    );
    let Some(row) = query.bind(attempt.to_string()).fetch_optional(&mut *connection).await? else { return Ok(0) };
    let is_news = forget(connection, number, (parsed(&row, 0)?, parsed(&row, 1)?), None).await?;
    Ok(u64::from(is_news))
}

/// Tokens of cards whose gateway has not said yet that they are deleted, after a place; and after which the next page comes.
pub(super) async fn being_forgotten(pool: &SqlitePool, after: i64) -> Result<(Vec<Token>, Option<i64>), JournalError> {
    let rows = sqlx::query(
        "SELECT token, rowid FROM kept_card WHERE forgetting = 1 AND is_gone = 0 AND rowid > ? ORDER BY rowid LIMIT ?",
    );
    let rows = rows.bind(after).bind(super::PAGE).fetch_all(pool).await?;
    let next = rows.last().map(|row| row.get(1));
    Ok((rows.iter().map(|row| parsed(row, 0)).collect::<Result<_, _>>()?, next))
}

/// Marks a card as gone, by whose word. False when it was, or never was there.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    number: u64,
    (token, merchant): (Token, MerchantId),
    by_hand: Option<ByHand>,
) -> Result<bool, JournalError> {
    let forgotten = sqlx::query(
        "UPDATE kept_card SET is_gone = 1, said_by = ?, confirmed_by = ? WHERE token = ? AND merchant = ? AND is_gone = 0",
    );
    let (said_by, confirmed_by) = by_hand.map(|people| (people.said_by, people.confirmed_by)).unzip();
    let forgotten = forgotten.bind(said_by).bind(confirmed_by).bind(token.as_str()).bind(merchant.as_str());
    if forgotten.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(false);
    }
    insert_record(connection, number, RecordBody::CardForgotten { merchant, token, by_hand }).await?;
    Ok(true)
}

/// Two people say that it is gone. Whose office asks them has not heard that it is: where it was before, the word of then is told once
/// more, and theirs is not written. Returns whether theirs is; none: there is no such card.
pub(super) async fn forget_by_hand(
    connection: &mut SqliteConnection,
    number: u64,
    (token, merchant): (Token, MerchantId),
    by_hand: ByHand,
) -> Result<Option<bool>, JournalError> {
    if forget(connection, number, (token.clone(), merchant.clone()), Some(by_hand)).await? {
        return Ok(Some(true));
    }
    let query =
        sqlx::query("SELECT said_by, confirmed_by FROM kept_card WHERE token = ? AND merchant = ? AND is_gone = 1");
    let query = query.bind(token.as_str()).bind(merchant.as_str());
    let Some(row) = query.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let by_hand = said_by_hand(&row);
    insert_record(connection, number, RecordBody::CardForgotten { merchant, token, by_hand }).await?;
    Ok(Some(false))
}

/// By whose word a card is gone, where it is not its gateway's.
pub(super) fn said_by_hand(row: &SqliteRow) -> Option<ByHand> {
    let (said_by, confirmed_by) = (row.get::<Option<i64>, _>("said_by")?, row.get::<Option<i64>, _>("confirmed_by")?);
    Some(ByHand { said_by, confirmed_by })
}

pub(super) async fn find(pool: &SqlitePool, token: &Token) -> Result<Option<StoredCard>, JournalError> {
    let query = sqlx::query(
        "SELECT k.merchant, k.payment, k.call, k.extension, k.gateway, k.gateway_token, k.is_vaulted, k.network_transaction_id, \
         k.is_gone, k.forgetting, a.credential FROM kept_card k LEFT JOIN attempt a ON a.id = k.attempt WHERE k.token = ?",
    );
    let Some(row) = query.bind(token.as_str()).fetch_optional(pool).await? else { return Ok(None) };
    Ok(Some(StoredCard {
        merchant: parsed(&row, 0)?,
        payment: parsed(&row, 1)?,
        call: parsed(&row, 2)?,
        extension: parsed(&row, 3)?,
        gateway: row.get::<Option<String>, _>(4).zip(row.get(5)),
        is_vaulted: row.get(6),
        network_transaction_id: row.get(7),
        is_gone: row.get(8),
        is_forgetting: row.get(9),
        credential: row.get(10),
    }))
}
