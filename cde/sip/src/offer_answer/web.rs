//! Offers and answers of browsers: `UDP/TLS/RTP/SAVPF` with ICE and DTLS (RFC 8829, RFC 8839, RFC 8842).
//!
//! The sound's address is what the connectivity checks find, so nothing that is agreed here has one; `c=` and the port of the
//! media line say nothing, and a null address is no hold (RFC 8839 §4.1.1.1).

use std::net::SocketAddr;

use crate::{
    message::Body,
    sdp::{self, Carried, Direction, Media, Origin, Profile, Rejected},
};

use super::{ALL, Agreed, Answer, Codec, LocalMedia, Offer, Refusal, agree};

pub use crate::sdp::{Hash, Setup, Web};

impl LocalMedia {
    /// Writes the offer of a stream that a browser can take.
    #[must_use]
    pub fn offer_web(&self, origin: Origin, ours: &Web) -> Body {
        let carried = Carried { profile: Profile::TlsSavpf, web: Some(ours), ..Carried::default() };
        sdp::write(origin, self, carried, Rejected::default())
    }
}

impl Offer {
    /// What we could agree to of a browser's offer.
    ///
    /// # Errors
    /// If there is no such audio stream or codec.
    pub(super) fn agree_web(&self, allowed: &[Codec]) -> Result<Agreed, Refusal> {
        let has_audio = self.0.media().iter().any(|media| media.carries_web_audio().is_some());
        let missing = if has_audio { Refusal::NoKey } else { Refusal::NoAudio };
        agree(&self.0, self.0.web_audio().ok_or(missing)?, allowed, ALL)
    }

    /// What the peer says of itself for the stream that was agreed on.
    #[must_use]
    pub fn web(&self, agreed: &Agreed) -> Option<Web> {
        self.0.web_of(self.0.media().get(agreed.at)?)
    }

    /// Writes the answer as [`Offer::answer`] does, with what we say of ourselves.
    #[must_use]
    pub fn answer_web(
        &self,
        origin: Origin,
        agreed: &Agreed,
        address: SocketAddr,
        direction: Direction,
        ours: &Web,
    ) -> Body {
        let carried = Carried { profile: agreed.profile, web: Some(ours), ..Carried::default() };
        self.answer_carried(origin, agreed, address, direction, carried)
    }
}

impl Answer {
    /// What a browser agreed to of our offer.
    ///
    /// # Errors
    /// As [`Answer::agreed`]; and if it lacks what it takes to find it and to know it.
    pub(super) fn agreed_web(&self, offered: &LocalMedia) -> Result<Agreed, Refusal> {
        let [media] = self.0.media() else { return Err(Refusal::MediaLines) };
        media.carries_web_audio().ok_or(Refusal::NoAudio)?;
        let web = self.0.web_of(media).filter(|_| media.rtcp_mux).ok_or(Refusal::NoKey)?;
        if web.setup == Setup::ActPass {
            // An answer decides (RFC 8842 §5.3).
            return Err(Refusal::NoKey);
        }
        self.agreed_as_offered(0, offered)
    }

    /// What the peer says of itself for the stream that was agreed on.
    #[must_use]
    pub fn web(&self, agreed: &Agreed) -> Option<Web> {
        self.0.web_of(self.0.media().get(agreed.at)?)
    }
}

