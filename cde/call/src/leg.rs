//! One side of a call: its dialog, our port for it, and what was agreed on.

mod keys;
mod web;

use keys::LegKeys;
use media::g711::Law;
use media::{EventClock, Remote};
use rand_chacha::ChaCha12Rng;
use sip::offer_answer::{Agreed, Answer, Codec, Direction, LocalMedia, Offer, Origin, Profile, Refusal, Srtp};
use sip::sdp::Carried;
use sip::siprec::Offered;
use sip::{Body, DialogId, Peer};
use std::net::{Ipv4Addr, SocketAddr};
use web::WebLeg;
pub use web::WebTerms;

pub(crate) const CODECS: [Codec; 4] = Codec::ALL;
/// What need not be transcoded between two legs that have it.
const PASSING: [Codec; 3] = [Codec::Pcmu, Codec::Pcma, Codec::G722];

pub(crate) struct Leg {
    pub(crate) dialog: Option<DialogId>,
    /// Where it was called, or calls from: what it may do is what that trunk may.
    pub(crate) peer: Peer,
    pub(crate) address: SocketAddr,
    origin: Origin,
    /// What we offered last, and how carried.
    offered: Option<(LocalMedia, Profile)>,
    pub(crate) agreed: Option<Agreed>,
    srtp: Srtp,
    keys: LegKeys,
    /// To a browser.
    web: WebLeg,
    /// We made our offer in a 2xx: the ACK must bring the answer.
    pub(crate) owed_answer: bool,
    /// An offer that another call has made it is still open: what it answers next is no answer to ours.
    pub(crate) is_asked_elsewhere: bool,
}

/// What an offer or answer cannot be used for, as a SIP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    Malformed,
    NotAcceptable,
}

impl Unusable {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::NotAcceptable => 488,
        }
    }
}

impl Leg {
    pub(crate) fn new(address: SocketAddr, session_id: u64, srtp: Srtp, peer: Peer) -> Self {
        // RFC 3264 asks for 62 bits at most, so that no reader takes it for negative.
        let origin = Origin { session_id: session_id >> 2, version: 1 };
        let (keys, web) = (LegKeys::default(), WebLeg::default());
        let (dialog, offered, agreed, owed_answer, is_asked_elsewhere) = (None, None, None, false, false);
        Self { dialog, peer, address, origin, offered, agreed, srtp, keys, web, owed_answer, is_asked_elsewhere }
    }

    /// Our offer, with the codec of the other leg first where that saves transcoding. What was agreed on of its protection stays, with the same
    /// keys: a peer goes on where it was.
    pub(crate) fn offer(&mut self, rng: &mut ChaCha12Rng, preferred: Option<Codec>, direction: Direction) -> Body {
        let mut local = LocalMedia::new(self.address);
        local.codecs.sort_by_key(|(codec, _)| Some(*codec) != preferred || !codec.passes());
        local.direction = direction;
        let profile = self.agreed.map_or(self.srtp.profile(), |agreed| agreed.profile);
        let origin = self.next_origin();
        let body = match self.srtp {
            Srtp::Web(certificates) => local.offer_web(origin, &self.web.offer(rng, certificates.ours)),
            srtp => local.offer_protected(origin, profile, self.keys.offer(rng, srtp, self.agreed.as_ref())),
        };
        self.offered = Some((local, profile));
        body
    }

