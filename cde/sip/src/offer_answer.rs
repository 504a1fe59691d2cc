//! Offers and answers for one audio stream of G.711, G.722 or Opus with telephone-event (RFC 3264, RFC 4733).
//!
//! A B2BUA reads a peer's body as an [`Offer`] or [`Answer`], learns what is [`Agreed`], and writes bodies of its own
//! that name its relay instead.

use std::net::SocketAddr;

use thiserror::Error;

use crate::{
    message::Body,
    sdp::{self, Carried, Connection, Media, Rejected, SessionDescription},
};

pub use crate::sdp::{Crypto, Direction, Origin, Profile, SdpError, Suite};

mod protected;
mod web;

pub use protected::{Certificates, Protection, Srtp};
pub use web::{Hash, Setup, Web};

/// The clock of our sound in hertz, whatever that of its codec.
const CLOCK: u32 = 8000;
/// That of Opus (RFC 7587 section 4.1).
const OPUS_CLOCK: u32 = 48_000;

/// An audio codec that can be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// G.711 µ-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, payload type 9. Its clock is called 8000 though it samples at 16 kHz (RFC 3551 §4.5.2).
    G722,
    /// Opus, of which we code and decode what lies below 4 kHz. It is always written as of two channels (RFC 7587 §7).
    Opus,
}

impl Codec {
    /// All of them, as we offer them to a peer of whom nothing is known: what has to be transcoded always comes last.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    /// The payload type under which we offer it: the one that needs no rtpmap (RFC 3551 §6) where there is one.
    #[must_use]
    pub fn payload_type(self) -> u8 {
        self.static_payload_type().unwrap_or(111)
    }

    fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::Opus => None,
        }
    }

    /// Its name in rtpmap (RFC 3551 §6).
    #[must_use]
    pub fn encoding(self) -> &'static str {
        self.rtpmap().0
    }

    /// Can its payload be passed on to a leg of the same codec as it is?
    #[must_use]
    pub fn passes(self) -> bool {
        self != Self::Opus
    }

    /// Name, clock in hertz and channels, as an rtpmap has them.
    fn rtpmap(self) -> (&'static str, u32, u8) {
        match self {
            Self::Pcmu => ("PCMU", CLOCK, 1),
            Self::Pcma => ("PCMA", CLOCK, 1),
            Self::G722 => ("G722", CLOCK, 1),
            Self::Opus => ("opus", OPUS_CLOCK, 2),
        }
    }

    /// What the peer is told of how to send it to us.
    fn parameters(self) -> Option<&'static str> {
        // One channel of 4 kHz at most is heard here, and packets whose size follows the sound would tell of it (RFC 7587 §8).
        // What we send is so too. We make nothing of forward error correction, and no use of DTX: not naming them says so.
        const OPUS: &str = "maxplaybackrate=8000;maxaveragebitrate=32000;cbr=1";
        (self == Self::Opus).then_some(OPUS)
    }

    /// The attributes of it under this payload type.
    pub(crate) fn attributes(self, payload_type: u8) -> String {
        let (encoding, clock, channels) = self.rtpmap();
        let channels = if channels == 1 { String::new() } else { format!("/{channels}") };
        let rtpmap = format!("a=rtpmap:{payload_type} {encoding}/{clock}{channels}\r\n");
        match self.parameters() {
            Some(parameters) => format!("{rtpmap}a=fmtp:{payload_type} {parameters}\r\n"),
            None => rtpmap,
        }
    }

    /// Clocks of telephone-event that go with it, the best first: its own, else one of 8 kHz, else the 16 kHz that some pair
    /// with G.722.
    fn event_clocks(self) -> &'static [u32] {
        match self {
            Self::Opus => &[OPUS_CLOCK, CLOCK, 2 * CLOCK],
            Self::Pcmu | Self::Pcma | Self::G722 => &[CLOCK, 2 * CLOCK],
        }
    }
}

/// What we say of our one audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// Where our relay listens for RTP; for RTCP it does so one port above.
    pub address: SocketAddr,
    /// RTCP may as well come to the port of RTP (RFC 5761).
    pub rtcp_mux: bool,
    /// Codecs in order of preference with their payload types.
    pub codecs: Vec<(Codec, u8)>,
    /// The payload type of telephone-event, if offered.
    pub telephone_event: Option<u8>,
    /// Its clock in hertz.
    pub event_clock: u32,
    /// The payload type of a telephone-event of 48 kHz beside it, if offered: that of Opus.
    pub opus_event: Option<u8>,
    /// The direction as we see it.
    pub direction: Direction,
    /// Packet time in milliseconds.
    pub ptime: Option<u16>,
}

