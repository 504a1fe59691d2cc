//! Digest authentication (RFC 7616, RFC 3261 §22) and registrations, each as a promise.
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

use std::sync::Arc;

use raw::{PEER, Raw, SDP, body, header, response};
use sip::{Body, Credentials, DialogId, Invite, NameAddr, Peer, Registration, Uri};

fn credentials(takes_md5: bool) -> Arc<Credentials> {
    Arc::new(Credentials::new("us".to_owned(), "secret".to_owned(), takes_md5))
}

/// A call of ours to a trunk that knows us.
fn call(raw: &mut Raw, takes_md5: bool) -> (DialogId, String) {
    let target: Uri = "sip:bob@192.0.2.1".parse().unwrap();
    let (from, to) = (NameAddr::new(target.clone()), NameAddr::new(target.clone()));
    let (headers, body, credentials) = (Vec::new(), body(), Some(credentials(takes_md5)));
    let invite = Invite { target, destination: None, tcp_when_large: false, from, to, headers, body, credentials };
    let mut id = None;
    raw.run(|endpoint, now| id = endpoint.invite(now, invite).ok());
    (id.unwrap(), raw.last().to_owned())
}

/// A refusal with challenges, each the text behind `Digest realm="pbx", nonce="NONCE"`.
fn challenge(request: &str, status: u16, nonce: &str, more: &[&str]) -> String {
    let name = if status == 407 { "Proxy-Authenticate" } else { "WWW-Authenticate" };
    let lines: String =
        more.iter().map(|more| format!("{name}: Digest realm=\"pbx\", nonce=\"{nonce}\"{more}\r\n")).collect();
    response(request, status, "t", "").replacen("Contact:", &format!("{lines}Contact:"), 1)
}

const SHA256: &str = ", qop=\"auth,auth-int\", algorithm=SHA-256, opaque=\"o\"";
const SHA512: &str = ", qop=\"auth\", algorithm=SHA-512-256";
const MD5: &str = ", qop=\"auth\", algorithm=MD5";
const OLDEST: &str = "";

fn shown<'a>(request: &'a str, field: &str) -> &'a str {
    let value = header(request, "Authorization");
    let from = value.find(&format!("{field}=")).map(|at| &value[at + field.len() + 1..]).unwrap_or_default();
    from.split(',').next().unwrap().trim_matches('"')
}

#[test]
fn a_challenge_is_answered_once_and_from_then_on_unasked_with_a_growing_count() {
    let mut raw = Raw::new();
    let (id, first) = call(&mut raw, false);
    assert!(!first.contains("Authorization"), "nothing is shown that nobody asked for");
    raw.receive(&challenge(&first, 401, "n1", &[SHA256]));
    let second = raw.last().to_owned();
    assert_eq!(raw.starts(), ["INVITE sip:bob@192.0.2.1", "ACK sip:bob@192.0.2.1", "INVITE sip:bob@192.0.2.1"]);
    let fields = ["username", "realm", "nonce", "uri", "algorithm", "qop", "nc", "opaque"];
    let expected = ["us", "pbx", "n1", "sip:bob@192.0.2.1", "SHA-256", "auth", "00000001", "o"];
    assert_eq!(fields.map(|field| shown(&second, field)), expected);
    assert_eq!((shown(&second, "response").len(), header(&second, "CSeq")), (64, "2 INVITE"));
    assert!(second.ends_with(SDP) && header(&second, "Session-Expires") == "1800");
    raw.receive(&response(&second, 200, "b", SDP)).run(|endpoint, now| endpoint.ack(now, id, None));
    assert_eq!(header(raw.last(), "Authorization"), header(&second, "Authorization"), "the ACK shows the INVITE's");
    raw.run(|endpoint, now| assert!(endpoint.info(now, id, "application/dtmf", Body::from(&b"5"[..])).is_ok()));
    let info = raw.last().to_owned();
    assert_eq!((shown(&info, "nc"), header(&info, "CSeq")), ("00000002", "3 INFO"));
    raw.receive(&challenge(&info, 401, "n2", &[", stale=true, qop=\"auth\", algorithm=SHA-256"]));
    assert_eq!((shown(raw.last(), "nonce"), shown(raw.last(), "nc")), ("n2", "00000001"));
    let info = raw.last().to_owned();
    raw.receive(&response(&info, 200, "b", ""));
    raw.run(|endpoint, now| endpoint.bye(now, id));
    let bye = raw.last().to_owned();
    assert_eq!((shown(&bye, "nc"), header(&bye, "CSeq")), ("00000002", "5 BYE"));
    raw.receive(&challenge(&bye, 401, "n3", &[SHA256]));
    assert!(raw.last().starts_with("BYE") && shown(raw.last(), "nonce") == "n3", "though the dialog is gone");
    assert_eq!(raw.heard(), ["Answered", "RequestAnswered 200"]);
}

