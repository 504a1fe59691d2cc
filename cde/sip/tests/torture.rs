//! RFC 4475's and RFC 5118's messages (raw bytes of the IETF's archives), as a UDP user agent must take them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

#[path = "support/raw.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod raw;

use std::{fs, path::Path};

use raw::{Raw, header};
use sip::{
    Event,
    message::{Frame, Framer, Message, Name, ParseError, parse},
};

fn read(folder: &str, name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder).join(format!("{name}.dat"));
    fs::read(path).unwrap()
}

/// Every message, whether the parser takes it, and the status an endpoint answers with (0: silence; 1: it calls).
/// The section of RFC 4475 is the table's order.
const EXPECTED: [(&str, bool, u16); 49] = [
    // 3.1.1: valid. The first has a To tag, and so names a dialog that nobody knows.
    ("wsinv", true, 481),
    ("intmeth", true, 405),
    ("esc01", true, 1),
    ("escnull", true, 405),
    ("esc02", true, 405),
    ("lwsdisp", true, 200),
    ("longreq", true, 1),
    ("dblreq", true, 405),
    ("semiuri", true, 200),
    ("transports", true, 200),
    ("mpart01", true, 405),
    ("unreason", true, 0),
    ("noreason", true, 0),
    // 3.1.2: invalid.
    ("badinv01", false, 0),
    ("clerr", false, 400),
    ("ncl", false, 400),
    ("scalar02", false, 400),
    ("scalarlg", false, 0),
    ("quotbal", false, 400),
    ("ltgtruri", false, 400),
    ("lwsruri", false, 400),
    ("lwsstart", false, 400),
    ("trws", false, 400),
    ("escruri", false, 400),
    ("baddate", false, 400),
    ("regbadct", false, 400),
    ("badaspec", false, 400),
    ("baddn", false, 400),
    ("badvers", false, 505),
    ("mismatch01", false, 400),
    ("mismatch02", false, 400),
    ("bigcode", false, 0),
    // 3.2: the transaction layer's.
    ("badbranch", true, 200),
    // 3.3: the application's.
    ("insuf", false, 400),
    ("unkscm", true, 416),
    ("novelsc", true, 416),
    ("unksm2", true, 405),
    ("bext01", true, 420),
    ("invut", true, 415),
    ("regaut01", true, 405),
    ("multi01", false, 400),
    ("mcl01", false, 400),
    ("bcast", true, 0),
    ("zeromf", true, 200),
    ("cparam01", true, 405),
    ("cparam02", true, 405),
    ("regescrt", true, 405),
    ("sdp01", true, 406),
    // 3.4: of RFC 2543.
    ("inv2543", true, 1),
];