impl LocalMedia {
    /// All codecs, telephone-event/8000 as 101 and /48000 as 110, 20 ms, both ways, RTCP on the same port.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            rtcp_mux: true,
            codecs: Codec::ALL.map(|codec| (codec, codec.payload_type())).to_vec(),
            telephone_event: Some(101),
            event_clock: CLOCK,
            opus_event: Some(110),
            direction: Direction::SendRecv,
            ptime: Some(20),
        }
    }

    /// Writes the offer.
    #[must_use]
    pub fn offer(&self, origin: Origin) -> Body {
        sdp::write(origin, self, Carried::default(), Rejected::default())
    }

    /// The events that are offered, with their clocks in hertz.
    pub(crate) fn events(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        let opus = self.opus_event.filter(|_| self.has_opus()).map(|payload_type| (payload_type, OPUS_CLOCK));
        self.telephone_event.map(|payload_type| (payload_type, self.event_clock)).into_iter().chain(opus)
    }

    pub(crate) fn has_opus(&self) -> bool {
        self.codecs.iter().any(|(codec, _)| *codec == Codec::Opus)
    }
}

/// What both sides agreed on, as we see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The codec.
    pub codec: Codec,
    /// The payload type the peer wants it sent with.
    pub payload_type: u8,
    /// The payload type of telephone-event as the peer wants it, if both have it.
    pub telephone_event: Option<u8>,
    /// Its clock in hertz: that of the codec where the peer has it.
    pub event_clock: u32,
    /// Where the peer wants its RTP; `None` while it holds with 0.0.0.0 or names a host that is no address.
    pub remote: Option<SocketAddr>,
    /// Where the peer wants its RTCP; the same as above if both sides let it share the port (RFC 5761 §5.1.1).
    pub rtcp: Option<SocketAddr>,
    /// They do.
    pub rtcp_mux: bool,
    /// The direction as we see it: `RecvOnly` if we may not send.
    pub direction: Direction,
    /// The packet time the peer asks for, in milliseconds.
    pub ptime: Option<u16>,
    /// How the stream is carried.
    pub profile: Profile,
    /// By which of the peer's keys it is protected, if it is.
    pub protection: Option<Protection>,
    /// Which of the media lines it is.
    pub(crate) at: usize,
}

/// Why two descriptions do not meet; answer an offer with 488.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no audio stream over plain RTP that is not refused.
    #[error("no usable audio stream")]
    NoAudio,
    /// The address is a name, which is not looked up here.
    #[error("the media address is not an IP address")]
    NoAddress,
    /// None of the codecs is one that is allowed.
    #[error("no common codec")]
    NoCodec,
    /// It is protected by no key that can be used, or by another than was offered, and must be.
    #[error("no usable key of SRTP")]
    NoKey,
    /// An answer must have exactly the media lines of its offer.
    #[error("the answer's media lines differ from the offer's")]
    MediaLines,
}

/// A peer's offer.
#[derive(Debug)]
pub struct Offer(SessionDescription);

impl Offer {
    /// Reads an offer.
    ///
    /// # Errors
    /// If it is no session description.
    pub fn parse(body: &Body) -> Result<Self, SdpError> {
        SessionDescription::parse(body.as_bytes()).map(Self)
    }

    /// The description itself.
    #[must_use]
    pub fn description(&self) -> &SessionDescription {
        &self.0
    }

    /// What we could agree to: the first of the peer's codecs that is `allowed`, and its telephone-event.
    ///
    /// # Errors
    /// If there is no such audio stream or codec.
    pub fn agree(&self, allowed: &[Codec]) -> Result<Agreed, Refusal> {
        agree(&self.0, self.0.audio().ok_or(Refusal::NoAudio)?, allowed, ALL)
    }

    /// Writes the answer: the one audio stream at `address`, and every other media line refused with port 0.
    ///
    /// `direction` is what we would like; it is cut to what the offer allows.
    #[must_use]
    pub fn answer(&self, origin: Origin, agreed: &Agreed, address: SocketAddr, direction: Direction) -> Body {
        self.answer_carried(origin, agreed, address, direction, Carried::default())
    }

    fn answer_carried(
        &self,
        origin: Origin,
        agreed: &Agreed,
        address: SocketAddr,
        direction: Direction,
        carried: Carried<'_>,
    ) -> Body {
        let rejected = Rejected {
            before: self.0.media().get(..agreed.at).unwrap_or_default(),
            after: self.0.media().get(agreed.at + 1..).unwrap_or_default(),
        };
        let local = LocalMedia {
            address,
            rtcp_mux: agreed.rtcp_mux,
            codecs: vec![(agreed.codec, agreed.payload_type)],
            telephone_event: agreed.telephone_event,
            event_clock: agreed.event_clock,
            opus_event: None,
            direction: direction.meet(agreed.direction),
            ptime: agreed.ptime,
        };
        sdp::write(origin, &local, carried, rejected)
    }
}

