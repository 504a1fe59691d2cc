//! Users, sessions, the audit trail and idempotency keys.

use super::{Account, Claimed, Model, Row, Session, State, conflict};
use crate::{
    clock::rfc3339,
    rights::Rights,
    store::{
        StoreError,
        api_keys::{ApiKey, ApiKeys, Shown, TOUCH_MS as TOUCH_KEY_MS},
        audit::{self, Audit, AuditView, Entry},
        idempotency::{Claim, Idempotency, KEPT_MS, Key},
        sessions::{AGE_MS, IDLE_MS, LINK_MS, SESSIONS_MAX, Sessions, TOUCH_MS},
        users::{Door, FAILURES_MAX, LOCK_MS, User, UserRow, Users},
    },
};
use async_trait::async_trait;
use uuid::Uuid;
use wire::Extension;

impl State {
    fn by_email(&mut self, email: &str) -> Option<&mut Account> {
        self.users.iter_mut().find(|account| account.user.email.eq_ignore_ascii_case(email))
    }

    pub(super) fn by_id(&self, id: i64) -> Option<&User> {
        self.users.iter().map(|account| &account.user).find(|user| user.id == id)
    }

    /// Those of the user, without the ones that are longest unused.
    fn bound_sessions(&mut self, user: i64) {
        let mut own: Vec<_> = self.sessions.iter().filter(|(_, session)| session.user == user).collect();
        own.sort_by_key(|(_, session)| std::cmp::Reverse(session.used_at));
        let most = usize::try_from(SESSIONS_MAX - 1).unwrap();
        let over: Vec<String> = own.into_iter().skip(most).map(|(token, _)| token.clone()).collect();
        self.sessions.retain(|token, _| !over.contains(token));
    }

    pub(super) fn note(&mut self, entry: &Entry<'_>) {
        let view = AuditView {
            at: rfc3339(entry.at_ms),
            who: entry.who.clone(),
            api_key: entry.api_key.clone(),
            what: entry.what.to_owned(),
            result: entry.result.clone(),
            origin: entry.origin.clone(),
        };
        self.audit.push(Row { at: entry.at_ms, object: entry.object.clone(), payment: entry.payment.clone(), view });
    }

    fn rows(&self, which: impl Fn(&&Row) -> bool) -> Vec<AuditView> {
        let mut rows: Vec<&Row> = self.audit.iter().filter(which).collect();
        rows.sort_by_key(|row| row.at);
        rows.into_iter().take(usize::try_from(audit::SHOWN_MAX).unwrap()).map(|row| row.view.clone()).collect()
    }
}

#[async_trait]
impl Users for Model {
    async fn user_insert(&self, _: i64, new: &UserRow<'_>) -> Result<(), StoreError> {
        let mut state = self.state();
        let has_extension =
            |account: &Account| new.extension.is_some_and(|wanted| account.user.extension.as_ref() == Some(wanted));
        if state.by_email(new.email).is_some() || state.users.iter().any(has_extension) {
            return conflict();
        }
        let user = User {
            id: i64::try_from(state.users.len()).unwrap() + 1,
            name: new.name.to_owned(),
            email: new.email.to_owned(),
            role: new.role,
            extension: new.extension.cloned(),
            rights: new.rights.clone(),
        };
        state.users.push(Account { user, password_hash: new.password_hash.to_owned(), failures: 0, locked_until: 0 });
        Ok(())
    }

    async fn user_rights(&self, email: &str, rights: &Rights) -> Result<bool, StoreError> {
        let mut state = self.state();
        let Some(account) = state.by_email(email) else { return Ok(false) };
        account.user.rights = rights.clone();
        Ok(true)
    }

    async fn users(&self) -> Result<i64, StoreError> {
        Ok(i64::try_from(self.state().users.len()).unwrap())
    }

    async fn has_signed_in(&self, email: &str) -> Result<bool, StoreError> {
        let is_one = |AuditView { who, what, result, .. }: &AuditView| {
            who == email && what == "sign_in" && (result == "link" || result == "password")
        };
        Ok(self.state().audit.iter().any(|row| is_one(&row.view)))
    }