#[test]
fn every_message_of_rfc_4475_is_taken_or_refused_as_it_should_be() {
    let mut wrong = Vec::new();
    for (name, is_valid, status) in EXPECTED {
        let bytes = read("rfc4475", name);
        let parsed = parse(&bytes);
        let mut raw = Raw::new();
        raw.receive_bytes(&bytes);
        let incoming = matches!(raw.events.as_slice(), [Event::Incoming { .. }]);
        let sent = raw.sent.first().map_or(0, |(_, text)| text[8..11].parse().unwrap());
        let answered = if incoming && sent == 100 { 1 } else { sent };
        if parsed.is_ok() != is_valid || answered != status {
            wrong.push((name, parsed.map(|_| ()), answered, status));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Messages whose end a stream does not tell, or tells wrongly.
const ENDLESS: [&str; 3] = ["ncl", "mcl01", "inv2543"];

#[test]
fn over_a_stream_every_message_of_rfc_4475_is_taken_or_refused_just_so() {
    let mut wrong = Vec::new();
    for (name, is_valid, _) in EXPECTED {
        let mut framer = Framer::default();
        // What a message promises and does not hold must not wait for ever: other bytes end it.
        for piece in [read("rfc4475", name), b"x".repeat(2000)].concat().chunks(7) {
            framer.push(piece);
        }
        let taken = match framer.next_frame() {
            Some(Frame::Message(bytes)) => Some(parse(&bytes).is_ok()),
            Some(Frame::Broken(_)) => None,
            Some(Frame::Ping) | None => Some(false),
        };
        let wanted = if ENDLESS.contains(&name) { None } else { Some(is_valid) };
        if taken != wanted {
            wrong.push((name, taken, wanted));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_message_of_rfc_5118_is_taken_or_refused_as_it_should_be() {
    for (name, is_valid) in [
        ("ipv6-good", true),
        ("ipv6-bad", false),
        ("port-ambiguous", true),
        ("port-unambiguous", true),
        ("via-received-param-with-delim", true),
        ("via-received-param-no-delim", true),
        // Their Content-Length is too long in the archive; the fixed ones follow.
        ("ipv6-in-sdp_clfix", true),
        ("mult-ip-in-sdp_clfix", true),
        ("ipv4-mapped-ipv6_clfix", true),
        ("mult-ip-in-header", true),
        ("ipv6-bug-abnf-3-colons", false),
        ("ipv6-correct-abnf-2-colons", true),
    ] {
        let parsed = parse(&read("rfc5118", name));
        assert_eq!(parsed.is_ok(), is_valid, "{name}: {parsed:?}");
    }
}

fn request(name: &str) -> sip::message::Request {
    let Message::Request(request) = parse(&read("rfc4475", name)).unwrap() else { panic!() };
    request
}

#[test]
fn the_short_tortuous_invite_is_read_rightly() {
    let read = request("wsinv");
    let (core, headers) = (&read.core, &read.headers);
    assert_eq!((core.cseq, core.from.tag(), core.to.tag()), (9, Some("98asjd8"), Some("1918181833n")));
    assert_eq!(core.from.display.as_deref(), Some(&b"J Rosenberg \\\""[..]));
    assert_eq!(headers.named("newFANGLEDheader"), Some(&b"newfangled value continued newfangled value"[..]));
    assert_eq!((headers.list(Name::Via).len(), headers.first(Name::Subject)), (3, Some(&b""[..])));
    assert_eq!(read.body.len(), 150);
    assert_eq!(request("dblreq").body.len(), 0, "what follows Content-Length is no part of the message");
    assert_eq!(request("semiuri").uri.user(), Some("user;par=u%40example.net"));
}

#[test]
fn a_body_without_content_length_is_the_rest_and_bytes_survive() {
    let text = b"INFO sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: \"\xe9\" <sip:a@b>;tag=1\r\n\
        t: sip:b@c\r\ni: x\r\nCSeq: 1 INFO\r\nX-Name: caf\xe9\r\nX-After: here\r\n\r\nbody\r\n";
    let Message::Request(read) = parse(text).unwrap() else { panic!() };
    assert_eq!(read.body.as_bytes(), b"body\r\n");
    assert_eq!(read.headers.named("x-name"), Some(&b"caf\xe9"[..]));
    assert_eq!(read.headers.named("x-after"), Some(&b"here"[..]));
    assert_eq!(read.core.from.display.as_deref(), Some(&b"\xe9"[..]));
}

#[test]
fn limits_are_answered_not_met_with_silence() {
    let with = |extra: &str| raw::request("OPTIONS", "l", "", 1, extra, "");
    let error = |text: &str| parse(text.as_bytes()).unwrap_err();
    let many = error(&with(&"X: 1\r\n".repeat(130)));
    assert_eq!((many.error, many.reply.is_some()), (ParseError::TooManyHeaders, true));
    let long = error(&with(&format!("X: {}\r\n", "y".repeat(9000))));
    assert_eq!((long.error, long.reply.is_some()), (ParseError::LineTooLong, true));
    let folded = error(&with(&format!("X: 1\r\n{}", format!(" {}\r\n", "y".repeat(5000)).repeat(2))));
    assert_eq!(folded.error, ParseError::LineTooLong);
    assert_eq!(error(&with("").replace("\r\n\r\n", "\r\n")).error, ParseError::Incomplete);
    assert_eq!(error(&with("X: a\nb\r\n")).error, ParseError::HeaderLine);
    assert_eq!(error(&"x".repeat(70_000)).error, ParseError::TooLarge);
    let mut raw = Raw::new();
    raw.receive(&with("Content-Length: 4\r\n"));
    assert_eq!(
        (raw.last().lines().next(), header(raw.last(), "CSeq")),
        (Some("SIP/2.0 400 Wrong Content-Length"), "1 OPTIONS")
    );
}
