//! What a caller is to pay alone, ordered ahead of the call: the answer has a code that names the order on it, once and for a
//! time, and the order says what became of it.

use super::{
    command::{Asked, ask_for},
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{
    app::App,
    clock::{now_ms, rfc3339},
    rights::Right,
    store::bounced_orders::OrderRow,
    view::{PaymentView, schema},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{
    Action, BouncedOrder, CallId, CommandResult, Extension, MerchantId, Money, OrderCode, PaymentId, PaymentState,
    Reference, name_pan_like,
};

/// How long a code is good where nothing else is said, in seconds.
const VALID_S: u32 = 300;
/// A call that came with the last second of a code is known here a little later.
const LATE_MS: i64 = 30_000;

/// What a caller is to pay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrderBody {
    /// No more than the route allows (`minor_max`), in its currency.
    #[schema(value_type = schema::Money)]
    amount: Money,
    /// Yours: up to 64 letters, digits and `._-+*#`, and nothing like a card number. A newer order of yours of the same reference takes this
    /// one's place, somebody else's is refused; one of the same amount is refused while this one is paid or may have been.
    reference: String,
    /// For whom; without it, the office's own merchant.
    #[schema(value_type = Option<String>)]
    merchant: Option<MerchantId>,
    /// The extension to go back to, of the route's `returns`; without it, the route's own.
    #[serde(rename = "return")]
    #[schema(value_type = Option<String>)]
    back: Option<Extension>,
    /// For how many seconds the code is good: 30 to 3600, and 300 without it.
    valid_s: Option<u32>,
}

const EXPECTED: &str = "amount {minor, currency}, reference (text), and if wanted merchant, return (an extension) and valid_s (30 to 3600)";

impl NewOrderBody {
    fn check(self, app: &App) -> Result<BouncedOrder, Problem> {
        if !self.amount.payable() {
            let detail = "The amount must be above zero and not absurdly large.";
            return Err(Problem::unprocessable("bad_amount", detail));
        }
        if name_pan_like(&self.reference) {
            return Err(Problem::LOOKS_LIKE_CARD);
        }
        let reference: Reference = self.reference.parse().map_err(|_| {
            Problem::unprocessable("bad_reference", "A reference is 1 to 64 letters, digits and ._-+*#.")
        })?;
        let valid_s = self.valid_s.unwrap_or(VALID_S);
        if !BouncedOrder::VALID_S.contains(&valid_s) {
            return Err(Problem::unprocessable("bad_valid_s", "A code is good for 30 to 3600 seconds."));
        }
        let merchant = self.merchant.unwrap_or_else(|| app.config.merchant.clone());
        let payment = PaymentId(Uuid::now_v7());
        Ok(BouncedOrder { payment, merchant, amount: self.amount, reference, back: self.back, valid_s })
    }
}

/// An order that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeOrder {
    #[serde(flatten)]
    order: OrderView,
    /// What names it on the call: `X-Tonewall-Order-Code`, or `order-code` in User-to-User. Good once.
    code: String,
    /// The number to send the caller to instead; null where no route that takes it has one.
    dial: Option<String>,
    /// The caller's keys pass through a PBX, with its recorder and its network, before they come to Tonewall: those are in scope.
    keys_cross_pbx: bool,
}

/// An order.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrderView {
    /// UUID; the payment that it becomes has the same.
    #[schema(value_type = String)]
    id: PaymentId,
    state: OrderState,
    #[schema(value_type = schema::Money)]
    amount: Money,
    #[schema(value_type = String)]
    merchant: MerchantId,
    #[schema(value_type = String)]
    reference: Reference,
    /// The extension to go back to, if one was asked for.
    #[serde(rename = "return")]
    #[schema(value_type = Option<String>)]
    back: Option<Extension>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339: no call comes with the code after that.
    expires_at: String,
    /// The payment, from the moment that its caller is on the line.
    payment: Option<PaymentView>,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderState {
    /// No call has come with its code yet.
    Waiting,
    /// None has, and its time is over.
    Expired,
    /// None has, and a newer order of yours of the same reference has taken its place.
    Replaced,
    /// Its caller is on the line, or the gateway is being asked.
    Paying,
    /// The money is authorized.
    Approved,
    /// The bank or gateway said no.
    Declined,
    /// Not known yet: the money may have moved. It is settled by asking the gateway.
    Unknown,
    /// Nothing was taken: the caller keyed no whole card, or nothing could be sent.
    Canceled,
    /// Approved, and given back before it was settled.
    Voided,
    /// Approved, and all of it refunded.
    Refunded,
}

