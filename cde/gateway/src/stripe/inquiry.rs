//! Asking Stripe what became of an attempt.
//!
//! Stripe's search is by our own words but may be an hour behind (docs.stripe.com/api/payment_intents/search), so that it
//! can find an attempt and never prove that there is none. Its lists are never behind: one that reaches back to before
//! the attempt was sent, or that is all that was made while it was, is such a proof.

use super::answers::{captured, charged, forgotten, read, refunded, stored, voided};
use super::objects::{List, Listed, Named, PaymentIntent, Refund, SetupIntent};
use super::{ATTEMPT_KEY, segment};
use crate::answer::Answer;
use crate::form::escape;
use crate::http::{ANSWER_BYTES_MAX, Sent};
use crate::plan::{Plan, Planned};
use crate::request::{Asked, Kind, Operation};
use crate::text;
use wire::AttemptId;

/// Objects a page; a page of them is well below the longest answer that is read.
const PAGE: usize = 30;
/// Pages that one inquiry reads before it asks the search.
const PAGES_MAX: usize = 6;
/// How far Stripe's clock and ours may be apart.
const CLOCKS_APART_MS: i64 = 10 * 60 * 1000;

/// What follows an answer.
pub(super) enum After {
    Done(Answer),
    /// Read this next.
    Get(String),
    /// Make sure that it never happens.
    Cancel(Planned),
}

impl From<Option<Answer>> for After {
    fn from(answer: Option<Answer>) -> Self {
        Self::Done(answer.unwrap_or(Answer::UNKNOWN))
    }
}

/// The path of the first question.
pub(super) fn first_path(kind: Kind, attempt: AttemptId, locator: Option<&str>) -> String {
    let named = |prefix: &str| locator.filter(|name| name.starts_with(prefix)).map(segment);
    match kind {
        Kind::Authorize | Kind::ChargeStored => named("pi_").map_or_else(|| page(kind, ""), one_intent),
        Kind::Capture | Kind::Void => one_intent(named("pi_").unwrap_or("-")),
        Kind::Refund => match (named("re_"), named("pi_")) {
            (Some(refund), _) => format!("/v1/refunds/{refund}"),
            (None, Some(intent)) => page(kind, &format!("&payment_intent={intent}")),
            (None, None) => page(kind, ""),
        },
        Kind::Store => named("seti_").map_or_else(|| page(kind, ""), |setup| format!("/v1/setup_intents/{setup}")),
        Kind::DeleteStored => format!("/v1/payment_methods/{}?for={attempt}", named("pm_").unwrap_or("-")),
    }
}

fn one_intent(name: &str) -> String {
    format!("/v1/payment_intents/{name}?expand[0]=latest_charge")
}

/// A page of the newest, or of the newest that fit.
fn page(kind: Kind, only: &str) -> String {
    let noun = match kind {
        Kind::Refund => "refunds",
        Kind::Store => "setup_intents",
        _ => "payment_intents",
    };
    format!("/v1/{noun}?limit={PAGE}{only}")
}

/// A page after the first, of what was made while the attempt was sent: on a busy account there is too much that was made
/// since. The first of them begins with the newest.
fn older(operation: Operation, name: &str, is_second: bool) -> String {
    let after = format!("&starting_after={name}");
    let Some(sent) = operation.sent else { return page(operation.kind, &after) };
    let from = sent.first_unix_ms.saturating_sub(CLOCKS_APART_MS).div_euclid(1_000);
    let to = sent.last_unix_ms.saturating_add(CLOCKS_APART_MS).div_euclid(1_000);
    let after = if is_second { "" } else { &after };
    page(operation.kind, &format!("&created[gte]={from}&created[lte]={to}{after}"))
}

fn search(attempt: AttemptId) -> String {
    let query = format!("metadata['{ATTEMPT_KEY}']:'{attempt}'");
    format!("/v1/payment_intents/search?limit=2&query={}", escape(&query))
}

