use super::*;

const RELAY: &str = "192.0.2.9:10000";

fn body(lines: &[&str]) -> Body {
    let mut text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n".to_owned();
    lines.iter().for_each(|line| text += &format!("{line}\r\n"));
    Body::from(text.into_bytes())
}

fn offer(lines: &[&str]) -> Offer {
    Offer::parse(&body(lines)).unwrap()
}

fn text(body: &Body) -> String {
    String::from_utf8(body.as_bytes().to_vec()).unwrap()
}

#[test]
fn every_other_media_line_is_refused_in_its_place() {
    let offer = offer(&[
        "m=video 3000 RTP/AVP 31",
        "m=audio 0 RTP/AVP 0",
        "m=audio 4000 RTP/AVP 18 8 97",
        "a=rtpmap:97 telephone-event/8000",
        "a=fmtp:97 0-11",
        "m=image 5000 udptl t38",
        "m=audio 6000 RTP/AVP 0",
    ]);
    let agreed = offer.agree(&[Codec::Pcmu, Codec::Pcma]).unwrap();
    assert_eq!((agreed.codec, agreed.payload_type, agreed.telephone_event), (Codec::Pcma, 8, Some(97)));
    assert_eq!(agreed.remote, Some("192.0.2.1:4000".parse().unwrap()));
    let answer =
        offer.answer(Origin { session_id: 7, version: 1 }, &agreed, RELAY.parse().unwrap(), Direction::SendRecv);
    let written = text(&answer);
    let media: Vec<&str> = written.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        media,
        [
            "m=video 0 RTP/AVP 31",
            "m=audio 0 RTP/AVP 0",
            "m=audio 10000 RTP/AVP 8 97",
            "m=image 0 udptl t38",
            "m=audio 0 RTP/AVP 0",
        ]
    );
    SessionDescription::parse(answer.as_bytes()).unwrap();
}

#[test]
fn our_own_offer_and_answer_meet() {
    let local = LocalMedia::new(RELAY.parse().unwrap());
    let offer = Offer::parse(&local.offer(Origin { session_id: 1, version: 1 })).unwrap();
    let agreed = offer.agree(&[Codec::Pcma]).unwrap();
    let body = offer.answer(
        Origin { session_id: 2, version: 1 },
        &agreed,
        "[2001:db8::1]:9".parse().unwrap(),
        Direction::RecvOnly,
    );
    let read = Answer::parse(&body).unwrap().agreed(&local).unwrap();
    assert_eq!((read.codec, read.payload_type, read.telephone_event), (Codec::Pcma, 8, Some(101)));
    assert_eq!((read.remote, read.direction), (Some("[2001:db8::1]:9".parse().unwrap()), Direction::SendOnly));
    assert_eq!((read.rtcp, read.rtcp_mux), (read.remote, true));
}

#[test]
fn dynamic_types_are_mapped_and_static_ones_can_be_remapped() {
    let dynamic = offer(&["m=audio 4000 RTP/AVP 0 111", "a=rtpmap:0 opus/48000/2", "a=rtpmap:111 pcmu/8000/1"]);
    let agreed = dynamic.agree(&[Codec::Pcmu]).unwrap();
    assert_eq!((agreed.codec, agreed.payload_type), (Codec::Pcmu, 111));
}

#[test]
fn g722_is_static_or_dynamic_and_its_clock_is_called_8000() {
    let agreed = |lines: &[&str]| offer(lines).agree(&Codec::ALL).map(|agreed| (agreed.codec, agreed.payload_type));
    assert_eq!(agreed(&["m=audio 4000 RTP/AVP 9 0 8"]), Ok((Codec::G722, 9)), "the peer's order");
    assert_eq!(agreed(&["m=audio 4000 RTP/AVP 8 9"]), Ok((Codec::Pcma, 8)));
    let dynamic = ["m=audio 4000 RTP/AVP 18 117 8", "a=rtpmap:117 G722/8000"];
    assert_eq!(agreed(&dynamic), Ok((Codec::G722, 117)));
    assert_eq!(agreed(&["m=audio 4000 RTP/AVP 9", "a=rtpmap:9 L16/8000"]), Err(Refusal::NoCodec));
    let offer = offer(&dynamic);
    let answer = offer.answer(
        Origin { session_id: 1, version: 1 },
        &offer.agree(&Codec::ALL).unwrap(),
        RELAY.parse().unwrap(),
        Direction::SendRecv,
    );
    assert!(text(&answer).contains("m=audio 10000 RTP/AVP 117\r\na=rtpmap:117 G722/8000\r\n"));
    let ours = LocalMedia::new(RELAY.parse().unwrap()).offer(Origin { session_id: 1, version: 1 });
    assert!(text(&ours).contains("m=audio 10000 RTP/AVP 0 8 9 111 101 110\r\n"));
    assert!(text(&ours).contains("a=rtpmap:9 G722/8000\r\n"));
}

