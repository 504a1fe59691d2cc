//! Adyen: Checkout API 71 (docs.adyen.com/api-explorer/Checkout/71), flagged as telephone orders by `shopperInteraction`
//! (docs.adyen.com/unified-commerce/mail-order-telephone-order). The account must be allowed to send card numbers.
//!
//! Captures, cancels and refunds are only received by an answer; how they ended is said by a webhook. What became of a
//! payment cannot be asked for: where its answer is lost, its webhook settles it, else people do. So this adapter needs
//! Adyen's standard webhook, signed (HMAC).

mod answers;
mod body;
mod decline;
mod notification;

use crate::adapter::{Adapter, Brands, Caps, Currencies, Idempotency, Inquiry, Moto};
use crate::answer::Answer;
use crate::http::{Body, HttpRequest, Method, Sent};
use crate::key::{KeyError, Mode};
use crate::request::{Operation, Request};
use crate::text;
use crate::webhook::{GatewayEvent, Headers, WebhookError};
use zeroize::Zeroizing;

/// Currencies in which Adyen counts as ISO 4217 does; it counts CLP, CVE, IDR and ISK otherwise
/// (docs.adyen.com/development-resources/currency-codes).
const CURRENCIES: &[&str] = &[
    "AED", "AUD", "BGN", "BHD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR",
    "JPY", "KRW", "KWD", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SAR", "SEK", "SGD", "THB", "TRY", "USD",
    "ZAR",
];

const CAPS: Caps = Caps {
    name: "adyen",
    moto: Moto::Flag,
    // Docs: at least 7 days.
    idempotency: Idempotency::Key { hours: 168 },
    inquiry: Inquiry::None,
    settle_ms: 0,
    capture_later: true,
    partial_capture: true,
    captures_max: 1,
    void: true,
    refund: true,
    partial_refund: true,
    partial_approval: false,
    avs: true,
    cvv: true,
    tokens: true,
    mit: true,
    currencies: Currencies::Only(CURRENCIES),
    brands: Brands::Any,
    live: false,
    verified: true,
};

/// The adapter.
pub struct Adyen {
    key: Zeroizing<String>,
    merchant_account: String,
    webhook_key: Option<Zeroizing<Vec<u8>>>,
    caps: Caps,
}

impl Adyen {
    /// With an API key, the name of the merchant account, and the HMAC key of its webhook (hexadecimal, as Adyen shows
    /// it). Whether it moves money is a matter of the host that it is sent to: Adyen's keys do not tell.
    pub fn new(
        key: String,
        merchant_account: String,
        webhook_key: Option<String>,
        mode: Mode,
    ) -> Result<Self, KeyError> {
        let key = Zeroizing::new(key);
        if key.len() < 16 || !key.chars().all(|c| c.is_ascii_graphic()) {
            return Err(KeyError::NotAKey { expected: "an API key of Adyen's" });
        }
        let webhook_key = webhook_key.map(Zeroizing::new).map(|hex| {
            crate::hex::decode(&hex)
                .map(Zeroizing::new)
                .ok_or(KeyError::NotAKey { expected: "an HMAC key of Adyen's in its webhook_key" })
        });
        let caps = Caps { live: mode == Mode::Live, ..CAPS };
        Ok(Self { key, merchant_account, webhook_key: webhook_key.transpose()?, caps })
    }

    fn post(&self, operation: Operation, path: String, body: Body, of: &str) -> HttpRequest {
        let Operation { attempt, amount, .. } = operation;
        let amount = amount.map(|amount| format!(" {} {}", amount.minor, amount.currency.code())).unwrap_or_default();
        HttpRequest {
            method: Method::Post,
            path,
            headers: vec![
                ("x-api-key", self.key.to_string()),
                ("content-type", "application/json".to_owned()),
                ("accept", "application/json".to_owned()),
                ("idempotency-key", attempt.to_string()),
            ],
            body,
            summary: format!("{attempt}{amount}{of}"),
        }
    }
}

