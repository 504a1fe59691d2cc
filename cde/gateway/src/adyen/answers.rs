//! What Adyen's answers mean.

use super::{decline, reference, token};
use crate::answer::{Advice, Answer, Approval};
use crate::http::{ANSWER_BYTES_MAX, Sent};
use crate::request::{Kind, Operation};
use crate::text;
use serde::Deserialize;
use std::collections::BTreeMap;
use wire::{AttemptId, Check, Checks, Currency, Money};

/// `additionalData`: what it holds is set in Adyen's Customer Area. Values that are no texts are of no interest.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Additional(BTreeMap<String, serde_json::Value>);

impl Additional {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}

#[derive(Deserialize)]
pub(super) struct Amount {
    value: i64,
    currency: Currency,
}

impl Amount {
    pub(super) fn money(&self) -> Money {
        Money { minor: self.value, currency: self.currency }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    psp_reference: Option<String>,
    result_code: String,
    merchant_reference: AttemptId,
    amount: Option<Amount>,
    refusal_reason_code: Option<String>,
    #[serde(default)]
    additional_data: Additional,
}

/// A capture, cancel or refund that is under way.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    psp_reference: String,
    reference: AttemptId,
    status: String,
    amount: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceError {
    error_type: String,
    error_code: Option<String>,
}

pub(super) fn parse(operation: Operation, sent: Sent) -> Answer {
    match sent {
        Sent::NotSent if !operation.is_inquiry() => Answer::Rejected,
        Sent::NotSent | Sent::Broken => Answer::UNKNOWN,
        // There is nothing that could be asked.
        Sent::Response { .. } if operation.is_inquiry() => Answer::UNKNOWN,
        Sent::Response { body, .. } if body.len() > ANSWER_BYTES_MAX => Answer::UNKNOWN,
        Sent::Response { status, body } => {
            let read = match (operation.kind, status) {
                (Kind::Authorize | Kind::ChargeStored | Kind::Store, 200) => payment(operation, &body),
                (Kind::Capture | Kind::Void | Kind::Refund, 200 | 201) => received(operation, &body),
                (Kind::DeleteStored, 204) if body.is_empty() => {
                    Some(Answer::Approved(Approval { amount: None, ..nothing() }))
                }
                (Kind::DeleteStored, 404 | 422) if is_missing(&body) => {
                    Some(Answer::Approved(Approval { amount: None, ..nothing() }))
                }
                _ => refused(status, &body),
            };
            read.unwrap_or(Answer::UNKNOWN)
        }
    }
}

fn payment(operation: Operation, body: &[u8]) -> Option<Answer> {
    let payment = serde_json::from_slice::<Payment>(body).ok()?;
    if payment.merchant_reference != operation.attempt {
        return None;
    }
    let locator = payment.psp_reference.as_deref().and_then(reference);
    match payment.result_code.as_str() {
        // Where Adyen names no amount it is the one that was asked; less has a result code of its own.
        "Authorised" => {
            let amount = payment.amount.as_ref().map(Amount::money).or(operation.amount);
            approved(operation, &payment, locator?, amount)
        }
        "PartiallyAuthorised" => {
            let amount = payment.amount.as_ref().map(Amount::money)?;
            approved(operation, &payment, locator?, Some(amount))
        }
        "Refused" | "Error" | "Cancelled" => {
            Some(declined(payment.refusal_reason_code.as_deref().unwrap_or_default(), &payment.additional_data))
        }
        "Pending" | "Received" => Some(Answer::Pending { locator }),
        "RedirectShopper" | "IdentifyShopper" | "ChallengeShopper" | "PresentToShopper" => Some(Answer::ActionRequired),
        _ => None,
    }
}

fn approved(operation: Operation, payment: &Payment, gateway_ref: String, amount: Option<Money>) -> Option<Answer> {
    let amount = operation.amount.and(amount);
    let agrees = operation.agrees(payment.merchant_reference, amount);
    agrees.then(|| Answer::Approved(approval(operation.attempt, gateway_ref, amount, &payment.additional_data)))
}

pub(super) fn approval(attempt: AttemptId, gateway_ref: String, amount: Option<Money>, more: &Additional) -> Approval {
    let clean = |name: &str| more.text(name).map(text::clean).filter(|text| !text.is_empty());
    let method = clean("tokenization.storedPaymentMethodId").or_else(|| clean("recurring.recurringDetailReference"));
    let shopper = clean("tokenization.shopperReference").or_else(|| clean("recurring.shopperReference"));
    let ours = shopper.unwrap_or_else(|| attempt.to_string());
    Approval {
        auth_code: clean("authCode").unwrap_or_default(),
        gateway_ref,
        amount,
        network_transaction_id: clean("networkTxReference"),
        checks: checks(more),
        token: method.and_then(|method| token(&ours, &method)),
    }
}

fn nothing() -> Approval {
    Approval {
        auth_code: String::new(),
        gateway_ref: String::new(),
        amount: None,
        network_transaction_id: None,
        checks: Checks::default(),
        token: None,
    }
}

/// `avsResult` and `cvcResult` begin with a number (docs.adyen.com/risk-management/avs-checks).
fn checks(more: &Additional) -> Checks {
    let number = |name: &str| more.text(name)?.split_whitespace().next();
    let (address, postcode) = number("avsResult").map_or((None, None), avs);
    Checks { address, postcode, cvv: number("cvcResult").and_then(cvc) }
}

/// House number and postcode. The numbers from 12 on tell of the cardholder's name too.
fn avs(number: &str) -> (Option<Check>, Option<Check>) {
    let (address, postcode) = match number {
        "1" => (Check::Match, Check::NoMatch),
        "2" => (Check::NoMatch, Check::NoMatch),
        "3" | "4" => (Check::Unavailable, Check::Unavailable),
        "6" => (Check::NoMatch, Check::Match),
        "7" => (Check::Match, Check::Match),
        "8" => (Check::NotChecked, Check::Unavailable),
        "9" => (Check::Match, Check::Unavailable),
        "10" => (Check::NoMatch, Check::Unavailable),
        "11" => (Check::Unavailable, Check::NotChecked),
        _ => return (None, None),
    };
    (Some(address), Some(postcode))
}

fn cvc(number: &str) -> Option<Check> {
    match number {
        "1" => Some(Check::Match),
        "2" => Some(Check::NoMatch),
        "3" | "4" | "5" => Some(Check::NotChecked),
        "6" => Some(Check::Unavailable),
        _ => None,
    }
}

pub(super) fn declined(code: &str, more: &Additional) -> Answer {
    let advised = more.text("merchantAdviceCode").and_then(|text| text.split([' ', ':']).next());
    let advice: Option<Advice> = advised.and_then(crate::decline::merchant_advice).or_else(|| decline::advice(code));
    Answer::Declined {
        class: decline::class(code),
        network_code: Some(text::clean(code)).filter(|code| !code.is_empty()),
        advice,
    }
}

fn received(operation: Operation, body: &[u8]) -> Option<Answer> {
    let received = serde_json::from_slice::<Received>(body).ok()?;
    let amount = received.amount.as_ref().map(Amount::money);
    let is_ours =
        received.reference == operation.attempt && amount.is_none_or(|amount| Some(amount) == operation.amount);
    let locator = reference(&received.psp_reference);
    (is_ours && received.status == "received").then_some(Answer::Pending { locator })
}

/// There is nothing stored of this shopper (800), or not this card (803): docs.adyen.com/development-resources/error-codes.
fn is_missing(body: &[u8]) -> bool {
    serde_json::from_slice::<ServiceError>(body).is_ok_and(|error| {
        error.error_type == "validation" && matches!(error.error_code.as_deref(), Some("800" | "803"))
    })
}

/// Errors by which Adyen says that it did not begin (docs.adyen.com/development-resources/response-handling). 704 is a
/// request that is being worked on, or has been.
fn refused(status: u16, body: &[u8]) -> Option<Answer> {
    let error = serde_json::from_slice::<ServiceError>(body).ok()?;
    let is_refused = matches!(
        (status, error.error_type.as_str()),
        (400 | 422, "validation" | "configuration") | (401 | 403, "security")
    );
    (is_refused && error.error_code.as_deref() != Some("704")).then_some(Answer::Rejected)
}