#[test]
fn opus_is_dynamic_of_48_khz_and_two_channels() {
    // As a browser offers.
    let browser = offer(&[
        "m=audio 4000 RTP/AVP 96 63 9 0 110 126",
        "a=rtpmap:96 OPUS/48000/2",
        "a=fmtp:96 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
        "a=maxptime:120",
    ]);
    let agreed = browser.agree(&Codec::ALL).unwrap();
    assert_eq!((agreed.codec, agreed.payload_type), (Codec::Opus, 96));
    assert_eq!((agreed.telephone_event, agreed.event_clock), (Some(110), 48_000));
    let relay = RELAY.parse().unwrap();
    let answer = browser.answer(Origin { session_id: 1, version: 1 }, &agreed, relay, Direction::SendRecv);
    let (head, media) = ("m=audio 10000 RTP/AVP 96 110\r\n", "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 ");
    let answer = text(&answer);
    assert!(answer.contains(head) && answer.contains(media) && answer.contains("a=maxptime:60\r\n"), "{answer}");
    assert!(answer.contains(";cbr=1\r\n") && !answer.contains("usedtx") && !answer.contains("useinbandfec"));
    // Where it is not taken, nothing of it is.
    let narrow = browser.agree(&[Codec::Pcmu]).unwrap();
    assert_eq!((narrow.codec, narrow.telephone_event, narrow.event_clock), (Codec::Pcmu, Some(126), 8000));
    let refused = |lines: &[&str]| offer(lines).agree(&Codec::ALL).map(|agreed| agreed.codec);
    for other in ["opus/48000", "opus/48000/1", "opus/16000/2", "opus/8000", "multiopus/48000/2"] {
        assert_eq!(refused(&["m=audio 4000 RTP/AVP 96", &format!("a=rtpmap:96 {other}")]), Err(Refusal::NoCodec));
    }
    assert_eq!(refused(&["m=audio 4000 RTP/AVP 111"]), Err(Refusal::NoCodec), "it has no static type");
}

#[test]
fn our_offer_of_opus_is_met_under_another_payload_type_and_with_the_events_of_either_clock() {
    let local = LocalMedia::new(RELAY.parse().unwrap());
    let read = |lines: &[&str]| {
        let agreed = Answer::parse(&body(lines)).unwrap().agreed(&local).unwrap();
        (agreed.codec, agreed.payload_type, agreed.telephone_event, agreed.event_clock)
    };
    let opus = "a=rtpmap:120 opus/48000/2";
    let events = ["a=rtpmap:101 telephone-event/8000", "a=rtpmap:110 telephone-event/48000"];
    let audio = "m=audio 4000 RTP/AVP 120 101 110";
    assert_eq!(read(&[audio, opus, events[0], events[1]]), (Codec::Opus, 120, Some(110), 48_000));
    assert_eq!(read(&[audio, opus, events[0]]), (Codec::Opus, 120, Some(101), 8000));
    assert_eq!(read(&["m=audio 4000 RTP/AVP 0 110", events[1]]), (Codec::Pcmu, 0, None, 8000), "not its clock");
    let ours = text(&local.offer(Origin { session_id: 1, version: 1 }));
    for line in ["a=rtpmap:111 opus/48000/2\r\n", "a=rtpmap:110 telephone-event/48000\r\n", "a=fmtp:101 0-15\r\n"] {
        assert!(ours.contains(line), "{ours}");
    }
    let narrow = LocalMedia { codecs: vec![(Codec::Pcma, 8)], ..local };
    let ours = text(&narrow.offer(Origin { session_id: 1, version: 1 }));
    assert!(!ours.contains("48000") && !ours.contains("maxptime"), "{ours}");
}

