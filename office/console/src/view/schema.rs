//! What `wire` serializes, described for the OpenAPI document; `wire` itself knows nothing of OpenAPI.

use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

/// A closed set of words.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $($word:literal)+;)+) => { $(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($word),+]));
                RefOr::T(Schema::Object(words.build()))
            }
        }

        impl ToSchema for $name {}
    )+ };
}

words! {
    /// Where a call stands.
    CallState: "awaited" "self_service" "ringing" "talking" "held";
    /// How a call came: by a route between two trunks, or transferred to a code, or after a PIN, or sent to pay
    /// alone, or as a conference, in which the agent can hear the keys.
    WayIn: "inline" "code" "pin" "bounced" "conference";
    /// Where a line stands. `conference`: keys are taken and nothing is masked, so that the agent can hear the keys.
    LineState: "open" "securing" "secured" "releasing" "fault" "conference";
    /// `none`: in a conference nothing is.
    Masking: "natural" "strict" "none";
    /// How much hangs on recorders elsewhere.
    HookRule: "best_effort" "required";
    /// Where recorders elsewhere stand.
    HookState: "not_asked" "asked" "paused" "not_paused";
    /// Why a recorder elsewhere has not paused.
    HookTrouble: "no_recorder" "unreachable" "timed_out" "refused" "no_call_name" "misconfigured" "office_silent";
    /// What became of a test call.
    TestResult: "good" "no_sound" "failed";
    /// A way in which keys travel.
    KeyTransport: "events" "info" "tones";
    /// Is anybody at a place of a trunk?
    PlaceState: "unknown" "up" "down";
    /// What came of a registration.
    RegistrationState: "asked" "registered" "refused" "unanswered";
    /// Where a payment stands.
    PaymentState: "waiting" "capturing" "ready" "authorizing" "approved" "declined" "not_sent" "unknown" "cancelled"
        "voided" "refunded";
    /// What a card is kept for.
    Purpose: "recurring" "installment" "unscheduled";
    /// What became of a card that was to be kept.
    Keeping: "kept" "not_kept";
    /// What an attempt does.
    AttemptKind: "authorize" "capture" "void" "refund" "store" "charge_stored" "delete_stored";
    /// What people have found out of an attempt.
    Found: "done" "not_done";
    /// What the bank says of what it was asked to compare.
    Check: "match" "no_match" "not_checked" "unavailable";
    /// A field that the caller keys.
    Field: "pan" "expiry" "cvv";
    /// Where a field stands.
    FieldStatus: "wait" "live" "ok" "bad";
    /// Why a field was refused.
    RejectReason: "check_digit" "length" "unknown_brand" "month" "expired" "too_far" "too_slow" "key_lost"
        "too_many_tries" "bank_refused";
    /// A card scheme.
    Brand: "visa" "mastercard" "amex" "diners" "discover" "troy" "jcb" "unionpay" "naranja" "verve" "maestro" "elo"
        "mir" "hiper" "hipercard";
    /// Kinds of outcome.
    OutcomeKind: "approved" "declined" "rejected" "unknown" "abandoned";
    /// Kinds of decline.
    DeclineClass: "insufficient_funds" "do_not_honor" "expired_card" "wrong_cvv" "wrong_address" "not_allowed"
        "lost_or_stolen" "no_such_card" "authentication_required" "bank_down" "other";
}

/// Money in minor units: 4200 GBP is 42.00 pounds.
#[derive(Serialize, ToSchema)]
pub(crate) struct Money {
    /// Minor units (pence, cents).
    minor: i64,
    /// ISO 4217.
    #[schema(example = "GBP")]
    currency: String,
}

/// Month and year of expiry.
#[derive(Serialize, ToSchema)]
pub(crate) struct Expiry {
    month: u8,
    year: u16,
}

/// All that anybody here learns of a card.
#[derive(Serialize, ToSchema)]
pub(crate) struct CardView {
    #[schema(value_type = Brand)]
    brand: String,
    /// The last four digits.
    last4: String,
    expiry: Option<Expiry>,
}

/// One field as it stands: how many digits, never which.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldProgress {
    #[schema(value_type = Field)]
    field: String,
    #[schema(value_type = FieldStatus)]
    status: String,
    /// How many digits have been keyed.
    digits: u8,
    #[schema(value_type = Option<RejectReason>)]
    reason: Option<String>,
}

