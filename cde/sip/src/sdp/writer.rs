//! The writer of descriptions with one audio stream.

use std::net::SocketAddr;

use crate::{message::Body, offer_answer::LocalMedia};

use super::{Crypto, Media, Profile, Web};

/// The identity of a session of ours; the version grows by one with every changed description (RFC 3264 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Session id.
    pub session_id: u64,
    /// Session version.
    pub version: u64,
}

/// The media lines of an offer around the one that is accepted; each is refused with port 0, in its place.
#[derive(Clone, Copy, Default)]
pub struct Rejected<'a> {
    /// Those before.
    pub before: &'a [Media],
    /// Those after.
    pub after: &'a [Media],
}

/// How the stream is carried, and our keys for it.
#[derive(Clone, Copy, Default)]
pub struct Carried<'a> {
    /// As the media line says.
    pub profile: Profile,
    /// None without protection.
    pub cryptos: &'a [Crypto],
    /// To a browser.
    pub web: Option<&'a Web>,
}

/// Senders of Opus may put more into a packet than is heard here.
const MAXPTIME_MS: u16 = 60;

/// Writes a description whose only stream is `media`.
#[must_use]
pub fn write(origin: Origin, media: &LocalMedia, carried: Carried<'_>, rejected: Rejected<'_>) -> Body {
    let mut text = session(origin, media.address);
    carried.web.iter().for_each(|web| web.write_session(&mut text));
    let names = carried.web.is_some();
    rejected.before.iter().for_each(|m| refuse(&mut text, m, names));
    stream(&mut text, media, carried);
    rejected.after.iter().for_each(|m| refuse(&mut text, m, names));
    Body::from(text.into_bytes())
}

/// Writes a description of two streams from one address, each with its label (RFC 4574).
pub(crate) fn write_labeled(origin: Origin, streams: [(&str, (&LocalMedia, Carried<'_>)); 2]) -> Body {
    let [(_, (first, _)), _] = streams;
    let mut text = session(origin, first.address);
    for (label, (media, carried)) in streams {
        stream(&mut text, media, carried);
        text += &format!("a=label:{label}\r\n");
    }
    Body::from(text.into_bytes())
}

fn session(origin: Origin, address: SocketAddr) -> String {
    let address = connection(address);
    format!("v=0\r\no=- {} {} {address}\r\ns=-\r\nc={address}\r\nt=0 0\r\n", origin.session_id, origin.version)
}

fn connection(address: SocketAddr) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!("IN {family} {}", address.ip())
}

/// `names`: a browser's streams go by their names.
fn refuse(text: &mut String, media: &Media, names: bool) {
    *text += &format!("m={} 0 {} {}\r\n", media.kind, media.proto, media.formats.join(" "));
    if let Some(mid) = media.web.mid.as_ref().filter(|_| names) {
        *text += &format!("a=mid:{mid}\r\n");
    }
}

fn stream(text: &mut String, media: &LocalMedia, carried: Carried<'_>) {
    let events = || media.events();
    let types = media.codecs.iter().map(|(_, pt)| *pt).chain(events().map(|(pt, _)| pt));
    let types: String = types.map(|pt| format!(" {pt}")).collect();
    *text += &format!("m=audio {} {}{types}\r\n", media.address.port(), carried.profile.name());
    carried.web.iter().for_each(|web| web.write_stream(text, media.address));
    carried.cryptos.iter().for_each(|crypto| *text += crypto.write().as_str());
    for (codec, payload_type) in &media.codecs {
        *text += &codec.attributes(*payload_type);
    }
    for (payload_type, clock) in events() {
        *text += &format!("a=rtpmap:{payload_type} telephone-event/{clock}\r\n");
        // Without it 0-15 is meant, and a datagram has little room.
        if Some(payload_type) != media.opus_event {
            *text += &format!("a=fmtp:{payload_type} 0-15\r\n");
        }
    }
    if let Some(ptime) = media.ptime {
        *text += &format!("a=ptime:{ptime}\r\n");
    }
    if media.has_opus() {
        *text += &format!("a=maxptime:{MAXPTIME_MS}\r\n");
    }
    if media.rtcp_mux {
        text.push_str("a=rtcp-mux\r\n");
    }
    *text += &format!("a={}\r\n", media.direction.attribute());
}
