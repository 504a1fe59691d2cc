//! One side of a call: its dialog, our port for it, and what was agreed on.

use media::Remote;
use sip::offer_answer::{Agreed, Answer, Codec, Direction, LocalMedia, Offer, Origin};
use sip::{Body, DialogId};
use std::net::SocketAddr;

pub(crate) const CODECS: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

pub(crate) struct Leg {
    pub(crate) dialog: Option<DialogId>,
    pub(crate) address: SocketAddr,
    origin: Origin,
    /// What we offered last, until it is answered.
    offered: Option<LocalMedia>,
    pub(crate) agreed: Option<Agreed>,
    /// We made our offer in a 2xx: the ACK must bring the answer.
    pub(crate) owed_answer: bool,
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
    pub(crate) fn new(address: SocketAddr, session_id: u64) -> Self {
        // RFC 3264 asks for 62 bits at most, so that no reader takes it for negative.
        let origin = Origin { session_id: session_id >> 2, version: 1 };
        Self { dialog: None, address, origin, offered: None, agreed: None, owed_answer: false }
    }

    /// Our offer, with the codecs that the other leg likes first.
    pub(crate) fn offer(&mut self, preferred: Option<Codec>, direction: Direction) -> Body {
        let mut local = LocalMedia::new(self.address);
        local.codecs.sort_by_key(|(codec, _)| Some(*codec) != preferred);
        local.direction = direction;
        let body = local.offer(self.next_origin());
        self.offered = Some(local);
        body
    }

    /// The answer to a peer's offer. The codec of the other leg is taken where possible, so that nothing is transcoded.
    pub(crate) fn answer(
        &mut self,
        offer: &Offer,
        preferred: Option<Codec>,
        direction: Direction,
    ) -> Result<Body, Unusable> {
        let agreed = self.agree(offer, preferred)?;
        self.agreed = Some(agreed);
        let origin = self.next_origin();
        Ok(offer.answer(origin, &agreed, self.address, direction))
    }

    /// What we could agree to, without agreeing yet.
    pub(crate) fn agree(&self, offer: &Offer, preferred: Option<Codec>) -> Result<Agreed, Unusable> {
        let first = preferred.and_then(|codec| offer.agree(&[codec]).ok());
        let agreed = first.map_or_else(|| offer.agree(&CODECS).map_err(|_| Unusable::NotAcceptable), Ok)?;
        self.reachable(agreed)
    }

    /// Takes the peer's answer to our offer.
    pub(crate) fn take_answer(&mut self, body: &Body) -> Result<(), Unusable> {
        let answer = Answer::parse(body).map_err(|_| Unusable::Malformed)?;
        let offered = self.offered.clone().unwrap_or_else(|| LocalMedia::new(self.address));
        let agreed = answer.agreed(&offered).map_err(|_| Unusable::NotAcceptable)?;
        self.agreed = Some(self.reachable(agreed)?);
        Ok(())
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
        Some(Remote {
            address: agreed.remote?,
            rtcp: agreed.rtcp?,
            codec: match agreed.codec {
                Codec::Pcmu => media::Codec::Pcmu,
                Codec::Pcma => media::Codec::Pcma,
            },
            payload_type: agreed.payload_type,
            telephone_event: agreed.telephone_event,
            // The SDP agrees on none but telephone-event/8000.
            event_clock: media::EventClock::default(),
            sends: agreed.direction.receives(),
            receives: agreed.direction.sends(),
        })
    }

    fn next_origin(&mut self) -> Origin {
        let origin = self.origin;
        self.origin.version += 1;
        origin
    }
}
