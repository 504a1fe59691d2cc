//! Storing, opening, finding, shredding and purging cards.

use crate::key::{Key, KeyError};
use crate::keystore::{KeyStore, KeyStoreError};
use crate::random::{NoRandomness, Random};
use crate::seal;
use crate::store::{Keyring, Overdue, Purpose, Reason, Record, RecordKey, Row, Store, StoreError, Tenant, TenantKey};
use card::{Expiry, Pan};
use wire::Token;

/// Draws of a token before the random source is taken for broken; each fails once in ten.
const DRAWS_MAX: u32 = 100;
/// Tries to have a tenant's keys while KEKs or roots are being rotated: each needs a rotation that begins and ends meanwhile.
const TRIES_MAX: u32 = 5;
/// A card's last use is written down at most this often.
const USED_EVERY_MS: i64 = 24 * 60 * 60 * 1000;
/// Cards shredded with one commit.
pub(crate) const BATCH: u32 = 500;
/// The most tokens of one card that are found.
const FOUND_MAX: u32 = 1000;

/// Why the vault did not do it. No message tells anything of a card.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The tenant has no keys, or has been shredded.
    #[error("there is no such tenant in the vault: make it with `tonewall vault init --tenant NAME`")]
    NoTenant,
    /// The token was never given out by this tenant.
    #[error("there is no such token")]
    NoToken,
    /// The card is no more.
    #[error("the card of this token was shredded or purged: it cannot be had back; ask for the card again")]
    Gone,
    /// A record or a wrapped key is not what was written, or stands in another's place.
    #[error("refused: a record or a key was changed, or put in another's place; restore the records from a backup")]
    Refused,
    /// The token is taken.
    #[error("the token is taken")]
    Taken,
    /// No tries are left.
    #[error("the vault's keys change too fast; try again")]
    Busy,
    /// The root key's keeper.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// A database.
    #[error("the vault's database: {0}")]
    Store(#[from] StoreError),
    /// No locked memory.
    #[error(transparent)]
    Exhausted(#[from] memory::Exhausted),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Was the root retired after the row was read that it had wrapped? By then the row had a newer one: it is read again.
fn is_overtaken(error: &VaultError) -> bool {
    matches!(error, VaultError::KeyStore(KeyStoreError::NoRoot(_)))
}

impl From<KeyError> for VaultError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Refused => Self::Refused,
            KeyError::NoRandomness(error) => Self::NoRandomness(error),
            KeyError::Exhausted(error) => Self::Exhausted(error),
        }
    }
}

/// What a card is known by without knowing it: HMAC-SHA-256 by a key of the tenant. Not a secret by itself, and of no
/// use to who has not that key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

/// What a shredding did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shred {
    /// Keys of records that were deleted.
    pub keys: u64,
    /// Records whose ciphertext was removed.
    pub records: u64,
}

/// What a purge did to one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Their tokens, in the order they went.
    pub tokens: Vec<Token>,
    /// Is there more to do?
    pub more: bool,
}

/// A fresh token: 120 random bits that look like no card.
pub fn draw(random: &dyn Random) -> Result<Token, NoRandomness> {
    for _ in 0..DRAWS_MAX {
        let mut bytes = [0; Token::BYTES];
        random.fill(&mut bytes)?;
        if let Some(token) = Token::from_random(&bytes) {
            return Ok(token);
        }
    }
    Err(NoRandomness)
}

/// The vault. It keeps no key between two calls.
pub struct Vault<S, R> {
    pub(crate) store: S,
    pub(crate) keyring: R,
    pub(crate) roots: Box<dyn KeyStore>,
    pub(crate) random: Box<dyn Random>,
}

impl<S: Store, R: Keyring> Vault<S, R> {
    /// Over its stores.
    pub fn new(store: S, keyring: R, roots: Box<dyn KeyStore>, random: Box<dyn Random>) -> Self {
        Self { store, keyring, roots, random }
    }

    /// The records.
    pub fn records(&self) -> &S {
        &self.store
    }

    /// The wrapped keys.
    pub fn keyring(&self) -> &R {
        &self.keyring
    }

