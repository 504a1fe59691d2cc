//! A store in memory, without a table: the second implementation, by which it is seen that the rooms of the store are not
//! SQLite by another name, and which says what is right where chance calls both.
//!
//! It is a model of meaning and not of durability.

mod access;
mod cards;
mod money;
mod people;
mod records;

use super::{StoreError, api_keys::ApiKey, audit::AuditView, users::User};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

/// A user, and what only the sign-in asks for.
#[derive(Clone)]
struct Account {
    user: User,
    password_hash: String,
    failures: i64,
    locked_until: i64,
}

#[derive(Clone)]
struct Session {
    user: i64,
    created_at: i64,
    used_at: i64,
}

/// A row of the audit trail.
#[derive(Clone)]
struct Row {
    at: i64,
    object: String,
    payment: Option<String>,
    view: AuditView,
}

/// What is known of an idempotency key.
#[derive(Clone)]
struct Claimed {
    body_hash: Vec<u8>,
    created_at: i64,
    seed: uuid::Uuid,
    /// Status and answer, when it was done.
    answer: Option<(u16, String)>,
}

#[derive(Clone, Default)]
struct State {
    users: Vec<Account>,
    /// By token.
    sessions: BTreeMap<String, Session>,
    /// By token: the user, and when it ends.
    links: BTreeMap<String, (i64, i64)>,
    /// Key, user, and what is listed.
    keys: Vec<(String, i64, ApiKey)>,
    audit: Vec<Row>,
    /// By user, path and key.
    claims: BTreeMap<(i64, String, String), Claimed>,
    money: money::Money,
}

/// The model. Its clones are one.
#[derive(Clone, Default)]
pub(super) struct Model(Arc<Mutex<State>>);

impl Model {
    /// Another one that stands as this one does.
    pub(super) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn conflict<T>() -> Result<T, StoreError> {
    Err(StoreError::Conflict(String::new()))
}