/// What an answer to a question means, or asks next.
pub(super) fn after(plan: &mut Plan, operation: Operation, sent: Sent) -> After {
    let Sent::Response { status: 200, body } = sent else { return None.into() };
    if body.len() > ANSWER_BYTES_MAX {
        return None.into();
    }
    let object = read::<Named>(&body).map(|named| named.object).unwrap_or_default();
    match (object.as_str(), operation.kind) {
        ("payment_intent", Kind::Authorize | Kind::ChargeStored | Kind::Capture | Kind::Void) => {
            read(&body).map_or_else(|| None.into(), |intent| of_intent(operation, &intent))
        }
        ("refund", Kind::Refund) => read::<Refund>(&body).and_then(|refund| refunded(operation, &refund)).into(),
        ("setup_intent", Kind::Store) => read::<SetupIntent>(&body).and_then(|setup| stored(operation, &setup)).into(),
        ("payment_method", Kind::DeleteStored) => detached(&body).into(),
        ("list", _) => read(&body).map_or_else(|| None.into(), |list| of_list(plan, operation, &list)),
        ("search_result", _) => found(operation, read(&body).as_ref()).map_or_else(|| None.into(), After::Get),
        _ => None.into(),
    }
}

fn settled(operation: Operation) -> bool {
    operation.asked == Asked::ByInquiry { settled: true }
}

fn of_intent(operation: Operation, intent: &PaymentIntent) -> After {
    let abandoned = || settled(operation).then_some(Answer::Abandoned);
    match operation.kind {
        Kind::Authorize | Kind::ChargeStored => match charged(operation, intent) {
            Some(answer) => After::Done(answer),
            None => unfinished(operation, intent),
        },
        Kind::Capture => {
            let untouched = || (intent.status == "requires_capture").then(abandoned).flatten();
            captured(operation, intent).or_else(untouched).into()
        }
        Kind::Void => {
            let untouched =
                || matches!(intent.status.as_str(), "requires_capture" | "succeeded").then(abandoned).flatten();
            voided(operation, intent).or_else(untouched).into()
        }
        Kind::Refund | Kind::Store | Kind::DeleteStored => None.into(),
    }
}

/// A charge that was never confirmed is canceled when it is old enough: after that it cannot happen any more.
fn unfinished(operation: Operation, intent: &PaymentIntent) -> After {
    let Some(name) = text::name(&intent.id).filter(|_| intent.metadata.attempt() == Some(operation.attempt)) else {
        return None.into();
    };
    match intent.status.as_str() {
        "canceled" if settled(operation) => After::Done(Answer::Abandoned),
        "requires_confirmation" | "requires_payment_method" if settled(operation) => After::Cancel(Planned {
            path: format!("/v1/payment_intents/{name}/cancel"),
            form: String::new(),
            idempotency_key: format!("{}-abandon", operation.attempt),
        }),
        _ => After::Done(Answer::Unknown { locator: Some(name) }),
    }
}

fn of_list(plan: &mut Plan, operation: Operation, list: &List) -> After {
    if let Some(path) = found(operation, Some(list)) {
        return After::Get(path);
    }
    let oldest = list.data.last();
    let reaches_back = |oldest: &Listed| {
        let created_ms = oldest.created.and_then(|seconds| seconds.checked_mul(1_000));
        created_ms.zip(operation.sent).is_some_and(|(created, sent)| created < sent.first_unix_ms - CLOCKS_APART_MS)
    };
    let is_whole = !list.has_more || oldest.is_some_and(reaches_back);
    if is_whole {
        return settled(operation).then_some(Answer::Abandoned).into();
    }
    let next = oldest.and_then(|oldest| text::name(&oldest.id));
    match next.filter(|_| plan.learned() < PAGES_MAX) {
        Some(name) => {
            let path = older(operation, &name, plan.learned() == 0);
            plan.learn(name);
            After::Get(path)
        }
        None if matches!(operation.kind, Kind::Authorize | Kind::ChargeStored) => After::Get(search(operation.attempt)),
        None => None.into(),
    }
}

/// The path of the one that has our attempt.
fn found(operation: Operation, list: Option<&List>) -> Option<String> {
    let ours = |listed: &&Listed| listed.metadata.attempt() == Some(operation.attempt);
    let name = text::name(&list?.data.iter().find(ours)?.id)?;
    Some(match operation.kind {
        Kind::Refund => format!("/v1/refunds/{name}"),
        Kind::Store => format!("/v1/setup_intents/{name}"),
        _ => one_intent(&name),
    })
}

/// A card that belongs to no customer any more cannot be charged.
fn detached(body: &[u8]) -> Option<Answer> {
    #[derive(serde::Deserialize)]
    struct Attached {
        customer: Option<String>,
    }
    let is_kept = read::<Attached>(body)?.customer.is_some();
    if is_kept { None } else { forgotten(&read::<Named>(body)?) }
}
