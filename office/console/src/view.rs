//! The shapes that the desk is shown, and the one rule that joins what is stored with what is live.

pub(crate) mod figures;
pub(crate) mod ladder;
pub(crate) mod schema;
pub(crate) mod testcall;
pub(crate) mod trunk;

use crate::clock::rfc3339;
use schema::{Brand, CardView, FieldProgress, Money, Outcome, PaymentState, ProgressSchema};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{CallId, CallSnapshot, Extension, PaymentId, Progress};

/// A payment as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PaymentRow {
    pub(crate) id: PaymentId,
    pub(crate) call: CallId,
    pub(crate) extension: String,
    pub(crate) amount: wire::Money,
    pub(crate) account: Option<String>,
    pub(crate) invoice: Option<String>,
    pub(crate) reference: Option<String>,
    /// `Waiting` until an attempt is recorded, then what the records say.
    pub(crate) state: wire::PaymentState,
    pub(crate) attempts: u8,
    /// Of the newest attempt.
    pub(crate) card: Option<wire::CardView>,
    /// Of the newest attempt.
    pub(crate) outcome: Option<wire::Outcome>,
    /// Is its money taken by a later capture?
    pub(crate) later: bool,
    pub(crate) approved: Option<wire::Money>,
    pub(crate) captured: wire::Money,
    pub(crate) refunded: wire::Money,
    pub(crate) review: Option<String>,
    pub(crate) needs_people: bool,
    /// What people must look at and have not.
    pub(crate) alarms: i64,
    pub(crate) surcharge: wire::Money,
    pub(crate) due: Option<wire::Money>,
    pub(crate) part_of: Option<PaymentId>,
    pub(crate) duplicate_of: Option<PaymentId>,
    pub(crate) kept: Option<wire::Keeping>,
    pub(crate) token: Option<String>,
    /// The agreement that it is the first payment or another one of.
    pub(crate) agreement: Option<String>,
    /// Is it one already?
    pub(crate) is_agreed: bool,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

/// A payment: what is stored, joined with what the call shows live. Never more of a card than brand, last four digits
/// and expiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct PaymentView {
    /// UUID.
    #[schema(value_type = String)]
    pub(crate) id: PaymentId,
    /// UUID.
    #[schema(value_type = String)]
    pub(crate) call: CallId,
    #[schema(value_type = Money)]
    pub(crate) amount: wire::Money,
    pub(crate) account: Option<String>,
    pub(crate) invoice: Option<String>,
    pub(crate) reference: Option<String>,
    #[schema(value_type = PaymentState)]
    pub(crate) state: wire::PaymentState,
    /// The card of the newest attempt, masked.
    #[schema(value_type = Option<CardView>)]
    pub(crate) card: Option<wire::CardView>,
    /// The fields in the order they are asked; empty when the call is over.
    #[schema(value_type = Vec<FieldProgress>)]
    pub(crate) fields: Vec<wire::FieldProgress>,
    #[schema(value_type = Option<Brand>)]
    pub(crate) brand: Option<wire::Brand>,
    /// The last four digits.
    #[schema(value_type = Option<String>)]
    pub(crate) last4: Option<wire::Last4>,
    /// How many digits the number is expected to have.
    pub(crate) pan_length_expected: Option<u8>,
    #[schema(value_type = Option<Outcome>)]
    pub(crate) outcome: Option<wire::Outcome>,
    /// How many times the gateway was asked for the money.
    pub(crate) attempts: u8,
    /// `now`, or `later`: then captures take what was approved.
    pub(crate) capture: &'static str,
    /// What was approved; may be less than was asked.
    #[schema(value_type = Option<Money>)]
    pub(crate) approved: Option<wire::Money>,
    /// What was taken.
    #[schema(value_type = Money)]
    pub(crate) captured: wire::Money,
    /// What was given back.
    #[schema(value_type = Money)]
    pub(crate) refunded: wire::Money,
    /// `wanted`: approved although address or security code do not match, and somebody is to look at it; then `accepted`
    /// or `rejected`.
    pub(crate) review: Option<String>,
    /// Two people are to find out what became of its attempt: its gateway cannot be asked.
    pub(crate) needs_people: bool,
    /// How much about its money people must look at and have not; see `alarms` of the payment by itself.
    pub(crate) alarms_open: i64,
    /// What of `amount` is a surcharge.
    #[schema(value_type = Money)]
    pub(crate) surcharge: wire::Money,
    /// Of the first of several parts: what all of them together are to pay.
    #[schema(value_type = Option<Money>)]
    pub(crate) due: Option<wire::Money>,
    /// Of another part: the first one's UUID.
    #[schema(value_type = Option<String>)]
    pub(crate) part_of: Option<PaymentId>,
    /// The UUID of a payment of the same amount for the same account, a moment ago: ask the caller.
    #[schema(value_type = Option<String>)]
    pub(crate) duplicate_of: Option<PaymentId>,
    /// What became of the card that was to be kept; null where none was to be, or nothing is known yet.
    #[schema(value_type = Option<schema::Keeping>)]
    pub(crate) kept: Option<wire::Keeping>,
    /// What the kept card is charged by, while it can be.
    pub(crate) token: Option<String>,
    /// The UUID of the agreement that it is a payment of, or will be the first of.
    pub(crate) agreement: Option<String>,
    /// Of a payment with an agreement: `offered` until it is paid, then `agreed`; `not_agreed` where it was not paid, or its card
    /// could not be kept.
    #[schema(value_type = Option<String>)]
    pub(crate) agreement_state: Option<&'static str>,
    /// RFC 3339.
    pub(crate) created_at: String,
    /// RFC 3339.
    pub(crate) updated_at: String,
}

