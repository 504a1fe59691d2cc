//! What the answers to an operation's own requests mean.

use super::decline;
use super::objects::{Failed, Named, PaymentError, PaymentIntent, Refund, SetupIntent};
use super::token;
use crate::answer::{Advice, Answer, Approval};
use crate::http::{ANSWER_BYTES_MAX, Sent};
use crate::request::{Kind, Operation};
use crate::text;
use serde::de::DeserializeOwned;
use wire::{DeclineClass, Money};

/// What a request before the last one made. Nothing was charged yet, so whatever else came of it is no more than "not
/// executed", but for a card that Stripe will not have.
pub(super) fn name_of_step(sent: Sent) -> Result<String, Answer> {
    let Sent::Response { status, body } = sent else { return Err(Answer::Rejected) };
    if body.len() > ANSWER_BYTES_MAX {
        return Err(Answer::Rejected);
    }
    match status {
        200 => read::<Named>(&body).and_then(|made| text::name(&made.id?)).ok_or(Answer::Rejected),
        402 => Err(card_error(&body).map_or(Answer::Rejected, |error| declined(&error))),
        _ => Err(Answer::Rejected),
    }
}

/// The answer to an operation's last request. `intent` is the PaymentIntent that it is about, where that is known.
pub(super) fn last(operation: Operation, sent: Sent, intent: Option<&str>) -> Answer {
    let unknown = || Answer::Unknown { locator: intent.map(str::to_owned) };
    match sent {
        // An inquiry that was not sent says nothing of the charge.
        Sent::NotSent if !operation.is_inquiry() => Answer::Rejected,
        Sent::NotSent | Sent::Broken => unknown(),
        Sent::Response { body, .. } if body.len() > ANSWER_BYTES_MAX => unknown(),
        Sent::Response { status: 200, body } => done(operation, &body).unwrap_or_else(unknown),
        Sent::Response { .. } if operation.is_inquiry() => unknown(),
        Sent::Response { status, body } => failed(operation, status, &body).unwrap_or_else(unknown),
    }
}

/// An object that says how it went; none where it speaks of something else.
pub(super) fn done(operation: Operation, body: &[u8]) -> Option<Answer> {
    match operation.kind {
        Kind::Authorize | Kind::ChargeStored => charged(operation, &read(body)?),
        Kind::Capture => captured(operation, &read(body)?),
        Kind::Void => voided(operation, &read(body)?),
        Kind::Refund => refunded(operation, &read(body)?),
        Kind::Store => stored(operation, &read(body)?),
        Kind::DeleteStored => forgotten(&read(body)?),
    }
}

/// A PaymentIntent of a charge.
pub(super) fn charged(operation: Operation, intent: &PaymentIntent) -> Option<Answer> {
    let reference = intent.metadata.attempt()?;
    let name = text::name(&intent.id)?;
    // Of what was asked, the whole: a later capture may have taken less.
    if reference != operation.attempt || intent.asked() != operation.amount {
        return None;
    }
    match intent.status.as_str() {
        "succeeded" | "requires_capture" => {
            let amount = intent.approved()?;
            operation.agrees(reference, Some(amount)).then(|| Answer::Approved(approval(intent, name, Some(amount))))
        }
        "processing" => Some(Answer::Pending { locator: Some(name) }),
        "requires_action" => Some(Answer::ActionRequired),
        "requires_payment_method" => intent.last_payment_error.as_ref().map(declined),
        _ => None,
    }
}

fn approval(intent: &PaymentIntent, gateway_ref: String, amount: Option<Money>) -> Approval {
    let card = intent.card();
    let clean = |text: Option<&String>| text.map(|text| text::clean(text)).filter(|text| !text.is_empty());
    let is_kept = intent.setup_future_usage.as_deref() == Some("off_session");
    let kept = intent.customer.as_deref().zip(intent.payment_method.as_deref()).filter(|_| is_kept);
    Approval {
        auth_code: clean(card.and_then(|card| card.authorization_code.as_ref())).unwrap_or_default(),
        gateway_ref,
        amount,
        network_transaction_id: clean(card.and_then(|card| card.network_transaction_id.as_ref())),
        checks: card.map(super::objects::ChargedCard::checks).unwrap_or_default(),
        token: kept.and_then(|(customer, method)| token(customer, method)),
    }
}

/// The PaymentIntent was asked for by its name, and holds the authorization's attempt, not the capture's.
pub(super) fn captured(operation: Operation, intent: &PaymentIntent) -> Option<Answer> {
    let amount = intent.approved().filter(|amount| Some(*amount) == operation.amount)?;
    let is_taken = intent.status == "succeeded";
    is_taken.then_some(Answer::Approved(approval(intent, text::name(&intent.id)?, Some(amount))))
}

