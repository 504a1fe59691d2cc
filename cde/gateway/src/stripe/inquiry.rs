//! Asking Stripe what became of an attempt.
//!
//! Stripe's search is by our own words but may be an hour behind (docs.stripe.com/api/payment_intents/search), so that it
//! can find an attempt and never prove that there is none. Its lists are never behind: one that reaches back to before
//! the attempt was sent, or that is all that was made while it was, is such a proof. Where that is more than one inquiry
//! reads, the next goes on where it stopped, once the gateway's window is over: what was read after that stays true.
//!
//! A charge need not wait for that window: where nothing is found its idempotency key is taken ([`fence`]). That Stripe lets a key
//! be taken which it has kept for a day at least proves that nothing was begun with it, and nothing can be any more; the
//! newest are read again all the same. The key is asked once the window is over too: a restart forgets what it has said. Where it is not free, the charge has come: it is looked for around its own time, one
//! inquiry going on where the one before it has stopped, and begun anew at the end. Where Stripe does not say whose the
//! key is, the same is done from the newest on, where what took the key would be. That neither finds anything proves nothing before
//! the window is over; and of a charge that has come nothing is said by clocks that may be minutes apart: then all is read from the
//! newest on back to a day before it was sent.

use super::answers::{captured, charged, forgotten, read, refunded, stored, voided};
use super::objects::{Failed, List, Listed, Named, PaymentIntent, Refund, SetupIntent};
use super::{ATTEMPT_KEY, fence, segment, token_parts};
use crate::answer::Answer;
use crate::form::escape;
use crate::http::{ANSWER_BYTES_MAX, Sent};
use crate::plan::{Fence, Plan, Planned, READ_UP_TO};
use crate::request::{Asked, Kind, Operation, SentBetween};
use crate::text;
use wire::AttemptId;

/// Objects a page, which is as many as Stripe gives (docs.stripe.com/api/pagination). A page of them is below the longest answer that is
/// read, also of another's objects with all the metadata that may be in them: 50 values of 500 characters (docs.stripe.com/api/metadata).
const PAGE: usize = 100;
/// Pages that one inquiry reads after the first.
const PAGES_MAX: usize = 6;
/// A key that was first used so long before may have been forgotten: Stripe keeps it for 24 hours at least.
const KEY_KEPT_MS: i64 = 12 * 60 * 60 * 1000;
/// How far Stripe's clock and ours may be apart.
const CLOCKS_APART_MS: i64 = 10 * 60 * 1000;
/// How far they are apart at the very most. Where Stripe has had the charge, that it is not near its time is more likely
/// the fault of a clock than that it was never made.
const CLOCKS_WRONG_MS: i64 = 24 * 60 * 60 * 1000;
/// How far they are apart as a rule. What is looked for and proves nothing is looked for so near to its time first.
const CLOCKS_NEAR_MS: i64 = 20 * 1000;

/// Pages begin and end at whole multiples of this: attempts that were sent at about one time read the same pages, which are then
/// asked for once (who sends inquiries shares the answers to the same question).
const SAME_PAGES_MS: i64 = 10 * 1000;

/// What follows an answer.
pub(super) enum After {
    Done(Answer),
    /// Read this next.
    Get(String),
    /// Make sure that it never happens.
    Post(Planned),
}

impl From<Option<Answer>> for After {
    fn from(answer: Option<Answer>) -> Self {
        Self::Done(answer.unwrap_or(Answer::UNKNOWN))
    }
}