impl OrderState {
    fn of(state: PaymentState) -> Self {
        match state {
            PaymentState::Waiting | PaymentState::Capturing | PaymentState::Ready | PaymentState::Authorizing => {
                Self::Paying
            }
            PaymentState::Approved => Self::Approved,
            PaymentState::Declined => Self::Declined,
            PaymentState::Unknown => Self::Unknown,
            PaymentState::NotSent | PaymentState::Cancelled => Self::Canceled,
            PaymentState::Voided => Self::Voided,
            PaymentState::Refunded => Self::Refunded,
        }
    }
}

/// Order what a caller is to pay alone, before you send them: the amount then crosses no PBX. The answer is given once and its
/// code is kept nowhere, so it takes no idempotency key: ask again, and the newer order of a reference replaces the one before.
#[utoipa::path(post, path = "/api/v1/bounced-orders", tag = "bounced orders", request_body = NewOrderBody, responses(
    (status = 201, body = MadeOrder),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json",
        description = "`not_bounced` (no route takes it), `same_order` (it is paid, or may be), `ordered_by_another` (of this reference \
            somebody else's waits for its caller), `too_many_orders` (a thousand of yours wait), `unknown_merchant`, `journal_fault`"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json",
        description = "`bad_amount`, `bad_reference`, `looks_like_card`, `bad_valid_s`"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Principal,
    posted: Posted,
) -> Result<(StatusCode, Json<MadeOrder>), Problem> {
    who.must_have(Right::Charge)?;
    let order = posted.json::<NewOrderBody>(EXPECTED)?.check(&app)?;
    // What was begun is finished, also when the client has gone away.
    let task = tokio::spawn(async move { created(&app, &who, order).await });
    let made = task.await.map_err(|_| Problem::INTERNAL)??;
    Ok((StatusCode::CREATED, Json(made)))
}

/// It is stored once the cde has it: where that fails nobody has been told the code.
async fn created(app: &App, who: &Principal, order: BouncedOrder) -> Result<MadeOrder, Problem> {
    let (seed, call, payment) = (Uuid::now_v7(), CallId(Uuid::nil()), order.payment);
    let action = Action::OrderBounced(order.clone());
    let asked = Asked { seed, call, payment: Some(payment), what: "bounced_order", action };
    let (CommandResult::Ordered { code, until_unix_ms, keys_cross_pbx, replaces }, _) =
        ask_for(app, who, asked).await?
    else {
        return Err(Problem::INTERNAL);
    };
    app.store.bounced_order_insert(now_ms(), who.user.id, &order, until_unix_ms, replaces).await?;
    let row = app.store.bounced_order(payment).await?.ok_or(Problem::INTERNAL)?;
    let OrderCode { code, number: dial } = code;
    Ok(MadeOrder { order: shown(app, row).await?, code, dial, keys_cross_pbx })
}

/// What became of an order: for who has made it, and for who looks after the money.
#[utoipa::path(get, path = "/api/v1/bounced-orders/{id}", tag = "bounced orders",
    params(("id" = String, Path, description = "UUID")), responses(
    (status = 200, body = OrderView),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such order of yours")))]
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<Json<OrderView>, Problem> {
    let id: PaymentId = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let row = app.store.bounced_order(id).await?.ok_or(Problem::NOT_FOUND)?;
    let may = row.user == who.user.id || who.user.rights.has(Right::Finance);
    if may { Ok(Json(shown(&app, row).await?)) } else { Err(Problem::NOT_FOUND) }
}

async fn shown(app: &App, row: OrderRow) -> Result<OrderView, Problem> {
    let payment = app.store.payment(row.payment).await?;
    let payment = payment.map(|payment| app.hub(|hub| hub.show(&payment)));
    // Without the cde nobody knows whether a call came with it.
    let is_over = app.door.is_up() && now_ms() > row.expires_ms.saturating_add(LATE_MS);
    let state = match &payment {
        Some(payment) => OrderState::of(payment.state),
        None if row.is_replaced => OrderState::Replaced,
        None if is_over => OrderState::Expired,
        None => OrderState::Waiting,
    };
    Ok(OrderView {
        id: row.payment,
        state,
        amount: row.amount,
        merchant: row.merchant,
        reference: row.reference,
        back: row.back,
        created_at: rfc3339(row.created_ms),
        expires_at: rfc3339(row.expires_ms),
        payment,
    })
}
