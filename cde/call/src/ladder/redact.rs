//! What may be kept of a SIP message. What is not known to be harmless is not shown: a header that is not in the list has
//! its name and no value, a body that is no session description has nothing at all.

use std::borrow::Cow;

/// The longest text of a message that is kept.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// A name that the peer has made up is shown up to this length.
const NAME_CHARACTERS_MAX: usize = 40;
const NOT_SHOWN: &str = "(not shown)";
/// Lines that a head usually has at most.
const LINES: usize = 24;
/// The digits of whatever looks like a card number.
const DIGIT: &str = "x";
/// Beginning of a user that is a single-use code for taking a payment.
const CODE: &str = "secure-";

/// A message without its secrets.
pub(crate) struct Redacted {
    pub(crate) text: String,
    /// It carries keys, or answers what does: when it came tells more than its grid.
    pub(crate) has_keys: bool,
}

/// Headers that are shown with their values (RFC 3261 §20 and the registry of SIP headers), in small letters, with their short forms.
/// Not among them: what proves who somebody is, what programs say to each other (User-to-User, X-), and free text.
const SHOWN: [&str; 73] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "allow",
    "allow-events",
    "b",
    "c",
    "call-id",
    "contact",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-type",
    "cseq",
    "date",
    "diversion",
    "e",
    "event",
    "expires",
    "f",
    "from",
    "history-info",
    "i",
    "j",
    "join",
    "k",
    "l",
    "m",
    "max-forwards",
    "mime-version",
    "min-expires",
    "min-se",
    "o",
    "organization",
    "p-asserted-identity",
    "p-early-media",
    "p-preferred-identity",
    "path",
    "privacy",
    "proxy-authenticate",
    "proxy-require",
    "r",
    "rack",
    "reason",
    "record-route",
    "refer-sub",
    "refer-to",
    "referred-by",
    "remote-party-id",
    "replaces",
    "require",
    "retry-after",
    "route",
    "rseq",
    "server",
    "service-route",
    "session-expires",
    "sip-etag",
    "sip-if-match",
    "subscription-state",
    "supported",
    "t",
    "timestamp",
    "to",
    "u",
    "unsupported",
    "user-agent",
    "v",
    "via",
    "warning",
    "www-authenticate",
    "x",
    "y",
];

/// Attributes of a session description that are shown with their values, beside `crypto`, whose key is not.
const ATTRIBUTES: [&str; 28] = [
    "candidate",
    "end-of-candidates",
    "extmap",
    "fingerprint",
    "fmtp",
    "group",
    "ice-lite",
    "ice-options",
    "ice-ufrag",
    "inactive",
    "label",
    "maxptime",
    "mid",
    "msid",
    "ptime",
    "record",
    "recordpref",
    "recvonly",
    "rtcp",
    "rtcp-fb",
    "rtcp-mux",
    "rtcp-rsize",
    "rtpmap",
    "sendonly",
    "sendrecv",
    "setup",
    "silencesupp",
    "ssrc",
];

/// Takes the secrets out of a message.
pub(crate) fn redact(message: &[u8]) -> Redacted {
    let (head, body) = split(message);
    let lines = unfold(head);
    let mut lines = lines.iter().map(Cow::as_ref);
    let start = lines.next().unwrap_or_default();
    let mut headers: Vec<(&str, &str)> = Vec::with_capacity(lines.len());
    headers.extend(lines.filter(|line| !line.is_empty()).map(header));
    let find = |long: &str, short: &str| {
        let is = |name: &str| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
        headers.iter().find(|(name, _)| is(name)).map(|(_, value)| *value)
    };
    // Without a readable CSeq nobody knows what it is: then it is taken for the worst.
    let of_cseq = find("cseq", "cseq").and_then(|cseq| cseq.split_ascii_whitespace().nth(1));
    let is_info = |method: &str| method.eq_ignore_ascii_case("INFO");
    let has_keys = of_cseq.is_none_or(is_info) || start.split(' ').next().is_some_and(is_info);
    let kind = find("content-type", "c").and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let is_plain = find("content-encoding", "e").is_none();
    let shown = if has_keys || !is_plain { None } else { body_text(kind, body) };
    let mut text = String::with_capacity(message.len().min(TEXT_BYTES_MAX));
    push_clean(&mut text, start);
    text.push('\n');
    for (name, value) in &headers {
        push_header(&mut text, name, value, shown.is_some() || body.is_empty());
    }
    match shown {
        _ if body.is_empty() => {}
        Some(shown) => text.extend(["\n", &shown]),
        None => text.extend(["\n", NOT_SHOWN, "\n"]),
    }
    cut(&mut text);
    Redacted { text, has_keys }
}

