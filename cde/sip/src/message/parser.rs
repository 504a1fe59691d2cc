//! The strict parser: bytes in, a [`Message`] or what to answer instead out.

use std::fmt;

use thiserror::Error;

use super::{
    Body, Core, HEADERS_MAX, Headers, LINE_BYTES_MAX, MESSAGE_BYTES_MAX, Message, Method, Name, NameAddr, Request,
    Response, Uri, Via, grammar,
};

/// Why a datagram is no valid message. The text is fit for a reason phrase and never quotes the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Longer than [`MESSAGE_BYTES_MAX`].
    #[error("Message too large")]
    TooLarge,
    /// Not `Method SP Request-URI SP SIP-Version` nor `SIP-Version SP Status SP Reason`.
    #[error("Malformed start line")]
    StartLine,
    /// A version other than SIP/2.0.
    #[error("Version Not Supported")]
    Version,
    /// The Request-URI is malformed or carries headers.
    #[error("Malformed Request-URI")]
    RequestUri,
    /// A header line is not `name: value`, or holds control characters.
    #[error("Malformed header line")]
    HeaderLine,
    /// A header line longer than [`LINE_BYTES_MAX`].
    #[error("Header line too long")]
    LineTooLong,
    /// More than [`HEADERS_MAX`] lines.
    #[error("Too many headers")]
    TooManyHeaders,
    /// No empty line ends the headers.
    #[error("Incomplete message")]
    Incomplete,
    /// A header that every message needs is missing.
    #[error("Missing {0}")]
    Missing(&'static str),
    /// A header that may stand once stands more often.
    #[error("Duplicate {0}")]
    Duplicate(&'static str),
    /// A header whose value is malformed.
    #[error("Malformed {0}")]
    Value(&'static str),
    /// Content-Lengths differ or promise more than came.
    #[error("Wrong Content-Length")]
    ContentLength,
    /// CSeq names another method than the start line.
    #[error("CSeq method mismatch")]
    MethodMismatch,
}

/// A datagram that is no valid message.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// What is wrong.
    pub error: ParseError,
    /// What an answer needs, if it was a request that may be answered.
    pub reply: Option<Box<Reply>>,
}

/// What is left of a malformed request to answer it with.
#[derive(Clone)]
pub struct Reply {
    /// 400 or 505.
    pub status: u16,
    /// The readable header lines.
    pub headers: Headers,
    /// The top Via.
    pub via: Via,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({})", self.status)
    }
}

/// Parses one datagram; empty lines before the start line must be stripped.
///
/// # Errors
/// With an answer to send, if it was a request whose top Via can be used.
pub fn parse(datagram: &[u8]) -> Result<Message, Malformed> {
    if datagram.len() > MESSAGE_BYTES_MAX {
        return Err(Malformed { error: ParseError::TooLarge, reply: None });
    }
    let mut lexed = lex(datagram);
    let start = start_line(lexed.start_line);
    let is_answerable = !lexed.start_line.starts_with(b"ACK ") && !is_response(lexed.start_line);
    match finish(start, &mut lexed) {
        Ok(message) => Ok(message),
        Err(error) => Err(Malformed { error, reply: reply(error, lexed.headers, is_answerable) }),
    }
}

fn is_response(start_line: &[u8]) -> bool {
    start_line.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/"))
}

fn reply(error: ParseError, headers: Headers, is_answerable: bool) -> Option<Box<Reply>> {
    if !is_answerable {
        return None;
    }
    let via = top_via(&headers).ok()?;
    let status = if error == ParseError::Version { 505 } else { 400 };
    Some(Box::new(Reply { status, headers, via }))
}

/// A datagram cut into lines; the first error does not stop the cut, so that an answer can still be made.
struct Lexed<'a> {
    start_line: &'a [u8],
    headers: Headers,
    rest: &'a [u8],
    error: Option<ParseError>,
}

fn lex(datagram: &[u8]) -> Lexed<'_> {
    let (start_line, mut rest) = take_line(datagram).unwrap_or((datagram, &[]));
    let mut lexed = Lexed { start_line, headers: Headers::with_capacity(rest.len().min(2048)), rest: &[], error: None };
    loop {
        let Some((line, after)) = take_line(rest) else {
            lexed.error.get_or_insert(ParseError::Incomplete);
            return lexed;
        };
        rest = after;
        if line.is_empty() {
            lexed.rest = rest;
            return lexed;
        }
        if let Err(error) = header_line(&mut lexed.headers, line) {
            lexed.error.get_or_insert(error);
            if matches!(error, ParseError::TooManyHeaders | ParseError::LineTooLong) {
                return lexed;
            }
        }
    }
}

