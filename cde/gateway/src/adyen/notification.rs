//! Adyen's standard webhook and its signature (docs.adyen.com/development-resources/webhooks/verify-hmac-signatures).

use super::answers::{Additional, Amount, approval, declined};
use super::reference;
use crate::answer::Answer;
use crate::request::Kind;
use crate::text;
use crate::webhook::{GatewayEvent, Says, WebhookError};
use aws_lc_rs::hmac;
use serde::Deserialize;
use wire::{AttemptId, DeclineClass};

/// Items of one webhook that are read.
const ITEMS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    live: String,
    notification_items: Vec<Wrapped>,
}

#[derive(Deserialize)]
struct Wrapped {
    #[serde(rename = "NotificationRequestItem")]
    item: Item,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    psp_reference: String,
    #[serde(default)]
    original_reference: String,
    merchant_account_code: String,
    merchant_reference: String,
    amount: SignedAmount,
    event_code: String,
    success: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    additional_data: Additional,
}

/// As it is signed, which is before anything is known of it.
#[derive(Deserialize)]
struct SignedAmount {
    value: i64,
    currency: String,
}

/// Every item is proved before anything of any is believed.
pub(super) fn read(key: &[u8], account: &str, is_live: bool, body: &[u8]) -> Result<Vec<GatewayEvent>, WebhookError> {
    let read = serde_json::from_slice::<Notification>(body).map_err(|_| WebhookError::Body)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let items = || read.notification_items.iter().take(ITEMS_MAX).map(|wrapped| &wrapped.item);
    if items().next().is_none() || !items().all(|item| is_genuine(&key, item)) {
        return Err(WebhookError::Signature);
    }
    let is_ours = |item: &&Item| item.merchant_account_code == account && read.live == is_live.to_string();
    Ok(items().filter(is_ours).filter_map(event).collect())
}

fn is_genuine(key: &hmac::Key, item: &Item) -> bool {
    let signed = item.additional_data.text("hmacSignature").and_then(crate::base64::decode);
    signed.is_some_and(|signature| hmac::verify(key, to_be_signed(item).as_bytes(), &signature).is_ok())
}

fn to_be_signed(item: &Item) -> String {
    [
        item.psp_reference.as_str(),
        &item.original_reference,
        &item.merchant_account_code,
        &item.merchant_reference,
        &item.amount.value.to_string(),
        &item.amount.currency,
        &item.event_code,
        &item.success,
    ]
    .join(":")
}

fn event(item: &Item) -> Option<GatewayEvent> {
    let psp = reference(&item.psp_reference)?;
    let is_done = item.success == "true";
    let code = text::name(&item.event_code)?;
    let amount = serde_json::from_value::<Amount>(serde_json::json!({
        "value": item.amount.value, "currency": item.amount.currency,
    }));
    let ended = |kind: Kind, attempt: Option<AttemptId>| {
        let answer = match (is_done, &amount, kind) {
            (false, _, Kind::Authorize | Kind::Store) => declined(refusal(&item.reason), &item.additional_data),
            (false, ..) => Answer::Declined { class: DeclineClass::Other, network_code: None, advice: None },
            (true, Ok(amount), _) => {
                let amount = Some(amount.money()).filter(|_| kind != Kind::Store);
                let of = attempt.unwrap_or(AttemptId::from_random(0));
                Answer::Approved(approval(of, psp.clone(), amount, &item.additional_data))
            }
            (true, Err(_), _) => Answer::UNKNOWN,
        };
        Says::Ended { kind, answer }
    };
    let attempt = item.merchant_reference.parse().ok();
    let (attempt, says) = match code.as_str() {
        // A payment of nothing checks and keeps a card.
        "AUTHORISATION" if item.amount.value == 0 => (attempt, ended(Kind::Store, attempt)),
        "AUTHORISATION" => (attempt, ended(Kind::Authorize, attempt)),
        // Their reference may be the payment's: the gateway's own name tells which change it is.
        "CAPTURE" => (None, ended(Kind::Capture, None)),
        "CANCELLATION" | "TECHNICAL_CANCEL" => (None, ended(Kind::Void, None)),
        "REFUND" => (None, ended(Kind::Refund, None)),
        "CAPTURE_FAILED" => (None, Says::Undone { kind: Kind::Capture }),
        "REFUND_FAILED" | "REFUNDED_REVERSED" => (None, Says::Undone { kind: Kind::Refund }),
        "NOTIFICATION_OF_CHARGEBACK" | "CHARGEBACK" => (attempt, Says::Disputed),
        _ => (None, Says::Other),
    };
    Some(GatewayEvent { id: format!("{psp}.{code}.{is_done}"), attempt, locator: Some(psp), says })
}

/// A webhook tells the reason in words (docs.adyen.com/development-resources/refusal-reasons).
fn refusal(reason: &str) -> &'static str {
    const REASONS: &[(&str, &str)] = &[
        ("Refused", "2"),
        ("Referral", "3"),
        ("Acquirer Error", "4"),
        ("Blocked Card", "5"),
        ("Expired Card", "6"),
        ("Invalid Amount", "7"),
        ("Invalid Card Number", "8"),
        ("Issuer Unavailable", "9"),
        ("Not supported", "10"),
        ("3D Not Authenticated", "11"),
        ("Not enough balance", "12"),
        ("Acquirer Fraud", "14"),
        ("FRAUD", "20"),
        ("Transaction Not Permitted", "23"),
        ("CVC Declined", "24"),
        ("Restricted Card", "25"),
        ("Revocation Of Auth", "26"),
        ("Declined Non Generic", "27"),
        ("Withdrawal amount exceeded", "28"),
        ("Withdrawal count exceeded", "29"),
        ("Issuer Suspected Fraud", "31"),
        ("AVS Declined", "32"),
        ("Authentication required", "38"),
    ];
    REASONS.iter().find(|(words, _)| words.eq_ignore_ascii_case(reason)).map_or("", |(_, code)| code)
}
