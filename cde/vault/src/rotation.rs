//! New keys for old, while the vault is in use.
//!
//! How far a rotation has come is told by the keyring alone: a tenant with two KEKs, or keys of tenants that are wrapped by
//! a root key that is not the current one. So a rotation that was killed is gone on with by asking for the next step.

use crate::key::KeyError;
use crate::keystore::RootVersion;
use crate::seal;
use crate::store::{Keyring, Purpose, RecordKey, Store, Tenant, TenantKey};
use crate::vault::{BATCH, Vault, VaultError};

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Keys that this step has wrapped anew.
    pub rewrapped: u64,
    /// Keys that are still wrapped by an old one.
    pub left: u64,
    /// Nothing is left, and the old keys are gone.
    pub done: bool,
}

impl<S: Store, R: Keyring> Vault<S, R> {
    /// Begins to rotate a tenant's KEK. Where a rotation was cut off, that one is gone on with instead: false.
    pub async fn rotate_kek(&self, tenant: &Tenant) -> Result<bool, VaultError> {
        let keks = self.keks(tenant).await?;
        let [only] = keks.as_slice() else { return Ok(false) };
        let next = self.new_tenant_key(tenant, Purpose::Records, only.version.saturating_add(1))?;
        Ok(self.keyring.add_tenant_keys(tenant, &[next]).await?)
    }

    /// Wraps the next batch of record keys by the newest KEK. The old KEK is deleted when it wraps nothing any more.
    pub async fn rotate_kek_step(&self, tenant: &Tenant) -> Result<Progress, VaultError> {
        let keks = self.keks(tenant).await?;
        let (Some(old), Some(new)) = (keks.first(), keks.last()) else { return Err(VaultError::NoTenant) };
        if old.version == new.version {
            return Ok(Progress { rewrapped: 0, left: 0, done: true });
        }
        let batch = self.keyring.wrapped_by(tenant, old.version, BATCH).await?;
        let mut rewrapped = 0;
        if batch.is_empty() {
            self.keyring.remove_kek(tenant, old.version).await?;
            self.keyring.settle().await?;
        } else {
            let keys = self.rewrapped(tenant, (old, new), batch)?;
            rewrapped = self.keyring.rewrap(tenant, old.version, &keys).await?;
        }
        let counts = self.keyring.count(tenant).await?;
        let left = counts.iter().filter(|(kek, _)| *kek != new.version).map(|(_, count)| count).sum();
        let done = self.keks(tenant).await?.len() == 1;
        Ok(Progress { rewrapped, left, done })
    }

    fn rewrapped(
        &self,
        tenant: &Tenant,
        (old_row, new_row): (&TenantKey, &TenantKey),
        batch: Vec<RecordKey>,
    ) -> Result<Vec<RecordKey>, VaultError> {
        let (old, new) = (self.unwrap_tenant_key(tenant, old_row)?, self.unwrap_tenant_key(tenant, new_row)?);
        let one = |key: RecordKey| {
            let dek = old.unwrap(&seal::record_key_place(tenant, &key.token, old_row.version), &key.wrapped)?;
            let place = seal::record_key_place(tenant, &key.token, new_row.version);
            let wrapped = new.wrap(&*self.random, &place, &dek)?;
            Ok(RecordKey { kek: new_row.version, wrapped, ..key })
        };
        let keys: Result<_, KeyError> = batch.into_iter().map(one).collect();
        Ok(keys?)
    }

    /// A tenant's KEKs, oldest first.
    async fn keks(&self, tenant: &Tenant) -> Result<Vec<TenantKey>, VaultError> {
        let keys = self.keyring.tenant_keys(tenant).await?;
        let mut keks: Vec<_> = keys.into_iter().filter(|key| key.purpose == Purpose::Records).collect();
        keks.sort_by_key(|key| key.version);
        if keks.is_empty() { Err(VaultError::NoTenant) } else { Ok(keks) }
    }

    /// Begins to rotate the root key. Where a rotation was cut off, that one is gone on with instead: false.
    pub fn rotate_root(&self) -> Result<bool, VaultError> {
        let is_under_way = self.roots.roots()?.len() > 1;
        if !is_under_way {
            self.roots.add(&*self.random)?;
        }
        Ok(!is_under_way)
    }

    /// Wraps one tenant's keys by the current root. The old root is destroyed when it wraps nothing any more.
    pub async fn rotate_root_step(&self) -> Result<Progress, VaultError> {
        let current = self.roots.current()?;
        let mut old = Vec::new();
        for tenant in self.keyring.tenants().await? {
            let keys = self.keyring.tenant_keys(&tenant).await?;
            old.extend(keys.into_iter().filter(|key| key.root != current).map(|key| (tenant.clone(), key)));
        }
        let left = u64::try_from(old.len()).unwrap_or(u64::MAX);
        let Some((tenant, row)) = old.first() else {
            // A key may have been added since; and one that is on its way, wrapped by an old root, must not come in later.
            let done = self.keyring.close_roots(current).await?;
            if done {
                self.keyring.settle().await?;
                self.retire_all_but(current)?;
            }
            return Ok(Progress { rewrapped: 0, left: 0, done });
        };
        let key = self.unwrap_tenant_key(tenant, row)?;
        let wrapped = self.wrap_tenant_key(tenant, (row.purpose, row.version), current, &key)?;
        let did = self.keyring.rewrap_tenant_key(tenant, row.root, &wrapped).await?;
        Ok(Progress { rewrapped: u64::from(did), left: left.saturating_sub(1), done: false })
    }

    fn retire_all_but(&self, current: RootVersion) -> Result<(), VaultError> {
        for root in self.roots.roots()? {
            if root != current {
                self.roots.retire(root)?;
            }
        }
        Ok(())
    }
}
