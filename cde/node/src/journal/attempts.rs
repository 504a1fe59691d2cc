//! Attempts as they are written and read.

use super::cards::{self, Keep, Kept};
use super::{JournalError, insert_record, orders};
use crate::clock;
use gateway::{Answer, Kind, Operation, Original};
use payment::{Balance, Standing};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};
use wire::{
    Advice, AttemptId, AttemptSent, CallId, CaptureTime, CardView, Currency, DeclineClass, Extension, MerchantId,
    Money, NotKept, Origin, Outcome, PaymentId, RecordBody, Reference, Token,
};

/// Rows that are read at once.
const ROWS_MAX: i64 = 1_000;

/// An attempt about to be sent.
#[derive(Clone, Debug)]
pub struct NewAttempt {
    /// Its id, also the idempotency key.
    pub attempt: AttemptId,
    /// What it does.
    pub kind: Kind,
    /// Its payment.
    pub payment: PaymentId,
    /// Its call.
    pub call: CallId,
    /// The extension of the call.
    pub extension: Extension,
    /// Who had it sent.
    pub origin: Origin,
    /// For whom.
    pub merchant: MerchantId,
    /// How long the gateway has to answer.
    pub deadline_ms: i64,
    /// Through which gateway.
    pub gateway: String,
    /// How much.
    pub amount: Money,
    /// Of an authorization: is its money taken by a later capture?
    pub later: bool,
    /// The authorization that it follows.
    pub follows: Option<AttemptId>,
    /// Of a capture: does no other come?
    pub last: bool,
    /// The card, masked; none where there is none.
    pub card: Option<CardView>,
    /// Keyed digest of the request without the card.
    pub digest: String,
    /// The gateway's name for what it is about, by which it can be asked for where no answer comes.
    pub locator: Option<String>,
    /// Of a card that is to be kept: the token that it will have.
    pub keep: Option<Keep>,
    /// Of a charge or a deletion of a kept card: which.
    pub token: Option<Token>,
    /// By which credential of the gateway it is sent: a digest that tells two apart.
    pub credential: Option<String>,
    /// Of a bounced call: what the contact centre calls what is paid.
    pub reference: Option<Reference>,
}

impl NewAttempt {
    /// As the office is told it, which may have nothing of the payment.
    pub(super) fn told(&self) -> RecordBody {
        let takes_money = matches!(self.kind, Kind::Authorize | Kind::ChargeStored);
        RecordBody::AttemptSent(AttemptSent {
            attempt: self.attempt,
            kind: self.kind,
            payment: self.payment,
            call: self.call,
            extension: self.extension.clone(),
            origin: self.origin.clone(),
            merchant: self.merchant.clone(),
            amount: self.amount,
            capture: takes_money.then_some(if self.later { CaptureTime::Later } else { CaptureTime::Now }),
            card: self.card,
        })
    }
}

/// How an attempt ended, and what must not be forgotten of it.
#[derive(Clone, Debug)]
pub struct Ending {
    /// What the office learns.
    pub outcome: Outcome,
    /// The gateway's own name for it.
    pub locator: Option<String>,
    /// The network's id of the charge.
    pub network_transaction_id: Option<String>,
    /// The gateway's token of the card.
    pub token: Option<String>,
    /// An approval that is to be given back.
    pub reversal: Option<Reversal>,
    /// What became of the card that was to be kept.
    pub kept: Option<Result<Kept, NotKept>>,
    /// What the network advised with a decline.
    pub advice: Option<Advice>,
}

/// Why an approval is to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// It came when the caller had left.
    Late,
    /// The security code does not match, by the merchant's rule.
    WrongCvv,
    /// The address does not.
    WrongAddress,
}

impl Reversal {
    const ALL: [Self; 3] = [Self::Late, Self::WrongCvv, Self::WrongAddress];

    fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::WrongCvv => "wrong_cvv",
            Self::WrongAddress => "wrong_address",
        }
    }

    /// What everybody but the journal is told instead of the approval, once it is given back. Until then its outcome is
    /// being confirmed: an agent who was told "approved" would let the caller go.
    pub fn instead(self) -> Option<Outcome> {
        let class = match self {
            Self::Late => return None,
            Self::WrongCvv => DeclineClass::WrongCvv,
            Self::WrongAddress => DeclineClass::WrongAddress,
        };
        Some(Outcome::Declined { class, network_code: None })
    }
}

