//! What bodies are taken where.

use crate::message::{Body, Headers, Name, Request};

/// The one content type of session descriptions here.
pub(super) const SDP: &str = "application/sdp";

/// The SDP of a message; other content and none are `None`.
pub(super) fn sdp(headers: &Headers, body: &Body) -> Option<Body> {
    (!body.is_empty() && is_sdp(headers)).then(|| body.clone())
}

fn is_sdp(headers: &Headers) -> bool {
    let Some(value) = headers.first(Name::ContentType) else { return false };
    media_type(value).eq_ignore_ascii_case(SDP.as_bytes()) && headers.first(Name::ContentEncoding).is_none()
}

fn media_type(value: &[u8]) -> &[u8] {
    value.split(|b| matches!(b, b';' | b' ' | b'\t')).next().unwrap_or_default()
}

/// Why an INVITE's content cannot be taken: 400, 415 or 406 (RFC 3261 §8.2.3, RFC 4475 §3.3.15).
pub(super) fn refusal(request: &Request) -> Option<u16> {
    if !request.body.is_empty() {
        if request.headers.first(Name::ContentType).is_none() {
            return Some(400);
        }
        if !is_sdp(&request.headers) {
            return Some(415);
        }
    }
    let takes_sdp = |value: &&[u8]| {
        let range = media_type(value);
        [&b"application/sdp"[..], b"application/*", b"*/*"].iter().any(|ours| range.eq_ignore_ascii_case(ours))
    };
    let accepted = request.headers.list(Name::Accept);
    let is_refused = !accepted.is_empty() && !accepted.iter().any(takes_sdp);
    is_refused.then_some(406)
}