/// What the bank compared; what is not there it said nothing of.
#[derive(Serialize, ToSchema)]
pub(crate) struct Checks {
    #[schema(value_type = Option<Check>)]
    address: Option<String>,
    #[schema(value_type = Option<Check>)]
    postcode: Option<String>,
    /// The security code.
    #[schema(value_type = Option<Check>)]
    code: Option<String>,
}

/// The outcome of an attempt; which members are there depends on `outcome`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Outcome {
    #[schema(value_type = OutcomeKind)]
    outcome: String,
    /// Approved: the bank's authorization code.
    auth_code: Option<String>,
    /// Approved: the gateway's own name for the charge.
    gateway_ref: Option<String>,
    /// Approved: how much; may be less than asked.
    amount: Option<Money>,
    /// Approved: what the bank compared.
    checks: Option<Checks>,
    /// Declined: what kind of no.
    #[schema(value_type = Option<DeclineClass>)]
    class: Option<String>,
    /// Declined: the network's code.
    network_code: Option<String>,
}

/// A payment as the call shows it live.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProgressSchema {
    /// UUID.
    payment: String,
    amount: Money,
    #[schema(value_type = PaymentState)]
    state: String,
    fields: Vec<FieldProgress>,
    #[schema(value_type = Option<Brand>)]
    brand: Option<String>,
    last4: Option<String>,
    pan_length_expected: Option<u8>,
    outcome: Option<Outcome>,
    attempts: u8,
    #[schema(value_type = Option<Keeping>)]
    kept: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed<S: PartialSchema, T: Serialize>(all: &[T]) {
        let words = serde_json::to_value(S::schema()).unwrap()["enum"].clone();
        assert_eq!(words, serde_json::to_value(all).unwrap());
    }

    #[test]
    fn the_words_are_those_of_the_wire() {
        use wire::{CallState as C, Field as F, FieldStatus as T, LineState as L, PaymentState as P};
        listed::<CallState, _>(&[C::Awaited, C::SelfService, C::Ringing, C::Talking, C::Held]);
        use wire::WayIn as W;
        listed::<WayIn, _>(&[W::Inline, W::Code, W::Pin, W::Bounced, W::Conference]);
        listed::<Masking, _>(&[wire::Masking::Natural, wire::Masking::Strict, wire::Masking::None]);
        listed::<LineState, _>(&[L::Open, L::Securing, L::Secured, L::Releasing, L::Fault, L::Conference]);
        use wire::{HookRule as H, HookState as I, HookTrouble as J};
        listed::<HookRule, _>(&[H::BestEffort, H::Required]);
        listed::<HookState, _>(&[I::NotAsked, I::Asked, I::Paused, I::NotPaused]);
        listed::<HookTrouble, _>(&[
            J::NoRecorder,
            J::Unreachable,
            J::TimedOut,
            J::Refused,
            J::NoCallName,
            J::Misconfigured,
            J::OfficeSilent,
        ]);
        listed::<PlaceState, _>(&[wire::PlaceState::Unknown, wire::PlaceState::Up, wire::PlaceState::Down]);
        use wire::TestResult as Q;
        use wire::{KeyTransport as K, RegistrationState as R};
        listed::<TestResult, _>(&[Q::Good, Q::NoSound, Q::Failed]);
        listed::<KeyTransport, _>(&[K::Events, K::Info, K::Tones]);
        listed::<RegistrationState, _>(&[R::Asked, R::Registered, R::Refused, R::Unanswered]);
        listed::<Field, _>(&[F::Pan, F::Expiry, F::Cvv]);
        listed::<FieldStatus, _>(&[T::Wait, T::Live, T::Ok, T::Bad]);
        listed::<PaymentState, _>(&[
            P::Waiting,
            P::Capturing,
            P::Ready,
            P::Authorizing,
            P::Approved,
            P::Declined,
            P::NotSent,
            P::Unknown,
            P::Cancelled,
            P::Voided,
            P::Refunded,
        ]);
        listed::<Purpose, _>(&[wire::Reason::Recurring, wire::Reason::Installment, wire::Reason::Unscheduled]);
        listed::<Keeping, _>(&[wire::Keeping::Kept, wire::Keeping::NotKept]);
        listed::<AttemptKind, _>(&wire::AttemptKind::ALL);
        use wire::Check as V;
        listed::<Check, _>(&[V::Match, V::NoMatch, V::NotChecked, V::Unavailable]);
    }
}