/// An attempt whose outcome must still be learned from the gateway.
#[derive(Clone, Debug)]
pub struct OpenAttempt {
    /// Which, and how much was asked.
    pub operation: Operation,
    /// Its payment.
    pub payment: PaymentId,
    /// Its call.
    pub call: CallId,
    /// The extension of the call.
    pub extension: Extension,
    /// Through which gateway.
    pub gateway: String,
    /// For whom.
    pub merchant: MerchantId,
    /// The gateway's own name for it, if an answer gave one.
    pub locator: Option<String>,
    /// When it was sent, Unix milliseconds.
    pub sent_unix_ms: i64,
    /// Has the gateway a name of its own for it, and not only for what it follows? Then it has got it.
    pub is_named: bool,
    /// Does the task that sends it still await the gateway's first answer, as far as the journal knows? After a death nobody does.
    pub is_awaited: bool,
    /// Of a card that is to be kept: the token that it will have.
    pub keep: Option<Keep>,
    /// Of a charge or a deletion of a kept card: which.
    pub token: Option<Token>,
    /// By which credential of the gateway it was sent; none where a version before did not note it.
    pub credential: Option<String>,
}

/// An attempt, and how its row stands.
#[derive(Clone, Debug)]
pub struct Noted {
    /// Which, and all that is known of it.
    pub attempt: OpenAttempt,
    /// Must its outcome still be learned?
    pub is_open: bool,
    /// Is it approved, given back or not?
    pub is_approved: bool,
}

/// An approved authorization, and what has become of its money.
#[derive(Clone, Debug)]
pub struct Account {
    /// The authorization.
    pub attempt: AttemptId,
    /// Its call.
    pub call: CallId,
    /// The extension of the call.
    pub extension: Extension,
    /// For whom.
    pub merchant: MerchantId,
    /// Through which gateway: what follows goes the same way.
    pub gateway: String,
    /// The gateway's own name for it; empty where it gave none.
    pub gateway_ref: String,
    /// The gateway's own name for the newest capture of it.
    pub capture_ref: Option<String>,
    /// What was approved.
    pub approved: Money,
    /// What has become of it.
    pub balance: Balance,
}

impl Account {
    /// As a gateway is asked for it.
    pub fn original(&self) -> Original<'_> {
        Original {
            attempt: self.attempt,
            gateway_ref: &self.gateway_ref,
            approved: self.approved,
            capture_ref: self.capture_ref.as_deref(),
        }
    }
}

/// An approval that is to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of which payment.
    pub payment: PaymentId,
    /// Which authorization.
    pub attempt: AttemptId,
}

impl Ending {
    /// An outcome that nothing else is known of.
    pub fn of(outcome: Outcome) -> Self {
        let (locator, network_transaction_id, token) = (None, None, None);
        Self { outcome, locator, network_transaction_id, token, reversal: None, kept: None, advice: None }
    }

    /// What an answer says. Where no money moves there is none in an approval either.
    pub fn from_answer(answer: &Answer, operation: Operation, reversal: Option<Reversal>) -> Self {
        let asked = operation.amount.unwrap_or(NOTHING);
        let approval = if let Answer::Approved(approval) = answer { Some(approval) } else { None };
        Self {
            outcome: answer.outcome(asked),
            locator: answer.locator().map(str::to_owned),
            network_transaction_id: approval.and_then(|approval| approval.network_transaction_id.clone()),
            token: approval.and_then(|approval| approval.token.clone()),
            reversal,
            kept: None,
            advice: if let Answer::Declined { advice, .. } = answer { *advice } else { None },
        }
    }
}

/// The amount of what moves none.
const NOTHING: Money = Money { minor: 0, currency: Currency::GBP };

