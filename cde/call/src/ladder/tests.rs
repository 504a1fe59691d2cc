use super::*;

const CALL: u128 = 7;
const CARD: &str = "4242424242424242";
const CODE: &str = "937";

fn call(number: u128) -> CallId {
    CallId::from_random(number)
}

fn peer() -> Peer {
    Peer::udp(([192, 0, 2, 1], 5060).into())
}

fn ladders(bytes_max: usize) -> Ladders {
    let mut ladders = Ladders::new(bytes_max);
    ladders.name(call(CALL), "a@h", Who::default);
    ladders
}

fn message(method: &str, name: &str, rest: &str) -> Vec<u8> {
    format!("{method} sip:a SIP/2.0\r\nCall-ID: {name}\r\nCSeq: 1 {method}\r\n{rest}\r\n").into_bytes()
}

/// All keys of a payment by INFO.
fn pay(ladders: &mut Ladders) {
    for (at, key) in (0..).zip(format!("{CARD}*1235*{CODE}").chars()) {
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        let info = format!("Content-Type: application/dtmf-relay\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut bytes = message("INFO", "a@h", &info);
        bytes.truncate(bytes.len() - 2);
        ladders.note(1_000_000 + 310 * at, false, peer(), &bytes);
    }
}

/// The keys that can be read in a ladder, one after the other.
fn keys(ladders: &Ladders) -> String {
    let ladder = ladders.ladder(call(CALL), |_| None).unwrap();
    let lines = ladder.messages.iter().flat_map(|message| message.text.lines());
    lines.filter_map(|line| line.strip_prefix("Signal=")).map(str::trim).collect()
}

#[test]
fn no_key_of_a_payment_can_be_read_in_a_ladder() {
    let mut ladders = ladders(1 << 20);
    pay(&mut ladders);
    assert_eq!(ladders.ladder(call(CALL), |_| None).unwrap().messages.len(), 25);
    assert_eq!(keys(&ladders), "");
    let times = ladders.ladder(call(CALL), |_| None).unwrap().messages.into_iter().map(|message| message.at_unix_ms);
    assert!(times.into_iter().all(|at| at % KEY_GRID_MS == 0), "when a key came is told as coarsely as on the desk");
}

/// The same with what comes kept as it is: then the test above must see every key.
#[test]
fn control_without_redaction_every_key_is_read() {
    let mut ladders = ladders(1 << 20);
    ladders.redact = |bytes| Redacted { text: String::from_utf8_lossy(bytes).into_owned(), has_keys: false };
    pay(&mut ladders);
    assert_eq!(keys(&ladders), format!("{CARD}*1235*{CODE}"));
}

#[test]
fn a_message_is_kept_with_the_call_that_its_dialog_is_of() {
    let mut ladders = ladders(1 << 20);
    ladders.name(call(8), "b@h", Who::default);
    ladders.note(1, false, peer(), &message("INVITE", "a@h", ""));
    ladders.note(2, true, peer(), b"SIP/2.0 200 OK\r\ni : b@h\r\nCSeq: 1 INVITE\r\n\r\n");
    ladders.note(3, false, peer(), &message("INVITE", "c@h", ""));
    let starts = |number| -> Vec<String> {
        let ladder = ladders.ladder(call(number), |_| Some("carrier".to_owned())).unwrap();
        assert!(ladder.messages.iter().all(|message| message.trunk.as_deref() == Some("carrier")));
        ladder.messages.into_iter().map(|message| message.text.lines().next().unwrap().to_owned()).collect()
    };
    assert_eq!((starts(CALL), starts(8)), (vec!["INVITE sip:a SIP/2.0".to_owned()], vec!["SIP/2.0 200 OK".to_owned()]));
    assert!(ladders.ladder(call(9), |_| None).is_none());
}

#[test]
fn who_is_asked_for_a_password_and_comes_again_has_one_ladder() {
    let mut ladders = Ladders::new(1 << 20);
    ladders.refused(call(1), "a@h", Who::default);
    ladders.note(1, false, peer(), &message("INVITE", "a@h", ""));
    assert!(ladders.knows("a@h") && !ladders.summaries()[0].is_live);
    ladders.name(call(2), "a@h", Who::default);
    ladders.note(2, false, peer(), &message("INVITE", "a@h", ""));
    assert_eq!(ladders.ladder(call(2), |_| None).unwrap().messages.len(), 2);
    assert!(ladders.ladder(call(1), |_| None).is_none());
    assert_eq!((ladders.summaries().len(), ladders.summaries()[0].is_live), (1, true));
}

#[test]
fn the_room_is_limited_for_a_call_and_for_all_and_what_is_over_longest_goes_first() {
    let mut ladders = Ladders::new(100_000);
    let long = format!("Via: {}\r\n", "v".repeat(4_000));
    for number in 1..=3_u128 {
        ladders.name(call(number), &format!("{number}"), Who::default);
        for _ in 0..9 {
            ladders.note(1, false, peer(), &message("INVITE", &number.to_string(), &long));
        }
        ladders.end(call(number));
    }
    assert!(ladders.bytes <= 100_000);
    assert!(ladders.ladder(call(1), |_| None).is_none(), "the oldest made room");
    assert_eq!(ladders.ladder(call(3), |_| None).unwrap().messages.len(), 9);
    assert!(!ladders.knows("1") && ladders.knows("3"));
    ladders.name(call(4), "4", Who::default);
    for number in 0..200 {
        ladders.note(number, false, peer(), &message("UPDATE", "4", ""));
    }
    let ladder = ladders.ladder(call(4), |_| None).unwrap();
    assert_eq!((ladder.messages.len(), ladder.left_out), (MESSAGES_MAX, 72));
    let ends = [39, 40, 127].map(|at: usize| ladder.messages[at].at_unix_ms);
    assert_eq!(ends, [39, 112, 199], "the middle is left out");
    assert_eq!(ladders.bytes, ladders.kept.values().map(|kept| kept.bytes).sum::<usize>());
}

#[test]
fn the_largest_ladder_fits_into_a_line_of_the_door() {
    let mut ladders = Ladders::new(1 << 20);
    ladders.name(call(CALL), "a@h", Who::default);
    let worst = format!("Via: {}\r\n", "\"\\".repeat(240));
    for _ in 0..200 {
        ladders.note(1_795_000_000_000, false, peer(), &message("INVITE", "a@h", &worst));
    }
    let ladder = ladders.ladder(call(CALL), |_| Some("a-long-name-of-a-trunk".to_owned())).unwrap();
    assert!(ladder.messages.len() > 90 && ladder.left_out > 0);
    let event = wire::Event::Ladder { command: wire::CommandId::from_random(1), ladder };
    assert!(wire::encode(1, &wire::FromCde::Event(event)).is_ok());
}

#[test]
fn where_nothing_is_to_be_kept_nothing_is() {
    let mut ladders = ladders(0);
    ladders.note(1, false, peer(), &message("INVITE", "a@h", ""));
    assert!(ladders.ladder(call(CALL), |_| None).is_none() && ladders.summaries().is_empty());
}

/// What broke: a text was cut at every occurrence of the number, and a code with the number in it was two pieces too short to be one.
#[test]
fn a_dialed_code_with_the_number_in_it_is_not_shown() {
    let shown = |number: &str, text: &str| Ladders::new(1).hiding(vec![number.to_owned()]).hide(text.to_owned());
    for code in ["12345678", "17001234", "70012345", "12345700", "70070070", "123456789"] {
        let covered = "x".repeat(code.len());
        assert_eq!(
            shown("700", &format!("INVITE sip:700{code}@h;a=700 700{code}")),
            format!("INVITE sip:700{covered}@h;a=700 700{covered}")
        );
    }
    assert_eq!(shown("700", "sip:7001234567@700.h"), "sip:7001234567@700.h", "too short for one");
    assert_eq!(shown("77", "77712345678"), "77xxxxxxxxx");
}
