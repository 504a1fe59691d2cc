//! Offers and answers with SRTP, whose keys stand in the descriptions (RFC 4568, RFC 8643).

use std::net::SocketAddr;

use crate::{
    message::Body,
    sdp::{self, Carried, Crypto, Direction, Media, Origin, Profile, Rejected, Suite},
};

use super::{ALL, Agreed, Answer, Codec, LocalMedia, Offer, Refusal, agree};

/// Whether sound is to be protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Srtp {
    /// It is not, and an offer that wants it is refused.
    #[default]
    Off,
    /// It is with whoever can: we offer `RTP/AVP` with keys, which peers that cannot leave unanswered (RFC 8643).
    Preferred,
    /// It is, or there is no call: we offer `RTP/SAVP`.
    Required,
    /// It is, or there is no call: by keys that are agreed on where the sound goes, as browsers do.
    Web(Certificates),
}

/// Fingerprints (SHA-256) of our certificates. There are two: a browser agrees on new keys within a dialog only if it is told another one
/// (RFC 8842 section 5.1 has `tls-id` too, which browsers do not read).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// The one that is shown.
    pub ours: [u8; 32],
    /// The other one.
    pub other: [u8; 32],
}

impl Srtp {
    /// The same for a leg that begins anew within its dialog, with sound from elsewhere.
    #[must_use]
    pub fn anew(self) -> Self {
        match self {
            Self::Web(Certificates { ours, other }) => Self::Web(Certificates { ours: other, other: ours }),
            srtp => srtp,
        }
    }

    /// How we offer it.
    #[must_use]
    pub fn profile(self) -> Profile {
        match self {
            Self::Off | Self::Preferred => Profile::Avp,
            Self::Required => Profile::Savp,
            Self::Web(_) => Profile::TlsSavpf,
        }
    }
}

/// The peer's key that was chosen. It does not hold the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// The tag of its line, the same in offer and answer.
    pub tag: u32,
    /// The crypto-suite.
    pub suite: Suite,
}

impl Protection {
    fn of(crypto: &Crypto) -> Self {
        Self { tag: crypto.tag, suite: crypto.suite }
    }
}

impl LocalMedia {
    /// Writes the offer with our keys.
    #[must_use]
    pub fn offer_protected(&self, origin: Origin, profile: Profile, cryptos: &[Crypto]) -> Body {
        sdp::write(origin, self, Carried { profile, cryptos, web: None }, Rejected::default())
    }
}

impl Offer {
    /// What we could agree to: a protected stream before a plain one, of the latter none where protection is required.
    ///
    /// # Errors
    /// If there is no such audio stream or codec.
    pub fn agree_under(&self, srtp: Srtp, allowed: &[Codec]) -> Result<Agreed, Refusal> {
        if matches!(srtp, Srtp::Web(_)) {
            return self.agree_web(allowed);
        }
        let protected = self.0.protected_audio().filter(|_| srtp != Srtp::Off);
        match (protected, srtp) {
            (Some(at), _) => {
                let crypto = self.0.media().get(at).and_then(preferred).ok_or(Refusal::NoKey)?;
                Ok(Agreed { protection: Some(Protection::of(crypto)), ..agree(&self.0, at, allowed, ALL)? })
            }
            (None, Srtp::Required | Srtp::Web(_)) => Err(Refusal::NoKey),
            (None, Srtp::Off | Srtp::Preferred) => self.agree(allowed),
        }
    }

    /// The peer's key, as agreed.
    #[must_use]
    pub fn crypto(&self, agreed: &Agreed) -> Option<&Crypto> {
        chosen(self.0.media().get(agreed.at)?, agreed)
    }

    /// Writes the answer as [`Offer::answer`] does, with our key.
    #[must_use]
    pub fn answer_protected(
        &self,
        origin: Origin,
        agreed: &Agreed,
        address: SocketAddr,
        direction: Direction,
        ours: &Crypto,
    ) -> Body {
        let carried = Carried { profile: agreed.profile, cryptos: std::slice::from_ref(ours), web: None };
        self.answer_carried(origin, agreed, address, direction, carried)
    }
}

impl Answer {
    /// What the peer agreed to of our offer of one stream with these keys.
    ///
    /// # Errors
    /// As [`Answer::agreed`]; and if it has another key than one of those, or none where protection is required.
    pub fn agreed_under(
        &self,
        srtp: Srtp,
        offered: &LocalMedia,
        profile: Profile,
        ours: &[Crypto],
    ) -> Result<Agreed, Refusal> {
        self.agreed_at((0, 1), srtp, offered, profile, ours)
    }

