//! Credentials of gateways: given by an admin, sealed before they come here, and never given back.

use super::{
    command::{Asked, Reply, ask, ask_for, once},
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{app::App, clock::rfc3339};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{Action, CallId, CommandResult, CredentialSlot, CredentialSource, Sealed};

/// Gateways, and what a credential for them is to be sealed to.
#[derive(Serialize, ToSchema)]
pub(crate) struct Gateways {
    /// The card side's public key, hexadecimal: for `tonewall credential seal --to`. Null where there is no vault to open what is sealed.
    seal_to: Option<String>,
    gateways: Vec<Gateway>,
}

/// One gateway of `cde.toml`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Gateway {
    name: String,
    /// Does it take its credentials from here (`key_from_office` in `cde.toml`)?
    from_office: bool,
    credentials: Vec<Credential>,
}

/// What may be said of a credential.
#[derive(Serialize, ToSchema)]
pub(crate) struct Credential {
    /// `key` or `webhook_key`.
    slot: &'static str,
    /// `file` or `environment`, which `cde.toml` names; `office`; or `none`.
    source: &'static str,
    /// RFC 3339.
    set_at: Option<String>,
    /// Who gave it.
    set_by: Option<String>,
    /// Two of the same secret have the same one; the secret cannot be told from it.
    fingerprint: Option<String>,
}

/// A credential.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialBody {
    /// `key` or `webhook_key`.
    #[schema(value_type = String)]
    slot: CredentialSlot,
    /// What `tonewall credential seal` has printed: hexadecimal. A credential in the clear is refused.
    #[schema(value_type = String)]
    sealed: Sealed,
}

/// It is there, and used from now on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Given {
    gateway: String,
    slot: &'static str,
}

/// Every gateway, and where its credentials come from. No credential is ever shown. Admins only.
#[utoipa::path(get, path = "/api/v1/gateways", tag = "gateways", responses(
    (status = 200, body = Gateways),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn list(State(app): State<Arc<App>>, who: Principal) -> Result<Reply, Problem> {
    who.admin()?;
    let asked = Asked {
        seed: Uuid::now_v7(),
        call: CallId(Uuid::nil()),
        payment: None,
        what: "gateways_seen",
        action: Action::Gateways,
    };
    let (CommandResult::Gateways { seal_to, gateways }, _) = ask_for(&app, &who, asked).await? else {
        return Err(Problem::INTERNAL);
    };
    let mut shown = Vec::with_capacity(gateways.len());
    for gateway in gateways {
        let mut credentials = Vec::with_capacity(gateway.credentials.len());
        for one in gateway.credentials {
            credentials.push(Credential {
                slot: one.slot.as_str(),
                source: source(one.source),
                set_at: one.set_unix_ms.map(rfc3339),
                set_by: match one.set_by {
                    Some(id) => Some(app.store.user_name(id).await?.unwrap_or_else(|| format!("user {id}"))),
                    None => None,
                },
                fingerprint: one.fingerprint,
            });
        }
        shown.push(Gateway { name: gateway.name, from_office: gateway.from_office, credentials });
    }
    Reply::new(StatusCode::OK, &Gateways { seal_to, gateways: shown })
}

/// Give a gateway a credential, sealed to `seal_to`. It replaces the one before at once, and stays over restarts. Admins only.
#[utoipa::path(post, path = "/api/v1/gateways/{gateway}/credential", tag = "gateways", request_body = CredentialBody,
    params(("gateway" = String, Path, description = "Its name"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = Given),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`for_admins`"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json",
        description = "`unknown_gateway`, `unsupported` (without `key_from_office`), `not_sealed`, `bad_credential`, `vault_fault`"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn give(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(gateway): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.admin()?;
    let CredentialBody { slot, sealed } = posted.json("slot (key, webhook_key) and sealed (hexadecimal)")?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let action = Action::SetCredential { gateway: gateway.clone(), slot, sealed };
        let asked = Asked { seed, call: CallId(Uuid::nil()), payment: None, what: "credential_given", action };
        ask(&work, &name, asked).await?;
        Reply::new(StatusCode::OK, &Given { gateway, slot: slot.as_str() })
    })
    .await
}

fn source(source: CredentialSource) -> &'static str {
    match source {
        CredentialSource::File => "file",
        CredentialSource::Environment => "environment",
        CredentialSource::Office => "office",
        CredentialSource::None => "none",
    }
}
