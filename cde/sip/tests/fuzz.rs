//! No bytes whatever panic, neither in the parsers nor in an endpoint in the middle of a call.
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

use proptest::{collection::vec, prelude::*, sample::Index};
use raw::{Raw, SDP, request, response};
use sip::{
    Body, Peer,
    message::parse,
    offer_answer::{Answer, Codec, Crypto, Direction, LocalMedia, Offer, Origin, Srtp},
};

/// Replaces, removes or inserts bytes, with a liking for those that mean something.
fn mutate(message: &str, edits: &[(Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = message.as_bytes().to_vec();
    for (at, kind, byte) in edits {
        let byte = *b"\r\n:;,<>\"\\= @[]%?\0\xff/0".get(usize::from(*byte)).unwrap_or(byte);
        let at = at.index(bytes.len().max(1));
        match kind % 4 {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
    }
    bytes
}

fn peer() -> Peer {
    Peer::udp("192.0.2.1:1".parse().unwrap())
}

fn edits() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..600)) {
        drop(parse(&bytes));
        drop(Offer::parse(&Body::from(bytes.clone())));
        Raw::new().endpoint.handle_message(Raw::new().now, peer(), &bytes);
    }

    #[test]
    fn mutated_requests_never_panic_an_endpoint_in_a_call(edits in edits(), method in 0usize..9) {
        let mut raw = Raw::new();
        let (_, tag) = raw.take_call();
        let method = ["INVITE", "BYE", "INFO", "ACK", "CANCEL", "OPTIONS", "UPDATE", "PRACK", "REFER"][method];
        let lines = format!(
            "Session-Expires: 90;refresher=uac\r\nMin-SE: 90\r\nSupported: timer\r\nRAck: 1 1 INVITE\r\n\
             Refer-To: <sip:b@h?Replaces=c1%3Bto-tag%3D{tag}%3Bfrom-tag%3Dp>\r\n"
        );
        let bytes = mutate(&request(method, "m", &tag, 5, &lines, SDP), &edits);
        raw.endpoint.handle_message(raw.now, peer(), &bytes);
        while raw.endpoint.poll_output().is_some() {}
    }

    #[test]
    fn mutated_credentials_and_replaces_never_panic_and_never_open_the_door(edits in edits()) {
        let mut raw = Raw::new();
        let (_, tag) = raw.take_call();
        let lines = format!(
            "Require: 100rel\r\nReplaces: c1;to-tag={tag};from-tag=p\r\nAuthorization: Digest username=\"u\", \
             realm=\"tonewall\", nonce=\"{}\", uri=\"sip:us@192.0.2.9\", response=\"{}\", algorithm=SHA-256, \
             cnonce=\"c\", qop=auth, nc=00000001\r\n",
            "0".repeat(96),
            "0".repeat(64)
        );
        let invite = request("INVITE", "n", "", 1, &lines, SDP).replace("Call-ID: c1", "Call-ID: c2");
        raw.endpoint.handle_message(raw.now, peer(), &mutate(&invite, &edits));
        let credentials = sip::Credentials::new("u".to_owned(), "p".to_owned(), true);
        while let Some(output) = raw.endpoint.poll_output() {
            if let sip::Output::Event(sip::Event::Incoming { dialog, .. }) = output {
                prop_assert!(!raw.endpoint.authenticate(raw.now, dialog, peer(), &credentials));
            }
        }
    }

    #[test]
    fn mutated_responses_never_panic_a_caller(edits in edits(), status in 100u16..700) {
        let mut raw = Raw::new();
        let (id, invite) = raw.call();
        let lines = "Session-Expires: 90;refresher=uac\r\nMin-SE: 3600\r\nRequire: 100rel\r\nRSeq: 1\r\n\
                     WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\nContact:";
        let bytes = mutate(&response(&invite, status, "b", SDP).replacen("Contact:", lines, 1), &edits);
        raw.endpoint.handle_message(raw.now, peer(), &bytes);
        raw.endpoint.ack(raw.now, id, None);
        raw.endpoint.bye(raw.now, id);
        while raw.endpoint.poll_output().is_some() {}
    }

    #[test]
    fn what_is_answered_to_any_protected_offer_is_protected_by_its_key(edits in edits()) {
        let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20\r\n";
        let sdp = format!("{}{key}a=crypto:2 AEAD_AES_128_GCM inline:{}==\r\n", SDP.replace("AVP", "SAVP"), "A".repeat(38));
        if let Ok(offer) = Offer::parse(&Body::from(mutate(&sdp, &edits)))
            && let Ok(agreed) = offer.agree_under(Srtp::Required, &[Codec::Pcmu, Codec::Pcma])
        {
            let (origin, relay) = (Origin { session_id: 1, version: 1 }, "192.0.2.9:9".parse().unwrap());
            let ours = Crypto::new(agreed.protection.unwrap().tag, agreed.protection.unwrap().suite, |key| key.fill(1));
            prop_assert_eq!(offer.crypto(&agreed).unwrap().key().len(), ours.key().len());
            let answer = Answer::parse(&offer.answer_protected(origin, &agreed, relay, Direction::SendRecv, &ours)).unwrap();
            if offer.description().media().len() == 1 {
                let own = [ours];
                let read = answer.agreed_under(Srtp::Required, &LocalMedia::new(relay), agreed.profile, &own);
                prop_assert_eq!(read.map(|read| read.protection), Ok(agreed.protection));
            }
        }
    }

    #[test]
    fn what_is_answered_to_any_offer_is_a_valid_answer(edits in edits()) {
        let sdp = format!("{SDP}a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\nm=video 3 RTP/AVP 31 99\r\na=sendonly\r\n");
        if let Ok(offer) = Offer::parse(&Body::from(mutate(&sdp, &edits)))
            && let Ok(agreed) = offer.agree(&[Codec::Pcmu, Codec::Pcma])
        {
            let origin = Origin { session_id: 1, version: 1 };
            let answer = offer.answer(origin, &agreed, "192.0.2.9:9".parse().unwrap(), Direction::SendRecv);
            let read = Offer::parse(&answer).unwrap();
            prop_assert_eq!(read.description().media().len(), offer.description().media().len());
        }
    }
}
