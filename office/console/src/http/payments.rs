//! Payments: started, steered field by field, sent, listed. No body, answer or address here has room for a card.

pub(super) mod money;
pub(super) mod order;
pub(super) mod parts;

use super::{
    calls,
    command::{Asked, Reply, ask, once, says_nothing_of_before},
    principal::Principal,
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{
    app::App,
    clock::now_ms,
    rights::Right,
    store::{
        alarms::AlarmView,
        audit::AuditView,
        finance::CardDeletion,
        payments::{AttemptView, NewPayment},
    },
    view::{PaymentRow, PaymentView},
};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use order::{NewPaymentBody, Order};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{Action, Field, MerchantId, PaymentId, PaymentState};

const PAGE_DEFAULT: i64 = 50;
const PAGE_MAX: i64 = 200;

/// Start taking a payment on a call. Before the line is secured it waits for that.
#[utoipa::path(post, path = "/api/v1/calls/{call}/payments", tag = "payments", request_body = NewPaymentBody,
    params(("call" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 201, body = PaymentView),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such call of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`looks_like_card`, `bad_terms` and others"),
    (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "`door_down`")))]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(call): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let call = calls::own(&app, &who, &call)?;
    let order = posted.json::<NewPaymentBody>(NewPaymentBody::EXPECTED)?.check()?;
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| started(&work, &name, call.call, order, seed).await).await
}

async fn started(app: &App, who: &Principal, call: wire::CallId, order: Order, seed: Uuid) -> Result<Reply, Problem> {
    let (order, is_new) = store(app, who, call, order, seed).await?;
    let id = order.payment;
    let asked = Asked { seed, call, payment: Some(id), what: "payment", action: Action::StartPayment(order) };
    if let Err(problem) = ask(app, who, asked).await {
        refused(app, id, is_new, &problem).await?;
        return Err(problem);
    }
    app.until(|hub| hub.payment_is_live(id)).await;
    Reply::new(StatusCode::CREATED, &show(app, id).await?)
}

/// Whether its user may order it is asked here, where every way to a payment passes. The row is stored before the cde is
/// asked, so that its records find it whatever happens next. With the order comes whether this request is the first to store it.
pub(super) async fn store(
    app: &App,
    who: &Principal,
    call: wire::CallId,
    order: Order,
    seed: Uuid,
) -> Result<(wire::PaymentOrder, bool), Problem> {
    order.rights().into_iter().try_for_each(|right| who.must_have(right))?;
    let extension = who.extension().ok_or(Problem::NOT_FOUND)?;
    let merchant: &MerchantId = &app.config.merchant;
    let (id, order) = (PaymentId(seed), parts::fit(app, who, PaymentId(seed), order).await?);
    let amount = order.amount;
    let (account, invoice, reference) =
        (order.account.as_deref(), order.invoice.as_deref(), order.reference.as_deref());
    let (capture, part_of, due) = (order.capture, order.part_of, order.due.map(|due| due.minor));
    let surcharge = order.surcharge.map_or(0, |surcharge| surcharge.minor);
    let offer = order.repeat.as_ref().map(|repeat| repeat.offer(app, who, seed)).transpose()?;
    let new = NewPayment {
        id,
        call,
        extension,
        merchant,
        amount,
        account,
        invoice,
        reference,
        capture,
        surcharge,
        due,
        part_of,
        duplicate_of: None,
        offer: offer.as_ref(),
    };
    let new = NewPayment { duplicate_of: parts::duplicate_of(app, &new).await?, ..new };
    let is_new = app.store.payment_insert(now_ms(), &new).await?;
    if is_new {
        parts::check_stored(app, &new).await?;
    }
    let row = app.store.payment(id).await?.ok_or(Problem::INTERNAL)?;
    app.hub(|hub| hub.payment(now_ms(), row));
    Ok((order.for_cde(id, merchant.clone()), is_new))
}

/// The cde does not take it. After a timeout nobody knows, so the row stays; the records, or the end of the call, will tell.
/// It stays, too, where an earlier request has stored it and this refusal says nothing of what became of that one.
pub(super) async fn refused(app: &App, id: PaymentId, is_new: bool, problem: &Problem) -> Result<(), Problem> {
    if problem.code != "door_timeout" && (is_new || !says_nothing_of_before(problem)) {
        app.store.payment_refused(id).await?;
        app.hub(|hub| hub.forget_payment(id));
    }
    Ok(())
}

