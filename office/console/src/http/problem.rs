//! The one error of the API: problem details (RFC 9457) with a stable `code`. Never repeats what was sent.

use crate::{secret::SecretError, store::StoreError};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;
use wire::Refusal;

/// Why a request was not served.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A stable word in `snake_case`.
    pub(crate) code: Cow<'static, str>,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) retry_after_s: Option<i64>,
}

/// The shape of an error (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemBody<'a> {
    /// `urn:tonewall:` and the code.
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// A stable word in `snake_case`.
    code: &'a str,
}

impl Problem {
    pub(crate) const NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here for you.");
    pub(crate) const FOR_ADMINS: Self =
        Self::new(StatusCode::FORBIDDEN, "for_admins", "Only a user with the role `admin` may see this.");
    pub(crate) const METHOD_NOT_ALLOWED: Self =
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This address does not know that method.");
    pub(crate) const INTERNAL: Self =
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed here. It has been logged.");
    pub(crate) const TOO_SLOW: Self =
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_slow", "The request took too long.");
    pub(crate) const NOT_SIGNED_IN: Self =
        Self::new(StatusCode::UNAUTHORIZED, "not_signed_in", "Sign in, or send an API key.");
    pub(crate) const KEY_REVOKED: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "key_revoked",
        "This API key was revoked. An admin makes another: tonewall user key.",
    );
    pub(crate) const LOOKS_LIKE_CARD: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "looks_like_card",
        "This looks like a card number. The caller keys the card; it is never typed here.",
    );
    pub(crate) const NOT_KNOWN_YET: Self = Self::new(
        StatusCode::GATEWAY_TIMEOUT,
        "door_timeout",
        "The card side has not answered in time. Whether it was done is shown when it is known.",
    );
    pub(crate) const DOOR_DOWN: Self = Self::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "door_down",
        "There is no connection to the card side. Nothing was done.",
    );

    pub(crate) const fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self { status, code: Cow::Borrowed(code), detail: Cow::Borrowed(detail), retry_after_s: None }
    }

    /// What was sent cannot be done as it stands.
    pub(crate) const fn unprocessable(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub(crate) fn retry_after(mut self, seconds: i64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The cde did not do it.
    pub(crate) fn refused(reason: Refusal) -> Self {
        let code = serde_json::to_value(reason).ok();
        let code = code.as_ref().and_then(serde_json::Value::as_str).unwrap_or("refused").to_owned();
        let detail = Cow::Borrowed(refusal_text(reason));
        let (status, retry_after_s) = match reason {
            Refusal::MediaFault => (StatusCode::GATEWAY_TIMEOUT, None),
            Refusal::Busy => (StatusCode::CONFLICT, Some(1)),
            _ => (StatusCode::CONFLICT, None),
        };
        let code = if reason == Refusal::MediaFault { "media_timeout".to_owned() } else { code };
        Self { status, code: code.into(), detail, retry_after_s }
    }
}

fn refusal_text(reason: Refusal) -> &'static str {
    match reason {
        Refusal::UnknownCall => "The call has ended.",
        Refusal::UnknownPayment => "This payment is not being taken on a call now.",
        Refusal::PaymentInProgress => "The call already has a payment that is not finished.",
        Refusal::WrongState => "The call is not in a state for this.",
        Refusal::FieldsMissing => "Not all fields are valid yet.",
        Refusal::OutcomePending => "The outcome is being confirmed. Do not take the payment again.",
        Refusal::AlreadyApproved => "The payment was already approved.",
        Refusal::UnknownField => "This payment does not ask for that field.",
        Refusal::BadAmount => "The amount must be above zero and not absurdly large.",
        Refusal::UnknownMerchant => "The card side does not know this merchant.",
        Refusal::CardGone => "The card was wiped because its time was up. Ask for it again.",
        Refusal::MediaFault => "The line could not be proved to be secured in time. It stays as it was.",
        Refusal::JournalFault => "The card side could not write its journal. Nothing was sent.",
        Refusal::Voided => "The whole payment was given back already.",
        Refusal::NothingToCapture => "Nothing of this payment is left to be taken.",
        Refusal::AboveApproved => "No more can be taken than was approved. Ask for less.",
        Refusal::AboveCaptured => "No more can be refunded than was taken. Ask for less.",
        Refusal::NotVoidable => "A part of this payment was taken later or refunded: refund the rest instead.",
        Refusal::Unsupported => "The gateway of this payment cannot do that.",
        Refusal::TwoPeople => "It takes two people: somebody else must confirm it.",
        Refusal::GatewayIsAsked => "The gateway is being asked and will say. Nobody needs to settle this.",
        Refusal::UnknownToken => "This merchant has no such card: it was forgotten, or never kept.",
        Refusal::NotForgetting => {
            "The card is not being forgotten: forget it first, and delete it at its gateway then."
        }
        Refusal::VaultFault => "The vault did not open the card. Nothing was sent.",
        Refusal::UnknownGateway => "The card side has no gateway of this name.",
        Refusal::NotSealed => "It was not sealed to this card side's key for this gateway and slot: seal it again.",
        Refusal::BadCredential => "The gateway's adapter does not take this credential; see the card side's log.",
        Refusal::NoReport => {
            "The gateway did not say what moved, or its key may not read the balance; see the card side's log. Nothing was taken in."
        }
        Refusal::UnknownTrunk => "The card side has no trunk of this name.",
        Refusal::NoTestNumber => "The trunk has no test_number in cde.toml. Only that number is called.",
        Refusal::Busy => "Too many things at once. Try again.",
        Refusal::NoConferences => {
            "Payments in conferences are not switched on: `on_demand.conference` of a trunk in cde.toml."
        }
        Refusal::InConference => "In a conference nothing can be masked: the agent can hear the keys.",
        Refusal::NotBounced => {
            "No route of the card side takes this: its merchant, currency, amount or way back (`bounce` of a [[route]] in cde.toml)."
        }
        Refusal::SameOrder => {
            "The same order (merchant, reference, amount) is being paid, was, or may have been. Look it up; another order has another reference."
        }
        Refusal::OrderedByAnother => {
            "Somebody else's order of this merchant and reference waits for its caller. Use a reference of your own, let them order it anew, or wait until it is paid or its time is over."
        }
        Refusal::TooManyOrders => {
            "1024 orders of yours wait for their callers. Order when the caller is about to be sent, with a shorter `valid_s`, or wait until some are over."
        }
        Refusal::NotOnDemand => {
            "The card side takes no transfers of this extension: `on_demand` of a trunk in cde.toml."
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:tonewall:{}", self.code.replace('_', "-")),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: &self.code,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, text).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed");
        Self::INTERNAL
    }
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        tracing::error!(%error, "a request failed");
        Self::INTERNAL
    }
}