/// A peer's answer.
#[derive(Debug)]
pub struct Answer(SessionDescription);

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// If it is no session description.
    pub fn parse(body: &Body) -> Result<Self, SdpError> {
        SessionDescription::parse(body.as_bytes()).map(Self)
    }

    /// What the peer agreed to of our offer of one stream.
    ///
    /// # Errors
    /// If the stream is refused, its codecs are none of ours, or the answer has other media lines than the offer.
    pub fn agreed(&self, offered: &LocalMedia) -> Result<Agreed, Refusal> {
        let [media] = self.0.media() else { return Err(Refusal::MediaLines) };
        if media.carries_audio() != Some(Profile::Avp) {
            return Err(Refusal::NoAudio);
        }
        self.agreed_as_offered(0, offered)
    }

    fn agreed_as_offered(&self, at: usize, offered: &LocalMedia) -> Result<Agreed, Refusal> {
        let allowed: Vec<Codec> = offered.codecs.iter().map(|(codec, _)| *codec).collect();
        let event_clocks: Vec<u32> = offered.events().map(|(_, clock)| clock).collect();
        let ours = Ours { event_clocks: &event_clocks, rtcp_mux: offered.rtcp_mux };
        let agreed = agree(&self.0, at, &allowed, ours)?;
        Ok(Agreed { direction: agreed.direction.meet(offered.direction), ..agreed })
    }
}

/// What we can do, or have offered to.
#[derive(Clone, Copy)]
struct Ours<'a> {
    /// Clocks of telephone-event.
    event_clocks: &'a [u32],
    rtcp_mux: bool,
}

/// What we can do where the peer offers.
const ALL: Ours<'_> = Ours { event_clocks: &[CLOCK, 2 * CLOCK, OPUS_CLOCK], rtcp_mux: true };

fn agree(description: &SessionDescription, at: usize, allowed: &[Codec], ours: Ours<'_>) -> Result<Agreed, Refusal> {
    let media: &Media = description.media().get(at).ok_or(Refusal::NoAudio)?;
    let codec_of = |pt: u8| {
        let is = |codec: &Codec| media.is_encoding(pt, codec.rtpmap(), codec.static_payload_type());
        Codec::ALL.into_iter().find(|codec| is(codec) && allowed.contains(codec)).map(|codec| (codec, pt))
    };
    let (codec, payload_type) = media.payload_types().find_map(codec_of).ok_or(Refusal::NoCodec)?;
    let events = |clock| {
        let is_event = |pt: &u8| media.is_encoding(*pt, ("telephone-event", clock, 1), None) && media.covers_keys(*pt);
        media.payload_types().find(is_event).map(|pt| (pt, clock))
    };
    let can = |clock: &&u32| ours.event_clocks.contains(clock);
    let event = codec.event_clocks().iter().filter(can).find_map(|clock| events(*clock));
    let web = media.carries_web_audio();
    let connection = description.connection_of(media).filter(|_| web.is_none());
    let remote = match connection {
        Some(Connection::Address(ip)) if !ip.is_unspecified() => Some(SocketAddr::new(ip, media.port)),
        Some(Connection::Address(_)) | None => None,
        // A name would have to be looked up; taken for a hold, it would be a call without sound.
        Some(_) => return Err(Refusal::NoAddress),
    };
    let rtcp_mux = ours.rtcp_mux && media.rtcp_mux;
    let direction = description.direction_of(media).reversed();
    let held = connection.is_some_and(Connection::is_null);
    Ok(Agreed {
        codec,
        payload_type,
        telephone_event: event.map(|(pt, _)| pt),
        event_clock: event.map_or(CLOCK, |(_, clock)| clock),
        remote,
        rtcp: remote.map(|remote| if rtcp_mux { remote } else { rtcp_apart(remote, media.rtcp) }),
        rtcp_mux,
        direction: if held { direction.meet(Direction::RecvOnly) } else { direction },
        ptime: media.ptime,
        profile: media.carries_audio().or(web).unwrap_or_default(),
        protection: None,
        at,
    })
}

/// RTCP on a port of its own: as the peer says (RFC 3605), else one above RTP (RFC 3550 §11). Of an attribute that names no
/// usable address the port would be useless too.
fn rtcp_apart(remote: SocketAddr, said: Option<(u16, Option<Connection>)>) -> SocketAddr {
    match said {
        Some((port, None)) => SocketAddr::new(remote.ip(), port),
        Some((port, Some(Connection::Address(ip)))) if !ip.is_unspecified() => SocketAddr::new(ip, port),
        // There is none above the last one, and nothing better than RTP's own.
        _ => SocketAddr::new(remote.ip(), remote.port().checked_add(1).unwrap_or(remote.port())),
    }
}

#[cfg(test)]
mod tests;