impl PaymentView {
    /// Joins the stored row with the live progress of its call, if that call is alive.
    pub(crate) fn join(row: &PaymentRow, live: Option<&Progress>) -> Self {
        let state = state_of(row, live);
        let newer = live.filter(|live| live.attempts > row.attempts);
        let keying =
            matches!(state, wire::PaymentState::Waiting | wire::PaymentState::Capturing | wire::PaymentState::Ready);
        let card = row.card.filter(|_| !keying);
        Self {
            id: row.id,
            call: row.call,
            amount: row.amount,
            account: row.account.clone(),
            invoice: row.invoice.clone(),
            reference: row.reference.clone(),
            state,
            card,
            fields: live.map(|live| live.fields.clone()).unwrap_or_default(),
            brand: live.and_then(|live| live.brand).or(card.map(|card| card.brand)),
            last4: live.and_then(|live| live.last4).or(card.map(|card| card.last4)),
            pan_length_expected: live.and_then(|live| live.pan_length_expected),
            outcome: newer.and_then(|live| live.outcome.clone()).or_else(|| row.outcome.clone()),
            attempts: newer.map_or(row.attempts, |live| live.attempts),
            capture: if row.later { "later" } else { "now" },
            approved: row.approved,
            captured: row.captured,
            refunded: row.refunded,
            review: row.review.clone(),
            needs_people: row.needs_people,
            alarms_open: row.alarms,
            surcharge: row.surcharge,
            due: row.due,
            part_of: row.part_of,
            duplicate_of: row.duplicate_of,
            kept: row.kept.or_else(|| live.and_then(|live| live.kept)),
            token: row.token.clone(),
            agreement: row.agreement.clone(),
            agreement_state: row.agreement.as_ref().map(|_| agreement_state(row)),
            created_at: rfc3339(row.created_ms),
            updated_at: rfc3339(row.updated_ms),
        }
    }
}

fn agreement_state(row: &PaymentRow) -> &'static str {
    use wire::PaymentState as S;
    match row.state {
        _ if row.is_agreed => "agreed",
        S::Approved | S::Voided | S::Refunded | S::Cancelled => "not_agreed",
        _ => "offered",
    }
}