/// The path of the first question.
pub(super) fn first_path(kind: Kind, locator: Option<&str>) -> String {
    let named = |prefix: &str| locator.filter(|name| name.starts_with(prefix)).map(segment);
    if let Some(name) = locator.and_then(|locator| locator.strip_prefix(READ_UP_TO)) {
        return page(kind, &format!("&starting_after={}", segment(name)));
    }
    match kind {
        Kind::Authorize | Kind::ChargeStored => named("pi_").map_or_else(|| page(kind, ""), one_intent),
        Kind::Capture | Kind::Void => one_intent(named("pi_").unwrap_or("-")),
        Kind::Refund => match (named("re_"), named("pi_")) {
            (Some(refund), _) => format!("/v1/refunds/{refund}"),
            (None, Some(intent)) => page(kind, &format!("&payment_intent={intent}")),
            (None, None) => page(kind, ""),
        },
        Kind::Store => named("seti_").map_or_else(|| page(kind, ""), |setup| format!("/v1/setup_intents/{setup}")),
        Kind::DeleteStored => {
            let method = locator.and_then(token_parts).map(|(_, method)| method);
            format!("/v1/payment_methods/{}", method.or(named("pm_")).unwrap_or("-"))
        }
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

/// How far from the times at which an attempt was sent it is looked for: before the first, and after the last if there is an end.
fn margins_ms(plan: &Plan, operation: Operation) -> (i64, Option<i64>) {
    match plan.fence() {
        Fence::May | Fence::TooLate | Fence::Used if !settled(operation) => (CLOCKS_NEAR_MS, Some(CLOCKS_NEAR_MS)),
        // That it stands is the proof; what is read beside it is read where it would be.
        Fence::Stands => (CLOCKS_NEAR_MS, Some(CLOCKS_NEAR_MS)),
        // It has come, whatever our clock said when it was sent.
        Fence::Used => (CLOCKS_WRONG_MS, None),
        // What took the key is as new as can be.
        Fence::Tried if !settled(operation) => (CLOCKS_NEAR_MS, None),
        _ => (CLOCKS_APART_MS, Some(CLOCKS_APART_MS)),
    }
}

/// A page after the first, of what was made while the attempt was sent: on a busy account there is too much that was made
/// since. The first of them begins with the newest.
fn older(plan: &Plan, operation: Operation, name: &str) -> String {
    let after = format!("&starting_after={name}");
    let Some(sent) = operation.sent else { return page(operation.kind, &after) };
    let (before_ms, after_ms) = margins_ms(plan, operation);
    let from = sent.first_unix_ms.saturating_sub(before_ms).div_euclid(SAME_PAGES_MS) * SAME_PAGES_MS / 1_000;
    let Some(after_ms) = after_ms else { return page(operation.kind, &format!("&created[gte]={from}{after}")) };
    let end_ms = sent.last_unix_ms.saturating_add(after_ms).saturating_add(SAME_PAGES_MS - 1);
    let to = end_ms.div_euclid(SAME_PAGES_MS) * SAME_PAGES_MS / 1_000;
    let after = if plan.learned() == 0 { "" } else { &after };
    page(operation.kind, &format!("&created[gte]={from}&created[lte]={to}{after}"))
}

fn search(attempt: AttemptId) -> String {
    let query = format!("metadata['{ATTEMPT_KEY}']:'{attempt}'");
    format!("/v1/payment_intents/search?limit=2&query={}", escape(&query))
}

/// What an answer to a question means, or asks next.
pub(super) fn after(plan: &mut Plan, operation: Operation, sent: Sent) -> After {
    let (was_search, was_key) = (plan.take_searched(), plan.take_took_key());
    if was_key && (matches!(sent, Sent::NotSent) || sent.is_too_much()) {
        // It is still to be tried: nothing of this was done (docs.stripe.com/rate-limits).
        plan.fenced(Fence::May);
        return None.into();
    }
    let body = match sent {
        Sent::Response { status: 200, body } if body.len() <= ANSWER_BYTES_MAX => body,
        Sent::Response { status: 400 | 404, body } => return refused(plan, &body),
        // A search that is lost or too much (429) is no reason to wait.
        _ if was_search => {
            return to_fence(plan, operation).unwrap_or_else(|| stopped(plan, operation));
        }
        _ => return stopped(plan, operation),
    };
    let object = read::<Named>(&body).map(|named| named.object).unwrap_or_default();
    match (object.as_str(), operation.kind) {
        ("payment_intent", Kind::Authorize | Kind::ChargeStored | Kind::Capture | Kind::Void) => {
            read(&body).map_or_else(|| None.into(), |intent| of_intent(plan, operation, &intent))
        }
        ("refund", Kind::Refund) => read::<Refund>(&body).and_then(|refund| refunded(operation, &refund)).into(),
        ("setup_intent", Kind::Store) => read::<SetupIntent>(&body).and_then(|setup| stored(operation, &setup)).into(),
        ("payment_method", Kind::DeleteStored) => detached(&body).into(),
        ("list", _) => match read(&body) {
            Some(list) => of_list(plan, operation, &list),
            None => stopped(plan, operation),
        },
        ("search_result", _) => match found(operation, read(&body).as_ref()) {
            Some(path) => After::Get(path),
            None => to_fence(plan, operation).unwrap_or_else(|| stopped(plan, operation)),
        },
        _ => stopped(plan, operation),
    }
}

/// Nothing is known yet. The next inquiry goes on where this one has stopped, if that can lead to anything.
fn stopped(plan: &Plan, operation: Operation) -> After {
    let goes_on = settled(operation) || matches!(plan.fence(), Fence::Tried | Fence::TooLate | Fence::Used);
    let name = plan.newest().filter(|_| goes_on).map(|name| name.trim_start_matches(READ_UP_TO));
    After::Done(Answer::Unknown { locator: name.map(|name| format!("{READ_UP_TO}{name}")) })
}

/// The next inquiry begins anew. A key that was used with other parameters (docs.stripe.com/api/idempotent_requests) was used with
/// the charge's own, so that Stripe has that.
fn refused(plan: &mut Plan, body: &[u8]) -> After {
    let is_taken = read::<Failed>(body).is_some_and(|failed| failed.error.kind == "idempotency_error");
    if is_taken && plan.fence() == Fence::Tried {
        plan.fenced(Fence::Used);
    }
    None.into()
}

fn settled(operation: Operation) -> bool {
    operation.asked == Asked::ByInquiry { settled: true }
}

/// Takes the key of a charge that was not found: also once the window is over, since a clock may be wrong and a key is not. Where no
/// answer to that says anything it is tried until then.
fn to_fence(plan: &mut Plan, operation: Operation) -> Option<After> {
    let charges = matches!(operation.kind, Kind::Authorize | Kind::ChargeStored);
    let is_open = match plan.fence() {
        Fence::May => true,
        Fence::Tried => !settled(operation),
        _ => false,
    };
    let amount = operation.amount.filter(|_| charges && is_open)?;
    // What is going to take the key is newer than all that was read. Once it was tried it is further down.
    if plan.fence() == Fence::May {
        plan.fenced(Fence::Tried);
    }
    plan.take_key();
    Some(After::Post(fence(operation.attempt, amount)))
}

/// The key is taken: what took it is put away, and everything is read again. That it is put away is of no consequence.
fn fenced(plan: &mut Plan, operation: Operation, (id, created): (&str, Option<i64>)) -> After {
    let Some(name) = text::name(id) else { return None.into() };
    if plan.fence() == Fence::Stands {
        return After::Get(page(operation.kind, ""));
    }
    if !plan.fence().is_open() {
        return None.into();
    }
    let taken_ms = created.and_then(|seconds| seconds.checked_mul(1_000));
    let is_kept = |(taken, sent): (i64, SentBetween)| taken.saturating_sub(sent.first_unix_ms) < KEY_KEPT_MS;
    if !taken_ms.zip(operation.sent).is_some_and(is_kept) {
        plan.fenced(Fence::TooLate);
        return None.into();
    }
    plan.fenced(Fence::Stands);
    After::Post(Planned {
        path: format!("/v1/payment_intents/{name}/cancel"),
        form: String::new(),
        idempotency_key: format!("{}-fence", operation.attempt),
    })
}

fn of_intent(plan: &mut Plan, operation: Operation, intent: &PaymentIntent) -> After {
    if intent.metadata.fences() == Some(operation.attempt) && intent.metadata.attempt().is_none() {
        return fenced(plan, operation, (&intent.id, intent.created));
    }
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
        "requires_confirmation" | "requires_payment_method" if settled(operation) => After::Post(Planned {
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
    // The answer that said so was lost, or was a 500 that Stripe repeats for a day.
    let fences = |listed: &&Listed| listed.metadata.fences() == Some(operation.attempt);
    if let Some(listed) = list.data.iter().find(fences).filter(|_| plan.fence().is_open()) {
        return fenced(plan, operation, (&listed.id, listed.created));
    }
    let oldest = list.data.last();
    let is_whole = !list.has_more || oldest.is_some_and(|oldest| reaches_back(plan, operation, oldest));
    if is_whole {
        plan.begin_anew();
        return to_fence(plan, operation).unwrap_or_else(|| settled(operation).then_some(Answer::Abandoned).into());
    }
    let next = oldest.and_then(|oldest| text::name(&oldest.id));
    let Some(name) = next else { return stopped(plan, operation) };
    let is_last = plan.learned() >= PAGES_MAX;
    let path = older(plan, operation, &name);
    plan.learn(name);
    if is_last { out_of_pages(plan, operation) } else { After::Get(path) }
}

/// This inquiry has read as much as it may, and has not come to the end.
fn out_of_pages(plan: &mut Plan, operation: Operation) -> After {
    if plan.fence() == Fence::Stands && settled(operation) {
        return After::Done(Answer::Abandoned);
    }
    // Stripe lets itself be searched far less often than read: once a reading, unless that is a proof that takes long. What was sent
    // before a restart is found so, and needs no reading; what was just made is not.
    let charges = matches!(operation.kind, Kind::Authorize | Kind::ChargeStored);
    if charges && plan.fence() != Fence::Tried && (settled(operation) || !plan.is_resumed()) {
        plan.search();
        return After::Get(search(operation.attempt));
    }
    to_fence(plan, operation).unwrap_or_else(|| stopped(plan, operation))
}

/// Is this one from before the attempt, so that what follows it is as well?
fn reaches_back(plan: &Plan, operation: Operation, oldest: &Listed) -> bool {
    let created_ms = oldest.created.and_then(|seconds| seconds.checked_mul(1_000));
    let (before_ms, _) = margins_ms(plan, operation);
    created_ms.zip(operation.sent).is_some_and(|(created, sent)| created < sent.first_unix_ms.saturating_sub(before_ms))
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

/// A card that belongs to no customer any more cannot be charged. Of one that still does nothing was deleted, and that it may
/// be after all is what was wanted.
fn detached(body: &[u8]) -> Option<Answer> {
    #[derive(serde::Deserialize)]
    struct Attached {
        customer: Option<String>,
    }
    let is_kept = read::<Attached>(body)?.customer.is_some();
    if is_kept { Some(Answer::Abandoned) } else { forgotten(&read::<Named>(body)?) }
}
