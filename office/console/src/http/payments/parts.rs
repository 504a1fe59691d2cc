//! What a new payment has to do with others and with the house's rules: parts of one sum, surcharges, duplicates.

use super::order::Order;
use crate::{
    app::App,
    clock::now_ms,
    http::{
        principal::Principal,
        problem::{Problem, ProblemBody},
    },
    store::{
        parts::{PARTS_MAX, Sum},
        payments::NewPayment,
    },
    view::{PaymentRow, schema},
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use wire::{Currency, Money, PaymentId};

/// Payments that pay one sum together.
#[derive(Serialize, ToSchema)]
pub(crate) struct SumView {
    #[schema(value_type = schema::Money)]
    due: Money,
    /// What is neither paid nor on its way.
    #[schema(value_type = schema::Money)]
    remaining: Money,
    /// UUIDs, the first part first.
    #[schema(value_type = Vec<String>)]
    parts: Vec<PaymentId>,
}

/// Fits an order to what it is a part of, and puts the surcharge on top of its amount.
pub(super) async fn fit(app: &App, who: &Principal, id: PaymentId, order: Order) -> Result<Order, Problem> {
    // Asked again after an answer that got lost, it is there already and does not count against itself.
    let is_new = app.store.payment(id).await?.is_none();
    if let Some(first) = order.part_of.filter(|_| is_new) {
        let extension = who.extension().map(wire::Extension::as_str);
        let sum = app.store.sum(first, extension).await?.ok_or(Problem::NOT_FOUND)?;
        check_part(&order, &sum)?;
    }
    let amount = surcharged(app, &order)?;
    Ok(Order { amount, ..order })
}

fn check_part(order: &Order, sum: &Sum) -> Result<(), Problem> {
    if sum.parts.len() >= PARTS_MAX {
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_parts", "One sum is paid in at most 20 parts."));
    }
    let fits = order.amount.currency == sum.due.currency && order.amount.minor <= sum.remaining.minor;
    if fits {
        return Ok(());
    }
    let detail = format!("Of this sum {} remains to be paid; what is on its way counts as paid.", sum.remaining);
    Err(Problem { detail: detail.into(), ..Problem::new(StatusCode::CONFLICT, "above_remaining", "") })
}

/// The amount with the surcharge on top of it, which the caller has accepted.
pub(in crate::http) fn surcharged(app: &App, order: &Order) -> Result<Money, Problem> {
    let owed = app.config.surcharge(order.amount.minor);
    let total = Money { minor: order.amount.minor.saturating_add(owed), ..order.amount };
    if order.surcharge.map_or(0, |accepted| accepted.minor) == owed {
        return Ok(total);
    }
    let owed = Money { minor: owed, ..order.amount };
    let detail = format!(
        "A surcharge of {owed} makes it {total}. Tell the caller; if they accept it, send it as `surcharge` with the order."
    );
    Err(Problem { detail: detail.into(), ..Problem::new(StatusCode::CONFLICT, "surcharge_not_accepted", "") })
}

/// Two parts may have been ordered at the same moment: once it is stored, a part that is too much is none.
pub(super) async fn check_stored(app: &App, new: &NewPayment<'_>) -> Result<(), Problem> {
    let Some(first) = new.part_of else { return Ok(()) };
    let sum = app.store.sum(first, Some(new.extension.as_str())).await?.ok_or(Problem::NOT_FOUND)?;
    if !sum.is_exceeded {
        return Ok(());
    }
    app.store.payment_refused(new.id).await?;
    let detail = "Another part of this sum was ordered at the same moment.";
    Err(Problem::new(StatusCode::CONFLICT, "above_remaining", detail))
}

/// A payment that looks like this one and may have taken money a moment ago.
pub(super) async fn duplicate_of(app: &App, new: &NewPayment<'_>) -> Result<Option<PaymentId>, Problem> {
    let minutes = i64::from(app.config.duplicate_minutes);
    if minutes == 0 || new.part_of.is_some() {
        return Ok(None);
    }
    Ok(app.store.duplicate_of(new, now_ms() - minutes * 60_000).await?)
}

/// The sum that a payment is a part of.
pub(super) async fn sum_of(app: &App, row: &PaymentRow) -> Result<Option<SumView>, Problem> {
    if row.part_of.is_none() && row.due.is_none() && row.approved.is_none_or(|approved| approved >= row.amount) {
        return Ok(None);
    }
    let sum = app.store.sum(row.part_of.unwrap_or(row.id), Some(&row.extension)).await?;
    Ok(sum.map(|Sum { due, remaining, parts, .. }| SumView { due, remaining, parts }))
}

/// Of which amount.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct SurchargeQuery {
    /// Minor units.
    minor: i64,
    /// ISO 4217.
    #[param(value_type = String)]
    currency: Currency,
}

/// What a payment of an amount comes to.
#[derive(Serialize, ToSchema)]
pub(crate) struct SurchargeView {
    #[schema(value_type = schema::Money)]
    amount: Money,
    #[schema(value_type = schema::Money)]
    surcharge: Money,
    #[schema(value_type = schema::Money)]
    total: Money,
}

/// The surcharge on an amount. The caller must be told of it and accept it before the payment is started.
#[utoipa::path(get, path = "/api/v1/surcharge", tag = "payments", params(SurchargeQuery), responses(
    (status = 200, body = SurchargeView),
    (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "`bad_query`")))]
pub(crate) async fn surcharge(
    State(app): State<Arc<App>>,
    _: Principal,
    query: Result<Query<SurchargeQuery>, QueryRejection>,
) -> Result<Json<SurchargeView>, Problem> {
    let bad = || Problem::new(StatusCode::BAD_REQUEST, "bad_query", "Expected: minor (above zero) and currency.");
    let Query(SurchargeQuery { minor, currency }) = query.map_err(|_| bad())?;
    let money = |minor| Money { minor, currency };
    if !money(minor).payable() {
        return Err(bad());
    }
    let owed = app.config.surcharge(minor);
    let total = money(minor.saturating_add(owed));
    Ok(Json(SurchargeView { amount: money(minor), surcharge: money(owed), total }))
}