    /// The same for one of several streams: which, and of how many.
    ///
    /// # Errors
    /// As [`Answer::agreed_under`].
    pub fn agreed_at(
        &self,
        (at, of): (usize, usize),
        srtp: Srtp,
        offered: &LocalMedia,
        profile: Profile,
        ours: &[Crypto],
    ) -> Result<Agreed, Refusal> {
        if matches!(srtp, Srtp::Web(_)) {
            return self.agreed_web(offered);
        }
        let media = self.0.media().get(at).filter(|_| self.0.media().len() == of).ok_or(Refusal::MediaLines)?;
        if media.carries_audio() != Some(profile) {
            return Err(Refusal::NoAudio);
        }
        let answers = |crypto: &&Crypto| ours.iter().any(|own| Protection::of(own) == Protection::of(crypto));
        let protection = match media.cryptos.iter().find(answers) {
            Some(crypto) => Some(Protection::of(crypto)),
            // What it would send cannot be known, or must not be plain.
            None if profile == Profile::Savp || srtp == Srtp::Required || media.has_crypto => {
                return Err(Refusal::NoKey);
            }
            None => None,
        };
        Ok(Agreed { protection, ..self.agreed_as_offered(at, offered)? })
    }

    /// The peer's key, as agreed.
    #[must_use]
    pub fn crypto(&self, agreed: &Agreed) -> Option<&Crypto> {
        chosen(self.0.media().get(agreed.at)?, agreed)
    }
}

/// The first key in the peer's order; one with a short tag only if there is no other.
fn preferred(media: &Media) -> Option<&Crypto> {
    media.cryptos.iter().min_by_key(|crypto| crypto.suite == Suite::Aes128Sha1Tag32)
}