/// A text of a peer's, such as a name or a number, without what looks like a card number or a code.
pub(crate) fn clean(value: &str) -> String {
    let mut text = String::new();
    push_clean(&mut text, value);
    text
}

fn push_clean(text: &mut String, value: &str) {
    match is_harmless(value) {
        true => text.push_str(value),
        false => text.push_str(&without_secrets(value)),
    }
}

/// Nothing is to be taken out of most values, and that is known at a glance: there is no escape, no letter beyond ASCII, nothing
/// before an `@` but one colon (that of the scheme), no header of a URI, no code and no card number.
fn is_harmless(value: &str) -> bool {
    let mut colons = 0;
    for byte in value.bytes() {
        match byte {
            0..=0x1f | 0x7f.. | b'%' | b'?' => return false,
            b'@' if colons > 1 => return false,
            b':' => colons += 1,
            b'>' | b',' | b' ' => colons = 0,
            _ => {}
        }
    }
    !has_code(value) && !wire::pan_like(value)
}

fn without_secrets(value: &str) -> String {
    let mut value = printable(value);
    if value.contains('%') {
        let decoded = percent_decoded(&value);
        // What hides behind escapes is not looked for, but taken for the worst.
        if has_code(&decoded) && !has_code(&value) || wire::pan_like(&decoded) && !wire::pan_like(&value) {
            return NOT_SHOWN.to_owned();
        }
    }
    if value.contains(['@', '?']) {
        value = without_passwords(&value);
    }
    if has_code(&value) {
        value = without_codes(&value);
    }
    if wire::pan_like(&value) { value.replace(|c: char| c.is_ascii_digit(), DIGIT) } else { value }
}

/// Head and body; the empty line between them is of neither.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let ends = message.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut found = ends.filter_map(|(at, _)| match message.get(at + 1..) {
        Some([b'\n', ..]) => Some((at, at + 2)),
        Some([b'\r', b'\n', ..]) => {
            at.checked_sub(1).filter(|at| message.get(*at) == Some(&b'\r')).map(|at| (at, at + 4))
        }
        _ => None,
    });
    match found.next() {
        Some((head, body)) => (message.get(..head).unwrap_or_default(), message.get(body..).unwrap_or_default()),
        None => (message, &[]),
    }
}

/// The lines, each with those that continue it (RFC 3261 §7.3.1).
fn unfold(head: &[u8]) -> Vec<Cow<'_, str>> {
    let mut lines: Vec<Cow<'_, str>> = Vec::with_capacity(LINES);
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match lines.last_mut() {
            Some(last) if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) => {
                let last = last.to_mut();
                last.push(' ');
                last.push_str(String::from_utf8_lossy(line).trim());
            }
            _ => lines.push(String::from_utf8_lossy(line)),
        }
    }
    lines
}

fn header(line: &str) -> (&str, &str) {
    let (name, value) = line.split_once(':').unwrap_or(("", line));
    (name.trim(), value.trim())
}

/// How long a body is that is not shown would tell something of it.
fn push_header(text: &mut String, name: &str, value: &str, tells_length: bool) {
    let is_length = ["content-length", "l"].iter().any(|it| name.eq_ignore_ascii_case(it));
    let is_shown = is_among(&SHOWN, name) && (tells_length || !is_length);
    text.push_str(made_up(name));
    text.push_str(": ");
    match is_shown {
        true => push_clean(text, value),
        false => text.push_str(NOT_SHOWN),
    }
    text.push('\n');
}

/// Whether a name is in one of the lists, which are in order and in small letters.
fn is_among(names: &[&str], name: &str) -> bool {
    let small = || name.bytes().map(|byte| byte.to_ascii_lowercase());
    names.binary_search_by(|known| known.bytes().cmp(small())).is_ok()
}

/// A name of letters and dashes is no number.
fn made_up(name: &str) -> &str {
    let is_name = !name.is_empty() && name.len() <= NAME_CHARACTERS_MAX;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    if is_name && is_plain { name } else { NOT_SHOWN }
}