    async fn user_name(&self, id: i64) -> Result<Option<String>, StoreError> {
        Ok(self.state().by_id(id).map(|user| user.email.clone()))
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        Ok(self.state().by_email(email).map(|account| account.user.clone()))
    }

    async fn extension_taken(&self, extension: &Extension) -> Result<bool, StoreError> {
        Ok(self.state().users.iter().any(|account| account.user.extension.as_ref() == Some(extension)))
    }

    async fn sign_in_begin(&self, now_ms: i64, email: &str) -> Result<Door, StoreError> {
        let mut state = self.state();
        let Some(account) = state.by_email(email) else { return Ok(Door::Unknown) };
        if account.locked_until > now_ms {
            return Ok(Door::Locked(account.locked_until));
        }
        account.failures = if account.locked_until > 0 { 1 } else { account.failures + 1 };
        account.locked_until = if account.failures >= FAILURES_MAX { now_ms + LOCK_MS } else { 0 };
        Ok(Door::Try(account.user.clone(), account.password_hash.clone()))
    }

    async fn sign_in_succeeded(&self, user: i64) -> Result<(), StoreError> {
        let mut state = self.state();
        for account in state.users.iter_mut().filter(|account| account.user.id == user) {
            (account.failures, account.locked_until) = (0, 0);
        }
        Ok(())
    }
}

#[async_trait]
impl ApiKeys for Model {
    async fn api_key_insert(&self, now_ms: i64, user: i64, name: &str, key: &str) -> Result<bool, StoreError> {
        let mut state = self.state();
        let Some(owner) = state.by_id(user).map(|user| user.email.clone()) else { return conflict() };
        if state.keys.iter().any(|(_, of, known)| *of == user && known.name == name && known.revoked_at.is_none()) {
            return Ok(false);
        }
        if state.keys.iter().any(|(known, ..)| known == key) {
            return conflict();
        }
        let (id, created_at) = (i64::try_from(state.keys.len()).unwrap() + 1, rfc3339(now_ms));
        let (name, last_used_at, revoked_at, revoked_by) = (name.to_owned(), None, None, None);
        let row = ApiKey { id, name, user: owner, created_at, last_used_at, revoked_at, revoked_by };
        state.keys.push((key.to_owned(), user, row));
        Ok(true)
    }

    async fn api_key_shown(&self, now_ms: i64, key: &str, touch: bool) -> Result<Shown, StoreError> {
        let mut state = self.state();
        let Some((_, user, row)) = state.keys.iter_mut().find(|(known, ..)| known == key) else {
            return Ok(Shown::Unknown);
        };
        if row.revoked_at.is_some() {
            return Ok(Shown::Revoked(row.name.clone()));
        }
        let is_old = |at: &String| unix_ms(at) + TOUCH_KEY_MS < now_ms;
        if touch && row.last_used_at.as_ref().is_none_or(is_old) {
            row.last_used_at = Some(rfc3339(now_ms));
        }
        let (user, name) = (*user, row.name.clone());
        Ok(Shown::Good(state.by_id(user).unwrap().clone(), name))
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let mut keys: Vec<ApiKey> = self.state().keys.iter().map(|(.., row)| row.clone()).collect();
        keys.sort_by_key(|key| (key.revoked_at.is_some(), key.user.clone(), unix_ms(&key.created_at), key.id));
        Ok(keys)
    }

    async fn api_key_revoke(&self, id: i64, by: &str, entry: &Entry<'_>) -> Result<bool, StoreError> {
        let mut state = self.state();
        let is_good = |key: &&mut (String, i64, ApiKey)| key.2.id == id && key.2.revoked_at.is_none();
        let Some((.., row)) = state.keys.iter_mut().find(is_good) else { return Ok(false) };
        (row.revoked_at, row.revoked_by) = (Some(rfc3339(entry.at_ms)), Some(by.to_owned()));
        state.note(entry);
        Ok(true)
    }
}