fn chosen<'a>(media: &'a Media, agreed: &Agreed) -> Option<&'a Crypto> {
    media.cryptos.iter().find(|crypto| Some(Protection::of(crypto)) == agreed.protection)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: &str = "192.0.2.9:10000";
    const KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
    const CODECS: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

    fn body(lines: &str) -> Body {
        let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
        Body::from(format!("{head}{}\r\n", lines.replace('\n', "\r\n")).into_bytes())
    }

    fn offer(lines: &str) -> Offer {
        Offer::parse(&body(lines)).unwrap()
    }

    fn line(tag: u32, suite: &str) -> String {
        format!("\na=crypto:{tag} {suite} inline:{KEY}")
    }

    fn ours(tag: u32, suite: Suite) -> Crypto {
        Crypto::new(tag, suite, |key| key.fill(9))
    }

    fn plain() -> String {
        "m=audio 4000 RTP/AVP 0".to_owned()
    }

    fn optional() -> String {
        plain() + &line(3, "AES_CM_128_HMAC_SHA1_80")
    }

    fn savp() -> String {
        optional().replace("AVP", "SAVP")
    }

    #[test]
    fn each_policy_takes_what_it_may_and_nothing_else() {
        use Srtp::{Off, Preferred, Required};
        let keyless = plain().replace("AVP", "SAVP");
        let agrees =
            |srtp, lines: &str| offer(lines).agree_under(srtp, &CODECS).map(|a| (a.profile, a.protection.is_some()));
        for (srtp, of_plain, of_optional, of_savp) in [
            (Off, Ok((Profile::Avp, false)), Ok((Profile::Avp, false)), Err(Refusal::NoAudio)),
            (Preferred, Ok((Profile::Avp, false)), Ok((Profile::Avp, true)), Ok((Profile::Savp, true))),
            (Required, Err(Refusal::NoKey), Ok((Profile::Avp, true)), Ok((Profile::Savp, true))),
        ] {
            assert_eq!(agrees(srtp, &plain()), of_plain, "{srtp:?}");
            assert_eq!(agrees(srtp, &optional()), of_optional, "{srtp:?}");
            assert_eq!(agrees(srtp, &savp()), of_savp, "{srtp:?}");
            assert!(agrees(srtp, &keyless).is_err(), "{srtp:?}");
        }
    }

    #[test]
    fn the_answer_names_the_offers_line_and_has_our_key() {
        let offer = offer(&format!("m=video 1 RTP/AVP 31\n{}\n{}", plain(), savp()));
        let agreed = offer.agree_under(Srtp::Preferred, &CODECS).unwrap();
        assert_eq!(agreed.protection, Some(Protection { tag: 3, suite: Suite::Aes128Sha1Tag80 }));
        assert_eq!(offer.crypto(&agreed).unwrap().key()[..3], *b"=-n");
        let ours = ours(3, Suite::Aes128Sha1Tag80);
        let origin = Origin { session_id: 1, version: 1 };
        let answer = offer.answer_protected(origin, &agreed, RELAY.parse().unwrap(), Direction::SendRecv, &ours);
        let text = String::from_utf8_lossy(answer.as_bytes()).into_owned();
        let media: Vec<&str> = text.lines().filter(|line| line.starts_with("m=") || line.contains("crypto")).collect();
        assert_eq!(media[..3], ["m=video 0 RTP/AVP 31", "m=audio 0 RTP/AVP 0", "m=audio 10000 RTP/SAVP 0"]);
        assert!(media.len() == 4 && media[3].starts_with("a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:CQkJ"));
    }

    #[test]
    fn lines_that_cannot_be_used_are_passed_over_and_a_short_tag_is_the_last_choice() {
        let lines = [
            "\na=crypto:1 F8_128_HMAC_SHA1_80 inline:abc".to_owned(),
            line(2, "AES_CM_128_HMAC_SHA1_80") + "|2^20|1:4",
            line(4, "AES_CM_128_HMAC_SHA1_32"),
            line(5, "AES_CM_128_HMAC_SHA1_80"),
        ];
        let tag = |lines: &[String]| {
            let offer = offer(&format!("m=audio 4000 RTP/SAVP 0{}", lines.concat()));
            offer.agree_under(Srtp::Required, &CODECS).map(|agreed| agreed.protection.unwrap().tag)
        };
        assert_eq!([tag(&lines), tag(&lines[..3]), tag(&lines[..2])], [Ok(5), Ok(4), Err(Refusal::NoKey)]);
    }

    #[test]
    fn an_answer_must_have_one_of_our_keys_lines() {
        let local = LocalMedia::new(RELAY.parse().unwrap());
        let ours = [ours(1, Suite::Aes256Gcm), ours(3, Suite::Aes128Sha1Tag80)];
        let agreed = |srtp: Srtp, profile, lines: &str| {
            let answer = Answer::parse(&body(lines)).unwrap();
            answer.agreed_under(srtp, &local, profile, &ours).map(|agreed| agreed.protection.map(|p| p.tag))
        };
        for srtp in [Srtp::Preferred, Srtp::Required] {
            let profile = srtp.profile();
            let fits = if profile == Profile::Savp { savp() } else { optional() };
            assert_eq!(agreed(srtp, profile, &fits), Ok(Some(3)), "{srtp:?}");
            let other_tag = fits.replace("crypto:3", "crypto:1");
            assert_eq!(agreed(srtp, profile, &other_tag), Err(Refusal::NoKey), "another suite under a tag of ours");
            let unusable = fits.replace("inline", "uri");
            assert_eq!(agreed(srtp, profile, &unusable), Err(Refusal::NoKey), "{srtp:?}");
        }
        assert_eq!(agreed(Srtp::Preferred, Profile::Avp, &plain()), Ok(None), "the peer cannot");
        assert_eq!(agreed(Srtp::Required, Profile::Avp, &plain()), Err(Refusal::NoKey));
        assert_eq!(agreed(Srtp::Required, Profile::Savp, &plain()), Err(Refusal::NoAudio));
        assert_eq!(agreed(Srtp::Required, Profile::Savp, &plain().replace("AVP", "SAVP")), Err(Refusal::NoKey));
        assert_eq!(agreed(Srtp::Preferred, Profile::Avp, &savp()), Err(Refusal::NoAudio));
    }

    #[test]
    fn our_own_offer_and_answer_meet() {
        let local = LocalMedia::new(RELAY.parse().unwrap());
        let origin = Origin { session_id: 1, version: 1 };
        for srtp in [Srtp::Preferred, Srtp::Required] {
            let keys = [ours(1, Suite::Aes256Gcm), ours(2, Suite::Aes128Sha1Tag80)];
            let offer = Offer::parse(&local.offer_protected(origin, srtp.profile(), &keys)).unwrap();
            let agreed = offer.agree_under(Srtp::Required, &CODECS).unwrap();
            assert!(offer.crypto(&agreed).unwrap().is_same_key(&keys[0]));
            let theirs = Crypto::new(1, Suite::Aes256Gcm, |key| key.fill(4));
            let body = offer.answer_protected(origin, &agreed, local.address, Direction::SendRecv, &theirs);
            let answer = Answer::parse(&body).unwrap();
            let read = answer.agreed_under(srtp, &local, srtp.profile(), &keys).unwrap();
            assert!(answer.crypto(&read).unwrap().is_same_key(&theirs));
        }
    }

    #[test]
    fn nothing_that_is_printed_holds_a_key() {
        let offer = offer(&savp());
        let agreed = offer.agree_under(Srtp::Required, &CODECS).unwrap();
        let printed = format!("{offer:?} {agreed:?} {:?}", offer.description().media());
        assert!(!printed.contains(&KEY[..8]) && !printed.contains("inline"), "{printed}");
    }
}