impl Media {
    /// How it carries audio to a browser; none if it does not, or is refused.
    pub(crate) fn carries_web_audio(&self) -> Option<Profile> {
        let profile = [Profile::TlsSavpf, Profile::TlsSavp].into_iter().find(|profile| profile.name() == self.proto);
        profile.filter(|_| self.kind == "audio" && self.port != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Certificates, Srtp};
    use super::*;

    const RELAY: &str = "192.0.2.9:10000";
    const CODECS: [Codec; 3] = [Codec::Pcmu, Codec::Pcma, Codec::G722];
    const ORIGIN: Origin = Origin { session_id: 1, version: 1 };
    const OURS: [u8; 32] = [0xab; 32];
    const WEB: Certificates = Certificates { ours: OURS, other: [0xba; 32] };

    /// As Chromium offers one audio stream, with candidates that name no address (mDNS).
    const CHROMIUM: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\n\
        a=msid-semantic: WMS s\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 \
        0.0.0.0\r\na=candidate:1 1 udp 2113937151 6c1a9a3e-7d3c.local 40000 typ host generation 0\r\na=ice-ufrag:4ZcD\r\n\
        a=ice-pwd:2/1muCWoOi3uLifh0NuRHlIz\r\na=ice-options:trickle\r\na=fingerprint:sha-256 \
        75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:65:FB:04:24\r\na=setup:actpass\r\n\
        a=mid:0\r\na=sendrecv\r\na=msid:s t\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n\
        a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
        a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\na=ssrc:1 cname:c\r\n";

    fn ours(setup: Setup) -> Web {
        let (ufrag, password) = ("ours".to_owned(), "0123456789012345678901".to_owned());
        let (hash, mid) = (Hash::Sha256, Some("0".to_owned()));
        Web { ufrag, password, hash, fingerprint: OURS.to_vec(), setup, mid, is_bundled: true }
    }

    fn offer(text: &str) -> Offer {
        Offer::parse(&Body::from(text.as_bytes())).unwrap()
    }

    fn text(body: &Body) -> String {
        String::from_utf8(body.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn what_chromium_offers_is_understood_and_a_null_address_is_no_hold() {
        let offer = offer(CHROMIUM);
        let agreed = offer.agree_under(Srtp::Web(WEB), &[Codec::Pcmu, Codec::Pcma]).unwrap();
        assert_eq!((agreed.codec, agreed.payload_type, agreed.telephone_event), (Codec::Pcmu, 0, Some(126)));
        assert_eq!((agreed.direction, agreed.remote, agreed.rtcp_mux), (Direction::SendRecv, None, true));
        let theirs = offer.web(&agreed).unwrap();
        assert_eq!((theirs.ufrag.as_str(), theirs.setup, theirs.hash), ("4ZcD", Setup::ActPass, Hash::Sha256));
        assert!(theirs.fingerprint[..2] == [0x75, 0x74] && theirs.fingerprint.len() == 32 && theirs.is_bundled);
    }

    #[test]
    fn the_answer_has_all_that_a_browser_wants_and_refuses_every_other_stream_by_its_name() {
        let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendrecv\r\n";
        let offer = offer(&format!("{CHROMIUM}{video}").replace("BUNDLE 0", "BUNDLE 0 1"));
        let agreed = offer.agree_under(Srtp::Web(WEB), &CODECS).unwrap();
        let answer =
            offer.answer_web(ORIGIN, &agreed, RELAY.parse().unwrap(), Direction::SendRecv, &ours(Setup::Passive));
        let fingerprint = format!("a=fingerprint:sha-256 AB{}", ":AB".repeat(31));
        let expected = [
            "v=0",
            "o=- 1 1 IN IP4 192.0.2.9",
            "s=-",
            "c=IN IP4 192.0.2.9",
            "t=0 0",
            "a=group:BUNDLE 0",
            "a=ice-lite",
            "m=audio 10000 UDP/TLS/RTP/SAVPF 9 126",
            "a=mid:0",
            "a=ice-ufrag:ours",
            "a=ice-pwd:0123456789012345678901",
            &fingerprint,
            "a=setup:passive",
            "a=candidate:1 1 udp 2130706431 192.0.2.9 10000 typ host",
            "a=end-of-candidates",
            "a=msid:tonewall tonewall",
            "a=rtpmap:9 G722/8000",
            "a=rtpmap:126 telephone-event/8000",
            "a=fmtp:126 0-15",
            "a=rtcp-mux",
            "a=sendrecv",
            "m=video 0 UDP/TLS/RTP/SAVPF 96",
            "a=mid:1",
        ];
        assert_eq!(text(&answer).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn our_offer_is_answered_by_one_that_decides_who_begins() {
        let local = LocalMedia::new(RELAY.parse().unwrap());
        let offered = text(&local.offer_web(ORIGIN, &ours(Setup::ActPass)));
        assert!(offered.contains("m=audio 10000 UDP/TLS/RTP/SAVPF 0 8 9 ") && offered.contains("a=ice-lite\r\n"));
        let of = |setup: &str| {
            CHROMIUM
                .replace("actpass", setup)
                .replace(" 111 63 9 0 8 13 110 126", " 8 101")
                .replace("a=rtpmap:126", "a=rtpmap:101")
        };
        let agreed = |text: &str| {
            let answer = Answer::parse(&Body::from(text.as_bytes())).unwrap();
            let agreed = answer.agreed_under(Srtp::Web(WEB), &local, Profile::TlsSavpf, &[])?;
            assert!(answer.web(&agreed).is_some());
            Ok((agreed.codec, agreed.telephone_event))
        };
        assert_eq!(agreed(&of("active")), Ok((Codec::Pcma, Some(101))));
        assert_eq!(agreed(&of("passive")), Ok((Codec::Pcma, Some(101))));
        assert_eq!(agreed(&of("actpass")), Err(Refusal::NoKey));
        assert_eq!(agreed(&of("active").replace("UDP/TLS/", "")), Err(Refusal::NoAudio), "no way into the open");
    }

    #[test]
    fn what_cannot_be_found_or_known_is_refused() {
        let agrees = |text: &str, srtp| offer(text).agree_under(srtp, &CODECS).map(|agreed| agreed.codec);
        assert_eq!(agrees(CHROMIUM, Srtp::Web(WEB)), Ok(Codec::G722));
        let without = |line: &str, with: &str| {
            let changed = CHROMIUM.replace(line, with);
            assert_ne!(changed, CHROMIUM, "{line}");
            agrees(&changed, Srtp::Web(WEB))
        };
        for (line, with) in [
            ("a=ice-ufrag:4ZcD\r\n", ""),
            ("a=ice-pwd:2/1muCWoOi3uLifh0NuRHlIz", "a=ice-pwd:short"),
            ("sha-256 75", "sha-1 75"),
            ("sha-256 75:", "sha-256 "),
            ("a=setup:actpass\r\n", ""),
            ("a=setup:actpass", "a=setup:holdconn"),
            ("a=rtcp-mux\r\n", ""),
            ("a=extmap-allow-mixed", "a=ice-lite"),
        ] {
            assert_eq!(without(line, with), Err(Refusal::NoKey), "{line} {with}");
        }
        assert_eq!(without("audio 9", "audio 0"), Err(Refusal::NoAudio));
        for plain in [Srtp::Off, Srtp::Preferred] {
            assert!(agrees(CHROMIUM, plain).is_err(), "a trunk that is no page's");
        }
        let plain = CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP");
        assert_eq!(agrees(&plain, Srtp::Web(WEB)), Err(Refusal::NoAudio), "and a page's takes nothing else");
    }

    #[test]
    fn lines_of_the_session_hold_for_the_stream() {
        let (head, stream) = CHROMIUM.split_once("m=audio").unwrap();
        let moved = ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"];
        let is_moved = |line: &&str| moved.iter().any(|name| line.starts_with(name));
        let (up, down): (Vec<&str>, Vec<&str>) = stream.split_inclusive("\r\n").partition(is_moved);
        let text = format!("{head}{}m=audio{}", up.concat(), down.concat());
        assert_eq!(up.len(), 4);
        assert!(offer(&text).agree_under(Srtp::Web(WEB), &CODECS).is_ok());
    }
}