pub(super) async fn begin(
    connection: &mut SqliteConnection,
    number: u64,
    attempt: &NewAttempt,
) -> Result<(), JournalError> {
    check(connection, attempt).await?;
    orders::check(connection, attempt).await?;
    let now = clock::unix_ms();
    let inserted = sqlx::query(
        "INSERT INTO attempt (id, payment, call, merchant, gateway, amount_minor, currency, digest, sent_unix_ms, \
         deadline_unix_ms, state, kind, follows, later, is_last, extension, locator, keep_token, keep_card, of_token, \
         credential, reference, card) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'sent', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(attempt.attempt.to_string())
    .bind(attempt.payment.to_string())
    .bind(attempt.call.to_string())
    .bind(attempt.merchant.as_str())
    .bind(&attempt.gateway)
    .bind(attempt.amount.minor)
    .bind(attempt.amount.currency.code())
    .bind(&attempt.digest)
    .bind(now)
    .bind(now.saturating_add(attempt.deadline_ms))
    .bind(attempt.kind.as_str())
    .bind(attempt.follows.map(|followed| followed.to_string()))
    .bind(attempt.later)
    .bind(attempt.last)
    .bind(attempt.extension.as_str())
    .bind(&attempt.locator)
    .bind(attempt.keep.as_ref().map(|keep| keep.token.as_str()))
    .bind(attempt.keep.as_ref().map(|keep| serde_json::to_string(&keep.card)).transpose()?)
    .bind(attempt.token.as_ref().map(Token::as_str))
    .bind(&attempt.credential)
    .bind(attempt.reference.as_ref().map(Reference::as_str))
    .bind(attempt.card.map(|card| serde_json::to_string(&card)).transpose()?)
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(JournalError::SecondAttempt);
    }
    insert_record(connection, number, attempt.told()).await
}

/// In the transaction that writes it, what follows an authorization must be allowed by what has become of its money.
async fn check(connection: &mut SqliteConnection, attempt: &NewAttempt) -> Result<(), JournalError> {
    let Some(follows) = attempt.follows else { return Ok(()) };
    let begun = sqlx::query("SELECT 1 FROM attempt WHERE id = ?").bind(attempt.attempt.to_string());
    if begun.fetch_optional(&mut *connection).await?.is_some() {
        return Err(JournalError::BegunBefore);
    }
    let account = account(connection, attempt.payment).await?.filter(|account| account.attempt == follows);
    let account = account.ok_or(JournalError::Refused(wire::Refusal::WrongState))?;
    account.balance.check(attempt.kind, attempt.amount, attempt.last).map_err(JournalError::Refused)
}

/// Returns how many records that makes; none when it had ended before.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    number: u64,
    attempt: AttemptId,
    ending: Ending,
) -> Result<u64, JournalError> {
    let state = state_name(&ending.outcome);
    let (approved, gateway_ref) = match &ending.outcome {
        Outcome::Approved { amount, gateway_ref, .. } => (Some(amount.minor), Some(gateway_ref.as_str())),
        _ => (None, None),
    };
    let updated = sqlx::query(
        "UPDATE attempt SET state = ?, approved_minor = ?, gateway_ref = ?, locator = COALESCE(?, locator), \
         network_transaction_id = ?, token = ?, reversal = ? \
         WHERE id = ? AND (state = 'sent' OR (state = 'unknown' AND ? <> 'unknown')) RETURNING payment, kind, follows",
    )
    .bind(state)
    .bind(approved)
    .bind(gateway_ref)
    .bind(&ending.locator)
    .bind(&ending.network_transaction_id)
    .bind(&ending.token)
    .bind(ending.reversal.map(Reversal::as_str))
    .bind(attempt.to_string())
    .bind(state)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = updated else { return Ok(0) };
    let payment = parsed(&row, 0)?;
    let mut records = told_before(connection, number, (attempt, payment), &ending).await?;
    if approved.is_some() {
        records += cards::deleted(connection, number + records, attempt).await?;
    }
    let goes_back = ending.reversal.and_then(Reversal::instead).is_some();
    let outcome = if goes_back { Outcome::Unknown } else { ending.outcome.clone() };
    tell(connection, number + records, (attempt, payment), outcome).await?;
    records += 1;
    let Some(followed) = row.get::<Option<String>, _>(2).filter(|_| approved.is_some()) else { return Ok(records) };
    let Some((attempt, outcome)) = given_back(connection, row.get(1), &followed).await? else { return Ok(records) };
    tell(connection, number + records, (attempt, payment), outcome).await?;
    Ok(records + 1)
}

/// Tells the office how an attempt has ended, and notes what it was told.
async fn tell(
    connection: &mut SqliteConnection,
    number: u64,
    (attempt, payment): (AttemptId, PaymentId),
    outcome: Outcome,
) -> Result<(), JournalError> {
    let told = sqlx::query("UPDATE attempt SET told = ? WHERE id = ?").bind(serde_json::to_string(&outcome)?);
    told.bind(attempt.to_string()).execute(&mut *connection).await?;
    insert_record(connection, number, RecordBody::AttemptEnded { attempt, payment, outcome }).await
}