pub(super) fn voided(operation: Operation, intent: &PaymentIntent) -> Option<Answer> {
    let is_void = intent.status == "canceled" && intent.asked() == operation.amount;
    is_void.then_some(Answer::Approved(approval(intent, text::name(&intent.id)?, operation.amount)))
}

pub(super) fn refunded(operation: Operation, refund: &Refund) -> Option<Answer> {
    let (reference, amount) = (refund.metadata.attempt()?, refund.amount()?);
    let name = text::name(&refund.id)?;
    if !operation.agrees(reference, Some(amount)) {
        return None;
    }
    match refund.status.as_deref()? {
        "succeeded" => Some(Answer::Approved(plain(name, Some(amount)))),
        "pending" | "requires_action" => Some(Answer::Pending { locator: Some(name) }),
        "failed" | "canceled" => Some(no(None)),
        _ => None,
    }
}

pub(super) fn stored(operation: Operation, setup: &SetupIntent) -> Option<Answer> {
    if setup.metadata.attempt()? != operation.attempt {
        return None;
    }
    match setup.status.as_str() {
        "succeeded" => {
            let token = token(setup.customer.as_deref()?, setup.payment_method.as_deref()?)?;
            Some(Answer::Approved(Approval { token: Some(token), ..plain(text::name(&setup.id)?, None) }))
        }
        "processing" => Some(Answer::Pending { locator: text::name(&setup.id) }),
        "requires_action" => Some(Answer::ActionRequired),
        "requires_payment_method" => setup.last_setup_error.as_ref().map(declined),
        _ => None,
    }
}

pub(super) fn forgotten(method: &Named) -> Option<Answer> {
    let name = method.id.as_deref().and_then(text::name)?;
    (method.object == "payment_method").then_some(Answer::Approved(plain(name, None)))
}

fn plain(gateway_ref: String, amount: Option<Money>) -> Approval {
    Approval {
        auth_code: String::new(),
        gateway_ref,
        amount,
        network_transaction_id: None,
        checks: wire::Checks::default(),
        token: None,
    }
}

/// An error of which Stripe documents what it means for the request (docs.stripe.com/api/errors): parameters that were
/// refused, keys that may not and requests beyond the rate limit were never begun.
fn failed(operation: Operation, status: u16, body: &[u8]) -> Option<Answer> {
    let error = read::<Failed>(body)?.error;
    let code = error.code.as_deref().unwrap_or_default();
    match (status, error.kind.as_str()) {
        (402, _) => card_error(body).filter(|error| about(operation, error)).map(|error| declined(&error)),
        (401 | 403, _) => Some(Answer::Rejected),
        // Another request holds the object: what that one does is not known.
        (429, _) => (code != "lock_timeout").then_some(Answer::Rejected),
        (400 | 404, "invalid_request_error") if !code.starts_with("idempotency") => match operation.kind {
            // A stored customer or method that is missing was perhaps stored with another account, whose key this one is not:
            // no bank was asked, so that this is no decline, which networks would count.
            Kind::Authorize | Kind::Store | Kind::ChargeStored => Some(Answer::Rejected),
            Kind::Capture | Kind::Void | Kind::Refund | Kind::DeleteStored => Some(no(error.code.as_deref())),
        },
        _ => None,
    }
}

/// Does it name no PaymentIntent, or ours?
fn about(operation: Operation, error: &PaymentError) -> bool {
    let named = error.payment_intent.as_ref().and_then(|intent| intent.metadata.attempt());
    named.is_none_or(|attempt| attempt == operation.attempt)
}

fn card_error(body: &[u8]) -> Option<PaymentError> {
    let error = read::<Failed>(body)?.error;
    let is_cards = error.kind == "card_error" || error.code.as_deref() == Some("card_declined");
    is_cards.then_some(error)
}

/// A decline in our words.
pub(super) fn declined(error: &PaymentError) -> Answer {
    let code = error.decline_code.as_deref().or(error.code.as_deref()).unwrap_or_default();
    let network_code = error.network_decline_code.as_deref().unwrap_or(code);
    Answer::Declined {
        class: decline::class(code),
        network_code: Some(text::clean(network_code)).filter(|code| !code.is_empty()),
        advice: advice(error, code),
    }
}

/// The network's own advice says more than Stripe's of it, but for an end that Stripe has understood from the code.
fn advice(error: &PaymentError, code: &str) -> Option<Advice> {
    let stripes = decline::advice(error.advice_code.as_deref(), code);
    let networks = error.network_advice_code.as_deref().and_then(crate::decline::merchant_advice);
    if stripes == Some(Advice::EndAgreement) { stripes } else { networks.or(stripes) }
}

/// Stripe will not do it.
fn no(code: Option<&str>) -> Answer {
    let network_code = code.map(text::clean).filter(|code| !code.is_empty());
    Answer::Declined { class: DeclineClass::Other, network_code, advice: None }
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}