impl Adapter for Adyen {
    fn build(&self, request: &Request<'_>) -> HttpRequest {
        let (operation, account) = (request.operation(), self.merchant_account.as_str());
        let payments = |body: Body, merchant: &wire::MerchantId| {
            self.post(operation, "/payments".to_owned(), body, &format!(" {merchant}"))
        };
        match *request {
            Request::Authorize { attempt, amount, card, merchant, terms } => {
                payments(body::charge(account, attempt, amount, card, terms), merchant)
            }
            Request::Store { attempt, card, merchant, terms } => {
                payments(body::store(account, attempt, card, terms), merchant)
            }
            Request::ChargeStored { attempt, amount, token, merchant, terms } => {
                payments(body::charge_stored(account, attempt, amount, token, terms), merchant)
            }
            Request::Capture { attempt, amount, of, .. } => {
                let path = format!("/payments/{}/captures", segment(of.gateway_ref));
                self.post(operation, path, body::change(account, attempt, Some(amount), None), "")
            }
            Request::Void { attempt, of, .. } => {
                let path = format!("/payments/{}/cancels", segment(of.gateway_ref));
                self.post(operation, path, body::change(account, attempt, None, None), "")
            }
            Request::Refund { attempt, amount, of, .. } => {
                let path = format!("/payments/{}/refunds", segment(of.gateway_ref));
                self.post(operation, path, body::change(account, attempt, Some(amount), of.capture_ref), "")
            }
            Request::DeleteStored { token, .. } => {
                let (shopper, method) = token_parts(token).unwrap_or(("-", "-"));
                let query = format!("merchantAccount={}&shopperReference={shopper}", crate::form::escape(account));
                let mut request =
                    self.post(operation, format!("/storedPaymentMethods/{method}?{query}"), Body::empty(), "");
                request.method = Method::Delete;
                request
            }
            Request::Inquire { .. } => self.post(operation, "/-".to_owned(), Body::empty(), ""),
        }
    }

    fn parse(&self, operation: Operation, sent: Sent) -> Answer {
        answers::parse(operation, sent)
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn verify_webhook(
        &self,
        _headers: &Headers<'_>,
        body: &[u8],
        _now_unix_ms: i64,
    ) -> Result<Vec<GatewayEvent>, WebhookError> {
        let key = self.webhook_key.as_ref().ok_or(WebhookError::NoSecret)?;
        notification::read(key, &self.merchant_account, self.caps.live, body)
    }
}

/// A name of Adyen's in a path; one that is none is replaced by what Adyen does not know.
fn segment(name: &str) -> String {
    text::name(name).map_or("-".to_owned(), |name| name.replace(JOINT, ""))
}

/// Adyen's own names have none.
const JOINT: char = '_';
/// Shorter than any card number.
const PIECE_CHARS: usize = 6;

/// Adyen's name of a payment. Where one of all digits looks like a card number, as some do by chance, it is written in
/// pieces, `881565_896176_5250`: it would be taken for one wherever we look for them.
fn reference(psp: &str) -> Option<String> {
    let pieces = || {
        let letters: Vec<char> = psp.chars().collect();
        letters.chunks(PIECE_CHARS).map(|piece| piece.iter().collect()).collect::<Vec<String>>().join("_")
    };
    let is_adyens = psp.len() <= 32 && psp.chars().all(|c| c.is_ascii_alphanumeric());
    text::name(psp).or_else(|| text::name(&pieces())).filter(|_| is_adyens)
}

/// Our token: a kept card can only be charged together with its shopper's reference.
fn token(shopper: &str, method: &str) -> Option<String> {
    text::name(&format!("{shopper}.{method}"))
}

fn token_parts(token: &str) -> Option<(&str, &str)> {
    token.split_once('.').filter(|_| text::name(token).is_some())
}