/// What the office is to know when it learns of the end.
async fn told_before(
    connection: &mut SqliteConnection,
    number: u64,
    (attempt, payment): (AttemptId, PaymentId),
    ending: &Ending,
) -> Result<u64, JournalError> {
    if let Some(network) = &ending.network_transaction_id {
        // The first charge of a card that was kept without one: the agreement's later ones name it.
        let noted = sqlx::query(
            "UPDATE kept_card SET network_transaction_id = ?1 WHERE network_transaction_id IS NULL \
             AND token = (SELECT of_token FROM attempt WHERE id = ?2)",
        );
        noted.bind(network).bind(attempt.to_string()).execute(&mut *connection).await?;
    }
    let mut records = 0;
    if let Some(advice) = ending.advice {
        insert_record(connection, number, RecordBody::Advised { attempt, payment, advice }).await?;
        records += 1;
    }
    if let Some(kept) = &ending.kept {
        records += cards::end(connection, number + records, (attempt, payment), kept).await?;
    }
    Ok(records)
}

/// A void gives an approval back; so does, where it was to be given back, a refund of all that was taken. Returns what is
/// told now instead of the approval, if that was kept back.
async fn given_back(
    connection: &mut SqliteConnection,
    kind: &str,
    followed: &str,
) -> Result<Option<(AttemptId, Outcome)>, JournalError> {
    let statement = match Kind::from_name(kind) {
        Some(Kind::Void) => "UPDATE attempt SET given_back = 1 WHERE id = ?1 RETURNING id, reversal",
        Some(Kind::Refund) => {
            "UPDATE attempt SET given_back = 1 WHERE id = ?1 AND reversal IS NOT NULL AND later = 0 \
             AND approved_minor <= (SELECT SUM(amount_minor) FROM attempt \
                                    WHERE follows = ?1 AND kind = 'refund' AND state = 'approved') \
             RETURNING id, reversal"
        }
        _ => return Ok(None),
    };
    let Some(row) = sqlx::query(statement).bind(followed).fetch_optional(connection).await? else { return Ok(None) };
    let Some(outcome) = reversal(&row, 1).and_then(Reversal::instead) else { return Ok(None) };
    Ok(Some((parsed(&row, 0)?, outcome)))
}

/// What [`open_attempt`] and [`noted`] read.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, amount_minor, currency, payment, call, extension, gateway, merchant, locator, \
             sent_unix_ms, locator IS NOT NULL AND locator IS NOT (SELECT gateway_ref FROM attempt AS followed \
             WHERE followed.id = attempt.follows), state, keep_token, keep_card, rowid, credential, of_token \
             FROM attempt ",
            $rest
        )
    };
}

/// Attempts by our name for one, or by a gateway's own, in any state.
pub(super) async fn about(
    pool: &SqlitePool,
    gateway: &str,
    attempt: Option<AttemptId>,
    locator: Option<&str>,
) -> Result<Vec<Noted>, JournalError> {
    let named = sqlx::query(select!("WHERE id = ?2 OR (gateway = ?1 AND locator = ?3) ORDER BY sent_unix_ms LIMIT ?4"))
        .bind(gateway)
        .bind(attempt.map(|attempt| attempt.to_string()))
        .bind(locator)
        .bind(ROWS_MAX);
    named.fetch_all(pool).await?.iter().map(noted).collect()
}

/// One attempt, in any state.
pub(super) async fn find(pool: &SqlitePool, attempt: AttemptId) -> Result<Option<Noted>, JournalError> {
    let row = sqlx::query(select!("WHERE id = ?")).bind(attempt.to_string()).fetch_optional(pool).await?;
    row.as_ref().map(noted).transpose()
}

/// The deletion of a kept card whose end is not known.
pub(super) async fn open_deletion(pool: &SqlitePool, token: &Token) -> Result<Option<OpenAttempt>, JournalError> {
    let query = sqlx::query(select!(
        "WHERE of_token = ? AND kind = 'delete_stored' AND state IN ('sent', 'unknown') ORDER BY rowid LIMIT 1"
    ));
    query.bind(token.as_str()).fetch_optional(pool).await?.as_ref().map(open_attempt).transpose()
}