#[test]
fn wrong_credentials_are_not_shown_again_and_again() {
    let mut raw = Raw::new();
    let (_, first) = call(&mut raw, false);
    raw.receive(&challenge(&first, 407, "n1", &[SHA256]));
    let second = raw.last().to_owned();
    assert!(second.contains("Proxy-Authorization: Digest"));
    raw.receive(&challenge(&second, 407, "n2", &[SHA256]));
    assert_eq!(raw.heard(), ["Failed 407"]);
    let mut raw = Raw::new();
    let (_, first) = call(&mut raw, false);
    raw.receive(&challenge(&first, 407, "n1", &[SHA256]));
    let second = raw.last().to_owned();
    raw.receive(&challenge(&second, 401, "m1", &[SHA512]));
    let third = raw.last().to_owned();
    assert!(third.contains("Proxy-Authorization: Digest") && third.contains("\nAuthorization: Digest"), "one each");
    for n in ["m2", "m3"] {
        let last = raw.last().to_owned();
        raw.receive(&challenge(&last, 401, n, &[", stale=true, qop=\"auth\", algorithm=SHA-256"]));
    }
    assert_eq!(raw.heard(), ["Failed 401"], "a server whose nonces are always stale");
}

#[test]
fn the_better_algorithm_is_taken_and_md5_only_where_it_is_allowed() {
    for (offered, takes_md5, taken) in [
        (&[MD5, SHA256][..], true, "SHA-256"),
        (&[SHA512, SHA256], false, "SHA-512-256"),
        (&[MD5], true, "MD5"),
        (&[OLDEST], true, "MD5"),
        (&[MD5], false, ""),
        (&[OLDEST], false, ""),
        (&[", qop=\"auth-int\", algorithm=SHA-256"], true, ""),
        (&[", qop=\"auth\", algorithm=SHA-256-sess"], true, ""),
    ] {
        let mut raw = Raw::new();
        let (_, first) = call(&mut raw, takes_md5);
        raw.receive(&challenge(&first, 401, "n1", offered));
        assert_eq!(shown(raw.last(), "algorithm"), taken, "{offered:?}");
        assert_eq!(raw.heard().is_empty(), !taken.is_empty());
        assert_eq!(shown(raw.last(), "nc").is_empty(), offered == [OLDEST] || taken.is_empty());
    }
}

#[test]
fn without_credentials_a_challenge_is_a_failure() {
    let mut raw = Raw::new();
    let (_, invite) = raw.call();
    raw.receive(&challenge(&invite, 401, "n1", &[SHA256]));
    assert_eq!(raw.heard(), ["Failed 401"]);
}

#[test]
fn a_caller_that_must_prove_itself_is_asked_and_then_taken() {
    let (mut us, mut them) = (Raw::new(), Raw::with(raw::config(PEER), Raw::new().now));
    let (_, invite) = call(&mut them, false);
    us.receive(&invite);
    let id = us.events[0].dialog().unwrap();
    let ask = |us: &mut Raw, id| {
        let mut is_known = false;
        let from = Peer::udp(PEER.parse().unwrap());
        us.run(|endpoint, now| is_known = endpoint.authenticate(now, id, from, &credentials(false)));
        is_known
    };
    assert!(!ask(&mut us, id));
    let refusal = us.last().to_owned();
    assert!(header(&refusal, "WWW-Authenticate").contains("algorithm=SHA-256"));
    them.receive(&refusal);
    let again = them.last().to_owned();
    us.receive(&again);
    let id = us.events[1].dialog().unwrap();
    assert!(ask(&mut us, id));
    us.run(|endpoint, now| endpoint.accept(now, id, body()));
    assert!(us.last().starts_with("SIP/2.0 200"));
    // Whoever overheard it and calls with it is asked again.
    us.receive(&again.replace("branch=z9hG4bK", "branch=z9hG4bKx").replace("Call-ID: ", "Call-ID: x"));
    let id = us.events[2].dialog().unwrap();
    assert!(!ask(&mut us, id));
    assert!(header(us.last(), "WWW-Authenticate").contains("stale=true"));
}

