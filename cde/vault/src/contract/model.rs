//! Both stores in memory: what they are meant to do, in the fewest words.

use crate::keystore::RootVersion;
use crate::store::{Keyring, Overdue, Purpose, Reason, Record, RecordKey, Row, Store, StoreError, Tenant, TenantKey};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use wire::Token;

type Rows = BTreeMap<Token, (Tenant, Row)>;
type TenantKeys = BTreeMap<(Tenant, Purpose, u32), TenantKey>;

/// Both stores. Clones are the same; the fields are open, so that a test can spoil them.
#[derive(Clone, Default)]
pub struct Model {
    /// The records.
    pub rows: Arc<Mutex<Rows>>,
    /// Tenants' keys by purpose and version.
    pub tenant_keys: Arc<Mutex<TenantKeys>>,
    /// Records' keys.
    pub record_keys: Arc<Mutex<BTreeMap<Token, (Tenant, RecordKey)>>>,
    /// Roots below this one are closed.
    pub open_from: Arc<Mutex<RootVersion>>,
    /// After so many more operations it dies: each then fails and does nothing. `None`: it lives.
    pub life: Arc<Mutex<Option<u32>>>,
}

impl Model {
    fn live(&self) -> Result<(), StoreError> {
        match &mut *self.life.lock().unwrap() {
            Some(0) => Err(StoreError::new("it is dead")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn kept<T>(&self, tenant: &Tenant, each: impl FnMut(&mut Record) -> Option<T>) -> Vec<T> {
        let mut rows = self.rows.lock().unwrap();
        let of_tenant = rows.values_mut().filter(|(owner, _)| owner == tenant).map(|(_, row)| row);
        of_tenant
            .filter_map(|row| if let Row::Kept(record) = row { Some(record) } else { None })
            .filter_map(each)
            .collect()
    }
}

impl Store for Model {
    async fn insert(&self, tenant: &Tenant, record: &Record) -> Result<bool, StoreError> {
        self.live()?;
        let mut rows = self.rows.lock().unwrap();
        let is_free = !rows.contains_key(&record.token);
        if is_free {
            rows.insert(record.token.clone(), (tenant.clone(), Row::Kept(record.clone())));
        }
        Ok(is_free)
    }

    async fn record(&self, tenant: &Tenant, token: &Token) -> Result<Option<Row>, StoreError> {
        self.live()?;
        let rows = self.rows.lock().unwrap();
        Ok(rows.get(token).filter(|(owner, _)| owner == tenant).map(|(_, row)| row.clone()))
    }

    async fn used(&self, tenant: &Tenant, token: &Token, now_ms: i64) -> Result<(), StoreError> {
        self.live()?;
        self.kept(tenant, |record| (record.token == *token).then(|| record.used_ms = now_ms));
        Ok(())
    }

    async fn page(&self, tenant: &Tenant, after: Option<&Token>, limit: u32) -> Result<Vec<Record>, StoreError> {
        self.live()?;
        let mut page =
            self.kept(tenant, |record| after.is_none_or(|after| record.token > *after).then(|| record.clone()));
        page.truncate(usize::try_from(limit).unwrap());
        Ok(page)
    }

    async fn overdue(&self, tenant: &Tenant, rule: Overdue, limit: u32) -> Result<Vec<Token>, StoreError> {
        self.live()?;
        let mut tokens = self.kept(tenant, |record| {
            let unused = rule.unused_since_ms.is_some_and(|since| record.used_ms < since);
            let over = record.keep_until_ms.is_some_and(|until| until < rule.now_ms);
            (unused || over).then(|| record.token.clone())
        });
        tokens.truncate(usize::try_from(limit).unwrap());
        Ok(tokens)
    }

    async fn bury(&self, tenant: &Tenant, tokens: &[Token], _: i64, _: Reason) -> Result<u64, StoreError> {
        self.live()?;
        let mut rows = self.rows.lock().unwrap();
        let mut count = 0;
        for (_, (owner, row)) in rows.iter_mut().filter(|(token, _)| tokens.contains(token)) {
            if owner == tenant && matches!(row, Row::Kept(_)) {
                *row = Row::Gone;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn bury_all(&self, tenant: &Tenant, at_ms: i64) -> Result<u64, StoreError> {
        self.live()?;
        let tokens = self.kept(tenant, |record| Some(record.token.clone()));
        self.bury(tenant, &tokens, at_ms, Reason::Shredded).await
    }

    async fn count(&self, tenant: &Tenant) -> Result<(u64, u64), StoreError> {
        self.live()?;
        let rows = self.rows.lock().unwrap();
        let all = rows.values().filter(|(owner, _)| owner == tenant);
        let (kept, gone): (Vec<_>, Vec<_>) = all.partition(|(_, row)| matches!(row, Row::Kept(_)));
        Ok((u64::try_from(kept.len()).unwrap(), u64::try_from(gone.len()).unwrap()))
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.live()?;
        Ok(())
    }
}

impl Keyring for Model {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.live()?;
        let mut tenants: Vec<_> = self.tenant_keys.lock().unwrap().keys().map(|(tenant, ..)| tenant.clone()).collect();
        tenants.dedup();
        Ok(tenants)
    }

    async fn tenant_keys(&self, tenant: &Tenant) -> Result<Vec<TenantKey>, StoreError> {
        self.live()?;
        let keys = self.tenant_keys.lock().unwrap();
        Ok(keys.iter().filter(|((owner, ..), _)| owner == tenant).map(|(_, key)| key.clone()).collect())
    }

    async fn add_tenant_keys(&self, tenant: &Tenant, new: &[TenantKey]) -> Result<bool, StoreError> {
        self.live()?;
        let mut keys = self.tenant_keys.lock().unwrap();
        let name = |key: &TenantKey| (tenant.clone(), key.purpose, key.version);
        let open_from = *self.open_from.lock().unwrap();
        if new.iter().any(|key| keys.contains_key(&name(key)) || key.root < open_from) {
            return Ok(false);
        }
        keys.extend(new.iter().map(|key| (name(key), key.clone())));
        Ok(true)
    }

    async fn rewrap_tenant_key(&self, tenant: &Tenant, from: RootVersion, key: &TenantKey) -> Result<bool, StoreError> {
        self.live()?;
        let mut keys = self.tenant_keys.lock().unwrap();
        let open_from = *self.open_from.lock().unwrap();
        let place = keys.get_mut(&(tenant.clone(), key.purpose, key.version));
        let place = place.filter(|place| place.root == from && key.root >= open_from);
        Ok(place.map(|place| *place = key.clone()).is_some())
    }

    async fn close_roots(&self, below: RootVersion) -> Result<bool, StoreError> {
        self.live()?;
        let is_free = self.tenant_keys.lock().unwrap().values().all(|key| key.root >= below);
        let mut open_from = self.open_from.lock().unwrap();
        *open_from = if is_free { below.max(*open_from) } else { *open_from };
        Ok(is_free)
    }

    async fn remove_kek(&self, tenant: &Tenant, version: u32) -> Result<bool, StoreError> {
        self.live()?;
        let in_use =
            self.record_keys.lock().unwrap().values().any(|(owner, key)| owner == tenant && key.kek == version);
        let mut keys = self.tenant_keys.lock().unwrap();
        let name = |version| (tenant.clone(), Purpose::Records, version);
        let is_old = keys.range(name(version + 1)..=name(u32::MAX)).next().is_some();
        Ok(!in_use && is_old && keys.remove(&name(version)).is_some())
    }

    async fn add_record_key(&self, tenant: &Tenant, key: &RecordKey) -> Result<bool, StoreError> {
        self.live()?;
        let mut keys = self.record_keys.lock().unwrap();
        let kek = (tenant.clone(), Purpose::Records, key.kek);
        let fits = !keys.contains_key(&key.token) && self.tenant_keys.lock().unwrap().contains_key(&kek);
        if fits {
            keys.insert(key.token.clone(), (tenant.clone(), key.clone()));
        }
        Ok(fits)
    }

    async fn record_key(&self, tenant: &Tenant, token: &Token) -> Result<Option<(RecordKey, TenantKey)>, StoreError> {
        self.live()?;
        let keys = self.record_keys.lock().unwrap();
        let Some((_, key)) = keys.get(token).filter(|(owner, _)| owner == tenant) else { return Ok(None) };
        let tenant_keys = self.tenant_keys.lock().unwrap();
        Ok(tenant_keys.get(&(tenant.clone(), Purpose::Records, key.kek)).map(|kek| (key.clone(), kek.clone())))
    }

    async fn wrapped_by(&self, tenant: &Tenant, kek: u32, limit: u32) -> Result<Vec<RecordKey>, StoreError> {
        self.live()?;
        let keys = self.record_keys.lock().unwrap();
        let all = keys.values().filter(|(owner, key)| owner == tenant && key.kek == kek);
        Ok(all.take(usize::try_from(limit).unwrap()).map(|(_, key)| key.clone()).collect())
    }

    async fn rewrap(&self, tenant: &Tenant, from: u32, new: &[RecordKey]) -> Result<u64, StoreError> {
        self.live()?;
        let mut keys = self.record_keys.lock().unwrap();
        let mut count = 0;
        for key in new {
            let place = keys.get_mut(&key.token).filter(|(owner, old)| owner == tenant && old.kek == from);
            if let Some((_, old)) = place {
                *old = key.clone();
                count += 1;
            }
        }
        Ok(count)
    }

    async fn find(&self, tenant: &Tenant, fingerprint: &[u8; 32], limit: u32) -> Result<Vec<Token>, StoreError> {
        self.live()?;
        let keys = self.record_keys.lock().unwrap();
        let all = keys.values().filter(|(owner, key)| owner == tenant && key.fingerprint == *fingerprint);
        Ok(all.take(usize::try_from(limit).unwrap()).map(|(_, key)| key.token.clone()).collect())
    }

    async fn remove(&self, tenant: &Tenant, tokens: &[Token]) -> Result<u64, StoreError> {
        self.live()?;
        let mut keys = self.record_keys.lock().unwrap();
        let before = keys.len();
        keys.retain(|token, (owner, _)| owner != tenant || !tokens.contains(token));
        Ok(u64::try_from(before - keys.len()).unwrap())
    }

    async fn remove_tenant(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        self.live()?;
        self.tenant_keys.lock().unwrap().retain(|(owner, ..), _| owner != tenant);
        let mut keys = self.record_keys.lock().unwrap();
        let before = keys.len();
        keys.retain(|_, (owner, _)| owner != tenant);
        Ok(u64::try_from(before - keys.len()).unwrap())
    }

    async fn count(&self, tenant: &Tenant) -> Result<Vec<(u32, u64)>, StoreError> {
        self.live()?;
        let mut counts = BTreeMap::new();
        for (_, key) in self.record_keys.lock().unwrap().values().filter(|(owner, _)| owner == tenant) {
            *counts.entry(key.kek).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.live()?;
        Ok(())
    }
}
