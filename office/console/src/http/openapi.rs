//! `/openapi.json`: the document is made once, from the same declarations that route the requests.

use crate::app::App;
use axum::{Router, http::header, response::IntoResponse, routing::get};
use std::sync::Arc;
use utoipa::openapi::{
    Components, Info, OpenApi, OpenApiBuilder,
    security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

/// What is true of the whole API.
pub(super) fn base() -> OpenApi {
    let mut info = Info::new("Tonewall", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Card payments on phone calls. Nothing here takes or gives a card number or a security code. With the cookie, \
         every request that changes something also carries `X-Tonewall: 1`."
            .to_owned(),
    );
    let mut components = Components::new();
    let cookie = ApiKeyValue::new(super::principal::COOKIE);
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    components.add_security_scheme("api_key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let none: [&str; 0] = [];
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new("session", none), SecurityRequirement::new("api_key", none)]))
        .build()
}

/// Serves the finished document.
pub(super) fn router(document: &OpenApi) -> Router<Arc<App>> {
    let text: Arc<str> = document.to_json().unwrap_or_else(|_| "{}".to_owned()).into();
    let serve = move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text.to_string()).into_response() }
    };
    Router::new().route("/openapi.json", get(serve))
}
