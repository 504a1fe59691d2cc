//! A request with a body: its bytes, its JSON, its idempotency key.

use super::problem::Problem;
use crate::app::App;
use axum::{
    body::Bytes,
    extract::{FromRequest, OriginalUri, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use wire::name_pan_like;

/// The longest idempotency key.
const KEY_CHARS_MAX: usize = 128;

/// A request that changes something.
pub(crate) struct Posted {
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) body: Bytes,
    json: bool,
}

impl FromRequest<Arc<App>> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let path = request.extensions().get::<OriginalUri>().map_or_else(|| request.uri().path(), |uri| uri.path());
        let path = path.to_owned();
        let (key, json) = (key(request.headers())?, is_json(request.headers()));
        let body = Bytes::from_request(request, app).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is larger than 64 KiB.")
            }
            status => Problem::new(status, "bad_body", "The body could not be read."),
        })?;
        Ok(Self { path, key, body, json })
    }
}

impl Posted {
    #[cfg(test)]
    pub(crate) fn sample(key: &str) -> Self {
        Self { path: "/p".to_owned(), key: Some(key.to_owned()), body: Bytes::new(), json: true }
    }

    /// The same where every member has a default: no body is one, too.
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(&self, expected: &'static str) -> Result<T, Problem> {
        if self.body.is_empty() { Ok(T::default()) } else { self.json(expected) }
    }

    /// The JSON of the body. An error tells the place and what is expected, never what was there.
    pub(crate) fn json<T: DeserializeOwned>(&self, expected: &'static str) -> Result<T, Problem> {
        if !self.json {
            let detail = "Send JSON, with `Content-Type: application/json`.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            if error.is_data() {
                let detail = format!("Not understood at {place}. Expected: {expected}.").into();
                Problem { detail, ..Problem::unprocessable("bad_field", "") }
            } else {
                let detail = format!("This is not JSON at {place}.").into();
                Problem { detail, ..Problem::new(StatusCode::BAD_REQUEST, "bad_json", "") }
            }
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// A key is stored, so it must not be a card number either.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if !(1..=KEY_CHARS_MAX).contains(&text.len()) {
        let detail = "An idempotency key is 1 to 128 printable ASCII characters.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_idempotency_key", detail));
    }
    if name_pan_like(text) { Err(Problem::LOOKS_LIKE_CARD) } else { Ok(Some(text.to_owned())) }
}