    /// Our offer of a stream that is only sent, with nothing but this codec: one of several in a body.
    pub(crate) fn offer_copies(&mut self, rng: &mut ChaCha12Rng, codec: Codec) -> Offered<'_> {
        let local = LocalMedia {
            codecs: vec![(codec, codec.payload_type())],
            telephone_event: None,
            direction: self.agreed.map_or(Direction::SendOnly, |agreed| agreed.direction.meet(Direction::SendOnly)),
            ..LocalMedia::new(self.address)
        };
        let profile = self.agreed.map_or(self.srtp.profile(), |agreed| agreed.profile);
        let (media, _) = self.offered.insert((local, profile));
        let cryptos = self.keys.offer(rng, self.srtp, self.agreed.as_ref());
        Offered { media, carried: Carried { profile, cryptos, web: None } }
    }

    /// The answer to a peer's offer. The codec of the other leg is taken where possible, so that nothing is transcoded.
    pub(crate) fn answer(
        &mut self,
        rng: &mut ChaCha12Rng,
        offer: &Offer,
        preferred: Option<Codec>,
        direction: Direction,
    ) -> Result<Body, Unusable> {
        let agreed = self.agree(offer, preferred)?;
        self.agreed = Some(agreed);
        let origin = self.next_origin();
        if let Srtp::Web(certificates) = self.srtp {
            let theirs = offer.web(&agreed).ok_or(Unusable::NotAcceptable)?;
            let ours = self.web.answer(rng, theirs, certificates.ours);
            return Ok(offer.answer_web(origin, &agreed, self.address, direction, &ours));
        }
        Ok(match self.keys.answer(rng, offer.crypto(&agreed)) {
            Some(ours) => offer.answer_protected(origin, &agreed, self.address, direction, ours),
            None => offer.answer(origin, &agreed, self.address, direction),
        })
    }

    /// What we could agree to, without agreeing yet.
    pub(crate) fn agree(&self, offer: &Offer, preferred: Option<Codec>) -> Result<Agreed, Unusable> {
        let first =
            preferred.filter(|codec| codec.passes()).and_then(|codec| offer.agree_under(self.srtp, &[codec]).ok());
        let all = || offer.agree_under(self.srtp, &CODECS).map_err(|_| Unusable::NotAcceptable);
        self.reachable(first.map_or_else(all, Ok)?)
    }

    /// The first of the peer's codecs that could pass to another leg as it is.
    pub(crate) fn passing(&self, offer: &Offer) -> Option<Codec> {
        offer.agree_under(self.srtp, &PASSING).ok().map(|agreed| agreed.codec)
    }

    /// Takes the peer's answer to our offer.
    pub(crate) fn take_answer(&mut self, body: &Body) -> Result<(), Unusable> {
        let answer = Answer::parse(body).map_err(|_| Unusable::Malformed)?;
        let (offered, profile) = self.offered.as_ref().ok_or(Unusable::NotAcceptable)?;
        let agreed = match self.srtp {
            Srtp::Off => answer.agreed(offered),
            srtp => answer.agreed_under(srtp, offered, *profile, self.keys.offered()),
        };
        self.take_agreed(&answer, agreed)
    }

    /// The same where our offer has several streams: which of how many.
    pub(crate) fn take_answer_at(&mut self, answer: &Answer, place: (usize, usize)) -> Result<(), Unusable> {
        let (offered, profile) = self.offered.as_ref().ok_or(Unusable::NotAcceptable)?;
        // Who has paused may go on.
        let offered = LocalMedia { direction: Direction::SendOnly, ..offered.clone() };
        let agreed = answer.agreed_at(place, self.srtp, &offered, *profile, self.keys.offered());
        self.take_agreed(answer, agreed)
    }

    fn take_agreed(&mut self, answer: &Answer, agreed: Result<Agreed, Refusal>) -> Result<(), Unusable> {
        let agreed = self.reachable(agreed.map_err(|_| Unusable::NotAcceptable)?)?;
        match self.srtp {
            Srtp::Web(_) => self.web.answered(answer.web(&agreed).ok_or(Unusable::NotAcceptable)?),
            _ => self.keys.answered(answer.crypto(&agreed)),
        }
        self.agreed = Some(agreed);
        Ok(())
    }

    /// Its peer has taken an offer of another call, and is to come back from there: no key of ours is one that it still has.
    pub(crate) fn comes_back(&mut self, rng: &mut ChaCha12Rng) {
        self.keys.anew(rng);
        self.web.anew();
    }

    /// Is it a browser's?
    pub(crate) fn is_web(&self) -> bool {
        matches!(self.srtp, Srtp::Web(_))
    }

    /// Whether its sound must be protected.
    pub(crate) fn srtp(&self) -> Srtp {
        self.srtp
    }

    /// Was it agreed that sound is protected?
    pub(crate) fn protected(&self) -> bool {
        self.agreed.is_some_and(|agreed| agreed.protection.is_some())
    }

    /// The keys that were agreed on.
    pub(crate) fn keys(&self) -> Option<Box<media::srtp::Keys>> {
        self.keys.of(self.agreed.as_ref()?)
    }

    /// Our port is of one family, and sends to no other.
    fn reachable(&self, agreed: Agreed) -> Result<Agreed, Unusable> {
        let is_reachable = agreed.remote.is_none_or(|remote| remote.is_ipv4() == self.address.is_ipv4());
        if is_reachable { Ok(agreed) } else { Err(Unusable::NotAcceptable) }
    }

    /// Which way sound may flow between us and this peer.
    pub(crate) fn direction(&self) -> Direction {
        self.agreed.map_or(Direction::SendRecv, |agreed| agreed.direction)
    }

    pub(crate) fn codec(&self) -> Option<Codec> {
        self.agreed.map(|agreed| agreed.codec)
    }

    /// What the media session must know of the peer; none while it has no address.
    pub(crate) fn remote(&self) -> Option<Remote> {
        let agreed = self.agreed?;
        self.remote_at(agreed.remote?, agreed.rtcp?)
    }

    /// Of a browser: the same but for the address, which is what the checks find, and what they are made with.
    pub(crate) fn negotiation(&self) -> Option<(Remote, Box<WebTerms>)> {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        self.is_web().then(|| Some((self.remote_at(nowhere, nowhere)?, self.web.terms()?)))?
    }

    fn remote_at(&self, address: SocketAddr, rtcp: SocketAddr) -> Option<Remote> {
        let agreed = self.agreed?;
        Some(Remote {
            address,
            rtcp,
            codec: match agreed.codec {
                Codec::Pcmu => media::Codec::G711(Law::Mu),
                Codec::Pcma => media::Codec::G711(Law::A),
                Codec::G722 => media::Codec::G722,
                Codec::Opus => media::Codec::Opus,
            },
            payload_type: agreed.payload_type,
            telephone_event: agreed.telephone_event,
            event_clock: EventClock::new(agreed.event_clock).unwrap_or_default(),
            sends: agreed.direction.receives(),
            receives: agreed.direction.sends(),
            learns_from: None,
        })
    }

    pub(crate) fn next_origin(&mut self) -> Origin {
        let origin = self.origin;
        self.origin.version += 1;
        origin
    }
}
