//! The HTTP API, one file a noun, and what holds for every request: limits, headers, and problems as answers.

pub(crate) mod agreements;
mod alarms;
mod api_keys;
mod bounced_orders;
pub(crate) mod calendar;
mod calls;
mod cards;
mod command;
mod events;
mod figures;
mod forgotten;
mod gateways;
mod health;
mod ladder;
mod manual;
mod openapi;
mod payments;
mod principal;
mod problem;
pub(crate) mod reconciliations;
mod request;
mod restores;
mod session;
mod transfers;
mod trunks;
mod web;

use crate::app::App;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use problem::Problem;
use std::{any::Any, sync::Arc, sync::atomic::Ordering, time::Duration};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The largest body of a request.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a request may take until its answer begins; longer than a command waits for the cde.
const REQUEST_WAIT: Duration = Duration::from_secs(20);
/// Nothing is loaded from elsewhere, nothing is inline, nobody frames the desk.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Everything that is served.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (api, document) = OpenApiRouter::with_openapi(openapi::base())
        .merge(calls())
        .merge(sent_to_us())
        .merge(health())
        .routes(routes!(session::sign_in, session::whoami, session::sign_out))
        .routes(routes!(session::auto))
        .routes(routes!(trunks::list))
        .routes(routes!(trunks::test, trunks::tested))
        .routes(routes!(ladder::list))
        .routes(routes!(ladder::of_call))
        .routes(routes!(ladder::as_text))
        .routes(routes!(events::stream))
        .routes(routes!(payments::start))
        .routes(routes!(payments::list))
        .routes(routes!(payments::one))
        .routes(routes!(payments::request_field))
        .routes(routes!(payments::reset_field))
        .routes(routes!(payments::authorize))
        .routes(routes!(payments::cancel))
        .routes(routes!(payments::money::capture))
        .routes(routes!(payments::money::void))
        .routes(routes!(payments::money::refund))
        .routes(routes!(payments::money::review))
        .routes(routes!(payments::money::settle))
        .routes(routes!(payments::money::waiting))
        .merge(agreements())
        .routes(routes!(alarms::seen))
        .routes(routes!(restores::list))
        .routes(routes!(restores::accept))
        .routes(routes!(manual::list))
        .routes(routes!(manual::export))
        .routes(routes!(manual::keyed))
        .routes(routes!(reconciliations::upload, reconciliations::list))
        .routes(routes!(reconciliations::day))
        .routes(routes!(reconciliations::withdraw))
        .routes(routes!(reconciliations::fetch::fetch))
        .routes(routes!(reconciliations::files::export))
        .routes(routes!(gateways::list))
        .routes(routes!(gateways::give))
        .routes(routes!(api_keys::list))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(cards::charge))
        .routes(routes!(cards::forget))
        .routes(routes!(cards::deleted))
        .routes(routes!(payments::parts::surcharge))
        .split_for_parts();
    let panics = app.clone();
    api.merge(openapi::router(&document))
        .merge(calendar::routes())
        .fallback(web::serve)
        .method_not_allowed_fallback(async || Problem::METHOD_NOT_ALLOWED)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(in_time))
        .layer(CatchPanicLayer::custom(move |_: Box<dyn Any + Send>| panicked(&panics)))
        .layer(middleware::from_fn_with_state(app.clone(), headers))
        .with_state(app)
}

/// What is asked of live calls.
fn calls() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(calls::list))
        .routes(routes!(calls::secure))
        .routes(routes!(calls::release))
        .routes(routes!(calls::pause_recorders))
        .routes(routes!(figures::of_call))
}

/// Payments that repeat.
fn agreements() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(agreements::list))
        .routes(routes!(agreements::one))
        .routes(routes!(agreements::terms::preview))
        .routes(routes!(agreements::changes::amend))
        .routes(routes!(agreements::changes::skip))
        .routes(routes!(agreements::changes::r#move))
        .routes(routes!(agreements::changes::pause))
        .routes(routes!(agreements::changes::resume))
        .routes(routes!(agreements::changes::cancel))
        .routes(routes!(agreements::changes::take))
        .routes(routes!(agreements::changes::leave))
        .routes(routes!(agreements::link::make))
        .routes(routes!(agreements::link::take_back))
        .routes(routes!(agreements::missed::status))
        .routes(routes!(agreements::missed::clock_is_right))
        .routes(routes!(agreements::outbox::list))
        .routes(routes!(agreements::outbox::taken))
}

/// Callers who are to be sent to us.
fn sent_to_us() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(transfers::create, transfers::ways))
        .routes(routes!(bounced_orders::create))
        .routes(routes!(bounced_orders::one))
}

/// What watches us asks for.
fn health() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
}

/// What a panic says may hold anything, so it is not repeated; the panic hook has logged its place.
fn panicked(app: &App) -> Response {
    app.counters.panics.fetch_add(1, Ordering::Relaxed);
    Problem::INTERNAL.into_response()
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_WAIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::TOO_SLOW.into_response(),
    }
}

async fn headers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if app.config.https {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}
