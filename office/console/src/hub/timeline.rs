//! A call's story, told from the differences between its snapshots.

use crate::{clock::rfc3339, view::TimelineRow};
use wire::{
    CallSnapshot, CallState, Field, FieldStatus, HookSnapshot, HookState, LineState, Outcome, PaymentState, Progress,
};

/// The most lines of one call's story; when it is full the first line stays and the second is dropped.
pub(crate) const TIMELINE_MAX: usize = 200;

/// Adds what has changed from `before` to `after`.
pub(super) fn note(story: &mut Vec<TimelineRow>, now_ms: i64, before: Option<&CallSnapshot>, after: &CallSnapshot) {
    let mut add = |at_ms: i64, text_key: &'static str, detail: Option<String>| {
        if story.len() >= TIMELINE_MAX {
            story.remove(1);
        }
        story.push(TimelineRow { at: rfc3339(at_ms), text_key, detail });
    };
    match (before.map(|call| call.state), after.state) {
        (None, CallState::Awaited) => add(after.started_unix_ms, "transfer_awaited", None),
        (Some(CallState::Awaited), CallState::Awaited) => {}
        (None | Some(CallState::Awaited), _) => add(after.started_unix_ms, "call_came_in", None),
        (Some(_), _) => {}
    }
    if let Some(key) = call_key(before.map(|call| call.state), after.state) {
        add(now_ms, key, None);
    }
    // Snapshots tell what there is, not what was between them: a line that is again what it was has been something else.
    let line = |call: &CallSnapshot| (call.line, call.line_since_unix_ms);
    if before.map_or(after.line != LineState::Open, |before| line(before) != line(after)) {
        add(after.line_since_unix_ms, line_key(after.line), None);
    }
    if let Some((key, detail)) = recorders_line(before.and_then(|call| call.hook.as_ref()), after.hook.as_ref()) {
        add(now_ms, key, detail);
    }
    let Some(payment) = &after.payment else { return };
    let old = before.and_then(|call| call.payment.as_ref()).filter(|old| old.payment == payment.payment);
    if old.is_none() {
        add(now_ms, "payment_started", Some(payment.amount.to_string()));
    }
    for (key, detail) in field_lines(old, payment) {
        add(now_ms, key, Some(detail));
    }
    if old.is_none_or(|old| (old.state, old.attempts) != (payment.state, payment.attempts))
        && let Some(key) = payment_key(payment.state)
    {
        add(now_ms, key, outcome_detail(payment));
    }
}

fn call_key(before: Option<CallState>, after: CallState) -> Option<&'static str> {
    match (before, after) {
        (Some(before), after) if before == after => None,
        (Some(CallState::Held), CallState::Talking) => Some("call_resumed"),
        (_, CallState::Talking) => Some("agent_answered"),
        (_, CallState::Held) => Some("call_held"),
        (_, CallState::Ringing | CallState::Awaited | CallState::SelfService) => None,
    }
}

/// What has become of the recorders elsewhere.
fn recorders_line(
    before: Option<&HookSnapshot>,
    after: Option<&HookSnapshot>,
) -> Option<(&'static str, Option<String>)> {
    let after = after?;
    let (was, was_round) = before.map_or((HookState::NotAsked, 0), |hook| (hook.state, hook.round));
    if (was, was_round) == (after.state, after.round) {
        return None;
    }
    let word = after.trouble.and_then(|trouble| serde_json::to_value(trouble).ok());
    let why = word.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned);
    match after.state {
        HookState::NotAsked => Some(("recorders_may_record", None)).filter(|_| was != HookState::NotAsked),
        HookState::Asked => Some(("recorders_asked", None)),
        HookState::Paused => Some(("recorders_paused", None)),
        HookState::NotPaused => Some(("recorders_not_paused", why)),
    }
}

fn line_key(line: LineState) -> &'static str {
    match line {
        LineState::Open => "line_open",
        LineState::Securing => "line_securing",
        LineState::Secured => "line_secured",
        LineState::Releasing => "line_releasing",
        LineState::Fault => "line_fault",
        LineState::Conference => "line_conference",
    }
}

fn payment_key(state: PaymentState) -> Option<&'static str> {
    match state {
        PaymentState::Waiting | PaymentState::Capturing | PaymentState::Ready => None,
        PaymentState::Authorizing => Some("authorizing"),
        PaymentState::Approved => Some("approved"),
        PaymentState::Declined => Some("declined"),
        PaymentState::NotSent => Some("not_sent"),
        PaymentState::Unknown => Some("unknown"),
        PaymentState::Cancelled => Some("payment_cancelled"),
        // A call never shows these: they are the office's words.
        PaymentState::Voided | PaymentState::Refunded => None,
    }
}

/// A field that was accepted or refused since the last snapshot.
fn field_lines(old: Option<&Progress>, new: &Progress) -> Vec<(&'static str, String)> {
    let status = |field: Field| old.and_then(|old| old.fields.iter().find(|f| f.field == field)).map(|f| f.status);
    let changed = new.fields.iter().filter(|field| status(field.field) != Some(field.status));
    changed
        .filter_map(|field| match field.status {
            FieldStatus::Ok => Some(("field_accepted", accepted(field.field, new))),
            FieldStatus::Bad => Some(("field_refused", field_name(field.field).to_owned())),
            FieldStatus::Wait | FieldStatus::Live => None,
        })
        .collect()
}

fn accepted(field: Field, payment: &Progress) -> String {
    match (field, payment.brand, payment.last4) {
        (Field::Pan, Some(brand), Some(last4)) => format!("{}: {} {last4}", field_name(field), brand.name()),
        _ => field_name(field).to_owned(),
    }
}

fn field_name(field: Field) -> &'static str {
    match field {
        Field::Pan => "Card number",
        Field::Expiry => "Expiry",
        Field::Cvv => "Security code",
    }
}

fn outcome_detail(payment: &Progress) -> Option<String> {
    match (payment.state, &payment.outcome) {
        (PaymentState::Approved, Some(Outcome::Approved { amount, .. })) => Some(amount.to_string()),
        _ => None,
    }
}
