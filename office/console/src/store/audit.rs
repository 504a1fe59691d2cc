//! The audit trail: who, what, when, with what result, from where, about what. Rows are only ever added.

use super::StoreError;
use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;

/// The most rows shown with one payment.
pub(crate) const SHOWN_MAX: i64 = 500;

/// One row to be written.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) at_ms: i64,
    pub(crate) who: String,
    /// The name of the API key that was shown for them.
    pub(crate) api_key: Option<String>,
    pub(crate) what: &'a str,
    pub(crate) result: String,
    /// The network address, or the part of the system.
    pub(crate) origin: String,
    pub(crate) object: String,
    pub(crate) extension: Option<&'a str>,
    pub(crate) payment: Option<String>,
}

impl<'a> Entry<'a> {
    /// Something that the office itself did.
    pub(crate) fn system(at_ms: i64, what: &'a str, result: &str, object: &str) -> Self {
        Self {
            at_ms,
            who: "system".to_owned(),
            api_key: None,
            what,
            result: result.to_owned(),
            origin: "office".to_owned(),
            object: object.to_owned(),
            extension: None,
            payment: None,
        }
    }
}

/// One row as it is shown with its payment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AuditView {
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) who: String,
    /// The name of the API key that was shown for them; null where they were signed in themselves.
    pub(crate) api_key: Option<String>,
    pub(crate) what: String,
    pub(crate) result: String,
    pub(crate) origin: String,
}

/// The audit trail.
#[async_trait]
pub(crate) trait Audit: Send + Sync {
    /// Adds a row.
    async fn audit(&self, entry: &Entry<'_>) -> Result<(), StoreError>;

    /// The rows about an object, oldest first, at most [`SHOWN_MAX`].
    async fn audit_of_object(&self, object: &str) -> Result<Vec<AuditView>, StoreError>;

    /// The rows about a payment, oldest first, at most [`SHOWN_MAX`].
    async fn audit_of_payment(&self, payment: &str) -> Result<Vec<AuditView>, StoreError>;
}