fn unix_ms(rfc3339: &str) -> i64 {
    rfc3339.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[async_trait]
impl Sessions for Model {
    async fn session_begin(&self, now_ms: i64, user: i64, token: &str) -> Result<(), StoreError> {
        let mut state = self.state();
        let before = state.sessions.clone();
        state.sessions.retain(|_, session| session.used_at > now_ms - IDLE_MS && session.created_at > now_ms - AGE_MS);
        state.bound_sessions(user);
        if state.by_id(user).is_none() || state.sessions.contains_key(token) {
            state.sessions = before;
            return conflict();
        }
        state.sessions.insert(token.to_owned(), Session { user, created_at: now_ms, used_at: now_ms });
        Ok(())
    }

    async fn session_user(&self, now_ms: i64, token: &str, touch: bool) -> Result<Option<User>, StoreError> {
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(token) else { return Ok(None) };
        if session.used_at <= now_ms - IDLE_MS || session.created_at <= now_ms - AGE_MS {
            return Ok(None);
        }
        if touch && now_ms - session.used_at > TOUCH_MS {
            session.used_at = now_ms;
        }
        let user = session.user;
        Ok(state.by_id(user).cloned())
    }

    async fn session_end(&self, token: &str) -> Result<(), StoreError> {
        self.state().sessions.remove(token);
        Ok(())
    }

    async fn link_insert(&self, now_ms: i64, user: i64, token: &str) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.by_id(user).is_none() || state.links.contains_key(token) {
            return conflict();
        }
        state.links.insert(token.to_owned(), (user, now_ms + LINK_MS));
        Ok(())
    }

    async fn link_take(&self, now_ms: i64, token: &str) -> Result<Option<User>, StoreError> {
        let mut state = self.state();
        state.links.retain(|_, (_, until)| *until > now_ms);
        let found = state.links.remove(token);
        Ok(found.and_then(|(user, _)| state.by_id(user).cloned()))
    }
}

#[async_trait]
impl Audit for Model {
    async fn audit(&self, entry: &Entry<'_>) -> Result<(), StoreError> {
        self.state().note(entry);
        Ok(())
    }

    async fn audit_of_object(&self, object: &str) -> Result<Vec<AuditView>, StoreError> {
        Ok(self.state().rows(|row| row.object == object))
    }

    async fn audit_of_payment(&self, payment: &str) -> Result<Vec<AuditView>, StoreError> {
        Ok(self.state().rows(|row| row.payment.as_deref() == Some(payment)))
    }
}

#[async_trait]
impl Idempotency for Model {
    async fn claim(&self, now_ms: i64, key: Key<'_>, seed: Uuid, has_turn: bool) -> Result<Claim, StoreError> {
        let mut state = self.state();
        state.claims.retain(|_, claimed| claimed.created_at >= now_ms - KEPT_MS);
        let name = (key.user, key.path.to_owned(), key.key.to_owned());
        Ok(match state.claims.get(&name) {
            Some(claimed) if claimed.body_hash != key.body_hash => Claim::Mismatch,
            Some(Claimed { answer: Some((status, answer)), .. }) => Claim::Done(*status, answer.clone()),
            _ if !has_turn => Claim::Busy,
            Some(claimed) => Claim::Do(claimed.seed),
            None => {
                let body_hash = key.body_hash.to_vec();
                state.claims.insert(name, Claimed { body_hash, created_at: now_ms, seed, answer: None });
                Claim::Do(seed)
            }
        })
    }

    async fn claim_done(&self, key: Key<'_>, status: u16, answer: &str) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(claimed) = state.claims.get_mut(&(key.user, key.path.to_owned(), key.key.to_owned())) {
            claimed.answer = Some((status, answer.to_owned()));
        }
        Ok(())
    }

    async fn claim_void(&self, key: Key<'_>) -> Result<(), StoreError> {
        self.state().claims.remove(&(key.user, key.path.to_owned(), key.key.to_owned()));
        Ok(())
    }
}