    /// The root's keeper.
    pub fn key_store(&self) -> &dyn KeyStore {
        &*self.roots
    }

    /// Gives a tenant its keys; false when it has them.
    pub async fn found(&self, tenant: &Tenant) -> Result<bool, VaultError> {
        let kek = self.new_tenant_key(tenant, Purpose::Records, 1)?;
        let fingerprints = self.new_tenant_key(tenant, Purpose::Fingerprints, 1)?;
        Ok(self.keyring.add_tenant_keys(tenant, &[kek, fingerprints]).await?)
    }

    /// Stores a card; the token is all that is needed to have it again. The same card stored twice has two tokens.
    pub async fn store(
        &self,
        now_ms: i64,
        tenant: &Tenant,
        pan: &Pan,
        expiry: &Expiry,
        keep_until_ms: Option<i64>,
    ) -> Result<Token, VaultError> {
        let token = self.draw()?;
        self.store_as(now_ms, (tenant, &token), (pan, expiry), keep_until_ms).await?;
        Ok(token)
    }

    /// Stores a card under a token that exists elsewhere: of another vault, or written down by whoever must find the card again
    /// after dying in the middle of this. The key first: without a record it is of no use to anybody.
    pub async fn store_as(
        &self,
        now_ms: i64,
        (tenant, token): (&Tenant, &Token),
        card: (&Pan, &Expiry),
        keep_until_ms: Option<i64>,
    ) -> Result<(), VaultError> {
        let record = self.add_key(now_ms, (tenant, token), card, keep_until_ms).await?;
        match self.store.insert(tenant, &record).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.keyring.remove(tenant, std::slice::from_ref(token)).await?;
                Err(VaultError::Taken)
            }
            Err(error) => {
                // The store has failed already; what this leaves is a key of nothing.
                let _ = self.keyring.remove(tenant, std::slice::from_ref(token)).await;
                Err(error.into())
            }
        }
    }

    /// Stores a card whose storing was cut off after its key was written: with that key. False: there is a record now.
    pub(crate) async fn store_on(
        &self,
        now_ms: i64,
        (tenant, token): (&Tenant, &Token),
        card: (&Pan, &Expiry),
        keep_until_ms: Option<i64>,
    ) -> Result<bool, VaultError> {
        let (key, kek) = self.record_key(tenant, token).await?.ok_or(VaultError::NoToken)?;
        let dek = kek.unwrap(&seal::record_key_place(tenant, token, key.kek), &key.wrapped)?;
        let (pan, expiry) = seal::seal_card(&dek, &*self.random, (tenant, token), card)?;
        let token = token.clone();
        let record = Record { token, pan, expiry, stored_ms: now_ms, used_ms: now_ms, keep_until_ms };
        Ok(self.store.insert(tenant, &record).await?)
    }

    async fn add_key(
        &self,
        now_ms: i64,
        (tenant, token): (&Tenant, &Token),
        (pan, expiry): (&Pan, &Expiry),
        keep_until_ms: Option<i64>,
    ) -> Result<Record, VaultError> {
        for attempt in 1..=TRIES_MAX {
            let keys = self.keyring.tenant_keys(tenant).await?;
            let opened = self.newest(tenant, &keys, Purpose::Records);
            let opened = opened.and_then(|kek| Ok((kek, self.fingerprint_by(tenant, &keys, pan)?)));
            let ((kek_row, kek), fingerprint) = match opened {
                Err(error) if is_overtaken(&error) && attempt < TRIES_MAX => continue,
                opened => opened?,
            };
            let random = &*self.random;
            let dek = Key::random(random)?;
            let (sealed_pan, sealed_expiry) = seal::seal_card(&dek, random, (tenant, token), (pan, expiry))?;
            let wrapped = kek.wrap(random, &seal::record_key_place(tenant, token, kek_row.version), &dek)?;
            let key = RecordKey { token: token.clone(), kek: kek_row.version, wrapped, fingerprint: fingerprint.0 };
            if self.keyring.add_record_key(tenant, &key).await? {
                let (token, used_ms) = (token.clone(), now_ms);
                let (pan, expiry) = (sealed_pan, sealed_expiry);
                return Ok(Record { token, pan, expiry, stored_ms: now_ms, used_ms, keep_until_ms });
            }
            if self.keyring.record_key(tenant, token).await?.is_some() {
                return Err(VaultError::Taken);
            }
            // The KEK was rotated away meanwhile: once more with the new one.
        }
        Err(VaultError::Busy)
    }

    /// Opens a card.
    pub async fn open(&self, now_ms: i64, tenant: &Tenant, token: &Token) -> Result<(Pan, Expiry), VaultError> {
        let Some((key, kek)) = self.record_key(tenant, token).await? else {
            return Err(self.why_not(tenant, token).await?);
        };
        let record = match self.store.record(tenant, token).await? {
            Some(Row::Kept(record)) => record,
            Some(Row::Gone) => return Err(VaultError::Gone),
            // Its storing was cut off before anybody was told of the token.
            None => return Err(VaultError::NoToken),
        };
        let dek = kek.unwrap(&seal::record_key_place(tenant, token, key.kek), &key.wrapped)?;
        let card = seal::open_card(&dek, (tenant, token), (&record.pan, &record.expiry))?;
        if now_ms.saturating_sub(record.used_ms) >= USED_EVERY_MS {
            self.store.used(tenant, token, now_ms).await?;
        }
        Ok(card)
    }

    /// Can the card of this token be opened?
    pub async fn holds(&self, tenant: &Tenant, token: &Token) -> Result<bool, VaultError> {
        let has_key = self.keyring.record_key(tenant, token).await?.is_some();
        Ok(has_key && matches!(self.store.record(tenant, token).await?, Some(Row::Kept(_))))
    }

    /// The token that a card has had for longest, if it is stored. Not a fingerprint: it is random, and says nothing to who has
    /// the tenant's keys either.
    pub async fn oldest(&self, tenant: &Tenant, pan: &Pan) -> Result<Option<Token>, VaultError> {
        let mut oldest: Option<(i64, Token)> = None;
        for token in self.find(tenant, pan).await? {
            let Some(Row::Kept(record)) = self.store.record(tenant, &token).await? else { continue };
            if oldest.as_ref().is_none_or(|(stored_ms, other)| (record.stored_ms, &token) < (*stored_ms, other)) {
                oldest = Some((record.stored_ms, token));
            }
        }
        Ok(oldest.map(|(_, token)| token))
    }

    async fn why_not(&self, tenant: &Tenant, token: &Token) -> Result<VaultError, VaultError> {
        if self.store.record(tenant, token).await?.is_some() {
            return Ok(VaultError::Gone);
        }
        let known = !self.keyring.tenant_keys(tenant).await?.is_empty();
        Ok(if known { VaultError::NoToken } else { VaultError::NoTenant })
    }

    /// What this tenant knows the card by.
    pub async fn fingerprint(&self, tenant: &Tenant, pan: &Pan) -> Result<Fingerprint, VaultError> {
        let mut attempt = 1;
        loop {
            let keys = self.keyring.tenant_keys(tenant).await?;
            match self.fingerprint_by(tenant, &keys, pan) {
                Err(error) if is_overtaken(&error) && attempt < TRIES_MAX => attempt += 1,
                fingerprint => return fingerprint,
            }
        }
    }

    /// The tokens of a card, if it is stored.
    pub async fn find(&self, tenant: &Tenant, pan: &Pan) -> Result<Vec<Token>, VaultError> {
        let fingerprint = self.fingerprint(tenant, pan).await?;
        Ok(self.keyring.find(tenant, &fingerprint.0, FOUND_MAX).await?)
    }

    /// Shreds cards: their keys are deleted for good, then their ciphertext. When it returns, neither stands in any file
    /// of ours. Tokens that are not there are passed over, so that it can be done again after it was cut off.
    pub async fn shred(
        &self,
        now_ms: i64,
        tenant: &Tenant,
        tokens: &[Token],
        reason: Reason,
    ) -> Result<Shred, VaultError> {
        let keys = self.keyring.remove(tenant, tokens).await?;
        self.keyring.settle().await?;
        let records = self.store.bury(tenant, tokens, now_ms, reason).await?;
        self.store.settle().await?;
        Ok(Shred { keys, records })
    }

    /// Shreds a tenant: every key of it and of its cards is deleted for good, then the ciphertext.
    pub async fn shred_tenant(&self, now_ms: i64, tenant: &Tenant) -> Result<Shred, VaultError> {
        let keys = self.keyring.remove_tenant(tenant).await?;
        self.keyring.settle().await?;
        let records = self.store.bury_all(tenant, now_ms).await?;
        self.store.settle().await?;
        Ok(Shred { keys, records })
    }

    /// Shreds a batch of the cards whose time is over.
    pub async fn purge(&self, tenant: &Tenant, rule: Overdue) -> Result<Purged, VaultError> {
        let tokens = self.store.overdue(tenant, rule, BATCH).await?;
        if tokens.is_empty() {
            return Ok(Purged { tokens, more: false });
        }
        self.shred(rule.now_ms, tenant, &tokens, Reason::Retention).await?;
        let more = tokens.len() == usize::try_from(BATCH).unwrap_or(usize::MAX);
        Ok(Purged { tokens, more })
    }

    /// A card's wrapped key, and the KEK that opens it.
    async fn record_key(&self, tenant: &Tenant, token: &Token) -> Result<Option<(RecordKey, Key)>, VaultError> {
        let mut attempt = 1;
        loop {
            let Some((key, row)) = self.keyring.record_key(tenant, token).await? else { return Ok(None) };
            match self.unwrap_tenant_key(tenant, &row) {
                Err(error) if is_overtaken(&error) && attempt < TRIES_MAX => attempt += 1,
                kek => return Ok(Some((key, kek?))),
            }
        }
    }

    fn draw(&self) -> Result<Token, VaultError> {
        Ok(draw(&*self.random)?)
    }

    fn fingerprint_by(&self, tenant: &Tenant, keys: &[TenantKey], pan: &Pan) -> Result<Fingerprint, VaultError> {
        let (_, key) = self.newest(tenant, keys, Purpose::Fingerprints)?;
        Ok(Fingerprint(pan.expose(|digits| key.hmac(digits))))
    }

    /// The newest key of a tenant for a purpose, opened.
    pub(crate) fn newest<'a>(
        &self,
        tenant: &Tenant,
        keys: &'a [TenantKey],
        purpose: Purpose,
    ) -> Result<(&'a TenantKey, Key), VaultError> {
        let row = keys.iter().filter(|key| key.purpose == purpose).max_by_key(|key| key.version);
        let row = row.ok_or(VaultError::NoTenant)?;
        Ok((row, self.unwrap_tenant_key(tenant, row)?))
    }

    /// A tenant's key, opened by its root.
    pub(crate) fn unwrap_tenant_key(&self, tenant: &Tenant, row: &TenantKey) -> Result<Key, VaultError> {
        let place = seal::tenant_key_place(tenant, row.purpose, row.version, row.root);
        match self.roots.unwrap(row.root, &place, &row.wrapped) {
            Err(KeyStoreError::Key(error)) => Err(error.into()),
            opened => Ok(opened?),
        }
    }

    /// A fresh key of a tenant, wrapped by the current root.
    pub(crate) fn new_tenant_key(
        &self,
        tenant: &Tenant,
        purpose: Purpose,
        version: u32,
    ) -> Result<TenantKey, VaultError> {
        let key = Key::random(&*self.random)?;
        self.wrap_tenant_key(tenant, (purpose, version), self.roots.current()?, &key)
    }

    pub(crate) fn wrap_tenant_key(
        &self,
        tenant: &Tenant,
        (purpose, version): (Purpose, u32),
        root: u32,
        key: &Key,
    ) -> Result<TenantKey, VaultError> {
        let place = seal::tenant_key_place(tenant, purpose, version, root);
        let wrapped = self.roots.wrap(root, &place, key, &*self.random)?;
        Ok(TenantKey { purpose, version, root, wrapped })
    }
}
