//! The desk: the built web bundle, which is part of the program.

use super::problem::Problem;
use axum::{
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::{Embed, EmbeddedFile};

/// `office/web/dist`, as it was when this was built.
#[derive(Embed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Bundle;

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tonewall</title>\
    <h1>The desk is not part of this build</h1><p>Run <code>cargo xtask web</code>, then build again. \
    The API is served all the same: <a href=\"/openapi.json\">/openapi.json</a>.</p></html>";

/// Files of the bundle; any other address that is no file's is the desk's own.
pub(super) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::NOT_FOUND.into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return Problem::METHOD_NOT_ALLOWED.into_response();
    }
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    match Bundle::get(path) {
        Some(file) if is_file => answer(path, &file, &headers),
        _ if is_file => Problem::NOT_FOUND.into_response(),
        _ => match Bundle::get("index.html") {
            Some(file) => answer("index.html", &file, &headers),
            None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT).into_response(),
        },
    }
}

/// Names of built assets change with their content, so they may be kept; the page itself is asked for each time.
fn answer(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let mut tag = String::from("\"");
    for byte in file.metadata.sha256_hash().iter().take(16) {
        tag.push_str(&format!("{byte:02x}"));
    }
    tag.push('"');
    let keep = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag), (header::CACHE_CONTROL, keep.to_owned())])
            .into_response();
    }
    let head =
        [(header::CONTENT_TYPE, kind(path).to_owned()), (header::ETAG, tag), (header::CACHE_CONTROL, keep.to_owned())];
    (head, file.data.to_vec()).into_response()
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("wav") => "audio/wav",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