#[test]
fn nothing_prints_a_password() {
    let mut raw = Raw::new();
    let (_, first) = call(&mut raw, true);
    raw.receive(&challenge(&first, 401, "n1", &[OLDEST]));
    assert!(!raw.last().contains("secret"));
}

fn register(raw: &mut Raw) {
    let registrar: Uri = "sip:pbx.example".parse().unwrap();
    let address = NameAddr::new("sip:1000@pbx.example".parse().unwrap());
    let (destination, credentials) = (Peer::udp(PEER.parse().unwrap()), credentials(false));
    let registration = Registration { registrar, destination, address, credentials };
    raw.run(|endpoint, now| assert!(endpoint.register(now, registration).is_ok()));
}

fn granted(request: &str, lines: &str) -> String {
    let ours = header(request, "Contact");
    let contact = "<sip:other@192.0.2.77>;expires=9, ".to_owned() + ours;
    response(request, 200, "r", "").replace("<sip:bob@192.0.2.1:5062>", &contact).replacen(
        "Contact:",
        &format!("{lines}Contact:"),
        1,
    )
}

#[test]
fn a_registration_is_proved_and_refreshed_at_half_of_what_is_granted() {
    let mut raw = Raw::new();
    register(&mut raw);
    let first = raw.last().to_owned();
    assert!(first.starts_with("REGISTER sip:pbx.example SIP/2.0"));
    assert_eq!((header(&first, "Expires"), header(&first, "Contact")), ("300", "<sip:1000@192.0.2.9:5060>"));
    raw.receive(&challenge(&first, 401, "n1", &[SHA256]));
    let second = raw.last().to_owned();
    assert_eq!((shown(&second, "nc"), header(&second, "CSeq")), ("00000001", "2 REGISTER"));
    assert_eq!(header(&second, "Call-ID"), header(&first, "Call-ID"));
    raw.receive(&granted(&second, "Expires: 100\r\n")).pass(49);
    assert_eq!((raw.heard(), raw.starts().len()), (vec!["Registered".to_owned()], 2));
    raw.pass(1);
    assert_eq!((raw.starts().len(), shown(&second, "nonce")), (1, "n1"));
}

#[test]
fn our_own_contact_says_how_long_and_a_423_is_followed() {
    let mut raw = Raw::new();
    register(&mut raw);
    let first = raw.last().to_owned();
    raw.receive(&response(&first, 423, "r", "").replacen("Contact:", "Min-Expires: 600\r\nContact:", 1));
    let second = raw.last().to_owned();
    assert_eq!((header(&second, "Expires"), header(&second, "CSeq")), ("600", "2 REGISTER"));
    let own = format!("Contact: {};expires=60", header(&second, "Contact"));
    let ok = response(&second, 200, "r", "").replace("Contact: <sip:bob@192.0.2.1:5062>", &own);
    raw.starts();
    raw.receive(&ok).pass(29);
    assert_eq!(raw.starts(), [""; 0]);
    raw.pass(1);
    assert_eq!(raw.starts().len(), 1);
}

#[test]
fn a_registrar_that_is_away_is_asked_less_and_less_often_and_never_forgotten() {
    let mut raw = Raw::new();
    register(&mut raw);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let last = raw.last().to_owned();
        let before = raw.now;
        raw.sent.clear();
        raw.receive(&response(&last, 503, "r", ""));
        while raw.sent.is_empty() {
            raw.pass(1);
        }
        waits.push((raw.now - before).as_secs());
    }
    assert!((22..=31).contains(&waits[0]) && (45..=61).contains(&waits[1]), "{waits:?}");
    assert!(waits[7..].iter().all(|wait| (1350..=1801).contains(wait)), "{waits:?}");
    assert_eq!(raw.heard(), vec!["RegistrationFailed 503"; 9]);
    raw.pass(32);
    assert_eq!(raw.heard(), ["RegistrationFailed 408"]);
}

#[test]
fn what_is_registered_is_taken_back() {
    let mut raw = Raw::new();
    register(&mut raw);
    let first = raw.last().to_owned();
    raw.receive(&granted(&first, "")).run(|endpoint, now| endpoint.unregister(now));
    let last = raw.last().to_owned();
    assert_eq!(header(&last, "Expires"), "0");
    raw.receive(&response(&last, 200, "r", ""));
    raw.starts();
    raw.pass(4000);
    assert_eq!((raw.starts(), raw.endpoint.transactions()), (vec![], 0));
}