pub(super) async fn deletions(pool: &SqlitePool, token: &Token) -> Result<Deletions, JournalError> {
    let query = "SELECT count(*), min(sent_unix_ms), max(sent_unix_ms) FROM attempt WHERE of_token = ? AND kind = 'delete_stored'";
    let (count, first, last): (i64, _, _) = sqlx::query_as(query).bind(token.as_str()).fetch_one(pool).await?;
    Ok((usize::try_from(count).unwrap_or(usize::MAX), (first, last)))
}

/// How many attempts to delete a kept card there were, and when the oldest and the newest of them were sent, Unix milliseconds.
pub(crate) type Deletions = (usize, (Option<i64>, Option<i64>));

fn noted(row: &SqliteRow) -> Result<Noted, JournalError> {
    let state = row.get::<&str, _>(12);
    let (is_open, is_approved) = (matches!(state, "sent" | "unknown"), state == "approved");
    Ok(Noted { attempt: open_attempt(row)?, is_open, is_approved })
}

pub(super) async fn open(
    pool: &SqlitePool,
    (after, newest): (i64, i64),
) -> Result<(Vec<OpenAttempt>, Option<i64>), JournalError> {
    let rows =
        sqlx::query(select!("WHERE state IN ('sent', 'unknown') AND rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"))
            .bind(after)
            .bind(newest)
            .bind(ROWS_MAX)
            .fetch_all(pool)
            .await?;
    let next = rows.last().map(|row| row.get(15));
    let told = |error: &JournalError| tracing::error!(%error, "an open attempt cannot be followed");
    Ok((rows.iter().filter_map(|row| open_attempt(row).inspect_err(told).ok()).collect(), next))
}

/// How an attempt stands, as far as a row tells: of a decline it does not tell why, and an approval that is given back, or
/// is to be, is none. None where there is no such attempt.
pub(super) async fn standing(pool: &SqlitePool, attempt: AttemptId) -> Result<Option<Outcome>, JournalError> {
    let query = sqlx::query(
        "SELECT state, gateway_ref, approved_minor, currency, reversal, given_back FROM attempt WHERE id = ?",
    );
    let Some(row) = query.bind(attempt.to_string()).fetch_optional(pool).await? else { return Ok(None) };
    let outcome = match row.get(0) {
        "approved" if row.get(5) => {
            let instead = reversal(&row, 4).and_then(Reversal::instead);
            instead.unwrap_or(Outcome::Declined { class: DeclineClass::Other, network_code: None })
        }
        "approved" if row.get::<Option<&str>, _>(4).is_some() => Outcome::Unknown,
        "approved" => Outcome::Approved {
            auth_code: String::new(),
            gateway_ref: row.get::<Option<String>, _>(1).unwrap_or_default(),
            amount: Money { minor: row.get::<Option<i64>, _>(2).unwrap_or_default(), currency: parsed(&row, 3)? },
            checks: wire::Checks::default(),
        },
        "declined" => Outcome::Declined { class: DeclineClass::Other, network_code: None },
        "rejected" => Outcome::Rejected,
        "abandoned" => Outcome::Abandoned,
        _ => Outcome::Unknown,
    };
    Ok(Some(outcome))
}

fn open_attempt(row: &SqliteRow) -> Result<OpenAttempt, JournalError> {
    let amount = Money { minor: row.get(2), currency: parsed(row, 3)? };
    let kind = Kind::from_name(row.get(1)).ok_or_else(|| unreadable("kind"))?;
    let moves_money = !matches!(kind, Kind::Store | Kind::DeleteStored);
    Ok(OpenAttempt {
        operation: Operation::direct(kind, parsed(row, 0)?, moves_money.then_some(amount)),
        payment: parsed(row, 4)?,
        call: parsed(row, 5)?,
        extension: parsed(row, 6)?,
        gateway: row.get(7),
        merchant: parsed(row, 8)?,
        locator: row.get(9),
        sent_unix_ms: row.get(10),
        is_named: row.get(11),
        is_awaited: row.get::<&str, _>(12) == "sent",
        keep: keep(row)?,
        token: row.get::<Option<&str>, _>(17).map(str::parse).transpose().map_err(|_| unreadable("token"))?,
        credential: row.get(16),
    })
}

