//! What a response repeats of its request (RFC 3261 §8.2.6.2).

use std::net::SocketAddr;

use crate::{
    message::{Headers, Name, NameAddr, Request, Via, writer::Writer},
    transport::Peer,
};

/// The request's part of every response to it.
#[derive(Clone)]
pub(crate) struct Template {
    /// Where responses go.
    pub(crate) peer: Peer,
    /// The request asked for encryption end to end: so does what is said of us (RFC 3261 §12.1.1).
    pub(crate) is_sips: bool,
    lines: Vec<u8>,
    record_routes: Vec<u8>,
    to: Vec<u8>,
    may_tag: bool,
}

impl Template {
    pub(crate) fn new(request: &Request, from: Peer) -> Self {
        Self { is_sips: request.uri.is_sips(), ..Self::of_parts(&request.headers, &request.core.via, from) }
    }

    /// Of a request that may be malformed: what stands is repeated, what is missing is left out.
    pub(crate) fn of_parts(headers: &Headers, via: &Via, from: Peer) -> Self {
        let mut headers = headers.clone();
        stamp(&mut headers, via, from.address);
        let mut lines = Vec::with_capacity(512);
        headers.all(Name::Via).for_each(|value| push(&mut lines, "Via", value));
        for name in [Name::From, Name::CallId, Name::CSeq] {
            if let (Some(label), Some(value)) = (name.text(), headers.first(name)) {
                push(&mut lines, label, value);
            }
        }
        let mut record_routes = Vec::new();
        headers.all(Name::RecordRoute).for_each(|value| push(&mut record_routes, "Record-Route", value));
        let to = headers.first(Name::To).unwrap_or_default().to_vec();
        let may_tag = NameAddr::parse(&to).is_some_and(|to| to.tag().is_none());
        Self { peer: via.response_peer(from), is_sips: false, lines, record_routes, to, may_tag }
    }

    /// Starts a response; `tag` is added to To if it has none. `dialog` repeats Record-Route (RFC 3261 §12.1.1).
    pub(crate) fn write(&self, status: u16, reason: &str, tag: Option<&str>, dialog: bool) -> Writer {
        let mut writer = Writer::response(status, reason);
        writer.lines(&self.lines);
        let mut to = self.to.clone();
        if let Some(tag) = tag.filter(|_| self.may_tag) {
            to.extend_from_slice(b";tag=");
            to.extend_from_slice(tag.as_bytes());
        }
        if !to.is_empty() {
            writer.header("To", &to);
        }
        if dialog {
            writer.lines(&self.record_routes);
        }
        writer
    }

    /// What tells this request from others, for a tag made without state.
    pub(crate) fn identity(&self) -> &[u8] {
        &self.lines
    }
}

/// Fills `received` and `rport` into the top Via, others on the same line kept.
fn stamp(headers: &mut Headers, via: &Via, from: SocketAddr) {
    let list = headers.first(Name::Via).unwrap_or_default();
    let mut value = via.stamped(from);
    if let Some(parts) = crate::message::split_list(list) {
        for part in parts.into_iter().skip(1) {
            value.extend_from_slice(b",");
            value.extend_from_slice(part);
        }
    }
    headers.replace_first(Name::Via, &value);
}

fn push(lines: &mut Vec<u8>, label: &str, value: &[u8]) {
    lines.extend_from_slice(label.as_bytes());
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}