/// Ask a field, or ask it again: what it held is cleared and it becomes the live one.
#[utoipa::path(post, path = "/api/v1/payments/{id}/fields/{field}/request", tag = "payments",
    params(("id" = String, Path, description = "UUID"), ("field" = crate::view::schema::Field, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = PaymentView),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment or field of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`")))]
pub(crate) async fn request_field(
    State(app): State<Arc<App>>,
    who: Principal,
    Path((id, field)): Path<(String, String)>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let field = field.parse().map_err(|_| Problem::NOT_FOUND)?;
    steer(app, who, &id, posted, Step::Request(field)).await
}

/// Clear a field without changing which one is live.
#[utoipa::path(post, path = "/api/v1/payments/{id}/fields/{field}/reset", tag = "payments",
    params(("id" = String, Path, description = "UUID"), ("field" = crate::view::schema::Field, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = PaymentView),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment or field of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`")))]
pub(crate) async fn reset_field(
    State(app): State<Arc<App>>,
    who: Principal,
    Path((id, field)): Path<(String, String)>,
    posted: Posted,
) -> Result<Reply, Problem> {
    let field = field.parse().map_err(|_| Problem::NOT_FOUND)?;
    steer(app, who, &id, posted, Step::Reset(field)).await
}

/// Send the captured card to the gateway. The answer comes when the attempt is safely written down; the outcome comes
/// as an event.
#[utoipa::path(post, path = "/api/v1/payments/{id}/authorize", tag = "payments",
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = PaymentView),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`")))]
pub(crate) async fn authorize(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    who.must_have(Right::Charge).or_else(|_| who.must_have(Right::Preauthorize))?;
    steer(app, who, &id, posted, Step::Authorize).await
}

/// Stop taking the payment, and wipe what was keyed.
#[utoipa::path(post, path = "/api/v1/payments/{id}/cancel", tag = "payments",
    params(("id" = String, Path, description = "UUID"), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = PaymentView),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment of yours"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "Refused; see `code`")))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Reply, Problem> {
    steer(app, who, &id, posted, Step::Cancel).await
}

/// What is done to a payment that has been started.
#[derive(Clone, Copy)]
enum Step {
    Request(Field),
    Reset(Field),
    Authorize,
    Cancel,
}

impl Step {
    fn action(self, payment: PaymentId) -> (&'static str, Action) {
        match self {
            Self::Request(field) => ("request_field", Action::RequestField { payment, field }),
            Self::Reset(field) => ("reset_field", Action::ResetField { payment, field }),
            Self::Authorize => ("authorize", Action::Authorize { payment }),
            Self::Cancel => ("cancel", Action::Cancel { payment }),
        }
    }

    /// Does the payment show already what was confirmed?
    fn shown(self, state: PaymentState) -> bool {
        use PaymentState as S;
        match self {
            Self::Request(_) | Self::Reset(_) => true,
            Self::Authorize => !matches!(state, S::Waiting | S::Capturing | S::Ready),
            Self::Cancel => state == S::Cancelled,
        }
    }
}

/// Who looks after the money sees the payments of others, but only the agent on the call steers one that is being taken.
async fn steer(app: Arc<App>, who: Principal, id: &str, posted: Posted, step: Step) -> Result<Reply, Problem> {
    let row = own(&app, &who, id).await?;
    if !is_own(&who, &row) {
        return Err(Problem::NOT_FOUND);
    }
    let (work, name) = (app.clone(), who.clone());
    once(app, &who, posted, async move |seed| {
        let (app, id) = (work, row.id);
        let (what, action) = step.action(id);
        ask(&app, &name, Asked { seed, call: row.call, payment: Some(id), what, action }).await?;
        app.until(|hub| hub.payment_state(id).is_none_or(|state| step.shown(state))).await;
        let status = if matches!(step, Step::Authorize) { StatusCode::ACCEPTED } else { StatusCode::OK };
        Reply::new(status, &show(&app, id).await?)
    })
    .await
}

/// Where the page begins, and how long it is.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// 1 to 200; 50 without.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// True: everybody's, for who looks after the money (`finance`).
    #[serde(default)]
    all: bool,
}

/// One page of payments, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct PaymentPage {
    payments: Vec<PaymentView>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

/// The payments of the user's extension, newest first; with `all`, everybody's.
#[utoipa::path(get, path = "/api/v1/payments", params(PageQuery), tag = "payments", responses(
    (status = 200, body = PaymentPage),
    (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "`bad_query`"),
    (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "`no_right` to `all`")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<PaymentPage>, Problem> {
    let bad = || {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_query",
            "Expected: limit (1 to 200), cursor and all (true or false).",
        )
    };
    let Query(query) = query.map_err(|_| bad())?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    let before = query.cursor.map(|text| text.parse::<PaymentId>()).transpose().map_err(|_| bad())?;
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(bad());
    }
    let mut rows = match who.extension() {
        _ if query.all => {
            who.must_have(Right::Finance)?;
            app.store.payments_page_of_all(before, limit + 1).await?
        }
        Some(extension) => app.store.payments_page(extension, before, limit + 1).await?,
        None => Vec::new(),
    };
    let wanted = usize::try_from(limit).map_err(|_| bad())?;
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id.to_string());
    let payments = app.hub(|hub| rows.iter().map(|row| hub.show(row)).collect());
    Ok(Json(PaymentPage { payments, next_cursor }))
}

/// What one payment shows beyond the members of `PaymentView`, which it has too.
#[derive(Serialize, ToSchema)]
pub(crate) struct PaymentDetail {
    /// Who did what, oldest first.
    audit: Vec<AuditView>,
    /// The attempts at the gateway, instead of their number.
    attempts: Vec<AttemptView>,
    /// The payments that pay one sum together, and what of it remains; null of a payment that stands alone.
    sum: Option<parts::SumView>,
    /// What people must look at, or have; the oldest first.
    alarms: Vec<AlarmView>,
    /// How the card goes that was kept with it; null where none was, or it may still be charged.
    card_deletion: Option<CardDeletion>,
    /// The call is over, and nothing more can come of the payment.
    settled: bool,
}

/// One payment with its attempts and audit trail.
#[utoipa::path(get, path = "/api/v1/payments/{id}", tag = "payments",
    params(("id" = String, Path, description = "UUID")), responses(
    (status = 200, body = PaymentDetail, description = "All members of `PaymentView`, with `attempts` as a list, and `audit`"),
    (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "No such payment of yours")))]
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    who: Principal,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let row = own(&app, &who, &id).await?;
    let told = app.hub(|hub| hub.is_told(&row));
    // Read after that, or a record that came in between would be missed.
    let row = app.store.payment(row.id).await?.ok_or(Problem::NOT_FOUND)?;
    let attempts = app.store.attempts(row.id).await?;
    let (sum, alarms) = (parts::sum_of(&app, &row).await?, app.store.alarms(row.id).await?);
    let (card_deletion, settled) = (app.store.card_deletion(row.id).await?, told && is_an_end(row.state));
    // Last: who did what is there of all that is shown.
    let audit = app.store.audit_of_payment(&row.id.to_string()).await?;
    let detail = PaymentDetail { audit, attempts, sum, alarms, card_deletion, settled };
    let view = app.hub(|hub| hub.show(&row));
    let (mut all, detail) = (json!(view), json!(detail));
    if let (Value::Object(all), Value::Object(detail)) = (&mut all, detail) {
        all.extend(detail);
    }
    Ok(Json(all))
}

/// Once its call is over, does a payment stay in this state?
fn is_an_end(state: PaymentState) -> bool {
    use PaymentState as S;
    matches!(state, S::Approved | S::Declined | S::NotSent | S::Cancelled | S::Voided | S::Refunded)
}

/// A payment of the user's own extension, or any for who looks after the money; others do not learn that there is one.
async fn own(app: &App, who: &Principal, id: &str) -> Result<PaymentRow, Problem> {
    let id: PaymentId = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let row = app.store.payment(id).await?.ok_or(Problem::NOT_FOUND)?;
    if is_own(who, &row) || who.user.rights.has(Right::Finance) { Ok(row) } else { Err(Problem::NOT_FOUND) }
}

pub(super) fn is_mine(who: &Principal, extension: &str) -> bool {
    who.extension().is_some_and(|mine| mine.as_str() == extension)
}

fn is_own(who: &Principal, row: &PaymentRow) -> bool {
    is_mine(who, &row.extension)
}

pub(super) async fn show(app: &App, id: PaymentId) -> Result<PaymentView, Problem> {
    let row = app.store.payment(id).await?.ok_or(Problem::INTERNAL)?;
    Ok(app.hub(|hub| hub.show(&row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, door::Door, store::tests::store as new_store};
    use tokio::sync::watch;

    /// The first request timed out and the cde has it in its hands; the second one, with the same key, was not sent.
    #[tokio::test]
    async fn a_row_that_an_earlier_request_stored_stays_when_the_second_is_not_sent() {
        let (store, _folder) = new_store().await;
        let (_stop, stopping) = watch::channel(false);
        let app = App::new(Config::default(), store, Door::new().0, stopping).unwrap();
        let id = PaymentId(Uuid::now_v7());
        let new = NewPayment {
            id,
            call: wire::CallId(id.0),
            extension: &"1001".parse().unwrap(),
            merchant: &"main".parse().unwrap(),
            amount: wire::Money { minor: 4200, currency: wire::Currency::GBP },
            account: None,
            invoice: None,
            reference: None,
            capture: wire::CaptureTime::Now,
            surcharge: 0,
            due: None,
            part_of: None,
            duplicate_of: None,
            offer: None,
        };
        assert!(app.store.payment_insert(1, &new).await.unwrap());
        refused(&app, id, true, &Problem::NOT_KNOWN_YET).await.unwrap();
        let is_new = app.store.payment_insert(2, &new).await.unwrap();
        refused(&app, id, is_new, &Problem::DOOR_DOWN).await.unwrap();
        refused(&app, id, is_new, &Problem::refused(wire::Refusal::JournalFault)).await.unwrap();
        assert!(app.store.payment(id).await.unwrap().is_some());
        refused(&app, id, true, &Problem::DOOR_DOWN).await.unwrap();
        assert!(app.store.payment(id).await.unwrap().is_none(), "nobody has ever been asked for it");
    }
}