/// Up to CRLF; a lone CR or LF is content, and refused as such.
fn take_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let end = from + bytes.get(from..)?.iter().position(|&b| b == b'\n')?;
        if let Some(line) = bytes.get(..end)?.strip_suffix(b"\r") {
            return Some((line, bytes.get(end + 1..)?));
        }
        from = end + 1;
    }
}

fn header_line(headers: &mut Headers, line: &[u8]) -> Result<(), ParseError> {
    if has_stray_control(line) {
        return Err(ParseError::HeaderLine);
    }
    if matches!(line.first(), Some(b' ' | b'\t')) {
        if !headers.continue_last(grammar::trim(line)) {
            return Err(ParseError::HeaderLine);
        }
    } else {
        if headers.len() >= HEADERS_MAX {
            return Err(ParseError::TooManyHeaders);
        }
        let (label, value) = grammar::split_once(line, b':').ok_or(ParseError::HeaderLine)?;
        let label = grammar::token(grammar::trim(label)).ok_or(ParseError::HeaderLine)?;
        headers.push(label.as_bytes(), grammar::trim(value));
    }
    if line.len() > LINE_BYTES_MAX || headers.last_len() > LINE_BYTES_MAX {
        return Err(ParseError::LineTooLong);
    }
    Ok(())
}

/// Control characters may stand only as quoted pairs (RFC 3261 §25.1, RFC 4475 §3.1.1.2).
fn has_stray_control(line: &[u8]) -> bool {
    let mut previous = 0;
    line.iter().any(|&byte| {
        let is_stray = byte != b'\t' && byte.is_ascii_control() && previous != b'\\';
        previous = byte;
        is_stray
    })
}

enum Start<'a> {
    Request { method: &'a str, uri: Uri },
    Response { status: u16, reason: &'a [u8] },
}

fn start_line(line: &[u8]) -> Result<Start<'_>, ParseError> {
    if let Some(rest) = line.strip_prefix(b"SIP/2.0 ") {
        return status_line(rest);
    }
    let mut parts = line.split(|&b| b == b' ');
    let (Some(method), Some(uri), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(ParseError::StartLine);
    };
    let method = grammar::token(method).ok_or(ParseError::StartLine)?;
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        let is_sip = version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"));
        return Err(if is_sip { ParseError::Version } else { ParseError::StartLine });
    }
    let uri = Uri::from_bytes(uri).map_err(|_| ParseError::RequestUri)?;
    if uri.has_headers() {
        return Err(ParseError::RequestUri);
    }
    Ok(Start::Request { method, uri })
}

fn status_line(rest: &[u8]) -> Result<Start<'_>, ParseError> {
    let (status, reason) = grammar::split_once(rest, b' ').ok_or(ParseError::StartLine)?;
    let valid = status.len() == 3 && !reason.iter().any(u8::is_ascii_control);
    match grammar::number(status) {
        Some(status @ 100..=699) if valid => Ok(Start::Response { status, reason }),
        _ => Err(ParseError::StartLine),
    }
}

fn finish(start: Result<Start<'_>, ParseError>, lexed: &mut Lexed<'_>) -> Result<Message, ParseError> {
    let start = start?;
    if let Some(error) = lexed.error {
        return Err(error);
    }
    let core = core(&lexed.headers)?;
    check_lists(&lexed.headers, &core)?;
    let body = body(&lexed.headers, lexed.rest)?;
    if let Start::Request { method, .. } = &start
        && core.cseq_method.as_str() != *method
    {
        return Err(ParseError::MethodMismatch);
    }
    let headers = std::mem::take(&mut lexed.headers);
    Ok(match start {
        Start::Request { uri, .. } => {
            Message::Request(Request { method: core.cseq_method.clone(), uri, headers, core, body })
        }
        Start::Response { status, reason } => {
            Message::Response(Response { status, reason: reason.to_vec(), headers, core, body })
        }
    })
}

fn core(headers: &Headers) -> Result<Core, ParseError> {
    let via = top_via(headers)?;
    if via.version != "2.0" {
        return Err(ParseError::Value("Via"));
    }
    let call_id = single(headers, Name::CallId, "Call-ID")?;
    let call_id = std::str::from_utf8(call_id).map_err(|_| ParseError::Value("Call-ID"))?;
    if call_id.is_empty() || !call_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ParseError::Value("Call-ID"));
    }
    let (cseq, cseq_method) = cseq(single(headers, Name::CSeq, "CSeq")?).ok_or(ParseError::Value("CSeq"))?;
    Ok(Core {
        via,
        from: NameAddr::parse(single(headers, Name::From, "From")?).ok_or(ParseError::Value("From"))?,
        to: NameAddr::parse(single(headers, Name::To, "To")?).ok_or(ParseError::Value("To"))?,
        call_id: call_id.to_owned(),
        cseq,
        cseq_method,
    })
}