/// Records win. What is live is believed only where the records cannot know yet: before the first attempt, and while
/// a card is keyed after an attempt that is over.
fn state_of(row: &PaymentRow, live: Option<&Progress>) -> wire::PaymentState {
    use wire::PaymentState as S;
    let Some(live) = live else { return row.state };
    match row.state {
        S::Approved | S::Voided | S::Refunded | S::Cancelled | S::Unknown => row.state,
        S::Authorizing if live.state == S::Unknown => S::Unknown,
        S::Authorizing => S::Authorizing,
        S::Declined | S::NotSent => match live.state {
            S::Waiting | S::Capturing | S::Ready if live.attempts >= row.attempts => live.state,
            S::Cancelled => S::Cancelled,
            _ if live.attempts > row.attempts => live.state,
            _ => row.state,
        },
        S::Waiting | S::Capturing | S::Ready => live.state,
    }
}

/// One line of a call's story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TimelineRow {
    /// RFC 3339.
    pub(crate) at: String,
    /// A stable word that the desk has a sentence for.
    pub(crate) text_key: &'static str,
    /// Plain text; of a card at most its brand and last four digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// A live call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CallView {
    /// UUID.
    #[schema(value_type = String)]
    pub(crate) call: CallId,
    /// Whose call it is.
    #[schema(value_type = String)]
    pub(crate) extension: Extension,
    /// The caller's number or name; empty when withheld.
    pub(crate) caller: String,
    /// The number that was called.
    pub(crate) called: String,
    #[schema(value_type = schema::WayIn)]
    pub(crate) way: wire::WayIn,
    /// The caller's keys pass through a PBX before they come to Tonewall: it, its recorder and its network are in scope.
    pub(crate) keys_cross_pbx: bool,
    /// Unix milliseconds.
    pub(crate) started_unix_ms: i64,
    #[schema(value_type = schema::CallState)]
    pub(crate) state: wire::CallState,
    #[schema(value_type = schema::LineState)]
    pub(crate) line: wire::LineState,
    /// Unix milliseconds.
    pub(crate) line_since_unix_ms: i64,
    /// What the agent hears of the caller while the line is masked, or would hear.
    #[schema(value_type = schema::Masking)]
    pub(crate) masking: wire::Masking,
    #[schema(value_type = Option<ProgressSchema>)]
    pub(crate) payment: Option<Progress>,
    /// Recorders elsewhere that are to pause while the line is not open; null where no route or trunk asks for that.
    pub(crate) recorders: Option<RecordersView>,
    pub(crate) timeline: Vec<TimelineRow>,
    /// RFC 3339: the newest proof that the line is masked. Older than two seconds is no proof.
    pub(crate) proof_at: Option<String>,
}

/// Recorders that are no part of Tonewall, as a call has them. That they have paused is their own word and nothing else; what lies
/// between the caller and Tonewall has the caller's keys all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RecordersView {
    /// `required`: nothing is keyed before they have paused; `best_effort`: a payment goes on without them.
    #[schema(value_type = schema::HookRule)]
    pub(crate) rule: wire::HookRule,
    #[schema(value_type = schema::HookState)]
    pub(crate) state: wire::HookState,
    /// How often they were asked in this call.
    pub(crate) round: u32,
    /// Why they have not paused.
    #[schema(value_type = Option<schema::HookTrouble>)]
    pub(crate) trouble: Option<wire::HookTrouble>,
    /// Are the caller's keys kept from a payment for now, although the line is masked?
    pub(crate) holds_payment: bool,
}

impl RecordersView {
    fn new(hook: &wire::HookSnapshot) -> Self {
        Self {
            rule: hook.rule,
            state: hook.state,
            round: hook.round,
            trouble: hook.trouble,
            holds_payment: hook.holds_payment,
        }
    }
}