/// None for a body that is not shown.
fn body_text(kind: &str, body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if kind.eq_ignore_ascii_case("application/sdp") {
        let mut shown = String::with_capacity(text.len());
        text.lines().filter(|line| !line.is_empty()).for_each(|line| push_sdp_line(&mut shown, line));
        return Some(shown);
    }
    // Of the response that a NOTIFY tells, the start line (RFC 3420).
    let status = text.lines().next().filter(|_| kind.eq_ignore_ascii_case("message/sipfrag"))?;
    Some(format!("{}\n", clean(status)))
}

fn push_sdp_line(text: &mut String, line: &str) {
    let (kind, value) = line.split_once('=').unwrap_or(("", line));
    let before = text.len();
    text.extend([kind, "="]);
    match kind {
        "v" | "c" | "t" | "m" | "b" => push_clean(text, value),
        // Three numbers that programs draw, and where.
        "o" => {
            text.push_str("… ");
            push_clean(text, value.splitn(4, ' ').nth(3).unwrap_or_default());
        }
        "s" if value == "-" => text.push_str(value),
        "a" => push_attribute(text, value),
        "s" | "i" | "u" | "e" | "p" | "k" | "r" | "z" => text.push_str(NOT_SHOWN),
        _ => {
            text.truncate(before);
            text.push_str(NOT_SHOWN);
        }
    }
    text.push('\n');
}

fn push_attribute(text: &mut String, attribute: &str) {
    let Some((name, value)) = attribute.split_once(':') else { return text.push_str(made_up(attribute)) };
    text.extend([made_up(name), ":"]);
    if name.eq_ignore_ascii_case("crypto") {
        // Tag and suite; the key comes after them (RFC 4568 §9.1).
        let words: Vec<&str> = value.split_ascii_whitespace().take(2).collect();
        push_clean(text, &words.join(" "));
        text.extend([" inline:", NOT_SHOWN]);
    } else if is_among(&ATTRIBUTES, name) {
        push_clean(text, value);
    } else {
        text.push_str(NOT_SHOWN);
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// RFC 3261 §25.1: escapes. What is none stays.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Looked for by its dash, which few texts have.
fn has_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    let dashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'-').map(|(at, _)| at + 1);
    let mut before = dashes.filter_map(|end| bytes.get(end.checked_sub(CODE.len())?..end));
    before.any(|word| word.eq_ignore_ascii_case(CODE.as_bytes()))
}

/// What follows `secure-`, wherever it stands.
fn without_codes(text: &str) -> String {
    // In small letters it has the same bytes in the same places: only ASCII changes.
    let lower = text.to_ascii_lowercase();
    let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
    while let Some(at) = lower.get(from..).and_then(|rest| rest.find(CODE)) {
        let code = from + at + CODE.len();
        shown.push_str(text.get(from..code).unwrap_or_default());
        shown.push_str(NOT_SHOWN);
        let rest = text.get(code..).unwrap_or_default();
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.!~*'()%".contains(c)));
        from = code + length.unwrap_or(rest.len());
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

/// A SIP URI may have a password behind the user (RFC 3261 §19.1.1), and headers behind a question mark, of which only the name of
/// a dialog is shown.
fn without_passwords(text: &str) -> String {
    text.split_inclusive(['>', ',', ' ']).map(without_password).collect()
}

fn without_password(part: &str) -> String {
    let lower = part.to_ascii_lowercase();
    let Some(begin) = ["sips:", "sip:"].iter().find_map(|scheme| Some(lower.find(scheme)? + scheme.len())) else {
        return part.to_owned();
    };
    let (scheme, rest) = (part.get(..begin).unwrap_or_default(), part.get(begin..).unwrap_or_default());
    let (address, headers) = rest.split_once('?').map_or((rest, None), |(address, headers)| (address, Some(headers)));
    let (user, host) = address.rsplit_once('@').map_or((None, address), |(user, host)| (Some(user), host));
    let user = user.map_or_else(String::new, |user| match user.split_once(':') {
        Some((name, _)) => format!("{name}:{NOT_SHOWN}@"),
        None => format!("{user}@"),
    });
    let headers = headers.map_or_else(String::new, |headers| {
        let is_safe = headers.to_ascii_lowercase().starts_with("replaces=") && !headers.contains('&');
        let end = if headers.ends_with('>') { ">" } else { "" };
        if is_safe { format!("?{headers}") } else { format!("?{NOT_SHOWN}{end}") }
    });
    format!("{scheme}{user}{host}{headers}")
}

fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push_str("\n(cut)\n");
    }
}

#[cfg(test)]
mod tests;
