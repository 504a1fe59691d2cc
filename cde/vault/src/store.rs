//! What a vault keeps, in two places that are never in one backup: records (ciphertext) and the keyring (wrapped keys).

use crate::keystore::RootVersion;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::Future;
use wire::Token;

/// Whose cards: each tenant has keys of its own. 1 to 64 characters of letters, digits and `._-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

/// Not a tenant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tenant's name: expected 1 to 64 characters of letters, digits and ._-")]
pub struct TenantError;

impl Tenant {
    /// The one of whoever has only one.
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// Whose keys credentials of gateways are sealed to; no card is its.
    pub fn credentials() -> Self {
        Self("tonewall-credentials".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Tenant {
    type Err = TenantError;
    fn from_str(text: &str) -> Result<Self, TenantError> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && !wire::name_pan_like(text);
        if fits { Ok(Self(text.to_owned())) } else { Err(TenantError) }
    }
}

impl TryFrom<String> for Tenant {
    type Error = TenantError;
    fn try_from(text: String) -> Result<Self, TenantError> {
        text.parse()
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        tenant.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The database did not do it. It holds no card in the clear, so neither does the message.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// From whatever went wrong.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// A stored card: ciphertext only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub token: Token,
    /// The number, sealed.
    pub pan: Vec<u8>,
    /// Month and year, sealed.
    pub expiry: Vec<u8>,
    /// When it was stored, Unix milliseconds.
    pub stored_ms: i64,
    /// When it was last opened, to the day, Unix milliseconds.
    pub used_ms: i64,
    /// Not to be kept after this, Unix milliseconds.
    pub keep_until_ms: Option<i64>,
}

/// Why a card is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked for it.
    Shredded,
    /// Its time was over.
    Retention,
}

impl Reason {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shredded => "shredded",
            Self::Retention => "retention",
        }
    }
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// The card is there.
    Kept(Record),
    /// The card is no more; only the token is remembered.
    Gone,
}

/// Which cards' time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Those whose `keep_until_ms` lies before this, Unix milliseconds.
    pub now_ms: i64,
    /// And those not opened since this, Unix milliseconds.
    pub unused_since_ms: Option<i64>,
}

/// The records. Everything in here may be backed up: without the keyring it is noise.
pub trait Store: Send + Sync {
    /// Adds a record; false when the token is taken, by a card or by what is left of one.
    fn insert(&self, tenant: &Tenant, record: &Record) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// What is known of a token of this tenant.
    fn record(&self, tenant: &Tenant, token: &Token) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send;

    /// It was opened now.
    fn used(&self, tenant: &Tenant, token: &Token, now_ms: i64) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Records after a token, in the order of tokens, at most so many.
    fn page(
        &self,
        tenant: &Tenant,
        after: Option<&Token>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// Tokens of records whose time is over, at most so many.
    fn overdue(
        &self,
        tenant: &Tenant,
        rule: Overdue,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Token>, StoreError>> + Send;

    /// Removes the ciphertext of these records and remembers that they were. Returns how many there were.
    fn bury(
        &self,
        tenant: &Tenant,
        tokens: &[Token],
        at_ms: i64,
        reason: Reason,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The same of every record of a tenant.
    fn bury_all(&self, tenant: &Tenant, at_ms: i64) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Records that are kept, and those that were buried.
    fn count(&self, tenant: &Tenant) -> impl Future<Output = Result<(u64, u64), StoreError>> + Send;

    /// Returns when what was buried before stands in no file of the store any more, its logs included.
    fn settle(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What a tenant's key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// It wraps the keys of records (a KEK). The newest version wraps new ones.
    Records,
    /// It makes fingerprints. It has one version, as fingerprints could not be compared otherwise.
    Fingerprints,
    /// It opens what other vaults have sealed for this tenant (a secret of X25519).
    Transfer,
}

impl Purpose {
    /// The word that is stored, and bound to.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Fingerprints => "fingerprints",
            Self::Transfer => "transfer",
        }
    }
}

/// A tenant's key, wrapped by the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKey {
    /// What it is for.
    pub purpose: Purpose,
    /// Which, from 1.
    pub version: u32,
    /// By which root key it is wrapped.
    pub root: RootVersion,
    /// Wrapped.
    pub wrapped: Vec<u8>,
}

/// A record's key (a DEK), wrapped by a KEK of its tenant, with the card's fingerprint. Both die together: who has the
/// fingerprint and the key that makes them could find the number by trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordKey {
    /// Of which record.
    pub token: Token,
    /// Version of the KEK.
    pub kek: u32,
    /// Wrapped.
    pub wrapped: Vec<u8>,
    /// HMAC-SHA-256 of the number by the tenant's key.
    pub fingerprint: [u8; 32],
}

/// The wrapped keys. Never in a backup of the records: what is deleted here is gone for good.
pub trait Keyring: Send + Sync {
    /// All tenants, in order.
    fn tenants(&self) -> impl Future<Output = Result<Vec<Tenant>, StoreError>> + Send;

    /// The keys of a tenant: by purpose, the newest version last. Empty: there is no such tenant.
    fn tenant_keys(&self, tenant: &Tenant) -> impl Future<Output = Result<Vec<TenantKey>, StoreError>> + Send;

    /// Adds keys of a tenant, all of them or, where one of them is there already or is wrapped by a root that is closed, none:
    /// false.
    fn add_tenant_keys(
        &self,
        tenant: &Tenant,
        keys: &[TenantKey],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Puts a key wrapped by another root in the place of the one wrapped by `from`; false when that is not there, or the
    /// other root is closed.
    fn rewrap_tenant_key(
        &self,
        tenant: &Tenant,
        from: RootVersion,
        key: &TenantKey,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Closes all roots below this one: nothing that is wrapped by one of them is taken any more. False, and nothing is
    /// closed, while a key is wrapped by one.
    fn close_roots(&self, below: RootVersion) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Deletes a KEK that wraps nothing; false when it still does, or is the tenant's newest.
    fn remove_kek(&self, tenant: &Tenant, version: u32) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Adds a record's key; false when the token is taken or there is no such KEK (any more).
    fn add_record_key(&self, tenant: &Tenant, key: &RecordKey)
    -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// A record's key and the KEK that it is wrapped by, read together.
    fn record_key(
        &self,
        tenant: &Tenant,
        token: &Token,
    ) -> impl Future<Output = Result<Option<(RecordKey, TenantKey)>, StoreError>> + Send;

    /// Records' keys that are wrapped by this KEK, at most so many.
    fn wrapped_by(
        &self,
        tenant: &Tenant,
        kek: u32,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RecordKey>, StoreError>> + Send;

    /// Puts each key in the place of the same one wrapped by `from`; one that is not there any more is passed over.
    fn rewrap(
        &self,
        tenant: &Tenant,
        from: u32,
        keys: &[RecordKey],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Tokens of records with this fingerprint, at most so many.
    fn find(
        &self,
        tenant: &Tenant,
        fingerprint: &[u8; 32],
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Token>, StoreError>> + Send;

    /// Deletes the keys of these records. Returns how many there were.
    fn remove(&self, tenant: &Tenant, tokens: &[Token]) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Deletes every key of a tenant and of its records. Returns how many records had one.
    fn remove_tenant(&self, tenant: &Tenant) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// How many records' keys are wrapped by each KEK.
    fn count(&self, tenant: &Tenant) -> impl Future<Output = Result<Vec<(u32, u64)>, StoreError>> + Send;

    /// Returns when what was deleted before stands in no file of the keyring any more, its logs included.
    fn settle(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