impl CallView {
    /// Joins a snapshot with its story, and corrects the state of its payment by what is stored of it.
    pub(crate) fn new(
        call: &CallSnapshot,
        payment: Option<&PaymentView>,
        timeline: &[TimelineRow],
        proof_ms: Option<i64>,
    ) -> Self {
        let mut progress = call.payment.clone();
        if let (Some(progress), Some(view)) = (&mut progress, payment) {
            progress.state = view.state;
            progress.outcome.clone_from(&view.outcome);
            progress.attempts = view.attempts;
        }
        Self {
            call: call.call,
            extension: call.extension.clone(),
            caller: call.caller.clone(),
            called: call.called.clone(),
            way: call.way,
            keys_cross_pbx: call.keys_cross_pbx,
            started_unix_ms: call.started_unix_ms,
            state: call.state,
            line: call.line,
            line_since_unix_ms: call.line_since_unix_ms,
            masking: call.masking,
            payment: progress,
            recorders: call.hook.as_ref().map(RecordersView::new),
            timeline: timeline.to_vec(),
            proof_at: proof_ms.map(rfc3339),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use uuid::Uuid;
    use wire::PaymentState as S;

    pub(crate) fn money() -> wire::Money {
        wire::Money { minor: 4200, currency: wire::Currency::GBP }
    }

    pub(crate) fn row(state: S, attempts: u8) -> PaymentRow {
        PaymentRow {
            id: PaymentId(Uuid::from_u128(9)),
            call: CallId(Uuid::from_u128(1)),
            extension: "1001".into(),
            amount: money(),
            account: None,
            invoice: None,
            reference: None,
            state,
            attempts,
            card: None,
            outcome: None,
            later: false,
            approved: None,
            captured: wire::Money { minor: 0, ..money() },
            refunded: wire::Money { minor: 0, ..money() },
            review: None,
            needs_people: false,
            alarms: 0,
            surcharge: wire::Money { minor: 0, ..money() },
            due: None,
            part_of: None,
            duplicate_of: None,
            kept: None,
            token: None,
            agreement: None,
            is_agreed: false,
            created_ms: 0,
            updated_ms: 0,
        }
    }

    pub(crate) fn progress(state: S, attempts: u8) -> Progress {
        Progress {
            payment: PaymentId(Uuid::from_u128(9)),
            amount: money(),
            state,
            fields: vec![],
            brand: None,
            last4: None,
            pan_length_expected: None,
            outcome: None,
            attempts,
            kept: None,
        }
    }

    #[test]
    fn records_win_over_snapshots() {
        for (stored, live, shown) in [
            ((S::Approved, 1), (S::Authorizing, 1), S::Approved),
            ((S::Unknown, 1), (S::Capturing, 1), S::Unknown),
            ((S::Declined, 1), (S::Authorizing, 1), S::Declined),
            ((S::Declined, 1), (S::Ready, 0), S::Declined),
            ((S::Authorizing, 1), (S::Capturing, 0), S::Authorizing),
            ((S::Cancelled, 0), (S::Capturing, 0), S::Cancelled),
        ] {
            let view = PaymentView::join(&row(stored.0, stored.1), Some(&progress(live.0, live.1)));
            assert_eq!(view.state, shown, "{stored:?} {live:?}");
        }
    }

    #[test]
    fn snapshots_tell_what_records_cannot_know_yet() {
        for (stored, live, shown) in [
            ((S::Waiting, 0), (S::Capturing, 0), S::Capturing),
            ((S::Declined, 1), (S::Capturing, 1), S::Capturing),
            ((S::Declined, 1), (S::Authorizing, 2), S::Authorizing),
            ((S::Authorizing, 1), (S::Unknown, 1), S::Unknown),
        ] {
            let view = PaymentView::join(&row(stored.0, stored.1), Some(&progress(live.0, live.1)));
            assert_eq!(view.state, shown, "{stored:?} {live:?}");
        }
        assert_eq!(PaymentView::join(&row(S::Unknown, 1), None).state, S::Unknown);
    }
}
