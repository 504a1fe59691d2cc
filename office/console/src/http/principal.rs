//! Who asks: a user by session cookie, or a program by API key, which acts as its user.

use super::problem::Problem;
use crate::{
    account::API_KEY_PREFIX,
    app::App,
    clock::now_ms,
    rights::Right,
    store::{
        api_keys::Shown,
        users::{Role, User},
    },
};
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use std::{net::SocketAddr, sync::Arc};
use wire::Extension;

/// The session's cookie.
pub(crate) const COOKIE: &str = "tonewall_session";

/// Who asks, and from where.
#[derive(Clone)]
pub(crate) struct Principal {
    pub(crate) user: User,
    pub(crate) via: Via,
    pub(crate) address: Address,
}

/// How they have shown who they are.
#[derive(Clone)]
pub(crate) enum Via {
    Session(String),
    /// The key, and its name.
    Key(String, String),
}

/// The network address of the client, for the audit trail.
#[derive(Clone, Debug)]
pub(crate) struct Address(pub(crate) String);

impl Principal {
    /// Whose calls and payments they see.
    pub(crate) fn extension(&self) -> Option<&Extension> {
        self.user.extension.as_ref()
    }

    /// The name of the API key that was shown, for the audit trail.
    pub(crate) fn api_key(&self) -> Option<String> {
        match &self.via {
            Via::Session(_) => None,
            Via::Key(_, name) => Some(name.clone()),
        }
    }

    /// What concerns the installation and not one desk is for admins.
    pub(crate) fn admin(&self) -> Result<(), Problem> {
        if self.user.role == Role::Admin { Ok(()) } else { Err(Problem::FOR_ADMINS) }
    }

    /// May they do this with money?
    pub(crate) fn must_have(&self, right: Right) -> Result<(), Problem> {
        if self.user.rights.has(right) {
            return Ok(());
        }
        let detail = format!(
            "You may not do this. An admin can give you the right to it: tonewall user rights, with {} among them.",
            right.as_str()
        );
        Err(Problem { detail: detail.into(), ..Problem::new(StatusCode::FORBIDDEN, "no_right", "") })
    }

    /// Are they still who they were? Looking does not count as use of the session.
    pub(crate) async fn still(&self, app: &App) -> bool {
        let user = match &self.via {
            Via::Session(token) => app.store.session_user(now_ms(), token, false).await,
            Via::Key(key, _) => app.store.api_key_shown(now_ms(), key, false).await.map(|shown| match shown {
                Shown::Good(user, _) => Some(user),
                Shown::Revoked(_) | Shown::Unknown => None,
            }),
        };
        matches!(user, Ok(Some(user)) if user == self.user)
    }
}

impl FromRequestParts<Arc<App>> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let address = Address::from_request_parts(parts, app).await?;
        if let Some(key) = bearer(&parts.headers) {
            return match app.store.api_key_shown(now_ms(), key, true).await? {
                Shown::Good(user, name) => Ok(Self { user, via: Via::Key(key.to_owned(), name), address }),
                Shown::Unknown => Err(Problem::NOT_SIGNED_IN),
                Shown::Revoked(name) => {
                    tracing::warn!(key = %name, from = %address.0, "a revoked API key was shown");
                    Err(Problem::KEY_REVOKED)
                }
            };
        }
        let token = cookie(&parts.headers).ok_or(Problem::NOT_SIGNED_IN)?;
        if parts.method != Method::GET && parts.method != Method::HEAD {
            from_desk(&parts.headers)?;
        }
        // A browser opens its stream again by itself, so that this is no sign of somebody being there.
        let used = parts.uri.path() != super::events::PATH;
        let user = app.store.session_user(now_ms(), token, used).await?.ok_or(Problem::NOT_SIGNED_IN)?;
        Ok(Self { user, via: Via::Session(token.to_owned()), address })
    }
}

impl FromRequestParts<Arc<App>> for Address {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string())))
    }
}

/// A form or a link of another site cannot send this header.
fn from_desk(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("x-tonewall").map(|value| value.as_bytes()) {
        Some(b"1") => Ok(()),
        _ => Err(Problem::new(StatusCode::FORBIDDEN, "csrf", "The header `X-Tonewall: 1` is missing.")),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").filter(|key| key.starts_with(API_KEY_PREFIX))
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, token)| token)
}