#[test]
fn keys_have_the_clock_of_the_sound_where_the_peer_has_that_and_else_that_of_16_khz() {
    let wide = "a=rtpmap:105 telephone-event/16000";
    let narrow = "a=rtpmap:101 telephone-event/8000";
    let agreed = |lines: &[&str]| {
        let offer = offer(&[&["m=audio 4000 RTP/AVP 9 105 101"], lines].concat());
        let agreed = offer.agree(&Codec::ALL).unwrap();
        let answer =
            offer.answer(Origin { session_id: 1, version: 1 }, &agreed, RELAY.parse().unwrap(), Direction::SendRecv);
        assert_eq!(text(&answer).contains(wide), agreed.event_clock == 16_000);
        (agreed.telephone_event, agreed.event_clock)
    };
    assert_eq!(agreed(&[wide, narrow]), (Some(101), 8000));
    assert_eq!(agreed(&[wide]), (Some(105), 16_000));
    assert_eq!(agreed(&["a=rtpmap:105 telephone-event/48000"]), (None, 8000));
    // We offer the one, and nobody answers with the other.
    let local = LocalMedia::new(RELAY.parse().unwrap());
    let answer = Answer::parse(&body(&["m=audio 4000 RTP/AVP 9 105", wide])).unwrap();
    assert_eq!(answer.agreed(&local).unwrap().telephone_event, None);
}

#[test]
fn hold_is_seen_in_all_its_forms() {
    let held = |lines: &[&str]| offer(lines).agree(&[Codec::Pcmu]).unwrap();
    assert_eq!(held(&["m=audio 4000 RTP/AVP 0", "a=sendonly"]).direction, Direction::RecvOnly);
    assert_eq!(held(&["a=inactive", "m=audio 4000 RTP/AVP 0"]).direction, Direction::Inactive);
    assert_eq!(held(&["a=inactive", "m=audio 4000 RTP/AVP 0", "a=sendrecv"]).direction, Direction::SendRecv);
    let null = held(&["m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"]);
    assert_eq!((null.remote, null.direction), (None, Direction::RecvOnly));
}

#[test]
fn what_cannot_be_masked_is_refused() {
    let refused = |lines: &[&str]| offer(lines).agree(&[Codec::Pcmu]).unwrap_err();
    assert_eq!(refused(&["m=audio 4000 RTP/SAVP 0"]), Refusal::NoAudio);
    assert_eq!(refused(&["m=video 4000 RTP/AVP 31"]), Refusal::NoAudio);
    assert_eq!(refused(&["m=audio 4000 RTP/AVP 8 9"]), Refusal::NoCodec);
    assert_eq!(refused(&["m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/16000"]), Refusal::NoCodec);
    let partial = offer(&["m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000", "a=fmtp:96 0-9"]);
    assert_eq!(partial.agree(&[Codec::Pcmu]).unwrap().telephone_event, None);
}

#[test]
fn an_answer_must_keep_to_the_offer() {
    let local = LocalMedia { telephone_event: None, ..LocalMedia::new(RELAY.parse().unwrap()) };
    let agreed = |lines: &[&str]| Answer::parse(&body(lines)).unwrap().agreed(&local);
    assert_eq!(agreed(&["m=audio 0 RTP/AVP 0"]), Err(Refusal::NoAudio));
    assert_eq!(agreed(&["m=audio 1 RTP/AVP 18"]), Err(Refusal::NoCodec));
    assert_eq!(agreed(&["m=audio 1 RTP/AVP 0", "m=video 2 RTP/AVP 31"]), Err(Refusal::MediaLines));
    let keys = agreed(&["m=audio 1 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000"]).unwrap();
    assert_eq!(keys.telephone_event, None, "what was not offered is not agreed");
}

