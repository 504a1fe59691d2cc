use super::*;

fn text(message: &str) -> String {
    redact(message.replace('\n', "\r\n").as_bytes()).text
}

fn with_header(line: &str) -> String {
    let text = text(&format!("OPTIONS sip:a SIP/2.0\nCSeq: 1 OPTIONS\n{line}\n\n"));
    text.lines().nth(2).unwrap_or_default().to_owned()
}

fn with_body(kind: &str, body: &str) -> String {
    let length = body.replace('\n', "\r\n").len();
    text(&format!("INVITE sip:a SIP/2.0\nCSeq: 1 INVITE\nContent-Type: {kind}\nContent-Length: {length}\n\n{body}"))
}

#[test]
fn the_lists_can_be_searched() {
    assert!(SHOWN.is_sorted() && ATTRIBUTES.is_sorted());
}

#[test]
fn what_engineers_read_is_shown_as_it_is() {
    for line in [
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport",
        "f: \"Priya\" <sip:447700900142@192.0.2.1>;tag=7",
        "Contact: <sip:192.0.2.1:5060;transport=tcp>",
        "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"abc\", algorithm=SHA-256",
        "Reason: Q.850;cause=16;text=\"normal\"",
        "Refer-To: <sip:2001@192.0.2.1?Replaces=abc%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>",
    ] {
        assert_eq!(with_header(line), line);
    }
}

#[test]
fn who_somebody_is_cannot_be_learned_from_it() {
    let digest = "Digest username=\"trunk\", response=\"6629fae49393a05397450978507c4ef1\"";
    for name in ["Authorization", "Proxy-Authorization", "Authentication-Info", "Proxy-Authentication-Info"] {
        assert_eq!(with_header(&format!("{name}: {digest}")), format!("{name}: (not shown)"));
    }
    assert_eq!(with_header("To: <sip:ann:s3cret@h>"), "To: <sip:ann:(not shown)@h>");
    assert_eq!(
        with_header("Contact: <sips:a:b@h>, <SIP:c:d@h;x>;q=1"),
        "Contact: <sips:a:(not shown)@h>, <SIP:c:(not shown)@h;x>;q=1"
    );
}

#[test]
fn what_programs_tell_each_other_is_not_shown() {
    assert_eq!(with_header("User-to-User: 00c81031;encoding=hex"), "User-to-User: (not shown)");
    assert_eq!(with_header("X-Dtmf: 5"), "X-Dtmf: (not shown)");
    assert_eq!(with_header("X-4242424242424242: 5"), "(not shown): (not shown)");
    assert_eq!(with_header("Refer-To: <sip:2001@h?User-to-User=42>"), "Refer-To: <sip:2001@h?(not shown)>");
    assert_eq!(with_header("no header at all 42"), "(not shown): (not shown)");
    assert_eq!(with_header("Subject: my card is\n 4242"), "Subject: (not shown)");
}

#[test]
fn a_code_for_taking_a_payment_is_not_shown_wherever_it_stands() {
    assert_eq!(
        text("INVITE sip:secure-A7k2Zz@h SIP/2.0\nCSeq: 1 INVITE\n\n").lines().next().unwrap(),
        "INVITE sip:secure-(not shown)@h SIP/2.0"
    );
    assert_eq!(with_header("To: <sip:Secure-12%33@h>;tag=1"), "To: <sip:Secure-(not shown)@h>;tag=1");
    assert_eq!(with_header("To: <sip:%73ecure-123@h>"), "To: (not shown)");
    assert_eq!(
        with_header("Diversion: <sip:secure-1@h>,<sip:secure-22@h>"),
        "Diversion: <sip:secure-(not shown)@h>,<sip:secure-(not shown)@h>"
    );
}

#[test]
fn a_card_number_is_seen_wherever_it_stands() {
    let card = "4242424242424242";
    let start = format!("INVITE sip:{card}@h SIP/2.0\nCSeq: 1 INVITE\n\n");
    assert_eq!(text(&start).lines().next().unwrap(), format!("INVITE sip:{}@h SIP/x.x", "x".repeat(16)));
    for line in [
        format!("From: <sip:{card}@h>"),
        format!("Call-ID: a{card}"),
        "From: \"4242-4242 4242.4242\" <sip:a@h>".to_owned(),
        format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{card}"),
        "To: <sip:%34%32%34%32424242424242@h>".to_owned(),
        "From: \"4242 4242\n  4242 4242\" <sip:a@h>".to_owned(),
    ] {
        let shown = with_header(&line);
        assert!(!shown.contains("42"), "{line}: {shown}");
    }
}