fn keep(row: &SqliteRow) -> Result<Option<Keep>, JournalError> {
    let (token, card) = (row.get::<Option<&str>, _>(13), row.get::<Option<&str>, _>(14));
    let Some((token, card)) = token.zip(card) else { return Ok(None) };
    let token = token.parse().map_err(|_| unreadable("token"))?;
    Ok(Some(Keep { token, card: serde_json::from_str(card)? }))
}

pub(super) async fn wanted(
    pool: &SqlitePool,
    (after, newest): (i64, i64),
) -> Result<(Vec<Wanted>, Option<i64>), JournalError> {
    let rows = sqlx::query(
        "SELECT payment, id, rowid FROM attempt WHERE reversal IS NOT NULL AND given_back = 0 AND state = 'approved' \
         AND rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?",
    )
    .bind(after)
    .bind(newest)
    .bind(ROWS_MAX)
    .fetch_all(pool)
    .await?;
    let next = rows.last().map(|row| row.get(2));
    let wanted = rows.iter().map(|row| Ok(Wanted { payment: parsed(row, 0)?, attempt: parsed(row, 1)? }));
    Ok((wanted.collect::<Result<_, JournalError>>()?, next))
}

/// The authorization that counts is the one that was not given back, else the newest.
pub(super) async fn account(
    connection: &mut SqliteConnection,
    payment: PaymentId,
) -> Result<Option<Account>, JournalError> {
    let found = sqlx::query(
        "SELECT id, call, extension, merchant, gateway, gateway_ref, approved_minor, currency, later, given_back \
         FROM attempt WHERE payment = ? AND kind IN ('authorize', 'charge_stored') AND state = 'approved' \
         ORDER BY given_back, sent_unix_ms DESC LIMIT 1",
    )
    .bind(payment.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let approved = Money { minor: row.get::<Option<i64>, _>(6).unwrap_or(0), currency: parsed(&row, 7)? };
    let mut account = Account {
        attempt: parsed(&row, 0)?,
        call: parsed(&row, 1)?,
        extension: parsed(&row, 2)?,
        merchant: parsed(&row, 3)?,
        gateway: row.get(4),
        gateway_ref: row.get::<Option<String>, _>(5).unwrap_or_default(),
        capture_ref: None,
        approved,
        balance: Balance::new(approved, row.get(8)),
    };
    note_what_followed(connection, &mut account).await?;
    if row.get(9) {
        account.balance.note(Kind::Void, approved.minor, false, Standing::Done);
    }
    Ok(Some(account))
}

async fn note_what_followed(connection: &mut SqliteConnection, account: &mut Account) -> Result<(), JournalError> {
    let rows = sqlx::query(
        "SELECT kind, amount_minor, is_last, state, gateway_ref FROM attempt WHERE follows = ? ORDER BY sent_unix_ms",
    )
    .bind(account.attempt.to_string())
    .fetch_all(connection)
    .await?;
    for row in &rows {
        let kind = Kind::from_name(row.get(0)).ok_or_else(|| unreadable("kind"))?;
        let standing = match row.get::<&str, _>(3) {
            "sent" | "unknown" => Standing::Open,
            "approved" => Standing::Done,
            _ => Standing::Failed,
        };
        account.balance.note(kind, row.get(1), row.get(2), standing);
        if kind == Kind::Capture && standing == Standing::Done {
            account.capture_ref = row.get::<Option<String>, _>(4).filter(|name| !name.is_empty());
        }
    }
    Ok(())
}

pub(super) fn reversal(row: &SqliteRow, column: usize) -> Option<Reversal> {
    let why = row.get::<Option<&str>, _>(column)?;
    Reversal::ALL.into_iter().find(|reversal| reversal.as_str() == why)
}

pub(super) fn parsed<T: std::str::FromStr>(row: &SqliteRow, column: usize) -> Result<T, JournalError> {
    row.get::<&str, _>(column).parse().map_err(|_| unreadable("value"))
}

/// What we have written ourselves and cannot read: never passed over, or its money would be forgotten.
fn unreadable(what: &str) -> JournalError {
    JournalError::Unreadable(what.to_owned())
}

fn state_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Approved { .. } => "approved",
        Outcome::Declined { .. } => "declined",
        Outcome::Rejected => "rejected",
        Outcome::Unknown => "unknown",
        Outcome::Abandoned => "abandoned",
    }
}