#[test]
fn rtcp_shares_the_port_only_where_both_say_so() {
    let agreed = |attributes: &[&str]| {
        let offer = offer(&[&["m=audio 4000 RTP/AVP 0"], attributes].concat());
        let agreed = offer.agree(&[Codec::Pcmu]).unwrap();
        let answer =
            offer.answer(Origin { session_id: 1, version: 1 }, &agreed, RELAY.parse().unwrap(), Direction::SendRecv);
        assert_eq!(text(&answer).contains("a=rtcp-mux\r\n"), agreed.rtcp_mux);
        (agreed.rtcp.unwrap().to_string(), agreed.rtcp_mux)
    };
    assert_eq!(agreed(&["a=rtcp-mux"]), ("192.0.2.1:4000".to_owned(), true));
    assert_eq!(agreed(&["a=rtcp:4005", "a=rtcp-mux"]), ("192.0.2.1:4000".to_owned(), true));
    assert_eq!(agreed(&[]), ("192.0.2.1:4001".to_owned(), false));
    // Of another stream.
    assert_eq!(agreed(&["m=video 5000 RTP/AVP 31", "a=rtcp-mux"]), ("192.0.2.1:4001".to_owned(), false));
    let ours = LocalMedia::new(RELAY.parse().unwrap());
    assert!(text(&ours.offer(Origin { session_id: 1, version: 1 })).contains("a=rtcp-mux\r\n"));
    let answered = |local: &LocalMedia, attributes: &[&str]| {
        let body = body(&[&["m=audio 4000 RTP/AVP 0"], attributes].concat());
        let agreed = Answer::parse(&body).unwrap().agreed(local).unwrap();
        (agreed.rtcp.unwrap().port(), agreed.rtcp_mux)
    };
    assert_eq!(answered(&ours, &["a=rtcp-mux"]), (4000, true));
    assert_eq!(answered(&ours, &[]), (4001, false));
    let never = LocalMedia { rtcp_mux: false, ..ours };
    assert_eq!(answered(&never, &["a=rtcp-mux"]), (4001, false), "what was not offered is not agreed");
}

#[test]
fn rtcp_goes_where_the_peer_says_or_one_port_above() {
    let rtcp = |media: &str, attribute: &str| {
        offer(&[media, attribute]).agree(&[Codec::Pcmu]).unwrap().rtcp.map(|rtcp| rtcp.to_string())
    };
    let audio = "m=audio 4000 RTP/AVP 0";
    for (attribute, expected) in [
        ("a=rtcp:53020", "192.0.2.1:53020"),
        ("a=rtcp:53020 IN IP4 192.0.2.7", "192.0.2.7:53020"),
        ("a=rtcp:53020 IN IP6 2001:db8::7", "[2001:db8::7]:53020"),
    ] {
        assert_eq!(rtcp(audio, attribute).as_deref(), Some(expected), "{attribute}");
    }
    let useless =
        ["", ":", ":0", ":x", ":70000", ":9 IN IP4 0.0.0.0", ":9 IN IP4 a.example", ":9 IN IP5 1.2.3.4", ":9 "];
    for value in useless {
        assert_eq!(rtcp(audio, &format!("a=rtcp{value}")).as_deref(), Some("192.0.2.1:4001"), "{value}");
    }
    assert_eq!(rtcp("m=audio 65535 RTP/AVP 0", "a=x").as_deref(), Some("192.0.2.1:65535"));
    assert_eq!(rtcp(audio, "c=IN IP4 0.0.0.0"), None, "who holds has no place for it");
}

#[test]
fn garbage_is_an_error_and_is_never_printed() {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";
    for (tail, at) in [
        ("c=IN IP4 nonsense!\r\n", SdpError::Value(4)),
        ("m=audio x RTP/AVP 0\r\n", SdpError::Value(4)),
        ("m=audio 1 RTP/AVP\r\n", SdpError::Value(4)),
        ("m=audio 1 RTP/AVP 200\r\n", SdpError::Value(4)),
        ("x=1\r\n", SdpError::Line(4)),
        ("\r\n", SdpError::Line(4)),
        ("a=x\r\nc=IN IP4 1.2.3.4\r\n", SdpError::Line(5)),
        ("m=audio 1 RTP/AVP 0\r\n", SdpError::Missing),
        ("c=IN IP4 ::1\r\n", SdpError::Value(4)),
    ] {
        let body = Body::from(format!("{head}{tail}").into_bytes());
        assert_eq!(Offer::parse(&body).unwrap_err(), at, "{tail}");
    }
    assert_eq!(Offer::parse(&Body::from(&b"v=0\r\n"[..])).unwrap_err(), SdpError::Missing);
    assert_eq!(Offer::parse(&Body::from(&b"\xff\x00"[..])).unwrap_err(), SdpError::Line(1));
    let keyed = offer(&["m=audio 1 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0"]);
    assert_eq!(
        format!("{keyed:?} {:?}", keyed.description().media()),
        "Offer(SessionDescription(1 media)) [Media(1 formats)]"
    );
}