#[test]
fn keys_of_a_protected_stream_are_not_shown() {
    let shown = with_body(
        "application/sdp",
        "v=0\no=- 6205500000000000004 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/SAVP 0 101\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20\n\
         a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg\na=fingerprint:sha-256 4A:AD\na=rtpmap:101 telephone-event/8000\n\
         k=base64:abc\na=x-key:5\ni=my card\na=sendrecv\n7\n",
    );
    let body = shown.split_once("\n\n").unwrap().1;
    assert_eq!(
        body,
        "v=0\no=… IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/SAVP 0 101\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:(not shown)\na=ice-ufrag:8hhY\na=ice-pwd:(not shown)\n\
         a=fingerprint:sha-256 4A:AD\na=rtpmap:101 telephone-event/8000\nk=(not shown)\na=x-key:(not shown)\n\
         i=(not shown)\na=sendrecv\n(not shown)\n"
    );
    assert!(shown.contains("Content-Length: "), "{shown}");
}

#[test]
fn a_body_with_keys_is_not_shown_and_neither_is_how_long_it_is() {
    for (kind, body) in [
        ("application/dtmf-relay", "Signal=5\nDuration=160\n"),
        ("application/dtmf", "5"),
        ("application/sdp", "v=0\n"),
        ("text/plain", "5"),
    ] {
        let info = format!("INFO sip:a SIP/2.0\nCSeq: 9 INFO\nContent-Type: {kind}\nContent-Length: 22\n\n{body}");
        let shown = redact(info.replace('\n', "\r\n").as_bytes());
        assert!(shown.has_keys);
        assert_eq!(
            shown.text,
            format!(
                "INFO sip:a SIP/2.0\nCSeq: 9 INFO\nContent-Type: {kind}\nContent-Length: (not shown)\n\n(not shown)\n"
            )
        );
    }
    // Of another method, or of one that nobody can tell.
    let shown = with_body("application/dtmf-relay", "Signal=5\n");
    assert!(!shown.contains("Signal") && shown.contains("Content-Length: (not shown)"), "{shown}");
    assert!(redact(b"SIP/2.0 200 OK\r\nCSeq: 9 INFO\r\n\r\n").has_keys, "an answer tells when the key came");
    let shown = redact(b"SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n");
    assert!(shown.has_keys && !shown.text.contains("v=0"), "without a CSeq nobody knows what it is");
}

#[test]
fn of_the_response_that_a_transfer_tells_the_start_line_is_shown() {
    let shown = text("NOTIFY sip:a SIP/2.0\nCSeq: 9 NOTIFY\nContent-Type: message/sipfrag\n\nSIP/2.0 200 OK\nX: 1\n");
    assert!(shown.ends_with("\n\nSIP/2.0 200 OK\n"), "{shown}");
}

#[test]
fn nothing_that_comes_makes_it_panic_or_grow() {
    for message in [&b""[..], b"\r\n\r\n", b"\xff\xfe\n :\n\t%\n%4\nsip:\xff@\n\n", b"a\nSIP:?@:<>,\n"] {
        let _ = redact(message);
    }
    let long = format!("INVITE sip:a SIP/2.0\r\nCSeq: 1 INVITE\r\nVia: {}\r\n\r\n", "ä".repeat(60_000));
    let shown = redact(long.as_bytes()).text;
    assert!(shown.len() < TEXT_BYTES_MAX + 10 && shown.ends_with("(cut)\n"));
}

/// What is known to be harmless at a glance is what the closer look would leave as it is.
#[test]
fn a_glance_lets_nothing_through_that_a_closer_look_takes_out() {
    const PIECES: [&str; 20] = [
        "sip:",
        "SIPS:",
        "@",
        ":",
        "?",
        ">",
        ",",
        " ",
        "secure-",
        "Secure",
        "-",
        "4242",
        "42424242424242",
        "%34",
        "a",
        ".",
        "ä",
        "\t",
        "<",
        "Replaces=",
    ];
    let mut random = 1_u32;
    let (mut harmless, mut changed) = (0, 0);
    for _ in 0..200_000 {
        let mut value = String::new();
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        for _ in 0..random >> 29 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            value.push_str(PIECES[usize::try_from(random >> 8).unwrap() % PIECES.len()]);
        }
        let looked_at = without_secrets(&value);
        changed += u32::from(looked_at != value);
        if is_harmless(&value) {
            harmless += 1;
            assert_eq!(looked_at, value);
        }
    }
    assert!(harmless > 50_000 && changed > 20_000, "{harmless} {changed}");
}