fn top_via(headers: &Headers) -> Result<Via, ParseError> {
    let first = headers.first(Name::Via).ok_or(ParseError::Missing("Via"))?;
    let parts = grammar::split_outside_quotes(first, b',').ok_or(ParseError::Value("Via"))?;
    parts.first().and_then(|top| Via::parse(top)).ok_or(ParseError::Value("Via"))
}

fn single<'a>(headers: &'a Headers, name: Name, label: &'static str) -> Result<&'a [u8], ParseError> {
    optional(headers, name, label)?.ok_or(ParseError::Missing(label))
}

fn optional<'a>(headers: &'a Headers, name: Name, label: &'static str) -> Result<Option<&'a [u8]>, ParseError> {
    let mut values = headers.all(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(ParseError::Duplicate(label)),
        (value, None) => Ok(value),
    }
}

/// The number must be below 2^31 (RFC 3261 §8.1.1.5).
fn cseq(value: &[u8]) -> Option<(u32, Method)> {
    let blank = value.iter().position(|b| matches!(b, b' ' | b'\t'))?;
    let number = grammar::number::<u32>(value.get(..blank)?).filter(|n| *n < 1 << 31)?;
    let method = grammar::token(grammar::trim(value.get(blank..)?))?;
    Some((number, Method::from_token(method)))
}

fn check_lists(headers: &Headers, core: &Core) -> Result<(), ParseError> {
    let hops = optional(headers, Name::MaxForwards, "Max-Forwards")?;
    if hops.is_some_and(|hops| grammar::number::<u8>(hops).is_none()) {
        return Err(ParseError::Value("Max-Forwards"));
    }
    optional(headers, Name::ContentType, "Content-Type")?;
    if headers.first(Name::Date).is_some_and(|date| !date.ends_with(b" GMT")) {
        return Err(ParseError::Value("Date"));
    }
    for value in headers.list(Name::Via).into_iter().skip(1) {
        Via::parse(value).ok_or(ParseError::Value("Via"))?;
    }
    let is_register = core.cseq_method == Method::Register;
    check_addresses(headers, Name::Contact, "Contact", |value| is_register && value == b"*")?;
    check_addresses(headers, Name::Route, "Route", |_| false)?;
    check_addresses(headers, Name::RecordRoute, "Record-Route", |_| false)
}

fn check_addresses(
    headers: &Headers,
    name: Name,
    label: &'static str,
    except: impl Fn(&[u8]) -> bool,
) -> Result<(), ParseError> {
    for line in headers.all(name) {
        let parts = grammar::split_outside_quotes(line, b',').ok_or(ParseError::Value(label))?;
        if !parts.into_iter().all(|value| except(value) || NameAddr::parse(value).is_some()) {
            return Err(ParseError::Value(label));
        }
    }
    Ok(())
}

/// Content-Length cuts what follows in the datagram; without one the rest is the body (RFC 3261 §18.3).
fn body(headers: &Headers, rest: &[u8]) -> Result<Body, ParseError> {
    let length = content_length(headers)?;
    rest.get(..length.unwrap_or(rest.len())).map(Body::from).ok_or(ParseError::ContentLength)
}

fn content_length(headers: &Headers) -> Result<Option<usize>, ParseError> {
    let mut length = None;
    for value in headers.all(Name::ContentLength) {
        let value = grammar::number::<usize>(value).ok_or(ParseError::ContentLength)?;
        if *length.get_or_insert(value) != value {
            return Err(ParseError::ContentLength);
        }
    }
    Ok(length)
}

/// The length of the body behind a head that came over a stream, where nothing else says it (RFC 3261 §18.3).
pub(super) fn framed_length(head: &[u8]) -> Result<usize, Malformed> {
    let lexed = lex(head);
    // Past a line that was not read another could say another length.
    let unread = lexed.error.filter(|error| matches!(error, ParseError::TooManyHeaders | ParseError::LineTooLong));
    let length = match unread {
        Some(error) => Err(error),
        None => content_length(&lexed.headers).and_then(|length| length.ok_or(ParseError::Missing("Content-Length"))),
    };
    length.map_err(|error| unframed(head, error))
}

/// What is left of a message that cannot be told from what follows it.
pub(super) fn unframed(head: &[u8], error: ParseError) -> Malformed {
    let lexed = lex(head);
    let is_answerable = !lexed.start_line.starts_with(b"ACK ") && !is_response(lexed.start_line);
    Malformed { error, reply: reply(error, lexed.headers, is_answerable) }
}
